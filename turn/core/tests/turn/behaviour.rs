//! What a client does that means well.

use std::time::Duration;

use turn_core::{Client, Counter, Peers, Route};

use crate::world::*;

#[test]
fn who_has_credentials_gets_a_relay_at_the_bridge_and_what_is_sent_comes_out_there_and_back() {
    for client in [udp("198.51.100.7:4000"), stream(3, "198.51.100.7:4000"), udp("[2001:db8::7]:4000")] {
        let mut w = World::new();
        let p = w.person(client, "a");
        let done = w.signed(&p, ALLOCATE, &[transport()]);
        assert_eq!((done.code, done.lifetime(), done.address(0x20)), (0, 600, client.peer()));
        let relay = done.address(0x16);
        assert_eq!(relay.ip(), bridge().ip());
        assert!(done.attribute(0x08).is_some(), "signed");

        assert_eq!(w.permit(&p, bridge()), 0);
        let (route, data) = w.indicate(client, bridge(), b"hello");
        let (id, _) = w.open[0];
        assert!(matches!(route, Route::Peer { relay, to, .. } if relay == id && to == bridge()));
        assert_eq!(data, b"hello");
        let (route, data) = w.receive(relay, bridge(), b"there");
        assert!(matches!(route, Route::Client { client: c, .. } if c == client));
        let said = indication(&data);
        assert_eq!(said, (bridge(), b"there".to_vec()));

        assert_eq!(w.bind(&p, 0x4001, bridge()), 0);
        let (route, data) = w.send(client, &[0x40, 1, 0, 5, b'a', b'b', b'c', b'd', b'e', 0, 0, 0]);
        assert!(matches!(route, Route::Peer { to, .. } if to == bridge()));
        assert_eq!(data, b"abcde");
        let (_, data) = w.receive(relay, bridge(), b"fghij");
        let stream = matches!(client, Client::Stream { .. });
        assert_eq!(data, [&[0x40, 1, 0, 5][..], b"fghij", if stream { &[0; 3] } else { &[] }].concat());
        let c = w.turn.counters();
        assert_eq!((c.to_peers, c.to_clients), ((2, 10), (2, 10)));
    }
}

/// A Data indication's peer and data.
fn indication(bytes: &[u8]) -> (std::net::SocketAddr, Vec<u8>) {
    assert_eq!(bytes[..2], [0, 0x17]);
    let len = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
    assert_eq!(len, bytes.len() - 20);
    let transaction: [u8; 12] = bytes[8..20].try_into().unwrap();
    let peer = usize::from(u16::from_be_bytes([bytes[22], bytes[23]]));
    assert_eq!(bytes[20..22], [0, 0x12]);
    let data = &bytes[24 + peer..];
    assert_eq!(data[..2], [0, 0x13]);
    let n = usize::from(u16::from_be_bytes([data[2], data[3]]));
    assert_eq!(data.len(), 4 + n.next_multiple_of(4));
    (unmask(&bytes[24..24 + peer], &transaction), data[4..4 + n].to_vec())
}

#[test]
fn two_people_talk_from_relay_to_relay_without_a_socket_between_them() {
    let mut w = World::new();
    let ((a, at_a), (b, at_b)) =
        (w.allocated(udp("198.51.100.7:1"), "a"), w.allocated(stream(1, "198.51.100.8:1"), "b"));
    assert_eq!(w.permit(&a, at_b), 0);
    let (route, _) = w.indicate(a.client, at_b, b"early");
    assert_eq!(route, Route::Nowhere, "the other has not permitted it");
    assert_eq!(w.permit(&b, at_a), 0);
    let (route, data) = w.indicate(a.client, at_b, b"hello");
    assert!(matches!(route, Route::Client { client, .. } if client == b.client));
    assert_eq!(indication(&data), (at_a, b"hello".to_vec()));
    // With the shortest header in front, and the longest to be written.
    assert_eq!(w.bind(&a, 0x4000, at_b), 0);
    let (_, data) = w.send(a.client, &[0x40, 0, 0, 2, 1, 2]);
    assert_eq!(indication(&data), (at_a, vec![1, 2]));
    // And to oneself, which is nobody's harm.
    assert_eq!(w.permit(&a, at_a), 0);
    let (route, _) = w.indicate(a.client, at_a, b"me");
    assert!(matches!(route, Route::Client { client, .. } if client == a.client));
}

#[test]
fn anybody_is_told_its_own_address() {
    let mut w = World::new();
    let reply = w.ask(udp("198.51.100.7:4000"), 1, &[]).unwrap();
    assert_eq!((reply.code, reply.address(0x20)), (0, at("198.51.100.7:4000")));
    let reply = w.ask(udp("[::ffff:198.51.100.7]:4000"), 1, &[(0x24, vec![0; 4])]).unwrap();
    assert_eq!(reply.address(0x20), at("198.51.100.7:4000"));
}

#[test]
fn a_relay_lives_as_long_as_it_is_refreshed_and_ends_when_it_is_given_back() {
    let mut w = World::new();
    let (p, relay) = w.allocated(udp("198.51.100.7:1"), "a");
    for _ in 0..5 {
        w.pass(Duration::from_secs(599));
        assert_eq!(w.signed(&p, REFRESH, &[]).lifetime(), 600);
    }
    assert_eq!(w.open, [(w.open[0].0, relay)]);
    assert_eq!(w.signed(&p, REFRESH, &[(0x0d, vec![0; 4])]).lifetime(), 0);
    assert!(w.open.is_empty() && w.turn.relays() == 0 && w.turn.poll_timeout().is_none());
    assert_eq!(w.signed(&p, REFRESH, &[]).code, 437);
    let (_, _) = w.allocated(udp("198.51.100.7:1"), "a");
    w.pass(Duration::from_secs(599));
    assert_eq!(w.turn.relays(), 1);
    w.pass(Duration::from_secs(1));
    assert_eq!((w.turn.relays(), w.open.len(), w.count(Counter::Expired)), (0, 0, 1));
}

#[test]
fn who_hangs_up_gives_its_relay_back() {
    let mut w = World::new();
    let (p, _) = w.allocated(stream(1, "198.51.100.7:1"), "a");
    assert!(w.turn.has_relay(&p.client));
    w.turn.handle_hangup(p.client);
    w.drain();
    assert!(w.open.is_empty() && !w.turn.has_relay(&p.client));
    w.turn.handle_hangup(p.client);
}

#[test]
fn a_request_that_comes_again_because_its_answer_was_lost_gets_the_same_relay() {
    let mut w = World::new();
    let p = w.person(udp("198.51.100.7:1"), "a");
    let m = p.sign(ALLOCATE, [5; 12], &[transport()]);
    let first = w.reply(p.client, &m).unwrap();
    let again = w.reply(p.client, &m).unwrap();
    assert_eq!((again.code, again.address(0x16), w.turn.relays()), (0, first.address(0x16), 1));
    assert_eq!(w.signed(&p, ALLOCATE, &[transport()]).code, 437, "another request is not the same");
}

#[test]
fn a_relay_has_the_family_that_was_asked_for() {
    let both = Peers::new(&[bridge(), at("[2001:db8:7::20]:10000")], &[]);
    for (asked, is) in [(1, "203.0.113.20"), (2, "2001:db8:7::20")] {
        let mut w = World::with(both.clone(), 9);
        let p = w.person(udp("198.51.100.7:1"), "a");
        let done = w.signed(&p, ALLOCATE, &[transport(), (0x17, vec![asked, 0, 0, 0])]);
        assert_eq!(done.address(0x16).ip().to_string(), is);
        let six = at("[2001:db8:7::20]:10000");
        assert_eq!(w.permit(&p, six), 0);
    }
    let mut w = World::new();
    let p = w.person(udp("198.51.100.7:1"), "a");
    for no in [2, 3] {
        assert_eq!(w.signed(&p, ALLOCATE, &[transport(), (0x17, vec![no, 0, 0, 0])]).code, 440);
    }
    // Where the bridge has no IPv4, nobody has to ask.
    let mut w = World::with(Peers::new(&[at("[2001:db8:7::20]:10000")], &[]), 9);
    assert!(w.allocated(udp("[2001:db8::9]:1"), "a").1.is_ipv6());
}

#[test]
fn a_meeting_that_outlasts_its_credentials_goes_on_and_new_relays_need_new_ones() {
    let mut w = World::new();
    let (mut p, _) = w.allocated(udp("198.51.100.7:1"), "a");
    for _ in 0..8 {
        w.pass(Duration::from_secs(550));
        let refreshed = w.signed(&p, REFRESH, &[]);
        if refreshed.code == 438 {
            p.nonce = refreshed.attribute(0x15).unwrap().to_vec();
            assert_eq!(w.signed(&p, REFRESH, &[]).code, 0);
        } else {
            assert_eq!(refreshed.code, 0);
        }
    }
    assert_eq!(w.count(Counter::StaleNonce), 1);
    let other = Person { client: udp("198.51.100.7:2"), ..p };
    assert_eq!(w.signed(&other, ALLOCATE, &[transport()]).code, 401);
    assert_eq!(w.count(Counter::ExpiredCredentials), 1);
}

#[test]
fn a_relay_that_gets_no_socket_is_an_error_for_who_asked_and_holds_no_place() {
    let mut w = World::new();
    w.sockets_fail = true;
    let p = w.person(udp("198.51.100.7:1"), "a");
    for _ in 0..50 {
        assert_eq!(w.signed(&p, ALLOCATE, &[transport()]).code, 508);
    }
    w.sockets_fail = false;
    assert_eq!(w.signed(&p, ALLOCATE, &[transport()]).code, 0);
    assert_eq!(w.count(Counter::NoSocket), 50);
}

#[test]
fn when_the_bridge_has_another_address_relays_lead_there_and_no_longer_to_the_old_one() {
    let mut w = World::new();
    let (p, relay) = w.allocated(udp("198.51.100.7:1"), "a");
    assert_eq!(w.bind(&p, 0x4000, bridge()), 0);
    let new = at("203.0.113.21:10000");
    w.turn.handle_peers(Peers::new(&[new], &[]));
    assert_eq!(w.send(p.client, &[0x40, 0, 0, 0]).0, Route::Nowhere);
    assert_eq!(w.receive(relay, bridge(), b"x").0, Route::Nowhere);
    assert_eq!(w.bind(&p, 0x4001, new), 0);
    assert!(matches!(w.send(p.client, &[0x40, 1, 0, 0]).0, Route::Peer { .. }));
}
