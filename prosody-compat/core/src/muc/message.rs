//! Messages to a room or an occupant in; what all or one get out, and the history and subject that stay.

use jitsi_xmpp::{BareJid, Condition, Element, ErrorType, StanzaError, ns};

use super::Rooms;
use super::room::{Role, Room, Subject};
use crate::counters::Counter;
use crate::outbox::Outgoing;
use crate::rules;
use crate::world::{Sender, World};

const NOT_IN: &str = "You are not currently connected to this chat";

pub(super) fn handle(
    rooms: &mut Rooms,
    world: &mut World,
    sender: &Sender,
    room_jid: &BareJid,
    nick: Option<&str>,
    e: Element,
) {
    let Some(room) = rooms.get_mut(room_jid) else {
        world.refuse(sender, &e, &StanzaError::new(Condition::ItemNotFound), Some(room_jid.domain()));
        return;
    };
    let shown = room.shown().to_owned();
    let outcome = match (nick, e.attr("type")) {
        (_, Some("error")) => Ok(()),
        (Some(nick), _) => private(room, world, sender, nick, e.clone()),
        (None, Some("groupchat")) => group(room, world, sender, e.clone()),
        // Invitations and voice requests: not offered.
        (None, _) => Err(StanzaError::new(Condition::ServiceUnavailable)),
    };
    if let Err(error) = outcome {
        world.refuse(sender, &e, &error, Some(&shown));
    }
}

/// To everybody, the sender included.
fn group(room: &mut Room, world: &mut World, sender: &Sender, mut e: Element) -> Result<(), StanzaError> {
    let Some(own) = room.occupant_of(sender.id) else {
        return Err(StanzaError::new(Condition::NotAcceptable)
            .with_type(ErrorType::Cancel)
            .with_text(NOT_IN));
    };
    let (nick, role) = (own.nick.clone(), own.role);
    if role < Role::Participant {
        return Err(StanzaError::new(Condition::Forbidden));
    }
    let name = own.presence.child("nick", ns::NICK).map(Element::text);
    for rule in rules::MESSAGE {
        if !rule(world, room, sender, &mut e)? {
            world.counters.add(Counter::RuleDropped);
            return Ok(());
        }
    }
    e.remove_attr("to");
    e.set_attr("from", room.occupant_jid(&nick));
    // XEP-0045 §8.1: a subject alone sets the subject.
    if e.child_named("subject").is_some()
        && e.child_named("body").is_none()
        && e.child_named("thread").is_none()
    {
        return subject(room, world, role, e);
    }
    if e.attr("id").is_none_or(str::is_empty) {
        let id = world.entropy.hex(12);
        e.set_attr("id", id);
    }
    if e.child_named("body").is_some() || e.child("store", ns::HINTS).is_some() {
        if let Some(id) = e.attr("id") {
            room.authors.remember(id, &sender.bare, world.config.limits.max_retractable);
        }
        let mut kept = e.clone();
        // Latecomers cannot look up the name of somebody who has left.
        if let Some(name) = name {
            kept.push(
                Element::new("display-name", ns::DISPLAY_NAME).with_attr("source", "guest").with_text(name),
            );
        }
        kept.push(delay(room, world));
        room.history.keep(world.now, kept, &world.config.limits);
    }
    room.broadcast(world, &Outgoing::new(e));
    Ok(())
}

fn subject(room: &mut Room, world: &mut World, role: Role, e: Element) -> Result<(), StanzaError> {
    if !role.is_moderator() && !room.config.anybody_changes_subject {
        return Err(StanzaError::new(Condition::Forbidden));
    }
    let text = e.child_named("subject").map(Element::text).unwrap_or_default();
    if text.len() > world.config.limits.max_subject_bytes {
        return Err(StanzaError::new(Condition::PolicyViolation).with_type(ErrorType::Modify));
    }
    let mut replayed = Element::new("message", ns::CLIENT)
        .with_attr("type", "groupchat")
        .with_opt_attr("from", e.attr("from"))
        .with_child(Element::inherit("subject").with_text(text));
    replayed.push(delay(room, world));
    let live = Outgoing::new(e);
    room.broadcast(world, &live);
    room.subject = Some(Subject { replayed: Outgoing::new(replayed) });
    Ok(())
}

fn delay(room: &Room, world: &World) -> Element {
    Element::new("delay", ns::DELAY)
        .with_attr("from", room.shown())
        .with_attr("stamp", world.clock.stamp(world.now))
}

/// To one occupant.
fn private(
    room: &mut Room,
    world: &mut World,
    sender: &Sender,
    nick: &str,
    mut e: Element,
) -> Result<(), StanzaError> {
    let Some(own) = room.occupant_of(sender.id) else {
        return Err(StanzaError::new(Condition::NotAcceptable)
            .with_type(ErrorType::Cancel)
            .with_text(NOT_IN));
    };
    if e.attr("type") == Some("groupchat") {
        return Err(StanzaError::new(Condition::BadRequest).with_type(ErrorType::Modify));
    }
    let from = room.occupant_jid(&own.nick);
    let Some(target) = room.occupant(nick) else {
        return Err(StanzaError::new(Condition::ItemNotFound).with_text("Recipient not in room"));
    };
    let targets: Vec<_> = target.sessions.iter().map(|s| s.id).collect();
    rules::strip_message(world, room, sender, &mut e)?;
    e.set_attr("from", from);
    e.push(Element::new("x", ns::MUC_USER));
    let out = Outgoing::new(e);
    for id in targets {
        world.deliver(id, &out);
    }
    Ok(())
}
