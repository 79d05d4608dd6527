//! What was left out of an epoch: numbers of packets and pictures that a receiver does not get in; how far the numbers of
//! the others close up, and which packet a number of theirs was, out.
//!
//! A receiver must not see a gap where something was left out on purpose: it would ask for it again, and wait. What is
//! only missing keeps its place.

use videobridge_rtp::{ExtSeq, PictureId};

use crate::media::ids::Timestamp;
use crate::media::limits::{HISTORY_PACKETS, PICTURES_LEFT_OUT};

/// Numbers of which some were left out; it knows the last `WORDS` × 64 one by one.
#[derive(Debug, Clone)]
struct Left<const WORDS: usize> {
    newest: u64,
    /// How many were left out so far.
    total: u64,
    bits: [u64; WORDS],
}

/// What was left out of one epoch.
#[derive(Debug, Clone)]
pub(crate) struct Holes {
    packets: Left<PACKET_WORDS>,
    /// Packets that end a picture for this receiver, and do not for the sender.
    ends: [u64; PACKET_WORDS],
    /// Packets that came when others had gone out behind them, and were not sent.
    refused: [u64; PACKET_WORDS],
    /// When the newest packet left out was taken.
    timestamp: Timestamp,
    pictures: Left<PICTURE_WORDS>,
    picture: PictureId,
}

impl<const WORDS: usize> Left<WORDS> {
    const SPAN: u64 = WORDS as u64 * 64;

    fn new(newest: u64) -> Self {
        Self { newest, total: 0, bits: [0; WORDS] }
    }

    /// Up to `to` nothing more was left out.
    fn advance(&mut self, to: u64) {
        if to <= self.newest {
            return;
        }
        if to - self.newest >= Self::SPAN {
            self.bits = [0; WORDS];
        } else {
            (self.newest + 1..=to).for_each(|n| clear(&mut self.bits, n));
        }
        self.newest = to;
    }

    /// `n` was left out. What is not the newest keeps its place: others went out behind it.
    fn leave(&mut self, n: u64) {
        if n > self.newest {
            self.advance(n);
            set(&mut self.bits, n);
            self.total += 1;
        }
    }

    fn is_left(&self, n: u64) -> bool {
        n <= self.newest && self.newest - n < Self::SPAN && get(&self.bits, n)
    }

    /// How many were left out up to `n`; `None` when that is too long ago.
    fn up_to(&self, n: u64) -> Option<u64> {
        let (mut at, mut later) = (n + 1, 0);
        if at + Self::SPAN <= self.newest {
            return None;
        }
        while at <= self.newest {
            let bit = at % 64;
            let span = (64 - bit).min(self.newest - at + 1);
            let mask = (u64::MAX >> (64 - span)) << bit;
            let word = self.bits.get((at / 64) as usize % WORDS).copied().unwrap_or_default();
            later += u64::from((word & mask).count_ones());
            at += span;
        }
        Some(self.total - later)
    }

    /// The number that closed up to `closed`.
    fn original(&self, closed: u64) -> Option<u64> {
        // Each one kept raises the closed number by one, each one left out by none.
        let (mut low, mut high) = (self.newest.saturating_sub(Self::SPAN - 1), closed + self.total);
        while low < high {
            let middle = low + (high - low) / 2;
            if middle - self.up_to(middle)? < closed { low = middle + 1 } else { high = middle }
        }
        (low - self.up_to(low)? == closed && !self.is_left(low)).then_some(low)
    }
}

impl Holes {
    /// Nothing was left out up to and with this packet and picture.
    pub(crate) fn new(newest: ExtSeq, picture: Option<PictureId>) -> Self {
        Self {
            packets: Left::new(newest.0),
            ends: [0; PACKET_WORDS],
            refused: [0; PACKET_WORDS],
            timestamp: Timestamp(0),
            // Room for what comes late.
            pictures: Left::new(PICTURES_LEFT_OUT),
            picture: picture.unwrap_or_default(),
        }
    }

    /// A packet is left out. What is missing between two packets of one frame that are, is of that frame, too.
    pub(crate) fn leave(&mut self, seq: ExtSeq, timestamp: Timestamp) {
        let newest = self.packets.newest;
        let near = seq.0.saturating_sub(newest) < Left::<PACKET_WORDS>::SPAN;
        let one_frame = near && self.timestamp == timestamp && self.packets.is_left(newest);
        let from = if one_frame { newest + 1 } else { seq.0 };
        if seq.0 <= newest {
            set(&mut self.refused, seq.0);
        }
        self.forget(seq);
        (from..=seq.0).for_each(|n| self.packets.leave(n));
        self.timestamp = timestamp;
    }

    /// A picture is left out.
    pub(crate) fn leave_picture(&mut self, id: PictureId) {
        let n = self.extended(id);
        self.pictures.leave(n);
        self.remember(n, id);
    }

    /// A packet is sent, which `ends` a picture only for this receiver.
    pub(crate) fn keep(&mut self, seq: ExtSeq, picture: Option<PictureId>, ends: bool) {
        self.forget(seq);
        self.packets.advance(seq.0);
        if ends {
            set(&mut self.ends, seq.0);
        }
        if let Some(id) = picture {
            let n = self.extended(id);
            self.pictures.advance(n);
            self.remember(n, id);
        }
    }

    /// By how much the number of a packet closes up; `None` when it was left out itself, or is too old.
    pub(crate) fn packets_before(&self, seq: ExtSeq) -> Option<u64> {
        self.packets.up_to(seq.0).filter(|_| !self.packets.is_left(seq.0))
    }

    /// The packet whose number closed up to `closed`.
    pub(crate) fn packet(&self, closed: ExtSeq) -> Option<ExtSeq> {
        self.packets.original(closed.0).filter(|n| !get(&self.refused, *n)).map(ExtSeq)
    }

    /// By how much a picture's id closes up.
    pub(crate) fn pictures_before(&self, id: PictureId) -> Option<u16> {
        let n = self.extended(id);
        Some(self.pictures.up_to(n).filter(|_| !self.pictures.is_left(n))? as u16)
    }

    /// Whether a packet that was sent ended a picture only for this receiver.
    pub(crate) fn ends(&self, seq: ExtSeq) -> bool {
        get(&self.ends, seq.0)
    }

    /// Numbers up to `seq` come anew.
    fn forget(&mut self, seq: ExtSeq) {
        let newest = self.packets.newest;
        for bits in [&mut self.ends, &mut self.refused] {
            if seq.0.saturating_sub(newest) >= Left::<PACKET_WORDS>::SPAN {
                *bits = [0; PACKET_WORDS];
            } else {
                (newest + 1..=seq.0).for_each(|n| clear(bits, n));
            }
        }
    }

    fn remember(&mut self, n: u64, id: PictureId) {
        if n == self.pictures.newest {
            self.picture = id;
        }
    }

    /// The nearest to the newest one.
    fn extended(&self, id: PictureId) -> u64 {
        let ahead = id.since(self.picture);
        let newest = self.pictures.newest;
        if ahead < PictureId::HALF {
            newest + u64::from(ahead)
        } else {
            newest.saturating_sub(u64::from(self.picture.since(id)))
        }
    }
}

fn place<const WORDS: usize>(n: u64) -> (usize, u64) {
    ((n / 64) as usize % WORDS, 1 << (n % 64))
}

fn get<const WORDS: usize>(bits: &[u64; WORDS], n: u64) -> bool {
    let (word, bit) = place::<WORDS>(n);
    bits.get(word).is_some_and(|word| word & bit != 0)
}

fn set<const WORDS: usize>(bits: &mut [u64; WORDS], n: u64) {
    let (word, bit) = place::<WORDS>(n);
    bits.get_mut(word).into_iter().for_each(|word| *word |= bit);
}

fn clear<const WORDS: usize>(bits: &mut [u64; WORDS], n: u64) {
    let (word, bit) = place::<WORDS>(n);
    bits.get_mut(word).into_iter().for_each(|word| *word &= !bit);
}

const PACKET_WORDS: usize = HISTORY_PACKETS as usize / 64;
const PICTURE_WORDS: usize = PICTURES_LEFT_OUT as usize / 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_closes_up_and_what_is_missing_keeps_its_place() {
        let mut holes = Holes::new(ExtSeq(1_000), None);
        // 1001 sent, 1002 left out, 1003 missing, 1004 and 1006 left out of one frame with 1005 missing, 1007 sent.
        holes.keep(ExtSeq(1_001), None, false);
        holes.leave(ExtSeq(1_002), Timestamp(1));
        holes.leave(ExtSeq(1_004), Timestamp(2));
        holes.leave(ExtSeq(1_006), Timestamp(2));
        holes.keep(ExtSeq(1_007), None, true);
        let before = |n| holes.packets_before(ExtSeq(n));
        assert_eq!([1_001, 1_003, 1_007, 1_008].map(before), [Some(0), Some(1), Some(4), Some(4)]);
        assert_eq!([1_002, 1_004, 1_005, 1_006].map(before), [None; 4]);
        let packet = |n| holes.packet(ExtSeq(n)).map(|seq| seq.0);
        assert_eq!([1_001, 1_002, 1_003].map(packet), [Some(1_001), Some(1_003), Some(1_007)]);
        assert!(holes.ends(ExtSeq(1_007)) && !holes.ends(ExtSeq(1_001)));
    }

    #[test]
    fn as_many_are_known_as_the_history_has_and_not_one_more() {
        let mut holes = Holes::new(ExtSeq(10_000), None);
        let last = 10_000 + HISTORY_PACKETS * 2;
        for n in 10_001..=last {
            if n % 3 == 0 {
                holes.leave(ExtSeq(n), Timestamp(n as u32))
            } else {
                holes.keep(ExtSeq(n), None, false)
            }
        }
        let oldest = last - HISTORY_PACKETS + 1;
        for n in (oldest..=last).filter(|n| n % 3 != 0) {
            let before = holes.packets_before(ExtSeq(n)).unwrap();
            assert_eq!(before, n / 3 - 10_000 / 3);
            assert_eq!(holes.packet(ExtSeq(n - before)), Some(ExtSeq(n)));
        }
        let too_old = (0..9).map(|n| oldest - 1 - n).find(|n| n % 3 != 0).unwrap();
        assert_eq!(holes.packet(ExtSeq(too_old - (too_old / 3 - 10_000 / 3))), None);
        // A jump forgets what was, and does not take time.
        holes.keep(ExtSeq(last + (1 << 40)), None, false);
        assert_eq!(holes.packets_before(ExtSeq(last)), None);
    }

    #[test]
    fn pictures_close_up_over_the_wrap_of_their_ids() {
        let id = PictureId::new;
        let mut holes = Holes::new(ExtSeq(1), Some(id(0x7ffd)));
        holes.leave_picture(id(0x7ffe));
        holes.keep(ExtSeq(2), Some(id(0x7fff)), false);
        holes.leave_picture(id(0));
        holes.leave_picture(id(0));
        holes.keep(ExtSeq(3), Some(id(2)), false);
        assert_eq!([0x7ffd, 0x7fff, 1, 2].map(|n| holes.pictures_before(id(n))), [0, 1, 2, 2].map(Some));
        assert_eq!([0x7ffe, 0].map(|n| holes.pictures_before(id(n))), [None; 2]);
    }

    #[test]
    fn pictures_are_known_up_to_the_limit_and_not_one_beyond() {
        let id = |n: u64| PictureId::new(n as u16);
        let mut holes = Holes::new(ExtSeq(1), Some(id(1)));
        holes.leave_picture(id(2));
        holes.keep(ExtSeq(2), Some(id(PICTURES_LEFT_OUT + 1)), false);
        assert_eq!(holes.pictures_before(id(1)), Some(0));
        holes.keep(ExtSeq(3), Some(id(PICTURES_LEFT_OUT + 2)), false);
        assert_eq!(holes.pictures_before(id(1)), None);
        assert_eq!(holes.pictures_before(id(3)), Some(1));
    }
}
