//! Spatial and temporal layers of VP9 by its own payload descriptor: frames in, whether they are sent out.

use videobridge_rtp::ExtSeq;
use videobridge_rtp::codecs::{Descriptor, Layering};

use super::{Filter, Held, Picture, Wish};
use crate::media::ids::Timestamp;
use crate::media::limits::PICTURES_DECIDED;
use crate::media::packet::Packet;

impl Filter {
    /// Goes down before a picture begins; spatial layers only to one of which nothing is missing.
    pub(super) fn end_picture_vp9(&mut self, last: Picture, wish: Wish) {
        self.temporal = self.temporal.min(wish.temporal);
        self.needs_key_frame = false;
        if last.known == 0 {
            return;
        }
        let top = (u8::BITS - 1 - last.known.leading_zeros()) as u8;
        self.lacking = if top < self.spatial { self.lacking.saturating_add(1) } else { 0 };
        // One picture without its upper layer is an encoder in need, several are a layer that ended.
        let wanted = if self.lacking >= LACKING { wish.spatial.min(top) } else { wish.spatial };
        if wanted < self.spatial {
            let lower = (wanted..self.spatial).find(|layer| self.whole >> layer & 1 == 1);
            self.spatial = lower.unwrap_or(self.spatial);
            if self.partial >> self.spatial & 1 == 1 {
                self.temporal = 0;
            }
            self.needs_key_frame = wanted < self.spatial;
            if self.needs_key_frame {
                // What can be saved until it comes.
                self.temporal = 0;
            }
        }
    }

    pub(super) fn choose_vp9(&mut self, d: &Descriptor, wish: Wish) -> bool {
        let Layering::Vp9 { inter_layer, switches_up, supports, .. } = d.layering else { return true };
        let bit = 1 << d.spatial;
        if d.key_frame {
            // What came of the picture before it is part of it.
            let came = self.picture().sent;
            (self.spatial, self.temporal, self.whole, self.lacking) = (0, wish.temporal, came, 0);
            self.needs_key_frame = false;
            self.end_with(wish.spatial);
        }
        let goes_down = wish.spatial < self.spatial;
        if switches_up && d.temporal <= self.temporal && !goes_down {
            self.temporal = self.temporal.max(wish.temporal);
        }
        if d.temporal > self.temporal {
            return false;
        }
        let picture = self.picture();
        let needs = chains(d, picture);
        let can = self.whole & needs == needs && !(inter_layer && picture.left_out(bit >> 1));
        let sent = if d.spatial > self.spatial {
            // Up in key pictures alone: of others the layer below has ended the picture already.
            let climbs = d.spatial <= picture.top && can;
            if climbs {
                self.spatial = d.spatial;
            } else if d.spatial <= wish.spatial && d.temporal == 0 {
                self.needs_key_frame = true;
            }
            climbs
        } else {
            // The layer it gets broke off.
            self.needs_key_frame |= !can && d.spatial == self.spatial;
            // What it may refer to of the higher temporal layers was left out.
            let part = d.temporal > 0 && self.partial & (bit | needs) != 0;
            can && !part && (d.spatial == self.spatial || supports)
        };
        if d.temporal > 0 {
            self.partial |= if sent { 0 } else { bit };
        } else {
            self.partial &= !bit;
            self.whole = if sent { self.whole | bit } else { self.whole & !bit };
        }
        sent
    }

    /// Decides about a frame that comes after later ones. It is sent when everything that it needs was, as far as is known, and when it
    /// is part of what the receiver got in its time or since: pictures may have been sent that need it.
    pub(super) fn late_vp9(&mut self, packet: &Packet<'_>, d: &Descriptor, picture: Option<Picture>) -> bool {
        let Layering::Vp9 { predicted, inter_layer, supports, .. } = d.layering else { return false };
        let time = packet.timestamp;
        let spatial = d.spatial & 7;
        let bit = 1_u8 << spatial;
        let at = self.held.iter().position(|held| held.since <= packet.seq && held.since != ExtSeq(0));
        let Some((at, then)) = at.and_then(|at| Some((at, *self.held.get(at)?))) else { return false };
        // Of its picture a higher layer was sent.
        let above = picture.is_some_and(|picture| picture.sent >> spatial > 1);
        let part = |held: &Held| held.spatial == spatial || (supports && held.spatial > spatial);
        let useful = (supports && above) || self.held.iter().take(at + 1).any(part);
        let alone = inter_layer && picture.is_some_and(|picture| picture.left_out(bit >> 1));
        let needs = chains(d, picture.unwrap_or_default());
        let mut layers = (0..u8::BITS).map(|layer| 1_u8 << layer).filter(|layer| needs & layer != 0);
        let whole = layers.all(|layer| self.whole_until(time, layer))
            && !(predicted && d.temporal > 0 && self.is_partial(time, needs, d));
        let sent = d.temporal <= then.temporal && useful && whole && !alone;
        if picture.is_none() {
            self.insert_vp9(time, bit);
        }
        self.decide(time, bit, sent);
        self.note_vp9(time, d);
        if d.temporal == 0 {
            let whole = self.whole_until(self.picture().timestamp.shifted(1), bit);
            self.whole = if whole { self.whole | bit } else { self.whole & !bit };
        } else if !sent && d.temporal <= then.temporal && self.is_of_newest_cycle(time, bit) {
            self.partial |= bit;
        }
        sent
    }

    /// Whether of this layer everything was sent that pictures at this time may refer to, as far as is known.
    fn whole_until(&self, timestamp: Timestamp, bit: u8) -> bool {
        // In a key picture all layers begin anew, also one that is not known yet.
        let bases = || self.bases(bit | 1).filter(|p| is_before(p.timestamp, timestamp));
        let anew = bases().filter(|p| p.anew & (bit | 1) != 0).map(|p| timestamp.since(p.timestamp)).min();
        let since = |p: &&Picture| anew.is_none_or(|anew| timestamp.since(p.timestamp) <= anew);
        let sent = |p: &Picture| p.sent & bit != 0 || (p.known & bit == 0 && p.anew & 1 == 0);
        bases().filter(since).all(sent) && (anew.is_some() || self.whole_before & bit != 0)
    }

    /// Pictures of the lowest temporal layer of which one of these spatial layers is known.
    fn bases(&self, bits: u8) -> impl Iterator<Item = &Picture> {
        self.pictures.iter().filter(move |p| p.known & bits != 0 && p.temporal == 0)
    }

    /// Whether since the last base frame of layers one was left out that a frame of this time and temporal layer may refer to.
    fn is_partial(&self, timestamp: Timestamp, bits: u8, d: &Descriptor) -> bool {
        let bases = self.bases(u8::MAX).filter(|p| is_before(p.timestamp, timestamp));
        let cycle = bases.map(|p| timestamp.since(p.timestamp)).min().unwrap_or(HALF);
        let tl0 = d.tl0.map(|place| place.index);
        let between = |p: &&Picture| {
            let back = timestamp.since(p.timestamp);
            (1..cycle).contains(&back) && p.tl0 == tl0
        };
        let missing = |p: &Picture| p.left_out(bits) && (1..=d.temporal).contains(&p.temporal);
        self.pictures.iter().filter(between).any(missing)
    }

    /// Whether no base frame of a layer is known that is newer.
    fn is_of_newest_cycle(&self, timestamp: Timestamp, bit: u8) -> bool {
        !self.bases(bit).any(|p| is_before(timestamp, p.timestamp))
    }

    /// Makes room for a picture all of which comes late, in the order of time.
    fn insert_vp9(&mut self, timestamp: Timestamp, known: u8) {
        let newest = self.at;
        self.at = (self.at + 1) % PICTURES_DECIDED;
        self.forget_vp9();
        let top = self.spatial;
        let mut place = self.at;
        if let Some(new) = self.pictures.get_mut(place) {
            *new = Picture { timestamp, top, known, ..Picture::default() };
        }
        let mut before = newest;
        for _ in 1..PICTURES_DECIDED {
            let later =
                self.pictures.get(before).is_some_and(|p| p.known != 0 && is_before(timestamp, p.timestamp));
            if !later {
                break;
            }
            self.pictures.swap(before, place);
            (place, before) = (before, before.checked_sub(1).unwrap_or(PICTURES_DECIDED - 1));
        }
    }

    /// The oldest picture gives its place to another.
    pub(super) fn forget_vp9(&mut self) {
        let Some(oldest) = self.pictures.get(self.at).filter(|p| p.known != 0 && p.temporal == 0) else {
            return;
        };
        self.whole_before = self.whole_before & !oldest.known
            | self.whole_before & oldest.sent & !oldest.anew
            | oldest.sent & oldest.anew;
    }

    /// Remembers what a frame is.
    pub(super) fn note_vp9(&mut self, timestamp: Timestamp, d: &Descriptor) {
        let Layering::Vp9 { predicted, .. } = d.layering else { return };
        let mut all = self.pictures.iter_mut();
        if let Some(picture) = all.find(|p| p.known != 0 && p.timestamp == timestamp) {
            picture.temporal = d.temporal;
            picture.tl0 = d.tl0.map(|place| place.index);
            picture.anew |= if predicted { 0 } else { 1 << (d.spatial & 7) };
        }
    }
}

impl Picture {
    /// Whether of these layers one was left out on purpose; what is not known may come late.
    fn left_out(&self, bits: u8) -> bool {
        self.known & !self.sent & bits != 0
    }
}

/// The spatial layers of which everything must have been sent before a frame of this picture may be: its own, and those below that
/// did not come yet, as they are measured by the same when they come. In a key picture all begin anew.
fn chains(d: &Descriptor, picture: Picture) -> u8 {
    let Layering::Vp9 { predicted, inter_layer, .. } = d.layering else { return 0 };
    let bit = 1_u8 << (d.spatial & 7);
    let own = if predicted { bit } else { 0 };
    let key_picture = !predicted && picture.known & !picture.anew == 0;
    if inter_layer && !key_picture { own | (bit - 1) & !picture.known } else { own }
}

/// Whether a picture is older than one of this time.
fn is_before(one: Timestamp, other: Timestamp) -> bool {
    (1..HALF).contains(&other.since(one))
}

/// Pictures in a row without the layer a receiver gets after which that layer counts as ended.
const LACKING: u8 = 5;
/// Further ahead than this is behind.
const HALF: u32 = 0x8000_0000;
