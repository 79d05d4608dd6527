//! Forwarding a packet must not allocate: counted by the allocator, over the whole way from datagram to datagram.
//! A binary of its own, because a process has one allocator.
// The helpers are shared with the other test binary, which uses all of them.
#![allow(dead_code)]

#[path = "bridge/world.rs"]
mod world;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jitsi_xmpp::bridge_channel::{BridgeMessage, ClientMessage, ReceiverVideoConstraints, VideoConstraints};
use jitsi_xmpp::colibri2::MediaSource;
use jitsi_xmpp::ids::{EndpointId, MediaType, SourceName, Ssrc};
use jitsi_xmpp::jingle::{
    HeaderExtension, Parameter, PayloadType, RtcpFeedback, Semantics, Source, SsrcGroup,
};
use videobridge_core::DatagramSink;
use videobridge_core::media::{
    Bitrate, EndpointInit, EndpointKey, FeedbackSsrcs, MediaConference, MediaConfig, MediaSink, RelayInit,
};
use videobridge_rtp::ExtSeq;
use videobridge_rtp::rtcp::feedback;
use videobridge_rtp::rtcp::transport_cc::{self, Arrival};

use peer::Options;
use world::{World, audio_source, bridge, endpoint, lost, request, rtp};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
        // SAFETY: the caller's promise.
        unsafe { System.realloc(ptr, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A sink with one buffer, as a shell's slab.
struct Slab {
    buf: [u8; 2048],
    datagrams: usize,
}

impl DatagramSink for Slab {
    fn send(
        &mut self,
        _: SocketAddr,
        _: SocketAddr,
        max_len: usize,
        fill: &mut dyn FnMut(&mut [u8]) -> usize,
    ) {
        self.datagrams += usize::from(fill(&mut self.buf[..max_len]) > 0);
    }
}

/// Counts what media would send, and remembers the last sequence number and transport-wide number to endpoint 1.
#[derive(Default)]
struct Count(usize, u16, u16);

impl MediaSink for Count {
    fn rtp(&mut self, to: EndpointKey, [header, ..]: [&[u8]; 3]) {
        self.0 += 1;
        if to == EndpointKey(1) {
            if header[11] == 7 {
                self.1 = u16::from_be_bytes([header[2], header[3]]);
            }
            self.2 = u16::from_be_bytes([header[17], header[18]]);
        }
    }
    fn rtcp(&mut self, _: EndpointKey, _: &[u8]) {}
    fn message(&mut self, _: EndpointKey, _: &BridgeMessage) -> bool {
        true
    }
}

const TRANSPORT: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

/// One VP8 packet of 1,100 bytes; the first is a key frame.
fn video_packet(n: u16) -> [u8; 1100] {
    let mut packet = [0u8; 1100];
    packet[..2].copy_from_slice(&[0x90, 0x80 | 100]);
    packet[2..4].copy_from_slice(&n.to_be_bytes());
    packet[4..8].copy_from_slice(&(u32::from(n) * 3000).to_be_bytes());
    packet[11] = 7;
    let [hi, lo] = n.to_be_bytes();
    packet[12..20].copy_from_slice(&[0xbe, 0xde, 0, 1, 0x51, hi, lo, 0]);
    packet[20..26].copy_from_slice(&[0x90, 0x80, 0x80 | hi, lo, u8::from(n > 0), 0]);
    packet
}

#[test]
fn video_costs_no_allocation_either_with_timers_and_retransmissions() {
    let mut now = Instant::now();
    let mut out = Count::default();
    let mut media =
        MediaConference::new(MediaConfig::default(), FeedbackSsrcs { audio: Ssrc(1), video: Ssrc(2) }, 5);
    let mut vp8 = PayloadType::new(100, "VP8", 90_000, 1);
    vp8.rtcp_fbs = vec![RtcpFeedback::new("transport-cc", None)];
    let mut rtx = PayloadType::new(96, "rtx", 90_000, 1);
    rtx.parameters = vec![Parameter::new("apt", "100")];
    for key in (0..4).map(EndpointKey) {
        let id = EndpointId::new(format!("endpoint{}", key.0));
        let init = EndpointInit { id, ssrc_rewriting: false, visitor: false, initial_last_n: None };
        media.add_endpoint(now, key, init);
        media.add_payload_types(key, MediaType::Video, &[vp8.clone(), rtx.clone()]);
        media.add_header_extensions(key, &[HeaderExtension::new(5, TRANSPORT)]);
        media.set_transport_up(now, key, true, &mut out);
        let wish = ReceiverVideoConstraints {
            default_constraints: Some(VideoConstraints { max_height: 720, max_frame_rate: -1.0 }),
            ..ReceiverVideoConstraints::default()
        };
        media.handle_channel_message(now, key, &ClientMessage::ReceiverVideoConstraints(wish), &mut out);
    }
    let mut source = MediaSource::new(MediaType::Video, SourceName::new("endpoint0-v0"));
    source.sources.extend([Source::new(Ssrc(7)), Source::new(Ssrc(8))]);
    source.ssrc_groups.push(SsrcGroup { semantics: Semantics::Fid, ssrcs: vec![Ssrc(7), Ssrc(8)] });
    media.set_sources(now, EndpointKey(0), &[source], &mut out);

    let mut before = (0, 0);
    for n in 0..1200u16 {
        if n == 400 {
            before = (ALLOCATIONS.get(), out.0);
        }
        let mut packet = video_packet(n);
        now += Duration::from_millis(10);
        media.handle_rtp(now, EndpointKey(0), &mut packet, &mut out);
        media.handle_timeout(now, &mut out);
        if n % 10 == 9 {
            let mut nack = [0; 16];
            feedback::write_nack(&mut nack, 1, 7, &[out.1]).unwrap();
            media.handle_rtcp(now, EndpointKey(1), &nack, &mut out);
        }
    }
    assert_eq!(out.0 - before.1, 800 * 3 + 80, "every receiver got every packet, one of them some twice");
    assert_eq!(ALLOCATIONS.get() - before.0, 0, "8 seconds of video");

    // Endpoint 1 loses half: it is sent padding instead.
    for n in 1200..2000u16 {
        if n == 1700 {
            assert!(media.counters().padding > 0);
            before = (ALLOCATIONS.get(), media.counters().padding as usize);
        }
        now += Duration::from_millis(10);
        media.handle_rtp(now, EndpointKey(0), &mut video_packet(n), &mut out);
        media.handle_timeout(now, &mut out);
        if n % 10 == 9 && n < 1400 {
            let base = u64::from(out.2) - 9;
            let arrivals: Vec<_> =
                (0..5).map(|i| Arrival { sequence: ExtSeq(base + i * 2), time_us: 1_000_000 + i }).collect();
            let mut buf = [0; 100];
            let len = transport_cc::write(&mut buf, 1, 7, 0, ExtSeq(base), &arrivals).unwrap().len;
            media.handle_rtcp(now, EndpointKey(1), &buf[..len], &mut out);
        }
    }
    assert!(media.counters().padding as usize > before.1 + 5);
    assert_eq!(ALLOCATIONS.get() - before.0, 0, "3 seconds of video and padding");

    // Twenty packets at once are more than the pace of anybody: most wait.
    for burst in 0..40u16 {
        if burst == 10 {
            before = (ALLOCATIONS.get(), out.0);
        }
        let sent = out.0;
        for n in 0..20 {
            media.handle_rtp(now, EndpointKey(0), &mut video_packet(2000 + burst * 20 + n), &mut out);
        }
        assert!(out.0 - sent < 2 * 20, "{} of 40", out.0 - sent);
        for _ in 0..40 {
            now += Duration::from_millis(5);
            media.handle_timeout(now, &mut out);
        }
    }
    assert!(out.0 - before.1 >= 30 * 20 * 2, "and all come");
    assert_eq!(ALLOCATIONS.get() - before.0, 0, "6 seconds of packets that wait");
}

/// One VP8 packet of 1,000 bytes with its temporal layer, in cycles of four; the first is a key frame.
fn layered_packet(n: u16) -> [u8; 1000] {
    let mut packet = [0u8; 1000];
    packet[..2].copy_from_slice(&[0x90, 0x80 | 100]);
    packet[2..4].copy_from_slice(&n.to_be_bytes());
    packet[4..8].copy_from_slice(&(u32::from(n) * 3000).to_be_bytes());
    packet[11] = 7;
    let [hi, lo] = n.to_be_bytes();
    packet[12..20].copy_from_slice(&[0xbe, 0xde, 0, 1, 0x51, hi, lo, 0]);
    let layer = [0, 0xa0, 0x60, 0x80][usize::from(n % 4)];
    let tl0 = (n / 4) as u8;
    packet[20..28].copy_from_slice(&[0x90, 0xe0, 0x80 | hi, lo, tl0, layer, u8::from(n > 0), 0]);
    packet
}

#[test]
fn layers_that_are_left_out_cost_no_allocation() {
    let mut now = Instant::now();
    let mut out = Count::default();
    let config = MediaConfig { assumed_bandwidth_limit: Some(Bitrate(50_000_000)), ..MediaConfig::default() };
    let feedback = FeedbackSsrcs { audio: Ssrc(1), video: Ssrc(2) };
    let mut media = MediaConference::new(config, feedback, 5);
    for (key, bandwidth) in [(0, 50_000_000), (1, 210_000), (2, 50_000_000)] {
        let key = EndpointKey(key);
        let id = EndpointId::new(format!("endpoint{}", key.0));
        let init = EndpointInit { id, ssrc_rewriting: false, visitor: false, initial_last_n: None };
        media.add_endpoint(now, key, init);
        let mut vp8 = PayloadType::new(100, "VP8", 90_000, 1);
        vp8.rtcp_fbs = vec![RtcpFeedback::new("transport-cc", None)];
        media.add_payload_types(key, MediaType::Video, &[vp8]);
        media.add_header_extensions(key, &[HeaderExtension::new(5, TRANSPORT)]);
        media.set_transport_up(now, key, true, &mut out);
        let wish = ReceiverVideoConstraints {
            default_constraints: Some(VideoConstraints { max_height: 720, max_frame_rate: -1.0 }),
            assumed_bandwidth_bps: Some(bandwidth),
            ..ReceiverVideoConstraints::default()
        };
        media.handle_channel_message(now, key, &ClientMessage::ReceiverVideoConstraints(wish), &mut out);
    }
    let mut source = MediaSource::new(MediaType::Video, SourceName::new("endpoint0-v0"));
    source.sources.push(Source::new(Ssrc(7)));
    media.set_sources(now, EndpointKey(0), &[source], &mut out);
    let mut before = (0, 0);
    for n in 0..800u16 {
        if n == 400 {
            before = (ALLOCATIONS.get(), out.0);
        }
        now += Duration::from_millis(33);
        media.handle_rtp(now, EndpointKey(0), &mut layered_packet(n), &mut out);
        media.handle_timeout(now, &mut out);
    }
    // 30 pictures of 1,000 bytes are 240 kbit/s, half of them 120; until they are measured they count 200.
    assert_eq!(out.0 - before.1, 400 + 200, "one receiver gets every picture, the other one in two");
    assert_eq!(ALLOCATIONS.get() - before.0, 0, "13 seconds of video");
}

#[test]
fn a_forwarded_packet_costs_no_allocation() {
    let mut world = World::new();
    for id in ["aaaa0001", "aaaa0002", "aaaa0003"] {
        world.join(id, Options::default());
    }
    world.connect();
    let mut update = endpoint("aaaa0001");
    update.sources = Some(vec![audio_source("aaaa0001-a0", 1001)]);
    world.modify(request(false, vec![update])).unwrap();

    // Warm-up: SSRC tables, histories, timers.
    for seq in 1..301 {
        world.peers[0].send_rtp(&rtp(1001, seq, &[3; 80]));
        world.run(Duration::from_millis(20));
    }
    let mut packets: Vec<_> =
        (301..601).map(|seq| world.peers[0].protect_rtp(&rtp(1001, seq, &[3; 80]))).collect();
    let mut slab = Slab { buf: [0; 2048], datagrams: 0 };
    let src = world.peers[0].address;
    let mut worst = 0;
    let mut total = 0;
    for packet in &mut packets {
        world.now += Duration::from_millis(20);
        world.shard.handle_timeout(world.now, &mut slab);
        let (before, sent) = (ALLOCATIONS.get(), slab.datagrams);
        world.shard.handle_datagram(world.now, src, bridge(), packet, &mut slab);
        let allocations = ALLOCATIONS.get() - before;
        assert_eq!(slab.datagrams, sent + 2, "both receivers get it");
        worst = worst.max(allocations);
        total += allocations;
    }
    assert_eq!((worst, total), (0, 0), "allocations: worst packet, all 300 packets");

    // One loses a fifth: speech is sent again to it, and that costs none either.
    let mut talk = |world: &mut World, first: u16| {
        let before = (ALLOCATIONS.get(), slab.datagrams);
        let mut protecting = 0;
        for seq in first..first + 250 {
            let protect = ALLOCATIONS.get();
            let mut packet = world.peers[0].protect_rtp(&rtp(1001, seq, &[3; 80]));
            protecting += ALLOCATIONS.get() - protect;
            world.shard.handle_datagram(world.now, src, bridge(), &mut packet, &mut slab);
            for _ in 0..4 {
                world.now += Duration::from_millis(5);
                world.shard.handle_timeout(world.now, &mut slab);
            }
        }
        (ALLOCATIONS.get() - before.0 - protecting, slab.datagrams - before.1)
    };
    let (usual, once) = talk(&mut world, 601);
    let last = world.peers[1].rtp.last().unwrap();
    let ssrc = u32::from_be_bytes(last[8..12].try_into().unwrap());
    let first = 0x1_0000 + u32::from(u16::from_be_bytes([last[2], last[3]]));
    for part in 0..2 {
        world.peers[1].send_rtcp(&lost(ssrc, first + part * 200, part * 40));
        world.run(Duration::from_millis(20));
    }
    talk(&mut world, 851);
    let (again, thrice) = talk(&mut world, 1101);
    assert!(thrice >= once + 490, "{once}, {thrice}");
    assert!(again <= usual + 20, "{usual} of other things in five seconds, {again}");
}

#[test]
fn a_packet_for_another_part_of_the_conference_costs_no_allocation_on_either_side() {
    let mut now = Instant::now();
    let feedback = FeedbackSsrcs { audio: Ssrc(1), video: Ssrc(2) };
    let vp8 = PayloadType::new(100, "VP8", 90_000, 1);
    let way = EndpointKey(1 << 31);
    let mut source = MediaSource::new(MediaType::Video, SourceName::new("endpoint0-v0"));
    source.sources.push(Source::new(Ssrc(7)));
    let wish = VideoConstraints { max_height: 720, max_frame_rate: -1.0 };
    // Home, where it is sent, and the part, where two see it.
    let mut sides = [1, 2].map(|n| {
        let mut media = MediaConference::new(MediaConfig::default(), feedback, n);
        let mut out = Count::default();
        media.add_relay(now, way, RelayInit { id: String::new(), mesh: Some("way".to_owned()) });
        media.set_part(way);
        media.add_payload_types(way, MediaType::Video, std::slice::from_ref(&vp8));
        media.set_transport_up(now, way, true, &mut out);
        media.set_channel_open(now, way, true, &mut out);
        for key in (10..10 + n as u32).map(EndpointKey) {
            let id = EndpointId::new(format!("endpoint{}", key.0 + n as u32 - 11));
            let init = EndpointInit { id, ssrc_rewriting: false, visitor: false, initial_last_n: None };
            media.add_endpoint(now, key, init);
            media.add_payload_types(key, MediaType::Video, std::slice::from_ref(&vp8));
            media.set_transport_up(now, key, true, &mut out);
            let wishes = ReceiverVideoConstraints { default_constraints: Some(wish), ..Default::default() };
            let wishes = ClientMessage::ReceiverVideoConstraints(wishes);
            media.handle_channel_message(now, key, &wishes, &mut out);
        }
        media
    });
    let [home, part] = &mut sides;
    let sources = std::slice::from_ref(&source);
    home.set_sources(now, EndpointKey(10), sources, &mut Count::default());
    part.set_remote_endpoint(now, way, &EndpointId::new("endpoint0"), sources, &mut Count::default());
    let (bridge_id, source_name) = (String::new(), SourceName::new("endpoint0-v0"));
    let wanted = BridgeMessage::AddReceiver { bridge_id, source_name, video_constraints: wish };
    assert!(home.handle_relay_message(now, way, &wanted, &mut Count::default()));
    let (mut crossing, mut seen, mut before) = (Crossing::default(), Count::default(), 0);
    for n in 0..800u16 {
        if n == 400 {
            (before, seen.0) = (ALLOCATIONS.get(), 0);
        }
        now += Duration::from_millis(10);
        crossing.len = 0;
        home.handle_rtp(now, EndpointKey(10), &mut video_packet(n), &mut crossing);
        home.handle_timeout(now, &mut crossing);
        part.handle_rtp(now, way, &mut crossing.packet[..crossing.len], &mut seen);
        part.handle_timeout(now, &mut seen);
    }
    assert_eq!((seen.0, ALLOCATIONS.get() - before), (400 * 2, 0), "4 seconds of video");
}

/// What goes over a way.
struct Crossing {
    packet: [u8; 1500],
    len: usize,
}

impl Default for Crossing {
    fn default() -> Self {
        Self { packet: [0; 1500], len: 0 }
    }
}

impl MediaSink for Crossing {
    fn rtp(&mut self, _: EndpointKey, parts: [&[u8]; 3]) {
        for part in parts {
            self.packet[self.len..self.len + part.len()].copy_from_slice(part);
            self.len += part.len();
        }
    }
    fn rtcp(&mut self, _: EndpointKey, _: &[u8]) {}
    fn message(&mut self, _: EndpointKey, _: &BridgeMessage) -> bool {
        true
    }
}
