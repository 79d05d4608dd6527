//! Cameras with layers against a model decoder: wishes that change, losses and reordering in; what each receiver gets, and
//! whether it can be decoded, out.

pub(in crate::media) mod encoders;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use jitsi_xmpp::ids::{MediaType, Ssrc};
use jitsi_xmpp::jingle::HeaderExtension;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use videobridge_rtp::codecs::{Codec, Descriptor};
use videobridge_rtp::dependency::{Frame, Head, Structure};
use videobridge_rtp::{ExtSeq, ExtensionId, RtpPacket, Unwrapper};

use self::encoders::{Encoder, Kind, Sent, Truth, identity};
use super::Described;
use crate::media::DropReason;
use crate::media::allocation::LayerId;
use crate::media::egress::numbers::Numbered;
use crate::media::egress::projection::Projection;
use crate::media::egress::stream::{self, Rewrite, Stream};
use crate::media::egress::write::{Buffers, Kept, Outgoing, Stamps, Written};
use crate::media::ids::{EncodingIx, MemberIx, SourceUid, StreamIx, Timestamp};
use crate::media::ingress::negotiated::{ExtensionKind, Negotiated};
use crate::media::ingress::structures::Structures;
use crate::media::packet::Packet;

const DD: &str = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";

/// A packet as it came out.
struct Got {
    seq: u64,
    timestamp: u32,
    marker: bool,
    frame: usize,
    part: u8,
    descriptor: Descriptor,
    described: Option<Frame>,
    arrived_at: usize,
}

/// A camera, a bridge and a receiver.
struct Rig {
    kind: Kind,
    encoders: Vec<Encoder>,
    truths: Vec<Truth>,
    now: Instant,
    random: u64,
    picture: usize,
    needs_key: HashMap<u8, usize>,
    key_requests: usize,
    negotiated: Negotiated,
    ingress: BTreeMap<u8, (Structures, Option<(ExtSeq, Timestamp)>)>,
    arrived: HashSet<(usize, u8)>,
    refused: HashSet<usize>,
    switches: usize,
    late: Vec<(usize, Sent)>,
    stream: Stream,
    projection: Projection,
    out_numbers: Unwrapper,
    out_structure: Option<Structure>,
    got: Vec<Got>,
    lost: usize,
    /// Packets that came late and were not sent: their numbers stay empty.
    late_refused: usize,
    history: HashMap<(u8, u64), Sent>,
}

impl Rig {
    fn new(kind: Kind, encodings: u8, random: u64) -> Self {
        let mut negotiated = Negotiated::default();
        negotiated.add_header_extensions(&[HeaderExtension::new(11, DD)]);
        let everything = LayerId::all_of(EncodingIx(encodings - 1));
        Self {
            kind,
            encoders: (0..encodings).map(|n| Encoder::new(kind, n)).collect(),
            truths: Vec::new(),
            now: Instant::now(),
            random: random | 1,
            picture: 0,
            needs_key: (0..encodings).map(|n| (n, 0)).collect(),
            key_requests: 0,
            negotiated,
            ingress: BTreeMap::new(),
            arrived: HashSet::new(),
            refused: HashSet::new(),
            switches: 0,
            late: Vec::new(),
            stream: Stream::new(MediaType::Video, Numbered { ssrc: Ssrc(7), next: ExtSeq(500) }, None),
            projection: Projection::new(MemberIx(0), Some(StreamIx(0)), everything),
            out_numbers: Unwrapper::new(),
            out_structure: None,
            got: Vec::new(),
            lost: 0,
            late_refused: 0,
            history: HashMap::new(),
        }
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    fn next(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random >> 8
    }

    fn want(&mut self, encoding: u8, spatial: u8, temporal: u8) {
        self.projection.set_target(LayerId { encoding: EncodingIx(encoding), spatial, temporal });
    }

    /// Pictures of all encodings, of which so many packets in a hundred are lost, late or swapped.
    fn pictures(&mut self, count: usize, loss: u64) {
        for _ in 0..count {
            self.now += Duration::from_millis(33);
            self.picture += 1;
            let mut packets = Vec::new();
            for n in 0..self.encoders.len() {
                let key = self.needs_key.get(&(n as u8)).is_some_and(|at| *at <= self.picture);
                if key {
                    self.needs_key.remove(&(n as u8));
                }
                let sizes: Vec<u8> = (0..3).map(|_| 1 + (self.next() % 3) as u8).collect();
                let mut sizes = sizes.into_iter().cycle();
                let parts = || sizes.next().unwrap();
                packets.extend(self.encoders[n].picture(self.picture, key, &mut self.truths, parts));
            }
            for at in 1..packets.len() {
                if packets[at].encoding == packets[at - 1].encoding && self.chance(loss) {
                    packets.swap(at - 1, at);
                }
            }
            let (due, later) =
                std::mem::take(&mut self.late).into_iter().partition(|(at, _)| *at <= self.picture);
            self.late = later;
            let due: Vec<(usize, Sent)> = due;
            packets.extend(due.into_iter().map(|(_, p)| p));
            for packet in packets {
                // What comes again comes.
                let first = packet.timestamp == self.newest_timestamp(packet.encoding);
                if first && self.chance(loss) {
                    if self.chance(60) {
                        let at = self.picture + 2 + (self.next() % 8) as usize;
                        self.late.push((at, packet));
                    } else {
                        self.lost += 1;
                    }
                } else {
                    self.arrive(&packet);
                }
            }
            if self.picture.is_multiple_of(5) {
                self.ask_again();
            }
        }
    }

    /// The receiver asks for every number that it misses.
    fn ask_again(&mut self) {
        let numbers: HashSet<u64> = self.got.iter().map(|g| g.seq).collect();
        let Some(newest) = numbers.iter().max().copied() else { return };
        for number in (newest.saturating_sub(200).max(500)..newest).filter(|n| !numbers.contains(n)) {
            let Some(sent) = self.stream.sent(number as u16) else { continue };
            assert_eq!(sent.out.0, number);
            let stored = self.history.get(&(sent.epoch.encoding.0, sent.seq.0)).cloned();
            if let Some(packet) = stored {
                self.repeat(&sent, &packet);
            }
        }
    }

    fn newest_timestamp(&self, encoding: u8) -> u32 {
        self.encoders[usize::from(encoding)].timestamp()
    }

    fn codec(&self) -> Codec {
        match self.kind {
            Kind::Vp8 => Codec::Vp8,
            Kind::Vp9 { .. } => Codec::Vp9,
            Kind::Targets { .. } => Codec::Av1,
        }
    }

    fn repeat(&mut self, what: &stream::Sent, sent: &Sent) {
        let extensions = sent.extensions();
        let packet = sent.packet(&extensions);
        let d = Descriptor::parse(self.codec(), &sent.payload, Head::parse(&sent.descriptor));
        if let Some(rewrite) = self.stream.rewrite(what, &packet, &d) {
            self.write(&packet, &d, rewrite);
        }
    }

    fn write(&mut self, packet: &Packet<'_>, d: &Descriptor, rewrite: Rewrite) {
        let mut kinds = [None; 16];
        kinds[11] = Some(ExtensionKind::DependencyDescriptor);
        let kept = Kept::of(packet, &kinds);
        let outgoing = Outgoing { packet, descriptor: d, kept: &kept, rewrite };
        let (mut buffers, to) = (Buffers::default(), &self.negotiated);
        let w = Written::new(&mut buffers, &outgoing, Ssrc(7), None, to, Stamps::default()).unwrap();
        let bytes = w.parts().concat();
        self.receive(&bytes);
    }

    fn arrive(&mut self, sent: &Sent) {
        let (frame, part) = identity(&sent.payload);
        self.arrived.insert((frame, part));
        self.history.insert((sent.encoding, sent.seq), sent.clone());
        let extensions = sent.extensions();
        let packet = sent.packet(&extensions);
        let codec = self.codec();
        let (structures, newest) = self.ingress.entry(sent.encoding).or_default();
        let mut d = Descriptor::parse(codec, &sent.payload, Head::parse(&sent.descriptor));
        let described = structures.read(packet.seq, &sent.descriptor);
        if let Some(described) = &described {
            d = d.described_by(described);
        }
        let late = newest.is_some_and(|(seq, _)| packet.seq < seq);
        match newest {
            Some((seq, of)) if packet.seq < *seq => d.key_frame &= packet.timestamp == *of,
            _ => *newest = Some((packet.seq, packet.timestamp)),
        }
        let said = Described { descriptor: &d, frame: described.as_ref().zip(structures.at(packet.seq)) };
        let on = (SourceUid(1), EncodingIx(sent.encoding));
        let before = self.projection.current();
        let result = self.projection.project(self.now, &mut self.stream, on, &packet, &said, true);
        self.switches += usize::from(before != self.projection.current());
        match result {
            Ok(rewrite) => self.write(&packet, &d, rewrite),
            Err(why) => {
                self.late_refused += usize::from(late);
                // What comes late of an encoding that was left has nowhere to go.
                let left = late && self.projection.current() != Some(EncodingIx(sent.encoding));
                // Nor is it known any more what it was, two key frames later.
                let unread = late && d.frame_number.is_some() && described.is_none();
                if left || unread || why == DropReason::BeforeSwitch {
                    self.refused.insert(frame);
                }
            }
        }
        if let Some(encoding) = self.projection.wanted_key_frame(self.now)
            && !self.needs_key.contains_key(&encoding.0)
        {
            self.key_requests += 1;
            self.needs_key.insert(encoding.0, self.picture + 2);
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        let codec = self.codec();
        let p = RtpPacket::parse(bytes).unwrap();
        let dd = p.extension(ExtensionId::new(11).unwrap());
        let head = dd.and_then(Head::parse);
        if head.is_some_and(|head| head.has_structure) {
            let mut structure = Structure::default();
            structure.take_from(dd.unwrap()).unwrap();
            self.out_structure = Some(structure);
        }
        let described = self.out_structure.as_ref().zip(dd).and_then(|(s, dd)| s.frame(dd));
        let (frame, part) = identity(p.payload());
        self.got.push(Got {
            seq: self.out_numbers.extend(p.sequence()).0,
            timestamp: p.timestamp(),
            marker: p.marker(),
            frame,
            part,
            descriptor: Descriptor::parse(codec, p.payload(), head),
            described,
            arrived_at: self.picture,
        });
    }

    /// Which frames can be decoded of these packets.
    fn decodable(&self, packets: &HashSet<(usize, u8)>) -> Vec<bool> {
        let mut out: Vec<bool> = Vec::new();
        for (n, truth) in self.truths.iter().enumerate() {
            let complete = (0..truth.packets).all(|part| packets.contains(&(n, part)));
            out.push(complete && truth.references.iter().all(|r| out[*r]));
        }
        out
    }

    /// What holds on any network.
    fn check(&self) {
        let mut arrived = self.arrived.clone();
        arrived.retain(|(frame, _)| !self.refused.contains(frame));
        let ideal = self.decodable(&arrived);
        let mine: HashSet<(usize, u8)> = self.got.iter().map(|g| (g.frame, g.part)).collect();
        let decodable = self.decodable(&mine);
        for got in &self.got {
            let truth = &self.truths[got.frame];
            assert!(
                decodable[got.frame] || !ideal[got.frame],
                "frame {} cannot be decoded: {truth:?}",
                got.frame
            );
        }
        let numbers: HashSet<u64> = self.got.iter().map(|g| g.seq).collect();
        assert_eq!(numbers.len(), self.got.len(), "a number was used twice");
        if let (Some(first), Some(last)) = (numbers.iter().min(), numbers.iter().max()) {
            let gaps = (last - first + 1) as usize - numbers.len();
            let most = self.lost + self.late.len() + self.switches + self.late_refused;
            assert!(gaps <= most, "{gaps} gaps where {most} can be");
        }
    }

    /// What holds where nothing was lost.
    fn check_whole(&self) {
        for pair in self.got.windows(2) {
            let [a, b] = pair else { unreachable!() };
            let (x, y) = (&self.truths[a.frame], &self.truths[b.frame]);
            assert_eq!(b.seq, a.seq + 1, "sequence numbers");
            let same = (x.encoding, x.picture) == (y.encoding, y.picture);
            assert_eq!(same, a.timestamp == b.timestamp, "timestamps");
            assert_eq!(same, !a.marker, "a picture ends with its marker: {x:?} {y:?}");
            let steps = b.timestamp.wrapping_sub(a.timestamp) / 3000;
            assert!(same || (1..=20).contains(&steps), "{steps}");
            if let (Some(one), Some(next)) = (a.descriptor.picture_id, b.descriptor.picture_id) {
                let step = next.id.since(one.id);
                let closed = self.kind == Kind::Vp8 || x.encoding != y.encoding;
                let true_step = if closed { u16::from(!same) } else { (y.picture - x.picture) as u16 };
                assert_eq!(step, true_step, "picture ids");
            }
            if let (Some(one), Some(next)) = (a.descriptor.tl0, b.descriptor.tl0) {
                let base = !same && y.temporal == 0;
                assert_eq!(next.index.since(one.index), u8::from(base), "base layer numbers");
            }
        }
        // Frame numbers that are referred to are those of the frames that are meant.
        let mut numbers: HashMap<u16, usize> = HashMap::new();
        for got in &self.got {
            let Some(frame) = &got.described else { continue };
            numbers.insert(frame.number.get(), got.frame);
            let meant: HashSet<usize> = self.truths[got.frame].references.iter().copied().collect();
            let said: HashSet<usize> = frame
                .references
                .iter()
                .filter_map(|back| numbers.get(&frame.number.get().wrapping_sub(back)).copied())
                .collect();
            assert_eq!(said, meant, "references of {:?}", self.truths[got.frame]);
            assert_eq!((frame.spatial, frame.temporal), {
                let truth = &self.truths[got.frame];
                (truth.spatial, truth.temporal)
            });
        }
        if matches!(self.kind, Kind::Targets { .. }) {
            assert!(self.got.iter().all(|g| g.described.is_some()), "every descriptor can be read");
        }
    }

    /// The layers that came in the last pictures.
    fn recent(&self, pictures: usize) -> (u8, u8, u8) {
        let recent = self.got.iter().filter(|g| g.arrived_at + pictures > self.picture);
        let truths: Vec<&Truth> = recent.map(|g| &self.truths[g.frame]).collect();
        let max = |of: fn(&Truth) -> u8| truths.iter().map(|t| of(t)).max().unwrap_or(u8::MAX);
        (max(|t| t.encoding), max(|t| t.spatial), max(|t| t.temporal))
    }
}

fn kinds() -> impl Strategy<Value = (Kind, u8)> {
    let vp9 = (1..=3u8, any::<bool>(), any::<bool>());
    let vp9 = vp9.prop_map(|(spatial, key_only, flexible)| (Kind::Vp9 { spatial, key_only, flexible }, 1));
    let targets = (1..=3u8, any::<bool>());
    let targets = targets.prop_map(|(spatial, key_only)| (Kind::Targets { spatial, key_only }, 1));
    prop_oneof![
        Just((Kind::Vp8, 3)),
        vp9,
        targets,
        Just((Kind::Targets { spatial: 1, key_only: false }, 3)),
        Just((Kind::Vp9 { spatial: 1, key_only: false, flexible: true }, 3)),
    ]
}

/// Other cases in every run. A failure says the seed that brings its cases again.
static SEED: LazyLock<u64> = LazyLock::new(|| {
    let given = std::env::var("LAYERS_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| RandomState::new().build_hasher().finish())
});

fn wishes() -> impl Strategy<Value = Vec<(u8, u8, u8, usize)>> {
    proptest::collection::vec((0..3u8, 0..3u8, 0..3u8, 1..40usize), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 60, failure_persistence: None, rng_seed: RngSeed::Fixed(*SEED), ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_wished_every_frame_sent_can_be_decoded_and_numbers_run_on(
        (kind, encodings) in kinds(), wishes in wishes(), seed in any::<u64>(),
    ) {
        println!("LAYERS_SEED={}", *SEED);
        let mut rig = Rig::new(kind, encodings, seed);
        rig.pictures(10, 0);
        for (encoding, spatial, temporal, pictures) in wishes {
            rig.want(encoding.min(encodings - 1), spatial.min(kind.spatial() - 1), temporal);
            rig.pictures(pictures, 0);
        }
        rig.check();
        rig.check_whole();
        // And what is wished comes.
        let wish = (encodings - 1, kind.spatial() - 1, 1);
        rig.want(wish.0, wish.1, wish.2);
        rig.pictures(80, 0);
        prop_assert_eq!(rig.recent(20), wish);
        rig.check();
        rig.check_whole();
    }

    #[test]
    fn losses_and_reordering_cost_no_more_than_what_was_lost(
        (kind, encodings) in kinds(), wishes in wishes(), seed in any::<u64>(), loss in 1..20u64,
    ) {
        println!("LAYERS_SEED={}", *SEED);
        let mut rig = Rig::new(kind, encodings, seed);
        rig.pictures(10, 0);
        for (encoding, spatial, temporal, pictures) in wishes {
            rig.want(encoding.min(encodings - 1), spatial.min(kind.spatial() - 1), temporal);
            rig.pictures(pictures + 12, loss);
        }
        rig.ask_again();
        rig.check();
        let wish = (encodings - 1, kind.spatial() - 1, 2);
        rig.want(wish.0, wish.1, wish.2);
        rig.pictures(120, 0);
        prop_assert_eq!(rig.recent(20), wish);
        rig.check();
    }
}

/// Goes through these wishes of one encoding; returns how many key frames were asked for on the way.
fn requests(kind: Kind, wishes: &[(u8, u8)]) -> usize {
    let mut rig = Rig::new(kind, 1, 7);
    rig.want(0, wishes[0].0, wishes[0].1);
    rig.pictures(20, 0);
    rig.key_requests = 0;
    for (spatial, temporal) in wishes {
        rig.want(0, *spatial, *temporal);
        rig.pictures(40, 0);
        assert_eq!(rig.recent(16), (0, *spatial, *temporal), "{kind:?}");
    }
    rig.check_whole();
    rig.key_requests
}

#[test]
fn key_frames_are_asked_for_only_where_a_switch_needs_one() {
    let temporal: Vec<(u8, u8)> = [2, 0, 1, 2, 1, 0, 2].map(|t| (0, t)).to_vec();
    let (full, key_only) = (|spatial| (spatial, false), |spatial| (spatial, true));
    assert_eq!(requests(Kind::Vp8, &temporal), 0);
    for flexible in [true, false] {
        let vp9 = |(spatial, key_only)| Kind::Vp9 { spatial, key_only, flexible };
        assert_eq!(requests(vp9(full(1)), &temporal), 0);
        assert_eq!(requests(vp9(full(3)), &[(2, 2), (1, 2), (0, 0)]), 0, "down");
        assert_eq!(requests(vp9(full(3)), &[(0, 0), (0, 2), (2, 2)]), 1, "up");
        assert_eq!(requests(vp9(key_only(3)), &[(2, 2), (2, 0), (2, 2)]), 0);
        assert_eq!(requests(vp9(key_only(3)), &[(2, 2), (1, 2), (2, 0)]), 2, "either way");
    }
    let targets = |(spatial, key_only)| Kind::Targets { spatial, key_only };
    assert_eq!(requests(targets(full(1)), &temporal), 0);
    assert_eq!(requests(targets(full(3)), &[(2, 2), (2, 1), (1, 2), (0, 0), (0, 2)]), 0, "down");
    assert_eq!(requests(targets(full(3)), &[(0, 0), (0, 2), (2, 2)]), 1, "up");
    assert_eq!(requests(targets(key_only(3)), &[(2, 2), (2, 0), (2, 2)]), 0);
    assert_eq!(requests(targets(key_only(3)), &[(2, 2), (1, 2), (2, 0)]), 2, "either way");
}

#[test]
fn going_down_takes_effect_with_the_next_picture() {
    for kind in [
        Kind::Vp8,
        Kind::Vp9 { spatial: 3, key_only: false, flexible: true },
        Kind::Targets { spatial: 3, key_only: false },
    ] {
        let mut rig = Rig::new(kind, 1, 3);
        rig.pictures(30, 0);
        rig.want(0, 0, 0);
        rig.pictures(5, 0);
        assert_eq!(rig.recent(5), (0, 0, 0), "{kind:?}");
    }
}

#[test]
fn layers_that_cannot_be_left_at_once_are_sent_with_fewer_pictures_until_a_key_frame_comes() {
    for kind in [
        Kind::Vp9 { spatial: 3, key_only: true, flexible: false },
        Kind::Targets { spatial: 3, key_only: true },
    ] {
        let mut rig = Rig::new(kind, 1, 3);
        rig.pictures(32, 0);
        rig.want(0, 0, 2);
        // The request takes two pictures.
        rig.pictures(2, 0);
        assert_eq!(rig.recent(1).2, u8::MAX, "{kind:?}: nothing but base frames");
        rig.pictures(6, 0);
        assert_eq!(rig.recent(4), (0, 0, 2), "{kind:?}");
    }
}

#[test]
fn the_descriptor_says_which_targets_are_being_sent() {
    let mut rig = Rig::new(Kind::Targets { spatial: 3, key_only: false }, 1, 3);
    rig.pictures(12, 0);
    assert!(rig.got.iter().all(|g| g.described.is_some_and(|f| f.active.is_none_or(|a| a == 0x1ff))));
    let before = rig.got.len();
    rig.want(0, 1, 1);
    rig.pictures(12, 0);
    let said: HashSet<u32> =
        rig.got[before..].iter().filter_map(|g| g.described.and_then(|f| f.active)).collect();
    assert_eq!(said, HashSet::from([0b01_1011]), "(1, 1) with all that is part of it");
}

/// What was sent was remembered for four changes; two key pictures of three layers are six.
#[test]
fn what_comes_after_two_key_pictures_is_still_sent_when_its_picture_was() {
    let mut rig =
        Rig::new(Kind::Vp9 { spatial: 3, key_only: false, flexible: false }, 1, 16_993_034_861_518_134_082);
    rig.pictures(10, 0);
    for (spatial, temporal, pictures) in [(1, 0, 33), (0, 0, 42), (2, 2, 13)] {
        rig.want(0, spatial, temporal);
        rig.pictures(pictures, 18);
    }
    rig.want(0, 2, 2);
    rig.pictures(120, 0);
    rig.check();
}

/// Four structures later the numbers of templates fit again. The first packets of the key pictures between were lost.
#[test]
fn a_key_picture_without_its_structure_is_not_read_by_one_that_is_long_gone() {
    let kind = Kind::Targets { spatial: 3, key_only: true };
    let mut rig = Rig::new(kind, 1, 16_125_980_903_216_237_920);
    rig.pictures(10, 0);
    for (spatial, temporal, pictures) in [(0, 0, 11), (0, 0, 2), (0, 0, 28), (1, 0, 1)] {
        rig.want(0, spatial, temporal);
        rig.pictures(pictures + 12, 10);
    }
    rig.ask_again();
    rig.check();
    rig.want(0, 2, 2);
    rig.pictures(120, 0);
    assert_eq!(rig.recent(20), (0, 2, 2));
    rig.check();
}

/// Its structure was two key pictures ago, and the rest of it had been refused.
#[test]
fn what_comes_late_and_cannot_be_read_is_not_sent_alone() {
    let mut rig = Rig::new(Kind::Targets { spatial: 2, key_only: true }, 1, 15_003_649_026_642_346_340);
    rig.pictures(10, 0);
    rig.want(0, 0, 0);
    rig.pictures(13, 10);
    rig.ask_again();
    rig.want(0, 1, 2);
    rig.pictures(120, 0);
    rig.check();
}

/// In VP9 the middle layer of a picture had been refused, and the top one came late.
#[test]
fn a_late_layer_is_not_sent_without_the_one_below_it() {
    let mut rig =
        Rig::new(Kind::Vp9 { spatial: 3, key_only: false, flexible: false }, 1, 11_372_519_139_914_804_076);
    rig.pictures(10, 0);
    for (layers, pictures) in [(0, 1), (0, 37), (0, 33), (0, 21), (0, 15), (2, 1)] {
        rig.want(0, layers, layers);
        rig.pictures(pictures + 12, 18);
    }
    rig.ask_again();
    rig.want(0, 2, 2);
    rig.pictures(120, 0);
    rig.check();
}

/// A frame was refused, as it was not part of what the receiver got in its time; but of what it got since.
#[test]
fn what_comes_late_is_sent_when_the_layer_that_was_chosen_since_needs_it() {
    let vp9 = Kind::Vp9 { spatial: 3, key_only: true, flexible: false };
    for (kind, random, loss, wishes) in [
        (vp9, 16_206_148_223_967_129_870, 16, &[(0, 27), (1, 13), (0, 1)][..]),
        (vp9, 9_991_410_921_983_525_002, 15, &[(0, 10), (1, 5), (0, 1)]),
    ] {
        let mut rig = Rig::new(kind, 1, random);
        rig.pictures(10, 0);
        for (spatial, pictures) in wishes {
            rig.want(0, *spatial, 0);
            rig.pictures(pictures + 12, loss);
        }
        rig.ask_again();
        rig.check();
        rig.want(0, kind.spatial() - 1, 2);
        rig.pictures(120, 0);
        rig.check();
    }
}

/// All of a key picture came late. Its upper layer was not part of what the receiver got in its time; but pictures after it, sent
/// before it could be read what they are, need it.
#[test]
fn a_key_picture_that_comes_late_brings_its_upper_layers() {
    let mut rig = Rig::new(Kind::Targets { spatial: 2, key_only: false }, 1, 15_084_755_900_381_503_483);
    rig.pictures(10, 0);
    for (spatial, temporal, pictures) in [(0, 0, 10), (0, 0, 18), (0, 0, 3), (1, 0, 1)] {
        rig.want(0, spatial, temporal);
        rig.pictures(pictures + 12, 10);
    }
    rig.ask_again();
    rig.check();
    rig.want(0, 1, 2);
    rig.pictures(120, 0);
    assert_eq!(rig.recent(20), (0, 1, 2));
    rig.check();
}

/// Its structure was two key pictures ago; of its picture the lower layer alone had been sent.
#[test]
fn what_comes_after_two_key_pictures_and_cannot_be_read_is_left_out() {
    let mut rig = Rig::new(Kind::Targets { spatial: 2, key_only: true }, 1, 15_540_125_557_250_127_684);
    rig.pictures(10, 0);
    for (spatial, temporal, pictures) in [(0, 2, 5), (1, 0, 1)] {
        rig.want(0, spatial, temporal);
        rig.pictures(pictures + 12, 15);
    }
    rig.ask_again();
    rig.want(0, 1, 2);
    rig.pictures(120, 0);
    rig.check();
}

/// All of a frame came late, its first packet before the frame that it needs.
#[test]
fn a_late_frame_is_sent_whole_or_not_at_all() {
    let mut rig = Rig::new(Kind::Targets { spatial: 1, key_only: false }, 1, 16_841_688_785_507_807_768);
    rig.pictures(10, 0);
    for pictures in [8, 20] {
        rig.want(0, 0, 0);
        rig.pictures(pictures + 12, 16);
    }
    rig.ask_again();
    rig.want(0, 0, 2);
    rig.pictures(120, 0);
    rig.check();
}

/// What holds of one source with these wishes on a link that loses so much.
fn loses(kind: Kind, random: u64, loss: u64, wishes: &[(u8, u8, usize)]) {
    let mut rig = Rig::new(kind, 1, random);
    rig.pictures(10, 0);
    for (spatial, temporal, pictures) in wishes {
        rig.want(0, *spatial, *temporal);
        rig.pictures(pictures + 12, loss);
    }
    rig.ask_again();
    rig.check();
    rig.want(0, kind.spatial() - 1, 2);
    rig.pictures(120, 0);
    assert_eq!(rig.recent(20), (0, kind.spatial() - 1, 2));
    rig.check();
}

/// The second packet of a key picture came before the first, so that nothing said that it was one. A base frame of long before it
/// counted to what began with it, and was sent though the frame before had been left out.
#[test]
fn a_late_frame_of_before_a_key_picture_was_taken_for_one_after_it() {
    let vp9 = |spatial, flexible| Kind::Vp9 { spatial, key_only: true, flexible };
    loses(vp9(3, false), 3_684_728_021_719_664_241, 17, &[(2, 0, 15), (0, 0, 1)]);
    let wishes = [(2, 1, 7), (0, 1, 1), (1, 1, 2), (1, 2, 18), (2, 0, 29), (1, 2, 1)];
    loses(vp9(3, false), 11_705_310_891_325_071_332, 16, &wishes);
    let wishes = [(2, 2, 32), (1, 1, 4), (0, 1, 20), (2, 2, 11), (2, 0, 19), (2, 2, 24), (0, 1, 1)];
    loses(vp9(3, false), 14_783_656_842_802_880_921, 9, &wishes);
    let wishes = [(0, 1, 16), (1, 2, 37), (1, 1, 2), (1, 0, 26), (1, 2, 9), (0, 2, 1)];
    loses(vp9(2, true), 8_497_111_708_265_036_495, 11, &wishes);
}

/// A frame of the middle temporal layer had been left out, as what it refers to was not there yet. That came; and the next frame of
/// the highest layer, which refers to both, was sent.
#[test]
fn a_frame_was_sent_whose_lower_temporal_layer_had_been_left_out() {
    let kind = Kind::Vp9 { spatial: 3, key_only: false, flexible: false };
    loses(kind, 12_229_646_093_605_473_322, 12, &[(2, 0, 30), (2, 0, 20), (1, 1, 37), (2, 2, 1)]);
}

/// Its base frame was missing. Frames that were left out before that one are no reason to leave this one out.
#[test]
fn a_late_frame_is_measured_by_what_follows_its_own_base_frame() {
    let kind = Kind::Vp9 { spatial: 3, key_only: true, flexible: false };
    let wishes = [(2, 2, 20), (1, 0, 31), (2, 2, 23), (0, 0, 7), (0, 2, 1)];
    loses(kind, 8_841_594_159_506_395_014, 19, &wishes);
}

/// The top layer of a base picture came before the middle one, which was refused then: of its key picture it had not come yet.
#[test]
fn a_layer_was_sent_before_the_one_below_it_which_was_then_refused() {
    let kind = Kind::Vp9 { spatial: 3, key_only: false, flexible: false };
    loses(kind, 14_588_200_231_257_538_974, 12, &[(1, 0, 27), (0, 0, 15), (1, 0, 38), (0, 0, 1), (2, 0, 4)]);
}
