//! What a receiver's link carries: sent packets and the receiver's feedback in, an estimate and the padding to test it
//! with out.
//!
//! This is deliberately simple and is *not* upstream's estimator (a port of Google congestion control). No estimate
//! until the receiver shows congestion: loss above 10 %, or for two decisions in a row a queue of more than 200 ms
//! that never drained. Then it goes towards the rate that arrived, and grows while there is no congestion: fast far
//! from the rate that was too much, slowly near it, and never far beyond what was really carried. To carry something
//! when the estimate allows no video there is [`padding`]. Silence is not congestion: what was lost while no feedback
//! came at all does not count. A full estimator replaces [`Estimator`] behind the same inputs.

pub(crate) mod padding;
mod sent;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use sent::SentHistory;
use videobridge_rtp::rtcp::TransportFeedback;

use crate::media::ids::{Bitrate, Micros};

/// The estimate of one receiver.
#[derive(Debug)]
pub(crate) struct Estimator {
    history: SentHistory,
    estimate: Option<Bitrate>,
    /// The estimate the last allocation was made with.
    applied: Option<Bitrate>,
    window: Window,
    /// Decisions in a row that saw a queue.
    queued: u32,
    /// When the estimate was lowered because of a queue.
    queue_seen: Option<Instant>,
    last_change: Instant,
    last_feedback: Option<Instant>,
    /// Losses reported until then, or of packets sent before by the time of [`Self::sent`], belong to an outage.
    outage_until: Option<Instant>,
    forgiven: Micros,
    congested: Option<Congested>,
    /// One-way delay in microseconds of unsynchronised clocks: the last, and the least of two spans of 10 s.
    delay: Option<f64>,
    least: [f64; 2],
    least_since: Instant,
}

/// The last congestion.
#[derive(Debug, Clone, Copy)]
struct Congested {
    at: Instant,
    /// What arrived nevertheless, in bit/s.
    arrived: f64,
    /// No padding until then.
    rest_until: Instant,
    rest: Duration,
}

/// What feedback said since the last decision.
#[derive(Debug, Clone, Copy)]
struct Window {
    since: Instant,
    received: u32,
    lost: u32,
    bytes: u64,
    lost_bytes: u64,
    least_delay: f64,
}

/// How one feedback packet matched what was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Matched {
    pub(crate) received: u64,
    pub(crate) lost: u64,
    pub(crate) unknown: u64,
    /// It is the first after an outage in which packets were lost.
    pub(crate) resumed: bool,
}

impl Estimator {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            history: SentHistory::default(),
            estimate: None,
            applied: None,
            window: Window::new(now),
            queued: 0,
            queue_seen: None,
            last_change: now,
            last_feedback: None,
            outage_until: None,
            forgiven: Micros(0),
            congested: None,
            delay: None,
            least: [f64::MAX; 2],
            least_since: now,
        }
    }

    /// A packet with a transport-wide sequence number was sent.
    pub(crate) fn sent(&mut self, sequence: u16, time: Micros, bytes: usize) {
        self.history.push(sequence, time, bytes);
    }

    /// Transport-wide feedback arrived.
    pub(crate) fn transport_feedback(&mut self, now: Instant, feedback: &TransportFeedback<'_>) -> Matched {
        let before = self.last_feedback.replace(now);
        let silent = before.is_some_and(|at| now.duration_since(at) >= SILENCE);
        if silent {
            // Whatever path there is now, it is not the one the delays were measured on.
            (self.least, self.least_since, self.delay) = ([f64::MAX; 2], now, None);
            self.queued = 0;
            self.outage_until = Some(now + OUTAGE_REPORT);
        }
        let outage = self.outage_until.is_some_and(|at| now < at);
        let matched = self.read(now, feedback, outage);
        if silent {
            // How long it took to arrive says nothing about a rate: count from here.
            self.window = Window::new(now);
            self.last_change = now;
        }
        self.decide(now);
        matched
    }

    fn read(&mut self, now: Instant, feedback: &TransportFeedback<'_>, outage: bool) -> Matched {
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
            let arrived = status.delta_us.is_some();
            let Some((sent, bytes)) = self.history.take(status.sequence, arrived) else {
                matched.unknown += 1;
                matched.resumed |= outage && !arrived;
                continue;
            };
            if !arrived {
                matched.lost += 1;
                matched.resumed |= outage;
                if !outage && sent >= self.forgiven {
                    self.window.lost += 1;
                    self.window.lost_bytes += u64::from(bytes);
                }
                continue;
            }
            if outage {
                self.forgiven = self.forgiven.max(sent);
            }
            matched.received += 1;
            self.window.received += 1;
            self.window.bytes += u64::from(bytes);
            let delay = arrival_us as f64 - sent.0 as f64;
            // The clock of the receiver was set: nothing to compare with.
            if self.delay.is_some_and(|d| (d - delay).abs() > CLOCK_JUMP_US) {
                self.least = [f64::MAX; 2];
                self.window.least_delay = f64::MAX;
            }
            self.delay = Some(delay);
            self.window.least_delay = self.window.least_delay.min(delay);
            let [recent, _] = &mut self.least;
            *recent = recent.min(delay);
        }
        matched
    }

    /// The receiver's own estimate, when that is all there is.
    pub(crate) fn remb(&mut self, bitrate: Bitrate) {
        self.estimate = Some(bitrate.clamp(MIN, MAX));
    }

    /// The estimate; `None` = no sign of a limit.
    pub(crate) fn estimate(&self) -> Option<Bitrate> {
        self.estimate
    }

    /// What to allocate with, and whether it differs enough from last time to allocate anew.
    pub(crate) fn apply(&mut self, threshold: f64) -> bool {
        let significant = match (self.applied, self.estimate) {
            (None, None) => false,
            (Some(old), Some(new)) => (new.as_f64() - old.as_f64()).abs() > old.as_f64() * threshold,
            _ => true,
        };
        if significant {
            self.applied = self.estimate;
        }
        significant
    }

    /// The estimate the allocation uses.
    pub(crate) fn applied(&self) -> Option<Bitrate> {
        self.applied
    }

    /// The rate to fill up with padding while a receiver wants `ideal` and does not get them. `None`: nothing to
    /// find out, or the link has to rest.
    pub(crate) fn probing_rate(&self, now: Instant, ideal: Bitrate) -> Option<Bitrate> {
        let estimate = self.estimate?;
        if self.congested.is_some_and(|c| now < c.rest_until) {
            return None;
        }
        // Somewhat more than needed, or the estimate could stop just short of being worth a new allocation.
        Some(estimate.max(MIN_PROBING).min(Bitrate(ideal.0.saturating_add(ideal.0 / 4))).max(MIN))
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
        let (arrived, sent) = (Bitrate::of(w.bytes, elapsed), Bitrate::of(w.bytes + w.lost_bytes, elapsed));
        let least = self.least.iter().copied().fold(f64::MAX, f64::min);
        let slow = w.received > 0 && w.least_delay - least > MAX_QUEUE_US;
        self.queued = if slow { self.queued + 1 } else { 0 };
        let elapsed = now.duration_since(self.last_change).as_secs_f64().min(2.0);
        self.last_change = now;
        let current = self.estimate.map_or(sent, |e| e.as_f64().min(sent * HEADROOM));
        if self.queued >= 2 {
            self.queue_seen = Some(now);
            self.lower(now, arrived, (arrived * BELOW_ARRIVED).max(current / 2.0), MIN);
        } else if loss > HIGH_LOSS {
            // Retransmissions repair the smallest picture, nothing repairs none. Unless the link is too narrow for it.
            let narrow =
                loss > MOST_LOSS || self.queue_seen.is_some_and(|at| now.duration_since(at) < MEMORY);
            let floor = if narrow { MIN_BY_LOSS } else { SMALLEST_PICTURE };
            // Much loss is a full queue: what arrives is what the link carries. Less may be the radio's.
            let lower =
                if loss > FULL_QUEUE { arrived.max(current / 2.0) } else { current * (1.0 - loss / 2.0) };
            self.lower(now, arrived, lower, floor);
            if !narrow {
                // A few unlucky packets may have looked like too narrow a link before.
                self.estimate = self.estimate.max(Some(floor));
            }
        } else if loss < LOW_LOSS && !slow {
            self.raise(now, arrived, elapsed);
        }
    }

    fn lower(&mut self, now: Instant, arrived: f64, to: f64, floor: Bitrate) {
        let to = Bitrate(to as u64).clamp(floor, MAX);
        self.estimate = Some(self.estimate.map_or(to, |e| e.min(to)));
        let rest = match self.congested {
            Some(c) if now < c.rest_until => c.rest,
            Some(c) => (c.rest * 2).min(LONGEST_REST),
            None => FIRST_REST,
        };
        self.congested = Some(Congested { at: now, arrived, rest_until: now + rest, rest });
    }

    fn raise(&mut self, now: Instant, arrived: f64, elapsed: f64) {
        let Some(estimate) = self.estimate.map(Bitrate::as_f64) else { return };
        let far = |c: &Congested| {
            let much = estimate.max(arrived) > c.arrived * 1.2 || now.duration_since(c.at) > MEMORY;
            (much, estimate < c.arrived * 0.7 || much)
        };
        let (better, far) = self.congested.as_ref().map_or((false, true), far);
        if better {
            self.congested = None;
        }
        let growth: f64 = if far { FAST } else { SLOW };
        let higher = (estimate * growth.powf(elapsed)).min(arrived * HEADROOM);
        // What arrived without a queue is carried, whatever was thought before.
        self.estimate = Some(Bitrate(higher.max(estimate).max(arrived * SURE).min(MAX.as_f64()) as u64));
    }
}

impl Window {
    const fn new(since: Instant) -> Self {
        Self { since, received: 0, lost: 0, bytes: 0, lost_bytes: 0, least_delay: f64::MAX }
    }
}

/// Upstream's `min-bw`, `max-bw`.
const MIN: Bitrate = Bitrate(30_000);
const MAX: Bitrate = Bitrate(20_000_000);
/// Loss alone does not lower the estimate further: upstream's `bitrate-threshold`.
const MIN_BY_LOSS: Bitrate = Bitrate(100_000);
/// Nor does the loss of a bad radio link go below what the smallest picture needs.
const SMALLEST_PICTURE: Bitrate = Bitrate(300_000);
/// Below this it takes too long to see enough packets.
const MIN_PROBING: Bitrate = Bitrate(64_000);
const DECISION: Duration = Duration::from_millis(500);
/// Feedback comes every 50 to 250 ms while anything arrives.
const SILENCE: Duration = Duration::from_secs(1);
/// The report about an outage may be several packets.
const OUTAGE_REPORT: Duration = Duration::from_millis(100);
const DELAY_SPAN: Duration = Duration::from_secs(10);
const MIN_PACKETS: u32 = 10;
const HIGH_LOSS: f64 = 0.10;
const LOW_LOSS: f64 = 0.02;
const FULL_QUEUE: f64 = 0.30;
const MOST_LOSS: f64 = 0.50;
const MAX_QUEUE_US: f64 = 200_000.0;
const BELOW_ARRIVED: f64 = 0.85;
/// How far the estimate may be above what was carried.
const HEADROOM: f64 = 1.5;
/// The part of a measured rate to rely on: feedback comes in steps.
const SURE: f64 = 0.9;
/// Growth per second.
const FAST: f64 = 1.5;
const SLOW: f64 = 1.05;
/// How long a rate that was too much is remembered.
const MEMORY: Duration = Duration::from_secs(60);
const FIRST_REST: Duration = Duration::from_secs(2);
const LONGEST_REST: Duration = Duration::from_secs(4);
const CLOCK_JUMP_US: f64 = 10_000_000.0;
