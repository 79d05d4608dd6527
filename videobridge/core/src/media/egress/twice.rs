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
    /// What the receiver is to get was chosen: bit/s of all pictures; by what its link is trusted to carry, and known to lose.
    pub(crate) fn set_target(&mut self, target: Bitrate, carries: Option<Bitrate>, loss: f64) {
        let carries = carries.map_or(0.0, Bitrate::as_f64);
        let room = carries >= target.as_f64() * ROOM;
        let twice = room && loss >= MUCH;
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
        let mut carry = streams.filter(|s| s.media == MediaType::Video && s.announced && s.source.is_some());
        carry.find_map(|stream| {
            stream.rtx_ssrc()?;
            let sent = stream.next_twice()?;
            Sendable::of(stream, sent)
        })
    }
}

/// A link that loses less is repaired by asking.
const MUCH: f64 = 0.08;
/// What has to be carried, of what is sent once.
const ROOM: f64 = 2.2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{EndpointKey, MediaConfig};

    #[test]
    fn pictures_were_sent_twice_by_losses_that_were_not_to_be_trusted() {
        let mut egress = Egress::new(EndpointKey(1), &MediaConfig::default());
        let mut twice = |carries: Option<u64>, loss| {
            egress.set_target(Bitrate(1_000_000), carries.map(Bitrate), loss);
            egress.sends_twice()
        };
        assert!(twice(Some(2_200_000), MUCH));
        assert!(!twice(Some(2_199_000), MUCH), "there is no room");
        assert!(!twice(Some(2_200_000), MUCH - 0.01));
        // So it is without trust in estimates, whatever the estimator thinks.
        assert!(!twice(None, 0.0));
    }
}
