//! The scenarios, and what they share: logging in, opening rooms, filling them.

mod fan_out;
mod idle;
mod invite;
mod join;

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use serde_json::Value;

use super::fleet::{Fleet, Happened, Say};
use super::rooms::Room;
use super::{FocusMode, Plan, Scenario, relay};

/// Runs what the plan says.
pub(super) fn run(plan: &Plan, fleet: &mut Fleet) -> Result<Value> {
    match plan.scenario {
        Scenario::JoinStorm => join::storm(plan, fleet),
        Scenario::JoinFull => join::full(plan, fleet),
        Scenario::Invite => invite::run(plan, fleet),
        Scenario::Presence => fan_out::run(plan, fleet, Say::Presence),
        Scenario::Chat => fan_out::run(plan, fleet, Say::Chat),
        Scenario::Idle => idle::run(plan, fleet),
        Scenario::PresenceSweep => fan_out::sweep(plan, fleet),
    }
}

/// Logs clients in, a few at a time; their numbers.
fn log_in(fleet: &mut Fleet, count: usize) -> Result<Vec<usize>> {
    let mut asked = Vec::with_capacity(count);
    let mut ready = 0;
    fleet.until("while clients log in", |fleet| {
        while let Some(happened) = fleet.take() {
            ready += usize::from(matches!(happened, Happened::Ready(_)));
        }
        while asked.len() < count && asked.len() - ready < LOGINS {
            asked.push(fleet.connect()?);
        }
        Ok(ready == count)
    })?;
    Ok(asked)
}

/// Makes rooms that nobody has had before, and opens them if that is ours to do.
fn open_rooms(plan: &Plan, fleet: &mut Fleet, count: usize) -> Result<()> {
    let run = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let we = plan.focus == FocusMode::Be;
    for i in 0..count {
        fleet.rooms.push(Room::new(format!("load{run}-{i}@{}", fleet.target.muc), we));
    }
    if !we || count == 0 {
        return Ok(());
    }
    let relay = relay::start(&plan.focus_server, &fleet.target.auth_domain, &plan.focus_password)?;
    let focus = fleet.connect_focus(relay)?;
    let mut next = 0;
    fleet.until("while the focus opens the rooms", |fleet| {
        while let Some(happened) = fleet.take() {
            if matches!(happened, Happened::Ready(_) | Happened::Joined(..)) {
                if next == count {
                    return Ok(true);
                }
                fleet.open_as_focus(focus, next)?;
                next += 1;
            }
        }
        Ok(false)
    })
}

/// A logged-in client begins to join, by way of the focus if it is asked.
fn begin_join(plan: &Plan, fleet: &mut Fleet, id: usize, room: usize, member: bool) -> Result<()> {
    match plan.focus {
        FocusMode::Ask => fleet.ask_focus(id, room),
        FocusMode::None | FocusMode::Be => fleet.join(id, room, member),
    }
}

/// Clients join as members, a few at a time; returns when everybody sees everybody.
fn fill(plan: &Plan, fleet: &mut Fleet, clients: &[usize]) -> Result<()> {
    let rooms = fleet.rooms.len();
    let room_of = |nth: usize| nth % rooms;
    let mut places = std::collections::HashMap::new();
    let (mut begun, mut joined) = (0, 0);
    fleet.until("while rooms fill", |fleet| {
        while let Some(happened) = fleet.take() {
            match happened {
                Happened::Admitted(id) => {
                    if let Some(room) = places.get(&id) {
                        fleet.join(id, *room, true)?;
                    }
                }
                Happened::Joined(..) => joined += 1,
                _ => {}
            }
        }
        while begun - joined < JOINS
            && let Some(id) = clients.get(begun)
        {
            // A room's first occupant opens it; the others must not come before it is.
            if begun >= rooms && joined < rooms {
                break;
            }
            places.insert(*id, room_of(begun));
            begin_join(plan, fleet, *id, room_of(begun), true)?;
            begun += 1;
        }
        Ok(joined == clients.len() && fleet.rooms.iter().all(Room::complete))
    })
}

/// What still is under way arrives, or the measurement is void.
fn drain(fleet: &mut Fleet) -> Result<()> {
    fleet.rest(Instant::now());
    fleet.until("while the last deliveries arrive", |fleet| {
        fleet.happened.clear();
        Ok(fleet.broadcasts.outstanding() == 0)
    })
}

/// Logins under way at a time; below every listen backlog.
const LOGINS: usize = 32;
/// Joins under way at a time while a room is filled.
const JOINS: usize = 4;
