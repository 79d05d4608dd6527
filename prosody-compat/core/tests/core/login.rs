//! Who may log in, where and how often; and what strangers cost before they have.

use std::time::Duration;

use prosody_core::{CloseReason, ConnId, Counter, Login, SessionQuery, Transport};

use crate::rig::{OPEN, ROOM, Rig};

fn header(to: &str) -> String {
    format!(
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='{to}' version='1.0'>"
    )
}

fn plain(user: &str, password: &str) -> String {
    use base64::Engine as _;
    let data = base64::engine::general_purpose::STANDARD.encode(format!("\0{user}\0{password}"));
    format!(r#"<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">{data}</auth>"#)
}

fn scram_first(user: &str) -> String {
    use base64::Engine as _;
    let data =
        base64::engine::general_purpose::STANDARD.encode(format!("n,,n={user},r=fyko+d2lbbFgONRv9qkxdawL"));
    format!(r#"<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="SCRAM-SHA-1">{data}</auth>"#)
}

#[test]
fn service_accounts_do_not_log_in_through_the_public_front() {
    let mut rig = Rig::new();
    for transport in [Transport::WebSocket, Transport::Bosh] {
        let conn = rig.open(transport, SessionQuery::default());
        rig.raw(conn, OPEN.replace("meet.jitsi", "auth.meet.jitsi").as_bytes());
        let back = rig.take_raw(conn).concat();
        assert!(back.contains("<host-unknown "), "{back}");
        assert_eq!(rig.closed[&conn], CloseReason::HostUnknown);
    }
    let tcp = rig.open(Transport::Tcp { tls: true }, SessionQuery::default());
    rig.raw(tcp, header("auth.meet.jitsi").as_bytes());
    rig.raw(tcp, plain("focus", "geheim").as_bytes());
    assert!(rig.take_raw(tcp).last().unwrap().starts_with("<success"));
}

#[test]
fn passwords_never_travel_in_the_clear_even_where_encryption_is_not_required() {
    let mut rig = Rig::with(|c| c.require_encryption = false);
    let conn = rig.open(Transport::Tcp { tls: false }, SessionQuery::default());
    rig.raw(conn, header("auth.meet.jitsi").as_bytes());
    let features = rig.take_raw(conn).concat();
    assert!(features.contains("SCRAM-SHA-1<") && !features.contains("PLAIN"), "{features}");
    rig.raw(conn, plain("focus", "geheim").as_bytes());
    assert!(rig.take_raw(conn)[0].contains("<encryption-required/>"));
    rig.raw(conn, scram_first("focus").as_bytes());
    assert!(rig.take_raw(conn)[0].starts_with("<challenge "), "a proof gives nothing away");
}

#[test]
fn strangers_send_little_before_they_are_known() {
    let mut rig = Rig::new();
    let frame = |bytes: usize| {
        let empty = OPEN.len() + " pad=''".len();
        OPEN.replace("/>", &format!(" pad='{}'/>", "x".repeat(bytes - empty)))
    };
    let most = prosody_core::Limits::default().max_login_bytes;
    let conn = rig.open(Transport::WebSocket, SessionQuery::default());
    rig.raw(conn, frame(most).as_bytes());
    assert!(rig.take_raw(conn)[1].contains("ANONYMOUS"));
    rig.raw(conn, frame(most + 1).as_bytes());
    assert!(rig.take_raw(conn)[0].contains("<policy-violation "));
    // Whoever is known may send what clients send.
    let known = rig.authenticated(SessionQuery::default());
    let limit = rig.other.iter().any(
        |o| matches!(o, prosody_core::Output::StanzaLimit { conn, max_bytes: 262_144 } if *conn == known),
    );
    assert!(limit, "the shell is told");
    rig.raw(
        known,
        format!(r#"<iq type="get" id="x"><ping xmlns="urn:xmpp:ping" pad="{}"/></iq>"#, "x".repeat(200_000))
            .as_bytes(),
    );
    assert!(!rig.closed.contains_key(&known));
}

#[test]
fn a_stanza_over_the_limit_costs_its_sender_the_stanza_and_not_the_session() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(2);
    let (anna, ben) = (&clients[0], &clients[1]);
    rig.enable(anna);
    let text = "x".repeat(262_144);
    let back = rig.ask(
        anna,
        &format!(r#"<message to="{ROOM}" type="groupchat" id="long"><body>{text}</body></message>"#),
    );
    assert_eq!(back.len(), 1);
    assert!(
        back[0].contains(r#"type="error""#)
            && back[0].contains(r#"id="long""#)
            && back[0].contains("<policy-violation ")
            && back[0].contains("stanza too large"),
        "{}",
        back[0]
    );
    assert!(rig.take(ben).is_empty());
    // It counts as received: the client would send it again and again.
    assert!(rig.ask(anna, r#"<r xmlns="urn:xmpp:sm:3"/>"#)[0].contains(r#"h="1""#));
    assert!(
        !rig.ask(anna, &format!(r#"<message to="{ROOM}" type="groupchat"><body>short</body></message>"#))
            .is_empty()
    );
    // An answer that is too large is not answered, and what has no readable head is dropped like all that is no XML.
    assert!(rig.ask(anna, &format!(r#"<iq type="result" to="{ROOM}" id="1"><a>{text}</a></iq>"#)).is_empty());
    assert!(rig.ask(anna, &format!("<message a='{text}'/>")).is_empty());
    assert_eq!(rig.server.counters().count(Counter::TooLarge), 3);
    rig.end(&[&focus, anna, ben]);
}

#[test]
fn a_shutdown_says_so() {
    let mut rig = Rig::new();
    let (_, clients) = rig.meeting(2);
    rig.server.handle_shutdown(rig.now);
    rig.raw(clients[0].conn, b" ");
    for c in &clients {
        let back = rig.take(c);
        assert!(back[0].contains("<system-shutdown ") && back[1].starts_with("<close "), "{back:?}");
        assert_eq!(back.len(), 2, "nobody is told who else leaves");
        assert_eq!(rig.closed[&c.conn], CloseReason::Shutdown);
    }
}

#[test]
fn nothing_is_due_for_connections_and_sessions_that_are_gone() {
    let mut rig = Rig::new();
    for _ in 0..10 {
        let conn = rig.open(Transport::WebSocket, SessionQuery::default());
        rig.lose(conn);
    }
    let (focus, clients) = rig.meeting(3);
    for c in &clients {
        rig.enable(c);
        rig.lose(c.conn);
    }
    for c in &clients[..1] {
        let again = rig.authenticated(SessionQuery::default());
        rig.raw(again, format!(r#"<resume xmlns="urn:xmpp:sm:3" h="0" previd="{}"/>"#, c.jid).as_bytes());
        rig.lose(again);
    }
    rig.advance(Duration::from_secs(70));
    rig.end_quietly(&focus);
    assert_eq!(rig.server.poll_timeout(), None);
}

/// Guesses one password after the other, each on a fresh connection, for `time`; returns how many were answered.
fn guess(rig: &mut Rig, peer: &str, user: &str, time: Duration, at_once: usize) -> u64 {
    let before = rig.server.counters().count(Counter::AuthFailed);
    let end = rig.now + time;
    while rig.now < end {
        let conns: Vec<ConnId> = (0..at_once).map(|_| attempt(rig, peer, user, "falsch")).collect();
        rig.advance(Duration::from_millis(100));
        for conn in conns {
            rig.lose(conn);
        }
    }
    rig.server.counters().count(Counter::AuthFailed) - before
}

fn attempt(rig: &mut Rig, peer: &str, user: &str, password: &str) -> ConnId {
    let peer = peer.parse().ok().map(budget::Network::of);
    let conn = rig.open(Transport::Tcp { tls: true }, SessionQuery { peer, ..Default::default() });
    rig.raw(conn, header("auth.meet.jitsi").as_bytes());
    rig.raw(conn, plain(user, password).as_bytes());
    conn
}

fn is_in(rig: &mut Rig, conn: ConnId) -> bool {
    rig.take_raw(conn).iter().any(|f| f.starts_with("<success"))
}

#[test]
fn passwords_are_guessed_slowly_from_one_address_and_from_many() {
    let mut rig = Rig::new();
    let minute = Duration::from_secs(60);
    // 3,000 a second were possible.
    let one = guess(&mut rig, "192.0.2.1", "focus", minute, 20);
    assert!((100..=320).contains(&one), "{one}");
    let mut many = 0;
    let before = rig.server.counters().count(Counter::AuthFailed);
    for n in 0..60_u32 {
        for host in 0..200_u32 {
            let conn = attempt(&mut rig, &format!("10.{n}.{host}.1"), "focus", "falsch");
            rig.lose(conn);
        }
        rig.advance(Duration::from_secs(1));
    }
    many += rig.server.counters().count(Counter::AuthFailed) - before;
    assert!((1_000..=1_400).contains(&many), "{many}");
}

#[test]
fn nobody_locks_an_account_whose_owner_has_been_here_before() {
    let mut rig = Rig::new();
    let home = "198.51.100.7";
    let first = attempt(&mut rig, home, "focus", "geheim");
    assert!(is_in(&mut rig, first));
    for n in 0..2_000_u32 {
        attempt(&mut rig, &format!("10.{}.{}.1", n / 250, n % 250), "focus", "falsch");
    }
    let again = attempt(&mut rig, home, "focus", "geheim");
    assert!(is_in(&mut rig, again), "at once");
}

#[test]
fn a_neighbour_who_guesses_makes_an_owner_wait_and_locks_nobody_out() {
    let mut rig = Rig::new();
    let school = "203.0.113.1";
    for _ in 0..200 {
        attempt(&mut rig, school, "focus", "falsch");
    }
    // Another account is not affected at all, the same one later.
    let jvb = attempt(&mut rig, school, "jvb", "jvbpass");
    assert!(is_in(&mut rig, jvb));
    let owner = attempt(&mut rig, school, "focus", "geheim");
    assert!(!is_in(&mut rig, owner));
    rig.advance(Duration::from_secs(45));
    assert!(is_in(&mut rig, owner));
}

#[test]
fn who_gives_up_waiting_makes_the_line_shorter() {
    let mut rig = Rig::new();
    for _ in 0..1_000 {
        let conn = attempt(&mut rig, "192.0.2.1", "focus", "falsch");
        rig.lose(conn);
    }
    let owner = attempt(&mut rig, "192.0.2.1", "focus", "geheim");
    rig.advance(Duration::from_secs(1));
    assert!(is_in(&mut rig, owner));
}

#[test]
fn whoever_waits_for_its_turn_waits_quietly() {
    let mut rig = Rig::new();
    for _ in 0..50 {
        attempt(&mut rig, "192.0.2.1", "focus", "falsch");
    }
    let hasty = attempt(&mut rig, "192.0.2.1", "focus", "falsch");
    rig.raw(hasty, plain("focus", "geheim").as_bytes());
    assert!(rig.closed.contains_key(&hasty), "one question at a time");
    let patient = attempt(&mut rig, "192.0.2.1", "focus", "geheim");
    rig.raw(patient, br#"<abort xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>"#);
    assert!(rig.take_raw(patient).last().unwrap().contains("<aborted/>"));
}

#[test]
fn a_school_of_three_hundred_with_passwords_logs_in_at_once() {
    let mut rig = Rig::with(|c| {
        c.hosts.users[0].login = Login::Accounts;
        for n in 0..300 {
            let account = format!("pupil{n}@meet.jitsi").parse().unwrap();
            let password = format!("secret{n}");
            *c = c.clone().with_account(account, password);
        }
    });
    for n in 0..300 {
        let peer = "203.0.113.1".parse().ok().map(budget::Network::of);
        let conn = rig.open(Transport::WebSocket, SessionQuery { peer, ..Default::default() });
        rig.raw(conn, OPEN.as_bytes());
        // One in five mistypes first.
        if n % 5 == 0 {
            rig.raw(conn, plain(&format!("pupil{n}"), "secret").as_bytes());
        }
        rig.raw(conn, plain(&format!("pupil{n}"), &format!("secret{n}")).as_bytes());
        assert!(is_in(&mut rig, conn), "{n}");
    }
}

#[test]
fn sessions_of_one_address_are_bounded_also_when_they_wait_to_be_resumed() {
    let mut rig = Rig::with(|c| c.limits.max_sessions_per_address = 3);
    let from =
        |peer: &str| SessionQuery { peer: peer.parse().ok().map(budget::Network::of), ..Default::default() };
    for _ in 0..3 {
        let c = rig.client_with(from("192.0.2.1"));
        rig.enable(&c);
        rig.lose(c.conn);
    }
    let bind = br#"<iq xmlns="jabber:client" type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>"#;
    let fourth = rig.authenticated(from("192.0.2.1"));
    rig.raw(fourth, bind);
    assert!(rig.take_raw(fourth)[0].contains("<resource-constraint "));
    // Neighbours, and the machine itself, are not concerned.
    rig.client_with(from("192.0.2.2"));
    for _ in 0..4 {
        rig.client();
    }
    rig.advance(Duration::from_secs(30));
    rig.raw(fourth, bind);
    assert!(rig.take_raw(fourth)[0].contains("<resource-constraint "));
    rig.advance(Duration::from_secs(40));
    let late = rig.authenticated(from("192.0.2.1"));
    rig.raw(late, bind);
    assert!(rig.take_raw(late).concat().contains("<jid>"), "places come back");
}

#[test]
fn all_sessions_together_are_bounded() {
    let mut rig = Rig::with(|c| c.limits.max_sessions = 2);
    rig.client();
    rig.client();
    let third = rig.authenticated(SessionQuery::default());
    rig.raw(third, br#"<iq xmlns="jabber:client" type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>"#);
    assert!(rig.take_raw(third)[0].contains("<resource-constraint "));
    rig.focus();
}
