//! The sessions with the bridges of a conference (focus §6): what the conference wants there in; Colibri2 requests, and what their
//! answers mean, out.
//!
//! The state kept in members and in the source map is the desired state. A request says all of the aspect it
//! changes, so repeating it after a lost answer is harmless; what cannot be repeated fails the whole session, and
//! its participants are invited again. One update per endpoint is under way at a time (`news.rs`): a client that
//! changes its mind a thousand times makes two requests.

mod handover;
mod news;
mod relays;
mod sessions;
mod topology;

use std::collections::BTreeMap;

use jitsi_xmpp::colibri2::{
    Colibri2Error, ConferenceModified, ConferenceModify, Endpoint, ErrorReason, ForceMute, Sctp, Transport,
    capability,
};
use jitsi_xmpp::ids::{EndpointId, MeetingId};
use jitsi_xmpp::jingle::IceUdpTransport;
use jitsi_xmpp::{Condition, Element, FullJid, Sensitive, StanzaError};

use crate::conference::member::Media;
use crate::conference::{Conference, Phase, Wait};
use crate::iqs::Answer;
use crate::jingle::{Offer, feedback_source, media_sources};
use crate::limits;
use crate::sources::SourceSet;
use crate::turn::Turn;

pub(crate) use news::{Change, News};
pub(crate) use sessions::{BridgeSession, SessionNumber, Sessions};

/// What an allocation brought.
pub(crate) struct Allocated {
    pub(crate) transport: IceUdpTransport,
    pub(crate) feedback: Option<SourceSet>,
}

/// Why there is no endpoint, by what has to happen (focus §6.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AllocationFailure {
    /// Only this participant is concerned; it is tried again after a pause.
    Endpoint,
    /// The conference on this bridge is lost; everybody moves.
    Session,
    /// The same, and the bridge is not used for others until it answers a probe.
    Bridge,
    /// The same, and the bridge said that it is going down.
    Draining,
}

impl Conference {
    /// Asks the bridge for an endpoint. The answer comes back as [`Wait::Allocation`]. `false`: could not be asked.
    pub(crate) fn allocate(
        &mut self,
        turn: &mut Turn<'_>,
        id: &EndpointId,
        offer: &Offer,
        attempt: u64,
        on: SessionNumber,
    ) -> bool {
        let force_mute = self.force_mute_of(id);
        let wait = self.waits(Wait::Allocation { member: id.clone(), attempt });
        let (Some(bridge), Some(member)) = (self.sessions.get_mut(on), self.members.get(id)) else {
            return false;
        };
        let mut endpoint = Endpoint::new(id.clone());
        endpoint.create = true;
        endpoint.muc_role = member.watches.then(|| "visitor".to_owned());
        endpoint.stats_id = member.stats_id.clone().map(Sensitive::new);
        endpoint.media = offer.media();
        endpoint.transport = Some(Transport {
            ice_controlling: true,
            sctp: offer.data.then(Sctp::default),
            ..Transport::default()
        });
        endpoint.sources = Some(media_sources(id, &self.sources.of(id)));
        endpoint.force_mute = (force_mute != ForceMute::default()).then_some(force_mute);
        endpoint.capabilities.push(capability::SOURCE_NAMES.into());
        if offer.rewriting {
            endpoint.capabilities.push(capability::SSRC_REWRITING.into());
        }
        let mut request = ConferenceModify::new(bridge.meeting.clone());
        if !bridge.created {
            request.create = true;
            request.name = Some(self.room.clone());
            request.rtcstats_enabled = self.properties.rtcstats;
        }
        request.endpoints.push(endpoint);
        let to = bridge.bridge.clone();
        // compat: type `get`, as upstream's bridge has always been asked (focus §6.1; test: compat_a_bridge_is_asked_by_get).
        if !turn.ask("get", to.as_jid(), request.to_element(), wait) {
            return false;
        }
        bridge.created = true;
        bridge.endpoints.insert(id.clone());
        bridge.joined(turn.now, &turn.config.bridges);
        turn.brewery.endpoint_added(turn.now, &to);
        true
    }

    /// Tells bridges whose audio and video to discard.
    pub(crate) fn force_mute(&mut self, turn: &mut Turn<'_>, ids: &[EndpointId]) {
        let mut by_session: BTreeMap<SessionNumber, Vec<EndpointId>> = BTreeMap::new();
        for id in ids {
            if let Some(session) = self.sessions.with(id) {
                by_session.entry(session.number).or_default().push(id.clone());
            }
        }
        for (number, ids) in by_session {
            let Some(session) = self.sessions.get(number) else { continue };
            let muted = |id: &EndpointId| {
                let mut e = Endpoint::new(id.clone());
                e.force_mute = Some(self.force_mute_of(id));
                e
            };
            let wait = Wait::Update { session: session.id.clone(), member: None };
            if !self.modify(turn, session, ids.iter().map(muted).collect(), wait) {
                // One by one, as soon as there is a place.
                for id in &ids {
                    self.tell_bridge(id, Change { force_mute: true, ..Change::default() });
                }
            }
        }
    }

    fn modify(
        &self,
        turn: &mut Turn<'_>,
        session: &BridgeSession,
        endpoints: Vec<Endpoint>,
        wait: Wait,
    ) -> bool {
        let mut request = ConferenceModify::new(session.meeting.clone());
        request.endpoints = endpoints;
        let wait = self.waits(wait);
        turn.ask("get", session.bridge.as_jid(), request.to_element(), wait)
    }

    /// Expires an endpoint; with the last one, the conference on the bridge.
    pub(crate) fn expire_endpoint(&mut self, turn: &mut Turn<'_>, id: &EndpointId) {
        let Some(number) = self.sessions.with(id).map(|s| s.number) else { return };
        let Some(session) = self.sessions.get_mut(number) else { return };
        session.endpoints.remove(id);
        if session.endpoints.is_empty() {
            self.expire_session(turn, number);
            return;
        }
        let mut endpoint = Endpoint::new(id.clone());
        endpoint.expire = true;
        let mut request = ConferenceModify::new(session.meeting.clone());
        request.endpoints.push(endpoint);
        turn.tell("get", session.bridge.as_jid(), request.to_element());
        self.expire_on_relays(turn, number, id);
    }

    /// Expires the conference on all its bridges.
    pub(crate) fn expire_sessions(&mut self, turn: &mut Turn<'_>) {
        for session in std::mem::take(&mut self.sessions).into_sessions() {
            self.expire_on(turn, session);
        }
    }

    /// Expires the conference on a bridge; those that stay forget their way there.
    fn expire_session(&mut self, turn: &mut Turn<'_>, number: SessionNumber) {
        let Some(session) = self.sessions.remove(number) else { return };
        self.unlink(turn, number);
        self.expire_on(turn, session);
    }

    fn expire_on(&mut self, turn: &mut Turn<'_>, session: BridgeSession) {
        let BridgeSession { bridge, meeting, created, .. } = session;
        if !created {
            self.meeting_is_free(&bridge, &meeting);
            return;
        }
        let wait = self.waits(Wait::Expired { bridge: bridge.clone(), meeting: meeting.clone() });
        if self.phase == Phase::Ended || !turn.ask("get", bridge.as_jid(), expire_request(&meeting), wait) {
            turn.tell("get", bridge.as_jid(), expire_request(&meeting));
        }
    }

    /// The bridge says that the meeting is over there, or that it knows of none.
    pub(crate) fn expired_answer(&mut self, bridge: &FullJid, meeting: &MeetingId, answer: &Answer) {
        let gone = match answer {
            Answer::Result(_) => true,
            Answer::Error(e) => Colibri2Error::from_stanza_error(e)
                .is_some_and(|e| e.reason == ErrorReason::ConferenceNotFound),
            Answer::Timeout => false,
        };
        if gone && self.sessions.on(bridge).is_none_or(|s| s.meeting != *meeting) {
            self.meeting_is_free(bridge, meeting);
        }
    }

    fn meeting_is_free(&mut self, bridge: &FullJid, meeting: &MeetingId) {
        if *meeting == self.meeting {
            self.meeting_on.remove(bridge);
        }
    }

    /// A bridge session is over: everybody on it is told to end and invited again (focus §4.13). Whoever is on other bridges notices
    /// nothing.
    pub(crate) fn lose_session(&mut self, turn: &mut Turn<'_>, number: SessionNumber, expire: bool) {
        let Some(session) = self.sessions.get(number) else { return };
        let affected = self.on_bridge_session(&session.id);
        turn.counters.bridges_removed += 1;
        turn.counters.participants_moved += affected.len() as u64;
        if expire {
            self.expire_session(turn, number);
        } else if let Some(session) = self.sessions.remove(number) {
            self.unlink(turn, number);
            turn.orphan(session.bridge, session.meeting);
        }
        for id in affected {
            self.move_member(turn, &id);
        }
    }

    /// The same of all of them.
    pub(crate) fn lose_sessions(&mut self, turn: &mut Turn<'_>) {
        let all: Vec<SessionNumber> = self.sessions.iter().map(|s| s.number).collect();
        for number in all {
            self.lose_session(turn, number, true);
        }
    }
}

/// Reads an allocation's answer.
pub(crate) fn allocated(
    id: &EndpointId,
    offer: &Offer,
    answer: &Answer,
) -> Result<Allocated, AllocationFailure> {
    let iq = match answer {
        Answer::Result(iq) => iq,
        Answer::Timeout => return Err(AllocationFailure::Bridge),
        Answer::Error(e) => return Err(failure(e)),
    };
    let Some(Ok(modified)) = ConferenceModified::from_iq(iq) else { return Err(AllocationFailure::Bridge) };
    let transport = modified.endpoints.into_iter().find(|e| e.id == *id).and_then(|e| e.transport);
    let Some(Transport { ice: Some(mut ice), sctp, .. }) = transport else {
        return Err(AllocationFailure::Endpoint);
    };
    ice.candidates.truncate(limits::CANDIDATES);
    ice.web_sockets.truncate(limits::WEB_SOCKETS);
    ice.fingerprints.truncate(limits::FINGERPRINTS);
    if offer.data && sctp.is_none() {
        return Err(AllocationFailure::Endpoint);
    }
    let feedback = modified.sources.map(|list| SourceSet {
        sources: list
            .into_iter()
            .flat_map(|m| m.sources.into_iter().map(move |s| feedback_source(m.kind, s.ssrc, m.id.clone())))
            .take(limits::FEEDBACK_SOURCES)
            .collect(),
        groups: Vec::new(),
    });
    Ok(Allocated { transport: ice, feedback })
}

fn failure(e: &StanzaError) -> AllocationFailure {
    let reason = Colibri2Error::from_stanza_error(e).map(|c| c.reason);
    match (e.condition, reason) {
        (Condition::BadRequest, _) => AllocationFailure::Endpoint,
        (Condition::ItemNotFound, Some(ErrorReason::ConferenceNotFound)) | (Condition::Conflict, _) => {
            AllocationFailure::Session
        }
        (Condition::ItemNotFound, _) => AllocationFailure::Endpoint,
        (Condition::ServiceUnavailable, Some(ErrorReason::GracefulShutdown)) => AllocationFailure::Draining,
        _ => AllocationFailure::Bridge,
    }
}

/// The request that ends a conference on a bridge.
pub(crate) fn expire_request(meeting: &MeetingId) -> Element {
    let mut request = ConferenceModify::new(meeting.clone());
    request.expire = true;
    request.to_element()
}

/// Whether the member's endpoint is being made or stands.
pub(crate) const fn has_endpoint(media: &Media) -> bool {
    matches!(media, Media::Allocating(_) | Media::Session(_))
}
