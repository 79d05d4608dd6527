//! People join: many at once, and one after another into a full room.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::super::fleet::{Fleet, Happened};
use super::super::rooms::Room;
use super::super::window::{self, Window};
use super::{Plan, begin_join, drain, fill, log_in, open_rooms};
use crate::latency::Latencies;

/// Everybody comes within some seconds, each at its time; done when everybody sees everybody.
pub(super) fn storm(plan: &Plan, fleet: &mut Fleet) -> Result<Value> {
    open_rooms(plan, fleet, plan.rooms)?;
    let others = fleet.len();
    let mut joins = Latencies::new();
    let window = Window::open(plan.pid)?;
    let before = fleet.deliveries;
    let begun = window.begun();
    let between = plan.time.div_f64(plan.occupants as f64);
    let (mut came, mut joined) = (0usize, 0);
    // The latest that one came after its time: if that is long, we are the limit.
    let mut late = Duration::ZERO;
    fleet.until("while people join", |fleet| {
        while let Some(happened) = fleet.take() {
            match happened {
                Happened::Ready(id) => begin_join(plan, fleet, id, (id - others) % plan.rooms, true)?,
                Happened::Admitted(id) => fleet.join(id, (id - others) % plan.rooms, true)?,
                Happened::Joined(_, took) => {
                    joins.record(took);
                    joined += 1;
                }
                Happened::Invited(_) | Happened::Left(_) | Happened::Complete(_) => {}
            }
        }
        let now = Instant::now();
        while came < plan.occupants && begun + between * came as u32 <= now {
            late = late.max(now - (begun + between * came as u32));
            fleet.connect()?;
            came += 1;
        }
        if came < plan.occupants {
            fleet.wake = Some(begun + between * came as u32);
            if joined == came {
                // Nobody waits for anything.
                fleet.rest(now);
            }
        }
        Ok(joined == plan.occupants && fleet.rooms.iter().all(Room::complete))
    })?;
    let measured = window.close()?;
    let deliveries = fleet.deliveries - before;
    let mut report = measured.report("join-storm");
    report.insert("generator_limited".into(), json!(measured.limited() || late > TOO_LATE));
    report.insert("sessions".into(), json!(plan.occupants));
    report.insert("deliveries".into(), json!(deliveries));
    report.insert("deliveries_per_second".into(), json!(deliveries as f64 / measured.time.as_secs_f64()));
    report.insert("cpu_ns_per_delivery".into(), json!(measured.cpu_ns_per(deliveries)));
    report.insert("join".into(), joins.to_json());
    report.insert("all_present_seconds".into(), json!(measured.time.as_secs_f64()));
    report.insert("latest_start_us".into(), json!(late.as_micros() as u64));
    report.insert("server_rss_peak_bytes".into(), json!(plan.pid.and_then(window::peak_resident)));
    Ok(Value::Object(report))
}

/// A full room, and newcomers one at a time, who leave again.
pub(super) fn full(plan: &Plan, fleet: &mut Fleet) -> Result<Value> {
    open_rooms(plan, fleet, plan.rooms)?;
    let members = log_in(fleet, plan.occupants)?;
    fill(plan, fleet, &members)?;
    let newcomers = log_in(fleet, plan.joins)?;
    drain(fleet)?;
    let mut joins = Latencies::new();
    let window = Window::open(plan.pid)?;
    let before = fleet.deliveries;
    for (nth, id) in newcomers.iter().enumerate() {
        let room = nth % plan.rooms;
        begin_join(plan, fleet, *id, room, false)?;
        fleet.until("while one joins a full room", |fleet| {
            while let Some(happened) = fleet.take() {
                match happened {
                    Happened::Admitted(id) => fleet.join(id, room, false)?,
                    Happened::Joined(_, took) => {
                        joins.record(took);
                        return Ok(true);
                    }
                    _ => {}
                }
            }
            Ok(false)
        })?;
        let (seen, there) = (fleet.has_seen(*id), fleet.rooms[room].members.len());
        if seen != there {
            bail!("a newcomer got its own presence after {seen} of {there} others'");
        }
        fleet.leave(*id)?;
        fleet.until("while one leaves", |fleet| {
            Ok(std::iter::from_fn(|| fleet.take()).any(|h| matches!(h, Happened::Left(_))))
        })?;
    }
    let measured = window.close()?;
    let deliveries = fleet.deliveries - before;
    let mut report = measured.report("join-full");
    report.insert("sessions".into(), json!(plan.occupants));
    report.insert("deliveries".into(), json!(deliveries));
    report.insert("deliveries_per_second".into(), json!(deliveries as f64 / measured.time.as_secs_f64()));
    report.insert("cpu_ns_per_delivery".into(), json!(measured.cpu_ns_per(deliveries)));
    report.insert("cpu_ns_per_join".into(), json!(measured.cpu_ns_per(plan.joins as u64)));
    report.insert("join".into(), joins.to_json());
    Ok(Value::Object(report))
}

/// People are to come at their time, or it is not the storm that was asked for.
const TOO_LATE: Duration = Duration::from_millis(250);
