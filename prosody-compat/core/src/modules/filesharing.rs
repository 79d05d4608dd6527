//! Upstream's `filesharing_component` (xmpp-server §4.27): somebody who may says that a file was put somewhere or
//! taken away; the same, with who it was, to the others and to those who watch out, and the list to whoever comes later. The files
//! themselves are at a service of their own.

use std::collections::BTreeMap;

use jitsi_xmpp::{Condition, Element, ErrorType, StanzaError, ns};
use serde_json::{Map, Value, json};

use super::push;
use crate::kept::{Kept, Share};
use crate::module::{Command, Component, Module};
use crate::room::Room;
use crate::room::rank::Affiliation;
use crate::session::SessionId;
use crate::world::{Sender, World};

pub(super) static MODULE: Module = Module {
    name: NAME,
    named: &["filesharing_component"],
    component: Some(Component { identity: Some("file-sharing"), in_breakouts: false }),
    command: Some(command),
    joined: Some(joined),
    ..Module::NONE
};

const NAME: &str = "filesharing";

/// What was shared, by id.
#[derive(Default)]
struct Files(BTreeMap<String, File>);

struct File {
    /// As JSON: a tree of it would be many times larger.
    json: Box<str>,
    /// What it counts for the address of who shared it. Held, not looked at.
    _share: Share,
}

fn command(room: &mut Room, world: &mut World, c: &Command<'_>) -> Result<(), StanzaError> {
    // As upstream: what is not understood does not exist.
    let nothing = || StanzaError::new(Condition::ServiceUnavailable);
    let said = c.message.child("file-sharing", ns::JITMEET).ok_or_else(nothing)?;
    if room.watches().is_some() {
        // Of the meeting, and shared there.
        return Err(StanzaError::new(Condition::Forbidden));
    }
    let owner = room.affiliation(&world.config, &c.sender.bare) == Affiliation::Owner;
    if !world.may(c.sender.id, "file-upload", owner) {
        return Err(StanzaError::new(Condition::Forbidden));
    }
    match said.attr("type") {
        Some("add") => add(room, world, c, said),
        Some("remove") => {
            if let Some(id) = said.attr("fileId") {
                remove(room, world, c, id);
            }
            Ok(())
        }
        _ => Err(nothing()),
    }
}

fn add(room: &mut Room, world: &mut World, c: &Command<'_>, said: &Element) -> Result<(), StanzaError> {
    let nothing = || StanzaError::new(Condition::ServiceUnavailable);
    let text = said.text();
    if text.len() > world.config.limits.max_file_bytes {
        return Err(StanzaError::new(Condition::PolicyViolation).with_type(ErrorType::Modify));
    }
    let Some(Value::Object(mut file)) = jitsi_xmpp::json::parse(&text) else { return Err(nothing()) };
    let id = file.get("fileId").and_then(Value::as_str).ok_or_else(nothing)?.to_owned();
    // Whatever the message says about who it was is replaced.
    let name = room.occupant(c.nick).and_then(|o| o.display_name()).unwrap_or_else(|| "anonymous".to_owned());
    for (key, value) in [
        ("authorParticipantId", c.nick),
        ("authorParticipantJid", c.sender.jid.as_str()),
        ("authorParticipantName", &name),
        ("conferenceFullName", room.shown()),
    ] {
        file.insert(key.to_owned(), value.into());
    }
    let told = json!({"type": KIND, "event": "add", "file": &file});
    let json = Value::Object(file).to_string().into_boxed_str();
    let most = world.config.limits.max_files;
    let share = world.keeps(c.sender, PLACE_BYTES + id.len() + json.len())?;
    let files = &mut room.slots.entry::<Files>().0;
    if files.len() >= most && !files.contains_key(&id) {
        return Err(StanzaError::new(Condition::ResourceConstraint).with_type(ErrorType::Wait));
    }
    let (seen, known) = (id.clone(), json.clone());
    files.insert(id, File { json, _share: share });
    tell_others(room, world, c, &told);
    to_audience(room, world, told, move |files| {
        files.insert(seen, File { json: known, _share: Kept::ours() });
    });
    Ok(())
}

fn remove(room: &mut Room, world: &mut World, c: &Command<'_>, id: &str) {
    let Some(files) = room.slots.get_mut::<Files>() else { return };
    if files.0.remove(id).is_some() {
        let told = json!({"type": KIND, "event": "remove", "fileId": id});
        tell_others(room, world, c, &told);
        let id = id.to_owned();
        to_audience(room, world, told, move |files| drop(files.remove(&id)));
    }
}

/// The same for those who watch, where they have a component for it.
fn to_audience(
    room: &Room,
    world: &mut World,
    told: Value,
    change: impl FnOnce(&mut BTreeMap<String, File>) + Send + 'static,
) {
    let Some(audience) = &room.audience else { return };
    world.elsewhere(&audience.jid, move |audience, world| {
        let from = world.component(audience.host, NAME);
        if from.is_empty() {
            return;
        }
        change(&mut audience.slots.entry::<Files>().0);
        let message = push::message(&from, &told);
        let viewers = audience.occupants().filter(|o| !world.is_admin(&o.bare));
        let viewers: Vec<SessionId> = viewers.flat_map(|o| o.sessions.iter().map(|s| s.id)).collect();
        viewers.into_iter().for_each(|id| world.deliver(id, &message));
    });
}

/// Who begins to watch is told what was shared before.
pub(super) fn share(meeting: &Room, audience: &mut Room) {
    let Some(known) = meeting.slots.get::<Files>().filter(|f| !f.0.is_empty()) else { return };
    let copy =
        |(id, file): (&String, &File)| (id.clone(), File { json: file.json.clone(), _share: Kept::ours() });
    audience.slots.put(Files(known.0.iter().map(copy).collect()));
}

/// Everybody but the roles and the one who did it.
fn tell_others(room: &Room, world: &mut World, c: &Command<'_>, json: &Value) {
    let message = push::message(&world.component(room.host, NAME), json);
    for o in room.occupants().filter(|o| *o.nick != *c.nick) {
        if world.is_admin(&o.bare) {
            continue;
        }
        for s in &o.sessions {
            world.deliver(s.id, &message);
        }
    }
}

fn joined(room: &mut Room, world: &mut World, sender: &Sender, _: &str) {
    let Some(files) = room.slots.get::<Files>().filter(|f| !f.0.is_empty() && !sender.identity.admin) else {
        return;
    };
    let all: Map<String, Value> = files
        .0
        .iter()
        .filter_map(|(id, f)| Some((id.clone(), serde_json::from_str(&f.json).ok()?)))
        .collect();
    let from = world.component(room.host, NAME);
    push::to(world, sender.id, &from, &json!({"type": KIND, "event": "list", "files": all}));
}

const KIND: &str = "file-sharing";
/// What a file takes beyond its text: its places in memory.
const PLACE_BYTES: usize = 100;
