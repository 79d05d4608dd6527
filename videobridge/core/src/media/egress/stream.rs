//! One outgoing RTP stream of one receiver: packets of changing encodings and sources in; one continuous sequence of
//! numbers, timestamps and picture ids out.
//!
//! Within a stretch of one encoding (an *epoch*) all numbers are shifted by constants, less what was left out of it
//! ([`Holes`]), so a retransmission can be rebuilt from the shared history with nothing but these.

use std::ops::Range;
use std::time::{Duration, Instant};

use jitsi_xmpp::ids::{MediaType, Ssrc};
use smallvec::SmallVec;
use videobridge_rtp::codecs::{Descriptor, Layering};
use videobridge_rtp::dependency::Active;
use videobridge_rtp::{ExtSeq, FrameNumber, PictureId, Tl0Index};

use super::copies::MOST_COPIES;
use super::filter::{Described, Passed};
use super::holes::Holes;
use super::numbers::Numbered;
use super::speech::Reported;
use crate::media::ids::{EncodingIx, PayloadNumber, SourceRef, SourceUid, Timestamp};
use crate::media::limits::{EPOCHS, RESENT};
use crate::media::packet::Packet;

/// The state of one outgoing SSRC.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) media: MediaType,
    pub(crate) ssrc: Ssrc,
    /// Where retransmissions go.
    rtx: Option<Numbered>,
    /// The source it carries now.
    pub(crate) source: Option<SourceRef>,
    /// Whether the receiver knows what it carries.
    pub(crate) announced: bool,
    pub(crate) last_used: Option<Instant>,
    first: ExtSeq,
    newest: Option<Newest>,
    epochs: SmallVec<[Stretch; EPOCHS]>,
    /// Of an epoch that is forgotten, to be used again.
    spare: Option<Box<Holes>>,
    packets: u32,
    octets: u32,
    resent: Option<Box<Resent>>,
    /// Packets that wait, and the newest number that was really sent.
    waiting: u32,
    sent_up_to: ExtSeq,
    /// Up to here all was sent a second time that was to be, and a third time.
    copied_up_to: [ExtSeq; MOST_COPIES],
    /// What the receiver said last, of speech.
    pub(crate) reported: Reported,
}

/// When packets were repeated last, by number: the number's lower half + 1 and milliseconds since `since`.
#[derive(Debug)]
struct Resent {
    since: Instant,
    at: [(u32, u32); RESENT],
}

/// The newest packet sent.
#[derive(Debug, Clone, Copy, Default)]
struct Newest {
    seq: ExtSeq,
    timestamp: Timestamp,
    payload_type: PayloadNumber,
    marker: bool,
    picture_id: PictureId,
    tl0: Tl0Index,
    frame_number: FrameNumber,
    /// The id of the first template of the next structure.
    templates: u8,
}

/// Why a packet cannot be sent on a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unsent {
    /// It is from before the present epoch.
    BeforeEpoch,
    /// The sender's numbers jumped further than SRTP's receivers can follow: a new epoch is needed.
    Jump,
}

/// A stretch of one encoding.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Epoch {
    pub(crate) source: SourceUid,
    pub(crate) encoding: EncodingIx,
    /// The first sequence number in and out.
    in_start: ExtSeq,
    out_start: ExtSeq,
    pub(crate) timestamp_shift: u32,
    picture_id_shift: u16,
    tl0_shift: u8,
    frame_number_shift: u16,
    template_shift: u8,
}

/// An epoch with what was left out of it.
#[derive(Debug)]
struct Stretch {
    epoch: Epoch,
    holes: Option<Box<Holes>>,
}

/// A packet that was sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) epoch: Epoch,
    /// Its number out and in.
    pub(crate) out: ExtSeq,
    pub(crate) seq: ExtSeq,
}

/// The numbers of one outgoing packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rewrite {
    pub(crate) seq: ExtSeq,
    pub(crate) timestamp: Timestamp,
    pub(crate) picture_id: Option<PictureId>,
    pub(crate) tl0: Option<Tl0Index>,
    pub(crate) frame_number: Option<FrameNumber>,
    pub(crate) template_shift: u8,
    pub(crate) marker: bool,
    /// The decode targets that are being sent, if that is to be said.
    pub(crate) active: Option<Active>,
}

impl Stream {
    /// A stream that has sent nothing yet.
    pub(crate) fn new(media: MediaType, at: Numbered, rtx: Option<Numbered>) -> Self {
        Self {
            media,
            ssrc: at.ssrc,
            rtx,
            source: None,
            announced: false,
            last_used: None,
            first: at.next,
            newest: None,
            epochs: SmallVec::new(),
            spare: None,
            packets: 0,
            octets: 0,
            resent: None,
            waiting: 0,
            copied_up_to: [ExtSeq(0); MOST_COPIES],
            reported: Reported::default(),
            sent_up_to: at.next,
        }
    }

    /// Begins an epoch with `packet`, so that it follows on what was sent before.
    pub(crate) fn switch(
        &mut self,
        now: Instant,
        source: SourceUid,
        encoding: EncodingIx,
        packet: &Packet<'_>,
        said: &Described<'_>,
    ) {
        let d = said.descriptor;
        let templates = said.frame.map_or(0, |(_, structure)| structure.offset());
        let idle = self.last_used.map_or(Duration::ZERO, |at| now.duration_since(at));
        let picture_id = d.picture_id.map(|p| p.id).unwrap_or_default();
        let tl0 = d.tl0.map(|t| t.index).unwrap_or_default();
        let frame = d.frame_number.unwrap_or_default();
        let epoch = match self.newest {
            None => Epoch {
                source,
                encoding,
                in_start: packet.seq,
                out_start: self.first,
                timestamp_shift: 0,
                picture_id_shift: 0,
                tl0_shift: 0,
                frame_number_shift: 0,
                template_shift: 0,
            },
            Some(last) => {
                // A frame whose end was not sent stays incomplete: the gap tells the receiver.
                let open = u64::from(self.media == MediaType::Video && !last.marker);
                let (tick, step) = match self.media {
                    MediaType::Video => (VIDEO_FRAME, 3000),
                    MediaType::Audio => (AUDIO_FRAME, 960),
                };
                let frames = (idle.as_millis() / tick.as_millis()).clamp(1, MAX_FRAMES_IDLE) as u32;
                let timestamp = last.timestamp.shifted(frames.wrapping_mul(step));
                Epoch {
                    source,
                    encoding,
                    in_start: packet.seq,
                    out_start: ExtSeq(last.seq.next().0 + open),
                    timestamp_shift: timestamp.since(packet.timestamp),
                    picture_id_shift: last.picture_id.next().since(picture_id),
                    tl0_shift: last.tl0.next().since(tl0),
                    frame_number_shift: last.frame_number.next().since(frame),
                    template_shift: last.templates.wrapping_sub(templates),
                }
            }
        };
        self.push(epoch);
    }

    /// Begins an epoch with `packet` in which everything but the sequence numbers stays as the sender has it: for those who
    /// get all encodings and choose themselves.
    pub(crate) fn resume(&mut self, source: SourceUid, encoding: EncodingIx, packet: &Packet<'_>) {
        // A frame whose end was not sent stays incomplete: the gap tells the receiver.
        let open = |last: Newest| u64::from(self.media == MediaType::Video && !last.marker);
        let out_start = self.newest.map_or(self.first, |last| ExtSeq(last.seq.next().0 + open(last)));
        self.push(Epoch {
            source,
            encoding,
            in_start: packet.seq,
            out_start,
            timestamp_shift: 0,
            picture_id_shift: 0,
            tl0_shift: 0,
            frame_number_shift: 0,
            template_shift: 0,
        });
    }

    fn push(&mut self, epoch: Epoch) {
        if self.epochs.len() == EPOCHS {
            let oldest = self.epochs.remove(0);
            self.spare = self.spare.take().or(oldest.holes);
        }
        self.epochs.push(Stretch { epoch, holes: None });
    }

    /// Whether a key frame of the present encoding does not go on where it was: the sender began anew, with older
    /// timestamps or picture ids or with such that are far ahead.
    pub(crate) fn breaks_off(&self, now: Instant, packet: &Packet<'_>, d: &Descriptor) -> bool {
        let (Some(last), Some(epoch)) = (self.newest, self.epochs.last().map(|s| &s.epoch)) else {
            return false;
        };
        let step = packet.timestamp.shifted(epoch.timestamp_shift).since(last.timestamp) as i32;
        let passed = self.last_used.map_or(Duration::ZERO, |at| now.duration_since(at)).as_millis();
        let most = (passed * 90).min(MAX_FRAMES_IDLE * 3000) as i32;
        let id =
            d.picture_id.filter(|place| place.long).map(|place| place.id.shifted(epoch.picture_id_shift));
        // What was left out only makes ids of now greater.
        let back = id.is_some_and(|id| id.since(last.picture_id) >= PictureId::HALF);
        step < 0 || step > most.saturating_add(MAX_STEP) || back
    }

    /// The epoch now, if it is of this source and encoding.
    pub(crate) fn epoch(&self, source: SourceUid, encoding: EncodingIx) -> Option<Epoch> {
        self.epochs.last().map(|s| s.epoch).filter(|e| e.source == source && e.encoding == encoding)
    }

    /// Numbers a packet of the present epoch and counts it as sent.
    pub(crate) fn forward(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        said: &Described<'_>,
        passed: Passed,
    ) -> Result<Rewrite, Unsent> {
        let d = said.descriptor;
        let stretch = self.epochs.last_mut().ok_or(Unsent::BeforeEpoch)?;
        if let Some(holes) = &mut stretch.holes {
            holes.keep(packet.seq, closing_id(d), passed.marker && !packet.marker);
        } else if passed.marker && !packet.marker {
            let holes = self.spare.take();
            let holes = stretch.holes.insert(renewed(holes, packet.seq, closing_id(d)));
            holes.keep(packet.seq, None, true);
        }
        let rewrite = stretch.rewrite(packet, d).ok_or(Unsent::BeforeEpoch)?;
        let rewrite = Rewrite { marker: passed.marker, active: passed.active, ..rewrite };
        if self.newest.is_some_and(|n| rewrite.seq.0 > n.seq.0 + MAX_JUMP) {
            return Err(Unsent::Jump);
        }
        self.last_used = Some(now);
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(packet.payload.len() as u32);
        if self.newest.is_none_or(|newest| rewrite.seq > newest.seq) {
            let newest = self.newest.get_or_insert_default();
            newest.seq = rewrite.seq;
            newest.timestamp = rewrite.timestamp;
            newest.payload_type = packet.payload_type;
            newest.marker = rewrite.marker;
            // What a packet does not say stays what it was.
            newest.picture_id = rewrite.picture_id.unwrap_or(newest.picture_id);
            newest.tl0 = rewrite.tl0.unwrap_or(newest.tl0);
            newest.frame_number = rewrite.frame_number.unwrap_or(newest.frame_number);
            if let Some((_, structure)) = said.frame {
                newest.templates = structure.next_offset().wrapping_add(rewrite.template_shift);
            }
        }
        Ok(rewrite)
    }

    /// Leaves a packet of the present epoch out; what is sent after it closes up.
    pub(crate) fn leave_out(&mut self, packet: &Packet<'_>, d: &Descriptor) {
        let Some(stretch) = self.epochs.last_mut() else { return };
        if packet.seq < stretch.epoch.in_start {
            return;
        }
        let holes = match &mut stretch.holes {
            Some(holes) => holes,
            // Up to the newest packet nothing is missing, and of its picture nothing was left out.
            none => {
                let back = |n: Newest| ExtSeq(stretch.epoch.in_start.0 + n.seq.0 - stretch.epoch.out_start.0);
                let newest = self.newest.filter(|n| n.seq >= stretch.epoch.out_start);
                let before = ExtSeq(stretch.epoch.in_start.0.saturating_sub(1));
                let from = newest.map_or(before, back);
                let id = newest.map(|n| n.picture_id.shifted(stretch.epoch.picture_id_shift.wrapping_neg()));
                none.insert(renewed(self.spare.take(), from, id))
            }
        };
        holes.leave(packet.seq, packet.timestamp);
        if let Some(id) = closing_id(d) {
            holes.leave_picture(id);
        }
    }

    /// The packet just numbered waits.
    pub(crate) fn waits(&mut self, seq: ExtSeq) {
        if self.waiting == 0 {
            // Numbers before it were sent, or will not be given any more.
            let newest = self.newest.map_or(self.first, |n| n.seq);
            self.sent_up_to = if seq == newest { ExtSeq(seq.0.saturating_sub(1)) } else { newest };
        }
        self.waiting += 1;
    }

    /// A packet that waited is sent.
    pub(crate) fn waited(&mut self, seq: ExtSeq) {
        self.waiting = self.waiting.saturating_sub(1);
        self.sent_up_to = self.sent_up_to.max(seq);
    }

    /// What waits will not be sent: its numbers are free. Whoever says so begins the next epoch.
    pub(crate) fn take_back(&mut self) {
        if std::mem::take(&mut self.waiting) == 0 {
            return;
        }
        let sent = self.sent_up_to;
        self.epochs.retain(|s| s.epoch.out_start <= sent);
        self.newest = self.newest.filter(|_| sent >= self.first);
        if let Some(newest) = &mut self.newest {
            (newest.seq, newest.marker) = (sent, false);
        }
    }

    /// What a receiver lost.
    pub(crate) fn sent(&self, sequence: u16) -> Option<Sent> {
        let newest = self.newest?.seq;
        let behind = newest.wire().wrapping_sub(sequence);
        if behind >= 0x8000 {
            return None;
        }
        let out = ExtSeq(newest.0.checked_sub(u64::from(behind))?);
        let Stretch { epoch, holes } = self.epochs.iter().rev().find(|s| s.epoch.out_start <= out)?;
        let closed = ExtSeq(epoch.in_start.0 + (out.0 - epoch.out_start.0));
        let seq = holes.as_ref().map_or(Some(closed), |holes| holes.packet(closed))?;
        Some(Sent { epoch: *epoch, out, seq })
    }

    /// The numbers a packet was sent with.
    pub(crate) fn rewrite(&self, sent: &Sent, packet: &Packet<'_>, d: &Descriptor) -> Option<Rewrite> {
        let same = |s: &&Stretch| s.epoch.out_start == sent.epoch.out_start;
        self.epochs.iter().rev().find(same)?.rewrite(packet, d)
    }

    /// Whether `out` may be repeated now: not again within most of a round trip. Remembers it if so.
    pub(crate) fn may_resend(&mut self, now: Instant, out: ExtSeq, rtt: Duration) -> bool {
        let wait = (rtt * 9 / 10).min(rtt.saturating_sub(Duration::from_millis(5)));
        let resent = self.resent.get_or_insert_with(|| Box::new(Resent { since: now, at: [(0, 0); RESENT] }));
        let number = (out.0 as u32).wrapping_add(1);
        let ms = |time: Duration| time.as_millis() as u32;
        let elapsed = ms(now.duration_since(resent.since));
        let Some((seq, at)) = resent.at.get_mut((out.0 % RESENT as u64) as usize) else { return false };
        if *seq == number && elapsed.wrapping_sub(*at) < ms(wait) {
            return false;
        }
        (*seq, *at) = (number, elapsed);
        true
    }

    /// From here on packets are to be sent these times more.
    pub(crate) fn begin_copies(&mut self, nths: Range<usize>) {
        let newest = self.recent().next().unwrap_or_default();
        self.copied_up_to.get_mut(nths).into_iter().flatten().for_each(|up_to| *up_to = newest);
    }

    /// The oldest of the newest packets that was not sent for the `nth` time more; it counts as if it was from now on.
    pub(crate) fn next_copy(&mut self, nth: usize) -> Option<Sent> {
        let newest = self.recent().next()?;
        // A third one comes after the second.
        let before = nth.checked_sub(1).and_then(|nth| self.copied_up_to.get(nth));
        let last = before.map_or(newest, |before| newest.min(*before));
        let mut at = (*self.copied_up_to.get(nth)?).max(ExtSeq(newest.0.saturating_sub(COPIED)));
        let mut found = None;
        while at < last && found.is_none() {
            at = ExtSeq(at.0 + 1);
            found = self.sent(at.wire());
        }
        *self.copied_up_to.get_mut(nth)? = at;
        found
    }

    /// The SSRC of the RTX stream.
    pub(crate) fn rtx_ssrc(&self) -> Option<Ssrc> {
        self.rtx.map(|r| r.ssrc)
    }

    /// The SSRC and next sequence number of the RTX stream, which is used up by that.
    pub(crate) fn next_rtx(&mut self) -> Option<Numbered> {
        let rtx = self.rtx.as_mut()?;
        let used = *rtx;
        rtx.next = used.next.next();
        Some(used)
    }

    /// Whether it uses an SSRC.
    pub(crate) fn uses(&self, ssrc: Ssrc) -> bool {
        self.ssrc == ssrc || self.rtx_ssrc() == Some(ssrc)
    }

    /// Where its SSRCs have to go on should they come back.
    pub(crate) fn end(&self) -> impl Iterator<Item = Numbered> + use<> {
        let next = self.newest.map_or(self.first, |n| n.seq.next());
        [Some(Numbered { ssrc: self.ssrc, next }), self.rtx].into_iter().flatten()
    }

    /// The numbers of the packets sent last, newest first.
    pub(crate) fn recent(&self) -> impl Iterator<Item = ExtSeq> + use<> {
        let newest = if self.waiting > 0 { Some(self.sent_up_to) } else { self.newest.map(|n| n.seq) };
        let newest =
            newest.filter(|newest| *newest >= self.first).map_or(0..0, |n| n.0.saturating_sub(RECENT)..n.0);
        newest.rev().map(|before| ExtSeq(before + 1))
    }

    /// Timestamp and payload type of the newest packet sent.
    pub(crate) fn last_sent(&self) -> Option<(Timestamp, PayloadNumber)> {
        self.newest.map(|n| (n.timestamp, n.payload_type))
    }

    /// Packets and payload bytes sent, for sender reports; `None` before the first packet.
    pub(crate) fn totals(&self) -> Option<(u32, u32)> {
        self.newest.map(|_| (self.packets, self.octets))
    }
}

impl Stretch {
    /// The numbers of a packet of this epoch; `None` when it is from before, or was left out.
    fn rewrite(&self, packet: &Packet<'_>, d: &Descriptor) -> Option<Rewrite> {
        let Self { epoch, holes } = self;
        let ahead = packet.seq.0.checked_sub(epoch.in_start.0)?;
        let (mut closed, mut pictures, mut marker) = (0, 0, packet.marker);
        if let Some(holes) = holes {
            closed = holes.packets_before(packet.seq)?;
            pictures = closing_id(d).map_or(Some(0), |id| holes.pictures_before(id))?;
            marker |= holes.ends(packet.seq);
        }
        let picture_id = d.picture_id.filter(|p| p.long);
        let picture_id_shift = epoch.picture_id_shift.wrapping_sub(pictures);
        Some(Rewrite {
            seq: ExtSeq((epoch.out_start.0 + ahead).checked_sub(closed)?),
            timestamp: packet.timestamp.shifted(epoch.timestamp_shift),
            picture_id: picture_id.map(|p| p.id.shifted(picture_id_shift)),
            tl0: d.tl0.map(|t| t.index.shifted(epoch.tl0_shift)),
            frame_number: d.frame_number.map(|f| f.shifted(epoch.frame_number_shift)),
            template_shift: epoch.template_shift,
            marker,
            active: None,
        })
    }
}

/// The picture id, where ids have to close up: VP8's tell of pictures that are missing. Other codecs' say what refers to
/// what.
fn closing_id(d: &Descriptor) -> Option<PictureId> {
    let closes = matches!(d.layering, Layering::Vp8 { .. });
    d.picture_id.filter(|_| closes).map(|place| place.id)
}

fn renewed(old: Option<Box<Holes>>, newest: ExtSeq, picture: Option<PictureId>) -> Box<Holes> {
    let new = Holes::new(newest, picture);
    match old {
        Some(mut old) => {
            *old = new;
            old
        }
        None => Box::new(new),
    }
}

/// So many packets back are worth repeating: a key frame, or some ten pictures.
const RECENT: u64 = 32;
/// Packets that may be sent once more: a key picture's, and what comes until the next look.
const COPIED: u64 = 64;
const VIDEO_FRAME: Duration = Duration::from_millis(33);
const AUDIO_FRAME: Duration = Duration::from_millis(20);
/// Half of what roll-over counters can follow.
const MAX_JUMP: u64 = 0x4000;
/// 10 s of video: further ahead of the time that passed is another beginning.
const MAX_STEP: i32 = 900_000;
/// An hour of video: longer pauses look like this, so that the timestamp stays within half its range.
const MAX_FRAMES_IDLE: u128 = 110_000;
