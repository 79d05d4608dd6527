//! XEP-0045's own conditions for creating and joining a room, with the errors that clients know.

use jitsi_xmpp::{BareJid, Condition, ErrorType, StanzaError};

use super::{Attempt, Verdict};
use crate::muc::room::{Affiliation, Room};
use crate::world::World;

/// compat: clients match this text and ask the focus again (xmpp-server §1.5).
pub(crate) const CREATION_IS_RESTRICTED: &str = "Room creation is restricted";

pub(super) fn creation_is_restricted(_: &World, _: &BareJid, attempt: &Attempt) -> Verdict {
    if attempt.sender.admin {
        return Verdict::Pass;
    }
    Verdict::Refuse {
        error: StanzaError::new(Condition::NotAllowed).with_text(CREATION_IS_RESTRICTED),
        by_host: true,
    }
}

pub(super) fn room_limit(world: &World, _: &BareJid, _: &Attempt) -> Verdict {
    if world.rooms < world.config.limits.max_rooms {
        return Verdict::Pass;
    }
    Verdict::Refuse {
        error: StanzaError::new(Condition::ResourceConstraint).with_type(ErrorType::Wait),
        by_host: true,
    }
}

pub(super) fn members_only(world: &World, room: &mut Room, attempt: &mut Attempt) -> Verdict {
    if room.config.members_only && room.affiliation(&world.config, &attempt.sender.bare) == Affiliation::None
    {
        return Verdict::refuse(StanzaError::new(Condition::RegistrationRequired));
    }
    Verdict::Pass
}

pub(super) fn outcast(world: &World, room: &mut Room, attempt: &mut Attempt) -> Verdict {
    if room.affiliation(&world.config, &attempt.sender.bare) == Affiliation::Outcast {
        return Verdict::refuse(StanzaError::new(Condition::Forbidden));
    }
    Verdict::Pass
}

pub(super) fn password(_: &World, room: &mut Room, attempt: &mut Attempt) -> Verdict {
    match &room.config.password {
        Some(p) if attempt.password.as_ref() != Some(p.reveal()) => {
            Verdict::refuse(StanzaError::new(Condition::NotAuthorized))
        }
        _ => Verdict::Pass,
    }
}

/// The same account may come in again under its nick; anybody else may not.
pub(super) fn nick_conflict(world: &World, room: &mut Room, attempt: &mut Attempt) -> Verdict {
    match room.occupant(&attempt.nick) {
        Some(o)
            if o.bare != attempt.sender.bare
                || o.sessions.len() >= world.config.limits.max_sessions_per_occupant =>
        {
            Verdict::refuse(StanzaError::new(Condition::Conflict))
        }
        _ => Verdict::Pass,
    }
}

pub(super) fn occupant_limit(world: &World, room: &mut Room, attempt: &mut Attempt) -> Verdict {
    let limits = &world.config.limits;
    let rooms = world.sessions.get(attempt.sender.id).map_or(0, |s| s.rooms.len());
    let most_rooms = if attempt.sender.admin { limits.max_rooms } else { limits.max_rooms_per_client };
    if room.len() >= limits.max_occupants || rooms >= most_rooms {
        return Verdict::refuse(StanzaError::new(Condition::ResourceConstraint).with_type(ErrorType::Wait));
    }
    Verdict::Pass
}
