//! How fast one client may send: frames in, how long to wait before the next read out. Pure.

use std::time::{Duration, Instant};

use budget::Bucket;

use crate::limits;

/// What a client has sent; what is beyond the budget delays the next read (upstream's `limits` module does the same).
#[derive(Debug, Default)]
pub(crate) struct Pace(Bucket);

impl Pace {
    /// A frame was received; returns how long to wait, if at all.
    pub(crate) fn frame(&mut self, now: Instant, bytes: usize) -> Option<Duration> {
        let amount = u32::try_from(bytes.max(limits::FRAME_COST)).unwrap_or(u32::MAX);
        Some(self.0.reserve(&limits::CLIENT, now, amount)).filter(|wait| !wait.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_one_byte_more_waits() {
        let now = Instant::now();
        let burst = limits::CLIENT.burst() as usize;
        let mut pace = Pace::default();
        assert_eq!(pace.frame(now, burst), None);
        assert!(pace.frame(now, 1).is_some());
        let wait = pace.frame(now, 64 * 1024).unwrap();
        assert!((0.99..1.02).contains(&wait.as_secs_f64()), "{wait:?}");
        // Later everything is as at the start.
        assert_eq!(pace.frame(now + Duration::from_secs(60), burst), None);
    }

    #[test]
    fn many_tiny_stanzas_count_as_well() {
        let now = Instant::now();
        let mut pace = Pace::default();
        assert!((0..1_024).all(|_| pace.frame(now, 10).is_none()));
        assert!(pace.frame(now, 10).is_some());
    }
}
