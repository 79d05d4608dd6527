//! The connections of one media thread: what its shard sends in, packets in each one's bounded queue out.

use std::collections::HashMap;
use std::time::Instant;

use tokio::sync::mpsc;

use crate::streams::Stream;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Connections {
    open: HashMap<Stream, Connection>,
    sent: u64,
    dropped: u64,
}

#[derive(Debug)]
struct Connection {
    out: mpsc::Sender<Vec<u8>>,
    since: Instant,
}

impl Connections {
    pub(super) fn open(&mut self, now: Instant, stream: Stream, out: mpsc::Sender<Vec<u8>>) {
        self.open.insert(stream, Connection { out, since: now });
    }

    /// Ends it, if it has not.
    pub(super) fn close(&mut self, stream: Stream) {
        self.open.remove(&stream);
    }

    /// Since when it is open; `None`: it is not any more.
    pub(super) fn since(&self, stream: Stream) -> Option<Instant> {
        self.open.get(&stream).map(|c| c.since)
    }

    /// Has one packet of at most `max_len` bytes written and sent with its length before it (RFC 4571), if there is room.
    pub(super) fn send(&mut self, stream: Stream, max_len: usize, fill: &mut dyn FnMut(&mut [u8]) -> usize) {
        let Some(connection) = self.open.get(&stream) else { return };
        // Dropped before it is written: a slow peer costs nothing.
        let Ok(place) = connection.out.try_reserve() else {
            self.dropped += 1;
            return;
        };
        let mut packet = vec![0; 2 + max_len];
        let Some((length, rest)) = packet.split_first_chunk_mut::<2>() else { return };
        let len = fill(rest);
        let (Ok(told), true) = (u16::try_from(len), len > 0) else { return };
        *length = told.to_be_bytes();
        packet.truncate(2 + len);
        place.send(packet);
        self.sent += 1;
    }

    /// How many were sent and dropped since the last call.
    pub(super) fn take_counts(&mut self) -> (u64, u64) {
        (std::mem::take(&mut self.sent), std::mem::take(&mut self.dropped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::STREAM_OUT;

    #[test]
    fn what_waits_for_a_slow_peer_is_bounded_and_costs_no_other() {
        let mut all = Connections::default();
        let stream = |n: u8| Stream {
            remote: ([192, 0, 2, n], 1000).into(),
            local: "127.0.0.1:10000".parse().unwrap(),
        };
        let (slow, from_slow) = mpsc::channel(STREAM_OUT);
        let (other, mut from_other) = mpsc::channel(STREAM_OUT);
        all.open(Instant::now(), stream(1), slow);
        all.open(Instant::now(), stream(2), other);
        let mut write = |buf: &mut [u8]| {
            buf[..3].copy_from_slice(b"abc");
            3
        };
        for _ in 0..STREAM_OUT {
            all.send(stream(1), 10, &mut write);
        }
        assert_eq!(all.take_counts(), (STREAM_OUT as u64, 0), "at the limit");
        all.send(stream(1), 10, &mut |_| panic!("not written"));
        assert_eq!(all.take_counts(), (0, 1), "one beyond");
        all.send(stream(2), 10, &mut write);
        assert_eq!(from_other.try_recv().unwrap(), [0, 3, b'a', b'b', b'c']);
        all.send(stream(2), 10, &mut |_| 0);
        assert!(from_other.try_recv().is_err(), "there was nothing to send");
        assert_eq!(from_slow.len(), STREAM_OUT);
        all.close(stream(2));
        assert!(matches!(from_other.try_recv(), Err(mpsc::error::TryRecvError::Disconnected)), "it ends");
    }
}
