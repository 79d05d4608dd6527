//! The part of upstream's `fmuc` that is no relaying (xmpp-server §11): who may watch, what a viewer's raised hand and its wish for
//! subtitles mean for the meeting, and that a room from where nobody watches ends.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jitsi_xmpp::{Condition, Element, StanzaError, ns};
use serde_json::json;

use super::visitors::{self, Hand};
use super::{metadata, push};
use crate::module::{Attempt, Module, Verdict};
use crate::room::{Occupant, Room};
use crate::timers::Timer;
use crate::world::{Effect, World};

pub(super) static MODULE: Module = Module {
    name: NAME,
    named: &["fmuc"],
    join: Some(join),
    relayed: Some(relayed),
    left: Some(left),
    timer: Some(timer),
    ..Module::NONE
};

/// Tells the meeting at intervals which languages are wanted.
pub(super) static LANGUAGES: Module =
    Module { name: "audience languages", named: &["fmuc"], timer: Some(tell_languages), ..Module::NONE };

const NAME: &str = "audience";

/// What viewers have said last that counts beyond them, by nick.
#[derive(Default)]
struct Viewers {
    hands: BTreeMap<Box<str>, Hand>,
    /// The language in which somebody wants to read what is said; empty: as it is spoken.
    languages: BTreeMap<Box<str>, Box<str>>,
    /// The meeting will be told of these.
    languages_due: bool,
}

fn join(room: &mut Room, world: &mut World, attempt: &mut Attempt) -> Verdict {
    let Some(meeting) = room.watches().filter(|_| !attempt.sender.identity.admin) else {
        return Verdict::Pass;
    };
    if world.lobbies.contains(meeting) {
        // compat: clients tell it by the element (test: compat_nobody_watches_while_there_is_a_lobby).
        let error = StanzaError::new(Condition::NotAllowed)
            .with_text("Visitors not allowed while lobby is on!")
            .with_extra(Element::new("no-visitors-lobby", ns::VISITORS));
        return Verdict::refuse(error);
    }
    if room.shows_on_stage(&attempt.nick) {
        return Verdict::refuse(StanzaError::new(Condition::Conflict));
    }
    Verdict::Pass
}

/// A viewer has said something of itself.
fn relayed(room: &mut Room, world: &mut World, nick: &str, presence: &Element) {
    let Some(meeting) = room.watches().cloned() else { return };
    let Some(o) = room.occupant(nick).filter(|o| !world.is_admin(&o.bare)) else { return };
    let Some(session) = o.primary() else { return };
    let hand = Hand { session: session.id, jid: session.jid.as_str().into(), name: o.name.clone() };
    let said = |name: &str| presence.child_named(name).map(Element::text).filter(|text| !text.is_empty());
    let up = said("jitsi_participant_raisedHand").is_some();
    let language = said("jitsi_participant_requestingTranscription").filter(|v| v == "true").map(|_| {
        let language = said("jitsi_participant_translation_language").unwrap_or_default();
        language.chars().take(LANGUAGE_CHARS).collect::<String>().into_boxed_str()
    });
    let viewers = room.slots.entry::<Viewers>();
    if up != viewers.hands.contains_key(nick) {
        if up {
            viewers.hands.insert(nick.into(), hand.clone());
        } else {
            viewers.hands.remove(nick);
        }
        world.elsewhere(&meeting, move |meeting, world| visitors::hand(meeting, world, hand, up));
    }
    let before = viewers.languages.get(nick).cloned();
    if before != language {
        match language {
            Some(language) => viewers.languages.insert(nick.into(), language),
            None => viewers.languages.remove(nick),
        };
        languages_changed(room, world);
    }
}

fn left(room: &mut Room, world: &mut World, gone: &Occupant) {
    let Some(meeting) = room.watches().cloned() else { return };
    let viewers = room.slots.entry::<Viewers>();
    let (hand, language) = (viewers.hands.remove(&gone.nick), viewers.languages.remove(&gone.nick));
    if let Some(hand) = hand {
        world.elsewhere(&meeting, move |meeting, world| visitors::hand(meeting, world, hand, false));
    }
    if language.is_some() {
        languages_changed(room, world);
    }
    if room.viewers() == 0 {
        world.timers.set(world.now + EMPTY, Timer::Room(room.jid.clone(), NAME));
    }
}

/// Nobody watched a while ago, and still nobody does.
fn timer(room: &mut Room, world: &mut World) {
    if room.viewers() == 0 {
        world.effects.push_back(Effect::Destroy { room: room.jid.clone(), reason: "No visitors." });
    }
}

/// All of a meeting are told, so thousands who choose a language at once are told of together.
fn languages_changed(room: &mut Room, world: &mut World) {
    let viewers = room.slots.entry::<Viewers>();
    if !std::mem::replace(&mut viewers.languages_due, true) {
        world.timers.set(world.now + TOGETHER, Timer::Room(room.jid.clone(), LANGUAGES.name));
    }
}

fn tell_languages(room: &mut Room, world: &mut World) {
    let Some(meeting) = room.watches().cloned() else { return };
    let viewers = room.slots.entry::<Viewers>();
    viewers.languages_due = false;
    let count = viewers.languages.len();
    let all: BTreeSet<&str> = viewers.languages.values().map(|l| &**l).filter(|l| !l.is_empty()).collect();
    let all: Vec<&str> = all.into_iter().take(LANGUAGES_TOLD).collect();
    let languages = all.join(",");
    world.elsewhere(&meeting, move |meeting, world| {
        let mut of_visitors = metadata::get(meeting, "visitors").unwrap_or_else(|| json!({}));
        push::add(&mut of_visitors, "transcribingLanguages", languages);
        push::add(&mut of_visitors, "transcribingCount", count);
        // Moderators may have filled it to its bound; nothing depends on it.
        let _ = metadata::set(meeting, world, None, "visitors", of_visitors);
    });
}

/// As upstream: a viewer who reloads the page is back before.
const EMPTY: Duration = Duration::from_secs(15);
const TOGETHER: Duration = Duration::from_secs(2);
/// `zh-Hant-TW` and the like.
const LANGUAGE_CHARS: usize = 16;
/// More than anybody translates to at once.
const LANGUAGES_TOLD: usize = 100;
