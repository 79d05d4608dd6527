//! The few header fields SRTP looks at itself (RFC 3550 §5.1, §6.4; RFC 8285 §4.1).

use crate::SrtpError;

/// The clear part of an SRTCP packet: header word and sender SSRC.
pub(crate) const RTCP_HEADER: usize = 8;
/// The E flag of SRTCP.
pub(crate) const ENCRYPTED: u32 = 1 << 31;

/// What SRTP needs of an RTP header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RtpHeader {
    pub(crate) sequence: u16,
    pub(crate) ssrc: u32,
    /// Fixed header, CSRCs and extensions.
    pub(crate) len: usize,
}

pub(crate) fn rtp_header(packet: &[u8]) -> Result<RtpHeader, SrtpError> {
    let (fixed, rest) = packet.split_first_chunk::<12>().ok_or(SrtpError::Malformed)?;
    let [first, _, seq_hi, seq_lo, _, _, _, _, ssrc @ ..] = *fixed;
    if first >> 6 != 2 {
        return Err(SrtpError::Malformed);
    }
    let csrcs = 4 * usize::from(first & 0x0f);
    let rest = rest.get(csrcs..).ok_or(SrtpError::Malformed)?;
    let mut len = 12 + csrcs;
    if first & 0x10 != 0 {
        let (&[_, _, hi, lo], rest) = rest.split_first_chunk::<4>().ok_or(SrtpError::Malformed)?;
        let extension = 4 * usize::from(u16::from_be_bytes([hi, lo]));
        if rest.len() < extension {
            return Err(SrtpError::Malformed);
        }
        len += 4 + extension;
    }
    Ok(RtpHeader { sequence: u16::from_be_bytes([seq_hi, seq_lo]), ssrc: u32::from_be_bytes(ssrc), len })
}

/// The sender's SSRC of a compound RTCP packet.
pub(crate) fn rtcp_ssrc(packet: &[u8]) -> Result<u32, SrtpError> {
    let &[first, _, _, _, ssrc @ ..] = packet.first_chunk::<RTCP_HEADER>().ok_or(SrtpError::Malformed)?;
    if first >> 6 != 2 {
        return Err(SrtpError::Malformed);
    }
    Ok(u32::from_be_bytes(ssrc))
}

/// Splits the last `N` bytes off.
pub(crate) fn split_back<const N: usize>(packet: &[u8]) -> Result<(&[u8], &[u8; N]), SrtpError> {
    packet.split_last_chunk::<N>().ok_or(SrtpError::Malformed)
}

/// Splits the last `N` bytes off.
pub(crate) fn split_back_mut<const N: usize>(
    packet: &mut [u8],
) -> Result<(&mut [u8], &mut [u8; N]), SrtpError> {
    packet.split_last_chunk_mut::<N>().ok_or(SrtpError::Malformed)
}
