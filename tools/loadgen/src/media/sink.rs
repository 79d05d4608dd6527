//! Headers of received packets in; what is missing, what to ask for again and what to report about, out. Bounded, and
//! without allocation once all streams are known.

use videobridge_rtp::rtcp::{NtpMiddle, ReportBlock, transport_cc};
use videobridge_rtp::sequence::{ExtSeq, Unwrapper};

use super::limits;
use super::rtp::{OPUS, RTX, Seen};

/// Bits of the books about one stream.
const WINDOW: u64 = 1_024;
/// A jump of sequence numbers beyond this is a new start, not loss.
const JUMP: u64 = 1_000;
/// Nanoseconds until a gap is asked for: a packet may only be late.
const PATIENCE: u64 = 10_000_000;
/// Nanoseconds between two requests for a packet.
const AGAIN: u64 = 100_000_000;
/// One in so many packets of a stream is decrypted.
const SAMPLE: u64 = 32;

/// What a participant received so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Received {
    /// Media packets, each once, repaired ones among them.
    pub(crate) packets: u64,
    /// Media packets there should have been, by their sequence numbers.
    pub(crate) expected: u64,
    /// Bytes of all datagrams with media or retransmissions.
    pub(crate) bytes: u64,
    /// Packets that came again though they had arrived.
    pub(crate) duplicates: u64,
    /// Packets that were asked for and came.
    pub(crate) repaired: u64,
    /// Sequence numbers asked for.
    pub(crate) nacked: u64,
    /// Packets of streams beyond the limit.
    pub(crate) untracked: u64,
    /// New starts of a stream.
    pub(crate) restarts: u64,
}

impl Received {
    pub(crate) fn add(&mut self, other: &Self) {
        self.packets += other.packets;
        self.expected += other.expected;
        self.bytes += other.bytes;
        self.duplicates += other.duplicates;
        self.repaired += other.repaired;
        self.nacked += other.nacked;
        self.untracked += other.untracked;
        self.restarts += other.restarts;
    }
}

#[derive(Debug, Clone, Copy)]
struct Missing {
    sequence: u64,
    next: u64,
    tries: u8,
}

/// One received stream.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) ssrc: u32,
    audio: bool,
    unwrapper: Unwrapper,
    started: bool,
    base: u64,
    highest: u64,
    received: u64,
    bits: [u64; (WINDOW / 64) as usize],
    missing: Vec<Missing>,
    /// For sampling.
    count: u64,
    next_sample: u64,
    reported: (u64, u64),
    last_sr: Option<(NtpMiddle, u64)>,
}

/// What to do with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Decrypt it: to sample, or because it is a retransmission.
    pub(crate) decrypt: bool,
    /// A gap appeared.
    pub(crate) gap: bool,
}

/// All streams of one participant.
#[derive(Debug)]
pub(crate) struct Sink {
    streams: Vec<Stream>,
    last: usize,
    /// Whether to ask for what is missing.
    nack: bool,
    /// Retransmission SSRC → SSRC.
    rtx_of: Vec<(u32, u32)>,
    pub(crate) received: Received,
    arrivals: Vec<transport_cc::Arrival>,
    transport: Unwrapper,
    next_base: ExtSeq,
    feedback_count: u8,
    /// Report everything as received: then no estimate of the bridge limits what is measured.
    flatter: bool,
    media_ssrc: u32,
}

impl Sink {
    pub(crate) fn new(nack: bool, flatter: bool) -> Self {
        Self {
            streams: Vec::new(),
            last: 0,
            nack,
            rtx_of: Vec::new(),
            received: Received::default(),
            arrivals: Vec::new(),
            transport: Unwrapper::new(),
            next_base: ExtSeq(0),
            feedback_count: 0,
            flatter,
            media_ssrc: 0,
        }
    }

    /// The bridge says which stream repeats which.
    pub(crate) fn associate(&mut self, rtx: u32, ssrc: u32) {
        if let Some(entry) = self.rtx_of.iter_mut().find(|(r, _)| *r == rtx) {
            entry.1 = ssrc;
        } else if self.rtx_of.len() < limits::STREAMS {
            self.rtx_of.push((rtx, ssrc));
        }
    }

    fn position(&mut self, ssrc: u32) -> Option<usize> {
        if self.streams.get(self.last).is_none_or(|s| s.ssrc != ssrc) {
            self.last = self.streams.iter().position(|s| s.ssrc == ssrc)?;
        }
        Some(self.last)
    }

    /// One packet of `len` bytes, whole or `cut`. `now` in nanoseconds.
    pub(crate) fn packet(&mut self, now: u64, seen: &Seen, len: usize, cut: bool) -> Verdict {
        self.received.bytes += len as u64;
        if let Some(sequence) = seen.transport_sequence {
            self.media_ssrc = seen.ssrc;
            self.arrived(sequence, now / 1_000);
        }
        if seen.payload_type == RTX {
            return Verdict { decrypt: !cut, gap: false };
        }
        let at = match self.position(seen.ssrc) {
            Some(at) => at,
            None if self.streams.len() < limits::STREAMS => {
                self.streams.push(Stream::new(seen.ssrc, seen.payload_type == OPUS));
                self.last = self.streams.len() - 1;
                self.last
            }
            None => {
                self.received.untracked += 1;
                return Verdict { decrypt: false, gap: false };
            }
        };
        let Some(stream) = self.streams.get_mut(at) else { return Verdict { decrypt: false, gap: false } };
        stream.count += 1;
        let decrypt = !cut && stream.count >= stream.next_sample;
        if decrypt {
            stream.next_sample = stream.count + SAMPLE;
        }
        let gap = stream.packet(now, seen.sequence, self.nack, &mut self.received);
        Verdict { decrypt, gap }
    }

    /// A decrypted retransmission of packet `sequence`.
    pub(crate) fn repeated(&mut self, rtx: u32, sequence: u16) {
        let Some((_, ssrc)) = self.rtx_of.iter().find(|(r, _)| *r == rtx).copied() else { return };
        if let Some(stream) = self.position(ssrc).and_then(|at| self.streams.get_mut(at)) {
            let extended = stream.unwrapper.peek(sequence).0;
            if extended <= stream.highest {
                stream.late(extended, &mut self.received);
            }
        }
    }

    /// A sender report about a stream: `middle` of its NTP time.
    pub(crate) fn sender_report(&mut self, now: u64, ssrc: u32, middle: NtpMiddle) {
        if let Some(stream) = self.streams.iter_mut().find(|s| s.ssrc == ssrc) {
            stream.last_sr = Some((middle, now));
        }
    }

    fn arrived(&mut self, sequence: u16, time_us: u64) {
        let newest = self.transport.newest();
        let extended = self.transport.extend(sequence);
        if newest.is_none() {
            self.next_base = extended;
        }
        if extended < self.next_base || self.arrivals.len() >= limits::ARRIVALS {
            return;
        }
        if self.flatter
            && let Some(newest) = newest
        {
            let room = (limits::ARRIVALS - self.arrivals.len()) as u64;
            for sequence in (newest.0 + 1..extended.0).map(ExtSeq).take(room as usize) {
                self.arrivals.push(transport_cc::Arrival { sequence, time_us });
            }
        }
        let arrival = transport_cc::Arrival { sequence: extended, time_us };
        match self.arrivals.last() {
            Some(last) if last.sequence >= extended => {
                let at = self.arrivals.partition_point(|a| a.sequence < extended);
                if self.arrivals.get(at).is_none_or(|a| a.sequence != extended) {
                    self.arrivals.insert(at, arrival);
                }
            }
            _ => self.arrivals.push(arrival),
        }
    }

    /// Writes one transport-wide feedback packet; `None` when nothing is left to report.
    pub(crate) fn write_feedback(&mut self, buf: &mut [u8], sender: u32) -> Option<usize> {
        let written = transport_cc::write(
            buf,
            sender,
            self.media_ssrc,
            self.feedback_count,
            self.next_base,
            &self.arrivals,
        );
        let Some(written) = written else {
            self.arrivals.clear();
            return None;
        };
        self.feedback_count = self.feedback_count.wrapping_add(1);
        self.next_base = written.next_base;
        self.arrivals.drain(..written.arrivals);
        Some(written.len)
    }

    /// The next stream with something to ask for, and what, ascending. Call until it returns none.
    pub(crate) fn missing(&mut self, now: u64, out: &mut Vec<u16>) -> Option<u32> {
        out.clear();
        for stream in &mut self.streams {
            for missing in stream.missing.iter_mut().filter(|m| m.next <= now) {
                missing.next = now + AGAIN;
                missing.tries += 1;
                out.push(missing.sequence as u16);
            }
            stream.missing.retain(|m| m.tries < limits::NACKS);
            if !out.is_empty() {
                self.received.nacked += out.len() as u64;
                return Some(stream.ssrc);
            }
        }
        None
    }

    /// Whether anything is missing that may still come.
    pub(crate) fn incomplete(&self) -> bool {
        self.streams.iter().any(|s| !s.missing.is_empty())
    }

    /// Report blocks about everything received, at most `max`.
    pub(crate) fn report_blocks(&mut self, now: u64, max: usize, out: &mut Vec<ReportBlock>) {
        out.clear();
        out.extend(self.streams.iter_mut().filter(|s| s.started).take(max).map(|s| s.report(now)));
    }
}

impl Stream {
    fn new(ssrc: u32, audio: bool) -> Self {
        Self {
            ssrc,
            audio,
            unwrapper: Unwrapper::new(),
            started: false,
            base: 0,
            highest: 0,
            received: 0,
            bits: [0; (WINDOW / 64) as usize],
            missing: Vec::with_capacity(if audio { 0 } else { limits::MISSING }),
            count: 0,
            next_sample: 0,
            reported: (0, 0),
            last_sr: None,
        }
    }

    fn bit(&mut self, sequence: u64) -> (&mut u64, u64) {
        (&mut self.bits[(sequence / 64 % (WINDOW / 64)) as usize], 1 << (sequence % 64))
    }

    fn packet(&mut self, now: u64, sequence: u16, nack: bool, totals: &mut Received) -> bool {
        let extended = self.unwrapper.extend(sequence).0;
        let far = self.started && extended.abs_diff(self.highest) > JUMP;
        if !self.started || far {
            totals.restarts += u64::from(self.started);
            (self.started, self.base, self.highest, self.received) = (true, extended, extended, 0);
            self.reported = (0, 0);
            self.bits = [0; (WINDOW / 64) as usize];
            self.missing.clear();
        } else if extended <= self.highest {
            if !self.late(extended, totals) {
                totals.duplicates += 1;
            }
            return false;
        }
        let gap = extended - self.highest.min(extended);
        for skipped in extended - gap.saturating_sub(1)..extended {
            let (word, bit) = self.bit(skipped);
            *word &= !bit;
            if nack && !self.audio && self.missing.len() < limits::MISSING {
                self.missing.push(Missing { sequence: skipped, next: now + PATIENCE, tries: 0 });
            }
        }
        let (word, bit) = self.bit(extended);
        *word |= bit;
        self.highest = extended;
        self.received += 1;
        totals.packets += 1;
        totals.expected += gap.max(1);
        gap > 1
    }

    /// A packet behind the highest. Returns whether it was missing.
    fn late(&mut self, extended: u64, totals: &mut Received) -> bool {
        if extended < self.base || extended + WINDOW <= self.highest {
            return false;
        }
        let (word, bit) = self.bit(extended);
        if *word & bit != 0 {
            return false;
        }
        *word |= bit;
        self.received += 1;
        totals.packets += 1;
        if let Some(at) = self.missing.iter().position(|m| m.sequence == extended) {
            let missing = self.missing.remove(at);
            totals.repaired += u64::from(missing.tries > 0);
        }
        true
    }

    fn report(&mut self, now: u64) -> ReportBlock {
        let expected = self.highest - self.base + 1;
        let (expected_before, received_before) = self.reported;
        self.reported = (expected, self.received);
        let recent = expected.saturating_sub(expected_before);
        let lost = recent.saturating_sub(self.received.saturating_sub(received_before));
        ReportBlock {
            ssrc: self.ssrc,
            fraction_lost: (lost * 256).checked_div(recent).unwrap_or(0).min(255) as u8,
            cumulative_lost: expected.saturating_sub(self.received).min(0x7f_ffff) as i32,
            extended_highest: self.highest as u32,
            jitter: 0,
            last_sr: self.last_sr.map_or(NtpMiddle(0), |(middle, _)| middle),
            delay_since_last_sr: self
                .last_sr
                .map_or(0, |(_, at)| ((now - at) * 65_536 / 1_000_000_000) as u32),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::rtp::VP8;

    fn seen(sequence: u16) -> Seen {
        Seen {
            payload_type: VP8,
            marker: false,
            sequence,
            timestamp: 0,
            ssrc: 7,
            transport_sequence: Some(sequence),
            header_len: 20,
        }
    }

    fn feed(sink: &mut Sink, sequences: impl IntoIterator<Item = u16>) {
        for s in sequences {
            sink.packet(0, &seen(s), 100, false);
        }
    }

    #[test]
    fn gaps_are_expected_and_late_packets_fill_them_once() {
        let mut sink = Sink::new(true, false);
        feed(&mut sink, [65_534, 65_535, 2, 3, 0, 0, 3]);
        let r = sink.received;
        assert_eq!((r.packets, r.expected, r.duplicates), (5, 6, 2));
        let mut out = Vec::new();
        assert_eq!(sink.missing(PATIENCE - 1, &mut out), None, "it may only be late");
        assert_eq!((sink.missing(PATIENCE, &mut out), out.as_slice()), (Some(7), [1].as_slice()));
        assert_eq!(sink.missing(PATIENCE + 1, &mut out), None, "asked a moment ago");
        sink.associate(8, 7);
        sink.repeated(8, 1);
        sink.repeated(8, 1);
        let r = sink.received;
        assert_eq!((r.packets, r.expected, r.repaired, r.nacked), (6, 6, 1, 1));
        assert!(!sink.incomplete());
    }

    #[test]
    fn a_missing_packet_is_asked_for_a_limited_number_of_times_and_few_are_remembered() {
        let mut sink = Sink::new(true, false);
        feed(&mut sink, [0, 1 + limits::MISSING as u16 + 50]);
        let mut out = Vec::new();
        for round in 0..u64::from(limits::NACKS) {
            assert_eq!(sink.missing(PATIENCE + round * AGAIN, &mut out), Some(7));
            assert_eq!(out.len(), limits::MISSING);
        }
        assert_eq!(sink.missing(PATIENCE + 100 * AGAIN, &mut out), None);
    }

    #[test]
    fn a_far_jump_is_a_new_start_and_streams_are_limited() {
        let mut sink = Sink::new(false, false);
        feed(&mut sink, [10, 10 + JUMP as u16, 9_000]);
        let r = sink.received;
        assert_eq!((r.packets, r.expected, r.restarts), (3, JUMP + 2, 1));
        let mut sink = Sink::new(false, false);
        for ssrc in 0..=limits::STREAMS as u32 {
            sink.packet(0, &Seen { ssrc, ..seen(1) }, 100, false);
        }
        assert_eq!((sink.received.packets, sink.received.untracked), (limits::STREAMS as u64, 1));
    }

    #[test]
    fn feedback_tells_of_losses_unless_it_flatters() {
        for (flatter, lost) in [(false, 2), (true, 0)] {
            let mut sink = Sink::new(false, flatter);
            feed(&mut sink, [10, 11, 14, 15]);
            let mut buf = [0; 1200];
            let len = sink.write_feedback(&mut buf, 1).unwrap();
            let Some(Ok(videobridge_rtp::rtcp::Rtcp::TransportFeedback(feedback))) =
                videobridge_rtp::rtcp::Compound::new(&buf[..len]).next()
            else {
                panic!("no feedback")
            };
            assert_eq!(feedback.statuses().filter(|s| s.delta_us.is_none()).count(), lost);
            assert_eq!(feedback.status_count, 6);
            assert_eq!(sink.write_feedback(&mut buf, 1), None, "all is said");
        }
    }

    #[test]
    fn reports_count_what_was_lost_since_the_last_one() {
        let mut sink = Sink::new(false, false);
        feed(&mut sink, [0, 1, 3]);
        let mut blocks = Vec::new();
        sink.report_blocks(0, 31, &mut blocks);
        assert_eq!(
            (blocks[0].fraction_lost, blocks[0].cumulative_lost, blocks[0].extended_highest),
            (64, 1, 3)
        );
        feed(&mut sink, [4, 5]);
        sink.report_blocks(0, 31, &mut blocks);
        assert_eq!((blocks[0].fraction_lost, blocks[0].cumulative_lost), (0, 1));
    }
}
