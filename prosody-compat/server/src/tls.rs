//! TLS for XMPP over TCP: configured files, or a self-signed certificate made at start, in; an acceptor out.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::sign::SingleCertAndKey;
use service::StartError;
use service::certificate::{self, CertificateFiles};
use tokio_rustls::TlsAcceptor;

/// An acceptor with the configured certificate, or with one of its own for `domains`: upstream's roles are configured not to
/// verify it, as docker-jitsi-meet does.
pub(crate) fn acceptor(
    files: Option<&CertificateFiles>,
    domains: &[&str],
) -> Result<TlsAcceptor, StartError> {
    let certificate = match files {
        Some(files) => certificate::read(files)?,
        None => certificate::self_signed(domains)?,
    };
    let config = ServerConfig::builder_with_provider(Arc::new(certificate::provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| StartError::Part { part: "TLS for XMPP", reason: e.to_string() })?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certificate)));
    Ok(TlsAcceptor::from(Arc::new(config)))
}
