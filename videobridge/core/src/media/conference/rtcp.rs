//! RTCP of endpoints: ends here. Reports become statistics and reports of our own, requests become
//! retransmissions and key frame requests to the right sender.

use std::time::{Duration, Instant};

use jitsi_xmpp::ids::{MediaType, Ssrc};
use smallvec::SmallVec;
use videobridge_rtp::rtcp::{Compound, Nack, ReportBlock, Rtcp, SenderInfo, feedback};

use super::MediaConference;
use super::member::Member;
use super::pace::{again, stored};
use crate::media::counters::DropReason;
use crate::media::ids::{Bitrate, EncodingIx, MemberIx, Micros, SourceIx, SourceRef};
use crate::media::ingress::negotiated::KeyFrameRequest;
use crate::media::ingress::source::SsrcRole;
use crate::media::ingress::throughput::Throughput;
use crate::media::keyframes::allow_source;
use crate::media::limits::{
    FEEDBACK_STATUSES, MAX_FIR_ENTRIES, MAX_NACKED_PER_PACKET, MAX_RTCP_PER_COMPOUND, REFRESHES,
    RETRANSMITTED_BYTES, RETRANSMITTED_BYTES_PER_RELAY, RTCP_PER_ENDPOINT, RTCP_PER_RELAY, SENDER_REPORTS,
};
use crate::media::{EndpointKey, MediaSink};

impl MediaConference {
    /// One decrypted RTCP compound of an endpoint.
    pub fn handle_rtcp(
        &mut self,
        now: Instant,
        from: EndpointKey,
        compound: &[u8],
        sink: &mut dyn MediaSink,
    ) {
        let Some(index) = self.members.find(from) else { return };
        for (n, packet) in Compound::new(compound).enumerate() {
            let budget = |m: &Member| if m.is_local() { &RTCP_PER_ENDPOINT } else { &RTCP_PER_RELAY };
            let allowed = |m: &mut Member| m.budgets.rtcp.take(budget(m), now, 1);
            if n == MAX_RTCP_PER_COMPOUND || !self.members.get_mut(index).is_some_and(allowed) {
                self.counters.discard(DropReason::Limit);
                break;
            }
            match packet {
                Ok(packet) => self.control(now, index, packet, sink),
                Err(_) => self.counters.discard(DropReason::MalformedRtcp),
            }
        }
        self.settle(now, sink);
    }

    fn control(&mut self, now: Instant, index: MemberIx, packet: Rtcp<'_>, sink: &mut dyn MediaSink) {
        let time = self.clock.micros(now);
        let Some(member) = self.members.get_mut(index) else { return };
        match packet {
            Rtcp::SenderReport { ssrc, info, blocks } => {
                blocks.for_each(|b| reported(now, time, member, &b, sink));
                self.sender_report(now, index, Ssrc(ssrc), &info, sink);
            }
            Rtcp::ReceiverReport { blocks, .. } => {
                blocks.for_each(|b| reported(now, time, member, &b, sink));
            }
            Rtcp::Goodbye(ssrcs) => ssrcs.for_each(|ssrc| self.goodbye(now, index, Ssrc(ssrc))),
            Rtcp::Pli { media, .. } => self.key_frame_wanted(now, index, Ssrc(media), sink),
            // The target of a FIR is in its entries, its header is unused.
            Rtcp::Fir(fir) => {
                fir.entries().take(MAX_FIR_ENTRIES).for_each(|(ssrc, _)| {
                    self.key_frame_wanted(now, index, Ssrc(ssrc), sink);
                });
            }
            Rtcp::Nack(nack) => self.resend(now, index, &nack, sink),
            // Between bridges nothing is estimated.
            Rtcp::TransportFeedback(_) | Rtcp::Remb(_) if !member.is_local() => {}
            Rtcp::TransportFeedback(feedback) => {
                let claimed = feedback.status_count.into();
                if !member.budgets.feedback.take(&FEEDBACK_STATUSES, now, claimed) {
                    self.counters.discard(DropReason::Limit);
                    return;
                }
                let matched = member.egress.estimator.transport_feedback(time, &feedback);
                if self.config.trust_bwe {
                    member.egress.set_pace(time);
                    if member.egress.look_at_speech(time) {
                        sink.speech_ends(member.key);
                    }
                }
                if matched.received + matched.lost > 0 {
                    let lost = matched.lost as f32 / (matched.received + matched.lost) as f32;
                    member.outgoing_loss += (lost - member.outgoing_loss) * NEW_LOSS;
                }
                self.counters.unmatched_feedback += matched.unknown;
                self.counters.feedback_received += matched.received;
                self.counters.feedback_lost += matched.lost;
                self.estimate_changed(index);
                self.give_up_late(index);
                let refreshes = |m: &mut Member| m.budgets.refreshes.take(&REFRESHES, now, 1);
                if matched.resumed && self.members.get_mut(index).is_some_and(refreshes) {
                    self.refresh(now, index, sink);
                }
            }
            Rtcp::Remb(remb) if member.negotiated.remb_only() => {
                member.egress.estimator.remb(Bitrate(remb.bitrate));
                self.estimate_changed(index);
            }
            _ => {}
        }
    }

    fn estimate_changed(&mut self, index: MemberIx) {
        let threshold = self.config.bwe_change_threshold;
        if self.members.get_mut(index).is_some_and(|m| m.egress.estimator.apply(threshold)) {
            self.members.touch(index);
        }
    }

    /// Passed on to everybody who gets this encoding now, in their numbers.
    fn sender_report(
        &mut self,
        now: Instant,
        owner: MemberIx,
        ssrc: Ssrc,
        info: &SenderInfo,
        sink: &mut dyn MediaSink,
    ) {
        let role = self.members.get(owner).and_then(|m| m.ssrcs.get(&ssrc)).copied();
        match role {
            Some(SsrcRole::Media { source, encoding }) => {
                let Some(source) = self.sources.get_mut(source) else { return };
                if let Some(e) = source.encoding_mut(encoding) {
                    e.received.sender_report(now, info.ntp_middle());
                    if !e.reports.take(&SENDER_REPORTS, now, 1) {
                        return self.counters.discard(DropReason::Limit);
                    }
                }
                let relayed = source.relayed.iter().map(|w| (w.receiver, w.stream(encoding)));
                let routed = source.routes.iter().filter(|r| r.current() == Some(encoding));
                for (receiver, stream) in routed.map(|r| (r.receiver, r.stream)).chain(relayed) {
                    let Some(member) = self.members.get_mut(receiver).filter(|m| m.up) else { continue };
                    let Some(at) = stream else { continue };
                    let stream = member.egress.stream(at);
                    if let Some(epoch) = stream.and_then(|s| s.epoch(source.uid, encoding)) {
                        member.egress.report(now, at, &epoch, info, sink);
                    }
                }
            }
            Some(SsrcRole::Rtx { source, encoding }) => {
                let source = self.sources.get_mut(source);
                if let Some(e) = source.and_then(|s| s.encoding_mut(encoding)) {
                    e.rtx_received.sender_report(now, info.ntp_middle());
                }
            }
            Some(SsrcRole::Fec) | None => {}
        }
    }

    /// An encoding that said goodbye is not waited for.
    fn goodbye(&mut self, now: Instant, owner: MemberIx, ssrc: Ssrc) {
        let role = self.members.get(owner).and_then(|m| m.ssrcs.get(&ssrc)).copied();
        let Some(SsrcRole::Media { source, encoding }) = role else { return };
        let Some(source) = self.sources.get_mut(source) else { return };
        let sender = source.owner;
        if let Some(e) = source.encoding_mut(encoding) {
            e.rate = Throughput::new(now);
            if std::mem::take(&mut e.active) {
                self.concern_all(now, sender);
            }
        }
    }

    /// A receiver asks for a key frame of one of its streams.
    fn key_frame_wanted(&mut self, now: Instant, receiver: MemberIx, ssrc: Ssrc, sink: &mut dyn MediaSink) {
        let Some(member) = self.members.get_mut(receiver) else { return };
        let Some(SourceRef { uid, at }) = member.egress.stream_by_ssrc(ssrc).and_then(|s| s.source) else {
            return;
        };
        let Some(source) = self.sources.get_mut(at).filter(|s| s.uid == uid) else { return };
        let rtt = self.members.rtt(source.owner);
        if let Some(encoding) = source.encodings.iter().position(|e| e.ssrc == ssrc)
            && let Some(whole) = source.relayed_mut(receiver)
        {
            if whole.requests.allow(now, rtt) {
                let encoding = EncodingIx(u8::try_from(encoding).unwrap_or(u8::MAX));
                self.ask_key_frame(now, at, encoding, sink);
            } else {
                self.counters.key_frame_requests_suppressed += 1;
            }
            return;
        }
        let Some(route) = source.route_mut(receiver) else { return };
        let encoding = route.target();
        if route.requests.allow(now, rtt) {
            self.ask_key_frame(now, at, encoding, sink);
        } else {
            self.counters.key_frame_requests_suppressed += 1;
        }
    }

    /// An endpoint is reached at another address than before, and has missed what went to the old one: pictures of others, and what its
    /// own were asked for.
    pub fn handle_path_change(&mut self, now: Instant, of: EndpointKey, sink: &mut dyn MediaSink) {
        let Some(index) = self.members.find(of) else { return };
        self.refresh(now, index, sink);
        let mut own: SmallVec<[(SourceIx, EncodingIx); 8]> = SmallVec::new();
        let members = &self.members;
        let comes = |owner| members.carrier(owner) == Some(index);
        for (at, source) in self.sources.iter_mut().filter(|(_, s)| comes(s.owner)) {
            for encoding in (0..).map(EncodingIx).take(source.encodings.len()) {
                let shown = source.routes.iter().any(|route| route.current() == Some(encoding));
                if let Some(e) = source.encodings.get_mut(encoding.at()).filter(|_| shown) {
                    e.last_key_frame_request = None;
                    own.push((at, encoding));
                }
            }
        }
        for (at, encoding) in own {
            self.ask_key_frame(now, at, encoding, sink);
        }
    }

    /// A receiver missed much of everything it gets: only key frames help, and it should not have to ask for them.
    fn refresh(&mut self, now: Instant, receiver: MemberIx, sink: &mut dyn MediaSink) {
        let mut wanted: SmallVec<[(SourceIx, EncodingIx); 32]> = SmallVec::new();
        for (at, source) in self.sources.iter_mut().filter(|(_, s)| s.signalled.media == MediaType::Video) {
            let Some(route) = source.route_mut(receiver) else { continue };
            if route.own_requests.allow_own(now) {
                wanted.push((at, route.current().unwrap_or_else(|| route.target())));
            }
        }
        for (at, encoding) in wanted {
            self.ask_key_frame(now, at, encoding, sink);
        }
    }

    /// Asks the owner of a source for a key frame, if it was not asked just now.
    pub(super) fn ask_key_frame(
        &mut self,
        now: Instant,
        at: SourceIx,
        encoding: EncodingIx,
        sink: &mut dyn MediaSink,
    ) {
        let Some(source) = self.sources.get_mut(at) else { return };
        let rtt = self.members.rtt(source.owner);
        let Some(owner) = self.members.get(source.owner).filter(|m| m.up) else { return };
        let Some(e) = source.encoding_mut(encoding) else { return };
        let Some(how) = owner.negotiated.key_frame_request() else { return };
        if !allow_source(&mut e.last_key_frame_request, now, rtt) {
            self.counters.key_frame_requests_suppressed += 1;
            return;
        }
        self.counters.key_frame_requests += 1;
        let mut buf = [0; 20];
        let len = match how {
            KeyFrameRequest::Pli => feedback::write_pli(&mut buf, self.feedback.video.0, e.ssrc.0),
            KeyFrameRequest::Fir => {
                e.fir_sequence = e.fir_sequence.wrapping_add(1);
                feedback::write_fir(&mut buf, self.feedback.video.0, e.ssrc.0, e.fir_sequence)
            }
        };
        sink.rtcp(owner.key, buf.get(..len.unwrap_or(0)).unwrap_or_default());
    }

    /// Repeats what a receiver lost, out of the sources' histories.
    fn resend(&mut self, now: Instant, receiver: MemberIx, nack: &Nack<'_>, sink: &mut dyn MediaSink) {
        let Some(member) = self.members.get_mut(receiver).filter(|m| m.up) else { return };
        if member.egress.is_behind(self.clock.micros(now)) {
            // It is asked for again when there is room.
            return self.counters.discard(DropReason::Congested);
        }
        let rtt = member.egress.rtt.unwrap_or(DEFAULT_RTT);
        let (time, media) = (self.clock.micros(now), Ssrc(nack.media));
        for sequence in nack.sequences().take(MAX_NACKED_PER_PACKET) {
            let Some(stream) = member.egress.stream_by_ssrc(media) else { return };
            let Some(sent) = stream.sent(sequence) else {
                self.counters.discard(DropReason::NotInHistory);
                continue;
            };
            let kept = stream.source.and_then(|source| stored(&self.sources, source, &sent));
            let Some((source, packet)) = kept else {
                self.counters.discard(DropReason::NotInHistory);
                continue;
            };
            if !member.egress.can_resend(media, packet.payload_type, &member.negotiated) {
                self.counters.discard(DropReason::NoRtx);
                return self.key_frame_wanted(now, receiver, media, sink);
            }
            let Some(stream) = member.egress.stream_by_ssrc(media) else { return };
            if !stream.may_resend(now, sent.out, rtt) {
                continue;
            }
            let size = u32::try_from(packet.payload.len()).unwrap_or(u32::MAX);
            let budget =
                if member.is_local() { &RETRANSMITTED_BYTES } else { &RETRANSMITTED_BYTES_PER_RELAY };
            if !member.budgets.retransmitted.take(budget, now, size) {
                return self.counters.discard(DropReason::Limit);
            }
            let kept = (source, &packet);
            if again(member, (time, media), &sent, kept, (&mut self.buffers, sink)).is_some() {
                self.counters.retransmitted += 1;
                self.counters.forwarded += 1;
            }
        }
    }
}

/// A receiver reports on a stream.
fn reported(now: Instant, time: Micros, member: &mut Member, block: &ReportBlock, sink: &mut dyn MediaSink) {
    member.egress.reported(now, block.last_sr, block.delay_since_last_sr);
    if member.is_local() && member.egress.speech_reported(time, block) {
        sink.speech_ends(member.key);
    }
}

/// Before the round-trip time is known.
const DEFAULT_RTT: Duration = Duration::from_millis(100);

/// What one report of losses counts beside those before: they come some ten times a second, so the last two seconds count most.
const NEW_LOSS: f32 = 0.05;
