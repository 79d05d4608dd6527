//! Every limit at its edge and one beyond.

use std::time::Duration;

use prosody_core::limits::{MAX_ASKED_BY_ROLES, pace, room_passwords};
use prosody_core::{CloseReason, Config, Counter, Output, SessionQuery, Transport};

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
    let mut rig = Rig::with(|c| c.hosts.rooms[0].policy.max_participants = Some(2));
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

#[test]
fn stanzas_of_roles() {
    let mut rig = limited(|l| (l.max_stanza_bytes, l.max_stanza_bytes_unlimited) = (1_000, 2_000));
    let (focus, clients) = rig.meeting(1);
    let empty = format!(r#"<message to="{ROOM}" type="groupchat"><body></body></message>"#).len();
    let message = |bytes: usize| {
        let text = "x".repeat(bytes - empty);
        format!(r#"<message to="{ROOM}" type="groupchat"><body>{text}</body></message>"#)
    };
    assert!(rig.ask(&focus, &message(2_000))[0].contains("xxx"));
    assert!(rig.ask(&focus, &message(2_001))[0].contains("<policy-violation "));
    rig.end(&[&focus, &clients[0]]);
}

#[test]
fn ids_of_stanzas() {
    let mut rig = limited(|l| l.max_id_bytes = 10);
    let (focus, clients) = rig.meeting(2);
    let (anna, ben) = (&clients[0], &clients[1]);
    for (kind, inside) in
        [("iq", r#" type="get"><query xmlns="a"/></iq>"#), ("message", r#" type="chat"><body/></message>"#)]
    {
        let stanza = |id: &str| format!(r#"<{kind} to="{ROOM}/{}" id="{id}"{inside}"#, ben.nick);
        assert!(rig.ask(anna, &stanza(&"x".repeat(10))).is_empty());
        assert_eq!(rig.take(ben).len(), 1);
        let back = rig.ask(anna, &stanza(&"x".repeat(11)));
        assert!(back.len() == 1 && back[0].contains("<policy-violation "), "{back:?}");
        assert!(rig.take(ben).is_empty());
    }
    rig.end(&[&focus, anna, ben]);
}

/// Asks somebody so often, and then is answered from the first on; how many answers come.
fn answers(rig: &mut Rig, asker: &Client, asked: &Client, times: usize) -> usize {
    for n in 0..times {
        rig.send(
            asker,
            &format!(r#"<iq to="{ROOM}/{}" type="get" id="q{n}"><query xmlns="a"/></iq>"#, asked.nick),
        );
    }
    rig.take(asker);
    for n in 0..times {
        rig.send(asked, &format!(r#"<iq to="{ROOM}/{}" type="result" id="q{n}"/>"#, asker.nick));
    }
    rig.take(asker).len()
}

#[test]
fn questions_to_occupants() {
    let mut rig = limited(|l| l.max_asked = 5);
    let (focus, clients) = rig.meeting(2);
    let (anna, ben) = (&clients[0], &clients[1]);
    assert_eq!(answers(&mut rig, anna, ben, 5), 5);
    assert_eq!(answers(&mut rig, anna, ben, 6), 5, "the oldest is forgotten");
    assert_eq!(answers(&mut rig, anna, ben, 5), 5, "nothing is left behind");
    // Roles ask everybody of the largest room.
    let most = MAX_ASKED_BY_ROLES;
    assert_eq!(answers(&mut rig, &focus, ben, most), most);
    assert_eq!(answers(&mut rig, &focus, ben, most + 1), most);
    rig.end(&[&focus, anna, ben]);
}

fn waits(rig: &mut Rig, of: &Client) -> Vec<Duration> {
    let wait = |o| match o {
        Output::Pause { conn, wait } if conn == of.conn => Some(wait),
        _ => None,
    };
    std::mem::take(&mut rig.other).into_iter().filter_map(wait).collect()
}

/// How long one more waits when the budget is used up.
fn wait_for_one(rate: &budget::Rate) -> Duration {
    let mut bucket = budget::Bucket::full();
    let now = std::time::Instant::now();
    assert!(bucket.take(rate, now, rate.burst()));
    bucket.wait(rate, now, 1)
}

/// Sends until the server wants it to wait; how much it took.
fn until_it_waits(rig: &mut Rig, who: &Client, frame: &str) -> (usize, Duration) {
    rig.other.clear();
    for n in 0..10_000 {
        rig.send(who, frame);
        if let Some(wait) = waits(rig, who).into_iter().max() {
            return (n, wait);
        }
    }
    panic!("no limit");
}

#[test]
fn what_a_session_says() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(4);
    rig.advance(Duration::from_secs(60));
    let most = pace::RELAY.burst() as usize;
    let each = wait_for_one(&pace::RELAY);
    // It has been long since it joined.
    let to_focus = format!(r#"<message to="{ROOM}/focus" type="chat"><body/></message>"#);
    let (took, wait) = until_it_waits(&mut rig, &clients[0], &to_focus);
    assert_eq!((took, wait), (most, each));
    // A join counts for more.
    rig.advance(Duration::from_secs(60));
    let again = format!(
        r#"<presence to="{ROOM}/{}"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#,
        clients[1].nick
    );
    assert_eq!(
        until_it_waits(&mut rig, &clients[1], &again),
        (most / pace::JOIN as usize, each * pace::JOIN)
    );
    drop(focus);
}

#[test]
fn what_all_in_a_room_say() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(4);
    rig.advance(Duration::from_secs(60));
    let chat = format!(r#"<message to="{ROOM}" type="groupchat"><body/></message>"#);
    let (most, own) = (pace::RELAY.burst() as usize, pace::OWN.burst() as usize);
    // Some are one's own; then those of the room's until one's own rate is used up.
    for n in [0, 1] {
        let (count, wait) = until_it_waits(&mut rig, &clients[n], &chat);
        assert_eq!((count, wait), (most, wait_for_one(&pace::RELAY)));
    }
    // The one that had to wait has gone as well: some are left for the third, and none for the fourth.
    let left = pace::ROOM.burst() as usize - 2 * (most + 1 - own);
    let (count, _) = until_it_waits(&mut rig, &clients[2], &chat);
    assert_eq!(count, own + left);
    let (count, wait) = until_it_waits(&mut rig, &clients[3], &chat);
    assert_eq!((count, wait), (own, 2 * wait_for_one(&pace::ROOM)));
    // However long the line is, one waits no longer than this.
    rig.other.clear();
    for _ in 0..150 {
        clients[2..].iter().for_each(|c| rig.send(c, &chat));
    }
    let room =
        rig.other.iter().filter(|o| matches!(o, Output::Pause { wait, .. } if *wait == pace::LONGEST_WAIT));
    assert!(room.count() > 0);
    drop(focus);
}

#[test]
fn what_one_hears() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(4);
    rig.advance(Duration::from_secs(60));
    let to_ben = format!(r#"<message to="{ROOM}/{}" type="chat"><body/></message>"#, clients[3].nick);
    // As in a room; the line before one is not before others.
    let (most, own) = (pace::RELAY.burst() as usize, pace::OWN.burst() as usize);
    let left = pace::HEARD.burst() as usize - 2 * (most + 1 - own);
    for (n, took) in [(0, most), (1, most), (2, own + left)] {
        assert_eq!(until_it_waits(&mut rig, &clients[n], &to_ben).0, took);
    }
    rig.other.clear();
    let to_anna = format!(r#"<message to="{ROOM}/{}" type="chat"><body/></message>"#, clients[0].nick);
    rig.send(&clients[2], &to_anna);
    assert!(waits(&mut rig, &clients[2]).is_empty());
    drop(focus);
}

fn lock(rig: &mut Rig, focus: &Client) {
    rig.configure(focus, ROOM, "roomsecret", "richtig");
}

#[test]
fn passwords_of_a_room() {
    let wrong = "<password>falsch</password>";
    let from = |peer: Option<&str>| SessionQuery {
        peer: peer.map(|p| budget::Network::of(p.parse().unwrap())),
        ..Default::default()
    };
    let answered = |rig: &mut Rig, c: &Client| !rig.join_with(c, wrong, "").is_empty();
    let mut rig = Rig::new();
    let (focus, _) = rig.meeting(1);
    lock(&mut rig, &focus);
    // Of one session some are looked at, and another when there is room again.
    let one = rig.client();
    assert!((0..room_passwords::BY_SESSION.burst()).all(|_| answered(&mut rig, &one)));
    assert!(!answered(&mut rig, &one));
    rig.advance(wait_for_one(&room_passwords::BY_SESSION) - Duration::from_millis(1));
    assert!(rig.take(&one).is_empty());
    rig.advance(Duration::from_millis(1));
    assert!(rig.take(&one)[0].contains("<not-authorized "));
    // From one address, and from all together.
    rig.advance(Duration::from_secs(60));
    let (each, all) = (room_passwords::BY_ADDRESS.burst(), room_passwords::BY_ROOM.burst());
    for network in 0..all / each {
        let peer = format!("192.0.2.{network}");
        for n in 0..=each {
            let c = rig.client_with(from(Some(&peer)));
            assert_eq!(answered(&mut rig, &c), n < each, "{network} {n}");
            rig.lose(c.conn);
        }
    }
    let c = rig.client_with(from(Some("198.51.100.1")));
    assert!(!answered(&mut rig, &c), "one more than all");
    rig.lose(c.conn);
    // A line of the longest wait has room, a longer one has not.
    rig.advance(Duration::from_secs(120));
    let waits =
        room_passwords::LONGEST_WAIT.as_millis() / wait_for_one(&room_passwords::BY_ADDRESS).as_millis();
    let waits = each + waits as u32;
    for n in 0..=waits {
        let c = rig.client_with(from(Some("192.0.2.1")));
        let back = rig.join_with(&c, wrong, "").concat();
        if n < each {
            assert!(back.contains("<not-authorized "), "{n}");
        } else if n < waits {
            assert!(back.is_empty(), "{n}");
        } else {
            assert!(back.contains("<resource-constraint "), "{n}");
        }
    }
}

#[test]
fn affiliations_at_the_limit() {
    let mut rig = limited(|l| l.max_affiliations = 3);
    let (focus, clients) = rig.meeting(1);
    let set = |rig: &mut Rig, n: u32, affiliation: &str| {
        rig.ask(&focus, &format!(r#"<iq type="set" id="a" to="{ROOM}"><query xmlns="http://jabber.org/protocol/muc#admin"><item affiliation="{affiliation}" jid="x{n}@meet.jitsi"/></query></iq>"#)).last().unwrap().contains("resource-constraint")
    };
    assert!(!set(&mut rig, 1, "member") && !set(&mut rig, 2, "member"), "the focus and two");
    assert!(set(&mut rig, 3, "member"));
    assert!(!set(&mut rig, 2, "owner") && !set(&mut rig, 1, "none") && !set(&mut rig, 3, "member"));
    rig.end(&[&focus, &clients[0]]);
}

#[test]
fn conference_requests_that_wait() {
    let mut rig = Rig::new();
    let focus = rig.focus();
    let ask = |rig: &mut Rig, c: &Client, n: usize| {
        rig.ask(c, &format!(r#"<iq type="set" id="{n}" to="focus.meet.jitsi"><conference xmlns="http://jitsi.org/protocol/focus" room="r{n}@muc.meet.jitsi"/></iq>"#))
    };
    let clients: Vec<Client> = (0..201).map(|_| rig.client()).collect();
    for c in &clients[..200] {
        assert!((0..10).all(|n| ask(&mut rig, c, n).is_empty()));
        assert!(ask(&mut rig, c, 10)[0].contains(r#"ready="false""#), "ten of one session");
    }
    assert!(rig.take(&clients[0]).is_empty());
    assert!(ask(&mut rig, &clients[200], 0).is_empty());
    let oldest = rig.take(&clients[0]);
    assert!(
        oldest.len() == 1 && oldest[0].contains(r#"id="0""#) && oldest[0].contains(r#"ready="false""#),
        "2,001"
    );
    drop(focus);
}

/// Each thing has a bound by room; one address may be in ten thousand rooms.
#[test]
fn what_one_address_leaves_in_rooms_is_bounded_and_a_neighbour_address_is_not_concerned() {
    let mut rig = limited(|l| l.max_kept_per_address = 20_000);
    let focus = rig.focus();
    rig.join(&focus);
    let from = |rig: &mut Rig, peer: &str| {
        rig.client_with(SessionQuery {
            room: Some(jitsi_xmpp::Sensitive::new("rathaus".into())),
            peer: peer.parse().ok().map(budget::Network::of),
            ..SessionQuery::default()
        })
    };
    let said = |n: usize| format!("<a>{}</a>", "x".repeat(n));
    let presence = |c: &Client, n| format!(r#"<presence to="{ROOM}/{}">{}</presence>"#, c.nick, said(n));
    let too_much = |back: &[String]| back.len() == 1 && back[0].contains("<resource-constraint ");
    let anna = from(&mut rig, "192.0.2.1");
    rig.join(&anna);
    rig.grant(&focus, &anna);

    // A presence, changed and as a join.
    assert!(!too_much(&rig.ask(&anna, &presence(&anna, 15_000))));
    let ben = from(&mut rig, "192.0.2.1");
    assert!(too_much(&rig.join_with(&ben, "", &said(6_000))));
    assert!(too_much(&rig.ask(&anna, &presence(&anna, 25_000))));
    assert!(rig.join(&ben).len() > 1, "with little there is room");
    let elsewhere = from(&mut rig, "192.0.2.2");
    assert!(rig.join_with(&elsewhere, "", &said(15_000)).len() > 1);

    // Chat is said, but not kept; metadata and polls are refused.
    let chat =
        format!(r#"<message to="{ROOM}" type="groupchat"><body>{}</body></message>"#, "y".repeat(6_000));
    assert!(rig.ask(&ben, &chat)[0].contains("yyyy"));
    let metadata = |n: usize| {
        format!(
            r#"<message to="metadata.meet.jitsi"><room_metadata xmlns="http://jitsi.org/jitmeet" room="{ROOM}">{{"key":"k","data":"{}"}}</room_metadata></message>"#,
            "z".repeat(n)
        )
    };
    assert!(too_much(&rig.ask(&anna, &metadata(6_000))));
    assert!(!too_much(&rig.ask(&anna, &metadata(600))));
    let poll = |n: usize| {
        format!(
            r#"<message to="polls.meet.jitsi"><json-message xmlns="http://jitsi.org/jitmeet">{{"type":"polls","command":"new-poll","pollId":"p{n}","question":"Q?","answers":[{{"name":"{}"}}]}}</json-message></message>"#,
            "w".repeat(800)
        )
    };
    let polls = (0..10).take_while(|n| !too_much(&rig.ask(&anna, &poll(*n)))).count();
    assert!((1..5).contains(&polls), "{polls}");
    assert_eq!(rig.server.counters().count(Counter::KeptTooMuch), 5);
    let late = from(&mut rig, "192.0.2.3");
    let back = rig.join(&late).concat();
    assert!(!back.contains("yyyy") && back.contains("xxxx"));

    // What goes gives its part back.
    rig.lose(anna.conn);
    assert!(rig.ask(&ben, &chat)[0].contains("yyyy"));
    let latest = from(&mut rig, "192.0.2.3");
    assert!(rig.join(&latest).concat().contains("yyyy"));
    rig.end(&[&focus, &ben, &elsewhere, &late, &latest]);
}

#[test]
fn signs_that_are_kept_as_entities_count_as_what_they_take() {
    let mut rig = limited(|l| l.max_presence_bytes = 10_000);
    let (focus, clients) = rig.meeting(1);
    let anna = &clients[0];
    for (fits, beyond) in
        [("&amp;".repeat(1_500), "&amp;".repeat(1_800)), ("x".repeat(9_800), "x".repeat(10_001))]
    {
        let presence =
            |text: &str| format!(r#"<presence to="{ROOM}/{}"><a>{text}</a></presence>"#, anna.nick);
        assert!(!rig.ask(anna, &presence(&fits))[0].contains("<policy-violation "));
        assert!(rig.ask(anna, &presence(&beyond))[0].contains("<policy-violation "));
    }
    rig.end(&[&focus, anna]);
}
