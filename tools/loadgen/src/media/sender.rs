//! A camera and a microphone: time in, the packets Chromium would send then, out.
//!
//! Simulcast is three VP8 encodings of 180, 360 and 720 lines with three temporal layers at 30 frames a second; all
//! packets of a frame leave at once. The flat pattern is one encoding whose frames are a fixed number of packets of
//! one size at a fixed rate: what the ceiling programs send. With a film, simulcast sends pictures that can be shown.

use std::sync::Arc;
use std::time::Duration;

use videobridge_rtp::write::RtpFields;

use super::film::Film;
use super::limits::HISTORY;
use super::rtp::{
    AUDIO_LEVEL, OPUS, Picture, RTX, TAIL, TRANSPORT_CC, VP8, VP8_DESCRIPTOR, vp8_overhead, write_header,
    write_shown_vp8, write_tail, write_vp8,
};

/// Nanoseconds between two frames.
pub(crate) const FRAME: u64 = 33_333_333;
/// Nanoseconds between two Opus packets.
pub(crate) const AUDIO_FRAME: u64 = 20_000_000;
/// Chromium answers requests for key frames no more often.
const KEY_FRAME_INTERVAL: u64 = 300_000_000;
/// Chromium cuts frames into packets of at most this payload, nearly equal.
const MAX_PAYLOAD: usize = 1_150;

/// What a camera sends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Pattern {
    /// Three encodings.
    Simulcast,
    /// One encoding: bursts of `burst` packets of `size` bytes, RTP header included.
    Flat { size: usize, burst: usize },
}

/// An encoding's usual bytes per frame, bytes of a key frame, and height.
pub(crate) const ENCODINGS: [(usize, usize, u16); 3] =
    [(830, 4_200, 180), (2_080, 13_000, 360), (6_900, 38_000, 720)];

/// Writes a protected packet from a plain one: buffer, length, header length, extended sequence number.
pub(crate) type Emit<'a> = dyn FnMut(&mut [u8], usize, usize, u64) + 'a;

/// A participant's clocks and counters that its streams share.
#[derive(Debug, Default)]
pub(crate) struct Common {
    pub(crate) transport_cc: bool,
    pub(crate) transport_sequence: u16,
    /// Packets so far, of all streams.
    pub(crate) packets: u64,
}

impl Common {
    fn next_transport_sequence(&mut self) -> [u8; 2] {
        self.transport_sequence = self.transport_sequence.wrapping_add(1);
        self.transport_sequence.to_be_bytes()
    }
}

/// What is needed to send a packet again.
#[derive(Debug, Clone, Copy, Default)]
struct Sent {
    sequence: u64,
    timestamp: u32,
    payload_len: u16,
    marker: bool,
    picture: Picture,
    stamp: u64,
    used: bool,
    /// With a film: the frame, and where in it this packet begins.
    shown: (usize, usize),
}

/// One encoding.
#[derive(Debug)]
pub(crate) struct Encoding {
    pub(crate) ssrc: u32,
    pub(crate) rtx: u32,
    sequence: u64,
    rtx_sequence: u64,
    picture_id: u16,
    tl0: u8,
    frames: u64,
    /// Somebody may want it.
    pub(crate) active: bool,
    key_wanted: bool,
    last_key: Option<u64>,
    pub(crate) packets: u32,
    pub(crate) octets: u32,
    pub(crate) last_timestamp: u32,
    history: Box<[Sent]>,
}

/// A camera.
#[derive(Debug)]
pub(crate) struct Camera {
    pub(crate) pattern: Pattern,
    pub(crate) encodings: Vec<Encoding>,
    random: u64,
    started: Option<u64>,
    film: Option<Arc<Film>>,
}

impl Camera {
    /// Shows this from its next key frame on, which is its next frame.
    pub(crate) fn show(&mut self, film: Arc<Film>) {
        self.encodings.iter_mut().for_each(|e| e.key_wanted = true);
        self.film = Some(film);
    }

    /// `first_ssrc`: six numbers from there on are its own.
    pub(crate) fn new(pattern: Pattern, first_ssrc: u32, seed: u64) -> Self {
        let count = if pattern == Pattern::Simulcast { 3 } else { 1 };
        let mut random = seed | 1;
        let encodings = (0..count)
            .map(|i| {
                let n = next(&mut random);
                Encoding {
                    ssrc: first_ssrc + 2 * i,
                    rtx: first_ssrc + 2 * i + 1,
                    sequence: n & 0x3fff,
                    rtx_sequence: n >> 20 & 0x3fff,
                    picture_id: (n >> 36 & 0x7fff) as u16,
                    tl0: (n >> 52) as u8,
                    frames: 0,
                    active: true,
                    key_wanted: true,
                    last_key: None,
                    packets: 0,
                    octets: 0,
                    last_timestamp: 0,
                    history: vec![Sent::default(); HISTORY].into_boxed_slice(),
                }
            })
            .collect();
        Self { pattern, encodings, random, started: None, film: None }
    }

    /// SSRC and retransmission SSRC of each encoding.
    pub(crate) fn ssrcs(&self) -> Vec<(u32, u32)> {
        self.encodings.iter().map(|e| (e.ssrc, e.rtx)).collect()
    }

    /// The bridge says how high anybody wants it: −1 = any, 0 = nobody. Returns whether something changed.
    pub(crate) fn constrain(&mut self, max_height: i32) -> bool {
        let simulcast = self.pattern == Pattern::Simulcast;
        let mut changed = false;
        for (encoding, (_, _, height)) in self.encodings.iter_mut().zip(ENCODINGS) {
            let lowest = height == ENCODINGS[0].2;
            let wanted = max_height < 0 || max_height > 0 && (lowest || i32::from(height) <= max_height);
            let active = if simulcast { wanted } else { max_height != 0 };
            changed |= active != encoding.active;
            encoding.key_wanted |= active && !encoding.active;
            encoding.active = active;
        }
        changed
    }

    /// Somebody wants a key frame of the encoding with this SSRC.
    pub(crate) fn want_key_frame(&mut self, ssrc: u32) -> bool {
        let encoding = self.encodings.iter_mut().find(|e| e.ssrc == ssrc);
        encoding.map(|e| e.key_wanted = true).is_some()
    }

    /// Sends the frame that is due. Returns the packets.
    pub(crate) fn frame(
        &mut self,
        now: u64,
        stamp: &mut dyn FnMut() -> u64,
        common: &mut Common,
        buffer: &mut [u8],
        emit: &mut Emit<'_>,
    ) -> usize {
        let started = *self.started.get_or_insert(now);
        let timestamp = ((now - started) / 1_000 * 90 / 1_000) as u32;
        let mut sent = 0;
        let film = self.film.as_deref();
        for (n, (encoding, (usual, key_bytes, height))) in
            self.encodings.iter_mut().zip(ENCODINGS).enumerate()
        {
            let jitter = next(&mut self.random) % 64;
            if !encoding.active {
                continue;
            }
            let allowed = encoding.last_key.is_none_or(|at| now >= at + KEY_FRAME_INTERVAL);
            let over = film.is_some_and(|film| encoding.frames as usize >= film.len(n));
            let key = (encoding.key_wanted && allowed) || over;
            if key {
                encoding.key_wanted = false;
                encoding.last_key = Some(now);
            }
            let temporal = match (self.pattern, encoding.frames % 4) {
                (Pattern::Flat { .. }, _) | (_, 0) => 0,
                _ if key => 0,
                (_, 2) => 1,
                _ => 2,
            };
            // The base layer's frames are larger; all vary by a quarter.
            let weight = [140, 95, 80][usize::from(temporal)] + jitter as usize / 2 - 16;
            let shown_frame = if key { 0 } else { encoding.frames as usize };
            let bytes = match film {
                Some(film) => film.frame(n, shown_frame).len(),
                None if key => key_bytes,
                None => usual * weight / 100,
            };
            let mut offset = 0;
            let (packets, payload) = match self.pattern {
                Pattern::Simulcast => {
                    let packets = bytes.div_ceil(MAX_PAYLOAD);
                    (packets, bytes / packets)
                }
                Pattern::Flat { burst, .. } => (burst, 0),
            };
            // Of eight pictures the first of either higher layer, as libwebrtc's.
            let sync = !key && temporal > 0 && matches!(encoding.frames % 8, 1 | 2);
            encoding.frames = if key { 1 } else { encoding.frames + 1 };
            encoding.picture_id = (encoding.picture_id + 1) & 0x7fff;
            if temporal == 0 {
                encoding.tl0 = encoding.tl0.wrapping_add(1);
            }
            for i in 0..packets {
                let picture = Picture {
                    id: encoding.picture_id,
                    tl0: encoding.tl0,
                    temporal,
                    sync,
                    key,
                    start: i == 0,
                    height,
                };
                let payload_len = match self.pattern {
                    // Nearly equal: the last ones are a byte longer.
                    Pattern::Simulcast => payload + usize::from(i >= packets - bytes % packets),
                    Pattern::Flat { size, .. } => size - if common.transport_cc { 20 } else { 12 },
                };
                let payload_len = match film {
                    Some(_) => VP8_DESCRIPTOR + payload_len,
                    None => payload_len.max(vp8_overhead(&picture) + TAIL),
                };
                let shown = (shown_frame, offset);
                offset += payload_len - VP8_DESCRIPTOR;
                let record = Sent {
                    sequence: encoding.sequence,
                    timestamp,
                    payload_len: payload_len as u16,
                    shown,
                    marker: i + 1 == packets,
                    picture,
                    stamp: stamp(),
                    used: true,
                };
                encoding.sequence += 1;
                encoding.send(&record, film.map(|film| film.frame(n, shown_frame)), common, buffer, emit);
                if let Some(slot) = encoding.history.get_mut(record.sequence as usize % HISTORY) {
                    *slot = record;
                }
            }
            sent += packets;
        }
        sent
    }

    /// Sends a packet again. Returns whether it was still known.
    pub(crate) fn repeat(
        &mut self,
        ssrc: u32,
        sequence: u16,
        common: &mut Common,
        buffer: &mut [u8],
        emit: &mut Emit<'_>,
    ) -> bool {
        let Some((n, encoding)) = self.encodings.iter_mut().enumerate().find(|(_, e)| e.ssrc == ssrc) else {
            return false;
        };
        let behind = (encoding.sequence as u16).wrapping_sub(sequence);
        let Some(wanted) = encoding.sequence.checked_sub(behind.into()) else { return false };
        let Some(record) = encoding
            .history
            .get(wanted as usize % HISTORY)
            .copied()
            .filter(|r| r.used && r.sequence == wanted)
        else {
            return false;
        };
        let frame = self.film.as_deref().map(|film| film.frame(n, record.shown.0));
        encoding.send_again(&record, frame, common, buffer, emit);
        true
    }
}

impl Sent {
    /// Writes its payload: of this frame, or something that only looks like one.
    fn write(&self, frame: Option<&[u8]>, payload: &mut [u8]) {
        match frame {
            Some(frame) => {
                write_shown_vp8(payload, &self.picture, frame.get(self.shown.1..).unwrap_or_default());
            }
            None => write_vp8(payload, &self.picture, self.sequence as u32, self.stamp),
        }
    }
}

impl Encoding {
    fn send(
        &mut self,
        record: &Sent,
        frame: Option<&[u8]>,
        common: &mut Common,
        buffer: &mut [u8],
        emit: &mut Emit<'_>,
    ) {
        let fields = RtpFields {
            marker: record.marker,
            payload_type: VP8,
            sequence: record.sequence as u16,
            timestamp: record.timestamp,
            ssrc: self.ssrc,
        };
        let header = header(buffer, &fields, common);
        let len = header + usize::from(record.payload_len);
        let Some(payload) = buffer.get_mut(header..len) else { return };
        record.write(frame, payload);
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(record.payload_len.into());
        self.last_timestamp = record.timestamp;
        common.packets += 1;
        emit(buffer, len, header, record.sequence);
    }

    fn send_again(
        &mut self,
        record: &Sent,
        frame: Option<&[u8]>,
        common: &mut Common,
        buffer: &mut [u8],
        emit: &mut Emit<'_>,
    ) {
        let fields = RtpFields {
            marker: record.marker,
            payload_type: RTX,
            sequence: self.rtx_sequence as u16,
            timestamp: record.timestamp,
            ssrc: self.rtx,
        };
        let header = header(buffer, &fields, common);
        let len = header + 2 + usize::from(record.payload_len);
        let Some(payload) = buffer.get_mut(header..len) else { return };
        payload[..2].copy_from_slice(&(record.sequence as u16).to_be_bytes());
        record.write(frame, &mut payload[2..]);
        emit(buffer, len, header, self.rtx_sequence);
        self.rtx_sequence += 1;
    }
}

fn header(buffer: &mut [u8], fields: &RtpFields, common: &mut Common) -> usize {
    if common.transport_cc {
        let sequence = common.next_transport_sequence();
        write_header(buffer, fields, &[(TRANSPORT_CC, &sequence)])
    } else {
        write_header(buffer, fields, &[])
    }
}

/// A microphone.
#[derive(Debug)]
pub(crate) struct Microphone {
    pub(crate) ssrc: u32,
    sequence: u64,
    random: u64,
    started: Option<u64>,
    pub(crate) packets: u32,
    pub(crate) octets: u32,
    pub(crate) last_timestamp: u32,
}

impl Microphone {
    pub(crate) fn new(ssrc: u32, seed: u64) -> Self {
        let mut random = seed | 1;
        let sequence = next(&mut random) & 0x3fff;
        Self { ssrc, sequence, random, started: None, packets: 0, octets: 0, last_timestamp: 0 }
    }

    /// Sends the Opus packet that is due: somebody speaks.
    pub(crate) fn frame(
        &mut self,
        now: u64,
        stamp: u64,
        common: &mut Common,
        buffer: &mut [u8],
        emit: &mut Emit<'_>,
    ) {
        let started = *self.started.get_or_insert(now);
        let n = next(&mut self.random);
        // Whole frames, as an encoder's, however late we are.
        let timestamp = ((now - started + AUDIO_FRAME / 2) / AUDIO_FRAME * 960) as u32;
        let fields = RtpFields {
            marker: self.packets == 0,
            payload_type: OPUS,
            sequence: self.sequence as u16,
            timestamp,
            ssrc: self.ssrc,
        };
        // −20 to −35 dBov with the voice bit.
        let level = 0x80 | (20 + n % 16) as u8;
        let header = write_header(buffer, &fields, &[(AUDIO_LEVEL, &[level])]);
        let payload_len = 82 + (n >> 8) as usize % 60;
        let len = header + payload_len;
        let Some(payload) = buffer.get_mut(header..len) else { return };
        // One frame of 20 ms (RFC 6716 §3.1): whatever follows can be played.
        payload[0] = 0xf8;
        write_tail(payload, self.sequence as u32, stamp);
        emit(buffer, len, header, self.sequence);
        self.sequence += 1;
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(payload_len as u32);
        self.last_timestamp = timestamp;
        common.packets += 1;
    }
}

/// xorshift64: cheap and repeatable.
pub(crate) fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    state.wrapping_mul(0x2545_f491_4f6c_dd1d)
}

/// How long a burst of a flat pattern lasts at a rate in packets per second; never zero.
pub(crate) fn burst_interval(burst: usize, packets_per_second: f64) -> Duration {
    Duration::from_secs_f64((burst as f64 / packets_per_second.max(0.01)).clamp(1e-6, 3_600.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::rtp::Seen;

    /// Header and payload of each packet of the frames of so many seconds.
    fn packets(camera: &mut Camera, from: u64, frames: u64) -> Vec<(Seen, Vec<u8>)> {
        let mut common = Common { transport_cc: true, ..Common::default() };
        let mut all = Vec::new();
        let mut emit = |buf: &mut [u8], len: usize, header: usize, extended: u64| {
            let seen = Seen::parse(&buf[..len]).unwrap();
            assert_eq!((seen.header_len, seen.sequence), (header, extended as u16));
            all.push((seen, buf[header..len].to_vec()));
        };
        for i in from..from + frames {
            camera.frame(i * FRAME, &mut || 7, &mut common, &mut [0; 2_048], &mut emit);
        }
        all
    }

    fn rate(packets: &[(Seen, Vec<u8>)], ssrc: u32) -> usize {
        packets.iter().filter(|(s, _)| s.ssrc == ssrc).map(|(_, p)| p.len() * 8).sum()
    }

    #[test]
    fn simulcast_has_the_rates_and_packets_of_chromium() {
        let mut camera = Camera::new(Pattern::Simulcast, 100, 5);
        let first = packets(&mut camera, 0, 1);
        let key = |ssrc| first.iter().filter(|(s, _)| s.ssrc == ssrc).count();
        assert_eq!((key(100), key(102), key(104)), (4, 12, 34), "key frames");
        let second = packets(&mut camera, 1, 30);
        for (ssrc, least, most) in
            [(100, 150_000, 250_000), (102, 400_000, 600_000), (104, 1_400_000, 2_000_000)]
        {
            let rate = rate(&second, ssrc);
            assert!((least..most).contains(&rate), "{ssrc}: {rate}");
        }
        assert!(second.iter().all(|(_, p)| p.len() <= MAX_PAYLOAD));
        let high: Vec<_> = second.iter().filter(|(s, _)| s.ssrc == 104).collect();
        assert!(high.windows(2).all(|w| w[1].0.sequence == w[0].0.sequence.wrapping_add(1)));
        assert_eq!(high.iter().filter(|(s, _)| s.marker).count(), 30);
    }

    #[test]
    fn cameras_obey_and_answer_requests_for_key_frames_now_and_then() {
        let mut camera = Camera::new(Pattern::Simulcast, 100, 5);
        packets(&mut camera, 0, 1);
        assert!(camera.want_key_frame(104) && !camera.want_key_frame(105));
        let is_key = |(s, p): &(Seen, Vec<u8>)| s.ssrc == 104 && p[0] & 0x10 != 0 && p[6] & 1 == 0;
        assert!(!packets(&mut camera, 1, 8).iter().any(is_key), "too soon");
        assert!(packets(&mut camera, 9, 2).iter().any(is_key));
        assert!(!packets(&mut camera, 11, 20).iter().any(is_key), "once");

        assert!(camera.constrain(360));
        assert!(!camera.constrain(360), "that is so already");
        assert_eq!(rate(&packets(&mut camera, 40, 5), 104), 0);
        assert!(camera.constrain(0));
        assert!(packets(&mut camera, 45, 5).is_empty());
        assert!(camera.constrain(-1));
        assert!(packets(&mut camera, 60, 1).iter().any(is_key), "who comes back begins with a key frame");
    }

    #[test]
    fn a_repeated_packet_is_the_original_behind_its_number() {
        let mut camera = Camera::new(Pattern::Flat { size: 1_100, burst: 8 }, 100, 5);
        let sent = packets(&mut camera, 0, HISTORY as u64 / 8 + 1);
        assert!(sent.iter().all(|(s, p)| s.header_len + p.len() == 1_100));
        let mut common = Common { transport_cc: true, ..Common::default() };
        let mut again = Vec::new();
        let mut emit = |buf: &mut [u8], len: usize, header: usize, _: u64| {
            again.push((Seen::parse(&buf[..len]).unwrap(), buf[header..len].to_vec()));
        };
        let mut buffer = [0; 2_048];
        // The last that is remembered, and one before it.
        let (old, older) = (&sent[8], &sent[7]);
        assert!(camera.repeat(100, old.0.sequence, &mut common, &mut buffer, &mut emit));
        assert!(!camera.repeat(100, older.0.sequence, &mut common, &mut buffer, &mut emit));
        assert!(!camera.repeat(99, old.0.sequence, &mut common, &mut buffer, &mut emit));
        let (seen, payload) = &again[0];
        assert_eq!((seen.ssrc, seen.payload_type, seen.timestamp), (101, RTX, old.0.timestamp));
        assert_eq!(payload[..2], old.0.sequence.to_be_bytes());
        // The filler is whatever was in the buffer; what is read of it is the same.
        assert_eq!(payload[2..8], old.1[..6]);
        assert_eq!(payload[payload.len() - TAIL..], old.1[old.1.len() - TAIL..]);
    }

    #[test]
    fn a_film_is_sent_whole_and_runs_again_and_from_its_key_frame_when_that_is_asked_for() {
        let mut camera = Camera::new(Pattern::Simulcast, 100, 5);
        camera.show(Arc::new(crate::media::film::tests::film()));
        let whole = |camera: &mut Camera, at| -> Vec<u8> {
            let sent = packets(camera, at, 1);
            let mine = sent.iter().filter(|(s, _)| s.ssrc == 104);
            mine.flat_map(|(_, p)| p[VP8_DESCRIPTOR..].to_vec()).collect()
        };
        let frame = |n: u8| [&[u8::from(n != 0)], &vec![n; 2_999][..]].concat();
        for at in 0..6 {
            assert_eq!(whole(&mut camera, at), frame((at % 4) as u8), "{at}");
        }
        assert!(camera.want_key_frame(104));
        assert_eq!(whole(&mut camera, 20), frame(0));
        let last = camera.encodings[2].sequence as u16 - 1;
        let mut again = Vec::new();
        let mut emit = |buf: &mut [u8], len: usize, header: usize, _: u64| {
            again = buf[header + 2 + VP8_DESCRIPTOR..len].to_vec();
        };
        assert!(camera.repeat(104, last, &mut Common::default(), &mut [0; 2_048], &mut emit));
        assert_eq!(again, frame(0)[2_000..]);
    }
}
