//! The private HTTP interface (bridge §1.3, §1.5): a JSON request in, status and JSON out. For loopback or a private
//! network only: it has no authentication, as upstream's.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use jitsi_xmpp::colibri2::ConferenceModify;
use jitsi_xmpp::ids::MeetingId;
use serde_json::json;
use service::body;
use videobridge_core::{Asked, Command};

use crate::control::Control;
use crate::leaving::Wish;
use crate::limits;
use crate::stats::Reporter;
use crate::xmpp::links::{Links, Wanted};

/// What the routes need.
#[derive(Debug, Clone)]
pub(crate) struct Rest {
    pub(crate) control: Arc<Control>,
    pub(crate) reporter: Arc<Reporter>,
    pub(crate) links: Arc<Links>,
}

/// `/about/health` and `/about/version`, as a bridge alone answers them.
pub(crate) fn about(rest: Rest) -> axum::Router {
    axum::Router::new()
        .route("/about/health", get(health))
        .route("/about/version", get(version))
        .with_state(rest)
}

/// `/debug`: what conferences and endpoints are at (bridge appendix C). Upstream's short form for all, its full one for one.
fn debug_routes() -> axum::Router<Rest> {
    axum::Router::new()
        .route("/debug", get(debug))
        .route("/stats", get(statistics))
        .route("/debug/features/jvb/{feature}", get(feature))
        .route("/debug/features/jvb/{feature}/{on}", get(set_feature).post(set_feature))
        .route(
            "/debug/features/{kind}/{conference}/{id}/{feature}/{on}",
            post(async || (StatusCode::FORBIDDEN, "this bridge keeps no recordings of packets")),
        )
        .route("/debug/stats/jvb/{feature}", get(feature_stats))
        .route("/debug/{conference}", get(debug_conference))
        .route("/debug/{conference}/{endpoint}", get(debug_endpoint))
        // compat: the old address (test: compat_the_state_of_the_bridge_has_upstream_s_addresses).
        .route(
            "/colibri/debug",
            get(async || (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, "/debug")])),
        )
}

async fn debug(State(rest): State<Rest>) -> Response {
    let conferences = rest.control.debug(&Asked::All).await;
    Json(rest.reporter.debug(conferences)).into_response()
}

/// For services of statistics: conferences that allow it, in full.
async fn statistics(State(rest): State<Rest>) -> Response {
    Json(json!({ "conferences": rest.control.debug(&Asked::Statistics).await })).into_response()
}

async fn debug_conference(State(rest): State<Rest>, Path(conference): Path<String>) -> Response {
    match rest.control.debug(&Asked::One(conference)).await.into_iter().next() {
        Some((_, state)) => Json(state).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn debug_endpoint(
    State(rest): State<Rest>,
    Path((conference, endpoint)): Path<(String, String)>,
) -> Response {
    let found = rest.control.debug(&Asked::One(conference)).await.into_iter().next();
    match found.as_ref().and_then(|(_, state)| state.get("endpoints")?.get(&endpoint)) {
        Some(state) => Json(state.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// What upstream's bridge can be asked to count besides. Ours counts what it counts always, so none of them is ever on.
const FEATURES: &[&str] = &[
    "conference-packet-stats",
    "ice-stats",
    "node-stats",
    "node-tracing",
    "payload-verification",
    "pool-stats",
    "queue-stats",
    "task-pool-stats",
    "tossed-packet-stats",
    "transit-stats",
    "xmpp-delay-stats",
];

async fn feature(Path(feature): Path<String>) -> Response {
    if !FEATURES.contains(&feature.as_str()) {
        return StatusCode::NOT_FOUND.into_response();
    }
    Json(false).into_response()
}

async fn set_feature(Path((feature, on)): Path<(String, String)>) -> Response {
    match (FEATURES.contains(&feature.as_str()), on.as_str()) {
        (true, "false") => StatusCode::OK.into_response(),
        (true, "true") => {
            (StatusCode::NOT_IMPLEMENTED, "what this bridge counts is in /metrics").into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn feature_stats(Path(feature): Path<String>) -> Response {
    if !FEATURES.contains(&feature.as_str()) {
        return StatusCode::NOT_FOUND.into_response();
    }
    Json(json!({})).into_response()
}

/// Everything below `/colibri`, and `/debug`.
pub(crate) fn colibri(rest: Rest) -> axum::Router {
    axum::Router::new()
        .route("/colibri/stats", get(stats))
        .route("/colibri/v2/conferences", post(modify).get(not_implemented))
        .route("/colibri/v2/conferences/{id}", patch(modify_known).get(not_implemented))
        .route("/colibri/drain", get(drain))
        .route("/colibri/drain/enable", post(drain_on))
        .route("/colibri/drain/disable", post(drain_off))
        .merge(debug_routes())
        .with_state(rest)
}

/// How an admin makes a bridge leave (bridge §1.7).
pub(crate) fn shutdown(rest: Rest) -> axum::Router {
    axum::Router::new().route("/colibri/shutdown", post(leave)).with_state(rest)
}

/// XMPP servers that are added and taken away while the bridge runs (bridge §1.4).
pub(crate) fn muc_client(rest: Rest) -> axum::Router {
    axum::Router::new()
        .route("/colibri/muc-client/add", post(add_link))
        .route("/colibri/muc-client/remove", post(remove_link))
        .route("/colibri/muc-client/list", get(list_links))
        .with_state(rest)
}

async fn add_link(State(rest): State<Rest>, request: Request) -> Response {
    let parsed = match body::read(request, limits::REST_BODY).await {
        Ok((_, whole)) => serde_json::from_slice::<serde_json::Value>(&whole).unwrap_or_default(),
        Err(refused) => return refused.into_response(),
    };
    match Wanted::from_json(&parsed).and_then(|wanted| rest.links.add(wanted)) {
        Ok(()) => StatusCode::OK.into_response(),
        Err(why) => (StatusCode::BAD_REQUEST, why.to_string()).into_response(),
    }
}

/// One that is not there is gone, as upstream has it.
async fn remove_link(State(rest): State<Rest>, request: Request) -> Response {
    let parsed = match body::read(request, limits::REST_BODY).await {
        Ok((_, whole)) => serde_json::from_slice::<serde_json::Value>(&whole).unwrap_or_default(),
        Err(refused) => return refused.into_response(),
    };
    let Some(id) = parsed.get("id").and_then(serde_json::Value::as_str) else {
        return (StatusCode::BAD_REQUEST, "an id is needed").into_response();
    };
    rest.links.remove(id);
    StatusCode::OK.into_response()
}

async fn list_links(State(rest): State<Rest>) -> Response {
    Json(rest.links.ids()).into_response()
}

/// The body is `{"graceful-shutdown": true}`: when nobody is here any more; with `false` people are moved at once.
async fn leave(State(rest): State<Rest>, request: Request) -> Response {
    let parsed = match body::read(request, limits::REST_BODY).await {
        Ok((_, whole)) => serde_json::from_slice::<serde_json::Value>(&whole),
        Err(refused) => return refused.into_response(),
    };
    let graceful = parsed.ok().and_then(|v| v.get("graceful-shutdown")?.as_bool());
    let Some(graceful) = graceful else {
        return (StatusCode::BAD_REQUEST, "{\"graceful-shutdown\": true|false} is wanted").into_response();
    };
    rest.reporter.leave(Instant::now(), if graceful { Wish::WhenEmpty } else { Wish::Soon });
    rest.control.broadcast(|| Command::RefuseNewConferences(true));
    tracing::info!(
        "{}",
        if graceful {
            "asked to leave: no new conferences; the end comes when nobody is here any more, tomorrow at the latest"
        } else {
            "asked to leave: the focus moves people to other bridges, the end comes in a minute"
        }
    );
    StatusCode::OK.into_response()
}

async fn health(State(rest): State<Rest>) -> Response {
    match rest.reporter.health() {
        Ok(()) => StatusCode::OK.into_response(),
        Err(why) => (StatusCode::INTERNAL_SERVER_ERROR, why).into_response(),
    }
}

async fn version(State(rest): State<Rest>) -> Response {
    Json(json!({ "name": "JVB", "version": rest.reporter.version(), "os": "Linux" })).into_response()
}

async fn stats(State(rest): State<Rest>) -> Response {
    Json(rest.reporter.json_for_dashboards().await).into_response()
}

async fn modify(State(rest): State<Rest>, request: Request) -> Response {
    let parsed = match body::read(request, limits::REST_BODY).await {
        Ok((_, whole)) => whole.text().map(ConferenceModify::from_json),
        Err(refused) => Err(refused),
    };
    match parsed {
        Ok(Ok(modify)) => apply(&rest, modify).await,
        Ok(Err(error)) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
        Err(refused) => refused.into_response(),
    }
}

/// The id in the path overrides the one in the body.
async fn modify_known(State(rest): State<Rest>, Path(id): Path<String>, request: Request) -> Response {
    let meeting = MeetingId::new(&id);
    if !rest.control.knows(&meeting) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let parsed = match body::read(request, limits::REST_BODY).await {
        Ok((_, whole)) => serde_json::from_slice::<serde_json::Value>(&whole),
        Err(refused) => return refused.into_response(),
    };
    let Ok(mut value) = parsed else { return (StatusCode::BAD_REQUEST, "not JSON").into_response() };
    if let Some(object) = value.as_object_mut() {
        object.insert("meeting-id".to_owned(), id.into());
    }
    match ConferenceModify::from_json(&value.to_string()) {
        Ok(modify) => apply(&rest, modify).await,
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

/// Any colibri error becomes 400 with its text only, as upstream's.
async fn apply(rest: &Rest, modify: ConferenceModify) -> Response {
    match rest.control.colibri(modify, None).await {
        Ok(modified) => {
            ([(header::CONTENT_TYPE, "application/json")], modified.to_json().to_string()).into_response()
        }
        Err(error) => {
            (StatusCode::BAD_REQUEST, error.text.unwrap_or_else(|| error.condition.as_str().to_owned()))
                .into_response()
        }
    }
}

async fn not_implemented() -> StatusCode {
    StatusCode::NOT_IMPLEMENTED
}

async fn drain(State(rest): State<Rest>) -> Response {
    Json(json!({ "drain": rest.reporter.is_draining() })).into_response()
}

async fn drain_on(State(rest): State<Rest>) -> StatusCode {
    rest.reporter.set_draining(true);
    StatusCode::OK
}

async fn drain_off(State(rest): State<Rest>) -> StatusCode {
    rest.reporter.set_draining(false);
    StatusCode::OK
}
