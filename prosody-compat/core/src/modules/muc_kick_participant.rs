//! Upstream's `muc_kick_participant` (xmpp-server §4.36): a program removes somebody from a meeting, by its nick or, of a telephone,
//! by its number. Off unless it is named.

use serde_json::Value;

use crate::module::{Does, Module, Route, Whom};
use crate::muc::{Muc, leave};
use crate::output::HttpReply;
use crate::request::{HttpMethod, HttpRequest};
use crate::room::{Occupant, Room};

pub(super) static MODULE: Module = Module {
    name: "muc_kick_participant",
    named: &["muc_kick_participant"],
    http: &[Route {
        method: HttpMethod::Put,
        path: "/kick-participant",
        whom: Whom::Programs(403),
        does: Does::Changes(kick),
    }],
    ..Module::NONE
};

fn kick(muc: &mut Muc<'_>, request: &HttpRequest) -> HttpReply {
    let Some(said) = request.object() else { return HttpReply::refused(400) };
    let text = |name: &str| said.get(name).and_then(Value::as_str).filter(|t| !t.is_empty());
    let (number, nick) = (text("number"), text("participantId"));
    if number.is_some() == nick.is_some() || request.parameter("room").is_none() {
        return HttpReply::refused(400);
    }
    let room = request.room(&muc.world.config).and_then(|jid| muc.rooms.get(&jid));
    let Some(room) = room else { return HttpReply::refused(404) };
    let nick = match (nick, number) {
        (Some(nick), _) => room.occupant(nick),
        (_, Some(number)) => caller(room, number),
        (None, None) => None,
    };
    let Some(nick) = nick.map(|o| o.nick.clone()) else { return HttpReply::refused(404) };
    let room = room.jid.clone();
    leave::kick(muc, &room, &nick);
    HttpReply::done()
}

/// Who has come by telephone and is called so.
fn caller<'a>(room: &'a Room, number: &str) -> Option<&'a Occupant> {
    let mut called = room.occupants().filter(|o| o.name.as_deref().is_some_and(|n| n.starts_with(number)));
    called.find(|o| {
        o.said.read().is_some_and(|said| said.child("initiator", super::filter_iq_rayo::JIGASI).is_some())
    })
}
