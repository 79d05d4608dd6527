//! Packets of one frame as the kernel likes them: of one size, in the order and with the content that the sender gave them.

use videobridge_rtp::RtpFields;
use videobridge_rtp::rtcp::feedback;

use super::room::*;

/// One frame of A's highest encoding, its payloads of these sizes.
fn frame(room: &mut Room, n: u16, sizes: &[usize]) {
    let Place { sequence, timestamp, picture, tl0 } = room.camera(A).frame_of(2, sizes.len() as u16);
    for (part, size) in sizes.iter().enumerate() {
        let fields = RtpFields {
            marker: part + 1 == sizes.len(),
            payload_type: 100,
            sequence: sequence.wrapping_add(part as u16),
            timestamp,
            ssrc: ssrc(A, 2),
        };
        let [hi, lo] = (picture | 0x8000).to_be_bytes();
        let start = if part == 0 { 0x10 } else { 0 };
        let mut body = vec![0x80 | start, 0xe0, hi, lo, tl0, 0x20, 0x11];
        body.resize(size - 1, n as u8);
        body.push(2);
        let transport = (1_000 + 100 * n + part as u16).to_be_bytes();
        room.rtp(A, &packet(&fields, &[(5, &transport)], &body));
    }
    room.pass(33);
}

/// What a receiver got since the last time: bytes on the wire of each packet.
fn lengths(got: &[Got]) -> Vec<usize> {
    got.iter().map(|g| g.len).collect()
}

fn settled() -> Room {
    let mut room = Room::new();
    [A, B, C].into_iter().for_each(|k| room.join(k, k != C));
    for k in [B, C] {
        room.want(k, 0, Some((A, 720)));
    }
    room.frames(90);
    [B, C].into_iter().for_each(|k| assert_eq!(room.take(k, 100).last().unwrap().encoding(), 2));
    room
}

#[test]
fn packets_of_a_frame_that_differ_by_a_byte_reach_everybody_in_one_size() {
    let mut room = settled();
    let sizes: [&[usize]; 3] = [&[1100, 1100, 1101, 1101], &[1080, 1080, 1080, 300], &[700]];
    for (n, sizes) in (0..).zip(sizes) {
        frame(&mut room, n, sizes);
    }
    room.pass(50);
    for k in [B, C] {
        let got = room.take(k, 100);
        assert_continuous(&got);
        let payloads: Vec<usize> = got.iter().map(|g| g.payload.len()).collect();
        assert_eq!(payloads, sizes.concat(), "what is decoded is what was sent");
        let header = got[8].len - 700;
        let longest = |n: usize| n + header;
        let expected = [1101, 1101, 1101, 1101, 1081, 1081, 1081, 300, 700].map(longest);
        assert_eq!(lengths(&got), expected, "{k:?}");
    }
}

#[test]
fn what_is_repeated_is_not_longer_than_it_was() {
    let mut room = settled();
    frame(&mut room, 0, &[1100, 1100, 1101, 1101]);
    room.pass(50);
    let got = room.take(B, 100);
    let (media, lost) = (got[0].ssrc, got[0].seq as u16);
    let mut nack = [0; 100];
    let (len, _) = feedback::write_nack(&mut nack, 1, media, &[lost]).unwrap();
    room.rtcp(B, &nack[..len]);
    let repeated = room.take(B, 96);
    assert_eq!(repeated.iter().map(|g| g.payload.len()).collect::<Vec<_>>(), [1102]);
    assert_eq!(repeated[0].len, got[0].len - 1 + 2, "no padding, and the number it had");
}
