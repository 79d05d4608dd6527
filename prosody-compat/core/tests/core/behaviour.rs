//! Rooms, the focus proxy and room metadata as clients and roles see them.

use std::time::Duration;

use jitsi_xmpp::{Sensitive, ns};
use prosody_core::{Counter, Credentials, ExternalService, SessionQuery, Transport};

use crate::rig::{Client, ROOM, Rig, parse};

fn admin(rig: &mut Rig, who: &Client, items: &str) -> Vec<String> {
    rig.ask(who, &format!(r#"<iq xmlns="jabber:client" type="set" id="a" to="{ROOM}"><query xmlns="http://jabber.org/protocol/muc#admin">{items}</query></iq>"#))
}

fn owner_form(rig: &mut Rig, who: &Client, fields: &str) -> Vec<String> {
    rig.ask(who, &format!(r#"<iq xmlns="jabber:client" type="set" id="o" to="{ROOM}"><query xmlns="http://jabber.org/protocol/muc#owner"><x xmlns="jabber:x:data" type="submit"><field var="FORM_TYPE"><value>http://jabber.org/protocol/muc#roomconfig</value></field>{fields}</x></query></iq>"#))
}

fn room_info(rig: &mut Rig, who: &Client) -> String {
    rig.ask(who, &format!(r#"<iq xmlns="jabber:client" type="get" id="d" to="{ROOM}"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>"#))
        .pop()
        .unwrap()
}

#[test]
fn a_newcomer_gets_occupants_metadata_itself_and_the_subject_in_this_order() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(1);
    let ben = rig.client();
    let back = rig.join(&ben);
    let kinds: Vec<String> = back
        .iter()
        .map(|f| {
            let e = parse(f);
            let first = e.first_child().map_or("", |c| c.name()).to_owned();
            format!("{} {} {first}", e.name(), e.attr("from").unwrap())
        })
        .collect();
    let mut others =
        [format!("presence {ROOM}/{} nick", clients[0].nick), format!("presence {ROOM}/focus nick")];
    others.sort();
    assert_eq!(kinds[..2], others);
    assert_eq!(kinds[2], "message metadata.meet.jitsi json-message");
    assert_eq!(kinds[3], format!("presence {ROOM}/{} nick", ben.nick));
    assert_eq!(kinds[4], format!("message {ROOM} subject"));
    let own = parse(&back[3]);
    assert_eq!(own.attr("id"), Some("j"), "the id of the join is kept");
    let x = own.children().last().unwrap();
    assert!(x.is("x", ns::MUC_USER), "compat: muc#user is the last child");
    let codes: Vec<_> = x.children().filter_map(|c| c.attr("code")).collect();
    assert_eq!(codes, ["100", "110"]);
    assert_eq!(x.child_named("item").unwrap().attr("jid"), Some(ben.jid.as_str()), "full real address");
    let seen = rig.take(&clients[0]);
    assert!(seen.len() == 1 && !seen[0].contains("<status"));
    rig.end(&[&focus, &clients[0], &ben]);
}

#[test]
fn compat_the_creator_gets_201_and_owns_the_room() {
    let mut rig = Rig::new();
    let focus = rig.focus();
    let back = rig.join(&focus);
    let own = back.iter().find(|f| f.starts_with("<presence")).unwrap();
    assert!(own.contains(r#"code="201""#) && own.contains(r#"affiliation="owner" role="moderator""#));
    rig.leave(&focus);
    let gone = rig.take(&focus);
    assert!(gone[0].contains("unavailable") && gone[0].contains(r#"code="110""#));
    assert_eq!(rig.server.stats().rooms, 0, "the last one takes the room along");
    rig.end(&[&focus]);
}

#[test]
fn compat_only_roles_create_rooms() {
    let mut rig = Rig::new();
    let c = rig.client();
    let back = rig.join(&c);
    assert_eq!(back.len(), 1);
    assert!(back[0].contains(r#"<error type="cancel" by="muc.meet.jitsi"><not-allowed xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/><text xmlns="urn:ietf:params:xml:ns:xmpp-stanzas">Room creation is restricted</text></error>"#), "{}", back[0]);
    assert!(back[0].contains(&format!(r#"from="{ROOM}/{}""#, c.nick)) && back[0].contains(r#"id="j""#));
    rig.end(&[&c]);
}

/// Another role opened the room, people wait for the focus.
fn waiting(rig: &mut Rig) -> [Client; 3] {
    let conn =
        rig.open(Transport::InProcess("jvb@auth.meet.jitsi/x".parse().unwrap()), SessionQuery::default());
    let opener = Client { conn, jid: "jvb@auth.meet.jitsi/x".into(), nick: "opener".into() };
    assert!(rig.join(&opener).is_empty());
    let (anna, ben) = (rig.client(), rig.client());
    assert!(rig.join(&anna).is_empty() && rig.join(&ben).is_empty());
    assert_eq!((rig.server.stats().rooms, rig.server.stats().occupants), (1, 0));
    assert_eq!(rig.server.counters().count(Counter::JoinsHeld), 3);
    [opener, anna, ben]
}

#[test]
fn joins_wait_for_the_focus_and_come_in_in_order() {
    let mut rig = Rig::new();
    let [opener, anna, ben] = waiting(&mut rig);
    let focus = rig.focus();
    rig.join(&focus);
    assert_eq!(rig.server.stats().occupants, 4);
    let of = |frames: &[String], who: &Client| {
        frames.iter().position(|f| f.contains(&format!("from=\"{ROOM}/{}\"", who.nick)))
    };
    let seen = rig.take(&anna);
    assert!(of(&seen, &focus) < of(&seen, &anna) && of(&seen, &anna) < of(&seen, &ben));
    rig.end(&[&opener, &focus, &anna, &ben]);
}

#[test]
fn a_join_that_waited_too_long_is_refused_so_that_the_client_asks_again() {
    let mut rig = Rig::new();
    let [opener, anna, ben] = waiting(&mut rig);
    rig.advance(prosody_core::Limits::default().held_join_timeout - Duration::from_millis(1));
    assert!(rig.take(&anna).is_empty());
    rig.advance(Duration::from_millis(1));
    for c in [&anna, &ben] {
        assert!(rig.take(c)[0].contains("Room creation is restricted"));
    }
    assert_eq!(rig.server.stats().rooms, 0);
    rig.end(&[&opener, &anna, &ben]);
}

#[test]
fn who_leaves_while_waiting_does_not_come_in() {
    let mut rig = Rig::new();
    let [opener, anna, ben] = waiting(&mut rig);
    rig.lose(anna.conn);
    rig.leave(&ben);
    rig.lose(opener.conn);
    assert_eq!(rig.server.stats().rooms, 0);
    rig.end(&[&ben]);
}

#[test]
fn ownership_brings_the_role_and_the_permissions() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(2);
    let (anna, ben) = (&clients[0], &clients[1]);
    rig.grant(&focus, anna);
    let own = rig.take(anna);
    assert_eq!(own.len(), 1);
    assert!(
        own[0].contains(r#"affiliation="owner" role="moderator""#)
            && own[0].contains(r#"<actor nick="focus"/>"#)
    );
    assert!(
        own[0]
            .contains(r#"<permissions xmlns="http://jitsi.org/jitmeet"><p name="create-polls" val="true"/>"#)
    );
    assert!(own[0].find("<permissions").unwrap() < own[0].find("muc#user").unwrap());
    let seen = rig.take(ben);
    assert!(
        seen[0].contains(r#"<actor nick="focus" jid="focus@auth.meet.jitsi/focus"/>"#)
            && !seen[0].contains("permissions")
    );
    assert!(
        rig.take(&focus).last().unwrap().contains(r#"type="result""#),
        "the answer comes after the presence"
    );
    let again = rig.ask(
        anna,
        &format!(r#"<presence to="{ROOM}/{}"><nick xmlns="{}">A</nick></presence>"#, anna.nick, ns::NICK),
    );
    assert!(!again[0].contains("permissions"), "told once");
    assert!(
        admin(&mut rig, ben, &format!(r#"<item affiliation="owner" jid="{}"/>"#, ben.bare()))[0]
            .contains("not-allowed")
    );
    let full = admin(&mut rig, anna, &format!(r#"<item affiliation="owner" jid="{}"/>"#, ben.jid));
    assert!(full[0].contains("Bare JID expected, got full JID"));
    rig.end(&[&focus, anna, ben]);
}

#[test]
fn several_items_of_one_admin_query_are_all_done() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(2);
    let items: String =
        clients.iter().map(|c| format!(r#"<item affiliation="member" jid="{}"/>"#, c.bare())).collect();
    let back = admin(&mut rig, &focus, &items);
    assert_eq!(back.iter().filter(|f| f.contains(r#"type="result""#)).count(), 1);
    for c in &clients {
        assert!(rig.take(c).iter().any(|f| f.contains(r#"affiliation="member" role="participant""#)));
    }
    rig.end(&[&focus, &clients[0], &clients[1]]);
}

#[test]
fn compat_a_kick_names_the_actor_and_resets_the_affiliation() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(3);
    let (anna, ben, carl) = (&clients[0], &clients[1], &clients[2]);
    assert!(
        admin(&mut rig, ben, &format!(r#"<item nick="{}" role="none"/>"#, carl.nick))[0]
            .contains("not-allowed")
    );
    rig.grant(&focus, anna);
    rig.grant(&focus, ben);
    for c in &clients {
        rig.take(c);
    }
    let back = admin(
        &mut rig,
        anna,
        &format!(r#"<item nick="{}" role="none"><reason>bye</reason></item>"#, ben.nick),
    );
    assert!(back.last().unwrap().contains(r#"type="result""#));
    let own = rig.take(ben);
    assert_eq!(own.len(), 1);
    assert!(own[0].contains(r#"code="307""#) && own[0].contains(r#"code="110""#));
    assert!(own[0].contains(&format!(r#"<actor nick="{}"/><reason>bye</reason>"#, anna.nick)));
    let seen = rig.take(carl);
    assert!(
        seen.iter().any(|f| f.contains(r#"code="307""#) && f.contains(&format!(r#"jid="{}""#, anna.jid)))
    );
    assert!(seen.iter().any(|f| f.starts_with("<message") && f.contains(r#"affiliation="none""#)));
    let back = rig.join(ben);
    assert!(
        back.iter().any(|f| f.contains(r#"affiliation="none" role="participant""#)),
        "comes back as anybody"
    );
    let focus_kick = admin(&mut rig, anna, r#"<item nick="focus" role="none"/>"#);
    assert!(focus_kick[0].contains("not-allowed"), "nobody ends the meeting by kicking the focus");
    rig.end(&[&focus, anna, ben, carl]);
}

#[test]
fn compat_the_focus_is_nobodys_to_change() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(2);
    let (anna, ben) = (&clients[0], &clients[1]);
    rig.grant(&focus, anna);
    rig.take(&focus);
    for who in [anna, ben] {
        for item in [
            r#"<item jid="focus@auth.meet.jitsi" affiliation="outcast"/>"#.to_owned(),
            r#"<item jid="focus@auth.meet.jitsi/focus" role="none"/>"#.to_owned(),
            r#"<item jid="focus@auth.meet.jitsi" nick="decoy" affiliation="none"/>"#.to_owned(),
            r#"<item nick="focus" role="participant"/>"#.to_owned(),
            format!(r#"<item nick="{}" role="participant"/><item nick="focus" role="none"/>"#, ben.nick),
        ] {
            rig.take(ben);
            let back = admin(&mut rig, who, &item).concat();
            assert!(
                back.contains(r#"<error type="cancel""#) && back.contains("<not-allowed "),
                "{item}: {back}"
            );
        }
    }
    assert!(rig.take(&focus).is_empty(), "and nothing beside it is done");
    rig.end(&[&focus, anna, ben]);
}

#[test]
fn compat_the_focus_hears_of_no_metadata_of_a_room_that_it_opens() {
    let told = |frames: &[String]| frames.iter().filter(|f| f.contains("room_metadata")).count();
    let mut rig = Rig::new();
    let focus = rig.focus();
    assert_eq!(told(&rig.join(&focus)), 0);
    let anna = rig.client();
    assert_eq!(told(&rig.join(&anna)), 1);
    rig.leave(&focus);
    let back = rig.join(&focus);
    assert_eq!(told(&back), 1, "it comes back to a room that somebody is in");
    assert!(back.iter().any(|f| f.contains(r#"room="rathaus@muc.meet.jitsi""#) && f.contains("moderators")));
    rig.end(&[&focus, &anna]);
}

#[test]
fn a_lock_asks_for_the_password_and_keeps_what_was_not_submitted() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(1);
    let anna = &clients[0];
    assert!(owner_form(&mut rig, anna, "")[0].contains("<forbidden "));
    rig.grant(&focus, anna);
    let form = rig.ask(anna, &format!(r#"<iq xmlns="jabber:client" type="get" id="o" to="{ROOM}"><query xmlns="http://jabber.org/protocol/muc#owner"/></iq>"#));
    let x = parse(&form[0]);
    let x = x.first_child().unwrap().child("x", ns::DATA_FORMS).unwrap();
    assert!(x.is_declared(), "compat: clients look for the literal xmlns");
    let vars: Vec<_> = x.children().filter_map(|f| f.attr("var")).collect();
    for var in [
        "muc#roomconfig_roomsecret",
        "muc#roomconfig_whois",
        "muc#roomconfig_membersonly",
        "muc#roominfo_meetingId",
    ] {
        assert!(vars.contains(&var), "{var}");
    }
    let secret = r#"<field var="muc#roomconfig_roomsecret"><value>4711</value></field><field var="muc#roomconfig_passwordprotectedroom"><value>1</value></field>"#;
    let back = owner_form(&mut rig, anna, secret);
    assert!(
        back[0].contains(r#"type="result""#) && back[1].contains(r#"<status code="104"/>"#),
        "the result comes first"
    );
    assert!(room_info(&mut rig, anna).contains("muc_passwordprotected"));
    let back =
        owner_form(&mut rig, anna, r#"<field var="muc#roomconfig_whois"><value>anyone</value></field>"#);
    assert_eq!(back.len(), 1, "nothing changed, nobody is told");
    let ben = rig.client();
    assert!(rig.join(&ben)[0].contains(r#"<error type="auth" by="rathaus@muc.meet.jitsi"><not-authorized xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error>"#));
    assert!(rig.join_with(&ben, "<password>4712</password>", "")[0].contains("not-authorized"));
    assert!(rig.join_with(&ben, "<password>4711</password>", "").len() > 3);
    assert!(
        owner_form(&mut rig, anna, r#"<field var="muc#roomconfig_roomsecret"><value/></field>"#)[1]
            .contains("104")
    );
    assert!(room_info(&mut rig, anna).contains("muc_unsecured"));
    rig.end(&[&focus, anna, &ben]);
}

#[test]
fn room_information_is_for_occupants_only() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(1);
    let info = room_info(&mut rig, &clients[0]);
    assert!(info.contains(r#"<x xmlns="jabber:x:data" type="result">"#) && info.contains("muc_nonanonymous"));
    assert!(info.contains("1795390567000"), "the meeting began when the second one came");
    let outsider = rig.client();
    assert!(room_info(&mut rig, &outsider).contains("<forbidden xmlns="));
    rig.end(&[&focus, &clients[0], &outsider]);
}

#[test]
fn chat_is_reflected_with_its_id_and_without_false_names() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(2);
    let (anna, ben) = (&clients[0], &clients[1]);
    let back = rig.ask(anna, &format!(r#"<message to="{ROOM}" type="groupchat" id="m1"><body>hi</body><nick xmlns="{}">Boss</nick><display-name xmlns="http://jitsi.org/protocol/display-name">Boss</display-name></message>"#, ns::NICK));
    assert!(
        back[0].contains(r#"id="m1""#) && back[0].contains("<body>hi</body>") && !back[0].contains("Boss")
    );
    assert_eq!(parse(&rig.take(ben)[0]).attr("from"), Some(format!("{ROOM}/{}", anna.nick).as_str()));
    rig.send(
        ben,
        &format!(r#"<message to="{ROOM}/{}" type="chat" id="p"><body>psst</body></message>"#, anna.nick),
    );
    let private = rig.take(anna);
    assert!(private.len() == 1 && private[0].contains(r#"<x xmlns="http://jabber.org/protocol/muc#user"/>"#));
    assert!(
        rig.ask(anna, &format!(r#"<message to="{ROOM}/nobody" type="chat"><body>x</body></message>"#))[0]
            .contains("Recipient not in room")
    );
    let outsider = rig.client();
    let refused =
        rig.ask(&outsider, &format!(r#"<message to="{ROOM}" type="groupchat"><body>x</body></message>"#));
    assert!(refused[0].contains("You are not currently connected to this chat"));
    let late = rig.join(&outsider);
    let history = late.iter().find(|f| f.contains("<body>hi</body>")).unwrap();
    assert!(
        history.contains(r#"<delay xmlns="urn:xmpp:delay" from="rathaus@muc.meet.jitsi" stamp="2026-11-22T"#)
    );
    assert!(history.contains(&format!(r#"source="guest">{}</display-name>"#, anna.nick)));
    assert!(late.last().unwrap().contains("<subject/>"));
    rig.end(&[&focus, anna, ben, &outsider]);
}

#[test]
fn subjects_json_messages_and_deletions_are_checked() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(2);
    let (anna, ben) = (&clients[0], &clients[1]);
    let subject = format!(r#"<message to="{ROOM}" type="groupchat"><subject>Rat</subject></message>"#);
    assert!(rig.ask(ben, &subject)[0].contains("<forbidden "));
    rig.grant(&focus, anna);
    rig.send(anna, &subject);
    assert!(rig.take(ben).iter().any(|f| f.contains("<subject>Rat</subject>")));
    let json = |text: &str| {
        format!(
            r#"<message to="{ROOM}" type="groupchat"><json-message xmlns="http://jitsi.org/jitmeet">{text}</json-message></message>"#
        )
    };
    assert!(rig.ask(ben, &json("{no json")).is_empty());
    assert!(
        rig.ask(ben, &json(r#"{"type":"transcription-result"}"#)).is_empty(),
        "only from the transcriber"
    );
    assert_eq!(rig.ask(ben, &json(r#"{"type":"e"}"#)).len(), 1);
    rig.send(
        anna,
        &format!(r#"<message to="{ROOM}" type="groupchat" id="of-anna"><body>x</body></message>"#),
    );
    rig.send(ben, &format!(r#"<message to="{ROOM}" type="groupchat" id="of-ben"><body>x</body></message>"#));
    let retract = |id: &str| {
        format!(
            r#"<message to="{ROOM}" type="groupchat"><retract xmlns="urn:xmpp:message-retract:1" id="{id}"/><body>gone</body></message>"#
        )
    };
    assert!(rig.ask(ben, &retract("of-anna"))[0].contains("<forbidden "));
    assert!(rig.ask(ben, &retract("of-ben"))[0].contains("<retract "));
    assert!(rig.ask(anna, &retract("of-ben"))[0].contains("<retract "), "a moderator deletes everything");
    rig.end(&[&focus, anna, ben]);
}

#[test]
fn iqs_between_occupants_keep_their_ids_both_ways() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(2);
    let (anna, ben) = (&clients[0], &clients[1]);
    rig.send(
        anna,
        &format!(
            r#"<iq type="set" id="q9" to="{ROOM}/{}"><jingle xmlns="urn:xmpp:jingle:1"/></iq>"#,
            ben.nick
        ),
    );
    let got = rig.take(ben);
    assert_eq!(parse(&got[0]).attr("from"), Some(format!("{ROOM}/{}", anna.nick).as_str()));
    rig.send(ben, &format!(r#"<iq type="result" id="q9" to="{ROOM}/{}"/>"#, anna.nick));
    let back = parse(&rig.take(anna)[0]);
    assert_eq!((back.attr("id"), back.attr("type")), (Some("q9"), Some("result")));
    assert!(
        rig.ask(
            anna,
            &format!(r#"<iq type="get" id="q" to="{ROOM}/nobody"><ping xmlns="urn:xmpp:ping"/></iq>"#)
        )[0]
        .contains("item-not-found")
    );
    assert!(
        rig.ask(
            anna,
            &format!(r#"<iq type="get" id="q" to="{ROOM}/{}"><ping xmlns="urn:xmpp:ping"/></iq>"#, anna.nick)
        )[0]
        .contains("result")
    );
    let outsider = rig.client();
    assert!(
        rig.ask(
            &outsider,
            &format!(r#"<iq type="get" id="q" to="{ROOM}/focus"><ping xmlns="urn:xmpp:ping"/></iq>"#)
        )[0]
        .contains("not-acceptable")
    );
    rig.end(&[&focus, anna, ben, &outsider]);
}

#[test]
fn presence_is_replayed_in_full_and_nobody_vouches_for_himself() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(1);
    let anna = &clients[0];
    rig.send(anna, &format!(r#"<presence to="{ROOM}/{}"><SourceInfo>{{}}</SourceInfo><identity><user><id>boss</id></user></identity><x xmlns="http://jabber.org/protocol/muc#user"><item affiliation="owner"/></x></presence>"#, anna.nick));
    let ben = rig.client();
    let back = rig.join(&ben);
    let of_anna = back.iter().find(|f| f.contains(&format!("from=\"{ROOM}/{}", anna.nick))).unwrap();
    assert!(
        of_anna.contains("<SourceInfo>{}</SourceInfo>")
            && !of_anna.contains("boss")
            && !of_anna.contains("owner")
    );
    rig.end(&[&focus, anna, &ben]);
}

#[test]
fn nicks_are_checked_and_unique() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(1);
    let ben = rig.client();
    for (nick, error) in [
        ("a-b", "Invalid resource"),
        ("_a", "Invalid resource"),
        ("focus", "Invalid resource"),
        ("jvb", "Invalid resource"),
        (clients[0].nick.as_str(), "<conflict "),
    ] {
        let back = rig.join(&Client { nick: nick.into(), ..ben.clone() });
        assert!(back.len() == 1 && back[0].contains(error), "{nick}: {back:?}");
    }
    rig.end(&[&focus, &clients[0], &ben]);
}

#[test]
fn the_conference_request_reaches_the_focus_and_comes_back() {
    let mut rig = Rig::new();
    let c = rig.client();
    let request = format!(
        r#"<iq xmlns="jabber:client" type="set" id="c1" to="focus.meet.jitsi"><conference xmlns="http://jitsi.org/protocol/focus" room="{ROOM}"/></iq>"#
    );
    let back = rig.ask(&c, &request);
    assert!(
        back[0].contains(r#"type="result""#) && back[0].contains(r#"ready="false""#),
        "no focus: ask again, no error"
    );
    assert_eq!(rig.server.counters().count(Counter::FocusAbsent), 1);
    let focus = rig.focus();
    assert!(rig.ask(&c, &request).is_empty());
    let got = parse(&rig.take(&focus)[0]);
    assert_eq!(got.attr("from"), Some(format!("focus.meet.jitsi/{}", c.jid).as_str()));
    rig.send(&focus, &format!(r#"<iq type="result" id="c1" to="focus.meet.jitsi/{}"><conference xmlns="http://jitsi.org/protocol/focus" ready="true"/></iq>"#, c.jid));
    let back = parse(&rig.take(&c)[0]);
    assert_eq!((back.attr("from"), back.attr("id")), (Some("focus.meet.jitsi"), Some("c1")));
    assert!(rig.ask(&c, &request).is_empty());
    rig.lose(focus.conn);
    assert!(rig.take(&c)[0].contains(r#"ready="false""#), "the focus went away before it answered");
    // Nobody but the focus speaks through the proxy.
    let other = rig.client();
    rig.send(&other, &format!(r#"<iq type="result" id="c1" to="focus.meet.jitsi/{}"/>"#, c.jid));
    assert!(rig.take(&c).is_empty());
    rig.end(&[&c, &other]);
}

#[test]
fn a_conference_request_is_answered_once_even_if_the_focus_comes_back_with_its_own_answer() {
    let mut rig = Rig::new();
    let c = rig.client();
    let focus = rig.focus();
    rig.send(
        &c,
        &format!(
            r#"<iq xmlns="jabber:client" type="set" id="c1" to="focus.meet.jitsi"><conference xmlns="http://jitsi.org/protocol/focus" room="{ROOM}"/></iq>"#
        ),
    );
    rig.lose(focus.conn);
    assert_eq!(rig.take(&c).len(), 1, "told to ask again");
    let focus = rig.focus();
    rig.send(&focus, &format!(r#"<iq type="result" id="c1" to="focus.meet.jitsi/{}"><conference xmlns="http://jitsi.org/protocol/focus" ready="false"/></iq>"#, c.jid));
    assert!(rig.take(&c).is_empty());
    rig.end(&[&focus, &c]);
}

fn turn_server(credentials: Credentials) -> ExternalService {
    ExternalService {
        kind: "turns".into(),
        host: "turn.example.org".into(),
        port: 443,
        transport: "tcp".into(),
        credentials,
        ttl: Duration::from_secs(86_400),
    }
}

/// Clients of 2021 and before take the push for all there is and ask for no TURN servers after it: behind a firewall they heard
/// nothing.
#[test]
fn compat_the_push_before_the_bind_result_names_the_turn_servers() {
    let secret = || Sensitive::new("s".to_owned());
    let mut rig = Rig::with(|c| c.external_services.push(turn_server(Credentials::Secret(secret()))));
    let conn = rig.authenticated(SessionQuery::default());
    rig.raw(conn, br#"<iq xmlns="jabber:client" type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>"#);
    let push = parse(&rig.take_raw(conn)[0]);
    let services = push.child("services", "urn:xmpp:extdisco:2").expect("services beside the identities");
    let service = services.child("service", "urn:xmpp:extdisco:2").unwrap();
    assert_eq!((service.attr("type"), service.attr("host")), (Some("turns"), Some("turn.example.org")));
    assert!(service.attr("password").is_some());
    // Without servers an empty list, so that nobody asks a public one.
    let mut rig = Rig::new();
    let conn = rig.authenticated(SessionQuery::default());
    rig.raw(conn, br#"<iq xmlns="jabber:client" type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>"#);
    let push = parse(&rig.take_raw(conn)[0]);
    assert!(push.child("services", "urn:xmpp:extdisco:2").is_some_and(|s| s.first_child().is_none()));
}

#[test]
fn sessions_have_names_of_their_own_at_our_turn_server_that_tell_nobody_who_they_are() {
    let own = Credentials::Own(Sensitive::new("s".to_owned()));
    let mut rig = Rig::with(|c| c.external_services.push(turn_server(own)));
    let mut names = Vec::new();
    for client in [rig.client(), rig.client()] {
        let ask = r#"<iq xmlns="jabber:client" type="get" id="1" to="meet.jitsi"><services xmlns="urn:xmpp:extdisco:2"/></iq>"#;
        let mut asked = || {
            let reply = parse(&rig.ask(&client, ask)[0]);
            let service = reply.first_child().unwrap().first_child().unwrap().clone();
            (service.attr("username").unwrap().to_owned(), service.attr("password").unwrap().to_owned())
        };
        let (name, password) = asked();
        assert_eq!((name.clone(), password.clone()), asked(), "the same each time");
        let (expires, alias) = name.split_once(':').unwrap();
        assert!(expires.parse::<u64>().is_ok() && alias.len() == 16);
        let node = client.jid.split('@').next().unwrap();
        assert!(!alias.contains(&node[..6]) && !password.is_empty());
        names.push(alias.to_owned());
    }
    assert_ne!(names[0], names[1]);
}

#[test]
fn metadata_is_set_by_moderators_and_told_to_everybody() {
    let mut rig = Rig::with(|c| {
        c.external_services.push(turn_server(Credentials::Secret(Sensitive::new("s".into()))));
    });
    let focus = rig.focus();
    rig.join(&focus);
    let anna = rig.client();
    let welcome = rig.join(&anna).into_iter().find(|f| f.contains("room_metadata")).unwrap();
    for part in [
        r#""type":"turns""#,
        r#""port":"443""#,
        r#""username":"1795476967""#,
        r#""restricted":"1""#,
        r#""expires":"2026-11-2"#,
    ] {
        assert!(parse(&welcome).first_child().unwrap().text().contains(part), "{part} in {welcome}");
    }
    let set = |key: &str, data: &str| {
        format!(
            r#"<message xmlns="jabber:client" to="metadata.meet.jitsi"><room_metadata xmlns="http://jitsi.org/jitmeet" room="{ROOM}">{{"key":"{key}","data":{data}}}</room_metadata></message>"#
        )
    };
    assert!(rig.ask(&anna, &set("startMuted", r#"{"audio":true}"#))[0].contains("<service-unavailable "));
    rig.grant(&focus, &anna);
    rig.take(&focus);
    let told = rig.ask(&anna, &set("startMuted", r#"{"audio":true}"#));
    let text = parse(&told[0]).first_child().unwrap().text();
    assert!(text.contains("startMuted") && !text.contains("services"), "servers are told once");
    assert!(parse(&rig.take(&focus)[0]).first_child().unwrap().text().contains("moderators"));
    assert!(rig.ask(&anna, &set("startMuted", r#"{"audio":true}"#)).is_empty(), "unchanged");
    assert!(rig.ask(&anna, &set("services", "[]"))[0].contains("<service-unavailable "));
    assert!(rig.ask(&anna, &set("x", "null"))[0].contains("<service-unavailable "));
    let policy = format!(
        r#"<presence to="{ROOM}/{}"><startmuted xmlns="http://jitsi.org/jitmeet/start-muted" audio="true" video="true"/></presence>"#,
        anna.nick
    );
    assert!(
        rig.ask(&anna, &policy)
            .iter()
            .any(|f| f.contains("video&quot;:true") || f.contains(r#""video":true"#))
    );
    rig.end(&[&focus, &anna]);
}

#[test]
fn a_destroyed_room_tells_everybody_why() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(1);
    rig.send(&focus, &format!(r#"<iq type="set" id="x" to="{ROOM}"><query xmlns="http://jabber.org/protocol/muc#owner"><destroy><reason>over</reason></destroy></query></iq>"#));
    let told = rig.take(&clients[0]);
    assert!(
        told.len() == 1
            && told[0].contains("<destroy><reason>over</reason></destroy>")
            && told[0].contains("110")
    );
    assert_eq!(rig.server.stats().rooms, 0);
    rig.end(&[&focus, &clients[0]]);
}

#[test]
fn tenants_are_mapped_both_ways() {
    let mut rig = Rig::new();
    let room = "r2@muc.stadt_x.meet.jitsi";
    let focus = rig.focus();
    rig.send(
        &focus,
        &format!(r#"<presence to="{room}/focus"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#),
    );
    let c = rig.client();
    let back = rig.ask(
        &c,
        &format!(
            r#"<presence to="{room}/{}"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#,
            c.nick
        ),
    );
    assert!(
        back.iter().all(|f| f.contains(&format!("from=\"{room}")) || f.contains(&format!("room=\"{room}\""))),
        "{back:?}"
    );
    rig.end(&[&focus, &c]);
}

/// A tenant's room was entered by the spelling under which it is stored, and one room had two names.
#[test]
fn the_stored_spelling_of_a_tenants_room_is_no_address() {
    let mut rig = Rig::new();
    let focus = rig.focus();
    let join = r#"<x xmlns="http://jabber.org/protocol/muc"/>"#;
    rig.send(&focus, &format!(r#"<presence to="r2@muc.town.meet.jitsi/focus">{join}</presence>"#));
    let c = rig.client();
    for room in [
        "[town]r2@muc.meet.jitsi",
        "[]x@muc.meet.jitsi",
        "[r2]x@muc.town.meet.jitsi",
        "［town］r2@muc.meet.jitsi",
    ] {
        for stanza in [
            format!(r#"<presence to="{room}/{}">{join}</presence>"#, c.nick),
            format!(r#"<message type="groupchat" to="{room}"><body>x</body></message>"#),
            format!(
                r#"<iq type="get" id="1" to="{room}"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>"#
            ),
        ] {
            let back = rig.ask(&c, &stanza);
            assert!(back.len() == 1 && back[0].contains("<jid-malformed"), "{stanza}: {back:?}");
        }
    }
    assert_eq!(rig.server.stats().rooms, 1);
    rig.end(&[&focus, &c]);
}

/// `é` and `e` with an accent of its own were two rooms, and a zero-width character alone was one.
#[test]
fn two_spellings_of_a_rooms_name_are_one_room() {
    let mut rig = Rig::new();
    let focus = rig.focus();
    let join = r#"<x xmlns="http://jabber.org/protocol/muc"/>"#;
    rig.send(&focus, &format!(r#"<presence to="café@muc.meet.jitsi/focus">{join}</presence>"#));
    let c = rig.client();
    let back =
        rig.ask(&c, &format!("<presence to=\"Cafe\u{301}@muc.meet.jitsi/{}\">{join}</presence>", c.nick));
    assert!(back[0].contains("from=\"caf\u{e9}@muc.meet.jitsi/focus\""), "{back:?}");
    let back = rig.ask(&c, &format!("<presence to=\"\u{feff}@muc.meet.jitsi/{}\">{join}</presence>", c.nick));
    assert!(back[0].contains("<jid-malformed"), "{back:?}");
    rig.end(&[&focus, &c]);
}

#[test]
fn clients_cannot_look_into_the_brewery() {
    let mut rig = Rig::new();
    let brewery = "jvbbrewery@internal-muc.meet.jitsi";
    let jvb =
        rig.open(Transport::InProcess("jvb@auth.meet.jitsi/x".parse().unwrap()), SessionQuery::default());
    rig.raw(jvb, format!(r#"<presence to="{brewery}/jvb-1.a"><x xmlns="http://jabber.org/protocol/muc"/><stats xmlns="http://jitsi.org/protocol/colibri"/></presence>"#).as_bytes());
    assert!(rig.take_raw(jvb).iter().any(|f| f.contains("201")));
    let c = rig.client();
    assert!(
        rig.ask(
            &c,
            &format!(r#"<presence to="{brewery}/x"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#)
        )
        .is_empty()
    );
    let focus = rig.focus();
    let back = rig.ask(
        &focus,
        &format!(r#"<presence to="{brewery}/focus"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#),
    );
    assert!(back[0].contains("<stats ") && !back.iter().any(|f| f.contains("metadata")));
    rig.lose(jvb);
    rig.end(&[&c, &focus]);
}

#[test]
fn with_all_owners_everybody_joins_as_moderator() {
    let mut rig = Rig::with(|c| c.hosts.rooms[0].policy.all_owners = true);
    let focus = rig.focus();
    rig.join(&focus);
    let c = rig.client();
    let own: Vec<String> = rig.join(&c).into_iter().filter(|f| f.contains("110")).collect();
    assert!(own.len() == 1 && own[0].contains(r#"affiliation="owner" role="moderator""#));
    rig.end(&[&focus, &c]);
}

#[test]
fn two_sessions_of_one_role_share_a_nick() {
    let mut rig = Rig::new();
    let room = "jvbbrewery@internal-muc.meet.jitsi";
    let join = format!(r#"<presence to="{room}/a"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#);
    let one =
        rig.open(Transport::InProcess("jvb@auth.meet.jitsi/1".parse().unwrap()), SessionQuery::default());
    let two =
        rig.open(Transport::InProcess("jvb@auth.meet.jitsi/2".parse().unwrap()), SessionQuery::default());
    rig.raw(one, join.as_bytes());
    rig.raw(two, join.as_bytes());
    assert_eq!(rig.server.stats().occupants, 1);
    rig.lose(one);
    assert!(rig.take_raw(two).iter().all(|f| !f.contains("unavailable")));
    rig.lose(two);
    rig.assert_empty();
}
