//! An admin's orders about bridges in, at upstream's addresses; people moved and rooms pinned, or what is wrong with the order, out
//! (focus §9.1). Changes are POST alone, which the admin listener lets pass with its token.

use std::collections::HashMap;
use std::time::Duration;

use axum::Json;
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jitsi_xmpp::BareJid;
use jitsi_xmpp::ids::EndpointId;
use serde::Deserialize;
use serde_json::{Value, json};

use focus_core::{Move, MoveError, Moved};

use crate::limits;
use crate::run::FocusHandle;

/// `/move-endpoints/…` and `/pin`.
pub(crate) fn router() -> axum::Router<FocusHandle> {
    axum::Router::new()
        .route("/move-endpoints/move-endpoint", post(move_endpoint))
        .route("/move-endpoints/move-endpoints", post(move_endpoints))
        .route("/move-endpoints/move-fraction", post(move_fraction))
        .route("/pin", get(pins).post(pin))
        .route("/pin/remove", post(unpin))
}

type Parameters = Query<HashMap<String, String>>;
type Refusal = (StatusCode, String);

async fn move_endpoint(State(focus): State<FocusHandle>, Query(q): Parameters) -> Response {
    let order = room(&q, "conference").and_then(|room| {
        let room = room.ok_or_else(|| missing("conference"))?;
        let endpoint = EndpointId::new(text(&q, "endpoint").ok_or_else(|| missing("endpoint"))?);
        Ok(Move::Endpoint { room, endpoint, bridge: text(&q, "bridge") })
    });
    moved(&focus, order).await
}

async fn move_endpoints(State(focus): State<FocusHandle>, Query(q): Parameters) -> Response {
    let order = room(&q, "conference").and_then(|room| {
        let bridge = text(&q, "bridge").ok_or_else(|| missing("bridge"))?;
        Ok(Move::Endpoints { bridge, room, number: number(&q, "numEndpoints", 1)? })
    });
    moved(&focus, order).await
}

async fn move_fraction(State(focus): State<FocusHandle>, Query(q): Parameters) -> Response {
    let order = text(&q, "bridge").ok_or_else(|| missing("bridge")).and_then(|bridge| {
        let fraction: f64 = number(&q, "fraction", 0.1)?;
        if !(0.0..=1.0).contains(&fraction) {
            return Err(bad("fraction is from 0 to 1"));
        }
        Ok(Move::Fraction { bridge, fraction })
    });
    moved(&focus, order).await
}

async fn moved(focus: &FocusHandle, order: Result<Move, Refusal>) -> Response {
    let order = match order {
        Ok(order) => order,
        Err(refusal) => return refusal.into_response(),
    };
    match focus.move_away(order).await {
        Some(Ok(Moved { endpoints, conferences })) => {
            Json(json!({ "movedEndpoints": endpoints, "conferences": conferences })).into_response()
        }
        Some(Err(e @ (MoveError::NoBridge | MoveError::NoConference))) => {
            (StatusCode::NOT_FOUND, format!("{e}\n")).into_response()
        }
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pinned {
    conference_id: String,
    jvb_version: String,
    duration_minutes: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Unpinned {
    conference_id: String,
}

async fn pin(State(focus): State<FocusHandle>, request: Request) -> Response {
    let order = body::<Pinned>(request).await.and_then(|p| {
        let time = Duration::from_secs(60 * u64::from(p.duration_minutes));
        Ok((jid(&p.conference_id)?, p.jvb_version, time))
    });
    let (room, version, time) = match order {
        Ok(order) => order,
        Err(refusal) => return refusal.into_response(),
    };
    match focus.pin(room, version, time).await {
        Some(Ok(())) => StatusCode::OK.into_response(),
        Some(Err(e)) => bad(&e.to_string()).into_response(),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn unpin(State(focus): State<FocusHandle>, request: Request) -> Response {
    let room = body::<Unpinned>(request).await.and_then(|p| jid(&p.conference_id));
    let room = match room {
        Ok(room) => room,
        Err(refusal) => return refusal.into_response(),
    };
    match focus.unpin(room).await {
        Some(true) => StatusCode::OK.into_response(),
        Some(false) => (StatusCode::NOT_FOUND, "This room is not pinned\n").into_response(),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// Rooms are named for whoever names one: this can be read without the token.
async fn pins(State(focus): State<FocusHandle>, Query(q): Parameters) -> Response {
    let asked = match room(&q, "conference") {
        Ok(asked) => asked,
        Err(refusal) => return refusal.into_response(),
    };
    let Some(pins) = focus.pins().await else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    let those = pins.into_iter().filter(|p| asked.as_ref().is_none_or(|room| *room == p.room));
    let list = those.map(|p| {
        let mut pin = json!({ "jvbVersion": p.version, "minutesRemaining": p.left.as_secs().div_ceil(60) });
        if let (Some(room), Some(object)) = (&asked, pin.as_object_mut()) {
            object.insert("conferenceId".to_owned(), json!(room.as_str()));
        }
        pin
    });
    Json(list.collect::<Value>()).into_response()
}

async fn body<T: serde::de::DeserializeOwned>(request: Request) -> Result<T, Refusal> {
    let whole = service::body::read(request, limits::BODY).await;
    let (_, whole) = whole.map_err(|_| bad("the body cannot be read"))?;
    serde_json::from_slice(&whole).map_err(|e| bad(&e.to_string()))
}

fn text(q: &HashMap<String, String>, name: &str) -> Option<String> {
    q.get(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty())
}

fn number<T: std::str::FromStr>(q: &HashMap<String, String>, name: &str, otherwise: T) -> Result<T, Refusal> {
    match text(q, name) {
        None => Ok(otherwise),
        Some(v) => v.parse().map_err(|_| bad(&format!("{name} is no number"))),
    }
}

fn room(q: &HashMap<String, String>, name: &str) -> Result<Option<BareJid>, Refusal> {
    text(q, name).map(|room| jid(&room)).transpose()
}

fn jid(room: &str) -> Result<BareJid, Refusal> {
    room.parse().map_err(|_| bad("a conference is named like room@muc.meet.example"))
}

fn missing(name: &str) -> Refusal {
    bad(&format!("Missing parameter: {name}"))
}

fn bad(what: &str) -> Refusal {
    (StatusCode::BAD_REQUEST, format!("Bad request: {what}\n"))
}
