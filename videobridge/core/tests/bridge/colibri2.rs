//! Requests of the focus: answers, exact errors, and that an error leaves nothing behind.

use std::time::Duration;

use jitsi_xmpp::colibri2::{
    Colibri2Error, ConferenceModify, Endpoint, ErrorReason, ForceMute, Relay, Sctp, SctpRole,
};
use jitsi_xmpp::jingle::{CandidateType, Setup};
use jitsi_xmpp::{Condition, StanzaError};
use peer::Options;
use peer::describe::video_source;
use serde_json::Value;
use videobridge_core::{Command, LocalAddress, limits};

use crate::world::{World, audio_source, endpoint, new_endpoint, request, rtp};

fn refused(world: &mut World, modify: ConferenceModify) -> (Condition, Option<ErrorReason>) {
    let before = world.shard.load();
    let error: StanzaError = world.modify(modify).expect_err("must be refused");
    assert_eq!(world.shard.load(), before, "an error leaves nothing behind");
    let reason = Colibri2Error::from_stanza_error(&error).map(|e| e.reason);
    (error.condition, reason)
}

fn changed(id: &str, change: impl FnOnce(&mut Endpoint)) -> Endpoint {
    let mut e = new_endpoint(id);
    change(&mut e);
    e
}

#[test]
fn the_answer_describes_our_side() {
    let mut world = World::new();
    let answer = world.modify(request(true, vec![new_endpoint("aaaa0001")])).unwrap();
    let e = &answer.endpoints[0];
    assert_eq!((e.id.as_str(), e.create, e.expire), ("aaaa0001", false, false));
    let transport = e.transport.as_ref().unwrap();
    assert_eq!(transport.sctp, Some(Sctp { port: Some(5000), role: Some(SctpRole::Server) }));
    let ice = transport.ice.as_ref().unwrap();
    assert!(ice.rtcp_mux && ice.web_sockets.is_empty());
    assert_eq!(ice.fingerprints[0].setup, Some(Setup::Actpass));
    let c = &ice.candidates[0];
    assert_eq!((c.kind, c.port, c.priority), (CandidateType::Host, 10000, 2_130_706_431));
    let names: Vec<_> = answer.sources.as_ref().unwrap().iter().map(|s| s.id.as_str().to_owned()).collect();
    assert_eq!(names, ["jvb-a0", "jvb-v0"]);

    // The same SSRCs for the next endpoint; no transport and no sources when nothing is created.
    let second = world.modify(request(false, vec![new_endpoint("aaaa0002")])).unwrap();
    assert_eq!(second.sources, answer.sources);
    let mut muted = endpoint("aaaa0001");
    muted.force_mute = Some(ForceMute { audio: true, video: false });
    let third = world.modify(request(false, vec![muted])).unwrap();
    assert_eq!((third.endpoints.len(), third.endpoints[0].transport.clone(), third.sources), (1, None, None));
}

#[test]
fn errors_have_the_conditions_and_reasons_the_focus_reacts_to() {
    use Condition::{BadRequest, Conflict, FeatureNotImplemented, ItemNotFound, ServiceUnavailable};
    let mut world = World::new();
    assert_eq!(
        refused(&mut world, request(false, vec![])),
        (ItemNotFound, Some(ErrorReason::ConferenceNotFound))
    );
    for (change, expected) in [
        ((|e| e.capabilities.clear()) as fn(&mut Endpoint), BadRequest),
        (|e| e.transport = None, BadRequest),
        (|e| e.transport.as_mut().unwrap().sctp = Some(Sctp { port: Some(5001), role: None }), BadRequest),
        (
            |e| e.transport.as_mut().unwrap().sctp = Some(Sctp { port: None, role: Some(SctpRole::Client) }),
            FeatureNotImplemented,
        ),
        (
            |e| {
                e.muc_role = Some("visitor".to_owned());
                e.sources = Some(vec![audio_source("x-a0", 1)]);
            },
            BadRequest,
        ),
    ] {
        assert_eq!(refused(&mut world, request(true, vec![changed("aaaa0001", change)])).0, expected);
    }
    world.modify(request(true, vec![new_endpoint("aaaa0001")])).unwrap();
    assert_eq!(
        refused(&mut world, request(true, vec![])),
        (Conflict, Some(ErrorReason::ConferenceAlreadyExists))
    );
    assert_eq!(refused(&mut world, request(false, vec![new_endpoint("aaaa0001")])).0, Conflict);
    let both = vec![new_endpoint("aaaa0002"), new_endpoint("aaaa0003")];
    assert_eq!(
        refused(&mut world, request(false, both)),
        (FeatureNotImplemented, Some(ErrorReason::FeatureNotImplemented))
    );
    let mut relay = request(false, vec![]);
    relay.relays.push(Relay {
        id: "jvb2".to_owned(),
        mesh_id: None,
        create: true,
        expire: false,
        media: vec![],
        transport: None,
        endpoints: vec![],
    });
    assert_eq!(refused(&mut world, relay).0, FeatureNotImplemented);

    let unknown = Endpoint { sources: Some(vec![]), ..endpoint("zzzz0001") };
    let error = world.modify(request(false, vec![unknown])).unwrap_err();
    assert_eq!(error.condition, ItemNotFound);
    let detail = Colibri2Error::from_stanza_error(&error).unwrap();
    assert_eq!(detail.reason, ErrorReason::UnknownEndpoint);
    assert_eq!(detail.endpoint.unwrap().as_str(), "zzzz0001");

    world.command(Command::RefuseNewConferences(true));
    let mut other = request(true, vec![new_endpoint("aaaa0009")]);
    other.meeting_id = jitsi_xmpp::ids::MeetingId::new("m2");
    assert_eq!(refused(&mut world, other), (ServiceUnavailable, Some(ErrorReason::GracefulShutdown)));
    world.modify(request(false, vec![new_endpoint("aaaa0002")])).expect("existing conferences may grow");
}

#[test]
fn sctp_can_be_switched_off() {
    let mut world = World::with(|c| c.sctp_enabled = false);
    let got = refused(&mut world, request(true, vec![new_endpoint("aaaa0001")]));
    assert_eq!(got, (Condition::FeatureNotImplemented, Some(ErrorReason::FeatureNotImplemented)));
    let no_sctp = changed("aaaa0001", |e| e.transport.as_mut().unwrap().sctp = None);
    let answer = world.modify(request(true, vec![no_sctp])).unwrap();
    assert_eq!(answer.endpoints[0].transport.as_ref().unwrap().sctp, None);
}

#[test]
fn expiring_and_muting_unknown_endpoints_is_no_error() {
    let mut world = World::new();
    world.modify(request(true, vec![new_endpoint("aaaa0001")])).unwrap();
    let gone = Endpoint { expire: true, ..endpoint("zzzz0001") };
    let muted = Endpoint { force_mute: Some(ForceMute { audio: true, video: true }), ..endpoint("zzzz0002") };
    let answer = world.modify(request(false, vec![gone, muted])).unwrap();
    let shape: Vec<_> = answer.endpoints.iter().map(|e| (e.id.as_str(), e.expire)).collect();
    assert_eq!(shape, [("zzzz0001", true), ("zzzz0002", false)]);
}

#[test]
fn a_request_that_leaves_a_conference_empty_ends_it() {
    let mut world = World::new();
    world.modify(request(true, vec![])).unwrap();
    assert_eq!(world.shard.load(), (1, 0), "created empty, it waits for endpoints");
    world.modify(request(false, vec![new_endpoint("aaaa0001")])).unwrap();
    world.modify(request(false, vec![new_endpoint("aaaa0002")])).unwrap();
    world.modify(request(false, vec![Endpoint { expire: true, ..endpoint("aaaa0001") }])).unwrap();
    assert_eq!(world.shard.load(), (1, 1));
    world.modify(request(false, vec![Endpoint { expire: true, ..endpoint("aaaa0002") }])).unwrap();
    assert!(world.shard.is_empty());
    world.modify(request(true, vec![new_endpoint("aaaa0001")])).unwrap();
    let mut expire = request(false, vec![]);
    expire.expire = true;
    world.modify(expire).unwrap();
    assert!(world.shard.is_empty());
}

#[test]
fn ids_and_conferences_have_limits() {
    let mut world = World::new();
    let id = "x".repeat(limits::MAX_ID_LEN);
    world.modify(request(true, vec![new_endpoint(&id)])).unwrap();
    assert_eq!(
        refused(&mut world, request(false, vec![new_endpoint(&format!("{id}x"))])).0,
        Condition::BadRequest
    );
    for n in 1..limits::MAX_ENDPOINTS_PER_CONFERENCE {
        world.modify(request(false, vec![new_endpoint(&format!("{n:08x}"))])).unwrap();
    }
    let one_more = request(false, vec![new_endpoint("one-more")]);
    assert_eq!(refused(&mut world, one_more).0, Condition::ResourceConstraint);
    world.command(Command::Shutdown);
    assert!(world.shard.is_empty());
}

/// The video sources a client was last told to be forwarded.
fn forwarded(world: &World, n: usize) -> Vec<String> {
    let mut lists = world.peers[n].texts.iter().filter_map(|t| serde_json::from_str::<Value>(t).ok());
    let last = lists.rfind(|m| m["colibriClass"] == "ForwardedSources");
    let names = last.and_then(|m| m["forwardedSources"].as_array().cloned()).unwrap_or_default();
    names.iter().filter_map(|n| n.as_str().map(str::to_owned)).collect()
}

/// A sender with a camera, and a client that says `wish` about video after the focus gave it last-n 5.
fn camera_and_client(wish: Option<&str>) -> World {
    let mut world = World::new();
    world.join_with("aaaa0001", Options::default(), |_, update| {
        update.sources = Some(vec![video_source("aaaa0001-v0", 1001)]);
    });
    world.join_with("aaaa0002", Options::default(), |create, _| create.initial_last_n = Some(0));
    world.connect();
    if let Some(wish) = wish {
        let now = world.now;
        assert!(world.peers[1].say(now, wish));
    }
    world.run(Duration::from_millis(100));
    world
}

fn repeat_initial_last_n(world: &mut World, last_n: i32) {
    let update = Endpoint { initial_last_n: Some(last_n), ..endpoint("aaaa0002") };
    world.modify(request(false, vec![update])).unwrap();
    world.run(Duration::from_millis(200));
}

#[test]
fn compat_a_repeated_initial_last_n_overrode_what_the_client_had_chosen_itself() {
    let said = |n: i32| {
        format!(
            r#"{{"colibriClass":"ReceiverVideoConstraints","lastN":{n},"defaultConstraints":{{"maxHeight":180}}}}"#
        )
    };
    let mut world = camera_and_client(Some(&said(0)));
    assert!(forwarded(&world, 1).is_empty());
    repeat_initial_last_n(&mut world, 5);
    assert!(forwarded(&world, 1).is_empty(), "audio only is the client's choice");

    let mut world = camera_and_client(Some(&said(-1)));
    assert_eq!(forwarded(&world, 1), ["aaaa0001-v0"]);
    repeat_initial_last_n(&mut world, 0);
    assert_eq!(forwarded(&world, 1), ["aaaa0001-v0"]);
}

#[test]
fn compat_constraints_without_last_n_end_the_time_of_the_initial_one() {
    let wish = r#"{"colibriClass":"ReceiverVideoConstraints","defaultConstraints":{"maxHeight":180}}"#;
    let mut world = camera_and_client(Some(wish));
    assert!(forwarded(&world, 1).is_empty(), "last-n is still 0");
    repeat_initial_last_n(&mut world, 5);
    assert!(forwarded(&world, 1).is_empty());
}

#[test]
fn an_initial_last_n_counts_until_the_client_says_something() {
    let mut world = camera_and_client(None);
    repeat_initial_last_n(&mut world, 5);
    let now = world.now;
    let wish = r#"{"colibriClass":"ReceiverVideoConstraints","defaultConstraints":{"maxHeight":180}}"#;
    assert!(world.peers[1].say(now, wish));
    world.run(Duration::from_millis(100));
    assert_eq!(forwarded(&world, 1), ["aaaa0001-v0"]);
}

#[test]
fn an_old_clients_last_n_was_overridden_too() {
    let mut world = camera_and_client(Some(r#"{"colibriClass":"LastNChangedEvent","lastN":0}"#));
    repeat_initial_last_n(&mut world, 5);
    let now = world.now;
    let wish = r#"{"colibriClass":"ReceiverVideoConstraints","defaultConstraints":{"maxHeight":180}}"#;
    assert!(world.peers[1].say(now, wish));
    world.run(Duration::from_millis(100));
    assert!(forwarded(&world, 1).is_empty());
}

#[test]
fn an_endpoint_that_is_there_already_is_a_conflict_without_a_reason() {
    let mut world = World::new();
    world.modify(request(true, vec![new_endpoint("aaaa0001")])).unwrap();
    assert_eq!(
        refused(&mut world, request(false, vec![new_endpoint("aaaa0001")])),
        (Condition::Conflict, None)
    );
}

#[test]
fn one_is_made_or_changed_at_a_time_and_any_number_goes_or_is_muted_beside_it() {
    let mut world = World::new();
    world.modify(request(true, vec![new_endpoint("aaaa0001")])).unwrap();
    for id in ["aaaa0002", "aaaa0003", "aaaa0004"] {
        world.modify(request(false, vec![new_endpoint(id)])).unwrap();
    }
    let muted = |id| Endpoint { force_mute: Some(ForceMute { audio: true, video: true }), ..endpoint(id) };
    let gone = |id| Endpoint { expire: true, ..endpoint(id) };
    let entries = vec![
        gone("aaaa0001"),
        muted("aaaa0002"),
        new_endpoint("aaaa0005"),
        gone("aaaa0003"),
        muted("aaaa0004"),
    ];
    let answer = world.modify(request(false, entries)).unwrap();
    let shape: Vec<_> =
        answer.endpoints.iter().map(|e| (e.id.as_str(), e.expire, e.transport.is_some())).collect();
    assert_eq!(
        shape,
        [
            ("aaaa0001", true, false),
            ("aaaa0002", false, false),
            ("aaaa0005", false, true),
            ("aaaa0003", true, false),
            ("aaaa0004", false, false),
        ]
    );
    assert_eq!(world.shard.load(), (1, 3));
    let media = |id| Endpoint { media: new_endpoint(id).media, ..endpoint(id) };
    assert_eq!(
        refused(&mut world, request(false, vec![media("aaaa0002"), media("aaaa0004")])).0,
        Condition::FeatureNotImplemented
    );
    // As soon as something is made or changed, everybody named has to be there.
    let error = world.modify(request(false, vec![media("aaaa0002"), muted("zzzz0001")])).unwrap_err();
    let detail = Colibri2Error::from_stanza_error(&error).unwrap();
    assert_eq!(
        (detail.reason, detail.endpoint.unwrap().as_str()),
        (ErrorReason::UnknownEndpoint, "zzzz0001")
    );
}

#[test]
fn a_conference_that_is_not_there_is_neither_ended_nor_changed() {
    let mut world = World::new();
    let expire = ConferenceModify { expire: true, ..request(false, vec![]) };
    for modify in [expire, request(false, vec![new_endpoint("aaaa0001")])] {
        assert_eq!(
            refused(&mut world, modify),
            (Condition::ItemNotFound, Some(ErrorReason::ConferenceNotFound))
        );
    }
}

#[test]
fn sources_replace_those_before_and_none_named_changes_nothing() {
    let mut world = World::new();
    world.join_with("aaaa0001", Options::default(), |_, update| {
        update.sources = Some(vec![audio_source("aaaa0001-a0", 1001), audio_source("aaaa0001-a1", 1002)]);
    });
    world.join("aaaa0002", Options::default());
    world.connect();
    let mut seq = 0;
    let mut heard = |world: &mut World| {
        seq += 1;
        world.peers[1].rtp.clear();
        for ssrc in [1001, 1002] {
            world.peers[0].send_rtp(&rtp(ssrc, seq, &[ssrc as u8; 20]));
        }
        world.run(Duration::from_millis(50));
        world.peers[1].rtp.iter().map(|p| p[p.len() - 1]).collect::<Vec<_>>()
    };
    let with = |sources| request(false, vec![Endpoint { sources, ..endpoint("aaaa0001") }]);
    assert_eq!(heard(&mut world), [1001_u32 as u8, 1002_u32 as u8]);
    world.modify(with(Some(vec![audio_source("aaaa0001-a1", 1002)]))).unwrap();
    assert_eq!(heard(&mut world), [1002_u32 as u8]);
    world.modify(with(None)).unwrap();
    assert_eq!(heard(&mut world), [1002_u32 as u8]);
    world.modify(with(Some(vec![]))).unwrap();
    assert!(heard(&mut world).is_empty());
}

#[test]
fn gateways_are_told_private_addresses_also_where_others_are_not() {
    let mut world = World::with(|config| {
        config.addresses = vec![LocalAddress {
            socket: "10.0.0.5:10000".parse().unwrap(),
            public: vec!["203.0.113.9:10000".parse().unwrap()],
            tcp: None,
        }];
        config.advertise_private_candidates = false;
    });
    let mut told = |endpoint: Endpoint| -> Vec<String> {
        let answer = world.modify(request(world.shard.load().0 == 0, vec![endpoint])).unwrap();
        let ice = answer.endpoints[0].transport.as_ref().unwrap().ice.clone().unwrap();
        ice.candidates.iter().map(|c| c.ip.reveal().clone()).collect()
    };
    assert_eq!(told(new_endpoint("aaaa0001")), ["203.0.113.9"]);
    let gateway = changed("aaaa0002", |e| e.capabilities.push("private-address-connectivity".to_owned()));
    assert_eq!(told(gateway), ["10.0.0.5", "203.0.113.9"]);
}
