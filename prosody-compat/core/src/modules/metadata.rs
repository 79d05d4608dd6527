//! `metadata.<domain>` (xmpp-server §4.24): a moderator's change of one key in; the whole object to everybody
//! out. A newcomer gets it right before its own presence, with the TURN servers.

use std::collections::BTreeMap;

use jitsi_xmpp::{Condition, Element, StanzaError, ns};
use serde_json::Value;

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
    component: Some(Component { identity: Some("room_metadata") }),
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

/// Keys that only the server and the focus set.
const BLOCKED: &[&str] = &[
    "allownersEnabled",
    "asyncTranscription",
    "audioTranslationRequests",
    "conferencePresetsServiceEnabled",
    "dialinEnabled",
    "moderators",
    "participants",
    "participantsSoftLimit",
    "services",
    "transcriberType",
    "transcription",
    "visitorsEnabled",
];

fn command(room: &mut Room, world: &mut World, c: &Command<'_>) -> Result<(), StanzaError> {
    // compat: what upstream's handler takes as handled is not answered, all else is nobody's
    // (test: compat_metadata_is_silent_where_upstream_is).
    let refuse = || Err(StanzaError::new(Condition::ServiceUnavailable));
    let Some(payload) = c.message.child("room_metadata", ns::JITMEET) else { return Ok(()) };
    let text = payload.text();
    if text.is_empty() || payload.attr("room").is_none() {
        return Ok(());
    }
    let Some(json) = jitsi_xmpp::json::parse(&text) else { return refuse() };
    let Some(key) = json.get("key").and_then(Value::as_str) else { return Ok(()) };
    let Some(data) = json.get("data").filter(|d| !d.is_null()) else { return refuse() };
    if !room.is_moderator(c.sender.id) || BLOCKED.contains(&key) {
        return refuse();
    }
    set(room, world, Some(c.sender), key, data.clone())
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
    if !set_silently(room, world, by, key, data)? {
        return Ok(());
    }
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
    Ok(())
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

fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

/// What a newcomer gets, right before its own presence.
fn welcome(room: &mut Room, world: &mut World, sender: &Sender) {
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
    members.extend(services.as_deref().map(|s| ("services", s)));
    members.extend(moderators.map(|m| ("moderators", m)));
    let members: Vec<String> = members.iter().map(|(key, json)| format!("{}:{json}", quoted(key))).collect();
    let text = format!(r#"{{"metadata":{{{}}},"type":"room_metadata"}}"#, members.join(","));
    let json = Element::new("json-message", ns::JITMEET).with_attr("room", room.shown()).with_text(text);
    Outgoing::new(
        Element::new("message", ns::CLIENT)
            .with_attr("from", &*world.component(room.host, NAME))
            .with_child(json),
    )
}
