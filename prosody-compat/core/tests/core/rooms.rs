//! What one occupant can do to others in a room, and the smaller words of XEP-0045 that clients may notice.

use std::time::Duration;

use prosody_core::{Counter, Output, SessionQuery, Transport};

use crate::rig::{Client, ROOM, Rig};

fn presence(c: &Client, inside: &str) -> String {
    format!(r#"<presence to="{ROOM}/{}">{inside}</presence>"#, c.nick)
}

#[test]
fn strangers_reach_no_service_account_except_through_the_proxy() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(1);
    let anna = &clients[0];
    for to in [
        "focus@auth.meet.jitsi/focus",
        "focus@auth.meet.jitsi",
        "nobody@auth.meet.jitsi/x",
        "auth.meet.jitsi",
    ] {
        let back =
            rig.ask(anna, &format!(r#"<iq type="get" id="1" to="{to}"><ping xmlns="urn:xmpp:ping"/></iq>"#));
        assert!(back[0].contains("<service-unavailable "), "{to}: {}", back[0]);
        let back = rig.ask(anna, &format!(r#"<message to="{to}"><body>x</body></message>"#));
        assert!(back[0].contains("<service-unavailable "), "{to}: {}", back[0]);
    }
    assert!(rig.take(&focus).is_empty());
    let jvb =
        rig.open(Transport::InProcess("jvb@auth.meet.jitsi/x".parse().unwrap()), SessionQuery::default());
    rig.raw(jvb, br#"<message to="focus@auth.meet.jitsi/focus"><body>x</body></message>"#);
    assert_eq!(rig.take(&focus).len(), 1, "roles reach each other");
    let asked = format!(
        r#"<iq type="set" id="c" to="focus.meet.jitsi"><conference xmlns="http://jitsi.org/protocol/focus" room="{ROOM}"/></iq>"#
    );
    rig.send(anna, &asked);
    assert_eq!(rig.take(&focus).len(), 1, "the proxy is the way");
    // Its answer comes back.
    assert!(rig.take(anna).is_empty());
}

#[test]
fn a_presence_is_kept_only_when_it_is_small() {
    let mut rig = Rig::with(|c| (c.limits.max_presence_elements, c.limits.max_presence_bytes) = (10, 1_000));
    let (focus, clients) = rig.meeting(2);
    let (anna, ben) = (&clients[0], &clients[1]);
    for (fits, beyond) in [
        ("<a/>".repeat(10), "<a/>".repeat(11)),
        (format!("<a>{}</a>", "x".repeat(750)), format!("<a>{}</a>", "x".repeat(1_000))),
        (format!("<a b='{}'/>", "x".repeat(750)), format!("<a b='{}'/>", "x".repeat(1_000))),
    ] {
        assert!(!rig.ask(anna, &presence(anna, &fits)).is_empty());
        assert_eq!(rig.take(ben).len(), 1);
        let back = rig.ask(anna, &presence(anna, &beyond));
        assert!(back.len() == 1 && back[0].contains("<policy-violation "), "{back:?}");
        assert!(rig.take(ben).is_empty());
    }
    let cem = rig.client();
    let back = rig.join_with(&cem, "", &"<a/>".repeat(20));
    assert!(back.len() == 1 && back[0].contains("<policy-violation "), "{back:?}");
    assert!(rig.join(&cem).len() > 1);
    // Roles publish many numbers.
    assert!(!rig.ask(&focus, &presence(&focus, &"<a/>".repeat(50))).is_empty());
    rig.end(&[&focus, anna, ben, &cem]);
}

fn pauses(rig: &mut Rig, of: &Client) -> Vec<Duration> {
    let pause = |o| match o {
        Output::Pause { conn, wait } if conn == of.conn => Some(wait),
        _ => None,
    };
    std::mem::take(&mut rig.other).into_iter().filter_map(pause).collect()
}

#[test]
fn who_floods_a_room_is_read_later_and_nobody_else_is() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(2);
    let (anna, ben) = (&clients[0], &clients[1]);
    rig.other.clear();
    let chat = format!(r#"<message to="{ROOM}" type="groupchat"><body>x</body></message>"#);
    for _ in 0..300 {
        rig.send(anna, &chat);
    }
    let waits = pauses(&mut rig, anna);
    let longest = waits.iter().max().copied().unwrap_or_default();
    assert!((5..30).contains(&longest.as_secs()), "{longest:?}");
    assert_eq!(rig.take(ben).len(), 300, "nothing is lost");
    rig.send(ben, &chat);
    rig.send(&focus, &chat);
    assert!(pauses(&mut rig, ben).is_empty());
    rig.advance(Duration::from_secs(60));
    rig.send(anna, &chat);
    assert!(pauses(&mut rig, anna).is_empty());
    assert!(rig.server.counters().count(Counter::Paused) > 0);
    for _ in 0..1_000 {
        rig.send(&focus, &chat);
    }
    assert!(pauses(&mut rig, &focus).is_empty(), "a role is never held up");
}

#[test]
fn a_join_with_all_its_questions_is_not_held_up() {
    let mut rig = Rig::new();
    let (_, clients) = rig.meeting(30);
    assert!(rig.other.iter().all(|o| !matches!(o, Output::Pause { .. })));
    let anna = &clients[0];
    for n in 0..40 {
        rig.send(anna, &format!(r#"<iq type="set" id="{n}" to="{ROOM}/focus"><jingle xmlns="urn:xmpp:jingle:1" action="transport-info" sid="s"/></iq>"#));
    }
    for _ in 0..20 {
        rig.send(anna, &presence(anna, ""));
    }
    assert!(pauses(&mut rig, anna).is_empty());
}

/// Sends as fast as the server reads, for so long.
fn flood(rig: &mut Rig, by: &[Client], frame: impl Fn(&Client) -> String, time: Duration) {
    let (mut read_at, end) = (vec![rig.now; by.len()], rig.now + time);
    while rig.now < end {
        for (who, at) in by.iter().zip(&mut read_at) {
            // What a connection has in flight is read before the pause is heard of.
            for _ in 0..8 {
                if *at > rig.now {
                    break;
                }
                rig.send(who, &frame(who));
                let wait = pauses(rig, who).into_iter().max().unwrap_or_default();
                *at = rig.now + wait;
            }
        }
        rig.advance(Duration::from_millis(20));
    }
}

#[test]
fn five_who_flood_a_room_together_cost_a_browser_no_more_than_it_does_in_passing() {
    for (to, kind) in [("", "groupchat"), ("", "presence"), ("/ben", "chat")] {
        let mut rig = Rig::new();
        let (focus, clients) = rig.meeting(7);
        let (ben, carla, five) = (&clients[0], &clients[1], &clients[2..]);
        let to = to.replace("ben", &ben.nick);
        let frame = |who: &Client| match kind {
            "presence" => presence(who, ""),
            _ => format!(r#"<message to="{ROOM}{to}" type="{kind}"><body>x</body></message>"#),
        };
        rig.advance(Duration::from_secs(60));
        rig.other.clear();
        rig.take(ben);
        flood(&mut rig, five, frame, Duration::from_secs(2));
        let at_first = rig.take(ben).len();
        assert!((100..=550).contains(&at_first), "{kind}: {at_first} in two seconds");
        flood(&mut rig, five, frame, Duration::from_secs(10));
        let then = rig.take(ben).len();
        assert!((10..=400).contains(&then), "{kind}: {then} in ten seconds");
        // Meanwhile who says what people say is not held up.
        let chat = format!(r#"<message to="{ROOM}" type="groupchat"><body>x</body></message>"#);
        for _ in 0..20 {
            rig.send(carla, &chat);
        }
        assert!(pauses(&mut rig, carla).is_empty());
        drop(focus);
    }
}

#[test]
fn who_comes_and_goes_without_pause_is_read_later() {
    let mut rig = Rig::new();
    let (_focus, clients) = rig.meeting(2);
    let (anna, ben) = (&clients[0], &clients[1]);
    let mut waited = Duration::ZERO;
    for _ in 0..40 {
        rig.leave(anna);
        rig.join(anna);
        let wait = pauses(&mut rig, anna).into_iter().max().unwrap_or_default();
        waited += wait;
        rig.advance(wait);
    }
    assert!(waited.as_secs() > 5, "{waited:?}");
    assert_eq!(rig.take(ben).len(), 80, "nothing is lost");
}

#[test]
fn a_class_that_joins_and_encrypts_is_not_held_up() {
    let mut rig = Rig::new();
    let (_focus, clients) = rig.meeting(30);
    rig.other.clear();
    // Keys of everybody to everybody, twice, and what a client says of itself meanwhile.
    for from in &clients {
        for to in &clients {
            rig.send(from, &format!(r#"<message to="{ROOM}/{}" type="chat"><json-message xmlns="http://jitsi.org/jitmeet">{{}}</json-message></message>"#, to.nick));
        }
        for _ in 0..12 {
            rig.send(from, &presence(from, ""));
        }
    }
    assert!(rig.other.iter().all(|o| !matches!(o, Output::Pause { .. })));
}

#[test]
fn more_joins_than_a_room_takes_at_once_come_in_one_after_the_other_and_none_is_lost() {
    let mut rig = Rig::with(|c| {
        (c.limits.joins_at_once, c.limits.joins_per_second, c.limits.max_held_joins) = (10, 5, 20);
    });
    let focus = rig.focus();
    rig.join(&focus);
    let clients: Vec<Client> = (0..35).map(|_| rig.client()).collect();
    let is_in = |frames: Vec<String>| frames.concat().contains("code=\"110\"");
    let at_once = clients.iter().filter(|c| is_in(rig.join(c))).count();
    assert_eq!(at_once, 15, "ten, and five for whom there was no place in the line");
    // Who asks again keeps its place; who leaves or is gone frees it.
    assert!(rig.join(&clients[10]).is_empty());
    rig.leave(&clients[11]);
    rig.lose(clients[12].conn);
    rig.advance(Duration::from_millis(1_100));
    let after_a_second = clients.iter().filter(|c| is_in(rig.take(c))).count();
    assert!((2..=6).contains(&after_a_second), "{after_a_second}");
    rig.advance(Duration::from_secs(4));
    assert_eq!(rig.server.stats().occupants, 1 + 33);
    assert_eq!(rig.server.counters().count(Counter::JoinsRefused), 0);
    // Later there is room at once again.
    rig.advance(Duration::from_secs(10));
    let late = rig.client();
    assert!(is_in(rig.join(&late)));
}

#[test]
fn two_hundred_tablets_come_in_at_once_and_so_does_a_school() {
    let mut rig = Rig::new();
    let (_focus, clients) = rig.meeting(200);
    assert_eq!(rig.server.stats().occupants, 201);
    drop(clients);
    let limits = prosody_core::Limits::default();
    assert_eq!((limits.joins_at_once, limits.joins_per_second), (500, 30));
}

#[test]
fn passwords_of_rooms_are_guessed_slowly_from_this_machine_too() {
    let mut rig = Rig::new();
    let (focus, _) = rig.meeting(1);
    lock(&mut rig, &focus);
    let before = rig.server.counters().count(Counter::JoinsRefused);
    let wrong = "<password>falsch</password>";
    let guessers: Vec<Client> = (0..100).map(|_| rig.client()).collect();
    for _ in 0..100 {
        for g in &guessers {
            rig.join_with(g, wrong, "");
        }
        rig.advance(Duration::from_millis(100));
    }
    let looked_at = rig.server.counters().count(Counter::JoinsRefused) - before;
    assert!((600..=1_250).contains(&looked_at), "10,000 tries in ten seconds, {looked_at} looked at");
    let one = rig.client();
    rig.advance(Duration::from_secs(60));
    let before = rig.server.counters().count(Counter::JoinsRefused);
    for _ in 0..100 {
        rig.join_with(&one, wrong, "");
        rig.advance(Duration::from_millis(100));
    }
    let looked_at = rig.server.counters().count(Counter::JoinsRefused) - before;
    assert!((10..=21).contains(&looked_at), "one session, 100 tries in ten seconds, {looked_at} looked at");
}

#[test]
fn who_leaves_the_line_before_a_password_frees_its_place() {
    let leave = |rig: &mut Rig, c: &Client| rig.leave(c);
    let close = |rig: &mut Rig, c: &Client| rig.lose(c.conn);
    for goes in [leave as fn(&mut Rig, &Client), close] {
        let mut rig = Rig::new();
        let (focus, _) = rig.meeting(1);
        lock(&mut rig, &focus);
        let from = |peer: &str| SessionQuery {
            peer: peer.parse().ok().map(budget::Network::of),
            ..Default::default()
        };
        // 60 are looked at; 200 more make a line of 40 seconds.
        for n in 0..260 {
            let c = rig.client_with(from("192.0.2.1"));
            let back = rig.join_with(&c, "<password>falsch</password>", "");
            assert_eq!(back.is_empty(), n >= 60);
            if n >= 60 {
                goes(&mut rig, &c);
            }
        }
        let ben = rig.client_with(from("192.0.2.1"));
        rig.join_with(&ben, "<password>richtig</password>", "");
        rig.advance(Duration::from_secs(1));
        assert!(rig.take(&ben).concat().contains("code=\"110\""), "the line is empty");
    }
}

fn lock(rig: &mut Rig, focus: &Client) {
    rig.configure(focus, ROOM, "roomsecret", "richtig");
}

#[test]
fn passwords_of_rooms_are_guessed_slowly_and_nobody_is_locked_out() {
    let mut rig = Rig::new();
    let (focus, _) = rig.meeting(1);
    lock(&mut rig, &focus);
    let from =
        |peer: &str| SessionQuery { peer: peer.parse().ok().map(budget::Network::of), ..Default::default() };
    let wrong = "<password>falsch</password>";
    let before = rig.server.counters().count(Counter::JoinsRefused);
    let guessers: Vec<Client> = (0..50).map(|_| rig.client_with(from("192.0.2.1"))).collect();
    for _ in 0..600 {
        for g in &guessers {
            rig.join_with(g, wrong, "");
        }
        rig.advance(Duration::from_millis(100));
    }
    let looked_at = rig.server.counters().count(Counter::JoinsRefused) - before;
    assert!((60..=600).contains(&looked_at), "30,000 tries in a minute, {looked_at} looked at");
    // Somewhere else one is let in at once, next door in a while.
    let ben = rig.client_with(from("198.51.100.1"));
    assert!(rig.join_with(&ben, "<password>richtig</password>", "").len() > 1);
    let cem = rig.client_with(from("192.0.2.1"));
    rig.join_with(&cem, "<password>richtig</password>", "");
    rig.advance(Duration::from_secs(30));
    assert!(rig.take(&cem).iter().any(|f| f.contains("code=\"110\"")));
}

#[test]
fn a_class_with_the_password_comes_in_at_once() {
    let mut rig = Rig::new();
    let (focus, _) = rig.meeting(1);
    lock(&mut rig, &focus);
    for n in 0..230 {
        let peer = "203.0.113.1".parse().ok().map(budget::Network::of);
        let c = rig.client_with(SessionQuery { peer, ..Default::default() });
        if n % 10 == 0 {
            assert!(rig.join_with(&c, "<password>Richtig</password>", "")[0].contains("<not-authorized "));
        }
        let back = rig.join_with(&c, "<password>richtig</password>", "");
        assert!(back.iter().any(|f| f.contains("code=\"110\"")), "{n}");
    }
}

#[test]
fn an_outcast_hears_in_a_members_only_room_what_every_stranger_hears() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(1);
    let ben = rig.client();
    let set = |affiliation: &str| {
        format!(
            r#"<iq type="set" id="o" to="{ROOM}"><query xmlns="http://jabber.org/protocol/muc#admin"><item affiliation="{affiliation}" jid="{}"/></query></iq>"#,
            ben.bare()
        )
    };
    rig.send(&focus, &set("outcast"));
    assert!(rig.join(&ben)[0].contains("<forbidden "));
    rig.configure(&focus, ROOM, "membersonly", "true");
    assert!(rig.join(&ben)[0].contains("<registration-required "));
    drop(clients);
}

#[test]
fn an_error_message_of_an_occupant_says_that_it_is_gone() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(2);
    let error = |condition: &str| {
        format!(
            r#"<message type="error" to="{ROOM}"><error type="cancel"><{condition} xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></message>"#
        )
    };
    rig.send(&clients[0], &error("forbidden"));
    assert!(rig.take(&clients[1]).is_empty(), "not every error means that");
    rig.send(&clients[0], &error("recipient-unavailable"));
    let seen = rig.take(&clients[1]);
    assert!(seen[0].contains("unavailable") && seen[0].contains("code=\"333\""), "{seen:?}");
    rig.end(&[&focus, &clients[0], &clients[1]]);
}

#[test]
fn a_newcomer_may_ask_for_what_was_said_since() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(1);
    let chat = |text: &str| format!(r#"<message to="{ROOM}" type="groupchat"><body>{text}</body></message>"#);
    rig.send(&clients[0], &chat("early"));
    rig.advance(Duration::from_secs(10));
    rig.send(&clients[0], &chat("late"));
    let ben = rig.client();
    // The clock of the rig begins at 2026-11-22T23:36:07Z.
    let back = rig.join_with(&ben, r#"<history since="2026-11-22T23:36:12Z"/>"#, "").concat();
    assert!(back.contains("late") && !back.contains("early"), "{back}");
    rig.end(&[&focus, &clients[0], &ben]);
}

#[test]
fn nobody_takes_back_somebody_elses_private_message() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(3);
    let (anna, ben, mallory) = (&clients[0], &clients[1], &clients[2]);
    rig.send(
        anna,
        &format!(r#"<message to="{ROOM}/{}" type="chat" id="p1"><body>x</body></message>"#, ben.nick),
    );
    let retract = format!(
        r#"<message to="{ROOM}/{}" type="chat" id="r"><retract xmlns="urn:xmpp:message-retract:1" id="p1"/></message>"#,
        ben.nick
    );
    rig.take(ben);
    assert!(rig.ask(mallory, &retract)[0].contains("<forbidden "));
    assert!(rig.take(ben).is_empty());
    rig.send(anna, &retract);
    assert!(rig.take(ben)[0].contains("<retract "));
    rig.end(&[&focus, anna, ben, mallory]);
}

#[test]
fn a_session_that_shares_a_nick_and_leaves_hears_that_it_left() {
    let mut rig = Rig::new();
    let mut all = Vec::new();
    for n in 0..2 {
        let conn = rig.open(
            Transport::InProcess(format!("jvb@auth.meet.jitsi/{n}").parse().unwrap()),
            SessionQuery::default(),
        );
        rig.raw(conn, br#"<presence to="jvbbrewery@internal-muc.meet.jitsi/a"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#);
        all.push(conn);
    }
    rig.take_raw(all[0]);
    rig.take_raw(all[1]);
    rig.raw(all[0], br#"<presence to="jvbbrewery@internal-muc.meet.jitsi/a" type="unavailable" id="bye"/>"#);
    let own = rig.take_raw(all[0]);
    assert!(
        own.len() == 1
            && own[0].contains("unavailable")
            && own[0].contains("code=\"110\"")
            && own[0].contains("id=\"bye\""),
        "{own:?}"
    );
    assert!(!rig.take_raw(all[1]).concat().contains("unavailable"));
}

#[test]
fn roles_are_not_told_of_components_and_nobody_gets_a_nick_of_ours() {
    let mut rig = Rig::new();
    let (focus, _) = rig.meeting(1);
    let tcp = rig.open(Transport::Tcp { tls: true }, SessionQuery::default());
    let header = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='auth.meet.jitsi' version='1.0'>";
    rig.raw(tcp, header.as_bytes());
    rig.raw(
        tcp,
        br#"<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">AGp2YgBqdmJwYXNz</auth>"#,
    );
    rig.raw(tcp, header.as_bytes());
    rig.take_raw(tcp);
    rig.raw(tcp, br#"<iq type="set" id="1"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>"#);
    let back = rig.take_raw(tcp);
    assert!(back.len() == 1 && back[0].contains("<jid>jvb@"), "{back:?}");
    let mut anna = rig.client();
    anna.nick = "jvb".into();
    assert!(rig.join(&anna)[0].contains("Invalid resource"));
    drop(focus);
}

#[test]
fn everybody_who_becomes_an_owner_by_joining_is_told_what_it_may_do() {
    let mut rig = Rig::with(|c| c.hosts.rooms[0].policy.all_owners = true);
    let (_, _) = rig.meeting(1);
    let ben = rig.client();
    let own = rig.join(&ben).into_iter().find(|f| f.contains("code=\"110\"")).unwrap();
    assert!(own.contains("<permissions "), "{own}");
}

#[test]
fn an_actor_nobody_may_know_is_not_named_by_an_empty_element() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(2);
    let jvb =
        rig.open(Transport::InProcess("jvb@auth.meet.jitsi/x".parse().unwrap()), SessionQuery::default());
    // Not in the room itself.
    rig.raw(jvb, format!(r#"<iq type="set" id="a" to="{ROOM}"><query xmlns="http://jabber.org/protocol/muc#admin"><item affiliation="owner" jid="{}"/></query></iq>"#, clients[0].bare()).as_bytes());
    let own = rig.take(&clients[0]).concat();
    assert!(own.contains("affiliation=\"owner\"") && !own.contains("<actor"), "{own}");
    assert!(rig.take(&clients[1]).concat().contains("<actor jid=\"jvb@auth.meet.jitsi/x\"/>"));
    drop(focus);
}

#[test]
fn only_who_was_asked_answers_and_only_once() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(3);
    let (anna, ben, mallory) = (&clients[0], &clients[1], &clients[2]);
    let ask = format!(
        r#"<iq type="get" id="q1" to="{ROOM}/{}"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>"#,
        ben.nick
    );
    let answer = |kind: &str, to: &Client| format!(r#"<iq type="{kind}" id="q1" to="{ROOM}/{}"/>"#, to.nick);
    rig.send(ben, &answer("result", anna));
    assert!(rig.take(anna).is_empty(), "nobody has asked");
    rig.send(anna, &ask);
    assert_eq!(rig.take(ben).len(), 1);
    for kind in ["result", "error"] {
        rig.send(mallory, &answer(kind, anna));
        assert!(rig.take(anna).is_empty(), "somebody else was asked");
    }
    rig.send(ben, &answer("result", mallory));
    assert!(rig.take(mallory).is_empty());
    rig.send(ben, &answer("result", anna));
    assert_eq!(rig.take(anna).len(), 1);
    rig.send(ben, &answer("error", anna));
    assert!(rig.take(anna).is_empty(), "answered already");
    assert!(rig.take(ben).is_empty() && rig.take(mallory).is_empty(), "nothing is said about it");
    // Who asks without end loses answers to its own questions, nobody else's.
    rig.send(anna, &ask);
    let many = 256;
    for n in 0..many {
        rig.send(mallory, &ask.replace("q1", &format!("m{n}")));
    }
    rig.send(mallory, &ask.replace("q1", "last"));
    rig.take(anna);
    rig.send(ben, &answer("result", anna));
    assert_eq!(rig.take(anna).len(), 1);
    let to_mallory = |id: &str| answer("result", mallory).replace("q1", id);
    rig.take(mallory);
    rig.send(ben, &to_mallory("m0"));
    assert!(rig.take(mallory).is_empty(), "one beyond the limit pushed it out");
    rig.send(ben, &to_mallory("m1"));
    rig.send(ben, &to_mallory("last"));
    assert_eq!(rig.take(mallory).len(), 2);
    rig.end(&[&focus, anna, ben, mallory]);
}

#[test]
fn compat_metadata_is_silent_where_upstream_is() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(2);
    let (anna, ben) = (&clients[0], &clients[1]);
    rig.grant(&focus, anna);
    let say = |inside: &str| format!(r#"<message to="metadata.meet.jitsi" id="m">{inside}</message>"#);
    let set = |json: &str| {
        say(&format!(
            r#"<room_metadata xmlns="http://jitsi.org/jitmeet" room="{ROOM}">{json}</room_metadata>"#
        ))
    };
    for silent in [
        say("<body>x</body>"),
        say(r#"<room_metadata xmlns="http://jitsi.org/jitmeet">{}</room_metadata>"#),
        set(""),
        set("{}"),
        set(r#"{"key":1,"data":2}"#),
    ] {
        assert!(rig.ask(anna, &silent).is_empty(), "{silent}");
    }
    for refused in [
        set("no json"),
        set(r#"{"key":"a"}"#),
        set(r#"{"key":"a","data":null}"#),
        set(r#"{"key":"services","data":1}"#),
    ] {
        let back = rig.ask(anna, &refused);
        assert!(back.len() == 1 && back[0].contains("<service-unavailable "), "{refused}: {back:?}");
    }
    assert!(rig.ask(ben, &set(r#"{"key":"a","data":1}"#))[0].contains("<service-unavailable "));
    assert!(rig.ask(anna, &set(r#"{"key":"a","data":1}"#))[0].contains("room_metadata"));
    rig.end(&[&focus, anna, ben]);
}

#[test]
fn compat_a_message_about_somebody_absent_says_that_it_is_shut_out() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(1);
    rig.grant(&focus, &clients[0]);
    rig.take(&clients[0]);
    let set = |affiliation: &str| {
        format!(
            r#"<iq type="set" id="o" to="{ROOM}"><query xmlns="http://jabber.org/protocol/muc#admin"><item affiliation="{affiliation}" jid="somebody@meet.jitsi"/></query></iq>"#
        )
    };
    let told = |rig: &mut Rig, affiliation: &str| {
        rig.send(&focus, &set(affiliation));
        rig.take(&clients[0]).concat()
    };
    assert!(told(&mut rig, "outcast").contains(r#"<status code="301"/><item affiliation="outcast" "#));
    assert!(!told(&mut rig, "none").contains("status"));
    rig.configure(&focus, ROOM, "membersonly", "true");
    rig.take(&clients[0]);
    assert!(!told(&mut rig, "member").contains("status"));
    assert!(told(&mut rig, "none").contains(r#"<status code="321"/><item affiliation="none" "#));
    let mut again = rig.client();
    again.nick = "x".into();
    assert!(rig.join(&again)[0].contains("<registration-required "));
}

/// Several wait for the focus and come in at the same moment: each counts for the next.
#[test]
fn a_full_meeting_is_full_also_for_those_who_waited_together() {
    let mut rig = Rig::with(|c| c.hosts.rooms[0].policy.max_participants = Some(2));
    let opener =
        rig.open(Transport::InProcess("jvb@auth.meet.jitsi/x".parse().unwrap()), SessionQuery::default());
    let opener = Client { conn: opener, jid: "jvb@auth.meet.jitsi/x".into(), nick: "opener".into() };
    assert!(rig.join(&opener).is_empty());
    let waiting: Vec<Client> = (0..4).map(|_| rig.client()).collect();
    for c in &waiting {
        assert!(rig.join(c).is_empty());
    }
    let focus = rig.focus();
    rig.join(&focus);
    let mut came = 0;
    for c in &waiting {
        let heard = rig.take(c).concat();
        let full = heard.contains("<service-unavailable ");
        assert_ne!(full, heard.contains("code=\"110\""), "{heard}");
        came += usize::from(!full);
    }
    let opener_in = rig.take(&opener).concat().contains("code=\"110\"");
    assert_eq!(came + usize::from(opener_in), 2);
    // One that is lost and may resume still has its place; one that left gives it back.
    let late = rig.client();
    assert!(rig.join(&late)[0].contains("<service-unavailable "));
}
