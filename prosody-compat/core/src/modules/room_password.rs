//! A room's password (XEP-0045 §7.2.6). Whoever tries many waits for its turn, also when it is right: otherwise the answer
//! would tell. What was right costs nothing, so that a class that comes at once does not wait.

use std::time::{Duration, Instant};

use budget::{Buckets, Network, Rate};
use jitsi_xmpp::{BareJid, Condition, ErrorType, StanzaError};

use crate::limits::room_passwords;
use crate::module::{Attempt, Module, Reason, Verdict};
use crate::room::Room;
use crate::timers::Timer;
use crate::world::{Effect, World};

pub(super) static MODULE: Module =
    Module { name: NAME, join: Some(check), timer: Some(turn), ..Module::NONE };

const NAME: &str = "password";

/// Waits for its turn.
static TURN: Reason = Reason { name: NAME, refusal: busy };

/// What addresses have tried in rooms. The machine itself has no budget (see `service::proxies`); its sessions have.
struct Tries(Buckets<(Network, BareJid)>);

impl Default for Tries {
    fn default() -> Self {
        let unlimited = Rate::per_second(u32::MAX, u32::MAX);
        Self(Buckets::new(room_passwords::BY_ADDRESS, unlimited, room_passwords::MOST_KEYS))
    }
}

fn check(room: &mut Room, world: &mut World, attempt: &mut Attempt) -> Verdict {
    let Some(password) = &room.config.password else { return Verdict::Pass };
    let Some(tried) = &attempt.password else {
        return Verdict::refuse(StanzaError::new(Condition::NotAuthorized));
    };
    let identity = &attempt.sender.identity;
    let key = identity.peer.filter(|_| !identity.admin).map(|p| (p, room.jid.clone()));
    if let Some(key) = &key {
        let now = world.now;
        // Whoever asks again keeps its place: it does not make the line longer for its neighbours.
        let waits = room.held.iter().find(|h| h.is_of(attempt.sender.id) && h.waits_for(NAME));
        attempt.turn = attempt.turn.or_else(|| waits.and_then(|h| h.turn()));
        match attempt.turn {
            Some(at) if at > now => return Verdict::Hold(&TURN),
            Some(_) => {}
            None => {
                let tries = &mut world.slots.entry::<Tries>().0;
                let wait = tries.reserve(key.clone(), now, 1);
                if wait > room_passwords::LONGEST_WAIT {
                    tries.give_back(key, 1);
                    return Verdict::refuse(busy());
                }
                attempt.turn = Some(now + wait);
                if !wait.is_zero() {
                    world.timers.set_by(now + wait, Timer::Room(room.jid.clone(), NAME));
                    return Verdict::Hold(&TURN);
                }
            }
        }
    }
    if tried != password.reveal() {
        return Verdict::refuse(StanzaError::new(Condition::NotAuthorized));
    }
    if let Some(key) = &key {
        world.slots.entry::<Tries>().0.give_back(key, 1);
    }
    Verdict::Pass
}

/// It is somebody's turn; the others wait on.
fn turn(room: &mut Room, world: &mut World) {
    world.effects.push_back(Effect::Release { room: room.jid.clone(), reason: NAME });
    if room.held.iter().any(|h| h.waits_for(NAME)) {
        next_turn(room, world.now, world);
    }
}

fn next_turn(room: &Room, now: Instant, world: &mut World) {
    let later = room.held.iter().filter_map(|h| h.turn()).filter(|at| *at > now).min();
    if let Some(at) = later {
        world.timers.set_by(at.max(now + SOON), Timer::Room(room.jid.clone(), NAME));
    }
}

fn busy() -> StanzaError {
    StanzaError::new(Condition::ResourceConstraint).with_type(ErrorType::Wait)
}

/// Turns that are so close together are taken together.
const SOON: Duration = Duration::from_millis(50);
