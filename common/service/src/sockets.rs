//! Sockets that the process before this one left in; those that this one listens on, for its successor, and whether it takes
//! connections at the moment, out.
//!
//! Descriptors are the process', and so is this. Until [`begin`] nothing is kept, so that servers of one process in tests have
//! nothing in common.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use rustix::net::SocketType;
use rustix::net::sockopt::socket_type;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// One socket.
struct Bound {
    is_stream: bool,
    at: SocketAddr,
    socket: OwnedFd,
}

#[derive(Default)]
struct All {
    /// Left by the process before, and not asked for yet.
    left: Vec<Bound>,
    /// Copies of ours.
    own: Vec<Bound>,
}

static ALL: Mutex<Option<All>> = Mutex::new(None);
static TAKING: LazyLock<watch::Sender<bool>> = LazyLock::new(|| watch::Sender::new(true));

fn all() -> MutexGuard<'static, Option<All>> {
    // Lists of descriptors are never half changed.
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on what is listened on is kept for a successor. `left`: what the process before has left.
pub fn begin(left: Vec<OwnedFd>) {
    let left = left.into_iter().filter_map(Bound::of).collect();
    *all() = Some(All { left, own: Vec::new() });
}

/// The listening TCP socket of the process before at this address.
pub fn tcp(address: SocketAddr) -> Option<StdListener> {
    take(true, address).pop().map(StdListener::from)
}

/// Its UDP sockets at this address: one of each media thread.
pub fn udp(address: SocketAddr) -> Vec<OwnedFd> {
    take(false, address)
}

/// How many those are.
pub fn udp_count(address: SocketAddr) -> usize {
    let all = all();
    all.iter().flat_map(|all| &all.left).filter(|b| !b.is_stream && b.at == address).count()
}

fn take(is_stream: bool, address: SocketAddr) -> Vec<OwnedFd> {
    let mut all = all();
    let Some(all) = all.as_mut() else { return Vec::new() };
    all.left.extract_if(.., |b| b.is_stream == is_stream && b.at == address).map(|b| b.socket).collect()
}

/// What nobody asked for is not configured any more.
pub fn close_left() {
    if let Some(all) = all().as_mut() {
        all.left.clear();
    }
}

/// A socket of ours that a successor shall have.
pub fn keep(socket: &impl AsFd) {
    if let Some(all) = all().as_mut()
        && let Ok(copy) = socket.as_fd().try_clone_to_owned()
        && let Some(bound) = Bound::of(copy)
    {
        all.own.push(bound);
    }
}

/// Nothing is listened for there any more.
pub fn forget(is_stream: bool, address: SocketAddr) {
    if let Some(all) = all().as_mut() {
        all.own.retain(|b| b.is_stream != is_stream || b.at != address);
    }
}

/// Nothing is listened for any more.
pub fn forget_all() {
    *all() = None;
}

/// All of ours, for a successor.
///
/// # Errors
/// There are no more descriptors.
pub fn copies() -> io::Result<Vec<OwnedFd>> {
    all().iter().flat_map(|all| &all.own).map(|b| b.socket.try_clone()).collect()
}

/// Whether connections are taken from now on; those that come meanwhile wait, or are the successor's.
pub fn set_taking(on: bool) {
    TAKING.send_replace(on);
}

/// Changes with [`set_taking`].
pub fn taking() -> watch::Receiver<bool> {
    TAKING.subscribe()
}

/// The next connection, while any are taken.
///
/// # Errors
/// What the system says.
pub async fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let mut taking = taking();
    loop {
        // The other end is a static.
        let _ = taking.wait_for(|on| *on).await;
        tokio::select! {
            accepted = listener.accept() => return accepted,
            _ = taking.wait_for(|on| !*on) => {}
        }
    }
}

impl Bound {
    /// `None`: nothing that is bound to an address of the internet.
    fn of(socket: OwnedFd) -> Option<Self> {
        let is_stream = socket_type(&socket).ok()? == SocketType::STREAM;
        // Asks for the name, which all sockets have alike.
        let named = StdListener::from(socket);
        let at = named.local_addr().ok()?;
        Some(Self { is_stream, at, socket: named.into() })
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    /// In one test, as there is one list in a process.
    #[tokio::test]
    async fn what_was_left_is_found_by_its_address_and_what_is_kept_can_be_left() {
        let tcp_socket = StdListener::bind("127.0.0.1:0").unwrap();
        let at = tcp_socket.local_addr().unwrap();
        keep(&tcp_socket);
        assert!(copies().unwrap().is_empty(), "nothing is kept before the beginning");
        let udp_socket = UdpSocket::bind(at).unwrap();
        begin(vec![tcp_socket.into(), udp_socket.into()]);
        assert_eq!((udp_count(at), udp(at).len(), udp(at).len()), (1, 1, 0), "each once");
        let again = tcp(at).expect("it was left");
        assert!(tcp(at).is_none());
        keep(&again);
        assert_eq!(copies().unwrap().len(), 1);
        forget(false, at);
        assert_eq!(copies().unwrap().len(), 1, "another kind");

        again.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(again).unwrap();
        set_taking(false);
        let accepted = tokio::spawn(async move { accept(&listener).await.map(drop) });
        let _client = TcpStream::connect(at).await.expect("it waits in the queue");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        assert!(!accepted.is_finished(), "nobody is taken");
        set_taking(true);
        accepted.await.unwrap().unwrap();
        forget(true, at);
        assert!(copies().unwrap().is_empty());
        forget_all();
        keep(&StdListener::bind("127.0.0.1:0").unwrap());
        assert!(copies().unwrap().is_empty());
    }
}
