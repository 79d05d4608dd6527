//! Fewer pictures while the bridge is overloaded: how loaded it is, and how many pictures who gets most gets, in; how
//! many anybody may get at all, out. It changes little by little, so that what one step brings is seen before the next.

use std::time::Instant;

use crate::limits::{LOAD_STEP, MOST_REDUCED_LAST_N, RECOVER_BELOW, REDUCE_FROM};

/// See the module. One for all shards of a bridge.
#[derive(Debug, Default)]
pub struct LoadReducer {
    last_n: Option<u32>,
    overloaded: bool,
    acted: Option<Instant>,
}

impl LoadReducer {
    /// The bridge has this load, 1 = all that it can do, and nobody on it gets more than `forwarded` pictures. Whether
    /// [`Self::last_n`] changed.
    pub fn handle_load(&mut self, now: Instant, stress: f64, forwarded: u32) -> bool {
        self.overloaded = stress >= REDUCE_FROM;
        if self.acted.is_some_and(|at| now.saturating_duration_since(at) < LOAD_STEP) {
            return false;
        }
        let before = self.last_n;
        if self.overloaded && forwarded > 0 {
            // A quarter less.
            let less = (forwarded - forwarded.div_ceil(4)).max(1);
            self.last_n = Some(before.map_or(less, |n| n.min(less)));
        } else if stress < RECOVER_BELOW {
            // A quarter more, and one at least.
            let more = before.map(|n| n.saturating_add((n / 4).max(1)));
            self.last_n = more.filter(|n| *n < MOST_REDUCED_LAST_N);
        }
        let changed = self.last_n != before;
        if changed {
            self.acted = Some(now);
        }
        changed
    }

    /// So many pictures anybody may get; `None` = any number.
    pub fn last_n(&self) -> Option<u32> {
        self.last_n
    }

    /// Whether it was too much when last looked.
    pub fn is_overloaded(&self) -> bool {
        self.overloaded
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);

    #[test]
    fn under_load_a_quarter_less_is_sent_each_minute_and_a_quarter_more_when_it_is_over() {
        let mut now = Instant::now();
        let mut reducer = LoadReducer::default();
        assert!(!reducer.handle_load(now, REDUCE_FROM - 0.01, 25), "not yet");
        let mut forwarded = 25;
        for expected in [18, 13, 9, 6, 4, 3, 2, 1] {
            assert!(reducer.handle_load(now, REDUCE_FROM, forwarded));
            assert_eq!(reducer.last_n(), Some(expected));
            forwarded = expected;
            now += LOAD_STEP - MOMENT;
            assert!(!reducer.handle_load(now, 2.0, forwarded), "what it brings is waited for");
            assert!(reducer.is_overloaded());
            now += MOMENT;
        }
        assert!(!reducer.handle_load(now, 5.0, 1), "one is always sent");
        // In between nothing changes.
        for stress in [RECOVER_BELOW, REDUCE_FROM - 0.01] {
            assert!(!reducer.handle_load(now, stress, 1));
        }
        for expected in [2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 18, 22, 27, 33] {
            assert!(expected < MOST_REDUCED_LAST_N);
            assert!(reducer.handle_load(now, RECOVER_BELOW - 0.01, 1));
            assert_eq!(reducer.last_n(), Some(expected));
            assert!(!reducer.handle_load(now, 0.0, 1));
            now += LOAD_STEP;
        }
        assert!(reducer.handle_load(now, 0.0, 1));
        assert_eq!(reducer.last_n(), None, "forty and more are no limit");
        assert!(!reducer.handle_load(now + LOAD_STEP, 0.0, 1), "there is nothing to take back");
    }

    #[test]
    fn where_no_pictures_are_sent_nothing_is_reduced() {
        let now = Instant::now();
        let mut reducer = LoadReducer::default();
        assert!(!reducer.handle_load(now, 3.0, 0));
        assert_eq!(reducer.last_n(), None);
        assert!(reducer.handle_load(now + MOMENT, 3.0, 8), "that was no step");
    }
}
