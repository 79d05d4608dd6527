//! Part of upstream's `room_metadata_component`: older clients set the start-muted policy in their presence.

use jitsi_xmpp::ns;
use serde_json::json;

use crate::components::metadata;
use crate::muc::room::Room;
use crate::world::World;

/// Called after an occupant's presence was relayed.
pub(crate) fn presence(room: &mut Room, world: &mut World, nick: &str) {
    let Some(o) = room.occupant(nick).filter(|o| o.role.is_moderator()) else { return };
    let Some(policy) = o.presence.child("startmuted", ns::START_MUTED) else { return };
    let on = |name| policy.attr(name) == Some("true");
    let data = json!({"audio": on("audio"), "video": on("video")});
    // Cannot exceed the limit by more than a refused change, which older clients do not look at.
    let _ = metadata::set(room, world, "startMuted", data);
}
