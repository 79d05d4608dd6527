//! The community's `token_owner_party` (xmpp-server §4.37): a meeting begins with somebody whose token owns it, and ends a minute after
//! the last owner has left.

use jitsi_xmpp::{Condition, ErrorType, StanzaError};
use prosody_token::Claims;

use crate::limits;
use crate::module::{Attempt, Module, Verdict};
use crate::room::rank::Affiliation;
use crate::room::{Occupant, Room};
use crate::timers::Timer;
use crate::world::{Effect, World};

pub(super) static MODULE: Module = Module {
    name: NAME,
    named: &[NAME],
    join: Some(join),
    left: Some(left),
    timer: Some(over),
    ..Module::NONE
};

pub(super) const NAME: &str = "token_owner_party";

/// Whether somebody is one of those who meet.
fn meets(world: &World, occupant: &Occupant) -> bool {
    !world.is_admin(&occupant.bare) && world.config.unseen(&occupant.bare).is_none()
}

fn join(room: &mut Room, world: &mut World, attempt: &mut Attempt) -> Verdict {
    let identity = &attempt.sender.identity;
    if identity.admin || identity.unseen.is_some() || room.is_health_check() {
        return Verdict::Pass;
    }
    let begins = identity.own_token(&world.hosts).is_some_and(Claims::owns);
    if begins || room.occupants().any(|o| meets(world, o)) {
        return Verdict::Pass;
    }
    Verdict::refuse(StanzaError::new(Condition::NotAllowed).with_type(ErrorType::Cancel))
}

fn is_owned(room: &Room, world: &World) -> bool {
    let owns = |o: &Occupant| room.affiliation(&world.config, &o.bare) == Affiliation::Owner;
    room.occupants().any(|o| meets(world, o) && owns(o))
}

fn left(room: &mut Room, world: &mut World, gone: &Occupant) {
    let owned = room.affiliation(&world.config, &gone.bare) == Affiliation::Owner;
    if owned && meets(world, gone) && !room.is_health_check() && !is_owned(room, world) {
        let at = world.now + limits::WITHOUT_OWNER;
        world.timers.set(at, Timer::Room(room.jid.clone(), NAME));
    }
}

fn over(room: &mut Room, world: &mut World) {
    if !is_owned(room, world) {
        let reason = "The meeting has been terminated";
        world.effects.push_back(Effect::Destroy { room: room.jid.clone(), reason });
    }
}
