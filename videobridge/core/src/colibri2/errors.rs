//! Why a request is refused: reasons in, the exact stanza errors of bridge §2.5 out.
//!
//! The focus reacts to them (`unknown_endpoint` leads to a new invitation, `internal-server-error` marks the
//! bridge as failing), so conditions and reasons must not change.

use jitsi_xmpp::colibri2::{Colibri2Error, ErrorReason};
use jitsi_xmpp::ids::EndpointId;
use jitsi_xmpp::{Condition, StanzaError};

/// Blame: always the focus, but for [`Refusal::Full`], [`Refusal::NoChannel`] and
/// [`Refusal::Shutdown`]. Consequence: the request fails
/// and changed nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    Shutdown,
    ConferenceExists,
    ConferenceUnknown,
    EndpointExists,
    EndpointUnknown(EndpointId),
    RelayExists,
    BadRequest(&'static str),
    NotImplemented(&'static str),
    /// Ours: bridges could not talk to each other.
    NoChannel,
    /// Ours: a limit is reached.
    Full,
}

impl Refusal {
    pub(super) fn into_stanza_error(self) -> StanzaError {
        let (condition, text, reason) = match &self {
            Self::Shutdown => {
                (Condition::ServiceUnavailable, "In graceful shutdown", Some(ErrorReason::GracefulShutdown))
            }
            Self::ConferenceExists => {
                (Condition::Conflict, "Conference already exists", Some(ErrorReason::ConferenceAlreadyExists))
            }
            Self::ConferenceUnknown => {
                (Condition::ItemNotFound, "Conference not found", Some(ErrorReason::ConferenceNotFound))
            }
            Self::EndpointExists => (Condition::Conflict, "Endpoint already exists", None),
            Self::EndpointUnknown(_) => {
                (Condition::ItemNotFound, "Unknown endpoint", Some(ErrorReason::UnknownEndpoint))
            }
            Self::RelayExists => (Condition::Conflict, "Relay already exists", None),
            Self::NoChannel => {
                (Condition::InternalServerError, "SCTP needs to be enabled to use a colibri2 relay.", None)
            }
            Self::BadRequest(text) => (Condition::BadRequest, *text, Some(ErrorReason::Unspecified)),
            Self::NotImplemented(text) => {
                (Condition::FeatureNotImplemented, *text, Some(ErrorReason::FeatureNotImplemented))
            }
            Self::Full => (Condition::ResourceConstraint, "The bridge is full", None),
        };
        let error = StanzaError::new(condition).with_text(text);
        let endpoint = match self {
            Self::EndpointUnknown(id) => Some(id),
            _ => None,
        };
        let Some(reason) = reason else { return error };
        Colibri2Error { reason, endpoint }.add_to(error)
    }
}
