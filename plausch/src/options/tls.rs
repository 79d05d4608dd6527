//! The settings of `https` in; where to listen with which certificate, or the error that names the option, out.

use std::net::SocketAddr;
use std::path::PathBuf;

use service::certificate::{self, CertificateFiles};
use service::{Effective, StartError};

use super::acme;
use crate::acme::Wish;

/// The front over TLS.
#[derive(Debug, Clone)]
pub(crate) struct Https {
    pub(crate) listen: SocketAddr,
    pub(crate) certificate: Origin,
    /// The front without TLS only sends people to this one.
    pub(crate) redirect: bool,
    /// Browsers are told to come with TLS from now on.
    pub(crate) hsts: bool,
    /// Where a docker-jitsi-meet may have left its certificate.
    pub(crate) former: Vec<PathBuf>,
}

/// Where its certificate comes from.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// Files.
    Files(CertificateFiles),
    /// A directory that issues them.
    Acme(Wish),
    /// Ourselves, which browsers warn of.
    Own,
}

pub(super) fn https(e: &Effective, public_url: Option<&str>) -> Result<Option<Https>, StartError> {
    let path = |key| Some(PathBuf::from(e.text(key))).filter(|p| !p.as_os_str().is_empty());
    let certificate = match (path("https.certificate"), path("https.key")) {
        (Some(chain), Some(key)) => Some(CertificateFiles { chain, key }),
        (None, None) => None,
        (Some(_), None) => return Err(e.bad("https.certificate", "needs `https.key` as well")),
        (None, Some(_)) => return Err(e.bad("https.key", "needs `https.certificate` as well")),
    };
    // Also without a listener: a wrong path is a mistake.
    if let Some(files) = &certificate {
        certificate::read(files).map_err(|x| match x {
            StartError::Unreadable { path, reason } if path == files.key => {
                e.unreadable("https.key", &path, reason)
            }
            StartError::Unreadable { path, reason } => e.unreadable("https.certificate", &path, reason),
            other => other,
        })?;
    }
    if e.is_on("https.disabled") {
        return Ok(None);
    }
    let wish = acme::wish(e, public_url)?;
    let certificate = match (certificate, wish) {
        (Some(files), _) => Origin::Files(files),
        (None, Some(wish)) => Origin::Acme(wish),
        (None, None) => Origin::Own,
    };
    let Some(listen) = super::listen_if_any(e, "https.listen")? else { return Ok(None) };
    let former = e.list("https.former").iter().map(PathBuf::from).collect();
    let (redirect, hsts) = (e.is_on("https.redirect"), e.is_on("https.hsts"));
    Ok(Some(Https { listen, certificate, redirect, hsts, former }))
}
