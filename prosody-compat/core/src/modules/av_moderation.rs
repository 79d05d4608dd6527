//! Upstream's `av_moderation` (xmpp-server §4.2, client §8.2): a moderator decides that microphones, cameras or screens
//! are off until somebody is allowed; everybody is told, the moderators know who is allowed, and the focus, which is
//! told as a moderator is, enforces it at the bridge (focus §5.6).
//!
//! Who asks is who the session is; who is allowed must be in the room, and is not any more when it has left: the next
//! one with its nick is somebody else.

use std::collections::BTreeMap;

use jitsi_xmpp::{Condition, Jid, StanzaError};
use serde_json::{Map, Value, json};

use super::{metadata, push};
use crate::module::{Affiliated, Command, Component, Module};
use crate::room::rank::Affiliation;
use crate::room::{FOCUS_NICK, Occupant, Room};
use crate::world::{Sender, World};

pub(super) static MODULE: Module = Module {
    name: NAME,
    named: &["av_moderation_component", "av_moderation"],
    component: Some(Component { identity: Some("av_moderation"), in_breakouts: false }),
    command: Some(command),
    joined: Some(joined),
    affiliated: Some(affiliated),
    left: Some(left),
    ..Module::NONE
};

const NAME: &str = "av_moderation";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Medium {
    Audio,
    Video,
    Desktop,
}

impl Medium {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Desktop => "desktop",
        }
    }

    fn parse(s: &str) -> Option<Self> {
        [Self::Audio, Self::Video, Self::Desktop].into_iter().find(|m| m.as_str() == s)
    }
}

/// One medium that is moderated.
struct Moderated {
    /// The occupant that decided it, as clients write it.
    actor: String,
    /// Nicks of those who may send, in the order in which they were allowed; all of them are in the room.
    allowed: Vec<Box<str>>,
    /// What newcomers were told about this medium before.
    started_muted: Option<Value>,
}

impl Moderated {
    fn allow(&mut self, nick: &str) {
        if !self.allowed.iter().any(|n| **n == *nick) {
            self.allowed.push(nick.into());
        }
    }

    /// Whether it was allowed.
    fn forbid(&mut self, nick: &str) -> bool {
        let before = self.allowed.len();
        self.allowed.retain(|n| **n != *nick);
        self.allowed.len() < before
    }
}

/// The media that are moderated.
#[derive(Default)]
struct Moderation(BTreeMap<Medium, Moderated>);

/// compat: `<av_moderation/>` has no namespace of its own; with one it means the same (test:
/// compat_commands_mean_the_same_with_a_namespace).
fn command(room: &mut Room, world: &mut World, c: &Command<'_>) -> Result<(), StanzaError> {
    // As upstream: what is not understood or not allowed does not exist.
    let nothing_here = || StanzaError::new(Condition::ServiceUnavailable);
    let e = c.message.child_named("av_moderation").filter(|_| room.is_moderator(c.sender.id));
    let e = e.ok_or_else(nothing_here)?;
    let medium = e.attr("mediaType").and_then(Medium::parse).ok_or_else(nothing_here)?;
    if let Some(enable) = e.attr("enable") {
        if enable == "true" {
            self::enable(room, world, medium, c.nick);
        } else {
            disable(room, world, medium, c.nick);
        }
        return Ok(());
    }
    let target = |name| {
        let jid = e.attr(name)?.parse::<Jid>().ok().filter(|j| j.bare_str() == room.shown())?;
        room.occupant(jid.resource()?).map(|o| o.nick.clone())
    };
    if let Some(nick) = target("jidToWhitelist") {
        allow(room, world, medium, &nick, c.nick);
    } else if let Some(nick) = target("jidToBlacklist") {
        forbid(room, world, medium, &nick);
    } else {
        return Err(nothing_here());
    }
    Ok(())
}

fn enable(room: &mut Room, world: &mut World, medium: Medium, by: &str) {
    let moderators =
        room.occupants().filter(|o| o.role.is_moderator() && *o.nick != *FOCUS_NICK).map(|o| o.nick.clone());
    let allowed = moderators.collect();
    let actor = room.occupant_jid(by);
    if room.slots.get::<Moderation>().is_some_and(|m| m.0.contains_key(&medium)) {
        return;
    }
    let started_muted = start_muted(room, world, medium, Some(Value::Bool(true)));
    room.slots.entry::<Moderation>().0.insert(medium, Moderated { actor, allowed, started_muted });
    tell_state(room, world, medium, true, by);
    tell_lists(room, world, medium, false);
}

fn disable(room: &mut Room, world: &mut World, medium: Medium, by: &str) {
    let moderation = room.slots.get_mut::<Moderation>();
    let Some(was) = moderation.and_then(|m| m.0.remove(&medium)) else { return };
    start_muted(room, world, medium, was.started_muted);
    tell_state(room, world, medium, false, by);
}

fn allow(room: &mut Room, world: &mut World, medium: Medium, nick: &str, by: &str) {
    let mut approval =
        json!({"type": TYPE, "room": room.shown(), "approved": true, "mediaType": medium.as_str()});
    let moderation = room.slots.get_mut::<Moderation>();
    let Some(moderated) = moderation.and_then(|m| m.0.get_mut(&medium)) else {
        // Nothing is forbidden: a moderator asks somebody to speak.
        push::add(&mut approval, "from", room.occupant_jid(by));
        return tell(room, world, nick, &approval);
    };
    moderated.allow(nick);
    tell_lists(room, world, medium, false);
    tell_participant(room, world, nick, &approval);
}

fn forbid(room: &mut Room, world: &mut World, medium: Medium, nick: &str) {
    let moderation = room.slots.get_mut::<Moderation>();
    if !moderation.and_then(|m| m.0.get_mut(&medium)).is_some_and(|m| m.forbid(nick)) {
        return;
    }
    tell_lists(room, world, medium, true);
    let removal = json!({"type": TYPE, "room": room.shown(), "removed": true, "mediaType": medium.as_str()});
    tell_participant(room, world, nick, &removal);
}

/// A newcomer learns what is moderated; with a moderator the lists come to all of them, the new one included.
fn joined(room: &mut Room, world: &mut World, sender: &Sender, nick: &str) {
    let moderator = room.is_moderator(sender.id);
    let from = world.component(room.host, NAME);
    let Some(moderation) = room.slots.get_mut::<Moderation>() else { return };
    let mut told = Vec::new();
    for (medium, moderated) in &mut moderation.0 {
        if moderator && nick != FOCUS_NICK {
            moderated.allow(nick);
        }
        told.push((*medium, moderated.actor.clone()));
    }
    for (medium, actor) in told {
        push::to(world, sender.id, &from, &state(room, medium, true, &actor));
        if moderator {
            tell_lists(room, world, medium, false);
        }
    }
}

/// Who becomes an owner may speak.
fn affiliated(room: &mut Room, world: &mut World, set: &Affiliated<'_>) {
    if set.affiliation != Affiliation::Owner {
        return;
    }
    let nicks = room.nicks_of(set.account);
    let Some(moderation) = room.slots.get_mut::<Moderation>() else { return };
    let mut media = Vec::new();
    for (medium, moderated) in &mut moderation.0 {
        nicks.iter().filter(|n| ***n != *FOCUS_NICK).for_each(|n| moderated.allow(n));
        media.push(*medium);
    }
    for medium in media {
        tell_lists(room, world, medium, false);
    }
}

fn left(room: &mut Room, world: &mut World, gone: &Occupant) {
    let Some(moderation) = room.slots.get_mut::<Moderation>() else { return };
    let lists = moderation.0.iter_mut();
    let changed: Vec<Medium> =
        lists.filter_map(|(medium, m)| m.forbid(&gone.nick).then_some(*medium)).collect();
    for medium in changed {
        tell_lists(room, world, medium, true);
    }
}

/// Newcomers start muted while a medium is moderated. As upstream, nobody else is told. Returns what it was before.
fn start_muted(room: &mut Room, world: &mut World, medium: Medium, value: Option<Value>) -> Option<Value> {
    let mut policy = match metadata::get(room, "startMuted") {
        Some(Value::Object(policy)) => policy,
        _ => Map::new(),
    };
    let before = match value {
        Some(value) => policy.insert(medium.as_str().to_owned(), value),
        None => policy.remove(medium.as_str()),
    };
    // A room whose metadata is full has no start-muted policy; moderation itself does not need it.
    let _ = metadata::set_silently(room, world, None, "startMuted", Value::Object(policy));
    before
}

fn state(room: &Room, medium: Medium, enabled: bool, actor: &str) -> Value {
    json!({
        "type": TYPE, "enabled": enabled, "room": room.shown(), "actor": actor, "mediaType": medium.as_str(),
    })
}

fn tell_state(room: &Room, world: &mut World, medium: Medium, enabled: bool, by: &str) {
    let json = state(room, medium, enabled, &room.occupant_jid(by));
    let from = world.component(room.host, NAME);
    push::to_all(room, world, &from, &json);
}

/// All lists, because of a change of one. compat: an empty one is left out (test:
/// compat_moderation_is_told_to_all_and_the_lists_to_moderators).
fn tell_lists(room: &Room, world: &mut World, medium: Medium, removed: bool) {
    let moderated = room.slots.get::<Moderation>().into_iter().flat_map(|m| m.0.iter());
    let lists: Map<String, Value> = moderated
        .filter(|(_, m)| !m.allowed.is_empty())
        .map(|(medium, m)| {
            let allowed = m.allowed.iter().map(|nick| Value::String(room.occupant_jid(nick)));
            (medium.as_str().to_owned(), allowed.collect())
        })
        .collect();
    let mut json =
        json!({"type": TYPE, "room": room.shown(), "whitelists": lists, "mediaType": medium.as_str()});
    if removed {
        push::add(&mut json, "removed", true);
    }
    let from = world.component(room.host, NAME);
    push::to_moderators(room, world, &from, &json);
}

/// Somebody who does not get the lists.
fn tell_participant(room: &Room, world: &mut World, nick: &str, json: &Value) {
    if room.occupant(nick).is_some_and(|o| !o.role.is_moderator()) {
        tell(room, world, nick, json);
    }
}

fn tell(room: &Room, world: &mut World, nick: &str, json: &Value) {
    let from = world.component(room.host, NAME);
    if let Some(s) = room.occupant(nick).and_then(Occupant::primary) {
        push::to(world, s.id, &from, json);
    }
}

const TYPE: &str = "av_moderation";
