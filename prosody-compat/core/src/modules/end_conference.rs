//! Upstream's `end_conference` (xmpp-server §4.9): a moderator ends the meeting for all.

use jitsi_xmpp::{Condition, StanzaError};

use crate::module::{Command, Component, Module};
use crate::room::Room;
use crate::world::{Effect, World};

pub(super) static MODULE: Module = Module {
    name: "end_conference",
    named: &["end_conference"],
    component: Some(Component { identity: Some("end_conference"), in_breakouts: false }),
    command: Some(command),
    ..Module::NONE
};

/// compat: `<end_conference/>` has no namespace of its own; with one it means the same (test:
/// compat_commands_mean_the_same_with_a_namespace).
fn command(room: &mut Room, world: &mut World, c: &Command<'_>) -> Result<(), StanzaError> {
    if c.message.child_named("end_conference").is_none() || !room.is_moderator(c.sender.id) {
        // As upstream: what is not understood or not allowed does not exist.
        return Err(StanzaError::new(Condition::ServiceUnavailable));
    }
    world.effects.push_back(Effect::Destroy { room: room.jid.clone(), reason: REASON });
    Ok(())
}

/// compat: clients show it (test: compat_a_moderator_ends_the_conference_for_all).
pub(super) const REASON: &str = "The meeting has been terminated";
