//! Tokens whose keys are somebody else's: the server asks, the login waits, and nobody else does.

use std::sync::Arc;
use std::time::Duration;

use prosody_core::token::{Answer, Fetch, Hash, Settings, Signer, TokenRules};
use prosody_core::{CloseReason, ConnId, KeyFetchId, Login, Output, SessionQuery, Transport};
use serde_json::{Map, json};

use crate::pair::{another, pair};
use crate::rig::{OPEN, Rig};

const NOW: u64 = 1_795_390_567;

fn rig(change: impl FnOnce(&mut Settings)) -> Rig {
    let mut settings = Settings {
        app_id: Some("town".into()),
        key_server: Some("https://keys.example/asap".into()),
        verify_domain: false,
        ..Settings::default()
    };
    change(&mut settings);
    let mut rig = Rig::with(|c| {
        c.hosts.users[0].login = Login::Token(Arc::new(TokenRules::new(settings).unwrap()));
        c.hosts.rooms[0].modules.push("token_verification".into());
    });
    // Ours are anonymous names of the main host; the roles are as ever.
    rig.other.clear();
    rig
}

fn token(kid: &str) -> SessionQuery {
    let mut claims = Map::new();
    for (name, value) in [("iss", "town"), ("aud", "jitsi"), ("sub", "meet.jitsi"), ("room", "rathaus")] {
        claims.insert(name.into(), value.into());
    }
    claims.insert("exp".into(), (NOW + 600).into());
    let signer = Signer::rsa(Hash::Sha256, &pair().0, kid).unwrap();
    SessionQuery { token: Some(signer.sign(&claims).unwrap()), ..SessionQuery::default() }
}

/// Says who it is; what comes back at once.
fn begin(rig: &mut Rig, query: SessionQuery) -> (ConnId, String) {
    let conn = rig.open(Transport::WebSocket, query);
    rig.raw(conn, OPEN.as_bytes());
    rig.take_raw(conn);
    rig.raw(conn, br#"<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="ANONYMOUS"/>"#);
    let said = rig.take_raw(conn).concat();
    (conn, said)
}

pub fn asked(rig: &mut Rig) -> Vec<(KeyFetchId, Fetch)> {
    let those = rig.other.drain(..).filter_map(|o| match o {
        Output::FetchKey { id, fetch } => Some((id, *fetch)),
        _ => None,
    });
    those.collect()
}

pub fn answer(rig: &mut Rig, id: KeyFetchId, status: u16, body: impl Into<Vec<u8>>) {
    let answer = Answer::Response { status, cache_control: None, body: body.into() };
    rig.hear_key(id, answer);
}

#[test]
fn a_login_waits_for_its_key_and_the_next_one_has_it() {
    let mut rig = rig(|_| {});
    let (anna, said) = begin(&mut rig, token("k1"));
    assert_eq!(said, "", "not yet");
    let (bert, _) = begin(&mut rig, token("k1"));
    let questions = asked(&mut rig);
    let [(id, fetch)] = &questions[..] else { panic!("{questions:?}") };
    assert!(fetch.url.starts_with("https://keys.example/asap/") && fetch.url.ends_with(".pem"), "{fetch:?}");
    answer(&mut rig, *id, 200, pair().1.as_bytes());
    for conn in [anna, bert] {
        assert!(rig.take_raw(conn).concat().starts_with("<success"));
    }
    let (_, said) = begin(&mut rig, token("k1"));
    assert!(said.starts_with("<success"), "{said}");
    assert!(asked(&mut rig).is_empty());
}

#[test]
fn compat_a_key_that_is_not_there_is_said_as_upstream_says_it() {
    let mut rig = rig(|_| {});
    let (conn, _) = begin(&mut rig, token("k1"));
    let (id, _) = asked(&mut rig)[0].clone();
    answer(&mut rig, id, 404, "");
    let said = rig.take_raw(conn).concat();
    assert!(said.contains("<not-allowed/><text>could not obtain public key</text>"), "{said}");
    // Another key under the same name does not open anything.
    let (conn, _) = begin(&mut rig, token("k2"));
    let (id, _) = asked(&mut rig)[0].clone();
    answer(&mut rig, id, 200, another().1);
    assert!(rig.take_raw(conn).concat().contains("Invalid signature"));
}

#[test]
fn a_key_server_that_is_down_delays_only_those_who_need_it() {
    let mut rig = rig(|s| s.allow_empty = true);
    let (conn, said) = begin(&mut rig, token("k1"));
    assert_eq!(said, "");
    let (_, said) = begin(&mut rig, SessionQuery::default());
    assert!(said.starts_with("<success"), "whoever has no token does not wait: {said}");
    let focus = rig.focus();
    assert!(rig.join(&focus).concat().contains("code=\"110\""));
    // Nobody answers, three times; the login is over before its time is.
    let mut tries = 0;
    for _ in 0..60 {
        tries += asked(&mut rig).len();
        rig.advance(Duration::from_secs(1));
        if rig.take_raw(conn).concat().contains("could not obtain public key") {
            assert_eq!(tries, 3);
            return;
        }
    }
    panic!("still waiting");
}

#[test]
fn a_document_of_keys_is_read_before_anybody_comes() {
    let url = "https://login.example/certs?x=1";
    let mut settings = Settings { app_id: Some("town".into()), ..Settings::default() };
    (settings.keys_url, settings.verify_domain) = (Some(url.into()), false);
    let mut rig = Rig::with(|c| {
        c.hosts.users[0].login = Login::Token(Arc::new(TokenRules::new(settings).unwrap()));
    });
    let (_, said) = begin(&mut rig, SessionQuery::default());
    assert!(said.contains("token required"), "{said}");
    let (id, fetch) = asked(&mut rig)[0].clone();
    assert_eq!(fetch.url, url);
    let (anna, said) = begin(&mut rig, token("k1"));
    assert_eq!(said, "", "the document is on its way");
    answer(&mut rig, id, 200, json!({ "k1": pair().1 }).to_string());
    assert!(rig.take_raw(anna).concat().starts_with("<success"));
    // A name that is not in it: it is read again, once, and then that is that.
    rig.advance(Duration::from_secs(61));
    let (bert, _) = begin(&mut rig, token("k9"));
    let (id, _) = asked(&mut rig)[0].clone();
    answer(&mut rig, id, 200, json!({ "k1": pair().1 }).to_string());
    assert!(rig.take_raw(bert).concat().contains("could not obtain public key"));
    let (_, said) = begin(&mut rig, token("k9"));
    assert!(said.contains("could not obtain public key") && asked(&mut rig).is_empty());
}

#[test]
fn whoever_gives_up_waits_no_more_and_may_try_again() {
    let mut rig = rig(|_| {});
    let (conn, _) = begin(&mut rig, token("k1"));
    let (id, _) = asked(&mut rig)[0].clone();
    rig.raw(conn, br#"<abort xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>"#);
    assert!(rig.take_raw(conn).concat().contains("<aborted/>"));
    answer(&mut rig, id, 200, pair().1.as_bytes());
    assert_eq!(rig.take_raw(conn).concat(), "", "nobody waits");
    rig.raw(conn, br#"<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="ANONYMOUS"/>"#);
    assert!(rig.take_raw(conn).concat().starts_with("<success"));
    // An answer to nothing, and one for a connection that is gone.
    answer(&mut rig, KeyFetchId(99), 200, "");
    let (gone, _) = begin(&mut rig, token("k2"));
    let (id, _) = asked(&mut rig)[0].clone();
    rig.lose(gone);
    answer(&mut rig, id, 200, pair().1.as_bytes());
    // Whoever says something else meanwhile is out.
    let (loud, _) = begin(&mut rig, token("k3"));
    rig.raw(loud, br#"<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="ANONYMOUS"/>"#);
    assert_eq!(rig.closed.get(&loud), Some(&CloseReason::StreamError));
}

/// Whoever makes up names of keys has a budget of its own.
#[test]
fn an_address_asks_for_so_many_unknown_keys_and_not_for_one_more() {
    let mut rig = rig(|_| {});
    let peer = budget::Network::of([192, 0, 2, 1].into());
    let from = |n: usize| SessionQuery { peer: Some(peer), ..token(&format!("made-up-{n}")) };
    for n in 0..10 {
        let (_, said) = begin(&mut rig, from(n));
        assert_eq!(said, "", "{n}");
    }
    let (_, said) = begin(&mut rig, from(10));
    assert!(said.contains("could not obtain public key"), "{said}");
    let other = SessionQuery { peer: Some(budget::Network::of([192, 0, 2, 2].into())), ..token("k1") };
    let (_, said) = begin(&mut rig, other);
    assert_eq!(said, "", "a neighbour is not concerned");
    assert_eq!(asked(&mut rig).len(), 11);
}
