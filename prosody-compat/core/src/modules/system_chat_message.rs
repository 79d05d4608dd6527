//! Upstream's `system_chat_message` (xmpp-server §4.34): a program tells people of a meeting something, each alone. Off unless it is
//! named.

use jitsi_xmpp::{Element, ns};
use serde_json::{Value, json};

use super::push;
use crate::module::{Does, Module, Route, Whom};
use crate::muc::Muc;
use crate::outbox::Outgoing;
use crate::output::HttpReply;
use crate::request::{self, HttpMethod, HttpRequest};
use crate::session::SessionId;

pub(super) static MODULE: Module = Module {
    name: "system_chat_message",
    named: &["system_chat_message"],
    http: &[Route {
        method: HttpMethod::Post,
        path: "/send-system-chat-message",
        whom: Whom::Programs(401),
        does: Does::Changes(tell),
    }],
    ..Module::NONE
};

fn tell(muc: &mut Muc<'_>, request: &HttpRequest) -> HttpReply {
    let Some(said) = request.object() else { return HttpReply::refused(400) };
    let text = |name: &str| said.get(name).and_then(Value::as_str);
    let to = said.get("connectionJIDs").and_then(Value::as_array);
    let (Some(message), Some(to), Some(room)) = (text("message"), to, text("room")) else {
        return HttpReply::refused(400);
    };
    let room = request::room_at(&muc.world.config, room).and_then(|jid| muc.rooms.get(&jid));
    let Some(room) = room else { return HttpReply::refused(404) };
    let mut json = json!({"type": "system_chat_message", "message": message});
    if let Some(name) = text("displayName") {
        push::add(&mut json, "displayName", name);
    }
    // compat: from the room (test: compat_a_program_tells_people_something).
    let json = Element::new("json-message", ns::JITMEET).with_text(json.to_string());
    let told = Element::new("message", ns::CLIENT).with_attr("from", room.shown()).with_child(json);
    let told = Outgoing::new(told);
    // Who is not in this meeting is told nothing.
    let there = |jid: &Value| -> Option<SessionId> {
        let id = muc.world.sessions.by_jid(jid.as_str()?)?;
        room.occupant_of(id).map(|_| id)
    };
    let to: Vec<SessionId> = to.iter().filter_map(there).collect();
    for id in to {
        muc.world.deliver(id, &told);
    }
    HttpReply::done()
}
