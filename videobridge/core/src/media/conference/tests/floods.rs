//! Endpoints that ask for too much: what they get ends at a limit, and their neighbours notice nothing.

use std::time::{Duration, Instant};

use budget::{Bucket, Rate};
use jitsi_xmpp::bridge_channel::{
    AudioSubscription, ClientMessage, ReceiverVideoConstraints, SourceVideoType, VideoConstraints,
};
use jitsi_xmpp::ids::{MediaType, SourceName};
use jitsi_xmpp::jingle::{PayloadType, RtcpFeedback, VideoType};
use videobridge_rtp::RtpFields;
use videobridge_rtp::rtcp::{Compound, Rtcp, SenderInfo, feedback, report};

use super::room::*;
use crate::media::limits::*;
use crate::media::{DropReason, EndpointKey};

/// A sends, B watches, C floods.
fn room() -> Room {
    let mut room = Room::new();
    [A, B, C].into_iter().for_each(|k| room.join(k, true));
    [B, C].into_iter().for_each(|k| room.want(k, 180, Some((A, 720))));
    for n in 0..30 {
        room.audio(A, n, 20);
        room.frame();
    }
    room
}

/// Floods beside two seconds of media and checks that the neighbour got all of it.
fn flood_beside(room: &mut Room, mut flood: impl FnMut(&mut Room, u16)) {
    [A, B].into_iter().for_each(|k| drop((room.take(k, 100), room.take(k, 111))));
    for n in 0..60 {
        room.audio(A, 1000 + n, 20);
        room.send_frame();
        for i in 0..33 {
            flood(room, n * 33 + i);
            room.pass(1);
        }
    }
    let video = room.take(B, 100);
    let of_a: Vec<Got> = video.iter().filter(|g| g.encoding() == 2).cloned().collect();
    assert_eq!(of_a.len(), 120, "every packet of the picture on stage");
    assert_continuous(&of_a);
    assert_eq!(room.take(B, 111).len(), 60);
    assert_eq!(room.out.twice, []);
}

fn pli(media: u32) -> [u8; 12] {
    let mut buf = [0; 12];
    feedback::write_pli(&mut buf, 1, media).unwrap();
    buf
}

/// What a budget lets through of a flood of so many seconds.
fn allowed(rate: &Rate, seconds: u64) -> u64 {
    let now = Instant::now();
    let mut bucket = Bucket::full();
    assert!(bucket.take(rate, now, rate.burst()));
    let each = bucket.wait(rate, now, 1);
    u64::from(rate.burst()) + (Duration::from_secs(seconds).as_nanos() / each.as_nanos()) as u64
}

fn limited(room: &Room) -> u64 {
    room.media.counters().dropped(DropReason::Limit)
}

/// The stream on which C gets the large picture of A, and the numbers it got.
fn on_stage(room: &mut Room) -> (u32, Vec<u64>) {
    let got = room.take(C, 100);
    let ssrc = got.iter().rev().find(|g| g.encoding() == 2).unwrap().ssrc;
    (ssrc, got.iter().filter(|g| g.ssrc == ssrc).map(|g| g.seq).collect())
}

fn nack(ssrc: u32, sequences: &[u16]) -> Vec<u8> {
    let mut buf = vec![0; 1200];
    let (len, _) = feedback::write_nack(&mut buf, 9, ssrc, sequences).unwrap();
    buf.truncate(len);
    buf
}

#[test]
fn a_flood_of_nacks_was_answered_four_thousand_times_over() {
    let mut room = room();
    let (ssrc, seqs) = on_stage(&mut room);
    let mut newest = *seqs.last().unwrap();
    // The receiver claims to be next door, so that everything may be repeated at once.
    let index = room.media.members.find(C).unwrap();
    room.media.members.get_mut(index).unwrap().egress.rtt = Some(Duration::ZERO);
    let mut bytes = 0;
    flood_beside(&mut room, |room, _| {
        newest = room.take(C, 100).iter().filter(|g| g.ssrc == ssrc).map(|g| g.seq).fold(newest, u64::max);
        let sequences: Vec<u16> = (newest.saturating_sub(250)..=newest).map(|s| s as u16).collect();
        room.rtcp(C, &nack(ssrc, &sequences));
        bytes += room.take(C, 96).iter().map(|g| g.payload.len() - 2).sum::<usize>();
    });
    // The burst and two seconds.
    assert!((512 * 1024..=1024 * 1024 + 1200).contains(&bytes), "{bytes}");
    let unanswered = limited(&room) + room.media.counters().dropped(DropReason::Congested);
    assert!(unanswered > 1000);
}

#[test]
fn retransmitted_bytes_end_exactly_at_their_limit() {
    let now = Instant::now();
    let mut left = Bucket::full();
    let burst = RETRANSMITTED_BYTES.burst();
    assert!((0..burst / 1024).all(|_| left.take(&RETRANSMITTED_BYTES, now, 1024)), "at the limit");
    assert!(!left.take(&RETRANSMITTED_BYTES, now, 1), "one beyond");
    assert!(left.take(&RETRANSMITTED_BYTES, now + Duration::from_secs(1), 255 * 1024));
}

#[test]
fn a_packet_asked_for_again_and_again_was_repeated_within_a_round_trip() {
    let mut room = room();
    let (ssrc, seqs) = on_stage(&mut room);
    let seqs: Vec<u16> = seqs.into_iter().map(|s| s as u16).collect();
    assert!(seqs.len() > 40, "more than were once remembered");
    (0..10).for_each(|_| room.rtcp(C, &nack(ssrc, &seqs)));
    assert_eq!(room.take(C, 96).len(), seqs.len());
    room.pass(200);
    room.rtcp(C, &nack(ssrc, &seqs));
    assert_eq!(room.take(C, 96).len(), seqs.len(), "and once more after a round trip");
}

/// Feedback of 40 bytes about as many packets as one can claim.
fn claim(statuses: u16) -> Vec<u8> {
    let mut bytes = vec![0x8f, 205, 0, 9];
    bytes.extend([0; 10]);
    bytes.extend(statuses.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend([0x1f, 0xff].repeat(9));
    bytes.extend([0, 0]);
    bytes
}

#[test]
fn feedback_about_65535_packets_in_40_bytes_stalled_everybody() {
    let mut room = room();
    assert_eq!(claim(9).len(), 40);
    assert!(matches!(Compound::new(&claim(9)).next(), Some(Ok(Rtcp::TransportFeedback(_)))));
    flood_beside(&mut room, |room, n| {
        (0..3).for_each(|_| room.rtcp(C, &claim(if n % 2 == 0 { u16::MAX } else { 8_000 })));
    });
    let counters = room.media.counters();
    let looked_at = counters.unmatched_feedback + counters.feedback_received + counters.feedback_lost;
    assert!(looked_at <= u64::from(FEEDBACK_STATUSES.burst()) + 2 * 8_192, "{looked_at}");
}

#[test]
fn feedback_is_honoured_up_to_the_limit_and_not_one_beyond() {
    let mut room = room();
    let looked_at = |room: &Room| {
        let c = room.media.counters();
        c.unmatched_feedback + c.feedback_received + c.feedback_lost
    };
    (0..4).for_each(|_| room.rtcp(C, &claim(8_192)));
    let before = looked_at(&room);
    assert_eq!((before, limited(&room)), (32_768, 0));
    room.rtcp(C, &claim(1));
    assert_eq!((looked_at(&room), limited(&room)), (before, 1));
    room.rtcp(B, &claim(1));
    assert_eq!(limited(&room), 1, "the neighbour's own");
}

#[test]
fn a_compound_is_honoured_up_to_the_limit_and_not_one_beyond() {
    for (packets, dropped) in [(MAX_RTCP_PER_COMPOUND, 0), (MAX_RTCP_PER_COMPOUND + 1, 1)] {
        let mut room = room();
        room.rtcp(C, &pli(7).repeat(packets));
        assert_eq!(limited(&room), dropped);
    }
}

#[test]
fn rtcp_of_one_endpoint_ends_at_its_limit() {
    let mut room = room();
    let most = RTCP_PER_ENDPOINT.burst();
    (0..most).for_each(|_| room.rtcp(C, &pli(7)));
    assert_eq!(limited(&room), 0);
    room.rtcp(C, &pli(7));
    assert_eq!(limited(&room), 1);
    room.rtcp(B, &pli(7));
    assert_eq!(limited(&room), 1, "the neighbour's own");
}

#[test]
fn a_receiver_that_stops_and_starts_asked_for_key_frames_without_end() {
    let mut room = Room::new();
    [A, C].into_iter().for_each(|k| room.join(k, true));
    room.want(C, 720, None);
    room.frames(30);
    let before = room.media.counters().key_frame_requests;
    for n in 0..300 {
        if n % 10 == 0 {
            room.want(C, if n % 20 == 0 { 0 } else { 720 }, None);
        }
        room.frame();
    }
    let asked = room.media.counters().key_frame_requests - before;
    // So many at once, and then one a second: whoever does not make it happen must not stand still.
    assert!((3..=OWN_KEY_FRAME_REQUESTS as u64 + 10).contains(&asked), "{asked} in 10 s");
}

#[test]
fn a_flood_of_plis_and_firs_asks_three_times_in_ten_seconds() {
    let mut room = room();
    let (ssrc, _) = on_stage(&mut room);
    let before = room.media.counters().key_frame_requests;
    let mut fir = [0; 20];
    feedback::write_fir(&mut fir, 1, ssrc, 1).unwrap();
    flood_beside(&mut room, |room, _| room.rtcp(C, &[&pli(ssrc)[..], &fir].concat()));
    assert_eq!(room.media.counters().key_frame_requests - before, 3);
}

#[test]
fn a_full_intra_request_is_honoured_up_to_the_limit_of_entries() {
    for (others, asked) in [(MAX_FIR_ENTRIES - 1, 1), (MAX_FIR_ENTRIES, 0)] {
        let mut room = room();
        let (ssrc, _) = on_stage(&mut room);
        let mut fir = vec![0x84, 206, 0, 2 + 2 * (others as u8 + 1)];
        fir.extend([0; 8]);
        (0..others).for_each(|_| fir.extend([0, 0, 0, 7, 1, 0, 0, 0]));
        fir.extend(ssrc.to_be_bytes());
        fir.extend([1, 0, 0, 0]);
        let before = room.media.counters().key_frame_requests;
        room.rtcp(C, &fir);
        assert_eq!(room.media.counters().key_frame_requests - before, asked);
    }
}

#[test]
fn wishes_may_change_all_the_time_and_the_last_one_counts() {
    let mut room = room();
    let turns = room.media.turns.count;
    flood_beside(&mut room, |room, n| {
        let default = if n % 2 == 0 { 180 } else { 0 };
        room.want(C, default, Some((A, 180 + i32::from(n % 700))));
    });
    let turns = room.media.turns.count - turns;
    assert!(turns <= allowed(&ALLOCATIONS_PER_RECEIVER, 2) + 10, "{turns} allocations in 2 s");
    room.want(C, 0, Some((A, 360)));
    room.pass(51);
    room.pass(51);
    let index = room.media.members.find(C).unwrap();
    let wish = |of: EndpointKey| {
        let at = room.media.sources.video(&video_name(of)).unwrap();
        room.media.sources[at].wishes.iter().find(|(r, _)| *r == index).map(|(_, h)| *h)
    };
    assert_eq!((wish(A), wish(B)), (Some(360), None), "never lost");
}

#[test]
fn a_sender_that_changes_all_the_time_costs_everybody_little() {
    let mut room = room();
    let turns = room.media.turns.count;
    let mut bye = vec![0x81, 203, 0, 1];
    bye.extend(ssrc(C, 0).to_be_bytes());
    flood_beside(&mut room, |room, n| {
        let video_type = if n % 2 == 0 { VideoType::Desktop } else { VideoType::Camera };
        let source_name = video_name(C);
        room.say(C, ClientMessage::SourceVideoType(SourceVideoType { source_name, video_type }));
        room.rtcp(C, &bye);
        let packet = room.camera(C).frame().remove(0);
        room.rtp(C, &packet);
    });
    let turns = room.media.turns.count - turns;
    let most = allowed(&ALLOCATIONS_OF_ALL_PER_SENDER, 2) + 10;
    assert!(turns <= most, "{turns} allocations of all in 2 s");
    (0..40).for_each(|_| room.pass(50));
    let at = room.media.sources.video(&video_name(C)).unwrap();
    assert_eq!(room.media.sources[at].kind, VideoType::Camera, "the last one");
    assert!(room.media.members.iter().all(|(_, m)| !m.news && !m.stale));
}

#[test]
fn sender_reports_are_passed_on_five_times_a_second() {
    let mut room = room();
    let to_b = |room: &Room| {
        let reports = room.out.rtcp.iter().filter(|(to, _)| *to == B).flat_map(|(_, b)| Compound::new(b));
        reports.filter(|p| matches!(p, Ok(Rtcp::SenderReport { .. }))).count()
    };
    let mut buf = [0; 28];
    assert!(room.take(B, 100).iter().any(|g| g.encoding() == 0), "B gets the smallest of C");
    report::write_sender_report(&mut buf, ssrc(C, 0), &SenderInfo::default(), &[]).unwrap();
    let most = SENDER_REPORTS.burst() as usize;
    (0..most).for_each(|_| room.rtcp(C, &buf));
    assert_eq!((to_b(&room), limited(&room)), (most, 0), "at the limit");
    room.rtcp(C, &buf);
    assert_eq!((to_b(&room), limited(&room)), (most, 1), "one beyond");
    flood_beside(&mut room, |room, _| room.rtcp(C, &buf.repeat(30)));
    assert!(to_b(&room) as u64 <= allowed(&SENDER_REPORTS, 2) + 1, "{}", to_b(&room));
}

#[test]
fn a_microphone_that_sends_too_much_is_cut_off_and_nobody_elses() {
    let mut room = room();
    let before = room.media.counters().forwarded;
    let most = AUDIO_PER_ENDPOINT.burst() as u16;
    (0..most).for_each(|n| room.audio(C, n, 20));
    let sent = |room: &Room| room.media.counters().forwarded - before;
    assert_eq!((sent(&room), limited(&room)), (2 * u64::from(most), 0), "at the limit");
    room.audio(C, most, 20);
    assert_eq!((sent(&room), limited(&room)), (2 * u64::from(most), 1), "one beyond");
    room.take(B, 111);
    let mut seq = most;
    for n in 0..60 {
        room.audio(A, 1000 + n, 20);
        for _ in 0..100 {
            seq = seq.wrapping_add(1);
            room.audio(C, seq, 20);
        }
        room.pass(20);
    }
    let heard = room.take(B, 111);
    let ssrcs: std::collections::BTreeSet<u32> = heard.iter().map(|g| g.ssrc).collect();
    let of = |ssrc| heard.iter().filter(|g| g.ssrc == ssrc).collect::<Vec<_>>();
    let least = ssrcs.iter().map(|s| of(*s).len()).min();
    assert_eq!((ssrcs.len(), least), (2, Some(60)), "all of A's");
    for ssrc in ssrcs {
        assert!(of(ssrc).windows(2).all(|w| w[1].seq == w[0].seq + 1), "what was cut leaves no gap");
    }
}

#[test]
fn packets_of_one_endpoint_end_at_their_limit_whatever_they_are() {
    let mut room = room();
    room.pass(10_000);
    let before = room.media.counters().forwarded;
    let most = RTP_PER_ENDPOINT.burst();
    let send = |room: &mut Room, n: u32| {
        // Payload types and SSRCs nobody negotiated.
        let fields = RtpFields {
            marker: false,
            payload_type: (n % 128) as u8,
            sequence: n as u16,
            timestamp: n,
            ssrc: n.wrapping_mul(2_654_435_761),
        };
        room.rtp(C, &packet(&fields, &[(5, &(n as u16).wrapping_mul(7919).to_be_bytes())], b"x"));
    };
    (0..most).for_each(|n| send(&mut room, n));
    assert_eq!(limited(&room), 0, "at the limit");
    send(&mut room, most);
    assert_eq!((limited(&room), room.media.counters().forwarded - before), (1, 0), "one beyond");
    room.frames(10);
    // The flooder's own camera is cut with the rest.
    room.camera(C).layers = 0;
    flood_beside(&mut room, |room, n| (0..10).for_each(|_| send(room, n.into())));
    assert!(limited(&room) > 1000);
}

#[test]
fn names_in_wishes_are_bounded_in_number_and_length() {
    let mut room = room();
    let name = |n: usize| SourceName::new(format!("{n:0>width$}", width = MAX_NAME_LEN));
    let limit = VideoConstraints { max_height: 180, max_frame_rate: -1.0 };
    let index = room.media.members.find(C).unwrap();
    for extra in [0, 1] {
        let stage: Vec<SourceName> = (0..MAX_STAGE_NAMES + extra).map(name).collect();
        let wish = ReceiverVideoConstraints {
            on_stage_sources: Some(stage.clone()),
            selected_sources: Some(stage),
            constraints: Some((0..MAX_NAMES_PER_MESSAGE + extra).map(|n| (name(n), limit)).collect()),
            ..ReceiverVideoConstraints::default()
        };
        room.say(C, ClientMessage::ReceiverVideoConstraints(wish));
        let names: Vec<SourceName> = (0..MAX_NAMES_PER_MESSAGE + extra).map(name).collect();
        let wish = AudioSubscription { all: true, include: names.clone(), exclude: names };
        room.say(C, ClientMessage::ReceiverAudioSubscription(wish));
        let member = &room.media.members[index];
        let s = &member.settings;
        assert_eq!((s.on_stage.len(), s.selected.len()), (MAX_STAGE_NAMES, MAX_STAGE_NAMES));
        assert_eq!(s.constraints.len(), MAX_NAMES_PER_MESSAGE);
        let audio = (member.audio.include.len(), member.audio.exclude.len());
        assert_eq!(audio, (MAX_NAMES_PER_MESSAGE, MAX_NAMES_PER_MESSAGE));
    }
    let long = SourceName::new("x".repeat(MAX_NAME_LEN + 1));
    let wish = ReceiverVideoConstraints {
        on_stage_sources: Some(vec![long.clone()]),
        constraints: Some([(long.clone(), limit)].into_iter().collect()),
        ..ReceiverVideoConstraints::default()
    };
    room.say(C, ClientMessage::ReceiverVideoConstraints(wish));
    let s = &room.media.members[index].settings;
    assert_eq!((s.on_stage.len(), s.constraints.len()), (0, 0));
    let kind = SourceVideoType { source_name: long, video_type: VideoType::Desktop };
    room.say(C, ClientMessage::SourceVideoType(kind));
    assert_eq!(limited(&room), 1);
}

#[test]
fn a_flood_of_estimates_allocates_twenty_times_a_second() {
    let mut room = room();
    let mut vp8 = PayloadType::new(100, "VP8", 90_000, 1);
    vp8.rtcp_fbs = vec![RtcpFeedback::new("goog-remb", None)];
    room.media.add_payload_types(C, MediaType::Video, &[vp8]);
    let turns = room.media.turns.count;
    flood_beside(&mut room, |room, n| {
        // REMB: 100 kbit/s or 5 Mbit/s about stream 1.
        let [a, b, c] = if n % 2 == 0 { [0x01, 0x86, 0xa0] } else { [0x16, 0x62, 0x5a] };
        let head = [0x8f, 206, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0, b'R', b'E', b'M', b'B'];
        room.rtcp(C, &[&head[..], &[1, a, b, c, 0, 0, 0, 1]].concat());
    });
    let turns = room.media.turns.count - turns;
    let least = u64::from(ALLOCATIONS_PER_RECEIVER.burst());
    assert!((least..=allowed(&ALLOCATIONS_PER_RECEIVER, 2) + 10).contains(&turns), "{turns}");
}

#[test]
fn outages_that_come_again_and_again_refresh_everything_twice_and_then_every_three_seconds() {
    let mut room = room();
    let mut refreshed = Vec::new();
    let start = room.now;
    for _ in 0..12 {
        room.take(C, 100);
        room.frames(31);
        let got = room.take(C, 100);
        let stamps = got.iter().filter_map(|g| g.extensions.iter().find(|(id, _)| *id == 5));
        let lost = stamps.map(|(_, n)| u16::from_be_bytes([n[0], n[1]])).next_back().unwrap();
        let before = room.media.counters().key_frame_requests;
        // More than a second without a word, then this: the last packet did not arrive.
        let mut report = vec![0x8f, 205, 0, 5, 0, 0, 0, 9, 0, 0, 0, 2];
        report.extend(lost.to_be_bytes());
        report.extend([0, 1, 0, 0, 1, 0, 0, 1, 0, 0]);
        room.rtcp(C, &report);
        if room.media.counters().key_frame_requests > before {
            refreshed.push(room.now.duration_since(start).as_secs());
        }
    }
    let burst = REFRESHES.burst() as usize;
    let most = allowed(&REFRESHES, 12) as usize;
    assert!(refreshed.len() >= burst + 2 && refreshed.len() <= most, "{refreshed:?}");
    assert!(refreshed[burst..].windows(2).all(|w| w[1] - w[0] >= 2), "{refreshed:?}");
}

#[test]
fn a_nack_is_honoured_up_to_the_limit_and_not_one_beyond() {
    let honoured = MAX_NACKED_PER_PACKET as u64;
    for wanted in [MAX_NACKED_PER_PACKET, MAX_NACKED_PER_PACKET + 1] {
        let mut room = room();
        let (ssrc, seqs) = on_stage(&mut room);
        let first = *seqs.first().unwrap() as u16;
        // From before the first packet: nothing of it is there.
        let all: Vec<u16> = (0..wanted as u16).map(|n| first.wrapping_sub(1_000).wrapping_add(n)).collect();
        room.rtcp(C, &nack(ssrc, &all));
        assert_eq!(room.media.counters().dropped(DropReason::NotInHistory), honoured, "{wanted}");
    }
}
