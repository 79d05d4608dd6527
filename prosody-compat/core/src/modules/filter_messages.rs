//! Upstream's `filter_messages` (xmpp-server §4.21): where the metadata say so, only those chat with all who are known to be allowed.

use jitsi_xmpp::{Condition, Element, ErrorType, StanzaError};

use super::metadata;
use crate::module::{Module, Relay};
use crate::room::Room;
use crate::world::{Sender, World};

pub(super) static MODULE: Module =
    Module { name: "filter_messages", named: &["filter_messages"], message: Some(check), ..Module::NONE };

fn check(room: &mut Room, world: &World, sender: &Sender, e: &mut Element) -> Result<Relay, StanzaError> {
    if e.child_named("body").is_none()
        || sender.identity.admin
        || !metadata::permits(room, "groupChatRestricted")
        || world.may(sender.id, FEATURE, false)
    {
        return Ok(Relay::Pass);
    }
    Err(StanzaError::new(Condition::NotAllowed)
        .with_type(ErrorType::Cancel)
        .with_text("Sending group messages not allowed"))
}

const FEATURE: &str = "send-groupchat";
