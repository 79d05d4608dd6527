//! A browser that watches four cameras over bad networks: what to run, and from its report the figures.

use std::time::Duration;

use super::figure::{Figure, Target, Unit};
use super::media::all_of;
use super::options::Options;
use super::plan::{Kind, Measured, Part, Step};

/// Runs only when it is named: it takes two minutes a round.
pub(crate) const PART: &str = "watching";

pub(crate) fn part(options: &Options) -> Part {
    let kind = Kind::Watching { seconds: SECONDS, joins: JOINS };
    let steps = vec![Step { key: "ours".into(), kind, expected: Duration::from_secs(130) }];
    Part { name: PART, rounds: options.rounds.min(3), steps }
}

/// Lines of the table. The worst source counts, but for the pictures a second, which are the mean of all.
pub(crate) fn figures(m: &Measured) -> Vec<Figure> {
    if !m.has(PART) {
        return Vec::new();
    }
    let at_most = Target::AtMost;
    let lines = [
        ("10M/fps", "10 Mbit/s: pictures a second", Unit::Count, Target::None),
        ("500k/still_ms", "10 Mbit/s → 500 kbit/s: longest standstill", Unit::Milliseconds, at_most(500.0)),
        ("500k/p95_ms", "… waiting in the queue, p95", Unit::Milliseconds, at_most(150.0)),
        ("10M again/back_ms", "… → 10 Mbit/s: all at 720 lines again", Unit::Milliseconds, at_most(4_000.0)),
        ("loss 5 %/frozen_ms", "5 % lost each way: frozen", Unit::Milliseconds, at_most(400.0)),
        ("loss 5 %/at_360", "… at 360 lines or more", Unit::Share, Target::None),
        ("loss 12 %/fps", "12 % lost each way: pictures a second", Unit::Count, Target::None),
        ("loss 20 %/fps", "20 % lost each way: pictures a second", Unit::Count, Target::AtLeast(20.0)),
        ("loss 20 %/still_ms", "… longest standstill", Unit::Milliseconds, at_most(2_000.0)),
        ("loss 20 %/concealed", "… sound made up", Unit::Share, at_most(0.02)),
    ];
    let times = all_of(m, PART, "ours", "/joins_ms");
    let join = Figure::new("watching.join", "join → first picture", Unit::Milliseconds, times);
    let mut all = vec![join.target(at_most(250.0))];
    all.extend(lines.map(|(at, what, unit, target)| {
        let of = m.samples(PART, "ours", &format!("/phases/{at}"));
        Figure::new(&format!("watching.{}", at.replace([' ', '%', '/'], "_")), what, unit, of).target(target)
    }));
    all
}

/// Of each network.
const SECONDS: u32 = 12;
const JOINS: u32 = 9;
