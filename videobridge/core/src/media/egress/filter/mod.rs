//! Which layers of one encoding one receiver gets: packets with what they say of their frames and the layers wanted in;
//! whether each is sent, and whether it ends the picture, out.
//!
//! A frame is decided on once, with its first packet; packets of it that come later, or late, follow. Going down takes
//! effect with the next picture, going up at the next frame from which the sender's own signs say that the higher layer
//! can be decoded:
//!
//! | | down | temporal layer up | spatial layer up | file |
//! |---|---|---|---|---|
//! | VP8 | next frame | frame of that layer that refers to the base layer alone (Y) | – | `vp8` |
//! | VP9 | next picture, if the lower layer is whole | picture after which higher ones refer to nothing before (U) | frame that needs nothing that was not sent | `vp9` |
//! | dependency descriptor | next frame, if the lower target is part of the present one | frame that is a switch for the target and whose references were sent | the same | `targets` |

mod targets;
#[cfg(test)]
pub(in crate::media) mod tests;
mod vp8;
mod vp9;

use std::time::{Duration, Instant};

use videobridge_rtp::codecs::{Descriptor, Layering};
use videobridge_rtp::dependency::{Active, Frame, Structure};
use videobridge_rtp::{ExtSeq, Tl0Index};

use self::targets::Choice;
use crate::media::ids::Timestamp;
use crate::media::limits::PICTURES_DECIDED;
use crate::media::packet::Packet;

/// What a packet says of itself and its frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Described<'a> {
    pub(crate) descriptor: &'a Descriptor,
    /// By its dependency descriptor, with the structure that it follows.
    pub(crate) frame: Option<(&'a Frame, &'a Structure)>,
}

/// The highest layers wanted of an encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) spatial: u8,
    pub(crate) temporal: u8,
}

impl Wish {
    /// Everything there is.
    pub(crate) const ALL: Self = Self { spatial: u8::MAX, temporal: u8::MAX };
    /// The fewest frames of the same picture.
    pub(crate) const SLOWEST: Self = Self { spatial: u8::MAX, temporal: 0 };
}

/// A packet that is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Passed {
    /// The receiver's picture ends with it.
    pub(crate) marker: bool,
    /// The decode targets that are being sent, if that is to be said.
    pub(crate) active: Option<Active>,
}

/// The layers one receiver gets of one encoding.
#[derive(Debug)]
pub(crate) struct Filter {
    /// The highest layers it gets now.
    spatial: u8,
    temporal: u8,
    /// What it got lately, the newest first, each with its first packet.
    held: [Held; HELD],
    /// The newest packet of any layer.
    newest: ExtSeq,
    pictures: [Picture; PICTURES_DECIDED],
    /// Where the newest picture is.
    at: usize,
    /// Nothing but a key frame brings what is wanted.
    needs_key_frame: bool,
    /// What was wanted the last time.
    wish: Wish,
    /// Since when frames go by that are wanted and cannot be sent yet.
    waiting: Option<Instant>,
    /// VP9: spatial layers of which everything since they began anew was sent that later pictures may refer to.
    whole: u8,
    /// VP9: the same as of the oldest picture that is remembered.
    whole_before: u8,
    /// VP9: those of which a frame of a higher temporal layer was not sent since the last base frame.
    partial: u8,
    /// VP9: pictures in a row without the layer it gets.
    lacking: u8,
    targets: Choice,
}

/// The layers it got from a packet on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Held {
    since: ExtSeq,
    spatial: u8,
    temporal: u8,
    target: Option<u8>,
    /// Whatever came, as nothing could be told apart.
    everything: bool,
}

/// What was decided about the frames of one picture, a bit for each spatial layer.
#[derive(Debug, Clone, Copy, Default)]
struct Picture {
    timestamp: Timestamp,
    known: u8,
    sent: u8,
    /// The layer whose end is the picture's for the receiver.
    top: u8,
    /// VP9: its temporal layer, the base picture it follows where that is said, and the spatial layers that refer to nothing before it.
    temporal: u8,
    tl0: Option<Tl0Index>,
    anew: u8,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            spatial: 0,
            temporal: 0,
            held: [Held::default(); HELD],
            newest: ExtSeq(0),
            pictures: [Picture::default(); PICTURES_DECIDED],
            at: 0,
            needs_key_frame: false,
            wish: Wish::ALL,
            waiting: None,
            whole: 0,
            whole_before: 0,
            partial: 0,
            lacking: 0,
            targets: Choice::default(),
        }
    }
}

impl Filter {
    /// Another encoding begins with the next packet.
    pub(crate) fn begin(&mut self) {
        *self = Self::default();
    }

    /// Whether a key frame is needed to come to what is wanted.
    pub(crate) fn needs_key_frame(&self, now: Instant) -> bool {
        let patient = |since: Instant| now.duration_since(since) < PATIENCE;
        self.needs_key_frame || self.waiting.is_some_and(|since| !patient(since))
    }

    /// Decides about a packet of the encoding the receiver gets; `None` = it is left out.
    pub(crate) fn admit(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        said: &Described<'_>,
        wish: Wish,
    ) -> Option<Passed> {
        let d = said.descriptor;
        let bit = 1 << (d.spatial & 7);
        // A key frame is never late here: it may have changed places with another packet of its picture.
        let late = packet.seq < self.newest && !d.key_frame;
        self.newest = self.newest.max(packet.seq);
        if self.wish != wish {
            (self.wish, self.waiting) = (wish, None);
        }
        let found = self.find(packet.timestamp, packet.seq < self.newest);
        // A key frame whose first packet comes after others of it, which could not be read: now there is a choice.
        let unread = found.is_some_and(|picture| picture.known == UNREAD);
        let sent = match found {
            Some(picture) if picture.known & bit != 0 && !(unread && d.key_frame) => picture.sent & bit != 0,
            known if late => {
                if matches!(d.layering, Layering::Vp9 { .. }) {
                    self.late_vp9(packet, d, known)
                } else {
                    let sent = self.passes_late(packet.seq, said);
                    if known.is_some() {
                        self.decide(packet.timestamp, bit, sent);
                    }
                    sent
                }
            }
            known => {
                if known.is_none() {
                    if matches!(d.layering, Layering::Vp9 { .. }) {
                        self.end_picture_vp9(self.picture(), wish);
                    }
                    self.at = (self.at + 1) % PICTURES_DECIDED;
                    self.forget_vp9();
                    if let Some(picture) = self.pictures.get_mut(self.at) {
                        let top = self.spatial;
                        *picture = Picture { timestamp: packet.timestamp, top, ..Picture::default() };
                    }
                }
                let sent = match d.layering {
                    Layering::None => true,
                    Layering::Vp8 { sync } => self.choose_vp8(d, sync, wish),
                    Layering::Vp9 { .. } => self.choose_vp9(d, wish),
                    Layering::Targets { .. } => self.choose_targets(said, wish),
                };
                if self.hold(packet.seq) {
                    self.waiting = None;
                } else if !sent && self.lacks(d) {
                    self.waiting.get_or_insert(now);
                }
                if unread {
                    // What is left of the picture is sent, as what came was.
                    self.end_with(u8::MAX);
                }
                self.decide(packet.timestamp, bit, sent);
                self.note_vp9(packet.timestamp, d);
                sent
            }
        };
        let newest = self.picture();
        let top = found.filter(|found| found.timestamp != newest.timestamp).unwrap_or(newest).top;
        sent.then(|| Passed {
            marker: packet.marker || (d.ends && d.spatial == top),
            active: self.active(said),
        })
    }

    /// A packet that says which frame it is of and not what that is: the structure is missing, and with it a key frame.
    /// Until that comes again everything is sent, as anything may be needed, and after a while it is asked for.
    /// What comes late is sent when the rest of its picture was likewise. Could that be read, then two key pictures came since, and
    /// nobody needs it. Returns whether it is sent.
    pub(crate) fn pass_unread(&mut self, now: Instant, packet: &Packet<'_>, d: &Descriptor) -> bool {
        let late = packet.seq < self.newest;
        let found = self.find(packet.timestamp, late);
        if late {
            let then = self.held.iter().find(|held| held.since <= packet.seq && held.since != ExtSeq(0));
            let everything = || then.is_some_and(|held| held.everything);
            let sent = found.map_or_else(everything, |p| p.sent == UNREAD);
            if sent {
                self.targets.note(d.frame_number);
            }
            return sent;
        }
        self.newest = packet.seq;
        self.waiting.get_or_insert(now);
        if found.is_none() {
            self.at = (self.at + 1) % PICTURES_DECIDED;
            if let Some(picture) = self.pictures.get_mut(self.at) {
                *picture = Picture { timestamp: packet.timestamp, top: u8::MAX, ..Picture::default() };
            }
        }
        self.decide(packet.timestamp, UNREAD, true);
        self.targets.note(d.frame_number);
        self.hold_as(Held { since: packet.seq, everything: true, ..Held::default() });
        true
    }

    /// Whether a frame that is not sent is wanted.
    fn lacks(&self, d: &Descriptor) -> bool {
        match d.layering {
            Layering::None => false,
            Layering::Vp8 { .. } => d.temporal <= self.wish.temporal,
            Layering::Vp9 { .. } => {
                let Wish { spatial, temporal } = self.wish;
                d.spatial <= spatial && (self.temporal.saturating_add(1)..=temporal).contains(&d.temporal)
            }
            Layering::Targets { present, .. } => self.targets.lacks(present),
        }
    }

    /// Remembers which layers it gets from this packet on. Returns whether they are others than before.
    fn hold(&mut self, since: ExtSeq) -> bool {
        let Self { spatial, temporal, .. } = *self;
        let target = self.targets.target();
        self.hold_as(Held { since, spatial, temporal, target, everything: false })
    }

    fn hold_as(&mut self, now: Held) -> bool {
        let Some(before) = self.held.first().copied() else { return false };
        if (Held { since: before.since, ..now }) == before && before.since != ExtSeq(0) {
            return false;
        }
        self.held.rotate_right(1);
        self.held.first_mut().into_iter().for_each(|first| *first = now);
        true
    }

    /// Whether a frame that comes after later ones belongs to the layers of its time.
    fn passes_late(&mut self, seq: ExtSeq, said: &Described<'_>) -> bool {
        let d = said.descriptor;
        let then = self.held.iter().find(|held| held.since <= seq && held.since != ExtSeq(0));
        let Some(Held { temporal, target, everything, .. }) = then.copied() else { return false };
        if everything {
            self.targets.note(d.frame_number);
            return true;
        }
        match d.layering {
            Layering::None => true,
            Layering::Vp8 { .. } => d.temporal <= temporal,
            // See `late_vp9`.
            Layering::Vp9 { .. } => false,
            Layering::Targets { .. } => self.targets.passes_late(said, target),
        }
    }

    fn picture(&self) -> Picture {
        self.pictures.get(self.at).copied().unwrap_or_default()
    }

    /// The newest picture will end with this layer.
    fn end_with(&mut self, spatial: u8) {
        if let Some(picture) = self.pictures.get_mut(self.at) {
            picture.top = spatial;
        }
    }

    /// What was decided about a picture. Only what comes late belongs to another one than the newest.
    fn find(&self, timestamp: Timestamp, late: bool) -> Option<Picture> {
        let newest = self.picture();
        if newest.timestamp == timestamp && newest.known != 0 {
            return Some(newest);
        }
        if !late {
            return None;
        }
        self.pictures.iter().copied().find(|p| p.known != 0 && p.timestamp == timestamp)
    }

    fn decide(&mut self, timestamp: Timestamp, bit: u8, sent: bool) {
        let (pictures, at) = (&mut self.pictures, self.at);
        let newest = pictures.get(at).is_some_and(|p| p.timestamp == timestamp);
        let picture = if newest {
            pictures.get_mut(at)
        } else {
            pictures.iter_mut().find(|p| p.known != 0 && p.timestamp == timestamp)
        };
        if let Some(picture) = picture {
            picture.known |= bit;
            picture.sent |= if sent { bit } else { 0 };
        }
    }
}

/// All layers of a picture: nobody knows which it has.
const UNREAD: u8 = u8::MAX;
/// Changes remembered for packets that come late: a key picture of three spatial layers is three, and a few such can come within the
/// time in which what was lost is repaired.
const HELD: usize = 12;
/// How long to wait for a frame to go up at before a key frame is asked for: encoders have one every 8 frames.
const PATIENCE: Duration = Duration::from_secs(2);
