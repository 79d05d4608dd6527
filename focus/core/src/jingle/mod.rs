//! The Jingle side of a conference: a client's requests in, their verdicts out. The offer, the answer and the
//! repeated session are one file each; here is what they share.

mod accept;
mod offer;
mod restart;
mod wire;

use jitsi_xmpp::jingle::{Action, Jingle};
use jitsi_xmpp::{Condition, Element, Jid, ParseError, StanzaError};

pub(crate) use offer::{Initiate, Offer, feedback_source};
pub(crate) use wire::{SourceMessage, media_sources, source_message};

use crate::conference::Conference;
use crate::turn::{Turn, Verdict};

impl Conference {
    /// A Jingle request: the sender must be the peer of the session it names (focus §4.10).
    pub(crate) fn handle_jingle(&mut self, turn: &mut Turn<'_>, from: &Jid, payload: &Element) -> Verdict {
        let jingle = match Jingle::from_element(payload) {
            Ok(jingle) => jingle,
            Err(e) => return parse_error(&e).into(),
        };
        let Some(member) = self.member_at(from) else {
            return StanzaError::new(Condition::BadRequest).with_text("unknown sid").into();
        };
        let id = member.id.clone();
        if member.session().is_none_or(|s| s.sid != jingle.sid) {
            let error = if !member.past.contains(&jingle.sid) {
                StanzaError::new(Condition::BadRequest).with_text("unknown sid")
            } else if member.session().is_none() {
                StanzaError::new(Condition::Gone).with_text("session ended")
            } else if matches!(jingle.action, Action::SessionAccept | Action::TransportAccept) {
                StanzaError::new(Condition::Gone).with_text("session has been replaced")
            } else {
                StanzaError::new(Condition::ItemNotFound).with_text("jingle session no longer active")
            };
            return error.into();
        }
        match jingle.action {
            Action::SessionAccept => self.session_accept(turn, &id, &jingle),
            Action::TransportInfo | Action::TransportAccept => self.transport_info(&id, &jingle),
            Action::TransportReject => Verdict::Result(None),
            Action::SourceAdd => self.source_add(turn, &id, &jingle),
            Action::SourceRemove => self.source_remove(turn, &id, &jingle),
            Action::SessionTerminate => self.session_terminate(turn, &id, &jingle),
            Action::SessionInfo => self.session_info(turn, &id, &jingle, payload),
            Action::SessionInitiate | Action::TransportReplace | Action::ContentModify => {
                unsupported_action().into()
            }
        }
    }
}

fn parse_error(e: &ParseError) -> StanzaError {
    match e {
        ParseError::Missing { element: "jingle", what: "action" } => {
            StanzaError::new(Condition::BadRequest).with_text("Missing 'action'")
        }
        ParseError::Invalid { element: "jingle", what: "action" } => unsupported_action(),
        e => e.to_stanza_error(),
    }
}

fn unsupported_action() -> StanzaError {
    StanzaError::new(Condition::FeatureNotImplemented).with_text("Unsupported 'action'")
}
