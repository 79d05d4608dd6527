//! Joining, leaving, changing sources, limits, and clients that fall silent.

use jitsi_xmpp::bridge_channel::{ClientMessage, SourceVideoType};
use jitsi_xmpp::colibri2::MediaSource;
use jitsi_xmpp::ids::{EndpointId, MediaType, SourceName, Ssrc};
use jitsi_xmpp::jingle::{Source, VideoType};

use super::room::*;
use crate::media::limits::{MAX_EARLY_VIDEO_TYPES, MAX_SOURCES_PER_ENDPOINT};
use crate::media::{DropReason, EndpointInit};

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
    for (_, source) in &room.media.sources {
        assert!(source.routes.iter().chain(&source.parked).all(|r| r.receiver != 0));
        assert!(source.wishes.iter().all(|(r, _)| *r != 0));
    }
    for (_, member) in &room.media.members {
        assert!(member.forwarded.iter().all(|n| *n != video_name(A)));
        assert!(member.egress.streams.iter().all(|(_, s)| {
            s.source.is_none_or(|(uid, at)| room.media.sources.get(at).is_some_and(|x| x.uid == uid))
        }));
    }
    room.audio(A, 100, 20);
    [B, C].into_iter().for_each(|k| room.leave(k));
    let media = &room.media;
    assert!(media.members.is_empty() && media.sources.is_empty() && media.keys.is_empty());
    assert!(media.video_by_name.is_empty() && media.speakers.order().is_empty());
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
