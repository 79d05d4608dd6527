//! What modules answer over HTTP to who asks from inside.

use jitsi_xmpp::Sensitive;
use prosody_core::{HttpMethod, HttpRequest};

use crate::rig::{Client, ROOM, Rig, name};

/// A question about this.
pub fn request(path: &str) -> HttpRequest {
    let (path, query) = path.split_once('?').map_or((path, None), |(p, q)| (p, Some(q.to_owned())));
    HttpRequest::get(path.to_owned(), query.map(Sensitive::new))
}

/// What is answered to who asks for this from inside.
fn get(rig: &mut Rig, path: &str) -> (u16, String) {
    rig.http(&request(path))
}

fn counting() -> Rig {
    Rig::with(|c| name(c, &["muc_size", "muc_census"]))
}

#[test]
fn compat_the_size_of_a_room_is_counted_without_the_focus() {
    let mut rig = counting();
    let ask = "/room-size?room=rathaus&domain=meet.jitsi";
    assert_eq!(get(&mut rig, ask), (404, String::new()));
    let focus = rig.focus();
    rig.join(&focus);
    assert_eq!(get(&mut rig, ask), (200, r#"{"participants":1}"#.into()), "upstream's slip");
    let (anna, ben) = (rig.client(), rig.client());
    rig.join(&anna);
    assert_eq!(get(&mut rig, ask), (200, r#"{"participants":1}"#.into()));
    rig.join(&ben);
    assert_eq!(get(&mut rig, ask), (200, r#"{"participants":2}"#.into()));
    assert_eq!(get(&mut rig, "/sessions"), (200, "3".into()));
    for (path, status) in [
        ("/room-size", 400),
        ("/room-size?room=rathaus", 400),
        ("/room-size?domain=meet.jitsi", 404),
        ("/room-size?room=rathaus&domain=example.org", 404),
        ("/room-size?room=rathaus&domain=meet.jitsi&subdomain=town", 404),
        ("/room-size?room=@&domain=meet.jitsi", 404),
        ("/rooms", 404),
    ] {
        assert_eq!(get(&mut rig, path), (status, String::new()), "{path}");
    }
    rig.end(&[&focus, &anna, &ben]);
}

#[test]
fn compat_who_is_in_a_room_is_told_to_who_asks_inside() {
    let mut rig = counting();
    let focus = rig.focus();
    rig.join(&focus);
    let ask = "/room?room=rathaus&domain=meet.jitsi";
    assert_eq!(get(&mut rig, ask), (200, "[]".into()));
    let (anna, ben) = (rig.client(), rig.client());
    rig.join_with(
        &anna,
        "",
        r#"<nick xmlns="http://jabber.org/protocol/nick">A "B"</nick><email>a@b</email>"#,
    );
    rig.join_with(&ben, "", "");
    let someone = |c: &Client, email: &str, name: &str| {
        format!(r#"{{"jid":"{ROOM}/{}","email":"{email}","display_name":"{name}"}}"#, c.nick)
    };
    let mut people = [someone(&anna, "a@b", r#"A \"B\""#), someone(&ben, "", "")];
    people.sort();
    assert_eq!(get(&mut rig, ask), (200, format!("[{}]", people.join(","))));
    rig.end(&[&focus, &anna, &ben]);
}

#[test]
fn compat_a_rooms_name_is_taken_as_it_stands_in_the_question() {
    let mut rig = counting();
    let focus = rig.focus();
    for room in ["caf%c3%a9@muc.meet.jitsi", "r@muc.town.meet.jitsi"] {
        rig.send(
            &focus,
            &format!(r#"<presence to="{room}/focus"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#),
        );
    }
    for path in [
        "/room-size?room=caf%C3%A9&domain=Meet.jitsi",
        "/room-size?room=x&room=caf%c3%a9&domain=meet.jitsi&subdomain=",
        "/room-size?subdomain=town&domain=meet.jitsi&room=r",
    ] {
        assert_eq!(get(&mut rig, path).0, 200, "{path}");
    }
    rig.end(&[&focus]);
}

#[test]
fn compat_the_census_names_meetings_and_counts_without_the_focus() {
    let mut rig = counting();
    assert_eq!(get(&mut rig, "/room-census"), (200, r#"{"room_census":[]}"#.into()));
    let (focus, clients) = rig.meeting(2);
    for room in [
        "__jicofo-health-check-1@muc.meet.jitsi",
        "jvbbrewery@internal-muc.meet.jitsi",
        "[t]x@muc.meet.jitsi",
        "x@muc.t.meet.jitsi",
    ] {
        rig.send(
            &focus,
            &format!(r#"<presence to="{room}/focus"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#),
        );
    }
    let expected = concat!(
        r#"{"room_census":[{"room_name":"[t]x@muc.meet.jitsi","participants":0,"leaked":false},"#,
        r#"{"room_name":"rathaus@muc.meet.jitsi","participants":2,"created_time":"1795390567000","leaked":false}]}"#
    );
    assert_eq!(get(&mut rig, "/room-census"), (200, expected.into()));
    rig.end(&[&focus, &clients[0], &clients[1]]);
}

#[test]
fn compat_whether_a_room_has_a_password_is_told_and_what_it_is_is_not() {
    let mut rig = Rig::with(|c| name(c, &["muc_password_check"]));
    let (focus, clients) = rig.meeting(1);
    let [anna] = &clients[..] else { panic!() };
    let ask = "/room-info?room=rathaus";
    let says = |on: bool| {
        format!(r#"{{"conference":"rathaus@muc.meet.jitsi","passcodeProtected":{on},"lobbyEnabled":false}}"#)
    };
    assert_eq!(get(&mut rig, ask), (200, says(false)));
    rig.grant(&focus, anna);
    rig.ask(
        anna,
        &format!(
            r#"<iq xmlns="jabber:client" type="set" id="p" to="{ROOM}"><query xmlns="http://jabber.org/protocol/muc#owner"><x xmlns="jabber:x:data" type="submit"><field var="FORM_TYPE"><value>http://jabber.org/protocol/muc#roomconfig</value></field><field var="muc#roomconfig_roomsecret"><value>4711</value></field><field var="muc#roomconfig_passwordprotectedroom"><value>1</value></field></x></query></iq>"#
        ),
    );
    assert_eq!(get(&mut rig, ask), (200, says(true)));
    for (path, status) in [
        ("/room-info", 400),
        ("/room-info?prefix=town", 400),
        ("/room-info?room=nobody", 404),
        ("/room-info?room=rathaus&prefix=town", 404),
        ("/room-info?room=@", 404),
    ] {
        assert_eq!(get(&mut rig, path), (status, String::new()), "{path}");
    }
    rig.end(&[&focus, anna]);
}

#[test]
fn nobody_learns_of_rooms_from_a_server_whose_admin_did_not_name_the_modules() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(1);
    for path in [
        "/room-size?room=rathaus&domain=meet.jitsi",
        "/room?room=rathaus&domain=meet.jitsi",
        "/sessions",
        "/room-census",
    ] {
        assert_eq!(get(&mut rig, path), (404, String::new()), "{path}");
    }
    // What may be there after a reload is asked for, and is not there now.
    let routes = rig.server.http_routes();
    for (method, path) in &routes {
        let request = HttpRequest { method: *method, ..HttpRequest::get((*path).to_owned(), None) };
        assert_eq!(rig.http(&request).0, 404, "{path}");
    }
    rig.end(&[&focus, &clients[0]]);
    for path in ["/room", "/room-census", "/room-size", "/sessions"] {
        assert!(routes.contains(&(HttpMethod::Get, path)), "{path}");
    }
}
