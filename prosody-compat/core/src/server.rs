//! The server as a whole.

use std::time::{Duration, Instant};

use jitsi_xmpp::Entropy;

use crate::config::Config;
use crate::counters::Counters;
use crate::output::{ConnId, FramingError, Output, SessionQuery, Transport};

/// How much there is right now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Connections.
    pub connections: usize,
    /// Bound sessions, with and without a connection.
    pub sessions: usize,
    /// Bound sessions that wait to be resumed.
    pub hibernating: usize,
    /// Rooms, breweries included.
    pub rooms: usize,
    /// Occupants in all rooms.
    pub occupants: usize,
}

/// The XMPP server; see the crate's documentation for how to drive it.
pub struct Server {
    config: Config,
    counters: Counters,
    _entropy: Box<dyn Entropy>,
}

impl Server {
    /// A server without connections.
    pub fn new(config: Config, entropy: Box<dyn Entropy>) -> Self {
        Self { config, counters: Counters::default(), _entropy: entropy }
    }

    /// Tells the wall clock: at `now` it is `unix` since 1970.
    pub fn handle_clock(&mut self, _now: Instant, _unix: Duration) {}

    /// A connection exists.
    pub fn handle_open(&mut self, _now: Instant, _conn: ConnId, _transport: Transport, _query: SessionQuery) {}

    /// One frame arrived.
    pub fn handle_frame(&mut self, _now: Instant, _conn: ConnId, _frame: &[u8]) {}

    /// The TLS handshake of this TCP connection is done.
    pub fn handle_tls(&mut self, _now: Instant, _conn: ConnId) {}

    /// The transport's framing is broken; the stream ends with an error.
    pub fn handle_framing_error(&mut self, _now: Instant, _conn: ConnId, _error: FramingError) {}

    /// The transport is gone.
    pub fn handle_closed(&mut self, _now: Instant, _conn: ConnId) {}

    /// The server stops: every stream is closed with `system-shutdown`.
    pub fn handle_shutdown(&mut self, _now: Instant) {}

    /// Time passed.
    pub fn handle_timeout(&mut self, _now: Instant) {}

    /// The next effect.
    pub fn poll_output(&mut self) -> Option<Output> {
        None
    }

    /// When to call `handle_timeout` next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// What happened so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The configuration in use.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// How much there is right now.
    pub fn stats(&self) -> Stats {
        Stats::default()
    }
}
