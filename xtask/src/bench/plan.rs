//! What is to be measured as data in; the interleaved order in which it runs, and the reports by step, out.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::progress::Progress;
use super::statistics::Samples;

/// Which server a load is put on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    Ours,
    /// Ours with one datagram a system call's message: no segmentation by the kernel.
    OursWithoutGso,
    /// Ours over TLS.
    OursOverTls,
    /// Ours, where people log in with a token.
    OursWithTokens,
    /// Ours on two cores.
    OursOnTwoCores,
    /// All of ours: people ask the focus, and there is a bridge.
    OursWithFocus,
    Peer,
}

/// How fast media is offered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Rate {
    /// What the scenario says.
    Scenario,
    /// A share of the packets a second that the same subject was found to carry by an earlier search.
    OfCapacity(f64),
}

/// One thing to run once a round.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// A scenario of the media load generator, with further words for it.
    Media { subject: Subject, scenario: String, words: Vec<String>, rate: Rate },
    /// A scenario of the signalling load generator, with further words for it.
    Signalling { subject: Subject, scenario: String, words: Vec<String> },
    /// The ceiling program, with its words; a rate is a share of what ours carries.
    Ceiling { words: Vec<String>, rate: Rate },
    /// Start of our server to healthy, and its memory when nobody is there.
    Start,
    /// The test that counts allocations.
    Allocations,
    /// Join to picture in a browser, so many times.
    Browser { joins: u32 },
    /// A browser that watches four cameras over bad networks, so many seconds over each.
    Watching { seconds: u32, joins: u32 },
}

/// A named thing to run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    /// Unique in its part.
    pub(crate) key: String,
    pub(crate) kind: Kind,
    /// How long it should take, for the time left and for the moment when it has failed.
    pub(crate) expected: Duration,
}

/// Steps that belong together and run interleaved.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) rounds: u32,
    pub(crate) steps: Vec<Step>,
}

/// A step of a certain round.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Turn<'a> {
    pub(crate) part: &'a Part,
    pub(crate) step: &'a Step,
    /// From 1.
    pub(crate) round: u32,
}

/// A B C A B C …, part after part: what disturbs the machine for a while disturbs all alike.
pub(crate) fn interleave(parts: &[Part]) -> Vec<Turn<'_>> {
    let mut turns = Vec::new();
    for part in parts {
        for round in 1..=part.rounds {
            turns.extend(part.steps.iter().map(|step| Turn { part, step, round }));
        }
    }
    turns
}

/// Reports by part and step, in the order of the rounds.
#[derive(Debug, Default)]
pub(crate) struct Measured(BTreeMap<(String, String), Vec<Value>>);

impl Measured {
    /// Adds one round's report.
    pub(crate) fn add(&mut self, part: &str, step: &str, report: Value) {
        self.0.entry((part.to_owned(), step.to_owned())).or_default().push(report);
    }

    /// All rounds of a step; empty when it did not run.
    pub(crate) fn reports(&self, part: &str, step: &str) -> &[Value] {
        self.0.get(&(part.to_owned(), step.to_owned())).map_or(&[], Vec::as_slice)
    }

    /// A number of each round, by JSON pointer; `None` when no round has it.
    pub(crate) fn samples(&self, part: &str, step: &str, pointer: &str) -> Option<Samples> {
        let numbers = self.reports(part, step).iter().filter_map(|r| r.pointer(pointer)?.as_f64()).collect();
        Samples::new(numbers)
    }

    /// Whether the generator was at its end in any round of a step.
    pub(crate) fn limited(&self, part: &str, step: &str) -> bool {
        self.reports(part, step).iter().any(|r| r["generator_limited"] == true)
    }

    /// Whether a step of a part ran.
    pub(crate) fn has_step(&self, part: &str, step: &str) -> bool {
        !self.reports(part, step).is_empty()
    }

    /// Whether any step of a part ran.
    pub(crate) fn has(&self, part: &str) -> bool {
        self.0.keys().any(|(p, _)| p == part)
    }
}

/// Runs all turns. What was measured before a failure stays in `measured`.
///
/// # Errors
/// The first step that fails.
pub(crate) fn run(
    parts: &[Part],
    progress: &Progress,
    measured: &mut Measured,
    mut act: impl FnMut(&Step, &Measured) -> Result<Value>,
) -> Result<()> {
    let turns = interleave(parts);
    for (number, turn) in turns.iter().enumerate() {
        let left = turns.iter().skip(number).map(|t| t.step.expected).sum();
        progress.turn(number + 1, turns.len(), turn, left);
        let report =
            act(turn.step, measured).with_context(|| format!("{}, {}", turn.part.name, turn.step.key))?;
        measured.add(turn.part.name, &turn.step.key, report);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use anyhow::bail;
    use serde_json::json;

    use super::*;

    fn part(name: &'static str, rounds: u32, keys: &[&str]) -> Part {
        let step =
            |k: &&str| Step { key: (*k).to_owned(), kind: Kind::Start, expected: Duration::from_secs(1) };
        Part { name, rounds, steps: keys.iter().map(step).collect() }
    }

    #[test]
    fn rounds_are_interleaved_and_parts_are_not() {
        let parts = [part("x", 2, &["ours", "ceiling", "peer"]), part("y", 1, &["ours"])];
        let order: Vec<String> = interleave(&parts)
            .iter()
            .map(|t| format!("{}{}{}", t.part.name, t.round, &t.step.key[..1]))
            .collect();
        assert_eq!(order, ["x1o", "x1c", "x1p", "x2o", "x2c", "x2p", "y1o"]);
    }

    #[test]
    fn what_was_measured_before_a_failure_stays_and_the_error_says_where() {
        let mut measured = Measured::default();
        let mut count = 0;
        let error = run(&[part("x", 3, &["a", "b"])], &Progress::silent(), &mut measured, |_, _| {
            count += 1;
            if count == 4 {
                bail!("loadgen: the server is gone");
            }
            Ok(json!({ "loss": count, "latency": { "p99_us": 10 * count } }))
        })
        .unwrap_err();
        assert_eq!(format!("{error:#}"), "x, b: loadgen: the server is gone");
        assert_eq!(measured.samples("x", "a", "/loss").unwrap().values(), [1.0, 3.0]);
        assert_eq!(measured.samples("x", "b", "/latency/p99_us").unwrap().values(), [20.0]);
        assert_eq!(measured.samples("x", "b", "/none"), None);
        assert!(measured.has("x") && !measured.has("y"));
    }
}
