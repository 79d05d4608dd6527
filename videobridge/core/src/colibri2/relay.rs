//! The part of a request about another bridge: `relay` in; a way to it, who is behind it, and our side of the way, out
//! (bridge §2.10, §9.1).

use std::sync::Arc;
use std::time::Instant;

use jitsi_xmpp::colibri2::{self, ConferenceModify, Endpoint as Announced, Relay as Wanted, Sctp, SctpRole};
use jitsi_xmpp::ids::EndpointId;
use jitsi_xmpp::jingle::{IceUdpTransport, WebSocket};

use super::errors::Refusal;
use super::{SCTP_PORT, WEB_SOCKET_PASSWORD_LEN};
use crate::command::{ConferenceKey, DatagramSink, Event};
use crate::conference::{Conference, Link, Remote};
use crate::config::LocalAddress;
use crate::counters::Discard;
use crate::endpoint::{Endpoint, Relay};
use crate::media::limits::MAX_RELAYS_PER_CONFERENCE;
use crate::media::{EndpointKey, RelayInit};
use crate::parts::{News, Person};
use crate::shard::{Shard, outlet};
use crate::transport::{ChannelSide, Transport};
use crate::{demux, limits};

impl Shard {
    /// Everything that can be wrong with the relays of a request.
    pub(super) fn check_relays(
        &self,
        request: &ConferenceModify,
        conference: Option<&Conference>,
    ) -> Result<(), Refusal> {
        if !request.endpoints.is_empty() && !request.relays.is_empty() {
            return Err(Refusal::NotImplemented("Using both 'relay' and 'endpoint' in a request"));
        }
        if request.relays.len() > 1 {
            return Err(Refusal::NotImplemented("Updating more than one 'relay' in a request."));
        }
        request.relays.iter().try_for_each(|wanted| self.check_relay(wanted, conference))
    }

    fn check_relay(&self, wanted: &Wanted, conference: Option<&Conference>) -> Result<(), Refusal> {
        if self.config.relay_id.is_none() {
            return Err(Refusal::NotImplemented("Octo is disabled in configuration."));
        }
        if !self.config.sctp_enabled && self.config.web_sockets.is_none() {
            return Err(Refusal::NoChannel);
        }
        let is_known = conference.is_some_and(|c| c.relays.contains_key(&wanted.id));
        match (wanted.expire, wanted.create) {
            (true, _) => return Ok(()),
            (false, true) if is_known => return Err(Refusal::RelayExists),
            (false, true) => self.check_new_relay(wanted, conference)?,
            (false, false) if !is_known => return Err(Refusal::BadRequest("Unknown relay")),
            (false, false) => {}
        }
        let sctp = wanted.transport.as_ref().and_then(|t| t.sctp);
        if sctp.and_then(|sctp| sctp.port).is_some_and(|port| port != SCTP_PORT) {
            return Err(Refusal::BadRequest("Specific SCTP port requested, not supported."));
        }
        let announced = &wanted.endpoints;
        if announced.len() > limits::MAX_ENDPOINTS_PER_REQUEST {
            return Err(Refusal::Full);
        }
        let fits = |e: &Announced| !e.id.as_str().is_empty() && e.id.as_str().len() <= limits::MAX_ID_LEN;
        if announced.iter().all(fits) { Ok(()) } else { Err(Refusal::BadRequest("Invalid endpoint id.")) }
    }

    fn check_new_relay(&self, wanted: &Wanted, conference: Option<&Conference>) -> Result<(), Refusal> {
        if wanted.id.is_empty() || wanted.id.len() > limits::MAX_ID_LEN {
            return Err(Refusal::BadRequest("Invalid relay id."));
        }
        let Some(transport) = &wanted.transport else {
            return Err(Refusal::BadRequest("Attempt to create relay with no transport."));
        };
        if transport.sctp.is_none() && self.config.web_sockets.is_none() {
            return Err(Refusal::NotImplemented("Relays need SCTP, or an address for WebSockets."));
        }
        if transport.sctp.is_some() && !self.config.sctp_enabled {
            return Err(Refusal::NotImplemented("SCTP support is not configured"));
        }
        if conference.is_some_and(|c| c.relays.len() >= MAX_RELAYS_PER_CONFERENCE)
            || self.endpoints.slab.len() >= limits::MAX_ENDPOINTS
        {
            return Err(Refusal::Full);
        }
        Ok(())
    }

    /// One `relay` of a request that was checked, in upstream's order.
    pub(super) fn modify_relay(
        &mut self,
        now: Instant,
        conference: ConferenceKey,
        wanted: &Wanted,
        out: &mut dyn DatagramSink,
    ) -> Wanted {
        let mut answer = Wanted { expire: wanted.expire, ..Wanted::new(wanted.id.clone()) };
        let relays = self.conferences.get(conference.0 as usize).map(|c| &c.relays);
        let mut key = relays.and_then(|relays| relays.get(&wanted.id)).map(|link| link.key);
        if wanted.expire {
            if let Some(key) = key {
                self.expire_relay(now, key, out);
            }
            return answer;
        }
        if wanted.create {
            key = self.create_relay(now, conference, wanted);
        }
        let Some(key) = key else { return answer };
        if let Some(ice) = wanted.transport.as_ref().and_then(|t| t.ice.as_ref()) {
            self.set_remote_transport(now, key, ice, out);
            self.dial(conference, key, ice);
        }
        if wanted.create {
            answer.transport = self.describe_relay(conference, key, wanted);
        }
        self.add_media(conference, key, &wanted.media);
        for announced in &wanted.endpoints {
            if announced.expire {
                self.remove_remote(now, conference, key, &announced.id, out);
            } else {
                self.set_remote(now, conference, key, announced, out);
            }
        }
        answer
    }

    fn create_relay(
        &mut self,
        now: Instant,
        conference: ConferenceKey,
        wanted: &Wanted,
    ) -> Option<EndpointKey> {
        let transport = wanted.transport.as_ref()?;
        // Two bridges may have many conferences together, and one pair of addresses can be of one relay only.
        let own = if transport.use_unique_port { self.spare_sockets.pop_front() } else { None };
        if own.is_some() {
            self.endpoints.event(Event::RelaySocketsWanted);
        }
        let sockets: Vec<_> = own.unwrap_or_default().into_iter().map(LocalAddress::new).collect();
        let addresses = if sockets.is_empty() { &self.config.addresses } else { &sockets };
        let side = transport.sctp.map(|sctp| match sctp.role {
            Some(SctpRole::Client) => ChannelSide::Opens,
            _ => ChannelSide::Waits,
        });
        let shared = &self.endpoints.shared;
        let ice = transport.ice_controlling;
        let ice = Transport::relay(now, &self.config, addresses, shared, ice, side, &mut *self.entropy);
        let password = demux::random_text(WEB_SOCKET_PASSWORD_LEN, &mut *self.entropy);
        let c = self.conferences.get_mut(conference.0 as usize)?;
        let slot = self.endpoints.slab.vacant_entry();
        let key = EndpointKey(u32::try_from(slot.key()).ok()?);
        self.endpoints.addresses.add_ufrag(ice.local_credentials().0, key);
        let relay = Some(Box::new(Relay { sockets, ..Relay::default() }));
        let id = EndpointId::new(&wanted.id);
        // As upstream: between servers there is no good reason to hide inner networks.
        let private_addresses = true;
        slot.insert(Endpoint {
            relay,
            private_addresses,
            ..Endpoint::new(now, id, conference, ice, password)
        });
        let mesh = wanted.mesh_id.clone();
        c.relays.insert(wanted.id.clone(), Link { key, mesh: mesh.clone() });
        c.media.add_relay(now, key, RelayInit { id: wanted.id.clone(), mesh });
        self.endpoints.counters.relays_created += 1;
        Some(key)
    }

    /// Whoever is told where the other bridge's channel is opens it.
    fn dial(&mut self, conference: ConferenceKey, key: EndpointKey, ice: &IceUdpTransport) {
        let url = ice.web_sockets.iter().find_map(|w| w.url.as_ref());
        let Some(url) = url.filter(|url| url.reveal().len() <= limits::MAX_RELAY_URL) else { return };
        let Some(c) = self.conferences.get(conference.0 as usize) else { return };
        let Some(endpoint) = self.endpoints.get_mut(key).filter(|e| !e.transport.has_sctp()) else { return };
        let (id, password) = (endpoint.id.clone(), endpoint.password.clone());
        let Some(relay) = endpoint.relay.as_mut().filter(|relay| relay.dials.as_ref() != Some(url)) else {
            return;
        };
        // The one before, if there is one, is not opened any more.
        relay.dials = Some(url.clone());
        let (conference, url) = (c.id.clone(), url.clone());
        self.endpoints.event(Event::RelayChannelWanted { conference, relay: id, url, password });
    }

    /// Our side, as the focus passes it on to the other bridge.
    fn describe_relay(
        &self,
        conference: ConferenceKey,
        key: EndpointKey,
        wanted: &Wanted,
    ) -> Option<colibri2::Transport> {
        let endpoint = self.endpoints.get(key)?;
        let asked = wanted.transport.as_ref().and_then(|t| t.sctp);
        // The role that the other bridge is to take.
        let role = asked.map(|sctp| match sctp.role {
            Some(SctpRole::Client) => SctpRole::Server,
            _ => SctpRole::Client,
        });
        let mut ice = self.describe_ice(endpoint, endpoint.transport.local_credentials(), None);
        if role.is_none() {
            // Of the two bridges the focus tells one the other's address; who dials says so and not where it is.
            let dials = endpoint.relay.as_ref().is_some_and(|relay| relay.dials.is_some());
            ice.web_sockets = if dials {
                vec![WebSocket { url: None, active: true }]
            } else {
                self.relay_urls(conference, endpoint)
            };
        }
        Some(colibri2::Transport {
            sctp: role.map(|role| Sctp { port: Some(SCTP_PORT), role: Some(role) }),
            ice: Some(ice),
            ..colibri2::Transport::default()
        })
    }

    fn set_remote(
        &mut self,
        now: Instant,
        conference: ConferenceKey,
        relay: EndpointKey,
        announced: &Announced,
        out: &mut dyn DatagramSink,
    ) {
        let spreads = self.spreads();
        let Some(c) = self.conferences.get_mut(conference.0 as usize) else { return };
        let before = c.remotes.get(&announced.id).map(|remote| remote.relay);
        let mut outlet = outlet(now, &mut self.endpoints, out);
        match before {
            // An update of somebody who is not there changes nothing, as upstream.
            before if !announced.create && before != Some(relay) => return,
            Some(other) if other != relay => {
                c.media.remove_remote_endpoint(now, other, &announced.id, &mut outlet);
            }
            _ => {}
        }
        let sources = announced.sources.as_deref().unwrap_or_default();
        if c.media.set_remote_endpoint(now, relay, &announced.id, sources, &mut outlet) {
            let id = announced.id.clone();
            let reachable = c.remotes.get(&id).is_none_or(|remote| remote.reachable);
            // Kept for parts that begin later, where there can be some.
            let sources: Arc<[_]> = if spreads { sources.into() } else { Arc::default() };
            let remote = Remote { relay, reachable, sources: Arc::clone(&sources), diarize: false };
            c.remotes.insert(id.clone(), remote);
            let person = Person { id, creation: 0, sources, diarize: false, reachable };
            self.tell_all(conference, None, || News::Known(Box::new(person.clone())));
        } else {
            self.endpoints.counters.discard(Discard::RelayEndpoint);
        }
    }

    /// Somebody is not behind a relay, or way, any more.
    pub(crate) fn remove_remote(
        &mut self,
        now: Instant,
        conference: ConferenceKey,
        relay: EndpointKey,
        id: &EndpointId,
        out: &mut dyn DatagramSink,
    ) {
        let Some(c) = self.conferences.get_mut(conference.0 as usize) else { return };
        // It may be behind another one by now.
        if c.remotes.get(id).is_some_and(|remote| remote.relay == relay) {
            c.remotes.remove(id);
            c.media.remove_remote_endpoint(now, relay, id, &mut outlet(now, &mut self.endpoints, out));
            let gone = || News::Gone { id: id.clone(), creation: 0 };
            self.tell_all(conference, Some(relay), gone);
        }
    }
}
