//! Packets with their time of arrival in; the rate at which they arrived lately out.

/// What arrived, in steps of time.
#[derive(Debug)]
pub(crate) struct Delivered {
    /// Bytes by step, of the last steps.
    steps: [u32; STEPS],
    /// The newest step.
    newest: Option<i64>,
    /// The newest arrival.
    last: i64,
}

impl Delivered {
    pub(crate) const fn new() -> Self {
        Self { steps: [0; STEPS], newest: None, last: 0 }
    }

    pub(crate) fn arrived(&mut self, at_us: i64, bytes: u32) {
        let step = at_us.div_euclid(STEP_US);
        let newest = self.newest.filter(|newest| (step - newest).abs() < STEPS as i64);
        let Some(newest) = newest else {
            // The first, or after a long pause, or by another clock.
            *self = Self { newest: Some(step), last: at_us, ..Self::new() };
            return self.add(step, bytes);
        };
        for empty in newest + 1..=step {
            if let Some(slot) = self.steps.get_mut(place(empty)) {
                *slot = 0;
            }
        }
        self.newest = Some(newest.max(step));
        self.last = self.last.max(at_us);
        self.add(step, bytes);
    }

    fn add(&mut self, step: i64, bytes: u32) {
        if let Some(slot) = self.steps.get_mut(place(step)) {
            *slot = slot.saturating_add(bytes);
        }
    }

    /// Bit/s of about the last `us` microseconds before the newest arrival.
    pub(crate) fn rate(&self, us: i64) -> f64 {
        let Some(newest) = self.newest else { return 0.0 };
        let first = (self.last - us).div_euclid(STEP_US).max(newest - STEPS as i64 + 1);
        let steps = (first..=newest).filter_map(|step| self.steps.get(place(step)));
        let bytes: u64 = steps.map(|bytes| u64::from(*bytes)).sum();
        let span = (self.last - first * STEP_US).max(STEP_US);
        bytes as f64 * 8e6 / span as f64
    }
}

fn place(step: i64) -> usize {
    step.rem_euclid(STEPS as i64) as usize
}

const STEP_US: i64 = 25_000;
/// One second.
const STEPS: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_time_and_old_bytes_are_forgotten() {
        let mut d = Delivered::new();
        assert_eq!(d.rate(300_000), 0.0);
        for n in 0..100 {
            d.arrived(7_000_000 + n * 10_000, 1_000);
        }
        let near = |rate: f64, about: f64| assert!((rate - about).abs() < about * 0.1, "{rate}");
        near(d.rate(300_000), 800_000.0);
        for n in 0..100 {
            d.arrived(8_000_000 + n * 10_000, 250);
        }
        near(d.rate(300_000), 200_000.0);
        // Another clock, and a pause.
        d.arrived(-50_000_000, 100);
        assert!(d.rate(1_000_000) < 40_000.0);
    }
}
