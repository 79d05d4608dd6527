//! Fan-out of presence and messages: what to run, and from the reports the figures and the curves.

use std::time::Duration;

use super::chart::{Axis, Chart, Line, Scale};
use super::figure::{Figure, Target, Unit};
use super::options::Options;
use super::plan::{Kind, Measured, Part, Rate, Step, Subject};
use super::statistics::Samples;

/// Parts that `--scenario` can name.
pub(crate) const PARTS: &[&str] = &["presence", "sizes", "chat"];

/// Whether a meeting server to compare with was given.
pub(crate) fn with_peer(options: &Options) -> bool {
    options.with_prosody || options.meeting_server.is_some()
}

/// The named part, or all.
pub(crate) fn parts(options: &Options) -> Vec<Part> {
    let wanted = |name: &str| options.scenario.as_deref().is_none_or(|n| n == name);
    let seconds = options.seconds;
    let mut parts = Vec::new();
    // The room of 500 is one of the sizes.
    if wanted("presence") || wanted("sizes") {
        let mut steps = fan_out(options, "presence", MIDDLE);
        // The load keeps several changes under way, and ours writes what has gathered for an occupant at once; the
        // ceiling program does not.
        let mut words = occupants(MIDDLE, seconds);
        words.extend(["--window", "1"].map(str::to_owned));
        steps.insert(1, load(ONE.into(), Subject::Ours, "presence", words.clone(), seconds + 4));
        // In the same round, so that both meet the same machine.
        steps.insert(2, load(TLS_ONE.into(), Subject::OursOverTls, "presence", words, seconds + 5));
        let words = occupants(MIDDLE, seconds);
        steps.insert(1, load(TLS.into(), Subject::OursOverTls, "presence", words, seconds + 5));
        steps.insert(4, broadcast("ceiling".into(), MIDDLE, seconds));
        parts.push(Part { name: "presence", rounds: options.rounds, steps });
    }
    if wanted("sizes") {
        let mut steps = Vec::new();
        for size in SIZES.iter().filter(|s| **s != MIDDLE) {
            let of_subject = fan_out(options, "presence", *size).into_iter();
            // Filling a larger room takes minutes elsewhere.
            let of_subject = of_subject.filter(|s| s.key == "ours" || *size < MIDDLE);
            steps.extend(of_subject.map(|s| Step { key: format!("{} {size}", s.key), ..s }));
            steps.push(broadcast(format!("ceiling {size}"), *size, seconds));
        }
        parts.push(Part { name: "sizes", rounds: options.rounds, steps });
    }
    if wanted("chat") {
        let steps = fan_out(options, "chat", SMALL);
        parts.push(Part { name: "chat", rounds: options.rounds.min(3), steps });
    }
    parts
}

/// Lines of the table.
pub(crate) fn figures(m: &Measured) -> Vec<Figure> {
    let mut all = Vec::new();
    if m.has("presence") {
        let of = |step: &str, pointer: &str| m.samples("presence", step, pointer);
        let cost = "/cpu_ns_per_delivery";
        let rate = "/deliveries_per_second";
        let limited = m.limited("presence", "ours");
        let what = "CPU per delivered presence, room of 500";
        all.push(
            Figure::new("xmpp.cpu_per_delivery", what, Unit::Nanoseconds, of("ours", cost))
                .ceiling(of("ceiling", cost))
                .peer(of("peer", cost))
                .target(Target::OfPeer(10.0))
                .limited(limited),
        );
        let what = "… one change at a time: one write a delivery";
        all.push(
            Figure::new("xmpp.cpu_per_delivery_one_at_a_time", what, Unit::Nanoseconds, of(ONE, cost))
                .ceiling(of("ceiling", cost))
                .limited(m.limited("presence", ONE)),
        );
        for (key, what, tls, plain) in [
            ("xmpp.tls_share", "… what TLS adds to it", TLS, "ours"),
            ("xmpp.tls_share_one_at_a_time", "… what TLS adds, one change at a time", TLS_ONE, ONE),
        ] {
            let added = of(tls, cost)
                .zip(of(plain, cost))
                .and_then(|(tls, plain)| tls.zip(&plain, |tls, plain| tls / plain - 1.0));
            all.push(
                Figure::new(key, what, Unit::Share, added)
                    .target(Target::AtMost(0.15))
                    .limited(m.limited("presence", tls)),
            );
        }
        all.push(
            Figure::new("xmpp.deliveries", "presences delivered", Unit::PerSecond, of("ours", rate))
                .higher_is_better()
                .ceiling(of("ceiling", rate))
                .peer(of("peer", rate))
                .limited(limited),
        );
        for (key, name, pointer) in [("p50", "p50", "/latency/p50_us"), ("p99", "p99", "/latency/p99_us")] {
            let (key, what) = (format!("xmpp.latency_{key}"), format!("latency {name} at full load"));
            all.push(
                Figure::new(&key, &what, Unit::Microseconds, of("ours", pointer))
                    .peer(of("peer", pointer))
                    .limited(limited),
            );
        }
    }
    if m.has("sizes") {
        let cost = |name: &str, n: u16| of_size(m, name, n, "/cpu_ns_per_delivery");
        for size in SIZES.iter().filter(|s| **s != MIDDLE) {
            let (key, what) =
                (format!("xmpp.cpu_at_{size}_occupants"), format!("CPU per delivery, room of {size}"));
            all.push(
                Figure::new(&key, &what, Unit::Nanoseconds, cost("ours", *size))
                    .ceiling(cost("ceiling", *size))
                    .peer(cost("peer", *size))
                    .limited(m.limited("sizes", &format!("ours {size}"))),
            );
        }
        let growth = |name: &str| growth(cost(name, 50), cost(name, 2000));
        let what = "cost in a room of 2,000 ÷ cost in one of 50";
        all.push(
            Figure::new("xmpp.occupant_growth", what, Unit::Times, growth("ours"))
                .ceiling(growth("ceiling"))
                .target(Target::AtMost(1.15)),
        );
    }
    if m.has("chat") {
        let of = |step: &str| m.samples("chat", step, "/cpu_ns_per_delivery");
        let what = "CPU per delivered chat message, room of 125";
        all.push(
            Figure::new("xmpp.cpu_per_message", what, Unit::Nanoseconds, of("ours"))
                .peer(of("peer"))
                .limited(m.limited("chat", "ours")),
        );
    }
    all
}

/// Cost and rate over the size of a room.
pub(crate) fn charts(m: &Measured) -> Vec<Chart> {
    let lines = |pointer: &str, factor: f64| -> Vec<Line> {
        [(0, "Plausch", "ours"), (3, "ceiling", "ceiling"), (2, "peer", "peer")]
            .into_iter()
            .map(|(colour, title, name)| {
                let point = |size: &u16| {
                    let samples = of_size(m, name, *size, pointer)?;
                    Some((f64::from(*size), samples.median() * factor))
                };
                Line::of(colour, title, SIZES.iter().filter_map(point).collect())
            })
            .filter(|l| !l.points.is_empty())
            .collect()
    };
    let x = Axis { label: "occupants of the room", scale: Scale::Log };
    // Beside a peer that is far away, ours and the ceiling would lie on the axis.
    let scale = if m.has_step("presence", "peer") { Scale::Log } else { Scale::Linear };
    let charts = [
        Chart {
            file: "xmpp-cost",
            title: "CPU per delivered presence over the size of the room".into(),
            x,
            y: Axis { label: "µs per delivery", scale },
            lines: lines("/cpu_ns_per_delivery", 1e-3),
        },
        Chart {
            file: "xmpp-deliveries",
            title: "Presences delivered per second over the size of the room".into(),
            x,
            y: Axis { label: "deliveries/s", scale },
            lines: lines("/deliveries_per_second", 1.0),
        },
    ];
    charts.into_iter().filter(|c| c.lines.iter().any(|l| l.points.len() > 1)).collect()
}

/// A signalling scenario as a step.
pub(crate) fn load(key: String, subject: Subject, scenario: &str, words: Vec<String>, expected: u64) -> Step {
    let kind = Kind::Signalling { subject, scenario: scenario.to_owned(), words };
    Step { key, kind, expected: Duration::from_secs(expected) }
}

/// Ours and, when there is one, the peer.
fn fan_out(options: &Options, scenario: &str, size: u16) -> Vec<Step> {
    let words = occupants(size, options.seconds);
    let step = |key: &str, subject, joining: u64| {
        load(key.into(), subject, scenario, words.clone(), options.seconds + 3 + joining)
    };
    // To fill a room are n² deliveries, at some 5 and, elsewhere, 250 µs each.
    let deliveries = u64::from(size) * u64::from(size);
    let mut steps = vec![step("ours", Subject::Ours, deliveries * 5 / 1_000_000)];
    if with_peer(options) {
        steps.push(step("peer", Subject::Peer, deliveries * 250 / 1_000_000));
    }
    steps
}

/// A number of each round for a size of room.
fn of_size(m: &Measured, name: &str, size: u16, pointer: &str) -> Option<Samples> {
    if size == MIDDLE {
        return m.samples("presence", name, pointer);
    }
    m.samples("sizes", &format!("{name} {size}"), pointer)
}

fn occupants(count: u16, seconds: u64) -> Vec<String> {
    vec!["--occupants".into(), count.to_string(), "--seconds".into(), seconds.to_string()]
}

fn broadcast(key: String, connections: u16, seconds: u64) -> Step {
    let seconds = seconds.min(120);
    let words = ["broadcast", "--connections", &connections.to_string(), "--size", SIZE, "--seconds"];
    let mut words: Vec<String> = words.map(str::to_owned).to_vec();
    words.push(seconds.to_string());
    let kind = Kind::Ceiling { words, rate: Rate::Scenario };
    Step { key, kind, expected: Duration::from_secs(seconds + 2) }
}

fn growth(few: Option<Samples>, many: Option<Samples>) -> Option<Samples> {
    many?.zip(&few?, |many, few| many / few)
}

/// Key of the step over TLS.
const TLS: &str = "ours over TLS";
/// … without anything to gather.
const TLS_ONE: &str = "ours over TLS one at a time";
/// Sizes of a room.
const SIZES: &[u16] = &[50, 125, 500, 2000];
/// The one that all are compared at.
const MIDDLE: u16 = 500;
/// Key of the step without anything to gather.
const ONE: &str = "ours one at a time";
/// Where the comparison takes less time.
const SMALL: u16 = 125;
/// Bytes of a presence of the Jitsi Meet web app.
const SIZE: &str = "1500";

#[cfg(test)]
#[path = "xmpp_tests.rs"]
mod tests;
