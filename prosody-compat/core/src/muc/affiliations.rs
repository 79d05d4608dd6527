//! Changing who may do what: an actor, a target and the new affiliation or role in; checked against upstream's rules
//! (xmpp-server §3.7), done, and announced.

use jitsi_xmpp::{BareJid, Condition, Element, ErrorType, StanzaError, ns};

use super::leave;
use super::presence::{self, Actor, Change};
use super::turn::Turn;
use crate::module::Affiliated;
use crate::outbox::Outgoing;
use crate::room::beside::Kind;
use crate::room::rank::{Affiliation, Role};
use crate::room::{Occupant, Room};
use crate::world::{Effect, Knocked, Sender, World};

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
    t: &mut Turn<'_>,
    sender: &Sender,
    target: &BareJid,
    affiliation: Affiliation,
    reason: Option<String>,
) -> Result<(), StanzaError> {
    may_set(t.room, t.world, sender, target, affiliation)?;
    give(t, Some(sender), target, affiliation, reason)
}

/// The same when nobody has to be asked; without `sender` by the server itself.
pub(super) fn give(
    t: &mut Turn<'_>,
    sender: Option<&Sender>,
    target: &BareJid,
    affiliation: Affiliation,
    reason: Option<String>,
) -> Result<(), StanzaError> {
    let before = t.room.affiliation(&t.world.config, target);
    if !t.room.affiliate(target, affiliation, t.world.config.limits.max_affiliations) {
        return Err(StanzaError::new(Condition::ResourceConstraint));
    }
    let set = Affiliated { account: target, before, affiliation, by: sender.map(|s| s.id) };
    for m in t.modules {
        if let Some(hook) = m.affiliation {
            hook(t.room, t.world, &set);
        }
    }
    let actor = sender.map(|s| actor(t.room, s));
    let nicks = t.room.nicks_of(target);
    if nicks.is_empty() {
        announce_absent(t.room, t.world, target, affiliation, reason.as_deref());
    }
    for nick in nicks {
        let change = Change { actor: actor.clone(), reason: reason.clone(), ..Change::default() };
        if let Some(code) = shut_out(t.room, affiliation) {
            leave::remove(t, &nick, None, None, &Change { codes: vec![code], ..change });
            continue;
        }
        follow(t.room, &nick, before, affiliation);
        presence::announce(t, &nick, &change);
    }
    for m in t.modules {
        if let Some(hook) = m.affiliated {
            hook(t.room, t.world, &set);
        }
    }
    Ok(())
}

/// compat: a role that somebody was given stays, unless the affiliation falls or brings a higher one (test:
/// compat_a_role_that_was_given_stays_when_the_affiliation_rises).
fn follow(room: &mut Room, nick: &str, before: Affiliation, affiliation: Affiliation) {
    if let Some(o) = room.occupant_mut(nick) {
        let role = affiliation.role();
        if affiliation < before || role > o.role {
            o.role = role;
        }
    }
}

/// The status of who may not be here with this affiliation.
fn shut_out(room: &Room, affiliation: Affiliation) -> Option<u16> {
    match affiliation {
        Affiliation::Outcast => Some(301),
        Affiliation::None if room.config.members_only => Some(321),
        _ => None,
    }
}

/// Upstream's conditions (xmpp-server §3.7).
fn may_set(
    room: &Room,
    world: &World,
    sender: &Sender,
    target: &BareJid,
    affiliation: Affiliation,
) -> Result<(), StanzaError> {
    if room.is_lobby() {
        // Who is what beside a meeting is decided there, where people see it.
        return Err(not_allowed());
    }
    let own = room.affiliation(&world.config, &sender.bare);
    let current = room.affiliation(&world.config, target);
    if world.is_admin(target) && affiliation != Affiliation::Owner {
        return Err(StanzaError::new(Condition::NotAcceptable));
    }
    match own {
        Affiliation::Owner => {
            let last_owner = !room.affiliations().has_owner_besides(target);
            if *target == sender.bare && affiliation != Affiliation::Owner && last_owner {
                return Err(StanzaError::new(Condition::Conflict).with_type(ErrorType::Cancel));
            }
        }
        Affiliation::Admin if current < Affiliation::Admin && affiliation < Affiliation::Admin => {}
        _ => return Err(not_allowed()),
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
    let mut x = Element::new("x", ns::MUC_USER);
    if let Some(code) = shut_out(room, affiliation) {
        x.push(Element::inherit("status").with_attr("code", code.to_string()));
    }
    x.push(item);
    let message = Element::new("message", ns::CLIENT).with_attr("from", room.shown()).with_child(x);
    let message = Outgoing::new(message);
    for o in room.occupants().filter(|o| o.bare != *target) {
        for s in &o.sessions {
            world.deliver(s.id, &message);
        }
    }
}

/// Sets the role of an occupant; `none` is a kick.
pub(super) fn set_role(
    t: &mut Turn<'_>,
    sender: &Sender,
    nick: &str,
    role: Role,
    reason: Option<String>,
) -> Result<(), StanzaError> {
    let moderator = t.room.occupant_of(sender.id).is_some_and(|o| o.role.is_moderator());
    let Some(target) = t.room.occupant(nick) else {
        return Err(StanzaError::new(Condition::ItemNotFound).with_type(ErrorType::Modify));
    };
    let (target_bare, target_role) = (target.bare.clone(), target.role);
    let own = t.room.affiliation(&t.world.config, &sender.bare);
    let theirs = t.room.affiliation(&t.world.config, &target_bare);
    // A person who kicks the focus ends the meeting for all: only another role's account may.
    let protected = t.world.is_admin(&target_bare) && !sender.identity.admin;
    let touches_moderator = role.is_moderator() || (target_role.is_moderator() && role != Role::None);
    if !moderator || own < theirs || protected || (touches_moderator && own < Affiliation::Admin) {
        return Err(not_allowed());
    }
    let change = Change { actor: Some(actor(t.room, sender)), reason, ..Change::default() };
    if let (Role::None, Kind::LobbyOf(meeting)) = (role, &t.room.kind) {
        let whom = Knocked::Denied {
            occupant: t.room.occupant_jid(nick),
            name: t.room.occupant(nick).and_then(Occupant::display_name),
        };
        t.world.effects.push_back(Effect::Answered { room: meeting.clone(), by: sender.id, whom });
    }
    if role == Role::None {
        kick(t, sender, nick, &target_bare, change);
        return Ok(());
    }
    if let Some(o) = t.room.occupant_mut(nick) {
        o.role = role;
    }
    presence::announce(t, nick, &change);
    Ok(())
}

/// A kicked one loses its affiliation too, or it would come back as what it was (xmpp-server §4.14). compat: in the kicker's
/// name, if it may; the others hear of that first (test: compat_a_kick_takes_the_affiliation_in_the_kickers_name).
fn kick(t: &mut Turn<'_>, sender: &Sender, nick: &str, bare: &BareJid, change: Change) {
    if may_set(t.room, t.world, sender, bare, Affiliation::None).is_ok() {
        let before = t.room.affiliation(&t.world.config, bare);
        t.room.affiliate(bare, Affiliation::None, t.world.config.limits.max_affiliations);
        let set = Affiliated { account: bare, before, affiliation: Affiliation::None, by: Some(sender.id) };
        for m in t.modules {
            if let Some(hook) = m.affiliation {
                hook(t.room, t.world, &set);
            }
        }
        let mut others = t.room.nicks_of(bare);
        others.retain(|n| **n != *nick);
        if others.is_empty() {
            announce_absent(t.room, t.world, bare, Affiliation::None, None);
        }
        let actor = Change { actor: change.actor.clone(), ..Change::default() };
        for other in others {
            follow(t.room, &other, before, Affiliation::None);
            presence::announce(t, &other, &actor);
        }
    }
    leave::remove(t, nick, None, None, &Change { codes: vec![307], ..change });
}
