//! What should not come and does: answers of bridges that make no sense, come late or twice; bridges that lie about their load or come and go;
//! another focus, another person under a nick; messages that would cost the link. Each costs whom it is about, and is counted.

use std::time::Duration;

use jitsi_xmpp::Condition;

use super::world::{ME, Mood, NEW, OLD, ROOM, World, camera};
use crate::limits;

const JVB1: &str = "jvbbrewery@internal-muc.meet.jitsi/jvb1";
/// All of RFC 6120, and one that there is not.
const CONDITIONS: &[&str] = &[
    "bad-request",
    "conflict",
    "feature-not-implemented",
    "forbidden",
    "gone",
    "internal-server-error",
    "item-not-found",
    "jid-malformed",
    "not-acceptable",
    "not-allowed",
    "not-authorized",
    "policy-violation",
    "recipient-unavailable",
    "redirect",
    "registration-required",
    "remote-server-not-found",
    "remote-server-timeout",
    "resource-constraint",
    "service-unavailable",
    "subscription-required",
    "undefined-condition",
    "unexpected-request",
    "nonsense",
];
/// Servers take stanzas of 256 KiB.
const MOST: usize = 250_000;

fn two() -> World {
    let mut w = World::meeting();
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    w.forget();
    w
}

/// Two whose endpoints the bridge has been asked for; and the id under which Anna's was.
fn asked() -> (World, String) {
    let mut w = World::meeting();
    w.bridges.get_mut("jvb1").unwrap().mood = Mood::Late;
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    let sent = w.sent.iter().find(|s| s.contains("conference-modify") && s.contains("anna0001")).unwrap();
    let at = sent.find(" id=\"").unwrap() + 5;
    let id = sent[at..].split('"').next().unwrap().to_owned();
    (w, id)
}

fn answers(w: &mut World, id: &str, kind: &str, inner: &str) {
    w.receive(&format!("<iq type='{kind}' id='{id}' from='{JVB1}' to='{ME}'>{inner}</iq>"));
}

fn endpoint(id: &str, ufrag: &str) -> String {
    format!(
        "<endpoint id='{id}'><transport><transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='{ufrag}' pwd='p'/>\
         <sctp port='5000'/></transport></endpoint>"
    )
}

fn modified(inner: &str) -> String {
    format!("<conference-modified xmlns='jitsi:colibri2'>{inner}</conference-modified>")
}

#[test]
fn absurd_answers_of_a_bridge_cost_one_attempt_and_are_counted() {
    let all = [
        String::new(),
        "<conference-modified xmlns='urn:wrong'/>".to_owned(),
        modified(""),
        modified(&endpoint("somebody", "x")),
        modified(&endpoint("anna0001", "x").replace("<sctp port='5000'/>", "")),
        modified("<endpoint id='anna0001'/>"),
        modified("<endpoint/>"),
        modified(&"<endpoint id='x'/>".repeat(5_000)),
        "<html xmlns='urn:x'>502 bad gateway</html>".to_owned(),
    ];
    for inner in all {
        let (mut w, id) = asked();
        answers(&mut w, &id, "result", &inner);
        let s = w.stats();
        assert_eq!((s.counters.answers_absurd, s.counters.panics), (1, 0), "{inner:.200}");
        assert!(w.clients["anna0001"].received.is_empty(), "{inner:.200}");
        w.bridges.get_mut("jvb1").unwrap().mood = Mood::Works;
        w.release("jvb1");
        w.seconds(70);
        assert_eq!(w.endpoints("jvb1"), ["anna0001", "ben00002"], "{inner:.200}");
        assert!(w.actions("anna0001").contains(&"session-initiate".to_owned()), "{inner:.200}");
    }
}

#[test]
fn so_many_fingerprints_and_bridge_channels_of_a_bridge_reach_a_client() {
    for more in [0, 1] {
        let (mut w, id) = asked();
        let print = "<fingerprint xmlns='urn:xmpp:jingle:apps:dtls:0' hash='sha-256' setup='actpass'>AB:CD</fingerprint>";
        let prints = print.repeat(limits::FINGERPRINTS + more);
        let channel = "<web-socket xmlns='http://jitsi.org/protocol/colibri' url='wss://meet.example/1'/>";
        let channels = channel.repeat(limits::WEB_SOCKETS + more);
        let many = endpoint("anna0001", "first")
            .replace("pwd='p'/>", &format!("pwd='p'>{prints}{channels}</transport>"));
        answers(&mut w, &id, "result", &modified(&many));
        let offer = w.clients["anna0001"].received[0].to_xml();
        let each = |what: &str| offer.matches(what).count() / offer.matches("<transport ").count();
        let reached = (each("<fingerprint "), each("<web-socket "));
        assert_eq!(reached, (limits::FINGERPRINTS, limits::WEB_SOCKETS), "{offer}");
    }
}

#[test]
fn so_many_sources_of_a_bridge_itself_reach_a_client() {
    for more in [0, 1] {
        let (mut w, id) = asked();
        let source = |n: usize| {
            format!(
                "<media-source type='video' id='jvb-v{n}'><source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='{}'/></media-source>",
                770_000 + n
            )
        };
        let sources: String = (0..limits::FEEDBACK_SOURCES + more).map(source).collect();
        let answer = format!("{}<sources>{sources}</sources>", endpoint("anna0001", "first"));
        answers(&mut w, &id, "result", &modified(&answer));
        let offer = w.clients["anna0001"].received[0].to_xml();
        let reached = (0..9).filter(|n| offer.contains(&(770_000 + n).to_string())).count();
        assert_eq!(reached, limits::FEEDBACK_SOURCES, "{offer}");
    }
}

#[test]
fn an_endpoint_that_is_answered_twice_in_one_answer_counts_once_and_no_more_than_so_many_candidates_do() {
    let (mut w, id) = asked();
    let candidates = "<candidate component='1' foundation='1' generation='0' id='c' ip='192.0.2.9' port='1' priority='1' protocol='udp' \
                      type='host'/>";
    let many = endpoint("anna0001", "first")
        .replace("pwd='p'/>", &format!("pwd='p'>{}</transport>", candidates.repeat(1_000)));
    answers(&mut w, &id, "result", &modified(&(many + &endpoint("anna0001", "second"))));
    let offer = w.clients["anna0001"].received[0].to_xml();
    assert!(offer.contains("first") && !offer.contains("second"));
    assert!(
        offer.matches("<candidate ").count() <= 3 * limits::CANDIDATES && offer.len() < 100_000,
        "{} bytes",
        offer.len()
    );
    assert_eq!(w.actions("anna0001"), ["session-initiate"]);
}

#[test]
fn every_error_a_bridge_can_answer_is_lived_with() {
    for condition in CONDITIONS {
        for reason in
            ["", "<error xmlns='jitsi:colibri2' reason='nonsense'/>", "<error xmlns='jitsi:colibri2'/>"]
        {
            let (mut w, id) = asked();
            let error = format!(
                "<error type='cancel'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>{reason}</error>"
            );
            answers(&mut w, &id, "error", &error);
            w.bridges.get_mut("jvb1").unwrap().mood = Mood::Works;
            w.release("jvb1");
            w.seconds(80);
            assert_eq!(w.endpoints("jvb1"), ["anna0001", "ben00002"], "{condition}");
            assert_eq!(w.stats().counters.panics, 0);
        }
    }
}

#[test]
fn answers_that_come_twice_or_after_their_time_change_nothing_and_are_counted() {
    let (mut w, id) = asked();
    answers(&mut w, &id, "result", &modified(&endpoint("anna0001", "one")));
    assert_eq!(w.actions("anna0001"), ["session-initiate"]);
    answers(&mut w, &id, "result", &modified(&endpoint("anna0001", "two")));
    answers(&mut w, &id, "error", "<error type='cancel'/>");
    assert!(w.actions("anna0001").is_empty());
    assert_eq!(w.stats().counters.answers_late, 2);
    let (mut w, id) = asked();
    w.focus.engine.config.bridges.silence = None;
    w.advance(limits::IQ_TIMEOUT + Duration::from_secs(1));
    w.clients.get_mut("anna0001").unwrap().received.clear();
    answers(&mut w, &id, "result", &modified(&endpoint("anna0001", "late")));
    assert!(w.clients["anna0001"].received.iter().all(|j| !j.to_xml().contains("late")));
    assert_eq!(w.stats().counters.answers_late, 1);
    // Somebody else's answer under a known id is none at all.
    w.receive(&format!("<iq type='result' id='{id}' from='{ROOM}/ben00002' to='{ME}'/>"));
    assert_eq!(w.stats().counters.answers_late, 1);
}

#[test]
fn answers_of_so_many_requests_are_known_to_be_late_and_not_one_more() {
    let mut w = two();
    let ask = |w: &mut World| {
        let to: jitsi_xmpp::Jid = JVB1.parse().unwrap();
        let mut turn = w.focus.engine.turn(w.now).unwrap();
        assert!(turn.ask("get", &to, jitsi_xmpp::health::request(), crate::turn::Waiting::Discovery));
        w.pump();
        let sent = w.sent.last().unwrap();
        let at = sent.find(" id=\"").unwrap() + 5;
        sent[at..].split('"').next().unwrap().to_owned()
    };
    let first = ask(&mut w);
    for _ in 1..limits::IQS_REMEMBERED {
        ask(&mut w);
    }
    assert!(w.focus.engine.iqs.is_past(&first));
    ask(&mut w);
    assert!(!w.focus.engine.iqs.is_past(&first));
}

#[test]
fn a_bridge_that_refuses_what_one_says_cost_everybody_their_session() {
    let mut w = two();
    w.bridges.get_mut("jvb1").unwrap().mood = Mood::Refuses(Condition::BadRequest, None);
    let info = "<content name='audio'><transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='&lt;' pwd=''/></content>";
    assert_eq!(w.jingle("ben00002", "transport-info", info).attr("type"), Some("result"));
    assert!(w.actions("anna0001").is_empty(), "she said nothing");
    assert_eq!((w.stats().counters.updates_refused, w.stats().counters.bridges_removed), (1, 0));
    w.bridges.get_mut("jvb1").unwrap().mood = Mood::Works;
    w.seconds(10);
    assert_eq!(w.endpoints("jvb1"), ["anna0001", "ben00002"]);
    let actions = w.actions("ben00002");
    assert_eq!(
        (actions.first().map(String::as_str), actions.last().map(String::as_str)),
        (Some("session-terminate"), Some("session-initiate"))
    );
}

#[test]
fn a_load_that_cannot_be_is_not_believed_and_counted() {
    let mut w = two();
    let load = |w: &World| w.focus.debug(w.now, &crate::debug::Asked::Short).bridges[0].stress;
    w.bridge_says("jvb1", &[("stress_level", "0.3")]);
    w.seconds(25);
    let real = load(&w);
    let odd = [
        ("stress_level", "-1"),
        ("stress_level", "NaN"),
        ("stress_level", "1e300"),
        ("stress_level", "full"),
    ];
    let none = [
        ("average_participant_stress", "0"),
        ("average_participant_stress", "2"),
        ("average_participant_stress", "inf"),
    ];
    for (n, said) in (1..).zip(odd.into_iter().chain(none)) {
        let (name, value) = said;
        w.receive(&format!(
            "<presence from='{JVB1}' to='{ME}'><stats xmlns='http://jitsi.org/protocol/colibri'><stat name='{name}' value='{value}'/></stats></presence>"
        ));
        assert_eq!((load(&w), w.stats().bridge_figures_refused), (real, n), "{name} {value}");
    }
    for (value, believed) in [(limits::STRESS_MOST, true), (limits::STRESS_MOST + 1.0, false)] {
        w.receive(&format!(
            "<presence from='{JVB1}' to='{ME}'><stats xmlns='http://jitsi.org/protocol/colibri'><stat name='stress_level' value='{value}'/></stats></presence>"
        ));
        assert_eq!(load(&w) == value, believed);
        w.bridge_says("jvb1", &[("stress_level", "0.3")]);
    }
}

#[test]
fn a_bridge_that_keeps_coming_and_going_is_let_in_ever_later_where_there_is_another() {
    let mut w = two();
    w.add_bridge("jvb2");
    let falls = |w: &mut World| {
        w.bridges.get_mut("jvb1").unwrap().healthy = false;
        w.bridge_presence("jvb1");
        w.advance(Duration::from_secs(1));
        w.bridges.get_mut("jvb1").unwrap().healthy = true;
        w.bridge_presence("jvb1");
    };
    for n in 1..=limits::FLAPS + 2 {
        falls(&mut w);
        let began = w.now;
        while w.stats().operational_bridge_count < 2 {
            w.advance(Duration::from_millis(500));
            w.bridge_presence("jvb1");
            w.bridge_presence("jvb2");
        }
        let waited = w.now - began;
        let held = u64::from(n.saturating_sub(limits::FLAPS - 1));
        assert_eq!(w.stats().bridges_held, held, "after {n}");
        let least =
            if held == 0 { Duration::ZERO } else { limits::SILENCE_HOLD * 2_u32.pow(n - limits::FLAPS) };
        assert!((least..least + Duration::from_secs(2)).contains(&waited), "after {n}: {waited:?}");
    }
    // Where it is the only one, one that comes and goes is better than none.
    w.remove_bridge("jvb2");
    falls(&mut w);
    w.advance(Duration::from_secs(2));
    assert_eq!(w.stats().operational_bridge_count, 1);
    w.seconds(5);
    assert_eq!(w.endpoints("jvb1"), ["anna0001", "ben00002"]);
}

#[test]
fn another_focus_under_our_name_is_seen_and_said_once() {
    let mut w = two();
    let seen = |w: &mut World, jid: &str| {
        w.receive(&format!(
            "<presence from='{ROOM}/focus' to='{ME}'><conference-properties xmlns='http://jitsi.org/protocol/focus'/>\
             <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='owner' role='moderator' jid='{jid}'/></x></presence>"
        ));
    };
    seen(&mut w, ME);
    assert_eq!(w.stats().counters.focuses_beside, 0);
    seen(&mut w, "focus@auth.meet.jitsi/another");
    seen(&mut w, "focus@auth.meet.jitsi/another");
    assert_eq!(w.stats().counters.focuses_beside, 1);
    assert_eq!(w.endpoints("jvb1"), ["anna0001", "ben00002"]);
    assert!(w.actions("anna0001").is_empty(), "and nothing else comes of it");
}

#[test]
fn whoever_took_over_a_nick_without_a_word_inherited_its_session() {
    let mut w = two();
    let presence = |w: &mut World, jid: &str| {
        w.receive(&format!(
            "<presence from='{ROOM}/anna0001' to='{ME}'><x xmlns='http://jabber.org/protocol/muc#user'>\
             <item affiliation='none' role='participant' jid='{jid}'/></x></presence>"
        ));
    };
    // The same account on another connection is the same person.
    presence(&mut w, "anna0001-0@meet.jitsi/r2");
    assert_eq!(w.stats().counters.nicks_taken, 0);
    assert!(w.actions("anna0001").is_empty());
    presence(&mut w, "mallory@meet.jitsi/r1");
    assert_eq!(w.stats().counters.nicks_taken, 1);
    let room = ROOM.parse().unwrap();
    w.seconds(16);
    assert_eq!(w.actions("anna0001"), ["session-initiate"], "a new session, and nothing of the old one");
    assert_eq!(w.endpoints("jvb1"), ["anna0001", "ben00002"]);
    assert_eq!(w.focus.rooms[&room].members.len(), 2);
}

#[test]
fn a_camera_that_was_off_could_be_taken_by_another() {
    let mut w = two();
    let video = |ssrc: u32, name: &str, msid: &str| {
        format!(
            "<content name='video'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'>\
             <source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='{ssrc}' name='{name}'><parameter name='msid' value='{msid}'/></source>\
             </description></content>"
        )
    };
    let anna = video(777, "anna0001-v1", "anna0001-video-1-1 t");
    assert_eq!(w.jingle("anna0001", "source-add", &anna).attr("type"), Some("result"));
    assert_eq!(w.jingle("anna0001", "source-remove", &anna).attr("type"), Some("result"));
    for stolen in [
        video(777, "ben00002-v1", "ben00002-video-1-1 t"),
        video(778, "ben00002-v1", "anna0001-video-1-1 t"),
        video(778, "anna0001-v1", "ben00002-video-1-1 t"),
        // One that she has not used yet, and will.
        video(778, "ben00002-v1", "anna0001-video-2-1 t"),
    ] {
        assert_eq!(w.jingle("ben00002", "source-add", &stolen).attr("type"), Some("error"), "{stolen}");
    }
    assert_eq!(w.stats().counters.sources_foreign, 4);
    assert_eq!(w.jingle("anna0001", "source-add", &anna).attr("type"), Some("result"), "it is hers");
    w.leave("anna0001");
    let free = video(777, "ben00002-v1", "ben00002-video-1-1 t");
    assert_eq!(w.jingle("ben00002", "source-add", &free).attr("type"), Some("result"), "nobody's any more");
}

#[test]
fn so_many_sources_that_are_off_stay_somebodys_and_not_one_more() {
    let mut w = two();
    w.join_at(ROOM, "cem00003", NEW, "");
    let video = |nick: &str, ssrc: usize| {
        format!(
            "<content name='video'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'>\
             <source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='{ssrc}' name='{nick}-v1'/></description></content>"
        )
    };
    for n in 0..=limits::SOURCES_REMEMBERED {
        assert_eq!(
            w.jingle("cem00003", "source-add", &video("cem00003", 70_000 + n)).attr("type"),
            Some("result")
        );
        assert_eq!(
            w.jingle("cem00003", "source-remove", &video("cem00003", 70_000 + n)).attr("type"),
            Some("result")
        );
    }
    assert_eq!(w.jingle("ben00002", "source-add", &video("ben00002", 70_001)).attr("type"), Some("error"));
    assert_eq!(
        w.jingle("ben00002", "source-add", &video("ben00002", 70_000)).attr("type"),
        Some("result"),
        "the oldest"
    );
}

#[test]
fn an_ssrc_twice_in_a_group_is_refused() {
    let mut w = two();
    let group = |ssrcs: [u32; 2]| {
        format!(
            "<content name='video'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'>\
             <source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='71' name='anna0001-v1'><parameter name='msid' value='m'/></source>\
             <source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='72' name='anna0001-v1'><parameter name='msid' value='m'/></source>\
             <ssrc-group xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' semantics='FID'><source ssrc='{}'/><source ssrc='{}'/></ssrc-group>\
             </description></content>",
            ssrcs[0], ssrcs[1]
        )
    };
    assert_eq!(w.jingle("anna0001", "source-add", &group([71, 71])).attr("type"), Some("error"));
    assert_eq!(w.jingle("anna0001", "source-add", &group([71, 72])).attr("type"), Some("result"));
}

/// As many sources as one may have, each as long as may be.
fn largest(nick: &str, base: u32) -> String {
    let text = |n: usize| "&quot;".repeat(n);
    let one = |n: u32| {
        let msid = format!("{n}{}", text(limits::TEXT - 10));
        let name = format!("{nick}-v{n}{}", text(limits::TEXT - nick.len() - 10));
        format!(
            "<source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='{n}' name='{name}'><parameter name='msid' value='{msid}'/></source>"
        )
    };
    let all: String = (base..base + limits::SSRCS_PER_PARTICIPANT as u32).map(one).collect();
    format!(
        "<content name='video'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'>{all}</description></content>"
    )
}

#[test]
fn twenty_with_the_longest_names_made_a_message_that_costs_the_link() {
    let mut w = World::on_two_bridges();
    for n in 0..20_u32 {
        let nick = format!("evil{n:04}");
        w.join_at(ROOM, &nick, NEW, &largest(&nick, 100_000 + 100 * n));
    }
    w.forget();
    // One who has to be told all of it, and a bridge that has.
    w.join("cem00003", OLD);
    w.add_relay("jvb3");
    w.join("dora0004", OLD);
    w.seconds(10);
    let longest = w.sent.iter().map(String::len).max().unwrap();
    assert!(longest <= MOST, "{longest} bytes");
    for nick in ["cem00003", "dora0004"] {
        let told: usize =
            w.clients[nick].received.iter().map(|j| j.to_xml().matches("name=\"evil").count()).sum();
        assert_eq!(told, 20 * limits::SSRCS_PER_PARTICIPANT, "{nick} is told of everything");
        assert!(w.clients[nick].received.len() > 5, "in several messages");
    }
    w.assert_linked();
}

#[test]
fn sources_go_into_one_message_up_to_a_size_and_beyond_into_the_next() {
    use crate::sources::{ByOwner, portions};
    let w = {
        let mut w = two();
        w.join_at(ROOM, "evil0000", NEW, &largest("evil0000", 100_000));
        w
    };
    let id = jitsi_xmpp::ids::EndpointId::new("evil0000");
    let set = w.focus.rooms[&ROOM.parse().unwrap()].sources.of(&id);
    let of = |n: usize| -> ByOwner {
        (0..n).map(|n| (jitsi_xmpp::ids::EndpointId::new(format!("evil{n:04}")), set.clone())).collect()
    };
    let fit = limits::SOURCES_BYTES / set.bytes(&id);
    assert!(fit >= 1);
    assert_eq!((portions(of(0)).len(), portions(of(fit)).len(), portions(of(fit + 1)).len()), (0, 1, 2));
}

#[test]
fn an_id_as_long_as_a_stanza_came_back_in_the_answer() {
    let mut w = two();
    for (len, answered) in [(limits::REQUEST_ID, true), (limits::REQUEST_ID + 1, false)] {
        let id = "i".repeat(len);
        w.receive(&format!("<iq type='get' id='{id}' from='{ROOM}/anna0001' to='{ME}'><query xmlns='jabber:iq:version'/></iq>"));
        assert_eq!(w.replies.contains_key(&id), answered, "{len}");
    }
    assert_eq!(w.stats().counters.requests_unanswerable, 1);
}

#[test]
fn what_a_request_says_of_itself_came_back_at_any_length() {
    let mut w = two();
    let long = "x".repeat(100_000);
    let sid = w.clients["anna0001"].sid.clone();
    let all = [
        format!("<query xmlns='http://jabber.org/protocol/disco#info' node='{long}'/>"),
        format!(
            "<jingle xmlns='urn:xmpp:jingle:1' action='session-terminate' sid='{sid}'>\
             <bridge-session xmlns='http://jitsi.org/protocol/focus' id='{long}'/></jingle>"
        ),
    ];
    for (kind, payload) in ["get", "set"].into_iter().zip(all) {
        w.sent.clear();
        w.receive(&format!(
            "<iq type='{kind}' id='long{kind}' from='{ROOM}/anna0001' to='{ME}'>{payload}</iq>"
        ));
        assert!(w.replies.contains_key(&format!("long{kind}")));
        assert!(w.sent.iter().all(|s| s.len() < 10_000), "{kind}");
    }
}

#[test]
fn a_strangers_word_about_a_bridge_was_looked_up_in_every_room() {
    let mut w = two();
    let meeting = w.bridges["jvb1"].conferences.keys().next().unwrap().clone();
    let gone = format!("<conference-modify xmlns='jitsi:colibri2' meeting-id='{meeting}' expire='true'/>");
    let reply = w.request("anna0001", &gone).to_xml();
    assert!(reply.contains("<item-not-found"), "{reply}");
    assert_eq!(w.stats().counters.bridges_removed, 0);
}

#[test]
fn who_came_later_under_a_longer_nick_takes_nothing_of_the_shorter_one() {
    let mut w = two();
    // Of two ids of which one begins with the other, whoever came first is meant.
    w.join_at(ROOM, "anna0001-video", NEW, &camera("x", 90_000).replace("'x-", "'anna0001-video-"));
    let steal = "<content name='video'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'>\
        <source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='95000' name='anna0001-video-v1'>\
        <parameter name='msid' value='anna0001-video-9-1 t'/></source></description></content>";
    assert_eq!(w.jingle("anna0001-video", "source-add", steal).attr("type"), Some("error"));
}
