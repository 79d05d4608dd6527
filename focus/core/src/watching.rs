//! Bridges that carry conferences and say nothing any more: what they said and the time in; questions to them, and their people
//! invited to others, out.
//!
//! A bridge that died leaves its session with the XMPP server, which keeps it for a resumption, and one that hangs leaves everything
//! as it was. So those with conferences are asked every second.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jitsi_xmpp::{FullJid, Jid, health};

use crate::Focus;
use crate::conference::Phase;

/// Looks in the time that a bridge may be silent; every second one asks.
const LOOKS: u32 = 5;

/// How often it is looked whether people reach them, where nothing else is looked at. Not a bound: an interval.
const LOOK_AT_RESTARTS: Duration = Duration::from_secs(1);

/// When bridges are looked at.
#[derive(Debug, Default)]
pub(crate) struct Watching {
    at: Option<Instant>,
    looks: u32,
}

impl Focus {
    fn look_every(&self) -> Option<Duration> {
        let config = &self.engine.config.bridges;
        let restarts = config.ice_failures.map(|_| LOOK_AT_RESTARTS);
        config.silence.map(|silence| silence / LOOKS).or(restarts)
    }

    /// There may be something to look at.
    pub(crate) fn watch_soon(&mut self, now: Instant) {
        if self.watching.at.is_none()
            && (!self.rooms.is_empty() || self.engine.brewery.any_silent())
            && let Some(every) = self.look_every()
        {
            self.engine.brewery.excuse_all(now);
            self.watching = Watching { at: Some(now + every), looks: 0 };
        }
    }

    pub(crate) const fn watch_deadline(&self) -> Option<Instant> {
        self.watching.at
    }

    /// A stanza from somebody among the bridges. What the server says in their place is an error.
    pub(crate) fn heard_bridge(&mut self, now: Instant, from: Option<&Jid>, kind: Option<&str>) {
        if kind != Some("error")
            && let Some(from) = from.filter(|f| f.bare_str() == self.engine.config.brewery.as_str())
            && let Some(bridge) = from.to_full()
        {
            self.engine.brewery.heard(now, &bridge);
        }
    }

    pub(crate) fn watch_due(&mut self, now: Instant) {
        let Some(at) = self.watching.at.filter(|at| *at <= now) else { return };
        self.watching.at = None;
        let Some(every) = self.look_every() else { return };
        if self.engine.me().is_none() || (self.rooms.is_empty() && !self.engine.brewery.any_silent()) {
            return;
        }
        if now.duration_since(at) > every {
            self.engine.brewery.excuse_all(now);
        }
        let running = self.rooms.values().filter(|c| c.phase == Phase::Running);
        let mut busy: BTreeMap<FullJid, usize> = BTreeMap::new();
        for session in running.flat_map(|c| c.sessions.iter()) {
            *busy.entry(session.bridge.clone()).or_insert(0) += session.people();
        }
        let config = &self.engine.config.bridges;
        if let Some(restarts) = &config.ice_failures {
            self.engine.brewery.look_at_restarts(now, restarts, config.stress_threshold, &busy);
        }
        let asks = self.watching.looks.is_multiple_of(2);
        self.watching = Watching { at: Some(now + every), looks: self.watching.looks.wrapping_add(1) };
        let Some(silence) = self.engine.config.bridges.silence else { return };
        // Answers come a moment after the look that asked for them.
        let watched = self.engine.brewery.watch(now, silence.saturating_sub(every / 2), &busy, asks);
        if let Some(mut turn) = self.engine.turn(now) {
            for bridge in watched.ask {
                turn.tell("get", bridge.as_jid(), health::request());
            }
        }
        if !watched.events.is_empty() {
            tracing::warn!(events = watched.events.len(), "bridges say nothing any more, or again");
            self.bridge_events(now, watched.events);
        }
    }
}
