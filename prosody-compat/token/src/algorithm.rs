//! Algorithms of signatures: a name as RFC 7518 has it in; a family and a hash, out. Nothing else has a name here, so that `none`
//! cannot be written.

use std::fmt;

use aws_lc_rs::{hmac, signature};

/// The hash inside a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Hash {
    pub(crate) const fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha384 => hmac::HMAC_SHA384,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }

    pub(crate) const fn verify(self) -> &'static signature::RsaParameters {
        match self {
            Self::Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            Self::Sha384 => &signature::RSA_PKCS1_2048_8192_SHA384,
            Self::Sha512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        }
    }

    pub(crate) const fn sign(self) -> &'static signature::RsaSignatureEncoding {
        match self {
            Self::Sha256 => &signature::RSA_PKCS1_SHA256,
            Self::Sha384 => &signature::RSA_PKCS1_SHA384,
            Self::Sha512 => &signature::RSA_PKCS1_SHA512,
        }
    }

    /// Bytes of a digest.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// How a token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// HMAC with a secret: HS256, HS384, HS512.
    Hs(Hash),
    /// RSA (PKCS #1 v1.5) with a private key: RS256, RS384, RS512.
    Rs(Hash),
}

impl Algorithm {
    /// All that there are.
    pub const ALL: [Self; 6] = [
        Self::Hs(Hash::Sha256),
        Self::Hs(Hash::Sha384),
        Self::Hs(Hash::Sha512),
        Self::Rs(Hash::Sha256),
        Self::Rs(Hash::Sha384),
        Self::Rs(Hash::Sha512),
    ];

    /// The name in a token's header.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hs(Hash::Sha256) => "HS256",
            Self::Hs(Hash::Sha384) => "HS384",
            Self::Hs(Hash::Sha512) => "HS512",
            Self::Rs(Hash::Sha256) => "RS256",
            Self::Rs(Hash::Sha384) => "RS384",
            Self::Rs(Hash::Sha512) => "RS512",
        }
    }

    /// The algorithm with this name, case and all.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.as_str() == name)
    }

    /// The hash inside.
    pub const fn hash(self) -> Hash {
        match self {
            Self::Hs(hash) | Self::Rs(hash) => hash,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_names_and_no_other() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::named(algorithm.as_str()), Some(algorithm));
            assert_eq!(Algorithm::named(&algorithm.as_str().to_lowercase()), None);
        }
        for name in ["none", "None", "", "ES256", "PS256", "RS1", "HS256 ", "HS", "EdDSA"] {
            assert_eq!(Algorithm::named(name), None, "{name}");
        }
    }
}
