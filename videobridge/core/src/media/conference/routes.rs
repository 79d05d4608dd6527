//! Who gets what: brings receivers whose inputs changed up to date.

use std::time::Instant;

use jitsi_xmpp::Entropy as _;
use jitsi_xmpp::bridge_channel::BridgeMessage;
use jitsi_xmpp::ids::MediaType;
use smallvec::SmallVec;

use super::MediaConference;
use crate::media::MediaSink;
use crate::media::allocation::allocate::{INFINITE, Share, allocate};
use crate::media::allocation::effective::{Offered, effective};
use crate::media::allocation::{Layer, enabled};
use crate::media::bwe::padding;
use crate::media::egress::projection::Projection;
use crate::media::ingress::source::Source;

impl MediaConference {
    /// Allocates anew for every receiver that is out of date, and tells whom it concerns.
    pub(super) fn settle(&mut self, now: Instant, sink: &mut dyn MediaSink) {
        if !std::mem::take(&mut self.unsettled) {
            return;
        }
        let stale: SmallVec<[usize; 32]> =
            self.members.iter().filter(|(_, m)| m.stale).map(|(i, _)| i).collect();
        for receiver in stale {
            self.route_audio(receiver);
            self.route_video(now, receiver, sink);
        }
        let sources: SmallVec<[usize; 64]> = self.sources.iter().map(|(i, _)| i).collect();
        for source in sources {
            self.tell_sender(source, sink);
        }
    }

    /// Every audio source of others that the receiver subscribed to.
    fn route_audio(&mut self, receiver: usize) {
        let Some(member) = self.members.get_mut(receiver) else { return };
        let accepts = member.negotiated.accepts(MediaType::Audio);
        for (at, source) in self.sources.iter_mut().filter(|(_, s)| s.signalled.media == MediaType::Audio) {
            let name = &source.signalled.name;
            // Synthetic audio has to be asked for by name, and then its owner may hear it as well.
            let wanted = if source.signalled.synthetic {
                member.audio.include.contains(name) && member.audio.wants(name)
            } else {
                source.owner != receiver && member.audio.wants(name)
            };
            let routed = source.routes.iter().position(|r| r.receiver == receiver);
            match routed {
                None if wanted && accepts => {
                    let own = source.encodings.first().filter(|_| !member.rewriting).map(|e| (e.ssrc, None));
                    let first = self.entropy.u32() as u16;
                    let stream = own.map(|ssrcs| {
                        member.egress.own_stream((source.uid, at), MediaType::Audio, ssrcs, first)
                    });
                    source.routes.push(Projection::new(receiver, stream, 0));
                }
                Some(i) if !wanted || !accepts => {
                    source.routes.swap_remove(i);
                    member.egress.release(source.uid);
                }
                _ => {}
            }
        }
    }

    /// The video sources within the receiver's limits and bandwidth, one encoding each.
    fn route_video(&mut self, now: Instant, receiver: usize, sink: &mut dyn MediaSink) {
        let Some(member) = self.members.get_mut(receiver) else { return };
        (member.stale, member.allocated_at) = (false, now);
        let mut offered: SmallVec<[Offered<'_>; 32]> = SmallVec::new();
        if self.members.get(receiver).is_some_and(|m| m.negotiated.accepts(MediaType::Video)) {
            for owner in self.speakers.order().iter().filter(|o| **o != receiver) {
                let Some(owner) = self.members.get(*owner) else { continue };
                for at in &owner.sources {
                    let source = self.sources.get(*at).filter(|s| s.signalled.media == MediaType::Video);
                    offered.extend(source.map(|s| Offered {
                        source: *at,
                        name: &s.signalled.name,
                        kind: s.kind,
                    }));
                }
            }
        }
        let Some(member) = self.members.get(receiver) else { return };
        let slots = i32::try_from(self.config.video_slots).unwrap_or(i32::MAX);
        let mut wanted = std::mem::take(&mut self.scratch);
        effective(&member.settings, &offered, &[self.config.jvb_last_n, slots], &mut wanted);
        drop(offered);

        let trusted = self.config.trust_bwe && member.negotiated.has_rtx();
        let estimate = member.egress.estimator.applied().filter(|_| trusted);
        let available = member.settings.assumed_bandwidth.or(estimate);
        let available = available.map_or(INFINITE, |bps| i64::try_from(bps).unwrap_or(INFINITE));
        let layers = |at: usize| self.sources.get(at).map(|s| s.layers(now)).unwrap_or_default();
        let mut shares: SmallVec<[Share; 16]> =
            wanted.iter().map(|w| Share::new(*w, &layers(w.source))).collect();
        self.scratch = wanted;
        allocate(available, &mut shares);
        let limited = estimate.is_some() && member.settings.assumed_bandwidth.is_none();
        self.probe(now, receiver, limited, &shares);

        self.assign_video(now, receiver, &shares, sink);
        let mut forwarded: SmallVec<[usize; 32]> = SmallVec::new();
        for share in &shares {
            let at = share.wanted.source;
            let Some(source) = self.sources.get_mut(at) else { continue };
            source.wish(receiver, share.wanted.max_height);
            match share.target() {
                Some(layer) => {
                    forwarded.push(at);
                    self.route(receiver, at, layer.encoding());
                }
                None => park(source, receiver),
            }
        }
        self.announce_forwarded(receiver, &forwarded, sink);
    }

    /// Whether to find out if the receiver's link carries more than is allocated.
    fn probe(&mut self, now: Instant, receiver: usize, limited: bool, shares: &[Share]) {
        let Some(member) = self.members.get_mut(receiver) else { return };
        let sum =
            |of: fn(&Share) -> Option<Layer>| shares.iter().filter_map(of).map(|l| l.bitrate).sum::<u64>();
        let (target, ideal) = (sum(Share::target), sum(Share::ideal));
        member.ideal = (limited && target < ideal).then_some(ideal);
        if member.ideal.is_some() {
            self.next_padding.get_or_insert(now + padding::PERIOD);
        }
    }

    /// Sends `encoding` of a source to a receiver from now on.
    fn route(&mut self, receiver: usize, at: usize, encoding: u8) {
        let Some(source) = self.sources.get_mut(at) else { return };
        let Some(member) = self.members.get_mut(receiver) else { return };
        let stream = if member.rewriting {
            member.egress.video.of(&member.egress.streams, source.uid)
        } else {
            let first = self.entropy.u32() as u16;
            let own = source.encodings.first().map(|e| (e.ssrc, e.rtx));
            own.map(|ssrcs| member.egress.own_stream((source.uid, at), MediaType::Video, ssrcs, first))
        };
        if let Some(i) = source.parked.iter().position(|p| p.receiver == receiver) {
            let mut parked = source.parked.swap_remove(i);
            // It starts with a key frame: what it asked for before it stopped must not keep it waiting.
            parked.forget_requests();
            source.routes.push(parked);
        }
        match source.routes.iter_mut().find(|p| p.receiver == receiver) {
            Some(route) => {
                route.set_target(encoding);
                if route.stream != stream {
                    route.stream = stream;
                    route.suspend();
                }
            }
            None => source.routes.push(Projection::new(receiver, stream, encoding)),
        }
    }

    /// Gives slots to the sources a rewriting receiver is to get, and as far as there are more slots to those it may
    /// get when it looks at them; tells it what changed.
    fn assign_video(&mut self, now: Instant, receiver: usize, shares: &[Share], sink: &mut dyn MediaSink) {
        let Some(member) = self.members.get_mut(receiver).filter(|m| m.rewriting) else { return };
        let mut chosen: SmallVec<[(u64, usize); 64]> = SmallVec::new();
        for wanted in [true, false] {
            for share in shares.iter().filter(|s| enabled(s.wanted.kind)) {
                if (share.wanted.max_height != 0) == wanted && chosen.len() < self.config.video_slots {
                    let source = self.sources.get(share.wanted.source);
                    chosen.extend(source.map(|s| (s.uid, share.wanted.source)));
                }
            }
        }
        let mut changed = false;
        for source in &chosen {
            let keep = |uid| chosen.iter().any(|(u, _)| *u == uid);
            let slot = member.egress.assign(now, MediaType::Video, *source, &mut self.entropy, keep);
            changed |= slot.is_some_and(|(_, new)| new);
        }
        if changed {
            self.announce_video(receiver, false, sink);
        }
    }

    /// Tells a sender the most anybody wants of a source, if that changed.
    pub(super) fn tell_sender(&mut self, at: usize, sink: &mut dyn MediaSink) {
        let source = self.sources.get_mut(at).filter(|s| s.signalled.media == MediaType::Video);
        let Some(source) = source else { return };
        let Some(owner) = self.members.get(source.owner).filter(|m| m.channel) else { return };
        let max_height = source.wished_height();
        if source.told.replace(max_height) != Some(max_height) {
            let source_name = source.signalled.name.clone();
            sink.message(owner.key, &BridgeMessage::SenderSourceConstraints { source_name, max_height });
        }
    }
}

fn park(source: &mut Source, receiver: usize) {
    if let Some(i) = source.routes.iter().position(|p| p.receiver == receiver) {
        let mut route = source.routes.swap_remove(i);
        route.suspend();
        source.parked.push(route);
    }
}
