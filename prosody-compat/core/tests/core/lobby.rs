//! The lobby: strangers knock at a meeting, wait in a room of their own, and are let in or turned away.

use std::time::Duration;

use jitsi_xmpp::{Element, Sensitive, ns};
use prosody_core::{Config, SessionQuery};
use serde_json::{Value, json};

use crate::rig::{Client, ROOM, Rig, between, parse, without_push};

const LOBBY: &str = "rathaus@lobby.meet.jitsi";

/// A meeting with a moderator, a participant whom she made a member, and a lobby.
fn with_lobby(rig: &mut Rig) -> (Client, Client, Client) {
    let (focus, clients) = rig.meeting(2);
    let (anna, ben) = (clients[0].clone(), clients[1].clone());
    rig.grant(&focus, &anna);
    set(rig, &anna, ROOM, &format!(r#"affiliation="member" jid="{}""#, ben.bare()));
    rig.configure(&anna, ROOM, "membersonly", "true");
    for c in [&focus, &anna, &ben] {
        rig.take(c);
    }
    (focus, anna, ben)
}

fn set(rig: &mut Rig, who: &Client, room: &str, item: &str) -> Vec<String> {
    rig.ask(who, &format!(r#"<iq type="set" id="ad" to="{room}"><query xmlns="http://jabber.org/protocol/muc#admin"><item {item}/></query></iq>"#))
}

fn knock(rig: &mut Rig, who: &Client, name: &str) -> Vec<String> {
    rig.ask(who, &format!(r#"<presence to="{LOBBY}/{}"><x xmlns="http://jabber.org/protocol/muc"/><nick xmlns="http://jabber.org/protocol/nick">{name}</nick><email>{name}@town.example</email></presence>"#, who.nick))
}

fn invite(rig: &mut Rig, who: &Client, to: &[&str]) -> Vec<String> {
    let invites: String = to.iter().map(|to| format!(r#"<invite to="{to}"/>"#)).collect();
    rig.ask(who, &format!(r#"<message id="iv" to="{ROOM}"><x xmlns="http://jabber.org/protocol/muc#user">{invites}</x></message>"#))
}

/// What the meeting was told about its lobby, and by whom.
fn notices(frames: &[String]) -> Vec<(String, Value)> {
    let all = frames.iter().map(|f| parse(f));
    all.filter_map(|e| {
        let json: Value = serde_json::from_str(&e.child("json-message", ns::JITMEET)?.text()).ok()?;
        (json["type"] == "lobby-notify").then(|| (e.attr("from").unwrap().to_owned(), json))
    })
    .collect()
}

fn error_of(frames: &[String]) -> Element {
    let error = frames.iter().find(|f| f.contains("<error ")).unwrap_or_else(|| panic!("{frames:?}"));
    parse(error)
}

#[test]
fn compat_strangers_are_sent_to_the_lobby() {
    let mut rig = Rig::new();
    let (focus, anna, ben) = with_lobby(&mut rig);
    let clara = rig.client();
    let back = rig.join(&clara);
    assert_eq!(back.len(), 1, "{back:?}");
    let presence = parse(&back[0]);
    assert_eq!(presence.attr("from"), Some(format!("{ROOM}/{}", clara.nick).as_str()));
    assert_eq!((presence.attr("type"), presence.attr("id")), (Some("error"), Some("j")));
    let error = presence.child_named("error").unwrap();
    assert_eq!((error.attr("type"), error.attr("code")), (Some("auth"), Some("407")));
    assert!(error.child("registration-required", ns::STANZA_ERRORS).is_some());
    assert_eq!(error.child("lobbyroom", ns::JITMEET).unwrap().text(), LOBBY);
    assert_eq!(presence.child("lobbyroom", ns::CLIENT).unwrap().text(), LOBBY, "older apps look here");
    assert!(presence.child("x", ns::MUC).is_some());
    rig.end(&[&focus, &anna, &ben, &clara]);
}

#[test]
fn compat_who_knocks_has_a_name_even_who_was_let_in_already() {
    let mut rig = Rig::new();
    let (focus, anna, ben) = with_lobby(&mut rig);
    let (clara, member) = (rig.client(), rig.client());
    set(&mut rig, &anna, ROOM, &format!(r#"affiliation="member" jid="{}""#, member.bare()));
    for (who, nick) in
        [(&clara, ""), (&member, ""), (&member, r#"<nick xmlns="http://jabber.org/protocol/nick"/>"#)]
    {
        let presence = error_of(&rig.join_with(who, "", nick));
        let error = presence.child_named("error").unwrap();
        assert_eq!((error.attr("type"), error.attr("code")), (Some("modify"), Some("406")));
        assert!(error.child("not-acceptable", ns::STANZA_ERRORS).is_some());
        let required = error.child("displayname-required", ns::JITMEET).unwrap();
        assert_eq!(required.attr("lobby"), Some("true"));
        assert!(presence.child("x", ns::MUC).is_some());
    }
    assert!(rig.join(&member).iter().any(|f| f.contains(r#"code="110""#)));
    rig.end(&[&focus, &anna, &ben, &clara, &member]);
}

#[test]
fn compat_who_knocks_sees_itself_and_moderators_see_it() {
    let mut rig = Rig::new();
    let (focus, anna, ben) = with_lobby(&mut rig);
    let (clara, dora, eva) = (rig.client(), rig.client(), rig.client());
    rig.grant(&focus, &eva);
    let own = knock(&mut rig, &clara, "Clara");
    assert!(own.len() == 1 && own[0].contains(r#"code="110""#), "no subject, nobody else: {own:?}");
    let own = knock(&mut rig, &dora, "Dora");
    assert!(own.len() == 1 && own[0].contains(r#"affiliation="none""#), "{own:?}");
    assert!(rig.take(&clara).is_empty(), "who waits does not see who else does");

    let seen = knock(&mut rig, &anna, "Anna");
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert!(seen.iter().any(|f| f.contains("Clara@town.example")), "{seen:?}");
    assert!(seen[2].contains(r#"role="moderator""#) && seen[2].contains(r#"code="110""#));
    let seen = knock(&mut rig, &eva, "Eva");
    assert!(seen.len() == 3 && !seen.iter().any(|f| f.contains("Anna")), "moderators do not see each other");
    assert!(rig.take(&anna).is_empty() && rig.take(&clara).is_empty() && rig.take(&dora).is_empty());

    rig.send(&clara, &format!(r#"<presence to="{LOBBY}/{}"><nick xmlns="http://jabber.org/protocol/nick">Clara K.</nick></presence>"#, clara.nick));
    assert!(rig.take(&anna)[0].contains("Clara K.") && rig.take(&dora).is_empty());
    assert!(rig.take(&clara)[0].contains(r#"code="110""#), "{ROOM}");
    rig.end(&[&focus, &anna, &ben, &clara, &dora, &eva]);
}

#[test]
fn who_leaves_the_lobby_is_no_stranger_s_business() {
    let mut rig = Rig::new();
    let (focus, anna, ben) = with_lobby(&mut rig);
    let (clara, dora) = (rig.client(), rig.client());
    for (who, name) in [(&anna, "Anna"), (&clara, "Clara"), (&dora, "Dora")] {
        knock(&mut rig, who, name);
    }
    rig.take(&anna);
    // Let in, and made an owner before the client has left the lobby: still nobody that waits.
    rig.grant(&focus, &clara);
    rig.take(&anna);
    rig.send(&clara, &format!(r#"<presence to="{LOBBY}/{}" type="unavailable"/>"#, clara.nick));
    assert!(rig.take(&dora).is_empty());
    let told = rig.take(&anna);
    assert!(told.len() == 1 && told[0].contains(r#"type="unavailable""#), "{told:?}");
    assert!(rig.take(&clara).last().unwrap().contains(r#"code="110""#));
    rig.end(&[&focus, &anna, &ben, &clara, &dora]);
}

#[test]
fn compat_in_the_lobby_moderators_hear_and_are_heard() {
    let mut rig = Rig::new();
    let (focus, anna, ben) = with_lobby(&mut rig);
    let (clara, dora) = (rig.client(), rig.client());
    for (who, name) in [(&anna, "Anna"), (&clara, "Clara"), (&dora, "Dora")] {
        knock(&mut rig, who, name);
    }
    let everybody = [&anna, &clara, &dora];
    let heard = |rig: &mut Rig| everybody.map(|c| rig.take(c).len());
    heard(&mut rig);
    let group =
        |text: &str| format!(r#"<message type="groupchat" to="{LOBBY}"><body>{text}</body></message>"#);
    rig.send(&clara, &group("may I?"));
    assert_eq!(heard(&mut rig), [1, 0, 0], "not even itself");
    rig.send(&anna, &group("in a minute"));
    assert_eq!(heard(&mut rig), [1, 1, 1]);
    let to =
        |who: &Client| format!(r#"<message type="chat" to="{LOBBY}/{}"><body>x</body></message>"#, who.nick);
    rig.send(&clara, &to(&dora));
    assert_eq!(heard(&mut rig), [0, 0, 0]);
    rig.send(&clara, &to(&anna));
    rig.send(&anna, &to(&dora));
    assert_eq!(heard(&mut rig), [1, 0, 1]);
    for (from, to) in [(&clara, &dora), (&anna, &dora), (&clara, &anna)] {
        let nick = &to.nick;
        rig.send(
            from,
            &format!(r#"<iq type="get" id="q" to="{LOBBY}/{nick}"><query xmlns="jabber:iq:version"/></iq>"#),
        );
    }
    assert_eq!(heard(&mut rig), [0, 0, 0], "nobody is asked anything");
    // Who comes later hears nothing of it, and the meeting nothing at all.
    let eva = rig.client();
    assert_eq!(knock(&mut rig, &eva, "Eva").len(), 1);
    assert!(rig.take(&ben).is_empty());
    rig.end(&[&focus, &anna, &ben, &clara, &dora, &eva]);
}

#[test]
fn compat_an_invitation_lets_in_and_the_meeting_is_told() {
    let mut rig = Rig::new();
    let (focus, anna, ben) = with_lobby(&mut rig);
    let (clara, dora, eva) = (rig.client(), rig.client(), rig.client());
    for (who, name) in [(&clara, "Clara"), (&dora, "Dora")] {
        knock(&mut rig, who, name);
    }
    assert!(invite(&mut rig, &clara, &[&clara.jid])[0].contains("<forbidden "), "not in the meeting");
    assert!(invite(&mut rig, &ben, &[&clara.jid])[0].contains("<forbidden "), "a member is no moderator");
    assert!(invite(&mut rig, &anna, &["@"])[0].contains("<jid-malformed "));
    for c in [&anna, &ben, &clara] {
        rig.take(c);
    }
    // Several at once; one has not knocked, one is nobody.
    let told = invite(&mut rig, &anna, &[&clara.jid, &dora.jid, &eva.jid, "nobody@meet.jitsi/x"]);
    let member = told.iter().find(|f| f.contains(clara.bare())).unwrap();
    assert!(member.contains(r#"<item affiliation="member""#), "{member}");
    assert!(member.contains(&format!("<reason>Invited by {}</reason>", anna.jid)), "{member}");
    let granted = |who: &Client, name: &str| {
        let from = format!("{ROOM}/{}", anna.nick);
        let value = format!("{LOBBY}/{}", who.nick);
        (from, json!({"type": "lobby-notify", "event": "LOBBY-ACCESS-GRANTED", "value": value, "name": name}))
    };
    let expected = [granted(&clara, "Clara"), granted(&dora, "Dora")];
    assert_eq!(notices(&told), expected);
    assert_eq!(notices(&rig.take(&ben)), expected, "everybody in the meeting hears it");
    let invited = rig.take(&clara);
    let message = parse(invited.last().unwrap());
    assert_eq!((message.attr("from"), message.attr("id")), (Some(ROOM), Some("iv")));
    let x = message.child("x", ns::MUC_USER).unwrap();
    assert_eq!(x.child_named("invite").unwrap().attr("from"), Some(anna.jid.as_str()));
    assert!(x.child_named("invite").unwrap().child_named("reason").is_some());
    assert_eq!(message.child("x", "jabber:x:conference").unwrap().attr("jid"), Some(ROOM));
    assert!(
        message.child_named("body").unwrap().text().ends_with(&format!("invited you to the room {ROOM}"))
    );
    for who in [&clara, &dora, &eva] {
        assert!(rig.join(who).iter().any(|f| f.contains(r#"code="110""#)), "{}", who.nick);
    }
    rig.end(&[&focus, &anna, &ben, &clara, &dora, &eva]);
}

#[test]
fn compat_a_kick_in_the_lobby_turns_away_and_takes_nothing_else() {
    let mut rig = Rig::new();
    let (focus, anna, ben) = with_lobby(&mut rig);
    let clara = rig.client();
    knock(&mut rig, &clara, "Clara");
    knock(&mut rig, &anna, "Anna");
    let kick = format!(r#"role="none" nick="{}""#, clara.nick);
    let refused = set(&mut rig, &clara, LOBBY, &format!(r#"role="none" nick="{}""#, anna.nick));
    assert!(refused[0].contains("<not-allowed "), "{refused:?}");
    rig.take(&ben);
    let told = set(&mut rig, &anna, LOBBY, &kick);
    let denied = json!({"type": "lobby-notify", "event": "LOBBY-ACCESS-DENIED", "value": format!("{LOBBY}/{}", clara.nick), "name": "Clara"});
    let expected = [(format!("{ROOM}/{}", anna.nick), denied)];
    assert_eq!(notices(&told), expected);
    assert_eq!(notices(&rig.take(&ben)), expected);
    let kicked = rig.take(&clara);
    assert!(kicked.last().unwrap().contains(r#"code="307""#), "{kicked:?}");
    // A member that has not left the lobby yet stays a member.
    set(&mut rig, &anna, ROOM, &format!(r#"affiliation="member" jid="{}""#, clara.bare()));
    knock(&mut rig, &clara, "Clara");
    set(&mut rig, &anna, LOBBY, &kick);
    assert!(rig.join(&clara).iter().any(|f| f.contains(r#"affiliation="member""#)));
    rig.end(&[&focus, &anna, &ben, &clara]);
}

#[test]
fn compat_a_lobby_is_opened_and_closed_by_moderators_and_everybody_is_told() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(2);
    let (anna, ben) = (&clients[0], &clients[1]);
    rig.grant(&focus, anna);
    let stranger = rig.client();
    set(&mut rig, anna, ROOM, &format!(r#"affiliation="member" jid="{}""#, ben.bare()));
    for c in [&focus, anna, ben] {
        rig.take(c);
    }
    let rooms = rig.server.stats().rooms;
    let form = |rig: &mut Rig, who: &Client| {
        rig.ask(who, &format!(r#"<iq type="get" id="d" to="{ROOM}"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>"#))[0].clone()
    };
    let notice = |on: bool| {
        let json = json!({"type": "lobby-notify", "event": "LOBBY-ENABLED", "value": on});
        [(format!("{ROOM}/{}", anna.nick), json)]
    };
    assert!(rig.configure(ben, ROOM, "membersonly", "true")[0].contains("<forbidden "));
    assert!(!form(&mut rig, ben).contains("lobbyroom"));
    rig.configure(anna, ROOM, "membersonly", "true");
    assert_eq!(rig.server.stats().rooms, rooms + 1);
    let told = rig.take(ben);
    assert_eq!(notices(&told), notice(true));
    assert!(
        told.iter().any(|f| f.contains("lobbyEnabled&quot;:true") || f.contains(r#""lobbyEnabled":true"#)),
        "{told:?}"
    );
    assert!(told.last().unwrap().contains(r#"code="104""#), "{told:?}");
    let field = format!(r#"var="muc#roominfo_lobbyroom"><value>{LOBBY}</value>"#);
    assert!(form(&mut rig, ben).contains(&field));
    // Once more changes nothing.
    rig.configure(anna, ROOM, "membersonly", "true");
    assert!(rig.take(ben).is_empty());
    // A field that is not there keeps its value, and the lobby stays.
    rig.configure(anna, ROOM, "roomname", "Rat");
    assert!(form(&mut rig, anna).contains(&field));

    knock(&mut rig, &stranger, "Clara");
    rig.take(ben);
    rig.configure(anna, ROOM, "membersonly", "false");
    let gone = rig.take(&stranger);
    assert!(
        gone[0].contains(&format!(r#"<destroy jid="{ROOM}"><reason>Lobby room closed.</reason></destroy>"#)),
        "{gone:?}"
    );
    let told = rig.take(ben);
    assert_eq!(notices(&told), notice(false));
    assert!(told.iter().any(|f| f.contains("104")) && told.iter().any(|f| f.contains("false")), "{told:?}");
    assert!(!form(&mut rig, ben).contains("lobbyroom"));
    assert_eq!(rig.server.stats().rooms, rooms);
    assert!(
        rig.join_with(&stranger, "", "").iter().any(|f| f.contains(r#"code="110""#)),
        "needs no name now"
    );
    rig.end(&[&focus, anna, ben, &stranger]);
}

#[test]
fn a_lobby_ends_with_its_meeting_and_not_with_who_waits() {
    let mut rig = Rig::new();
    let (focus, anna, ben) = with_lobby(&mut rig);
    let clara = rig.client();
    knock(&mut rig, &clara, "Clara");
    rig.send(&clara, &format!(r#"<presence to="{LOBBY}/{}" type="unavailable"/>"#, clara.nick));
    rig.take(&clara);
    assert_eq!(knock(&mut rig, &clara, "Clara").len(), 1, "empty, and still there");
    for c in [&anna, &ben, &focus] {
        rig.leave(c);
    }
    let gone = rig.take(&clara);
    assert!(
        gone[0].contains("<destroy><reason>Lobby room closed.</reason></destroy>"),
        "nowhere to go: {gone:?}"
    );
    assert_eq!(rig.server.stats().rooms, 0);
    let back = knock(&mut rig, &clara, "Clara");
    assert!(back[0].contains("<not-allowed ") && back[0].contains("Room creation is restricted"), "{back:?}");
    // The meeting opens again, without one.
    rig.join(&focus);
    assert!(rig.join_with(&clara, "", "").iter().any(|f| f.contains(r#"code="110""#)));
    rig.end(&[&focus, &anna, &ben, &clara]);
}

#[test]
fn a_lobby_is_led_by_its_meeting_alone() {
    let mut rig = Rig::new();
    let (focus, anna, ben) = with_lobby(&mut rig);
    knock(&mut rig, &anna, "Anna");
    let refused = rig.configure(&anna, LOBBY, "membersonly", "true");
    assert!(refused[0].contains("<not-allowed "), "{refused:?}");
    let destroy = format!(
        r#"<iq type="set" id="de" to="{LOBBY}"><query xmlns="http://jabber.org/protocol/muc#owner"><destroy/></query></iq>"#
    );
    assert!(rig.ask(&anna, &destroy)[0].contains("<not-allowed "));
    let refused = set(&mut rig, &anna, LOBBY, &format!(r#"affiliation="owner" jid="{}""#, ben.bare()));
    assert!(refused[0].contains("<not-allowed "), "{refused:?}");
    // Not even the focus makes one.
    let other = r#"<presence to="other@lobby.meet.jitsi/focus"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#;
    assert!(rig.ask(&focus, other)[0].contains("Room creation is restricted"));
    rig.end(&[&focus, &anna, &ben]);
}

#[test]
fn compat_the_room_s_password_and_exempt_domains_go_past_the_lobby() {
    let mut rig = Rig::with(|c: &mut Config| {
        c.hosts.rooms[0].policy.lobby_exempt = vec!["auth.meet.jitsi".parse().unwrap()];
        *c = c.clone().with_account("recorder@auth.meet.jitsi".parse().unwrap(), "x");
    });
    let (focus, anna, ben) = with_lobby(&mut rig);
    rig.configure(&anna, ROOM, "roomsecret", "Zimt");
    let join = |password: &str| format!("<password>{password}</password>");
    let (clara, dora) = (rig.client(), rig.client());
    // Not right: it waits like all others, and who tries on is answered later, as at every door.
    assert!(error_of(&rig.join_with(&clara, &join("Salz"), NAMED)).to_xml().contains("407"));
    let back = rig.join_with(&clara, &join("Zimt"), "");
    assert!(back.iter().any(|f| f.contains(r#"affiliation="member""#)), "no name needed: {back:?}");
    // Let in by a moderator: no password is asked for.
    set(&mut rig, &anna, ROOM, &format!(r#"affiliation="member" jid="{}""#, dora.bare()));
    assert!(error_of(&rig.join_with(&dora, &join("Salz"), NAMED)).to_xml().contains("<not-authorized "));
    assert!(rig.join_with(&dora, "", NAMED).iter().any(|f| f.contains(r#"code="110""#)));
    let jid = "recorder@auth.meet.jitsi/r";
    let conn = rig.open(prosody_core::Transport::InProcess(jid.parse().unwrap()), SessionQuery::default());
    let recorder = Client { conn, jid: jid.into(), nick: "recorder".into() };
    let back = rig.join_with(&recorder, &join("Zimt"), "");
    assert!(back.iter().any(|f| f.contains(r#"code="110""#)), "{back:?}");
    rig.end(&[&focus, &anna, &ben, &clara, &dora, &recorder]);
}

const NAMED: &str = r#"<nick xmlns="http://jabber.org/protocol/nick">N</nick>"#;

/// Right or wrong: at a locked door the answer says which, so that passwords are tried no faster through the lobby.
#[test]
fn the_lobby_does_not_tell_faster_whether_a_password_is_right() {
    let mut rig = Rig::new();
    let (focus, anna, ben) = with_lobby(&mut rig);
    rig.configure(&anna, ROOM, "roomsecret", "Zimt");
    let clara = rig.client();
    let answered = |rig: &mut Rig| {
        (0..20)
            .filter(|i| !rig.join_with(&clara, &format!("<password>{i}</password>"), NAMED).is_empty())
            .count()
    };
    let at_once = answered(&mut rig);
    assert!((5..=10).contains(&at_once), "{at_once}");
    rig.advance(Duration::from_secs(30));
    rig.end(&[&focus, &anna, &ben, &clara]);
}

/// Upstream's `muc_allowners` makes those owners who are in; who is not let in is none.
#[test]
fn compat_the_lobby_comes_before_everybody_s_ownership() {
    let mut rig = Rig::with(|c| c.hosts.rooms[0].policy.all_owners = true);
    let (focus, clients) = rig.meeting(1);
    rig.configure(&clients[0], ROOM, "membersonly", "true");
    let clara = rig.client();
    assert!(error_of(&rig.join(&clara)).to_xml().contains("<registration-required "));
    assert!(rig.take(&clients[0]).iter().all(|f| !f.contains(clara.bare())));
    invite(&mut rig, &clients[0], &[&clara.jid]);
    let own = rig.join(&clara);
    let own = own.iter().find(|f| f.contains(r#"code="110""#)).unwrap();
    assert!(own.contains(r#"affiliation="owner""#) && own.contains(r#"role="moderator""#), "{own}");
    rig.end(&[&focus, &clients[0], &clara]);
}

#[test]
fn compat_discovery_names_the_lobby_and_whether_a_name_is_needed() {
    const FEATURE: &str = "http://jitsi.org/protocol/lobbyrooms#displayname_required";
    let mut rig = Rig::new();
    let node = r#"<iq type="get" id="n" to="lobby.meet.jitsi"><query xmlns="http://jabber.org/protocol/disco#info" node="lobbyrooms"/></iq>"#;
    let host = r#"<iq type="get" id="h" to="meet.jitsi"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>"#;
    let (focus, clients) = rig.meeting(1);
    let anna = &clients[0];
    let info = rig.ask(anna, host);
    assert!(info[0].contains(r#"type="lobbyrooms" name="lobby.meet.jitsi""#), "{info:?}");
    let empty = rig.ask(anna, node);
    assert!(empty[0].contains(r#"node="lobbyrooms""#) && !empty[0].contains("<feature "), "{empty:?}");
    rig.grant(&focus, anna);
    rig.configure(anna, ROOM, "membersonly", "true");
    assert!(rig.ask(anna, node)[0].contains(FEATURE));
    // Before anybody asks; of the meeting that the URL names.
    let pushed = |rig: &mut Rig, room: &str| {
        let query = SessionQuery { room: Some(Sensitive::new(room.into())), ..Default::default() };
        let conn = rig.authenticated(query);
        rig.raw(conn, br#"<iq xmlns="jabber:client" type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>"#);
        let frames = rig.take_raw(conn);
        rig.lose(conn);
        frames[0].contains(FEATURE)
    };
    assert!(pushed(&mut rig, "rathaus") && !pushed(&mut rig, "other"));
    rig.configure(anna, ROOM, "membersonly", "false");
    assert!(!pushed(&mut rig, "rathaus"));
    rig.end(&[&focus, anna]);

    let mut rig = Rig::with(|c| {
        without_push(c);
        c.hosts.remove_lobby();
    });
    let (focus, clients) = rig.meeting(1);
    assert!(!rig.ask(&clients[0], host)[0].contains("lobbyrooms"), "absent when off");
    rig.grant(&focus, &clients[0]);
    rig.take(&clients[0]);
    let told = rig.configure(&clients[0], ROOM, "membersonly", "true");
    assert!(notices(&told).is_empty() && told.iter().any(|f| f.contains("104")), "{told:?}");
    let clara = rig.client();
    let back = rig.join(&clara);
    assert!(back[0].contains("<registration-required ") && !back[0].contains("lobbyroom"), "{back:?}");
    rig.end(&[&focus, &clients[0], &clara]);
}

#[test]
fn compat_a_tenant_s_lobby_has_the_stored_name() {
    let mut rig = Rig::new();
    let focus = rig.focus();
    let (room, lobby) = ("r2@muc.town.meet.jitsi", "[town]r2@lobby.meet.jitsi");
    let join = |to: &str| {
        format!(r#"<presence to="{to}"><x xmlns="http://jabber.org/protocol/muc"/>{NAMED}</presence>"#)
    };
    rig.send(&focus, &join(&format!("{room}/focus")));
    let (anna, clara) = (rig.client(), rig.client());
    rig.send(&anna, &join(&format!("{room}/{}", anna.nick)));
    set(&mut rig, &focus, room, &format!(r#"affiliation="owner" jid="{}""#, anna.bare()));
    rig.configure(&anna, room, "membersonly", "true");
    let back = rig.ask(&clara, &join(&format!("{room}/{}", clara.nick)));
    assert_eq!(
        between(&back[0], r#"<lobbyroom xmlns="http://jitsi.org/jitmeet">"#, "</"),
        Some(lobby),
        "{back:?}"
    );
    let own = rig.ask(&clara, &join(&format!("{lobby}/{}", clara.nick)));
    assert!(own[0].contains(&format!(r#"from="{lobby}/"#)) && own[0].contains("110"), "{own:?}");
    rig.configure(&anna, room, "membersonly", "false");
    let gone = rig.take(&clara);
    assert!(gone[0].contains(&format!(r#"<destroy jid="{room}">"#)), "{gone:?}");
    rig.end(&[&focus, &anna, &clara]);
}

/// Naming somebody's nick in a change of affiliation moves nobody before it is known that the change is allowed.
#[test]
fn compat_a_nick_in_a_change_of_affiliation_removes_nobody() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(1);
    let stranger = rig.client();
    for who in [&clients[0], &focus] {
        let item = format!(r#"affiliation="member" jid="someone-else@example.com" nick="{}""#, who.nick);
        assert!(set(&mut rig, &stranger, ROOM, &item)[0].contains("<error "));
        assert!(rig.take(who).is_empty());
    }
    rig.end(&[&focus, &clients[0], &stranger]);
}

#[test]
fn so_many_are_invited_at_once_and_not_one_more() {
    let mut rig = Rig::with(|c| c.limits.max_invites = 3);
    let (focus, anna, ben) = with_lobby(&mut rig);
    let names: Vec<String> = (0..4).map(|i| format!("p{i}@meet.jitsi/x")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert!(invite(&mut rig, &anna, &names)[0].contains("<policy-violation "));
    assert!(rig.take(&ben).is_empty(), "none of them");
    assert_eq!(invite(&mut rig, &anna, &names[..3]).len(), 3);
    rig.end(&[&focus, &anna, &ben]);
}

#[test]
fn where_everybody_comes_in_everybody_invites() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(2);
    let clara = rig.client();
    assert!(invite(&mut rig, &clients[0], &[&clara.jid, "focus@auth.meet.jitsi/focus"]).is_empty());
    assert!(rig.take(&clara)[0].contains("invited you to the room"));
    assert!(rig.take(&focus).is_empty(), "the roles are not to be reached");
    rig.end(&[&focus, &clients[0], &clients[1], &clara]);
}
