//! Answers that come twice, late or in another order. No link loses or reorders stanzas, but slow bridges, busy
//! clients and resumed streams look like it.

use std::time::Duration;

use crate::world::{Meddle, To, World};

const NOW: Duration = Duration::ZERO;

/// Numbers that look random, the same every time.
fn numbers(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    }
}

fn is_colibri_answer(to: To, text: &str) -> bool {
    to == To::Focus && text.contains("conference-modified")
}

fn is_accept(to: To, text: &str) -> bool {
    to == To::Focus && text.contains("session-accept")
}

/// Everybody is in, with one endpoint each, and hears the others.
fn assert_meeting(w: &mut World) {
    w.connect();
    assert_eq!(w.bridges.iter().filter(|b| b.alive).map(|b| b.endpoints()).sum::<usize>(), 3);
    w.assert_all_hear_each_other();
}

#[test]
fn every_answer_to_the_focus_twice_is_as_good_as_once() {
    let mut w = World::new();
    w.meddle = Box::new(|to, text| {
        let answer = to == To::Focus && text.contains("<iq") && !text.contains("type=\"set\"");
        if answer { vec![NOW, Duration::from_millis(3)] } else { vec![NOW] }
    });
    w.meeting(&["Anna", "Ben", "Cem"]);
    assert_meeting(&mut w);
    for c in &mut w.clients {
        assert_eq!(c.take_actions(), ["session-initiate"]);
    }
    w.end();
}

#[test]
fn an_accept_that_comes_twice_is_refused_the_second_time_and_harms_nothing() {
    let mut w = World::new();
    w.meeting(&["Anna", "Ben", "Cem"]);
    let before = w.focus.stats().counters.sessions_accepted;
    for action in ["session-accept", "session-accept"] {
        let reply = w.jingle(1, action, "");
        assert_eq!(reply.attr("type"), Some("error"), "{}", reply.to_xml());
    }
    assert_eq!(w.focus.stats().counters.sessions_accepted, before);
    assert_meeting(&mut w);
    w.end();
}

#[test]
fn colibri_answers_in_any_order_make_the_same_meeting() {
    for seed in 0..30 {
        let mut w = World::new();
        w.add_bridge();
        let mut random = numbers(seed);
        w.meddle = Box::new(move |to, text| {
            if is_colibri_answer(to, text) {
                vec![Duration::from_millis(random(2000)); 1 + usize::from(random(4) == 0)]
            } else {
                vec![NOW]
            }
        });
        for name in ["Anna", "Ben", "Cem"] {
            let n = w.client(name);
            w.enter(n);
        }
        w.seconds(8);
        assert_meeting(&mut w);
        // The last answers may still be on their way when everybody has gone.
        for n in 0..3 {
            w.leave(n);
        }
        w.seconds(3);
        w.end();
    }
}

#[test]
fn a_slow_network_between_clients_and_server_makes_the_same_meeting() {
    for seed in 0..20 {
        let mut w = World::new();
        w.meeting(&["Anna"]);
        // Whole streams are late, in order: each direction has its own delay.
        let late: Vec<u64> = (0..8).map(|n| numbers(seed * 8 + n)(700)).collect();
        w.meddle = Box::new(move |to, _| {
            let at = match to {
                To::Client(n) => n,
                To::Focus => 5,
                To::Bridge(_) => 6,
                To::Server(_) => return vec![NOW],
            };
            vec![Duration::from_millis(late[at])]
        });
        // Logging in is a dialogue: without delays.
        let meddle = std::mem::replace(&mut w.meddle, Box::new(|_, _| vec![NOW]));
        let (b, c) = (w.client("Ben"), w.client("Cem"));
        w.meddle = meddle;
        w.enter(b);
        w.enter(c);
        w.seconds(10);
        assert_meeting(&mut w);
        w.meddle = Box::new(|_, _| vec![NOW]);
        w.end();
    }
}

#[test]
fn a_colibri_answer_after_the_time_limit_leaves_no_second_endpoint() {
    let mut w = World::new();
    let mut first = true;
    w.meddle = Box::new(move |to, text| {
        let late = is_colibri_answer(to, text) && std::mem::take(&mut first);
        vec![if late { Duration::from_secs(17) } else { NOW }]
    });
    for name in ["Anna", "Ben", "Cem"] {
        let n = w.client(name);
        w.enter(n);
    }
    w.seconds(60);
    assert_meeting(&mut w);
    w.end();
}

#[test]
fn a_colibri_answer_for_somebody_who_has_left_meanwhile_changes_nothing() {
    let mut w = World::new();
    w.meddle = late(is_colibri_answer, 5);
    w.meeting_without_waiting(&["Anna", "Ben", "Cem"]);
    w.seconds(2);
    w.leave(1);
    w.seconds(20);
    w.connect();
    assert_eq!(w.bridges[0].endpoints(), 2);
    w.assert_all_hear_each_other();
    w.meddle = late(is_colibri_answer, 0);
    w.end();
}

#[test]
fn a_late_accept_of_a_session_that_has_moved_is_refused_as_gone() {
    let mut w = World::new();
    w.add_bridge();
    w.seconds(1);
    w.meddle = late(is_accept, 3);
    w.meeting_without_waiting(&["Anna", "Ben", "Cem"]);
    w.seconds(1);
    let used = usize::from(w.bridges[1].endpoints() > 0);
    // The accepts are under way when the bridge dies.
    w.kill_bridge(used);
    w.seconds(10);
    let refused = |w: &World| {
        let replies = w.clients.iter().flat_map(|c| c.replies.values());
        replies.filter(|r| r.attr("type") == Some("error")).map(|r| r.to_xml()).collect::<Vec<_>>()
    };
    assert_eq!(refused(&w).len(), 3, "{:?}", refused(&w));
    assert_meeting(&mut w);
    w.meddle = late(is_accept, 0);
    w.end();
}

#[test]
fn source_changes_that_overtake_each_other_end_in_what_the_focus_heard_last() {
    let mut w = World::new();
    w.meeting(&["Anna", "Ben", "Cem"]);
    let nick = w.clients[0].nick.clone();
    let mut random = numbers(5);
    // Requests to the bridge stay in order, its answers do not.
    w.meddle = Box::new(move |to, text| {
        vec![if is_colibri_answer(to, text) { Duration::from_millis(random(500)) } else { NOW }]
    });
    for n in 0..20 {
        let share = format!(
            r#"<content name="video"><description xmlns="urn:xmpp:jingle:apps:rtp:1" media="video"><source xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" name="{nick}-v1" ssrc="{}" videoType="desktop"><parameter name="msid" value="{nick}-video-1-{n} d"/></source></description></content>"#,
            78_000 + n
        );
        assert_eq!(w.jingle(0, "source-add", &share).attr("type"), Some("result"));
        if n < 19 {
            assert_eq!(w.jingle(0, "source-remove", &share).attr("type"), Some("result"));
        }
    }
    w.seconds(2);
    let last = w.bridges[0].requests.iter().rev().flat_map(|r| &r.endpoints).find_map(|e| e.sources.as_ref());
    let ssrcs: Vec<u32> = last.unwrap().iter().flat_map(|s| &s.sources).map(|s| s.ssrc.0).collect();
    assert!(ssrcs.contains(&78_019) && !ssrcs.contains(&78_018));
    assert_meeting(&mut w);
    w.meddle = late(is_colibri_answer, 0);
    w.end();
}

fn late(which: fn(To, &str) -> bool, seconds: u64) -> Meddle {
    Box::new(move |to, text| vec![if which(to, text) { Duration::from_secs(seconds) } else { NOW }])
}
