//! The focus: not there yet, lost, and back.

use std::time::Duration;

use jitsi_xmpp::ns;
use prosody_core::{SessionQuery, Transport};

use crate::world::{ROOM, To, World};

#[test]
fn without_a_focus_clients_keep_asking_and_come_in_when_it_is_there() {
    let mut w = World::bare();
    for name in ["Anna", "Ben"] {
        let n = w.client(name);
        w.enter(n);
    }
    w.seconds(10);
    assert!(w.clients.iter().all(|c| !c.in_room && c.refusals.is_empty() && c.ask_at.is_some()));
    w.connect_focus();
    w.add_bridge();
    w.seconds(16);
    w.connect();
    w.assert_all_hear_each_other();
    w.end();
}

#[test]
fn a_join_before_the_room_exists_is_refused_so_that_the_client_asks_and_succeeds() {
    let mut w = World::new();
    let n = w.client("Anna");
    w.act(n, |c| c.join());
    assert!(w.clients[n].refusals[0].to_xml().contains("not-allowed"));
    w.run(Duration::ZERO);
    assert!(w.clients[n].in_room, "it asked the focus and joined again");
    assert_eq!(w.clients[n].refusals.len(), 1);
    w.end();
}

#[test]
fn a_join_into_a_room_without_a_focus_waits_until_it_is_in() {
    let mut w = World::new();
    // Another role is there first, e.g. after a restart of the focus.
    let conn = w.open(
        To::Bridge(0),
        Transport::InProcess("jvb@auth.meet.jitsi/early".parse().unwrap()),
        SessionQuery::default(),
    );
    w.raw(
        conn,
        format!(r#"<presence xmlns="jabber:client" to="{ROOM}/early"><x xmlns="{}"/></presence>"#, ns::MUC)
            .as_bytes(),
    );
    let n = w.client("Anna");
    w.act(n, |c| c.join());
    w.seconds(5);
    assert!(!w.clients[n].in_room && w.clients[n].refusals.is_empty());
    let m = w.client("Ben");
    w.enter(m);
    assert!(w.clients[n].in_room && w.clients[m].in_room, "the focus came for Ben, Anna came along");
    w.connect();
    w.assert_all_hear_each_other();
    w.lose(conn);
    // It never answered what the focus asked it.
    w.seconds(15);
    w.end();
}

#[test]
fn a_join_that_waits_for_a_focus_that_never_comes_is_refused_then_the_client_asks() {
    let mut w = World::new();
    let conn = w.open(
        To::Bridge(0),
        Transport::InProcess("jvb@auth.meet.jitsi/early".parse().unwrap()),
        SessionQuery::default(),
    );
    w.raw(
        conn,
        format!(r#"<presence xmlns="jabber:client" to="{ROOM}/early"><x xmlns="{}"/></presence>"#, ns::MUC)
            .as_bytes(),
    );
    let n = w.client("Anna");
    w.act(n, |c| c.join());
    w.seconds(60);
    assert_eq!(w.clients[n].refusals.len(), 1);
    w.seconds(1);
    assert!(w.clients[n].in_room);
    w.lose(conn);
    w.end();
}

/// What a web client does when it sees the focus leave: the meeting is over for it, the page reloads.
fn reload(w: &mut World) {
    for n in 0..w.clients.len() {
        assert!(
            w.clients[n].gone.iter().any(|(_, nick)| nick == "focus"),
            "compat: {n} sees the focus leave"
        );
        w.leave(n);
    }
    for n in 0..w.clients.len() {
        w.log_in(n);
        w.enter(n);
    }
}

#[test]
fn compat_a_lost_focus_is_seen_leaving_and_the_next_meeting_works() {
    let mut w = World::new();
    w.meeting(&["Anna", "Ben"]);
    w.lose_focus_link();
    assert_eq!(w.server.stats().rooms, 2, "people are still in the room");
    w.seconds(1);
    reload(&mut w);
    w.seconds(4);
    assert!(w.clients.iter().all(|c| !c.in_room), "asking for a focus");
    w.connect_focus();
    w.seconds(10);
    w.connect();
    assert_eq!(w.bridges[0].shard.load(), (1, 2), "nothing is left of the old conference");
    w.assert_all_hear_each_other();
    w.end();
}

#[test]
fn a_focus_that_comes_back_before_the_clients_reload_finds_its_way() {
    let mut w = World::new();
    w.meeting(&["Anna", "Ben"]);
    w.lose_focus_link();
    w.connect_focus();
    w.seconds(6);
    assert_eq!(w.bridges[0].shard.load(), (0, 0), "the bridge was told to forget the old conference");
    // One client does not reload at once: it is still in the room when the other asks.
    w.leave(1);
    w.log_in(1);
    w.enter(1);
    w.connect();
    assert_eq!(w.clients[0].sessions, 2, "it was invited again");
    w.assert_all_hear_each_other();
    w.end();
}

#[test]
fn a_resumed_focus_was_never_away() {
    let mut w = World::bare();
    w.log_focus_in();
    w.add_bridge();
    w.meeting(&["Anna", "Ben"]);
    w.lose_focus_link();
    w.seconds(5);
    // What happens meanwhile waits.
    w.leave(1);
    let n = w.client("Cem");
    w.enter(n);
    w.seconds(8);
    w.resume_focus_link();
    w.seconds(20);
    w.connect();
    assert!(w.clients.iter().all(|c| c.gone.iter().all(|(_, nick)| nick != "focus")));
    assert_eq!((w.focus.stats().participants, w.bridges[0].endpoints()), (2, 2));
    w.assert_all_hear_each_other();
    w.end();
}

#[test]
fn a_focus_that_is_away_too_long_is_seen_leaving_after_fifteen_seconds() {
    let mut w = World::bare();
    w.log_focus_in();
    w.add_bridge();
    w.meeting(&["Anna", "Ben"]);
    let since = w.now;
    w.lose_focus_link();
    w.seconds(14);
    assert!(w.clients[0].gone.is_empty());
    w.seconds(2);
    assert_eq!(w.clients[0].gone, [(since + Duration::from_secs(15), "focus".to_owned())]);
    assert_eq!(w.focus.stats().conferences, 0);
    w.log_focus_in();
    w.seconds(6);
    assert!(w.bridges[0].shard.is_empty(), "told to forget the old conference");
    reload(&mut w);
    w.connect();
    w.assert_all_hear_each_other();
    w.end();
}

#[test]
fn a_request_under_way_when_the_focus_is_lost_is_answered_so_that_the_client_asks_again() {
    let mut w = World::new();
    // The focus gets the request but is lost before it has joined.
    w.meddle = Box::new(|to, text| {
        let lost = to == To::Focus && text.contains("<presence") && text.contains("haushalt");
        if lost { vec![] } else { vec![Duration::ZERO] }
    });
    let n = w.client("Anna");
    w.enter(n);
    assert!(w.clients[n].ask_at.is_none() && !w.clients[n].in_room, "waits for an answer");
    w.lose_focus_link();
    assert!(w.clients[n].ask_at.is_some(), "was told: not ready");
    w.meddle = Box::new(|_, _| vec![Duration::ZERO]);
    w.connect_focus();
    w.seconds(3);
    assert!(w.clients[n].in_room);
    w.end();
}
