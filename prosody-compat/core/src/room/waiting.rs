//! Joins that wait for something (xmpp-server §4.14): kept in order, by reason; given up in time.
//!
//! Whoever made them wait releases them with `Effect::Release`; then the engine asks every rule again.

use std::time::Instant;

use jitsi_xmpp::xml::{XmlLimits, parse_with};
use jitsi_xmpp::{BareJid, Element, StanzaError, ns};

use super::Room;
use crate::counters::Counter;
use crate::limits::Limits;
use crate::session::SessionId;
use crate::timers::Timer;
use crate::world::{Sender, World};

/// What a join waits for.
pub(crate) struct Reason {
    /// Names it in `Effect::Release`.
    pub(crate) name: &'static str,
    /// What is answered when it does not come. The host says it.
    pub(crate) refusal: fn() -> StanzaError,
}

/// Somebody who wants to join.
pub(crate) struct Attempt {
    pub(crate) sender: Sender,
    pub(crate) nick: Box<str>,
    /// The join presence as sent, `from` stamped.
    pub(crate) presence: Element,
    /// The password given, or put in by a rule.
    pub(crate) password: Option<String>,
    /// When it is this one's turn to have its password looked at.
    pub(crate) turn: Option<Instant>,
}

/// One join that waits.
pub(crate) struct Held {
    sender: Sender,
    nick: Box<str>,
    /// Its bytes: a tree would be many times larger.
    presence: Box<str>,
    password: Option<String>,
    turn: Option<Instant>,
    since: Instant,
    reason: &'static Reason,
}

impl Held {
    fn new(attempt: Attempt, since: Instant, reason: &'static Reason) -> Self {
        let Attempt { sender, nick, presence, password, turn } = attempt;
        Self { sender, nick, presence: presence.to_xml().into(), password, turn, since, reason }
    }

    /// Once more to be asked about. `None`: never, as the bytes are an element's.
    fn attempt(self, limits: &Limits) -> Option<Attempt> {
        let Self { sender, nick, presence, password, turn, .. } = self;
        let most = XmlLimits {
            max_bytes: presence.len(),
            max_elements: limits.max_elements.saturating_mul(10),
            max_depth: limits.max_depth,
            ..XmlLimits::default()
        };
        let presence = parse_with(presence.as_bytes(), ns::CLIENT, &most).ok()?;
        Some(Attempt { sender, nick, presence, password, turn })
    }

    pub(crate) fn waits_for(&self, reason: &str) -> bool {
        self.reason.name == reason
    }

    pub(crate) fn is_of(&self, id: SessionId) -> bool {
        self.sender.id == id
    }

    pub(crate) const fn turn(&self) -> Option<Instant> {
        self.turn
    }
}

/// The name under which this module is woken.
pub(crate) const NAME: &str = "waiting";

/// Keeps a join; one more than the limit is refused as if it had waited too long.
pub(crate) fn hold(room: &mut Room, world: &mut World, attempt: Attempt, reason: &'static Reason) {
    let id = attempt.sender.id;
    room.held.retain(|h| !h.is_of(id));
    let limits = &world.config.limits;
    let (most, most_rooms) = (limits.max_held_joins, limits.max_rooms_per_client);
    let held = Held::new(attempt, world.now, reason);
    let waits_in = world.sessions.get(id).map_or(0, |s| s.waits_in.len());
    if room.held.len() >= most || waits_in >= most_rooms {
        world.counters.add(Counter::JoinsDropped);
        give_up(room, world, held);
        return;
    }
    world.counters.add(Counter::JoinsHeld);
    let at = held.since + world.config.limits.held_join_timeout;
    world.timers.set_by(at, Timer::Room(room.jid.clone(), NAME));
    if let Some(s) = world.sessions.get_mut(id)
        && !s.waits_in.contains(&room.jid)
    {
        s.waits_in.push(room.jid.clone());
    }
    room.held.push_back(held);
}

/// Those who waited for this and still are connected, in order.
pub(crate) fn take(room: &mut Room, world: &mut World, reason: &str) -> Vec<Attempt> {
    let (ready, rest) = std::mem::take(&mut room.held).into_iter().partition(|h| h.reason.name == reason);
    room.held = rest;
    if room.held.is_empty() {
        world.timers.cancel(Timer::Room(room.jid.clone(), NAME));
    }
    let mut attempts = Vec::new();
    for held in Vec::from(ready) {
        if let Some(s) = world.sessions.get_mut(held.sender.id) {
            s.waits_in.retain(|r| *r != room.jid);
            attempts.extend(held.attempt(&world.config.limits));
        }
    }
    attempts
}

/// Refuses what has waited too long.
pub(crate) fn expire(room: &mut Room, world: &mut World) {
    let (now, timeout) = (world.now, world.config.limits.held_join_timeout);
    while room.held.front().is_some_and(|h| h.since + timeout <= now) {
        if let Some(h) = room.held.pop_front() {
            give_up(room, world, h);
        }
    }
    if let Some(next) = room.held.front() {
        world.timers.set(next.since + timeout, Timer::Room(room.jid.clone(), NAME));
    }
}

/// A session ended or changed its mind.
pub(crate) fn forget(room: Option<&mut Room>, world: &mut World, jid: &BareJid, id: SessionId) {
    if let Some(room) = room {
        room.held.retain(|h| !h.is_of(id));
        if room.held.is_empty() {
            world.timers.cancel(Timer::Room(jid.clone(), NAME));
        }
    }
    if let Some(s) = world.sessions.get_mut(id) {
        s.waits_in.retain(|r| r != jid);
    }
}

/// The room is gone before what they waited for came.
pub(crate) fn abandon(room: &mut Room, world: &mut World) {
    for h in std::mem::take(&mut room.held) {
        give_up(room, world, h);
    }
}

fn give_up(room: &Room, world: &mut World, held: Held) {
    let reason = held.reason;
    let Some(Attempt { sender, presence, .. }) = held.attempt(&world.config.limits) else { return };
    if let Some(s) = world.sessions.get_mut(sender.id) {
        s.waits_in.retain(|r| *r != room.jid);
    }
    world.counters.add(Counter::JoinsRefused);
    world.refuse(&sender, &presence, &(reason.refusal)(), Some(room.jid.domain()));
}
