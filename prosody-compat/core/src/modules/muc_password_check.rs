//! The reading half of upstream's `muc_password_check` (xmpp-server §4.16): whether a meeting has a password, to who asks from inside.
//! Off unless it is named. Trying a password over HTTP (`PUT`) is not there: it would tell more often than a join does.

use jitsi_xmpp::{BareJid, Sensitive};
use serde::Serialize;

use crate::module::{Inside, Module, Route};
use crate::output::{HttpReply, HttpRequest};

pub(super) static MODULE: Module = Module {
    name: "muc_password_check",
    named: &["muc_password_check"],
    http: &[Route { path: "/room-info", answer: room_info }],
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
    let query = request.query.as_ref().map(Sensitive::reveal);
    // As muc_size takes them: rooms of web clients are named with percent signs.
    let value = |name: &str| {
        let mut pairs = query?.split('&').filter_map(|p| p.split_once('='));
        pairs.rfind(|(n, _)| *n == name).map(|(_, v)| v).filter(|v| !v.is_empty())
    };
    let Some(name) = value("room") else { return HttpReply::refused(400) };
    let node = match value("prefix") {
        Some(tenant) => format!("[{tenant}]{name}"),
        None => name.to_owned(),
    };
    let domain = inside.world.config.muc_domain();
    let found = BareJid::from_parts(&node, domain).ok().and_then(|room| inside.rooms.get(&room));
    let Some(room) = found else { return HttpReply::refused(404) };
    let info = Info {
        conference: room.jid.as_str().to_owned(),
        passcode_protected: room.config.password.is_some(),
        lobby_enabled: room.lobby.is_some(),
    };
    serde_json::to_string(&info).map_or_else(|_| HttpReply::refused(500), HttpReply::json)
}
