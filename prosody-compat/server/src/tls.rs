//! The certificate for XMPP over TCP: configured files, or a self-signed one made at start; an acceptor out.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::crypto::aws_lc_rs::cipher_suite;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use service::StartError;
use tokio_rustls::TlsAcceptor;

use crate::config::CertificateFiles;

/// An acceptor with the configured certificate, or with one of its own for `domains`.
pub(crate) fn acceptor(
    files: Option<&CertificateFiles>,
    domains: &[&str],
) -> Result<TlsAcceptor, StartError> {
    let (chain, key) = match files {
        Some(files) => read(files)?,
        None => self_signed(domains)?,
    };
    let mut provider = aws_lc_rs::default_provider();
    // The hardware does AES-128 faster, and nobody breaks it either.
    provider
        .cipher_suites
        .sort_by_key(|suite| suite.suite() != cipher_suite::TLS13_AES_128_GCM_SHA256.suite());
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|e| part(&e))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn read(files: &CertificateFiles) -> Result<Identity, StartError> {
    let chain: Vec<_> = CertificateDer::pem_file_iter(&files.chain)
        .and_then(Iterator::collect)
        .map_err(|e| unreadable(&files.chain, &e))?;
    if chain.is_empty() {
        return Err(unreadable(&files.chain, &"no certificate in it"));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| unreadable(&files.key, &e))?;
    Ok((chain, key))
}

/// Good for encryption, not for trust: upstream's roles are configured not to verify it, as docker-jitsi-meet does.
fn self_signed(domains: &[&str]) -> Result<Identity, StartError> {
    let names: Vec<String> = domains.iter().map(|d| (*d).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).map_err(|e| part(&e))?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(|e| part(&e))?;
    Ok((vec![made.cert.der().clone()], key))
}

fn part(reason: &dyn std::fmt::Display) -> StartError {
    StartError::Part { part: "TLS for XMPP", reason: reason.to_string() }
}

fn unreadable(path: &Path, reason: &dyn std::fmt::Display) -> StartError {
    StartError::Unreadable { path: path.to_owned(), reason: reason.to_string() }
}
