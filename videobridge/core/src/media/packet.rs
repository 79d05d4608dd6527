//! What the media path knows about one RTP packet after parsing, and what its sender negotiated.

/// A received packet: padding removed, retransmissions restored, sequence number extended and without gaps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packet<'a> {
    /// The extended sequence number, after the gaps of dropped padding and silence were closed.
    pub(crate) seq: u64,
    pub(crate) timestamp: u32,
    pub(crate) payload_type: u8,
    pub(crate) marker: bool,
    /// The profile word of the header extension, 0 without one.
    pub(crate) profile: u16,
    /// The elements of the header extension, with the sender's ids.
    pub(crate) extensions: &'a [u8],
    pub(crate) payload: &'a [u8],
}

/// The codec of a payload type, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    Vp8,
    Vp9,
    Av1,
    H264,
    /// Opus and everything else that needs no look inside.
    Other,
}
