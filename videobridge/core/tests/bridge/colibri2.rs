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
use videobridge_core::{Command, limits};

use crate::world::{World, audio_source, endpoint, new_endpoint, request};

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
