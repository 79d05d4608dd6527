//! The relay's shell: UDP sockets and streams of clients in, the pure [`turn_core`] asked, datagrams to peers and clients out.
//!
//! One thread owns the engine and all UDP sockets ([`thread`]), so that relayed media wait for nothing of the control plane;
//! streams, whose TLS is the front's, are carried to it and back in bounded queues ([`stream`]).
#![forbid(unsafe_code)]

mod limits;
mod queue;
mod stream;
#[cfg(test)]
mod tests;
mod thread;

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use service::{Exposition, StartError, State, listen};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use turn_core::{Peers, Secret, binding, frames, password};

use crate::queue::{In, Inbox};
use crate::thread::{Numbers, Thread};

/// What the relay is started with.
pub struct Config {
    /// Where clients send datagrams: addresses of the machine, no wildcard.
    pub listen: Vec<SocketAddr>,
    /// The same, asked again now and then: new ones are listened on, and those that are gone no longer. Empty: as at the start.
    pub listen_now: Box<dyn Fn() -> Vec<SocketAddr> + Send>,
    /// Shared with the XMPP server.
    pub secret: Box<dyn Fn() -> Secret + Send>,
    /// Where relays may lead; asked again now and then. `None`: not known at the moment.
    pub peers: Box<dyn Fn() -> Option<Peers> + Send>,
    /// At most so many relays.
    pub allocations: usize,
    /// The way to a process before this one that goes on with relays on the same sockets, as [`TurnHandle::hand_over`] made it there.
    pub before: Option<OwnedFd>,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").field("allocations", &self.allocations).finish_non_exhaustive()
    }
}

/// A running relay. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TurnHandle {
    inbox: Arc<Inbox>,
    numbers: Arc<Numbers>,
    addresses: Arc<[SocketAddr]>,
}

/// Opens the sockets and starts the thread. It ends when `shutdown` becomes true, and the returned task with it.
///
/// # Errors
/// An address cannot be used.
pub fn start(
    config: Config,
    mut shutdown: watch::Receiver<bool>,
) -> Result<(TurnHandle, JoinHandle<()>), StartError> {
    let part = |e: io::Error| StartError::Part { part: "the TURN server", reason: e.to_string() };
    let mut sockets = Vec::new();
    let mut refused = None;
    for address in &config.listen {
        match thread::listener(*address) {
            Ok(socket) => sockets.push(socket),
            // One of many may be on its way out, or not quite there yet.
            Err(e) if e.kind() == io::ErrorKind::AddrNotAvailable => {
                refused = Some(listen::refused("turn.listen", *address, "udp", &e));
            }
            Err(e) => return Err(listen::refused("turn.listen", *address, "udp", &e)),
        }
    }
    if let (true, Some(refused)) = (sockets.is_empty(), refused) {
        return Err(refused);
    }
    let addresses =
        sockets.iter().map(mio::net::UdpSocket::local_addr).collect::<Result<_, _>>().map_err(part)?;
    let numbers = Arc::new(Numbers::default());
    let (thread, inbox) = Thread::new(config, sockets, Arc::clone(&numbers)).map_err(part)?;
    let handle = TurnHandle { inbox: Arc::clone(&inbox), numbers, addresses };
    let runs = std::thread::Builder::new().name("turn".into()).spawn(move || thread.run()).map_err(part)?;
    let task = tokio::spawn(async move {
        let _ = shutdown.wait_for(|e| *e).await;
        inbox.end();
        // It never waits longer than one turn of its loop.
        let _ = tokio::task::spawn_blocking(move || runs.join()).await;
    });
    Ok((handle, task))
}

impl TurnHandle {
    /// Where clients send datagrams.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// A way for a successor on which datagrams of this server's clients come back.
    ///
    /// # Errors
    /// There are no more descriptors.
    pub fn hand_over(&self) -> io::Result<OwnedFd> {
        let (ours, theirs) = service::line::pair()?;
        self.inbox.push(In::Successor(ours));
        Ok(theirs)
    }

    /// Whether a successor reads the sockets from now on. Those of relays stay with us.
    pub fn set_resting(&self, on: bool) {
        self.inbox.push(In::Rest(on));
    }

    /// How it feels. Does not wait.
    pub fn health(&self) -> State {
        if self.numbers.is_running() {
            State::Healthy
        } else {
            State::Hard("the relay's thread has ended".into())
        }
    }

    /// The relay's part of `/metrics`. Does not wait.
    pub fn expose(&self, out: &mut Exposition) {
        self.numbers.expose(out);
    }
}
