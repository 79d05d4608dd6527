//! The bridge channel: texts of clients in; what the bridge answers, relays or hands to the media part out.
//!
//! The same JSON goes over the SCTP data channel and the WebSocket; the one opened, or used by the client, last is
//! where we send (bridge §3.5, §8).

use std::time::Instant;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use jitsi_xmpp::bridge_channel::{BridgeMessage, ClientMessage, EndpointMessage};
use jitsi_xmpp::ids::EndpointId;
use serde_json::{Map, Value};

use crate::command::{DatagramSink, Event, SocketId};
use crate::counters::Discard;
use crate::endpoint::Channel;
use crate::limits;
use crate::mailbox::ChannelMessage;
use crate::media::{EndpointKey, ExportKey};
use crate::shard::{Shard, outlet};

impl Shard {
    /// A WebSocket asks to be let in. What is wrong is not told.
    pub(crate) fn open_web_socket(
        &mut self,
        now: Instant,
        socket: SocketId,
        conference: &str,
        endpoint: &EndpointId,
        password: &str,
        out: &mut dyn DatagramSink,
    ) {
        let key = self.by_id.get(conference).and_then(|c| self.conferences.get(c.0 as usize)).and_then(|c| {
            let relay = || c.relays.get(endpoint.as_str()).map(|link| link.key);
            c.endpoints.get(endpoint).copied().or_else(relay)
        });
        let Some(key) = key.filter(|key| {
            self.endpoints.get(*key).is_some_and(|e| {
                verify_slices_are_equal(e.password.reveal().as_bytes(), password.as_bytes()).is_ok()
            })
        }) else {
            return self.endpoints.event(Event::WebSocketRefused { socket });
        };
        if let Some(endpoint) = self.endpoints.get_mut(key)
            && let Some(old) = endpoint.socket.replace(socket)
        {
            self.sockets.remove(&old);
            self.endpoints.event(Event::CloseWebSocket { socket: old, code: 1000, reason: "replaced" });
        }
        self.sockets.insert(socket, key);
        self.endpoints.event(Event::WebSocketAccepted { socket });
        self.channel_open(now, key, Channel::WebSocket(socket), out);
    }

    /// A WebSocket is gone; the data channel takes over if it is open.
    pub(crate) fn web_socket_closed(&mut self, now: Instant, socket: SocketId, out: &mut dyn DatagramSink) {
        let Some(key) = self.sockets.remove(&socket) else { return };
        if let Some(endpoint) = self.endpoints.get_mut(key) {
            endpoint.socket = None;
        }
        self.channel_closed(now, key, Channel::WebSocket(socket), out);
    }

    /// A channel is open: greeting and state, in the order of bridge §8.4.
    pub(crate) fn channel_open(
        &mut self,
        now: Instant,
        key: EndpointKey,
        channel: Channel,
        out: &mut dyn DatagramSink,
    ) {
        let Some(endpoint) = self.endpoints.get_mut(key) else { return };
        endpoint.channel = Some(channel);
        // What waited for the channel before is part of what follows.
        endpoint.mailbox.clear();
        let conference_key = endpoint.conference;
        self.at_work = Some(conference_key);
        let Some(conference) = self.conferences.get_mut(conference_key.0 as usize) else { return };
        let local = conference.others(None).filter_map(|other| self.endpoints.get(other));
        let local = local.filter(|e| !e.visitor && !e.reachable).map(|e| &e.id);
        let remote = conference.remotes.iter().filter(|(_, r)| !r.reachable).map(|(id, _)| id);
        let is_relay = self.endpoints.get(key).is_some_and(|e| e.is_relay());
        let all = local.chain(remote).filter(|_| !is_relay);
        let inactive: Vec<_> = all.map(|id| (key, connectivity(id, false))).collect();
        let mut outlet = outlet(now, &mut self.endpoints, out);
        if matches!(channel, Channel::WebSocket(_)) {
            // compat: upstream greets on a WebSocket only; on the data channel only when asked
            // (test: compat_a_data_channel_is_greeted_only_when_asked).
            outlet.state(key, &hello(self.config.announced_version.as_deref()));
        }
        outlet.before_dominant_speaker = inactive;
        conference.media.set_channel_open(now, key, true, &mut outlet);
        outlet.flush_held();
        self.arm_conference(conference_key);
    }

    /// A channel is closed; another one of the same endpoint is used from now on. What was on its way is lost, so it
    /// begins with the full state, too.
    pub(crate) fn channel_closed(
        &mut self,
        now: Instant,
        key: EndpointKey,
        channel: Channel,
        out: &mut dyn DatagramSink,
    ) {
        let Some(endpoint) = self.endpoints.get_mut(key) else { return };
        self.at_work = Some(endpoint.conference);
        if channel == Channel::Data {
            endpoint.mailbox.clear();
        }
        if endpoint.channel != Some(channel) {
            return;
        }
        let other = match (channel, endpoint.socket) {
            (Channel::Data, Some(socket)) => Some(Channel::WebSocket(socket)),
            (Channel::WebSocket(_), _) if endpoint.transport.is_channel_open() => Some(Channel::Data),
            _ => None,
        };
        if let Some(other) = other {
            return self.channel_open(now, key, other, out);
        }
        endpoint.channel = None;
        if let Some(conference) = self.conferences.get_mut(endpoint.conference.0 as usize) {
            conference.media.set_channel_open(now, key, false, &mut outlet(now, &mut self.endpoints, out));
        }
    }

    /// One message of a client.
    pub(crate) fn channel_text(
        &mut self,
        now: Instant,
        key: EndpointKey,
        channel: Channel,
        text: &str,
        out: &mut dyn DatagramSink,
    ) {
        if let Err(reason) = self.take_text(now, key, channel, text, out) {
            self.endpoints.counters.discard(reason);
        }
    }

    fn take_text(
        &mut self,
        now: Instant,
        key: EndpointKey,
        channel: Channel,
        text: &str,
        out: &mut dyn DatagramSink,
    ) -> Result<(), Discard> {
        let endpoint = self.endpoints.get_mut(key).ok_or(Discard::ChannelUnavailable)?;
        if endpoint.is_relay() {
            return self.take_relay_text(now, key, channel, text, out);
        }
        if text.len() > limits::MAX_CHANNEL_MESSAGE
            || !endpoint.messages.take(&limits::CHANNEL_MESSAGES, now, 1)
        {
            return Err(Discard::MessageLimit);
        }
        endpoint.channel = Some(channel);
        let (from, visitor, conference_key) = (endpoint.id.clone(), endpoint.visitor, endpoint.conference);
        self.at_work = Some(conference_key);
        let conference =
            self.conferences.get_mut(conference_key.0 as usize).ok_or(Discard::ChannelUnavailable)?;
        let message = ClientMessage::parse(text).map_err(|_| Discard::MalformedMessage)?;
        if matches!(message, ClientMessage::EndpointMessage(_) | ClientMessage::EndpointStats(_)) {
            if visitor {
                return Err(Discard::VisitorMessage);
            }
            // By sender, so that nobody can fill the others' mailboxes.
            let bytes = u32::try_from(text.len()).unwrap_or(u32::MAX);
            if !endpoint.relayed.take(&limits::CHANNEL_RELAYED_BYTES, now, bytes) {
                return Err(Discard::MessageLimit);
            }
        }
        let mut outlet = outlet(now, &mut self.endpoints, out);
        match message {
            ClientMessage::ClientHello => {
                outlet.state(key, &hello(self.config.announced_version.as_deref()));
            }
            ClientMessage::EndpointMessage(mut message) => {
                message.from = Some(from);
                let to = std::mem::take(&mut message.to);
                let target = conference.endpoints.get(to.as_str()).copied();
                let target = target.or_else(|| conference.remotes.get(to.as_str()).map(|r| r.relay));
                message.to = to;
                let everybody = message.to.is_empty();
                let text = relayed(&BridgeMessage::EndpointMessage(message))?;
                match target {
                    Some(target) => {
                        outlet.send(target, text);
                    }
                    None if everybody => {
                        for to in conference.others(Some(key)).chain(conference.relays_beyond(None)) {
                            outlet.send(to, text.clone());
                        }
                    }
                    None => return Err(Discard::ChannelUnavailable),
                }
            }
            ClientMessage::EndpointStats(mut stats) => {
                stats.from = Some(from);
                let text = relayed(&BridgeMessage::EndpointStats(stats))?;
                let people = conference.endpoints.len() + conference.remotes.len();
                let everybody = people <= self.config.stats_filter_threshold;
                for to in conference.others(Some(key)) {
                    if everybody || conference.media.wants_stats(to, key) {
                        outlet.send(to, text.clone());
                    }
                }
                for to in conference.relays_beyond(None) {
                    outlet.send(to, text.clone());
                }
            }
            ClientMessage::Unknown { .. } => return Err(Discard::MalformedMessage),
            message => {
                conference.media.handle_channel_message(now, key, &message, &mut outlet);
                self.arm_conference(conference_key);
            }
        }
        Ok(())
    }

    /// What a service outside has written of what was said, for everybody.
    pub(crate) fn tell_transcription(
        &mut self,
        now: Instant,
        service: ExportKey,
        result: Map<String, Value>,
        out: &mut dyn DatagramSink,
    ) {
        let Some(key) = self.services.get(&service).copied() else { return };
        self.at_work = Some(key);
        let Some(conference) = self.conferences.get(key.0 as usize) else { return };
        let message = BridgeMessage::EndpointMessage(EndpointMessage {
            from: Some(EndpointId::new(TRANSCRIBER)),
            to: String::new(),
            other: Map::from_iter([("msgPayload".to_owned(), result.into())]),
        });
        let text = match relayed(&message) {
            Ok(text) => text,
            Err(reason) => return self.endpoints.counters.discard(reason),
        };
        let mut outlet = outlet(now, &mut self.endpoints, out);
        for to in conference.others(None) {
            if outlet.endpoints.get(to).is_some_and(|e| e.channel.is_some()) {
                outlet.send(to, text.clone());
            }
        }
        for way in &conference.ways {
            outlet.send(*way, text.clone());
        }
    }

    /// Announces that an endpoint's media arrives again, or not any more, to everybody.
    pub(crate) fn announce_connectivity(
        &mut self,
        now: Instant,
        key: EndpointKey,
        out: &mut dyn DatagramSink,
    ) {
        let Some(endpoint) = self.endpoints.get(key) else { return };
        let status = connectivity(&endpoint.id, endpoint.reachable);
        self.at_work = Some(endpoint.conference);
        let Some(conference) = self.conferences.get(endpoint.conference.0 as usize) else { return };
        let mut outlet = outlet(now, &mut self.endpoints, out);
        for to in conference.everybody().chain(conference.ways.iter().copied()) {
            if outlet.is_open(to) {
                outlet.state(to, &status);
            }
        }
    }
}

pub(crate) fn connectivity(endpoint: &EndpointId, active: bool) -> BridgeMessage {
    BridgeMessage::EndpointConnectivityStatus { endpoint: endpoint.clone(), active }
}

pub(crate) fn hello(version: Option<&str>) -> BridgeMessage {
    BridgeMessage::ServerHello { version: version.map(str::to_owned) }
}

/// Who said what a service outside wrote, as clients know it.
const TRANSCRIBER: &str = "transcriber";

/// What a client said to others. With the sender's name it may be larger than any client's stack takes.
pub(crate) fn relayed(message: &BridgeMessage) -> Result<ChannelMessage, Discard> {
    let text = message.to_json();
    if text.len() > limits::MAX_CHANNEL_MESSAGE {
        return Err(Discard::MessageLimit);
    }
    Ok(ChannelMessage::Chatter(text.into()))
}
