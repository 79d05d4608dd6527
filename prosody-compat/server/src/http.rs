//! The HTTP routes of this role, with upstream's CORS headers on all of them (xmpp-server §2.5).

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{any, get};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::ServerHandle;
use crate::listen::{bosh, websocket};

/// `/xmpp-websocket` and `/http-bind`, also below a tenant's path.
pub(crate) fn router(handle: &ServerHandle) -> Router {
    let websockets = Router::new()
        .route("/xmpp-websocket", get(websocket::root).options(preflight))
        .route("/{tenant}/xmpp-websocket", get(websocket::tenant).options(preflight))
        .with_state(handle.shared.clone());
    let bosh = Router::new()
        .route("/http-bind", any(bosh::root).options(preflight))
        .route("/{tenant}/http-bind", any(bosh::tenant).options(preflight))
        .with_state(bosh::Bosh { shared: handle.shared.clone(), sessions: handle.bosh.clone() });
    websockets
        .layer(middleware::from_fn_with_state("GET, OPTIONS", cors))
        .merge(bosh.layer(middleware::from_fn_with_state("GET, OPTIONS, POST", cors)))
}

/// `/health` as upstream's module answers it.
pub(crate) fn health_router(handle: &ServerHandle) -> Router {
    let shared = handle.shared.clone();
    Router::new()
        .route(
            "/health",
            get(async move || match shared.inputs.is_closed() {
                false => (StatusCode::OK, "OK\n"),
                true => (StatusCode::INTERNAL_SERVER_ERROR, "HAS ERRORS\n"),
            })
            .options(preflight),
        )
        .layer(middleware::from_fn_with_state("GET, OPTIONS", cors))
}

async fn preflight() -> Response {
    Response::new(Body::empty())
}

async fn cors(State(methods): State<&'static str>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let preflight = *request.method() == Method::OPTIONS;
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let origin = origin.unwrap_or(HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    set(headers, header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    if preflight {
        set(headers, header::ACCESS_CONTROL_ALLOW_HEADERS, "Content-Type");
        set(headers, header::ACCESS_CONTROL_MAX_AGE, "7200");
    }
    response
}

fn set(headers: &mut HeaderMap, name: header::HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}
