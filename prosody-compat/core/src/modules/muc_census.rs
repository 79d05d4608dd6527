//! Upstream's `muc_census` (xmpp-server §4.35): which meetings there are, to who asks from inside. Off unless it is named.

use serde::Serialize;

use super::conference_duration;
use crate::module::{Inside, Module, Route, Whom};
use crate::output::HttpReply;
use crate::request::HttpRequest;

pub(super) static MODULE: Module = Module {
    name: "muc_census",
    named: &["muc_census"],
    http: &[Route::reads("/room-census", Whom::Anybody, census)],
    ..Module::NONE
};

#[derive(Serialize)]
struct Census {
    room_census: Vec<Counted>,
}

#[derive(Serialize)]
struct Counted {
    /// As it is stored, with the tenant in brackets.
    room_name: String,
    participants: usize,
    /// Milliseconds since 1970, as text; absent until two were in.
    #[serde(skip_serializing_if = "Option::is_none")]
    created_time: Option<String>,
    /// Whether nobody in it has a session. Nobody stays in a room without one here.
    leaked: bool,
}

fn census(inside: &Inside<'_>, _: &HttpRequest) -> HttpReply {
    let meetings = inside.world.config.muc_domain();
    let rooms = inside.rooms.iter().filter(|r| r.jid.domain() == meetings && !r.is_health_check());
    let mut room_census: Vec<Counted> = rooms
        .map(|room| Counted {
            room_name: room.jid.as_str().to_owned(),
            // compat: one of them is the focus (test: compat_the_census_names_meetings_and_counts_without_the_focus).
            participants: room.len().saturating_sub(1),
            created_time: conference_duration::began(room),
            leaked: false,
        })
        .collect();
    room_census.sort_unstable_by(|a, b| a.room_name.cmp(&b.room_name));
    serde_json::to_string(&Census { room_census }).map_or_else(|_| HttpReply::refused(500), HttpReply::json)
}
