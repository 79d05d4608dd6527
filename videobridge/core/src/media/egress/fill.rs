//! What a probe of a receiver's link is filled up with: the rate to reach in; what was sent last once more, or padding,
//! out.

use std::time::{Duration, Instant};

use jitsi_xmpp::ids::{MediaType, Ssrc};
use videobridge_rtp::RtpFields;

use super::numbers::Numbered;
use super::stream::{Sent, Stream};
use super::{Egress, write};
use crate::media::MediaSink;
use crate::media::ids::{Bitrate, Micros, SourceRef, StreamIx, Timestamp};
use crate::media::ingress::negotiated::Negotiated;

/// What a probe wants now.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fill {
    /// Nothing.
    Not,
    /// The first one: a few packets at once, with nothing in them.
    Burst,
    /// As much as reaches this rate, best beside this stream.
    UpTo(Bitrate, Option<StreamIx>),
}

/// A packet to be sent once more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sendable {
    pub(crate) source: SourceRef,
    /// Of the stream it was sent on.
    pub(crate) ssrc: Ssrc,
    pub(crate) sent: Sent,
}

impl Sendable {
    /// What a stream sent, if it still carries something.
    pub(super) fn of(stream: &Stream, sent: Sent) -> Option<Self> {
        Some(Self { source: stream.source?, ssrc: stream.ssrc, sent })
    }
}

impl Egress {
    /// How to find out now whether the receiver's link carries more; `ideal` = bit/s it would get then, `None` = it gets
    /// all it wants.
    pub(crate) fn fill(
        &mut self,
        (now, time): (Instant, Micros),
        ideal: Option<Bitrate>,
        negotiated: &Negotiated,
    ) -> Fill {
        if self.careful {
            self.set_pace(time);
        }
        if self.estimator.begins_with_burst(time) {
            self.set_pace(time);
            return Fill::Burst;
        }
        let rate = ideal.and_then(|ideal| self.estimator.probing_rate(time, ideal));
        if let Some(rate) = rate {
            // Pictures do not wait because of padding.
            self.pacer.set_rate(time, Some(rate.0 + rate.0 / 4));
        } else if self.padding.is_running() {
            self.set_pace(time);
        }
        self.padding.run(now, rate, MAX_PADDING + PADDING_HEADER);
        rate.map_or(Fill::Not, |rate| Fill::UpTo(rate, self.padding_stream(negotiated)))
    }

    /// Whether something may be sent now to fill up.
    pub(crate) fn room(&self) -> bool {
        self.padding.has_room(MAX_PADDING + PADDING_HEADER)
    }

    /// The newest packet of a stream that has not been repeated for a while. It counts as repeated from now on, as one
    /// that the receiver asked for: asked for in the same moment it is not sent twice.
    pub(crate) fn next_repeat(&mut self, now: Instant, stream: StreamIx) -> Option<Sendable> {
        let rtt = self.rtt.unwrap_or(REPEATED_FOR);
        let stream = self.supply.streams.get_mut(stream)?;
        let sent = stream.recent().find_map(|out| {
            let sent = stream.sent(out.wire())?;
            stream.may_resend(now, sent.out, rtt.max(REPEATED_FOR)).then_some(sent)
        })?;
        Sendable::of(stream, sent)
    }

    /// A stream that padding can go beside.
    fn padding_stream(&self, negotiated: &Negotiated) -> Option<StreamIx> {
        let fits = |s: &Stream| {
            let repeats =
                s.last_sent().is_some_and(|(_, payload_type)| negotiated.rtx(payload_type).is_some());
            s.media == MediaType::Video && s.announced && repeats && s.rtx_ssrc().is_some()
        };
        self.supply.streams.iter().find(|(_, s)| fits(s)).map(|(at, _)| at)
    }

    /// Sends a packet with nothing in it: `beside` a stream, where its retransmissions go, or on the bridge's own SSRC.
    pub(crate) fn pad(
        &mut self,
        time: Micros,
        beside: Option<StreamIx>,
        own_ssrc: Ssrc,
        negotiated: &Negotiated,
        sink: &mut dyn MediaSink,
    ) -> Option<()> {
        let stamps = self.stamps(time, MediaType::Video, negotiated);
        let stream = beside.and_then(|at| self.supply.streams.get_mut(at));
        let repeats = stream.and_then(|s| {
            let (timestamp, payload_type) = s.last_sent()?;
            Some((negotiated.rtx(payload_type)?, timestamp, s.next_rtx()?))
        });
        let (payload_type, timestamp, at) = match repeats {
            Some(beside) => beside,
            None => {
                let at = Numbered { ssrc: own_ssrc, next: self.next_padding };
                self.next_padding = at.next.next();
                (negotiated.any_video()?, Timestamp((time.0 * 9 / 100) as u32), at)
            }
        };
        let (payload_type, sequence, timestamp) = (payload_type.0, at.next.wire(), timestamp.0);
        let fields = RtpFields { marker: false, payload_type, sequence, timestamp, ssrc: at.ssrc.0 };
        let mut header = [0; PADDING_HEADER];
        let len = write::padding_header(&mut header, &fields, negotiated, stamps)?;
        if let Some(sequence) = stamps.transport {
            self.transport_sequence = sequence.wrapping_add(1);
            self.estimator.sent(sequence, time, len + MAX_PADDING);
        }
        self.padding.sent(len + MAX_PADDING);
        self.pacer.sent(len + MAX_PADDING);
        sink.rtp(self.to, [header.get(..len)?, &[], &PADDING]);
        Some(())
    }
}

/// The most padding one packet can have: its length is the last byte.
const MAX_PADDING: usize = 255;
static PADDING: [u8; MAX_PADDING] = {
    let mut bytes = [0; MAX_PADDING];
    bytes[MAX_PADDING - 1] = MAX_PADDING as u8;
    bytes
};
/// Bytes of the header of a padding packet: fixed part, extension head, one stamp.
const PADDING_HEADER: usize = 20;
/// What was repeated is not again within this, or the round trip if that is longer.
const REPEATED_FOR: Duration = Duration::from_millis(200);
