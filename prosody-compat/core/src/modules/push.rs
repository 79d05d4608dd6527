//! JSON from a module's own domain (client §0.5): a value in; the message, serialised once, to real addresses out.

use jitsi_xmpp::{Element, ns};
use serde::Serialize;
use serde_json::Value;

use crate::outbox::Outgoing;
use crate::room::Room;
use crate::session::SessionId;
use crate::world::World;

/// The message. compat: no type, no id, no body (test: compat_metadata_names_its_room_and_pushes_do_not).
pub(super) fn message(from: &str, json: &impl Serialize) -> Outgoing {
    // Only a map whose keys are no texts cannot be written, and there is none.
    let text = serde_json::to_string(json).unwrap_or_default();
    let json = Element::new("json-message", ns::JITMEET).with_text(text);
    Outgoing::new(Element::new("message", ns::CLIENT).with_attr("from", from).with_child(json))
}

/// Adds a member to an object.
pub(super) fn add(object: &mut Value, key: &str, value: impl Into<Value>) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), value.into());
    }
}

/// To one session.
pub(super) fn to(world: &mut World, session: SessionId, from: &str, json: &Value) {
    world.deliver(session, &message(from, json));
}

/// To everybody in the room.
pub(super) fn to_all(room: &Room, world: &mut World, from: &str, json: &Value) {
    room.broadcast(world, &message(from, json));
}

/// To the room's moderators, the focus among them.
pub(super) fn to_moderators(room: &Room, world: &mut World, from: &str, json: &Value) {
    let message = message(from, json);
    for o in room.occupants().filter(|o| o.role.is_moderator()) {
        for s in &o.sessions {
            world.deliver(s.id, &message);
        }
    }
}
