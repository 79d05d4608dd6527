//! The sequence numbers of one SSRC: 16-bit numbers in; extended numbers without duplicates, and without the gaps of
//! packets we drop on purpose, out.

use videobridge_rtp::ExtSeq;

use crate::media::limits::{CLOSED_GAPS, DUPLICATE_WINDOW};

/// What is known of an SSRC's sequence numbers.
#[derive(Debug)]
pub(crate) struct Sequence {
    highest: Option<ExtSeq>,
    /// One bit per number of the window that ends at `highest`.
    seen: [u64; DUPLICATE_WINDOW / 64],
    /// The number that would confirm a restart of the sender.
    restart: Option<u16>,
    /// How many numbers were closed, and the latest of them.
    closed: u64,
    closed_at: [u64; CLOSED_GAPS],
}

impl Default for Sequence {
    fn default() -> Self {
        Self {
            highest: None,
            seen: [0; DUPLICATE_WINDOW / 64],
            restart: None,
            closed: 0,
            closed_at: [0; CLOSED_GAPS],
        }
    }
}

impl Sequence {
    /// Extends `seq`. `None`: a duplicate, too late, or a jump backwards that is not confirmed yet.
    pub(crate) fn accept(&mut self, seq: u16) -> Option<ExtSeq> {
        let Some(highest) = self.highest else {
            // One lap of headroom, so that late packets do not go below zero.
            let first = ExtSeq(LAP | u64::from(seq));
            self.highest = Some(first);
            self.mark(first);
            return Some(first);
        };
        let ahead = seq.wrapping_sub(highest.wire()) as i16;
        if ahead > 0 {
            let ext = ExtSeq(highest.0 + u64::from(ahead.unsigned_abs()));
            self.advance(highest, ext);
            return Some(ext);
        }
        let behind = u64::from(ahead.unsigned_abs());
        if behind >= MAX_LATE {
            // RFC 3550 A.1: two numbers in a row after a jump mean the sender started anew.
            if self.restart != Some(seq) {
                self.restart = Some(seq.wrapping_add(1));
                return None;
            }
            let ext = ExtSeq((((highest.0 >> 16) + 1) << 16) | u64::from(seq));
            self.advance(highest, ext);
            return Some(ext);
        }
        let ext = ExtSeq(highest.0.checked_sub(behind)?);
        self.mark(ext).then_some(ext)
    }

    /// The highest number so far as reports give it: with the laps since the first packet (RFC 3550 §6.4.1).
    pub(crate) fn reported(&self) -> Option<ExtSeq> {
        self.highest.map(|highest| ExtSeq(highest.0 - LAP))
    }

    /// Closes the gap of `ext`, which is not forwarded. Only the newest packet leaves no trace: after later ones went
    /// out it is a gap like any loss.
    pub(crate) fn close(&mut self, ext: ExtSeq) {
        if self.highest != Some(ext) {
            return;
        }
        if let Some(slot) = self.closed_at.get_mut((self.closed % CLOSED_GAPS as u64) as usize) {
            *slot = ext.0;
        }
        self.closed += 1;
    }

    /// The number to forward `ext` with.
    pub(crate) fn without_gaps(&self, ext: ExtSeq) -> ExtSeq {
        if self.closed == 0 {
            return ext;
        }
        let later = self.closed_at.iter().filter(|at| **at > ext.0).count() as u64;
        ExtSeq(ext.0.saturating_sub(self.closed - later.min(self.closed)))
    }

    fn advance(&mut self, highest: ExtSeq, ext: ExtSeq) {
        self.restart = None;
        if ext.0 - highest.0 >= DUPLICATE_WINDOW as u64 {
            self.seen = [0; DUPLICATE_WINDOW / 64];
        } else {
            for skipped in highest.0 + 1..=ext.0 {
                let (word, bit) = place(ExtSeq(skipped));
                if let Some(w) = self.seen.get_mut(word) {
                    *w &= !bit;
                }
            }
        }
        self.highest = Some(ext);
        self.mark(ext);
    }

    /// Returns whether it was unmarked.
    fn mark(&mut self, ext: ExtSeq) -> bool {
        let (word, bit) = place(ext);
        let Some(w) = self.seen.get_mut(word) else { return false };
        let fresh = *w & bit == 0;
        *w |= bit;
        fresh
    }
}

fn place(ext: ExtSeq) -> (usize, u64) {
    let at = ext.0 % DUPLICATE_WINDOW as u64;
    ((at / 64) as usize, 1 << (at % 64))
}

const LAP: u64 = 1 << 16;
/// Further behind than this is not lateness; smaller than the duplicate window.
const MAX_LATE: u64 = 1500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extends_over_the_wrap_and_drops_duplicates() {
        let mut s = Sequence::default();
        assert_eq!(s.accept(65_534), Some(ExtSeq(131_070)));
        assert_eq!(s.accept(1), Some(ExtSeq(131_073)));
        assert_eq!(s.accept(65_535), Some(ExtSeq(131_071)));
        assert_eq!(s.accept(65_535), None);
        assert_eq!(s.accept(0), Some(ExtSeq(131_072)));
        assert_eq!(s.accept(1), None);
    }

    #[test]
    fn a_number_seen_at_the_edge_of_the_window_is_still_a_duplicate() {
        let mut s = Sequence::default();
        (0..2000u16).for_each(|n| assert!(s.accept(n).is_some()));
        assert_eq!(s.accept(1999 - (MAX_LATE as u16 - 1)), None, "at the limit: known duplicate");
        assert_eq!(s.accept(1999 - MAX_LATE as u16), None, "beyond: taken for a restart, not confirmed");
    }

    #[test]
    fn a_number_a_window_later_is_no_duplicate_of_the_one_before() {
        const { assert!(DUPLICATE_WINDOW as u64 > MAX_LATE) };
        let window = DUPLICATE_WINDOW as u16;
        let mut s = Sequence::default();
        assert!((0..=2 * window).all(|n| s.accept(n).is_some()));
        assert!((0..=MAX_LATE as u16).all(|late| s.accept(2 * window - late).is_none()));
        for jump in [window - 1, window, window + 1] {
            let mut s = Sequence::default();
            assert!((0..window).all(|n| s.accept(n).is_some()));
            let to = window - 1 + jump;
            assert!(s.accept(to).is_some());
            // Nothing in between has been seen.
            assert!((1..MAX_LATE as u16).all(|late| s.accept(to - late).is_some()), "{jump}");
        }
    }

    #[test]
    fn a_sender_that_restarts_is_followed_after_two_packets() {
        let mut s = Sequence::default();
        s.accept(40_000);
        assert_eq!(s.accept(10_000), None);
        assert_eq!(s.accept(10_001), Some(ExtSeq((2 << 16) | 10_001)));
        assert_eq!(s.accept(10_002), Some(ExtSeq((2 << 16) | 10_002)));
    }

    #[test]
    fn dropped_packets_leave_no_gap() {
        let mut s = Sequence::default();
        let a = s.accept(10).unwrap();
        let padding = s.accept(11).unwrap();
        s.close(padding);
        let late = s.accept(13).unwrap();
        let b = s.accept(12).unwrap();
        assert_eq!(s.without_gaps(a).next(), s.without_gaps(b));
        assert_eq!(s.without_gaps(b).next(), s.without_gaps(late));
    }

    #[test]
    fn late_packets_from_before_a_closed_gap_keep_their_place() {
        let mut s = Sequence::default();
        let first = s.accept(10).unwrap();
        let padding = s.accept(12).unwrap();
        s.close(padding);
        let late = s.accept(11).unwrap();
        assert_eq!(s.without_gaps(late), s.without_gaps(first).next());
        let next = s.accept(13).unwrap();
        assert_eq!(s.without_gaps(next), s.without_gaps(late).next());
    }

    #[test]
    fn closed_gaps_are_remembered_up_to_the_limit_and_not_one_beyond() {
        for (closed, right) in [(CLOSED_GAPS as u16, true), (CLOSED_GAPS as u16 + 1, false)] {
            let mut s = Sequence::default();
            let first = s.accept(100).unwrap();
            let sent = s.without_gaps(first);
            for n in 0..closed {
                let padding = s.accept(102 + n).unwrap();
                s.close(padding);
            }
            let late = s.accept(101).unwrap();
            assert_eq!(s.without_gaps(late) == sent.next(), right, "{closed}");
        }
    }
}
