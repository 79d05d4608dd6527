//! What is running in; lines on standard error that say it, and how long it will still take, out.

use std::time::{Duration, Instant};

use super::plan::Turn;

/// Tells people that we are working.
pub(crate) struct Progress {
    from: Instant,
    loud: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { from: Instant::now(), loud: true }
    }

    /// For tests.
    #[cfg(test)]
    pub(crate) fn silent() -> Self {
        Self { from: Instant::now(), loud: false }
    }

    /// Something outside the turns.
    pub(crate) fn say(&self, what: &str) {
        if self.loud {
            eprintln!("── {what}");
        }
    }

    /// A turn begins.
    pub(crate) fn turn(&self, number: usize, all: usize, turn: &Turn<'_>, left: Duration) {
        if self.loud {
            let Turn { part, step, round } = turn;
            let spent = self.from.elapsed().as_secs();
            eprintln!(
                "── {number:>3}/{all}  {}: {}, round {round} of {}; {}:{:02} gone, about {} left",
                part.name,
                step.key,
                part.rounds,
                spent / 60,
                spent % 60,
                roughly(left)
            );
        }
    }
}

/// A time as people say it.
pub(crate) fn roughly(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 90 { format!("{seconds} s") } else { format!("{} min", (seconds + 30) / 60) }
}
