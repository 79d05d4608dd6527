//! Presence of occupants: a change in; one serialised presence for all others and one for the occupant itself out.
//!
//! compat: `x` of muc#user is the last child, because clients take the first `status` and the first `x` they find
//! (client §0.4), and every item has the real full JID.

use jitsi_xmpp::{Element, ns};

use super::room::{Affiliation, Occupant, Role, Room};
use crate::outbox::Outgoing;
use crate::rules::{self, permissions};
use crate::session::SessionId;
use crate::world::{Sender, World};

/// Who did it, for `<actor/>`. The real address is shown to others only.
#[derive(Debug, Clone)]
pub(crate) struct Actor {
    pub(crate) nick: Option<String>,
    pub(crate) jid: Option<String>,
}

/// Why a presence is sent, beyond what the occupant said.
#[derive(Debug, Clone, Default)]
pub(crate) struct Change {
    pub(crate) actor: Option<Actor>,
    pub(crate) reason: Option<String>,
    /// Status codes for everybody.
    pub(crate) codes: Vec<u16>,
    /// Status codes for the occupant itself; 110 is added.
    pub(crate) own_codes: Vec<u16>,
    /// `<destroy/>` in `x`.
    pub(crate) destroy: Option<Element>,
}

/// Who reads it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    Others,
    Itself,
}

fn x(items: Vec<Element>, change: &Change, reader: Reader) -> Element {
    let mut x = Element::new("x", ns::MUC_USER);
    if let Some(d) = &change.destroy {
        x.push(d.clone());
    }
    let status = |code: &u16| Element::inherit("status").with_attr("code", code.to_string());
    for c in &change.codes {
        x.push(status(c));
    }
    if reader == Reader::Itself {
        for c in &change.own_codes {
            x.push(status(c));
        }
    }
    for mut item in items {
        if let Some(actor) = &change.actor {
            let jid = actor.jid.as_deref().filter(|_| reader == Reader::Others);
            item.push(
                Element::inherit("actor")
                    .with_opt_attr("nick", actor.nick.as_deref())
                    .with_opt_attr("jid", jid),
            );
        }
        if let Some(reason) = &change.reason {
            item.push(Element::inherit("reason").with_text(reason.as_str()));
        }
        x.push(item);
    }
    if reader == Reader::Itself {
        x.push(status(&110));
    }
    x
}

fn item(affiliation: Affiliation, role: Role, jid: &str) -> Element {
    Element::inherit("item")
        .with_attr("affiliation", affiliation.as_str())
        .with_attr("role", role.as_str())
        .with_attr("jid", jid)
}

fn items(occupant: &Occupant, affiliation: Affiliation, role: Role) -> Vec<Element> {
    occupant.sessions.iter().map(|s| item(affiliation, role, s.jid.as_str())).collect()
}

/// The occupant's presence with what the server adds, as others see it.
fn seen(room: &Room, world: &World, occupant: &Occupant, change: &Change) -> Outgoing {
    let affiliation = room.affiliation(&world.config, &occupant.bare);
    let mut e = occupant.presence.clone();
    e.set_attr("from", room.occupant_jid(&occupant.nick));
    e.push(x(items(occupant, affiliation, occupant.role), change, Reader::Others));
    Outgoing::new(e)
}

/// Refreshes what newcomers see of an occupant and tells everybody; its own sessions last.
pub(crate) fn announce(room: &mut Room, world: &mut World, nick: &str, change: &Change) {
    let Some(o) = room.occupant(nick) else { return };
    let told = seen(room, world, o, change);
    let kept = if change.actor.is_none() && change.reason.is_none() && change.codes.is_empty() {
        told.clone()
    } else {
        seen(room, world, o, &Change::default())
    };
    for other in room.occupants().filter(|other| *other.nick != *nick) {
        for s in &other.sessions {
            world.deliver(s.id, &told);
        }
    }
    if let Some(o) = room.occupant_mut(nick) {
        o.seen = kept;
    }
    tell_itself(room, world, nick, change, None);
}

/// Tells the occupant how it is seen, with 110 and, when due, its permissions; `only` one of its sessions.
pub(crate) fn tell_itself(
    room: &mut Room,
    world: &mut World,
    nick: &str,
    change: &Change,
    only: Option<SessionId>,
) {
    let Some(o) = room.occupant(nick) else { return };
    let (bare, role) = (o.bare.clone(), o.role);
    let due = permissions::take(room, &world.config, &bare, role);
    let Some(o) = room.occupant(nick) else { return };
    let mut own = o.presence.clone();
    own.set_attr("from", room.occupant_jid(nick));
    if let Some(p) = due {
        own.push(p);
    }
    let affiliation = room.affiliation(&world.config, &bare);
    own.push(x(items(o, affiliation, role), change, Reader::Itself));
    let own = Outgoing::new(own);
    for s in o.sessions.iter().filter(|s| only.is_none_or(|id| id == s.id)) {
        world.deliver(s.id, &own);
    }
}

/// Tells everybody that `gone`, already removed, has left. `said` is what it sent, if it did.
pub(crate) fn announce_gone(
    room: &Room,
    world: &mut World,
    gone: &Occupant,
    said: Option<&Element>,
    change: &Change,
) {
    let affiliation = room.affiliation(&world.config, &gone.bare);
    let build = |reader| {
        let mut e = Element::new("presence", ns::CLIENT);
        if let Some(said) = said {
            for (name, value) in said.attrs().filter(|(n, _)| matches!(*n, "id" | "xml:lang")) {
                e.set_attr(name.to_owned(), value);
            }
            for c in said.children() {
                e.push(c.clone());
            }
        }
        e.set_attr("type", "unavailable");
        e.set_attr("from", room.occupant_jid(&gone.nick));
        e.push(x(items(gone, affiliation, Role::None), change, reader));
        Outgoing::new(e)
    };
    let told = build(Reader::Others);
    room.broadcast(world, &told);
    let own = build(Reader::Itself);
    for s in &gone.sessions {
        world.deliver(s.id, &own);
    }
}

/// Removes the rules' no-gos and the server's own attributes from a presence that will be kept.
pub(crate) fn clean(world: &World, sender: &Sender, mut presence: Element, joining: bool) -> Element {
    presence.remove_attr("to");
    presence.remove_attr("from");
    presence.remove_attr("type");
    for rule in rules::PRESENCE {
        rule(world, sender, &mut presence, joining);
    }
    presence
}

/// A new full presence of an occupant.
pub(crate) fn update(room: &mut Room, world: &mut World, sender: &Sender, nick: &str, presence: Element) {
    let presence = clean(world, sender, presence, false);
    if let Some(o) = room.occupant_mut(nick) {
        o.presence = presence;
    }
    announce(room, world, nick, &Change::default());
    rules::start_muted::presence(room, world, nick);
}
