//! What the shell can ask of a shard, and what a shard has to say; the place outgoing datagrams are written to.

use std::net::SocketAddr;

use jitsi_xmpp::colibri2::{ConferenceModified, ConferenceModify, Connect};
use jitsi_xmpp::ids::{EndpointId, MeetingId, SourceName};
use jitsi_xmpp::{Sensitive, StanzaError};

use crate::Certificate;
use crate::config::LocalAddress;
use crate::mailbox::ChannelMessage;
use crate::media::{ExportKey, ExportedAudio};
use crate::parts::{PartKey, PartNews};
use crate::stats::ShardStats;

/// Names a conference of one shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConferenceKey(pub(crate) u32);

/// The shell's number for a request; the answer carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// The shell's number for an open WebSocket, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId(pub u64);

/// A request to a shard.
#[derive(Debug)]
pub enum Command {
    /// `conference-modify` from the focus. The answer is [`Event::Colibri2Reply`].
    Colibri2 {
        /// Whose answer it will be.
        request: RequestId,
        /// What is wanted.
        modify: Box<ConferenceModify>,
    },
    /// Sockets that the next relay may have for itself, one per address family or interface. Another set is asked for with
    /// [`Event::RelaySocketsWanted`].
    AddRelaySockets(Vec<SocketAddr>),
    /// A WebSocket wants to be a bridge channel. The answer is [`Event::WebSocketAccepted`] or
    /// [`Event::WebSocketRefused`]; the shell has checked the server id.
    WebSocketOpen {
        /// The shell's number.
        socket: SocketId,
        /// The internal conference id out of the URL.
        conference: String,
        /// The endpoint id out of the URL.
        endpoint: EndpointId,
        /// `pwd` out of the URL.
        password: Sensitive<String>,
    },
    /// A text frame on an accepted WebSocket.
    WebSocketText {
        /// Which.
        socket: SocketId,
        /// The frame.
        text: String,
    },
    /// A service outside wrote what was said: everybody in the conference gets it.
    Transcription {
        /// Which service.
        service: ExportKey,
        /// The service's own words.
        result: serde_json::Map<String, serde_json::Value>,
    },
    /// An accepted WebSocket is gone.
    WebSocketClosed {
        /// Which.
        socket: SocketId,
    },
    /// Whether new conferences are refused: in both states of a shutdown.
    RefuseNewConferences(bool),
    /// So many pictures anybody may get while the bridge is overloaded; `None` = any number.
    LimitLastN(Option<u32>),
    /// Expires a conference, e.g. because handling it failed.
    ExpireConference(MeetingId),
    /// Media arrives at this address, too, or has other public addresses in front of it now: endpoints that are created from now
    /// on are told.
    AddAddress(LocalAddress),
    /// Nothing arrives at this address any more. Endpoints that were told go on with the others they were told.
    RemoveAddress(SocketAddr),
    /// Endpoints that are created from now on are shown this DTLS certificate; the others keep theirs.
    RenewCertificate(Certificate),
    /// Asks for [`Event::Stats`].
    Stats {
        /// Whose answer it will be.
        request: RequestId,
    },
    /// Asks for [`Event::Debug`].
    Debug {
        /// Whose answer it will be.
        request: RequestId,
        /// About what.
        asked: Asked,
    },
    /// Closes all channels and forgets everything.
    Shutdown,
}

/// What somebody who looks for a cause wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// All conferences in short.
    All,
    /// One with its endpoints, by our id or the focus'.
    One(String),
    /// Those whose people allow statistics, with their endpoints.
    Statistics,
}

/// What a shard has to say. Poll until there is none after every call.
#[derive(Debug)]
pub enum Event {
    /// The answer to [`Command::Colibri2`].
    Colibri2Reply {
        /// The request.
        request: RequestId,
        /// What was done, or why not.
        result: Result<Box<ConferenceModified>, Box<StanzaError>>,
    },
    /// The answer to [`Command::Debug`].
    Debug {
        /// The request.
        request: RequestId,
        /// Conferences by our ids, as JSON, without names and addresses.
        conferences: Box<serde_json::Map<String, serde_json::Value>>,
    },
    /// The WebSocket is a bridge channel now: complete the upgrade, then send what follows.
    WebSocketAccepted {
        /// Which.
        socket: SocketId,
    },
    /// Refuse the upgrade with 403 `authentication failed`.
    WebSocketRefused {
        /// Which.
        socket: SocketId,
    },
    /// Send this as a text frame; until it can be sent it belongs into a [`crate::Mailbox`].
    WebSocketMessage {
        /// Where.
        socket: SocketId,
        /// The frame.
        message: ChannelMessage,
    },
    /// Close the WebSocket. No [`Command::WebSocketClosed`] is expected, but one does no harm.
    CloseWebSocket {
        /// Which.
        socket: SocketId,
        /// The close code.
        code: u16,
        /// The close reason.
        reason: &'static str,
    },
    /// Connect with a service outside, and keep trying until [`Event::ServiceLetGo`].
    ServiceWanted {
        /// Its number.
        service: ExportKey,
        /// Where it is, and what it is told.
        connect: Box<Connect>,
    },
    /// Which sources a service is about has changed.
    ServiceSources {
        /// Which.
        service: ExportKey,
        /// Those it gets; none: all.
        exports: Vec<SourceName>,
        /// Those it is asked for.
        requests: Vec<SourceName>,
    },
    /// Audio for a service. It may be lost.
    ServiceAudio {
        /// Which.
        service: ExportKey,
        /// One packet.
        audio: Box<ExportedAudio>,
    },
    /// Nothing more for a service.
    ServiceLetGo {
        /// Which.
        service: ExportKey,
    },
    /// Open the channel to another bridge there, and again when it breaks, until [`Event::RelayChannelLetGo`]; a connection that is
    /// made is offered with [`Command::WebSocketOpen`].
    RelayChannelWanted {
        /// Our id.
        conference: String,
        /// The other bridge.
        relay: EndpointId,
        /// Where.
        url: Sensitive<String>,
        /// For [`Command::WebSocketOpen`].
        password: Sensitive<String>,
    },
    /// Not any more.
    RelayChannelLetGo {
        /// Our id.
        conference: String,
        /// The other bridge.
        relay: EndpointId,
    },
    /// Datagrams from `remote` to `local` are for this shard from now on.
    AddressBound {
        /// The peer.
        remote: SocketAddr,
        /// Our socket.
        local: SocketAddr,
    },
    /// They are not any more.
    AddressReleased {
        /// The peer.
        remote: SocketAddr,
        /// Our socket.
        local: SocketAddr,
    },
    /// A relay has taken the sockets that waited for one.
    RelaySocketsWanted,
    /// These are not used any more: close them.
    RelaySocketsReleased(Vec<SocketAddr>),
    /// A conference exists now.
    ConferenceCreated {
        /// Which.
        meeting: MeetingId,
    },
    /// A conference is gone; upstream tells nobody else.
    ConferenceExpired {
        /// Which.
        meeting: MeetingId,
    },
    /// A conference is gone because handling it failed: whoever asked for it should be told, so that its people get
    /// another one.
    ConferenceFailed {
        /// Which.
        meeting: MeetingId,
    },
    /// A part of a conference is gone because handling it failed, and with it these participants: whoever asked for them should be told, so
    /// that they are invited again. The others go on.
    EndpointsFailed {
        /// Which conference.
        meeting: MeetingId,
        /// Who.
        endpoints: Vec<EndpointId>,
    },
    /// For another shard: [`crate::Shard::handle_part_news`] there, in order. None may be lost.
    PartNews {
        /// Which shard.
        shard: u16,
        /// For the call.
        part: PartKey,
        /// For the call.
        news: Box<PartNews>,
    },
    /// Another bridge of a conference is not reached: whoever asked for the way there should be told, so that there is another one.
    RelayFailed {
        /// Which conference.
        meeting: MeetingId,
        /// The other bridge.
        relay: String,
    },
    /// The answer to [`Command::Stats`].
    Stats {
        /// The request.
        request: RequestId,
        /// The numbers.
        stats: Box<ShardStats>,
    },
}

/// Where a shard writes outgoing datagrams.
pub trait DatagramSink {
    /// Reserves `max_len` bytes for one datagram from `from` to `to` and lets `fill` write it there; `fill` returns
    /// its length, and 0 means that there is nothing to send after all. A full sink does not call `fill` and drops.
    fn send(
        &mut self,
        to: SocketAddr,
        from: SocketAddr,
        max_len: usize,
        fill: &mut dyn FnMut(&mut [u8]) -> usize,
    );

    /// The same for a packet over the TCP connection that `to` has made to `from`, with its length before it (RFC 4571). Where there
    /// are no connections it is dropped.
    fn send_framed(
        &mut self,
        to: SocketAddr,
        from: SocketAddr,
        max_len: usize,
        fill: &mut dyn FnMut(&mut [u8]) -> usize,
    ) {
        let _ = (to, from, max_len, fill);
    }

    /// One packet, in parts, for [`crate::Shard::handle_part_packet`] of another shard. It may be lost.
    fn send_to_part(&mut self, shard: u16, part: PartKey, is_rtcp: bool, parts: &[&[u8]]) {
        let _ = (shard, part, is_rtcp, parts);
    }

    /// Whether a shard takes news at present: those that are repeated later wait for that.
    fn has_room_at(&self, shard: u16) -> bool {
        let _ = shard;
        true
    }
}
