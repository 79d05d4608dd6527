//! Plain RTP and RTCP packets in, protected ones out, in the same buffer.

use std::fmt;

use crate::cipher::Cipher;
use crate::indices::Indices;
use crate::wire::{rtcp_ssrc, rtp_header};
use crate::{Profile, SrtpError};

/// Protects what we send to one peer, for as long as the keys live.
///
/// A packet whose SSRC and sequence number were sent before is refused, so a lost packet can only be repeated on another
/// SSRC (RFC 4588), and a stream that ends and begins again has to go on counting.
pub struct Sender {
    profile: Profile,
    rtp: Cipher,
    rtcp: Cipher,
    indices: Indices,
}

impl Sender {
    pub(crate) fn new(profile: Profile, rtp: Cipher, rtcp: Cipher) -> Self {
        Self { profile, rtp, rtcp, indices: Indices::new() }
    }

    /// For another bridge, to which one conference's SSRCs go: [`crate::limits::MAX_RELAYED_SSRCS`] of them.
    #[must_use]
    pub fn relayed(mut self) -> Self {
        self.indices.relayed();
        self
    }

    /// The negotiated profile.
    pub const fn profile(&self) -> Profile {
        self.profile
    }

    /// Protects the RTP packet `buf[..len]`. Returns the length to send.
    ///
    /// # Errors
    /// [`SrtpError::NoRoom`] unless [`Profile::tag_len`] bytes follow the packet; see there for the others.
    /// After an error nothing may be sent.
    pub fn protect_rtp(&mut self, buf: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let header = rtp_header(buf.get(..len).ok_or(SrtpError::NoRoom)?)?;
        if buf.len() - len < self.profile.tag_len() {
            return Err(SrtpError::NoRoom);
        }
        let index = self.indices.rtp(header.ssrc, header.sequence)?;
        self.rtp.seal_rtp(buf, len, header.len, index)
    }

    /// Protects the compound RTCP packet `buf[..len]`. Returns the length to send.
    ///
    /// # Errors
    /// [`SrtpError::NoRoom`] unless [`Profile::rtcp_overhead`] bytes follow the packet; see there for the others.
    pub fn protect_rtcp(&mut self, buf: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let ssrc = rtcp_ssrc(buf.get(..len).ok_or(SrtpError::NoRoom)?)?;
        if buf.len() - len < self.profile.rtcp_overhead() {
            return Err(SrtpError::NoRoom);
        }
        let index = self.indices.rtcp(ssrc)?;
        self.rtcp.seal_rtcp(buf, len, index)
    }

    #[cfg(test)]
    pub(crate) fn skip_to(&mut self, ssrc: u32, index: u64, rtcp: u32) {
        self.indices.skip_to(ssrc, index, rtcp);
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sender({})", self.profile.name())
    }
}
