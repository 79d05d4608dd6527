//! Packets sent with a transport-wide sequence number in; when and how large they were, and how much is under way, out.

use crate::media::ids::Micros;
use crate::media::limits::SENT_HISTORY;

/// A ring of sent packets, allocated with the first one.
#[derive(Debug, Default)]
pub(crate) struct SentHistory {
    ring: Vec<Sent>,
    /// Bytes sent so far, and those up to the newest packet that is known to have arrived.
    total: u64,
    arrived: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sent {
    time: Micros,
    /// Sent so far, with this one.
    total: u64,
    bytes: u16,
    sequence: u16,
    state: State,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Empty,
    Sent,
    /// Reported lost; may still be reported as received.
    Lost,
}

impl SentHistory {
    pub(crate) fn push(&mut self, sequence: u16, time: Micros, bytes: usize) {
        if self.ring.is_empty() {
            self.ring.resize(SENT_HISTORY, Sent::default());
        }
        if let Some(slot) = self.ring.get_mut(usize::from(sequence) % SENT_HISTORY) {
            let bytes = u16::try_from(bytes).unwrap_or(u16::MAX);
            self.total += u64::from(bytes);
            *slot = Sent { time, total: self.total, bytes, sequence, state: State::Sent };
        }
    }

    /// Send time and size of a reported packet; every packet counts once as received and once as lost.
    pub(crate) fn take(&mut self, sequence: u16, received: bool) -> Option<(Micros, u16)> {
        let slot = self.ring.get_mut(usize::from(sequence) % SENT_HISTORY)?;
        let fresh = if received { slot.state != State::Empty } else { slot.state == State::Sent };
        if slot.sequence != sequence || !fresh {
            return None;
        }
        slot.state = if received { State::Empty } else { State::Lost };
        if received {
            self.arrived = self.arrived.max(slot.total);
        }
        Some((slot.time, slot.bytes))
    }

    /// Bytes sent after the newest packet that is known to have arrived: under way, in a queue, or lost.
    pub(crate) const fn under_way(&self) -> u64 {
        self.total - self.arrived
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_under_way_was_sent_after_what_arrived_last() {
        let mut history = SentHistory::default();
        (0..10).for_each(|n| history.push(n, Micros(n.into()), 100));
        assert_eq!(history.under_way(), 1_000);
        history.take(3, true);
        assert_eq!(history.under_way(), 600);
        history.take(9, false);
        assert_eq!(history.under_way(), 600, "nobody knows when it was lost");
        history.take(1, true);
        assert_eq!(history.under_way(), 600, "out of order");
        history.take(9, true);
        assert_eq!(history.under_way(), 0);
    }

    #[test]
    fn remembers_the_last_packets_only() {
        let mut history = SentHistory::default();
        for n in 0..=SENT_HISTORY as u16 {
            history.push(n, Micros(n.into()), 100);
        }
        assert_eq!(history.take(0, true), None, "one beyond the limit");
        assert_eq!(history.take(1, false), Some((Micros(1), 100)));
        assert_eq!(history.take(1, false), None);
        assert_eq!(history.take(1, true), Some((Micros(1), 100)), "late, not lost");
        assert_eq!(history.take(1, true), None);
    }
}
