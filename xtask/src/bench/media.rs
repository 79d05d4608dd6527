//! Forwarding of media: what to run, and from the reports the figures and the curves.

use std::time::Duration;

use serde_json::Value;

use super::chart::{Axis, Chart, Line, Scale};
use super::figure::{Figure, Target, Unit};
use super::options::Options;
use super::plan::{Kind, Measured, Part, Rate, Step, Subject};
use super::statistics::Samples;
use super::turn;
use super::watching;

/// Parts that `--scenario` can name; the load generator's own scenarios besides.
pub(crate) const PARTS: &[&str] = &[
    "capacity",
    "fan-out",
    "half-load",
    "receivers",
    "room10",
    "few",
    "allocations",
    turn::PART,
    watching::PART,
];
/// Scenarios that are run only when named.
pub(crate) const SCENARIOS: &[&str] =
    &["audience", "audio", "rooms", "loss-1", "loss-5", "loss-20", "jitter-300", "rate-steps"];

/// A step's key, as the report of an earlier step is found by.
pub(crate) const fn subject_key(subject: Subject) -> &'static str {
    match subject {
        Subject::Ours => "ours",
        Subject::OursWithoutGso => "ours without GSO",
        Subject::OursOverTls => "ours over TLS",
        Subject::OursWithTokens => "ours with tokens",
        Subject::OursOnTwoCores => "ours on two cores",
        Subject::OursWithFocus => "all of ours",
        Subject::Peer => "peer",
    }
}

/// The named part, or all.
pub(crate) fn parts(options: &Options) -> Vec<Part> {
    let named = options.scenario.as_deref();
    let wanted = |name: &str| named.is_none_or(|n| n == name);
    let needs_capacity = ["capacity", "fan-out", "half-load", "receivers"].into_iter().any(wanted);
    let with_peer = options.bridge.is_some();
    let seconds = options.seconds;
    let few = options.rounds.min(3);
    let mut parts = Vec::new();
    let mut subjects = vec![Subject::Ours, Subject::OursWithoutGso];
    subjects.extend(with_peer.then_some(Subject::Peer));
    let both: Vec<Subject> = subjects.iter().copied().filter(|s| *s != Subject::OursWithoutGso).collect();
    if needs_capacity {
        let words = || ["--search", "--step-seconds", &search_seconds(seconds)].map(str::to_owned).to_vec();
        let step = |s: &Subject| load(*s, "fan-out", words(), Rate::Scenario, 40 + 10 * seconds.min(3));
        // Three searches say how far one can be off; fewer when only few rounds are asked for.
        let steps = subjects.iter().map(step).collect();
        parts.push(Part { name: "capacity", rounds: few, steps });
    }
    if wanted("fan-out") {
        let step = |s: &Subject| load(*s, "fan-out", timed(seconds), Rate::OfCapacity(BUSY), seconds + 8);
        let mut steps: Vec<Step> = subjects.iter().map(step).collect();
        steps.extend(["1", "8"].map(|segments| {
            let key = format!("ceiling {segments}");
            ceiling(key, &["--segments", segments], Rate::Scenario, seconds)
        }));
        parts.push(Part { name: "fan-out", rounds: options.rounds, steps });
    }
    if wanted("half-load") {
        let half = Rate::OfCapacity(0.5);
        let mut steps: Vec<Step> =
            both.iter().map(|s| load(*s, "fan-out", timed(seconds), half, seconds + 8)).collect();
        steps.push(ceiling("ceiling 8".into(), &["--segments", "8"], half, seconds));
        parts.push(Part { name: "half-load", rounds: options.rounds, steps });
    }
    if wanted("receivers") {
        let step = |(receivers, senders): &(u32, u32)| {
            let mut words = timed(seconds);
            let more =
                ["--fan-out", &receivers.to_string(), "--senders", &senders.to_string()].map(str::to_owned);
            words.extend(more);
            // Always as many packets out.
            let rate = Rate::OfCapacity(BUSY * 10.0 / f64::from(*receivers));
            Step { key: receivers.to_string(), ..load(Subject::Ours, "fan-out", words, rate, seconds + 8) }
        };
        let steps = RECEIVERS.iter().map(step).collect();
        parts.push(Part { name: "receivers", rounds: options.rounds, steps });
    }
    if wanted("room10") {
        parts.push(room10(options));
    }
    if wanted("few") {
        parts.push(few_part(options));
    }
    if wanted("allocations") {
        let expected = Duration::from_secs(30);
        let steps = vec![Step { key: "ours".into(), kind: Kind::Allocations, expected }];
        parts.push(Part { name: "allocations", rounds: 1, steps });
    }
    if wanted(turn::PART) {
        parts.push(turn::part(options));
    }
    if named == Some(watching::PART) {
        parts.push(watching::part(options));
    }
    for scenario in SCENARIOS.iter().filter(|s| named == Some(**s)) {
        let step = |s: &Subject| load(*s, scenario, timed(seconds), Rate::Scenario, seconds + 20);
        parts.push(Part { name: scenario, rounds: few, steps: both.iter().map(step).collect() });
    }
    parts
}

/// Ten cameras in one room: also what the memory of an endpoint is measured with.
pub(crate) fn room10(options: &Options) -> Part {
    let mut subjects = vec![Subject::Ours];
    subjects.extend(options.bridge.is_some().then_some(Subject::Peer));
    let seconds = options.seconds.max(3);
    let step = |s: &Subject| load(*s, "room10", timed(seconds), Rate::Scenario, seconds + 4);
    Part { name: "room10", rounds: options.rounds.min(3), steps: subjects.iter().map(step).collect() }
}

/// Meetings as most are: a handful of people, and little else on the bridge.
fn few_part(options: &Options) -> Part {
    let seconds = options.seconds.max(3);
    let step = |(key, rooms, endpoints): &(&str, u32, u32)| {
        let mut words = timed(seconds);
        let more = ["--rooms", &rooms.to_string(), "--endpoints", &endpoints.to_string()].map(str::to_owned);
        words.extend(more);
        Step { key: (*key).to_owned(), ..load(Subject::Ours, "rooms", words, Rate::Scenario, seconds + 6) }
    };
    Part { name: "few", rounds: options.rounds, steps: FEW.iter().map(step).collect() }
}

/// Lines of the table.
pub(crate) fn figures(m: &Measured) -> Vec<Figure> {
    let mut all = Vec::new();
    if m.has("fan-out") {
        let cost = |step: &str| m.samples("fan-out", step, "/cpu_ns_per_packet");
        let plain = "ours without GSO";
        all.push(
            Figure::new("media.cpu_per_packet", "CPU per forwarded packet", Unit::Nanoseconds, cost("ours"))
                .ceiling(cost("ceiling 8"))
                .peer(cost("peer"))
                .target(Target::OfCeiling(0.4))
                .limited(m.limited("fan-out", "ours")),
        );
        let what = "CPU per forwarded packet, without GSO";
        all.push(
            Figure::new("media.cpu_per_packet_without_gso", what, Unit::Nanoseconds, cost(plain))
                .ceiling(cost("ceiling 1"))
                .peer(cost("peer"))
                .target(Target::OfCeiling(0.5))
                .limited(m.limited("fan-out", plain)),
        );
        let loss = |step: &str| m.samples("fan-out", step, "/loss");
        all.push(
            Figure::new("media.loss", "loss at 80 % of capacity", Unit::Share, loss("ours"))
                .peer(loss("peer"))
                .target(Target::AtMost(0.001)),
        );
    }
    all.extend(capacity(m));
    if m.has("half-load") {
        for (point, name) in [("p50", "p50"), ("p99", "p99"), ("p999", "p99.9")] {
            let pointer = format!("/latency/{point}_us");
            let at = |step: &str| m.samples("half-load", step, &pointer);
            let what = format!("latency {name} at half of capacity");
            let key = format!("media.latency_{point}");
            let figure = Figure::new(&key, &what, Unit::Microseconds, at("ours")).peer(at("peer"));
            all.push(figure.ceiling(at("ceiling 8")).limited(m.limited("half-load", "ours")));
            if point == "p99" {
                let added =
                    at("ours").zip(at("ceiling 8")).and_then(|(o, c)| o.zip(&c, |o, c| (o - c).max(0.0)));
                let what = "… p99, less the ceiling program's: added";
                all.push(
                    Figure::new("media.added_latency_p99", what, Unit::Microseconds, added)
                        .target(Target::AtMost(1000.0)),
                );
            }
        }
    }
    all.extend(receivers(m));
    all.extend(room10_figures(m));
    all.extend(few_figures(m));
    if m.has("allocations") {
        let none = m.samples("allocations", "ours", "/allocations_per_packet");
        let what = "allocations per forwarded packet";
        all.push(
            Figure::new("media.allocations_per_packet", what, Unit::Count, none).target(Target::AtMost(0.0)),
        );
    }
    all.extend(turn::figures(m));
    all.extend(watching::figures(m));
    for scenario in SCENARIOS.iter().filter(|s| m.has(s)) {
        all.extend(scenario_figures(m, scenario));
    }
    all
}

/// Memory, cost and delay of the room of ten.
pub(crate) fn room10_figures(m: &Measured) -> Vec<Figure> {
    if !m.has("room10") {
        return Vec::new();
    }
    let of = |step: &str| m.samples("room10", step, "/rss_per_endpoint_bytes");
    let mut all = vec![
        Figure::new(
            "media.memory_per_endpoint",
            "memory per endpoint, room of 10 at 720p",
            Unit::Bytes,
            of("ours"),
        )
        .peer(of("peer"))
        .target(Target::AtMost(2e6)),
    ];
    all.extend(scenario_figures(m, "room10"));
    all
}

fn few_figures(m: &Measured) -> Vec<Figure> {
    let of = |(step, _, _): &(&str, u32, u32)| {
        let figure = |what: &str, unit, pointer: &str| {
            let key = format!(
                "media.few.{}.{}",
                step.replace(' ', "_"),
                pointer.trim_start_matches('/').replace('/', "_")
            );
            Figure::new(&key, &format!("{step}: {what}"), unit, m.samples("few", step, pointer))
                .limited(m.limited("few", step))
        };
        let each = "CPU per participant and second";
        [
            figure(each, Unit::Microseconds, "/cpu_us_per_participant_second"),
            figure("CPU per forwarded packet", Unit::Nanoseconds, "/cpu_ns_per_packet"),
            figure("times the server is woken", Unit::PerSecond, "/server_wake_ups_per_second"),
            figure("latency p99 of speech", Unit::Microseconds, "/speech/p99_us")
                .target(Target::AtMost(1000.0)),
        ]
    };
    FEW.iter().filter(|(step, ..)| m.has_step("few", step)).flat_map(of).collect()
}

fn capacity(m: &Measured) -> Vec<Figure> {
    if !m.has("capacity") {
        return Vec::new();
    }
    let of = |step: &str, pointer: &str| m.samples("capacity", step, pointer);
    let figure = |key: &str, what: &str, unit, pointer: &str| {
        Figure::new(key, what, unit, of("ours", pointer))
            .peer(of("peer", pointer))
            .higher_is_better()
            .limited(m.limited("capacity", "ours"))
    };
    let pps = "/capacity_pps";
    let what = "packets out, loss < 0.1 % and p99 < 20 ms";
    let plain = "ours without GSO";
    vec![
        figure("media.capacity", what, Unit::PerSecond, pps).ceiling(m.samples(
            "fan-out",
            "ceiling 8",
            "/packets_per_second",
        )),
        Figure::new(
            "media.capacity_without_gso",
            &format!("{what}, without GSO"),
            Unit::PerSecond,
            of(plain, pps),
        )
        .ceiling(m.samples("fan-out", "ceiling 1", "/packets_per_second"))
        .higher_is_better()
        .limited(m.limited("capacity", plain)),
        figure("media.goodput_150", "goodput at 150 % load", Unit::Share, "/goodput_150_ratio")
            .target(Target::AtLeast(0.95)),
    ]
}

fn receivers(m: &Measured) -> Vec<Figure> {
    if !m.has("receivers") {
        return Vec::new();
    }
    let cost = |n: u32| m.samples("receivers", &n.to_string(), "/cpu_ns_per_packet");
    let mut all: Vec<Figure> = RECEIVERS
        .iter()
        .map(|(n, _)| {
            let (key, what) =
                (format!("media.cpu_at_{n}_receivers"), format!("CPU per packet, {n} receivers"));
            Figure::new(&key, &what, Unit::Nanoseconds, cost(*n))
                .limited(m.limited("receivers", &n.to_string()))
        })
        .collect();
    let growth = cost(10).zip(cost(300)).and_then(|(few, many)| many.zip(&few, |many, few| many / few));
    let what = "cost at 300 receivers ÷ cost at 10";
    all.push(Figure::new("media.receiver_growth", what, Unit::Times, growth).target(Target::AtMost(1.1)));
    all
}

fn scenario_figures(m: &Measured, scenario: &str) -> Vec<Figure> {
    let figure = |key: &str, what: &str, unit, pointer: &str| {
        let of = |step: &str| m.samples(scenario, step, pointer);
        let key = format!("media.{}.{key}", scenario.replace('-', "_"));
        Figure::new(&key, &format!("{scenario}: {what}"), unit, of("ours"))
            .peer(of("peer"))
            .limited(m.limited(scenario, "ours"))
    };
    vec![
        figure("cpu_per_packet", "CPU per forwarded packet", Unit::Nanoseconds, "/cpu_ns_per_packet"),
        figure("latency_p99", "latency p99", Unit::Microseconds, "/latency/p99_us"),
        figure("loss", "not received of what was due", Unit::Share, "/loss"),
        figure("join_p99", "join p99", Unit::Microseconds, "/join/p99_us"),
    ]
}

/// Pictures of the search's curve and of the cost over receivers.
pub(crate) fn charts(m: &Measured) -> Vec<Chart> {
    let mut all = Vec::new();
    if m.has("capacity") {
        all.extend(load_charts(m));
    }
    if m.has("receivers") {
        let points = RECEIVERS.iter().filter_map(|(n, _)| {
            let cost = m.samples("receivers", &n.to_string(), "/cpu_ns_per_packet")?;
            Some((f64::from(*n), cost.median()))
        });
        all.push(Chart {
            file: "media-receivers",
            title: "CPU per forwarded packet over receivers of a sender".into(),
            x: Axis { label: "receivers", scale: Scale::Log },
            y: Axis { label: "ns per packet", scale: Scale::Linear },
            lines: vec![Line::of(0, "Plausch", points.collect())],
        });
    }
    all.retain(|c| c.lines.iter().any(|l| l.points.len() > 1));
    all
}

fn load_charts(m: &Measured) -> Vec<Chart> {
    let curve = |step: &str, pointer: &str, factor: f64| {
        let number = |p: &Value, at: &str| p.pointer(at)?.as_f64();
        let point = |p: &Value| Some((number(p, "/offered_pps")? * 10.0, number(p, pointer)? * factor));
        let searches = m.reports("capacity", step).iter().filter_map(|r| r["curve"].as_array());
        thinned(searches.flatten().filter_map(point).collect())
    };
    let x = Axis { label: "packets/s due to the receivers", scale: Scale::Linear };
    let lines = |pointer: &str, factor: f64| {
        [(0, "Plausch", "ours"), (1, "Plausch without GSO", "ours without GSO"), (2, "peer", "peer")]
            .into_iter()
            .map(|(colour, name, step)| Line::of(colour, name, curve(step, pointer, factor)))
            .filter(|l| !l.points.is_empty())
            .collect::<Vec<_>>()
    };
    let mut throughput = lines("/received_pps", 1.0);
    let most = throughput.iter().flat_map(|l| &l.points).map(|p| p.0).fold(0.0, f64::max);
    throughput.push(Line::of(3, "nothing lost", vec![(0.0, 0.0), (most, most)]));
    let latency = [("p50", "p50_us"), ("p99", "p99_us"), ("p99.9", "p999_us")];
    let latency = latency.into_iter().enumerate();
    vec![
        Chart {
            file: "media-throughput",
            title: "Packets received over packets due (fan-out 10, 1,100 bytes)".into(),
            x,
            y: Axis { label: "packets/s received", scale: Scale::Linear },
            lines: throughput,
        },
        Chart {
            file: "media-latency",
            title: "Latency through the bridge over load".into(),
            x,
            y: Axis { label: "ms", scale: Scale::Log },
            lines: latency
                .map(|(n, (name, key))| Line::of(n, name, curve("ours", &format!("/{key}"), 1e-3)))
                .collect(),
        },
        Chart {
            file: "media-cpu",
            title: "CPU of the server over load (one core = 100 %)".into(),
            x,
            y: Axis { label: "% of a core", scale: Scale::Linear },
            lines: lines("/server_cpu_share", 100.0),
        },
        Chart {
            file: "media-memory",
            title: "Resident memory of the server over load".into(),
            x,
            y: Axis { label: "MB", scale: Scale::Linear },
            lines: lines("/server_rss_bytes", 1e-6),
        },
    ]
}

/// Points of several searches as one curve: those at nearly the same load become one, by their medians.
fn thinned(mut points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let groups = points.chunk_by({
        let mut first = 0.0;
        move |a, b| {
            if first == 0.0 {
                first = a.0;
            }
            let near = b.0 <= first * NEAR;
            if !near {
                first = b.0;
            }
            near
        }
    });
    let median = |values: Vec<f64>| Samples::new(values).map(|s| s.median());
    groups
        .filter_map(|g| {
            Some((median(g.iter().map(|p| p.0).collect())?, median(g.iter().map(|p| p.1).collect())?))
        })
        .collect()
}

fn load(subject: Subject, scenario: &str, words: Vec<String>, rate: Rate, expected: u64) -> Step {
    let kind = Kind::Media { subject, scenario: scenario.to_owned(), words, rate };
    Step { key: subject_key(subject).to_owned(), kind, expected: Duration::from_secs(expected) }
}

fn ceiling(key: String, more: &[&str], rate: Rate, seconds: u64) -> Step {
    let seconds = seconds.min(MOST_CEILING);
    let length = seconds.to_string();
    let fixed = ["forward", "--fan-out", "10", "--size", "1100", "--seconds", &length];
    let words = fixed.iter().chain(more).map(|w| (*w).to_owned()).collect();
    Step { key, kind: Kind::Ceiling { words, rate }, expected: Duration::from_secs(seconds + 2) }
}

fn timed(seconds: u64) -> Vec<String> {
    vec!["--seconds".into(), seconds.to_string()]
}

fn search_seconds(seconds: u64) -> String {
    seconds.min(3).to_string()
}

/// Samples of several rounds, for the parts of other benches.
pub(crate) fn all_of(m: &Measured, part: &str, step: &str, pointer: &str) -> Option<Samples> {
    let lists = m.reports(part, step).iter().filter_map(|r| r.pointer(pointer)?.as_array());
    Samples::new(lists.flatten().filter_map(Value::as_f64).collect())
}

/// Share of its capacity at which a bridge's cost is measured: busy, but not yet queueing.
const BUSY: f64 = 0.8;
/// Loads that differ by less than this factor are one point of a curve.
const NEAR: f64 = 1.08;
/// Receivers of a sender, and senders so that there are about as many participants each time.
const RECEIVERS: &[(u32, u32)] = &[(10, 96), (30, 34), (100, 10), (300, 4)];
/// Meetings at their usual rate: name, rooms, people in each.
const FEW: &[(&str, u32, u32)] =
    &[("room of 2", 1, 2), ("room of 3", 1, 3), ("room of 4", 1, 4), ("10 rooms of 4", 10, 4)];
/// The ceiling program measures no longer than this.
const MOST_CEILING: u64 = 120;

#[cfg(test)]
#[path = "media_tests.rs"]
mod tests;
