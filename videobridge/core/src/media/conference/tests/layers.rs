//! One camera that sends layers in one stream, or an encoding with its own temporal ones: who gets which of them.

use jitsi_xmpp::bridge_channel::{ClientMessage, ReceiverVideoConstraints, VideoConstraints};
use jitsi_xmpp::ids::MediaType;
use jitsi_xmpp::jingle::{HeaderExtension, PayloadType, RtcpFeedback};
use videobridge_rtp::{ExtensionForm, ExtensionId, HeaderWriter, RtpFields};

use super::room::*;
use crate::media::egress::filter::tests::encoders::{Encoder, Kind, Sent, Truth, identity};
use crate::media::ids::Bitrate;
use crate::media::{EndpointKey, MediaConfig};

const DD: &str = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";

/// A room where A sends one stream of this kind.
struct Stage {
    room: Room,
    kind: Kind,
    encoder: Encoder,
    truths: Vec<Truth>,
    picture: usize,
    key: bool,
    key_frames: usize,
    skip: usize,
}

impl Stage {
    fn new(kind: Kind) -> Self {
        let config =
            MediaConfig { assumed_bandwidth_limit: Some(Bitrate(50_000_000)), ..MediaConfig::default() };
        let mut room = Room::with(config);
        for (key, rewriting) in [(A, true), (B, true), (C, false)] {
            room.join(key, rewriting);
            let codecs = [(101, "VP9"), (41, "AV1"), (107, "H264")].map(|(id, name)| {
                let mut codec = PayloadType::new(id, name, 90_000, 1);
                codec.rtcp_fbs = vec![RtcpFeedback::new("nack", Some("pli"))];
                codec
            });
            room.media.add_payload_types(key, MediaType::Video, &codecs);
            room.media.add_header_extensions(key, &[HeaderExtension::new(11, DD)]);
            room.camera(key).layers = 0;
        }
        let sources = [microphone(A), camera(A, 1)];
        room.media.set_sources(room.now, A, &sources, &mut room.out);
        let encoder = Encoder::new(kind, 0);
        Self { room, kind, encoder, truths: Vec::new(), picture: 0, key: true, key_frames: 0, skip: 0 }
    }

    fn payload_type(&self) -> u8 {
        match self.kind {
            Kind::Vp8 => 100,
            Kind::Vp9 { .. } => 101,
            Kind::Targets { .. } => 41,
        }
    }

    fn want(&mut self, key: EndpointKey, max_height: i32, bandwidth: i64) {
        let wish = ReceiverVideoConstraints {
            default_constraints: Some(VideoConstraints { max_height, max_frame_rate: -1.0 }),
            assumed_bandwidth_bps: Some(bandwidth),
            ..ReceiverVideoConstraints::default()
        };
        self.room.say(key, ClientMessage::ReceiverVideoConstraints(wish));
    }

    fn pictures(&mut self, count: usize) {
        for _ in 0..count {
            self.picture += 1;
            let key = std::mem::take(&mut self.key);
            self.key_frames += usize::from(key);
            let packets = self.encoder.picture(self.picture, key, &mut self.truths, || 2);
            packets.iter().for_each(|p| self.send(p));
            let asked = self.room.key_frame_requests().iter().any(|(to, _)| *to == A);
            self.key = asked;
            self.room.pass(33);
        }
    }

    fn send(&mut self, p: &Sent) {
        let fields = RtpFields {
            marker: p.marker,
            payload_type: self.payload_type(),
            sequence: p.seq as u16,
            timestamp: p.timestamp,
            ssrc: ssrc(A, 0),
        };
        let mut header = [0; 200];
        let mut writer = HeaderWriter::new(&mut header, &fields, ExtensionForm::TwoByte).unwrap();
        if !p.descriptor.is_empty() {
            writer.extension(ExtensionId::new(11).unwrap(), &p.descriptor).unwrap();
        }
        let len = writer.finish();
        self.room.rtp(A, &[&header[..len], &p.payload].concat());
    }

    /// What one receiver got since the last time: spatial and temporal layers, ascending.
    fn got(&mut self, key: EndpointKey) -> (Vec<u8>, Vec<u8>) {
        let got = self.room.take(key, self.payload_type());
        assert!(got.windows(2).all(|pair| pair[1].seq == pair[0].seq + 1), "numbers run on");
        let mut layers = (Vec::new(), Vec::new());
        for packet in got.iter().skip(self.skip) {
            let truth = &self.truths[identity(&packet.payload).0];
            layers.0.push(truth.spatial);
            layers.1.push(truth.temporal);
        }
        for list in [&mut layers.0, &mut layers.1] {
            list.sort_unstable();
            list.dedup();
        }
        layers
    }
}

fn svc() -> [Kind; 5] {
    let vp9 = |key_only, flexible| Kind::Vp9 { spatial: 3, key_only, flexible };
    let targets = |key_only| Kind::Targets { spatial: 3, key_only };
    [vp9(false, false), vp9(false, true), vp9(true, true), targets(false), targets(true)]
}

#[test]
fn a_thumbnail_of_one_stream_with_layers_was_the_whole_stream() {
    for kind in svc() {
        let mut stage = Stage::new(kind);
        stage.want(B, 180, 20_000_000);
        stage.want(C, 720, 20_000_000);
        stage.pictures(60);
        stage.got(B);
        stage.got(C);
        stage.pictures(60);
        let full = if matches!(kind, Kind::Vp9 { key_only: true, .. } | Kind::Targets { key_only: true, .. })
        {
            vec![2]
        } else {
            vec![0, 1, 2]
        };
        // The sizes of VP9's model structure are all 180.
        let small = if matches!(kind, Kind::Targets { .. }) { vec![0] } else { full.clone() };
        assert_eq!(stage.got(B), (small, vec![0, 1, 2]), "{kind:?}");
        assert_eq!(stage.got(C), (full, vec![0, 1, 2]), "{kind:?}");
    }
}

#[test]
fn who_has_little_bandwidth_gets_fewer_pictures_and_smaller_ones() {
    for kind in svc() {
        let mut stage = Stage::new(kind);
        // The base layer is 7.5 times two packets of some 140 bytes a second, all of the lowest four times that.
        for (bandwidth, layers) in
            [(20_000, (0, 0)), (45_000, (0, 1)), (20_000_000, (2, 2)), (20_000, (0, 0))]
        {
            stage.want(B, 720, bandwidth);
            stage.pictures(60);
            stage.got(B);
            stage.pictures(60);
            let got = stage.got(B);
            let highest = (got.0.last().copied(), got.1.last().copied());
            assert_eq!(highest, (Some(layers.0), Some(layers.1)), "{kind:?} at {bandwidth}");
        }
    }
}

#[test]
fn a_vp8_encoding_is_sent_with_fewer_pictures_before_it_is_not_sent_at_all() {
    let mut stage = Stage::new(Kind::Vp8);
    for (bandwidth, temporal) in [(20_000, 0), (45_000, 1), (20_000_000, 2), (20_000, 0), (20_000_000, 2)] {
        stage.want(B, 180, bandwidth);
        stage.pictures(90);
        stage.got(B);
        stage.pictures(30);
        assert_eq!(stage.got(B).1.last(), Some(&temporal), "at {bandwidth}");
    }
    // The second is for when it is known that the layer costs less than layers of that height usually do.
    assert_eq!(stage.key_frames, 2, "no switch of temporal layers needs one");
}
