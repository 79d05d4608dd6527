//! Leaving: by unavailable presence, by losing the session, by error, by kick; the others are told, an empty room
//! goes away.

use jitsi_xmpp::{BareJid, Element};

use super::presence::{self, Change};
use super::room::Room;
use super::{Rooms, held};
use crate::session::SessionId;
use crate::world::{Sender, World};

/// Somebody left by itself; the reflection keeps id and children.
pub(super) fn by_itself(
    rooms: &mut Rooms,
    world: &mut World,
    sender: &Sender,
    room_jid: &BareJid,
    e: &Element,
) {
    let Some(room) = rooms.get_mut(room_jid) else { return };
    let Some(nick) = room.occupant_of(sender.id).map(|o| o.nick.clone()) else {
        held::forget(rooms, world, room_jid, sender.id);
        return;
    };
    let said = presence::clean(world, sender, e.clone(), false);
    remove(room, world, &nick, Some(sender.id), Some(&said), &Change::default());
    rooms.remove_if_empty(world, room_jid);
}

/// Unavailable presence without address: everything is left.
pub(crate) fn everywhere(rooms: &mut Rooms, world: &mut World, sender: &Sender, e: &Element) {
    let joined: Vec<BareJid> = world
        .sessions
        .get(sender.id)
        .map(|s| s.rooms.iter().map(|(r, _)| r.clone()).collect())
        .unwrap_or_default();
    for room in joined {
        by_itself(rooms, world, sender, &room, e);
    }
}

/// The session is gone, nothing can be sent to it any more.
pub(crate) fn lost(rooms: &mut Rooms, world: &mut World, room_jid: &BareJid, nick: &str, id: SessionId) {
    let Some(room) = rooms.get_mut(room_jid) else { return };
    remove(room, world, nick, Some(id), None, &Change::default());
    rooms.remove_if_empty(world, room_jid);
}

/// Removes an occupant, or only one of its sessions, and tells everybody.
pub(super) fn remove(
    room: &mut Room,
    world: &mut World,
    nick: &str,
    only: Option<SessionId>,
    said: Option<&Element>,
    change: &Change,
) {
    let Some(o) = room.occupant(nick) else { return };
    if let Some(id) = only
        && !o.sessions.iter().any(|s| s.id == id)
    {
        return;
    }
    let others_remain = only.is_some() && o.sessions.len() > 1;
    if let (Some(id), true) = (only, others_remain) {
        room.remove_session(nick, id);
        forget(world, id, &room.jid);
        presence::announce(room, world, nick, &Change::default());
        return;
    }
    let Some(gone) = room.remove(nick) else { return };
    for s in &gone.sessions {
        forget(world, s.id, &room.jid);
    }
    presence::announce_gone(room, world, &gone, said, change);
}

fn forget(world: &mut World, id: SessionId, room: &BareJid) {
    if let Some(s) = world.sessions.get_mut(id) {
        s.rooms.retain(|(r, _)| r != room);
    }
}

/// Ends a room: everybody gets its own unavailable presence with the reason.
pub(crate) fn destroy(rooms: &mut Rooms, world: &mut World, room_jid: &BareJid, destroy: Element) {
    let Some(mut room) = rooms.take(world, room_jid) else { return };
    let nicks: Vec<Box<str>> = room.occupants().map(|o| o.nick.clone()).collect();
    let change = Change { destroy: Some(destroy), ..Change::default() };
    let mut gone = Vec::new();
    for nick in nicks {
        gone.extend(room.remove(&nick));
    }
    for o in &gone {
        for s in &o.sessions {
            forget(world, s.id, &room.jid);
        }
        // The room is empty by now, so this reaches only the occupant itself.
        presence::announce_gone(&room, world, o, None, &change);
    }
    held::abandon(&mut room, world);
}
