//! What happened outside the media part, as numbers: datagrams dropped and why, and totals for statistics.

use std::fmt;

use crate::mailbox::Lost;

macro_rules! drops {
    ($($(#[$doc:meta])* $name:ident => $label:literal,)*) => {
        /// Why a datagram or a message was dropped before it reached the media part.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Discard { $($(#[$doc])* $name,)* }

        impl Discard {
            /// All reasons.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The metric label.
            pub const fn reason(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }
        }
    };
}

drops! {
    /// None of the protocols on the media port, or empty.
    UnknownProtocol => "unknown_protocol",
    /// Larger than an Ethernet frame.
    Oversized => "oversized",
    /// Not a well-formed STUN message.
    MalformedStun => "malformed_stun",
    /// A STUN request for nobody here, or an answer to no question of ours.
    UnknownUfrag => "unknown_ufrag",
    /// A STUN message that is not authentic, or refused by the agent.
    RefusedStun => "refused_stun",
    /// DTLS or media from an address that belongs to nobody.
    UnknownAddress => "unknown_address",
    /// DTLS that could not be used: too early, too late, or broken.
    Dtls => "dtls",
    /// The peer's certificate was not the signalled one.
    WrongFingerprint => "dtls_wrong_fingerprint",
    /// Media before there are keys.
    NoKeys => "no_keys",
    /// SRTP: not complete.
    SrtpMalformed => "srtp_malformed",
    /// SRTP: the authentication tag is wrong.
    SrtpUnauthentic => "srtp_unauthentic",
    /// SRTP: seen before, or too old to tell.
    SrtpReplayed => "srtp_replayed",
    /// SRTP: other errors.
    SrtpOther => "srtp_other",
    /// A packet for a receiver that can not be sent to.
    ReceiverNotReady => "receiver_not_ready",
    /// A channel message that could not be read.
    MalformedMessage => "malformed_message",
    /// A channel message beyond the rate or size allowed.
    MessageLimit => "message_limit",
    /// A channel message for an endpoint without an open channel, or with a full one.
    ChannelUnavailable => "channel_unavailable",
    /// A channel message of another client that had to make room in a full mailbox.
    ChannelFull => "channel_full",
    /// A state that had to make room: the client reads nothing while hundreds come and go.
    ChannelState => "channel_state",
    /// A channel message a visitor may not send.
    VisitorMessage => "visitor_message",
    /// A remote candidate that is of no use, or one too many.
    RemoteCandidate => "remote_candidate",
    /// Another bridge spoke of somebody who is not there, or in the name of somebody who is not behind it.
    RelayMessage => "relay_message",
    /// An endpoint beyond what one relay may announce.
    RelayEndpoint => "relay_endpoint",
    /// News or a packet of a part of a conference that is over.
    UnknownPart => "unknown_part",
    /// A channel message for a part of a conference whose thread is not at its work.
    PartFull => "part_full",
}

/// Totals of a shard; they only grow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Counters {
    pub packets_received: u64,
    pub bytes_received: u64,
    pub packets_sent: u64,
    pub bytes_sent: u64,
    pub conferences_created: u64,
    pub conferences_completed: u64,
    /// Removed because handling them failed.
    pub conferences_failed: u64,
    /// Milliseconds all completed conferences lasted.
    pub conference_milliseconds: u64,
    pub endpoints_created: u64,
    pub visitors_created: u64,
    pub ice_succeeded: u64,
    pub ice_failed: u64,
    pub ice_restarts_started: u64,
    pub ice_restarts_succeeded: u64,
    pub ice_restarts_failed: u64,
    /// Switched off.
    pub ice_restarts_rejected: u64,
    pub ice_restarts_superseded: u64,
    /// There was no connection to restart yet.
    pub ice_restarts_not_established: u64,
    pub dtls_failed: u64,
    pub no_message_transport: u64,
    pub endpoints_disconnected: u64,
    /// Media that went on to another address of its peer, which upstream does not count.
    pub paths_followed: u64,
    pub endpoints_reconnected: u64,
    pub data_channel_messages_received: u64,
    pub data_channel_messages_sent: u64,
    pub rejected_data_channels: u64,
    pub web_socket_messages_received: u64,
    pub web_socket_messages_sent: u64,
    pub relays_created: u64,
    /// Parts of conferences that began on other shards.
    pub parts_created: u64,
    /// Relays whose bridge never answered, or does not any more.
    pub relays_ice_failed: u64,
    pub relays_dtls_failed: u64,
    pub relays_no_message_transport: u64,
    /// Of these [`Self::packets_received`] and the like are the whole.
    pub relay_packets_received: u64,
    pub relay_bytes_received: u64,
    pub relay_packets_sent: u64,
    pub relay_bytes_sent: u64,
    /// Indexed by [`Discard`].
    dropped: [u64; Discard::ALL.len()],
}

impl Counters {
    /// Counts one dropped datagram or message.
    pub(crate) fn discard(&mut self, reason: Discard) {
        if let Some(n) = self.dropped.get_mut(reason as usize) {
            *n += 1;
        }
    }

    /// Counts what a full mailbox gave up.
    pub fn add_lost(&mut self, lost: Lost) {
        for (reason, count) in [(Discard::ChannelFull, lost.chatter), (Discard::ChannelState, lost.state)] {
            if let Some(n) = self.dropped.get_mut(reason as usize) {
                *n += count;
            }
        }
    }

    /// Counts one datagram handed to the sink, or its loss if nothing could be sent.
    pub(crate) fn sent_to(&mut self, bytes: usize, is_relay: bool) {
        if bytes == 0 {
            return self.discard(Discard::ReceiverNotReady);
        }
        self.packets_sent += 1;
        self.bytes_sent += bytes as u64;
        if is_relay {
            self.relay_packets_sent += 1;
            self.relay_bytes_sent += bytes as u64;
        }
    }

    /// The same less what came from and went to other bridges.
    pub(crate) fn without_relays(&self) -> Self {
        Self {
            packets_received: self.packets_received.saturating_sub(self.relay_packets_received),
            bytes_received: self.bytes_received.saturating_sub(self.relay_bytes_received),
            packets_sent: self.packets_sent.saturating_sub(self.relay_packets_sent),
            bytes_sent: self.bytes_sent.saturating_sub(self.relay_bytes_sent),
            ..self.clone()
        }
    }

    /// How many were dropped for `reason`.
    pub fn dropped(&self, reason: Discard) -> u64 {
        self.dropped.get(reason as usize).copied().unwrap_or(0)
    }

    /// Adds another shard's.
    pub fn add(&mut self, other: &Self) {
        macro_rules! sum {
            ($($field:ident)*) => {$(self.$field += other.$field;)*};
        }
        sum!(packets_received bytes_received packets_sent bytes_sent conferences_created conferences_completed conferences_failed
            conference_milliseconds endpoints_created visitors_created ice_succeeded ice_failed ice_restarts_started
            ice_restarts_succeeded ice_restarts_failed ice_restarts_rejected ice_restarts_superseded ice_restarts_not_established dtls_failed
            no_message_transport endpoints_disconnected paths_followed endpoints_reconnected data_channel_messages_received
            data_channel_messages_sent rejected_data_channels web_socket_messages_received web_socket_messages_sent
            relays_created parts_created relays_ice_failed relays_dtls_failed relays_no_message_transport relay_packets_received
            relay_bytes_received relay_packets_sent relay_bytes_sent);
        for (mine, theirs) in self.dropped.iter_mut().zip(other.dropped) {
            *mine += theirs;
        }
    }
}

impl fmt::Display for Discard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}
