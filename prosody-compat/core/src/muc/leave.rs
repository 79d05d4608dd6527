//! Leaving: by unavailable presence, by losing the session, by error, by kick; the others are told, an empty room
//! goes away.

use jitsi_xmpp::{BareJid, Element};

use super::presence::{self, Change};
use super::turn::{Muc, Turn};
use crate::room::waiting;
use crate::session::SessionId;
use crate::world::{Sender, World};

/// Somebody left by itself; the reflection keeps id and children.
pub(super) fn by_itself(muc: &mut Muc<'_>, sender: &Sender, room_jid: &BareJid, e: &Element) {
    let Some(mut t) = muc.turn(room_jid) else { return };
    let Some(nick) = t.room.occupant_of(sender.id).map(|o| o.nick.clone()) else {
        forget_waiting(muc, room_jid, sender);
        return;
    };
    t.world.reaches_all(&mut t.room.pace, sender, 1);
    let said = presence::clean(&t, sender, e.clone(), false);
    remove(&mut t, &nick, Some(sender.id), Some(&said), &Change::default());
    muc.sweep(room_jid);
}

/// Unavailable presence without address: everything is left.
pub(crate) fn everywhere(muc: &mut Muc<'_>, sender: &Sender, e: &Element) {
    let joined: Vec<BareJid> = muc
        .world
        .sessions
        .get(sender.id)
        .map(|s| s.rooms.iter().map(|(r, _)| r).chain(&s.waits_in).cloned().collect())
        .unwrap_or_default();
    for room in joined {
        by_itself(muc, sender, &room, e);
    }
}

/// The session is gone, nothing can be sent to it any more.
pub(crate) fn lost(muc: &mut Muc<'_>, room_jid: &BareJid, nick: &str, id: SessionId) {
    let Some(mut t) = muc.turn(room_jid) else { return };
    remove(&mut t, nick, Some(id), None, &Change::default());
    muc.sweep(room_jid);
}

/// A session does not want to come in any more.
pub(crate) fn forget_waiting(muc: &mut Muc<'_>, room_jid: &BareJid, sender: &Sender) {
    waiting::forget(muc.rooms.get_mut(room_jid), muc.world, room_jid, sender);
    muc.sweep(room_jid);
}

/// Removes an occupant, or only one of its sessions, and tells everybody.
pub(super) fn remove(
    t: &mut Turn<'_>,
    nick: &str,
    only: Option<SessionId>,
    said: Option<&Element>,
    change: &Change,
) {
    let Some(o) = t.room.occupant(nick) else { return };
    if let Some(id) = only
        && !o.sessions.iter().any(|s| s.id == id)
    {
        return;
    }
    let others_remain = only.is_some() && o.sessions.len() > 1;
    if let (Some(id), true) = (only, others_remain) {
        presence::announce_session_gone(t, nick, id, said);
        t.room.remove_session(nick, id);
        forget(t.world, id, &t.room.jid);
        presence::announce(t, nick, &Change::default());
        return;
    }
    let Some(gone) = t.room.remove(nick) else { return };
    for s in &gone.sessions {
        forget(t.world, s.id, &t.room.jid);
    }
    presence::announce_gone(t.room, t.world, &gone, said, change);
    for m in t.modules {
        if let Some(left) = m.left {
            left(t.room, t.world, &gone);
        }
    }
}

fn forget(world: &mut World, id: SessionId, room: &BareJid) {
    if let Some(s) = world.sessions.get_mut(id) {
        s.rooms.retain(|(r, _)| r != room);
    }
}

/// The server itself removes somebody, who may come again.
pub(crate) fn kick(muc: &mut Muc<'_>, room_jid: &BareJid, nick: &str) {
    let Some(mut t) = muc.turn(room_jid) else { return };
    remove(&mut t, nick, None, None, &Change { codes: vec![307], ..Change::default() });
    muc.sweep(room_jid);
}

/// Ends a room: everybody gets its own unavailable presence with the reason.
pub(crate) fn destroy(muc: &mut Muc<'_>, room_jid: &BareJid, destroy: Element) {
    let Some(mut room) = muc.take(room_jid) else { return };
    let nicks: Vec<Box<str>> = room.occupants().map(|o| o.nick.clone()).collect();
    let change = Change { destroy: Some(destroy), ..Change::default() };
    let mut gone = Vec::new();
    for nick in nicks {
        gone.extend(room.remove(&nick));
    }
    for o in &gone {
        for s in &o.sessions {
            forget(muc.world, s.id, &room.jid);
        }
        // The room is empty by now, so this reaches only the occupant itself.
        presence::announce_gone(&room, muc.world, o, None, &change);
    }
    waiting::abandon(&mut room, muc.world);
}
