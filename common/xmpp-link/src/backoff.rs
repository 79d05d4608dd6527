//! How long to wait before the next attempt: a moment after a session, then doubling from 1 to 10 seconds, each with jitter, so that
//! many links of many processes do not come back to a restarted server in the same instant.

use std::time::Duration;

use crate::limits::{BACKOFF_FIRST, BACKOFF_MAX, BACKOFF_MIN};

#[derive(Debug, Default)]
pub(crate) struct Backoff {
    attempts: u32,
    /// There was a session just now: what broke may have been the connection alone.
    fresh: bool,
}

impl Backoff {
    /// A session was up: start over.
    pub(crate) fn reset(&mut self) {
        *self = Self { attempts: 0, fresh: true };
    }

    /// The wait before the next attempt; `random` is uniform over its range.
    pub(crate) fn next(&mut self, random: u16) -> Duration {
        let jitter = f64::from(random) / f64::from(u16::MAX);
        if std::mem::take(&mut self.fresh) {
            return BACKOFF_FIRST.mul_f64(1.0 + jitter);
        }
        let ceiling = (BACKOFF_MIN * 2 * (1 << self.attempts.min(4))).min(BACKOFF_MAX);
        self.attempts = self.attempts.saturating_add(1);
        BACKOFF_MIN + (ceiling - BACKOFF_MIN).mul_f64(jitter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_stay_between_one_and_ten_seconds_and_grow() {
        let mut b = Backoff::default();
        assert_eq!(b.next(0), BACKOFF_MIN);
        assert_eq!(b.next(u16::MAX), Duration::from_secs(4));
        for _ in 0..100 {
            assert_eq!(b.next(0), BACKOFF_MIN);
            assert!(b.next(u16::MAX) <= BACKOFF_MAX);
        }
        assert_eq!(b.next(u16::MAX), BACKOFF_MAX);
    }

    #[test]
    fn a_link_that_was_up_is_tried_at_once_and_then_as_any_other() {
        let mut b = Backoff::default();
        b.next(0);
        b.reset();
        assert_eq!(b.next(0), BACKOFF_FIRST);
        assert_eq!(b.next(u16::MAX), Duration::from_secs(2));
        b.reset();
        assert_eq!(b.next(u16::MAX), BACKOFF_FIRST * 2);
    }
}
