//! Where an upgrade stands, for the admin: the process' own view in; `/upgrade` on the admin's listener and figures out.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State as Extracted;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use serde_json::json;
use service::Exposition;
use tokio::sync::mpsc;

use super::predecessor::Before;

/// What this process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Does {
    /// It takes everybody.
    #[default]
    Serves,
    /// A successor starts.
    Starts,
    /// It goes on with its meetings.
    Drains,
}

/// Shared between the process' parts. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Upgrades {
    inner: Arc<Inner>,
    wishes: mpsc::Sender<()>,
    before: Option<Before>,
}

#[derive(Debug, Default)]
struct Inner {
    does: Mutex<Does>,
    /// How often nothing came of one, and why the last time.
    failures: AtomicU64,
    why: Mutex<Option<&'static str>>,
}

impl Upgrades {
    /// And where wishes arrive.
    pub(crate) fn new(before: Option<Before>) -> (Self, mpsc::Receiver<()>) {
        // One is enough: another one is the same wish.
        let (wishes, wished) = mpsc::channel(1);
        (Self { inner: Arc::default(), wishes, before }, wished)
    }

    pub(super) fn set(&self, does: Does) {
        *self.inner.does.lock().unwrap_or_else(PoisonError::into_inner) = does;
    }

    pub(super) fn failed(&self, why: &'static str) {
        self.set(Does::Serves);
        *self.inner.why.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
        self.inner.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// `/upgrade`: how it stands; a POST wishes for one.
    pub(crate) fn router(&self) -> Router {
        Router::new().route("/upgrade", get(show).post(wish)).with_state(self.clone())
    }

    /// Meetings of before, and the processes that go on with them.
    pub(crate) fn expose(&self, out: &mut Exposition) {
        let (meetings, processes) = self.before.as_ref().map_or((0, 0), Before::left);
        out.gauge(
            "plausch_upgrade_meetings_before",
            "Meetings that go on in processes of before an upgrade.",
            meetings as f64,
        );
        out.gauge("plausch_upgrade_processes_before", "Those processes.", f64::from(processes));
        let failures = self.inner.failures.load(Ordering::Relaxed);
        out.counter("plausch_upgrade_failures", "Upgrades of which nothing came.", failures);
    }
}

async fn show(Extracted(this): Extracted<Upgrades>) -> Json<serde_json::Value> {
    let (meetings, processes) = this.before.as_ref().map_or((0, 0), Before::left);
    let does = match *this.inner.does.lock().unwrap_or_else(PoisonError::into_inner) {
        Does::Serves => "serves",
        Does::Starts => "starts",
        Does::Drains => "drains",
    };
    Json(json!({
        "process": std::process::id(),
        "version": env!("CARGO_PKG_VERSION"),
        "does": does,
        "failures": this.inner.failures.load(Ordering::Relaxed),
        "why": *this.inner.why.lock().unwrap_or_else(PoisonError::into_inner),
        "before": { "meetings": meetings, "processes": processes },
    }))
}

async fn wish(Extracted(this): Extracted<Upgrades>) -> Response {
    // A full queue holds the same wish.
    let _ = this.wishes.try_send(());
    (StatusCode::ACCEPTED, Json(json!({ "process": std::process::id() }))).into_response()
}
