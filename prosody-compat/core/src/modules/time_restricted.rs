//! The community's `time_restricted` and `per_room_time_restricted` (xmpp-server §4.37): a meeting ends after so many minutes, and says
//! so at its beginning.

use std::time::Duration;

use crate::module::Module;
use crate::muc::message;
use crate::room::Room;
use crate::timers::Timer;
use crate::world::{Effect, World};

pub(super) static MODULE: Module = Module {
    name: NAME,
    named: &["time_restricted", "per_room_time_restricted"],
    created: Some(created),
    timer: Some(over),
    ..Module::NONE
};

const NAME: &str = "time_restricted";

fn created(room: &mut Room, world: &mut World) {
    if room.is_health_check() {
        return;
    }
    let minutes = room.policy.minutes_of(room.name()).unwrap_or(UNSAID);
    let at = world.now + Duration::from_secs(u64::from(minutes) * 60);
    world.timers.set(at, Timer::Room(room.jid.clone(), NAME));
    // Nobody is in yet; latecomers hear it, and everybody is one.
    message::by_room(room, world, &format!("The conference will be terminated in {minutes} min"));
}

fn over(room: &mut Room, world: &mut World) {
    let reason = "The meeting has been terminated";
    world.effects.push_back(Effect::Destroy { room: room.jid.clone(), reason });
}

/// Minutes where none are named, as by the community's module.
const UNSAID: u32 = 10;
