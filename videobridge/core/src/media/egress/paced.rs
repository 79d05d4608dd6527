//! Packets that have to wait for a receiver's pacing in; which of them is next, and whether there are too many, out.
//!
//! Only where they are is remembered: the sources' histories have the packets, for all receivers together.

use std::collections::VecDeque;

use jitsi_xmpp::ids::Ssrc;
use videobridge_rtp::ExtSeq;

use super::stream::Rewrite;
use crate::media::ids::{EncodingIx, SourceRef};
use crate::media::limits::{PACED_PACKETS, PACED_US};

/// A packet with its numbers on the outgoing stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paced {
    pub(crate) source: SourceRef,
    pub(crate) encoding: EncodingIx,
    /// The sender's number.
    pub(crate) seq: ExtSeq,
    pub(crate) ssrc: Ssrc,
    pub(crate) rewrite: Rewrite,
    pub(crate) bytes: usize,
}

/// What waits for one receiver, in the order it is to be sent.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    line: VecDeque<Paced>,
    bytes: usize,
}

impl Waiting {
    pub(crate) fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The packet joins the line.
    pub(crate) fn push(&mut self, packet: Paced) {
        self.bytes += packet.bytes;
        self.line.push_back(packet);
    }

    /// Takes the next one.
    pub(crate) fn pop(&mut self) -> Option<Paced> {
        let next = self.line.pop_front()?;
        self.bytes = self.bytes.saturating_sub(next.bytes);
        Some(next)
    }

    /// Whether what waits is too much, when all that is owed takes `ahead_us`.
    pub(crate) fn is_too_much(&self, ahead_us: u64) -> bool {
        !self.is_empty() && (self.line.len() >= PACED_PACKETS || ahead_us > PACED_US)
    }

    /// Nothing waits any more.
    pub(crate) fn clear(&mut self) {
        self.line.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::ids::{SourceIx, SourceUid, Timestamp};

    fn packet(seq: u64) -> Paced {
        let source = SourceRef { uid: SourceUid(1), at: SourceIx(0) };
        let rewrite = Rewrite {
            seq: ExtSeq(seq),
            timestamp: Timestamp(0),
            picture_id: None,
            tl0: None,
            frame_number: None,
            template_shift: 0,
            marker: false,
            active: None,
        };
        let (encoding, ssrc) = (EncodingIx::FIRST, Ssrc(1));
        Paced { source, encoding, seq: ExtSeq(seq), ssrc, rewrite, bytes: 1_000 }
    }

    #[test]
    fn packets_wait_in_line_and_no_longer_than_the_limit() {
        let mut waiting = Waiting::default();
        assert!(!waiting.is_too_much(PACED_US + 1), "nobody waits");
        (0..PACED_PACKETS as u64 - 1).for_each(|seq| waiting.push(packet(seq)));
        assert!(!waiting.is_too_much(PACED_US) && waiting.is_too_much(PACED_US + 1));
        waiting.push(packet(PACED_PACKETS as u64 - 1));
        assert!(waiting.is_too_much(0), "one more than may");
        assert_eq!(waiting.bytes(), PACED_PACKETS * 1_000);
        let out: Vec<u64> = std::iter::from_fn(|| waiting.pop()).map(|p| p.seq.0).collect();
        assert!(out.iter().copied().eq(0..PACED_PACKETS as u64));
        assert!(waiting.is_empty() && waiting.bytes() == 0);
    }
}
