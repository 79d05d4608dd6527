//! What DTLS may use of cryptography: nothing in; the provider of suites, groups and signatures that the engine works
//! with out.
//!
//! The engine's own knows the signatures of browsers. Ours knows those of a stock bridge's other peers: gateways and
//! pipelines have RSA keys, some of 1,024 bits and signed with SHA-1 (decision 0023). A signature only proves that the
//! peer holds the key of the certificate whose fingerprint was signalled; who that is, the fingerprint says.

use std::sync::LazyLock;

use aws_lc_rs::agreement::{self, EphemeralPrivateKey, agree_ephemeral};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use dimpl::crypto::{
    ActiveKeyExchange, Buf, Cipher, CryptoProvider, Dtls12CipherSuite, HashAlgorithm, NamedGroup,
    SignatureAlgorithm, SignatureScheme, SignatureVerifier, SupportedDtls12CipherSuite, SupportedKxGroup,
};
use dimpl::{CryptoError, CryptoOperation};

use super::public_key::{Kind, PublicKey};

/// The engine's own provider, with more peers.
pub(super) fn provider() -> CryptoProvider {
    CryptoProvider {
        kx_groups: &GROUPS,
        signature_verification: &Verifier,
        cipher_suites: &SUITES,
        ..dimpl::crypto::aws_lc_rs::default_provider()
    }
}

/// As upstream: AES-128 before AES-256, and ECDSA before RSA. A suite with RSA is for peers that are DTLS server.
static SUITES: LazyLock<Vec<&'static dyn SupportedDtls12CipherSuite>> = LazyLock::new(|| {
    let theirs = dimpl::crypto::aws_lc_rs::default_provider().cipher_suites;
    let order = [
        (Dtls12CipherSuite::ECDHE_ECDSA_AES128_GCM_SHA256, Dtls12CipherSuite::ECDHE_RSA_AES128_GCM_SHA256),
        (Dtls12CipherSuite::ECDHE_ECDSA_AES256_GCM_SHA384, Dtls12CipherSuite::ECDHE_RSA_AES256_GCM_SHA384),
        (
            Dtls12CipherSuite::ECDHE_ECDSA_CHACHA20_POLY1305_SHA256,
            Dtls12CipherSuite::ECDHE_RSA_CHACHA20_POLY1305_SHA256,
        ),
    ];
    let known = order.iter().filter_map(|(ecdsa, rsa)| {
        let suite = *theirs.iter().find(|s| s.suite() == *ecdsa)?;
        let with_rsa: &'static dyn SupportedDtls12CipherSuite = Box::leak(Box::new(WithRsa(suite, *rsa)));
        Some([suite, with_rsa])
    });
    known.flatten().collect()
});

/// As the engine's own, and P-521: a server whose key is of that curve asks for it.
static GROUPS: LazyLock<Vec<&'static dyn SupportedKxGroup>> = LazyLock::new(|| {
    let theirs = dimpl::crypto::aws_lc_rs::default_provider().kx_groups;
    theirs.iter().copied().chain([&P521 as &'static dyn SupportedKxGroup]).collect()
});

/// A suite whose key exchange is signed with RSA: the cipher is the same.
#[derive(Debug)]
struct WithRsa(&'static dyn SupportedDtls12CipherSuite, Dtls12CipherSuite);

impl SupportedDtls12CipherSuite for WithRsa {
    fn suite(&self) -> Dtls12CipherSuite {
        self.1
    }

    fn hash_algorithm(&self) -> HashAlgorithm {
        self.0.hash_algorithm()
    }

    fn key_lengths(&self) -> (usize, usize, usize) {
        self.0.key_lengths()
    }

    fn explicit_nonce_len(&self) -> usize {
        self.0.explicit_nonce_len()
    }

    fn tag_len(&self) -> usize {
        self.0.tag_len()
    }

    fn min_protected_fragment_len(&self) -> usize {
        self.0.min_protected_fragment_len()
    }

    fn create_cipher(&self, key: &[u8]) -> Result<Box<dyn Cipher>, CryptoError> {
        self.0.create_cipher(key)
    }
}

#[derive(Debug)]
struct P521;

impl SupportedKxGroup for P521 {
    fn name(&self) -> NamedGroup {
        NamedGroup::Secp521r1
    }

    fn start_exchange(&self, mut buf: Buf) -> Result<Box<dyn ActiveKeyExchange>, CryptoError> {
        let private = EphemeralPrivateKey::generate(&agreement::ECDH_P521, &SystemRandom::new())
            .map_err(|_| CryptoError::OperationFailed(CryptoOperation::GenerateEphemeralKey))?;
        let public = private
            .compute_public_key()
            .map_err(|_| CryptoError::OperationFailed(CryptoOperation::ComputePublicKey))?;
        buf.clear();
        buf.extend_from_slice(public.as_ref());
        Ok(Box::new(P521Exchange { private, public: buf }))
    }
}

struct P521Exchange {
    private: EphemeralPrivateKey,
    public: Buf,
}

impl std::fmt::Debug for P521Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("P521Exchange").finish_non_exhaustive()
    }
}

impl ActiveKeyExchange for P521Exchange {
    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn complete(self: Box<Self>, peer: &[u8], out: &mut Buf) -> Result<(), CryptoError> {
        let peer = agreement::UnparsedPublicKey::new(&agreement::ECDH_P521, peer);
        agree_ephemeral(self.private, peer, (), |secret| {
            out.clear();
            out.extend_from_slice(secret);
            Ok(())
        })
        .map_err(|()| CryptoError::InvalidPublicKey(NamedGroup::Secp521r1))
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::Secp521r1
    }
}

/// Whether a peer holds the key of its certificate.
#[derive(Debug)]
struct Verifier;

impl SignatureVerifier for Verifier {
    fn verify_signature(
        &self,
        cert_der: &[u8],
        data: &[u8],
        signature: &[u8],
        hash_alg: HashAlgorithm,
        sig_alg: SignatureAlgorithm,
    ) -> Result<(), CryptoError> {
        verify(cert_der, data, signature, |key| algorithm(key, hash_alg, sig_alg))
    }

    fn schemes(&self) -> &'static [(HashAlgorithm, SignatureAlgorithm)] {
        SCHEMES
    }

    fn schemes13(&self) -> &'static [SignatureScheme] {
        SCHEMES_13
    }

    fn verify_scheme(
        &self,
        cert_der: &[u8],
        data: &[u8],
        signature: &[u8],
        scheme: SignatureScheme,
    ) -> Option<Result<(), CryptoError>> {
        Some(verify(cert_der, data, signature, |key| algorithm_13(key, scheme)))
    }
}

fn verify(
    cert_der: &[u8],
    data: &[u8],
    signature: &[u8],
    algorithm: impl FnOnce(&PublicKey<'_>) -> Option<&'static dyn VerificationAlgorithm>,
) -> Result<(), CryptoError> {
    let key = PublicKey::of(cert_der).ok_or(CryptoError::CertificateParseFailed)?;
    let algorithm = algorithm(&key).ok_or(CryptoError::UnsupportedPublicKeyAlgorithm)?;
    UnparsedPublicKey::new(algorithm, key.bytes)
        .verify(data, signature)
        .map_err(|_| CryptoError::OperationFailed(CryptoOperation::VerifySignature))
}

/// What peers are asked to sign with, best first. SHA-1 is last, for peers that know nothing else.
const SCHEMES: &[(HashAlgorithm, SignatureAlgorithm)] = &[
    (HashAlgorithm::SHA256, SignatureAlgorithm::ECDSA),
    (HashAlgorithm::SHA384, SignatureAlgorithm::ECDSA),
    (HashAlgorithm::SHA512, SignatureAlgorithm::ECDSA),
    (HashAlgorithm::INTRINSIC, SignatureAlgorithm::ED25519),
    (HashAlgorithm::SHA256, SignatureAlgorithm::RSA),
    (HashAlgorithm::SHA384, SignatureAlgorithm::RSA),
    (HashAlgorithm::SHA512, SignatureAlgorithm::RSA),
    (HashAlgorithm::SHA1, SignatureAlgorithm::ECDSA),
    (HashAlgorithm::SHA1, SignatureAlgorithm::RSA),
];

/// How a signature of this kind with this key is checked; `None` when the two do not belong together.
fn algorithm(
    key: &PublicKey<'_>,
    hash: HashAlgorithm,
    kind: SignatureAlgorithm,
) -> Option<&'static dyn VerificationAlgorithm> {
    const SHA1: HashAlgorithm = HashAlgorithm::SHA1;
    const SHA256: HashAlgorithm = HashAlgorithm::SHA256;
    const SHA384: HashAlgorithm = HashAlgorithm::SHA384;
    const SHA512: HashAlgorithm = HashAlgorithm::SHA512;
    let ecdsa = kind == SignatureAlgorithm::ECDSA;
    Some(match (key.kind, hash) {
        (Kind::P256, SHA1) if ecdsa => &signature::ECDSA_P256_SHA1_ASN1,
        (Kind::P256, SHA256) if ecdsa => &signature::ECDSA_P256_SHA256_ASN1,
        (Kind::P256, SHA384) if ecdsa => &signature::ECDSA_P256_SHA384_ASN1,
        (Kind::P256, SHA512) if ecdsa => &signature::ECDSA_P256_SHA512_ASN1,
        (Kind::P384, SHA256) if ecdsa => &signature::ECDSA_P384_SHA256_ASN1,
        (Kind::P384, SHA384) if ecdsa => &signature::ECDSA_P384_SHA384_ASN1,
        (Kind::P384, SHA512) if ecdsa => &signature::ECDSA_P384_SHA512_ASN1,
        (Kind::P521, SHA1) if ecdsa => &signature::ECDSA_P521_SHA1_ASN1,
        (Kind::P521, SHA256) if ecdsa => &signature::ECDSA_P521_SHA256_ASN1,
        (Kind::P521, SHA384) if ecdsa => &signature::ECDSA_P521_SHA384_ASN1,
        (Kind::P521, SHA512) if ecdsa => &signature::ECDSA_P521_SHA512_ASN1,
        (Kind::Ed25519, HashAlgorithm::INTRINSIC) if kind == SignatureAlgorithm::ED25519 => {
            &signature::ED25519
        }
        // The library has no 1,024 bits with SHA-384, and no P-384 with SHA-1.
        (Kind::Rsa, SHA384) if kind == SignatureAlgorithm::RSA => &signature::RSA_PKCS1_2048_8192_SHA384,
        (Kind::Rsa, SHA1) if kind == SignatureAlgorithm::RSA => {
            &signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY
        }
        (Kind::Rsa, SHA256) if kind == SignatureAlgorithm::RSA => {
            &signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY
        }
        (Kind::Rsa, SHA512) if kind == SignatureAlgorithm::RSA => {
            &signature::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY
        }
        _ => return None,
    })
}

/// The same of DTLS 1.3, where a scheme names the curve and RSA signs with PSS (RFC 8446 §4.2.3). Whoever speaks it is too
/// young for SHA-1 and 1,024 bits.
const SCHEMES_13: &[SignatureScheme] = &[
    SignatureScheme::ECDSA_SECP256R1_SHA256,
    SignatureScheme::ECDSA_SECP384R1_SHA384,
    SignatureScheme::ECDSA_SECP521R1_SHA512,
    SignatureScheme::ED25519,
    SignatureScheme::RSA_PSS_RSAE_SHA256,
    SignatureScheme::RSA_PSS_RSAE_SHA384,
    SignatureScheme::RSA_PSS_RSAE_SHA512,
];

/// As [`algorithm`], for DTLS 1.3.
fn algorithm_13(key: &PublicKey<'_>, scheme: SignatureScheme) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match (key.kind, scheme) {
        (Kind::P256, SignatureScheme::ECDSA_SECP256R1_SHA256) => &signature::ECDSA_P256_SHA256_ASN1,
        (Kind::P384, SignatureScheme::ECDSA_SECP384R1_SHA384) => &signature::ECDSA_P384_SHA384_ASN1,
        (Kind::P521, SignatureScheme::ECDSA_SECP521R1_SHA512) => &signature::ECDSA_P521_SHA512_ASN1,
        (Kind::Ed25519, SignatureScheme::ED25519) => &signature::ED25519,
        (Kind::Rsa, SignatureScheme::RSA_PSS_RSAE_SHA256) => &signature::RSA_PSS_2048_8192_SHA256,
        (Kind::Rsa, SignatureScheme::RSA_PSS_RSAE_SHA384) => &signature::RSA_PSS_2048_8192_SHA384,
        (Kind::Rsa, SignatureScheme::RSA_PSS_RSAE_SHA512) => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_of_1_3_belongs_to_one_kind_of_key() {
        let kinds = [Kind::P256, Kind::P384, Kind::P521, Kind::Ed25519, Kind::Rsa];
        for &scheme in SCHEMES_13 {
            let fit = kinds
                .into_iter()
                .filter(|&kind| algorithm_13(&PublicKey { kind, bytes: &[] }, scheme).is_some());
            assert_eq!(fit.count(), 1, "{scheme:?}");
        }
        for scheme in [SignatureScheme::RSA_PKCS1_SHA256, SignatureScheme::RSA_PSS_PSS_SHA256] {
            let rsa = PublicKey { kind: Kind::Rsa, bytes: &[] };
            assert!(algorithm_13(&rsa, scheme).is_none(), "1.3 has no such signature with this key");
        }
    }

    #[test]
    fn every_scheme_that_peers_are_told_of_can_be_checked_and_with_no_other_kind_of_key() {
        let kinds = [Kind::P256, Kind::P384, Kind::P521, Kind::Ed25519, Kind::Rsa];
        for &(hash, sig) in SCHEMES {
            let fit: Vec<_> = kinds
                .into_iter()
                .filter(|&kind| algorithm(&PublicKey { kind, bytes: &[] }, hash, sig).is_some())
                .collect();
            let expected: &[Kind] = match sig {
                SignatureAlgorithm::ECDSA if hash == HashAlgorithm::SHA1 => &[Kind::P256, Kind::P521],
                SignatureAlgorithm::ECDSA => &[Kind::P256, Kind::P384, Kind::P521],
                SignatureAlgorithm::ED25519 => &[Kind::Ed25519],
                _ => &[Kind::Rsa],
            };
            assert_eq!(fit, expected, "{hash:?} {sig:?}");
        }
        let p256 = PublicKey { kind: Kind::P256, bytes: &[] };
        assert!(algorithm(&p256, HashAlgorithm::MD5, SignatureAlgorithm::ECDSA).is_none());
    }

    #[test]
    fn a_signature_counts_with_the_key_the_words_and_the_hash_it_was_made_with_alone() {
        let certificate = dimpl::certificate::generate_self_signed_certificate().unwrap();
        let mut key = provider().key_provider.load_private_key(&certificate.private_key).unwrap();
        let mut signed = Buf::new();
        key.sign(b"words", HashAlgorithm::SHA256, &mut signed).unwrap();
        let verify = |der: &[u8], words: &[u8], hash| {
            Verifier.verify_signature(der, words, &signed, hash, SignatureAlgorithm::ECDSA).is_ok()
        };
        assert!(verify(&certificate.certificate, b"words", HashAlgorithm::SHA256));
        assert!(!verify(&certificate.certificate, b"other", HashAlgorithm::SHA256));
        assert!(!verify(&certificate.certificate, b"words", HashAlgorithm::SHA384));
        let other = dimpl::certificate::generate_self_signed_certificate().unwrap();
        assert!(!verify(&other.certificate, b"words", HashAlgorithm::SHA256));
        assert!(!verify(&[], b"words", HashAlgorithm::SHA256));
    }

    #[test]
    fn aes_128_comes_first() {
        let first = SUITES.first().map(|s| s.suite());
        assert_eq!((SUITES.len(), first), (6, Some(Dtls12CipherSuite::ECDHE_ECDSA_AES128_GCM_SHA256)));
    }
}
