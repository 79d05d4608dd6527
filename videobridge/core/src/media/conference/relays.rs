//! Other bridges of the conference: relays and who is behind them in; what those bridges get, and what they are told, out.
//!
//! A relay is a member that gets every source whole, and endpoints behind it are members without a transport of their own.
//! So what they send is received, measured and allocated as everybody else's, and what receivers here lack is asked of the
//! bridge that sent it.

use std::time::Instant;

use jitsi_xmpp::bridge_channel::{BridgeMessage, SourceVideoType, VideoConstraints};
use jitsi_xmpp::colibri2::MediaSource;
use jitsi_xmpp::ids::{EndpointId, MediaType, SourceName};
use jitsi_xmpp::jingle::VideoType;
use smallvec::SmallVec;
use videobridge_rtp::codecs::Descriptor;

use super::MediaConference;
use super::forward::understood;
use super::member::{Member, Relay};
use crate::media::allocation::settings::fits;
use crate::media::counters::DropReason;
use crate::media::egress::filter::Described;
use crate::media::egress::numbers;
use crate::media::egress::whole::Whole;
use crate::media::egress::write::{Kept, Outgoing};
use crate::media::ids::{EncodingIx, MemberIx, SourceIx, SourceRef};
use crate::media::ingress::negotiated::between_parts;
use crate::media::limits::{MAX_EARLY_WISHES, MAX_ENDPOINTS_PER_RELAY};
use crate::media::packet::Packet;
use crate::media::{EndpointKey, MediaSink, RelayInit};

impl MediaConference {
    /// A way to another bridge. `key` must not be in use.
    pub fn add_relay(&mut self, now: Instant, key: EndpointKey, init: RelayInit) {
        self.members.add(Member::relay(now, key, init, &self.config));
        self.clock.begin(now);
    }

    /// The way is gone, and with it everybody behind it.
    pub fn remove_relay(&mut self, now: Instant, key: EndpointKey, sink: &mut dyn MediaSink) {
        let Some(index) = self.members.find(key) else { return };
        for endpoint in self.behind(index) {
            self.remove_member(endpoint, sink);
        }
        self.remove_member(index, sink);
        self.settle(now, sink);
    }

    /// Somebody is behind a relay, with all these sources. Returns false when there are too many.
    pub fn set_remote_endpoint(
        &mut self,
        now: Instant,
        relay: EndpointKey,
        id: &EndpointId,
        sources: &[MediaSource],
        sink: &mut dyn MediaSink,
    ) -> bool {
        let Some(at) = self.members.find(relay) else { return false };
        let Some(member) = self.members.get(at) else { return false };
        let Some(known) = member.as_relay().map(|r| &r.endpoints) else { return false };
        let index = match known.get(id) {
            Some(index) => *index,
            None if known.len() >= MAX_ENDPOINTS_PER_RELAY => return false,
            None => {
                let remote = Member::remote(now, (member, at), id.clone(), &self.config);
                let index = self.members.add(remote);
                if let Some(relay) = self.members.get_mut(at).and_then(Member::as_relay_mut) {
                    relay.endpoints.insert(id.clone(), index);
                }
                self.speakers.join(index);
                index
            }
        };
        self.set_sources_of(now, index, sources);
        self.take_early_wishes(index, sink);
        self.settle(now, sink);
        true
    }

    /// A relay is a way to another part of the conference on this bridge: everything that is known of a packet goes with it.
    pub fn set_part(&mut self, key: EndpointKey) {
        let Some(index) = self.members.find(key) else { return };
        if let Some(member) = self.members.get_mut(index) {
            member.negotiated.add_relay_extensions(&between_parts());
        }
        self.share_negotiated(index);
    }

    /// Whether somebody behind a relay is a member here.
    pub fn has_remote(&self, relay: EndpointKey, id: &EndpointId) -> bool {
        self.remote(relay, id).is_some()
    }

    /// See [`Self::set_diarize`].
    pub fn set_remote_diarize(&mut self, relay: EndpointKey, id: &EndpointId, on: bool) {
        let member = self.remote(relay, id).and_then(|at| self.members.get_mut(at));
        if let Some(member) = member {
            member.diarize = on;
        }
    }

    /// How many endpoints behind these relays sent audio, video, any of both within the last second.
    pub(crate) fn senders_behind(&self, now: Instant, relays: &[EndpointKey]) -> [u64; 3] {
        let relays = relays.iter().filter_map(|key| self.members.by_key(*key)?.as_relay());
        let mut sums = [0; 3];
        for member in relays.flat_map(|r| r.endpoints.values()).filter_map(|at| self.members.get(*at)) {
            let (audio, video) = self.sends(now, member);
            for (sum, sends) in sums.iter_mut().zip([audio, video, audio || video]) {
                *sum += u64::from(sends);
            }
        }
        sums
    }

    /// Somebody is not behind a relay any more.
    pub fn remove_remote_endpoint(
        &mut self,
        now: Instant,
        relay: EndpointKey,
        id: &EndpointId,
        sink: &mut dyn MediaSink,
    ) {
        let Some(index) = self.remote(relay, id) else { return };
        if let Some(relay) = self.members.by_key_mut(relay).and_then(Member::as_relay_mut) {
            relay.endpoints.remove(id);
        }
        self.remove_member(index, sink);
        self.settle(now, sink);
    }

    /// A message of another bridge. Those that are none of the media's business, or about nobody it may speak of, are
    /// ignored. Returns false for the latter.
    pub fn handle_relay_message(
        &mut self,
        now: Instant,
        from: EndpointKey,
        message: &BridgeMessage,
        sink: &mut dyn MediaSink,
    ) -> bool {
        let Some(relay) = self.members.find(from) else { return false };
        let known = match message {
            BridgeMessage::AddReceiver { source_name, video_constraints, .. } => {
                let source = self.wish_of_relay(relay, source_name, *video_constraints);
                source.into_iter().for_each(|at| self.tell_sender(at, sink));
                source.is_some()
            }
            BridgeMessage::RemoveReceiver { endpoint, .. } => {
                let sources = self.no_wishes_of_relay(relay, endpoint);
                sources.iter().for_each(|at| self.tell_sender(*at, sink));
                !sources.is_empty()
            }
            BridgeMessage::SourceVideoType { endpoint, source } => match self.remote(from, endpoint) {
                Some(index) => {
                    self.set_video_type(now, index, &source.source_name, source.video_type);
                    self.tell_relays_kind(index, source, sink);
                    true
                }
                None => false,
            },
            _ => true,
        };
        self.settle(now, sink);
        known
    }

    /// Whether `receiver` shows somebody behind a relay; see [`Self::wants_stats`].
    pub fn wants_stats_of_remote(
        &self,
        receiver: EndpointKey,
        relay: EndpointKey,
        sender: &EndpointId,
    ) -> bool {
        let (receiver, sender) = (self.members.find(receiver), self.remote(relay, sender));
        receiver.zip(sender).is_some_and(|(receiver, sender)| self.shows(receiver, sender))
    }

    /// A packet for the relays that want it.
    pub(super) fn forward_to_relays<'a>(
        &mut self,
        now: Instant,
        (at, encoding): (SourceIx, EncodingIx),
        (packet, plain): (&Packet<'a>, Option<&Packet<'a>>),
        descriptor: &Descriptor,
        kept: &Kept<'a>,
        sink: &mut dyn MediaSink,
    ) {
        let Some(source) = self.sources.get_mut(at) else { return };
        let (uid, media, time) = (source.uid, source.signalled.media, self.clock.micros(now));
        let said = Described { descriptor, frame: None };
        for place in 0..self.members.relays().len() {
            let Some(relay) = self.members.relays().get(place).copied() else { return };
            if !self.members.passes_on(source.owner, relay) {
                continue;
            }
            let Some(member) = self.members.get_mut(relay).filter(|m| m.up) else { continue };
            let Some(packet) = understood(&member.negotiated, (packet, plain)) else {
                self.counters.discard(DropReason::NotNegotiated);
                continue;
            };
            // Without a channel a bridge cannot say what it wants.
            let wanted = media == MediaType::Audio || !member.channel || source.is_wished_by(relay);
            let ssrcs = source.encodings.get(encoding.at()).map(|e| (e.ssrc, e.rtx));
            if source.relayed_mut(relay).is_none() {
                source.relayed.push(Whole::new(relay));
            }
            let Some(whole) = source.relayed_mut(relay) else { continue };
            if !wanted {
                whole.pause();
                continue;
            }
            let stream = whole.stream(encoding).or_else(|| {
                let first = numbers::first(&mut self.entropy);
                member.egress.encoding_stream(SourceRef { uid, at }, media, ssrcs?, first)
            });
            let Some(slot) = stream else {
                self.counters.discard(DropReason::NoSlot);
                continue;
            };
            whole.set_stream(encoding, slot);
            let Some(stream) = member.egress.stream_mut(slot) else { continue };
            match whole.pass(now, stream, (uid, encoding), packet, &said) {
                Ok(rewrite) => {
                    let on = (media, stream.ssrc);
                    let outgoing = Outgoing { packet, descriptor, kept, rewrite };
                    let to = &member.negotiated;
                    let sent = member.egress.send(time, on, &outgoing, to, (&mut self.buffers, sink));
                    self.counters.forwarded += u64::from(sent.is_some());
                }
                Err(_) => self.counters.discard(DropReason::BeforeSwitch),
            }
        }
    }

    /// The full state for another bridge whose channel just opened.
    pub(super) fn announce_to_relay(&mut self, relay: MemberIx, sink: &mut dyn MediaSink) {
        let Some(key) = self.members.get(relay).map(|m| m.key) else { return };
        let mut behind = false;
        for (_, source) in self.sources.iter_mut().filter(|(_, s)| s.signalled.media == MediaType::Video) {
            if self.members.carrier(source.owner) == Some(relay) {
                let wished = source.wished_height();
                let before = source.told.replace(wished);
                // Who was never told anything believes that nobody wants it.
                if wished != 0 || before.is_some_and(|told| told != 0) {
                    let message = add_receiver(&self.config.relay_id, &source.signalled.name, wished);
                    behind |= !sink.message(key, &message);
                }
            } else if source.kind != VideoType::Camera && self.members.passes_on(source.owner, relay) {
                let source_name = source.signalled.name.clone();
                let told = SourceVideoType { source_name, video_type: source.kind };
                let message =
                    BridgeMessage::SourceVideoType { endpoint: source.owner_id.clone(), source: told };
                behind |= !sink.message(key, &message);
            }
        }
        if let Some(member) = self.members.get_mut(relay) {
            member.behind |= behind;
        }
    }

    /// Tells the bridge that a source comes from the most that anybody here wants of it, if that changed.
    pub(super) fn tell_carrier(&mut self, at: SourceIx, sink: &mut dyn MediaSink) {
        let Some(source) = self.sources.get_mut(at) else { return };
        let relay = self.members.carrier(source.owner).and_then(|at| self.members.get_mut(at));
        let Some(relay) = relay.filter(|m| m.channel) else { return };
        if source.signalled.media != MediaType::Video {
            return;
        }
        let wished = source.wished_height();
        if source.told.replace(wished).unwrap_or(0) != wished {
            let message = add_receiver(&self.config.relay_id, &source.signalled.name, wished);
            relay.behind |= !sink.message(relay.key, &message);
        }
    }

    /// What bridges were told that is wanted of their sources, once more where nothing came of it.
    pub(super) fn repeat_wishes(&mut self, now: Instant, sink: &mut dyn MediaSink) {
        for (_, source) in self.sources.iter_mut().filter(|(_, s)| s.signalled.media == MediaType::Video) {
            let relay = self.members.get(source.owner).and_then(Member::behind_relay);
            let relay = relay.and_then(|at| self.members.get_mut(at)).filter(|m| m.up && m.channel);
            let (Some(relay), Some(told)) = (relay, source.told) else { continue };
            if source.unanswered.is_due(now, told, source.last_packet) {
                let message = add_receiver(&self.config.relay_id, &source.signalled.name, told);
                relay.behind |= !sink.message(relay.key, &message);
            }
        }
    }

    /// Tells other bridges what a source shows.
    pub(super) fn tell_relays_kind(
        &mut self,
        owner: MemberIx,
        source: &SourceVideoType,
        sink: &mut dyn MediaSink,
    ) {
        let Some(endpoint) = self.members.get(owner).map(|m| m.id.clone()) else { return };
        let message = BridgeMessage::SourceVideoType { endpoint, source: source.clone() };
        for place in 0..self.members.relays().len() {
            let Some(relay) = self.members.relays().get(place).copied() else { return };
            if !self.members.passes_on(owner, relay) {
                continue;
            }
            if let Some(member) = self.members.get_mut(relay).filter(|m| m.channel) {
                member.tell(&[], &message, sink);
            }
        }
    }

    /// What a relay negotiated holds for everybody behind it.
    pub(super) fn share_negotiated(&mut self, relay: MemberIx) {
        for index in self.behind(relay) {
            let Some(negotiated) = self.members.get(relay).map(|m| m.negotiated.clone()) else { return };
            let Some(member) = self.members.get_mut(index) else { continue };
            member.negotiated = negotiated;
            for source in &member.sources {
                if let Some(source) = self.sources.get_mut(*source) {
                    source.kinds = member.negotiated.kinds;
                }
            }
        }
    }

    /// So does whether it is reached.
    pub(super) fn share_up(&mut self, relay: MemberIx, up: bool) {
        for index in self.behind(relay) {
            if let Some(member) = self.members.get_mut(index) {
                member.up = up;
            }
        }
    }

    /// Everybody behind a relay.
    fn behind(&self, relay: MemberIx) -> Vec<MemberIx> {
        let relay = self.members.get(relay).and_then(Member::as_relay);
        relay.map(|relay| relay.endpoints.values().copied().collect()).unwrap_or_default()
    }

    fn remote(&self, relay: EndpointKey, id: &EndpointId) -> Option<MemberIx> {
        let relay: &Relay = self.members.by_key(relay)?.as_relay()?;
        relay.endpoints.get(id).copied()
    }

    /// What a bridge wants of a source of somebody else. `None`: there is no such source, or it comes from its own mesh.
    fn wish_of_relay(
        &mut self,
        relay: MemberIx,
        name: &SourceName,
        wanted: VideoConstraints,
    ) -> Option<SourceIx> {
        let Some(at) = self.sources.video(name) else {
            self.remember_wish(relay, name, wanted);
            return None;
        };
        let source = self.sources.get_mut(at)?;
        if !self.members.passes_on(source.owner, relay) {
            return None;
        }
        let height = if wanted.max_frame_rate == 0.0 { 0 } else { wanted.max_height.max(-1) };
        source.wish(relay, height);
        Some(at)
    }

    /// The oldest make room.
    fn remember_wish(&mut self, relay: MemberIx, name: &SourceName, wanted: VideoConstraints) {
        let relay = self.members.get_mut(relay).and_then(Member::as_relay_mut);
        let Some(early) = relay.filter(|_| fits(name)).map(|relay| &mut relay.early_wishes) else { return };
        early.retain(|(n, _)| n != name);
        if early.len() >= MAX_EARLY_WISHES {
            early.remove(0);
        }
        early.push((name.clone(), wanted));
    }

    /// Somebody has other sources than before: what bridges wished of them that heard of them first.
    pub(super) fn take_early_wishes(&mut self, owner: MemberIx, sink: &mut dyn MediaSink) {
        let sources = self.members.get(owner).map(|m| m.sources.as_slice()).unwrap_or_default();
        let names = sources.iter().filter_map(|at| Some(self.sources.get(*at)?.signalled.name.clone()));
        let names: SmallVec<[SourceName; 8]> = names.collect();
        let mut found: SmallVec<[(MemberIx, SourceName, VideoConstraints); 4]> = SmallVec::new();
        for (at, relay) in self.members.iter_mut().filter_map(|(at, m)| Some((at, m.as_relay_mut()?))) {
            let early = std::mem::take(&mut relay.early_wishes);
            let (now, later): (Vec<_>, Vec<_>) =
                early.into_iter().partition(|(name, _)| names.contains(name));
            relay.early_wishes = later;
            found.extend(now.into_iter().map(|(name, wanted)| (at, name, wanted)));
        }
        for (relay, name, wanted) in found {
            let source = self.wish_of_relay(relay, &name, wanted);
            source.into_iter().for_each(|at| self.tell_sender(at, sink));
        }
    }

    fn no_wishes_of_relay(&mut self, relay: MemberIx, owner: &EndpointId) -> Vec<SourceIx> {
        let of_owner = self.sources.iter_mut().filter(|(_, s)| s.owner_id == *owner);
        of_owner.map(|(at, source)| (source.wish(relay, 0), at).1).collect()
    }
}

fn add_receiver(bridge_id: &str, source_name: &SourceName, max_height: i32) -> BridgeMessage {
    BridgeMessage::AddReceiver {
        bridge_id: bridge_id.to_owned(),
        source_name: source_name.clone(),
        video_constraints: VideoConstraints { max_height, max_frame_rate: -1.0 },
    }
}
