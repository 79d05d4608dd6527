//! Packet indices of one SSRC in; new, seen before, or too old, out (RFC 3711 §3.3.2, appendix A).

use crate::SrtpError;
use crate::limits::REPLAY_WINDOW;

/// The newest authenticated index and which of the 128 up to it were accepted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReplayWindow {
    newest: u64,
    /// Bit `n` stands for `newest - n`.
    seen: u128,
}

impl ReplayWindow {
    /// The window after the first authenticated packet.
    pub(crate) const fn starting_at(index: u64) -> Self {
        Self { newest: index, seen: 1 }
    }

    /// Whether `index` may be accepted. Changes nothing: the packet is not authenticated yet.
    pub(crate) const fn check(&self, index: u64) -> Result<(), SrtpError> {
        if index > self.newest {
            return Ok(());
        }
        let behind = self.newest - index;
        if behind >= REPLAY_WINDOW {
            Err(SrtpError::TooOld)
        } else if (self.seen >> behind) & 1 == 1 {
            Err(SrtpError::Replayed)
        } else {
            Ok(())
        }
    }

    /// Records an authenticated index.
    pub(crate) const fn accept(&mut self, index: u64) {
        if index > self.newest {
            let ahead = index - self.newest;
            self.seen = if ahead >= REPLAY_WINDOW { 1 } else { (self.seen << ahead) | 1 };
            self.newest = index;
        } else if self.newest - index < REPLAY_WINDOW {
            self.seen |= 1 << (self.newest - index);
        }
    }

    /// The 48-bit index that `sequence` most likely stands for: the one nearest to the newest (RFC 3711 §3.3.1).
    pub(crate) const fn estimate(&self, sequence: u16) -> u64 {
        nearest(self.newest, sequence)
    }
}

/// The index with this sequence number that is nearest to `newest`; both ends of a stream have to agree on it.
pub(crate) const fn nearest(newest: u64, sequence: u16) -> u64 {
    #[allow(clippy::cast_possible_truncation)]
    let delta = sequence.wrapping_sub(newest as u16);
    if delta < 0x8000 {
        return newest + delta as u64;
    }
    let back = 0x1_0000 - delta as u64;
    // Before the first roll-over there is nothing to go back to: the packet is far ahead.
    if newest >= back { newest - back } else { newest + delta as u64 }
}
