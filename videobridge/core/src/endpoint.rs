//! One participant on this bridge: its transport, its channel and when it was last heard of.

use std::time::Instant;

use jitsi_xmpp::Sensitive;
use jitsi_xmpp::ids::EndpointId;

use crate::addresses::Bound;
use crate::timers::Armed;
use crate::transport::{Consent, Transport};
use crate::{ConferenceKey, SocketId, limits};

/// A participant.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) id: EndpointId,
    pub(crate) conference: ConferenceKey,
    pub(crate) visitor: bool,
    pub(crate) transport: Transport,
    pub(crate) addresses: Bound,
    pub(crate) created: Instant,
    /// When its last authentic media packet came.
    pub(crate) last_packet: Option<Instant>,
    /// What everybody was last told about it.
    pub(crate) reachable: bool,
    /// The password in its WebSocket URL.
    pub(crate) password: Sensitive<String>,
    pub(crate) socket: Option<SocketId>,
    /// Which channel is used: the one that was opened or delivered something last.
    pub(crate) channel: Option<Channel>,
    pub(crate) no_channel_checked: bool,
    pub(crate) messages: Allowance,
    pub(crate) armed: Armed,
    /// Its transport has news for the conference.
    pub(crate) is_dirty: bool,
}

/// The two ways a bridge channel can go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    Data,
    WebSocket(SocketId),
}

/// How many more messages a client may send in this second.
#[derive(Debug)]
pub(crate) struct Allowance {
    since: Instant,
    left: u32,
}

impl Endpoint {
    /// The last sign of life: a media packet or an answered check.
    pub(crate) fn last_activity(&self) -> Option<Instant> {
        self.last_packet.max(self.transport.last_consent())
    }

    /// Whether its media arrives (bridge §12).
    pub(crate) fn is_reachable(&self, now: Instant) -> bool {
        match self.last_activity() {
            None => now.saturating_duration_since(self.created) <= limits::FIRST_TRANSFER_TIMEOUT,
            Some(at) => now.saturating_duration_since(at) <= limits::MAX_INACTIVITY,
        }
    }

    /// Whether it has to go (bridge §12).
    pub(crate) fn is_expired(&self, now: Instant) -> bool {
        if self.transport.consent() == Consent::Lost {
            return true;
        }
        match self.last_activity() {
            None => now.saturating_duration_since(self.created) >= limits::ENDPOINT_NEVER_ACTIVE,
            Some(at) => now.saturating_duration_since(at) >= limits::ENDPOINT_INACTIVITY,
        }
    }
}

impl Allowance {
    pub(crate) fn new(now: Instant) -> Self {
        Self { since: now, left: limits::MAX_CHANNEL_MESSAGES_PER_SECOND }
    }

    /// Whether one more is allowed.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.since).as_secs() >= 1 {
            *self = Self::new(now);
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_message_limit_and_one_beyond() {
        let now = Instant::now();
        let mut allowance = Allowance::new(now);
        assert!((0..limits::MAX_CHANNEL_MESSAGES_PER_SECOND).all(|_| allowance.take(now)));
        assert!(!allowance.take(now));
        assert!(allowance.take(now + Duration::from_secs(1)));
    }
}
