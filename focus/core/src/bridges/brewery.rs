//! The bridge registry: stats presences, failures and probe answers in, which bridges are usable out (focus §7.1, §7.2).
//!
//! Health comes from presence (`healthy`, its age); a bridge that failed a request is probed until it answers.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use jitsi_xmpp::{Element, FullJid, ns};

use crate::limits;

/// What a change in the registry means for conferences.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum BridgeEvent {
    /// There is one more usable bridge: who waits for one may try again.
    Usable,
    /// The bridge is gone or sick: its participants must move.
    Lost(FullJid),
    /// The bridge wants to become empty: its participants may move.
    Drains,
}

/// One bridge of the brewery.
#[derive(Debug, Clone)]
pub(crate) struct Bridge {
    pub(crate) jid: FullJid,
    stress: f64,
    average_stress: f64,
    pub(crate) graceful_shutdown: bool,
    pub(crate) shutting_down: bool,
    pub(crate) drain: bool,
    pub(crate) version: Option<String>,
    release: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) relay_id: Option<String>,
    healthy: bool,
    seen: Instant,
    failed: Option<Failure>,
    /// It would not link conferences with other bridges.
    refused_relay: Option<Instant>,
    added: VecDeque<Instant>,
}

/// A failed bridge and when to look at it again.
#[derive(Debug, Clone, Copy)]
struct Failure {
    since: Instant,
    probe_at: Option<Instant>,
}

impl Bridge {
    fn new(now: Instant, jid: FullJid, average_stress: f64) -> Self {
        Self {
            jid,
            stress: 0.0,
            average_stress,
            graceful_shutdown: false,
            shutting_down: false,
            // Upstream's default until the bridge says otherwise: nothing is sent to a bridge not heard of.
            drain: true,
            version: None,
            release: None,
            region: None,
            relay_id: None,
            healthy: true,
            seen: now,
            failed: None,
            refused_relay: None,
            added: VecDeque::new(),
        }
    }

    /// Whether requests to it can be expected to work.
    pub(crate) const fn operational(&self) -> bool {
        self.failed.is_none() && self.healthy
    }

    /// Published load plus what was added since (focus §7.1).
    pub(crate) fn corrected_stress(&self, now: Instant) -> f64 {
        let recent = self.added.iter().filter(|t| now.duration_since(**t) < limits::BRIDGE_RAMP_UP).count();
        self.stress + recent as f64 * self.average_stress
    }

    /// An endpoint was allocated on it.
    fn endpoint_added(&mut self, now: Instant) {
        while self.added.front().is_some_and(|t| now.duration_since(*t) >= limits::BRIDGE_RAMP_UP) {
            self.added.pop_front();
        }
        // Bounded by what can be added in the ramp-up window; the cap keeps a flood from growing it.
        if self.added.len() < 10_000 {
            self.added.push_back(now);
        }
    }

    /// A stat missing in this presence keeps its last value.
    fn read(&mut self, now: Instant, stats: &Element) {
        self.seen = now;
        for stat in stats.children().filter(|c| c.name() == "stat") {
            let (Some(name), Some(value)) = (stat.attr("name"), stat.attr("value")) else { continue };
            let flag = value == "true" || value == "1";
            let text = || (value.len() <= limits::TEXT).then(|| value.to_owned());
            let number = || value.parse::<f64>().ok().filter(|v| v.is_finite() && *v >= 0.0);
            match name {
                "stress_level" => self.stress = number().unwrap_or(self.stress),
                "average_participant_stress" => self.average_stress = number().unwrap_or(self.average_stress),
                "graceful_shutdown" | "shutdown_in_progress" => self.graceful_shutdown = flag,
                "shutting_down" => self.shutting_down = flag,
                "drain" => self.drain = flag,
                "healthy" => self.healthy = flag,
                "version" => self.version = text(),
                "release" => self.release = text().filter(|t| !t.is_empty()),
                "region" => self.region = text().filter(|t| !t.is_empty()),
                "relay_id" => self.relay_id = text().filter(|t| !t.is_empty()),
                _ => {}
            }
        }
    }

    /// Whether somebody may be invited there.
    pub(crate) const fn usable(&self) -> bool {
        self.operational() && !self.shutting_down
    }

    /// Whether it wants to become empty.
    pub(crate) const fn is_leaving(&self) -> bool {
        self.drain || self.graceful_shutdown
    }

    /// Bridges of one conference have the same (focus §7.1).
    pub(crate) fn full_version(&self) -> Option<String> {
        let version = self.version.as_ref()?;
        Some(self.release.as_ref().map_or_else(|| version.clone(), |release| format!("{version}-{release}")))
    }

    /// Whether it refused a relay a while ago.
    pub(crate) fn refuses_relays(&self, now: Instant) -> bool {
        self.refused_relay.is_some_and(|at| now.duration_since(at) < limits::RELAY_REFUSED)
    }
}

/// The registry, keyed by occupant JID.
#[derive(Debug)]
pub(crate) struct Brewery {
    bridges: BTreeMap<FullJid, Bridge>,
    /// Stress of a participant until a bridge says it.
    average_stress: f64,
    check_at: Option<Instant>,
    /// `lost_bridges`
    pub(crate) lost: u64,
}

impl Brewery {
    pub(crate) const fn new(average_stress: f64) -> Self {
        Self { bridges: BTreeMap::new(), average_stress, check_at: None, lost: 0 }
    }

    /// A member's presence with its stats.
    pub(crate) fn handle_stats(
        &mut self,
        now: Instant,
        jid: &FullJid,
        stats: &Element,
    ) -> Option<BridgeEvent> {
        if !self.bridges.contains_key(jid) && self.bridges.len() >= limits::BRIDGES {
            return None;
        }
        self.check_at.get_or_insert(now + limits::BRIDGE_CHECK);
        let known = self.bridges.contains_key(jid);
        let b = self
            .bridges
            .entry(jid.clone())
            .or_insert_with(|| Bridge::new(now, jid.clone(), self.average_stress));
        let (was_usable, drained, kept) = (known && b.usable(), b.drain, known && !b.is_leaving());
        b.read(now, stats);
        if was_usable && !b.usable() {
            Some(BridgeEvent::Lost(jid.clone()))
        } else if b.usable() && (!was_usable || (drained && !b.drain)) {
            Some(BridgeEvent::Usable)
        } else if kept && b.is_leaving() {
            Some(BridgeEvent::Drains)
        } else {
            None
        }
    }

    /// A member left the brewery.
    pub(crate) fn handle_left(&mut self, jid: &FullJid) -> Option<BridgeEvent> {
        let b = self.bridges.remove(jid)?;
        if !b.shutting_down {
            self.lost += 1;
        }
        Some(BridgeEvent::Lost(jid.clone()))
    }

    /// The connection is gone for good: no bridge is known any more.
    pub(crate) fn clear(&mut self) -> Vec<FullJid> {
        self.check_at = None;
        std::mem::take(&mut self.bridges).into_keys().collect()
    }

    /// A request to the bridge failed in a way that is the bridge's fault; it is probed at once.
    pub(crate) fn failed(&mut self, now: Instant, jid: &FullJid) {
        if let Some(b) = self.bridges.get_mut(jid) {
            b.failed.get_or_insert(Failure { since: now, probe_at: Some(now) });
        }
    }

    /// The bridge would not link conferences with others.
    pub(crate) fn refused_relay(&mut self, now: Instant, jid: &FullJid) {
        if let Some(b) = self.bridges.get_mut(jid) {
            b.refused_relay = Some(now);
        }
    }

    /// The bridge said that it is going down.
    pub(crate) fn is_draining(&mut self, jid: &FullJid) {
        if let Some(b) = self.bridges.get_mut(jid) {
            b.graceful_shutdown = true;
        }
    }

    /// The answer to a probe: a result makes the bridge usable again, anything else means another probe later.
    pub(crate) fn probed(&mut self, now: Instant, jid: &FullJid, ok: bool) -> Option<BridgeEvent> {
        let b = self.bridges.get_mut(jid)?;
        let failure = b.failed.as_mut()?;
        if ok {
            b.failed = None;
            return b.usable().then_some(BridgeEvent::Usable);
        }
        failure.probe_at = Some(now + limits::BRIDGE_CHECK);
        None
    }

    /// An endpoint was allocated.
    pub(crate) fn endpoint_added(&mut self, now: Instant, jid: &FullJid) {
        if let Some(b) = self.bridges.get_mut(jid) {
            b.endpoint_added(now);
        }
    }

    /// Bridges to probe now.
    pub(crate) fn take_probes(&mut self, now: Instant) -> Vec<FullJid> {
        let mut due = Vec::new();
        for b in self.bridges.values_mut() {
            if let Some(f) = &mut b.failed
                && f.probe_at.is_some_and(|t| t <= now)
            {
                f.probe_at = None;
                due.push(b.jid.clone());
            }
        }
        due
    }

    /// Looks at the age of presences. A silent bridge is avoided but keeps its conferences: they move when a
    /// request of their own fails (focus §7.2).
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Vec<BridgeEvent> {
        if self.check_at.is_none_or(|t| t > now) {
            return Vec::new();
        }
        self.check_at = (!self.bridges.is_empty()).then(|| now + limits::BRIDGE_CHECK);
        let mut events = Vec::new();
        for b in self.bridges.values_mut() {
            match b.failed {
                None if now.duration_since(b.seen) > limits::BRIDGE_PRESENCE => {
                    b.failed = Some(Failure { since: now, probe_at: Some(now) });
                }
                // A probe that could not even be sent must not keep the bridge out for ever.
                Some(f) if f.probe_at.is_none() && now.duration_since(f.since) > limits::BRIDGE_RESET => {
                    b.failed = None;
                    events.push(BridgeEvent::Usable);
                }
                _ => {}
            }
        }
        events
    }

    /// When the next check or probe is due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let probe = self.bridges.values().filter_map(|b| b.failed.and_then(|f| f.probe_at)).min();
        [self.check_at, probe].into_iter().flatten().min()
    }

    pub(crate) fn bridge(&self, jid: &FullJid) -> Option<&Bridge> {
        self.bridges.get(jid)
    }

    pub(crate) fn bridges(&self) -> impl Iterator<Item = &Bridge> {
        self.bridges.values()
    }

    /// The stats extension of a brewery presence.
    pub(crate) fn stats_of(presence: &Element) -> Option<&Element> {
        presence.child("stats", ns::COLIBRI)
    }
}
