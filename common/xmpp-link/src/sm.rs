//! Stream management, client side (XEP-0198), pure: stanzas sent and received in; counters, what to send again
//! and when to ask for an acknowledgement out.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::error::LinkError;
use crate::limits;

/// One session's counters. Lives across connections as long as the session can be resumed.
#[derive(Debug, Default)]
pub(crate) struct StreamManagement {
    /// The id to resume with; `None`: the server does not resume.
    pub(crate) id: Option<String>,
    /// Stanzas received (`h` we send).
    pub(crate) received: u32,
    /// Stanzas the server has acknowledged (the last `h` it sent).
    acked: u32,
    unacked: VecDeque<Bytes>,
    unacked_bytes: usize,
    since_request: usize,
}

impl StreamManagement {
    /// A new session's counters; `id` if it can be resumed.
    pub(crate) fn new(id: Option<String>) -> Self {
        Self { id, ..Self::default() }
    }

    /// A stanza is about to be written.
    pub(crate) fn sent(&mut self, stanza: Bytes) {
        self.unacked_bytes += stanza.len();
        self.unacked.push_back(stanza);
        self.since_request += 1;
    }

    /// Whether no more may be sent before an acknowledgement.
    pub(crate) fn is_full(&self) -> bool {
        self.unacked.len() >= limits::UNACKED_STANZAS || self.unacked_bytes >= limits::UNACKED_BYTES
    }

    /// Whether to ask for an acknowledgement now; asking is then assumed to happen.
    pub(crate) fn take_request(&mut self) -> bool {
        let ask = self.since_request >= limits::ACK_EVERY;
        if ask {
            self.since_request = 0;
        }
        ask
    }

    /// Whether anything waits for an acknowledgement.
    pub(crate) fn has_unacked(&self) -> bool {
        !self.unacked.is_empty()
    }

    /// The server has handled `h` stanzas in all (modulo 2³²).
    pub(crate) fn acknowledge(&mut self, h: u32) -> Result<(), LinkError> {
        let news = h.wrapping_sub(self.acked) as usize;
        if news > self.unacked.len() {
            return Err(LinkError::Acks);
        }
        for stanza in self.unacked.drain(..news) {
            self.unacked_bytes = self.unacked_bytes.saturating_sub(stanza.len());
        }
        self.acked = h;
        Ok(())
    }

    /// What has to be sent again after a resumption, oldest first. It stays unacknowledged.
    pub(crate) fn resend(&self) -> impl Iterator<Item = &Bytes> {
        self.unacked.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledged_stanzas_are_not_sent_again() {
        let mut sm = StreamManagement::default();
        for i in 0..3u8 {
            sm.sent(Bytes::from(vec![i]));
        }
        sm.acknowledge(2).unwrap();
        assert_eq!(sm.resend().map(|b| b[0]).collect::<Vec<_>>(), [2]);
        assert!(sm.acknowledge(4).is_err(), "more than was sent");
        assert!(sm.acknowledge(1).is_err(), "counters never go back");
        sm.acknowledge(3).unwrap();
        assert!(!sm.has_unacked());
    }

    #[test]
    fn counters_wrap() {
        let mut sm = StreamManagement { acked: u32::MAX, ..StreamManagement::default() };
        sm.sent(Bytes::from_static(b"a"));
        sm.sent(Bytes::from_static(b"b"));
        sm.acknowledge(1).unwrap();
        assert!(!sm.has_unacked());
    }

    #[test]
    fn the_unacknowledged_are_bounded() {
        let mut sm = StreamManagement::default();
        for _ in 0..limits::UNACKED_STANZAS - 1 {
            sm.sent(Bytes::from_static(b"a"));
        }
        assert!(!sm.is_full());
        sm.sent(Bytes::from_static(b"a"));
        assert!(sm.is_full());
        sm.acknowledge(1).unwrap();
        assert!(!sm.is_full());

        let mut sm = StreamManagement::default();
        sm.sent(Bytes::from(vec![b'a'; limits::UNACKED_BYTES - 1]));
        assert!(!sm.is_full());
        sm.sent(Bytes::from_static(b"a"));
        assert!(sm.is_full());

        let mut sm = StreamManagement::default();
        for _ in 0..limits::ACK_EVERY {
            assert!(!sm.take_request());
            sm.sent(Bytes::from_static(b"a"));
        }
        assert!(sm.take_request() && !sm.take_request(), "asked once, after so many");
    }
}
