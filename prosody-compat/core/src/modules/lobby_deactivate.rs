//! The community's `lobby_deactivate` (xmpp-server §4.37): a lobby that was there from the beginning ends when the first one has come
//! in, unless that one's token wants it.

use super::lobby;
use crate::module::Module;
use crate::room::Room;
use crate::world::{Sender, World};

pub(super) static MODULE: Module =
    Module { name: "lobby_deactivate", named: &["lobby_deactivate"], joined: Some(joined), ..Module::NONE };

/// The first one has come in.
#[derive(Default)]
struct Seen(bool);

fn joined(room: &mut Room, world: &mut World, sender: &Sender, _: &str) {
    if sender.identity.admin || std::mem::replace(&mut room.slots.entry::<Seen>().0, true) {
        return;
    }
    let token = sender.identity.token.as_deref();
    if token.is_none_or(|token| token.room_context.lobby != Some(true)) {
        lobby::end(room, world, lobby::CLOSED);
    }
}
