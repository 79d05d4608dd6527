//! SRTP's indices are made of what goes out here: no SSRC may send one sequence number twice, whatever happens.

use jitsi_xmpp::ids::MediaType;
use jitsi_xmpp::jingle::PayloadType;
use videobridge_rtp::rtcp::feedback;

use super::room::*;
use crate::media::EndpointKey;

/// A receiver that cannot be sent retransmissions beside the stream.
fn without_rtx(room: &mut Room, key: EndpointKey) {
    room.media.add_payload_types(key, MediaType::Video, &[PayloadType::new(96, "red", 90_000, 1)]);
}

fn nack(room: &mut Room, key: EndpointKey, ssrc: u32, sequences: &[u16]) {
    let mut buf = [0; 200];
    let (len, _) = feedback::write_nack(&mut buf, 9, ssrc, sequences).unwrap();
    room.rtcp(key, &buf[..len]);
}

/// Asks for the last packets of each video stream once more.
fn lose_some(room: &mut Room, key: EndpointKey) {
    let got = room.take(key, 100);
    let mut ssrcs: Vec<u32> = got.iter().map(|g| g.ssrc).collect();
    ssrcs.sort_unstable();
    ssrcs.dedup();
    for ssrc in ssrcs {
        let last = got.iter().rev().filter(|g| g.ssrc == ssrc).take(5);
        let lost: Vec<u16> = last.map(|g| g.seq as u16).collect::<Vec<_>>().into_iter().rev().collect();
        nack(room, key, ssrc, &lost);
    }
}

#[test]
fn a_retransmission_without_rtx_used_an_index_twice() {
    let mut room = Room::new();
    [A, B].into_iter().for_each(|k| room.join(k, true));
    without_rtx(&mut room, B);
    room.want(B, 720, None);
    room.frames(30);
    lose_some(&mut room, B);
    assert_eq!(room.out.twice, []);
    assert_eq!(room.take(B, 100).len(), 0, "it cannot be the same bytes: the stamps differ");
    assert_eq!(room.key_frame_requests().len(), 1, "a key frame repairs it instead");
}

#[test]
fn a_source_that_came_back_with_its_ssrc_used_its_indices_twice() {
    let mut room = Room::new();
    [A, B].into_iter().for_each(|k| room.join(k, false));
    room.want(B, 720, None);
    for _ in 0..20 {
        room.frames(20);
        lose_some(&mut room, B);
        room.audio(A, 7, 20);
        room.media.set_sources(room.now, A, &[], &mut room.out);
        room.pass(500);
        room.media.set_sources(room.now, A, &[microphone(A), camera(A, 3)], &mut room.out);
        (0..50).for_each(|i| room.audio(A, i, 20));
    }
    assert!(room.media.counters().retransmitted >= 50);
    assert!(room.media.counters().forwarded > 1000);
    assert_eq!(room.out.twice, []);
}

#[test]
fn a_long_meeting_of_comers_and_goers_uses_no_index_twice() {
    let mut room = Room::new();
    [A, B, C].into_iter().for_each(|k| room.join(k, k != C));
    let guests = |n: u32| EndpointKey(100 + n % 3);
    for n in 0..60 {
        // The same three people come and go, with the same SSRCs.
        room.join(guests(n), n % 2 == 0);
        if n % 4 == 0 {
            without_rtx(&mut room, guests(n));
        }
        [A, B, C, guests(n)].into_iter().for_each(|k| room.want(k, 180, Some((A, 720))));
        room.frames(8);
        [A, B, C, guests(n)].into_iter().for_each(|k| lose_some(&mut room, k));
        room.camera(B).needs_key = [true; 3];
        [B, guests(n)].into_iter().for_each(|k| room.want(k, 720, None));
        room.frames(8);
        if n % 5 == 0 {
            room.media.set_sources(room.now, B, &[microphone(B)], &mut room.out);
            room.frames(2);
            room.media.set_sources(room.now, B, &[microphone(B), camera(B, 3)], &mut room.out);
        }
        (0..5).for_each(|i| room.audio(guests(n), i, 20));
        if n >= 2 {
            room.leave(guests(n - 2));
            room.out.forget(guests(n - 2));
        }
    }
    assert!(room.media.counters().retransmitted > 500);
    assert_eq!(room.out.twice, []);
}
