//! The path of one RTP packet: what is it, is it wanted at all, who gets it.

use std::time::{Duration, Instant};

use jitsi_xmpp::ids::{MediaType, Ssrc};
use smallvec::SmallVec;
use videobridge_rtp::codecs::{Codec, Descriptor, Layering};
use videobridge_rtp::dependency::{Frame, Head};
use videobridge_rtp::extension::{AudioLevel, transport_sequence};
use videobridge_rtp::rtcp::feedback;
use videobridge_rtp::{RtpPacket, red, rtx};

use super::MediaConference;
use super::announce::audio_mapping;
use super::export::{Heard, export};
use super::member::Member;
use crate::media::counters::{Counters, DropReason};
use crate::media::egress::Egress;
use crate::media::egress::filter::Described;
use crate::media::egress::paced::Paced;
use crate::media::egress::projection::Projection;
use crate::media::egress::slots::Claim;
use crate::media::egress::speech::SPEECH_AGAIN;
use crate::media::egress::write::{Kept, Outgoing};
use crate::media::history::History;
use crate::media::ids::{
    EncodingIx, MemberIx, PayloadNumber, SourceIx, SourceRef, SourceUid, StreamIx, Timestamp,
};
use crate::media::ingress::loss::Arrival;
use crate::media::ingress::negotiated::{ExtensionKind, Negotiated, Payload, Sound};
use crate::media::ingress::source::{Source, SsrcRole};
use crate::media::ingress::throughput::WINDOW;
use crate::media::limits::{
    AUDIO_PER_ENDPOINT, MAX_ENCODINGS, MAX_MISSING, MAX_RTCP, RTP_PER_ENDPOINT, RTP_PER_RELAY, SPEAKERS_AGAIN,
};
use crate::media::packet::Packet;
use crate::media::speakers::Speakers;
use crate::media::{EndpointKey, MediaSink};

impl MediaConference {
    /// One decrypted RTP packet of an endpoint.
    pub fn handle_rtp(
        &mut self,
        now: Instant,
        from: EndpointKey,
        packet: &mut [u8],
        sink: &mut dyn MediaSink,
    ) {
        self.counters.received += 1;
        self.clock.last_rtp = Some(now);
        self.clock.tick_soon(now);
        if let Err(why) = self.receive(now, from, packet, sink) {
            self.counters.discard(why);
        }
        self.settle(now, sink);
    }

    fn receive(
        &mut self,
        now: Instant,
        from: EndpointKey,
        bytes: &[u8],
        sink: &mut dyn MediaSink,
    ) -> Result<(), DropReason> {
        let view = RtpPacket::parse(bytes).map_err(|_| DropReason::Malformed)?;
        let index = self.members.find(from).ok_or(DropReason::UnknownSsrc)?;
        let member = self.members.get_mut(index).ok_or(DropReason::UnknownSsrc)?;
        let budget = if member.is_local() { &RTP_PER_ENDPOINT } else { &RTP_PER_RELAY };
        if !member.budgets.rtp.take(budget, now, 1) {
            return Err(DropReason::Limit);
        }
        let negotiated = &member.negotiated;
        let payload = negotiated.payload(PayloadNumber(view.payload_type()));
        // Also what cannot be used arrived: unreported it would be a loss to the sender.
        if negotiated.transport_cc()
            && let Some(data) = negotiated.id(ExtensionKind::TransportCc).and_then(|id| view.extension(id))
            && let Some(sequence) = transport_sequence(data)
            && member.arrivals.record(now, sequence, Ssrc(view.ssrc()), view.marker())
        {
            member.arrivals.report(now, self.feedback.video, |rtcp| sink.rtcp(from, rtcp));
        }
        let payload = payload.ok_or(DropReason::UnknownPayloadType)?;
        if member.visitor {
            return Err(DropReason::Visitor);
        }
        match *member.ssrcs.get(&Ssrc(view.ssrc())).ok_or(DropReason::UnknownSsrc)? {
            SsrcRole::Fec => Err(DropReason::Fec),
            SsrcRole::Media { source, encoding } => {
                let inner = (view.sequence(), view.payload());
                let payload = Payload { repeats: None, ..payload };
                let owner = self.sender(now, index, source)?;
                self.receive_media(now, owner, (source, encoding), &view, payload, inner, sink)
            }
            SsrcRole::Rtx { source, encoding } => {
                let repeated = payload.repeats.ok_or(DropReason::BadRtx)?;
                let original = member.negotiated.payload(repeated).ok_or(DropReason::BadRtx)?;
                let s = self.sources.get_mut(source).ok_or(DropReason::UnknownSsrc)?;
                if let Some(e) = s.encoding_mut(encoding) {
                    let seq = e.rtx_sequence.extend(view.sequence());
                    let highest = e.rtx_sequence.newest().unwrap_or(seq);
                    e.rtx_received.packet(now, highest, Timestamp(view.timestamp()), payload.clock_rate);
                }
                // Clients probe with empty retransmissions.
                let inner = rtx::parse(view.payload()).ok_or(DropReason::Padding)?;
                let payload = Payload { repeats: Some(repeated), ..original };
                let owner = self.sender(now, index, source)?;
                self.receive_media(now, owner, (source, encoding), &view, payload, inner, sink)
            }
        }
    }

    /// Whose source this is that came over the transport of `carrier`. Who is behind a relay may cost as much as others.
    fn sender(&mut self, now: Instant, carrier: MemberIx, source: SourceIx) -> Result<MemberIx, DropReason> {
        let owner = self.sources.get(source).ok_or(DropReason::UnknownSsrc)?.owner;
        if owner != carrier {
            let remote = self.members.get_mut(owner).ok_or(DropReason::UnknownSsrc)?;
            if !remote.budgets.rtp.take(&RTP_PER_ENDPOINT, now, 1) {
                return Err(DropReason::Limit);
            }
        }
        Ok(owner)
    }

    /// A packet of a known source; `inner` is the original of a retransmission, whose `payload.repeats` is then set.
    #[allow(clippy::too_many_arguments)] // the facts about one packet
    fn receive_media(
        &mut self,
        now: Instant,
        owner: MemberIx,
        (at, encoding): (SourceIx, EncodingIx),
        view: &RtpPacket<'_>,
        payload: Payload,
        (sequence, body): (u16, &[u8]),
        sink: &mut dyn MediaSink,
    ) -> Result<(), DropReason> {
        let member = self.members.get_mut(owner).ok_or(DropReason::UnknownSsrc)?;
        let source = self.sources.get_mut(at).ok_or(DropReason::UnknownSsrc)?;
        let (media, patience) = (source.signalled.media, source.patience());
        let e = source.encodings.get_mut(encoding.at()).ok_or(DropReason::UnknownSsrc)?;

        let seq = e.sequence.accept(sequence).ok_or(DropReason::Duplicate)?;
        if payload.repeats.is_none() {
            let highest = e.sequence.reported().unwrap_or(seq);
            e.received.packet(now, highest, Timestamp(view.timestamp()), payload.clock_rate);
        }
        let audio_allowed =
            media != MediaType::Audio || member.budgets.audio.take(&AUDIO_PER_ENDPOINT, now, 1);
        if let Some(last) = source.last_packet.replace(now).filter(|_| media == MediaType::Video) {
            let since = now.saturating_duration_since(last);
            // Pauses are none.
            self.counters.video_micros += if since < STANDS { since.as_micros() as u64 } else { 0 };
        }
        let before = e.last_packet.replace(now);
        let mut cut_off = false;
        let [audio_muted, video_muted] = member.muted;
        let extension = |kind| member.negotiated.id(kind).and_then(|id| view.extension(id));

        if media == MediaType::Audio {
            if !audio_allowed {
                e.sequence.close(seq);
                return Err(DropReason::Limit);
            }
            if audio_muted {
                e.sequence.close(seq);
                return Err(DropReason::ForceMuted);
            }
            let level = extension(ExtensionKind::AudioLevel).and_then(AudioLevel::parse);
            if let Some(level) = level.filter(|_| !source.signalled.synthetic) {
                self.speakers.level(now, owner, level.level);
            }
            source.silent = if level.is_some_and(|l| l.level == SILENCE) { source.silent + 1 } else { 0 };
            if self.config.discard_silence && source.silent > self.config.forwarded_silence_packets {
                e.sequence.close(seq);
                return Err(DropReason::Silence);
            }
            if !self.exports.is_empty() && !body.is_empty() {
                let payload_type = payload.repeats.map_or_else(|| view.payload_type(), |number| number.0);
                let heard = Heard { payload_type, sequence, timestamp: view.timestamp(), level, body };
                export(&self.exports, member, source, &heard, sink);
            }
        } else {
            if video_muted {
                e.sequence.close(seq);
                return Err(DropReason::ForceMuted);
            }
            match e.loss.arrived(seq) {
                Arrival::Newest { missing: 0 } | Arrival::Late => {}
                Arrival::Newest { missing } => {
                    self.counters.lost += missing;
                    // What was lost in all that time is too much to be repeated, and a browser that waits for it waits for seconds
                    // before it asks for a whole picture.
                    cut_off = before.is_some_and(|at| now.saturating_duration_since(at) >= CUT_OFF);
                    ask_again(now, source, encoding, member, self.feedback.video, &mut self.counters, sink);
                }
                Arrival::Recovered => self.counters.recovered += u64::from(payload.repeats.is_some()),
            }
        }
        let e = source.encodings.get_mut(encoding.at()).ok_or(DropReason::UnknownSsrc)?;
        if body.is_empty() {
            e.sequence.close(seq);
            return Err(DropReason::Padding);
        }
        e.rate.add(now, view.header_len() + body.len());
        let woke = !std::mem::replace(&mut e.active, true);
        let timestamp = Timestamp(view.timestamp());
        let evened = match media {
            MediaType::Video => e.even.padding(timestamp, body.len(), view.marker()),
            MediaType::Audio => 0,
        };
        let packet = Packet {
            seq: e.sequence.without_gaps(seq),
            timestamp,
            payload_type: payload.repeats.unwrap_or_else(|| PayloadNumber(view.payload_type())),
            marker: view.marker(),
            profile: view.extension_profile(),
            extensions: view.extension_bytes(),
            payload: body,
            evened,
        };
        let dependency = extension(ExtensionKind::DependencyDescriptor);
        let head = dependency.and_then(Head::parse);
        let mut descriptor = Descriptor::parse(payload.codec, body, head);
        let frame = dependency.and_then(|dd| e.structures.read(packet.seq, dd));
        if let Some(frame) = &frame {
            descriptor = descriptor.described_by(frame);
        }
        descriptor.key_frame &= !e.is_late(packet.seq, packet.timestamp);
        let mut changed = woke && media == MediaType::Video;
        if descriptor.layering != Layering::None {
            let said =
                Described { descriptor: &descriptor, frame: frame.as_ref().zip(e.structures.at(packet.seq)) };
            changed |= e.layers.learn(body, &descriptor, said.frame);
            changed |= e.layers.add(now, view.header_len() + body.len(), &said, patience);
        }
        if descriptor.key_frame {
            self.counters.key_frames += 1;
            if let Some(height) = descriptor.height.map(i32::from).filter(|h| *h > 0 && *h != e.height) {
                e.height = height;
                changed = true;
            }
        }
        if changed {
            self.counters.layering_changes += 1;
            e.measured_at = Some(now + WINDOW);
        }
        if media == MediaType::Video {
            let encodings = source.encodings.len();
            source.history.get_or_insert_with(|| History::new(encodings)).insert(encoding, &packet);
        }
        if woke && media == MediaType::Video {
            // Requests made while nothing came were in vain.
            source.routes.iter_mut().for_each(Projection::forget_requests);
        }
        if changed {
            // With the next tick: layers wake one after another, and each allocation would ask for key frames.
            member.news = true;
        }
        let plain = if payload.sound == Sound::Redundant { plain(&packet) } else { None };
        let packets = (&packet, plain.as_ref());
        self.forward(now, (at, encoding), payload.codec, packets, (&descriptor, frame.as_ref()), sink);
        if cut_off && !descriptor.key_frame && self.is_shown(at, encoding) {
            self.ask_key_frame(now, at, encoding, sink);
        }
        Ok(())
    }

    /// Whether anybody gets this encoding now.
    fn is_shown(&self, at: SourceIx, encoding: EncodingIx) -> bool {
        self.sources.get(at).is_some_and(|s| s.routes.iter().any(|route| route.current() == Some(encoding)))
    }

    /// Hands a packet to everybody who gets this source now; in its `plain` form to those who do not know the other.
    fn forward(
        &mut self,
        now: Instant,
        (at, encoding): (SourceIx, EncodingIx),
        codec: Codec,
        (packet, plain): (&Packet<'_>, Option<&Packet<'_>>),
        (descriptor, frame): (&Descriptor, Option<&Frame>),
        sink: &mut dyn MediaSink,
    ) {
        let Some(source) = self.sources.get_mut(at) else { return };
        let (uid, media) = (source.uid, source.signalled.media);
        let gated = codec != Codec::Other || descriptor.frame_number.is_some();
        let structures = source.encodings.get(encoding.at()).map(|e| &e.structures);
        let structure = structures.and_then(|s| s.at(packet.seq));
        let said = Described { descriptor, frame: frame.zip(structure) };
        let (time, kept) = (self.clock.micros(now), Kept::of(packet, &source.kinds));
        let mut wanted = [false; MAX_ENCODINGS];
        let mut jammed = false;
        for route in &mut source.routes {
            // Before anything of the receiver is looked at: of three encodings it gets one.
            if gated && !descriptor.key_frame && route.is_beside(encoding) {
                self.counters.discard(DropReason::NotSelected);
                continue;
            }
            let Some(member) = self.members.get_mut(route.receiver).filter(|m| m.up) else { continue };
            let Some(packet) = understood(&member.negotiated, (packet, plain)) else {
                self.counters.discard(DropReason::NotNegotiated);
                continue;
            };
            let egress = &mut member.egress;
            if route.stream.is_none_or(|s| !carries(egress, s, uid)) {
                route.stream = None;
                route.suspend();
                // Audio gets its slot with its first packet; video has one or will not get one now.
                if media == MediaType::Audio && member.rewriting {
                    let ssrc = source.encodings.first().map_or(Ssrc(0), |e| e.ssrc);
                    let claim = Claim { source: SourceRef { uid, at }, owner: source.owner, ssrc };
                    let slot = egress.assign(now, media, claim, &mut self.entropy, |_| false);
                    route.stream = slot.map(|(slot, _)| slot);
                }
            }
            let takes_part = route.current().is_none_or(|current| current == encoding);
            if gated && takes_part && route.is_held() {
                route.suspend();
                self.counters.discard(DropReason::Congested);
                continue;
            }
            // Speech never waits.
            let waits = media == MediaType::Video && egress.must_wait(time);
            if waits && gated && takes_part && egress.is_jammed() {
                // Later packets would come too late as well. It goes on with a key frame when there is room.
                if route.current().is_some() {
                    route.suspend();
                    // Maybe less was chosen meanwhile than what it gets.
                    member.stale = true;
                    jammed = true;
                }
                self.counters.discard(DropReason::Congested);
                continue;
            }
            let Some(stream) = route.stream.and_then(|slot| egress.stream_mut(slot)) else {
                self.counters.discard(DropReason::NoSlot);
                continue;
            };
            if !stream.announced {
                // The client has to know what an SSRC carries before it sees a packet of it.
                let may_tell = member.channel && media == MediaType::Audio && !member.behind;
                let mapping = || audio_mapping(&source.signalled.name, &source.owner_id, stream.ssrc);
                stream.announced = may_tell && sink.message(member.key, &mapping());
                member.behind |= may_tell && !stream.announced;
                if !stream.announced {
                    self.counters.discard(DropReason::NoSlot);
                    continue;
                }
            }
            match route.project(now, stream, (uid, encoding), packet, &said, gated) {
                Ok(rewrite) if waits => {
                    let (source, seq, ssrc) = (SourceRef { uid, at }, packet.seq, stream.ssrc);
                    let seq_out = rewrite.seq;
                    let bytes = packet.payload.len()
                        + packet.extensions.len()
                        + usize::from(packet.evened)
                        + WAITING_HEADER;
                    stream.waits(seq_out);
                    if egress.wait(Paced { source, encoding, seq, ssrc, rewrite, bytes }) {
                        member.stale = true;
                        jammed = true;
                    }
                    self.clock.pace_by(now + PACE);
                }
                Ok(rewrite) => {
                    let outgoing = Outgoing { packet, descriptor, kept: &kept, rewrite };
                    let on = (media, stream.ssrc);
                    let to = &member.negotiated;
                    let again = media == MediaType::Audio
                        && egress.repeats_speech()
                        && speaks(&self.speakers, source.owner);
                    let sent = if again {
                        self.clock.pace_by(now + SPEECH_AGAIN);
                        egress.send_speech(time, on.1, &outgoing, to, (&mut self.buffers, sink))
                    } else {
                        egress.send(time, on, &outgoing, to, (&mut self.buffers, sink))
                    };
                    if sent.is_some() {
                        self.counters.forwarded += 1;
                    }
                }
                Err(why) => self.counters.discard(why),
            }
            if gated
                && let Some(encoding) = route.wanted_key_frame(now)
                && route.own_requests.allow_own(now)
                && let Some(flag) = wanted.get_mut(encoding.at())
            {
                *flag = true;
            }
        }
        if jammed {
            self.members.settling(true);
            self.clock.tick_soon(now);
        }
        if !self.members.relays().is_empty() {
            self.forward_to_relays(now, (at, encoding), (packet, plain), descriptor, &kept, sink);
        }
        for (encoding, _) in (0..).map(EncodingIx).zip(wanted).filter(|(_, wanted)| *wanted) {
            self.ask_key_frame(now, at, encoding, sink);
        }
    }
}

/// Redundant audio (RFC 2198) without what is redundant: the newest block as a packet of its own.
fn plain<'a>(packet: &Packet<'a>) -> Option<Packet<'a>> {
    let (number, newest) = red::newest(packet.payload).filter(|(_, newest)| !newest.is_empty())?;
    Some(Packet { payload_type: PayloadNumber(number), payload: newest, ..*packet })
}

/// The first of a packet's forms that a receiver knows.
///
/// compat: as upstream, redundant audio passes as it is, and is taken apart for those who do not know it
/// (test: who_did_not_know_redundant_audio_heard_nothing).
pub(super) fn understood<'p, 'a>(
    to: &Negotiated,
    (packet, plain): (&'p Packet<'a>, Option<&'p Packet<'a>>),
) -> Option<&'p Packet<'a>> {
    let known = |packet: &&Packet<'_>| to.knows(packet.payload_type);
    Some(packet).filter(known).or_else(|| plain.filter(known))
}

/// Whether somebody is among those who spoke last.
fn speaks(speakers: &Speakers, who: MemberIx) -> bool {
    speakers.order().iter().take(SPEAKERS_AGAIN).any(|one| *one == who)
}

/// Whether a stream of a receiver is the one for this source now.
pub(super) fn carries(egress: &Egress, stream: StreamIx, source: SourceUid) -> bool {
    egress.stream(stream).is_some_and(|s| s.source.is_some_and(|s| s.uid == source))
}

/// Asks the owner for everything of an encoding that is missing and due.
pub(super) fn ask_again(
    now: Instant,
    source: &mut Source,
    encoding: EncodingIx,
    owner: &Member,
    sender: Ssrc,
    counters: &mut Counters,
    sink: &mut dyn MediaSink,
) {
    let Some(e) = source.encodings.get_mut(encoding.at()) else { return };
    let mut missing: SmallVec<[u16; MAX_MISSING]> = SmallVec::new();
    e.loss.due(now, |seq| missing.push(seq));
    let mut buf = [0; MAX_RTCP];
    if let Some((len, taken)) = feedback::write_nack(&mut buf, sender.0, e.ssrc.0, &missing) {
        counters.nacks_sent += taken as u64;
        sink.rtcp(owner.key, buf.get(..len).unwrap_or_default());
    }
}

/// Nothing of an encoding for this long and then a gap: its sender was cut off. Browsers keep what they sent for a second at most.
const CUT_OFF: Duration = Duration::from_millis(500);

/// Video of which nothing comes for this long stands still. A shared screen has a picture each second.
const STANDS: Duration = Duration::from_secs(2);

/// Bytes of the header of a packet that waits, about.
const WAITING_HEADER: usize = 20;
/// How soon what waits is looked at.
const PACE: Duration = Duration::from_millis(5);
/// The audio level that means digital silence.
const SILENCE: u8 = 127;
