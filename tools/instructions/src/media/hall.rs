//! One conference in one shard, or in parts on several, and the network to its participants, in virtual time: packets of participants in,
//! how many the bridge sent out.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jitsi_xmpp::Sensitive;
use jitsi_xmpp::colibri2::{ConferenceModified, Endpoint, MediaSource};
use jitsi_xmpp::entropy::SeededEntropy;
use jitsi_xmpp::ids::EndpointId;
use jitsi_xmpp::jingle::Setup;
use peer::{Identity, Options, Peer, describe};
use videobridge_core::{
    Certificate, Command, DatagramSink, Event, LocalAddress, PartKey, RequestId, Shard, ShardConfig,
    SocketId, WebSocketConfig, shard_of_conference,
};

use super::sender::Plain;
use crate::counted;

/// Where the bridge writes: RTP is counted, what a peer has to answer is kept.
struct Wire {
    buf: [u8; 2048],
    rtp: u64,
    others: Vec<(SocketAddr, Vec<u8>)>,
    /// What goes from shard to shard.
    bytes: Vec<u8>,
    packets: Vec<(u16, PartKey, bool, usize)>,
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

    fn send_to_part(&mut self, shard: u16, part: PartKey, is_rtcp: bool, parts: &[&[u8]]) {
        let before = self.bytes.len();
        parts.iter().for_each(|some| self.bytes.extend_from_slice(some));
        self.packets.push((shard, part, is_rtcp, self.bytes.len() - before));
    }
}

pub(crate) struct Hall {
    now: Instant,
    shards: Vec<Shard>,
    wire: Wire,
    peers: Vec<Peer>,
    /// Which shard each peer is at.
    places: Vec<usize>,
    requests: u64,
}

impl Hall {
    /// A conference of `n`, all connected, their bridge channels open.
    pub(crate) fn new(n: usize) -> Self {
        Self::spread(n, 1)
    }

    /// The same in parts on so many shards.
    pub(crate) fn spread(n: usize, shards: usize) -> Self {
        let mut config =
            ShardConfig::new(vec![LocalAddress::new(bridge())], Certificate::generate().unwrap());
        config.web_sockets = Some(WebSocketConfig {
            domains: vec!["meet.example".to_owned()],
            server_id: "jvb1".to_owned(),
            tls: true,
        });
        // Nobody reports what arrived, so nothing may depend on an estimate.
        config.media.trust_bwe = false;
        (config.shards, config.spread_above) = (u16::try_from(shards).unwrap(), n / shards);
        let shards = (0..shards).map(|index| {
            config.index = u16::try_from(index).unwrap();
            Shard::new(config.clone(), Box::new(SeededEntropy::new(42))).unwrap()
        });
        let mut hall = Self {
            now: Instant::now(),
            shards: shards.collect(),
            wire: Wire { buf: [0; 2048], rtp: 0, others: Vec::new(), bytes: Vec::new(), packets: Vec::new() },
            peers: Vec::new(),
            places: Vec::new(),
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
            (self.places[n], peer.address, peer.protect_rtp(&p.bytes))
        };
        let mut packets: Vec<(usize, SocketAddr, Vec<u8>)> = packets.into_iter().map(encrypt).collect();
        let before = self.wire.rtp;
        let mut work = || {
            for shard in &mut self.shards {
                if shard.poll_timeout().is_some_and(|at| at <= self.now) {
                    shard.handle_timeout(self.now, &mut self.wire);
                }
            }
            for (at, src, data) in &mut packets {
                self.shards[*at].handle_datagram(self.now, *src, bridge(), data, &mut self.wire);
            }
            cross(self.now, &mut self.shards, &mut self.wire);
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
        self.places.push(usize::from(shard_of_conference(conference).unwrap()));
        let answered = describe::remote_transport(&ufrag, &pwd, identity.fingerprint(), Setup::Active);
        self.modify(Endpoint { transport: Some(answered), ..describe::endpoint(&id(n)) });
        self.command(self.places[n], open);
    }

    fn connect(&mut self) {
        for _ in 0..200 {
            self.now += Duration::from_millis(10);
            self.peers.iter_mut().for_each(|p| p.tick(self.now));
            for shard in &mut self.shards {
                shard.handle_timeout(self.now, &mut self.wire);
            }
            self.answer();
            if self.peers.iter().all(Peer::connected) {
                return;
            }
        }
        panic!("not connected: {:?}", self.shards[0].counters());
    }

    /// Peers and bridge talk until nobody has anything to say.
    fn answer(&mut self) {
        for (peer, at) in self.peers.iter_mut().zip(&self.places) {
            for mut data in std::mem::take(&mut peer.sent) {
                let shard = &mut self.shards[*at];
                shard.handle_datagram(self.now, peer.address, bridge(), &mut data, &mut self.wire);
            }
        }
        cross(self.now, &mut self.shards, &mut self.wire);
        while !self.wire.others.is_empty() {
            for (to, data) in std::mem::take(&mut self.wire.others) {
                let n = usize::from(to.port() - FIRST_PORT);
                let peer = &mut self.peers[n];
                peer.receive(self.now, &data);
                for mut data in std::mem::take(&mut peer.sent) {
                    let shard = &mut self.shards[self.places[n]];
                    shard.handle_datagram(self.now, to, bridge(), &mut data, &mut self.wire);
                }
            }
            cross(self.now, &mut self.shards, &mut self.wire);
        }
    }

    fn say(&mut self, n: usize, text: &str) {
        self.command(
            self.places[n],
            Command::WebSocketText { socket: SocketId(n as u64), text: text.to_owned() },
        );
    }

    fn command(&mut self, at: usize, command: Command) {
        self.shards[at].handle_command(self.now, command, &mut self.wire);
        self.answer();
    }

    /// Tells the bridge about one endpoint and returns its answer.
    fn modify(&mut self, endpoint: Endpoint) -> ConferenceModified {
        self.requests += 1;
        let modify = describe::request(self.requests == 1, vec![endpoint]);
        let command = Command::Colibri2 { request: RequestId(self.requests), modify: Box::new(modify) };
        self.shards[0].handle_command(self.now, command, &mut self.wire);
        let answer = cross(self.now, &mut self.shards, &mut self.wire);
        self.answer();
        answer.expect("a reply")
    }
}

/// What the shards have for each other goes there. Returns what one of them answered to the focus.
fn cross(now: Instant, shards: &mut [Shard], wire: &mut Wire) -> Option<ConferenceModified> {
    let mut answer = None;
    loop {
        let mut more = false;
        for from in 0..shards.len() {
            while let Some(event) = shards[from].poll_event() {
                match event {
                    Event::Colibri2Reply { result, .. } => {
                        answer = Some(*result.expect("the bridge agrees"));
                    }
                    Event::PartNews { shard, part, news } => {
                        let from = (u16::try_from(from).unwrap(), part);
                        shards[usize::from(shard)].handle_part_news(now, from, *news, wire);
                        more = true;
                    }
                    _ => {}
                }
            }
        }
        if wire.packets.is_empty() {
            if !more {
                return answer;
            }
            continue;
        }
        let (mut bytes, mut packets) = (std::mem::take(&mut wire.bytes), std::mem::take(&mut wire.packets));
        let mut rest = bytes.as_mut_slice();
        for (shard, part, is_rtcp, len) in packets.drain(..) {
            let (packet, behind) = std::mem::take(&mut rest).split_at_mut(len);
            shards[usize::from(shard)].handle_part_packet(now, part, is_rtcp, packet, wire);
            rest = behind;
        }
    }
}

const FIRST_PORT: u16 = 50_000;

fn bridge() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 10_000))
}

fn id(n: usize) -> String {
    format!("aaaa{n:04}")
}
