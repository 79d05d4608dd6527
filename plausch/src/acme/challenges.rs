//! Proofs that names are ours in; what the directory finds when it looks, as a page without TLS or as a certificate, out.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Response, StatusCode};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::ClientHello;
use rustls::sign::CertifiedKey;

/// What a directory that looks at a certificate asks for (RFC 8737 §6.2).
pub(crate) const ALPN: &[u8] = b"acme-tls/1";

/// The proofs that are under way: one for each name of the order, as many as [`super::limits::NAMES`].
#[derive(Debug, Default)]
pub(crate) struct Challenges {
    pages: RwLock<HashMap<String, String>>,
    certificates: RwLock<HashMap<String, Arc<CertifiedKey>>>,
}

/// Takes the proofs back when the attempt is over.
#[derive(Debug)]
pub(super) struct UnderWay<'a>(&'a Challenges);

impl Challenges {
    pub(super) fn begin(&self) -> UnderWay<'_> {
        UnderWay(self)
    }

    /// What the page has to say.
    fn page(&self, token: &str) -> Option<String> {
        self.pages.read().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }

    /// Whether this client is a directory that looks for a proof, and the proof. Others offer more than this one protocol.
    pub(crate) fn asked(&self, hello: &ClientHello<'_>) -> Option<Option<Arc<CertifiedKey>>> {
        let mut offered = hello.alpn()?;
        if offered.next() != Some(ALPN) || offered.next().is_some() {
            return None;
        }
        let name = hello.server_name().unwrap_or_default().to_ascii_lowercase();
        Some(self.certificates.read().unwrap_or_else(PoisonError::into_inner).get(&name).cloned())
    }
}

impl UnderWay<'_> {
    pub(super) fn prove_by_page(&self, token: String, text: String) {
        self.0.pages.write().unwrap_or_else(PoisonError::into_inner).insert(token, text);
    }

    pub(super) fn prove_by_certificate(&self, name: &str, digest: &[u8]) -> Result<(), rcgen::Error> {
        let key = certificate(name, digest)?;
        self.0.certificates.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), key);
        Ok(())
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.pages.write().unwrap_or_else(PoisonError::into_inner).clear();
        self.0.certificates.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Answers for the proofs before anything else does, redirection included.
pub(crate) async fn answer(
    State(challenges): State<Arc<Challenges>>,
    request: Request,
    next: Next,
) -> Response<Body> {
    let page = match (request.method(), request.uri().path().strip_prefix(PAGES)) {
        (&Method::GET | &Method::HEAD, Some(token)) => challenges.page(token),
        _ => None,
    };
    let Some(page) = page else { return next.run(request).await };
    let mut response = Response::new(Body::from(page));
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    response
}

fn certificate(name: &str, digest: &[u8]) -> Result<Arc<CertifiedKey>, rcgen::Error> {
    let mut params = CertificateParams::new(vec![name.to_owned()])?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let pair = KeyPair::generate()?;
    let certificate = params.self_signed(&pair)?;
    let key =
        PrivateKeyDer::try_from(pair.serialize_der()).map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
    let key = aws_lc_rs::sign::any_supported_type(&key).map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
    // Not looked at again: its extension is critical and nobody but a directory knows it.
    Ok(Arc::new(CertifiedKey::new(vec![certificate.der().clone()], key)))
}

const PAGES: &str = "/.well-known/acme-challenge/";

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::middleware::from_fn_with_state;
    use axum::routing::any;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn only_what_is_to_be_proven_now_has_a_page() {
        let challenges = Arc::new(Challenges::default());
        let router = Router::new()
            .fallback(any(|| async { (StatusCode::MOVED_PERMANENTLY, "elsewhere") }))
            .layer(from_fn_with_state(Arc::clone(&challenges), answer));
        let ask = async |method: &str, path: &str| {
            let request = http::Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
            let answer = router.clone().oneshot(request).await.unwrap();
            let body = axum::body::to_bytes(answer.into_body(), 1000).await.unwrap();
            String::from_utf8(body.to_vec()).unwrap()
        };
        let under_way = challenges.begin();
        under_way.prove_by_page("a-token".into(), "a-token.thumb".into());
        under_way.prove_by_certificate("meet.example", &[7; 32]).unwrap();
        assert_eq!(ask("GET", "/.well-known/acme-challenge/a-token").await, "a-token.thumb");
        for (method, path) in [
            ("GET", "/.well-known/acme-challenge/other"),
            ("GET", "/.well-known/acme-challenge/"),
            ("GET", "/a-token"),
            ("POST", "/.well-known/acme-challenge/a-token"),
        ] {
            assert_eq!(ask(method, path).await, "elsewhere", "{method} {path}");
        }
        drop(under_way);
        assert_eq!(ask("GET", "/.well-known/acme-challenge/a-token").await, "elsewhere");
        assert!(challenges.certificates.read().unwrap().is_empty());
    }
}
