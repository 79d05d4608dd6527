//! One source as one receiver gets it: packets of all its encodings in; the packets of one encoding at a time,
//! switching only at key frames, out.

use std::time::{Duration, Instant};

use videobridge_rtp::codecs::Descriptor;

use super::stream::{Rewrite, Stream, Unsent};
use crate::media::counters::DropReason;
use crate::media::ids::{EncodingIx, MemberIx, SourceUid, StreamIx, Timestamp};
use crate::media::keyframes::RequestLimit;
use crate::media::limits::{MAX_ENCODINGS, OWN_KEY_FRAME_REQUESTS};
use crate::media::packet::Packet;

/// A receiver's choice among the encodings of a source.
#[derive(Debug)]
pub(crate) struct Projection {
    /// Who gets it.
    pub(crate) receiver: MemberIx,
    /// Its outgoing stream, once it has one for this source.
    pub(crate) stream: Option<StreamIx>,
    /// The encoding it should get.
    target: EncodingIx,
    /// The encoding it gets.
    current: Option<EncodingIx>,
    needs_key_frame: bool,
    last_group: Option<Instant>,
    /// The newest timestamp seen per encoding, to recognise key frames that come too late.
    newest: [Option<Timestamp>; MAX_ENCODINGS],
    /// Key frame requests of the receiver.
    pub(crate) requests: RequestLimit<RECEIVER_REQUESTS>,
    /// Those for starting and switching: they must not use up what the receiver may ask for when it lost something.
    pub(crate) own_requests: RequestLimit<OWN_KEY_FRAME_REQUESTS>,
}

impl Projection {
    pub(crate) fn new(receiver: MemberIx, stream: Option<StreamIx>, target: EncodingIx) -> Self {
        Self {
            receiver,
            stream,
            target,
            current: None,
            needs_key_frame: true,
            last_group: None,
            newest: [None; MAX_ENCODINGS],
            requests: RequestLimit::default(),
            own_requests: RequestLimit::default(),
        }
    }

    /// Sets the wanted encoding.
    pub(crate) fn set_target(&mut self, target: EncodingIx) {
        self.target = target;
        self.needs_key_frame = self.current != Some(target);
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

    pub(crate) fn target(&self) -> EncodingIx {
        self.target
    }

    pub(crate) fn current(&self) -> Option<EncodingIx> {
        self.current
    }

    /// The encoding a key frame is needed of.
    pub(crate) fn wanted_key_frame(&self) -> Option<EncodingIx> {
        self.needs_key_frame.then_some(self.target)
    }

    /// Decides about a packet. With `gated` a stream starts and switches only at key frames; without, every packet
    /// will do (audio, and codecs the bridge cannot look into).
    pub(crate) fn project(
        &mut self,
        now: Instant,
        stream: &mut Stream,
        (source, encoding): (SourceUid, EncodingIx),
        packet: &Packet<'_>,
        d: &Descriptor,
        gated: bool,
    ) -> Result<Rewrite, DropReason> {
        let late = self.is_late(encoding, packet.timestamp);
        let starts =
            if gated { d.key_frame && !late } else { self.current.is_none() || encoding == self.target };
        if starts && self.accepts(now, stream, encoding, gated) {
            if self.current != Some(encoding) || stream.epoch(source, encoding).is_none() {
                stream.switch(now, source, encoding, packet, d);
            }
            self.current = Some(encoding);
            self.needs_key_frame = false;
            // Groups of key frames are of no use where none is waited for.
            if gated && self.last_group.is_none_or(|at| now.duration_since(at) > GROUP) {
                self.last_group = Some(now);
            }
        }
        match self.current {
            Some(current) if current == encoding => stream.forward(now, packet, d).map_err(|why| match why {
                Unsent::BeforeEpoch => DropReason::BeforeSwitch,
                Unsent::Jump => {
                    self.suspend();
                    DropReason::AwaitingKeyFrame
                }
            }),
            Some(current) => {
                let settled = self.last_group.is_none_or(|at| now.duration_since(at) > GROUP);
                if settled && nearer(encoding, current, self.target) {
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
        let Some(current) = self.current else { return encoding <= self.target || !gated };
        let stalled = || stream.last_used.is_none_or(|at| now.duration_since(at) > GROUP);
        encoding == current
            || nearer(encoding, current, self.target)
            || (encoding <= self.target && stalled())
    }

    fn is_late(&mut self, encoding: EncodingIx, timestamp: Timestamp) -> bool {
        let Some(newest) = self.newest.get_mut(encoding.at()) else { return false };
        if newest.is_some_and(|n| timestamp.is_before(n)) {
            return true;
        }
        *newest = Some(timestamp);
        false
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
