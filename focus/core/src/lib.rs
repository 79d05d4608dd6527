//! The conference focus: stanzas from the XMPP link and HTTP conference requests in; stanzas and HTTP replies out.
//! Pure: no sockets, no clock, no randomness of its own.
//!
//! ```text
//! stanza ──► Focus ──► request.rs      conference requests (IQ and HTTP); budgets.rs: who may how often
//! route.rs         ├──► conference/     one room: members, invitations, leaving, deadlines
//!                 │      ├─ jingle/    a client's session: offer, answer, restart
//!                 │      ├─ sources/   who sends what, who is told
//!                 │      ├─ colibri/   the conference on its bridge
//!                 │      └─ moderation.rs
//!                 │      ├─ recording.rs, dialing.rs
//!                 ├──► bridges/        the brewery, and which bridge is next
//!                 └──► services/       the same of recorders and gateways
//! ```
//!
//! The contract: after each `handle_*` drain [`Focus::poll_output`], then ask [`Focus::poll_timeout`].
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

mod bridges;
mod budgets;
mod colibri;
mod conference;
mod config;
pub mod debug;
mod disco;
mod engine;
mod features;
mod handover;
mod iqs;
mod jingle;
pub mod limits;
mod logins;
mod moderation;
mod moving;
mod pins;
mod request;
mod rooms;
mod route;
mod services;
mod sources;
mod stats;
mod timers;
mod turn;
mod watching;

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use jitsi_xmpp::{BareJid, Element, Entropy, FullJid};

pub use budget::Network;
pub use config::{
    BridgesConfig, Config, IceFailures, LoginConfig, OfferConfig, Redistribution, Strategy, VideoCodec,
    VisitorsConfig,
};
pub use handover::HandoverError;
pub use jitsi_xmpp::conference_request::HttpAnswer;
pub use moving::{Move, MoveError, Moved};
pub use pins::{Pin, PinError};
pub use stats::{Counters, Stats};

use budgets::Budgets;
use conference::recording::Mode;
use conference::{Conference, Leave};
use engine::Engine;
use watching::Watching;

/// An HTTP request that waits for its reply; the shell's own number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HttpRequestId(pub u64);

/// What the shell has to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Send this stanza on the link.
    Send(Element),
    /// Answer this HTTP request. Every request is answered exactly once.
    HttpReply {
        /// Which.
        request: HttpRequestId,
        /// With what.
        reply: HttpAnswer,
    },
}

/// The focus of all conferences of one XMPP server.
pub struct Focus {
    engine: Engine,
    rooms: HashMap<BareJid, Conference>,
    budgets: Budgets,
    /// How many living breakout rooms a main room has.
    breakouts: HashMap<BareJid, usize>,
    /// Rooms that may be over; looked at after each input.
    over: Vec<BareJid>,
    /// What it knew when its link had been gone for so long that nothing could go on meanwhile; for the case that it is resumed.
    asleep: Option<Vec<u8>>,
    /// Rooms of a focus before this one, until its link is resumed.
    inherited: Vec<BareJid>,
    next_conference: u64,
    /// When a few more are moved off bridges that drain.
    empty_at: Option<Instant>,
    /// When bridges are looked at for too much load.
    relieve_at: Option<Instant>,
    watching: Watching,
    stopping: bool,
    /// No new conferences for now; those that run go on.
    draining: bool,
}

impl std::fmt::Debug for Focus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Focus").field("conferences", &self.rooms.len()).finish_non_exhaustive()
    }
}

impl Focus {
    /// A focus that waits for its link.
    pub fn new(config: Config, entropy: Box<dyn Entropy>) -> Self {
        Self {
            engine: Engine::new(config, entropy),
            rooms: HashMap::new(),
            budgets: Budgets::default(),
            breakouts: HashMap::new(),
            over: Vec::new(),
            asleep: None,
            inherited: Vec::new(),
            next_conference: 0,
            empty_at: None,
            relieve_at: None,
            watching: Watching::default(),
            stopping: false,
            draining: false,
        }
    }

    /// The link is usable. Not resumed: every room has been left behind, so every conference is over.
    pub fn handle_link_up(&mut self, now: Instant, jid: FullJid, resumed: bool) {
        if let Some(left) = self.asleep.take().filter(|_| resumed) {
            self.awake(now, &left);
        }
        if !resumed {
            self.inherited.clear();
            self.end_all(now, Leave::Silently);
        }
        self.engine.link_up(now, jid, resumed);
        self.go_on(now);
        self.after(now);
    }

    /// The link is gone. Conferences wait a while for a resumption.
    pub fn handle_link_down(&mut self, now: Instant) {
        self.engine.link_down(now);
    }

    /// A stanza came over the link.
    pub fn handle_stanza(&mut self, now: Instant, stanza: &Element) {
        self.route(now, stanza);
        self.after(now);
    }

    /// The body of a `POST /conference-request/v1`, and the network it came from.
    pub fn handle_http_request(&mut self, now: Instant, request: HttpRequestId, from: Network, body: &[u8]) {
        self.conference_http(now, request, from, body);
        self.after(now);
    }

    /// Leaves all rooms and takes no new ones. Clients see the focus leave.
    pub fn handle_shutdown(&mut self, now: Instant) {
        self.stopping = true;
        self.end_all(now, Leave::Politely);
        self.after(now);
    }

    /// Whether new conferences are put off. Those that run go on, and whoever wants a new one is told to ask again.
    pub const fn set_draining(&mut self, on: bool) {
        self.draining = on;
    }

    /// Time has passed; call when [`Focus::poll_timeout`] says so.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.engine.link_is_late(now) {
            self.sleep(now);
        }
        let events = self.engine.handle_timeout(now);
        self.bridge_events(now, events);
        self.timers_due(now);
        self.watch_due(now);
        self.empty_due(now);
        self.relieve_due(now);
        self.after(now);
    }

    /// The next thing to do; drain it after every `handle_*`.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.engine.out.pop_front()
    }

    /// When to call [`Focus::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        let emptying = self.empty_at.filter(|_| self.engine.me().is_some());
        let relieving = self.relieve_at.filter(|_| self.engine.me().is_some());
        let watching = self.watch_deadline().filter(|_| self.engine.me().is_some());
        [self.engine.poll_timeout(), emptying, relieving, watching].into_iter().flatten().min()
    }

    /// A picture of now.
    pub fn stats(&self) -> Stats {
        // compat: a room in which media has not begun is a conference of one, and pairs are ordered, with oneself
        // (test: compat_a_waiting_room_is_a_conference_of_one).
        let sizes: Vec<usize> = self.rooms.values().map(|c| c.participant_count().max(1)).collect();
        Stats {
            draining: self.draining,
            conferences: sizes.len(),
            participants: sizes.iter().sum(),
            largest_conference: sizes.iter().copied().max().unwrap_or(0),
            endpoint_pairs: sizes.iter().map(|n| n * n).sum(),
            visitors: self.rooms.values().map(Conference::viewer_count).sum(),
            conferences_with_visitors: self.rooms.values().filter(|c| c.viewer_count() > 0).count(),
            recordings: self.rooms.values().filter(|c| c.records() == Some(Mode::File)).count(),
            bridge_sessions: self.rooms.values().map(|c| c.sessions.len()).sum(),
            conferences_over_bridges: self.rooms.values().filter(|c| c.sessions.len() > 1).count(),
            relays: self.rooms.values().map(|c| c.sessions.relays()).sum(),
            bridge_endpoints: self.bridge_endpoints(),
            streams: self.rooms.values().filter(|c| c.records() == Some(Mode::Stream)).count(),
            ..self.engine.stats()
        }
    }
}

impl Focus {
    /// How many people are on each bridge.
    fn bridge_endpoints(&self) -> Vec<(String, usize)> {
        let mut by_bridge: BTreeMap<&str, usize> =
            self.engine.brewery.bridges().map(|b| (b.jid.resource(), 0)).collect();
        for session in self.rooms.values().flat_map(|c| c.sessions.iter()) {
            *by_bridge.entry(session.bridge.resource()).or_insert(0) += session.people();
        }
        by_bridge.into_iter().map(|(bridge, n)| (bridge.to_owned(), n)).collect()
    }
}

#[cfg(test)]
mod tests;
