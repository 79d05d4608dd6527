//! Packets sent with a transport-wide sequence number in; when and how large they were, and how much is under way, out.

use crate::media::ids::Micros;
use crate::media::limits::SENT_HISTORY;

/// A ring of sent packets, allocated with the first one.
#[derive(Debug, Default)]
pub(crate) struct SentHistory {
    ring: Vec<Sent>,
    /// When the last one was sent.
    last: Micros,
    /// Bytes sent so far, and those up to the newest packet that is known to have arrived.
    total: u64,
    arrived: u64,
}

/// One of them. As all of it is written for each packet that is sent, and no cache holds those of all receivers, it is small: of time and
/// total the lower halves.
#[derive(Debug, Clone, Copy, Default)]
struct Sent {
    time: u32,
    /// Sent so far, with this one.
    total: u32,
    bytes: u16,
    sequence: u16,
    state: State,
}

const _: () = assert!(size_of::<Sent>() == 16);

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
            self.last = self.last.max(time);
            let (time, total) = (time.0 as u32, self.total as u32);
            *slot = Sent { time, total, bytes, sequence, state: State::Sent };
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
            self.arrived = self.arrived.max(whole(self.total, slot.total));
        }
        Some((Micros(whole(self.last.0, slot.time)), slot.bytes))
    }

    /// Bytes sent after the newest packet that is known to have arrived: under way, in a queue, or lost.
    pub(crate) const fn under_way(&self) -> u64 {
        self.total - self.arrived
    }
}

/// What was `now` or not long before, by its lower half: 71 minutes, or 4 GB.
fn whole(now: u64, lower: u32) -> u64 {
    now.saturating_sub((now as u32).wrapping_sub(lower).into())
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
    fn lower_halves_that_wrap_are_those_of_what_was_just_sent() {
        let mut history = SentHistory::default();
        let half = u64::from(u32::MAX);
        // 4 GB, of the largest packets there are.
        (0..=u16::MAX).for_each(|n| history.push(n, Micros(half - 1), usize::from(u16::MAX)));
        history.push(0, Micros(half), 1_000);
        history.push(1, Micros(half + 2), 1_000);
        history.push(2, Micros(half + 1), 1_000);
        assert_eq!(history.take(u16::MAX, true), Some((Micros(half - 1), u16::MAX)));
        assert_eq!(history.under_way(), 3_000);
        assert_eq!(history.take(0, true), Some((Micros(half), 1_000)));
        assert_eq!(history.take(1, true), Some((Micros(half + 2), 1_000)));
        assert_eq!(
            history.take(2, false),
            Some((Micros(half + 1), 1_000)),
            "the clocks of two inputs differ"
        );
        assert_eq!(history.under_way(), 1_000);
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
