//! Recorders and gateways: asked, silent, busy, gone; whoever wanted something hears what became of it, and nobody else waits.

use std::time::Duration;

use jitsi_xmpp::Element;
use jitsi_xmpp::xml::parse;

use super::world::{ME, NEW, ROOM, World};
use crate::{Config, limits};

const RECORDERS: &str = "jibribrewery@internal-muc.meet.jitsi";
const GATEWAYS: &str = "jigasibrewery@internal-muc.meet.jitsi";
const MOMENT: Duration = Duration::from_millis(1);

/// Two meet, the first of them moderates.
fn meeting() -> World {
    meeting_with(|_| ())
}

fn meeting_with(change: impl FnOnce(&mut Config)) -> World {
    let mut config = Config::for_domain("meet.jitsi").unwrap();
    config.recorders = Some(RECORDERS.parse().unwrap());
    config.gateways = Some(GATEWAYS.parse().unwrap());
    config.trusted_domains = vec!["hidden.meet.jitsi".into()];
    // Where all work, whoever asks is told at once; how it is otherwise, see below.
    config.recorder_wait = Duration::ZERO;
    change(&mut config);
    let mut w = World::with(config);
    w.add_bridge("jvb1");
    w.conference_request(ROOM);
    w.join("a", NEW);
    w.join("b", NEW);
    assert!(w.is_owner("a"));
    w.forget();
    w
}

fn recorder(w: &mut World, nick: &str, busy: &str) {
    w.receive(&format!(
        "<presence from='{RECORDERS}/{nick}'><jibri-status xmlns='http://jitsi.org/protocol/jibri'><busy-status status='{busy}'/>\
         <health-status xmlns='http://jitsi.org/protocol/health' status='healthy'/></jibri-status></presence>"
    ));
}

/// A wish of somebody in the room; its answer is looked for later.
fn wishes(w: &mut World, nick: &str, id: &str, payload: &str) {
    w.receive(&format!("<iq type='set' id='{id}' from='{ROOM}/{nick}'>{payload}</iq>"));
}

fn record(w: &mut World, nick: &str, id: &str) {
    wishes(w, nick, id, &jibri("action='start' recording_mode='file' app_data='{}'"));
}

fn jibri(attrs: &str) -> String {
    format!("<jibri xmlns='http://jitsi.org/protocol/jibri' {attrs}/>")
}

/// The last request to a service, of those that contain this.
fn asked(w: &World, service: &str, what: &str) -> Element {
    let found = w.sent.iter().rev().find(|s| s.starts_with("<iq") && s.contains(service) && s.contains(what));
    parse(found.unwrap_or_else(|| panic!("nobody asked {service} for {what}: {:#?}", w.sent)).as_bytes())
        .unwrap()
}

fn nick_of(asked: &Element) -> String {
    asked.attr("to").unwrap().split('/').nth(1).unwrap().to_owned()
}

fn session_of(asked: &Element) -> String {
    asked.first_child().unwrap().attr("session_id").unwrap().to_owned()
}

/// The recorder that was asked last answers.
fn answers(w: &mut World, attrs: &str) -> Element {
    let asked = asked(w, RECORDERS, "action=\"start\"");
    let (id, from) = (asked.attr("id").unwrap(), asked.attr("to").unwrap());
    w.receive(&format!("<iq type='result' id='{id}' from='{from}'>{}</iq>", jibri(attrs)));
    asked
}

/// It says by itself how it is; what it hears.
fn says(w: &mut World, asked: &Element, attrs: &str) -> Element {
    let (from, session) = (asked.attr("to").unwrap().to_owned(), session_of(asked));
    let said = jibri(&format!("session_id='{session}' {attrs}"));
    w.receive(&format!("<iq type='set' id='status' from='{from}' to='{ME}'>{said}</iq>"));
    w.replies.remove("status").unwrap()
}

/// What the room sees.
fn shown(w: &World) -> Option<String> {
    let status = w.focus_in[ROOM].child("jibri-recording-status", "http://jitsi.org/protocol/jibri")?;
    let attrs = ["status", "failure_reason", "initiator"].map(|a| status.attr(a).unwrap_or("-").to_owned());
    Some(attrs.join(" ").replace(ROOM, ""))
}

fn error_of(reply: &Element) -> String {
    let error = reply.child_named("error").unwrap_or_else(|| panic!("no error: {}", reply.to_xml()));
    error
        .children()
        .map(|c| if c.name() == "text" { c.text() } else { c.name().to_owned() })
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn a_meeting_is_recorded_and_everybody_sees_it_until_a_moderator_ends_it() {
    let mut w = meeting();
    recorder(&mut w, "jibri1", "idle");
    record(&mut w, "a", "r1");
    assert!(!w.replies.contains_key("r1") && shown(&w).is_none(), "the recorder has not said anything");
    let asked = answers(&mut w, "status='pending'");
    let start = asked.first_child().unwrap();
    let told = ["action", "recording_mode", "room", "app_data"].map(|a| start.attr(a).unwrap());
    assert_eq!(told, ["start", "file", ROOM, "{}"]);
    let reply = w.replies.remove("r1").unwrap();
    assert_eq!(reply.first_child().unwrap().attr("session_id"), Some(session_of(&asked).as_str()));
    assert_eq!(shown(&w), None, "accepted is not begun");

    assert_eq!(says(&mut w, &asked, "status='on'").attr("type"), Some("result"));
    assert_eq!(shown(&w).unwrap(), "on - /a");
    assert_eq!((w.stats().recordings, w.stats().streams, w.stats().recorders), (1, 0, 1));
    w.advance(limits::RECORDER_PENDING * 2);
    assert_eq!(shown(&w).unwrap(), "on - /a", "it has begun in time");

    record(&mut w, "a", "r2");
    assert!(error_of(&w.replies.remove("r2").unwrap()).contains("already enabled"));
    let stopped = w.request("a", &jibri("action='stop'"));
    assert_eq!(stopped.attr("type"), Some("result"));
    assert_eq!(session_of(&self::asked(&w, RECORDERS, "action=\"stop\"")), session_of(&asked));
    assert_eq!(shown(&w).unwrap(), "off - /a");
    assert!(error_of(&w.request("a", &jibri("action='stop'"))).contains("Unknown session"));
    assert_eq!(w.stats().recordings, 0);
}

#[test]
fn who_does_not_moderate_or_is_not_there_records_nothing() {
    let mut w = meeting();
    recorder(&mut w, "jibri1", "idle");
    let start = jibri("action='start' recording_mode='file'");
    assert_eq!(error_of(&w.request("b", &start)), "not-allowed");
    assert_eq!(error_of(&w.request("stranger", &start)), "forbidden");
    wishes(&mut w, "a", "other", &start);
    w.receive(&format!("<iq type='set' id='x' from='other@muc.meet.jitsi/a'>{start}</iq>"));
    assert_eq!(error_of(&w.replies.remove("x").unwrap()), "item-not-found");
}

#[test]
fn compat_what_a_recorder_cannot_do_is_refused_as_upstream() {
    let mut w = meeting();
    let long = "x".repeat(limits::RECORDING_TEXT + 1);
    for (attrs, error) in [
        ("recording_mode='file'", "bad-request"),
        ("action='undefined'", "bad-request"),
        ("action='start' recording_mode='film'", "bad-request"),
        ("action='start' recording_mode='stream'", "bad-request Stream ID is empty or undefined"),
        ("action='start'", "bad-request Stream ID is empty or undefined"),
        (
            "action='start' recording_mode='file' streamid='k'",
            "bad-request Stream ID is provided for a FILE recording.",
        ),
        (&format!("action='start' streamid='{long}'"), "bad-request"),
        ("action='start' sipaddress='sip:x@example.org'", "item-not-found"),
        ("action='start' recording_mode='file'", "service-unavailable no Jibris available"),
    ] {
        assert_eq!(error_of(&w.request("a", &jibri(attrs))), error, "{attrs}");
    }
    recorder(&mut w, "jibri1", "busy");
    let busy = w.request("a", &jibri(&format!("action='start' streamid='{}'", &long[1..])));
    assert_eq!(error_of(&busy), "resource-constraint all Jibris are busy");
    assert_eq!(w.stats().counters.no_recorder, 2);
    let mut without = meeting_with(|c| c.recorders = None);
    let start = jibri("action='start' recording_mode='file'");
    assert_eq!(error_of(&without.request("a", &start)), "item-not-found");
}

#[test]
fn a_silent_recorder_holds_up_nobody_and_the_next_one_is_asked() {
    let mut w = meeting();
    for nick in ["jibri1", "jibri2"] {
        recorder(&mut w, nick, "idle");
    }
    record(&mut w, "a", "r1");
    let first = asked(&w, RECORDERS, "action=\"start\"");
    w.join("c", NEW);
    assert_eq!(w.actions("c"), ["session-initiate"], "people come in meanwhile");
    w.advance(limits::IQ_TIMEOUT);
    let stop = asked(&w, RECORDERS, "action=\"stop\"");
    assert_eq!(nick_of(&stop), nick_of(&first), "it may still begin");
    let second = answers(&mut w, "status='pending'");
    assert_ne!(nick_of(&first), nick_of(&second));
    assert_eq!(session_of(&first), session_of(&second));
    assert_eq!(w.replies.remove("r1").unwrap().attr("type"), Some("result"));
    assert_eq!(says(&mut w, &second, "status='on'").attr("type"), Some("result"));
    assert_eq!(shown(&w).unwrap(), "on - /a");
    assert_eq!(
        error_of(&says(&mut w, &first, "status='off'")),
        "item-not-found",
        "it is not its business any more"
    );
    assert_eq!(shown(&w).unwrap(), "on - /a");
}

#[test]
fn a_recorder_that_accepted_and_never_began_was_forgotten_without_a_reason() {
    let mut w = meeting();
    recorder(&mut w, "jibri1", "idle");
    record(&mut w, "a", "r1");
    answers(&mut w, "status='pending'");
    w.advance(limits::RECORDER_PENDING - MOMENT);
    assert_eq!(shown(&w), None);
    w.advance(MOMENT);
    assert_eq!(nick_of(&asked(&w, RECORDERS, "action=\"stop\"")), "jibri1");
    assert_eq!(shown(&w).unwrap(), "off busy /a", "no other is free");
    assert_eq!(w.stats().counters.recording_failures, 1);
}

#[test]
fn what_becomes_of_a_recording_whose_recorder_fails() {
    for (attrs, after) in [
        ("status='off'", "off - /a"),
        ("status='off' failure_reason='error' should_retry='false'", "off error /a"),
        ("status='off' failure_reason='busy' should_retry='false'", "off busy /a"),
    ] {
        let mut w = meeting();
        for nick in ["jibri1", "jibri2"] {
            recorder(&mut w, nick, "idle");
        }
        record(&mut w, "a", "r1");
        let asked = answers(&mut w, "status='pending'");
        says(&mut w, &asked, "status='on'");
        says(&mut w, &asked, attrs);
        assert_eq!(shown(&w).unwrap(), after, "{attrs}");
    }
}

#[test]
fn a_recorder_that_was_done_before_it_answered_left_who_asked_without_an_answer() {
    let mut w = meeting();
    recorder(&mut w, "jibri1", "idle");
    record(&mut w, "a", "r1");
    let asked = asked(&w, RECORDERS, "action=\"start\"");
    says(&mut w, &asked, "status='off'");
    assert_eq!(error_of(&w.replies.remove("r1").unwrap()), "internal-server-error");
    assert_eq!(shown(&w), None);
    recorder(&mut w, "jibri2", "idle");
    record(&mut w, "a", "r2");
    answers(&mut w, "status='pending'");
    assert_eq!(w.replies.remove("r2").unwrap().attr("type"), Some("result"), "it can be asked again");
}

#[test]
fn another_recorder_takes_over_from_one_that_wants_it_or_is_gone() {
    for gone in [false, true] {
        let mut w = meeting();
        for nick in ["jibri1", "jibri2"] {
            recorder(&mut w, nick, "idle");
        }
        record(&mut w, "a", "r1");
        let first = answers(&mut w, "status='pending'");
        says(&mut w, &first, "status='on'");
        if gone {
            w.receive(&format!("<presence type='unavailable' from='{RECORDERS}/{}'/>", nick_of(&first)));
        } else {
            says(&mut w, &first, "status='off' failure_reason='error' should_retry='true'");
        }
        let second = answers(&mut w, "status='pending'");
        assert_ne!(nick_of(&first), nick_of(&second));
        says(&mut w, &second, "status='on'");
        assert_eq!(shown(&w).unwrap(), "on - /a", "gone: {gone}");
    }
}

#[test]
fn so_many_more_recorders_are_tried_and_not_one_more() {
    let mut w = meeting_with(|c| c.recorder_retries = Some(2));
    for n in 0..9 {
        recorder(&mut w, &format!("jibri{n}"), "idle");
    }
    record(&mut w, "a", "r1");
    for n in 0..=2 {
        assert!(!w.replies.contains_key("r1"), "{n}");
        answers(&mut w, "status='off' failure_reason='busy'");
    }
    assert_eq!(error_of(&w.replies.remove("r1").unwrap()), "internal-server-error");
    assert_eq!(w.sent.iter().filter(|s| s.contains("action=\"start\"")).count(), 3);
}

#[test]
fn a_recorder_that_was_busy_and_took_its_time_to_say_so_was_asked_again_in_place_of_a_free_one() {
    let mut w = meeting_with(|c| c.recorder_retries = Some(1));
    for nick in ["jibri1", "jibri2"] {
        recorder(&mut w, nick, "idle");
    }
    record(&mut w, "a", "r1");
    w.advance(limits::RECORDER_CHOSEN * 2);
    let first = answers(&mut w, "status='off' failure_reason='busy'");
    let second = answers(&mut w, "status='pending'");
    assert_ne!(nick_of(&first), nick_of(&second));
    assert_eq!(w.replies.remove("r1").unwrap().attr("type"), Some("result"));
}

/// Two meet, and all recorders work; a wish may wait.
fn all_work() -> World {
    let mut w = meeting_with(|c| c.recorder_wait = limits::RECORDER_WAIT);
    recorder(&mut w, "jibri1", "busy");
    w
}

#[test]
fn a_wish_to_record_waits_for_a_recorder_that_becomes_free_up_to_its_time_and_not_longer() {
    let mut w = all_work();
    record(&mut w, "a", "r1");
    w.join("c", NEW);
    assert_eq!(w.actions("c"), ["session-initiate"], "people come in meanwhile");
    w.advance(limits::RECORDER_WAIT - MOMENT);
    assert!(!w.replies.contains_key("r1") && shown(&w).is_none(), "nothing is promised");
    recorder(&mut w, "jibri1", "idle");
    let asked = answers(&mut w, "status='pending'");
    assert_eq!(w.replies.remove("r1").unwrap().attr("type"), Some("result"));
    says(&mut w, &asked, "status='on'");
    assert_eq!(shown(&w).unwrap(), "on - /a");
    w.advance(limits::RECORDER_PENDING * 2);
    assert_eq!((shown(&w).unwrap(), w.stats().counters.no_recorder), ("on - /a".into(), 0));

    let mut w = all_work();
    record(&mut w, "a", "r1");
    w.advance(limits::RECORDER_WAIT);
    assert_eq!(error_of(&w.replies.remove("r1").unwrap()), "resource-constraint all Jibris are busy");
    assert_eq!((w.stats().counters.no_recorder, w.stats().counters.recording_failures), (1, 0));
    recorder(&mut w, "jibri1", "idle");
    assert!(!w.sent.iter().any(|s| s.contains("action=\"start\"")), "nobody wants it any more");
    record(&mut w, "a", "r2");
    answers(&mut w, "status='pending'");
    assert_eq!(w.replies.remove("r2").unwrap().attr("type"), Some("result"));
}

#[test]
fn a_wish_whose_recorder_turned_out_to_work_waits_for_another_one() {
    let mut w = all_work();
    recorder(&mut w, "jibri2", "idle");
    record(&mut w, "a", "r1");
    answers(&mut w, "status='off' failure_reason='busy'");
    assert!(!w.replies.contains_key("r1"));
    recorder(&mut w, "jibri1", "idle");
    let second = answers(&mut w, "status='pending'");
    assert_eq!(nick_of(&second), "jibri1");
    assert_eq!(w.replies.remove("r1").unwrap().attr("type"), Some("result"));
}

const OTHER: &str = "andere@muc.meet.jitsi";

#[test]
fn who_has_waited_for_longest_gets_the_recorder_and_whoever_goes_or_takes_it_back_waits_no_more() {
    let mut w = all_work();
    w.form_fields.clear();
    w.conference_request(OTHER);
    w.join_at(OTHER, "x", NEW, &super::world::camera("x", 90_000));
    let start = jibri("action='start' recording_mode='file'");
    wishes(&mut w, "a", "first", &start);
    w.receive(&format!("<iq type='set' id='second' from='{OTHER}/x'>{start}</iq>"));
    w.advance(Duration::from_secs(1));
    recorder(&mut w, "jibri1", "idle");
    assert_eq!(asked(&w, RECORDERS, "start").first_child().unwrap().attr("room"), Some(ROOM));
    recorder(&mut w, "jibri2", "idle");
    assert_eq!(asked(&w, RECORDERS, "start").first_child().unwrap().attr("room"), Some(OTHER));

    for leaves in [true, false] {
        let mut w = all_work();
        record(&mut w, "a", "r1");
        assert!(error_of(&w.request("a", &start)).contains("already enabled"), "one of a room waits");
        if leaves {
            w.leave("a");
        } else {
            assert_eq!(w.request("a", &jibri("action='stop'")).attr("type"), Some("result"));
        }
        assert_eq!(w.replies.remove("r1").unwrap().attr("type"), Some("error"));
        recorder(&mut w, "jibri1", "idle");
        assert!(!w.sent.iter().any(|s| s.contains("action=\"start\"")), "it is forgotten; leaves: {leaves}");
        assert_eq!(shown(&w), None);
        w.leave("a");
        w.leave("b");
        w.assert_empty();
    }
}

#[test]
fn a_wish_that_waits_is_answered_before_another_focus_goes_on() {
    let mut w = all_work();
    record(&mut w, "a", "r1");
    w.hand_over();
    assert_eq!(error_of(&w.replies.remove("r1").unwrap()), "resource-constraint all Jibris are busy");
    recorder(&mut w, "jibri1", "idle");
    record(&mut w, "a", "r2");
    answers(&mut w, "status='pending'");
    assert_eq!(w.replies.remove("r2").unwrap().attr("type"), Some("result"));
}

/// Calls are told apart by their number, whichever gateway answers first.
#[test]
fn two_calls_of_a_meeting_hear_each_its_own_answer() {
    let mut w = meeting();
    gateway(&mut w, "phone", "supports_sip");
    wishes(&mut w, "a", "d1", &dial("1", ROOM));
    let first = asked(&w, GATEWAYS, "<dial");
    wishes(&mut w, "a", "d2", &dial("2", ROOM));
    gateway_answers(&mut w, "result", "<ref xmlns='urn:xmpp:rayo:1' uri='xmpp:second@phone'/>");
    assert!(!w.replies.contains_key("d1"));
    let (id, from) = (first.attr("id").unwrap(), first.attr("to").unwrap());
    w.receive(&format!(
        "<iq type='result' id='{id}' from='{from}'><ref xmlns='urn:xmpp:rayo:1' uri='xmpp:first@phone'/></iq>"
    ));
    for (id, uri) in [("d1", "xmpp:first@phone"), ("d2", "xmpp:second@phone")] {
        assert_eq!(w.replies.remove(id).unwrap().first_child().unwrap().attr("uri"), Some(uri));
    }
}

#[test]
fn the_end_of_a_meeting_ends_its_recording() {
    let mut w = meeting();
    recorder(&mut w, "jibri1", "idle");
    record(&mut w, "a", "r1");
    let asked = answers(&mut w, "status='pending'");
    says(&mut w, &asked, "status='on'");
    for nick in ["a", "b"] {
        w.leave(nick);
    }
    assert_eq!(nick_of(&self::asked(&w, RECORDERS, "action=\"stop\"")), "jibri1");
    w.assert_empty();
}

fn gateway(w: &mut World, nick: &str, can: &str) {
    w.receive(&format!(
        "<presence from='{GATEWAYS}/{nick}'><stats xmlns='http://jitsi.org/protocol/colibri'><stat name='{can}' value='true'/></stats></presence>"
    ));
}

fn dial(to: &str, room: &str) -> String {
    format!(
        "<dial xmlns='urn:xmpp:rayo:1' from='us' to='{to}'><header name='JvbRoomName' value='{room}'/></dial>"
    )
}

/// The gateway that was asked last answers.
fn gateway_answers(w: &mut World, kind: &str, payload: &str) -> String {
    let asked = asked(w, GATEWAYS, "<dial");
    let (id, from) = (asked.attr("id").unwrap(), asked.attr("to").unwrap().to_owned());
    w.receive(&format!("<iq type='{kind}' id='{id}' from='{from}'>{payload}</iq>"));
    nick_of(&asked)
}

#[test]
fn a_moderator_calls_somebody_and_hears_which_call_it_is() {
    let mut w = meeting();
    gateway(&mut w, "scribe", "supports_transcription");
    let call = dial("+49891234", ROOM);
    assert_eq!(error_of(&w.request("b", &call)), "forbidden");
    assert_eq!(error_of(&w.request("a", &dial("+49891234", "other@muc.meet.jitsi"))), "forbidden");
    assert_eq!(error_of(&w.request("a", &call)), "service-unavailable", "no gateway calls");
    gateway(&mut w, "phone", "supports_sip");
    wishes(&mut w, "a", "d1", &call);
    let reference = "<ref xmlns='urn:xmpp:rayo:1' uri='xmpp:call@phone'/>";
    assert_eq!(gateway_answers(&mut w, "result", reference), "phone");
    let reply = w.replies.remove("d1").unwrap();
    assert_eq!(reply.first_child().unwrap().attr("uri"), Some("xmpp:call@phone"));
    let asked = asked(&w, GATEWAYS, "<dial");
    assert_eq!(asked.first_child().unwrap().first_child().unwrap().attr("value"), Some(ROOM));
    assert_eq!(w.stats().gateways, (1, 0, 1));
}

#[test]
fn three_gateways_are_asked_and_not_one_more_and_every_wish_is_answered() {
    let mut w = meeting();
    for n in 0..=limits::DIAL_TRIES {
        gateway(&mut w, &format!("phone{n}"), "supports_sip");
    }
    wishes(&mut w, "a", "d1", &dial("1", ROOM));
    let mut asked = Vec::new();
    for _ in 1..limits::DIAL_TRIES {
        let error =
            "<error type='wait'><resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
        asked.push(gateway_answers(&mut w, "error", error));
    }
    w.advance(limits::IQ_TIMEOUT);
    asked.push(nick_of(&self::asked(&w, GATEWAYS, "<dial")));
    assert_eq!(error_of(&w.replies.remove("d1").unwrap()), "remote-server-timeout");
    asked.sort_unstable();
    asked.dedup();
    assert_eq!(asked.len(), limits::DIAL_TRIES, "never the same twice");

    wishes(&mut w, "a", "d2", &dial("1", ROOM));
    w.leave("a");
    w.leave("b");
    assert_eq!(error_of(&w.replies.remove("d2").unwrap()), "item-not-found", "the meeting is over");
    w.assert_empty();
}

#[test]
fn a_call_into_a_room_whose_name_is_none_is_answered() {
    let mut w = meeting();
    gateway(&mut w, "phone", "supports_sip");
    for name in ["", "@", "a@b@c", "demo", "demo@muc.meet.jitsi/x"] {
        assert_eq!(error_of(&w.request("a", &dial("1", name))), "forbidden", "{name}");
    }
    assert_eq!(error_of(&w.request("a", "<dial xmlns='urn:xmpp:rayo:1' to='1'/>")), "forbidden");
    let nameless = "<dial xmlns='urn:xmpp:rayo:1' to='1'><header name='JvbRoomName'/></dial>";
    assert_eq!(error_of(&w.request("a", nameless)), "forbidden");
}

#[test]
fn who_records_never_owns_a_room() {
    let mut config = Config::for_domain("meet.jitsi").unwrap();
    config.trusted_domains = vec!["hidden.meet.jitsi".into()];
    let mut w = World::with(config);
    w.conference_request(ROOM);
    w.receive(&format!(
        "<presence from='{ROOM}/robot'><features><feature var='http://jitsi.org/protocol/jibri'/></features>\
         <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant' \
         jid='robot@hidden.meet.jitsi/r'/></x></presence>"
    ));
    assert!(!w.is_owner("robot"));
    w.join("a", NEW);
    assert!(w.is_owner("a") && !w.is_owner("robot"));
    w.leave("a");
    w.seconds(60);
    assert!(!w.is_owner("robot"), "also when it is the only one left");
}

#[test]
fn compat_a_second_transcriber_is_refused_and_said_so() {
    let mut w = meeting();
    gateway(&mut w, "scribe", "supports_transcription");
    let wish = dial("jitsi_meet_transcribe", ROOM);
    wishes(&mut w, "a", "d1", &wish);
    assert_eq!(gateway_answers(&mut w, "result", ""), "scribe");
    w.receive(&format!(
        "<presence from='{ROOM}/scribe'><features><feature var='http://jitsi.org/protocol/transcriber'/></features>\
         <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant' jid='transcriber@hidden.meet.jitsi/1'/></x></presence>"
    ));
    assert_eq!(error_of(&w.request("a", &wish)), "conflict");
    gateway(&mut w, "phone", "supports_sip");
    wishes(&mut w, "a", "d2", &dial("+49891234", ROOM));
    assert_eq!(gateway_answers(&mut w, "result", ""), "phone", "a call is something else");
    assert_eq!(w.replies["d2"].attr("type"), Some("result"));
}

#[test]
fn a_recorder_that_wants_another_one_to_take_over_is_not_asked_again() {
    let mut w = meeting();
    recorder(&mut w, "jibri1", "idle");
    recorder(&mut w, "jibri2", "idle");
    record(&mut w, "a", "r1");
    let first = answers(&mut w, "status='pending'");
    assert_eq!(nick_of(&first), "jibri1");
    w.advance(2 * limits::RECORDER_CHOSEN);
    says(&mut w, &first, "status='off' failure_reason='error' should_retry='true'");
    assert_eq!(nick_of(&asked(&w, RECORDERS, "action=\"start\"")), "jibri2");
}

#[test]
fn so_many_calls_of_a_meeting_wait_for_a_gateway_and_not_one_more() {
    let mut w = meeting();
    gateway(&mut w, "phone", "supports_sip");
    for n in 0..limits::DIALS_PER_CONFERENCE {
        wishes(&mut w, "a", &format!("d{n}"), &dial("1", ROOM));
        assert!(!w.replies.contains_key(&format!("d{n}")));
    }
    assert_eq!(error_of(&w.request("a", &dial("1", ROOM))), "resource-constraint");
}

#[test]
fn a_new_connection_enters_every_brewery_and_knows_nobody_of_before() {
    let mut w = meeting();
    recorder(&mut w, "jibri1", "idle");
    gateway(&mut w, "phone", "supports_sip");
    for room in [RECORDERS, GATEWAYS] {
        assert!(w.focus_in.remove(room).is_some(), "{room}");
    }
    w.strict = false;
    w.link_up(false);
    assert_eq!((w.stats().recorders, w.stats().gateways), (0, (0, 0, 0)));
    for room in [RECORDERS, GATEWAYS] {
        assert!(w.focus_in.contains_key(room), "{room}");
        w.receive(&format!("<presence type='unavailable' from='{room}/focus'/>"));
        w.focus_in.remove(room);
        w.advance(limits::BREWERY_RETRY);
        assert!(w.focus_in.contains_key(room), "{room} is tried again");
    }
}

#[test]
fn an_order_to_dial_as_long_as_a_stanza_was_passed_on_to_a_gateway() {
    let mut w = meeting();
    let header = format!("<header name='JvbRoomName' value='{ROOM}'/>");
    let dial = |x: usize| {
        format!(
            "<dial xmlns='urn:xmpp:rayo:1' to='+49'>{header}<header name='x' value='{}'/></dial>",
            "x".repeat(x)
        )
    };
    let bare = parse(dial(0).as_bytes()).unwrap().to_xml().len();
    for (more, condition) in [(0, "service-unavailable"), (1, "bad-request")] {
        let reply = w.request("a", &dial(limits::DIAL - bare + more)).to_xml();
        assert!(reply.contains(&format!("<{condition}")), "{more}: {reply:.300}");
    }
}
