//! Transport-wide congestion control feedback: which packets arrived when (draft-holmer-rmcat-transport-wide-cc-01 §3.1).

use super::{feedback, feedback_ssrcs, kind, put_header};
use crate::bytes::{array, be16, be24, put};
use crate::{ExtSeq, RtpError};

/// Microseconds of one arrival delta unit.
const DELTA_US: i64 = 250;
/// Microseconds of one reference time unit.
const REFERENCE_US: u64 = 64_000;
/// Bytes up to the first status chunk.
const HEADER: usize = 20;
/// The longest run one chunk can hold.
const MAX_RUN: usize = 0x1fff;

/// One feedback packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransportFeedback<'a> {
    /// Who received.
    pub sender: u32,
    /// Some stream of those received.
    pub media: u32,
    /// The first transport-wide sequence number reported on.
    pub base_sequence: u16,
    /// How many are reported on.
    pub status_count: u16,
    /// In units of 64 ms, 24 bits, wraps.
    pub reference_time: u32,
    /// Counts the feedback packets; a gap is lost feedback.
    pub feedback_count: u8,
    /// Status chunks, then deltas.
    content: &'a [u8],
}

/// What the receiver says about one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketStatus {
    /// Its transport-wide sequence number.
    pub sequence: u16,
    /// Microseconds since the previous received one of this feedback (the first: since the reference time);
    /// `None` when it has not been received.
    pub delta_us: Option<i32>,
}

impl<'a> TransportFeedback<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, RtpError> {
        let (sender, media) = feedback_ssrcs(body)?;
        let cut = RtpError::CutShort;
        Ok(Self {
            sender,
            media,
            base_sequence: be16(body, 8).ok_or(cut)?,
            status_count: be16(body, 10).ok_or(cut)?,
            reference_time: be24(body, 12).ok_or(cut)?,
            feedback_count: array::<1>(body, 15).map(|[b]| b).ok_or(cut)?,
            content: body.get(16..).ok_or(cut)?,
        })
    }

    /// The reference time in microseconds; wraps after about twelve days.
    pub const fn reference_time_us(&self) -> u64 {
        self.reference_time as u64 * REFERENCE_US
    }

    /// What is reported, one by one; ends early when the packet is cut short. At most 65,535 items.
    pub fn statuses(&self) -> Statuses<'a> {
        // The deltas begin behind the chunks, so the chunks have to be counted first.
        let mut covered = 0;
        let mut chunks = 0;
        while covered < usize::from(self.status_count) {
            let Some(chunk) = be16(self.content, 2 * chunks) else { break };
            covered += chunk_len(chunk);
            chunks += 1;
        }
        let (chunks, deltas) = self.content.split_at_checked(2 * chunks).unwrap_or((self.content, &[]));
        Statuses { chunks, deltas, chunk: 0, used: 0, next: self.base_sequence, left: self.status_count }
    }
}

/// Statuses one chunk stands for.
const fn chunk_len(chunk: u16) -> usize {
    match chunk >> 14 {
        0 | 1 => (chunk & 0x1fff) as usize,
        2 => 14,
        _ => 7,
    }
}

/// Iterator of [`TransportFeedback::statuses`].
#[derive(Debug, Clone)]
pub struct Statuses<'a> {
    chunks: &'a [u8],
    deltas: &'a [u8],
    chunk: u16,
    /// Statuses already taken out of `chunk`; at its length the next one is loaded.
    used: usize,
    next: u16,
    left: u16,
}

impl Iterator for Statuses<'_> {
    type Item = PacketStatus;

    fn next(&mut self) -> Option<PacketStatus> {
        self.left = self.left.checked_sub(1)?;
        while self.used >= chunk_len(self.chunk) {
            let (chunk, rest) = self.chunks.split_first_chunk()?;
            (self.chunk, self.chunks, self.used) = (u16::from_be_bytes(*chunk), rest, 0);
        }
        let symbol = match self.chunk >> 14 {
            0 | 1 => (self.chunk >> 13) & 3,
            2 => (self.chunk >> (13 - self.used)) & 1,
            _ => (self.chunk >> (12 - 2 * self.used)) & 3,
        };
        self.used += 1;
        let delta_us = match symbol {
            1 => {
                let (&[delta], rest) = self.deltas.split_first_chunk::<1>()?;
                self.deltas = rest;
                Some(i32::from(delta) * 250)
            }
            2 => {
                let (delta, rest) = self.deltas.split_first_chunk::<2>()?;
                self.deltas = rest;
                Some(i32::from(i16::from_be_bytes(*delta)) * 250)
            }
            // 3 is reserved; libwebrtc treats it as "not received", too.
            _ => None,
        };
        let sequence = self.next;
        self.next = self.next.wrapping_add(1);
        Some(PacketStatus { sequence, delta_us })
    }
}

/// A received packet to report on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Extended transport-wide sequence number.
    pub sequence: ExtSeq,
    /// When, in microseconds of any clock that does not go back.
    pub time_us: u64,
}

/// What [`write`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Bytes of the packet.
    pub len: usize,
    /// How many of the arrivals it reports; the others need another packet, based on the first of them.
    pub arrivals: usize,
    /// The sequence number behind the last one reported on: the next base.
    pub next_base: ExtSeq,
}

/// Writes one feedback packet about `arrivals`, which are in ascending order of sequence number and start at or
/// after `base`. Takes as many as the buffer and the format hold.
///
/// `None` when there is nothing to report or no room for it.
pub fn write(
    buf: &mut [u8],
    sender: u32,
    media: u32,
    feedback_count: u8,
    base: ExtSeq,
    arrivals: &[Arrival],
) -> Option<Written> {
    let first = arrivals.first()?;
    let reference = first.time_us / REFERENCE_US;
    // The whole content has to fit, chunks in front of deltas; three bytes may be needed as padding.
    let room = buf.len().checked_sub(HEADER + 3)?;

    let mut chunks = ChunkWriter::new(buf.get_mut(HEADER..)?);
    let mut clock = Clock::new(reference);
    let mut next = base;
    let (mut taken, mut delta_bytes) = (0, 0);
    for arrival in arrivals {
        let gap = arrival.sequence.0.checked_sub(next.0).and_then(|gap| usize::try_from(gap).ok());
        let Some(gap) = gap else { break };
        let Some(delta) = clock.delta(arrival.time_us) else { break };
        let size = delta.len();
        // Worst case of what this adds: the waiting chunks, runs for the gap, one more for the arrival.
        let worst = 2 * (4 + gap / MAX_RUN) + size;
        let count = arrival.sequence.0 - base.0 + 1;
        if chunks.len + delta_bytes + worst > room || count > u64::from(u16::MAX) {
            break;
        }
        chunks.add(Symbol::Lost, gap)?;
        chunks.add(if size == 1 { Symbol::Small } else { Symbol::Large }, 1)?;
        clock.advance(delta);
        delta_bytes += size;
        taken += 1;
        next = arrival.sequence.next();
    }
    if taken == 0 {
        return None;
    }
    let mut at = HEADER + chunks.finish()?;

    let mut clock = Clock::new(reference);
    for arrival in arrivals.get(..taken)? {
        let delta = clock.delta(arrival.time_us)?;
        match delta {
            Delta::Small(ticks) => put(buf, at, &[ticks])?,
            Delta::Large(ticks) => put(buf, at, &ticks.to_be_bytes())?,
        }
        at += delta.len();
        clock.advance(delta);
    }
    let len = at.next_multiple_of(4);
    let padding = len - at;
    buf.get_mut(at..len)?.fill(0);
    put_header(buf, feedback::TRANSPORT_CC, kind::RTPFB, len)?;
    if padding > 0 {
        *buf.get_mut(len - 1)? = u8::try_from(padding).ok()?;
        *buf.first_mut()? |= 0x20;
    }
    put(buf, 4, &sender.to_be_bytes())?;
    put(buf, 8, &media.to_be_bytes())?;
    #[allow(clippy::cast_possible_truncation)]
    let count = (next.0 - base.0) as u16;
    put(buf, 12, &base.wire().to_be_bytes())?;
    put(buf, 14, &count.to_be_bytes())?;
    let [.., r0, r1, r2] = reference.to_be_bytes();
    put(buf, 16, &[r0, r1, r2, feedback_count])?;
    Some(Written { len, arrivals: taken, next_base: next })
}

#[derive(Clone, Copy)]
enum Delta {
    Small(u8),
    Large(i16),
}

impl Delta {
    const fn len(self) -> usize {
        match self {
            Self::Small(_) => 1,
            Self::Large(_) => 2,
        }
    }
}

/// The reader's idea of time, so that rounding errors do not add up.
struct Clock {
    now_us: i64,
}

impl Clock {
    fn new(reference: u64) -> Self {
        Self { now_us: i64::try_from(reference.saturating_mul(REFERENCE_US)).unwrap_or(i64::MAX) }
    }

    /// `None` when it does not fit 16 bits: more than 8.19 s away.
    fn delta(&self, time_us: u64) -> Option<Delta> {
        let away = i64::try_from(time_us).ok()?.checked_sub(self.now_us)?;
        let ticks = away.checked_add(DELTA_US / 2)?.div_euclid(DELTA_US);
        u8::try_from(ticks).map(Delta::Small).or_else(|_| i16::try_from(ticks).map(Delta::Large)).ok()
    }

    fn advance(&mut self, delta: Delta) {
        let ticks: i64 = match delta {
            Delta::Small(ticks) => ticks.into(),
            Delta::Large(ticks) => ticks.into(),
        };
        self.now_us += DELTA_US * ticks;
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Symbol {
    Lost = 0,
    Small = 1,
    Large = 2,
}

/// Packs symbols greedily: runs where they last, else one bit each where no large delta occurs, else two bits.
struct ChunkWriter<'b> {
    buf: &'b mut [u8],
    /// Bytes written.
    len: usize,
    /// Symbols waiting: up to 14 of them, or a longer run of equal ones of which only the first is stored.
    waiting: [Symbol; 14],
    count: usize,
    all_same: bool,
    has_large: bool,
}

impl<'b> ChunkWriter<'b> {
    fn new(buf: &'b mut [u8]) -> Self {
        Self { buf, len: 0, waiting: [Symbol::Lost; 14], count: 0, all_same: true, has_large: false }
    }

    fn first(&self) -> Symbol {
        let [first, ..] = self.waiting;
        first
    }

    fn add(&mut self, symbol: Symbol, mut times: usize) -> Option<()> {
        while times > 0 {
            if self.all_same && self.count >= 14 && self.first() == symbol && self.count < MAX_RUN {
                let more = times.min(MAX_RUN - self.count);
                self.count += more;
                times -= more;
            } else if self.fits(symbol) {
                self.push(symbol);
                times -= 1;
            } else {
                self.emit(false)?;
            }
        }
        Some(())
    }

    fn fits(&self, symbol: Symbol) -> bool {
        self.count < 7
            || (self.count < 14 && !self.has_large && symbol != Symbol::Large)
            || (self.count < MAX_RUN && self.all_same && self.first() == symbol)
    }

    fn push(&mut self, symbol: Symbol) {
        self.all_same = self.count == 0 || (self.all_same && self.first() == symbol);
        self.has_large |= symbol == Symbol::Large;
        if let Some(slot) = self.waiting.get_mut(self.count) {
            *slot = symbol;
        }
        self.count += 1;
    }

    /// Writes one chunk of what is waiting and keeps the rest. Only the `last` chunk may stand for more symbols
    /// than there are.
    fn emit(&mut self, last: bool) -> Option<()> {
        let chunk;
        let mut taken = self.count;
        if self.all_same {
            chunk = ((self.first() as u16) << 13) | u16::try_from(self.count).ok()?;
        } else if self.count == 14 || (last && self.count > 7) {
            taken = self.count.min(14);
            chunk = 0x8000
                | self
                    .waiting
                    .iter()
                    .take(taken)
                    .enumerate()
                    .fold(0, |c, (i, s)| c | ((*s as u16) << (13 - i)));
        } else {
            taken = self.count.min(7);
            chunk = 0xc000
                | self
                    .waiting
                    .iter()
                    .take(taken)
                    .enumerate()
                    .fold(0, |c, (i, s)| c | ((*s as u16) << (12 - 2 * i)));
        }
        put(self.buf, self.len, &chunk.to_be_bytes())?;
        self.len += 2;
        let (waiting, count) = (self.waiting, self.count);
        (self.count, self.all_same, self.has_large) = (0, true, false);
        if count > taken {
            for symbol in waiting.into_iter().take(count).skip(taken) {
                self.push(symbol);
            }
        }
        Some(())
    }

    /// Writes everything that is waiting; returns the bytes of all chunks.
    fn finish(mut self) -> Option<usize> {
        while self.count > 0 {
            self.emit(true)?;
        }
        Some(self.len)
    }
}
