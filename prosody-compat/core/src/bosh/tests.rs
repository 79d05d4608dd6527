//! The BOSH engine and its bodies, with request numbers standing for HTTP requests.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::body::{Body, Condition};
use super::engine::{Effect, Engine};
use super::limits;

const NS: &str = "http://jabber.org/protocol/httpbind";

fn body(attrs: &str, content: &str) -> Body {
    Body::read(format!("<body xmlns='{NS}' {attrs}>{content}</body>").as_bytes()).unwrap()
}

fn refusal(bytes: &[u8]) -> Condition {
    Body::read(bytes).unwrap_err()
}

/// An engine whose creation was rid 100 and request 0, and which has answered that.
fn opened(now: Instant) -> Engine<u32> {
    let mut e =
        Engine::new(now, "s1".into(), body("rid='100' to='meet.jitsi' wait='60' hold='1'", ""), 0).unwrap();
    effects(&mut e);
    e.handle_frame(now, frame("<stream:features/>"));
    e.flush(now);
    assert_eq!(answers(&mut e).len(), 1);
    e
}

fn frame(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn effects(e: &mut Engine<u32>) -> Vec<Effect<u32>> {
    std::iter::from_fn(|| e.poll_effect()).collect()
}

fn answers(e: &mut Engine<u32>) -> Vec<(u32, String)> {
    effects(e)
        .into_iter()
        .filter_map(|f| match f {
            Effect::Answer(r, bytes) => Some((r, String::from_utf8(bytes.to_vec()).unwrap())),
            _ => None,
        })
        .collect()
}

fn frames(effects: &[Effect<u32>]) -> Vec<String> {
    effects
        .iter()
        .filter_map(|f| match f {
            Effect::Frame(bytes) => Some(String::from_utf8(bytes.to_vec()).unwrap()),
            _ => None,
        })
        .collect()
}

fn poll(e: &mut Engine<u32>, now: Instant, rid: u64, request: u32) {
    e.handle_request(now, body(&format!("rid='{rid}' sid='s1'"), ""), request);
}

#[test]
fn a_body_is_read_with_its_stanzas_as_written() {
    let b = body("rid='7' sid='x'", "<iq id='1' xmlns='jabber:client'/> <presence><x a='>'/></presence>");
    assert_eq!((b.rid, b.sid.as_deref()), (7, Some("x")));
    assert_eq!(
        b.stanzas,
        [frame("<iq id='1' xmlns='jabber:client'/>"), frame("<presence><x a='>'/></presence>")]
    );
    let b = Body::read(b"<?xml version='1.0'?><body rid='1' xmlns='http://jabber.org/protocol/httpbind' xmlns:q='urn:xmpp:xbosh' q:restart='true'/>").unwrap();
    assert!(b.restart && !b.is_poll());
}

/// The page-unload beacon has no namespace at all.
#[test]
fn compat_a_beacon_body_without_namespace_is_accepted() {
    let b = Body::read(b"<body rid='1' sid='s' type=\"terminate\"><presence type=\"unavailable\"/></body>")
        .unwrap();
    assert!(b.terminate);
    assert_eq!(b.stanzas, [frame("<presence type=\"unavailable\"/>")]);
}

#[test]
fn what_is_not_a_body_is_a_bad_request() {
    for bad in [
        "",
        "<body/>",
        "<body rid='x'/>",
        "<body rid='-1'/>",
        "<iq rid='1'/>",
        "<body rid='1'>",
        "not xml",
        "<body rid='1'/><body rid='2'/>",
        "<body rid='1'><iq></body>",
        "<body rid='1' xmlns='other'/>",
        "<body rid='9007199254740992'/>",
        "<body rid='1'></body><iq/>",
        "<body rid='1'>text</body>",
        "<!DOCTYPE a><body rid='1'/>",
        "<body rid='1'><!-- c --></body>",
    ] {
        assert_eq!(refusal(bad.as_bytes()), Condition::BadRequest, "{bad}");
    }
    assert!(Body::read(b"<body rid='9007199254740991'/>").is_ok());
}

#[test]
fn stanzas_per_body_are_bounded() {
    let of = |n: usize| format!("<body rid='1'>{}</body>", "<a/>".repeat(n));
    assert!(Body::read(of(limits::STANZAS_PER_BODY).as_bytes()).is_ok());
    assert_eq!(refusal(of(limits::STANZAS_PER_BODY + 1).as_bytes()), Condition::PolicyViolation);
}

#[test]
fn creation_opens_the_stream_and_its_answer_says_the_terms() {
    let now = Instant::now();
    let asked = limits::MAX_WAIT.as_secs() + 1;
    let create = body(&format!("rid='100' to='meet.jitsi' wait='{asked}' xml:lang='de'"), "");
    let mut e = Engine::new(now, "s1".into(), create, 0).unwrap();
    let first = effects(&mut e);
    assert_eq!(
        frames(&first),
        [
            "<open xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\" version=\"1.0\" to=\"meet.jitsi\" xml:lang=\"de\"/>"
        ]
    );
    assert_eq!(first.len(), 1, "the answer waits for the features");
    e.handle_frame(now, frame("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>"));
    e.handle_frame(now, frame("<stream:features xmlns='jabber:client'/>"));
    e.flush(now);
    let all = answers(&mut e);
    let (request, answer) = &all[0];
    assert_eq!(*request, 0);
    for part in [
        "sid=\"s1\"",
        "authid=\"s1\"",
        format!("wait=\"{}\"", limits::MAX_WAIT.as_secs()).as_str(),
        &format!("hold=\"{}\"", limits::HOLD),
        &format!("requests=\"{}\"", limits::REQUESTS),
        &format!("inactivity=\"{}\"", limits::INACTIVITY.as_secs()),
        &format!("polling=\"{}\"", limits::POLLING.as_secs()),
        "ver=\"1.6\"",
        "secure=\"true\"",
        "xmpp:version=\"1.0\"",
        "from=\"meet.jitsi\"",
        "xmlns:xmpp=\"urn:xmpp:xbosh\"",
        "><stream:features xmlns='jabber:client'/></body>",
    ] {
        assert!(answer.contains(part), "{part} in {answer}");
    }
    poll(&mut e, now, 101, 1);
    e.handle_frame(now, frame("<message/>"));
    e.flush(now);
    let later = answers(&mut e);
    assert_eq!(
        later[0].1,
        format!(
            "<body xmlns=\"{NS}\" xmlns:stream=\"http://etherx.jabber.org/streams\" sid=\"s1\"><message/></body>"
        )
    );
}

#[test]
fn creation_needs_a_destination_and_a_wait() {
    let now = Instant::now();
    let new = |attrs: &str| Engine::new(now, "s".into(), body(attrs, ""), 0).map(drop).unwrap_err().0;
    assert_eq!(new("rid='1' wait='60'"), Condition::ImproperAddressing);
    assert_eq!(new("rid='1' wait='60' to=''"), Condition::ImproperAddressing);
    assert_eq!(new("rid='1' to='meet.jitsi'"), Condition::BadRequest);
    assert_eq!(new("rid='1' to='meet.jitsi' wait='-1'"), Condition::BadRequest);
}

#[test]
fn an_unknown_host_is_improper_addressing_and_other_stream_errors_are_passed_on() {
    let now = Instant::now();
    let mut e = Engine::new(now, "s1".into(), body("rid='1' to='x' wait='60'", ""), 0).unwrap();
    effects(&mut e);
    e.handle_frame(now, frame("<stream:error><host-unknown/></stream:error>"));
    e.handle_server_closed(now, Some("improper-addressing"));
    let ended = answers(&mut e);
    assert!(ended[0].1.contains("type=\"terminate\" condition=\"improper-addressing\"/>"), "{}", ended[0].1);

    let mut e = opened(now);
    poll(&mut e, now, 101, 1);
    e.handle_frame(now, frame("<stream:error><conflict/></stream:error>"));
    e.flush(now);
    let ended = answers(&mut e);
    assert!(
        ended[0]
            .1
            .contains("condition=\"remote-stream-error\"><stream:error><conflict/></stream:error></body>"),
        "{}",
        ended[0].1
    );
    assert_eq!(e.poll_timeout(), None);
}

#[test]
fn one_request_is_held_and_a_second_has_the_first_answered() {
    let now = Instant::now();
    let mut e = opened(now);
    poll(&mut e, now, 101, 1);
    assert_eq!(effects(&mut e), []);
    e.handle_request(now, body("rid='102' sid='s1'", "<iq id='a' xmlns='jabber:client'/><presence/>"), 2);
    let got = effects(&mut e);
    assert_eq!(frames(&got), ["<iq id='a' xmlns='jabber:client'/>", "<presence/>"]);
    assert!(got.iter().any(|f| matches!(f, Effect::Answer(1, _))), "the older one, empty");
    e.handle_frame(now, frame("<a/>"));
    e.handle_frame(now, frame("<b/>"));
    e.flush(now);
    let both = answers(&mut e);
    assert_eq!(both[0].0, 2);
    assert!(both[0].1.ends_with("><a/><b/></body>"), "{}", both[0].1);
}

#[test]
fn frames_without_a_request_wait_for_the_next() {
    let now = Instant::now();
    let mut e = opened(now);
    e.handle_frame(now, frame("<a/>"));
    e.flush(now);
    assert_eq!(effects(&mut e), []);
    poll(&mut e, now, 101, 1);
    assert!(answers(&mut e)[0].1.ends_with("><a/></body>"));
}

#[test]
fn wait_answers_with_nothing_and_silence_ends_the_session() {
    let now = Instant::now();
    let mut e = opened(now);
    poll(&mut e, now, 101, 1);
    let due = e.poll_timeout().unwrap();
    assert_eq!(due - now, Duration::from_secs(60));
    e.handle_timeout(due - Duration::from_millis(1));
    assert_eq!(effects(&mut e), []);
    e.handle_timeout(due);
    let empty = answers(&mut e);
    assert!(empty[0].0 == 1 && empty[0].1.ends_with("sid=\"s1\"/>"), "{}", empty[0].1);
    let end = e.poll_timeout().unwrap();
    assert_eq!(end - due, limits::INACTIVITY);
    e.handle_timeout(end);
    assert_eq!(effects(&mut e), [Effect::Closed { clean: false, reason: "bosh_inactive" }]);
    poll(&mut e, end, 102, 2);
    assert!(answers(&mut e)[0].1.contains("condition=\"item-not-found\""));
}

#[test]
fn requests_out_of_order_are_processed_in_order() {
    let now = Instant::now();
    let mut e = opened(now);
    e.handle_request(now, body("rid='102' sid='s1'", "<second/>"), 2);
    assert_eq!(effects(&mut e), [], "held back until the missing one is there");
    e.handle_request(now, body("rid='101' sid='s1'", "<first/>"), 1);
    let got = effects(&mut e);
    assert_eq!(frames(&got), ["<first/>", "<second/>"]);
    assert!(
        matches!(&got[..], [_, _, Effect::Answer(1, _)])
            || got.iter().any(|f| matches!(f, Effect::Answer(1, _)))
    );
}

#[test]
fn a_request_sent_again_gets_the_same_answer_byte_by_byte() {
    let now = Instant::now();
    let mut e = opened(now);
    e.handle_request(now, body("rid='101' sid='s1'", "<iq/>"), 1);
    e.handle_frame(now, frame("<answer/>"));
    e.flush(now);
    let first = answers(&mut e);
    e.handle_request(now, body("rid='101' sid='s1'", "<iq/>"), 2);
    let again = effects(&mut e);
    assert_eq!(frames(&again), Vec::<String>::new(), "its stanzas are not processed twice");
    let Effect::Answer(2, bytes) = &again[0] else { panic!("an answer") };
    assert_eq!(*bytes, first[0].1.as_bytes());
}

#[test]
fn a_held_request_sent_again_is_answered_on_the_new_connection() {
    let now = Instant::now();
    let mut e = opened(now);
    poll(&mut e, now, 101, 1);
    poll(&mut e, now, 101, 2);
    assert_eq!(answers(&mut e)[0].0, 1);
    e.handle_frame(now, frame("<a/>"));
    e.flush(now);
    let got = answers(&mut e);
    assert!(got[0].0 == 2 && got[0].1.contains("<a/>"));
}

#[test]
fn the_window_of_request_ids_is_two() {
    let now = Instant::now();
    let mut e = opened(now);
    poll(&mut e, now, 101 + limits::REQUESTS, 1);
    assert_eq!(effects(&mut e), [], "at the edge: held back");

    let mut e = opened(now);
    poll(&mut e, now, 102 + limits::REQUESTS, 1);
    let got = effects(&mut e);
    assert!(matches!(&got[..], [Effect::Answer(1, _), Effect::Closed { clean: false, reason: "bosh_rid" }]));

    // Long answered, and forgotten.
    let mut e = opened(now);
    for i in 0..3 {
        poll(&mut e, now, 101 + i, i as u32);
        e.handle_frame(now, frame("<a/>"));
        e.flush(now);
    }
    effects(&mut e);
    poll(&mut e, now, 100, 9);
    assert!(answers(&mut e)[0].1.contains("condition=\"item-not-found\""));
}

#[test]
fn restart_opens_the_stream_anew() {
    let now = Instant::now();
    let mut e = opened(now);
    e.handle_request(now, body("rid='101' sid='s1' xmlns:xmpp='urn:xmpp:xbosh' xmpp:restart='true'", ""), 1);
    assert!(frames(&effects(&mut e))[0].starts_with("<open "));
}

#[test]
fn terminate_delivers_its_stanzas_and_answers_terminate() {
    let now = Instant::now();
    let mut e = opened(now);
    poll(&mut e, now, 101, 1);
    e.handle_request(now, body("rid='102' sid='s1' type='terminate'", "<presence type='unavailable'/>"), 2);
    let got = effects(&mut e);
    let Effect::Answer(2, bytes) = &got[2] else { panic!("{got:?}") };
    assert!(std::str::from_utf8(bytes).unwrap().ends_with("sid=\"s1\" type=\"terminate\"/>"));
    assert!(matches!(&got[0], Effect::Frame(_)));
    assert!(matches!(&got[1], Effect::Answer(1, _)));
    assert_eq!(got[3], Effect::Closed { clean: true, reason: "bosh_terminated" });
    assert_eq!(got.len(), 4);
}

#[test]
fn the_servers_end_is_told_with_the_next_request() {
    let now = Instant::now();
    let mut e = opened(now);
    e.handle_frame(now, frame("<last/>"));
    e.handle_server_closed(now, Some("remote-connection-failed"));
    assert_eq!(effects(&mut e), []);
    poll(&mut e, now, 101, 1);
    let got = answers(&mut e);
    assert!(got[0].1.contains("type=\"terminate\" condition=\"remote-connection-failed\"><last/></body>"));
}

#[test]
fn idle_polls_are_bounded() {
    let now = Instant::now();
    let mut e = opened(now);
    poll(&mut e, now, 101, 0);
    for i in 1..=u64::from(limits::IDLE_POLLS) {
        poll(&mut e, now, 101 + i, 0);
    }
    assert!(!effects(&mut e).iter().any(|f| matches!(f, Effect::Closed { .. })));
    poll(&mut e, now, 102 + u64::from(limits::IDLE_POLLS), 0);
    let got = effects(&mut e);
    assert_eq!(got.last(), Some(&Effect::Closed { clean: false, reason: "bosh_overactive" }));
    // They count for their interval, and not longer.
    for (pause, ends) in [(limits::POLLING - Duration::from_millis(1), true), (limits::POLLING, false)] {
        let mut e = opened(now);
        (0..=u64::from(limits::IDLE_POLLS)).for_each(|i| poll(&mut e, now, 101 + i, 0));
        poll(&mut e, now + pause, 102 + u64::from(limits::IDLE_POLLS), 0);
        assert_eq!(effects(&mut e).iter().any(|f| matches!(f, Effect::Closed { .. })), ends);
    }
    // Spread over time they are fine.
    let mut e = opened(now);
    for i in 0..200 {
        poll(&mut e, now + Duration::from_secs(i), 101 + i, 0);
    }
    assert!(!effects(&mut e).iter().any(|f| matches!(f, Effect::Closed { .. })));
}

#[test]
fn so_many_requests_are_held_and_the_oldest_is_answered_for_one_more() {
    let now = Instant::now();
    let mut e = opened(now);
    for n in 0..limits::HOLD as u64 {
        poll(&mut e, now, 101 + n, 1 + n as u32);
        assert!(answers(&mut e).is_empty(), "{n}");
    }
    poll(&mut e, now, 101 + limits::HOLD as u64, 99);
    let answered = answers(&mut e);
    assert_eq!((answered.len(), answered[0].0), (1, 1));
}

#[test]
fn a_request_is_held_as_long_as_may_be_and_not_longer() {
    let now = Instant::now();
    let asked = limits::MAX_WAIT.as_secs() * 2;
    let create = body(&format!("rid='100' to='meet.jitsi' wait='{asked}'"), "");
    let mut e = Engine::new(now, "s1".into(), create, 0).unwrap();
    e.handle_frame(now, frame("<stream:features/>"));
    e.flush(now);
    effects(&mut e);
    poll(&mut e, now, 101, 1);
    e.handle_timeout(now + limits::MAX_WAIT - Duration::from_millis(1));
    assert!(answers(&mut e).is_empty());
    e.handle_timeout(now + limits::MAX_WAIT);
    assert_eq!(answers(&mut e).len(), 1);
}

#[test]
fn what_waits_for_a_client_that_does_not_ask_is_bounded() {
    let now = Instant::now();
    let mut e = opened(now);
    e.handle_frame(now, Bytes::from(vec![b'x'; limits::BODY_BYTES - 1]));
    assert!(!e.is_full());
    e.handle_frame(now, Bytes::from_static(b"x"));
    assert!(e.is_full());
    poll(&mut e, now, 101, 1);
    assert!(!e.is_full());
}

#[test]
fn what_is_kept_for_a_client_is_known_and_too_much_ends_the_session() {
    let now = Instant::now();
    let mut e = opened(now);
    effects(&mut e);
    let before = e.kept();
    let text = format!("<message><body>{}</body></message>", "x".repeat(10_000));
    e.handle_frame(now, frame(&text));
    e.flush(now);
    effects(&mut e);
    assert!(e.kept() >= before + text.len() - 200, "it waits, or is kept as an answer: {}", e.kept());
    e.handle_too_much(now);
    let done = effects(&mut e);
    assert!(done.iter().any(|d| matches!(d, Effect::Closed { clean: false, .. })), "{done:?}");
    assert_eq!((e.kept(), e.poll_timeout()), (0, None));
}
