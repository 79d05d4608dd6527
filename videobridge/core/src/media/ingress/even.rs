//! Sizes of a frame's packets in; the bytes of padding that make them equal, out.
//!
//! Segmentation by the kernel wants datagrams of one size: one that is longer than those before it begins another message, and
//! a message is most of what sending costs. Encoders' packetisers cut a frame into packets that differ by a byte, the shorter
//! ones first (libwebrtc and all who have it), so nearly every frame would be cut in two, once for each receiver.

use crate::media::ids::Timestamp;

/// The packets of one encoding.
#[derive(Debug, Default)]
pub(crate) struct Even {
    frame: Timestamp,
    /// What packets of this frame are filled up to; 0 = its packets are left as they are.
    len: usize,
}

impl Even {
    /// Bytes of padding for the next packet, of a payload of `len` bytes that is the `last` of its frame or not.
    pub(crate) fn padding(&mut self, frame: Timestamp, len: usize, last: bool) -> u8 {
        let begins = self.frame != frame;
        self.frame = frame;
        if !(SHORTEST..=LONGEST).contains(&len) || (begins && last) {
            self.len = 0;
            return 0;
        }
        // A last one may be shorter.
        if last && len <= self.len {
            return 0;
        }
        if begins || len > self.len || self.len - len > usize::from(MOST_EVENED) {
            // The next one may be a byte longer.
            self.len = if last { len } else { len + 1 };
        }
        u8::try_from(self.len - len).unwrap_or(0)
    }
}

/// Most bytes that are added: sizes that differ by more are no accident of rounding.
pub(crate) const MOST_EVENED: u8 = 8;
/// Frames of small packets are few packets.
const SHORTEST: usize = 400;
/// With header, tag and all that is below still within 1,280 bytes, the least that every path carries.
const LONGEST: usize = 1_190;

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes of a frame as they are sent.
    fn sent(even: &mut Even, frame: u32, sizes: &[usize]) -> Vec<usize> {
        let last = sizes.len() - 1;
        let one =
            |(n, len): (usize, &usize)| len + usize::from(even.padding(Timestamp(frame), *len, n == last));
        sizes.iter().enumerate().map(one).collect()
    }

    #[test]
    fn packets_that_differ_by_a_byte_are_sent_in_one_size() {
        let mut even = Even::default();
        // Shorter ones first, as libwebrtc; longer ones first; and what was left over last.
        assert_eq!(sent(&mut even, 1, &[1100, 1100, 1101, 1101]), [1101; 4]);
        assert_eq!(sent(&mut even, 2, &[901, 901, 900, 900]), [902, 902, 902, 900]);
        assert_eq!(sent(&mut even, 3, &[1000, 1000, 310]), [1001, 1001, 310]);
    }

    #[test]
    fn a_first_packet_with_more_in_its_header_costs_its_frame_no_more_than_one_cut() {
        let mut even = Even::default();
        assert_eq!(sent(&mut even, 1, &[1080, 1100, 1100, 1101]), [1081, 1101, 1101, 1101]);
    }

    #[test]
    fn what_is_alone_or_small_or_at_the_limit_stays_as_it_is() {
        let mut even = Even::default();
        assert_eq!(sent(&mut even, 1, &[1100]), [1100], "no train");
        assert_eq!(sent(&mut even, 2, &[SHORTEST - 1, SHORTEST - 1]), [SHORTEST - 1; 2]);
        assert_eq!(sent(&mut even, 3, &[LONGEST, LONGEST]), [LONGEST + 1, LONGEST], "at the limit");
        assert_eq!(sent(&mut even, 4, &[LONGEST + 1, LONGEST + 1]), [LONGEST + 1; 2], "one beyond");
    }

    #[test]
    fn no_more_is_added_than_rounding_explains() {
        let mut even = Even::default();
        let most = usize::from(MOST_EVENED);
        let least = 1101 - most;
        assert_eq!(sent(&mut even, 1, &[1100, least, 1000]), [1101, 1101, 1000], "at the limit");
        assert_eq!(sent(&mut even, 2, &[1100, least - 1, 1000]), [1101, least, 1000], "one beyond");
    }

    #[test]
    fn frames_do_not_know_each_other() {
        let mut even = Even::default();
        assert_eq!(sent(&mut even, 1, &[1100, 1101]), [1101, 1101]);
        assert_eq!(sent(&mut even, 2, &[1095, 1096]), [1096, 1096]);
    }
}
