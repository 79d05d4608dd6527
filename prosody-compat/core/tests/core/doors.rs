//! Doors that the server opens and shuts by itself: guests who wait for a host, lobbies from the beginning, meetings that end.

use std::time::Duration;

use jitsi_xmpp::ns;
use prosody_core::limits::SERVICES_ALONE;
use prosody_core::{Config, Login, SessionQuery, Transport};
use serde_json::json;

use crate::rig::{Client, ROOM, Rig, parse};
use crate::tokens::{token_with, with_both};

const LOBBY: &str = "rathaus@lobby.meet.jitsi";

fn name(module: &'static str) -> impl Fn(&mut Config) {
    move |c| c.hosts.rooms[0].modules.push(module.into())
}

/// Where somebody with a token is a host and everybody else a guest.
fn town(change: impl FnOnce(&mut Config)) -> Rig {
    with_both(|s| s.allow_empty = true, change)
}

fn host(rig: &mut Rig) -> Client {
    rig.client_with(token_with(&json!({ "context": { "user": { "id": "anna", "name": "Anna" } } })))
}

fn account(rig: &mut Rig, jid: &str) -> Client {
    let conn = rig.open(Transport::InProcess(jid.parse().unwrap()), SessionQuery::default());
    Client { conn, jid: jid.to_owned(), nick: jid.split('@').next().unwrap().to_owned() }
}

fn in_it(frames: &[String]) -> bool {
    frames.iter().any(|f| f.contains(r#"code="110""#) && !f.contains("unavailable"))
}

fn knock(rig: &mut Rig, who: &Client) -> Vec<String> {
    rig.ask(
        who,
        &format!(
            r#"<presence to="{LOBBY}/{}"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#,
            who.nick
        ),
    )
}

fn rooms(rig: &Rig) -> usize {
    rig.server.stats().rooms
}

#[test]
fn compat_guests_wait_for_a_host() {
    let mut rig = town(name("muc_wait_for_host"));
    let focus = rig.focus();
    rig.join(&focus);
    let (guest, late) = (rig.client(), rig.client());
    let refused = rig.join_with(&guest, "", "");
    let presence = parse(&refused[0]);
    let error = presence.child_named("error").unwrap();
    assert_eq!((refused.len(), error.attr("type"), error.attr("code")), (1, Some("auth"), Some("407")));
    assert!(error.child("registration-required", ns::STANZA_ERRORS).is_some());
    assert!(error.child("waiting-for-host", ns::JITMEET).is_some(), "{refused:?}");
    assert_eq!(error.child("lobbyroom", ns::JITMEET).unwrap().text(), LOBBY);
    assert!(rig.take(&focus).iter().any(|f| f.contains(r#"<status code="104"/>"#)));
    assert!(in_it(&knock(&mut rig, &guest)), "without a name");

    // The focus gives up a room that nobody enters; who waits keeps it.
    rig.leave(&focus);
    assert_eq!(rooms(&rig), 2);
    rig.join(&focus);
    rig.take(&guest);
    let anna = host(&mut rig);
    let own = rig.join(&anna);
    assert!(
        own.iter().any(|f| f.contains(r#"affiliation="owner""#) && f.contains(r#"code="110""#)),
        "{own:?}"
    );
    let told = rig.take(&guest);
    let destroyed = format!(r#"<destroy jid="{ROOM}"><reason>Host arrived.</reason></destroy>"#);
    assert!(told.iter().any(|f| f.contains(&destroyed)), "{told:?}");
    assert!(in_it(&rig.join_with(&guest, "", "")) && in_it(&rig.join(&late)), "nobody waits any more");
    rig.leave(&anna);
    rig.leave(&late);
    assert!(in_it(&rig.join(&late)), "a host has been here");
    rig.end(&[&focus, &anna, &guest, &late]);
}

#[test]
fn compat_a_host_is_told_that_it_owns_the_room_once_it_is_in() {
    let mut rig = town(name("muc_wait_for_host"));
    let focus = rig.focus();
    rig.join(&focus);
    rig.take(&focus);
    let anna = host(&mut rig);
    for seen in [rig.join(&anna), rig.take(&focus)] {
        let of_anna = format!(r#"from="{ROOM}/{}""#, anna.nick);
        let seen = seen.iter().filter(|f| f.starts_with("<presence") && f.contains(&of_anna));
        let owns: Vec<bool> = seen.map(|f| f.contains(r#"affiliation="owner" role="moderator""#)).collect();
        assert_eq!(owns, [false, true]);
    }
    // Where it need not own the room, it does not.
    let mut other = town(|c| {
        name("muc_wait_for_host")(c);
        c.hosts.rooms[0].policy.hosts_own = false;
    });
    let nobody = other.focus();
    other.join(&nobody);
    let ben = host(&mut other);
    assert!(!other.join(&ben).concat().contains(&format!(r#"jid="{}" affiliation="owner""#, ben.jid)));
    let own = other.take(&nobody).concat();
    assert!(!own.contains("moderator") && own.contains(&ben.nick), "{own}");
    rig.end(&[&focus, &anna]);
    other.end(&[&nobody, &ben]);
}

#[test]
fn a_room_that_nobody_waits_for_ends() {
    let mut rig = town(name("muc_wait_for_host"));
    let focus = rig.focus();
    rig.join(&focus);
    let guest = rig.client();
    rig.join(&guest);
    rig.leave(&focus);
    assert_eq!(rooms(&rig), 0, "it was turned away and has not knocked");
    rig.join(&focus);
    rig.join(&guest);
    knock(&mut rig, &guest);
    rig.leave(&focus);
    assert_eq!(rooms(&rig), 2);
    rig.send(&guest, &format!(r#"<presence to="{LOBBY}/{}" type="unavailable"/>"#, guest.nick));
    assert_eq!(rooms(&rig), 0);
    rig.end(&[&focus, &guest]);
}

#[test]
fn who_has_an_account_is_a_host_and_need_not_own_the_room() {
    let mut rig = Rig::with(|c| {
        c.hosts.ask_for_accounts();
        c.hosts.add_guests("guest.meet.jitsi");
        name("muc_wait_for_host")(c);
        c.hosts.rooms[0].policy.hosts_own = false;
    });
    let focus = rig.focus();
    rig.join(&focus);
    let (anna, guest) =
        (account(&mut rig, "anna@meet.jitsi/x"), account(&mut rig, "6f2c1a90@guest.meet.jitsi/x"));
    assert!(rig.join(&guest)[0].contains("<waiting-for-host "));
    let own = rig.join(&anna);
    assert!(
        own.iter().any(|f| f.contains(r#"affiliation="none""#) && f.contains(r#"code="110""#)),
        "{own:?}"
    );
    assert!(in_it(&rig.join(&guest)));
    rig.end_quietly(&guest);
    rig.end_quietly(&anna);
    rig.leave(&focus);
    rig.end(&[&focus]);
}

#[test]
fn in_rooms_that_are_moderated_a_host_has_a_token_and_owns_nothing_by_it() {
    let mut rig = town(|c| {
        name("muc_wait_for_host")(c);
        c.hosts.rooms[0].policy.moderated_rooms = vec!["rathaus".into()];
    });
    let focus = rig.focus();
    rig.join(&focus);
    let (anna, guest) = (host(&mut rig), rig.client());
    assert!(rig.join(&guest)[0].contains("<waiting-for-host "));
    let own = rig.join(&anna);
    let itself = own.iter().find(|f| f.contains(r#"code="110""#)).unwrap();
    assert!(itself.contains(r#"affiliation="member""#), "{itself}");
    assert!(in_it(&rig.join(&guest)));
    rig.end(&[&focus, &anna, &guest]);
}

#[test]
fn a_lobby_from_the_beginning_lets_those_in_whose_token_says_so() {
    let mut rig = town(|c| {
        name("lobby_autostart")(c);
        name("token_lobby_bypass")(c);
    });
    let focus = rig.focus();
    rig.join(&focus);
    let (anna, guest) = (host(&mut rig), rig.client());
    let bypass = json!({ "context": { "user": { "id": "ben" }, "features": { "lobby_bypass": true } } });
    let ben = rig.client_with(token_with(&bypass));
    for who in [&anna, &guest] {
        let refused = rig.join(who);
        assert!(
            refused[0].contains("<registration-required ") && !refused[0].contains("waiting-for-host"),
            "{refused:?}"
        );
        assert!(rig.join_with(who, "", "")[0].contains("<displayname-required "));
    }
    let own = rig.join(&ben);
    assert!(
        own.iter().any(|f| f.contains(r#"affiliation="member""#) && f.contains(r#"code="110""#)),
        "{own:?}"
    );
    assert!(own.iter().any(|f| f.contains(r#""lobbyEnabled":true"#)), "{own:?}");
    rig.end(&[&focus, &anna, &guest, &ben]);
}

#[test]
fn a_lobby_from_the_beginning_ends_with_the_first_who_comes_in_unless_its_token_wants_it() {
    for (wanted, ends) in [(json!({}), true), (json!({ "lobby": true }), false)] {
        let mut rig = town(|c| {
            for module in ["lobby_autostart", "token_lobby_bypass", "lobby_deactivate"] {
                name(module)(c);
            }
        });
        let focus = rig.focus();
        rig.join(&focus);
        let guest = rig.client();
        assert!(rig.join(&guest)[0].contains("<registration-required "));
        let context = json!({ "context": { "room": wanted, "features": { "lobby_bypass": true } } });
        let ben = rig.client_with(token_with(&context));
        assert!(in_it(&rig.join(&ben)));
        assert_eq!(in_it(&rig.join(&guest)), ends);
        rig.end(&[&focus, &guest, &ben]);
    }
}

#[test]
fn a_lobby_begins_with_the_first_owner_and_whoever_closes_it_has_the_last_word() {
    let mut rig = Rig::with(name("lobby_autostart_on_owner"));
    let (focus, clients) = rig.meeting(2);
    let (anna, ben, clara) = (&clients[0], &clients[1], rig.client());
    rig.grant(&focus, anna);
    let told = rig.take(ben);
    assert!(!told.iter().any(|f| f.contains("unavailable")), "who is in stays in: {told:?}");
    assert!(rig.join(&clara)[0].contains("<registration-required "));
    rig.configure(anna, ROOM, "membersonly", "0");
    assert!(in_it(&rig.join(&clara)));
    rig.grant(&focus, ben);
    rig.leave(&clara);
    assert!(in_it(&rig.join(&clara)));
    rig.end(&[&focus, anna, ben, &clara]);
}

#[test]
fn a_meeting_of_recorders_alone_ends_after_twenty_seconds() {
    let mut rig = Rig::with(|c| {
        name("muc_cleanup_backend_services")(c);
        c.hosts.add_hidden("hidden.meet.jitsi");
        c.recorders = vec!["recorder@hidden.meet.jitsi".into()];
    });
    let (focus, clients) = rig.meeting(1);
    let recorder = account(&mut rig, "recorder@hidden.meet.jitsi/x");
    assert!(in_it(&rig.join(&recorder)));
    rig.leave(&clients[0]);
    let nearly = SERVICES_ALONE - Duration::from_secs(1);
    rig.advance(nearly);
    rig.join(&clients[0]);
    rig.advance(nearly);
    assert_eq!(rooms(&rig), 1, "somebody came back");
    rig.leave(&clients[0]);
    rig.take(&recorder);
    rig.advance(nearly);
    assert_eq!(rooms(&rig), 1);
    rig.advance(Duration::from_secs(1));
    let told = rig.take(&recorder);
    assert!(told.iter().any(|f| f.contains("Empty room with recording and/or transcribing.")), "{told:?}");
    assert_eq!(rooms(&rig), 0);
    rig.end_quietly(&recorder);
    rig.end(&[&focus, &clients[0]]);
}

#[test]
fn a_meeting_ends_after_its_minutes_and_says_so_at_its_beginning() {
    let mut rig = Rig::with(|c| {
        name("time_restricted")(c);
        c.hosts.rooms[0].policy.max_minutes = Some(30);
        c.hosts.rooms[0].policy.minutes_grace = Duration::from_secs(20);
        c.hosts.rooms[0].policy.max_minutes_of_rooms.insert("rathaus".into(), 5);
    });
    let focus = rig.focus();
    rig.join(&focus);
    let anna = rig.client();
    let back = rig.join(&anna);
    assert!(back.iter().any(|f| f.contains("The conference will be terminated in 5 min")), "{back:?}");
    let countdown = |frames: &[String], elapsed: u64| {
        let said = frames.iter().find(|f| f.contains("time_restricted")).expect("a countdown");
        assert!(said.contains(&format!("from=\"{ROOM}\"")), "{said}");
        let said: serde_json::Value =
            serde_json::from_str(&parse(said).child_named("json-message").unwrap().text()).unwrap();
        let expected = serde_json::json!(
            { "type": "time_restricted", "durationSeconds": 300, "elapsedSeconds": elapsed }
        );
        assert_eq!(said, expected);
    };
    countdown(&back, 0);
    rig.advance(Duration::from_secs(60));
    let ben = rig.client();
    countdown(&rig.join(&ben), 60);
    rig.advance(Duration::from_secs(4 * 60 + 20 - 1));
    assert_eq!(rooms(&rig), 1, "twenty seconds to say goodbye");
    rig.take(&anna);
    rig.advance(Duration::from_secs(1));
    let told = rig.take(&anna);
    assert!(
        told.iter()
            .any(|f| f.contains("<reason>This meeting reached its time limit and has ended.</reason>"))
    );
    assert_eq!(rooms(&rig), 0);
    rig.end(&[&focus, &anna, &ben]);
}

#[test]
fn a_room_has_a_bound_of_its_own() {
    let mut rig = Rig::with(|c| {
        c.hosts.rooms[0].policy.max_participants = Some(10);
        c.hosts.rooms[0].policy.max_participants_of_rooms.insert("rathaus".into(), 2);
    });
    let (focus, clients) = rig.meeting(2);
    let third = rig.client();
    assert!(rig.join(&third)[0].contains("<service-unavailable "));
    rig.end(&[&focus, &clients[0], &clients[1], &third]);
}

#[test]
fn whoever_has_a_token_with_a_name_is_called_so_wherever_it_goes() {
    let mut rig = town(|c| c.hosts.users[0].modules.push("frozen_nick".into()));
    let focus = rig.focus();
    rig.join(&focus);
    let (anna, guest) = (host(&mut rig), rig.client());
    let fake = r#"<nick xmlns="http://jabber.org/protocol/nick">Mayor</nick>"#;
    let own = rig.join_with(&anna, "", fake);
    assert!(
        own.iter().any(|f| f.contains(">Anna</nick>")) && !own.iter().any(|f| f.contains("Mayor")),
        "{own:?}"
    );
    rig.grant(&focus, &anna);
    assert!(
        rig.join_with(&guest, "", fake).iter().any(|f| f.contains("Mayor")),
        "nobody vouches for a guest"
    );
    rig.end(&[&focus, &anna, &guest]);
}

#[test]
fn compat_another_device_takes_over() {
    let mut rig = town(name("muc_flip"));
    let focus = rig.focus();
    rig.join(&focus);
    let person = |id: &str, flip: bool| {
        token_with(&json!({ "context": { "user": { "id": id }, "features": { "flip": flip } } }))
    };
    let (desk, phone) = (rig.client_with(person("anna", true)), rig.client_with(person("anna", true)));
    let (other, ben) = (rig.client_with(person("anna", false)), rig.client_with(person("ben", true)));
    let guest = rig.client();
    rig.join(&desk);
    rig.join(&guest);
    rig.grant(&focus, &desk);
    rig.configure(&desk, ROOM, "roomsecret", "geheim");
    for who in [&other, &ben] {
        let refused = rig.join_with(who, "", "<flip_device/>");
        assert!(refused[0].contains("<not-authorized "), "they need the password: {refused:?}");
    }
    rig.take(&guest);
    rig.take(&desk);
    let own = rig.join_with(&phone, "", "<flip_device/>");
    assert!(
        own.iter()
            .any(|f| f.contains(r#"affiliation="owner" role="moderator""#) && f.contains(r#"code="110""#)),
        "{own:?}"
    );
    let told = rig.take(&guest);
    assert_eq!(
        told.iter().filter(|f| f.contains("<flip_device")).count(),
        2,
        "it comes, the other goes: {told:?}"
    );
    assert!(told[0].contains(&phone.nick) && told.last().unwrap().contains("unavailable"), "{told:?}");
    let gone = rig.take(&desk);
    let gone = gone.iter().find(|f| f.contains("unavailable")).unwrap();
    assert!(
        gone.contains(r#"code="307""#)
            && gone.contains("<flip_device")
            && gone.contains(r#"affiliation="none""#),
        "{gone}"
    );
    assert!(rig.join(&desk)[0].contains("<not-authorized "), "it is nobody in particular any more");
    // Nobody else's word counts.
    rig.send(&guest, &format!(r#"<presence to="{ROOM}/{}"><flip_device/></presence>"#, guest.nick));
    assert!(!rig.take(&phone).concat().contains("<flip_device"));
    rig.end(&[&focus, &desk, &phone, &other, &ben, &guest]);
}

#[test]
fn a_table_says_what_a_host_has() {
    let has = |module: &str| {
        let mut c = Config::for_domain("meet.jitsi").unwrap();
        c.hosts.rooms[0].modules.push(module.into());
        c.hosts.check().is_ok()
    };
    for module in [
        "lobby_autostart",
        "lobby_deactivate",
        "muc_flip",
        "time_restricted",
        "persistent_lobby",
        "rate_limit",
    ] {
        assert!(has(module), "{module}");
    }
    assert!(!has("lobby_auto_start"));
    let mut c = Config::for_domain("meet.jitsi").unwrap();
    assert!(matches!(c.hosts.users[0].login, Login::Anonymous));
    name("muc_wait_for_host")(&mut c);
    assert!(c.hosts.check().is_err(), "everybody would wait for ever");
}
