//! Upstream's `muc_max_occupants` (xmpp-server §4.15): a meeting is full.

use jitsi_xmpp::{Condition, ErrorType, StanzaError};

use crate::module::{Attempt, Module, Verdict};
use crate::policy::lists;
use crate::room::Room;
use crate::world::World;

pub(super) static MODULE: Module =
    Module { name: "max_occupants", named: &["muc_max_occupants"], join: Some(check), ..Module::NONE };

fn check(room: &mut Room, _: &mut World, attempt: &mut Attempt) -> Verdict {
    let Some(most) = room.policy.participants_of(room.name()) else { return Verdict::Pass };
    let uncounted = &room.policy.uncounted;
    if room.is_health_check() || lists(uncounted, &attempt.sender.bare) {
        return Verdict::Pass;
    }
    let all = || room.occupants().filter(|o| !lists(uncounted, &o.bare)).count();
    // Of viewers there are thousands.
    let counted = if room.watches().is_some() { room.viewers() } else { all() };
    if counted >= most {
        // compat: clients show "maximum participants reached" for this condition (test:
        // compat_who_counts_when_a_meeting_is_full).
        return Verdict::refuse(StanzaError::new(Condition::ServiceUnavailable).with_type(ErrorType::Cancel));
    }
    Verdict::Pass
}
