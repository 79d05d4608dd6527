//! One participant: datagrams and time in, what a browser would send back out through its socket.

use std::net::UdpSocket;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use jitsi_xmpp::bridge_channel::BridgeMessage;
use peer::Peer;
use videobridge_rtp::rtcp::{self, Compound, ReportBlock, Rtcp, SenderInfo, feedback, report};
use videobridge_srtp::SrtpError;

use super::rtp::{OPUS, RTX, Seen, stamp};
use super::sender::{Camera, Common, Microphone};
use super::sink::Sink;
use super::socket::BUFFER;
use crate::latency::Latencies;

/// What all participants together did; only grows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Totals {
    /// Media packets sent, without retransmissions.
    pub(crate) sent: u64,
    /// Flat video packets, times the receivers each should reach.
    pub(crate) due: u64,
    /// Datagrams received, of any kind.
    pub(crate) datagrams: u64,
    /// Sampled packets that were decrypted and authentic, and those that were not.
    pub(crate) authentic: u64,
    pub(crate) broken: u64,
    /// Retransmissions sent, and those asked for that were too old.
    pub(crate) repeated: u64,
    pub(crate) forgotten: u64,
    /// Requests for key frames.
    pub(crate) key_frame_requests: u64,
    /// Transport-wide feedback packets of the bridge.
    pub(crate) feedback: u64,
    /// Changes of what the bridge wants from a camera.
    pub(crate) constraints: u64,
    /// Datagrams our kernel did not take, and those nobody was there for.
    pub(crate) unsent: u64,
    pub(crate) refused: u64,
    /// Packets left out because we were late.
    pub(crate) skipped: u64,
    /// Looks at sockets that had something, and datagrams that were cut though they were no media.
    pub(crate) looks: u64,
    pub(crate) cut: u64,
}

/// What a participant needs of its surroundings.
pub(crate) struct Context<'a> {
    pub(crate) now: Instant,
    /// The same in nanoseconds since the start.
    pub(crate) nanos: u64,
    /// The kernel's clock at that time.
    pub(crate) clock: u64,
    pub(crate) totals: &'a mut Totals,
    pub(crate) latency: &'a mut Latencies,
    /// Of speech alone.
    pub(crate) speech: &'a mut Latencies,
    pub(crate) scratch: &'a mut Scratch,
}

/// Reused memory.
pub(crate) struct Scratch {
    packet: [u8; 2_048],
    sequences: Vec<u16>,
    blocks: Vec<ReportBlock>,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self { packet: [0; 2_048], sequences: Vec::with_capacity(256), blocks: Vec::with_capacity(31) }
    }
}

/// One participant.
pub(crate) struct Participant {
    pub(crate) socket: UdpSocket,
    pub(crate) link: Peer,
    pub(crate) camera: Option<Camera>,
    pub(crate) microphone: Option<Microphone>,
    pub(crate) sink: Sink,
    common: Common,
    /// Said when the data channel opens.
    wishes: Option<String>,
    /// Receivers of its video.
    pub(crate) fan_out: usize,
    /// When it was asked to join.
    pub(crate) asked: Instant,
    pub(crate) up_after: Option<std::time::Duration>,
    pub(crate) media_after: Option<std::time::Duration>,
    last_report: u64,
    last_link: u64,
    looks: u32,
    repair: bool,
    /// The sender of our feedback.
    ssrc: u32,
}

/// What a participant is made of.
pub(crate) struct Parts {
    pub(crate) socket: UdpSocket,
    pub(crate) link: Peer,
    pub(crate) camera: Option<Camera>,
    pub(crate) microphone: Option<Microphone>,
    pub(crate) sink: Sink,
    pub(crate) transport_cc: bool,
    /// Lost packets are asked for.
    pub(crate) repair: bool,
    pub(crate) wishes: String,
    pub(crate) fan_out: usize,
    pub(crate) asked: Instant,
    pub(crate) ssrc: u32,
}

impl Participant {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts {
            socket,
            link,
            camera,
            microphone,
            sink,
            transport_cc,
            repair,
            wishes,
            fan_out,
            asked,
            ssrc,
        } = parts;
        Self {
            socket,
            link,
            camera,
            microphone,
            sink,
            common: Common { transport_cc, ..Common::default() },
            wishes: Some(wishes),
            fan_out,
            asked,
            up_after: None,
            media_after: None,
            last_report: 0,
            last_link: 0,
            looks: 0,
            repair,
            ssrc,
        }
    }

    /// Connected, with an open data channel.
    pub(crate) fn ready(&self) -> bool {
        self.link.connected() && self.link.channel_open
    }

    /// How much of the next datagrams to look at. Where every packet is like any other, a whole one now and then is
    /// enough (a prime: every second look may find nothing); what is not media is shorter than this, or comes again.
    pub(crate) fn appetite(&mut self) -> usize {
        self.looks = self.looks.wrapping_add(1);
        let whole = self.repair || !self.ready() || self.looks.is_multiple_of(17);
        if whole { BUFFER } else { 256 }
    }

    /// One datagram of `len` bytes, perhaps not all of them here; `time` is when it arrived by the real-time clock,
    /// 0 = now.
    pub(crate) fn receive(&mut self, cx: &mut Context<'_>, data: &mut [u8], len: usize, time: u64) {
        cx.totals.datagrams += 1;
        let cut = data.len() < len;
        match data {
            [20..=63, ..] | [128..=191, 192..=223, ..] if cut => cx.totals.cut += 1,
            [0..=3 | 20..=63, ..] => {
                self.link.receive(cx.now, data);
                self.settle(cx);
            }
            _ if rtcp::is_rtcp(data) => self.receive_rtcp(cx, data),
            _ => self.receive_rtp(cx, data, len, time),
        }
    }

    fn receive_rtp(&mut self, cx: &mut Context<'_>, data: &mut [u8], len: usize, time: u64) {
        let Some(seen) = Seen::parse(data) else { return };
        // As the feedback tells it: when it came, not when it was looked at.
        let arrived = if time == 0 { cx.nanos } else { (cx.nanos + time).saturating_sub(cx.clock) };
        let verdict = self.sink.packet(arrived, &seen, len, data.len() < len);
        if self.media_after.is_none() {
            self.media_after = Some(cx.now.duration_since(self.asked));
        }
        if !verdict.decrypt {
            return;
        }
        let Some((_, receiver)) = &mut self.link.srtp else { return };
        let len = match receiver.unprotect_rtp(data) {
            Ok(len) => len,
            // A sample that comes late, behind the window of the samples before it.
            Err(SrtpError::TooOld | SrtpError::Replayed) => return,
            Err(_) => {
                cx.totals.broken += 1;
                return;
            }
        };
        cx.totals.authentic += 1;
        let packet = data.get(..len).unwrap_or_default();
        if seen.payload_type == RTX {
            // Anything shorter is padding to test the link with.
            if let (Some(original), Some(_)) =
                (packet.get(seen.header_len..seen.header_len + 2), stamp(packet))
            {
                self.sink.repeated(seen.ssrc, u16::from_be_bytes([original[0], original[1]]));
            }
        } else if let Some(sent) = stamp(packet) {
            let arrived = if time == 0 { clock() } else { time };
            let took = std::time::Duration::from_nanos(arrived.saturating_sub(sent));
            cx.latency.record(took);
            if seen.payload_type == OPUS {
                cx.speech.record(took);
            }
        }
    }

    fn receive_rtcp(&mut self, cx: &mut Context<'_>, data: &mut [u8]) {
        let Some((_, receiver)) = &mut self.link.srtp else { return };
        let Ok(len) = receiver.unprotect_rtcp(data) else {
            cx.totals.broken += 1;
            return;
        };
        cx.totals.authentic += 1;
        for packet in Compound::new(data.get(..len).unwrap_or_default()) {
            match packet {
                Ok(Rtcp::Pli { media, .. }) => self.key_frame(cx, media),
                Ok(Rtcp::Fir(fir)) => fir.entries().for_each(|(media, _)| self.key_frame(cx, media)),
                Ok(Rtcp::Nack(nack)) => {
                    for sequence in nack.sequences() {
                        self.repeat(cx, nack.media, sequence);
                    }
                }
                Ok(Rtcp::SenderReport { ssrc, info, .. }) => {
                    self.sink.sender_report(cx.nanos, ssrc, info.ntp_middle());
                }
                Ok(Rtcp::TransportFeedback(_)) => cx.totals.feedback += 1,
                _ => {}
            }
        }
    }

    fn key_frame(&mut self, cx: &mut Context<'_>, ssrc: u32) {
        if self.camera.as_mut().is_some_and(|c| c.want_key_frame(ssrc)) {
            cx.totals.key_frame_requests += 1;
        }
    }

    fn repeat(&mut self, cx: &mut Context<'_>, ssrc: u32, sequence: u16) {
        let Self { camera: Some(camera), link, socket, common, .. } = self else { return };
        let Some((sender, _)) = &mut link.srtp else { return };
        let Context { totals, scratch, .. } = cx;
        let mut emit = |buf: &mut [u8], len: usize, _: usize, _: u64| {
            if let Ok(len) = sender.protect_rtp(buf, len) {
                send(socket, buf.get(..len).unwrap_or_default(), totals);
            }
        };
        let known = camera.repeat(ssrc, sequence, common, &mut scratch.packet, &mut emit);
        if known {
            totals.repeated += 1;
        } else {
            totals.forgotten += 1;
        }
    }

    /// The camera's frame that is due. Returns its packets.
    pub(crate) fn send_video(&mut self, cx: &mut Context<'_>) -> usize {
        let Self { camera: Some(camera), link, socket, common, .. } = self else { return 0 };
        let Some((sender, _)) = &mut link.srtp else { return 0 };
        let Context { totals, scratch, .. } = cx;
        let mut emit = |buf: &mut [u8], len: usize, _: usize, _: u64| {
            if let Ok(len) = sender.protect_rtp(buf, len) {
                send(socket, buf.get(..len).unwrap_or_default(), totals);
            }
        };
        let packets = camera.frame(cx.nanos, &mut clock, common, &mut scratch.packet, &mut emit);
        totals.sent += packets as u64;
        // Of several encodings a receiver gets one.
        if !self.repair {
            totals.due += (packets * self.fan_out) as u64;
        }
        packets
    }

    /// The microphone's packet that is due.
    pub(crate) fn send_audio(&mut self, cx: &mut Context<'_>) {
        let Self { microphone: Some(microphone), link, socket, common, .. } = self else { return };
        let Some((sender, _)) = &mut link.srtp else { return };
        let Context { totals, scratch, .. } = cx;
        let mut emit = |buf: &mut [u8], len: usize, _: usize, _: u64| {
            if let Ok(len) = sender.protect_rtp(buf, len) {
                send(socket, buf.get(..len).unwrap_or_default(), totals);
            }
        };
        microphone.frame(cx.nanos, clock(), common, &mut scratch.packet, &mut emit);
        totals.sent += 1;
    }

    /// Every 20 ms until ready, then every 100 ms: timers of the transport, feedback, reports.
    pub(crate) fn tick(&mut self, cx: &mut Context<'_>) {
        // Nothing in a connection that is up is more urgent than a delayed acknowledgement.
        if !self.ready() || cx.nanos >= self.last_link + 200_000_000 {
            self.last_link = cx.nanos;
            self.link.tick(cx.now);
            self.settle(cx);
        }
        if !self.link.connected() {
            return;
        }
        let mut buf = [0; 1_300];
        while let Some(len) = self.sink.write_feedback(&mut buf[..1_100], self.ssrc) {
            self.send_rtcp(cx, &mut buf, len);
        }
        if cx.nanos >= self.last_report + 1_000_000_000 {
            self.last_report = cx.nanos;
            self.report(cx);
        }
    }

    /// Asks for what is missing. Returns whether more may be asked for later.
    pub(crate) fn ask_again(&mut self, cx: &mut Context<'_>) -> bool {
        let mut sequences = std::mem::take(&mut cx.scratch.sequences);
        let mut buf = [0; 1_300];
        while let Some(ssrc) = self.sink.missing(cx.nanos, &mut sequences) {
            let mut rest = sequences.as_slice();
            while let Some((len, taken)) = feedback::write_nack(&mut buf[..1_000], self.ssrc, ssrc, rest) {
                self.send_rtcp(cx, &mut buf, len);
                rest = rest.get(taken..).unwrap_or_default();
            }
        }
        cx.scratch.sequences = sequences;
        self.sink.incomplete()
    }

    fn report(&mut self, cx: &mut Context<'_>) {
        let mut buf = [0; 1_300];
        let ntp = ntp(clock());
        let info = |packets, octets, rtp_timestamp| SenderInfo { ntp, rtp_timestamp, packets, octets };
        let streams = self.camera.iter().flat_map(|c| {
            let active = c.encodings.iter().filter(|e| e.active && e.packets > 0);
            active.map(|e| (e.ssrc, info(e.packets, e.octets, e.last_timestamp)))
        });
        let audio = self.microphone.iter().filter(|m| m.packets > 0);
        let audio = audio.map(|m| (m.ssrc, info(m.packets, m.octets, m.last_timestamp)));
        let reports: [_; 4] = {
            let mut all = streams.chain(audio);
            std::array::from_fn(|_| all.next())
        };
        for (ssrc, info) in reports.into_iter().flatten() {
            if let Some(len) = report::write_sender_report(&mut buf, ssrc, &info, &[]) {
                self.send_rtcp(cx, &mut buf, len);
            }
        }
        let mut blocks = std::mem::take(&mut cx.scratch.blocks);
        self.sink.report_blocks(cx.nanos, report::MAX_BLOCKS, &mut blocks);
        if let Some(len) = report::write_receiver_report(&mut buf, self.ssrc, &blocks) {
            self.send_rtcp(cx, &mut buf, len);
        }
        cx.scratch.blocks = blocks;
    }

    fn send_rtcp(&mut self, cx: &mut Context<'_>, buf: &mut [u8], len: usize) {
        let Some((sender, _)) = &mut self.link.srtp else { return };
        if let Ok(len) = sender.protect_rtcp(buf, len) {
            send(&self.socket, buf.get(..len).unwrap_or_default(), cx.totals);
        }
    }

    /// Sends what the transport wants to send, and reads what the bridge says.
    fn settle(&mut self, cx: &mut Context<'_>) {
        if self.link.connected() && self.up_after.is_none() {
            self.up_after = Some(cx.now.duration_since(self.asked));
        }
        if self.link.channel_open
            && let Some(wishes) = self.wishes.take()
        {
            self.link.say(cx.now, &wishes);
        }
        for text in std::mem::take(&mut self.link.texts) {
            match BridgeMessage::parse(&text) {
                Ok(BridgeMessage::SenderSourceConstraints { max_height, .. }) => {
                    let changed = self.camera.as_mut().is_some_and(|c| c.constrain(max_height));
                    cx.totals.constraints += u64::from(changed);
                }
                Ok(BridgeMessage::VideoSourcesMap { mapped_sources }) => {
                    for mapping in mapped_sources {
                        self.sink.associate(mapping.rtx.0, mapping.ssrc.0);
                    }
                }
                _ => {}
            }
        }
        for datagram in std::mem::take(&mut self.link.sent) {
            send(&self.socket, &datagram, cx.totals);
        }
    }
}

fn send(socket: &UdpSocket, datagram: &[u8], totals: &mut Totals) {
    match socket.send(datagram) {
        Ok(_) => {}
        Err(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => totals.refused += 1,
        Err(_) => totals.unsent += 1,
    }
}

/// Nanoseconds of the real-time clock: what the kernel stamps datagrams with.
pub(crate) fn clock() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64)
}

/// As 32.32 fixed point since 1900.
fn ntp(unix_nanos: u64) -> u64 {
    let seconds = unix_nanos / 1_000_000_000 + 2_208_988_800;
    let fraction = ((unix_nanos % 1_000_000_000) << 32) / 1_000_000_000;
    seconds << 32 | fraction
}
