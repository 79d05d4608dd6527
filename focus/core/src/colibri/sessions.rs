//! The bridges that carry a conference: sessions begun and ended in; which one somebody is on, and which of their relays have
//! something to be said, out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use jitsi_xmpp::FullJid;
use jitsi_xmpp::ids::{EndpointId, MeetingId};

use super::relays::Link;
use crate::bridges::select::{Picked, Used};
use crate::config::BridgesConfig;
use crate::sources::SourceSet;

/// Tells sessions of a conference apart; the smaller, the older.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SessionNumber(pub(super) u64);

/// A conference on one bridge.
#[derive(Debug)]
pub(crate) struct BridgeSession {
    pub(crate) number: SessionNumber,
    pub(crate) bridge: FullJid,
    /// What the bridge knows the conference by.
    pub(crate) meeting: MeetingId,
    /// Clients echo it; it tells late messages about an earlier session apart.
    pub(crate) id: String,
    pub(crate) region: Option<String>,
    /// What other bridges know this one by, as it was when the conference came here.
    pub(crate) relay_id: Option<String>,
    /// The first who came there only watches.
    pub(crate) viewers: bool,
    pub(super) created: bool,
    /// It has made somebody's endpoint.
    pub(super) answered: bool,
    /// The bridge's own sources, from its first answer.
    pub(crate) feedback: SourceSet,
    pub(super) endpoints: BTreeSet<EndpointId>,
    /// What this bridge is told of the others.
    pub(crate) links: BTreeMap<SessionNumber, Link>,
    /// When the latest came: no more of them than what counts as too many.
    pub(super) joins: VecDeque<Instant>,
}

impl BridgeSession {
    /// How many people are on it, those that are on the way there included.
    pub(crate) fn people(&self) -> usize {
        self.endpoints.len()
    }

    /// Who they are.
    pub(crate) fn endpoints(&self) -> impl Iterator<Item = &EndpointId> {
        self.endpoints.iter()
    }

    pub(super) fn joined(&mut self, now: Instant, config: &BridgesConfig) {
        if let Some(most) = config.max_joins {
            self.joins.push_back(now);
            while self.joins.len() > most {
                self.joins.pop_front();
            }
        }
    }

    fn grows(&self, now: Instant, config: &BridgesConfig) -> bool {
        config.max_joins.is_some_and(|most| {
            self.joins.len() >= most
                && self.joins.front().is_none_or(|at| now.duration_since(*at) < config.joins_interval)
        })
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    by_age: BTreeMap<SessionNumber, BridgeSession>,
    /// Sessions so far.
    begun: u64,
    /// Requests about relays so far.
    pub(super) asked: u64,
    /// Relays with something to be said: of whom, about whom.
    pub(super) dirty: BTreeSet<(SessionNumber, SessionNumber)>,
    /// When one of them is to be tried again.
    pub(super) due: Option<Instant>,
    /// Meshes beside that of those who meet so far.
    pub(super) meshes: u64,
}

impl Sessions {
    /// As they were written.
    pub(super) fn of(by_age: BTreeMap<SessionNumber, BridgeSession>, begun: u64) -> Self {
        let mesh = |l: &Link| l.mesh.parse().unwrap_or(0);
        let meshes = by_age.values().flat_map(|s| s.links.values()).map(mesh).max().unwrap_or(0);
        Self { by_age, begun, meshes, ..Self::default() }
    }

    /// Sessions so far.
    pub(crate) const fn begun(&self) -> u64 {
        self.begun
    }

    /// A conference comes to a bridge.
    pub(crate) fn begin(
        &mut self,
        bridge: &Picked,
        meeting: MeetingId,
        id: String,
        viewers: bool,
    ) -> &BridgeSession {
        self.begun += 1;
        let number = SessionNumber(self.begun);
        self.by_age.entry(number).or_insert_with(|| BridgeSession {
            number,
            bridge: bridge.jid.clone(),
            meeting,
            id,
            region: bridge.region.clone(),
            relay_id: bridge.relay_id.clone(),
            viewers,
            created: false,
            answered: false,
            feedback: SourceSet::default(),
            endpoints: BTreeSet::new(),
            links: BTreeMap::new(),
            joins: VecDeque::new(),
        })
    }

    pub(super) fn remove(&mut self, number: SessionNumber) -> Option<BridgeSession> {
        self.dirty.retain(|(of, about)| *of != number && *about != number);
        self.by_age.remove(&number)
    }

    pub(super) fn into_sessions(self) -> impl Iterator<Item = BridgeSession> {
        self.by_age.into_values()
    }

    /// Oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &BridgeSession> {
        self.by_age.values()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut BridgeSession> {
        self.by_age.values_mut()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_age.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_age.is_empty()
    }

    pub(crate) fn get(&self, number: SessionNumber) -> Option<&BridgeSession> {
        self.by_age.get(&number)
    }

    pub(super) fn get_mut(&mut self, number: SessionNumber) -> Option<&mut BridgeSession> {
        self.by_age.get_mut(&number)
    }

    /// By the name that clients know it by.
    pub(crate) fn named(&self, id: &str) -> Option<&BridgeSession> {
        self.iter().find(|s| s.id == id)
    }

    pub(crate) fn named_mut(&mut self, id: &str) -> Option<&mut BridgeSession> {
        self.iter_mut().find(|s| s.id == id)
    }

    /// On this bridge.
    pub(crate) fn on(&self, bridge: &FullJid) -> Option<&BridgeSession> {
        self.iter().find(|s| s.bridge == *bridge)
    }

    /// Where this endpoint is.
    pub(crate) fn with(&self, id: &EndpointId) -> Option<&BridgeSession> {
        self.iter().find(|s| s.endpoints.contains(id))
    }

    /// Links between two bridges.
    pub(crate) fn relays(&self) -> usize {
        self.iter().map(|s| s.links.len()).sum::<usize>() / 2
    }

    /// What a choice of a bridge has to know of them.
    pub(crate) fn used(&self, now: Instant, config: &BridgesConfig) -> Vec<Used> {
        let of = |s: &BridgeSession| Used {
            bridge: s.bridge.clone(),
            relay_id: s.relay_id.clone(),
            participants: s.people(),
            viewers: s.viewers,
            grows: s.grows(now, config),
        };
        self.iter().map(of).collect()
    }
}
