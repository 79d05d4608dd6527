//! The settings of how meetings are spread over bridges in; what the focus is told of it, or the error that names the option, out.

use std::time::Duration;

use focus_server::{BridgesConfig, IceFailures, Redistribution, Strategy};
use service::{Effective, StartError};

pub(super) fn bridges(e: &Effective) -> Result<BridgesConfig, StartError> {
    let strategy = Strategy::named(e.text("focus.bridge_selection"))
        .ok_or_else(|| e.bad("focus.bridge_selection", STRATEGIES))?;
    let tree =
        tree(e.text("focus.bridge_topology")).ok_or_else(|| e.bad("focus.bridge_topology", TOPOLOGIES))?;
    let groups = "focus.region_groups";
    let region_groups = region_groups(e.text(groups)).ok_or_else(|| e.bad(groups, GROUPS))?;
    let most: i64 = e.parse("focus.max_bridge_participants")?;
    let joins: i64 = e.parse("focus.max_bridge_joins")?;
    let key = "focus.bridge_silence";
    let silence = super::focus::time(e.text(key)).and_then(silence).ok_or_else(|| e.bad(key, SILENCE))?;
    let part = |key| {
        let value: f64 = e.parse(key)?;
        if value > 0.0 && value <= 1.0 { Ok(value) } else { Err(e.bad(key, "must be above 0 and at most 1")) }
    };
    Ok(BridgesConfig {
        strategy,
        relays: e.is_on("relays.enabled"),
        local_region: super::label(e, "focus.region")?,
        region_groups,
        // compat: a negative number is none, as upstream has it (test: compat_variables_of_bridges_reach_the_focus).
        max_participants: usize::try_from(most).ok().filter(|n| *n > 0),
        stress_threshold: part("focus.bridge_stress_threshold")?,
        max_joins: usize::try_from(joins).ok().filter(|n| *n > 0),
        silence,
        ice_failures: e.is_on("focus.ice_failure_detection").then(IceFailures::default),
        tree,
        mixed_versions: e.is_on("focus.mixed_versions"),
        empty_draining: e.is_on("focus.empty_draining"),
        redistribution: redistribution(e)?,
        average_stress: part("focus.participant_stress")?,
        ..BridgesConfig::default()
    })
}

/// compat: by the name of upstream's class, with or without its package (test: compat_topologies_have_upstream_s_names).
fn tree(name: &str) -> Option<bool> {
    match name.strip_prefix("org.jitsi.jicofo.bridge.").unwrap_or(name) {
        "SingleMeshTopologyStrategy" => Some(false),
        "VisitorTopologyStrategy" => Some(true),
        _ => None,
    }
}

/// Whether people are moved by load, and how. What is wrong with it stops the start also where it is off.
fn redistribution(e: &Effective) -> Result<Option<Redistribution>, StartError> {
    let time = |key| {
        let time = super::focus::time(e.text(key)).filter(|t| (SHORTEST..=HOUR).contains(t));
        time.ok_or_else(|| e.bad(key, "must be from 1 second to 1 hour"))
    };
    let (threshold, people) = ("focus.load_redistribution_threshold", "focus.load_redistribution_people");
    let load: f64 = e.parse(threshold)?;
    if !(load > 0.0 && load <= 100.0) {
        return Err(e.bad(threshold, "must be above 0 and at most 100"));
    }
    let number: usize = e.parse(people)?;
    if !(1..=1_000).contains(&number) {
        return Err(e.bad(people, "must be from 1 to 1000"));
    }
    let wanted = Redistribution {
        interval: time("focus.load_redistribution_interval")?,
        threshold: load,
        timeout: time("focus.load_redistribution_timeout")?,
        people: number,
    };
    Ok(e.is_on("focus.load_redistribution").then_some(wanted))
}

/// `["eu-west", "eu-east"], ["us-west", "us-east"]`: what upstream's image puts between brackets, or with them.
fn region_groups(text: &str) -> Option<Vec<Vec<String>>> {
    let text = text.trim();
    let inner = match text.strip_prefix('[').map(str::trim_start) {
        Some(rest) if rest.starts_with('[') => rest.trim_end().strip_suffix(']')?,
        _ => text,
    };
    let mut groups = Vec::new();
    let mut rest = inner.trim();
    while !rest.is_empty() {
        let (group, after) = rest.strip_prefix('[')?.split_once(']')?;
        let names = group.split(',').map(|n| n.trim().trim_matches('"').trim());
        let names: Vec<String> = names.filter(|n| !n.is_empty()).map(str::to_owned).collect();
        if names.iter().any(|n| n.contains(['[', '"'])) || groups.len() == REGIONS || names.len() > REGIONS {
            return None;
        }
        groups.push(names);
        rest = after.trim_start();
        rest = match rest.strip_prefix(',') {
            Some(more) => more.trim_start(),
            None if rest.is_empty() => rest,
            None => return None,
        };
    }
    Some(groups)
}

/// None, or long enough for a bridge that has something else to do for a moment.
#[expect(clippy::option_option, reason = "what is none, and what is wrong")]
fn silence(time: Duration) -> Option<Option<Duration>> {
    match time {
        Duration::ZERO => Some(None),
        time if (SHORTEST..=LONGEST).contains(&time) => Some(Some(time)),
        _ => None,
    }
}

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const TOPOLOGIES: &str = "must be SingleMeshTopologyStrategy or VisitorTopologyStrategy";
const SILENCE: &str = "must be a time such as `2500 ms`, from one second to a minute, or 0";
const STRATEGIES: &str = "must be SingleBridgeSelectionStrategy, RegionBasedBridgeSelectionStrategy, IntraRegionBridgeSelectionStrategy, VisitorSelectionStrategy or, for tests, SplitBridgeSelectionStrategy";
const GROUPS: &str =
    "must be lists of regions, such as `[\"eu-west\", \"eu-east\"], [\"us-west\", \"us-east\"]`";
/// Groups, and regions in one. Reason: more than there are places with bridges.
const REGIONS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compat_topologies_have_upstream_s_names() {
        assert_eq!(tree("SingleMeshTopologyStrategy"), Some(false));
        assert_eq!(tree("org.jitsi.jicofo.bridge.VisitorTopologyStrategy"), Some(true));
        assert_eq!(tree("Tree"), None);
    }

    #[test]
    fn region_groups_are_upstream_s_inner_text_or_the_whole() {
        let both = Some(vec![vec!["eu".to_owned(), "eu2".to_owned()], vec!["us".to_owned()]]);
        assert_eq!(region_groups(r#"["eu", "eu2"], ["us"]"#), both);
        assert_eq!(region_groups(r#"[["eu", "eu2"], ["us"]]"#), both);
        assert_eq!(region_groups("[eu,eu2],[us],"), both);
        assert_eq!(region_groups(" "), Some(vec![]));
        let many = |n: usize| "[a],".repeat(n);
        assert!(region_groups(&many(REGIONS)).is_some());
        for odd in ["eu", "[eu", "[eu]]", "[eu] [us]", "[[eu]", &many(REGIONS + 1)] {
            assert_eq!(region_groups(odd), None, "{odd}");
        }
    }
}
