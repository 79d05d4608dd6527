//! One camera, three layers: switching, key frames, losses in both directions.

use jitsi_xmpp::ids::MediaType;
use videobridge_rtp::rtcp::{Compound, Rtcp, SenderInfo, feedback, report};
use videobridge_rtp::{RtpFields, RtpPacket};

use super::room::*;
use crate::media::DropReason;
use crate::media::ids::Bitrate;

/// B watches A through all layers and back.
fn tour(rewriting: bool) {
    let mut room = Room::new();
    room.join(A, rewriting);
    room.join(B, rewriting);
    for height in [180, 720, 180, 360, 720] {
        room.want(B, height, None);
        // Three requests in ten seconds are allowed.
        room.frames(110);
    }
    let got = room.take(B, 100);
    assert!(got.len() > 1000, "{}", got.len());
    assert_eq!(assert_continuous(&got), [0, 1, 2, 0, 1, 2]);
    if !rewriting {
        assert_eq!(got[0].ssrc, ssrc(A, 0), "always the first SSRC");
    }
}

#[test]
fn switching_layers_is_invisible_with_rewritten_ssrcs() {
    tour(true);
}

#[test]
fn compat_old_clients_get_the_layers_under_the_first_original_ssrc() {
    tour(false);
}

#[test]
fn nothing_is_sent_before_a_key_frame_and_one_is_asked_for() {
    let mut room = Room::new();
    room.join(A, true);
    room.frames(5);
    room.pass(1000);
    room.join(B, true);
    room.want(B, 180, None);
    room.out.rtcp.clear();
    let before = room.camera(A).frame();
    before.iter().for_each(|p| room.rtp(A, p));
    assert!(room.take(B, 100).is_empty());
    assert_eq!(room.key_frame_requests(), [(A, ssrc(A, 0))]);
    assert!(room.media.counters().dropped(DropReason::AwaitingKeyFrame) > 0);
    room.pass(33);
    room.frame();
    let got = room.take(B, 100);
    assert_eq!(got.len(), 2);
    assert!(got[0].payload[6] & 1 == 0, "the key frame comes first");
}

#[test]
fn a_receiver_asks_for_key_frames_within_limits() {
    let mut room = Room::new();
    room.join(A, true);
    room.join(B, true);
    room.want(B, 720, None);
    room.frames(40);
    room.pass(10_000);
    let stream = room.take(B, 100)[0].ssrc;
    room.frames(2);
    let mut pli = [0; 12];
    feedback::write_pli(&mut pli, 99, stream).unwrap();
    let before = room.media.counters().key_frame_requests;
    for _ in 0..100 {
        room.rtcp(B, &pli);
        room.pass(100);
    }
    assert_eq!(room.media.counters().key_frame_requests - before, 3, "three in ten seconds");
    room.rtcp(B, &pli);
    assert_eq!(room.key_frame_requests(), [(A, ssrc(A, 2))], "to the encoding B gets");
}

#[test]
fn compat_fir_is_answered_by_its_entries() {
    let mut room = Room::new();
    room.join(A, true);
    room.join(B, true);
    room.want(B, 180, None);
    room.frames(40);
    room.pass(10_000);
    let stream = room.take(B, 100)[0].ssrc;
    let mut fir = [0; 20];
    feedback::write_fir(&mut fir, 99, stream, 1).unwrap();
    room.rtcp(B, &fir);
    assert_eq!(room.key_frame_requests(), [(A, ssrc(A, 0))]);
}

#[test]
fn a_sender_that_begins_anew_with_older_numbers_was_kept_out_until_they_caught_up() {
    let mut room = Room::new();
    room.join(A, true);
    room.join(B, true);
    room.want(B, 720, None);
    room.frames(60);
    assert!(!room.take(B, 100).is_empty());
    // The camera is off for a while; B looks elsewhere meanwhile.
    room.want(B, 0, None);
    room.pass(3_000);
    room.want(B, 720, None);
    room.camera(A).restart();
    room.frames(30);
    let got = room.take(B, 100);
    assert!(got.len() > 40, "{}", got.len());
    assert_continuous(&got);
}

fn nack(media: u32, sequences: &[u16]) -> Vec<u8> {
    let mut buf = [0; 200];
    let (len, taken) = feedback::write_nack(&mut buf, 99, media, sequences).unwrap();
    assert_eq!(taken, sequences.len());
    buf[..len].to_vec()
}

#[test]
fn lost_packets_are_repeated_as_rtx_even_from_before_a_switch() {
    for rewriting in [true, false] {
        let mut room = Room::new();
        room.join(A, rewriting);
        room.join(B, rewriting);
        room.want(B, 180, None);
        room.frames(10);
        room.want(B, 720, None);
        room.frames(10);
        let sent = room.take(B, 100);
        let lost: Vec<&Got> = sent.iter().rev().step_by(5).take(8).collect();
        assert!(lost.iter().any(|p| p.encoding() == 0) && lost.iter().any(|p| p.encoding() == 2));
        let numbers: Vec<u16> = lost.iter().rev().map(|p| p.seq as u16).collect();
        room.rtcp(B, &nack(sent[0].ssrc, &numbers));
        let again = room.take(B, 96);
        assert_eq!(again.len(), lost.len());
        for (i, (rtx, original)) in again.iter().zip(lost.iter().rev()).enumerate() {
            assert_eq!(rtx.payload[..2], (original.seq as u16).to_be_bytes());
            assert_eq!(rtx.payload[2..], original.payload);
            assert_eq!((rtx.ts, rtx.marker, rtx.seq), (original.ts, original.marker, i as u64 + 1));
            assert_ne!(rtx.ssrc, original.ssrc);
        }
        if !rewriting {
            assert_eq!(again[0].ssrc, rtx_ssrc(A, 0));
        }
        room.rtcp(B, &nack(sent[0].ssrc, &numbers));
        assert!(room.take(B, 96).is_empty(), "not again within a round trip");
        room.rtcp(B, &nack(sent[0].ssrc, &[numbers[0].wrapping_sub(3000)]));
        assert_eq!(room.media.counters().dropped(DropReason::NotInHistory), 1);
    }
}

#[test]
fn packets_lost_on_the_way_in_are_asked_for_and_fill_their_gap() {
    let mut room = Room::new();
    room.join(A, true);
    room.join(B, true);
    room.want(B, 180, None);
    room.camera(A).layers = 1;
    room.frames(5);
    let mut packets = room.camera(A).frame();
    let lost = packets.remove(0);
    packets.iter().for_each(|p| room.rtp(A, p));
    let seq = room.camera(A).sequence(0) - 1;
    let asked = |room: &Room| -> Vec<u16> {
        let nacks = room.out.rtcp.iter().filter(|(to, _)| *to == A).flat_map(|(_, b)| Compound::new(b));
        nacks
            .filter_map(|p| if let Ok(Rtcp::Nack(n)) = p { Some(n) } else { None })
            .flat_map(|n| n.sequences())
            .collect()
    };
    assert_eq!(asked(&room), [seq]);
    room.pass(200);
    assert_eq!(asked(&room), [seq, seq], "again after 150 ms");

    let view = RtpPacket::parse(&lost).unwrap();
    let fields = RtpFields {
        marker: view.marker(),
        payload_type: 96,
        sequence: 1,
        timestamp: view.timestamp(),
        ssrc: rtx_ssrc(A, 0),
    };
    let rtx = packet(&fields, &[], &[&seq.to_be_bytes()[..], view.payload()].concat());
    room.rtp(A, &rtx);
    room.rtp(A, &rtx);
    let mut got = room.take(B, 100);
    assert_eq!(got.len(), 12);
    got.sort_by_key(|p| p.seq);
    assert_continuous(&got);
    assert_eq!(room.media.counters().recovered, 1);
    assert_eq!(room.media.counters().dropped(DropReason::Duplicate), 1);
    room.out.rtcp.clear();
    room.pass(1000);
    assert_eq!(asked(&room), [0; 0], "nothing is missing any more");
}

#[test]
fn a_key_frame_whose_start_was_late_is_complete_for_the_receiver() {
    let mut room = Room::new();
    room.join(A, true);
    room.join(B, true);
    room.want(B, 180, None);
    room.camera(A).layers = 1;
    let mut packets = room.camera(A).frame();
    packets.swap(0, 1);
    packets.iter().for_each(|p| room.rtp(A, p));
    let first = room.take(B, 100);
    assert_eq!(first.len(), 1, "only from the start on");
    room.rtcp(B, &nack(first[0].ssrc, &[first[0].seq as u16 + 1]));
    assert!(room.take(B, 96).is_empty(), "beyond what was sent");
    room.pass(33);
    room.frame();
    let next = room.take(B, 100);
    assert_eq!(next[0].seq, first[0].seq + 2, "its second packet is a gap");
    room.rtcp(B, &nack(first[0].ssrc, &[first[0].seq as u16 + 1]));
    assert_eq!(room.take(B, 96).len(), 1, "that can be filled");
}

#[test]
fn padding_only_packets_leave_no_gap() {
    let mut room = Room::new();
    room.join(A, true);
    room.join(B, true);
    room.want(B, 180, None);
    room.camera(A).layers = 1;
    room.frames(2);
    let fields = RtpFields {
        marker: false,
        payload_type: 100,
        sequence: room.camera(A).sequence(0).wrapping_add(1),
        timestamp: 9,
        ssrc: ssrc(A, 0),
    };
    let mut padding = packet(&fields, &[], &[0, 0, 0, 4]);
    padding[0] |= 0x20;
    room.rtp(A, &padding);
    room.camera(A).frame();
    // The camera goes on after the padding.
    let mut next = room.camera(A).frame();
    next.iter_mut().for_each(|p| {
        let seq = u16::from_be_bytes([p[2], p[3]]) - 1;
        p[2..4].copy_from_slice(&seq.to_be_bytes());
    });
    next.iter().for_each(|p| room.rtp(A, p));
    let got = room.take(B, 100);
    assert!(got.windows(2).all(|w| w[1].seq == w[0].seq + 1), "{got:?}");
    assert_eq!(room.media.counters().dropped(DropReason::Padding), 1);
}

#[test]
fn layers_that_stop_are_left_and_the_next_best_is_taken() {
    let mut room = Room::new();
    room.join(A, true);
    room.join(B, true);
    room.want(B, 720, None);
    room.frames(40);
    room.camera(A).layers = 1;
    room.frames(60);
    let got = room.take(B, 100);
    let encodings = assert_continuous(&got);
    assert_eq!(encodings[encodings.len() - 2..], [2, 0]);
}

#[test]
fn sender_reports_speak_of_the_outgoing_stream() {
    let mut room = Room::new();
    room.join(A, true);
    room.join(B, true);
    room.want(B, 180, None);
    room.frames(10);
    room.want(B, 720, None);
    room.frames(30);
    let last = room.take(B, 100).pop().unwrap();
    assert_eq!(last.encoding(), 2);
    let original = room.camera(A).frame().pop().unwrap();
    let original = RtpPacket::parse(&original).unwrap();
    room.rtp(A, &[]);
    let mut buf = [0; 28];
    for encoding in 0..3 {
        let info =
            SenderInfo { ntp: 5 << 32, rtp_timestamp: original.timestamp() - 2970, packets: 9, octets: 9 };
        report::write_sender_report(&mut buf, ssrc(A, encoding), &info, &[]).unwrap();
        room.rtcp(A, &buf);
    }
    let reports: Vec<_> = room
        .out
        .rtcp
        .iter()
        .filter(|(to, _)| *to == B)
        .filter_map(|(_, b)| match Compound::new(b).next() {
            Some(Ok(Rtcp::SenderReport { ssrc, info, .. })) => Some((ssrc, info)),
            _ => None,
        })
        .collect();
    assert_eq!(reports.len(), 1, "only of the encoding B gets");
    let (ssrc, info) = reports[0];
    assert_eq!((ssrc, info.ntp, info.rtp_timestamp), (last.ssrc, 5 << 32, last.ts));
    assert_eq!(info.packets, 84, "in the frame of the switch all three layers go out");
}

#[test]
fn a_picture_became_smaller_for_a_moment_whenever_its_rate_rose_a_little() {
    let mut room = Room::new();
    room.join(A, true);
    room.join(B, true);
    room.want(B, 720, None);
    let carries = |room: &mut Room, rate: f64| {
        let viewer = room.media.members.find(B).unwrap();
        let estimator = &mut room.media.members.get_mut(viewer).unwrap().egress.estimator;
        estimator.remb(Bitrate(rate as u64));
        assert!(estimator.apply(0.0));
        room.media.members.touch(viewer);
    };
    carries(&mut room, 2e6);
    room.frames(60);
    let now = room.now;
    let mut cameras = room.media.sources.iter_mut().filter(|(_, s)| s.signalled.media == MediaType::Video);
    let largest = cameras.next().unwrap().1.layers(now, u64::MAX).last().unwrap().bitrate.as_f64();
    drop(cameras);
    assert_eq!(room.take(B, 100).last().unwrap().encoding(), 2);
    // What it got goes on, as nothing stands in line because of it.
    for rate in [0.95, 0.84] {
        carries(&mut room, largest * rate);
        room.frames(60);
        assert!(room.take(B, 100).iter().all(|p| p.encoding() == 2), "{rate}");
    }
    // That is too much.
    carries(&mut room, largest * 0.8);
    room.frames(60);
    assert_eq!(room.take(B, 100).last().unwrap().encoding(), 1);
    // And what it did not get is not begun with less than it takes.
    carries(&mut room, largest * 0.95);
    room.frames(60);
    assert!(room.take(B, 100).iter().all(|p| p.encoding() == 1));
}
