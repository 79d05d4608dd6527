//! The community's `lobby_autostart` and `lobby_autostart_on_owner` (xmpp-server §4.37): a meeting has a lobby from its beginning, or
//! from the moment when somebody owns it.

use super::lobby;
use crate::module::{Affiliated, Module};
use crate::room::Room;
use crate::room::rank::Affiliation;
use crate::world::{Sender, World};

/// Only those come in whom a rule lets past the lobby, until a moderator is in.
pub(super) static ALWAYS: Module = Module {
    name: "lobby_autostart",
    named: &[UPSTREAM],
    created: Some(|room, world| {
        if !room.is_health_check() {
            lobby::begin(room, world, None);
        }
    }),
    ..Module::NONE
};

/// Who is in before stays in.
pub(super) static ON_OWNER: Module = Module {
    name: "lobby_autostart_on_owner",
    named: &[UPSTREAM_ON_OWNER],
    joined: Some(joined),
    affiliated: Some(affiliated),
    ..Module::NONE
};

/// Upstream's names.
pub(super) const UPSTREAM: &str = "lobby_autostart";
pub(super) const UPSTREAM_ON_OWNER: &str = "lobby_autostart_on_owner";

fn joined(room: &mut Room, world: &mut World, sender: &Sender, _: &str) {
    if !sender.identity.admin && room.affiliation(&world.config, &sender.bare) == Affiliation::Owner {
        owned(room, world);
    }
}

fn affiliated(room: &mut Room, world: &mut World, set: &Affiliated<'_>) {
    if set.affiliation == Affiliation::Owner && !world.is_admin(set.account) {
        owned(room, world);
    }
}

/// What has been opened by itself. Once: who switches the lobby off has the last word.
#[derive(Default)]
struct Begun(bool);

fn owned(room: &mut Room, world: &mut World) {
    if room.is_health_check() || std::mem::replace(&mut room.slots.entry::<Begun>().0, true) {
        return;
    }
    lobby::begin(room, world, None);
}
