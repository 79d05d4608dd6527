//! Where the bridge's parts put what endpoints are to get: packets and messages in, datagrams and events out.

use std::time::Instant;

use std::collections::VecDeque;

use jitsi_xmpp::bridge_channel::BridgeMessage;
use slab::Slab;

use crate::addresses::{Addresses, Binding};
use crate::counters::{Counters, Discard};
use crate::endpoint::{Channel, Endpoint};
use crate::mailbox::ChannelMessage;
use crate::media::{EndpointKey, ExportKey, ExportedAudio, MediaSink};
use crate::parts::{News, PartNews, Ways};
use crate::timers::{Timer, Timers};
use crate::transport::{Carrier, Consent, Path, Shared};
use crate::{DatagramSink, Event, demux, limits};

/// All endpoints of a shard with what is needed to reach them.
pub(crate) struct Endpoints {
    pub(crate) slab: Slab<Endpoint>,
    pub(crate) addresses: Addresses,
    pub(crate) timers: Timers,
    pub(crate) events: VecDeque<Event>,
    pub(crate) counters: Counters,
    pub(crate) shared: Shared,
    /// Endpoints whose transport has news for their conference.
    pub(crate) dirty: Vec<EndpointKey>,
    pub(crate) report_addresses: bool,
    /// To other parts of conferences.
    pub(crate) ways: Ways,
}

/// [`Endpoints`] during one input.
pub(crate) struct Outlet<'a> {
    pub(crate) now: Instant,
    pub(crate) endpoints: &'a mut Endpoints,
    pub(crate) out: &'a mut dyn DatagramSink,
    /// Goes out before the next message about the dominant speaker: the order of bridge §8.4.
    pub(crate) before_dominant_speaker: Vec<(EndpointKey, BridgeMessage)>,
}

impl Endpoints {
    pub(crate) fn get(&self, key: EndpointKey) -> Option<&Endpoint> {
        self.slab.get(key.0 as usize)
    }

    pub(crate) fn get_mut(&mut self, key: EndpointKey) -> Option<&mut Endpoint> {
        self.slab.get_mut(key.0 as usize)
    }

    /// Reports something to the shell.
    pub(crate) fn event(&mut self, event: Event) {
        if self.events.len() < limits::MAX_EVENTS {
            self.events.push_back(event);
        } else {
            tracing::error!("the shell does not poll: an event is lost");
        }
    }

    /// Tells another part of a conference.
    pub(crate) fn tell(&mut self, way: EndpointKey, news: News) {
        let Some((shard, part)) = self.ways.get(way).map(|way| (way.shard, way.part)) else { return };
        self.event(Event::PartNews { shard, part, news: Box::new(PartNews(news)) });
    }

    /// Moves what is ready through an endpoint's transport, binds what became certain and arms its timer.
    pub(crate) fn pump(&mut self, now: Instant, key: EndpointKey, out: &mut dyn DatagramSink) {
        let Some(endpoint) = self.slab.get_mut(key.0 as usize) else { return };
        let addresses = &mut self.addresses;
        let before = endpoint.transport.selected();
        loop {
            endpoint.transport.pump(now, &mut self.shared, out, &mut |path, message| {
                if addresses.owner(path) != Some(key)
                    && let Some(transaction) = demux::transaction(message)
                {
                    addresses.add_check(transaction, key, path);
                }
            });
            // Acknowledgements made room.
            if !endpoint.fill_channel(&mut self.counters) {
                break;
            }
        }
        endpoint.transport.take_retired().for_each(|ufrag| addresses.remove_ufrag(&ufrag));
        self.timers.arm(Timer::Endpoint(key), &mut endpoint.armed, endpoint.transport.poll_timeout());
        if endpoint.transport.has_events() && !endpoint.is_dirty {
            endpoint.is_dirty = true;
            self.dirty.push(key);
        }
        let after = endpoint.transport.selected();
        if after != before
            && let Some(path) = after
        {
            self.bind(key, path, true);
        }
    }

    /// Binds an address to an endpoint. `proof`: a check was answered from there.
    pub(crate) fn bind(&mut self, key: EndpointKey, path: Path, proof: bool) {
        let Some(endpoint) = self.get_mut(key) else { return };
        let keep = endpoint.transport.selected();
        let mut bound = std::mem::take(&mut endpoint.addresses);
        let slab = &self.slab;
        let used = |owner: EndpointKey| {
            !proof
                && slab.get(owner.0 as usize).is_some_and(|e| {
                    e.transport.selected() == Some(path) && e.transport.consent() == Consent::Given
                })
        };
        let binding = self.addresses.bind(path, key, &mut bound, keep, used);
        if let Some(endpoint) = self.get_mut(key) {
            endpoint.addresses = bound;
        }
        if let Binding::New { from, released } = binding {
            if let Some(old) = from.and_then(|from| self.get_mut(from)) {
                old.addresses.retain(|p| *p != path);
            }
            if let Some(path) = released {
                self.report(path, false);
            }
            self.report(path, true);
        }
    }

    /// Removes an endpoint and everything that leads to it.
    pub(crate) fn remove(
        &mut self,
        now: Instant,
        key: EndpointKey,
        out: &mut dyn DatagramSink,
    ) -> Option<Endpoint> {
        let mut endpoint = self.slab.try_remove(key.0 as usize)?;
        // Nothing leads to it any more, even if saying goodbye fails.
        self.addresses.remove(key, endpoint.transport.ufrags(), &endpoint.addresses);
        let failed = u64::from(endpoint.transport.dtls_failed_unsaid(now));
        if endpoint.is_relay() {
            self.counters.relays_dtls_failed += failed;
        } else {
            self.counters.dtls_failed += failed;
        }
        endpoint.transport.close(now, &mut self.shared, out);
        self.counters.rejected_data_channels += endpoint.transport.rejected_channels();
        self.release(&mut endpoint);
        Some(endpoint)
    }

    /// Removes an endpoint that is in an unknown state: nothing of it is called.
    pub(crate) fn abandon(&mut self, key: EndpointKey) -> Option<Endpoint> {
        let mut endpoint = self.slab.try_remove(key.0 as usize)?;
        endpoint.transport.give_back(&mut self.shared);
        self.addresses.forget(key);
        self.release(&mut endpoint);
        Some(endpoint)
    }

    fn release(&mut self, endpoint: &mut Endpoint) {
        if let Some(relay) = endpoint.relay.as_mut().filter(|relay| !relay.sockets.is_empty()) {
            let sockets = relay.sockets.drain(..).map(|address| address.socket).collect();
            self.event(Event::RelaySocketsReleased(sockets));
        }
        for path in std::mem::take(&mut endpoint.addresses) {
            self.report(path, false);
        }
    }

    /// Connections are where their first packet led to; datagrams arrive anywhere.
    fn report(&mut self, path: Path, bound: bool) {
        if !self.report_addresses || path.carrier != Carrier::Udp {
            return;
        }
        let Path { remote, local, .. } = path;
        self.event(match bound {
            true => Event::AddressBound { remote, local },
            false => Event::AddressReleased { remote, local },
        });
    }
}

impl Outlet<'_> {
    /// Tells an endpoint a state on its channel; it is never lost there. Returns whether there is a channel.
    pub(crate) fn state(&mut self, to: EndpointKey, message: &BridgeMessage) -> bool {
        let endpoints = &mut *self.endpoints;
        let Some(endpoint) = endpoints.slab.get_mut(to.0 as usize) else {
            return self.say(to, || ChannelMessage::state(message.clone()));
        };
        if endpoint.channel == Some(Channel::Data)
            && endpoint.mailbox.is_empty()
            && endpoint.transport.has_channel_room()
            && endpoint.transport.send_text(&message.to_json())
        {
            endpoints.counters.data_channel_messages_sent += 1;
            endpoints.pump(self.now, to, self.out);
            return true;
        }
        self.send(to, ChannelMessage::state(message.clone()))
    }

    /// Sends a message on an endpoint's channel. Returns whether there is one.
    pub(crate) fn send(&mut self, to: EndpointKey, message: ChannelMessage) -> bool {
        let endpoints = &mut *self.endpoints;
        let Some(endpoint) = endpoints.slab.get_mut(to.0 as usize) else { return self.say(to, || message) };
        match endpoint.channel {
            Some(Channel::WebSocket(socket)) => {
                endpoints.counters.web_socket_messages_sent += 1;
                endpoints.event(Event::WebSocketMessage { socket, message });
                true
            }
            Some(Channel::Data) => {
                let lost = endpoint.mailbox.push(message);
                endpoints.counters.add_lost(lost);
                if endpoint.fill_channel(&mut endpoints.counters) {
                    endpoints.pump(self.now, to, self.out);
                }
                true
            }
            None => {
                endpoints.counters.discard(Discard::ChannelUnavailable);
                false
            }
        }
    }

    /// Says something over a way. Returns whether it leads somewhere, and the thread there takes what it is told: who repeats what was not
    /// taken does so later.
    fn say(&mut self, way: EndpointKey, message: impl FnOnce() -> ChannelMessage) -> bool {
        let Some(shard) = self.endpoints.ways.get(way).map(|way| way.shard) else { return false };
        if !self.out.has_room_at(shard) {
            self.endpoints.counters.discard(Discard::PartFull);
            return false;
        }
        self.endpoints.tell(way, News::Said(message()));
        true
    }

    /// Whether an endpoint, relay or way can be told something.
    pub(crate) fn is_open(&self, to: EndpointKey) -> bool {
        match self.endpoints.get(to) {
            Some(endpoint) => endpoint.channel.is_some(),
            None => self.endpoints.ways.get(to).is_some(),
        }
    }

    /// A packet for another part.
    fn cross(&mut self, to: EndpointKey, is_rtcp: bool, parts: &[&[u8]]) {
        match self.endpoints.ways.get(to) {
            Some(way) => self.out.send_to_part(way.shard, way.part, is_rtcp, parts),
            None => self.endpoints.counters.sent_to(0, false),
        }
    }

    /// Sends what was held back for the order of bridge §8.4.
    pub(crate) fn flush_held(&mut self) {
        for (to, message) in std::mem::take(&mut self.before_dominant_speaker) {
            self.state(to, &message);
        }
    }
}

impl MediaSink for Outlet<'_> {
    fn rtp(&mut self, to: EndpointKey, parts: [&[u8]; 3]) {
        let (sent, is_relay) = match self.endpoints.slab.get_mut(to.0 as usize) {
            Some(endpoint) => (endpoint.transport.send_rtp(self.out, None, parts), endpoint.is_relay()),
            None => return self.cross(to, false, &parts),
        };
        self.endpoints.counters.sent_to(sent, is_relay);
    }

    fn speech(&mut self, to: EndpointKey, nth: u32, parts: [&[u8]; 3]) {
        let Some(endpoint) = self.endpoints.slab.get_mut(to.0 as usize) else { return };
        let sent = endpoint.transport.send_rtp(self.out, Some(nth), parts);
        self.endpoints.counters.sent_to(sent, false);
    }

    fn speech_again(&mut self, to: EndpointKey, nth: u32) -> bool {
        let Some(endpoint) = self.endpoints.slab.get_mut(to.0 as usize) else { return false };
        let sent = endpoint.transport.send_again(self.out, nth);
        if sent > 0 {
            self.endpoints.counters.sent_to(sent, false);
        }
        sent > 0
    }

    fn speech_ends(&mut self, to: EndpointKey) {
        if let Some(endpoint) = self.endpoints.slab.get_mut(to.0 as usize) {
            endpoint.transport.forget_sent();
        }
    }

    fn rtcp(&mut self, to: EndpointKey, compound: &[u8]) {
        let (sent, is_relay) = match self.endpoints.slab.get_mut(to.0 as usize) {
            Some(endpoint) => (endpoint.transport.send_rtcp(self.out, compound), endpoint.is_relay()),
            None => return self.cross(to, true, &[compound]),
        };
        self.endpoints.counters.sent_to(sent, is_relay);
    }

    fn message(&mut self, to: EndpointKey, message: &BridgeMessage) -> bool {
        if matches!(message, BridgeMessage::DominantSpeaker { .. })
            && !self.before_dominant_speaker.is_empty()
        {
            self.flush_held();
        }
        self.state(to, message)
    }

    fn export(&mut self, to: ExportKey, audio: ExportedAudio) {
        self.endpoints.event(Event::ServiceAudio { service: to, audio: Box::new(audio) });
    }
}
