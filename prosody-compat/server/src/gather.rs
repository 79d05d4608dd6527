//! When what was sent to many was written last, and how much that was, in; whether what is sent to many now had better wait a little, out.
//!
//! Most of what a delivery costs is its write, and one write takes several stanzas as well as one. Where rooms change faster than
//! everybody can be told of each change by itself, writing to many takes half of the time at most, and what comes in the other half
//! goes out in the same writes. Where one thing happens at a time nothing waits.

use std::time::{Duration, Instant};

/// See the module. Of the task that owns the server.
pub(crate) struct Gathering {
    until: Option<Instant>,
}

impl Gathering {
    pub(crate) const fn new() -> Self {
        Self { until: None }
    }

    /// So many orders for so many connections were written from `begun` to `done`.
    pub(crate) fn written(&mut self, begun: Instant, done: Instant, orders: usize, connections: usize) {
        let busy = connections > MANY && orders >= SEVERAL * connections;
        self.until = busy.then(|| done + done.saturating_duration_since(begun).min(AT_MOST));
    }

    /// Until when what is sent to so many waits. `None`: it does not.
    pub(crate) fn until(&self, now: Instant, connections: usize) -> Option<Instant> {
        self.until.filter(|until| connections > MANY && *until > now)
    }
}

/// Connections whose writing takes longer than to hand it to another thread.
pub(crate) const MANY: usize = 64;

/// Orders for each, on average, that tell of a busy time.
const SEVERAL: usize = 2;

/// How long anything waits. Nobody sees a face or reads a word later by it.
const AT_MOST: Duration = Duration::from_millis(3);

#[cfg(test)]
mod tests {
    use super::*;

    const WRITING: Duration = Duration::from_millis(2);

    /// When what goes to 500 may be written, after so many orders for as many were.
    fn waits(orders: usize, writing: Duration) -> Option<Duration> {
        let (mut gathering, begun) = (Gathering::new(), Instant::now());
        let done = begun + writing;
        gathering.written(begun, done, orders, 500);
        Some(gathering.until(done, 500)?.duration_since(done))
    }

    #[test]
    fn one_change_at_a_time_waits_for_nothing() {
        assert_eq!(waits(500, WRITING), None);
        assert_eq!(waits(999, WRITING), None);
        assert_eq!(waits(1_000, WRITING), Some(WRITING), "two for each");
    }

    #[test]
    fn it_waits_as_long_as_the_last_writes_took_but_not_for_long() {
        assert_eq!(waits(4_000, AT_MOST), Some(AT_MOST));
        assert_eq!(waits(4_000, 10 * AT_MOST), Some(AT_MOST));
    }

    #[test]
    fn what_goes_to_few_waits_for_nobody() {
        let (mut gathering, now) = (Gathering::new(), Instant::now());
        gathering.written(now, now + WRITING, 4_000, 500);
        assert_eq!(gathering.until(now + WRITING, MANY), None);
        assert!(gathering.until(now + WRITING, MANY + 1).is_some());
        gathering.written(now, now + WRITING, 8 * MANY, MANY);
        assert_eq!(gathering.until(now + WRITING, 500), None, "few were told much");
    }

    #[test]
    fn it_is_over_when_its_time_is() {
        let (mut gathering, now) = (Gathering::new(), Instant::now());
        gathering.written(now, now + WRITING, 4_000, 500);
        assert_eq!(gathering.until(now + 2 * WRITING, 500), None);
    }
}
