//! Every bound of what is kept of others: at the limit it is kept, one beyond it is not.

use super::world::{ME, NEW, ROOM, World};
use crate::limits;

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
    for n in 0..=limits::MEMBERS_PER_CONFERENCE {
        assert_eq!(w.stats().participants, n.min(limits::MEMBERS_PER_CONFERENCE));
        w.receive(&presence(ROOM, &format!("gast{n}")));
    }
    assert_eq!(w.stats().participants, limits::MEMBERS_PER_CONFERENCE);
}

#[test]
fn so_many_conferences_and_not_one_more() {
    let mut w = World::new();
    for n in 0..limits::CONFERENCES {
        let room = format!("r{n}@muc.meet.jitsi");
        w.focus.handle_http_request(
            w.now,
            crate::HttpRequestId(n as u64),
            None,
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
