//! ICE restarts in place: another way is looked for while the old one carries media.

use std::net::SocketAddr;
use std::time::Duration;

use jitsi_xmpp::colibri2::{ConferenceModified, Transport};
use jitsi_xmpp::jingle::{IceUdpTransport, Setup};
use peer::Options;
use videobridge_core::{Command, Discard, limits};

use crate::world::{World, audio_source, endpoint, remote_transport, request, rtp};

const SSRC: u32 = 4711;
const ELSEWHERE: &str = "127.0.0.2:61000";

/// The first is heard by the second.
fn two() -> World {
    let mut world = World::new();
    world.join_with("aaaa0001", Options::default(), |_, update| {
        update.sources = Some(vec![audio_source("aaaa0001-a0", SSRC)]);
    });
    world.join("aaaa0002", Options::default());
    world.connect();
    world
}

/// The second asks for a restart.
fn ask(world: &mut World) -> ConferenceModified {
    let mut wanted = endpoint("aaaa0002");
    wanted.transport = Some(Transport { ice_restart: true, ..Transport::default() });
    world.modify(request(false, vec![wanted])).expect("a result")
}

fn ice(answer: &ConferenceModified) -> Option<&IceUdpTransport> {
    answer.endpoints[0].transport.as_ref()?.ice.as_ref()
}

fn credentials(ice: &IceUdpTransport) -> (String, String) {
    (ice.ufrag.clone().unwrap(), ice.pwd.as_ref().unwrap().reveal().clone())
}

/// The second answers to restart `generation` through the focus.
fn answer(world: &mut World, generation: u32, own: (&str, &str)) {
    let mut update = endpoint("aaaa0002");
    let fingerprint = world.peers[1].fingerprint().to_owned();
    let mut transport = remote_transport(own.0, own.1, &fingerprint, Setup::Active);
    transport.ice.as_mut().unwrap().ice_generation = Some(generation);
    update.transport = Some(transport);
    world.modify(request(false, vec![update])).expect("a result");
}

/// The second restarts at `address`, whole. Returns the bridge's new user name.
fn restart(world: &mut World, address: &str, generation: u32) -> String {
    let asked = ask(world);
    let offered = ice(&asked).expect("granted");
    assert_eq!(offered.ice_generation, Some(generation));
    assert!(!offered.candidates.is_empty() && !offered.fingerprints.is_empty());
    let (ufrag, pwd) = credentials(offered);
    let own = (format!("again{generation}"), format!("password-of-restart-{generation}-012345"));
    answer(world, generation, (&own.0, &own.1));
    let now = world.now;
    let address: SocketAddr = address.parse().unwrap();
    world.peers[1].restart_ice(now, address, (&own.0, &own.1), (&ufrag, &pwd)).unwrap();
    ufrag
}

/// The first says something each 20 ms. How many of `range` the second has heard.
fn talk(world: &mut World, range: std::ops::Range<u16>) -> usize {
    let before = world.peers[1].rtp.len();
    for seq in range {
        world.peers[0].send_rtp(&rtp(SSRC, seq, &[1; 40]));
        world.peers[1].send_rtcp(&[0x80, 201, 0, 1, 0, 0, 0, 1]);
        world.run(Duration::from_millis(20));
    }
    world.peers[1].rtp.len() - before
}

#[test]
fn a_restart_moves_media_to_another_way_without_losing_a_packet() {
    for address in [ELSEWHERE, "127.0.0.1:50001"] {
        let mut world = two();
        assert_eq!(talk(&mut world, 1..51), 50);
        restart(&mut world, address, 1);
        assert_eq!(talk(&mut world, 51..251), 200, "no gap");
        assert_eq!(world.peers[1].address, address.parse().unwrap(), "it goes over the new way");
        // What was secured stays so: the same keys, the same channel.
        assert_eq!((world.peers[1].broken, world.shard.counters().dtls_failed), (0, 0));
        let now = world.now;
        assert!(world.peers[1].say(now, r#"{"colibriClass":"ClientHello"}"#));
        world.run(Duration::from_millis(100));
        assert!(world.peers[1].texts.iter().any(|t| t.contains("ServerHello")));
        let c = world.shard.counters();
        assert_eq!((c.ice_restarts_started, c.ice_restarts_succeeded, c.ice_restarts_failed), (1, 1, 0));
        // And it can be done again.
        restart(&mut world, "127.0.0.3:61001", 2);
        assert_eq!(talk(&mut world, 251..451), 200, "no gap");
        assert_eq!(world.shard.counters().ice_restarts_succeeded, 2);
        world.command(Command::Shutdown);
        assert!(world.shard.is_empty(), "{:?}", world.shard);
    }
}

#[test]
fn a_telephone_that_lost_its_wi_fi_hears_again_within_a_second_of_its_new_checks() {
    let mut world = two();
    assert_eq!(talk(&mut world, 1..51), 50);
    let old = world.peers[1].address;
    world.dead.push(old);
    assert_eq!(talk(&mut world, 51..551), 0, "ten seconds in which nothing arrives");
    restart(&mut world, ELSEWHERE, 1);
    let begun = world.now;
    let mut seq = 551;
    while talk(&mut world, seq..seq + 1) == 0 {
        seq += 1;
        assert!(world.now - begun < Duration::from_secs(1), "a second without sound");
    }
    world.run(limits::CONNECTIVITY_INTERVAL);
    assert_eq!(world.shard.counters().endpoints_reconnected, 1);
}

#[test]
fn who_looks_for_another_way_is_not_removed_because_the_old_one_is_lost() {
    let mut world = two();
    let old = world.peers[1].address;
    world.dead.push(old);
    // Between the loss of consent and the next look at who is gone.
    world.run(Duration::from_secs(50));
    ask(&mut world);
    world.run(Duration::from_secs(15));
    assert_eq!(world.shard.load(), (1, 2), "it has 20 seconds");
    world.run(limits::EXPIRY_CHECK_INTERVAL);
    assert_eq!(world.shard.load(), (1, 1));
}

#[test]
fn a_restart_nobody_answers_is_given_up_after_its_time_and_not_before_and_media_goes_on() {
    let mut world = two();
    let asked = ask(&mut world);
    let (ufrag, _) = credentials(ice(&asked).unwrap());
    world.run(limits::ICE_RESTART_TIMEOUT - Duration::from_millis(50));
    assert_eq!(world.shard.counters().ice_restarts_failed, 0);
    world.run(Duration::from_millis(100));
    assert_eq!(world.shard.counters().ice_restarts_failed, 1);
    answer(&mut world, 1, ("late", "password-that-comes-too-late-0"));
    assert_eq!(talk(&mut world, 1..51), 50);
    let again = ask(&mut world);
    let offered = ice(&again).unwrap();
    assert_eq!(offered.ice_generation, Some(2));
    assert_ne!(credentials(offered).0, ufrag);
}

#[test]
fn the_agent_before_a_restart_answers_for_its_time_and_not_longer() {
    let mut world = two();
    // It keeps its first agent beside the second.
    let (ufrag, pwd) = world.peers[1].remote();
    let (own, own_pwd) = world.peers[1].credentials();
    restart(&mut world, ELSEWHERE, 1);
    world.run(Duration::from_millis(500));
    let ask_old = |world: &mut World| {
        let now = world.now;
        let before = world.shard.counters().dropped(Discard::UnknownUfrag);
        let address = "127.0.0.4:61002".parse().unwrap();
        world.peers[1].restart_ice(now, address, (&own, &own_pwd), (&ufrag, &pwd)).unwrap();
        world.run(Duration::from_millis(200));
        world.shard.counters().dropped(Discard::UnknownUfrag) - before
    };
    assert_eq!(ask_old(&mut world), 0);
    world.run(limits::ICE_RESTART_TRANSITION);
    assert!(ask_old(&mut world) > 0);
}

#[test]
fn a_repeated_request_gets_the_same_and_one_after_the_answer_gets_new_credentials() {
    let mut world = two();
    let first = ask(&mut world);
    let first = ice(&first).unwrap().clone();
    let repeated = ask(&mut world);
    assert_eq!(Some(&first), ice(&repeated));
    assert_eq!(world.shard.counters().ice_restarts_started, 1);
    answer(&mut world, 1, ("again1", "password-of-the-first-restart"));
    let next = ask(&mut world);
    let next = ice(&next).unwrap();
    assert_eq!(next.ice_generation, Some(2));
    assert_ne!(credentials(&first), credentials(next));
    assert_eq!(world.shard.counters().ice_restarts_superseded, 1);
    // The peer knows of the first only: it answers for nobody, and finds nobody.
    let (ufrag, pwd) = credentials(&first);
    answer(&mut world, 1, ("again1", "password-of-the-first-restart"));
    let now = world.now;
    let own = ("again1", "password-of-the-first-restart");
    world.peers[1].restart_ice(now, ELSEWHERE.parse().unwrap(), own, (&ufrag, &pwd)).unwrap();
    world.run(Duration::from_secs(2));
    assert_eq!(world.shard.counters().ice_restarts_succeeded, 0);
    assert!(world.shard.counters().dropped(Discard::UnknownUfrag) > 0);
    assert_eq!(talk(&mut world, 1..51), 50);
}

#[test]
fn before_the_first_connection_there_is_nothing_to_restart() {
    let mut world = World::new();
    world.join("aaaa0001", Options::default());
    world.join("aaaa0002", Options::default());
    world.cut = vec![0, 1];
    let asked = ask(&mut world);
    let told = ice(&asked).unwrap();
    assert_eq!((told.ice_generation, credentials(told)), (None, world.peers[1].remote()));
    assert_eq!(world.shard.counters().ice_restarts_not_established, 1);
    world.cut.clear();
    world.connect();
}

#[test]
fn a_bridge_that_restarts_nothing_answers_without_a_transport() {
    let mut world = World::with(|config| config.ice_restart = false);
    world.join("aaaa0001", Options::default());
    world.join("aaaa0002", Options::default());
    world.connect();
    assert_eq!(ice(&ask(&mut world)), None);
    assert_eq!(world.shard.counters().ice_restarts_rejected, 1);
}
