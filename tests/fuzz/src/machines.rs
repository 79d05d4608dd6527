//! Whole cores, driven by frames of strangers: sequences of inputs in, broken promises out.

use std::time::{Duration, Instant};

use focus_core::{Focus, HttpRequestId};
use jitsi_xmpp::entropy::SeededEntropy;
use jitsi_xmpp::{Element, ns, xml};
use prosody_core::bosh::body::Body;
use prosody_core::bosh::engine::{Effect, Engine};
use prosody_core::{ConnId, Output, Server, SessionQuery, Transport};

/// Between frames; no XML has it, no UTF-8 either.
const FRAME: u8 = 0xff;

/// A connection from outside: nothing of a session reaches it before it has logged in, its host is the one where it did, and nothing
/// is left of it.
pub fn z18_xmpp_stream(data: &[u8]) {
    let now = Instant::now();
    let mut config = prosody_core::Config::for_domain("meet.jitsi").expect("a domain");
    // Where else one might go.
    config.hosts.users.push(prosody_core::UsersHost {
        domain: "town.example".to_owned(),
        ..config.hosts.users.first().cloned().expect("the main host")
    });
    let mut server = Server::new(config, Box::new(SeededEntropy::new(1)), now);
    let conn = ConnId(1);
    server.handle_open(now, conn, Transport::WebSocket, SessionQuery::default());
    let (mut logged_in, mut closed) = (false, false);
    let mut host: Option<String> = None;
    for frame in data.split(|b| *b == FRAME).take(32) {
        if !closed {
            server.handle_frame(now, conn, frame);
        }
        while let Some(output) = server.poll_output() {
            match output {
                Output::Send { frame, .. } => {
                    let text = String::from_utf8_lossy(&frame.pieces().concat()).into_owned();
                    let e = xml::parse(text.as_bytes()).expect("what is sent can be read");
                    logged_in |= e.is("success", ns::SASL);
                    if e.name() == "open" && !logged_in {
                        host = e.attr("from").map(str::to_owned);
                    }
                    let bound = e.child("bind", ns::BIND).and_then(|b| b.child_named("jid"));
                    if let Some(jid) = bound.map(Element::text) {
                        let domain = jid.split(['@', '/']).nth(1);
                        assert_eq!(domain, host.as_deref(), "another host than where it logged in");
                    }
                    assert!(logged_in || !e.is_stanza(), "before login: {text}");
                }
                Output::Close { .. } => closed = true,
                _ => {}
            }
        }
    }
    if !closed {
        server.handle_closed(now, conn);
    }
    let later = now + Duration::from_secs(600);
    while server.poll_timeout().is_some_and(|t| t <= later) {
        server.handle_timeout(later);
        while server.poll_output().is_some() {}
    }
    let stats = server.stats();
    assert_eq!((stats.connections, stats.sessions, stats.occupants), (0, 0, 0), "nothing is left");
}

fn focus(now: Instant) -> Focus {
    let mut focus = Focus::new(
        focus_core::Config::for_domain("meet.jitsi").expect("a domain"),
        Box::new(SeededEntropy::new(1)),
    );
    focus.handle_link_up(now, "focus@auth.meet.jitsi/focus".parse().expect("an address"), false);
    focus
}

/// Bodies of the conference request: each is answered once, in time.
pub fn z22_conference_request(data: &[u8]) {
    let start = Instant::now();
    let mut focus = focus(start);
    let mut asked: Vec<u64> = Vec::new();
    let mut answered: Vec<u64> = Vec::new();
    for (n, body) in (0..).zip(data.split(|b| *b == FRAME).take(8)) {
        focus.handle_http_request(start, HttpRequestId(n), somebody(), body);
        asked.push(n);
    }
    for second in 0..=60 {
        focus.handle_timeout(start + Duration::from_secs(second));
        while let Some(output) = focus.poll_output() {
            if let focus_core::Output::HttpReply { request, reply } = output {
                assert!(matches!(reply.status, 200 | 400 | 403 | 429), "{}", reply.status);
                answered.push(request.0);
            }
        }
    }
    answered.sort_unstable();
    assert_eq!(asked, answered);
}

/// Stanzas of anybody, as the XMPP server hands them to the focus: what it sends is XML, and every request is answered.
pub fn z24_focus(data: &[u8]) {
    let now = Instant::now();
    let mut focus = focus(now);
    focus.handle_http_request(now, HttpRequestId(1), somebody(), br#"{"room":"rathaus@muc.meet.jitsi"}"#);
    for frame in data.split(|b| *b == FRAME).take(32) {
        let Ok(mut e) = xml::parse_with(frame, ns::CLIENT, &xml::XmlLimits::default()) else { continue };
        e.set_attr("from", "rathaus@muc.meet.jitsi/a1b2c3d4");
        let request = e.is("iq", ns::CLIENT) && matches!(e.attr("type"), Some("get" | "set"));
        e.set_attr("id", "asked");
        focus.handle_stanza(now, &e);
        let mut answers = 0;
        while let Some(output) = focus.poll_output() {
            if let focus_core::Output::Send(sent) = output {
                let again = xml::parse(sent.to_xml().as_bytes()).expect("what is sent can be read");
                answers += usize::from(is_answer(&again));
            }
        }
        // The answer to a conference request comes when the room is joined.
        let later = e.first_child().is_some_and(|c| c.is("conference", ns::FOCUS));
        assert!(answers == usize::from(request) || later && answers == 0, "{answers} answers");
    }
}

fn is_answer(e: &Element) -> bool {
    e.name() == "iq" && matches!(e.attr("type"), Some("result" | "error")) && e.attr("id") == Some("asked")
}

fn somebody() -> focus_core::Network {
    focus_core::Network::of([192, 0, 2, 1].into())
}

/// Bodies of one BOSH session, and frames of the server in between: each request is answered at most once, every one of
/// them when the session is over, what goes to the client is a `<body/>` with all that the server said, in order.
pub fn z21_bosh(data: &[u8]) {
    let mut now = Instant::now();
    let mut bodies = data.split(|b| *b == FRAME).take(32).enumerate();
    let Some(first) = bodies.next().and_then(|(_, b)| Body::read(b).ok()) else { return };
    let Ok(mut engine) = Engine::new(now, "s1".into(), first, 0) else { return };
    let (mut asked, mut answered, mut told, mut said) = (vec![0], Vec::new(), 0, 0);
    let mut over = false;
    let mut look = |engine: &mut Engine<usize>, over: &mut bool| {
        while let Some(effect) = engine.poll_effect() {
            match effect {
                Effect::Answer(request, bytes) => {
                    assert!(!answered.contains(&request), "answered twice");
                    answered.push(request);
                    let body = xml::parse(&bytes).expect("what is sent can be read");
                    assert!(body.is("body", ns::HTTP_BIND), "{}", body.name());
                    for e in body.children().filter(|e| e.name() == "message") {
                        let n: usize = e.attr("id").and_then(|i| i.parse().ok()).expect("ours");
                        // An answer that is sent again is the same as before.
                        assert!(n <= told, "out of order");
                        told = told.max(n + 1);
                    }
                }
                Effect::Frame(frame) => assert!(!*over && !frame.is_empty(), "after the end"),
                Effect::Closed { .. } => *over = true,
            }
        }
        answered.len()
    };
    look(&mut engine, &mut over);
    for (n, body) in bodies {
        if let Ok(body) = Body::read(body) {
            asked.push(n);
            engine.handle_request(now, body, n);
        } else if !over {
            let frame = format!("<message xmlns='jabber:client' id='{said}'/>");
            said += 1;
            engine.handle_frame(now, frame.into_bytes().into());
            engine.flush(now);
        }
        look(&mut engine, &mut over);
        now += Duration::from_secs(3);
        if engine.poll_timeout().is_some_and(|t| t <= now) {
            engine.handle_timeout(now);
        }
    }
    engine.handle_server_closed(now, None);
    for _ in 0..64 {
        now += Duration::from_secs(10);
        engine.handle_timeout(now);
    }
    assert_eq!(look(&mut engine, &mut over), asked.len(), "everybody who asked has an answer");
    assert!(over, "the session is over");
}
