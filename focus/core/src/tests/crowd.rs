//! A council with two thousand who watch, in virtual time: everybody gets media, on bridges of their own where there are some, and one more
//! costs as much as the first.

use std::time::{Duration, Instant};

use super::world::{ME, NEW, ROOM, World};
use crate::{Config, Strategy, VisitorsConfig, limits};

const CROWD: usize = 2_000;

fn council(bridges: usize, strategy: Strategy) -> World {
    let mut config = Config::for_domain("meet.jitsi").unwrap();
    config.visitors =
        Some(VisitorsConfig { max_participants: 3, ..VisitorsConfig::for_domain("v0", "v0.meet.jitsi") });
    config.bridges.strategy = strategy;
    config.bridges.relays = true;
    config.bridges.max_participants = Some(500);
    let mut w = World::with(config);
    for n in 1..=bridges {
        w.add_relay(&format!("jvb{n}"));
    }
    w.conference_request(ROOM);
    for n in 0..3 {
        w.join(&format!("rat{n:05}"), NEW);
    }
    w
}

fn asks(w: &mut World, n: usize) {
    w.receive(&format!(
        "<iq type='set' id='v{n}' from='focus.meet.jitsi/v{n}@meet.jitsi/r1' to='{ME}'>\
         <conference xmlns='http://jitsi.org/protocol/focus' room='{ROOM}' machine-uid='4f'><property name='visitors-version' value='1'/>\
         </conference></iq>"
    ));
}

fn viewers_on(w: &World, bridge: &str) -> usize {
    w.endpoints(bridge).iter().filter(|id| id.starts_with("gast")).count()
}

#[test]
fn two_thousand_watch_a_council_and_each_costs_as_much_as_the_first() {
    let mut w = council(6, Strategy::Visitors);
    let began = Instant::now();
    let mut sent = Vec::new();
    for n in 0..CROWD {
        asks(&mut w, n);
        assert!(w.replies.remove(&format!("v{n}")).unwrap().to_xml().contains("vnode=\"v0\""), "{n}");
        w.watch(&format!("gast{n:05}"));
        // Two hundred come in a second.
        w.advance(Duration::from_millis(5));
        sent.push(w.sent.drain(..).map(|s| s.len()).sum::<usize>());
        w.bridges.values_mut().for_each(|b| b.requests.clear());
        if n % 500 == 499 {
            w.seconds(5);
        }
    }
    let took = began.elapsed();
    w.seconds(20);
    assert_eq!(w.stats().visitors, CROWD);
    let served = w.clients.values().filter(|c| !c.sid.is_empty()).count();
    assert_eq!(served, CROWD + 3, "everybody has a session");
    // Whoever meets is alone on the first bridge, and nobody who watches is told to another bridge.
    assert_eq!((w.endpoints("jvb1").len(), viewers_on(&w, "jvb1")), (3, 0));
    let most = (2..=6).map(|n| viewers_on(&w, &format!("jvb{n}"))).max().unwrap();
    assert!(most <= 500, "{most} on one bridge");
    w.assert_linked();
    let mean = |of: &[usize]| of.iter().sum::<usize>() / of.len();
    let (first, last) = (mean(&sent[50..250]), mean(&sent[CROWD - 200..]));
    assert!(last < first * 3 / 2, "{first} bytes for each of the first, {last} for each of the last");
    // Not a figure: a bound that only a square of the crowd's size would break.
    assert!(took < Duration::from_secs(120), "{took:?}");
    // What a successor would need says how much is kept of each.
    let kept = w.focus.hand_over(w.now).unwrap().len() / CROWD;
    assert!(kept < 8 * 1024, "{kept} bytes for each");
    for n in 0..CROWD {
        w.stop_watching(&format!("gast{n:05}"));
    }
    assert_eq!(w.stats().visitors, 0);
    for n in 0..3 {
        w.leave(&format!("rat{n:05}"));
    }
    w.assert_empty();
}

#[test]
fn so_many_watch_by_default_and_the_next_one_comes_in() {
    let mut w = council(1, Strategy::Single);
    asks(&mut w, 0);
    w.replies.clear();
    for n in 0..limits::MAX_VIEWERS {
        w.watch(&format!("gast{n:05}"));
    }
    asks(&mut w, 0);
    let answer = w.replies["v0"].to_xml();
    assert!(answer.contains("ready=\"true\"") && !answer.contains("vnode"), "{answer}");
}

#[test]
fn who_watches_is_beside_those_who_meet_only_where_there_is_no_other_bridge() {
    let mut w = council(1, Strategy::Visitors);
    asks(&mut w, 0);
    w.watch("gast00000");
    assert_eq!(viewers_on(&w, "jvb1"), 1, "better than nowhere");
    w.add_relay("jvb2");
    w.seconds(5);
    w.watch("gast00001");
    assert_eq!(viewers_on(&w, "jvb2"), 1, "now there is one");
    w.leave("rat00000");
    w.join("rat00009", NEW);
    assert!(w.endpoints("jvb1").contains(&"rat00009".to_owned()), "and who meets stays together");
}

#[test]
fn a_successor_knows_which_bridges_are_for_those_who_watch() {
    let mut w = council(2, Strategy::Visitors);
    asks(&mut w, 0);
    w.watch("gast00000");
    w.hand_over();
    w.seconds(5);
    w.watch("gast00001");
    w.join("rat00009", NEW);
    assert_eq!((viewers_on(&w, "jvb1"), viewers_on(&w, "jvb2")), (0, 2));
    assert!(w.endpoints("jvb1").contains(&"rat00009".to_owned()));
}
