//! Sender and receiver reports and goodbyes (RFC 3550 §6.4, §6.6).

use super::{kind, put_header};
use crate::RtpError;
use crate::bytes::{array, be24, be32, be64, put};

/// Bytes of one report block.
const BLOCK: usize = 24;
/// Report blocks that fit one packet: the count has five bits.
pub const MAX_BLOCKS: usize = 31;

/// The part of a sender report about its own sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SenderInfo {
    /// NTP time, 32.32 fixed point.
    pub ntp: u64,
    /// The same instant in RTP units.
    pub rtp_timestamp: u32,
    /// Packets sent.
    pub packets: u32,
    /// Payload bytes sent.
    pub octets: u32,
}

/// The middle 32 bits of an NTP time: by them a report block names the sender report it answers. 0 = none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NtpMiddle(pub u32);

impl SenderInfo {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, RtpError> {
        let word = |at| be32(bytes, at).ok_or(RtpError::CutShort);
        Ok(Self {
            ntp: be64(bytes, 0).ok_or(RtpError::CutShort)?,
            rtp_timestamp: word(8)?,
            packets: word(12)?,
            octets: word(16)?,
        })
    }

    /// What comes back as [`ReportBlock::last_sr`].
    #[allow(clippy::cast_possible_truncation)]
    pub const fn ntp_middle(&self) -> NtpMiddle {
        NtpMiddle((self.ntp >> 16) as u32)
    }
}

/// What a receiver says about one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReportBlock {
    /// The stream.
    pub ssrc: u32,
    /// Lost since the last report, of 256.
    pub fraction_lost: u8,
    /// Lost in total; 24 bits, negative with duplicates.
    pub cumulative_lost: i32,
    /// Highest sequence number with the count of its cycles.
    pub extended_highest: u32,
    /// Interarrival jitter in RTP units.
    pub jitter: u32,
    /// Of the last sender report.
    pub last_sr: NtpMiddle,
    /// Since then, in 1/65536 s.
    pub delay_since_last_sr: u32,
}

impl ReportBlock {
    fn parse(bytes: &[u8; BLOCK]) -> Self {
        let word = |at| be32(bytes, at).unwrap_or_default();
        // Sign-extends the 24 bits.
        let lost = be24(bytes, 5).unwrap_or_default().cast_signed() << 8 >> 8;
        Self {
            ssrc: word(0),
            fraction_lost: array::<1>(bytes, 4).map_or(0, |[b]| b),
            cumulative_lost: lost,
            extended_highest: word(8),
            jitter: word(12),
            last_sr: NtpMiddle(word(16)),
            delay_since_last_sr: word(20),
        }
    }

    fn put(&self, buf: &mut [u8], at: usize) -> Option<()> {
        let lost = self.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff);
        let [_, l0, l1, l2] = lost.to_be_bytes();
        put(buf, at, &self.ssrc.to_be_bytes())?;
        put(buf, at + 4, &[self.fraction_lost, l0, l1, l2])?;
        put(buf, at + 8, &self.extended_highest.to_be_bytes())?;
        put(buf, at + 12, &self.jitter.to_be_bytes())?;
        put(buf, at + 16, &self.last_sr.0.to_be_bytes())?;
        put(buf, at + 20, &self.delay_since_last_sr.to_be_bytes())
    }
}

/// Iterates over the blocks of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportBlocks<'a> {
    bytes: &'a [u8],
}

impl<'a> ReportBlocks<'a> {
    pub(super) fn parse(bytes: &'a [u8], count: u8) -> Result<Self, RtpError> {
        let bytes = bytes.get(..BLOCK * usize::from(count)).ok_or(RtpError::CutShort)?;
        Ok(Self { bytes })
    }
}

impl Iterator for ReportBlocks<'_> {
    type Item = ReportBlock;

    fn next(&mut self) -> Option<ReportBlock> {
        let (block, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(ReportBlock::parse(block))
    }
}

/// Iterates over the streams a goodbye names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Goodbye<'a> {
    ssrcs: &'a [u8],
}

impl<'a> Goodbye<'a> {
    pub(super) fn parse(body: &'a [u8], count: u8) -> Result<Self, RtpError> {
        Ok(Self { ssrcs: body.get(..4 * usize::from(count)).ok_or(RtpError::CutShort)? })
    }
}

impl Iterator for Goodbye<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let (word, rest) = self.ssrcs.split_first_chunk()?;
        self.ssrcs = rest;
        Some(u32::from_be_bytes(*word))
    }
}

/// Writes a sender report. `None` also for more than [`MAX_BLOCKS`] blocks.
pub fn write_sender_report(
    buf: &mut [u8],
    ssrc: u32,
    info: &SenderInfo,
    blocks: &[ReportBlock],
) -> Option<usize> {
    let len = 28 + BLOCK * blocks.len();
    let buf = buf.get_mut(..len)?;
    put_header(buf, block_count(blocks)?, kind::SR, len)?;
    put(buf, 4, &ssrc.to_be_bytes())?;
    put(buf, 8, &info.ntp.to_be_bytes())?;
    put(buf, 16, &info.rtp_timestamp.to_be_bytes())?;
    put(buf, 20, &info.packets.to_be_bytes())?;
    put(buf, 24, &info.octets.to_be_bytes())?;
    put_blocks(buf, 28, blocks)?;
    Some(len)
}

/// Writes a receiver report. `None` also for more than [`MAX_BLOCKS`] blocks.
pub fn write_receiver_report(buf: &mut [u8], ssrc: u32, blocks: &[ReportBlock]) -> Option<usize> {
    let len = 8 + BLOCK * blocks.len();
    let buf = buf.get_mut(..len)?;
    put_header(buf, block_count(blocks)?, kind::RR, len)?;
    put(buf, 4, &ssrc.to_be_bytes())?;
    put_blocks(buf, 8, blocks)?;
    Some(len)
}

fn block_count(blocks: &[ReportBlock]) -> Option<u8> {
    u8::try_from(blocks.len()).ok().filter(|_| blocks.len() <= MAX_BLOCKS)
}

fn put_blocks(buf: &mut [u8], at: usize, blocks: &[ReportBlock]) -> Option<()> {
    blocks.iter().enumerate().try_for_each(|(i, block)| block.put(buf, at + BLOCK * i))
}
