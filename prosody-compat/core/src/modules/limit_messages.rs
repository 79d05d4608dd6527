//! Upstream's `muc_limit_messages` (xmpp-server §4.21): after so many messages a room is silent, unless somebody with a token
//! is there who writes. Votes are always heard.

use jitsi_xmpp::{Condition, Element, ErrorType, StanzaError, ns};

use crate::module::{Module, Relay};
use crate::muc::message::by_room;
use crate::room::Room;
use crate::world::{Sender, World};

pub(super) static MODULE: Module =
    Module { name: "limit_messages", named: &["muc_limit_messages"], last: Some(count), ..Module::NONE };

/// How many there were.
#[derive(Default)]
struct Said {
    messages: usize,
    lifted: bool,
}

fn count(room: &mut Room, world: &mut World, sender: &Sender, e: &mut Element) -> Result<Relay, StanzaError> {
    let Some(most) = room.policy.max_messages.filter(|_| !sender.identity.admin) else {
        return Ok(Relay::Pass);
    };
    if e.child_named("body").is_none() {
        let vote = e.child("json-message", ns::JITMEET).is_some_and(|j| j.text().contains("answer-poll"));
        if vote || e.attr("type") != Some("groupchat") {
            return Ok(Relay::Pass);
        }
    }
    let token_lifts = room.policy.tokens_lift_max_messages && sender.identity.token.is_some();
    let said = room.slots.entry::<Said>();
    said.lifted |= token_lifts;
    if said.lifted {
        return Ok(Relay::Pass);
    }
    said.messages = said.messages.saturating_add(1);
    if said.messages <= most {
        return Ok(Relay::Pass);
    }
    // Said once.
    if said.messages == most.saturating_add(1) {
        by_room(room, world, REACHED);
    }
    Err(StanzaError::new(Condition::NotAllowed).with_type(ErrorType::Cancel).with_text(REACHED))
}

/// compat: people read it (test: compat_a_room_is_silent_after_its_last_message).
const REACHED: &str = "The message limit for the room has been reached. Messaging is now disabled.";
