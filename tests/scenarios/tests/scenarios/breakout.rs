//! Breakout rooms through all parts: each is a conference of its own, and the meeting waits for those who are in one.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::world::{ROOM, World};

const DOMAIN: &str = "breakout.meet.jitsi";

fn open(w: &mut World, n: usize, name: &str) -> String {
    let message = format!(
        r#"<message to="{DOMAIN}" xmlns="jabber:client"><breakout_rooms type="features/breakout-rooms/add" subject="{name}"/></message>"#
    );
    w.act(n, |c| c.stream.send(message));
    w.seconds(1);
    let told = std::mem::take(&mut w.clients[n].told);
    let (_, list) = told.into_iter().rfind(|(from, _)| from == DOMAIN).unwrap();
    let list: Value = serde_json::from_str(&list).unwrap();
    let rooms = list["rooms"].as_object().unwrap();
    rooms.values().find(|r| r["name"] == name).unwrap()["jid"].as_str().unwrap().to_owned()
}

fn go(w: &mut World, n: usize, room: &str) {
    let to = room.to_owned();
    w.act(n, |c| {
        let from = format!("{}/{}", c.room, c.nick);
        c.stream.send(format!(
            r#"<presence to="{from}" type="unavailable" xmlns="jabber:client"><status>switch_room</status></presence>"#
        ));
        c.out_of_room();
        c.replies.clear();
        c.room = to;
    });
    w.enter(n);
}

/// Whose voice reaches somebody.
fn heard(w: &mut World, by: usize) -> BTreeSet<usize> {
    let all = 0..w.clients.len();
    for _ in 0..10 {
        for n in all.clone() {
            w.clients[n].send_media();
        }
        w.run(Duration::from_millis(20));
    }
    w.run(Duration::from_millis(200));
    let map = w.clients[by].mapped("AudioSourcesMap");
    all.filter(|n| map.contains_key(&format!("{}-a0", w.clients[*n].nick))).collect()
}

#[test]
fn people_go_into_breakout_rooms_talk_there_and_come_back() {
    let mut w = World::new();
    w.meeting(&["Anna", "Ben", "Cem", "Dora"]);
    assert!(w.clients[0].moderator);
    let room = open(&mut w, 0, "Group 1");
    for n in [2, 3] {
        go(&mut w, n, &room);
    }
    w.connect();
    assert_eq!(w.focus.stats().conferences, 2, "a conference of its own");
    assert_eq!((heard(&mut w, 3), heard(&mut w, 1)), (BTreeSet::from([2]), BTreeSet::from([0])));
    assert!(!w.clients[2].moderator && !w.clients[3].moderator, "nobody becomes one by coming first");

    // All of them: nobody is in the meeting itself.
    for n in [0, 1] {
        go(&mut w, n, &room);
    }
    w.connect();
    assert!(w.clients[0].moderator, "who moderates the meeting does so here");
    w.seconds(60);
    assert_eq!(w.focus.stats().conferences, 2, "the meeting waits");
    w.assert_all_hear_each_other();

    for n in 0..4 {
        go(&mut w, n, ROOM);
    }
    w.connect();
    assert!(w.clients[0].moderator);
    w.assert_all_hear_each_other();
    w.seconds(16);
    assert_eq!(w.focus.stats().conferences, 1, "a room that nobody is in is none of the focus'");

    // Ended for all, wherever they are.
    go(&mut w, 3, &room);
    w.seconds(1);
    let end = r#"<message to="endconference.meet.jitsi" xmlns="jabber:client"><end_conference/></message>"#;
    w.act(0, |c| c.stream.send(end.to_owned()));
    w.seconds(1);
    assert!(w.clients.iter().all(|c| !c.in_room));
    assert_eq!((w.focus.stats().conferences, w.server.stats().rooms), (0, 1), "the brewery is left");
    w.end();
}
