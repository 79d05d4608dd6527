//! A message to a module's own domain in; the room it is about found, and the module's `command` asked.
//!
//! The room is never taken on the sender's word: only one that the sender is in counts, and its nick there is who it
//! is (client §8).

use jitsi_xmpp::{BareJid, Condition, Element, Jid, StanzaError, ns};

use crate::counters::Did;
use crate::disco;
use crate::hosts::ComponentDef;
use crate::identity::HostId;
use crate::module::{Command, Conference};
use crate::muc::Muc;
use crate::stanza;
use crate::tenants;
use crate::world::Sender;

/// A stanza to a component.
pub(crate) fn handle(
    muc: &mut Muc<'_>,
    sender: &Sender,
    host: HostId,
    def: &ComponentDef,
    to: &Jid,
    mut e: Element,
) {
    let hosts = muc.hosts;
    let modules = hosts.rooms(def.rooms).into_iter().flat_map(|rooms| rooms.modules.iter());
    let mut rules = modules.filter_map(|m| m.conference).filter(|_| def.module.stanza.is_some()).peekable();
    if rules.peek().is_some()
        && let Some(room) = wanted(muc, def.rooms, &e)
        && rules.any(|rule| rule(muc.world, sender, &room, &e) == Conference::Taken)
    {
        return;
    }
    if let Some(stanza) = def.module.stanza {
        match stanza(muc.world, sender, to, e) {
            Some(back) => e = back,
            None => return,
        }
    }
    let Some(command) = def.module.command.filter(|_| e.name() == "message") else {
        return disco::answer(muc.hosts, muc.world, sender, host, e.attr("to").unwrap_or_default(), &e);
    };
    if e.attr("type") == Some("error") {
        return;
    }
    let outcome = place(muc, sender, def, &e)
        .and_then(|(room, nick)| {
            // A room has the modules that it began with.
            let t = muc.turn(&room).filter(|t| t.modules.iter().any(|m| m.name == def.module.name))?;
            // What comes of it, most of them tell everybody.
            t.world.reaches_all(&mut t.room.pace, sender, 1);
            let said = command(t.room, t.world, &Command { sender, nick: &nick, message: &e });
            t.world.counters.module(def.module.name, if said.is_ok() { Did::Done } else { Did::Refused });
            Some(said)
        })
        .unwrap_or_else(|| Err(StanzaError::new(Condition::ServiceUnavailable)));
    if let Err(error) = outcome {
        muc.world.refuse(sender, &e, &error, None);
    }
}

/// The room that a conference request would open.
fn wanted(muc: &Muc<'_>, host: HostId, e: &Element) -> Option<BareJid> {
    let (_, conference) =
        stanza::payload(e).filter(|(kind, p)| *kind == "set" && p.is("conference", ns::FOCUS))?;
    let config = &muc.world.config;
    let room = tenants::stored(config, conference.attr("room")?.parse().ok()?).ok()?.to_bare();
    let there = muc.rooms.get(&room).is_some()
        || !muc.hosts.of(config, room.domain()).is_some_and(|of| muc.hosts.is_same(of, host));
    (!there && room.node().is_some()).then_some(room)
}

/// The room that the sender is in and means, with its nick there: the one it names, or the one its connection is for, or the only one.
fn place(muc: &Muc<'_>, sender: &Sender, def: &ComponentDef, e: &Element) -> Option<(BareJid, Box<str>)> {
    let session = muc.world.sessions.get(sender.id)?;
    let in_breakouts = def.module.component.as_ref().is_some_and(|c| c.in_breakouts);
    let host_of = |r: &BareJid| muc.rooms.get(r).map(|r| r.host);
    let here = |(r, _): &&(BareJid, Box<str>)| {
        let meeting = muc.world.breakouts.meeting_of(r).filter(|_| in_breakouts);
        host_of(meeting.unwrap_or(r)).is_some_and(|of| muc.hosts.is_same(of, def.rooms))
    };
    let mut joined = session.rooms.iter().filter(here);
    if let Some(named) = e.children().find_map(|c| c.attr("room")) {
        let named = tenants::stored(&muc.world.config, named.parse().ok()?).ok()?.to_bare();
        return joined.find(|(r, _)| *r == named).cloned();
    }
    let first = joined.next()?;
    if joined.clone().next().is_none() {
        return Some(first.clone());
    }
    let meant = tenants::meant(&muc.world.config, &sender.identity)?;
    std::iter::once(first).chain(joined).find(|(r, _)| *r == meant).cloned()
}
