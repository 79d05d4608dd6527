//! The bridge's DTLS certificate: made by the shell, now and then anew, its fingerprint announced to every client.

use std::sync::Arc;

use aws_lc_rs::digest;
use dimpl::DtlsCertificate;

/// A self-signed EC P-256 certificate with its key and fingerprint; cheap to clone.
#[derive(Clone)]
pub struct Certificate(Arc<Inner>);

struct Inner {
    dtls: DtlsCertificate,
    fingerprint: String,
}

/// The certificate could not be made. Consequence: the process must not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("could not make a DTLS certificate")]
pub struct CertificateError;

impl Certificate {
    /// Makes a new one. Uses the operating system's randomness and clock: for shells and tests.
    ///
    /// # Errors
    /// When the crypto library fails.
    pub fn generate() -> Result<Self, CertificateError> {
        let dtls = dimpl::certificate::generate_self_signed_certificate().map_err(|_| CertificateError)?;
        let fingerprint = fingerprint(&digest::SHA256, &dtls.certificate);
        Ok(Self(Arc::new(Inner { dtls, fingerprint })))
    }

    /// The SHA-256 fingerprint as signalled: upper-case hex with colons.
    pub fn fingerprint(&self) -> &str {
        &self.0.fingerprint
    }

    pub(crate) fn dtls(&self) -> DtlsCertificate {
        self.0.dtls.clone()
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Certificate").field(&self.0.fingerprint).finish()
    }
}

/// A fingerprint the peer signalled: hash name and digest, both as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    pub(crate) hash: String,
    pub(crate) digest: String,
}

/// Whether the certificate in `der` is one of those signalled. The strongest hash that was signalled decides, so
/// that a weak one can not be used to slip in another certificate.
pub(crate) fn matches(signalled: &[Fingerprint], der: &[u8]) -> bool {
    let Some((name, algorithm)) =
        HASHES.iter().find(|(name, _)| signalled.iter().any(|f| f.hash.eq_ignore_ascii_case(name)))
    else {
        return false;
    };
    let actual = fingerprint(algorithm, der);
    // compat: upstream compares by exact text and so refuses lower-case digests; we do not
    // (test: compat_lower_case_fingerprints_match).
    signalled
        .iter()
        .any(|f| f.hash.eq_ignore_ascii_case(name) && f.digest.trim().eq_ignore_ascii_case(&actual))
}

fn fingerprint(algorithm: &'static digest::Algorithm, der: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(3 * algorithm.output_len());
    for byte in digest::digest(algorithm, der).as_ref() {
        let separator = if text.is_empty() { "" } else { ":" };
        let _ = write!(text, "{separator}{byte:02X}");
    }
    text
}

/// Strongest first (bridge §3.2).
const HASHES: [(&str, &digest::Algorithm); 4] = [
    ("sha-512", &digest::SHA512),
    ("sha-384", &digest::SHA384),
    ("sha-256", &digest::SHA256),
    ("sha-1", &digest::SHA1_FOR_LEGACY_USE_ONLY),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(hash: &str, digest: &str) -> Fingerprint {
        Fingerprint { hash: hash.into(), digest: digest.into() }
    }

    #[test]
    fn compat_lower_case_fingerprints_match() {
        let c = Certificate::generate().unwrap();
        let der = c.dtls().certificate;
        assert_eq!(c.fingerprint().len(), 32 * 3 - 1);
        assert!(matches(&[signal("SHA-256", &c.fingerprint().to_lowercase())], &der));
        assert!(!matches(&[], &der));
        assert!(!matches(&[signal("md5", c.fingerprint())], &der));
    }

    #[test]
    fn the_strongest_signalled_hash_decides() {
        let c = Certificate::generate().unwrap();
        let der = c.dtls().certificate;
        let wrong = signal("sha-512", "00:11");
        assert!(!matches(&[signal("sha-256", c.fingerprint()), wrong], &der));
        let other = Certificate::generate().unwrap();
        assert!(!matches(&[signal("sha-256", other.fingerprint())], &der));
        assert!(matches(&[signal("sha-256", other.fingerprint()), signal("sha-256", c.fingerprint())], &der));
    }
}
