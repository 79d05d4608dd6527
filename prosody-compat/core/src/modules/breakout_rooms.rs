//! Upstream's `muc_breakout_rooms` (xmpp-server §4.4): parts of a meeting talk by themselves, in rooms that moderators open, name
//! and close, and into which only people of the meeting come.
//!
//! The same row is on both sides; what a room is, it knows (`room/beside.rs`). What needs several rooms at once is an effect
//! or the engine's (`muc/breakout.rs`).

use std::time::Duration;

use jitsi_xmpp::{BareJid, Condition, Element, StanzaError};

use crate::limits::breakouts;
use crate::module::{Attempt, Module, Verdict};
use crate::room::beside::Kind;
use crate::room::{Occupant, Room, form};
use crate::timers::Timer;
use crate::world::{Breakout, Effect, Sender, World};

pub(super) static MODULE: Module = Module {
    name: NAME,
    named: &[UPSTREAM],
    create: Some(create),
    joined: Some(joined),
    left: Some(left),
    form: Some(fields),
    disco: Some(disco),
    timer: Some(|room, world| due(world, &room.jid, Breakout::Tell)),
    due: Some(|world, meeting| due(world, meeting, Breakout::Over)),
    ..Module::NONE
};

pub(crate) const NAME: &str = "breakout_rooms";

/// Upstream's name.
pub(super) const UPSTREAM: &str = "muc_breakout_rooms";

/// What tells a client that rooms can be given other names.
pub(crate) const RENAME: &str = "http://jitsi.org/protocol/breakout_rooms#rename";

fn due(world: &mut World, meeting: &BareJid, what: Breakout) {
    world.effects.push_back(Effect::Breakouts { meeting: meeting.clone(), what });
}

/// The focus makes those that a moderator opened, and no other.
fn create(world: &World, room: &BareJid, _: &Attempt) -> Verdict {
    let host = world.hosts.of(&world.config, room.domain());
    let is_ours = host.and_then(|h| world.hosts.rooms(h)).is_some_and(|def| def.is_breakouts);
    if !is_ours || world.breakouts.meeting_of(room).is_some() {
        return Verdict::Pass;
    }
    Verdict::Refuse {
        error: StanzaError::new(Condition::NotAllowed).with_text("Breakout room is invalid."),
        by_host: true,
    }
}

fn joined(room: &mut Room, world: &mut World, sender: &Sender, _: &str) {
    let meeting = room.meeting();
    let Some(parts) = world.breakouts.of_mut(meeting) else { return };
    parts.arrived(sender.id);
    if sender.identity.admin {
        return;
    }
    world.timers.cancel(Timer::Aside(meeting.clone(), NAME));
    changed(world, meeting);
}

fn left(room: &mut Room, world: &mut World, gone: &Occupant) {
    let meeting = room.meeting();
    if world.breakouts.of(meeting).is_none() || world.is_admin(&gone.bare) {
        return;
    }
    changed(world, meeting);
    due(world, meeting, Breakout::Left);
}

/// Everybody will be told who is where: soon, and once for all that happens until then.
pub(crate) fn changed(world: &mut World, meeting: &BareJid) {
    let people = world.breakouts.of(meeting).map_or(0, |parts| parts.people);
    world.timers.set_by(world.now + collected(people), Timer::Room(meeting.clone(), NAME));
}

/// How long changes are collected where so many people are.
fn collected(people: usize) -> Duration {
    let each = breakouts::PER_PERSON.saturating_mul(u32::try_from(people).unwrap_or(u32::MAX));
    each.clamp(breakouts::SHORTEST, LONGEST)
}

/// compat: the focus takes a room for a breakout room by these (test: compat_a_breakout_room_says_whose_it_is).
fn fields(room: &Room, form: &mut Element) {
    if let Kind::BreakoutOf { shown, .. } = &room.kind {
        form.push(form::field("boolean", "muc#roominfo_isbreakout", "1"));
        form.push(form::field("text-single", "muc#roominfo_breakout_main_room", shown));
    }
}

fn disco(room: &Room, form: &mut Element) {
    fields(room, form);
    let lobby = room.lobby.as_ref().filter(|_| room.config.members_only && room.is_breakout());
    if let Some(lobby) = lobby {
        form.push(form::field("text-single", "muc#roominfo_lobbyroom", lobby.jid.as_str()));
    }
}

/// However many there are.
const LONGEST: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_people_the_longer_changes_are_collected() {
        assert_eq!(collected(0), breakouts::SHORTEST);
        let few =
            usize::try_from(breakouts::SHORTEST.as_millis() / breakouts::PER_PERSON.as_millis()).unwrap();
        assert_eq!(collected(few), breakouts::SHORTEST);
        assert_eq!(collected(few + 1), breakouts::SHORTEST + breakouts::PER_PERSON);
        assert_eq!(collected(usize::MAX), LONGEST);
    }
}
