//! One conference on several bridges: who is where, what each bridge is told of the others, and what happens when one of them fails.

use std::time::Duration;

use jitsi_xmpp::Condition;
use jitsi_xmpp::colibri2::ErrorReason;
use jitsi_xmpp::ids::EndpointId;

use super::world::{ME, Mood, NEW, OLD, ROOM, World};
use crate::{BridgesConfig, Config, Move, MoveError, Moved, PinError, Strategy, limits};

const MOMENT: Duration = Duration::from_millis(10);
const SHARE: &str = "<content name='video'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'>\
    <source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='51' name='anna0001-v1'/></description></content>";
const PEOPLE: [&str; 4] = ["anna0001", "ben00002", "cem00003", "dora0004"];

fn config(bridges: BridgesConfig) -> Config {
    Config { bridges, ..Config::for_domain("meet.jitsi").unwrap() }
}

fn splitting() -> Config {
    config(BridgesConfig { strategy: Strategy::Split, relays: true, ..BridgesConfig::default() })
}

/// A room and so many bridges that can be linked.
fn bridges(n: usize) -> World {
    let mut w = World::with(splitting());
    for i in 1..=n {
        w.add_relay(&format!("jvb{i}"));
    }
    w.conference_request(ROOM);
    w
}

/// Everybody on a bridge of their own, as far as there are.
fn spread(n_bridges: usize, people: usize) -> World {
    let mut w = bridges(n_bridges);
    for nick in &PEOPLE[..people] {
        w.join(nick, NEW);
    }
    w
}

fn relay_requests(w: &World, bridge: &str) -> usize {
    w.bridges[bridge].requests.iter().filter(|r| !r.relays.is_empty()).count()
}

fn home(w: &World, nick: &str) -> String {
    let on = |b: &&String| w.endpoints(b).iter().any(|e| e == nick);
    w.bridges.keys().find(on).unwrap_or_else(|| panic!("{nick} is on no bridge")).clone()
}

fn leave_all(w: &mut World) {
    for nick in w.clients.keys().cloned().collect::<Vec<_>>() {
        w.leave(&nick);
    }
    w.assert_empty();
}

#[test]
fn compat_a_relay_is_made_with_these_words() {
    let mut w = bridges(2);
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    let about = |bridge: &str| -> Vec<String> {
        let requests = w.bridges[bridge].requests.iter().filter(|r| !r.relays.is_empty());
        requests.map(|r| r.to_element().to_xml()).collect()
    };
    let fb = "<rtcp-fb xmlns=\"urn:xmpp:jingle:apps:rtp:rtcp-fb:0\" type=\"ccm\" subtype=\"fir\"/><rtcp-fb xmlns=\"urn:xmpp:jingle:apps:rtp:rtcp-fb:0\" type=\"nack\"/><rtcp-fb xmlns=\"urn:xmpp:jingle:apps:rtp:rtcp-fb:0\" type=\"nack\" subtype=\"pli\"/>";
    let all = about("jvb1");
    let (first, transport) = (&all[0], all.iter().find(|r| r.contains("setup=")).unwrap());
    let expected = "<conference-modify xmlns=\"jitsi:colibri2\" meeting-id=\"11111111-2222-4333-8444-555555555555\">\
         <relay id=\"jvb2\" mesh-id=\"0\" create=\"true\">\
         <transport ice-controlling=\"true\" use-unique-port=\"true\"><sctp role=\"client\"/></transport>\
         <media type=\"audio\">";
    assert!(first.starts_with(expected), "{first}");
    assert!(first.contains(fb) && first.contains("name=\"rtx\"") && first.contains("type=\"transport-cc\""));
    assert!(!first.contains("goog-remb"), "{first}");
    let sources = |nick: &str| {
        format!(
            "<endpoints><endpoint id=\"{nick}\" create=\"true\" stats-id=\"Anna-x7Q\"><sources/>\
             <capability name=\"source-names\"/><capability name=\"ssrc-rewriting\"/></endpoint></endpoints></relay></conference-modify>"
        )
    };
    assert!(first.ends_with(&sources("ben00002")), "{first}");
    assert_eq!(
        *transport,
        "<conference-modify xmlns=\"jitsi:colibri2\" meeting-id=\"11111111-2222-4333-8444-555555555555\"><relay id=\"jvb2\"><transport>\
         <transport xmlns=\"urn:xmpp:jingle:transports:ice-udp:1\" ufrag=\"jvb2-jvb1\" pwd=\"pw\">\
         <rtcp-mux xmlns=\"urn:xmpp:jingle:transports:ice-udp:1\"/>\
         <fingerprint xmlns=\"urn:xmpp:jingle:apps:dtls:0\" hash=\"sha-256\" setup=\"active\">AA:BB</fingerprint>\
         <candidate component=\"1\" foundation=\"1\" generation=\"0\" id=\"c1\" ip=\"192.0.2.10\" network=\"0\" port=\"10000\" priority=\"2130706431\" protocol=\"udp\" type=\"host\"/>\
         </transport></transport></relay></conference-modify>"
    );
    let other = about("jvb2");
    let expected = "<conference-modify xmlns=\"jitsi:colibri2\" meeting-id=\"11111111-2222-4333-8444-555555555555\">\
         <relay id=\"jvb1\" mesh-id=\"0\" create=\"true\"><transport><sctp role=\"server\"/></transport><media type=\"audio\">";
    assert!(other[0].starts_with(expected), "{}", other[0]);
    assert!(other.iter().any(|r| r.contains("setup=\"passive\"")), "{other:?}");
    w.assert_linked();
}

#[test]
fn without_a_data_channel_one_side_opens_a_websocket() {
    let mut w = World::with(Config { sctp: false, ..splitting() });
    w.add_relay("jvb1");
    w.add_relay("jvb2");
    w.conference_request(ROOM);
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    w.assert_linked();
    let told = |bridge: &str| {
        let of = w.bridges[bridge].requests.iter().flat_map(|r| &r.relays);
        let ice = of.filter_map(|r| r.transport.as_ref()?.ice.as_ref()).next().unwrap();
        ice.web_sockets.len()
    };
    assert_eq!((told("jvb1"), told("jvb2")), (1, 0));
    assert!(
        w.bridges
            .values()
            .flat_map(|b| &b.requests)
            .flat_map(|r| &r.relays)
            .all(|r| { r.transport.as_ref().is_none_or(|t| t.sctp.is_none()) })
    );
}

#[test]
fn every_bridge_knows_who_is_on_the_others_as_people_come_change_and_go() {
    for n in [2, 3] {
        let mut w = bridges(n);
        for nick in PEOPLE {
            w.join(nick, NEW);
            w.assert_linked();
        }
        assert!(w.focus_in[ROOM].to_xml().contains(&format!("key=\"bridge-count\" value=\"{n}\"")));
        assert_eq!(w.jingle("anna0001", "source-add", SHARE).attr("type"), Some("result"));
        w.assert_linked();
        assert_eq!(w.jingle("anna0001", "source-remove", SHARE).attr("type"), Some("result"));
        w.assert_linked();
        w.restart("ben00002");
        w.assert_linked();
        w.leave("cem00003");
        w.assert_linked();
        w.join("cem00003", NEW);
        w.assert_linked();
        leave_all(&mut w);
        assert!(w.bridges.values().all(|b| b.relays.is_empty()));
    }
}

#[test]
fn compat_a_request_has_one_relay_and_no_endpoints() {
    let mut w = spread(3, 4);
    w.jingle("anna0001", "source-add", SHARE);
    w.restart("dora0004");
    leave_all(&mut w);
    for r in w.bridges.values().flat_map(|b| &b.requests) {
        assert!(r.relays.len() <= 1 && (r.relays.is_empty() || r.endpoints.is_empty()), "{r:?}");
    }
}

#[test]
fn without_relays_a_conference_stays_on_one_bridge_whatever_the_strategy() {
    for strategy in [Strategy::Single, Strategy::RegionBased, Strategy::IntraRegion] {
        let off = BridgesConfig { strategy, max_participants: Some(1), ..BridgesConfig::default() };
        let mut w = World::with(config(off));
        w.add_relay("jvb1");
        w.add_relay("jvb2");
        w.conference_request(ROOM);
        for nick in PEOPLE {
            w.join(nick, NEW);
        }
        assert_eq!(w.endpoints("jvb1").len() + w.endpoints("jvb2").len(), 4);
        assert!(w.endpoints("jvb1").is_empty() || w.endpoints("jvb2").is_empty(), "{strategy:?}");
    }
}

#[test]
fn compat_split_means_relays() {
    let w = World::on_two_bridges();
    assert_eq!((w.endpoints("jvb1").len(), w.endpoints("jvb2").len()), (1, 1));
    w.assert_linked();
}

#[test]
fn bridges_that_say_no_relay_id_or_the_same_one_are_not_linked() {
    for says in [&[][..], &[("relay_id", "")], &[("relay_id", "jvb1")]] {
        let mut w = bridges(1);
        w.add_bridge_that_says("jvb2", says);
        for nick in PEOPLE {
            w.join(nick, NEW);
        }
        assert_eq!(w.endpoints("jvb1").len(), 4, "{says:?}");
    }
}

#[test]
fn a_second_bridge_is_used_when_the_first_is_full_for_this_conference() {
    let most = BridgesConfig {
        strategy: Strategy::RegionBased,
        relays: true,
        max_participants: Some(2),
        ..BridgesConfig::default()
    };
    let mut w = World::with(config(most));
    w.add_relay("jvb1");
    w.add_relay("jvb2");
    w.conference_request(ROOM);
    for nick in &PEOPLE[..2] {
        w.join(nick, NEW);
    }
    let first = home(&w, PEOPLE[0]);
    assert_eq!(w.endpoints(&first).len(), 2, "at the limit");
    w.join(PEOPLE[2], NEW);
    assert_ne!(home(&w, PEOPLE[2]), first, "one beyond");
    w.assert_linked();
}

#[test]
fn the_bridges_of_a_conference_are_bounded() {
    for (n, used) in [(limits::BRIDGES_PER_CONFERENCE, 32), (limits::BRIDGES_PER_CONFERENCE + 1, 32)] {
        let mut w = bridges(n);
        for i in 0..n {
            w.join(&format!("p{i:07}"), NEW);
        }
        let carry = w.bridges.values().filter(|b| !b.conferences.is_empty()).count();
        assert_eq!(carry, used, "{n} bridges");
        w.assert_linked();
    }
}

#[test]
fn a_bridge_that_goes_costs_nobody_else_anything() {
    type Fails = fn(&mut World, &str);
    let ways: [(&str, Fails); 3] = [
        ("leaves", |w, nick| w.remove_bridge(nick)),
        ("is sick", |w, nick| {
            w.bridges.get_mut(nick).unwrap().healthy = false;
            w.bridge_presence(nick);
        }),
        ("shuts down", |w, nick| w.bridge_says(nick, &[("shutting_down", "true")])),
    ];
    for (how, fails) in ways {
        let mut w = spread(3, 4);
        w.presence("ben00002", "<audiomuted>false</audiomuted><videomuted>false</videomuted>");
        w.forget();
        let gone = home(&w, "ben00002");
        let moved: Vec<String> = w.endpoints(&gone);
        fails(&mut w, &gone);
        w.assert_linked();
        for nick in PEOPLE {
            let actions = w.clients[nick].received.clone();
            let kinds: Vec<_> = actions.iter().filter_map(|a| a.attr("action")).collect();
            if moved.iter().any(|m| m == nick) {
                assert_eq!(kinds, ["session-terminate", "session-initiate"], "{how}: {nick}");
                assert!(!actions[1].to_xml().contains("startmuted"), "{how}: nobody's camera changes");
                assert_ne!(home(&w, nick), gone);
            } else {
                assert!(kinds.is_empty(), "{how}: {nick} notices nothing");
            }
        }
        assert!(w.bridges.iter().all(|(_, b)| !b.relays.contains_key(&gone)), "{how}");
        assert_eq!(w.stats().counters.participants_moved, moved.len() as u64);
        leave_all(&mut w);
    }
}

#[test]
fn who_is_muted_by_moderation_or_moved_stays_as_it_was() {
    let mut w = spread(2, 2);
    w.moderate("audio", None);
    w.forget();
    let gone = home(&w, "ben00002");
    w.remove_bridge(&gone);
    let there = home(&w, "ben00002");
    let create = w.bridges[&there].requests.iter().flat_map(|r| &r.endpoints).find(|e| e.create).unwrap();
    assert!(create.force_mute.is_some_and(|m| m.audio && !m.video));
    assert!(w.clients["anna0001"].received.is_empty());
}

#[test]
fn a_bridge_that_drains_or_ends_gets_nobody_new_and_keeps_whom_it_has() {
    for stat in ["drain", "graceful_shutdown"] {
        let mut w = spread(2, 2);
        let first = home(&w, "anna0001");
        w.forget();
        w.bridge_says(&first, &[(stat, "true")]);
        w.join("cem00003", NEW);
        w.join("dora0004", NEW);
        assert_eq!(w.endpoints(&first), ["anna0001"], "{stat}");
        assert!(w.clients["anna0001"].received.is_empty(), "{stat}");
        w.assert_linked();
    }
}

#[test]
fn a_bridge_that_is_slow_to_make_an_endpoint_is_linked_when_it_has() {
    let mut w = bridges(2);
    w.bridges.get_mut("jvb2").unwrap().mood = Mood::Late;
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    assert_eq!(relay_requests(&w, "jvb1"), 0, "nobody else hears of a bridge that has not answered");
    w.release("jvb2");
    w.bridges.get_mut("jvb2").unwrap().mood = Mood::Works;
    w.release("jvb2");
    w.assert_linked();
}

#[test]
fn while_a_relay_is_slow_news_are_collected_and_told_in_one_request() {
    let mut w = spread(2, 2);
    let (slow, other) = (home(&w, "anna0001"), home(&w, "ben00002"));
    w.bridges.get_mut(&slow).unwrap().relay_mood = Mood::Late;
    w.forget();
    // Everybody new goes to the other bridge.
    w.bridge_says(&slow, &[("drain", "true")]);
    for i in 0..30 {
        w.join(&format!("p{i:07}"), NEW);
    }
    w.leave("p0000003");
    assert_eq!(w.endpoints(&other).len(), 30);
    let about = |w: &World| relay_requests(w, &slow);
    let expired = w.bridges[&slow].requests.iter().flat_map(|r| &r.relays);
    let expired = expired.flat_map(|r| &r.endpoints).filter(|e| e.expire).count();
    assert!(about(&w) <= 1 + expired, "one at a time: {}", about(&w));
    w.bridges.get_mut(&slow).unwrap().relay_mood = Mood::Works;
    let before = about(&w);
    w.release(&slow);
    assert_eq!(about(&w), before + 2, "all the rest, as many at once as go into a request");
    w.assert_linked();
}

#[test]
fn so_many_people_go_into_one_request_about_a_relay_and_one_more_follows() {
    for (people, requests) in [(limits::RELAY_ENDPOINTS, 1), (limits::RELAY_ENDPOINTS + 1, 2)] {
        let mut w = bridges(1);
        for n in 0..people {
            w.join(&format!("p{n:07}"), NEW);
        }
        w.add_relay("jvb2");
        w.join("zoe00001", NEW);
        w.assert_linked();
        let told = w.bridges["jvb2"].requests.iter().flat_map(|r| &r.relays);
        let told: Vec<usize> = told.map(|r| r.endpoints.len()).filter(|n| *n > 0).collect();
        assert_eq!(told.iter().sum::<usize>(), people, "each once");
        assert_eq!(told.len(), requests, "{told:?}");
    }
}

#[test]
fn a_relay_that_fails_once_is_made_anew_without_anybody_noticing() {
    for mood in [
        Mood::Empty,
        Mood::Silent,
        Mood::Refuses(Condition::InternalServerError, None),
        Mood::Refuses(Condition::Conflict, None),
    ] {
        let mut w = bridges(2);
        w.bridges.get_mut("jvb2").unwrap().relay_mood = mood.clone();
        w.join("anna0001", NEW);
        w.join("ben00002", NEW);
        w.forget();
        w.bridges.get_mut("jvb2").unwrap().relay_mood = Mood::Works;
        w.seconds(20);
        w.assert_linked();
        for nick in &PEOPLE[..2] {
            assert!(w.clients[*nick].received.is_empty(), "{mood:?}: {nick}");
        }
        assert_eq!((w.endpoints("jvb1").len(), w.endpoints("jvb2").len()), (1, 1), "{mood:?}");
        assert_eq!(w.stats().counters.relays_failed, 1, "{mood:?}");
        leave_all(&mut w);
    }
}

#[test]
fn a_relay_that_the_bridge_has_lost_is_made_anew() {
    let mut w = spread(2, 2);
    let on = home(&w, "ben00002");
    w.bridges.get_mut(&on).unwrap().relays.clear();
    w.forget();
    w.jingle("anna0001", "source-add", SHARE);
    w.seconds(5);
    w.assert_linked();
    assert!(w.clients["anna0001"].received.is_empty() && w.clients["ben00002"].received.is_empty());
}

#[test]
fn a_bridge_that_refuses_relays_is_left_by_the_fewer_and_not_asked_again_for_a_while() {
    let mut w = bridges(2);
    w.bridges.get_mut("jvb1").unwrap().relay_mood = Mood::Refuses(Condition::FeatureNotImplemented, None);
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    w.seconds(5);
    // Both have one: the younger one is left.
    assert_eq!(w.endpoints("jvb1"), ["anna0001", "ben00002"]);
    assert_eq!(w.actions("anna0001"), ["session-initiate"], "she notices nothing");
    assert_eq!(w.actions("ben00002"), ["session-initiate", "session-terminate", "session-initiate"]);
    w.forget();
    w.join("cem00003", NEW);
    assert_eq!(w.endpoints("jvb1").len(), 3);
    assert_eq!(relay_requests(&w, "jvb1"), 0);
    w.bridges.get_mut("jvb1").unwrap().relay_mood = Mood::Works;
    w.seconds(limits::RELAY_REFUSED.as_secs() - 6);
    w.join("dora0004", NEW);
    assert_eq!(w.endpoints("jvb1").len(), 4, "a moment before");
    w.seconds(5);
    w.leave("dora0004");
    w.join("dora0004", NEW);
    assert_eq!(home(&w, "dora0004"), "jvb2");
    w.assert_linked();
}

#[test]
fn a_bridge_that_does_not_answer_about_relays_is_left_after_the_second_time() {
    let mut w = spread(2, 3);
    let (silent, other) = (home(&w, "ben00002"), home(&w, "anna0001"));
    w.bridges.get_mut(&silent).unwrap().relay_mood = Mood::Silent;
    w.forget();
    w.jingle("anna0001", "source-add", SHARE);
    w.advance(limits::IQ_TIMEOUT + MOMENT);
    assert!(!w.endpoints(&silent).is_empty(), "once is no reason");
    w.advance(limits::BUSY + limits::IQ_TIMEOUT + MOMENT);
    assert!(w.endpoints(&silent).is_empty());
    assert_eq!(w.endpoints(&other).len(), 3);
    assert!(w.clients["anna0001"].received.is_empty(), "she notices nothing");
}

#[test]
fn failures_of_a_relay_count_within_a_minute_and_not_beyond() {
    for (pause, left) in [(limits::RELAY_WINDOW, true), (limits::RELAY_WINDOW + MOMENT, false)] {
        let mut w = spread(2, 3);
        let (one, other) = (home(&w, "ben00002"), home(&w, "anna0001"));
        let refuse_once = |w: &mut World, change: &str| {
            w.bridges.get_mut(&one).unwrap().relay_mood = Mood::Refuses(Condition::InternalServerError, None);
            w.jingle("anna0001", change, SHARE);
            w.bridges.get_mut(&one).unwrap().relay_mood = Mood::Works;
        };
        refuse_once(&mut w, "source-add");
        for n in 1..limits::RELAY_FAILURES {
            assert!(!w.endpoints(&one).is_empty(), "{n} is not too often");
            w.advance(pause);
            w.assert_linked();
            refuse_once(&mut w, "source-remove");
        }
        w.advance(Duration::from_secs(5));
        assert_eq!(w.endpoints(&one).is_empty(), left, "{pause:?}");
        assert_eq!(w.endpoints(&one).len() + w.endpoints(&other).len(), 3);
        w.assert_linked();
    }
}

#[test]
fn a_bridge_that_has_forgotten_the_conference_gets_it_again() {
    let mut w = spread(2, 2);
    let on = home(&w, "ben00002");
    let bridge = w.bridges.get_mut(&on).unwrap();
    bridge.conferences.clear();
    bridge.relays.clear();
    w.forget();
    // It is the relay's request that finds out.
    w.jingle("anna0001", "source-add", SHARE);
    assert_eq!(w.actions("ben00002"), ["session-terminate", "session-initiate"]);
    assert!(w.clients["anna0001"].received.is_empty());
    w.assert_linked();
    assert_eq!(w.endpoints("jvb1").len() + w.endpoints("jvb2").len(), 2);
}

#[test]
fn a_bridge_that_comes_and_goes_makes_little_noise() {
    let mut w = spread(2, 3);
    let flaps = home(&w, "ben00002");
    w.forget();
    for _ in 0..60 {
        let kept = w.bridges.remove(&flaps).unwrap();
        w.receive(&format!(
            "<presence type='unavailable' from='jvbbrewery@internal-muc.meet.jitsi/{flaps}' to='{ME}'/>"
        ));
        w.bridges.insert(flaps.clone(), kept);
        w.bridge_presence(&flaps);
        w.advance(Duration::from_secs(1));
    }
    let sent = w.sent.len();
    assert!(sent < 60 * 5, "{sent} stanzas");
    w.bridges.get_mut(&flaps).unwrap().relays.clear();
    w.seconds(60);
    w.assert_linked();
    assert_eq!(w.endpoints("jvb1").len() + w.endpoints("jvb2").len(), 3);
}

#[test]
fn who_watches_is_told_to_no_other_bridge() {
    let mut c = splitting();
    c.visitors = Some(crate::VisitorsConfig::for_domain("v0", "v0.meet.jitsi"));
    let mut w = World::with(c);
    w.add_relay("jvb1");
    w.add_relay("jvb2");
    w.conference_request(ROOM);
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    w.receive(&format!(
        "<iq type='set' id='v1' from='focus.meet.jitsi/u2@meet.jitsi/r1' to='{ME}'>\
         <conference xmlns='http://jitsi.org/protocol/focus' room='{ROOM}' machine-uid='5f'>\
         <property name='visitors-version' value='1'/><property name='visitor' value='true'/></conference></iq>"
    ));
    for nick in ["view0001", "view0002"] {
        w.watch(nick);
    }
    let all = w.endpoints("jvb1").len() + w.endpoints("jvb2").len();
    assert_eq!(all, 4, "viewers are on the same bridges");
    w.assert_linked();
    w.stop_watching("view0001");
    w.assert_linked();
    let named = w.bridges.values().flat_map(|b| &b.requests).flat_map(|r| &r.relays);
    assert!(!named.flat_map(|r| &r.endpoints).any(|e| e.id.as_str().starts_with("view")));
}

#[test]
fn receivers_without_rewriting_hear_of_people_on_other_bridges() {
    let mut w = bridges(2);
    w.join("anna0001", OLD);
    w.join("ben00002", NEW);
    assert_ne!(home(&w, "anna0001"), home(&w, "ben00002"));
    let all: String = w.clients["anna0001"].received.iter().map(|j| j.to_xml()).collect();
    assert!(all.contains("ben00002-v0"), "{all}");
}

#[test]
fn a_conference_not_found_by_an_update_moves_only_those_of_that_bridge() {
    let mut w = spread(2, 3);
    let on = home(&w, "ben00002");
    w.forget();
    w.bridges.get_mut(&on).unwrap().mood =
        Mood::Refuses(Condition::ItemNotFound, Some(ErrorReason::ConferenceNotFound));
    w.jingle("ben00002", "source-add", &SHARE.replace("anna0001", "ben00002"));
    assert!(w.clients["anna0001"].received.is_empty());
    w.bridges.get_mut(&on).unwrap().mood = Mood::Works;
    w.bridges.get_mut(&on).unwrap().conferences.clear();
    w.bridges.get_mut(&on).unwrap().relays.clear();
    w.seconds(60);
    w.assert_linked();
    assert_eq!(w.endpoints("jvb1").len() + w.endpoints("jvb2").len(), 3);
}

#[test]
fn an_admin_empties_a_bridge_and_nobody_else_notices() {
    let mut w = bridges(1);
    for nick in PEOPLE {
        w.join(nick, NEW);
    }
    w.add_relay("jvb2");
    w.add_relay("jvb3");
    w.forget();
    let order = |bridge: &str, number| Move::Endpoints { bridge: bridge.into(), room: None, number };
    let moved = w.focus.move_away(w.now, &order("jvb1", 1)).unwrap();
    w.pump();
    assert_eq!((moved.endpoints, moved.conferences), (1, 1));
    assert_eq!(w.endpoints("jvb1").len(), 3);
    w.assert_linked();
    let all = Move::Fraction { bridge: "jvb1".into(), fraction: 1.0 };
    assert_eq!(w.focus.move_away(w.now, &all).unwrap().endpoints, 3);
    w.pump();
    w.seconds(1);
    assert!(w.bridges["jvb1"].conferences.is_empty());
    w.assert_linked();
    for nick in PEOPLE {
        assert_eq!(w.actions(nick), ["session-terminate", "session-initiate"], "{nick}: once");
    }
    assert_eq!(w.stats().counters.endpoints_moved, 4);
    let one = |room: &str, endpoint: &str, bridge: Option<&str>| Move::Endpoint {
        room: room.parse().unwrap(),
        endpoint: EndpointId::new(endpoint),
        bridge: bridge.map(str::to_owned),
    };
    assert_eq!(w.focus.move_away(w.now, &one(ROOM, "nobody", None)), Ok(Moved::default()));
    assert_eq!(w.focus.move_away(w.now, &one(ROOM, "anna0001", Some("jvb1"))), Ok(Moved::default()));
    assert_eq!(w.focus.move_away(w.now, &order("jvb9", 1)), Err(MoveError::NoBridge));
    assert_eq!(
        w.focus.move_away(w.now, &one("other@muc.meet.jitsi", "anna0001", None)),
        Err(MoveError::NoConference)
    );
    let from = home(&w, "anna0001");
    let address = format!("jvbbrewery@internal-muc.meet.jitsi/{from}");
    assert_eq!(w.focus.move_away(w.now, &one(ROOM, "anna0001", Some(&address))).unwrap().endpoints, 1);
    w.pump();
    assert_ne!(home(&w, "anna0001"), from);
    leave_all(&mut w);
}

#[test]
fn a_bridge_that_drains_is_emptied_where_that_is_wanted_so_many_at_a_time() {
    for stat in ["drain", "graceful_shutdown"] {
        let wanted = BridgesConfig {
            strategy: Strategy::RegionBased,
            relays: true,
            max_participants: None,
            empty_draining: true,
            ..BridgesConfig::default()
        };
        let mut w = World::with(config(wanted));
        w.add_relay("jvb1");
        w.conference_request(ROOM);
        let all = limits::MOVED_AT_ONCE + 1;
        for n in 0..all {
            w.join(&format!("p{n:07}"), NEW);
        }
        w.bridge_says("jvb1", &[(stat, "true")]);
        w.advance(limits::EMPTYING);
        assert_eq!(w.endpoints("jvb1").len(), all, "{stat}: there is no other");
        w.add_relay("jvb2");
        assert_eq!(w.endpoints("jvb2").len(), limits::MOVED_AT_ONCE, "{stat}");
        w.assert_linked();
        w.advance(limits::EMPTYING - MOMENT);
        assert_eq!(w.endpoints("jvb1").len(), 1, "{stat}: a moment before");
        w.advance(2 * MOMENT);
        assert_eq!(w.endpoints("jvb2").len(), all, "{stat}");
        for nick in w.clients.keys().cloned().collect::<Vec<_>>() {
            let actions = w.actions(&nick);
            assert_eq!(
                actions,
                ["session-initiate", "session-terminate", "session-initiate"],
                "{nick}: once"
            );
        }
        leave_all(&mut w);
    }
}

#[test]
fn a_conference_that_cannot_span_bridges_moves_as_a_whole() {
    let mut w = World::meeting();
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    w.add_bridge("jvb2");
    let order = Move::Endpoints { bridge: "jvb1".into(), room: None, number: 1 };
    assert_eq!(w.focus.move_away(w.now, &order).unwrap().endpoints, 2);
    w.pump();
    assert_eq!(w.endpoints("jvb2"), ["anna0001", "ben00002"]);
    assert!(w.bridges["jvb1"].conferences.is_empty());
}

#[test]
fn a_pinned_room_uses_bridges_of_its_version_as_long_as_the_pin_lasts() {
    let begins = |w: &mut World| {
        w.conference_request(ROOM);
        w.join("anna0001", NEW);
        w.join("ben00002", NEW);
        let on = home(w, "anna0001");
        leave_all(w);
        on
    };
    let mut w = World::new();
    w.add_bridge_that_says("jvb1", &[("version", "2.3")]);
    w.add_bridge_that_says("jvb2", &[("version", "2.4"), ("stress_level", "0.5")]);
    assert_eq!(begins(&mut w), "jvb1");
    let (room, minute) = (ROOM.parse::<jitsi_xmpp::BareJid>().unwrap(), Duration::from_secs(600));
    w.focus.pin(w.now, room.clone(), "2.4".into(), minute).unwrap();
    assert_eq!(begins(&mut w), "jvb2");
    let left = w.focus.pins(w.now)[0].left;
    w.seconds(left.as_secs() - 5);
    assert_eq!(w.focus.pins(w.now).len(), 1, "a moment before");
    w.advance(Duration::from_secs(5));
    assert!(w.focus.pins(w.now).is_empty());
    w.bridge_presence("jvb1");
    w.bridge_presence("jvb2");
    assert_eq!(begins(&mut w), "jvb1");
    w.focus.pin(w.now, room.clone(), "2.4".into(), minute).unwrap();
    assert!(w.focus.unpin(&room) && !w.focus.unpin(&room));
    assert_eq!(begins(&mut w), "jvb1");
}

#[test]
fn pins_are_bounded() {
    let mut w = World::new();
    let hour = Duration::from_secs(3600);
    let pin = |w: &mut World, n: usize, version: &str, time| {
        let room = format!("r{n}@muc.meet.jitsi").parse().unwrap();
        w.focus.pin(w.now, room, version.into(), time)
    };
    for n in 0..limits::PINS {
        assert_eq!(pin(&mut w, n, "2", hour), Ok(()));
    }
    assert_eq!(pin(&mut w, limits::PINS, "2", hour), Err(PinError::TooMany));
    assert_eq!(pin(&mut w, 0, "3", hour), Ok(()), "one that is there is changed");
    w.advance(hour);
    assert_eq!(pin(&mut w, limits::PINS, "2", hour), Ok(()), "time has made room");
    assert_eq!(pin(&mut w, 0, &"x".repeat(limits::TEXT), limits::PIN_LONGEST), Ok(()));
    assert_eq!(pin(&mut w, 0, &"x".repeat(limits::TEXT + 1), hour), Err(PinError::Version));
    assert_eq!(pin(&mut w, 0, "", hour), Err(PinError::Version));
    assert_eq!(pin(&mut w, 0, "2", limits::PIN_LONGEST + MOMENT), Err(PinError::Time));
    assert_eq!(pin(&mut w, 0, "2", Duration::ZERO), Err(PinError::Time));
}
