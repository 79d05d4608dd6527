//! People are logged in and do nothing: what a session keeps in memory, and what it costs to get and to have one.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};

use super::super::fleet::Fleet;
use super::super::window::Window;
use super::{Plan, fill, log_in, open_rooms};

pub(super) fn run(plan: &Plan, fleet: &mut Fleet) -> Result<Value> {
    let memory = Window::open(plan.pid)?;
    open_rooms(plan, fleet, plan.rooms)?;
    fleet.stay_awake();
    let login = Window::open(plan.pid)?;
    let clients = log_in(fleet, plan.occupants)?;
    let login = login.close()?.without(fleet.may_sleep());
    if plan.rooms > 0 {
        fill(plan, fleet, &clients)?;
    }
    rest(plan, fleet, &clients, plan.warm_up)?;
    let idle = Window::open(plan.pid)?;
    let before = fleet.deliveries;
    rest(plan, fleet, &clients, plan.time)?;
    let idle = idle.close()?;
    let memory = memory.close()?;
    let grown =
        memory.server_after.zip(memory.server_before).map(|(after, before)| after.saturating_sub(before));
    let mut report = idle.report("idle");
    report.insert("server_rss_before_bytes".into(), json!(memory.server_before));
    report.insert("sessions".into(), json!(plan.occupants));
    report.insert("rooms".into(), json!(plan.rooms));
    report.insert("deliveries".into(), json!(fleet.deliveries - before));
    report.insert("rss_per_session_bytes".into(), json!(grown.map(|g| g / plan.occupants as u64)));
    report.insert(
        "login".into(),
        json!({
            "seconds": login.time.as_secs_f64(),
            "per_second": plan.occupants as f64 / login.time.as_secs_f64(),
            "cpu_ns_per_login": login.cpu_ns_per(plan.occupants as u64),
            "generator_limited": login.limited(),
        }),
    );
    Ok(Value::Object(report))
}

/// Answers what the server asks, and pings if that is wanted.
fn rest(plan: &Plan, fleet: &mut Fleet, clients: &[usize], time: Duration) -> Result<()> {
    let until = Instant::now() + time;
    let between = plan.ping.map(|p| p / clients.len() as u32);
    let mut due = Instant::now();
    let mut next = 0;
    loop {
        let now = Instant::now();
        if now >= until {
            return Ok(());
        }
        let mut wake = until;
        if let Some(between) = between {
            while due <= now {
                fleet.ping(clients[next % clients.len()])?;
                next += 1;
                due += between.max(Duration::from_nanos(1));
            }
            wake = wake.min(due);
        }
        fleet.turn(wake)?;
        fleet.happened.clear();
    }
}
