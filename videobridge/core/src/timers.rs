//! Who wants to be woken when; who is due. A heap with lazy deletion: re-arming is one push, nothing is searched.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use crate::media::EndpointKey;
use crate::{ConferenceKey, limits};

/// What can have a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The transport of an endpoint.
    Endpoint(EndpointKey),
    /// The media of a conference.
    Conference(ConferenceKey),
    /// Who is reachable.
    Connectivity,
    /// Who has to go.
    Expiry,
}

/// One object's current deadline. It lives in the object; the heap only holds copies.
#[derive(Debug, Default)]
pub(crate) struct Armed(Option<Instant>);

/// All deadlines of a shard.
#[derive(Debug)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, Timer)>>,
    /// Nothing is armed for earlier than this: an owner that always wants to be woken at once can not keep
    /// [`crate::Shard::handle_timeout`] from ending.
    floor: Option<Instant>,
}

impl Timers {
    pub(crate) fn new() -> Self {
        Self { heap: BinaryHeap::with_capacity(256), floor: None }
    }

    /// Arms `timer` for `at`, unless it is armed for an earlier or nearly the same instant: then it fires early and
    /// its owner arms it again. So an owner may call this after every packet.
    pub(crate) fn arm(&mut self, timer: Timer, armed: &mut Armed, at: Option<Instant>) {
        let Some(at) = at.max(at.and(self.floor)) else { return };
        if armed.0.is_some_and(|current| current <= at + RESOLUTION) {
            return;
        }
        armed.0 = Some(at);
        self.heap.push(Reverse((at, timer)));
    }

    /// What fires from now on fires after `now`.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.floor = Some(now + RESOLUTION);
    }

    /// The next deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes the next timer that is due. The owner must pass it to [`Armed::fired`].
    pub(crate) fn due(&mut self, now: Instant) -> Option<(Instant, Timer)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }

    /// Whether stale entries should be thrown away; see [`Timers::rebuild`].
    pub(crate) fn is_bloated(&self, owners: usize) -> bool {
        self.heap.len() > 64 + owners * MAX_ENTRIES_PER_OWNER
    }

    /// Forgets all entries; every owner has to be armed again.
    pub(crate) fn rebuild(&mut self) {
        self.heap.clear();
    }
}

impl Armed {
    /// Whether a timer that fired for `at` is this one and not a stale copy; disarms it.
    pub(crate) fn fired(&mut self, at: Instant) -> bool {
        if self.0 == Some(at) {
            self.0 = None;
            return true;
        }
        false
    }

    /// Forgets the deadline, because the heap did.
    pub(crate) fn clear(&mut self) {
        self.0 = None;
    }
}

/// A deadline that moves earlier by less than this is not worth another entry.
const RESOLUTION: Duration = Duration::from_millis(1);
/// With more entries than this on average, most are stale.
const MAX_ENTRIES_PER_OWNER: usize = 8;
const _: () = assert!(limits::MAX_ENDPOINTS < u32::MAX as usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_earliest_arming_counts_and_stale_entries_do_nothing() {
        let start = Instant::now();
        let ms = |n| start + Duration::from_millis(n);
        let (mut timers, mut armed) = (Timers::new(), Armed::default());
        timers.arm(Timer::Expiry, &mut armed, Some(ms(100)));
        timers.arm(Timer::Expiry, &mut armed, Some(ms(200)));
        timers.arm(Timer::Expiry, &mut armed, Some(ms(50)));
        timers.arm(Timer::Expiry, &mut armed, None);
        assert_eq!(timers.next(), Some(ms(50)));
        assert_eq!(timers.due(ms(49)), None);
        let (at, _) = timers.due(ms(50)).unwrap();
        assert!(armed.fired(at));
        let (at, _) = timers.due(ms(100)).unwrap();
        assert!(!armed.fired(at), "the later copy is stale");
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn an_owner_in_the_past_is_woken_once_per_call() {
        let start = Instant::now();
        let (mut timers, mut armed) = (Timers::new(), Armed::default());
        let now = start + Duration::from_secs(1);
        timers.arm(Timer::Expiry, &mut armed, Some(start));
        timers.begin(now);
        let (at, _) = timers.due(now).unwrap();
        assert!(armed.fired(at));
        timers.arm(Timer::Expiry, &mut armed, Some(start));
        assert_eq!(timers.due(now), None);
        assert_eq!(timers.next(), Some(now + RESOLUTION));
    }

    #[test]
    fn arming_after_every_packet_does_not_grow_the_heap() {
        let start = Instant::now();
        let (mut timers, mut armed) = (Timers::new(), Armed::default());
        for n in 0..10_000 {
            timers.arm(Timer::Expiry, &mut armed, Some(start + Duration::from_millis(n)));
        }
        assert!(!timers.is_bloated(1));
        assert_eq!(timers.heap.len(), 1);
    }
}
