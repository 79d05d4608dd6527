//! Upstream's `muc_max_occupants` (xmpp-server §4.15): a meeting is full.

use jitsi_xmpp::{Condition, ErrorType, StanzaError};

use super::{Attempt, Verdict};
use crate::muc::room::{Room, RoomKind};
use crate::world::{World, lists};

pub(super) fn check(world: &World, room: &mut Room, attempt: &mut Attempt) -> Verdict {
    let Some(most) = world.config.max_participants else { return Verdict::Pass };
    let uncounted = &world.config.uncounted;
    if room.kind != RoomKind::Meeting || room.is_health_check() || lists(uncounted, &attempt.sender.bare) {
        return Verdict::Pass;
    }
    if room.occupants().filter(|o| !lists(uncounted, &o.bare)).count() >= most {
        // compat: clients show "maximum participants reached" for this condition.
        return Verdict::refuse(StanzaError::new(Condition::ServiceUnavailable).with_type(ErrorType::Cancel));
    }
    Verdict::Pass
}
