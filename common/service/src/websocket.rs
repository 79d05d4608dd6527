//! The handshake of a WebSocket, over HTTP/1.1 (RFC 6455 §4.2) or HTTP/2 (RFC 8441 §5): a request in; the stream under it and the
//! answer out, or why not.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use axum::response::Response;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::below::Below;

/// What a WebSocket is carried by.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A stream of any kind.
pub type Stream = Box<dyn Io>;

/// A request that can become a WebSocket.
#[derive(Debug)]
pub struct Handshake {
    /// `None`: over HTTP/2, where nothing has to be proved.
    accept: Option<HeaderValue>,
}

/// Why a request is no handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoHandshake {
    /// It asks for no WebSocket at all.
    Plain,
    /// It asks for one in a way that we do not know.
    Broken,
}

impl Handshake {
    /// Reads what a request asks for.
    ///
    /// # Errors
    /// [`NoHandshake`].
    pub fn of<B>(request: &Request<B>) -> Result<Self, NoHandshake> {
        let headers = request.headers();
        let version = lists(headers, header::SEC_WEBSOCKET_VERSION, "13");
        if request.extensions().get::<Tunnel>().is_some() {
            return if version { Ok(Self { accept: None }) } else { Err(NoHandshake::Broken) };
        }
        if !lists(headers, header::UPGRADE, "websocket") {
            return Err(NoHandshake::Plain);
        }
        let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|_| version).ok_or(NoHandshake::Broken)?;
        let accept =
            HeaderValue::from_str(&derive_accept_key(key.as_bytes())).map_err(|_| NoHandshake::Broken)?;
        Ok(Self { accept: Some(accept) })
    }

    /// Answers with 101, or 200 over HTTP/2; the stream is there when that is sent. `protocol` is what of the client's offer is taken.
    pub fn take(self, request: &mut Request<Body>, protocol: Option<&'static str>) -> (Opening, Response) {
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        if let Some(protocol) = protocol {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
        }
        let Some(accept) = self.accept else {
            let stream = request.extensions_mut().remove::<Tunnel>().and_then(|t| t.taken());
            return (Opening(Way::Stream(stream)), response);
        };
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let below = request.extensions_mut().remove::<Below>();
        (Opening(Way::Connection(hyper::upgrade::on(request), below)), response)
    }
}

/// A WebSocket whose answer is under way.
pub struct Opening(Way);

enum Way {
    /// The connection becomes it.
    Connection(OnUpgrade, Option<Below>),
    /// A stream of an HTTP/2 connection becomes it.
    Stream(Option<oneshot::Receiver<Stream>>),
}

impl Opening {
    /// The stream, when the answer is sent; `None` when that failed.
    pub async fn stream(self) -> Option<Stream> {
        match self.0 {
            Way::Connection(upgrade, Some(below)) => Some(below.take(upgrade.await.ok()?)),
            Way::Connection(upgrade, None) => Some(Box::new(TokioIo::new(upgrade.await.ok()?))),
            Way::Stream(stream) => stream?.await.ok(),
        }
    }
}

impl std::fmt::Debug for Opening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opening")
    }
}

/// In a request's extensions: it asks for a WebSocket over HTTP/2, and this is where the stream will be.
#[derive(Clone)]
pub struct Tunnel(Arc<Mutex<Option<oneshot::Receiver<Stream>>>>);

impl Tunnel {
    /// For a request, and where to put the stream once the request is granted. Closed when nobody takes it.
    pub fn new() -> (Self, oneshot::Sender<Stream>) {
        let (here, there) = oneshot::channel();
        (Self(Arc::new(Mutex::new(Some(there)))), here)
    }

    fn taken(&self) -> Option<oneshot::Receiver<Stream>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl std::fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tunnel")
    }
}

/// Whether the client offers this protocol.
pub fn offers(headers: &HeaderMap, protocol: &str) -> bool {
    lists(headers, header::SEC_WEBSOCKET_PROTOCOL, protocol)
}

/// Whether a header that is a list of words has this one.
fn lists(headers: &HeaderMap, name: HeaderName, word: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .any(|w| w.trim().eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: [(&str, &str); 3] = [
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    fn request(headers: &[(&str, &str)]) -> Request<Body> {
        let mut request = Request::new(Body::empty());
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap();
            request.headers_mut().append(name, value.parse().unwrap());
        }
        request
    }

    #[test]
    fn a_handshake_is_answered_as_the_rfc_shows_it() {
        let mut asks = request(&ASKED);
        let (_, answer) = Handshake::of(&asks).unwrap().take(&mut asks, Some("xmpp"));
        assert_eq!(answer.status(), 101);
        let said = |name| answer.headers()[name].to_str().unwrap();
        assert_eq!(said("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!((said("upgrade"), said("sec-websocket-protocol")), ("websocket", "xmpp"));
    }

    #[tokio::test]
    async fn over_http_2_the_stream_is_taken_and_200_answers() {
        let mut asks = request(&ASKED[1..2]);
        let (tunnel, stream) = Tunnel::new();
        asks.extensions_mut().insert(tunnel);
        let (opening, answer) = Handshake::of(&asks).unwrap().take(&mut asks, Some("xmpp"));
        assert_eq!((answer.status().as_u16(), answer.headers().len()), (200, 1));
        assert_eq!(answer.headers()["sec-websocket-protocol"], "xmpp");
        assert!(stream.send(Box::new(tokio::io::empty())).is_ok());
        assert!(opening.stream().await.is_some());
        // Who does not take it lets it go.
        let (tunnel, stream) = Tunnel::new();
        let mut old = request(&[("sec-websocket-version", "8")]);
        old.extensions_mut().insert(tunnel);
        assert_eq!(Handshake::of(&old).unwrap_err(), NoHandshake::Broken);
        drop(old);
        assert!(stream.is_closed());
    }

    #[test]
    fn what_asks_for_none_and_what_asks_wrongly_are_told_apart() {
        assert_eq!(Handshake::of(&request(&[])).unwrap_err(), NoHandshake::Plain);
        for missing in 1..3 {
            let mut headers = ASKED.to_vec();
            headers.remove(missing);
            assert_eq!(Handshake::of(&request(&headers)).unwrap_err(), NoHandshake::Broken);
        }
        let old = [ASKED[0], ("sec-websocket-version", "8"), ASKED[2]];
        assert_eq!(Handshake::of(&request(&old)).unwrap_err(), NoHandshake::Broken);
    }

    #[test]
    fn words_are_found_in_lists_and_in_several_headers() {
        let headers = request(&[("sec-websocket-protocol", "chat, XMPP"), ("sec-websocket-protocol", "foo")]);
        assert!(offers(headers.headers(), "xmpp") && offers(headers.headers(), "foo"));
        assert!(!offers(headers.headers(), "xm"));
    }
}
