//! Floods by one who may be there, or who can forge an address: what the others, and it itself, still get.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use jitsi_xmpp::Sensitive;
use jitsi_xmpp::jingle::{Candidate, CandidateType};
use videobridge_core::{Discard, limits};

use crate::world::{Wire, World, audio_source, bridge, endpoint, request, rtp};
use peer::Options;

/// A datagram from anywhere; what it is answered with gets lost.
fn throw(world: &mut World, from: SocketAddr, data: &[u8]) {
    let mut wire = Wire::default();
    world.shard.handle_datagram(world.now, from, bridge(), &mut data.to_vec(), &mut wire);
    while world.shard.poll_event().is_some() {}
}

fn two() -> World {
    let mut world = World::new();
    world.join("aaaa0001", Options::default());
    world.join("aaaa0002", Options::default());
    world.connect();
    world.run(Duration::from_secs(2));
    world
}

fn message(to: &str, len: usize) -> String {
    let head = format!(r#"{{"colibriClass":"EndpointMessage","to":"{to}","msgPayload":""#);
    format!("{head}{}\"}}", "x".repeat(len - head.len() - 2))
}

#[test]
fn a_flood_of_messages_does_not_push_out_what_a_client_lives_by() {
    let mut world = two();
    // The second one's network is bad: it reads nothing for a while.
    world.cut = vec![1];
    for round in 0..50 {
        let now = world.now;
        for _ in 0..4 {
            // Large ones first, then small ones that fit into what is left.
            world.peers[0].say(now, &message("aaaa0002", if round < 30 { 8_000 } else { 120 }));
        }
        world.run(Duration::from_millis(100));
    }
    let mut update = endpoint("aaaa0001");
    update.sources = Some(vec![audio_source("aaaa0001-a0", 7)]);
    world.modify(request(false, vec![update])).unwrap();
    for seq in 1..20 {
        world.peers[0].send_rtp(&rtp(7, seq, &[1; 40]));
        world.run(Duration::from_millis(20));
    }
    world.cut = vec![];
    world.run(Duration::from_secs(20));
    let told = |what: &str| world.peers[1].texts.iter().any(|t| t.contains(what));
    assert!(told("AudioSourcesMap") && told("aaaa0001-a0"), "without its SSRC nobody is ever heard");
}

#[test]
fn a_message_of_256_kib_arrives_as_with_a_stock_bridge_and_the_channel_goes_on() {
    let mut world = two();
    let now = world.now;
    for len in [70_000, 262_144 - 30] {
        world.peers[0].say(now, &message("aaaa0002", len));
        world.run(Duration::from_secs(10));
        let got = world.peers[1].texts.iter().filter(|t| t.len() > len).count();
        assert_eq!(got, 1, "{len}");
        world.peers[1].texts.clear();
    }
    let now = world.now;
    world.peers[0].say(now, &message("aaaa0002", 100));
    world.run(Duration::from_secs(1));
    assert!(world.peers[1].texts.iter().any(|t| t.contains("EndpointMessage")));
}

/// An authentic request of the first peer, as somebody on the way sees it.
fn captured(world: &mut World) -> Vec<u8> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let to = Rc::clone(&seen);
    world.meddle = Box::new(move |datagrams| {
        to.borrow_mut().extend(datagrams.iter().filter(|d| d[..2] == [0, 1]).cloned());
        datagrams
    });
    world.run(Duration::from_secs(6));
    world.meddle = Box::new(|d| d);
    seen.borrow().first().cloned().expect("a request")
}

#[test]
fn replayed_requests_from_forged_addresses_do_not_use_up_a_clients_addresses() {
    let mut world = World::new();
    world.join("aaaa0001", Options::default());
    world.connect();
    let replayed = captured(&mut world);
    for n in 0..700_u16 {
        let forged = SocketAddr::from(([203, 0, 113, 9], 1000 + n));
        throw(&mut world, forged, &replayed);
        world.now += Duration::from_millis(1);
    }
    // The client moves: its packets come from elsewhere, as after a change of networks.
    world.peers[0].address = "198.51.100.7:4000".parse().unwrap();
    world.run(Duration::from_secs(10));
    let lost = world.shard.counters().dropped(Discard::UnknownAddress);
    world.peers[0].send_rtp(&rtp(7, 1, &[1; 40]));
    world.run(Duration::from_millis(20));
    assert_eq!(
        world.shard.counters().dropped(Discard::UnknownAddress),
        lost,
        "it is known at its new address"
    );
    world.run(Duration::from_secs(60));
    assert_eq!(world.shard.load(), (1, 1), "and stays");
}

#[test]
fn a_forged_client_hello_from_the_clients_address_does_not_stall_its_handshake() {
    forged_first(true);
    forged_first(false);
}

fn forged_first(dtls12: bool) {
    let mut world = World::new();
    // The client's own ClientHello is late; somebody else's, complete and well-formed, is there first.
    let hello = Rc::new(RefCell::new(None));
    let seen = Rc::clone(&hello);
    world.meddle = Box::new(move |datagrams| {
        let is_hello = |d: &Vec<u8>| d[0] == 22 && d[13] == 1;
        if seen.borrow().is_some() {
            return datagrams;
        }
        *seen.borrow_mut() = datagrams.iter().find(|d| is_hello(d)).cloned();
        datagrams.into_iter().filter(|d| !is_hello(d)).collect()
    });
    world.join("aaaa0001", Options { dtls12, ..Options::default() });
    while hello.borrow().is_none() {
        world.run(Duration::from_millis(10));
    }
    let mut forged = hello.borrow().clone().unwrap();
    forged[13 + 12 + 2 + 5] ^= 0xff;
    let address = world.peers[0].address;
    throw(&mut world, address, &forged);
    world.run(Duration::from_secs(4));
    assert!(world.peers[0].dtls_connected && world.peers[0].channel_open, "{:?}", world.shard.counters());
}

#[test]
fn a_forged_client_hello_in_the_middle_of_a_handshake_changes_nothing() {
    for (twice, dtls12) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut world = World::new();
        world.meddle = Box::new(move |datagrams| {
            let forge = |d: Vec<u8>| {
                if d[0] != 22 || d[13] != 1 {
                    return vec![d];
                }
                let mut forged = d.clone();
                forged[13 + 12 + 2 + 5] ^= 0xff;
                let mut other = forged.clone();
                other[13 + 12 + 2 + 6] ^= 0xff;
                if twice { vec![d, forged, other] } else { vec![d, forged] }
            };
            datagrams.into_iter().flat_map(forge).collect()
        });
        world.join("aaaa0001", Options { dtls12, ..Options::default() });
        world.run(Duration::from_secs(4));
        assert!(world.peers[0].dtls_connected && world.peers[0].channel_open, "{:?}", world.shard.counters());
    }
}

/// Bytes changed, cut off, repeated: whatever the handshake comes to, the next one to come is served.
#[test]
fn handshakes_of_either_version_with_other_bytes_end_nothing_but_themselves() {
    for (seed, dtls12) in (1..=200_u64).flat_map(|seed| [(seed, false), (seed, true)]) {
        let mut world = World::new();
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut draw = move |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        world.meddle = Box::new(move |mut datagrams| {
            for d in datagrams.iter_mut().filter(|d| (20..64).contains(&d[0]) && d.len() > 14) {
                let at = draw(d.len());
                match draw(6) {
                    0 => d[at] = draw(256) as u8,
                    // Lengths, types and numbers are what parsers trust.
                    1 => d[draw(30).min(at)] ^= 1 << draw(8),
                    2 => d.truncate(at.max(1)),
                    3 => d.extend_from_within(at..),
                    _ => {}
                }
            }
            datagrams
        });
        world.join("aaaa0001", Options { dtls12, ..Options::default() });
        world.run(Duration::from_secs(3));
        world.meddle = Box::new(|d| d);
        world.join("aaaa0002", Options { dtls12, ..Options::default() });
        world.run(Duration::from_secs(2));
        assert!(world.peers[1].dtls_connected && world.peers[1].channel_open, "{seed} {dtls12}");
    }
}

#[test]
fn an_answer_from_another_address_than_was_asked_does_not_take_somebody_elses() {
    let mut world = World::new();
    world.join("aaaa0001", Options::default());
    world.connect();
    let victim = world.peers[0].address;
    // The second one names another address of its own, and answers what it is asked there as if it were the first one.
    let second_address = SocketAddr::from(([127, 0, 0, 1], 60_000));
    world.cut = vec![1];
    world.join_with("aaaa0002", Options::default(), |_, update| {
        let ice = update.transport.as_mut().unwrap().ice.as_mut().unwrap();
        ice.candidates.push(candidate("127.0.0.1", second_address.port()));
    });
    let mut answers = 0;
    for _ in 0..50 {
        world.now += Duration::from_millis(10);
        let mut wire = Wire::default();
        world.shard.handle_timeout(world.now, &mut wire);
        for (_, _, data) in wire.0.into_iter().filter(|(to, _, _)| *to == second_address) {
            let now = world.now;
            world.peers[1].receive(now, &data);
            for answer in std::mem::take(&mut world.peers[1].sent).iter().filter(|d| d[..2] == [1, 1]) {
                throw(&mut world, victim, answer);
                answers += 1;
            }
        }
    }
    assert!(answers > 0);
    let dropped = |world: &World| {
        [Discard::SrtpUnauthentic, Discard::NoKeys].map(|reason| world.shard.counters().dropped(reason))
    };
    let before = dropped(&world);
    let packet = world.peers[0].protect_rtp(&rtp(7, 1, &[1; 40]));
    throw(&mut world, victim, &packet);
    assert_eq!(dropped(&world), before, "still the first one's address");
}

fn candidate(ip: &str, port: u16) -> Candidate {
    Candidate {
        component: 1,
        foundation: "1".to_owned(),
        generation: 0,
        id: "c1".to_owned(),
        ip: Sensitive::new(ip.to_owned()),
        network: Some(0),
        port,
        priority: 2_130_706_431,
        protocol: "udp".to_owned(),
        kind: CandidateType::Host,
        rel_addr: None,
        rel_port: None,
        tcptype: None,
    }
}

#[test]
fn what_is_handed_to_a_data_channel_ahead_of_its_acknowledgements_has_a_limit() {
    const SIZE: usize = 8 * 1024;
    let mut world = two();
    world.cut = vec![1];
    let before = world.shard.counters().data_channel_messages_sent;
    for _ in 0..30 {
        let now = world.now;
        world.peers[0].say(now, &message("aaaa0002", SIZE));
        world.run(Duration::from_millis(20));
    }
    let handed = (world.shard.counters().data_channel_messages_sent - before) as usize;
    // The sender's id is put in, so that each is a little larger.
    let at_limit = limits::CHANNEL_WINDOW.div_ceil(SIZE);
    assert!((at_limit - 1..=at_limit + 1).contains(&handed), "{handed} of 30");
    world.cut = vec![];
    world.run(Duration::from_secs(20));
    let got = world.peers[1].texts.iter().filter(|t| t.len() >= SIZE).count();
    assert_eq!(got, 30, "the rest waited");
}
