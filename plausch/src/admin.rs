//! Requests of monitoring in; health, version and metrics out. The roles add their own routes.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use service::{Health, Metrics, metrics};

/// Metrics, and the routes of the roles, which bring their own `/about/health` when they run alone.
pub(crate) fn router(metrics: Metrics, roles: Router) -> Router {
    Router::new()
        .route("/metrics", get(scrape))
        .with_state(metrics)
        .merge(roles)
        .fallback(|| async { (StatusCode::NOT_FOUND, "nothing here\n") })
}

/// The health of everything in this process.
pub(crate) fn health(health: Health) -> Router {
    Router::new().route("/about/health", get(report)).with_state(health)
}

async fn report(State(health): State<Health>) -> (StatusCode, String) {
    let (status, text) = health.report();
    (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), text)
}

async fn scrape(State(metrics): State<Metrics>) -> ([(http::HeaderName, &'static str); 1], String) {
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics.encode())
}
