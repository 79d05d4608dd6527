//! Who gets what: brings receivers whose inputs changed up to date.

use std::time::Instant;

use jitsi_xmpp::Entropy as _;
use jitsi_xmpp::bridge_channel::BridgeMessage;
use jitsi_xmpp::entropy::SeededEntropy;
use jitsi_xmpp::ids::MediaType;
use smallvec::SmallVec;

use super::MediaConference;
use super::member::Member;
use crate::media::MediaSink;
use crate::media::allocation::allocate::{INFINITE, Share, allocate};
use crate::media::allocation::effective::{Offered, Wanted, effective};
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
        let mut new_audio = std::mem::take(&mut self.new_audio);
        for at in new_audio.drain(..) {
            let Some(source) = self.sources.get_mut(at) else { continue };
            for (receiver, member) in &mut self.members {
                hear(receiver, member, (at, source), &mut self.entropy);
            }
        }
        self.new_audio = new_audio;
        let stale: SmallVec<[usize; 32]> =
            self.members.iter().filter(|(_, m)| m.stale).map(|(i, _)| i).collect();
        for receiver in stale {
            self.route_audio(receiver);
            self.route_video(now, receiver, sink);
        }
        let changed: SmallVec<[usize; 32]> =
            self.sources.iter().filter(|(_, s)| s.wishes_changed).map(|(i, _)| i).collect();
        for source in changed {
            self.tell_sender(source, sink);
        }
    }

    /// Every audio source of others that the receiver subscribed to.
    fn route_audio(&mut self, receiver: usize) {
        let Some(member) = self.members.get_mut(receiver).filter(|m| m.audio_stale) else { return };
        member.audio_stale = false;
        for source in self.sources.iter_mut().filter(|(_, s)| s.signalled.media == MediaType::Audio) {
            hear(receiver, member, source, &mut self.entropy);
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
        // In a large conference most sources are beyond last-n and have no part in this, except that being first counts.
        let part = wanted.iter().enumerate().filter(|(place, w)| *place == 0 || w.max_height != 0);
        let mut shares: SmallVec<[Share; 16]> =
            part.map(|(_, w)| Share::new(*w, &layers(w.source))).collect();
        allocate(available, &mut shares);
        let limited = estimate.is_some() && member.settings.assumed_bandwidth.is_none();
        self.probe(now, receiver, limited, &shares);

        self.assign_video(now, receiver, &wanted, sink);
        self.scratch = wanted;
        self.drop_video(receiver, &shares);
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
                None => source.park(receiver),
            }
        }
        self.announce_forwarded(receiver, &forwarded, sink);
    }

    /// Takes away what the receiver got the last time and does not get any more.
    fn drop_video(&mut self, receiver: usize, shares: &[Share]) {
        let Some(member) = self.members.get_mut(receiver) else { return };
        for at in member.allocated.drain(..) {
            if shares.iter().any(|s| s.wanted.source == at) {
                continue;
            }
            // Its place may belong to another source by now, even to one of audio.
            let source = self.sources.get_mut(at).filter(|s| s.signalled.media == MediaType::Video);
            if let Some(source) = source {
                source.wish(receiver, 0);
                source.park(receiver);
            }
        }
        member.allocated.extend(shares.iter().map(|s| s.wanted.source));
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
        source.unpark(receiver);
        match source.route_at(receiver) {
            Ok(at) => {
                let Some(route) = source.routes.get_mut(at) else { return };
                route.set_target(encoding);
                if route.stream != stream {
                    route.stream = stream;
                    route.suspend();
                }
            }
            Err(at) => source.routes.insert(at, Projection::new(receiver, stream, encoding)),
        }
    }

    /// Gives slots to the sources a rewriting receiver is to get, and as far as there are more slots to those it may
    /// get when it looks at them; tells it what changed.
    fn assign_video(&mut self, now: Instant, receiver: usize, all: &[Wanted], sink: &mut dyn MediaSink) {
        let Some(member) = self.members.get_mut(receiver).filter(|m| m.rewriting) else { return };
        let mut chosen: SmallVec<[(u64, usize); 64]> = SmallVec::new();
        for wanted in [true, false] {
            for one in all.iter().filter(|w| enabled(w.kind) && (w.max_height != 0) == wanted) {
                if chosen.len() >= self.config.video_slots {
                    break;
                }
                chosen.extend(self.sources.get(one.source).map(|s| (s.uid, one.source)));
            }
        }
        let mut have: SmallVec<[u64; 64]> = member.egress.carried_video().collect();
        have.sort_unstable();
        let mut changed = false;
        for source in chosen.iter().filter(|(uid, _)| have.binary_search(uid).is_err()) {
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
        source.wishes_changed = false;
        let max_height = source.wished_height();
        if source.told.replace(max_height) != Some(max_height) {
            let source_name = source.signalled.name.clone();
            sink.message(owner.key, &BridgeMessage::SenderSourceConstraints { source_name, max_height });
        }
    }
}

/// Routes one audio source to one receiver if it is to hear it.
fn hear(
    receiver: usize,
    member: &mut Member,
    (at, source): (usize, &mut Source),
    entropy: &mut SeededEntropy,
) {
    let name = &source.signalled.name;
    // Synthetic audio has to be asked for by name, and then its owner may hear it as well.
    let wanted = if source.signalled.synthetic {
        member.audio.include.contains(name) && member.audio.wants(name)
    } else {
        source.owner != receiver && member.audio.wants(name)
    };
    let wanted = wanted && member.negotiated.accepts(MediaType::Audio);
    match source.route_at(receiver) {
        Err(place) if wanted => {
            let own = source.encodings.first().filter(|_| !member.rewriting).map(|e| (e.ssrc, None));
            let first = entropy.u32() as u16;
            let stream =
                own.map(|ssrcs| member.egress.own_stream((source.uid, at), MediaType::Audio, ssrcs, first));
            source.routes.insert(place, Projection::new(receiver, stream, 0));
        }
        Ok(place) if !wanted => {
            source.routes.remove(place);
            member.egress.release(source.uid);
        }
        _ => {}
    }
}
