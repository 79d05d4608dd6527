//! Upstream's `muc_size` (xmpp-server §4.35): how many are in a meeting, and who, to who asks from inside. Off unless it is
//! named.

use jitsi_xmpp::{BareJid, ns};
use serde::Serialize;

use crate::module::{Inside, Module, Route, Whom};
use crate::output::HttpReply;
use crate::request::HttpRequest;
use crate::room::{FOCUS_NICK, Occupant, Room};

pub(super) static MODULE: Module = Module {
    name: "muc_size",
    named: &["muc_size"],
    http: &[
        Route::reads("/room-size", Whom::Anybody, room_size),
        Route::reads("/room", Whom::Anybody, room),
        Route::reads("/sessions", Whom::Anybody, |inside, _| {
            HttpReply::json(inside.world.sessions.len().to_string())
        }),
    ],
    ..Module::NONE
};

fn room_size(inside: &Inside<'_>, request: &HttpRequest) -> HttpReply {
    match find(inside, request) {
        Ok(room) => {
            // compat: one of them is the focus, unless it is alone (test: compat_the_size_of_a_room_is_counted_without_the_focus).
            let participants = if room.len() > 1 { room.len() - 1 } else { room.len() };
            HttpReply::json(format!("{{\"participants\":{participants}}}"))
        }
        Err(status) => HttpReply::refused(status),
    }
}

/// Somebody in the room.
#[derive(Serialize)]
struct Shown {
    jid: String,
    email: String,
    display_name: String,
}

fn room(inside: &Inside<'_>, request: &HttpRequest) -> HttpReply {
    match find(inside, request) {
        Ok(room) => {
            let people: Vec<Shown> = room
                .occupants()
                .filter(|o| &*o.nick != FOCUS_NICK)
                // compat: who is in with two connections is there twice (test: compat_who_is_in_a_room_is_told_to_who_asks_inside).
                .flat_map(|o| o.sessions.iter().map(|_| shown(room, o)))
                .collect();
            serde_json::to_string(&people).map_or_else(|_| HttpReply::refused(500), HttpReply::json)
        }
        Err(status) => HttpReply::refused(status),
    }
}

fn shown(room: &Room, occupant: &Occupant) -> Shown {
    let said = occupant.said.read();
    let text = |name, ns| {
        said.as_ref().and_then(|s| s.child(name, ns)).map(jitsi_xmpp::Element::text).unwrap_or_default()
    };
    Shown {
        jid: format!("{}/{}", room.jid.as_str(), occupant.nick),
        email: text("email", ns::CLIENT),
        display_name: text("nick", ns::NICK),
    }
}

/// The room that is asked for, or the status that says why there is none.
fn find<'a>(inside: &Inside<'a>, request: &HttpRequest) -> Result<&'a Room, u16> {
    // compat: taken as they stand there, because the rooms of web clients are named with percent signs (test:
    // compat_a_rooms_name_is_taken_as_it_stands_in_the_question).
    let value = |name: &str| request.parameter(name);
    let config = &inside.world.config;
    let (label, _) = config.muc_domain().split_once('.').ok_or(404_u16)?;
    let meetings = format!("{label}.{}", value("domain").ok_or(400_u16)?.to_ascii_lowercase());
    let name = value("room").filter(|_| meetings == config.muc_domain()).ok_or(404_u16)?;
    let node = match value("subdomain") {
        Some(tenant) => format!("[{tenant}]{name}"),
        None => name.to_owned(),
    };
    let room = BareJid::from_parts(&node, config.muc_domain()).map_err(|_| 404_u16)?;
    inside.rooms.get(&room).filter(|room| room.jid.domain() == config.muc_domain()).ok_or(404)
}
