//! Responses in, the same with the headers every answer carries.

use axum::body::Body;
use axum::extract::State;
use axum::middleware::Next;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, Request, Response};

use crate::serve::Encrypted;

/// How long a browser may keep an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// Not at all: it depends on who asks.
    Never,
    /// Ask again each time, but a "not modified" suffices.
    Check,
    /// The address changes with the content.
    Forever,
}

/// Files with a version in their address (`?v=`), or with a digest of what is in them in their name, never change under it.
pub(super) fn keep_for(path: &str, query: Option<&str>) -> Keep {
    let versioned = query.is_some_and(|q| q.split('&').any(|p| p.starts_with("v=") && p.len() > 2));
    let name = path.rsplit('/').next().unwrap_or_default();
    // Shorter ones are dates and numbers.
    let digest = |part: &str| part.len() >= 16 && part.bytes().all(|b| b.is_ascii_hexdigit());
    if versioned || name.split(['.', '-', '_']).any(digest) { Keep::Forever } else { Keep::Check }
}

/// Adds what browsers need to be careful on our behalf.
pub(super) fn add(headers: &mut HeaderMap, keep: Keep) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Room names stand in addresses; no other site learns them.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(
        PERMISSIONS_POLICY,
        HeaderValue::from_static("interest-cohort=(), browsing-topics=(), geolocation=()"),
    );
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static(match keep {
            Keep::Never => "no-store",
            Keep::Check => "no-cache",
            Keep::Forever => "public, max-age=31536000, immutable",
        }),
    );
}

/// Lets pages of `origin` read the answer.
pub(super) fn allow(headers: &mut HeaderMap, origin: Option<&HeaderValue>) {
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }
}

/// The same for conference requests, which are POSTs of JSON and so are asked for before. compat: the focus itself answers
/// without these headers, the web server in front of it adds them (test: the_same_server_seen_from_another_origin).
pub(super) async fn conference_requests(
    State(origin): State<Option<HeaderValue>>,
    request: Request<Body>,
    next: Next,
) -> Response<Body> {
    let theirs = request.uri().path().starts_with("/conference-request/");
    let mut response = next.run(request).await;
    if theirs && origin.is_some() {
        let headers = response.headers_mut();
        allow(headers, origin.as_ref());
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, OPTIONS"));
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("Content-Type, Authorization"));
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
    }
    response
}

/// `http://host` or `https://host` as the client sees us: the public address if configured, else what it asked for.
///
/// A reverse proxy says in `X-Forwarded-Proto` whether the client came over TLS.
pub(super) fn base<B>(request: &Request<B>, public: Option<&str>) -> String {
    if let Some(url) = public {
        return url.to_owned();
    }
    format!("{}://{}", if is_encrypted(request) { "https" } else { "http" }, host(request))
}

/// Whether the client came over TLS, to us or to a web server in front.
pub(super) fn is_encrypted<B>(request: &Request<B>) -> bool {
    request.extensions().get::<Encrypted>().is_some()
        || request
            .headers()
            .get("x-forwarded-proto")
            .is_some_and(|p| p.as_bytes().eq_ignore_ascii_case(b"https"))
}

/// The request's host if it looks like one.
pub(super) fn host<B>(request: &Request<B>) -> &str {
    let plain =
        |h: &&str| h.len() <= 255 && h.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b));
    request
        .headers()
        .get(http::header::HOST)
        .and_then(|h| h.to_str().ok())
        .filter(plain)
        .unwrap_or("localhost")
}

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_follows_the_public_url_then_the_proxy_then_the_host() {
        let ask = |host: &str, proto: Option<&str>| {
            let mut r = Request::builder().header("host", host);
            if let Some(p) = proto {
                r = r.header("x-forwarded-proto", p);
            }
            r.body(()).unwrap()
        };
        assert_eq!(base(&ask("localhost:8000", None), None), "http://localhost:8000");
        assert_eq!(base(&ask("meet.example", Some("HTTPS")), None), "https://meet.example");
        assert_eq!(base(&ask("evil", None), Some("https://meet.example")), "https://meet.example");
        assert_eq!(base(&ask("a';alert(1)//", None), None), "http://localhost");
    }

    #[test]
    fn only_versioned_addresses_are_kept_forever() {
        let keep = |query| keep_for("/libs/app.js", query);
        assert_eq!(keep(Some("v=139")), Keep::Forever);
        assert_eq!(keep(Some("room=v=1")), Keep::Check);
        assert_eq!(keep(Some("v=")), Keep::Check);
        assert_eq!(keep(None), Keep::Check);
        assert_eq!(keep_for("/libs/chunk-0123456789abcdef0123.min.js", None), Keep::Forever);
        assert_eq!(keep_for("/libs/report-20260829.js", None), Keep::Check);
    }
}
