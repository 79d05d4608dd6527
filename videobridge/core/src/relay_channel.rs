//! The channel between bridges: texts of another bridge in; what its people say to those here, and what concerns the media
//! part, out (bridge §9.3).
//!
//! Another bridge says who spoke, and is believed as far as those behind it go: nobody here, and nobody behind another
//! relay, can be made to speak by it.

use std::time::Instant;

use jitsi_xmpp::bridge_channel::BridgeMessage;
use jitsi_xmpp::ids::EndpointId;

use crate::channel::{hello, relayed};
use crate::command::{ConferenceKey, DatagramSink};
use crate::conference::Conference;
use crate::counters::Discard;
use crate::endpoint::Channel;
use crate::limits;
use crate::mailbox::ChannelMessage;
use crate::media::EndpointKey;
use crate::shard::{Shard, outlet};

impl Shard {
    /// One message of another bridge.
    pub(crate) fn take_relay_text(
        &mut self,
        now: Instant,
        key: EndpointKey,
        channel: Channel,
        text: &str,
        out: &mut dyn DatagramSink,
    ) -> Result<(), Discard> {
        let relay = self.endpoints.get_mut(key).ok_or(Discard::ChannelUnavailable)?;
        if text.len() > limits::MAX_CHANNEL_MESSAGE || !relay.messages.take(&limits::RELAY_MESSAGES, now, 1) {
            return Err(Discard::MessageLimit);
        }
        relay.channel = Some(channel);
        let conference_key = relay.conference;
        self.at_work = Some(conference_key);
        let message = BridgeMessage::parse(text).map_err(|_| Discard::MalformedMessage)?;
        if matches!(message, BridgeMessage::EndpointMessage(_) | BridgeMessage::EndpointStats(_)) {
            let bytes = u32::try_from(text.len()).unwrap_or(u32::MAX);
            if !relay.relayed.take(&limits::RELAY_RELAYED_BYTES, now, bytes) {
                return Err(Discard::MessageLimit);
            }
        }
        self.take_relay_message(now, (conference_key, key), &message, out)
    }

    /// The same of another bridge, or another part of the conference.
    pub(crate) fn take_relay_message(
        &mut self,
        now: Instant,
        (conference_key, key): (ConferenceKey, EndpointKey),
        message: &BridgeMessage,
        out: &mut dyn DatagramSink,
    ) -> Result<(), Discard> {
        let slot = conference_key.0 as usize;
        let conference = self.conferences.get_mut(slot).ok_or(Discard::ChannelUnavailable)?;
        let mut outlet = outlet(now, &mut self.endpoints, out);
        match message {
            BridgeMessage::ClientHello => {
                outlet.state(key, &hello(self.config.announced_version.as_deref()));
            }
            BridgeMessage::EndpointMessage(said) => {
                spoken_for(conference, key, said.from.as_ref())?;
                let text = relayed(message)?;
                for to in receivers(conference, key, &said.to)? {
                    outlet.send(to, text.clone());
                }
            }
            BridgeMessage::EndpointStats(stats) => {
                let from = behind(conference, key, stats.from.as_ref())?;
                let text = relayed(message)?;
                let people = conference.endpoints.len() + conference.remotes.len();
                let everybody = people <= self.config.stats_filter_threshold;
                for to in conference.others(None) {
                    if everybody || conference.media.wants_stats_of_remote(to, key, from) {
                        outlet.send(to, text.clone());
                    }
                }
                for to in conference.relays_beyond(Some(key)) {
                    outlet.send(to, text.clone());
                }
            }
            BridgeMessage::EndpointConnectivityStatus { endpoint, active } => {
                behind(conference, key, Some(endpoint))?;
                if let Some(remote) = conference.remotes.get_mut(endpoint) {
                    remote.reachable = *active;
                }
                for to in conference.others(None).chain(conference.relays_beyond(Some(key))) {
                    if outlet.is_open(to) {
                        outlet.state(to, message);
                    }
                }
            }
            BridgeMessage::SyntheticSourceSending { .. } => {
                for to in conference.others(None).chain(conference.relays_beyond(Some(key))) {
                    outlet.send(to, ChannelMessage::state(message.clone()));
                }
            }
            BridgeMessage::AddReceiver { .. }
            | BridgeMessage::RemoveReceiver { .. }
            | BridgeMessage::SourceVideoType { .. } => {
                let known = conference.media.handle_relay_message(now, key, message, &mut outlet);
                self.arm_conference(conference_key);
                if !known {
                    return Err(Discard::RelayMessage);
                }
            }
            // Its version may differ: the focus has chosen it.
            BridgeMessage::ServerHello { .. } => {}
            _ => return Err(Discard::MalformedMessage),
        }
        Ok(())
    }
}

/// Who is behind the relay `key`.
fn behind<'a>(
    conference: &Conference,
    key: EndpointKey,
    who: Option<&'a EndpointId>,
) -> Result<&'a EndpointId, Discard> {
    let is_behind = |id: &&EndpointId| conference.remotes.get(*id).is_some_and(|r| r.relay == key);
    who.filter(is_behind).ok_or(Discard::RelayMessage)
}

/// Whether the bridge behind the relay `key` may say something in this name: of somebody who is there, or of nobody at all,
/// as a transcriber.
fn spoken_for(conference: &Conference, key: EndpointKey, who: Option<&EndpointId>) -> Result<(), Discard> {
    let who = who.ok_or(Discard::RelayMessage)?;
    let elsewhere = conference.remotes.get(who).is_some_and(|r| r.relay != key);
    if conference.endpoints.contains_key(who) || elsewhere {
        return Err(Discard::RelayMessage);
    }
    Ok(())
}

/// Who gets a message of somebody behind the relay `from`: everybody, somebody here, or somebody beyond another mesh.
fn receivers(conference: &Conference, from: EndpointKey, to: &str) -> Result<Vec<EndpointKey>, Discard> {
    if to.trim().is_empty() {
        return Ok(conference.others(None).chain(conference.relays_beyond(Some(from))).collect());
    }
    if let Some(local) = conference.endpoints.get(to) {
        return Ok(vec![*local]);
    }
    let relay = conference.remotes.get(to).map(|remote| remote.relay);
    let relay = relay.filter(|relay| conference.relays_beyond(Some(from)).any(|other| other == *relay));
    relay.map(|relay| vec![relay]).ok_or(Discard::ChannelUnavailable)
}
