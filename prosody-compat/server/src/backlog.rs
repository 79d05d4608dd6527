//! What waits for one address because its connections take too little: frames in, charges out that are given back by being
//! dropped; or a refusal.
//!
//! Content that several connections of an address wait for is in memory once and counts once. Only what waits behind a
//! socket that takes nothing is charged, so that everyday traffic pays nothing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use budget::fair_share;
use prosody_core::Frame;

use crate::limits;

/// One address.
#[derive(Debug)]
pub(crate) struct Backlog {
    own: Mutex<Own>,
    all: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct Own {
    bytes: usize,
    /// By where it is in memory; alive as long as it is here.
    contents: HashMap<usize, Content>,
}

#[derive(Debug)]
struct Content {
    bytes: usize,
    places: usize,
}

/// What one frame, or one connection's buffer, holds of its address' backlog.
#[derive(Debug)]
pub(crate) struct Charge {
    backlog: Arc<Backlog>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Frame(usize),
    Buffer(usize),
}

/// The address, or all of them, have as much waiting as may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMuch;

impl Backlog {
    /// `all`: bytes of all addresses together.
    pub(crate) fn new(all: Arc<AtomicUsize>) -> Arc<Self> {
        Arc::new(Self { own: Mutex::default(), all })
    }

    /// A frame waits. The charge must not outlive it.
    pub(crate) fn frame(self: &Arc<Self>, frame: &Frame) -> Result<Charge, TooMuch> {
        let content = frame.content();
        let place = content.as_ptr() as usize;
        let mut own = self.own();
        let known = own.contents.contains_key(&place);
        self.add(&mut own, FRAME_BYTES + if known { 0 } else { content.len() })?;
        own.contents.entry(place).or_insert(Content { bytes: content.len(), places: 0 }).places += 1;
        Ok(Charge { backlog: Arc::clone(self), kind: Kind::Frame(place) })
    }

    /// A buffer that holds nothing yet.
    pub(crate) fn buffer(self: &Arc<Self>) -> Charge {
        Charge { backlog: Arc::clone(self), kind: Kind::Buffer(0) }
    }

    fn add(&self, own: &mut Own, more: usize) -> Result<(), TooMuch> {
        let others = self.all.load(Ordering::Relaxed).saturating_sub(own.bytes);
        let left = limits::BACKLOG.saturating_sub(others);
        if own.bytes + more > fair_share(limits::ADDRESS_BACKLOG, limits::BACKLOG, left) {
            return Err(TooMuch);
        }
        own.bytes += more;
        self.all.fetch_add(more, Ordering::Relaxed);
        Ok(())
    }

    fn give_back(&self, own: &mut Own, bytes: usize) {
        own.bytes -= bytes;
        self.all.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn own(&self) -> MutexGuard<'_, Own> {
        // Its operations leave nothing half done.
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Charge {
    /// The buffer holds so much now.
    pub(crate) fn set(&mut self, bytes: usize) -> Result<(), TooMuch> {
        let Kind::Buffer(had) = &mut self.kind else { return Ok(()) };
        let bytes = bytes.saturating_sub(limits::BACKLOG_FREE);
        let mut own = self.backlog.own();
        match bytes.checked_sub(*had) {
            Some(more) => self.backlog.add(&mut own, more)?,
            None => self.backlog.give_back(&mut own, *had - bytes),
        }
        *had = bytes;
        Ok(())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let mut own = self.backlog.own();
        let freed = match self.kind {
            Kind::Buffer(bytes) => bytes,
            Kind::Frame(place) => {
                let Some(content) = own.contents.get_mut(&place) else { return };
                content.places -= 1;
                FRAME_BYTES
                    + if content.places == 0 { own.contents.remove(&place).map_or(0, |c| c.bytes) } else { 0 }
            }
        };
        self.backlog.give_back(&mut own, freed);
    }
}

/// What a frame that waits takes beside its content.
const FRAME_BYTES: usize = 192;

#[cfg(test)]
mod tests {
    use super::*;

    fn backlog() -> Arc<Backlog> {
        Backlog::new(Arc::default())
    }

    #[test]
    fn what_one_broadcast_left_counts_once_and_distinct_frames_to_the_share_and_no_further() {
        let backlog = backlog();
        let size = 64 * 1024 - FRAME_BYTES;
        let one = Frame::whole(vec![b'x'; size]);
        let same: Vec<_> = (0..1_000).map(|_| backlog.frame(&one).unwrap()).collect();
        assert_eq!(backlog.own().bytes, size + 1_000 * FRAME_BYTES);
        drop(same);
        assert_eq!((backlog.own().bytes, backlog.all.load(Ordering::Relaxed)), (0, 0));
        let frames: Vec<_> =
            (0..=limits::ADDRESS_BACKLOG / (64 * 1024)).map(|_| Frame::whole(vec![b'x'; size])).collect();
        let charges: Vec<_> = frames.iter().map_while(|f| backlog.frame(f).ok()).collect();
        assert_eq!((charges.len(), backlog.own().bytes), (frames.len() - 1, limits::ADDRESS_BACKLOG));
    }

    #[test]
    fn buffers_count_beyond_what_is_free_to_the_share_and_no_further() {
        let backlog = backlog();
        let (mut one, mut two) = (backlog.buffer(), backlog.buffer());
        one.set(limits::BACKLOG_FREE).unwrap();
        assert_eq!(backlog.own().bytes, 0);
        one.set(limits::BACKLOG_FREE + 1_000).unwrap();
        two.set(limits::BACKLOG_FREE + limits::ADDRESS_BACKLOG - 1_000).unwrap();
        assert_eq!(one.set(limits::BACKLOG_FREE + 1_001), Err(TooMuch));
        one.set(0).unwrap();
        two.set(limits::BACKLOG_FREE + limits::ADDRESS_BACKLOG).unwrap();
    }

    #[test]
    fn all_addresses_together_are_bounded_and_each_gets_less_when_it_gets_scarce() {
        let all = Arc::new(AtomicUsize::new(0));
        let hold = |bytes| {
            let mut buffer = Backlog::new(Arc::clone(&all)).buffer();
            buffer.set(limits::BACKLOG_FREE + bytes).map(|()| buffer)
        };
        let greedy: Vec<_> = std::iter::from_fn(|| hold(limits::ADDRESS_BACKLOG).ok()).collect();
        assert_eq!(greedy.len(), limits::BACKLOG / 2 / limits::ADDRESS_BACKLOG + 1);
        assert!(hold(1024 * 1024).is_ok(), "somebody with little");
        drop(greedy);
        assert!(hold(limits::ADDRESS_BACKLOG).is_ok());
    }
}
