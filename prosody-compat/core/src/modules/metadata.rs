//! `metadata.<domain>` (xmpp-server §4.24): a moderator's change of one key in; the whole object to everybody
//! out. A newcomer gets it right before its own presence, with the TURN servers.

use std::collections::BTreeMap;

use jitsi_xmpp::{Condition, Element, StanzaError, ns};
use serde_json::{Map, Value};

use super::audio_translation;
use crate::external_services;
use crate::kept::{Kept, Share};
use crate::module::{Command, Component, Module};
use crate::outbox::Outgoing;
use crate::room::Room;
use crate::session::SessionId;
use crate::world::{Sender, World};

pub(super) static MODULE: Module = Module {
    name: NAME,
    named: &["room_metadata_component", "room_metadata"],
    component: Some(Component { identity: Some("room_metadata"), in_breakouts: true }),
    command: Some(command),
    welcome: Some(welcome),
    ..Module::NONE
};

pub(super) const NAME: &str = "metadata";

/// The room's object: its keys and values.
#[derive(Default)]
struct Metadata(BTreeMap<Box<str>, Entry>);

/// A value as JSON: a tree of it would be many times larger.
struct Entry {
    json: Box<str>,
    /// What it counts for the address of who set it last. Held, not looked at.
    _share: Share,
}

/// What only roles are told, by key, as JSON.
#[derive(Default)]
struct ForRoles(BTreeMap<&'static str, Box<str>>);

fn command(room: &mut Room, world: &mut World, c: &Command<'_>) -> Result<(), StanzaError> {
    // compat: what upstream's handler takes as handled is not answered, all else is nobody's
    // (test: compat_metadata_is_silent_where_upstream_is).
    let refuse = || Err(StanzaError::new(Condition::ServiceUnavailable));
    if room.watches().is_some() {
        // Of the meeting, and set there.
        return refuse();
    }
    let Some(payload) = c.message.child("room_metadata", ns::JITMEET) else { return Ok(()) };
    let text = payload.text();
    if text.is_empty() || payload.attr("room").is_none() {
        return Ok(());
    }
    let Some(json) = jitsi_xmpp::json::parse(&text) else { return refuse() };
    let Some(key) = json.get("key").and_then(Value::as_str) else { return Ok(()) };
    let Some(data) = json.get("data").filter(|d| !d.is_null()) else { return refuse() };
    let data = match allowed(room, world, c.sender, key, data) {
        Allowed::As(data) => data,
        Allowed::ToModerators if room.is_moderator(c.sender.id) => data.clone(),
        Allowed::ToModerators | Allowed::No => return refuse(),
    };
    if room.policy.blocked_metadata.iter().any(|blocked| blocked == key) {
        return refuse();
    }
    set(room, world, Some(c.sender), key, data)?;
    if key == audio_translation::KEY {
        audio_translation::changed(room, world);
    }
    Ok(())
}

/// Who may set a key.
pub(super) enum Allowed {
    /// Moderators may.
    ToModerators,
    /// This one may not.
    No,
    /// This one may set it to this.
    As(Value),
}

fn allowed(room: &Room, world: &World, sender: &Sender, key: &str, data: &Value) -> Allowed {
    match key {
        RECORDING => recording(world, sender, data),
        audio_translation::KEY => audio_translation::allowed(room, world, sender, data),
        _ => Allowed::ToModerators,
    }
}

/// compat: who is known to be allowed transcription switches it on, moderator or not, and nothing else with it; who is known not
/// to be does not (test: compat_the_recording_key_is_theirs_who_may_transcribe).
fn recording(world: &World, sender: &Sender, data: &Value) -> Allowed {
    let switches = ["isTranscribingEnabled", "isRecordingRequested"];
    let given = switches.iter().filter_map(|s| Some(((*s).to_owned(), data.get(s)?.clone())));
    let given: Map<String, Value> = given.collect();
    match world.features(sender.id) {
        Some(_) if !given.is_empty() => {
            if world.may(sender.id, "transcription", false) {
                Allowed::As(Value::Object(given))
            } else {
                Allowed::No
            }
        }
        _ => Allowed::ToModerators,
    }
}

const RECORDING: &str = "recording";

/// Whether moderators have switched this on, among the permissions.
pub(super) fn permits(room: &Room, restriction: &str) -> bool {
    get(room, "permissions").is_some_and(|p| p.get(restriction).and_then(Value::as_bool) == Some(true))
}

/// Sets what only roles are told, or takes it away; everybody is told what it knows already, as by upstream.
pub(super) fn for_roles(room: &mut Room, world: &mut World, key: &'static str, value: Option<&Value>) {
    let known = &mut room.slots.entry::<ForRoles>().0;
    match value {
        Some(value) => known.insert(key, value.to_string().into()),
        None => known.remove(key),
    };
    tell(room, world);
}

/// A key's value.
pub(super) fn get(room: &Room, key: &str) -> Option<Value> {
    serde_json::from_str(&room.slots.get::<Metadata>()?.0.get(key)?.json).ok()
}

/// Sets one key and tells everybody, unless nothing changes. `by`: `None` is the server itself.
pub(super) fn set(
    room: &mut Room,
    world: &mut World,
    by: Option<&Sender>,
    key: &str,
    data: Value,
) -> Result<(), StanzaError> {
    if set_silently(room, world, by, key, data)? {
        tell(room, world);
    }
    Ok(())
}

/// Everybody is told all of it.
fn tell(room: &Room, world: &mut World) {
    let (ordinary, admin) = (push(world, room, None, false), push(world, room, None, true));
    let recipients: Vec<(SessionId, bool)> = room
        .occupants()
        .flat_map(|o| {
            let is_admin = world.is_admin(&o.bare);
            o.sessions.iter().map(move |s| (s.id, is_admin))
        })
        .collect();
    for (id, is_admin) in recipients {
        world.deliver(id, if is_admin { &admin } else { &ordinary });
    }
    if let (Some(audience), Some(known)) = (&room.audience, room.slots.get::<Metadata>()) {
        let known: Vec<(Box<str>, Box<str>)> =
            known.0.iter().map(|(key, e)| (key.clone(), e.json.clone())).collect();
        world.elsewhere(&audience.jid, move |audience, world| {
            let copy = known.into_iter().map(|(key, json)| (key, Entry { json, _share: Kept::ours() }));
            audience.slots.put(Metadata(copy.collect()));
            tell(audience, world);
        });
    }
}

/// Whoever watches is told what those are told who meet.
pub(super) fn share(meeting: &Room, audience: &mut Room) {
    if let Some(known) = meeting.slots.get::<Metadata>() {
        let copy = known
            .0
            .iter()
            .map(|(key, e)| (key.clone(), Entry { json: e.json.clone(), _share: Kept::ours() }));
        audience.slots.put(Metadata(copy.collect()));
    }
}

/// Sets one key, which newcomers learn; whether it was a change.
pub(super) fn set_silently(
    room: &mut Room,
    world: &mut World,
    by: Option<&Sender>,
    key: &str,
    data: Value,
) -> Result<bool, StanzaError> {
    let metadata = &mut room.slots.entry::<Metadata>().0;
    let json = data.to_string().into_boxed_str();
    if metadata.get(key).is_some_and(|before| before.json == json) {
        return Ok(false);
    }
    let size = |key: &str, json: &str| quoted(key).len() + ":,".len() + json.len();
    let others = metadata.iter().filter(|(k, _)| ***k != *key).map(|(k, e)| size(k, &e.json)).sum::<usize>();
    // With braces, and without the comma that is one too many.
    if others + size(key, &json) + "{}".len() - ",".len() > world.config.limits.max_metadata_bytes {
        return Err(StanzaError::new(Condition::ResourceConstraint));
    }
    let share = match by {
        Some(sender) => world.keeps(sender, key.len() + json.len())?,
        None => Kept::ours(),
    };
    metadata.insert(key.into(), Entry { json, _share: share });
    Ok(true)
}

/// Whether nobody has said anything of the room.
fn is_empty(room: &Room) -> bool {
    room.slots.get::<Metadata>().is_none_or(|m| m.0.is_empty())
        && room.slots.get::<ForRoles>().is_none_or(|m| m.0.is_empty())
}

fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

/// What a newcomer gets, right before its own presence. compat: the role that opens a room hears nothing, there is nothing yet
/// (test: compat_the_focus_hears_of_no_metadata_of_a_room_that_it_opens).
fn welcome(room: &mut Room, world: &mut World, sender: &Sender) {
    if sender.identity.admin && room.len() == 0 && is_empty(room) {
        return;
    }
    let message = if sender.identity.admin {
        push(world, room, None, true)
    } else {
        let unix = world.clock.unix(world.now);
        let services = world.config.external_services.iter().map(|s| {
            let members = external_services::attributes(s, unix, &sender.jid)
                .into_iter()
                .map(|(k, v)| (k.to_owned(), Value::String(v)));
            Value::Object(members.collect())
        });
        push(world, room, Some(services.collect()), false)
    };
    world.deliver(sender.id, &message);
}

/// The message. compat: the focus needs the `room` attribute (test: compat_metadata_names_its_room_and_pushes_do_not).
fn push(world: &World, room: &Room, services: Option<Value>, admin: bool) -> Outgoing {
    let (services, moderators) = (services.map(|s| s.to_string()), admin.then_some("[]"));
    let mut members: BTreeMap<&str, &str> = BTreeMap::new();
    if let Some(metadata) = room.slots.get::<Metadata>() {
        members.extend(metadata.0.iter().map(|(key, e)| (&**key, &*e.json)));
    }
    let shown = members.get(TRANSCRIPTION).filter(|_| !admin).map(|json| without_headers(json));
    members.extend(shown.as_deref().map(|json| (TRANSCRIPTION, json)));
    members.extend(services.as_deref().map(|s| ("services", s)));
    members.extend(moderators.map(|m| ("moderators", m)));
    if let Some(known) = room.slots.get::<ForRoles>().filter(|_| admin) {
        members.extend(known.0.iter().map(|(key, json)| (*key, &**json)));
    }
    let members: Vec<String> = members.iter().map(|(key, json)| format!("{}:{json}", quoted(key))).collect();
    let text = format!(r#"{{"metadata":{{{}}},"type":"room_metadata"}}"#, members.join(","));
    let json = Element::new("json-message", ns::JITMEET).with_attr("room", room.shown()).with_text(text);
    Outgoing::new(
        Element::new("message", ns::CLIENT)
            .with_attr("from", &*world.component(room.host, NAME))
            .with_child(json),
    )
}

/// How transcribers are reached, less the keys that they show there. compat: these are for roles (test:
/// compat_keys_of_transcribers_are_for_roles).
fn without_headers(json: &str) -> String {
    let Ok(Value::Object(mut said)) = serde_json::from_str(json) else { return json.to_owned() };
    said.remove("httpHeaders");
    Value::Object(said).to_string()
}

const TRANSCRIPTION: &str = "transcription";

/// All of it, for a suite.
#[cfg(feature = "test-observer")]
pub(crate) fn observed(room: &Room) -> Value {
    let all = room.slots.get::<Metadata>().map(|m| &m.0);
    let read = |e: &Entry| serde_json::from_str(&e.json).ok();
    let all = all.into_iter().flatten();
    Value::Object(all.filter_map(|(key, e)| Some((key.to_string(), read(e)?))).collect())
}

/// What only roles are told, for a suite.
#[cfg(feature = "test-observer")]
pub(super) fn observed_of_roles(room: &Room, key: &str) -> Option<Value> {
    serde_json::from_str(room.slots.get::<ForRoles>()?.0.get(key)?).ok()
}
