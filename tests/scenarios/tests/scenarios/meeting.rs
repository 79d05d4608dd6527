//! A meeting as it should be.

use std::time::Duration;

use crate::world::{ROOM, World};

/// Three people meet, see and hear each other, and part. Also what the privacy test records.
pub(crate) fn three_meet(w: &mut World) {
    w.meeting(&["Annegret Kommunal", "Benedikt Amtsleiter", "Cemile Stadtplan"]);
    let nicks: Vec<String> = w.clients.iter().map(|c| c.nick.clone()).collect();
    for (n, c) in w.clients.iter_mut().enumerate() {
        assert_eq!(c.take_actions(), ["session-initiate"], "once, and no source-add: the bridge tells");
        assert_eq!(c.moderator, n == 0, "who comes first moderates");
        let mut others: Vec<&str> = nicks.iter().map(String::as_str).filter(|o| *o != c.nick).collect();
        others.push("focus");
        others.sort_unstable();
        assert_eq!(c.occupants.keys().map(String::as_str).collect::<Vec<_>>(), others);
    }
    assert_eq!(w.bridges[0].shard.load(), (1, 3));
    w.assert_all_hear_each_other();
    // Pictures: everybody is told whose camera is where.
    for n in 0..3 {
        let map = w.clients[n].mapped("VideoSourcesMap");
        for (o, other) in nicks.iter().enumerate() {
            if o == n {
                assert!(!map.contains_key(&format!("{other}-v0")));
                continue;
            }
            let (owner, ssrc) = &map[&format!("{other}-v0")];
            assert_eq!(owner, other);
            assert!(w.clients[n].heard(*ssrc) > 0, "{n} sees {o}");
        }
    }
    w.act(0, |c| c.say_in_chat("Guten Morgen"));
    assert!(w.clients.iter().all(|c| c.chat == ["Guten Morgen"]));
    let f = w.focus.stats();
    assert_eq!((f.conferences, f.participants, f.counters.sessions_accepted), (1, 3, 3));
}

#[test]
fn three_people_meet_see_and_hear_each_other_and_part() {
    let mut w = World::new();
    three_meet(&mut w);
    let gone = w.clients[2].nick.clone();
    w.leave(2);
    assert_eq!(w.bridges[0].shard.load(), (1, 2), "the focus takes the endpoint along");
    for n in [0, 1] {
        let c = &w.clients[n];
        assert_eq!(c.gone.len(), 1);
        assert_eq!(c.gone[0].1, gone);
    }
    w.assert_all_hear_each_other();
    w.end();
}

#[test]
fn who_stays_alone_keeps_no_session_and_gets_a_new_one_with_company() {
    let mut w = World::new();
    w.meeting(&["Anna", "Ben"]);
    w.leave(1);
    w.clients[0].take_actions();
    w.seconds(19);
    assert_eq!(w.bridges[0].shard.load(), (1, 1));
    w.seconds(2);
    assert_eq!(w.clients[0].take_actions(), ["session-terminate"]);
    assert!(w.bridges[0].shard.is_empty());
    let c = w.client("Cem");
    w.enter(c);
    w.connect();
    w.assert_all_hear_each_other();
    w.end();
}

#[test]
fn a_source_added_and_removed_later_reaches_the_bridge_and_the_others() {
    let mut w = World::new();
    w.meeting(&["Anna", "Ben"]);
    let nick = w.clients[0].nick.clone();
    let share = format!(
        r#"<content name="video"><description xmlns="urn:xmpp:jingle:apps:rtp:1" media="video"><source xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" name="{nick}-v1" ssrc="77001" videoType="desktop"><parameter name="msid" value="{nick}-video-1-1 d"/></source></description></content>"#
    );
    let sources = |w: &World| {
        let last = w.bridges[0].requests.iter().rev().flat_map(|r| &r.endpoints);
        let last = last.filter(|e| e.id.as_str() == nick).find_map(|e| e.sources.as_ref()).unwrap();
        last.iter().map(|s| s.id.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(w.jingle(0, "source-add", &share).attr("type"), Some("result"));
    assert!(sources(&w).contains(&format!("{nick}-v1")));
    assert_eq!(w.jingle(0, "source-remove", &share).attr("type"), Some("result"));
    assert!(!sources(&w).contains(&format!("{nick}-v1")));
    w.assert_all_hear_each_other();
    w.end();
}

#[test]
fn a_kicked_participant_is_out_everywhere() {
    let mut w = World::new();
    w.meeting(&["Anna", "Ben", "Cem"]);
    let nick = w.clients[2].nick.clone();
    let kick = format!(
        r#"<query xmlns="http://jabber.org/protocol/muc#admin"><item nick="{nick}" role="none"><reason>genug</reason></item></query>"#
    );
    assert_eq!(w.request(0, "set", ROOM, &kick).attr("type"), Some("result"));
    assert!(!w.clients[2].in_room);
    assert_eq!(w.bridges[0].endpoints(), 2);
    w.assert_all_hear_each_other();
    w.end();
}

#[test]
fn ten_rounds_of_joining_and_leaving_leave_nothing() {
    let mut w = World::new();
    for round in 0..10 {
        let first = w.clients.len();
        for name in ["Anna", "Ben", "Cem"] {
            let n = w.client(name);
            w.clients[n].with_media = round == 9;
            w.enter(n);
        }
        w.run(Duration::from_millis(500));
        assert_eq!(w.bridges[0].shard.load(), (1, 3), "round {round}");
        assert!(w.clients[first..].iter().all(|c| c.sid.is_some()));
        // They go in another order each time, one of them without a word.
        let order = [[0, 1, 2], [2, 1, 0], [1, 0, 2]][round % 3];
        for (at, n) in order.into_iter().map(|n| first + n).enumerate() {
            match at {
                1 => w.log_out(n),
                2 => {
                    w.pull_cable(n);
                    w.seconds(70);
                    w.clients[n].out_of_room();
                }
                _ => w.leave(n),
            }
        }
        w.run(Duration::from_millis(100));
        w.assert_empty();
    }
    assert_eq!(w.focus.stats().counters.conferences_created, 10);
    w.end();
}
