//! From nothing to a secured connection with an open channel, in all the ways clients do it.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use jitsi_xmpp::colibri2::{ConferenceModified, Transport};
use jitsi_xmpp::jingle::Setup;
use videobridge_core::{Certificate, Command, Discard, TcpPorts, limits};
use videobridge_srtp::Profile;

use crate::world::{World, audio_source, bridge, endpoint, remote_transport, request, rtp};
use peer::Options;

#[test]
fn ice_dtls_and_channel_come_up() {
    for dtls12 in [false, true] {
        let mut world = World::new();
        world.join("aaaa0001", Options { dtls12, ..Options::default() });
        world.connect();
        assert_eq!(world.peers[0].profile, Some(Profile::AeadAes128Gcm));
        assert_eq!(world.shard.counters().ice_succeeded, 1);
        // No ServerHello unasked on a data channel.
        assert!(
            world.peers[0].texts.iter().all(|t| !t.contains("ServerHello")),
            "{:?}",
            world.peers[0].texts
        );
        let now = world.now;
        world.peers[0].say(now, r#"{"colibriClass":"ClientHello"}"#);
        world.run(Duration::from_millis(50));
        assert!(world.peers[0].texts.iter().any(|t| t.contains("ServerHello")));
    }
}

#[test]
fn a_peer_that_waits_for_our_client_hello() {
    for dtls12 in [false, true] {
        let mut world = World::new();
        world.join("aaaa0001", Options { passive: true, dtls12, ..Options::default() });
        world.connect();
        assert!(world.peers[0].profile.is_some());
    }
}

#[test]
fn a_client_hello_in_fragments_in_any_order() {
    for dtls12 in [false, true] {
        for meddle in [|d| d, reversed as fn(Vec<Vec<u8>>) -> Vec<Vec<u8>>, first_twice] {
            let mut world = World::new();
            let fragments = Rc::new(Cell::new(0));
            let seen = Rc::clone(&fragments);
            world.meddle = Box::new(move |datagrams| {
                let cut: Vec<_> = datagrams.into_iter().flat_map(|d| fragments_of(d, 100)).collect();
                seen.set(seen.get() + cut.iter().filter(|d| is_client_hello(d)).count());
                meddle(cut)
            });
            // The 1.2 client cuts it itself.
            world.join("aaaa0001", Options { mtu: 80, dtls12, ..Options::default() });
            world.connect();
            assert!(fragments.get() >= 2, "the ClientHello came in {} fragments", fragments.get());
        }
    }
}

#[test]
fn a_lost_fragment_of_the_client_hello_is_sent_again() {
    let mut world = World::new();
    let mut lost = false;
    world.meddle = Box::new(move |datagrams| {
        let mut cut: Vec<_> = datagrams.into_iter().flat_map(|d| fragments_of(d, 100)).collect();
        if let Some(at) = cut.iter().position(|d| is_client_hello(d) && !lost) {
            lost = true;
            cut.remove(at);
        }
        cut
    });
    world.join("aaaa0001", Options::default());
    world.run(Duration::from_secs(3));
    assert!(world.peers[0].dtls_connected && world.peers[0].channel_open);
}

/// What the bridge says in one flight of its handshake with a browser is not repeated by itself before the client has
/// shown its certificate: the client repeats what it said.
#[test]
fn every_datagram_of_a_handshake_may_be_lost_once() {
    for (dtls12, theirs) in [(false, false), (false, true), (true, false), (true, true)] {
        for nth in 0..8 {
            let mut world = World::new();
            let (mut seen, dropped) = (0, Rc::new(Cell::new(false)));
            let said = Rc::clone(&dropped);
            let mut lost = move |d: &[u8]| {
                let counts = (20..64).contains(&d[0]);
                seen += usize::from(counts);
                let now = counts && seen == nth + 1;
                said.set(said.get() || now);
                now
            };
            if theirs {
                world.meddle = Box::new(move |all| all.into_iter().filter(|d| !lost(d)).collect());
            } else {
                world.lost = Box::new(lost);
            }
            world.join("aaaa0001", Options { dtls12, ..Options::default() });
            world.run(Duration::from_secs(6));
            let peer = &world.peers[0];
            assert!(dropped.get() || nth > 3, "a handshake and a channel are more than that");
            assert!(peer.dtls_connected && peer.channel_open, "{dtls12} {theirs} {nth}");
            assert_eq!((peer.profile, peer.broken), (Some(Profile::AeadAes128Gcm), 0));
            assert_eq!(world.shard.counters().dtls_failed, 0);
        }
    }
}

/// With DTLS 1.3 a client has its keys after one answer, with 1.2 after two: what it says is heard that much sooner.
#[test]
fn whoever_offers_dtls_1_3_has_its_keys_a_round_trip_sooner() {
    for dtls12 in [false, true] {
        let mut world = World::new();
        // Nothing after the first words of the client arrives.
        let silenced = |d: &Vec<u8>| (20..64).contains(&d[0]) && !is_client_hello(d);
        world.meddle = Box::new(move |all| all.into_iter().filter(|d| !silenced(d)).collect());
        world.join("aaaa0001", Options { dtls12, ..Options::default() });
        world.run(Duration::from_secs(1));
        assert_eq!(world.peers[0].profile.is_none(), dtls12);
    }
}

fn is_client_hello(datagram: &[u8]) -> bool {
    datagram[0] == 22 && datagram.get(13) == Some(&1)
}

/// Cuts a whole ClientHello into fragments of `size` bytes, one record and datagram each (RFC 9147 §5.5), as
/// Firefox' with its large key share comes. Other datagrams stay as they are.
fn fragments_of(datagram: Vec<u8>, size: usize) -> Vec<Vec<u8>> {
    if !is_client_hello(&datagram) || datagram[14..17] != datagram[22..25] {
        return vec![datagram];
    }
    let u24 = |n: usize| u32::try_from(n).unwrap().to_be_bytes()[1..].to_vec();
    let cut = |(n, body): (usize, &[u8])| {
        let mut d = datagram[..13].to_vec();
        d[10] += u8::try_from(n).unwrap();
        d[11..13].copy_from_slice(&u16::try_from(body.len() + 12).unwrap().to_be_bytes());
        d.extend(&datagram[13..19]);
        d.extend(u24(n * size));
        d.extend(u24(body.len()));
        d.extend(body);
        d
    };
    datagram[25..].chunks(size).enumerate().map(cut).collect()
}

fn reversed(mut datagrams: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    datagrams.reverse();
    datagrams
}

fn first_twice(mut datagrams: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    if let Some(first) = datagrams.first().cloned() {
        datagrams.push(first);
    }
    datagrams
}

#[test]
fn the_client_may_start_before_the_focus_has_told_us_who_it_is() {
    let mut world = World::new();
    let mut late = None;
    world.join_with("aaaa0001", Options::default(), |_, update| {
        // Credentials only; fingerprint and role come later.
        let ice = update.transport.as_mut().unwrap().ice.as_mut().unwrap();
        late = Some(std::mem::take(&mut ice.fingerprints));
    });
    world.run(Duration::from_millis(300));
    assert!(world.peers[0].selected && !world.peers[0].dtls_connected);
    let mut update = endpoint("aaaa0001");
    update.transport = Some(remote_transport("", "", &late.unwrap()[0].value, Setup::Active));
    world.modify(request(false, vec![update])).unwrap();
    world.connect();
}

/// With TCP at the port of the datagrams.
fn with_tcp() -> World {
    World::with(|config| config.addresses[0].tcp = Some(TcpPorts { own: 10_000, public: 10_000 }))
}

#[test]
fn a_peer_without_udp_has_all_of_it_over_its_connection() {
    let mut world = with_tcp();
    world.tcp = vec![0];
    world.join_with("aaaa0001", Options::default(), |_, update| {
        update.sources = Some(vec![audio_source("aaaa0001-a0", 7)]);
    });
    world.join("aaaa0002", Options::default());
    world.connect();
    for seq in 1..51 {
        world.peers[0].send_rtp(&rtp(7, seq, &[1; 40]));
        world.run(Duration::from_millis(20));
    }
    assert_eq!(world.peers[1].rtp.len(), 50);
    world.run(Duration::from_secs(60));
    assert_eq!(world.shard.load(), (1, 2), "checks keep it alive");
    let connection = world.peers[0].address;
    assert!(world.shard.has_connection(connection, bridge()));
    world.command(Command::Shutdown);
    assert!(!world.shard.has_connection(connection, bridge()) && world.shard.is_empty());
}

#[test]
fn a_datagram_from_the_addresses_of_a_connection_is_not_its_peer_s() {
    let mut world = with_tcp();
    world.tcp = vec![0];
    world.join("aaaa0001", Options::default());
    world.connect();
    let (now, from) = (world.now, world.peers[0].address);
    let mut media = world.peers[0].protect_rtp(&rtp(7, 1, &[1; 40]));
    let mut wire = crate::world::Wire::default();
    world.shard.handle_datagram(now, from, bridge(), &mut media.clone(), &mut wire);
    assert_eq!(world.shard.counters().dropped(Discard::UnknownAddress), 1);
    world.shard.handle_framed(now, from, bridge(), &mut media, &mut wire);
    assert_eq!(world.shard.counters().dropped(Discard::UnknownAddress), 1);
}

#[test]
fn a_network_that_begins_to_block_udp_is_left_for_tcp_by_a_restart_without_a_new_handshake() {
    let mut world = with_tcp();
    world.join("aaaa0001", Options::default());
    world.connect();
    let certificate = world.peers[0].bridge_certificate.clone();
    // From now on everything goes over a connection: the first with new credentials.
    let mut wanted = endpoint("aaaa0001");
    wanted.transport = Some(Transport { ice_restart: true, ..Transport::default() });
    let answer = world.modify(request(false, vec![wanted])).unwrap();
    let ice = answer.endpoints[0].transport.as_ref().unwrap().ice.as_ref().unwrap();
    let (ufrag, pwd) = (ice.ufrag.clone().unwrap(), ice.pwd.as_ref().unwrap().reveal().clone());
    world.tcp = vec![0];
    let own = ("overtcp", "password-of-the-connection-01");
    let mut transport = remote_transport(own.0, own.1, world.peers[0].fingerprint(), Setup::Active);
    transport.ice.as_mut().unwrap().ice_generation = ice.ice_generation;
    let mut update = endpoint("aaaa0001");
    update.transport = Some(transport);
    world.modify(request(false, vec![update])).unwrap();
    let now = world.now;
    world.peers[0].restart_ice(now, "127.0.0.9:9".parse().unwrap(), own, (&ufrag, &pwd)).unwrap();
    world.run(Duration::from_secs(1));
    let now = world.now;
    assert!(world.peers[0].say(now, r#"{"colibriClass":"ClientHello"}"#));
    world.run(Duration::from_millis(100));
    assert!(world.peers[0].texts.iter().any(|t| t.contains("ServerHello")));
    assert!(world.shard.has_connection("127.0.0.9:9".parse().unwrap(), bridge()));
    assert_eq!(world.peers[0].bridge_certificate, certificate);
}

#[test]
fn a_new_certificate_is_for_those_who_come_and_the_others_keep_theirs() {
    let mut world = World::new();
    let told = |answer: &ConferenceModified| {
        let ice = answer.endpoints[0].transport.as_ref().unwrap().ice.as_ref().unwrap();
        ice.fingerprints[0].value.clone()
    };
    world.join("aaaa0001", Options::default());
    let renewed = Certificate::generate().unwrap();
    world.command(Command::RenewCertificate(renewed.clone()));
    // The first has not even begun its handshake.
    world.connect();
    world.join("aaaa0002", Options::default());
    world.connect();
    let shown = |world: &World, n: usize| {
        let der = world.peers[n].bridge_certificate.clone().unwrap();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &der);
        digest.as_ref().iter().map(|b| format!("{b:02X}")).collect::<Vec<_>>().join(":")
    };
    assert_ne!(shown(&world, 0), renewed.fingerprint());
    assert_eq!(shown(&world, 1), renewed.fingerprint());
    for (n, id) in ["aaaa0001", "aaaa0002"].into_iter().enumerate() {
        let mut wanted = endpoint(id);
        wanted.transport = Some(Transport { ice_restart: true, ..Transport::default() });
        let answer = world.modify(request(false, vec![wanted])).unwrap();
        assert_eq!(told(&answer), shown(&world, n), "also when it restarts");
    }
}

#[test]
fn another_certificate_than_the_signalled_one_gets_no_keys() {
    for passive in [false, true] {
        let mut world = World::new();
        world.join_with("aaaa0001", Options { passive, ..Options::default() }, |_, update| {
            let ice = update.transport.as_mut().unwrap().ice.as_mut().unwrap();
            ice.fingerprints[0].value = "AB:".repeat(31) + "AB";
        });
        world.run(Duration::from_secs(3));
        let counters = world.shard.counters();
        assert_eq!(counters.dropped(Discard::WrongFingerprint), 1);
        assert_eq!(counters.dtls_failed, 1);
        assert!(!world.peers[0].channel_open);
        if world.peers[0].profile.is_some() {
            // The client may believe in its keys; the bridge has none.
            world.peers[0].send_rtp(&[0x80, 111, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 9]);
            world.run(Duration::from_millis(20));
            assert_eq!(world.shard.counters().dropped(Discard::NoKeys), 1);
        }
    }
}

#[test]
fn a_silent_peer_is_announced_unreachable_and_expires_and_nothing_is_left() {
    let mut world = World::new();
    world.join("aaaa0001", Options::default());
    world.join("aaaa0002", Options::default());
    world.connect();
    world.run(Duration::from_secs(30));
    assert_eq!(world.shard.load(), (1, 2), "consent alone keeps endpoints");
    world.cut = vec![1];
    // Its last answer may be as old as a check.
    let check = Duration::from_millis(2_500) + limits::CONNECTIVITY_INTERVAL;
    let status =
        r#"{"colibriClass":"EndpointConnectivityStatusChangeEvent","endpoint":"aaaa0002","active":"false"}"#;
    let told = |world: &World| world.peers[0].texts.iter().any(|t| t == status);
    world.run(limits::MAX_INACTIVITY - check);
    assert!(!told(&world));
    world.run(2 * check);
    assert!(told(&world), "{:?}", world.peers[0].texts);
    assert_eq!(world.shard.counters().endpoints_disconnected, 1);

    world.cut = vec![];
    world.run(Duration::from_secs(8));
    assert_eq!(world.shard.counters().endpoints_reconnected, 1);

    world.cut = vec![0, 1];
    world.run(limits::ENDPOINT_INACTIVITY + limits::EXPIRY_CHECK_INTERVAL + Duration::from_secs(1));
    world.run(limits::EXPIRY_CHECK_INTERVAL);
    assert!(world.shard.is_empty(), "{:?}", world.shard);
    assert_eq!(world.shard.counters().conferences_completed, 1);
}

#[test]
fn an_endpoint_that_does_not_come_is_announced_unreachable_after_its_time_and_not_before() {
    let mut world = World::new();
    world.join("aaaa0001", Options::default());
    world.connect();
    world.join("aaaa0002", Options::default());
    world.cut = vec![1];
    let status =
        r#"{"colibriClass":"EndpointConnectivityStatusChangeEvent","endpoint":"aaaa0002","active":"false"}"#;
    let told = |world: &World| world.peers[0].texts.iter().any(|t| t == status);
    world.run(limits::FIRST_TRANSFER_TIMEOUT);
    assert!(!told(&world), "{:?}", world.peers[0].texts);
    world.run(2 * limits::CONNECTIVITY_INTERVAL);
    assert!(told(&world), "{:?}", world.peers[0].texts);
}

#[test]
fn an_endpoint_that_never_comes_expires() {
    let mut world = World::new();
    world.join("aaaa0001", Options::default());
    world.cut = vec![0];
    world.run(limits::ENDPOINT_NEVER_ACTIVE - Duration::from_secs(1));
    assert_eq!(world.shard.load(), (1, 1));
    world.run(limits::EXPIRY_CHECK_INTERVAL * 2);
    assert!(world.shard.is_empty());
}

#[test]
fn two_hundred_people_come_in_over_one_port() {
    let mut world = World::new();
    for n in 0..200 {
        world.join(&format!("aaaa{n:04}"), Options { channel: false, ..Options::default() });
    }
    for _ in 0..60 {
        world.run(Duration::from_millis(50));
        if world.peers.iter().all(|p| p.connected()) {
            break;
        }
    }
    assert_eq!(world.peers.iter().filter(|p| p.connected()).count(), 200);
    assert_eq!(world.shard.counters().ice_succeeded, 200);
}

#[test]
fn messages_between_clients_carry_the_real_sender() {
    let mut world = World::new();
    for id in ["aaaa0001", "aaaa0002", "aaaa0003"] {
        world.join(id, Options::default());
    }
    world.connect();
    let now = world.now;
    let to_all = r#"{"colibriClass":"EndpointMessage","to":"","from":"someone","msgPayload":{"a":"\"x"}}"#;
    world.peers[0].say(now, to_all);
    let to_one = r#"{"colibriClass":"EndpointMessage","to":"aaaa0002","msgPayload":{"b":1}}"#;
    world.peers[0].say(now, to_one);
    world.peers[0].say(now, r#"{"colibriClass":"EndpointMessage","to":"nobody","msgPayload":{}}"#);
    world.peers[0].say(now, r#"{"colibriClass":"EndpointStats","bitrate":{}}"#);
    world.peers[0].say(now, "not json");
    world.run(Duration::from_millis(100));
    let got = |n: usize, what: &str| world.peers[n].texts.iter().filter(|t| t.contains(what)).count();
    assert_eq!((got(0, "\"a\":"), got(1, "\"a\":"), got(2, "\"a\":")), (0, 1, 1));
    assert_eq!((got(0, "\"b\":"), got(1, "\"b\":"), got(2, "\"b\":")), (0, 1, 0));
    assert_eq!((got(0, "EndpointStats"), got(1, "EndpointStats"), got(2, "EndpointStats")), (0, 1, 1));
    assert!(world.peers[1].texts.iter().all(|t| !t.contains("someone")));
    assert!(world.peers[1].texts.iter().any(|t| t.contains(r#""from":"aaaa0001""#)));
    assert_eq!(world.shard.counters().dropped(Discard::ChannelUnavailable), 1);
    assert_eq!(world.shard.counters().dropped(Discard::MalformedMessage), 1);
}

#[test]
fn a_visitor_only_listens() {
    let mut world = World::new();
    world.join("aaaa0001", Options::default());
    world.join_with("aaaa0002", Options::default(), |create, _| create.muc_role = Some("visitor".to_owned()));
    world.connect();
    let now = world.now;
    world.peers[1].say(now, r#"{"colibriClass":"EndpointMessage","to":"","msgPayload":{}}"#);
    world.run(Duration::from_millis(100));
    assert!(world.peers[0].texts.iter().all(|t| !t.contains("EndpointMessage")));
    assert_eq!(world.shard.counters().dropped(Discard::VisitorMessage), 1);
    assert_eq!(world.shard.counters().visitors_created, 1);
}

#[test]
fn compat_a_data_channel_is_greeted_only_when_asked() {
    let mut world = World::new();
    world.join("aaaa0001", Options::default());
    world.connect();
    world.run(Duration::from_millis(200));
    let greeted = |world: &World| world.peers[0].texts.iter().any(|t| t.contains("ServerHello"));
    assert!(!greeted(&world));
    let now = world.now;
    assert!(world.peers[0].say(now, r#"{"colibriClass":"ClientHello"}"#));
    world.run(Duration::from_millis(200));
    assert!(greeted(&world));
}

#[test]
fn dtls_datagrams_of_the_bridge_have_a_largest_size_also_with_long_messages() {
    let mut world = World::new();
    world.join("aaaa0001", Options::default());
    world.join("aaaa0002", Options { passive: true, ..Options::default() });
    world.connect();
    let handshake = world.longest_dtls;
    assert!((400..=limits::DTLS_MTU).contains(&handshake), "{handshake}");
    let text = format!(
        r#"{{"colibriClass":"EndpointMessage","to":"aaaa0002","msgPayload":"{}"}}"#,
        "x".repeat(100_000)
    );
    let now = world.now;
    assert!(world.peers[0].say(now, &text));
    world.run(Duration::from_secs(5));
    assert!(world.peers[1].texts.iter().any(|t| t.len() > 100_000));
    let longest = world.longest_dtls;
    assert!((limits::SCTP_MAX_PAYLOAD as usize..=limits::DTLS_MTU).contains(&longest), "{longest}");
}
