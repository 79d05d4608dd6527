//! Members of rooms change their presence or write: what one delivery costs and how long it takes.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::super::fleet::{Fleet, Happened, Say};
use super::super::window::Window;
use super::{Plan, drain, fill, log_in, open_rooms};
use crate::latency::Latencies;

/// One size of room.
pub(super) fn run(plan: &Plan, fleet: &mut Fleet, what: Say) -> Result<Value> {
    open_rooms(plan, fleet, plan.rooms)?;
    let clients = log_in(fleet, plan.occupants)?;
    fill(plan, fleet, &clients)?;
    let mut report = measure(plan, fleet, what)?;
    report.insert("occupants_per_room".into(), json!(plan.occupants / plan.rooms));
    Ok(Value::Object(report))
}

/// One room that grows; what a delivery costs at each size.
pub(super) fn sweep(plan: &Plan, fleet: &mut Fleet) -> Result<Value> {
    open_rooms(plan, fleet, 1)?;
    let mut curve = Vec::new();
    let mut last = Map::new();
    let mut there = 0;
    for size in &plan.sizes {
        let clients = log_in(fleet, size - there)?;
        fill(plan, fleet, &clients)?;
        there = *size;
        last = measure(plan, fleet, Say::Presence)?;
        let mut point = Map::new();
        point.insert("occupants".into(), json!(size));
        for key in [
            "deliveries",
            "deliveries_per_second",
            "cpu_ns_per_delivery",
            "latency",
            "generator_limited",
            "server_rss_bytes",
        ] {
            point.insert(key.into(), last.get(key).cloned().unwrap_or_default());
        }
        eprintln!("loadgen: {size} occupants: {} ns per delivery", point["cpu_ns_per_delivery"]);
        curve.push(Value::Object(point));
    }
    let limited = curve.iter().any(|p| p["generator_limited"] == true);
    last.insert("generator_limited".into(), json!(limited));
    last.insert("scenario".into(), json!("presence-sweep"));
    last.insert("curve".into(), json!(curve));
    Ok(Value::Object(last))
}

fn measure(plan: &Plan, fleet: &mut Fleet, what: Say) -> Result<Map<String, Value>> {
    let mut pace = Pace::new(plan, what);
    fleet.stay_awake();
    pace.drive(fleet, Instant::now() + plan.warm_up)?;
    fleet.latency = Latencies::new();
    let before = fleet.deliveries;
    pace.skipped = 0;
    fleet.stay_awake();
    let window = Window::open(plan.pid)?;
    pace.drive(fleet, window.begun() + plan.time)?;
    let measured = window.close()?.without(fleet.may_sleep());
    let deliveries = fleet.deliveries - before;
    let latency = fleet.latency.to_json();
    drain(fleet)?;
    let mut report = measured.report(match what {
        Say::Presence => "presence",
        Say::Chat => "chat",
    });
    report.insert("sessions".into(), json!(fleet.len()));
    report.insert("deliveries".into(), json!(deliveries));
    report.insert("deliveries_per_second".into(), json!(deliveries as f64 / measured.time.as_secs_f64()));
    report.insert("cpu_ns_per_delivery".into(), json!(measured.cpu_ns_per(deliveries)));
    report.insert("latency".into(), latency);
    report.insert("skipped".into(), json!(pace.skipped));
    Ok(report)
}

/// When the next one speaks.
struct Pace {
    what: Say,
    interval: Option<Duration>,
    window: usize,
    together: bool,
    due: Instant,
    next_room: usize,
    /// Changes that were due while as many were under way as we can follow.
    skipped: u64,
}

impl Pace {
    fn new(plan: &Plan, what: Say) -> Self {
        let due = Instant::now();
        let Plan { interval, window, together, .. } = *plan;
        Self { what, interval, window, together, due, next_room: 0, skipped: 0 }
    }

    fn drive(&mut self, fleet: &mut Fleet, until: Instant) -> Result<()> {
        fleet.rest(Instant::now());
        self.due = self.due.max(Instant::now());
        if self.interval.is_none() {
            for room in 0..fleet.rooms.len() {
                self.fill_window(fleet, room)?;
            }
        }
        loop {
            let now = Instant::now();
            if now >= until {
                return Ok(());
            }
            if fleet.broadcasts.outstanding() == 0 {
                fleet.rest(now);
            }
            fleet.be_patient("while broadcasts are delivered", now)?;
            match self.interval {
                None => {
                    while let Some(happened) = fleet.take() {
                        if let Happened::Complete(room) = happened {
                            self.fill_window(fleet, room)?;
                        }
                    }
                    fleet.turn(until)?;
                }
                Some(interval) => {
                    fleet.happened.clear();
                    // Bounded: after a pause we do not catch up with more than a second's worth.
                    self.due = self.due.max(now.checked_sub(Duration::from_secs(1)).unwrap_or(now));
                    while self.due <= now {
                        if !fleet.say(self.next_room % fleet.rooms.len(), self.what)? {
                            self.skipped += 1;
                        }
                        self.next_room += 1;
                        self.due += interval;
                    }
                    fleet.turn(self.due.min(until))?;
                }
            }
        }
    }

    /// Begins as many as may be under way, in this room or in the next ones.
    fn fill_window(&mut self, fleet: &mut Fleet, room: usize) -> Result<()> {
        loop {
            let (room, outstanding) = if self.together {
                (self.next_room % fleet.rooms.len(), fleet.broadcasts.outstanding())
            } else {
                (room, fleet.rooms[room].outstanding)
            };
            if outstanding >= self.window || !fleet.say(room, self.what)? {
                return Ok(());
            }
            self.next_room += 1;
        }
    }
}
