//! Protected RTP and RTCP packets of one peer in, authenticated plain ones out, in the same buffer.

use std::fmt;

use crate::cipher::Cipher;
use crate::indices::RtcpIndex;
use crate::limits::{MAX_RELAYED_SSRCS, MAX_SSRCS, RTP_INDEX_END};
use crate::replay::ReplayWindow;
use crate::wire::{ENCRYPTED, rtcp_ssrc, rtp_header};
use crate::{Profile, SrtpError};

/// Authenticates and decrypts what one peer sends.
pub struct Receiver {
    profile: Profile,
    rtp: Cipher,
    rtcp: Cipher,
    rtp_streams: Streams,
    rtcp_streams: Streams,
}

impl Receiver {
    pub(crate) const fn new(profile: Profile, rtp: Cipher, rtcp: Cipher) -> Self {
        Self { profile, rtp, rtcp, rtp_streams: Streams::new(), rtcp_streams: Streams::new() }
    }

    /// For another bridge, from which one conference's SSRCs come: [`crate::limits::MAX_RELAYED_SSRCS`] of them.
    #[must_use]
    pub const fn relayed(mut self) -> Self {
        (self.rtp_streams.most, self.rtcp_streams.most) = (MAX_RELAYED_SSRCS, MAX_RELAYED_SSRCS);
        self
    }

    /// The negotiated profile.
    pub const fn profile(&self) -> Profile {
        self.profile
    }

    /// Unprotects the SRTP packet that fills `packet`; returns the length of the RTP packet, which starts at 0.
    ///
    /// # Errors
    /// Then the packet is to be dropped; its payload may have been overwritten.
    pub fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let header = rtp_header(packet)?;
        let known = self.rtp_streams.find(header.ssrc);
        let index = match known {
            Some(window) => {
                let index = window.estimate(header.sequence);
                window.check(index)?;
                index
            }
            None => header.sequence.into(),
        };
        if index >= RTP_INDEX_END {
            return Err(SrtpError::Exhausted);
        }
        let len = self.rtp.open_rtp(packet, header.len, header.ssrc, index)?;
        self.rtp_streams.accept(header.ssrc, index);
        Ok(len)
    }

    /// Unprotects the SRTCP packet that fills `packet`; returns the length of the RTCP packet, which starts at 0.
    ///
    /// # Errors
    /// Then the packet is to be dropped; its payload may have been overwritten.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let ssrc = rtcp_ssrc(packet)?;
        let word = self.rtcp.rtcp_word(packet)?;
        if word & ENCRYPTED == 0 {
            return Err(SrtpError::NotEncrypted);
        }
        let index = RtcpIndex(word & !ENCRYPTED);
        if let Some(window) = self.rtcp_streams.find(ssrc) {
            window.check(index.into())?;
        }
        let len = self.rtcp.open_rtcp(packet, ssrc, index)?;
        self.rtcp_streams.accept(ssrc, index.into());
        Ok(len)
    }

    /// SSRCs remembered at the moment, for statistics: RTP, RTCP.
    pub fn ssrc_counts(&self) -> (usize, usize) {
        (self.rtp_streams.len(), self.rtcp_streams.len())
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receiver({})", self.profile.name())
    }
}

/// Replay windows by SSRC. Two parallel vectors: the search reads four bytes per entry, and the entry found last
/// is tried first, because packets come in bursts.
struct Streams {
    ssrcs: Vec<u32>,
    states: Vec<State>,
    last: usize,
    /// Counts accepted packets; orders the entries by use.
    clock: u64,
    most: usize,
}

struct State {
    window: ReplayWindow,
    used: u64,
}

impl Streams {
    const fn new() -> Self {
        Self { ssrcs: Vec::new(), states: Vec::new(), last: 0, clock: 0, most: MAX_SSRCS }
    }

    fn len(&self) -> usize {
        self.ssrcs.len()
    }

    fn position(&mut self, ssrc: u32) -> Option<usize> {
        if self.ssrcs.get(self.last) != Some(&ssrc) {
            self.last = self.ssrcs.iter().position(|s| *s == ssrc)?;
        }
        Some(self.last)
    }

    fn find(&mut self, ssrc: u32) -> Option<&ReplayWindow> {
        let at = self.position(ssrc)?;
        self.states.get(at).map(|s| &s.window)
    }

    /// Records an authenticated packet; makes room by forgetting the entry that was not used for the longest time.
    fn accept(&mut self, ssrc: u32, index: u64) {
        self.clock += 1;
        let used = self.clock;
        if let Some(at) = self.position(ssrc) {
            if let Some(state) = self.states.get_mut(at) {
                state.window.accept(index);
                state.used = used;
            }
            return;
        }
        if self.ssrcs.len() >= self.most {
            let oldest = self.states.iter().enumerate().min_by_key(|(_, s)| s.used).map(|(at, _)| at);
            if let Some(at) = oldest {
                self.ssrcs.swap_remove(at);
                self.states.swap_remove(at);
            }
        }
        self.last = self.ssrcs.len();
        self.ssrcs.push(ssrc);
        self.states.push(State { window: ReplayWindow::starting_at(index), used });
    }
}
