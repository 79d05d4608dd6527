//! What waits for a receiver's pacing, and probes of its link: time in, packets out.

use std::time::{Duration, Instant};

use jitsi_xmpp::ids::{MediaType, Ssrc};
use videobridge_rtp::codecs::Descriptor;
use videobridge_rtp::dependency::Head;
use videobridge_rtp::{Extension, Extensions};

use super::MediaConference;
use super::member::Member;
use super::sources::Sources;
use crate::media::MediaSink;
use crate::media::bwe::prober::{BURST, LENGTH_US};
use crate::media::counters::{Counters, DropReason};
use crate::media::egress::fill::{Fill, Sendable};
use crate::media::egress::stream::Sent;
use crate::media::egress::write::{Buffers, Kept, Outgoing};
use crate::media::ids::{MemberIx, Micros, SourceRef, StreamIx};
use crate::media::ingress::negotiated::ExtensionKind;
use crate::media::ingress::source::Source;
use crate::media::packet::Packet;

impl MediaConference {
    /// Sends what may be sent by now to receivers whose packets wait, and fills up what those get whose links are probed.
    pub(super) fn pace(&mut self, now: Instant, sink: &mut dyn MediaSink) {
        self.clock.paced();
        let time = self.clock.micros(now);
        let mut changed = false;
        for (_, member) in self.members.iter_mut().filter(|(_, m)| m.up && m.is_local()) {
            while let Some(paced) = member.egress.next_paced(time) {
                let source = self.sources.get(paced.source.at).filter(|s| s.uid == paced.source.uid);
                let history = source.and_then(|s| s.history.as_ref());
                let stored = history.and_then(|h| h.lookup(paced.encoding, paced.seq));
                let (Some(source), Some(packet)) = (source, stored) else {
                    self.counters.discard(DropReason::NotInHistory);
                    continue;
                };
                let Some(payload) = member.negotiated.payload(packet.payload_type) else { continue };
                let descriptor = describe(source, &packet, payload.codec);
                let kept = Kept::of(&packet, &source.kinds);
                let (packet, descriptor, kept) = (&packet, &descriptor, &kept);
                let outgoing = Outgoing { packet, descriptor, kept, rewrite: paced.rewrite };
                let on = (MediaType::Video, paced.ssrc);
                let to = &member.negotiated;
                let sent = member.egress.send(time, on, &outgoing, to, (&mut self.buffers, sink));
                self.counters.forwarded += u64::from(sent.is_some());
            }
            let fill = member.egress.fill((now, time), member.ideal, &member.negotiated);
            let counters = &mut self.counters;
            let to = &mut Filled {
                member: &mut *member,
                own: self.feedback.video,
                sources: &self.sources,
                counters,
            };
            to.fill((now, time), fill, (&mut self.buffers, sink));
            to.copies(time, (&mut self.buffers, sink));
            while let Some(nth) = member.egress.next_speech(time) {
                self.counters.speech_again += u64::from(sink.speech_again(member.key, nth));
            }
            if let Some(due) = member.egress.speech_due() {
                self.clock.pace_by(now + Duration::from_micros(due.0.saturating_sub(time.0)));
            }
            if let Some(wait) = member.egress.pace_again(member.ideal.is_some()) {
                self.clock.pace_by(now + wait);
            }
            // What a probe came to may show while nothing is sent, and then no feedback comes that would tell.
            let caught_up = member.egress.caught_up();
            if member.egress.estimator.apply(self.config.bwe_change_threshold) || caught_up {
                member.stale = true;
                changed = true;
            }
        }
        if changed {
            self.members.settling(true);
            self.settle(now, sink);
        }
    }

    /// Takes back what waits for a receiver when it would come too late: its pictures go on with key frames.
    pub(super) fn give_up_late(&mut self, receiver: MemberIx) {
        let Some(member) = self.members.get_mut(receiver) else { return };
        if !member.egress.is_jammed() {
            return;
        }
        member.egress.give_up_waiting();
        self.members.touch(receiver);
        for (_, source) in self.sources.iter_mut().filter(|(_, s)| s.signalled.media == MediaType::Video) {
            if let Some(route) = source.route_mut(receiver) {
                route.suspend();
            }
        }
    }
}

/// A receiver whose link is probed.
struct Filled<'a> {
    member: &'a mut Member,
    /// Of the bridge.
    own: Ssrc,
    sources: &'a Sources,
    counters: &'a mut Counters,
}

impl Filled<'_> {
    fn fill(
        &mut self,
        (now, time): (Instant, Micros),
        fill: Fill,
        (buffers, sink): (&mut Buffers, &mut dyn MediaSink),
    ) {
        match fill {
            Fill::Not => {}
            Fill::Burst => {
                let sent = (0..BURST).take_while(|_| self.pad(time, None, sink)).count();
                self.counters.padding += sent as u64;
            }
            Fill::UpTo(rate, beside) => {
                // A probe of fewer packets says little.
                let most = (rate.as_f64() / 8e6 * LENGTH_US as f64) as usize / LEAST_IN_PROBE;
                while self.member.egress.room() {
                    let repeated =
                        beside.and_then(|at| self.repeat((now, time), at, most, (buffers, sink))).is_some();
                    if !repeated && self.pad(time, beside, sink) {
                        self.counters.padding += 1;
                    } else if !repeated {
                        break;
                    }
                }
            }
        }
    }

    fn pad(&mut self, time: Micros, beside: Option<StreamIx>, sink: &mut dyn MediaSink) -> bool {
        let to = &mut *self.member;
        to.egress.pad(time, beside, self.own, &to.negotiated, sink).is_some()
    }

    /// Sends what was just sent a second time, where a link loses much by itself, and what was a moment ago a third time.
    fn copies(&mut self, time: Micros, (buffers, sink): (&mut Buffers, &mut dyn MediaSink)) {
        for nth in (0..self.member.egress.copies()).rev() {
            while let Some(what) = self.member.egress.next_copy(time, nth) {
                self.once_more(time, &what, usize::MAX, (buffers, sink));
            }
        }
    }

    /// Repeats what was sent last: who lost some of it need not ask. `None`: all that is small enough is repeated.
    fn repeat(
        &mut self,
        (now, time): (Instant, Micros),
        beside: StreamIx,
        most: usize,
        out: (&mut Buffers, &mut dyn MediaSink),
    ) -> Option<()> {
        let what = self.member.egress.next_repeat(now, beside)?;
        self.once_more(time, &what, most, out)
    }

    /// Sends this once more, if it is there and has no more than `most` bytes.
    fn once_more(
        &mut self,
        time: Micros,
        Sendable { source, ssrc, sent }: &Sendable,
        most: usize,
        out: (&mut Buffers, &mut dyn MediaSink),
    ) -> Option<()> {
        let (source, packet) =
            stored(self.sources, *source, sent).filter(|(_, p)| p.payload.len() <= most)?;
        again(self.member, (time, *ssrc), sent, (source, &packet), out)?;
        self.counters.repeated += 1;
        self.counters.forwarded += 1;
        Some(())
    }
}

/// A packet that was sent, as its source keeps it.
pub(super) fn stored<'a>(
    sources: &'a Sources,
    source: SourceRef,
    sent: &Sent,
) -> Option<(&'a Source, Packet<'a>)> {
    let source = sources.get(source.at).filter(|s| s.uid == sent.epoch.source)?;
    let packet = source.history.as_ref()?.lookup(sent.epoch.encoding, sent.seq)?;
    Some((source, packet))
}

/// Sends a packet once more, beside the stream with this SSRC.
pub(super) fn again(
    to: &mut Member,
    (time, ssrc): (Micros, Ssrc),
    sent: &Sent,
    (source, packet): (&Source, &Packet<'_>),
    out: (&mut Buffers, &mut dyn MediaSink),
) -> Option<()> {
    let payload = to.negotiated.payload(packet.payload_type)?;
    let descriptor = &describe(source, packet, payload.codec);
    let rewrite = to.egress.stream_by_ssrc(ssrc)?.rewrite(sent, packet, descriptor)?;
    let outgoing = Outgoing { packet, descriptor, kept: &Kept::of(packet, &source.kinds), rewrite };
    to.egress.resend(time, ssrc, &outgoing, &to.negotiated, out)
}

/// What a stored packet's payload begins with.
pub(super) fn describe(
    source: &Source,
    packet: &Packet<'_>,
    codec: videobridge_rtp::codecs::Codec,
) -> Descriptor {
    let is_dependency = |e: &Extension<'_>| {
        source.kinds.get(usize::from(e.id.wire())) == Some(&Some(ExtensionKind::DependencyDescriptor))
    };
    let dependency = Extensions::new(packet.profile, packet.extensions).find(is_dependency);
    let head = dependency.and_then(|e| Head::parse(e.data));
    Descriptor::parse(codec, packet.payload, head)
}

const LEAST_IN_PROBE: usize = 8;
