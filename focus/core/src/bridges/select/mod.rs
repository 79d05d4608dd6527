//! Which bridge a participant gets: the registry and the conference's bridge in, one bridge out (focus §7.3). The
//! pipeline is here; what is done with the remaining candidates is one file per strategy.

mod single;

use std::cmp::Ordering;
use std::time::Instant;

use jitsi_xmpp::FullJid;

use super::brewery::{Brewery, Bridge};

/// What is known about the participant and its conference.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish<'a> {
    /// The bridge the conference already uses.
    pub(crate) current: Option<&'a FullJid>,
    /// `jitsi_participant_region`
    pub(crate) region: Option<&'a str>,
}

/// Picks a bridge, or says that there is none.
pub(crate) fn select<'a>(now: Instant, brewery: &'a Brewery, wish: Wish<'_>) -> Option<&'a Bridge> {
    let mut candidates: Vec<&Bridge> =
        brewery.bridges().filter(|b| b.operational() && !b.shutting_down).collect();
    // Without relays between bridges a conference stays together, whatever the load.
    if let Some(b) = candidates.iter().find(|b| Some(&b.jid) == wish.current) {
        return Some(b);
    }
    prefer(&mut candidates, |b| !b.drain);
    prefer(&mut candidates, |b| !b.graceful_shutdown);
    candidates.sort_by(|a, b| {
        a.corrected_stress(now).partial_cmp(&b.corrected_stress(now)).unwrap_or(Ordering::Equal)
    });
    single::select(&candidates, wish)
}

/// Drops those without the property, if any has it.
fn prefer(candidates: &mut Vec<&Bridge>, has: impl Fn(&Bridge) -> bool) {
    if candidates.iter().any(|b| has(b)) {
        candidates.retain(|b| has(b));
    }
}
