//! Meetings over networks that lose, delay and throttle: a camera and a viewer with the feedback of browsers.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use impairment::{Conditions, Direction, Preset, Schedule};
use serde_json::Value;
use videobridge_rtp::rtcp::transport_cc::{self, Arrival};
use videobridge_rtp::rtcp::{Compound, Rtcp, feedback};
use videobridge_rtp::{
    ExtSeq, ExtensionForm, ExtensionId, HeaderWriter, RtpFields, RtpPacket, Unwrapper, rtx,
};

use crate::world::World;

/// Anna sends three layers of video and speech; Ben looks at her in full size.
struct Story {
    w: World,
    start: Instant,
    camera: Camera,
    viewer: Viewer,
}

const ANNA: usize = 0;
const BEN: usize = 1;
/// How exactly clients see time.
const STEP: Duration = Duration::from_millis(2);
const FRAME: Duration = Duration::from_millis(34);
const SPEECH: Duration = Duration::from_millis(20);
/// Browsers' interval of transport-wide feedback.
const FEEDBACK: Duration = Duration::from_millis(50);
const TRANSPORT_CC: ExtensionId = ExtensionId::new(5).unwrap();
const VP8: u8 = 100;
const RTX: u8 = 96;
const OPUS: u8 = 111;

impl Story {
    fn new() -> Self {
        let mut w = World::new();
        w.meeting(&["Anna", "Ben"]);
        Self::of(w)
    }

    fn of(mut w: World) -> Self {
        // What every client wishes has been said when Ben wishes more.
        w.run(Duration::from_millis(100));
        let anna = format!("{}-v0", w.clients[ANNA].nick);
        let now = w.now;
        let wish = format!(
            r#"{{"colibriClass":"ReceiverVideoConstraints","lastN":-1,"selectedSources":[],"onStageSources":["{anna}"],"defaultConstraints":{{"maxHeight":180}},"constraints":{{"{anna}":{{"maxHeight":720}}}}}}"#
        );
        w.act(BEN, |c| c.media.as_mut().unwrap().peer.say(now, &wish));
        let camera = Camera::new(w.clients[ANNA].ssrc(), now);
        Self { start: now, camera, viewer: Viewer::new(now), w }
    }

    /// A network in both directions of one client.
    fn network(&mut self, n: usize, conditions: Conditions) {
        for direction in Direction::BOTH {
            self.w.network(n, direction, conditions);
        }
    }

    fn seconds(&mut self, seconds: u64) {
        let end = self.w.now + Duration::from_secs(seconds);
        while self.w.now < end {
            self.w.run(STEP);
            let now = self.w.now;
            self.w.act(ANNA, |c| self.camera.live(now, &mut c.media.as_mut().unwrap().peer));
            let mapped = self.w.clients[BEN].mapped("VideoSourcesMap");
            if self.viewer.repeats.len() < mapped.len() {
                self.viewer.repeats = repeats(&self.w.clients[BEN].media.as_ref().unwrap().peer.texts);
            }
            self.w.act(BEN, |c| self.viewer.live(now, &mut c.media.as_mut().unwrap().peer));
        }
    }

    /// Seconds since the story began.
    fn time(&self) -> f64 {
        (self.w.now - self.start).as_secs_f64()
    }

    fn end(self) {
        assert!(self.w.clients.iter().all(|c| c.actions == ["session-initiate"]), "nobody was thrown out");
        self.w.end();
    }
}

/// By SSRC of repeated packets: the SSRC they belong to.
fn repeats(texts: &[String]) -> HashMap<u32, u32> {
    let maps = texts.iter().filter(|t| t.contains("VideoSourcesMap"));
    let maps = maps.map(|t| serde_json::from_str::<Value>(t).unwrap());
    let number = |v: &Value| v.as_u64().or_else(|| v.as_str()?.parse().ok()).unwrap() as u32;
    maps.flat_map(|m| m["mappedSources"].as_array().unwrap().clone())
        .map(|s| (number(&s["rtx"]), number(&s["ssrc"])))
        .collect()
}

fn packet(fields: &RtpFields, transport: &mut u16, payload: &[u8]) -> Vec<u8> {
    let mut header = [0; 64];
    let mut writer = HeaderWriter::new(&mut header, fields, ExtensionForm::OneByte).unwrap();
    writer.extension(TRANSPORT_CC, &transport.to_be_bytes()).unwrap();
    *transport = transport.wrapping_add(1);
    let len = writer.finish();
    [&header[..len], payload].concat()
}

/// Simulcast VP8 of 200 kbit/s, 500 kbit/s and 1.9 Mbit/s, and speech; repeats what is asked for.
struct Camera {
    base: u32,
    next_frame: Instant,
    next_speech: Instant,
    frames: u32,
    speech: u32,
    seq: [u16; 3],
    rtx_seq: [u16; 3],
    transport: u16,
    needs_key: bool,
    /// What may be asked for again: SSRC and number.
    sent: HashMap<(u32, u16), (RtpFields, Vec<u8>)>,
    repeated: usize,
}

impl Camera {
    /// Packets of one frame of each layer, of 1,000 bytes each or one of 800.
    const PACKETS: [usize; 3] = [1, 2, 8];

    fn new(base: u32, now: Instant) -> Self {
        Self {
            base,
            next_frame: now,
            next_speech: now,
            frames: 0,
            speech: 0,
            seq: [100, 200, 300],
            rtx_seq: [1; 3],
            transport: 0,
            needs_key: true,
            sent: HashMap::new(),
            repeated: 0,
        }
    }

    fn live(&mut self, now: Instant, peer: &mut peer::Peer) {
        peer.rtp.clear();
        for compound in std::mem::take(&mut peer.rtcp) {
            for message in Compound::new(&compound).map(Result::unwrap) {
                match message {
                    Rtcp::Pli { .. } | Rtcp::Fir(_) => self.needs_key = true,
                    Rtcp::Nack(nack) => nack.sequences().for_each(|s| self.repeat(nack.media, s, peer)),
                    _ => {}
                }
            }
        }
        if self.next_speech <= now {
            self.next_speech += SPEECH;
            self.speech += 1;
            let fields = RtpFields {
                marker: false,
                payload_type: OPUS,
                sequence: self.speech as u16,
                timestamp: self.speech * 960,
                ssrc: self.base + 50,
            };
            let bytes = packet(&fields, &mut self.transport, &[7; 80]);
            peer.send_rtp(&bytes);
        }
        if self.next_frame <= now {
            self.next_frame += FRAME;
            self.frame(peer);
        }
    }

    fn frame(&mut self, peer: &mut peer::Peer) {
        self.frames += 1;
        let key = std::mem::take(&mut self.needs_key);
        for (layer, packets) in Self::PACKETS.into_iter().enumerate() {
            for part in 1..=packets {
                let fields = RtpFields {
                    marker: part == packets,
                    payload_type: VP8,
                    sequence: self.seq[layer],
                    timestamp: self.frames * 3060,
                    ssrc: self.base + layer as u32,
                };
                let [hi, lo] = (self.frames as u16 | 0x8000).to_be_bytes();
                let start = if part == 1 { 0x90 } else { 0x80 };
                let mut body = vec![start, 0xe0, hi, lo, self.frames as u8, 0x20];
                if part == 1 && key {
                    body.extend([0x10, 0, 0, 0x9d, 1, 0x2a]);
                    body.extend((320_u16 << layer).to_le_bytes());
                    body.extend((180_u16 << layer).to_le_bytes());
                } else {
                    body.extend([0x11; 10]);
                }
                // The last byte tells the viewer which layer it sees.
                body.resize(if layer == 0 { 800 } else { 1000 }, 3);
                body.push(layer as u8);
                let bytes = packet(&fields, &mut self.transport, &body);
                peer.send_rtp(&bytes);
                self.sent.insert((fields.ssrc, fields.sequence), (fields, body));
                self.seq[layer] += 1;
            }
        }
    }

    fn repeat(&mut self, ssrc: u32, sequence: u16, peer: &mut peer::Peer) {
        let Some((fields, body)) = self.sent.get(&(ssrc, sequence)) else { return };
        let layer = (ssrc - self.base) as usize;
        let fields =
            RtpFields { payload_type: RTX, sequence: self.rtx_seq[layer], ssrc: ssrc + 3, ..*fields };
        let body = [&sequence.to_be_bytes()[..], body].concat();
        let bytes = packet(&fields, &mut self.transport, &body);
        peer.send_rtp(&bytes);
        self.rtx_seq[layer] += 1;
        self.repeated += 1;
    }
}

/// Reports arrivals, asks for what is missing, and remembers what came when.
struct Viewer {
    start: Instant,
    repeats: HashMap<u32, u32>,
    streams: HashMap<u32, Stream>,
    numbers: Unwrapper,
    arrivals: Vec<Arrival>,
    base: Option<ExtSeq>,
    reports: u8,
    next_report: Instant,
    /// When, and which layer.
    video: Vec<(f64, u8)>,
    /// When, and its number.
    speech: Vec<(f64, u16)>,
    /// When, and how long it was.
    bytes: Vec<(f64, usize)>,
    repeated: usize,
    given_up: usize,
}

#[derive(Default)]
struct Stream {
    numbers: Unwrapper,
    highest: u64,
    /// Number, when it was asked for last, how often.
    missing: BTreeMap<u64, (Option<Instant>, u32)>,
}

impl Viewer {
    fn new(now: Instant) -> Self {
        Self {
            start: now,
            repeats: HashMap::new(),
            streams: HashMap::new(),
            numbers: Unwrapper::new(),
            arrivals: Vec::new(),
            base: None,
            reports: 0,
            next_report: now,
            video: Vec::new(),
            speech: Vec::new(),
            bytes: Vec::new(),
            repeated: 0,
            given_up: 0,
        }
    }

    fn live(&mut self, now: Instant, peer: &mut peer::Peer) {
        peer.rtcp.clear();
        for bytes in std::mem::take(&mut peer.rtp) {
            self.receive(now, &RtpPacket::parse(&bytes).unwrap(), bytes.len());
        }
        self.ask_again(now, peer);
        if self.next_report <= now {
            self.next_report += FEEDBACK;
            self.report(peer);
        }
    }

    fn receive(&mut self, now: Instant, p: &RtpPacket<'_>, len: usize) {
        let at = (now - self.start).as_secs_f64();
        self.bytes.push((at, len));
        if let Some(stamp) = p.extension(TRANSPORT_CC) {
            let sequence = self.numbers.extend(u16::from_be_bytes([stamp[0], stamp[1]]));
            let time_us = 5_000_000 + (now - self.start).as_micros() as u64;
            self.arrivals.push(Arrival { sequence, time_us });
        }
        match p.payload_type() {
            OPUS => self.speech.push((at, p.sequence())),
            VP8 => {
                let stream = self.streams.entry(p.ssrc()).or_default();
                let number = stream.numbers.extend(p.sequence()).0;
                if stream.highest > 0 {
                    for missing in stream.highest + 1..number {
                        stream.missing.insert(missing, (None, 0));
                    }
                }
                stream.highest = stream.highest.max(number);
                stream.missing.remove(&number);
                self.video.push((at, *p.payload().last().unwrap()));
            }
            RTX => {
                // Padding carries no packet.
                let Some((sequence, body)) = rtx::parse(p.payload()).filter(|(_, b)| !b.is_empty()) else {
                    return;
                };
                let ssrc = self.repeats[&p.ssrc()];
                let stream = self.streams.entry(ssrc).or_default();
                let number = stream.numbers.extend(sequence).0;
                if stream.missing.remove(&number).is_some() {
                    self.repeated += 1;
                    self.video.push((at, *body.last().unwrap()));
                }
            }
            // Padding may have any payload type of repeated packets.
            other => assert!(p.payload().is_empty(), "payload type {other}"),
        }
    }

    /// Each packet ten times at most, every 100 ms.
    fn ask_again(&mut self, now: Instant, peer: &mut peer::Peer) {
        for (ssrc, stream) in &mut self.streams {
            let mut wanted = Vec::new();
            stream.missing.retain(|number, (asked, times)| {
                if asked.is_none_or(|t| now - t >= Duration::from_millis(100)) {
                    wanted.push(*number as u16);
                    (*asked, *times) = (Some(now), *times + 1);
                }
                self.given_up += usize::from(*times > 10);
                *times <= 10
            });
            let mut rest = &wanted[..];
            while !rest.is_empty() {
                let mut buf = [0; 1200];
                let (len, taken) = feedback::write_nack(&mut buf, 1, *ssrc, rest).unwrap();
                peer.send_rtcp(&buf[..len]);
                rest = &rest[taken..];
            }
        }
    }

    fn report(&mut self, peer: &mut peer::Peer) {
        self.arrivals.sort_by_key(|a| a.sequence);
        // What comes later than what was reported already is not reported any more.
        let base = self.base.unwrap_or_default();
        self.arrivals.retain(|a| a.sequence >= base);
        while let Some(first) = self.arrivals.first() {
            let base = self.base.unwrap_or(first.sequence);
            let mut buf = [0; 1200];
            let w = transport_cc::write(&mut buf, 1, 2, self.reports, base, &self.arrivals).unwrap();
            (self.reports, self.base) = (self.reports.wrapping_add(1), Some(w.next_base));
            self.arrivals.drain(..w.arrivals);
            peer.send_rtcp(&buf[..w.len]);
        }
    }

    /// Packets of video within these seconds, by layer.
    fn layers(&self, from: f64, to: f64) -> [usize; 3] {
        let mut layers = [0; 3];
        self.video
            .iter()
            .filter(|(at, _)| *at >= from && *at < to)
            .for_each(|(_, l)| layers[usize::from(*l)] += 1);
        layers
    }

    fn bitrate(&self, from: f64, to: f64) -> f64 {
        let bytes = self.bytes.iter().filter(|(at, _)| *at >= from && *at < to).map(|(_, n)| n);
        bytes.sum::<usize>() as f64 * 8.0 / (to - from)
    }

    /// The longest time without any video.
    fn longest_pause(&self, from: f64, to: f64) -> f64 {
        let inner = self.video.iter().map(|(at, _)| *at).filter(|at| *at >= from && *at < to);
        let times: Vec<f64> = std::iter::once(from).chain(inner).chain([to]).collect();
        times.windows(2).map(|w| w[1] - w[0]).fold(0.0, f64::max)
    }
}

fn loss(loss: f64) -> Conditions {
    Conditions { delay: Duration::from_millis(20), ..Conditions::with_loss(loss) }
}

#[test]
fn a_camera_behind_20_percent_loss_is_seen_whole() {
    let mut s = Story::new();
    s.seconds(3);
    s.network(ANNA, loss(0.2));
    s.seconds(20);
    s.network(ANNA, Conditions::PERFECT);
    s.seconds(2);
    let sent = usize::from(s.camera.seq[2] - 300);
    assert!(s.camera.repeated > sent / 10, "{}", s.camera.repeated);
    // Of about 6,000 packets; a retransmission can be lost as well, again and again.
    let seen = s.viewer.layers(0.0, s.time())[2];
    assert!(seen * 1000 >= (sent - 20) * 997, "{seen} of {sent}");
    assert!(s.viewer.given_up <= 10, "{}", s.viewer.given_up);
    assert!(
        s.viewer.layers(4.0, 23.0)[..2].iter().all(|n| *n == 0),
        "loss at the camera is not the viewer's"
    );
    assert!(s.viewer.longest_pause(4.0, 23.0) < 0.2);
    assert_share(&s.viewer.speech, 3.0, 23.0, 0.8);
    s.end();
}

#[test]
fn a_viewer_behind_5_percent_loss_sees_every_packet_in_full_size() {
    let mut s = Story::new();
    s.seconds(3);
    s.network(BEN, loss(0.05));
    s.seconds(20);
    assert!(s.viewer.repeated > 150 && s.viewer.given_up == 0, "{} {}", s.viewer.repeated, s.viewer.given_up);
    assert!(s.viewer.streams.values().map(|s| s.missing.len()).sum::<usize>() < 20, "only the latest");
    let [small, middle, full] = s.viewer.layers(3.0, 23.0);
    assert!(full > 4_500 && small + middle < 50, "{small} {middle} {full}");
    assert_share(&s.viewer.speech, 3.0, 23.0, 0.95);
    s.end();
}

#[test]
fn a_viewer_behind_20_percent_loss_keeps_a_picture_and_sees_again_in_full_size() {
    let mut s = Story::new();
    s.seconds(3);
    s.network(BEN, loss(0.2));
    s.seconds(20);
    // It is sent three times as soon as the losses show.
    assert_share(&s.viewer.speech, 3.0, 23.0, 1.0);
    assert_eq!(s.viewer.given_up, 0, "what was sent arrived in the end");
    assert!(s.viewer.longest_pause(3.0, 23.0) < 1.0, "there is a picture all the time");
    let healed = s.time();
    s.network(BEN, Conditions::PERFECT);
    s.seconds(25);
    assert!(s.viewer.longest_pause(healed + 8.0, s.time()) < 0.2);
    assert_eq!(s.viewer.layers(s.time() - 2.0, s.time())[..2], [0, 0]);
    s.end();
}

/// How much of the speech of these seconds came.
fn assert_share(speech: &[(f64, u16)], from: f64, to: f64, share: f64) {
    let came = speech.iter().filter(|(at, _)| *at >= from && *at < to).count() as f64;
    let came = came / ((to - from) / SPEECH.as_secs_f64());
    assert!((came - share).abs() < 0.04, "{came}");
}

#[test]
fn at_10_megabits_then_500_kilobits_then_10_megabits_video_shrinks_and_grows_again() {
    let mut s = Story::new();
    let mut schedule = Schedule::new(s.w.now, &Preset::RateSteps.steps(Duration::from_secs(60))).unwrap();
    for _ in 0..60 {
        while let Some((direction, conditions)) = schedule.poll_output(s.w.now) {
            s.w.network(BEN, direction, conditions);
        }
        s.seconds(1);
    }
    let v = &s.viewer;
    assert_eq!(v.layers(1.0, 20.0)[..2], [0, 0], "full size fits");
    // What the queue dropped is asked for again, and sent as far as there is room beside the smaller picture.
    assert_eq!(v.layers(27.0, 40.0)[2], 0, "full size does not fit");
    assert!(v.longest_pause(20.0, 24.0) < 1.0 && v.longest_pause(24.0, 40.0) < 0.2);
    assert!(v.bitrate(24.0, 40.0) > 220_000.0, "and what there is is used: {}", v.bitrate(24.0, 40.0));
    assert!(v.longest_pause(40.0, 60.0) < 0.2);
    let full = v.video.iter().find(|(at, layer)| *at > 40.5 && *layer == 2).unwrap().0;
    assert!(full < 55.0, "{full}");
    assert_eq!(v.layers(57.0, 60.0)[..2], [0, 0], "full size again and for good");
    // The queue of the slow link is noticed before it overflows: speech suffers nothing.
    let (came, said) = (v.speech.len() as u32, s.camera.speech);
    assert!(came + 10 > said, "{came} of {said}");
    s.end();
}

#[test]
fn jitter_of_300_ms_in_order_costs_neither_a_packet_nor_size() {
    let mut s = Story::new();
    s.seconds(3);
    s.network(BEN, Conditions::with_jitter(Duration::from_millis(300)));
    s.seconds(20);
    s.network(BEN, Conditions::PERFECT);
    s.seconds(3);
    // At first it looks like a queue.
    let pause = s.viewer.longest_pause(1.0, s.time());
    assert!(pause < 0.9 && s.viewer.longest_pause(6.0, s.time()) < 0.5, "{pause}");
    // Where a frame was left, the first number is missing.
    assert!(s.viewer.repeated <= 2 && s.viewer.given_up == 0, "{}", s.viewer.repeated);
    assert_eq!(s.viewer.layers(6.0, s.time())[..2], [0, 0]);
    assert_eq!(s.viewer.speech.len() as u32, s.camera.speech);
    assert!(s.viewer.speech.is_sorted_by_key(|(_, number)| *number));
    s.end();
}

#[test]
fn a_meeting_begins_over_20_percent_loss_and_jitter_of_300_ms() {
    let mut w = World::new();
    let conditions = Conditions {
        jitter: Duration::from_millis(300),
        jitter_reorders: true,
        duplicate: 0.02,
        ..Conditions::with_loss(0.2)
    };
    for name in ["Anna", "Ben", "Cem"] {
        let n = w.client(name);
        for direction in Direction::BOTH {
            w.network(n, direction, conditions);
        }
        w.enter(n);
    }
    w.seconds(20);
    assert!(w.clients.iter().all(crate::world::Client::connected), "ICE, DTLS and data channel");
    for n in 0..3 {
        for direction in Direction::BOTH {
            w.network(n, direction, Conditions::PERFECT);
        }
    }
    w.seconds(2);
    w.assert_all_hear_each_other();
    w.end();
}
