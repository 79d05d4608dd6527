//! What upstream's focus leaves people with (focus §13), and ours must not: whoever would be stuck, badly spread or unheard, and is not.
//!
//! What is shown elsewhere is not shown here again: `docs/developer/focus.md` has the list.

use std::time::Duration;

use jitsi_xmpp::colibri2::ErrorReason;
use jitsi_xmpp::{BareJid, Condition, Element};

use super::world::{ME, Mood, NEW, ROOM, World};
use crate::config::Strategy;
use crate::{Config, limits};

const MOMENT: Duration = Duration::from_millis(1);

fn two() -> World {
    let mut w = World::meeting();
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    w.forget();
    w
}

/// Somebody whose answer cannot be taken: it says that another's camera is its own.
fn thief(w: &mut World) {
    let stolen = w.clients["anna0001"].sources.clone();
    w.join_at(ROOM, "cem00003", NEW, &stolen);
}

/// Condition and text.
fn verdict(reply: &Element) -> (String, String) {
    let Some(e) = reply.child_named("error") else {
        return (reply.attr("type").unwrap().to_owned(), String::new());
    };
    let text = e.child_named("text").map(Element::text).unwrap_or_default();
    (e.first_child().unwrap().name().to_owned(), text)
}

fn metadata(w: &mut World, json: &str) {
    w.receive(&format!(
        "<message from='metadata.meet.jitsi' to='{ME}'><json-message xmlns='http://jitsi.org/jitmeet' room='{ROOM}'>\
         {{\"type\":\"room_metadata\",\"metadata\":{json}}}</json-message></message>"
    ));
}

#[test]
fn who_gave_an_answer_that_could_not_be_taken_was_left_without_media() {
    let mut w = two();
    thief(&mut w);
    assert_eq!(
        w.actions("cem00003"),
        ["session-initiate", "session-terminate"],
        "one after the other, never two"
    );
    assert_eq!(w.endpoints("jvb1"), ["anna0001", "ben00002"]);
    w.clients.get_mut("cem00003").unwrap().sources = super::world::camera("cem00003", 7000);
    w.advance(limits::ANSWER_REFUSED_PAUSE - MOMENT);
    assert!(w.actions("cem00003").is_empty(), "a client that leaves has time to");
    w.advance(MOMENT);
    assert_eq!(w.actions("cem00003"), ["session-initiate"]);
    assert_eq!(w.endpoints("jvb1"), ["anna0001", "ben00002", "cem00003"]);
    assert!(w.actions("anna0001").is_empty(), "nobody else hears of it");
}

#[test]
fn so_many_answers_that_cannot_be_taken_are_asked_for_and_not_one_more() {
    let mut w = two();
    thief(&mut w);
    w.seconds(300);
    let invited = w.actions("cem00003").iter().filter(|action| *action == "session-initiate").count();
    assert_eq!(invited, 1 + usize::from(limits::ANSWERS_REFUSED));
    assert_eq!(w.stats().counters.answers_refused as usize, invited);
    assert_eq!(w.endpoints("jvb1"), ["anna0001", "ben00002"]);
}

#[test]
fn a_component_that_is_loaded_after_the_others_was_not_found_until_the_next_connection() {
    let mut w = World::new();
    w.missing_component = Some("av_moderation");
    w.focus_in.clear();
    w.link_up(false);
    w.add_bridge("jvb1");
    w.conference_request(ROOM);
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    w.forget();
    w.moderate("audio", Some("anna0001"));
    assert!(w.clients["ben00002"].received.is_empty(), "nobody knows who says so");
    w.missing_component = None;
    w.seconds(limits::DISCOVERY_RETRY.as_secs());
    w.moderate("audio", Some("anna0001"));
    assert!(w.clients["ben00002"].received.iter().any(|e| e.name() == "mute"));
    let asked = |w: &World| w.sent.iter().filter(|s| s.contains("to=\"meet.jitsi\"")).count();
    let before = asked(&w);
    w.seconds(2 * limits::DISCOVERY_RETRY.as_secs());
    assert_eq!(asked(&w), before, "all are found, and nobody asks any more");
}

#[test]
fn a_room_bound_to_a_version_that_no_bridge_has_is_told_and_counted() {
    let mut w = World::new();
    w.add_bridge_that_says("jvb1", &[("version", "2.3")]);
    let room: BareJid = ROOM.parse().unwrap();
    w.focus.pin(w.now, room, "9.9".into(), Duration::from_secs(600)).unwrap();
    w.conference_request(ROOM);
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    w.seconds(60);
    assert!(w.focus_in[ROOM].to_xml().contains("bridgeNotAvailable"));
    assert_eq!(w.stats().counters.pins_unmet, 1, "said once, not each time that it is tried");
    w.add_bridge_that_says("jvb2", &[("version", "9.9")]);
    assert_eq!(w.endpoints("jvb2"), ["anna0001", "ben00002"]);
    assert!(!w.focus_in[ROOM].to_xml().contains("bridgeNotAvailable"));
}

#[test]
fn a_bridge_that_cannot_be_linked_is_said_where_meetings_may_span_several() {
    let mut config = Config::for_domain("meet.jitsi").unwrap();
    config.bridges.strategy = Strategy::RegionBased;
    config.bridges.relays = true;
    let mut w = World::with(config);
    w.add_relay("jvb1");
    w.add_bridge("jvb2");
    w.seconds(60);
    assert_eq!(w.stats().counters.bridges_unlinkable, 1);
    let mut w = World::new();
    w.add_bridge("jvb1");
    assert_eq!(w.stats().counters.bridges_unlinkable, 0, "where they do not, it is as it should be");
}

#[test]
fn where_bridges_are_not_linked_everybody_moves_off_one_that_does_not_work_any_more() {
    let mut w = World::meeting();
    w.add_bridge("jvb2");
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    let home = if w.endpoints("jvb1").is_empty() { "jvb2" } else { "jvb1" };
    let other = if home == "jvb1" { "jvb2" } else { "jvb1" };
    assert_eq!(w.endpoints(home), ["anna0001", "ben00002"]);
    // It says nothing in its presence for too long: its people stay, until somebody comes who cannot go there.
    w.bridges.get_mut(home).unwrap().mood = Mood::Silent;
    for _ in 0..12 {
        w.advance(Duration::from_secs(5));
        w.bridge_presence(other);
    }
    w.join("cem00003", NEW);
    assert_eq!(w.endpoints(other), ["anna0001", "ben00002", "cem00003"]);
    assert!(w.actions("anna0001").contains(&"session-terminate".to_owned()));
}

#[test]
fn meetings_that_begin_within_the_same_second_are_spread_over_the_bridges() {
    let mut w = World::new();
    // Each has an id of its own.
    w.form_fields.clear();
    for n in 1..=4 {
        w.add_bridge_that_says(&format!("jvb{n}"), &[("stress_level", "0.1")]);
    }
    // Nobody has published a new load since.
    for n in 0..40 {
        let room = format!("raum{n}@muc.meet.jitsi");
        w.http_request_from("192.0.2.7", n, &format!("{{\"room\":\"{room}\"}}"));
        for nick in ["a", "b"] {
            w.receive(&format!(
                "<presence from='{room}/{nick}{n}'><x xmlns='http://jabber.org/protocol/muc#user'>\
                 <item affiliation='none' role='participant' jid='{nick}{n}-0@meet.jitsi/r'/></x></presence>"
            ));
        }
    }
    w.advance(limits::IQ_TIMEOUT);
    let people: Vec<usize> = (1..=4).map(|n| w.endpoints(&format!("jvb{n}")).len()).collect();
    assert_eq!(people.iter().sum::<usize>(), 80);
    assert!(people.iter().all(|n| (16..=24).contains(n)), "{people:?}");
}

/// A class clicks at once, and what a bridge says of its load is of before.
#[test]
fn so_many_of_a_meeting_come_to_a_bridge_within_a_minute_and_the_next_one_goes_to_one_beside_it() {
    let mut config = Config::for_domain("meet.jitsi").unwrap();
    config.bridges.strategy = Strategy::RegionBased;
    config.bridges.relays = true;
    let mut w = World::with(config);
    w.add_bridge_that_says("jvb1", &[("relay_id", "jvb1")]);
    w.conference_request(ROOM);
    let join = |w: &mut World, n: usize| w.join(&format!("kind{n:04}"), NEW);
    (0..2).for_each(|n| join(&mut w, n));
    w.add_bridge_that_says("jvb2", &[("relay_id", "jvb2"), ("stress_level", "0.2")]);
    w.add_bridge_that_says("fern", &[("relay_id", "fern"), ("stress_level", "0"), ("region", "us")]);
    (2..limits::BRIDGE_JOINS).for_each(|n| join(&mut w, n));
    assert_eq!((w.endpoints("jvb1").len(), w.endpoints("jvb2").len()), (limits::BRIDGE_JOINS, 0));
    join(&mut w, 100);
    assert_eq!((w.endpoints("jvb1").len(), w.endpoints("jvb2").len()), (limits::BRIDGE_JOINS, 1));
    w.remove_bridge("jvb2");
    (101..120).for_each(|n| join(&mut w, n));
    assert_eq!(w.endpoints("jvb1").len(), limits::BRIDGE_JOINS + 20, "nobody goes far away");
    assert!(w.endpoints("fern").is_empty());
    w.assert_linked();
}

#[test]
fn people_of_an_endpoint_that_was_refused_do_not_count_as_being_on_the_bridge() {
    let mut w = World::meeting();
    let on = |w: &World| w.stats().bridge_endpoints.iter().map(|(_, n)| *n).sum::<usize>();
    w.bridges.get_mut("jvb1").unwrap().mood = Mood::Refuses(Condition::BadRequest, None);
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    assert_eq!(on(&w), 0);
    w.bridges.get_mut("jvb1").unwrap().mood = Mood::Works;
    w.seconds(10);
    assert_eq!(on(&w), 2);
    for nick in ["anna0001", "ben00002"] {
        w.leave(nick);
    }
    assert_eq!(on(&w), 0);
    w.assert_empty();
}

#[test]
fn a_bridge_that_takes_back_that_it_ends_is_used_again() {
    for how in ["presence", "answer"] {
        let mut w = World::meeting();
        w.add_bridge_that_says("jvb2", &[("stress_level", "0.7")]);
        match how {
            "presence" => w.bridge_says("jvb1", &[("graceful_shutdown", "true")]),
            _ => {
                let ends = Mood::Refuses(Condition::ServiceUnavailable, Some(ErrorReason::GracefulShutdown));
                w.bridges.get_mut("jvb1").unwrap().mood = ends;
            }
        }
        w.join("anna0001", NEW);
        w.join("ben00002", NEW);
        assert_eq!(w.endpoints("jvb2").len(), 2, "{how}");
        w.leave("anna0001");
        w.leave("ben00002");
        w.bridges.get_mut("jvb1").unwrap().mood = Mood::Works;
        w.bridge_says("jvb1", &[("graceful_shutdown", "false")]);
        w.conference_request(ROOM);
        w.join("anna0001", NEW);
        w.join("ben00002", NEW);
        assert_eq!(w.endpoints("jvb1").len(), 2, "{how}");
    }
}

#[test]
fn whoever_has_an_account_beside_the_recorders_could_pass_for_one() {
    let hidden = |nick: &str| {
        format!(
            "<presence from='{ROOM}/{nick}'><features><feature var='http://jitsi.org/protocol/jibri'/></features>\
             <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant' \
             jid='{nick}@hidden.meet.jitsi/r'/></x></presence>"
        )
    };
    for (trusted, recorder, clerk) in [
        ("hidden.meet.jitsi", true, true),
        ("recorder@hidden.meet.jitsi", true, false),
        ("Recorder@Hidden.meet.jitsi", true, false),
        ("recorder@meet.jitsi", false, false),
    ] {
        let mut config = Config::for_domain("meet.jitsi").unwrap();
        config.trusted_domains = vec![trusted.into()];
        let mut w = World::with(config);
        w.conference_request(ROOM);
        for (nick, believed) in [("recorder", recorder), ("clerk", clerk)] {
            w.receive(&hidden(nick));
            let is =
                w.focus.rooms.values().next().unwrap().members[&jitsi_xmpp::ids::EndpointId::new(nick)].kind;
            assert_eq!(is == crate::conference::member::Kind::Jibri, believed, "{trusted}: {nick}");
        }
    }
}

/// What upstream says to each request that it refuses (focus, appendix C). Recorders and gateways: `services.rs`; logins: `logins.rs`.
#[test]
fn every_error_of_upstream_s_has_its_condition_and_text() {
    let mut w = two();
    let jingle = |w: &World, action: &str, inner: &str| {
        let sid = &w.clients["anna0001"].sid;
        format!("<jingle xmlns='urn:xmpp:jingle:1' action='{action}' sid='{sid}'>{inner}</jingle>")
    };
    let video = |inner: &str| {
        format!(
            "<content name='video'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'>{inner}</description></content>"
        )
    };
    let source = |ssrc: u32| {
        format!("<source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='{ssrc}' name='anna0001-v1'/>")
    };
    let group = "<ssrc-group xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' semantics='FID'><source ssrc='1000'/><source ssrc='1001'/></ssrc-group>";
    let other = "<bridge-session xmlns='http://jitsi.org/protocol/focus' id='old' restart='true'/>";
    let ice = "<bridge-session xmlns='http://jitsi.org/protocol/focus' id='old' ice-restart='true'/>";
    let mute = |jid: &str, value: &str| {
        format!("<mute xmlns='http://jitsi.org/jitmeet/audio' jid='{jid}'>{value}</mute>")
    };
    let anna = format!("{ROOM}/anna0001");
    let table: Vec<(&str, String, &str, &str)> = vec![
        (
            "anna0001",
            "<jingle xmlns='urn:xmpp:jingle:1' action='source-add' sid='x'/>".into(),
            "bad-request",
            "unknown sid",
        ),
        ("anna0001", "<jingle xmlns='urn:xmpp:jingle:1' sid='x'/>".into(), "bad-request", "Missing 'action'"),
        ("anna0001", jingle(&w, "dance", ""), "feature-not-implemented", "Unsupported 'action'"),
        ("anna0001", jingle(&w, "transport-info", ""), "bad-request", "missing transport"),
        (
            "anna0001",
            jingle(&w, "source-remove", &video(&source(9))),
            "bad-request",
            "Source does not exist or is not owned by endpoint (ssrc=9).",
        ),
        (
            "anna0001",
            jingle(&w, "source-remove", &video(group)),
            "bad-request",
            "Source group does not exist",
        ),
        ("anna0001", jingle(&w, "source-add", &video(&source(0))), "bad-request", "Invalid SSRC: 0."),
        (
            "anna0001",
            jingle(&w, "source-add", &video(&source(1000))),
            "bad-request",
            "SSRC is already used: 1000.",
        ),
        (
            "anna0001",
            jingle(&w, "session-terminate", other),
            "item-not-found",
            "old is not a currently active session",
        ),
        (
            "anna0001",
            jingle(&w, "session-info", ice),
            "item-not-found",
            "old is not a currently active session",
        ),
        ("anna0001", mute("", "true"), "bad-request", ""),
        ("anna0001", mute(&anna, "maybe"), "bad-request", ""),
        ("anna0001", mute(&format!("{ROOM}/nobody"), "true"), "internal-server-error", ""),
        ("ben00002", mute(&anna, "true"), "not-allowed", ""),
        ("ben00002", mute(&anna, "false"), "not-allowed", ""),
        ("anna0001", "<nonsense xmlns='x:y'/>".into(), "feature-not-implemented", ""),
        (
            "anna0001",
            "<conference xmlns='http://jitsi.org/protocol/focus'/>".into(),
            "bad-request",
            "No 'room' specified.",
        ),
    ];
    for (who, payload, condition, text) in table {
        let said = verdict(&w.request(who, &payload));
        assert_eq!((said.0.as_str(), said.1.as_str()), (condition, text), "{payload}");
    }
    assert!(w.actions("anna0001").is_empty() && w.endpoints("jvb1").len() == 2, "and nothing has changed");
}

#[test]
fn a_request_that_hits_a_bug_is_answered() {
    for payload in [
        "<mute xmlns='http://jitsi.org/jitmeet/audio' jid='x'>true</mute>",
        "<jingle xmlns='urn:xmpp:jingle:1' action='source-add' sid='x'/>",
    ] {
        let mut w = two();
        w.focus.spring_a_trap(&ROOM.parse().unwrap());
        assert_eq!(verdict(&w.request("anna0001", payload)).0, "internal-server-error");
        assert_eq!(w.stats().counters.panics, 1);
    }
}

/// Its answer comes later than that of others, and was forgotten with the room.
#[test]
fn a_conference_request_that_hits_a_bug_is_answered_once_and_costs_no_other_conference() {
    for in_the_room in [true, false] {
        let mut w = two();
        w.conference_request("andere@muc.meet.jitsi");
        let spring = |w: &mut World| match in_the_room {
            true => w.focus.spring_a_trap(&ROOM.parse().unwrap()),
            false => w.focus.engine.trap = true,
        };
        spring(&mut w);
        w.sent.clear();
        let id = w.conference_request(ROOM);
        assert_eq!(verdict(&w.replies[&id]).0, "internal-server-error", "in the room: {in_the_room}");
        let answers = w.sent.iter().filter(|s| s.contains(&format!("id=\"{id}\""))).count();
        assert_eq!((answers, w.stats().counters.panics), (1, 1));
        assert_eq!(w.stats().conferences, if in_the_room { 1 } else { 2 }, "the other one goes on");
        w.clients.clear();
        let id = w.conference_request(ROOM);
        assert!(w.replies[&id].to_xml().contains("ready=\"true\""), "and it can be asked again");
        spring(&mut w);
        w.http_request(1, &format!("{{\"room\":\"{ROOM}\"}}"));
        assert_eq!((w.http[&1].status, w.stats().counters.panics), (500, 2), "{:?}", w.http[&1].body);
    }
}

/// What it was told in the same turn is not repeated.
#[test]
fn a_wish_to_record_that_hits_a_bug_is_answered_once() {
    let mut config = Config::for_domain("meet.jitsi").unwrap();
    config.recorders = Some("jibribrewery@internal-muc.meet.jitsi".parse().unwrap());
    let mut w = World::with(config);
    w.add_bridge("jvb1");
    w.conference_request(ROOM);
    w.join("anna0001", NEW);
    w.receive(
        "<presence from='jibribrewery@internal-muc.meet.jitsi/r1'><jibri-status xmlns='http://jitsi.org/protocol/jibri'>\
         <busy-status status='idle'/><health-status xmlns='http://jitsi.org/protocol/health' status='healthy'/></jibri-status></presence>",
    );
    w.focus.spring_a_trap(&ROOM.parse().unwrap());
    w.sent.clear();
    let wish = "<jibri xmlns='http://jitsi.org/protocol/jibri' action='start' recording_mode='file'/>";
    w.receive(&format!("<iq type='set' id='w1' from='{ROOM}/anna0001' to='{ME}'>{wish}</iq>"));
    assert_eq!(verdict(&w.replies["w1"]).0, "internal-server-error");
    assert_eq!(w.sent.iter().filter(|s| s.contains("id=\"w1\"")).count(), 1);
}

#[test]
fn names_and_msids_of_sources_are_read_up_to_their_limit() {
    let mut w = two();
    let add = |w: &mut World, ssrc: u32, name: usize, msid: usize| {
        let name = format!("anna0001-{}", "v".repeat(name - 9));
        let msid = format!("{ssrc}{}", "m".repeat(msid - ssrc.to_string().len()));
        let inner = format!(
            "<content name='video'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'>\
             <source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='{ssrc}' name='{name}'>\
             <parameter name='msid' value='{msid}'/></source></description></content>"
        );
        w.jingle("anna0001", "source-add", &inner)
    };
    let most = limits::TEXT;
    assert_eq!(verdict(&add(&mut w, 51, most, most)).0, "result");
    let long = add(&mut w, 52, most + 1, most);
    assert_eq!(verdict(&long).0, "bad-request");
    assert_eq!(verdict(&add(&mut w, 52, 100_000, 10)).0, "bad-request");
    assert!(long.to_xml().len() < 1_000, "and it is not said back");
    assert_eq!(verdict(&add(&mut w, 52, most, most + 1)).0, "bad-request");
    assert_eq!(verdict(&add(&mut w, 52, most, most)).0, "result");
}

#[test]
fn nobody_says_what_the_clients_of_others_can_do() {
    let mut w = two();
    // Its answer does not fit the hash that it names, which is that of everybody's client.
    let claims = |w: &mut World, nick: &str| {
        w.receive(&format!(
            "<presence from='{ROOM}/{nick}'><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' \
             node='https://jitsi.org/jitsi-meet' ver='anna0001'/><x xmlns='http://jabber.org/protocol/muc#user'>\
             <item affiliation='none' role='participant' jid='{nick}-0@meet.jitsi/r1'/></x></presence>"
        ));
        w.sent.iter().any(|s| s.contains(&format!("/{nick}")) && s.contains("disco#info"))
    };
    assert!(claims(&mut w, "cem00003") && claims(&mut w, "dora0004"), "each is asked itself");
}

#[test]
fn one_odd_field_of_the_metadata_cost_all_the_others() {
    for odd in [
        r#"{"participants":{},"moderators":5,"startMuted":{"audio":true}}"#,
        r#"{"lobbyEnabled":"x","visitors":[],"startMuted":{"audio":true,"video":"perhaps"}}"#,
        r#"{"participantsSoftLimit":-1,"visitorsEnabled":{},"recording":7,"startMuted":{"audio":true}}"#,
    ] {
        let mut w = World::meeting();
        w.join("anna0001", NEW);
        metadata(&mut w, odd);
        w.join("ben00002", NEW);
        let invited = w.clients["ben00002"].received[0].to_xml();
        assert!(invited.contains("audio=\"true\" video=\"false\""), "{odd}");
    }
}

#[test]
fn ten_thousand_meetings_leave_nothing() {
    let mut w = World::new();
    w.add_bridge("jvb1");
    for n in 0..10_000 {
        w.conference_request(ROOM);
        w.join("anna0001", NEW);
        w.join("ben00002", NEW);
        assert_eq!(w.endpoints("jvb1").len(), 2, "{n}");
        w.leave("anna0001");
        w.leave("ben00002");
        w.forget();
        w.replies.clear();
        w.advance(Duration::from_secs(1));
        if n % 20 == 0 {
            w.bridge_presence("jvb1");
        }
    }
    w.assert_empty();
    let f = &w.focus;
    assert_eq!((f.rooms.len(), f.breakouts.len(), f.over.len()), (0, 0, 0));
    assert_eq!((f.engine.iqs.len(), f.engine.orphans.len(), f.engine.out.len()), (0, 0, 0));
}
