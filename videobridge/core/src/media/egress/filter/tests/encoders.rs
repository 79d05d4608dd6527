//! Model encoders: wishes for key frames in; the packets of pictures with layers, and what each frame really refers to, out.

use videobridge_rtp::dependency::{Head, MAX_TARGETS, References, Structure, Template, write};
use videobridge_rtp::{ExtSeq, FrameNumber};

use crate::media::ids::{PayloadNumber, Timestamp};
use crate::media::packet::Packet;

/// What a camera sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::media) enum Kind {
    /// Three temporal layers.
    Vp8,
    /// Three temporal layers of so many spatial ones; with `key_only` layers refer to each other in key pictures alone.
    Vp9 { spatial: u8, key_only: bool, flexible: bool },
    /// The same by dependency descriptor.
    Targets { spatial: u8, key_only: bool },
}

/// One packet as it is sent.
#[derive(Debug, Clone)]
pub(in crate::media) struct Sent {
    pub(in crate::media) encoding: u8,
    pub(in crate::media) seq: u64,
    pub(in crate::media) timestamp: u32,
    pub(in crate::media) marker: bool,
    /// The dependency descriptor.
    pub(in crate::media) descriptor: Vec<u8>,
    pub(in crate::media) payload: Vec<u8>,
}

impl Sent {
    /// The header extension as it is sent.
    pub(in crate::media) fn extensions(&self) -> Vec<u8> {
        if self.descriptor.is_empty() {
            return Vec::new();
        }
        let mut out = [&[11, self.descriptor.len() as u8][..], &self.descriptor].concat();
        out.resize(out.len().next_multiple_of(4), 0);
        out
    }

    /// As it is read.
    pub(in crate::media) fn packet<'a>(&'a self, extensions: &'a [u8]) -> Packet<'a> {
        Packet {
            seq: ExtSeq(self.seq),
            timestamp: Timestamp(self.timestamp),
            payload_type: PayloadNumber(100),
            marker: self.marker,
            profile: 0x1000,
            extensions,
            payload: &self.payload,
            evened: 0,
        }
    }
}

/// What is true of a frame, whatever its packets say.
#[derive(Debug, Clone)]
pub(in crate::media) struct Truth {
    pub(in crate::media) encoding: u8,
    pub(in crate::media) picture: usize,
    pub(in crate::media) spatial: u8,
    pub(in crate::media) temporal: u8,
    pub(in crate::media) references: Vec<usize>,
    pub(in crate::media) packets: u8,
}

/// One encoding's encoder.
pub(in crate::media) struct Encoder {
    kind: Kind,
    encoding: u8,
    position: usize,
    seq: u64,
    timestamp: u32,
    picture_id: u16,
    tl0: u8,
    number: u16,
    offset: u8,
    /// The last frame of each spatial and temporal layer, with its picture.
    last: [[Option<(usize, usize)>; 3]; 3],
}

/// The frame and part of a packet, as every encoder writes it at the end.
pub(in crate::media) fn identity(payload: &[u8]) -> (usize, u8) {
    let tail = &payload[payload.len() - 5..];
    (u32::from_be_bytes(tail[..4].try_into().unwrap()) as usize, tail[4])
}

impl Kind {
    pub(in crate::media) fn spatial(self) -> u8 {
        match self {
            Self::Vp8 => 1,
            Self::Vp9 { spatial, .. } | Self::Targets { spatial, .. } => spatial,
        }
    }

    fn key_only(self) -> bool {
        matches!(self, Self::Vp9 { key_only: true, .. } | Self::Targets { key_only: true, .. })
    }
}

impl Encoder {
    pub(in crate::media) fn new(kind: Kind, encoding: u8) -> Self {
        let n = u32::from(encoding);
        Self {
            kind,
            encoding,
            position: 0,
            seq: 70_000 + u64::from(n) * 9_000,
            timestamp: (u32::MAX - 40_000).wrapping_add(n * 1_000_000),
            picture_id: 0x7ff0 - encoding as u16 * 77,
            tl0: 250 - encoding * 3,
            number: 0xfff0 - encoding as u16 * 100,
            offset: 60,
            last: [[None; 3]; 3],
        }
    }

    pub(in crate::media) fn timestamp(&self) -> u32 {
        self.timestamp
    }

    /// The next picture; `parts` says how many packets each frame has.
    pub(in crate::media) fn picture(
        &mut self,
        picture: usize,
        key: bool,
        truths: &mut Vec<Truth>,
        mut parts: impl FnMut() -> u8,
    ) -> Vec<Sent> {
        if key {
            (self.position, self.last) = (0, [[None; 3]; 3]);
        }
        let temporal: u8 = match self.kind {
            Kind::Vp8 => [0, 2, 1, 2, 0, 2, 1, 2][self.position],
            _ => [0, 2, 1, 2][self.position],
        };
        self.timestamp = self.timestamp.wrapping_add(3000);
        self.picture_id = (self.picture_id + 1) & 0x7fff;
        self.tl0 = self.tl0.wrapping_add(u8::from(temporal == 0));
        let mut out = Vec::new();
        let count = self.kind.spatial();
        for spatial in 0..count {
            let frame = truths.len();
            let back = self.references(usize::from(spatial), temporal, key);
            let mut references: Vec<usize> = back.iter().map(|(frame, _)| *frame).collect();
            if spatial > 0 && (key || !self.kind.key_only()) {
                references.push(frame - 1);
            }
            let packets = parts();
            truths.push(Truth { encoding: self.encoding, picture, spatial, temporal, references, packets });
            self.number = self.number.wrapping_add(1);
            for part in 0..packets {
                self.seq += 1;
                let (first, last) = (part == 0, part + 1 == packets);
                let head = match self.kind {
                    Kind::Vp8 => self.vp8(temporal, key, first),
                    Kind::Vp9 { .. } => {
                        let pictures: Vec<u8> = back.iter().map(|(_, p)| (picture - p) as u8).collect();
                        self.vp9((spatial, temporal), key, (first, last), &pictures)
                    }
                    Kind::Targets { .. } => vec![0x10],
                };
                let descriptor = match self.kind {
                    Kind::Targets { .. } => self.descriptor(spatial, key, (first, last)),
                    _ => Vec::new(),
                };
                let frame = u32::try_from(frame).unwrap().to_be_bytes();
                out.push(Sent {
                    encoding: self.encoding,
                    seq: self.seq,
                    timestamp: self.timestamp,
                    marker: last && spatial + 1 == count,
                    descriptor,
                    payload: [&head[..], &vec![0; 100 * (1 + 3 * usize::from(spatial))], &frame, &[part]]
                        .concat(),
                });
            }
            self.last[usize::from(spatial)][usize::from(temporal)] = Some((frame, picture));
        }
        self.position = (self.position + 1) % if self.kind == Kind::Vp8 { 8 } else { 4 };
        if key {
            self.offset = (self.offset + 5 * count) % 64;
        }
        out
    }

    /// Earlier frames that one refers to.
    fn references(&self, spatial: usize, temporal: u8, key: bool) -> Vec<(usize, usize)> {
        let last = self.last[spatial];
        let upto = |layer: usize| last[..=layer].iter().flatten().copied().collect();
        match (self.kind, temporal, self.position) {
            _ if key => Vec::new(),
            (_, 0, _) | (Kind::Vp8, _, 1 | 2) => upto(0),
            (Kind::Vp8, layer, _) => upto(layer.into()),
            (_, 1, _) | (_, _, 1) => upto(0),
            (Kind::Targets { .. }, ..) => last[1].into_iter().collect(),
            // The second of its layer: refers to the first as well.
            _ => last[1..].iter().flatten().copied().collect(),
        }
    }

    fn vp8(&self, temporal: u8, key: bool, first: bool) -> Vec<u8> {
        let [high, low] = (self.picture_id | 0x8000).to_be_bytes();
        let sync = matches!(self.position, 1 | 2);
        let layer = temporal << 6 | u8::from(sync) << 5;
        let start = if first { 0x90 } else { 0x80 };
        let mut out = vec![start, 0xe0, high, low, self.tl0, layer];
        out.push(if key && first { 0x10 } else { 0x11 });
        out
    }

    fn vp9(&self, layers: (u8, u8), key: bool, (first, last): (bool, bool), back: &[u8]) -> Vec<u8> {
        let Kind::Vp9 { spatial: count, key_only, flexible } = self.kind else { unreachable!() };
        let (spatial, temporal) = layers;
        let top = spatial + 1 == count;
        let bits = [
            true,
            !key,
            true,
            flexible,
            first,
            last,
            key && first && spatial == 0,
            top || (key_only && !key),
        ];
        let [high, low] = (self.picture_id | 0x8000).to_be_bytes();
        let inter_layer = spatial > 0 && (key || !key_only);
        // After the first picture of a cycle and the first of the highest layer nothing refers to what was before.
        let up = matches!(self.position, 0 | 1);
        let layer = temporal << 5 | u8::from(up) << 4 | spatial << 1 | u8::from(inter_layer);
        let mut out = vec![bits.iter().fold(0, |sum, bit| sum << 1 | u8::from(*bit)), high, low, layer];
        if flexible && !key {
            let more = |n: usize| u8::from(n + 1 < back.len());
            out.extend(back.iter().enumerate().map(|(n, distance)| distance << 1 | more(n)));
        } else if !flexible {
            out.push(self.tl0);
        }
        if bits[6] {
            out.push((count - 1) << 5 | 0x10);
            (0..count).for_each(|_| out.extend([1, 64, 0, 180]));
        }
        out
    }

    /// The structure of L`spatial`T3 or its `_KEY`: per spatial layer a base frame, one of a key picture, one of the
    /// middle layer, two of the highest.
    pub(in crate::media) fn structure(&self) -> Structure {
        let (count, key_only) = (self.kind.spatial(), self.kind.key_only());
        let mut templates = Vec::new();
        for spatial in 0..count {
            for (temporal, position, key) in
                [(0, 0, false), (0, 0, true), (1, 2, false), (2, 1, false), (2, 3, false)]
            {
                let mut t = Template { spatial, temporal, ..Template::default() };
                for target in 0..count * 3 {
                    let (s, up_to) = (target / 3, target % 3);
                    let part = if key || !key_only { spatial <= s } else { spatial == s };
                    let present = part && temporal <= up_to;
                    let switch = present && (key || (s == spatial && (temporal == 0 || up_to > temporal)));
                    t.present |= u32::from(present) << target;
                    t.switch |= u32::from(switch) << target;
                }
                let n = u16::from(count);
                let before = [4, 1, 2, 1][position] * n;
                let mut back = if key { Vec::new() } else { vec![before] };
                if spatial > 0 && (key || !key_only) {
                    back.push(1);
                }
                t.references = References::new(&back).unwrap();
                let mut chains = [0; MAX_TARGETS];
                for (chain, distance) in (0..count).zip(&mut chains) {
                    let within =
                        position == 0 && if key_only && !key { spatial > chain } else { spatial > 0 };
                    let pictures = if position == 0 { 4 } else { position as u8 };
                    *distance = match (within, key) {
                        (true, _) if key_only && !key => spatial - chain,
                        (true, _) => spatial - chain.min(spatial - 1),
                        (false, true) => 0,
                        (false, false) => pictures * count + spatial - chain,
                    };
                }
                t.chains = chains;
                templates.push(t);
            }
        }
        let protected: Vec<u8> = (0..count * 3).map(|target| target / 3).collect();
        Structure::new(self.offset, &templates, count * 3, &protected, [180, 360, 720, 0]).unwrap()
    }

    fn descriptor(&self, spatial: u8, key: bool, (begins, ends): (bool, bool)) -> Vec<u8> {
        let kind = if key { 1 } else { [0, 3, 2, 4][self.position] };
        // Later packets follow the structure of their key frame.
        let mut structure = self.structure();
        let brings = key && spatial == 0 && begins;
        if !key {
            let count = 5 * self.kind.spatial();
            structure = Self { offset: (self.offset + 64 - count) % 64, ..*self }.structure();
        }
        let template = (structure.offset() + spatial * 5 + kind) % 64;
        let number = FrameNumber::new(self.number);
        let head = Head { begins, ends, template, number, has_structure: brings };
        let mut buf = [0; 300];
        let len = write(&head, &structure, None, &mut buf).unwrap();
        buf[..len].to_vec()
    }
}
