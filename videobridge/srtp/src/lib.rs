//! RTP and RTCP packets in, the same packets encrypted (or authenticated and decrypted) in place, out. Pure.
//!
//! [`SrtpKeys`] takes what DTLS exported and becomes one [`Sender`], which protects, and one [`Receiver`], which
//! unprotects. No index is used twice by construction. Nothing is
//! allocated per packet and nothing is remembered about an SSRC before one of its packets authenticated.
//! RFC 3711 (AES-CM with HMAC-SHA1) and RFC 7714 (AES-GCM).
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

mod cipher;
mod error;
mod indices;
mod keys;
pub mod limits;
mod profile;
mod receiver;
mod replay;
mod sender;
mod wire;

pub use error::{KeyError, SrtpError};
pub use keys::SrtpKeys;
pub use profile::Profile;
pub use receiver::Receiver;
pub use sender::Sender;

#[cfg(test)]
mod tests;
