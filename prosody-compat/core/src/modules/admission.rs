//! XEP-0045's own conditions for creating and joining a room, with the errors that clients know. Rows like all
//! others, because their order among Jitsi's modules matters to clients.

use jitsi_xmpp::{BareJid, Condition, ErrorType, StanzaError};

use crate::module::{Module, Verdict};
use crate::room::rank::Affiliation;
use crate::world::World;

/// compat: clients match this text and ask the focus again (xmpp-server §1.5; test:
/// compat_only_roles_create_rooms).
pub(super) const CREATION_IS_RESTRICTED: &str = "Room creation is restricted";

/// Only the roles open rooms, unless the policy says that anybody does.
pub(super) static CREATION: Module = Module {
    name: "creation",
    create: Some(|world, room, attempt| {
        if attempt.sender.identity.admin || anybody_creates(world, room) {
            return Verdict::Pass;
        }
        let error = StanzaError::new(Condition::NotAllowed).with_text(CREATION_IS_RESTRICTED);
        Verdict::Refuse { error, by_host: true }
    }),
    ..Module::NONE
};

/// A lobby, an audience and a breakout room are opened by their meeting, whatever the policy says.
fn anybody_creates(world: &World, room: &BareJid) -> bool {
    let host = world.hosts.of(&world.config, room.domain()).and_then(|id| world.hosts.rooms(id));
    host.is_some_and(|def| {
        let by_itself = !def.is_lobby && !def.is_breakouts && def.watches.is_none();
        by_itself && def.policy_of(&world.config, room).anybody_creates
    })
}

/// Rooms, occupants of a room, rooms of a session.
pub(super) static LIMITS: Module = Module {
    name: "limits",
    create: Some(|world, _, _| {
        if world.rooms < world.config.limits.max_rooms {
            return Verdict::Pass;
        }
        Verdict::Refuse { error: full(), by_host: true }
    }),
    join: Some(|room, world, attempt| {
        let limits = &world.config.limits;
        let rooms = world.sessions.get(attempt.sender.id).map_or(0, |s| s.rooms.len());
        let most = if attempt.sender.identity.admin { limits.max_rooms } else { limits.max_rooms_per_client };
        if room.len() >= limits.max_occupants || rooms >= most {
            return Verdict::refuse(full());
        }
        Verdict::Pass
    }),
    ..Module::NONE
};

pub(super) static MEMBERS_ONLY: Module = Module {
    name: "members only",
    join: Some(|room, world, attempt| {
        // Whoever is shut out hears the same as every stranger, as upstream.
        let stranger = room.affiliation(&world.config, &attempt.sender.bare) <= Affiliation::None;
        if room.config.members_only && stranger {
            return Verdict::refuse(StanzaError::new(Condition::RegistrationRequired));
        }
        Verdict::Pass
    }),
    ..Module::NONE
};

pub(super) static OUTCAST: Module = Module {
    name: "outcast",
    join: Some(|room, world, attempt| {
        if room.affiliation(&world.config, &attempt.sender.bare) == Affiliation::Outcast {
            return Verdict::refuse(StanzaError::new(Condition::Forbidden));
        }
        Verdict::Pass
    }),
    ..Module::NONE
};

/// The same account may come in again under its nick; anybody else may not.
pub(super) static NICK: Module = Module {
    name: "nick",
    join: Some(|room, world, attempt| match room.occupant(&attempt.nick) {
        Some(o)
            if o.bare != attempt.sender.bare
                || o.sessions.len() >= world.config.limits.max_sessions_per_occupant =>
        {
            Verdict::refuse(StanzaError::new(Condition::Conflict))
        }
        _ => Verdict::Pass,
    }),
    ..Module::NONE
};

fn full() -> StanzaError {
    StanzaError::new(Condition::ResourceConstraint).with_type(ErrorType::Wait)
}
