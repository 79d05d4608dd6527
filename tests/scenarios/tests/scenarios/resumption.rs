//! Clients that vanish: back in time, nobody notices; too late, everybody does, once.

use std::time::Duration;

use crate::world::{ROOM, World};

const HIBERNATION: Duration = Duration::from_secs(70);

#[test]
fn who_vanishes_is_gone_for_others_exactly_after_the_hibernation_time() {
    let mut w = World::new();
    w.meeting(&["Anna", "Ben", "Cem"]);
    let nick = w.clients[2].nick.clone();
    let since = w.now;
    w.lose_websocket(2);
    w.run(HIBERNATION - Duration::from_millis(1));
    assert!(w.clients[0].gone.is_empty() && w.clients[1].gone.is_empty());
    assert_eq!((w.server.stats().hibernating, w.focus.stats().participants), (1, 3));
    assert_eq!(w.bridges[0].endpoints(), 3, "its media still flows");
    w.run(Duration::from_millis(1));
    for n in [0, 1] {
        assert_eq!(w.clients[n].gone, [(since + HIBERNATION, nick.clone())]);
    }
    assert_eq!(w.focus.stats().participants, 2);
    assert_eq!(w.bridges[0].endpoints(), 2, "the focus has expired the endpoint");
    let expired = w.bridges[0].requests.iter().flat_map(|r| &r.endpoints).filter(|e| e.expire);
    assert_eq!(expired.map(|e| e.id.as_str()).collect::<Vec<_>>(), [nick.as_str()]);
    w.clients[2].out_of_room();
    w.assert_all_hear_each_other();
    w.end();
}

#[test]
fn with_the_cable_pulled_the_bridge_may_forget_first_and_all_ends_well() {
    let mut w = World::new();
    w.meeting(&["Anna", "Ben", "Cem"]);
    w.pull_cable(2);
    w.seconds(200);
    assert_eq!((w.focus.stats().participants, w.bridges[0].endpoints()), (2, 2));
    assert_eq!((w.clients[0].gone.len(), w.clients[1].gone.len()), (1, 1));
    w.clients[2].out_of_room();
    for n in [0, 1] {
        assert_eq!(w.clients[n].take_actions(), ["session-initiate"], "the others are not disturbed");
    }
    w.assert_all_hear_each_other();
    w.end();
}

#[test]
fn who_resumes_in_time_never_left() {
    let mut w = World::new();
    w.meeting(&["Anna", "Ben", "Cem"]);
    let (occupants, sid) = (w.clients[1].occupants.clone(), w.clients[1].sid.clone());
    w.pull_cable(1);
    w.act(0, |c| c.say_in_chat("Ist Ben noch da?"));
    w.seconds(15);
    // Both while it is away: one leaves, one comes.
    w.leave(2);
    let d = w.client("Dora");
    w.enter(d);
    w.seconds(5);
    w.resume(1);
    assert!(w.clients[1].stream.said("resumed"));
    w.seconds(10);
    assert!(w.clients[0].gone.iter().all(|(_, nick)| *nick != w.clients[1].nick), "nobody saw it leave");
    assert!(w.clients[d].gone.is_empty());
    let ben = &w.clients[1];
    assert_eq!((&ben.sid, ben.sessions), (&sid, 1), "the same session");
    assert_eq!(ben.chat, ["Ist Ben noch da?"]);
    assert!(occupants.contains_key(&w.clients[2].nick) && !ben.occupants.contains_key(&w.clients[2].nick));
    assert!(ben.occupants.contains_key(&w.clients[d].nick));
    w.assert_all_hear_each_other();
    w.end();
}

#[test]
fn what_a_client_said_just_before_it_was_lost_is_said_once_after_it_is_back() {
    let mut w = World::new();
    w.meeting(&["Anna", "Ben"]);
    w.pull_cable(0);
    // Said into the broken connection.
    w.act(0, |c| c.say_in_chat("eins"));
    w.seconds(3);
    w.resume(0);
    w.act(0, |c| c.say_in_chat("zwei"));
    assert_eq!(w.clients[1].chat, ["eins", "zwei"]);
    assert_eq!(w.clients[0].chat, ["eins", "zwei"]);
    w.seconds(5);
    w.pull_cable(0);
    w.resume(0);
    assert_eq!(w.clients[1].chat.len(), 2, "nothing twice");
    w.end();
}

#[test]
fn who_comes_back_too_late_joins_as_somebody_new() {
    let mut w = World::new();
    w.meeting(&["Anna", "Ben"]);
    let old = w.clients[1].nick.clone();
    w.pull_cable(1);
    w.seconds(71);
    w.clients[1].stream.control.clear();
    w.resume(1);
    assert!(w.clients[1].stream.said("failed") && !w.clients[1].stream.said("resumed"));
    let conn = w.clients[1].stream.conn.take().unwrap();
    w.lose(conn);
    w.log_in(1);
    w.enter(1);
    w.connect();
    assert_ne!(w.clients[1].nick, old);
    assert_eq!(w.focus.stats().participants, 2);
    w.assert_all_hear_each_other();
    w.end();
}

/// A page that is reloaded while its old session hibernates: two of the same person for a while, then one.
#[test]
fn a_reload_without_goodbye_leaves_a_ghost_that_goes() {
    let mut w = World::new();
    w.meeting(&["Anna", "Ben"]);
    w.pull_cable(1);
    w.log_in(1);
    w.enter(1);
    w.connect();
    assert_eq!(w.focus.stats().participants, 3);
    w.seconds(70);
    assert_eq!((w.focus.stats().participants, w.bridges[0].endpoints()), (2, 2));
    assert_eq!(w.clients[0].occupants.len(), 2, "the focus and the new one");
    w.assert_all_hear_each_other();
    assert_eq!(w.clients[0].room, ROOM);
    w.end();
}
