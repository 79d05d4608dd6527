//! The front's certificate: files, or names for one of our own, in; a configuration of TLS out that always has the newest that is usable.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use service::StartError;
use service::certificate::{self, CertificateFiles};
use tokio::sync::watch;

use crate::front::limits;

/// The certificate in use. Replaced under way: who is connected stays so.
#[derive(Debug)]
pub(crate) struct Certificate {
    now: RwLock<Arc<CertifiedKey>>,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Files(CertificateFiles),
    Own,
}

impl Certificate {
    /// From files.
    ///
    /// # Errors
    /// They cannot be read.
    pub(crate) fn of(files: CertificateFiles) -> Result<Arc<Self>, StartError> {
        let now = RwLock::new(certificate::read(&files)?);
        Ok(Arc::new(Self { now, source: Source::Files(files) }))
    }

    /// One of our own for this host, which browsers warn of.
    ///
    /// # Errors
    /// The host is no name.
    pub(crate) fn own(host: &str) -> Result<Arc<Self>, StartError> {
        let now = RwLock::new(certificate::self_signed(&[host])?);
        Ok(Arc::new(Self { now, source: Source::Own }))
    }

    /// For HTTP/1.1.
    pub(crate) fn config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, StartError> {
        let part = |e: rustls::Error| StartError::Part { part: "TLS", reason: e.to_string() };
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Self>::clone(self);
        let mut config = ServerConfig::builder_with_provider(Arc::new(certificate::provider()))
            .with_safe_default_protocol_versions()
            .map_err(part)?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().map_err(part)?;
        Ok(Arc::new(config))
    }

    /// Looks at the files now and then until the end. What is renewed is used for the next connection; what cannot be used, such
    /// as a new certificate whose key is not written yet, changes nothing.
    pub(crate) async fn watch(self: Arc<Self>, mut end: watch::Receiver<bool>) {
        let Source::Files(files) = &self.source else {
            // There is nothing to renew it from.
            drop(end.wait_for(|e| *e).await);
            return;
        };
        let mut seen = changed(files);
        let mut said = None;
        loop {
            tokio::select! {
                () = tokio::time::sleep(limits::CERTIFICATE_LOOK) => {}
                _ = end.wait_for(|e| *e) => return,
            }
            let now = changed(files);
            if now == seen && said.is_none() {
                continue;
            }
            seen = now;
            match certificate::read(files) {
                Ok(new) => {
                    said = None;
                    let mut current = self.now.write().unwrap_or_else(PoisonError::into_inner);
                    if new.cert != current.cert {
                        *current = new;
                        tracing::info!(chain = %files.chain.display(), "a new certificate is used");
                    }
                }
                Err(e) => {
                    let e = e.to_string();
                    if said.as_ref() != Some(&e) {
                        tracing::warn!("the certificate stays as it was: {e}");
                        said = Some(e);
                    }
                }
            }
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// When the files were last written, and how large they are. Links, as certbot makes them, are followed.
fn changed(files: &CertificateFiles) -> [Option<(SystemTime, u64)>; 2] {
    let of = |path: &Path| {
        let about = std::fs::metadata(path).ok()?;
        Some((about.modified().ok()?, about.len()))
    };
    [of(&files.chain), of(&files.key)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_is_no_name_gets_no_certificate() {
        assert!(Certificate::own("meet.example").is_ok() && Certificate::own("::1").is_ok());
        assert!(Certificate::own("ä ö").is_err());
    }
}
