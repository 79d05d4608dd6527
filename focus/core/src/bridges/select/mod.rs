//! Which bridge a participant gets: the registry and the conference's bridges in, one bridge out (focus §7.3). The
//! pipeline is here; what is done with the remaining candidates is one file per strategy.

mod intra_region;
mod region;
mod single;
mod split;
mod visitors;

use std::cmp::Ordering;
use std::time::Instant;

use jitsi_xmpp::{Entropy, FullJid};

use super::brewery::{Brewery, Bridge};
use crate::config::{BridgesConfig, Strategy};
use crate::limits;

/// What is known about the participant and its conference.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish<'a> {
    /// The bridges that the conference uses, oldest first.
    pub(crate) used: &'a [Used],
    /// `jitsi_participant_region`
    pub(crate) region: Option<&'a str>,
    /// Whether it only watches.
    pub(crate) viewer: bool,
    /// The version that the room is pinned to.
    pub(crate) version: Option<&'a str>,
    /// Where the participant is moved away from: only when there is nothing else.
    pub(crate) avoid: Option<&'a FullJid>,
}

/// A bridge that the conference uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) bridge: FullJid,
    /// As it was when the conference came there.
    pub(crate) relay_id: Option<String>,
    pub(crate) participants: usize,
    /// Whether the first who came there only watches.
    pub(crate) viewers: bool,
    /// Whether more came lately than may.
    pub(crate) grows: bool,
}

/// What a conference has to know of the bridge that was picked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Picked {
    pub(crate) jid: FullJid,
    pub(crate) region: Option<String>,
    pub(crate) relay_id: Option<String>,
}

/// Picks a bridge, or says that there is none.
pub(crate) fn select(
    now: Instant,
    config: &BridgesConfig,
    brewery: &Brewery,
    wish: Wish<'_>,
    entropy: &mut dyn Entropy,
) -> Option<Picked> {
    let bridge = best(now, config, brewery, wish, entropy)?;
    let (jid, region) = (bridge.jid.clone(), bridge.region.clone());
    Some(Picked { jid, region, relay_id: bridge.relay_id.clone() })
}

fn best<'a>(
    now: Instant,
    config: &BridgesConfig,
    brewery: &'a Brewery,
    wish: Wish<'_>,
    entropy: &mut dyn Entropy,
) -> Option<&'a Bridge> {
    let mut candidates: Vec<&Bridge> = brewery.bridges().filter(|b| b.usable()).collect();
    // A bridge that fails keeps its people until a request of its own fails; newcomers do not go there.
    let used: Vec<(&Bridge, &Used)> =
        wish.used.iter().filter_map(|u| Some((*candidates.iter().find(|b| b.jid == u.bridge)?, u))).collect();
    let required = match (used.first().and_then(|(b, _)| b.full_version()), wish.version) {
        (Some(theirs), Some(pinned)) if theirs != pinned => return None,
        (theirs, pinned) => theirs.or_else(|| pinned.map(str::to_owned)),
    };
    // Without relays between bridges a conference stays together, whatever the load.
    if let Some((first, of)) = used.first()
        && (!config.spans() || of.relay_id.is_none())
    {
        return Some(first);
    }
    if config.spans() || wish.version.is_some() {
        // compat: what one bridge tells another has no version of its own (test: compat_bridges_of_one_conference_are_of_one_version).
        candidates.retain(|b| config.mixed_versions || required.is_none() || b.full_version() == required);
    }
    if !used.is_empty() {
        let alone = used.iter().any(|(b, _)| b.refuses_relays(now));
        candidates.retain(|b| if alone { is_used(b, wish.used) } else { joins(now, b, wish.used) });
    }
    prefer(&mut candidates, |b| !b.drain);
    prefer(&mut candidates, |b| !b.graceful_shutdown);
    prefer(&mut candidates, |b| Some(&b.jid) != wish.avoid);
    candidates.sort_by(|a, b| {
        a.corrected_stress(now).partial_cmp(&b.corrected_stress(now)).unwrap_or(Ordering::Equal)
    });
    let chance = if candidates.len() > 1 { entropy.u64() } else { 0 };
    let (region, viewer) = (wish.region, wish.viewer);
    let field = Field { now, config, sorted: &candidates, used: &used, region, viewer, chance };
    match config.strategy {
        Strategy::Single => single::select(&field),
        Strategy::Split => split::select(&field),
        Strategy::RegionBased => region::select(&field),
        Strategy::IntraRegion => intra_region::select(&field),
        Strategy::Visitors => visitors::select(&field),
    }
}

/// Whether a conference on these bridges can use this one as well: each is known to the others by its relay id.
fn joins(now: Instant, bridge: &Bridge, used: &[Used]) -> bool {
    if is_used(bridge, used) {
        return true;
    }
    let Some(id) = &bridge.relay_id else { return false };
    used.len() < limits::BRIDGES_PER_CONFERENCE
        && !bridge.refuses_relays(now)
        && used.iter().all(|u| u.relay_id.as_ref().is_some_and(|other| other != id))
}

fn is_used(bridge: &Bridge, used: &[Used]) -> bool {
    used.iter().any(|u| u.bridge == bridge.jid)
}

/// What a strategy chooses from.
struct Field<'f, 'a> {
    now: Instant,
    config: &'f BridgesConfig,
    /// By load, least first.
    sorted: &'f [&'a Bridge],
    /// Those of the conference, oldest first.
    used: &'f [(&'a Bridge, &'f Used)],
    region: Option<&'f str>,
    viewer: bool,
    /// Which of several that are as good as each other.
    chance: u64,
}

impl<'a> Field<'_, 'a> {
    fn in_conference(&self, b: &Bridge) -> Option<&Used> {
        self.used.iter().find(|(u, _)| u.jid == b.jid).map(|(_, of)| *of)
    }

    fn is_full(&self, b: &Bridge) -> bool {
        let people = self.in_conference(b).map_or(0, |u| u.participants);
        self.config.max_participants.is_some_and(|most| people >= most)
    }

    /// For this conference (focus §7.3).
    fn is_overloaded(&self, b: &Bridge) -> bool {
        self.is_crowded(b) || self.in_conference(b).is_some_and(|u| u.grows)
    }

    /// The same, however fast the conference grows there.
    fn is_crowded(&self, b: &Bridge) -> bool {
        self.is_loaded(b) || self.is_full(b)
    }

    fn is_loaded(&self, b: &Bridge) -> bool {
        b.corrected_stress(self.now) >= self.config.stress_threshold
    }

    /// The least loaded with this property. Of those that have hardly more load, one to which few were added lately, by chance.
    fn least(&self, has: impl Fn(&Bridge) -> bool) -> Option<&'a Bridge> {
        let those = || self.sorted.iter().copied().filter(|b| has(b));
        let first = those().next()?;
        let most = first.corrected_stress(self.now) + limits::STRESS_ALIKE;
        // One that is avoided is not as good as one that is not.
        let alike =
            |b: &&Bridge| b.corrected_stress(self.now) <= most && self.is_loaded(b) == self.is_loaded(first);
        let alike = || those().take_while(alike);
        let fewest = alike().map(|b| b.added_lately(self.now)).min()?;
        let fewest = || alike().filter(|b| b.added_lately(self.now) == fewest);
        let n = fewest().count().max(1) as u64;
        fewest().nth(usize::try_from(self.chance % n).unwrap_or(0))
    }
}

/// Drops those without the property, if any has it.
fn prefer(candidates: &mut Vec<&Bridge>, has: impl Fn(&Bridge) -> bool) {
    if candidates.iter().any(|b| has(b)) {
        candidates.retain(|b| has(b));
    }
}
