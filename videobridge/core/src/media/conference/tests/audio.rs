//! Audio: who hears whom, silence, slots, and who is said to speak.

use jitsi_xmpp::bridge_channel::{AudioSubscription, BridgeMessage, ClientMessage};
use jitsi_xmpp::ids::{MediaType, SourceName};
use jitsi_xmpp::jingle::PayloadType;
use videobridge_rtp::RtpFields;

use super::room::*;
use crate::media::limits::SSRC_SLOTS;
use crate::media::{DropReason, EndpointKey, MediaConfig};

#[test]
fn everybody_hears_the_others_but_not_themselves() {
    let mut room = Room::new();
    [A, B, C].into_iter().for_each(|k| room.join(k, true));
    (0..5).for_each(|i| room.audio(A, i, 20));
    assert_eq!(room.take(A, 111).len(), 0);
    let got = room.take(B, 111);
    assert_eq!(got.len(), 5);
    assert!(got.windows(2).all(|w| w[1].seq == w[0].seq + 1 && w[1].ts == w[0].ts + 960));
    assert_eq!(room.take(C, 111).len(), 5);
}

#[test]
fn subscriptions_include_and_exclude() {
    let mut room = Room::new();
    [A, B, C].into_iter().for_each(|k| room.join(k, true));
    let of = |k| SourceName::new(format!("{}-a0", name(k)));
    let say = |room: &mut Room, all, include, exclude| {
        room.say(C, ClientMessage::ReceiverAudioSubscription(AudioSubscription { all, include, exclude }));
    };
    let heard = |room: &mut Room, n: u16| {
        room.take(C, 111);
        room.audio(A, n, 20);
        room.audio(B, n, 20);
        room.take(C, 111).len()
    };
    assert_eq!(heard(&mut room, 1), 2);
    say(&mut room, true, vec![], vec![of(A)]);
    assert_eq!(heard(&mut room, 2), 1);
    say(&mut room, false, vec![of(B)], vec![]);
    assert_eq!(heard(&mut room, 3), 1);
    say(&mut room, false, vec![], vec![]);
    assert_eq!(heard(&mut room, 4), 0);
    say(&mut room, true, vec![], vec![]);
    assert_eq!(heard(&mut room, 5), 2);
}

#[test]
fn long_silence_is_dropped_without_a_gap() {
    let mut room = Room::new();
    [A, B].into_iter().for_each(|k| room.join(k, true));
    for i in 0..20 {
        room.audio(A, i, if (5..15).contains(&i) { 127 } else { 20 });
    }
    let got = room.take(B, 111);
    assert_eq!(got.len(), 13, "three silent packets pass");
    assert!(got.windows(2).all(|w| w[1].seq == w[0].seq + 1));
    assert_eq!(got[8].ts - got[7].ts, 8 * 960, "time goes on");
    assert_eq!(room.media.counters().dropped(DropReason::Silence), 7);
}

#[test]
fn force_mute_drops_and_is_reversible() {
    let mut room = Room::new();
    [A, B].into_iter().for_each(|k| room.join(k, true));
    room.want(B, 180, None);
    room.media.set_force_mute(room.now, A, true, true);
    room.audio(A, 1, 20);
    room.frame();
    assert!(room.take(B, 111).is_empty() && room.take(B, 100).is_empty());
    room.media.set_force_mute(room.now, A, false, false);
    room.audio(A, 2, 20);
    assert_eq!(room.take(B, 111).len(), 1);
}

#[test]
fn audio_slots_are_bounded_and_the_least_recently_heard_is_replaced() {
    let config = MediaConfig { audio_slots: 2, ..MediaConfig::default() };
    let mut room = Room::with(config);
    let keys: Vec<EndpointKey> = (20..24).map(EndpointKey).collect();
    keys.iter().for_each(|k| room.join(*k, true));
    let listener = keys[3];
    let mut sent = [0; 3];
    for speaker in [0, 1, 2, 1, 2, 0] {
        for _ in 0..3 {
            sent[speaker] += 1;
            room.audio(keys[speaker], sent[speaker], 20);
            room.pass(20);
        }
    }
    let got = room.take(listener, 111);
    assert_eq!(got.len(), 18);
    let mut ssrcs: Vec<u32> = got.iter().map(|p| p.ssrc).collect();
    ssrcs.sort_unstable();
    ssrcs.dedup();
    assert_eq!(ssrcs.len(), 2);
    for ssrc in ssrcs {
        let stream: Vec<_> = got.iter().filter(|p| p.ssrc == ssrc).collect();
        assert!(
            stream.windows(2).all(|w| w[1].seq == w[0].seq + 1 && w[1].ts.wrapping_sub(w[0].ts) < 48_000)
        );
    }
    let maps =
        room.messages(listener).iter().filter(|m| matches!(m, BridgeMessage::AudioSourcesMap { .. })).count();
    assert_eq!(maps, 4, "one per new assignment");
}

#[test]
fn so_many_are_heard_at_once_and_not_one_more() {
    let mut room = Room::new();
    let speakers = (0..SSRC_SLOTS as u64 + 2).map(|n| EndpointKey(20 + n as u32));
    let speakers: Vec<EndpointKey> = speakers.collect();
    room.join(B, true);
    speakers.iter().for_each(|k| room.join(*k, true));
    for n in 0..3 {
        speakers.iter().for_each(|k| room.audio(*k, n, 20));
        room.pass(20);
    }
    let mut ssrcs: Vec<u32> = room.take(B, 111).iter().map(|p| p.ssrc).collect();
    ssrcs.sort_unstable();
    ssrcs.dedup();
    assert_eq!(ssrcs.len(), SSRC_SLOTS);
}

#[test]
fn everybody_is_told_who_speaks_and_who_spoke_before() {
    let mut room = Room::new();
    [A, B, C].into_iter().for_each(|k| room.join(k, true));
    let mut n = 0;
    for speaker in [A, B, A] {
        for _ in 0..200 {
            n += 1;
            [A, B, C].into_iter().for_each(|k| room.audio(k, n, if k == speaker { 20 } else { 110 }));
            room.pass(20);
        }
    }
    let told: Vec<(String, Vec<String>)> = room
        .messages(C)
        .iter()
        .filter_map(|m| match m {
            BridgeMessage::DominantSpeaker { dominant_speaker: d, previous_speakers: p, silence: false } => {
                Some((d.to_string(), p.iter().map(ToString::to_string).collect()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(told, [(name(A), vec![]), (name(B), vec![name(A)]), (name(A), vec![name(B)])]);
    room.out.messages.clear();
    room.leave(B);
    assert!(
        room.messages(C).iter().any(|m| matches!(m, BridgeMessage::DominantSpeaker { previous_speakers, .. } if previous_speakers.is_empty())),
        "who left is no previous speaker"
    );
}

/// Stereo at 256 kbit/s from each of six, redundant, towards somebody whose link has pictures waiting: no packet is changed, dropped or delayed.
#[test]
fn music_of_six_passes_untouched_and_at_once_also_where_pictures_have_to_wait() {
    let mut room = Room::new();
    let players: Vec<EndpointKey> = (20..26).map(EndpointKey).collect();
    room.join(B, true);
    players.iter().for_each(|k| room.join(*k, true));
    for key in players.iter().chain([&B]) {
        room.media.add_payload_types(*key, MediaType::Audio, &[PayloadType::new(112, "red", 48_000, 2)]);
    }
    room.want(B, 720, None);
    let (mut waited, mut last) = (0, [None; 6]);
    for n in 0..150_u16 {
        room.send_frame();
        for (key, last) in players.iter().zip(&mut last) {
            let body: Vec<u8> = (0..640_u16).map(|i| (i ^ n ^ key.0 as u16) as u8).collect();
            let fields = RtpFields {
                marker: n % 7 == 0,
                payload_type: 112,
                sequence: n,
                timestamp: u32::from(n) * 960,
                ssrc: audio_ssrc(*key),
            };
            room.rtp(*key, &packet(&fields, &[(1, &[0x80 | 20])], &body));
            let got = room.take(B, 112);
            assert_eq!(got.len(), 1, "packet {n} of {key:?} is there when the call returns");
            let got = got.into_iter().next().unwrap();
            assert_eq!((got.at, got.marker, got.payload), (room.now, n % 7 == 0, body));
            if let Some((ssrc, seq, ts)) = last.replace((got.ssrc, got.seq, got.ts)) {
                assert_eq!((got.ssrc, got.seq, got.ts), (ssrc, seq + 1, ts + 960));
            }
        }
        room.take(B, 100);
        room.pass(20);
        waited += room.take(B, 100).len();
    }
    assert!(waited > 100, "{waited} packets of pictures waited");
}
