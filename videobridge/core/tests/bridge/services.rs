//! Services outside that hear a conference: who gets which audio, what can be changed about them, and when they are let go.

use std::time::Duration;

use jitsi_xmpp::colibri2::{ConferenceModify, Connect};
use jitsi_xmpp::ids::SourceName;
use jitsi_xmpp::jingle::{Parameter, PayloadType};
use jitsi_xmpp::{Condition, Sensitive};
use peer::Options;
use serde_json::json;
use videobridge_core::{Command, Event, ExportKey, ExportedAudio, limits};

use crate::world::{World, audio_source, endpoint, new_endpoint, request, rtp};

/// Two who speak; nobody outside hears it yet.
fn two() -> World {
    let mut world = World::new();
    for (id, ssrc) in [("aaaa0001", 1001), ("aaaa0002", 1002)] {
        world.join_with(id, Options::default(), |create, update| {
            create.diarize = ssrc == 1002;
            let mut red = PayloadType::new(112, "red", 48_000, 2);
            red.parameters = vec![Parameter { name: None, value: "111/111".to_owned() }];
            create.media[0].payload_types.push(red);
            create.media[0].payload_types.push(PayloadType::new(126, "telephone-event", 8_000, 1));
            update.sources = Some(vec![audio_source(&format!("{id}-a0"), ssrc)]);
        });
    }
    world.connect();
    world
}

fn wants(connects: Vec<Connect>) -> ConferenceModify {
    ConferenceModify { connects: Some(connects), ..request(false, vec![]) }
}

fn named(id: &str, url: &str) -> Connect {
    Connect { id: Some(id.to_owned()), create: true, ..Connect::new(url) }
}

/// What happened with services since the last time: their numbers by what became of them.
#[derive(Debug, Default, PartialEq)]
struct News {
    wanted: Vec<(ExportKey, String)>,
    changed: Vec<ExportKey>,
    let_go: Vec<ExportKey>,
    heard: Vec<(ExportKey, ExportedAudio)>,
}

fn news(world: &mut World) -> News {
    let mut news = News::default();
    for event in world.events.drain(..) {
        match event {
            Event::ServiceWanted { service, connect } => {
                news.wanted.push((service, connect.url.into_inner()))
            }
            Event::ServiceSources { service, .. } => news.changed.push(service),
            Event::ServiceLetGo { service } => news.let_go.push(service),
            Event::ServiceAudio { service, audio } => news.heard.push((service, *audio)),
            _ => {}
        }
    }
    news
}

fn say(world: &mut World, peer: usize, ssrc: u32, seq: u16, pt: u8, payload: &[u8]) {
    let mut packet = rtp(ssrc, seq, payload);
    packet[1] = pt;
    world.peers[peer].send_rtp(&packet);
    world.run(Duration::from_millis(20));
}

#[test]
fn a_service_gets_the_opus_of_all_or_of_the_sources_it_is_to_have() {
    let mut world = two();
    say(&mut world, 0, 1001, 1, 111, b"nobody");
    world.modify(wants(vec![named("t1", "ws://scribe.ex/")])).unwrap();
    let service = news(&mut world).wanted[0].0;
    say(&mut world, 0, 1001, 2, 111, b"one");
    say(&mut world, 1, 1002, 1, 112, &[0x80 | 111, 0x0f, 0x00, 1, 111, b'o', b't', b'w', b'o']);
    say(&mut world, 1, 1002, 2, 126, b"beep");
    let heard = news(&mut world).heard;
    let told: Vec<_> = heard
        .iter()
        .map(|(s, a)| (*s, a.owner.as_str(), a.source.as_str(), a.sequence, a.diarize, &a.payload[..]))
        .collect();
    assert_eq!(
        told,
        [
            (service, "aaaa0001", "aaaa0001-a0", 2, false, &b"one"[..]),
            (service, "aaaa0002", "aaaa0002-a0", 1, true, &b"two"[..]),
        ]
    );
    assert_eq!(
        world.peers[0].rtp.len(),
        2,
        "people hear the same as without, the redundant packet and the tone"
    );

    let mut only = named("t1", "ws://scribe.ex/");
    only.exports = vec![SourceName::new("aaaa0002-a0")];
    world.modify(wants(vec![only])).unwrap();
    assert_eq!(news(&mut world).changed, [service]);
    say(&mut world, 0, 1001, 3, 111, b"one");
    say(&mut world, 1, 1002, 3, 111, b"two");
    let sources: Vec<_> = news(&mut world).heard.into_iter().map(|(_, a)| a.sequence).collect();
    assert_eq!(sources, [3]);
}

#[test]
fn who_is_muted_by_force_is_not_heard_outside_either() {
    let mut world = two();
    world.modify(wants(vec![named("t1", "ws://scribe.ex/")])).unwrap();
    let mut mute = endpoint("aaaa0001");
    mute.force_mute = Some(jitsi_xmpp::colibri2::ForceMute { audio: true, video: false });
    world.modify(request(false, vec![mute])).unwrap();
    say(&mut world, 0, 1001, 1, 111, b"one");
    assert_eq!(news(&mut world).heard, []);
}

#[test]
fn a_list_without_names_is_all_there_are_to_be_and_one_with_names_what_changes() {
    let mut world = two();
    let urls = |world: &mut World| news(world).wanted.into_iter().map(|(_, url)| url).collect::<Vec<_>>();
    world.modify(wants(vec![Connect::new("ws://a/"), Connect::new("ws://b/")])).unwrap();
    assert_eq!(urls(&mut world), ["ws://a/", "ws://b/"]);
    world.modify(wants(vec![Connect::new("ws://b/"), Connect::new("ws://c/")])).unwrap();
    let changed = news(&mut world);
    assert_eq!((changed.wanted.len(), changed.let_go.len()), (1, 1), "one stays as it is");
    world.modify(request(false, vec![endpoint("aaaa0001")])).unwrap();
    assert_eq!(news(&mut world), News::default(), "nothing about them");
    world.modify(wants(vec![])).unwrap();
    assert_eq!(news(&mut world).let_go.len(), 2, "none any more");

    world.modify(wants(vec![named("t1", "ws://a/")])).unwrap();
    world.modify(wants(vec![named("t2", "ws://b/")])).unwrap();
    let both = news(&mut world);
    assert_eq!((both.wanted.len(), both.let_go.len()), (2, 0));
    let gone = Connect { expire: true, create: false, ..named("t1", "") };
    world.modify(wants(vec![gone.clone()])).unwrap();
    assert_eq!(news(&mut world).let_go, [both.wanted[0].0]);
    world.modify(wants(vec![gone])).expect("one that is not there is gone");
}

#[test]
fn what_a_running_service_cannot_become_is_refused_and_it_goes_on() {
    let mut world = two();
    world.modify(wants(vec![named("t1", "ws://a/")])).unwrap();
    news(&mut world);
    let changed = |change: fn(&mut Connect)| {
        let mut connect = named("t1", "ws://a/");
        change(&mut connect);
        connect
    };
    for wrong in [
        changed(|c| c.url = Sensitive::new("ws://b/".to_owned())),
        changed(|c| c.audio = false),
        changed(|c| c.headers = vec![("X".to_owned(), Sensitive::new("y".to_owned()))]),
        changed(|c| c.video = true),
    ] {
        let error = world.modify(wants(vec![wrong])).unwrap_err();
        assert_eq!(error.condition, Condition::FeatureNotImplemented);
    }
    // Nothing of a request that is refused is done.
    let both = vec![named("t2", "ws://b/"), Connect { video: true, ..named("t3", "ws://c/") }];
    world.modify(wants(both)).unwrap_err();
    assert_eq!(news(&mut world), News::default());
}

#[test]
fn services_have_limits_and_go_with_their_conference() {
    let mut world = two();
    let some = |n: usize| (0..n).map(|n| Connect::new(&format!("ws://{n}/"))).collect::<Vec<_>>();
    world.modify(wants(some(limits::MAX_SERVICES_PER_CONFERENCE))).unwrap();
    let more = world.modify(wants(some(limits::MAX_SERVICES_PER_CONFERENCE + 1))).unwrap_err();
    assert_eq!(more.condition, Condition::ResourceConstraint);
    let per = limits::MAX_SERVICES_PER_CONFERENCE;
    let of = |meeting: usize, connects| ConferenceModify {
        meeting_id: jitsi_xmpp::ids::MeetingId::new(format!("other{meeting}")),
        connects: Some(connects),
        ..request(true, vec![new_endpoint("bbbb0001")])
    };
    for meeting in 1..limits::MAX_SERVICES / per {
        world.modify(of(meeting, some(per))).unwrap();
    }
    assert_eq!(world.modify(of(9999, some(1))).unwrap_err().condition, Condition::ResourceConstraint);
    assert!(world.shard.load().0 == limits::MAX_SERVICES / per, "and nothing of it is left");
    news(&mut world);
    world.command(Command::Shutdown);
    assert_eq!(news(&mut world).let_go.len(), limits::MAX_SERVICES);
    assert!(world.shard.is_empty());
}

#[test]
fn compat_what_a_service_writes_is_told_to_everybody_as_the_transcriber_s() {
    let mut world = two();
    world.modify(wants(vec![named("t1", "ws://scribe.ex/")])).unwrap();
    let service = news(&mut world).wanted[0].0;
    let said = json!({ "event": "transcription-result", "transcript": [{ "text": "Guten Tag" }] });
    let result = said.as_object().unwrap().clone();
    world.command(Command::Transcription { service, result: result.clone() });
    world.run(Duration::from_millis(100));
    for peer in &world.peers {
        let texts = peer.texts.iter().filter_map(|t| serde_json::from_str::<serde_json::Value>(t).ok());
        let told: Vec<_> = texts.filter(|m| m["colibriClass"] == "EndpointMessage").collect();
        assert_eq!(told.len(), 1);
        assert_eq!((&told[0]["from"], &told[0]["msgPayload"]), (&json!("transcriber"), &said));
    }
    let nobody = ExportKey(service.0 + 1);
    world.command(Command::Transcription { service: nobody, result });
    world.run(Duration::from_millis(100));
    assert!(world.peers.iter().all(|p| p.texts.iter().filter(|t| t.contains("Guten Tag")).count() == 1));
}
