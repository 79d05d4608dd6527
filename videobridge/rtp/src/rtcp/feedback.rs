//! Requests for key frames and lost packets, and receivers' estimates (RFC 4585 §6, RFC 5104 §4.3.1,
//! draft-alvestrand-rmcat-remb-03).

use super::{feedback_ssrcs, kind, put_header};
use crate::RtpError;
use crate::bytes::{array, be32, put};

pub(super) const NACK: u8 = 1;
pub(super) const TRANSPORT_CC: u8 = 15;
pub(super) const PLI: u8 = 1;
pub(super) const FIR: u8 = 4;
pub(super) const APPLICATION: u8 = 15;

/// A full intra request with an entry per stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fir<'a> {
    /// Who asks.
    pub sender: u32,
    /// Unused by the format; usually zero.
    pub media: u32,
    entries: &'a [u8],
}

impl<'a> Fir<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, RtpError> {
        let (sender, media) = feedback_ssrcs(body)?;
        Ok(Self { sender, media, entries: body.get(8..).ok_or(RtpError::CutShort)? })
    }

    /// The streams asked for, each with the request's own sequence number.
    pub fn entries(&self) -> impl Iterator<Item = (u32, u8)> + use<'a> {
        let entries = self.entries.as_chunks::<8>().0;
        entries.iter().map(|&[a, b, c, d, sequence, ..]| (u32::from_be_bytes([a, b, c, d]), sequence))
    }
}

/// Lost packets of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nack<'a> {
    /// Who asks.
    pub sender: u32,
    /// The stream with the losses.
    pub media: u32,
    entries: &'a [u8],
}

impl<'a> Nack<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, RtpError> {
        let (sender, media) = feedback_ssrcs(body)?;
        Ok(Self { sender, media, entries: body.get(8..).ok_or(RtpError::CutShort)? })
    }

    /// The lost sequence numbers, as listed; a hostile list may name one several times.
    pub fn sequences(&self) -> impl Iterator<Item = u16> + use<'a> {
        let entries = self.entries.as_chunks::<4>().0;
        entries.iter().flat_map(|&[a, b, c, d]| {
            let first = u16::from_be_bytes([a, b]);
            let following = u16::from_be_bytes([c, d]);
            std::iter::once(first).chain(
                (0..16_u16)
                    .filter(move |bit| (following >> bit) & 1 == 1)
                    .map(move |bit| first.wrapping_add(bit + 1)),
            )
        })
    }
}

/// Receiver estimated maximum bitrate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remb<'a> {
    /// Who estimates.
    pub sender: u32,
    /// Bits per second; saturates.
    pub bitrate: u64,
    ssrcs: &'a [u8],
}

impl<'a> Remb<'a> {
    /// `None` for other application feedback.
    pub(super) fn parse(body: &'a [u8]) -> Result<Option<Self>, RtpError> {
        let (sender, _) = feedback_ssrcs(body)?;
        if array::<4>(body, 8) != Some(*b"REMB") {
            return Ok(None);
        }
        let word = be32(body, 12).ok_or(RtpError::CutShort)?;
        let [count, ..] = word.to_be_bytes();
        let (exponent, mantissa) = ((word >> 18) & 0x3f, u64::from(word & 0x3_ffff));
        let bitrate = if exponent > mantissa.leading_zeros() { u64::MAX } else { mantissa << exponent };
        let bitrate = if mantissa == 0 { 0 } else { bitrate };
        let ssrcs = body.get(16..16 + 4 * usize::from(count)).ok_or(RtpError::CutShort)?;
        Ok(Some(Self { sender, bitrate, ssrcs }))
    }

    /// The streams that share the bitrate.
    pub fn ssrcs(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.ssrcs.as_chunks::<4>().0.iter().map(|word| u32::from_be_bytes(*word))
    }
}

/// Writes a picture loss indication.
pub fn write_pli(buf: &mut [u8], sender: u32, media: u32) -> Option<usize> {
    let buf = buf.get_mut(..12)?;
    put_header(buf, PLI, kind::PSFB, 12)?;
    put(buf, 4, &sender.to_be_bytes())?;
    put(buf, 8, &media.to_be_bytes())?;
    Some(12)
}

/// Writes a full intra request for one stream. `sequence` grows with every new request, not with repetitions.
pub fn write_fir(buf: &mut [u8], sender: u32, media: u32, sequence: u8) -> Option<usize> {
    let buf = buf.get_mut(..20)?;
    put_header(buf, FIR, kind::PSFB, 20)?;
    put(buf, 4, &sender.to_be_bytes())?;
    put(buf, 8, &[0; 4])?;
    put(buf, 12, &media.to_be_bytes())?;
    put(buf, 16, &[sequence, 0, 0, 0])?;
    Some(20)
}

/// Writes a generic NACK for `sequences`, in ascending order (as they wrap). Returns the length and how many were
/// taken; what did not fit goes into another packet. `None` when nothing fits or nothing was asked for.
pub fn write_nack(buf: &mut [u8], sender: u32, media: u32, sequences: &[u16]) -> Option<(usize, usize)> {
    let mut len = 12;
    let mut taken = 0;
    while let Some(&first) = sequences.get(taken) {
        if buf.len() < len + 4 {
            break;
        }
        taken += 1;
        let mut following = 0_u16;
        while let Some(&next) = sequences.get(taken) {
            let ahead = next.wrapping_sub(first);
            if ahead > 16 {
                break;
            }
            if ahead > 0 {
                following |= 1 << (ahead - 1);
            }
            taken += 1;
        }
        put(buf, len, &first.to_be_bytes())?;
        put(buf, len + 2, &following.to_be_bytes())?;
        len += 4;
    }
    if taken == 0 {
        return None;
    }
    put_header(buf, NACK, kind::RTPFB, len)?;
    put(buf, 4, &sender.to_be_bytes())?;
    put(buf, 8, &media.to_be_bytes())?;
    Some((len, taken))
}
