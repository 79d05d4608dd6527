//! Every bound of what is kept of others: at the limit it is kept, one beyond it is not.

use std::time::Duration;

use jitsi_xmpp::FullJid;
use jitsi_xmpp::ids::{EndpointId, MediaType, MeetingId, Ssrc};

use super::world::{ME, NEW, ROOM, World};
use crate::limits;
use crate::sources::{Semantics, Source, SourceError, SourceGroup, SourceMap, SourceSet, check_add};

fn presence(room: &str, nick: &str) -> String {
    format!(
        "<presence from='{room}/{nick}' to='{ME}'><x xmlns='http://jabber.org/protocol/muc#user'>\
         <item affiliation='none' role='participant' jid='{nick}-0@meet.jitsi/r'/></x></presence>"
    )
}

#[test]
fn a_room_has_so_many_members_and_not_one_more() {
    let mut w = World::new();
    w.conference_request(ROOM);
    let members = |w: &World| w.focus.rooms.values().map(|c| c.members.len()).sum::<usize>();
    for n in 0..=limits::MEMBERS_PER_CONFERENCE {
        assert_eq!(members(&w), n.min(limits::MEMBERS_PER_CONFERENCE));
        w.receive(&presence(ROOM, &format!("gast{n}")));
    }
    assert_eq!(members(&w), limits::MEMBERS_PER_CONFERENCE);
}

#[test]
fn so_many_conferences_and_not_one_more() {
    let mut w = World::new();
    for n in 0..limits::CONFERENCES {
        let room = format!("r{n}@muc.meet.jitsi");
        w.focus.handle_http_request(
            w.now,
            crate::HttpRequestId(n as u64),
            budget::Network::of(std::net::Ipv4Addr::from_bits(n as u32).into()),
            format!("{{\"room\":\"{room}\"}}").as_bytes(),
        );
        w.pump();
        w.receive(&presence(&room, "a"));
        w.receive(&presence(&room, "b"));
        w.sent.clear();
    }
    assert_eq!(w.stats().conferences, limits::CONFERENCES);
    let id = w.conference_request(ROOM);
    assert!(w.replies[&id].to_xml().contains("ready=\"false\""));
    for nick in ["a", "b"] {
        w.receive(&format!("<presence type='unavailable' from='r0@muc.meet.jitsi/{nick}' to='{ME}'/>"));
    }
    let id = w.conference_request(ROOM);
    assert!(w.replies[&id].to_xml().contains("ready=\"true\""));
}

#[test]
fn so_many_requests_wait_for_one_room_and_the_next_is_told_to_ask_again() {
    let mut w = World::new();
    w.deaf = true;
    let most = limits::WAITING_REQUESTS as u64;
    for n in 0..=most {
        w.http_request_from(&format!("2001:db8:{n:x}::1"), n, &format!("{{\"room\":\"{ROOM}\"}}"));
    }
    assert_eq!(w.http.len(), 1);
    assert!(w.http[&most].body.contains("\"ready\":false"));
}

#[test]
fn so_many_candidates_of_a_client_reach_the_bridge() {
    let mut w = World::meeting();
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    for n in [limits::CANDIDATES, limits::CANDIDATES + 1] {
        w.forget();
        let candidates: String = (0..n)
            .map(|n| {
                format!(
                    "<candidate component='1' foundation='{n}' generation='0' id='c{n}' ip='192.0.2.9' network='0' \
                     port='{}' priority='1' protocol='udp' type='host'/>",
                    1024 + n
                )
            })
            .collect();
        let info = format!(
            "<content name='audio'><transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'>{candidates}</transport></content>"
        );
        assert_eq!(w.jingle("anna0001", "transport-info", &info).attr("type"), Some("result"));
        let told = w.bridges["jvb1"].requests.last().unwrap().to_element().to_xml();
        assert_eq!(told.matches("<candidate ").count(), limits::CANDIDATES);
    }
}

#[test]
fn texts_of_a_presence_are_read_up_to_their_limit() {
    for (len, read) in [(limits::TEXT, true), (limits::TEXT + 1, false)] {
        let mut w = World::meeting();
        w.join("anna0001", NEW);
        let id = "x".repeat(len);
        w.join("ben00002", NEW);
        w.presence("ben00002", &format!("<jitsi_participant_region>{id}</jitsi_participant_region>"));
        w.receive(&format!(
            "<presence from='{ROOM}/cem00003' to='{ME}'><stats-id>{id}</stats-id>\
             <x xmlns='http://jabber.org/protocol/muc#user'>\
             <item affiliation='none' role='participant' jid='c@meet.jitsi/r'/></x></presence>"
        ));
        // It answers no question about features; then it is invited all the same.
        w.advance(limits::IQ_TIMEOUT);
        let told = w.bridges["jvb1"].requests.iter().map(|r| r.to_element().to_xml());
        assert_eq!(told.filter(|r| r.contains(&id)).count() > 0, read, "{len} bytes");
    }
}

fn set(sources: usize, groups: &[(Semantics, &[u32])]) -> SourceSet {
    let media = MediaType::Video;
    let source = |n: usize| Source {
        ssrc: Ssrc(n as u32),
        media,
        name: None,
        msid: Some("m".into()),
        video_type: None,
    };
    let group = |(semantics, ssrcs): &(Semantics, &[u32])| SourceGroup {
        semantics: *semantics,
        media,
        ssrcs: ssrcs.iter().map(|s| Ssrc(*s)).collect(),
    };
    SourceSet { sources: (1..=sources).map(source).collect(), groups: groups.iter().map(group).collect() }
}

#[test]
fn a_participant_has_so_many_groups_and_ssrcs_and_not_one_more() {
    let owner = EndpointId::new("anna0001");
    let check = |set: &SourceSet| check_add(&SourceMap::default(), &owner, set, |_| None).map(drop);
    let all: Vec<u32> = (1..=limits::SSRCS_PER_PARTICIPANT as u32).collect();
    let pairs: Vec<[u32; 2]> = all.iter().skip(1).map(|n| [1, *n]).collect();
    let mut groups: Vec<(Semantics, &[u32])> = vec![(Semantics::Sim, &all)];
    groups.extend(pairs.iter().map(|p| (Semantics::Sim, &p[..])));
    assert_eq!(groups.len(), limits::GROUPS_PER_PARTICIPANT);
    assert_eq!(check(&set(limits::SSRCS_PER_PARTICIPANT, &groups)), Ok(()));
    groups.push((Semantics::Sim, &all[..3]));
    assert_eq!(
        check(&set(limits::SSRCS_PER_PARTICIPANT, &groups)),
        Err(SourceError::TooManyGroups(limits::GROUPS_PER_PARTICIPANT))
    );
    assert_eq!(
        check(&set(limits::SSRCS_PER_PARTICIPANT + 1, &groups[..1])),
        Err(SourceError::TooManySsrcs(limits::SSRCS_PER_PARTICIPANT))
    );
}

#[test]
fn so_many_meetings_left_on_bridges_are_remembered_and_not_one_more() {
    let mut w = World::meeting();
    let bridge: FullJid = "jvbbrewery@internal-muc.meet.jitsi/jvb9".parse().unwrap();
    let mut turn = w.focus.engine.turn(w.now).unwrap();
    for n in 0..=limits::ORPHANS {
        assert_eq!(turn.orphans.len(), n.min(limits::ORPHANS));
        turn.orphan(bridge.clone(), MeetingId::new(format!("m{n}")));
    }
    assert_eq!(turn.orphans.len(), limits::ORPHANS);
}

#[test]
fn a_conference_that_nobody_joins_ends_at_the_deadline_and_not_before() {
    let mut w = World::meeting();
    w.advance(limits::CONFERENCE_START - Duration::from_millis(10));
    assert_eq!(w.stats().conferences, 1);
    w.advance(Duration::from_millis(20));
    assert_eq!(w.stats().conferences, 0);
}

#[test]
fn who_is_left_alone_has_its_session_up_to_the_deadline() {
    let mut w = World::meeting();
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    w.leave("ben00002");
    w.forget();
    w.advance(limits::SINGLE_PARTICIPANT - Duration::from_millis(10));
    assert!(w.actions("anna0001").is_empty());
    w.advance(Duration::from_millis(20));
    assert_eq!(w.actions("anna0001"), ["session-terminate"]);
}
