//! What one address may hold of the shell: where a connection comes from in, its places and shares out, or a refusal.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use budget::{Bucket, Network, Shares};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::backlog::Backlog;
use crate::limits;
use crate::rate::Pace;

/// The addresses that hold something.
#[derive(Debug)]
pub(crate) struct Peers {
    by_network: Mutex<HashMap<Network, Weak<Peer>>>,
    /// Connections.
    places: Counted,
    /// Those of them that are not logged in.
    strangers: Counted,
    /// Bytes received and not yet handled, all together.
    input: Arc<Semaphore>,
    /// Bytes that wait to be sent, all together, as far as they count.
    backlog: Arc<AtomicUsize>,
}

/// One address.
#[derive(Debug)]
pub(crate) struct Peer {
    input: Arc<Semaphore>,
    /// How fast it may send.
    pace: Arc<Mutex<Bucket>>,
    /// Bytes of frames that are not complete, as far as they count.
    partial: AtomicUsize,
    /// `None`: a role of this process, which has a bound of its own.
    backlog: Option<Arc<Backlog>>,
    /// For its place in the table.
    entry: Option<(Network, Weak<Peers>)>,
}

/// A connection's place among all connections and those of its address, and its share of what the server's queue takes.
#[derive(Debug)]
pub(crate) struct Place {
    peer: Arc<Peer>,
    input: Arc<Semaphore>,
    /// Frames of this connection that are received and not yet handled.
    frames: Arc<Semaphore>,
    stranger: Option<Stranger>,
    _counted: Option<One>,
}

/// A place among those who are not logged in; given back by being dropped.
#[derive(Debug)]
pub(crate) struct Stranger {
    _counted: One,
}

/// How many of something each address holds.
type Counted = Arc<Mutex<Shares<Network>>>;

/// One of them; given back by being dropped.
#[derive(Debug)]
struct One {
    counted: Counted,
    network: Network,
}

impl One {
    fn take(counted: &Counted, network: Network) -> Result<Self, Refused> {
        lock(counted).take(network, 1).map_err(|refused| match refused {
            budget::Refused::Each => Refused::Address,
            budget::Refused::Total => Refused::Total,
        })?;
        Ok(Self { counted: Arc::clone(counted), network })
    }
}

impl Drop for One {
    fn drop(&mut self) {
        lock(&self.counted).give_back(&self.network, 1);
    }
}

/// Table operations leave nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A frame's share of the queue; given back when it is handled.
#[derive(Debug)]
pub(crate) struct Share {
    _permits: [OwnedSemaphorePermit; 3],
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// This address has its share.
    Address,
    /// All places are taken.
    Total,
}

impl Peers {
    pub(crate) fn new(max_connections: usize) -> Arc<Self> {
        let counted = |each, total| Arc::new(Mutex::new(Shares::fair(each, total)));
        Arc::new(Self {
            by_network: Mutex::default(),
            places: counted(limits::ADDRESS_CONNECTIONS, max_connections),
            strangers: counted(limits::ADDRESS_STRANGERS, limits::STRANGERS),
            input: Arc::new(Semaphore::new(limits::INPUT_BYTES)),
            backlog: Arc::default(),
        })
    }

    /// A place for a connection of a stranger.
    pub(crate) fn admit(self: &Arc<Self>, network: Network) -> Result<Place, Refused> {
        let place = One::take(&self.places, network)?;
        let stranger = Stranger { _counted: One::take(&self.strangers, network)? };
        Ok(self.place(self.peer(network), Some(stranger), Some(place)))
    }

    /// A place for a role of this process; always there.
    pub(crate) fn own(self: &Arc<Self>) -> Place {
        self.place(Arc::new(Peer::new(None, None)), None, None)
    }

    fn place(&self, peer: Arc<Peer>, stranger: Option<Stranger>, counted: Option<One>) -> Place {
        let frames = Arc::new(Semaphore::new(limits::CONNECTION_INPUTS));
        Place { peer, input: Arc::clone(&self.input), frames, stranger, _counted: counted }
    }

    fn peer(self: &Arc<Self>, network: Network) -> Arc<Peer> {
        let mut all = lock(&self.by_network);
        if let Some(peer) = all.get(&network).and_then(Weak::upgrade) {
            return peer;
        }
        let backlog = Backlog::new(Arc::clone(&self.backlog));
        let peer = Arc::new(Peer::new(Some(backlog), Some((network, Arc::downgrade(self)))));
        all.insert(network, Arc::downgrade(&peer));
        peer
    }
}

impl Peer {
    fn new(backlog: Option<Arc<Backlog>>, entry: Option<(Network, Weak<Peers>)>) -> Self {
        Self {
            input: Arc::new(Semaphore::new(limits::ADDRESS_INPUT_BYTES)),
            pace: Arc::default(),
            partial: AtomicUsize::new(0),
            backlog,
            entry,
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let Some((network, peers)) = &self.entry else { return };
        let Some(peers) = peers.upgrade() else { return };
        let mut all = lock(&peers.by_network);
        // Somebody from the same address may have come in between; that entry is alive.
        if all.get(network).is_some_and(|p| p.strong_count() == 0) {
            all.remove(network);
        }
    }
}

impl Place {
    /// The place among strangers, to be kept until the login.
    pub(crate) fn take_stranger(&mut self) -> Option<Stranger> {
        self.stranger.take()
    }

    /// Waits until the connection, its address and the server have room for a frame.
    pub(crate) async fn share(&self, bytes: usize) -> Option<Share> {
        // A frame counts as at most an address' whole share, so that one above it can pass at all.
        let weight = bytes.clamp(limits::INPUT_LEAST, limits::ADDRESS_INPUT_BYTES);
        let weight = u32::try_from(weight).unwrap_or(u32::MAX);
        let frame = Arc::clone(&self.frames).acquire_owned().await.ok()?;
        let own = Arc::clone(&self.peer.input).acquire_many_owned(weight).await.ok()?;
        let all = Arc::clone(&self.input).acquire_many_owned(weight).await.ok()?;
        Some(Share { _permits: [frame, own, all] })
    }

    /// What waits for the address.
    pub(crate) fn backlog(&self) -> Option<Arc<Backlog>> {
        self.peer.backlog.clone()
    }

    /// How fast this connection may send.
    pub(crate) fn pace(&self) -> Pace {
        Pace::of(Arc::clone(&self.peer.pace))
    }

    /// For what this connection has received of a frame that is not complete.
    pub(crate) fn partial(&self) -> Partial {
        Partial { peer: Arc::clone(&self.peer), bytes: 0, counted: 0 }
    }
}

/// The bytes of one connection that wait for the rest of their frame. A little is everybody's; beyond that they count for
/// the address, and one that has too much waiting loses the connections that have more than a little.
#[derive(Debug)]
pub(crate) struct Partial {
    peer: Arc<Peer>,
    bytes: usize,
    counted: usize,
}

impl Partial {
    /// More has come. `false`: more than `most`, or more than the address may have waiting.
    #[must_use]
    pub(crate) fn grow(&mut self, more: usize, most: usize) -> bool {
        self.bytes += more;
        let counts = self.bytes.saturating_sub(limits::PARTIAL_FREE);
        let new = counts - self.counted;
        if new > 0 {
            self.counted = counts;
            let all = self.peer.partial.fetch_add(new, Ordering::Relaxed) + new;
            if all > limits::ADDRESS_PARTIAL {
                return false;
            }
        }
        self.bytes <= most
    }

    /// The frame is complete.
    pub(crate) fn complete(&mut self) {
        if self.counted > 0 {
            self.peer.partial.fetch_sub(self.counted, Ordering::Relaxed);
            self.counted = 0;
        }
        self.bytes = 0;
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        self.complete();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(last: u8) -> Network {
        Network::of([192, 0, 2, last].into())
    }

    fn known(peers: &Arc<Peers>, network: Network) -> Result<Place, Refused> {
        let mut place = peers.admit(network)?;
        drop(place.take_stranger());
        Ok(place)
    }

    #[test]
    fn one_address_gets_its_places_and_not_one_more_and_others_theirs() {
        let peers = Peers::new(10_000);
        let mut all: Vec<_> =
            (0..limits::ADDRESS_CONNECTIONS).map(|_| known(&peers, network(1)).unwrap()).collect();
        assert_eq!(peers.admit(network(1)).unwrap_err(), Refused::Address);
        let _other = peers.admit(network(2)).unwrap();
        all.pop();
        assert!(peers.admit(network(1)).is_ok());
        drop(all);
        assert_eq!(lock(&peers.by_network).len(), 1, "only the other address is kept");
    }

    #[test]
    fn two_hundred_tablets_and_a_class_may_all_be_strangers_at_once_and_not_many_more() {
        let peers = Peers::new(10_000);
        let mut strangers: Vec<_> =
            (0..limits::ADDRESS_STRANGERS).map(|_| peers.admit(network(1)).unwrap()).collect();
        assert!(strangers.len() >= 230);
        assert_eq!(peers.admit(network(1)).unwrap_err(), Refused::Address);
        drop(strangers[0].take_stranger());
        assert!(peers.admit(network(1)).is_ok());
    }

    #[test]
    fn ten_addresses_that_take_all_they_can_leave_room_for_strangers_from_an_eleventh() {
        let peers = Peers::new(10_000);
        let take_all = |n| std::iter::from_fn(|| peers.admit(network(n)).ok()).collect::<Vec<_>>();
        let greedy: Vec<_> = (1..=10).map(take_all).collect();
        let held: usize = greedy.iter().map(Vec::len).sum();
        assert!(held > limits::STRANGERS * 7 / 10);
        let class = take_all(11);
        assert!(class.len() >= 30, "{}", class.len());
        assert!(take_all(12).len() >= 30);
    }

    #[test]
    fn all_strangers_and_all_connections_together_are_bounded() {
        let address = |n: usize| Network::of(std::net::Ipv4Addr::from_bits(0x0a00_0000 + n as u32).into());
        let peers = Peers::new(limits::STRANGERS + 1);
        let mut all: Vec<_> = (0..limits::STRANGERS).map(|n| peers.admit(address(n)).unwrap()).collect();
        assert_eq!(peers.admit(network(1)).unwrap_err(), Refused::Total);
        drop(all[0].take_stranger());
        all.push(peers.admit(network(1)).unwrap());
        drop(all[1].take_stranger());
        assert_eq!(peers.admit(network(2)).unwrap_err(), Refused::Total, "no place at all");
        peers.own();
    }

    #[tokio::test]
    async fn a_connections_frames_and_an_addresss_bytes_wait_for_room_and_nobody_elses() {
        let peers = Peers::new(10);
        let (one, two, other) = (
            peers.admit(network(1)).unwrap(),
            peers.admit(network(1)).unwrap(),
            peers.admit(network(2)).unwrap(),
        );
        let mut held = Vec::new();
        for _ in 0..limits::CONNECTION_INPUTS {
            held.push(one.share(10).await.unwrap());
        }
        let full = |place| {
            let mut waits = std::pin::pin!(Place::share(place, 10));
            waits.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_pending()
        };
        assert!(full(&one) && !full(&two));
        let rest = limits::ADDRESS_INPUT_BYTES - limits::CONNECTION_INPUTS * limits::INPUT_LEAST;
        let _large = two.share(rest).await;
        assert!(full(&two), "the address has no more");
        assert!(other.share(100_000).await.is_some());
    }

    #[tokio::test]
    async fn so_many_bytes_of_all_addresses_wait_for_the_server_and_not_one_more() {
        let peers = Peers::new(100);
        let mut held = Vec::new();
        for n in 0..limits::INPUT_BYTES / limits::ADDRESS_INPUT_BYTES {
            let place = peers.admit(network(n as u8)).unwrap();
            held.push(place.share(limits::ADDRESS_INPUT_BYTES).await.unwrap());
        }
        let last = peers.admit(network(200)).unwrap();
        let mut waits = std::pin::pin!(last.share(1));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(waits.as_mut().poll(&mut cx).is_pending());
        held.pop();
        assert!(waits.as_mut().poll(&mut cx).is_ready());
    }

    #[test]
    fn what_waits_for_its_rest_is_bounded_by_connection_and_by_address() {
        let peers = Peers::new(10_000);
        let place = peers.admit(network(1)).unwrap();
        let most = 1024 * 1024;
        let mut one = place.partial();
        assert!(one.grow(most, most));
        assert!(!one.grow(1, most));
        one.complete();
        assert!(one.grow(limits::PARTIAL_FREE, most));
        let hoard = |n: usize| (0..n).map(|_| place.partial()).collect::<Vec<_>>();
        let mut greedy = hoard(limits::ADDRESS_PARTIAL / most);
        assert!(greedy.iter_mut().all(|p| p.grow(most, most)));
        let mut last = place.partial();
        assert!(!last.grow(most, most), "more than the address may");
        // A neighbour with an everyday frame is not concerned.
        let mut neighbour = place.partial();
        assert!(neighbour.grow(limits::PARTIAL_FREE, most));
        drop((greedy, last));
        assert!(neighbour.grow(most - limits::PARTIAL_FREE, most));
    }
}
