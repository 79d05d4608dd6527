//! Part of upstream's `muc_meeting_id` (xmpp-server §4.14): group messages with only a JSON payload must be JSON,
//! and transcriptions come only from the transcriber.

use jitsi_xmpp::{Element, StanzaError, ns};
use serde_json::Value;

use crate::muc::room::Room;
use crate::world::{Sender, World};

pub(super) fn check(
    world: &World,
    _: &mut Room,
    sender: &Sender,
    e: &mut Element,
) -> Result<bool, StanzaError> {
    if e.child_named("body").is_some() {
        return Ok(true);
    }
    let Some(json) = e.child("json-message", ns::JITMEET) else { return Ok(true) };
    let Ok(value) = serde_json::from_str::<Value>(&json.text()) else { return Ok(false) };
    let transcription = value.get("type").and_then(Value::as_str) == Some("transcription-result");
    let transcriber = sender.bare.node() == Some("transcriber")
        && world.config.hidden_domain.as_deref() == Some(sender.bare.domain());
    Ok(!transcription || transcriber)
}
