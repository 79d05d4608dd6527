//! A client's wish for a new session or for another path: `session-terminate` and `session-info` in; a verdict and, for a
//! restart, a new invitation or the bridge's new credentials out (focus §4.11, §4.12).

use jitsi_xmpp::colibri2::ConferenceModified;
use jitsi_xmpp::ids::EndpointId;
use jitsi_xmpp::jingle::{Action, Content, Creator, Jingle};
use jitsi_xmpp::{Condition, Element, StanzaError};

use crate::colibri::Change;
use crate::conference::Conference;
use crate::conference::member::{Media, Session};
use crate::limits;
use crate::turn::{Turn, Verdict};

impl Conference {
    pub(super) fn session_terminate(
        &mut self,
        turn: &mut Turn<'_>,
        id: &EndpointId,
        jingle: &Jingle,
    ) -> Verdict {
        // A late message about an endpoint that has moved must not end the new session. Nothing changes.
        if let Some(error) = self.names_another(id, jingle) {
            return error.into();
        }
        let restart = jingle.bridge_session.as_ref().is_some_and(|b| b.restart);
        if restart && let Some(session) = self.sessions.with(id) {
            turn.brewery.restart_requested(turn.now, &session.bridge);
        }
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

    pub(super) fn session_info(
        &mut self,
        turn: &mut Turn<'_>,
        id: &EndpointId,
        jingle: &Jingle,
        payload: &Element,
    ) -> Verdict {
        if jingle.bridge_session.as_ref().is_some_and(|b| b.ice_restart) {
            return self.ice_restart(turn, id, jingle);
        }
        // compat: `ice-state` of clients of 2021 precedes a terminate with restart; an empty session-info is a ping
        // (test: compat_clients_of_2021_are_heard).
        if jingle.ice_state.is_some() || payload.children().next().is_none() {
            return Verdict::Result(None);
        }
        StanzaError::new(Condition::FeatureNotImplemented).into()
    }

    /// The client looks for another path while the old one carries media. On an error it ends the session and asks for a new one.
    fn ice_restart(&mut self, turn: &mut Turn<'_>, id: &EndpointId, jingle: &Jingle) -> Verdict {
        if !turn.config.ice_restart {
            return StanzaError::new(Condition::FeatureNotImplemented)
                .with_text("in-place ICE restart is disabled")
                .into();
        }
        if let Some(error) = self.names_another(id, jingle) {
            return error.into();
        }
        let Some(member) = self.member_mut(id) else { return Verdict::Result(None) };
        turn.counters.ice_restarts_requested += 1;
        if member.session().is_some_and(|s| s.ice_restart.is_none()) {
            // Refusing, as upstream does, would cost the client its session for having a network that comes and goes.
            let at = member.ice_restarts.grant(turn.now);
            turn.counters.restarts_delayed += u64::from(at > turn.now);
            if let Some(session) = member.session_mut() {
                session.ice_restart = Some(at);
            }
        }
        Verdict::Result(None)
    }

    /// Asks the bridge for the restart that a client may have by now.
    pub(crate) fn restart_ice_if_due(&mut self, turn: &Turn<'_>, id: &EndpointId) {
        let due = self.members.get_mut(id).and_then(|m| m.session_mut());
        if due.is_some_and(|s| s.ice_restart.take_if(|at| *at <= turn.now).is_some()) {
            self.tell_bridge(id, Change { ice_restart: true, ..Change::default() });
        }
    }

    /// What the bridge said to a restart (focus §4.12): its new credentials go to the client, which answers with its own.
    pub(crate) fn ice_restart_answer(&mut self, turn: &mut Turn<'_>, id: &EndpointId, answer: &Element) {
        let modified = ConferenceModified::from_iq(answer).and_then(Result::ok);
        let endpoint = modified.and_then(|m| m.endpoints.into_iter().find(|e| e.id == *id));
        let Some(mut transport) = endpoint.and_then(|e| e.transport).and_then(|t| t.ice) else {
            turn.counters.answers_absurd += 1;
            return self.ice_restart_failed(turn, id);
        };
        transport.candidates.truncate(limits::CANDIDATES);
        let Some(member) = self.members.get_mut(id) else { return };
        let to = member.occupant.clone();
        let Some(session) = member.session_mut() else { return };
        let Some(generation) = transport.ice_generation else {
            // It is still looking for the first path, which may be the one that is there now.
            turn.counters.ice_restarts_not_needed += 1;
            return;
        };
        if session.ice_generation.is_some_and(|relayed| generation <= relayed) {
            return;
        }
        session.ice_generation = Some(generation);
        let mut jingle = Jingle::new(Action::TransportInfo, session.sid.clone());
        jingle.initiator = Some(turn.me.as_jid().clone());
        let mut content = Content::new("audio");
        content.creator = Some(Creator::Initiator);
        content.transport = Some(transport);
        jingle.contents.push(content);
        turn.counters.ice_restarts_relayed += 1;
        turn.tell("set", to.as_jid(), jingle.to_element());
    }

    /// The bridge does not restart: a new session is what is left.
    pub(crate) fn ice_restart_failed(&mut self, turn: &mut Turn<'_>, id: &EndpointId) {
        turn.counters.ice_restarts_failed += 1;
        if self.members.get(id).is_some_and(|m| m.session().is_some()) {
            self.move_member(turn, id);
        }
    }

    /// The error for a request about another bridge session than the current one.
    fn names_another(&self, id: &EndpointId, jingle: &Jingle) -> Option<StanzaError> {
        let named = jingle.bridge_session.as_ref().and_then(|b| b.id.as_deref());
        // It is repeated in the answer.
        let named = named.filter(|id| id.len() <= limits::TEXT);
        let current = self.members.get(id).and_then(|m| m.session());
        current.is_none_or(|s: &Session| named != Some(&s.bridge_session)).then(|| {
            StanzaError::new(Condition::ItemNotFound)
                .with_text(format!("{} is not a currently active session", named.unwrap_or("null")))
        })
    }
}
