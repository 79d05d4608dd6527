//! A retransmission packet in, the original packet out, in place; and the prefix that makes one (RFC 4588 §4).

use crate::RtpPacket;
use crate::bytes::be16;
use crate::packet::{set_payload_type, set_sequence, set_ssrc};

/// Bytes an RTX payload has in front of the original payload.
pub const PREFIX_LEN: usize = 2;

/// What goes in front of the original payload: the original sequence number.
pub const fn prefix(original_sequence: u16) -> [u8; PREFIX_LEN] {
    original_sequence.to_be_bytes()
}

/// The original sequence number and payload; `None` for pure padding (upstream: payload below two bytes).
pub fn parse(payload: &[u8]) -> Option<(u16, &[u8])> {
    Some((be16(payload, 0)?, payload.get(PREFIX_LEN..)?))
}

/// Turns the retransmission in `packet` into the original one with the given SSRC and payload type. The result is
/// a part of the same buffer: the header moves over the prefix. Padding stays as it is.
///
/// `None` when it is no RTP packet or carries no original (pure padding).
pub fn restore(packet: &mut [u8], ssrc: u32, payload_type: u8) -> Option<&mut [u8]> {
    let view = RtpPacket::parse(packet).ok()?;
    let (sequence, _) = parse(view.payload())?;
    let header_len = view.header_len();
    packet.get_mut(..header_len + PREFIX_LEN)?.copy_within(..header_len, PREFIX_LEN);
    let original = packet.get_mut(PREFIX_LEN..)?;
    set_sequence(original, sequence)?;
    set_ssrc(original, ssrc)?;
    set_payload_type(original, payload_type)?;
    Some(original)
}
