//! People moved away from a bridge because an admin says so (focus §9.1), because it drains or because of its load (focus §7.7): a bridge,
//! and whom or how many, in; invitations to other bridges out. Nobody's camera or microphone changes by it.

use std::cmp::Reverse;
use std::time::Instant;

use jitsi_xmpp::ids::EndpointId;
use jitsi_xmpp::{BareJid, FullJid};

use crate::bridges::Bridge;
use crate::conference::Conference;
use crate::turn::Turn;
use crate::{Focus, limits};

/// Whom to move.
#[derive(Debug, Clone, PartialEq)]
pub enum Move {
    /// This one; if a bridge is named, only if it is there.
    Endpoint {
        /// Its conference.
        room: BareJid,
        /// Its id.
        endpoint: EndpointId,
        /// See above.
        bridge: Option<String>,
    },
    /// So many of a bridge, of the conferences that have most people there first.
    Endpoints {
        /// Its address, or what it calls itself among the bridges.
        bridge: String,
        /// Of this conference alone.
        room: Option<BareJid>,
        /// How many.
        number: usize,
    },
    /// Such a part of a bridge's people, 0 to 1.
    Fraction {
        /// As above.
        bridge: String,
        /// How many of all.
        fraction: f64,
    },
}

/// How many were moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moved {
    /// People.
    pub endpoints: usize,
    /// Of so many conferences.
    pub conferences: usize,
}

/// Why nobody is moved. Blame: the admin who asks. Consequence: the request fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoveError {
    /// There is no such bridge.
    #[error("Bridge not found")]
    NoBridge,
    /// There is no such conference.
    #[error("Conference not found")]
    NoConference,
}

impl Focus {
    /// Moves people. Where a conference cannot span bridges, all of it moves.
    pub fn move_away(&mut self, now: Instant, order: &Move) -> Result<Moved, MoveError> {
        let moved = match order {
            Move::Endpoint { room, endpoint, bridge } => {
                let bridge = bridge.as_deref().map(|b| self.bridge_called(b)).transpose()?;
                let conference = self.rooms.get(room).ok_or(MoveError::NoConference)?;
                let on = conference.sessions.with(endpoint).map(|s| s.bridge.clone());
                match on.filter(|on| bridge.as_ref().is_none_or(|b| b == on)) {
                    Some(on) => self.move_some(now, &on, vec![(room.clone(), vec![endpoint.clone()])]),
                    None => Moved::default(),
                }
            }
            Move::Endpoints { bridge, room, number } => {
                if room.as_ref().is_some_and(|room| !self.rooms.contains_key(room)) {
                    return Err(MoveError::NoConference);
                }
                let bridge = self.bridge_called(bridge)?;
                let those = self.those_on(&bridge, room.as_ref(), *number);
                self.move_some(now, &bridge, those)
            }
            Move::Fraction { bridge, fraction } => {
                let bridge = self.bridge_called(bridge)?;
                let all = self.rooms.values().filter_map(|c| c.sessions.on(&bridge));
                let all: usize = all.map(|s| s.people()).sum();
                let number = (all as f64 * fraction.clamp(0.0, 1.0)).round() as usize;
                let those = self.those_on(&bridge, None, number);
                self.move_some(now, &bridge, those)
            }
        };
        self.after(now);
        Ok(moved)
    }

    /// Bridges that drain are emptied from now on, where that is wanted.
    pub(crate) fn empty_soon(&mut self, now: Instant) {
        if self.engine.config.bridges.empty_draining {
            self.empty_at.get_or_insert(now);
        }
    }

    /// Moves a few off the bridges that drain, as long as there is another one.
    pub(crate) fn empty_due(&mut self, now: Instant) {
        if self.empty_at.is_none_or(|at| at > now) {
            return;
        }
        self.empty_at = None;
        let usable = || self.engine.brewery.bridges().filter(|b| b.usable());
        if usable().all(|b| b.is_leaving()) {
            // Whoever comes says so.
            return;
        }
        let leaving: Vec<FullJid> = usable().filter(|b| b.is_leaving()).map(|b| b.jid.clone()).collect();
        let mut left = limits::MOVED_AT_ONCE;
        for bridge in leaving {
            let those = self.those_on(&bridge, None, left);
            left = left.saturating_sub(self.move_some(now, &bridge, those).endpoints);
        }
        if left < limits::MOVED_AT_ONCE {
            self.empty_at = Some(now + limits::EMPTYING);
        }
    }

    /// Where that is wanted, bridges are looked at now and then as long as there is a conference.
    pub(crate) fn relieve_soon(&mut self, now: Instant) {
        if let Some(config) = self.engine.config.bridges.redistribution
            && self.relieve_at.is_none()
            && !self.rooms.is_empty()
        {
            self.relieve_at = Some(now + config.interval);
        }
    }

    /// Moves a few off bridges with too much load, as long as another one has room.
    pub(crate) fn relieve_due(&mut self, now: Instant) {
        if self.relieve_at.is_none_or(|at| at > now) {
            return;
        }
        self.relieve_at = None;
        let config = &self.engine.config.bridges;
        let Some(wanted) = config.redistribution else { return };
        let most = config.stress_threshold;
        let usable = || self.engine.brewery.bridges().filter(|b| b.usable() && !b.is_leaving());
        let loaded: Vec<FullJid> = usable()
            .filter(|b| b.corrected_stress(now) >= wanted.threshold && b.may_be_relieved(now, wanted.timeout))
            .map(|b| b.jid.clone())
            .collect();
        for bridge in loaded {
            // Looked at each time: those who are moved are load where they go.
            let free = |b: &Bridge| b.usable() && !b.is_leaving() && b.corrected_stress(now) < most;
            if !self.engine.brewery.bridges().any(|b| b.jid != bridge && free(b)) {
                continue;
            }
            let those = self.those_to_relieve(&bridge, wanted.people);
            if those.is_empty() {
                continue;
            }
            self.engine.brewery.relieved(now, &bridge);
            let Moved { endpoints, conferences } = self.move_some(now, &bridge, those);
            tracing::info!(endpoints, conferences, "people are moved off a bridge with too much load");
        }
    }

    /// Of the conferences with most people there first. One that cannot span bridges moves as a whole, or not at all.
    fn those_to_relieve(&self, bridge: &FullJid, number: usize) -> Vec<(BareJid, Vec<EndpointId>)> {
        let spans = self.engine.config.bridges.spans();
        let on = |c: &Conference| c.sessions.on(bridge).is_some_and(|s| s.relay_id.is_some());
        if spans && self.rooms.values().any(on) {
            let those = self.those_on(bridge, None, number);
            return those.into_iter().filter(|(room, _)| self.rooms.get(room).is_some_and(on)).collect();
        }
        let mut all = self.those_on(bridge, None, usize::MAX);
        let mut left = number;
        all.retain(|(_, ids)| {
            let fits = ids.len() <= left;
            left -= if fits { ids.len() } else { 0 };
            fits
        });
        all
    }

    fn bridge_called(&self, name: &str) -> Result<FullJid, MoveError> {
        let called = |jid: &FullJid| jid.as_str() == name || jid.resource() == name;
        let mut all = self.engine.brewery.bridges().map(|b| &b.jid);
        all.find(|jid| called(jid)).cloned().ok_or(MoveError::NoBridge)
    }

    fn those_on(
        &self,
        bridge: &FullJid,
        room: Option<&BareJid>,
        number: usize,
    ) -> Vec<(BareJid, Vec<EndpointId>)> {
        let of = self.rooms.values().filter(|c| room.is_none_or(|room| *room == c.room));
        let mut sessions: Vec<_> = of.filter_map(|c| Some((&c.room, c.sessions.on(bridge)?))).collect();
        sessions.sort_by_key(|(room, s)| (Reverse(s.people()), (*room).clone()));
        let mut left = number;
        let mut those = Vec::new();
        for (room, session) in sessions {
            let some: Vec<EndpointId> = session.endpoints().take(left).cloned().collect();
            left -= some.len();
            if !some.is_empty() {
                those.push((room.clone(), some));
            }
        }
        those
    }

    fn move_some(&mut self, now: Instant, bridge: &FullJid, those: Vec<(BareJid, Vec<EndpointId>)>) -> Moved {
        let mut moved = Moved::default();
        for (room, ids) in those {
            let n = self.with_room(now, &room, |c, turn| c.move_from(turn, bridge, &ids)).unwrap_or_default();
            moved.endpoints += n;
            moved.conferences += usize::from(n > 0);
        }
        self.engine.counters.endpoints_moved += moved.endpoints as u64;
        moved
    }
}

impl Conference {
    fn move_from(&mut self, turn: &mut Turn<'_>, bridge: &FullJid, ids: &[EndpointId]) -> usize {
        let Some(session) = self.sessions.on(bridge) else { return 0 };
        let number = session.number;
        let together = !turn.config.bridges.spans() || session.relay_id.is_none();
        let ids: Vec<EndpointId> =
            if together { session.endpoints().cloned().collect() } else { ids.to_vec() };
        for id in &ids {
            if let Some(m) = self.member_mut(id) {
                m.avoid = Some(bridge.clone());
            }
        }
        if together {
            self.lose_session(turn, number, true);
        } else {
            for id in &ids {
                self.move_member(turn, id);
            }
        }
        ids.len()
    }
}
