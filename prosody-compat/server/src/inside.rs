//! Requests of the admin, or of services of the admin's, in; what the server's modules answer out. Only for a listener that
//! strangers do not reach: the answers name rooms and people.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{StatusCode, Uri, header};
use jitsi_xmpp::Sensitive;
use prosody_core::HttpRequest;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::limits;
use crate::owner::{Input, Shared};

/// The paths that the modules in use answer.
pub(crate) fn router(shared: &Arc<Shared>, paths: &[&'static str]) -> Router {
    let routes = paths.iter().fold(Router::new(), |routes, path| routes.route(path, get(answer)));
    routes.with_state(Arc::clone(shared))
}

async fn answer(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    let path = uri.path().to_owned();
    let query = uri.query().map(|q| Sensitive::new(q.to_owned()));
    let Ok(reply) = timeout(limits::INSIDE, ask(&shared, HttpRequest { path, query })).await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let Some(reply) = reply else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if !status.is_success() {
        return status.into_response();
    }
    (status, [(header::CONTENT_TYPE, "application/json")], reply.json.reveal().clone()).into_response()
}

/// `None`: the server has stopped, or the question was a bug.
async fn ask(shared: &Shared, request: HttpRequest) -> Option<prosody_core::HttpReply> {
    // One after the other: an answer may be a walk over all rooms, for which everybody in them waits.
    let _turn = shared.inside.lock().await;
    let (reply, answered) = oneshot::channel();
    shared.inputs.send(Input::Http { request, reply }).await.ok()?;
    answered.await.ok()
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_server_that_does_not_answer_is_waited_for_so_long_and_not_longer() {
        let (_stop, stopped) = watch::channel(false);
        let (shared, _inputs) = Shared::new(&prosody_core::Limits::default(), stopped);
        let start = tokio::time::Instant::now();
        let response = answer(State(shared), Uri::from_static("/room-size")).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(start.elapsed().as_secs(), limits::INSIDE.as_secs());
    }
}
