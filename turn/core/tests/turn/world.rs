//! A server without sockets, and clients that speak TURN with an encoder of their own.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jitsi_xmpp::Sensitive;
use jitsi_xmpp::entropy::SeededEntropy;
pub(crate) use peer::turn::{ALLOCATE, BIND, PERMIT, REFRESH, Reply, mask, message, transport, unmask};
use peer::turn::{Signer, read};
use turn_core::{
    Client, Config, Counter, HEADROOM, Output, Peers, RelayId, Route, Secret, TAILROOM, Turn, password,
};

pub(crate) const UNIX: u64 = 1_795_000_000;

pub(crate) struct World {
    pub(crate) turn: Turn,
    pub(crate) now: Instant,
    pub(crate) began: Instant,
    /// Sockets of relays that are open.
    pub(crate) open: Vec<(RelayId, SocketAddr)>,
    pub(crate) sockets_fail: bool,
    port: u16,
    transaction: u64,
}

/// What a client knows after its first answer.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) client: Client,
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) nonce: Vec<u8>,
}

impl Person {
    pub(crate) fn sign(&self, method: u16, transaction: [u8; 12], attributes: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let Self { username, password, nonce, .. } = self;
        Signer { username, password, nonce }.sign(method, transaction, attributes)
    }
}

pub(crate) fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn udp(peer: &str) -> Client {
    Client::Datagram { socket: 0, peer: at(peer) }
}

pub(crate) fn stream(id: u64, peer: &str) -> Client {
    Client::Stream { id, peer: at(peer) }
}

pub(crate) fn bridge() -> SocketAddr {
    at("203.0.113.20:10000")
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Peers::new(&[bridge()], &[]), usize::MAX)
    }

    pub(crate) fn with(peers: Peers, allocations: usize) -> Self {
        let secret = Secret::new(Sensitive::new("north".into()), &mut SeededEntropy::new(7));
        let now = Instant::now();
        Self {
            turn: Turn::new(Config { secret, peers, allocations }, now, Duration::from_secs(UNIX)),
            now,
            began: now,
            open: Vec::new(),
            sockets_fail: false,
            port: 49_152,
            transaction: 0,
        }
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.turn.handle_timeout(self.now);
        self.drain();
    }

    pub(crate) fn count(&self, counter: Counter) -> u64 {
        self.turn.counters().count(counter)
    }

    /// Does what the server wants done; returns its answers.
    pub(crate) fn drain(&mut self) -> Vec<(Client, Vec<u8>)> {
        let mut answers = Vec::new();
        while let Some(output) = self.turn.poll_output() {
            match output {
                Output::Answer { client, bytes } => answers.push((client, bytes)),
                Output::Open { relay, address } => {
                    let socket = SocketAddr::new(address, self.port);
                    self.port = self.port.checked_add(1).unwrap_or(1_024);
                    let socket = (!self.sockets_fail).then_some(socket);
                    self.open.extend(socket.map(|s| (relay, s)));
                    self.turn.handle_opened(self.now, relay, socket);
                }
                Output::Close { relay } => self.open.retain(|(r, _)| *r != relay),
            }
        }
        answers
    }

    /// A message as it is; where it went, and its bytes there.
    pub(crate) fn send(&mut self, client: Client, bytes: &[u8]) -> (Route, Vec<u8>) {
        let mut buffer = room(bytes);
        let range = HEADROOM..HEADROOM + bytes.len();
        let route = self.turn.handle_client(self.now, client, &mut buffer, range);
        let there = carried(&route, &buffer);
        (route, there)
    }

    /// A datagram of a peer.
    pub(crate) fn receive(&mut self, relay: SocketAddr, from: SocketAddr, bytes: &[u8]) -> (Route, Vec<u8>) {
        let id = self.open.iter().find(|(_, s)| *s == relay).expect("an open relay").0;
        let mut buffer = room(bytes);
        let range = HEADROOM..HEADROOM + bytes.len();
        let route = self.turn.handle_peer(self.now, id, from, &mut buffer, range);
        let there = carried(&route, &buffer);
        (route, there)
    }

    pub(crate) fn next_transaction(&mut self) -> [u8; 12] {
        self.transaction += 1;
        let mut id = [9; 12];
        id[4..].copy_from_slice(&self.transaction.to_be_bytes());
        id
    }

    /// Asks without credentials.
    pub(crate) fn ask(
        &mut self,
        client: Client,
        method: u16,
        attributes: &[(u16, Vec<u8>)],
    ) -> Option<Reply> {
        let message = message(method, self.next_transaction(), attributes);
        self.reply(client, &message)
    }

    /// Sends a request and takes its answer.
    pub(crate) fn reply(&mut self, client: Client, message: &[u8]) -> Option<Reply> {
        let (route, _) = self.send(client, message);
        assert_eq!(route, Route::Nowhere);
        let mut answers = self.drain();
        assert!(answers.len() <= 1, "one answer for one question");
        let (to, bytes) = answers.pop()?;
        assert_eq!(to, client);
        assert_eq!(bytes[8..20], message[8..20], "the same transaction");
        Some(read(&bytes))
    }

    /// Somebody with credentials for an hour, who knows a nonce.
    pub(crate) fn person(&mut self, client: Client, tag: &str) -> Person {
        let username = format!("{}:{tag}", UNIX + 3_600);
        let challenge = self.ask(client, ALLOCATE, &[transport()]).expect("a challenge");
        assert_eq!(challenge.code, 401);
        assert_eq!(challenge.attribute(0x14), Some(&b"plausch"[..]));
        let nonce = challenge.attribute(0x15).expect("a nonce").to_vec();
        Person { client, password: password(b"north", &username), username, nonce }
    }

    pub(crate) fn signed(&mut self, p: &Person, method: u16, attributes: &[(u16, Vec<u8>)]) -> Reply {
        let message = p.sign(method, self.next_transaction(), attributes);
        self.reply(p.client, &message).expect("an answer")
    }

    /// Somebody with a relay, and where that is.
    pub(crate) fn allocated(&mut self, client: Client, tag: &str) -> (Person, SocketAddr) {
        let p = self.person(client, tag);
        let done = self.signed(&p, ALLOCATE, &[transport()]);
        assert_eq!(done.code, 0);
        (p, done.address(0x16))
    }

    pub(crate) fn permit(&mut self, p: &Person, peer: SocketAddr) -> u16 {
        self.peers(p, PERMIT, &[peer])
    }

    pub(crate) fn peers(&mut self, p: &Person, method: u16, peers: &[SocketAddr]) -> u16 {
        let transaction = self.next_transaction();
        let named: Vec<_> = peers.iter().map(|a| (0x12, mask(*a, &transaction))).collect();
        let message = p.sign(method, transaction, &named);
        self.reply(p.client, &message).expect("an answer").code
    }

    pub(crate) fn bind(&mut self, p: &Person, number: u16, peer: SocketAddr) -> u16 {
        let transaction = self.next_transaction();
        let mut channel = number.to_be_bytes().to_vec();
        channel.extend([0, 0]);
        let message = p.sign(BIND, transaction, &[(0x0c, channel), (0x12, mask(peer, &transaction))]);
        self.reply(p.client, &message).expect("an answer").code
    }

    /// A Send indication.
    pub(crate) fn indicate(&mut self, client: Client, to: SocketAddr, data: &[u8]) -> (Route, Vec<u8>) {
        let transaction = self.next_transaction();
        let m = message(0x16, transaction, &[(0x12, mask(to, &transaction)), (0x13, data.to_vec())]);
        self.send(client, &m)
    }
}

fn room(bytes: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0xee; HEADROOM];
    buffer.extend(bytes);
    buffer.extend([0xee; TAILROOM]);
    buffer
}

fn carried(route: &Route, buffer: &[u8]) -> Vec<u8> {
    match route {
        Route::Nowhere => Vec::new(),
        Route::Peer { payload, .. } => buffer[payload.clone()].to_vec(),
        Route::Client { message, .. } => buffer[message.clone()].to_vec(),
    }
}
