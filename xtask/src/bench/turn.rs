//! The TURN server beside a plain UDP relay: what to run, and from the reports the figures.

use std::time::Duration;

use super::figure::{Figure, Target, Unit};
use super::options::Options;
use super::plan::{Kind, Measured, Part, Rate, Step};

/// The part that `--scenario` names.
pub(crate) const PART: &str = "turn";

/// One program measures both, in turn: what disturbs one disturbs the other.
pub(crate) fn part(options: &Options) -> Part {
    // Four measurements in one step.
    let seconds = options.seconds.clamp(1, 5);
    let words = ["relay", "--size", "1100", "--seconds", &seconds.to_string()].map(str::to_owned).to_vec();
    let kind = Kind::Ceiling { words, rate: Rate::Scenario };
    let expected = Duration::from_secs(5 * seconds + 3);
    Part { name: PART, rounds: options.rounds, steps: vec![Step { key: BOTH.into(), kind, expected }] }
}

/// Lines of the table.
pub(crate) fn figures(m: &Measured) -> Vec<Figure> {
    if !m.has(PART) {
        return Vec::new();
    }
    let directions = [("to_peer", "to the bridge"), ("to_client", "to the client")];
    let figure = |(direction, what): (&str, &str)| {
        let of = |relay: &str| m.samples(PART, BOTH, &format!("/{relay}/{direction}/cpu_ns_per_packet"));
        let key = format!("media.turn_{direction}");
        let what = format!("TURN: CPU per packet {what}");
        Figure::new(&key, &what, Unit::Nanoseconds, of("turn"))
            .ceiling(of("plain"))
            .target(Target::OfCeiling(0.6))
    };
    directions.map(figure).to_vec()
}

const BOTH: &str = "both";
