//! What one media thread sends to others for conferences that are on several: packets in bundles, news in order; what is to be read
//! by the other thread out.
//!
//! A bundle goes once a turn, or when it is full: one message for many packets, whose buffers come back. A thread that does not read
//! loses packets, as a network would. News is not lost; while some waits for a thread, its parts of conferences are told less
//! ([`DatagramSink::has_room_at`](videobridge_core::DatagramSink::has_room_at)).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use videobridge_core::{PartKey, PartNews};

use super::peers::{Peer, PeerMessage};
use crate::limits::{BUNDLE_BYTES, BUNDLE_PACKETS, SPARE_BUNDLES};

/// Packets for parts of conferences on one thread.
#[derive(Debug, Default)]
pub(super) struct Bundle {
    bytes: Vec<u8>,
    packets: Vec<Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    part: PartKey,
    is_rtcp: bool,
    len: usize,
}

impl Bundle {
    /// How many packets.
    pub(super) fn len(&self) -> usize {
        self.packets.len()
    }

    pub(super) fn push(&mut self, part: PartKey, is_rtcp: bool, parts: &[&[u8]]) {
        let before = self.bytes.len();
        parts.iter().for_each(|some| self.bytes.extend_from_slice(some));
        self.packets.push(Entry { part, is_rtcp, len: self.bytes.len() - before });
    }

    fn is_full(&self) -> bool {
        self.bytes.len() >= BUNDLE_BYTES || self.packets.len() >= BUNDLE_PACKETS
    }

    /// Hands out what is in it.
    pub(super) fn empty(&mut self, mut take: impl FnMut(PartKey, bool, &mut [u8])) {
        let mut rest = self.bytes.as_mut_slice();
        for Entry { part, is_rtcp, len } in self.packets.drain(..) {
            let Some((packet, behind)) = std::mem::take(&mut rest).split_at_mut_checked(len) else { break };
            take(part, is_rtcp, packet);
            rest = behind;
        }
        self.bytes.clear();
    }
}

/// How many endpoints each thread has.
#[derive(Debug, Clone)]
pub(super) struct Loads(Arc<[AtomicU32]>);

impl Loads {
    pub(super) fn new(threads: usize) -> Self {
        Self((0..threads).map(|_| AtomicU32::new(0)).collect())
    }

    pub(super) fn set(&self, thread: usize, endpoints: usize) {
        if let Some(load) = self.0.get(thread) {
            load.store(u32::try_from(endpoints).unwrap_or(u32::MAX), Ordering::Relaxed);
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().map(|load| load.load(Ordering::Relaxed))
    }
}

/// One thread's way to parts of conferences on the others.
#[derive(Debug)]
pub(super) struct Parts {
    me: u16,
    /// By thread: what goes next.
    outgoing: Vec<Outgoing>,
    spare: Vec<Bundle>,
    sent: u64,
    dropped: u64,
}

#[derive(Debug)]
struct Outgoing {
    peer: Peer,
    bundle: Option<Bundle>,
    /// News for which there was no room. What brings it about is what the focus asks for: bounded by that.
    news: VecDeque<(PartKey, Box<PartNews>)>,
    wake: bool,
}

impl Parts {
    pub(super) fn new(me: usize, peers: &[Peer]) -> Self {
        let outgoing =
            |peer: &Peer| Outgoing { peer: peer.clone(), bundle: None, news: VecDeque::new(), wake: false };
        Self {
            me: u16::try_from(me).unwrap_or(u16::MAX),
            outgoing: peers.iter().map(outgoing).collect(),
            spare: Vec::new(),
            sent: 0,
            dropped: 0,
        }
    }

    pub(super) fn packet(&mut self, thread: u16, part: PartKey, is_rtcp: bool, parts: &[&[u8]]) {
        let Some(to) = self.outgoing.get_mut(usize::from(thread)) else { return };
        let spare = &mut self.spare;
        let bundle = to.bundle.get_or_insert_with(|| spare.pop().unwrap_or_default());
        bundle.push(part, is_rtcp, parts);
        if bundle.is_full() {
            self.send_bundle(usize::from(thread));
        }
    }

    pub(super) fn news(&mut self, thread: u16, part: PartKey, news: Box<PartNews>) {
        if let Some(to) = self.outgoing.get_mut(usize::from(thread)) {
            to.news.push_back((part, news));
            self.send_news(usize::from(thread));
        }
    }

    /// Whether a thread takes more.
    pub(super) fn has_room_at(&self, thread: u16) -> bool {
        self.outgoing.get(usize::from(thread)).is_some_and(|to| to.news.is_empty())
    }

    /// Another thread has emptied it.
    pub(super) fn take_back(&mut self, bundle: Bundle) {
        if self.spare.len() < SPARE_BUNDLES {
            self.spare.push(bundle);
        }
    }

    /// Gives a bundle back to the thread it came from, if that has room for it.
    pub(super) fn give_back(&mut self, thread: u16, bundle: Bundle) {
        if let Some(to) = self.outgoing.get(usize::from(thread)) {
            let _ = to.peer.send(PeerMessage::Emptied(bundle));
        }
    }

    /// Once per turn: what is ready goes, and who got something is woken. Whether something still waits.
    pub(super) fn settle(&mut self) -> bool {
        for thread in 0..self.outgoing.len() {
            self.send_news(thread);
            self.send_bundle(thread);
            if let Some(to) = self.outgoing.get_mut(thread)
                && std::mem::take(&mut to.wake)
            {
                to.peer.wake();
            }
        }
        self.outgoing.iter().any(|to| !to.news.is_empty())
    }

    /// Packets sent, and dropped, since the last call.
    pub(super) fn take_counts(&mut self) -> (u64, u64) {
        (std::mem::take(&mut self.sent), std::mem::take(&mut self.dropped))
    }

    fn send_bundle(&mut self, thread: usize) {
        let Some(to) = self.outgoing.get_mut(thread) else { return };
        let Some(bundle) = to.bundle.take() else { return };
        let count = bundle.len() as u64;
        match to.peer.send(PeerMessage::Bundle { from: self.me, bundle }) {
            Ok(()) => {
                to.wake = true;
                self.sent += count;
            }
            Err(unsent) => {
                self.dropped += count;
                if let PeerMessage::Bundle { mut bundle, .. } = unsent {
                    bundle.empty(|_, _, _| {});
                    self.take_back(bundle);
                }
            }
        }
    }

    fn send_news(&mut self, thread: usize) {
        let Some(to) = self.outgoing.get_mut(thread) else { return };
        while let Some((part, news)) = to.news.pop_front() {
            match to.peer.send(PeerMessage::News { from: self.me, part, news }) {
                Ok(()) => to.wake = true,
                Err(PeerMessage::News { part, news, .. }) => return to.news.push_front((part, news)),
                Err(_) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Receiver;

    use super::*;
    use crate::limits::FROM_PEERS;

    /// The first of two threads, what the second one gets, and names for parts.
    fn first_of_two() -> (Parts, Receiver<PeerMessage>, PartKey, mio::Poll) {
        let poll = mio::Poll::new().unwrap();
        let waker = Arc::new(mio::Waker::new(poll.registry(), mio::Token(0)).unwrap());
        let (me, _) = Peer::new(Arc::clone(&waker));
        let (other, from_me) = Peer::new(waker);
        (Parts::new(0, &[me, other]), from_me, PartKey::default(), poll)
    }

    #[test]
    fn packets_go_in_bundles_in_order_and_their_buffers_come_back() {
        let (mut parts, from_me, part, _poll) = first_of_two();
        for n in 0..BUNDLE_PACKETS as u8 {
            parts.packet(1, part, n == 3, &[&[n], &[], &[1, 2]]);
            assert_eq!(from_me.try_iter().count(), 0, "{n}");
            if n + 2 == BUNDLE_PACKETS as u8 {
                break;
            }
        }
        parts.packet(1, part, false, &[&[9; 4]]);
        let full: Vec<_> = from_me.try_iter().collect();
        let [PeerMessage::Bundle { from: 0, .. }] = full[..] else {
            panic!("at the limit it goes: {full:?}")
        };
        let Some(PeerMessage::Bundle { mut bundle, .. }) = full.into_iter().next() else { unreachable!() };
        let mut seen = Vec::new();
        bundle.empty(|_, is_rtcp, packet| seen.push((is_rtcp, packet.to_vec())));
        assert_eq!(seen.len(), BUNDLE_PACKETS);
        assert_eq!((seen[3].clone(), seen[4].clone()), ((true, vec![3, 1, 2]), (false, vec![4, 1, 2])));
        assert_eq!(seen.last().unwrap().1, [9; 4]);
        let buffer = bundle.bytes.as_ptr();
        parts.take_back(bundle);
        parts.packet(1, part, false, &[&[7]]);
        assert_eq!(parts.outgoing[1].bundle.as_ref().unwrap().bytes.as_ptr(), buffer, "no other buffer");
        parts.settle();
        assert_eq!(from_me.try_iter().count(), 1, "what is ready goes once a turn");
        // One large packet beyond the bytes goes at once.
        parts.packet(1, part, false, &[&vec![0; BUNDLE_BYTES - 1]]);
        assert_eq!(from_me.try_iter().count(), 0);
        parts.packet(1, part, false, &[&[0]]);
        assert_eq!(from_me.try_iter().count(), 1);
        assert_eq!(parts.take_counts(), (BUNDLE_PACKETS as u64 + 3, 0));
    }

    #[test]
    fn a_thread_that_does_not_read_loses_packets_and_no_news() {
        let (mut parts, from_me, part, _poll) = first_of_two();
        for _ in 0..FROM_PEERS {
            parts.packet(1, part, false, &[&[1]]);
            parts.settle();
        }
        assert_eq!(parts.take_counts(), (FROM_PEERS as u64, 0));
        parts.packet(1, part, false, &[&[1]]);
        parts.settle();
        assert_eq!(parts.take_counts(), (0, 1), "one beyond");
        assert!(parts.has_room_at(1));
        for _ in 0..3 {
            parts.news(1, part, Box::default());
        }
        assert!(!parts.has_room_at(1) && parts.settle(), "it waits");
        assert_eq!(from_me.try_iter().count(), FROM_PEERS);
        assert!(!parts.settle() && parts.has_room_at(1));
        assert_eq!(from_me.try_iter().filter(|m| matches!(m, PeerMessage::News { from: 0, .. })).count(), 3);
    }

    #[test]
    fn so_many_emptied_bundles_are_kept() {
        let (mut parts, ..) = first_of_two();
        (0..=SPARE_BUNDLES).for_each(|_| parts.take_back(Bundle::default()));
        assert_eq!(parts.spare.len(), SPARE_BUNDLES, "one beyond is not");
    }

    #[test]
    fn the_loads_of_all_threads_are_known_to_each() {
        let loads = Loads::new(2);
        loads.clone().set(1, 7);
        loads.set(2, 9);
        assert_eq!(loads.all().collect::<Vec<_>>(), [0, 7]);
    }
}
