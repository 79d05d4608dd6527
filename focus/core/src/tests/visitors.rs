//! Meetings that are watched.

use std::time::Duration;

use jitsi_xmpp::{Condition, Element, StanzaError, ns};

use super::world::{AUDIENCE, ME, NEW, ROOM, World, camera};
use crate::{Config, VisitorsConfig, limits};

fn watched(change: impl FnOnce(&mut VisitorsConfig)) -> World {
    let mut config = Config::for_domain("meet.jitsi").unwrap();
    let mut visitors = VisitorsConfig::for_domain("v0", "v0.meet.jitsi");
    visitors.max_participants = 2;
    change(&mut visitors);
    config.visitors = Some(visitors);
    let mut w = World::with(config);
    w.add_bridge("jvb1");
    w
}

/// A client asks; `visitor`: only to watch.
fn ask(w: &mut World, visitor: bool) -> Element {
    let wish = if visitor { "<property name='visitor' value='true'/>" } else { "" };
    ask_as(w, &format!("<property name='visitors-version' value='1'/>{wish}"))
}

fn ask_as(w: &mut World, properties: &str) -> Element {
    w.replies.remove("ask");
    w.receive(&format!(
        "<iq type='set' id='ask' from='focus.meet.jitsi/u1@meet.jitsi/r1' to='{ME}'>\
         <conference xmlns='http://jitsi.org/protocol/focus' room='{ROOM}' machine-uid='4f'>{properties}</conference></iq>"
    ));
    w.replies["ask"].first_child().unwrap().clone()
}

fn metadata(w: &mut World, json: &str) {
    w.receive(&format!(
        "<message from='metadata.meet.jitsi' to='{ME}'><json-message xmlns='http://jitsi.org/jitmeet' room='{ROOM}'>\
         {{\"type\":\"room_metadata\",\"metadata\":{json}}}</json-message></message>"
    ));
}

/// What the focus shows in a room.
fn property(w: &World, room: &str, key: &str) -> Option<String> {
    let properties = w.focus_in.get(room)?.child("conference-properties", ns::FOCUS)?;
    let found = properties.children().find(|p| p.attr("key") == Some(key))?;
    found.attr("value").map(str::to_owned)
}

#[test]
fn compat_the_room_of_viewers_is_where_clients_look_for_it() {
    let v = VisitorsConfig::for_domain("v0", "v0.meet.jitsi");
    for (main, meeting, audience) in [
        ("meet.jitsi", "r@muc.meet.jitsi", "r@muc.v0.meet.jitsi"),
        ("meet.jitsi", "r@muc.town.meet.jitsi", "r@muc.town.v0.meet.jitsi"),
        ("town.example", "r@conference.town.example", "r@conference.v0.meet.jitsi"),
    ] {
        assert_eq!(v.room_of(main, &meeting.parse().unwrap()).unwrap().as_str(), audience);
        assert_eq!(v.meeting_of(main, &audience.parse().unwrap()).unwrap().as_str(), meeting);
    }
    assert_eq!(v.meeting_of("meet.jitsi", &"r@muc.meet.jitsi".parse().unwrap()), None);
}

#[test]
fn compat_who_comes_when_enough_meet_is_told_to_watch_and_is_invited_there() {
    let mut w = watched(|_| {});
    let first = ask(&mut w, false);
    assert_eq!((first.attr("ready"), first.attr("vnode")), (Some("true"), None));
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    let third = ask(&mut w, false);
    assert_eq!((third.attr("ready"), third.attr("vnode")), (Some("true"), Some("v0")));
    assert_eq!(third.attr("focusjid"), Some("focus@auth.meet.jitsi"));
    assert!(w.focus_in.contains_key(AUDIENCE));
    let connected = format!(
        "<visitors xmlns=\"jitsi:visitors\" room=\"{ROOM}\"><connect-vnode vnode=\"v0\"/></visitors>"
    );
    assert!(w.sent.iter().any(|s| s.contains(&connected) && s.contains("type=\"get\"")));
    w.receive(&format!(
        "<presence from='{AUDIENCE}/anna0001' to='{ME}'><x xmlns='http://jabber.org/protocol/muc#user'>\
         <item affiliation='owner' role='moderator' jid='anna0001-0@meet.jitsi/r1'/></x></presence>"
    ));
    w.watch("vera0001");
    assert_eq!(w.actions("vera0001"), ["session-initiate"]);
    assert_eq!(w.endpoints("jvb1"), ["anna0001", "ben00002", "vera0001"]);
    let made = w.bridges["jvb1"]
        .requests
        .iter()
        .flat_map(|r| &r.endpoints)
        .find(|e| e.create && e.id.as_str() == "vera0001");
    assert_eq!(made.unwrap().muc_role.as_deref(), Some("visitor"));
    assert_eq!((w.stats().participants, w.stats().visitors, w.stats().conferences_with_visitors), (2, 1, 1));
    assert_eq!(property(&w, ROOM, "visitor-count").as_deref(), Some("1"));
    assert_eq!(property(&w, AUDIENCE, "visitor-count").as_deref(), Some("1"));
    w.leave("anna0001");
    assert_eq!(ask(&mut w, false).attr("vnode"), Some("v0"), "once somebody watches, newcomers do");
    let old = ask_as(&mut w, "");
    assert_eq!((old.attr("ready"), old.attr("vnode")), (Some("true"), None), "a client that cannot comes in");
    w.leave("ben00002");
    assert!(!w.focus_in.contains_key(ROOM), "who watches keeps nothing alive");
    assert!(w.sent.iter().any(|s| s.contains("disconnect-vnode")));
    w.assert_empty();
}

#[test]
fn who_asks_to_watch_does_and_sees_also_one_who_speaks_alone() {
    let mut w = watched(|_| {});
    assert_eq!(ask(&mut w, true).attr("vnode"), Some("v0"));
    w.join("anna0001", NEW);
    assert!(w.actions("anna0001").is_empty());
    w.watch("vera0001");
    assert_eq!(w.actions("anna0001"), ["session-initiate"]);
    assert_eq!(w.actions("vera0001"), ["session-initiate"]);
    assert!(w.is_owner("anna0001") && !w.is_owner("vera0001"));
    w.stop_watching("vera0001");
    assert_eq!(w.endpoints("jvb1"), ["anna0001"]);
    w.seconds(60);
    assert!(w.endpoints("jvb1").is_empty(), "left alone, it needs no bridge");
    w.leave("anna0001");
    w.assert_empty();
}

#[test]
fn compat_nobody_is_sent_to_watch_where_the_meeting_does_not_want_it() {
    for (metadata_is, vnode) in [
        (r#"{"lobbyEnabled":true}"#, None),
        (r#"{"visitorsEnabled":false}"#, None),
        (r#"{"participantsSoftLimit":5}"#, Some("v0")),
    ] {
        let mut w = watched(|_| {});
        ask(&mut w, false);
        metadata(&mut w, metadata_is);
        assert_eq!(ask(&mut w, true).attr("vnode"), vnode, "{metadata_is}");
    }
    let mut w = watched(|_| {});
    ask(&mut w, false);
    metadata(&mut w, r#"{"participantsSoftLimit":1}"#);
    w.join("anna0001", NEW);
    assert_eq!(ask(&mut w, false).attr("vnode"), Some("v0"), "the meeting's own limit counts");
    let mut plain = World::meeting();
    let reply = ask(&mut plain, true);
    assert_eq!(reply.attr("vnode"), None);
    assert!(reply.to_xml().contains("name=\"visitors-supported\" value=\"false\""));
}

#[test]
fn so_many_watch_and_one_more_comes_in() {
    let mut w = watched(|v| v.max_viewers = 2);
    ask(&mut w, false);
    w.join("anna0001", NEW);
    assert_eq!(ask(&mut w, true).attr("vnode"), Some("v0"));
    w.watch("vera0001");
    assert_eq!(ask(&mut w, true).attr("vnode"), Some("v0"), "one place is left");
    assert_eq!(ask(&mut w, true).attr("vnode"), None, "the one who is on its way takes it");
    w.advance(limits::VIEWER_JOIN + Duration::from_millis(1));
    assert_eq!(ask(&mut w, true).attr("vnode"), Some("v0"), "it did not come");
    w.stop_watching("vera0001");
    assert_eq!(ask(&mut w, true).attr("vnode"), Some("v0"), "two may be on the way");
    assert_eq!(ask(&mut w, true).attr("vnode"), None, "and not three");
}

#[test]
fn compat_who_watches_sends_nothing() {
    let mut w = watched(|_| {});
    ask(&mut w, true);
    w.join("anna0001", NEW);
    w.watch("vera0001");
    let refused = w.jingle("vera0001", "source-add", &camera("vera0001", 9000));
    let error = StanzaError::from_stanza(&refused).unwrap();
    assert_eq!(
        (error.condition, error.text.as_deref()),
        (Condition::Forbidden, Some("add-source not allowed for visitors"))
    );
    w.clients.get_mut("vera0001").unwrap().sources = camera("vera0001", 9000);
    w.clients.get_mut("vera0001").unwrap().accepts = false;
    w.restart("vera0001");
    w.advance(Duration::from_secs(6));
    let accept = w.clients["vera0001"].accept();
    w.receive(&accept.to_xml());
    let id = accept.attr("id").unwrap();
    let error = StanzaError::from_stanza(&w.replies[id]).unwrap();
    assert_eq!(error.text.as_deref(), Some("sources not allowed for visitors"));
}

#[test]
fn the_number_of_viewers_is_told_at_intervals() {
    let mut w = watched(|_| {});
    ask(&mut w, true);
    w.join("anna0001", NEW);
    assert_eq!(property(&w, ROOM, "visitor-count"), None);
    for n in 0..5 {
        w.watch(&format!("vera000{n}"));
    }
    assert_eq!(property(&w, ROOM, "visitor-count").as_deref(), Some("1"), "the first at once");
    w.seconds(15);
    assert_eq!(property(&w, ROOM, "visitor-count").as_deref(), Some("5"));
    for n in 0..5 {
        w.stop_watching(&format!("vera000{n}"));
    }
    w.seconds(15);
    assert_eq!(property(&w, ROOM, "visitor-count").as_deref(), Some("0"), "none is a number, too");
    w.leave("anna0001");
    w.assert_empty();
}

#[test]
fn compat_the_codecs_of_all_viewers_are_told_in_the_order_they_like_them() {
    let mut w = watched(|_| {});
    ask(&mut w, true);
    w.join("anna0001", NEW);
    for (nick, codecs) in
        [("vera0001", "av1,vp9,vp8"), ("vera0002", "vp9,vp8,h264,made-up"), ("vera0003", "vp8,vp9")]
    {
        w.watch_with(nick, &format!("<jitsi_participant_codecList>{codecs}</jitsi_participant_codecList>"));
    }
    w.seconds(15);
    assert_eq!(property(&w, ROOM, "visitor-codecs").as_deref(), Some("vp9,vp8"));
    w.stop_watching("vera0002");
    w.stop_watching("vera0003");
    w.seconds(15);
    assert_eq!(property(&w, ROOM, "visitor-codecs").as_deref(), Some("av1,vp9,vp8"));
}

#[test]
fn nobody_keeps_another_out_by_taking_its_name_among_the_viewers() {
    let mut w = watched(|_| {});
    ask(&mut w, true);
    w.join("anna0001", NEW);
    w.watch("ben00002");
    w.join("ben00002", NEW);
    assert!(w.actions("ben00002").contains(&"session-initiate".to_owned()));
    assert_eq!((w.stats().participants, w.stats().visitors), (2, 0));
    w.watch("anna0001");
    assert_eq!((w.stats().participants, w.stats().visitors), (2, 0));
}

#[test]
fn a_room_for_viewers_that_ends_or_cannot_be_joined_costs_the_meeting_nothing() {
    let mut w = watched(|_| {});
    ask(&mut w, true);
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    w.watch("vera0001");
    w.receive(&format!("<presence type='unavailable' from='{AUDIENCE}/focus' to='{ME}'/>"));
    w.focus_in.remove(AUDIENCE);
    assert_eq!(w.endpoints("jvb1"), ["anna0001", "ben00002"]);
    assert_eq!((w.stats().participants, w.stats().visitors), (2, 0));
    w.join_error = Some(StanzaError::new(Condition::ItemNotFound));
    let reply = ask(&mut w, true);
    assert_eq!((reply.attr("ready"), reply.attr("vnode")), (Some("true"), None), "it comes in");
    w.join_error = None;
    assert_eq!(ask(&mut w, true).attr("vnode"), Some("v0"));
    w.leave("anna0001");
    w.leave("ben00002");
    w.assert_empty();
}

#[test]
fn compat_who_asks_to_watch_waits_until_the_meeting_is_shown() {
    let mut w = watched(|v| v.only_live = true);
    ask(&mut w, false);
    let reply = ask(&mut w, true);
    assert_eq!(reply.attr("ready"), Some("false"));
    assert!(reply.to_xml().contains("name=\"live\" value=\"false\""), "{}", reply.to_xml());
    metadata(&mut w, r#"{"visitors":{"live":true}}"#);
    assert_eq!(ask(&mut w, true).attr("vnode"), Some("v0"));
}

#[test]
fn without_a_word_of_the_admin_the_limits_are_these_and_the_last_one_is_ours() {
    let v = VisitorsConfig::for_domain("v0", "v0.meet.jitsi");
    assert_eq!((v.max_participants, v.max_viewers), (limits::MAX_PARTICIPANTS, limits::MAX_VIEWERS));
    assert_eq!(v.interval, limits::VISITOR_COUNT);
    let mut w = watched(|v| v.max_viewers = usize::MAX);
    ask(&mut w, true);
    let presence = |n: usize| {
        format!(
            "<presence from='{AUDIENCE}/v{n}' to='{ME}'><x xmlns='http://jabber.org/protocol/muc#user'>\
             <item affiliation='none' role='visitor' jid='v{n}@v0.meet.jitsi/r'/></x></presence>"
        )
    };
    let before = w.stats().counters.stanzas_ignored;
    for n in 0..=limits::VIEWERS_PER_CONFERENCE {
        w.receive(&presence(n));
    }
    assert_eq!(w.stats().visitors, limits::VIEWERS_PER_CONFERENCE);
    assert_eq!(w.stats().counters.stanzas_ignored, before + 1);
}
