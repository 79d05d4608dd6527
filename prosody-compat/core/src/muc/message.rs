//! Messages to a room or an occupant in; what all or one get out, and the history and subject that stay.

use jitsi_xmpp::{BareJid, Condition, Element, ErrorType, StanzaError, ns};

use super::turn::{Muc, Turn};
use super::{audience, invite};
use crate::counters::Counter;
use crate::identity::HostId;
use crate::kept::Kept;
use crate::module::Relay;
use crate::outbox::Outgoing;
use crate::room::rank::Role;
use crate::room::{Room, Subject};
use crate::stanza::not_in;
use crate::world::{Sender, World};

pub(super) fn handle(
    muc: &mut Muc<'_>,
    sender: &Sender,
    host: HostId,
    room_jid: &BareJid,
    nick: Option<&str>,
    e: Element,
) {
    if let Some(mut t) = muc.turn(room_jid) {
        to_room(&mut t, sender, nick, &e);
    } else if let Some(mut room) = muc.pretended(sender, host, room_jid) {
        if let Some(mut t) = muc.turn_of(&mut room) {
            to_room(&mut t, sender, nick, &e);
        }
    } else {
        muc.world.refuse(sender, &e, &StanzaError::new(Condition::ItemNotFound), Some(room_jid.domain()));
    }
}

fn to_room(t: &mut Turn<'_>, sender: &Sender, nick: Option<&str>, e: &Element) {
    let outcome = match (nick, e.attr("type")) {
        (_, Some("error")) => Ok(()),
        (Some(nick), _) => private(t, sender, nick, e.clone()),
        (None, Some("groupchat")) => group(t, sender, e.clone()),
        (None, None | Some("normal")) if invite::is_one(e) => invite::handle(t, sender, e),
        // Voice requests: not offered.
        (None, _) => Err(StanzaError::new(Condition::ServiceUnavailable)),
    };
    if let Err(error) = outcome {
        t.world.refuse(sender, e, &error, Some(t.room.shown()));
    }
}

/// To everybody, the sender included.
fn group(t: &mut Turn<'_>, sender: &Sender, mut e: Element) -> Result<(), StanzaError> {
    let own = t.room.occupant_of(sender.id).ok_or_else(not_in)?;
    let (nick, role) = (own.nick.clone(), own.role);
    let watches = t.room.watches().is_some();
    if role < Role::Participant && !watches {
        let text = "You do not currently have permission to speak in this chat";
        return Err(StanzaError::new(Condition::Forbidden).with_text(text));
    }
    let name = own.display_name();
    t.world.reaches_all(&mut t.room.pace, sender, 1);
    // XEP-0045 §8.1: a subject alone sets the subject.
    let has = |name| e.child_named(name).is_some();
    let is_subject = has("subject") && !has("body") && !has("thread");
    if !is_subject && e.attr("id").is_none_or(str::is_empty) {
        let id = t.world.entropy.hex(12);
        e.set_attr("id", id);
    }
    for (name, rule) in t.modules.iter().filter_map(|m| Some((m.name, m.message?))) {
        let said = rule(t.room, t.world, sender, &mut e);
        t.world.counters.relay(name, &said);
        if said? == Relay::Drop {
            return Ok(());
        }
    }
    if last_word(t, sender, &mut e)? == Relay::Drop {
        return Ok(());
    }
    if watches {
        return audience::said(t, sender, e);
    }
    e.remove_attr("to");
    e.set_attr("from", t.room.occupant_jid(&nick));
    if is_subject {
        return subject(t.room, t.world, sender, role, e);
    }
    let lasts = e.child_named("body").is_some() || e.child("store", ns::HINTS).is_some();
    // What is said to those who wait is for those who are there.
    if lasts && e.child("no-store", ns::HINTS).is_none() && !t.room.is_lobby() {
        let mut kept = e.clone();
        // Latecomers cannot look up the name of somebody who has left.
        let vouched = sender
            .identity
            .token
            .as_ref()
            .and_then(|t| Some(("token", t.user.as_ref()?.name()?.into_owned())));
        if let Some((source, name)) = vouched.or_else(|| name.map(|name| ("guest", name))) {
            kept.push(
                Element::new("display-name", ns::DISPLAY_NAME).with_attr("source", source).with_text(name),
            );
        }
        kept.push(delay(t.room, t.world));
        audience::keep(t.room, t.world, sender, &nick, &kept);
        let most = (&t.world.config.limits).into();
        let author = Some(&sender.bare);
        t.room.history.keep(t.world.now, author, kept, most, |bytes| t.world.keeps(sender, bytes));
    }
    audience::repeat(t.room, t.world, &nick, &e);
    t.room.say(t.world, &sender.bare, &Outgoing::new(e));
    Ok(())
}

/// The rules that count what the others let through.
pub(super) fn last_word(t: &mut Turn<'_>, sender: &Sender, e: &mut Element) -> Result<Relay, StanzaError> {
    for (name, rule) in t.modules.iter().filter_map(|m| Some((m.name, m.last?))) {
        let said = rule(t.room, t.world, sender, e);
        t.world.counters.relay(name, &said);
        if said? == Relay::Drop {
            return Ok(Relay::Drop);
        }
    }
    Ok(Relay::Pass)
}

/// The room itself says something to all, which latecomers hear, too.
pub(crate) fn by_room(room: &mut Room, world: &mut World, text: &str) {
    let said = Element::new("message", ns::CLIENT)
        .with_attr("type", "groupchat")
        .with_attr("from", room.shown())
        .with_attr("id", world.entropy.hex(12))
        .with_child(Element::inherit("body").with_text(text));
    let kept = said.clone().with_child(delay(room, world));
    let most = (&world.config.limits).into();
    room.history.keep(world.now, None, kept, most, |_| Ok(Kept::ours()));
    room.broadcast(world, &Outgoing::new(said));
}

fn subject(
    room: &mut Room,
    world: &mut World,
    sender: &Sender,
    role: Role,
    e: Element,
) -> Result<(), StanzaError> {
    if !role.is_moderator() && !room.config.anybody_changes_subject {
        let text = "You are not allowed to change the subject";
        return Err(StanzaError::new(Condition::Forbidden).with_text(text));
    }
    let text = e.child_named("subject").map(Element::text).unwrap_or_default();
    if text.len() > world.config.limits.max_subject_bytes {
        return Err(StanzaError::new(Condition::PolicyViolation).with_type(ErrorType::Modify));
    }
    keep_subject(room, world, &e, &text);
    room.say(world, &sender.bare, &Outgoing::new(e));
    Ok(())
}

/// `live`: as those who are here hear it.
fn keep_subject(room: &mut Room, world: &mut World, live: &Element, text: &str) {
    let mut replayed = Element::new("message", ns::CLIENT)
        .with_attr("type", "groupchat")
        .with_opt_attr("from", live.attr("from"))
        .with_child(Element::inherit("subject").with_text(text));
    replayed.push(delay(room, world));
    audience::subject(room, world, live, &replayed);
    room.subject = Some(Subject::new(replayed));
}

/// The room's subject is set in its own name.
pub(super) fn subject_by_room(room: &mut Room, world: &mut World, text: &str) {
    let from = room.shown().to_owned();
    let said = Element::new("message", ns::CLIENT)
        .with_attr("type", "groupchat")
        .with_attr("from", from)
        .with_child(Element::inherit("subject").with_text(text));
    keep_subject(room, world, &said, text);
    room.broadcast(world, &Outgoing::new(said));
}

pub(super) fn delay(room: &Room, world: &World) -> Element {
    Element::new("delay", ns::DELAY)
        .with_attr("from", room.shown())
        .with_attr("stamp", world.clock.stamp(world.now))
}

/// To one occupant.
fn private(t: &mut Turn<'_>, sender: &Sender, nick: &str, mut e: Element) -> Result<(), StanzaError> {
    if t.room.watches().is_some()
        && let Some(told) = audience::private(t, sender, nick, &e)
    {
        return told;
    }
    let own = t.room.occupant_of(sender.id).ok_or_else(not_in)?;
    if e.attr("type") == Some("groupchat") {
        return Err(StanzaError::new(Condition::BadRequest).with_type(ErrorType::Modify));
    }
    let from = t.room.occupant_jid(&own.nick);
    let Some(target) = t.room.occupant(nick) else {
        return Err(StanzaError::new(Condition::ItemNotFound).with_text("Recipient not in room"));
    };
    let heard = t.room.carries(&t.world.config, &target.bare, &sender.bare);
    let targets: Vec<_> = target.sessions.iter().map(|s| s.id).collect();
    if let Some(target) = targets.last() {
        t.world.reaches(sender, *target);
    }
    for (name, rule) in t.modules.iter().filter_map(|m| Some((m.name, m.private?))) {
        let said = rule(t.room, t.world, sender, &mut e);
        t.world.counters.relay(name, &said);
        if said? == Relay::Drop {
            return Ok(());
        }
    }
    if !heard {
        t.world.counters.add(Counter::RuleDropped);
        return Ok(());
    }
    if last_word(t, sender, &mut e)? == Relay::Drop {
        return Ok(());
    }
    e.set_attr("from", from);
    e.push(Element::new("x", ns::MUC_USER));
    let out = Outgoing::new(e);
    for id in targets {
        t.world.deliver(id, &out);
    }
    Ok(())
}
