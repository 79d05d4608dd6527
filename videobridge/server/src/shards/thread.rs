//! One media thread: readable sockets, orders, peers' datagrams and time in; the shard driven, its datagrams sent and
//! its events passed on, out.
//!
//! Every step of the shard is guarded by itself: a panic costs the conference the step was about, and the next datagram
//! of the batch, the next timer and the next command are handled as if nothing had been.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use jitsi_xmpp::colibri2::{Colibri2Error, ErrorReason};
use jitsi_xmpp::{Condition, StanzaError};
use mio::unix::SourceFd;
use mio::{Interest, Token};
use service::datagrams::{After, Before};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use videobridge_core::limits::SPARE_SOCKETS;
use videobridge_core::{Command, DatagramSink, Disposition, Event, PartKey, PartNews, Shard};
use videobridge_udp::{RecvBatch, SocketOptions, UdpSocket, limits::RECEIVE_BATCH};

use super::Order;
use super::counters::ThreadCounters;
use super::outbox::Outbox;
use super::parts::{Loads, Parts as ToParts};
use super::peers::{Peer, PeerMessage, Peers};
use crate::limits::{
    BATCHES_PER_TURN, COMMANDS_PER_TURN, EVENTS, HELD, PEER_MESSAGES_PER_TURN, STREAM_MESSAGES_PER_TURN,
    STREAM_PROOF,
};
use crate::services::Services;
use crate::sockets::Sockets;
use crate::streams::{FromStream, Stream};

/// The waker's token; sockets have their index.
pub(super) const WAKE: Token = Token(usize::MAX);

/// The token of what a successor passes back.
const SUCCESSOR: Token = Token(usize::MAX - 1);

/// Longest sleep, so that nothing can be forgotten for ever.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// Bytes of a datagram behind which the rest of a frame may follow.
const OF_A_FRAME: usize = 400;

/// How soon events that found no room are tried again.
const EVENT_RETRY: Duration = Duration::from_millis(5);

/// What a thread is made of.
pub(super) struct Parts {
    pub(super) index: usize,
    pub(super) shard: Shard,
    pub(super) poll: mio::Poll,
    pub(super) orders: Receiver<Order>,
    pub(super) clients: mpsc::Receiver<Command>,
    pub(super) streams: mpsc::Receiver<FromStream>,
    pub(super) events: mpsc::Sender<(usize, Event)>,
    pub(super) web_sockets: Arc<Sockets>,
    pub(super) services: Services,
    pub(super) peers: Vec<Peer>,
    pub(super) from_peers: Receiver<PeerMessage>,
    pub(super) loads: Loads,
    /// The way to the process that had the sockets.
    pub(super) before: Option<OwnedFd>,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) counters: Arc<ThreadCounters>,
    /// How relays' own sockets are opened; `None`: there are no relays.
    pub(super) relay_sockets: Option<SocketOptions>,
}

/// See the module.
pub(super) struct MediaThread {
    index: usize,
    shard: Shard,
    poll: mio::Poll,
    inputs: Vec<Input>,
    outbox: Outbox,
    orders: Receiver<Order>,
    clients: mpsc::Receiver<Command>,
    streams: mpsc::Receiver<FromStream>,
    events: mpsc::Sender<(usize, Event)>,
    /// Events that found no room; in order. None is lost.
    unsent: VecDeque<Event>,
    web_sockets: Arc<Sockets>,
    services: Services,
    peers: Peers,
    from_peers: Receiver<PeerMessage>,
    loads: Loads,
    /// Datagrams of nobody here go there.
    before: Option<Before>,
    after: Option<After>,
    /// The successor reads the sockets.
    rests: bool,
    stop: Arc<AtomicBool>,
    counters: Arc<ThreadCounters>,
    relays: RelaySockets,
    /// Since when something may be ready to leave.
    held: Option<Instant>,
}

/// Sockets that one relay each has for itself: no other thread and no endpoint uses them.
#[derive(Debug, Default)]
struct RelaySockets {
    options: Option<SocketOptions>,
    open: HashSet<SocketAddr>,
    /// Sets to open, and sockets to close.
    wanted: usize,
    released: Vec<SocketAddr>,
}

/// The receiving side of one socket.
struct Input {
    batch: RecvBatch,
    /// May have more; the system tells only once.
    readable: bool,
    kernel_drops: u32,
    truncated: u64,
}

impl MediaThread {
    pub(super) fn new(parts: Parts, sockets: Vec<UdpSocket>) -> io::Result<Self> {
        let mut inputs = Vec::with_capacity(sockets.len());
        for (at, socket) in sockets.iter().enumerate() {
            register(&parts.poll, at, socket)?;
            inputs.push(Input::new());
        }
        let wanted = if parts.relay_sockets.is_some() { SPARE_SOCKETS } else { 0 };
        let relays = RelaySockets { options: parts.relay_sockets, wanted, ..RelaySockets::default() };
        let mut this = Self {
            index: parts.index,
            shard: parts.shard,
            poll: parts.poll,
            inputs,
            outbox: Outbox::new(sockets, ToParts::new(parts.index, &parts.peers)),
            orders: parts.orders,
            clients: parts.clients,
            streams: parts.streams,
            events: parts.events,
            unsent: VecDeque::new(),
            web_sockets: parts.web_sockets,
            services: parts.services,
            peers: Peers::new(parts.index, parts.peers),
            from_peers: parts.from_peers,
            loads: parts.loads,
            before: parts.before.map(Before::new),
            after: None,
            rests: false,
            stop: parts.stop,
            counters: parts.counters,
            relays,
            held: None,
        };
        this.supply_relays();
        Ok(this)
    }

    /// Until told to stop.
    pub(super) fn run(&mut self) {
        let mut ready = mio::Events::with_capacity(64);
        let mut more = true;
        loop {
            // Read before the commands: what was sent before the stop is still done.
            let stopping = self.stop.load(Ordering::Acquire);
            let sleep = if more || stopping { Duration::ZERO } else { self.sleep() };
            match self.poll.poll(&mut ready, Some(sleep)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    tracing::error!(%error, "a media thread can not wait for its sockets");
                    return;
                }
            }
            for event in &ready {
                if let Some(input) = self.inputs.get_mut(event.token().0) {
                    input.readable = true;
                } else if let Some(after) = self.after.as_mut().filter(|_| event.token() == SUCCESSOR) {
                    after.readable = true;
                }
            }
            more = self.run_orders();
            more |= self.run_clients();
            more |= self.run_peer_messages();
            more |= self.run_streams();
            more |= self.run_successor();
            for at in 0..self.inputs.len() {
                more |= self.receive(at);
            }
            if self.shard.poll_timeout().is_some_and(|at| at <= Instant::now()) {
                let Self { shard, outbox, counters, .. } = self;
                guarded(shard, outbox, counters, |shard, out| shard.handle_timeout(Instant::now(), out));
            }
            self.finish_turn();
            // Conferences also end by themselves.
            self.supply_relays();
            more |= self.peers.settle();
            more |= self.outbox.parts.settle();
            if !self.rests {
                let Self { outbox, relays, peers, .. } = self;
                let shared = |socket: &&UdpSocket| !relays.open.contains(&socket.local_address());
                peers.steer(outbox.sockets.iter().filter(shared));
            }
            if stopping && !more {
                return;
            }
        }
    }

    fn sleep(&self) -> Duration {
        let due = self.shard.poll_timeout().map(|at| at.saturating_duration_since(Instant::now()));
        let longest = if self.unsent.is_empty() { LONGEST_SLEEP } else { EVENT_RETRY };
        due.unwrap_or(longest).min(longest)
    }

    /// Whether there may be more.
    fn run_orders(&mut self) -> bool {
        for _ in 0..COMMANDS_PER_TURN {
            // Each makes a few events at most, and those must not be lost.
            if self.unsent.len() >= EVENTS {
                return false;
            }
            let Ok(order) = self.orders.try_recv() else { return false };
            match order {
                Order::Command(command) => self.command(command),
                // The successor looks after addresses by then.
                Order::AddAddress(..) if self.rests => {}
                Order::AddAddress(address, socket) => {
                    let at = self.inputs.len();
                    match register(&self.poll, at, &socket) {
                        Ok(()) => {
                            self.inputs.push(Input::new());
                            self.outbox.add(socket);
                            self.command(Command::AddAddress(address));
                        }
                        Err(error) => tracing::error!(%error, "a media thread can not watch a new address"),
                    }
                }
                Order::RemoveAddress(address) => self.remove_address(address),
                Order::Successor(way) => self.hear(After::new(way)),
                Order::Rest(on) => self.rest(on),
            }
        }
        true
    }

    fn hear(&mut self, successor: After) {
        let mut source = SourceFd(&successor.as_raw_fd());
        match self.poll.registry().register(&mut source, SUCCESSOR, Interest::READABLE) {
            // Closing the one before takes it out of the poll.
            Ok(()) => self.after = Some(successor),
            Err(error) => tracing::error!(%error, "a media thread can not hear its successor"),
        }
    }

    /// Stops reading the sockets that a successor has as well, or begins again.
    fn rest(&mut self, on: bool) {
        self.rests = on;
        for (at, socket) in self.outbox.sockets.iter().enumerate() {
            if self.relays.open.contains(&socket.local_address()) {
                continue;
            }
            let changed = if on {
                self.poll.registry().deregister(&mut SourceFd(&socket.as_raw_fd()))
            } else {
                register(&self.poll, at, socket)
            };
            if let Err(error) = changed {
                tracing::error!(%error, "a media thread can not change which sockets it watches");
            }
            if let Some(input) = self.inputs.get_mut(at) {
                input.readable = !on;
            }
        }
    }

    /// Whether this socket is read by this process.
    fn reads(&self, address: SocketAddr) -> bool {
        !self.rests || self.relays.open.contains(&address)
    }

    /// What a successor passes back. Whether there may be more.
    fn run_successor(&mut self) -> bool {
        for _ in 0..PEER_MESSAGES_PER_TURN {
            let Self { shard, outbox, peers, counters, after, before, .. } = self;
            let Some(passed) = after.as_mut().filter(|after| after.readable) else { return false };
            let (remote, local, data) = match passed.receive() {
                Ok(Some(datagram)) => datagram,
                Ok(None) => return false,
                Err(_) => {
                    *after = None;
                    return false;
                }
            };
            if !peers.alone()
                && let Some(owner) = peers.owner(remote, local, data)
            {
                counters.add_handover(peers.hand_over(owner, remote, local, data));
                continue;
            }
            take(shard, outbox, counters, before, (remote, local), data);
        }
        true
    }

    /// What clients say by WebSocket. Whether there may be more.
    fn run_clients(&mut self) -> bool {
        for _ in 0..COMMANDS_PER_TURN {
            let Ok(command) = self.clients.try_recv() else { return false };
            self.command(command);
        }
        true
    }

    fn command(&mut self, command: Command) {
        let request = match &command {
            Command::Colibri2 { request, .. } => Some(*request),
            _ => None,
        };
        let Self { shard, outbox, counters, .. } = self;
        if request.is_some() && !self.peers.alone() {
            shard.set_loads(self.loads.all());
        }
        let done = guarded(shard, outbox, counters, |shard, out| {
            shard.handle_command(Instant::now(), command, out);
        });
        self.pass_events();
        self.supply_relays();
        if !done && let Some(request) = request {
            // If it was answered already nobody waits for this any more.
            let gone = Colibri2Error::new(ErrorReason::ConferenceNotFound);
            let error = gone.add_to(StanzaError::new(Condition::ItemNotFound));
            self.unsent.push_back(Event::Colibri2Reply { request, result: Err(Box::new(error)) });
        }
    }

    /// Opens and closes what relays need. Those that cannot be opened are missed by the next relay alone, which then shares
    /// the sockets of all.
    fn supply_relays(&mut self) {
        for address in std::mem::take(&mut self.relays.released) {
            if self.relays.open.remove(&address) {
                self.close(address);
            }
        }
        for _ in 0..std::mem::take(&mut self.relays.wanted) {
            let Some(options) = self.relays.options else { return };
            let shared = self.outbox.sockets.iter().map(UdpSocket::local_address);
            let shared: Vec<_> = shared.filter(|address| !self.relays.open.contains(address)).collect();
            let mut set = Vec::with_capacity(shared.len());
            for address in shared {
                match UdpSocket::bind(SocketAddr::new(address.ip(), 0), &options) {
                    Ok((socket, _)) => set.extend(self.open_for_relay(socket)),
                    Err(error) => tracing::warn!(kind = ?error.kind(), "no socket for a relay of its own"),
                }
            }
            let Self { shard, outbox, counters, .. } = self;
            guarded(shard, outbox, counters, |shard, out| {
                shard.handle_command(Instant::now(), Command::AddRelaySockets(set), out);
            });
        }
    }

    fn open_for_relay(&mut self, socket: UdpSocket) -> Option<SocketAddr> {
        let address = socket.local_address();
        if let Err(error) = register(&self.poll, self.inputs.len(), &socket) {
            tracing::error!(%error, "a media thread can not watch a relay's socket");
            return None;
        }
        self.inputs.push(Input::without_trains());
        self.outbox.add(socket);
        self.relays.open.insert(address);
        Some(address)
    }

    fn remove_address(&mut self, address: SocketAddr) {
        self.command(Command::RemoveAddress(address));
        self.close(address);
    }

    fn close(&mut self, address: SocketAddr) {
        let Some(at) = self.outbox.sockets.iter().position(|s| s.local_address() == address) else { return };
        let registry = self.poll.registry();
        for (at, socket) in self.outbox.sockets.iter().enumerate().skip(at) {
            if !self.reads(socket.local_address()) && socket.local_address() != address {
                continue;
            }
            let fd = socket.as_raw_fd();
            let mut source = SourceFd(&fd);
            // The ones behind it move up.
            let changed = if socket.local_address() == address {
                registry.deregister(&mut source)
            } else {
                registry.reregister(&mut source, Token(at - 1), Interest::READABLE)
            };
            if let Err(error) = changed
                && !self.rests
            {
                tracing::error!(%error, "a media thread can not watch its sockets any more");
            }
        }
        self.outbox.remove(at);
        if at < self.inputs.len() {
            self.inputs.remove(at);
        }
        // Which of them had something to tell is not certain any more.
        for (at, socket) in self.outbox.sockets.iter().enumerate() {
            let reads = self.reads(socket.local_address());
            if let Some(input) = self.inputs.get_mut(at) {
                input.readable = reads;
            }
        }
    }

    /// Whether there may be more.
    fn run_peer_messages(&mut self) -> bool {
        if self.peers.alone() {
            return false;
        }
        let mut done = 0;
        while done < PEER_MESSAGES_PER_TURN {
            let Ok(message) = self.from_peers.try_recv() else { return false };
            done += 1;
            match message {
                PeerMessage::Bundle { from, mut bundle } => {
                    done += bundle.len();
                    let now = Instant::now();
                    let Self { shard, outbox, counters, .. } = self;
                    bundle.empty(|part, is_rtcp, data| {
                        guarded(shard, outbox, counters, |shard, out| {
                            shard.handle_part_packet(now, part, is_rtcp, data, out);
                        });
                    });
                    self.outbox.parts.give_back(from, bundle);
                }
                PeerMessage::Emptied(bundle) => self.outbox.parts.take_back(bundle),
                PeerMessage::News { from, part, news } => self.part_news(from, part, *news),
                PeerMessage::Datagram { remote, local, mut data } => {
                    let Self { shard, outbox, counters, before, .. } = self;
                    take(shard, outbox, counters, before, (remote, local), &mut data);
                }
                PeerMessage::Bound { remote, local, owner } => {
                    self.peers.learn(remote, local, Some(owner), owner);
                }
                PeerMessage::Released { remote, local, owner } => {
                    self.peers.learn(remote, local, None, owner);
                }
            }
        }
        true
    }

    fn part_news(&mut self, from: u16, part: PartKey, news: PartNews) {
        let answer = news.request().zip(news.refusal());
        let Self { shard, outbox, counters, .. } = self;
        let done = guarded(shard, outbox, counters, |shard, out| {
            shard.handle_part_news(Instant::now(), (from, part), news, out);
        });
        self.pass_events();
        if !done && let Some((request, error)) = answer {
            self.unsent.push_back(Event::Colibri2Reply { request, result: Err(Box::new(error)) });
        }
    }

    /// What came over connections. Whether there may be more.
    fn run_streams(&mut self) -> bool {
        for _ in 0..STREAM_MESSAGES_PER_TURN {
            let Ok(message) = self.streams.try_recv() else { return false };
            let now = Instant::now();
            let Self { shard, outbox, counters, .. } = self;
            match message {
                FromStream::Opened(stream, out) => outbox.connections.open(now, stream, out),
                FromStream::Packet(stream, mut data) => {
                    let Some(since) = outbox.connections.since(stream) else { continue };
                    let Stream { remote, local } = stream;
                    if now.saturating_duration_since(since) >= STREAM_PROOF
                        && !shard.has_connection(remote, local)
                    {
                        // It is nobody's, or not any more.
                        outbox.connections.close(stream);
                        continue;
                    }
                    guarded(shard, outbox, counters, |shard, out| {
                        shard.handle_framed(now, remote, local, &mut data, out);
                    });
                }
                FromStream::Closed(stream) => outbox.connections.close(stream),
            }
        }
        true
    }

    /// Takes what waits at one socket. Whether there may be more.
    ///
    /// The rest of a frame comes while copies of its first packets are written: read before those leave, they make longer
    /// trains. So the socket is read until it is empty, and what is ready leaves then, or after [`HELD`].
    fn receive(&mut self, at: usize) -> bool {
        for _ in 0..BATCHES_PER_TURN {
            let Self { shard, outbox, peers, counters, inputs, held, before, .. } = self;
            let (Some(input), Some(socket)) = (inputs.get_mut(at), outbox.sockets.get(at)) else {
                return false;
            };
            if !input.readable {
                return false;
            }
            let local = socket.local_address();
            let count = match input.batch.receive(socket) {
                Ok(count) => count,
                Err(error) => {
                    // Nothing there; or an error of an earlier send, which the next call clears.
                    input.readable = !matches!(error.kind(), io::ErrorKind::WouldBlock);
                    return input.readable;
                }
            };
            let now = Instant::now();
            let since = *held.get_or_insert(now);
            let alone = peers.alone();
            let mut last = 0;
            input.batch.for_each(|remote, data| {
                last = data.len();
                if !alone && let Some(owner) = peers.owner(remote, local, data) {
                    counters.add_handover(peers.hand_over(owner, remote, local, data));
                    return;
                }
                take_at(now, shard, outbox, counters, before, (remote, local), data);
            });
            let drops = input.batch.kernel_drops().wrapping_sub(input.kernel_drops);
            let truncated = input.batch.truncated() - input.truncated;
            counters.add_received(drops.into(), truncated);
            input.kernel_drops = input.batch.kernel_drops();
            input.truncated = input.batch.truncated();
            if count < RECEIVE_BATCH && last < OF_A_FRAME {
                // Speech comes alone. An arrival in between is told by the system.
                input.readable = false;
                return false;
            }
            if since.elapsed() >= HELD {
                self.finish_turn();
            }
        }
        true
    }

    fn finish_turn(&mut self) {
        self.held = None;
        self.pass_events();
        if !self.peers.alone() {
            // First, so that the other threads begin.
            self.outbox.parts.settle();
            self.counters.add_parts(self.outbox.parts.take_counts());
            self.loads.set(self.index, self.shard.load().1);
        }
        self.outbox.flush();
        self.counters.add_flushed(&self.outbox.take_flushed());
        let (sent, dropped) = self.outbox.connections.take_counts();
        self.counters.add_streamed(sent, dropped);
    }

    fn pass_events(&mut self) {
        while let Some(event) = self.shard.poll_event() {
            match event {
                Event::AddressBound { .. } | Event::AddressReleased { .. } => self.peers.announce(&event),
                Event::WebSocketMessage { socket, message } => {
                    self.counters.add_lost(self.web_sockets.push(socket, message));
                }
                Event::RelaySocketsWanted => self.relays.wanted += 1,
                Event::PartNews { shard, part, news } => self.outbox.parts.news(shard, part, news),
                Event::RelaySocketsReleased(sockets) => self.relays.released.extend(sockets),
                Event::CloseWebSocket { socket, code, reason } => {
                    self.web_sockets.close(socket, code, reason);
                }
                event => {
                    if let Some(event) = self.services.handle_event(event) {
                        self.unsent.push_back(event);
                    }
                }
            }
        }
        while let Some(event) = self.unsent.pop_front() {
            match self.events.try_send((self.index, event)) {
                Ok(()) => {}
                Err(TrySendError::Full((_, event))) => {
                    self.unsent.push_front(event);
                    return;
                }
                // The process is ending.
                Err(TrySendError::Closed(_)) => {}
            }
        }
    }
}

impl Input {
    fn new() -> Self {
        // What arrived before is not told: try once.
        Self { batch: RecvBatch::with_gro(), readable: true, kernel_drops: 0, truncated: 0 }
    }

    /// For a relay's own socket: there may be many, and buffers for trains are large.
    fn without_trains() -> Self {
        Self { batch: RecvBatch::new(), readable: true, kernel_drops: 0, truncated: 0 }
    }
}

/// Has the thread woken when something arrives.
fn register(poll: &mio::Poll, at: usize, socket: &UdpSocket) -> io::Result<()> {
    poll.registry().register(&mut SourceFd(&socket.as_raw_fd()), Token(at), Interest::READABLE)
}

/// A datagram that arrived here, or with another thread or process: for the shard, or for the process before.
fn take(
    shard: &mut Shard,
    out: &mut Outbox,
    counters: &ThreadCounters,
    before: &mut Option<Before>,
    way: (SocketAddr, SocketAddr),
    data: &mut [u8],
) {
    take_at(Instant::now(), shard, out, counters, before, way, data);
}

fn take_at(
    now: Instant,
    shard: &mut Shard,
    out: &mut Outbox,
    counters: &ThreadCounters,
    before: &mut Option<Before>,
    (remote, local): (SocketAddr, SocketAddr),
    data: &mut [u8],
) {
    let mut whose = Disposition::Taken;
    guarded(shard, out, counters, |shard, out| {
        whose = shard.handle_datagram(now, remote, local, data, out);
    });
    if whose == Disposition::Unknown
        && let Some(process) = before
    {
        match process.pass(remote, local, data) {
            Ok(taken) => counters.add_passed(taken),
            Err(_) => *before = None,
        }
    }
}

/// Runs a step of the shard; a panic ends the step and removes the conference it was about. Whether there was none.
fn guarded<S: DatagramSink>(
    shard: &mut Shard,
    out: &mut S,
    counters: &ThreadCounters,
    step: impl FnOnce(&mut Shard, &mut S),
) -> bool {
    let done = catch_unwind(AssertUnwindSafe(|| step(shard, out))).is_ok();
    if !done {
        recover(shard, counters);
    }
    done
}

#[cold]
fn recover(shard: &mut Shard, counters: &ThreadCounters) {
    // Removing what is broken must not end the thread either.
    let removed = catch_unwind(AssertUnwindSafe(|| shard.recover(Instant::now())));
    counters.add_panic(matches!(removed, Ok(true)));
    match removed {
        Ok(true) => tracing::error!("a conference failed and is removed; its people get another one"),
        Ok(false) => tracing::error!("a step of a media thread failed, for no conference"),
        Err(_) => tracing::error!("a failed conference could not be removed"),
    }
}

#[cfg(test)]
mod tests;
