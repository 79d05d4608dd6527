//! One kept-alive XMPP client connection: stanzas to send in; `Up`, received stanzas and `Down` out.
//!
//! A [`Link`] connects, authenticates, binds, and carries stanzas, over TCP ([`Link::connect`]) or over channels
//! inside one process ([`Link::in_process`]). It understands none of them: joining rooms and matching replies to
//! requests is done by the pure cores.
//!
//! What a user of a link has to know:
//! - after `Up { resumed: false }` the session is new: rooms must be joined again, requests under way are lost;
//! - after `Down` a TCP link reconnects by itself, after a session at once, then with jittered backoff from 1 to 10 seconds, 2 while
//!   there is a session to be resumed. Stanzas sent in
//!   between are kept if the session can be resumed (XEP-0198) and dropped if a new one has to be made;
//! - `send` never waits: a full queue is an error, and what happens then is the sender's decision;
//! - stanzas come by weight: presence, answers and words of components first, then requests and chat, their senders in
//!   turn; a flood of those is refused, never what the user needs;
//! - initial available presence is sent by the link, so that the server counts the account as online.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

mod auth;
mod backoff;
mod error;
mod handshake;
mod in_process;
mod inbox;
pub mod limits;
mod outbox;
mod run;
mod sm;
mod stream;
mod tls;

use std::time::Duration;

use bytes::Bytes;
use jitsi_xmpp::{Element, FullJid, Sensitive};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

pub use in_process::{Attach, ServerEnd};
pub use outbox::{LinkFull, LinkSender};
pub use tls::{AnyCertificate, system_roots};

/// Whether the TCP connection is encrypted (STARTTLS, RFC 6120 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsMode {
    /// Never. Passwords are then only sent by SCRAM, or to the own machine.
    Off,
    /// When the server offers it.
    #[default]
    IfOffered,
    /// A server without it is refused.
    Required,
}

/// Where to connect and as whom.
#[derive(Debug, Clone)]
pub struct LinkConfig {
    /// `host:port`.
    pub address: String,
    /// The account's XMPP domain, e.g. `auth.meet.jitsi`; also the name a certificate is checked against.
    pub domain: String,
    /// The account's name; empty: SASL ANONYMOUS.
    pub username: String,
    /// The account's password.
    pub password: Sensitive<String>,
    /// The wanted resource; empty: the server chooses.
    pub resource: String,
    /// Encryption.
    pub tls: TlsMode,
    /// Whether the server's certificate must be valid for `domain`. Installations with self-signed certificates
    /// (docker-jitsi-meet's default) switch it off; the link then warns at every start.
    pub verify_certificate: bool,
    /// How long the server is asked to keep the session when the connection is lost (XEP-0198 §5, `max`); `None`: as long as it likes.
    /// Whole seconds count.
    pub resume_within: Option<Duration>,
}

/// A session that somebody else goes on with (XEP-0198 §5). Whoever has it, and the account's password, speaks as that session.
#[derive(Clone, PartialEq, Eq)]
pub struct Resumption {
    /// The session's address.
    pub jid: FullJid,
    /// The server's name for it.
    pub id: String,
    /// Stanzas received.
    pub received: u32,
    /// Stanzas that the server has acknowledged.
    pub acked: u32,
    /// Those that it has not, oldest first.
    pub unacked: Vec<Bytes>,
}

/// Names and what people say are in it.
impl std::fmt::Debug for Resumption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resumption").field("unacked", &self.unacked.len()).finish_non_exhaustive()
    }
}

/// What a link reports.
#[derive(Debug, Clone, PartialEq)]
pub enum LinkEvent {
    /// The session is usable.
    Up {
        /// The own address, as bound by the server.
        jid: FullJid,
        /// The earlier session goes on: nothing was lost, rooms are still joined.
        resumed: bool,
    },
    /// A stanza arrived.
    Stanza(Element),
    /// The answer to [`Link::checkpoint`]: with what has been done about all stanzas reported so far, and what has been sent since
    /// asking, a successor can go on here.
    Checkpoint(Resumption),
    /// The connection is gone or could not be made. A TCP link is already on the way to the next attempt.
    Down {
        /// Why, without personal data.
        reason: String,
    },
}

/// One end of a connection to an XMPP server. Dropping it closes the connection.
#[derive(Debug)]
pub struct Link {
    sender: LinkSender,
    events: Events,
    task: Option<JoinHandle<run::Left>>,
    stop: watch::Sender<bool>,
    kept: watch::Sender<Option<u32>>,
}

#[derive(Debug)]
enum Events {
    Tcp(mpsc::Receiver<LinkEvent>),
    InProcess(Box<in_process::ClientEnd>, Option<in_process::Again>),
}

impl Link {
    /// Starts to connect and keeps connecting until dropped. Spawns its task on the current tokio runtime.
    pub fn connect(config: LinkConfig) -> Self {
        Self::succeed(config, None, false)
    }

    /// The same; a session that somebody else has begun is gone on with, if the server still has it. `keeps`: received stanzas
    /// count as handled only when [`Link::is_kept`] says so.
    pub fn succeed(config: LinkConfig, session: Option<Resumption>, keeps: bool) -> Self {
        let (sender, outgoing) = outbox::pair(limits::OUTGOING_STANZAS);
        let (events_tx, events) = mpsc::channel(limits::EVENTS);
        let (stop, stopped) = watch::channel(false);
        let (kept, is_kept) = watch::channel(keeps.then_some(0));
        let orders = run::Orders { stop: stopped, kept: is_kept };
        let session = session.map(|s| run::Kept {
            sm: sm::StreamManagement::inherited(&s),
            jid: s.jid,
            inherited: true,
        });
        let task = tokio::spawn(run::run(config, outgoing, events_tx, orders, session));
        Self { sender, events: Events::Tcp(events), task: Some(task), stop, kept }
    }

    fn beside(sender: LinkSender, events: Events) -> Self {
        Self { sender, events, task: None, stop: watch::Sender::new(false), kept: watch::Sender::new(None) }
    }

    /// Asks for a [`LinkEvent::Checkpoint`]. A link inside the process has none.
    pub fn checkpoint(&self) -> Result<(), LinkFull> {
        match self.events {
            Events::Tcp(_) => self.sender.send_bytes(Bytes::new()),
            Events::InProcess(..) => Ok(()),
        }
    }

    /// What was done about so many received stanzas outlives this process.
    pub fn is_kept(&self, received: u32) {
        self.kept.send_replace(Some(received));
    }

    /// Ends the connection and not the session: what was received and not reported yet, and what a successor needs. `None`: the
    /// server does not resume sessions, or there is none.
    pub async fn hand_over(mut self) -> (Vec<Element>, Option<Resumption>) {
        let Some(task) = self.task.take() else { return (Vec::new(), None) };
        self.stop.send_replace(true);
        let mut stanzas = Vec::new();
        if let Events::Tcp(events) = &mut self.events {
            // Its task may be waiting for a place in here.
            while let Some(event) = events.recv().await {
                if let LinkEvent::Stanza(stanza) = event {
                    stanzas.push(stanza);
                }
            }
        }
        let left = task.await.unwrap_or_default();
        stanzas.extend(left.stanzas);
        (stanzas, left.session)
    }

    /// A link whose server is in the same process, already authenticated as `jid`. `capacity` bounds the
    /// stanzas waiting in either direction.
    pub fn in_process(jid: FullJid, capacity: usize) -> (Self, ServerEnd) {
        let (sender, end, server) = in_process::pair(jid, capacity);
        (Self::beside(sender, Events::InProcess(Box::new(end), None)), server)
    }

    /// The same; and when the server drops the link, it is attached again, as a new session. `None`: the server does
    /// not take it even once.
    pub async fn in_process_again(jid: FullJid, capacity: usize, attach: Attach) -> Option<Self> {
        let (sender, end, server) = in_process::pair(jid, capacity);
        let again = in_process::Again::new(attach, capacity);
        let attached = (again.attach)(server).await;
        attached.then(|| Self::beside(sender, Events::InProcess(Box::new(end), Some(again))))
    }

    /// Queues a stanza. Never waits; an error means the queue is full or the link has ended.
    pub fn send(&self, stanza: &Element) -> Result<(), LinkFull> {
        self.sender.send(stanza)
    }

    /// Queues a stanza that is already serialised. Never waits.
    pub fn send_bytes(&self, stanza: Bytes) -> Result<(), LinkFull> {
        self.sender.send_bytes(stanza)
    }

    /// The next event; `None` when the link has ended for good. Cancel-safe.
    pub async fn recv(&mut self) -> Option<LinkEvent> {
        match &mut self.events {
            Events::Tcp(events) => events.recv().await,
            Events::InProcess(end, again) => loop {
                if let Some(event) = end.recv().await {
                    return Some(event);
                }
                let again = again.as_mut()?;
                again.wait().await;
                let (sender, new, server) = in_process::pair(end.jid().clone(), again.capacity);
                if (again.attach)(server).await {
                    (self.sender, **end) = (sender, new);
                }
            },
        }
    }

    /// A handle that only sends.
    pub fn sender(&self) -> LinkSender {
        self.sender.clone()
    }

    /// Sends what is queued, ends the session cleanly and waits for that, at most
    /// [`limits::CLOSE_WAIT`].
    pub async fn close(self) {
        let Self { sender, events, task, .. } = self;
        drop(events);
        drop(sender);
        if let Some(task) = task {
            // The task ends by itself; a server that does not answer must not delay a shutdown.
            let abort = task.abort_handle();
            if tokio::time::timeout(limits::CLOSE_WAIT, task).await.is_err() {
                abort.abort();
            }
        }
    }
}

/// A stanza's bytes as they travel on a link.
fn wire(stanza: &Element) -> Bytes {
    Bytes::from(stanza.to_xml())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_shutdown_waits_so_long_for_a_link_that_hangs_and_not_longer() {
        let (alive, gone) = tokio::sync::oneshot::channel::<()>();
        let task = tokio::spawn(async {
            let _alive = alive;
            std::future::pending::<run::Left>().await
        });
        let (sender, _outgoing) = outbox::pair(1);
        let (_events, events) = mpsc::channel(1);
        let link = Link { task: Some(task), ..Link::beside(sender, Events::Tcp(events)) };
        let start = tokio::time::Instant::now();
        link.close().await;
        assert_eq!(start.elapsed().as_secs(), limits::CLOSE_WAIT.as_secs());
        assert!(gone.await.is_err(), "its task is ended");
    }
}
