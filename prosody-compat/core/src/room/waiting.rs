//! Joins that wait for something (xmpp-server §4.14): kept in order, by reason; given up in time.
//!
//! Whoever made them wait releases them with `Effect::Release`; then the engine asks every rule again.

use std::time::Instant;

use jitsi_xmpp::xml::{XmlLimits, parse_with};
use jitsi_xmpp::{BareJid, Element, StanzaError, ns};

use super::Room;
use crate::counters::Counter;
use crate::kept::Share;
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
    /// One that had a turn will not take it: what was reserved is given back.
    pub(crate) freed: Option<fn(&mut Room, &mut World, &Sender)>,
}

/// Somebody who wants to join.
pub(crate) struct Attempt {
    pub(crate) sender: Sender,
    pub(crate) nick: Box<str>,
    /// The join presence as sent, `from` stamped.
    pub(crate) presence: Element,
    /// The password given, or put in by a rule.
    pub(crate) password: Option<String>,
    /// What the presence counts.
    pub(crate) share: Share,
    /// When it is this one's turn, where others are before it.
    pub(crate) turns: Turns,
}

/// Turns that were given and not taken yet.
#[derive(Default)]
pub(crate) struct Turns(Vec<(&'static Reason, Instant)>);

impl Turns {
    pub(crate) fn get(&self, reason: &str) -> Option<Instant> {
        self.0.iter().find(|(r, _)| r.name == reason).map(|(_, at)| *at)
    }

    pub(crate) fn give(&mut self, reason: &'static Reason, at: Instant) {
        self.0.push((reason, at));
    }

    /// This one has had its turn.
    pub(crate) fn take(&mut self, reason: &str) {
        self.0.retain(|(r, _)| r.name != reason);
    }

    fn free(self, room: &mut Room, world: &mut World, sender: &Sender) {
        for freed in self.0.into_iter().filter_map(|(reason, _)| reason.freed) {
            freed(room, world, sender);
        }
    }
}

/// One join that waits.
pub(crate) struct Held {
    sender: Sender,
    nick: Box<str>,
    /// Its bytes: a tree would be many times larger.
    presence: Box<str>,
    password: Option<String>,
    share: Share,
    turns: Turns,
    since: Instant,
    reason: &'static Reason,
}

impl Held {
    fn new(attempt: Attempt, since: Instant, reason: &'static Reason) -> Self {
        let Attempt { sender, nick, presence, password, share, turns } = attempt;
        Self { sender, nick, presence: presence.to_xml().into(), password, share, turns, since, reason }
    }

    /// Once more to be asked about. `None`: never, as the bytes are an element's.
    fn attempt(self, limits: &Limits) -> Option<Attempt> {
        let Self { sender, nick, presence, password, share, turns, .. } = self;
        let most = XmlLimits {
            max_bytes: presence.len(),
            max_elements: limits.max_elements.saturating_mul(10),
            max_depth: limits.max_depth,
            ..XmlLimits::default()
        };
        let presence = parse_with(presence.as_bytes(), ns::CLIENT, &most).ok()?;
        Some(Attempt { sender, nick, presence, password, share, turns })
    }

    pub(crate) fn waits_for(&self, reason: &str) -> bool {
        self.reason.name == reason
    }

    pub(crate) fn is_of(&self, id: SessionId) -> bool {
        self.sender.id == id
    }

    /// When it is its turn, if it waits for one.
    pub(crate) fn turn(&self) -> Option<Instant> {
        self.turns.get(self.reason.name)
    }
}

/// The name under which this module is woken.
pub(crate) const NAME: &str = "waiting";

/// Keeps a join; one more than the limit is refused as if it had waited too long.
pub(crate) fn hold(room: &mut Room, world: &mut World, attempt: Attempt, reason: &'static Reason) {
    let id = attempt.sender.id;
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

/// Those who waited for this, whose turn it is and who still are connected, in order.
pub(crate) fn take(room: &mut Room, world: &mut World, reason: &str) -> Vec<Attempt> {
    let now = world.now;
    let (ready, rest) = std::mem::take(&mut room.held)
        .into_iter()
        .partition(|h| h.waits_for(reason) && h.turn().is_none_or(|at| at <= now));
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

/// A session asks again: what it asked before counts no more, but it keeps the turns that it was given.
pub(crate) fn supersede(room: &mut Room, world: &mut World, id: SessionId) -> Turns {
    let (before, rest) = std::mem::take(&mut room.held).into_iter().partition(|h| h.is_of(id));
    room.held = rest;
    if let Some(s) = world.sessions.get_mut(id) {
        s.waits_in.retain(|r| *r != room.jid);
    }
    if room.held.is_empty() {
        world.timers.cancel(Timer::Room(room.jid.clone(), NAME));
    }
    Turns(Vec::from(before).into_iter().flat_map(|h: Held| h.turns.0).collect())
}

/// A session ended or changed its mind.
pub(crate) fn forget(room: Option<&mut Room>, world: &mut World, jid: &BareJid, sender: &Sender) {
    match room {
        Some(room) => supersede(room, world, sender.id).free(room, world, sender),
        None => {
            if let Some(s) = world.sessions.get_mut(sender.id) {
                s.waits_in.retain(|r| r != jid);
            }
        }
    }
}

/// What was asked was refused: what it has not used is others'.
pub(crate) fn refused(room: &mut Room, world: &mut World, attempt: Attempt) {
    attempt.turns.free(room, world, &attempt.sender);
}

/// The room is gone before what they waited for came.
pub(crate) fn abandon(room: &mut Room, world: &mut World) {
    for h in std::mem::take(&mut room.held) {
        give_up(room, world, h);
    }
}

fn give_up(room: &mut Room, world: &mut World, held: Held) {
    let reason = held.reason;
    let Some(Attempt { sender, presence, turns, .. }) = held.attempt(&world.config.limits) else { return };
    turns.free(room, world, &sender);
    if let Some(s) = world.sessions.get_mut(sender.id) {
        s.waits_in.retain(|r| *r != room.jid);
    }
    world.counters.add(Counter::JoinsRefused);
    world.refuse(&sender, &presence, &(reason.refusal)(), Some(room.jid.domain()));
}
