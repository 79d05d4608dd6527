//! Jingle with the focus (XEP-0166 in Jitsi's dialect): the `jingle` element of an IQ in, a [`Jingle`] out, and back.
//!
//! Unknown children and attributes are ignored. What a client selects by its literal `xmlns` is written with it.

mod compact;
mod rtp;
mod session;
mod source;
mod transport;

pub use compact::{CompactSources, OwnerSources};
pub(crate) use rtp::extmap_allow_mixed;
pub use rtp::{HeaderExtension, Parameter, PayloadType, RtcpFeedback, RtpDescription};
pub use source::{Semantics, Source, SsrcGroup, VideoType};
pub use transport::{Candidate, CandidateType, Fingerprint, IceUdpTransport, SctpMap, Setup, WebSocket};

use crate::Jid;
use crate::ids::SessionId;
use crate::presence::StartMuted;
use crate::words::words;

words! {
    /// What the sender wants.
    Action {
        /// The answer.
        SessionAccept = "session-accept",
        /// Something about the session, e.g. an ICE restart in place.
        SessionInfo = "session-info",
        /// The offer.
        SessionInitiate = "session-initiate",
        /// The end.
        SessionTerminate = "session-terminate",
        /// Streams were added.
        SourceAdd = "source-add",
        /// Streams were removed.
        SourceRemove = "source-remove",
        /// The answer to a transport-replace.
        TransportAccept = "transport-accept",
        /// Candidates or a new transport.
        TransportInfo = "transport-info",
        /// The refusal of a transport-replace.
        TransportReject = "transport-reject",
        /// A transport on another bridge; not understood by today's clients.
        TransportReplace = "transport-replace",
        /// Direction of a content, between clients only.
        ContentModify = "content-modify",
    }
}

words! {
    /// Who sends media, XEP-0166 §7.3.
    Senders {
        /// Both sides.
        Both = "both",
        /// The side that offered.
        Initiator = "initiator",
        /// Nobody.
        None = "none",
        /// The side that answered.
        Responder = "responder",
    }
}

words! {
    /// Who made a content, XEP-0166 §7.3.
    Creator {
        /// The side that offered.
        Initiator = "initiator",
        /// The side that answered.
        Responder = "responder",
    }
}

words! {
    /// Why a session ends, XEP-0166 §7.4.
    #[allow(missing_docs)]
    ReasonKind {
        AlternativeSession = "alternative-session",
        Busy = "busy",
        Cancel = "cancel",
        ConnectivityError = "connectivity-error",
        Decline = "decline",
        Expired = "expired",
        FailedApplication = "failed-application",
        FailedTransport = "failed-transport",
        GeneralError = "general-error",
        Gone = "gone",
        IncompatibleParameters = "incompatible-parameters",
        MediaError = "media-error",
        SecurityError = "security-error",
        Success = "success",
        Timeout = "timeout",
        UnsupportedApplications = "unsupported-applications",
        UnsupportedTransports = "unsupported-transports",
        Undefined = "undefined",
    }
}

/// `reason`: condition first, text second; clients rely on the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The condition.
    pub kind: ReasonKind,
    /// Text for logs.
    pub text: Option<String>,
}

/// `group`: which contents share a transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// `BUNDLE`.
    pub semantics: String,
    /// Names of the contents.
    pub contents: Vec<String>,
}

/// `bridge-session`: which allocation on a bridge the Jingle session uses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BridgeSession {
    /// The focus' id for it; clients echo it.
    pub id: Option<String>,
    /// The bridge's region.
    pub region: Option<String>,
    /// In session-terminate: the client wants a new session.
    pub restart: bool,
    /// In session-info: the client wants new ICE credentials.
    pub ice_restart: bool,
}

/// `traceparent`: echoed by clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceParent {
    /// W3C trace context.
    pub trace_id: String,
    /// W3C trace context.
    pub parent_id: String,
    /// W3C trace context.
    pub trace_flags: Option<String>,
}

/// `content`: one media with its transport.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Content {
    /// `audio`, `video` or `data`.
    pub name: String,
    /// Who made it; clients leave it out in source-add.
    pub creator: Option<Creator>,
    /// Who sends.
    pub senders: Option<Senders>,
    /// Codecs and sources.
    pub description: Option<RtpDescription>,
    /// Addresses, credentials, fingerprints.
    pub transport: Option<IceUdpTransport>,
    /// `initial-last-n` in the answer's video content.
    pub initial_last_n: Option<i32>,
}

/// The `jingle` element.
#[derive(Debug, Clone, PartialEq)]
pub struct Jingle {
    /// What the sender wants.
    pub action: Action,
    /// Which session.
    pub sid: SessionId,
    /// Who offered.
    pub initiator: Option<Jid>,
    /// Who answered.
    pub responder: Option<Jid>,
    /// Media.
    pub contents: Vec<Content>,
    /// The bundle.
    pub group: Option<Group>,
    /// Why it ends.
    pub reason: Option<Reason>,
    /// The allocation on the bridge.
    pub bridge_session: Option<BridgeSession>,
    /// compat: only for clients without the start-muted feature in room metadata
    /// (test: several_who_are_invited_at_once_are_counted_in_the_order_in_which_they_came).
    pub start_muted: Option<StartMuted>,
    /// `json-message`: sources in the compact form, focus → client only.
    pub json_sources: Option<CompactSources>,
    /// compat: legacy `ice-state` of old mobile clients (test: compat_clients_of_2021_are_heard).
    pub ice_state: Option<String>,
    /// Tracing.
    pub trace_parent: Option<TraceParent>,
}
