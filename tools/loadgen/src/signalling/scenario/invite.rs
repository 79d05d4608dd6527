//! Rooms are open, and somebody comes: from the request for the meeting to the invitation to its media session.

use std::time::Instant;

use anyhow::Result;
use serde_json::{Value, json};

use super::super::fleet::{Fleet, Happened};
use super::super::window::Window;
use super::{Plan, drain, fill, log_in, open_rooms};
use crate::latency::Latencies;

pub(super) fn run(plan: &Plan, fleet: &mut Fleet) -> Result<Value> {
    open_rooms(plan, fleet, plan.rooms)?;
    let members = log_in(fleet, plan.occupants)?;
    fill(plan, fleet, &members)?;
    let newcomers = log_in(fleet, plan.joins)?;
    drain(fleet)?;
    let mut invited = Latencies::new();
    let window = Window::open(plan.pid)?;
    for (nth, newcomer) in newcomers.iter().enumerate() {
        let room = nth % plan.rooms;
        let asked = Instant::now();
        fleet.ask_focus(*newcomer, room)?;
        fleet.until("while somebody who asked for a meeting waits to be invited", |fleet| {
            while let Some(happened) = fleet.take() {
                match happened {
                    Happened::Admitted(id) => fleet.join(id, room, false)?,
                    Happened::Invited(id) if id == *newcomer => {
                        invited.record(asked.elapsed());
                        return Ok(true);
                    }
                    _ => {}
                }
            }
            Ok(false)
        })?;
        fleet.leave(*newcomer)?;
        fleet.until("while one leaves", |fleet| {
            Ok(std::iter::from_fn(|| fleet.take()).any(|h| matches!(h, Happened::Left(_))))
        })?;
    }
    let measured = window.close()?;
    let mut report = measured.report("invite");
    report.insert("sessions".into(), json!(plan.occupants));
    report.insert("rooms".into(), json!(plan.rooms));
    report.insert("cpu_ns_per_invitation".into(), json!(measured.cpu_ns_per(plan.joins as u64)));
    report.insert("invite".into(), invited.to_json());
    Ok(Value::Object(report))
}
