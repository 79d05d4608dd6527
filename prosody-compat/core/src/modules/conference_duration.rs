//! Upstream's `conference_duration` (xmpp-server §4.8): when the second occupant is in, the meeting began.

use crate::module::Module;
use crate::room::{Room, form};
use crate::world::{Sender, World};

pub(super) static MODULE: Module = Module {
    name: "conference_duration",
    named: &["conference_duration"],
    joined: Some(joined),
    disco: Some(disco),
    ..Module::NONE
};

/// Milliseconds since 1970.
struct Began(u64);

fn joined(room: &mut Room, world: &mut World, _: &Sender, _: &str) {
    if room.slots.get::<Began>().is_none() && room.len() >= 2 {
        room.slots.put(Began(world.clock.unix(world.now).as_secs() * 1000));
    }
}

/// It began for who watches it when it did for who meets.
pub(super) fn share(meeting: &Room, audience: &mut Room) {
    if let Some(Began(at)) = meeting.slots.get::<Began>() {
        audience.slots.put(Began(*at));
    }
}

/// When that was.
pub(super) fn began(room: &Room) -> Option<String> {
    room.slots.get::<Began>().map(|b| b.0.to_string())
}

fn disco(room: &Room, form: &mut jitsi_xmpp::Element) {
    form.push(form::field("text-single", "muc#roominfo_created_timestamp", &began(room).unwrap_or_default()));
}
