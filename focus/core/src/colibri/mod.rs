//! The session with one bridge (focus §6): what the conference wants there in; Colibri2 requests, and what their answers
//! mean, out.
//!
//! The state kept in members and in the source map is the desired state. A request says all of the aspect it
//! changes, so repeating it after a lost answer is harmless; what cannot be repeated fails the whole session, and
//! its participants are invited again.

use std::collections::BTreeSet;

use jitsi_xmpp::colibri2::{
    Colibri2Error, ConferenceModified, ConferenceModify, Endpoint, ErrorReason, ForceMute, Sctp, Transport,
    capability,
};
use jitsi_xmpp::ids::EndpointId;
use jitsi_xmpp::iq::Answer;
use jitsi_xmpp::jingle::IceUdpTransport;
use jitsi_xmpp::{Condition, Element, FullJid, Sensitive, StanzaError};

use crate::conference::member::{Media, Member};
use crate::conference::{Conference, Wait};
use crate::jingle::{Offer, feedback_source, media_sources};
use crate::sources::SourceSet;
use crate::turn::{Turn, Waiting};

/// A conference on one bridge.
#[derive(Debug)]
pub(crate) struct BridgeSession {
    pub(crate) bridge: FullJid,
    /// Clients echo it; it tells late messages about an earlier session apart.
    pub(crate) id: String,
    pub(crate) region: Option<String>,
    created: bool,
    /// The bridge's own sources, from its first answer.
    pub(crate) feedback: SourceSet,
    endpoints: BTreeSet<EndpointId>,
}

/// Which aspects of an endpoint to tell the bridge.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Change {
    pub(crate) transport: bool,
    pub(crate) sources: bool,
    pub(crate) last_n: Option<i32>,
}

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

impl BridgeSession {
    pub(crate) fn new(bridge: FullJid, id: String, region: Option<String>) -> Self {
        Self {
            bridge,
            id,
            region,
            created: false,
            feedback: SourceSet::default(),
            endpoints: BTreeSet::new(),
        }
    }
}

impl Conference {
    /// Asks the bridge for an endpoint. The answer comes back as [`Wait::Allocation`].
    pub(crate) fn allocate(&mut self, turn: &mut Turn<'_>, id: &EndpointId, offer: &Offer, attempt: u64) {
        let force_mute = self.force_mute_of(id);
        let wait = self.waits(Wait::Allocation { member: id.clone(), attempt });
        let (Some(bridge), Some(member)) = (&mut self.bridge, self.members.get(id)) else { return };
        let mut endpoint = Endpoint::new(id.clone());
        endpoint.create = true;
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
        let mut request = ConferenceModify::new(self.meeting.clone());
        if !bridge.created {
            bridge.created = true;
            request.create = true;
            request.name = Some(self.room.clone());
            request.rtcstats_enabled = self.properties.rtcstats;
        }
        request.endpoints.push(endpoint);
        bridge.endpoints.insert(id.clone());
        let to = bridge.bridge.clone();
        turn.brewery.endpoint_added(turn.now, &to);
        // compat: type `get`, as upstream's bridge has always been asked (focus §6.1).
        turn.ask("get", to.as_jid(), request.to_element(), wait);
    }

    /// Tells the bridge what changed about an endpoint.
    pub(crate) fn update_bridge(
        &mut self,
        turn: &mut Turn<'_>,
        id: &EndpointId,
        change: Change,
        again: bool,
    ) {
        let (Some(bridge), Some(member)) = (&self.bridge, self.members.get(id)) else { return };
        if !bridge.endpoints.contains(id) {
            return;
        }
        let mut endpoint = Endpoint::new(id.clone());
        endpoint.stats_id = member.stats_id.clone().map(Sensitive::new);
        if change.transport {
            endpoint.transport = member
                .session()
                .and_then(|s| s.transport.clone())
                .map(|ice| Transport { ice: Some(ice), ..Transport::default() });
        }
        if change.sources {
            endpoint.sources = Some(media_sources(id, &self.sources.of(id)));
        }
        endpoint.initial_last_n = change.last_n;
        let wait = Wait::Update { session: bridge.id.clone(), member: Some(id.clone()), again };
        self.modify(turn, vec![endpoint], wait);
    }

    /// Tells the bridge whose audio and video to discard.
    pub(crate) fn force_mute(&mut self, turn: &mut Turn<'_>, ids: &[EndpointId]) {
        let Some(bridge) = &self.bridge else { return };
        let endpoints: Vec<Endpoint> = ids
            .iter()
            .filter(|id| bridge.endpoints.contains(*id))
            .map(|id| {
                let mut e = Endpoint::new(id.clone());
                e.force_mute = Some(self.force_mute_of(id));
                e
            })
            .collect();
        if !endpoints.is_empty() {
            let wait = Wait::Update { session: bridge.id.clone(), member: None, again: false };
            self.modify(turn, endpoints, wait);
        }
    }

    fn modify(&self, turn: &mut Turn<'_>, endpoints: Vec<Endpoint>, wait: Wait) {
        let Some(bridge) = &self.bridge else { return };
        let mut request = ConferenceModify::new(self.meeting.clone());
        request.endpoints = endpoints;
        let wait = self.waits(wait);
        turn.ask("get", bridge.bridge.as_jid(), request.to_element(), wait);
    }

    /// Expires an endpoint; with the last one, the conference on the bridge.
    pub(crate) fn expire_endpoint(&mut self, turn: &mut Turn<'_>, id: &EndpointId) {
        let Some(bridge) = &mut self.bridge else { return };
        if !bridge.endpoints.remove(id) {
            return;
        }
        if bridge.endpoints.is_empty() {
            self.expire_bridge(turn);
            return;
        }
        let mut endpoint = Endpoint::new(id.clone());
        endpoint.expire = true;
        let mut request = ConferenceModify::new(self.meeting.clone());
        request.endpoints.push(endpoint);
        turn.ask("get", bridge.bridge.as_jid(), request.to_element(), Waiting::Nobody);
    }

    /// Expires the conference on its bridge.
    pub(crate) fn expire_bridge(&mut self, turn: &mut Turn<'_>) {
        if let Some(bridge) = self.bridge.take() {
            turn.ask("get", bridge.bridge.as_jid(), expire_request(&self.meeting), Waiting::Nobody);
        }
    }

    /// The bridge session is over: everybody on it is told to end and invited again (focus §4.13).
    pub(crate) fn lose_bridge(&mut self, turn: &mut Turn<'_>, expire: bool) {
        let Some(bridge) = &self.bridge else { return };
        let affected = self.on_bridge_session(&bridge.id);
        turn.counters.bridges_removed += 1;
        turn.counters.participants_moved += affected.len() as u64;
        if expire {
            self.expire_bridge(turn);
        }
        self.bridge = None;
        for id in affected {
            self.move_member(turn, &id);
        }
    }

    /// The answer to an update (focus §6.5).
    pub(crate) fn update_answer(
        &mut self,
        turn: &mut Turn<'_>,
        session: &str,
        member: Option<&EndpointId>,
        again: bool,
        answer: &Answer,
    ) {
        if self.bridge.as_ref().is_none_or(|b| b.id != session) {
            return;
        }
        let error = match (answer, member) {
            (Answer::Result(_), _) => return,
            // Saying it once more is harmless, and a lost update would leave client and bridge out of step.
            (Answer::Timeout, Some(id)) if !again => {
                let change = Change { transport: true, sources: true, last_n: None };
                return self.update_bridge(turn, &id.clone(), change, true);
            }
            (Answer::Timeout, _) => {
                if let Some(bridge) = &self.bridge {
                    turn.brewery.failed(turn.now, &bridge.bridge);
                }
                return self.lose_bridge(turn, true);
            }
            (Answer::Error(e, _), _) => Colibri2Error::from_stanza_error(e),
        };
        match error {
            Some(Colibri2Error { reason: ErrorReason::UnknownEndpoint, endpoint: Some(id) }) => {
                if self.members.get(&id).and_then(Member::bridge_session) == Some(session) {
                    self.move_member(turn, &id);
                }
            }
            _ => self.lose_bridge(turn, true),
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
        Answer::Error(e, _) => return Err(failure(e)),
    };
    let Some(Ok(modified)) = ConferenceModified::from_iq(iq) else { return Err(AllocationFailure::Bridge) };
    let transport = modified.endpoints.into_iter().find(|e| e.id == *id).and_then(|e| e.transport);
    let Some(Transport { ice: Some(ice), sctp, .. }) = transport else {
        return Err(AllocationFailure::Endpoint);
    };
    if offer.data && sctp.is_none() {
        return Err(AllocationFailure::Endpoint);
    }
    let feedback = modified.sources.map(|list| SourceSet {
        sources: list
            .into_iter()
            .flat_map(|m| m.sources.into_iter().map(move |s| feedback_source(m.kind, s.ssrc, m.id.clone())))
            .take(4)
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
pub(crate) fn expire_request(meeting: &jitsi_xmpp::ids::MeetingId) -> Element {
    let mut request = ConferenceModify::new(meeting.clone());
    request.expire = true;
    request.to_element()
}

/// Whether the member's endpoint is being made or stands.
pub(crate) const fn has_endpoint(media: &Media) -> bool {
    matches!(media, Media::Allocating(_) | Media::Session(_))
}
