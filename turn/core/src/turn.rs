//! The engine: verbs of `lib.rs` in; routes and outputs out.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use budget::{Buckets, Network, Refused as NoShare, Shares};
use slab::Slab;

use crate::allocation::{Allocation, Refused};
use crate::counters::{Counter, Counters};
use crate::credentials::{REALM, Secret, Unknown};
use crate::limits;
use crate::message::{self, Answer, Class, Message, Method};
use crate::peers::Peers;
use crate::route::{Client, Output, RelayId, Route, channel_message, data_indication};

/// What the server is started with.
#[derive(Debug)]
pub struct Config {
    /// Shared with whoever makes credentials.
    pub secret: Secret,
    /// Where relays may lead.
    pub peers: Peers,
    /// At most so many relays, and not more than [`limits::ALLOCATIONS`].
    pub allocations: usize,
}

/// The server.
pub struct Turn {
    secret: Secret,
    peers: Peers,
    /// When it was what time.
    clock: (Instant, Duration),
    relays: Slab<Allocation>,
    by_client: HashMap<Client, usize>,
    by_relayed: HashMap<SocketAddr, usize>,
    deadlines: BTreeSet<(Instant, usize)>,
    addresses: Shares<Network>,
    users: Shares<Box<str>>,
    strangers: Buckets<Network>,
    /// Numbers of Data indications.
    indications: u64,
    outputs: VecDeque<Output>,
    counters: Counters,
}

impl std::fmt::Debug for Turn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Turn").field("relays", &self.relays.len()).finish_non_exhaustive()
    }
}

impl Turn {
    /// Without relays. `unix`: what time it is.
    pub fn new(config: Config, now: Instant, unix: Duration) -> Self {
        let most = config.allocations.min(limits::ALLOCATIONS);
        let share = limits::ALLOCATIONS_PER_ADDRESS.min(most.div_ceil(4));
        Self {
            secret: config.secret,
            peers: config.peers,
            clock: (now, unix),
            relays: Slab::new(),
            by_client: HashMap::new(),
            by_relayed: HashMap::new(),
            deadlines: BTreeSet::new(),
            addresses: Shares::fair(share, most),
            // As many as there are relays: the total is that of the addresses.
            users: Shares::new(limits::ALLOCATIONS_PER_USER, usize::MAX),
            strangers: Buckets::new(limits::STRANGERS, limits::STRANGERS_TOTAL, limits::STRANGERS_KEPT),
            indications: 0,
            outputs: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// What time it is.
    pub fn handle_clock(&mut self, now: Instant, unix: Duration) {
        self.clock = (now, unix);
    }

    /// The bridge has other addresses now. Relays go on; what led elsewhere ends.
    pub fn handle_peers(&mut self, peers: Peers) {
        self.peers = peers;
    }

    /// A message of a client: these bytes of the buffer, which has [`HEADROOM`] and [`TAILROOM`] around them.
    pub fn handle_client(
        &mut self,
        now: Instant,
        client: Client,
        buffer: &mut [u8],
        message: Range<usize>,
    ) -> Route {
        let Some(bytes) = buffer.get(message.clone()) else { return Route::Nowhere };
        if let [0x40..=0x7f, ..] = bytes {
            let data = self.channel_data(now, client, bytes);
            return self.towards_peer(now, data, buffer, message.start);
        }
        let Some(m) = Message::parse(bytes) else {
            self.counters.add(Counter::Malformed);
            return Route::Nowhere;
        };
        match m.class {
            Class::Indication => {
                let data = self.send_indication(client, &m);
                self.towards_peer(now, data, buffer, message.start)
            }
            Class::Request => {
                if let Some(bytes) = self.request(now, client, &m) {
                    self.outputs.push_back(Output::Answer { client, bytes });
                }
                Route::Nowhere
            }
        }
    }

    /// A datagram at a relay's socket: these bytes of the buffer, with [`HEADROOM`] and [`TAILROOM`] around them.
    pub fn handle_peer(
        &mut self,
        now: Instant,
        relay: RelayId,
        from: SocketAddr,
        buffer: &mut [u8],
        payload: Range<usize>,
    ) -> Route {
        if !self.peers.has(from) {
            self.counters.add(Counter::Stranger);
            return Route::Nowhere;
        }
        self.towards_client(now, relay.0, from, buffer, payload)
    }

    /// A relay's socket is at this address, or could not be opened.
    pub fn handle_opened(&mut self, now: Instant, relay: RelayId, at: Option<SocketAddr>) {
        let Some(a) = self.relays.get_mut(relay.0).filter(|a| a.relayed.is_none()) else { return };
        let (client, transaction) = (a.client, a.transaction);
        let asked = Asked { method: Method::Allocate, transaction };
        let Some(at) = at else {
            self.counters.add(Counter::NoSocket);
            let key = a.key.clone();
            self.forget(relay.0);
            let bytes = Answer::error(&asked.message(), 508).finish(Some(&key));
            self.outputs.push_back(Output::Answer { client, bytes });
            return;
        };
        a.relayed = Some(at);
        self.by_relayed.insert(at, relay.0);
        self.counters.add(Counter::Allocated);
        if let Some(bytes) = self.allocated(now, relay.0, &asked.message()) {
            self.outputs.push_back(Output::Answer { client, bytes });
        }
    }

    /// A client's stream has ended.
    pub fn handle_hangup(&mut self, client: Client) {
        if let Some(relay) = self.by_client.get(&client).copied() {
            self.counters.add(Counter::Released);
            self.close(relay);
        }
    }

    /// [`Turn::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((_, relay)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            self.counters.add(Counter::Expired);
            self.close(relay);
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Turn::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// How many relays there are.
    pub fn relays(&self) -> usize {
        self.relays.len()
    }

    /// Whether this client has one.
    pub fn has_relay(&self, client: &Client) -> bool {
        self.by_client.contains_key(client)
    }

    /// What happened so far.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    fn unix(&self, now: Instant) -> Duration {
        self.clock.1 + now.saturating_duration_since(self.clock.0)
    }

    // ── requests ──

    fn request(&mut self, now: Instant, client: Client, m: &Message<'_>) -> Option<Vec<u8>> {
        let relay = self.by_client.get(&client).copied();
        let may = match relay.and_then(|r| self.relays.get_mut(r)) {
            Some(a) => a.may_ask(now),
            None => self.strangers.take(Network::of_peer(client.peer()), now, 1),
        };
        if !may {
            self.counters.add(Counter::RequestRate);
            return None;
        }
        if m.method == Method::Binding {
            self.counters.add(Counter::Binding);
            let mut answer = Answer::success(m);
            answer.address(message::XOR_MAPPED_ADDRESS, canonical(client.peer()));
            return Some(answer.finish(None));
        }
        let (username, key) = match self.authenticate(now, client, relay, m) {
            Ok(known) => known,
            Err((code, why)) => {
                self.counters.add(why);
                return Some(self.challenge(now, client, m, code));
            }
        };
        let answer = match self.authentic(now, client, relay, m, username, &key) {
            Ok(answer) => answer?,
            Err((code, why)) => {
                self.counters.add(why);
                let mut answer = Answer::error(m, code);
                if let (420, Some(unknown)) = (code, m.unknown) {
                    answer.attribute(message::UNKNOWN_ATTRIBUTES, &unknown.to_be_bytes());
                }
                answer
            }
        };
        Some(answer.finish(Some(&key)))
    }

    /// Who it is (RFC 8489 §9.2.4), or the error that asks for it.
    fn authenticate(
        &self,
        now: Instant,
        client: Client,
        relay: Option<usize>,
        m: &Message<'_>,
    ) -> Result<(Box<str>, hmac::Key), (u16, Counter)> {
        let (Some(username), Some(realm), Some(nonce), true) = (m.username, m.realm, m.nonce, m.is_signed())
        else {
            return Err((401, Counter::Unauthenticated));
        };
        let unix = self.unix(now);
        // Who has a relay keeps it also when the time of its name is over: a meeting may last longer.
        let mine = relay.and_then(|r| self.relays.get(r)).filter(|a| a.username.as_bytes() == username);
        let (name, key) = match mine {
            Some(a) => (a.username.clone(), a.key.clone()),
            None => self.secret.key(username, unix).map_err(|why| match why {
                Unknown::Name => (401, Counter::WrongCredentials),
                Unknown::Expired => (401, Counter::ExpiredCredentials),
            })?,
        };
        if realm != REALM.as_bytes() || !m.verify(&key) {
            return Err((401, Counter::WrongCredentials));
        }
        if !self.secret.knows(nonce, client.peer().ip(), unix) {
            return Err((438, Counter::StaleNonce));
        }
        Ok((name, key))
    }

    /// The answer to somebody who has not proved who it is: as short as can be.
    fn challenge(&self, now: Instant, client: Client, m: &Message<'_>, code: u16) -> Vec<u8> {
        let mut answer = Answer::error(m, code);
        answer.attribute(message::REALM, REALM.as_bytes());
        let nonce = self.secret.nonce(client.peer().ip(), self.unix(now));
        answer.attribute(message::NONCE, nonce.as_bytes());
        answer.finish(None)
    }

    /// A request of somebody known. `Ok(None)`: the answer comes later, or never.
    fn authentic(
        &mut self,
        now: Instant,
        client: Client,
        relay: Option<usize>,
        m: &Message<'_>,
        username: Box<str>,
        key: &hmac::Key,
    ) -> Result<Option<Answer>, (u16, Counter)> {
        if m.unknown.is_some() {
            return Err((420, Counter::BadRequest));
        }
        let Some(relay) = relay else {
            if m.method != Method::Allocate {
                return Err((437, Counter::NoRelay));
            }
            return self.allocate(now, client, m, username, key).map(|()| None);
        };
        let Some(a) = self.relays.get_mut(relay) else { return Err((437, Counter::NoRelay)) };
        if a.username != username {
            return Err((441, Counter::WrongCredentials));
        }
        match m.method {
            Method::Allocate if a.transaction != m.transaction => Err((437, Counter::BadRequest)),
            // It came again because our answer was lost, or was too early.
            Method::Allocate => Ok(self.allocated_answer(now, relay, m)),
            Method::Refresh => Ok(Some(self.refresh(now, relay, m))),
            Method::CreatePermission => {
                let mut peers = Vec::new();
                for peer in m.peers() {
                    let peer = peer.ok_or((400, Counter::BadRequest))?;
                    if !self.peers.has_address(peer.ip()) {
                        return Err((403, Counter::ForbiddenPeer));
                    }
                    if !peers.contains(&peer.ip()) {
                        peers.push(peer.ip());
                    }
                }
                match (peers.is_empty(), a.permit(&peers, now)) {
                    (true, _) => Err((400, Counter::BadRequest)),
                    (_, false) => Err((508, Counter::RelayFull)),
                    (_, true) => Ok(Some(Answer::success(m))),
                }
            }
            Method::ChannelBind => {
                let number = m.channel.filter(|n| (0x4000..=0x7fff).contains(n));
                let (Some(number), Some(Some(peer))) = (number, m.peers().next()) else {
                    return Err((400, Counter::BadRequest));
                };
                if !self.peers.has(peer) && !self.by_relayed.contains_key(&peer) {
                    return Err((403, Counter::ForbiddenPeer));
                }
                match a.bind(number, peer, now) {
                    Ok(()) => Ok(Some(Answer::success(m))),
                    Err(Refused::Taken) => Err((400, Counter::BadRequest)),
                    Err(Refused::Full) => Err((508, Counter::RelayFull)),
                }
            }
            Method::Binding | Method::Send => Err((400, Counter::BadRequest)),
        }
    }

    fn allocate(
        &mut self,
        now: Instant,
        client: Client,
        m: &Message<'_>,
        username: Box<str>,
        key: &hmac::Key,
    ) -> Result<(), (u16, Counter)> {
        match m.transport {
            Some(UDP) => {}
            Some(_) => return Err((442, Counter::BadRequest)),
            None => return Err((400, Counter::BadRequest)),
        }
        let v6 = match m.family {
            None => None,
            Some(1) => Some(false),
            Some(2) => Some(true),
            Some(_) => return Err((440, Counter::BadRequest)),
        };
        let address = self.peers.relay(v6).ok_or((440, Counter::BadRequest))?;
        let person = person(&username);
        if !self.users.has(&person, 1) {
            return Err((486, Counter::UserFull));
        }
        let network = Network::of_peer(client.peer());
        match self.addresses.take(network, 1) {
            Ok(()) => {}
            Err(NoShare::Each) => return Err((486, Counter::AddressFull)),
            Err(NoShare::Total) => return Err((508, Counter::Full)),
        }
        let _ = self.users.take(person, 1);
        let expires = now + lifetime(m);
        let allocation = Allocation::new(now, client, username, key.clone(), m.transaction, expires);
        let relay = self.relays.insert(allocation);
        self.by_client.insert(client, relay);
        self.deadlines.insert((expires, relay));
        self.outputs.push_back(Output::Open { relay: RelayId(relay), address });
        Ok(())
    }

    fn allocated(&self, now: Instant, relay: usize, m: &Message<'_>) -> Option<Vec<u8>> {
        let key = &self.relays.get(relay)?.key;
        Some(self.allocated_answer(now, relay, m)?.finish(Some(key)))
    }

    fn allocated_answer(&self, now: Instant, relay: usize, m: &Message<'_>) -> Option<Answer> {
        let a = self.relays.get(relay)?;
        let mut answer = Answer::success(m);
        answer.address(message::XOR_RELAYED_ADDRESS, a.relayed?);
        answer.address(message::XOR_MAPPED_ADDRESS, canonical(a.client.peer()));
        answer.attribute(message::LIFETIME, &seconds(a.expires.saturating_duration_since(now)));
        Some(answer)
    }

    fn refresh(&mut self, now: Instant, relay: usize, m: &Message<'_>) -> Answer {
        let mut answer = Answer::success(m);
        let lives = match (m.lifetime, self.relays.get_mut(relay)) {
            (Some(0), _) | (_, None) => {
                self.counters.add(Counter::Released);
                self.close(relay);
                Duration::ZERO
            }
            (_, Some(a)) => {
                let until = (now + lifetime(m)).min(a.last());
                self.deadlines.remove(&(a.expires, relay));
                self.deadlines.insert((until, relay));
                a.expires = until;
                until.saturating_duration_since(now)
            }
        };
        answer.attribute(message::LIFETIME, &seconds(lives));
        answer
    }

    // ── data ──

    fn channel_data(&mut self, now: Instant, client: Client, bytes: &[u8]) -> Option<Data> {
        let Some(([n0, n1, l0, l1], rest)) = bytes.split_first_chunk::<4>() else {
            self.counters.add(Counter::Malformed);
            return None;
        };
        let (number, len) = (u16::from_be_bytes([*n0, *n1]), usize::from(u16::from_be_bytes([*l0, *l1])));
        if len > rest.len() {
            self.counters.add(Counter::Malformed);
            return None;
        }
        let Some((relay, a)) = self.of(client) else {
            self.counters.add(Counter::NoRelay);
            return None;
        };
        let Some(to) = a.peer(number, now) else {
            self.counters.add(Counter::NoChannel);
            return None;
        };
        Some(Data { relay, to, at: 4, len })
    }

    fn send_indication(&mut self, client: Client, m: &Message<'_>) -> Option<Data> {
        let (Some(Some(to)), Some((at, data)), None) = (m.peers().next(), m.data, m.unknown) else {
            self.counters.add(Counter::Malformed);
            return None;
        };
        let Some((relay, _)) = self.of(client) else {
            self.counters.add(Counter::NoRelay);
            return None;
        };
        Some(Data { relay, to, at, len: data.len() })
    }

    fn of(&self, client: Client) -> Option<(usize, &Allocation)> {
        let relay = *self.by_client.get(&client)?;
        let a = self.relays.get(relay)?;
        a.relayed.is_some().then_some((relay, a))
    }

    fn towards_peer(&mut self, now: Instant, data: Option<Data>, buffer: &mut [u8], start: usize) -> Route {
        let Some(Data { relay, to, at, len }) = data else { return Route::Nowhere };
        let Some(a) = self.relays.get_mut(relay) else { return Route::Nowhere };
        let refused = if !a.permits(to.ip(), now) {
            Some(Counter::NoPermission)
        } else if !a.may_send(now, len) {
            Some(Counter::ByteRate)
        } else {
            None
        };
        if let Some(why) = refused {
            self.counters.add(why);
            return Route::Nowhere;
        }
        let payload = start + at..start + at + len;
        if self.peers.has(to) {
            self.counters.to_peers.0 += 1;
            self.counters.to_peers.1 += len as u64;
            return Route::Peer { relay: RelayId(relay), to, payload };
        }
        // From relay to relay it takes no socket, and so no way back to us that a firewall would have to know.
        let Some((from, other)) = a.relayed.zip(self.by_relayed.get(&to).copied()) else {
            self.counters.add(Counter::ForbiddenPeer);
            return Route::Nowhere;
        };
        self.towards_client(now, other, from, buffer, payload)
    }

    fn towards_client(
        &mut self,
        now: Instant,
        relay: usize,
        from: SocketAddr,
        buffer: &mut [u8],
        payload: Range<usize>,
    ) -> Route {
        let Some(a) = self.relays.get_mut(relay) else { return Route::Nowhere };
        if !a.permits(from.ip(), now) {
            self.counters.add(Counter::NoPermission);
            return Route::Nowhere;
        }
        if !a.may_receive(now, payload.len()) {
            self.counters.add(Counter::ByteRate);
            return Route::Nowhere;
        }
        let (client, channel) = (a.client, a.channel(from, now));
        self.indications = self.indications.wrapping_add(1);
        let message = match channel {
            Some(number) => channel_message(buffer, payload.clone(), number, client.is_stream()),
            None => data_indication(buffer, payload.clone(), from, self.indications),
        };
        let Some(message) = message else {
            self.counters.add(Counter::Malformed);
            return Route::Nowhere;
        };
        self.counters.to_clients.0 += 1;
        self.counters.to_clients.1 += payload.len() as u64;
        Route::Client { client, message }
    }

    // ── ends ──

    fn close(&mut self, relay: usize) {
        // Also one that is being opened: what comes of it is then nobody's.
        self.forget(relay);
        self.outputs.push_back(Output::Close { relay: RelayId(relay) });
    }

    fn forget(&mut self, relay: usize) {
        let Some(a) = self.relays.try_remove(relay) else { return };
        self.by_client.remove(&a.client);
        if let Some(relayed) = a.relayed {
            self.by_relayed.remove(&relayed);
        }
        self.deadlines.remove(&(a.expires, relay));
        self.addresses.give_back(&a.network, 1);
        self.users.give_back(&person(&a.username), 1);
    }
}

/// Data of a client.
struct Data {
    relay: usize,
    to: SocketAddr,
    /// Where it begins in the message.
    at: usize,
    len: usize,
}

/// What is known of a request that is answered later.
struct Asked {
    method: Method,
    transaction: [u8; 12],
}

impl Asked {
    fn message(&self) -> Message<'static> {
        Message::answered(self.method, self.transaction)
    }
}

/// Whose name it is: what stands behind the time, or all of it.
fn person(username: &str) -> Box<str> {
    username.split_once(':').map_or(username, |(_, person)| person).into()
}

/// How long the relay of this request is to live; at most what one may ask for.
fn lifetime(m: &Message<'_>) -> Duration {
    let asked = m.lifetime.map_or(limits::LIFETIME, |s| Duration::from_secs(s.into()));
    asked.clamp(limits::LIFETIME, limits::LIFETIME_MAX)
}

fn seconds(d: Duration) -> [u8; 4] {
    u32::try_from(d.as_secs()).unwrap_or(u32::MAX).to_be_bytes()
}

fn canonical(a: SocketAddr) -> SocketAddr {
    SocketAddr::new(a.ip().to_canonical(), a.port())
}

/// REQUESTED-TRANSPORT of UDP: its number in the IP header.
const UDP: u8 = 17;
