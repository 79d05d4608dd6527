//! Rooms (the part of XEP-0045 that Jitsi uses): a stanza to a room, an occupant or the MUC host in; what the
//! occupants get out.

mod admin;
mod affiliations;
mod disco;
pub(crate) mod held;
mod history;
mod iq_relay;
mod join;
pub(crate) mod leave;
mod message;
mod owner;
mod presence;
pub(crate) mod room;

use std::collections::HashMap;

use jitsi_xmpp::{BareJid, Condition, Element, ErrorType, Jid, StanzaError, ns};

use crate::counters::Counter;
use crate::disco as host_disco;
use crate::hosts::Host;
use crate::router::payload;
use crate::rules::filter_access;
use crate::world::{Sender, World};
use room::Room;

/// All rooms of all MUC hosts.
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

    pub(crate) fn len(&self) -> usize {
        self.by_jid.len()
    }

    /// Occupants of all rooms.
    pub(crate) fn occupants(&self) -> usize {
        self.by_jid.values().map(Room::len).sum()
    }

    fn insert(&mut self, world: &mut World, room: Room) {
        world.counters.add(Counter::RoomsCreated);
        self.by_jid.insert(room.jid.clone(), room);
        world.rooms = self.by_jid.len();
    }

    fn take(&mut self, world: &mut World, jid: &BareJid) -> Option<Room> {
        let room = self.by_jid.remove(jid)?;
        world.counters.add(Counter::RoomsDestroyed);
        world.rooms = self.by_jid.len();
        Some(room)
    }

    /// A room ends with its last occupant, unless others wait for the focus.
    fn remove_if_empty(&mut self, world: &mut World, jid: &BareJid) {
        if self.by_jid.get(jid).is_some_and(|r| r.len() == 0 && r.held.is_empty()) {
            self.take(world, jid);
        }
    }
}

/// A stanza to a MUC host, a room or an occupant.
pub(crate) fn handle(
    rooms: &mut Rooms,
    world: &mut World,
    sender: &Sender,
    host: Host,
    to: &Jid,
    e: Element,
) {
    if !filter_access::admits(world, host, sender) {
        world.counters.add(Counter::RuleDropped);
        if e.name() != "presence" {
            world.refuse(sender, &e, &StanzaError::new(Condition::ServiceUnavailable), None);
        }
        return;
    }
    if to.node().is_none() {
        return to_host(world, sender, host, to, &e);
    }
    let room = to.to_bare();
    match e.name() {
        "presence" => to_presence(rooms, world, sender, host, to, &room, e),
        "message" => message::handle(rooms, world, sender, &room, to.resource(), e),
        _ => to_iq(rooms, world, sender, &room, to.resource(), e),
    }
}

fn to_host(world: &mut World, sender: &Sender, host: Host, to: &Jid, e: &Element) {
    if e.name() == "presence" {
        return;
    }
    let answer = payload(e).and_then(|(kind, p)| match (kind, p.name(), p.ns()) {
        ("get", "query", ns::DISCO_INFO) => {
            Some(Some(host_disco::info(&world.config, host, to.domain(), p.attr("node"))))
        }
        ("get", "query", ns::DISCO_ITEMS) => Some(Some(Element::new("query", ns::DISCO_ITEMS))),
        ("get", "ping", ns::PING) => Some(None),
        _ => None,
    });
    match answer {
        Some(payload) => world.answer(sender, e, payload),
        None => world.refuse(sender, e, &StanzaError::new(Condition::ServiceUnavailable), None),
    }
}

fn to_presence(
    rooms: &mut Rooms,
    world: &mut World,
    sender: &Sender,
    host: Host,
    to: &Jid,
    room_jid: &BareJid,
    e: Element,
) {
    let current = rooms.get(room_jid).and_then(|r| r.occupant_of(sender.id)).map(|o| o.nick.clone());
    // To the bare room, presence is about the occupant one already is.
    let nick: Option<Box<str>> = to.resource().map(Into::into).or_else(|| current.clone());
    match e.attr("type") {
        Some("unavailable") => leave::by_itself(rooms, world, sender, room_jid, &e),
        Some("error") => {
            let gone =
                StanzaError::from_stanza(&e).is_none_or(|error| ENDS_PRESENCE.contains(&error.condition));
            if let (true, Some(nick)) = (gone, current)
                && let Some(room) = rooms.get_mut(room_jid)
            {
                let change = presence::Change { codes: vec![333], ..Default::default() };
                leave::remove(room, world, &nick, Some(sender.id), None, &change);
                rooms.remove_if_empty(world, room_jid);
            }
        }
        Some(_) => {}
        None => {
            let Some(nick) = nick else {
                let error = StanzaError::new(Condition::JidMalformed);
                world.refuse(sender, &e, &error, Some(room_jid.as_str()));
                return;
            };
            match current {
                None => join::presence(rooms, world, sender, host, room_jid, &nick, e),
                Some(current) if current != nick => {
                    let error = StanzaError::new(Condition::NotAllowed).with_type(ErrorType::Cancel);
                    world.refuse(sender, &e, &error, Some(room_jid.as_str()));
                }
                Some(current) => {
                    let Some(room) = rooms.get_mut(room_jid) else { return };
                    if e.child("x", ns::MUC).is_some() {
                        join::again(room, world, sender, &current, e);
                    } else {
                        presence::update(room, world, sender, &current, e);
                    }
                }
            }
        }
    }
}

fn to_iq(
    rooms: &mut Rooms,
    world: &mut World,
    sender: &Sender,
    room_jid: &BareJid,
    nick: Option<&str>,
    e: Element,
) {
    let Some(room) = rooms.get_mut(room_jid) else {
        let error = StanzaError::new(Condition::ItemNotFound);
        world.refuse(sender, &e, &error, Some(room_jid.domain()));
        return;
    };
    if let Some(nick) = nick {
        iq_relay::handle(room, world, sender, nick, e);
        return;
    }
    let Some((kind, p)) = payload(&e) else { return };
    match (kind, p.name(), p.ns()) {
        ("get", "query", ns::DISCO_INFO) => disco::handle(room, world, sender, &e),
        ("get", "query", ns::DISCO_ITEMS) => {
            world.answer(sender, &e, Some(Element::new("query", ns::DISCO_ITEMS)));
        }
        (_, "query", ns::MUC_ADMIN) => {
            admin::handle(room, world, sender, &e);
            rooms.remove_if_empty(world, room_jid);
        }
        (_, "query", ns::MUC_OWNER) => owner::handle(rooms, world, sender, room_jid, &e),
        ("get", "ping", ns::PING) if room.occupant_of(sender.id).is_some() => world.answer(sender, &e, None),
        _ => world.refuse(sender, &e, &StanzaError::new(Condition::ServiceUnavailable), None),
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
