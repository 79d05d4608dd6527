//! Each bound: at it and one beyond.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use turn_core::limits::*;
use turn_core::{Counter, Peers, Route};

use crate::world::*;

#[test]
fn one_user_has_so_many_relays_and_not_one_more_while_others_get_theirs() {
    let mut w = World::new();
    let mut last = None;
    for port in 1..=ALLOCATIONS_PER_USER {
        last = Some(w.allocated(udp(&format!("198.51.100.7:{port}")), "a").0);
    }
    let p = w.person(udp("198.51.100.8:1"), "a");
    assert_eq!(w.signed(&p, ALLOCATE, &[transport()]).code, 486);
    assert_eq!(w.count(Counter::UserFull), 1);
    w.allocated(udp("198.51.100.7:999"), "b");
    assert_eq!(w.signed(&last.unwrap(), REFRESH, &[(0x0d, vec![0; 4])]).code, 0);
    assert_eq!(w.signed(&p, ALLOCATE, &[transport()]).code, 0, "given back");
}

#[test]
fn one_address_has_its_share_and_others_still_get_relays() {
    let mut w = World::new();
    for n in 0..ALLOCATIONS_PER_ADDRESS {
        w.pass(Duration::from_millis(20));
        w.allocated(udp(&format!("198.51.100.7:{}", n + 1)), &format!("u{n}"));
    }
    let p = w.person(udp("198.51.100.7:9999"), "next");
    assert_eq!(w.signed(&p, ALLOCATE, &[transport()]).code, 486);
    assert_eq!(w.count(Counter::AddressFull), 1);
    w.allocated(udp("198.51.100.8:1"), "next");
}

#[test]
fn all_have_so_many_relays_and_not_one_more() {
    for (wanted, most) in [(40, 40), (usize::MAX, ALLOCATIONS)] {
        let mut w = World::with(Peers::new(&[bridge()], &[]), wanted);
        for n in 0..=most {
            let [.., a, b] = n.to_be_bytes();
            let p = w.person(udp(&format!("10.0.{a}.{b}:1")), &format!("u{n}"));
            let code = w.signed(&p, ALLOCATE, &[transport()]).code;
            assert_eq!(code, if n < most { 0 } else { 508 });
        }
        assert_eq!((w.turn.relays(), w.count(Counter::Full)), (most, 1));
    }
}

#[test]
fn permissions_of_a_relay_are_bounded_and_those_that_are_over_make_room() {
    let bridges: Vec<SocketAddr> = (0..=PERMISSIONS)
        .map(|n| SocketAddr::new(IpAddr::from([203, 0, 113, u8::try_from(n).unwrap()]), 10_000))
        .collect();
    let mut w = World::with(Peers::new(&bridges, &[]), 9);
    let (p, _) = w.allocated(udp("198.51.100.7:1"), "a");
    assert_eq!(w.peers(&p, PERMIT, &bridges), 508, "all or none");
    assert_eq!(w.indicate(p.client, bridges[0], b"x").0, Route::Nowhere);
    assert_eq!(w.peers(&p, PERMIT, &bridges[..PERMISSIONS]), 0);
    assert_eq!(w.permit(&p, bridges[PERMISSIONS]), 508);
    assert_eq!(w.permit(&p, bridges[0]), 0, "one that is there is only kept longer");
    assert_eq!(w.count(Counter::RelayFull), 2);
    w.pass(PERMISSION - Duration::from_secs(1));
    assert!(matches!(w.indicate(p.client, bridges[1], b"x").0, Route::Peer { .. }));
    w.pass(Duration::from_secs(1));
    assert_eq!(w.indicate(p.client, bridges[1], b"x").0, Route::Nowhere);
    assert_eq!(w.permit(&p, bridges[PERMISSIONS]), 0);
}

#[test]
fn channels_of_a_relay_are_bounded_and_end() {
    let bridges: Vec<SocketAddr> =
        (0..=CHANNELS).map(|n| SocketAddr::new(bridge().ip(), 10_000 + u16::try_from(n).unwrap())).collect();
    let mut w = World::with(Peers::new(&bridges, &[]), 9);
    let (p, _) = w.allocated(udp("198.51.100.7:1"), "a");
    let number = |n: usize| 0x4000 + u16::try_from(n).unwrap();
    for (n, bridge) in bridges.iter().take(CHANNELS).enumerate() {
        assert_eq!(w.bind(&p, number(n), *bridge), 0);
    }
    assert_eq!(w.bind(&p, number(CHANNELS), bridges[CHANNELS]), 508);
    assert_eq!(w.bind(&p, number(0), bridges[0]), 0, "kept for longer");
    w.pass(CHANNEL - Duration::from_secs(1));
    assert_eq!(w.permit(&p, bridge()), 0);
    assert!(matches!(w.send(p.client, &[0x40, 1, 0, 0]).0, Route::Peer { .. }));
    w.signed(&p, REFRESH, &[]);
    w.pass(Duration::from_secs(1));
    assert_eq!(w.send(p.client, &[0x40, 1, 0, 0]).0, Route::Nowhere);
    assert_eq!(w.bind(&p, number(CHANNELS), bridges[CHANNELS]), 0);
}

const _: () = assert!(RELAY_BURST <= RELAY_BYTES && RELAY_BURST as usize > 100 * MESSAGE);

#[test]
fn a_relay_carries_so_many_bytes_in_each_direction_and_not_one_more() {
    let mut w = World::new();
    let (p, relay) = w.allocated(udp("198.51.100.7:1"), "a");
    assert_eq!(w.bind(&p, 0x4000, bridge()), 0);
    let (size, burst) = (1_000usize, RELAY_BURST as usize);
    let mut m = vec![0x40, 0];
    m.extend(u16::try_from(size).unwrap().to_be_bytes());
    m.resize(4 + size, 7);
    for _ in 0..burst / size {
        assert!(matches!(w.send(p.client, &m).0, Route::Peer { .. }));
        assert!(matches!(w.receive(relay, bridge(), &m[4..]).0, Route::Client { .. }));
    }
    assert_eq!(w.send(p.client, &[0x40, 0, 0, 1, 7]).0, Route::Nowhere);
    assert_eq!(w.receive(relay, bridge(), b"x").0, Route::Nowhere);
    assert_eq!(w.count(Counter::ByteRate), 2);
    w.pass(Duration::from_secs(1));
    let more = (0..2 * burst / size).filter(|_| w.send(p.client, &m).0 != Route::Nowhere).count();
    assert_eq!(more, (RELAY_BYTES as usize).min(burst) / size);
    // Somebody else is not touched by it.
    let (q, _) = w.allocated(udp("198.51.100.7:2"), "b");
    assert_eq!(w.bind(&q, 0x4000, bridge()), 0);
    assert!(matches!(w.send(q.client, &m).0, Route::Peer { .. }));
}

#[test]
fn strangers_of_one_address_ask_so_often_and_those_of_others_are_answered() {
    let mut w = World::new();
    let burst = STRANGERS.burst();
    for n in 0..burst {
        // From ever other ports, as a flood or a school does.
        let client = udp(&format!("198.51.100.7:{}", 1 + n % 60_000));
        assert!(w.ask(client, if n % 2 == 0 { 1 } else { ALLOCATE }, &[]).is_some());
    }
    assert!(w.ask(udp("198.51.100.7:9"), ALLOCATE, &[transport()]).is_none());
    assert_eq!(w.count(Counter::RequestRate), 1);
    w.allocated(udp("198.51.100.8:1"), "a");
    w.pass(Duration::from_millis(10));
    assert!(w.ask(udp("198.51.100.7:9"), ALLOCATE, &[transport()]).is_some(), "200 a second come back");
}

#[test]
fn strangers_of_all_addresses_together_are_bounded_and_who_has_a_relay_goes_on() {
    let mut w = World::new();
    let (p, _) = w.allocated(udp("192.0.2.7:1"), "a");
    let total = STRANGERS_TOTAL.burst();
    let mut answered = 0;
    for n in 0..2 * total {
        // More addresses than are told apart.
        let [_, a, b, c] = (n % (4 * u32::try_from(STRANGERS_KEPT).unwrap())).to_be_bytes();
        let client = udp(&format!("10.{a}.{b}.{c}:1"));
        answered += u32::from(w.ask(client, 1, &[]).is_some());
    }
    assert!(answered <= total && answered > total / 2, "{answered}");
    assert_eq!(w.signed(&p, REFRESH, &[]).code, 0);
}

#[test]
fn requests_on_one_relay_are_bounded() {
    let mut w = World::new();
    let (p, _) = w.allocated(udp("198.51.100.7:1"), "a");
    for _ in 0..REQUESTS.burst() {
        assert_eq!(w.permit(&p, bridge()), 0);
    }
    let m = p.sign(PERMIT, [1; 12], &[]);
    assert!(w.reply(p.client, &m).is_none());
    w.pass(Duration::from_secs(1));
    assert_eq!(w.permit(&p, bridge()), 0);
}

#[test]
fn nobody_keeps_a_relay_longer_than_a_day_nor_asks_for_more_than_an_hour() {
    let mut w = World::new();
    let (mut p, _) = w.allocated(udp("198.51.100.7:1"), "a");
    let asked = |seconds: u32| vec![(0x0d, seconds.to_be_bytes().to_vec())];
    assert_eq!(u64::from(w.signed(&p, REFRESH, &asked(u32::MAX)).lifetime()), LIFETIME_MAX.as_secs());
    assert_eq!(u64::from(w.signed(&p, REFRESH, &asked(3_600)).lifetime()), LIFETIME_MAX.as_secs());
    assert_eq!(u64::from(w.signed(&p, REFRESH, &asked(1)).lifetime()), LIFETIME.as_secs());
    while w.turn.relays() == 1 {
        w.pass(Duration::from_secs(300));
        let mut done = w.signed(&p, REFRESH, &asked(3_600));
        if done.code == 438 {
            p.nonce = done.attribute(0x15).unwrap().to_vec();
            done = w.signed(&p, REFRESH, &asked(3_600));
        }
        if done.code != 0 {
            break;
        }
    }
    assert_eq!(w.now.duration_since(w.began), LIFETIME_TOTAL);
}

#[test]
fn an_answer_to_a_stranger_is_hardly_longer_than_its_question() {
    for client in [udp("198.51.100.7:1"), udp("[2001:db8::1]:1")] {
        let mut w = World::new();
        for method in [1, 3, 4, 8, 9] {
            for attributes in [vec![], vec![transport()], vec![(0x7777, vec![])]] {
                let m = message(method, w.next_transaction(), &attributes);
                let answer = w.reply(client, &m).unwrap().bytes.len();
                assert!(answer <= m.len() + LONGER, "{method}: {} for {}", answer, m.len());
            }
        }
        let mut p = w.person(client, "a");
        p.password = "wrong".into();
        let m = p.sign(ALLOCATE, [1; 12], &[transport()]);
        let answer = w.reply(client, &m).unwrap();
        assert!(answer.code == 401 && answer.bytes.len() < m.len());
    }
}
