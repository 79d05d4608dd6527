//! Joining, leaving, changing sources, limits, and clients that fall silent.

use jitsi_xmpp::bridge_channel::{BridgeMessage, ClientMessage, SourceVideoType};
use jitsi_xmpp::colibri2::MediaSource;
use jitsi_xmpp::ids::{EndpointId, MediaType, SourceName, Ssrc};
use jitsi_xmpp::jingle::{PayloadType, Source, VideoType};

use super::room::*;
use crate::media::ids::MemberIx;
use crate::media::limits::{
    HISTORY_IDLE_SECS, MAX_EARLY_VIDEO_TYPES, MAX_ENCODINGS, MAX_SOURCES_PER_ENDPOINT, MAX_SSRCS_PER_ENDPOINT,
};
use crate::media::{DropReason, EndpointInit, EndpointKey};

#[test]
fn leaving_removes_everything() {
    let mut room = Room::new();
    [A, B, C].into_iter().for_each(|k| room.join(k, k != C));
    [A, B, C].into_iter().for_each(|k| room.want(k, 720, None));
    for i in 0..60 {
        room.audio(A, i, 20);
        room.audio(B, i, 20);
        room.frame();
    }
    room.leave(A);
    for (_, source) in room.media.sources.iter() {
        assert!(source.routes.iter().chain(&source.parked).all(|r| r.receiver != MemberIx(0)));
        assert!(source.wishes.iter().all(|(r, _)| *r != MemberIx(0)));
    }
    for (_, member) in room.media.members.iter() {
        assert!(member.forwarded.iter().all(|n| *n != video_name(A)));
        assert!(member.egress.streams().all(|s| {
            s.source.is_none_or(|s| room.media.sources.get(s.at).is_some_and(|x| x.uid == s.uid))
        }));
    }
    room.audio(A, 100, 20);
    [B, C].into_iter().for_each(|k| room.leave(k));
    let media = &room.media;
    assert!(media.members.is_empty() && media.sources.len() == 0 && media.members.find(A).is_none());
    assert!(media.sources.video(&video_name(A)).is_none() && media.speakers.order().is_empty());
    assert_eq!(media.poll_timeout(), None);
}

#[test]
fn a_newcomer_in_the_place_of_a_leaver_starts_fresh() {
    let mut room = Room::new();
    [A, B].into_iter().for_each(|k| room.join(k, true));
    room.want(B, 720, None);
    room.frames(30);
    room.leave(A);
    room.join(C, true);
    room.take(B, 100);
    room.frames(60);
    let got = room.take(B, 100);
    assert!(got.len() > 60);
    assert_continuous(&got);
}

/// The SSRCs a receiver was told, of one owner.
fn told(room: &Room, to: EndpointKey, owner: EndpointKey) -> Vec<u32> {
    let id = EndpointId::new(name(owner));
    let mut out = Vec::new();
    for message in room.messages(to) {
        match message {
            BridgeMessage::VideoSourcesMap { mapped_sources } => {
                out.extend(mapped_sources.iter().filter(|m| m.owner == id).flat_map(|m| [m.ssrc.0, m.rtx.0]));
            }
            BridgeMessage::AudioSourcesMap { mapped_sources } => {
                out.extend(mapped_sources.iter().filter(|m| m.owner == id).map(|m| m.ssrc.0));
            }
            _ => {}
        }
    }
    out
}

#[test]
fn a_newcomer_was_given_the_ssrcs_of_somebody_who_left() {
    let mut room = Room::new();
    [A, B].into_iter().for_each(|k| room.join(k, true));
    room.want(B, 720, None);
    room.audio(A, 1, 20);
    room.frames(10);
    room.leave(A);
    room.join(C, true);
    room.audio(C, 1, 20);
    room.frames(60);
    let (before, after) = (told(&room, B, A), told(&room, B, C));
    assert_eq!((before.len(), after.len()), (3, 3));
    assert!(after.iter().all(|ssrc| !before.contains(ssrc)), "the client has forgotten what they are");
    assert!(room.take(B, 100).len() > 100 && room.take(B, 111).len() == 2);
    // Somebody who only stops and starts a camera goes on with the same.
    room.media.set_sources(room.now, C, &[microphone(C)], &mut room.out);
    room.frames(5);
    room.media.set_sources(room.now, C, &[microphone(C), camera(C, 3)], &mut room.out);
    room.frames(60);
    let again = told(&room, B, C);
    assert!(again.len() > 3 && again.iter().all(|ssrc| after.contains(ssrc)));
}

#[test]
fn what_a_channel_did_not_take_is_told_again() {
    let mut room = Room::new();
    room.out.deaf = Some(B);
    [A, B, C].into_iter().for_each(|k| room.join(k, true));
    room.want(B, 720, None);
    room.want(C, 360, None);
    for n in 0..40 {
        room.audio(A, n, 20);
        room.frame();
    }
    assert_eq!(room.take(B, 100).len() + room.take(B, 111).len(), 0, "it would not know what that is");
    let messages = room.out.messages.len();
    room.out.deaf = None;
    for n in 40..100 {
        room.audio(A, n, 20);
        room.frame();
    }
    assert!(room.take(B, 100).len() > 50 && room.take(B, 111).len() > 30);
    let said = room.out.messages[messages..].iter().filter(|(to, _)| *to == B).map(|(_, m)| m);
    let kinds: std::collections::HashSet<_> = said.map(std::mem::discriminant).collect();
    assert_eq!(kinds.len(), 5, "constraints, forwarded sources, both maps, speaker");
    let messages = room.out.messages.len();
    room.frames(60);
    assert_eq!(room.out.messages.len(), messages, "once is enough");
}

#[test]
fn a_sender_that_starts_its_numbers_anew_was_lost_to_receivers_for_good() {
    let mut room = Room::new();
    [A, B].into_iter().for_each(|k| room.join(k, true));
    for n in 0..50 {
        room.audio(A, 40_000 + n, 20);
    }
    for n in 0..50 {
        room.audio(A, 10_000 + n, 20);
    }
    let got = room.take(B, 111);
    assert!(got.len() >= 97);
    // Further than half the space ahead the receiver's roll-over counter would be another.
    assert!(got.windows(2).all(|w| w[1].seq > w[0].seq && w[1].seq - w[0].seq < 0x4000));
}

#[test]
fn unchanged_sources_keep_flowing_when_others_change() {
    let mut room = Room::new();
    [A, B].into_iter().for_each(|k| room.join(k, true));
    room.want(B, 180, None);
    room.frames(10);
    let mut desktop = MediaSource::new(MediaType::Video, SourceName::new(format!("{}-v1", name(A))));
    desktop.sources.push(Source { video_type: Some(VideoType::Desktop), ..Source::new(Ssrc(7777)) });
    room.media.set_sources(room.now, A, &[camera(A, 3), microphone(A), desktop], &mut room.out);
    room.frames(10);
    room.media.set_sources(room.now, A, &[camera(A, 3)], &mut room.out);
    room.frames(10);
    let got = room.take(B, 100);
    assert_eq!(got.len(), 60);
    assert_continuous(&got);
    room.audio(A, 1, 20);
    assert_eq!(room.media.counters().dropped(DropReason::UnknownSsrc), 1);
}

#[test]
fn sources_per_endpoint_are_bounded() {
    let mut room = Room::new();
    room.join(A, true);
    let microphones = |n: usize| -> Vec<MediaSource> {
        let one = |i| {
            let mut s = MediaSource::new(MediaType::Audio, SourceName::new(format!("{}-a{i}", name(A))));
            s.sources.push(Source::new(Ssrc(50_000 + i as u32)));
            s
        };
        (0..n).map(one).collect()
    };
    for (wanted, limits) in [(MAX_SOURCES_PER_ENDPOINT, 0), (MAX_SOURCES_PER_ENDPOINT + 1, 1)] {
        room.media.set_sources(room.now, A, &microphones(wanted), &mut room.out);
        assert_eq!(room.media.sources.len(), MAX_SOURCES_PER_ENDPOINT);
        assert_eq!(room.media.counters().dropped(DropReason::Limit), limits);
    }
}

#[test]
fn ssrcs_per_endpoint_are_bounded() {
    // Three encodings with retransmissions each: six SSRCs a source.
    let cameras = |n: usize, more: usize| -> Vec<MediaSource> {
        let named = |i: usize, encodings| {
            let mut s = camera(EndpointKey(1_000 + i as u32), encodings);
            s.id = SourceName::new(format!("{}-v{i}", name(A)));
            s
        };
        (0..n).map(|i| named(i, 3)).chain((0..more).map(|i| named(n + i, 1))).collect()
    };
    // 10 × 6 + 2 × 2 = 64, and two more.
    for (more, sources, limits) in [(2, 12, 0), (3, 12, 1)] {
        let mut room = Room::new();
        room.join(A, true);
        room.media.set_sources(room.now, A, &cameras(10, more), &mut room.out);
        assert_eq!(room.media.sources.len(), sources);
        assert_eq!(room.media.members.by_key(A).unwrap().ssrcs.len(), MAX_SSRCS_PER_ENDPOINT);
        assert_eq!(room.media.counters().dropped(DropReason::Limit), limits);
    }
}

#[test]
fn encodings_per_source_are_bounded() {
    for (signalled, used) in [(MAX_ENCODINGS, MAX_ENCODINGS), (MAX_ENCODINGS + 1, MAX_ENCODINGS)] {
        let mut room = Room::new();
        room.join(A, true);
        room.media.set_sources(room.now, A, &[camera(A, signalled)], &mut room.out);
        let source = &room.media.sources[room.media.sources.video(&video_name(A)).unwrap()];
        assert_eq!(source.encodings.len(), used, "{signalled}");
    }
}

#[test]
fn the_history_of_a_source_that_sends_nothing_is_freed_after_15_s() {
    let mut room = Room::new();
    room.join(A, true);
    room.frames(10);
    let kept =
        |room: &Room| room.media.sources[room.media.sources.video(&video_name(A)).unwrap()].history.is_some();
    for _ in 0..HISTORY_IDLE_SECS - 1 {
        room.pass(1_000);
    }
    assert!(kept(&room), "a moment before");
    room.pass(1_000);
    room.pass(1_000);
    assert!(!kept(&room));
}

#[test]
fn early_video_types_are_remembered_but_bounded() {
    let mut room = Room::new();
    room.join(A, true);
    for i in 0..=MAX_EARLY_VIDEO_TYPES {
        let source_name = SourceName::new(format!("{}-v{}", name(A), i + 1));
        room.say(
            A,
            ClientMessage::SourceVideoType(SourceVideoType { source_name, video_type: VideoType::Desktop }),
        );
    }
    assert_eq!(room.media.counters().dropped(DropReason::Limit), 1);
    let mut late = MediaSource::new(MediaType::Video, SourceName::new(format!("{}-v1", name(A))));
    late.sources.push(Source::new(Ssrc(7777)));
    room.media.set_sources(room.now, A, &[late], &mut room.out);
    assert_eq!(room.media.sources.iter().next().unwrap().1.kind, VideoType::Desktop);
}

#[test]
fn compat_a_told_video_type_outlives_a_new_description() {
    let mut room = Room::new();
    room.join(A, true);
    let kind = |room: &Room| {
        room.media.sources.iter().find(|(_, s)| s.signalled.name == video_name(A)).unwrap().1.kind
    };
    let told = SourceVideoType { source_name: video_name(A), video_type: VideoType::None };
    room.say(A, ClientMessage::SourceVideoType(told));
    assert_eq!(kind(&room), VideoType::None);
    // With other streams, and after it was not there for a while.
    room.media.set_sources(room.now, A, &[microphone(A), camera(A, 1)], &mut room.out);
    assert_eq!(kind(&room), VideoType::None);
    room.media.set_sources(room.now, A, &[microphone(A)], &mut room.out);
    room.media.set_sources(room.now, A, &[microphone(A), camera(A, 3)], &mut room.out);
    assert_eq!(kind(&room), VideoType::None);
}

#[test]
fn compat_media_signalled_again_in_part_took_away_the_rest() {
    let mut room = Room::new();
    [A, B].into_iter().for_each(|k| room.join(k, true));
    room.want(B, 720, None);
    room.frames(30);
    room.take(B, 100);
    // Only header extensions of video, and one more codec.
    room.media.add_payload_types(B, MediaType::Video, &[]);
    room.media.add_payload_types(B, MediaType::Video, &[PayloadType::new(101, "VP9", 90_000, 1)]);
    room.frames(30);
    let got = room.take(B, 100);
    assert_eq!(got.len(), 60);
    assert_continuous(&got);
    let b = &room.media.members.by_key(B).unwrap().negotiated;
    assert!(b.transport_cc() && b.has_rtx());
}

#[test]
fn compat_old_clients_tell_the_kind_of_their_only_source() {
    let mut room = Room::new();
    room.join(A, true);
    let kind = |room: &Room| room.media.sources[room.media.sources.video(&video_name(A)).unwrap()].kind;
    assert_eq!(kind(&room), VideoType::Camera);
    room.say(A, ClientMessage::VideoType(VideoType::Desktop));
    assert_eq!(kind(&room), VideoType::Desktop);
}

#[test]
fn visitors_only_receive() {
    let mut room = Room::new();
    room.join(A, true);
    let id = EndpointId::new("visitor");
    let init = EndpointInit { id, ssrc_rewriting: true, visitor: true, initial_last_n: None };
    room.media.add_endpoint(room.now, B, init);
    room.media.set_sources(room.now, B, &[microphone(B)], &mut room.out);
    assert!(room.media.sources.iter().all(|(_, s)| s.owner_id.as_str() != "visitor"));
    assert_eq!(room.media.speakers.order().len(), 1);
}

#[test]
fn two_who_talk_directly_may_be_silent_for_an_hour() {
    let mut room = Room::new();
    [A, B].into_iter().for_each(|k| room.join(k, true));
    room.want(B, 720, None);
    for i in 0..30 {
        room.audio(A, i, 20);
        room.frame();
    }
    room.take(B, 100);
    for _ in 0..3600 {
        room.pass(1000);
    }
    room.take(B, 111);
    room.camera(A).layers = 3;
    for i in 30..90 {
        room.audio(A, i, 20);
        room.frame();
    }
    assert_eq!(room.take(B, 111).len(), 60, "audio goes on at once");
    let got = room.take(B, 100);
    assert_continuous(&got);
    assert_eq!(got.last().unwrap().encoding(), 2);
}

#[test]
fn hostile_bytes_are_counted_and_do_nothing() {
    let mut room = Room::new();
    [A, B].into_iter().for_each(|k| room.join(k, true));
    let valid = room.camera(A).frame();
    for len in 0..valid[0].len() {
        room.rtp(A, &valid[0][..len]);
        room.rtcp(A, &valid[0][..len]);
        room.rtcp(A, &[&[0x81, 200 + (len % 7) as u8, 0, (len % 9) as u8][..], &valid[0][..len]].concat());
    }
    let mut seed = 1u32;
    for _ in 0..5000 {
        let bytes: Vec<u8> = (0..40)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 24) as u8
            })
            .collect();
        room.rtp(A, &[&[0x90, 100, 1, 2, 3, 4, 5, 6], &ssrc(A, 0).to_be_bytes()[..], &bytes].concat());
        room.rtcp(B, &[&[0x8f, 205, 0, 9][..], &bytes[..36]].concat());
    }
    assert!(room.media.counters().dropped(DropReason::Malformed) > 0);
}
