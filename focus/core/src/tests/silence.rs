//! Bridges that say nothing any more while they carry conferences: they are left soon, and taken again when they have answered for a
//! while; and bridges that answer and are not reached by their people, or by another bridge.

use std::time::Duration;

use super::world::{ME, Mood, NEW, ROOM, World};
use crate::{Config, IceFailures, limits};

/// Two bridges that answer, and a meeting on the first.
fn two() -> World {
    let mut w = World::meeting();
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    w.add_bridge("jvb2");
    w.seconds(3);
    w.forget();
    w
}

fn falls(w: &mut World, bridge: &str) {
    w.bridges.get_mut(bridge).unwrap().mood = Mood::Silent;
}

fn wakes(w: &mut World, bridge: &str) {
    w.bridges.get_mut(bridge).unwrap().mood = Mood::Works;
}

#[test]
fn a_bridge_that_says_nothing_is_left_within_its_time_and_others_stay() {
    let mut w = two();
    assert_eq!(w.endpoints("jvb1").len(), 2);
    falls(&mut w, "jvb1");
    w.advance(Duration::from_millis(1_400));
    assert!(w.actions("anna0001").is_empty(), "a bridge may have something else to do");
    w.advance(Duration::from_millis(1_100));
    assert_eq!(w.endpoints("jvb2"), ["anna0001", "ben00002"]);
    assert_eq!(w.actions("anna0001"), ["session-terminate", "session-initiate"]);
    assert_eq!(w.stats().silent_bridges, 1);
}

#[test]
fn bridges_without_conferences_are_not_asked() {
    let mut w = World::new();
    w.add_bridge("jvb1");
    w.add_bridge("jvb2");
    w.forget();
    w.seconds(8);
    assert!(!w.sent.iter().any(|s| s.contains("healthcheck")), "{:?}", w.sent);
    let mut w = two();
    w.seconds(5);
    let asked = |w: &World, bridge: &str| {
        w.sent.iter().filter(|s| s.contains("healthcheck") && s.contains(bridge)).count()
    };
    let first = asked(&w, "/jvb1");
    assert!((4..=6).contains(&first), "each second: {first}");
    assert_eq!(asked(&w, "/jvb2"), 0);
}

#[test]
fn the_only_bridge_is_not_left_because_of_its_silence() {
    let mut w = World::meeting();
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    w.forget();
    falls(&mut w, "jvb1");
    w.seconds(10);
    assert!(w.actions("anna0001").is_empty(), "media may go on");
}

/// The server, or the way to it, is silent: nobody learns anything about bridges.
#[test]
fn when_all_are_silent_none_is_left() {
    let mut w = two();
    falls(&mut w, "jvb1");
    falls(&mut w, "jvb2");
    w.seconds(10);
    assert!(w.actions("anna0001").is_empty());
    wakes(&mut w, "jvb1");
    wakes(&mut w, "jvb2");
    w.seconds(5);
    assert!(w.actions("anna0001").is_empty());
}

/// The process was stopped, or its machine: what others said meanwhile waits to be read.
#[test]
fn our_own_pause_is_no_bridge_s_silence() {
    let mut w = two();
    w.now += Duration::from_secs(30);
    w.focus.handle_timeout(w.now);
    w.seconds(5);
    assert!(w.actions("anna0001").is_empty());
}

#[test]
fn a_bridge_that_answers_again_is_used_after_a_while() {
    let mut w = two();
    falls(&mut w, "jvb1");
    w.seconds(3);
    assert_eq!(w.endpoints("jvb2").len(), 2);
    wakes(&mut w, "jvb1");
    w.advance(limits::SILENCE_HOLD - Duration::from_secs(2));
    assert_eq!(w.stats().operational_bridge_count, 1, "not yet");
    w.seconds(5);
    assert_eq!(w.stats().operational_bridge_count, 2);
}

/// The first falls silent; how long after its return it is used again, and then it has the meeting again.
fn pause(w: &mut World) -> u64 {
    falls(w, "jvb1");
    w.seconds(4);
    wakes(w, "jvb1");
    let began = w.now;
    while w.stats().operational_bridge_count < 2 {
        w.seconds(5);
        assert!(w.now.duration_since(began) < Duration::from_secs(400));
    }
    let pause = w.now.duration_since(began).as_secs();
    w.focus.move_away(w.now, &crate::Move::Fraction { bridge: "jvb2".into(), fraction: 1.0 }).unwrap();
    w.pump();
    // What it did not hear of the end of the last time is still there: a scripted bridge forgets nothing by itself.
    assert!(w.bridges["jvb1"].conferences.values().any(|c| c.len() == 2), "it is used again");
    w.bridges.get_mut("jvb1").unwrap().conferences.retain(|_, c| !c.is_empty());
    w.seconds(2);
    pause
}

#[test]
fn a_bridge_that_comes_and_goes_is_used_ever_later() {
    let mut w = two();
    let pauses: Vec<u64> = (0..4).map(|_| pause(&mut w)).collect();
    assert!(pauses.windows(2).all(|p| p[1] > p[0] + 5), "{pauses:?}");
    assert!(pauses.iter().all(|p| *p <= limits::SILENCE_HOLD_MOST.as_secs() + 10), "{pauses:?}");
    w.seconds(limits::SILENCES_FORGOTTEN.as_secs());
    assert!(pause(&mut w) < pauses[1], "it is long ago");
}

#[test]
fn as_upstream_nobody_is_asked_where_that_is_wanted() {
    let mut config = Config::for_domain("meet.jitsi").unwrap();
    config.bridges.silence = None;
    let mut w = World::with(config);
    w.add_bridge("jvb1");
    w.conference_request(ROOM);
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    w.add_bridge("jvb2");
    w.forget();
    w.seconds(8);
    assert!(!w.sent.iter().any(|s| s.contains("healthcheck")));
}

#[test]
fn a_bridge_that_many_do_not_reach_gets_nobody_while_there_is_another() {
    let mut config = Config::for_domain("meet.jitsi").unwrap();
    config.bridges.ice_failures = Some(IceFailures::default());
    let mut w = World::with(config);
    w.add_bridge("jvb1");
    w.conference_request(ROOM);
    let nicks: Vec<String> = (0..30).map(|n| format!("a{n:07}")).collect();
    for nick in &nicks {
        w.join(nick, NEW);
    }
    w.add_bridge_that_says("jvb2", &[("stress_level", "0.6")]);
    let failing = |w: &World| w.stats().bridges_failing_ice.iter().filter(|(_, fails)| *fails).count();
    for nick in &nicks[..3] {
        assert_eq!(w.restart(nick).attr("type"), Some("result"));
    }
    w.seconds(2);
    assert_eq!(failing(&w), 0, "a tenth of them may have reasons of their own");
    w.restart(&nicks[3]);
    w.seconds(2);
    assert_eq!(failing(&w), 1);
    assert_eq!(w.endpoints("jvb1").len(), 30, "who is there stays");
    // For ten minutes, from the last look at which it was so.
    w.seconds(800);
    assert_eq!(failing(&w), 0);
}

/// What a bridge of ours says when it does not reach another one any more.
#[test]
fn a_way_between_two_bridges_that_carries_nothing_any_more_is_made_anew_and_then_one_is_left() {
    let mut w = World::on_two_bridges();
    w.forget();
    let says = |w: &mut World| {
        let meeting = w.bridges["jvb1"].conferences.keys().next().unwrap().clone();
        let relay = "<relay id='jvb2' expire='true'/>";
        w.receive(&format!(
            "<iq type='set' id='lost' from='jvbbrewery@internal-muc.meet.jitsi/jvb1' to='{ME}'>\
             <conference-modify xmlns='jitsi:colibri2' meeting-id='{meeting}'>{relay}</conference-modify></iq>"
        ));
        let reply = w.replies.remove("lost").unwrap();
        assert_eq!(reply.attr("type"), Some("result"), "{}", reply.to_xml());
        w.seconds(2);
    };
    says(&mut w);
    let made = |w: &World, bridge: &str| {
        w.bridges[bridge].requests.iter().flat_map(|r| &r.relays).filter(|r| r.create).count()
    };
    assert_eq!((made(&w, "jvb1"), made(&w, "jvb2")), (1, 1), "on both sides");
    assert_eq!((w.stats().relays, w.stats().counters.relays_failed), (1, 1));
    assert!(w.actions("anna0001").is_empty() && w.actions("ben00002").is_empty());
    says(&mut w);
    let on = ["jvb1", "jvb2"].map(|b| w.endpoints(b).len());
    assert!(on == [2, 0] || on == [0, 2], "what does not help twice is given up: {on:?}");
}
