//! Cases beside those that a feature is known by: the second of two, once more, the other medium, the answer that says no. Each of them went
//! wrong, or could have without a test that says so.

use std::collections::BTreeSet;
use std::time::Duration;

use jitsi_xmpp::colibri2::{ErrorReason, capability};
use jitsi_xmpp::{BareJid, Condition, Element};

use super::world::{ME, MEETING, Mood, NEW, OLD, ROOM, World};
use crate::{Config, limits};

const SECOND: Duration = Duration::from_secs(1);

fn two() -> World {
    let mut w = World::meeting();
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    w.forget();
    w
}

/// Condition and text.
fn verdict(reply: &Element) -> (String, String) {
    let Some(e) = reply.child_named("error") else {
        return (reply.attr("type").unwrap().to_owned(), String::new());
    };
    let text = e.child_named("text").map(Element::text).unwrap_or_default();
    (e.first_child().unwrap().name().to_owned(), text)
}

fn content(media: &str, ssrc: u32, name: &str) -> String {
    format!(
        "<content name='{media}'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='{media}'>\
         <source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='{ssrc}' name='{name}'/></description></content>"
    )
}

/// By which id the meeting is made on its bridge when somebody comes again, after the bridge said this to its end.
fn id_after_an_end(mood: Mood) -> String {
    let mut w = two();
    w.leave("ben00002");
    w.advance(limits::SINGLE_PARTICIPANT - SECOND);
    let bridge = w.bridges.get_mut("jvb1").unwrap();
    if mood == Mood::Works {
        // It has forgotten the meeting by itself, and says so.
        bridge.conferences.clear();
    }
    bridge.mood = mood;
    w.advance(2 * SECOND);
    w.bridges.get_mut("jvb1").unwrap().mood = Mood::Works;
    w.forget();
    w.join("ben00002", NEW);
    w.bridges["jvb1"].requests.iter().find(|r| r.create).unwrap().meeting_id.as_str().to_owned()
}

#[test]
fn a_bridge_that_knows_of_no_meeting_can_have_it_by_its_own_id_and_one_that_refuses_its_end_cannot() {
    assert_eq!(id_after_an_end(Mood::Works), MEETING);
    assert_ne!(id_after_an_end(Mood::Refuses(Condition::InternalServerError, None)), MEETING);
    let another = Mood::Refuses(Condition::InternalServerError, Some(ErrorReason::Unspecified));
    assert_ne!(id_after_an_end(another), MEETING);
}

#[test]
fn other_bridges_are_told_who_learns_of_sources_from_its_bridge_alone() {
    let mut w = World::on_two_bridges();
    w.join("cem00003", OLD);
    let relays = w.bridges.values().flat_map(|b| &b.requests).flat_map(|r| &r.relays);
    let made: BTreeSet<(&str, bool)> = relays
        .flat_map(|r| &r.endpoints)
        .filter(|e| e.create)
        .map(|e| (e.id.as_str(), e.has_capability(capability::SSRC_REWRITING)))
        .collect();
    let of = |rewrites: bool| -> Vec<&str> {
        made.iter().filter(|(_, r)| *r == rewrites).map(|(id, _)| *id).collect()
    };
    assert_eq!((of(true), of(false)), (vec!["anna0001", "ben00002"], vec!["cem00003"]));
}

#[test]
fn a_main_room_lives_as_long_as_the_last_of_its_breakout_rooms() {
    let mut w = World::new();
    w.conference_request(ROOM);
    let come_and_go = |w: &mut World, room: &str, kind: &str| {
        w.receive(&format!(
            "<presence {kind} from='{room}/anna0001' to='{ME}'><x xmlns='http://jabber.org/protocol/muc#user'>\
             <item affiliation='none' role='participant' jid='a@meet.jitsi/r'/></x></presence>"
        ));
    };
    for n in 1..=2 {
        w.form_fields = vec![
            ("muc#roominfo_meetingId", format!("{MEETING}-{n}")),
            ("muc#roominfo_isbreakout", "true".into()),
            ("muc#roominfo_breakout_main_room", ROOM.into()),
        ];
        let room = format!("b{n}@breakout.meet.jitsi");
        w.conference_request(&room);
        come_and_go(&mut w, &room, "");
    }
    w.seconds(30);
    assert_eq!(w.stats().conferences, 3, "nobody is in the main room");
    come_and_go(&mut w, "b1@breakout.meet.jitsi", "type='unavailable'");
    assert_eq!(w.stats().conferences, 2, "there are people in the other one");
    come_and_go(&mut w, "b2@breakout.meet.jitsi", "type='unavailable'");
    assert_eq!(w.stats().conferences, 0);
}

#[test]
fn too_many_microphones_keep_no_camera_off_and_too_many_cameras_no_microphone() {
    for (most_audio, most_video) in [(1, 9), (9, 1)] {
        let mut config = Config::for_domain("meet.jitsi").unwrap();
        (config.max_audio_senders, config.max_video_senders) = (most_audio, most_video);
        let mut w = World::with(config);
        w.add_bridge("jvb1");
        w.conference_request(ROOM);
        w.join("anna0001", NEW);
        w.join("ben00002", NEW);
        w.presence("ben00002", "<audiomuted>false</audiomuted><videomuted>false</videomuted>");
        for (media, ssrc, name, most) in
            [("audio", 51, "anna0001-a1", most_audio), ("video", 52, "anna0001-v1", most_video)]
        {
            let said = verdict(&w.jingle("anna0001", "source-add", &content(media, ssrc, name)));
            let expected = match most {
                1 => ("resource-constraint".to_owned(), format!("Sender count exceeded for: {media}")),
                _ => ("result".to_owned(), String::new()),
            };
            assert_eq!(said, expected, "{media}: {most}");
        }
    }
}

#[test]
fn a_request_of_a_session_that_has_ended_is_told_so() {
    let mut w = two();
    let session = w.clients["anna0001"].bridge_session.clone();
    let ends = format!(
        "<reason><success/></reason><bridge-session xmlns='http://jitsi.org/protocol/focus' id='{session}'/>"
    );
    assert_eq!(verdict(&w.jingle("anna0001", "session-terminate", &ends)).0, "result");
    for action in ["source-add", "session-accept", "session-terminate"] {
        let said = verdict(&w.jingle("anna0001", action, ""));
        assert_eq!(said, ("gone".into(), "session ended".into()), "{action}");
    }
}

/// The other bridge's last word was read before the pause, and that of the one at work was not.
#[test]
fn our_own_pause_is_no_bridge_s_silence_also_when_the_other_was_heard_last() {
    let mut w = two();
    w.add_bridge("jvb2");
    w.seconds(3);
    w.forget();
    w.advance(Duration::from_millis(100));
    w.bridge_presence("jvb2");
    w.now += 30 * SECOND;
    w.focus.handle_timeout(w.now);
    w.pump();
    w.seconds(5);
    assert!(w.actions("anna0001").is_empty());
}

#[test]
fn a_bridge_that_falls_silent_again_before_it_is_used_has_to_answer_anew_for_as_long() {
    let mut w = two();
    w.add_bridge("jvb2");
    w.seconds(3);
    let mood = |w: &mut World, mood: Mood| w.bridges.get_mut("jvb1").unwrap().mood = mood;
    // It says nothing at all: no presence, either.
    mood(&mut w, Mood::Silent);
    w.advance(4 * SECOND);
    assert_eq!(w.endpoints("jvb2").len(), 2);
    mood(&mut w, Mood::Works);
    w.advance(limits::SILENCE_HOLD / 2);
    mood(&mut w, Mood::Silent);
    w.advance(limits::SILENCE_HOLD / 2);
    mood(&mut w, Mood::Works);
    w.advance(limits::SILENCE_HOLD - 2 * SECOND);
    assert_eq!(w.stats().operational_bridge_count, 1, "not yet");
    w.advance(4 * SECOND);
    assert_eq!(w.stats().operational_bridge_count, 2);
}

#[test]
fn a_source_that_goes_takes_its_groups_with_it() {
    let mut w = two();
    let groups = |w: &World| {
        let of =
            w.focus.rooms.values().next().unwrap().sources.of(&jitsi_xmpp::ids::EndpointId::new("anna0001"));
        of.groups.len()
    };
    assert_eq!(groups(&w), 4);
    // The repetitions of one layer, and nothing is said of the group that they are in.
    let rtx = content("video", 1003, "anna0001-v0");
    assert_eq!(verdict(&w.jingle("anna0001", "source-remove", &rtx)).0, "result");
    assert_eq!(groups(&w), 3);
}

#[test]
fn a_bound_room_without_any_bridge_is_not_said_to_have_the_wrong_ones() {
    let mut w = World::new();
    // One that is sick is none.
    w.add_bridge_that_says("jvb1", &[("healthy", "false")]);
    let room: BareJid = ROOM.parse().unwrap();
    w.focus.pin(w.now, room, "9.9".into(), Duration::from_secs(600)).unwrap();
    w.conference_request(ROOM);
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    assert!(w.focus_in[ROOM].to_xml().contains("bridgeNotAvailable"));
    assert_eq!(w.stats().counters.pins_unmet, 0);
}

#[test]
fn who_moves_people_of_a_room_that_is_none_is_told() {
    let mut w = two();
    let order = |room: &str| crate::Move::Endpoints {
        bridge: "jvb1".into(),
        room: Some(room.parse().unwrap()),
        number: 5,
    };
    assert_eq!(
        w.focus.move_away(w.now, &order("nobody@muc.meet.jitsi")),
        Err(crate::MoveError::NoConference)
    );
    assert!(w.focus.move_away(w.now, &order(ROOM)).is_ok());
}

/// As clients of the same build are many, one is asked for all, if what it says is what it announces.
#[test]
fn a_client_of_a_build_that_is_known_is_not_asked() {
    let mut w = World::meeting();
    let features: String = NEW.iter().map(|f| format!("<feature var='{f}'/>")).collect();
    let query = format!("<query xmlns='http://jabber.org/protocol/disco#info'>{features}</query>");
    let query = jitsi_xmpp::xml::parse(query.as_bytes()).unwrap();
    let ver = jitsi_xmpp::disco::DiscoInfo::from_element(&query).unwrap().ver().unwrap();
    let comes = |w: &mut World, nick: &str, ver: &str| {
        w.sent.clear();
        w.receive(&format!(
            "<presence from='{ROOM}/{nick}' to='{ME}'><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='{ver}'/>\
             <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant' \
             jid='{nick}-0@meet.jitsi/r1'/></x></presence>"
        ));
        let asked = w.sent.iter().find(|s| s.contains("disco#info") && s.contains(nick)).cloned();
        let Some(asked) = asked else { return false };
        let asked = jitsi_xmpp::xml::parse(asked.as_bytes()).unwrap();
        let id = asked.attr("id").unwrap().to_owned();
        w.receive(&format!("<iq type='result' id='{id}' from='{ROOM}/{nick}'>{}</iq>", query.to_xml()));
        true
    };
    assert!(comes(&mut w, "anna0001", &ver));
    assert!(!comes(&mut w, "ben00002", &ver), "its features are known");
    assert!(comes(&mut w, "cem00003", "another"), "and of this one they are not");
    let offers = w.sent.iter().filter(|s| s.contains("session-initiate")).count();
    assert_eq!(offers, 1, "the third one, after the first two");
}

#[test]
fn who_was_in_the_room_before_the_focus_is_asked_and_invited_like_everybody() {
    let mut w = World::new();
    w.add_bridge("jvb1");
    w.form_fields.push(("muc#roominfo_conference_presets_service_enabled", "true".into()));
    w.conference_request(ROOM);
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    assert!(w.endpoints("jvb1").is_empty(), "the focus waits for the presets");
    w.advance(limits::METADATA);
    assert_eq!(w.endpoints("jvb1"), ["anna0001", "ben00002"]);
    let initiated = w.clients["anna0001"].received[0].to_xml();
    assert!(!initiated.contains("ssrc=\"2000\""), "by what its client can do");
}

#[test]
fn a_client_that_answers_its_invitation_with_an_error_has_no_session_and_no_endpoint() {
    let mut w = two();
    w.receive(&format!(
        "<presence from='{ROOM}/cem00003' to='{ME}'><x xmlns='http://jabber.org/protocol/muc#user'>\
         <item affiliation='none' role='participant' jid='cem00003-0@meet.jitsi/r1'/></x></presence>"
    ));
    w.advance(limits::IQ_TIMEOUT + SECOND);
    assert_eq!(w.endpoints("jvb1").len(), 3);
    let offer = w.sent.iter().find(|s| s.contains("session-initiate") && s.contains("cem00003")).unwrap();
    let id = jitsi_xmpp::xml::parse(offer.as_bytes()).unwrap().attr("id").unwrap().to_owned();
    let error = "<error type='cancel'><bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
    w.receive(&format!("<iq type='error' id='{id}' from='{ROOM}/cem00003'>{error}</iq>"));
    assert_eq!(w.endpoints("jvb1"), ["anna0001", "ben00002"]);
    assert!(w.sent.iter().any(|s| s.contains("session-terminate") && s.contains("cem00003")));
    assert!(w.actions("anna0001").is_empty(), "nobody else hears of it");
}

#[test]
fn of_two_ways_of_a_bridge_only_the_one_that_carries_nothing_is_made_anew() {
    let mut config = Config::for_domain("meet.jitsi").unwrap();
    config.bridges.strategy = crate::config::Strategy::Split;
    config.bridges.relays = true;
    let mut w = World::with(config);
    for nick in ["jvb1", "jvb2", "jvb3"] {
        w.add_relay(nick);
    }
    w.conference_request(ROOM);
    for nick in ["anna0001", "ben00002", "cem00003"] {
        w.join(nick, NEW);
    }
    for other in ["jvb2", "jvb3"] {
        w.forget();
        let meeting = w.bridges["jvb1"].conferences.keys().next().unwrap().clone();
        w.receive(&format!(
            "<iq type='set' id='lost{other}' from='jvbbrewery@internal-muc.meet.jitsi/jvb1' to='{ME}'>\
             <conference-modify xmlns='jitsi:colibri2' meeting-id='{meeting}'><relay id='{other}' expire='true'/></conference-modify></iq>"
        ));
        w.seconds(2);
        let made = |bridge: &str| {
            let all = w.bridges[bridge].requests.iter().flat_map(|r| &r.relays);
            all.filter(|r| r.create).map(|r| r.id.as_str()).collect::<Vec<_>>()
        };
        let third = if other == "jvb2" { "jvb3" } else { "jvb2" };
        assert_eq!((made("jvb1"), made(other), made(third)), (vec![other], vec!["jvb1"], vec![]));
        w.assert_linked();
    }
}

#[test]
fn so_many_candidates_of_a_client_are_kept_over_all_it_says_and_not_one_more() {
    let mut w = two();
    let say = |w: &mut World, from: usize, number: usize| {
        let all: String = (from..from + number)
            .map(|n| {
                format!(
                    "<candidate component='1' foundation='1' generation='0' id='c{n}' ip='192.0.2.7' port='{n}' priority='9' \
                     protocol='udp' type='host'/>"
                )
            })
            .collect();
        let transport = format!("<transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'>{all}</transport>");
        w.jingle("anna0001", "transport-info", &format!("<content name='audio'>{transport}</content>"));
    };
    let kept = |w: &World| {
        let conference = w.focus.rooms.values().next().unwrap();
        let member = &conference.members[&jitsi_xmpp::ids::EndpointId::new("anna0001")];
        member.session().unwrap().transport.as_ref().unwrap().candidates.len()
    };
    say(&mut w, 1, limits::CANDIDATES - 1);
    assert_eq!(kept(&w), limits::CANDIDATES - 1);
    say(&mut w, 1_000, 1);
    assert_eq!(kept(&w), limits::CANDIDATES);
    say(&mut w, 2_000, 1);
    assert_eq!(kept(&w), limits::CANDIDATES);
}

#[test]
fn a_bridge_with_few_people_is_not_avoided_because_of_two_who_do_not_reach_it() {
    let mut config = Config::for_domain("meet.jitsi").unwrap();
    config.bridges.ice_failures = Some(crate::IceFailures::default());
    let mut w = World::with(config);
    w.add_bridge("jvb1");
    w.conference_request(ROOM);
    let nicks: Vec<String> = (0..29).map(|n| format!("a{n:07}")).collect();
    for nick in &nicks {
        w.join(nick, NEW);
    }
    for nick in &nicks[..5] {
        w.restart(nick);
    }
    w.seconds(2);
    assert!(w.stats().bridges_failing_ice.iter().all(|(_, fails)| !fails), "of so few it says nothing");
    w.join("b0000030", NEW);
    w.seconds(2);
    assert!(w.stats().bridges_failing_ice.iter().any(|(_, fails)| *fails));
}

#[test]
fn a_bridge_that_leaves_and_comes_again_waits_like_one_that_is_sick_and_well_again() {
    let mut w = two();
    w.add_bridge("jvb2");
    for n in 1..=limits::FLAPS {
        w.remove_bridge("jvb2");
        w.advance(SECOND);
        w.add_bridge("jvb2");
        assert_eq!(w.stats().bridges_held, u64::from(n == limits::FLAPS), "after {n}");
    }
}

#[test]
fn who_moderates_keeps_its_microphone_when_another_moderator_closes_all() {
    let mut w = two();
    w.join("cem00003", NEW);
    w.promote("ben00002");
    w.forget();
    w.moderate("audio", Some("anna0001"));
    let told = ["anna0001", "ben00002", "cem00003"].map(|nick| w.clients[nick].received.len());
    assert_eq!(told, [0, 0, 1]);
}

#[test]
fn a_bridge_that_comes_and_drains_is_better_than_none() {
    let mut w = World::new();
    w.conference_request(ROOM);
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    w.add_bridge_that_says("jvb1", &[("drain", "true")]);
    assert_eq!(w.endpoints("jvb1"), ["anna0001", "ben00002"], "at once, not when it is looked for again");
}

#[test]
fn cameras_are_kept_off_by_the_bridge_where_screens_are_too_and_not_where_only_one_of_them_is() {
    // One kind of packet for both: a bridge cannot tell a camera from a screen.
    for (media, off) in
        [(["video", "audio"], false), (["desktop", "audio"], false), (["desktop", "video"], true)]
    {
        let mut w = two();
        media.into_iter().for_each(|medium| w.moderate(medium, Some("anna0001")));
        let asked = w.bridges["jvb1"].requests.iter().flat_map(|r| &r.endpoints);
        let mut ben = asked.filter(|e| e.id.as_str() == "ben00002").filter_map(|e| e.force_mute);
        assert_eq!(ben.next_back().is_some_and(|mute| mute.video), off, "{media:?}");
        w.join("cem00003", NEW);
        let came = w.clients["cem00003"].received.last().unwrap().to_xml();
        assert_eq!(came.contains("video=\"true\""), off, "{media:?}: {came}");
    }
}

#[test]
fn cameras_alone_start_off_where_the_room_wants_it_and_an_odd_wish_changes_nothing() {
    let mut w = two();
    let says = |w: &mut World, policy: &str| {
        w.receive(&format!(
            "<message from='metadata.meet.jitsi' to='{ME}'><json-message xmlns='http://jitsi.org/jitmeet' room='{ROOM}'>\
             {{\"type\":\"room_metadata\",\"metadata\":{{\"startMuted\":{policy}}}}}</json-message></message>"
        ));
    };
    let starts = |w: &mut World, nick: &str| {
        w.join(nick, NEW);
        let offer = w.clients[nick].received.last().unwrap();
        offer.child_named("startmuted").map(|m| [m.attr("audio"), m.attr("video")].map(|v| v == Some("true")))
    };
    says(&mut w, "{\"video\":true}");
    assert_eq!(starts(&mut w, "cem00003"), Some([false, true]));
    says(&mut w, "5");
    assert_eq!(starts(&mut w, "dana0004"), Some([false, true]));
    says(&mut w, "{\"audio\":true}");
    assert_eq!(starts(&mut w, "emil0005"), Some([true, false]), "the last one counts");
}

#[test]
fn where_the_focus_makes_nobody_a_moderator_it_makes_nobody_one() {
    let mut w = World::with(Config { auto_owner: false, ..Config::for_domain("meet.jitsi").unwrap() });
    w.add_bridge("jvb1");
    w.conference_request(ROOM);
    ["anna0001", "ben00002"].into_iter().for_each(|nick| w.join(nick, NEW));
    assert!(!w.is_owner("anna0001") && !w.is_owner("ben00002"));
    assert_eq!(w.actions("ben00002"), ["session-initiate"], "they meet all the same");
    assert!(!w.sent.iter().any(|s| s.contains("affiliation=\"owner\"")), "nobody was asked to");
}

#[test]
fn a_bridge_that_drains_is_worse_than_any_that_does_not() {
    for stat in ["drain", "graceful_shutdown"] {
        let mut w = World::new();
        w.add_bridge_that_says("jvb1", &[("stress_level", "0"), (stat, "true")]);
        w.add_bridge_that_says("jvb2", &[("stress_level", "0.7")]);
        w.conference_request(ROOM);
        ["anna0001", "ben00002"].into_iter().for_each(|nick| w.join(nick, NEW));
        assert_eq!((w.endpoints("jvb1").len(), w.endpoints("jvb2").len()), (0, 2), "{stat}");
    }
}
