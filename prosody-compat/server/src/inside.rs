//! Requests of the admin, or of services of the admin's, in; what the server's modules answer out. Only for a listener that
//! strangers do not reach: the answers name rooms and people. What changes something needs a token, which the server looks at.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use http::request::Parts;
use http::{HeaderName, Method, StatusCode, header};
use jitsi_xmpp::Sensitive;
use prosody_core::{HttpMethod, HttpRequest};
use service::body;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::limits;
use crate::owner::{Input, Shared};

/// What the modules in use answer.
pub(crate) fn router(shared: &Arc<Shared>, routes: &[(HttpMethod, &'static str)]) -> Router {
    let add = |router: Router<Arc<Shared>>, (method, path): &(HttpMethod, &'static str)| {
        let method = match method {
            HttpMethod::Get => MethodFilter::GET,
            HttpMethod::Put => MethodFilter::PUT,
            HttpMethod::Post => MethodFilter::POST,
        };
        router.route(path, on(method, answer))
    };
    routes.iter().fold(Router::new(), add).with_state(Arc::clone(shared))
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let (parts, body) = match body::read(request, limits::INSIDE_BYTES).await {
        Ok(whole) => whole,
        Err(refused) => return refused.into_response(),
    };
    let request = asked(&parts, &body);
    drop(body);
    let Ok(reply) = timeout(limits::INSIDE, ask(&shared, request)).await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let Some(reply) = reply else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = reply.json.reveal();
    if json.is_empty() {
        return status.into_response();
    }
    (status, [(header::CONTENT_TYPE, "application/json")], json.clone()).into_response()
}

fn asked(parts: &Parts, body: &[u8]) -> HttpRequest {
    let text = |name: HeaderName| parts.headers.get(name)?.to_str().ok().map(str::to_owned);
    HttpRequest {
        // Others have no route.
        method: match parts.method {
            Method::PUT => HttpMethod::Put,
            Method::POST => HttpMethod::Post,
            _ => HttpMethod::Get,
        },
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().map(|q| Sensitive::new(q.to_owned())),
        authorization: text(header::AUTHORIZATION).map(Sensitive::new),
        content_type: text(header::CONTENT_TYPE),
        body: Sensitive::new(body.to_vec()),
    }
}

/// `None`: the server has stopped, or the question was a bug.
async fn ask(shared: &Shared, request: HttpRequest) -> Option<prosody_core::HttpReply> {
    // One after the other: an answer may be a walk over all rooms, for which everybody in them waits. A change is none, and may wait
    // for a key itself.
    let _turn = match request.method {
        HttpMethod::Get => Some(shared.inside.lock().await),
        HttpMethod::Put | HttpMethod::Post => None,
    };
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
        let request = Request::builder().uri("/room-size").body(Body::empty()).unwrap();
        let response = answer(State(shared), request).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(start.elapsed().as_secs(), limits::INSIDE.as_secs());
    }
}
