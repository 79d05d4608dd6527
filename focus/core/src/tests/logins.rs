//! Where people log in: who opens a room, who waits, and who owns it.

use std::time::Duration;

use jitsi_xmpp::Element;

use super::world::{ME, NEW, ROOM, World};
use crate::{Config, LoginConfig, limits};

const DAY: Duration = Duration::from_secs(86_400);

fn town(automatic: bool) -> World {
    let mut config = Config::for_domain("meet.jitsi").unwrap();
    config.login =
        Some(LoginConfig { domain: "meet.jitsi".into(), lifetime: DAY, automatic, external: false });
    let mut w = World::with(config);
    w.add_bridge("jvb1");
    w
}

/// A request of this account, with these attributes; its answer.
fn ask(w: &mut World, from: &str, room: &str, attributes: &str) -> Element {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let id = format!("l{}", NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    w.receive(&format!(
        "<iq type='set' id='{id}' from='focus.meet.jitsi/{from}' to='{ME}'>\
         <conference xmlns='http://jitsi.org/protocol/focus' room='{room}' {attributes}/></iq>"
    ));
    w.replies.remove(&id).unwrap()
}

fn session(answer: &Element) -> String {
    let conference = answer.first_child().unwrap();
    assert_eq!(conference.attr("identity"), Some("anna@meet.jitsi"));
    conference.attr("session-id").unwrap().to_owned()
}

const ANNA: &str = "anna@meet.jitsi/r1";
const GUEST: &str = "4f2e@guest.meet.jitsi/r1";

#[test]
fn a_guest_waits_until_somebody_who_has_logged_in_opens_the_room() {
    let mut w = town(true);
    let refused = ask(&mut w, GUEST, ROOM, "machine-uid='b1'").to_xml();
    assert!(
        refused.contains("<not-authorized ") && refused.contains("not authorized user domain"),
        "{refused}"
    );
    assert!(!w.focus_in.contains_key(ROOM), "no room is opened for it");
    let opened = ask(&mut w, ANNA, ROOM, "machine-uid='b2'");
    let said = opened.to_xml();
    assert!(
        said.contains("ready=\"true\"") && said.contains("name=\"authentication\" value=\"true\""),
        "{said}"
    );
    session(&opened);
    let guest = ask(&mut w, GUEST, ROOM, "machine-uid='b1'").to_xml();
    assert!(guest.contains("ready=\"true\"") && !guest.contains("session-id"), "{guest}");
    let other = ask(&mut w, GUEST, "schule@muc.meet.jitsi", "machine-uid='b1'").to_xml();
    assert!(other.contains("<not-authorized "), "{other}");
}

/// The web app logs in over a second connection and goes on with the first.
#[test]
fn a_browser_that_has_logged_in_opens_rooms_from_its_connection_as_a_guest_and_owns_them() {
    let mut w = town(true);
    let id = session(&ask(&mut w, ANNA, "other@muc.meet.jitsi", "machine-uid='b1'"));
    let shown = format!("machine-uid='b1' session-id='{id}'");
    // As whom the scripted client called `anna` is in the room.
    let opened = ask(&mut w, "anna-0@meet.jitsi/r1", ROOM, &shown);
    assert_eq!(session(&opened), id);
    w.join("emil", NEW);
    w.join("anna", NEW);
    assert!(w.is_owner("anna") && !w.is_owner("emil"), "who came first is nobody in particular");
}

#[test]
fn who_does_not_moderate_by_its_account_opens_rooms_and_does_not_own_them() {
    let mut w = town(true);
    let bert = session(&ask(&mut w, ANNA, ROOM, "machine-uid='b1' moderates='false'"));
    ask(&mut w, "emil-0@meet.jitsi/r1", ROOM, &format!("machine-uid='b1' session-id='{bert}'"));
    w.join("emil", NEW);
    assert!(!w.is_owner("emil"), "who came first is nobody in particular");
    // What a guest says of itself is nothing.
    ask(
        &mut w,
        "emil-0@meet.jitsi/r1",
        ROOM,
        &format!("machine-uid='b1' session-id='{bert}' moderates='true'"),
    );
    assert!(!w.is_owner("emil"));
    let chair = session(&ask(&mut w, ANNA, ROOM, "machine-uid='b2' moderates='true'"));
    w.join("anna", NEW);
    ask(&mut w, "anna-0@meet.jitsi/r1", ROOM, &format!("machine-uid='b2' session-id='{chair}'"));
    assert!(w.is_owner("anna"));
}

#[test]
fn who_logs_in_during_the_meeting_owns_it_from_then_on() {
    let mut w = town(true);
    let id = session(&ask(&mut w, ANNA, ROOM, "machine-uid='b1'"));
    w.join("emil", NEW);
    assert!(!w.is_owner("emil"));
    ask(&mut w, "emil-0@meet.jitsi/r1", ROOM, &format!("machine-uid='b1' session-id='{id}'"));
    assert!(w.is_owner("emil"));
}

#[test]
fn compat_a_session_is_one_browser_s_and_what_is_wrong_with_it_is_said_as_upstream_says_it() {
    let mut w = town(true);
    let id = session(&ask(&mut w, ANNA, ROOM, "machine-uid='b1'"));
    for (from, attributes, condition, text) in [
        (GUEST, "machine-uid='b1' session-id='none'".to_owned(), "<not-acceptable ", "invalid session"),
        (GUEST, "machine-uid='b1' session-id='none'".to_owned(), "<session-invalid ", "invalid session"),
        (
            GUEST,
            format!("machine-uid='b2' session-id='{id}'"),
            "<not-acceptable ",
            "machine UID mismatch or empty",
        ),
        (GUEST, format!("session-id='{id}'"), "<not-acceptable ", "machine UID mismatch or empty"),
        (ANNA, String::new(), "<not-acceptable ", "Missing mandatory attribute 'machine-uid'"),
    ] {
        let said = ask(&mut w, from, ROOM, &attributes).to_xml();
        assert!(said.contains(condition) && said.contains(text), "{attributes}: {said}");
    }
    let logout = |w: &mut World| {
        w.receive(&format!("<iq type='set' id='out' from='{GUEST}' to='{ME}'><logout xmlns='http://jitsi.org/protocol/focus' session-id='{id}'/></iq>"));
        w.replies.remove("out").unwrap().to_xml()
    };
    assert!(logout(&mut w).contains("<logout "));
    assert!(logout(&mut w).contains("<session-invalid "), "it is over");
    let said = ask(&mut w, GUEST, ROOM, &format!("machine-uid='b1' session-id='{id}'")).to_xml();
    assert!(said.contains("<session-invalid "), "{said}");
}

#[test]
fn over_http_a_session_opens_a_room_and_nobody_else_does() {
    let mut w = town(true);
    let id = session(&ask(&mut w, ANNA, "other@muc.meet.jitsi", "machine-uid='b1'"));
    w.http_request(1, &format!("{{\"room\":\"{ROOM}\",\"machineUid\":\"b1\"}}"));
    assert_eq!(w.http[&1].status, 403);
    w.http_request(2, &format!("{{\"room\":\"{ROOM}\",\"machineUid\":\"b1\",\"sessionId\":\"x\"}}"));
    assert!(w.http[&2].status == 400 && w.http[&2].body.contains("invalid-session"));
    w.http_request(3, &format!("{{\"room\":\"{ROOM}\",\"machineUid\":\"b1\",\"sessionId\":\"{id}\"}}"));
    assert!(w.http[&3].status == 200 && w.http[&3].body.contains("\"ready\":true"), "{}", w.http[&3].body);
}

#[test]
fn a_session_lasts_as_long_as_it_is_shown_and_without_automatic_login_as_long_as_the_meeting() {
    let mut w = town(true);
    let id = session(&ask(&mut w, ANNA, ROOM, "machine-uid='b1'"));
    let shown = format!("machine-uid='b1' session-id='{id}'");
    for _ in 0..3 {
        w.advance(DAY - Duration::from_secs(60));
        session(&ask(&mut w, GUEST, ROOM, &shown));
    }
    w.advance(DAY);
    assert!(ask(&mut w, GUEST, ROOM, &shown).to_xml().contains("<session-invalid "));
    assert_eq!(w.focus.engine.logins.sizes(), (0, 0));

    let mut w = town(false);
    let id = session(&ask(&mut w, ANNA, ROOM, "machine-uid='b1'"));
    let shown = format!("machine-uid='b1' session-id='{id}'");
    w.join("emil", NEW);
    w.leave("emil");
    w.seconds(60);
    assert!(ask(&mut w, GUEST, ROOM, &shown).to_xml().contains("<session-invalid "), "the meeting is over");
}

#[test]
fn an_account_has_so_many_sessions_and_the_next_one_ends_its_oldest() {
    let mut w = town(true);
    let mut ids = Vec::new();
    for n in 0..=limits::LOGINS_PER_ACCOUNT {
        w.seconds(2);
        ids.push(session(&ask(&mut w, ANNA, ROOM, &format!("machine-uid='b{n}'"))));
    }
    assert_eq!(w.focus.engine.logins.sizes().0, limits::LOGINS_PER_ACCOUNT);
    w.seconds(2);
    let oldest = ask(&mut w, GUEST, ROOM, &format!("machine-uid='b0' session-id='{}'", ids[0])).to_xml();
    assert!(oldest.contains("<session-invalid "), "{oldest}");
    w.seconds(2);
    let next = ask(&mut w, GUEST, ROOM, &format!("machine-uid='b1' session-id='{}'", ids[1])).to_xml();
    assert!(next.contains("session-id="), "{next}");
}

#[test]
fn sessions_of_all_are_bounded_and_who_has_been_away_for_longest_logs_in_again() {
    use jitsi_xmpp::conference_request::ConferenceRequest;
    use jitsi_xmpp::entropy::SeededEntropy;
    let config = LoginConfig { domain: "meet.jitsi".into(), lifetime: DAY, automatic: true, external: false };
    let mut logins = crate::logins::Logins::default();
    let mut entropy = SeededEntropy::new(1);
    let start = std::time::Instant::now();
    let mut request = ConferenceRequest::new(ROOM.parse().unwrap());
    request.machine_uid = Some(jitsi_xmpp::Sensitive::new("b".into()));
    let mut first = None;
    for n in 0..=limits::LOGINS {
        let from = format!("u{n}@meet.jitsi/r").parse().unwrap();
        let now = start + Duration::from_millis(n as u64);
        let shown = logins.admit(now, &config, &request, Some(&from), false, &mut entropy).unwrap().unwrap();
        first.get_or_insert(shown.id);
        assert!(logins.sizes().0 <= limits::LOGINS);
    }
    assert_eq!(logins.sizes(), (limits::LOGINS, limits::LOGINS));
    assert!(logins.end(first.unwrap().reveal()).is_err(), "the oldest is over");
}

#[test]
fn compat_nobody_logs_in_for_a_breakout_room() {
    let mut w = town(true);
    let guest = ask(&mut w, GUEST, "b1@breakout.meet.jitsi", "machine-uid='b1'").to_xml();
    assert!(guest.contains("ready=\"true\""), "{guest}");
    let other = ask(&mut w, GUEST, ROOM, "machine-uid='b1'").to_xml();
    assert!(other.contains("<not-authorized "), "{other}");
}
