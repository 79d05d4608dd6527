//! What is wrong with one direction of a path, as plain numbers.

use std::time::Duration;

use crate::limits;

/// One direction of a path. Numbers beyond the crate's limits count as the nearest within; no number (NaN) as zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conditions {
    /// Share of datagrams that vanish before the bottleneck, 0 to 1.
    pub loss: f64,
    /// Losses come in spells (Gilbert-Elliott); `None`: each datagram on its own. The share stays `loss`.
    pub burst: Option<Burst>,
    /// Everybody's delay.
    pub delay: Duration,
    /// Additional delay from nothing to this much.
    pub jitter: Duration,
    /// Jitter is each datagram's own, so they overtake each other; `false`: it wanders over time and order is kept.
    pub jitter_reorders: bool,
    /// Share of datagrams that come twice, 0 to 1.
    pub duplicate: f64,
    /// Share of datagrams that are held back by `reorder_by` and overtaken meanwhile, 0 to 1.
    pub reorder: f64,
    /// See `reorder`.
    pub reorder_by: Duration,
    /// Share of datagrams with one wrong bit, 0 to 1.
    pub corrupt: f64,
    /// The bottleneck in bit/s, IPv4 and UDP headers included.
    pub rate: Option<u64>,
    /// What waits before the bottleneck at most, the datagram being sent included; what comes when it is full is dropped.
    pub queue_bytes: usize,
}

impl Conditions {
    /// Nothing is wrong.
    pub const PERFECT: Self = Self {
        loss: 0.0,
        burst: None,
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        jitter_reorders: false,
        duplicate: 0.0,
        reorder: 0.0,
        reorder_by: Duration::from_millis(20),
        corrupt: 0.0,
        rate: None,
        queue_bytes: 64 * 1024,
    };

    /// This share of datagrams is lost, each on its own.
    pub fn with_loss(loss: f64) -> Self {
        Self { loss, ..Self::PERFECT }
    }

    /// A bottleneck of this many bit/s.
    pub fn with_rate(rate: u64) -> Self {
        Self { rate: Some(rate), ..Self::PERFECT }
    }

    /// Up to this much additional delay, in order.
    pub fn with_jitter(jitter: Duration) -> Self {
        Self { jitter, ..Self::PERFECT }
    }

    /// The same, within the crate's limits.
    pub(crate) fn within_limits(mut self) -> Self {
        for share in [&mut self.loss, &mut self.duplicate, &mut self.reorder, &mut self.corrupt] {
            *share = between(*share, 0.0, 1.0);
        }
        for time in [&mut self.delay, &mut self.jitter, &mut self.reorder_by] {
            *time = (*time).min(limits::DELAY);
        }
        self.burst = self
            .burst
            .map(|b| Burst { length: between(b.length, 1.0, 1e6), loss: between(b.loss, 0.0, 1.0) });
        self.rate = self.rate.map(|r| r.clamp(limits::SLOWEST_RATE, limits::FASTEST_RATE));
        self.queue_bytes = self.queue_bytes.min(limits::QUEUE_BYTES);
        self
    }
}

impl Default for Conditions {
    fn default() -> Self {
        Self::PERFECT
    }
}

/// Losses in spells: outside of a spell nothing is lost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Burst {
    /// A spell's mean length in datagrams, at least 1.
    pub length: f64,
    /// Share that is lost within a spell; raised to the loss of all when that is more.
    pub loss: f64,
}

impl Burst {
    /// Shares of datagrams that begin and end a spell, and the loss within, for this loss of all.
    pub(crate) fn chances(self, overall: f64) -> (f64, f64, f64) {
        let inside = self.loss.max(overall);
        if overall <= 0.0 {
            return (0.0, 1.0, inside);
        }
        // Share of datagrams within a spell. In balance as many spells begin as end: begin * (1 - bad) = end * bad.
        let bad = overall / inside;
        let end = (1.0 / self.length).min((1.0 - bad) / bad);
        (if bad >= 1.0 { 1.0 } else { end * bad / (1.0 - bad) }, end, inside)
    }
}

/// `f64::clamp` for what may be no number.
fn between(value: f64, low: f64, high: f64) -> f64 {
    value.max(low).min(high)
}
