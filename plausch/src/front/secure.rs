//! Requests that came without TLS in, the way to the same page with TLS out; and the word that browsers remember it.

use axum::body::Body;
use axum::extract::State;
use axum::middleware::Next;
use http::header::{HeaderValue, LOCATION, STRICT_TRANSPORT_SECURITY};
use http::{Method, Request, Response, StatusCode};

use super::headers;
use crate::serve::Encrypted;

/// Where to with TLS.
#[derive(Debug, Clone)]
pub(crate) struct Elsewhere {
    /// `https://host`, when it is known under which name people come.
    pub(crate) public: Option<String>,
    /// Otherwise the request's host at this port.
    pub(crate) port: u16,
}

/// Sends whoever came without TLS to the same address with it. A web server in front that has TLS says so and is served.
pub(crate) async fn redirect(
    State(elsewhere): State<Elsewhere>,
    request: Request<Body>,
    next: Next,
) -> Response<Body> {
    if headers::is_encrypted(&request) {
        return next.run(request).await;
    }
    let path = request.uri().path_and_query().map_or("/", |p| p.as_str());
    let location = format!("{}{path}", base(&elsewhere, headers::host(&request)));
    let mut response = super::empty(match *request.method() {
        // What everybody understands and remembers; and for all else what keeps the method.
        Method::GET | Method::HEAD => StatusCode::MOVED_PERMANENTLY,
        _ => StatusCode::PERMANENT_REDIRECT,
    });
    match HeaderValue::from_str(&location) {
        Ok(location) => {
            response.headers_mut().insert(LOCATION, location);
            response
        }
        Err(_) => super::plain(StatusCode::BAD_REQUEST, "use https"),
    }
}

fn base(elsewhere: &Elsewhere, host: &str) -> String {
    if let Some(public) = elsewhere.public.as_deref().filter(|p| p.starts_with("https://")) {
        return public.to_owned();
    }
    // An IPv6 address has colons of its own.
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    if elsewhere.port == 443 {
        format!("https://{name}")
    } else {
        format!("https://{name}:{}", elsewhere.port)
    }
}

/// Tells browsers to come with TLS from now on.
pub(crate) async fn remember(request: Request<Body>, next: Next) -> Response<Body> {
    let encrypted = request.extensions().get::<Encrypted>().is_some();
    let mut response = next.run(request).await;
    if encrypted {
        // compat: two years, as upstream's web server says (test: compat_browsers_are_told_to_come_with_tls).
        response
            .headers_mut()
            .insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=63072000"));
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::middleware::{from_fn, from_fn_with_state};
    use axum::routing::any;
    use tower::ServiceExt as _;

    use super::*;

    async fn asked(public: Option<&str>, port: u16, request: Request<Body>) -> Response<Body> {
        let elsewhere = Elsewhere { public: public.map(str::to_owned), port };
        let router = Router::new()
            .fallback(any(|| async { "page" }))
            .layer(from_fn_with_state(elsewhere, redirect))
            .layer(from_fn(remember));
        router.oneshot(request).await.unwrap()
    }

    fn request(method: &str, host: &str) -> Request<Body> {
        Request::builder()
            .method(method)
            .uri("/stadt/Rat?a=b&c")
            .header("host", host)
            .body(Body::empty())
            .unwrap()
    }

    #[tokio::test]
    async fn who_comes_without_tls_is_sent_to_the_same_page_with_it() {
        for (public, port, host, to) in [
            (None, 443, "meet.example", "https://meet.example/stadt/Rat?a=b&c"),
            (None, 8443, "meet.example:8000", "https://meet.example:8443/stadt/Rat?a=b&c"),
            (None, 443, "[::1]", "https://[::1]/stadt/Rat?a=b&c"),
            (None, 443, "[::1]:80", "https://[::1]/stadt/Rat?a=b&c"),
            (Some("https://other.example"), 8443, "meet.example", "https://other.example/stadt/Rat?a=b&c"),
            (Some("http://other.example"), 443, "meet.example", "https://meet.example/stadt/Rat?a=b&c"),
            (None, 443, "evil\"><script>", "https://localhost/stadt/Rat?a=b&c"),
        ] {
            let answer = asked(public, port, request("GET", host)).await;
            assert_eq!((answer.status().as_u16(), answer.headers()[LOCATION].to_str().unwrap()), (301, to));
            assert!(!answer.headers().contains_key(STRICT_TRANSPORT_SECURITY));
        }
        assert_eq!(asked(None, 443, request("POST", "a")).await.status(), 308);
    }

    #[tokio::test]
    async fn a_web_server_in_front_that_has_tls_is_served() {
        let mut behind = request("GET", "meet.example");
        behind.headers_mut().insert("x-forwarded-proto", HeaderValue::from_static("https"));
        assert_eq!(asked(None, 443, behind).await.status(), 200);
    }

    #[tokio::test]
    async fn compat_browsers_are_told_to_come_with_tls() {
        let mut encrypted = request("GET", "meet.example");
        encrypted.extensions_mut().insert(Encrypted);
        let answer = asked(None, 443, encrypted).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()[STRICT_TRANSPORT_SECURITY], "max-age=63072000");
    }
}
