//! Who moderates where nobody logs in: whoever came first, and goes and comes back; the right that is given, kept for it, or passed on.

use std::time::Duration;

use super::world::{ME, NEW, ROOM, World};
use crate::{Config, limits};

const MOMENT: Duration = Duration::from_millis(1);

/// A teacher and two pupils, each with a browser of their own.
fn class() -> World {
    class_with(Config::for_domain("meet.jitsi").unwrap())
}

fn class_with(config: Config) -> World {
    let mut w = World::with(config);
    w.add_bridge("jvb1");
    w.come_in_with("teacher1", "b1");
    w.come_in_with("pupil001", "b2");
    w.come_in_with("pupil002", "b3");
    assert!(w.is_owner("teacher1") && !w.is_owner("pupil001"));
    w
}

fn owners(w: &World) -> Vec<&str> {
    ["teacher1", "teacher2", "pupil001", "pupil002", "pupil003"]
        .into_iter()
        .filter(|n| w.is_owner(n))
        .collect()
}

#[test]
fn a_moderator_who_loaded_the_page_anew_found_the_right_with_somebody_else() {
    let mut w = class();
    w.leave("teacher1");
    assert!(owners(&w).is_empty(), "a pupil moderates");
    w.advance(Duration::from_secs(3));
    // For the server it is somebody else, under another nick.
    w.come_in_with("teacher2", "b1");
    assert_eq!(owners(&w), ["teacher2"]);
    assert_eq!(w.stats().counters.owners_returned, 1);
    w.advance(limits::OWNER_GRACE);
    assert_eq!(owners(&w), ["teacher2"], "nothing is left of the wait");
    w.leave("teacher2");
    w.come_in_with("teacher2", "b1");
    assert_eq!(owners(&w), ["teacher2"], "and again");
}

#[test]
fn the_right_of_who_does_not_come_back_waits_so_long_and_goes_to_who_came_next() {
    let mut w = class();
    w.leave("teacher1");
    w.advance(limits::OWNER_GRACE - MOMENT);
    assert!(owners(&w).is_empty());
    w.advance(MOMENT);
    assert_eq!(owners(&w), ["pupil001"]);
    w.come_in_with("teacher2", "b1");
    assert_eq!(owners(&w), ["pupil001"], "too late");
}

#[test]
fn nobody_else_comes_back_as_the_moderator() {
    let mut w = class();
    w.leave("teacher1");
    // What others could know of somebody: nick, address, what presences say.
    w.join("teacher1", NEW);
    w.come_in_with("pupil003", "");
    w.leave("pupil002");
    w.come_in_with("pupil002", "b3");
    assert!(owners(&w).is_empty());
}

#[test]
fn the_right_of_who_was_thrown_out_or_is_not_known_goes_on_at_once() {
    let mut w = class();
    w.kick("teacher1");
    assert_eq!(owners(&w), ["pupil001"]);
    w.come_in_with("teacher2", "b1");
    assert_eq!(owners(&w), ["pupil001"]);

    let mut w = World::meeting();
    w.join("teacher1", NEW);
    w.join("pupil001", NEW);
    w.leave("teacher1");
    assert_eq!(owners(&w), ["pupil001"], "no browser was told");

    let mut config = Config::for_domain("meet.jitsi").unwrap();
    config.owner_grace = Duration::ZERO;
    let mut w = class_with(config);
    w.leave("teacher1");
    assert_eq!(owners(&w), ["pupil001"], "as upstream, where that is wanted");
}

#[test]
fn while_the_right_waits_another_owner_keeps_it_from_everybody_else() {
    let mut w = class();
    w.promote("pupil002");
    w.leave("teacher1");
    w.advance(limits::OWNER_GRACE);
    assert_eq!(owners(&w), ["pupil002"], "one is there");

    let mut w = class();
    w.promote("pupil002");
    w.leave("teacher1");
    w.come_in_with("teacher2", "b1");
    assert_eq!(owners(&w), ["teacher2", "pupil002"], "and who comes back has it too");
}

/// Else all of a class would moderate whose computers were copied from one.
#[test]
fn a_second_page_of_the_moderator_s_browser_moderates_when_the_first_is_gone_and_not_before() {
    let mut w = class();
    w.come_in_with("teacher2", "b1");
    assert_eq!(owners(&w), ["teacher1"]);
    w.leave("teacher1");
    assert_eq!(owners(&w), ["teacher2"]);
    w.leave("teacher2");
    w.advance(limits::OWNER_GRACE - MOMENT);
    assert!(owners(&w).is_empty(), "the second one's right waits, too");
    w.come_in_with("teacher1", "b1");
    assert_eq!(owners(&w), ["teacher1"]);
}

#[test]
fn an_owner_alone_who_loads_the_page_anew_begins_anew() {
    let mut w = World::new();
    w.add_bridge("jvb1");
    w.come_in_with("teacher1", "b1");
    w.leave("teacher1");
    w.assert_empty();
    w.come_in_with("pupil001", "b2");
    assert_eq!(owners(&w), ["pupil001"], "another meeting");
}

#[test]
fn so_many_browsers_that_have_asked_are_known_and_not_one_more() {
    let mut w = class();
    let ask = |w: &mut World, n: usize| {
        w.receive(&format!(
            "<iq type='set' id='x{n}' from='focus.meet.jitsi/x{n}@meet.jitsi/r'>\
             <conference xmlns='http://jitsi.org/protocol/focus' room='{ROOM}' machine-uid='x{n}'/></iq>"
        ));
    };
    for n in 0..limits::BROWSERS {
        ask(&mut w, n);
    }
    let known = |w: &World| w.focus.rooms.values().next().unwrap().browsers_known();
    assert_eq!(known(&w), limits::BROWSERS);
    ask(&mut w, limits::BROWSERS);
    assert_eq!(known(&w), limits::BROWSERS);
}

#[test]
fn a_right_that_the_server_does_not_give_is_asked_for_once_more_and_counted() {
    let mut w = World::new();
    w.add_bridge("jvb1");
    w.grants_nothing = true;
    w.come_in_with("teacher1", "b1");
    let asked = w.sent.iter().filter(|s| s.contains("affiliation=\"owner\"")).count();
    assert_eq!((asked, w.stats().counters.owner_grants_failed), (2, 1));
    assert!(owners(&w).is_empty());
}

/// An upgrade in these ten seconds, or a link that was lost, gave the right to a pupil.
#[test]
fn a_moderator_who_loads_the_page_anew_while_the_focus_becomes_another_one_moderates_again() {
    // It is gone before; it has asked before, too; it is there, and goes after.
    for step in 0..3 {
        let mut w = class();
        if step < 2 {
            w.leave("teacher1");
        }
        if step == 1 {
            w.receive(&format!(
                "<iq type='set' id='x' from='focus.meet.jitsi/teacher2-0@meet.jitsi/r1' to='{ME}'>\
                 <conference xmlns='http://jitsi.org/protocol/focus' room='{ROOM}' machine-uid='b1'/></iq>"
            ));
        }
        w.hand_over();
        if step == 2 {
            w.leave("teacher1");
        }
        w.advance(limits::OWNER_GRACE - MOMENT);
        assert!(owners(&w).is_empty(), "it waits: {step}");
        match step {
            1 => w.join("teacher2", NEW),
            _ => w.come_in_with("teacher2", "b1"),
        }
        assert_eq!(owners(&w), ["teacher2"], "{step}");
    }
}

#[test]
fn the_right_of_who_does_not_come_back_goes_on_in_its_time_also_under_another_focus() {
    let mut w = class();
    w.leave("teacher1");
    w.advance(limits::OWNER_GRACE / 2);
    w.hand_over();
    w.advance(limits::OWNER_GRACE / 2 - MOMENT);
    assert!(owners(&w).is_empty());
    w.advance(MOMENT);
    assert_eq!(owners(&w), ["pupil001"]);
}
