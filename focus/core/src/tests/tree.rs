//! Bridges in a tree (focus §7.5): one mesh of those who meet, a bridge for those who watch at one link each; as people and bridges come and go.

use proptest::prelude::{ProptestConfig, proptest};

use super::world::{ME, NEW, ROOM, World};
use crate::{Config, Strategy, VisitorsConfig};

fn council(bridges: usize) -> World {
    let mut config = Config::for_domain("meet.jitsi").unwrap();
    config.visitors = Some(VisitorsConfig::for_domain("v0", "v0.meet.jitsi"));
    config.bridges.strategy = Strategy::Visitors;
    config.bridges.relays = true;
    config.bridges.tree = true;
    config.bridges.max_participants = Some(2);
    let mut w = World::with(config);
    for n in 1..=bridges {
        w.add_relay(&format!("jvb{n}"));
    }
    w.conference_request(ROOM);
    w.join("rat00000", NEW);
    w.receive(&format!(
        "<iq type='set' id='v' from='focus.meet.jitsi/v@meet.jitsi/r1' to='{ME}'>\
         <conference xmlns='http://jitsi.org/protocol/focus' room='{ROOM}'><property name='visitors-version' value='1'/>\
         <property name='visitor' value='true'/></conference></iq>"
    ));
    w
}

fn links(w: &World, bridge: &str) -> usize {
    w.bridges[bridge].relays.len()
}

fn home(w: &World, nick: &str) -> String {
    w.bridges.keys().find(|b| w.endpoints(b).iter().any(|e| e == nick)).unwrap().clone()
}

#[test]
fn a_bridge_for_those_who_watch_has_one_link_and_hears_everybody_over_it() {
    let mut w = council(6);
    for n in 1..4 {
        w.join(&format!("rat0000{n}"), NEW);
    }
    for n in 0..6 {
        w.watch(&format!("gast000{n}"));
    }
    w.assert_tree();
    let viewing: Vec<String> = w
        .bridges
        .keys()
        .filter(|b| w.endpoints(b).first().is_some_and(|e| e.starts_with("gast")))
        .cloned()
        .collect();
    assert_eq!(viewing.len(), 3, "two on each, and two bridges for those who meet");
    let known = |b: &String| w.bridges[b].relays.values().map(|r| r.endpoints.len()).sum::<usize>();
    assert!(viewing.iter().all(|b| known(b) == 4), "each knows all four who meet");
    let meshes = w.bridges.values().flat_map(|b| &b.requests).flat_map(|r| &r.relays);
    let mut meshes: Vec<String> = meshes.filter(|r| r.create).filter_map(|r| r.mesh_id.clone()).collect();
    meshes.sort();
    meshes.dedup();
    assert_eq!(meshes, ["0", "1", "2", "3"], "each of its own");
    // Somebody shares a screen, goes, comes.
    let share = "<content name='video'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'>\
        <source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='51' name='rat00001-v1'/></description></content>";
    assert_eq!(w.jingle("rat00001", "source-add", share).attr("type"), Some("result"));
    w.assert_tree();
    w.leave("rat00002");
    w.join("rat00007", NEW);
    w.assert_tree();
    w.hand_over();
    w.seconds(5);
    w.assert_tree();
    w.watch("gast0008");
    w.watch("gast0009");
    w.seconds(5);
    w.assert_tree();
}

#[test]
fn who_watched_first_is_linked_when_somebody_meets_elsewhere() {
    let mut w = council(3);
    w.watch("gast0000");
    w.watch("gast0001");
    w.assert_tree();
    w.join("rat00001", NEW);
    w.join("rat00002", NEW);
    w.assert_tree();
}

/// Upstream's forgets the links of a bridge that goes before it looks for what they held together.
#[test]
fn bridges_behind_one_that_went_were_cut_off() {
    let mut w = council(6);
    for n in 1..4 {
        w.join(&format!("rat0000{n}"), NEW);
    }
    for n in 0..4 {
        w.watch(&format!("gast000{n}"));
    }
    w.assert_tree();
    let gone = home(&w, "rat00000");
    w.remove_bridge(&gone);
    w.seconds(10);
    w.assert_tree();
    assert!(w.bridges.keys().all(|b| w.endpoints(b).is_empty() || links(&w, b) > 0));
}

fn op() -> impl proptest::strategy::Strategy<Value = (u8, usize)> {
    (0..7_u8, 0..8_usize)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_and_goes_the_bridges_are_one_mesh_and_trees(ops in proptest::collection::vec(op(), 1..16)) {
        let mut w = council(3);
        let mut bridges = 3;
        for (what, n) in ops {
            let (rat, gast) = (format!("rat0000{}", n + 1), format!("gast000{n}"));
            match what {
                0 | 1 if !w.clients.contains_key(&rat) => w.join(&rat, NEW),
                2 | 3 if !w.clients.contains_key(&gast) => w.watch(&gast),
                1 => w.leave(&rat),
                3 => w.stop_watching(&gast),
                4 if w.bridges.len() > 1 => {
                    let gone = w.bridges.keys().nth(n % w.bridges.len()).unwrap().clone();
                    w.remove_bridge(&gone);
                }
                5 => {
                    bridges += 1;
                    w.add_relay(&format!("jvb{bridges}"));
                }
                _ => {}
            }
            w.assert_tree();
            w.seconds(65);
            w.assert_tree();
        }
    }
}
