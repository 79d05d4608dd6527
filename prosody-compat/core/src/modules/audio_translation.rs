//! Upstream's `audio_translation_component` (xmpp-server §4.43): whom somebody wants to hear in which language in; the focus told
//! which languages are wanted of whom, and each speaker who hears it in another one.
//!
//! Changes that come together are told together. Who leaves is nobody's speaker and nobody's listener any more.

use std::collections::{BTreeMap, BTreeSet};

use jitsi_xmpp::{Condition, Element, ErrorType, StanzaError, ns};
use serde_json::{Value, json};

use super::metadata::{self, Allowed};
use crate::kept::Share;
use crate::module::{Command, Component, Module};
use crate::outbox::Outgoing;
use crate::room::{Occupant, Room};
use crate::timers::Timer;
use crate::world::{Sender, World};

pub(super) static MODULE: Module = Module {
    name: NAME,
    named: &["audio_translation_component"],
    component: Some(Component { identity: Some("audio-translation"), in_breakouts: true }),
    command: Some(command),
    left: Some(left),
    timer: Some(publish),
    ..Module::NONE
};

const NAME: &str = "audio_translation";

/// The key of the metadata that switches it off and on.
pub(super) const KEY: &str = "audioTranslation";
/// What the focus is told.
const REQUESTS: &str = "audioTranslationRequests";

/// Nicks.
type Nick = Box<str>;

/// Who wants to hear whom in which language.
#[derive(Default)]
struct Wishes {
    by_listener: BTreeMap<Nick, Wanted>,
    /// What the focus was told last.
    told: Option<Value>,
    /// Speakers who know that they have listeners, and which.
    listeners: BTreeMap<Nick, Vec<Nick>>,
    /// Whether something is to be told soon.
    due: bool,
}

/// What one wants.
struct Wanted {
    /// Languages by speaker.
    speakers: BTreeMap<Nick, Box<str>>,
    /// What it counts for the address of who wants it. Held, not looked at.
    _share: Share,
}

fn command(room: &mut Room, world: &mut World, c: &Command<'_>) -> Result<(), StanzaError> {
    // compat: what has nothing to say is not answered (test: compat_wishes_that_are_none).
    let Some(said) = c.message.child("audio-translation", ns::JITMEET) else { return Ok(()) };
    let text = said.text();
    if text.is_empty() || !is_on(room) {
        return Ok(());
    }
    if world.features(c.sender.id).is_some_and(|f| f.get("live-translation-subscribe") == Some(&false)) {
        return Err(StanzaError::new(Condition::Forbidden));
    }
    let Some(Value::Object(said)) = jitsi_xmpp::json::parse(&text) else { return Err(bad()) };
    let before = room.slots.get::<Wishes>().and_then(|w| w.by_listener.get(c.nick));
    // A copy: all of it counts, or nothing.
    let mut speakers = before.map(|w| w.speakers.clone()).unwrap_or_default();
    for (speaker, language) in said {
        let language = language.as_str().filter(|_| is_nick(&speaker)).ok_or_else(bad)?;
        if language.is_empty() {
            speakers.remove(speaker.as_str());
            continue;
        }
        if language.len() > MAX_LANGUAGE_BYTES || !language.bytes().all(|b| b.is_ascii_alphabetic()) {
            return Err(bad());
        }
        if room.occupant(&speaker).is_none() {
            return Err(StanzaError::new(Condition::ItemNotFound).with_type(ErrorType::Cancel));
        }
        speakers.insert(speaker.into(), language.into());
    }
    let most = world.config.limits.max_translations;
    if speakers.len() > room.policy.max_translations.map_or(most, |policy| policy.min(most)) {
        return Err(StanzaError::new(Condition::PolicyViolation).with_type(ErrorType::Cancel));
    }
    let share = world.keeps(c.sender, PLACE_BYTES * speakers.len())?;
    room.slots.entry::<Wishes>().by_listener.insert(c.nick.into(), Wanted { speakers, _share: share });
    changed(room, world);
    Ok(())
}

fn bad() -> StanzaError {
    StanzaError::new(Condition::BadRequest).with_type(ErrorType::Modify)
}

/// As clients make them: eight hexadecimal digits.
fn is_nick(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Unless it was switched off.
fn is_on(room: &Room) -> bool {
    metadata::get(room, KEY).is_none_or(|v| v.get("enabled") != Some(&Value::Bool(false)))
}

/// Who may switch it, and to what.
pub(super) fn allowed(room: &Room, world: &World, sender: &Sender, data: &Value) -> Allowed {
    if world.component(room.host, NAME).is_empty() {
        return Allowed::ToModerators;
    }
    if !world.may(sender.id, "live-translation", room.is_moderator(sender.id)) {
        return Allowed::No;
    }
    let on = data.get("enabled").is_some_and(|on| *on == Value::Bool(true) || on.as_str() == Some("true"));
    Allowed::As(json!({"enabled": on}))
}

/// Wishes changed, or what becomes of them: it is told soon. compat: as upstream, after half a second
/// (test: compat_wishes_that_come_together_are_told_together).
pub(super) fn changed(room: &mut Room, world: &mut World) {
    let Some(wishes) = room.slots.get_mut::<Wishes>() else { return };
    if !std::mem::replace(&mut wishes.due, true) {
        world
            .timers
            .set(world.now + room.policy.translations_told_after, Timer::Room(room.jid.clone(), NAME));
    }
}

fn left(room: &mut Room, world: &mut World, gone: &Occupant) {
    let Some(wishes) = room.slots.get_mut::<Wishes>() else { return };
    let mut changes = wishes.by_listener.remove(&gone.nick).is_some();
    for wanted in wishes.by_listener.values_mut() {
        changes |= wanted.speakers.remove(&gone.nick).is_some();
    }
    // Whoever comes under this nick has been told nothing.
    wishes.listeners.remove(&gone.nick);
    if changes {
        changed(room, world);
    }
}

fn publish(room: &mut Room, world: &mut World) {
    let on = is_on(room);
    let Some(wishes) = room.slots.get_mut::<Wishes>() else { return };
    wishes.due = false;
    let mut languages: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut listeners: BTreeMap<Nick, Vec<Nick>> = BTreeMap::new();
    for (listener, wanted) in wishes.by_listener.iter().filter(|_| on) {
        for (speaker, language) in &wanted.speakers {
            languages.entry(speaker).or_default().insert(language);
            listeners.entry(speaker.clone()).or_default().push(listener.clone());
        }
    }
    let told = (!languages.is_empty()).then(|| json!(languages));
    let news = told != wishes.told;
    let before = std::mem::replace(&mut wishes.listeners, listeners.clone());
    if news {
        wishes.told.clone_from(&told);
        metadata::for_roles(room, world, REQUESTS, told.as_ref());
    }
    let silent = before.keys().filter(|nick| !listeners.contains_key(*nick));
    for speaker in silent {
        tell(room, world, speaker, &[]);
    }
    for (speaker, who) in listeners.iter().filter(|(nick, who)| before.get(*nick) != Some(*who)) {
        tell(room, world, speaker, who);
    }
}

/// A speaker is told who hears it in another language.
fn tell(room: &Room, world: &mut World, speaker: &str, listeners: &[Nick]) {
    let Some(o) = room.occupant(speaker) else { return };
    let told = Element::new("translation-listeners", ns::JITMEET).with_text(json!(listeners).to_string());
    let message = Outgoing::new(
        Element::new("message", ns::CLIENT)
            .with_attr("from", &*world.component(room.host, NAME))
            .with_child(told),
    );
    for s in &o.sessions {
        world.deliver(s.id, &message);
    }
}

/// What a wish takes in memory, with its share of what is told.
const PLACE_BYTES: usize = 100;
/// Upstream's.
const MAX_LANGUAGE_BYTES: usize = 20;

/// What the focus is told, for a suite.
#[cfg(feature = "test-observer")]
pub(crate) fn observed(room: &Room) -> Option<Value> {
    metadata::observed_of_roles(room, REQUESTS)
}
