//! Telephone calls and transcribers through a gateway (focus §8.5): what a moderator wants and what gateways say in; requests to gateways and
//! the answer out. Every wish is answered.

use jitsi_xmpp::{Condition, Element, FullJid, Jid, StanzaError, iq, ns};

use super::member::Kind;
use super::{Conference, Wait};
use crate::iqs::Answer;
use crate::limits;
use crate::services::Need;
use crate::turn::{Turn, Verdict};

/// A wish that waits for a gateway. A number is in it, so it is never printed.
pub(crate) struct Dial {
    asks: Element,
    need: Need,
    tried: Vec<FullJid>,
}

impl Conference {
    /// Somebody in the room wants a call, or a transcriber.
    pub(crate) fn handle_dial(&mut self, turn: &mut Turn<'_>, from: &Jid, asks: &Element) -> Verdict {
        let refuse = |condition| Verdict::from(StanzaError::new(condition));
        let Some(dial) = asks.child("dial", ns::RAYO) else { return refuse(Condition::BadRequest) };
        // It is passed on as it is.
        if dial.to_xml().len() > limits::DIAL {
            return refuse(Condition::BadRequest);
        }
        if turn.config.gateways.is_none() {
            return refuse(Condition::ServiceUnavailable);
        }
        if !self.member_at(from).is_some_and(|m| m.is_moderator()) {
            return refuse(Condition::Forbidden);
        }
        let named = |h: &&Element| h.name() == "header" && h.attr("name") == Some("JvbRoomName");
        let room = dial.children().find(named).and_then(|h| h.attr("value"));
        // Nobody calls into another meeting.
        if !room.is_some_and(|room| room.eq_ignore_ascii_case(self.room.as_str())) {
            return refuse(Condition::Forbidden);
        }
        let need = match dial.attr("to") {
            Some("jitsi_meet_transcribe") => Need::Transcription,
            _ => Need::Call,
        };
        // compat: upstream makes this error and does not send it (test: compat_a_second_transcriber_is_refused_and_said_so).
        if need == Need::Transcription && self.members.values().any(|m| m.kind == Kind::Transcriber) {
            return refuse(Condition::Conflict);
        }
        if self.dials.len() >= limits::DIALS_PER_CONFERENCE {
            return refuse(Condition::ResourceConstraint);
        }
        self.next_dial += 1;
        let number = self.next_dial;
        self.dials.insert(number, Dial { asks: asks.clone(), need, tried: Vec::new() });
        self.ask_gateway(turn, number, Condition::ServiceUnavailable);
        Verdict::Later
    }

    /// Asks the next gateway; `otherwise` is what the client hears when there is none.
    fn ask_gateway(&mut self, turn: &mut Turn<'_>, number: u64, otherwise: Condition) {
        let region = self.sessions.iter().next().and_then(|s| s.region.clone());
        let Some(d) = self.dials.get_mut(&number) else { return };
        let next = match d.tried.len() < limits::DIAL_TRIES {
            true => turn.gateways.choose(d.need, region.as_deref(), &d.tried),
            false => None,
        };
        let payload = d.asks.child("dial", ns::RAYO).cloned();
        let (Some(gateway), Some(payload)) = (next, payload) else {
            return self.dial_failed(turn, number, otherwise);
        };
        d.tried.push(gateway.clone());
        let wait = self.waits(Wait::Gateway { number });
        if !turn.ask("set", gateway.as_jid(), payload, wait) {
            self.dial_failed(turn, number, Condition::ResourceConstraint);
        }
    }

    fn dial_failed(&mut self, turn: &mut Turn<'_>, number: u64, condition: Condition) {
        if let Some(d) = self.dials.remove(&number) {
            turn.counters.dial_failures += 1;
            turn.send(iq::error(&d.asks, &StanzaError::new(condition)));
        }
    }

    /// What the gateway said to it, or that it said nothing.
    pub(super) fn gateway_answer(&mut self, turn: &mut Turn<'_>, number: u64, answer: &Answer) {
        match answer {
            Answer::Result(result) => {
                if let Some(d) = self.dials.remove(&number) {
                    turn.send(iq::result(&d.asks, result.first_child().cloned()));
                }
            }
            Answer::Error(_) => self.ask_gateway(turn, number, Condition::UndefinedCondition),
            Answer::Timeout => self.ask_gateway(turn, number, Condition::RemoteServerTimeout),
        }
    }

    /// The conference is over.
    pub(super) fn end_dials(&mut self, turn: &mut Turn<'_>) {
        let all: Vec<u64> = self.dials.keys().copied().collect();
        for number in all {
            self.dial_failed(turn, number, Condition::ItemNotFound);
        }
    }
}
