//! Breakout rooms: moderators open them, people of the meeting go to and fro, and all end with the meeting.

use std::time::Duration;

use jitsi_xmpp::{Sensitive, ns};
use prosody_core::limits::breakouts;
use prosody_core::{Config, SessionQuery};
use serde_json::{Value, json};

use crate::rig::{Client, ROOM, Rig, between, parse};

const DOMAIN: &str = "breakout.meet.jitsi";

fn command(rig: &mut Rig, who: &Client, attrs: &str) -> Vec<String> {
    rig.ask(who, &format!(r#"<message to="{DOMAIN}" id="c"><breakout_rooms {attrs}/></message>"#))
}

fn add(rig: &mut Rig, who: &Client, name: &str) -> Vec<String> {
    command(rig, who, &format!(r#"type="features/breakout-rooms/add" subject="{name}""#))
}

fn enter(rig: &mut Rig, who: &Client, room: &str) -> Vec<String> {
    rig.ask(who, &format!(r#"<presence to="{room}/{}" id="j"><x xmlns="http://jabber.org/protocol/muc"/><nick xmlns="http://jabber.org/protocol/nick">{}</nick></presence>"#, who.nick, who.nick))
}

fn switch(rig: &mut Rig, who: &Client, from: &str) {
    rig.send(
        who,
        &format!(
            r#"<presence to="{from}/{}" type="unavailable"><status>switch_room</status></presence>"#,
            who.nick
        ),
    );
}

/// The last list that somebody was given.
fn list(frames: &[String]) -> Option<Value> {
    let all = frames.iter().filter(|f| f.contains("features/breakout-rooms/update")).map(|f| parse(f));
    let json = |e: jitsi_xmpp::Element| {
        assert_eq!((e.attr("from"), e.attr("type"), e.attr("id")), (Some(DOMAIN), None, None));
        serde_json::from_str(&e.child("json-message", ns::JITMEET).unwrap().text()).unwrap()
    };
    all.map(json).next_back()
}

fn refused(frames: &[String], condition: &str) -> bool {
    frames.len() == 1
        && frames[0].contains(r#"type="error""#)
        && frames[0].contains(&format!("<{condition} "))
}

fn in_it(frames: &[String]) -> bool {
    frames.iter().any(|f| f.contains(r#"code="110""#) && !f.contains("unavailable"))
}

/// A meeting of a moderator and another, with one breakout room: focus, both, the room.
fn with_breakout(rig: &mut Rig) -> (Client, Client, Client, String) {
    let (focus, clients) = rig.meeting(2);
    let (anna, ben) = (clients[0].clone(), clients[1].clone());
    rig.grant(&focus, &anna);
    let room = open(rig, &anna, "Group 1");
    for c in [&focus, &anna, &ben] {
        rig.take(c);
    }
    (focus, anna, ben, room)
}

/// Upstream's newest: whoever is in a breakout room wants to hear people there.
#[test]
fn compat_people_are_heard_in_another_language_in_a_breakout_room() {
    let mut rig = Rig::with(|c| {
        c.hosts.components.push(prosody_core::ComponentHost {
            domain: "audiotranslation.meet.jitsi".into(),
            module: "audio_translation_component".into(),
            rooms: "muc.meet.jitsi".into(),
        });
    });
    let (focus, anna, ben, room) = with_breakout(&mut rig);
    assert!(in_it(&enter(&mut rig, &focus, &room)));
    for who in [&anna, &ben] {
        switch(&mut rig, who, ROOM);
        assert!(in_it(&enter(&mut rig, who, &room)));
    }
    rig.take(&focus);
    rig.take(&anna);
    let wish = format!(
        r#"<message to="audiotranslation.meet.jitsi" id="w"><audio-translation xmlns="http://jitsi.org/jitmeet">{{"{}":"de"}}</audio-translation></message>"#,
        anna.nick
    );
    assert!(rig.ask(&ben, &wish).is_empty());
    rig.advance(Duration::from_secs(1));
    let told = rig.take(&focus).concat();
    let there = format!(r#"room="{room}""#);
    assert!(told.contains("audioTranslationRequests") && told.contains(&there), "{told}");
    let listeners = rig.take(&anna).concat();
    assert!(listeners.contains("<translation-listeners ") && listeners.contains(&ben.nick), "{listeners}");
    end(rig, &[&focus, &anna, &ben]);
}

/// Everybody says goodbye; a meeting that had breakout rooms waits a little.
fn end(mut rig: Rig, clients: &[&Client]) {
    for c in clients {
        rig.raw(c.conn, br#"<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>"#);
    }
    rig.advance(breakouts::DESERTED);
    rig.assert_empty();
}

fn open(rig: &mut Rig, who: &Client, name: &str) -> String {
    assert!(add(rig, who, name).is_empty());
    rig.advance(breakouts::SHORTEST);
    let list = list(&rig.take(who)).unwrap();
    let rooms = list["rooms"].as_object().unwrap();
    rooms.values().find(|r| r["name"] == name).unwrap()["jid"].as_str().unwrap().to_owned()
}

#[test]
fn compat_moderators_alone_open_breakout_rooms() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(2);
    let (anna, ben, clara) = (clients[0].clone(), clients[1].clone(), rig.client());
    rig.grant(&focus, &anna);
    for c in [&focus, &anna, &ben] {
        rig.take(c);
    }
    for (who, why) in [(&ben, "no moderator"), (&clara, "not in it")] {
        assert!(refused(&add(&mut rig, who, "Group 1"), "service-unavailable"), "{why}");
    }
    assert!(refused(
        &command(&mut rig, &anna, r#"type="features/breakout-rooms/close""#),
        "service-unavailable"
    ));
    assert!(add(&mut rig, &anna, "Group 1").is_empty());
    rig.send(&anna, &format!(r#"<message to="{DOMAIN}"><breakout_rooms xmlns="http://jitsi.org/jitmeet" type="features/breakout-rooms/add" subject="Group 2"/></message>"#));
    assert!(rig.take(&ben).is_empty(), "told once, when all is done");
    rig.advance(breakouts::SHORTEST);
    let told = list(&rig.take(&ben)).unwrap();
    assert_eq!(Some(&told), list(&rig.take(&anna)).as_ref());
    assert!(list(&rig.take(&focus)).is_none(), "not the focus");
    let main = json!({
        "id": "rathaus", "jid": ROOM, "isMainRoom": true, "participants": {
            (format!("{ROOM}/{}", anna.nick)): { "jid": anna.jid, "role": "moderator", "displayName": anna.nick },
            (format!("{ROOM}/{}", ben.nick)): { "jid": ben.jid, "role": "participant", "displayName": ben.nick },
        },
    });
    assert_eq!((&told["type"], &told["roomCounter"]), (&json!("breakout_rooms"), &json!(2)));
    assert_eq!(told["rooms"]["rathaus"], main);
    let rooms = told["rooms"].as_object().unwrap();
    let group = rooms.values().find(|r| r["name"] == "Group 1").unwrap();
    let id = group["id"].as_str().unwrap();
    assert_eq!(id.len(), 36, "{id}");
    let shown = json!({ "id": id, "jid": format!("{id}@{DOMAIN}"), "name": "Group 1", "participants": {} });
    assert_eq!((rooms.len(), &told["rooms"][id]), (3, &shown));
    end(rig, &[&focus, &anna, &ben, &clara]);
}

#[test]
fn compat_a_breakout_room_says_whose_it_is() {
    let mut rig = Rig::new();
    let (focus, anna, ben, room) = with_breakout(&mut rig);
    assert!(in_it(&enter(&mut rig, &focus, &room)));
    let form = rig.form(&focus, &room);
    let values = |frame: &str, var: &str| {
        let field =
            frame.split("<field ").find(|f| f.contains(&format!(r#"var="{var}""#))).map(str::to_owned);
        field.and_then(|f| between(&f, "<value>", "</value>").map(str::to_owned))
    };
    assert_eq!(values(&form, "muc#roominfo_isbreakout").as_deref(), Some("1"));
    assert_eq!(values(&form, "muc#roominfo_breakout_main_room").as_deref(), Some(ROOM));
    assert!(values(&form, "muc#roominfo_meetingId").is_some_and(|id| id.len() == 36));
    let whois = rig.configure(&focus, &room, "whois", "anyone");
    assert!(whois[0].contains(r#"type="result""#), "{whois:?}");

    switch(&mut rig, &ben, ROOM);
    let back = enter(&mut rig, &ben, &room);
    assert!(in_it(&back) && back.iter().any(|f| f.contains("<subject>Group 1</subject>")), "{back:?}");
    let info = rig.ask(
        &ben,
        &format!(
            r#"<iq type="get" id="d" to="{room}"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>"#
        ),
    );
    assert_eq!(values(&info[0], "muc#roominfo_isbreakout").as_deref(), Some("1"));
    assert_eq!(values(&info[0], "muc#roominfo_breakout_main_room").as_deref(), Some(ROOM));
    let main = rig.ask(
        &anna,
        &format!(
            r#"<iq type="get" id="d" to="{ROOM}"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>"#
        ),
    );
    assert!(!main[0].contains("breakout"), "{main:?}");
    end(rig, &[&focus, &anna, &ben]);
}

#[test]
fn compat_only_people_of_the_meeting_come_into_its_breakout_rooms() {
    let mut rig = Rig::new();
    let (focus, anna, ben, room) = with_breakout(&mut rig);
    let clara = rig.client();
    assert!(refused(&enter(&mut rig, &clara, &room), "not-allowed"), "the focus is not there yet");
    enter(&mut rig, &focus, &room);
    let stranger = enter(&mut rig, &clara, &room);
    assert!(refused(&stranger, "not-allowed") && !stranger[0].contains("restricted"), "{stranger:?}");
    assert!(in_it(&enter(&mut rig, &ben, &room)), "from one room into the other");
    let unknown = format!("6f2c1a90-0000-4000-8000-000000000000@{DOMAIN}");
    assert!(refused(&enter(&mut rig, &focus, &unknown), "not-allowed"), "nobody opened it");
    assert!(in_it(&rig.join(&clara)) && in_it(&enter(&mut rig, &clara, &room)));
    end(rig, &[&focus, &anna, &ben, &clara]);
}

#[test]
fn compat_a_nick_is_kept_for_who_goes_from_room_to_room() {
    let mut rig = Rig::new();
    let (focus, anna, ben, room) = with_breakout(&mut rig);
    enter(&mut rig, &focus, &room);
    let mut clara = rig.client();
    clara.nick.clone_from(&ben.nick);
    switch(&mut rig, &ben, ROOM);
    assert!(refused(&rig.join(&clara), "conflict"), "on the way");
    assert!(in_it(&enter(&mut rig, &ben, &room)));
    assert!(refused(&rig.join(&clara), "conflict"), "in the other room");
    rig.send(&ben, &format!(r#"<presence to="{room}/{}" type="unavailable"/>"#, ben.nick));
    assert!(in_it(&rig.join(&clara)), "gone for good");
    rig.leave(&clara);
    assert!(in_it(&rig.join(&ben)));
    switch(&mut rig, &ben, ROOM);
    rig.end_quietly(&ben);
    assert!(in_it(&rig.join(&clara)), "whoever has lost its session comes back as somebody else");
    end(rig, &[&focus, &anna, &clara]);
}

#[test]
fn compat_a_room_is_renamed_and_removed() {
    let mut rig = Rig::new();
    let (focus, anna, ben, room) = with_breakout(&mut rig);
    enter(&mut rig, &focus, &room);
    switch(&mut rig, &ben, ROOM);
    enter(&mut rig, &ben, &room);
    rig.take(&ben);
    let on = |what: &str, room: &str| {
        format!(r#"type="features/breakout-rooms/{what}" breakoutRoomJid="{room}" subject="Red""#)
    };
    assert!(refused(&command(&mut rig, &ben, &on("rename", &room)), "service-unavailable"));
    let other = format!("x@{DOMAIN}");
    for what in ["rename", "remove"] {
        assert!(refused(&command(&mut rig, &anna, &on(what, &other)), "service-unavailable"), "{what}");
        assert!(
            refused(&command(&mut rig, &anna, &on(what, ROOM)), "service-unavailable"),
            "{what} the meeting"
        );
    }
    assert!(command(&mut rig, &anna, &on("rename", &room)).is_empty());
    let told = rig.take(&ben);
    assert!(
        told[0].contains("<subject>Red</subject>") && told[0].contains(&format!(r#"from="{room}""#)),
        "{told:?}"
    );
    rig.advance(Duration::from_secs(1));
    assert!(list(&rig.take(&ben)).unwrap().to_string().contains(r#""name":"Red""#));

    assert!(command(&mut rig, &anna, &on("remove", &room)).is_empty());
    let gone = rig.take(&ben);
    assert!(
        gone[0]
            .contains(&format!(r#"<destroy jid="{ROOM}"><reason>Breakout room removed.</reason></destroy>"#)),
        "{gone:?}"
    );
    rig.advance(Duration::from_secs(1));
    assert_eq!(list(&rig.take(&anna)).unwrap()["rooms"].as_object().unwrap().len(), 1);
    assert!(refused(&enter(&mut rig, &focus, &room), "not-allowed"), "it is none any more");
    assert!(in_it(&rig.join(&ben)), "back in the meeting");
    end(rig, &[&focus, &anna, &ben]);
}

#[test]
fn people_of_the_meeting_alone_are_sent_over() {
    let mut rig = Rig::new();
    let (focus, anna, ben, room) = with_breakout(&mut rig);
    let clara = rig.client();
    let send = |rig: &mut Rig, by: &Client, whom: &str, to: &str| {
        command(
            rig,
            by,
            &format!(r#"type="features/breakout-rooms/move-to-room" participantJid="{whom}" roomJid="{to}""#),
        )
    };
    let shown =
        json!({ "type": "breakout_rooms", "event": "features/breakout-rooms/move-to-room", "roomJid": room });
    let nick = format!("{ROOM}/{}", ben.nick);
    for whom in [&ben.jid, &nick] {
        assert!(send(&mut rig, &anna, whom, &room).is_empty());
        let told = parse(&rig.take(&ben)[0]);
        let json = told.child("json-message", ns::JITMEET).unwrap().text();
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), shown);
    }
    assert!(refused(&send(&mut rig, &ben, &anna.jid, &room), "service-unavailable"));
    assert!(refused(&send(&mut rig, &anna, &clara.jid, &room), "service-unavailable"), "a stranger");
    assert!(refused(&send(&mut rig, &anna, &ben.jid, "other@muc.meet.jitsi"), "service-unavailable"));
    assert!(rig.take(&clara).is_empty() && rig.take(&ben).is_empty());
    // From a breakout room, by a moderator who is in one.
    enter(&mut rig, &focus, &room);
    for who in [&anna, &ben] {
        switch(&mut rig, who, ROOM);
        assert!(in_it(&enter(&mut rig, who, &room)));
    }
    rig.take(&ben);
    assert!(send(&mut rig, &anna, &ben.jid, ROOM).is_empty());
    assert!(rig.take(&ben).last().unwrap().contains(ROOM));
    end(rig, &[&focus, &anna, &ben, &clara]);
}

#[test]
fn compat_a_meeting_waits_for_its_parts_and_ends_with_the_last() {
    let mut rig = Rig::new();
    let (focus, anna, ben, room) = with_breakout(&mut rig);
    enter(&mut rig, &focus, &room);
    for who in [&anna, &ben] {
        switch(&mut rig, who, ROOM);
        assert!(in_it(&enter(&mut rig, who, &room)));
    }
    rig.leave(&focus);
    rig.advance(Duration::from_secs(60));
    assert_eq!(rig.server.stats().rooms, 2, "nobody is in the meeting itself");
    for who in [&anna, &ben] {
        rig.send(who, &format!(r#"<presence to="{room}/{}" type="unavailable"/>"#, who.nick));
    }
    rig.advance(breakouts::DESERTED - Duration::from_millis(1));
    assert_eq!(rig.server.stats().rooms, 2);
    rig.join(&focus);
    assert!(in_it(&rig.join(&anna)), "back in time");
    rig.advance(Duration::from_secs(60));
    assert_eq!(rig.server.stats().rooms, 2);
    rig.take(&focus);
    rig.leave(&anna);
    rig.advance(breakouts::DESERTED);
    assert_eq!(rig.server.stats().rooms, 0);
    let told = rig.take(&focus);
    assert_eq!(
        told.iter().filter(|f| f.contains("<reason>All occupants left.</reason>")).count(),
        2,
        "{told:?}"
    );
    end(rig, &[&focus, &anna, &ben]);
}

#[test]
fn breakout_rooms_end_with_their_meeting() {
    let mut rig = Rig::new();
    let (focus, anna, ben, room) = with_breakout(&mut rig);
    enter(&mut rig, &focus, &room);
    switch(&mut rig, &ben, ROOM);
    enter(&mut rig, &ben, &room);
    rig.take(&ben);
    rig.send(&anna, r#"<message to="endconference.meet.jitsi"><end_conference/></message>"#);
    let told = rig.take(&ben);
    assert!(
        told.iter()
            .any(|f| f.contains("<destroy><reason>The meeting has been terminated</reason></destroy>")),
        "{told:?}"
    );
    assert_eq!(rig.server.stats().rooms, 0);
    rig.join(&focus);
    assert!(refused(&enter(&mut rig, &ben, &room), "not-allowed"), "another meeting of the same name");
    end(rig, &[&focus, &anna, &ben]);
}

#[test]
fn who_moderates_the_meeting_moderates_its_parts() {
    let mut rig = Rig::new();
    let (focus, anna, ben, room) = with_breakout(&mut rig);
    enter(&mut rig, &focus, &room);
    switch(&mut rig, &anna, ROOM);
    let own = enter(&mut rig, &anna, &room);
    assert!(own.iter().any(|f| f.contains(r#"role="moderator""#) && f.contains(r#"code="110""#)), "{own:?}");
    rig.grant(&focus, &ben);
    rig.take(&ben);
    switch(&mut rig, &ben, ROOM);
    let own = enter(&mut rig, &ben, &room);
    assert!(
        own.iter().any(|f| f.contains(r#"affiliation="owner""#) && f.contains(r#"code="110""#)),
        "{own:?}"
    );
    // Who was shut out there is shut out here.
    let clara = rig.client();
    rig.join(&clara);
    switch(&mut rig, &clara, ROOM);
    rig.send(&focus, &format!(r#"<iq type="set" id="o" to="{ROOM}"><query xmlns="http://jabber.org/protocol/muc#admin"><item affiliation="outcast" jid="{}"/></query></iq>"#, clara.bare()));
    assert!(refused(&enter(&mut rig, &clara, &room), "forbidden"));
    end(rig, &[&focus, &anna, &ben, &clara]);
}

#[test]
fn the_door_of_a_breakout_room_is_that_of_its_meeting() {
    let mut rig = Rig::new();
    let (focus, anna, ben, room) = with_breakout(&mut rig);
    enter(&mut rig, &focus, &room);
    for who in [&anna, &ben] {
        switch(&mut rig, who, ROOM);
        enter(&mut rig, who, &room);
    }
    rig.join(&anna);
    rig.configure(&anna, &room, "membersonly", "true");
    let info = |rig: &mut Rig| {
        rig.ask(&ben, &format!(r#"<iq type="get" id="d" to="{room}"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>"#))[0].clone()
    };
    assert!(info(&mut rig).contains("muc_open"), "a part decides nothing about it");
    rig.configure(&anna, ROOM, "membersonly", "true");
    let closed = info(&mut rig);
    assert!(closed.contains("muc_membersonly") && closed.contains("rathaus@lobby.meet.jitsi"), "{closed}");
    switch(&mut rig, &ben, &room);
    assert!(enter(&mut rig, &ben, &room)[0].contains("<registration-required "), "no member");
    rig.configure(&anna, ROOM, "membersonly", "false");
    assert!(in_it(&enter(&mut rig, &ben, &room)));
    assert!(!info(&mut rig).contains("lobby"));
    end(rig, &[&focus, &anna, &ben]);
}

#[test]
fn tenants_have_breakout_rooms_of_their_own() {
    let mut rig = Rig::new();
    let focus = rig.focus();
    let town = "rathaus@muc.town.meet.jitsi";
    let query = || SessionQuery {
        room: Some(Sensitive::new("rathaus".into())),
        prefix: Some(Sensitive::new("town".into())),
        ..Default::default()
    };
    let (anna, other) = (rig.client_with(query()), rig.client());
    enter(&mut rig, &focus, town);
    enter(&mut rig, &anna, town);
    rig.join(&focus);
    rig.join(&other);
    for (room, who) in [(town, &anna), (ROOM, &other)] {
        rig.send(&focus, &format!(r#"<iq type="set" id="o" to="{room}"><query xmlns="http://jabber.org/protocol/muc#admin"><item affiliation="owner" jid="{}"/></query></iq>"#, who.bare()));
    }
    let room = open(&mut rig, &anna, "Group 1");
    assert!(list(&rig.take(&other)).is_none(), "of the same name, and another meeting");
    enter(&mut rig, &focus, &room);
    let form = rig.form(&focus, &room);
    assert!(form.contains(&format!("<value>{town}</value>")), "{form}");
    assert!(refused(&enter(&mut rig, &other, &room), "not-allowed"));
    assert!(in_it(&enter(&mut rig, &anna, &room)));
    assert!(
        command(
            &mut rig,
            &anna,
            &format!(
                r#"type="features/breakout-rooms/move-to-room" participantJid="{}" roomJid="{town}""#,
                anna.jid
            )
        )
        .iter()
        .any(|f| f.contains(town))
    );
    end(rig, &[&focus, &anna, &other]);
}

#[test]
fn metadata_and_polls_of_a_breakout_room_are_its_own() {
    let mut rig = Rig::new();
    let (focus, anna, ben, room) = with_breakout(&mut rig);
    enter(&mut rig, &focus, &room);
    switch(&mut rig, &anna, ROOM);
    let own = enter(&mut rig, &anna, &room);
    assert!(own.iter().any(|f| f.contains(&format!(r#"room="{room}""#))), "{own:?}");
    rig.take(&ben);
    let told = rig.ask(&anna, &format!(r#"<message to="metadata.meet.jitsi"><room_metadata xmlns="http://jitsi.org/jitmeet" room="{room}">{{"key":"k","data":1}}</room_metadata></message>"#));
    assert!(
        told.iter().any(|f| f.contains("room_metadata") && f.contains(&format!(r#"room="{room}""#))),
        "{told:?}"
    );
    let poll = r#"<message to="polls.meet.jitsi" type="chat"><json-message xmlns="http://jitsi.org/jitmeet">{"type":"polls","command":"new-poll","pollId":"p","question":"?","answers":[{"name":"a"}]}</json-message></message>"#;
    assert!(rig.ask(&anna, poll).iter().any(|f| f.contains("new-poll")));
    assert!(!rig.take(&ben).iter().any(|f| f.contains("poll")), "who is in the meeting does not hear");
    let ended = rig.ask(&anna, r#"<message to="endconference.meet.jitsi"><end_conference/></message>"#);
    assert!(refused(&ended, "service-unavailable"), "the meeting is ended from inside it");
    end(rig, &[&focus, &anna, &ben]);
}

#[test]
fn names_that_only_moderators_see_are_not_in_the_list_of_others() {
    let mut rig = Rig::with(|c| {
        c.hosts.rooms[0].modules.push("muc_displayname".into());
        c.hosts.rooms[0].policy.hide_names = true;
    });
    let (focus, clients) = rig.meeting(2);
    rig.grant(&focus, &clients[0]);
    add(&mut rig, &clients[0], "Group 1");
    rig.advance(Duration::from_secs(1));
    assert!(list(&rig.take(&clients[0])).unwrap().to_string().contains("displayName"));
    assert!(!list(&rig.take(&clients[1])).unwrap().to_string().contains("displayName"));
    end(rig, &[&focus, &clients[0], &clients[1]]);
}

#[test]
fn breakout_rooms_and_their_names_are_bounded() {
    let mut rig = Rig::new();
    let (focus, anna, ben, _) = with_breakout(&mut rig);
    assert!(refused(&add(&mut rig, &anna, &"x".repeat(breakouts::NAME_BYTES + 1)), "policy-violation"));
    assert!(add(&mut rig, &anna, &"x".repeat(breakouts::NAME_BYTES)).is_empty());
    for n in 2..breakouts::PER_MEETING {
        rig.advance(Duration::from_secs(1));
        assert!(!add(&mut rig, &anna, "one more").iter().any(|f| f.contains("error")), "{n}");
    }
    rig.take(&anna);
    assert!(refused(&add(&mut rig, &anna, "too many"), "resource-constraint"));
    end(rig, &[&focus, &anna, &ben]);
}

#[test]
fn clients_are_told_that_there_are_breakout_rooms_and_only_then() {
    let off = |c: &mut Config| c.hosts.remove_breakouts();
    for (mut rig, there) in [(Rig::new(), true), (Rig::with(off), false)] {
        let anna = rig.client();
        let info = rig.ask(&anna, r#"<iq type="get" id="d" to="meet.jitsi"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>"#);
        let identity = format!(r#"category="component" type="breakout_rooms" name="{DOMAIN}""#);
        assert_eq!(info[0].contains(&identity), there, "{info:?}");
        let node = rig.ask(&anna, &format!(r#"<iq type="get" id="d" to="{DOMAIN}"><query xmlns="http://jabber.org/protocol/disco#info" node="breakout_rooms"/></iq>"#));
        assert_eq!(node[0].contains("http://jitsi.org/protocol/breakout_rooms#rename"), there, "{node:?}");
        end(rig, &[&anna]);
    }
}
