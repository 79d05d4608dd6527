//! The registry and the choice of a bridge.

use std::time::{Duration, Instant};

use jitsi_xmpp::entropy::SeededEntropy;
use jitsi_xmpp::xml::parse;
use jitsi_xmpp::{Element, FullJid};

use super::select::{Picked, Used, Wish};
use super::{Brewery, BridgeEvent};
use crate::config::{BridgesConfig, Strategy};
use crate::limits;

fn jid(nick: &str) -> FullJid {
    format!("b@m.x/{nick}").parse().unwrap()
}

fn stats(list: &[(&str, &str)]) -> Element {
    let inner: String = list.iter().map(|(n, v)| format!("<stat name='{n}' value='{v}'/>")).collect();
    parse(format!("<stats xmlns='http://jitsi.org/protocol/colibri'>{inner}</stats>").as_bytes()).unwrap()
}

fn registry() -> Brewery {
    Brewery::new(0.01, true)
}

/// With chance always the same.
fn select(now: Instant, config: &BridgesConfig, b: &Brewery, wish: Wish<'_>) -> Option<Picked> {
    super::select::select(now, config, b, wish, &mut SeededEntropy::new(1))
}

fn pick(now: Instant, b: &Brewery, current: Option<&FullJid>, region: Option<&str>) -> Option<String> {
    let used: Vec<Used> = current.into_iter().map(|bridge| on(bridge, 2)).collect();
    let wish = Wish { used: &used, region, viewer: false, version: None, avoid: None };
    select(now, &BridgesConfig::default(), b, wish).map(|b| b.jid.resource().to_owned())
}

/// The conference has so many people there.
fn on(bridge: &FullJid, participants: usize) -> Used {
    Used {
        bridge: bridge.clone(),
        relay_id: Some(bridge.resource().to_owned()),
        participants,
        viewers: false,
        grows: false,
    }
}

#[test]
fn the_least_loaded_bridge_of_the_region_is_taken_and_a_conference_stays_where_it_is() {
    let now = Instant::now();
    let mut b = registry();
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
fn so_many_who_came_to_a_bridge_lately_are_remembered_and_not_one_more() {
    let now = Instant::now();
    let mut b = registry();
    b.handle_stats(now, &jid("a"), &stats(&[]));
    for n in 0..=limits::ADDED_LATELY {
        b.endpoint_added(now, &jid("a"));
        assert_eq!(b.bridge(&jid("a")).unwrap().added_lately(now), (n + 1).min(limits::ADDED_LATELY));
    }
    let later = now + limits::BRIDGE_RAMP_UP;
    b.endpoint_added(later, &jid("a"));
    assert_eq!(b.bridge(&jid("a")).unwrap().added_lately(later), 1, "there is room again");
}

#[test]
fn draining_and_closing_bridges_are_avoided_sick_ones_never_taken() {
    let now = Instant::now();
    let mut b = registry();
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
    let mut b = registry();
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
    let mut b = registry();
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
        let mut b = registry();
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
    let mut b = registry();
    for i in 0..=limits::BRIDGES {
        b.handle_stats(now, &jid(&format!("b{i}")), &stats(&[]));
    }
    assert_eq!(b.bridges().count(), limits::BRIDGES);
}

#[test]
fn absurd_figures_are_not_believed() {
    let now = Instant::now();
    let mut b = registry();
    b.handle_stats(now, &jid("a"), &stats(&[("stress_level", "0.5"), ("drain", "false")]));
    for bad in ["NaN", "-1", "inf", "x", ""] {
        b.handle_stats(now, &jid("a"), &stats(&[("stress_level", bad)]));
        assert_eq!(b.bridge(&jid("a")).unwrap().corrected_stress(now), 0.5, "{bad}");
    }
}

/// Bridges by name, region, stress and what else they say.
fn with(now: Instant, list: &[(&str, &str, &str)]) -> Brewery {
    let mut b = registry();
    for (nick, region, stress) in list {
        let said = [("drain", "false"), ("relay_id", *nick), ("region", *region), ("stress_level", *stress)];
        b.handle_stats(now, &jid(nick), &stats(&said));
    }
    b
}

fn choose(
    now: Instant,
    config: &BridgesConfig,
    b: &Brewery,
    used: &[Used],
    region: Option<&str>,
) -> Option<String> {
    let wish = Wish { used, region, viewer: false, version: None, avoid: None };
    select(now, config, b, wish).map(|b| b.jid.resource().to_owned())
}

fn config(strategy: Strategy) -> BridgesConfig {
    BridgesConfig { strategy, relays: true, ..BridgesConfig::default() }
}

#[test]
fn regions_are_matched_in_upstream_s_order() {
    let now = Instant::now();
    let c = BridgesConfig {
        region_groups: vec![vec!["eu".into(), "eu2".into()]],
        max_participants: Some(80),
        ..config(Strategy::RegionBased)
    };
    let all = |eu: &str, eu2: &str, us: &str, us2: &str| {
        with(now, &[("eu", "eu", eu), ("eu2", "eu2", eu2), ("us", "us", us), ("usb", "us", us2)])
    };
    let quiet = all("0.5", "0.1", "0.2", "0.3");
    let pick = |b: &Brewery, used: &[(&str, usize)], region| {
        let used: Vec<Used> = used.iter().map(|(nick, n)| on(&jid(nick), *n)).collect();
        choose(now, &c, b, &used, region)
    };
    for (b, used, region, expected) in [
        (&quiet, &[("usb", 2)][..], Some("us"), "usb"),
        (&quiet, &[("eu2", 2)], Some("eu"), "eu2"),
        (&quiet, &[("us", 2)], Some("eu"), "eu"),
        (&all("0.9", "0.1", "0.2", "0.3"), &[("us", 2)], Some("eu"), "eu2"),
        (&quiet, &[("usb", 2)], Some("asia"), "usb"),
        (&quiet, &[("usb", 2)], None, "usb"),
        (&quiet, &[("us", 80)], Some("us"), "usb"),
        (&quiet, &[("us", 79)], Some("us"), "us"),
        (&quiet, &[("eu2", 80)], None, "us"),
        (&all("0.9", "0.96", "0.97", "0.99"), &[("usb", 2)], Some("us"), "usb"),
        (&all("0.9", "0.96", "0.97", "0.99"), &[("usb", 80)], Some("us"), "eu"),
        (&quiet, &[], Some("eu"), "eu"),
        (&quiet, &[], None, "eu2"),
    ] {
        assert_eq!(pick(b, used, region).as_deref(), Some(expected), "{used:?} {region:?}");
    }
}

#[test]
fn the_focus_own_region_stands_in_for_one_that_has_no_bridges() {
    let now = Instant::now();
    let b = with(now, &[("eu", "eu", "0.5"), ("us", "us", "0.1")]);
    let c = BridgesConfig { local_region: Some("eu".into()), ..config(Strategy::RegionBased) };
    let pick = |c: &BridgesConfig, used: &[Used], region| choose(now, c, &b, used, region);
    assert_eq!(pick(&c, &[], None).as_deref(), Some("eu"), "who says no region");
    assert_eq!(pick(&c, &[], Some("asia")).as_deref(), Some("eu"), "nothing is near");
    assert_eq!(pick(&c, &[], Some("us")).as_deref(), Some("us"));
    let near = BridgesConfig { region_groups: vec![vec!["eu".into(), "us".into()]], ..c };
    assert_eq!(pick(&near, &[], Some("us")).as_deref(), Some("eu"), "the first of a conference, and near");
    assert_eq!(pick(&near, &[on(&jid("us"), 1)], Some("us")).as_deref(), Some("us"), "not the second");
}

#[test]
fn one_region_is_kept_and_its_bridges_are_filled() {
    let now = Instant::now();
    let b = with(now, &[("eu", "eu", "0.5"), ("eub", "eu", "0.6"), ("us", "us", "0.1")]);
    let c = config(Strategy::IntraRegion);
    let pick = |used: &[Used], region| choose(now, &c, &b, used, region);
    assert_eq!(pick(&[], Some("eu")).as_deref(), Some("eu"));
    assert_eq!(pick(&[], Some("asia")).as_deref(), Some("us"));
    assert_eq!(pick(&[on(&jid("eu"), 79)], Some("us")).as_deref(), Some("eu"));
    assert_eq!(pick(&[on(&jid("eu"), 80)], Some("us")).as_deref(), Some("eub"));
    assert_eq!(pick(&[on(&jid("eu"), 80), on(&jid("eub"), 80)], None).as_deref(), Some("eu"), "all are full");
    let nameless = with(now, &[("a", "", "0.1"), ("b", "", "0.2")]);
    assert_eq!(choose(now, &c, &nameless, &[on(&jid("a"), 80)], None).as_deref(), Some("b"));
}

#[test]
fn splitting_takes_unused_bridges_then_the_emptiest() {
    let now = Instant::now();
    let b = with(now, &[("a", "", "0.3"), ("b", "", "0.2"), ("c", "", "0.1")]);
    let c = config(Strategy::Split);
    let pick = |used: &[(&str, usize)]| {
        let used: Vec<Used> = used.iter().map(|(nick, n)| on(&jid(nick), *n)).collect();
        choose(now, &c, &b, &used, None)
    };
    assert_eq!(pick(&[]).as_deref(), Some("c"));
    assert_eq!(pick(&[("c", 1)]).as_deref(), Some("b"));
    assert_eq!(pick(&[("c", 2), ("b", 2), ("a", 1)]).as_deref(), Some("a"));
}

#[test]
fn a_conference_that_grows_fast_on_a_bridge_spreads() {
    let now = Instant::now();
    let b = with(now, &[("a", "eu", "0.1"), ("b", "eu", "0.2")]);
    let c = config(Strategy::RegionBased);
    let grows = Used { grows: true, ..on(&jid("a"), 5) };
    assert_eq!(choose(now, &c, &b, &[on(&jid("a"), 5)], Some("eu")).as_deref(), Some("a"));
    assert_eq!(choose(now, &c, &b, &[grows], Some("eu")).as_deref(), Some("b"));
}

#[test]
fn a_conference_that_grows_fast_stays_near() {
    let now = Instant::now();
    let c = BridgesConfig {
        region_groups: vec![vec!["eu".into(), "eu2".into()]],
        ..config(Strategy::RegionBased)
    };
    let grows = |nick: &str| Used { grows: true, ..on(&jid(nick), 30) };
    let far = with(now, &[("a", "eu", "0.4"), ("far", "us", "0.1")]);
    for region in [Some("eu"), None] {
        assert_eq!(choose(now, &c, &far, &[grows("a")], region).as_deref(), Some("a"), "{region:?}");
    }
    let both = [grows("a"), on(&jid("far"), 1)];
    assert_eq!(choose(now, &c, &far, &both, Some("eu")).as_deref(), Some("a"), "also where it has a far one");
    assert_eq!(choose(now, &c, &far, &[grows("a")], Some("us")).as_deref(), Some("far"), "who is there");
    let near = with(now, &[("a", "eu", "0.4"), ("b", "eu2", "0.5"), ("far", "us", "0.1")]);
    for region in [Some("eu"), None] {
        assert_eq!(choose(now, &c, &near, &[grows("a")], region).as_deref(), Some("b"), "{region:?}");
    }
    let both = [grows("a"), grows("b")];
    assert_eq!(choose(now, &c, &near, &both, Some("eu")).as_deref(), Some("a"), "all of them grow");
    let loaded = with(now, &[("a", "eu", "0.9"), ("far", "us", "0.1")]);
    assert_eq!(
        choose(now, &c, &loaded, &[grows("a")], Some("eu")).as_deref(),
        Some("far"),
        "it is full as well"
    );
}

#[test]
fn of_bridges_that_are_as_good_as_each_other_chance_takes_any_and_none_beyond() {
    let now = Instant::now();
    let at = (0.1 + limits::STRESS_ALIKE).to_string();
    let beyond = (0.101 + limits::STRESS_ALIKE).to_string();
    let b = with(now, &[("a", "eu", "0.1"), ("b", "eu", "0.125"), ("c", "eu", &at), ("d", "eu", &beyond)]);
    let mut entropy = SeededEntropy::new(7);
    let mut taken = std::collections::BTreeMap::new();
    for strategy in [Strategy::Single, Strategy::RegionBased, Strategy::IntraRegion] {
        for _ in 0..300 {
            let wish = Wish { used: &[], region: Some("eu"), viewer: false, version: None, avoid: None };
            let picked = super::select::select(now, &config(strategy), &b, wish, &mut entropy).unwrap();
            *taken.entry(picked.jid.resource().to_owned()).or_insert(0) += 1;
        }
    }
    assert_eq!(taken.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert!(taken.values().all(|n| (240..=360).contains(n)), "{taken:?}");
}

#[test]
fn chance_takes_no_bridge_that_is_avoided_while_there_is_another() {
    let now = Instant::now();
    let b = with(now, &[("a", "eu", "0.79"), ("b", "eu", "0.8")]);
    for strategy in [Strategy::Single, Strategy::RegionBased, Strategy::IntraRegion] {
        let mut entropy = SeededEntropy::new(7);
        for _ in 0..50 {
            let wish = Wish { used: &[], region: Some("eu"), viewer: false, version: None, avoid: None };
            let picked = super::select::select(now, &config(strategy), &b, wish, &mut entropy).unwrap();
            assert_eq!(picked.jid, jid("a"));
        }
    }
}

#[test]
fn compat_bridges_of_one_conference_are_of_one_version() {
    let now = Instant::now();
    let mut b = with(now, &[("a", "eu", "0.1"), ("b", "eu", "0.2"), ("c", "eu", "0.3")]);
    for (nick, release) in [("a", "1"), ("b", "2"), ("c", "1")] {
        b.handle_stats(now, &jid(nick), &stats(&[("version", "2.3"), ("release", release)]));
    }
    let c = config(Strategy::Split);
    let used = [on(&jid("a"), 1)];
    assert_eq!(choose(now, &c, &b, &used, None).as_deref(), Some("c"), "the release counts");
    let mixed = BridgesConfig { mixed_versions: true, ..c.clone() };
    assert_eq!(choose(now, &mixed, &b, &used, None).as_deref(), Some("b"));
    let pinned = |used: &[Used], version| {
        let wish = Wish { used, region: None, viewer: false, version: Some(version), avoid: None };
        select(now, &BridgesConfig::default(), &b, wish).map(|b| b.jid.resource().to_owned())
    };
    assert_eq!(pinned(&[], "2.3-2").as_deref(), Some("b"));
    assert_eq!(pinned(&[], "2.4"), None);
    assert_eq!(pinned(&used, "2.3-2"), None, "it is on another already");
}

#[test]
fn compat_strategies_have_upstream_s_names() {
    for (name, strategy) in [
        ("SingleBridgeSelectionStrategy", Some(Strategy::Single)),
        ("org.jitsi.jicofo.bridge.SplitBridgeSelectionStrategy", Some(Strategy::Split)),
        ("RegionBasedBridgeSelectionStrategy", Some(Strategy::RegionBased)),
        ("VisitorSelectionStrategy", Some(Strategy::Visitors)),
        ("IntraRegionBridgeSelectionStrategy", Some(Strategy::IntraRegion)),
        ("single", None),
        ("", None),
    ] {
        assert_eq!(Strategy::named(name), strategy, "{name}");
    }
}

#[test]
fn who_is_moved_away_from_a_bridge_goes_there_only_if_there_is_no_other() {
    let now = Instant::now();
    let b = with(now, &[("a", "eu", "0.1"), ("b", "eu", "0.2")]);
    let a = jid("a");
    let c = config(Strategy::RegionBased);
    let wish = |avoid| Wish { used: &[], region: Some("eu"), viewer: false, version: None, avoid };
    let name = |b: Option<Picked>| b.unwrap().jid.resource().to_owned();
    assert_eq!(name(select(now, &c, &b, wish(Some(&a)))), "b");
    let alone = with(now, &[("a", "eu", "0.1")]);
    assert_eq!(name(select(now, &c, &alone, wish(Some(&a)))), "a");
}

#[test]
fn so_many_restarts_of_a_bridge_are_remembered_and_not_one_more() {
    let now = Instant::now();
    let mut b = registry();
    b.handle_stats(now, &jid("a"), &stats(&[]));
    for _ in 0..=limits::RESTARTS_OF_A_BRIDGE {
        b.restart_requested(now, &jid("a"));
    }
    assert_eq!(b.restarts_of(&jid("a")), limits::RESTARTS_OF_A_BRIDGE);
    b.restart_requested(now, &jid("b"));
    assert_eq!(b.restarts_of(&jid("b")), 0, "of one that is not there");
}
