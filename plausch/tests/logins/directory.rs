//! People log in with accounts of a directory: Debian's OpenLDAP, with TLS from the start, begun, and without; over a WebSocket of
//! the built program, by docker-jitsi-meet's variables.

use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::log_in;
use crate::running::{Whole, free};

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
        let at = std::env::temp_dir().join(format!("plausch-ldap-{}", std::process::id()));
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
