//! Datagrams that reached the wrong thread in, handed over to the right one out.
//!
//! The kernel spreads peers over the threads' sockets without knowing conferences. First packets say in their user name
//! whose they are; for the rest every thread keeps a table of the addresses the others own, and the first one tells the kernel
//! ([`Steering`]), so that little has to be handed over.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use videobridge_core::{Event, PartKey, PartNews, shard_of_request};
use videobridge_udp::UdpSocket;

use super::parts::Bundle;
use super::steering::Steering;
use crate::limits;

/// What one media thread tells another.
#[derive(Debug)]
pub(super) enum PeerMessage {
    /// This is yours.
    Datagram { remote: SocketAddr, local: SocketAddr, data: Vec<u8> },
    /// Datagrams between these two are `owner`'s from now on.
    Bound { remote: SocketAddr, local: SocketAddr, owner: usize },
    /// They are nobody's, unless they have been taken by another one meanwhile.
    Released { remote: SocketAddr, local: SocketAddr, owner: usize },
    /// Packets for parts of conferences that you have.
    Bundle { from: u16, bundle: Bundle },
    /// One that was yours.
    Emptied(Bundle),
    /// News for a part of a conference that you have.
    News { from: u16, part: PartKey, news: Box<PartNews> },
}

/// How to reach a media thread from another one.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    messages: SyncSender<PeerMessage>,
    waker: Arc<mio::Waker>,
}

impl Peer {
    pub(super) fn new(waker: Arc<mio::Waker>) -> (Self, Receiver<PeerMessage>) {
        let (messages, from_peers) = sync_channel(limits::FROM_PEERS);
        (Self { messages, waker }, from_peers)
    }

    /// Hands something over without waking the thread; gives it back when there is no room.
    pub(super) fn send(&self, message: PeerMessage) -> Result<(), PeerMessage> {
        use std::sync::mpsc::TrySendError::{Disconnected, Full};
        match self.messages.try_send(message) {
            // Disconnected: it has ended, as the process is ending.
            Ok(()) | Err(Disconnected(_)) => Ok(()),
            Err(Full(message)) => Err(message),
        }
    }

    pub(super) fn wake(&self) {
        let _ = self.waker.wake();
    }
}

#[cfg(test)]
impl Peer {
    /// As another thread would; whether there was room.
    pub(super) fn tell(&self, message: PeerMessage) -> bool {
        self.messages.try_send(message).is_ok()
    }
}

/// One thread's view of the others. With a single thread it costs nothing.
#[derive(Debug)]
pub(super) struct Peers {
    me: usize,
    all: Vec<Peer>,
    /// Addresses the others own. Bounded by their endpoints.
    owners: HashMap<(SocketAddr, SocketAddr), usize>,
    /// Who got something this turn and has to be woken, by index.
    to_wake: Vec<bool>,
    /// Notices that found a full queue; unlike datagrams they must not be lost. Bounded by our addresses.
    backlog: Vec<(usize, PeerMessage)>,
    /// Of the first thread, when there are others.
    steering: Option<Steering>,
}

impl Peers {
    pub(super) fn new(me: usize, all: Vec<Peer>) -> Self {
        let to_wake = vec![false; all.len()];
        let steering = (me == 0 && all.len() > 1).then(Steering::new);
        Self { me, all, owners: HashMap::new(), to_wake, backlog: Vec::new(), steering }
    }

    pub(super) fn alone(&self) -> bool {
        self.all.len() == 1
    }

    /// Which other thread a datagram is for; `None`: ours, or nobody's.
    pub(super) fn owner(&self, remote: SocketAddr, local: SocketAddr, data: &[u8]) -> Option<usize> {
        // The user name first: after a restart the old address may move to a conference elsewhere.
        let named = shard_of_request(data).map(usize::from).filter(|shard| *shard < self.all.len());
        named.or_else(|| self.owners.get(&(remote, local)).copied()).filter(|shard| *shard != self.me)
    }

    /// Whether the other thread had room for it.
    pub(super) fn hand_over(
        &mut self,
        to: usize,
        remote: SocketAddr,
        local: SocketAddr,
        data: &[u8],
    ) -> bool {
        self.send(to, PeerMessage::Datagram { remote, local, data: data.to_vec() }).is_ok()
    }

    /// Tells all others what our shard said about its addresses.
    pub(super) fn announce(&mut self, event: &Event) {
        let me = self.me;
        if let Some(steering) = &mut self.steering {
            match *event {
                Event::AddressBound { remote, local } => steering.bound(remote, local, me),
                Event::AddressReleased { remote, local } => steering.released(remote, local, me),
                _ => {}
            }
        }
        for to in (0..self.all.len()).filter(|to| *to != me) {
            let message = match *event {
                Event::AddressBound { remote, local } => PeerMessage::Bound { remote, local, owner: me },
                Event::AddressReleased { remote, local } => {
                    PeerMessage::Released { remote, local, owner: me }
                }
                _ => return,
            };
            // Behind those that wait already: the order matters.
            let waits = self.backlog.iter().any(|(peer, _)| *peer == to);
            let unsent = if waits { Some(message) } else { self.send(to, message).err() };
            self.backlog.extend(unsent.map(|message| (to, message)));
        }
    }

    /// A notice of another thread.
    pub(super) fn learn(&mut self, remote: SocketAddr, local: SocketAddr, owner: Option<usize>, by: usize) {
        match (&mut self.steering, owner) {
            (Some(steering), Some(owner)) => steering.bound(remote, local, owner),
            (Some(steering), None) => steering.released(remote, local, by),
            (None, _) => {}
        }
        match owner {
            Some(owner) => {
                self.owners.insert((remote, local), owner);
            }
            None => {
                if self.owners.get(&(remote, local)) == Some(&by) {
                    self.owners.remove(&(remote, local));
                }
            }
        }
    }

    /// Once per turn: sends what could not be sent, wakes those who got something. Whether something still waits.
    pub(super) fn settle(&mut self) -> bool {
        for (to, message) in std::mem::take(&mut self.backlog) {
            let unsent = self.send(to, message).err();
            self.backlog.extend(unsent.map(|message| (to, message)));
        }
        for (peer, wake) in self.all.iter().zip(&mut self.to_wake) {
            if std::mem::take(wake) {
                peer.wake();
            }
        }
        !self.backlog.is_empty()
    }

    /// Once per turn of a thread that reads: tells the kernel whose datagrams are whose. `sockets` share their ports with those of
    /// the other threads.
    pub(super) fn steer<'a>(&mut self, sockets: impl Iterator<Item = &'a UdpSocket>) {
        let Some(steering) = self.steering.as_mut().filter(|steering| steering.is_stale()) else { return };
        let now = Instant::now();
        if steering.is_due(now) {
            steering.tell(now, sockets);
        }
    }

    fn send(&mut self, to: usize, message: PeerMessage) -> Result<(), PeerMessage> {
        let Some(peer) = self.all.get(to) else { return Ok(()) };
        peer.send(message)?;
        if let Some(wake) = self.to_wake.get_mut(to) {
            *wake = true;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    /// The first of two threads, and what the second one gets.
    fn first_of_two() -> (Peers, Receiver<PeerMessage>, mio::Poll) {
        let poll = mio::Poll::new().unwrap();
        let waker = Arc::new(mio::Waker::new(poll.registry(), mio::Token(0)).unwrap());
        let (me, _) = Peer::new(Arc::clone(&waker));
        let (other, from_me) = Peer::new(waker);
        (Peers::new(0, vec![me, other]), from_me, poll)
    }

    #[test]
    fn datagrams_beyond_the_limit_are_dropped_but_notices_wait_in_order() {
        let (mut peers, from_me, _poll) = first_of_two();
        for _ in 0..limits::FROM_PEERS {
            assert!(peers.hand_over(1, address(1), address(2), b"x"));
        }
        assert!(!peers.hand_over(1, address(1), address(2), b"x"), "one beyond");
        peers.announce(&Event::AddressBound { remote: address(1), local: address(2) });
        peers.announce(&Event::AddressReleased { remote: address(1), local: address(2) });
        assert!(peers.settle(), "still waiting");
        assert_eq!(from_me.try_iter().count(), limits::FROM_PEERS);
        assert!(!peers.settle());
        let notices: Vec<_> = from_me.try_iter().collect();
        assert!(matches!(
            notices[..],
            [PeerMessage::Bound { owner: 0, .. }, PeerMessage::Released { owner: 0, .. }]
        ));
    }

    #[test]
    fn an_address_belongs_to_the_last_who_said_so() {
        let (mut peers, _from_me, _poll) = first_of_two();
        let media = [0x80; 20];
        let owner = |peers: &Peers| peers.owner(address(1), address(2), &media);
        assert_eq!(owner(&peers), None);
        peers.learn(address(1), address(2), Some(1), 1);
        assert_eq!(owner(&peers), Some(1));
        peers.learn(address(1), address(2), None, 0);
        assert_eq!(owner(&peers), Some(1), "not the owner's word");
        peers.learn(address(1), address(2), None, 1);
        assert_eq!(owner(&peers), None);
        assert!(peers.owners.is_empty());
    }

    /// Whoever a thread has comes to the thread's own socket: a hand-over costs a copy and waking the thread.
    #[test]
    fn the_kernel_gives_a_threads_peers_to_its_own_socket() {
        let options = videobridge_udp::SocketOptions { reuse_port: true, ..Default::default() };
        let (mine, _) = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), &options).unwrap();
        let (others, _) = UdpSocket::bind(mine.local_address(), &options).unwrap();
        let local = mine.local_address();
        let clients: Vec<_> = (0..8).map(|_| std::net::UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        let (mut peers, _from_me, _poll) = first_of_two();
        for (n, client) in clients.iter().enumerate() {
            let remote = client.local_addr().unwrap();
            if n % 2 == 0 {
                peers.announce(&Event::AddressBound { remote, local });
            } else {
                peers.learn(remote, local, Some(1), 1);
            }
        }
        peers.steer([&mine].into_iter());
        for client in &clients {
            client.send_to(b"x", local).unwrap();
        }
        for (socket, rest) in [(&mine, 0), (&others, 1)] {
            let mut batch = videobridge_udp::RecvBatch::new();
            let mut got = Vec::new();
            let deadline = Instant::now() + std::time::Duration::from_secs(5);
            while got.len() < 4 && Instant::now() < deadline {
                let _ = batch.receive(socket);
                batch.for_each(|from, _| got.push(from));
            }
            let wanted = clients.iter().skip(rest).step_by(2).map(|client| client.local_addr().unwrap());
            assert!(wanted.eq(got.iter().copied()), "{got:?}");
        }
    }
}
