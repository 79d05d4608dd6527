//! Upstream's `filter_iq_rayo` (xmpp-server §4.32): telephones and transcribers are called by those who may, into the room that they
//! are in, so often and so many at once as the policy says; who it was stands in the call and cannot be written there by anybody.
//!
//! Calls are counted by whose they are: whom a token names, or who made somebody a moderator. A leg says of itself whose it is; it
//! counts where that one has called, and no more of them than calls were made, so that nobody uses up another's.

use std::collections::{BTreeMap, BTreeSet};

use budget::{Bucket, Rate};
use jitsi_xmpp::{Condition, Element, ErrorType, Jid, StanzaError, ns};

use super::token_verification;
use crate::limits::calls as limits;
use crate::module::{Module, Relay};
use crate::room::rank::Affiliation;
use crate::room::{Occupant, Room};
use crate::tenants;
use crate::world::{Sender, World};

pub(super) static MODULE: Module = Module {
    name: "filter_iq_rayo",
    named: &["filter_iq_rayo"],
    iq: Some(check),
    stranger: Some(stranger),
    relayed: Some(relayed),
    left: Some(left),
    destroyed: Some(destroyed),
    ..Module::NONE
};

/// Whose call it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Caller {
    user: Box<str>,
    group: Option<Box<str>>,
}

/// Legs that are in rooms, by whose they are.
#[derive(Default)]
struct Calls(BTreeMap<Caller, usize>);

/// Those of one room.
#[derive(Default)]
struct InRoom(BTreeMap<Caller, Legs>);

/// How often a room's people have called a transcriber.
#[derive(Default)]
struct Transcribed(Bucket);

#[derive(Default)]
struct Legs {
    /// How often was called.
    dialled: usize,
    /// Nicks of those who say that they are it.
    there: BTreeSet<Box<str>>,
}

impl Legs {
    fn count(&self) -> usize {
        self.dialled.min(self.there.len())
    }
}

fn check(room: &mut Room, world: &mut World, sender: &Sender, e: &mut Element) -> Result<Relay, StanzaError> {
    let dial = e.children_mut().find(|c| c.is("dial", ns::RAYO));
    let Some(dial) = dial.filter(|_| !sender.identity.admin) else { return Ok(Relay::Pass) };
    // compat: gateways take capitals, too (test: compat_capitals_call_no_transcriber_past_the_rules).
    let transcribes = dial.attr("to").is_some_and(|to| to.eq_ignore_ascii_case(TRANSCRIBER));
    let feature = if transcribes { "transcription" } else { "outbound-call" };
    let owner = room.affiliation(&world.config, &sender.bare) == Affiliation::Owner;
    let allowed = world.may(sender.id, feature, owner) && token_verification::is_for(world, room, sender);
    if !allowed || !names_room(room, world, dial) {
        return Err(StanzaError::new(Condition::Forbidden));
    }
    let too_many = || StanzaError::new(Condition::ResourceConstraint).with_type(ErrorType::Cancel);
    // Whoever comes to a meeting that is written down asks, and all at once.
    if transcribes && !room.slots.entry::<Transcribed>().0.take(&limits::TRANSCRIBERS, world.now, 1) {
        return Err(too_many());
    }
    let caller = caller(world, sender);
    if let (Some(most), false) = (room.policy.max_outgoing_calls, transcribes) {
        let (now, rate) = (world.now, Rate::per_minute(most.get(), most.get()));
        if !world.sessions.get_mut(sender.id).is_some_and(|s| s.dialled.take(&rate, now, 1)) {
            return Err(too_many());
        }
        if let Some(caller) = &caller {
            let there = world.slots.entry::<Calls>().0.get(caller).copied().unwrap_or_default();
            let in_room = &mut room.slots.entry::<InRoom>().0;
            let known = in_room.contains_key(caller) || in_room.len() < limits::CALLERS;
            if there >= most.get() as usize || !known {
                return Err(too_many());
            }
            change(room, world, caller, |legs| legs.dialled = legs.dialled.saturating_add(1));
        }
    }
    tell(room, dial, caller.as_ref());
    Ok(Relay::Pass)
}

/// compat: in a room or not, who may not call is told the same (test: compat_who_is_not_in_a_room_records_and_calls_nobody).
fn stranger(e: &Element) -> Option<StanzaError> {
    e.child("dial", ns::RAYO).is_some().then(|| StanzaError::new(Condition::Forbidden))
}

/// Whether the call is into this room, as any client of it spells it.
fn names_room(room: &Room, world: &World, dial: &Element) -> bool {
    let here = |name: &str| {
        let jid = name.parse::<Jid>().ok().and_then(|jid| tenants::stored(&world.config, jid).ok());
        jid.is_some_and(|jid| jid.to_bare() == room.jid)
    };
    let mut named = headers(dial).filter(|(name, _)| *name == ROOM).peekable();
    named.peek().is_some() && named.all(|(_, value)| here(value))
}

/// The headers of the call: the room as it is spelled outside, its password as the client says it, and who calls. A gateway makes
/// headers of SIP of them: no others go along. compat: as upstream (test: compat_who_calls_stands_in_the_call).
fn tell(room: &Room, dial: &mut Element, caller: Option<&Caller>) {
    let password = headers(dial).filter(|(name, _)| *name == PASSWORD).last();
    let password = password.map(|(_, value)| value.to_owned());
    dial.retain_children(|c| c.name() != "header");
    let said = [
        (ROOM, Some(room.shown())),
        (USER, caller.map(|c| &*c.user)),
        (GROUP, caller.and_then(|c| c.group.as_deref())),
        (PASSWORD, password.as_deref()),
    ];
    for (name, value) in said.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        // A line each, whatever a token or a client says.
        let value = value.replace(['\r', '\n'], " ");
        dial.push(Element::inherit("header").with_attr("name", name).with_attr("value", value));
    }
}

/// Whose call it is, as far as anybody vouches for that.
fn caller(world: &World, sender: &Sender) -> Option<Caller> {
    let own = sender.identity.token.as_deref();
    let lent = world.sessions.get(sender.id).and_then(|s| s.granted_by.as_ref()?.token.as_deref());
    let claims = own.filter(|claims| claims.user.is_some()).or(lent)?;
    let user = claims.user.as_ref()?.id()?.into();
    Some(Caller { user, group: claims.group.as_ref().map(|g| g.reveal().as_str().into()) })
}

/// A leg says whose it is.
fn relayed(room: &mut Room, world: &mut World, nick: &str, presence: &Element) {
    let Some(initiator) = presence.child("initiator", JIGASI) else { return };
    let value = |wanted: &str| headers(initiator).find(|(name, _)| *name == wanted).map(|(_, v)| v.into());
    let Some(user) = value(USER) else { return };
    let caller = Caller { user, group: value(GROUP) };
    if room.slots.get::<InRoom>().is_some_and(|r| r.0.contains_key(&caller)) {
        change(room, world, &caller, |legs| {
            legs.there.insert(nick.into());
        });
    }
}

fn left(room: &mut Room, world: &mut World, gone: &Occupant) {
    let Some(in_room) = room.slots.get::<InRoom>() else { return };
    let whose = in_room.0.iter().filter(|(_, legs)| legs.there.contains(&gone.nick));
    for caller in whose.map(|(caller, _)| caller.clone()).collect::<Vec<_>>() {
        change(room, world, &caller, |legs| {
            legs.there.remove(&gone.nick);
        });
    }
}

fn destroyed(room: &Room, world: &mut World) {
    let Some(in_room) = room.slots.get::<InRoom>() else { return };
    for (caller, legs) in &in_room.0 {
        count(world, caller, legs.count(), 0);
    }
}

/// Changes somebody's legs in a room, and keeps the count.
fn change(room: &mut Room, world: &mut World, caller: &Caller, how: impl FnOnce(&mut Legs)) {
    let legs = room.slots.entry::<InRoom>().0.entry(caller.clone()).or_default();
    let before = legs.count();
    how(legs);
    let after = legs.count();
    count(world, caller, before, after);
}

fn count(world: &mut World, caller: &Caller, before: usize, after: usize) {
    if before == after {
        return;
    }
    let calls = &mut world.slots.entry::<Calls>().0;
    let all = calls.entry(caller.clone()).or_default();
    *all = (*all + after).saturating_sub(before);
    if *all == 0 {
        calls.remove(caller);
    }
}

fn headers(e: &Element) -> impl Iterator<Item = (&str, &str)> {
    e.children().filter(|c| c.name() == "header").filter_map(|h| Some((h.attr("name")?, h.attr("value")?)))
}

/// Who is called writes down what is said.
const TRANSCRIBER: &str = "jitsi_meet_transcribe";
/// Who comes by telephone says so.
pub(super) const JIGASI: &str = "http://jitsi.org/protocol/jigasi";
/// Into which room.
pub(super) const ROOM: &str = "JvbRoomName";
const PASSWORD: &str = "JvbRoomPassword";
const USER: &str = "X-outbound-call-initiator-user";
const GROUP: &str = "X-outbound-call-initiator-group";
