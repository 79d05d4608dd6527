//! Upstream's `muc_allowners` (xmpp-server §4.1): everybody who joins becomes an owner. Off by default, as in
//! upstream's containers: there the focus grants ownership.

use super::{Attempt, Verdict};
use crate::muc::room::{Affiliation, Room, RoomKind};
use crate::world::World;

/// Makes a newcomer an owner before it is admitted, so that nobody sees it as a participant first.
pub(super) fn promote(world: &World, room: &mut Room, attempt: &mut Attempt) -> Verdict {
    if world.config.all_owners
        && room.kind == RoomKind::Meeting
        && !attempt.sender.admin
        && room.affiliation(&world.config, &attempt.sender.bare) != Affiliation::Outcast
    {
        room.affiliate(&attempt.sender.bare, Affiliation::Owner, world.config.limits.max_affiliations);
    }
    Verdict::Pass
}
