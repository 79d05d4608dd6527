//! Rewriting packets of other codecs than VP8, header extension forms, and streams that start anew.

use std::time::{Duration, Instant};

use jitsi_xmpp::ids::{MediaType, Ssrc};
use jitsi_xmpp::jingle::{HeaderExtension, PayloadType, RtcpFeedback};
use videobridge_rtp::codecs::{Codec, Descriptor};
use videobridge_rtp::dependency::Head;
use videobridge_rtp::{ExtSeq, ExtensionId, RtpPacket};

use super::filter::{Described, Passed};
use super::numbers::Numbered;
use super::projection::Projection;
use super::stream::Stream;
use super::write::{Buffers, Kept, Outgoing, Retransmission, Stamps, Written};
use crate::media::DropReason;
use crate::media::allocation::LayerId;
use crate::media::ids::{EncodingIx, MemberIx, PayloadNumber, SourceUid, StreamIx, Timestamp};
use crate::media::ingress::negotiated::{ExtensionKind, Negotiated};
use crate::media::limits::{EPOCHS, MAX_HEADER, RESENT};
use crate::media::packet::Packet;

const DD: &str = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";

fn negotiated(extensions: &[(u8, &str)]) -> Negotiated {
    let mut out = Negotiated::default();
    let list: Vec<_> = extensions.iter().map(|(id, uri)| HeaderExtension::new(*id, *uri)).collect();
    out.add_header_extensions(&list);
    out
}

fn packet<'a>(seq: u64, profile: u16, extensions: &'a [u8], payload: &'a [u8]) -> Packet<'a> {
    let (seq, timestamp) = (ExtSeq(seq), Timestamp(seq as u32 * 100));
    Packet {
        seq,
        timestamp,
        payload_type: PayloadNumber(41),
        marker: true,
        profile,
        extensions,
        payload,
        evened: 0,
    }
}

/// Every packet of these tests has the marker bit.
const MARKED: Passed = Passed { marker: true, active: None };

fn alone(descriptor: &Descriptor) -> Described<'_> {
    Described { descriptor, frame: None }
}

/// Sends a packet of `encoding` through a stream and returns what is on the wire.
fn through(
    stream: &mut Stream,
    packet: &Packet<'_>,
    codec: Codec,
    sender: &Negotiated,
    to: &Negotiated,
) -> Vec<u8> {
    let view = videobridge_rtp::Extensions::new(packet.profile, packet.extensions);
    let dd = sender.id(ExtensionKind::DependencyDescriptor).and_then(|id| view.clone().find(|e| e.id == id));
    let head = dd.and_then(|e| Head::parse(e.data));
    let d = Descriptor::parse(codec, packet.payload, head);
    let now = Instant::now();
    if d.key_frame || head.is_some_and(|head| head.has_structure) {
        stream.switch(now, SourceUid(1), EncodingIx::FIRST, packet, &alone(&d));
    }
    let rewrite = stream.forward(now, packet, &alone(&d), MARKED).unwrap();
    let kept = Kept::of(packet, &sender.kinds);
    let outgoing = Outgoing { packet, descriptor: &d, kept: &kept, rewrite };
    let mut buffers = Buffers::default();
    let w = Written::new(&mut buffers, &outgoing, stream.ssrc, None, to, Stamps::default()).unwrap();
    w.parts().concat()
}

#[test]
fn av1_frame_numbers_go_on_across_switches_and_long_descriptors_use_the_two_byte_form() {
    let (sender, to) = (negotiated(&[(11, DD)]), negotiated(&[(12, DD)]));
    let mut stream = Stream::new(MediaType::Video, Numbered { ssrc: Ssrc(7), next: ExtSeq(1) }, None);
    let mut key = vec![11, 23, 0x80, 0x01, 0x00, 0x80];
    key.resize(25, 0xaa);
    let first = through(&mut stream, &packet(5, 0x1000, &key, b"obu"), Codec::Av1, &sender, &to);
    let first = RtpPacket::parse(&first).unwrap();
    assert_eq!(first.extension_profile(), 0x1000);
    assert_eq!(
        first.extension(ExtensionId::new(12).unwrap()).unwrap(),
        &key[2..],
        "the first packet is as it was"
    );
    // Another sender whose numbers are elsewhere.
    key[3..5].copy_from_slice(&[0x77, 0x00]);
    let next = through(&mut stream, &packet(90, 0x1000, &key, b"obu"), Codec::Av1, &sender, &to);
    let next = RtpPacket::parse(&next).unwrap();
    assert_eq!(next.extension(ExtensionId::new(12).unwrap()).unwrap()[1..3], [0x01, 0x01]);
    let short = [0xb2, 0x80, 0x77, 0x01];
    let delta = through(&mut stream, &packet(91, 0xbede, &short, b"obu"), Codec::Av1, &sender, &to);
    let delta = RtpPacket::parse(&delta).unwrap();
    assert_eq!(
        (delta.extension_profile(), delta.extension(ExtensionId::new(12).unwrap()).unwrap()),
        (0xbede, &[0x80, 0x01, 0x02][..])
    );
    assert_eq!(delta.sequence(), next.sequence() + 1);
}

#[test]
fn vp9_picture_ids_go_on_across_switches() {
    let none = Negotiated::default();
    let mut stream = Stream::new(MediaType::Video, Numbered { ssrc: Ssrc(7), next: ExtSeq(1) }, None);
    let key = |id: u16, tl0: u8| {
        let [hi, lo] = (0x8000 | id).to_be_bytes();
        vec![0xa8, hi, lo, 0x00, tl0, 1, 2, 3]
    };
    through(&mut stream, &packet(5, 0, &[], &key(0x7fff, 255)), Codec::Vp9, &none, &none);
    let next = through(&mut stream, &packet(900, 0, &[], &key(77, 7)), Codec::Vp9, &none, &none);
    assert_eq!(RtpPacket::parse(&next).unwrap().payload(), key(0, 0));
}

#[test]
fn short_picture_ids_are_left_alone() {
    let none = Negotiated::default();
    let mut stream = Stream::new(MediaType::Video, Numbered { ssrc: Ssrc(7), next: ExtSeq(1) }, None);
    let key = |id: u8| vec![0x90, 0x80, id, 0x10, 0, 0, 0x9d, 1, 0x2a, 0, 1, 0, 1];
    through(&mut stream, &packet(5, 0, &[], &key(100)), Codec::Vp8, &none, &none);
    let next = through(&mut stream, &packet(900, 0, &[], &key(3)), Codec::Vp8, &none, &none);
    assert_eq!(RtpPacket::parse(&next).unwrap().payload(), key(3));
}

#[test]
fn extensions_that_do_not_fit_the_header_are_left_out() {
    let (sender, to) = (negotiated(&[(11, DD)]), negotiated(&[(11, DD)]));
    let mut stream = Stream::new(MediaType::Video, Numbered { ssrc: Ssrc(7), next: ExtSeq(1) }, None);
    for (len, kept) in [(200, true), (201, false)] {
        let mut key = vec![11, len, 0x80, 0x01, 0x00, 0x80];
        key.resize(2 + usize::from(len), 0);
        let sent = through(&mut stream, &packet(5, 0x1000, &key, b"obu"), Codec::Av1, &sender, &to);
        let sent = RtpPacket::parse(&sent).unwrap();
        assert_eq!(sent.extension(ExtensionId::new(11).unwrap()).is_some(), kept, "{len}");
        assert!(sent.header_len() <= MAX_HEADER);
    }
}

#[test]
fn codecs_without_insight_start_and_resume_at_once_and_time_goes_on() {
    let now = Instant::now();
    let mut stream = Stream::new(MediaType::Video, Numbered { ssrc: Ssrc(7), next: ExtSeq(10) }, None);
    let everything = LayerId::all_of(EncodingIx::FIRST);
    let mut projection = Projection::new(MemberIx(0), Some(StreamIx(0)), everything);
    let d = Descriptor::default();
    let a = projection
        .project(
            now,
            &mut stream,
            (SourceUid(1), EncodingIx::FIRST),
            &packet(500, 0, &[], b"x"),
            &alone(&d),
            false,
        )
        .unwrap();
    assert_eq!((a.seq, a.timestamp), (ExtSeq(10), Timestamp(50_000)));
    projection.suspend();
    let later = now + Duration::from_millis(3300);
    let b = projection
        .project(
            later,
            &mut stream,
            (SourceUid(1), EncodingIx::FIRST),
            &packet(700, 0, &[], b"x"),
            &alone(&d),
            false,
        )
        .unwrap();
    assert_eq!((b.seq, b.timestamp), (ExtSeq(11), Timestamp(50_000 + 100 * 3000)));
    let old = projection.project(
        later,
        &mut stream,
        (SourceUid(1), EncodingIx::FIRST),
        &packet(699, 0, &[], b"x"),
        &alone(&d),
        false,
    );
    assert_eq!(old, Err(DropReason::BeforeSwitch));
}

#[test]
fn a_pause_of_vp9_and_av1_is_as_long_in_timestamps() {
    let (negotiated, none) = (negotiated(&[(11, DD)]), Negotiated::default());
    let av1 = [&[11, 6, 0x80, 0x01, 0x00, 0x80, 0xaa, 0xaa][..], &[0; 4]].concat();
    let vp9 = [0xa8, 0x80, 1, 0x00, 1, 1, 2, 3];
    for (codec, sender, profile, extensions, payload) in
        [(Codec::Av1, &negotiated, 0x1000, &av1[..], &b"obu"[..]), (Codec::Vp9, &none, 0, &[], &vp9[..])]
    {
        let mut stream = Stream::new(MediaType::Video, Numbered { ssrc: Ssrc(7), next: ExtSeq(1) }, None);
        let now = Instant::now();
        let mut stamps = [0, 33, 33 + 10_000].map(|ms| {
            let at = now + Duration::from_millis(ms);
            let p = packet(5 + ms * 7, profile, extensions, payload);
            let view = videobridge_rtp::Extensions::new(p.profile, p.extensions);
            let head = sender.id(ExtensionKind::DependencyDescriptor);
            let head =
                head.and_then(|id| view.clone().find(|e| e.id == id)).and_then(|e| Head::parse(e.data));
            let d = Descriptor::parse(codec, p.payload, head);
            assert_eq!(d.frame_number.is_some(), codec == Codec::Av1);
            stream.switch(at, SourceUid(1), EncodingIx::FIRST, &p, &alone(&d));
            stream.forward(at, &p, &alone(&d), MARKED).unwrap().timestamp.0
        });
        let first = stamps[0];
        stamps.iter_mut().for_each(|s| *s -= first);
        assert_eq!(stamps, [0, 3_000, 3_000 + 10_000 / 33 * 3_000], "{codec:?}");
    }
}

#[test]
fn switches_further_back_than_the_limit_are_forgotten() {
    let now = Instant::now();
    let mut stream = Stream::new(MediaType::Video, Numbered { ssrc: Ssrc(7), next: ExtSeq(10) }, None);
    for n in 0..=EPOCHS as u64 {
        let p = packet(1000 * (n + 1), 0, &[], b"x");
        let d = Descriptor::default();
        stream.switch(now, SourceUid(1), EncodingIx::FIRST, &p, &alone(&d));
        stream.forward(now, &p, &alone(&d), MARKED).unwrap();
    }
    assert!(stream.sent(10).is_none(), "one beyond the limit");
    let sent = stream.sent(11).unwrap();
    assert_eq!((sent.out, sent.seq), (ExtSeq(11), ExtSeq(2000)));
}

#[test]
fn abs_send_time_is_stamped_only_without_transport_feedback() {
    let uri = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time";
    let transport = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
    let mut to = negotiated(&[(3, uri), (5, transport)]);
    assert!(!to.transport_cc());
    let mut vp8 = PayloadType::new(100, "VP8", 90_000, 1);
    vp8.rtcp_fbs = vec![RtcpFeedback::new("goog-remb", None)];
    to.add_payload_types(MediaType::Video, &[vp8.clone()]);
    assert!(to.remb_only());
    vp8.rtcp_fbs.push(RtcpFeedback::new("transport-cc", None));
    to.add_payload_types(MediaType::Video, &[vp8]);
    assert!(to.transport_cc() && !to.remb_only());
}

#[test]
fn repeats_are_remembered_up_to_the_limit_and_not_one_beyond() {
    let (now, rtt) = (Instant::now(), Duration::from_millis(100));
    let mut stream = Stream::new(MediaType::Video, Numbered { ssrc: Ssrc(7), next: ExtSeq(1) }, None);
    let all = 10..10 + RESENT as u64;
    assert!(all.clone().all(|n| stream.may_resend(now, ExtSeq(n), rtt)));
    assert!(all.clone().all(|n| !stream.may_resend(now, ExtSeq(n), rtt)), "not within a round trip");
    assert!(stream.may_resend(now, ExtSeq(all.end), rtt), "one beyond takes the place of the first");
    assert!(stream.may_resend(now, ExtSeq(all.start), rtt));
    assert!(all.skip(2).all(|n| !stream.may_resend(now, ExtSeq(n), rtt)));
}

#[test]
fn padding_is_said_written_and_counted_and_what_is_repeated_has_none() {
    let mut stream = Stream::new(MediaType::Video, Numbered { ssrc: Ssrc(7), next: ExtSeq(1) }, None);
    let packet = Packet { evened: 3, ..packet(5, 0, &[], &[1; 20]) };
    let d = Descriptor::parse(Codec::Other, packet.payload, None);
    stream.switch(Instant::now(), SourceUid(1), EncodingIx::FIRST, &packet, &alone(&d));
    let rewrite = stream.forward(Instant::now(), &packet, &alone(&d), MARKED).unwrap();
    let (to, kept) = (Negotiated::default(), Kept::of(&packet, &[None; 16]));
    let outgoing = Outgoing { packet: &packet, descriptor: &d, kept: &kept, rewrite };
    let mut buffers = Buffers::default();
    let w = Written::new(&mut buffers, &outgoing, stream.ssrc, None, &to, Stamps::default()).unwrap();
    let bytes = w.parts().concat();
    assert_eq!((bytes.len(), w.len(), &bytes[32..]), (35, 35, &[0, 0, 3][..]));
    let view = RtpPacket::parse(&bytes).unwrap();
    assert_eq!((view.payload(), view.padding()), (&[1; 20][..], 3));
    let again = Retransmission { payload_type: PayloadNumber(96), ssrc: Ssrc(8), seq: ExtSeq(1) };
    let w = Written::new(&mut buffers, &outgoing, stream.ssrc, Some(again), &to, Stamps::default()).unwrap();
    assert_eq!((w.len(), w.parts().concat()[0]), (34, 0x80));
}
