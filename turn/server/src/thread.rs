//! The relay's thread: readiness of sockets and messages of streams in; datagrams to peers, to clients and to streams out.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mio::net::UdpSocket;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use service::datagrams::{After, Before};
use service::{Exposition, sockets};
use socket2::{Domain, Protocol, Socket, Type};
use turn_core::{Client, Counter, Counters, HEADROOM, Output, Peers, RelayId, Route, TAILROOM, Turn};

use crate::Config;
use crate::limits::{BATCH, DATAGRAM, LISTENERS, LOOK, SOCKET_BUFFER, STREAM_IDLE};
use crate::queue::{In, Inbox, Outlet};

/// What the thread counts, for others to read.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    running: AtomicBool,
    relays: AtomicUsize,
    streams: AtomicUsize,
    counters: Mutex<Counters>,
    /// What could not be sent: a socket or a stream was full.
    unsent: AtomicU64,
    /// Streams that never had a relay.
    idle: AtomicU64,
    panics: AtomicU64,
}

impl Numbers {
    pub(crate) fn is_running(&self) -> bool {
        self.running.load(Ordering::Relaxed)
    }

    pub(crate) fn expose(&self, out: &mut Exposition) {
        let c = *self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let number = |n: &AtomicUsize| n.load(Ordering::Relaxed) as f64;
        out.gauge("plausch_turn_relays", "Relays of the TURN server.", number(&self.relays));
        out.gauge("plausch_turn_streams", "Clients of the TURN server over TLS.", number(&self.streams));
        let own = [("unsent", &self.unsent), ("idle_stream", &self.idle), ("panics", &self.panics)];
        let rows = Counter::ALL.iter().map(|e| (e.label(), c.count(*e)));
        let rows = rows.chain(own.map(|(label, n)| (label, n.load(Ordering::Relaxed))));
        out.counters("plausch_turn_events", "What happened in the TURN server.", "event", rows);
        let directions = |a: (u64, u64), b: (u64, u64)| {
            ([("to_peer", a.0), ("to_client", b.0)], [("to_peer", a.1), ("to_client", b.1)])
        };
        let (packets, bytes) = directions(c.to_peers, c.to_clients);
        out.counters("plausch_turn_packets", "Datagrams relayed.", "direction", packets);
        out.counters("plausch_turn_bytes", "Bytes relayed.", "direction", bytes);
    }
}

/// A socket that clients send to.
pub(crate) fn listener(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = match sockets::udp(address).pop() {
        Some(left) => {
            let left = std::net::UdpSocket::from(left);
            left.set_nonblocking(true)?;
            UdpSocket::from_std(left)
        }
        None => bind(address)?,
    };
    sockets::keep(&socket);
    Ok(socket)
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    // More than allowed is cut down silently.
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    socket.set_send_buffer_size(SOCKET_BUFFER)?;
    socket.bind(&address.into())?;
    Ok(UdpSocket::from_std(socket.into()))
}

struct Stream {
    peer: SocketAddr,
    out: Outlet,
    since: Instant,
}

/// All of it.
pub(crate) struct Thread {
    config: Config,
    poll: Poll,
    /// By the number in their tokens; those of relays begin behind [`LISTENERS`].
    listeners: Vec<Option<UdpSocket>>,
    relays: Vec<Option<UdpSocket>>,
    streams: HashMap<u64, Stream>,
    turn: Turn,
    peers: Peers,
    inbox: Arc<Inbox>,
    numbers: Arc<Numbers>,
    buffer: Box<[u8]>,
    /// Sockets that may have more, each once.
    ready: VecDeque<Token>,
    is_ready: HashSet<Token>,
    look: Instant,
    /// Datagrams of nobody here go there.
    before: Option<Before>,
    after: Option<After>,
    /// The successor reads what clients send.
    rests: bool,
}

impl Thread {
    pub(crate) fn new(
        mut config: Config,
        listeners: Vec<UdpSocket>,
        numbers: Arc<Numbers>,
    ) -> io::Result<(Self, Arc<Inbox>)> {
        let poll = Poll::new()?;
        let inbox = Arc::new(Inbox::new(Waker::new(poll.registry(), WAKER)?));
        let mut listeners: Vec<Option<UdpSocket>> = listeners.into_iter().take(LISTENERS).map(Some).collect();
        for (n, socket) in listeners.iter_mut().flatten().enumerate() {
            poll.registry().register(socket, Token(FIRST + n), Interest::READABLE)?;
        }
        let now = Instant::now();
        let peers = (config.peers)().unwrap_or_default();
        let turn = engine(&config, peers.clone(), now);
        let before = config.before.take().map(Before::new);
        numbers.running.store(true, Ordering::Relaxed);
        let thread = Self {
            config,
            poll,
            listeners,
            relays: Vec::new(),
            streams: HashMap::new(),
            turn,
            peers,
            inbox: Arc::clone(&inbox),
            numbers,
            buffer: vec![0; HEADROOM + DATAGRAM + 1 + TAILROOM].into(),
            ready: VecDeque::new(),
            is_ready: HashSet::new(),
            look: now + LOOK,
            before,
            after: None,
            rests: false,
        };
        Ok((thread, inbox))
    }

    /// Until the end. A bug costs all relays, which clients make anew; meetings that need none do not notice.
    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(256);
        while !self.inbox.has_ended() {
            if catch_unwind(AssertUnwindSafe(|| self.turns(&mut events))).is_err() {
                self.numbers.panics.fetch_add(1, Ordering::Relaxed);
                tracing::error!("a bug in the TURN server: all relays end and can be made anew");
                self.relays.clear();
                self.streams.clear();
                self.ready.clear();
                self.is_ready.clear();
                self.turn = engine(&self.config, self.peers.clone(), Instant::now());
            }
        }
        self.numbers.running.store(false, Ordering::Relaxed);
    }

    fn turns(&mut self, events: &mut Events) {
        while !self.inbox.has_ended() {
            self.wait(events);
            for event in events.iter().filter(|e| e.token() != WAKER) {
                if self.is_ready.insert(event.token()) {
                    self.ready.push_back(event.token());
                }
            }
            for _ in 0..self.ready.len() {
                let Some(token) = self.ready.pop_front() else { break };
                if self.receive(token) {
                    self.ready.push_back(token);
                } else {
                    self.is_ready.remove(&token);
                }
            }
            for message in self.inbox.take() {
                self.message(message);
            }
            let now = Instant::now();
            self.turn.handle_timeout(now);
            self.drain(now);
            if now >= self.look {
                self.look(now);
            }
        }
    }

    fn wait(&mut self, events: &mut Events) {
        let next = self.turn.poll_timeout().map_or(self.look, |at| at.min(self.look));
        let pause = if self.ready.is_empty() {
            next.saturating_duration_since(Instant::now())
        } else {
            Duration::ZERO
        };
        if let Err(e) = self.poll.poll(events, Some(pause)) {
            events.clear();
            if e.kind() != io::ErrorKind::Interrupted {
                // It would come again at once.
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }

    /// Reads what is there, at most a batch. Whether there may be more.
    pub(crate) fn receive(&mut self, token: Token) -> bool {
        if token == SUCCESSOR {
            return self.receive_passed();
        }
        let Some(index) = token.0.checked_sub(FIRST) else { return false };
        let relay = index.checked_sub(LISTENERS);
        if self.rests && relay.is_none() {
            return false;
        }
        let now = Instant::now();
        for _ in 0..BATCH {
            let socket = match relay {
                None => self.listeners.get(index),
                Some(relay) => self.relays.get(relay),
            };
            let Some(socket) = socket.and_then(Option::as_ref) else { return false };
            let Some(room) = self.buffer.get_mut(HEADROOM..=HEADROOM + DATAGRAM) else { return false };
            let (len, from) = match socket.recv_from(room) {
                Ok(got) => got,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return false,
                // Of an earlier datagram that nobody took; there may be others.
                Err(_) => continue,
            };
            if len > DATAGRAM {
                continue;
            }
            let bytes = HEADROOM..HEADROOM + len;
            let route = match relay {
                Some(relay) => self.turn.handle_peer(now, RelayId(relay), from, &mut self.buffer, bytes),
                None => {
                    self.said_by(now, index, from, bytes);
                    continue;
                }
            };
            self.carry(&route);
            self.drain(now);
        }
        true
    }

    /// A client said something to the socket with this number: to us, or to the process before, when it has a relay there.
    fn said_by(&mut self, now: Instant, index: usize, from: SocketAddr, bytes: std::ops::Range<usize>) {
        let socket = u16::try_from(index).unwrap_or(u16::MAX);
        let client = Client::Datagram { socket, peer: from };
        let said = self.buffer.get(bytes.clone()).unwrap_or_default();
        if let Some(before) = &mut self.before
            && !begins(said)
            && !self.turn.has_relay(&client)
        {
            let local = self.listeners.get(index).and_then(Option::as_ref).and_then(|s| s.local_addr().ok());
            match local.map(|local| before.pass(from, local, said)) {
                Some(Ok(taken)) => self.note(taken),
                Some(Err(_)) => self.before = None,
                None => {}
            }
            return;
        }
        let route = self.turn.handle_client(now, client, &mut self.buffer, bytes);
        self.carry(&route);
        self.drain(now);
    }

    /// What the successor passes back. Whether there may be more.
    fn receive_passed(&mut self) -> bool {
        let now = Instant::now();
        for _ in 0..BATCH {
            let Some(after) = &mut self.after else { return false };
            let (from, local, data) = match after.receive() {
                Ok(Some(passed)) => passed,
                Ok(None) => return false,
                Err(_) => {
                    self.after = None;
                    return false;
                }
            };
            let bytes = HEADROOM..HEADROOM + data.len();
            let Some(room) = self.buffer.get_mut(bytes.clone()).filter(|_| data.len() <= DATAGRAM) else {
                continue;
            };
            room.copy_from_slice(data);
            let is_it = |s: &Option<UdpSocket>| s.as_ref().and_then(|s| s.local_addr().ok()) == Some(local);
            if let Some(index) = self.listeners.iter().position(is_it) {
                self.said_by(now, index, from, bytes);
            }
        }
        true
    }

    fn hear(&mut self, after: After) {
        let registered =
            self.poll.registry().register(&mut SourceFd(&after.as_raw_fd()), SUCCESSOR, Interest::READABLE);
        match registered {
            Ok(()) => self.after = Some(after),
            Err(e) => tracing::error!(error = %e, "the TURN server cannot hear its successor"),
        }
    }

    /// Stops reading what clients send, which a successor reads, or begins again.
    fn rest(&mut self, on: bool) {
        self.rests = on;
        for (n, socket) in self.listeners.iter_mut().enumerate() {
            let Some(socket) = socket else { continue };
            let token = Token(FIRST + n);
            let changed = match on {
                true => self.poll.registry().deregister(socket),
                false => self.poll.registry().register(socket, token, Interest::READABLE),
            };
            if let Err(e) = changed {
                tracing::error!(error = %e, "the TURN server cannot change which sockets it watches");
            }
        }
    }

    pub(crate) fn message(&mut self, what: In) {
        let now = Instant::now();
        match what {
            In::Open { id, peer, out } => {
                self.streams.insert(id, Stream { peer, out, since: now });
            }
            In::Message { id, bytes, .. } => {
                let Some(stream) = self.streams.get(&id) else { return };
                let client = Client::Stream { id, peer: stream.peer };
                let range = HEADROOM..HEADROOM + bytes.len();
                let Some(room) = self.buffer.get_mut(range.clone()) else { return };
                room.copy_from_slice(&bytes);
                let route = self.turn.handle_client(now, client, &mut self.buffer, range);
                self.carry(&route);
                self.drain(now);
            }
            In::Closed { id } => {
                if let Some(stream) = self.streams.remove(&id) {
                    self.turn.handle_hangup(Client::Stream { id, peer: stream.peer });
                    self.drain(now);
                }
            }
            In::Successor(way) => self.hear(After::new(way)),
            In::Rest(on) => self.rest(on),
        }
    }

    fn carry(&self, route: &Route) {
        match route {
            Route::Nowhere => {}
            Route::Peer { relay, to, payload } => {
                let socket = self.relays.get(relay.0).and_then(Option::as_ref);
                let sent = socket.zip(self.buffer.get(payload.clone())).map(|(s, b)| s.send_to(b, *to));
                self.note(matches!(sent, Some(Ok(_))));
            }
            Route::Client { client, message } => {
                let bytes = self.buffer.get(message.clone()).unwrap_or_default();
                self.to_client(*client, bytes);
            }
        }
    }

    fn to_client(&self, client: Client, bytes: &[u8]) {
        let sent = match client {
            Client::Datagram { socket, peer } => {
                let socket = self.listeners.get(usize::from(socket)).and_then(Option::as_ref);
                socket.is_some_and(|s| s.send_to(bytes, peer).is_ok())
            }
            Client::Stream { id, .. } => self.streams.get(&id).is_some_and(|s| s.out.send(bytes)),
        };
        self.note(sent);
    }

    fn note(&self, sent: bool) {
        if !sent {
            self.numbers.unsent.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn drain(&mut self, now: Instant) {
        while let Some(output) = self.turn.poll_output() {
            match output {
                Output::Answer { client, bytes } => self.to_client(client, &bytes),
                Output::Open { relay, address } => {
                    let at = self
                        .open(relay, address)
                        .inspect_err(|e| tracing::debug!(error = %e, "no socket for a relay"))
                        .ok();
                    self.turn.handle_opened(now, relay, at);
                }
                Output::Close { relay } => {
                    if let Some(place) = self.relays.get_mut(relay.0) {
                        *place = None;
                    }
                }
            }
        }
    }

    fn open(&mut self, relay: RelayId, address: IpAddr) -> io::Result<SocketAddr> {
        let mut socket = UdpSocket::bind(SocketAddr::new(address, 0))?;
        let token = Token(FIRST + LISTENERS + relay.0);
        self.poll.registry().register(&mut socket, token, Interest::READABLE)?;
        let at = socket.local_addr()?;
        if self.relays.len() <= relay.0 {
            self.relays.resize_with(relay.0 + 1, || None);
        }
        if let Some(place) = self.relays.get_mut(relay.0) {
            *place = Some(socket);
        }
        Ok(at)
    }

    pub(crate) fn look(&mut self, now: Instant) {
        self.look = now + LOOK;
        self.turn.handle_clock(now, unix());
        let idle: Vec<u64> = self
            .streams
            .iter()
            .filter(|(id, s)| {
                now.duration_since(s.since) >= STREAM_IDLE
                    && !self.turn.has_relay(&Client::Stream { id: **id, peer: s.peer })
            })
            .map(|(id, _)| *id)
            .collect();
        for id in idle {
            // Its task ends when it sees that nobody will send anything.
            self.streams.remove(&id);
            self.numbers.idle.fetch_add(1, Ordering::Relaxed);
        }
        self.listen_now();
        if let Some(peers) = (self.config.peers)().filter(|p| *p != self.peers) {
            self.peers = peers.clone();
            self.turn.handle_peers(peers);
            tracing::info!("relays lead to other addresses of the bridge now");
        }
        self.numbers.relays.store(self.turn.relays(), Ordering::Relaxed);
        self.numbers.streams.store(self.streams.len(), Ordering::Relaxed);
        *self.numbers.counters.lock().unwrap_or_else(PoisonError::into_inner) = *self.turn.counters();
    }
}

impl Thread {
    /// Follows the machine's addresses.
    fn listen_now(&mut self) {
        let wanted = (self.config.listen_now)();
        // Addresses are the successor's matter.
        if wanted.is_empty() || self.rests {
            return;
        }
        for place in &mut self.listeners {
            let at = place.as_ref().and_then(|s| s.local_addr().ok());
            if let Some(at) = at.filter(|at| !wanted.contains(at)) {
                sockets::forget(false, at);
                *place = None;
                tracing::warn!("an address of this machine is gone and not used for TURN any more");
            }
        }
        for address in wanted {
            let mut sockets = self.listeners.iter().flatten();
            if sockets.any(|s| s.local_addr().is_ok_and(|at| at == address)) {
                continue;
            }
            let free = self.listeners.iter().position(Option::is_none);
            let place = free.unwrap_or(self.listeners.len());
            if place >= LISTENERS {
                return;
            }
            let opened = listener(address).and_then(|mut socket| {
                self.poll.registry().register(&mut socket, Token(FIRST + place), Interest::READABLE)?;
                Ok(socket)
            });
            let Ok(socket) = opened else { continue };
            match self.listeners.get_mut(place) {
                Some(free) => *free = Some(socket),
                None => self.listeners.push(Some(socket)),
            }
            tracing::info!("a new address of this machine is used for TURN");
        }
    }
}

fn engine(config: &Config, peers: Peers, now: Instant) -> Turn {
    let secret = (config.secret)();
    Turn::new(turn_core::Config { secret, peers, allocations: config.allocations }, now, unix())
}

fn unix() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Whether a client begins with this: it asks for a relay, or for its own address (RFC 8489 §14.1, RFC 8656 §3).
fn begins(said: &[u8]) -> bool {
    matches!(said, [0, 1 | 3, ..])
}

const WAKER: Token = Token(0);
pub(crate) const SUCCESSOR: Token = Token(usize::MAX);
const FIRST: usize = 1;
