//! Upstream's `muc_allowners` (xmpp-server §4.1): everybody who joins becomes an owner. Off by default, as in
//! upstream's containers: there the focus grants ownership.

use super::permissions;
use crate::module::{Affiliated, Attempt, Module, Verdict};
use crate::room::Room;
use crate::room::rank::Affiliation;
use crate::world::World;

pub(super) static MODULE: Module =
    Module { name: "allowners", named: &["muc_allowners"], join: Some(promote), ..Module::NONE };

/// Makes a newcomer an owner before it is admitted, so that nobody sees it as a participant first.
fn promote(room: &mut Room, world: &mut World, attempt: &mut Attempt) -> Verdict {
    let sender = &attempt.sender;
    if room.policy.all_owners
        && !sender.identity.admin
        && room.affiliation(&world.config, &sender.bare) != Affiliation::Outcast
    {
        let most = world.config.limits.max_affiliations;
        if room.affiliate(&sender.bare, Affiliation::Owner, most) {
            let set = Affiliated { account: &sender.bare, affiliation: Affiliation::Owner };
            permissions::affiliation(room, world, &set);
        }
    }
    Verdict::Pass
}
