//! Who gets what: brings receivers whose inputs changed up to date.

use std::time::{Duration, Instant};

use jitsi_xmpp::bridge_channel::BridgeMessage;
use jitsi_xmpp::entropy::SeededEntropy;
use jitsi_xmpp::ids::MediaType;
use smallvec::SmallVec;

use super::MediaConference;
use super::forward::carries;
use super::member::Member;
use crate::media::MediaSink;
use crate::media::allocation::allocate::{Share, allocate};
use crate::media::allocation::effective::{Offered, Wanted, effective};
use crate::media::allocation::fluent::fluent;
use crate::media::allocation::{Layer, LayerId, enabled, is_desktop};
use crate::media::egress::numbers;
use crate::media::egress::projection::Projection;
use crate::media::egress::slots::Claim;
use crate::media::ids::{Bitrate, EncodingIx, MemberIx, SourceIx, SourceRef, SourceUid};
use crate::media::ingress::source::Source;
use crate::media::limits::ALLOCATIONS_PER_RECEIVER;

/// Whose turn it is to be allocated something.
#[derive(Debug)]
pub(super) struct Turns {
    /// How many there were.
    pub(super) count: u64,
    /// When to go on with the receivers that had none yet.
    next: Option<Instant>,
    /// The receiver to go on with when not all could be allocated in one turn.
    next_stale: MemberIx,
    /// Video sources with their owners in speaker order, for one turn.
    candidates: Vec<(MemberIx, SourceIx)>,
    /// Memory reused by every allocation.
    wanted: Vec<Wanted>,
}

impl Default for Turns {
    fn default() -> Self {
        Self { count: 0, next: None, next_stale: MemberIx(0), candidates: Vec::new(), wanted: Vec::new() }
    }
}

impl MediaConference {
    /// Allocates anew for receivers that are out of date, and tells whom it concerns. In large conferences that takes
    /// several turns: packets that wait meanwhile must not be late.
    pub(super) fn settle(&mut self, now: Instant, sink: &mut dyn MediaSink) {
        if !self.members.is_unsettled() {
            return;
        }
        if let Some(at) = self.turns.next.filter(|at| *at > now) {
            self.clock.tick_by(at);
            return;
        }
        self.members.settling(false);
        self.turns.next = None;
        let mut new_audio = std::mem::take(&mut self.sources.new_audio);
        for at in new_audio.drain(..) {
            let Some(source) = self.sources.get_mut(at) else { continue };
            for (receiver, member) in self.members.iter_mut().filter(|(_, m)| m.is_local()) {
                hear(receiver, member, (at, source), &mut self.entropy);
            }
        }
        self.sources.new_audio = new_audio;
        // Whoever was allocated too often lately waits for the tick.
        let may = |m: &Member| m.budgets.allocations.has(&ALLOCATIONS_PER_RECEIVER, now, 1);
        if self.members.iter().any(|(_, m)| m.stale && !may(m)) {
            self.clock.tick_soon(now);
        }
        let mut turn: SmallVec<[MemberIx; ALLOCATIONS_PER_TURN]> = SmallVec::new();
        let more = {
            let stale = self.members.iter().filter(|(_, m)| m.stale && may(m)).map(|(i, _)| i);
            let first = stale.clone().filter(|i| *i >= self.turns.next_stale);
            let mut stale = first.chain(stale.filter(|i| *i < self.turns.next_stale));
            turn.extend(stale.by_ref().take(ALLOCATIONS_PER_TURN));
            stale.next().is_some()
        };
        if more {
            self.members.settling(true);
            self.turns.next_stale = turn.last().map_or(MemberIx(0), |last| MemberIx(last.0 + 1));
            self.turns.next = Some(now + BETWEEN_TURNS);
            self.clock.tick_by(now + BETWEEN_TURNS);
        }
        if !turn.is_empty() {
            self.turns.count += 1;
            self.find_candidates();
        }
        for receiver in turn {
            self.route_audio(receiver);
            self.route_video(now, receiver, sink);
        }
        let changed: SmallVec<[SourceIx; 64]> =
            self.sources.iter().filter(|(_, s)| s.wishes_changed).map(|(i, _)| i).collect();
        for source in changed {
            self.tell_sender(source, sink);
        }
    }

    /// The video sources of all, most recent speakers first.
    fn find_candidates(&mut self) {
        self.turns.candidates.clear();
        for owner in self.speakers.order() {
            let Some(member) = self.members.get(*owner) else { continue };
            let video =
                |at: &SourceIx| self.sources.get(*at).is_some_and(|s| s.signalled.media == MediaType::Video);
            self.turns
                .candidates
                .extend(member.sources.iter().filter(|at| video(at)).map(|at| (*owner, *at)));
        }
    }

    /// Every audio source of others that the receiver subscribed to.
    fn route_audio(&mut self, receiver: MemberIx) {
        let Some(member) = self.members.get_mut(receiver).filter(|m| m.audio_stale) else { return };
        member.audio_stale = false;
        for source in self.sources.iter_mut().filter(|(_, s)| s.signalled.media == MediaType::Audio) {
            hear(receiver, member, source, &mut self.entropy);
        }
    }

    /// The video sources within the receiver's limits and bandwidth, one encoding each.
    fn route_video(&mut self, now: Instant, receiver: MemberIx, sink: &mut dyn MediaSink) {
        let Some(member) = self.members.get_mut(receiver) else { return };
        (member.stale, member.allocated_at) = (false, now);
        let _ = member.budgets.allocations.take(&ALLOCATIONS_PER_RECEIVER, now, 1);
        let mut offered: SmallVec<[Offered<'_>; 32]> = SmallVec::new();
        if self.members.get(receiver).is_some_and(|m| m.negotiated.accepts(MediaType::Video)) {
            let others = self.turns.candidates.iter().filter(|(owner, _)| *owner != receiver);
            let offer = |at: SourceIx| {
                let s = self.sources.get(at)?;
                Some(Offered { source: at, name: &s.signalled.name, kind: s.kind })
            };
            offered.extend(others.filter_map(|(_, at)| offer(*at)));
        }
        let Some(member) = self.members.get(receiver) else { return };
        let slots = i32::try_from(self.config.video_slots).unwrap_or(i32::MAX);
        let bound = |n: Option<u32>| n.map_or(-1, |n| i32::try_from(n).unwrap_or(i32::MAX));
        // compat: as upstream, by the sources of others, and the receiver as one more (test: compat_size_is_that_of_sources).
        let size = bound(self.config.last_n_by_size.of(offered.len() + 1));
        let limits = [self.config.jvb_last_n, size, bound(self.config.load_last_n), slots];
        let mut wanted = std::mem::take(&mut self.turns.wanted);
        effective(&member.settings, &offered, &limits, &mut wanted);
        drop(offered);

        let Some(member) = self.members.get_mut(receiver) else { return };
        // Without trust in estimates nothing waits for one either.
        if self.config.trust_bwe && member.negotiated.transport_cc() {
            let time = self.clock.micros(now);
            member.egress.estimator.begin();
            member.egress.set_pace(time);
        }
        let trusted = self.config.trust_bwe && member.negotiated.has_rtx();
        let estimate = member.egress.estimator.applied().filter(|_| trusted);
        let estimate = estimate.map(|e| member.egress.beside_what_waits(e));
        let available = member.settings.assumed_bandwidth.or(estimate);
        let loss = if trusted { member.egress.estimator.applied_loss() } else { 0.0 };
        let limited = estimate.is_some() && member.settings.assumed_bandwidth.is_none();
        let (rests, free) = (trusted && member.egress.estimator.rests(), member.egress.estimator.is_free());
        let mut shares = self.divide(now, &wanted, (available, loss));
        if let Some(available) = available.filter(|_| limited && free) {
            self.keep(receiver, available, &mut shares);
        }
        self.probe(now, receiver, (limited, estimate, loss), &shares);

        self.assign_video(now, receiver, &wanted, sink);
        self.turns.wanted = wanted;
        self.drop_video(receiver, &shares);
        let mut forwarded: SmallVec<[SourceIx; 32]> = SmallVec::new();
        let mut resting = Bitrate::ZERO;
        let most_at_rest = available.map_or(Bitrate::ZERO, |a| Bitrate((a.as_f64() * AT_REST) as u64));
        for share in &shares {
            let at = share.wanted.source;
            let Some(source) = self.sources.get_mut(at) else { continue };
            source.wish(receiver, share.wanted.max_height);
            match share.target() {
                Some(layer) => {
                    // Until a long queue is gone there is room for the least of a few.
                    let layer = share.least().filter(|_| rests).unwrap_or(layer);
                    resting.0 += layer.bitrate.0;
                    let held = rests && !forwarded.is_empty() && resting > most_at_rest;
                    forwarded.push(at);
                    self.route(receiver, at, layer.id);
                    let route = self.sources.get_mut(at).and_then(|s| s.route_mut(receiver));
                    route.into_iter().for_each(|route| route.hold(held));
                }
                None => source.park(receiver),
            }
        }
        self.announce_forwarded(receiver, &forwarded, sink);
    }

    /// What of the sources fits into `available`, on a link that loses this share of all packets by itself.
    fn divide(
        &mut self,
        now: Instant,
        wanted: &[Wanted],
        (available, loss): (Option<Bitrate>, f64),
    ) -> SmallVec<[Share; 16]> {
        // In a large conference most sources are beyond last-n and have no part in this, except that being first counts.
        let part = wanted.iter().enumerate().filter(|(place, w)| *place == 0 || w.max_height != 0);
        let mut shares: SmallVec<[Share; 16]> = SmallVec::new();
        for (_, one) in part {
            let source = self.sources.get_mut(one.source);
            let layers = source.map(|s| s.layers(now, self.turns.count)).unwrap_or_default();
            let unknown = available.is_some() && layers.iter().all(|l| l.bitrate == Bitrate::ZERO);
            shares.push(if unknown {
                Share::new(*one, &likely(layers))
            } else if loss > 0.0 && !is_desktop(one.kind) {
                Share::new(*one, &fluent(layers, loss))
            } else {
                Share::new(*one, layers)
            });
        }
        allocate(available, &mut shares);
        shares
    }

    /// Divides anew what it gets now, if that is a little more than `available`: rates go up and down, and as long as nothing stands
    /// in line pictures need not become smaller for a moment because of it.
    fn keep(&mut self, receiver: MemberIx, available: Bitrate, shares: &mut [Share]) {
        let costs = shares.iter().filter_map(|share| {
            let route = self.sources.get_mut(share.wanted.source)?.route_mut(receiver)?;
            share.bitrate_of(route.layer())
        });
        let costs: Bitrate = costs.sum();
        if costs > available && costs.as_f64() <= available.as_f64() * A_LITTLE_MORE {
            let given: Bitrate = shares.iter().filter_map(|s| s.target()).map(|l| l.bitrate).sum();
            allocate(Some(Bitrate((costs.0 + 1).saturating_sub(given.0))), shares);
        }
    }

    /// Takes away what the receiver got the last time and does not get any more.
    fn drop_video(&mut self, receiver: MemberIx, shares: &[Share]) {
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
    fn probe(
        &mut self,
        now: Instant,
        receiver: MemberIx,
        (limited, estimate, loss): (bool, Option<Bitrate>, f64),
        shares: &[Share],
    ) {
        let Some(member) = self.members.get_mut(receiver) else { return };
        let sum = |of: fn(&Share) -> Option<Layer>| {
            shares.iter().filter_map(of).map(|l| l.bitrate).sum::<Bitrate>()
        };
        let (target, ideal) = (sum(Share::target), sum(Share::ideal));
        let target_any = shares.iter().any(|s| s.target().is_some());
        member.lacks_source = limited && shares.iter().any(|s| s.target().is_none() && s.ideal().is_some());
        member.ideal = (limited && target < ideal).then_some(ideal);
        member.egress.set_target(target, estimate, loss);
        if member.ideal.is_some() || member.egress.copies() > 0 {
            self.clock.pace_by(now + LOOK);
        }
        if member.up && target_any && member.egress.estimator.is_untried() {
            self.clock.pace_by(now);
        }
    }

    /// Sends `layer` of a source to a receiver from now on.
    fn route(&mut self, receiver: MemberIx, at: SourceIx, layer: LayerId) {
        let Some(source) = self.sources.get_mut(at) else { return };
        let Some(member) = self.members.get_mut(receiver) else { return };
        let known = source.route_at(receiver).ok().and_then(|at| source.routes.get_mut(at));
        // Mostly it goes on in its slot, and slots are long to search.
        if let Some(route) = known
            && route.stream.is_some_and(|s| carries(&member.egress, s, source.uid))
        {
            route.set_target(layer);
            return;
        }
        let stream = if member.rewriting {
            member.egress.video_slot(source.uid)
        } else {
            let first = numbers::first(&mut self.entropy);
            let own = source.encodings.first().map(|e| (e.ssrc, e.rtx));
            own.and_then(|ssrcs| {
                member.egress.own_stream(SourceRef { uid: source.uid, at }, MediaType::Video, ssrcs, first)
            })
        };
        source.unpark(receiver);
        match source.route_at(receiver) {
            Ok(at) => {
                let Some(route) = source.routes.get_mut(at) else { return };
                route.set_target(layer);
                if route.stream != stream {
                    route.stream = stream;
                    route.suspend();
                }
            }
            Err(at) => source.routes.insert(at, Projection::new(receiver, stream, layer)),
        }
    }

    /// Gives slots to the sources a rewriting receiver is to get, and as far as there are more slots to those it may
    /// get when it looks at them; tells it what changed.
    fn assign_video(&mut self, now: Instant, receiver: MemberIx, all: &[Wanted], sink: &mut dyn MediaSink) {
        let Some(member) = self.members.get_mut(receiver).filter(|m| m.rewriting) else { return };
        let mut chosen: SmallVec<[Claim; 64]> = SmallVec::new();
        for wanted in [true, false] {
            for one in all.iter().filter(|w| enabled(w.kind) && (w.max_height != 0) == wanted) {
                if chosen.len() >= self.config.video_slots {
                    break;
                }
                chosen.extend(self.sources.get(one.source).map(|s| s.claim(one.source)));
            }
        }
        let mut have: SmallVec<[SourceUid; 64]> = member.egress.carried_video().collect();
        have.sort_unstable();
        let mut changed = false;
        for claim in chosen.iter().filter(|c| have.binary_search(&c.source.uid).is_err()) {
            let keep = |uid| chosen.iter().any(|c| c.source.uid == uid);
            let slot = member.egress.assign(now, MediaType::Video, *claim, &mut self.entropy, keep);
            changed |= slot.is_some_and(|(_, new)| new);
        }
        if changed {
            self.announce_video(receiver, false, sink);
        }
    }

    /// Tells a sender the most anybody wants of a source, if that changed.
    pub(super) fn tell_sender(&mut self, at: SourceIx, sink: &mut dyn MediaSink) {
        let Some(source) = self.sources.get_mut(at) else { return };
        // Whoever has no channel yet is told everything when it opens.
        source.wishes_changed = false;
        let carrier = self.members.carrier(source.owner);
        if carrier != Some(source.owner) {
            return self.tell_carrier(at, sink);
        }
        let owner = self.members.get_mut(source.owner).filter(|m| m.channel);
        let Some(owner) = owner.filter(|_| source.signalled.media == MediaType::Video) else { return };
        let max_height = source.wished_height();
        if source.told.replace(max_height) != Some(max_height) {
            let source_name = source.signalled.name.clone();
            let message = BridgeMessage::SenderSourceConstraints { source_name, max_height };
            owner.behind |= !sink.message(owner.key, &message);
        }
    }
}

/// What is got may cost so much of what is known to be carried before it is too much.
const A_LITTLE_MORE: f64 = 1.2;

/// Of what is carried, while nearly nothing is sent: what comes then waits, but not for long.
const AT_REST: f64 = 0.75;

/// What layers that send nothing yet probably cost: without that everybody would begin with all of them in full size.
fn likely(layers: &[Layer]) -> SmallVec<[Layer; 9]> {
    layers.iter().map(|l| Layer { bitrate: Layer::likely_bitrate(l.height), ..*l }).collect()
}

/// Routes one audio source to one receiver if it is to hear it.
fn hear(
    receiver: MemberIx,
    member: &mut Member,
    (at, source): (SourceIx, &mut Source),
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
            let first = numbers::first(entropy);
            let stream = own.and_then(|ssrcs| {
                member.egress.own_stream(SourceRef { uid: source.uid, at }, MediaType::Audio, ssrcs, first)
            });
            source
                .routes
                .insert(place, Projection::new(receiver, stream, LayerId::all_of(EncodingIx::FIRST)));
        }
        Ok(place) if !wanted => {
            source.routes.remove(place);
            member.egress.release(source.uid);
        }
        _ => {}
    }
}

/// Receivers allocated in one turn: well below a millisecond, when everybody sees fifty cameras.
pub(super) const ALLOCATIONS_PER_TURN: usize = 32;
/// How soon to look whether a link can be probed.
const LOOK: Duration = Duration::from_millis(5);
/// For packets.
const BETWEEN_TURNS: Duration = Duration::from_millis(5);
