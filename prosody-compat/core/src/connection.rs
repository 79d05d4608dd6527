//! One connection from its opening until it is bound to a session: what it is, how far it got.

use std::sync::Arc;
use std::time::Instant;

use jitsi_xmpp::Element;
use jitsi_xmpp::sasl::{ScramFirst, ScramServer};
use prosody_token::{Claims, Unverified};

use crate::auth::Secret;
use crate::auth::guesses::Attempt;
use crate::identity::{HostId, Vouched};
use crate::output::{QuestionId, SessionQuery};
use crate::session::SessionId;

/// How stanzas are framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    WebSocket,
    Bosh,
    Tcp,
    InProcess,
}

/// Who somebody is, after the login.
#[derive(Clone)]
pub(crate) struct User {
    pub(crate) node: String,
    pub(crate) host: HostId,
    pub(crate) domain: String,
    pub(crate) vouched: Vouched,
}

/// How far the stream is.
pub(crate) enum Stage {
    /// The stream header is awaited.
    Opening,
    /// Features were sent, the login is awaited.
    Login { host: HostId, domain: String, exchange: Exchange },
    /// Logged in, the new stream's header is awaited.
    Reopening(User),
    /// The new features were sent; bind or resume is awaited.
    Binding(User),
    /// Everything is for this session.
    Bound(SessionId),
}

/// How far a login is that takes more than one step.
#[derive(Default)]
pub(crate) enum Exchange {
    /// Nothing is under way.
    #[default]
    None,
    /// A password that has to wait for its turn.
    Waiting(Box<Waiting>),
    /// The key of this token is being asked for.
    Key(Box<Unverified>),
    /// Who has this token may be shut out: that is being asked.
    Access(QuestionId, Arc<Claims>),
    /// The account is being looked at.
    Looking(Box<Looking>),
    /// SCRAM: the challenge is out.
    Scram(Box<Scram>),
}

/// An `<auth/>` that is looked at later.
pub(crate) struct Waiting {
    pub(crate) auth: Element,
    pub(crate) attempt: Attempt,
}

/// A login whose account the shell looks at.
pub(crate) struct Looking {
    pub(crate) id: QuestionId,
    /// The client's first message, when it wants an exchange.
    pub(crate) first: Option<ScramFirst>,
    pub(crate) node: String,
    pub(crate) attempt: Attempt,
}

/// A SCRAM exchange whose challenge is out, and for whom it is.
pub(crate) struct Scram {
    pub(crate) server: ScramServer,
    pub(crate) node: String,
    /// Everybody's password, if that is what it is about.
    pub(crate) secret: Option<Secret>,
    pub(crate) attempt: Attempt,
}

/// A connection.
pub(crate) struct Conn {
    pub(crate) framing: Framing,
    pub(crate) encrypted: bool,
    pub(crate) query: SessionQuery,
    pub(crate) stage: Stage,
    /// A stream header of ours is out (TCP needs one before a stream error).
    pub(crate) header_sent: bool,
    pub(crate) last_in: Instant,
    pub(crate) asked_alive: bool,
    pub(crate) malformed: u32,
    pub(crate) auth_failures: u32,
    pub(crate) max_bytes: usize,
}
