//! The one packet store of a video source: packets in, the same packets out when a receiver lost one.
//!
//! All receivers share it. Packets are kept as the sender sent them; each receiver's header is written again when
//! needed. Space is allocated once: a ring of bytes and an index per encoding.

use videobridge_rtp::ExtSeq;

use super::ids::{EncodingIx, PayloadNumber, Timestamp};
use super::limits::{HISTORY_BYTES, HISTORY_PACKETS, MAX_ENCODINGS};
use super::packet::Packet;

/// The stored packets of one source.
#[derive(Debug)]
pub(crate) struct History {
    bytes: Box<[u8]>,
    /// Bytes ever written, skipped ones included; `head % bytes.len()` is where the next packet goes.
    head: usize,
    index: Box<[Stored]>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Stored {
    /// Sequence number + 1, so that 0 is "nothing".
    seq_plus_1: u64,
    at: usize,
    len: u16,
    extensions: u16,
    profile: u16,
    payload_type: PayloadNumber,
    evened: u8,
    marker: bool,
    timestamp: Timestamp,
}

impl History {
    /// Space for a source with `encodings` encodings.
    pub(crate) fn new(encodings: usize) -> Self {
        let slots = encodings.clamp(1, MAX_ENCODINGS) * HISTORY_PACKETS as usize;
        Self {
            bytes: vec![0; HISTORY_BYTES].into_boxed_slice(),
            head: 0,
            index: vec![Stored::default(); slots].into_boxed_slice(),
        }
    }

    /// Remembers a packet, forgetting the oldest.
    pub(crate) fn insert(&mut self, encoding: EncodingIx, packet: &Packet<'_>) {
        let (ext, payload) = (packet.extensions.len(), packet.payload.len());
        let (Ok(len), Ok(extensions)) = (u16::try_from(ext + payload), u16::try_from(ext)) else { return };
        let size = self.bytes.len();
        let mut at = self.head % size;
        if at + ext + payload > size {
            self.head += size - at;
            at = 0;
        }
        let Some(room) = self.bytes.get_mut(at..at + ext + payload) else { return };
        let (a, b) = room.split_at_mut(ext);
        a.copy_from_slice(packet.extensions);
        b.copy_from_slice(packet.payload);
        let stored = Stored {
            seq_plus_1: packet.seq.next().0,
            at: self.head,
            len,
            extensions,
            profile: packet.profile,
            payload_type: packet.payload_type,
            evened: packet.evened,
            marker: packet.marker,
            timestamp: packet.timestamp,
        };
        self.head += ext + payload;
        if let Some(slot) = self.index.get_mut(slot(encoding, packet.seq)) {
            *slot = stored;
        }
    }

    /// The packet with the sender's extended sequence number `seq`, if still there.
    pub(crate) fn lookup(&self, encoding: EncodingIx, seq: ExtSeq) -> Option<Packet<'_>> {
        let stored = self.index.get(slot(encoding, seq)).filter(|s| s.seq_plus_1 == seq.next().0)?;
        // Overwritten once the ring has gone round since.
        if self.head - stored.at > self.bytes.len() {
            return None;
        }
        let at = stored.at % self.bytes.len();
        let all = self.bytes.get(at..at + usize::from(stored.len))?;
        let (extensions, payload) = all.split_at_checked(usize::from(stored.extensions))?;
        Some(Packet {
            seq,
            timestamp: stored.timestamp,
            payload_type: stored.payload_type,
            marker: stored.marker,
            profile: stored.profile,
            extensions,
            payload,
            evened: stored.evened,
        })
    }
}

fn slot(encoding: EncodingIx, seq: ExtSeq) -> usize {
    encoding.at() * HISTORY_PACKETS as usize + (seq.0 % HISTORY_PACKETS) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(seq: u64, payload: &[u8]) -> Packet<'_> {
        Packet {
            seq: ExtSeq(seq),
            timestamp: Timestamp(seq as u32 * 10),
            payload_type: PayloadNumber(100),
            marker: seq.is_multiple_of(2),
            profile: 0xbede,
            extensions: b"abcd",
            payload,
            evened: 3,
        }
    }

    #[test]
    fn keeps_the_last_packets_of_each_encoding_and_no_more() {
        let mut history = History::new(2);
        for seq in 70_000..70_000 + HISTORY_PACKETS + 1 {
            history.insert(EncodingIx(0), &packet(seq, &[seq as u8; 100]));
            history.insert(EncodingIx(1), &packet(seq + 5, &[9; 10]));
        }
        assert!(history.lookup(EncodingIx(0), ExtSeq(70_000)).is_none(), "one beyond the limit");
        let oldest = history.lookup(EncodingIx(0), ExtSeq(70_001)).unwrap();
        assert_eq!((oldest.payload, oldest.extensions), (&[113u8; 100][..], &b"abcd"[..]));
        assert_eq!((oldest.timestamp, oldest.marker, oldest.evened), (Timestamp(700_010), false, 3));
        assert_eq!(history.lookup(EncodingIx(1), ExtSeq(70_007)).unwrap().payload, [9; 10]);
        assert!(history.lookup(EncodingIx(2), ExtSeq(70_007)).is_none());
    }

    #[test]
    fn bytes_are_bounded_and_old_packets_are_never_mixed_up() {
        let mut history = History::new(1);
        let body = |seq: u64| vec![(seq % 251) as u8; 1100];
        let fits = (HISTORY_BYTES / 1104) as u64;
        for seq in 0..HISTORY_PACKETS {
            history.insert(EncodingIx(0), &packet(seq, &body(seq)));
        }
        let alive: Vec<_> =
            (0..HISTORY_PACKETS).filter(|s| history.lookup(EncodingIx(0), ExtSeq(*s)).is_some()).collect();
        assert!(alive.len() as u64 <= fits && alive.len() as u64 >= fits - 1, "{} of {fits}", alive.len());
        for seq in alive {
            assert_eq!(history.lookup(EncodingIx(0), ExtSeq(seq)).unwrap().payload, body(seq));
        }
    }

    #[test]
    fn a_packet_larger_than_the_store_is_not_kept() {
        let mut history = History::new(1);
        history.insert(EncodingIx(0), &packet(1, &vec![0; 70_000]));
        assert!(history.lookup(EncodingIx(0), ExtSeq(1)).is_none());
    }
}
