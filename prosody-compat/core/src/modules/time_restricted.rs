//! Upstream's `time_restricted`, before of the community, and its `per_room_time_restricted` (xmpp-server §4.37): a meeting ends after so
//! many minutes, and says so at its beginning; whoever comes is told how long it lasts and how far it is.

use std::time::{Duration, Instant};

use serde_json::json;

use super::push;
use crate::module::Module;
use crate::muc::message;
use crate::room::Room;
use crate::timers::Timer;
use crate::world::{Effect, Sender, World};

pub(super) static MODULE: Module = Module {
    name: NAME,
    named: &["time_restricted", "per_room_time_restricted"],
    created: Some(created),
    joined: Some(joined),
    timer: Some(over),
    ..Module::NONE
};

const NAME: &str = "time_restricted";

/// When the meeting began.
struct Began(Instant);

fn minutes(room: &Room) -> u32 {
    room.policy.minutes_of(room.name()).unwrap_or(UNSAID)
}

fn created(room: &mut Room, world: &mut World) {
    if room.is_health_check() {
        return;
    }
    let minutes = minutes(room);
    let at = world.now + Duration::from_secs(u64::from(minutes) * 60) + room.policy.minutes_grace;
    world.timers.set(at, Timer::Room(room.jid.clone(), NAME));
    room.slots.put(Began(world.now));
    // Nobody is in yet; latecomers hear it, and everybody is one. Clients that count down hear it twice.
    message::by_room(room, world, &format!("The conference will be terminated in {minutes} min"));
}

/// compat: clients count down by this (test: a_meeting_ends_after_its_minutes_and_says_so_at_its_beginning).
fn joined(room: &mut Room, world: &mut World, sender: &Sender, _: &str) {
    let Some(Began(at)) = room.slots.get::<Began>() else { return };
    let elapsed = world.now.saturating_duration_since(*at).as_secs();
    let duration = u64::from(minutes(room)) * 60;
    let said = json!({ "type": NAME, "durationSeconds": duration, "elapsedSeconds": elapsed });
    push::to(world, sender.id, room.shown(), &said);
}

fn over(room: &mut Room, world: &mut World) {
    let reason = "This meeting reached its time limit and has ended.";
    world.effects.push_back(Effect::Destroy { room: room.jid.clone(), reason });
}

/// Minutes where none are named, as by the community's module.
const UNSAID: u32 = 10;
