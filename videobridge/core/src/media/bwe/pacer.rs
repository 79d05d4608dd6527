//! Rates and sent bytes in; how much may be sent to one receiver right now out.
//!
//! A bucket that empties at the pacing rate. While it is not full, packets pass straight through, which is always so on
//! a link much wider than what is sent. Nothing waits in here: whoever sends asks first, or counts afterwards.

use crate::media::ids::Micros;

/// How far one receiver's sending is ahead of its rate.
#[derive(Debug, Default)]
pub(crate) struct Pacer {
    /// Bytes per second; 0 = without limit.
    rate: u64,
    /// Bytes sent that the rate has not covered yet, times a million.
    level: u64,
    at: Micros,
}

impl Pacer {
    /// The rate from now on, in bit/s.
    pub(crate) fn set_rate(&mut self, now: Micros, bits: Option<u64>) {
        self.drain(now);
        self.rate = bits.map_or(0, |bits| (bits / 8).max(1));
        if bits.is_none() {
            self.level = 0;
        }
    }

    fn drain(&mut self, now: Micros) {
        let elapsed = now.0.saturating_sub(self.at.0);
        self.level = self.level.saturating_sub(elapsed.saturating_mul(self.rate));
        self.at = now;
    }

    /// Whether a packet may be sent now.
    pub(crate) fn is_open(&mut self, now: Micros) -> bool {
        self.rate == 0 || {
            self.drain(now);
            self.level <= self.rate * BURST_US
        }
    }

    /// Something was sent.
    pub(crate) fn sent(&mut self, bytes: usize) {
        if self.rate != 0 {
            self.level = (self.level + bytes as u64 * 1_000_000).min(self.rate * MOST_OWED_US);
        }
    }

    /// How long everything sent so far takes at the rate, in microseconds.
    pub(crate) fn ahead_us(&self) -> u64 {
        self.level.checked_div(self.rate).unwrap_or(0)
    }
}

/// What passes at once: a frame of a wide link, a packet of a narrow one.
const BURST_US: u64 = 20_000;
/// Speech and repetitions are not held back: what they take is owed no longer than this.
const MOST_OWED_US: u64 = 300_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_rate_everything_passes() {
        let mut pacer = Pacer::default();
        for _ in 0..1_000 {
            assert!(pacer.is_open(Micros(5)));
            pacer.sent(1_200);
        }
    }

    #[test]
    fn what_passes_is_a_burst_and_then_the_rate() {
        let mut pacer = Pacer::default();
        pacer.set_rate(Micros(0), Some(800_000));
        let mut now = Micros(0);
        let mut sent = 0;
        while now.0 < 1_000_000 {
            while pacer.is_open(now) {
                pacer.sent(1_000);
                sent += 1_000;
            }
            now.0 += 5_000;
        }
        assert!((101_000..=104_000).contains(&sent), "{sent}");
    }

    #[test]
    fn what_was_not_asked_for_is_owed_for_a_while_only() {
        let mut pacer = Pacer::default();
        pacer.set_rate(Micros(0), Some(80_000));
        pacer.sent(1_000_000);
        assert!(!pacer.is_open(Micros(200_000)));
        assert_eq!(pacer.ahead_us(), 100_000);
        assert!(pacer.is_open(Micros(300_000)));
    }
}
