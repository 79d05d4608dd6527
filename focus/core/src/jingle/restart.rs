//! A client's wish for a new session: `session-terminate` and `session-info` in; a verdict and, for a restart, a
//! new invitation out (focus §4.11, §4.12).

use jitsi_xmpp::ids::EndpointId;
use jitsi_xmpp::jingle::Jingle;
use jitsi_xmpp::{Condition, Element, StanzaError};

use crate::conference::Conference;
use crate::conference::member::{Media, Session};
use crate::turn::{Turn, Verdict};

impl Conference {
    pub(super) fn session_terminate(
        &mut self,
        turn: &mut Turn<'_>,
        id: &EndpointId,
        jingle: &Jingle,
    ) -> Verdict {
        let named = jingle.bridge_session.as_ref().and_then(|b| b.id.as_deref());
        let current = self.members.get(id).and_then(|m| m.session());
        // A late message about an endpoint that has moved must not end the new session. Nothing changes.
        if current.is_none_or(|s: &Session| named != Some(&s.bridge_session)) {
            return StanzaError::new(Condition::ItemNotFound)
                .with_text(format!("{} is not a currently active session", named.unwrap_or("null")))
                .into();
        }
        let restart = jingle.bridge_session.as_ref().is_some_and(|b| b.restart);
        self.end_session(turn, id);
        if restart && let Some(member) = self.member_mut(id) {
            turn.counters.participants_restart_requested += 1;
            let at = member.restarts.grant(turn.now);
            if at > turn.now {
                // Refusing would leave the user without media until a reload: the client does not ask again.
                turn.counters.restarts_delayed += 1;
            }
            member.set_media(Media::Delayed(at));
        }
        Verdict::Result(None)
    }

    pub(super) fn session_info(jingle: &Jingle, payload: &Element) -> Verdict {
        if jingle.bridge_session.as_ref().is_some_and(|b| b.ice_restart) {
            // The client falls back to terminate and restart.
            return StanzaError::new(Condition::FeatureNotImplemented)
                .with_text("in-place ICE restart is disabled")
                .into();
        }
        // compat: `ice-state` of clients of 2021 precedes a terminate with restart; an empty session-info is a ping
        // (test: compat_clients_of_2021_are_heard).
        if jingle.ice_state.is_some() || payload.children().next().is_none() {
            return Verdict::Result(None);
        }
        StanzaError::new(Condition::FeatureNotImplemented).into()
    }
}
