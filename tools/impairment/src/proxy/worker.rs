//! Datagrams of two kinds of sockets and orders of the handle in; datagrams when their links let them go, out.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};
use socket2::{Domain, Protocol, Socket, Type};

use super::{ProxyCounters, Shared, overrun};
use crate::random::Random;
use crate::{Conditions, Counters, Direction, Link, Schedule, limits};

/// The thread's side of a proxy.
pub(super) struct Worker {
    poll: Poll,
    front: UdpSocket,
    server: SocketAddr,
    seeds: Random,
    shared: Arc<Shared>,
    conditions: [Conditions; 2],
    schedule: Option<Schedule>,
    clients: Vec<Client>,
    by_address: HashMap<SocketAddr, usize>,
    /// When which link is to be asked: at most one entry for each.
    timers: BTreeSet<(Instant, usize, Direction)>,
    /// Sockets that may have more to read, each once.
    ready: VecDeque<Token>,
    buffer: Vec<u8>,
    refused: u64,
    unsent: u64,
}

struct Client {
    address: SocketAddr,
    socket: UdpSocket,
    links: [Link; 2],
    armed: [Option<Instant>; 2],
}

impl Worker {
    /// With the address for the clients and what wakes the thread.
    pub(super) fn new(
        server: SocketAddr,
        seed: u64,
        conditions: [Conditions; 2],
        shared: Arc<Shared>,
    ) -> io::Result<(Self, SocketAddr, Waker)> {
        let poll = Poll::new()?;
        let loopback: IpAddr = match server {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        let mut front = socket(SocketAddr::new(loopback, 0))?;
        let address = front.local_addr()?;
        shared.orders().inodes.extend(overrun::inode(&front));
        poll.registry().register(&mut front, FRONT, Interest::READABLE)?;
        let waker = Waker::new(poll.registry(), ORDERS)?;
        let worker = Self {
            poll,
            front,
            server,
            seeds: Random::new(seed),
            shared,
            conditions,
            schedule: None,
            clients: Vec::new(),
            by_address: HashMap::new(),
            timers: BTreeSet::new(),
            ready: VecDeque::new(),
            buffer: vec![0; 65_536],
            refused: 0,
            unsent: 0,
        };
        Ok((worker, address, waker))
    }

    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(256);
        loop {
            if self.shared.news.swap(false, Ordering::AcqRel) && !self.obey() {
                return;
            }
            self.follow_schedule();
            self.release_due();
            if let Err(e) = self.wait(&mut events)
                && e.kind() != io::ErrorKind::Interrupted
            {
                eprintln!("impairment: the proxy stops: {e}");
                return;
            }
            for event in &events {
                if event.token() != ORDERS && !self.ready.contains(&event.token()) {
                    self.ready.push_back(event.token());
                }
            }
            for _ in 0..self.ready.len() {
                let Some(token) = self.ready.pop_front() else { break };
                let more = if token == FRONT { self.read_front() } else { self.read_server(token.0 - FIRST) };
                if more {
                    self.ready.push_back(token);
                }
            }
        }
    }

    /// Does what the handle asked for; false: it is the end.
    fn obey(&mut self) -> bool {
        let shared = Arc::clone(&self.shared);
        let mut orders = shared.orders();
        for (direction, conditions) in std::mem::take(&mut orders.conditions) {
            self.set(direction, conditions);
        }
        if let Some(schedule) = orders.schedule.take() {
            self.schedule = Some(schedule);
            self.follow_schedule();
        }
        orders.counters = self.counters();
        orders.done = orders.given;
        shared.done.notify_all();
        !orders.stop
    }

    fn counters(&self) -> ProxyCounters {
        let sum = |d: Direction| {
            self.clients.iter().fold(Counters::default(), |sum, c| sum.plus(c.links[d as usize].counters()))
        };
        ProxyCounters {
            up: sum(Direction::Up),
            down: sum(Direction::Down),
            clients: self.clients.len() as u64,
            refused: self.refused,
            unsent: self.unsent,
            overrun: 0,
        }
    }

    fn set(&mut self, direction: Direction, conditions: Conditions) {
        self.conditions[direction as usize] = conditions;
        let now = Instant::now();
        for n in 0..self.clients.len() {
            self.clients[n].links[direction as usize].set_conditions(now, conditions);
            self.release(n, direction, now);
        }
    }

    fn follow_schedule(&mut self) {
        while let Some((direction, conditions)) =
            self.schedule.as_mut().and_then(|s| s.poll_output(Instant::now()))
        {
            self.set(direction, conditions);
        }
    }

    fn release_due(&mut self) {
        let now = Instant::now();
        while let Some((at, n, direction)) = self.timers.first().copied()
            && at <= now
        {
            self.timers.pop_first();
            self.clients[n].armed[direction as usize] = None;
            self.release(n, direction, now);
        }
    }

    /// Sends what a link lets go and notes when to ask again.
    fn release(&mut self, n: usize, direction: Direction, now: Instant) {
        let client = &mut self.clients[n];
        let link = &mut client.links[direction as usize];
        while let Some(data) = link.poll_output(now) {
            let send = || match direction {
                Direction::Up => client.socket.send(&data),
                Direction::Down => self.front.send_to(&data, client.address),
            };
            // The first attempt may only report that an earlier datagram found nobody.
            if send().or_else(|_| send()).is_err() {
                self.unsent += 1;
            }
            link.reuse(data);
        }
        let (next, armed) = (link.poll_timeout(), &mut client.armed[direction as usize]);
        if next != *armed {
            if let Some(at) = *armed {
                self.timers.remove(&(at, n, direction));
            }
            if let Some(at) = next {
                self.timers.insert((at, n, direction));
            }
            *armed = next;
        }
    }

    /// Until there is something to do. The poll knows only milliseconds; the rest is slept.
    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let timer = self.timers.first().map(|t| t.0);
        let step = self.schedule.as_ref().and_then(Schedule::poll_timeout);
        let left = timer.into_iter().chain(step).min().map(|at| at.saturating_duration_since(Instant::now()));
        let left = if self.ready.is_empty() { left } else { Some(Duration::ZERO) };
        let timeout = match left {
            Some(left) if left < Duration::from_millis(1) => {
                if !left.is_zero() {
                    std::thread::sleep(left);
                }
                Some(Duration::ZERO)
            }
            Some(left) => Some(Duration::from_millis(left.as_millis() as u64)),
            None => None,
        };
        self.poll.poll(events, timeout)
    }

    /// A batch of the clients' datagrams; whether there may be more.
    fn read_front(&mut self) -> bool {
        for _ in 0..BATCH {
            match self.front.recv_from(&mut self.buffer) {
                Ok((len, from)) => {
                    let Some(n) = self.client(from) else {
                        self.refused += 1;
                        continue;
                    };
                    self.forward(n, Direction::Up, len);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return false,
                // Of a datagram sent before, e.g. to a client that is gone.
                Err(_) => {}
            }
        }
        true
    }

    /// A batch of the server's datagrams to one client; whether there may be more.
    fn read_server(&mut self, n: usize) -> bool {
        for _ in 0..BATCH {
            match self.clients[n].socket.recv(&mut self.buffer) {
                Ok(len) => self.forward(n, Direction::Down, len),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return false,
                Err(_) => {}
            }
        }
        true
    }

    fn forward(&mut self, n: usize, direction: Direction, len: usize) {
        let now = Instant::now();
        self.clients[n].links[direction as usize].handle_datagram(now, &self.buffer[..len]);
        self.release(n, direction, now);
    }

    /// The client with this address, which may be new.
    fn client(&mut self, address: SocketAddr) -> Option<usize> {
        if let Some(n) = self.by_address.get(&address) {
            return Some(*n);
        }
        let n = self.clients.len();
        if n >= limits::CLIENTS {
            return None;
        }
        let any: IpAddr = match self.server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let mut socket = socket(SocketAddr::new(any, 0)).ok()?;
        socket.connect(self.server).ok()?;
        self.poll.registry().register(&mut socket, Token(FIRST + n), Interest::READABLE).ok()?;
        self.shared.orders().inodes.extend(overrun::inode(&socket));
        let links = self.conditions.map(|c| Link::new(self.seeds.next(), c));
        self.clients.push(Client { address, socket, links, armed: [None; 2] });
        self.by_address.insert(address, n);
        Some(n)
    }
}

/// With buffers for the bursts of a whole meeting, as far as the kernel gives them.
fn socket(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    socket.set_send_buffer_size(SOCKET_BUFFER)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(UdpSocket::from_std(socket.into()))
}

const FRONT: Token = Token(0);
const ORDERS: Token = Token(1);
/// Of the first client's socket to the server.
const FIRST: usize = 2;
/// Datagrams read of one socket before the others have their turn.
const BATCH: usize = 64;
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;
