//! Part of upstream's `muc_rate_limit` (xmpp-server §4.19): many at once are let in, more come one after the other. None is
//! refused for it. Last of all rules about coming in: who is not let in takes nobody's turn.

use std::time::{Duration, Instant};

use budget::{Bucket, Rate};
use jitsi_xmpp::{Condition, ErrorType, StanzaError};

use crate::limits::Limits;
use crate::module::{Attempt, Module, Reason, Verdict};
use crate::room::Room;
use crate::room::waiting::Held;
use crate::timers::Timer;
use crate::world::{Effect, Sender, World};

pub(super) static MODULE: Module =
    Module { name: NAME, named: &["muc_rate_limit"], join: Some(check), timer: Some(turn), ..Module::NONE };

const NAME: &str = "join rate";

static TURN: Reason = Reason {
    name: NAME,
    refusal: || StanzaError::new(Condition::ResourceConstraint).with_type(ErrorType::Wait),
    freed: Some(freed),
};

/// Who came in.
#[derive(Default)]
struct Joins(Bucket);

fn rate(room: &Room, limits: &Limits) -> Rate {
    match room.policy.joins_per_second {
        Some(joins) => Rate::per_second(joins.get(), joins.get()),
        None => Rate::per_second(limits.joins_at_once, limits.joins_per_second),
    }
}

fn check(room: &mut Room, world: &mut World, attempt: &mut Attempt) -> Verdict {
    if attempt.sender.identity.admin || room.is_health_check() {
        return Verdict::Pass;
    }
    let (now, limits) = (world.now, &world.config.limits);
    let rate = rate(room, limits);
    match attempt.turns.get(NAME) {
        Some(at) if at > now => return Verdict::Hold(&TURN),
        Some(_) => {
            attempt.turns.take(NAME);
            return Verdict::Pass;
        }
        None => {}
    }
    // As upstream: for whom there is no room in the line comes in at once.
    if room.held.len() >= limits.max_held_joins {
        return Verdict::Pass;
    }
    let wait = room.slots.entry::<Joins>().0.reserve(&rate, now, 1);
    if wait.is_zero() {
        return Verdict::Pass;
    }
    attempt.turns.give(&TURN, now + wait);
    wake_by(room, world, now + wait);
    Verdict::Hold(&TURN)
}

fn freed(room: &mut Room, world: &mut World, _: &Sender) {
    let rate = rate(room, &world.config.limits);
    room.slots.entry::<Joins>().0.give_back(&rate, 1);
}

fn turn(room: &mut Room, world: &mut World) {
    world.effects.push_back(Effect::Release { room: room.jid.clone(), reason: NAME });
    let later = room.held.iter().filter(|h| h.waits_for(NAME)).filter_map(Held::turn);
    if let Some(at) = later.filter(|at| *at > world.now).min() {
        wake_by(room, world, at.max(world.now + SOON));
    }
}

fn wake_by(room: &Room, world: &mut World, at: Instant) {
    world.timers.set_by(at, Timer::Room(room.jid.clone(), NAME));
}

/// Turns that are so close together are taken together.
const SOON: Duration = Duration::from_millis(100);
