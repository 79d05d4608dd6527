//! What can go wrong with one packet, and whose fault it is.

use thiserror::Error;

/// Why a packet was not protected or unprotected. The consequence is always the same: this one packet is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SrtpError {
    /// The sender's fault: not an SRTP or SRTCP packet, or cut short.
    #[error("not a complete SRTP packet")]
    Malformed,
    /// The sender's fault (or an attacker's): the authentication tag does not match.
    #[error("authentication failed")]
    Unauthentic,
    /// The network's fault or an attack: this very packet was accepted before.
    #[error("packet was received before")]
    Replayed,
    /// The network's fault: so old that it can not be told from a replay.
    #[error("packet is behind the replay window")]
    TooOld,
    /// The sender's fault: SRTCP without encryption, which no WebRTC endpoint sends.
    #[error("SRTCP packet is not encrypted")]
    NotEncrypted,
    /// Our fault: the buffer has no room for the authentication tag.
    #[error("no room for the authentication tag")]
    NoRoom,
    /// Our fault: a packet with this SSRC and sequence number was protected before, or may have been.
    #[error("packet index was used before")]
    IndexUsed,
    /// Our fault, or that of very many participants who came and went: no further SSRC is kept.
    #[error("too many SSRCs were sent with")]
    TooManySsrcs,
    /// Nobody's fault: the key has protected as many packets as it may.
    #[error("key is used up")]
    Exhausted,
}

impl SrtpError {
    /// Stable name for counters and logs.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unauthentic => "unauthentic",
            Self::Replayed => "replayed",
            Self::TooOld => "too_old",
            Self::NotEncrypted => "not_encrypted",
            Self::NoRoom => "no_room",
            Self::IndexUsed => "index_used",
            Self::TooManySsrcs => "too_many_ssrcs",
            Self::Exhausted => "exhausted",
        }
    }
}

/// The exported keying material does not fit the profile. Consequence: the endpoint's transport fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Our fault: the DTLS layer exported another number of bytes than the profile needs.
    #[error("keying material has {got} bytes instead of {expected}")]
    Length {
        /// Bytes the profile needs.
        expected: usize,
        /// Bytes handed in.
        got: usize,
    },
    /// The crypto library refused the key.
    #[error("key refused by the crypto library")]
    Refused,
}
