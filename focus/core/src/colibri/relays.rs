//! The relays between the bridges of a conference (focus §6.8): who is on which bridge and what they send in; `relay` requests to both
//! sides of each link, their transports passed crosswise, out.
//!
//! What each bridge has to know of another follows from the members and the source map. One request per link is under way at a time, and
//! says all that has changed since the last one; only that somebody is gone is said at once, so that who moves is never twice on a bridge.
//! A link that fails is made anew on both sides; one that fails again costs one bridge its people, never both.

use std::collections::BTreeSet;
use std::time::Instant;

use jitsi_xmpp::colibri2::{
    Colibri2Error, ConferenceModified, ConferenceModify, Endpoint, ErrorReason, Relay, Sctp, SctpRole,
    Transport, capability,
};
use jitsi_xmpp::ids::{EndpointId, MeetingId};
use jitsi_xmpp::jingle::{IceUdpTransport, Setup};
use jitsi_xmpp::{Element, FullJid, Sensitive};

use super::sessions::{BridgeSession, SessionNumber};
use crate::conference::member::{Media, Member};
use crate::conference::{Conference, Wait};
use crate::features::Features;
use crate::iqs::Answer;
use crate::jingle::{Offer, media_sources};
use crate::limits;
use crate::turn::Turn;

/// What one bridge is told of another.
#[derive(Debug)]
pub(crate) struct Link {
    /// The other's relay id.
    pub(super) relay: String,
    /// The older side begins: it controls ICE and opens the channel.
    pub(super) begins: bool,
    /// Bridges of one mesh are all linked with each other; what comes from one of them is passed on to other meshes alone.
    pub(super) mesh: String,
    pub(super) stage: Stage,
    /// The request that has not been answered.
    pub(super) said: Option<u64>,
    /// What this bridge has answered: for the other one.
    pub(super) ours: Option<IceUdpTransport>,
    /// It has been told what the other one has answered.
    pub(super) knows_theirs: bool,
    /// Who is on the other bridge, as far as it was told.
    pub(super) told: BTreeSet<EndpointId>,
    /// Those of whom there is something to tell.
    pub(super) stale: BTreeSet<EndpointId>,
    /// Not before this moment.
    at: Option<Instant>,
    /// How often it failed lately, and since when that counts.
    failed: Option<(u32, Instant)>,
}

/// Where a relay stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Has to be made.
    Wanted,
    /// The bridge was asked to make it.
    Asked,
    /// It is there.
    Made,
}

impl Link {
    pub(super) fn new(relay: String, begins: bool, mesh: String) -> Self {
        Self {
            relay,
            begins,
            mesh,
            stage: Stage::Wanted,
            said: None,
            ours: None,
            knows_theirs: false,
            told: BTreeSet::new(),
            stale: BTreeSet::new(),
            at: None,
            failed: None,
        }
    }

    /// Where it stands, in a word.
    pub(crate) const fn state(&self) -> &'static str {
        match self.stage {
            Stage::Wanted => "wanted",
            Stage::Asked => "asked",
            Stage::Made if self.knows_theirs => "told",
            Stage::Made => "made",
        }
    }

    /// How many of the other bridge this one knows.
    pub(crate) fn known(&self) -> usize {
        self.told.len()
    }

    /// Counts a failure; whether it is one too many.
    fn fails(&mut self, now: Instant) -> bool {
        let (n, since) =
            self.failed.filter(|(_, t)| now.duration_since(*t) <= limits::RELAY_WINDOW).unwrap_or((0, now));
        self.failed = Some((n + 1, since));
        n + 1 >= limits::RELAY_FAILURES
    }
}

impl Conference {
    /// There is something new about an endpoint: the other bridges hear of it when the conference settles.
    pub(crate) fn tell_relays(&mut self, id: &EndpointId) {
        if self.sessions.len() < 2 || self.members.get(id).is_none_or(|m| m.watches) {
            return;
        }
        let Some(home) = self.sessions.with(id).map(|s| s.number) else { return };
        for (of, about) in self.sessions.on_the_way(home) {
            if let Some(link) = self.sessions.get_mut(of).and_then(|s| s.links.get_mut(&about)) {
                link.stale.insert(id.clone());
                self.sessions.dirty.insert((of, about));
            }
        }
    }

    /// An endpoint is no longer on that bridge. The others hear of it before anything else is said about it.
    pub(super) fn expire_on_relays(&mut self, turn: &mut Turn<'_>, home: SessionNumber, id: &EndpointId) {
        for (of, about) in self.sessions.on_the_way(home) {
            let Some(s) = self.sessions.get_mut(of) else { continue };
            let (bridge, meeting) = (s.bridge.clone(), s.meeting.clone());
            let Some(link) = s.links.get_mut(&about) else { continue };
            link.stale.remove(id);
            if !link.told.remove(id) {
                continue;
            }
            let mut endpoint = Endpoint::new(id.clone());
            endpoint.expire = true;
            expire_endpoint(turn, &bridge, &meeting, &link.relay, endpoint);
        }
    }

    /// A bridge is no longer of the conference: the others are told.
    pub(super) fn unlink(&mut self, turn: &mut Turn<'_>, gone: SessionNumber) {
        for s in self.sessions.iter_mut() {
            if let Some(link) = s.links.remove(&gone) {
                expire(turn, s, &link);
            }
        }
        self.join_parts(turn);
    }

    /// Says what is to be said, where nothing is under way.
    pub(crate) fn tell_relays_if_due(&mut self, turn: &mut Turn<'_>) {
        for (of, about) in std::mem::take(&mut self.sessions.dirty) {
            self.tell_relay(turn, of, about);
        }
    }

    /// Looks at all of them: one of them is to be tried again.
    pub(crate) fn relays_due(&mut self, turn: &Turn<'_>) {
        if self.sessions.due.is_none_or(|at| at > turn.now) {
            return;
        }
        let all: Vec<_> =
            self.sessions.iter().flat_map(|s| s.links.keys().map(|other| (s.number, *other))).collect();
        self.sessions.due = None;
        self.sessions.dirty.extend(all);
    }

    /// When one of them is to be tried again.
    pub(crate) const fn relays_deadline(&self) -> Option<Instant> {
        self.sessions.due
    }

    fn tell_relay(&mut self, turn: &mut Turn<'_>, of: SessionNumber, about_whom: SessionNumber) {
        let Some(session) = self.sessions.get(of) else { return };
        let Some(link) = session.links.get(&about_whom) else { return };
        if link.said.is_some() {
            return;
        }
        if let Some(at) = link.at.filter(|at| *at > turn.now) {
            self.sessions.due = Some(self.sessions.due.map_or(at, |due| due.min(at)));
            return;
        }
        let theirs =
            self.sessions.get(about_whom).and_then(|s| s.links.get(&of)).and_then(|l| l.ours.clone());
        let mut relay = Relay::new(link.relay.clone());
        let mut follow = BTreeSet::new();
        match (link.stage, theirs) {
            (Stage::Asked, _) => return,
            (Stage::Wanted, _) => {
                relay.create = true;
                relay.mesh_id = Some(link.mesh.clone());
                relay.media = Offer::new(turn.config, Features::of_a_bridge()).media();
                relay.transport = Some(Transport {
                    ice_controlling: link.begins,
                    use_unique_port: link.begins,
                    sctp: turn.config.sctp.then_some(Sctp {
                        port: None,
                        role: Some(if link.begins { SctpRole::Client } else { SctpRole::Server }),
                    }),
                    ..Transport::default()
                });
                let there = self.sessions.behind_link(of, about_whom);
                relay.endpoints.extend(there.iter().filter_map(|id| self.remote(id, true)));
                let later = relay.endpoints.split_off(self.portion(&relay.endpoints));
                follow.extend(later.into_iter().map(|e| e.id));
            }
            (Stage::Made, Some(theirs)) if !link.knows_theirs => {
                let ice = for_the_other(theirs, link.begins, turn.config.sctp);
                relay.transport = Some(Transport { ice: Some(ice), ..Transport::default() });
            }
            (Stage::Made, _) => {
                let stale = link.stale.iter();
                let news = stale.filter_map(|id| self.remote(id, !link.told.contains(id)));
                relay.endpoints.extend(news.take(limits::RELAY_ENDPOINTS));
                relay.endpoints.truncate(self.portion(&relay.endpoints));
                if relay.endpoints.is_empty() {
                    return;
                }
            }
        }
        let mut told: BTreeSet<EndpointId> = relay.endpoints.iter().map(|e| e.id.clone()).collect();
        let (is_new, is_transport) = (relay.create, relay.transport.is_some() && !relay.create);
        let number = self.sessions.asked + 1;
        let wait = self.waits(Wait::Relay { of, about: about_whom, number });
        let request = about(session.meeting.clone(), relay);
        let sent = turn.ask("get", session.bridge.as_jid(), request, wait);
        self.sessions.asked = number;
        let Some(link) = self.sessions.get_mut(of).and_then(|s| s.links.get_mut(&about_whom)) else { return };
        if !sent {
            let at = turn.now + limits::BUSY;
            link.at = Some(at);
            self.sessions.due = Some(self.sessions.due.map_or(at, |due| due.min(at)));
            return;
        }
        (link.said, link.at) = (Some(number), None);
        if is_new {
            turn.counters.relays_created += 1;
            (link.stage, link.told, link.stale) = (Stage::Asked, told, follow);
        } else if is_transport {
            link.knows_theirs = true;
        } else {
            link.stale.retain(|id| !told.contains(id));
            link.told.append(&mut told);
        }
    }

    /// How many of these one request takes: one at least.
    fn portion(&self, endpoints: &[Endpoint]) -> usize {
        let mut bytes = 0;
        let fits = endpoints.iter().take(limits::RELAY_ENDPOINTS).take_while(|e| {
            let first = bytes == 0;
            bytes += self.sources.of(&e.id).bytes(&e.id) + ENDPOINT;
            first || bytes <= limits::SOURCES_BYTES
        });
        fits.count()
    }

    /// An endpoint as other bridges are told of it. `None`: there is nothing to tell them.
    fn remote(&self, id: &EndpointId, create: bool) -> Option<Endpoint> {
        let member = self.members.get(id).filter(|m| !m.watches)?;
        let mut endpoint = Endpoint::new(id.clone());
        if create {
            endpoint.create = true;
            endpoint.stats_id = member.stats_id.clone().map(Sensitive::new);
            endpoint.capabilities.push(capability::SOURCE_NAMES.into());
            if rewrites(member) {
                endpoint.capabilities.push(capability::SSRC_REWRITING.into());
            }
        }
        endpoint.sources = Some(media_sources(id, &self.sources.of(id)));
        Some(endpoint)
    }

    /// What a bridge says to a request about a relay.
    pub(crate) fn relay_answer(
        &mut self,
        turn: &mut Turn<'_>,
        of: SessionNumber,
        about_whom: SessionNumber,
        number: u64,
        answer: &Answer,
    ) {
        let Some(link) = self.sessions.get_mut(of).and_then(|s| s.links.get_mut(&about_whom)) else { return };
        if link.said.take_if(|n| *n == number).is_none() {
            // Of a link that has been made anew.
            return;
        }
        if let Answer::Result(iq) = answer {
            if link.stage == Stage::Asked {
                let Some(ours) = transport_in(iq, &link.relay) else {
                    turn.counters.answers_absurd += 1;
                    return self.relay_failed(turn, of, about_whom, answer);
                };
                (link.stage, link.ours) = (Stage::Made, Some(ours));
            }
            self.sessions.dirty.extend([(of, about_whom), (about_whom, of)]);
            return;
        }
        self.relay_failed(turn, of, about_whom, answer);
    }

    fn relay_failed(
        &mut self,
        turn: &mut Turn<'_>,
        of: SessionNumber,
        about_whom: SessionNumber,
        answer: &Answer,
    ) {
        turn.counters.relays_failed += 1;
        let Some(session) = self.sessions.get_mut(of) else { return };
        let Some(link) = session.links.get_mut(&about_whom) else { return };
        let too_often = link.fails(turn.now);
        let bridge = session.bridge.clone();
        let reason = match answer {
            Answer::Error(e) => Colibri2Error::from_stanza_error(e).map(|c| c.reason),
            Answer::Result(_) | Answer::Timeout => None,
        };
        tracing::warn!(conference = self.id.0, ?reason, too_often, "no relay between two bridges");
        if reason == Some(ErrorReason::ConferenceNotFound) {
            return self.lose_session(turn, of, true);
        }
        if !too_often {
            self.link_anew(turn, of, about_whom);
            return;
        }
        if *answer == Answer::Timeout {
            turn.brewery.failed(turn.now, &bridge);
            return self.lose_session(turn, of, true);
        }
        // It has its reasons, and works otherwise: the bridge with fewer people is left, and no other joins this one for a while.
        turn.brewery.refused_relay(turn.now, &bridge);
        self.lose_one_of(turn, of, about_whom);
    }

    /// A bridge does not reach another one any more: the way between them is made anew, and when that fails again soon, the bridge with
    /// fewer people is left. Both may say so; the second finds that it is being made.
    pub(crate) fn relay_lost(&mut self, turn: &mut Turn<'_>, of: SessionNumber, relay: &str) {
        let Some(session) = self.sessions.get_mut(of) else { return };
        let made = |l: &Link| l.relay == relay && l.stage == Stage::Made && l.knows_theirs;
        let Some((other, link)) = session.links.iter_mut().find(|(_, l)| made(l)) else { return };
        let (about_whom, too_often) = (*other, link.fails(turn.now));
        let bridge = session.bridge.clone();
        turn.counters.relays_failed += 1;
        tracing::warn!(conference = self.id.0, too_often, "two bridges do not reach each other any more");
        if too_often {
            turn.brewery.refused_relay(turn.now, &bridge);
            self.lose_one_of(turn, of, about_whom);
        } else {
            self.link_anew(turn, of, about_whom);
        }
    }

    /// Of two bridges that cannot be linked, the one with fewer people is left.
    fn lose_one_of(&mut self, turn: &mut Turn<'_>, of: SessionNumber, about_whom: SessionNumber) {
        let people = |n: SessionNumber| self.sessions.get(n).map_or(0, BridgeSession::people);
        let younger = of.max(about_whom);
        let fewer = match people(of).cmp(&people(about_whom)) {
            std::cmp::Ordering::Less => of,
            std::cmp::Ordering::Equal => younger,
            std::cmp::Ordering::Greater => about_whom,
        };
        self.lose_session(turn, fewer, true);
    }

    /// Both sides forget the relay and make another one, soon.
    pub(super) fn link_anew(&mut self, turn: &mut Turn<'_>, one: SessionNumber, other: SessionNumber) {
        let at = turn.now + limits::BUSY;
        for (of, about_whom) in [(one, other), (other, one)] {
            let Some(session) = self.sessions.get_mut(of) else { continue };
            let Some(old) = session.links.remove(&about_whom) else { continue };
            expire(turn, session, &old);
            let fresh =
                Link { at: Some(at), failed: old.failed, ..Link::new(old.relay, old.begins, old.mesh) };
            session.links.insert(about_whom, fresh);
            self.sessions.dirty.insert((of, about_whom));
        }
    }
}

/// Expires a relay, if the bridge may know of it.
fn expire(turn: &mut Turn<'_>, session: &BridgeSession, link: &Link) {
    if link.stage == Stage::Wanted {
        return;
    }
    let mut relay = Relay::new(link.relay.clone());
    relay.expire = true;
    turn.tell("get", session.bridge.as_jid(), about(session.meeting.clone(), relay));
}

/// Tells a bridge that somebody is not behind another one any more.
pub(super) fn expire_endpoint(
    turn: &mut Turn<'_>,
    bridge: &FullJid,
    meeting: &MeetingId,
    relay: &str,
    endpoint: Endpoint,
) {
    let mut relay = Relay::new(relay.to_owned());
    relay.endpoints.push(endpoint);
    turn.tell("get", bridge.as_jid(), about(meeting.clone(), relay));
}

/// compat: one relay in a request, and no endpoints beside it, or the bridge refuses (bridge §2.1; test:
/// compat_a_request_has_one_relay_and_no_endpoints).
fn about(meeting: MeetingId, relay: Relay) -> Element {
    let mut request = ConferenceModify::new(meeting);
    request.relays.push(relay);
    request.to_element()
}

/// Whether the client learns of sources from the bridge alone.
fn rewrites(member: &Member) -> bool {
    match &member.media {
        Media::Allocating(a) => a.offer.rewriting,
        Media::Session(s) => s.rewriting,
        _ => false,
    }
}

fn transport_in(iq: &Element, relay: &str) -> Option<IceUdpTransport> {
    let modified = ConferenceModified::from_iq(iq)?.ok()?;
    modified.relays.into_iter().find(|r| r.id == relay)?.transport?.ice
}

/// A bridge's transport as the other one is told of it (focus §6.8): which of them begins DTLS, and opens the channel, is decided here.
fn for_the_other(mut transport: IceUdpTransport, begins: bool, sctp: bool) -> IceUdpTransport {
    for fingerprint in &mut transport.fingerprints {
        fingerprint.setup = Some(if begins { Setup::Active } else { Setup::Passive });
    }
    if sctp || !begins {
        transport.web_sockets.clear();
    }
    transport.candidates.truncate(limits::CANDIDATES);
    transport
}

/// Bytes of an endpoint beside its sources, about: ids and capabilities.
const ENDPOINT: usize = 2_500;

#[cfg(test)]
mod tests {
    use jitsi_xmpp::jingle::{Candidate, CandidateType};

    use super::*;

    #[test]
    fn so_many_candidates_of_a_bridge_are_told_to_the_other_and_not_one_more() {
        let candidate = |n: usize| Candidate {
            component: 1,
            foundation: "1".into(),
            generation: 0,
            id: n.to_string(),
            ip: Sensitive::new("192.0.2.10".into()),
            network: None,
            port: 10_000,
            priority: 1,
            protocol: "udp".into(),
            kind: CandidateType::Host,
            rel_addr: None,
            rel_port: None,
            tcptype: None,
        };
        for n in [limits::CANDIDATES, limits::CANDIDATES + 1] {
            let ice = IceUdpTransport { candidates: (0..n).map(candidate).collect(), ..Default::default() };
            assert_eq!(for_the_other(ice, true, true).candidates.len(), limits::CANDIDATES);
        }
    }
}
