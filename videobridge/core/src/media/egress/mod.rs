//! What one receiver is sent: packets of the sources routed to it in; rewritten packets, retransmissions and sender
//! reports out.

pub(crate) mod copies;
pub(crate) mod fill;
pub(crate) mod filter;
pub(crate) mod holes;
pub(crate) mod numbers;
pub(crate) mod paced;
pub(crate) mod projection;
pub(crate) mod slots;
pub(crate) mod speech;
pub(crate) mod stream;
#[cfg(test)]
mod tests;
pub(crate) mod whole;
pub(crate) mod write;

use std::time::{Duration, Instant};

use foldhash::HashMap;
use jitsi_xmpp::Entropy;
use jitsi_xmpp::ids::{MediaType, Ssrc};
use videobridge_rtp::rtcp::{SenderInfo, report};
use videobridge_rtp::{ExtSeq, NtpMiddle};

use self::numbers::FIRST_RTX;
use self::paced::{Paced, Waiting};
use self::slots::{Claim, Slots, Supply};
use self::speech::Speech;
use self::stream::{Epoch, Stream};
use self::write::{Buffers, Outgoing, Retransmission, Stamps, Written};
use super::bwe::Estimator;
use super::bwe::pacer::Pacer;
use super::bwe::padding::Padding;
use super::ids::{Bitrate, MemberIx, Micros, PayloadNumber, SourceRef, SourceUid, StreamIx};
use super::ingress::negotiated::{ExtensionKind, Negotiated};
use super::limits::SENT_REPORTS;
use super::{EndpointKey, MediaConfig, MediaSink};

/// The sending side of one receiver.
#[derive(Debug)]
pub(crate) struct Egress {
    to: EndpointKey,
    supply: Supply,
    by_ssrc: HashMap<Ssrc, StreamIx>,
    pub(crate) video: Slots,
    pub(crate) audio: Slots,
    transport_sequence: u16,
    pub(crate) estimator: Estimator,
    padding: Padding,
    pacer: Pacer,
    waiting: Waiting,
    /// Sends little, as nobody knows yet what the link carries.
    careful: bool,
    /// How often packets of pictures are sent besides the first time.
    copies: usize,
    speech: Speech,
    /// Whether less is sent than is carried, because something waits.
    backlog: bool,
    /// Of padding on the bridge's own SSRC.
    next_padding: ExtSeq,
    reports: [(NtpMiddle, Option<Instant>); SENT_REPORTS],
    next_report: usize,
    pub(crate) rtt: Option<Duration>,
}

/// What else becomes of a packet that is sent.
#[derive(Debug, Clone, Copy)]
enum Sending {
    Once,
    /// It is kept, to be sent again as it is.
    Kept,
    /// It was sent before, and goes beside its stream.
    Repeated(Retransmission),
}

impl Egress {
    pub(crate) fn new(to: EndpointKey, config: &MediaConfig) -> Self {
        Self {
            to,
            supply: Supply::new(),
            by_ssrc: HashMap::default(),
            video: Slots::new(MediaType::Video, config.video_slots),
            audio: Slots::new(MediaType::Audio, config.audio_slots),
            transport_sequence: 0,
            estimator: Estimator::new(),
            padding: Padding::default(),
            pacer: Pacer::default(),
            waiting: Waiting::default(),
            careful: false,
            copies: 0,
            speech: Speech::default(),
            backlog: false,
            next_padding: ExtSeq(1),
            reports: [(NtpMiddle(0), None); SENT_REPORTS],
            next_report: 0,
            rtt: None,
        }
    }

    /// A slot for `source`, see [`Slots::assign`].
    pub(crate) fn assign(
        &mut self,
        now: Instant,
        media: MediaType,
        claim: Claim,
        entropy: &mut dyn Entropy,
        keep: impl Fn(SourceUid) -> bool,
    ) -> Option<(StreamIx, bool)> {
        let slots = if media == MediaType::Video { &mut self.video } else { &mut self.audio };
        let (slot, new) = slots.assign(now, &mut self.supply, claim, entropy, keep)?;
        if let Some(stream) = self.supply.streams.get(slot).filter(|_| new) {
            self.by_ssrc.insert(stream.ssrc, slot);
        }
        Some((slot, new))
    }

    /// The `uid`s of the sources that have a video slot.
    pub(crate) fn carried_video(&self) -> impl Iterator<Item = SourceUid> + '_ {
        self.video.iter().filter_map(|slot| self.stream(slot)?.source).map(|s| s.uid)
    }

    /// The outgoing streams.
    pub(crate) fn stream(&self, at: StreamIx) -> Option<&Stream> {
        self.supply.streams.get(at)
    }

    #[cfg(test)]
    pub(crate) fn streams(&self) -> impl Iterator<Item = &Stream> {
        self.supply.streams.iter().map(|(_, s)| s)
    }

    /// See [`Self::stream`].
    pub(crate) fn stream_mut(&mut self, at: StreamIx) -> Option<&mut Stream> {
        self.supply.streams.get_mut(at)
    }

    /// The video slot that carries a source.
    pub(crate) fn video_slot(&self, source: SourceUid) -> Option<StreamIx> {
        self.video.of(&self.supply.streams, source)
    }

    /// The stream that carries a source under its own SSRCs; `None` when another one uses them, as it was first.
    pub(crate) fn own_stream(
        &mut self,
        source: SourceRef,
        media: MediaType,
        ssrcs: (Ssrc, Option<Ssrc>),
        first: ExtSeq,
    ) -> Option<StreamIx> {
        let there = self.supply.streams.iter().find(|(_, s)| s.source == Some(source));
        there.map(|(at, _)| at).or_else(|| self.begin_stream(source, media, ssrcs, first))
    }

    /// The stream that carries one encoding of a source under its own SSRC; `None` when another one uses that, as it was
    /// first.
    pub(crate) fn encoding_stream(
        &mut self,
        source: SourceRef,
        media: MediaType,
        ssrcs: (Ssrc, Option<Ssrc>),
        first: ExtSeq,
    ) -> Option<StreamIx> {
        if let Some(at) = self.by_ssrc.get(&ssrcs.0) {
            let stream = self.supply.streams.get(*at);
            return Some(*at).filter(|_| stream.is_some_and(|s| s.source == Some(source)));
        }
        self.begin_stream(source, media, ssrcs, first)
    }

    /// A new stream under a source's own SSRCs; `None` when another one uses them.
    fn begin_stream(
        &mut self,
        source: SourceRef,
        media: MediaType,
        (ssrc, rtx): (Ssrc, Option<Ssrc>),
        first: ExtSeq,
    ) -> Option<StreamIx> {
        let Supply { streams, numbers, .. } = &mut self.supply;
        if streams.iter().any(|(_, s)| s.uses(ssrc) || rtx.is_some_and(|rtx| s.uses(rtx))) {
            return None;
        }
        let rtx = rtx.map(|rtx| numbers.begin(rtx, FIRST_RTX));
        let mut stream = Stream::new(media, numbers.begin(ssrc, first), rtx);
        (stream.source, stream.announced) = (Some(source), true);
        let at = streams.insert(stream);
        self.by_ssrc.insert(ssrc, at);
        Some(at)
    }

    /// A source is gone: its slot waits for it to come back, streams under its own SSRCs end.
    pub(crate) fn release(&mut self, source: SourceUid) {
        while self.release_one(source) {}
    }

    fn release_one(&mut self, source: SourceUid) -> bool {
        let Supply { streams, numbers, .. } = &mut self.supply;
        let found = streams.iter().find(|(_, s)| s.source.is_some_and(|s| s.uid == source));
        let Some(at) = found.map(|(at, _)| at) else { return false };
        if self.video.iter().chain(self.audio.iter()).any(|slot| slot == at) {
            if let Some(stream) = streams.get_mut(at) {
                (stream.source, stream.announced) = (None, false);
            }
        } else {
            let Some(stream) = streams.try_remove(at) else { return false };
            stream.end().for_each(|at| numbers.end(at));
            self.by_ssrc.remove(&stream.ssrc);
        }
        true
    }

    /// Somebody left whose sources were released before: nobody else gets their slots.
    pub(crate) fn left(&mut self, owner: MemberIx) {
        for slots in [&mut self.video, &mut self.audio] {
            for stream in slots.take_of(owner) {
                if let Some(stream) = self.supply.give_up(stream) {
                    self.by_ssrc.remove(&stream.ssrc);
                }
            }
        }
    }

    /// The stream with this SSRC.
    pub(crate) fn stream_by_ssrc(&mut self, ssrc: Ssrc) -> Option<&mut Stream> {
        self.supply.streams.get_mut(*self.by_ssrc.get(&ssrc)?)
    }

    /// Sends a packet on the outgoing stream with this SSRC.
    pub(crate) fn send(
        &mut self,
        time: Micros,
        (media, ssrc): (MediaType, Ssrc),
        outgoing: &Outgoing<'_, '_>,
        negotiated: &Negotiated,
        (buffers, sink): (&mut Buffers, &mut dyn MediaSink),
    ) -> Option<()> {
        self.emit(time, (media, ssrc), Sending::Once, outgoing, negotiated, (buffers, sink))
    }

    /// Whether packets of this payload type can be repeated on a stream. Only beside it (RFC 4588): on the same SSRC the
    /// same index would be used for other bytes, as stamps differ.
    pub(crate) fn can_resend(
        &self,
        ssrc: Ssrc,
        payload_type: PayloadNumber,
        negotiated: &Negotiated,
    ) -> bool {
        let stream = self.by_ssrc.get(&ssrc).and_then(|at| self.stream(*at));
        negotiated.rtx(payload_type).is_some() && stream.is_some_and(|s| s.rtx_ssrc().is_some())
    }

    /// Repeats a packet beside the stream with this SSRC.
    pub(crate) fn resend(
        &mut self,
        time: Micros,
        ssrc: Ssrc,
        outgoing: &Outgoing<'_, '_>,
        negotiated: &Negotiated,
        (buffers, sink): (&mut Buffers, &mut dyn MediaSink),
    ) -> Option<()> {
        let payload_type = negotiated.rtx(outgoing.packet.payload_type)?;
        let stream = self.supply.streams.get_mut(*self.by_ssrc.get(&ssrc)?)?;
        let media = stream.media;
        let at = stream.next_rtx()?;
        let rtx = Retransmission { payload_type, ssrc: at.ssrc, seq: at.next };
        self.emit(time, (media, ssrc), Sending::Repeated(rtx), outgoing, negotiated, (buffers, sink))
    }

    fn emit(
        &mut self,
        time: Micros,
        (media, ssrc): (MediaType, Ssrc),
        how: Sending,
        outgoing: &Outgoing<'_, '_>,
        negotiated: &Negotiated,
        (buffers, sink): (&mut Buffers, &mut dyn MediaSink),
    ) -> Option<()> {
        let stamps = self.stamps(time, media, negotiated);
        let rtx = if let Sending::Repeated(rtx) = how { Some(rtx) } else { None };
        let written = Written::new(buffers, outgoing, ssrc, rtx, negotiated, stamps)?;
        let len = written.len();
        if let Some(sequence) = stamps.transport {
            self.transport_sequence = sequence.wrapping_add(1);
            self.estimator.sent(sequence, time, len);
        }
        if media == MediaType::Video {
            self.padding.sent(len);
        }
        self.pacer.sent(len);
        match how {
            Sending::Kept => sink.speech(self.to, self.speech.keep(time, len), written.parts()),
            Sending::Once | Sending::Repeated(_) => sink.rtp(self.to, written.parts()),
        }
        Some(())
    }

    /// Whether a packet of a picture has to wait.
    pub(crate) fn must_wait(&mut self, time: Micros) -> bool {
        !self.waiting.is_empty() || !self.pacer.is_open(time)
    }

    /// It waits. Returns whether so much waits that less should be sent from now on: rates rise while nobody looks.
    pub(crate) fn wait(&mut self, packet: Paced) -> bool {
        self.waiting.push(packet);
        let late = !self.backlog && self.waits_us() > LATE_US;
        self.backlog |= late;
        late
    }

    /// The next packet that may be sent by now.
    pub(crate) fn next_paced(&mut self, time: Micros) -> Option<Paced> {
        if self.waiting.is_empty() || !self.pacer.is_open(time) {
            return None;
        }
        let next = self.waiting.pop()?;
        if let Some(stream) = self.stream_by_ssrc(next.ssrc) {
            stream.waited(next.rewrite.seq);
        }
        Some(next)
    }

    /// What is left of an estimate for new pictures, so that what came while a queue drained, or was more than was thought, is gone in a
    /// second.
    pub(crate) fn beside_what_waits(&mut self, estimate: Bitrate) -> Bitrate {
        self.backlog |= self.estimator.rests();
        if !self.backlog {
            return estimate;
        }
        let waits = self.waiting.bytes() as u64 * 8;
        Bitrate(estimate.0.saturating_sub(waits).max(estimate.0 / 5 * 4))
    }

    /// Whether less is sent because of what waited, and nothing does any more. It is said once.
    pub(crate) fn caught_up(&mut self) -> bool {
        let caught_up = self.backlog && self.waiting.is_empty() && !self.estimator.rests();
        self.backlog &= !caught_up;
        caught_up
    }

    /// Whether what waits would come too late.
    pub(crate) fn is_jammed(&self) -> bool {
        // What waits for a queue to drain is little, and goes out as soon as that is gone.
        let patience = if self.estimator.rests() { LATE_US } else { 0 };
        self.waiting.is_too_much(self.waits_us().saturating_sub(patience))
    }

    /// How long what waits takes. At the estimate, not at the pace: that is slower until a queue is gone.
    fn waits_us(&self) -> u64 {
        let estimate = self.estimator.estimate().map_or(u64::MAX, |e| e.0.max(1));
        self.waiting.bytes() as u64 * 8_000_000 / estimate
    }

    /// Whether so much is owed already that nothing should be sent again.
    pub(crate) fn is_behind(&mut self, time: Micros) -> bool {
        let _ = self.pacer.is_open(time);
        // Among what waits for a queue to drain may be a key frame that makes repetitions needless.
        let drains = self.estimator.drains() && !self.waiting.is_empty();
        drains || self.pacer.ahead_us() > MOST_BEHIND_US
    }

    /// What waits is not sent.
    pub(crate) fn give_up_waiting(&mut self) {
        self.waiting.clear();
        self.supply.streams.iter_mut().for_each(|(_, stream)| stream.take_back());
    }

    /// The estimate may have changed.
    pub(crate) fn set_pace(&mut self, time: Micros) {
        self.pacer.set_rate(time, self.estimator.pacing_rate(time));
        self.careful = self.estimator.is_unanswered(time);
    }

    /// When to look again whether something may be sent; `limited`: more is wanted than the estimate allows.
    pub(crate) fn pace_again(&self, limited: bool) -> Option<Duration> {
        if !self.waiting.is_empty() || self.padding.is_running() || self.copies > 0 {
            Some(PACE)
        } else {
            (limited || self.careful).then_some(LOOK)
        }
    }

    fn stamps(&self, time: Micros, media: MediaType, negotiated: &Negotiated) -> Stamps {
        let mut stamps = Stamps::default();
        if negotiated.transport_cc() {
            // Only video is tagged: audio is never held back.
            if media == MediaType::Video {
                stamps.transport = Some(self.transport_sequence);
            }
        } else if negotiated.id(ExtensionKind::AbsSendTime).is_some() {
            stamps.send_time = Some(time);
        }
        stamps
    }

    /// Tells when the sender's clock was what, in the numbers of the outgoing stream.
    pub(crate) fn report(
        &mut self,
        now: Instant,
        stream: StreamIx,
        epoch: &Epoch,
        info: &SenderInfo,
        sink: &mut dyn MediaSink,
    ) {
        let Some(stream) = self.supply.streams.get(stream) else { return };
        let Some((packets, octets)) = stream.totals() else { return };
        let rtp_timestamp = info.rtp_timestamp.wrapping_add(epoch.timestamp_shift);
        let mapped = SenderInfo { ntp: info.ntp, rtp_timestamp, packets, octets };
        let mut buf = [0; 28];
        let Some(len) = report::write_sender_report(&mut buf, stream.ssrc.0, &mapped, &[]) else { return };
        sink.rtcp(self.to, buf.get(..len).unwrap_or_default());
        if let Some(slot) = self.reports.get_mut(self.next_report) {
            *slot = (info.ntp_middle(), Some(now));
        }
        self.next_report = (self.next_report + 1) % SENT_REPORTS;
    }

    /// A report block of the receiver: the round trip is what passed since our report, less its own delay.
    pub(crate) fn reported(&mut self, now: Instant, last_sr: NtpMiddle, delay: u32) {
        if last_sr == NtpMiddle(0) || delay > MAX_DELAY {
            return;
        }
        let sent = self.reports.iter().find(|(middle, _)| *middle == last_sr).and_then(|(_, at)| *at);
        let delay = Duration::from_secs_f64(f64::from(delay) / 65536.0);
        let rtt = sent.and_then(|at| now.duration_since(at).checked_sub(delay));
        if let Some(rtt) = rtt.filter(|rtt| *rtt <= MAX_RTT) {
            self.rtt = Some(rtt);
        }
    }
}

/// 5 minutes in 1/65536 s; more is no delay but an error.
const MAX_DELAY: u32 = 300 << 16;
/// While something waits or is probed.
const PACE: Duration = Duration::from_millis(5);
/// While nothing does, and more is wanted.
const LOOK: Duration = Duration::from_millis(25);
const MOST_BEHIND_US: u64 = 60_000;
/// Longer than a key frame takes.
const LATE_US: u64 = 400_000;
const MAX_RTT: Duration = Duration::from_secs(7);
