//! Upstream's `conference_duration` (xmpp-server §4.8): when the second occupant is in, the meeting began.

use crate::muc::room::Room;
use crate::world::World;

/// Called after every join.
pub(crate) fn joined(room: &mut Room, world: &World) {
    if room.created_at_ms.is_none() && room.len() >= 2 {
        room.created_at_ms = Some(world.clock.unix(world.now).as_secs() * 1000);
    }
}
