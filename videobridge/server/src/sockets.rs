//! Open bridge-channel WebSockets: what shards have to say to them in, frames for each socket's task out.
//!
//! Each has a mailbox of its own, filled by its media thread and emptied by its task. So a socket that is read slowly
//! holds up nobody, loses no state, and cannot fill a queue that others need.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use videobridge_core::{ChannelMessage, Lost, Mailbox, SocketId};

/// What a bridge-channel WebSocket has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SocketOrder {
    /// Send this text frame.
    Text(Arc<str>),
    /// Close with this code and reason.
    Close(u16, &'static str),
}

/// All of a process.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    open: Mutex<HashMap<SocketId, Arc<Outbound>>>,
}

/// What waits for one socket.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    mailbox: Mailbox,
    close: Option<(u16, &'static str)>,
}

impl Sockets {
    /// A socket that may get messages from now on, until [`Sockets::remove`].
    pub(crate) fn add(&self, socket: SocketId) -> Arc<Outbound> {
        let outbound = Arc::new(Outbound::default());
        self.open().insert(socket, Arc::clone(&outbound));
        outbound
    }

    /// Whether it was there.
    pub(crate) fn remove(&self, socket: SocketId) -> bool {
        self.open().remove(&socket).is_some()
    }

    /// A message for a socket; nothing happens when it is gone.
    pub(crate) fn push(&self, socket: SocketId, message: ChannelMessage) -> Lost {
        let outbound = self.open().get(&socket).cloned();
        outbound.map_or_else(Lost::default, |o| o.push(message))
    }

    /// Has a socket closed. It gets nothing more.
    pub(crate) fn close(&self, socket: SocketId, code: u16, reason: &'static str) {
        if let Some(outbound) = self.open().remove(&socket) {
            outbound.waiting().close = Some((code, reason));
            outbound.changed.notify_one();
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<SocketId, Arc<Outbound>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outbound {
    /// The next thing to do. Cancel-safe. Only one task may wait.
    pub(crate) async fn next(&self) -> SocketOrder {
        loop {
            if let Some(order) = self.take() {
                return order;
            }
            self.changed.notified().await;
        }
    }

    fn take(&self) -> Option<SocketOrder> {
        let mut waiting = self.waiting();
        match waiting.close {
            Some((code, reason)) => Some(SocketOrder::Close(code, reason)),
            None => waiting.mailbox.pop().map(SocketOrder::Text),
        }
    }

    fn push(&self, message: ChannelMessage) -> Lost {
        let lost = self.waiting().mailbox.push(message);
        self.changed.notify_one();
        lost
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use jitsi_xmpp::bridge_channel::BridgeMessage;
    use videobridge_core::limits::MAILBOX_CHATTER;

    use super::*;

    const ID: SocketId = SocketId(7);

    fn chatter() -> ChannelMessage {
        ChannelMessage::Chatter("x".repeat(1024).into())
    }

    #[test]
    fn a_web_socket_that_is_read_too_slowly_loses_chatter_and_keeps_its_state() {
        let sockets = Sockets::default();
        let outbound = sockets.add(ID);
        let state = BridgeMessage::ForwardedSources { forwarded_sources: Vec::new() };
        assert_eq!(sockets.push(ID, ChannelMessage::state(state)), Lost::default());
        for _ in 0..MAILBOX_CHATTER / 1024 {
            assert_eq!(sockets.push(ID, chatter()), Lost::default());
        }
        assert_eq!(sockets.push(ID, chatter()).chatter, 1, "one beyond");
        assert!(matches!(outbound.take(), Some(SocketOrder::Text(t)) if t.contains("ForwardedSources")));
    }

    #[tokio::test]
    async fn a_close_overtakes_what_waits_and_wakes_the_task() {
        let sockets = Arc::new(Sockets::default());
        let outbound = sockets.add(ID);
        let waits = tokio::spawn(async move { (outbound.next().await, outbound.next().await) });
        tokio::task::yield_now().await;
        sockets.push(ID, chatter());
        tokio::task::yield_now().await;
        sockets.push(ID, chatter());
        sockets.close(ID, 1001, "endpoint closed");
        let (first, second) = waits.await.unwrap();
        assert!(matches!(first, SocketOrder::Text(_) | SocketOrder::Close(1001, _)));
        assert_eq!(second, SocketOrder::Close(1001, "endpoint closed"));
        assert!(!sockets.remove(ID));
        assert_eq!(sockets.push(ID, chatter()), Lost::default(), "nobody is there");
    }
}
