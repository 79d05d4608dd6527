//! Invitations: who is due in; feature lookups, allocations and `session-initiate` out (focus §3.5, §3.6, §4).

use std::time::Duration;

use jitsi_xmpp::ids::{EndpointId, MeetingId, SessionId};
use jitsi_xmpp::jingle::{Action, Jingle, Reason, ReasonKind};
use jitsi_xmpp::{Element, ns, presence};

use super::member::{Allocating, Lookup, Media, Member, Offered, Session};
use super::{Conference, Wait};
use crate::bridges::select::{Picked, Wish, select};
use crate::colibri::{AllocationFailure, SessionNumber, allocated};
use crate::features::Features;
use crate::iqs::Answer;
use crate::jingle::{Initiate, Offer, SourceMessage, source_message};
use crate::limits;
use crate::sources::{portions, wanted};
use crate::turn::Turn;

impl Conference {
    /// Somebody new is in the room.
    pub(super) fn member_joined(&mut self, turn: &mut Turn<'_>, id: &EndpointId) {
        self.somebody_joined = true;
        if self.participant_count() == 0 {
            for m in self.members.values_mut().filter(|m| matches!(m.media, Media::Ended)) {
                m.set_media(Media::Wanted);
                self.dirty.insert(m.seq);
            }
        }
        if self.phase == super::Phase::Running {
            self.ask_features(turn, id);
        }
    }

    /// Looks the features up: in the cache, else by asking the client. Nothing else waits for the answer.
    pub(super) fn ask_features(&mut self, turn: &mut Turn<'_>, id: &EndpointId) {
        let Some(m) = self.member_mut(id) else { return };
        let Lookup::Asking { caps, again } = &mut m.features else { return };
        *again = None;
        if let Some(known) = caps.as_ref().and_then(|key| turn.caps.features(key)) {
            m.features = Lookup::Known(known);
            return;
        }
        let query = Element::new("query", ns::DISCO_INFO).with_opt_attr("node", caps.as_ref());
        let (to, seq) = (m.occupant.clone(), m.seq);
        let wait = self.waits(Wait::Features { member: id.clone(), seq });
        if !turn.ask("get", to.as_jid(), query, wait)
            && let Some(Lookup::Asking { again, .. }) = self.member_mut(id).map(|m| &mut m.features)
        {
            *again = Some(turn.now + limits::BUSY);
        }
    }

    pub(super) fn ask_features_again(&mut self, turn: &mut Turn<'_>, id: &EndpointId) {
        let again = match self.members.get(id).map(|m| &m.features) {
            Some(Lookup::Asking { again, .. }) => *again,
            _ => None,
        };
        if again.is_some_and(|at| at <= turn.now) {
            self.ask_features(turn, id);
        }
    }

    pub(super) fn features_answer(
        &mut self,
        turn: &mut Turn<'_>,
        id: &EndpointId,
        seq: u64,
        answer: &Answer,
    ) {
        let Some(m) = self.member_mut(id).filter(|m| m.seq == seq) else { return };
        let Lookup::Asking { caps, .. } = &m.features else { return };
        let query = match answer {
            Answer::Result(iq) => iq.child("query", ns::DISCO_INFO),
            _ => None,
        };
        let features = query.map_or_else(Features::assumed, Features::read);
        if let (Some(query), Some(key)) = (query, caps)
            && crate::disco::hash_fits(query, key)
        {
            turn.caps.insert(key, features);
        }
        m.features = Lookup::Known(features);
    }

    /// Invites a member whose time has come.
    pub(super) fn invite_if_due(&mut self, turn: &mut Turn<'_>, id: &EndpointId) {
        let due = self.members.get(id).is_some_and(|m| {
            m.is_served()
                && m.known_features().is_some()
                && match m.media {
                    Media::Wanted => self.is_enough(),
                    Media::Delayed(at) | Media::NoBridge(at) => at <= turn.now,
                    _ => false,
                }
        });
        if due {
            // compat: whoever only waits has not taken part (test: compat_who_only_waits_is_no_participant).
            let first = self.members.get(id).is_some_and(|m| matches!(m.media, Media::Wanted));
            let watches = self.members.get(id).is_some_and(|m| m.watches);
            turn.counters.participants += u64::from(first && !watches);
            self.invite(turn, id);
        }
    }

    fn invite(&mut self, turn: &mut Turn<'_>, id: &EndpointId) {
        let Some(member) = self.members.get(id) else { return };
        let Some(features) = member.known_features() else { return };
        let used = self.sessions.used(turn.now, &turn.config.bridges);
        let wish = Wish {
            used: &used,
            region: member.region.as_deref(),
            viewer: member.watches,
            version: self.pinned.as_deref(),
            avoid: member.avoid.as_ref(),
        };
        let Some(bridge) = select(turn.now, &turn.config.bridges, turn.brewery, wish, turn.entropy) else {
            turn.counters.bridge_not_available += 1;
            if !std::mem::replace(&mut self.presence.bridge_not_available, true) {
                self.say_no_bridge(turn);
            }
            if let Some(m) = self.member_mut(id) {
                m.set_media(Media::NoBridge(turn.now + NO_BRIDGE_RETRY));
            }
            return;
        };
        self.presence.bridge_not_available = false;
        // What the conference is on is not usable any more, and cannot be linked: everybody moves, or the room would be split.
        if self.sessions.on(&bridge.jid).is_none() && !self.can_span(turn, &bridge) {
            self.lose_sessions(turn);
        }
        let watches = self.members.get(id).is_some_and(|m| m.watches);
        let offer = Offer::new(turn.config, features);
        let attempt = turn.entropy.u64();
        let (number, session) = self.session_on(turn, &bridge, watches);
        let asked = self.allocate(turn, id, &offer, attempt, number);
        if let Some(m) = self.member_mut(id) {
            m.avoid = None;
            if asked {
                m.invites.spend(turn.now);
                m.set_media(Media::Allocating(Allocating { attempt, bridge_session: session, offer }));
            } else {
                // Nobody's fault: too much is under way.
                m.set_media(Media::Delayed(turn.now + limits::BUSY));
            }
        }
        self.tell_relays(id);
    }

    /// The room is told; the admin should be, too.
    fn say_no_bridge(&self, turn: &mut Turn<'_>) {
        if self.pinned.is_some() && turn.brewery.bridges().any(|b| b.usable()) {
            turn.counters.pins_unmet += 1;
            tracing::warn!(
                conference = self.id.0,
                "the room is bound to a version that no bridge has: it has no media"
            );
        } else {
            tracing::warn!(conference = self.id.0, "there is no bridge: the conference has no media");
        }
    }

    /// Whether this bridge can carry the conference beside those that do.
    fn can_span(&self, turn: &Turn<'_>, bridge: &Picked) -> bool {
        self.sessions.is_empty()
            || turn.config.bridges.spans()
                && bridge.relay_id.is_some()
                && self.sessions.iter().all(|s| s.relay_id.is_some() && s.relay_id != bridge.relay_id)
    }

    /// The session with a bridge, a new one if there is none.
    ///
    /// compat: a bridge that has been told to end a meeting refuses to make one of the same id until it has got round
    /// to it, a slow one for minutes. So the room's own id is used only where nothing of it can be left
    /// (test: compat_a_slow_bridge_that_heard_the_first_request_is_not_asked_for_the_same_meeting_again).
    fn session_on(&mut self, turn: &mut Turn<'_>, bridge: &Picked, viewers: bool) -> (SessionNumber, String) {
        if let Some(session) = self.sessions.on(&bridge.jid) {
            return (session.number, session.id.clone());
        }
        let is_free = self.meeting_on.len() < limits::BRIDGES && self.meeting_on.insert(bridge.jid.clone());
        let meeting = if is_free { self.meeting.clone() } else { MeetingId::new(turn.entropy.uuid()) };
        let session = self.sessions.begin(bridge, meeting, turn.entropy.uuid(), viewers);
        (session.number, session.id.clone())
    }

    pub(super) fn allocation_answer(
        &mut self,
        turn: &mut Turn<'_>,
        id: &EndpointId,
        attempt: u64,
        answer: &Answer,
    ) {
        let Some(m) = self.member_mut(id) else { return };
        if !matches!(&m.media, Media::Allocating(a) if a.attempt == attempt) {
            return;
        }
        let Media::Allocating(allocating) = m.set_media(Media::Wanted) else { return };
        match allocated(id, &allocating.offer, answer) {
            Ok(allocated) => {
                if let Some(session) = self.sessions.named_mut(&allocating.bridge_session) {
                    let number = session.number;
                    if let Some(feedback) = allocated.feedback {
                        session.feedback = feedback;
                    }
                    self.link_session(turn, number);
                }
                self.initiate(turn, id, &allocating, &allocated.transport);
            }
            Err(failure) => {
                turn.counters.answers_absurd += u64::from(matches!(answer, Answer::Result(_)));
                m.set_media(Media::Allocating(allocating));
                tracing::warn!(conference = self.id.0, ?failure, "no endpoint on the bridge");
                self.allocation_failed(turn, id, failure);
            }
        }
    }

    fn allocation_failed(&mut self, turn: &mut Turn<'_>, id: &EndpointId, failure: AllocationFailure) {
        let session = self.sessions.with(id).map(|s| (s.number, s.bridge.clone()));
        let lost = session.as_ref().map(|(number, _)| *number);
        match (failure, session.map(|(_, bridge)| bridge)) {
            (AllocationFailure::Endpoint, _) | (_, None) => {
                self.expire_endpoint(turn, id);
                if let Some(m) = self.member_mut(id) {
                    let pause = m.invites.pause().max(Duration::from_secs(2));
                    m.set_media(Media::Delayed(turn.now + pause));
                }
                return;
            }
            (AllocationFailure::Bridge, Some(bridge)) => turn.brewery.failed(turn.now, &bridge),
            (AllocationFailure::Draining, Some(bridge)) => turn.brewery.is_draining(&bridge),
            (AllocationFailure::Session, Some(_)) => {}
        }
        if let Some(lost) = lost {
            self.lose_session(turn, lost, true);
        }
    }

    fn initiate(
        &mut self,
        turn: &mut Turn<'_>,
        id: &EndpointId,
        allocating: &Allocating,
        transport: &jitsi_xmpp::jingle::IceUdpTransport,
    ) {
        let start_muted = self.start_muted_of(turn, id);
        self.touch(id);
        let bridge = self.sessions.named(&allocating.bridge_session);
        let (Some(bridge), Some(member)) = (bridge, self.members.get_mut(id)) else { return };
        let offer = &allocating.offer;
        let sid = SessionId::new(base32(turn.entropy.u64()));
        let others =
            if offer.rewriting { Default::default() } else { wanted(&self.sources, id, offer.filter()) };
        // What is too much for one message follows when it is accepted.
        let mut messages = portions(others).into_iter();
        let others = messages.next().unwrap_or_default();
        let follow = messages.next().is_some();
        let jingle = offer.initiate(&Initiate {
            initiator: turn.me,
            sid: sid.clone(),
            transport,
            bridge_session: &bridge.id,
            region: bridge.region.as_deref(),
            feedback: &bridge.feedback,
            others: &others,
            start_muted,
        });
        member.signaling.offered(others);
        if follow {
            member.signaling.changed(turn.now);
        }
        let repeat_at = (!member.repeated).then(|| turn.now + limits::ACCEPT);
        member.set_media(Media::Session(Session {
            sid: sid.clone(),
            bridge_session: bridge.id.clone(),
            offered: Some(Offered { repeat_at }),
            transport: None,
            last_n: None,
            ice_restart: None,
            ice_generation: None,
            rewriting: offer.rewriting,
            json: offer.json,
            filter: offer.filter(),
        }));
        let to = member.occupant.clone();
        turn.counters.sessions_initiated += 1;
        let wait = self.waits(Wait::Offer { member: id.clone(), sid: sid.as_str().to_owned() });
        let offer = jingle.to_element();
        // Only an error would tell something: without a place the answer is done without.
        if !turn.ask("set", to.as_jid(), offer.clone(), wait) {
            turn.tell("set", to.as_jid(), offer);
        }
    }

    /// A missing reply counts as success: only `session-accept` proves anything. An error ends the session.
    pub(super) fn offer_answer(&mut self, turn: &mut Turn<'_>, id: &EndpointId, sid: &str, answer: &Answer) {
        let current = self.members.get(id).and_then(Member::session).is_some_and(|s| s.sid.as_str() == sid);
        if current && matches!(answer, Answer::Error(..)) {
            self.terminate(turn, id, Reason::new(ReasonKind::GeneralError, "jingle session failed"));
            self.end_session(turn, id);
        }
    }

    /// Sends `session-terminate`. The state is the caller's business.
    pub(crate) fn terminate(&self, turn: &mut Turn<'_>, id: &EndpointId, reason: Reason) {
        let Some(member) = self.members.get(id) else { return };
        let Some(session) = member.session() else { return };
        let mut jingle = Jingle::new(Action::SessionTerminate, session.sid.clone());
        jingle.initiator = Some(turn.me.as_jid().clone());
        jingle.reason = Some(reason);
        turn.tell("set", member.occupant.as_jid(), jingle.to_element());
    }

    /// Invited anew: others forget its sources, its client ends the old session, a new one follows at once or,
    /// when this has happened often, after a pause.
    pub(crate) fn move_member(&mut self, turn: &mut Turn<'_>, id: &EndpointId) {
        self.terminate(turn, id, Reason::new(ReasonKind::Success, "moving"));
        self.end_session(turn, id);
        if let Some(m) = self.member_mut(id) {
            let at = turn.now + m.invites.pause();
            m.set_media(Media::Delayed(at));
        }
    }

    /// Everybody without SSRC rewriting but `owner` hears of the change, soon.
    pub(crate) fn sources_changed(&mut self, turn: &Turn<'_>, owner: &EndpointId) {
        let at = turn.now + turn.config.source_signaling_delay(self.members.len());
        for m in self.members.values_mut().filter(|m| m.id != *owner) {
            if m.session().is_some_and(|s| !s.rewriting) {
                m.signaling.changed(at);
                self.dirty.insert(m.seq);
            }
        }
    }

    /// Tells receivers what has changed since they were told last; one that has not accepted yet is told after.
    pub(super) fn flush_sources(&mut self, turn: &mut Turn<'_>, id: &EndpointId) {
        let Some(m) = self.members.get_mut(id) else { return };
        let Media::Session(session) = &m.media else { return };
        if session.offered.is_some() || m.signaling.flush_at().is_none_or(|at| at > turn.now) {
            return;
        }
        let (remove, add) = m.signaling.flush(wanted(&self.sources, id, session.filter));
        let removed = portions(remove).into_iter().map(|s| (Action::SourceRemove, s));
        for (action, sources) in removed.chain(portions(add).into_iter().map(|s| (Action::SourceAdd, s))) {
            let mut jingle = Jingle::new(action, session.sid.clone());
            jingle.initiator = Some(turn.me.as_jid().clone());
            match source_message(&sources, session.json) {
                SourceMessage::Json(json) => jingle.json_sources = Some(json),
                SourceMessage::Xml(contents) => jingle.contents = contents,
            }
            turn.tell("set", m.occupant.as_jid(), jingle.to_element());
        }
    }

    /// Start-muted policy for a new participant: of the room, or because many came before (focus §3.6). Upstream applies the
    /// second part at every invitation: a bridge that moves then switches off cameras that were on.
    fn start_muted_of(&self, turn: &Turn<'_>, id: &EndpointId) -> presence::StartMuted {
        if self.members.get(id).is_some_and(|m| m.watches) {
            return presence::StartMuted::default();
        }
        let forced = self.force_mute_of(id);
        if !self.members.get(id).is_some_and(|m| m.just_joined) {
            return presence::StartMuted { audio: forced.audio, video: forced.video };
        }
        let place = self.place(id);
        let beyond = |limit: Option<usize>, max: usize| place > limit.unwrap_or(usize::MAX).min(max);
        presence::StartMuted {
            audio: forced.audio
                || self.start_muted.audio
                || beyond(self.properties.start_audio_muted, turn.config.max_audio_senders),
            video: forced.video
                || self.start_muted.video
                || beyond(self.properties.start_video_muted, turn.config.max_video_senders),
        }
    }
}

/// A session id as upstream writes it: 64 random bits in base 32.
fn base32(mut bits: u64) -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let mut out = String::with_capacity(13);
    for _ in 0..13 {
        out.push(DIGITS.get((bits & 31) as usize).map_or('0', |d| char::from(*d)));
        bits >>= 5;
    }
    out
}

/// A bridge that comes is noticed at once; this is for what is not noticed.
const NO_BRIDGE_RETRY: Duration = Duration::from_secs(10);
