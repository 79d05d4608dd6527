//! Why a connection could not be made or was lost. Every one has the same consequence: `Down`, then a new attempt.

use jitsi_xmpp::xml::{SplitError, XmlError};

/// What ended a connection or an attempt. `Display` is the reason in `LinkEvent::Down` and free of personal data.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// Local: the server cannot be reached, or the connection broke.
    #[error("network: {0}")]
    Io(#[from] std::io::Error),
    /// Local: TLS cannot be set up.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// Local: the domain is not a name a certificate can be checked against.
    #[error("domain is not a valid TLS server name")]
    ServerName,
    /// Peer: closed the connection.
    #[error("closed by server")]
    Closed,
    /// Peer: a stream error.
    #[error("stream error {0}")]
    StreamError(String),
    /// Peer: not XMPP.
    #[error("broken stream: {0}")]
    Split(#[from] SplitError),
    /// Peer: not XMPP.
    #[error("broken stanza: {0}")]
    Xml(#[from] XmlError),
    /// Peer: said something else than the handshake needs.
    #[error("unexpected {0} during the handshake")]
    Unexpected(String),
    /// Local: encryption is required and the server has none.
    #[error("server does not offer STARTTLS")]
    NoTls,
    /// Local or peer: no common mechanism.
    #[error("no usable SASL mechanism offered")]
    NoMechanism,
    /// Local: wrong name or password; or the server is not who it claims to be.
    #[error("authentication failed: {0}")]
    Auth(String),
    /// Peer: refused the session.
    #[error("resource binding failed: {0}")]
    Bind(String),
    /// Peer: the handshake took too long.
    #[error("handshake timed out")]
    HandshakeTimeout,
    /// Peer: silent.
    #[error("no answer to ping")]
    PingTimeout,
    /// Nobody's: the session is somebody else's from now on.
    #[error("handed over")]
    HandedOver,
    /// Peer: acknowledged more than was sent.
    #[error("stream management counters disagree")]
    Acks,
}
