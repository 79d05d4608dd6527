//! What is missing of one encoding: arrivals in, sequence numbers to ask the sender for out (RFC 4585 NACK).

use std::time::{Duration, Instant};

use videobridge_rtp::ExtSeq;

use crate::media::limits::{MAX_MISSING, MAX_NACKS_PER_PACKET};

/// The missing packets of one SSRC.
#[derive(Debug)]
pub(crate) struct Loss {
    highest: Option<ExtSeq>,
    missing: Vec<Missing>,
}

#[derive(Debug)]
struct Missing {
    seq: ExtSeq,
    asked: u8,
    again: Option<Instant>,
}

impl Missing {
    fn new(seq: u64) -> Self {
        Self { seq: ExtSeq(seq), asked: 0, again: None }
    }
}

/// What an arrival meant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The next one, or after a gap of so many.
    Newest {
        /// How many are missing before it.
        missing: u64,
    },
    /// One that was missing.
    Recovered,
    /// Late, but not waited for.
    Late,
}

impl Default for Loss {
    fn default() -> Self {
        Self { highest: None, missing: Vec::with_capacity(MAX_MISSING) }
    }
}

impl Loss {
    /// Records that `seq` arrived.
    pub(crate) fn arrived(&mut self, seq: ExtSeq) -> Arrival {
        let highest = *self.highest.get_or_insert_with(|| ExtSeq(seq.0.saturating_sub(1)));
        if seq <= highest {
            let waiting = self.missing.len();
            self.missing.retain(|m| m.seq != seq);
            return if waiting == self.missing.len() { Arrival::Late } else { Arrival::Recovered };
        }
        self.highest = Some(seq);
        let gap = seq.0 - highest.0 - 1;
        if gap >= MAX_MISSING as u64 {
            self.missing.clear();
            return Arrival::Newest { missing: gap };
        }
        let over = (self.missing.len() + gap as usize).saturating_sub(MAX_MISSING);
        self.missing.drain(..over.min(self.missing.len()));
        self.missing.extend((highest.0 + 1..seq.0).map(Missing::new));
        Arrival::Newest { missing: gap }
    }

    /// Calls `ask` for every number due to be asked for now.
    pub(crate) fn due(&mut self, now: Instant, mut ask: impl FnMut(u16)) {
        self.missing.retain_mut(|m| {
            if m.again.is_some_and(|at| at > now) {
                return true;
            }
            ask(m.seq.wire());
            m.asked += 1;
            m.again = Some(now + ASK_AGAIN);
            m.asked < MAX_NACKS_PER_PACKET
        });
    }

    /// When [`Self::due`] has something to ask.
    pub(crate) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        self.missing.iter().map(|m| m.again.unwrap_or(now)).min()
    }
}

const ASK_AGAIN: Duration = Duration::from_millis(150);

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(loss: &mut Loss, now: Instant) -> Vec<u16> {
        let mut out = Vec::new();
        loss.due(now, |s| out.push(s));
        out
    }

    #[test]
    fn asks_at_once_then_every_150_ms_at_most_ten_times() {
        let start = Instant::now();
        let mut loss = Loss::default();
        loss.arrived(ExtSeq(100));
        assert_eq!(loss.arrived(ExtSeq(103)), Arrival::Newest { missing: 2 });
        assert_eq!(asked(&mut loss, start), [101, 102]);
        assert_eq!(asked(&mut loss, start + Duration::from_millis(149)), [0u16; 0]);
        assert_eq!(loss.arrived(ExtSeq(101)), Arrival::Recovered);
        assert_eq!(loss.arrived(ExtSeq(101)), Arrival::Late);
        let mut times = 1;
        for i in 1..20 {
            times += asked(&mut loss, start + Duration::from_millis(150 * i)).len();
        }
        assert_eq!(times, usize::from(MAX_NACKS_PER_PACKET));
        assert_eq!(loss.poll_timeout(start), None);
    }

    #[test]
    fn a_gap_of_99_is_asked_for_and_one_of_100_resets() {
        let now = Instant::now();
        let mut loss = Loss::default();
        loss.arrived(ExtSeq(1000));
        loss.arrived(ExtSeq(1100));
        assert_eq!(asked(&mut loss, now).len(), MAX_MISSING - 1);
        loss.arrived(ExtSeq(1201));
        assert!(asked(&mut loss, now + ASK_AGAIN).is_empty());
    }

    #[test]
    fn never_waits_for_more_than_the_limit() {
        let now = Instant::now();
        let mut loss = Loss::default();
        for i in 0..300 {
            loss.arrived(ExtSeq(i * 2));
        }
        assert_eq!(asked(&mut loss, now).len(), MAX_MISSING);
    }
}
