//! The bridge channel, client ⇄ bridge and bridge ⇄ bridge (client §6, bridge §8, §9.3): one JSON text in, a typed
//! message out, and back. The same texts travel over the SCTP data channel and the websocket.

mod messages;
mod read;
mod write;

pub use messages::{
    AudioSourceMapping, AudioSubscription, EndpointMessage, EndpointStats, ReceiverVideoConstraints,
    SourceVideoType, VideoConstraints, VideoSourceMapping,
};

use crate::ids::{EndpointId, SourceName};

/// Client → bridge.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientMessage {
    /// Answered with [`BridgeMessage::ServerHello`].
    ClientHello,
    /// What the client wants to see. Absent members are unchanged.
    ReceiverVideoConstraints(ReceiverVideoConstraints),
    /// Legacy: how many video sources the client wants.
    LastNChanged {
        /// −1 = all.
        last_n: i32,
    },
    /// What the client wants to hear; replaces what it said before.
    ReceiverAudioSubscription(AudioSubscription),
    /// What a source of the client shows now.
    SourceVideoType(SourceVideoType),
    /// Legacy: the same for the first video source.
    VideoType(crate::jingle::VideoType),
    /// To another participant, or to all.
    EndpointMessage(EndpointMessage),
    /// Connection statistics for others to show.
    EndpointStats(EndpointStats),
    /// Another class; tolerated.
    Unknown {
        /// `colibriClass`, shortened to 64 characters.
        class: String,
    },
}

/// Bridge → client, and bridge → bridge.
#[derive(Debug, Clone, PartialEq)]
pub enum BridgeMessage {
    /// To a bridge: what that one should have of a source at most.
    AddReceiver {
        /// The relay id of the bridge that says so.
        bridge_id: String,
        /// Which.
        source_name: SourceName,
        /// The most that anybody behind that bridge wants; nobody wants it with a height of 0.
        video_constraints: VideoConstraints,
    },
    /// To a bridge: answered with [`BridgeMessage::ServerHello`].
    ClientHello,
    /// To a bridge: nobody wants anything of an endpoint any more. Exists upstream, and nobody sends it.
    RemoveReceiver {
        /// The relay id of the bridge that says so.
        bridge_id: String,
        /// Whose sources.
        endpoint: EndpointId,
    },
    /// To a bridge: what a source shows now.
    SourceVideoType {
        /// Whose it is.
        endpoint: EndpointId,
        /// Which, and what.
        source: SourceVideoType,
    },
    /// First message on a websocket.
    ServerHello {
        /// The bridge's version, if it may be told.
        version: Option<String>,
    },
    /// What the bridge believes the client can receive.
    ConnectionStats {
        /// Bits per second.
        estimated_downlink_bandwidth: u64,
    },
    /// Who speaks.
    DominantSpeaker {
        /// Who speaks now, or spoke last.
        dominant_speaker: EndpointId,
        /// Who spoke before, latest first.
        previous_speakers: Vec<EndpointId>,
        /// Nobody speaks now.
        silence: bool,
    },
    /// Whether an endpoint's media arrives at the bridge.
    EndpointConnectivityStatus {
        /// Who.
        endpoint: EndpointId,
        /// Whether it does. compat: a string on the wire (test: compat_connectivity_is_told_as_a_string).
        active: bool,
    },
    /// From another participant.
    EndpointMessage(EndpointMessage),
    /// From another participant.
    EndpointStats(EndpointStats),
    /// The complete set of video sources forwarded to this client.
    ForwardedSources {
        /// Their names.
        forwarded_sources: Vec<SourceName>,
    },
    /// The greatest height anybody wants of one of the client's own sources.
    SenderSourceConstraints {
        /// Which.
        source_name: SourceName,
        /// Pixels; −1 = no limit, 0 = send nothing.
        max_height: i32,
    },
    /// New or changed slots of the client's video SSRC pool.
    VideoSourcesMap {
        /// The slots.
        mapped_sources: Vec<VideoSourceMapping>,
    },
    /// New or changed slots of the client's audio SSRC pool.
    AudioSourcesMap {
        /// The slots.
        mapped_sources: Vec<AudioSourceMapping>,
    },
    /// A synthetic source begins or stops.
    SyntheticSourceSending {
        /// Which.
        source_name: SourceName,
        /// Begins.
        sending: bool,
        /// RTP timestamp.
        timestamp: u32,
    },
    /// Another class; tolerated.
    Unknown {
        /// `colibriClass`, shortened to 64 characters.
        class: String,
    },
}

/// Why a text is not a message. Blame: the peer. Consequence: the message is dropped and counted; the channel stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ChannelError {
    /// Not a JSON object with a `colibriClass`.
    #[error("not a message")]
    NotAMessage,
    /// A required member is missing.
    #[error("missing '{0}'")]
    Missing(&'static str),
    /// A member has a value that is not allowed.
    #[error("invalid '{0}'")]
    Invalid(&'static str),
    /// More bytes than [`MAX_CHANNEL_MESSAGE_BYTES`](crate::limits::MAX_CHANNEL_MESSAGE_BYTES) or more names than [`MAX_CHANNEL_NAMES`](crate::limits::MAX_CHANNEL_NAMES).
    #[error("too large")]
    TooLarge,
}

impl ChannelError {
    /// The counter's label.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotAMessage => "not_a_message",
            Self::Missing(_) => "missing",
            Self::Invalid(_) => "invalid",
            Self::TooLarge => "too_large",
        }
    }
}

#[cfg(test)]
mod tests;
