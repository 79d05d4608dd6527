//! All rooms of all hosts, by address.

use std::collections::HashMap;

use jitsi_xmpp::BareJid;

use crate::counters::Counter;
use crate::room::Room;
use crate::world::World;

#[derive(Default)]
pub(crate) struct Rooms {
    by_jid: HashMap<BareJid, Room>,
}

impl Rooms {
    pub(crate) fn get(&self, jid: &BareJid) -> Option<&Room> {
        self.by_jid.get(jid)
    }

    pub(crate) fn get_mut(&mut self, jid: &BareJid) -> Option<&mut Room> {
        self.by_jid.get_mut(jid)
    }

    /// All of them, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Room> {
        self.by_jid.values()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_jid.len()
    }

    /// Occupants of all rooms.
    pub(crate) fn occupants(&self) -> usize {
        self.by_jid.values().map(Room::len).sum()
    }

    pub(crate) fn insert(&mut self, world: &mut World, room: Room) {
        world.counters.add(Counter::RoomsCreated);
        self.by_jid.insert(room.jid.clone(), room);
        world.rooms = self.by_jid.len();
    }

    pub(crate) fn take(&mut self, world: &mut World, jid: &BareJid) -> Option<Room> {
        let room = self.by_jid.remove(jid)?;
        world.counters.add(Counter::RoomsDestroyed);
        world.rooms = self.by_jid.len();
        Some(room)
    }
}
