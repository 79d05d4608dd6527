//! Durations in; percentiles out, with a fixed and small memory.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// Latencies from 1 µs to 60 s, to three digits.
#[derive(Debug, Clone)]
pub struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        Self::new()
    }
}

impl Latencies {
    /// Empty.
    pub fn new() -> Self {
        // The bounds are constants that the library accepts.
        Self(Histogram::new_with_bounds(1, 60_000_000, 3).unwrap_or_else(|_| unreachable!()))
    }

    /// Adds one.
    pub fn record(&mut self, latency: Duration) {
        self.0.saturating_record(latency.as_micros().try_into().unwrap_or(u64::MAX));
    }

    /// Adds all of another one.
    pub fn add(&mut self, other: &Self) {
        // Same bounds: can not fail.
        let _ = self.0.add(&other.0);
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.reset();
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The latency that a share of 0 to 1 does not exceed.
    pub fn quantile(&self, share: f64) -> Duration {
        Duration::from_micros(self.0.value_at_quantile(share))
    }

    /// `{"count", "p50_us", "p99_us", "p999_us", "max_us"}`.
    pub fn to_json(&self) -> Value {
        let at = |share| self.0.value_at_quantile(share);
        json!({
            "count": self.0.len(), "p50_us": at(0.5), "p99_us": at(0.99), "p999_us": at(0.999), "max_us": self.0.max(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_to_three_digits_and_what_is_too_long_counts_as_the_longest() {
        let mut all = Latencies::new();
        for us in 1..=1000 {
            all.record(Duration::from_micros(us));
        }
        all.record(Duration::from_secs(3600));
        assert_eq!(all.quantile(0.5), Duration::from_micros(501));
        assert_eq!(all.to_json()["p99_us"], 991);
        assert!(all.quantile(1.0) >= Duration::from_secs(59));
    }
}
