//! A focus stops and another one goes on: rooms, sessions and endpoints stay, what was under way is done again.

use jitsi_xmpp::entropy::SeededEntropy;
use jitsi_xmpp::ids::EndpointId;

use super::world::{ME, Mood, NEW, OLD, ROOM, World};
use crate::{Config, Focus, HandoverError, limits};

fn two() -> World {
    let mut w = World::meeting();
    w.join("anna0001", NEW);
    w.join("ben00002", OLD);
    w.forget();
    w
}

#[test]
fn nobody_hears_of_a_restart_and_everything_goes_on() {
    let mut w = two();
    let sid = w.clients["anna0001"].sid.clone();
    w.hand_over();
    w.seconds(30);
    assert_eq!((w.actions("anna0001"), w.actions("ben00002")), (vec![], vec![]), "no new sessions");
    assert!(
        !w.sent.iter().any(|s| s.contains("unavailable") || s.contains(&format!("to=\"{ROOM}"))),
        "{:?}",
        w.sent
    );
    assert!(w.bridges["jvb1"].requests.is_empty(), "the bridge's conference is as it was");
    assert_eq!((w.stats().conferences, w.stats().participants), (1, 2));
    // The sessions that there are can be used.
    let sources = "<content name='audio' creator='initiator'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'>\
        <source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='77' name='anna0001-a1'>\
        <parameter name='msid' value='anna-mic-2 t'/></source></description></content>";
    let reply = w.jingle("anna0001", "source-add", sources);
    assert_eq!(reply.attr("type"), Some("result"), "{}", reply.to_xml());
    assert_eq!(w.actions("ben00002"), ["source-add"], "who is told of sources is told of new ones only");
    assert_eq!(w.clients["anna0001"].sid, sid);
    // Who comes is invited, who leaves is gone, and nothing is left behind.
    w.join("carla003", NEW);
    assert_eq!(w.endpoints("jvb1"), ["anna0001", "ben00002", "carla003"]);
    for nick in ["anna0001", "ben00002", "carla003"] {
        w.leave(nick);
    }
    w.assert_empty();
    assert_eq!(w.duplicates, 0);
}

#[test]
fn what_waits_for_an_answer_is_done_again() {
    let mut w = World::meeting();
    w.join("anna0001", NEW);
    w.bridges.get_mut("jvb1").unwrap().mood = Mood::Late;
    w.join("ben00002", NEW);
    w.join_without_disco("carla003");
    assert!(w.actions("ben00002").is_empty(), "its endpoint is on the way");
    w.bridges.get_mut("jvb1").unwrap().mood = Mood::Works;
    w.hand_over();
    // What the bridge says to the one before is said to nobody.
    w.release("jvb1");
    w.seconds(20);
    assert_eq!(w.endpoints("jvb1"), ["anna0001", "ben00002", "carla003"]);
    for nick in ["anna0001", "ben00002", "carla003"] {
        assert_eq!(w.actions(nick), ["session-initiate"], "{nick}");
    }
}

#[test]
fn who_waits_for_a_room_is_told_to_ask_again() {
    let mut w = World::new();
    w.add_bridge("jvb1");
    w.deaf = true;
    let id = w.conference_request(ROOM);
    assert!(!w.replies.contains_key(&id));
    w.hand_over();
    assert!(w.replies[&id].to_xml().contains("ready=\"false\""));
    w.deaf = false;
    let id = w.conference_request(ROOM);
    assert!(w.replies[&id].to_xml().contains("ready=\"true\""), "the next one takes it");
}

#[test]
fn a_session_that_is_over_ends_what_was_handed_over_and_the_bridge_is_told() {
    let mut w = two();
    let left = w.focus.hand_over(w.now).unwrap();
    let config = Config::for_domain("meet.jitsi").unwrap();
    w.focus = Focus::take_over(w.now, config, Box::new(SeededEntropy::new(8)), &left).unwrap();
    w.focus_in.clear();
    w.link_up(false);
    assert_eq!(w.stats().conferences, 0);
    w.bridge_presence("jvb1");
    assert!(w.bridges["jvb1"].conferences.is_empty());
}

#[test]
fn a_link_that_does_not_come_back_in_time_ends_them_as_well() {
    let mut w = two();
    let left = w.focus.hand_over(w.now).unwrap();
    let config = Config::for_domain("meet.jitsi").unwrap();
    w.focus = Focus::take_over(w.now, config, Box::new(SeededEntropy::new(8)), &left).unwrap();
    assert_eq!(w.stats().conferences, 1);
    w.advance(limits::RECONNECT);
    assert_eq!(w.stats().conferences, 0);
}

#[test]
fn bridges_policies_and_their_relays_are_as_before() {
    let mut w = World::on_two_bridges();
    w.forget();
    assert_eq!(w.stats().relays, 1);
    w.hand_over();
    w.seconds(5);
    assert_eq!(w.stats().relays, 1);
    assert!(w.bridges.values().all(|b| b.requests.iter().all(|r| !r.create && !r.expire)));
    w.join("carla003", NEW);
    let known = |b: &str| w.bridges[b].relays.values().map(|r| r.endpoints.len()).sum::<usize>();
    assert_eq!(known("jvb1") + known("jvb2"), 3, "each is known on the other bridge");
    // One ends, and its people move: the successor knows who they are.
    w.remove_bridge("jvb2");
    assert_eq!(w.endpoints("jvb1").len(), 3);
    assert_eq!(w.duplicates, 0);
}

#[test]
fn what_is_no_focus_s_or_of_another_version_begins_anew() {
    let now = std::time::Instant::now();
    let read = |bytes: &[u8]| {
        let config = Config::for_domain("meet.jitsi").unwrap();
        Focus::take_over(now, config, Box::new(SeededEntropy::new(8)), bytes).err()
    };
    let w = two();
    let left = w.focus.hand_over(w.now).unwrap();
    assert_eq!(read(&left), None);
    for broken in [&b""[..], b"{}", b"null", &left[..left.len() - 1]] {
        assert_eq!(read(broken), Some(HandoverError::Broken));
    }
    let text = String::from_utf8(left).unwrap();
    let changed = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        read(text.replacen(from, to, 1).as_bytes())
    };
    assert_eq!(changed("\"version\":1", "\"version\":2"), Some(HandoverError::Version(2)));
    assert_eq!(changed("plausch-focus", "other"), Some(HandoverError::Broken));
    assert_eq!(changed(&format!("\"jid\":\"{ME}\""), "\"jid\":\"@@\""), Some(HandoverError::Odd("jid")));
    assert_eq!(changed(&format!("\"room\":\"{ROOM}\""), "\"room\":\"@\""), Some(HandoverError::Odd("room")));
    let id = EndpointId::new("anna0001");
    assert!(text.contains(id.as_str()), "who is there is in it");
}

#[test]
fn no_byte_of_it_makes_a_successor_stumble() {
    let w = two();
    let left = w.focus.hand_over(w.now).unwrap();
    let config = Config::for_domain("meet.jitsi").unwrap();
    for place in (0..left.len()).step_by(7) {
        for byte in [b'"', b'9', b'-', b'}', 0] {
            let mut odd = left.clone();
            odd[place] = byte;
            let entropy = Box::new(SeededEntropy::new(8));
            if let Ok(mut focus) = Focus::take_over(w.now, config.clone(), entropy, &odd) {
                focus.handle_link_up(w.now, ME.parse().unwrap(), true);
                assert_eq!(focus.stats().counters.panics, 0, "byte {place}");
            }
        }
    }
}

/// The server keeps a session for minutes, and media goes on without us.
#[test]
fn a_link_that_is_resumed_after_long_finds_the_conferences_as_they_were() {
    let mut w = two();
    w.focus.handle_link_down(w.now);
    w.advance(limits::RECONNECT * 8);
    assert_eq!(w.stats().conferences, 0, "nothing can be done for them");
    w.http_request(1, &format!(r#"{{"room":"{ROOM}"}}"#));
    assert!(w.http[&1].body.contains("\"ready\":false"));
    w.link_up(true);
    w.seconds(20);
    assert_eq!((w.stats().conferences, w.stats().participants), (1, 2));
    assert_eq!((w.actions("anna0001"), w.actions("ben00002")), (vec![], vec![]));
    assert!(w.bridges["jvb1"].requests.is_empty(), "{:?}", w.bridges["jvb1"].requests);
    w.join("carla003", NEW);
    assert_eq!(w.endpoints("jvb1").len(), 3);
    // And once more, with a server that has given the session up.
    w.focus.handle_link_down(w.now);
    w.advance(limits::RECONNECT * 8);
    w.focus_in.clear();
    w.clients.clear();
    w.link_up(false);
    assert_eq!(w.stats().conferences, 0);
    w.bridge_presence("jvb1");
    w.assert_empty();
}
