//! Why bytes are not the packet they should be.

use thiserror::Error;

/// The sender's fault, always: the consequence is that this packet (of a compound: this and all after it) is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RtpError {
    /// A length inside the packet points behind its end.
    #[error("packet is cut short")]
    CutShort,
    /// Not RTP version 2.
    #[error("not RTP version 2")]
    Version,
    /// The padding is longer than the payload, or zero.
    #[error("impossible padding")]
    Padding,
    /// A field has a value that the format forbids.
    #[error("forbidden field value")]
    Value,
}

impl RtpError {
    /// Stable name for counters and logs.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::CutShort => "cut_short",
            Self::Version => "version",
            Self::Padding => "padding",
            Self::Value => "value",
        }
    }
}
