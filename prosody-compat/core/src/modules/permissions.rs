//! Upstream's `jitsi_permissions` (xmpp-server §4.11): a moderator without a token is told what it may do, in the
//! first presence of its own after its affiliation was set.

use std::collections::HashSet;

use jitsi_xmpp::{BareJid, Element, ns};

use crate::module::{Affiliated, Module};
use crate::room::Room;
use crate::room::rank::Affiliation;
use crate::world::World;

pub(super) static MODULE: Module = Module {
    name: "permissions",
    named: &["muc_meeting_id", "jitsi_permissions"],
    affiliation: Some(affiliation),
    own: Some(own),
    ..Module::NONE
};

/// Accounts whose affiliation was set, and who were not told yet.
#[derive(Default)]
struct Due(HashSet<BareJid>);

pub(super) fn affiliation(room: &mut Room, world: &mut World, set: &Affiliated<'_>) {
    let due = &mut room.slots.entry::<Due>().0;
    if set.affiliation == Affiliation::None {
        due.remove(set.account);
    } else if due.len() < world.config.limits.max_affiliations {
        due.insert(set.account.clone());
    }
}

fn own(room: &mut Room, world: &World, nick: &str) -> Option<Element> {
    let o = room.occupant(nick)?;
    let (moderator, bare) = (o.role.is_moderator(), o.bare.clone());
    if !moderator || world.is_admin(&bare) || !room.slots.get_mut::<Due>()?.0.remove(&bare) {
        return None;
    }
    // Whoever has a token with features knows them already.
    let session = room.occupant(nick)?.primary()?.id;
    if world.sessions.get(session).is_some_and(|s| s.identity.features().is_some()) {
        return None;
    }
    let granted = room
        .policy
        .default_permissions
        .iter()
        .map(|p| Element::inherit("p").with_attr("name", p.as_str()).with_attr("val", "true"));
    Some(Element::new("permissions", ns::JITMEET).with_children(granted))
}
