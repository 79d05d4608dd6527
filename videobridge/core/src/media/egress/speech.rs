//! What a receiver's way loses by itself in; which packets of speech are sent again, and when, out.
//!
//! Nobody asks for speech that was lost: the answer would come too late. Where a link loses much by itself, whoever speaks is sent
//! again after a moment, and where it loses very much after another: of a fifth a twenty-fifth is missing then, or less than a
//! hundredth. What is sent again is the same datagram, byte for byte, which those who have it drop before they count it.
//!
//! How much is lost is taken from packets that are not sent again: those of pictures, as the estimator sees them. Where there are
//! none, from what receivers report of speech: what is still missing of packets that were sent `n` times is the `n`th power of
//! what each of them loses. Where it is not, a full queue or a policer has them, and more packets are the wrong answer.

use std::time::Duration;

use jitsi_xmpp::ids::{MediaType, Ssrc};
use videobridge_rtp::rtcp::ReportBlock;

use super::write::{Buffers, Outgoing};
use super::{Egress, Sending};
use crate::media::MediaSink;
use crate::media::bwe::pacer::Pacer;
use crate::media::ids::{Bitrate, Micros};
use crate::media::ingress::negotiated::Negotiated;
use crate::media::limits::SPEECH_KEPT;

/// Speech that one receiver is sent again.
#[derive(Debug, Default)]
pub(crate) struct Speech {
    /// How often each packet is sent again.
    more: u8,
    /// What is lost of packets that are sent once.
    share: f64,
    line: Option<Box<Line>>,
    /// What it may take.
    pacer: Pacer,
    /// When pictures last told what is lost.
    told: Option<Micros>,
    /// Counts changes: what was reported before one says nothing of what is after it.
    turn: u8,
    expected: u32,
    missing: u32,
    /// What was missing of packets that were sent again, when that was more than it should be.
    in_vain: Option<f64>,
    /// Not before then.
    rest_until: Micros,
    least_rtt: Option<Duration>,
}

/// What is to be sent again, by the numbers under which it is kept, and when it was sent. Two places in the same line.
#[derive(Debug, Default)]
struct Line {
    packets: [(Micros, u16); SPEECH_KEPT],
    next: u32,
    second: u32,
    third: u32,
}

/// What a receiver reported last of a stream.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Reported {
    turn: u8,
    highest: u32,
    lost: i32,
}

impl Reported {
    /// What was to come and what did not, since the last report of the same turn.
    fn since(&mut self, turn: u8, block: &ReportBlock) -> Option<(u32, u32)> {
        let now = Self { turn, highest: block.extended_highest, lost: block.cumulative_lost };
        let before = std::mem::replace(self, now);
        let expected = now.highest.wrapping_sub(before.highest);
        let lost = now.lost.wrapping_sub(before.lost).max(0).cast_unsigned();
        // A stream that begins, or numbers that begin anew, tell nothing.
        let tells = before.turn == turn && before.highest != 0 && (1..=MOST_REPORTED).contains(&expected);
        tells.then(|| (expected, lost.min(expected)))
    }
}

impl Speech {
    /// Whether who speaks is sent again.
    pub(crate) const fn is_repeated(&self) -> bool {
        self.more > 0
    }

    /// Pictures told what is lost of packets that are sent once; 0 where a queue explains it.
    fn told(&mut self, time: Micros, share: f64) {
        self.told = Some(time);
        self.set(time, share);
    }

    /// A receiver reported this of speech.
    fn reported(&mut self, time: Micros, (expected, missing): (u32, u32), rtt: Option<Duration>) {
        if self.told.is_some_and(|at| time.0.saturating_sub(at.0) < TOLD_US) {
            (self.expected, self.missing) = (0, 0);
            return;
        }
        self.expected += expected;
        self.missing += missing;
        if let Some(rtt) = rtt {
            let least = *self.least_rtt.get_or_insert(rtt);
            self.least_rtt = Some(least.min(rtt));
            if rtt > least + QUEUE {
                // It waits somewhere: there is too much already.
                self.rest_until = Micros(time.0 + REST_US);
                return self.set(time, 0.0);
            }
        }
        let least = if self.more == 0 { LEAST_ONCE } else { LEAST_AGAIN };
        if self.expected < least {
            return;
        }
        let left = f64::from(self.missing) / f64::from(self.expected);
        (self.expected, self.missing) = (0, 0);
        if self.more > 0 && left > self.share * HELPS {
            // Either more is lost by now, or it is of no use: without, it shows.
            self.in_vain = Some(left);
            return self.set(time, 0.0);
        }
        if let Some(before) = self.in_vain.take()
            && left < before * ALIKE
        {
            self.rest_until = Micros(time.0 + IN_VAIN_US);
        }
        let share = left.powf(1.0 / f64::from(1 + self.more));
        // Few are missing of what is sent again: that none are may be chance.
        self.set(time, if self.more > 0 { share.max(self.share * FORGETS) } else { share });
    }

    fn set(&mut self, time: Micros, share: f64) {
        let more = match self.more {
            _ if time < self.rest_until => 0,
            _ if share >= VERY_MUCH => 2,
            2 if share >= STILL_VERY_MUCH => 2,
            _ if share >= MUCH => 1,
            1.. if share >= STILL_MUCH => 1,
            _ => 0,
        };
        self.share = share;
        if more != self.more {
            self.turn = self.turn.wrapping_add(1);
            (self.expected, self.missing) = (0, 0);
            if let Some(line) = &mut self.line {
                line.third = line.second;
            }
        }
        self.more = more;
    }

    /// A packet goes out that is to be sent again; returns the number to keep it under.
    pub(crate) fn keep(&mut self, time: Micros, bytes: usize) -> u32 {
        let line = self.line.get_or_insert_with(Box::default);
        let nth = line.next;
        if let Some(place) = line.packets.get_mut(nth as usize % SPEECH_KEPT) {
            *place = (time, u16::try_from(bytes).unwrap_or(u16::MAX));
        }
        line.next = nth.wrapping_add(1);
        // What has not been sent again by now will not be.
        for at in [&mut line.second, &mut line.third] {
            if line.next.wrapping_sub(*at) > SPEECH_KEPT as u32 {
                *at = line.next.wrapping_sub(SPEECH_KEPT as u32);
            }
        }
        nth
    }

    /// Takes the next that is to be sent again by now: its number and length. What there is no room for is left out.
    fn next(&mut self, time: Micros) -> Option<(u32, usize)> {
        let more = self.more;
        let line = self.line.as_mut()?;
        loop {
            let (nth, bytes) = line.take(time, more)?;
            if self.pacer.is_open(time) {
                self.pacer.sent(bytes);
                return Some((nth, bytes));
            }
        }
    }

    /// When the next one is due.
    fn due(&self) -> Option<Micros> {
        let line = self.line.as_ref()?;
        let [second, third] = line.due(self.more);
        second.into_iter().chain(third).min()
    }
}

impl Line {
    fn at(&self, nth: u32) -> (Micros, usize) {
        let (at, bytes) = self.packets.get(nth as usize % SPEECH_KEPT).copied().unwrap_or_default();
        (at, bytes.into())
    }

    fn due(&self, more: u8) -> [Option<Micros>; 2] {
        let second =
            (more > 0 && self.second != self.next).then(|| Micros(self.at(self.second).0.0 + SECOND_US));
        let third =
            (more > 1 && self.third != self.second).then(|| Micros(self.at(self.third).0.0 + THIRD_US));
        [second, third]
    }

    fn take(&mut self, time: Micros, more: u8) -> Option<(u32, usize)> {
        let [second, third] = self.due(more);
        let at = if second.is_some_and(|at| at <= time) {
            &mut self.second
        } else if third.is_some_and(|at| at <= time) {
            &mut self.third
        } else {
            return None;
        };
        let nth = *at;
        *at = nth.wrapping_add(1);
        if more < 2 {
            self.third = self.second;
        }
        Some((nth, self.at(nth).1))
    }
}

impl Egress {
    /// Whether who speaks is to be kept and sent again.
    pub(crate) fn repeats_speech(&self) -> bool {
        self.speech.is_repeated() && !self.estimator.drains()
    }

    /// The estimator heard of packets of pictures. Returns whether nothing is sent again any more.
    pub(crate) fn look_at_speech(&mut self, time: Micros) -> bool {
        let before = self.speech.is_repeated();
        // Whose queue drains loses by that, and its own losses have not become others.
        let share = if self.estimator.drains() { self.speech.share } else { self.estimator.loss() };
        self.speech.told(time, share);
        self.set_room_for_speech(time);
        before && !self.speech.is_repeated()
    }

    /// A receiver reports on a stream. Returns whether nothing is sent again any more.
    pub(crate) fn speech_reported(&mut self, time: Micros, block: &ReportBlock) -> bool {
        let (turn, rtt, before) = (self.speech.turn, self.rtt, self.speech.is_repeated());
        let stream = self.stream_by_ssrc(Ssrc(block.ssrc));
        let Some(stream) = stream.filter(|s| s.media == MediaType::Audio) else { return false };
        let Some(report) = stream.reported.since(turn, block) else { return false };
        self.speech.reported(time, report, rtt);
        self.set_room_for_speech(time);
        before && !self.speech.is_repeated()
    }

    /// Sends a packet of somebody who speaks, to be sent again.
    pub(crate) fn send_speech(
        &mut self,
        time: Micros,
        ssrc: Ssrc,
        outgoing: &Outgoing<'_, '_>,
        negotiated: &Negotiated,
        (buffers, sink): (&mut Buffers, &mut dyn MediaSink),
    ) -> Option<()> {
        let on = (MediaType::Audio, ssrc);
        self.emit(time, on, Sending::Kept, outgoing, negotiated, (buffers, sink))
    }

    fn set_room_for_speech(&mut self, time: Micros) {
        let estimate = self.estimator.applied().map_or(MOST, |Bitrate(bits)| (bits / PART).min(MOST));
        self.speech.pacer.set_rate(time, Some(estimate));
    }

    /// The next datagram that is sent again by now.
    pub(crate) fn next_speech(&mut self, time: Micros) -> Option<u32> {
        let (nth, bytes) = self.speech.next(time)?;
        self.pacer.sent(bytes);
        Some(nth)
    }

    /// When there is another one.
    pub(crate) fn speech_due(&self) -> Option<Micros> {
        self.speech.due()
    }
}

/// From this share on what speaks is sent again, and below that not any more.
const MUCH: f64 = 0.08;
const STILL_MUCH: f64 = 0.05;
/// The same for a second time: what is lost twice is more than the hundredth that nobody hears.
const VERY_MUCH: f64 = 0.12;
const STILL_VERY_MUCH: f64 = 0.08;
/// When each time is, after the first. Losses that come together last some packets; and a player waits for what often comes late.
const SECOND_US: u64 = 10_000;
const THIRD_US: u64 = 25_000;
/// When to look first.
pub(crate) const SPEECH_AGAIN: Duration = Duration::from_micros(SECOND_US);
/// Of the estimate, as a divisor, and in bit/s, what it may take.
const PART: u64 = 5;
const MOST: u64 = 500_000;
/// What pictures told is good for so long.
const TOLD_US: u64 = 2_000_000;
/// More in one report is another beginning.
const MOST_REPORTED: u32 = 10_000;
/// Packets that tell chance from a share, of what is sent once and again.
const LEAST_ONCE: u32 = 100;
const LEAST_AGAIN: u32 = 500;
/// Of what is lost at once, this much is missing at most when it is sent again.
const HELPS: f64 = 0.6;
/// And about that without, if it was of no use.
const ALIKE: f64 = 1.5;
const FORGETS: f64 = 0.7;
/// A round trip so much above the least is a queue.
const QUEUE: Duration = Duration::from_millis(100);
const REST_US: u64 = 10_000_000;
const IN_VAIN_US: u64 = 60_000_000;
