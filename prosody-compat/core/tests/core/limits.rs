//! Every limit at its edge and one beyond.

use std::time::Duration;

use prosody_core::{CloseReason, Config, Counter, SessionQuery, Transport};

use crate::rig::{Client, ROOM, Rig};

fn limited(change: impl FnOnce(&mut prosody_core::Limits)) -> Rig {
    Rig::with(|c: &mut Config| change(&mut c.limits))
}

#[test]
fn connections() {
    let mut rig = limited(|l| l.max_connections = 2);
    let conns: Vec<_> = (0..3).map(|_| rig.open(Transport::WebSocket, SessionQuery::default())).collect();
    assert_eq!(rig.closed.len(), 1);
    assert_eq!(rig.closed[&conns[2]], CloseReason::TooMany);
    rig.lose(conns[0]);
    rig.lose(conns[1]);
    rig.assert_empty();
}

#[test]
fn stanza_size() {
    let mut rig = limited(|l| l.max_stanza_bytes = 300);
    let (focus, clients) = rig.meeting(1);
    let message = |bytes: usize| {
        let empty = format!(r#"<message to="{ROOM}" type="groupchat"><body></body></message>"#).len();
        format!(
            r#"<message to="{ROOM}" type="groupchat"><body>{}</body></message>"#,
            "x".repeat(bytes - empty)
        )
    };
    assert_eq!(rig.ask(&clients[0], &message(300)).len(), 1);
    let back = rig.ask(&clients[0], &message(301));
    assert!(back[0].contains("<policy-violation ") && back[0].contains("stanza too large"));
    assert_eq!(rig.server.counters().count(Counter::TooLarge), 1);
    assert_eq!(rig.ask(&focus, &message(3_000)).len(), 1, "roles may send more");
    rig.end(&[&focus, &clients[0]]);
}

#[test]
fn depth_and_elements() {
    let mut rig = limited(|l| (l.max_depth, l.max_elements) = (4, 6));
    let (focus, clients) = rig.meeting(1);
    let c = &clients[0];
    let message = |inner: &str| format!(r#"<message to="{ROOM}" type="groupchat"><body/>{inner}</message>"#);
    assert_eq!(rig.ask(c, &message("<a><b><c/></b></a>")).len(), 1);
    assert!(rig.ask(c, &message("<a><b><c><d/></c></b></a>")).is_empty());
    assert_eq!(rig.ask(c, &message("<a/><a/><a/><a/>")).len(), 1);
    assert!(rig.ask(c, &message("<a/><a/><a/><a/><a/>")).is_empty());
    assert_eq!(rig.server.counters().count(Counter::Malformed), 2);
    rig.end(&[&focus, c]);
}

#[test]
fn malformed_frames() {
    let mut rig = limited(|l| l.max_malformed = 3);
    let c = rig.client();
    for _ in 0..3 {
        assert!(rig.ask(&c, "<message").is_empty());
    }
    assert!(rig.ask(&c, "<message>")[0].contains("<not-well-formed "));
    rig.assert_empty();
}

#[test]
fn failed_logins() {
    let mut rig = limited(|l| l.max_auth_failures = 2);
    let conn = rig.open(Transport::WebSocket, SessionQuery::default());
    rig.raw(conn, crate::rig::OPEN.as_bytes());
    let wrong = br#"<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">AA==</auth>"#;
    rig.raw(conn, wrong);
    assert!(rig.closed.is_empty());
    rig.raw(conn, wrong);
    assert_eq!(rig.closed[&conn], CloseReason::StreamError);
    assert_eq!(rig.server.counters().count(Counter::AuthFailed), 2);
    rig.assert_empty();
}

#[test]
fn unacknowledged_stanzas() {
    let mut rig = limited(|l| l.max_unacked = 3);
    let (focus, clients) = rig.meeting(2);
    let (anna, ben) = (&clients[0], &clients[1]);
    rig.enable(anna);
    rig.lose(anna.conn);
    let chat = format!(r#"<message to="{ROOM}" type="groupchat"><body>x</body></message>"#);
    for _ in 0..3 {
        rig.send(ben, &chat);
    }
    assert_eq!(rig.server.stats().hibernating, 1);
    rig.send(ben, &chat);
    assert_eq!((rig.server.stats().hibernating, rig.server.stats().sessions), (0, 2));
    assert_eq!(rig.server.counters().count(Counter::UnackedOverflow), 1);
    assert!(rig.take(ben).iter().any(|f| f.contains("unavailable")));
    rig.end(&[&focus, ben]);
}

/// Who reads and never acknowledges, and who hibernates, keep what is written in memory.
#[test]
fn unacknowledged_stanzas_of_one_address_are_bounded_and_those_with_most_lose_theirs() {
    let mut rig = limited(|l| l.max_unacked_per_address = 400_000);
    let (_focus, clients) = rig.meeting(2);
    let speaker = &clients[0];
    let from = |peer: &str| SessionQuery {
        room: Some(jitsi_xmpp::Sensitive::new("rathaus".into())),
        peer: peer.parse().ok().map(budget::Network::of),
        ..SessionQuery::default()
    };
    let join = |rig: &mut Rig, peer| {
        let c = rig.client_with(from(peer));
        rig.join(&c);
        rig.enable(&c);
        c
    };
    let greedy: Vec<_> = (0..20).map(|_| join(&mut rig, "192.0.2.1")).collect();
    let chat = |n: usize| {
        format!(r#"<message to="{ROOM}" type="groupchat"><body>{}</body></message>"#, "x".repeat(n))
    };
    // The same for all of them is in memory once: twenty times this would be far too much.
    rig.send(speaker, &chat(120_000));
    rig.send(speaker, &chat(120_000));
    assert_eq!(rig.server.counters().count(Counter::UnackedOverflow), 0);
    let (neighbour, other) = (join(&mut rig, "192.0.2.1"), join(&mut rig, "192.0.2.2"));
    rig.send(speaker, &chat(120_000));
    rig.send(speaker, &chat(120_000));
    assert!(rig.server.counters().count(Counter::UnackedOverflow) >= 20);
    for lost in [&greedy[0], &greedy[19], &neighbour, &other] {
        rig.lose(lost.conn);
    }
    assert_eq!(rig.server.stats().hibernating, 2, "somebody new there, and somebody elsewhere, keep theirs");
}

#[test]
fn rooms_and_rooms_per_client() {
    let mut rig = limited(|l| (l.max_rooms, l.max_rooms_per_client) = (3, 2));
    let focus = rig.focus();
    let join = |rig: &mut Rig, who: &Client, n: usize| {
        rig.ask(who, &format!(r#"<presence to="r{n}@muc.meet.jitsi/{}"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#, who.nick))
    };
    for n in 0..3 {
        assert!(join(&mut rig, &focus, n).len() > 1);
    }
    assert!(join(&mut rig, &focus, 3)[0].contains("resource-constraint"));
    let c = rig.client();
    assert!(join(&mut rig, &c, 0).len() > 1 && join(&mut rig, &c, 1).len() > 1);
    assert!(join(&mut rig, &c, 2)[0].contains("resource-constraint"));
    rig.end(&[&focus, &c]);
}

#[test]
fn occupants() {
    let mut rig = limited(|l| l.max_occupants = 3);
    let (focus, clients) = rig.meeting(2);
    let third = rig.client();
    assert!(rig.join(&third)[0].contains("resource-constraint"));
    rig.leave(&clients[0]);
    assert!(rig.join(&third).len() > 1);
    rig.end(&[&focus, &clients[0], &clients[1], &third]);
}

#[test]
fn participants_by_configuration() {
    let mut rig = Rig::with(|c| c.policy.max_participants = Some(2));
    let (focus, clients) = rig.meeting(2);
    let third = rig.client();
    let back = rig.join(&third);
    assert!(
        back[0].contains(r#"<error type="cancel""#) && back[0].contains("<service-unavailable "),
        "the focus does not count"
    );
    rig.end(&[&focus, &clients[0], &clients[1], &third]);
}

#[test]
fn joins_waiting_for_the_focus() {
    let mut rig = limited(|l| l.max_held_joins = 2);
    let jvb =
        rig.open(Transport::InProcess("jvb@auth.meet.jitsi/x".parse().unwrap()), SessionQuery::default());
    let jvb = Client { conn: jvb, jid: "jvb@auth.meet.jitsi/x".into(), nick: "opener".into() };
    assert!(rig.join(&jvb).is_empty());
    let (a, b) = (rig.client(), rig.client());
    assert!(rig.join(&a).is_empty());
    assert!(rig.join(&a).is_empty(), "who asks again waits once");
    assert!(rig.join(&b)[0].contains("Room creation is restricted"));
    assert_eq!(rig.server.counters().count(Counter::JoinsDropped), 1);
    rig.end(&[&jvb, &a, &b]);
}

#[test]
fn sessions_of_one_nick() {
    let mut rig = limited(|l| l.max_sessions_per_occupant = 2);
    let mut all = Vec::new();
    for n in 0..3 {
        let conn = rig.open(
            Transport::InProcess(format!("jvb@auth.meet.jitsi/{n}").parse().unwrap()),
            SessionQuery::default(),
        );
        rig.raw(conn, br#"<presence to="jvbbrewery@internal-muc.meet.jitsi/a"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#);
        all.push((conn, rig.take_raw(conn)));
    }
    assert!(all[1].1.iter().any(|f| f.contains("110")) && all[2].1[0].contains("<conflict "));
    for (conn, _) in all {
        rig.lose(conn);
    }
    rig.assert_empty();
}

#[test]
fn subject_password_metadata_and_affiliations() {
    let mut rig = limited(|l| {
        (l.max_subject_bytes, l.max_password_bytes, l.max_metadata_bytes, l.max_affiliations) = (3, 3, 20, 2);
    });
    let (focus, clients) = rig.meeting(1);
    let anna = &clients[0];
    rig.grant(&focus, anna);
    let subject =
        |s: &str| format!(r#"<message to="{ROOM}" type="groupchat"><subject>{s}</subject></message>"#);
    assert!(rig.ask(anna, &subject("abc"))[0].contains("<subject>abc"));
    assert!(rig.ask(anna, &subject("abcd"))[0].contains("policy-violation"));
    let lock = |s: &str| {
        format!(
            r#"<iq type="set" id="o" to="{ROOM}"><query xmlns="http://jabber.org/protocol/muc#owner"><x xmlns="jabber:x:data" type="submit"><field var="muc#roomconfig_roomsecret"><value>{s}</value></field></x></query></iq>"#
        )
    };
    assert!(rig.ask(anna, &lock("abc"))[0].contains("result"));
    assert!(rig.ask(anna, &lock("abcd"))[0].contains("policy-violation"));
    let set = |s: &str| {
        format!(
            r#"<message to="metadata.meet.jitsi"><room_metadata xmlns="http://jitsi.org/jitmeet" room="{ROOM}">{{"key":"k","data":"{s}"}}</room_metadata></message>"#
        )
    };
    assert!(rig.ask(anna, &set("123456789012"))[0].contains("metadata.meet.jitsi"));
    assert!(rig.ask(anna, &set("1234567890123"))[0].contains("resource-constraint"));
    let owner = |jid: &str| {
        format!(
            r#"<iq type="set" id="a" to="{ROOM}"><query xmlns="http://jabber.org/protocol/muc#admin"><item affiliation="member" jid="{jid}"/></query></iq>"#
        )
    };
    assert!(
        rig.ask(anna, &owner("x@meet.jitsi")).last().unwrap().contains("resource-constraint"),
        "focus and Anna are two"
    );
    rig.end(&[&focus, anna]);
}

#[test]
fn retractable_messages() {
    let mut rig = limited(|l| l.max_retractable = 1);
    let (focus, clients) = rig.meeting(1);
    let anna = &clients[0];
    let chat =
        |id: &str| format!(r#"<message to="{ROOM}" type="groupchat" id="{id}"><body>x</body></message>"#);
    let retract = |id: &str| {
        format!(
            r#"<message to="{ROOM}" type="groupchat" id="r"><retract xmlns="urn:xmpp:message-retract:1" id="{id}"/></message>"#
        )
    };
    rig.ask(anna, &chat("1"));
    assert!(rig.ask(anna, &retract("1"))[0].contains("<retract "));
    rig.ask(anna, &chat("2"));
    assert!(rig.ask(anna, &retract("1"))[0].contains("<forbidden "));
    rig.end(&[&focus, anna]);
}

#[test]
fn resumption_time_of_roles_is_shorter() {
    let mut rig = Rig::new();
    let focus = rig.focus();
    rig.enable(&focus);
    rig.lose(focus.conn);
    rig.advance(Duration::from_secs(14));
    assert_eq!(rig.server.stats().sessions, 1);
    rig.advance(Duration::from_secs(1));
    rig.assert_empty();
}
