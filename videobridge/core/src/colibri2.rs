//! Requests of the focus: `conference-modify` in; changes to conferences and endpoints, and the answer, out.
//!
//! A request is checked as a whole before anything changes, so that an error leaves nothing behind (upstream
//! keeps half-made endpoints; nobody relies on that). Order and errors are those of bridge §2.

pub(crate) mod connects;
mod describe;
mod errors;
mod places;
mod relay;

use std::sync::Arc;
use std::time::Instant;

use jitsi_xmpp::colibri2::{
    self, ConferenceModified, ConferenceModify, Endpoint as Wanted, Media, MediaSource, SctpRole, capability,
};
use jitsi_xmpp::ids::{EndpointId, MeetingId, SourceName, Ssrc};
use jitsi_xmpp::jingle::{IceUdpTransport, Setup, Source};
use jitsi_xmpp::{StanzaError, ids};

use crate::command::{ConferenceKey, DatagramSink, Event, RequestId};
use crate::conference::Conference;
use crate::counters::Discard;
use crate::endpoint::{Endpoint, Shown};
use crate::media::{EndpointInit, EndpointKey, FeedbackSsrcs, MediaConference};
use crate::parts::{News, Order};
use crate::shard::{Shard, outlet};
use crate::timers::Armed;
use crate::transport::{Restart, Role, Transport};
use crate::{demux, limits};
use errors::Refusal;

impl Shard {
    /// Carries out one request; `None`: another shard, which has the endpoint that it is about, answers it.
    pub(crate) fn modify_conference(
        &mut self,
        now: Instant,
        number: RequestId,
        request: &ConferenceModify,
        out: &mut dyn DatagramSink,
    ) -> Result<Option<ConferenceModified>, StanzaError> {
        self.check(request).map_err(Refusal::into_stanza_error)?;
        let key = match self.by_meeting.get(&request.meeting_id) {
            Some(key) => *key,
            None => self.create_conference(now, request),
        };
        self.at_work = Some(key);
        let mut answer = ConferenceModified::default();
        let mut created = request.create;
        let mut order = None;
        for (at, wanted) in request.endpoints.iter().enumerate() {
            created |= wanted.create && !wanted.expire;
            let Some(way) = self.place(now, number, key, wanted, out) else {
                answer.endpoints.push(self.modify_endpoint(now, key, wanted, number.0, out));
                continue;
            };
            answer.endpoints.push(self::answer(wanted));
            if touches(wanted) && !wanted.expire {
                order = Some((way, at, wanted.clone()));
            } else {
                self.tell(way, News::Change(Box::new(wanted.clone())));
            }
            if wanted.expire {
                self.close_unused(now, key, way, out);
            }
        }
        if let Some(connects) = &request.connects {
            self.set_connects(key, connects);
        }
        for wanted in &request.relays {
            answer.relays.push(self.modify_relay(now, key, wanted, out));
        }
        if created && let Some(conference) = self.conferences.get(key.0 as usize) {
            answer.sources = Some(feedback_sources(conference.feedback));
        }
        let answer = match order {
            Some((way, at, wanted)) => {
                let order = Order { request: number, wanted, answer, at };
                self.tell(way, News::Order(Box::new(order)));
                None
            }
            None => Some(answer),
        };
        let is_deserted = self.conferences.get(key.0 as usize).is_some_and(Conference::is_deserted);
        if request.expire || !request.create && is_deserted {
            self.expire_conference(now, key, out);
        }
        self.arm_conference(key);
        Ok(answer)
    }

    /// Everything that can be wrong with a request, before anything is changed.
    fn check(&self, request: &ConferenceModify) -> Result<(), Refusal> {
        if request.create && self.refuse_new {
            return Err(Refusal::Shutdown);
        }
        let conference =
            self.by_meeting.get(&request.meeting_id).and_then(|k| self.conferences.get(k.0 as usize));
        match conference {
            Some(_) if request.create => return Err(Refusal::ConferenceExists),
            None if !request.create => return Err(Refusal::ConferenceUnknown),
            None if self.conferences.len() >= limits::MAX_CONFERENCES => return Err(Refusal::Full),
            _ => {}
        }
        self.check_relays(request, conference)?;
        if request.endpoints.len() > limits::MAX_ENDPOINTS_PER_REQUEST {
            return Err(Refusal::Full);
        }
        let touching = request.endpoints.iter().filter(|e| touches(e)).count();
        if touching > 1 {
            return Err(Refusal::NotImplemented(
                "Creating or updating more than one endpoint is not supported.",
            ));
        }
        for wanted in &request.endpoints {
            let present =
                conference.and_then(|c| c.endpoints.get(&wanted.id)).and_then(|k| self.endpoints.get(*k));
            if wanted.expire {
                continue;
            }
            let present = present.map(|endpoint| endpoint.visitor);
            let elsewhere = || Some(conference?.elsewhere.get(&wanted.id)?.visitor);
            let visitor = match present.or_else(elsewhere) {
                Some(_) if wanted.create => return Err(Refusal::EndpointExists),
                Some(visitor) => visitor,
                None if wanted.create => {
                    self.check_create(wanted, conference)?;
                    is_visitor(wanted)
                }
                None if touching > 0 => return Err(Refusal::EndpointUnknown(wanted.id.clone())),
                None => continue,
            };
            if visitor && wanted.sources.as_ref().is_some_and(|s| !s.is_empty()) {
                return Err(Refusal::BadRequest("Visitors can not have sources."));
            }
        }
        match &request.connects {
            Some(connects) => self.check_connects(connects, conference),
            None => Ok(()),
        }
    }

    fn check_create(&self, wanted: &Wanted, conference: Option<&Conference>) -> Result<(), Refusal> {
        if wanted.id.as_str().is_empty() || wanted.id.as_str().len() > limits::MAX_ID_LEN {
            return Err(Refusal::BadRequest("Invalid endpoint id."));
        }
        if !wanted.capabilities.iter().any(|c| c == capability::SOURCE_NAMES) {
            return Err(Refusal::BadRequest("Source name support is mandatory."));
        }
        let Some(transport) = &wanted.transport else {
            return Err(Refusal::BadRequest("Attempt to create endpoint with no transport."));
        };
        if let Some(sctp) = &transport.sctp {
            if !self.config.sctp_enabled {
                return Err(Refusal::NotImplemented("SCTP support is not configured."));
            }
            if sctp.role.is_some_and(|role| role != SctpRole::Server) {
                return Err(Refusal::NotImplemented("Unsupported SCTP role."));
            }
            if sctp.port.is_some_and(|port| port != SCTP_PORT) {
                return Err(Refusal::BadRequest("Specific SCTP port requested, not supported."));
            }
        }
        let has_room = conference.is_none_or(|c| self.has_room(c));
        if !has_room || self.endpoints.slab.len() >= limits::MAX_ENDPOINTS {
            return Err(Refusal::Full);
        }
        Ok(())
    }

    fn create_conference(&mut self, now: Instant, request: &ConferenceModify) -> ConferenceKey {
        let feedback =
            FeedbackSsrcs { audio: Ssrc(self.entropy.u32().max(1)), video: Ssrc(self.entropy.u32().max(1)) };
        let meeting = request.meeting_id.clone();
        let key = self.add_conference(now, meeting.clone(), request.rtcstats_enabled, feedback, None);
        self.by_meeting.insert(meeting.clone(), key);
        self.endpoints.counters.conferences_created += 1;
        self.endpoints.event(Event::ConferenceCreated { meeting });
        key
    }

    /// A conference, or a part of one whose home has this id.
    pub(crate) fn add_conference(
        &mut self,
        now: Instant,
        meeting: MeetingId,
        statistics: bool,
        feedback: FeedbackSsrcs,
        part_of: Option<String>,
    ) -> ConferenceKey {
        let id = demux::sharded_id(self.config.index, CONFERENCE_ID_LEN, &mut *self.entropy);
        let media = MediaConference::new(self.config.media.clone(), feedback, self.entropy.u64());
        let slot = self.conferences.insert(Conference {
            meeting,
            id: id.clone(),
            created: now,
            statistics,
            endpoints: Default::default(),
            relays: Default::default(),
            remotes: Default::default(),
            feedback,
            media,
            services: Vec::new(),
            armed: Armed::default(),
            part_of,
            ways: Vec::new(),
            elsewhere: Default::default(),
            media_known: Vec::new(),
        });
        let key = ConferenceKey(u32::try_from(slot).unwrap_or(u32::MAX));
        self.by_id.insert(id, key);
        key
    }

    /// One `endpoint` of a request that was checked: the order of bridge §2.7. `creation`: the number of whoever it makes.
    pub(crate) fn modify_endpoint(
        &mut self,
        now: Instant,
        conference: ConferenceKey,
        wanted: &Wanted,
        creation: u64,
        out: &mut dyn DatagramSink,
    ) -> Wanted {
        let mut answer = answer(wanted);
        let mut key = self.endpoint_key(conference, wanted);
        if wanted.expire {
            if let Some(key) = key {
                self.expire_endpoint(now, key, out);
            }
            return answer;
        }
        if wanted.create {
            key = self.create_endpoint(now, conference, wanted, creation);
        }
        let Some(key) = key else { return answer };
        self.set_media(now, conference, key, wanted, out);
        if let Some(ice) = wanted.transport.as_ref().and_then(|t| t.ice.as_ref()) {
            self.set_remote_transport(now, key, ice, out);
        }
        if let Some(c) = self.conferences.get_mut(conference.0 as usize) {
            let mut outlet = outlet(now, &mut self.endpoints, out);
            if let Some(sources) = &wanted.sources {
                c.media.set_sources(now, key, sources, &mut outlet);
            }
            if let Some(mute) = &wanted.force_mute {
                c.media.set_force_mute(now, key, mute.audio, mute.video);
            }
        }
        self.show(conference, key, wanted);
        if wanted.create {
            answer.transport = self.describe_transport(conference, key);
        } else if wanted.transport.as_ref().is_some_and(|t| t.ice_restart) {
            answer.transport = self.restart_ice(now, key, out);
        }
        answer
    }

    fn endpoint_key(&self, conference: ConferenceKey, wanted: &Wanted) -> Option<EndpointKey> {
        self.conferences.get(conference.0 as usize)?.endpoints.get(&wanted.id).copied()
    }

    /// What a request says of an endpoint that other parts of its conference have to know.
    fn show(&mut self, conference: ConferenceKey, key: EndpointKey, wanted: &Wanted) {
        if !self.spreads() || !(wanted.create || wanted.sources.is_some()) {
            return;
        }
        if let Some(endpoint) = self.endpoints.get_mut(key)
            && let Some(sources) = &wanted.sources
        {
            endpoint.shown.sources = Arc::from(sources.as_slice());
        }
        self.tell_of(conference, key);
    }

    fn create_endpoint(
        &mut self,
        now: Instant,
        conference: ConferenceKey,
        wanted: &Wanted,
        creation: u64,
    ) -> Option<EndpointKey> {
        let transport = wanted.transport.as_ref()?;
        let c = self.conferences.get_mut(conference.0 as usize)?;
        let slot = self.endpoints.slab.vacant_entry();
        let key = EndpointKey(u32::try_from(slot.key()).ok()?);
        let ice = Transport::new(
            now,
            &self.config,
            &self.endpoints.shared,
            transport.ice_controlling,
            transport.sctp.is_some(),
            &mut *self.entropy,
        );
        // 40 random bits per shard: a clash is a miracle, and then the endpoint is not reachable and expires.
        self.endpoints.addresses.add_ufrag(ice.local_credentials().0, key);
        let visitor = is_visitor(wanted);
        let password = demux::random_text(WEB_SOCKET_PASSWORD_LEN, &mut *self.entropy);
        let private_addresses =
            wanted.capabilities.iter().any(|c| c == capability::PRIVATE_ADDRESS_CONNECTIVITY);
        slot.insert(Endpoint {
            visitor,
            private_addresses,
            shown: Shown { creation, diarize: wanted.diarize, ..Shown::default() },
            ..Endpoint::new(now, wanted.id.clone(), conference, ice, password)
        });
        c.endpoints.insert(wanted.id.clone(), key);
        let has = |name: &str| wanted.capabilities.iter().any(|c| c == name);
        let init = EndpointInit {
            id: wanted.id.clone(),
            ssrc_rewriting: has(capability::SSRC_REWRITING),
            visitor,
            initial_last_n: wanted.initial_last_n,
        };
        c.media.add_endpoint(now, key, init);
        c.media.set_diarize(key, wanted.diarize);
        let counters = &mut self.endpoints.counters;
        counters.endpoints_created += 1;
        counters.visitors_created += u64::from(visitor);
        Some(key)
    }

    fn set_media(
        &mut self,
        now: Instant,
        conference: ConferenceKey,
        key: EndpointKey,
        wanted: &Wanted,
        out: &mut dyn DatagramSink,
    ) {
        self.add_media(conference, key, &wanted.media);
        let Some(c) = self.conferences.get_mut(conference.0 as usize) else { return };
        if let Some(last_n) = wanted.initial_last_n.filter(|_| !wanted.create) {
            c.media.set_initial_last_n(now, key, last_n, &mut outlet(now, &mut self.endpoints, out));
        }
    }

    fn add_media(&mut self, conference: ConferenceKey, key: EndpointKey, all: &[Media]) {
        let Some(c) = self.conferences.get_mut(conference.0 as usize) else { return };
        for media in all {
            c.media.add_payload_types(key, media.kind, &media.payload_types);
            c.media.add_header_extensions(key, &media.header_extensions);
        }
        self.learn_media(conference, None, all);
    }

    /// A restart that is granted is answered with new credentials; none in the answer is the refusal (bridge §3.1).
    fn restart_ice(
        &mut self,
        now: Instant,
        key: EndpointKey,
        out: &mut dyn DatagramSink,
    ) -> Option<colibri2::Transport> {
        let counters = &mut self.endpoints.counters;
        let endpoint = self.endpoints.slab.get_mut(key.0 as usize)?;
        let restart = if self.config.ice_restart {
            endpoint.transport.restart_ice(now, &self.config, &mut *self.entropy)
        } else {
            Restart::Refused
        };
        let generation = match restart {
            Restart::Refused => {
                counters.ice_restarts_rejected += 1;
                return None;
            }
            Restart::NotNeeded => {
                counters.ice_restarts_not_established += 1;
                None
            }
            Restart::Offered(generation) => Some(generation),
            Restart::Began(generation) | Restart::Superseded(generation) => {
                counters.ice_restarts_started += 1;
                counters.ice_restarts_superseded += u64::from(matches!(restart, Restart::Superseded(_)));
                if let Some((ufrag, _)) = endpoint.transport.restart_credentials() {
                    self.endpoints.addresses.add_ufrag(ufrag, key);
                }
                Some(generation)
            }
        };
        self.endpoints.pump(now, key, out);
        self.describe_restart(key, generation)
    }

    /// The peer's side of ICE and DTLS, whole or in pieces.
    fn set_remote_transport(
        &mut self,
        now: Instant,
        key: EndpointKey,
        ice: &IceUdpTransport,
        out: &mut dyn DatagramSink,
    ) {
        let Some(endpoint) = self.endpoints.get_mut(key) else { return };
        let transport = &mut endpoint.transport;
        if let Some(generation) = ice.ice_generation {
            // The secured connection is the same; its fingerprints are repeated. A client's own count of generations is in its candidates.
            if let (Some(ufrag), Some(pwd)) = (&ice.ufrag, &ice.pwd) {
                transport.answer_restart(now, generation, ufrag, pwd.reveal());
            }
            let usable =
                ice.candidates.iter().filter(|c| c.component == 1 && c.protocol.eq_ignore_ascii_case("udp"));
            for candidate in usable {
                transport.add_restart_candidate(now, generation, candidate.ip.reveal(), candidate.port);
            }
            return self.endpoints.pump(now, key, out);
        }
        for fingerprint in ice.fingerprints.iter().filter(|f| !f.hash.is_empty() && !f.value.is_empty()) {
            transport.add_fingerprint(&fingerprint.hash, &fingerprint.value);
        }
        match ice.fingerprints.iter().find_map(|f| f.setup) {
            Some(Setup::Active) => transport.set_role(Role::Server),
            Some(Setup::Passive) => transport.set_role(Role::Client),
            Some(Setup::Actpass | Setup::Holdconn) => tracing::debug!("setup of the peer decides nothing"),
            None => {}
        }
        if let (Some(ufrag), Some(pwd)) = (&ice.ufrag, &ice.pwd) {
            transport.set_remote_credentials(now, ufrag, pwd.reveal());
        }
        let mut useless = 0;
        for candidate in &ice.candidates {
            let fits = candidate.generation == 0
                && candidate.component == 1
                && candidate.protocol.eq_ignore_ascii_case("udp");
            if !fits || !transport.add_remote_candidate(now, candidate.ip.reveal(), candidate.port) {
                useless += 1;
            }
        }
        (0..useless).for_each(|_| self.endpoints.counters.discard(Discard::RemoteCandidate));
        self.endpoints.pump(now, key, out);
    }
}

fn is_visitor(wanted: &Wanted) -> bool {
    wanted.muc_role.as_deref().is_some_and(|role| role.eq_ignore_ascii_case("visitor"))
}

/// Whether it makes an endpoint or says something of one that has to be answered: one of a request at most.
fn touches(wanted: &Wanted) -> bool {
    wanted.create || !wanted.media.is_empty() || wanted.transport.is_some() || wanted.sources.is_some()
}

/// The error about an endpoint that is not there: the focus invites it again.
pub(crate) fn unknown(id: &EndpointId) -> StanzaError {
    Refusal::EndpointUnknown(id.clone()).into_stanza_error()
}

/// The error where there is no room.
pub(crate) fn full() -> StanzaError {
    Refusal::Full.into_stanza_error()
}

/// An entry of the answer without transport.
fn answer(wanted: &Wanted) -> Wanted {
    colibri2::Endpoint {
        id: wanted.id.clone(),
        create: false,
        expire: wanted.expire,
        stats_id: None,
        muc_role: None,
        diarize: false,
        media: Vec::new(),
        transport: None,
        sources: None,
        force_mute: None,
        capabilities: Vec::new(),
        initial_last_n: None,
    }
}

fn feedback_sources(feedback: FeedbackSsrcs) -> Vec<MediaSource> {
    let source = |kind, name: &str, ssrc| MediaSource {
        kind,
        id: SourceName::new(name),
        synthetic: false,
        sources: vec![Source {
            ssrc,
            name: Some(SourceName::new(name)),
            video_type: None,
            rid: None,
            owner: None,
            parameters: Vec::new(),
        }],
        ssrc_groups: Vec::new(),
    };
    vec![
        source(ids::MediaType::Audio, "jvb-a0", feedback.audio),
        source(ids::MediaType::Video, "jvb-v0", feedback.video),
    ]
}

const SCTP_PORT: u16 = 5000;
/// 80 random bits: not guessable, though knowing it is not enough to open a channel.
const CONFERENCE_ID_LEN: usize = 16;
/// As upstream: 24 characters; ours have 5 bits each.
const WEB_SOCKET_PASSWORD_LEN: usize = 26;
