//! The bounded queue towards the server: stanzas from any task in, bytes for the link's task out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use jitsi_xmpp::Element;
use tokio::sync::mpsc;

use crate::limits;

/// Why a stanza was not queued. Blame: local. Consequence: the stanza is dropped, its sender decides what then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkFull {
    /// Too many stanzas or bytes wait already.
    #[error("link queue full")]
    Full,
    /// The link has ended.
    #[error("link closed")]
    Closed,
}

impl LinkFull {
    /// The counter's label.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Full => "link_full",
            Self::Closed => "link_closed",
        }
    }
}

/// A handle that only sends; any number of them feed one link.
#[derive(Debug, Clone)]
pub struct LinkSender {
    queue: mpsc::Sender<Bytes>,
    /// Bytes waiting; `None` where the receiver does not report what it took (in process).
    waiting: Option<Arc<AtomicUsize>>,
}

impl LinkSender {
    pub(crate) fn unmetered(queue: mpsc::Sender<Bytes>) -> Self {
        Self { queue, waiting: None }
    }

    /// Whether half of the queue is free.
    pub(crate) fn is_half_free(&self) -> bool {
        self.queue.capacity() * 2 >= self.queue.max_capacity()
    }

    /// Waits until there is a place in the queue, or the link has ended.
    pub async fn has_place(&self) {
        while self.queue.reserve().await.is_ok() && self.is_heavy() {
            // By bytes, of which nobody tells when they are gone.
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn is_heavy(&self) -> bool {
        self.waiting.as_ref().is_some_and(|w| w.load(Ordering::Relaxed) > limits::OUTGOING_BYTES / 2)
    }

    /// Queues a stanza. Never waits.
    pub fn send(&self, stanza: &Element) -> Result<(), LinkFull> {
        self.send_bytes(crate::wire(stanza))
    }

    /// Queues a stanza that is already serialised, with its `xmlns` written on it.
    pub fn send_bytes(&self, stanza: Bytes) -> Result<(), LinkFull> {
        let len = stanza.len();
        if let Some(waiting) = &self.waiting {
            let before = waiting.fetch_add(len, Ordering::Relaxed);
            if before.saturating_add(len) > limits::OUTGOING_BYTES {
                waiting.fetch_sub(len, Ordering::Relaxed);
                return Err(LinkFull::Full);
            }
        }
        self.queue.try_send(stanza).map_err(|e| {
            if let Some(waiting) = &self.waiting {
                waiting.fetch_sub(len, Ordering::Relaxed);
            }
            match e {
                mpsc::error::TrySendError::Full(_) => LinkFull::Full,
                mpsc::error::TrySendError::Closed(_) => LinkFull::Closed,
            }
        })
    }
}

/// The receiving half, owned by the link's task.
#[derive(Debug)]
pub(crate) struct Outgoing {
    queue: mpsc::Receiver<Bytes>,
    waiting: Arc<AtomicUsize>,
}

pub(crate) fn pair(capacity: usize) -> (LinkSender, Outgoing) {
    let (tx, rx) = mpsc::channel(capacity);
    let waiting = Arc::new(AtomicUsize::new(0));
    (LinkSender { queue: tx, waiting: Some(Arc::clone(&waiting)) }, Outgoing { queue: rx, waiting })
}

impl Outgoing {
    /// The next stanza; `None` when every sender is gone. Cancel-safe.
    pub(crate) async fn recv(&mut self) -> Option<Bytes> {
        let stanza = self.queue.recv().await?;
        self.waiting.fetch_sub(stanza.len(), Ordering::Relaxed);
        Some(stanza)
    }

    /// The next stanza if there is one already.
    pub(crate) fn try_recv(&mut self) -> Option<Bytes> {
        let stanza = self.queue.try_recv().ok()?;
        self.waiting.fetch_sub(stanza.len(), Ordering::Relaxed);
        Some(stanza)
    }

    /// Drops everything queued: it was meant for a session that is over. Returns how many.
    pub(crate) fn discard(&mut self) -> usize {
        let mut dropped = 0;
        while self.try_recv().is_some() {
            dropped += 1;
        }
        dropped
    }
}

const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_bounded_in_stanzas() {
        let (sender, mut outgoing) = pair(2);
        let stanza = Element::new("presence", "jabber:client");
        assert_eq!(sender.send(&stanza), Ok(()));
        assert_eq!(sender.send(&stanza), Ok(()));
        assert_eq!(sender.send(&stanza), Err(LinkFull::Full));
        assert!(outgoing.try_recv().is_some());
        assert_eq!(sender.send(&stanza), Ok(()));
        assert_eq!(outgoing.discard(), 2);
        drop(outgoing);
        assert_eq!(sender.send(&stanza), Err(LinkFull::Closed));
    }

    #[test]
    fn the_queue_is_bounded_in_bytes() {
        let (sender, mut outgoing) = pair(8);
        let half = Bytes::from(vec![b'x'; limits::OUTGOING_BYTES / 2]);
        assert_eq!(sender.send_bytes(half.clone()), Ok(()));
        assert_eq!(sender.send_bytes(half.clone()), Ok(()));
        assert_eq!(sender.send_bytes(Bytes::from_static(b"x")), Err(LinkFull::Full));
        assert!(outgoing.try_recv().is_some());
        assert_eq!(sender.send_bytes(half), Ok(()));
    }
}
