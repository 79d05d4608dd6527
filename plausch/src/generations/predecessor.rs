//! The process before this one: what it has left in; its rooms, ways to it, and its end out.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream as StdStream;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use jitsi_xmpp::Sensitive;
use jitsi_xmpp::room::RoomDomains;
use prosody_server::ServerHandle;
use service::StartError;
use service::line::{self, Line};
use tokio::net::UnixStream;
use tokio::sync::watch;

use super::limits;
use super::words::{VERSION, Word};
use crate::options::Domains;

/// What it has left.
pub(crate) struct Left {
    line: Line,
    /// How many processes are before this one.
    pub(crate) processes: u8,
    pub(crate) sockets: Vec<OwnedFd>,
    pub(crate) media: Vec<OwnedFd>,
    pub(crate) turn: Option<OwnedFd>,
    pub(crate) turn_secret: Option<Sensitive<String>>,
    rooms: HashSet<String>,
}

/// A process that goes on with its meetings. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Before(Arc<Inner>);

struct Inner {
    line: Line,
    rooms: RwLock<HashSet<String>>,
    meetings: AtomicU64,
    processes: AtomicU8,
    /// Whether it has ended.
    gone: watch::Sender<bool>,
    domains: Domains,
    tenants: bool,
    /// Our own, which knows of breakout rooms.
    xmpp: ServerHandle,
}

impl std::fmt::Debug for Before {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Before")
    }
}

/// What the process that started this one as its successor has left. `None`: there is none.
///
/// # Errors
/// It is one that is not understood, and goes on by itself.
pub(crate) async fn left() -> Result<Option<Left>, StartError> {
    let Some(end) = line::inherited() else { return Ok(None) };
    let left = tokio::time::timeout(limits::HELLO, read(end)).await;
    match left {
        Ok(Ok(left)) => Ok(Some(left)),
        Ok(Err(why)) => Err(failed(why)),
        Err(_) => Err(failed("says nothing")),
    }
}

async fn read(end: OwnedFd) -> Result<Left, &'static str> {
    const BROKEN: &str = "has ended";
    let line = Line::of(end).map_err(|_| BROKEN)?;
    let next = async || {
        let (message, with) = line.receive().await.ok().flatten().ok_or(BROKEN)?;
        Ok::<_, &'static str>((Word::of(&message).ok_or(OTHER)?, with))
    };
    let (hello, _) = next().await?;
    let Word::Hello { version: VERSION, before, turn } = hello else { return Err(OTHER) };
    let (mut sockets, mut media, mut way_of_turn) = (Vec::new(), Vec::new(), None);
    // The last of what is there from the beginning.
    while way_of_turn.is_none() {
        match next().await? {
            (Word::Sockets, with) => sockets.extend(with),
            (Word::Media, with) => media.extend(with),
            (Word::Turn, with) => way_of_turn = Some(with.into_iter().next()),
            _ => return Err(OTHER),
        }
    }
    Ok(Left {
        line,
        processes: before,
        sockets,
        media,
        turn: way_of_turn.flatten(),
        turn_secret: turn.map(Sensitive::new),
        rooms: HashSet::new(),
    })
}

/// It is of a version that this one does not understand.
const OTHER: &str = "speaks another way than this program";

fn failed(why: &str) -> StartError {
    StartError::Part { part: "the upgrade", reason: format!("the process before this one {why}") }
}

impl Left {
    /// Says that all is ready, and waits until it is this process' turn.
    ///
    /// # Errors
    /// The process before has ended, or goes on by itself.
    pub(crate) async fn begin(
        mut self,
        domains: Domains,
        tenants: bool,
        xmpp: ServerHandle,
    ) -> Result<Before, StartError> {
        let gone = |_| failed("has ended");
        self.line.send(&Word::Ready.to_bytes(), &[]).await.map_err(gone)?;
        loop {
            let message = self.line.receive().await.map_err(gone)?;
            let (message, _) = message.ok_or_else(|| failed("has ended, or goes on by itself"))?;
            match Word::of(&message) {
                Some(Word::Rooms { come, .. }) => self.rooms.extend(come),
                Some(Word::Begin) => break,
                _ => return Err(failed(OTHER)),
            }
        }
        let inner = Inner {
            line: self.line,
            meetings: AtomicU64::new(self.rooms.len() as u64),
            processes: AtomicU8::new(self.processes),
            rooms: RwLock::new(self.rooms),
            gone: watch::Sender::new(false),
            domains,
            tenants,
            xmpp,
        };
        let before = Before(Arc::new(inner));
        let listening = before.clone();
        tokio::spawn(async move { listening.listen().await });
        Ok(before)
    }
}

impl Before {
    /// This process serves.
    pub(crate) async fn tell_serving(&self) {
        self.say(&Word::Serving).await;
    }

    /// All end.
    pub(crate) async fn tell_end(&self) {
        self.say(&Word::End).await;
    }

    async fn say(&self, word: &Word) {
        // Who has ended needs to hear nothing.
        let _ = self.0.line.send(&word.to_bytes(), &[]).await;
    }

    /// Meetings that are left, and the processes that have them.
    pub(crate) fn left(&self) -> (u64, u8) {
        if self.is_gone() {
            return (0, 0);
        }
        (self.0.meetings.load(Ordering::Relaxed), self.0.processes.load(Ordering::Relaxed))
    }

    pub(crate) fn is_gone(&self) -> bool {
        *self.0.gone.borrow()
    }

    /// Its rooms, as clients write them.
    pub(super) fn rooms(&self) -> HashSet<String> {
        if self.is_gone() {
            return HashSet::new();
        }
        self.0.rooms.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn has(&self, room: &str) -> bool {
        self.0.rooms.read().unwrap_or_else(PoisonError::into_inner).contains(room)
    }

    /// Whether a room that somebody asks for is one of its: a room that is there, or one that comes with a meeting and is not one of
    /// ours.
    pub(super) async fn is_asked_for(&self, room: &jitsi_xmpp::BareJid) -> bool {
        if self.has(room.as_str()) {
            return true;
        }
        if self.meetings_at().contains(room.domain()) {
            return false;
        }
        !self.has_own(room.as_str()).await
    }

    pub(super) fn meetings_at(&self) -> RoomDomains<'_> {
        let domains = &self.0.domains;
        RoomDomains::new(&domains.main, &domains.muc, self.0.tenants)
    }

    /// A stream on which it serves somebody who has this address. `None`: it has ended.
    pub(super) async fn visit(&self, peer: SocketAddr, encrypted: bool) -> Option<UnixStream> {
        let (ours, theirs) = StdStream::pair().ok()?;
        ours.set_nonblocking(true).ok()?;
        let word = Word::Visit { peer, encrypted }.to_bytes();
        self.0.line.send(&word, &[theirs.as_fd()]).await.ok()?;
        UnixStream::from_std(ours).ok()
    }

    /// A meeting that began here stays here, whatever somebody opens there.
    async fn not_ours(&self, mut come: Vec<String>) -> Vec<String> {
        let mut ours = HashSet::new();
        for room in &come {
            if self.has_own(room).await {
                ours.insert(room.clone());
            }
        }
        come.retain(|room| !ours.contains(room));
        come
    }

    async fn has_own(&self, room: &str) -> bool {
        let said = self.0.xmpp.shell(prosody_server::Asked::Room(room.to_owned())).await;
        said.is_some_and(|said| said.done)
    }

    async fn listen(&self) {
        while let Ok(Some((message, _))) = self.0.line.receive().await {
            match Word::of(&message) {
                Some(Word::Rooms { come, gone }) => {
                    let come = self.not_ours(come).await;
                    let mut rooms = self.0.rooms.write().unwrap_or_else(PoisonError::into_inner);
                    rooms.retain(|room| !gone.contains(room));
                    let place = limits::ROOMS.saturating_sub(rooms.len());
                    rooms.extend(come.into_iter().take(place));
                }
                Some(Word::Left { meetings, processes }) => {
                    self.0.meetings.store(meetings, Ordering::Relaxed);
                    self.0.processes.store(processes, Ordering::Relaxed);
                }
                _ => {}
            }
        }
        self.0.rooms.write().unwrap_or_else(PoisonError::into_inner).clear();
        self.0.gone.send_replace(true);
        tracing::info!("the process of before the upgrade has ended");
    }
}
