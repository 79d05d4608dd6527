//! Prosody's folder with accounts in; who has one on which host, with keys and never with a password, out.

use std::path::{Path, PathBuf};

use jitsi_xmpp::sasl::{Credentials, Hash};
use jitsi_xmpp::{BareJid, Entropy, Sensitive};
use prosody_core::AccountRecord;
use prosody_server::accounts::percent;

use crate::foreign::lua::{self, Value};
use crate::migrate::tree::Tree;

/// The accounts of one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) accounts: Vec<(BareJid, AccountRecord)>,
    /// How many of them were kept with the password itself.
    pub(crate) plain: usize,
    /// Files that are not understood.
    pub(crate) odd: Vec<PathBuf>,
}

impl Host {
    pub(crate) fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.odd.is_empty()
    }
}

/// Looks at `<data>/<host>/accounts/<name>.dat`, those of hosts that are `wanted`.
pub(crate) fn look(
    tree: &Tree,
    data: &Path,
    entropy: &mut dyn Entropy,
    wanted: impl Fn(&str) -> bool,
) -> Vec<Host> {
    let mut all = Vec::new();
    for folder in tree.entries(data) {
        let name = name_of(&folder);
        if !wanted(&name) {
            continue;
        }
        let mut host = Host { name, accounts: Vec::new(), plain: 0, odd: Vec::new() };
        for file in tree.entries(&folder.join("accounts")) {
            if file.extension().is_none_or(|e| e != "dat") {
                continue;
            }
            let jid = BareJid::from_parts(&name_of(&file.with_extension("")), &host.name).ok();
            let account = tree.text(&file).and_then(|text| account(&lua::table(&text).ok()?, entropy));
            match (jid, account) {
                (Some(jid), Some((record, plain))) => {
                    host.plain += usize::from(plain);
                    host.accounts.push((jid, record));
                }
                _ => host.odd.push(file),
            }
        }
        if !host.is_empty() {
            all.push(host);
        }
    }
    all
}

/// Whether people have accounts there, by the names that Jitsi's own manuals give: those of services are made by the roles
/// themselves.
pub(crate) fn is_people_s(host: &str) -> bool {
    !["auth.", "hidden.", "recorder.", "jigasi.", "transcriber."].iter().any(|own| host.starts_with(own))
}

/// What is kept of it, and whether it was kept with the password itself.
fn account(table: &Value, entropy: &mut dyn Entropy) -> Option<(AccountRecord, bool)> {
    let time = |name| number(table, name).unwrap_or_default();
    let (created, changed) = (time("created"), time("updated").max(time("created")));
    let (mut record, plain) = match table.at("password").and_then(Value::text) {
        Some(password) => {
            // Who has both logs in with the password there.
            jitsi_xmpp::prepare::password(password)?;
            let mut record = AccountRecord::with_password(password, entropy, changed);
            record.created = created;
            (record, true)
        }
        None => (AccountRecord::with_keys(keys(table)?, created, changed).ok()?, false),
    };
    record.disabled = match table.at("disabled") {
        None | Some(Value::Nil | Value::Bool(false)) => false,
        // Whatever else it says, it was meant to.
        Some(_) => true,
    };
    Some((record, plain))
}

/// Two keys of one length in hexadecimal digits, a salt, and a number of rounds.
fn keys(table: &Value) -> Option<Credentials> {
    let stored = hex(table.at("stored_key")?.text()?)?;
    let hash = [Hash::Sha1, Hash::Sha256].into_iter().find(|h| h.output_len() == stored.len())?;
    Some(Credentials {
        hash,
        // The text itself, which looks like an id.
        salt: table.at("salt")?.text()?.as_bytes().to_vec(),
        iterations: u32::try_from(number(table, "iteration_count")?).ok()?.try_into().ok()?,
        stored_key: Sensitive::new(stored),
        server_key: Sensitive::new(hex(table.at("server_key")?.text()?)?),
    })
}

/// A number, without its fraction.
fn number(table: &Value, name: &str) -> Option<u64> {
    let Some(Value::Number(text)) = table.at(name) else { return None };
    let whole = text.split('.').next().unwrap_or_default();
    whole.parse().ok()
}

fn hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || text.len() % 2 == 1 {
        return None;
    }
    let digit = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    text.bytes().all(|b| b.is_ascii_hexdigit()).then_some(())?;
    text.as_bytes().chunks(2).map(digit).collect()
}

/// Every other byte than letters and digits is `%xx` in names of Prosody's folders and files.
fn name_of(path: &Path) -> String {
    let bytes = percent(&path.file_name().unwrap_or_default().to_string_lossy());
    String::from_utf8_lossy(&bytes).chars().filter(|c| !c.is_control()).take(1023).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use jitsi_xmpp::entropy::SeededEntropy;

    use super::*;

    fn read(text: &str) -> Option<(AccountRecord, bool)> {
        account(&lua::table(&format!("return {{ {text} }};")).unwrap(), &mut SeededEntropy::new(1))
    }

    /// Keys as Prosody makes them of `geheim`: the salt is a text, and the rounds are 4,096.
    fn prosody_s(hash: Hash) -> String {
        let salt = "c87b2c2f-22a8-4d1f-9aa2-b6b5c2d61f50";
        let made = Credentials::derive(hash, "geheim", salt.as_bytes(), 4096.try_into().unwrap());
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        format!(
            "[\"salt\"] = \"{salt}\"; [\"iteration_count\"] = 4096; [\"stored_key\"] = \"{}\"; [\"server_key\"] = \"{}\"; [\"created\"] = 1795386402.8; [\"updated\"] = 1795386500",
            hex(made.stored_key.reveal()),
            hex(made.server_key.reveal())
        )
    }

    fn lets_in(record: &AccountRecord, password: &str) -> bool {
        let proof = prosody_core::Proof::Password(Sensitive::new(password.to_owned()));
        record.answer(&proof) == prosody_core::AccountAnswer::Right
    }

    #[test]
    fn keys_are_taken_over_and_passwords_become_keys() {
        for hash in [Hash::Sha1, Hash::Sha256] {
            let (record, plain) = read(&prosody_s(hash)).unwrap();
            assert!(!plain && lets_in(&record, "geheim") && !lets_in(&record, "Geheim"));
            assert_eq!(
                (record.created, record.changed, record.disabled),
                (1_795_386_402, 1_795_386_500, false)
            );
        }
        let (record, plain) = read("password = \"pa\\195\\164ss\\\"\"").unwrap();
        assert!(plain && lets_in(&record, "pa\u{e4}ss\"") && record.has(Hash::Sha256));
        assert!(!record.text().reveal().contains("ss\""));
        for (text, disabled) in [("true", true), ("false", false), ("nil", false), ("\"yes\"", true)] {
            let (record, _) = read(&format!("{}; disabled = {text}", prosody_s(Hash::Sha1))).unwrap();
            assert_eq!(record.disabled, disabled, "{text}");
        }
    }

    #[test]
    fn what_is_neither_is_not_understood() {
        let good = prosody_s(Hash::Sha1);
        for odd in [
            good.replace("4096", "1"),
            good.replace("4096", "\"4096\""),
            good.replace("salt", "pepper"),
            good.replacen("stored_key\"] = \"", "stored_key\"] = \"zz", 1),
            good.replacen("server_key\"] = \"", "server_key\"] = \"00", 1),
            "password = \"\"".to_owned(),
            String::new(),
        ] {
            assert!(read(&odd).is_none(), "{odd}");
        }
    }

    #[test]
    fn people_are_found_by_the_names_of_folders_and_files() {
        let data = std::env::temp_dir().join(format!("plausch-prosody-{}", std::process::id()));
        let _ = fs::remove_dir_all(&data);
        for (file, text) in [
            ("meet%2eex%2dample/accounts/anna%2em%c3%bcller.dat", prosody_s(Hash::Sha1)),
            ("meet%2eex%2dample/accounts/odd.dat", "x".to_owned()),
            ("meet%2eex%2dample/roster/anna.dat", String::new()),
            ("auth%2emeet%2eex%2dample/accounts/focus.dat", prosody_s(Hash::Sha1)),
            ("empty%2eexample/accounts/note.txt", String::new()),
        ] {
            let path = data.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("return {{ {text} }};")).unwrap();
        }
        let tree = Tree::of(std::slice::from_ref(&data));
        let found = look(&tree, &data, &mut SeededEntropy::new(1), is_people_s);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].name.as_str(), found[0].plain, found[0].odd.len()), ("meet.ex-ample", 0, 1));
        assert_eq!(found[0].accounts[0].0.as_str(), "anna.m\u{fc}ller@meet.ex-ample");
        let all = look(&tree, &data, &mut SeededEntropy::new(1), |_| true);
        assert_eq!(all.len(), 2, "{all:?}");
        fs::remove_dir_all(data).unwrap();
    }
}
