//! Fan-out of presence and messages: what to run, and from the reports the figures and the curves.

use std::time::Duration;

use super::chart::{Axis, Chart, Line, Scale};
use super::figure::{Figure, Target, Unit};
use super::options::Options;
use super::plan::{Kind, Measured, Part, Rate, Step, Subject};
use super::statistics::Samples;

/// Parts that `--scenario` can name.
pub(crate) const PARTS: &[&str] = &["presence", "sizes", "chat", "two-rooms"];

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
        let tls = load(TLS.into(), Subject::OursOverTls, "presence", occupants(MIDDLE, seconds), seconds + 5);
        // In the same round, so that all meet the same machine.
        let beside = [
            tls,
            one_at_a_time(ONE.into(), Subject::Ours, MIDDLE, seconds),
            one_at_a_time(TLS_ONE.into(), Subject::OursOverTls, MIDDLE, seconds),
            broadcast("ceiling".into(), MIDDLE, seconds),
            broadcast_one(CEILING_ONE.into(), MIDDLE, seconds),
        ];
        steps.splice(1..1, beside);
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
            steps.push(one_at_a_time(format!("{ONE} {size}"), Subject::Ours, *size, seconds));
            steps.push(broadcast_one(format!("{CEILING_ONE} {size}"), *size, seconds));
        }
        parts.push(Part { name: "sizes", rounds: options.rounds, steps });
    }
    if wanted("two-rooms") {
        let step = |key: &str, subject| {
            let mut words = occupants(MIDDLE, seconds);
            words.extend(["--rooms", "2"].map(str::to_owned));
            load(key.into(), subject, "presence", words, seconds + 4)
        };
        let steps = vec![step("ours", Subject::Ours), step(TWO_CORES, Subject::OursOnTwoCores)];
        parts.push(Part { name: "two-rooms", rounds: options.rounds, steps });
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
                .target(Target::OfPeer(100.0))
                .limited(limited),
        );
        let what = "… one change at a time: one write a delivery";
        all.push(
            Figure::new("xmpp.cpu_per_delivery_one_at_a_time", what, Unit::Nanoseconds, of(ONE, cost))
                .ceiling(of(CEILING_ONE, cost))
                .target(Target::OfCeiling(0.75))
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
        let growth_of = |name: &str| growth(cost(name, 50), cost(name, 2000));
        let what = "cost in a room of 2,000 ÷ cost in one of 50";
        all.push(
            Figure::new("xmpp.occupant_growth", what, Unit::Times, growth_of("ours"))
                .ceiling(growth_of("ceiling"))
                .target(Target::AtMost(1.15)),
        );
        let what = "… one change at a time";
        all.push(
            Figure::new("xmpp.occupant_growth_one_at_a_time", what, Unit::Times, growth_of(ONE))
                .ceiling(growth_of(CEILING_ONE))
                .target(Target::AtMost(1.15)),
        );
    }
    if m.has("two-rooms") {
        let of = |step: &str, pointer: &str| m.samples("two-rooms", step, pointer);
        let rate = "/deliveries_per_second";
        let ratio = of(TWO_CORES, rate)
            .zip(of("ours", rate))
            .and_then(|(two, one)| two.zip(&one, |two, one| two / one));
        let shared = m.reports("two-rooms", TWO_CORES).iter().any(|r| r["shares_a_core"] == true);
        all.push(
            Figure::new(
                "xmpp.two_cores",
                "two rooms at once: rate with two cores ÷ with one",
                Unit::Times,
                ratio,
            )
            .higher_is_better()
            .target(Target::AtLeast(1.7))
            .limited(shared || m.limited("two-rooms", TWO_CORES)),
        );
        let cost = "/cpu_ns_per_delivery";
        for (key, step, what) in [
            ("xmpp.two_rooms_one_core", "ours", "… CPU per delivery with one core"),
            ("xmpp.two_rooms_two_cores", TWO_CORES, "… CPU per delivery with two"),
        ] {
            all.push(Figure::new(key, what, Unit::Nanoseconds, of(step, cost)));
        }
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
    let mut steps = vec![step("ours", Subject::Ours, filling(size))];
    if with_peer(options) {
        steps.push(step("peer", Subject::Peer, filling(size) * 50));
    }
    steps
}

/// Seconds to fill a room: n² deliveries at some 5 µs each, and 250 elsewhere.
fn filling(size: u16) -> u64 {
    (u64::from(size) * u64::from(size) * 5).div_ceil(1_000_000)
}

/// The load keeps several changes under way, and ours writes what has gathered for an occupant at once, which the ceiling program
/// does not. Here there is nothing to gather.
fn one_at_a_time(key: String, subject: Subject, size: u16, seconds: u64) -> Step {
    let mut words = occupants(size, seconds);
    words.extend(["--window", "1"].map(str::to_owned));
    load(key, subject, "presence", words, seconds + 5 + filling(size))
}

/// A number of each round for a size of room.
fn of_size(m: &Measured, name: &str, size: u16, pointer: &str) -> Option<Samples> {
    if size == MIDDLE {
        return m.samples("presence", name, pointer);
    }
    m.samples("sizes", &format!("{name} {size}"), pointer)
}

/// In one room, or as many small ones as make up the middle one: what somebody may say at once would last for a part of the time alone.
fn occupants(count: u16, seconds: u64) -> Vec<String> {
    let rooms = (MIDDLE / count).max(1);
    let mut words =
        vec!["--occupants".into(), (count * rooms).to_string(), "--seconds".into(), seconds.to_string()];
    if rooms > 1 {
        words.extend(["--rooms".into(), rooms.to_string(), "--together".into()]);
    }
    words
}

fn broadcast(key: String, connections: u16, seconds: u64) -> Step {
    let seconds = seconds.min(120);
    let words = ["broadcast", "--connections", &connections.to_string(), "--size", SIZE, "--seconds"];
    let mut words: Vec<String> = words.map(str::to_owned).to_vec();
    words.push(seconds.to_string());
    let kind = Kind::Ceiling { words, rate: Rate::Scenario };
    Step { key, kind, expected: Duration::from_secs(seconds + 2) }
}

/// The same, as [`one_at_a_time`]: whoever reads has nothing left to read, and has to be woken.
fn broadcast_one(key: String, connections: u16, seconds: u64) -> Step {
    let mut step = broadcast(key, connections, seconds);
    if let Kind::Ceiling { words, .. } = &mut step.kind {
        words.extend(["--ahead", "0"].map(str::to_owned));
    }
    step
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
/// Key of the step on two cores.
const TWO_CORES: &str = "ours on two cores";
/// Key of the step without anything to gather.
const ONE: &str = "ours one at a time";
/// Key of the ceiling program's.
const CEILING_ONE: &str = "ceiling one at a time";
/// Where the comparison takes less time.
const SMALL: u16 = 125;
/// Bytes of a presence of the Jitsi Meet web app.
const SIZE: &str = "1500";

#[cfg(test)]
#[path = "xmpp_tests.rs"]
mod tests;
