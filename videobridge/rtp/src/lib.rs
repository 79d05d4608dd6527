//! RTP and RTCP bytes in, views of their fields out; fields in, bytes in the caller's buffer out. Pure, no copies.
//!
//! * [`packet`], [`extension`], [`write`]: RTP headers and header extensions (RFC 3550, RFC 8285)
//! * [`rtcp`]: reports and feedback (RFC 3550, RFC 4585, RFC 5104, transport-wide congestion control, REMB)
//! * [`codecs`]: payload descriptors, as far as a forwarding bridge must read them
//! * [`dependency`]: the dependency descriptor of AV1 and others
//! * [`red`]: redundant audio (RFC 2198)
//! * [`rtx`]: retransmission payloads (RFC 4588)
//! * [`sequence`]: arithmetic on numbers that wrap
//!
//! Nothing allocates and nothing panics, whatever the bytes are.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

mod bytes;
pub mod codecs;
pub mod dependency;
mod error;
pub mod extension;
pub mod packet;
pub mod red;
pub mod rtcp;
pub mod rtx;
pub mod sequence;
pub mod write;

pub use codecs::{FrameNumber, PictureId, Tl0Index};
pub use error::RtpError;
pub use extension::{Extension, ExtensionId, Extensions};
pub use packet::RtpPacket;
pub use rtcp::NtpMiddle;
pub use rtcp::is_rtcp;
pub use sequence::{ExtSeq, Unwrapper};
pub use write::{ExtensionForm, HeaderWriter, RtpFields};

#[cfg(test)]
mod tests;
