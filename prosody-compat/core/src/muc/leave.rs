//! Leaving: by unavailable presence, by losing the session, by error, by kick; the others are told, an empty room
//! goes away.

use jitsi_xmpp::{BareJid, Element, ns};

use super::breakout;
use super::presence::{self, Change};
use super::turn::{Muc, Turn};
use crate::room::rank::Affiliation;
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
    // compat: clients say so when they go into another room of the meeting (test:
    // compat_a_nick_is_kept_for_who_goes_from_room_to_room).
    if e.child_named("status").is_some_and(|s| s.text() == "switch_room")
        && let Some(parts) = t.world.breakouts.of_mut(t.room.meeting())
    {
        parts.leaves(sender.id, &nick, |id| t.world.sessions.get(id).is_some());
    }
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

/// Somebody has to go, by nobody's hand, and is nobody in particular any more.
pub(super) fn turn_out(muc: &mut Muc<'_>, room_jid: &BareJid, nick: &str, said: Element) {
    let Some(mut t) = muc.turn(room_jid) else { return };
    let Some(bare) = t.room.occupant(nick).map(|o| o.bare.clone()) else { return };
    let most = t.world.config.limits.max_affiliations;
    // Taking one away always fits.
    let _ = t.room.affiliate(&bare, Affiliation::None, most);
    let change = Change { codes: vec![307], ..Change::default() };
    let said = Element::new("presence", ns::CLIENT).with_child(said);
    remove(&mut t, nick, None, Some(&said), &change);
    let lobby = t.room.lobby.as_ref().map(|lobby| lobby.jid.clone());
    muc.sweep(room_jid);
    if let Some(lobby) = lobby
        && let Some(mut t) = muc.turn(&lobby)
    {
        for nick in t.room.nicks_of(&bare) {
            remove(&mut t, &nick, None, Some(&said), &change);
        }
        muc.sweep(&lobby);
    }
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
    let reason = destroy.child_named("reason").cloned();
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
    breakout::end(muc, room_jid, reason.as_ref());
}
