//! What `/debug` tells: enough to find a cause, and nobody's name.

use super::world::{ME, NEW, ROOM, World};
use crate::debug::Asked;
use crate::limits;

#[test]
fn a_meeting_is_told_without_the_names_of_its_room_and_its_people() {
    let mut w = World::meeting();
    w.add_bridge("jvb1");
    w.join("deadbeef", NEW);
    w.join("annamust", NEW);
    let all = w.focus.debug(w.now, &Asked::Full);
    assert!(all.connected && !all.draining && all.left_out == 0);
    assert_eq!((all.bridges[0].nick.as_str(), all.bridges[0].operational), ("jvb1", true));
    let [conference] = &all.conferences[..] else { panic!("{all:?}") };
    assert_eq!((conference.phase, conference.sessions[0].bridge.as_str()), ("running", "jvb1"));
    assert_eq!((conference.sessions.len(), conference.sessions[0].endpoint_count), (1, 2));
    let seen: Vec<_> = conference.members.iter().map(|m| (m.endpoint.as_deref(), m.kind)).collect();
    assert_eq!(seen, [(Some("deadbeef"), "person"), (None, "person")], "a nickname may be a name");
    assert!(conference.members.iter().all(|m| ["offered", "accepted"].contains(&m.media)), "{conference:?}");
    let text = format!("{all:?}");
    let (room, _) = ROOM.split_once('@').unwrap();
    assert!(!text.contains(room) && !text.contains("annamust"), "{text}");

    let short = w.focus.debug(w.now, &Asked::Short);
    assert_eq!((short.conferences[0].member_count, short.conferences[0].members.len()), (2, 0));
    let number = conference.number;
    for (asked, found) in [
        (Asked::Room(ROOM.parse().unwrap()), 1),
        (Asked::Number(number), 1),
        (Asked::Room("x@muc.meet.jitsi".parse().unwrap()), 0),
        (Asked::Number(number + 1), 0),
    ] {
        assert_eq!(w.focus.debug(w.now, &asked).conferences.len(), found, "{asked:?}");
    }
}

#[test]
fn so_many_conferences_and_members_are_told_and_the_rest_is_counted() {
    let mut w = World::new();
    let more = |w: &mut World, n: usize| {
        w.http_request_from(
            &format!("2001:db8:{n:x}::1"),
            n as u64,
            &format!("{{\"room\":\"r{n}@muc.meet.jitsi\"}}"),
        );
    };
    for n in 0..limits::DEBUG_CONFERENCES {
        more(&mut w, n);
    }
    let told = |w: &World| {
        let all = w.focus.debug(w.now, &Asked::Short);
        (all.conferences.len(), all.left_out)
    };
    assert_eq!(told(&w), (limits::DEBUG_CONFERENCES, 0));
    more(&mut w, limits::DEBUG_CONFERENCES);
    assert_eq!(told(&w), (limits::DEBUG_CONFERENCES, 1));

    // Three rooms of which two fit.
    let each = limits::MEMBERS_PER_CONFERENCE;
    for room in 0..3 {
        for n in 0..each {
            w.receive(&format!(
                "<presence from='r{room}@muc.meet.jitsi/g{n}' to='{ME}'><x xmlns='http://jabber.org/protocol/muc#user'>\
                 <item affiliation='none' role='participant' jid='g{n}-0@meet.jitsi/r'/></x></presence>"
            ));
            w.sent.clear();
        }
    }
    let all = w.focus.debug(w.now, &Asked::Full);
    let told: Vec<usize> = all.conferences.iter().take(3).map(|c| c.members.len()).collect();
    assert_eq!(told, [each, each, limits::DEBUG_MEMBERS - 2 * each]);
    assert_eq!(all.conferences[2].member_count, each);
}
