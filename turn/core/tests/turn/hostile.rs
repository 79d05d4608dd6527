//! X9: relays as a way into other networks, floods, allocations without permission, channel abuse.

use std::net::SocketAddr;

use proptest::prelude::*;
use turn_core::limits::{STRANGERS, USERNAME};
use turn_core::{Counter, Route};

use crate::world::*;

#[test]
fn nobody_gets_a_relay_without_credentials_of_our_making() {
    let mut w = World::new();
    let client = udp("198.51.100.7:1");
    let good = w.person(client, "a");
    let mut bad = Vec::new();
    bad.push(Person { password: "guess".into(), ..good.clone() });
    bad.push(Person { password: turn_core::password(b"south", &good.username), ..good.clone() });
    let over = (UNIX - 1).to_string();
    bad.push(Person { password: turn_core::password(b"north", &over), username: over, ..good.clone() });
    let anna = "anna".to_owned();
    bad.push(Person { password: turn_core::password(b"north", &anna), username: anna, ..good.clone() });
    let long = format!("{}:{}", UNIX + 60, "x".repeat(USERNAME));
    bad.push(Person { password: turn_core::password(b"north", &long), username: long, ..good.clone() });
    for p in &bad {
        let reply = w.signed(p, ALLOCATE, &[transport()]);
        assert_eq!((reply.code, reply.attribute(0x08)), (401, None));
    }
    // A nonce that was given to another address, or to nobody.
    let other = w.person(udp("198.51.100.8:1"), "b");
    for nonce in [other.nonce, b"AAAAAAAAAAAAAAAA".to_vec(), Vec::new()] {
        assert_eq!(w.signed(&Person { nonce, ..good.clone() }, ALLOCATE, &[transport()]).code, 438);
    }
    assert_eq!((w.turn.relays(), w.open.len()), (0, 0));
    // Signed, but with something added behind the signature, or changed in front of it.
    let m = good.sign(ALLOCATE, [1; 12], &[transport()]);
    for at in 0..m.len() {
        let mut forged = m.clone();
        forged[at] ^= 1;
        let reply = w.reply(client, &forged);
        assert!(reply.is_none_or(|r| r.code != 0), "byte {at}");
    }
    assert_eq!(w.turn.relays(), 0);
    assert_eq!(w.reply(client, &m).unwrap().code, 0);
}

#[test]
fn a_relay_leads_to_no_address_but_the_bridges_and_other_relays() {
    let mut w = World::new();
    let (p, own) = w.allocated(udp("198.51.100.7:1"), "a");
    let elsewhere: Vec<SocketAddr> = [
        "127.0.0.1:8888",
        "169.254.169.254:80",
        "10.0.0.1:22",
        "192.168.1.1:80",
        "198.51.100.9:53",
        "8.8.8.8:53",
        "0.0.0.0:10000",
        "255.255.255.255:9",
        "224.0.0.251:5353",
        "[::1]:8888",
        "[::ffff:127.0.0.1]:8888",
        "[::ffff:203.0.113.20]:10000",
        "[64:ff9b::7f00:1]:8888",
        "[2002:7f00:1::1]:8888",
        "[fd00:ec2::254]:80",
        "[fe80::1]:80",
    ]
    .map(at)
    .to_vec();
    for peer in &elsewhere {
        assert_eq!(w.permit(&p, *peer), 403, "{peer}");
        assert_eq!(w.bind(&p, 0x4000, *peer), 403, "{peer}");
        assert_eq!(w.indicate(p.client, *peer, b"GET /").0, Route::Nowhere, "{peer}");
    }
    // The bridge's own machine at other ports, although its address is permitted.
    assert_eq!(w.permit(&p, bridge()), 0);
    for port in [0, 22, 53, 443, 3478, 8888, own.port() + 1] {
        let peer = SocketAddr::new(bridge().ip(), port);
        assert_eq!(w.bind(&p, 0x4000, peer), 403, "{peer}");
        assert_eq!(w.indicate(p.client, peer, b"GET /").0, Route::Nowhere, "{peer}");
        assert_eq!(w.receive(own, peer, b"x").0, Route::Nowhere, "{peer}");
    }
    // One that may not be spoils the whole request.
    assert_eq!(w.peers(&p, PERMIT, &[bridge(), at("10.0.0.1:22")]), 403);
    assert_eq!(w.turn.counters().to_peers, (0, 0));
}

#[test]
fn nothing_is_relayed_without_a_permission() {
    let mut w = World::new();
    let (p, relay) = w.allocated(udp("198.51.100.7:1"), "a");
    assert_eq!(w.indicate(p.client, bridge(), b"x").0, Route::Nowhere);
    assert_eq!(w.receive(relay, bridge(), b"x").0, Route::Nowhere);
    assert_eq!(w.count(Counter::NoPermission), 2);
    // And nothing of somebody who has no relay.
    assert_eq!(w.indicate(udp("198.51.100.7:2"), bridge(), b"x").0, Route::Nowhere);
    assert_eq!(w.send(udp("198.51.100.7:2"), &[0x40, 0, 0, 0]).0, Route::Nowhere);
    assert_eq!(w.count(Counter::NoRelay), 2);
}

#[test]
fn channels_are_taken_over_by_nobody_and_their_numbers_are_what_they_may_be() {
    let mut w = World::new();
    let (p, _) = w.allocated(udp("198.51.100.7:1"), "a");
    let (q, at_q) = w.allocated(udp("198.51.100.8:1"), "b");
    for number in [0, 0x3fff, 0x8000, 0xffff] {
        assert_eq!(w.bind(&p, number, bridge()), 400, "{number:#x}");
    }
    assert_eq!((w.bind(&p, 0x4000, bridge()), w.bind(&p, 0x7fff, at_q)), (0, 0));
    assert_eq!(w.bind(&p, 0x4000, at_q), 400, "the number has a peer");
    assert_eq!(w.bind(&p, 0x4001, bridge()), 400, "the peer has a number");
    assert_eq!(w.bind(&q, 0x4000, bridge()), 0, "numbers are each relay's own");
    assert_eq!(w.send(p.client, &[0x40, 2, 0, 0]).0, Route::Nowhere);
    assert_eq!(w.count(Counter::NoChannel), 1);
    // Longer than it is.
    assert_eq!(w.send(p.client, &[0x40, 0, 0, 2, 7]).0, Route::Nowhere);
    assert_eq!(w.send(p.client, &[0x40, 0, 0]).0, Route::Nowhere);
    let without = p.sign(BIND, [3; 12], &[(0x0c, vec![0x40, 3, 0, 0])]);
    assert_eq!(w.reply(p.client, &without).unwrap().code, 400);
    let broken = p.sign(BIND, [4; 12], &[(0x0c, vec![0x40, 3, 0, 0]), (0x12, vec![0, 3, 0, 0])]);
    assert_eq!(w.reply(p.client, &broken).unwrap().code, 400);
}

#[test]
fn another_user_changes_nothing_on_a_relay() {
    let mut w = World::new();
    let (p, _) = w.allocated(udp("198.51.100.7:1"), "a");
    let thief = Person { client: p.client, ..w.person(udp("198.51.100.7:2"), "b") };
    assert_eq!(w.signed(&thief, REFRESH, &[(0x0d, vec![0; 4])]).code, 441);
    assert_eq!(w.permit(&thief, bridge()), 441);
    assert_eq!(w.turn.relays(), 1);
    // With the owner's name, but not its password.
    let guess = Person { password: "guess".into(), ..p };
    assert_eq!(w.signed(&guess, REFRESH, &[(0x0d, vec![0; 4])]).code, 401);
    assert_eq!(w.turn.relays(), 1);
}

#[test]
fn relays_are_of_udp_and_what_we_do_not_know_is_refused() {
    let mut w = World::new();
    let p = w.person(udp("198.51.100.7:1"), "a");
    for (attributes, code) in [
        (vec![(0x19, vec![6, 0, 0, 0])], 442),
        (vec![], 400),
        (vec![transport(), (0x18, vec![0x80])], 420),
        (vec![transport(), (0x1a, vec![])], 420),
        (vec![transport(), (0x22, vec![0; 8])], 420),
    ] {
        let reply = w.signed(&p, ALLOCATE, &attributes);
        assert_eq!(reply.code, code);
        assert_eq!(reply.attribute(0x0a).is_some(), code == 420);
    }
    assert_eq!(w.signed(&p, ALLOCATE, &[transport(), (0x8022, b"client".to_vec())]).code, 0);
    // Connections through the relay (RFC 6062).
    for method in [0x0a, 0x0b] {
        let m = p.sign(method, [2; 12], &[]);
        assert!(w.reply(p.client, &m).is_none());
    }
}

#[test]
fn a_flood_of_forged_requests_costs_those_who_have_relays_nothing() {
    let mut w = World::new();
    let (p, relay) = w.allocated(udp("198.51.100.7:1"), "a");
    assert_eq!(w.permit(&p, bridge()), 0);
    let mut forged = w.person(udp("198.51.100.7:2"), "b");
    forged.password = "wrong".into();
    for _ in 0..2 * STRANGERS.burst() {
        let m = forged.sign(ALLOCATE, [8; 12], &[transport()]);
        let _ = w.reply(forged.client, &m);
    }
    assert!(w.count(Counter::RequestRate) > 0 && w.turn.relays() == 1);
    assert_eq!(w.signed(&p, REFRESH, &[]).code, 0, "from the very address of the flood");
    assert!(matches!(w.receive(relay, bridge(), b"x").0, Route::Client { .. }));
}

proptest! {
    #[test]
    fn no_bytes_of_a_client_or_a_peer_panic(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..300),
        kind in 0u8..24, stun in any::<bool>(), sign in any::<bool>(),
    ) {
        let mut w = World::new();
        let (p, relay) = w.allocated(udp("198.51.100.7:1"), "a");
        prop_assert_eq!(w.bind(&p, 0x4000, bridge()), 0);
        if stun {
            bytes.resize(bytes.len().next_multiple_of(4).max(20), 0);
            let len = u16::try_from(bytes.len() - 20).unwrap().to_be_bytes();
            bytes[..8].copy_from_slice(&[0, kind, len[0], len[1], 0x21, 0x12, 0xa4, 0x42]);
            if sign {
                // As attributes of a request that is authentic.
                let attributes = [(u16::from(kind), bytes.clone())];
                bytes = p.sign(kind.into(), [6; 12], &attributes);
            }
        }
        for client in [p.client, stream(1, "198.51.100.7:1")] {
            let _ = w.send(client, &bytes);
            w.drain();
        }
        if w.turn.has_relay(&p.client) {
            let _ = w.receive(relay, bridge(), &bytes);
        }
        let _ = (turn_core::frames::next(&bytes), turn_core::frames::is_turn(&bytes));
    }
}
