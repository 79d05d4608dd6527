//! Nothing in; a configuration of TLS that trusts whoever answers, out: servers under load have certificates of their own.

use std::sync::Arc;

use anyhow::Result;
use rustls::crypto::aws_lc_rs;
use rustls::{CipherSuite, ClientConfig};
use xmpp_link::AnyCertificate;

/// HTTP/1.1 over TLS 1.3, as browsers agree on it: Chromium and Firefox ask for AES-128 first, and servers let them choose.
///
/// # Errors
/// The crypto library does not have it.
pub(super) fn anybody() -> Result<Arc<ClientConfig>> {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
    let provider = Arc::new(provider);
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate::new(provider)))
        .with_no_client_auth();
    Ok(Arc::new(config))
}
