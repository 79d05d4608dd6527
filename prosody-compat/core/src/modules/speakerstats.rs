//! Upstream's `speakerstats_component` (xmpp-server §4.26, client §8.3): a client says that it has become the dominant
//! speaker; how long each spoke is summed up here, and told to whoever comes later.
//!
//! Each speaks for itself only: the session decides whose time it is.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use jitsi_xmpp::{BareJid, Condition, StanzaError};
use serde::Serialize;

use super::push;
use crate::module::{Command, Component, Module};
use crate::room::{Occupant, Room};
use crate::world::{Sender, World};

pub(super) static MODULE: Module = Module {
    name: NAME,
    named: &["speakerstats_component", "speakerstats"],
    component: Some(Component { identity: Some("speakerstats"), in_breakouts: true }),
    command: Some(command),
    joined: Some(joined),
    left: Some(left),
    ..Module::NONE
};

const NAME: &str = "speakerstats";

/// One person's part in the meeting.
struct Speaker {
    account: BareJid,
    spoke: Duration,
    /// Set once it has left.
    name: Option<String>,
    faces: VecDeque<Face>,
}

/// An expression that the client recognised, and for how long; only if the person switched that on.
#[derive(Serialize)]
struct Face {
    #[serde(rename = "faceExpression")]
    expression: String,
    timestamp: f64,
    duration: f64,
}

/// The meeting's speakers by nick.
#[derive(Default)]
struct Stats {
    speakers: BTreeMap<Box<str>, Speaker>,
    /// Who is dominant, and since when it has not been silent.
    dominant: Option<(Box<str>, Option<Instant>)>,
}

impl Stats {
    /// Nobody is dominant any more.
    fn stop(&mut self, now: Instant) {
        let Some((nick, Some(since))) = self.dominant.take() else { return };
        if let Some(s) = self.speakers.get_mut(&nick) {
            s.spoke += now.saturating_duration_since(since);
        }
    }

    /// How long somebody has spoken by now.
    fn spoke(&self, nick: &str, speaker: &Speaker, now: Instant) -> Duration {
        match &self.dominant {
            Some((dominant, Some(since))) if **dominant == *nick => {
                speaker.spoke + now.saturating_duration_since(*since)
            }
            _ => speaker.spoke,
        }
    }
}

fn command(room: &mut Room, world: &mut World, c: &Command<'_>) -> Result<(), StanzaError> {
    let now = world.now;
    let Some(stats) = room.slots.get_mut::<Stats>().filter(|s| s.speakers.contains_key(c.nick)) else {
        return Err(StanzaError::new(Condition::ServiceUnavailable));
    };
    if let Some(e) = c.message.child_named("speakerstats") {
        let silent = e.attr("silence") == Some("true");
        stats.stop(now);
        stats.dominant = Some((c.nick.into(), (!silent).then_some(now)));
        return Ok(());
    }
    let Some(e) = c.message.child_named("faceLandmarks") else {
        return Err(StanzaError::new(Condition::ServiceUnavailable));
    };
    let number = |name| e.attr(name).and_then(|v| v.parse::<f64>().ok()).filter(|n| n.is_finite());
    let expression = e.attr("faceExpression").filter(|x| x.len() <= MAX_EXPRESSION_BYTES);
    let (Some(expression), Some(timestamp), Some(duration)) =
        (expression, number("timestamp"), number("duration"))
    else {
        return Err(StanzaError::new(Condition::BadRequest));
    };
    if let Some(s) = stats.speakers.get_mut(c.nick) {
        s.faces.push_back(Face { expression: expression.to_owned(), timestamp, duration });
        if s.faces.len() > world.config.limits.max_faces {
            s.faces.pop_front();
        }
    }
    Ok(())
}

/// A newcomer is told what there is so far, and counted from now on.
fn joined(room: &mut Room, world: &mut World, sender: &Sender, nick: &str) {
    let identity = &sender.identity;
    if room.is_health_check() || identity.admin || identity.unseen.is_some() {
        return;
    }
    let users = users(room, world.now);
    if !users.is_empty() {
        let message =
            push::message(&world.component(room.host, NAME), &Message { r#type: "speakerstats", users });
        world.deliver(sender.id, &message);
    }
    let stats = room.slots.entry::<Stats>();
    match stats.speakers.get_mut(nick) {
        // It comes back: its time goes on.
        Some(s) if s.account == sender.bare => s.name = None,
        _ => {
            if stats.speakers.len() >= world.config.limits.max_speakers {
                let silent = |s: &Speaker| s.name.is_some() && s.spoke.is_zero();
                let Some(out) = stats.speakers.iter().find(|(_, s)| silent(s)).map(|(n, _)| n.clone()) else {
                    return;
                };
                stats.speakers.remove(&out);
            }
            let account = sender.bare.clone();
            let speaker = Speaker { account, spoke: Duration::ZERO, name: None, faces: VecDeque::new() };
            stats.speakers.insert(nick.into(), speaker);
        }
    }
}

/// Who spoke, and who is not there any more: the others know who is.
fn users<'a>(room: &'a Room, now: Instant) -> BTreeMap<&'a str, Told<'a>> {
    let speakers =
        room.slots.get::<Stats>().into_iter().flat_map(|stats| {
            stats.speakers.iter().map(move |(nick, s)| (nick, s, stats.spoke(nick, s, now)))
        });
    speakers
        .filter(|(_, s, spoke)| !spoke.is_zero() || !s.faces.is_empty() || s.name.is_some())
        .map(|(nick, s, spoke)| {
            let total_dominant_speaker_time = u64::try_from(spoke.as_millis()).unwrap_or(u64::MAX);
            let display_name = s.name.as_deref();
            (&**nick, Told { total_dominant_speaker_time, face_landmarks: &s.faces, display_name })
        })
        .collect()
}

/// One person as newcomers are told of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    total_dominant_speaker_time: u64,
    face_landmarks: &'a VecDeque<Face>,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<&'a str>,
}

/// All of it. Written at once: a room that has gone on for long has hundreds of these for every newcomer.
#[derive(Serialize)]
struct Message<'a> {
    r#type: &'static str,
    users: BTreeMap<&'a str, Told<'a>>,
}

fn left(room: &mut Room, world: &mut World, gone: &Occupant) {
    let now = world.now;
    let Some(stats) = room.slots.get_mut::<Stats>() else { return };
    if stats.dominant.as_ref().is_some_and(|(nick, _)| *nick == gone.nick) {
        stats.stop(now);
    }
    if let Some(s) = stats.speakers.get_mut(&gone.nick) {
        s.name = Some(gone.display_name().unwrap_or_default());
    }
}

/// Clients know seven words, the longest has 9 letters.
const MAX_EXPRESSION_BYTES: usize = 32;
