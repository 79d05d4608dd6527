//! One conference on several shards: real ICE, DTLS, SRTP and SCTP to its people, news and packets between the shards, in virtual time.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jitsi_xmpp::StanzaError;
use jitsi_xmpp::colibri2::{
    Colibri2Error, ConferenceModified, ConferenceModify, Endpoint, ErrorReason, ForceMute, MediaSource,
    Relay, Sctp, SctpRole, Transport,
};
use jitsi_xmpp::entropy::SeededEntropy;
use jitsi_xmpp::ids::MeetingId;
use jitsi_xmpp::jingle::Setup;
use peer::{Options, Peer};
use serde_json::Value;
use videobridge_core::{
    Asked, Certificate, Command, DatagramSink, Disposition, Event, LocalAddress, PartKey, PartNews,
    RequestId, Shard, ShardConfig, ShardStats, join_parts, limits,
};

use crate::relays::{Camera, camera, speech, wants};
use crate::world::{Wire, audio_source, bridge, endpoint, new_endpoint, remote_transport, request};

/// What one shard sends.
#[derive(Default)]
struct Net {
    wire: Wire,
    packets: Vec<(u16, PartKey, bool, Vec<u8>)>,
    /// No thread takes news.
    full: bool,
}

impl DatagramSink for Net {
    fn send(
        &mut self,
        to: SocketAddr,
        from: SocketAddr,
        max_len: usize,
        fill: &mut dyn FnMut(&mut [u8]) -> usize,
    ) {
        self.wire.send(to, from, max_len, fill);
    }

    fn send_to_part(&mut self, shard: u16, part: PartKey, is_rtcp: bool, parts: &[&[u8]]) {
        self.packets.push((shard, part, is_rtcp, parts.concat()));
    }

    fn has_room_at(&self, _: u16) -> bool {
        !self.full
    }
}

/// Shards of one bridge, their people, and what goes between them.
pub(crate) struct Threads {
    pub(crate) now: Instant,
    shards: Vec<Shard>,
    pub(crate) peers: Vec<Peer>,
    news: VecDeque<(u16, u16, PartKey, Box<PartNews>)>,
    answers: VecDeque<Event>,
    requests: u64,
    /// Packets of speech so far.
    spoken: u16,
    /// Packets that went from shard to shard.
    crossed: usize,
    full: bool,
    /// What goes from shard to shard waits.
    held: bool,
    /// Another bridge.
    other: Option<Shard>,
}

impl Threads {
    fn new(count: u16, spread_above: usize) -> Self {
        let shard = |n: u16| {
            let mut config =
                ShardConfig::new(vec![LocalAddress::new(bridge())], Certificate::generate().unwrap());
            (config.index, config.shards, config.spread_above) = (n, count, spread_above);
            // Nobody here reports what arrives.
            config.media.trust_bwe = false;
            config.relay_id = Some("jvb-0".to_owned());
            Shard::new(config, Box::new(SeededEntropy::new(u64::from(n) + 1))).unwrap()
        };
        Self {
            now: Instant::now(),
            shards: (0..count).map(shard).collect(),
            peers: Vec::new(),
            news: VecDeque::new(),
            answers: VecDeque::new(),
            requests: 0,
            spoken: 0,
            crossed: 0,
            full: false,
            held: false,
            other: None,
        }
    }

    fn net(&self) -> Net {
        Net { full: self.full, ..Net::default() }
    }

    fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.now < end {
            self.now += Duration::from_millis(10);
            self.peers.iter_mut().for_each(|peer| peer.tick(self.now));
            for n in 0..self.shards.len() {
                let mut net = self.net();
                if self.shards[n].poll_timeout().is_some_and(|at| at <= self.now) {
                    self.shards[n].handle_timeout(self.now, &mut net);
                }
                self.settle(net);
            }
            let mut net = self.net();
            if let Some(other) = &mut self.other
                && other.poll_timeout().is_some_and(|at| at <= self.now)
            {
                other.handle_timeout(self.now, &mut net);
            }
            self.settle(net);
        }
    }

    fn events(&mut self) {
        for n in 0..self.shards.len() {
            while let Some(event) = self.shards[n].poll_event() {
                match event {
                    Event::PartNews { shard, part, news } => {
                        self.news.push_back((u16::try_from(n).unwrap(), shard, part, news));
                    }
                    event => self.answers.push_back(event),
                }
            }
        }
    }

    fn settle(&mut self, mut net: Net) {
        loop {
            self.events();
            for n in 0..self.peers.len() {
                let src = self.peers[n].address;
                let to = if src.port() >= AT_OTHER { other() } else { bridge() };
                let sent = std::mem::take(&mut self.peers[n].sent);
                net.wire.0.extend(sent.into_iter().map(|data| (to, src, data)));
            }
            for (to, src, sent) in std::mem::take(&mut net.wire.0) {
                if let Some(peer) = self.peers.iter_mut().find(|p| p.address == to) {
                    peer.receive(self.now, &sent);
                    continue;
                }
                let shards: &mut dyn Iterator<Item = &mut Shard> =
                    if to == other() { &mut self.other.iter_mut() } else { &mut self.shards.iter_mut() };
                for shard in shards {
                    let taken = shard.handle_datagram(self.now, src, to, &mut sent.clone(), &mut net);
                    if taken == Disposition::Taken {
                        break;
                    }
                }
            }
            if !self.held {
                for (to, part, is_rtcp, mut data) in std::mem::take(&mut net.packets) {
                    self.crossed += 1;
                    let shard = &mut self.shards[usize::from(to)];
                    shard.handle_part_packet(self.now, part, is_rtcp, &mut data, &mut net);
                }
                while let Some((from, to, part, news)) = self.news.pop_front() {
                    let shard = &mut self.shards[usize::from(to)];
                    shard.handle_part_news(self.now, (from, part), *news, &mut net);
                    self.events();
                }
            }
            self.events();
            let quiet =
                net.wire.0.is_empty() && (self.held || net.packets.is_empty() && self.news.is_empty());
            if quiet && self.peers.iter().all(|p| p.sent.is_empty()) {
                return;
            }
        }
    }

    fn command(&mut self, shard: usize, command: Command) {
        let mut net = self.net();
        let loads: Vec<u32> = self.shards.iter().map(|s| u32::try_from(s.load().1).unwrap()).collect();
        self.shards[shard].set_loads(loads.into_iter());
        self.shards[shard].handle_command(self.now, command, &mut net);
        self.settle(net);
    }

    /// Of the meeting, whose home is the first shard.
    fn modify(&mut self, modify: ConferenceModify) -> Result<ConferenceModified, StanzaError> {
        self.requests += 1;
        let request = RequestId(self.requests);
        self.command(0, Command::Colibri2 { request, modify: Box::new(modify) });
        self.answer(request)
    }

    /// The same of the other bridge.
    fn modify_other(&mut self, modify: ConferenceModify) -> ConferenceModified {
        let mut net = self.net();
        let shard = self.other.as_mut().unwrap();
        let request = RequestId(0);
        let command = Command::Colibri2 { request, modify: Box::new(modify) };
        shard.handle_command(self.now, command, &mut net);
        let events = std::iter::from_fn(|| shard.poll_event());
        let answer = events.filter_map(|e| match e {
            Event::Colibri2Reply { result, .. } => Some(*result.expect("done")),
            _ => None,
        });
        let answer = answer.last().expect("an answer");
        self.settle(net);
        answer
    }

    fn answer(&mut self, request: RequestId) -> Result<ConferenceModified, StanzaError> {
        let is_it = |e: &Event| matches!(e, Event::Colibri2Reply { request: r, .. } if *r == request);
        let at = self.answers.iter().position(is_it).expect("an answer");
        match self.answers.remove(at) {
            Some(Event::Colibri2Reply { result, .. }) => result.map(|b| *b).map_err(|b| *b),
            _ => unreachable!(),
        }
    }

    fn join(&mut self, id: &str, sources: Vec<MediaSource>) -> usize {
        self.join_as(id, sources, |_| {})
    }

    fn join_as(&mut self, id: &str, sources: Vec<MediaSource>, change: impl FnOnce(&mut Endpoint)) -> usize {
        let n = self.peers.len();
        let address = SocketAddr::from(([127, 0, 1, 1], 50_000 + u16::try_from(self.requests).unwrap()));
        let mut peer = Peer::named(self.now, id, address, bridge(), Options::default());
        let mut create = new_endpoint(id);
        change(&mut create);
        let answer = self.modify(request(n == 0, vec![create])).expect("create");
        assert_eq!((answer.endpoints.len(), answer.sources.as_ref().map(Vec::len)), (1, Some(2)));
        let ice = answer.endpoints[0].transport.as_ref().unwrap().ice.as_ref().unwrap();
        peer.set_remote(ice.ufrag.as_ref().unwrap(), ice.pwd.as_ref().unwrap().reveal()).unwrap();
        let (ufrag, pwd) = peer.credentials();
        let mut update = endpoint(id);
        update.transport = Some(remote_transport(&ufrag, &pwd, peer.fingerprint(), Setup::Active));
        update.sources = Some(sources);
        self.peers.push(peer);
        self.modify(request(false, vec![update])).expect("update");
        n
    }

    fn connect(&mut self) {
        for _ in 0..100 {
            self.run(Duration::from_millis(50));
            if self.peers.iter().all(|p| p.dtls_connected && p.channel_open) {
                return self.run(Duration::from_secs(1));
            }
        }
        panic!("not connected: {:?}", self.shards[0].counters());
    }

    fn say(&mut self, n: usize, text: &str) {
        let now = self.now;
        assert!(self.peers[n].say(now, text));
        let net = self.net();
        self.settle(net);
        self.run(Duration::from_millis(100));
    }

    fn texts(&mut self, n: usize, class: &str) -> Vec<Value> {
        let all = std::mem::take(&mut self.peers[n].texts);
        let all = all.iter().filter_map(|t| serde_json::from_str::<Value>(t).ok());
        all.filter(|t| t["colibriClass"] == class).collect()
    }

    fn take(&mut self, n: usize, payload_type: u8) -> Vec<Vec<u8>> {
        let all = std::mem::take(&mut self.peers[n].rtp);
        all.into_iter().filter(|p| p[1] & 0x7f == payload_type && p[0] & 0x20 == 0).collect()
    }

    /// One packet of speech after the other.
    fn talk(&mut self, n: usize, ssrc: u32, packets: u16, level: u8) {
        for _ in 0..packets {
            self.spoken += 1;
            self.peers[n].send_rtp(&speech(ssrc, self.spoken, level));
            self.run(Duration::from_millis(20));
        }
    }

    fn frames(&mut self, camera: &mut Camera, count: usize) {
        for _ in 0..count {
            camera.send(&mut self.peers[camera.peer]);
            self.run(Duration::from_millis(30));
        }
    }

    /// Endpoints of each shard.
    fn loads(&self) -> Vec<usize> {
        self.shards.iter().map(|s| s.load().1).collect()
    }

    fn stats(&mut self) -> ShardStats {
        let mut all = ShardStats::default();
        for n in 0..self.shards.len() {
            self.command(n, Command::Stats { request: RequestId(0) });
            let at = self.answers.iter().position(|e| matches!(e, Event::Stats { .. })).unwrap();
            let Some(Event::Stats { stats, .. }) = self.answers.remove(at) else { unreachable!() };
            all.add(&stats);
        }
        all
    }

    fn is_empty(&self) -> bool {
        self.shards.iter().all(Shard::is_empty)
    }
}

/// Where the other bridge is, and from which port on its people are.
fn other() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 2], 10_000))
}
const AT_OTHER: u16 = 60_000;

const IDS: [&str; 6] = ["aaaa0001", "aaaa0002", "bbbb0001", "bbbb0002", "cccc0001", "cccc0002"];

fn microphone(n: usize) -> MediaSource {
    audio_source(&format!("{}-a0", IDS[n]), 1001 + u32::try_from(n).unwrap())
}

/// Everybody with a microphone (SSRC 1001, …); the first and the third with a camera (2001, 2201). Two are at home.
fn people(threads: u16, count: usize) -> Threads {
    let mut all = Threads::new(threads, 2);
    for (n, id) in IDS.iter().enumerate().take(count) {
        let mut sources = vec![microphone(n)];
        if n == 0 || n == 2 {
            sources.push(camera(id, if n == 0 { 2001 } else { 2201 }));
        }
        all.join(id, sources);
    }
    all.connect();
    all
}

#[test]
fn up_to_so_many_people_a_conference_is_on_one_thread_and_the_next_is_on_another() {
    let mut all = people(2, 2);
    assert_eq!((all.loads(), all.crossed), (vec![2, 0], 0));
    assert_eq!(all.shards[1].load(), (0, 0), "at the limit nothing is anywhere else");
    all.join(IDS[2], vec![microphone(2)]);
    assert_eq!(all.loads(), [2, 1], "one beyond");
    // The fourth fills the second part, and then both grow.
    all.join(IDS[3], vec![]);
    assert_eq!(all.loads(), [2, 2]);
    all.join(IDS[4], vec![]);
    all.join(IDS[5], vec![]);
    assert_eq!(all.loads(), [3, 3]);
    let expired = ConferenceModify { expire: true, ..request(false, vec![]) };
    all.modify(expired).unwrap();
    assert!(all.is_empty());
}

#[test]
fn three_people_on_two_threads_hear_each_other_once() {
    let mut all = people(2, 3);
    assert_eq!(all.loads(), [2, 1]);
    for seq in 1..51 {
        for n in 0..3 {
            all.peers[n].send_rtp(&speech(1001 + u32::try_from(n).unwrap(), seq, 30));
        }
        all.run(Duration::from_millis(20));
    }
    for n in 0..3 {
        assert_eq!(all.peers[n].broken, 0);
        let heard = all.take(n, 111);
        let mut heard: Vec<_> =
            heard.iter().map(|p| String::from_utf8_lossy(&p[20..]).into_owned()).collect();
        assert_eq!(heard.len(), 100, "{n}: both others, each packet once");
        heard.sort();
        heard.dedup();
        assert_eq!(heard.len(), 100);
    }
    let counters = all.shards[0].counters();
    assert_eq!((counters.relay_packets_sent, counters.relays_created), (0, 0), "no bridge has part in it");
}

#[test]
fn who_watches_in_another_part_chooses_the_layer_and_the_camera_is_told() {
    // Four parts: the camera of the third is two ways from the fifth.
    for (sender, ssrc, viewer) in [(0, 2001, 2), (2, 2201, 0), (2, 2201, 4)] {
        let mut all = people(3, 6);
        assert_eq!(all.loads(), [2, 2, 2]);
        let name = format!("{}-v0", IDS[sender]);
        let mut cam = Camera::new(sender, ssrc);
        all.say(viewer, &wants(&name, 720));
        let told = |all: &mut Threads| {
            let told = all.texts(sender, "SenderSourceConstraints");
            told.last().map(|t| t["maxHeight"].as_i64().unwrap())
        };
        assert_eq!(told(&mut all), Some(720), "{sender} to {viewer}");
        all.frames(&mut cam, 60);
        let got = all.take(viewer, 100);
        assert!(got.len() > 40 && *got.last().unwrap().last().unwrap() == 2, "{}", got.len());
        assert!(got.windows(2).all(|w| w[1][8..12] == w[0][8..12]), "one SSRC");
        all.say(viewer, &wants(&name, 180));
        assert_eq!(told(&mut all), Some(180));
        all.frames(&mut cam, 60);
        assert_eq!(all.take(viewer, 100).last().unwrap().last(), Some(&0));
        all.say(viewer, &wants(&name, 0));
        assert_eq!(told(&mut all), Some(0));
        all.run(Duration::from_secs(1));
        let before = all.crossed;
        all.frames(&mut cam, 30);
        assert!(all.crossed - before < 20, "nobody there wants it: {}", all.crossed - before);
    }
}

#[test]
fn what_is_said_reaches_everybody_and_one_whatever_the_part() {
    let mut all = people(3, 6);
    let text = |to: &str| format!(r#"{{"colibriClass":"EndpointMessage","to":"{to}","msgPayload":"hello"}}"#);
    for (from, id) in IDS.iter().enumerate() {
        all.say(from, &text(""));
        for n in 0..6 {
            let got = all.texts(n, "EndpointMessage");
            assert_eq!(got.len(), usize::from(n != from), "{from} to {n}");
            assert!(got.iter().all(|t| t["from"] == *id));
        }
        for to in (0..6).filter(|to| *to != from) {
            all.say(from, &text(IDS[to]));
            for n in 0..6 {
                assert_eq!(
                    all.texts(n, "EndpointMessage").len(),
                    usize::from(n == to),
                    "{from} to {to}: {n}"
                );
            }
        }
    }
}

#[test]
fn who_speaks_is_the_dominant_speaker_in_all_parts() {
    let (mut all, mut seq) = (people(3, 6), 0);
    for n in [3, 0, 5] {
        (0..6).for_each(|n| all.peers[n].texts.clear());
        for packet in 0..300 {
            seq += 1;
            for of in 0..6 {
                let ssrc = 1001 + u32::try_from(of).unwrap();
                all.peers[of].send_rtp(&speech(ssrc, seq, if of == n && packet > 50 { 10 } else { 100 }));
            }
            all.run(Duration::from_millis(20));
        }
        for to in 0..6 {
            let told = all.texts(to, "DominantSpeakerEndpointChangeEvent");
            assert_eq!(
                told.last().map(|t| t["dominantSpeakerEndpoint"].clone()),
                Some(IDS[n].into()),
                "{to}"
            );
        }
    }
    assert_eq!(all.stats().media.dominant_speaker_changes, 4, "counted once, and somebody is the first");
}

#[test]
fn a_conference_on_several_threads_counts_once_and_its_people_all() {
    let mut all = people(3, 5);
    all.join_as("dddd0001", vec![], |e| e.muc_role = Some("visitor".into()));
    all.connect();
    all.talk(4, 1005, 20, 30);
    let stats = all.stats();
    assert_eq!((stats.conferences, stats.endpoints, stats.visitors, stats.largest_conference), (1, 6, 1, 6));
    assert_eq!((stats.relayed_conferences, stats.relayed_endpoints, stats.inactive_conferences), (0, 0, 0));
    assert_eq!((stats.endpoints_sending_audio, stats.receive_only_endpoints), (1, 5));
    assert_eq!((stats.conferences_by_size[6], stats.conferences_by_audio_sender[1]), (1, 1));
    assert_eq!((stats.totals.conferences_created, stats.totals.endpoints_created), (1, 6));
    let mut shown = serde_json::Map::new();
    for n in [1, 0, 2] {
        let asked = Asked::One("m1".to_owned());
        all.command(n, Command::Debug { request: RequestId(0), asked });
        let Some(Event::Debug { conferences, .. }) = all.answers.pop_back() else { panic!() };
        join_parts(&mut shown, *conferences);
    }
    assert_eq!(shown.len(), 1);
    let (id, one) = shown.iter().next().unwrap();
    assert_eq!((one["id"].as_str(), one["endpoint_count"].as_u64()), (Some(id.as_str()), Some(6)));
    assert_eq!((one["endpoints"].as_object().unwrap().len(), one.get("part")), (6, None));
    all.modify(ConferenceModify { expire: true, ..request(false, vec![]) }).unwrap();
    let stats = all.stats();
    assert_eq!((stats.conferences, stats.totals.conferences_completed, stats.endpoints), (0, 1, 0));
    let expired = all.answers.iter().filter(|e| matches!(e, Event::ConferenceExpired { .. })).count();
    assert_eq!(expired, 1);
    assert!(all.is_empty());
}

#[test]
fn requests_are_about_all_parts_at_once() {
    let mut all = people(3, 6);
    let muted = |id: &str, audio: bool| Endpoint {
        force_mute: Some(ForceMute { audio, video: false }),
        ..endpoint(id)
    };
    let modify = request(false, IDS.iter().map(|id| muted(id, true)).collect());
    let answer = all.modify(modify).unwrap();
    let named: Vec<_> = answer.endpoints.iter().map(|e| e.id.as_str()).collect();
    assert_eq!(named, IDS);
    for n in [1, 3] {
        all.talk(n, 1001 + u32::try_from(n).unwrap(), 10, 30);
    }
    assert!((0..6).all(|n| all.take(n, 111).is_empty()));
    all.modify(request(false, vec![muted(IDS[3], false)])).unwrap();
    all.talk(3, 1004, 1, 30);
    all.run(Duration::from_millis(50));
    assert_eq!([0, 2, 5].map(|n| all.take(n, 111).len()), [1, 1, 1]);
    // An id that is there is there, wherever; one that is not is not.
    let error = all.modify(request(false, vec![new_endpoint(IDS[4])])).unwrap_err();
    assert_eq!(error.text.as_deref(), Some("Endpoint already exists"));
    let gone = Endpoint { expire: true, ..endpoint(IDS[4]) };
    let answer = all.modify(request(false, vec![gone])).unwrap();
    assert!(answer.endpoints[0].expire);
    let update = Endpoint { sources: Some(vec![]), ..endpoint(IDS[4]) };
    let error = Colibri2Error::from_stanza_error(&all.modify(request(false, vec![update])).unwrap_err());
    assert_eq!(error.unwrap().reason, ErrorReason::UnknownEndpoint);
    assert_eq!(all.loads(), [2, 2, 1]);
    // The last one of a part ends it, and everybody's leaving ends all.
    let leave = |id: &&str| Endpoint { expire: true, ..endpoint(id) };
    all.modify(request(false, IDS[5..].iter().map(leave).collect())).unwrap();
    assert!(all.shards[2].is_empty());
    all.modify(request(false, IDS[..4].iter().map(leave).collect())).unwrap();
    assert!(all.is_empty());
    assert!(all.answers.iter().any(|e| matches!(e, Event::ConferenceExpired { .. })));
}

#[test]
fn who_comes_back_at_once_with_the_same_id_is_not_taken_for_the_one_who_left() {
    // Alone in its part, and beside somebody.
    for others in [0, 1] {
        let mut all = people(2, 3 + 2 * others);
        all.held = true;
        let numbers = [Endpoint { expire: true, ..endpoint(IDS[2]) }, new_endpoint(IDS[2])].map(|e| {
            all.requests += 1;
            let number = RequestId(all.requests);
            let modify = Box::new(request(false, vec![e]));
            all.command(0, Command::Colibri2 { request: number, modify });
            number
        });
        all.held = false;
        all.run(Duration::from_millis(20));
        for number in numbers {
            all.answer(number).unwrap();
        }
        assert_eq!(all.loads(), [2 + others, 1 + others]);
        let update = Endpoint { sources: Some(vec![microphone(2)]), ..endpoint(IDS[2]) };
        all.modify(request(false, vec![update])).expect("it is known");
        all.modify(request(false, vec![Endpoint { expire: true, ..endpoint(IDS[2]) }])).unwrap();
        assert_eq!(all.loads(), [2 + others, others]);
    }
}

#[test]
fn a_home_without_people_goes_on_for_the_others_and_who_falls_silent_is_forgotten_everywhere() {
    let mut all = people(2, 4);
    let leave = |id: &&str| Endpoint { expire: true, ..endpoint(id) };
    all.modify(request(false, IDS[..2].iter().map(leave).collect())).unwrap();
    all.peers.drain(..2);
    all.run(Duration::from_secs(130));
    assert_eq!(all.loads(), [0, 2], "the home stays for them");
    all.peers.clear();
    all.run(Duration::from_secs(260));
    assert!(all.is_empty(), "{:?}", all.loads());
}

#[test]
fn a_fault_in_a_part_costs_those_who_are_there_and_nobody_else() {
    let mut all = people(3, 6);
    // As after a panic over a packet of the part.
    let now = all.now;
    all.peers[2].send_rtp(&speech(1003, 1, 30));
    let sent = std::mem::take(&mut all.peers[2].sent);
    let mut net = all.net();
    for mut data in sent {
        let src = all.peers[2].address;
        all.shards[1].handle_datagram(now, src, bridge(), &mut data, &mut net);
    }
    assert!(all.shards[1].recover(now));
    all.settle(net);
    let told: Vec<_> = all.answers.iter().filter(|e| !matches!(e, Event::ConferenceCreated { .. })).collect();
    let [Event::EndpointsFailed { meeting, endpoints }] = told[..] else { panic!("{told:?}") };
    let mut lost: Vec<_> = endpoints.iter().map(|id| id.as_str()).collect();
    lost.sort_unstable();
    assert_eq!((meeting, lost), (&MeetingId::new("m1"), IDS[2..4].to_vec()));
    assert!(all.shards[1].is_empty());
    all.answers.clear();
    (0..6).for_each(|n| all.peers[n].rtp.clear());
    all.talk(0, 1001, 10, 30);
    assert_eq!([1, 4, 5].map(|n| all.take(n, 111).len()), [10; 3]);
    let update = Endpoint { sources: Some(vec![]), ..endpoint(IDS[2]) };
    let error = Colibri2Error::from_stanza_error(&all.modify(request(false, vec![update])).unwrap_err());
    assert_eq!(error.unwrap().reason, ErrorReason::UnknownEndpoint);
    // They come again.
    all.modify(request(false, vec![new_endpoint(IDS[2])])).expect("invited again");
    assert_eq!(all.loads(), [2, 1, 2]);
}

#[test]
fn a_fault_at_home_costs_the_conference_and_leaves_nothing_in_the_parts() {
    let mut all = people(3, 6);
    all.command(0, Command::Stats { request: RequestId(0) });
    assert!(all.shards[0].recover(all.now));
    let net = all.net();
    all.settle(net);
    assert!(all.answers.iter().any(|e| matches!(e, Event::ConferenceFailed { .. })));
    assert!(all.is_empty());
}

#[test]
fn a_part_that_is_told_too_much_at_once_is_told_the_state_later() {
    let mut all = people(2, 3);
    all.full = true;
    all.peers[0].texts.clear();
    all.say(2, &wants("aaaa0001-v0", 720));
    assert_eq!(all.texts(0, "SenderSourceConstraints").len(), 0);
    assert!(all.shards[1].counters().dropped(videobridge_core::Discard::PartFull) > 0);
    all.full = false;
    all.run(Duration::from_secs(2));
    let told = all.texts(0, "SenderSourceConstraints");
    assert_eq!(told.last().map(|t| t["maxHeight"].clone()), Some(720.into()));
}

#[test]
fn a_conference_may_have_so_many_people_in_each_part_and_no_more() {
    let mut all = Threads::new(2, 1);
    let mut modify = request(true, vec![new_endpoint("p0")]);
    for n in 1..=2 * limits::MAX_ENDPOINTS_PER_CONFERENCE {
        all.modify(modify).unwrap_or_else(|e| panic!("{n}: {e:?}"));
        modify = request(
            false,
            vec![Endpoint { transport: Some(Default::default()), ..new_endpoint(&format!("p{n}")) }],
        );
    }
    assert_eq!(all.loads(), [limits::MAX_ENDPOINTS_PER_CONFERENCE; 2]);
    let error = all.modify(modify).unwrap_err();
    assert_eq!(error.text.as_deref(), Some("The bridge is full"), "one beyond");
}

#[test]
fn unreachable_people_are_known_to_be_in_parts_that_begin_later() {
    let mut all = people(2, 2);
    all.peers.remove(1);
    all.run(Duration::from_secs(20));
    all.join(IDS[2], vec![]);
    all.connect();
    let told = all.texts(1, "EndpointConnectivityStatusChangeEvent");
    assert!(told.iter().any(|t| t["endpoint"] == IDS[1] && t["active"] == "false"), "{told:?}");
}

#[test]
fn shutting_down_leaves_nothing() {
    let mut all = people(3, 6);
    (0..3).for_each(|n| all.command(n, Command::Shutdown));
    assert!(all.is_empty());
}

/// Somebody with a microphone (SSRC 1007) and a camera (2601) at another bridge, linked as a focus does.
fn with_another_bridge(all: &mut Threads) -> usize {
    let mut config = ShardConfig::new(vec![LocalAddress::new(other())], Certificate::generate().unwrap());
    config.relay_id = Some("jvb-1".to_owned());
    config.media.trust_bwe = false;
    all.other = Some(Shard::new(config, Box::new(SeededEntropy::new(99))).unwrap());
    let (id, n) = ("eeee0001", all.peers.len());
    let mut peer =
        Peer::named(all.now, id, SocketAddr::from(([127, 0, 1, 1], AT_OTHER)), other(), Options::default());
    let answer = all.modify_other(request(true, vec![new_endpoint(id)]));
    let ice = answer.endpoints[0].transport.as_ref().unwrap().ice.as_ref().unwrap();
    peer.set_remote(ice.ufrag.as_ref().unwrap(), ice.pwd.as_ref().unwrap().reveal()).unwrap();
    let (ufrag, pwd) = peer.credentials();
    let sources = vec![audio_source("eeee0001-a0", 1007), camera(id, 2601)];
    let transport = Some(remote_transport(&ufrag, &pwd, peer.fingerprint(), Setup::Active));
    all.peers.push(peer);
    all.modify_other(request(
        false,
        vec![Endpoint { transport, sources: Some(sources.clone()), ..endpoint(id) }],
    ));
    let theirs = vec![Endpoint { create: true, sources: Some(sources), ..endpoint(id) }];
    let ours = IDS.iter().enumerate().map(|(n, id)| {
        let mut sources = vec![microphone(n)];
        sources.extend((n == 0).then(|| camera(id, 2001)));
        sources.extend((n == 2).then(|| camera(id, 2201)));
        Endpoint { create: true, sources: Some(sources), ..endpoint(id) }
    });
    let ours: Vec<_> = ours.collect();
    let relay = |first: bool, id: &str, endpoints: Vec<Endpoint>| {
        let role = if first { SctpRole::Client } else { SctpRole::Server };
        let transport = Transport {
            ice_controlling: first,
            sctp: Some(Sctp { port: None, role: Some(role) }),
            ..Transport::default()
        };
        let create = Relay {
            create: true,
            mesh_id: Some("0".to_owned()),
            media: peer::describe::media(),
            transport: Some(transport),
            endpoints,
            ..Relay::new(id)
        };
        ConferenceModify { relays: vec![create], ..request(false, vec![]) }
    };
    let a = all.modify(relay(true, "jvb-1", theirs)).unwrap().relays[0].transport.clone().unwrap();
    let b = all.modify_other(relay(false, "jvb-0", ours)).relays[0].transport.clone().unwrap();
    let introduce = |id: &str, of: Transport, setup: Setup| {
        let mut ice = of.ice.unwrap();
        ice.fingerprints[0].setup = Some(setup);
        let transport = Some(Transport { ice: Some(ice), ..Transport::default() });
        ConferenceModify { relays: vec![Relay { transport, ..Relay::new(id) }], ..request(false, vec![]) }
    };
    all.modify(introduce("jvb-1", b, Setup::Active)).unwrap();
    all.modify_other(introduce("jvb-0", a, Setup::Passive));
    all.connect();
    n
}

#[test]
fn people_of_another_bridge_hear_and_see_those_in_all_parts_and_are_heard_and_seen_there() {
    let mut all = people(3, 6);
    let far = with_another_bridge(&mut all);
    for (n, ssrc) in [(far, 1007), (0, 1001), (2, 1003), (4, 1005)] {
        (0..7).for_each(|n| all.peers[n].rtp.clear());
        all.talk(n, ssrc, 20, 30);
        for to in (0..7).filter(|to| *to != n) {
            assert_eq!(all.take(to, 111).len(), 20, "{n} to {to}");
        }
    }
    for (sender, ssrc, viewer) in [(far, 2601, 4), (2, 2201, far)] {
        let id = if sender == far { "eeee0001" } else { IDS[sender] };
        let mut cam = Camera::new(sender, ssrc);
        all.say(viewer, &wants(&format!("{id}-v0"), 720));
        let told = all.texts(sender, "SenderSourceConstraints");
        assert_eq!(told.last().map(|t| t["maxHeight"].clone()), Some(720.into()), "{sender} to {viewer}");
        all.frames(&mut cam, 60);
        let got = all.take(viewer, 100);
        assert!(got.len() > 40 && *got.last().unwrap().last().unwrap() == 2, "{}", got.len());
    }
    let text = r#"{"colibriClass":"EndpointMessage","to":"","msgPayload":"hello"}"#;
    for from in [far, 2] {
        (0..7).for_each(|n| all.peers[n].texts.clear());
        all.say(from, text);
        for to in 0..7 {
            assert_eq!(all.texts(to, "EndpointMessage").len(), usize::from(to != from), "{from} to {to}");
        }
    }
    let stats = all.stats();
    assert_eq!((stats.relayed_conferences, stats.relayed_endpoints, stats.largest_conference), (1, 1, 7));
    // Whoever joins a part later knows who is at the other bridge; and when that goes nobody of it is left.
    let late = all.join("ffff0001", vec![audio_source("ffff0001-a0", 1008)]);
    all.connect();
    all.talk(far, 1007, 20, 30);
    assert_eq!(all.take(late, 111).len(), 20);
    all.modify(ConferenceModify {
        relays: vec![Relay { expire: true, ..Relay::new("jvb-1") }],
        ..request(false, vec![])
    })
    .unwrap();
    let stats = all.stats();
    assert_eq!((stats.relayed_endpoints, stats.largest_conference), (0, 7));
    all.modify(ConferenceModify { expire: true, ..request(false, vec![]) }).unwrap();
    assert!(all.is_empty());
}
