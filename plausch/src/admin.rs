//! Requests of monitoring and of the admin in; health, version and metrics out. The roles add their own routes.
//!
//! A browser on the admin's machine reaches this listener for every page it shows. So a request whose `Host` is a name nobody
//! gave us (DNS rebinding) or whose `Origin` is another site is refused, and what changes something needs the token.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, ORIGIN, TRANSFER_ENCODING};
use http::{HeaderMap, Method, StatusCode};
use jitsi_xmpp::Sensitive;
use serde_json::json;
use service::proxies::{Client, Proxies};
use service::{Health, Metrics, metrics};

use crate::options::Admin;

/// Metrics, and the routes of the roles, which bring their own `/about/health` when they run alone. `keyed` are those that look
/// themselves at who may change something.
pub(crate) fn router(settings: &Admin, metrics: Metrics, roles: Router, keyed: Router) -> Router {
    let door = Arc::new(Door { hosts: settings.hosts.clone(), token: settings.token.clone() });
    Router::new()
        .route("/metrics", get(scrape))
        .with_state(metrics)
        .merge(roles)
        .fallback(|| async { (StatusCode::NOT_FOUND, "nothing here\n") })
        .layer(middleware::from_fn_with_state(Arc::clone(&door), guard))
        .merge(keyed.layer(middleware::from_fn_with_state(door, guard_place)))
}

/// Figures on an address that others reach, too: for these peers, and for nobody behind a web server.
pub(crate) fn figures(metrics: Metrics, whom: Proxies) -> Router {
    let door = move |request: Request, next: Next| {
        let asks = Client::of(request.extensions());
        let may = asks.is_some_and(|c| c.is_direct() && whom.trusts(c.address()));
        async move {
            if may {
                return next.run(request).await;
            }
            (StatusCode::FORBIDDEN, "Figures are for those whom xmpp.metrics_for names.\n").into_response()
        }
    };
    Router::new().route("/metrics", get(scrape)).with_state(metrics).layer(middleware::from_fn(door))
}

/// The health of everything in this process, and what it calls itself.
pub(crate) fn about(health: Health, name: &'static str) -> Router {
    let version = json!({ "name": name, "version": env!("CARGO_PKG_VERSION"), "os": "Linux" });
    Router::new()
        .route("/about/version", get(async move || Json(version)))
        .route("/about/health", get(report))
        .with_state(health)
}

async fn report(State(health): State<Health>) -> (StatusCode, String) {
    let (status, text) = health.report();
    (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), text)
}

async fn scrape(State(metrics): State<Metrics>) -> ([(http::HeaderName, &'static str); 1], String) {
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics.encode())
}

async fn guard(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    match door.check(request.method(), request.uri().host(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

async fn guard_place(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    match door.check_place(request.uri().host(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

struct Door {
    hosts: Vec<String>,
    token: Option<Sensitive<String>>,
}

type Refusal = (StatusCode, &'static str);

impl Door {
    fn check(&self, method: &Method, target: Option<&str>, headers: &HeaderMap) -> Result<(), Refusal> {
        self.check_place(target, headers)?;
        if matches!(*method, Method::GET | Method::HEAD) {
            return Ok(());
        }
        self.check_change(headers)
    }

    fn check_place(&self, target: Option<&str>, headers: &HeaderMap) -> Result<(), Refusal> {
        // No host at all: HTTP/1.0 of a health check, and never a browser.
        let host = headers.get(HOST).map(|h| h.to_str().unwrap_or_default());
        if !host.into_iter().chain(target).all(|h| self.knows(h)) {
            return Err((StatusCode::MISDIRECTED_REQUEST, "This name is not in admin.hosts.\n"));
        }
        if let Some(origin) = headers.get(ORIGIN) {
            let own = host.is_some_and(|h| {
                ["http://", "https://"]
                    .iter()
                    .any(|s| origin.to_str().ok().and_then(|o| o.strip_prefix(s)) == Some(h))
            });
            if !own {
                return Err((StatusCode::FORBIDDEN, "Pages of other sites have no business here.\n"));
            }
        }
        Ok(())
    }

    fn check_change(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let has_body = headers.contains_key(TRANSFER_ENCODING)
            || headers.get(CONTENT_LENGTH).is_some_and(|l| l.as_bytes() != b"0");
        let json = headers.get(CONTENT_TYPE).map(|t| {
            t.to_str()
                .unwrap_or_default()
                .split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .eq_ignore_ascii_case("application/json")
        });
        if json == Some(false) || (json.is_none() && has_body) {
            return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "The content type must be application/json.\n"));
        }
        let Some(token) = &self.token else {
            return Err((
                StatusCode::FORBIDDEN,
                "Nothing can be changed here until admin.token_file names a file.\n",
            ));
        };
        let given = headers.get(AUTHORIZATION).map(|a| a.as_bytes()).unwrap_or_default();
        let given = given.strip_prefix(b"Bearer ").unwrap_or_default();
        // Compared in constant time, so that nobody finds it out letter by letter.
        if aws_lc_rs::constant_time::verify_slices_are_equal(given, token.reveal().as_bytes()).is_err() {
            return Err((
                StatusCode::UNAUTHORIZED,
                "Changes need the header `Authorization: Bearer <token>` with the token of admin.token_file.\n",
            ));
        }
        Ok(())
    }

    /// Addresses are no names: who rebinds one to us has a name. `localhost` is the machine's own.
    fn knows(&self, host: &str) -> bool {
        let name = match host.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => host.rsplit_once(':').map_or(host, |(name, _)| name),
        };
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        name == "localhost" || name.parse::<IpAddr>().is_ok() || self.hosts.contains(&name)
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::post;
    use tower::ServiceExt as _;

    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    async fn ask(method: &str, token: Option<&str>, headers: &[(&str, &str)]) -> u16 {
        let settings = Admin {
            listen: "127.0.0.1:8888".parse().unwrap(),
            hosts: vec!["plausch".into()],
            token: token.map(|t| Sensitive::new(t.to_owned())),
        };
        let roles = Router::new().route("/drain", post(|| async { "on" }).get(|| async { "off" }));
        let keyed = Router::new().route("/end-meeting", post(|| async { "ended" }));
        let router = router(&settings, Metrics::new(), roles, keyed);
        let path = if method == "KEYED" { "/end-meeting" } else { "/drain" };
        let method = if method == "KEYED" { "POST" } else { method };
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn a_name_that_another_site_bound_to_us_reads_nothing() {
        for good in [
            "127.0.0.1:8888",
            "localhost",
            "LOCALHOST:8888",
            "[::1]:8888",
            "10.0.0.5",
            "plausch:8888",
            "plausch.",
        ] {
            assert_eq!(ask("GET", None, &[("host", good)]).await, 200, "{good}");
        }
        for bad in [
            "evil.example:8888",
            "localhost.evil.example",
            "plausch.evil.example",
            "",
            "127.0.0.1.evil.example",
            "[x]",
        ] {
            assert_eq!(ask("GET", None, &[("host", bad)]).await, 421, "{bad}");
        }
        assert_eq!(ask("GET", None, &[]).await, 200, "HTTP/1.0");
    }

    #[tokio::test]
    async fn compat_figures_of_the_xmpp_server_are_for_whom_the_admin_names() {
        let whom = Proxies::new(["172.16.0.0/12"]).unwrap();
        let router = figures(Metrics::new(), whom);
        let ask = async |peer: Option<&str>| {
            let mut request = Request::builder().uri("/metrics").body(Body::empty()).unwrap();
            if let Some(peer) = peer {
                request.extensions_mut().insert(Client::direct(format!("{peer}:1").parse().unwrap()));
            }
            router.clone().oneshot(request).await.unwrap().status().as_u16()
        };
        assert_eq!(ask(Some("172.18.0.3")).await, 200);
        assert_eq!(ask(Some("192.0.2.1")).await, 403);
        assert_eq!(ask(None).await, 403);
    }

    #[tokio::test]
    async fn pages_of_other_sites_are_refused_also_with_the_token() {
        let bearer = ("authorization", "Bearer 0123456789abcdef");
        for origin in ["https://evil.example", "null", "http://localhost:8000", "http://127.0.0.1", "file://"]
        {
            let headers = [("host", "127.0.0.1:8888"), ("origin", origin), bearer];
            assert_eq!(ask("GET", Some(TOKEN), &headers).await, 403, "{origin}");
            assert_eq!(ask("POST", Some(TOKEN), &headers).await, 403, "{origin}");
            assert_eq!(ask("OPTIONS", Some(TOKEN), &headers).await, 403, "{origin}");
        }
        let own = [("host", "127.0.0.1:8888"), ("origin", "http://127.0.0.1:8888"), bearer];
        assert_eq!(ask("POST", Some(TOKEN), &own).await, 200);
    }

    #[tokio::test]
    async fn who_looks_at_keys_itself_is_asked_by_who_may_stand_here() {
        let host = ("host", "localhost");
        assert_eq!(ask("KEYED", None, &[host]).await, 200);
        assert_eq!(ask("KEYED", Some(TOKEN), &[host, ("authorization", "Bearer another")]).await, 200);
        assert_eq!(ask("KEYED", None, &[("host", "evil.example")]).await, 421);
        assert_eq!(ask("KEYED", None, &[host, ("origin", "https://evil.example")]).await, 403);
    }

    #[tokio::test]
    async fn a_change_needs_the_token_and_json() {
        let host = ("host", "localhost");
        let with = |t| ("authorization", t);
        assert_eq!(ask("POST", None, &[host, with("Bearer 0123456789abcdef")]).await, 403, "there is none");
        assert_eq!(ask("POST", None, &[host, with("Bearer ")]).await, 403);
        for wrong in ["Bearer 0123456789abcdeF", "Bearer ", "0123456789abcdef", "Basic 0123456789abcdef"] {
            assert_eq!(ask("POST", Some(TOKEN), &[host, with(wrong)]).await, 401, "{wrong}");
        }
        let right = with("Bearer 0123456789abcdef");
        assert_eq!(ask("POST", Some(TOKEN), &[host]).await, 401);
        assert_eq!(ask("POST", Some(TOKEN), &[host, right]).await, 200);
        for kind in
            ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "x"]
        {
            assert_eq!(ask("POST", Some(TOKEN), &[host, right, ("content-type", kind)]).await, 415, "{kind}");
        }
        assert_eq!(ask("POST", Some(TOKEN), &[host, right, ("content-length", "5")]).await, 415);
        let json = ("content-type", "application/json; charset=utf-8");
        assert_eq!(ask("POST", Some(TOKEN), &[host, right, json, ("content-length", "5")]).await, 200);
        assert_eq!(ask("GET", Some(TOKEN), &[host]).await, 200, "reading needs none");
    }
}
