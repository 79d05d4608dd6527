//! Questions to services that the admin has named: what a module of the server asks, or which key of tokens, in; the answer, or that
//! there was none in time, out, as one more input of the server.
//!
//! HTTP/1.1, over TLS where the address says so, one connection each; redirects are not followed. Nothing is asked that no option
//! names; the server bounds how many questions are open.

use std::sync::{Arc, OnceLock};

use axum::body::{Body, to_bytes};
use http::{HeaderMap, Request, Uri, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use jitsi_xmpp::Sensitive;
use prosody_core::token::{self, Fetch};
use prosody_core::{Answer, KeyFetchId, Question, QuestionId};
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time;
use tokio_rustls::TlsConnector;

use crate::limits;
use crate::owner::Input;

/// Why there is no answer. Blame: the service, or whoever named it; the server goes on without.
#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    #[error("the address is no http:// or https:// one")]
    Address,
    #[error("connecting failed: {0}")]
    Connect(#[from] std::io::Error),
    #[error("{0}")]
    Http(#[from] hyper::Error),
    #[error("the question is no request: {0}")]
    Request(#[from] http::Error),
    #[error("the answer is too long, or broke off")]
    Body(#[from] axum::Error),
    #[error("not in time")]
    Late,
}

/// An answer as it came.
struct Said {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// Asks, and hands the answer to the server.
pub(crate) fn ask(inputs: mpsc::Sender<Input>, id: QuestionId, question: Question) {
    tokio::spawn(async move {
        let asked = time::timeout(question.deadline, put(&question));
        let answer = match asked.await.unwrap_or(Err(NoAnswer::Late)) {
            Ok(said) => Answer::Response { status: said.status, body: Sensitive::new(said.body) },
            Err(error) => {
                tracing::warn!(%error, "a service that was asked did not answer");
                if matches!(error, NoAnswer::Late) { Answer::Late } else { Answer::Unreachable }
            }
        };
        // Fails only when the server has stopped.
        let _ = inputs.send(Input::Answer { id, answer }).await;
    });
}

/// Asks for keys of tokens, and hands the answer to the server.
pub(crate) fn fetch_key(inputs: mpsc::Sender<Input>, id: KeyFetchId, fetch: Fetch) {
    tokio::spawn(async move {
        let asked = time::timeout(fetch.timeout, get(&fetch));
        let answer = match asked.await.unwrap_or(Err(NoAnswer::Late)) {
            Ok(said) => {
                let age = said.headers.get(header::CACHE_CONTROL);
                token::Answer::Response {
                    status: said.status,
                    cache_control: age.and_then(|v| v.to_str().ok()).map(str::to_owned),
                    body: said.body,
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the server for keys of tokens did not answer");
                token::Answer::Unreachable
            }
        };
        let _ = inputs.send(Input::Key { id, answer }).await;
    });
}

async fn put(question: &Question) -> Result<Said, NoAnswer> {
    let mut request = Request::builder().method(question.method);
    for (name, value) in &question.headers {
        request = request.header(*name, value.reveal());
    }
    let request = request.body(Body::from(question.body.reveal().clone()))?;
    over_http(question.url.reveal(), request, limits::ANSWER_BYTES).await
}

async fn get(fetch: &Fetch) -> Result<Said, NoAnswer> {
    let request = Request::get("/").header(header::ACCEPT, "*/*").body(Body::empty())?;
    over_http(&fetch.url, request, fetch.most_bytes).await
}

/// Sends a request to the address, whatever stands in it, and takes at most so many bytes.
async fn over_http(url: &str, request: Request<Body>, most: usize) -> Result<Said, NoAnswer> {
    let uri: Uri = url.parse().map_err(|_| NoAnswer::Address)?;
    let authority = uri.authority().ok_or(NoAnswer::Address)?;
    let (tls, port) = match uri.scheme_str() {
        Some("http") => (false, 80),
        Some("https") => (true, 443),
        _ => return Err(NoAnswer::Address),
    };
    // An IPv6 address stands in brackets.
    let host = authority.host().trim_matches(['[', ']']);
    let name = ServerName::try_from(host.to_owned()).map_err(|_| NoAnswer::Address)?;
    let tcp = TcpStream::connect((host, authority.port_u16().unwrap_or(port))).await?;
    if tls {
        exchange(connector()?.connect(name, tcp).await?, &uri, request, most).await
    } else {
        exchange(tcp, &uri, request, most).await
    }
}

async fn exchange<T>(io: T, uri: &Uri, request: Request<Body>, most: usize) -> Result<Said, NoAnswer>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await?;
    let (mut parts, body) = request.into_parts();
    parts.uri = uri.path_and_query().map_or("/", |p| p.as_str()).parse().map_err(|_| NoAnswer::Address)?;
    let host = uri.authority().map_or("", |a| a.as_str()).parse().map_err(|_| NoAnswer::Address)?;
    parts.headers.insert(header::HOST, host);
    // Ends with the question, whatever becomes of that.
    let mut driver = tokio::task::JoinSet::new();
    driver.spawn(connection);
    let (parts, body) = sender.send_request(Request::from_parts(parts, body)).await?.into_parts();
    let body = to_bytes(Body::new(body), most).await?;
    Ok(Said { status: parts.status.as_u16(), headers: parts.headers, body: body.into() })
}

/// The roots of the machine, read when something is asked over TLS for the first time.
fn connector() -> std::io::Result<TlsConnector> {
    static CONNECTOR: OnceLock<TlsConnector> = OnceLock::new();
    if let Some(there) = CONNECTOR.get() {
        return Ok(there.clone());
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(std::io::Error::other)?
        .with_root_certificates(xmpp_link::system_roots()?)
        .with_no_client_auth();
    Ok(CONNECTOR.get_or_init(|| TlsConnector::from(Arc::new(config))).clone())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(20);

    /// A service that answers one request with these bytes, and the request as it came.
    async fn service(answer: Vec<u8>) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/rooms?name=a%20b", listener.local_addr().unwrap());
        let served = tokio::spawn(async move {
            let (mut io, _) = listener.accept().await.unwrap();
            let (mut request, mut buffer) = (Vec::new(), [0; 1024]);
            while !request.ends_with(b"hello") {
                let n = io.read(&mut buffer).await.unwrap();
                request.extend_from_slice(&buffer[..n]);
            }
            io.write_all(&answer).await.unwrap();
            String::from_utf8(request).unwrap()
        });
        (url, served)
    }

    async fn answer_to(url: &str) -> Answer {
        let (inputs, mut received) = mpsc::channel(1);
        let question = Question {
            method: "POST",
            url: Sensitive::new(url.to_owned()),
            headers: vec![("authorization", Sensitive::new("Bearer x".to_owned()))],
            body: Sensitive::new(b"hello".to_vec()),
            deadline: DEADLINE,
        };
        ask(inputs, QuestionId(7), question);
        match received.recv().await {
            Some(Input::Answer { id: QuestionId(7), answer }) => answer,
            other => panic!("{other:?}"),
        }
    }

    fn response(length: usize) -> Vec<u8> {
        let body = "x".repeat(length);
        format!("HTTP/1.1 201 Created\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
    }

    #[tokio::test]
    async fn a_question_reaches_the_service_and_its_answer_the_server() {
        let (url, served) = service(response(3)).await;
        let expected = Answer::Response { status: 201, body: Sensitive::new(b"xxx".to_vec()) };
        assert_eq!(answer_to(&url).await, expected);
        let request = served.await.unwrap();
        assert!(request.starts_with("POST /rooms?name=a%20b HTTP/1.1\r\n"), "{request}");
        assert!(
            request.contains("authorization: Bearer x\r\n") && request.contains("host: 127.0.0.1:"),
            "{request}"
        );
    }

    #[tokio::test]
    async fn an_answer_at_the_limit_is_heard_and_a_longer_one_is_none() {
        for (length, heard) in [(limits::ANSWER_BYTES, true), (limits::ANSWER_BYTES + 1, false)] {
            let (url, _served) = service(response(length)).await;
            assert_eq!(answer_to(&url).await != Answer::Unreachable, heard);
        }
    }

    #[tokio::test]
    async fn who_is_not_there_or_speaks_something_else_has_not_answered() {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let (odd, _served) = service(b"220 mail.example ESMTP\r\n".to_vec()).await;
        for url in [
            &format!("http://{closed}/"),
            &odd,
            &format!("https://{closed}/"),
            "ftp://127.0.0.1/",
            "no address",
        ] {
            assert_eq!(answer_to(url).await, Answer::Unreachable, "{url}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_says_nothing_is_waited_for_as_long_as_the_question_says() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let start = time::Instant::now();
        assert_eq!(answer_to(&url).await, Answer::Late);
        assert_eq!(start.elapsed().as_secs(), DEADLINE.as_secs());
    }
}
