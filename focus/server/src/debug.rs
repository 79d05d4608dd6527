//! A question about the state of the focus in; upstream's addresses answered as JSON, without names, out (focus §9.1).

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Map, Value, json};

use focus_core::debug::{Asked, ConferenceDebug, Debug, SessionDebug};

use crate::run::FocusHandle;

/// `/debug`, `/debug/conferences`, `/debug/conferences-full`, `/debug/conference/{room or number}`, `/rtcstats`.
pub(crate) fn router() -> axum::Router<FocusHandle> {
    axum::Router::new()
        .route("/debug", get(whole))
        .route(
            "/debug/conferences",
            get(async |focus: State<FocusHandle>| conferences(focus, Asked::Short).await),
        )
        .route(
            "/debug/conferences-full",
            get(async |focus: State<FocusHandle>| conferences(focus, Asked::Full).await),
        )
        .route("/debug/conference/{which}", get(conference))
        .route("/rtcstats", get(statistics))
}

async fn whole(State(focus): State<FocusHandle>, uri: Uri) -> Response {
    let full = uri.query().is_some_and(|q| q.split('&').any(|part| part == "full=true"));
    let asked = if full { Asked::Full } else { Asked::Short };
    match focus.debug(asked).await {
        Some(debug) => Json(all_json(&debug)).into_response(),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn conferences(State(focus): State<FocusHandle>, asked: Asked) -> Response {
    match focus.debug(asked).await {
        Some(debug) => Json(conferences_json(&debug)).into_response(),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// By its number in the log, or by the room's address, for whoever knows that.
async fn conference(State(focus): State<FocusHandle>, Path(which): Path<String>) -> Response {
    let asked = match (which.parse(), which.parse()) {
        (Ok(number), _) => Asked::Number(number),
        (_, Ok(room)) => Asked::Room(room),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    match focus.debug(asked).await {
        Some(debug) => match debug.conferences.first() {
            Some(found) => Json(conference_json(found)).into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        },
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// For services of statistics: conferences that allow it, by what the bridge calls them.
async fn statistics(State(focus): State<FocusHandle>) -> Response {
    match focus.debug(Asked::Full).await {
        Some(debug) => Json(statistics_json(&debug)).into_response(),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

fn statistics_json(debug: &Debug) -> Value {
    let those = debug.conferences.iter().filter(|c| c.statistics);
    those.map(|c| (c.meeting.clone(), conference_json(c))).collect::<Map<_, _>>().into()
}

fn all_json(debug: &Debug) -> Value {
    let bridges: Map<String, Value> = debug
        .bridges
        .iter()
        .map(|b| {
            let state = json!({
                "version": b.version, "region": b.region, "stress": b.stress, "operational": b.operational,
                "drain": b.draining, "graceful_shutdown": b.graceful_shutdown, "shutting_down": b.shutting_down,
            });
            (b.nick.clone(), state)
        })
        .collect();
    json!({
        "xmpp_connected": debug.connected,
        "drain": debug.draining,
        "shutting_down": debug.stopping,
        "bridge_selector": { "bridges": bridges },
        "conferences": conferences_json(debug),
        "conferences_left_out": debug.left_out,
    })
}

fn conferences_json(debug: &Debug) -> Value {
    debug.conferences.iter().map(|c| (c.number.to_string(), conference_json(c))).collect::<Map<_, _>>().into()
}

/// By bridge, as upstream has it.
fn sessions_json(c: &ConferenceDebug) -> Value {
    let session = |s: &SessionDebug| {
        let relays = s
            .relays
            .iter()
            .map(|r| (r.to.clone(), json!({ "state": r.state, "endpoint_count": r.endpoint_count })));
        json!({
            "relay_id": s.relay_id, "region": s.region, "endpoint_count": s.endpoint_count,
            "relays": relays.collect::<Map<_, _>>(),
        })
    };
    c.sessions.iter().map(|s| (s.bridge.clone(), session(s))).collect::<Map<_, _>>().into()
}

fn conference_json(c: &ConferenceDebug) -> Value {
    let mut value = json!({
        "meeting_id": c.meeting,
        "phase": c.phase,
        "colibri_session_manager": { "sessions": sessions_json(c) },
        "breakout": c.is_breakout,
        "bridge_not_available": c.bridge_missing,
        "member_count": c.member_count,
    });
    if !c.members.is_empty()
        && let Some(object) = value.as_object_mut()
    {
        let members = c.members.iter().map(|m| {
            json!({
                "endpoint": m.endpoint, "rank": m.rank, "kind": m.kind, "features_known": m.features_known,
                "session": m.media, "sends_audio": m.sends_audio, "sends_video": m.sends_video,
            })
        });
        object.insert("members".to_owned(), members.collect());
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_of_statistics_hear_of_conferences_that_allow_it_and_of_no_other() {
        let conference = |number, meeting: &str, statistics| ConferenceDebug {
            number,
            meeting: meeting.to_owned(),
            phase: "running",
            sessions: Vec::new(),
            is_breakout: false,
            bridge_missing: false,
            statistics,
            member_count: 2,
            members: Vec::new(),
        };
        let debug = Debug {
            connected: true,
            draining: false,
            stopping: false,
            bridges: Vec::new(),
            conferences: vec![conference(1, "one", true), conference(2, "two", false)],
            left_out: 0,
        };
        let told = statistics_json(&debug);
        assert_eq!(told.as_object().unwrap().keys().collect::<Vec<_>>(), ["one"]);
        assert_eq!(told["one"]["member_count"], 2);
    }
}
