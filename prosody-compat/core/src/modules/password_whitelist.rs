//! Upstream's `muc_password_whitelist` (xmpp-server §4.16): focus and recorders come in without the password.

use crate::module::{Attempt, Module, Verdict};
use crate::policy::lists;
use crate::room::Room;
use crate::world::World;

pub(super) static MODULE: Module = Module {
    name: "password_whitelist",
    named: &["muc_password_whitelist"],
    join: Some(apply),
    ..Module::NONE
};

fn apply(room: &mut Room, _: &mut World, attempt: &mut Attempt) -> Verdict {
    if let Some(p) = &room.config.password
        && lists(&room.policy.password_exempt, &attempt.sender.bare)
    {
        attempt.password = Some(p.reveal().clone());
    }
    Verdict::Pass
}
