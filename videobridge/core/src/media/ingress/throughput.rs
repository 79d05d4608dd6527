//! The bitrate of one encoding: packet sizes in, bit/s over the last second out.

use std::time::{Duration, Instant};

use crate::media::ids::Bitrate;

/// A sliding window of 1 s in 50 buckets of 20 ms.
#[derive(Debug)]
pub(crate) struct Throughput {
    start: Instant,
    /// Bytes per bucket and the bucket's number + 1.
    buckets: [(u32, u32); BUCKETS],
}

impl Throughput {
    pub(crate) fn new(now: Instant) -> Self {
        Self { start: now, buckets: [(0, 0); BUCKETS] }
    }

    pub(crate) fn add(&mut self, now: Instant, bytes: usize) {
        let number = self.number(now);
        if let Some((sum, at)) = self.buckets.get_mut(number as usize % BUCKETS) {
            if *at != number {
                (*sum, *at) = (0, number);
            }
            *sum = sum.saturating_add(bytes.try_into().unwrap_or(u32::MAX));
        }
    }

    pub(crate) fn bitrate(&self, now: Instant) -> Bitrate {
        let number = self.number(now);
        let current =
            self.buckets.iter().filter(|(_, at)| *at > 0 && number - (*at).min(number) < BUCKETS as u32);
        Bitrate(current.map(|(sum, _)| u64::from(*sum) * 8).sum())
    }

    fn number(&self, now: Instant) -> u32 {
        bucket(self.start, now)
    }
}

/// The number of the 20 ms that `now` is in, from 1.
pub(super) fn bucket(start: Instant, now: Instant) -> u32 {
    let ms = now.duration_since(start).as_millis();
    u32::try_from(ms / 20).unwrap_or(u32::MAX - 1) + 1
}

/// After this long without a packet the rate is 0.
pub(crate) const WINDOW: Duration = Duration::from_secs(1);

pub(super) const BUCKETS: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_one_second_and_forgets() {
        let t0 = Instant::now();
        let mut rate = Throughput::new(t0);
        for i in 0..300 {
            rate.add(t0 + Duration::from_millis(i * 10), 1250);
        }
        let end = t0 + Duration::from_millis(2990);
        assert_eq!(rate.bitrate(end), Bitrate(1_000_000));
        assert_eq!(rate.bitrate(end + WINDOW + Duration::from_millis(20)), Bitrate::ZERO);
    }
}
