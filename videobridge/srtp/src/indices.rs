//! SSRCs and sequence numbers of packets to be sent in; indices that no packet had before out.
//!
//! Two packets with one key and one index give the key stream away, and with AES-GCM the authentication key, too
//! (RFC 7714 §10). So an index exists only as a token that is made here once and used up by the cipher. One table lives
//! as long as its key; nothing in it is ever forgotten.

use foldhash::{HashMap, HashMapExt};

use crate::SrtpError;
use crate::limits::{MAX_RELAYED_SSRCS, MAX_SENT_SSRCS, RTCP_INDEX_END, RTP_INDEX_END, SEND_WINDOW};
use crate::replay::nearest;

/// The right to protect one RTP packet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NextIndex {
    ssrc: u32,
    index: u64,
}

/// The right to protect one RTCP packet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NextRtcpIndex {
    ssrc: u32,
    index: RtcpIndex,
}

/// The 31-bit index of an RTCP packet: beside SSRCs, which are as wide, a type of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RtcpIndex(pub(crate) u32);

impl From<RtcpIndex> for u64 {
    fn from(index: RtcpIndex) -> Self {
        index.0.into()
    }
}

/// What was sent with one key.
pub(crate) struct Indices {
    places: HashMap<u32, usize>,
    streams: Vec<Stream>,
    /// Places found lately, by the lower bits of the SSRC: cheaper than to look for them.
    recent: [usize; RECENT],
    /// One counter for all SSRCs; receivers only ask that it grows per SSRC.
    next_rtcp: u32,
    most: usize,
}

struct Stream {
    ssrc: u32,
    newest: u64,
    /// One bit for each index of the window that ends with the newest.
    used: [u64; WORDS],
}

const RECENT: usize = 16;
const WORDS: usize = SEND_WINDOW as usize / 64;

impl NextIndex {
    /// Uses it up.
    pub(crate) const fn spend(self) -> (u32, u64) {
        (self.ssrc, self.index)
    }

    /// For published vectors.
    #[cfg(test)]
    pub(crate) const fn forge(ssrc: u32, index: u64) -> Self {
        Self { ssrc, index }
    }
}

impl NextRtcpIndex {
    /// Uses it up.
    pub(crate) const fn spend(self) -> (u32, RtcpIndex) {
        (self.ssrc, self.index)
    }

    /// For published vectors.
    #[cfg(test)]
    pub(crate) const fn forge(ssrc: u32, index: u32) -> Self {
        Self { ssrc, index: RtcpIndex(index) }
    }
}

impl Indices {
    pub(crate) fn new() -> Self {
        let (streams, recent, most) = (Vec::new(), [0; RECENT], MAX_SENT_SSRCS);
        Self { places: HashMap::new(), streams, recent, next_rtcp: 1, most }
    }

    /// With room for a whole conference.
    pub(crate) fn relayed(&mut self) {
        self.most = MAX_RELAYED_SSRCS;
    }

    /// The index of the packet with this sequence number. Its roll-over counter is the one the receiver will guess
    /// (RFC 3711 §3.3.1).
    pub(crate) fn rtp(&mut self, ssrc: u32, sequence: u16) -> Result<NextIndex, SrtpError> {
        let recent = self.recent.get(ssrc as usize % RECENT).copied();
        let known = recent.and_then(|at| self.streams.get_mut(at)).filter(|s| s.ssrc == ssrc);
        let index = match known {
            Some(stream) => stream.take(sequence)?,
            None => self.find(ssrc, sequence)?,
        };
        Ok(NextIndex { ssrc, index })
    }

    fn find(&mut self, ssrc: u32, sequence: u16) -> Result<u64, SrtpError> {
        let known = self.places.get(&ssrc).copied();
        if known.is_none() && self.streams.len() == self.most {
            return Err(SrtpError::TooManySsrcs);
        }
        let at = known.unwrap_or(self.streams.len());
        if let Some(recent) = self.recent.get_mut(ssrc as usize % RECENT) {
            *recent = at;
        }
        if let Some(stream) = self.streams.get_mut(at) {
            return stream.take(sequence);
        }
        self.places.insert(ssrc, at);
        self.streams.push(Stream::starting_at(ssrc, sequence));
        Ok(sequence.into())
    }

    /// The next index for RTCP.
    pub(crate) fn rtcp(&mut self, ssrc: u32) -> Result<NextRtcpIndex, SrtpError> {
        let index = self.next_rtcp;
        if index >= RTCP_INDEX_END {
            return Err(SrtpError::Exhausted);
        }
        self.next_rtcp += 1;
        Ok(NextRtcpIndex { ssrc, index: RtcpIndex(index) })
    }

    #[cfg(test)]
    pub(crate) fn skip_to(&mut self, ssrc: u32, index: u64, rtcp: u32) {
        self.places.insert(ssrc, self.streams.len());
        self.streams.push(Stream { newest: index, ..Stream::starting_at(ssrc, 0) });
        self.next_rtcp = rtcp;
    }
}

impl Stream {
    fn starting_at(ssrc: u32, sequence: u16) -> Self {
        let mut stream = Self { ssrc, newest: sequence.into(), used: [0; WORDS] };
        stream.mark(sequence.into());
        stream
    }

    fn take(&mut self, sequence: u16) -> Result<u64, SrtpError> {
        let index = nearest(self.newest, sequence);
        if index >= RTP_INDEX_END {
            return Err(SrtpError::Exhausted);
        }
        if index > self.newest {
            if index - self.newest >= SEND_WINDOW {
                self.used = [0; WORDS];
            } else {
                (self.newest + 1..index).for_each(|skipped| self.clear(skipped));
            }
            self.newest = index;
            self.mark(index);
            return Ok(index);
        }
        if self.newest - index >= SEND_WINDOW || self.is_used(index) {
            return Err(SrtpError::IndexUsed);
        }
        self.mark(index);
        Ok(index)
    }

    fn mark(&mut self, index: u64) {
        if let Some(word) = self.used.get_mut(word(index)) {
            *word |= 1 << (index % 64);
        }
    }

    fn clear(&mut self, index: u64) {
        if let Some(word) = self.used.get_mut(word(index)) {
            *word &= !(1 << (index % 64));
        }
    }

    fn is_used(&self, index: u64) -> bool {
        self.used.get(word(index)).is_none_or(|word| word >> (index % 64) & 1 == 1)
    }
}

fn word(index: u64) -> usize {
    (index / 64) as usize % WORDS
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_index_is_handed_out_once_also_out_of_order() {
        let mut indices = Indices::new();
        let mut take = |seq| indices.rtp(7, seq).map(|i| i.spend().1);
        assert_eq!((take(1000), take(1002), take(1001)), (Ok(1000), Ok(1002), Ok(1001)));
        for seq in 1000..=1002 {
            assert_eq!(take(seq), Err(SrtpError::IndexUsed), "{seq}");
        }
    }

    #[test]
    fn what_is_behind_the_window_may_have_been_used() {
        let mut indices = Indices::new();
        let mut take = |seq| indices.rtp(7, seq).map(|i| i.spend().1);
        take(2000).unwrap();
        let window = SEND_WINDOW as u16;
        assert_eq!(take(2000 - window + 1), Ok(2000 - SEND_WINDOW + 1), "at the limit");
        assert_eq!(take(2000 - window), Err(SrtpError::IndexUsed), "one beyond");
    }

    #[test]
    fn the_roll_over_counter_belongs_to_the_ssrc_for_good() {
        let mut indices = Indices::new();
        let mut take = |ssrc, seq| indices.rtp(ssrc, seq).map(|i| i.spend());
        assert_eq!(take(1, 65_535), Ok((1, 65_535)));
        assert_eq!(take(2, 5), Ok((2, 5)));
        assert_eq!(take(1, 0), Ok((1, 65_536)));
        // A stream that starts anew with its old SSRC: the receiver would guess the same.
        assert_eq!(take(1, 65_535), Err(SrtpError::IndexUsed));
        assert_eq!(take(2, 6), Ok((2, 6)));
    }

    #[test]
    fn a_full_table_refuses_new_ssrcs_and_forgets_no_old_one() {
        let mut relayed = Indices::new();
        relayed.relayed();
        for (mut indices, most) in [(Indices::new(), MAX_SENT_SSRCS), (relayed, MAX_RELAYED_SSRCS)] {
            for ssrc in 0..most as u32 {
                assert!(indices.rtp(ssrc, 1).is_ok(), "at the limit");
            }
            assert_eq!(indices.rtp(u32::MAX, 1), Err(SrtpError::TooManySsrcs), "one beyond");
            for ssrc in 0..most as u32 {
                assert_eq!(indices.rtp(ssrc, 1), Err(SrtpError::IndexUsed));
                assert!(indices.rtp(ssrc, 2).is_ok());
            }
        }
    }

    proptest! {
        #[test]
        fn no_order_of_sequence_numbers_yields_an_index_twice(
            packets in prop::collection::vec((0..3_u32, prop_oneof![any::<u16>(), 0..600_u16, 65_000..=65_535_u16]), 1..3000),
        ) {
            let mut indices = Indices::new();
            let mut seen = HashSet::new();
            for (ssrc, sequence) in packets {
                if let Ok(index) = indices.rtp(ssrc, sequence) {
                    let (ssrc, index) = index.spend();
                    prop_assert_eq!(index as u16, sequence);
                    prop_assert!(seen.insert((ssrc, index)));
                }
            }
        }
    }
}
