//! Conference requests: who is let in, who waits, what is answered.

use std::time::Duration;

use jitsi_xmpp::{Condition, StanzaError};

use super::world::{ME, MEETING, NEW, ROOM, World};
use crate::{Config, limits};

#[test]
fn the_answer_goes_to_the_proxy_as_it_came_and_only_when_the_room_is_joined() {
    let mut w = World::new();
    let id = w.conference_request(ROOM);
    assert_eq!(
        w.replies[&id].to_xml(),
        format!(
            "<iq xmlns=\"jabber:client\" type=\"result\" id=\"{id}\" from=\"{ME}\" to=\"focus.meet.jitsi/u1@meet.jitsi/r1\">\
             <conference xmlns=\"http://jitsi.org/protocol/focus\" room=\"{ROOM}\" ready=\"true\" focusjid=\"focus@auth.meet.jitsi\">\
             <property name=\"authentication\" value=\"false\"/><property name=\"visitors-supported\" value=\"false\"/></conference></iq>"
        )
    );
    let order: Vec<usize> =
        ["xmlns=\"http://jabber.org/protocol/muc\"", "muc#roomconfig_whois", "ready=\"true\""]
            .iter()
            .map(|t| w.sent.iter().position(|s| s.contains(t) && !s.contains("jvbbrewery")).unwrap())
            .collect();
    assert!(order.is_sorted(), "{order:?}");
}

#[test]
fn everybody_who_asks_during_the_join_is_answered_after_it() {
    let mut w = World::new();
    w.form_fields.push(("muc#roominfo_conference_presets_service_enabled", "1".into()));
    let first = w.conference_request(ROOM);
    let second = w.conference_request(ROOM);
    assert!(w.replies.is_empty(), "presets are waited for");
    w.receive(&format!(
        "<message from='metadata.meet.jitsi' to='{ME}'><json-message xmlns='http://jitsi.org/jitmeet' room='{ROOM}'>\
         {{\"type\":\"room_metadata\",\"metadata\":{{}}}}</json-message></message>"
    ));
    for id in [first, second] {
        assert!(w.replies[&id].to_xml().contains("ready=\"true\""));
    }
}

#[test]
fn presets_that_never_come_are_waited_for_ten_seconds() {
    let mut w = World::new();
    w.form_fields.push(("muc#roominfo_conference_presets_service_enabled", "true".into()));
    let id = w.conference_request(ROOM);
    w.advance(limits::METADATA - Duration::from_millis(10));
    assert!(!w.replies.contains_key(&id));
    w.advance(Duration::from_millis(20));
    assert!(w.replies[&id].to_xml().contains("ready=\"true\""));
}

#[test]
fn http_and_iq_meet_in_the_same_place() {
    let mut w = World::new();
    w.http_request(1, &format!("{{\"room\":\"{ROOM}\",\"machineUid\":\"4f\",\"properties\":{{\"visitors-version\":1,\"rtcstatsEnabled\":false}}}}"));
    let reply = &w.http[&1];
    assert_eq!((reply.status, reply.content_type), (200, "application/json"));
    let json: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(json["ready"], true);
    assert_eq!(json["focusJid"], "focus@auth.meet.jitsi");
    assert_eq!(json["properties"]["authentication"], "false");
    for (id, body) in [(2, "nonsense"), (3, "{}"), (4, "{\"room\":\"no room\"}")] {
        w.http_request(id, body);
        assert_eq!(w.http[&id].status, 400);
        assert!(w.http[&id].body.starts_with("Bad request: "), "{}", w.http[&id].body);
    }
}

#[test]
fn while_new_conferences_are_put_off_those_that_run_take_people() {
    let mut w = World::meeting();
    w.focus.set_draining(true);
    let other = "schule@muc.meet.jitsi";
    // Breakout rooms belong to meetings that run.
    for (room, ready) in [(ROOM, "true"), (other, "false"), ("b1@breakout.meet.jitsi", "true")] {
        let id = w.conference_request(room);
        assert!(w.replies[&id].to_xml().contains(&format!("ready=\"{ready}\"")), "{room}");
    }
    w.http_request(1, &format!("{{\"room\":\"{other}\"}}"));
    assert!(w.http[&1].body.contains("\"ready\":false"));
    assert!(w.focus.stats().draining && w.focus.stats().conferences == 2);
    w.focus.set_draining(false);
    let id = w.conference_request(other);
    assert!(w.replies[&id].to_xml().contains("ready=\"true\""));
}

#[test]
fn without_a_link_an_http_client_is_told_to_ask_again() {
    let mut w = World::new();
    w.focus.handle_link_down(w.now);
    w.http_request(1, &format!("{{\"room\":\"{ROOM}\"}}"));
    assert_eq!(w.http[&1].status, 200);
    assert!(w.http[&1].body.contains("\"ready\":false"));
}

#[test]
fn a_room_that_refuses_the_focus_is_told_to_the_client_a_passing_failure_is_not_ready() {
    let mut w = World::new();
    w.join_error = Some(StanzaError::new(Condition::NotAllowed).with_text("Room creation is restricted"));
    let id = w.conference_request(ROOM);
    assert!(w.replies[&id].to_xml().contains("<not-allowed"), "{}", w.replies[&id].to_xml());
    assert!(w.replies[&id].to_xml().contains("Room creation is restricted"));
    w.join_error = Some(StanzaError::new(Condition::Conflict));
    let id = w.conference_request(ROOM);
    assert!(w.replies[&id].to_xml().contains("ready=\"false\""));
    w.join_error = None;
    w.deaf = true;
    let id = w.conference_request(ROOM);
    w.advance(Duration::from_secs(14));
    assert!(!w.replies.contains_key(&id));
    w.advance(Duration::from_secs(2));
    assert!(w.replies[&id].to_xml().contains("ready=\"false\""));
    w.assert_empty();
}

#[test]
fn rooms_elsewhere_and_rooms_of_the_self_test_are_not_for_clients() {
    let mut w = World::new();
    for room in ["x@evil.example", "__jicofo-health-check-1@muc.meet.jitsi"] {
        let id = w.conference_request(room);
        assert_eq!(w.replies[&id].attr("type"), Some("error"), "{room}");
    }
    // The rooms of a tenant are ours.
    for room in ["b1@breakout.meet.jitsi", "rathaus@muc.stadt-a.meet.jitsi"] {
        let id = w.conference_request(room);
        assert!(w.replies[&id].to_xml().contains("ready=\"true\""), "{room}");
    }
    let id = w.conference_request("rathaus@muc.a.b.meet.jitsi");
    assert_eq!(w.replies[&id].attr("type"), Some("error"));
    let id = w.conference_request("b2@breakout.meet.jitsi");
    assert!(w.replies[&id].to_xml().contains("ready=\"true\""));
    w.receive(&format!("<iq type='set' id='n' from='a@b/c' to='{ME}'><conference xmlns='http://jitsi.org/protocol/focus'/></iq>"));
    assert!(w.replies["n"].to_xml().contains("<bad-request"));
    assert!(w.replies["n"].to_xml().contains("No 'room' specified."));
}

/// `[town]room@muc.meet.jitsi` was another room for the focus: it joined the meeting again, gave up and ended it.
#[test]
fn the_stored_spelling_of_a_tenants_room_is_refused_and_its_meeting_goes_on() {
    let mut w = World::new();
    let id = w.conference_request("room@muc.town.meet.jitsi");
    assert!(w.replies[&id].to_xml().contains("ready=\"true\""));
    let sent = w.sent.len();
    for (n, room) in [
        "[town]room@muc.meet.jitsi",
        "[town]ROOM@muc.meet.jitsi",
        "[]x@muc.meet.jitsi",
        "[a]b@breakout.meet.jitsi",
    ]
    .into_iter()
    .enumerate()
    {
        let n = n as u64 + 1;
        w.http_request(n, &format!("{{\"room\":\"{room}\"}}"));
        assert_eq!(w.http[&n].status, 400, "{room}");
        let id = w.conference_request(room);
        assert_eq!(w.replies[&id].attr("type"), Some("error"), "{room}");
    }
    w.advance(Duration::from_secs(5));
    assert!(w.sent[sent..].iter().all(|s| !s.contains("<presence")), "{:?}", &w.sent[sent..]);
}

#[test]
fn ten_requests_at_once_are_served_the_eleventh_waits_for_its_second() {
    let mut w = World::new();
    for i in 0..limits::REQUESTS_PER_ACCOUNT.burst() {
        let id = w.conference_request(&format!("r{}@muc.meet.jitsi", i % 5));
        assert!(w.replies[&id].to_xml().contains("ready=\"true\""), "request {i}");
    }
    let id = w.conference_request(ROOM);
    assert!(w.replies[&id].to_xml().contains("ready=\"false\""));
    w.advance(Duration::from_secs(1));
    let id = w.conference_request(ROOM);
    assert!(w.replies[&id].to_xml().contains("ready=\"true\""));
}

#[test]
fn a_room_nobody_joins_is_left_after_fifteen_seconds() {
    let mut w = World::new();
    w.conference_request(ROOM);
    w.advance(Duration::from_secs(10));
    w.conference_request(ROOM);
    w.advance(Duration::from_secs(14));
    assert_eq!(w.stats().conferences, 1, "each request starts the time anew");
    w.advance(Duration::from_secs(2));
    w.assert_empty();
}

#[test]
fn a_main_room_lives_as_long_as_its_breakout_room() {
    let mut w = World::new();
    w.conference_request(ROOM);
    w.form_fields = vec![
        ("muc#roominfo_meetingId", format!("{MEETING}-b")),
        ("muc#roominfo_isbreakout", "true".into()),
        ("muc#roominfo_breakout_main_room", ROOM.into()),
    ];
    w.conference_request("b1@breakout.meet.jitsi");
    w.receive(&format!(
        "<presence from='b1@breakout.meet.jitsi/anna0001' to='{ME}'><x xmlns='http://jabber.org/protocol/muc#user'>\
         <item affiliation='none' role='participant' jid='a@meet.jitsi/r'/></x></presence>"
    ));
    w.seconds(30);
    assert_eq!(w.stats().conferences, 2);
    w.receive(&format!("<presence type='unavailable' from='b1@breakout.meet.jitsi/anna0001' to='{ME}'/>"));
    assert_eq!(w.stats().conferences, 0);
}

#[test]
fn other_requests_get_an_answer_too() {
    let mut w = World::new();
    let ask = |w: &mut World, kind: &str, payload: &str| {
        w.receive(&format!("<iq type='{kind}' id='q' from='meet.jitsi' to='{ME}'>{payload}</iq>"));
        w.replies.remove("q").unwrap().to_xml()
    };
    assert!(
        ask(&mut w, "get", "<query xmlns='http://jabber.org/protocol/disco#info'/>")
            .contains("terminate-restart")
    );
    assert!(ask(&mut w, "get", "<ping xmlns='urn:xmpp:ping'/>").contains("result"));
    assert!(ask(&mut w, "get", "<query xmlns='jabber:iq:version'/>").contains("<version>"));
    assert!(ask(&mut w, "get", "<what xmlns='x:y'/>").contains("<feature-not-implemented"));
    assert!(
        ask(&mut w, "set", "<jibri xmlns='http://jitsi.org/protocol/jibri' action='start'/>")
            .contains("<item-not-found")
    );
    assert!(ask(&mut w, "set", "").contains("<bad-request"));
    assert!(
        ask(&mut w, "set", "<jingle xmlns='urn:xmpp:jingle:1' action='session-info' sid='1'/>")
            .contains("<item-not-found")
    );
}

#[test]
fn only_the_proxy_may_subscribe_and_is_subscribed_to() {
    let mut w = World::new();
    w.sent.clear();
    w.receive(&format!("<presence type='subscribe' from='focus.meet.jitsi' to='{ME}'/>"));
    assert!(w.sent[0].contains("type=\"subscribed\"") && w.sent[1].contains("type=\"subscribe\""));
    w.sent.clear();
    w.receive(&format!("<presence type='subscribe' from='evil@meet.jitsi' to='{ME}'/>"));
    assert!(w.sent.len() == 1 && w.sent[0].contains("type=\"unsubscribed\""));
}

#[test]
fn audio_senders_beyond_the_limit_cannot_unmute_and_the_room_is_told() {
    let config = Config { max_audio_senders: 1, ..Config::for_domain("meet.jitsi").unwrap() };
    let mut w = World::with(config);
    w.add_bridge("jvb1");
    w.conference_request(ROOM);
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    assert!(!w.focus_in[ROOM].to_xml().contains("audio-limit-reached"));
    let add = "<content name='audio'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'>\
        <source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='77' name='ben00002-a1'/></description></content>";
    w.presence("anna0001", "<SourceInfo>{\"anna0001-a0\":{\"muted\":false}}</SourceInfo>");
    assert!(w.focus_in[ROOM].to_xml().contains("<property key=\"audio-limit-reached\" value=\"true\"/>"));
    let reply = w.jingle("ben00002", "source-add", add).to_xml();
    assert!(
        reply.contains("<resource-constraint") && reply.contains("Sender count exceeded for: audio"),
        "{reply}"
    );
    w.presence("anna0001", "<SourceInfo>{\"anna0001-a0\":{\"muted\":true}}</SourceInfo>");
    assert!(w.focus_in[ROOM].to_xml().contains("<property key=\"audio-limit-reached\" value=\"false\"/>"));
    assert_eq!(w.jingle("ben00002", "source-add", add).attr("type"), Some("result"));
}
