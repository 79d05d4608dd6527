//! Scenarios: several voices in virtual time.

use std::time::{Duration, Instant};

use super::Speakers;
use crate::media::ids::MemberIx;

struct Room {
    now: Instant,
    speakers: Speakers,
    changes: Vec<MemberIx>,
}

impl Room {
    fn new(endpoints: usize) -> Self {
        let mut speakers = Speakers::default();
        (0..endpoints).for_each(|e| speakers.join(MemberIx(e)));
        Self { now: Instant::now(), speakers, changes: Vec::new() }
    }

    /// All endpoints send for `ms`; `loud` speaks, the others send background noise.
    fn talk(&mut self, ms: u64, voices: usize, loud: Option<usize>) {
        for _ in 0..ms / 20 {
            self.now += Duration::from_millis(20);
            for e in 0..voices {
                self.speakers.level(self.now, MemberIx(e), if Some(e) == loud { 20 } else { 100 });
            }
            if self.speakers.decide(self.now) {
                self.changes.push(self.speakers.dominant().unwrap());
            }
        }
    }
}

#[test]
fn the_one_who_speaks_becomes_dominant_and_noise_does_not() {
    let mut room = Room::new(3);
    room.talk(1_000, 3, None);
    room.talk(2_000, 3, Some(1));
    assert_eq!(room.speakers.dominant(), Some(MemberIx(1)));
    assert_eq!(room.speakers.order(), [1, 0, 2].map(MemberIx));
    let changes = room.changes.len();
    room.talk(5_000, 3, None);
    assert_eq!(room.changes.len(), changes, "noise changes nothing");
    room.talk(3_000, 3, Some(2));
    assert_eq!(room.speakers.dominant(), Some(MemberIx(2)));
    assert_eq!(room.speakers.previous().next(), Some(MemberIx(1)));
    assert_eq!(room.speakers.order(), [2, 1, 0].map(MemberIx));
}

#[test]
fn who_begins_to_speak_when_another_ends_is_dominant_within_a_second_and_a_half() {
    for others in [2, 10, 50] {
        let mut room = Room::new(others);
        room.talk(10_000, others, Some(0));
        for (speaker, before) in [(1, 0), (0, 1), (1, 0)] {
            let began = room.now;
            while room.speakers.dominant() != Some(MemberIx(speaker)) {
                room.talk(20, others, Some(speaker));
                let waited = room.now - began;
                assert!(
                    waited <= Duration::from_millis(1_500),
                    "{speaker} after {before}, of {others}: {waited:?}"
                );
            }
            assert_eq!(room.speakers.previous().next(), Some(MemberIx(before)));
            room.talk(10_000, others, Some(speaker));
        }
    }
}

#[test]
fn a_short_noise_does_not_take_over() {
    let mut room = Room::new(2);
    room.talk(2_000, 2, Some(0));
    room.talk(60, 2, Some(1));
    room.talk(2_000, 2, Some(0));
    assert_eq!(room.speakers.dominant(), Some(MemberIx(0)));
    assert!(!room.changes[1..].contains(&MemberIx(1)), "{:?}", room.changes);
}

#[test]
fn leaving_removes_from_every_list() {
    let mut room = Room::new(2);
    room.talk(2_000, 2, Some(0));
    room.talk(3_000, 2, Some(1));
    assert!(room.speakers.leave(MemberIx(1)));
    assert_eq!(room.speakers.dominant(), None);
    assert_eq!(room.speakers.order(), [0].map(MemberIx));
    assert!(room.speakers.previous().eq([MemberIx(0)]));
    assert!(!room.speakers.leave(MemberIx(1)));
}

#[test]
fn deciding_stops_when_nobody_sends_and_starts_again() {
    let mut room = Room::new(2);
    room.talk(1_000, 2, Some(0));
    while let Some(at) = room.speakers.poll_timeout() {
        assert!(at < room.now + Duration::from_secs(17));
        room.speakers.decide(at);
    }
    room.now += Duration::from_secs(60);
    room.talk(2_000, 2, Some(1));
    assert_eq!(room.speakers.dominant(), Some(MemberIx(1)));
}
