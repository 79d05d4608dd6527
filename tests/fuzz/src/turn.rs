//! What clients and peers say to the TURN server, with credentials and without: any bytes in, broken promises out.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jitsi_xmpp::Sensitive;
use jitsi_xmpp::entropy::SeededEntropy;
use peer::turn::{ALLOCATE, BIND, PERMIT, REFRESH, Signer, mask, message, read, transport};
use turn_core::{
    Client, Config, HEADROOM, Output, Peers, RelayId, Route, Secret, TAILROOM, Turn, limits, password,
};

/// Four clients, a bridge that moves, and everything else that a relay could be used to reach. Whatever they say: a relay leads to
/// the bridge and to other relays alone, what comes out was put in, nobody is answered but who asked, and relays, their sockets and
/// answers are bounded.
pub fn z34_turn(data: &[u8]) {
    let mut it = Relay::new();
    let mut data = data.iter().copied();
    for _ in 0..MOST_STEPS {
        let (Some(verb), Some(who), Some(what)) = (data.next(), data.next(), data.next()) else { return };
        it.step(verb, usize::from(who) % CLIENTS, what, &mut data);
    }
}

struct Relay {
    turn: Turn,
    now: Instant,
    bridge: SocketAddr,
    open: Vec<(RelayId, SocketAddr)>,
    nonces: [Vec<u8>; CLIENTS],
    port: u16,
    transaction: u64,
}

impl Relay {
    fn new() -> Self {
        let now = Instant::now();
        let secret = Secret::new(Sensitive::new("north".into()), &mut SeededEntropy::new(7));
        let bridge = BRIDGES[0].parse().unwrap();
        let peers = Peers::new(&[bridge], &[]);
        let turn = Turn::new(Config { secret, peers, allocations: MOST_RELAYS }, now, UNIX);
        let nonces = Default::default();
        Self { turn, now, bridge, open: Vec::new(), nonces, port: 49_152, transaction: 0 }
    }

    fn step(&mut self, verb: u8, who: usize, what: u8, rest: &mut impl Iterator<Item = u8>) {
        match verb % 12 {
            0 => {
                let bytes: Vec<u8> = rest.take(what.into()).collect();
                self.client(who, &bytes);
            }
            1 => self.signed(who, ALLOCATE, &[transport()]),
            2 => self.signed(who, PERMIT, &[(PEER, self.masked(what))]),
            3 => {
                let channel = vec![0x40, what % 5, 0, 0];
                self.signed(who, BIND, &[(0x0c, channel), (PEER, self.masked(what / 5))]);
            }
            4 => {
                let m = message(0x16, self.next(), &[(PEER, self.masked(what)), (0x13, vec![what; 40])]);
                self.client(who, &m);
            }
            5 => {
                let mut m = vec![0x40, what % 5, 0, 8];
                m.extend(rest.take(8));
                self.client(who, &m);
            }
            6 => self.peer(usize::from(what / 16), self.address(what % 16)),
            7 => {
                self.now += Duration::from_secs(u64::from(what) * u64::from(what));
                self.turn.handle_clock(self.now, UNIX);
                self.turn.handle_timeout(self.now);
                self.drain(None);
            }
            8 => {
                self.turn.handle_hangup(client(who));
                self.drain(None);
            }
            9 => self.signed(who, REFRESH, &[(0x0d, u32::from(what % 3).to_be_bytes().to_vec())]),
            10 => {
                self.bridge = BRIDGES[usize::from(what) % BRIDGES.len()].parse().unwrap();
                self.turn.handle_peers(Peers::new(&[self.bridge], &[]));
            }
            // Somebody changes a byte on the way.
            _ => {
                let mut m = self.sign(
                    who,
                    if what.is_multiple_of(2) { PERMIT } else { BIND },
                    &[(PEER, self.masked(what))],
                );
                let at = usize::from(what) % m.len();
                m[at] ^= rest.next().unwrap_or(1);
                self.client(who, &m);
            }
        }
        assert!(self.turn.relays() <= MOST_RELAYS, "relays are bounded");
        assert_eq!(
            self.turn.relays(),
            self.open.len(),
            "each relay has its socket, and no socket is left over"
        );
    }

    fn next(&mut self) -> [u8; 12] {
        self.transaction += 1;
        let mut id = TRANSACTION;
        id[4..].copy_from_slice(&self.transaction.to_be_bytes());
        id
    }

    /// An address as attribute. Of IPv4 alone: their mask is the same in all messages.
    fn masked(&self, what: u8) -> Vec<u8> {
        mask(self.address(what), &TRANSACTION)
    }

    /// The bridges, relays, and what nobody may reach.
    fn address(&self, what: u8) -> SocketAddr {
        let what = usize::from(what);
        let relay = what.checked_sub(FORBIDDEN.len() + BRIDGES.len()).and_then(|n| self.open.get(n));
        let other = || FORBIDDEN.iter().chain(BRIDGES).cycle().nth(what).unwrap().parse().unwrap();
        relay.map_or_else(other, |(_, at)| *at)
    }

    fn sign(&mut self, who: usize, method: u16, attributes: &[(u16, Vec<u8>)]) -> Vec<u8> {
        if self.nonces[who].is_empty() {
            let question = message(ALLOCATE, self.next(), &[transport()]);
            let (before, challenge) = (question.len(), self.client(who, &question));
            // A flood of those without a relay gets none.
            let Some(challenge) = challenge else { return question };
            assert!(challenge.len() <= before + limits::LONGER, "an answer to a stranger is hardly longer");
            self.nonces[who] = read(&challenge).attribute(0x15).unwrap().to_vec();
        }
        let transaction = self.next();
        let username = format!("{}:p{}", UNIX.as_secs() + 86_400, who / 2);
        let (password, nonce) = (password(b"north", &username), &self.nonces[who]);
        Signer { username: &username, password: &password, nonce }.sign(method, transaction, attributes)
    }

    fn signed(&mut self, who: usize, method: u16, attributes: &[(u16, Vec<u8>)]) {
        let m = self.sign(who, method, attributes);
        if self.client(who, &m).is_some_and(|a| read(&a).code == 438) {
            self.nonces[who].clear();
        }
    }

    /// A message of a client; the answer to it.
    fn client(&mut self, who: usize, bytes: &[u8]) -> Option<Vec<u8>> {
        let (mut buffer, range) = room(bytes);
        let route = self.turn.handle_client(self.now, client(who), &mut buffer, range);
        self.judge(&route, &buffer, bytes);
        self.drain(Some(client(who)))
    }

    fn peer(&mut self, relay: usize, from: SocketAddr) {
        let Some((relay, _)) = self.open.get(relay).copied() else { return };
        let bytes = [0x80; 50];
        let (mut buffer, range) = room(&bytes);
        let route = self.turn.handle_peer(self.now, relay, from, &mut buffer, range);
        if route != Route::Nowhere {
            assert_eq!(from, self.bridge, "only the bridge is heard at a relay's socket");
        }
        assert!(
            !matches!(route, Route::Peer { .. }),
            "nobody's datagram goes through a relay to another host"
        );
        self.judge(&route, &buffer, &bytes);
        self.drain(None);
    }

    fn judge(&self, route: &Route, buffer: &[u8], put_in: &[u8]) {
        match route {
            Route::Nowhere => {}
            Route::Peer { relay, to, payload } => {
                assert_eq!(*to, self.bridge, "a relay leads to the bridge alone");
                assert!(self.open.iter().any(|(r, _)| r == relay), "an open relay");
                let out = &buffer[payload.clone()];
                assert!(out.is_empty() || put_in.windows(out.len()).any(|w| w == out), "as it was put in");
            }
            Route::Client { client, message } => {
                assert!(self.turn.has_relay(client), "only who has a relay gets something");
                assert!(message.len() <= put_in.len() + HEADROOM + TAILROOM && message.end <= buffer.len());
            }
        }
    }

    /// Does what is to be done; the one answer, which is for who asked.
    fn drain(&mut self, asked: Option<Client>) -> Option<Vec<u8>> {
        let mut answer = None;
        while let Some(output) = self.turn.poll_output() {
            match output {
                Output::Answer { client, bytes } => {
                    assert_eq!(Some(client), asked, "who asked is answered");
                    assert!(answer.replace(bytes).is_none(), "once");
                }
                Output::Open { relay, address } => {
                    assert_eq!(address, self.bridge.ip(), "relays are where the bridge is");
                    self.port = self.port.checked_add(1).unwrap_or(49_152);
                    let at = SocketAddr::new(address, self.port);
                    self.open.push((relay, at));
                    self.turn.handle_opened(self.now, relay, Some(at));
                }
                Output::Close { relay } => self.open.retain(|(r, _)| *r != relay),
            }
        }
        answer
    }
}

/// Two on datagrams, two on streams.
fn client(who: usize) -> Client {
    let peer = SocketAddr::from(([198, 51, 100, 7], 1_000 + u16::try_from(who).unwrap()));
    if who < 2 { Client::Datagram { socket: 0, peer } } else { Client::Stream { id: who as u64, peer } }
}

fn room(bytes: &[u8]) -> (Vec<u8>, std::ops::Range<usize>) {
    let mut buffer = vec![0; HEADROOM];
    buffer.extend(bytes);
    buffer.extend([0; TAILROOM]);
    (buffer, HEADROOM..HEADROOM + bytes.len())
}

const CLIENTS: usize = 4;
const MOST_RELAYS: usize = 3;
const MOST_STEPS: usize = 200;
const UNIX: Duration = Duration::from_secs(1_795_000_000);
const TRANSACTION: [u8; 12] = [9; 12];
const PEER: u16 = 0x12;
const BRIDGES: &[&str] = &["203.0.113.20:10000", "203.0.113.21:10000"];
const FORBIDDEN: &[&str] = &[
    "203.0.113.20:8888",
    "203.0.113.22:10000",
    "127.0.0.1:10000",
    "10.0.0.1:10000",
    "192.168.1.1:80",
    "169.254.169.254:80",
    "0.0.0.0:10000",
    "255.255.255.255:10000",
];
