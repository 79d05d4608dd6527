//! Who is in which room, who has seen whom, and the broadcasts under way: deliveries in; latencies, and what is
//! complete, out.

use std::time::{Duration, Instant};

/// One room. Its members are known by their place in it.
#[derive(Debug)]
pub(super) struct Room {
    /// `load1-0@muc.meet.jitsi`
    pub(super) jid: String,
    /// Clients by place; those who visit for a moment are not among them.
    pub(super) members: Vec<usize>,
    /// How many clients have not seen all members.
    blind: usize,
    /// Who is next to say something.
    pub(super) next: usize,
    /// Broadcasts under way.
    pub(super) outstanding: usize,
    /// One more gets everything: the focus that opened the room.
    pub(super) focus: bool,
}

/// Which members of its room one client has seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    bits: Vec<u64>,
    pub(super) count: usize,
}

impl Seen {
    /// Notes a member; false: known.
    pub(super) fn note(&mut self, place: usize) -> bool {
        let (word, bit) = (place / 64, 1 << (place % 64));
        if word >= self.bits.len() {
            self.bits.resize(word + 1, 0);
        }
        let Some(word) = self.bits.get_mut(word) else { return false };
        let new = *word & bit == 0;
        *word |= bit;
        self.count += usize::from(new);
        new
    }
}

impl Room {
    pub(super) fn new(jid: String, focus: bool) -> Self {
        Self { jid, members: Vec::new(), blind: 0, next: 0, outstanding: 0, focus }
    }

    /// Whether everybody has seen everybody.
    pub(super) const fn complete(&self) -> bool {
        self.blind == 0
    }

    /// How many get a broadcast.
    pub(super) fn recipients(&self) -> usize {
        self.members.len() + usize::from(self.focus)
    }

    /// Counts who has to see more; called when members are added.
    pub(super) fn recount(&mut self, seen: impl Fn(usize) -> usize) {
        let all = self.members.len();
        self.blind = self.members.iter().filter(|m| seen(**m) < all).count();
    }

    /// A client's count has become `count`.
    pub(super) fn has_seen(&mut self, count: usize) {
        if count == self.members.len() {
            self.blind = self.blind.saturating_sub(1);
        }
    }
}

/// Changes and messages that not everybody has got yet.
#[derive(Debug)]
pub(super) struct Broadcasts {
    slots: Vec<Slot>,
    next: u64,
    outstanding: usize,
}

#[derive(Debug, Clone)]
struct Slot {
    number: u64,
    room: usize,
    remaining: usize,
    sent: Instant,
}

/// A delivery of a broadcast under way.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Arrived {
    pub(super) latency: Duration,
    /// It was the last: the room.
    pub(super) complete: Option<usize>,
}

impl Broadcasts {
    pub(super) fn new(now: Instant) -> Self {
        let empty = Slot { number: 0, room: 0, remaining: 0, sent: now };
        Self { slots: vec![empty; SLOTS], next: 1, outstanding: 0 }
    }

    /// Begins one; `None`: too many are under way.
    pub(super) fn begin(&mut self, room: usize, recipients: usize, now: Instant) -> Option<u64> {
        let number = self.next;
        let slot = self.slots.get_mut((number % SLOTS as u64) as usize)?;
        if slot.remaining > 0 || recipients == 0 {
            return None;
        }
        *slot = Slot { number, room, remaining: recipients, sent: now };
        self.next += 1;
        self.outstanding += 1;
        Some(number)
    }

    /// One recipient has got it; `None`: unknown or complete before, as what a newcomer sees of an old change.
    pub(super) fn arrived(&mut self, number: u64, now: Instant) -> Option<Arrived> {
        let slot = self.slots.get_mut((number % SLOTS as u64) as usize)?;
        if slot.number != number || slot.remaining == 0 {
            return None;
        }
        slot.remaining -= 1;
        let complete = (slot.remaining == 0).then_some(slot.room);
        self.outstanding -= usize::from(complete.is_some());
        Some(Arrived { latency: now.saturating_duration_since(slot.sent), complete })
    }

    /// How many are under way.
    pub(super) const fn outstanding(&self) -> usize {
        self.outstanding
    }
}

/// Most broadcasts under way, all rooms together.
pub(super) const SLOTS: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_is_complete_when_everybody_has_seen_everybody_once() {
        let mut room = Room::new("r".into(), false);
        let mut seen = [Seen::default(), Seen::default()];
        room.members = vec![0, 1];
        room.recount(|m| seen[m].count);
        for (client, place) in [(0, 0), (0, 0), (1, 0), (1, 1), (0, 1)] {
            assert!(!room.complete());
            if seen[client].note(place) {
                room.has_seen(seen[client].count);
            }
        }
        assert!(room.complete());
        room.members.push(2);
        room.recount(|m| seen.get(m).map_or(0, |s| s.count));
        assert!(!room.complete());
    }

    #[test]
    fn a_broadcast_ends_with_its_last_delivery_and_counts_none_twice() {
        let now = Instant::now();
        let mut all = Broadcasts::new(now);
        let a = all.begin(3, 2, now).unwrap();
        let later = now + Duration::from_millis(5);
        assert_eq!(all.arrived(a, later).unwrap().complete, None);
        assert_eq!(all.outstanding(), 1);
        let last = all.arrived(a, later).unwrap();
        assert_eq!((last.complete, last.latency), (Some(3), Duration::from_millis(5)));
        assert_eq!(all.arrived(a, later), None);
        assert_eq!(all.arrived(99, later), None);
        assert_eq!(all.outstanding(), 0);
    }

    #[test]
    fn as_many_broadcasts_as_there_are_slots_and_no_more() {
        let now = Instant::now();
        let mut all = Broadcasts::new(now);
        for _ in 0..SLOTS {
            assert!(all.begin(0, 1, now).is_some());
        }
        assert_eq!(all.begin(0, 1, now), None);
        assert!(all.arrived(1, now).is_some());
        assert!(all.begin(0, 1, now).is_some());
    }
}
