//! The test-call page's report in, four letters for its person out; on the admin's listener those four letters in, the report out.
//!
//! Somebody reads the letters to the helpdesk, which asks `plausch support BCDF`. The public side only ever hands codes out: there
//! is no question to guess them with.

pub(crate) mod desk;
pub(crate) mod limits;
pub(crate) mod report;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{Request, StatusCode, header};
use serde_json::json;
use service::metrics::Exposition;
use service::proxies::Client;
use service::{SystemEntropy, body};

use self::desk::{Code, Desk, Refused};
use self::report::Report;

/// Where both sides are.
pub(crate) const PATH: &str = "/_plausch/support";

/// The desk, shared by the two listeners.
#[derive(Debug, Clone)]
pub(crate) struct Support {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    desk: Mutex<Desk>,
    made: AtomicU64,
    /// By the peer's mistake, by the peer's share, and by the table's end.
    unread: AtomicU64,
    refused: AtomicU64,
    full: AtomicU64,
}

impl Support {
    pub(crate) fn new() -> Self {
        let [made, unread, refused, full] = std::array::from_fn(|_| AtomicU64::new(0));
        Self { inner: Arc::new(Inner { desk: Mutex::new(Desk::new()), made, unread, refused, full }) }
    }

    /// For the page: codes are handed out, nothing can be asked.
    pub(crate) fn public(&self) -> Router {
        Router::new().route(PATH, post(hand_out)).with_state(self.clone())
    }

    /// For the admin's own listener.
    pub(crate) fn admin(&self) -> Router {
        Router::new().route(&format!("{PATH}/{{code}}"), get(look_up)).with_state(self.clone())
    }

    pub(crate) fn write_metrics(&self, out: &mut Exposition) {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Inner { made, unread, refused, full, .. } = &*self.inner;
        out.counters(
            "plausch_support_codes",
            "Support codes of the test-call page by what became of the report.",
            "event",
            [
                ("made", of(made)),
                ("unreadable", of(unread)),
                ("share_used_up", of(refused)),
                ("full", of(full)),
            ],
        );
        let valid = self.desk().len(Instant::now());
        out.gauge("plausch_support_codes_valid", "Support codes that are valid now.", valid as f64);
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.inner.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn hand_out(State(support): State<Support>, request: Request<Body>) -> Response {
    let counted = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
    let inner = &support.inner;
    let (head, whole) = match body::read(request, limits::REPORT).await {
        Ok(read) => read,
        Err(refused) => {
            counted(&inner.unread);
            return refused.into_response();
        }
    };
    let Some(report) = whole.text().ok().and_then(Report::parse) else {
        counted(&inner.unread);
        return (StatusCode::BAD_REQUEST, "This is no report of the test-call page.\n").into_response();
    };
    let network = Client::network_of(&head.extensions);
    let kept = support.desk().keep(report, network, Instant::now(), &mut SystemEntropy);
    match kept {
        Ok(code) => {
            counted(&inner.made);
            let valid = limits::VALID.as_secs() / 60;
            let said = json!({ "code": code.to_string(), "minutes": valid });
            ([(header::CACHE_CONTROL, "no-store")], Json(said)).into_response()
        }
        Err(Refused::Each) => {
            counted(&inner.refused);
            (StatusCode::TOO_MANY_REQUESTS, "Too many codes for this network; try again later.\n")
                .into_response()
        }
        Err(Refused::Total) => {
            counted(&inner.full);
            (StatusCode::SERVICE_UNAVAILABLE, "Too many codes at once; try again later.\n").into_response()
        }
    }
}

async fn look_up(State(support): State<Support>, Path(code): Path<String>) -> Response {
    let found = Code::parse(&code).and_then(|code| {
        let mut desk = support.desk();
        let (report, age) = desk.find(code, Instant::now())?;
        Some(report.json(age.as_secs()))
    });
    match found {
        Some(report) => ([(header::CACHE_CONTROL, "no-store")], Json(report)).into_response(),
        None => (StatusCode::NOT_FOUND, "This code is not known, or its time is up.\n").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use serde_json::Value;
    use tower::ServiceExt as _;

    use super::*;

    async fn ask(router: Router, method: &str, path: &str, body: impl Into<Body>) -> (u16, String) {
        let request = Request::builder().method(method).uri(path).body(body.into()).unwrap();
        let answer = router.oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let bytes = to_bytes(answer.into_body(), 65_536).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    const SENT: &str = r#"{"found":["serverReached","udpBlocked"],"rtt":null}"#;

    #[tokio::test]
    async fn the_page_gets_a_code_and_only_the_admin_s_listener_tells_what_is_behind_it() {
        let support = Support::new();
        let (status, said) = ask(support.public(), "POST", PATH, SENT).await;
        assert_eq!(status, 200, "{said}");
        let said: Value = serde_json::from_str(&said).unwrap();
        let path = format!("{PATH}/{}", said["code"].as_str().unwrap());
        assert_eq!(said["minutes"], 30);
        for method in ["GET", "POST", "HEAD", "OPTIONS"] {
            assert_eq!(ask(support.public(), method, &path, "").await, (404, String::new()), "{method}");
        }
        assert_eq!(ask(support.public(), "GET", PATH, "").await.0, 405);
        assert_eq!(ask(support.admin(), "POST", PATH, SENT).await.0, 404);
        let (status, report) = ask(support.admin(), "GET", &path.to_lowercase(), "").await;
        let report: Value = serde_json::from_str(&report).unwrap();
        assert_eq!((status, &report["verdict"]), (200, &json!("poor")));
        assert_eq!(ask(support.admin(), "GET", &format!("{PATH}/OOOO"), "").await.0, 404);
    }

    #[tokio::test]
    async fn what_is_no_report_is_refused_and_counted() {
        let support = Support::new();
        let long = format!("{SENT}{}", " ".repeat(limits::REPORT - SENT.len()));
        assert_eq!(ask(support.public(), "POST", PATH, long.clone()).await.0, 200);
        assert_eq!(ask(support.public(), "POST", PATH, long + " ").await.0, 413);
        assert_eq!(ask(support.public(), "POST", PATH, "{}").await.0, 400);
        assert_eq!(ask(support.public(), "POST", PATH, vec![0xff; 4]).await.0, 400);
        for _ in 1..limits::CODES_PER_ADDRESS {
            assert_eq!(ask(support.public(), "POST", PATH, SENT).await.0, 200);
        }
        assert_eq!(ask(support.public(), "POST", PATH, SENT).await.0, 429);
        let metrics = service::Metrics::new();
        metrics.add(move |out| support.write_metrics(out));
        let text = metrics.encode();
        for line in [
            "plausch_support_codes_total{event=\"made\"} 100",
            "plausch_support_codes_total{event=\"unreadable\"} 3",
            "plausch_support_codes_total{event=\"share_used_up\"} 1",
            "plausch_support_codes_valid 100",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
