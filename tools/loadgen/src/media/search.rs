//! A session in; the highest rate the server takes, and how it does at half and at one and a half times that, out.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::report::{Figures, Report, join, round};
use super::scenario::Plan;
use super::session::Session;
use super::{Arguments, limits, rate};

/// Steps, all together.
const STEPS: usize = 20;
/// Growth while nothing fails.
const GROWTH: f64 = 1.7;
/// How near the result is to the rate that is too much.
const PRECISION: f64 = 1.04;
/// What a rate needs to show itself after another one.
const SETTLE: Duration = Duration::from_millis(500);

pub(crate) fn run(session: &Session<'_>, a: &Arguments, plan: &Plan, report: &mut Report) -> Result<()> {
    let time = Duration::from_secs_f64(a.step_seconds.max(0.2));
    let mut last = None;
    let mut step = |rate_now: f64, settle: Duration| -> Result<Figures> {
        session.generator.tell(rate(plan, Some(rate_now)));
        session.pass(settle)?;
        let window = session.measure(time)?;
        let figures = Figures::of(&window);
        eprintln!(
            "  offered {:.0}/s, received {:.0}/s, loss {:.3} %, p99 {:?}{}",
            figures.offered_pps,
            figures.received_pps,
            figures.loss * 100.0,
            figures.p99,
            if figures.generator_limited { " (generator limited)" } else { "" },
        );
        report.point(&figures);
        last = Some(window);
        Ok(figures)
    };
    let start = if plan.flat() { 2_000.0 } else { 0.25 };
    let mut good: Option<(f64, Figures)> = None;
    let mut bad: Option<f64> = None;
    let mut limited = false;
    let mut next = a.rate.unwrap_or(start).max(1e-3);
    let mut settle = SETTLE;
    for _ in 0..STEPS {
        let mut figures = step(next, settle)?;
        if !figures.good() {
            // Once more: a neighbour on the machine may have had its moment.
            figures = step(next, SETTLE * 2)?;
        }
        // What was too much has filled queues and has to be sent again.
        settle = if figures.good() { SETTLE } else { SETTLE * 3 };
        if figures.good() {
            good = Some((next, figures));
        } else {
            limited = figures.generator_limited;
            bad = Some(next);
        }
        next = match (&good, bad) {
            (Some((good, _)), Some(bad)) if bad / good < PRECISION => break,
            (Some((good, _)), Some(bad)) => (good * bad).sqrt(),
            (Some((good, _)), None) if *good >= a.max_rate => break,
            (Some((good, _)), None) => (good * GROWTH).min(a.max_rate),
            (None, Some(bad)) if bad < start / 100.0 => break,
            (None, _) => next / 2.0,
        };
    }
    let Some((rate_found, capacity)) = good else {
        let figures = step(next, SETTLE * 2)?;
        report.figures(&figures);
        report.set("generator_limited", limited.into());
        return Ok(());
    };
    let half = step(rate_found / 2.0, SETTLE * 2)?;
    let over = step((rate_found * 1.5).min(limits::RATE), SETTLE * 2)?;
    let window = last;
    report.figures(&capacity);
    report.set("generator_limited", (limited || capacity.generator_limited).into());
    report.set("capacity_pps", json!(round(capacity.received_pps, 1)));
    report.set("capacity_offered_pps", json!(round(capacity.offered_pps, 1)));
    report.set("goodput_150_ratio", json!(round(over.received_pps / capacity.received_pps.max(1e-9), 4)));
    report.set("generator_limited_at_150", over.generator_limited.into());
    report.set("latency_at_half", half.latency().clone());
    report.set("cpu_ns_per_packet_at_half", json!(half.cpu_ns_per_packet.map(|n| round(n, 1))));
    if let Some(window) = window {
        report.set("join", join(&window));
    }
    Ok(())
}
