//! One source as one receiver gets it: packets of all its encodings in; the packets of one encoding at a time, of the
//! layers it gets of that, out. Encodings are switched at key frames; how layers are is in [`Filter`].

use std::cmp::Ordering;
use std::time::{Duration, Instant};

use videobridge_rtp::codecs::Layering;

use super::filter::{Described, Filter, Passed, Wish};
use super::stream::{Rewrite, Stream, Unsent};
use crate::media::allocation::LayerId;
use crate::media::counters::DropReason;
use crate::media::ids::{EncodingIx, MemberIx, SourceUid, StreamIx};
use crate::media::keyframes::RequestLimit;
use crate::media::limits::OWN_KEY_FRAME_REQUESTS;
use crate::media::packet::Packet;

/// A receiver's choice among the encodings of a source.
#[derive(Debug)]
pub(crate) struct Projection {
    /// Who gets it.
    pub(crate) receiver: MemberIx,
    /// Its outgoing stream, once it has one for this source.
    pub(crate) stream: Option<StreamIx>,
    /// The layer it should get.
    target: LayerId,
    /// The encoding it gets.
    current: Option<EncodingIx>,
    /// Which layers of it; only where there are any.
    filter: Option<Box<Filter>>,
    needs_key_frame: bool,
    /// Until a long queue is gone it gets nothing.
    held: bool,
    last_group: Option<Instant>,
    /// Key frame requests of the receiver.
    pub(crate) requests: RequestLimit<RECEIVER_REQUESTS>,
    /// Those for starting and switching: they must not use up what the receiver may ask for when it lost something.
    pub(crate) own_requests: RequestLimit<OWN_KEY_FRAME_REQUESTS>,
}

impl Projection {
    pub(crate) fn new(receiver: MemberIx, stream: Option<StreamIx>, target: LayerId) -> Self {
        Self {
            receiver,
            stream,
            target,
            current: None,
            filter: None,
            needs_key_frame: true,
            held: false,
            last_group: None,
            requests: RequestLimit::default(),
            own_requests: RequestLimit::default(),
        }
    }

    /// Sets the wanted layer.
    pub(crate) fn set_target(&mut self, target: LayerId) {
        self.target = target;
        self.needs_key_frame = self.current != Some(target.encoding);
    }

    /// Whether it waits for others for a moment, without anything asked for.
    pub(crate) fn hold(&mut self, held: bool) {
        self.held = held;
    }

    pub(crate) fn is_held(&self) -> bool {
        self.held
    }

    /// Stops at once; going on needs a key frame.
    pub(crate) fn suspend(&mut self) {
        self.current = None;
        self.needs_key_frame = true;
    }

    /// What was asked for so far was in vain, as the sender was gone. Nothing a receiver can bring about calls for this:
    /// it could ask without end.
    pub(crate) fn forget_requests(&mut self) {
        (self.requests, self.own_requests) = (RequestLimit::default(), RequestLimit::default());
    }

    /// The layer it should get.
    pub(crate) fn layer(&self) -> LayerId {
        self.target
    }

    pub(crate) fn target(&self) -> EncodingIx {
        self.target.encoding
    }

    pub(crate) fn current(&self) -> Option<EncodingIx> {
        self.current
    }

    /// The encoding a key frame is needed of.
    pub(crate) fn wanted_key_frame(&self, now: Instant) -> Option<EncodingIx> {
        let within = || self.filter.as_ref().is_some_and(|filter| filter.needs_key_frame(now));
        (self.needs_key_frame || within()).then_some(self.target.encoding)
    }

    /// What is wanted of the encoding it gets: while it waits for a lower one as little as possible.
    fn wish(&self, current: EncodingIx) -> Wish {
        let LayerId { encoding, spatial, temporal } = self.target;
        match current.cmp(&encoding) {
            Ordering::Equal => Wish { spatial, temporal },
            Ordering::Less => Wish::ALL,
            Ordering::Greater => Wish::SLOWEST,
        }
    }

    /// Whether a packet that begins nothing changes nothing here: it gets what it should, and that is another encoding.
    pub(crate) fn is_beside(&self, encoding: EncodingIx) -> bool {
        let settled = self.current == Some(self.target.encoding) && !self.needs_key_frame;
        settled && encoding != self.target.encoding
    }

    /// Decides about a packet. With `gated` a stream starts and switches only at key frames; without, every packet
    /// will do (audio, and codecs the bridge cannot look into).
    pub(crate) fn project(
        &mut self,
        now: Instant,
        stream: &mut Stream,
        (source, encoding): (SourceUid, EncodingIx),
        packet: &Packet<'_>,
        said: &Described<'_>,
        gated: bool,
    ) -> Result<Rewrite, DropReason> {
        let d = said.descriptor;
        let target = self.target.encoding;
        let starts = if gated { d.key_frame } else { self.current.is_none() || encoding == target };
        if starts && self.accepts(now, stream, encoding, gated) {
            if self.current != Some(encoding)
                || stream.epoch(source, encoding).is_none()
                || (gated && stream.breaks_off(now, packet, d))
            {
                stream.switch(now, source, encoding, packet, said);
                self.filter.iter_mut().for_each(|filter| filter.begin());
            }
            self.current = Some(encoding);
            self.needs_key_frame = false;
            // Groups of key frames are of no use where none is waited for.
            if gated && self.last_group.is_none_or(|at| now.duration_since(at) > GROUP) {
                self.last_group = Some(now);
            }
        }
        match self.current {
            Some(current) if current == encoding => {
                let passed = if d.layering == Layering::None {
                    let filter = self.filter.as_mut().filter(|_| d.frame_number.is_some());
                    if filter.is_some_and(|filter| !filter.pass_unread(now, packet, d)) {
                        stream.leave_out(packet, d);
                        return Err(DropReason::NotSelected);
                    }
                    Passed { marker: packet.marker, active: None }
                } else {
                    let wish = self.wish(current);
                    let filter = self.filter.get_or_insert_with(Box::default);
                    let Some(passed) = filter.admit(now, packet, said, wish) else {
                        stream.leave_out(packet, d);
                        return Err(DropReason::NotSelected);
                    };
                    passed
                };
                stream.forward(now, packet, said, passed).map_err(|why| match why {
                    Unsent::BeforeEpoch => DropReason::BeforeSwitch,
                    Unsent::Jump => {
                        self.suspend();
                        DropReason::AwaitingKeyFrame
                    }
                })
            }
            Some(current) => {
                let settled = || self.last_group.is_none_or(|at| now.duration_since(at) > GROUP);
                if nearer(encoding, current, target) && settled() {
                    self.needs_key_frame = true;
                }
                Err(DropReason::NotSelected)
            }
            None => {
                self.needs_key_frame = true;
                Err(DropReason::AwaitingKeyFrame)
            }
        }
    }

    /// Whether a key frame of `encoding` is better than what the receiver gets now. Upstream also steps down to
    /// every lower key frame of a group and up again; staying saves two switches and looks the same.
    fn accepts(&self, now: Instant, stream: &Stream, encoding: EncodingIx, gated: bool) -> bool {
        let Some(current) = self.current else { return encoding <= self.target.encoding || !gated };
        let stalled = || stream.last_used.is_none_or(|at| now.duration_since(at) > GROUP);
        encoding == current
            || nearer(encoding, current, self.target.encoding)
            || (encoding <= self.target.encoding && stalled())
    }
}

/// Whether `encoding` is between `current` and `target`, or the target itself.
fn nearer(encoding: EncodingIx, current: EncodingIx, target: EncodingIx) -> bool {
    (current < encoding && encoding <= target) || (target <= encoding && encoding < current)
}

/// Key frames a receiver may ask for of one source in 10 s; upstream's.
const RECEIVER_REQUESTS: usize = 3;
/// Key frames of all encodings asked for together arrive within this time.
const GROUP: Duration = Duration::from_millis(300);
