//! SASL without I/O: messages of PLAIN (RFC 4616) and SCRAM (RFC 5802, 7677) in and out. Nonces are handed in.
//!
//! Names and passwords are taken as they are written: SASLprep is the identity for ASCII and for what keyboards
//! produce (composed characters); others are compared byte by byte.

mod client;
mod plain;
mod scram;
mod server;
#[cfg(test)]
mod tests;

pub use client::{ScramClient, ScramClientFinal};
pub use plain::Plain;
pub use scram::{Credentials, Hash};
pub use server::{ScramFirst, ScramServer};

/// Why an exchange failed. Consequence: `failure` to a client; a server that fails it is not trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum SaslError {
    /// Not a message of the mechanism.
    #[error("malformed message")]
    Malformed,
    /// Channel binding was demanded; it is not offered.
    #[error("channel binding is not supported")]
    ChannelBinding,
    /// The nonce is not the one that was sent.
    #[error("wrong nonce")]
    Nonce,
    /// Too few rounds to be safe, or so many that the CPU is the target.
    #[error("iteration count not acceptable")]
    Iterations,
    /// The password is wrong, or the server does not know it.
    #[error("wrong proof")]
    Proof,
    /// The server answered with an error.
    #[error("the server refused")]
    Refused,
}

impl SaslError {
    /// The condition inside `failure`, RFC 6120 §6.5.
    pub const fn condition(self) -> &'static str {
        match self {
            Self::Proof | Self::Refused => "not-authorized",
            _ => "malformed-request",
        }
    }

    /// The counter's label.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::ChannelBinding => "channel_binding",
            Self::Nonce => "nonce",
            Self::Iterations => "iterations",
            Self::Proof => "proof",
            Self::Refused => "refused",
        }
    }
}
