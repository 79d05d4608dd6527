//! Signalled media sources in; sources with their encodings, and what each SSRC of an endpoint is, out.

use std::time::{Duration, Instant};

use budget::Bucket;
use foldhash::HashMap;
use jitsi_xmpp::colibri2::MediaSource;
use jitsi_xmpp::ids::{EndpointId, MediaType, SourceName, Ssrc};
use jitsi_xmpp::jingle::{Semantics, VideoType};
use smallvec::SmallVec;
use videobridge_rtp::{ExtSeq, Unwrapper};

use super::even::Even;
use super::layers::Layers;
use super::loss::Loss;
use super::negotiated::ExtensionKinds;
use super::receive::ReceiveStats;
use super::sequence::Sequence;
use super::structures::Structures;
use super::throughput::{Throughput, WINDOW};
use super::unanswered::Unanswered;
use crate::media::allocation::{Layer, LayerId, is_desktop};
use crate::media::egress::projection::Projection;
use crate::media::egress::slots::Claim;
use crate::media::egress::whole::Whole;
use crate::media::history::History;
use crate::media::ids::{Bitrate, EncodingIx, MemberIx, SourceIx, SourceRef, SourceUid, Timestamp};
use crate::media::limits::MAX_ENCODINGS;

/// What an SSRC of an endpoint carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SsrcRole {
    /// Media of one encoding of a source.
    Media { source: SourceIx, encoding: EncodingIx },
    /// Its retransmissions.
    Rtx { source: SourceIx, encoding: EncodingIx },
    /// Forward error correction: tolerated, not used.
    Fec,
}

/// What signalling says about a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signalled {
    pub(crate) name: SourceName,
    pub(crate) media: MediaType,
    pub(crate) synthetic: bool,
    /// Lowest encoding first: SSRC and RTX SSRC.
    pub(crate) encodings: SmallVec<[(Ssrc, Option<Ssrc>); MAX_ENCODINGS]>,
    pub(crate) fec: SmallVec<[Ssrc; 1]>,
    pub(crate) kind: VideoType,
}

/// One source with everything that belongs to it: what came in, and who gets it.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) signalled: Signalled,
    /// Never used twice, unlike its index.
    pub(crate) uid: SourceUid,
    pub(crate) owner: MemberIx,
    pub(crate) owner_id: EndpointId,
    pub(crate) kind: VideoType,
    pub(crate) encodings: SmallVec<[Encoding; MAX_ENCODINGS]>,
    /// The owner's header extension ids.
    pub(crate) kinds: ExtensionKinds,
    pub(crate) history: Option<History>,
    /// Who gets it now, ascending by receiver.
    pub(crate) routes: Vec<Projection>,
    /// Who got it earlier and may again, ascending by receiver.
    pub(crate) parked: Vec<Projection>,
    /// The relays that get it.
    pub(crate) relayed: Vec<Whole>,
    /// Effective height limit by receiver, ascending, zeros left out.
    pub(crate) wishes: Vec<(MemberIx, i32)>,
    /// Whether `wishes` differs from what was last passed on to the owner.
    pub(crate) wishes_changed: bool,
    /// The last value told to the owner.
    pub(crate) told: Option<i32>,
    /// Whether pictures came of that, where the owner is behind another bridge.
    pub(crate) unanswered: Unanswered,
    /// Silent packets in a row.
    pub(crate) silent: u32,
    /// What [`Self::layers`] found in which turn: all receivers of a turn choose from the same.
    measured: (u64, SmallVec<[Layer; 9]>),
    pub(crate) last_packet: Option<Instant>,
}

/// One simulcast encoding, or the only stream of a source.
#[derive(Debug)]
pub(crate) struct Encoding {
    pub(crate) ssrc: Ssrc,
    pub(crate) rtx: Option<Ssrc>,
    pub(crate) sequence: Sequence,
    pub(crate) structures: Structures,
    /// The newest packet, to recognise key frames that come too late: what followed was not for those who wait for one.
    newest: Option<(ExtSeq, Timestamp)>,
    pub(crate) loss: Loss,
    pub(crate) even: Even,
    pub(crate) rate: Throughput,
    pub(crate) layers: Layers,
    pub(crate) received: ReceiveStats,
    pub(crate) rtx_sequence: Unwrapper,
    pub(crate) rtx_received: ReceiveStats,
    pub(crate) active: bool,
    /// When what woke is measured for the first time over a whole window: what was chosen before was a guess.
    pub(crate) measured_at: Option<Instant>,
    pub(crate) last_packet: Option<Instant>,
    pub(crate) height: i32,
    pub(crate) last_key_frame_request: Option<Instant>,
    pub(crate) reports: Bucket,
    pub(crate) fir_sequence: u8,
}

impl Signalled {
    /// Reads one signalled source. Several audio SSRCs are several sources of that name; a video source without a
    /// usable SSRC is none.
    pub(crate) fn read(source: &MediaSource) -> SmallVec<[Self; 1]> {
        let mut rtx: HashMap<Ssrc, Ssrc> = HashMap::default();
        let mut fec = SmallVec::new();
        let mut simulcast = None;
        for group in &source.ssrc_groups {
            match (&group.semantics, group.ssrcs.as_slice()) {
                (Semantics::Fid, [media, repeat, ..]) => {
                    rtx.insert(*media, *repeat);
                }
                (Semantics::Fec | Semantics::FecFr, [_, secondary, ..]) => fec.push(*secondary),
                (Semantics::Sim, ssrcs @ [_, _, ..]) => simulcast = Some(ssrcs),
                _ => {}
            }
        }
        let secondary = |ssrc: Ssrc| fec.contains(&ssrc) || rtx.values().any(|r| *r == ssrc);
        let alone = source.sources.iter().map(|s| s.ssrc).filter(|s| s.0 != 0 && !secondary(*s));
        let primaries: SmallVec<[Ssrc; 3]> = match (simulcast, source.kind) {
            (Some(ssrcs), MediaType::Video) => ssrcs.iter().copied().take(MAX_ENCODINGS).collect(),
            (None, MediaType::Video) => alone.take(1).collect(),
            (_, MediaType::Audio) => alone.collect(),
        };
        let kind = source.sources.iter().find_map(|s| s.video_type).unwrap_or(VideoType::Camera);
        let encoding = |ssrc: &Ssrc| (*ssrc, rtx.get(ssrc).copied());
        let one = |encodings| Self {
            name: source.id.clone(),
            media: source.kind,
            synthetic: source.synthetic,
            encodings,
            fec: fec.clone(),
            kind,
        };
        match source.kind {
            MediaType::Video if primaries.is_empty() => SmallVec::new(),
            MediaType::Video => std::iter::once(one(primaries.iter().map(encoding).collect())).collect(),
            MediaType::Audio => {
                primaries.iter().map(|p| one(std::iter::once(encoding(p)).collect())).collect()
            }
        }
    }

    /// All SSRCs.
    pub(crate) fn ssrcs(&self) -> usize {
        self.encodings.len() + self.encodings.iter().filter(|(_, rtx)| rtx.is_some()).count() + self.fec.len()
    }
}

impl Source {
    pub(crate) fn new(
        now: Instant,
        uid: SourceUid,
        signalled: Signalled,
        owner: (MemberIx, EndpointId),
    ) -> Self {
        let simulcast = signalled.encodings.iter().enumerate();
        let encodings = simulcast.map(|(i, (ssrc, rtx))| Encoding::new(now, *ssrc, *rtx, 180 << i)).collect();
        Self {
            uid,
            owner: owner.0,
            owner_id: owner.1,
            kind: signalled.kind,
            encodings,
            signalled,
            kinds: [None; 16],
            history: None,
            routes: Vec::new(),
            parked: Vec::new(),
            relayed: Vec::new(),
            wishes: Vec::new(),
            wishes_changed: true,
            told: None,
            unanswered: Unanswered::default(),
            silent: 0,
            measured: (0, SmallVec::new()),
            last_packet: None,
        }
    }

    /// What gets it a slot; `at` is its place.
    pub(crate) fn claim(&self, at: SourceIx) -> Claim {
        let ssrc = self.encodings.first().map_or(Ssrc(0), |e| e.ssrc);
        Claim { source: SourceRef { uid: self.uid, at }, owner: self.owner, ssrc }
    }

    /// How long an encoding may pause before it counts as stopped. A screen share that shows nothing new sends a
    /// frame per second.
    pub(crate) fn patience(&self) -> Duration {
        if is_desktop(self.kind) { WINDOW * 5 } else { WINDOW }
    }

    /// The layers to choose from, measured once per turn; turns are numbered from 1.
    pub(crate) fn layers(&mut self, now: Instant, turn: u64) -> &[Layer] {
        if self.measured.0 != turn {
            self.measured = (turn, self.measure(now));
        }
        &self.measured.1
    }

    fn measure(&self, now: Instant) -> SmallVec<[Layer; 9]> {
        let mut out = SmallVec::new();
        for (encoding, e) in (0..).map(EncodingIx).zip(&self.encodings) {
            // A screen share that shows nothing new is slow, not gone.
            let least = Bitrate(e.active.into());
            let measured = if e.active { e.layers.measure(now, self.patience()) } else { SmallVec::new() };
            // A key frame is in the layers' rates, and not in the whole.
            let (whole, top) = (e.rate.bitrate(now), measured.iter().map(|m| m.bitrate).max());
            let share = top.filter(|top| whole > Bitrate::ZERO && *top > whole);
            let share = share.map_or(1.0, |top| whole.as_f64() / top.as_f64());
            let rate = |height: i32, fps: f32, measured: Bitrate| {
                let young = if e.rate.is_young() { Layer::likely_bitrate(height).as_f64() } else { 0.0 };
                let part = if fps > 0.0 { f64::from(fps / 30.0).min(1.0) } else { 1.0 };
                Bitrate((measured.as_f64() * share).max(young * part) as u64).max(least)
            };
            let several = measured.iter().any(|m| m.spatial > 0);
            out.extend(measured.iter().map(|m| {
                let id = LayerId { encoding, spatial: m.spatial, temporal: m.temporal };
                let height = m.height.map_or(if several { -1 } else { e.height }, i32::from);
                Layer { id, height, fps: m.fps, bitrate: rate(height, m.fps, m.bitrate) }
            }));
            if measured.is_empty() {
                let bitrate = rate(e.height, 30.0, whole);
                out.push(Layer { id: LayerId::all_of(encoding), height: e.height, fps: 30.0, bitrate });
            }
        }
        out
    }

    /// The highest height anybody wants: −1 = any, 0 = nobody wants it.
    pub(crate) fn wished_height(&self) -> i32 {
        let mut heights = self.wishes.iter().map(|(_, height)| *height);
        if heights.clone().any(|h| h < 0) { -1 } else { heights.by_ref().max().unwrap_or(0) }
    }

    /// Records what a receiver wants. Returns whether that changed.
    pub(crate) fn wish(&mut self, receiver: MemberIx, height: i32) -> bool {
        let changed = match self.wishes.binary_search_by_key(&receiver, |(r, _)| *r) {
            Ok(at) if height == 0 => {
                self.wishes.remove(at);
                true
            }
            Ok(at) => self.wishes.get_mut(at).is_some_and(|(_, h)| std::mem::replace(h, height) != height),
            Err(_) if height == 0 => false,
            Err(at) => {
                self.wishes.insert(at, (receiver, height));
                true
            }
        };
        self.wishes_changed |= changed;
        changed
    }

    /// Whether a receiver wants it.
    pub(crate) fn is_wished_by(&self, receiver: MemberIx) -> bool {
        self.wishes.binary_search_by_key(&receiver, |(r, _)| *r).is_ok()
    }

    pub(crate) fn encoding_mut(&mut self, at: EncodingIx) -> Option<&mut Encoding> {
        self.encodings.get_mut(at.at())
    }

    /// What a receiver gets of it.
    pub(crate) fn route_mut(&mut self, receiver: MemberIx) -> Option<&mut Projection> {
        let at = self.route_at(receiver).ok()?;
        self.routes.get_mut(at)
    }

    /// How a relay gets it.
    pub(crate) fn relayed_mut(&mut self, relay: MemberIx) -> Option<&mut Whole> {
        self.relayed.iter_mut().find(|w| w.receiver == relay)
    }

    /// Where the route to a receiver is, or belongs.
    pub(crate) fn route_at(&self, receiver: MemberIx) -> Result<usize, usize> {
        self.routes.binary_search_by_key(&receiver, |p| p.receiver)
    }

    /// Takes the route to a receiver aside, until it gets the source again.
    pub(crate) fn park(&mut self, receiver: MemberIx) {
        if let Ok(at) = self.route_at(receiver) {
            let mut route = self.routes.remove(at);
            route.suspend();
            let to = self.parked.partition_point(|p| p.receiver < receiver);
            self.parked.insert(to, route);
        }
    }

    /// Brings back what [`Self::park`] took aside.
    pub(crate) fn unpark(&mut self, receiver: MemberIx) {
        if let Ok(at) = self.parked.binary_search_by_key(&receiver, |p| p.receiver) {
            let route = self.parked.remove(at);
            let to = self.routes.partition_point(|p| p.receiver < receiver);
            self.routes.insert(to, route);
        }
    }

    /// Forgets a receiver. Returns whether it had a wish.
    pub(crate) fn forget(&mut self, receiver: MemberIx) -> bool {
        self.routes.retain(|p| p.receiver != receiver);
        self.parked.retain(|p| p.receiver != receiver);
        self.relayed.retain(|w| w.receiver != receiver);
        self.wish(receiver, 0)
    }
}

impl Encoding {
    fn new(now: Instant, ssrc: Ssrc, rtx: Option<Ssrc>, height: i32) -> Self {
        Self {
            ssrc,
            rtx,
            sequence: Sequence::default(),
            structures: Structures::default(),
            newest: None,
            loss: Loss::default(),
            even: Even::default(),
            rate: Throughput::new(now),
            layers: Layers::new(now),
            received: ReceiveStats::new(now),
            rtx_sequence: Unwrapper::new(),
            rtx_received: ReceiveStats::new(now),
            active: false,
            measured_at: None,
            last_packet: None,
            height,
            last_key_frame_request: None,
            reports: Bucket::full(),
            fir_sequence: 0,
        }
    }

    /// Whether a later frame has been seen before this packet. By the numbers of packets alone: a sender that begins
    /// anew has other timestamps, and its first key frame must not be kept out.
    pub(crate) fn is_late(&mut self, seq: ExtSeq, timestamp: Timestamp) -> bool {
        match self.newest {
            Some((newest, of)) if seq < newest => timestamp != of,
            _ => {
                self.newest = Some((seq, timestamp));
                false
            }
        }
    }
}
