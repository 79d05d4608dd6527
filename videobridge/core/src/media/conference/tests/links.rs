//! Receivers behind links that break and fill up: what they get, with feedback as browsers write it.

use std::time::{Duration, Instant};

use jitsi_xmpp::bridge_channel::{BridgeMessage, ClientMessage};
use jitsi_xmpp::ids::MediaType;
use jitsi_xmpp::jingle::{Parameter, PayloadType, RtcpFeedback};
use videobridge_rtp::rtcp::transport_cc::{self, Arrival};
use videobridge_rtp::rtcp::{Compound, Rtcp, feedback};
use videobridge_rtp::{ExtSeq, RtpFields, Unwrapper};

use super::room::*;
use crate::media::EndpointKey;

/// The way to one receiver: a rate, a queue, a delay of 20 ms. Reports every 100 ms while something arrives.
struct Link {
    to: EndpointKey,
    start: Instant,
    rate: u64,
    up: bool,
    /// Of so many packets one is lost, whatever is sent; 0: none.
    loses_one_of: u64,
    carried: u64,
    busy_until: Instant,
    numbers: Unwrapper,
    arrivals: Vec<Arrival>,
    base: Option<ExtSeq>,
    next_report: Instant,
    count: u8,
    /// Delivered video: when, SSRC, encoding.
    video: Vec<(Instant, u32, u8)>,
    /// Padding, and packets sent once more.
    padding: Vec<Got>,
}

const QUEUE: Duration = Duration::from_millis(600);

impl Link {
    fn new(room: &Room, to: EndpointKey, rate: u64) -> Self {
        Self {
            to,
            start: room.now,
            rate,
            up: true,
            loses_one_of: 0,
            carried: 0,
            busy_until: room.now,
            numbers: Unwrapper::new(),
            arrivals: Vec::new(),
            base: None,
            next_report: room.now,
            count: 0,
            video: Vec::new(),
            padding: Vec::new(),
        }
    }

    /// Frames of all cameras for this long, in steps of 11 ms.
    fn run(&mut self, room: &mut Room, seconds: u64) {
        for step in 0..seconds * 1000 / 11 {
            if step % 3 == 0 {
                room.send_frame();
            }
            room.pass(11);
            room.out.rtcp.clear();
            self.carry(room);
            self.report(room);
        }
    }

    fn carry(&mut self, room: &mut Room) {
        let (mine, others) = std::mem::take(&mut room.out.rtp).into_iter().partition(|(k, _)| *k == self.to);
        room.out.rtp = others;
        let mine: Vec<(EndpointKey, Got)> = mine;
        for (_, got) in mine {
            let stamp = got.extensions.iter().find(|(id, _)| *id == 5).unwrap();
            let sequence = self.numbers.extend(u16::from_be_bytes([stamp.1[0], stamp.1[1]]));
            let done = self.busy_until.max(got.at)
                + Duration::from_micros(got.len as u64 * 8 * 1_000_000 / self.rate);
            if !self.up || done > got.at + QUEUE {
                continue;
            }
            self.carried += 1;
            if self.loses_one_of > 0 && self.carried.is_multiple_of(self.loses_one_of) {
                continue;
            }
            self.busy_until = done;
            let at = done + Duration::from_millis(20);
            let time_us = 5_000_000 + at.duration_since(self.start).as_micros() as u64;
            self.arrivals.push(Arrival { sequence, time_us });
            match got.pt {
                100 if !got.payload.is_empty() => self.video.push((at, got.ssrc, got.encoding())),
                111 => {}
                _ => self.padding.push(got),
            }
        }
    }

    fn report(&mut self, room: &mut Room) {
        if room.now < self.next_report {
            return;
        }
        self.next_report = room.now + Duration::from_millis(100);
        let now_us = 5_000_000 + room.now.duration_since(self.start).as_micros() as u64;
        let mut there = self.arrivals.iter().position(|a| a.time_us > now_us).unwrap_or(self.arrivals.len());
        while there > 0 && self.up {
            let base = self.base.unwrap_or(self.arrivals[0].sequence);
            let mut buf = [0; 1200];
            let w = transport_cc::write(&mut buf, 1, 2, self.count, base, &self.arrivals[..there]).unwrap();
            (self.count, self.base) = (self.count.wrapping_add(1), Some(w.next_base));
            self.arrivals.drain(..w.arrivals);
            there -= w.arrivals;
            room.rtcp(self.to, &buf[..w.len]);
        }
    }

    /// When the first packet after `since` that fits came.
    fn first(&self, since: Instant, fits: impl Fn(u32, u8) -> bool) -> Option<Duration> {
        let hit = self.video.iter().find(|(at, ssrc, encoding)| *at >= since && fits(*ssrc, *encoding));
        hit.map(|(at, _, _)| at.duration_since(since))
    }
}

fn estimate(room: &Room, of: EndpointKey) -> Option<u64> {
    room.media.members.by_key(of).unwrap().egress.estimator.estimate().map(|rate| rate.0)
}

fn nothing_forwarded(room: &Room, to: EndpointKey) -> bool {
    let last = room.messages(to).into_iter().rev().find_map(|m| match m {
        BridgeMessage::ForwardedSources { forwarded_sources: f } => Some(f.is_empty()),
        _ => None,
    });
    last.unwrap()
}

fn two_senders_one_viewer(rewriting: bool) -> Room {
    let mut room = Room::new();
    [A, B, C].into_iter().for_each(|k| room.join(k, rewriting));
    room.want(C, 180, Some((A, 720)));
    room
}

#[test]
fn video_comes_back_after_an_outage_of_20_s() {
    for rewriting in [true, false] {
        let mut room = two_senders_one_viewer(rewriting);
        let mut link = Link::new(&room, C, 10_000_000);
        link.run(&mut room, 10);
        let before = estimate(&room, C);
        link.up = false;
        link.run(&mut room, 20);
        link.up = true;
        let asked = room.media.counters().key_frame_requests;
        let back = room.now;
        link.run(&mut room, 15);
        let streams: std::collections::BTreeSet<u32> = link.video.iter().map(|(_, s, _)| *s).collect();
        assert_eq!(streams.len(), 2);
        for stream in streams {
            assert!(link.first(back, |s, _| s == stream).unwrap() < Duration::from_secs(3));
        }
        assert!(link.first(back, |_, e| e == 2).unwrap() < Duration::from_secs(3));
        assert!(!nothing_forwarded(&room, C));
        assert_eq!(estimate(&room, C), before, "an outage says nothing about the link");
        assert!(room.media.counters().key_frame_requests > asked, "without waiting for the client to ask");
    }
}

#[test]
fn an_estimate_too_low_for_any_video_does_not_stay() {
    for rewriting in [true, false] {
        let mut room = two_senders_one_viewer(rewriting);
        // Headers are not counted by this link.
        let mut link = Link::new(&room, C, 18_000);
        link.run(&mut room, 30);
        assert!(nothing_forwarded(&room, C), "no layer fits");
        assert!(estimate(&room, C).unwrap() < 60_000);
        link.rate = 10_000_000;
        let better = room.now;
        link.run(&mut room, 30);
        let first = link.first(better + Duration::from_millis(700), |_, _| true).unwrap();
        let full = link.first(better, |_, e| e == 2).unwrap();
        assert!(!link.padding.is_empty() && room.media.counters().padding > 0);
        assert!(first < Duration::from_secs(7) && full < Duration::from_secs(15), "{first:?} {full:?}");
    }
}

#[test]
fn an_outage_behind_a_slow_link_costs_no_estimate() {
    let mut room = two_senders_one_viewer(true);
    let mut link = Link::new(&room, C, 200_000);
    link.run(&mut room, 30);
    link.up = false;
    link.run(&mut room, 20);
    link.up = true;
    let back = room.now;
    link.run(&mut room, 5);
    assert!(link.first(back, |_, _| true).unwrap() < Duration::from_secs(3));
    assert!(estimate(&room, C).unwrap() > 90_000, "{:?}", estimate(&room, C));
}

#[test]
fn a_slow_link_of_300_kbit_s_is_used_for_five_minutes_without_oscillation_to_zero() {
    let mut room = two_senders_one_viewer(true);
    room.want(C, 720, None);
    let mut link = Link::new(&room, C, 300_000);
    link.run(&mut room, 20);
    let mut estimates = Vec::new();
    for second in 0..280 {
        let since = room.now;
        link.padding.clear();
        link.run(&mut room, 1);
        estimates.push(estimate(&room, C).unwrap());
        let packets = link.video.iter().filter(|(at, _, _)| *at >= since).count();
        assert!(packets >= 30, "second {second}: {packets} packets");
        assert!(link.padding.iter().map(|p| p.len).sum::<usize>() * 8 < 300_000);
    }
    let mean = estimates.iter().sum::<u64>() / estimates.len() as u64;
    let (least, most) = (estimates.iter().min().unwrap(), estimates.iter().max().unwrap());
    assert!((220_000..340_000).contains(&mean), "{mean}");
    assert!(*least > 150_000 && *most < 450_000, "{least} {most}");
}

fn pli(media: u32) -> [u8; 12] {
    let mut buf = [0; 12];
    feedback::write_pli(&mut buf, 1, media).unwrap();
    buf
}

#[test]
fn a_source_that_stops_and_goes_on_often_is_not_kept_waiting_for_key_frames() {
    let mut room = two_senders_one_viewer(true);
    room.frames(30);
    for _ in 0..6 {
        room.say(C, ClientMessage::LastNChanged { last_n: 0 });
        room.frames(10);
        room.take(C, 100);
        room.say(C, ClientMessage::LastNChanged { last_n: -1 });
        room.frames(15);
        let streams: std::collections::BTreeSet<u32> = room.take(C, 100).iter().map(|p| p.ssrc).collect();
        assert_eq!(streams.len(), 2, "half a second after each of six pauses in 5 s");
    }
}

#[test]
fn requests_made_while_a_sender_was_gone_do_not_delay_those_after() {
    let mut room = two_senders_one_viewer(false);
    room.frames(60);
    for _ in 0..20 {
        room.rtcp(C, &pli(ssrc(A, 0)));
        room.pass(250);
    }
    room.rtcp(C, &pli(ssrc(A, 0)));
    assert!(room.key_frame_requests().is_empty(), "used up");
    room.camera(A).needs_key = [false; 3];
    room.send_frame();
    room.pass(201);
    room.rtcp(C, &pli(ssrc(A, 0)));
    assert_eq!(room.key_frame_requests().iter().filter(|(to, _)| *to == A).count(), 1);
}

#[test]
fn a_sender_that_was_cut_off_was_asked_for_a_whole_picture_only_when_a_browser_had_waited_for_seconds() {
    for (silence, asked) in [(499, 0), (500, 1)] {
        let mut room = two_senders_one_viewer(false);
        room.frames(60);
        // Lost on their way; the last frame before them came just now.
        room.send_frame();
        let lost = room.camera(A).frame();
        assert!(!lost.is_empty() && room.key_frame_requests().is_empty());
        room.pass(silence);
        room.out.rtcp.clear();
        room.send_frame();
        let requests = room.key_frame_requests().iter().filter(|(to, _)| *to == A).count();
        assert_eq!(requests, asked, "after {silence} ms");
    }
}

#[test]
fn who_is_reached_at_another_address_gets_whole_pictures_and_is_asked_again_for_its_own() {
    let mut room = two_senders_one_viewer(false);
    room.frames(60);
    assert!(room.key_frame_requests().is_empty());
    room.media.handle_path_change(room.now, C, &mut room.out);
    let asked: Vec<_> = room.key_frame_requests().into_iter().map(|(to, _)| to).collect();
    assert_eq!(asked, [A, B], "whom it watches");
    // The request to A went to its old address.
    room.media.handle_path_change(room.now, A, &mut room.out);
    assert_eq!(room.key_frame_requests().iter().filter(|(to, _)| *to == A).count(), 2);
    assert_eq!(
        room.key_frame_requests().iter().filter(|(to, _)| *to == B).count(),
        1,
        "not B, whom nobody lost"
    );
}

#[test]
fn a_link_is_filled_up_with_what_was_sent_last_and_padding_numbered_and_tagged_on_announced_ssrcs() {
    let mut room = two_senders_one_viewer(true);
    let mut link = Link::new(&room, C, 60_000);
    link.run(&mut room, 20);
    link.rate = 10_000_000;
    link.padding.clear();
    let repeated = room.media.counters().repeated;
    link.run(&mut room, 5);
    let known: Vec<u32> = room
        .messages(C)
        .iter()
        .filter_map(|m| match m {
            BridgeMessage::VideoSourcesMap { mapped_sources } => Some(mapped_sources),
            _ => None,
        })
        .flatten()
        .map(|s| s.rtx.0)
        .collect();
    let padding = link.padding;
    assert!(padding.len() > 5, "{}", padding.len());
    for pair in padding.windows(2) {
        assert_eq!(pair[1].seq, pair[0].seq + 1);
        assert!(known.contains(&pair[1].ssrc));
        let stamp = usize::from(pair[1].payload.is_empty());
        assert!(stamp == 0 || pair[1].extensions.len() == stamp, "nothing but the stamp of transport-cc");
    }
    let again: Vec<_> = padding.iter().filter(|p| !p.payload.is_empty()).collect();
    assert!(again.len() > 5, "{}", again.len());
    assert_eq!(room.media.counters().repeated - repeated, again.len() as u64);
    // None of them twice within nine tenths of a fifth of a second.
    for (n, p) in again.iter().enumerate() {
        let original = |p: &Got| [p.payload[0], p.payload[1]];
        let soon = |q: &&&Got| q.at < p.at + Duration::from_millis(179);
        assert!(again[n + 1..].iter().take_while(soon).all(|q| original(q) != original(p)));
    }
}

#[test]
fn where_a_link_loses_much_by_itself_pictures_are_sent_twice_or_three_times_and_elsewhere_once() {
    // Of fourteen one is less than eight in a hundred, of nine more, and of five more than fifteen.
    for (loses_one_of, copies) in [(0, 0), (14, 0), (9, 1), (5, 2)] {
        let mut room = two_senders_one_viewer(true);
        let mut link = Link::new(&room, C, 20_000_000);
        link.loses_one_of = loses_one_of;
        link.run(&mut room, 12);
        let before = room.media.counters().repeated;
        link.video.clear();
        link.run(&mut room, 4);
        let repeated = room.media.counters().repeated - before;
        let arrived = link.video.len() as u64;
        let sent = arrived + if loses_one_of == 0 { 0 } else { arrived / (loses_one_of - 1) };
        let (least, most) = (sent * copies * 9 / 10, sent * copies + sent / if copies == 0 { 20 } else { 5 });
        assert!((least..=most).contains(&repeated), "one of {loses_one_of}: {repeated} beside {sent}");
    }
}

#[test]
fn a_link_that_carries_no_more_than_once_is_not_sent_twice() {
    let mut room = two_senders_one_viewer(true);
    let mut link = Link::new(&room, C, 400_000);
    link.loses_one_of = 6;
    link.run(&mut room, 20);
    let before = room.media.counters().repeated;
    link.video.clear();
    link.run(&mut room, 4);
    let (repeated, sent) = (room.media.counters().repeated - before, link.video.len() as u64);
    assert!(repeated * 2 < sent, "{repeated} beside {sent}");
}

#[test]
fn padding_had_the_rtx_payload_type_of_another_codec() {
    let mut room = two_senders_one_viewer(true);
    let rtx = |id: u8, of: &str| {
        let mut rtx = PayloadType::new(id, "rtx", 90_000, 1);
        rtx.parameters = vec![Parameter::new("apt", of)];
        rtx
    };
    let mut vp8 = PayloadType::new(100, "VP8", 90_000, 1);
    vp8.rtcp_fbs = vec![RtcpFeedback::new("transport-cc", None)];
    let av1 = PayloadType::new(41, "AV1", 90_000, 1);
    room.media.add_payload_types(C, MediaType::Video, &[av1, rtx(42, "41"), vp8, rtx(96, "100")]);
    let mut link = Link::new(&room, C, 60_000);
    link.run(&mut room, 20);
    let beside = link.padding.iter().filter(|p| p.ssrc != 2);
    assert!(beside.clone().count() > 5 && beside.clone().all(|p| p.pt == 96));
}

#[test]
fn packets_the_bridge_cannot_use_are_reported_to_their_sender_as_arrived() {
    let mut room = Room::new();
    [A, B].into_iter().for_each(|k| room.join(k, true));
    for n in 0..100u16 {
        // Every other packet has a payload type that was not negotiated, or an unknown SSRC.
        let payload_type = if n % 2 == 0 { 100 } else { 77 };
        let ssrc = if n % 4 == 0 { 999_999 } else { ssrc(A, 0) };
        let fields =
            RtpFields { marker: false, payload_type, sequence: n, timestamp: u32::from(n) * 900, ssrc };
        room.rtp(A, &packet(&fields, &[(5, &n.to_be_bytes())], &[0x10; 20]));
        room.pass(10);
    }
    let reports = room.out.rtcp.iter().filter(|(to, _)| *to == A).flat_map(|(_, b)| Compound::new(b));
    let statuses: Vec<(u16, bool)> = reports
        .filter_map(|p| match p {
            Ok(Rtcp::TransportFeedback(f)) => Some(f),
            _ => None,
        })
        .flat_map(|f| f.statuses().map(|s| (s.sequence, s.delta_us.is_some())).collect::<Vec<_>>())
        .collect();
    assert!(statuses.len() > 80);
    for (n, (sequence, arrived)) in statuses.into_iter().enumerate() {
        assert_eq!((sequence, arrived), (n as u16, true));
    }
}
