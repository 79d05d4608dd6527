//! Small questions that many ask about a stanza.

use jitsi_xmpp::{Condition, Element, ErrorType, StanzaError, ns};

/// The request's kind (`get` or `set`) and payload, if `e` is a request.
pub(crate) fn payload(e: &Element) -> Option<(&str, &Element)> {
    match e.attr("type") {
        Some(kind @ ("get" | "set")) if e.is("iq", ns::CLIENT) => Some((kind, e.first_child()?)),
        _ => None,
    }
}

/// compat: upstream's words (test: compat_who_is_not_in_is_told_so_in_upstreams_words).
pub(crate) const NOT_IN: &str = "You are not currently connected to this chat";

/// The sender is not in the room that it speaks to.
pub(crate) fn not_in() -> StanzaError {
    StanzaError::new(Condition::NotAcceptable).with_type(ErrorType::Cancel).with_text(NOT_IN)
}
