//! What happens between a meeting and the room where strangers wait for it (xmpp-server §4.5): effects that
//! `modules/lobby.rs` and the engine left in; the room that comes and goes, and what the meeting is told, out.

use jitsi_xmpp::{BareJid, Element, Jid};

use super::breakout;
use super::leave;
use super::turn::Muc;
use crate::modules::lobby;
use crate::room::Room;
use crate::room::beside::Kind;
use crate::session::SessionId;
use crate::world::Knocked;

/// Makes the room, empty.
pub(super) fn open(muc: &mut Muc<'_>, meeting: &BareJid) {
    let Some(meeting) = muc.rooms.get(meeting) else { return };
    let Some(jid) = meeting.lobby.as_ref().map(|l| l.jid.clone()) else { return };
    let config = &muc.world.config;
    let Some(host) = muc.hosts.of(config, jid.domain()).filter(|_| muc.rooms.get(&jid).is_none()) else {
        return;
    };
    let Some(def) = muc.hosts.rooms(host) else { return };
    let policy = def.policy_of(config, &meeting.jid).clone();
    let room = Room::lobby_of(config, meeting, jid.clone(), host, policy);
    muc.rooms.insert(muc.world, room);
    muc.created(&jid);
}

/// Ends it. Those who are in go to `next`, if there is one.
pub(super) fn close(muc: &mut Muc<'_>, lobby: &BareJid, next: Option<String>, reason: &str) {
    let meeting = muc.rooms.get(lobby).and_then(|room| match &room.kind {
        Kind::LobbyOf(meeting) => Some(meeting.clone()),
        _ => None,
    });
    let destroy = Element::inherit("destroy").with_opt_attr("jid", next);
    leave::destroy(muc, lobby, destroy.with_child(Element::inherit("reason").with_text(reason)));
    if let Some(meeting) = meeting {
        breakout::follow(muc, &meeting);
        muc.sweep(&meeting);
    }
}

/// Tells the meeting whom somebody let in or turned away.
pub(super) fn answered(muc: &mut Muc<'_>, meeting: &BareJid, by: SessionId, whom: &Knocked) {
    let told = match whom {
        Knocked::Granted(jid) => {
            let room = muc.rooms.get(meeting).and_then(|m| m.lobby.as_ref()).map(|l| &l.jid);
            let Some((room, nick)) = room.and_then(|l| muc.rooms.get(l)).and_then(|l| waits(l, jid)) else {
                return;
            };
            let name = room.occupant(nick).and_then(|o| o.display_name());
            (true, room.occupant_jid(nick), name)
        }
        Knocked::Denied { occupant, name } => (false, occupant.clone(), name.clone()),
    };
    let Some(t) = muc.turn(meeting) else { return };
    let (granted, occupant, name) = told;
    lobby::tell_answer(t.room, t.world, by, granted, &occupant, name.as_deref());
}

/// The nick under which an address waits in a lobby.
fn waits<'a>(lobby: &'a Room, jid: &Jid) -> Option<(&'a Room, &'a str)> {
    let o = lobby.occupants().find(|o| o.sessions.iter().any(|s| s.jid.as_str() == jid.as_str()))?;
    Some((lobby, &o.nick))
}
