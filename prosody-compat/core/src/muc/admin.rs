//! `muc#admin` queries: a list of items in, each done in order, one answer for all out.

use jitsi_xmpp::{BareJid, Condition, Element, ErrorType, Jid, StanzaError, ns};

use super::affiliations::{set_affiliation, set_role};
use super::turn::Turn;
use crate::counters::Did;
use crate::room::Room;
use crate::room::rank::{Affiliation, Role};
use crate::stanza::payload;
use crate::world::{Sender, World};

pub(super) fn handle(t: &mut Turn<'_>, sender: &Sender, e: &Element) {
    let Some((kind, query)) = payload(e) else { return };
    let outcome = if kind == "set" {
        set(t, sender, query).map(|()| None)
    } else {
        get(t.room, t.world, sender, query).map(Some)
    };
    match outcome {
        Ok(payload) => t.world.answer(sender, e, payload),
        Err(error) => t.world.refuse(sender, e, &error, Some(t.room.shown())),
    }
}

/// The lobby sets several items in one query; the first that fails ends it.
fn set(t: &mut Turn<'_>, sender: &Sender, query: &Element) -> Result<(), StanzaError> {
    let bad = || StanzaError::new(Condition::BadRequest).with_type(ErrorType::Modify);
    let items: Vec<&Element> = query.children_of("item", ns::MUC_ADMIN).collect();
    if items.is_empty() {
        return Err(bad().with_type(ErrorType::Cancel));
    }
    for (name, change) in t.modules.iter().filter_map(|m| Some((m.name, m.change?))) {
        change(t.room, t.world, sender, query)
            .inspect_err(|_| t.world.counters.module(name, Did::Refused))?;
    }
    for item in items {
        let reason = item.child_named("reason").map(Element::text);
        let nick = item.attr("nick");
        if let Some(affiliation) = item.attr("affiliation") {
            let affiliation = Affiliation::parse(affiliation)
                .ok_or_else(|| StanzaError::new(Condition::NotAcceptable).with_type(ErrorType::Modify))?;
            let target = target_account(t.room, item, nick)?;
            set_affiliation(t, sender, &target, affiliation, reason)?;
        } else {
            let role = item.attr("role").and_then(Role::parse).ok_or_else(bad)?;
            let nick = match (nick, item.attr("jid")) {
                (Some(nick), _) => nick.to_owned(),
                (None, Some(jid)) => {
                    let found = t
                        .room
                        .occupants()
                        .find(|o| o.sessions.iter().any(|s| s.jid.as_str() == jid) || o.bare.as_str() == jid);
                    found.map(|o| o.nick.to_string()).ok_or_else(|| {
                        StanzaError::new(Condition::ItemNotFound).with_type(ErrorType::Modify)
                    })?
                }
                (None, None) => return Err(bad()),
            };
            set_role(t, sender, &nick, role, reason)?;
        }
    }
    Ok(())
}

fn target_account(room: &Room, item: &Element, nick: Option<&str>) -> Result<BareJid, StanzaError> {
    let malformed =
        |text| StanzaError::new(Condition::JidMalformed).with_type(ErrorType::Modify).with_text(text);
    match (item.attr("jid"), nick) {
        (Some(jid), _) => {
            let jid: Jid = jid.parse().map_err(|_| malformed("Invalid JID"))?;
            if jid.resource().is_some() {
                return Err(malformed("Bare JID expected, got full JID"));
            }
            Ok(jid.to_bare())
        }
        (None, Some(nick)) => room
            .occupant(nick)
            .map(|o| o.bare.clone())
            .ok_or_else(|| StanzaError::new(Condition::ItemNotFound).with_type(ErrorType::Modify)),
        (None, None) => Err(StanzaError::new(Condition::BadRequest).with_type(ErrorType::Modify)),
    }
}

/// Lists; for owners and admins of the room.
fn get(room: &Room, world: &World, sender: &Sender, query: &Element) -> Result<Element, StanzaError> {
    let bad = || StanzaError::new(Condition::BadRequest).with_type(ErrorType::Modify);
    if room.affiliation(&world.config, &sender.bare) < Affiliation::Admin {
        return Err(StanzaError::new(Condition::Forbidden));
    }
    let item = query.child("item", ns::MUC_ADMIN).ok_or_else(bad)?;
    let mut reply = Element::new("query", ns::MUC_ADMIN);
    if let Some(wanted) = item.attr("affiliation").and_then(Affiliation::parse) {
        for jid in room.affiliations().with(wanted) {
            reply.push(
                Element::inherit("item")
                    .with_attr("affiliation", wanted.as_str())
                    .with_attr("jid", jid.as_str()),
            );
        }
    } else {
        let wanted = item.attr("role").and_then(Role::parse).ok_or_else(bad)?;
        for o in room.occupants().filter(|o| o.role == wanted) {
            let jid = o.primary().map(|s| s.jid.as_str());
            reply.push(
                Element::inherit("item")
                    .with_attr("role", wanted.as_str())
                    .with_attr("nick", o.nick.as_ref())
                    .with_attr("affiliation", room.affiliation(&world.config, &o.bare).as_str())
                    .with_opt_attr("jid", jid),
            );
        }
    }
    Ok(reply)
}
