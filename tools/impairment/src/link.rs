//! Datagrams with their time of arrival in; the ones that survive, when they are due, out: one direction of a path.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

use crate::limits;
use crate::random::Random;
use crate::{Burst, Conditions};

/// One direction of a path: loss, then a bottleneck with a queue, then the way with its delay.
///
/// Same seed and same inputs, same outputs, however often it is polled. Times must not run backwards.
#[derive(Debug)]
pub struct Link {
    conditions: Conditions,
    random: Random,
    in_burst: bool,
    /// Before the bottleneck; the first one is being sent.
    queue: VecDeque<Vec<u8>>,
    queued_bytes: usize,
    /// When the first one of the queue has been sent.
    sent_at: Option<Instant>,
    flying: BinaryHeap<Reverse<Flying>>,
    flying_bytes: usize,
    /// What keeps its order is not due before this.
    in_order: Option<Instant>,
    wander: Option<Wander>,
    next_number: u64,
    spare: Vec<Vec<u8>>,
    counters: Counters,
}

impl Link {
    /// A link nothing has travelled on.
    pub fn new(seed: u64, conditions: Conditions) -> Self {
        Self {
            conditions: conditions.within_limits(),
            random: Random::new(seed),
            in_burst: false,
            queue: VecDeque::new(),
            queued_bytes: 0,
            sent_at: None,
            flying: BinaryHeap::new(),
            flying_bytes: 0,
            in_order: None,
            wander: None,
            next_number: 0,
            spare: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// The conditions, within the limits.
    pub fn conditions(&self) -> Conditions {
        self.conditions
    }

    /// Other conditions from now on. What waits goes on at the new rate; what has passed the bottleneck keeps its time.
    pub fn set_conditions(&mut self, now: Instant, conditions: Conditions) {
        self.advance(now);
        let before = std::mem::replace(&mut self.conditions, conditions.within_limits());
        match (self.sent_at, before.rate, self.conditions.rate) {
            (Some(at), Some(old), Some(new)) => {
                let left = at.saturating_duration_since(now).as_nanos() * u128::from(old) / u128::from(new);
                self.sent_at = Some(now + nanoseconds(left));
            }
            (_, _, None) => {
                self.sent_at = None;
                self.queued_bytes = 0;
                while let Some(datagram) = self.queue.pop_front() {
                    self.launch(now, datagram);
                }
            }
            _ => {}
        }
    }

    /// A datagram is sent into the link.
    pub fn handle_datagram(&mut self, now: Instant, data: &[u8]) {
        self.advance(now);
        self.counters.taken += 1;
        self.counters.taken_bytes += data.len() as u64;
        if data.len() > limits::DATAGRAM_BYTES {
            self.counters.overflowed += 1;
            return;
        }
        if self.loses() {
            self.counters.lost += 1;
            return;
        }
        let Some(rate) = self.conditions.rate else {
            let datagram = self.copy(data);
            self.launch(now, datagram);
            return;
        };
        let size = data.len() + limits::HEADER_BYTES;
        let fits = self.queued_bytes + size <= self.conditions.queue_bytes;
        // A link without a queue still sends one datagram at a time.
        if !(fits || self.queue.is_empty()) || self.queue.len() >= limits::QUEUED_DATAGRAMS {
            self.counters.dropped += 1;
            return;
        }
        let datagram = self.copy(data);
        self.queue.push_back(datagram);
        self.queued_bytes += size;
        if self.sent_at.is_none() {
            self.sent_at = Some(now + time_on_wire(size, rate));
        }
    }

    /// The next datagram that has arrived at the far end.
    pub fn poll_output(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.advance(now);
        if self.flying.peek()?.0.due > now {
            return None;
        }
        let Reverse(arrived) = self.flying.pop()?;
        self.flying_bytes -= arrived.data.len();
        self.counters.delivered += 1;
        self.counters.delivered_bytes += arrived.data.len() as u64;
        Some(arrived.data)
    }

    /// Nothing arrives before this. `None`: the link is empty.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let sent = self.sent_at.map(|at| at + self.conditions.delay);
        let due = self.flying.peek().map(|f| f.0.due);
        [sent, due].into_iter().flatten().min()
    }

    /// Gives a datagram's buffer back for the next one.
    pub fn reuse(&mut self, mut buffer: Vec<u8>) {
        if self.spare.len() < limits::SPARE_BUFFERS && buffer.capacity() <= limits::SPARE_BUFFER_BYTES {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    /// What has happened so far.
    pub fn counters(&self) -> Counters {
        Counters { waiting_bytes: self.queued_bytes as u64, ..self.counters }
    }

    /// Datagrams that wait or are under way.
    pub fn len(&self) -> usize {
        self.queue.len() + self.flying.len()
    }

    /// Nothing waits and nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn loses(&mut self) -> bool {
        let Some(burst) = self.conditions.burst else { return self.random.happens(self.conditions.loss) };
        let (begin, end, inside) = Burst::chances(burst, self.conditions.loss);
        let turns = self.random.happens(if self.in_burst { end } else { begin });
        self.in_burst ^= turns;
        self.in_burst && self.random.happens(inside)
    }

    /// What the bottleneck has sent until now goes on its way.
    fn advance(&mut self, now: Instant) {
        while let Some(at) = self.sent_at.filter(|at| *at <= now) {
            self.sent_at = None;
            let Some(datagram) = self.queue.pop_front() else { return };
            self.queued_bytes -= datagram.len() + limits::HEADER_BYTES;
            self.launch(at, datagram);
            if let (Some(next), Some(rate)) = (self.queue.front(), self.conditions.rate) {
                self.sent_at = Some(at + time_on_wire(next.len() + limits::HEADER_BYTES, rate));
            }
        }
    }

    /// The way behind the bottleneck.
    fn launch(&mut self, at: Instant, mut data: Vec<u8>) {
        let c = self.conditions;
        let mut due = at + c.delay;
        let mut keeps_order = true;
        if !c.jitter.is_zero() && c.jitter_reorders {
            due += c.jitter.mul_f64(self.random.share());
            keeps_order = false;
        } else if !c.jitter.is_zero() {
            let wander = self.wander.get_or_insert_with(|| Wander::new(at, &mut self.random));
            due += c.jitter.mul_f64(wander.level(at, &mut self.random));
        }
        if self.random.happens(c.reorder) {
            self.counters.held_back += 1;
            due += c.reorder_by;
            keeps_order = false;
        }
        if keeps_order {
            due = self.in_order.map_or(due, |earliest| due.max(earliest));
            self.in_order = Some(due);
        }
        if self.random.happens(c.corrupt) && !data.is_empty() {
            self.counters.corrupted += 1;
            let bit = self.random.next() as usize % (data.len() * 8);
            data[bit / 8] ^= 1 << (bit % 8);
        }
        if self.random.happens(c.duplicate) {
            self.counters.doubled += 1;
            let twin = self.copy(&data);
            self.fly(due, data);
            self.fly(due, twin);
        } else {
            self.fly(due, data);
        }
    }

    fn fly(&mut self, due: Instant, data: Vec<u8>) {
        if self.flying.len() >= limits::FLYING_DATAGRAMS
            || self.flying_bytes + data.len() > limits::FLYING_BYTES
        {
            self.counters.overflowed += 1;
            self.reuse(data);
            return;
        }
        self.flying_bytes += data.len();
        self.flying.push(Reverse(Flying { due, number: self.next_number, data }));
        self.next_number += 1;
    }

    fn copy(&mut self, data: &[u8]) -> Vec<u8> {
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.extend_from_slice(data);
        buffer
    }
}

/// What has happened on a link: `taken + doubled = delivered + lost + dropped + overflowed +` what is still in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams sent into the link.
    pub taken: u64,
    /// Their payload.
    pub taken_bytes: u64,
    /// Datagrams that came out.
    pub delivered: u64,
    /// Their payload.
    pub delivered_bytes: u64,
    /// Lost by the share of loss.
    pub lost: u64,
    /// Dropped because the queue before the bottleneck was full.
    pub dropped: u64,
    /// Dropped because the link itself keeps no more, see [`crate::FLYING_DATAGRAMS`]: conditions nobody asked for.
    pub overflowed: u64,
    /// Copies made.
    pub doubled: u64,
    /// Held back to be overtaken.
    pub held_back: u64,
    /// With a wrong bit.
    pub corrupted: u64,
    /// What waits before the bottleneck now, headers included.
    pub waiting_bytes: u64,
}

impl Counters {
    /// Of two links together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            taken: self.taken + other.taken,
            taken_bytes: self.taken_bytes + other.taken_bytes,
            delivered: self.delivered + other.delivered,
            delivered_bytes: self.delivered_bytes + other.delivered_bytes,
            lost: self.lost + other.lost,
            dropped: self.dropped + other.dropped,
            overflowed: self.overflowed + other.overflowed,
            doubled: self.doubled + other.doubled,
            held_back: self.held_back + other.held_back,
            corrupted: self.corrupted + other.corrupted,
            waiting_bytes: self.waiting_bytes + other.waiting_bytes,
        }
    }
}

#[derive(Debug)]
struct Flying {
    due: Instant,
    number: u64,
    data: Vec<u8>,
}

impl Ord for Flying {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}

impl PartialOrd for Flying {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Flying {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Flying {}

/// Jitter that keeps order: its level goes straight from one random share to the next. A level per datagram would not
/// do: kept in order, dense traffic would all wait for the latest one, and see a constant delay instead of jitter.
#[derive(Debug)]
struct Wander {
    since: Instant,
    from: f64,
    to: f64,
}

impl Wander {
    fn new(now: Instant, random: &mut Random) -> Self {
        Self { since: now, from: random.share(), to: random.share() }
    }

    /// 0 to 1.
    fn level(&mut self, at: Instant, random: &mut Random) -> f64 {
        if at.saturating_duration_since(self.since) >= 2 * WANDER {
            *self = Self::new(at, random);
        } else if at.saturating_duration_since(self.since) >= WANDER {
            *self = Self { since: self.since + WANDER, from: self.to, to: random.share() };
        }
        let progress = at.saturating_duration_since(self.since).div_duration_f64(WANDER);
        self.from + (self.to - self.from) * progress
    }
}

fn time_on_wire(bytes: usize, rate: u64) -> Duration {
    nanoseconds(bytes as u128 * 8 * 1_000_000_000 / u128::from(rate))
}

fn nanoseconds(n: u128) -> Duration {
    Duration::from_nanos(u64::try_from(n).unwrap_or(u64::MAX))
}

/// Jitter's level gets from one share to the next in this time.
const WANDER: Duration = Duration::from_millis(100);
