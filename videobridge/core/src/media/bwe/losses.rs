//! Reported packets in; whether losses are the link's own or because it is sent too much, out.
//!
//! A radio link loses whatever is sent. A policer, or a queue too short to be seen, loses what is too much. The way to
//! know is to send less for a moment: losses that stay are the link's own, and no reason to send less.

use crate::media::ids::Micros;

/// The losses on one receiver's path.
#[derive(Debug)]
pub(crate) struct Losses {
    since: Micros,
    packets: u32,
    lost: u32,
    /// The share that the link loses whatever is sent.
    own: f64,
    /// What is lost of the newest packets, when that is very much and no queue or outage was a moment ago.
    sudden: f64,
    /// Windows in a row with too much.
    high: u32,
    test: Option<Test>,
    /// No other test before then.
    rest_until: Micros,
}

#[derive(Debug, Clone, Copy)]
struct Test {
    /// What was lost before.
    share: f64,
    /// Reports from then on count: what was sent before was too much.
    counts_from: Micros,
    until: Micros,
    packets: u32,
    lost: u32,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Advice {
    /// Send less to find out: this share of what is sent arrives.
    Test(f64),
    /// Losses stayed: send as before.
    Restore,
    /// Losses went: it was too much.
    Keep,
    /// More is lost than can be repaired.
    TooMuch(f64),
}

impl Losses {
    pub(crate) const fn new(now: Micros) -> Self {
        Self {
            since: now,
            packets: 0,
            lost: 0,
            own: 0.0,
            sudden: 0.0,
            high: 0,
            test: None,
            rest_until: Micros(0),
        }
    }

    /// Counts from here.
    pub(crate) fn begin(&mut self, now: Micros) {
        (self.since, self.packets, self.lost, self.high, self.test) = (now, 0, 0, 0, None);
        self.sudden = 0.0;
    }

    /// What was lost was lost in an outage; and what comes after it comes all at once.
    pub(crate) fn rest(&mut self, now: Micros) {
        self.begin(now);
        self.rest_until = Micros(now.0 + AFTER_QUEUE_US);
    }

    pub(crate) fn reported(&mut self, sent: Micros, lost: bool) {
        self.packets += 1;
        self.lost += u32::from(lost);
        if let Some(test) = self.test.as_mut().filter(|t| sent >= t.counts_from) {
            test.packets += 1;
            test.lost += u32::from(lost);
        }
    }

    /// The share that the link is known to lose, whatever is sent.
    pub(crate) const fn own(&self) -> f64 {
        self.own
    }

    /// The share that is lost while no queue explains it: also what it is not known of yet whose it is.
    pub(crate) fn suspected(&self) -> f64 {
        self.test.map_or(self.sudden, |test| test.share).max(self.own)
    }

    /// Whether it is being found out what losses are due to.
    pub(crate) fn testing(&self) -> bool {
        self.test.is_some()
    }

    /// Looks at what was reported, once for each feedback. `queue`: there is one, which explains losses.
    pub(crate) fn look(&mut self, now: Micros, queue: bool) -> Option<Advice> {
        if queue {
            self.rest(now);
            return None;
        }
        if let Some(test) = self.test {
            // As many as tell chance from a difference.
            let enough = f64::from(test.packets) * test.share >= LEAST_LOSSES;
            if now < test.until || !enough {
                if now.0 > test.until.0 + LONGEST_TEST_US {
                    self.begin(now);
                    return Some(Advice::Restore);
                }
                return None;
            }
            let share = f64::from(test.lost) / f64::from(test.packets);
            self.begin(now);
            if share > test.share * STAYED {
                self.own = share.max(test.share).min(MOST_OWN);
                self.rest_until = Micros(now.0 + AFTER_TEST_US);
                return Some(Advice::Restore);
            }
            self.own = self.own.min(share);
            self.rest_until = Micros(now.0 + AFTER_QUEUE_US);
            return Some(Advice::Keep);
        }
        let share = f64::from(self.lost) / f64::from(self.packets.max(1));
        let soon = self.packets >= SOON && share > VERY_HIGH && now >= self.rest_until;
        if now.0.saturating_sub(self.since.0) < WINDOW_US || self.packets < LEAST_PACKETS {
            self.sudden = if soon { share } else { self.sudden };
            return None;
        }
        self.sudden = if soon { share } else { 0.0 };
        (self.since, self.packets, self.lost) = (now, 0, 0);
        if share < self.own {
            self.own += (share - self.own) * FORGETS;
        }
        let much = share > HIGH.max(self.own * ABOVE_OWN + ABOVE_OWN_BY);
        self.high = if much { self.high + 1 } else { 0 };
        if share > MOST_OWN * 1.1 && self.high >= 2 {
            return Some(Advice::TooMuch(share));
        }
        let enough = match self.own {
            0.0 if share > VERY_HIGH => 1,
            0.0 => 2,
            // It loses by itself, sometimes more and sometimes less.
            _ => 3,
        };
        if self.high < enough || now < self.rest_until {
            return None;
        }
        self.high = 0;
        let counts_from = Micros(now.0 + SETTLES_US);
        let until = Micros(counts_from.0 + TEST_US);
        self.test = Some(Test { share, counts_from, until, packets: 0, lost: 0 });
        Some(Advice::Test(share))
    }
}

const WINDOW_US: u64 = 500_000;
const LEAST_PACKETS: u32 = 20;
/// Before a window is over, so many tell that very much is lost.
const SOON: u32 = 100;
const HIGH: f64 = 0.08;
const VERY_HIGH: f64 = 0.15;
const ABOVE_OWN: f64 = 1.3;
const ABOVE_OWN_BY: f64 = 0.04;
/// Of what was lost before, when less is sent: more than that is the link's own.
const STAYED: f64 = 0.6;
const MOST_OWN: f64 = 0.4;
const FORGETS: f64 = 0.1;
/// Until the senders' smaller pictures are there.
const SETTLES_US: u64 = 300_000;
const TEST_US: u64 = 700_000;
const LONGEST_TEST_US: u64 = 2_000_000;
const LEAST_LOSSES: f64 = 6.0;
const AFTER_TEST_US: u64 = 5_000_000;
const AFTER_QUEUE_US: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_packets_tell_that_very_much_is_lost_unless_a_queue_was_there_a_moment_ago() {
        let suspected = |packets: u32, lost_of_ten: u32, queue: Option<u64>| {
            let now = Micros(10_000_000);
            let mut losses = Losses::new(now);
            if let Some(before) = queue {
                losses.look(Micros(now.0 - before), true);
                losses.begin(now);
            }
            (0..packets).for_each(|n| losses.reported(now, n % 10 < lost_of_ten));
            assert_eq!(losses.look(Micros(now.0 + 100_000), false), None, "the window is not over");
            losses.suspected()
        };
        assert!((suspected(SOON, 2, None) - 0.2).abs() < 1e-9);
        assert!(suspected(SOON - 1, 2, None) == 0.0, "too few");
        assert!(suspected(SOON, 1, None) == 0.0, "not very much");
        assert!(suspected(SOON, 2, Some(AFTER_QUEUE_US - 100_001)) == 0.0, "it may be the queue's");
        assert!(suspected(SOON, 2, Some(AFTER_QUEUE_US - 100_000)) > 0.1);
    }
}
