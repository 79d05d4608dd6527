//! A request to the directory in, its answer out: HTTP/1.1 over TLS, one connection each, nothing longer or later than the limits.
//!
//! The only place where certificates make the product reach out, and only to a directory that the admin asked for.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONNECTION, HOST, HeaderValue, RETRY_AFTER};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::limits;

/// The way to a directory.
#[derive(Clone)]
pub(super) struct Directory {
    tls: TlsConnector,
    refused: Arc<Mutex<Option<Refused>>>,
}

/// The last answer that said "not now", which the protocol's library does not hand on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) too_many: bool,
    pub(super) retry_after: Option<Duration>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error("{0} is no https:// address")]
    Address(String),
    #[error("{host} is not reached: {reason}")]
    Connect { host: String, reason: std::io::Error },
    #[error("{host} does not answer: {reason}")]
    Http { host: String, reason: Box<dyn std::error::Error + Send + Sync> },
    #[error("{0} does not answer in time")]
    Late(String),
}

impl Directory {
    /// Trusts the machine's roots, and those of the file.
    ///
    /// # Errors
    /// There are none.
    pub(super) fn new(roots: Option<&Path>) -> std::io::Result<Self> {
        let mut trusted = match (xmpp_link::system_roots(), roots) {
            (Ok(roots), _) => roots,
            (Err(_), Some(_)) => RootCertStore::empty(),
            (Err(e), None) => return Err(e),
        };
        if let Some(file) = roots {
            trusted.add_parsable_certificates(read_roots(file)?);
        }
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(std::io::Error::other)?
            .with_root_certificates(trusted)
            .with_no_client_auth();
        Ok(Self { tls: TlsConnector::from(Arc::new(config)), refused: Arc::default() })
    }

    /// What the last answer said, if it said "not now".
    pub(super) fn refused(&self) -> Option<Refused> {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(self, request: Request<BodyWrapper<Bytes>>) -> Result<Response<Bytes>, NoAnswer> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let answer = timeout(limits::REQUEST, self.talk(request, &host)).await;
        let answer = answer.unwrap_or(Err(NoAnswer::Late(host)))?;
        let wait = answer.headers().get(RETRY_AFTER).and_then(|v| retry_after(v, SystemTime::now()));
        let refused = match answer.status() {
            StatusCode::TOO_MANY_REQUESTS => Some(Refused { too_many: true, retry_after: wait }),
            StatusCode::SERVICE_UNAVAILABLE => Some(Refused { too_many: false, retry_after: wait }),
            _ => None,
        };
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = refused;
        Ok(answer)
    }

    async fn talk(
        &self,
        mut request: Request<BodyWrapper<Bytes>>,
        host: &str,
    ) -> Result<Response<Bytes>, NoAnswer> {
        let uri = request.uri().clone();
        let address = || NoAnswer::Address(uri.to_string());
        let authority = uri.authority().filter(|_| uri.scheme_str() == Some("https")).ok_or_else(address)?;
        // An IPv6 address stands in brackets.
        let bare = host.trim_matches(['[', ']']);
        let name = ServerName::try_from(bare.to_owned()).map_err(|_| address())?;
        let connect = |reason| NoAnswer::Connect { host: host.to_owned(), reason };
        let tcp = TcpStream::connect((bare, authority.port_u16().unwrap_or(443))).await.map_err(connect)?;
        let tls = self.tls.connect(name, tcp).await.map_err(connect)?;
        let http = |reason| NoAnswer::Http { host: host.to_owned(), reason };
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(tls)).await.map_err(|e| http(e.into()))?;
        let headers = request.headers_mut();
        headers.insert(HOST, HeaderValue::from_str(authority.as_str()).map_err(|_| address())?);
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        *request.uri_mut() = uri.path_and_query().map_or_else(Uri::default, |p| Uri::from(p.clone()));
        // Ends with the request, whatever becomes of that.
        let mut driver = tokio::task::JoinSet::new();
        driver.spawn(connection);
        let (parts, body) = sender.send_request(request).await.map_err(|e| http(e.into()))?.into_parts();
        let body = Limited::new(body, limits::ANSWER_BYTES).collect().await.map_err(http)?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    }
}

impl HttpClient for Directory {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let directory = self.clone();
        Box::pin(async move {
            let answer = directory.ask(request).await.map_err(|e| Error::Other(Box::new(e)))?;
            let (parts, body) = answer.into_parts();
            Ok(BytesResponse { parts, body: Box::new(body) })
        })
    }
}

/// The certificates of a file with roots.
///
/// # Errors
/// There are none in it, or it cannot be read.
pub(crate) fn read_roots(file: &Path) -> std::io::Result<Vec<CertificateDer<'static>>> {
    let roots: Vec<_> = CertificateDer::pem_file_iter(PathBuf::from(file))
        .and_then(Iterator::collect)
        .map_err(std::io::Error::other)?;
    if roots.is_empty() {
        return Err(std::io::Error::other("no certificate in it"));
    }
    Ok(roots)
}

/// Seconds, or a date (RFC 9110 §10.2.3). Dates are the directory's clock against ours, which is near enough.
fn retry_after(value: &HeaderValue, now: SystemTime) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    match text.parse() {
        Ok(secs) => Some(Duration::from_secs(secs)),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).ok(),
    }
}

#[cfg(test)]
mod tests {
    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    /// A directory that answers each request with a body of so many bytes, or never; and a request to it.
    async fn asked(length: Option<usize>) -> Result<Response<Bytes>, NoAnswer> {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let roots = std::env::temp_dir().join(format!("plausch-roots-{}-{length:?}", std::process::id()));
        std::fs::write(&roots, made.cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}/dir?a", listener.local_addr().unwrap().port());
        tokio::spawn(async move {
            let (tcp, _) = listener.accept().await.unwrap();
            let mut stream = TlsAcceptor::from(Arc::new(config)).accept(tcp).await.unwrap();
            let mut head = vec![0; 1024];
            let n = stream.read(&mut head).await.unwrap();
            let head = String::from_utf8_lossy(&head[..n]).into_owned();
            assert!(
                head.starts_with("GET /dir?a HTTP/1.1\r\n") && head.contains("host: localhost:"),
                "{head}"
            );
            let Some(length) = length else { return std::future::pending().await };
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            let _ = stream.write_all(&vec![b'x'; length]).await;
            let _ = stream.shutdown().await;
        });
        let way = Directory::new(Some(&roots)).unwrap();
        std::fs::remove_file(roots).unwrap();
        way.ask(Request::get(url).body(BodyWrapper::default()).unwrap()).await
    }

    #[tokio::test]
    async fn an_answer_beyond_the_limit_is_none() {
        let answer = asked(Some(limits::ANSWER_BYTES)).await.unwrap();
        assert_eq!(answer.into_body().len(), limits::ANSWER_BYTES);
        assert!(matches!(asked(Some(limits::ANSWER_BYTES + 1)).await, Err(NoAnswer::Http { .. })));
    }

    #[tokio::test]
    async fn an_answer_that_does_not_come_is_not_waited_for() {
        let begun = tokio::time::Instant::now();
        let (answer, ()) = tokio::join!(asked(None), async {
            // The connection is there; from here on nothing happens but time.
            tokio::time::sleep(Duration::from_secs(1)).await;
            tokio::time::pause();
        });
        assert!(matches!(answer, Err(NoAnswer::Late(host)) if host == "localhost"));
        assert!(begun.elapsed() >= limits::REQUEST && begun.elapsed() < limits::REQUEST * 2);
    }

    #[tokio::test]
    async fn a_directory_that_sends_us_to_another_protocol_is_not_followed() {
        let way = Directory::new(None)
            .or_else(|_| Directory::new(Some(Path::new("/etc/ssl/certs/ca-certificates.crt"))));
        // A machine without roots has nothing to test.
        let Ok(way) = way else { return };
        for url in ["http://localhost/", "/nonce", "ftp://localhost/", "https://user@/"] {
            let Ok(request) = Request::get(url).body(BodyWrapper::default()) else { continue };
            assert!(matches!(way.clone().ask(request).await, Err(NoAnswer::Address(_))), "{url}");
        }
    }

    #[test]
    fn a_directory_says_how_long_to_wait_in_seconds_or_as_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 - 60);
        let read = |text: &str| retry_after(&HeaderValue::from_str(text).unwrap(), now);
        assert_eq!(read("120"), Some(Duration::from_secs(120)));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(60)));
        for odd in ["", "-1", "soon", "Sun, 06 Nov 1980 08:49:37 GMT", "99999999999999999999"] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }
}
