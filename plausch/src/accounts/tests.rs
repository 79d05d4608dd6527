//! `plausch user` with a folder of a test's own: what is said, what it exits with, and what the server would read.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::cli::{self, Asked, Environment};
use crate::commands::Command;

struct Town(PathBuf);

impl Town {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("plausch-user-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("password"), "geheim\n").unwrap();
        Self(folder)
    }

    fn password(&self) -> String {
        self.0.join("password").display().to_string()
    }

    /// What a command says, in German.
    fn ask(&self, args: &[&str]) -> Result<(u8, String), StartError> {
        let state = self.0.join("state");
        let all = ["plausch", "user"].into_iter().chain(args.iter().copied());
        let more = ["--lang", "de", "--state", state.to_str().unwrap()];
        // Nothing of the machine's own counts.
        let file = service::options::ConfigFile { path: "plausch.toml".into(), text: String::new() };
        let args = all.chain(more).map(OsString::from);
        let Asked::Do(Command::User(user)) = cli::read(args, Some(file), &Environment::default())? else {
            panic!("{state:?}")
        };
        let (code, said) = perform(user)?;
        Ok((code, said.de))
    }

    fn add(&self, name: &str) -> (u8, String) {
        self.ask(&["add", name, "--password-file", &self.password()]).unwrap()
    }

    fn record(&self, name: &str) -> Option<AccountRecord> {
        AccountStore::new(&self.0.join("state")).read(&name.parse().unwrap()).unwrap()
    }

    fn lets_in(&self, name: &str, password: &str) -> bool {
        let proof = prosody_core::Proof::Password(jitsi_xmpp::Sensitive::new(password.to_owned()));
        self.record(name).is_some_and(|r| r.answer(&proof) == prosody_core::AccountAnswer::Right)
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn an_account_is_made_changed_disabled_and_deleted() {
    let town = Town::new("life");
    let (code, said) = town.add("Anna");
    assert_eq!(code, 0, "{said}");
    assert!(said.starts_with("anna@meet.jitsi: angelegt") && said.contains("anmeldung.md"), "{said}");
    assert!(town.lets_in("anna@meet.jitsi", "geheim"));
    assert_eq!(town.add("anna@meet.jitsi"), (1, "anna@meet.jitsi gibt es schon".into()));
    fs::write(town.0.join("password"), "anders").unwrap();
    let changed = town.ask(&["passwd", "anna", "--password-file", &town.password()]).unwrap();
    assert_eq!(changed.0, 0);
    assert!(town.lets_in("anna@meet.jitsi", "anders") && !town.lets_in("anna@meet.jitsi", "geheim"));
    assert_eq!(town.ask(&["disable", "anna"]).unwrap().0, 0);
    assert!(town.record("anna@meet.jitsi").unwrap().disabled);
    assert_eq!(town.ask(&["passwd", "anna", "--password-file", &town.password()]).unwrap().0, 0);
    assert!(town.record("anna@meet.jitsi").unwrap().disabled, "a new password enables nobody");
    assert_eq!(town.ask(&["enable", "anna"]).unwrap().0, 0);
    assert!(town.lets_in("anna@meet.jitsi", "anders"));
    assert_eq!(town.ask(&["del", "anna"]).unwrap(), (0, "anna@meet.jitsi: gelöscht".into()));
    for verb in ["del", "enable", "disable"] {
        assert_eq!(town.ask(&[verb, "anna"]).unwrap(), (1, "anna@meet.jitsi gibt es nicht".into()));
    }
    assert_eq!(town.record("anna@meet.jitsi"), None);
}

#[test]
fn nobody_gets_an_account_where_nobody_logs_in_or_where_the_configuration_has_the_last_word() {
    let town = Town::new("nowhere");
    for (name, word) in [
        ("anna@meet.example", "auth.meet.jitsi"),
        ("anna@muc.meet.jitsi", "meldet sich hier niemand an"),
        ("focus@auth.meet.jitsi", "aus der Konfiguration"),
        ("jvb@auth.meet.jitsi", "aus der Konfiguration"),
        ("a b", "kein Name"),
        ("@meet.jitsi", "kein Name"),
    ] {
        let (code, said) = town.add(name);
        assert!(code == 1 && said.contains(word), "{name}: {said}");
    }
    assert_eq!(town.add("jibri@auth.meet.jitsi").0, 0, "services of one's own have a place");
    let long = "a".repeat(300);
    let e = town.ask(&["add", &long, "--password-file", &town.password()]).unwrap_err().to_string();
    assert!(e.contains("too long") && !e.contains('\n'), "{e}");
    let e = town.ask(&["add", "anna", "--password-file", "/nonexistent"]).unwrap_err().to_string();
    assert!(e.contains("/nonexistent"), "{e}");
}

#[test]
fn a_list_has_one_account_a_line_and_what_is_to_be_said_of_it() {
    let town = Town::new("list");
    for name in ["emil", "anna", "jibri@auth.meet.jitsi"] {
        assert_eq!(town.add(name).0, 0);
    }
    town.ask(&["disable", "emil"]).unwrap();
    fs::write(town.0.join("state/accounts/meet.jitsi/odd.account"), "x").unwrap();
    let (code, said) = town.ask(&["list", "meet.jitsi"]).unwrap();
    assert_eq!(code, 0);
    assert_eq!(
        said,
        "anna@meet.jitsi\nemil@meet.jitsi\tgesperrt\nodd@meet.jitsi\tnicht zu verstehen: niemand meldet sich an"
    );
    let (_, all) = town.ask(&["list"]).unwrap();
    assert!(
        all.contains("jibri@auth.meet.jitsi\n") && all.contains("focus@auth.meet.jitsi\taus der"),
        "{all}"
    );
    assert_eq!(town.ask(&["list", "--containing", "nna"]).unwrap().1, "anna@meet.jitsi");
    assert_eq!(town.ask(&["list", "meet.example"]).unwrap().0, 1);
}

/// A file of Prosody's for the password `geheim`.
fn prosody_s(hash: jitsi_xmpp::sasl::Hash) -> String {
    let salt = "c87b2c2f-22a8-4d1f-9aa2-b6b5c2d61f50";
    let made =
        jitsi_xmpp::sasl::Credentials::derive(hash, "geheim", salt.as_bytes(), 4096.try_into().unwrap());
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    format!(
        "return {{\n\t[\"salt\"] = \"{salt}\";\n\t[\"iteration_count\"] = 4096;\n\t[\"stored_key\"] = \"{}\";\n\t[\"server_key\"] = \"{}\";\n}};\n",
        hex(made.stored_key.reveal()),
        hex(made.server_key.reveal())
    )
}

#[test]
fn prosody_s_accounts_are_taken_over_once_and_what_is_left_is_said() {
    use jitsi_xmpp::sasl::Hash;
    let town = Town::new("import");
    let data = town.0.join("prosody");
    for (file, text) in [
        ("meet%2ejitsi/accounts/anna.dat", prosody_s(Hash::Sha1)),
        ("meet%2ejitsi/accounts/emil.dat", "return { password = \"geheim\" };".to_owned()),
        ("meet%2ejitsi/accounts/there.dat", prosody_s(Hash::Sha1)),
        ("auth%2emeet%2ejitsi/accounts/focus.dat", prosody_s(Hash::Sha1)),
        ("auth%2emeet%2ejitsi/accounts/jibri.dat", "return { password = \"geheim\" };".to_owned()),
    ] {
        fs::create_dir_all(data.join(file).parent().unwrap()).unwrap();
        fs::write(data.join(file), text).unwrap();
    }
    fs::write(town.0.join("password"), "anders").unwrap();
    town.add("there");
    let import = || town.ask(&["import", data.to_str().unwrap()]).unwrap();
    let (code, said) = import();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("meet.jitsi: 2 Konten übernommen, 1 gab es schon, 0 sind"), "{said}");
    assert!(said.contains("auth.meet.jitsi: 1 Konten übernommen, 0 gab es schon, 1 sind"), "{said}");
    for name in ["anna@meet.jitsi", "emil@meet.jitsi", "jibri@auth.meet.jitsi"] {
        assert!(town.lets_in(name, "geheim"), "{name}");
    }
    assert!(town.lets_in("there@meet.jitsi", "anders"), "it stays as it is");
    assert_eq!(town.record("focus@auth.meet.jitsi"), None, "the configuration has the last word");
    let again = import();
    assert!(again.0 == 0 && again.1.contains("0 Konten übernommen, 3 gab es schon"), "{}", again.1);

    for (file, text, word) in [
        ("meet%2ejitsi/accounts/odd.dat", "return { };".to_owned(), "odd.dat: nicht zu verstehen"),
        ("meet%2ejitsi/accounts/sha2.dat", prosody_s(Hash::Sha256), "keine Schlüssel für SCRAM-SHA-1"),
        ("old%2eexample/accounts/anna.dat", prosody_s(Hash::Sha1), "old.example: 1 Konten bleiben draußen"),
    ] {
        fs::create_dir_all(data.join(file).parent().unwrap()).unwrap();
        fs::write(data.join(file), text).unwrap();
        let (code, said) = import();
        assert!(code == 1 && said.contains(word), "{word}: {said}");
        fs::remove_file(data.join(file)).unwrap();
    }
}

#[test]
fn what_a_migration_has_written_is_taken_over_and_nothing_is_said_so() {
    let town = Town::new("migrated");
    let written = town.0.join("accounts");
    let record = AccountRecord::with_password("geheim", &mut SystemEntropy, 1);
    AccountStore::at(&written).create(&"anna@meet.jitsi".parse().unwrap(), &record).unwrap();
    let (code, said) = town.ask(&["import", written.to_str().unwrap()]).unwrap();
    assert!(code == 0 && said.contains("1 Konten übernommen"), "{said}");
    assert!(town.lets_in("anna@meet.jitsi", "geheim"));
    let file = town.0.join("state/accounts/meet.jitsi/anna.account");
    assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    let empty = town.0.join("empty");
    fs::create_dir(&empty).unwrap();
    assert_eq!(town.ask(&["import", empty.to_str().unwrap()]).unwrap(), (1, "es gibt keine Konten".into()));
    assert!(town.ask(&["import", "/nonexistent"]).is_err());
}
