//! How much a link loses by itself and what it is said to carry in; what was just sent and is sent once or twice more, out.
//!
//! Whoever loses a fifth of all packets loses something of most pictures, and often what is sent again as well. Where there is
//! room for it every packet of a picture is sent a second time, beside its stream as a retransmission: a twenty-fifth is lost
//! then, and pictures do not wait a round trip or two. Of pictures of seven packets that is still a quarter; so the worst links get
//! a third one.

use jitsi_xmpp::ids::MediaType;

use super::Egress;
use super::fill::Sendable;
use crate::media::ids::{Bitrate, Micros};

/// How often a packet may be sent besides the first time.
pub(crate) const MOST_COPIES: usize = 2;

impl Egress {
    /// What the receiver is to get was chosen: bit/s of all pictures; by what its link is trusted to carry, and known to lose.
    pub(crate) fn set_target(&mut self, target: Bitrate, carries: Option<Bitrate>, loss: f64) {
        let room = carries.map_or(0.0, Bitrate::as_f64) / target.as_f64().max(1.0);
        let fits = |(least_loss, least_room): &&(f64, f64)| loss >= *least_loss && room >= *least_room;
        let copies = COPIES.iter().take_while(fits).count();
        if copies > self.copies {
            let begun = self.copies..copies;
            self.supply.streams.iter_mut().for_each(|(_, stream)| stream.begin_copies(begun.clone()));
        }
        self.copies = copies;
    }

    /// How often everything is sent besides the first time.
    pub(crate) const fn copies(&self) -> usize {
        self.copies
    }

    /// The next packet to be sent for the `nth` time besides the first, from 0; it is not asked about again.
    pub(crate) fn next_copy(&mut self, time: Micros, nth: usize) -> Option<Sendable> {
        if nth >= self.copies || !self.pacer.is_open(time) {
            return None;
        }
        let streams = self.supply.streams.iter_mut().map(|(_, s)| s);
        let mut carry = streams.filter(|s| s.media == MediaType::Video && s.announced && s.source.is_some());
        carry.find_map(|stream| {
            stream.rtx_ssrc()?;
            let sent = stream.next_copy(nth)?;
            Sendable::of(stream, sent)
        })
    }
}

/// For each further copy: the share that has to be lost, as a link that loses less is repaired by asking; and how many times what is
/// sent once has to be carried.
const COPIES: [(f64, f64); MOST_COPIES] = [(0.08, 2.2), (0.15, 3.3)];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{EndpointKey, MediaConfig};

    #[test]
    fn pictures_were_sent_twice_by_losses_that_were_not_to_be_trusted() {
        let mut egress = Egress::new(EndpointKey(1), &MediaConfig::default());
        let mut copies = |carries: Option<u64>, loss| {
            egress.set_target(Bitrate(1_000_000), carries.map(Bitrate), loss);
            egress.copies()
        };
        assert_eq!(copies(Some(2_200_000), 0.08), 1);
        assert_eq!(copies(Some(2_199_000), 0.08), 0, "there is no room");
        assert_eq!(copies(Some(2_200_000), 0.079), 0);
        assert_eq!(copies(Some(3_300_000), 0.149), 1);
        assert_eq!(copies(Some(3_300_000), 0.15), 2);
        assert_eq!(copies(Some(3_299_000), 0.15), 1, "there is room for one");
        // So it is without trust in estimates, whatever the estimator thinks.
        assert_eq!(copies(None, 0.0), 0);
    }
}
