//! What a directory, or our disk, says is our certificate in; what TLS signs with, or what is wrong with it, out. Pure.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::client::verify_server_name;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use service::certificate::Validity;

use super::limits;
use super::plan::Plan;

/// A certificate that is ours.
#[derive(Debug, Clone)]
pub(crate) struct Issued {
    pub(crate) key: Arc<CertifiedKey>,
    pub(crate) validity: Validity,
}

/// Why it is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Wrong {
    #[error("it is no certificate")]
    Nonsense,
    #[error("it has more than {} certificates in its chain", limits::CHAIN)]
    TooLong,
    #[error("it is for another key")]
    Key,
    #[error("it is not for {0}")]
    Name(String),
    #[error("it is over")]
    Over,
    #[error("it holds in the future only; is the clock of this machine right?")]
    Future,
    #[error("most of its time is over")]
    Old,
}

impl Issued {
    /// The private key and the chain, the server's own certificate first, as PEM; for all these names.
    pub(crate) fn read(chain: &str, key: &str, names: &[String]) -> Result<Self, Wrong> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain.as_bytes())
            .take(limits::CHAIN + 1)
            .collect::<Result<_, _>>()
            .map_err(|_| Wrong::Nonsense)?;
        if chain.len() > limits::CHAIN {
            return Err(Wrong::TooLong);
        }
        let own = chain.first().ok_or(Wrong::Nonsense)?;
        let validity = Validity::of(own).ok_or(Wrong::Nonsense)?;
        let parsed = ParsedCertificate::try_from(own).map_err(|_| Wrong::Nonsense)?;
        for name in names {
            let server = ServerName::try_from(name.as_str()).map_err(|_| Wrong::Name(name.clone()))?;
            verify_server_name(&parsed, &server).map_err(|_| Wrong::Name(name.clone()))?;
        }
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| Wrong::Key)?;
        let key =
            CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(|e| match e {
                rustls::Error::InconsistentKeys(_) => Wrong::Key,
                _ => Wrong::Nonsense,
            })?;
        Ok(Self { key: Arc::new(key), validity })
    }

    /// Whether something that was just issued holds now, and long enough that it is not renewed at once.
    pub(crate) fn check(&self, now: SystemTime) -> Result<(), Wrong> {
        if self.validity.until <= now {
            return Err(Wrong::Over);
        }
        if self.validity.from > now + CLOCKS_DIFFER {
            return Err(Wrong::Future);
        }
        if Plan::renews_at(self.validity) <= now {
            return Err(Wrong::Old);
        }
        Ok(())
    }
}

/// Directories date their certificates back by an hour, for clocks that are behind by so much.
const CLOCKS_DIFFER: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn made(names: &[&str], years: (i32, i32)) -> (String, String) {
        let all: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let mut params = CertificateParams::new(all).unwrap();
        params.not_before = date_time_ymd(years.0, 1, 1);
        params.not_after = date_time_ymd(years.1, 1, 1);
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn names(all: &[&str]) -> Vec<String> {
        all.iter().map(|n| (*n).to_owned()).collect()
    }

    /// In the year 2027.
    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_805_000_000)
    }

    #[test]
    fn what_was_ordered_is_taken() {
        let (chain, key) = made(&["a.example", "b.example"], (2026, 2040));
        let issued = Issued::read(&chain, &key, &names(&["a.example", "b.example"])).unwrap();
        assert_eq!(issued.check(now()), Ok(()));
    }

    #[test]
    fn a_directory_that_lies_is_found_out() {
        let wanted = names(&["a.example"]);
        let (chain, key) = made(&["a.example"], (2026, 2040));
        let (_, other) = made(&["a.example"], (2026, 2040));
        let wrong = |chain: &str, key: &str| Issued::read(chain, key, &wanted).unwrap_err();
        assert_eq!(wrong(&chain, &other), Wrong::Key);
        assert_eq!(wrong(&made(&["b.example"], (2026, 2040)).0, &key), Wrong::Name("a.example".into()));
        for nonsense in ["", "garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert_eq!(wrong(nonsense, &key), Wrong::Nonsense);
        }
        let only_half = Issued::read(&chain, &key, &names(&["a.example", "b.example"])).unwrap_err();
        assert_eq!(only_half, Wrong::Name("b.example".into()));
        for (years, said) in
            [((2020, 2026), Wrong::Over), ((2030, 2031), Wrong::Future), ((2000, 2028), Wrong::Old)]
        {
            let (chain, key) = made(&["a.example"], years);
            assert_eq!(Issued::read(&chain, &key, &wanted).unwrap().check(now()), Err(said));
        }
    }

    #[test]
    fn a_chain_has_an_end() {
        let (chain, key) = made(&["a.example"], (2026, 2040));
        let wanted = names(&["a.example"]);
        assert!(Issued::read(&chain.repeat(limits::CHAIN), &key, &wanted).is_ok());
        assert_eq!(
            Issued::read(&chain.repeat(limits::CHAIN + 1), &key, &wanted).unwrap_err(),
            Wrong::TooLong
        );
    }
}
