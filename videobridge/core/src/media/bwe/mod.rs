//! What a receiver's link carries: sent packets and the receiver's feedback in, an estimate, a pacing rate and probes out.
//!
//! | file | question |
//! |---|---|
//! | [`sent`] | when was the reported packet sent, how large was it |
//! | [`delivered`] | at which rate do packets arrive |
//! | [`queue`] | does a queue stand, or does the path's delay wander by itself |
//! | [`losses`] | are losses the link's own, or is too much sent |
//! | [`prober`] | does the link carry more |
//! | [`pacer`] | may a packet be sent now |
//!
//! [`Estimator`] puts the answers together. While a queue stands, what arrives is what the link carries: a little less
//! is sent until the queue is gone. Nothing else lowers the estimate for long, and only a probe raises it; what was
//! lowered in error is taken back as soon as the error shows. Silence is not congestion.

mod delivered;
mod losses;
pub(crate) mod pacer;
pub(crate) mod padding;
pub(crate) mod prober;
mod queue;
mod sent;
#[cfg(test)]
mod tests;

use delivered::Delivered;
use losses::{Advice, Losses};
use prober::{Probe, Prober, Verdict};
use queue::{Fell, Queue};
use sent::SentHistory;
use videobridge_rtp::rtcp::TransportFeedback;

use crate::media::ids::{Bitrate, Micros};

/// The estimate of one receiver.
#[derive(Debug)]
pub(crate) struct Estimator {
    history: SentHistory,
    /// Bit/s on the wire.
    estimate: Option<f64>,
    /// The estimate the last allocation was made with.
    applied: Option<Bitrate>,
    /// And the losses, and whether a long queue drained.
    applied_loss: f64,
    applied_rest: bool,
    delivered: Delivered,
    queue: Queue,
    losses: Losses,
    prober: Prober,
    /// Whether the first probe was sent, and whether it is known what it came to.
    probed: bool,
    unanswered: Option<Micros>,
    last_feedback: Option<Micros>,
    /// Losses reported until then, or of packets sent before by the time of [`Self::sent`], belong to an outage.
    outage_until: Option<Micros>,
    forgiven: Micros,
    /// The newest packet that was reported.
    newest: Micros,
    /// The newest packet that was sent, while nothing is known of it.
    open: Option<u16>,
    lowered: Option<Lowered>,
    /// What it was before less was sent to find out about losses.
    before_test: f64,
    /// The last rate that was too much, and when.
    ceiling: Option<(f64, Micros)>,
    /// What to use of what is known to be carried: less when that was too much lately.
    margin: f64,
    /// Whether there is a limit near.
    near_limit: bool,
    /// Until then the queue is other people's.
    others_until: Micros,
    /// Something was taken for a queue that was none: until then, and up to so much, it is taken for none.
    lenient: (Micros, f64),
}

/// The estimate was lowered because a queue stands.
#[derive(Debug, Clone, Copy)]
struct Lowered {
    at: Micros,
    times: u32,
    /// The estimate before the first time.
    before: f64,
    /// What arrived while the queue stood.
    carried: f64,
    /// What arrived since, at most, out of the queue: no more is carried.
    since: f64,
    /// How long it was then.
    standing: f64,
    /// How long all takes that is under way, if nothing of it is lost.
    drains_in: f64,
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
    pub(crate) fn new() -> Self {
        let now = Micros(0);
        Self {
            history: SentHistory::default(),
            estimate: None,
            applied: None,
            applied_loss: 0.0,
            applied_rest: false,
            delivered: Delivered::new(),
            queue: Queue::new(now),
            losses: Losses::new(now),
            prober: Prober::new(),
            probed: false,
            unanswered: None,
            last_feedback: None,
            outage_until: None,
            forgiven: Micros(0),
            newest: Micros(0),
            open: None,
            lowered: None,
            before_test: 0.0,
            ceiling: None,
            margin: MOST_MARGIN,
            near_limit: false,
            others_until: Micros(0),
            lenient: (Micros(0), 0.0),
        }
    }

    /// The receiver will give feedback: there is something to begin with.
    pub(crate) fn begin(&mut self) {
        if self.estimate.is_none() {
            self.estimate = Some(START);
            self.applied = self.estimate();
        }
    }

    /// A packet with a transport-wide sequence number was sent.
    pub(crate) fn sent(&mut self, sequence: u16, time: Micros, bytes: usize) {
        self.history.push(sequence, time, bytes + OVERHEAD);
        self.open = Some(sequence);
    }

    /// Packets sent until then have been reported.
    fn reported_until(&self) -> Micros {
        if self.open.is_none() { Micros(u64::MAX) } else { self.newest }
    }

    /// Transport-wide feedback arrived.
    pub(crate) fn transport_feedback(&mut self, now: Micros, feedback: &TransportFeedback<'_>) -> Matched {
        self.begin();
        let before = self.last_feedback.replace(now);
        let silent = before.is_some_and(|at| now.0.saturating_sub(at.0) >= SILENCE_US);
        if silent {
            self.queue.forget(now);
            self.losses.begin(now);
            self.delivered = Delivered::new();
            self.lowered = None;
            self.outage_until = Some(Micros(now.0 + OUTAGE_REPORT_US));
        }
        let outage = self.outage_until.is_some_and(|at| now < at);
        let matched = self.read(now, feedback, outage);
        if outage {
            self.losses.rest(now);
        }
        self.look(now);
        matched
    }

    fn read(&mut self, now: Micros, feedback: &TransportFeedback<'_>, outage: bool) -> Matched {
        let mut matched = Matched::default();
        let mut arrival_us = i64::try_from(feedback.reference_time_us()).unwrap_or(i64::MAX);
        for status in feedback.statuses() {
            if let Some(delta) = status.delta_us {
                arrival_us = arrival_us.saturating_add(delta.into());
            }
            let arrived = status.delta_us.is_some();
            self.open = self.open.filter(|open| *open != status.sequence);
            let Some((sent, bytes)) = self.history.take(status.sequence, arrived) else {
                matched.unknown += 1;
                matched.resumed |= outage && !arrived;
                continue;
            };
            let bytes = u32::from(bytes);
            self.newest = self.newest.max(sent);
            if outage {
                matched.resumed |= !arrived;
                if arrived {
                    self.forgiven = self.forgiven.max(sent);
                }
            }
            self.prober.reported(sent, arrived.then_some(arrival_us), bytes);
            if !outage && sent >= self.forgiven {
                self.losses.reported(sent, !arrived);
            }
            if !arrived {
                matched.lost += 1;
                continue;
            }
            matched.received += 1;
            self.delivered.arrived(arrival_us, bytes);
            self.queue.arrived(now, sent, arrival_us, bytes);
        }
        matched
    }

    /// The receiver's own estimate, when that is all there is.
    pub(crate) fn remb(&mut self, bitrate: Bitrate) {
        self.estimate = Some((bitrate.as_f64() / PAYLOAD).clamp(MIN, MAX));
    }

    /// The estimate, less what headers take; `None` = no sign of a limit.
    pub(crate) fn estimate(&self) -> Option<Bitrate> {
        self.estimate.map(|e| Bitrate((e * PAYLOAD) as u64))
    }

    /// What to allocate with, and whether it differs enough from last time to allocate anew.
    pub(crate) fn apply(&mut self, threshold: f64) -> bool {
        let now = self.estimate();
        // A queue is reason enough to look whether less fits.
        let threshold = if self.lowered.is_some() { threshold * LOWERED_THRESHOLD } else { threshold };
        let significant = match (self.applied, now) {
            (None, None) => false,
            (Some(old), Some(new)) => (new.as_f64() - old.as_f64()).abs() > old.as_f64() * threshold,
            _ => true,
        };
        // Whose queue overflows is not a link that loses by itself.
        let loss = if self.newest < self.others_until { 0.0 } else { self.losses.own() };
        let rest = self.is_full();
        let significant =
            significant || (loss - self.applied_loss).abs() > OTHER_LOSS || rest != self.applied_rest;
        if significant {
            (self.applied, self.applied_loss, self.applied_rest) = (now, loss, rest);
        }
        significant
    }

    /// The share of packets that is lost now while no queue explains it.
    pub(crate) fn loss(&self) -> f64 {
        if self.newest < self.others_until { 0.0 } else { self.losses.suspected() }
    }

    /// Whether so much lies in a queue of ours that only the least of a few sources should be sent until it is nearly gone.
    fn is_full(&self) -> bool {
        let most = if self.applied_rest { NEARLY_GONE_US } else { FULL_US };
        self.lowered.is_some_and(|l| l.times > 0 && self.under_way_us(l.carried) > most)
    }

    /// The same, as the allocation knows it.
    pub(crate) const fn rests(&self) -> bool {
        self.applied_rest
    }

    /// How long all takes that is under way, if nothing of it is lost.
    fn under_way_us(&self, rate: f64) -> f64 {
        self.history.under_way() as f64 * 8e6 / rate.max(MIN)
    }

    /// Whether nothing says that less is carried than is sent.
    pub(crate) const fn is_free(&self) -> bool {
        self.lowered.is_none() && !self.near_limit
    }

    /// The share of packets that the link loses, whatever is sent, which the allocation uses.
    pub(crate) const fn applied_loss(&self) -> f64 {
        self.applied_loss
    }

    /// The estimate the allocation uses.
    pub(crate) fn applied(&self) -> Option<Bitrate> {
        self.applied
    }

    /// At which rate to send at most, in bit/s.
    pub(crate) fn pacing_rate(&self, now: Micros) -> Option<u64> {
        let estimate = self.estimate?;
        let rate = match self.lowered {
            Some(lowered) if lowered.times == 0 => lowered.carried * WAIT,
            Some(lowered) if lowered.is_long() => lowered.carried * DRAIN_LONG,
            Some(lowered) => lowered.carried * DRAIN,
            None if self.is_unanswered(now) => estimate.min(UNKNOWN),
            None if self.near_limit => estimate * PACING,
            None => estimate * FREE_PACING,
        };
        Some(rate.clamp(MIN, MAX * PACING) as u64)
    }

    /// Whether less is sent until a queue is gone.
    pub(crate) fn drains(&self) -> bool {
        self.lowered.is_some()
    }

    /// Whether a few packets are to be sent at once, as the very first thing.
    pub(crate) fn begins_with_burst(&mut self, now: Micros) -> bool {
        let first = self.estimate.is_some() && !self.probed;
        if first {
            self.probed = true;
            self.unanswered = Some(now);
            self.prober.begin(now, 0.0, Probe::Burst);
        }
        first
    }

    /// Whether it should be known soon what the first packets came to.
    pub(crate) fn is_unanswered(&self, now: Micros) -> bool {
        self.unanswered.is_some_and(|at| now.0.saturating_sub(at.0) < UNKNOWN_US)
    }

    /// Whether it would.
    pub(crate) fn is_untried(&self) -> bool {
        self.estimate.is_some() && !self.probed
    }

    /// The rate to fill up with padding while a receiver wants `ideal` and does not get them; `None` = no padding now.
    pub(crate) fn probing_rate(&mut self, now: Micros, ideal: Bitrate) -> Option<Bitrate> {
        if let Some(rate) = self.prober.rate(now) {
            return Some(Bitrate(rate as u64));
        }
        self.expire(now);
        let estimate = self.estimate?;
        let ideal = ideal.as_f64() / PAYLOAD;
        let busy = self.lowered.is_some() || self.losses.testing() || self.stands(estimate);
        if busy || estimate > ideal * ENOUGH || estimate >= MAX || !self.prober.is_due(now) {
            return None;
        }
        let step = self.prober.step().min(if self.is_shaky() { SHAKY_STEP } else { f64::MAX });
        let rate = (estimate * step).min(ideal * BEYOND_IDEAL).max(LEAST_PROBE);
        self.prober.begin(now, rate, if self.is_shaky() { Probe::Long } else { Probe::Short });
        Some(Bitrate(rate as u64))
    }

    /// Without anything sent there is nothing to tell that a queue is gone, but after some time it is.
    fn expire(&mut self, now: Micros) {
        // All may have been reported before the probe was over.
        if let Some(verdict) = self.prober.verdict(now, self.reported_until()) {
            self.probed_with(now, verdict);
        }
        let quiet = now.0.saturating_sub(self.last_feedback.unwrap_or_default().0);
        if quiet < QUIET_US {
            return;
        }
        let gone = |l: Lowered| now.0.saturating_sub(l.at.0) as f64 > l.standing + QUIET_US as f64;
        if let Some(lowered) = self.lowered.filter(|l| gone(*l)) {
            self.lowered = None;
            self.estimate = self.estimate.map(|e| e.max(lowered.carried * self.margin));
        }
        if self.lowered.is_none() {
            self.queue.forget_steps();
            self.losses.begin(now);
        }
    }

    /// Whether the path's delay wanders so much that short measurements say little.
    fn is_shaky(&self) -> bool {
        self.queue.wander() > SHAKY_US
    }

    fn stands(&self, estimate: f64) -> bool {
        self.queue.standing() > self.queue.threshold(estimate)
    }

    fn look(&mut self, now: Micros) {
        let Some(estimate) = self.estimate else { return };
        let threshold = self.queue.threshold(estimate);
        let standing = self.queue.standing();
        self.queue.learn(now, self.lowered.is_none() && !self.prober.is_recent(now));
        if let Some(fell) = self.queue.look(now, threshold) {
            self.fell(now, fell, estimate);
        } else if let Some(lowered) = self.lowered.filter(|l| self.was_wrong(now, l, standing)) {
            self.lowered = None;
            self.queue.wandered_now();
            self.lenient = (Micros(now.0 + LENIENT_US), lowered.standing * LENIENT);
            let since = i64::try_from(now.0.saturating_sub(lowered.at.0)).unwrap_or(i64::MAX);
            let rate = self.delivered.rate(since);
            self.prober.again_in(now, 0);
            self.estimate = Some(estimate.max(lowered.wrongly(rate)));
        } else if standing > threshold || self.queue.lately() > threshold * SUDDEN {
            self.queue_stands(now, standing.max(self.queue.lately()), threshold, estimate);
        }
        self.look_at_losses(now, standing > threshold);
        if let Some(verdict) = self.prober.verdict(now, self.reported_until()) {
            self.probed_with(now, verdict);
        }
        self.estimate = self.estimate.map(|e| e.clamp(MIN, MAX));
    }

    /// Whether more arrives than the link was thought to carry, and the delay fell meanwhile.
    fn was_wrong(&self, now: Micros, lowered: &Lowered, standing: f64) -> bool {
        let since = now.0.saturating_sub(lowered.at.0);
        let span = i64::try_from(since).unwrap_or(i64::MAX);
        since >= LOOK_BACK_US
            && standing < lowered.standing * FELL
            && self.delivered.rate(span) > lowered.carried * ERROR
    }

    fn fell(&mut self, now: Micros, fell: Fell, estimate: f64) {
        let higher = match self.lowered.take() {
            None => return,
            // More arrived than the link was thought to carry: it was no queue of ours.
            Some(lowered) if fell.rate > lowered.carried * ERROR => {
                self.queue.wandered(fell.peak);
                self.lenient = (Micros(now.0 + LENIENT_US), fell.peak * LENIENT);
                self.prober.again_in(now, 0);
                lowered.wrongly(fell.rate)
            }
            Some(lowered) => {
                if lowered.is_long() {
                    // What came meanwhile goes on top of what comes.
                    self.margin = self.margin.min(LOW_MARGIN);
                }
                lowered.really_carried() * self.margin
            }
        };
        self.estimate = Some(estimate.max(higher));
    }

    fn queue_stands(&mut self, now: Micros, standing: f64, threshold: f64, estimate: f64) {
        let (until, most) = self.lenient;
        if now < until && standing < most {
            return;
        }
        let carried = self.delivered.rate(CARRIED_SPAN_US);
        // What arrived before the queue grew says nothing of the link any more.
        let lately = self.delivered.rate(SUDDEN_SPAN_US) * SUDDEN_ERROR;
        let carried = if self.lowered.is_none() { carried.min(lately) } else { carried };
        let drains_in = self.under_way_us(carried);
        let (times, before) = match self.lowered {
            Some(l) => {
                let since = now.0.saturating_sub(l.at.0);
                let drains = standing < l.standing * DRAINS && since < MOST_DRAIN_US;
                // What was sent before stands in front of what shows whether it was enough.
                if since > CARRIED_SPAN_US as u64 {
                    self.lowered = Some(Lowered { since: l.since.max(carried), ..l });
                }
                let shows_in = l.standing.max(l.drains_in.min(LONGEST_QUEUE_US)) as u64;
                if since < HOLD_US + shows_in || drains {
                    return;
                }
                if l.times >= OURS && standing < l.standing * GROWN {
                    // Whatever we do, it stays: it is other people's. It is what the path is like now.
                    self.queue.forget(now);
                    self.lowered = None;
                    self.others_until = Micros(now.0 + OTHERS_US);
                    self.estimate = Some(estimate.max(l.before * FAIR));
                    return;
                }
                (l.times + 1, l.before)
            }
            None => (0, estimate),
        };
        // A queue that hardly grows needs a moment's patience, not smaller pictures.
        let times = if times == 0 && self.queue.newest() > threshold * GROWS_FAST { 1 } else { times };
        self.lowered = Some(Lowered { at: now, times, before, carried, since: 0.0, standing, drains_in });
        if times == 0 {
            return;
        }
        self.estimate = Some((carried * BELOW_CARRIED).min(estimate * LOWER));
        if times == 1 && self.ceiling.is_some_and(|(_, at)| now.0.saturating_sub(at.0) < REMEMBERED_US) {
            self.margin = (self.margin - MARGIN_STEP).max(LEAST_MARGIN);
        }
        self.ceiling = Some((carried, now));
        self.near_limit = true;
        self.prober.stop(now);
        self.losses.begin(now);
    }

    fn look_at_losses(&mut self, now: Micros, stands: bool) {
        let Some(estimate) = self.estimate else { return };
        let arrived = self.delivered.rate(LOSS_SPAN_US);
        match self.losses.look(now, stands || self.lowered.is_some()) {
            Some(Advice::Test(_)) if now < self.others_until => {
                // Others fill the queue until something is lost: whoever gives way too far gets nothing.
                self.losses.rest(now);
                self.estimate = Some((estimate * BELOW_CARRIED).max(SMALLEST_PICTURE.min(estimate)));
            }
            Some(Advice::Test(_)) => {
                self.before_test = estimate;
                // Retransmissions repair the smallest picture, nothing repairs none.
                self.estimate = Some((arrived * LESS).max(SMALLEST_PICTURE).min(estimate));
                self.prober.stop(now);
            }
            Some(Advice::Restore) => self.estimate = Some(estimate.max(self.before_test)),
            Some(Advice::Keep) => self.ceiling = Some((arrived, now)),
            Some(Advice::TooMuch(_)) => {
                self.estimate = Some(arrived.max(MIN_BY_LOSS).min(estimate));
                self.prober.stop(now);
            }
            None => {}
        }
    }

    fn probed_with(&mut self, now: Micros, verdict: Verdict) {
        let Some(estimate) = self.estimate else { return };
        self.unanswered = None;
        let higher = match verdict {
            Verdict::AtMost(rate) => {
                self.estimate = Some((rate * FIRST_PART).min(START * FIRST_STEP));
                return;
            }
            Verdict::Carried(rate) => {
                if self.ceiling.is_none_or(|(ceiling, _)| rate > ceiling) {
                    self.ceiling = None;
                    self.near_limit = false;
                    self.margin = MOST_MARGIN;
                }
                rate * SURE
            }
            Verdict::Less(_) if self.is_shaky() => return,
            Verdict::Less(rate) => {
                self.near_limit = true;
                let recent = self.ceiling.filter(|(_, at)| now.0.saturating_sub(at.0) < REMEMBERED_US);
                if recent.is_none() {
                    self.margin = (self.margin + MARGIN_STEP).min(MOST_MARGIN);
                }
                recent.map_or(rate, |(ceiling, _)| rate.min(ceiling)) * self.margin
            }
            Verdict::Unclear => return,
        };
        self.estimate = Some(estimate.max(higher));
    }
}

impl Lowered {
    /// The estimate when so much arrived after all.
    fn wrongly(self, rate: f64) -> f64 {
        if rate > self.carried * CLEAR_ERROR { self.before } else { self.before.min(rate * RETURN) }
    }

    /// What was carried as far as is known by now.
    fn really_carried(&self) -> f64 {
        if self.since > 0.0 { self.carried.min(self.since) } else { self.carried }
    }

    /// Whether pictures would come too late if they went on.
    fn is_long(&self) -> bool {
        self.times > 0 && (self.standing > LONG_QUEUE_US || self.drains_in > LONG_WAY_US)
    }
}

/// Upstream's `min-bw`, `max-bw`, `initial-bw`.
const MIN: f64 = 30_000.0;
/// Losses that differ by more may call for other layers.
const OTHER_LOSS: f64 = 0.03;
const MAX: f64 = 20_000_000.0;
const START: f64 = 2_500_000.0;
/// IPv4 and UDP headers and what SRTP adds.
const OVERHEAD: usize = 44;
/// What that leaves of packets of pictures.
const PAYLOAD: f64 = 0.96;
/// Loss alone does not lower the estimate further: upstream's `bitrate-threshold`.
const MIN_BY_LOSS: f64 = 100_000.0;
/// Nor does the loss of a bad radio link go below what the smallest picture needs.
const SMALLEST_PICTURE: f64 = 320_000.0;
/// Feedback comes every 50 to 250 ms while anything arrives.
const SILENCE_US: u64 = 1_000_000;
/// The report about an outage may be several packets.
const OUTAGE_REPORT_US: u64 = 100_000;
/// While a queue stands, so long lies in what arrived.
const CARRIED_SPAN_US: i64 = 250_000;
/// When it begins to stand, so long; and how wrong that may be.
const SUDDEN_SPAN_US: i64 = 100_000;
const SUDDEN_ERROR: f64 = 1.1;
const LOSS_SPAN_US: i64 = 500_000;
/// Below what is carried, so that the queue drains: what to choose pictures by, and what to send until it is gone.
const BELOW_CARRIED: f64 = 0.85;
const DRAIN: f64 = 0.7;
const LOWER: f64 = 0.95;
/// So much above the threshold, it need not stand that long.
const SUDDEN: f64 = 2.0;
/// What to send of what is carried if the queue hardly grows, before anything is lowered.
const WAIT: f64 = 0.9;
const GROWS_FAST: f64 = 2.2;
/// Part of the usual threshold for another allocation while a queue stands.
const LOWERED_THRESHOLD: f64 = 0.2;
/// Until it shows what lowering did.
const HOLD_US: u64 = 350_000;
const DRAINS: f64 = 0.85;
const MOST_DRAIN_US: u64 = 1_500_000;
/// Lowered that often for nothing, the queue is others'.
const OURS: u32 = 2;
/// Unless it grew: then it was not lowered enough.
const GROWN: f64 = 1.3;
/// What to keep beside others.
const FAIR: f64 = 0.6;
const ERROR: f64 = 1.15;
const CLEAR_ERROR: f64 = 1.5;
/// Then what arrived, and a little, is carried.
const RETURN: f64 = 1.1;
const FELL: f64 = 0.7;
const LOOK_BACK_US: u64 = 150_000;
/// When losses are looked into: of what arrives.
const LESS: f64 = 0.9;
/// Pacing above the estimate, so that frames are not late because of a slightly wrong one.
const PACING: f64 = 1.1;
/// And while nothing says that there is a limit near.
const FREE_PACING: f64 = 1.25;
/// What to send before the first answer, which takes a round trip.
const UNKNOWN: f64 = 600_000.0;
const UNKNOWN_US: u64 = 300_000;
/// From here on pictures come too late, and speech with them: nearly nothing is sent until the queue is gone.
const LONG_QUEUE_US: f64 = 150_000.0;
const DRAIN_LONG: f64 = 0.2;
/// So much is under way with a queue as long, the way itself included.
const LONG_WAY_US: f64 = 300_000.0;
/// With this much under way sources wait for each other, as whoever goes on needs a key frame; and no longer with this.
const FULL_US: f64 = 500_000.0;
const NEARLY_GONE_US: f64 = 250_000.0;
/// What is under way may have been lost: no queue is taken to be longer.
const LONGEST_QUEUE_US: f64 = 1_500_000.0;
const QUIET_US: u64 = 400_000;
const BEYOND_IDEAL: f64 = 1.25;
const ENOUGH: f64 = 1.08;
const LEAST_PROBE: f64 = 100_000.0;
/// How long a rate that was too much is remembered.
const REMEMBERED_US: u64 = 20_000_000;
/// Of what is carried; with every time that it was too much within the time it is remembered, less.
const MOST_MARGIN: f64 = 0.97;
const LEAST_MARGIN: f64 = 0.85;
const LOW_MARGIN: f64 = 0.88;
const MARGIN_STEP: f64 = 0.03;
/// How long a queue is left to others, and how long what was none is not taken for one.
const OTHERS_US: u64 = 10_000_000;
const LENIENT_US: u64 = 2_000_000;
const LENIENT: f64 = 1.5;
/// The part of a probed rate to rely on.
const SURE: f64 = 0.95;
/// And of the first, when nothing else was on the link; and how far to go by it alone: upstream's first probe.
const FIRST_PART: f64 = 0.9;
const FIRST_STEP: f64 = 3.0;
/// A path whose delay wanders so much, in microseconds, is probed for longer.
const SHAKY_US: f64 = 60_000.0;
const SHAKY_STEP: f64 = 1.5;
