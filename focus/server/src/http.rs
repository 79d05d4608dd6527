//! The focus' HTTP endpoints: requests in, upstream's status codes and bodies out (focus §2.2, §9.1).

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use focus_core::Stats;
use service::proxies::Client;

use crate::limits;
use crate::run::{FocusHandle, HttpConferenceRequest};

/// `conference-request` for the web front, health and figures for the admin listener.
pub struct Routers {
    /// Safe to publish: `/conference-request/v1`.
    pub public: Router,
    /// For the admin's own listener: `/about/health`, `/about/version`, `/stats`, `/debug`, `/rtcstats`, `/move-endpoints`, `/pin`.
    pub admin: Router,
}

impl std::fmt::Debug for Routers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Routers")
    }
}

/// The routers of a running focus. Other origins are let in by the web server in front, as upstream's is configured.
pub fn router(handle: FocusHandle) -> Routers {
    let public = Router::new()
        .route("/conference-request/v1", post(conference_request).options(async || StatusCode::OK))
        .with_state(handle.clone());
    let admin = Router::new()
        .route("/about/health", get(health))
        .route("/about/version", get(version))
        .route("/stats", get(stats))
        .merge(crate::debug::router())
        .merge(crate::orders::router())
        .with_state(handle);
    Routers { public, admin }
}

async fn conference_request(State(focus): State<FocusHandle>, request: Request) -> Response {
    let request = match service::body::read(request, limits::BODY).await {
        Ok((head, whole)) => {
            HttpConferenceRequest { body: whole.to_vec(), from: Client::network_of(&head.extensions) }
        }
        Err(refused) => return refused.into_response(),
    };
    let reply = focus.conference_request(request).await;
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, reply.content_type)], reply.body).into_response()
}

async fn health(State(focus): State<FocusHandle>) -> Response {
    match focus.health().await {
        Ok(()) => "OK".into_response(),
        Err(reason) => (StatusCode::INTERNAL_SERVER_ERROR, reason).into_response(),
    }
}

async fn version() -> axum::Json<Value> {
    axum::Json(json!({"name": "Plausch", "version": env!("CARGO_PKG_VERSION"), "os": "Linux"}))
}

async fn stats(State(focus): State<FocusHandle>) -> Response {
    match focus.stats().await {
        Some(stats) => axum::Json(stats_json(&stats)).into_response(),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// Upstream's keys, as far as there is something behind them.
fn stats_json(s: &Stats) -> Value {
    let c = &s.counters;
    json!({
        "total_participants": c.participants,
        "total_conferences_created": c.conferences_created,
        "conferences": s.conferences,
        "conferences_with_visitors": s.conferences_with_visitors,
        "largest_conference": s.largest_conference,
        "participants": s.participants,
        "visitors": s.visitors,
        "endpoint_pairs": s.endpoint_pairs,
        "version": env!("CARGO_PKG_VERSION"),
        "bridge_failures": {
            "participants_moved": c.participants_moved,
            "bridges_removed": c.bridges_removed,
        },
        "participant_notifications": { "request_restart": c.participants_restart_requested },
        "bridge_selector": {
            "bridge_count": s.bridge_count,
            "operational_bridge_count": s.operational_bridge_count,
            "in_shutdown_bridge_count": s.in_shutdown_bridge_count,
            "bridge_version_count": s.bridge_version_count,
            "lost_bridges": s.lost_bridges,
        },
        "load_redistributor": { "endpoints_moved": c.endpoints_moved },
        "bridge_sessions": s.bridge_sessions,
        "conferences_over_bridges": s.conferences_over_bridges,
        "relays": s.relays,
        "jibri": {
            "total_recording_failures": c.recording_failures,
            "total_live_streaming_failures": c.streaming_failures,
            "total_no_instance_failures": c.no_recorder,
            "recording_active": s.recordings,
            "live_streaming_active": s.streams,
        },
        "jibri_detector": { "count": s.recorders, "available": s.recorders_available },
        "jigasi_detector": { "sip_count": s.gateways.0, "sip_in_graceful_shutdown_count": s.gateways.1, "transcriber_count": s.gateways.2 },
    })
}
