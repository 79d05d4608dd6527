//! Requests to take no new meetings, and how many still run: one interface for all roles that have meetings.
//!
//! A drain ends nothing: meetings that run go on until people leave. Who wants to begin one is told to ask again, which clients
//! do by themselves, so that they get in when the server takes meetings again or another one is in its place.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use focus_server::FocusHandle;
use http::StatusCode;
use serde_json::json;
use videobridge_server::BridgeHandle;

/// The roles of this process that have meetings.
#[derive(Clone)]
pub(crate) struct Draining {
    pub(crate) focus: Option<FocusHandle>,
    pub(crate) bridge: Option<BridgeHandle>,
}

/// `/drain`, `/drain/enable`, `/drain/disable`, after upstream's `/colibri/drain`, which is the bridge's alone.
pub(crate) fn router(draining: Draining) -> Router {
    Router::new()
        .route("/drain", get(state))
        .route("/drain/enable", post(enable))
        .route("/drain/disable", post(disable))
        .with_state(draining)
}

async fn state(State(all): State<Draining>) -> Response {
    // A focus knows of all meetings, also of those of two people, who need no bridge.
    let (drain, conferences, participants) = match (&all.focus, &all.bridge) {
        (Some(focus), _) => match focus.stats().await {
            Some(s) => (s.draining, s.conferences as u64, s.participants as u64),
            None => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        },
        (None, Some(bridge)) => {
            let (conferences, endpoints) = bridge.load().await;
            (bridge.is_draining(), conferences, endpoints)
        }
        (None, None) => return StatusCode::NOT_FOUND.into_response(),
    };
    Json(json!({ "drain": drain, "conferences": conferences, "participants": participants })).into_response()
}

async fn enable(State(all): State<Draining>) -> StatusCode {
    set(&all, true).await
}

async fn disable(State(all): State<Draining>) -> StatusCode {
    set(&all, false).await
}

async fn set(all: &Draining, on: bool) -> StatusCode {
    if let Some(focus) = &all.focus
        && !focus.set_draining(on).await
    {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    if let Some(bridge) = &all.bridge {
        bridge.set_draining(on);
    }
    if on {
        tracing::info!("no new meetings are taken; those that run go on");
    } else {
        tracing::info!("new meetings are taken again");
    }
    StatusCode::OK
}
