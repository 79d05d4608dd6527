//! What a bridge has to hear about an endpoint: changes in; one request at a time, with all that has changed since the
//! last one, out; and what their answers mean (focus §6.3, §6.5).

use std::time::Instant;

use jitsi_xmpp::colibri2::{Colibri2Error, Endpoint, ErrorReason, Transport};
use jitsi_xmpp::ids::EndpointId;
use jitsi_xmpp::{Condition, Sensitive};

use crate::colibri::SessionNumber;
use crate::conference::member::Member;
use crate::conference::{Conference, Wait};
use crate::handover::wire;
use crate::iqs::Answer;
use crate::jingle::media_sources;
use crate::limits;
use crate::turn::Turn;

/// Which aspects of an endpoint to tell the bridge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) transport: bool,
    pub(crate) sources: bool,
    pub(crate) last_n: bool,
    pub(crate) force_mute: bool,
    /// Its client looks for another path.
    pub(crate) ice_restart: bool,
}

impl Change {
    fn and(self, other: Self) -> Self {
        Self {
            transport: self.transport || other.transport,
            sources: self.sources || other.sources,
            last_n: self.last_n || other.last_n,
            force_mute: self.force_mute || other.force_mute,
            ice_restart: self.ice_restart || other.ice_restart,
        }
    }
}

/// Where the bridge stands in what it knows of one endpoint.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// Not said yet.
    waiting: Change,
    /// Not before this moment: there was no place for the request.
    at: Option<Instant>,
    said: Option<Said>,
    next: u64,
}

/// An update that the bridge has not answered.
#[derive(Debug)]
struct Said {
    number: u64,
    what: Change,
    again: bool,
}

impl News {
    /// What the bridge has not confirmed.
    pub(crate) fn written(&self) -> wire::News {
        let all = self.waiting.and(self.said.as_ref().map(|s| s.what).unwrap_or_default());
        let Change { transport, sources, last_n, force_mute, ice_restart } = all;
        wire::News { transport, sources, last_n, force_mute, ice_restart }
    }

    pub(crate) const fn read_written(&mut self, from: &wire::News) {
        let wire::News { transport, sources, last_n, force_mute, ice_restart } = *from;
        self.waiting = Change { transport, sources, last_n, force_mute, ice_restart };
    }

    /// The endpoint is gone. The numbers go on, so that a late answer finds nothing.
    pub(crate) fn forget(&mut self) {
        *self = Self { next: self.next, ..Self::default() };
    }

    /// When it has to be tried again to say them.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.at.filter(|_| self.said.is_none() && self.waiting != Change::default())
    }
}

impl Conference {
    /// Something about an endpoint has changed; its bridge hears of it when the conference settles.
    pub(crate) fn tell_bridge(&mut self, id: &EndpointId, change: Change) {
        if let Some(m) = self.member_mut(id) {
            m.news.waiting = m.news.waiting.and(change);
        }
        if change.sources {
            self.tell_relays(id);
        }
    }

    /// Says what is to be said, unless the last update is still under way.
    pub(crate) fn tell_bridge_if_due(&mut self, turn: &mut Turn<'_>, id: &EndpointId) {
        let Some(m) = self.members.get(id) else { return };
        let (news, what) = (&m.news, m.news.waiting);
        if what == Change::default() || news.said.is_some() || news.at.is_some_and(|at| at > turn.now) {
            return;
        }
        self.say(turn, id, what, false);
    }

    fn say(&mut self, turn: &mut Turn<'_>, id: &EndpointId, what: Change, again: bool) {
        let (Some(session), Some(member)) = (self.sessions.with(id), self.members.get(id)) else {
            if let Some(m) = self.members.get_mut(id) {
                m.news.waiting = Change::default();
            }
            return;
        };
        let mut endpoint = Endpoint::new(id.clone());
        endpoint.stats_id = member.stats_id.clone().map(Sensitive::new);
        if what.transport {
            endpoint.transport = member
                .session()
                .and_then(|s| s.transport.clone())
                .map(|ice| Transport { ice: Some(ice), ..Transport::default() });
        }
        if what.ice_restart {
            endpoint.transport.get_or_insert_default().ice_restart = true;
        }
        if what.sources {
            endpoint.sources = Some(media_sources(id, &self.sources.of(id)));
        }
        if what.last_n {
            endpoint.initial_last_n = member.session().and_then(|s| s.last_n);
        }
        endpoint.force_mute = what.force_mute.then(|| self.force_mute_of(id));
        let number = member.news.next + 1;
        let wait = Wait::Update { session: session.id.clone(), member: Some((id.clone(), number)) };
        let sent = self.modify(turn, session, vec![endpoint], wait);
        let Some(m) = self.member_mut(id) else { return };
        m.news.next = number;
        if sent {
            m.news.waiting = Change::default();
            m.news.at = None;
            m.news.said = Some(Said { number, what, again });
        } else {
            m.news.waiting = what;
            m.news.at = Some(turn.now + limits::BUSY);
        }
    }

    /// The answer to an update (focus §6.5).
    pub(crate) fn update_answer(
        &mut self,
        turn: &mut Turn<'_>,
        session: &str,
        member: Option<(EndpointId, u64)>,
        answer: &Answer,
    ) {
        let Some(on) = self.sessions.named(session).map(|s| s.number) else { return };
        let of_one = member.is_some();
        let said = member.and_then(|(id, number)| {
            let m = self.member_mut(&id)?;
            let said = m.news.said.take_if(|s| s.number == number)?;
            Some((id, said))
        });
        let error = match (answer, said) {
            (Answer::Result(answer), Some((id, said))) if said.what.ice_restart => {
                return self.ice_restart_answer(turn, &id, answer);
            }
            (Answer::Result(_), _) => return,
            // Of several at once it may be one that is the matter, and a bridge that knows one of them no more does nothing for the others:
            // each is told by itself, and what fails then fails for that one.
            (Answer::Timeout | Answer::Error(_), None) if !of_one => {
                return self.mute_one_by_one(turn, session);
            }
            // Saying it once more is harmless, and a lost update would leave client and bridge out of step.
            (Answer::Timeout, Some((id, said))) if !said.again => {
                let waiting = self.members.get(&id).map(|m| m.news.waiting).unwrap_or_default();
                let all = Change { transport: true, sources: true, ..said.what.and(waiting) };
                return self.say(turn, &id, all, true);
            }
            // The endpoint is gone already, or has been made anew since.
            (Answer::Timeout | Answer::Error(_), None) => return,
            (Answer::Timeout, Some(_)) => {
                if let Some(session) = self.sessions.get(on) {
                    turn.brewery.failed(turn.now, &session.bridge);
                }
                return self.lose_session(turn, on, true);
            }
            (Answer::Error(_), Some((id, said))) if said.what.ice_restart => {
                return self.ice_restart_failed(turn, &id);
            }
            // What one participant says must not cost the others their sessions.
            (Answer::Error(e), Some((id, _))) if e.condition == Condition::BadRequest => {
                turn.counters.updates_refused += 1;
                tracing::warn!(conference = self.id.0, "the bridge refuses what one participant says");
                return self.move_member(turn, &id);
            }
            (Answer::Error(e), Some(_)) => Colibri2Error::from_stanza_error(e),
        };
        match error {
            Some(Colibri2Error { reason: ErrorReason::UnknownEndpoint, endpoint: Some(id) }) => {
                if self.members.get(&id).and_then(Member::bridge_session) == Some(session) {
                    self.move_member(turn, &id);
                }
            }
            _ => self.lose_session(turn, on, true),
        }
    }

    /// What several were to be told at once, once more. Where something is under way already it follows that.
    fn mute_one_by_one(&mut self, turn: &mut Turn<'_>, session: &str) {
        let what = Change { force_mute: true, ..Change::default() };
        for id in self.on_bridge_session(session) {
            match self.members.get(&id).map(|m| &m.news) {
                Some(News { said: None, waiting, .. }) => self.say(turn, &id, what.and(*waiting), true),
                _ => self.tell_bridge(&id, what),
            }
        }
    }

    /// A bridge has lost some of its people, and goes on with the others.
    pub(crate) fn lose_some(&mut self, turn: &mut Turn<'_>, on: SessionNumber, lost: &[EndpointId]) {
        let Some(session) = self.sessions.get(on).map(|s| s.id.clone()) else { return };
        for id in lost {
            if self.members.get(id).and_then(Member::bridge_session) == Some(session.as_str()) {
                turn.counters.participants_moved += 1;
                self.move_member(turn, id);
            }
        }
    }
}
