//! One token bucket: a moment and an amount in, whether it is within the budget out.

use std::time::{Duration, Instant};

/// So much at once, and so much again over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// At most this many at once.
    burst: u32,
    /// One comes back after this time.
    interval: Duration,
}

impl Rate {
    /// `burst` at once, then `count` within every `period`. A `count` of 0 counts as 1.
    pub const fn new(burst: u32, count: u32, period: Duration) -> Self {
        let count = if count == 0 { 1 } else { count };
        let nanos = period.as_nanos() / count as u128;
        // An interval of more than 584 years is a mistake in a limits table; it is cut, not wrapped.
        let nanos = if nanos > u64::MAX as u128 { u64::MAX } else { nanos as u64 };
        Self { burst, interval: Duration::from_nanos(nanos) }
    }

    /// `burst` at once, then `count` per second.
    pub const fn per_second(burst: u32, count: u32) -> Self {
        Self::new(burst, count, Duration::from_secs(1))
    }

    /// `burst` at once, then `count` per minute.
    pub const fn per_minute(burst: u32, count: u32) -> Self {
        Self::new(burst, count, Duration::from_secs(60))
    }

    /// How many may come at once.
    pub const fn burst(&self) -> u32 {
        self.burst
    }

    fn of(&self, amount: u32) -> Duration {
        self.interval.saturating_mul(amount)
    }
}

/// What is left of one peer's [`Rate`]; 16 bytes.
///
/// Kept as the moment at which the bucket is full again (GCRA), so that nothing has to be refilled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bucket {
    full_at: Option<Instant>,
}

impl Bucket {
    /// A full bucket.
    pub const fn full() -> Self {
        Self { full_at: None }
    }

    /// Takes `amount` if it is there, or nothing. More than the burst is never there.
    #[must_use]
    pub fn take(&mut self, rate: &Rate, now: Instant, amount: u32) -> bool {
        if !self.has(rate, now, amount) {
            return false;
        }
        self.full_at = Some(self.start(now) + rate.of(amount));
        true
    }

    /// Whether `amount` is there; takes nothing.
    pub fn has(&self, rate: &Rate, now: Instant, amount: u32) -> bool {
        let used = self.start(now).saturating_duration_since(now);
        used.saturating_add(rate.of(amount)) <= rate.of(rate.burst)
    }

    /// How long until `amount` is there; zero if it is. For more than the burst, the time to a full bucket.
    pub fn wait(&self, rate: &Rate, now: Instant, amount: u32) -> Duration {
        let used = self.start(now).saturating_duration_since(now);
        (used + rate.of(amount.min(rate.burst))).saturating_sub(rate.of(rate.burst))
    }

    /// Takes `amount` whether it is there or not, and says how long to wait until it would have been: for peers that are
    /// served later rather than refused. Who asks must be bounded in number, as all that was taken has to come back.
    #[must_use]
    pub fn reserve(&mut self, rate: &Rate, now: Instant, amount: u32) -> Duration {
        // Beyond all time there is nothing to wait for that could be told.
        let full_at = self.start(now).checked_add(rate.of(amount)).unwrap_or(now);
        self.full_at = Some(full_at);
        full_at.saturating_duration_since(now).saturating_sub(rate.of(rate.burst))
    }

    /// The same, but nobody waits longer than `longest`: what would have to come back after that is never missed. So a crowd that
    /// took without measure is no burden for those who come when it is gone.
    #[must_use]
    pub fn reserve_within(&mut self, rate: &Rate, now: Instant, amount: u32, longest: Duration) -> Duration {
        let wait = self.reserve(rate, now, amount);
        if wait > longest {
            self.full_at = now.checked_add(rate.of(rate.burst).saturating_add(longest));
        }
        wait.min(longest)
    }

    /// Gives back what was taken and not used.
    pub fn give_back(&mut self, rate: &Rate, amount: u32) {
        self.full_at = self.full_at.and_then(|at| at.checked_sub(rate.of(amount)));
    }

    /// Whether nothing is missing any more, so that forgetting this bucket changes nothing.
    pub fn is_full(&self, now: Instant) -> bool {
        self.full_at.is_none_or(|at| at <= now)
    }

    fn start(&self, now: Instant) -> Instant {
        self.full_at.map_or(now, |at| at.max(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate::per_second(3, 2);

    #[test]
    fn the_burst_is_there_at_once_and_one_more_is_not() {
        let now = Instant::now();
        let mut b = Bucket::full();
        assert!((0..3).all(|_| b.take(&RATE, now, 1)));
        assert!(!b.take(&RATE, now, 1));
        assert_eq!(b.wait(&RATE, now, 1), Duration::from_millis(500));
    }

    #[test]
    fn nobody_waits_longer_than_the_longest_wait_and_what_is_beyond_it_is_forgotten() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let mut b = Bucket::full();
        assert_eq!(b.reserve_within(&RATE, now, 5, second), second);
        assert_eq!(b.reserve_within(&RATE, now, 1, second), second, "one beyond");
        for _ in 0..100 {
            assert_eq!(b.reserve_within(&RATE, now, u32::MAX, second), second);
        }
        assert!(!b.take(&RATE, now + second, 1));
        assert!(b.take(&RATE, now + second + Duration::from_millis(500), 1));
    }

    #[test]
    fn it_comes_back_at_the_rate_and_never_beyond_the_burst() {
        let now = Instant::now();
        let mut b = Bucket::full();
        assert!(b.take(&RATE, now, 3));
        assert!(!b.take(&RATE, now + Duration::from_millis(499), 1));
        assert!(b.take(&RATE, now + Duration::from_millis(500), 1));
        assert!(!b.take(&RATE, now + Duration::from_secs(60), 4));
        assert!(b.take(&RATE, now + Duration::from_secs(60), 3));
        assert!(!b.take(&RATE, now + Duration::from_secs(60), 1));
    }

    #[test]
    fn what_is_refused_costs_nothing() {
        let now = Instant::now();
        let mut b = Bucket::full();
        assert!(b.take(&RATE, now, 2));
        assert!(!b.take(&RATE, now, 2));
        assert!(b.take(&RATE, now, 1));
    }

    #[test]
    fn who_reserves_gets_turns_one_after_the_other_and_can_give_them_back() {
        let now = Instant::now();
        let mut b = Bucket::full();
        assert_eq!(b.reserve(&RATE, now, 3), Duration::ZERO);
        assert_eq!(b.reserve(&RATE, now, 1), Duration::from_millis(500));
        assert_eq!(b.reserve(&RATE, now, 1), Duration::from_secs(1));
        b.give_back(&RATE, 1);
        assert_eq!(b.reserve(&RATE, now, 1), Duration::from_secs(1));
        // More is given back than was ever taken: the bucket is full, not fuller.
        b.give_back(&RATE, 1_000);
        assert!(b.take(&RATE, now, 3));
        assert!(!b.take(&RATE, now, 1));
    }

    #[test]
    fn a_clock_that_stands_or_goes_back_gives_nothing_and_breaks_nothing() {
        let now = Instant::now() + Duration::from_secs(10);
        let mut b = Bucket::full();
        assert!(b.take(&RATE, now, 3));
        assert!(!b.take(&RATE, now - Duration::from_secs(5), 1));
        assert!(!b.take(&RATE, now, 1));
    }

    #[test]
    fn absurd_amounts_and_rates_do_not_overflow() {
        let now = Instant::now();
        let slow = Rate::new(u32::MAX, 0, Duration::MAX);
        let mut b = Bucket::full();
        assert!(!b.take(&RATE, now, u32::MAX));
        assert_eq!(b.wait(&RATE, now, u32::MAX), Duration::ZERO);
        assert!(b.has(&slow, now, 1));
    }
}
