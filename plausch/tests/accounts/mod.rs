//! Accounts from outside: made with the commands while the server runs, and logged in with over BOSH.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::commands::folder;
use crate::running::{Whole, plausch};

/// A server on whose main host people have accounts, in a folder of its own.
struct Town {
    at: PathBuf,
    whole: Whole,
}

impl Town {
    fn new(name: &str) -> Self {
        let at = folder(name);
        let state = at.join("state");
        fs::write(at.join("plausch.toml"), format!("state.dir = {state:?}\nlogin.required = true\n"))
            .unwrap();
        let config = at.join("plausch.toml");
        let whole = Whole::start(|c| {
            c.arg("--config").arg(&config);
        });
        Self { at, whole }
    }

    fn user(&self, args: &[&str], password: &str) -> (Option<i32>, String) {
        let mut c = plausch();
        c.arg("user").args(args).arg("--config").arg(self.at.join("plausch.toml"));
        typed(&mut c, password)
    }

    fn prosodyctl(&self, args: &[&str], password: &str) -> (Option<i32>, String) {
        let mut c = plausch();
        c.arg0("/usr/bin/prosodyctl").args(["--config", "/etc/prosody/prosody.cfg.lua"]).args(args);
        c.env("PLAUSCH_CONFIG", self.at.join("plausch.toml"));
        typed(&mut c, password)
    }

    /// Logs in with name and password over the web front; what the server says.
    fn log_in(&self, name: &str, password: &str) -> String {
        let open = "<body xmlns='http://jabber.org/protocol/httpbind' rid='1' to='meet.jitsi' wait='5' hold='1' ver='1.6' xml:lang='en' xmlns:xmpp='urn:xmpp:xbosh' xmpp:version='1.0' content='text/xml; charset=utf-8'/>";
        let opened = bosh(self.whole.http, open);
        let sid = opened.split("sid=").nth(1).unwrap()[1..].split(['\'', '"']).next().unwrap().to_owned();
        let plain = STANDARD.encode(format!("\0{name}\0{password}"));
        bosh(
            self.whole.http,
            &format!(
                "<body xmlns='http://jabber.org/protocol/httpbind' rid='2' sid='{sid}'><auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth></body>"
            ),
        )
    }

    fn lets_in(&self, name: &str, password: &str) -> bool {
        let said = self.log_in(name, password);
        assert!(said.contains("<success") || said.contains("<failure"), "{said}");
        said.contains("<success")
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.at);
    }
}

fn typed(command: &mut Command, text: &str) -> (Option<i32>, String) {
    let mut it = command.stdin(Stdio::piped()).spawn().unwrap();
    // Who asks for nothing does not read it.
    let _ = it.stdin.take().unwrap().write_all(text.as_bytes());
    let Output { status, stdout, stderr } = it.wait_with_output().unwrap();
    (status.code(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

fn bosh(to: SocketAddr, body: &str) -> String {
    let mut c = TcpStream::connect(to).unwrap();
    let length = body.len();
    write!(c, "POST /http-bind HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\ncontent-type: text/xml\r\ncontent-length: {length}\r\n\r\n{body}").unwrap();
    let mut text = String::new();
    c.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn an_account_counts_from_the_moment_it_is_made_until_it_is_disabled() {
    let town = Town::new("accounts");
    assert!(!town.lets_in("anna", "geheim"), "nobody yet");
    let (code, said) = town.user(&["add", "anna", "--password-file", "-"], "geheim\n");
    assert_eq!(code, Some(0), "{said}");
    assert!(town.lets_in("anna", "geheim") && !town.lets_in("anna", "Geheim"));
    assert_eq!(town.user(&["passwd", "anna", "--password-file", "-"], "anders").0, Some(0));
    assert!(town.lets_in("anna", "anders") && !town.lets_in("anna", "geheim"));
    assert_eq!(town.user(&["disable", "anna"], "").0, Some(0));
    assert!(town.log_in("anna", "anders").contains("<account-disabled/>"));
    assert_eq!(town.user(&["enable", "anna"], "").0, Some(0));
    assert!(town.lets_in("anna", "anders"));
    assert_eq!(town.user(&["list"], "").1.lines().next(), Some("anna@meet.jitsi"));
    let file = town.at.join("state/accounts/meet.jitsi/anna.account");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    let text = fs::read_to_string(&file).unwrap();
    assert!(!text.contains("anders") && !text.contains(&STANDARD.encode("anders")), "{text}");
    assert_eq!(town.user(&["del", "anna"], "").0, Some(0));
    assert!(!town.lets_in("anna", "anders"));
}

#[test]
fn old_howtos_for_prosodyctl_work_with_their_exit_codes() {
    let town = Town::new("prosodyctl");
    let ask = |args: &[&str]| town.prosodyctl(args, "");
    assert_eq!(ask(&["register", "anna", "meet.jitsi", "geheim"]).0, Some(0));
    assert!(town.lets_in("anna", "geheim"));
    let (code, said) = ask(&["register", "anna", "meet.jitsi", "anders"]);
    assert!(code == Some(1) && said.contains("there already"), "{said}");
    assert_eq!(ask(&["register", "anna", "meet.example", "geheim"]).0, Some(1), "no such host");
    assert_eq!(ask(&["shell", "user", "password", "anna@meet.jitsi", "anders"]).0, Some(0));
    assert!(town.lets_in("anna", "anders"));
    assert_eq!(ask(&["shell", "user", "create", "emil@meet.jitsi", "geheim"]).0, Some(0));
    let (code, said) = ask(&["shell", "user", "list", "meet.jitsi"]);
    assert_eq!((code, said.as_str()), (Some(0), "anna@meet.jitsi\nemil@meet.jitsi\n"));
    assert_eq!(ask(&["unregister", "anna", "meet.jitsi"]).0, Some(0));
    assert_eq!(ask(&["deluser", "anna@meet.jitsi"]).0, Some(1), "gone already");
    assert!(!town.lets_in("anna", "anders") && town.lets_in("emil", "geheim"));
    assert_eq!(ask(&["mod_roster_command", "subscribe_both", "a", "b"]), (Some(0), String::new()));
    let (code, said) = ask(&["adduser", "lena@meet.jitsi"]);
    assert!(code != Some(0) && said.contains("--password-file") && said.lines().count() == 1, "{said}");
    let (code, said) = ask(&["shell", "muc", "list", "muc.meet.jitsi"]);
    assert!(code == Some(1) && said.contains("admin.token_file"), "the server takes no changes: {said}");
}

/// An admin is root, and the server is not.
#[test]
fn what_root_makes_belongs_to_the_server_s_user_and_links_lead_nowhere() {
    let town = folder("accounts-root");
    let state = town.join("state");
    fs::create_dir(&state).unwrap();
    if std::os::unix::fs::chown(&state, Some(65_534), Some(65_534)).is_err() {
        // Not root: then there is nobody to be taken for.
        return;
    }
    fs::set_permissions(&town, fs::Permissions::from_mode(0o755)).unwrap();
    let add = |name: &str| {
        let mut c = plausch();
        c.args(["user", "add", name, "--password-file", "-", "--state"]).arg(&state);
        typed(&mut c, "geheim")
    };
    let (code, said) = add("anna");
    assert_eq!(code, Some(0), "{said}");
    use std::os::unix::fs::MetadataExt as _;
    let file = state.join("accounts/meet.jitsi/anna.account");
    let of = fs::metadata(&file).unwrap();
    assert_eq!((of.uid(), of.gid(), of.mode() & 0o777), (65_534, 65_534, 0o600));
    // What the server's user may do leads root nowhere.
    let away = town.join("away");
    fs::create_dir(&away).unwrap();
    fs::remove_dir_all(state.join("accounts/meet.jitsi")).unwrap();
    std::os::unix::fs::symlink(&away, state.join("accounts/meet.jitsi")).unwrap();
    let (code, said) = add("emil");
    assert!(code != Some(0), "{said}");
    assert_eq!(fs::read_dir(&away).unwrap().count(), 0);
    fs::remove_dir_all(&town).unwrap();
}

/// Somebody in a browser: a BOSH session, bound.
struct Person<'a> {
    town: &'a Secure,
    sid: String,
    rid: u32,
    jid: String,
}

/// The secure domain, from docker-jitsi-meet's variables.
struct Secure {
    at: PathBuf,
    whole: Whole,
}

impl Drop for Secure {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.at);
    }
}

impl<'a> Person<'a> {
    /// Logs in on a host, with a password or without; the answer if it fails.
    fn log_in(town: &'a Secure, host: &str, account: Option<(&str, &str)>) -> Result<Self, String> {
        let open = format!(
            "<body xmlns='http://jabber.org/protocol/httpbind' rid='1' to='{host}' wait='5' hold='1' ver='1.6' xml:lang='en' xmlns:xmpp='urn:xmpp:xbosh' xmpp:version='1.0' content='text/xml; charset=utf-8'/>"
        );
        let opened = bosh(town.whole.http, &open);
        let Some(sid) = opened.split("sid=").nth(1) else { return Err(opened) };
        let sid = sid[1..].split(['\'', '"']).next().unwrap().to_owned();
        let mut it = Self { town, sid, rid: 1, jid: String::new() };
        let auth = match account {
            Some((name, password)) => {
                let plain = STANDARD.encode(format!("\0{name}\0{password}"));
                format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>")
            }
            None => "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>".to_owned(),
        };
        let said = it.say(&auth, "");
        let said = it.until(said, &["<success", "<failure"]);
        if !said.contains("<success") {
            return Err(said);
        }
        let said = it.say("", &format!("to='{host}' xmpp:restart='true' xmlns:xmpp='urn:xmpp:xbosh'"));
        it.until(said, &["<bind"]);
        let bound = it.say("<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>", "");
        let bound = it.until(bound, &["<jid>"]);
        it.jid = bound.split("<jid>").nth(1).unwrap().split('<').next().unwrap().to_owned();
        Ok(it)
    }

    fn say(&mut self, stanza: &str, more: &str) -> String {
        self.rid += 1;
        let (rid, sid) = (self.rid, &self.sid);
        bosh(
            self.town.whole.http,
            &format!(
                "<body xmlns='http://jabber.org/protocol/httpbind' rid='{rid}' sid='{sid}' {more}>{stanza}</body>"
            ),
        )
    }

    /// What was said, and what is said after it until one of these is in it: an answer may come with a later request.
    fn until(&mut self, mut said: String, wanted: &[&str]) -> String {
        for _ in 0..20 {
            if wanted.iter().any(|w| said.contains(w)) {
                return said;
            }
            said += &self.say("", "");
        }
        panic!("none of {wanted:?}: {said}");
    }

    /// Asks for a conference and waits for the answer.
    fn ask(&mut self, room: &str, attributes: &str) -> String {
        let said = self.say(&format!("<iq xmlns='jabber:client' type='set' id='c{}' to='focus.meet.jitsi'><conference xmlns='http://jitsi.org/protocol/focus' room='{room}@muc.meet.jitsi' {attributes}/></iq>", self.rid), "");
        self.until(said, &["<conference", "<error"])
    }

    /// Joins, until something about oneself comes back.
    fn join(&mut self, room: &str) -> String {
        let nick = self.jid.chars().take(8).collect::<String>();
        let said = self.say(&format!("<presence xmlns='jabber:client' to='{room}@muc.meet.jitsi/{nick}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"), "");
        self.until(said, &["status code='110'", "status code=\"110\"", "<error"])
    }
}

#[test]
fn in_a_secure_domain_a_guest_waits_until_a_member_has_logged_in_and_opened_the_room() {
    let at = folder("secure");
    let state = at.join("state");
    let whole = Whole::start(|c| {
        c.args(["--state", state.to_str().unwrap()]);
        c.env("ENABLE_AUTH", "1").env("ENABLE_GUESTS", "1").env("AUTH_TYPE", "internal");
    });
    let town = Secure { at, whole };
    let mut add = plausch();
    add.args(["user", "add", "anna", "--password-file", "-", "--state"]).arg(&state).env("ENABLE_AUTH", "1");
    let (code, said) = typed(&mut add, "geheim");
    assert!(code == Some(0) && said.lines().count() == 1, "{said}");
    let config = crate::running::get(town.whole.http, "/config.js").unwrap();
    for line in ["\"anonymousdomain\": \"guest.meet.jitsi\"", "\"authdomain\": \"meet.jitsi\""] {
        assert!(config.contains(line), "{config}");
    }
    assert!(!config.contains("conferenceRequestUrl"), "over HTTP nobody has logged in");

    let said = Person::log_in(&town, "meet.jitsi", None).err().unwrap();
    assert!(said.contains("<invalid-mechanism/>"), "nobody comes in there without an account: {said}");
    let mut guest = Person::log_in(&town, "guest.meet.jitsi", None).unwrap();
    let features = guest.say("<iq xmlns='jabber:client' type='get' id='d' to='meet.jitsi'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>", "");
    let features = guest.until(features, &["<query"]);
    assert!(features.contains("speakerstats.meet.jitsi"), "a guest learns what there is: {features}");
    let refused = guest.ask("rathaus", "machine-uid='b1'");
    assert!(refused.contains("<not-authorized"), "{refused}");
    let refused = guest.join("rathaus");
    assert!(refused.contains("<not-allowed"), "nor by the back door: {refused}");
    let body = r#"{"room":"rathaus@muc.meet.jitsi","properties":{}}"#;
    assert!(crate::commands::post(town.whole.http, "/conference-request/v1", body).contains(" 403 "));

    // The dialogue of the web app logs in over a second connection, and goes on with the first.
    assert!(Person::log_in(&town, "meet.jitsi", Some(("anna", "falsch"))).is_err());
    let mut anna = Person::log_in(&town, "meet.jitsi", Some(("anna", "geheim"))).unwrap();
    assert!(anna.jid.starts_with("anna@meet.jitsi/"), "{}", anna.jid);
    let opened = anna.ask("rathaus", "machine-uid='b2'");
    assert!(opened.contains("ready=\"true\"") || opened.contains("ready='true'"), "{opened}");
    assert!(opened.contains("session-id="), "{opened}");
    let let_in = guest.ask("rathaus", "machine-uid='b1'");
    assert!(let_in.contains("ready=") && !let_in.contains("<error"), "{let_in}");
    let joined = guest.join("rathaus");
    assert!(joined.contains("affiliation=\"none\"") && !joined.contains("<error"), "{joined}");
}
