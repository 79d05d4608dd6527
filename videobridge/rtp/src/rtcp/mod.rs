//! A compound RTCP packet in (decrypted), its packets out; and the packets we send, into the caller's buffer.
//!
//! * [`report`]: sender and receiver reports, source descriptions, goodbye (RFC 3550 §6)
//! * [`feedback`]: PLI, FIR, generic NACK, REMB (RFC 4585, RFC 5104)
//! * [`transport_cc`]: transport-wide congestion control feedback
//!
//! Every `write…` function returns the number of bytes written, a multiple of four, or `None` when the buffer is
//! too short; several may follow one another in a buffer to form a compound packet.

pub mod feedback;
pub mod report;
pub mod transport_cc;

use crate::RtpError;
use crate::bytes::{be32, put};

pub use feedback::{Fir, Nack, Remb};
pub use report::{NtpMiddle, ReportBlock, ReportBlocks, SenderInfo};
pub use transport_cc::TransportFeedback;

/// RTCP packet types.
pub(crate) mod kind {
    pub(crate) const SR: u8 = 200;
    pub(crate) const RR: u8 = 201;
    pub(crate) const SDES: u8 = 202;
    pub(crate) const BYE: u8 = 203;
    pub(crate) const RTPFB: u8 = 205;
    pub(crate) const PSFB: u8 = 206;
}

/// Whether a packet that arrived on a muxed transport is RTCP (RFC 5761 §4).
pub fn is_rtcp(packet: &[u8]) -> bool {
    matches!(packet, [128..=191, 192..=223, ..])
}

/// One packet of a compound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rtcp<'a> {
    /// Sender report.
    SenderReport {
        /// Who reports.
        ssrc: u32,
        /// Its own sending.
        info: SenderInfo,
        /// What it received.
        blocks: ReportBlocks<'a>,
    },
    /// Receiver report.
    ReceiverReport {
        /// Who reports.
        ssrc: u32,
        /// What it received.
        blocks: ReportBlocks<'a>,
    },
    /// Source descriptions; their chunks as they are, nobody needs them.
    SourceDescription(&'a [u8]),
    /// Streams that end: a list of SSRCs, perhaps followed by a reason.
    Goodbye(report::Goodbye<'a>),
    /// Picture loss indication.
    Pli {
        /// Who asks.
        sender: u32,
        /// Whose key frame is asked for.
        media: u32,
    },
    /// Full intra request.
    Fir(Fir<'a>),
    /// Lost packets.
    Nack(Nack<'a>),
    /// Transport-wide congestion control feedback.
    TransportFeedback(TransportFeedback<'a>),
    /// Receiver estimated maximum bitrate.
    Remb(Remb<'a>),
    /// Anything else.
    Other {
        /// Packet type.
        kind: u8,
        /// The five bits of count or format.
        format: u8,
    },
}

/// Iterates over the packets of a compound. Ends after the first error.
#[derive(Debug, Clone)]
pub struct Compound<'a> {
    rest: &'a [u8],
}

impl<'a> Compound<'a> {
    /// The packets of a decrypted compound.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'a> Iterator for Compound<'a> {
    type Item = Result<Rtcp<'a>, RtpError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let split = split_first(self.rest);
        self.rest = split.as_ref().map_or(&[], |s| s.rest);
        Some(split.and_then(|s| parse(s.kind, s.format, s.body)))
    }
}

struct Split<'a> {
    kind: u8,
    format: u8,
    /// Without header word and padding.
    body: &'a [u8],
    rest: &'a [u8],
}

fn split_first(bytes: &[u8]) -> Result<Split<'_>, RtpError> {
    let (&[first, kind, hi, lo], after) = bytes.split_first_chunk::<4>().ok_or(RtpError::CutShort)?;
    if first >> 6 != 2 {
        return Err(RtpError::Version);
    }
    let len = 4 * usize::from(u16::from_be_bytes([hi, lo]));
    let (mut body, rest) = after.split_at_checked(len).ok_or(RtpError::CutShort)?;
    if first & 0x20 != 0 {
        let padding = usize::from(*body.last().ok_or(RtpError::Padding)?);
        let keep = body.len().checked_sub(padding).ok_or(RtpError::Padding)?;
        if padding == 0 {
            return Err(RtpError::Padding);
        }
        body = body.get(..keep).ok_or(RtpError::Padding)?;
    }
    Ok(Split { kind, format: first & 0x1f, body, rest })
}

fn parse(kind: u8, format: u8, body: &[u8]) -> Result<Rtcp<'_>, RtpError> {
    let word = |n: usize| be32(body, 4 * n).ok_or(RtpError::CutShort);
    Ok(match (kind, format) {
        (kind::SR, count) => Rtcp::SenderReport {
            ssrc: word(0)?,
            info: SenderInfo::parse(body.get(4..).ok_or(RtpError::CutShort)?)?,
            blocks: ReportBlocks::parse(body.get(24..).ok_or(RtpError::CutShort)?, count)?,
        },
        (kind::RR, count) => Rtcp::ReceiverReport {
            ssrc: word(0)?,
            blocks: ReportBlocks::parse(body.get(4..).ok_or(RtpError::CutShort)?, count)?,
        },
        (kind::SDES, _) => Rtcp::SourceDescription(body),
        (kind::BYE, count) => Rtcp::Goodbye(report::Goodbye::parse(body, count)?),
        (kind::PSFB, feedback::PLI) => Rtcp::Pli { sender: word(0)?, media: word(1)? },
        (kind::PSFB, feedback::FIR) => Rtcp::Fir(Fir::parse(body)?),
        (kind::PSFB, feedback::APPLICATION) => match Remb::parse(body)? {
            Some(remb) => Rtcp::Remb(remb),
            None => Rtcp::Other { kind, format },
        },
        (kind::RTPFB, feedback::NACK) => Rtcp::Nack(Nack::parse(body)?),
        (kind::RTPFB, feedback::TRANSPORT_CC) => Rtcp::TransportFeedback(TransportFeedback::parse(body)?),
        _ => Rtcp::Other { kind, format },
    })
}

/// Writes the header word of a packet of `len` bytes in total.
pub(crate) fn put_header(buf: &mut [u8], format: u8, kind: u8, len: usize) -> Option<()> {
    debug_assert_eq!(len % 4, 0);
    let [hi, lo] = u16::try_from((len / 4).checked_sub(1)?).ok()?.to_be_bytes();
    put(buf, 0, &[0x80 | (format & 0x1f), kind, hi, lo])
}

/// The first two words of a feedback packet's body: who sends it, which stream it is about.
pub(crate) fn feedback_ssrcs(body: &[u8]) -> Result<(u32, u32), RtpError> {
    Ok((be32(body, 0).ok_or(RtpError::CutShort)?, be32(body, 4).ok_or(RtpError::CutShort)?))
}
