//! Part of upstream's `room_metadata_component`: older clients set the start-muted policy in their presence.

use jitsi_xmpp::{Element, ns};
use serde_json::json;

use super::metadata;
use crate::module::Module;
use crate::room::Room;
use crate::world::World;

pub(super) static MODULE: Module = Module {
    name: "start_muted",
    named: &["room_metadata_component"],
    relayed: Some(relayed),
    ..Module::NONE
};

fn relayed(room: &mut Room, world: &mut World, nick: &str, presence: &Element) {
    if !room.occupant(nick).is_some_and(|o| o.role.is_moderator()) {
        return;
    }
    let Some(policy) = presence.child("startmuted", ns::START_MUTED) else { return };
    let on = |name| policy.attr(name) == Some("true");
    let data = json!({"audio": on("audio"), "video": on("video")});
    // Cannot exceed the limit by more than a refused change, which older clients do not look at.
    let _ = metadata::set(room, world, None, "startMuted", data);
}
