//! One conference in one shard and the network to its participants, in virtual time: packets of participants in, how
//! many the bridge sent out.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jitsi_xmpp::Sensitive;
use jitsi_xmpp::colibri2::{ConferenceModified, Endpoint, MediaSource};
use jitsi_xmpp::entropy::SeededEntropy;
use jitsi_xmpp::ids::EndpointId;
use jitsi_xmpp::jingle::Setup;
use peer::{Identity, Options, Peer, describe};
use videobridge_core::{
    Certificate, Command, DatagramSink, Event, LocalAddress, RequestId, Shard, ShardConfig, SocketId,
    WebSocketConfig,
};

use super::sender::Plain;
use crate::counted;

/// Where the bridge writes: RTP is counted, what a peer has to answer is kept.
struct Wire {
    buf: [u8; 2048],
    rtp: u64,
    others: Vec<(SocketAddr, Vec<u8>)>,
}

impl DatagramSink for Wire {
    fn send(
        &mut self,
        to: SocketAddr,
        _: SocketAddr,
        max_len: usize,
        fill: &mut dyn FnMut(&mut [u8]) -> usize,
    ) {
        let len = fill(&mut self.buf[..max_len]);
        let first = self.buf[0];
        if len > 0 && first < 64 {
            self.others.push((to, self.buf[..len].to_vec()));
        } else if len > 0 && !(192..=223).contains(&self.buf[1]) {
            self.rtp += 1;
        }
    }
}

pub(crate) struct Hall {
    now: Instant,
    shard: Shard,
    wire: Wire,
    peers: Vec<Peer>,
    requests: u64,
}

impl Hall {
    /// A conference of `n`, all connected, their bridge channels open.
    pub(crate) fn new(n: usize) -> Self {
        let mut config =
            ShardConfig::new(vec![LocalAddress::new(bridge())], Certificate::generate().unwrap());
        config.web_sockets = Some(WebSocketConfig {
            domains: vec!["meet.example".to_owned()],
            server_id: "jvb1".to_owned(),
            tls: true,
        });
        // Nobody reports what arrived, so nothing may depend on an estimate.
        config.media.trust_bwe = false;
        let mut hall = Self {
            now: Instant::now(),
            shard: Shard::new(config, Box::new(SeededEntropy::new(42))).unwrap(),
            wire: Wire { buf: [0; 2048], rtp: 0, others: Vec::new() },
            peers: Vec::new(),
            requests: 0,
        };
        let identity = Identity::new(1150).unwrap();
        (0..n).for_each(|at| hall.join(&identity, at));
        hall.connect();
        hall
    }

    /// The name of a source of participant `n`.
    pub(crate) fn source_name(n: usize, which: &str) -> String {
        format!("{}-{which}", id(n))
    }

    pub(crate) fn set_source(&mut self, n: usize, source: MediaSource) {
        self.modify(Endpoint { sources: Some(vec![source]), ..describe::endpoint(&id(n)) });
    }

    /// Everybody wants everything in 720p.
    pub(crate) fn want_720p(&mut self) {
        for n in 0..self.peers.len() {
            self.say(n, r#"{"colibriClass":"ReceiverVideoConstraints","lastN":-1,"defaultConstraints":{"maxHeight":720}}"#);
        }
    }

    /// Time passes, then packets arrive together; returns how many RTP packets left.
    pub(crate) fn step(&mut self, time: Duration, packets: Vec<(usize, Plain)>, count: bool) -> u64 {
        self.now += time;
        let encrypt = |(n, p): (usize, Plain)| {
            let peer = &mut self.peers[n];
            (peer.address, peer.protect_rtp(&p.bytes))
        };
        let mut packets: Vec<(SocketAddr, Vec<u8>)> = packets.into_iter().map(encrypt).collect();
        let before = self.wire.rtp;
        let mut work = || {
            if self.shard.poll_timeout().is_some_and(|at| at <= self.now) {
                self.shard.handle_timeout(self.now, &mut self.wire);
            }
            for (src, data) in &mut packets {
                self.shard.handle_datagram(self.now, *src, bridge(), data, &mut self.wire);
            }
            while self.shard.poll_event().is_some() {}
        };
        if count {
            counted(&mut work)
        } else {
            work()
        }
        let sent = self.wire.rtp - before;
        self.answer();
        sent
    }

    fn join(&mut self, identity: &Identity, n: usize) {
        let address = SocketAddr::from(([127, 0, 0, 1], FIRST_PORT + u16::try_from(n).unwrap()));
        let credentials =
            (format!("uf{}", address.port()), format!("password-of-{}-0123456789", address.port()));
        // Nothing about DTLS 1.3, SCTP or media of theirs is measured.
        let options = Options { dtls12: true, channel: false, keeps_media: false, ..Options::default() };
        let mut peer =
            Peer::new(self.now, identity, address, bridge(), credentials.clone(), options).unwrap();
        let answer = self.modify(describe::new_endpoint(&id(n), false));
        let ice = answer.endpoints[0].transport.as_ref().unwrap().ice.as_ref().unwrap();
        peer.set_remote(ice.ufrag.as_ref().unwrap(), ice.pwd.as_ref().unwrap().reveal()).unwrap();
        let url = ice.web_sockets[0].url.as_ref().unwrap().reveal();
        let rest = url.strip_prefix("wss://meet.example/colibri-ws/jvb1/").unwrap();
        let (conference, rest) = rest.split_once('/').unwrap();
        let password = rest.split_once("?pwd=").unwrap().1;
        let open = Command::WebSocketOpen {
            socket: SocketId(n as u64),
            conference: conference.to_owned(),
            endpoint: EndpointId::new(id(n)),
            password: Sensitive::new(password.to_owned()),
        };
        let (ufrag, pwd) = credentials;
        self.peers.push(peer);
        let answered = describe::remote_transport(&ufrag, &pwd, identity.fingerprint(), Setup::Active);
        self.modify(Endpoint { transport: Some(answered), ..describe::endpoint(&id(n)) });
        self.command(open);
    }

    fn connect(&mut self) {
        for _ in 0..200 {
            self.now += Duration::from_millis(10);
            self.peers.iter_mut().for_each(|p| p.tick(self.now));
            self.shard.handle_timeout(self.now, &mut self.wire);
            self.answer();
            if self.peers.iter().all(Peer::connected) {
                return;
            }
        }
        panic!("not connected: {:?}", self.shard.counters());
    }

    /// Peers and bridge talk until nobody has anything to say.
    fn answer(&mut self) {
        for peer in &mut self.peers {
            for mut data in std::mem::take(&mut peer.sent) {
                self.shard.handle_datagram(self.now, peer.address, bridge(), &mut data, &mut self.wire);
            }
        }
        while !self.wire.others.is_empty() {
            for (to, data) in std::mem::take(&mut self.wire.others) {
                let peer = &mut self.peers[usize::from(to.port() - FIRST_PORT)];
                peer.receive(self.now, &data);
                for mut data in std::mem::take(&mut peer.sent) {
                    self.shard.handle_datagram(self.now, to, bridge(), &mut data, &mut self.wire);
                }
            }
        }
        while self.shard.poll_event().is_some() {}
    }

    fn say(&mut self, n: usize, text: &str) {
        self.command(Command::WebSocketText { socket: SocketId(n as u64), text: text.to_owned() });
    }

    fn command(&mut self, command: Command) {
        self.shard.handle_command(self.now, command, &mut self.wire);
        self.answer();
    }

    /// Tells the bridge about one endpoint and returns its answer.
    fn modify(&mut self, endpoint: Endpoint) -> ConferenceModified {
        self.requests += 1;
        let modify = describe::request(self.requests == 1, vec![endpoint]);
        let command = Command::Colibri2 { request: RequestId(self.requests), modify: Box::new(modify) };
        self.shard.handle_command(self.now, command, &mut self.wire);
        let mut answer = None;
        while let Some(event) = self.shard.poll_event() {
            if let Event::Colibri2Reply { result, .. } = event {
                answer = Some(*result.expect("the bridge agrees"));
            }
        }
        self.answer();
        answer.expect("a reply")
    }
}

const FIRST_PORT: u16 = 50_000;

fn bridge() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 10_000))
}

fn id(n: usize) -> String {
    format!("aaaa{n:04}")
}
