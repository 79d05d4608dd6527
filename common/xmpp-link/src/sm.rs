//! Stream management, client side (XEP-0198), pure: stanzas sent and received in; counters, what to send again
//! and when to ask for an acknowledgement out.

use std::collections::VecDeque;

use bytes::Bytes;

use jitsi_xmpp::FullJid;

use crate::error::LinkError;
use crate::{Resumption, limits};

/// One session's counters. Lives across connections as long as the session can be resumed.
#[derive(Debug, Default)]
pub(crate) struct StreamManagement {
    /// The id to resume with; `None`: the server does not resume.
    pub(crate) id: Option<String>,
    /// Stanzas received (`h` we send).
    pub(crate) received: u32,
    /// So many of them are told to the server as handled, where what was done about them is kept for a successor.
    pub(crate) kept: Option<u32>,
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

    /// A session that somebody else began.
    pub(crate) fn inherited(from: &Resumption) -> Self {
        Self {
            id: Some(from.id.clone()),
            received: from.received,
            acked: from.acked,
            unacked_bytes: from.unacked.iter().map(Bytes::len).sum(),
            unacked: from.unacked.iter().cloned().collect(),
            ..Self::default()
        }
    }

    /// What a successor has to know.
    pub(crate) fn resumption(&self, jid: &FullJid) -> Option<Resumption> {
        Some(Resumption {
            jid: jid.clone(),
            id: self.id.clone()?,
            received: self.received,
            acked: self.acked,
            unacked: self.unacked.iter().cloned().collect(),
        })
    }

    /// What the server is told that we have handled.
    pub(crate) fn handled(&self) -> u32 {
        self.kept.unwrap_or(self.received)
    }

    /// The same as [`Self::acknowledge`] at the beginning of an inherited session: whoever had it may have said more than it could
    /// still write down.
    pub(crate) fn acknowledge_inherited(&mut self, h: u32) -> Result<(), LinkError> {
        if self.acknowledge(h).is_err() {
            if h.wrapping_sub(self.acked) > u32::MAX / 2 {
                return Err(LinkError::Acks);
            }
            self.unacked.clear();
            (self.unacked_bytes, self.acked) = (0, h);
        }
        Ok(())
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
    fn whoever_inherits_a_session_sends_again_what_the_server_has_not_seen() {
        let from = Resumption {
            jid: "focus@auth.x/focus".parse().unwrap(),
            id: "q".into(),
            received: 7,
            acked: 3,
            unacked: vec![Bytes::from_static(b"a"), Bytes::from_static(b"b")],
        };
        let mut sm = StreamManagement::inherited(&from);
        assert_eq!((sm.handled(), sm.resumption(&from.jid).as_ref()), (7, Some(&from)));
        sm.acknowledge_inherited(4).unwrap();
        assert_eq!(sm.resend().collect::<Vec<_>>(), [&from.unacked[1]]);
        // More than was written down, and less than was acknowledged already.
        sm.acknowledge_inherited(9).unwrap();
        assert!(!sm.has_unacked());
        assert!(sm.acknowledge_inherited(8).is_err());
        sm.sent(Bytes::from_static(b"c"));
        sm.acknowledge(10).unwrap();
        sm.kept = Some(5);
        assert_eq!(sm.handled(), 5, "what is kept counts as handled, and nothing else");
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
