//! Datagrams of strangers and of hostile participants: counted, dropped, without effect.

use std::net::SocketAddr;
use std::time::Duration;

use proptest::prelude::*;
use videobridge_core::{Discard, Disposition, limits};

use crate::world::{Wire, World, bridge};
use peer::Options;

fn throw(world: &mut World, from: SocketAddr, mut data: Vec<u8>) -> (Disposition, usize) {
    let mut wire = Wire::default();
    let disposition = world.shard.handle_datagram(world.now, from, bridge(), &mut data, &mut wire);
    (disposition, wire.0.len())
}

fn stranger() -> SocketAddr {
    "127.0.0.1:6666".parse().unwrap()
}

fn stun_request(username: &str) -> Vec<u8> {
    let padded = username.len().next_multiple_of(4);
    let mut m = vec![0, 1];
    m.extend(u16::try_from(padded + 4).unwrap().to_be_bytes());
    m.extend([0x21, 0x12, 0xa4, 0x42]);
    m.extend([7; 12]);
    m.extend([0, 6]);
    m.extend(u16::try_from(username.len()).unwrap().to_be_bytes());
    m.extend(username.as_bytes());
    m.resize(24 + padded, 0);
    m
}

#[test]
fn strangers_change_nothing() {
    let mut world = World::new();
    world.join("aaaa0001", Options::default());
    world.connect();
    let rtp = world.peers[0].protect_rtp(&[0x80, 111, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 9]);
    let cases = [
        (vec![], Discard::UnknownProtocol),
        (vec![255; 20], Discard::UnknownProtocol),
        (vec![0, 1, 2], Discard::MalformedStun),
        (stun_request("nobody00:x"), Discard::UnknownUfrag),
        (rtp, Discard::UnknownAddress),
        (vec![0x81, 201, 0, 1, 0, 0, 0, 1], Discard::UnknownAddress),
        (vec![22, 254, 253, 0, 0], Discard::UnknownAddress),
        (vec![0x80; limits::MAX_DATAGRAM + 1], Discard::Oversized),
    ];
    for (data, reason) in cases {
        let before = world.shard.counters().dropped(reason);
        let (disposition, answers) = throw(&mut world, stranger(), data);
        assert_eq!(world.shard.counters().dropped(reason), before + 1, "{reason}");
        assert_eq!(answers, 0, "{reason}");
        let unknown = matches!(reason, Discard::UnknownAddress | Discard::UnknownUfrag);
        assert_eq!(disposition == Disposition::Unknown, unknown, "{reason}");
    }
    // One byte less is only an unknown address.
    throw(&mut world, stranger(), vec![0x80; limits::MAX_DATAGRAM]);
    assert_eq!(world.shard.counters().dropped(Discard::Oversized), 1);
    // And the real peer is as well as before.
    world.run(Duration::from_secs(5));
    assert_eq!(world.shard.load(), (1, 1));
}

#[test]
fn a_request_with_a_wrong_password_is_refused() {
    let mut world = World::new();
    world.join("aaaa0001", Options::default());
    // A second peer has the user name but not the password.
    let ufrag = {
        let sent = std::cell::RefCell::new(Vec::new());
        world.peers[0].tick(world.now + Duration::from_millis(10));
        sent.borrow_mut().append(&mut world.peers[0].sent);
        let request = sent.borrow()[0].clone();
        videobridge_core::shard_of_request(&request).expect("ours");
        request
    };
    let mut forged = ufrag;
    let at = forged.len() - 20;
    forged[at] ^= 1;
    let (disposition, answers) = throw(&mut world, stranger(), forged);
    assert_eq!((disposition, answers), (Disposition::Taken, 0));
    assert_eq!(world.shard.counters().dropped(Discard::RefusedStun), 1);
    // The address was not bound by it.
    throw(&mut world, stranger(), vec![22, 254, 253, 0, 0]);
    assert_eq!(world.shard.counters().dropped(Discard::UnknownAddress), 1);
}

#[test]
fn media_of_a_participant_is_not_redirected_by_a_request_from_a_forged_address() {
    let mut world = World::new();
    world.join("aaaa0001", Options::default());
    world.join("aaaa0002", Options::default());
    world.connect();
    let victim = world.peers[0].address;
    // The second participant sends authentic checks that seem to come from the first one's address.
    world.now += Duration::from_secs(6);
    let now = world.now;
    world.peers[1].tick(now);
    let requests: Vec<_> = std::mem::take(&mut world.peers[1].sent);
    assert!(requests.iter().any(|r| r[0] == 0));
    for request in requests {
        throw(&mut world, victim, request);
    }
    // The victim's packets are still taken for the victim's.
    let rtp = world.peers[0].protect_rtp(&[0x80, 111, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 9]);
    let again = rtp.clone();
    throw(&mut world, victim, rtp);
    assert_eq!(world.shard.counters().dropped(Discard::SrtpUnauthentic), 0);
    throw(&mut world, victim, again);
    assert_eq!(world.shard.counters().dropped(Discard::SrtpReplayed), 1, "the first one was authentic");
    world.run(Duration::from_secs(30));
    assert_eq!(world.shard.load(), (1, 2));
    assert!(world.peers.iter().all(|p| p.broken == 0));
}

#[test]
fn tampered_packets_of_a_participant_are_counted_by_reason() {
    let mut world = World::new();
    world.join("aaaa0001", Options::default());
    world.connect();
    let address = world.peers[0].address;
    let mut rtp = world.peers[0].protect_rtp(&[0x80, 111, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 9]);
    let last = rtp.len() - 1;
    rtp[last] ^= 1;
    throw(&mut world, address, rtp);
    throw(&mut world, address, vec![0x80, 111, 0, 1]);
    throw(&mut world, address, vec![0x81, 201, 0, 1]);
    assert_eq!(world.shard.counters().dropped(Discard::SrtpUnauthentic), 1);
    assert_eq!(world.shard.counters().dropped(Discard::SrtpMalformed), 2);
}

#[test]
fn more_messages_than_allowed_are_dropped() {
    let mut world = World::new();
    world.join("aaaa0001", Options::default());
    world.join("aaaa0002", Options::default());
    world.connect();
    world.run(Duration::from_secs(2));
    let now = world.now;
    for _ in 0..=limits::CHANNEL_MESSAGES.burst() {
        world.peers[0].say(now, r#"{"colibriClass":"EndpointMessage","to":"aaaa0002","msgPayload":{}}"#);
    }
    world.run(Duration::from_millis(500));
    let got = world.peers[1].texts.iter().filter(|t| t.contains("EndpointMessage")).count();
    assert_eq!(got, limits::CHANNEL_MESSAGES.burst() as usize);
    assert_eq!(world.shard.counters().dropped(Discard::MessageLimit), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn garbage_from_strangers_and_participants_never_panics(
        datagrams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..120), 1..20),
        first in prop_oneof![0_u8..4, 20_u8..64, 128_u8..192],
    ) {
        thread_local! {
            static WORLD: std::cell::RefCell<World> = std::cell::RefCell::new({
                let mut world = World::new();
                world.join("aaaa0001", Options::default());
                world.connect();
                world
            });
        }
        WORLD.with(|world| {
            let mut world = world.borrow_mut();
            for (n, mut data) in datagrams.into_iter().enumerate() {
                if let Some(byte) = data.first_mut() {
                    *byte = first;
                }
                if first < 4 && data.len() >= 20 {
                    let len = u16::try_from(data.len() - 20).unwrap().to_be_bytes();
                    data[2..8].copy_from_slice(&[len[0], len[1], 0x21, 0x12, 0xa4, 0x42]);
                }
                let from = if n % 2 == 0 { stranger() } else { world.peers[0].address };
                throw(&mut world, from, data);
            }
        });
    }
}
