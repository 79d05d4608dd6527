//! What receivers ask for and are told: last-n, stage and tiles, source maps, bandwidth, stamps.

use std::time::Duration;

use jitsi_xmpp::bridge_channel::{BridgeMessage, ClientMessage, SourceVideoType};
use jitsi_xmpp::colibri2::MediaSource;
use jitsi_xmpp::ids::{MediaType, SourceName, Ssrc};
use jitsi_xmpp::jingle::{HeaderExtension, Semantics, Source, SsrcGroup, VideoType};
use videobridge_rtp::rtcp::{Compound, ReportBlock, Rtcp, SenderInfo, report};
use videobridge_rtp::{NtpMiddle, RtpFields};

use super::super::settle::ALLOCATIONS_PER_TURN;
use super::room::*;
use crate::media::limits::{MAX_REPORT_BLOCKS, SENT_REPORTS};
use crate::media::{Bitrate, EndpointKey, LastNBySize, MediaConfig};

fn forwarded(room: &Room, to: EndpointKey) -> Option<Vec<String>> {
    room.messages(to).iter().rev().find_map(|m| match m {
        BridgeMessage::ForwardedSources { forwarded_sources: f } => {
            Some(f.iter().map(|n| n.to_string()).collect())
        }
        _ => None,
    })
}

fn constraint(room: &Room, to: EndpointKey) -> Option<i32> {
    room.messages(to).iter().rev().find_map(|m| match m {
        BridgeMessage::SenderSourceConstraints { max_height, .. } => Some(*max_height),
        _ => None,
    })
}

#[test]
fn senders_are_told_the_most_anybody_wants() {
    let mut room = Room::new();
    [A, B, C].into_iter().for_each(|k| room.join(k, true));
    assert_eq!(constraint(&room, A), Some(0), "nobody asked yet");
    room.want(B, 180, None);
    assert_eq!(constraint(&room, A), Some(180));
    room.want(C, 180, Some((A, 720)));
    assert_eq!((constraint(&room, A), constraint(&room, B)), (Some(720), Some(180)));
    room.want(B, -1, None);
    assert_eq!(constraint(&room, A), Some(-1));
    let messages = room.out.messages.len();
    room.want(B, -1, None);
    assert_eq!(room.out.messages.len(), messages, "only changes");
    room.leave(B);
    assert_eq!(constraint(&room, A), Some(720));
    room.leave(C);
    assert_eq!(constraint(&room, A), Some(0));
}

#[test]
fn stage_and_tiles_get_different_layers() {
    let mut room = Room::new();
    [A, B, C].into_iter().for_each(|k| room.join(k, true));
    room.want(C, 180, Some((A, 720)));
    room.frames(60);
    let last = room.take(C, 100);
    let per_stream = |height: u8| last.iter().rev().take(20).filter(|p| p.encoding() == height).count();
    assert_eq!((per_stream(2), per_stream(0), per_stream(1)), (10, 10, 0));
    assert_eq!(forwarded(&room, C).unwrap(), [video_name(A).to_string(), video_name(B).to_string()]);
    room.want(C, 180, None);
    room.frames(60);
    let last = room.take(C, 100);
    assert!(last.iter().rev().take(20).all(|p| p.encoding() == 0));
}

#[test]
fn last_n_limits_who_is_sent_and_the_list_is_complete_on_every_change() {
    let mut room = Room::new();
    [A, B, C].into_iter().for_each(|k| room.join(k, true));
    room.want(C, 180, None);
    room.frames(10);
    assert_eq!(forwarded(&room, C).unwrap().len(), 2);
    room.say(C, ClientMessage::LastNChanged { last_n: 1 });
    assert_eq!(forwarded(&room, C).unwrap(), [video_name(A).to_string()]);
    room.take(C, 100);
    room.frames(10);
    let streams: std::collections::BTreeSet<u32> = room.take(C, 100).iter().map(|p| p.ssrc).collect();
    assert_eq!(streams.len(), 1);
    room.say(C, ClientMessage::LastNChanged { last_n: 0 });
    assert_eq!(forwarded(&room, C).unwrap(), [""; 0]);
    room.frames(3);
    assert!(room.take(C, 100).is_empty());
    room.say(C, ClientMessage::LastNChanged { last_n: -1 });
    room.frames(30);
    let got = room.take(C, 100);
    assert_eq!(got.iter().map(|p| p.ssrc).collect::<std::collections::BTreeSet<_>>().len(), 2, "resumed");
}

#[test]
fn who_is_sent_is_bounded_by_the_least_of_what_client_admin_and_load_allow() {
    let mut room = Room::with(MediaConfig { jvb_last_n: 4, ..MediaConfig::default() });
    let all: Vec<EndpointKey> = (20..26).map(EndpointKey).collect();
    all.iter().for_each(|k| room.join(*k, true));
    let who = all[5];
    room.want(who, 180, None);
    room.frames(10);
    let sent = |room: &Room| forwarded(room, who).unwrap().len();
    assert_eq!(sent(&room), 4, "the admin's");
    room.media.set_load_last_n(room.now, Some(3), &mut room.out);
    assert_eq!((sent(&room), room.media.forwarded(who)), (3, 3), "the load's");
    room.say(who, ClientMessage::LastNChanged { last_n: 2 });
    assert_eq!(sent(&room), 2, "the client's");
    room.media.set_load_last_n(room.now, Some(1), &mut room.out);
    assert_eq!(sent(&room), 1);
    room.take(who, 100);
    room.frames(10);
    assert!(!room.take(who, 100).is_empty(), "and that one is sent");
    room.media.set_load_last_n(room.now, None, &mut room.out);
    assert_eq!(sent(&room), 2);
    room.say(who, ClientMessage::LastNChanged { last_n: -1 });
    assert_eq!(sent(&room), 4);
}

#[test]
fn compat_size_is_that_of_sources() {
    let last_n_by_size = LastNBySize::read("4=1").unwrap();
    let mut room = Room::with(MediaConfig { last_n_by_size, ..MediaConfig::default() });
    [A, B, C].into_iter().for_each(|k| room.join(k, true));
    room.want(C, 180, None);
    room.frames(10);
    assert_eq!(forwarded(&room, C).unwrap().len(), 2, "two others and itself");
    let fourth = EndpointKey(13);
    room.join(fourth, true);
    room.frames(10);
    assert_eq!(forwarded(&room, C).unwrap().len(), 1, "three others and itself");
    room.media.remove_endpoint(room.now, fourth, &mut room.out);
    room.frames(10);
    assert_eq!(forwarded(&room, C).unwrap().len(), 2);
    let mut screen = MediaSource::new(MediaType::Video, SourceName::new("endpoint10-v1"));
    screen.sources.push(Source::new(Ssrc(77)));
    room.media.set_sources(room.now, A, &[microphone(A), camera(A, 3), screen], &mut room.out);
    room.frames(10);
    assert_eq!(forwarded(&room, C).unwrap().len(), 1, "a screen counts as one more");
}

#[test]
fn the_speaker_comes_first_within_last_n() {
    let mut room = Room::new();
    [A, B, C].into_iter().for_each(|k| room.join(k, true));
    room.want(C, 180, None);
    room.say(C, ClientMessage::LastNChanged { last_n: 1 });
    for i in 0..150 {
        room.audio(A, i, 110);
        room.audio(B, i, if i > 50 { 15 } else { 110 });
        room.pass(20);
    }
    assert_eq!(forwarded(&room, C).unwrap(), [video_name(B).to_string()]);
}

#[test]
fn muted_cameras_are_not_forwarded() {
    let mut room = Room::new();
    [A, B].into_iter().for_each(|k| room.join(k, true));
    room.want(B, 180, None);
    assert_eq!(forwarded(&room, B).unwrap().len(), 1);
    let muted = |video_type| {
        ClientMessage::SourceVideoType(SourceVideoType { source_name: video_name(A), video_type })
    };
    room.say(B, muted(VideoType::None));
    assert_eq!(forwarded(&room, B).unwrap().len(), 1, "only the owner can say so");
    room.say(A, muted(VideoType::None));
    assert_eq!(forwarded(&room, B).unwrap().len(), 0);
    room.say(A, muted(VideoType::Camera));
    assert_eq!(forwarded(&room, B).unwrap().len(), 1);
}

/// Every SSRC of a rewriting receiver was in a map before its first packet, and maps never name its own sources.
fn assert_announced(room: &Room, to: EndpointKey) {
    for (_, got) in room.out.rtp.iter().filter(|(k, g)| *k == to && !g.payload.is_empty() && g.pt != 96) {
        let known =
            room.out.messages[..got.after_messages].iter().filter(|(k, _)| *k == to).any(|(_, m)| match m {
                BridgeMessage::VideoSourcesMap { mapped_sources: m } => {
                    m.iter().any(|s| s.ssrc.0 == got.ssrc)
                }
                BridgeMessage::AudioSourcesMap { mapped_sources: m } => {
                    m.iter().any(|s| s.ssrc.0 == got.ssrc)
                }
                _ => false,
            });
        assert!(known, "{got:?}");
    }
    for (key, message) in &room.out.messages {
        let owners: Vec<String> = match message {
            BridgeMessage::VideoSourcesMap { mapped_sources: m } => {
                m.iter().map(|s| s.owner.to_string()).collect()
            }
            BridgeMessage::AudioSourcesMap { mapped_sources: m } => {
                m.iter().map(|s| s.owner.to_string()).collect()
            }
            _ => continue,
        };
        assert!(!owners.contains(&name(*key)), "own source mapped back");
    }
}

#[test]
fn maps_come_before_packets() {
    let mut room = Room::new();
    room.join(A, true);
    room.join_silently(B, true);
    room.want(B, 180, None);
    for i in 0..10 {
        room.audio(A, i, 20);
        room.frame();
    }
    let probes = |g: &Got| g.payload.is_empty();
    assert!(room.out.rtp.iter().all(|(k, g)| *k != B || probes(g)), "no packets before the channel is open");
    room.media.set_channel_open(room.now, B, true, &mut room.out);
    for i in 10..20 {
        room.audio(A, i, 20);
        room.frame();
    }
    assert!(!room.take(C, 100).iter().any(|_| true));
    assert!(room.out.rtp.iter().any(|(k, g)| *k == B && g.pt == 111));
    assert!(room.out.rtp.iter().any(|(k, g)| *k == B && g.pt == 100));
    room.join(C, true);
    room.want(C, 180, None);
    room.frames(40);
    [A, B, C].into_iter().for_each(|k| assert_announced(&room, k));
}

#[test]
fn an_opening_channel_gets_the_whole_state_in_upstreams_order() {
    let mut room = Room::new();
    [A, B].into_iter().for_each(|k| room.join(k, true));
    room.want(B, 180, None);
    room.want(A, 360, None);
    for i in 0..100 {
        room.audio(A, i, 20);
        room.audio(B, i, 20);
        room.frame();
    }
    room.media.set_channel_open(room.now, B, false, &mut room.out);
    room.out.messages.clear();
    room.media.set_channel_open(room.now, B, true, &mut room.out);
    let kinds: Vec<&str> = room
        .messages(B)
        .iter()
        .map(|m| match m {
            BridgeMessage::SenderSourceConstraints { max_height: 360, .. } => "constraints",
            BridgeMessage::ForwardedSources { forwarded_sources } if forwarded_sources.len() == 1 => {
                "forwarded"
            }
            BridgeMessage::VideoSourcesMap { mapped_sources } if mapped_sources.len() == 1 => "video",
            BridgeMessage::AudioSourcesMap { mapped_sources } if mapped_sources.len() == 1 => "audio",
            BridgeMessage::DominantSpeaker { .. } => "speaker",
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds, ["constraints", "forwarded", "video", "audio", "speaker"]);
}

#[test]
fn video_slots_are_remapped_when_there_are_more_sources_than_slots() {
    let config = MediaConfig { video_slots: 2, ..MediaConfig::default() };
    let mut room = Room::with(config);
    let keys: Vec<EndpointKey> = (20..24).map(EndpointKey).collect();
    keys.iter().for_each(|k| room.join(*k, true));
    let viewer = keys[3];
    for watched in [keys[0], keys[1], keys[2], keys[0]] {
        room.want(viewer, 0, Some((watched, 180)));
        room.frames(30);
    }
    assert_announced(&room, viewer);
    let got = room.take(viewer, 100);
    let mut ssrcs: Vec<u32> = got.iter().map(|p| p.ssrc).collect();
    ssrcs.sort_unstable();
    ssrcs.dedup();
    assert_eq!(ssrcs.len(), 2, "the limit");
    for ssrc in ssrcs {
        assert_continuous(&got.iter().filter(|p| p.ssrc == ssrc).cloned().collect::<Vec<_>>());
    }
}

#[test]
fn extensions_get_the_receivers_ids_and_its_own_transport_numbers() {
    let mut room = Room::new();
    [A, B].into_iter().for_each(|k| room.join(k, true));
    room.media.add_header_extensions(
        B,
        &[HeaderExtension::new(7, AUDIO_LEVEL), HeaderExtension::new(9, TRANSPORT_CC)],
    );
    room.want(B, 180, None);
    for i in 0..3 {
        room.audio(A, i, 33);
        room.frame();
    }
    let video = room.take(B, 100);
    let numbers: Vec<Vec<u8>> = video.iter().map(|p| p.extensions[0].1.clone()).collect();
    assert!(video.iter().all(|p| p.extensions.len() == 1 && p.extensions[0].0 == 9));
    // Ten others probe the link.
    assert_eq!(numbers[..3], [vec![0, 0], vec![0, 1], vec![0, 12]]);
    let audio = room.take(B, 111);
    assert_eq!(audio[0].extensions, [(7, vec![0x80 | 33])], "audio is not tagged");
}

#[test]
fn senders_get_feedback_and_reports() {
    let mut room = Room::new();
    [A, B].into_iter().for_each(|k| room.join(k, true));
    room.frames(30);
    let kinds: Vec<_> =
        room.out.rtcp.iter().filter(|(to, _)| *to == A).flat_map(|(_, b)| Compound::new(b)).collect();
    let arrived: usize = kinds
        .iter()
        .filter_map(|p| match p {
            Ok(Rtcp::TransportFeedback(f)) => Some(f.statuses().filter(|s| s.delta_us.is_some()).count()),
            _ => None,
        })
        .sum();
    assert!((150..=180).contains(&arrived), "{arrived}");
    let blocks = kinds.iter().find_map(|p| match p {
        Ok(Rtcp::ReceiverReport { blocks, .. }) => {
            Some(blocks.map(|b| (b.ssrc, b.fraction_lost)).collect::<Vec<_>>())
        }
        _ => None,
    });
    assert_eq!(blocks.unwrap(), [(ssrc(A, 0), 0), (ssrc(A, 1), 0), (ssrc(A, 2), 0)]);
}

#[test]
fn reports_counted_the_laps_of_sequence_numbers_from_one() {
    let mut room = Room::new();
    [A, B].into_iter().for_each(|k| room.join(k, true));
    room.frames(60);
    let sent = |layer| u32::from(room.media_camera(A).sequence(layer));
    let reports = room.out.rtcp.iter().filter(|(to, _)| *to == A).flat_map(|(_, b)| Compound::new(b));
    let mut highest = [0; 3];
    for packet in reports {
        let Ok(Rtcp::ReceiverReport { blocks, .. }) = packet else { continue };
        for block in blocks {
            highest[(block.ssrc - ssrc(A, 0)) as usize] = block.extended_highest;
        }
    }
    // The first began shortly before the end of its first lap.
    assert!((0x1_0000..=0x1_0000 + sent(0)).contains(&highest[0]), "{highest:?}");
    assert!((100..=sent(1)).contains(&highest[1]) && (30_000..=sent(2)).contains(&highest[2]), "{highest:?}");
}

#[test]
fn assumed_bandwidth_limits_what_is_sent() {
    let config = MediaConfig { assumed_bandwidth_limit: Some(Bitrate(10_000_000)), ..MediaConfig::default() };
    let mut room = Room::with(config);
    [A, B].into_iter().for_each(|k| room.join(k, true));
    room.want(B, 720, None);
    room.frames(60);
    assert_eq!(room.take(B, 100).last().unwrap().encoding(), 2);
    // Layers of about 43, 139 and 235 kbit/s.
    room.say(
        B,
        ClientMessage::ReceiverVideoConstraints(jitsi_xmpp::bridge_channel::ReceiverVideoConstraints {
            assumed_bandwidth_bps: Some(160_000),
            ..Default::default()
        }),
    );
    room.frames(60);
    assert_eq!(room.take(B, 100).last().unwrap().encoding(), 1);
}

#[test]
fn a_large_conference_is_allocated_in_turns_and_nobody_is_left_out() {
    const NEWCOMER: EndpointKey = EndpointKey(900);
    let mut room = Room::new();
    let all: Vec<_> = (1..=2 * ALLOCATIONS_PER_TURN as u32 + 1).map(EndpointKey).collect();
    for key in &all {
        room.join_silently(*key, true);
        room.want(*key, 180, None);
    }
    let waiting = |room: &Room| room.media.members.iter().filter(|(_, m)| m.stale).count();
    (0..20).for_each(|_| room.pass(10));
    assert_eq!(waiting(&room), 0);
    // A newcomer with a camera concerns everybody.
    room.join_silently(NEWCOMER, true);
    let after_joining = waiting(&room);
    assert!(after_joining > 0, "more than one turn");
    let due = room.media.poll_timeout().expect("the next turn");
    assert!(due <= room.now + Duration::from_millis(5));
    let mut turns = 0;
    while waiting(&room) > 0 {
        room.now += Duration::from_millis(5);
        let before = waiting(&room);
        room.media.handle_timeout(room.now, &mut room.out);
        assert!(before - waiting(&room) <= ALLOCATIONS_PER_TURN, "one turn's work");
        turns += 1;
    }
    assert!(turns <= 4, "{turns}");
    let slots = room.media.config.video_slots;
    for (_, member) in room.media.members.iter().filter(|(_, m)| m.key != NEWCOMER) {
        assert_eq!(member.allocated.len(), slots.min(all.len()), "as many cameras as there are slots");
    }
}

#[test]
fn sent_reports_are_remembered_up_to_the_limit_and_not_one_beyond() {
    for (reports, known) in [(SENT_REPORTS as u64, true), (SENT_REPORTS as u64 + 1, false)] {
        let mut room = Room::new();
        [A, B].into_iter().for_each(|k| room.join(k, true));
        room.audio(A, 1, 20);
        let start = room.now;
        for n in 1..=reports {
            let info = SenderInfo { ntp: n << 32, ..SenderInfo::default() };
            let mut buf = [0; 28];
            report::write_sender_report(&mut buf, audio_ssrc(A), &info, &[]).unwrap();
            room.rtcp(A, &buf);
            room.pass(1_000);
        }
        // B answers the first one, a round trip of 50 ms later.
        let elapsed = room.now.duration_since(start) - Duration::from_millis(50);
        let block = ReportBlock {
            last_sr: NtpMiddle(1 << 16),
            delay_since_last_sr: (elapsed.as_secs_f64() * 65_536.0) as u32,
            ..ReportBlock::default()
        };
        let mut buf = [0; 32];
        report::write_receiver_report(&mut buf, 9, &[block]).unwrap();
        room.rtcp(B, &buf);
        let rtt = room.media.rtt(B).map(|rtt| rtt.as_millis());
        assert_eq!(rtt.is_some_and(|ms| (49..=51).contains(&ms)), known, "{reports}: {rtt:?}");
    }
}

#[test]
fn a_receiver_report_has_at_most_31_blocks_and_another_one_takes_the_rest() {
    for (streams, blocks) in [(MAX_REPORT_BLOCKS, vec![31]), (MAX_REPORT_BLOCKS + 1, vec![31, 1])] {
        let mut room = Room::new();
        room.join(A, true);
        // Eleven cameras of three encodings without retransmissions, as many streams of which as are wanted send.
        let sources: Vec<MediaSource> = (0..11)
            .map(|i| {
                let name = SourceName::new(format!("{}-v{i}", name(A)));
                let mut source = MediaSource::new(MediaType::Video, name);
                let ssrcs: Vec<Ssrc> = (0..3).map(|e| Ssrc(1_000 + i * 3 + e)).collect();
                source.sources.extend(ssrcs.iter().map(|s| Source::new(*s)));
                source.ssrc_groups.push(SsrcGroup { semantics: Semantics::Sim, ssrcs });
                source
            })
            .collect();
        room.media.set_sources(room.now, A, &sources, &mut room.out);
        room.out.rtcp.clear();
        for ssrc in (1_000..).take(streams) {
            let fields = RtpFields { marker: true, payload_type: 100, sequence: 7, timestamp: 0, ssrc };
            room.rtp(A, &packet(&fields, &[], &[0x10, 1, 2, 3]));
        }
        room.pass(600);
        let compounds = room.out.rtcp.iter().filter(|(to, _)| *to == A).flat_map(|(_, b)| Compound::new(b));
        let counts: Vec<usize> = compounds
            .filter_map(|p| match p {
                Ok(Rtcp::ReceiverReport { blocks, .. }) => Some(blocks.count()),
                _ => None,
            })
            .collect();
        assert_eq!(counts, blocks, "{streams}");
    }
}
