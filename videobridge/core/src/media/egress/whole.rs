//! One source as another bridge gets it: packets of all its encodings in; the same, each encoding on a stream of its own
//! under its own SSRC, out. Which of them its receivers are to see is that bridge's choice.

use std::time::Instant;

use super::filter::{Described, Passed};
use super::stream::{Rewrite, Stream, Unsent};
use crate::media::ids::{EncodingIx, MemberIx, SourceUid, StreamIx};
use crate::media::keyframes::RequestLimit;
use crate::media::limits::{KEY_FRAME_REQUESTS_OF_RELAY, MAX_ENCODINGS};
use crate::media::packet::Packet;

/// A source on its way to a relay.
#[derive(Debug)]
pub(crate) struct Whole {
    /// The relay.
    pub(crate) receiver: MemberIx,
    streams: [Option<StreamIx>; MAX_ENCODINGS],
    /// Whether the packets before went to it, by encoding.
    going_on: [bool; MAX_ENCODINGS],
    /// Key frame requests of all receivers behind it.
    pub(crate) requests: RequestLimit<KEY_FRAME_REQUESTS_OF_RELAY>,
}

impl Whole {
    pub(crate) fn new(receiver: MemberIx) -> Self {
        Self {
            receiver,
            streams: [None; MAX_ENCODINGS],
            going_on: [false; MAX_ENCODINGS],
            requests: RequestLimit::default(),
        }
    }

    /// The stream of an encoding, once it has one.
    pub(crate) fn stream(&self, encoding: EncodingIx) -> Option<StreamIx> {
        self.streams.get(encoding.at()).copied().flatten()
    }

    pub(crate) fn set_stream(&mut self, encoding: EncodingIx, stream: StreamIx) {
        if let Some(slot) = self.streams.get_mut(encoding.at()) {
            *slot = Some(stream);
        }
    }

    /// Nobody there wants it: what is not sent leaves no gap.
    pub(crate) fn pause(&mut self) {
        self.going_on = [false; MAX_ENCODINGS];
    }

    /// The numbers a packet goes out with.
    pub(crate) fn pass(
        &mut self,
        now: Instant,
        stream: &mut Stream,
        (source, encoding): (SourceUid, EncodingIx),
        packet: &Packet<'_>,
        said: &Described<'_>,
    ) -> Result<Rewrite, Unsent> {
        let goes_on = self.going_on.get_mut(encoding.at()).is_some_and(|on| std::mem::replace(on, true));
        if !goes_on || stream.epoch(source, encoding).is_none() {
            stream.resume(source, encoding, packet);
        }
        let passed = || Passed { marker: packet.marker, active: None };
        match stream.forward(now, packet, said, passed()) {
            Err(Unsent::Jump) => {
                stream.resume(source, encoding, packet);
                stream.forward(now, packet, said, passed())
            }
            other => other,
        }
    }
}
