//! For black-box suites only (feature `test-observer`): what happens in the rooms of a host in; a list for `observer.rs` out.
//! Rooms and people stand in it by their names: it is in no program that is shipped.

use std::cell::RefCell;

use jitsi_xmpp::{BareJid, Element, StanzaError};
use serde_json::{Value, json};

use crate::module::{Attempt, Module, Relay, Verdict};
use crate::room::{Occupant, Room};
use crate::world::{Sender, World};

pub(super) static MODULE: Module = Module {
    name: "test_observer",
    named: &["test_observer"],
    create: Some(|world, room, attempt| pass(world, "muc-room-pre-create", room, attempt)),
    created: Some(|room, world| note(world, "muc-room-created", &room.jid, None)),
    join: Some(|room, world, attempt| pass(world, "muc-occupant-pre-join", &room.jid, attempt)),
    joined: Some(|room, world, sender, _| {
        note(world, "muc-occupant-joined", &room.jid, Some(&sender.bare));
    }),
    iq: Some(asked),
    left: Some(|room: &mut Room, world: &mut World, gone: &Occupant| {
        note(world, "muc-occupant-left", &room.jid, Some(&gone.bare));
    }),
    destroyed: Some(|room, world| note(world, "muc-room-destroyed", &room.jid, None)),
    ..Module::NONE
};

/// What was seen since it was last forgotten. Rules that only look change it, too.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) events: RefCell<Vec<Value>>,
    pub(crate) jibri: RefCell<Vec<Value>>,
    pub(crate) dial: RefCell<Vec<Value>>,
}

fn pass(world: &World, event: &str, room: &BareJid, attempt: &Attempt) -> Verdict {
    note(world, event, room, Some(&attempt.sender.bare));
    Verdict::Pass
}

fn note(world: &World, event: &str, room: &BareJid, occupant: Option<&BareJid>) {
    let Some(seen) = world.slots.get::<Seen>() else { return };
    let mut entry = json!({
        "event": event, "room": room.as_str(), "timestamp": world.clock.unix(world.now).as_secs(),
    });
    if let (Some(occupant), Some(entry)) = (occupant, entry.as_object_mut()) {
        entry.insert("occupant".to_owned(), Value::from(occupant.as_str()));
    }
    keep(&seen.events, entry);
}

/// Recorders' and telephones' requests that the rules before let through.
fn asked(_: &mut Room, world: &mut World, _: &Sender, iq: &mut Element) -> Result<Relay, StanzaError> {
    let is_request = matches!(iq.attr("type"), Some("get" | "set"));
    let Some(seen) = world.slots.get::<Seen>().filter(|_| is_request) else { return Ok(Relay::Pass) };
    if let Some(jibri) = iq.child("jibri", "http://jitsi.org/protocol/jibri") {
        keep(
            &seen.jibri,
            json!({
                "from": iq.attr("from"), "to": iq.attr("to"),
                "action": jibri.attr("action"), "recording_mode": jibri.attr("recording_mode"),
            }),
        );
    }
    if let Some(dial) = iq.child("dial", "urn:xmpp:rayo:1") {
        let named = dial.children().filter(|c| c.name() == "header");
        let headers: serde_json::Map<String, Value> =
            named.filter_map(|h| Some((h.attr("name")?.to_owned(), Value::from(h.attr("value"))))).collect();
        let mut entry = json!({
            "from": iq.attr("from"), "to": iq.attr("to"), "dial_to": dial.attr("to"), "raw_xml": iq.to_xml(),
        });
        // What is not there is no member, as in upstream's.
        for (member, header) in [("room_name_header", "JvbRoomName"), ("room_pass_header", "JvbRoomPassword")]
        {
            if let (Some(value), Some(entry)) = (headers.get(header), entry.as_object_mut()) {
                entry.insert(member.to_owned(), value.clone());
            }
        }
        if let Some(entry) = entry.as_object_mut() {
            entry.insert("headers".to_owned(), Value::Object(headers));
        }
        keep(&seen.dial, entry);
    }
    Ok(Relay::Pass)
}

fn keep(list: &RefCell<Vec<Value>>, entry: Value) {
    let mut list = list.borrow_mut();
    if list.len() < MOST {
        list.push(entry);
    }
}

/// Entries of each list, of some 300 bytes. Reason: a suite forgets them before each case.
const MOST: usize = 10_000;
