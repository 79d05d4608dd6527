//! Presence of occupants: a change in; one serialised presence for all others and one for the occupant itself out.
//!
//! compat: `x` of muc#user is the last child, because clients take the first `status` and the first `x` they find
//! (client §0.4), and every item has the real full JID (test: compat_the_servers_part_of_a_presence_comes_last).

use jitsi_xmpp::xml::Node;
use jitsi_xmpp::{Element, ns};

use super::audience;
use super::turn::Turn;
use crate::counters::Counter;
use crate::limits::Limits;
use crate::outbox::Outgoing;
use crate::room::rank::{Affiliation, Role};
use crate::room::said::{Said, display_name};
use crate::room::{FOCUS_NICK, Occupant, Room};
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
            // There is nothing to say to it about one who is not in the room.
            if jid.is_some() || actor.nick.is_some() {
                item.push(
                    Element::inherit("actor")
                        .with_opt_attr("nick", actor.nick.as_deref())
                        .with_opt_attr("jid", jid),
                );
            }
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
fn seen(room: &Room, world: &World, occupant: &Occupant, change: &Change) -> (Outgoing, Said) {
    let affiliation = room.affiliation(&world.config, &occupant.bare);
    let x = x(items(occupant, affiliation, occupant.role), change, Reader::Others);
    occupant.said.with(&room.occupant_jid(&occupant.nick), &[x])
}

/// The same without what only moderators see. `None`: everybody sees everything.
fn masked(t: &Turn<'_>, occupant: &Occupant, change: &Change) -> Option<Outgoing> {
    let mut masks = t.modules.iter().filter_map(|m| m.mask).filter(|_| t.room.policy.hide_names).peekable();
    masks.peek()?;
    // The focus, by which everybody finds it, is nobody's secret.
    let mut said = occupant.said.read().filter(|_| &*occupant.nick != FOCUS_NICK)?;
    masks.for_each(|mask| mask(&mut said));
    let affiliation = t.room.affiliation(&t.world.config, &occupant.bare);
    let x = x(items(occupant, affiliation, occupant.role), change, Reader::Others);
    Some(Said::new(&said).with(&t.room.occupant_jid(&occupant.nick), &[x]).0)
}

/// The occupant's presence as from another address, as those see it who do not moderate.
pub(super) fn seen_as(t: &Turn<'_>, occupant: &Occupant, from: &str) -> Outgoing {
    let masks = t.modules.iter().filter_map(|m| m.mask).filter(|_| t.room.policy.hide_names);
    let masks: Vec<fn(&mut Element)> = masks.collect();
    let masked = Some(&masks).filter(|m| !m.is_empty()).and_then(|masks| {
        let mut said = occupant.said.read()?;
        masks.iter().for_each(|mask| mask(&mut said));
        Some(Said::new(&said))
    });
    let affiliation = t.room.affiliation(&t.world.config, &occupant.bare);
    let x = x(items(occupant, affiliation, occupant.role), &Change::default(), Reader::Others);
    masked.as_ref().unwrap_or(&occupant.said).with(from, &[x]).0
}

/// Refreshes what newcomers see of an occupant and tells everybody; its own sessions last.
pub(crate) fn announce(t: &mut Turn<'_>, nick: &str, change: &Change) {
    let Some(o) = t.room.occupant(nick) else { return };
    let (told, said) = seen(t.room, t.world, o, change);
    let masked = masked(t, o, change);
    let (kept, said) = if change.actor.is_none() && change.reason.is_none() && change.codes.is_empty() {
        (told.clone(), said)
    } else {
        seen(t.room, t.world, o, &Change::default())
    };
    t.room.tell_others(t.world, o, &told, masked.as_ref());
    let masked = masked.and_then(|_| self::masked(t, t.room.occupant(nick)?, &Change::default()));
    if let Some(o) = t.room.occupant_mut(nick) {
        (o.seen, o.said, o.masked) = (kept, said, masked);
    }
    audience::show(t, nick);
    tell_itself(t, nick, change);
}

/// Tells the occupant how it is seen, with 110 and what modules add.
fn tell_itself(t: &mut Turn<'_>, nick: &str, change: &Change) {
    let own = t.modules.iter().filter_map(|m| m.own);
    let mut added: Vec<Element> = own.filter_map(|own| own(t.room, t.world, nick)).collect();
    let Some(o) = t.room.occupant(nick) else { return };
    let affiliation = t.room.affiliation(&t.world.config, &o.bare);
    added.push(x(items(o, affiliation, o.role), change, Reader::Itself));
    let (own, _) = o.said.with(&t.room.occupant_jid(nick), &added);
    for s in &o.sessions {
        t.world.deliver(s.id, &own);
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
    room.tell_of_going(world, &gone.bare, &told);
    audience::hide(room, world, gone);
    let own = build(Reader::Itself);
    for s in &gone.sessions {
        world.deliver(s.id, &own);
    }
}

/// How those are told of it who watch: without what it said last, which may name it.
pub(super) fn gone_from(gone: &Occupant, from: &str) -> Outgoing {
    let x = x(items(gone, Affiliation::None, Role::None), &Change::default(), Reader::Others);
    let presence = Element::new("presence", ns::CLIENT).with_attr("type", "unavailable");
    Outgoing::new(presence.with_attr("from", from).with_child(x))
}

/// A presence is kept as long as its sender is in and goes to everybody who comes, so it is held to less than a stanza. What it
/// takes as it is kept; `None`: too much.
pub(super) fn size(presence: &Element, limits: &Limits) -> Option<usize> {
    let (mut bytes, mut elements) = (limits.max_presence_bytes, limits.max_presence_elements);
    fits(presence, &mut bytes, &mut elements).then(|| limits.max_presence_bytes - bytes)
}

/// Bytes of a text once its signs are written as entities, the longest of which takes six.
fn escaped(text: &str) -> usize {
    text.len() + 5 * text.bytes().filter(|b| matches!(b, b'&' | b'<' | b'>')).count()
}

fn fits(e: &Element, bytes: &mut usize, elements: &mut usize) -> bool {
    let tags = 2 * e.name().len() + e.attrs().map(|(n, v)| n.len() + escaped(v) + 4).sum::<usize>();
    let text: usize = e.nodes().iter().map(|n| if let Node::Text(t) = n { escaped(t) } else { 0 }).sum();
    let Some(rest) = bytes.checked_sub(tags + text) else { return false };
    *bytes = rest;
    e.children().all(|c| {
        let left = elements.checked_sub(1);
        *elements = left.unwrap_or_default();
        left.is_some() && fits(c, bytes, elements)
    })
}

/// Tells one of several sessions of an occupant, which stays, that it has left.
pub(crate) fn announce_session_gone(t: &mut Turn<'_>, nick: &str, id: SessionId, said: Option<&Element>) {
    let Some(o) = t.room.occupant(nick) else { return };
    let Some(session) = o.sessions.iter().find(|s| s.id == id) else { return };
    let affiliation = t.room.affiliation(&t.world.config, &o.bare);
    let gone = vec![item(affiliation, Role::None, session.jid.as_str())];
    let mut e = Element::new("presence", ns::CLIENT)
        .with_attr("type", "unavailable")
        .with_attr("from", t.room.occupant_jid(nick))
        .with_opt_attr("id", said.and_then(|s| s.attr("id")));
    e.push(x(gone, &Change::default(), Reader::Itself));
    t.world.send(id, e);
}

/// Removes the rules' no-gos and the server's own attributes from a presence that will be kept.
pub(crate) fn clean(t: &Turn<'_>, sender: &Sender, mut presence: Element, joining: bool) -> Element {
    presence.remove_attr("to");
    presence.remove_attr("from");
    presence.remove_attr("type");
    for rule in t.modules.iter().filter_map(|m| m.presence) {
        rule(t.world, sender, &mut presence, joining);
    }
    presence
}

/// A new full presence of an occupant.
pub(crate) fn update(t: &mut Turn<'_>, sender: &Sender, nick: &str, presence: Element, bytes: usize) {
    if let Some(o) = t.room.occupant_mut(nick)
        && let Err(too_much) = o.share.becomes(bytes)
    {
        t.world.counters.add(Counter::KeptTooMuch);
        t.world.refuse(sender, &presence, &too_much.into(), Some(t.room.shown()));
        return;
    }
    let presence = clean(t, sender, presence, false);
    if let Some(o) = t.room.occupant_mut(nick) {
        (o.said, o.name) = (Said::new(&presence), display_name(&presence));
    }
    announce(t, nick, &Change::default());
    relayed(t, nick, &presence);
}

/// Modules look at what everybody has just been told.
pub(super) fn relayed(t: &mut Turn<'_>, nick: &str, presence: &Element) {
    for m in t.modules {
        if let Some(relayed) = m.relayed {
            relayed(t.room, t.world, nick, presence);
        }
    }
}
