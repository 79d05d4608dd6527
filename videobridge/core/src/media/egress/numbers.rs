//! Where SSRCs whose stream ended have to go on: the numbers of streams that end in, those of streams that begin out.
//!
//! An SSRC may come back while the keys live, and then no number of it may be used again. SRTP's sender would refuse it.

use foldhash::{HashMap, HashMapExt};
use jitsi_xmpp::Entropy;
use jitsi_xmpp::ids::Ssrc;
use videobridge_rtp::ExtSeq;

use videobridge_srtp::limits::MAX_RELAYED_SSRCS;

/// An SSRC with the extended sequence number of its next packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbered {
    pub(crate) ssrc: Ssrc,
    pub(crate) next: ExtSeq,
}

/// The SSRCs of one receiver that are not in use any more.
#[derive(Debug)]
pub(crate) struct Numbers {
    ended: HashMap<Ssrc, ExtSeq>,
}

impl Numbers {
    pub(crate) fn new() -> Self {
        Self { ended: HashMap::new() }
    }

    /// A stream with this SSRC ended.
    pub(crate) fn end(&mut self, at: Numbered) {
        // Beyond the limit the SSRC is one that SRTP refuses, too.
        if self.ended.len() < MAX_RELAYED_SSRCS {
            self.ended.insert(at.ssrc, at.next);
        }
    }

    /// A stream with this SSRC begins: where it was, or else at `fresh`.
    pub(crate) fn begin(&mut self, ssrc: Ssrc, fresh: ExtSeq) -> Numbered {
        Numbered { ssrc, next: self.ended.remove(&ssrc).unwrap_or(fresh) }
    }

    /// Whether it was in use earlier.
    pub(crate) fn knows(&self, ssrc: Ssrc) -> bool {
        self.ended.contains_key(&ssrc)
    }
}

/// A first sequence number. SRTP starts with roll-over counter 0; half a lap of room lets both sides agree on it.
pub(crate) fn first(entropy: &mut dyn Entropy) -> ExtSeq {
    ExtSeq(u64::from(entropy.u32() & 0x7fff))
}

/// RTX streams begin with this number, as upstream's.
pub(crate) const FIRST_RTX: ExtSeq = ExtSeq(1);
