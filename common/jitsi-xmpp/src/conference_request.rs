//! The conference request (client-protocol §3, focus §2): the IQ or its HTTP twin in, a typed request out; a typed
//! reply or refusal in, the IQ payload or the HTTP answer out.

use crate::BareJid;
use crate::sensitive::Sensitive;

/// What a client asks the focus before it joins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConferenceRequest {
    /// The room.
    pub room: BareJid,
    /// The browser.
    pub machine_uid: Option<Sensitive<String>>,
    /// An earlier login.
    pub session_id: Option<Sensitive<String>>,
    /// A JWT.
    pub token: Option<Sensitive<String>>,
    /// Wishes, as text, in order.
    pub properties: Vec<(String, String)>,
}

/// The focus' answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConferenceReply {
    /// The room.
    pub room: BareJid,
    /// Join now; otherwise ask again later.
    pub ready: bool,
    /// Who the focus is: a bare JID.
    pub focus_jid: Option<BareJid>,
    /// The login's id.
    pub session_id: Option<Sensitive<String>>,
    /// The login's name.
    pub identity: Option<Sensitive<String>>,
    /// Go to this visitor node.
    pub vnode: Option<String>,
    /// `authentication`, `externalAuth`, `sipGatewayEnabled`, `live`, `visitors-supported`.
    pub properties: Vec<(String, String)>,
}

/// The focus' refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConferenceRefusal {
    /// Log in first, or wait for the host.
    NotAuthorized,
    /// The session id is unknown or belongs to another browser.
    SessionInvalid,
    /// The reservation system refused.
    Reservation {
        /// Its code.
        code: i32,
        /// Its text.
        text: String,
    },
    /// The request is malformed; the text names what, without values.
    BadRequest(String),
    /// Anything else. Clients show an error page.
    Other(crate::Condition),
}

/// The HTTP form of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    /// Status code.
    pub status: u16,
    /// `application/json` or `text/plain`.
    pub content_type: &'static str,
    /// Body.
    pub body: String,
}
