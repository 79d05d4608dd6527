//! What the media path knows about one RTP packet after parsing, and what its sender negotiated.

use videobridge_rtp::ExtSeq;

use super::ids::{PayloadNumber, Timestamp};

/// A received packet: padding removed, retransmissions restored, sequence number extended and without gaps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packet<'a> {
    /// The extended sequence number, after the gaps of dropped padding and silence were closed.
    pub(crate) seq: ExtSeq,
    pub(crate) timestamp: Timestamp,
    pub(crate) payload_type: PayloadNumber,
    pub(crate) marker: bool,
    /// The profile word of the header extension, 0 without one.
    pub(crate) profile: u16,
    /// The elements of the header extension, with the sender's ids.
    pub(crate) extensions: &'a [u8],
    pub(crate) payload: &'a [u8],
    /// Bytes of padding that make it as long as the others of its frame.
    pub(crate) evened: u8,
}
