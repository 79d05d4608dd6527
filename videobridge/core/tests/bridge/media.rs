//! Media through the whole bridge: decrypted, routed, rewritten, encrypted again.

use std::time::Duration;

use serde_json::Value;
use videobridge_core::{Asked, Command};
use videobridge_core::{Event, RequestId};

use crate::world::{World, audio_source, endpoint, new_endpoint, request, rtp};
use peer::Options;
use peer::describe::video_source;

const SSRC: u32 = 1001;

/// Three connected endpoints; the first one has an audio source.
fn three() -> World {
    let mut world = World::new();
    for id in ["aaaa0001", "aaaa0002", "aaaa0003"] {
        world.join(id, Options::default());
    }
    world.connect();
    let mut update = endpoint("aaaa0001");
    update.sources = Some(vec![audio_source("aaaa0001-a0", SSRC)]);
    world.modify(request(false, vec![update])).unwrap();
    world.run(Duration::from_millis(50));
    world
}

fn send(world: &mut World, packets: std::ops::Range<u16>) {
    for seq in packets {
        world.peers[0].send_rtp(&rtp(SSRC, seq, &[seq as u8; 40]));
        world.run(Duration::from_millis(20));
    }
}

/// The SSRC a client was told the source has for it.
fn mapped(texts: &[String], source: &str) -> u32 {
    let maps = texts.iter().filter(|t| t.contains("AudioSourcesMap"));
    maps.filter_map(|t| serde_json::from_str::<Value>(t).ok())
        .flat_map(|m| m["mappedSources"].as_array().cloned().unwrap_or_default())
        .filter(|m| m["source"] == source)
        .filter_map(|m| m["ssrc"].as_u64().or_else(|| m["ssrc"].as_str()?.parse().ok()))
        .next_back()
        .and_then(|n| u32::try_from(n).ok())
        .expect("the source is announced")
}

#[test]
fn audio_of_one_reaches_the_two_others_with_the_ssrc_they_were_told() {
    let mut world = three();
    send(&mut world, 1..51);
    assert!(world.peers[0].rtp.is_empty(), "nobody hears himself");
    for n in [1, 2] {
        let peer = &world.peers[n];
        assert_eq!(peer.broken, 0);
        let expected = mapped(&peer.texts, "aaaa0001-a0");
        let got: Vec<_> =
            peer.rtp.iter().map(|p| (p[1], p[8..12].to_vec(), p[p.len() - 40..].to_vec())).collect();
        assert_eq!(got.len(), 50);
        for (at, (payload_type, ssrc, payload)) in got.into_iter().enumerate() {
            assert_eq!((payload_type & 0x7f, u32::from_be_bytes(ssrc.try_into().unwrap())), (111, expected));
            assert_eq!(payload, vec![at as u8 + 1; 40]);
        }
        let sequences: Vec<_> = peer.rtp.iter().map(|p| u16::from_be_bytes([p[2], p[3]])).collect();
        assert!(sequences.windows(2).all(|w| w[1] == w[0].wrapping_add(1)), "{sequences:?}");
    }
}

#[test]
fn reports_about_a_source_carry_the_ssrc_the_receiver_knows() {
    let mut world = three();
    send(&mut world, 1..11);
    let mut report = vec![0x80, 200, 0, 6];
    report.extend(SSRC.to_be_bytes());
    report.extend(0xe000_0000_0000_0000_u64.to_be_bytes());
    report.extend((10_u32 * 960).to_be_bytes());
    report.extend(10_u32.to_be_bytes());
    report.extend(400_u32.to_be_bytes());
    world.peers[0].send_rtcp(&report);
    world.run(Duration::from_secs(2));
    for n in [1, 2] {
        let expected = mapped(&world.peers[n].texts, "aaaa0001-a0").to_be_bytes();
        let sender_report = |p: &&Vec<u8>| p[1] == 200 && p[4..8] == expected;
        assert!(world.peers[n].rtcp.iter().any(|p| sender_report(&p)), "{:?}", world.peers[n].rtcp);
    }
    // The sender is told by the bridge what arrived.
    assert!(!world.peers[0].rtcp.is_empty());
    assert!(world.peers.iter().all(|p| p.broken == 0));
}

#[test]
fn a_muted_endpoint_is_not_heard_and_heard_again() {
    let mut world = three();
    let mute = |world: &mut World, audio| {
        let mut update = endpoint("aaaa0001");
        update.force_mute = Some(jitsi_xmpp::colibri2::ForceMute { audio, video: false });
        world.modify(request(false, vec![update])).unwrap();
    };
    mute(&mut world, true);
    send(&mut world, 1..11);
    assert!(world.peers[1].rtp.is_empty());
    mute(&mut world, false);
    send(&mut world, 11..21);
    assert_eq!(world.peers[1].rtp.len(), 10);
}

#[test]
fn nothing_goes_to_an_endpoint_that_left_or_is_silent() {
    let mut world = three();
    send(&mut world, 1..6);
    let mut gone = endpoint("aaaa0003");
    gone.expire = true;
    world.modify(request(false, vec![gone])).unwrap();
    world.cut = vec![1];
    world.run(Duration::from_secs(40));
    let sent = world.shard.counters().packets_sent;
    for seq in 6..11 {
        world.peers[0].send_rtp(&rtp(SSRC, seq, &[1; 40]));
        world.settle(Default::default());
    }
    assert_eq!(world.shard.counters().packets_sent, sent, "consent is lost, so nothing is sent (RFC 7675)");
    assert_eq!(world.peers[2].rtp.len(), 5);
}

fn debug(world: &mut World, conference: Option<&str>) -> serde_json::Map<String, Value> {
    let asked = conference.map_or(Asked::All, |id| Asked::One(id.to_owned()));
    world.command(Command::Debug { request: RequestId(98), asked });
    let Some(Event::Debug { conferences, .. }) = world.events.pop_back() else { panic!("no answer") };
    *conferences
}

#[test]
fn the_state_of_a_conference_says_how_its_people_are_connected_and_not_who_or_where_they_are() {
    let mut world = three();
    world.modify(request(false, vec![new_endpoint("anna-m")])).unwrap();
    send(&mut world, 1..51);
    let all = debug(&mut world, None);
    let (id, short) = all.iter().next().unwrap();
    assert_eq!((all.len(), &short["endpoint_count"], short.get("endpoints")), (1, &4.into(), None));
    for asked in [id.as_str(), short["meeting_id"].as_str().unwrap()] {
        let one = debug(&mut world, Some(asked));
        let endpoints = one[id]["endpoints"].as_object().unwrap();
        let first = &endpoints["aaaa0001"];
        assert_eq!((&first["ice"], &first["address_family"]), (&"connected".into(), &"IPv4".into()));
        assert_eq!(
            (&first["sends_audio"], &endpoints["aaaa0002"]["sends_audio"]),
            (&true.into(), &false.into())
        );
        assert!(first["allocation_settings"]["last_n"].is_i64() && first["rtt_ms"].is_f64(), "{first}");
        // An id that a client chose may be a name.
        assert_eq!(endpoints["unnamed-1"]["ice"], "checking");
        let text = serde_json::to_string(&one).unwrap();
        assert!(!text.contains("anna") && !text.contains("10.0.") && !text.contains("192."), "{text}");
    }
    assert!(debug(&mut world, Some("nobody")).is_empty());
}

#[test]
fn statistics_know_who_is_there_and_what_was_sent() {
    let mut world = three();
    send(&mut world, 1..51);
    world.command(Command::Stats { request: RequestId(99) });
    let Some(Event::Stats { stats, .. }) = world.events.pop_back() else { panic!("no stats") };
    assert_eq!((stats.conferences, stats.endpoints, stats.largest_conference), (1, 3, 3));
    assert_eq!((stats.endpoints_sending_audio, stats.receive_only_endpoints), (1, 2));
    assert_eq!((stats.inactive_conferences, stats.conferences_by_size[3]), (0, 1));
    assert!(stats.totals.packets_sent >= 100 && stats.rtt_count == 3);
    assert_eq!(stats.totals.data_channel_messages_received, 0);
}

/// The second and third hear the first, and the second tells what it hears. Returns after how long it hears again, if it does.
fn hears_again(world: &mut World, from: u16) -> Option<Duration> {
    let (begun, before) = (world.now, world.peers[1].rtp.len());
    for seq in from..from + 3_000 {
        world.peers[0].send_rtp(&rtp(SSRC, seq, &[1; 40]));
        world.peers[1].send_rtcp(&[0x80, 201, 0, 1, 0, 0, 0, 1]);
        world.run(Duration::from_millis(20));
        if world.peers[1].rtp.len() > before {
            return Some(world.now - begun);
        }
    }
    None
}

#[test]
fn media_went_to_an_old_address_for_half_a_minute_after_a_nat_had_given_a_new_one() {
    let mut world = three();
    send(&mut world, 1..51);
    let old = std::mem::replace(&mut world.peers[1].address, "127.0.0.1:60001".parse().unwrap());
    let silent = hears_again(&mut world, 1_000).expect("it hears again");
    // Its next check may be as far away as browsers make them; then everything has to be over soon.
    assert!(silent <= CLIENTS_CHECK + Duration::from_secs(1), "{silent:?}");
    assert_eq!((world.peers[1].broken, world.shard.counters().paths_followed), (0, 1));
    // And back, as a telephone that looks for its Wi-Fi does.
    world.peers[1].address = old;
    let silent = hears_again(&mut world, 5_000).expect("it hears again");
    assert!(silent <= CLIENTS_CHECK + Duration::from_secs(1), "{silent:?}");
    let counters = world.shard.counters();
    assert_eq!((counters.endpoints_disconnected, counters.paths_followed), (0, 2));
}

/// Somebody on the way sees the packets of the second and sends copies, and its own, from another address.
#[test]
fn copies_of_packets_from_another_address_take_nobody_s_media_away() {
    let mut world = three();
    send(&mut world, 1..51);
    // The copy is the only one that arrives, and so as good as the packet.
    world.cut = vec![1];
    let thief = "127.0.0.1:60666".parse().unwrap();
    let mut wire = crate::world::Wire::default();
    for _ in 0..100 {
        world.peers[1].send_rtcp(&[0x80, 201, 0, 1, 0, 0, 0, 1]);
        world.run(Duration::from_millis(20));
        let now = world.now;
        for mut copy in std::mem::take(&mut world.peers[1].sent) {
            world.shard.handle_datagram(now, thief, crate::world::bridge(), &mut copy, &mut wire);
        }
        for (to, _, data) in wire.0.drain(..) {
            assert!(to != thief || data[0] < 4, "only questions, which it cannot answer");
        }
    }
    assert_eq!(world.shard.counters().paths_followed, 0);
}

/// Between two checks of a browser on a path that works.
const CLIENTS_CHECK: Duration = Duration::from_millis(2_500);

/// So many pictures who gets most gets.
fn most_forwarded(world: &mut World) -> u64 {
    world.command(Command::Stats { request: RequestId(99) });
    let Some(Event::Stats { stats, .. }) = world.events.pop_back() else { panic!("no stats") };
    stats.most_forwarded
}

/// Three cameras and somebody who looks at all of them.
fn cameras(limit: Option<u32>) -> World {
    let mut world = World::new();
    world.command(Command::LimitLastN(limit));
    for (id, ssrc) in ["aaaa0001", "aaaa0002", "aaaa0003"].into_iter().zip(5_000..) {
        world.join_with(id, Options::default(), |_, update| {
            update.sources = Some(vec![video_source(&format!("{id}-v0"), ssrc)]);
        });
    }
    let who = world.join("aaaa0004", Options::default());
    world.connect();
    let now = world.now;
    let wish =
        r#"{"colibriClass":"ReceiverVideoConstraints","lastN":-1,"defaultConstraints":{"maxHeight":180}}"#;
    assert!(world.peers[who].say(now, wish));
    world.run(Duration::from_millis(200));
    world
}

#[test]
fn a_bridge_that_is_overloaded_sends_fewer_pictures_in_every_conference() {
    let mut world = cameras(None);
    assert_eq!(most_forwarded(&mut world), 3);
    for (limit, forwarded) in [(Some(2), 2), (Some(2), 2), (Some(1), 1), (None, 3)] {
        world.command(Command::LimitLastN(limit));
        world.run(Duration::from_millis(100));
        assert_eq!(most_forwarded(&mut world), forwarded, "{limit:?}");
    }
    let mut later = cameras(Some(2));
    assert_eq!(most_forwarded(&mut later), 2, "also in one that begins meanwhile");
}
