//! The bitrate of one encoding: packet sizes in, bit/s over the last second out, less what a single key frame adds.

use std::time::{Duration, Instant};

use crate::media::ids::Bitrate;

/// Two sliding windows of 1 s, one behind the other, in buckets of 20 ms.
#[derive(Debug)]
pub(crate) struct Throughput {
    start: Instant,
    /// Bytes per bucket and the bucket's number + 1.
    buckets: [(u32, u32); KEPT],
    newest: u32,
    /// The bucket it began with, after a pause.
    began: u32,
    young: bool,
}

impl Throughput {
    pub(crate) fn new(now: Instant) -> Self {
        Self { start: now, buckets: [(0, 0); KEPT], newest: 0, began: 0, young: false }
    }

    pub(crate) fn add(&mut self, now: Instant, bytes: usize) {
        let number = self.number(now);
        if self.newest == 0 || number - self.newest.min(number) >= SECOND {
            (self.began, self.young) = (number, true);
        }
        self.newest = number;
        if let Some((sum, at)) = self.buckets.get_mut(number as usize % KEPT) {
            if *at != number {
                (*sum, *at) = (0, number);
            }
            *sum = sum.saturating_add(bytes.try_into().unwrap_or(u32::MAX));
        }
    }

    pub(crate) fn bitrate(&self, now: Instant) -> Bitrate {
        let number = self.number(now);
        let (mut last, mut before) = (0, 0);
        for (sum, at) in self.buckets.iter().filter(|(_, at)| *at > 0) {
            match number.saturating_sub(*at) {
                age if age < SECOND => last += u64::from(*sum) * 8,
                age if age < 2 * SECOND => before += u64::from(*sum) * 8,
                _ => {}
            }
        }
        // What one second had more than the other was a key frame, unless one of them is not a whole second of it.
        if before * 2 > last { Bitrate(last.min(before)) } else { Bitrate(last) }
    }

    /// Whether it began less than a second ago: the rate is not the whole one yet.
    pub(crate) fn is_young(&self) -> bool {
        self.young
    }

    /// Whether it just ceased to be young.
    pub(crate) fn matures(&mut self, now: Instant) -> bool {
        let matures = self.young && self.number(now) - self.began.min(self.number(now)) >= SECOND;
        self.young &= !matures;
        matures
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
/// What is kept: this second and the one before.
const KEPT: usize = 2 * BUCKETS;
/// In buckets.
const SECOND: u32 = BUCKETS as u32;

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

    #[test]
    fn a_key_frame_is_not_taken_for_a_higher_rate_but_a_higher_rate_is() {
        let t0 = Instant::now();
        let mut rate = Throughput::new(t0);
        let at = |ms| t0 + Duration::from_millis(ms);
        (0..300).for_each(|i| rate.add(at(i * 10), 1250));
        rate.add(at(3_000), 50_000);
        assert_eq!(rate.bitrate(at(3_000)), Bitrate(1_000_000));
        (301..500).for_each(|i| rate.add(at(i * 10), 2500));
        assert_eq!(rate.bitrate(at(4_990)), Bitrate(2_000_000));
    }
}
