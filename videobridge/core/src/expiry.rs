//! Who has to go and who is not reachable: time in; endpoints and conferences removed, clients told.

use std::time::Instant;

use crate::command::{ConferenceKey, DatagramSink, Event};
use crate::conference::Conference;
use crate::endpoint::Endpoint;
use crate::limits;
use crate::media::EndpointKey;
use crate::parts::News;
use crate::shard::{Shard, outlet};
use crate::transport::Consent;

impl Shard {
    /// The rules of bridge §12. Silent: the focus learns of it with its next request; but for bridges that are not reached.
    pub(crate) fn check_expiry(&mut self, now: Instant, out: &mut dyn DatagramSink) {
        let expired: Vec<_> =
            keys(self.endpoints.slab.iter().filter(|(_, e)| e.is_expired(now)).map(|(k, _)| k));
        let counters = &mut self.endpoints.counters;
        let mut unreached = Vec::new();
        for (_, endpoint) in &mut self.endpoints.slab {
            let silent = now.saturating_duration_since(endpoint.created) >= limits::ENDPOINT_NEVER_ACTIVE;
            let consent = endpoint.transport.consent();
            let failed = consent == Consent::Lost || (consent == Consent::NotYet && silent);
            if let Some(relay) = endpoint.relay.as_mut().filter(|relay| failed && !relay.has_failed) {
                relay.has_failed = true;
                unreached.push((endpoint.conference, endpoint.id.as_str().to_owned()));
                counters.relays_ice_failed += 1;
                tracing::warn!("another bridge of a conference is not reached");
            }
        }
        for (conference, relay) in unreached {
            if let Some(c) = self.conferences.get(conference.0 as usize) {
                let meeting = c.meeting.clone();
                self.endpoints.event(Event::RelayFailed { meeting, relay });
            }
        }
        for key in expired {
            if self.endpoints.get(key).is_some_and(|e| e.transport.consent() != Consent::Given) {
                self.endpoints.counters.ice_failed += 1;
            }
            self.expire_endpoint(now, key, out);
        }
        let empty = |c: &Conference| {
            c.is_home()
                && c.people() == 0
                && c.remotes.is_empty()
                && !c.is_between_meshes()
                && now.saturating_duration_since(c.created) >= limits::EMPTY_CONFERENCE
        };
        let empty: Vec<_> = self.conferences.iter().filter(|(_, c)| empty(c)).map(|(k, _)| k).collect();
        for key in empty {
            self.expire_conference(now, ConferenceKey(u32::try_from(key).unwrap_or(u32::MAX)), out);
        }
    }

    /// Looks at every endpoint twice a second: a few comparisons each, nothing per packet.
    pub(crate) fn check_connectivity(&mut self, now: Instant, out: &mut dyn DatagramSink) {
        let mut changed = Vec::new();
        let counters = &mut self.endpoints.counters;
        for (key, endpoint) in &mut self.endpoints.slab {
            self.at_work = Some(endpoint.conference);
            if !endpoint.no_channel_checked
                && endpoint
                    .transport
                    .dtls_connected_at
                    .is_some_and(|at| now.saturating_duration_since(at) >= limits::NO_CHANNEL_DELAY)
            {
                endpoint.no_channel_checked = true;
                let none = u64::from(endpoint.channel.is_none());
                if endpoint.is_relay() {
                    counters.relays_no_message_transport += none;
                } else {
                    counters.no_message_transport += none;
                }
            }
            if endpoint.is_relay() {
                continue;
            }
            let reachable = endpoint.is_reachable(now);
            if endpoint.visitor || reachable == endpoint.reachable {
                continue;
            }
            endpoint.reachable = reachable;
            changed.push(key);
            // Never having been there is no loss of a connection.
            if endpoint.last_activity().is_some() {
                if reachable {
                    counters.endpoints_reconnected += 1;
                } else {
                    counters.endpoints_disconnected += 1;
                }
            }
        }
        for key in keys(changed.into_iter()) {
            self.announce_connectivity(now, key, out);
        }
    }

    /// Removes one endpoint and tells those who are concerned.
    pub(crate) fn expire_endpoint(&mut self, now: Instant, key: EndpointKey, out: &mut dyn DatagramSink) {
        self.at_work = self.endpoints.get(key).map(|e| e.conference);
        let Some(endpoint) = self.disconnect(now, key, out) else { return };
        let conference_key = endpoint.conference;
        if let Some(conference) = self.conferences.get_mut(conference_key.0 as usize) {
            conference.endpoints.remove(&endpoint.id);
            conference.media.remove_endpoint(now, key, &mut outlet(now, &mut self.endpoints, out));
            let (id, creation) = (endpoint.id, endpoint.shown.creation);
            self.tell_all(conference_key, None, || News::Gone { id: id.clone(), creation });
            self.arm_conference(conference_key);
        }
    }

    /// Removes a relay with everybody behind it.
    pub(crate) fn expire_relay(&mut self, now: Instant, key: EndpointKey, out: &mut dyn DatagramSink) {
        self.at_work = self.endpoints.get(key).map(|e| e.conference);
        let Some(relay) = self.disconnect(now, key, out) else { return };
        if let Some(conference) = self.conferences.get_mut(relay.conference.0 as usize) {
            conference.relays.retain(|_, link| link.key != key);
            self.remove_relay(now, relay.conference, key, out);
            self.arm_conference(relay.conference);
        }
    }

    /// Ends an endpoint's connections. Its conference still has to forget it.
    fn disconnect(&mut self, now: Instant, key: EndpointKey, out: &mut dyn DatagramSink) -> Option<Endpoint> {
        self.let_channel_go(key);
        let endpoint = self.endpoints.get_mut(key)?;
        let socket = endpoint.socket.take();
        endpoint.channel = None;
        // The other bridge does not come again.
        let reason = if endpoint.is_relay() { "relay_closed" } else { "endpoint closed" };
        if let Some(socket) = socket {
            self.sockets.remove(&socket);
            self.endpoints.event(Event::CloseWebSocket { socket, code: 1001, reason });
        }
        self.endpoints.remove(now, key, out)
    }

    /// Nobody opens its channel any more.
    fn let_channel_go(&mut self, key: EndpointKey) {
        let Some(endpoint) = self.endpoints.get_mut(key) else { return };
        if endpoint.relay.as_mut().and_then(|relay| relay.dials.take()).is_none() {
            return;
        }
        let (relay, conference) = (endpoint.id.clone(), endpoint.conference);
        if let Some(conference) = self.conferences.get(conference.0 as usize).map(|c| c.id.clone()) {
            self.endpoints.event(Event::RelayChannelLetGo { conference, relay });
        }
    }

    /// Removes a conference with everybody in it.
    pub(crate) fn expire_conference(&mut self, now: Instant, key: ConferenceKey, out: &mut dyn DatagramSink) {
        self.at_work = Some(key);
        let Some(conference) = self.conferences.get(key.0 as usize) else { return };
        let all: Vec<_> = conference.everybody().collect();
        for endpoint in all {
            // Nobody stays who would have to be told.
            self.disconnect(now, endpoint, out);
        }
        self.end_ways(key, || News::End);
        let Some(conference) = self.conferences.try_remove(key.0 as usize) else { return };
        self.by_id.remove(&conference.id);
        self.count_past(now, &conference);
        if !conference.is_home() {
            return;
        }
        self.by_meeting.remove(&conference.meeting);
        self.let_go(conference.services);
        self.endpoints.event(Event::ConferenceExpired { meeting: conference.meeting });
    }

    /// Nothing more comes over the ways of a conference. What its parts are told; of a part the home is told nothing unless it failed.
    fn end_ways(&mut self, key: ConferenceKey, news: impl Fn() -> News) {
        for way in self.endpoints.ways.of(key) {
            let is_home = self.endpoints.ways.get(way).is_some_and(|w| w.part.home == self.config.index);
            let news = news();
            if is_home || matches!(news, News::Failed) {
                let news = if is_home { News::End } else { news };
                self.endpoints.tell(way, news);
            }
            self.endpoints.ways.remove(way);
        }
    }

    /// Call this after another call panicked, before anything else. The conference it was about is in an unknown state
    /// and is removed with everybody in it, without being asked anything; its channels are closed. Returns whether there
    /// was one.
    pub fn recover(&mut self, now: Instant) -> bool {
        let Some(key) = self.at_work.take() else { return false };
        // By what each endpoint says of itself: the conference's own list may be half changed.
        let all = keys(self.endpoints.slab.iter().filter(|(_, e)| e.conference == key).map(|(k, _)| k));
        for endpoint in &all {
            self.let_channel_go(*endpoint);
            self.endpoints.abandon(*endpoint);
        }
        self.endpoints.dirty.retain(|key| !all.contains(key));
        self.sockets.retain(|socket, endpoint| {
            let stays = !all.contains(endpoint);
            if !stays {
                self.endpoints.event(Event::CloseWebSocket {
                    socket: *socket,
                    code: 1011,
                    reason: "internal error",
                });
            }
            stays
        });
        // Who is in other parts has to come again with the home, and stays otherwise.
        self.end_ways(key, || News::Failed);
        self.by_meeting.retain(|_, conference| *conference != key);
        self.by_id.retain(|_, conference| *conference != key);
        let Some(conference) = self.conferences.try_remove(key.0 as usize) else { return false };
        self.count_past(now, &conference);
        self.endpoints.counters.conferences_failed += 1;
        let is_home = conference.is_home();
        self.let_go(conference.services);
        if is_home {
            self.endpoints.event(Event::ConferenceFailed { meeting: conference.meeting });
        }
        true
    }

    fn count_past(&mut self, now: Instant, conference: &Conference) {
        self.past_media.add(conference.media.counters());
        if !conference.is_home() {
            // The home counts the conference, and its speakers.
            self.past_media.dominant_speaker_changes -= conference.media.counters().dominant_speaker_changes;
            return;
        }
        let counters = &mut self.endpoints.counters;
        counters.conferences_completed += 1;
        let lasted = now.saturating_duration_since(conference.created).as_millis();
        counters.conference_milliseconds += u64::try_from(lasted).unwrap_or(u64::MAX);
    }
}

fn keys(indexes: impl Iterator<Item = usize>) -> Vec<EndpointKey> {
    indexes.filter_map(|k| u32::try_from(k).ok()).map(EndpointKey).collect()
}
