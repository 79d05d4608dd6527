//! A certificate with its key: PEM files, or names for one made by oneself, in; what TLS servers sign with out.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use crate::StartError;

/// Where a certificate is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain, the server's own first.
    pub chain: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// When a certificate holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Its first second.
    pub from: SystemTime,
    /// Its last.
    pub until: SystemTime,
}

impl Validity {
    /// Of a certificate; `None` when it cannot be read.
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let parsed = Certificate::from_der(certificate).ok()?;
        let validity = parsed.tbs_certificate().validity();
        let time = |t: x509_cert::time::Time| SystemTime::UNIX_EPOCH.checked_add(t.to_unix_duration());
        Some(Self { from: time(validity.not_before)?, until: time(validity.not_after)? })
    }

    /// From the first second to the last.
    pub fn lifetime(self) -> Duration {
        self.until.duration_since(self.from).unwrap_or_default()
    }

    /// Whether it ends so soon that somebody should be told: in ten days; short-lived ones in the last sixth of their life.
    pub fn ends_soon(self, now: SystemTime) -> bool {
        let warning = (self.lifetime() / 6).min(Duration::from_secs(10 * 24 * 3600));
        self.until.checked_sub(warning).is_none_or(|from| from <= now)
    }
}

/// What a TLS server of ours encrypts and signs with.
pub fn provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    // The hardware does AES-128 faster, and nobody breaks it either.
    provider
        .cipher_suites
        .sort_by_key(|s| s.suite() != aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256.suite());
    provider
}

/// Reads a certificate.
///
/// # Errors
/// [`StartError::Unreadable`] names the file: it is not there, not PEM, or the key belongs to another certificate.
pub fn read(files: &CertificateFiles) -> Result<Arc<CertifiedKey>, StartError> {
    let chain: Vec<_> = CertificateDer::pem_file_iter(&files.chain)
        .and_then(Iterator::collect)
        .map_err(|e| unreadable(&files.chain, &e))?;
    if chain.is_empty() {
        return Err(unreadable(&files.chain, &"no certificate in it"));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| unreadable(&files.key, &e))?;
    let certified = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider());
    certified.map(Arc::new).map_err(|e| match e {
        rustls::Error::InconsistentKeys(_) => {
            unreadable(&files.key, &format!("it is not the key of {}", files.chain.display()))
        }
        e => unreadable(&files.chain, &e),
    })
}

/// Good for encryption, not for trust: who connects has to be told not to verify it.
///
/// # Errors
/// [`StartError::Part`]: one of the names is none.
pub fn self_signed(names: &[&str]) -> Result<Arc<CertifiedKey>, StartError> {
    let part = |reason: &dyn std::fmt::Display| StartError::Part {
        part: "a self-signed certificate",
        reason: reason.to_string(),
    };
    let names: Vec<String> = names.iter().map(|d| (*d).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).map_err(|e| part(&e))?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(|e| part(&e))?;
    CertifiedKey::from_der(vec![made.cert.der().clone()], key, &aws_lc_rs::default_provider())
        .map(Arc::new)
        .map_err(|e| part(&e))
}

fn unreadable(path: &Path, reason: &dyn std::fmt::Display) -> StartError {
    StartError::Unreadable { path: path.to_owned(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(name: &str) -> (PathBuf, CertificateFiles) {
        let folder = std::env::temp_dir().join(format!("plausch-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let files = CertificateFiles { chain: folder.join("cert.pem"), key: folder.join("key.pem") };
        (folder, files)
    }

    fn made() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec!["meet.example".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_certificate_is_read_with_its_key_and_not_with_anothers() {
        let (folder, files) = files("certificate");
        let ((chain, key), (_, other)) = (made(), made());
        std::fs::write(&files.chain, &chain).unwrap();
        std::fs::write(&files.key, key).unwrap();
        assert_eq!(read(&files).unwrap().cert.len(), 1);
        for (key, said) in [(other.as_str(), "is not the key of"), ("no PEM", "key.pem"), ("", "key.pem")] {
            std::fs::write(&files.key, key).unwrap();
            let error = read(&files).unwrap_err().to_string();
            assert!(error.contains(said) && !error.contains("PRIVATE"), "{error}");
        }
        std::fs::write(&files.chain, "").unwrap();
        assert!(read(&files).unwrap_err().to_string().contains("no certificate"));
        std::fs::remove_file(&files.chain).unwrap();
        assert!(read(&files).unwrap_err().to_string().contains("cert.pem"));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn who_serves_a_certificate_is_told_before_it_ends() {
        let day = |n: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(n * 24 * 3600);
        for (lifetime, quiet, told) in [(90, 79, 80), (365, 354, 355), (6, 4, 5)] {
            let validity = Validity { from: day(0), until: day(lifetime) };
            assert!(!validity.ends_soon(day(quiet)) && validity.ends_soon(day(told)), "{lifetime}");
            assert!(validity.ends_soon(day(lifetime + 1)));
        }
        let own = self_signed(&["meet.example"]).unwrap();
        let validity = Validity::of(&own.cert[0]).unwrap();
        assert!(validity.from < validity.until && !validity.ends_soon(SystemTime::now()));
        assert!(Validity::of(&CertificateDer::from(vec![1, 2, 3])).is_none());
    }

    #[test]
    fn one_made_by_oneself_has_all_names_that_are_names() {
        assert!(self_signed(&["meet.example", "127.0.0.1"]).is_ok());
        assert!(self_signed(&["ä ö"]).is_err());
    }
}
