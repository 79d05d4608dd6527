//! For black-box suites only (feature `test-observer`): requests below `/test-observer` in; what the server knows of rooms and
//! sessions, or has changed, out. On the admin's listener, in no program that is shipped.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::{Method, StatusCode, Uri, header};
use prosody_core::Observe;
use tokio::sync::oneshot;

use crate::owner::{Input, Shared};

/// Everything below `/test-observer`. A body is at most axum's 2 MiB.
pub(crate) fn router(shared: &Arc<Shared>) -> Router {
    Router::new().route("/test-observer/{*path}", any(answer)).with_state(Arc::clone(shared))
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    Query(query): Query<std::collections::BTreeMap<String, String>>,
    body: String,
) -> Response {
    let path = uri.path().strip_prefix("/test-observer").unwrap_or_default().to_owned();
    let request = Observe { method: method.to_string(), path, query, body };
    let (reply, answered) = oneshot::channel();
    if shared.inputs.send(Input::Observe { request, reply }).await.is_err() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let Ok(reply) = answered.await else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, reply.kind)], reply.body).into_response()
}
