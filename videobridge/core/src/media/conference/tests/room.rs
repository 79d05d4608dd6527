//! The rig: a conference, clients that send synthetic packets, and a record of everything that came out.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use jitsi_xmpp::bridge_channel::{BridgeMessage, ClientMessage, ReceiverVideoConstraints, VideoConstraints};
use jitsi_xmpp::colibri2::MediaSource;
use jitsi_xmpp::ids::{EndpointId, MediaType, SourceName, Ssrc};
use jitsi_xmpp::jingle::{
    HeaderExtension, Parameter, PayloadType, RtcpFeedback, Semantics, Source, SsrcGroup,
};
use videobridge_rtp::rtcp::{Compound, Rtcp};
use videobridge_rtp::{ExtensionForm, ExtensionId, HeaderWriter, RtpFields, RtpPacket, Unwrapper};

use crate::media::{
    EndpointInit, EndpointKey, FeedbackSsrcs, MediaConference, MediaConfig, MediaSink, RelayInit,
};

/// A packet a receiver got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Got {
    pub(super) at: Instant,
    pub(super) pt: u8,
    pub(super) seq: u64,
    pub(super) ts: u32,
    pub(super) ssrc: u32,
    pub(super) marker: bool,
    pub(super) extensions: Vec<(u8, Vec<u8>)>,
    pub(super) payload: Vec<u8>,
    /// Bytes on the wire before encryption.
    pub(super) len: usize,
    /// How many messages had been sent before it.
    pub(super) after_messages: usize,
}

impl Got {
    pub(super) fn picture_id(&self) -> u16 {
        u16::from_be_bytes([self.payload[2] & 0x7f, self.payload[3]])
    }

    pub(super) fn tl0(&self) -> u8 {
        self.payload[4]
    }

    /// Which encoding it was made of: the sender writes it into the body.
    pub(super) fn encoding(&self) -> u8 {
        *self.payload.last().unwrap()
    }
}

#[derive(Default)]
pub(super) struct Out {
    now: Option<Instant>,
    pub(super) rtp: Vec<(EndpointKey, Got)>,
    pub(super) rtcp: Vec<(EndpointKey, Vec<u8>)>,
    pub(super) messages: Vec<(EndpointKey, BridgeMessage)>,
    /// Whose channel takes nothing.
    pub(super) deaf: Option<EndpointKey>,
    /// Every receiver, SSRC and index there was, and those that came twice: with AES-GCM that gives the key away.
    indices: HashSet<(EndpointKey, u32, u64)>,
    numbers: HashMap<(EndpointKey, u32), Unwrapper>,
    pub(super) twice: Vec<(EndpointKey, u32, u64)>,
    /// Speech that may be sent again: to whom, its number, SSRC and sequence number. What was sent again and when. Where none is any more.
    pub(super) speech: Vec<(EndpointKey, u32, u32, u64)>,
    pub(super) again: Vec<(Instant, EndpointKey, u32)>,
    pub(super) ended: Vec<EndpointKey>,
}

impl MediaSink for Out {
    fn rtp(&mut self, to: EndpointKey, parts: [&[u8]; 3]) {
        let bytes = parts.concat();
        let p = RtpPacket::parse(&bytes).unwrap();
        // As SRTP counts it.
        let ext_seq = self.numbers.entry((to, p.ssrc())).or_default().extend(p.sequence()).0;
        if !self.indices.insert((to, p.ssrc(), ext_seq)) {
            self.twice.push((to, p.ssrc(), ext_seq));
        }
        let got = Got {
            at: self.now.unwrap(),
            pt: p.payload_type(),
            seq: ext_seq,
            ts: p.timestamp(),
            ssrc: p.ssrc(),
            marker: p.marker(),
            extensions: p.extensions().map(|e| (e.id.wire(), e.data.to_vec())).collect(),
            payload: p.payload().to_vec(),
            len: bytes.len(),
            after_messages: self.messages.len(),
        };
        self.rtp.push((to, got));
    }

    fn speech(&mut self, to: EndpointKey, nth: u32, parts: [&[u8]; 3]) {
        self.rtp(to, parts);
        let (_, got) = self.rtp.last().unwrap();
        self.speech.push((to, nth, got.ssrc, got.seq));
    }

    fn speech_again(&mut self, to: EndpointKey, nth: u32) -> bool {
        self.again.push((self.now.unwrap(), to, nth));
        true
    }

    fn speech_ends(&mut self, to: EndpointKey) {
        self.ended.push(to);
    }

    fn rtcp(&mut self, to: EndpointKey, compound: &[u8]) {
        self.rtcp.push((to, compound.to_vec()));
    }

    fn message(&mut self, to: EndpointKey, message: &BridgeMessage) -> bool {
        if self.deaf != Some(to) {
            self.messages.push((to, message.clone()));
        }
        self.deaf != Some(to)
    }
}

impl Out {
    /// An endpoint is gone, and its keys with it.
    pub(super) fn forget(&mut self, key: EndpointKey) {
        self.indices.retain(|(to, ..)| *to != key);
        self.numbers.retain(|(to, _), _| *to != key);
    }
}

pub(super) struct Room {
    pub(super) now: Instant,
    pub(super) media: MediaConference,
    pub(super) out: Out,
    senders: Vec<Camera>,
}

/// A three-layer camera that answers key frame requests.
pub(super) struct Camera {
    pub(super) key: EndpointKey,
    /// Over whose transport its packets come.
    carrier: EndpointKey,
    seq: [u16; 3],
    ts: [u32; 3],
    picture: [u16; 3],
    tl0: [u8; 3],
    pub(super) needs_key: [bool; 3],
    frame: u32,
    pub(super) layers: usize,
    transport: u16,
}

pub(super) const A: EndpointKey = EndpointKey(10);
pub(super) const B: EndpointKey = EndpointKey(11);
pub(super) const C: EndpointKey = EndpointKey(12);

pub(super) fn name(key: EndpointKey) -> String {
    format!("endpoint{}", key.0)
}

pub(super) fn video_name(key: EndpointKey) -> SourceName {
    SourceName::new(format!("{}-v0", name(key)))
}

pub(super) fn ssrc(key: EndpointKey, encoding: usize) -> u32 {
    key.0 * 1000 + encoding as u32
}

pub(super) fn rtx_ssrc(key: EndpointKey, encoding: usize) -> u32 {
    key.0 * 1000 + 100 + encoding as u32
}

pub(super) fn audio_ssrc(key: EndpointKey) -> u32 {
    key.0 * 1000 + 500
}

pub(super) fn camera(key: EndpointKey, encodings: usize) -> MediaSource {
    let mut source = MediaSource::new(MediaType::Video, video_name(key));
    let fid = |i| vec![Ssrc(ssrc(key, i)), Ssrc(rtx_ssrc(key, i))];
    for i in 0..encodings {
        source.sources.extend(fid(i).into_iter().map(Source::new));
        source.ssrc_groups.push(SsrcGroup { semantics: Semantics::Fid, ssrcs: fid(i) });
    }
    let ssrcs = (0..encodings).map(|i| Ssrc(ssrc(key, i))).collect();
    source.ssrc_groups.insert(0, SsrcGroup { semantics: Semantics::Sim, ssrcs });
    source
}

pub(super) fn microphone(key: EndpointKey) -> MediaSource {
    let mut source = MediaSource::new(MediaType::Audio, SourceName::new(format!("{}-a0", name(key))));
    source.sources.push(Source::new(Ssrc(audio_ssrc(key))));
    source
}

pub(super) const AUDIO_LEVEL: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
pub(super) const TRANSPORT_CC: &str =
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

impl Room {
    pub(super) fn new() -> Self {
        Self::with(MediaConfig::default())
    }

    pub(super) fn with(config: MediaConfig) -> Self {
        let feedback = FeedbackSsrcs { audio: Ssrc(1), video: Ssrc(2) };
        let now = Instant::now();
        let out = Out { now: Some(now), ..Out::default() };
        Self { now, media: MediaConference::new(config, feedback, 42), out, senders: Vec::new() }
    }

    /// An endpoint with everything negotiated, a microphone and a camera, and its channel open.
    pub(super) fn join(&mut self, key: EndpointKey, ssrc_rewriting: bool) {
        self.join_silently(key, ssrc_rewriting);
        self.media.set_channel_open(self.now, key, true, &mut self.out);
    }

    pub(super) fn join_silently(&mut self, key: EndpointKey, ssrc_rewriting: bool) {
        let id = EndpointId::new(name(key));
        let init = EndpointInit { id, ssrc_rewriting, visitor: false, initial_last_n: None };
        self.media.add_endpoint(self.now, key, init);
        self.negotiate(key);
        self.media.set_sources(self.now, key, &[microphone(key), camera(key, 3)], &mut self.out);
        self.media.set_transport_up(self.now, key, true, &mut self.out);
        self.senders.push(Camera::new(key));
    }

    /// Another bridge, reached and with a channel.
    pub(super) fn relay(&mut self, key: EndpointKey, mesh: &str) {
        let init = RelayInit { id: name(key), mesh: Some(mesh.to_owned()) };
        self.media.add_relay(self.now, key, init);
        self.negotiate(key);
        self.media.set_transport_up(self.now, key, true, &mut self.out);
        self.media.set_channel_open(self.now, key, true, &mut self.out);
    }

    /// Somebody behind a relay, with microphone and camera.
    pub(super) fn remote(&mut self, relay: EndpointKey, key: EndpointKey) {
        let (id, sources) = (EndpointId::new(name(key)), [microphone(key), camera(key, 3)]);
        assert!(self.media.set_remote_endpoint(self.now, relay, &id, &sources, &mut self.out));
        self.senders.push(Camera { carrier: relay, ..Camera::new(key) });
    }

    /// What another bridge says.
    pub(super) fn relay_says(&mut self, relay: EndpointKey, message: &BridgeMessage) -> bool {
        self.media.handle_relay_message(self.now, relay, message, &mut self.out)
    }

    fn negotiate(&mut self, key: EndpointKey) {
        let mut vp8 = PayloadType::new(100, "VP8", 90_000, 1);
        vp8.rtcp_fbs = vec![RtcpFeedback::new("nack", Some("pli")), RtcpFeedback::new("transport-cc", None)];
        let mut rtx = PayloadType::new(96, "rtx", 90_000, 1);
        rtx.parameters = vec![Parameter::new("apt", "100")];
        self.media.add_payload_types(key, MediaType::Video, &[vp8, rtx]);
        self.media.add_payload_types(key, MediaType::Audio, &[PayloadType::new(111, "opus", 48_000, 2)]);
        let extensions = [HeaderExtension::new(1, AUDIO_LEVEL), HeaderExtension::new(5, TRANSPORT_CC)];
        self.media.add_header_extensions(key, &extensions);
    }

    pub(super) fn leave(&mut self, key: EndpointKey) {
        self.senders.retain(|s| s.key != key);
        self.media.remove_endpoint(self.now, key, &mut self.out);
    }

    pub(super) fn camera(&mut self, key: EndpointKey) -> &mut Camera {
        self.senders.iter_mut().find(|s| s.key == key).unwrap()
    }

    pub(super) fn media_camera(&self, key: EndpointKey) -> &Camera {
        self.senders.iter().find(|s| s.key == key).unwrap()
    }

    pub(super) fn say(&mut self, key: EndpointKey, message: ClientMessage) {
        self.media.handle_channel_message(self.now, key, &message, &mut self.out);
    }

    /// `ReceiverVideoConstraints` with one stage source or none.
    pub(super) fn want(&mut self, key: EndpointKey, default: i32, stage: Option<(EndpointKey, i32)>) {
        let limit = |max_height| VideoConstraints { max_height, max_frame_rate: -1.0 };
        self.say(
            key,
            ClientMessage::ReceiverVideoConstraints(ReceiverVideoConstraints {
                default_constraints: Some(limit(default)),
                on_stage_sources: Some(stage.iter().map(|(k, _)| video_name(*k)).collect()),
                constraints: Some(stage.iter().map(|(k, h)| (video_name(*k), limit(*h))).collect()),
                ..ReceiverVideoConstraints::default()
            }),
        );
    }

    pub(super) fn rtp(&mut self, from: EndpointKey, bytes: &[u8]) {
        self.out.now = Some(self.now);
        self.media.handle_rtp(self.now, from, &mut bytes.to_vec(), &mut self.out);
    }

    pub(super) fn rtcp(&mut self, from: EndpointKey, bytes: &[u8]) {
        self.out.now = Some(self.now);
        self.media.handle_rtcp(self.now, from, bytes, &mut self.out);
    }

    /// One video frame of each layer from every camera, then 33 ms pass.
    pub(super) fn frame(&mut self) {
        self.send_frame();
        self.pass(33);
    }

    /// One video frame of each layer from every camera.
    pub(super) fn send_frame(&mut self) {
        for i in 0..self.senders.len() {
            let packets = self.senders[i].frame();
            let key = self.senders[i].carrier;
            packets.iter().for_each(|p| self.rtp(key, p));
        }
    }

    pub(super) fn frames(&mut self, n: usize) {
        (0..n).for_each(|_| self.frame());
    }

    /// Time passes; timers run; cameras see the key frame requests that came.
    pub(super) fn pass(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        self.out.now = Some(self.now);
        while let Some(at) = self.media.poll_timeout().filter(|at| *at <= self.now) {
            self.media.handle_timeout(at.max(self.now), &mut self.out);
        }
        let asked = self.key_frame_requests();
        for (key, media) in asked {
            let asked = |s: &&mut Camera| s.carrier == key && (0..3).any(|i| ssrc(s.key, i) == media);
            if let Some(camera) = self.senders.iter_mut().find(asked) {
                // Like libwebrtc: a request for one encoding is answered by all.
                camera.needs_key = [true; 3];
            }
        }
        self.out.rtcp.retain(|(_, bytes)| !matches!(Compound::new(bytes).next(), Some(Ok(Rtcp::Pli { .. }))));
    }

    /// PLIs not yet answered: to whom, for which SSRC.
    pub(super) fn key_frame_requests(&self) -> Vec<(EndpointKey, u32)> {
        let pli = |bytes: &[u8]| match Compound::new(bytes).next() {
            Some(Ok(Rtcp::Pli { media, .. })) => Some(media),
            _ => None,
        };
        self.out.rtcp.iter().filter_map(|(to, b)| Some((*to, pli(b)?))).collect()
    }

    /// What an endpoint got with this payload type, and forgets it. What only probes its link is left out.
    pub(super) fn take(&mut self, to: EndpointKey, pt: u8) -> Vec<Got> {
        let (taken, left) =
            std::mem::take(&mut self.out.rtp).into_iter().partition(|(k, g)| *k == to && g.pt == pt);
        self.out.rtp = left;
        let taken: Vec<(EndpointKey, Got)> = taken;
        taken.into_iter().map(|(_, g)| g).filter(|g| !g.payload.is_empty()).collect()
    }

    pub(super) fn messages(&self, to: EndpointKey) -> Vec<&BridgeMessage> {
        self.out.messages.iter().filter(|(k, _)| *k == to).map(|(_, m)| m).collect()
    }

    /// One audio packet with this level.
    pub(super) fn audio(&mut self, from: EndpointKey, seq: u16, level: u8) {
        self.audio_over(from, from, seq, level);
    }

    /// The same of somebody whose packets come over the transport of `carrier`.
    pub(super) fn audio_over(&mut self, carrier: EndpointKey, from: EndpointKey, seq: u16, level: u8) {
        let fields = RtpFields {
            marker: false,
            payload_type: 111,
            sequence: seq,
            timestamp: u32::from(seq) * 960,
            ssrc: audio_ssrc(from),
        };
        let bytes = packet(&fields, &[(1, &[0x80 | level])], b"opus");
        self.rtp(carrier, &bytes);
    }
}

impl Camera {
    fn new(key: EndpointKey) -> Self {
        Self {
            key,
            carrier: key,
            seq: [65_500, 100, 30_000],
            ts: [1_000, 500_000, u32::MAX - 50_000],
            picture: [0x7ff0, 5, 300],
            tl0: [250, 1, 100],
            needs_key: [true; 3],
            frame: 0,
            layers: 3,
            transport: 0,
        }
    }

    /// Two packets per layer; the layer is the last byte.
    pub(super) fn frame(&mut self) -> Vec<Vec<u8>> {
        self.frame += 1;
        let mut out = Vec::new();
        for i in 0..self.layers {
            let key_frame = std::mem::take(&mut self.needs_key[i]);
            self.picture[i] = (self.picture[i] + 1) & 0x7fff;
            self.tl0[i] = self.tl0[i].wrapping_add(1);
            self.ts[i] = self.ts[i].wrapping_add(2970);
            for part in 0..2u8 {
                self.seq[i] = self.seq[i].wrapping_add(1);
                self.transport = self.transport.wrapping_add(1);
                let fields = RtpFields {
                    marker: part == 1,
                    payload_type: 100,
                    sequence: self.seq[i],
                    timestamp: self.ts[i],
                    ssrc: ssrc(self.key, i),
                };
                let [hi, lo] = (self.picture[i] | 0x8000).to_be_bytes();
                let mut body = vec![0x80 | (0x10 * (1 - part)), 0xe0, hi, lo, self.tl0[i], 0x20];
                if part == 0 && key_frame {
                    body.extend([0x10, 0, 0, 0x9d, 1, 0x2a, 0, 1]);
                    body.extend((180u16 << i).to_le_bytes());
                } else {
                    body.extend([0x11; 10]);
                }
                body.resize(60 + 200 * i, 7);
                body.push(i as u8);
                out.push(packet(&fields, &[(5, &self.transport.to_be_bytes())], &body));
            }
        }
        out
    }

    /// Begins anew under the same SSRCs, with timestamps and picture ids of before.
    pub(super) fn restart(&mut self) {
        self.ts.iter_mut().for_each(|ts| *ts = ts.wrapping_sub(90_000 * 600));
        self.picture.iter_mut().for_each(|id| *id = id.wrapping_sub(5_000) & 0x7fff);
        self.tl0.iter_mut().for_each(|tl0| *tl0 = tl0.wrapping_sub(100));
        self.seq.iter_mut().for_each(|seq| *seq = seq.wrapping_add(9_000));
        self.needs_key = [true; 3];
    }

    /// The numbers of a frame of one layer that is sent by hand, in so many packets.
    pub(super) fn frame_of(&mut self, layer: usize, packets: u16) -> Place {
        self.picture[layer] = (self.picture[layer] + 1) & 0x7fff;
        self.tl0[layer] = self.tl0[layer].wrapping_add(1);
        self.ts[layer] = self.ts[layer].wrapping_add(2970);
        let sequence = self.seq[layer].wrapping_add(1);
        self.seq[layer] = self.seq[layer].wrapping_add(packets);
        let (timestamp, picture, tl0) = (self.ts[layer], self.picture[layer], self.tl0[layer]);
        Place { sequence, timestamp, picture, tl0 }
    }

    pub(super) fn sequence(&self, layer: usize) -> u16 {
        self.seq[layer]
    }
}

/// Where a frame is in its stream; the sequence number is its first packet's.
pub(super) struct Place {
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    pub(super) picture: u16,
    pub(super) tl0: u8,
}

pub(super) fn packet(fields: &RtpFields, extensions: &[(u8, &[u8])], payload: &[u8]) -> Vec<u8> {
    let mut header = [0; 200];
    let mut writer = HeaderWriter::new(&mut header, fields, ExtensionForm::OneByte).unwrap();
    extensions.iter().for_each(|(id, data)| writer.extension(ExtensionId::new(*id).unwrap(), data).unwrap());
    let len = writer.finish();
    [&header[..len], payload].concat()
}

/// Asserts that packets form one uninterrupted stream; returns the encodings they came from, without repeats.
pub(super) fn assert_continuous(packets: &[Got]) -> Vec<u8> {
    let mut encodings: Vec<u8> = Vec::new();
    for pair in packets.windows(2) {
        let [a, b] = pair else { unreachable!() };
        assert_eq!(b.seq, a.seq + 1, "sequence numbers");
        assert_eq!(b.ssrc, a.ssrc);
        let same_frame = a.ts == b.ts;
        let step = b.ts.wrapping_sub(a.ts);
        let ms = b.at.duration_since(a.at).as_millis() as u32;
        assert!(
            same_frame || (1..=3000 * ms.div_ceil(33).max(1)).contains(&step),
            "timestamps: {step} in {ms} ms"
        );
        assert_eq!(same_frame, !a.marker, "a frame ends with its marker");
        let pictures = b.picture_id().wrapping_sub(a.picture_id()) & 0x7fff;
        assert_eq!((pictures, b.tl0().wrapping_sub(a.tl0())), if same_frame { (0, 0) } else { (1, 1) });
    }
    for p in packets {
        if encodings.last() != Some(&p.encoding()) {
            encodings.push(p.encoding());
        }
    }
    encodings
}
