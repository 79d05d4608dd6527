//! Upstream's `jitsi_permissions` (xmpp-server §4.11): a moderator without a token is told what it may do, in the
//! first presence of its own after its affiliation was set, and may do it from then on.
//!
//! Whoever is made a moderator by somebody of whom it is known what that one may do may do the same. It ends with the
//! affiliation, or with leaving: what a token says counts again.

use std::collections::HashSet;

use jitsi_xmpp::{BareJid, Element, ns};

use crate::module::{Affiliated, Module};
use crate::room::rank::Affiliation;
use crate::room::{Occupant, Room};
use crate::session::SessionId;
use crate::world::World;

pub(super) static MODULE: Module = Module {
    name: "permissions",
    named: &["muc_meeting_id", "jitsi_permissions"],
    affiliation: Some(affiliation),
    own: Some(own),
    left: Some(left),
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
    if world.is_admin(set.account) {
        return;
    }
    let owner = |a| a == Affiliation::Owner;
    let (granted, by) = match (owner(set.before), owner(set.affiliation)) {
        (false, true) => match set.by.and_then(|by| Some((world.features(by)?, world.sessions.get(by)?))) {
            Some((features, by)) => {
                (Some(features.clone()), Some(by.granted_by.as_ref().unwrap_or(&by.identity).clone()))
            }
            // Known once it is told.
            None => return,
        },
        (true, false) => (None, None),
        _ => return,
    };
    let sessions: Vec<SessionId> = sessions(room.occupants().filter(|o| o.bare == *set.account)).collect();
    for id in sessions {
        if let Some(s) = world.sessions.get_mut(id) {
            s.granted.clone_from(&granted);
            s.granted_by.clone_from(&by);
        }
    }
}

fn sessions<'a>(occupants: impl Iterator<Item = &'a Occupant>) -> impl Iterator<Item = SessionId> {
    occupants.flat_map(|o| o.sessions.iter().map(|s| s.id))
}

fn own(room: &mut Room, world: &mut World, nick: &str) -> Option<Element> {
    let o = room.occupant(nick)?;
    let (moderator, bare) = (o.role.is_moderator(), o.bare.clone());
    if !moderator || world.is_admin(&bare) || !room.slots.get_mut::<Due>()?.0.remove(&bare) {
        return None;
    }
    let o = room.occupant(nick)?;
    let session = world.sessions.get(o.primary()?.id)?;
    let features = match &session.granted {
        Some(granted) => granted.clone(),
        // Whoever has a token with features knows them already.
        None if session.identity.features().is_some() => return None,
        None => room.policy.default_permissions.iter().map(|p| (p.clone(), true)).collect(),
    };
    for id in sessions(std::iter::once(o)) {
        if let Some(s) = world.sessions.get_mut(id) {
            s.granted = Some(features.clone());
        }
    }
    let told = features.iter().map(|(name, on)| {
        Element::inherit("p").with_attr("name", name.as_str()).with_attr("val", on.to_string())
    });
    Some(Element::new("permissions", ns::JITMEET).with_children(told))
}

fn left(room: &mut Room, world: &mut World, gone: &Occupant) {
    for id in sessions(std::iter::once(gone)) {
        // Who only goes into another room of the meeting stays what it is.
        let stays = world.breakouts.of(room.meeting()).is_some_and(|parts| parts.is_switching(id));
        if let Some(s) = world.sessions.get_mut(id).filter(|_| !stays) {
            (s.granted, s.granted_by) = (None, None);
        }
    }
}
