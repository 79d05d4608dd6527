//! Bridges that die, hang, or are not there.

use crate::world::World;

fn bridge_not_available(w: &World, n: usize) -> bool {
    w.clients[n].occupants["focus"]
        .to_xml()
        .contains("<bridgeNotAvailable xmlns=\"http://jitsi.org/protocol/focus\"/>")
}

#[test]
fn when_a_bridge_dies_everybody_meets_again_on_the_other() {
    let mut w = World::new();
    w.meeting(&["Anna", "Ben", "Cem"]);
    let other = w.add_bridge();
    w.seconds(6);
    for c in &mut w.clients {
        c.take_actions();
    }
    w.kill_bridge(0);
    for c in &mut w.clients {
        assert_eq!(c.take_actions(), ["session-terminate", "session-initiate"]);
        assert_eq!(c.terminate_reasons, ["success moving"]);
    }
    w.connect();
    assert_eq!(w.bridges[other].shard.load(), (1, 3));
    assert!(!bridge_not_available(&w, 0));
    w.assert_all_hear_each_other();
    w.end();
}

#[test]
fn without_another_bridge_the_room_is_told_and_recovers_when_one_comes() {
    let mut w = World::new();
    w.meeting(&["Anna", "Ben"]);
    w.kill_bridge(0);
    assert!(w.clients.iter().all(|c| c.sid.is_none()), "ended: there is nobody to send media to");
    assert!(bridge_not_available(&w, 0) && bridge_not_available(&w, 1));
    w.act(0, |c| c.say_in_chat("Hört ihr mich?"));
    assert_eq!(w.clients[1].chat.len(), 1, "chat goes on");
    let n = w.client("Cem");
    w.enter(n);
    w.seconds(30);
    assert!(w.clients[n].in_room && w.clients[n].sid.is_none());
    w.restart_bridge(0);
    w.connect();
    assert!(!bridge_not_available(&w, 0));
    assert_eq!(w.bridges[0].shard.load(), (1, 3));
    w.assert_all_hear_each_other();
    w.end();
}

#[test]
fn a_bridge_that_hangs_is_found_out_by_the_next_request_and_left() {
    let mut w = World::new();
    w.meeting(&["Anna", "Ben"]);
    let other = w.add_bridge();
    w.seconds(6);
    w.bridges[0].alive = false;
    let n = w.client("Cem");
    w.enter(n);
    w.seconds(60);
    w.connect();
    assert_eq!(w.bridges[other].shard.load(), (1, 3));
    w.assert_all_hear_each_other();
    // It wakes up and still has the old conference: it is told to forget it, or forgets by itself.
    w.bridges[0].alive = true;
    w.seconds(200);
    assert!(w.bridges[0].shard.is_empty(), "{:?}", w.bridges[0].shard.load());
    w.assert_all_hear_each_other();
    w.end();
}

#[test]
fn a_bridge_restarted_at_once_is_used_at_once() {
    let mut w = World::new();
    w.meeting(&["Anna", "Ben"]);
    w.kill_bridge(0);
    w.restart_bridge(0);
    w.connect();
    w.assert_all_hear_each_other();
    w.end();
}

#[test]
fn a_bridge_that_loses_only_its_xmpp_link_comes_back_and_keeps_nothing_old() {
    let mut w = World::new();
    w.meeting(&["Anna", "Ben"]);
    let conn = w.bridges[0].conn.take().unwrap();
    w.lose(conn);
    assert!(bridge_not_available(&w, 0));
    w.seconds(2);
    w.reconnect_bridge(0);
    w.connect();
    assert_eq!(w.bridges[0].shard.load(), (1, 2));
    w.assert_all_hear_each_other();
    w.end();
}

#[test]
fn without_any_bridge_from_the_start_media_comes_with_the_first_one() {
    let mut w = World::bare();
    w.connect_focus();
    for name in ["Anna", "Ben"] {
        let n = w.client(name);
        w.enter(n);
    }
    assert!(bridge_not_available(&w, 0));
    w.seconds(120);
    w.add_bridge();
    w.connect();
    assert!(!bridge_not_available(&w, 0));
    w.assert_all_hear_each_other();
    w.end();
}

#[test]
fn three_bridges_die_one_after_the_other() {
    let mut w = World::new();
    w.add_bridge();
    w.add_bridge();
    w.meeting(&["Anna", "Ben", "Cem"]);
    for _ in 0..2 {
        let used = (0..3).find(|n| w.bridges[*n].alive && w.bridges[*n].endpoints() > 0).unwrap();
        w.kill_bridge(used);
        w.connect();
        w.assert_all_hear_each_other();
    }
    w.end();
}
