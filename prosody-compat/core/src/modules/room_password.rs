//! A room's password (XEP-0045 §7.2.6). Whoever tries many waits for its turn, also when it is right: otherwise the answer
//! would tell. What was right costs nothing, so that a class that comes at once does not wait.

use std::time::{Duration, Instant};

use budget::{Buckets, Network, Rate};
use jitsi_xmpp::{BareJid, Condition, ErrorType, StanzaError};

use crate::limits::room_passwords;
use crate::module::{Attempt, Module, Reason, Verdict};
use crate::room::Room;
use crate::room::waiting::Held;
use crate::session::SessionId;
use crate::timers::Timer;
use crate::world::{Effect, Sender, World};

pub(super) static MODULE: Module =
    Module { name: NAME, join: Some(check), timer: Some(turn), ..Module::NONE };

const NAME: &str = "password";

/// Waits for its turn.
static TURN: Reason = Reason { name: NAME, refusal: busy, freed: Some(freed) };

/// What was tried, and from where: by address, by session, and all that is tried in a room.
struct Tries {
    by_address: Buckets<(Network, BareJid)>,
    by_session: Buckets<SessionId>,
    by_room: Buckets<BareJid>,
}

impl Default for Tries {
    fn default() -> Self {
        let unlimited = Rate::per_second(u32::MAX, u32::MAX);
        let most = room_passwords::MOST_KEYS;
        Self {
            by_address: Buckets::new(room_passwords::BY_ADDRESS, unlimited, most),
            by_session: Buckets::new(room_passwords::BY_SESSION, unlimited, most),
            by_room: Buckets::new(room_passwords::BY_ROOM, unlimited, most),
        }
    }
}

impl Tries {
    /// A try more; when it is its turn.
    fn reserve(&mut self, room: &BareJid, sender: &Sender, now: Instant) -> Duration {
        let of_room = self.by_room.reserve(room.clone(), now, 1);
        let of_session = self.by_session.reserve(sender.id, now, 1);
        let address = sender.identity.peer.map(|p| (p, room.clone()));
        let of_address = address.map(|a| self.by_address.reserve(a, now, 1)).unwrap_or_default();
        of_room.max(of_session).max(of_address)
    }

    /// It was none.
    fn give_back(&mut self, room: &BareJid, sender: &Sender) {
        self.by_room.give_back(room, 1);
        self.by_session.give_back(&sender.id, 1);
        if let Some(peer) = sender.identity.peer {
            self.by_address.give_back(&(peer, room.clone()), 1);
        }
    }
}

fn check(room: &mut Room, world: &mut World, attempt: &mut Attempt) -> Verdict {
    match is_right(room, world, attempt) {
        Ok(None | Some(true)) => Verdict::Pass,
        Ok(Some(false)) => Verdict::refuse(StanzaError::new(Condition::NotAuthorized)),
        Err(first) => first,
    }
}

/// Whether the password that was given, if one was, is the room's; `None`: it has none. Or what comes before that is told.
pub(super) fn is_right(
    room: &mut Room,
    world: &mut World,
    attempt: &mut Attempt,
) -> Result<Option<bool>, Verdict> {
    let Some(password) = &room.config.password else { return Ok(None) };
    let Some(tried) = &attempt.password else { return Ok(Some(false)) };
    let counts = !attempt.sender.identity.admin;
    if counts {
        let now = world.now;
        match attempt.turns.get(NAME) {
            Some(at) if at > now => return Err(Verdict::Hold(&TURN)),
            Some(_) => attempt.turns.take(NAME),
            None => {
                let tries = world.slots.entry::<Tries>();
                let wait = tries.reserve(&room.jid, &attempt.sender, now);
                if wait > room_passwords::LONGEST_WAIT {
                    tries.give_back(&room.jid, &attempt.sender);
                    return Err(Verdict::refuse(busy()));
                }
                if !wait.is_zero() {
                    attempt.turns.give(&TURN, now + wait);
                    world.timers.set_by(now + wait, Timer::Room(room.jid.clone(), NAME));
                    return Err(Verdict::Hold(&TURN));
                }
            }
        }
    }
    if tried != password.reveal() {
        return Ok(Some(false));
    }
    if counts {
        world.slots.entry::<Tries>().give_back(&room.jid, &attempt.sender);
    }
    Ok(Some(true))
}

/// One left the line without an answer, and learned nothing.
fn freed(room: &mut Room, world: &mut World, sender: &Sender) {
    world.slots.entry::<Tries>().give_back(&room.jid, sender);
}

/// It is somebody's turn; the others wait on.
fn turn(room: &mut Room, world: &mut World) {
    world.effects.push_back(Effect::Release { room: room.jid.clone(), reason: NAME });
    let later = room.held.iter().filter(|h| h.waits_for(NAME)).filter_map(Held::turn);
    if let Some(at) = later.filter(|at| *at > world.now).min() {
        world.timers.set_by(at.max(world.now + SOON), Timer::Room(room.jid.clone(), NAME));
    }
}

fn busy() -> StanzaError {
    StanzaError::new(Condition::ResourceConstraint).with_type(ErrorType::Wait)
}

/// Turns that are so close together are taken together.
const SOON: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_addresses_sessions_and_rooms_are_told_apart() {
        let now = Instant::now();
        let mut tries = Tries::default();
        for n in 0..=room_passwords::MOST_KEYS {
            let room: BareJid = format!("r{n}@muc.x").parse().unwrap();
            let address = Network::of(std::net::Ipv4Addr::from_bits(0x0a00_0000 + n as u32).into());
            let _ = tries.by_address.reserve((address, room.clone()), now, 1);
            let _ = tries.by_room.reserve(room, now, 1);
        }
        for kept in [tries.by_address.len(), tries.by_room.len()] {
            assert_eq!(kept, room_passwords::MOST_KEYS);
        }
    }
}
