//! Upstream's `muc_flip` (xmpp-server §4.22): who is in a meeting goes on with another device. It comes in past lobby and password and
//! as what it was; the first device is turned out. Who somebody is, its token says.

use std::borrow::Cow;

use jitsi_xmpp::{BareJid, Element};
use prosody_token::Claims;

use crate::module::{Attempt, Module, Verdict};
use crate::room::rank::Affiliation;
use crate::room::{Occupant, Room};
use crate::session::SessionId;
use crate::world::{Effect, Sender, World};

pub(super) static MODULE: Module = Module {
    name: NAME,
    named: &["muc_flip"],
    join: Some(join),
    presence: Some(presence),
    joined: Some(joined),
    ..Module::NONE
};

const NAME: &str = "flip";

/// Who is about to come in, in whose place.
#[derive(Default)]
struct Flips(Vec<(SessionId, BareJid)>);

fn id(claims: Option<&Claims>) -> Option<Cow<'_, str>> {
    claims?.user.as_ref()?.id()
}

/// Whether a token lets somebody do it at all.
fn may(world: &World, sender: &Sender) -> bool {
    id(sender.identity.token.as_deref()).is_some() && world.may(sender.id, "flip", false)
}

fn join(room: &mut Room, world: &mut World, attempt: &mut Attempt) -> Verdict {
    let sender = &attempt.sender;
    let flips = &mut room.slots.entry::<Flips>().0;
    flips.retain(|(session, _)| *session != sender.id && world.sessions.get(*session).is_some());
    if sender.identity.admin || attempt.presence.child_named(TAG).is_none() {
        return Verdict::Pass;
    }
    let first = first(room, world, sender).filter(|_| may(world, sender)).map(|o| o.bare.clone());
    let Some(first) = first else {
        attempt.presence.retain_children(|c| c.name() != TAG);
        return Verdict::Pass;
    };
    let (before, theirs) =
        (room.affiliation(&world.config, &sender.bare), room.affiliation(&world.config, &first));
    if before == Affiliation::Outcast || theirs == Affiliation::Outcast {
        return Verdict::Pass;
    }
    // Those who are in see it with the presence that follows.
    let wanted = theirs.max(Affiliation::Member);
    if before < wanted {
        room.affiliate(&sender.bare, wanted, world.config.limits.max_affiliations);
    }
    attempt.password = room.config.password.as_ref().map(|p| p.reveal().clone());
    room.slots.entry::<Flips>().0.push((sender.id, first));
    Verdict::Pass
}

/// Another device of the same person.
fn first<'a>(room: &'a Room, world: &World, sender: &Sender) -> Option<&'a Occupant> {
    let own = id(sender.identity.token.as_deref())?;
    room.occupants().find(|o| {
        let mut sessions = o.sessions.iter().filter_map(|s| world.sessions.get(s.id));
        o.bare != sender.bare && sessions.any(|s| id(s.identity.token.as_deref()) == Some(own.clone()))
    })
}

/// compat: clients do not say of whom this stands with that it came or went (test: compat_another_device_takes_over).
fn presence(world: &World, sender: &Sender, presence: &mut Element, _: bool) {
    if presence.child_named(TAG).is_some() && !may(world, sender) {
        presence.retain_children(|c| c.name() != TAG);
    }
}

fn joined(room: &mut Room, world: &mut World, sender: &Sender, _: &str) {
    let Some(flips) = room.slots.get_mut::<Flips>() else { return };
    let Some(at) = flips.0.iter().position(|(session, _)| *session == sender.id) else { return };
    let (_, first) = flips.0.swap_remove(at);
    for nick in room.nicks_of(&first) {
        let said = Element::inherit(TAG);
        world.effects.push_back(Effect::TurnOut { room: room.jid.clone(), nick, said });
    }
}

const TAG: &str = "flip_device";

/// What upstream keeps of whose device is which, for a suite.
#[cfg(feature = "test-observer")]
pub(crate) fn observed(room: &Room, world: &World) -> serde_json::Value {
    let token = |s: SessionId| Some(world.sessions.get(s)?.identity.token.as_deref()?);
    let person = |o: &Occupant| o.sessions.iter().find_map(|s| id(token(s.id)).map(Cow::into_owned));
    let people = room.occupants().filter(|o| !world.is_admin(&o.bare));
    let jid = |o: &Occupant| serde_json::Value::from(room.occupant_jid(&o.nick));
    let details: serde_json::Map<_, _> = people.filter_map(|o| Some((person(o)?, jid(o)))).collect();
    let mut answer = serde_json::Map::from_iter([("participants_details".to_owned(), details.into())]);
    // Its other device waits at the door.
    let first = room.slots.get::<Flips>().and_then(|f| f.0.first());
    let first = first.and_then(|(_, first)| room.occupants().find(|o| o.bare == *first));
    answer.extend(first.map(|o| ("kicked_participant_nick".to_owned(), jid(o))));
    answer.into()
}
