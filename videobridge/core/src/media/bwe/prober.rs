//! Whether a link carries more: times and reported packets in; when to send how much, and what the link showed, out.
//!
//! A probe is a short time in which padding fills up what is sent to a higher rate. What arrives as fast as it was sent
//! was carried. The very first probe is a few packets at once, before there is any video: how far apart they arrive
//! says what the link carries at most.

use crate::media::ids::Micros;

/// The probes of one receiver, one at a time.
#[derive(Debug)]
pub(crate) struct Prober {
    state: State,
    interval_us: u64,
    step: f64,
    begun: Option<Micros>,
}

#[derive(Debug)]
enum State {
    /// None before then.
    Waiting(Micros),
    /// Filling up.
    Sending(Seen),
    /// All is sent, not all is reported.
    Watching(Seen),
}

/// What is known of a probe.
#[derive(Debug, Clone, Copy)]
struct Seen {
    from: Micros,
    until: Micros,
    rate: f64,
    burst: bool,
    /// The part that has to arrive.
    carried: f64,
    packets: u32,
    lost: u32,
    bytes: u64,
    /// Of the first and of the last that arrived: when sent, when arrived, its bytes.
    first: Option<(Micros, i64, u32)>,
    last: Option<(Micros, i64, u32)>,
}

/// What kind of probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Probe {
    /// A few packets at once.
    Burst,
    /// A short time of more.
    Short,
    /// A longer time, on a path whose delay wanders.
    Long,
}

/// What a probe came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Verdict {
    /// The first one: the link carries at most this.
    AtMost(f64),
    /// As much as was sent arrived.
    Carried(f64),
    /// Less arrived: so much.
    Less(f64),
    /// Nobody knows.
    Unclear,
}

impl Prober {
    pub(crate) const fn new() -> Self {
        Self {
            state: State::Waiting(Micros(0)),
            interval_us: FIRST_INTERVAL_US,
            step: LARGE_STEP,
            begun: None,
        }
    }

    /// Whether a probe may begin.
    pub(crate) fn is_due(&self, now: Micros) -> bool {
        matches!(self.state, State::Waiting(at) if now >= at)
    }

    /// Begins one: up to `rate` for a short time, or a few packets at once.
    pub(crate) fn begin(&mut self, now: Micros, rate: f64, probe: Probe) {
        let burst = probe == Probe::Burst;
        self.begun = Some(now);
        let until = match probe {
            Probe::Burst => now,
            Probe::Short => Micros(now.0 + LENGTH_US.max((LEAST_BITS * 1e6 / rate.max(1.0)) as u64)),
            Probe::Long => Micros(now.0 + LONG_US),
        };
        let carried = if probe == Probe::Long { LONG_CARRIED } else { CARRIED };
        let seen = Seen {
            from: now,
            until,
            rate,
            burst,
            carried,
            packets: 0,
            lost: 0,
            bytes: 0,
            first: None,
            last: None,
        };
        self.state = if burst { State::Watching(seen) } else { State::Sending(seen) };
    }

    /// The rate to fill up to now.
    pub(crate) fn rate(&mut self, now: Micros) -> Option<f64> {
        match self.state {
            State::Sending(seen) if now < seen.until => Some(seen.rate),
            State::Sending(seen) => {
                // Ends when it really ended: timers are late at times.
                self.state = State::Watching(Seen { until: now, ..seen });
                None
            }
            _ => None,
        }
    }

    /// The link is to rest: what is under way counts for nothing.
    pub(crate) fn stop(&mut self, now: Micros) {
        self.interval_us = (self.interval_us * 3 / 2).min(LONGEST_INTERVAL_US);
        self.state = State::Waiting(Micros(now.0 + self.interval_us));
    }

    /// The next one may begin so soon.
    pub(crate) fn again_in(&mut self, now: Micros, us: u64) {
        self.state = State::Waiting(Micros(now.0 + us));
    }

    /// A packet was reported: when it was sent, when it arrived if it did. Returns what the probe came to, once that is
    /// known.
    pub(crate) fn reported(&mut self, sent: Micros, arrival: Option<i64>, bytes: u32) {
        let (State::Sending(seen) | State::Watching(seen)) = &mut self.state else { return };
        if sent < seen.from || sent > seen.until {
            return;
        }
        seen.packets += 1;
        let Some(arrival) = arrival else {
            seen.lost += 1;
            return;
        };
        seen.bytes += u64::from(bytes);
        if seen.first.is_none() {
            seen.first = Some((sent, arrival, bytes));
        }
        if seen.last.is_none_or(|(_, at, _)| arrival >= at) {
            seen.last = Some((sent, arrival, bytes));
        }
    }

    /// What the probe came to, when packets up to `newest` have been reported.
    pub(crate) fn verdict(&mut self, now: Micros, newest: Micros) -> Option<Verdict> {
        let State::Watching(seen) = self.state else { return None };
        let complete = newest > seen.until || (seen.burst && seen.packets >= BURST as u32);
        if !complete && now.0 < seen.until.0 + PATIENCE_US {
            return None;
        }
        let verdict = seen.verdict();
        match verdict {
            Verdict::Carried(_) => {
                self.step = LARGE_STEP;
                self.interval_us = FIRST_INTERVAL_US;
                self.again_in(now, 0);
            }
            Verdict::AtMost(_) => self.again_in(now, 0),
            Verdict::Less(_) => {
                // That was too much. A little may not be.
                self.step = SMALL_STEP;
                self.stop(now);
            }
            Verdict::Unclear => self.again_in(now, UNCLEAR_US),
        }
        Some(verdict)
    }

    /// Whether one was sent just now, so that a short queue may be its.
    pub(crate) fn is_recent(&self, now: Micros) -> bool {
        self.begun.is_some_and(|at| now.0.saturating_sub(at.0) < RECENT_US)
    }

    /// How far above the estimate to probe.
    pub(crate) fn step(&self) -> f64 {
        self.step
    }
}

impl Seen {
    fn verdict(&self) -> Verdict {
        let arrived = self.packets - self.lost;
        let (Some((first_sent, first, first_bytes)), Some((last_sent, last, last_bytes))) =
            (self.first, self.last)
        else {
            return Verdict::Unclear;
        };
        if arrived < LEAST_PACKETS || arrived * 2 < self.packets {
            return Verdict::Unclear;
        }
        let span = (last - first).max(1) as f64;
        let received = self.bytes.saturating_sub(first_bytes.into()) as f64 * 8e6 / span;
        if self.burst {
            return Verdict::AtMost(received);
        }
        let span = last_sent.0.saturating_sub(first_sent.0).max(1) as f64;
        let sent = self.bytes.saturating_sub(last_bytes.into()) as f64 * 8e6 / span;
        if received > sent * COMPRESSED {
            // The link held packets back and let them go at once.
            Verdict::Unclear
        } else if received >= sent * self.carried {
            Verdict::Carried(received.min(sent))
        } else {
            Verdict::Less(received)
        }
    }
}

/// Packets of the first probe.
pub(crate) const BURST: usize = 10;
const LARGE_STEP: f64 = 2.0;
const SMALL_STEP: f64 = 1.35;
const LEAST_PACKETS: u32 = 5;
/// Of a short probe.
pub(crate) const LENGTH_US: u64 = 60_000;
/// On a slow link a few packets take longer.
const LEAST_BITS: f64 = 15_000.0;
const LONG_US: u64 = 400_000;
const LONG_CARRIED: f64 = 0.8;
const FIRST_INTERVAL_US: u64 = 1_000_000;
const LONGEST_INTERVAL_US: u64 = 2_500_000;
const RECENT_US: u64 = 1_000_000;
const UNCLEAR_US: u64 = 400_000;
/// Feedback that has not come by then does not come.
const PATIENCE_US: u64 = 1_000_000;
const COMPRESSED: f64 = 1.5;
const CARRIED: f64 = 0.92;
