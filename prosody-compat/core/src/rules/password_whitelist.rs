//! Upstream's `muc_password_whitelist` (xmpp-server §4.16): focus and recorders come in without the password.

use super::{Attempt, Verdict};
use crate::muc::room::Room;
use crate::world::{World, lists};

pub(super) fn apply(world: &World, room: &mut Room, attempt: &mut Attempt) -> Verdict {
    if let Some(p) = &room.config.password
        && lists(&world.config.password_exempt, &attempt.sender.bare)
    {
        attempt.password = Some(p.reveal().clone());
    }
    Verdict::Pass
}
