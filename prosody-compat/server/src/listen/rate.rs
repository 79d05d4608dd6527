//! How fast one client may send: bytes in, how long to wait before the next read out. Pure.

use std::time::{Duration, Instant};

use crate::limits;

/// A token bucket; what is taken beyond it delays the next read (upstream's `limits` module does the same).
#[derive(Debug)]
pub(crate) struct Rate {
    /// When the bucket would be full.
    full_at: Instant,
}

impl Rate {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { full_at: now }
    }

    /// `bytes` were received; returns how long to wait, if at all.
    pub(crate) fn take(&mut self, now: Instant, bytes: usize) -> Option<Duration> {
        let cost = Duration::from_secs_f64(bytes as f64 / limits::CLIENT_RATE as f64);
        self.full_at = self.full_at.max(now) + cost;
        let burst = Duration::from_secs_f64(limits::CLIENT_BURST as f64 / limits::CLIENT_RATE as f64);
        self.full_at.duration_since(now).checked_sub(burst).filter(|d| !d.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_one_byte_more_waits() {
        let now = Instant::now();
        let mut rate = Rate::new(now);
        assert_eq!(rate.take(now, limits::CLIENT_BURST), None);
        assert!(rate.take(now, 1).is_some());
        let wait = rate.take(now, limits::CLIENT_RATE).unwrap();
        assert!((0.99..1.01).contains(&wait.as_secs_f64()), "{wait:?}");
        // Later everything is as at the start.
        assert_eq!(rate.take(now + Duration::from_secs(60), limits::CLIENT_BURST), None);
    }
}
