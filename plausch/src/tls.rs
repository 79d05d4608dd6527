//! The front's certificate: files, a directory that issues it, or names for one of our own, in; a configuration of TLS out that always has the newest that is usable.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use service::certificate::{self, CertificateFiles, Validity};
use service::{Exposition, StartError, State};
use tokio::sync::{Notify, watch};

use crate::acme::challenges::ALPN;
use crate::acme::{Acme, Wish, former};
use crate::front::limits;

/// What a connection is offered.
#[derive(Debug, Clone)]
pub(crate) struct Tls {
    /// HTTP/2, else HTTP/1.1.
    pub(crate) both: Arc<ServerConfig>,
    pub(crate) http1: Arc<ServerConfig>,
}

/// How clients of TURN may say that they are (RFC 7443 §3); most say nothing.
pub(crate) const TURN: &[u8] = b"stun.turn";

/// What HTTP/2 is called in the handshake (RFC 9113 §3.2).
pub(crate) const HTTP2: &[u8] = b"h2";

/// The certificate in use. Replaced under way: who is connected stays so.
#[derive(Debug)]
pub(crate) struct Certificate {
    now: RwLock<Arc<CertifiedKey>>,
    source: Source,
    /// Somebody wants the files looked at at once.
    look: Notify,
}

#[derive(Debug)]
enum Source {
    Files(CertificateFiles),
    /// And until when what it issued in an earlier run holds.
    Acme(Arc<Acme>, Option<Validity>),
    Own,
}

impl Certificate {
    /// From files.
    ///
    /// # Errors
    /// They cannot be read.
    pub(crate) fn of(files: CertificateFiles) -> Result<Arc<Self>, StartError> {
        let now = RwLock::new(certificate::read(&files)?);
        Ok(Arc::new(Self { now, source: Source::Files(files), look: Notify::new() }))
    }

    /// From a directory; what it issued before is used at once, and until it has, what is found in `former` folders, or one of our own.
    ///
    /// # Errors
    /// The names are none.
    pub(crate) fn acme(wish: Wish, former: &[PathBuf]) -> Result<Arc<Self>, StartError> {
        let acme = Acme::new(wish);
        let main = acme.names().first().map(String::as_str).unwrap_or_default();
        let (now, kept) = if let Some((now, validity)) = acme.kept() {
            (now, Some(validity))
        } else if let Some((now, _)) = former::find(former, main, SystemTime::now()) {
            (now, None)
        } else {
            let names: Vec<&str> = acme.names().iter().map(String::as_str).collect();
            (certificate::self_signed(&names)?, None)
        };
        Ok(Arc::new(Self { now: RwLock::new(now), source: Source::Acme(acme, kept), look: Notify::new() }))
    }

    /// What is found in `former` folders; it has to be renewed by whoever made it.
    pub(crate) fn former(host: &str, former: &[PathBuf]) -> Option<Arc<Self>> {
        let (now, files) = former::find(former, host, SystemTime::now())?;
        Some(Arc::new(Self { now: RwLock::new(now), source: Source::Files(files), look: Notify::new() }))
    }

    /// One of our own for this host, which browsers warn of.
    ///
    /// # Errors
    /// The host is no name.
    pub(crate) fn own(host: &str) -> Result<Arc<Self>, StartError> {
        let now = RwLock::new(certificate::self_signed(&[host])?);
        Ok(Arc::new(Self { now, source: Source::Own, look: Notify::new() }))
    }

    /// What connections are offered. `turn`: whether TURN is spoken here, too.
    pub(crate) fn config(self: &Arc<Self>, turn: bool) -> Result<Tls, StartError> {
        let part = |e: rustls::Error| StartError::Part { part: "TLS", reason: e.to_string() };
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Self>::clone(self);
        let mut config = ServerConfig::builder_with_provider(Arc::new(certificate::provider()))
            .with_safe_default_protocol_versions()
            .map_err(part)?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        if self.directory().is_some() {
            config.alpn_protocols.push(ALPN.to_vec());
        }
        if turn {
            config.alpn_protocols.push(TURN.to_vec());
        }
        config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().map_err(part)?;
        let mut both = config.clone();
        both.alpn_protocols.insert(0, HTTP2.to_vec());
        Ok(Tls { both: Arc::new(both), http1: Arc::new(config) })
    }

    /// Who issues it, if somebody does while we run.
    pub(crate) fn directory(&self) -> Option<&Arc<Acme>> {
        match &self.source {
            Source::Acme(acme, _) => Some(acme),
            Source::Files(_) | Source::Own => None,
        }
    }

    /// Counters and times for the admin.
    pub(crate) fn write_metrics(&self, out: &mut Exposition) {
        let until = self.validity().and_then(|v| v.until.duration_since(SystemTime::UNIX_EPOCH).ok());
        out.gauge(
            "plausch_certificate_expires_timestamp_seconds",
            "When the certificate that the front has now is over.",
            until.map_or(0.0, |u| u.as_secs() as f64),
        );
        if let Some(acme) = self.directory() {
            acme.write_metrics(out);
        }
    }

    /// What will cost people their meetings if nobody sees to it.
    pub(crate) fn state(&self) -> State {
        let now = SystemTime::now();
        if let Some(validity) = self.validity().filter(|v| v.ends_soon(now)) {
            return State::Worried(match validity.until.duration_since(now) {
                Ok(left) => format!("over in {} hours", left.as_secs() / 3600),
                Err(_) => "over: browsers refuse it".to_owned(),
            });
        }
        match self.directory().and_then(|acme| acme.unwritable()) {
            Some(why) => State::Worried(format!("will not be renewed: {why}")),
            None => State::Healthy,
        }
    }

    fn current(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn validity(&self) -> Option<Validity> {
        self.current().cert.first().and_then(Validity::of)
    }

    fn replace(&self, new: Arc<CertifiedKey>) {
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = new;
    }

    /// Has the files looked at at once, if it comes from some.
    pub(crate) fn look_again(&self) {
        self.look.notify_one();
    }

    /// Keeps the certificate fresh until the end. What is renewed is used for the next connection; what cannot be used changes
    /// nothing.
    pub(crate) async fn watch(self: Arc<Self>, end: watch::Receiver<bool>) {
        let renewal = async {
            match &self.source {
                Source::Files(files) => self.follow(files, end.clone()).await,
                Source::Acme(acme, kept) => {
                    Arc::clone(acme).keep(*kept, |new| self.replace(new), end.clone()).await;
                }
                // There is nothing to renew it from.
                Source::Own => service::shutdown::told(end.clone()).await,
            }
        };
        tokio::select! {
            () = renewal => {}
            () = self.warn() => {}
        }
    }

    /// Says once a day that the certificate will be over soon, or is. Never ends.
    async fn warn(&self) {
        loop {
            if let Some(validity) = self.validity()
                && validity.ends_soon(SystemTime::now())
            {
                match validity.until.duration_since(SystemTime::now()) {
                    Ok(left) => tracing::warn!("the certificate is over in {} hours", left.as_secs() / 3600),
                    Err(_) => tracing::warn!("the certificate is over: browsers refuse it"),
                }
            }
            tokio::time::sleep(limits::CERTIFICATE_WARNING).await;
        }
    }

    /// Looks at the files now and then until the end. A new certificate whose key is not written yet changes nothing.
    async fn follow(&self, files: &CertificateFiles, mut end: watch::Receiver<bool>) {
        let mut seen = changed(files);
        let mut said = None;
        loop {
            tokio::select! {
                () = tokio::time::sleep(limits::CERTIFICATE_LOOK) => {}
                () = self.look.notified() => {}
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
                    if new.cert != self.current().cert {
                        self.replace(new);
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
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if let Some(proof) = self.directory().and_then(|acme| acme.challenges.asked(&hello)) {
            return proof;
        }
        Some(self.current())
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
