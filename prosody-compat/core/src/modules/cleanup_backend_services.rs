//! Upstream's `muc_cleanup_backend_services` (xmpp-server §4.38): a meeting in which only recorders and transcribers are left ends.

use crate::module::Module;
use crate::room::{Occupant, Room};
use crate::timers::Timer;
use crate::world::{Effect, Sender, World};

pub(super) static MODULE: Module = Module {
    name: NAME,
    named: &["muc_cleanup_backend_services"],
    joined: Some(joined),
    left: Some(left),
    timer: Some(over),
    ..Module::NONE
};

const NAME: &str = "cleanup_backend_services";

fn joined(room: &mut Room, world: &mut World, sender: &Sender, _: &str) {
    if !sender.identity.admin && sender.identity.unseen.is_none() {
        world.timers.cancel(Timer::Room(room.jid.clone(), NAME));
    }
}

/// Whether somebody is one of those who meet.
fn meets(world: &World, occupant: &Occupant) -> bool {
    !world.is_admin(&occupant.bare) && world.config.unseen(&occupant.bare).is_none()
}

fn left(room: &mut Room, world: &mut World, gone: &Occupant) {
    // Of a meeting with breakout rooms others know when it is over.
    if meets(world, gone) && !room.occupants().any(|o| meets(world, o)) && !has_breakouts(room, world) {
        let at = world.now + room.policy.services_alone;
        world.timers.set(at, Timer::Room(room.jid.clone(), NAME));
    }
}

fn has_breakouts(room: &Room, world: &World) -> bool {
    world.breakouts.of(&room.jid).is_some()
}

fn over(room: &mut Room, world: &mut World) {
    if room.occupants().any(|o| meets(world, o)) || has_breakouts(room, world) {
        return;
    }
    let reason = "Empty room with recording and/or transcribing.";
    world.effects.push_back(Effect::Destroy { room: room.jid.clone(), reason });
}
