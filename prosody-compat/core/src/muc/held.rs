//! Joins that wait for the focus (xmpp-server §4.14): kept in order, replayed when it is in, given up in time.

use std::time::Instant;

use jitsi_xmpp::{BareJid, Condition, Element, StanzaError};

use super::room::Room;
use super::{Rooms, join};
use crate::counters::Counter;
use crate::rules::{Attempt, admission};
use crate::session::SessionId;
use crate::timers::Timer;
use crate::world::{Sender, World};

/// One join that waits.
pub(crate) struct Held {
    sender: Sender,
    nick: Box<str>,
    presence: Element,
    password: Option<String>,
    since: Instant,
}

impl Held {
    pub(super) fn new(now: Instant, attempt: &Attempt) -> Self {
        Self {
            sender: attempt.sender.clone(),
            nick: attempt.nick.clone(),
            presence: attempt.presence.clone(),
            password: attempt.password.clone(),
            since: now,
        }
    }
}

/// Keeps a join; one more than the limit is refused as if the room did not exist, so that the client tries again.
pub(super) fn hold(room: &mut Room, world: &mut World, held: Held) {
    room.held.retain(|h| h.sender.id != held.sender.id);
    let most_rooms = world.config.limits.max_rooms_per_client;
    let waits_in = world.sessions.get(held.sender.id).map_or(0, |s| s.waits_in.len());
    if room.held.len() >= world.config.limits.max_held_joins || waits_in >= most_rooms {
        world.counters.add(Counter::JoinsDropped);
        give_up(room, world, &held);
        return;
    }
    world.counters.add(Counter::JoinsHeld);
    let at = held.since + world.config.limits.held_join_timeout;
    world.timers.set_by(at, Timer::Held(room.jid.clone()));
    if let Some(s) = world.sessions.get_mut(held.sender.id)
        && !s.waits_in.contains(&room.jid)
    {
        s.waits_in.push(room.jid.clone());
    }
    room.held.push_back(held);
}

/// The focus is in: everybody who still is connected comes in, in order.
pub(super) fn replay(room: &mut Room, world: &mut World) {
    world.timers.cancel(Timer::Held(room.jid.clone()));
    for h in std::mem::take(&mut room.held) {
        let Some(s) = world.sessions.get_mut(h.sender.id) else { continue };
        s.waits_in.retain(|r| *r != room.jid);
        let mut attempt =
            Attempt { sender: h.sender, nick: h.nick, presence: h.presence, password: h.password };
        join::try_join(room, world, &mut attempt, false);
    }
}

/// Refuses what has waited too long.
pub(crate) fn expire(rooms: &mut Rooms, world: &mut World, jid: &BareJid) {
    let Some(room) = rooms.get_mut(jid) else { return };
    let (now, timeout) = (world.now, world.config.limits.held_join_timeout);
    while room.held.front().is_some_and(|h| h.since + timeout <= now) {
        if let Some(h) = room.held.pop_front() {
            give_up(room, world, &h);
        }
    }
    if let Some(next) = room.held.front() {
        world.timers.set(next.since + timeout, Timer::Held(jid.clone()));
    }
    rooms.remove_if_empty(world, jid);
}

/// A session ended or changed its mind.
pub(crate) fn forget(rooms: &mut Rooms, world: &mut World, jid: &BareJid, id: SessionId) {
    if let Some(room) = rooms.get_mut(jid) {
        room.held.retain(|h| h.sender.id != id);
        if room.held.is_empty() {
            world.timers.cancel(Timer::Held(jid.clone()));
        }
    }
    if let Some(s) = world.sessions.get_mut(id) {
        s.waits_in.retain(|r| r != jid);
    }
    rooms.remove_if_empty(world, jid);
}

/// The room is gone before the focus came.
pub(super) fn abandon(room: &mut Room, world: &mut World) {
    world.timers.cancel(Timer::Held(room.jid.clone()));
    for h in std::mem::take(&mut room.held) {
        give_up(room, world, &h);
    }
}

fn give_up(room: &Room, world: &mut World, held: &Held) {
    if let Some(s) = world.sessions.get_mut(held.sender.id) {
        s.waits_in.retain(|r| *r != room.jid);
    }
    let error = StanzaError::new(Condition::NotAllowed).with_text(admission::CREATION_IS_RESTRICTED);
    world.counters.add(Counter::JoinsRefused);
    world.refuse(&held.sender, &held.presence, &error, Some(room.jid.domain()));
}
