//! Conferences on several bridges: real ICE, DTLS, SRTP and SCTP between them and to their people, in virtual time.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jitsi_xmpp::colibri2::{
    ConferenceModified, ConferenceModify, Endpoint, MediaSource, Relay, Sctp, SctpRole, Transport,
};
use jitsi_xmpp::entropy::SeededEntropy;
use jitsi_xmpp::ids::{EndpointId, MediaType, SourceName, Ssrc};
use jitsi_xmpp::jingle::{IceUdpTransport, Semantics, Setup, Source, SsrcGroup, WebSocket};
use jitsi_xmpp::{Condition, Sensitive, StanzaError};
use peer::describe::media;
use peer::{Options, Peer};
use serde_json::Value;
use videobridge_core::{
    Certificate, Command, Discard, Event, LocalAddress, RequestId, Shard, ShardConfig, SocketId,
    WebSocketConfig, limits,
};

use crate::world::{Wire, audio_source, endpoint, new_endpoint, remote_transport, request, rtp};

/// Bridges, their people, and the network between all of them.
struct Bridges {
    now: Instant,
    sides: Vec<Side>,
    /// With the bridge each is at.
    peers: Vec<(usize, Peer)>,
    requests: u64,
    sockets: u16,
    /// Nothing comes through between bridges.
    cut: bool,
    /// Whose datagrams get lost, both ways.
    lost: Option<usize>,
}

struct Side {
    shard: Shard,
    /// The names of those who are linked to it.
    links: Vec<usize>,
    announced: Vec<Endpoint>,
    released: Vec<SocketAddr>,
}

fn name(side: usize) -> String {
    format!("jvb-{side}")
}

fn shared(side: usize) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1 + side as u8], 10_000))
}

impl Bridges {
    fn new(count: usize) -> Self {
        let side = |n: usize| {
            let mut config =
                ShardConfig::new(vec![LocalAddress::new(shared(n))], Certificate::generate().unwrap());
            config.relay_id = Some(name(n));
            // Nobody here reports what arrives.
            config.media.trust_bwe = false;
            let shard = Shard::new(config, Box::new(SeededEntropy::new(n as u64 + 1))).unwrap();
            Side { shard, links: Vec::new(), announced: Vec::new(), released: Vec::new() }
        };
        let mut this = Self {
            now: Instant::now(),
            sides: (0..count).map(side).collect(),
            peers: Vec::new(),
            requests: 0,
            sockets: 20_000,
            cut: false,
            lost: None,
        };
        for side in 0..count {
            (0..limits::SPARE_SOCKETS).for_each(|_| this.supply(side));
        }
        this
    }

    fn supply(&mut self, side: usize) {
        self.sockets += 1;
        let address = SocketAddr::new(shared(side).ip(), self.sockets);
        self.command(side, Command::AddRelaySockets(vec![address]));
    }

    fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.now < end {
            self.now += Duration::from_millis(10);
            self.peers.iter_mut().for_each(|(_, peer)| peer.tick(self.now));
            let mut wire = Wire::default();
            for side in &mut self.sides {
                if side.shard.poll_timeout().is_some_and(|at| at <= self.now) {
                    side.shard.handle_timeout(self.now, &mut wire);
                }
            }
            self.settle(wire);
        }
    }

    fn settle(&mut self, mut wire: Wire) {
        loop {
            for (n, (side, peer)) in self.peers.iter_mut().enumerate() {
                let (sent, from) = (std::mem::take(&mut peer.sent), peer.address);
                let sent = sent.into_iter().filter(|_| self.lost != Some(n));
                wire.0.extend(sent.map(|data| (shared(*side), from, data)));
            }
            if wire.0.is_empty() {
                return;
            }
            for (to, from, mut data) in std::mem::take(&mut wire.0) {
                if let Some(n) = self.peers.iter().position(|(_, p)| p.address == to) {
                    if self.lost != Some(n) {
                        self.peers[n].1.receive(self.now, &data);
                    }
                    continue;
                }
                let at = (0..self.sides.len()).find(|n| shared(*n).ip() == to.ip());
                let is_from_bridge = self.peers.iter().all(|(_, p)| p.address != from);
                if let Some(at) = at.filter(|_| !(self.cut && is_from_bridge)) {
                    self.sides[at].shard.handle_datagram(self.now, from, to, &mut data, &mut wire);
                }
            }
        }
    }

    /// What a bridge says to its shell, apart from the answer it waits for.
    fn command(&mut self, side: usize, command: Command) -> Option<Result<ConferenceModified, StanzaError>> {
        let mut wire = Wire::default();
        self.sides[side].shard.handle_command(self.now, command, &mut wire);
        let (mut answer, mut wanted) = (None, 0);
        while let Some(event) = self.sides[side].shard.poll_event() {
            match event {
                Event::Colibri2Reply { result, .. } => answer = Some(result.map(|b| *b).map_err(|b| *b)),
                Event::RelaySocketsWanted => wanted += 1,
                Event::RelaySocketsReleased(sockets) => self.sides[side].released.extend(sockets),
                _ => {}
            }
        }
        self.settle(wire);
        (0..wanted).for_each(|_| self.supply(side));
        answer
    }

    fn modify(&mut self, side: usize, modify: ConferenceModify) -> Result<ConferenceModified, StanzaError> {
        self.requests += 1;
        let request = RequestId(self.requests);
        self.command(side, Command::Colibri2 { request, modify: Box::new(modify) }).expect("an answer")
    }

    fn relay(&mut self, side: usize, relay: Relay) -> Result<ConferenceModified, StanzaError> {
        let create = self.sides[side].shard.load().0 == 0;
        self.modify(side, ConferenceModify { relays: vec![relay], ..request(create, vec![]) })
    }

    /// What the focus does to connect two bridges.
    fn link(&mut self, a: usize, b: usize, mesh: &str) {
        let ours = self.create_relay(a, b, mesh, true);
        let theirs = self.create_relay(b, a, mesh, false);
        assert_eq!(ours.sctp, Some(Sctp { port: Some(5000), role: Some(SctpRole::Server) }), "the other's");
        assert_eq!(theirs.sctp, Some(Sctp { port: Some(5000), role: Some(SctpRole::Client) }));
        assert_ne!(ours.ice.as_ref().unwrap().candidates[0].port, 10_000, "a port of its own");
        assert_eq!(theirs.ice.as_ref().unwrap().candidates[0].port, 10_000);
        self.introduce(a, b, theirs, Setup::Active);
        self.introduce(b, a, ours, Setup::Passive);
    }

    fn create_relay(&mut self, at: usize, other: usize, mesh: &str, first: bool) -> Transport {
        let role = if first { SctpRole::Client } else { SctpRole::Server };
        let relay = Relay {
            create: true,
            mesh_id: Some(mesh.to_owned()),
            media: media(),
            transport: Some(Transport {
                use_unique_port: first,
                ice_controlling: first,
                sctp: Some(Sctp { port: None, role: Some(role) }),
                ..Transport::default()
            }),
            endpoints: self.sides[other].announced.clone(),
            ..Relay::new(name(other))
        };
        let answer = self.relay(at, relay).expect("a relay");
        self.sides[at].links.push(other);
        answer.relays[0].transport.clone().expect("our side")
    }

    fn introduce(&mut self, at: usize, other: usize, theirs: Transport, setup: Setup) {
        let mut ice: IceUdpTransport = theirs.ice.unwrap();
        assert_eq!(ice.fingerprints[0].setup, Some(Setup::Actpass));
        ice.fingerprints[0].setup = Some(setup);
        let transport = Some(Transport { ice: Some(ice), ..Transport::default() });
        self.relay(at, Relay { transport, ..Relay::new(name(other)) }).expect("an introduction");
    }

    /// Somebody joins at a bridge, with these sources.
    fn join(&mut self, side: usize, id: &str, sources: Vec<MediaSource>) -> usize {
        let n = self.peers.len();
        let address = SocketAddr::from(([127, 0, 1, 1], 50_000 + u16::try_from(n).unwrap()));
        let mut peer = Peer::named(self.now, id, address, shared(side), Options::default());
        let create = self.sides[side].shard.load().0 == 0;
        let answer = self.modify(side, request(create, vec![new_endpoint(id)])).expect("create");
        let ice = answer.endpoints[0].transport.as_ref().unwrap().ice.as_ref().unwrap();
        peer.set_remote(ice.ufrag.as_ref().unwrap(), ice.pwd.as_ref().unwrap().reveal()).unwrap();
        let (ufrag, pwd) = peer.credentials();
        let mut update = endpoint(id);
        update.transport = Some(remote_transport(&ufrag, &pwd, peer.fingerprint(), Setup::Active));
        update.sources = Some(sources.clone());
        self.peers.push((side, peer));
        self.modify(side, request(false, vec![update])).expect("update");
        let announced = Endpoint { create: true, sources: Some(sources), ..endpoint(id) };
        self.sides[side].announced.push(announced.clone());
        for other in self.sides[side].links.clone() {
            let endpoints = vec![announced.clone()];
            self.relay(other, Relay { endpoints, ..Relay::new(name(side)) }).expect("an announcement");
        }
        n
    }

    fn connect(&mut self) {
        for _ in 0..100 {
            self.run(Duration::from_millis(50));
            if self.peers.iter().all(|(_, p)| p.dtls_connected && p.channel_open) {
                // The bridges have had as long as their people.
                return self.run(Duration::from_secs(1));
            }
        }
        panic!("not connected: {:?}", self.sides[0].shard.counters());
    }

    fn say(&mut self, n: usize, text: &str) {
        let now = self.now;
        assert!(self.peers[n].1.say(now, text));
        self.settle(Wire::default());
        self.run(Duration::from_millis(100));
    }

    /// Texts of a class that somebody got, and forgets them.
    fn texts(&mut self, n: usize, class: &str) -> Vec<Value> {
        let all = std::mem::take(&mut self.peers[n].1.texts);
        let all = all.iter().filter_map(|t| serde_json::from_str::<Value>(t).ok());
        all.filter(|t| t["colibriClass"] == class).collect()
    }

    fn counter(&self, side: usize, of: Discard) -> u64 {
        self.sides[side].shard.counters().dropped(of)
    }
}

/// A camera with three encodings that answers key frame requests.
pub(crate) struct Camera {
    pub(crate) peer: usize,
    ssrc: u32,
    seq: u16,
    picture: u16,
    needs_key: bool,
}

/// SSRCs `first`, + 2, + 4, each followed by that of its repetitions.
pub(crate) fn camera(id: &str, first: u32) -> MediaSource {
    let mut source = MediaSource::new(MediaType::Video, SourceName::new(format!("{id}-v0")));
    let ssrcs = [first, first + 2, first + 4];
    source.ssrc_groups.push(SsrcGroup { semantics: Semantics::Sim, ssrcs: ssrcs.map(Ssrc).to_vec() });
    for ssrc in ssrcs {
        source.sources.extend([ssrc, ssrc + 1].map(|s| Source::new(Ssrc(s))));
        source
            .ssrc_groups
            .push(SsrcGroup { semantics: Semantics::Fid, ssrcs: vec![Ssrc(ssrc), Ssrc(ssrc + 1)] });
    }
    source
}

impl Camera {
    pub(crate) fn new(peer: usize, ssrc: u32) -> Self {
        Self { peer, ssrc, seq: 0, picture: 0, needs_key: true }
    }

    /// One picture of each encoding; the last byte says which. Then 33 ms pass.
    fn frame(&mut self, bridges: &mut Bridges) {
        self.send(&mut bridges.peers[self.peer].1);
        bridges.run(Duration::from_millis(30));
    }

    /// One picture of each encoding.
    pub(crate) fn send(&mut self, peer: &mut Peer) {
        let is_pli = |p: &Vec<u8>| p[1] == 206 && p[0] & 0x1f == 1;
        self.needs_key |= peer.rtcp.iter().any(is_pli);
        peer.rtcp.clear();
        let is_key = std::mem::take(&mut self.needs_key);
        (self.seq, self.picture) = (self.seq.wrapping_add(1), (self.picture + 1) & 0x7fff);
        for encoding in 0..3_u8 {
            let mut packet = rtp(self.ssrc + 2 * u32::from(encoding), self.seq, &[]);
            packet[1] = 100 | 0x80;
            packet[4..8].copy_from_slice(&(u32::from(self.picture) * 2970).to_be_bytes());
            let [hi, lo] = (self.picture | 0x8000).to_be_bytes();
            packet.extend([0x90, 0xe0, hi, lo, self.picture as u8, 0x20]);
            if is_key {
                packet.extend([0x10, 0, 0, 0x9d, 1, 0x2a, 0, 1]);
                packet.extend((180_u16 << encoding).to_le_bytes());
            } else {
                packet.extend([0x11; 10]);
            }
            packet.resize(300 + 300 * usize::from(encoding), 7);
            packet.push(encoding);
            peer.send_rtp(&packet);
        }
    }
}

/// Packets of one payload type that somebody got, and forgets; probes are none.
fn take(bridges: &mut Bridges, n: usize, payload_type: u8) -> Vec<Vec<u8>> {
    let all = std::mem::take(&mut bridges.peers[n].1.rtp);
    all.into_iter().filter(|p| p[1] & 0x7f == payload_type && p[0] & 0x20 == 0).collect()
}

pub(crate) fn wants(source: &str, height: i32) -> String {
    format!(
        r#"{{"colibriClass":"ReceiverVideoConstraints","lastN":-1,"defaultConstraints":{{"maxHeight":0}},"constraints":{{"{source}":{{"maxHeight":{height}}}}}}}"#
    )
}

const A1: &str = "aaaa0001";
const A2: &str = "aaaa0002";
const B1: &str = "bbbb0001";

/// Two people at one bridge and one at another, all connected. Microphones have the SSRCs 1001, 1002, 1003, the first one's
/// camera begins with 2001.
fn three() -> Bridges {
    let mut bridges = Bridges::new(2);
    bridges.join(0, A1, vec![audio_source("aaaa0001-a0", 1001), camera(A1, 2001)]);
    bridges.join(0, A2, vec![audio_source("aaaa0002-a0", 1002)]);
    bridges.link(0, 1, "0");
    bridges.join(1, B1, vec![audio_source("bbbb0001-a0", 1003)]);
    bridges.connect();
    bridges
}

/// An Opus packet with an audio level.
pub(crate) fn speech(ssrc: u32, seq: u16, level: u8) -> Vec<u8> {
    let mut packet = rtp(ssrc, seq, &[]);
    packet[0] |= 0x10;
    packet.extend([0xbe, 0xde, 0, 1, 0x10, 0x80 | level, 0, 0]);
    packet.extend(format!("speech of {ssrc} {seq}").bytes());
    packet
}

#[test]
fn three_people_at_two_bridges_hear_each_other_once() {
    let mut bridges = three();
    for seq in 1..51 {
        for (n, ssrc) in [(0, 1001), (1, 1002), (2, 1003)] {
            bridges.peers[n].1.send_rtp(&speech(ssrc, seq, 30));
        }
        bridges.run(Duration::from_millis(20));
    }
    for n in 0..3 {
        assert_eq!(bridges.peers[n].1.broken, 0);
        let mut heard: Vec<String> = take(&mut bridges, n, 111)
            .iter()
            .map(|p| String::from_utf8_lossy(&p[20..]).into_owned())
            .collect();
        assert_eq!(heard.len(), 100, "{n}: both others, each packet once");
        heard.sort();
        heard.dedup();
        assert_eq!(heard.len(), 100);
    }
    let [a, b] = [0, 1].map(|n| bridges.sides[n].shard.counters().clone());
    assert!(
        (100..150).contains(&a.relay_packets_sent),
        "{}: two microphones and reports",
        a.relay_packets_sent
    );
    assert!((50..100).contains(&b.relay_packets_sent), "{}", b.relay_packets_sent);
    assert_eq!(
        (a.relay_packets_sent, b.relay_packets_sent),
        (b.relay_packets_received, a.relay_packets_received)
    );
}

#[test]
fn who_watches_at_another_bridge_chooses_the_layer_and_the_camera_is_told() {
    let mut bridges = three();
    let mut cam = Camera::new(0, 2001);
    bridges.say(2, &wants("aaaa0001-v0", 720));
    let told = |bridges: &mut Bridges| {
        let all = bridges.texts(0, "SenderSourceConstraints");
        all.last().map(|t| t["maxHeight"].as_i64().unwrap())
    };
    assert_eq!(told(&mut bridges), Some(720));
    (0..60).for_each(|_| cam.frame(&mut bridges));
    let got = take(&mut bridges, 2, 100);
    assert!(got.len() > 40 && *got.last().unwrap().last().unwrap() == 2, "{}", got.len());
    assert!(got.windows(2).all(|w| w[1][8..12] == w[0][8..12]), "one SSRC");
    assert_eq!(take(&mut bridges, 1, 100).len(), 0, "the other one here wants none");
    // Smaller: another layer of the same camera, which is told as well.
    bridges.say(2, &wants("aaaa0001-v0", 180));
    assert_eq!(told(&mut bridges), Some(180));
    (0..60).for_each(|_| cam.frame(&mut bridges));
    assert_eq!(take(&mut bridges, 2, 100).last().unwrap().last(), Some(&0));
    // Nothing: then nothing crosses between the bridges either.
    bridges.say(2, &wants("aaaa0001-v0", 0));
    assert_eq!(told(&mut bridges), Some(0));
    bridges.run(Duration::from_secs(1));
    let before = bridges.sides[0].shard.counters().relay_packets_sent;
    (0..30).for_each(|_| cam.frame(&mut bridges));
    let crossed = bridges.sides[0].shard.counters().relay_packets_sent - before;
    assert!(crossed < 10, "{crossed}");
    assert_eq!(take(&mut bridges, 2, 100).len(), 0);
}

#[test]
fn the_speaker_is_known_at_both_bridges() {
    let mut bridges = three();
    for (speaker, (n, ssrc)) in [(A1, (0, 1001)), (B1, (2, 1003))] {
        for seq in 1..200 {
            for (other, silent) in [(0, 1001), (2, 1003)] {
                let seq = if ssrc == 1001 { seq } else { seq + 200 };
                let level = if other == n { 10 } else { 100 };
                bridges.peers[other].1.send_rtp(&speech(silent, seq, level));
            }
            bridges.run(Duration::from_millis(20));
        }
        for listener in 0..3 {
            let told = bridges.texts(listener, "DominantSpeakerEndpointChangeEvent");
            assert_eq!(told.last().unwrap()["dominantSpeakerEndpoint"], speaker, "{listener}");
        }
    }
}

#[test]
fn messages_and_statistics_reach_people_at_other_bridges_and_each_once() {
    let mut bridges = three();
    let class = "EndpointMessage";
    bridges.say(2, r#"{"colibriClass":"EndpointMessage","to":"","msgPayload":{"n":1}}"#);
    for n in [0, 1] {
        let got = bridges.texts(n, class);
        assert_eq!((got.len(), &got[0]["from"], &got[0]["msgPayload"]["n"]), (1, &B1.into(), &1.into()));
    }
    bridges.say(
        0,
        r#"{"colibriClass":"EndpointMessage","to":"bbbb0001","from":"aaaa0002","msgPayload":{"n":2}}"#,
    );
    let got = bridges.texts(2, class);
    assert_eq!((got.len(), &got[0]["from"], &got[0]["to"]), (1, &A1.into(), &B1.into()), "who really spoke");
    assert_eq!(bridges.texts(1, class).len(), 0);
    bridges.say(2, r#"{"colibriClass":"EndpointMessage","to":"aaaa0002","msgPayload":{"n":3}}"#);
    assert_eq!((bridges.texts(0, class).len(), bridges.texts(1, class).len()), (0, 1));
    bridges.say(1, r#"{"colibriClass":"EndpointStats","connectionQuality":98}"#);
    for n in [0, 2] {
        let got = bridges.texts(n, "EndpointStats");
        assert_eq!((got.len(), &got[0]["from"]), (1, &A2.into()));
    }
    bridges.say(
        0,
        r#"{"colibriClass":"SourceVideoTypeMessage","sourceName":"aaaa0001-v0","videoType":"desktop"}"#,
    );
    let late = bridges.join(1, "bbbb0002", vec![]);
    bridges.run(Duration::from_secs(3));
    let map = bridges.texts(late, "VideoSourcesMap");
    assert_eq!(map.last().unwrap()["mappedSources"][0]["videoType"], "DESKTOP");
}

#[test]
fn who_is_not_reachable_at_his_bridge_is_so_at_the_other_also_for_those_who_come_later() {
    let mut bridges = three();
    bridges.lost = Some(0);
    bridges.run(Duration::from_secs(10));
    let gone = |told: Vec<Value>, n: usize| {
        assert_eq!(told.len(), 1, "{n}");
        assert_eq!((&told[0]["endpoint"], &told[0]["active"]), (&A1.into(), &"false".into()), "{n}");
    };
    for n in [1, 2] {
        gone(bridges.texts(n, "EndpointConnectivityStatusChangeEvent"), n);
    }
    let late = bridges.join(1, "bbbb0002", vec![]);
    bridges.run(Duration::from_secs(3));
    gone(bridges.texts(late, "EndpointConnectivityStatusChangeEvent"), late);
    bridges.lost = None;
    bridges.run(Duration::from_secs(5));
    let back = bridges.texts(2, "EndpointConnectivityStatusChangeEvent");
    assert_eq!(back.last().unwrap()["active"], "true");
}

#[test]
fn a_link_that_is_down_for_a_while_goes_on_and_one_that_is_made_again_begins_anew() {
    let mut bridges = three();
    let mut cam = Camera::new(0, 2001);
    bridges.say(2, &wants("aaaa0001-v0", 720));
    (0..30).for_each(|_| cam.frame(&mut bridges));
    assert!(!take(&mut bridges, 2, 100).is_empty());
    bridges.cut = true;
    (0..300).for_each(|_| cam.frame(&mut bridges));
    assert!(take(&mut bridges, 2, 100).len() < 10);
    bridges.cut = false;
    (0..90).for_each(|_| cam.frame(&mut bridges));
    assert!(take(&mut bridges, 2, 100).len() > 30, "after ten seconds");
    bridges.say(2, r#"{"colibriClass":"EndpointMessage","to":"","msgPayload":1}"#);
    bridges.run(Duration::from_secs(5));
    assert_eq!(bridges.texts(0, "EndpointMessage").len(), 1, "the channel, too");

    for (at, other) in [(0, 1), (1, 0)] {
        let expire = Relay { expire: true, ..Relay::new(name(other)) };
        let answer = bridges.relay(at, expire).unwrap();
        assert!(answer.relays[0].expire && answer.relays[0].transport.is_none());
        bridges.sides[at].links.clear();
    }
    assert_eq!(bridges.sides[0].released.len(), 1, "its socket is closed");
    (0..5).for_each(|_| cam.frame(&mut bridges));
    take(&mut bridges, 2, 100);
    (0..30).for_each(|_| cam.frame(&mut bridges));
    assert_eq!(take(&mut bridges, 2, 100).len(), 0);
    bridges.link(0, 1, "0");
    bridges.run(Duration::from_secs(2));
    (0..60).for_each(|_| cam.frame(&mut bridges));
    assert!(take(&mut bridges, 2, 100).len() > 30, "what was wanted before is wanted still");
    assert_eq!(bridges.peers[2].1.broken, 0);
}

#[test]
fn in_a_mesh_of_three_nothing_is_passed_on_and_between_two_meshes_everything() {
    for (meshes, heard) in [(["0", "0", "0"], 1), (["0", "1", ""], 1)] {
        let mut bridges = Bridges::new(3);
        bridges.join(0, A1, vec![audio_source("aaaa0001-a0", 1001)]);
        bridges.join(1, B1, vec![]);
        bridges.link(0, 1, meshes[0]);
        bridges.link(1, 2, meshes[1]);
        if meshes[2].is_empty() {
            // A chain: the focus announces those behind the middle, too.
            let endpoints = bridges.sides[0].announced.clone();
            bridges.relay(2, Relay { endpoints, ..Relay::new(name(1)) }).unwrap();
        } else {
            bridges.link(0, 2, meshes[2]);
        }
        bridges.join(2, "cccc0001", vec![]);
        bridges.connect();
        for seq in 1..21 {
            bridges.peers[0].1.send_rtp(&speech(1001, seq, 30));
            bridges.run(Duration::from_millis(20));
        }
        for n in [1, 2] {
            assert_eq!(take(&mut bridges, n, 111).len(), 20 * heard, "{meshes:?} {n}");
        }
        bridges.say(0, r#"{"colibriClass":"EndpointMessage","to":"","msgPayload":1}"#);
        for n in [1, 2] {
            assert_eq!(bridges.texts(n, "EndpointMessage").len(), 1, "{meshes:?} {n}");
        }
    }
}

#[test]
fn requests_about_relays_are_refused_as_upstream_does() {
    use Condition::{BadRequest, Conflict, FeatureNotImplemented, InternalServerError};
    let mut bridges = Bridges::new(1);
    let transport = |sctp| Some(Transport { sctp, ..Transport::default() });
    let new = Relay { create: true, transport: transport(Some(Sctp::default())), ..Relay::new("jvb-9") };
    let refused =
        |bridges: &mut Bridges, relay: Relay| bridges.relay(0, relay).expect_err("refused").condition;
    let port = Some(Sctp { port: Some(5001), role: None });
    for (relay, condition) in [
        (Relay { transport: None, ..new.clone() }, BadRequest),
        (Relay { transport: transport(port), ..new.clone() }, BadRequest),
        // Without SCTP it is a WebSocket, which needs an address.
        (Relay { transport: transport(None), ..new.clone() }, FeatureNotImplemented),
        (Relay::new("jvb-9"), BadRequest),
        (Relay { id: "x".repeat(limits::MAX_ID_LEN + 1), ..new.clone() }, BadRequest),
    ] {
        assert_eq!(refused(&mut bridges, relay), condition);
    }
    let answer = bridges.relay(0, Relay { id: "x".repeat(limits::MAX_ID_LEN), ..new.clone() }).unwrap();
    assert!(answer.sources.is_some(), "a conference was created");
    assert!(bridges.relay(0, new.clone()).unwrap().sources.is_none());
    assert_eq!(refused(&mut bridges, new.clone()), Conflict);
    let unknown = Relay { expire: true, ..Relay::new("nobody") };
    assert!(bridges.relay(0, unknown).unwrap().relays[0].expire, "not known, and gone");
    let both = ConferenceModify { relays: vec![new.clone()], ..request(false, vec![new_endpoint(A1)]) };
    assert_eq!(bridges.modify(0, both).unwrap_err().condition, FeatureNotImplemented);
    let two = ConferenceModify { relays: vec![new.clone(), new.clone()], ..request(false, vec![]) };
    assert_eq!(bridges.modify(0, two).unwrap_err().condition, FeatureNotImplemented);

    for (change, condition) in [
        ((|c| c.relay_id = None) as fn(&mut ShardConfig), FeatureNotImplemented),
        (|c| c.sctp_enabled = false, InternalServerError),
    ] {
        let mut world = crate::world::World::with(|c| {
            c.relay_id = Some("jvb-1".to_owned());
            change(c);
        });
        let modify = ConferenceModify { relays: vec![new.clone()], ..request(true, vec![]) };
        assert_eq!(world.modify(modify).unwrap_err().condition, condition);
        assert_eq!(world.shard.load(), (0, 0));
    }
}

#[test]
fn of_two_bridges_without_sctp_the_one_that_is_told_an_address_opens_the_channel() {
    let mut world = crate::world::World::with(|c| {
        c.relay_id = Some("jvb-1".to_owned());
        c.web_sockets = Some(WebSocketConfig {
            domains: vec!["jvb1.example".to_owned()],
            server_id: "one".to_owned(),
            tls: true,
        });
    });
    let new = |id: &str| Relay { create: true, transport: Some(Transport::default()), ..Relay::new(id) };
    let relay = |relay: Relay, create| ConferenceModify { relays: vec![relay], ..request(create, vec![]) };
    let answer = world.modify(relay(new("jvb-2"), true)).unwrap();
    let transport = answer.relays[0].transport.clone().unwrap();
    let ours = transport.ice.unwrap().web_sockets[0].url.clone().unwrap();
    assert_eq!(transport.sctp, None);
    let (start, password) = ours.reveal().split_once("?pwd=").unwrap();
    let conference = start.strip_prefix("wss://jvb1.example/colibri-relay-ws/one/").unwrap();
    let conference = conference.strip_suffix("/jvb-2").unwrap().to_owned();

    // From outside, with the password.
    for (n, given, opens) in [(1, "wrong", false), (2, password, true)] {
        let password = Sensitive::new(given.to_owned());
        let (socket, endpoint) = (SocketId(n), EndpointId::new("jvb-2"));
        let conference = conference.clone();
        world.command(Command::WebSocketOpen { socket, conference, endpoint, password });
        let accepted = |e: &Event| matches!(e, Event::WebSocketAccepted { socket: s } if *s == socket);
        assert_eq!(world.events.iter().any(accepted), opens, "{given}");
        assert_eq!(world.texts_of(socket).iter().any(|t| t.contains("ServerHello")), opens);
    }

    // By us, where we are told; once for each address, and no longer than the relay is there.
    let told = |id: &str, url: &str| {
        let web_sockets = vec![WebSocket::new(url)];
        let ice = Some(IceUdpTransport { web_sockets, ..IceUdpTransport::default() });
        Relay { transport: Some(Transport { ice, ..Transport::default() }), ..Relay::new(id) }
    };
    let wanted = |world: &mut crate::world::World| -> Vec<String> {
        let url = |e: Event| match e {
            Event::RelayChannelWanted { url, relay, .. } => {
                Some(format!("{} {}", relay.as_str(), url.reveal()))
            }
            Event::RelayChannelLetGo { relay, .. } => Some(format!("{} gone", relay.as_str())),
            _ => None,
        };
        world.events.drain(..).filter_map(url).collect()
    };
    for (url, expected) in [
        ("wss://a.example/x", vec!["jvb-2 wss://a.example/x"]),
        ("wss://a.example/x", vec![]),
        ("wss://b.example/x", vec!["jvb-2 wss://b.example/x"]),
        (&"w".repeat(limits::MAX_RELAY_URL + 1), vec![]),
    ] {
        world.modify(relay(told("jvb-2", url), false)).unwrap();
        assert_eq!(wanted(&mut world), expected);
    }
    let longest = "w".repeat(limits::MAX_RELAY_URL);
    let mut active = told("jvb-3", &longest);
    active.create = true;
    let answer = world.modify(relay(active, false)).unwrap();
    let says = answer.relays[0].transport.clone().unwrap().ice.unwrap().web_sockets;
    assert_eq!((says[0].active, says[0].url.is_none()), (true, true));
    assert_eq!(wanted(&mut world), [format!("jvb-3 {longest}")], "at the limit");
    world.modify(relay(Relay { expire: true, ..Relay::new("jvb-2") }, false)).unwrap();
    assert_eq!(wanted(&mut world), ["jvb-2 gone"]);
    world.modify(ConferenceModify { expire: true, ..request(false, vec![]) }).unwrap();
    assert_eq!(wanted(&mut world), ["jvb-3 gone"]);
}

#[test]
fn relays_of_a_conference_have_a_limit_and_spare_sockets_too() {
    let mut bridges = Bridges::new(1);
    let new = |n: usize| Relay {
        create: true,
        transport: Some(Transport {
            use_unique_port: true,
            sctp: Some(Sctp::default()),
            ..Transport::default()
        }),
        ..Relay::new(format!("jvb-{n}"))
    };
    let limit = videobridge_core::media::limits::MAX_RELAYS_PER_CONFERENCE;
    for n in 0..limit {
        bridges.relay(0, new(n)).unwrap();
    }
    assert_eq!(
        bridges.relay(0, new(limit)).unwrap_err().condition,
        Condition::ResourceConstraint,
        "one beyond"
    );
    assert_eq!(bridges.sides[0].released, [], "as many sockets as wanted");
    bridges.supply(0);
    assert_eq!(bridges.sides[0].released.len(), 1, "one set beyond");
    let expire = ConferenceModify { expire: true, ..request(false, vec![]) };
    bridges.modify(0, expire).unwrap();
    assert_eq!(bridges.sides[0].released.len(), 1 + limit, "all are closed with the conference");
    assert!(bridges.sides[0].shard.is_empty());
}

/// A bridge with somebody, and a stranger in the place of another bridge, behind whom there is one.
fn hostile() -> (Bridges, usize) {
    let mut bridges = Bridges::new(1);
    bridges.join(0, A1, vec![audio_source("aaaa0001-a0", 1001), camera(A1, 2001)]);
    let address = "127.0.1.9:40000".parse().unwrap();
    let mut peer = Peer::named(bridges.now, "evil", address, shared(0), Options::default());
    let (ufrag, pwd) = peer.credentials();
    let theirs = remote_transport(&ufrag, &pwd, peer.fingerprint(), Setup::Active);
    let sctp = Some(Sctp { port: None, role: Some(SctpRole::Server) });
    let relay = Relay {
        create: true,
        mesh_id: Some("0".to_owned()),
        media: media(),
        transport: Some(Transport { sctp, ice_controlling: true, ..theirs }),
        endpoints: vec![Endpoint { create: true, sources: Some(vec![camera(B1, 3001)]), ..endpoint(B1) }],
        ..Relay::new("evil")
    };
    let answer = bridges.relay(0, relay).unwrap();
    let ice = answer.relays[0].transport.as_ref().unwrap().ice.as_ref().unwrap();
    peer.set_remote(ice.ufrag.as_ref().unwrap(), ice.pwd.as_ref().unwrap().reveal()).unwrap();
    bridges.peers.push((0, peer));
    bridges.connect();
    (bridges, 1)
}

#[test]
fn what_a_hostile_bridge_says_of_people_who_are_not_behind_it_has_no_effect() {
    let (mut bridges, evil) = hostile();
    bridges.texts(0, "");
    for text in [
        // In the name of somebody here, or of nobody.
        r#"{"colibriClass":"EndpointMessage","from":"aaaa0001","to":"","msgPayload":1}"#,
        r#"{"colibriClass":"EndpointMessage","to":"","msgPayload":1}"#,
        r#"{"colibriClass":"EndpointStats","from":"aaaa0001"}"#,
        r#"{"colibriClass":"EndpointStats","from":"nobody"}"#,
        r#"{"colibriClass":"EndpointConnectivityStatusChangeEvent","endpoint":"aaaa0001","active":"false"}"#,
        // Of its own sources, which are not ours to send, and of none.
        r#"{"colibriClass":"AddReceiver","bridgeId":"evil","sourceName":"bbbb0001-v0","videoConstraints":{"maxHeight":720}}"#,
        r#"{"colibriClass":"AddReceiver","bridgeId":"evil","sourceName":"x-v0","videoConstraints":{"maxHeight":720}}"#,
        r#"{"colibriClass":"SourceVideoTypeMessage","videoType":"NONE","endpointId":"aaaa0001","sourceName":"aaaa0001-v0"}"#,
        r#"{"colibriClass":"RemoveReceiver","bridgeId":"evil","endpointId":"nobody"}"#,
    ] {
        let before = bridges.counter(0, Discard::RelayMessage);
        bridges.say(evil, text);
        assert_eq!(bridges.counter(0, Discard::RelayMessage), before + 1, "{text}");
        assert_eq!(std::mem::take(&mut bridges.peers[0].1.texts), Vec::<String>::new(), "{text}");
    }
    for text in [
        "",
        "{",
        r#"{"colibriClass":"AddReceiver"}"#,
        r#"{"colibriClass":"AddReceiver","bridgeId":"b","sourceName":"aaaa0001-v0","videoConstraints":{"maxHeight":-9}}"#,
        r#"{"colibriClass":"ReceiverVideoConstraints","lastN":1}"#,
        r#"{"colibriClass":"DominantSpeakerEndpointChangeEvent","dominantSpeakerEndpoint":"x"}"#,
        r#"{"colibriClass":"EndpointMessage","from":"bbbb0001","from":"x","to":""}"#,
    ] {
        let before = bridges.counter(0, Discard::MalformedMessage);
        if text.is_empty() {
            continue;
        }
        bridges.say(evil, text);
        assert_eq!(bridges.counter(0, Discard::MalformedMessage), before + 1, "{text}");
    }
    assert_eq!(bridges.peers[0].1.texts, Vec::<String>::new());
    // What it may say is heard.
    bridges.say(evil, r#"{"colibriClass":"EndpointMessage","from":"bbbb0001","to":"","msgPayload":1}"#);
    bridges.say(evil, r#"{"colibriClass":"ClientHello"}"#);
    bridges.say(evil, r#"{"colibriClass":"ServerHello","version":"9"}"#);
    assert_eq!(bridges.texts(0, "EndpointMessage").len(), 1);
    assert_eq!(bridges.texts(evil, "ServerHello").len(), 1);
    // And media of somebody who is not behind it is nobody's.
    bridges.peers[evil].1.send_rtp(&speech(1001, 9, 1));
    bridges.run(Duration::from_millis(50));
    assert_eq!(take(&mut bridges, 0, 111).len(), 0);
}

#[test]
fn a_bridge_that_says_too_much_is_not_heard_for_a_while() {
    let (mut bridges, evil) = hostile();
    let now = bridges.now;
    let text = r#"{"colibriClass":"ServerHello"}"#;
    let most = limits::RELAY_MESSAGES.burst();
    let mut sent = 0;
    while bridges.counter(0, Discard::MessageLimit) == 0 {
        assert!(bridges.peers[evil].1.say(now, text));
        sent += 1;
        // No time passes, so that nothing is given back.
        bridges.peers[evil].1.tick(now);
        bridges.settle(Wire::default());
        assert!(sent <= 2 * most, "no limit");
    }
    assert!(sent >= most, "{sent}");
    bridges.run(Duration::from_secs(1));
    let before = bridges.counter(0, Discard::MessageLimit);
    bridges.say(evil, text);
    assert_eq!(bridges.counter(0, Discard::MessageLimit), before);
}

#[test]
fn a_bridge_may_pass_on_so_many_bytes_at_once() {
    let (mut bridges, evil) = hostile();
    let padding = "x".repeat(200_000);
    let text =
        format!(r#"{{"colibriClass":"EndpointMessage","from":"bbbb0001","to":"","msgPayload":"{padding}"}}"#);
    let most = limits::RELAY_RELAYED_BYTES.burst() as usize;
    let mut bytes = 0;
    while bridges.counter(0, Discard::MessageLimit) == 0 {
        bridges.say(evil, &text);
        bytes += text.len();
        assert!(bytes < 4 * most, "no limit");
    }
    assert!(bytes > most, "{bytes}");
}

#[test]
fn statistics_name_what_goes_between_bridges_as_upstream_does() {
    let mut bridges = three();
    for seq in 1..51 {
        bridges.peers[0].1.send_rtp(&speech(1001, seq, 30));
        bridges.run(Duration::from_millis(20));
    }
    let mut wire = Wire::default();
    let mut stats = |bridges: &mut Bridges, side: usize| {
        let shard = &mut bridges.sides[side].shard;
        shard.handle_command(bridges.now, Command::Stats { request: RequestId(0) }, &mut wire);
        let Some(Event::Stats { stats, .. }) = shard.poll_event() else { panic!("no answer") };
        stats.keys(&Default::default(), Duration::from_secs(1), &Default::default())
    };
    for (side, local, remote) in [(0, 2, 1), (1, 1, 2)] {
        let keys = stats(&mut bridges, side);
        let number = |key: &str| keys[key].as_u64().unwrap_or_else(|| panic!("{key}"));
        assert_eq!(
            (number("local_endpoints"), number("octo_endpoints"), number("endpoints")),
            (local, remote, 3)
        );
        assert_eq!(
            (number("octo_conferences"), number("total_relays"), number("largest_conference")),
            (1, 1, 3)
        );
        let [sent, received] = ["total_packets_sent_octo", "total_packets_received_octo"].map(number);
        assert!(if side == 0 { sent >= 50 } else { received >= 50 }, "{sent} {received}");
        assert_eq!(number("octo_send_packet_rate"), sent);
        assert_eq!((number("relays_ice_failed"), number("dtls_failed_relays")), (0, 0));
        assert_eq!(number("num_relays_no_msg_transport_after_delay"), 0);
    }
}
