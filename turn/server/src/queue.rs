//! Between streams and the relay's thread: messages of clients in one direction, bytes for them in the other, both counted.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::limits::{STREAM_OUT, STREAMS_IN, STREAMS_OUT};

/// What streams tell the thread.
#[derive(Debug)]
pub(crate) enum In {
    /// A stream is there.
    Open { id: u64, peer: SocketAddr, out: Outlet },
    /// A message of its client, with the room that it takes in the queue.
    Message { id: u64, bytes: Vec<u8>, _room: [OwnedSemaphorePermit; 2] },
    /// It has ended.
    Closed { id: u64 },
    /// What a successor passes back is for us.
    Successor(OwnedFd),
    /// Whether a successor reads our sockets.
    Rest(bool),
}

/// The thread's queue of what streams say. Its length is that of the streams' rooms.
#[derive(Debug)]
pub(crate) struct Inbox {
    queue: Mutex<VecDeque<In>>,
    awake: AtomicBool,
    ended: AtomicBool,
    waker: mio::Waker,
    pub(crate) room: Arc<Semaphore>,
    out: Arc<AtomicUsize>,
    next: Mutex<u64>,
}

impl Inbox {
    pub(crate) fn new(waker: mio::Waker) -> Self {
        Self {
            queue: Mutex::default(),
            awake: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            waker,
            room: Arc::new(Semaphore::new(STREAMS_IN)),
            out: Arc::default(),
            next: Mutex::new(0),
        }
    }

    pub(crate) fn push(&self, what: In) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(what);
        // Who wakes it once wakes it for all that come until it looks.
        if !self.awake.swap(true, Ordering::AcqRel) {
            let _ = self.waker.wake();
        }
    }

    /// What waits.
    pub(crate) fn take(&self) -> VecDeque<In> {
        self.awake.store(false, Ordering::Release);
        std::mem::take(&mut self.queue.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        let _ = self.waker.wake();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// The way to a new stream, and its number.
    pub(crate) fn outlet(&self) -> (u64, Outlet, mpsc::UnboundedReceiver<Parcel>) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next += 1;
        let (to, from) = mpsc::unbounded_channel();
        (*next, Outlet { to, own: Arc::default(), all: Arc::clone(&self.out) }, from)
    }
}

/// The way to one stream: bytes that wait are bounded, for it and for all.
#[derive(Debug)]
pub(crate) struct Outlet {
    to: mpsc::UnboundedSender<Parcel>,
    own: Arc<AtomicUsize>,
    all: Arc<AtomicUsize>,
}

impl Outlet {
    /// Whether there was room.
    pub(crate) fn send(&self, bytes: &[u8]) -> bool {
        let room = |n: &AtomicUsize, most: usize| {
            let before = n.fetch_add(bytes.len(), Ordering::Relaxed);
            before + bytes.len() <= most
        };
        let (own, all) = (room(&self.own, STREAM_OUT), room(&self.all, STREAMS_OUT));
        // Counts, and counts no more when it is dropped, wherever that is.
        let parcel = Parcel { bytes: bytes.into(), own: Arc::clone(&self.own), all: Arc::clone(&self.all) };
        own && all && self.to.send(parcel).is_ok()
    }
}

/// Bytes on the way to a stream.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) bytes: Box<[u8]>,
    own: Arc<AtomicUsize>,
    all: Arc<AtomicUsize>,
}

impl Drop for Parcel {
    fn drop(&mut self) {
        self.own.fetch_sub(self.bytes.len(), Ordering::Relaxed);
        self.all.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inbox() -> (mio::Poll, Inbox) {
        let poll = mio::Poll::new().unwrap();
        let waker = mio::Waker::new(poll.registry(), mio::Token(0)).unwrap();
        (poll, Inbox::new(waker))
    }

    #[test]
    fn what_waits_for_one_stream_is_bounded_and_makes_room_when_it_is_written() {
        let (_poll, inbox) = inbox();
        let (_, out, mut from) = inbox.outlet();
        let half = vec![7; STREAM_OUT / 2];
        assert!(out.send(&half) && out.send(&half));
        assert!(!out.send(&[7]), "one beyond");
        drop(from.try_recv().unwrap());
        assert!(out.send(&[7]));
        drop(from);
        assert!(!out.send(&[7]));
        assert_eq!(inbox.out.load(Ordering::Relaxed), 0, "gone with the stream");
    }

    #[test]
    fn what_waits_for_all_streams_is_bounded() {
        let (_poll, inbox) = inbox();
        let full = vec![7; STREAM_OUT];
        let all: Vec<_> = (0..=STREAMS_OUT / STREAM_OUT).map(|_| inbox.outlet()).collect();
        let (last, others) = all.split_last().unwrap();
        assert!(others.iter().all(|(_, out, _)| out.send(&full)));
        assert!(!last.1.send(&[7]), "one beyond");
    }
}
