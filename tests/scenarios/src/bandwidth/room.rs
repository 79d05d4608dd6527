//! Frames and requests in; one conference's media part with cameras and one viewer, and the packets for the viewer, out.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jitsi_xmpp::bridge_channel::{BridgeMessage, ClientMessage, ReceiverVideoConstraints, VideoConstraints};
use jitsi_xmpp::colibri2::MediaSource;
use jitsi_xmpp::ids::{EndpointId, MediaType, SourceName, Ssrc};
use jitsi_xmpp::jingle::{
    HeaderExtension, Parameter, PayloadType, RtcpFeedback, Semantics, Source, SsrcGroup,
};
use videobridge_core::EndpointKey;
use videobridge_core::media::{EndpointInit, FeedbackSsrcs, MediaConference, MediaConfig, MediaSink};
use videobridge_rtp::rtcp::{Compound, Rtcp, SenderInfo, report};
use videobridge_rtp::{ExtensionForm, ExtensionId, HeaderWriter, RtpFields};

pub(super) const VIEWER: EndpointKey = EndpointKey(0);
pub(super) const TRANSPORT_CC: ExtensionId = ExtensionId::new(5).unwrap();
const AUDIO_LEVEL: ExtensionId = ExtensionId::new(1).unwrap();
pub(super) const VP8: u8 = 100;
pub(super) const RTX: u8 = 96;
pub(super) const OPUS: u8 = 111;
/// Bytes of a usual frame and of a key frame: 200, 500 and 1,700 kbit/s.
const SIMULCAST: [(f64, usize); 3] = [(833.0, 4_200), (2_083.0, 13_000), (7_083.0, 38_000)];
/// What a key frame has of a usual one where there is one encoding.
const KEY_FRAME: f64 = 5.0;
/// What frames weigh in turn.
const WEIGHTS: [f64; 4] = [1.418, 0.81, 0.962, 0.81];
const FRAME: Duration = Duration::from_micros(33_333);
const SPEECH: Duration = Duration::from_millis(20);
const REPORT: Duration = Duration::from_secs(1);
/// From the request to the encoder's answer.
const KEY_FRAME_AFTER: Duration = Duration::from_millis(100);
const LONGEST: usize = 1_150;

/// What the bridge sent.
#[derive(Default)]
pub(super) struct Sent {
    /// To the viewer.
    pub(super) rtp: Vec<Vec<u8>>,
    /// Of these, what may be sent again, by its number; and what was.
    kept: HashMap<u32, Vec<u8>>,
    pub(super) again: Vec<Vec<u8>>,
    pub(super) rtcp: Vec<Vec<u8>>,
    /// The names of the sources it gets, when they changed.
    pub(super) forwarded: Option<Vec<SourceName>>,
    /// Whom key frames were asked for.
    asked: Vec<EndpointKey>,
}

impl MediaSink for Sent {
    fn rtp(&mut self, to: EndpointKey, parts: [&[u8]; 3]) {
        if to == VIEWER {
            self.rtp.push(parts.concat());
        }
    }

    fn speech(&mut self, to: EndpointKey, nth: u32, parts: [&[u8]; 3]) {
        self.kept.insert(nth, parts.concat());
        self.rtp(to, parts);
    }

    fn speech_again(&mut self, _: EndpointKey, nth: u32) -> bool {
        self.again.extend(self.kept.get(&nth).cloned());
        true
    }

    fn rtcp(&mut self, to: EndpointKey, compound: &[u8]) {
        if to == VIEWER {
            self.rtcp.push(compound.to_vec());
        } else if let Some(Ok(Rtcp::Pli { .. })) = Compound::new(compound).next() {
            self.asked.push(to);
        }
    }

    fn message(&mut self, to: EndpointKey, message: &BridgeMessage) -> bool {
        if let (VIEWER, BridgeMessage::ForwardedSources { forwarded_sources }) = (to, message) {
            self.forwarded = Some(forwarded_sources.clone());
        }
        true
    }
}

/// The conference.
pub(super) struct Room {
    pub(super) media: MediaConference,
    pub(super) sent: Sent,
    cameras: Vec<Camera>,
    speech: u16,
    next_speech: Instant,
}

struct Camera {
    key: EndpointKey,
    next_frame: Instant,
    next_report: Instant,
    key_frame_at: Option<Instant>,
    frames: u32,
    encodings: Vec<Encoding>,
}

struct Encoding {
    usual: f64,
    key: usize,
    seq: u16,
    /// Packets and bytes.
    totals: (u32, u32),
}

/// What every camera sends, lowest encoding first.
fn encodings(single: Option<u64>) -> Vec<Encoding> {
    let sizes = match single {
        None => SIMULCAST.to_vec(),
        Some(rate) => {
            let usual = rate as f64 / 8.0 * FRAME.as_secs_f64();
            vec![(usual, (usual * KEY_FRAME) as usize)]
        }
    };
    let one = |(n, (usual, key)): (u16, (f64, usize))| Encoding { usual, key, seq: n * 100, totals: (0, 0) };
    (1..).zip(sizes).map(one).collect()
}

/// The name of a camera's source.
pub(super) fn source(n: usize) -> SourceName {
    SourceName::new(format!("camera{}-v0", n + 1))
}

/// The SSRC a camera is seen under.
pub(super) fn ssrc(n: usize) -> u32 {
    (n as u32 + 1) * 1_000
}

impl Room {
    /// With so many cameras of three encodings, or of a `single` one of this rate in bit/s.
    pub(super) fn new(now: Instant, cameras: usize, single: Option<u64>) -> Self {
        let feedback = FeedbackSsrcs { audio: Ssrc(1), video: Ssrc(2) };
        let mut room = Self {
            media: MediaConference::new(MediaConfig::default(), feedback, 42),
            sent: Sent::default(),
            cameras: Vec::new(),
            speech: 0,
            next_speech: now,
        };
        for n in 0..=cameras {
            let key = EndpointKey(n as u32);
            room.join(now, key, encodings(single).len() as u32);
            if n > 0 {
                // Cameras are not in step.
                let next_frame = now + FRAME.mul_f64(n as f64 / (cameras + 1) as f64);
                room.cameras.push(Camera {
                    key,
                    next_frame,
                    next_report: now,
                    key_frame_at: Some(now),
                    frames: 0,
                    encodings: encodings(single),
                });
            }
        }
        room
    }

    fn join(&mut self, now: Instant, key: EndpointKey, encodings: u32) {
        let (media, out) = (&mut self.media, &mut self.sent);
        let id = EndpointId::new(format!("camera{}", key.0));
        media.add_endpoint(
            now,
            key,
            EndpointInit { id, ssrc_rewriting: false, visitor: false, initial_last_n: None },
        );
        let mut vp8 = PayloadType::new(VP8, "VP8", 90_000, 1);
        vp8.rtcp_fbs = vec![RtcpFeedback::new("nack", Some("pli")), RtcpFeedback::new("transport-cc", None)];
        let mut rtx = PayloadType::new(RTX, "rtx", 90_000, 1);
        rtx.parameters = vec![Parameter::new("apt", VP8.to_string())];
        media.add_payload_types(key, MediaType::Video, &[vp8, rtx]);
        media.add_payload_types(key, MediaType::Audio, &[PayloadType::new(OPUS, "opus", 48_000, 2)]);
        let extensions = [
            HeaderExtension::new(AUDIO_LEVEL.wire(), "urn:ietf:params:rtp-hdrext:ssrc-audio-level"),
            HeaderExtension::new(
                TRANSPORT_CC.wire(),
                "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
            ),
        ];
        media.add_header_extensions(key, &extensions);
        media.set_sources(now, key, &sources(key, encodings), out);
        media.set_transport_up(now, key, true, out);
        media.set_channel_open(now, key, true, out);
        if key == VIEWER {
            let limit = VideoConstraints { max_height: 720, max_frame_rate: -1.0 };
            let wish = ReceiverVideoConstraints {
                default_constraints: Some(limit),
                ..ReceiverVideoConstraints::default()
            };
            media.handle_channel_message(now, key, &ClientMessage::ReceiverVideoConstraints(wish), out);
        }
    }

    /// When something happens by itself.
    pub(super) fn poll_timeout(&self) -> Instant {
        let cameras = self.cameras.iter().map(|c| c.next_frame);
        cameras.chain(self.media.poll_timeout()).fold(self.next_speech, Instant::min)
    }

    /// Everything that is due: frames, speech, the bridge's timers.
    pub(super) fn live(&mut self, now: Instant) {
        while self.media.poll_timeout().is_some_and(|at| at <= now) {
            self.media.handle_timeout(now, &mut self.sent);
        }
        if self.next_speech <= now && !self.cameras.is_empty() {
            self.next_speech += SPEECH;
            self.speech = self.speech.wrapping_add(1);
            let fields = RtpFields {
                marker: false,
                payload_type: OPUS,
                sequence: self.speech,
                timestamp: u32::from(self.speech) * 960,
                ssrc: ssrc(0) + 500,
            };
            let mut bytes = packet(&fields, AUDIO_LEVEL, &[0x8a], &[7; 80]);
            self.media.handle_rtp(now, EndpointKey(1), &mut bytes, &mut self.sent);
        }
        for asked in std::mem::take(&mut self.sent.asked) {
            if let Some(camera) = self.cameras.iter_mut().find(|c| c.key == asked) {
                camera.key_frame_at.get_or_insert(now + KEY_FRAME_AFTER);
            }
        }
        for camera in &mut self.cameras {
            if camera.next_frame <= now {
                camera.next_frame += FRAME;
                camera.frame(now, &mut self.media, &mut self.sent);
            }
            if camera.next_report <= now {
                camera.next_report += REPORT;
                camera.report(now, &mut self.media, &mut self.sent);
            }
        }
    }

    /// RTCP of the viewer.
    pub(super) fn rtcp(&mut self, now: Instant, compound: &[u8]) {
        self.media.handle_rtcp(now, VIEWER, compound, &mut self.sent);
    }

    /// What the bridge thinks the viewer's link carries.
    pub(super) fn estimate(&self) -> Option<u64> {
        self.media.estimate(VIEWER).map(|e| e.0)
    }
}

impl Camera {
    fn frame(&mut self, now: Instant, media: &mut MediaConference, out: &mut Sent) {
        self.frames += 1;
        let key = self.key_frame_at.is_some_and(|at| at <= now);
        if key {
            self.key_frame_at = None;
        }
        let single = self.encodings.len() == 1;
        for (layer, encoding) in self.encodings.iter_mut().enumerate() {
            let weight = WEIGHTS[self.frames as usize % 4];
            let size = if key { encoding.key } else { (encoding.usual * weight) as usize };
            // A picture of one encoding is as large as the largest.
            let double = if single { 2 } else { layer };
            let parts = size.div_ceil(LONGEST);
            for part in 1..=parts {
                let fields = RtpFields {
                    marker: part == parts,
                    payload_type: VP8,
                    sequence: encoding.seq,
                    timestamp: self.frames * 3_000,
                    ssrc: self.key.0 * 1_000 + layer as u32,
                };
                let [hi, lo] = (self.frames as u16 | 0x8000).to_be_bytes();
                let start = if part == 1 { 0x90 } else { 0x80 };
                let mut body = vec![start, 0xe0, hi, lo, self.frames as u8, 0x20];
                if part == 1 && key {
                    body.extend([0x10, 0, 0, 0x9d, 1, 0x2a]);
                    body.extend((320_u16 << double).to_le_bytes());
                    body.extend((180_u16 << double).to_le_bytes());
                } else {
                    body.extend([0x11; 10]);
                }
                // The last byte tells the viewer what it sees.
                body.resize((size / parts).max(20), 3);
                body.push(layer as u8 | if key && part == 1 { 0x80 } else { 0 });
                encoding.seq = encoding.seq.wrapping_add(1);
                let (packets, octets) = encoding.totals;
                encoding.totals = (packets + 1, octets.wrapping_add(body.len() as u32));
                let mut bytes = packet(&fields, TRANSPORT_CC, &[0, 0], &body);
                media.handle_rtp(now, self.key, &mut bytes, out);
            }
        }
    }

    fn report(&mut self, now: Instant, media: &mut MediaConference, out: &mut Sent) {
        for (layer, encoding) in (0..).zip(&self.encodings) {
            let ntp = (u64::from(self.frames) + 1) << 28 | u64::from(self.key.0) << 20;
            let (packets, octets) = encoding.totals;
            let info = SenderInfo { ntp, rtp_timestamp: self.frames * 3_000, packets, octets };
            let mut buf = [0; 64];
            let ssrc = self.key.0 * 1_000 + layer;
            let len = report::write_sender_report(&mut buf, ssrc, &info, &[]).unwrap();
            media.handle_rtcp(now, self.key, &buf[..len], out);
        }
    }
}

fn packet(fields: &RtpFields, id: ExtensionId, value: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut header = [0; 64];
    let mut writer = HeaderWriter::new(&mut header, fields, ExtensionForm::OneByte).unwrap();
    writer.extension(id, value).unwrap();
    let len = writer.finish();
    [&header[..len], payload].concat()
}

fn sources(key: EndpointKey, encodings: u32) -> Vec<MediaSource> {
    if key == VIEWER {
        return Vec::new();
    }
    let base = key.0 * 1_000;
    let mut video = MediaSource::new(MediaType::Video, source(key.0 as usize - 1));
    for i in 0..encodings {
        let ssrcs = vec![Ssrc(base + i), Ssrc(base + 100 + i)];
        video.sources.extend(ssrcs.iter().copied().map(Source::new));
        video.ssrc_groups.push(SsrcGroup { semantics: Semantics::Fid, ssrcs });
    }
    if encodings > 1 {
        let ssrcs = (0..encodings).map(|i| Ssrc(base + i)).collect();
        video.ssrc_groups.insert(0, SsrcGroup { semantics: Semantics::Sim, ssrcs });
    }
    let mut audio = MediaSource::new(MediaType::Audio, SourceName::new(format!("camera{}-a0", key.0)));
    audio.sources.push(Source::new(Ssrc(base + 500)));
    vec![video, audio]
}
