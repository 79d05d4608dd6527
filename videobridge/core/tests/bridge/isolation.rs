//! A bug that one conference triggers costs that conference, and nobody else anything.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use jitsi_xmpp::ids::{EndpointId, MeetingId};
use jitsi_xmpp::{Sensitive, StanzaError};
use videobridge_core::{Command, DatagramSink, Event, RequestId, SocketId, WebSocketConfig};

use crate::world::{Wire, World, audio_source, bridge, endpoint, new_endpoint, request, rtp};
use peer::Options;

/// A bug: panics when something is sent to this address.
struct Trap<'a>(SocketAddr, &'a mut Wire);

impl DatagramSink for Trap<'_> {
    fn send(
        &mut self,
        to: SocketAddr,
        from: SocketAddr,
        max_len: usize,
        fill: &mut dyn FnMut(&mut [u8]) -> usize,
    ) {
        assert_ne!(to, self.0, "the bug");
        self.1.send(to, from, max_len, fill);
    }
}

/// As the shell does it. Whether it panicked.
fn guarded(
    world: &mut World,
    trap: SocketAddr,
    step: impl FnOnce(&mut World, &mut dyn DatagramSink),
) -> bool {
    let mut wire = Wire::default();
    let panicked = catch_unwind(AssertUnwindSafe(|| step(world, &mut Trap(trap, &mut wire)))).is_err();
    if panicked {
        assert!(world.shard.recover(world.now), "whose it was is known");
    }
    world.settle(wire);
    panicked
}

/// A conference of two, and another with one more in it, who is not part of the world's peers.
fn world() -> World {
    let mut world = World::with(|config| {
        config.report_addresses = true;
        config.web_sockets = Some(WebSocketConfig {
            domains: vec!["meet.example".to_owned()],
            server_id: "jvb1".to_owned(),
            tls: true,
        });
    });
    world.join("aaaa0001", Options::default());
    world.join("aaaa0002", Options::default());
    let mut other = request(true, vec![new_endpoint("bbbb0001")]);
    other.meeting_id = MeetingId::new("m2");
    world.modify(other).unwrap();
    world.connect();
    let mut update = endpoint("aaaa0001");
    update.sources = Some(vec![audio_source("aaaa0001-a0", 7)]);
    world.modify(request(false, vec![update])).unwrap();
    world.run(Duration::from_millis(50));
    world.events.clear();
    world
}

fn only_the_other_is_left(world: &mut World) {
    assert_eq!(world.shard.load(), (1, 1));
    let failed = |e: &Event| matches!(e, Event::ConferenceFailed { meeting } if meeting.as_str() == "m1");
    assert_eq!(world.events.iter().filter(|e| failed(e)).count(), 1);
    let counters = world.shard.counters();
    assert_eq!((counters.conferences_failed, counters.conferences_completed), (1, 1));
    // The focus asks for it again, with the same id, and everything works.
    world.peers.clear();
    world.events.clear();
    let gone: StanzaError = world.modify(request(false, vec![endpoint("aaaa0001")])).unwrap_err();
    assert_eq!(gone.condition, jitsi_xmpp::Condition::ItemNotFound);
    world.modify(request(true, vec![])).unwrap();
    world.join("aaaa0001", Options::default());
    world.connect();
    assert_eq!(world.shard.load(), (2, 2));
    let mut expire = request(false, vec![]);
    expire.meeting_id = MeetingId::new("m2");
    expire.expire = true;
    world.modify(expire).unwrap();
    world.command(Command::Shutdown);
    assert!(world.shard.is_empty(), "no address, name or socket of it stays");
}

#[test]
fn a_panic_over_a_datagram_costs_its_conference() {
    let mut world = world();
    let (from, to) = (world.peers[0].address, world.peers[1].address);
    let mut rtp = world.peers[0].protect_rtp(&rtp(7, 1, &[9; 40]));
    let panicked = guarded(&mut world, to, |world, out| {
        world.shard.handle_datagram(world.now, from, bridge(), &mut rtp, out);
    });
    assert!(panicked);
    only_the_other_is_left(&mut world);
}

#[test]
fn a_panic_of_a_timer_costs_its_conference_and_the_next_timers_run() {
    let mut world = world();
    let to = world.peers[1].address;
    let mut panics = 0;
    for _ in 0..300 {
        world.now += Duration::from_millis(100);
        panics +=
            usize::from(guarded(&mut world, to, |world, out| world.shard.handle_timeout(world.now, out)));
    }
    assert_eq!(panics, 1);
    only_the_other_is_left(&mut world);
}

#[test]
fn a_panic_of_a_command_costs_its_conference_and_closes_its_web_sockets() {
    let mut world = world();
    let create = new_endpoint("aaaa0003");
    let answer = world.modify(request(false, vec![create])).unwrap();
    let ice = answer.endpoints[0].transport.as_ref().unwrap().ice.clone().unwrap();
    let url = ice.web_sockets[0].url.as_ref().unwrap().reveal().clone();
    let (conference, rest) =
        url.strip_prefix("wss://meet.example/colibri-ws/jvb1/").unwrap().split_once('/').unwrap();
    world.command(Command::WebSocketOpen {
        socket: SocketId(1),
        conference: conference.to_owned(),
        endpoint: EndpointId::new("aaaa0003"),
        password: Sensitive::new(rest.split_once("?pwd=").unwrap().1.to_owned()),
    });
    world.events.clear();
    let to = world.peers[1].address;
    let mut expire = endpoint("aaaa0002");
    expire.expire = true;
    let panicked = guarded(&mut world, to, |world, out| {
        let command =
            Command::Colibri2 { request: RequestId(99), modify: Box::new(request(false, vec![expire])) };
        world.shard.handle_command(world.now, command, out);
    });
    assert!(panicked, "saying goodbye to it");
    let closed = |e: &Event| matches!(e, Event::CloseWebSocket { socket: SocketId(1), code: 1011, .. });
    assert!(world.events.iter().any(closed));
    only_the_other_is_left(&mut world);
}

#[test]
fn recovering_when_nothing_was_at_work_removes_nothing() {
    let mut world = world();
    world.command(Command::RefuseNewConferences(false));
    let mut wire = Wire::default();
    world.shard.handle_datagram(world.now, "192.0.2.1:1".parse().unwrap(), bridge(), &mut [0xff], &mut wire);
    assert!(!world.shard.recover(world.now));
    assert_eq!(world.shard.load(), (2, 3));
}
