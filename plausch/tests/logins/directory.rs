//! People log in with accounts of a directory: Debian's OpenLDAP, with TLS from the start, begun, and without; over a WebSocket of
//! the built program, by docker-jitsi-meet's variables.

use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::log_in;
use crate::running::{Whole, free};
use crate::tab::{ANONYMOUS, Tab};

/// A directory in a folder of its own.
struct OpenLdap {
    at: PathBuf,
    plain: u16,
    tls: u16,
    program: Child,
}

const CONFIG: &str = "include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile AT/pid
TLSCertificateFile AT/cert.pem
TLSCertificateKeyFile AT/key.pem
database mdb
suffix \"dc=town\"
directory AT/data
rootdn \"cn=admin,dc=town\"
rootpw alles
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact=\"cn=reader,dc=town\" read by * none
";

const PEOPLE: &str = "dn: dc=town
objectClass: dcObject
objectClass: organization
o: town
dc: town

dn: cn=reader,dc=town
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: lesen

dn: uid=anna,dc=town
objectClass: inetOrgPerson
uid: anna
cn: Anna
sn: A
title: council
userPassword: geheim

dn: cn=chairs,dc=town
objectClass: groupOfNames
cn: chairs
member: uid=anna,dc=town

dn: uid=bert,dc=town
objectClass: inetOrgPerson
uid: bert
cn: Bert
sn: B
title: guest
userPassword: geheim
";

impl OpenLdap {
    /// `None`: there is none on this machine.
    fn start() -> Option<Self> {
        if !std::path::Path::new("/usr/sbin/slapd").exists() {
            eprintln!("skipped: there is no slapd on this machine; `cargo xtask test` installs it");
            return None;
        }
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("plausch-ldap-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let at = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&at);
        fs::create_dir_all(at.join("data")).unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        fs::write(at.join("cert.pem"), made.cert.pem()).unwrap();
        fs::write(at.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        let config = at.join("slapd.conf");
        fs::write(&config, CONFIG.replace("AT", at.to_str().unwrap())).unwrap();
        fs::write(at.join("people.ldif"), PEOPLE).unwrap();
        let run = |program: &str| {
            let mut c = Command::new(format!("/usr/sbin/{program}"));
            c.arg("-f").arg(&config).stdin(Stdio::null()).stderr(Stdio::piped());
            c
        };
        let filled = run("slapadd").arg("-l").arg(at.join("people.ldif")).output();
        let filled = filled.unwrap();
        assert!(filled.status.success(), "{}", String::from_utf8_lossy(&filled.stderr));
        let [plain, tls, ..] = free().map(|a| a.port());
        let urls = format!("ldap://127.0.0.1:{plain}/ ldaps://127.0.0.1:{tls}/");
        // With any level it stays in the foreground.
        let program = run("slapd").args(["-h", &urls, "-d", "0"]).stderr(Stdio::null()).spawn().unwrap();
        let it = Self { at, plain, tls, program };
        let end = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", tls)).is_err() {
            assert!(Instant::now() < end, "the directory does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(it)
    }
}

impl Drop for OpenLdap {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
        let _ = fs::remove_dir_all(&self.at);
    }
}

fn town(variables: &[(&str, &str)]) -> Whole {
    Whole::start(|c| {
        c.env("ENABLE_AUTH", "1").env("AUTH_TYPE", "ldap").env("LDAP_BASE", "dc=town");
        c.env("LDAP_BINDDN", "cn=reader,dc=town").env("LDAP_BINDPW", "lesen");
        c.envs(variables.iter().copied());
    })
}

/// What the server says to a name and a password.
async fn says(town: &Whole, name: &str, password: &str) -> String {
    let plain = STANDARD.encode(format!("\0{name}\0{password}"));
    let auth = format!(r#"<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">{plain}</auth>"#);
    match log_in(town.http, "", &auth).await {
        Ok(_) => "in".to_owned(),
        Err(said) => said,
    }
}

#[tokio::test]
async fn people_log_in_with_accounts_of_a_directory() {
    let Some(directory) = OpenLdap::start() else { return };
    let root = directory.at.join("cert.pem").to_str().unwrap().to_owned();
    let plain = format!("ldap://127.0.0.1:{}", directory.plain);
    let begun = format!("ldap://localhost:{}", directory.plain);
    let tls = format!("ldap://127.0.0.1:1 ldaps://localhost:{}", directory.tls);
    for variables in [
        &[("LDAP_URL", plain.as_str())][..],
        &[("LDAP_URL", &begun), ("LDAP_START_TLS", "1"), ("LDAP_TLS_CACERT_FILE", &root)],
        &[("LDAP_URL", &tls), ("LDAP_TLS_CACERT_FILE", &root)],
        &[("LDAP_URL", &tls), ("LDAP_TLS_CHECK_PEER", "0")],
    ] {
        let town = town(variables);
        assert_eq!(says(&town, "anna", "geheim").await, "in", "{variables:?}");
        assert_eq!(says(&town, "Anna", "geheim").await, "in", "names of people have no case");
        for (name, password) in [("anna", "falsch"), ("anna", ""), ("karl", "geheim"), ("*", "geheim")] {
            let said = says(&town, name, password).await;
            assert!(said.contains("<failure"), "{name}: {said}");
        }
    }
}

/// Logs in on this host; for a guest without a password.
async fn come(town: &Whole, domain: &str, account: Option<&str>) -> Tab {
    let plain = account.map(|name| STANDARD.encode(format!("\0{name}\0geheim")));
    let auth = plain.map_or_else(
        || ANONYMOUS.to_owned(),
        |p| format!(r#"<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">{p}</auth>"#),
    );
    Tab::log_in(town.http, domain, "room=rathaus", &auth).await.unwrap()
}

/// Asks for the meeting; the session that the answer names.
async fn ask(tab: &mut Tab, browser: &str, session: Option<&str>) -> Option<String> {
    let session = session.map(|s| format!("session-id=\"{s}\"")).unwrap_or_default();
    tab.say(&format!(r#"<iq xmlns="jabber:client" type="set" id="c" to="focus.meet.jitsi"><conference xmlns="http://jitsi.org/protocol/focus" room="rathaus@muc.meet.jitsi" machine-uid="{browser}" {session}/></iq>"#)).await;
    let said = tab.until("id=\"c\"").await;
    assert!(said.contains("ready=\"true\""), "{said}");
    Some(said.split("session-id=\"").nth(1)?.split('"').next()?.to_owned())
}

async fn join(tab: &mut Tab, nick: &str) -> String {
    tab.say(&format!(r#"<presence xmlns="jabber:client" to="rathaus@muc.meet.jitsi/{nick}"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#)).await;
    tab.until("code=\"110\"").await
}

#[tokio::test]
async fn who_is_in_the_group_of_moderators_moderates_and_the_others_only_open_meetings() {
    let Some(directory) = OpenLdap::start() else { return };
    let url = format!("ldap://127.0.0.1:{}", directory.plain);
    for moderators in ["cn=chairs,dc=town", "(title=council)"] {
        let town =
            town(&[("LDAP_URL", &url), ("ENABLE_GUESTS", "1"), ("PLAUSCH_LDAP_MODERATORS", moderators)]);
        // He opens the meeting, once as himself and once as the app does it: logged in beside, a guest in the room.
        let mut bert = come(&town, "meet.jitsi", Some("bert")).await;
        let session = ask(&mut bert, "b1", None).await.unwrap();
        assert!(join(&mut bert, "bert0001").await.contains("affiliation=\"none\""));
        let mut guest = come(&town, "guest.meet.jitsi", None).await;
        ask(&mut guest, "b1", Some(&session)).await;
        assert!(join(&mut guest, "bert0002").await.contains("affiliation=\"none\""));
        // She is an owner from her first presence on; or, as a guest, once the focus has said so.
        let mut anna = come(&town, "meet.jitsi", Some("anna")).await;
        let session = ask(&mut anna, "a1", None).await.unwrap();
        assert!(join(&mut anna, "anna0001").await.contains("affiliation=\"owner\""));
        let mut app = come(&town, "guest.meet.jitsi", None).await;
        ask(&mut app, "a1", Some(&session)).await;
        join(&mut app, "anna0002").await;
        guest.until("affiliation=\"owner\"").await;
        let of_the_app =
            |frame: &str| frame.contains("/anna0002\"") && frame.contains("affiliation=\"owner\"");
        let mut last = String::new();
        while !of_the_app(&last) {
            last = guest.until("affiliation=").await;
            assert!(!last.contains("/bert000") || !last.contains("\"owner\""), "{last}");
        }
    }
}

#[tokio::test]
async fn who_is_gone_from_the_directory_goes_from_the_meeting() {
    let Some(mut directory) = OpenLdap::start() else { return };
    let url = format!("ldap://127.0.0.1:{}", directory.plain);
    let town = town(&[("LDAP_URL", &url), ("PLAUSCH_LDAP_RECHECK", "1 second")]);
    let (mut anna, mut bert) =
        (come(&town, "meet.jitsi", Some("anna")).await, come(&town, "meet.jitsi", Some("bert")).await);
    // He is taken away by who may do that.
    let gone = Command::new("ldapdelete")
        .args(["-x", "-H", &url, "-D", "cn=admin,dc=town", "-w", "alles", "uid=bert,dc=town"])
        .output();
    let gone = gone.unwrap();
    assert!(gone.status.success(), "{}", String::from_utf8_lossy(&gone.stderr));
    let said = bert.until("Account deleted").await;
    assert!(said.contains("not-authorized"), "{said}");
    // The directory is away: nobody goes for that.
    let _ = directory.program.kill();
    let _ = directory.program.wait();
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    ask(&mut anna, "a1", None).await.expect("she is still in");
}

#[test]
fn moderators_of_whom_nobody_knows_who_they_are_stop_the_start() {
    for (moderators, method) in
        [("chairs", "bind"), ("(memberOf=x", "bind"), ("cn=chairs,dc=town", "fastbind")]
    {
        let [http, admin, xmpp, media] = free().map(|a| a.to_string());
        let mut c = crate::running::plausch();
        c.args(["--http", &http, "--admin", &admin, "--xmpp", &xmpp, "--media", &media, "--web", "none"]);
        c.env("ENABLE_AUTH", "1").env("AUTH_TYPE", "ldap").env("LDAP_URL", "ldap://127.0.0.1:1");
        c.env("LDAP_BASE", "dc=town").env("LDAP_FILTER", "uid=%u").env("LDAP_AUTH_METHOD", method);
        c.env("PLAUSCH_LDAP_MODERATORS", moderators);
        let out = c.output().unwrap();
        let said = String::from_utf8(out.stderr).unwrap();
        assert!(!out.status.success() && said.contains("login.ldap.moderators"), "{moderators}: {said}");
    }
}

#[tokio::test]
async fn a_directory_that_cannot_be_believed_or_asked_lets_nobody_in() {
    let Some(directory) = OpenLdap::start() else { return };
    let tls = format!("ldaps://localhost:{}", directory.tls);
    for variables in [
        // Its certificate leads to none of the machine's roots.
        &[("LDAP_URL", tls.as_str())][..],
        &[("LDAP_URL", "ldap://127.0.0.1:1")],
    ] {
        let said = says(&town(variables), "anna", "geheim").await;
        assert!(said.contains("<temporary-auth-failure/>"), "{said}");
    }
    let root = directory.at.join("cert.pem").to_str().unwrap().to_owned();
    let council = [
        ("LDAP_URL", tls.as_str()),
        ("LDAP_TLS_CACERT_FILE", &root),
        ("LDAP_FILTER", "(&(uid=%u)(title=council))"),
    ];
    let town = town(&council);
    assert_eq!(says(&town, "anna", "geheim").await, "in");
    assert!(says(&town, "bert", "geheim").await.contains("<not-authorized/>"));
}
