//! Moving by load: a bridge with too much of it, and one that has room.

use std::time::Duration;

use super::world::{NEW, ROOM, World};
use crate::config::Redistribution;
use crate::{Config, Strategy};

const OTHER: &str = "zweite@muc.meet.jitsi";

/// Two bridges that are linked; all of a room is on the first.
fn loaded(people: usize, change: impl FnOnce(&mut Config)) -> World {
    let mut config = Config::for_domain("meet.jitsi").unwrap();
    config.bridges.strategy = Strategy::RegionBased;
    config.bridges.relays = true;
    config.bridges.redistribution = Some(Redistribution::default());
    change(&mut config);
    let mut w = World::with(config);
    w.form_fields.clear();
    w.add_relay("jvb1");
    w.conference_request(ROOM);
    for n in 0..people {
        w.join(&format!("gast{n:04}"), NEW);
    }
    w.seconds(25);
    w.add_relay("jvb2");
    w.forget();
    w
}

fn minutes(w: &mut World, n: u64) {
    w.seconds(60 * n);
}

fn moved(w: &World) -> u64 {
    w.stats().counters.endpoints_moved
}

#[test]
fn ten_at_a_time_go_from_a_bridge_with_too_much_load_and_again_after_three_minutes() {
    let mut w = loaded(25, |_| ());
    minutes(&mut w, 2);
    assert_eq!(moved(&w), 0, "nothing is wrong");
    w.bridge_says("jvb1", &[("stress_level", "0.95")]);
    minutes(&mut w, 1);
    assert_eq!((moved(&w), w.endpoints("jvb1").len(), w.endpoints("jvb2").len()), (10, 15, 10));
    // Their clients get a new session; nobody is told to mute, and nobody else hears anything.
    for (nick, client) in &w.clients {
        let words: Vec<_> = client
            .received
            .iter()
            .map(|j| (j.name().to_owned(), j.attr("action").map(str::to_owned)))
            .collect();
        let has_moved = w.endpoints("jvb2").contains(nick);
        let expected: &[&str] = if has_moved { &["session-terminate", "session-initiate"] } else { &[] };
        let actions: Vec<&str> = words.iter().filter_map(|(_, a)| a.as_deref()).collect();
        assert_eq!(actions, expected, "{nick}");
        assert!(
            !client.received.iter().any(|j| j.to_xml().contains("startmuted")),
            "{nick}'s camera stays as it was"
        );
    }
    minutes(&mut w, 2);
    assert_eq!(moved(&w), 10, "not again so soon");
    minutes(&mut w, 1);
    assert_eq!(moved(&w), 20);
    w.bridge_says("jvb1", &[("stress_level", "0.5")]);
    minutes(&mut w, 10);
    assert_eq!(moved(&w), 20, "enough");
    w.assert_linked();
}

#[test]
fn nobody_is_moved_where_that_is_not_wanted_or_there_is_no_room_elsewhere() {
    let mut w = loaded(5, |c| c.bridges.redistribution = None);
    w.bridge_says("jvb1", &[("stress_level", "0.95")]);
    minutes(&mut w, 5);
    assert_eq!(moved(&w), 0, "off unless it is switched on");
    let mut w = loaded(5, |_| ());
    w.bridge_says("jvb2", &[("stress_level", "0.85")]);
    w.bridge_says("jvb1", &[("stress_level", "0.95")]);
    minutes(&mut w, 5);
    assert_eq!(moved(&w), 0, "the other one is full as well");
    w.bridge_says("jvb2", &[("stress_level", "0.1"), ("drain", "true")]);
    minutes(&mut w, 5);
    assert_eq!(moved(&w), 0, "the other one wants to become empty");
    w.remove_bridge("jvb2");
    minutes(&mut w, 5);
    assert_eq!(moved(&w), 0, "there is no other one");
}

#[test]
fn a_meeting_that_cannot_be_divided_goes_as_a_whole_or_stays() {
    let mut w = loaded(12, |c| c.bridges.strategy = Strategy::Single);
    w.conference_request(OTHER);
    w.bridge_says("jvb2", &[("shutting_down", "true")]);
    for nick in ["anna0001", "ben00002"] {
        w.join_at(OTHER, nick, NEW, "");
    }
    w.bridge_says("jvb2", &[("shutting_down", "false")]);
    w.seconds(25);
    assert_eq!(w.endpoints("jvb1").len(), 14);
    w.bridge_says("jvb1", &[("stress_level", "0.95")]);
    minutes(&mut w, 1);
    assert_eq!(w.endpoints("jvb2"), ["anna0001", "ben00002"], "twelve are more than ten");
    assert_eq!((moved(&w), w.endpoints("jvb1").len()), (2, 12));
}

#[test]
fn a_meeting_of_as_many_as_may_move_at_a_time_goes_as_a_whole() {
    for (people, left) in [(10, 0), (11, 11)] {
        let mut w = loaded(people, |c| c.bridges.strategy = Strategy::Single);
        w.bridge_says("jvb1", &[("stress_level", "0.95")]);
        minutes(&mut w, 1);
        assert_eq!(w.endpoints("jvb1").len(), left, "{people}");
    }
}

#[test]
fn many_small_moves_end_when_both_have_the_same() {
    let mut w = loaded(40, |c| {
        c.bridges.redistribution =
            Some(Redistribution { people: 4, timeout: Duration::from_secs(60), ..Redistribution::default() });
    });
    // Each says what it has: 0.03 for each of its people.
    for _ in 0..30 {
        for nick in ["jvb1", "jvb2"] {
            let load = format!("{}", w.endpoints(nick).len() as f64 * 0.03);
            w.bridge_says(nick, &[("stress_level", &load)]);
        }
        minutes(&mut w, 1);
    }
    let (one, other) = (w.endpoints("jvb1").len(), w.endpoints("jvb2").len());
    assert_eq!(one + other, 40);
    assert!(one < 31 && other < 31, "{one} and {other}");
    let before = moved(&w);
    minutes(&mut w, 10);
    assert_eq!(moved(&w), before, "and then nobody is moved to and fro");
}
