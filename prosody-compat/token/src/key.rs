//! Public keys: PEM, a certificate or a JSON Web Key in; something that can check signatures of one algorithm out.

use std::sync::Arc;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{ParsedPublicKey, RsaPublicKeyComponents, RsaSubjectPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use crate::algorithm::Hash;
use crate::limits::{PEM_BYTES, RSA_BITS_MAX, RSA_BITS_MIN};

/// Why something is no key. Blame: whoever serves or has written it. Consequence: tokens made with it are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No PEM of a public key or of a certificate.
    #[error("not a public key or certificate as PEM")]
    Pem,
    /// A PEM of something else inside.
    #[error("not an RSA key")]
    NotRsa,
    /// Too short or too long.
    #[error("an RSA key has to have 2048 to 8192 bits")]
    Size,
    /// A JSON Web Key for something else, or none.
    #[error("not a JSON Web Key for signatures of this algorithm")]
    Jwk,
}

/// Which key a token names: the SHA-256 of its `kid`, which is all that is kept of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; 32]);

impl KeyId {
    /// Of what a token's header says.
    pub fn of(kid: &str) -> Self {
        let mut id = [0; 32];
        id.copy_from_slice(digest::digest(&digest::SHA256, kid.as_bytes()).as_ref());
        Self(id)
    }

    /// The file's name at a key server: nothing of what the token says is in it.
    pub fn file_name(&self) -> String {
        let mut name = String::with_capacity(2 * self.0.len() + ".pem".len());
        for b in self.0 {
            name.extend([b >> 4, b & 15].map(|n| char::from_digit(n.into(), 16).unwrap_or('0')));
        }
        name + ".pem"
    }
}

/// A public key for one algorithm.
#[derive(Clone)]
pub struct RsaKey {
    hash: Hash,
    key: Arc<ParsedPublicKey>,
}

impl RsaKey {
    /// The first key or certificate in a PEM text.
    pub fn from_pem(hash: Hash, pem: &str) -> Result<Self, KeyError> {
        if pem.len() > PEM_BYTES {
            return Err(KeyError::Pem);
        }
        let (label, der) = pem_block(pem).ok_or(KeyError::Pem)?;
        match label {
            "PUBLIC KEY" | "RSA PUBLIC KEY" => Self::from_der(hash, &der),
            "CERTIFICATE" => {
                let certificate = Certificate::from_der(&der).map_err(|_| KeyError::Pem)?;
                let key = certificate.tbs_certificate().subject_public_key_info();
                if key.algorithm.oid != RSA_ENCRYPTION {
                    return Err(KeyError::NotRsa);
                }
                Self::from_der(hash, key.subject_public_key.as_bytes().ok_or(KeyError::NotRsa)?)
            }
            _ => Err(KeyError::Pem),
        }
    }

    /// A member of a JWKS' `keys`. One that says that it is for something else is none.
    pub fn from_jwk(hash: Hash, jwk: &Map<String, Value>) -> Result<Self, KeyError> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let says_else = |name: &str, ours: &str| jwk.get(name).is_some_and(|v| v.as_str() != Some(ours));
        if text("kty") != Some("RSA")
            || says_else("use", "sig")
            || says_else("alg", crate::Algorithm::Rs(hash).as_str())
        {
            return Err(KeyError::Jwk);
        }
        let number = |name: &str| {
            let bytes = URL_SAFE_NO_PAD.decode(text(name)?.trim_end_matches('=')).ok()?;
            let zeros = bytes.iter().take_while(|b| **b == 0).count();
            bytes.get(zeros..).filter(|b| !b.is_empty()).map(<[u8]>::to_vec)
        };
        let (n, e) = (number("n").ok_or(KeyError::Jwk)?, number("e").ok_or(KeyError::Jwk)?);
        check_size(&n)?;
        let key = RsaPublicKeyComponents { n, e }.to_parsed_public_key(hash.verify());
        // Reads it once more as a whole, which is where an impossible exponent is found.
        Self::from_der(hash, key.map_err(|_| KeyError::Jwk)?.as_ref())
    }

    fn from_der(hash: Hash, der: &[u8]) -> Result<Self, KeyError> {
        let plain = RsaSubjectPublicKey::from_der(der).map_err(|_| KeyError::NotRsa)?;
        check_size(modulus(plain.as_ref()).ok_or(KeyError::NotRsa)?)?;
        let key = ParsedPublicKey::new(hash.verify(), plain.as_ref()).map_err(|_| KeyError::NotRsa)?;
        Ok(Self { hash, key: Arc::new(key) })
    }

    /// The hash that it is for.
    pub const fn hash(&self) -> Hash {
        self.hash
    }

    pub(crate) fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(message, signature).is_ok()
    }
}

impl std::fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RsaKey({})", crate::Algorithm::Rs(self.hash))
    }
}

impl PartialEq for RsaKey {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && (*self.key).as_ref() == (*other.key).as_ref()
    }
}

impl Eq for RsaKey {}

fn check_size(modulus: &[u8]) -> Result<(), KeyError> {
    let unused = modulus.first().map_or(0, |b| b.leading_zeros() as usize);
    let bits = (modulus.len() * 8).saturating_sub(unused);
    if (RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) { Ok(()) } else { Err(KeyError::Size) }
}

/// The modulus in an `RSAPublicKey` (RFC 8017 appendix A.1.1) that the crypto library has written, without leading zeros.
fn modulus(der: &[u8]) -> Option<&[u8]> {
    let (0x30, inside) = tagged(der)? else { return None };
    let (0x02, n) = tagged(inside)? else { return None };
    n.get(n.iter().take_while(|b| **b == 0).count()..)
}

/// The tag and content of the first element.
fn tagged(der: &[u8]) -> Option<(u8, &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    if *first < 0x80 {
        return Some((*tag, rest.get(..usize::from(*first))?));
    }
    let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
    let length = length.iter().try_fold(0_usize, |n, b| n.checked_mul(256)?.checked_add((*b).into()))?;
    Some((*tag, rest.get(..length)?))
}

/// Whether everybody may know this: with it as the secret of an HS algorithm, anybody could make tokens.
pub(crate) fn is_public_pem(text: &str) -> bool {
    text.contains("-----BEGIN")
        && ["PUBLIC KEY-----", "CERTIFICATE-----"].iter().any(|end| text.contains(end))
}

/// The label and content of the first block (RFC 7468). In an environment file, `\n` may stand for the ends of lines.
pub(crate) fn pem_block(text: &str) -> Option<(&str, Vec<u8>)> {
    let (_, rest) = text.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    let body: String = body.replace("\\n", "").split_ascii_whitespace().collect();
    Some((label, STANDARD.decode(body).ok()?))
}

/// `rsaEncryption`, RFC 8017 appendix A.
const RSA_ENCRYPTION: x509_cert::der::asn1::ObjectIdentifier =
    x509_cert::der::asn1::ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_a_key_is_named_by_a_hash_that_holds_no_path() {
        // From `printf %s … | sha256sum`.
        assert_eq!(
            KeyId::of("test-asap-key").file_name(),
            "dc6983da8e703a3f51d4c1cb92b52c982f7853ce3d5ba20c782fcd13616f6dfc.pem"
        );
        for kid in ["../../etc/passwd", "http://evil.example/", "a\r\nHost: b", "", "ä"] {
            let name = KeyId::of(kid).file_name();
            assert_eq!(name.len(), 68);
            assert!(name.strip_suffix(".pem").unwrap().bytes().all(|b| b.is_ascii_hexdigit()), "{name}");
        }
        assert_ne!(KeyId::of("a"), KeyId::of("A"));
    }

    #[test]
    fn lengths_of_der_are_bounded_by_what_there_is() {
        assert_eq!(tagged(&[2, 1, 7, 9]), Some((2, &[7][..])));
        assert_eq!(tagged(&[2, 0x81, 1, 7]), Some((2, &[7][..])));
        for short in [&[][..], &[2], &[2, 2, 7], &[2, 0x82, 1], &[2, 0x82, 1, 0, 7], &[2, 0xff, 1]] {
            assert_eq!(tagged(short), None, "{short:?}");
        }
        let long = [[2, 0x89].as_slice(), &[255; 9]].concat();
        assert_eq!(tagged(&long), None);
    }
}
