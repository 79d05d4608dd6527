//! Upstream's `muc_lobby_rooms` (xmpp-server §4.5): while a moderator has it so, strangers knock and wait in a room of their own
//! beside the meeting until one of the moderators lets them in.
//!
//! The same rows are on both sides of the door; what a room is, it knows (`room/beside.rs`). What needs both rooms at once
//! is an effect (`muc/lobby.rs`).

use jitsi_xmpp::{BareJid, Condition, Element, ErrorType, StanzaError, iq, ns};
use serde_json::{Value, json};

use super::admission::CREATION_IS_RESTRICTED;
use super::{metadata, push, room_password};
use crate::identity::Identity;
use crate::module::{Attempt, Module, Relay, Verdict};
use crate::outbox::Outgoing;
use crate::policy::lists;
use crate::room::beside::{Kind, Lobby};
use crate::room::rank::Affiliation;
use crate::room::{FOCUS_NICK, Room, form};
use crate::session::SessionId;
use crate::tenants;
use crate::world::{Effect, Sender, World};

pub(super) static MODULE: Module = Module {
    name: "lobby",
    named: &[UPSTREAM],
    create: Some(create),
    join: Some(join),
    iq: Some(|room, _, _, _| {
        // compat: who waits is asked nothing (test: compat_in_the_lobby_moderators_hear_and_are_heard).
        Ok(if matches!(room.kind, Kind::LobbyOf(_)) { Relay::Drop } else { Relay::Pass })
    }),
    members_only: Some(members_only),
    disco: Some(disco),
    destroyed: Some(destroyed),
    ..Module::NONE
};

/// Upstream's name.
pub(super) const UPSTREAM: &str = "muc_lobby_rooms";

/// Identity and node of service discovery.
pub(crate) const NODE: &str = "lobbyrooms";

/// A meeting makes its lobby, nobody else.
fn create(world: &World, room: &BareJid, _: &Attempt) -> Verdict {
    let host = world.hosts.of(&world.config, room.domain());
    if !host.and_then(|h| world.hosts.rooms(h)).is_some_and(|def| def.is_lobby) {
        return Verdict::Pass;
    }
    Verdict::Refuse {
        error: StanzaError::new(Condition::NotAllowed).with_text(CREATION_IS_RESTRICTED),
        by_host: true,
    }
}

/// Who comes in, and who is sent to the lobby.
fn join(room: &mut Room, world: &mut World, attempt: &mut Attempt) -> Verdict {
    if !room.config.members_only || room.is_health_check() || &*attempt.nick == FOCUS_NICK {
        return Verdict::Pass;
    }
    let bare = &attempt.sender.bare;
    let affiliation = room.affiliation(&world.config, bare);
    if affiliation == Affiliation::Outcast {
        return Verdict::Pass;
    }
    let is_plain = matches!(affiliation, Affiliation::None | Affiliation::Member);
    let mut exempt = lists(&room.policy.lobby_exempt, bare);
    if !exempt && is_plain && attempt.password.is_some() {
        exempt = match room_password::is_right(room, world, attempt) {
            Ok(right) => right == Some(true),
            Err(first) => return first,
        };
    }
    if exempt && is_plain {
        // Those who are in see it with the presence that follows.
        room.affiliate(&attempt.sender.bare, Affiliation::Member, world.config.limits.max_affiliations);
        return Verdict::Pass;
    }
    if affiliation == Affiliation::Member && attempt.password.is_none() {
        // Whoever was let in need not know the password.
        attempt.password = room.config.password.as_ref().map(|p| p.reveal().clone());
    }
    // Without one it is for XEP-0045's own rule.
    let Some(lobby) = &room.lobby else { return Verdict::Pass };
    let name = attempt.presence.child("nick", ns::NICK).map(Element::text).unwrap_or_default();
    if name.is_empty() && !lobby.nameless {
        let error = StanzaError::new(Condition::NotAcceptable)
            .with_type(ErrorType::Modify)
            .with_extra(Element::new("displayname-required", ns::JITMEET).with_attr("lobby", "true"));
        return answer(attempt, &error, "406", None);
    }
    if affiliation != Affiliation::None {
        return Verdict::Pass;
    }
    let mut error = StanzaError::new(Condition::RegistrationRequired);
    if let Some(reason) = lobby.reason {
        error = error.with_extra(Element::new(reason, ns::JITMEET));
    }
    let jid = lobby.jid.as_str();
    let error = error.with_extra(Element::new("lobbyroom", ns::JITMEET).with_text(jid));
    answer(attempt, &error, "407", Some(jid))
}

/// compat: older apps and Jigasi look for the lobby beside the error (test: compat_strangers_are_sent_to_the_lobby).
fn answer(attempt: &Attempt, error: &StanzaError, code: &'static str, lobby: Option<&str>) -> Verdict {
    let mut presence = iq::error(&attempt.presence, error);
    if let Some(error) = presence.children_mut().next() {
        error.set_attr("code", code);
    }
    if let Some(lobby) = lobby {
        presence.push(Element::inherit("lobbyroom").with_text(lobby));
    }
    presence.push(Element::new("x", ns::MUC));
    Verdict::Answer(Box::new(presence))
}

/// A moderator opens or closes the lobby; the focus, which decides nothing here, does not.
fn members_only(room: &mut Room, world: &mut World, sender: &Sender, on: bool) -> bool {
    if sender.identity.admin || room.lobby.is_some() == on {
        return false;
    }
    if on {
        let Some(lobby) = address(room, world) else { return false };
        room.lobby = Some(Box::new(Lobby { jid: lobby, reason: None, nameless: false, keeps: false }));
        world.lobbies.insert(room.jid.clone());
        world.effects.push_back(Effect::OpenLobby { room: room.jid.clone() });
        notify(room, world, sender.id, &json!({ "event": ENABLED, "value": true }));
        note(room, world, true);
    } else {
        let next = Some(room.shown().to_owned());
        close(room, world, next, CLOSED);
        note(room, world, false);
        notify(room, world, sender.id, &json!({ "event": ENABLED, "value": false }));
    }
    true
}

/// The server opens one, for a meeting that stays while somebody waits; those who are in stay in. Who knocks is told the `reason`,
/// and then needs no name.
pub(super) fn begin(room: &mut Room, world: &mut World, reason: Option<&'static str>) {
    let Some(jid) = address(room, world).filter(|_| room.lobby.is_none()) else { return };
    let is_stranger = |bare: &&BareJid| room.affiliation(&world.config, bare) == Affiliation::None;
    let strangers: Vec<BareJid> = room.occupants().map(|o| &o.bare).filter(is_stranger).cloned().collect();
    for bare in &strangers {
        room.affiliate(bare, Affiliation::Member, world.config.limits.max_affiliations);
    }
    room.config.members_only = true;
    room.lobby = Some(Box::new(Lobby { jid, reason, nameless: reason.is_some(), keeps: true }));
    if reason.is_none() {
        world.lobbies.insert(room.jid.clone());
    }
    world.effects.push_back(Effect::OpenLobby { room: room.jid.clone() });
    if !world.component(room.host, metadata::NAME).is_empty() {
        let _ = metadata::set_silently(room, world, None, "lobbyEnabled", Value::Bool(true));
    }
    configured(room, world);
}

/// The server ends it: everybody may come in.
pub(super) fn end(room: &mut Room, world: &mut World, reason: &'static str) {
    if room.lobby.is_none() {
        return;
    }
    room.config.members_only = false;
    let next = Some(room.shown().to_owned());
    close(room, world, next, reason);
    note(room, world, false);
    configured(room, world);
}

/// Everybody looks at the configuration again.
fn configured(room: &Room, world: &mut World) {
    let status = Element::inherit("status").with_attr("code", "104");
    let message = Element::new("message", ns::CLIENT)
        .with_attr("type", "groupchat")
        .with_attr("from", room.shown())
        .with_child(Element::new("x", ns::MUC_USER).with_child(status));
    room.broadcast(world, &Outgoing::new(message));
}

/// Where a meeting's lobby is.
fn address(room: &Room, world: &World) -> Option<BareJid> {
    let domain = world.hosts.rooms(room.host)?.lobby.as_deref()?;
    BareJid::from_parts(room.jid.node()?, domain).ok()
}

fn close(room: &mut Room, world: &mut World, next: Option<String>, reason: &'static str) {
    world.lobbies.remove(&room.jid);
    if let Some(lobby) = room.lobby.take() {
        world.effects.push_back(Effect::CloseLobby { lobby: lobby.jid, next, reason });
    }
}

fn destroyed(room: &Room, world: &mut World) {
    if let Some(lobby) = &room.lobby {
        world.lobbies.remove(&room.jid);
        let lobby = lobby.jid.clone();
        world.effects.push_back(Effect::CloseLobby { lobby, next: None, reason: CLOSED });
    }
}

/// Latecomers learn it from the metadata, where there are any.
fn note(room: &mut Room, world: &mut World, on: bool) {
    if !world.component(room.host, metadata::NAME).is_empty() {
        // Moderators may have filled it to its bound; the lobby does not depend on it.
        let _ = metadata::set(room, world, None, "lobbyEnabled", Value::Bool(on));
    }
}

/// Tells everybody in the meeting, in the name of who did it.
fn notify(room: &Room, world: &mut World, by: SessionId, what: &Value) {
    let Some(actor) = room.occupant_of(by) else { return };
    let mut what = what.clone();
    push::add(&mut what, "type", "lobby-notify");
    let json = Element::new("json-message", ns::JITMEET).with_text(what.to_string());
    let message = Element::new("message", ns::CLIENT)
        .with_attr("type", "groupchat")
        .with_attr("from", room.occupant_jid(&actor.nick))
        .with_child(json);
    room.broadcast(world, &Outgoing::new(message));
}

/// Tells everybody that somebody who waits was let in or turned away.
pub(crate) fn tell_answer(
    room: &Room,
    world: &mut World,
    by: SessionId,
    granted: bool,
    occupant: &str,
    name: Option<&str>,
) {
    let event = if granted { GRANTED } else { DENIED };
    let mut what = json!({ "event": event, "value": occupant });
    if let Some(name) = name {
        push::add(&mut what, "name", name);
    }
    notify(room, world, by, &what);
}

fn disco(room: &Room, form: &mut Element) {
    if let Some(lobby) = room.lobby.as_ref().filter(|_| room.config.members_only) {
        form.push(form::field("text-single", "muc#roominfo_lobbyroom", lobby.jid.as_str()));
    }
}

/// What tells a client that it has to ask for a name before it knocks at the meeting that its URL names.
pub(crate) fn feature(world: &World, identity: &Identity) -> Option<&'static str> {
    let room = tenants::meant(&world.config, identity).filter(|room| world.lobbies.contains(room))?;
    let def = world.hosts.rooms(world.hosts.of(&world.config, room.domain())?)?;
    let asks = def.policy_of(&world.config, &room).lobby_asks_name;
    asks.then_some("http://jitsi.org/protocol/lobbyrooms#displayname_required")
}

pub(super) const CLOSED: &str = "Lobby room closed.";
const ENABLED: &str = "LOBBY-ENABLED";
const GRANTED: &str = "LOBBY-ACCESS-GRANTED";
const DENIED: &str = "LOBBY-ACCESS-DENIED";

/// A suite opens or closes the lobby, as a booking would; where it is.
#[cfg(feature = "test-observer")]
pub(crate) fn observed(room: &mut Room, world: &mut World, on: bool) -> Option<BareJid> {
    if on {
        begin(room, world, None);
    } else {
        end(room, world, CLOSED);
    }
    room.lobby.as_ref().map(|l| l.jid.clone())
}
