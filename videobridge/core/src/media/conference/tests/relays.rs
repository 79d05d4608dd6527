//! Other bridges: what they get and ask for, and who is behind them.

use std::collections::HashSet;

use budget::Bucket;
use jitsi_xmpp::bridge_channel::{BridgeMessage, ClientMessage, SourceVideoType, VideoConstraints};
use jitsi_xmpp::ids::{EndpointId, SourceName};
use jitsi_xmpp::jingle::{HeaderExtension, VideoType};
use videobridge_rtp::RtpFields;
use videobridge_rtp::rtcp::{Compound, Rtcp, SenderInfo, feedback, report};

use super::room::*;
use crate::media::limits::{
    AUDIO_PER_ENDPOINT, KEY_FRAME_REQUESTS_OF_RELAY, MAX_EARLY_WISHES, MAX_ENDPOINTS_PER_RELAY,
    RETRANSMITTED_BYTES_PER_RELAY, RTCP_PER_RELAY, RTP_PER_RELAY, WISH_REPEATS,
};
use crate::media::{DropReason, EndpointKey};

/// Two bridges of one mesh and one of another, and somebody behind each.
const R: EndpointKey = EndpointKey(1);
const S: EndpointKey = EndpointKey(2);
const T: EndpointKey = EndpointKey(3);
const AT_R: EndpointKey = EndpointKey(21);

fn wants(source: SourceName, max_height: i32) -> BridgeMessage {
    BridgeMessage::AddReceiver {
        bridge_id: "other".to_owned(),
        source_name: source,
        video_constraints: VideoConstraints { max_height, max_frame_rate: -1.0 },
    }
}

/// The heights a bridge was told that are wanted of a source, in order.
fn told(room: &Room, relay: EndpointKey, source: &SourceName) -> Vec<i32> {
    let height = |m: &&BridgeMessage| match m {
        BridgeMessage::AddReceiver { source_name, video_constraints, .. } if source_name == source => {
            Some(video_constraints.max_height)
        }
        _ => None,
    };
    room.messages(relay).iter().filter_map(height).collect()
}

/// And those a sender was told.
fn asked(room: &Room, sender: EndpointKey) -> Vec<i32> {
    let height = |m: &&BridgeMessage| match m {
        BridgeMessage::SenderSourceConstraints { max_height, .. } => Some(*max_height),
        _ => None,
    };
    room.messages(sender).iter().filter_map(height).collect()
}

#[test]
fn another_bridge_gets_all_encodings_under_their_own_ssrcs_with_the_senders_times_and_picture_ids() {
    let mut room = Room::new();
    room.join(A, true);
    room.relay(R, "0");
    assert!(room.relay_says(R, &wants(video_name(A), 180)));
    room.frames(3);
    let before = room.take(R, 100);
    let (ts, picture): (Vec<u32>, Vec<u16>) = before.iter().map(|g| (g.ts, g.picture_id())).unzip();
    assert_eq!(before.len(), 3 * 3 * 2, "every packet once");
    let ssrcs: HashSet<u32> = before.iter().map(|g| g.ssrc).collect();
    assert_eq!(ssrcs, (0..3).map(|i| ssrc(A, i)).collect());
    // As the camera counts: from these beginnings, by one frame each.
    assert_eq!((ts[0], picture[0]), (1_000 + 2_970, 0x7ff1));
    assert_eq!((ts[2], picture[2]), (500_000 + 2_970, 6));
    assert!(before.iter().all(|g| g.extensions.is_empty()), "no stamps between bridges");
    for i in 0..3 {
        let of_one: Vec<_> = before.iter().filter(|g| g.ssrc == ssrc(A, i)).cloned().collect();
        assert_eq!(assert_continuous(&of_one), [i as u8]);
    }
    room.audio(A, 7, 20);
    let audio = room.take(R, 111);
    assert_eq!((audio.len(), audio[0].ssrc, audio[0].ts), (1, audio_ssrc(A), 7 * 960));
    assert_eq!(audio[0].extensions, [(1, vec![0x80 | 20])], "the level, for the speaker there");
}

#[test]
fn nothing_comes_back_into_the_mesh_it_came_from_and_everything_goes_on_into_another() {
    let mut room = Room::new();
    room.join(A, true);
    for (relay, mesh) in [(R, "0"), (S, "0"), (T, "1")] {
        room.relay(relay, mesh);
    }
    room.remote(R, AT_R);
    for relay in [R, S, T] {
        let own = room.relay_says(relay, &wants(video_name(AT_R), 720));
        assert_eq!(own, relay == T, "nobody asks for what he has, or gets from elsewhere");
    }
    room.want(A, 180, None);
    room.frames(30);
    (0..10).for_each(|n| room.audio_over(R, AT_R, n, 20));
    for pt in [100, 111] {
        let all = [R, S, T].map(|relay| room.take(relay, pt).iter().filter(|g| g.ssrc / 1000 == 21).count());
        assert_eq!((all[0], all[1]), (0, 0), "{pt}");
        assert!(all[2] > 0, "{pt}");
    }
    assert_eq!(told(&room, R, &video_name(AT_R)), [720], "for both, once");
    assert!(told(&room, T, &video_name(AT_R)).is_empty());
}

/// A stock bridge says it once, and the focus may have told it of the source before us.
#[test]
fn compat_a_wish_for_a_source_that_is_not_known_yet_counts_when_it_is() {
    let mut room = Room::new();
    room.relay(R, "0");
    assert!(!room.relay_says(R, &wants(video_name(A), 360)), "nobody has it");
    // As many as fit, with it: it is the oldest, and stays.
    for n in 1..MAX_EARLY_WISHES {
        let other = SourceName::new(format!("other{n}-v0"));
        room.relay_says(R, &wants(other, 180));
    }
    room.join(A, true);
    room.frames(30);
    let seen =
        |room: &mut Room| room.take(R, 100).iter().filter(|g| g.ssrc / 1000 == ssrc(A, 0) / 1000).count();
    assert!(seen(&mut room) > 0, "pictures go there");
    // One beyond is forgotten.
    let mut room = Room::new();
    room.relay(R, "0");
    room.relay_says(R, &wants(video_name(A), 360));
    for n in 0..MAX_EARLY_WISHES {
        let other = SourceName::new(format!("other{n}-v0"));
        room.relay_says(R, &wants(other, 180));
    }
    room.join(A, true);
    room.frames(30);
    assert_eq!(seen(&mut room), 0);
}

/// A stock bridge drops `AddReceiver` for a source that it was not told of yet, and only logs it.
#[test]
fn compat_a_wish_of_which_nothing_comes_is_said_again_a_few_times() {
    let mut room = Room::new();
    room.join(A, true);
    room.relay(R, "0");
    room.remote(R, AT_R);
    room.want(A, 180, None);
    let source = video_name(AT_R);
    (0..5).for_each(|_| room.pass(100));
    assert_eq!(told(&room, R, &source), [180], "a bridge may take its time");
    (0..60).for_each(|_| room.pass(1000));
    let repeated = vec![180; 1 + usize::from(WISH_REPEATS)];
    assert_eq!(told(&room, R, &source), repeated, "not for ever: cameras are switched off");
    // Another wish begins anew; pictures are the answer to it.
    room.want(A, 720, None);
    room.frames(300);
    let heights = told(&room, R, &source);
    assert_eq!(heights.iter().filter(|h| **h == 720).count(), 1, "{heights:?}");
    // What nobody wants any more is not said again.
    room.want(A, 0, None);
    (0..60).for_each(|_| room.pass(1000));
    assert_eq!(told(&room, R, &source).iter().filter(|h| **h == 0).count(), 1);
}

#[test]
fn who_is_behind_another_bridge_is_seen_and_heard_as_everybody_else() {
    let mut room = Room::new();
    room.join(A, true);
    room.join(B, false);
    room.relay(R, "0");
    room.remote(R, AT_R);
    room.want(A, 0, Some((AT_R, 720)));
    room.want(B, 180, None);
    for n in 0..90 {
        room.audio_over(R, AT_R, n, 20);
        room.frame();
    }
    assert_eq!(told(&room, R, &video_name(AT_R)).last(), Some(&720), "the most anybody here wants");
    let (of_a, of_b) = (room.take(A, 100), room.take(B, 100));
    let remote = |all: &[Got], encoding: u8| all.iter().filter(|g| g.encoding() == encoding).count();
    assert!(remote(&of_a, 2) > 60, "{}", remote(&of_a, 2));
    let of_b: Vec<_> = of_b.into_iter().filter(|g| g.ssrc == ssrc(AT_R, 0)).collect();
    assert!(of_b.len() > 60 && of_b.iter().all(|g| g.encoding() == 0));
    assert_continuous(&of_b);
    assert_eq!(room.take(A, 111).len(), 90);
    let speaks = room.messages(A).into_iter().any(|m| {
        matches!(m, BridgeMessage::DominantSpeaker { dominant_speaker, .. } if dominant_speaker.as_str() == name(AT_R))
    });
    assert!(speaks);
    let speaker = |m: &&BridgeMessage| matches!(m, BridgeMessage::DominantSpeaker { .. });
    assert!(!room.messages(R).iter().any(speaker), "each bridge finds out itself");
    // Nobody wants it any more.
    room.want(A, 0, None);
    room.want(B, 0, None);
    room.pass(100);
    assert_eq!(told(&room, R, &video_name(AT_R)).last(), Some(&0));
}

#[test]
fn a_picture_that_nobody_behind_a_bridge_wants_does_not_go_there_and_leaves_no_gap() {
    let mut room = Room::new();
    room.join(A, true);
    room.relay(R, "0");
    room.frames(3);
    assert_eq!(room.take(R, 100), [], "not asked for yet");
    let mut got = Vec::new();
    for height in [720, 0, 360] {
        assert!(room.relay_says(R, &wants(video_name(A), height)));
        room.frames(5);
        got.extend(room.take(R, 100));
    }
    assert_eq!(asked(&room, A).into_iter().skip_while(|h| *h == 0).collect::<Vec<_>>(), [720, 0, 360]);
    let top: Vec<u64> = got.iter().filter(|g| g.ssrc == ssrc(A, 2)).map(|g| g.seq).collect();
    assert_eq!(top.len(), 2 * 5 * 2);
    assert!(top.windows(2).all(|w| w[1] == w[0] + 1), "{top:?}");
    // Without a channel nobody can say anything: everything goes.
    room.relay_says(R, &wants(video_name(A), 0));
    room.media.set_channel_open(room.now, R, false, &mut room.out);
    room.frames(5);
    assert_eq!(room.take(R, 100).len(), 5 * 3 * 2);
    // A relay that goes wants nothing.
    room.relay_says(R, &wants(video_name(A), 720));
    room.media.remove_relay(room.now, R, &mut room.out);
    assert_eq!(asked(&room, A).last(), Some(&0));
}

#[test]
fn what_a_bridge_lost_is_sent_again_beside_it_and_its_key_frame_requests_reach_the_sender() {
    let mut room = Room::new();
    room.join(A, true);
    room.relay(R, "0");
    room.relay_says(R, &wants(video_name(A), 720));
    room.frames(10);
    let sent: Vec<_> = room.take(R, 100).into_iter().filter(|g| g.ssrc == ssrc(A, 1)).collect();
    let lost = &sent[5];
    let mut nack = [0; 100];
    let (len, _) = feedback::write_nack(&mut nack, 9, ssrc(A, 1), &[lost.seq as u16]).unwrap();
    room.rtcp(R, &nack[..len]);
    let again = room.take(R, 96);
    assert_eq!((again.len(), again[0].ssrc), (1, rtx_ssrc(A, 1)));
    assert_eq!(
        (&again[0].payload[..2], &again[0].payload[2..]),
        (&(lost.seq as u16).to_be_bytes()[..], &lost.payload[..])
    );

    room.pass(1_000);
    let mut pli = [0; 20];
    let len = feedback::write_pli(&mut pli, 9, ssrc(A, 1)).unwrap();
    room.rtcp(R, &pli[..len]);
    assert_eq!(room.key_frame_requests(), [(A, ssrc(A, 1))]);
    // And the other way.
    room.remote(R, AT_R);
    room.want(A, 0, Some((AT_R, 720)));
    room.camera(AT_R).needs_key = [false; 3];
    room.send_frame();
    let of_remote = |(to, media): &(EndpointKey, u32)| *to == R && media / 1000 == AT_R.0;
    assert!(room.key_frame_requests().iter().any(of_remote), "{:?}", room.key_frame_requests());
    room.frames(10);
    assert!(!room.take(A, 100).is_empty());
}

#[test]
fn a_bridge_may_ask_for_so_many_key_frames_of_a_source_and_not_for_one_more() {
    let mut room = Room::new();
    room.join(A, true);
    room.relay(R, "0");
    room.relay_says(R, &wants(video_name(A), 720));
    room.frames(2);
    let mut pli = [0; 20];
    let len = feedback::write_pli(&mut pli, 9, ssrc(A, 2)).unwrap();
    let mut asked = 0;
    for _ in 0..=KEY_FRAME_REQUESTS_OF_RELAY {
        room.rtcp(R, &pli[..len]);
        asked += room.key_frame_requests().len();
        room.pass(210);
    }
    assert_eq!(asked, KEY_FRAME_REQUESTS_OF_RELAY);
}

#[test]
fn reports_of_senders_go_on_to_other_bridges_with_their_own_times() {
    let mut room = Room::new();
    room.join(A, true);
    room.relay(R, "0");
    room.audio(A, 1, 20);
    let info = SenderInfo { ntp: 0xe000_0000_0000_0000, rtp_timestamp: 960, packets: 1, octets: 4 };
    let mut buf = [0; 28];
    let len = report::write_sender_report(&mut buf, audio_ssrc(A), &info, &[]).unwrap();
    room.out.rtcp.clear();
    room.rtcp(A, &buf[..len]);
    let sent: Vec<_> = room.out.rtcp.iter().filter(|(to, _)| *to == R).map(|(_, bytes)| bytes).collect();
    assert_eq!(sent.len(), 1);
    let Some(Ok(Rtcp::SenderReport { ssrc, info, .. })) = Compound::new(sent[0]).next() else { panic!() };
    assert_eq!((ssrc, info.rtp_timestamp), (audio_ssrc(A), 960));
}

#[test]
fn kinds_of_sources_are_told_to_bridges_when_they_change_and_when_the_channel_opens() {
    let mut room = Room::new();
    room.join(A, true);
    room.relay(R, "0");
    room.relay(T, "1");
    room.remote(R, AT_R);
    let kind =
        |source: EndpointKey, video_type| SourceVideoType { source_name: video_name(source), video_type };
    room.say(A, ClientMessage::SourceVideoType(kind(A, VideoType::Desktop)));
    let of = |owner: EndpointKey, video_type| BridgeMessage::SourceVideoType {
        endpoint: EndpointId::new(name(owner)),
        source: kind(owner, video_type),
    };
    for relay in [R, T] {
        assert!(room.messages(relay).contains(&&of(A, VideoType::Desktop)));
    }
    assert!(room.relay_says(R, &of(AT_R, VideoType::None)));
    assert!(room.messages(T).contains(&&of(AT_R, VideoType::None)));
    assert!(!room.messages(R).contains(&&of(AT_R, VideoType::None)));
    assert!(!room.relay_says(T, &of(AT_R, VideoType::Camera)), "it is not behind that one");
    assert!(!room.relay_says(R, &of(A, VideoType::Camera)), "it is here");
    // Later.
    room.relay(S, "0");
    let kinds = |m: &&BridgeMessage| matches!(m, BridgeMessage::SourceVideoType { .. });
    let told: Vec<_> = room.messages(S).into_iter().filter(kinds).cloned().collect();
    assert_eq!(told, [of(A, VideoType::Desktop)]);
}

#[test]
fn a_relay_that_goes_leaves_nothing() {
    let mut room = Room::new();
    room.join(A, true);
    room.relay(R, "0");
    room.remote(R, AT_R);
    room.relay_says(R, &wants(video_name(A), 720));
    room.want(A, 720, None);
    for n in 0..30 {
        room.audio_over(R, AT_R, n, 20);
        room.frame();
    }
    room.take(R, 100);
    room.media.remove_relay(room.now, R, &mut room.out);
    let media = &room.media;
    assert_eq!(media.members.iter().count(), 1);
    assert!(media.members.relays().is_empty() && media.sources.video(&video_name(AT_R)).is_none());
    assert_eq!(media.speakers.order().len(), 1);
    assert!(media.sources.iter().all(|(_, s)| s.relayed.is_empty() && s.wishes.is_empty()));
    room.frame();
    assert_eq!(room.take(R, 100), []);
    room.leave(A);
    assert!(room.media.members.is_empty() && room.media.sources.len() == 0);
}

#[test]
fn endpoints_behind_a_relay_have_a_limit_and_each_may_send_as_much_as_others() {
    let mut room = Room::new();
    room.join(A, true);
    room.relay(R, "0");
    let mut set =
        |id: String| room.media.set_remote_endpoint(room.now, R, &EndpointId::new(id), &[], &mut room.out);
    for n in 0..MAX_ENDPOINTS_PER_RELAY {
        assert!(set(format!("e{n}")));
    }
    assert!(set("e0".to_owned()), "an update");
    assert!(!set("one-more".to_owned()), "one beyond");

    let mut room = Room::new();
    room.join(A, true);
    room.relay(R, "0");
    room.remote(R, AT_R);
    room.remote(R, EndpointKey(22));
    let limited = |room: &Room| room.media.counters().dropped(DropReason::Limit);
    for n in 0..AUDIO_PER_ENDPOINT.burst() {
        room.audio_over(R, AT_R, n as u16, 20);
    }
    assert_eq!(limited(&room), 0, "at the limit");
    room.audio_over(R, AT_R, AUDIO_PER_ENDPOINT.burst() as u16, 20);
    assert_eq!(limited(&room), 1, "one beyond");
    room.take(A, 111);
    room.audio_over(R, EndpointKey(22), 1, 20);
    assert_eq!(room.take(A, 111).len(), 1, "its neighbour is heard");
}

#[test]
fn a_bridge_may_send_and_ask_for_as_much_as_all_its_people_and_not_more() {
    let mut room = Room::new();
    room.join(A, true);
    room.relay(R, "0");
    let limited = |room: &Room| room.media.counters().dropped(DropReason::Limit);
    // Of nobody who was announced.
    for n in 0..RTP_PER_RELAY.burst() {
        room.audio_over(R, AT_R, n as u16, 20);
    }
    assert_eq!(limited(&room), 0, "at the limit");
    room.audio_over(R, AT_R, 0, 20);
    assert_eq!(limited(&room), 1, "one beyond");
    let mut pli = [0; 20];
    let len = feedback::write_pli(&mut pli, 9, 9).unwrap();
    for _ in 0..RTCP_PER_RELAY.burst() {
        room.rtcp(R, &pli[..len]);
    }
    assert_eq!(limited(&room), 1, "at the limit");
    room.rtcp(R, &pli[..len]);
    assert_eq!(limited(&room), 2, "one beyond");
    // A is heard all the same.
    room.audio(A, 1, 20);
    assert_eq!(room.take(R, 111).len(), 1);

    let (mut left, now) = (Bucket::full(), room.now);
    let burst = RETRANSMITTED_BYTES_PER_RELAY.burst();
    assert!(left.take(&RETRANSMITTED_BYTES_PER_RELAY, now, burst), "at the limit");
    assert!(!left.take(&RETRANSMITTED_BYTES_PER_RELAY, now, 1), "one beyond");
}

#[test]
fn compat_the_allocation_of_layers_goes_to_bridges_and_not_to_clients() {
    let mut room = Room::new();
    room.join(A, true);
    room.join(B, true);
    room.relay(R, "0");
    let vla = "http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00";
    for key in [A, B, R] {
        room.media.add_header_extensions(key, &[HeaderExtension::new(9, vla)]);
    }
    let fields =
        RtpFields { marker: false, payload_type: 111, sequence: 1, timestamp: 960, ssrc: audio_ssrc(A) };
    room.rtp(A, &packet(&fields, &[(1, &[0x94]), (9, &[7, 8, 9])], b"opus"));
    let extensions = |room: &mut Room, to| room.take(to, 111)[0].extensions.clone();
    assert_eq!(extensions(&mut room, R), [(1, vec![0x94]), (9, vec![7, 8, 9])]);
    assert_eq!(extensions(&mut room, B), [(1, vec![0x94])]);
}
