//! The registry and the choice of a bridge.

use std::time::{Duration, Instant};

use jitsi_xmpp::xml::parse;
use jitsi_xmpp::{Element, FullJid};

use super::select::{Wish, select};
use super::{Brewery, BridgeEvent};
use crate::limits;

fn jid(nick: &str) -> FullJid {
    format!("b@m.x/{nick}").parse().unwrap()
}

fn stats(list: &[(&str, &str)]) -> Element {
    let inner: String = list.iter().map(|(n, v)| format!("<stat name='{n}' value='{v}'/>")).collect();
    parse(format!("<stats xmlns='http://jitsi.org/protocol/colibri'>{inner}</stats>").as_bytes()).unwrap()
}

fn pick(now: Instant, b: &Brewery, current: Option<&FullJid>, region: Option<&str>) -> Option<String> {
    select(now, b, Wish { current, region }).map(|b| b.jid.resource().to_owned())
}

#[test]
fn the_least_loaded_bridge_of_the_region_is_taken_and_a_conference_stays_where_it_is() {
    let now = Instant::now();
    let mut b = Brewery::default();
    b.handle_stats(
        now,
        &jid("eu1"),
        &stats(&[("stress_level", "0.5"), ("region", "eu"), ("drain", "false")]),
    );
    b.handle_stats(
        now,
        &jid("eu2"),
        &stats(&[("stress_level", "0.3"), ("region", "eu"), ("drain", "false")]),
    );
    b.handle_stats(
        now,
        &jid("us1"),
        &stats(&[("stress_level", "0.1"), ("region", "us"), ("drain", "false")]),
    );
    assert_eq!(pick(now, &b, None, Some("eu")).as_deref(), Some("eu2"));
    assert_eq!(pick(now, &b, None, Some("asia")).as_deref(), Some("us1"));
    assert_eq!(pick(now, &b, None, None).as_deref(), Some("us1"));
    assert_eq!(pick(now, &b, Some(&jid("eu1")), Some("us")).as_deref(), Some("eu1"));
    // A burst of joins counts before the bridge publishes it.
    for _ in 0..30 {
        b.endpoint_added(now, &jid("us1"));
    }
    assert_eq!(pick(now, &b, None, None).as_deref(), Some("eu2"));
    assert_eq!(pick(now + limits::BRIDGE_RAMP_UP, &b, None, None).as_deref(), Some("us1"));
}

#[test]
fn draining_and_closing_bridges_are_avoided_sick_ones_never_taken() {
    let now = Instant::now();
    let mut b = Brewery::default();
    b.handle_stats(now, &jid("a"), &stats(&[("drain", "true")]));
    assert_eq!(pick(now, &b, None, None).as_deref(), Some("a"), "better than none");
    b.handle_stats(
        now,
        &jid("b"),
        &stats(&[("drain", "false"), ("graceful_shutdown", "true"), ("stress_level", "0.9")]),
    );
    assert_eq!(pick(now, &b, None, None).as_deref(), Some("b"));
    b.handle_stats(now, &jid("c"), &stats(&[("drain", "false"), ("stress_level", "2")]));
    assert_eq!(pick(now, &b, None, None).as_deref(), Some("c"));
    let lost = b.handle_stats(now, &jid("c"), &stats(&[("shutting_down", "true")]));
    assert_eq!(lost, Some(BridgeEvent::Lost(jid("c"))));
    assert_eq!(pick(now, &b, None, None).as_deref(), Some("b"));
    // Unlike upstream, a bridge that gives up closing is used again.
    assert_eq!(
        b.handle_stats(now, &jid("c"), &stats(&[("shutting_down", "false")])),
        Some(BridgeEvent::Usable)
    );
}

#[test]
fn a_failed_bridge_is_probed_until_it_answers() {
    let now = Instant::now();
    let mut b = Brewery::default();
    b.handle_stats(now, &jid("a"), &stats(&[("drain", "false")]));
    b.failed(now, &jid("a"));
    assert_eq!(pick(now, &b, None, None), None);
    assert_eq!(b.take_probes(now), [jid("a")]);
    assert!(b.take_probes(now).is_empty());
    assert_eq!(b.probed(now, &jid("a"), false), None);
    let later = now + limits::BRIDGE_CHECK;
    assert_eq!(b.take_probes(later), [jid("a")]);
    assert_eq!(b.probed(later, &jid("a"), true), Some(BridgeEvent::Usable));
    assert_eq!(pick(later, &b, None, None).as_deref(), Some("a"));
}

#[test]
fn a_presence_of_forty_five_seconds_is_fresh_an_older_one_is_not() {
    let now = Instant::now();
    let mut b = Brewery::default();
    b.handle_stats(now, &jid("a"), &stats(&[("drain", "false")]));
    assert!(b.handle_timeout(now + limits::BRIDGE_PRESENCE).is_empty());
    assert!(pick(now, &b, None, None).is_some());
    b.handle_timeout(now + limits::BRIDGE_PRESENCE + limits::BRIDGE_CHECK + Duration::from_secs(1));
    assert!(pick(now, &b, None, None).is_none());
}

#[test]
fn a_failed_bridge_that_nobody_could_probe_is_used_again_after_its_time_and_not_before() {
    for (after, usable) in
        [(limits::BRIDGE_RESET, false), (limits::BRIDGE_RESET + Duration::from_millis(1), true)]
    {
        let now = Instant::now();
        let mut b = Brewery::default();
        b.handle_stats(now, &jid("a"), &stats(&[("drain", "false")]));
        b.failed(now, &jid("a"));
        assert_eq!(b.take_probes(now), [jid("a")], "and it is never heard of");
        assert_eq!(b.handle_timeout(now + after), [BridgeEvent::Usable][..usize::from(usable)]);
        assert_eq!(pick(now + after, &b, None, None).is_some(), usable);
    }
}

#[test]
fn the_registry_is_bounded() {
    let now = Instant::now();
    let mut b = Brewery::default();
    for i in 0..=limits::BRIDGES {
        b.handle_stats(now, &jid(&format!("b{i}")), &stats(&[]));
    }
    assert_eq!(b.bridges().count(), limits::BRIDGES);
}

#[test]
fn absurd_figures_are_not_believed() {
    let now = Instant::now();
    let mut b = Brewery::default();
    b.handle_stats(now, &jid("a"), &stats(&[("stress_level", "0.5"), ("drain", "false")]));
    for bad in ["NaN", "-1", "inf", "x", ""] {
        b.handle_stats(now, &jid("a"), &stats(&[("stress_level", bad)]));
        assert_eq!(b.bridge(&jid("a")).unwrap().corrected_stress(now), 0.5, "{bad}");
    }
}
