//! Datagrams of clients in; the same to the server over bad links, and back: a UDP proxy on loopback, on its own thread.

mod overrun;
mod worker;

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::Waker;

use self::worker::Worker;
use crate::{Conditions, Counters, Direction, Schedule, Step, TooManySteps};

/// A bad network between any number of clients and one server. Each client has its own two links, with the same
/// conditions and its own chance. Ends with its thread when dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts between clients on loopback and this server.
    pub fn start(server: SocketAddr, seed: u64, up: Conditions, down: Conditions) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (worker, address, waker) = Worker::new(server, seed, [up, down], Arc::clone(&shared))?;
        let thread = std::thread::Builder::new().name("impairment".to_owned()).spawn(move || worker.run())?;
        Ok(Self { address, shared, waker, thread: Some(thread) })
    }

    /// Where clients send to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Other conditions for this direction of all clients, present and future. In force when this returns.
    pub fn set(&self, direction: Direction, conditions: Conditions) {
        self.order(|o| o.conditions.push((direction, conditions)));
    }

    /// Follows these steps, from now on and instead of earlier ones. What is due at once is in force when this returns.
    pub fn follow(&self, steps: &[Step]) -> Result<(), TooManySteps> {
        let schedule = Schedule::new(Instant::now(), steps)?;
        self.order(|o| o.schedule = Some(schedule));
        Ok(())
    }

    /// What has happened so far, all clients together.
    pub fn counters(&self) -> ProxyCounters {
        self.order(|_| {});
        let (counters, inodes) = {
            let orders = self.shared.orders();
            (orders.counters, orders.inodes.clone())
        };
        // Read here, so that the thread need not stop for it.
        ProxyCounters { overrun: overrun::dropped(&inodes), ..counters }
    }

    /// Hands an order to the thread and waits until it is done.
    fn order(&self, write: impl FnOnce(&mut Orders)) {
        let mut orders = self.shared.orders();
        write(&mut orders);
        orders.given += 1;
        let mine = orders.given;
        self.shared.news.store(true, Ordering::Release);
        // A failed wake-up only means that the order is seen with the next datagram.
        let _ = self.waker.wake();
        while orders.done < mine && self.thread.as_ref().is_some_and(|t| !t.is_finished()) {
            let waited = self.shared.done.wait_timeout(orders, Duration::from_millis(100));
            orders = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.orders().stop = true;
        self.order(|_| {});
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed; there is nothing left to clean up.
            let _ = thread.join();
        }
    }
}

/// What has happened in a proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProxyCounters {
    /// From the clients to the server.
    pub up: Counters,
    /// From the server to the clients.
    pub down: Counters,
    /// Clients seen.
    pub clients: u64,
    /// Datagrams of further clients than [`crate::CLIENTS`], or than there were sockets for.
    pub refused: u64,
    /// Datagrams the kernel did not take: nobody listens, or its buffer is full. They count as delivered.
    pub unsent: u64,
    /// Datagrams the kernel dropped before the proxy had read them: it was itself the limit.
    pub overrun: u64,
}

/// What the handle and the thread tell each other.
#[derive(Debug, Default)]
struct Shared {
    /// There are orders to read: looked at before the lock, once per turn.
    news: AtomicBool,
    orders: Mutex<Orders>,
    done: Condvar,
}

impl Shared {
    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bounded: whoever gives an order waits until it is done.
#[derive(Debug, Default)]
struct Orders {
    conditions: Vec<(Direction, Conditions)>,
    schedule: Option<Schedule>,
    stop: bool,
    given: u64,
    done: u64,
    counters: ProxyCounters,
    /// Of all the proxy's sockets.
    inodes: HashSet<u64>,
}
