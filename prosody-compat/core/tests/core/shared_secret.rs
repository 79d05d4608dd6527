//! Hosts where everybody who knows a secret logs in, under any name.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jitsi_xmpp::Sensitive;
use jitsi_xmpp::sasl::{Hash, ScramClient};
use prosody_core::{ConnId, Counter, Login, Mechanism, SessionQuery, SharedSecret, Transport, UsersHost};

use crate::rig::{Rig, between};

const DOMAIN: &str = "programs.meet.jitsi";
const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";

fn rig(mechanisms: &[Mechanism]) -> Rig {
    Rig::with(|c| {
        let host = UsersHost {
            domain: DOMAIN.into(),
            login: Login::Accounts,
            mechanisms: mechanisms.to_vec(),
            ..c.hosts.users[0].clone()
        };
        c.hosts.users.push(host);
        let [secret, previous] = ["new secret", "old secret"].map(|s| Sensitive::new(s.to_owned()));
        c.shared_secrets.push(SharedSecret { domain: DOMAIN.into(), secret, previous: Some(previous) });
    })
}

fn stream(rig: &mut Rig) -> (ConnId, String) {
    let conn = rig.open(Transport::WebSocket, SessionQuery::default());
    let open = format!(r#"<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="{DOMAIN}" version="1.0"/>"#);
    rig.raw(conn, open.as_bytes());
    (conn, rig.take_raw(conn).concat())
}

fn say(rig: &mut Rig, conn: ConnId, tag: &str, data: &[u8]) -> String {
    let data = STANDARD.encode(data);
    let end = tag.split(' ').next().unwrap();
    rig.raw(conn, format!(r#"<{tag} xmlns="{SASL}">{data}</{end}>"#).as_bytes());
    rig.take_raw(conn).concat()
}

fn plain(rig: &mut Rig, user: &str, password: &str) -> String {
    let (conn, _) = stream(rig);
    say(rig, conn, r#"auth mechanism="PLAIN""#, format!("\0{user}\0{password}").as_bytes())
}

#[test]
fn any_name_logs_in_with_the_secret_or_the_one_before_and_with_nothing_else() {
    let mut rig = rig(&[Mechanism::Plain]);
    let (_, features) = stream(&mut rig);
    assert!(features.contains("<mechanism>PLAIN</mechanism>") && !features.contains("SCRAM"), "{features}");
    for (user, password, right) in [
        ("anna", "new secret", true),
        ("anybody", "new secret", true),
        ("anna", "old secret", true),
        ("anna", "New secret", false),
        ("anna", "", false),
    ] {
        let back = plain(&mut rig, user, password);
        assert_eq!(back.starts_with("<success"), right, "{user} {password}: {back}");
    }
    assert!(
        rig.other.iter().all(|o| !matches!(o, prosody_core::Output::Account { .. })),
        "nobody else is asked"
    );
}

#[test]
fn an_exchange_proves_the_secret_without_saying_it() {
    let mut rig = rig(&[]);
    for (password, right) in [("new secret", true), ("old secret", false), ("wrong", false)] {
        let (conn, features) = stream(&mut rig);
        assert!(features.contains("<mechanism>SCRAM-SHA-1</mechanism>"), "{features}");
        let client =
            ScramClient::new(Hash::Sha1, "anna", Sensitive::new(password.into()), "fyko+d2lbbFgONRv");
        let challenge = say(&mut rig, conn, r#"auth mechanism="SCRAM-SHA-1""#, &client.first());
        let challenge = STANDARD.decode(between(&challenge, "\">", "<").unwrap()).unwrap();
        let (_, last) = client.respond(&challenge).unwrap();
        let back = say(&mut rig, conn, "response", &last);
        assert_eq!(back.starts_with("<success"), right, "{password}: {back}");
    }
}

#[test]
fn who_guesses_the_secret_waits_whatever_name_it_says() {
    let mut rig = rig(&[Mechanism::Plain]);
    let waits = |rig: &Rig| rig.server.counters().count(Counter::AuthDelayed);
    for n in 0..50 {
        assert!(plain(&mut rig, &format!("name{n}"), "wrong").contains("not-authorized"), "{n}");
    }
    assert_eq!(waits(&rig), 0);
    assert!(plain(&mut rig, "another", "wrong").is_empty() && waits(&rig) == 1);
}

/// Logs in and gets an address.
fn bound(rig: &mut Rig, user: &str, password: &str) -> ConnId {
    let (conn, _) = stream(rig);
    let said = say(rig, conn, r#"auth mechanism="PLAIN""#, format!("\0{user}\0{password}").as_bytes());
    assert!(said.starts_with("<success"), "{said}");
    let open = format!(r#"<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="{DOMAIN}" version="1.0"/>"#);
    rig.raw(conn, open.as_bytes());
    rig.bound(conn).conn
}

#[test]
fn who_came_in_by_a_secret_goes_with_it_and_the_others_stay() {
    let mut rig = rig(&[Mechanism::Plain]);
    let (old, new) = (bound(&mut rig, "anna", "old secret"), bound(&mut rig, "anna", "new secret"));
    let half = stream(&mut rig).0;
    say(&mut rig, half, r#"auth mechanism="PLAIN""#, b"\0ben\0old secret");
    rig.reload(|c| c.shared_secrets[0].previous = Some(Sensitive::new("old secret".into())));
    assert!(rig.closed.is_empty(), "both count as before");
    rig.reload(|c| {
        let next = Sensitive::new("next secret".into());
        c.shared_secrets[0].previous = Some(std::mem::replace(&mut c.shared_secrets[0].secret, next));
    });
    for conn in [old, half] {
        let said = rig.take_raw(conn).concat();
        assert!(said.contains("Password changed") && rig.closed.contains_key(&conn), "{said}");
    }
    assert!(!rig.closed.contains_key(&new), "its secret is the one before now");
    rig.reload(|c| c.shared_secrets.clear());
    assert!(rig.closed.contains_key(&new), "there is none any more");
}
