//! Clients that look for another path within their session: the bridge restarts ICE, the focus carries the credentials.

use std::time::Duration;

use jitsi_xmpp::Element;
use jitsi_xmpp::jingle::{Action, Jingle};

use super::world::{IceRestart, Mood, NEW, OLD, World};
use crate::{Config, limits};

const MOMENT: Duration = Duration::from_millis(10);

fn two() -> World {
    let mut w = World::meeting();
    w.join("anna0001", NEW);
    w.join("ben00002", OLD);
    w.forget();
    w
}

fn condition(reply: &Element) -> Option<String> {
    Some(reply.child_named("error")?.first_child()?.name().to_owned())
}

/// What Anna was told of new credentials: generation and user name.
fn told(w: &mut World) -> Vec<(u32, String)> {
    let received = std::mem::take(&mut w.clients.get_mut("anna0001").unwrap().received);
    let transport = |j: &Element| {
        let jingle = Jingle::from_element(j).unwrap();
        assert_eq!(jingle.action, Action::TransportInfo);
        assert_eq!((jingle.contents.len(), jingle.contents[0].name.as_str()), (1, "audio"));
        let ice = jingle.contents[0].transport.clone().unwrap();
        assert!(!ice.candidates.is_empty() && ice.pwd.is_some());
        (ice.ice_generation.unwrap(), ice.ufrag.unwrap())
    };
    received.iter().map(transport).collect()
}

/// How many times the bridge was asked to restart.
fn asked(w: &World) -> usize {
    let restarts = |e: &jitsi_xmpp::colibri2::Endpoint| e.transport.as_ref().is_some_and(|t| t.ice_restart);
    w.bridges["jvb1"].requests.iter().flat_map(|r| &r.endpoints).filter(|e| restarts(e)).count()
}

#[test]
fn a_client_that_looks_for_another_path_gets_the_bridge_s_new_credentials_and_answers_with_its_own() {
    let mut w = two();
    assert_eq!(w.restart_ice("anna0001").attr("type"), Some("result"));
    assert_eq!(told(&mut w), [(1, "uf1".into())]);
    let own = "<content name='audio'><transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ice-generation='1' ufrag='cu2' pwd='cp2'>\
        <candidate component='1' foundation='1' generation='1' id='x' ip='192.0.2.7' port='5' priority='9' protocol='udp' type='host'/>\
        </transport></content>";
    assert_eq!(w.jingle("anna0001", "transport-info", own).attr("type"), Some("result"));
    let last = w.bridges["jvb1"].requests.last().unwrap().endpoints[0].transport.clone().unwrap();
    let ice = last.ice.unwrap();
    assert_eq!((ice.ice_generation, ice.ufrag.as_deref(), last.ice_restart), (Some(1), Some("cu2"), false));
    // The session is the same, and nobody else hears of it.
    assert!(w.actions("ben00002").is_empty());
    let c = w.stats().counters;
    assert_eq!((c.ice_restarts_requested, c.ice_restarts_relayed, c.participants_moved), (1, 1, 0));
}

#[test]
fn restarts_too_close_together_are_delayed_and_none_is_lost() {
    let mut w = two();
    let start = w.now;
    for i in 0..limits::RESTARTS {
        assert_eq!(condition(&w.restart_ice("anna0001")), None);
        assert_eq!(told(&mut w).len(), 1, "restart {i} at once");
        w.advance(limits::RESTART_DISTANCE);
    }
    // Three more within the minute are one: new credentials serve all of them.
    for _ in 0..3 {
        assert_eq!(condition(&w.restart_ice("anna0001")), None, "never refused");
    }
    assert_eq!(w.stats().counters.restarts_delayed, 1);
    w.advance(start + limits::RESTART_WINDOW - w.now - MOMENT);
    assert!(told(&mut w).is_empty());
    w.advance(2 * MOMENT);
    assert_eq!(told(&mut w).len(), 1);
    assert_eq!(asked(&w), limits::RESTARTS + 1);
    w.advance(limits::RESTART_WINDOW);
    assert!(told(&mut w).is_empty(), "and nothing more comes of it");
}

#[test]
fn two_restarts_in_a_moment_are_their_distance_apart() {
    let mut w = two();
    w.restart_ice("anna0001");
    w.restart_ice("anna0001");
    assert_eq!(told(&mut w).len(), 1);
    w.advance(limits::RESTART_DISTANCE - MOMENT);
    assert!(told(&mut w).is_empty());
    w.advance(2 * MOMENT);
    assert_eq!(told(&mut w), [(2, "uf2".into())]);
}

#[test]
fn new_sessions_and_new_paths_are_counted_apart() {
    let mut w = two();
    w.restart_ice("anna0001");
    w.restart("anna0001");
    assert_eq!(w.actions("anna0001"), ["transport-info", "session-initiate"], "neither waits for the other");
}

#[test]
fn a_restart_that_waits_ends_with_its_session() {
    let mut w = two();
    w.restart_ice("anna0001");
    w.restart_ice("anna0001");
    w.restart("anna0001");
    w.actions("anna0001");
    w.advance(limits::RESTART_WINDOW);
    assert_eq!((asked(&w), w.actions("anna0001").len()), (1, 0));
}

#[test]
fn a_bridge_that_does_not_restart_costs_a_new_session_and_one_that_still_connects_costs_nothing() {
    for (mood, actions) in [
        (IceRestart::NotNeeded, &[][..]),
        (IceRestart::Refuses, &["session-terminate", "session-initiate"]),
        (IceRestart::Errs, &["session-terminate", "session-initiate"]),
    ] {
        let mut w = two();
        w.bridges.get_mut("jvb1").unwrap().ice_restart = mood;
        assert_eq!(condition(&w.restart_ice("anna0001")), None);
        w.seconds(1);
        assert_eq!(w.actions("anna0001"), actions, "{mood:?}");
        let others = w.actions("ben00002");
        assert!(others.iter().all(|a| a.starts_with("source-")), "{others:?}");
        let c = w.stats().counters;
        let expected = if mood == IceRestart::NotNeeded { (1, 0) } else { (0, 1) };
        assert_eq!((c.ice_restarts_not_needed, c.ice_restarts_failed), expected);
        assert_eq!((w.endpoints("jvb1").len(), w.duplicates, c.bridges_removed), (2, 0, 0));
    }
}

/// Beside a change of its own it cost everybody the session.
#[test]
fn a_restart_that_the_bridge_refuses_with_another_change_cost_everybody_the_session() {
    let mut w = two();
    let share = |ssrc: u32| {
        format!(
            "<content name='video'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'>\
             <source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='{ssrc}' name='anna0001-v1'/></description></content>"
        )
    };
    w.bridges.get_mut("jvb1").unwrap().mood = Mood::Late;
    w.jingle("anna0001", "source-add", &share(51));
    // What follows waits, and is said at once.
    w.jingle("anna0001", "source-add", &share(52));
    w.restart_ice("anna0001");
    let bridge = w.bridges.get_mut("jvb1").unwrap();
    (bridge.mood, bridge.ice_restart) = (Mood::Works, IceRestart::Errs);
    w.release("jvb1");
    w.seconds(1);
    assert_eq!(w.actions("anna0001"), ["session-terminate", "session-initiate"]);
    assert!(w.actions("ben00002").iter().all(|a| a.starts_with("source-")), "nobody else moves");
    assert_eq!((w.endpoints("jvb1").len(), w.stats().counters.bridges_removed), (2, 0));
}

#[test]
fn a_restart_of_another_session_or_where_it_is_switched_off_is_refused() {
    let mut w = two();
    let stale = "<bridge-session xmlns='http://jitsi.org/protocol/focus' id='old' ice-restart='true'/>";
    assert_eq!(condition(&w.jingle("anna0001", "session-info", stale)).as_deref(), Some("item-not-found"));
    let mut config = Config::for_domain("meet.jitsi").unwrap();
    config.ice_restart = false;
    let mut w = World::with(config);
    w.add_bridge("jvb1");
    w.conference_request(super::world::ROOM);
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    assert_eq!(condition(&w.restart_ice("anna0001")).as_deref(), Some("feature-not-implemented"));
    assert_eq!((asked(&w), w.stats().counters.ice_restarts_requested), (0, 0));
}

#[test]
fn credentials_of_an_earlier_restart_are_not_told_after_those_of_a_later_one() {
    let mut w = two();
    w.bridges.get_mut("jvb1").unwrap().ice_restart = IceRestart::Restarts(6);
    w.restart_ice("anna0001");
    assert_eq!(told(&mut w), [(7, "uf7".into())]);
    w.bridges.get_mut("jvb1").unwrap().ice_restart = IceRestart::Restarts(6);
    w.advance(limits::RESTART_DISTANCE);
    w.restart_ice("anna0001");
    assert!(told(&mut w).is_empty());
}
