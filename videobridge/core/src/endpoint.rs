//! One participant on this bridge, or one other bridge: its transport, its channel and when it was last heard of.

use std::sync::Arc;
use std::time::Instant;

use budget::Bucket;
use jitsi_xmpp::Sensitive;
use jitsi_xmpp::colibri2::MediaSource;
use jitsi_xmpp::ids::EndpointId;

use crate::addresses::Bound;
use crate::config::LocalAddress;
use crate::counters::{Counters, Discard};
use crate::mailbox::Mailbox;
use crate::timers::Armed;
use crate::transport::{Consent, Transport};
use crate::{ConferenceKey, SocketId, limits};

/// A participant, or a relay.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// Of a relay: the other bridge's relay id.
    pub(crate) id: EndpointId,
    /// `Some`: a relay.
    pub(crate) relay: Option<Box<Relay>>,
    pub(crate) conference: ConferenceKey,
    pub(crate) visitor: bool,
    /// It is told our private addresses, whatever is configured.
    pub(crate) private_addresses: bool,
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
    /// What waits for room on the data channel. A WebSocket's mailbox is the shell's.
    pub(crate) mailbox: Mailbox,
    /// What it may still say; see [`limits::CHANNEL_MESSAGES`] and [`limits::CHANNEL_RELAYED_BYTES`].
    pub(crate) messages: Bucket,
    pub(crate) relayed: Bucket,
    pub(crate) armed: Armed,
    /// Its transport has news for the conference.
    pub(crate) is_dirty: bool,
    /// What other parts of the conference are told.
    pub(crate) shown: Shown,
}

/// What other parts of a conference know of an endpoint; empty where there can be none.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    /// Tells apart two who had the same id one after the other.
    pub(crate) creation: u64,
    pub(crate) sources: Arc<[MediaSource]>,
    pub(crate) diarize: bool,
}

/// What only a relay has.
#[derive(Debug, Default)]
pub(crate) struct Relay {
    /// Sockets of its own. Without, it shares those of all: then two bridges can have one conference together.
    pub(crate) sockets: Vec<LocalAddress>,
    /// Its failure was counted.
    pub(crate) has_failed: bool,
    /// Where we open its channel, if we do.
    pub(crate) dials: Option<Sensitive<String>>,
}

/// The two ways a bridge channel can go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    Data,
    WebSocket(SocketId),
}

impl Endpoint {
    /// Somebody new. `password` is the one in its WebSocket URL.
    pub(crate) fn new(
        now: Instant,
        id: EndpointId,
        conference: ConferenceKey,
        transport: Transport,
        password: String,
    ) -> Self {
        Self {
            id,
            relay: None,
            conference,
            visitor: false,
            private_addresses: false,
            transport,
            addresses: Bound::default(),
            created: now,
            last_packet: None,
            reachable: true,
            password: Sensitive::new(password),
            socket: None,
            channel: None,
            no_channel_checked: false,
            mailbox: Mailbox::default(),
            messages: Bucket::full(),
            relayed: Bucket::full(),
            armed: Armed::default(),
            is_dirty: false,
            shown: Shown::default(),
        }
    }

    /// Whether it is another bridge.
    pub(crate) fn is_relay(&self) -> bool {
        self.relay.is_some()
    }

    /// Hands what waits to the data channel, as far as it has room. Whether anything was handed over.
    pub(crate) fn fill_channel(&mut self, counters: &mut Counters) -> bool {
        let mut any = false;
        while !self.mailbox.is_empty()
            && self.transport.has_channel_room()
            && let Some(text) = self.mailbox.pop()
        {
            any = true;
            if self.transport.send_text(&text) {
                counters.data_channel_messages_sent += 1;
            } else {
                counters.discard(Discard::ChannelUnavailable);
            }
        }
        any
    }

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

    /// Whether it has to go (bridge §12). A relay stays until the focus says so.
    pub(crate) fn is_expired(&self, now: Instant) -> bool {
        if self.is_relay() {
            return false;
        }
        // compat: upstream's goes with the next look. Browsers notice as late as we do that their way is lost, and look for another
        // within the session only then (test: who_looks_for_another_way_is_not_removed_because_the_old_one_is_lost).
        let lost = self.transport.consent() == Consent::Lost && !self.transport.is_restarting();
        let answered = self.transport.last_consent();
        if lost && answered.is_none_or(|at| now.saturating_duration_since(at) >= limits::ENDPOINT_INACTIVITY)
        {
            return true;
        }
        match self.last_activity() {
            None => now.saturating_duration_since(self.created) >= limits::ENDPOINT_NEVER_ACTIVE,
            Some(at) => now.saturating_duration_since(at) >= limits::ENDPOINT_INACTIVITY,
        }
    }
}
