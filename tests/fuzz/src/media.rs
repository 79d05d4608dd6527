//! What the bridge reads on its media port and from decrypted media: any bytes in, broken promises out.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jitsi_xmpp::bridge_channel::{BridgeMessage, ClientMessage};
use jitsi_xmpp::colibri2::MediaSource;
use jitsi_xmpp::entropy::SeededEntropy;
use jitsi_xmpp::ids::{EndpointId, MediaType, SourceName, Ssrc};
use jitsi_xmpp::jingle::{
    HeaderExtension, Parameter, PayloadType, RtcpFeedback, Semantics, Source, SsrcGroup,
};
use videobridge_core::media::{
    EndpointInit, EndpointKey, FeedbackSsrcs, MediaConference, MediaConfig, MediaSink,
};
use videobridge_core::{
    Certificate, DatagramSink, Disposition, Kind, LocalAddress, Shard, ShardConfig, classify,
};
use videobridge_rtp::codecs::vp8::Vp8Descriptor;
use videobridge_rtp::rtcp::transport_cc::{self, Arrival};
use videobridge_rtp::rtcp::{Compound, Rtcp, feedback, report};
use videobridge_rtp::{ExtensionForm, HeaderWriter, RtpFields, RtpPacket, Unwrapper, rtx};
use videobridge_srtp::{Profile, Receiver, SrtpKeys};

/// The first byte of a datagram (RFC 7983): STUN, DTLS and media are told apart, and all of it finds its way.
pub fn z02_demux(data: &[u8]) {
    let first = data.first().copied();
    match classify(data) {
        Some(Kind::Stun) => assert!(matches!(first, Some(0..=3))),
        Some(Kind::Dtls) => assert!(matches!(first, Some(20..=63))),
        Some(Kind::Rtp | Kind::Rtcp) => assert!(matches!(first, Some(128..=191))),
        None => {}
    }
    let _ = videobridge_core::shard_of_request(data);
}

/// RTP headers and their extensions: what is written again says the same.
pub fn z03_rtp(data: &[u8]) {
    let Ok(packet) = RtpPacket::parse(data) else { return };
    let padding = usize::from(packet.padding());
    assert_eq!(packet.header_len() + packet.payload().len() + padding, data.len());
    let fields = RtpFields {
        marker: packet.marker(),
        payload_type: packet.payload_type(),
        sequence: packet.sequence(),
        timestamp: packet.timestamp(),
        ssrc: packet.ssrc(),
    };
    let mut buf = vec![0; data.len() + 300];
    let form = ExtensionForm::for_elements(packet.extensions().map(|e| (e.id, e.data.len())));
    let Some(mut header) = HeaderWriter::new(&mut buf, &fields, form) else { return };
    let mut kept = Vec::new();
    for e in packet.extensions() {
        if header.extension(e.id, e.data).is_some() {
            kept.push((e.id, e.data));
        }
    }
    let len = header.finish();
    let again = RtpPacket::parse(&buf[..len]).expect("what is written can be read");
    assert_eq!(again.extensions().map(|e| (e.id, e.data)).collect::<Vec<_>>(), kept);
    assert_eq!(
        (again.sequence(), again.timestamp(), again.ssrc()),
        (fields.sequence, fields.timestamp, fields.ssrc)
    );
}

/// Compounds of RTCP: no list is longer than its packet, and what we write ourselves is read the same.
pub fn z04_rtcp(data: &[u8]) {
    let mut buf = [0; 1500];
    for packet in Compound::new(data) {
        match packet {
            Ok(Rtcp::SenderReport { ssrc, info, blocks }) => {
                let blocks: Vec<_> = blocks.collect();
                assert!(blocks.len() <= report::MAX_BLOCKS);
                let len = report::write_sender_report(&mut buf, ssrc, &info, &blocks).expect("room");
                let Some(Ok(Rtcp::SenderReport { info: i, blocks: b, .. })) =
                    Compound::new(&buf[..len]).next()
                else {
                    panic!("not a sender report");
                };
                assert!(i == info && b.eq(blocks));
            }
            Ok(Rtcp::ReceiverReport { blocks, .. }) => assert!(blocks.count() <= report::MAX_BLOCKS),
            Ok(Rtcp::Goodbye(ssrcs)) => assert!(ssrcs.count() <= 31),
            Ok(Rtcp::Fir(fir)) => assert!(fir.entries().count() * 8 <= data.len()),
            Ok(Rtcp::Remb(remb)) => assert!(remb.ssrcs().count() <= 255),
            Ok(Rtcp::Nack(nack)) => {
                let lost: Vec<u16> = nack.sequences().take(300).collect();
                assert!(nack.sequences().count() <= 17 * data.len() / 4);
                if let Some((len, taken)) = feedback::write_nack(&mut buf, 1, 2, &lost) {
                    let Some(Ok(Rtcp::Nack(again))) = Compound::new(&buf[..len]).next() else {
                        panic!("not a NACK");
                    };
                    let asked: HashSet<u16> = again.sequences().collect();
                    assert!(lost.iter().take(taken).all(|seq| asked.contains(seq)));
                }
            }
            _ => {}
        }
    }
}

/// Transport-wide feedback: any, and one of arrivals made of the bytes; what was reported is what arrived.
pub fn z05_transport_cc(data: &[u8]) {
    let wrapped =
        [&[0x8f, 205][..], &u16::try_from(data.len() / 4).unwrap_or(0).to_be_bytes(), data].concat();
    for bytes in [data, &wrapped] {
        if let Some(Ok(Rtcp::TransportFeedback(feedback))) = Compound::new(bytes).next() {
            assert!(feedback.statuses().count() <= usize::from(feedback.status_count));
        }
    }
    let (mut sequence, mut time_us) = (100_u64, 1_000_000_u64);
    let arrivals: Vec<Arrival> = data
        .chunks_exact(2)
        .map(|pair| {
            sequence += 1 + u64::from(pair[0]).pow(2) / 64;
            time_us += u64::from(pair[1]).pow(3);
            Arrival { sequence, time_us }
        })
        .collect();
    let mut buf = [0; 1200];
    let Some(written) = transport_cc::write(&mut buf, 1, 2, 0, 100, &arrivals) else { return };
    let Some(Ok(Rtcp::TransportFeedback(f))) = Compound::new(&buf[..written.len]).next() else {
        panic!("not feedback");
    };
    let got = f.statuses().filter(|s| s.delta_us.is_some()).map(|s| s.sequence);
    assert!(got.eq(arrivals.iter().take(written.arrivals).map(|a| a.sequence as u16)));
}

/// VP8 descriptors are written as they were read; retransmissions carry what they say.
pub fn z06_payloads(data: &[u8]) {
    if let Ok((descriptor, len)) = Vp8Descriptor::parse(data) {
        let mut buf = [0; Vp8Descriptor::MAX_LEN];
        let written = descriptor.write(&mut buf).expect("room");
        assert!(written <= len);
        assert_eq!(Vp8Descriptor::parse(&buf[..written]).expect("what is written can be read").0, descriptor);
    }
    if let Some((sequence, body)) = rtx::parse(data) {
        assert_eq!([&sequence.to_be_bytes()[..], body].concat(), data);
    }
    let mut packet = data.to_vec();
    let before = RtpPacket::parse(data).ok().and_then(|p| rtx::parse(p.payload()));
    if let Some(original) = rtx::restore(&mut packet, 7, 100) {
        let view = RtpPacket::parse(original).expect("still a packet");
        assert_eq!(before, Some((view.sequence(), view.payload())));
    }
}

fn keys(profile: Profile) -> Receiver {
    let material: Vec<u8> = (0..profile.keying_material_len()).map(|i| i as u8).collect();
    SrtpKeys::from_dtls_exporter(profile, &material, true).and_then(SrtpKeys::split).expect("keys").1
}

/// What is not authentic changes nothing.
pub fn z08_srtp(data: &[u8]) {
    for profile in [Profile::AeadAes256Gcm, Profile::AeadAes128Gcm, Profile::Aes128CmHmacSha1_80] {
        let mut receiver = keys(profile);
        assert!(receiver.unprotect_rtp(&mut data.to_vec()).is_err());
        assert!(receiver.unprotect_rtcp(&mut data.to_vec()).is_err());
        assert_eq!(receiver.ssrc_counts(), (0, 0));
    }
}

/// Counts indices as SRTP does.
#[derive(Default)]
struct Wire {
    numbers: HashMap<(EndpointKey, u32), Unwrapper>,
    seen: HashSet<(EndpointKey, u32, u64)>,
}

impl MediaSink for Wire {
    fn rtp(&mut self, to: EndpointKey, header: &[u8], prefix: &[u8], payload: &[u8]) {
        let bytes = [header, prefix, payload].concat();
        let packet = RtpPacket::parse(&bytes).expect("what is sent is RTP");
        let index = self.numbers.entry((to, packet.ssrc())).or_default().unwrap(packet.sequence());
        assert!(self.seen.insert((to, packet.ssrc(), index)), "an index was used twice");
    }

    fn rtcp(&mut self, _: EndpointKey, compound: &[u8]) {
        assert!(Compound::new(compound).all(|p| p.is_ok()), "what is sent is RTCP");
    }

    fn message(&mut self, _: EndpointKey, _: &BridgeMessage) -> bool {
        true
    }
}

/// What senders may use: payload type and SSRC by the first byte of a packet.
const STREAMS: [(u8, u32); 8] =
    [(100, 1000), (101, 1000), (41, 1000), (107, 1000), (96, 1001), (111, 1002), (100, 1003), (97, 1001)];

/// Everybody has the same, and SSRCs of their own.
fn join(media: &mut MediaConference, now: Instant, key: EndpointKey, wire: &mut Wire) {
    let id = format!("endpoint{}", key.0);
    let init = EndpointInit {
        id: EndpointId::new(id.clone()),
        ssrc_rewriting: key.0 != 2,
        visitor: false,
        initial_last_n: None,
    };
    media.add_endpoint(now, key, init);
    let codec = |id, name| {
        let mut codec = PayloadType::new(id, name, 90_000, 1);
        codec.rtcp_fbs =
            vec![RtcpFeedback::new("nack", Some("pli")), RtcpFeedback::new("transport-cc", None)];
        codec
    };
    let rtx = |id, of: &str| {
        let mut rtx = PayloadType::new(id, "rtx", 90_000, 1);
        rtx.parameters = vec![Parameter::new("apt", of)];
        rtx
    };
    let video = [
        codec(100, "VP8"),
        codec(101, "VP9"),
        codec(41, "AV1"),
        codec(107, "H264"),
        rtx(96, "100"),
        rtx(97, "101"),
    ];
    media.set_payload_types(key, MediaType::Video, &video);
    media.set_payload_types(key, MediaType::Audio, &[PayloadType::new(111, "opus", 48_000, 2)]);
    let extensions = [
        (1, "urn:ietf:params:rtp-hdrext:ssrc-audio-level"),
        (5, "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"),
        (11, "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"),
    ];
    media.set_header_extensions(key, &extensions.map(|(id, uri)| HeaderExtension::new(id, uri)));
    media.set_sources(now, key, &sources(key), wire);
    media.set_transport_up(now, key, true, wire);
    media.set_channel_open(now, key, true, wire);
    let wish =
        r#"{"colibriClass":"ReceiverVideoConstraints","lastN":-1,"defaultConstraints":{"maxHeight":720}}"#;
    media.handle_channel_message(now, key, &ClientMessage::parse(wish).expect("a message"), wire);
}

fn sources(key: EndpointKey) -> [MediaSource; 2] {
    let ssrc = |n: u32| Ssrc(n + key.0 * 10_000);
    let mut video = MediaSource::new(MediaType::Video, SourceName::new(format!("endpoint{}-v0", key.0)));
    video.sources.extend([Source::new(ssrc(1000)), Source::new(ssrc(1001))]);
    let pair = vec![ssrc(1000), ssrc(1001)];
    video.ssrc_groups.push(SsrcGroup { semantics: Semantics::Fid, ssrcs: pair });
    let mut audio = MediaSource::new(MediaType::Audio, SourceName::new(format!("endpoint{}-a0", key.0)));
    audio.sources.push(Source::new(ssrc(1002)));
    [video, audio]
}

/// Three participants who send each other anything: pieces of up to 63 bytes, each with a length and what to do with it.
/// What goes out is well-formed, and no SRTP index is used twice.
pub fn z07_media(data: &[u8]) {
    let mut now = Instant::now();
    let mut media = MediaConference::new(MediaConfig::default(), FeedbackSsrcs { audio: 1, video: 2 }, 7);
    let mut wire = Wire::default();
    let everybody = [0, 1, 2].map(EndpointKey);
    everybody.iter().for_each(|key| join(&mut media, now, *key, &mut wire));
    let mut rest = data;
    for _ in 0..64 {
        let [what, len, left @ ..] = rest else { break };
        let (body, left) = left.split_at(left.len().min(usize::from(len & 63)));
        rest = left;
        let key = everybody[usize::from(what % 3)];
        match what / 3 % 8 {
            0..=3 => {
                let (pt, ssrc) = STREAMS[usize::from(what >> 5)];
                let mut packet = body.to_vec();
                packet.resize(body.len().max(20), 0);
                packet[0] = 0x80 | (packet[0] & 0x30);
                packet[1] = pt | (packet[1] & 0x80);
                packet[8..12].copy_from_slice(&(ssrc + key.0 * 10_000).to_be_bytes());
                media.handle_rtp(now, key, &mut packet, &mut wire);
            }
            4 | 5 => media.handle_rtcp(now, key, body, &mut wire),
            6 => {
                let now_sends = if len & 64 == 0 { Vec::new() } else { sources(key).to_vec() };
                media.set_sources(now, key, &now_sends, &mut wire);
            }
            _ => {
                now += Duration::from_millis(u64::from(*len) * 8);
                media.handle_timeout(now, &mut wire);
            }
        }
    }
    everybody.iter().for_each(|key| media.remove_endpoint(now, *key, &mut wire));
    assert!(media.poll_timeout().is_none(), "nothing is left");
}

/// A bridge that sends nothing.
struct Nothing;

impl DatagramSink for Nothing {
    fn send(&mut self, _: SocketAddr, _: SocketAddr, _: usize, _: &mut dyn FnMut(&mut [u8]) -> usize) {
        panic!("an answer to somebody unknown");
    }
}

/// A datagram of a stranger: counted, and neither answered nor remembered.
pub fn z13_datagram(data: &[u8]) {
    thread_local! {
        static CERTIFICATE: Certificate = Certificate::generate().expect("a certificate");
    }
    let address: SocketAddr = ([127, 0, 0, 1], 10_000).into();
    let config = ShardConfig::new(vec![LocalAddress::new(address)], CERTIFICATE.with(Certificate::clone));
    let mut shard = Shard::new(config, Box::new(SeededEntropy::new(1))).expect("a shard");
    let source = ([127, 0, 0, 2], 5000).into();
    let mut bytes = data.to_vec();
    let disposition = shard.handle_datagram(Instant::now(), source, address, &mut bytes, &mut Nothing);
    assert!(matches!(disposition, Disposition::Taken | Disposition::Unknown));
    assert!(shard.is_empty() && shard.poll_event().is_none());
}
