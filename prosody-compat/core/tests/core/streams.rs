//! Streams: framing, features, login, bind, resumption and their ends, on every transport.

use std::time::Duration;

use jitsi_xmpp::Sensitive;
use jitsi_xmpp::sasl::{Hash, ScramClient};
use prosody_core::{
    CloseReason, Counter, FramingError, Limits, Login, Output, SessionQuery, Transport, UsersHost,
};

use crate::rig::{Client, OPEN, ROOM, Rig, between, parse};

const CLOSE: &str = r#"<close xmlns="urn:ietf:params:xml:ns:xmpp-framing" />"#;

fn tcp_header(to: &str) -> String {
    format!(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='{to}' version='1.0'>"
    )
    .split_once("?>")
    .unwrap()
    .1
    .to_owned()
}

fn plain(user: &str, password: &str) -> String {
    use base64::Engine as _;
    let data = base64::engine::general_purpose::STANDARD.encode(format!("\0{user}\0{password}"));
    format!(r#"<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">{data}</auth>"#)
}

#[test]
fn compat_websocket_frames_are_what_the_client_library_wants() {
    let mut rig = Rig::new();
    let conn = rig.open(Transport::WebSocket, SessionQuery::default());
    rig.raw(conn, OPEN.as_bytes());
    let back = rig.take_raw(conn);
    assert!(back[0].starts_with("<open ") && back[0].contains(r#"version="1.0""#));
    assert!(back[1].contains(r#"xmlns:stream="http://etherx.jabber.org/streams""#));
    assert!(
        back[1].contains("<mechanism>ANONYMOUS</mechanism>")
            && back[1].contains("<max-bytes>262144</max-bytes>")
    );
    rig.raw(conn, br#"<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="ANONYMOUS"/>"#);
    assert_eq!(rig.take_raw(conn), [r#"<success xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>"#]);
    rig.raw(conn, OPEN.as_bytes());
    let back = rig.take_raw(conn);
    assert!(back[1].contains("urn:ietf:params:xml:ns:xmpp-bind") && back[1].contains("urn:xmpp:sm:3"));
    rig.raw(conn, br#"<iq xmlns="jabber:client" type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>"#);
    let back = rig.take_raw(conn);
    assert!(
        back[0].starts_with("<message "),
        "the push is the first message and comes before the bind result"
    );
    let push = parse(&back[0]);
    let query = push.child("query", jitsi_xmpp::ns::DISCO_INFO).unwrap();
    let components: Vec<_> = query
        .children()
        .filter(|i| i.attr("category") == Some("component"))
        .map(|i| i.attr("type").unwrap())
        .collect();
    let expected = [
        "speakerstats",
        "end_conference",
        "av_moderation",
        "room_metadata",
        "polls",
        "lobbyrooms",
        "breakout_rooms",
    ];
    assert_eq!(components, expected, "only what exists is advertised");
    let jid = between(&back[1], "<jid>", "</jid>").unwrap();
    let node = jid.split('@').next().unwrap();
    assert!(
        node.len() == 36
            && node.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b) || b == b'-')
    );
    rig.raw(conn, br#"<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>"#);
    assert_eq!(rig.take_raw(conn), [CLOSE], "compared literally by clients");
    assert_eq!(rig.closed[&conn], CloseReason::ClientClosed);
    rig.assert_empty();
}

#[test]
fn compat_a_role_logs_in_over_tcp_after_starttls() {
    let mut rig = Rig::new();
    let conn = rig.open(Transport::Tcp { tls: false }, SessionQuery::default());
    rig.raw(conn, tcp_header("auth.meet.jitsi").as_bytes());
    let back = rig.take_raw(conn);
    assert!(back[0].starts_with("<?xml") && back[0].contains("<stream:stream ") && !back[0].ends_with("/>"));
    assert!(back[1].contains("<required/>") && !back[1].contains("mechanism"), "no passwords before TLS");
    rig.raw(conn, plain("focus", "geheim").as_bytes());
    assert!(rig.take_raw(conn)[0].contains("<encryption-required/>"));
    rig.raw(conn, br#"<starttls xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>"#);
    assert!(rig.take_raw(conn)[0].starts_with("<proceed "));
    assert_eq!(rig.other.pop(), Some(Output::StartTls { conn }));
    rig.server.handle_tls(rig.now, conn);
    rig.raw(conn, tcp_header("auth.meet.jitsi").as_bytes());
    assert!(rig.take_raw(conn)[1].contains("<mechanism>PLAIN</mechanism>"));
    rig.raw(conn, plain("focus", "falsch").as_bytes());
    assert!(
        rig.take_raw(conn)[0].contains("<not-authorized/><text>"),
        "compat: the text follows the condition"
    );
    rig.raw(conn, plain("focus", "geheim").as_bytes());
    assert!(rig.take_raw(conn)[0].starts_with("<success"));
    assert!(rig.other.contains(&Output::ResetStream { conn }));
    assert!(rig.other.iter().any(|o| matches!(o, Output::StanzaLimit { max_bytes: 10_485_760, .. })));
    rig.raw(conn, tcp_header("auth.meet.jitsi").as_bytes());
    rig.take_raw(conn);
    rig.raw(conn, br#"<iq type="set" id="1"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"><resource>focus</resource></bind></iq>"#);
    let back = rig.take_raw(conn);
    assert!(back.iter().any(|f| f.contains("<jid>focus@auth.meet.jitsi/focus</jid>")));
    rig.raw(conn, b"</stream:stream>");
    assert_eq!(rig.take_raw(conn), ["</stream:stream>"]);
    rig.assert_empty();
}

/// One SCRAM login; the frames that came back.
fn scram(rig: &mut Rig, hash: Hash, user: &str, password: &str) -> Vec<String> {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let conn = rig.open(Transport::Tcp { tls: true }, SessionQuery::default());
    rig.raw(conn, tcp_header("auth.meet.jitsi").as_bytes());
    let mechanism = hash.mechanism();
    assert!(rig.take_raw(conn)[1].contains(&format!("<mechanism>{mechanism}</mechanism>")));
    let client = ScramClient::new(hash, user, Sensitive::new(password.into()), "fyko+d2lbbFgONRv9qkxdawL");
    let first = STANDARD.encode(client.first());
    rig.raw(
        conn,
        format!(r#"<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="{mechanism}">{first}</auth>"#)
            .as_bytes(),
    );
    let back = rig.take_raw(conn);
    let Some(challenge) = between(&back[0], "<challenge xmlns=\"urn:ietf:params:xml:ns:xmpp-sasl\">", "<")
    else {
        rig.lose(conn);
        return back;
    };
    let (last, answer) = client.respond(&STANDARD.decode(challenge).unwrap()).unwrap();
    rig.raw(
        conn,
        format!(
            r#"<response xmlns="urn:ietf:params:xml:ns:xmpp-sasl">{}</response>"#,
            STANDARD.encode(answer)
        )
        .as_bytes(),
    );
    let back = rig.take_raw(conn);
    if let Some(proof) = between(&back[0], "<success xmlns=\"urn:ietf:params:xml:ns:xmpp-sasl\">", "<") {
        last.verify(&STANDARD.decode(proof).unwrap()).unwrap();
    }
    rig.lose(conn);
    back
}

#[test]
fn scram_proves_both_sides() {
    let mut rig = Rig::new();
    for hash in [Hash::Sha1, Hash::Sha256, Hash::Sha1] {
        assert!(scram(&mut rig, hash, "focus", "geheim")[0].starts_with("<success"));
        assert!(scram(&mut rig, hash, "focus", "falsch")[0].contains("<not-authorized/>"));
    }
    assert!(scram(&mut rig, Hash::Sha1, "nobody", "x")[0].contains("<not-authorized/>"));
    rig.assert_empty();
}

#[test]
fn a_scram_answer_without_question_is_refused() {
    let mut rig = Rig::new();
    let conn = rig.open(Transport::Tcp { tls: true }, SessionQuery::default());
    rig.raw(conn, tcp_header("auth.meet.jitsi").as_bytes());
    rig.take_raw(conn);
    for (frame, error) in [
        (r#"<response xmlns="urn:ietf:params:xml:ns:xmpp-sasl">YQ==</response>"#, "malformed-request"),
        (
            r#"<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="SCRAM-SHA-1">YQ==</auth>"#,
            "malformed-request",
        ),
        (
            r#"<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="SCRAM-SHA-1">*</auth>"#,
            "incorrect-encoding",
        ),
    ] {
        rig.raw(conn, frame.as_bytes());
        assert!(rig.take_raw(conn)[0].contains(error), "{frame}");
    }
    rig.lose(conn);
    rig.assert_empty();
}

#[test]
fn a_host_that_is_not_served_is_refused() {
    let mut rig = Rig::new();
    let conn = rig.open(Transport::WebSocket, SessionQuery::default());
    rig.raw(conn, OPEN.replace("meet.jitsi", "muc.meet.jitsi").as_bytes());
    let back = rig.take_raw(conn);
    assert!(back[1].contains("<host-unknown ") && back[2] == CLOSE);
    assert_eq!(rig.closed[&conn], CloseReason::HostUnknown);
    rig.assert_empty();
}

#[test]
fn bosh_gets_bare_stanzas_and_no_stream_headers() {
    let mut rig = Rig::new();
    let conn = rig.open(Transport::Bosh, SessionQuery::default());
    rig.raw(conn, OPEN.as_bytes());
    let back = rig.take_raw(conn);
    assert!(back.len() == 1 && back[0].starts_with("<stream:features ") && !back[0].contains("limits"));
    rig.raw(conn, br#"<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="ANONYMOUS"/>"#);
    rig.raw(conn, OPEN.as_bytes());
    rig.raw(conn, br#"<iq id="_bind_auth_2" type="set" xmlns="jabber:client"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>"#);
    let back = rig.take_raw(conn);
    assert!(back.iter().all(|f| !f.contains("<open")) && back.last().unwrap().contains("<jid>"));
    rig.raw(conn, br#"<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>"#);
    assert!(rig.take_raw(conn).is_empty());
    rig.assert_empty();
}

#[test]
fn with_passwords_guests_come_in_through_their_own_host() {
    let mut rig = Rig::with(|c| {
        let main = &mut c.hosts.users[0];
        let guests = UsersHost { domain: "guest.meet.jitsi".into(), ..main.clone() };
        main.login = Login::Accounts;
        c.hosts.users.push(guests);
        *c = c.clone().with_account("anna@meet.jitsi".parse().unwrap(), "pw");
    });
    let conn = rig.open(Transport::WebSocket, SessionQuery::default());
    rig.raw(conn, OPEN.as_bytes());
    assert!(rig.take_raw(conn)[1].contains("PLAIN"));
    rig.raw(conn, br#"<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="ANONYMOUS"/>"#);
    assert!(rig.take_raw(conn)[0].contains("<invalid-mechanism/>"));
    rig.raw(conn, plain("anna", "pw").as_bytes());
    assert!(rig.take_raw(conn)[0].starts_with("<success"));
    let guest = rig.open(Transport::WebSocket, SessionQuery::default());
    rig.raw(guest, OPEN.replace("meet.jitsi", "guest.meet.jitsi").as_bytes());
    assert!(rig.take_raw(guest)[1].contains("ANONYMOUS"));
    rig.lose(conn);
    rig.lose(guest);
    rig.assert_empty();
}

#[test]
fn stanzas_before_bind_reach_nobody() {
    let mut rig = Rig::new();
    let conn = rig.authenticated(SessionQuery::default());
    rig.raw(conn, format!(r#"<presence to="{ROOM}/abc"/>"#).as_bytes());
    assert!(rig.take_raw(conn)[0].contains("<not-allowed "));
    let unauthenticated = rig.open(Transport::WebSocket, SessionQuery::default());
    rig.raw(unauthenticated, br#"<message xmlns="jabber:client" to="focus@auth.meet.jitsi"/>"#);
    assert!(rig.take_raw(unauthenticated)[1].contains("<not-authorized "));
    rig.lose(conn);
    rig.assert_empty();
}

fn resume(rig: &mut Rig, previd: &str, h: u32) -> (prosody_core::ConnId, Vec<String>) {
    let query = SessionQuery { previd: Some(Sensitive::new(previd.into())), ..Default::default() };
    let conn = rig.authenticated(query);
    rig.raw(conn, format!(r#"<resume xmlns="urn:xmpp:sm:3" h="{h}" previd="{previd}"/>"#).as_bytes());
    let back = rig.take_raw(conn);
    (conn, back)
}

#[test]
fn a_lost_client_resumes_and_gets_what_it_missed_in_order() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(2);
    let (anna, ben) = (&clients[0], &clients[1]);
    let id = rig.enable(anna);
    rig.lose(anna.conn);
    assert_eq!(rig.server.stats().hibernating, 1);
    for text in ["one", "two"] {
        rig.send(
            ben,
            &format!(r#"<message to="{ROOM}" type="groupchat" id="{text}"><body>{text}</body></message>"#),
        );
    }
    rig.advance(Duration::from_secs(65));
    assert!(rig.take(ben).iter().all(|f| !f.contains("unavailable")), "nobody sees it leave");
    let (conn, back) = resume(&mut rig, &id, 0);
    assert_eq!(back[0], format!(r#"<resumed xmlns="urn:xmpp:sm:3" h="0" previd="{id}"/>"#));
    assert!(back[1].contains("one") && back[1].contains(r#"<delay xmlns="urn:xmpp:delay" from="#));
    assert!(back[2].contains("two") && back[3].starts_with("<r "));
    rig.raw(conn, br#"<a xmlns="urn:xmpp:sm:3" h="2"/>"#);
    let anna = Client { conn, ..anna.clone() };
    assert!(
        rig.ask(&anna, &format!(r#"<message to="{ROOM}" type="groupchat"><body>back</body></message>"#))[0]
            .contains("back")
    );
    assert_eq!(rig.ask(&anna, r#"<r xmlns="urn:xmpp:sm:3"/>"#), [r#"<a xmlns="urn:xmpp:sm:3" h="1"/>"#]);
    rig.end(&[&focus, &anna, ben]);
}

/// XEP-0198 §5: who asks for less than the server would give gets that.
#[test]
fn a_session_that_asks_for_a_second_is_missed_after_a_second() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(3);
    let [short, long, stays] = &clients[..] else { panic!() };
    for (client, max, told) in [(short, "1", 1), (long, "4000", 70)] {
        let back = rig.ask(client, &format!(r#"<enable xmlns="urn:xmpp:sm:3" resume="true" max="{max}"/>"#));
        assert!(back[0].contains(&format!("max=\"{told}\"")), "{back:?}");
        rig.lose(client.conn);
    }
    rig.advance(Duration::from_millis(999));
    assert_eq!(rig.server.stats().hibernating, 2);
    rig.advance(Duration::from_millis(1));
    assert_eq!(rig.server.stats().hibernating, 1);
    assert!(rig.take(stays).iter().any(|f| f.contains("unavailable") && f.contains(&short.nick)));
    rig.advance(Duration::from_millis(68_999));
    assert_eq!(rig.server.stats().hibernating, 1);
    rig.advance(Duration::from_millis(1));
    assert_eq!(rig.server.stats().hibernating, 0);
    rig.end(&[&focus, stays]);
}

#[test]
fn a_wish_for_no_time_or_nonsense_is_none() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(2);
    for (client, max) in clients.iter().zip(["0", "soon"]) {
        let back = rig.ask(client, &format!(r#"<enable xmlns="urn:xmpp:sm:3" resume="true" max="{max}"/>"#));
        assert!(back[0].contains("max=\"70\""), "{back:?}");
    }
    rig.end(&[&focus, &clients[0], &clients[1]]);
}

#[test]
fn resuming_takes_over_from_a_connection_that_still_is_open() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(1);
    let id = rig.enable(&clients[0]);
    let (conn, back) = resume(&mut rig, &id, 0);
    assert!(back[0].starts_with("<resumed "));
    assert_eq!(rig.closed[&clients[0].conn], CloseReason::Replaced);
    rig.lose(clients[0].conn);
    assert_eq!(rig.server.stats().sessions, 2, "the late news of the old connection changes nothing");
    rig.end(&[&focus, &Client { conn, ..clients[0].clone() }]);
}

#[test]
fn after_seventy_seconds_a_lost_client_leaves_and_cannot_resume() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(2);
    let id = rig.enable(&clients[0]);
    rig.lose(clients[0].conn);
    rig.advance(Duration::from_millis(69_999));
    assert!(rig.take(&clients[1]).is_empty());
    rig.advance(Duration::from_millis(1));
    let gone = rig.take(&clients[1]);
    assert!(
        gone.len() == 1 && gone[0].contains(r#"type="unavailable""#) && gone[0].contains(&clients[0].nick)
    );
    let (conn, back) = resume(&mut rig, &id, 0);
    assert_eq!(
        back,
        [
            r#"<failed xmlns="urn:xmpp:sm:3"><item-not-found xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></failed>"#
        ]
    );
    rig.raw(conn, br#"<iq xmlns="jabber:client" type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>"#);
    assert!(rig.take_raw(conn).last().unwrap().contains("<jid>"), "the stream can still be bound");
    rig.lose(conn);
    rig.end(&[&focus, &clients[1]]);
}

#[test]
fn without_the_resumption_id_nobody_takes_over_a_session() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(1);
    let id = rig.enable(&clients[0]);
    rig.lose(clients[0].conn);
    // Another user who knows the id but did not log in with it is somebody else.
    let conn = rig.authenticated(SessionQuery::default());
    rig.raw(conn, format!(r#"<resume xmlns="urn:xmpp:sm:3" h="0" previd="{id}"/>"#).as_bytes());
    assert!(rig.take_raw(conn)[0].contains("item-not-found"));
    rig.lose(conn);
    rig.advance(Duration::from_secs(70));
    rig.end(&[&focus]);
}

#[test]
fn a_client_without_stream_management_leaves_at_once_when_lost() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(2);
    rig.lose(clients[0].conn);
    assert!(rig.take(&clients[1])[0].contains("unavailable"));
    rig.end(&[&focus, &clients[1]]);
}

#[test]
fn acknowledging_what_was_never_sent_ends_only_the_own_stream() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(2);
    rig.enable(&clients[0]);
    let back = rig.ask(&clients[0], r#"<a xmlns="urn:xmpp:sm:3" h="1000"/>"#);
    assert!(back[0].contains("undefined-condition") && back[0].contains("handled-count-too-high"));
    assert_eq!(rig.closed[&clients[0].conn], CloseReason::StreamError);
    rig.end(&[&focus, &clients[1]]);
}

#[test]
fn compat_enabling_is_always_answered() {
    let mut rig = Rig::new();
    let c = rig.client();
    rig.enable(&c);
    assert!(
        rig.ask(&c, r#"<enable xmlns="urn:xmpp:sm:3" resume="true"/>"#)[0].contains("unexpected-request")
    );
    let early = rig.authenticated(SessionQuery::default());
    rig.raw(early, br#"<enable xmlns="urn:xmpp:sm:3" resume="true"/>"#);
    assert!(rig.take_raw(early)[0].starts_with("<failed"));
    rig.lose(early);
    rig.end(&[&c]);
}

#[test]
fn a_second_login_with_the_same_address_replaces_the_first() {
    let mut rig = Rig::new();
    let first = rig.focus();
    rig.join(&first);
    let second = rig.focus();
    assert_eq!(rig.closed[&first.conn], CloseReason::Replaced);
    assert_eq!((rig.server.stats().sessions, rig.server.stats().rooms), (1, 0));
    rig.end(&[&second]);
}

#[test]
fn who_does_not_log_in_in_time_is_closed() {
    let mut rig = Rig::new();
    let conn = rig.open(Transport::Tcp { tls: true }, SessionQuery::default());
    rig.advance(Limits::default().login_timeout - Duration::from_millis(1));
    assert!(rig.closed.is_empty());
    rig.advance(Duration::from_millis(1));
    assert_eq!(rig.closed[&conn], CloseReason::Timeout);
    rig.assert_empty();
}

#[test]
fn a_silent_client_is_asked_and_then_hibernates() {
    let mut rig = Rig::new();
    let c = rig.client();
    rig.enable(&c);
    let (limits, moment) = (Limits::default(), Duration::from_secs(1));
    rig.advance(limits.idle - moment);
    assert!(rig.take(&c).is_empty());
    rig.advance(moment);
    assert_eq!(rig.take(&c), [r#"<r xmlns="urn:xmpp:sm:3"/>"#]);
    rig.send(&c, " ");
    rig.advance(limits.idle + limits.idle_answer - moment);
    assert!(rig.closed.is_empty());
    rig.advance(moment);
    assert_eq!(rig.closed[&c.conn], CloseReason::Timeout);
    assert_eq!(rig.server.stats().hibernating, 1);
    rig.advance(Duration::from_secs(70));
    rig.assert_empty();
}

#[test]
fn broken_framing_ends_the_stream_with_an_error() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(2);
    rig.server.handle_framing_error(rig.now, clients[0].conn, FramingError::TooLarge);
    rig.raw(clients[1].conn, b" ");
    let back = rig.take(&clients[0]);
    assert!(back[0].contains("<policy-violation ") && back[1] == CLOSE);
    assert_eq!(rig.server.counters().count(Counter::TooLarge), 1);
    rig.end(&[&focus, &clients[1]]);
}

#[test]
fn host_requests_are_answered() {
    let mut rig = Rig::new();
    let c = rig.client();
    let get = |rig: &mut Rig, to: &str, payload: &str| {
        rig.ask(&c, &format!(r#"<iq xmlns="jabber:client" type="get" id="1"{to}>{payload}</iq>"#))
            .pop()
            .unwrap()
    };
    for payload in [
        r#"<ping xmlns="urn:xmpp:ping"/>"#,
        r#"<query xmlns="jabber:iq:version"/>"#,
        r#"<query xmlns="jabber:iq:roster"/>"#,
        r#"<query xmlns="http://jabber.org/protocol/disco#info"/>"#,
        r#"<query xmlns="http://jabber.org/protocol/disco#items"/>"#,
        r#"<services xmlns="urn:xmpp:extdisco:2"/>"#,
        r#"<services xmlns="urn:xmpp:extdisco:1"/>"#,
    ] {
        let back = get(&mut rig, r#" to="meet.jitsi""#, payload);
        assert!(back.contains(r#"type="result""#) && back.contains(r#"from="meet.jitsi""#), "{back}");
    }
    assert!(get(&mut rig, "", r#"<query xmlns="jabber:iq:roster"/>"#).contains(r#"type="result""#));
    let back = get(&mut rig, r#" to="meet.jitsi""#, r#"<vCard xmlns="vcard-temp"/>"#);
    assert!(back.contains(r#"<service-unavailable xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/>"#));
    let back =
        get(&mut rig, r#" to="muc.meet.jitsi""#, r#"<query xmlns="http://jabber.org/protocol/disco#info"/>"#);
    assert!(back.contains(r#"var="http://jabber.org/protocol/muc""#), "the focus looks for this");
    assert!(get(&mut rig, r#" to="example.org""#, "<x xmlns='y'/>").contains("not-allowed"));
    assert!(get(&mut rig, r#" to="a@@b""#, "<x xmlns='y'/>").contains("jid-malformed"));
    let back = rig.ask(
        &c,
        r#"<iq xmlns="jabber:client" type="get" to="meet.jitsi"><ping xmlns="urn:xmpp:ping"/></iq>"#,
    );
    assert!(back[0].contains("bad-request"));
    rig.end(&[&c]);
}
