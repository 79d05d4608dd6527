//! How much has to be sent to fill up: time and sent bytes in, bytes that are due out.

use std::time::{Duration, Instant};

use crate::media::ids::Bitrate;

/// Fills what is sent to one receiver up to a rate.
#[derive(Debug, Default)]
pub(crate) struct Padding {
    last: Option<Instant>,
    /// Bytes that may be sent; what media takes beyond the rate is a debt.
    credit: f64,
}

impl Padding {
    /// Whether it fills up now.
    pub(crate) fn is_running(&self) -> bool {
        self.last.is_some()
    }

    /// Bytes were sent, media or padding.
    pub(crate) fn sent(&mut self, bytes: usize) {
        // Otherwise nothing is owed: it is said for each packet, and it begins with nothing.
        if self.is_running() {
            self.credit -= bytes as f64;
        }
    }

    /// Time passes; at least a packet of `size` bytes can be saved up to reach `rate`. `None` = nothing to fill up.
    pub(crate) fn run(&mut self, now: Instant, rate: Option<Bitrate>, size: usize) {
        let Some(rate) = rate else {
            *self = Self::default();
            return;
        };
        let bytes_per_second = rate.as_f64() / 8.0;
        match self.last.replace(now) {
            // The first time: nothing saved up, nothing owed.
            None => self.credit = 0.0,
            Some(last) => self.credit += bytes_per_second * now.duration_since(last).as_secs_f64(),
        }
        let saved = bytes_per_second * SAVED.as_secs_f64();
        self.credit = self.credit.clamp(-bytes_per_second * OWED.as_secs_f64(), saved.max(size as f64));
    }

    /// Whether a packet of `size` bytes is due. A larger one may be sent then: it is paid for by those that follow.
    pub(crate) fn has_room(&self, size: usize) -> bool {
        self.is_running() && self.credit >= size as f64
    }
}

/// A late timer makes no larger burst than this.
const SAVED: Duration = Duration::from_millis(45);
/// A key frame is paid for no longer than this.
const OWED: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_up_to_the_rate_and_makes_no_burst_after_a_pause() {
        let t0 = Instant::now();
        let mut padding = Padding::default();
        let mut at = |ms: u64, media: usize| {
            padding.sent(media);
            padding.run(t0 + Duration::from_millis(ms), Some(Bitrate(800_000)), 250);
            let mut n = 0;
            while padding.has_room(250) {
                padding.sent(250);
                n += 1;
            }
            n
        };
        let alone: usize = (0..100).map(|i| at(i * 15, 0)).sum();
        assert!((588..=594).contains(&alone), "1.485 s at 400 packets/s: {alone}");
        let beside: usize = (100..200).map(|i| at(i * 15, 750)).sum();
        assert!((295..=305).contains(&beside), "half is media: {beside}");
        assert!(at(60_000, 0) <= 18, "45 ms worth");
        assert_eq!(at(60_500, 100_000), 0, "a key frame");
        padding.run(t0 + Duration::from_secs(61), None, 250);
        assert!(!padding.has_room(0));
    }
}
