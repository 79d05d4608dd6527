//! Changing who may do what: an actor, a target and the new affiliation or role in; checked against upstream's rules
//! (xmpp-server §3.7), done, and announced.

use jitsi_xmpp::{BareJid, Condition, Element, ErrorType, StanzaError, ns};

use super::leave;
use super::presence::{self, Actor, Change};
use super::room::{Affiliation, Role, Room};
use crate::outbox::Outgoing;
use crate::rules::permissions;
use crate::world::{Sender, World};

fn actor(room: &Room, sender: &Sender) -> Actor {
    Actor {
        nick: room.occupant_of(sender.id).map(|o| o.nick.to_string()),
        jid: Some(sender.jid.as_str().to_owned()),
    }
}

fn not_allowed() -> StanzaError {
    StanzaError::new(Condition::NotAllowed).with_type(ErrorType::Cancel)
}

/// Sets the affiliation of an account.
pub(super) fn set_affiliation(
    room: &mut Room,
    world: &mut World,
    sender: &Sender,
    target: &BareJid,
    affiliation: Affiliation,
    reason: Option<String>,
) -> Result<(), StanzaError> {
    let own = room.affiliation(&world.config, &sender.bare);
    let current = room.affiliation(&world.config, target);
    if world.is_admin(target) && affiliation != Affiliation::Owner {
        return Err(StanzaError::new(Condition::NotAcceptable));
    }
    match own {
        Affiliation::Owner => {
            let last_owner = !room.affiliations().any(|(j, a)| a == Affiliation::Owner && j != target);
            if *target == sender.bare && affiliation != Affiliation::Owner && last_owner {
                return Err(StanzaError::new(Condition::Conflict).with_type(ErrorType::Cancel));
            }
        }
        Affiliation::Admin if current < Affiliation::Admin && affiliation < Affiliation::Admin => {}
        _ => return Err(not_allowed()),
    }
    if !room.affiliate(target, affiliation, world.config.limits.max_affiliations) {
        return Err(StanzaError::new(Condition::ResourceConstraint));
    }
    permissions::affiliation_set(room, &world.config, target);
    let actor = Some(actor(room, sender));
    let nicks = room.nicks_of(target);
    if nicks.is_empty() {
        announce_absent(room, world, target, affiliation, reason.as_deref());
        return Ok(());
    }
    for nick in nicks {
        let change = Change { actor: actor.clone(), reason: reason.clone(), ..Change::default() };
        let code = match affiliation {
            Affiliation::Outcast => Some(301),
            Affiliation::None if room.config.members_only => Some(321),
            _ => None,
        };
        if let Some(code) = code {
            leave::remove(room, world, &nick, None, None, &Change { codes: vec![code], ..change });
            continue;
        }
        if let Some(o) = room.occupant_mut(&nick) {
            o.role = affiliation.role();
        }
        presence::announce(room, world, &nick, &change);
    }
    Ok(())
}

/// Somebody who is not there, or is about to go, got another affiliation: the others are told by a message.
fn announce_absent(
    room: &Room,
    world: &mut World,
    target: &BareJid,
    affiliation: Affiliation,
    reason: Option<&str>,
) {
    let mut item = Element::inherit("item")
        .with_attr("affiliation", affiliation.as_str())
        .with_attr("jid", target.as_str());
    if let Some(reason) = reason {
        item.push(Element::inherit("reason").with_text(reason));
    }
    let message = Element::new("message", ns::CLIENT)
        .with_attr("from", room.shown())
        .with_child(Element::new("x", ns::MUC_USER).with_child(item));
    let message = Outgoing::new(message);
    for o in room.occupants().filter(|o| o.bare != *target) {
        for s in &o.sessions {
            world.deliver(s.id, &message);
        }
    }
}

/// Sets the role of an occupant; `none` is a kick.
pub(super) fn set_role(
    room: &mut Room,
    world: &mut World,
    sender: &Sender,
    nick: &str,
    role: Role,
    reason: Option<String>,
) -> Result<(), StanzaError> {
    let moderator = room.occupant_of(sender.id).is_some_and(|o| o.role.is_moderator());
    let Some(target) = room.occupant(nick) else {
        return Err(StanzaError::new(Condition::ItemNotFound).with_type(ErrorType::Modify));
    };
    let (target_bare, target_role) = (target.bare.clone(), target.role);
    let own = room.affiliation(&world.config, &sender.bare);
    let theirs = room.affiliation(&world.config, &target_bare);
    // A person who kicks the focus ends the meeting for all: only another role's account may.
    let protected = world.is_admin(&target_bare) && !sender.admin;
    let touches_moderator = role.is_moderator() || (target_role.is_moderator() && role != Role::None);
    if !moderator || own < theirs || protected || (touches_moderator && own < Affiliation::Admin) {
        return Err(not_allowed());
    }
    let change = Change { actor: Some(actor(room, sender)), reason, ..Change::default() };
    if role == Role::None {
        kick(room, world, nick, &target_bare, change);
        return Ok(());
    }
    if let Some(o) = room.occupant_mut(nick) {
        o.role = role;
    }
    presence::announce(room, world, nick, &change);
    Ok(())
}

/// A kicked one loses its affiliation too, or it would come back as what it was (xmpp-server §4.14). As upstream,
/// the others hear of that first.
fn kick(room: &mut Room, world: &mut World, nick: &str, bare: &BareJid, change: Change) {
    room.permissions_due.remove(bare);
    if !world.is_admin(bare) {
        room.affiliate(bare, Affiliation::None, world.config.limits.max_affiliations);
        announce_absent(room, world, bare, Affiliation::None, None);
    }
    leave::remove(room, world, nick, None, None, &Change { codes: vec![307], ..change });
}
