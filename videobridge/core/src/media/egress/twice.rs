//! How much a link loses by itself and what it is said to carry in; what was just sent and is sent once more, out.
//!
//! Whoever loses a fifth of all packets loses something of most pictures, and often what is sent again as well. Where there is
//! room for it every packet of a picture is sent a second time, beside its stream as a retransmission: a twenty-fifth is lost
//! then, and pictures do not wait a round trip or two.

use jitsi_xmpp::ids::MediaType;

use super::Egress;
use super::fill::Sendable;
use crate::media::ids::{Bitrate, Micros};

impl Egress {
    /// What the receiver is to get was chosen: bit/s of all pictures.
    pub(crate) fn set_target(&mut self, target: Bitrate) {
        let carries = self.estimator.applied().map_or(0.0, Bitrate::as_f64);
        let room = carries >= target.as_f64() * ROOM;
        let twice = room && self.estimator.applied_loss() >= MUCH;
        if twice && !self.twice {
            self.supply.streams.iter_mut().for_each(|(_, stream)| stream.begin_twice());
        }
        self.twice = twice;
    }

    /// Whether everything is sent twice.
    pub(crate) const fn sends_twice(&self) -> bool {
        self.twice
    }

    /// The next packet that is sent a second time; it is not asked about again.
    pub(crate) fn next_twice(&mut self, time: Micros) -> Option<Sendable> {
        if !self.twice || !self.pacer.is_open(time) {
            return None;
        }
        let streams = self.supply.streams.iter_mut().map(|(_, s)| s);
        for stream in streams.filter(|s| s.media == MediaType::Video && s.announced) {
            let Some(source) = stream.source.filter(|_| stream.rtx_ssrc().is_some()) else { continue };
            if let Some(sent) = stream.next_twice() {
                return Some(Sendable { source, ssrc: stream.ssrc, sent });
            }
        }
        None
    }
}

/// A link that loses less is repaired by asking.
const MUCH: f64 = 0.08;
/// What has to be carried, of what is sent once.
const ROOM: f64 = 2.2;
