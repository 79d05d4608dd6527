//! Acknowledgements and losses in; packets of other traffic out: a constant stream, or a download as TCP makes it.

use std::time::{Duration, Instant};

use super::scenes::Cross;

/// Bytes of one packet, less the headers that the link adds.
pub(super) const PACKET: usize = 1_172;

/// Somebody else on the link.
pub(super) struct Other {
    kind: Cross,
    start: Instant,
    next: Instant,
    /// Packets that may be under way, that are, and when half was taken off last.
    window: f64,
    threshold: f64,
    flying: u64,
    cut: Instant,
    heard: Instant,
}

impl Other {
    pub(super) fn new(now: Instant, kind: Cross) -> Self {
        Self {
            kind,
            start: now,
            next: now,
            window: 10.0,
            threshold: f64::MAX,
            flying: 0,
            cut: now,
            heard: now,
        }
    }

    fn times(&self) -> (Instant, Instant) {
        let (Cross::Constant(_, from, to) | Cross::Download(from, to)) = self.kind;
        (self.start + from, self.start + to)
    }

    /// When it sends next.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let (from, to) = self.times();
        let at = self.next.max(from);
        (at < to).then_some(at)
    }

    /// How many packets it sends now.
    pub(super) fn due(&mut self, now: Instant) -> u64 {
        let (from, to) = self.times();
        if now < from || now >= to || now < self.next {
            return 0;
        }
        match self.kind {
            Cross::Constant(rate, ..) => {
                self.next = now + Duration::from_secs_f64((PACKET + 28) as f64 * 8.0 / rate as f64);
                1
            }
            Cross::Download(..) => {
                if now.duration_since(self.heard.max(from)) > Duration::from_secs(1) {
                    // Everything was lost.
                    (self.window, self.flying, self.heard) = (2.0, 0, now);
                }
                self.next = now + Duration::from_millis(5);
                let free = (self.window as u64).saturating_sub(self.flying).min(4);
                self.flying += free;
                free
            }
        }
    }

    /// One packet arrived, which the sender knows now; or it knows that one is lost.
    pub(super) fn acknowledged(&mut self, now: Instant, lost: bool) {
        self.flying = self.flying.saturating_sub(1);
        self.heard = now;
        if !lost {
            self.window += if self.window < self.threshold { 1.0 } else { 1.0 / self.window };
        } else if now.duration_since(self.cut) > Duration::from_millis(200) {
            self.window = (self.window / 2.0).max(2.0);
            (self.threshold, self.cut) = (self.window, now);
        }
    }
}
