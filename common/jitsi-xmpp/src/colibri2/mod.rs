//! Colibri2, focus ⇄ bridge (bridge §2): `conference-modify` and its answer in, typed requests out, and back,
//! as XML and in the JSON form of the bridge's REST interface.

mod connect;
mod json;
mod json_parts;
mod xml;

pub use connect::{Connect, ConnectProtocol, ConnectType, Ping};

use crate::BareJid;
use crate::ids::{EndpointId, MediaType, MeetingId, SourceName};
use crate::jingle::{HeaderExtension, IceUdpTransport, PayloadType, Source, SsrcGroup};
use crate::sensitive::Sensitive;
use crate::words::words;

/// What a focus may say about an endpoint when it creates it.
pub mod capability {
    /// Mandatory.
    pub const SOURCE_NAMES: &str = "source-names";
    /// The client learns sources over the bridge channel.
    pub const SSRC_REWRITING: &str = "ssrc-rewriting";
    /// Private candidates are advertised even if the configuration says no.
    pub const PRIVATE_ADDRESS_CONNECTIVITY: &str = "private-address-connectivity";
}

/// `conference-modify`: what the focus wants.
#[derive(Debug, Clone, PartialEq)]
pub struct ConferenceModify {
    /// The conference.
    pub meeting_id: MeetingId,
    /// The room, for logs and statistics; sent with create.
    pub name: Option<BareJid>,
    /// Create the conference.
    pub create: bool,
    /// Expire it after processing the rest.
    pub expire: bool,
    /// Whether statistics may show it.
    pub rtcstats_enabled: bool,
    /// Participants.
    pub endpoints: Vec<Endpoint>,
    /// Other bridges.
    pub relays: Vec<Relay>,
    /// Services outside that get audio; `None`: nothing about them, empty: none any more.
    pub connects: Option<Vec<Connect>>,
}

/// `conference-modified`: what the bridge did.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConferenceModified {
    /// One entry per endpoint of the request.
    pub endpoints: Vec<Endpoint>,
    /// One entry per relay of the request.
    pub relays: Vec<Relay>,
    /// The bridge's feedback sources, when something was created.
    pub sources: Option<Vec<MediaSource>>,
}

/// `endpoint`: a participant, or in an answer what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// Its id = the occupant's nick.
    pub id: EndpointId,
    /// Create it.
    pub create: bool,
    /// Expire it.
    pub expire: bool,
    /// A name for logs.
    pub stats_id: Option<Sensitive<String>>,
    /// Its role in the room; only `visitor` has an effect.
    pub muc_role: Option<String>,
    /// Passed to media exporters.
    pub diarize: bool,
    /// Codecs and header extensions, added to those known.
    pub media: Vec<Media>,
    /// ICE, DTLS, SCTP.
    pub transport: Option<Transport>,
    /// `Some` replaces the endpoint's sources; empty clears them.
    pub sources: Option<Vec<MediaSource>>,
    /// Discard what it sends.
    pub force_mute: Option<ForceMute>,
    /// See [`capability`].
    pub capabilities: Vec<String>,
    /// How many video sources it wants before it says so itself.
    pub initial_last_n: Option<i32>,
}

/// `relay`: another bridge of the same conference.
#[derive(Debug, Clone, PartialEq)]
pub struct Relay {
    /// The other bridge's relay id.
    pub id: String,
    /// Which mesh it belongs to.
    pub mesh_id: Option<String>,
    /// Create it.
    pub create: bool,
    /// Expire it.
    pub expire: bool,
    /// Codecs and header extensions.
    pub media: Vec<Media>,
    /// ICE, DTLS, SCTP.
    pub transport: Option<Transport>,
    /// Participants on the other bridge.
    pub endpoints: Vec<Endpoint>,
}

/// `media`: codecs and header extensions of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// Audio or video.
    pub kind: MediaType,
    /// Codecs.
    pub payload_types: Vec<PayloadType>,
    /// Header extensions.
    pub header_extensions: Vec<HeaderExtension>,
    /// RFC 8285: one- and two-byte extensions may be mixed.
    pub extmap_allow_mixed: bool,
}

/// `transport` of the Colibri2 namespace.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transport {
    /// The bridge is ICE-controlling.
    pub ice_controlling: bool,
    /// A port for this endpoint alone.
    pub use_unique_port: bool,
    /// New ICE credentials are wanted.
    pub ice_restart: bool,
    /// A data channel is wanted, or was made.
    pub sctp: Option<Sctp>,
    /// Credentials, fingerprints, candidates of the sender's side.
    pub ice: Option<IceUdpTransport>,
}

words! {
    /// The addressed bridge's role.
    SctpRole {
        /// Opens the association.
        Client = "client",
        /// Waits.
        Server = "server",
    }
}

/// `sctp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sctp {
    /// 5000 or absent.
    pub port: Option<u16>,
    /// The bridge's role.
    pub role: Option<SctpRole>,
}

/// `media-source`: a named track with its streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaSource {
    /// Audio or video.
    pub kind: MediaType,
    /// The source name.
    pub id: SourceName,
    /// Made by a bridge (translation), not by an endpoint.
    pub synthetic: bool,
    /// Streams.
    pub sources: Vec<Source>,
    /// Groups of them.
    pub ssrc_groups: Vec<SsrcGroup>,
}

/// `force-mute`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ForceMute {
    /// Discard its audio.
    pub audio: bool,
    /// Discard its video.
    pub video: bool,
}

words! {
    /// Why the bridge refused.
    ErrorReason {
        /// Create for a known meeting id.
        ConferenceAlreadyExists = "conference_already_exists",
        /// No such meeting id.
        ConferenceNotFound = "conference_not_found",
        /// Not supported.
        FeatureNotImplemented = "feature_not_implemented",
        /// The bridge drains.
        GracefulShutdown = "graceful_shutdown",
        /// Update of an unknown endpoint.
        UnknownEndpoint = "unknown_endpoint",
        /// Anything else.
        Unspecified = "unspecified",
    }
}

/// `error` of the Colibri2 namespace with the endpoint it is about; both stand inside the stanza error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Colibri2Error {
    /// Why.
    pub reason: ErrorReason,
    /// Which endpoint, for [`ErrorReason::UnknownEndpoint`].
    pub endpoint: Option<EndpointId>,
}

impl ConferenceModify {
    /// A request that changes nothing yet.
    pub fn new(meeting_id: MeetingId) -> Self {
        Self {
            meeting_id,
            name: None,
            create: false,
            expire: false,
            rtcstats_enabled: true,
            endpoints: Vec::new(),
            relays: Vec::new(),
            connects: None,
        }
    }
}

impl Endpoint {
    /// An entry that changes nothing yet.
    pub fn new(id: EndpointId) -> Self {
        Self {
            id,
            create: false,
            expire: false,
            stats_id: None,
            muc_role: None,
            diarize: false,
            media: Vec::new(),
            transport: None,
            sources: None,
            force_mute: None,
            capabilities: Vec::new(),
            initial_last_n: None,
        }
    }

    /// Whether the focus announced this capability.
    pub fn has_capability(&self, name: &str) -> bool {
        self.capabilities.iter().any(|c| c == name)
    }

    /// Whether it takes part in a visitor's role.
    pub fn is_visitor(&self) -> bool {
        self.muc_role.as_deref() == Some("visitor")
    }
}

impl Relay {
    /// An entry that changes nothing yet.
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            mesh_id: None,
            create: false,
            expire: false,
            media: Vec::new(),
            transport: None,
            endpoints: Vec::new(),
        }
    }
}

impl Media {
    /// No codecs yet.
    pub fn new(kind: MediaType) -> Self {
        Self { kind, payload_types: Vec::new(), header_extensions: Vec::new(), extmap_allow_mixed: false }
    }
}

impl MediaSource {
    /// A track without streams.
    pub fn new(kind: MediaType, id: SourceName) -> Self {
        Self { kind, id, synthetic: false, sources: Vec::new(), ssrc_groups: Vec::new() }
    }
}
