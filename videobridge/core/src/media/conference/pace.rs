//! What waits for a receiver's pacing, and probes of its link: time in, packets out.

use std::time::Instant;

use jitsi_xmpp::ids::MediaType;
use videobridge_rtp::codecs::Descriptor;
use videobridge_rtp::dependency::Head;
use videobridge_rtp::{Extension, Extensions};

use super::MediaConference;
use crate::media::MediaSink;
use crate::media::counters::DropReason;
use crate::media::egress::write::{Kept, Outgoing};
use crate::media::ids::MemberIx;
use crate::media::ingress::negotiated::ExtensionKind;
use crate::media::ingress::source::Source;
use crate::media::packet::Packet;

impl MediaConference {
    /// Sends what may be sent by now to receivers whose packets wait, and padding to those whose links are probed.
    pub(super) fn pace(&mut self, now: Instant, sink: &mut dyn MediaSink) {
        self.clock.paced();
        let time = self.clock.micros(now);
        for (_, member) in self.members.iter_mut().filter(|(_, m)| m.up && m.is_local()) {
            while let Some(paced) = member.egress.next_paced(time) {
                let source = self.sources.get(paced.source.at).filter(|s| s.uid == paced.source.uid);
                let history = source.and_then(|s| s.history.as_ref());
                let stored = history.and_then(|h| h.lookup(paced.encoding, paced.seq));
                let (Some(source), Some(packet)) = (source, stored) else {
                    self.counters.discard(DropReason::NotInHistory);
                    continue;
                };
                let Some(payload) = member.negotiated.payload(packet.payload_type) else { continue };
                let descriptor = describe(source, &packet, payload.codec);
                let kept = Kept::of(&packet, &source.kinds);
                let (packet, descriptor, kept) = (&packet, &descriptor, &kept);
                let outgoing = Outgoing { packet, descriptor, kept, rewrite: paced.rewrite };
                let on = (MediaType::Video, paced.ssrc);
                let to = &member.negotiated;
                let sent = member.egress.send(time, on, &outgoing, to, (&mut self.buffers, sink));
                self.counters.forwarded += u64::from(sent.is_some());
            }
            let (ideal, own) = (member.ideal, self.feedback.video);
            let sent = member.egress.pad((now, time), ideal, own, &member.negotiated, sink);
            self.counters.padding += sent as u64;
            if let Some(wait) = member.egress.pace_again(ideal.is_some()) {
                self.clock.pace_by(now + wait);
            }
        }
    }

    /// Takes back what waits for a receiver when it would come too late: its pictures go on with key frames.
    pub(super) fn give_up_late(&mut self, receiver: MemberIx) {
        let Some(member) = self.members.get_mut(receiver) else { return };
        if !member.egress.is_jammed() {
            return;
        }
        member.egress.give_up_waiting();
        self.members.touch(receiver);
        for (_, source) in self.sources.iter_mut().filter(|(_, s)| s.signalled.media == MediaType::Video) {
            if let Some(route) = source.route_mut(receiver) {
                route.suspend();
            }
        }
    }
}

/// What a stored packet's payload begins with.
pub(super) fn describe(
    source: &Source,
    packet: &Packet<'_>,
    codec: videobridge_rtp::codecs::Codec,
) -> Descriptor {
    let is_dependency = |e: &Extension<'_>| {
        source.kinds.get(usize::from(e.id.wire())) == Some(&Some(ExtensionKind::DependencyDescriptor))
    };
    let dependency = Extensions::new(packet.profile, packet.extensions).find(is_dependency);
    let head = dependency.and_then(|e| Head::parse(e.data));
    Descriptor::parse(codec, packet.payload, head)
}
