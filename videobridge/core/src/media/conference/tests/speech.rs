//! Speech over links that lose: who is sent it again and for how long, and how much arrives.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use videobridge_rtp::NtpMiddle;
use videobridge_rtp::rtcp::{ReportBlock, report};

use super::room::*;
use crate::media::EndpointKey;
use crate::media::limits::SPEAKERS_AGAIN;

/// A browser's ear behind a link that loses; by stream what arrived.
struct Ear {
    loss: f64,
    random: u64,
    /// When the first copy of each packet went out and when one arrived, by stream and number.
    sent: BTreeMap<(u32, u64), (Instant, Option<Instant>)>,
    kept: HashMap<u32, (u32, u64)>,
    again: usize,
    /// Of which streams.
    streams: HashSet<u32>,
}

impl Ear {
    fn new(loss: f64) -> Self {
        Self {
            loss,
            random: 0x1234_5678_9abc_def1,
            sent: BTreeMap::new(),
            kept: HashMap::new(),
            again: 0,
            streams: HashSet::new(),
        }
    }

    fn loses(&mut self) -> bool {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        ((self.random >> 11) as f64 / (1_u64 << 53) as f64) < self.loss
    }

    fn hear(&mut self, room: &mut Room, who: EndpointKey) {
        for got in room.take(who, 111) {
            let arrived = (!self.loses()).then_some(got.at);
            self.sent.insert((got.ssrc, got.seq), (got.at, arrived));
        }
        for (nth, ssrc, seq) in
            room.out.speech.drain(..).filter(|(to, ..)| *to == who).map(|(_, n, s, q)| (n, s, q))
        {
            self.kept.insert(nth, (ssrc, seq));
        }
        for (at, _, nth) in std::mem::take(&mut room.out.again).into_iter().filter(|(_, to, _)| *to == who) {
            self.again += 1;
            let lost = self.loses();
            self.streams.insert(self.kept[&nth].0);
            let (_, arrived) = self.sent.get_mut(&self.kept[&nth]).unwrap();
            if !lost && arrived.is_none() {
                *arrived = Some(at);
            }
        }
    }

    /// What a browser reports of each stream.
    fn report(&self, room: &mut Room, who: EndpointKey) {
        let mut streams: BTreeMap<u32, (u64, u32)> = BTreeMap::new();
        for ((ssrc, seq), (_, arrived)) in &self.sent {
            let (highest, lost) = streams.entry(*ssrc).or_default();
            *highest = *seq;
            *lost += u32::from(arrived.is_none());
        }
        for (ssrc, (highest, lost)) in streams {
            let block = ReportBlock {
                ssrc,
                cumulative_lost: lost as i32,
                extended_highest: highest as u32,
                last_sr: NtpMiddle(0),
                ..ReportBlock::default()
            };
            let mut buf = [0; 64];
            let len = report::write_receiver_report(&mut buf, 9, &[block]).unwrap();
            room.rtcp(who, &buf[..len]);
        }
    }

    /// The part of what was sent since `from` that was there 80 ms after the first copy.
    fn in_time(&self, from: Instant) -> f64 {
        let all = self.sent.values().filter(|(at, _)| *at >= from);
        let late = Duration::from_millis(80);
        let came = all.clone().filter(|(at, arrived)| arrived.is_some_and(|a| a - *at <= late)).count();
        came as f64 / all.count() as f64
    }
}

/// A microphone alone and somebody who hears it, each sends nothing else.
fn room() -> Room {
    let mut room = Room::new();
    [A, B].into_iter().for_each(|k| room.join(k, true));
    room
}

/// So many seconds of speech of these people; reports every fifth second, as browsers have them.
fn talk(room: &mut Room, ear: &mut Ear, who: &[EndpointKey], first: u16, seconds: u16) {
    for n in first..first + seconds * 50 {
        for speaker in who {
            room.audio(*speaker, n, 20);
        }
        for _ in 0..4 {
            room.pass(5);
            ear.hear(room, B);
        }
        if n % 250 == 249 {
            ear.report(room, B);
        }
    }
}

#[test]
fn a_fifth_of_speech_was_lost_where_pictures_were_sent_twice() {
    for (loss, most) in [(0.2, 0.02), (0.12, 0.01)] {
        let (mut room, mut ear) = (room(), Ear::new(loss));
        talk(&mut room, &mut ear, &[A], 1, 12);
        let from = room.now;
        talk(&mut room, &mut ear, &[A], 601, 120);
        let lost = 1.0 - ear.in_time(from);
        assert!(lost <= most, "{loss}: {lost}");
        assert!(room.media.counters().speech_again > 6_000);
        assert_eq!(room.out.twice, [], "no index is encrypted twice");
    }
}

#[test]
fn speech_is_sent_once_where_asking_and_concealing_do() {
    for loss in [0.0, 0.02, 0.05] {
        let (mut room, mut ear) = (room(), Ear::new(loss));
        talk(&mut room, &mut ear, &[A], 1, 120);
        assert_eq!(ear.again, 0, "{loss}");
    }
}

#[test]
fn speech_is_sent_once_again_when_the_link_has_got_better() {
    let (mut room, mut ear) = (room(), Ear::new(0.2));
    talk(&mut room, &mut ear, &[A], 1, 20);
    assert!(ear.again > 0);
    ear.loss = 0.0;
    talk(&mut room, &mut ear, &[A], 1_001, 90);
    ear.again = 0;
    talk(&mut room, &mut ear, &[A], 5_501, 30);
    assert_eq!(ear.again, 0);
    assert_eq!(room.out.ended, [B], "nothing is kept any more");
}

#[test]
fn speech_behind_a_queue_is_sent_once() {
    let (mut room, mut ear) = (room(), Ear::new(0.2));
    let index = room.media.members.find(B).unwrap();
    room.media.members.get_mut(index).unwrap().egress.rtt = Some(Duration::from_millis(40));
    // One report tells the least.
    talk(&mut room, &mut ear, &[A], 1, 5);
    ear.report(&mut room, B);
    room.media.members.get_mut(index).unwrap().egress.rtt = Some(Duration::from_millis(400));
    ear.again = 0;
    talk(&mut room, &mut ear, &[A], 251, 60);
    assert_eq!(ear.again, 0);
}

/// A policer: of twice as much it loses twice as much.
#[test]
fn speech_that_is_sent_again_in_vain_is_not_for_a_while() {
    let (mut room, mut ear) = (room(), Ear::new(0.2));
    talk(&mut room, &mut ear, &[A], 1, 10);
    assert!(room.media.counters().speech_again > 0);
    for n in 0..8 {
        // Each copy takes another packet's place.
        let index = room.media.members.find(B).unwrap();
        let copies = room.media.members.get_mut(index).unwrap().egress.repeats_speech();
        ear.loss = if copies { 0.65 } else { 0.2 };
        talk(&mut room, &mut ear, &[A], 501 + n * 250, 5);
    }
    ear.again = 0;
    talk(&mut room, &mut ear, &[A], 2_501, 20);
    assert_eq!(ear.again, 0);
}

#[test]
fn as_many_who_spoke_last_are_sent_again_as_may_be_and_not_one_more() {
    let mut room = Room::new();
    let all: Vec<EndpointKey> = (0..SPEAKERS_AGAIN as u32 + 2).map(|n| EndpointKey(B.0 + n)).collect();
    all.iter().for_each(|k| room.join(*k, true));
    let mut ear = Ear::new(0.2);
    talk(&mut room, &mut ear, &all[1..], 1, 15);
    let streams = ear.streams.len();
    // Who hears is one of those who could speak.
    assert!((SPEAKERS_AGAIN - 1..=SPEAKERS_AGAIN).contains(&streams), "{streams}");
}
