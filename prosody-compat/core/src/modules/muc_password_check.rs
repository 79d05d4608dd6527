//! Upstream's `muc_password_check` (xmpp-server §4.16): whether a meeting has a password, and whether this is it, to who asks from
//! inside: a gateway for telephones. Off unless it is named.

use jitsi_xmpp::Sensitive;
use serde::Serialize;
use serde_json::Value;

use crate::limits::PASSCODES;
use crate::module::{Does, Inside, Module, Route, Whom};
use crate::muc::Muc;
use crate::output::HttpReply;
use crate::request::{HttpMethod, HttpRequest};
use crate::room::Room;

pub(super) static MODULE: Module = Module {
    name: "muc_password_check",
    named: &["muc_password_check"],
    http: &[
        Route::reads("/room-info", Whom::TokenHoldersIfAny(403), room_info),
        // Nobody tries passwords without a token.
        Route {
            method: HttpMethod::Put,
            path: "/room-info",
            whom: Whom::TokenHolders(403),
            does: Does::Changes(check),
        },
    ],
    ..Module::NONE
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    conference: String,
    passcode_protected: bool,
    lobby_enabled: bool,
}

fn room_info(inside: &Inside<'_>, request: &HttpRequest) -> HttpReply {
    let room = match named(request) {
        Ok(()) => request.room(&inside.world.config).and_then(|jid| inside.rooms.get(&jid)),
        Err(status) => return HttpReply::refused(status),
    };
    let Some(room) = room else { return HttpReply::refused(404) };
    let info = Info {
        conference: room.jid.as_str().to_owned(),
        passcode_protected: room.config.password.is_some(),
        lobby_enabled: room.lobby.is_some(),
    };
    serde_json::to_string(&info).map_or_else(|_| HttpReply::refused(500), HttpReply::json)
}

/// How often passwords were tried here.
#[derive(Default)]
struct Tried(budget::Bucket);

fn check(muc: &mut Muc<'_>, request: &HttpRequest) -> HttpReply {
    let Some(said) = request.object() else { return HttpReply::refused(400) };
    let passcode = said.get("passcode").filter(|p| !matches!(p, Value::Null | Value::Bool(false)));
    let (Some(passcode), Ok(())) = (passcode, named(request)) else { return HttpReply::refused(400) };
    let room = request.room(&muc.world.config).and_then(|jid| muc.rooms.get_mut(&jid));
    let Some(room) = room else { return HttpReply::refused(404) };
    if !room.slots.entry::<Tried>().0.take(&PASSCODES, muc.world.now, 1) {
        return HttpReply::refused(429);
    }
    let valid = is_it(room, passcode);
    HttpReply::json(format!("{{\"valid\":{valid}}}"))
}

fn is_it(room: &Room, passcode: &Value) -> bool {
    let password = room.config.password.as_ref().map(Sensitive::reveal);
    password.zip(passcode.as_str()).is_some_and(|(password, passcode)| password == passcode)
}

fn named(request: &HttpRequest) -> Result<(), u16> {
    request.parameter("room").map(drop).ok_or(400)
}
