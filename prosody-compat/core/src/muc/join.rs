//! A join presence in; the room created if allowed, the rules asked in order, and then everything a newcomer and the
//! others get, in upstream's order (xmpp-server §3.3), out.

use jitsi_xmpp::{BareJid, Condition, Element, StanzaError, ns};

use super::Rooms;
use super::held::{self, Held};
use super::history::Wanted;
use super::presence::{self, Change};
use super::room::{Affiliation, Occupant, OccupantSession, Room, RoomKind};
use crate::components::metadata;
use crate::counters::Counter;
use crate::hosts::Host;
use crate::outbox::Outgoing;
use crate::rules::meeting_id::FOCUS_NICK;
use crate::rules::{self, Attempt, Verdict, conference_duration};
use crate::world::{Sender, World};

/// Available presence of somebody who is not in the room.
pub(super) fn presence(
    rooms: &mut Rooms,
    world: &mut World,
    sender: &Sender,
    host: Host,
    room_jid: &BareJid,
    nick: &str,
    e: Element,
) {
    let host_domain = room_jid.domain().to_owned();
    let Some(x) = e.child("x", ns::MUC) else {
        let (error, by) = match rooms.get(room_jid) {
            Some(room) => (
                StanzaError::new(Condition::ItemNotFound)
                    .with_text("You are not currently connected to this chat"),
                room.shown().to_owned(),
            ),
            None => (StanzaError::new(Condition::ItemNotFound), host_domain),
        };
        world.refuse(sender, &e, &error, Some(&by));
        return;
    };
    let password = x.child_named("password").map(Element::text);
    let mut attempt = Attempt { sender: sender.clone(), nick: nick.into(), presence: e, password };
    let created = rooms.get(room_jid).is_none();
    if created {
        let verdict = rules::CREATE
            .iter()
            .map(|rule| rule(world, room_jid, &attempt))
            .find(|v| !matches!(v, Verdict::Pass));
        if let Some(Verdict::Refuse { error, .. }) = verdict {
            world.counters.add(Counter::JoinsRefused);
            world.refuse(sender, &attempt.presence, &error, Some(&host_domain));
            return;
        }
        let kind = if host == Host::InternalMuc { RoomKind::Brewery } else { RoomKind::Meeting };
        let meeting_id = world.entropy.uuid();
        let mut room = Room::new(&world.config, room_jid.clone(), kind, meeting_id);
        room.affiliate(&sender.bare, Affiliation::Owner, world.config.limits.max_affiliations);
        rooms.insert(world, room);
    }
    let Some(room) = rooms.get_mut(room_jid) else { return };
    try_join(room, world, &mut attempt, created);
    rooms.remove_if_empty(world, room_jid);
}

/// Asks the rules and admits, holds or refuses.
pub(super) fn try_join(room: &mut Room, world: &mut World, attempt: &mut Attempt, created: bool) {
    for rule in rules::JOIN {
        match rule(world, room, attempt) {
            Verdict::Pass => {}
            Verdict::Hold => {
                held::hold(room, world, Held::new(world.now, attempt));
                return;
            }
            Verdict::Refuse { error, by_host } => {
                world.counters.add(Counter::JoinsRefused);
                let by = if by_host { room.jid.domain().to_owned() } else { room.shown().to_owned() };
                world.refuse(&attempt.sender, &attempt.presence, &error, Some(&by));
                return;
            }
        }
    }
    admit(room, world, attempt, created);
}

fn admit(room: &mut Room, world: &mut World, attempt: &Attempt, created: bool) {
    let Attempt { sender, nick, presence: said, .. } = attempt;
    let wanted = Wanted::read(said.child("x", ns::MUC));
    let kept = presence::clean(world, sender, said.clone(), true);
    for o in room.occupants().filter(|o| o.nick != *nick) {
        world.deliver(sender.id, &o.seen);
    }
    if room.kind == RoomKind::Meeting {
        metadata::welcome(room, world, sender);
    }
    let session = OccupantSession { id: sender.id, jid: sender.jid.clone() };
    if room.occupant(nick).is_some() {
        room.add_session(nick, session);
        if let Some(o) = room.occupant_mut(nick) {
            o.presence = kept;
        }
    } else {
        let role = room.affiliation(&world.config, &sender.bare).role();
        let seen = Outgoing::new(kept.clone());
        room.insert(Occupant {
            nick: nick.clone(),
            bare: sender.bare.clone(),
            role,
            sessions: vec![session],
            presence: kept,
            seen,
        });
    }
    if let Some(s) = world.sessions.get_mut(sender.id) {
        s.rooms.push((room.jid.clone(), nick.clone()));
    }
    let mut own_codes = if created { vec![201] } else { Vec::new() };
    own_codes.push(100);
    presence::announce(room, world, nick, &Change { own_codes, ..Change::default() });
    conference_duration::joined(room, world);
    replay(room, world, sender, wanted);
    rules::start_muted::presence(room, world, nick);
    if &**nick == FOCUS_NICK && sender.admin {
        room.focus_was_in = true;
        held::replay(room, world);
    }
}

/// A join of somebody who already is in: the client lost track, it gets everything again.
pub(super) fn again(room: &mut Room, world: &mut World, sender: &Sender, nick: &str, e: Element) {
    let wanted = Wanted::read(e.child("x", ns::MUC));
    for o in room.occupants().filter(|o| *o.nick != *nick) {
        world.deliver(sender.id, &o.seen);
    }
    presence::update(room, world, sender, nick, e);
    replay(room, world, sender, wanted);
}

/// History, then the subject, which ends the join (XEP-0045 §7.2.15).
fn replay(room: &Room, world: &mut World, sender: &Sender, wanted: Wanted) {
    for message in room.history.replay(world.now, wanted) {
        world.deliver(sender.id, &message);
    }
    match &room.subject {
        Some(subject) => world.deliver(sender.id, &subject.replayed),
        None => {
            let none = Element::new("message", ns::CLIENT)
                .with_attr("type", "groupchat")
                .with_attr("from", room.shown())
                .with_child(Element::inherit("subject"));
            world.send(sender.id, none);
        }
    }
}
