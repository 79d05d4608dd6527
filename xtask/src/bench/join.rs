//! Getting into meetings: what to run, and from the reports the figures.

use std::time::Duration;

use super::figure::{Figure, Target, Unit};
use super::media::all_of;
use super::options::Options;
use super::plan::{Kind, Measured, Part, Rate, Step, Subject};
use super::xmpp;

/// Parts that `--scenario` can name.
pub(crate) const PARTS: &[&str] =
    &["join-full", "join-storm", "join-500", "invite", "media-storm", "browser", "start"];

/// The named part, or all.
pub(crate) fn parts(options: &Options) -> Vec<Part> {
    let wanted = |name: &str| options.scenario.as_deref().is_none_or(|n| n == name);
    let few = options.rounds.min(3);
    let mut parts = Vec::new();
    // With how much longer it takes elsewhere.
    for (name, scenario, words, expected, longer) in [
        ("join-full", "join-full", ["--occupants", "400", "--joins", "50"], 8, 60),
        ("join-storm", "join-storm", ["--occupants", "200", "--seconds", "10"], 13, 10),
        // As fast as a school that begins its day; the peer would not be done within its patience.
        ("join-500", "join-storm", ["--occupants", "500", "--seconds", "5"], 9, 0),
    ] {
        if wanted(name) {
            let words: Vec<String> = words.map(str::to_owned).to_vec();
            let ours = xmpp::load("ours".into(), Subject::Ours, scenario, words.clone(), expected);
            let mut steps = vec![ours];
            if xmpp::with_peer(options) && longer > 0 {
                steps.push(xmpp::load("peer".into(), Subject::Peer, scenario, words, expected + longer));
            }
            parts.push(Part { name, rounds: few, steps });
        }
    }
    if wanted("invite") {
        let words = ["--rooms", "100", "--occupants", "200", "--joins", "50"].map(str::to_owned).to_vec();
        let ours = xmpp::load("ours".into(), Subject::OursWithFocus, "invite", words, 15);
        parts.push(Part { name: "invite", rounds: few, steps: vec![ours] });
    }
    if wanted("media-storm") {
        let step = |key: &str, subject| {
            let words =
                ["--receivers", "200", "--spread", "10", "--seconds", "3"].map(str::to_owned).to_vec();
            let kind = Kind::Media { subject, scenario: "join-storm".into(), words, rate: Rate::Scenario };
            Step { key: key.into(), kind, expected: Duration::from_secs(20) }
        };
        let mut steps = vec![step("ours", Subject::Ours)];
        steps.extend(options.bridge.is_some().then(|| step("peer", Subject::Peer)));
        parts.push(Part { name: "media-storm", rounds: few, steps });
    }
    if wanted("browser") {
        let kind = Kind::Browser { joins: JOINS };
        let steps = vec![Step { key: "ours".into(), kind, expected: Duration::from_secs(60) }];
        parts.push(Part { name: "browser", rounds: 1, steps });
    }
    if wanted("start") {
        parts.push(start(options));
    }
    parts
}

/// Start of the all-in-one, and how it is when nobody is there.
pub(crate) fn start(options: &Options) -> Part {
    let steps = vec![Step { key: "ours".into(), kind: Kind::Start, expected: Duration::from_secs(4) }];
    Part { name: "start", rounds: options.rounds, steps }
}

/// Lines of the table.
pub(crate) fn figures(m: &Measured) -> Vec<Figure> {
    let mut all = Vec::new();
    for (part, key, what, target) in [
        ("join-full", "join.full", "join into a room of 400", Target::AtMost(8_000.0)),
        ("join-storm", "join.storm", "200 join a room in 10 s", Target::None),
        ("media-storm", "join.media", "200 endpoints join a bridge in 10 s", Target::None),
    ] {
        if !m.has(part) {
            continue;
        }
        for (point, target) in [("p50", Target::None), ("p99", target)] {
            let of = |step: &str| m.samples(part, step, &format!("/join/{point}_us"));
            let figure = Figure::new(
                &format!("{key}_{point}"),
                &format!("{what}, {point}"),
                Unit::Microseconds,
                of("ours"),
            );
            all.push(figure.peer(of("peer")).target(target).limited(m.limited(part, "ours")));
        }
    }
    if m.has("invite") {
        for (point, most) in [("p50", 10_000.0), ("p99", 40_000.0)] {
            let key = format!("join.invite_{point}");
            let what = format!("request for a meeting → session-initiate, 100 rooms open, {point}");
            let times = m.samples("invite", "ours", &format!("/invite/{point}_us"));
            let figure = Figure::new(&key, &what, Unit::Microseconds, times);
            all.push(figure.target(Target::AtMost(most)).limited(m.limited("invite", "ours")));
        }
    }
    if m.has("join-500") {
        let seconds = m.samples("join-500", "ours", "/all_present_seconds");
        let what = "500 come within 5 s, until everybody sees everybody";
        all.push(
            Figure::new("join.500", what, Unit::Seconds, seconds)
                .target(Target::AtMost(10.0))
                .limited(m.limited("join-500", "ours")),
        );
    }
    if m.has("join-storm") {
        let of = |step: &str| m.samples("join-storm", step, "/server_rss_peak_bytes");
        let what = "… most memory during it";
        all.push(Figure::new("join.storm_memory", what, Unit::Bytes, of("ours")).peer(of("peer")));
    }
    if m.has("browser") {
        let times = all_of(m, "browser", "ours", "/join_ms");
        let what = "browser: joined → first remote picture";
        all.push(Figure::new("join.browser", what, Unit::Milliseconds, times).target(Target::AtMost(1000.0)));
    }
    all.extend(start_time(m));
    all
}

/// From the process' start to healthy.
pub(crate) fn start_time(m: &Measured) -> Option<Figure> {
    let times = m.samples("start", "ours", "/start_ms")?;
    let what = "start to healthy, all in one";
    Some(Figure::new("start", what, Unit::Milliseconds, Some(times)).target(Target::AtMost(200.0)))
}

/// Browsers that join, one after another.
const JOINS: u32 = 9;
