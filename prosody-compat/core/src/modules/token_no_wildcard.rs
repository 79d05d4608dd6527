//! The community's `token_no_wildcard` (xmpp-server §4.37): a token that is for more than one room of one tenant opens none. Before
//! what tokens say is looked at.

use jitsi_xmpp::{Condition, ErrorType, StanzaError};

use crate::module::{Attempt, Module, Verdict};

pub(super) static MODULE: Module = Module {
    name: "token_no_wildcard",
    named: &[UPSTREAM],
    create: Some(|_, _, attempt| check(attempt)),
    join: Some(|_, _, attempt| check(attempt)),
    ..Module::NONE
};

/// Upstream's name.
pub(super) const UPSTREAM: &str = "token_no_wildcard";

fn check(attempt: &Attempt) -> Verdict {
    let identity = &attempt.sender.identity;
    let Some(token) = identity.token.as_deref().filter(|_| !identity.admin) else { return Verdict::Pass };
    let text = match () {
        () if token.room.as_ref().is_some_and(|room| room.reveal() == "*") => {
            "Wildcard room in token not allowed"
        }
        () if token.subject.reveal() == "*" => "Wildcard sub in token not allowed",
        () if token.room_context.pattern => "Regex support not allowed for token",
        () => return Verdict::Pass,
    };
    Verdict::refuse(StanzaError::new(Condition::NotAllowed).with_type(ErrorType::Cancel).with_text(text))
}
