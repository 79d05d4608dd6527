//! The payload of a retransmission in, the original sequence number and payload out (RFC 4588 §4).

use crate::bytes::be16;

/// Bytes an RTX payload has in front of the original payload.
const PREFIX_LEN: usize = 2;

/// The original sequence number and payload; `None` for pure padding (upstream: payload below two bytes).
pub fn parse(payload: &[u8]) -> Option<(u16, &[u8])> {
    Some((be16(payload, 0)?, payload.get(PREFIX_LEN..)?))
}
