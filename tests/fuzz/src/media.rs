//! What the bridge reads on its media port and from decrypted media: any bytes in, broken promises out.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jitsi_xmpp::bridge_channel::{BridgeMessage, ClientMessage};
use jitsi_xmpp::colibri2::{ConferenceModify, MediaSource};
use jitsi_xmpp::entropy::SeededEntropy;
use jitsi_xmpp::ids::{EndpointId, MediaType, SourceName, Ssrc};
use jitsi_xmpp::jingle::{
    HeaderExtension, Parameter, PayloadType, RtcpFeedback, Semantics, Source, SsrcGroup,
};
use videobridge_core::data_channel::{Sctp, SctpEvent};
use videobridge_core::media::{
    EndpointInit, EndpointKey, FeedbackSsrcs, MediaConference, MediaConfig, MediaSink,
};
use videobridge_core::{
    Certificate, Command, DatagramSink, Disposition, Event, Kind, LocalAddress, RequestId, Shard,
    ShardConfig, classify,
};
use videobridge_rtp::codecs::{Codec, Descriptor, vp9};
use videobridge_rtp::dependency::{Active, Frame, Head, Rewriting, Structure, rewrite};
use videobridge_rtp::extension::{AudioLevel, ONE_BYTE_PROFILE, TWO_BYTE_PROFILE, transport_sequence};
use videobridge_rtp::rtcp::transport_cc::{self, Arrival};
use videobridge_rtp::rtcp::{Compound, Rtcp, feedback, report};
use videobridge_rtp::{
    ExtSeq, ExtensionForm, Extensions, FrameNumber, HeaderWriter, RtpFields, RtpPacket, Unwrapper, rtx,
};
use videobridge_srtp::{Profile, Receiver, Sender, SrtpKeys};

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
            Arrival { sequence: ExtSeq(sequence), time_us }
        })
        .collect();
    let mut buf = [0; 1200];
    let Some(written) = transport_cc::write(&mut buf, 1, 2, 0, ExtSeq(100), &arrivals) else { return };
    let Some(Ok(Rtcp::TransportFeedback(f))) = Compound::new(&buf[..written.len]).next() else {
        panic!("not feedback");
    };
    let got = f.statuses().filter(|s| s.delta_us.is_some()).map(|s| s.sequence);
    assert!(got.eq(arrivals.iter().take(written.arrivals).map(|a| a.sequence.wire())));
}

/// What the bridge reads of payloads stands where it says; retransmissions carry what they say. Dependency descriptors that
/// are written again with other numbers say the same about everything else.
pub fn z06_payloads(data: &[u8]) {
    // The first byte says how much is the dependency descriptor.
    let (dependency, payload) = match data {
        [len, rest @ ..] => rest.split_at(rest.len().min(usize::from(len & 63))),
        [] => Default::default(),
    };
    let head = Head::parse(dependency);
    assert!(head.is_none_or(|head| dependency[1..3] == head.number.get().to_be_bytes()));
    let mut structure = Structure::default();
    let known = structure.take_from(dependency).is_some();
    let frame = structure.frame(dependency);
    assert!(known || frame.is_none());
    if let Some(frame) = frame {
        assert!(frame.present & !structure.all() == 0 && frame.switch & !frame.present == 0);
        assert!(structure.best(structure.all(), u8::MAX, u8::MAX).is_some());
        let [shift, ..] = data else { return };
        let (set, targets, structure_end) = (structure.all() >> 1, structure.targets(), frame.structure_end);
        for active in [None, Some(Active { set, targets, structure_end })] {
            let to = Rewriting { number: FrameNumber::new(7), template_shift: *shift, active };
            let mut buf = [0; 80];
            let len = rewrite(dependency, &to, &mut buf).expect("what can be read can be written");
            let mut there = Structure::default();
            there.take_from(&buf[..len]).expect("with its structure");
            let said = active.map_or(frame.active, |active| Some(active.set));
            let same = Frame { number: FrameNumber::new(7), active: said, ..frame };
            assert_eq!(there.frame(&buf[..len]), Some(same));
        }
    }
    for codec in [Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::H264, Codec::Other] {
        for (payload, head, frame) in [(data, None, None), (payload, head, frame)] {
            let d = Descriptor::parse(codec, payload, head);
            let d = frame.map_or(d, |frame| d.described_by(&frame));
            if let Some(id) = d.picture_id {
                let at = usize::from(id.at);
                let read = if id.long {
                    u16::from_be_bytes([payload[at] & 0x7f, payload[at + 1]])
                } else {
                    payload[at].into()
                };
                assert_eq!(read, id.id.get());
            }
            assert!(d.tl0.is_none_or(|tl0| payload[usize::from(tl0.at)] == tl0.index.get()));
            assert_eq!(d.frame_number, head.map(|head| head.number));
            assert!(!d.key_frame || frame.is_some() || codec != Codec::Other && !payload.is_empty());
            let sizes = d.sizes_at.and_then(|at| vp9::sizes(payload, at));
            assert!(sizes.is_none_or(|s| usize::from(s.layers) <= vp9::MAX_SPATIAL));
        }
    }
    if let Some((sequence, body)) = rtx::parse(data) {
        assert_eq!([&sequence.to_be_bytes()[..], body].concat(), data);
    }
}

fn keys(profile: Profile, client: bool) -> (Sender, Receiver) {
    let material: Vec<u8> = (0..profile.keying_material_len()).map(|i| i as u8).collect();
    SrtpKeys::from_dtls_exporter(profile, &material, client).and_then(SrtpKeys::split).expect("keys")
}

/// What is not authentic changes nothing.
pub fn z08_srtp(data: &[u8]) {
    for profile in [Profile::AeadAes256Gcm, Profile::AeadAes128Gcm, Profile::Aes128CmHmacSha1_80] {
        let (_, mut receiver) = keys(profile, true);
        assert!(receiver.unprotect_rtp(&mut data.to_vec()).is_err());
        assert!(receiver.unprotect_rtcp(&mut data.to_vec()).is_err());
        assert_eq!(receiver.ssrc_counts(), (0, 0));
    }
}

/// A sender's packets in any order, any number of times: each index is accepted once at most, and what is accepted is what
/// was sent.
pub fn z09_replay(data: &[u8]) {
    let ((mut sender, _), (_, mut receiver)) =
        (keys(Profile::AeadAes128Gcm, true), keys(Profile::AeadAes128Gcm, false));
    let mut sent: Vec<Vec<u8>> = Vec::new();
    let mut accepted = HashSet::new();
    let mut sequence = u16::from_be_bytes(data.first_chunk().copied().unwrap_or_default());
    for pair in data.chunks_exact(2).take(256) {
        let [what, by] = [pair[0], pair[1]];
        if what & 1 == 0 {
            // Mostly the next numbers, now and then a jump.
            let step = if what & 0x70 == 0 { u16::from(by) << 7 } else { u16::from(by & 3) };
            sequence = sequence.wrapping_add(step);
            let mut packet = vec![0x80, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
            packet[2..4].copy_from_slice(&sequence.to_be_bytes());
            packet.extend(sent.len().to_be_bytes());
            let len = packet.len();
            packet.resize(len + Profile::MAX_OVERHEAD, 0);
            if let Ok(len) = sender.protect_rtp(&mut packet, len) {
                packet.truncate(len);
                sent.push(packet);
            }
        } else if let Some(behind) = sent.len().checked_sub(1 + usize::from(by)) {
            let mut packet = sent[behind].clone();
            if let Ok(len) = receiver.unprotect_rtp(&mut packet) {
                assert!(accepted.insert(behind), "accepted twice");
                assert_eq!(packet[12..len], behind.to_be_bytes());
            }
        }
    }
}

/// Bytes from inside DTLS: SCTP packets of a client that wants more than a channel. Memory stays bounded, and no text
/// comes before a channel is open.
pub fn z11_sctp(data: &[u8]) {
    let mut now = Instant::now();
    let mut sctp = Sctp::new();
    let mut open = false;
    // What our side has to be told its tag by: an INIT.
    let init = [
        &[0x13, 0x88, 0x13, 0x88, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 20, 0, 0, 0, 7][..],
        &[0, 1, 0x86, 0xa0, 0, 16, 0, 16, 0, 0, 0, 1],
    ];
    sctp.handle_packet(now, &sealed(init.concat()));
    let mut tag = [0; 4];
    let mut cookie = Vec::new();
    if let Some(ack) = sctp.poll_transmit(now).and_then(|all| all.first().cloned()) {
        tag.copy_from_slice(&ack[16..20]);
        // The state cookie is the last parameter of the answer; echoed, it sets the association up.
        let at = ack.windows(2).skip(32).position(|w| w == [0, 7]).map(|at| at + 32);
        cookie = at.map(|at| ack[at + 4..].to_vec()).unwrap_or_default();
    }
    let mut echo = vec![10, 0];
    echo.extend(u16::try_from(cookie.len() + 4).unwrap_or(0).to_be_bytes());
    echo.extend(cookie);
    let mut rest = data;
    let mut first = Some(echo);
    for _ in 0..32 {
        let chunk = match first.take() {
            Some(echo) => echo,
            None => {
                let [kind, flags, len, left @ ..] = rest else { break };
                let (body, left) = left.split_at(left.len().min(usize::from(*len)));
                rest = left;
                if *kind == 255 {
                    now += Duration::from_millis(u64::from(*flags) * 50);
                    sctp.handle_timeout(now);
                }
                let len = u16::try_from(body.len() + 4).unwrap_or(0).to_be_bytes();
                [&[kind & 15, *flags][..], &len, body].concat()
            }
        };
        let head = [0x13, 0x88, 0x13, 0x88, tag[0], tag[1], tag[2], tag[3], 0, 0, 0, 0];
        sctp.handle_packet(now, &sealed([&head[..], &chunk].concat()));
        // And as it is, without being made to look right.
        sctp.handle_packet(now, data);
        for packet in std::iter::from_fn(|| sctp.poll_transmit(now)).take(1_000).flatten() {
            assert!(packet.len() <= 1_200, "fits a datagram");
        }
        while let Some(event) = sctp.poll_event() {
            match event {
                SctpEvent::Opened => open = true,
                SctpEvent::Closed => open = false,
                SctpEvent::Text(text) => {
                    assert!(open && text.len() <= videobridge_core::limits::MAX_CHANNEL_MESSAGE);
                }
            }
        }
    }
}

/// Pads to whole words and writes the checksum of RFC 9260 §6.8.
fn sealed(mut packet: Vec<u8>) -> Vec<u8> {
    packet.resize(packet.len().next_multiple_of(4), 0);
    packet[8..12].fill(0);
    let crc = !packet.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { c >> 1 ^ 0x82f6_3b78 } else { c >> 1 })
    });
    packet[8..12].copy_from_slice(&crc.to_le_bytes());
    packet
}

/// A header extension block of any form: no element reaches beyond it, what is read of one stands in it, and in a packet
/// it is passed on in a form that receivers read the same.
pub fn z31_extensions(data: &[u8]) {
    let (profile, block) = data.split_first_chunk::<2>().unwrap_or((&[0xbe, 0xde], data));
    for profile in [u16::from_be_bytes(*profile), ONE_BYTE_PROFILE, TWO_BYTE_PROFILE | 3] {
        let mut bytes = 0;
        for e in Extensions::new(profile, block) {
            bytes += 1 + e.data.len();
            assert!(e.data.is_empty() || block.as_ptr_range().contains(&e.data.as_ptr()));
            assert!(AudioLevel::parse(e.data).is_none_or(|l| l.level == e.data[0] & 0x7f));
            assert!(transport_sequence(e.data).is_none_or(|n| n.to_be_bytes() == e.data[..2]));
        }
        assert!(bytes <= block.len());
    }
    let now = Instant::now();
    let mut media = MediaConference::new(MediaConfig::default(), FEEDBACK, 7);
    let mut wire = Wire::default();
    [0, 2].iter().for_each(|key| join(&mut media, now, EndpointKey(*key), &mut wire));
    for (n, (pt, ssrc)) in [(41, 1000), (111, 1002)].into_iter().enumerate() {
        for profile in [ONE_BYTE_PROFILE, TWO_BYTE_PROFILE] {
            let words = u16::try_from(block.len().div_ceil(4)).unwrap_or(0).min(100);
            let mut packet = vec![0x90, pt, 0, n as u8, 0, 0, 0, 0];
            packet.extend(u32::to_be_bytes(ssrc));
            packet.extend(profile.to_be_bytes());
            packet.extend(words.to_be_bytes());
            packet.extend(block.iter().copied().chain([0; 4]).take(usize::from(words) * 4));
            packet.resize(16 + usize::from(words) * 4, 0);
            packet.extend([0x08, 1, 2, 3]);
            media.handle_rtp(now, EndpointKey(0), &mut packet, &mut wire);
        }
    }
}

/// Counts indices as SRTP does.
#[derive(Default)]
struct Wire {
    numbers: HashMap<(EndpointKey, u32), Unwrapper>,
    seen: HashSet<(EndpointKey, u32, ExtSeq)>,
}

impl MediaSink for Wire {
    fn rtp(&mut self, to: EndpointKey, parts: [&[u8]; 3]) {
        let bytes = parts.concat();
        let packet = RtpPacket::parse(&bytes).expect("what is sent is RTP");
        let block = packet.extension_bytes().len();
        assert!(packet.extensions().map(|e| e.data.len() + 1).sum::<usize>() <= block);
        let index = self.numbers.entry((to, packet.ssrc())).or_default().extend(packet.sequence());
        assert!(self.seen.insert((to, packet.ssrc(), index)), "an index was used twice");
    }

    fn rtcp(&mut self, _: EndpointKey, compound: &[u8]) {
        assert!(Compound::new(compound).all(|p| p.is_ok()), "what is sent is RTCP");
    }

    fn message(&mut self, _: EndpointKey, _: &BridgeMessage) -> bool {
        true
    }
}

const FEEDBACK: FeedbackSsrcs = FeedbackSsrcs { audio: Ssrc(1), video: Ssrc(2) };

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
    media.add_payload_types(key, MediaType::Video, &video);
    media.add_payload_types(key, MediaType::Audio, &[PayloadType::new(111, "opus", 48_000, 2)]);
    let extensions = [
        (1, "urn:ietf:params:rtp-hdrext:ssrc-audio-level"),
        (5, "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"),
        (11, "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"),
    ];
    media.add_header_extensions(key, &extensions.map(|(id, uri)| HeaderExtension::new(id, uri)));
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
    let mut media = MediaConference::new(MediaConfig::default(), FEEDBACK, 7);
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

/// STUN from somebody who knows an endpoint's name and not its password, and time that passes: nobody is answered, nothing
/// is sent, and the endpoint stays.
pub fn z12_ice(data: &[u8]) {
    let address: SocketAddr = ([127, 0, 0, 1], 10_000).into();
    let (mut shard, ufrag) = shard_with_endpoint(address);
    let mut now = Instant::now();
    let mut rest = data;
    for _ in 0..16 {
        let [what, len, left @ ..] = rest else { break };
        let (body, left) = left.split_at(left.len().min(usize::from(*len)));
        rest = left;
        let name = format!("{ufrag}:peer");
        let mut datagram = vec![what & 1, what >> 1 & 0x11, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        datagram.extend([*len; 12]);
        if what & 0x40 == 0 {
            datagram.extend([0, 6, 0, u8::try_from(name.len()).unwrap_or(0)]);
            datagram.extend(name.as_bytes());
            datagram.resize(datagram.len().next_multiple_of(4), 0);
        }
        datagram.extend(body);
        datagram.resize(datagram.len().next_multiple_of(4), 0);
        let len = u16::try_from(datagram.len() - 20).unwrap_or(0);
        datagram[2..4].copy_from_slice(&len.to_be_bytes());
        let source = SocketAddr::from(([127, 0, 0, 2], 5000 + u16::from(*what)));
        shard.handle_datagram(now, source, address, &mut datagram, &mut Nothing);
        now += Duration::from_millis(u64::from(*what));
        if shard.poll_timeout().is_some_and(|at| at <= now) {
            shard.handle_timeout(now, &mut Nothing);
        }
    }
    assert_eq!(shard.load(), (1, 1));
}

/// A shard with one endpoint that waits for its peer, and the name to call it by.
fn shard_with_endpoint(address: SocketAddr) -> (Shard, String) {
    let mut shard = shard_at(address);
    let text = br#"<conference-modify xmlns='jitsi:colibri2' meeting-id='m1' create='true'>
        <endpoint xmlns='jitsi:colibri2' id='aaaa0001' create='true'><transport ice-controlling='true'/><capability name='source-names'/></endpoint>
        </conference-modify>"#;
    let element = jitsi_xmpp::xml::parse(text).expect("XML");
    let modify = Box::new(ConferenceModify::from_element(&element).expect("a request"));
    let request = RequestId(1);
    shard.handle_command(Instant::now(), Command::Colibri2 { request, modify }, &mut Nothing);
    while let Some(event) = shard.poll_event() {
        let Event::Colibri2Reply { result: Ok(answer), .. } = event else { continue };
        let ice = answer.endpoints.first().and_then(|e| e.transport.as_ref()?.ice.as_ref());
        return (shard, ice.and_then(|ice| ice.ufrag.clone()).expect("a ufrag"));
    }
    panic!("no answer");
}

fn shard_at(address: SocketAddr) -> Shard {
    thread_local! {
        static CERTIFICATE: Certificate = Certificate::generate().expect("a certificate");
    }
    let config = ShardConfig::new(vec![LocalAddress::new(address)], CERTIFICATE.with(Certificate::clone));
    Shard::new(config, Box::new(SeededEntropy::new(1))).expect("a shard")
}

/// A datagram of a stranger: counted, and neither answered nor remembered.
pub fn z13_datagram(data: &[u8]) {
    let address: SocketAddr = ([127, 0, 0, 1], 10_000).into();
    let mut shard = shard_at(address);
    let source = ([127, 0, 0, 2], 5000).into();
    let mut bytes = data.to_vec();
    let disposition = shard.handle_datagram(Instant::now(), source, address, &mut bytes, &mut Nothing);
    assert!(matches!(disposition, Disposition::Taken | Disposition::Unknown));
    assert!(shard.is_empty() && shard.poll_event().is_none());
}
