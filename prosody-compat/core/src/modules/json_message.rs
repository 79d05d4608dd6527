//! Part of upstream's `muc_meeting_id` (xmpp-server §4.14): group messages with only a JSON payload must be JSON,
//! and transcriptions come only from the transcriber.

use jitsi_xmpp::{Element, StanzaError, ns};
use serde_json::Value;

use crate::identity::Unseen;
use crate::module::{Module, Relay};
use crate::room::Room;
use crate::world::{Sender, World};

pub(super) static MODULE: Module =
    Module { name: "json_message", named: &["muc_meeting_id"], message: Some(check), ..Module::NONE };

fn check(_: &mut Room, _: &World, sender: &Sender, e: &mut Element) -> Result<Relay, StanzaError> {
    if e.child_named("body").is_some() {
        return Ok(Relay::Pass);
    }
    let Some(json) = e.child("json-message", ns::JITMEET) else { return Ok(Relay::Pass) };
    let Some(value) = jitsi_xmpp::json::parse(&json.text()) else { return Ok(Relay::Drop) };
    let transcription = value.get("type").and_then(Value::as_str) == Some("transcription-result");
    let transcriber = sender.identity.unseen == Some(Unseen::Transcriber);
    Ok(if transcription && !transcriber { Relay::Drop } else { Relay::Pass })
}
