//! The bridge registry: stats presences, failures and probe answers in, which bridges are usable out (focus §7.1, §7.2).
//!
//! Health comes from presence (`healthy`, its age); a bridge that failed a request is probed until it answers.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use jitsi_xmpp::{Element, FullJid, ns};

use crate::config::IceFailures;
use crate::handover::{Clock, HandoverError, at_most, wire, word};
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
    /// When it last said anything.
    heard: Instant,
    /// Since when it is asked.
    asked_since: Option<Instant>,
    /// It says nothing, or has not said something for long enough since.
    silent: Option<Silence>,
    /// How often that was lately, and when it was last.
    silences: Option<(u32, Instant)>,
    /// When its people asked for another session.
    restarts: VecDeque<Instant>,
    /// Until when people are taken not to reach it, and the load that it has by that.
    unreached: Option<(Instant, f64)>,
    /// It would not link conferences with other bridges.
    refused_relay: Option<Instant>,
    added: VecDeque<Instant>,
    /// When people were last moved off it because of its load.
    relieved: Option<Instant>,
}

/// A bridge that was silent, and since when it answers again.
#[derive(Debug, Clone, Copy)]
struct Silence {
    answers: Option<Instant>,
    /// So long it has to answer before it is used again.
    hold: Duration,
}

/// What comes of looking at bridges.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    /// To be asked whether they are there.
    pub(crate) ask: Vec<FullJid>,
    pub(crate) events: Vec<BridgeEvent>,
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
            heard: now,
            asked_since: None,
            silent: None,
            silences: None,
            restarts: VecDeque::new(),
            unreached: None,
            refused_relay: None,
            added: VecDeque::new(),
            relieved: None,
        }
    }

    /// Whether requests to it can be expected to work.
    pub(crate) const fn operational(&self) -> bool {
        self.failed.is_none() && self.silent.is_none() && self.healthy
    }

    /// Published load plus what was added since (focus §7.1).
    pub(crate) fn corrected_stress(&self, now: Instant) -> f64 {
        let load = self.stress + self.added_lately(now) as f64 * self.average_stress;
        self.unreached.filter(|(until, _)| *until > now).map_or(load, |(_, least)| load.max(least))
    }

    /// How many of those who were added the bridge may not have published yet.
    pub(crate) fn added_lately(&self, now: Instant) -> usize {
        self.added.iter().filter(|t| now.duration_since(**t) < limits::BRIDGE_RAMP_UP).count()
    }

    /// Whether enough time has passed since people were moved off it.
    pub(crate) fn may_be_relieved(&self, now: Instant, timeout: Duration) -> bool {
        self.relieved.is_none_or(|at| now.duration_since(at) >= timeout)
    }

    /// Whether people are taken not to reach it.
    pub(crate) const fn fails_at_ice(&self) -> bool {
        self.unreached.is_some()
    }

    /// It has said nothing for so long, and others have.
    fn falls_silent(&mut self, now: Instant) {
        let lately = self.silences.filter(|(_, at)| now.duration_since(*at) < limits::SILENCES_FORGOTTEN);
        let n = lately.map_or(0, |(n, _)| n);
        self.silences = Some((n.saturating_add(1), now));
        let hold = limits::SILENCE_HOLD.saturating_mul(1 << n.min(16)).min(limits::SILENCE_HOLD_MOST);
        self.silent = Some(Silence { answers: None, hold });
    }

    /// An endpoint was allocated on it.
    fn endpoint_added(&mut self, now: Instant) {
        while self.added.front().is_some_and(|t| now.duration_since(*t) >= limits::BRIDGE_RAMP_UP) {
            self.added.pop_front();
        }
        if self.added.len() < limits::ADDED_LATELY {
            self.added.push_back(now);
        }
    }

    /// A stat missing in this presence keeps its last value.
    /// `false`: something in it cannot be.
    fn read(&mut self, now: Instant, stats: &Element) -> bool {
        let mut refused = false;
        self.seen = now;
        for stat in stats.children().filter(|c| c.name() == "stat") {
            let (Some(name), Some(value)) = (stat.attr("name"), stat.attr("value")) else { continue };
            let flag = value == "true" || value == "1";
            let text = || (value.len() <= limits::TEXT).then(|| value.to_owned());
            let number = |most: f64| value.parse::<f64>().ok().filter(|v| (0.0..=most).contains(v));
            match name {
                "stress_level" => match number(limits::STRESS_MOST) {
                    Some(stress) => self.stress = stress,
                    None => refused = true,
                },
                // One whose people weigh nothing would get all of them.
                "average_participant_stress" => match number(1.0).filter(|v| *v > 0.0) {
                    Some(stress) => self.average_stress = stress,
                    None => refused = true,
                },
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
        !refused
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
    /// Bridges that were left because they said nothing.
    pub(crate) silenced: u64,
    /// Presences with figures that cannot be.
    pub(crate) figures_refused: u64,
    /// Bridges that had to wait because they came and went.
    pub(crate) held: u64,
    /// How often each of them was lost lately. Of those that are gone no more than there may be bridges.
    flaps: BTreeMap<FullJid, Flaps>,
    /// Whether somebody looks at those that wait.
    holds: bool,
}

/// How often a bridge was lost lately, and when it was last.
#[derive(Debug, Clone, Copy, Default)]
struct Flaps(u32, Option<Instant>);

impl Flaps {
    fn count(&mut self, now: Instant) {
        let lately = self.1.is_some_and(|at| now.duration_since(at) < limits::SILENCES_FORGOTTEN);
        *self = Self(if lately { self.0.saturating_add(1) } else { 1 }, Some(now));
    }

    /// How long it has to stay before it is used again.
    fn hold(self, now: Instant) -> Option<Duration> {
        let lately = self.1.is_some_and(|at| now.duration_since(at) < limits::SILENCES_FORGOTTEN);
        let more = self.0.checked_sub(limits::FLAPS).filter(|_| lately)?;
        Some(limits::SILENCE_HOLD.saturating_mul(1 << more.min(16)).min(limits::SILENCE_HOLD_MOST))
    }
}

impl Brewery {
    /// `holds`: whether [`Brewery::watch`] is called.
    pub(crate) const fn new(average_stress: f64, holds: bool) -> Self {
        Self {
            bridges: BTreeMap::new(),
            average_stress,
            check_at: None,
            lost: 0,
            silenced: 0,
            figures_refused: 0,
            held: 0,
            flaps: BTreeMap::new(),
            holds,
        }
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
        if !b.read(now, stats) {
            self.figures_refused += 1;
            tracing::warn!("a bridge says a load that cannot be");
        }
        // One that keeps coming and going is let in ever later.
        let flaps = if b.usable() && !was_usable { self.flaps.get(jid).copied() } else { None };
        if let Some(hold) = flaps.and_then(|f| f.hold(now))
            && self.holds
            && b.silent.is_none()
        {
            b.silent = Some(Silence { answers: Some(now), hold });
            self.held += 1;
            tracing::warn!("a bridge keeps coming and going: it gets nobody for a while");
            return None;
        }
        if was_usable && !b.usable() {
            self.flaps.entry(jid.clone()).or_default().count(now);
        }
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

    pub(crate) fn written(&self, clock: Clock) -> Vec<wire::Bridge> {
        let of = |b: &Bridge| wire::Bridge {
            jid: b.jid.as_str().to_owned(),
            stress: b.stress,
            average_stress: b.average_stress,
            graceful_shutdown: b.graceful_shutdown,
            shutting_down: b.shutting_down,
            drain: b.drain,
            version: b.version.clone(),
            release: b.release.clone(),
            region: b.region.clone(),
            relay_id: b.relay_id.clone(),
            healthy: b.healthy,
            seen: clock.write(b.seen),
            failed: b.failed.is_some(),
        };
        self.bridges.values().map(of).collect()
    }

    pub(crate) fn read_written(&mut self, clock: Clock, from: &[wire::Bridge]) -> Result<(), HandoverError> {
        at_most(from, limits::BRIDGES, "bridges")?;
        let now = clock.0;
        for b in from {
            let jid: FullJid = word(&b.jid, "bridge")?;
            let mut bridge = Bridge::new(clock.read(b.seen), jid.clone(), b.average_stress);
            bridge.stress = b.stress;
            bridge.graceful_shutdown = b.graceful_shutdown;
            bridge.shutting_down = b.shutting_down;
            bridge.drain = b.drain;
            bridge.version.clone_from(&b.version);
            bridge.release.clone_from(&b.release);
            bridge.region.clone_from(&b.region);
            bridge.relay_id.clone_from(&b.relay_id);
            bridge.healthy = b.healthy;
            bridge.failed = b.failed.then_some(Failure { since: now, probe_at: Some(now) });
            self.bridges.insert(jid, bridge);
            self.check_at.get_or_insert(now + limits::BRIDGE_CHECK);
        }
        Ok(())
    }

    /// A member left the brewery.
    pub(crate) fn handle_left(&mut self, now: Instant, jid: &FullJid) -> Option<BridgeEvent> {
        let b = self.bridges.remove(jid)?;
        if !b.shutting_down {
            self.lost += 1;
            if self.flaps.len() < limits::BRIDGES || self.flaps.contains_key(jid) {
                self.flaps.entry(jid.clone()).or_default().count(now);
            }
        }
        let old = |f: &Flaps| f.1.is_none_or(|at| now.duration_since(at) >= limits::SILENCES_FORGOTTEN);
        if self.flaps.len() >= limits::BRIDGES {
            self.flaps.retain(|_, f| !old(f));
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

    /// People are moved off it.
    pub(crate) fn relieved(&mut self, now: Instant, jid: &FullJid) {
        if let Some(b) = self.bridges.get_mut(jid) {
            b.relieved = Some(now);
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

    /// A bridge said something.
    pub(crate) fn heard(&mut self, now: Instant, jid: &FullJid) {
        if let Some(b) = self.bridges.get_mut(jid) {
            b.heard = now;
            if let Some(s) = &mut b.silent {
                s.answers.get_or_insert(now);
            }
        }
    }

    /// We have not listened for a while ourselves: nobody was silent.
    pub(crate) fn excuse_all(&mut self, now: Instant) {
        for b in self.bridges.values_mut() {
            b.asked_since = b.asked_since.map(|_| now);
        }
    }

    /// Looks at the bridges that carry conferences, and at those that were silent. `asks`: whether it is time to ask them again.
    ///
    /// Whoever is silent is left only when another one can be used that was heard since: else it may be the server or the way to it
    /// that is silent, and media goes on.
    pub(crate) fn watch(
        &mut self,
        now: Instant,
        silence: Duration,
        busy: &BTreeMap<FullJid, usize>,
        asks: bool,
    ) -> Watched {
        let quiet = |b: &Bridge| b.asked_since.map_or(Duration::ZERO, |t| now.duration_since(b.heard.max(t)));
        let is_busy = |b: &Bridge| busy.contains_key(&b.jid);
        let suspect = self.bridges.values().any(|b| is_busy(b) && quiet(b) > silence / 2);
        let usable: Vec<(FullJid, Instant)> =
            self.bridges.values().filter(|b| b.usable()).map(|b| (b.jid.clone(), b.heard)).collect();
        let mut out = Watched::default();
        for b in self.bridges.values_mut() {
            let watched = is_busy(b) || b.silent.is_some();
            if asks && (watched || suspect) {
                out.ask.push(b.jid.clone());
            }
            if !watched && !suspect {
                b.asked_since = None;
                continue;
            }
            b.asked_since.get_or_insert(now);
            let is_silent = quiet(b) >= silence;
            match &mut b.silent {
                None => {
                    let others = usable.iter().any(|(jid, heard)| *jid != b.jid && *heard > b.heard);
                    if is_silent && is_busy(b) && others && b.usable() {
                        b.falls_silent(now);
                        self.silenced += 1;
                        out.events.push(BridgeEvent::Lost(b.jid.clone()));
                    }
                }
                Some(s) if is_silent => s.answers = None,
                Some(s) => {
                    let long = s.answers.is_some_and(|at| now.duration_since(at) >= s.hold);
                    // Better one that comes and goes than none.
                    if long || (s.answers.is_some() && usable.is_empty()) {
                        b.silent = None;
                        if b.usable() {
                            out.events.push(BridgeEvent::Usable);
                        }
                    }
                }
            }
        }
        out
    }

    /// Somebody on it asked for another session.
    pub(crate) fn restart_requested(&mut self, now: Instant, jid: &FullJid) {
        if let Some(b) = self.bridges.get_mut(jid) {
            if b.restarts.len() >= limits::RESTARTS_OF_A_BRIDGE {
                b.restarts.pop_front();
            }
            b.restarts.push_back(now);
        }
    }

    #[cfg(test)]
    pub(crate) fn restarts_of(&self, jid: &FullJid) -> usize {
        self.bridges.get(jid).map_or(0, |b| b.restarts.len())
    }

    /// Looks for bridges that many of their people do not reach.
    pub(crate) fn look_at_restarts(
        &mut self,
        now: Instant,
        config: &IceFailures,
        overload: f64,
        people: &BTreeMap<FullJid, usize>,
    ) {
        for b in self.bridges.values_mut() {
            while b.restarts.front().is_some_and(|at| now.duration_since(*at) > config.interval) {
                b.restarts.pop_front();
            }
            b.unreached.take_if(|(until, _)| *until <= now);
            let n = people.get(&b.jid).copied().unwrap_or(0);
            if n >= config.people && b.restarts.len() as f64 > config.threshold * n as f64 {
                if !b.fails_at_ice() {
                    tracing::warn!(
                        "many people do not reach a bridge: it gets nobody while there is another one"
                    );
                }
                b.unreached = Some((now + config.timeout, overload + OVER));
            }
        }
    }

    /// Whether one of them has to be asked although it carries nothing.
    pub(crate) fn any_silent(&self) -> bool {
        self.bridges.values().any(|b| b.silent.is_some())
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

/// So much more than the load from which on a bridge is avoided, as upstream.
const OVER: f64 = 0.01;
