//! What both sides of SCRAM compute: keys from a password, proofs from keys.

use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::SaslError;
use crate::limits::MAX_SASL_MESSAGE_BYTES;
use crate::prepare;
use crate::sensitive::Sensitive;

/// The hash function, and with it the mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hash {
    /// SCRAM-SHA-1.
    Sha1,
    /// SCRAM-SHA-256.
    Sha256,
}

impl Hash {
    /// The mechanism's name.
    pub const fn mechanism(self) -> &'static str {
        match self {
            Self::Sha1 => "SCRAM-SHA-1",
            Self::Sha256 => "SCRAM-SHA-256",
        }
    }

    /// Bytes of a digest.
    pub const fn output_len(self) -> usize {
        match self {
            Self::Sha1 => digest::SHA1_OUTPUT_LEN,
            Self::Sha256 => digest::SHA256_OUTPUT_LEN,
        }
    }

    pub(super) fn digest(self, data: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
        };
        digest::digest(algorithm, data).as_ref().to_vec()
    }

    pub(super) fn hmac(self, key: &[u8], data: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
        };
        hmac::sign(&hmac::Key::new(algorithm, key), data).as_ref().to_vec()
    }

    pub(super) fn salted_password(self, password: &str, salt: &[u8], iterations: NonZeroU32) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
        };
        // One spelling; what nobody can have as a password is nobody's, whatever comes of it.
        let password = prepare::password(password).unwrap_or_else(|| password.into());
        let mut out = vec![0; self.output_len()];
        pbkdf2::derive(algorithm, iterations, salt, password.as_bytes(), &mut out);
        out
    }
}

/// What a server keeps instead of the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The hash they are made for.
    pub hash: Hash,
    /// Random, per account.
    pub salt: Vec<u8>,
    /// Rounds of PBKDF2.
    pub iterations: NonZeroU32,
    /// Proves the client.
    pub stored_key: Sensitive<Vec<u8>>,
    /// Proves the server.
    pub server_key: Sensitive<Vec<u8>>,
}

impl Credentials {
    /// Rounds for new credentials: upstream's default.
    pub const ITERATIONS: NonZeroU32 = NonZeroU32::new(10_000).unwrap();

    /// Derives them from a password; takes milliseconds.
    pub fn derive(hash: Hash, password: &str, salt: &[u8], iterations: NonZeroU32) -> Self {
        let salted = hash.salted_password(password, salt, iterations);
        let client_key = hash.hmac(&salted, b"Client Key");
        Self {
            hash,
            salt: salt.to_vec(),
            iterations,
            stored_key: Sensitive::new(hash.digest(&client_key)),
            server_key: Sensitive::new(hash.hmac(&salted, b"Server Key")),
        }
    }

    /// Whether they are made from this password; takes as long as making them.
    pub fn are_of(&self, password: &str) -> bool {
        let made = Self::derive(self.hash, password, &self.salt, self.iterations);
        equal(made.stored_key.reveal(), self.stored_key.reveal())
    }
}

/// Compares without telling where the difference is.
pub(super) fn equal(a: &[u8], b: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok()
}

pub(super) fn xor(a: &[u8], b: &[u8]) -> Vec<u8> {
    a.iter().zip(b).map(|(x, y)| x ^ y).collect()
}

pub(super) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(super) fn decode(text: &str) -> Result<Vec<u8>, SaslError> {
    STANDARD.decode(text).map_err(|_| SaslError::Malformed)
}

pub(super) fn text(message: &[u8]) -> Result<&str, SaslError> {
    if message.len() > MAX_SASL_MESSAGE_BYTES {
        return Err(SaslError::Malformed);
    }
    std::str::from_utf8(message).map_err(|_| SaslError::Malformed)
}

/// The next attribute of a message; it must be `name`. The order is fixed by RFC 5802 §5.1.
pub(super) fn attribute<'a>(
    parts: &mut impl Iterator<Item = &'a str>,
    name: &str,
) -> Result<&'a str, SaslError> {
    parts
        .next()
        .and_then(|p| p.strip_prefix(name))
        .and_then(|p| p.strip_prefix('='))
        .filter(|v| !v.is_empty())
        .ok_or(SaslError::Malformed)
}

/// A nonce: printable ASCII without comma.
pub(super) fn nonce(n: &str) -> Result<&str, SaslError> {
    if n.bytes().all(|b| b.is_ascii_graphic() && b != b',') { Ok(n) } else { Err(SaslError::Malformed) }
}
