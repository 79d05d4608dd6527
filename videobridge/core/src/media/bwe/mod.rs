//! What a receiver's link carries: sent packets and the receiver's feedback in, an estimate out.
//!
//! This is deliberately simple and is *not* upstream's estimator (a port of Google congestion control): it is
//! optimistic until the receiver shows congestion (loss above 10 %, or for a second packets queueing more than 200 ms
//! longer than at best), then goes below the rate that arrived, and grows by 25 % per second while there is no congestion.
//! There is no probing, so growth is blind. A full estimator replaces [`Estimator`] behind the same four inputs.

mod sent;

use std::time::{Duration, Instant};

use sent::SentHistory;
use videobridge_rtp::rtcp::TransportFeedback;

/// The estimate of one receiver.
#[derive(Debug)]
pub(crate) struct Estimator {
    history: SentHistory,
    estimate: Option<u64>,
    /// The estimate the last allocation was made with.
    applied: Option<u64>,
    window: Window,
    /// Decisions in a row that saw a queue.
    queued: u32,
    last_change: Instant,
    /// One-way delay in microseconds of unsynchronised clocks: smoothed, and the least of two spans of 10 s.
    delay: Option<f64>,
    least: [f64; 2],
    least_since: Instant,
}

/// What feedback said since the last decision.
#[derive(Debug, Clone, Copy)]
struct Window {
    since: Instant,
    received: u32,
    lost: u32,
    bytes: u64,
}

/// How one feedback packet matched what was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Matched {
    pub(crate) received: u64,
    pub(crate) lost: u64,
    pub(crate) unknown: u64,
}

impl Estimator {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            history: SentHistory::default(),
            estimate: None,
            applied: None,
            window: Window::new(now),
            queued: 0,
            last_change: now,
            delay: None,
            least: [f64::MAX; 2],
            least_since: now,
        }
    }

    /// A packet with a transport-wide sequence number was sent.
    pub(crate) fn sent(&mut self, sequence: u16, time_us: u64, bytes: usize) {
        self.history.push(sequence, time_us, bytes);
    }

    /// Transport-wide feedback arrived.
    pub(crate) fn transport_feedback(&mut self, now: Instant, feedback: &TransportFeedback<'_>) -> Matched {
        let mut matched = Matched::default();
        let mut arrival_us = i64::try_from(feedback.reference_time_us()).unwrap_or(i64::MAX);
        if now.duration_since(self.least_since) > DELAY_SPAN {
            let [recent, _] = self.least;
            (self.least, self.least_since) = ([f64::MAX, recent], now);
        }
        for status in feedback.statuses() {
            if let Some(delta) = status.delta_us {
                arrival_us = arrival_us.saturating_add(delta.into());
            }
            let Some((sent_us, bytes)) = self.history.take(status.sequence, status.delta_us.is_some()) else {
                matched.unknown += 1;
                continue;
            };
            if status.delta_us.is_none() {
                matched.lost += 1;
                self.window.lost += 1;
                continue;
            }
            matched.received += 1;
            self.window.received += 1;
            self.window.bytes += u64::from(bytes);
            let delay = arrival_us as f64 - sent_us as f64;
            let smoothed = self.delay.map_or(delay, |d| d + (delay - d) / 16.0);
            // The clock of the receiver was set: nothing to compare with.
            let jump = self.delay.is_some_and(|d| (d - delay).abs() > CLOCK_JUMP_US);
            if jump {
                self.least = [f64::MAX; 2];
            }
            self.delay = Some(if jump { delay } else { smoothed });
            let [recent, _] = &mut self.least;
            *recent = recent.min(delay);
        }
        self.decide(now);
        matched
    }

    /// The receiver's own estimate, when that is all there is.
    pub(crate) fn remb(&mut self, bits_per_second: u64) {
        self.estimate = Some(bits_per_second.clamp(MIN, MAX));
    }

    /// The estimate in bit/s; `None` = no sign of a limit.
    pub(crate) fn estimate(&self) -> Option<u64> {
        self.estimate
    }

    /// What to allocate with, and whether it differs enough from last time to allocate anew.
    pub(crate) fn apply(&mut self, threshold: f64) -> bool {
        let significant = match (self.applied, self.estimate) {
            (None, None) => false,
            (Some(old), Some(new)) => (new as f64 - old as f64).abs() > old as f64 * threshold,
            _ => true,
        };
        if significant {
            self.applied = self.estimate;
        }
        significant
    }

    /// The estimate the allocation uses.
    pub(crate) fn applied(&self) -> Option<u64> {
        self.applied
    }

    fn decide(&mut self, now: Instant) {
        let w = self.window;
        let elapsed = now.duration_since(w.since);
        if elapsed < DECISION || w.received + w.lost < MIN_PACKETS {
            if elapsed > DECISION * 4 {
                self.window = Window::new(now);
            }
            return;
        }
        self.window = Window::new(now);
        let loss = f64::from(w.lost) / f64::from(w.received + w.lost);
        let rate = w.bytes as f64 * 8.0 / elapsed.as_secs_f64();
        let least = self.least.iter().copied().fold(f64::MAX, f64::min);
        let slow = self.delay.is_some_and(|d| d - least > MAX_QUEUE_US);
        self.queued = if slow { self.queued + 1 } else { 0 };
        let queueing = self.queued >= 2;
        let grown = now.duration_since(self.last_change).as_secs_f64().min(2.0);
        if loss > HIGH_LOSS || queueing {
            let factor = if queueing { 0.85 } else { 1.0 - loss / 2.0 };
            let lower = (rate * factor) as u64;
            self.estimate = Some(self.estimate.map_or(lower, |e| e.min(lower)).clamp(MIN, MAX));
        } else if loss < LOW_LOSS
            && !slow
            && let Some(estimate) = self.estimate
        {
            let higher = (estimate as f64 * GROWTH.powf(grown)) as u64;
            self.estimate = (higher < MAX).then_some(higher);
        }
        self.last_change = now;
    }
}

impl Window {
    const fn new(since: Instant) -> Self {
        Self { since, received: 0, lost: 0, bytes: 0 }
    }
}

const MIN: u64 = 30_000;
const MAX: u64 = 20_000_000;
const DECISION: Duration = Duration::from_millis(500);
const DELAY_SPAN: Duration = Duration::from_secs(10);
const MIN_PACKETS: u32 = 20;
const HIGH_LOSS: f64 = 0.10;
const LOW_LOSS: f64 = 0.02;
const MAX_QUEUE_US: f64 = 200_000.0;
const GROWTH: f64 = 1.25;
const CLOCK_JUMP_US: f64 = 10_000_000.0;

#[cfg(test)]
mod tests {
    use videobridge_rtp::rtcp::transport_cc::{self, Arrival};
    use videobridge_rtp::rtcp::{Compound, Rtcp};

    use super::*;

    /// Ten packets of 1,000 bytes every 100 ms = 800 kbit/s; `lose` of ten are lost, the rest takes `delay_ms`.
    fn run(
        e: &mut Estimator,
        start: Instant,
        from: u64,
        seconds: u64,
        lose: u64,
        delay_ms: impl Fn(u64) -> u64,
    ) {
        for round in from * 10..(from + seconds) * 10 {
            let mut arrivals = Vec::new();
            for i in 0..10 {
                let seq = round * 10 + i;
                let sent = round * 100_000 + i * 10_000;
                e.sent(seq as u16, sent, 1000);
                if i < 9 - lose || i == 9 {
                    arrivals
                        .push(Arrival { sequence: seq, time_us: 1_000_000 + sent + delay_ms(round) * 1000 });
                }
            }
            let mut buf = [0; 1200];
            let w = transport_cc::write(&mut buf, 1, 2, 0, round * 10, &arrivals).unwrap();
            let Some(Ok(Rtcp::TransportFeedback(f))) = Compound::new(&buf[..w.len]).next() else { panic!() };
            e.transport_feedback(start + Duration::from_millis(round * 100 + 100), &f);
        }
    }

    #[test]
    fn is_optimistic_until_there_is_loss_then_recovers() {
        let t0 = Instant::now();
        let mut e = Estimator::new(t0);
        run(&mut e, t0, 0, 5, 0, |_| 20);
        assert_eq!(e.estimate(), None);
        run(&mut e, t0, 5, 5, 4, |_| 20);
        let low = e.estimate().unwrap();
        assert!((200_000..500_000).contains(&low), "{low}");
        assert!(e.apply(0.15) && !e.apply(0.15));
        run(&mut e, t0, 10, 5, 0, |_| 20);
        let more = e.estimate().unwrap();
        assert!(more > low * 13 / 10, "{low} {more}");
    }

    #[test]
    fn growing_queues_lower_the_estimate_without_loss() {
        let t0 = Instant::now();
        let mut e = Estimator::new(t0);
        run(&mut e, t0, 0, 2, 0, |_| 20);
        run(&mut e, t0, 2, 4, 0, |round| 20 + (round - 20) * 20);
        assert!(e.estimate().is_some_and(|e| e < 800_000));
    }
}
