//! A certificate and a DTLS configuration out: what one peer needs, or what many share.

use std::sync::Arc;

use aws_lc_rs::digest;
use dimpl::DtlsCertificate;

/// Why there is no peer.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The library made no certificate.
    #[error("no DTLS certificate: {0}")]
    Certificate(String),
    /// The library refused our settings.
    #[error("DTLS configuration: {0}")]
    Configuration(String),
    /// An address that is no candidate.
    #[error("no ICE candidate: {0}")]
    Candidate(String),
}

/// Who a peer is in DTLS. Making hundreds would only take time, so many may share one.
#[derive(Clone)]
pub struct Identity {
    pub(crate) certificate: DtlsCertificate,
    pub(crate) config: Arc<dimpl::Config>,
    fingerprint: String,
}

impl Identity {
    /// A new certificate; DTLS datagrams of up to `mtu` bytes (a small one cuts the ClientHello into fragments).
    ///
    /// # Errors
    /// When the DTLS library can't do its part.
    pub fn new(mtu: usize) -> Result<Self, PeerError> {
        let certificate = dimpl::certificate::generate_self_signed_certificate()
            .map_err(|e| PeerError::Certificate(format!("{e:?}")))?;
        let config = dimpl::Config::builder()
            .mtu(mtu)
            .max_queue_tx(50)
            .use_server_cookie(false)
            .build()
            .map_err(|e| PeerError::Configuration(format!("{e:?}")))?;
        let fingerprint = fingerprint(&certificate.certificate);
        Ok(Self { certificate, config: Arc::new(config), fingerprint })
    }

    /// SHA-256 of the certificate, as signalled.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

/// SHA-256 of a certificate, as signalled.
pub(crate) fn fingerprint(certificate: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, certificate);
    digest.as_ref().iter().map(|b| format!("{b:02X}")).collect::<Vec<_>>().join(":")
}
