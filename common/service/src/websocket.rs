//! The handshake of a WebSocket (RFC 6455 §4.2): a request in; the stream under it and the answer out, or why not.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use axum::response::Response;
use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// A request that can become a WebSocket.
#[derive(Debug)]
pub struct Handshake {
    accept: HeaderValue,
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
    /// Reads the headers of a request.
    ///
    /// # Errors
    /// [`NoHandshake`].
    pub fn of(headers: &HeaderMap) -> Result<Self, NoHandshake> {
        if !lists(headers, header::UPGRADE, "websocket") {
            return Err(NoHandshake::Plain);
        }
        let version = lists(headers, header::SEC_WEBSOCKET_VERSION, "13");
        let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|_| version).ok_or(NoHandshake::Broken)?;
        let accept =
            HeaderValue::from_str(&derive_accept_key(key.as_bytes())).map_err(|_| NoHandshake::Broken)?;
        Ok(Self { accept })
    }

    /// Answers with 101; the stream is there when that is sent. `protocol` is what of the client's offer is taken.
    pub fn take(self, request: &mut Request<Body>, protocol: Option<&'static str>) -> (OnUpgrade, Response) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, self.accept);
        if let Some(protocol) = protocol {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
        }
        (hyper::upgrade::on(request), response)
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
        let (_, answer) = Handshake::of(asks.headers()).unwrap().take(&mut asks, Some("xmpp"));
        assert_eq!(answer.status(), 101);
        let said = |name| answer.headers()[name].to_str().unwrap();
        assert_eq!(said("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!((said("upgrade"), said("sec-websocket-protocol")), ("websocket", "xmpp"));
    }

    #[test]
    fn what_asks_for_none_and_what_asks_wrongly_are_told_apart() {
        assert_eq!(Handshake::of(request(&[]).headers()).unwrap_err(), NoHandshake::Plain);
        for missing in 1..3 {
            let mut headers = ASKED.to_vec();
            headers.remove(missing);
            assert_eq!(Handshake::of(request(&headers).headers()).unwrap_err(), NoHandshake::Broken);
        }
        let old = [ASKED[0], ("sec-websocket-version", "8"), ASKED[2]];
        assert_eq!(Handshake::of(request(&old).headers()).unwrap_err(), NoHandshake::Broken);
    }

    #[test]
    fn words_are_found_in_lists_and_in_several_headers() {
        let headers = request(&[("sec-websocket-protocol", "chat, XMPP"), ("sec-websocket-protocol", "foo")]);
        assert!(offers(headers.headers(), "xmpp") && offers(headers.headers(), "foo"));
        assert!(!offers(headers.headers(), "xm"));
    }
}
