//! The engine of rooms (the part of XEP-0045 that Jitsi uses): a stanza to a room, an occupant or the MUC host in;
//! what the occupants get out. At each step the room's modules are asked, in the order of their list.

mod admin;
mod affiliations;
mod audience;
pub(crate) mod breakout;
mod disco;
mod given;
mod invite;
mod iq_relay;
mod join;
pub(crate) mod later;
pub(crate) mod leave;
mod lobby;
pub(crate) mod message;
mod owner;
mod presence;
mod turn;

use jitsi_xmpp::{BareJid, Condition, Element, ErrorType, Jid, StanzaError, ns};

use crate::counters::{Counter, Did};
use crate::disco as host_disco;
use crate::hosts::RoomsDef;
use crate::identity::HostId;
use crate::limits::pace;
use crate::stanza::payload;
use crate::world::Sender;
pub(crate) use given::give;
pub(crate) use turn::Muc;
use turn::Turn;

/// A stanza to a MUC host, a room or an occupant.
pub(crate) fn handle(muc: &mut Muc<'_>, sender: &Sender, host: HostId, def: &RoomsDef, to: &Jid, e: Element) {
    if def.modules.iter().filter_map(|m| m.access).any(|access| !access(def, sender)) {
        muc.world.counters.add(Counter::RuleDropped);
        if e.name() != "presence" {
            muc.world.refuse(sender, &e, &StanzaError::new(Condition::ServiceUnavailable), None);
        }
        return;
    }
    if to.node().is_none() {
        if def.is_breakouts && e.name() == "message" {
            return breakout::command(muc, sender, to.domain(), &e);
        }
        return host_disco::answer(muc.hosts, muc.world, sender, host, to.domain(), &e);
    }
    let room = to.to_bare();
    match e.name() {
        "presence" => to_presence(muc, sender, host, to, &room, e),
        // An error says what an error presence would.
        "message" if e.attr("type") == Some("error") => {
            let current = muc.rooms.get(&room).and_then(|r| r.occupant_of(sender.id)).map(|o| o.nick.clone());
            unreachable(muc, sender, &room, current.as_deref(), &e);
        }
        "message" => message::handle(muc, sender, host, &room, to.resource(), e),
        _ => to_iq(muc, sender, host, &room, to.resource(), e),
    }
}

fn to_presence(muc: &mut Muc<'_>, sender: &Sender, host: HostId, to: &Jid, room_jid: &BareJid, e: Element) {
    let current = muc.rooms.get(room_jid).and_then(|r| r.occupant_of(sender.id)).map(|o| o.nick.clone());
    match e.attr("type") {
        Some("unavailable") => leave::by_itself(muc, sender, room_jid, &e),
        Some("error") => unreachable(muc, sender, room_jid, current.as_deref(), &e),
        Some(_) => {}
        None => {
            let bytes = presence::size(&e, &muc.world.config.limits);
            if !sender.identity.admin && bytes.is_none() {
                muc.world.counters.add(Counter::PresenceTooLarge);
                let error = StanzaError::new(Condition::PolicyViolation)
                    .with_type(ErrorType::Modify)
                    .with_text("presence too large");
                muc.world.refuse(sender, &e, &error, Some(room_jid.as_str()));
                return;
            }
            // Of a role's nothing is counted.
            let bytes = bytes.unwrap_or_default();
            // To the bare room, presence is about the occupant one already is.
            let Some(nick) = to.resource().or(current.as_deref()) else {
                let error = StanzaError::new(Condition::JidMalformed);
                muc.world.refuse(sender, &e, &error, Some(room_jid.as_str()));
                return;
            };
            match current.as_deref() {
                None => join::presence(muc, sender, host, room_jid, nick, e, bytes),
                Some(current) if current != nick => {
                    let error = StanzaError::new(Condition::NotAllowed)
                        .with_type(ErrorType::Cancel)
                        .with_text("Nick changes are not allowed");
                    muc.world.refuse(sender, &e, &error, Some(room_jid.as_str()));
                }
                Some(current) => {
                    let Some(mut t) = muc.turn(room_jid) else { return };
                    let joins = e.child("x", ns::MUC).is_some();
                    t.world.reaches_all(&mut t.room.pace, sender, if joins { pace::JOIN } else { 1 });
                    if joins {
                        join::again(&mut t, sender, current, e, bytes);
                    } else {
                        presence::update(&mut t, sender, current, e, bytes);
                    }
                }
            }
        }
    }
}

/// An occupant's error says that it cannot be reached: it is gone.
fn unreachable(muc: &mut Muc<'_>, sender: &Sender, room_jid: &BareJid, nick: Option<&str>, e: &Element) {
    let gone = StanzaError::from_stanza(e).is_none_or(|error| ENDS_PRESENCE.contains(&error.condition));
    if let (true, Some(nick)) = (gone, nick)
        && let Some(mut t) = muc.turn(room_jid)
    {
        let change = presence::Change { codes: vec![333], ..Default::default() };
        leave::remove(&mut t, nick, Some(sender.id), None, &change);
        muc.sweep(room_jid);
    }
}

fn to_iq(
    muc: &mut Muc<'_>,
    sender: &Sender,
    host: HostId,
    room_jid: &BareJid,
    nick: Option<&str>,
    e: Element,
) {
    let request = payload(&e).filter(|_| nick.is_none());
    let owners = request.is_some_and(|(_, p)| p.is("query", ns::MUC_OWNER));
    let changes = request.is_some_and(|(_, p)| p.is("query", ns::MUC_ADMIN));
    if let Some(mut t) = muc.turn(room_jid) {
        if owners {
            return owner::handle(muc, sender, room_jid, &e);
        }
        about(&mut t, sender, nick, e);
        if changes {
            muc.sweep(room_jid);
        }
    } else if let Some(mut room) = muc.pretended(sender, host, room_jid) {
        match muc.turn_of(&mut room) {
            Some(t) if owners => {
                let refused = request.and_then(|(kind, _)| owner::may(&t, sender, kind).err());
                let error = refused.unwrap_or_else(|| StanzaError::new(Condition::Forbidden));
                t.world.refuse(sender, &e, &error, Some(t.room.shown()));
            }
            Some(mut t) => about(&mut t, sender, nick, e),
            None => {}
        }
    } else {
        let error = StanzaError::new(Condition::ItemNotFound);
        muc.world.refuse(sender, &e, &error, Some(room_jid.domain()));
    }
}

/// An IQ about a room, or to somebody in it.
fn about(t: &mut Turn<'_>, sender: &Sender, nick: Option<&str>, e: Element) {
    if let Some(nick) = nick {
        return iq_relay::handle(t, sender, nick, e);
    }
    let Some((kind, p)) = payload(&e) else { return };
    match (kind, p.name(), p.ns()) {
        ("get", "query", ns::DISCO_INFO) => disco::handle(t, sender, &e),
        ("get", "query", ns::DISCO_ITEMS) => {
            t.world.answer(sender, &e, Some(Element::new("query", ns::DISCO_ITEMS)));
        }
        (_, "query", ns::MUC_ADMIN) => {
            if kind == "set" {
                t.world.reaches_all(&mut t.room.pace, sender, 1);
            }
            admin::handle(t, sender, &e);
        }
        ("get", "ping", ns::PING) if t.room.occupant_of(sender.id).is_some() => {
            t.world.answer(sender, &e, None);
        }
        _ => asked(t, sender, &e, kind, p),
    }
}

/// A request that is a module's, or nobody's.
fn asked(t: &mut Turn<'_>, sender: &Sender, e: &Element, kind: &str, payload: &Element) {
    let rules = t.modules.iter().filter_map(|m| Some((m.name, m.asked?)));
    let mut replies =
        rules.filter_map(|(name, rule)| Some((name, rule(t.room, t.world, sender, kind, payload)?)));
    let reply = replies.next();
    drop(replies);
    if let Some((name, reply)) = &reply {
        t.world.counters.module(name, if reply.is_ok() { Did::Done } else { Did::Refused });
    }
    match reply.map(|(_, reply)| reply) {
        Some(Ok(payload)) => t.world.answer(sender, e, payload),
        Some(Err(error)) => t.world.refuse(sender, e, &error, Some(t.room.shown())),
        None => t.world.refuse(sender, e, &StanzaError::new(Condition::ServiceUnavailable), None),
    }
}

/// Errors of an occupant that mean it cannot be reached (xmpp-server §3.4).
const ENDS_PRESENCE: &[Condition] = &[
    Condition::Gone,
    Condition::InternalServerError,
    Condition::ItemNotFound,
    Condition::JidMalformed,
    Condition::RecipientUnavailable,
    Condition::RemoteServerNotFound,
    Condition::RemoteServerTimeout,
    Condition::ServiceUnavailable,
];
