//! People whom an access manager has shut out: who is asked about whom, who waits for it, and what becomes of whom.

use std::time::Duration;

use budget::Network;
use jitsi_xmpp::Sensitive;
use prosody_core::limits::access;
use prosody_core::{
    AccessManager, Answer, ConnId, Counter, Output, Question, QuestionId, SessionQuery, Transport,
};
use serde_json::json;

use crate::rig::{OPEN, Rig, name};
use crate::tokens::{token_with, with_both};

const AUTH: &[u8] = br#"<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="ANONYMOUS"/>"#;

fn rig() -> Rig {
    with_both(
        |s| s.allow_empty = true,
        |c| {
            name(c, &["muc_auth_ban"]);
            c.access_managers.push(AccessManager {
                domain: "meet.jitsi".into(),
                url: Sensitive::new("https://access.example/asked?by=us".into()),
                tenants: "vpaas-magic-cookie-".into(),
            });
        },
    )
}

/// Somebody of a tenant about whose people is asked. `n`: another token each.
fn somebody(n: u64) -> SessionQuery {
    let query = token_with(&json!({ "jti": n }));
    SessionQuery { prefix: Some(Sensitive::new("vpaas-magic-cookie-1".into())), ..query }
}

fn login(rig: &mut Rig, query: SessionQuery) -> (ConnId, String) {
    let conn = rig.open(Transport::WebSocket, query);
    rig.raw(conn, OPEN.as_bytes());
    rig.take_raw(conn);
    rig.raw(conn, AUTH);
    (conn, rig.take_raw(conn).concat())
}

fn asked(rig: &mut Rig) -> Vec<(QuestionId, Question)> {
    let of = |o| match o {
        Output::Ask { id, question } => Some((id, *question)),
        _ => None,
    };
    std::mem::take(&mut rig.other).into_iter().filter_map(of).collect()
}

fn says(status: u16, body: &str) -> Answer {
    Answer::Response { status, body: Sensitive::new(body.as_bytes().to_vec()) }
}

#[test]
fn whom_the_access_manager_shuts_out_cannot_log_in_and_is_not_asked_about_again_for_a_while() {
    let mut rig = rig();
    let query = somebody(1);
    let (conn, back) = login(&mut rig, query.clone());
    assert!(back.is_empty(), "a login waits for the answer: {back}");
    let all = asked(&mut rig);
    let [(id, question)] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!(
        (question.method, question.url.reveal().as_str()),
        ("GET", "https://access.example/asked?by=us")
    );
    let bearer = format!("Bearer {}", query.token.as_ref().unwrap().reveal());
    assert_eq!(question.headers, [("authorization", Sensitive::new(bearer))]);
    rig.hear(*id, &says(200, r#"{"access": false}"#));
    let back = rig.take_raw(conn).concat();
    assert!(back.contains("<not-allowed/><text>user is banned</text>"), "{back}");
    assert_eq!(rig.server.counters().count(Counter::AccessRefused), 1);
    rig.raw(conn, AUTH);
    assert!(rig.take_raw(conn).concat().contains("user is banned"));
    // Nor on another page, where nobody would be asked.
    let elsewhere = SessionQuery { prefix: None, ..query.clone() };
    assert!(login(&mut rig, elsewhere).1.contains("user is banned") && asked(&mut rig).is_empty());
    rig.advance(access::BANNED);
    let (_, back) = login(&mut rig, query);
    assert!(back.is_empty() && asked(&mut rig).len() == 1, "later it is asked about again: {back}");
}

#[test]
fn only_people_with_a_token_of_those_tenants_are_asked_about_and_nobody_else_waits() {
    let mut rig = rig();
    let (waiting, _) = login(&mut rig, somebody(1));
    assert_eq!(asked(&mut rig).len(), 1);
    let of_town = SessionQuery { prefix: Some(Sensitive::new("town".into())), ..token_with(&json!({})) };
    for query in [SessionQuery::default(), token_with(&json!({})), of_town] {
        assert!(login(&mut rig, query).1.starts_with("<success"));
    }
    assert!(asked(&mut rig).is_empty());
    // What the token says counts as well: a page without a tenant is no way past it.
    let (_, back) = login(&mut rig, token_with(&json!({ "sub": "vpaas-magic-cookie-1" })));
    assert!(back.is_empty() && asked(&mut rig).len() == 1);
    assert!(rig.take_raw(waiting).is_empty());
}

#[test]
fn compat_an_access_manager_that_does_not_say_no_lets_people_in() {
    let mut rig = rig();
    let answers = [
        says(200, r#"{"access": true}"#),
        says(200, r#"{"access": "false"}"#),
        says(200, "not-valid-json"),
        says(500, r#"{"access": false}"#),
        Answer::Unreachable,
        Answer::Late,
    ];
    for (n, answer) in (1..).zip(answers) {
        let (conn, _) = login(&mut rig, somebody(n));
        let (id, _) = asked(&mut rig).remove(0);
        rig.hear(id, &answer);
        assert!(rig.take_raw(conn).concat().starts_with("<success"), "{answer:?}");
        assert!(asked(&mut rig).is_empty(), "nobody is asked twice");
    }
    assert_eq!(rig.server.counters().count(Counter::AccessUnanswered), 4);
}

#[test]
fn who_goes_or_gives_up_while_it_waits_leaves_nothing() {
    let mut rig = rig();
    let (gone, _) = login(&mut rig, somebody(1));
    let (given_up, _) = login(&mut rig, somebody(2));
    rig.lose(gone);
    rig.raw(given_up, br#"<abort xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>"#);
    assert!(rig.take_raw(given_up).concat().contains("<aborted/>"));
    for (id, _) in asked(&mut rig) {
        rig.hear(id, &says(200, r#"{"access": true}"#));
    }
    assert!(rig.take_raw(given_up).is_empty(), "nobody comes in who has given up");
    let (impatient, _) = login(&mut rig, somebody(3));
    rig.raw(impatient, AUTH);
    assert!(rig.closed.contains_key(&impatient), "until then there is nothing to say");
}

#[test]
fn one_address_asks_so_many_questions_at_once_and_not_one_more_and_others_theirs() {
    let mut rig = rig();
    let from =
        |n: u64, last: u8| SessionQuery { peer: Some(Network::of([192, 0, 2, last].into())), ..somebody(n) };
    let most = access::PER_ADDRESS as u64;
    for n in 0..most {
        assert!(login(&mut rig, from(n, 1)).1.is_empty(), "{n}");
    }
    assert!(login(&mut rig, from(most, 1)).1.contains("<temporary-auth-failure/>"));
    assert!(login(&mut rig, from(most, 2)).1.is_empty());
    let all = asked(&mut rig);
    assert_eq!(all.len() as u64, most + 1);
    rig.hear(all[0].0, &Answer::Late);
    assert!(login(&mut rig, from(most + 1, 1)).1.is_empty(), "one is answered");
}

#[test]
fn all_addresses_together_ask_so_many_questions_and_there_is_something_for_who_comes_new() {
    let mut rig = rig();
    let mut n = 0;
    let mut waits = |rig: &mut Rig, last: u8| {
        n += 1;
        let peer = Some(Network::of([192, 0, 2, last].into()));
        login(rig, SessionQuery { peer, ..somebody(n) }).1.is_empty()
    };
    let mut open = 0;
    for last in 1..=15 {
        open += (0..=access::PER_ADDRESS).take_while(|_| waits(&mut rig, last)).count();
    }
    assert!((access::IN_ALL / 2..=access::IN_ALL).contains(&open), "{open}");
    assert_eq!(asked(&mut rig).len(), open);
    assert!(waits(&mut rig, 200));
}

#[test]
fn so_many_who_were_shut_out_are_remembered_and_of_one_more_is_asked_again() {
    let mut rig = rig();
    let most = access::REMEMBERED as u64;
    for n in 0..=most {
        let (conn, _) = login(&mut rig, somebody(n));
        let (id, _) = asked(&mut rig).remove(0);
        rig.hear(id, &says(200, r#"{"access": false}"#));
        rig.lose(conn);
    }
    assert!(login(&mut rig, somebody(1)).1.contains("user is banned"));
    assert!(
        login(&mut rig, somebody(0)).1.is_empty() && asked(&mut rig).len() == 1,
        "the oldest is forgotten"
    );
    assert!(access::DEADLINE < Duration::from_secs(60), "before a login is given up");
}
