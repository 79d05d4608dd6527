//! What one receiver has been told about the others: the conference's sources in, the difference to signal out
//! (focus §5.4). A source added and removed between two flushes is never mentioned.

use std::collections::{BTreeMap, HashSet};
use std::time::Instant;

use jitsi_xmpp::ids::{EndpointId, MediaType, Ssrc};

use super::map::{Semantics, SourceMap, SourceSet};
use crate::limits;

/// What a receiver cannot use and is not told about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) audio: bool,
    pub(crate) video: bool,
    /// Of simulcast, only the first layer is announced: the bridge sends one stream (`strip-simulcast`).
    pub(crate) strip_simulcast: bool,
}

/// The signalling state toward one receiver without SSRC rewriting.
#[derive(Debug, Default)]
pub(crate) struct Signaling {
    told: BTreeMap<EndpointId, SourceSet>,
    flush_at: Option<Instant>,
}

/// Sources by owner, as one message carries them.
pub(crate) type ByOwner = BTreeMap<EndpointId, SourceSet>;

impl Signaling {
    /// Forgets everything and notes what the offer tells.
    pub(crate) fn offered(&mut self, sources: ByOwner) {
        self.told = sources;
        self.flush_at = None;
    }

    /// Something changed: flush at `at`, unless a flush is already planned.
    pub(crate) fn changed(&mut self, at: Instant) {
        self.flush_at.get_or_insert(at);
    }

    /// What it knows.
    pub(crate) fn told(&self) -> impl Iterator<Item = (&EndpointId, &SourceSet)> {
        self.told.iter()
    }

    pub(crate) const fn flush_at(&self) -> Option<Instant> {
        self.flush_at
    }

    /// What to remove and what to add so that the receiver knows `wanted`.
    pub(crate) fn flush(&mut self, wanted: ByOwner) -> (ByOwner, ByOwner) {
        self.flush_at = None;
        let remove = difference(&self.told, &wanted);
        let add = difference(&wanted, &self.told);
        self.told = wanted;
        (remove, add)
    }
}

/// What `receiver` should know about the others.
pub(crate) fn wanted(map: &SourceMap, receiver: &EndpointId, filter: Filter) -> ByOwner {
    map.owners()
        .filter(|(owner, _)| *owner != receiver)
        .map(|(owner, set)| (owner.clone(), filter.apply(set)))
        .filter(|(_, set)| !set.is_empty())
        .collect()
}

/// Divided into as many messages as it takes, each of at most [`limits::SOURCES_BYTES`](crate::limits::SOURCES_BYTES) unless one owner has more.
pub(crate) fn portions(sources: ByOwner) -> Vec<ByOwner> {
    let mut all: Vec<ByOwner> = Vec::new();
    let mut bytes = usize::MAX;
    for (owner, set) in sources {
        let more = set.bytes(&owner);
        bytes = bytes.saturating_add(more);
        match all.last_mut() {
            Some(last) if bytes <= limits::SOURCES_BYTES => {
                last.insert(owner, set);
            }
            _ => {
                all.push(ByOwner::from([(owner, set)]));
                bytes = more;
            }
        }
    }
    all
}

fn difference(a: &ByOwner, b: &ByOwner) -> ByOwner {
    let none = SourceSet::default();
    a.iter()
        .map(|(owner, set)| (owner.clone(), set.minus(b.get(owner).unwrap_or(&none))))
        .filter(|(_, set)| !set.is_empty())
        .collect()
}

impl Filter {
    fn apply(self, set: &SourceSet) -> SourceSet {
        let wants = |media| match media {
            MediaType::Audio => self.audio,
            MediaType::Video => self.video,
        };
        let mut out = SourceSet {
            sources: set.sources.iter().filter(|s| wants(s.media)).cloned().collect(),
            groups: set.groups.iter().filter(|g| wants(g.media)).cloned().collect(),
        };
        if self.strip_simulcast {
            let mut dropped: HashSet<Ssrc> = HashSet::new();
            for sim in out.groups.iter().filter(|g| g.semantics == Semantics::Sim) {
                dropped.extend(sim.ssrcs.iter().skip(1));
            }
            for fid in out.groups.iter().filter(|g| g.semantics == Semantics::Fid) {
                if fid.ssrcs.first().is_some_and(|p| dropped.contains(p)) {
                    dropped.extend(fid.ssrcs.iter().skip(1));
                }
            }
            out.sources.retain(|s| !dropped.contains(&s.ssrc));
            out.groups
                .retain(|g| g.semantics != Semantics::Sim && !g.ssrcs.iter().any(|s| dropped.contains(s)));
        }
        out
    }
}
