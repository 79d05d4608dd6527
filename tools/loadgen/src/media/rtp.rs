//! The RTP we speak: payload types, extension ids, packets as Chromium writes them; and the few header fields a sink
//! reads of every packet.

use videobridge_rtp::ExtensionId;
use videobridge_rtp::write::{ExtensionForm, HeaderWriter, RtpFields};

/// Payload types, as Jitsi Meet offers them.
pub(crate) const OPUS: u8 = 111;
pub(crate) const VP8: u8 = 100;
pub(crate) const RTX: u8 = 96;
/// Header extension ids.
pub(crate) const AUDIO_LEVEL: u8 = 1;
pub(crate) const TRANSPORT_CC: u8 = 5;

/// Bytes at the end of each payload: a mark, the packet's number and when it was sent.
pub(crate) const TAIL: usize = 16;
const MARK: [u8; 4] = *b"load";

/// Where a packet of a VP8 frame stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Picture {
    pub(crate) id: u16,
    pub(crate) tl0: u8,
    pub(crate) temporal: u8,
    /// It refers to the base layer alone.
    pub(crate) sync: bool,
    pub(crate) key: bool,
    /// The frame's first packet.
    pub(crate) start: bool,
    pub(crate) height: u16,
}

/// Bytes the descriptor takes in front of the frame, and of the frame header behind it.
pub(crate) const fn vp8_overhead(picture: &Picture) -> usize {
    6 + if picture.start && picture.key {
        10
    } else if picture.start {
        3
    } else {
        0
    }
}

/// Writes a VP8 payload of exactly `payload.len()` bytes (RFC 7741): descriptor with picture id, TL0PICIDX and
/// temporal layer, the frame header where a frame starts, filler, tail.
pub(crate) fn write_vp8(payload: &mut [u8], picture: &Picture, number: u32, stamp_ns: u64) {
    write_descriptor(payload, picture);
    if picture.start && picture.key {
        let [w0, w1] = (picture.height / 9 * 16).to_le_bytes();
        let [h0, h1] = picture.height.to_le_bytes();
        payload[6..16].copy_from_slice(&[0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, w0, w1, h0, h1]);
    } else if picture.start {
        payload[6..9].copy_from_slice(&[0x11, 0x02, 0x00]);
    }
    write_tail(payload, number, stamp_ns);
}

/// Writes a VP8 payload of exactly `payload.len()` bytes: descriptor, and as much of a frame that can be shown as there is room.
pub(crate) fn write_shown_vp8(payload: &mut [u8], picture: &Picture, rest: &[u8]) {
    write_descriptor(payload, picture);
    payload[VP8_DESCRIPTOR..].iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
}

/// Bytes in front of a frame's own.
pub(crate) const VP8_DESCRIPTOR: usize = 6;

fn write_descriptor(payload: &mut [u8], picture: &Picture) {
    let [pid_high, pid_low] = (picture.id | 0x8000).to_be_bytes();
    let start = if picture.start { 0x10 } else { 0 };
    let layer = picture.temporal << 6 | u8::from(picture.sync) << 5;
    let descriptor = [0x80 | start, 0xe0, pid_high, pid_low, picture.tl0, layer];
    payload[..VP8_DESCRIPTOR].copy_from_slice(&descriptor);
}

/// Writes mark, number and time at the end.
pub(crate) fn write_tail(payload: &mut [u8], number: u32, stamp_ns: u64) {
    let at = payload.len() - TAIL;
    payload[at..at + 4].copy_from_slice(&MARK);
    payload[at + 4..at + 8].copy_from_slice(&number.to_be_bytes());
    payload[at + 8..].copy_from_slice(&stamp_ns.to_be_bytes());
}

/// When a decrypted packet of ours was sent; `None` for what others made, such as padding.
pub(crate) fn stamp(packet: &[u8]) -> Option<u64> {
    // The bridge may have filled it up.
    let padding = if packet.first()? & 0x20 == 0 { 0 } else { usize::from(*packet.last()?) };
    let tail = packet.get(..packet.len().checked_sub(padding)?)?.last_chunk::<TAIL>()?;
    let (mark, rest) = tail.split_first_chunk::<4>()?;
    (*mark == MARK).then(|| rest.last_chunk::<8>().map(|b| u64::from_be_bytes(*b)))?
}

/// Writes a header with at most one extension; returns its length.
pub(crate) fn write_header(buf: &mut [u8], fields: &RtpFields, extensions: &[(u8, &[u8])]) -> usize {
    let Some(mut writer) = HeaderWriter::new(buf, fields, ExtensionForm::OneByte) else { return 0 };
    for (id, data) in extensions {
        let _ = ExtensionId::new(*id).and_then(|id| writer.extension(id, data));
    }
    writer.finish()
}

/// What a sink reads of every packet, encrypted or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) payload_type: u8,
    pub(crate) marker: bool,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
    pub(crate) transport_sequence: Option<u16>,
    pub(crate) header_len: usize,
}

impl Seen {
    /// Reads the header, which SRTP leaves in the clear.
    pub(crate) fn parse(data: &[u8]) -> Option<Self> {
        let fixed = data.first_chunk::<12>()?;
        let [first, second, s0, s1, t0, t1, t2, t3, i0, i1, i2, i3] = *fixed;
        if first >> 6 != 2 {
            return None;
        }
        let mut seen = Self {
            payload_type: second & 0x7f,
            marker: second & 0x80 != 0,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([i0, i1, i2, i3]),
            transport_sequence: None,
            header_len: 12 + 4 * usize::from(first & 0x0f),
        };
        if first & 0x10 == 0 {
            return Some(seen);
        }
        let &[p0, p1, l0, l1] = data.get(seen.header_len..)?.first_chunk::<4>()?;
        let len = 4 * usize::from(u16::from_be_bytes([l0, l1]));
        let start = seen.header_len + 4;
        let mut rest = data.get(start..start + len)?;
        seen.header_len = start + len;
        let two_bytes = p0 == 0x10 && p1 >> 4 == 0;
        while let [head, tail @ ..] = rest {
            let (id, len, data) = match (two_bytes, tail) {
                (_, _) if *head == 0 => (0, 0, tail),
                (true, [len, data @ ..]) => (*head, usize::from(*len), data),
                (true, []) => break,
                (false, _) => (head >> 4, usize::from(head & 0x0f) + 1, tail),
            };
            if id == TRANSPORT_CC && len >= 2 {
                seen.transport_sequence = data.first_chunk::<2>().map(|b| u16::from_be_bytes(*b));
                break;
            }
            rest = data.get(len..)?;
        }
        Some(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(picture: &Picture, extensions: &[(u8, &[u8])]) -> (Vec<u8>, usize) {
        let mut packet = vec![0; 300];
        let fields =
            RtpFields { marker: true, payload_type: VP8, sequence: 77, timestamp: 90_000, ssrc: 0xabcd };
        let header = write_header(&mut packet, &fields, extensions);
        write_vp8(&mut packet[header..], picture, 9, 123_456_789);
        (packet, header)
    }

    #[test]
    fn what_is_written_is_read_back_with_and_without_extensions() {
        let picture = Picture { start: true, key: true, height: 720, ..Picture::default() };
        let (bytes, header) = packet(&picture, &[(3, &[1, 2, 3]), (TRANSPORT_CC, &[0x12, 0x34])]);
        let seen = Seen::parse(&bytes).unwrap();
        assert_eq!((seen.sequence, seen.ssrc, seen.payload_type, seen.marker), (77, 0xabcd, VP8, true));
        assert_eq!((seen.transport_sequence, seen.header_len), (Some(0x1234), header));
        assert_eq!(stamp(&bytes), Some(123_456_789));
        assert_eq!(stamp(&bytes[..bytes.len() - 1]), None);
        let mut padded = [&bytes[..], &[0, 2]].concat();
        padded[0] |= 0x20;
        assert_eq!(stamp(&padded), Some(123_456_789), "as long as the others of its frame");

        let (bytes, _) = packet(&picture, &[]);
        let seen = Seen::parse(&bytes).unwrap();
        assert_eq!((seen.transport_sequence, seen.header_len), (None, 12));
        assert_eq!(Seen::parse(&bytes[..11]), None);
        assert_eq!(Seen::parse(&[0; 40]), None, "not RTP");
    }

    #[test]
    fn key_frames_say_so_and_how_high_they_are() {
        let (bytes, header) =
            packet(&Picture { id: 0x1234, start: true, key: true, height: 360, ..Picture::default() }, &[]);
        let payload = &bytes[header..];
        assert_eq!(payload[0] & 0x10, 0x10, "starts a partition");
        assert_eq!(payload[2..4], [0x92, 0x34], "15 bits");
        assert_eq!(payload[6] & 1, 0, "not predicted");
        assert_eq!(payload[9..16], [0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01]);
        let (bytes, header) = packet(&Picture { start: true, ..Picture::default() }, &[]);
        assert_eq!(bytes[header + 6] & 1, 1, "predicted");
    }
}
