//! What a shard has room for: at the limit, and one beyond.

use std::time::Duration;

use jitsi_xmpp::Condition;
use jitsi_xmpp::colibri2::{ConferenceModify, Endpoint};
use jitsi_xmpp::ids::MeetingId;
use peer::Options;
use videobridge_core::{Asked, Command, Event, LocalAddress, RequestId, limits};

use crate::world::{Wire, World, endpoint, new_endpoint, request};

fn of(meeting: usize, create: bool, endpoints: Vec<Endpoint>) -> ConferenceModify {
    ConferenceModify { meeting_id: MeetingId::new(format!("m{meeting}")), ..request(create, endpoints) }
}

fn refused(world: &mut World, modify: ConferenceModify) -> Option<Condition> {
    world.modify(modify).err().map(|e| e.condition)
}

#[test]
fn conferences_of_a_shard_have_a_limit() {
    let mut world = World::new();
    for n in 0..limits::MAX_CONFERENCES {
        assert_eq!(refused(&mut world, of(n, true, vec![])), None);
    }
    let beyond = of(limits::MAX_CONFERENCES, true, vec![]);
    assert_eq!(refused(&mut world, beyond.clone()), Some(Condition::ResourceConstraint));
    assert_eq!(
        refused(&mut world, of(0, false, vec![new_endpoint("aaaa0001")])),
        None,
        "those that are there go on"
    );
    let expire = ConferenceModify { expire: true, ..of(0, false, vec![]) };
    assert_eq!(
        (refused(&mut world, expire), refused(&mut world, beyond)),
        (None, None),
        "one went, one comes"
    );
}

#[test]
fn so_many_conferences_are_told_of_at_once() {
    let mut world = World::new();
    let told = |world: &mut World, n: usize| {
        assert_eq!(refused(world, of(n, true, vec![])), None);
        world.command(Command::Debug { request: RequestId(1), asked: Asked::All });
        let Some(Event::Debug { conferences, .. }) = world.events.pop_back() else { panic!("no answer") };
        conferences.len()
    };
    assert_eq!(told(&mut world, 0), 1);
    for n in 1..limits::DEBUG_CONFERENCES - 1 {
        assert_eq!(refused(&mut world, of(n, true, vec![])), None);
    }
    assert_eq!(told(&mut world, limits::DEBUG_CONFERENCES), limits::DEBUG_CONFERENCES);
    assert_eq!(told(&mut world, limits::DEBUG_CONFERENCES + 1), limits::DEBUG_CONFERENCES);
}

#[test]
fn services_of_statistics_hear_of_conferences_that_allow_it_and_of_so_many_endpoints() {
    let mut world = World::new();
    let told = |world: &mut World| {
        world.command(Command::Debug { request: RequestId(1), asked: Asked::Statistics });
        let Some(Event::Debug { conferences, .. }) = world.events.pop_back() else { panic!("no answer") };
        let mut all: Vec<_> =
            conferences.values().map(|c| c["meeting_id"].as_str().unwrap().to_owned()).collect();
        all.sort();
        (all, conferences)
    };
    let mut refuses = of(0, true, vec![new_endpoint("aaaa0001")]);
    refuses.rtcstats_enabled = false;
    world.modify(refuses).unwrap();
    world.modify(of(1, true, vec![new_endpoint("aaaa0001")])).unwrap();
    let (meetings, conferences) = told(&mut world);
    assert_eq!(meetings, ["m1"]);
    let (id, one) = conferences.iter().next().unwrap();
    assert_eq!((one["id"].as_str(), one["rtcstatsEnabled"].as_bool()), (Some(id.as_str()), Some(true)));
    assert!(one["endpoints"]["aaaa0001"]["ice"].is_string(), "{one}");
    world.modify(of(2, true, vec![])).unwrap();
    for n in 1..limits::STATISTICS_ENDPOINTS {
        assert_eq!(refused(&mut world, of(2, false, vec![new_endpoint(&format!("bbbb{n:04}"))])), None);
    }
    assert_eq!(told(&mut world).0, ["m1", "m2"], "at the limit");
    world.modify(of(2, false, vec![new_endpoint("cccc0001")])).unwrap();
    assert_eq!(told(&mut world).0, ["m1"], "one beyond");
}

#[test]
fn endpoints_of_a_shard_have_a_limit() {
    let mut world = World::new();
    let meetings = limits::MAX_ENDPOINTS / limits::MAX_ENDPOINTS_PER_CONFERENCE;
    for meeting in 0..=meetings {
        assert_eq!(refused(&mut world, of(meeting, true, vec![])), None);
    }
    for n in 0..limits::MAX_ENDPOINTS {
        let one = of(n % meetings, false, vec![new_endpoint(&format!("{n:08x}"))]);
        assert_eq!(refused(&mut world, one), None);
    }
    let beyond = of(meetings, false, vec![new_endpoint("one-more")]);
    assert_eq!(refused(&mut world, beyond.clone()), Some(Condition::ResourceConstraint));
    let gone = Endpoint { expire: true, ..endpoint("00000000") };
    assert_eq!(refused(&mut world, of(0, false, vec![gone])), None);
    assert_eq!(refused(&mut world, beyond), None);
}

#[test]
fn endpoints_in_one_request_have_a_limit() {
    let mut world = World::new();
    world.modify(request(true, vec![new_endpoint("aaaa0001")])).unwrap();
    let expiring = |n: usize| Endpoint { expire: true, ..endpoint(&format!("{n:08x}")) };
    let at_limit: Vec<_> = (0..limits::MAX_ENDPOINTS_PER_REQUEST).map(expiring).collect();
    assert_eq!(refused(&mut world, request(false, at_limit.clone())), None);
    let beyond = [at_limit, vec![expiring(9_999_999)]].concat();
    assert_eq!(refused(&mut world, request(false, beyond)), Some(Condition::ResourceConstraint));
}

#[test]
fn addresses_of_the_machine_have_a_limit_and_go_again() {
    let mut world = World::new();
    let candidates = |world: &mut World, meeting: usize| {
        let answer = world.modify(of(meeting, true, vec![new_endpoint("aaaa0001")])).unwrap();
        answer.endpoints[0].transport.as_ref().unwrap().ice.as_ref().unwrap().candidates.len()
    };
    let address = |n: usize| std::net::SocketAddr::from(([127, 0, 1, u8::try_from(n).unwrap()], 10_000));
    assert_eq!(candidates(&mut world, 0), 1);
    for n in 1..=limits::MAX_LOCAL_ADDRESSES {
        // Told twice, one address is still one.
        world.command(Command::AddAddress(LocalAddress::new(address(n))));
        world.command(Command::AddAddress(LocalAddress::new(address(n))));
    }
    assert_eq!(candidates(&mut world, 1), limits::MAX_LOCAL_ADDRESSES, "one beyond is left out");
    for n in 1..=limits::MAX_LOCAL_ADDRESSES {
        world.command(Command::RemoveAddress(address(n)));
    }
    assert_eq!(candidates(&mut world, 2), 1);
}

#[test]
fn timers_of_those_who_are_gone_do_not_stay() {
    let mut world = World::new();
    for n in 0..500 {
        world.modify(of(n, true, vec![new_endpoint("aaaa0001")])).unwrap();
    }
    for n in 0..500 {
        world.modify(ConferenceModify { expire: true, ..of(n, false, vec![]) }).unwrap();
    }
    assert!(world.shard.is_empty());
    let end = world.now + Duration::from_secs(5);
    let mut wakes = 0;
    while let Some(at) = world.shard.poll_timeout().filter(|at| *at <= end) {
        world.now = at;
        world.shard.handle_timeout(at, &mut Wire::default());
        wakes += 1;
    }
    assert!(wakes <= 20, "only the shard's own timers are left: {wakes}");
}

#[test]
fn events_that_nobody_polls_have_a_limit_and_the_shard_goes_on() {
    let mut world = World::new();
    let ask = |world: &mut World, n: u64| {
        let modify = Box::new(of(0, false, vec![]));
        let command = Command::Colibri2 { request: RequestId(n), modify };
        world.shard.handle_command(world.now, command, &mut Wire::default());
    };
    for n in 0..=limits::MAX_EVENTS as u64 {
        ask(&mut world, n);
    }
    let polled = std::iter::from_fn(|| world.shard.poll_event()).count();
    assert_eq!(polled, limits::MAX_EVENTS, "one beyond is lost");
    ask(&mut world, 0);
    assert!(matches!(world.shard.poll_event(), Some(Event::Colibri2Reply { .. })));
}

#[test]
fn an_empty_conference_is_waited_for_and_then_gone() {
    // Looked at once a minute, so it depends on when it was made.
    for (before, there) in
        [(limits::EMPTY_CONFERENCE - Duration::from_secs(1), true), (limits::EMPTY_CONFERENCE, false)]
    {
        let mut world = World::new();
        world.modify(of(0, true, vec![new_endpoint("aaaa0001")])).unwrap();
        world.run(limits::EXPIRY_CHECK_INTERVAL - before);
        world.modify(of(1, true, vec![])).unwrap();
        world.run(before);
        let left = world.shard.load().0;
        assert_eq!(left, 1 + usize::from(there), "{before:?}");
    }
}

#[test]
fn statistics_of_clients_go_to_everybody_up_to_the_threshold_and_beyond_it_to_those_who_show_them() {
    for (others, reached) in [(1, true), (2, false)] {
        let mut world = World::with(|config| {
            assert_eq!(config.stats_filter_threshold, limits::STATS_FILTER_THRESHOLD);
            config.stats_filter_threshold = 2;
        });
        for n in 0..=others {
            world.join(&format!("aaaa{n:04}"), Options::default());
        }
        world.connect();
        let now = world.now;
        assert!(world.peers[0].say(now, r#"{"colibriClass":"EndpointStats","bitrate":{"upload":7}}"#));
        world.run(Duration::from_millis(200));
        let told = |n: usize| world.peers[n].texts.iter().any(|t| t.contains("EndpointStats"));
        assert_eq!((1..=others).all(told), reached, "{others}");
    }
}

#[test]
fn an_endpoint_without_a_channel_is_counted_half_a_minute_after_its_handshake() {
    let mut world = World::new();
    world.join("aaaa0001", Options { channel: false, ..Options::default() });
    for _ in 0..40 {
        world.run(Duration::from_millis(50));
        if world.peers[0].dtls_connected {
            break;
        }
    }
    let counted = |world: &World| world.shard.counters().no_message_transport;
    world.run(limits::NO_CHANNEL_DELAY - Duration::from_secs(1));
    assert_eq!(counted(&world), 0, "a moment before");
    world.run(Duration::from_secs(2));
    assert_eq!(counted(&world), 1);
    world.run(Duration::from_secs(60));
    assert_eq!(counted(&world), 1, "once");
}
