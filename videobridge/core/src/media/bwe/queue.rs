//! One-way delays in; whether a queue stands at the bottleneck out, told apart from a path whose delay wanders by itself.
//!
//! A queue that we feed grows, stands, and drains only when we send less. The delay of a radio link rises just as fast,
//! and falls again whatever we do. So what counts is the *least* delay of a time (bursts of a frame do not), and the
//! threshold is above what rose and fell by itself before.

use crate::media::ids::Micros;

/// The delay on one receiver's path. Times in microseconds, of clocks that need not agree.
#[derive(Debug)]
pub(crate) struct Queue {
    /// The least delay of two spans: what the path takes without a queue.
    least: [f64; 2],
    least_since: Micros,
    last: Option<f64>,
    /// The least delay by step of arrival time, newest last; `MAX` = nothing arrived.
    steps: [f64; STEPS],
    newest: i64,
    /// How far the delay rose and fell by itself.
    wander: f64,
    wander_at: Micros,
    rise: Option<Rise>,
    /// The highest the delay stood since it was low.
    crest: f64,
    crest_at: Micros,
}

/// The delay is above what is normal.
#[derive(Debug, Clone, Copy)]
struct Rise {
    /// By the receiver's clock.
    since: i64,
    newest: i64,
    bytes: u64,
    peak: f64,
}

/// A rise that is over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fell {
    /// Bit/s that arrived while it lasted.
    pub(crate) rate: f64,
    /// How high the delay was, in microseconds.
    pub(crate) peak: f64,
}

impl Queue {
    pub(crate) const fn new(now: Micros) -> Self {
        Self {
            least: [f64::MAX; 2],
            least_since: now,
            last: None,
            steps: [f64::MAX; STEPS],
            newest: i64::MIN,
            wander: 0.0,
            wander_at: now,
            rise: None,
            crest: 0.0,
            crest_at: now,
        }
    }

    /// Whatever path there is now, it is not the one the delays were measured on.
    pub(crate) fn forget(&mut self, now: Micros) {
        *self = Self { wander: self.wander, wander_at: self.wander_at, ..Self::new(now) };
    }

    /// What the last packets waited says nothing any more.
    pub(crate) fn forget_steps(&mut self) {
        self.steps = [f64::MAX; STEPS];
        self.rise = None;
    }

    /// A packet arrived.
    pub(crate) fn arrived(&mut self, now: Micros, sent: Micros, arrival: i64, bytes: u32) {
        let delay = arrival as f64 - sent.0 as f64;
        if self.last.is_some_and(|last| (last - delay).abs() > CLOCK_JUMP_US) {
            // The clock of the receiver was set: nothing to compare with.
            self.forget(now);
        }
        self.last = Some(delay);
        if now.0.saturating_sub(self.least_since.0) > LEAST_SPAN_US {
            let [recent, _] = self.least;
            (self.least, self.least_since) = ([f64::MAX, recent], now);
        }
        let [recent, _] = &mut self.least;
        *recent = recent.min(delay);
        let step = arrival.div_euclid(STEP_US);
        if step > self.newest {
            // Steps in which nothing arrived say nothing, and are not kept.
            self.steps.rotate_left(1);
            self.newest = step;
            if let Some(slot) = self.steps.last_mut() {
                *slot = delay;
            }
        } else if let Some(slot) = self.steps.last_mut() {
            *slot = slot.min(delay);
        }
        if let Some(rise) = &mut self.rise {
            rise.newest = rise.newest.max(arrival);
            rise.bytes += u64::from(bytes);
        }
    }

    /// How long packets wait, at least, for some time now.
    pub(crate) fn standing(&self) -> f64 {
        let base = self.least.iter().copied().fold(f64::MAX, f64::min);
        // As long as there are not enough steps, there is no time for which something stands.
        let least = self.steps.iter().copied().fold(f64::MAX, f64::min);
        let full = self.steps.first().is_some_and(|first| *first < f64::MAX);
        if full { (least - base).max(0.0) } else { 0.0 }
    }

    /// How long packets wait, at least, in the last steps of those that [`Self::standing`] is about.
    pub(crate) fn lately(&self) -> f64 {
        let base = self.least.iter().copied().fold(f64::MAX, f64::min);
        let least = self.steps.iter().rev().take(LATELY).copied().fold(f64::MAX, f64::min);
        let some = self.steps.iter().rev().nth(LATELY).is_some_and(|step| *step < f64::MAX);
        if some { (least - base).max(0.0) } else { 0.0 }
    }

    /// How long the last packets waited.
    pub(crate) fn newest(&self) -> f64 {
        let base = self.least.iter().copied().fold(f64::MAX, f64::min);
        self.steps.last().map_or(0.0, |newest| (newest - base).max(0.0))
    }

    /// What it may be before it is a queue, on a link of `rate` bit/s.
    pub(crate) fn threshold(&self, rate: f64) -> f64 {
        let packets = PACKETS_IN_LINE * 1_200.0 * 8e6 / rate.max(1.0);
        BASE_US.max(packets) + self.wander * WANDER_MARGIN
    }

    /// Learns from the delay when it falls; `by_itself`: nothing was done about it. A queue of ours drains slowly, as long
    /// as something is sent.
    pub(crate) fn learn(&mut self, now: Micros, by_itself: bool) {
        let standing = self.standing();
        if standing >= self.crest {
            (self.crest, self.crest_at) = (standing, now);
        }
        if standing < self.crest * FELL {
            let took = now.0.saturating_sub(self.crest_at.0) as f64;
            if by_itself && self.crest > LEAST_CREST_US && took < self.crest.max(FAST_FALL_US) {
                self.wandered(self.crest);
            }
            (self.crest, self.crest_at) = (standing, now);
        }
    }

    /// Looks at what arrived, once for each feedback. Returns the end of a rise.
    pub(crate) fn look(&mut self, now: Micros, threshold: f64) -> Option<Fell> {
        let decay = now.0.saturating_sub(self.wander_at.0) as f64 / WANDER_LIFE_US;
        self.wander *= (-decay).exp();
        self.wander_at = now;
        let standing = self.standing();
        match &mut self.rise {
            None if standing > threshold / 2.0 => {
                let since = self.newest * STEP_US;
                self.rise = Some(Rise { since, newest: since, bytes: 0, peak: standing });
                None
            }
            Some(rise) if standing > threshold / 2.0 => {
                rise.peak = rise.peak.max(standing);
                None
            }
            Some(rise) => {
                let span = (rise.newest - rise.since).max(STEP_US) as f64;
                let fell = Fell { rate: rise.bytes as f64 * 8e6 / span, peak: rise.peak };
                self.rise = None;
                Some(fell)
            }
            None => None,
        }
    }

    /// The delay rose and fell by itself.
    pub(crate) fn wandered(&mut self, peak: f64) {
        self.wander = self.wander.max(peak.min(MOST_WANDER_US));
    }

    /// The delay that is above normal now is of that kind.
    pub(crate) fn wandered_now(&mut self) {
        if let Some(rise) = self.rise.take() {
            self.wandered(rise.peak);
        }
    }

    /// How far it does that.
    pub(crate) fn wander(&self) -> f64 {
        self.wander
    }
}

/// From crest to trough.
const FELL: f64 = 0.5;
const LEAST_CREST_US: f64 = 15_000.0;
const FAST_FALL_US: f64 = 150_000.0;
const STEP_US: i64 = 50_000;
/// What lasts this many steps stands.
const STEPS: usize = 5;
const LATELY: usize = 3;
const LEAST_SPAN_US: u64 = 10_000_000;
/// A queue shorter than this harms nobody.
const BASE_US: f64 = 45_000.0;
const PACKETS_IN_LINE: f64 = 2.5;
const WANDER_MARGIN: f64 = 1.1;
const MOST_WANDER_US: f64 = 300_000.0;
const WANDER_LIFE_US: f64 = 15_000_000.0;
const CLOCK_JUMP_US: f64 = 10_000_000.0;
