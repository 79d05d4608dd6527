//! Plain RTP and RTCP packets in, protected ones out, in the same buffer.

use std::fmt;

use crate::cipher::Cipher;
use crate::limits::{RTCP_INDEX_END, RTP_INDEX_END};
use crate::wire::{rtcp_ssrc, rtp_header};
use crate::{Profile, SrtpError};

/// Protects what we send to one peer.
///
/// RTP keeps no state here: the caller knows the extended sequence number. **The caller must never protect two
/// different packets with the same SSRC and extended sequence number**, else AES-GCM loses all its strength;
/// a retransmission on the same SSRC has to be byte for byte the same packet.
pub struct Sender {
    profile: Profile,
    rtp: Cipher,
    rtcp: Cipher,
    /// One counter for all SSRCs; receivers only ask that it grows per SSRC.
    next_rtcp_index: u32,
}

impl Sender {
    pub(crate) const fn new(profile: Profile, rtp: Cipher, rtcp: Cipher) -> Self {
        Self { profile, rtp, rtcp, next_rtcp_index: 1 }
    }

    /// The negotiated profile.
    pub const fn profile(&self) -> Profile {
        self.profile
    }

    /// Protects the RTP packet `buf[..len]` whose header with extensions is `header_len` long; `ext_seq` is
    /// roll-over counter and sequence number (ROC·2^16 + SEQ). Returns the length to send.
    ///
    /// # Errors
    /// [`SrtpError::NoRoom`] unless [`Profile::tag_len`] bytes follow the packet; see there for the others.
    /// After an error nothing may be sent.
    pub fn protect_rtp(
        &mut self,
        buf: &mut [u8],
        len: usize,
        header_len: usize,
        ext_seq: u64,
    ) -> Result<usize, SrtpError> {
        let header = rtp_header(buf.get(..len).ok_or(SrtpError::NoRoom)?)?;
        if header.len != header_len {
            return Err(SrtpError::Malformed);
        }
        if u64::from(header.sequence) != ext_seq & 0xffff {
            return Err(SrtpError::SequenceMismatch);
        }
        if ext_seq >= RTP_INDEX_END {
            return Err(SrtpError::Exhausted);
        }
        self.rtp.seal_rtp(buf, len, header_len, header.ssrc, ext_seq)
    }

    /// Protects the compound RTCP packet `buf[..len]`. Returns the length to send.
    ///
    /// # Errors
    /// [`SrtpError::NoRoom`] unless [`Profile::rtcp_overhead`] bytes follow the packet; see there for the others.
    pub fn protect_rtcp(&mut self, buf: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let ssrc = rtcp_ssrc(buf.get(..len).ok_or(SrtpError::NoRoom)?)?;
        if self.next_rtcp_index >= RTCP_INDEX_END {
            return Err(SrtpError::Exhausted);
        }
        let len = self.rtcp.seal_rtcp(buf, len, ssrc, self.next_rtcp_index)?;
        self.next_rtcp_index += 1;
        Ok(len)
    }

    #[cfg(test)]
    pub(crate) fn set_next_rtcp_index(&mut self, index: u32) {
        self.next_rtcp_index = index;
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sender({})", self.profile.name())
    }
}
