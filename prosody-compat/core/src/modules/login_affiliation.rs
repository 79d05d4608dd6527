//! What whoever has somebody's account says of its rank in; the owner of a meeting that it joins out. There is none upstream, where a
//! directory says yes or no.
//!
//! Conference requests say it too: a browser logs in over a connection of its own and goes on as a guest with the first, so that
//! only the focus knows both.

use jitsi_xmpp::conference_request::MODERATES;
use jitsi_xmpp::{Element, ns};

use super::{allowners, token_affiliation};
use crate::module::{Attempt, Module, Verdict};
use crate::room::Room;
use crate::room::rank::Affiliation;
use crate::world::{Sender, World};

pub(super) static MODULE: Module = Module { name: "login affiliation", join: Some(join), ..Module::NONE };

fn join(room: &mut Room, world: &mut World, attempt: &mut Attempt) -> Verdict {
    let identity = &attempt.sender.identity;
    let moderates = identity.moderates == Some(true) && !identity.admin;
    // Where only tokens count, a directory does not; who owns a breakout room is who owns its meeting.
    if moderates && !beside(room, world) && !allowners::is_moderated(room, world) {
        token_affiliation::affiliate(room, world, attempt, Affiliation::Owner);
    }
    Verdict::Pass
}

/// Whether it is a room that others lead to, or one of the roles.
fn beside(room: &Room, world: &World) -> bool {
    let host = world.hosts.of(&world.config, room.jid.domain()).and_then(|id| world.hosts.rooms(id));
    room.is_health_check()
        || room.is_breakout()
        || host.is_none_or(|def| def.is_lobby || def.is_breakouts || def.watches.is_some())
}

/// Has a conference request say what is known of its sender, and nothing that it says itself.
pub(super) fn mark(sender: &Sender, request: &mut Element) {
    for conference in request.children_mut().filter(|c| c.is("conference", ns::FOCUS)) {
        conference.remove_attr(MODERATES);
        if let Some(moderates) = sender.identity.moderates {
            conference.set_attr(MODERATES, moderates.to_string());
        }
    }
}
