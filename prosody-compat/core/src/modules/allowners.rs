//! Upstream's `muc_allowners` (xmpp-server §4.1): everybody who joins becomes an owner. Off by default, as in
//! upstream's containers: there the focus grants ownership. In rooms and of tenants that are moderated all the same, only who has
//! a token does; where everybody owns a room, nobody takes that from anybody.

use jitsi_xmpp::{Condition, Element, StanzaError, ns};

use super::permissions;
use crate::module::{Affiliated, Attempt, Module, Verdict};
use crate::room::Room;
use crate::room::rank::Affiliation;
use crate::tenants;
use crate::world::{Sender, World};

pub(super) static MODULE: Module = Module {
    name: "allowners",
    named: &["muc_allowners"],
    join: Some(promote),
    change: Some(change),
    ..Module::NONE
};

/// Whether only those with a token moderate here.
pub(super) fn is_moderated(room: &Room, world: &World) -> bool {
    match tenants::of_room(&world.config, &room.jid) {
        Some(tenant) => room.policy.moderated_tenants.iter().any(|t| t == tenant.as_str()),
        None => room.policy.moderated_rooms.iter().any(|r| Some(r.as_str()) == room.jid.node()),
    }
}

/// Makes a newcomer an owner before it is admitted, so that nobody sees it as a participant first.
fn promote(room: &mut Room, world: &mut World, attempt: &mut Attempt) -> Verdict {
    let identity = &attempt.sender.identity;
    let has_token = || identity.own_token(&world.hosts).is_some();
    let by_default = room.policy.all_owners && (!is_moderated(room, world) || has_token());
    if by_default && !identity.admin && !room.is_health_check() {
        own(room, world, attempt);
    }
    Verdict::Pass
}

/// Makes somebody who comes in an owner, unless it is shut out.
pub(super) fn own(room: &mut Room, world: &mut World, attempt: &Attempt) {
    let account = &attempt.sender.bare;
    let before = room.affiliation(&world.config, account);
    let most = world.config.limits.max_affiliations;
    let affiliation = Affiliation::Owner;
    if before != Affiliation::Outcast && room.affiliate(account, affiliation, most) {
        permissions::affiliation(room, world, &Affiliated { account, before, affiliation, by: None });
    }
}

fn change(room: &Room, world: &World, sender: &Sender, query: &Element) -> Result<(), StanzaError> {
    if !room.policy.all_owners
        || room.policy.owners_revoke
        || sender.identity.admin
        || is_moderated(room, world)
    {
        return Ok(());
    }
    // Each of them, so that none hides behind another.
    let revokes = |item: &Element| matches!(item.attr("affiliation"), Some("none" | "outcast" | "member"));
    if query.children_of("item", ns::MUC_ADMIN).any(revokes) {
        return Err(StanzaError::new(Condition::Forbidden));
    }
    Ok(())
}
