//! A shard, some peers and the network between them, in virtual time.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jitsi_xmpp::StanzaError;
use jitsi_xmpp::colibri2::{ConferenceModified, ConferenceModify, Endpoint};
use jitsi_xmpp::entropy::SeededEntropy;
use jitsi_xmpp::jingle::Setup;
use videobridge_core::{Certificate, Command, Event, LocalAddress, RequestId, Shard, ShardConfig};

pub(crate) use peer::Wire;
pub(crate) use peer::describe::{audio_source, endpoint, remote_transport, request};
use peer::{Options, Peer};

/// Datagrams a peer sends in; those that arrive out.
type Meddle = Box<dyn FnMut(Vec<Vec<u8>>) -> Vec<Vec<u8>>>;

type Loss = Box<dyn FnMut(&[u8]) -> bool>;

pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) shard: Shard,
    pub(crate) peers: Vec<Peer>,
    pub(crate) events: VecDeque<Event>,
    requests: u64,
    /// What happens to datagrams from peer to bridge: may drop, reorder, repeat.
    pub(crate) meddle: Meddle,
    /// Peers whose datagrams get lost, both ways.
    pub(crate) cut: Vec<usize>,
    /// Addresses from and to which everything gets lost.
    pub(crate) dead: Vec<SocketAddr>,
    /// Peers that have nothing but a TCP connection.
    pub(crate) tcp: Vec<usize>,
    /// Which datagrams of the bridge get lost.
    pub(crate) lost: Loss,
    /// The longest DTLS datagram of the bridge.
    pub(crate) longest_dtls: usize,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut ShardConfig)) -> Self {
        let mut config =
            ShardConfig::new(vec![LocalAddress::new(bridge())], Certificate::generate().unwrap());
        change(&mut config);
        Self {
            now: Instant::now(),
            shard: Shard::new(config, Box::new(SeededEntropy::new(42))).unwrap(),
            peers: Vec::new(),
            events: VecDeque::new(),
            requests: 0,
            meddle: Box::new(|d| d),
            cut: Vec::new(),
            dead: Vec::new(),
            tcp: Vec::new(),
            lost: Box::new(|_| false),
            longest_dtls: 0,
        }
    }

    /// Lets time pass, peers and bridge talk.
    pub(crate) fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.now < end {
            self.now += STEP;
            for peer in &mut self.peers {
                peer.tick(self.now);
            }
            let mut wire = Wire::default();
            if self.shard.poll_timeout().is_some_and(|at| at <= self.now) {
                self.shard.handle_timeout(self.now, &mut wire);
            }
            self.settle(wire);
        }
    }

    /// Delivers datagrams until there are none.
    pub(crate) fn settle(&mut self, mut wire: Wire) {
        loop {
            let datagrams = std::mem::take(&mut wire.0).into_iter().map(|sent| (false, sent));
            let framed = std::mem::take(&mut wire.1).into_iter().map(|sent| (true, sent));
            for (framed, (to, _, data)) in datagrams.chain(framed) {
                if (20..64).contains(&data[0]) {
                    self.longest_dtls = self.longest_dtls.max(data.len());
                }
                if (self.lost)(&data) {
                    continue;
                }
                let cut = &self.cut;
                if let Some((n, peer)) = self.peers.iter_mut().enumerate().find(|(_, p)| p.is_at(to))
                    && !cut.contains(&n)
                    && self.tcp.contains(&n) == framed
                    && !self.dead.contains(&to)
                {
                    peer.receive_at(self.now, to, &data);
                }
            }
            for n in 0..self.peers.len() {
                let peer = &mut self.peers[n];
                let sent = (peer.address, std::mem::take(&mut peer.sent));
                for (src, sent) in peer.sent_by_restart().into_iter().chain([sent]) {
                    if sent.is_empty() || self.cut.contains(&n) || self.dead.contains(&src) {
                        continue;
                    }
                    for mut data in (self.meddle)(sent) {
                        if self.tcp.contains(&n) {
                            self.shard.handle_framed(self.now, src, bridge(), &mut data, &mut wire);
                        } else {
                            self.shard.handle_datagram(self.now, src, bridge(), &mut data, &mut wire);
                        }
                    }
                }
            }
            while let Some(event) = self.shard.poll_event() {
                self.events.push_back(event);
            }
            if wire.0.is_empty() && wire.1.is_empty() {
                return;
            }
        }
    }

    pub(crate) fn command(&mut self, command: Command) {
        let mut wire = Wire::default();
        self.shard.handle_command(self.now, command, &mut wire);
        self.settle(wire);
    }

    /// One request and its answer.
    pub(crate) fn modify(&mut self, modify: ConferenceModify) -> Result<ConferenceModified, StanzaError> {
        self.requests += 1;
        let request = RequestId(self.requests);
        self.command(Command::Colibri2 { request, modify: Box::new(modify) });
        let at = self
            .events
            .iter()
            .position(|e| matches!(e, Event::Colibri2Reply { request: r, .. } if *r == request))
            .expect("a reply");
        match self.events.remove(at) {
            Some(Event::Colibri2Reply { result, .. }) => result.map(|b| *b).map_err(|b| *b),
            _ => unreachable!(),
        }
    }

    /// Creates endpoints in the conference "m1" and introduces them to each other; does not wait for ICE.
    pub(crate) fn join(&mut self, id: &str, options: Options) -> usize {
        self.join_with(id, options, |_, _| {})
    }

    pub(crate) fn join_with(
        &mut self,
        id: &str,
        options: Options,
        change: impl FnOnce(&mut Endpoint, &mut Endpoint),
    ) -> usize {
        let n = self.peers.len();
        let address = SocketAddr::from(([127, 0, 0, 1], 50_000 + u16::try_from(n).unwrap()));
        let mut peer = Peer::named(self.now, id, address, bridge(), options.clone());
        let mut create = new_endpoint(id);
        let mut update = endpoint(id);
        let (ufrag, pwd) = peer.credentials();
        let setup = if options.passive { Setup::Passive } else { Setup::Active };
        update.transport = Some(remote_transport(&ufrag, &pwd, peer.fingerprint(), setup));
        change(&mut create, &mut update);
        let exists = self.shard.load().0 > 0;
        let answer = self.modify(request(!exists, vec![create])).expect("create");
        let ice = answer.endpoints[0].transport.as_ref().unwrap().ice.as_ref().unwrap();
        peer.set_remote(ice.ufrag.as_ref().unwrap(), ice.pwd.as_ref().unwrap().reveal()).unwrap();
        self.peers.push(peer);
        self.modify(request(false, vec![update])).expect("update");
        n
    }

    /// Runs until all peers are connected with an open channel.
    pub(crate) fn connect(&mut self) {
        for _ in 0..40 {
            self.run(Duration::from_millis(50));
            if self.peers.iter().all(|p| p.dtls_connected && p.channel_open) {
                return;
            }
        }
        panic!("not connected: {:?}", self.shard.counters());
    }

    pub(crate) fn texts_of(&self, socket: videobridge_core::SocketId) -> Vec<String> {
        let text = |e: &Event| match e {
            Event::WebSocketMessage { socket: s, message } if *s == socket => {
                Some(message.text().to_string())
            }
            _ => None,
        };
        self.events.iter().filter_map(text).collect()
    }
}

/// Virtual time moves in steps of this.
const STEP: Duration = Duration::from_millis(10);

pub(crate) fn bridge() -> SocketAddr {
    "127.0.0.1:10000".parse().unwrap()
}

/// With a data channel.
pub(crate) fn new_endpoint(id: &str) -> Endpoint {
    peer::describe::new_endpoint(id, true)
}

/// An RTP packet with a 12-byte header, payload type 111.
pub(crate) fn rtp(ssrc: u32, seq: u16, payload: &[u8]) -> Vec<u8> {
    let mut p = vec![0x80, 111];
    p.extend(seq.to_be_bytes());
    p.extend((u32::from(seq) * 960).to_be_bytes());
    p.extend(ssrc.to_be_bytes());
    p.extend(payload);
    p
}

/// A receiver report about one stream: what came in total, and what of that is missing.
pub(crate) fn lost(ssrc: u32, highest: u32, lost: u32) -> Vec<u8> {
    let mut report = vec![0x81, 201, 0, 7];
    report.extend(9_u32.to_be_bytes());
    report.extend(ssrc.to_be_bytes());
    report.extend(lost.to_be_bytes());
    report.extend(highest.to_be_bytes());
    report.extend([0; 12]);
    report
}
