//! `metadata.<domain>` (xmpp-server §4.24): a moderator's change of one key in; the whole object to everybody
//! out. A newcomer gets it right before its own presence, with the TURN servers.

use jitsi_xmpp::{Condition, Element, StanzaError, ns};
use serde_json::{Map, Value, json};

use crate::config::Config;
use crate::muc::Rooms;
use crate::muc::room::Room;
use crate::outbox::Outgoing;
use crate::rules::tenants;
use crate::session::SessionId;
use crate::vhost;
use crate::world::{Sender, World};

/// Keys that only the server and the focus set.
const BLOCKED: &[&str] = &[
    "allownersEnabled",
    "asyncTranscription",
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

/// A message to the component.
pub(crate) fn message(rooms: &mut Rooms, world: &mut World, sender: &Sender, e: &Element) {
    if e.attr("type") == Some("error") {
        return;
    }
    if let Err(condition) = change(rooms, world, sender, e) {
        world.refuse(sender, e, &StanzaError::new(condition), None);
    }
}

fn change(rooms: &mut Rooms, world: &mut World, sender: &Sender, e: &Element) -> Result<(), Condition> {
    let payload = e.child_named("room_metadata").ok_or(Condition::ServiceUnavailable)?;
    let room = payload.attr("room").and_then(|r| r.parse().ok()).ok_or(Condition::ServiceUnavailable)?;
    let room = tenants::stored(&world.config, room).map_err(|_| Condition::ServiceUnavailable)?.to_bare();
    let room = rooms.get_mut(&room).ok_or(Condition::ServiceUnavailable)?;
    let moderator = room.occupant_of(sender.id).is_some_and(|o| o.role.is_moderator());
    if !moderator {
        return Err(Condition::Forbidden);
    }
    let json: Value = serde_json::from_str(&payload.text()).map_err(|_| Condition::BadRequest)?;
    let key = json.get("key").and_then(Value::as_str).ok_or(Condition::BadRequest)?;
    let data = json.get("data").filter(|d| !d.is_null()).ok_or(Condition::BadRequest)?;
    if BLOCKED.contains(&key) {
        return Err(Condition::Forbidden);
    }
    set(room, world, key, data.clone())
}

/// Sets one key and tells everybody, unless nothing changes.
pub(crate) fn set(room: &mut Room, world: &mut World, key: &str, data: Value) -> Result<(), Condition> {
    if room.metadata.get(key) == Some(&data) {
        return Ok(());
    }
    let old = room.metadata.insert(key.to_owned(), data);
    let size = serde_json::to_string(&room.metadata).map_or(usize::MAX, |s| s.len());
    if size > world.config.limits.max_metadata_bytes {
        match old {
            Some(old) => room.metadata.insert(key.to_owned(), old),
            None => room.metadata.remove(key),
        };
        return Err(Condition::ResourceConstraint);
    }
    let (ordinary, admin) = (push(&world.config, room, None, false), push(&world.config, room, None, true));
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

/// What a newcomer gets, right before its own presence.
pub(crate) fn welcome(room: &Room, world: &mut World, sender: &Sender) {
    let message = if sender.admin {
        push(&world.config, room, None, true)
    } else {
        let unix = world.clock.unix(world.now);
        let services = world.config.external_services.iter().map(|s| {
            let members =
                vhost::attributes(s, unix).into_iter().map(|(k, v)| (k.to_owned(), Value::String(v)));
            Value::Object(members.collect())
        });
        push(&world.config, room, Some(services.collect()), false)
    };
    world.deliver(sender.id, &message);
}

/// The message. compat: the focus needs the `room` attribute.
fn push(config: &Config, room: &Room, services: Option<Value>, admin: bool) -> Outgoing {
    let mut metadata: Map<String, Value> = room.metadata.clone();
    if let Some(services) = services {
        metadata.insert("services".into(), services);
    }
    if admin {
        metadata.insert("moderators".into(), json!([]));
    }
    let text = json!({"type": "room_metadata", "metadata": metadata}).to_string();
    let json = Element::new("json-message", ns::JITMEET).with_attr("room", room.shown()).with_text(text);
    Outgoing::new(
        Element::new("message", ns::CLIENT)
            .with_attr("from", config.metadata_domain.as_str())
            .with_child(json),
    )
}
