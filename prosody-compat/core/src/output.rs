//! The words between core and shell: how a connection arrives, and what the shell shall do.

use std::sync::Arc;
use std::time::Duration;

use budget::Network;
use bytes::Bytes;
use jitsi_xmpp::sasl::{Credentials, Hash};
use jitsi_xmpp::{BareJid, FullJid, Sensitive};

use crate::outbox::Outgoing;

/// A connection, numbered by the shell; never used again after it closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(pub u64);

/// How the bytes travel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// RFC 7395; counts as encrypted, because a proxy in front has the certificate.
    WebSocket,
    /// XEP-0124/0206; counts as encrypted.
    Bosh,
    /// RFC 6120 over TCP.
    Tcp {
        /// Encrypted from the start, or a peer on a trusted local address.
        tls: bool,
    },
    /// A role of the same process, already known: bound to this address without authentication.
    InProcess(FullJid),
}

/// What the URL and the headers of a WebSocket upgrade or first BOSH request say (xmpp-server §2.6). Values are
/// percent-decoded by the shell.
#[derive(Debug, Clone, Default)]
pub struct SessionQuery {
    /// `room`: the room the user is heading to.
    pub room: Option<Sensitive<String>>,
    /// `prefix`: the tenant, set by the reverse proxy; empty counts as absent.
    pub prefix: Option<Sensitive<String>>,
    /// `token` or the `Authorization: Bearer` header.
    pub token: Option<Sensitive<String>>,
    /// `previd`: the stream management id of the session to be resumed.
    pub previd: Option<Sensitive<String>>,
    /// `customusername`: a promoted visitor's node.
    pub custom_username: Option<Sensitive<String>>,
    /// `X-Proxy-Region`: region of the participant.
    pub region: Option<String>,
    /// Where the connection comes from, behind all trusted proxies, for budgets. `None`: a role of this
    /// process, which has none.
    pub peer: Option<Network>,
}

/// What broke in the transport's framing; the stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FramingError {
    /// Larger than the connection's stanza limit.
    TooLarge,
    /// Boundaries lost: binary or fragmented WebSocket frames, a broken byte stream.
    Malformed,
}

/// One thing to send: a stanza or a stream element, in up to three pieces that follow each other.
///
/// A broadcast is serialised once: what stands before the recipient's address is one of three words, what stands behind
/// it is shared.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame(Form);

#[derive(Clone, PartialEq, Eq)]
enum Form {
    Whole(Bytes),
    Addressed { to: Arc<str>, stanza: Outgoing },
}

impl Frame {
    /// A frame in one piece.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self(Form::Whole(bytes.into()))
    }

    pub(crate) const fn addressed(to: Arc<str>, stanza: Outgoing) -> Self {
        Self(Form::Addressed { to, stanza })
    }

    /// To whom it goes, if it is a stanza of which that holds.
    pub(crate) fn address_of(&self, holds: impl FnOnce(&Outgoing) -> bool) -> Option<&Arc<str>> {
        match &self.0 {
            Form::Addressed { to, stanza } if holds(stanza) => Some(to),
            _ => None,
        }
    }

    /// The pieces in order; some may be empty.
    pub fn pieces(&self) -> [&[u8]; 3] {
        match &self.0 {
            Form::Whole(content) => [b"", b"", content],
            Form::Addressed { to, stanza } => {
                let (head, tail) = stanza.around();
                [head.as_bytes(), to.as_bytes(), tail]
            }
        }
    }

    /// The piece that makes up most of it, and that the same broadcast to others shares.
    pub fn content(&self) -> &Bytes {
        match &self.0 {
            Form::Whole(content) => content,
            Form::Addressed { stanza, .. } => stanza.content(),
        }
    }

    /// Bytes in all.
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Whole(content) => content.len(),
            Form::Addressed { to, stanza } => to.len() + stanza.len(),
        }
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The frame as one run of bytes; no copy if it already is one.
    pub fn to_bytes(&self) -> Bytes {
        match &self.0 {
            Form::Whole(content) => content.clone(),
            Form::Addressed { .. } => self.pieces().concat().into(),
        }
    }
}

/// Stanzas are personal: only the size is shown.
impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frame({} bytes)", self.len())
    }
}

/// A question to outside, numbered by the core; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QuestionId(pub u64);

/// Something that only a service outside knows. Nothing is asked that the admin did not configure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// `GET`, `POST` …
    pub method: &'static str,
    /// Where.
    pub url: Sensitive<String>,
    /// Names and values.
    pub headers: Vec<(&'static str, Sensitive<String>)>,
    /// What is sent along.
    pub body: Sensitive<Vec<u8>>,
    /// From connecting to the end of the answer.
    pub deadline: Duration,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The service answered.
    Response {
        /// HTTP's.
        status: u16,
        /// As it came.
        body: Sensitive<Vec<u8>>,
    },
    /// It could not be asked, or its answer is none.
    Unreachable,
    /// It did not answer in time.
    Late,
}

/// A question for a key of tokens, numbered by the core; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyFetchId(pub u64);

/// Somebody logs in with an account that the configuration does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountQuestion {
    /// Which.
    pub jid: BareJid,
    /// What is to be known of it.
    pub proof: Proof,
}

/// How somebody proves an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// With an exchange for which its keys are needed.
    Keys(Hash),
    /// With its password, prepared.
    Password(Sensitive<String>),
}

/// What is known of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountAnswer {
    /// The keys that were asked for.
    Keys(Credentials),
    /// The password is right.
    Right,
    /// The same, and those who have the account say whether it moderates.
    Ranked {
        /// It does.
        moderates: bool,
    },
    /// The password is wrong, there are no such keys, or there is no such account.
    Wrong,
    /// Nobody may log in with it for now.
    Disabled,
    /// It cannot be looked at.
    Unavailable,
}

/// A request over HTTP from the inside, numbered by the shell; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// What it is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpReply {
    /// HTTP's.
    pub status: u16,
    /// JSON, or nothing.
    pub json: Sensitive<String>,
}

impl HttpReply {
    pub(crate) fn json(text: String) -> Self {
        Self { status: 200, json: Sensitive::new(text) }
    }

    /// It was done, and there is nothing to say.
    pub(crate) fn done() -> Self {
        Self { status: 200, json: Sensitive::default() }
    }

    pub(crate) fn refused(status: u16) -> Self {
        Self { status, json: Sensitive::default() }
    }
}

/// What the shell shall do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this.
    Send {
        /// To whom.
        conn: ConnId,
        /// What.
        frame: Frame,
    },
    /// TCP: everything sent so far goes out unencrypted, then the TLS handshake follows; report with
    /// `handle_tls`. Reset the splitter.
    StartTls {
        /// Which connection.
        conn: ConnId,
    },
    /// TCP: the peer starts a new stream on the same connection; reset the splitter.
    ResetStream {
        /// Which connection.
        conn: ConnId,
    },
    /// From now on stanzas up to `max_bytes` may arrive here.
    StanzaLimit {
        /// Which connection.
        conn: ConnId,
        /// The limit.
        max_bytes: usize,
    },
    /// Ask this outside, and report with `handle_answer` in any case.
    Ask {
        /// Goes back with the answer.
        id: QuestionId,
        /// What to ask. Boxed: it is rare, and larger than what is sent all the time.
        question: Box<Question>,
    },
    /// Ask this for keys of tokens, and report with `handle_key` in any case.
    FetchKey {
        /// Goes back with the answer.
        id: KeyFetchId,
        /// What to ask.
        fetch: Box<prosody_token::Fetch>,
    },
    /// Look at this account, and report with `handle_account` in any case.
    Account {
        /// Who logs in.
        conn: ConnId,
        /// Goes back with the answer.
        id: QuestionId,
        /// What to look at. Boxed, as `Ask`.
        question: Box<AccountQuestion>,
    },
    /// Answer this request of `handle_http`.
    Reply {
        /// Which.
        id: RequestId,
        /// With what.
        reply: HttpReply,
    },
    /// Read no more frames of this connection for so long. What has been read already is handled.
    Pause {
        /// Which connection.
        conn: ConnId,
        /// How long.
        wait: Duration,
    },
    /// Close, once everything before is written. The core has already forgotten the connection; `handle_closed` may
    /// be called and does nothing.
    Close {
        /// Which connection.
        conn: ConnId,
        /// Why.
        reason: CloseReason,
    },
}

/// Why a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The client closed its stream.
    ClientClosed,
    /// The client asked for a host that is not served.
    HostUnknown,
    /// A stream error was sent.
    StreamError,
    /// The session went on on another connection, or was replaced by a new one with the same address.
    Replaced,
    /// Silent for too long, or not authenticated in time.
    Timeout,
    /// More connections than the limit.
    TooMany,
    /// The server stops.
    Shutdown,
}

impl CloseReason {
    /// The `condition` of a BOSH `<body type="terminate"/>`; `None` for a plain end.
    pub const fn bosh_condition(self) -> Option<&'static str> {
        match self {
            Self::ClientClosed => None,
            Self::HostUnknown => Some("improper-addressing"),
            Self::StreamError | Self::Replaced => Some("remote-stream-error"),
            Self::Timeout => Some("remote-connection-failed"),
            Self::TooMany => Some("policy-violation"),
            Self::Shutdown => Some("system-shutdown"),
        }
    }

    /// The counter's label.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::ClientClosed => "client_closed",
            Self::HostUnknown => "host_unknown",
            Self::StreamError => "stream_error",
            Self::Replaced => "replaced",
            Self::Timeout => "timeout",
            Self::TooMany => "too_many",
            Self::Shutdown => "shutdown",
        }
    }
}
