//! Upstream's `jibri_session` (xmpp-server §4.31): who began a recording, and in which meeting, stands in what the recorder gets as
//! `app_data`; nobody can write it there. First a person asks the focus, then the focus a recorder, in the recorders' room: the
//! module is named in both places.

use std::collections::HashMap;

use jitsi_xmpp::{BareJid, Condition, Element, ErrorType, Jid, StanzaError, ns};
use serde_json::{Map, Value};

use super::meeting_id;
use crate::module::{Module, Relay};
use crate::room::Room;
use crate::tenants;
use crate::world::{Sender, World};

pub(super) static MODULE: Module = Module {
    name: "jibri_session",
    named: &["jibri_session"],
    iq: Some(note),
    destroyed: Some(|room, world| {
        if let Some(asked) = world.slots.get_mut::<Asked>() {
            asked.0.remove(&room.jid);
        }
    }),
    ..Module::NONE
};

/// Ids of the meetings that somebody wanted to record: the focus asks in another room. One for each meeting at most.
#[derive(Default)]
struct Asked(HashMap<BareJid, String>);

fn note(room: &mut Room, world: &mut World, sender: &Sender, e: &mut Element) -> Result<Relay, StanzaError> {
    let jibri = e.children_mut().find(|c| c.is("jibri", ns::JIBRI));
    let Some(jibri) = jibri.filter(|j| j.attr("action").is_some_and(|a| a.eq_ignore_ascii_case("start")))
    else {
        return Ok(Relay::Pass);
    };
    let said = if sender.identity.admin {
        let meeting = jibri.attr("room").and_then(|r| r.parse::<Jid>().ok());
        let meeting = meeting.and_then(|jid| tenants::stored(&world.config, jid).ok());
        let asked = meeting.and_then(|jid| world.slots.get::<Asked>()?.0.get(&jid.to_bare()));
        let Some(id) = asked else { return Ok(Relay::Pass) };
        ("conference_details", Map::from_iter([("session_id".to_owned(), id.as_str().into())]))
    } else {
        let id = meeting_id::of(room).to_owned();
        world.slots.entry::<Asked>().0.insert(room.jid.clone(), id);
        ("initiator", initiator(world, sender))
    };
    let data = with(jibri.attr("app_data"), said)
        .ok_or_else(|| StanzaError::new(Condition::BadRequest).with_type(ErrorType::Modify))?;
    jibri.set_attr("app_data", data);
    Ok(Relay::Pass)
}

/// Who asks, as its token says, or that of whoever made it a moderator.
fn initiator(world: &World, sender: &Sender) -> Map<String, Value> {
    let own = sender.identity.token.as_deref();
    let lent = world.sessions.get(sender.id).and_then(|s| s.granted_by.as_ref()?.token.as_deref());
    let user = own.and_then(|t| t.user.as_ref()).or_else(|| lent?.user.as_ref());
    let group = own.and_then(|t| t.group.as_ref()).or_else(|| lent?.group.as_ref());
    let id = user.and_then(prosody_token::User::id).map(|id| Value::from(id.into_owned()));
    let group = group.map(|g| Value::from(g.reveal().as_str()));
    [("id", id), ("group", group)].into_iter().filter_map(|(k, v)| Some((k.to_owned(), v?))).collect()
}

/// The data with this in it. `None`: it is none that could be read.
fn with(data: Option<&str>, (name, value): (&str, Map<String, Value>)) -> Option<String> {
    let mut data = match data.filter(|text| !text.is_empty()) {
        Some(text) => jitsi_xmpp::json::parse(text)?,
        None => Value::Object(Map::new()),
    };
    let metadata = data.as_object_mut()?.entry(METADATA).or_insert_with(|| Value::Object(Map::new()));
    metadata.as_object_mut()?.insert(name.to_owned(), Value::Object(value));
    Some(data.to_string())
}

const METADATA: &str = "file_recording_metadata";
