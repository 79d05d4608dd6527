//! Policies and limits at the moment somebody joins, and what of them holds when a session goes on; requests that may
//! have been heard although no answer came.

use std::time::Duration;

use super::world::{ME, Mood, NEW, OLD, ROOM, World};

/// A conference whose first request wished that participants beyond the n-th start muted.
fn muted_beyond(n: usize) -> World {
    let mut w = World::new();
    w.receive(&format!(
        "<iq type='set' id='c' from='focus.meet.jitsi/u1@meet.jitsi/r1' to='{ME}'>\
         <conference xmlns='http://jitsi.org/protocol/focus' room='{ROOM}'>\
         <property name='startAudioMuted' value='{n}'/><property name='startVideoMuted' value='{n}'/></conference></iq>"
    ));
    w
}

/// What the last offer to `nick` said about starting muted.
fn starts_muted(w: &World, nick: &str) -> Option<String> {
    let mut offers = w.clients[nick].received.iter().filter(|j| j.attr("action") == Some("session-initiate"));
    let muted = offers.next_back().expect("an offer").child_named("startmuted")?;
    Some(muted.to_xml())
}

#[test]
fn several_who_are_invited_at_once_are_counted_in_the_order_in_which_they_came() {
    let mut w = muted_beyond(2);
    for nick in ["anna0001", "ben00002", "cem00003", "dana0004"] {
        w.join(nick, NEW);
    }
    w.add_bridge("jvb1");
    assert_eq!(starts_muted(&w, "anna0001"), None);
    assert_eq!(starts_muted(&w, "ben00002"), None, "the second is not beyond the second");
    for late in ["cem00003", "dana0004"] {
        let muted = starts_muted(&w, late).expect("is beyond");
        assert!(muted.contains("audio=\"true\"") && muted.contains("video=\"true\""), "{muted}");
    }
}

#[test]
fn start_muted_is_not_applied_again_to_somebody_who_is_moved_or_restarts() {
    let mut w = muted_beyond(1);
    w.add_bridge("jvb1");
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    assert!(starts_muted(&w, "ben00002").is_some());
    w.forget();
    w.restart("ben00002");
    assert_eq!(starts_muted(&w, "ben00002"), None, "a restart switches no camera off");
    w.forget();
    w.add_bridge("jvb2");
    w.remove_bridge("jvb1");
    assert_eq!(starts_muted(&w, "ben00002"), None, "neither does another bridge");
}

#[test]
fn somebody_who_never_got_in_starts_muted_at_the_next_invitation_too() {
    let mut w = muted_beyond(1);
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    w.clients.get_mut("ben00002").unwrap().accepts = false;
    w.add_bridge("jvb1");
    assert!(starts_muted(&w, "ben00002").is_some());
    w.forget();
    w.add_bridge("jvb2");
    w.remove_bridge("jvb1");
    assert!(starts_muted(&w, "ben00002").is_some(), "it has not joined yet");
    assert_eq!(starts_muted(&w, "anna0001"), None);
}

#[test]
fn a_repeated_update_says_all_that_was_wanted_last_n_too() {
    let mut w = World::meeting();
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    w.forget();
    w.clients.get_mut("anna0001").unwrap().accepts = false;
    w.restart("anna0001");
    w.bridges.get_mut("jvb1").unwrap().mood = Mood::Silent;
    w.bridges.get_mut("jvb1").unwrap().requests.clear();
    let accept = w.clients["anna0001"].accept().to_xml();
    w.receive(&accept);
    w.advance(Duration::from_secs(16));
    let requests = &w.bridges["jvb1"].requests;
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].endpoints[0].initial_last_n, Some(5));
    assert_eq!(requests[1].endpoints[0].initial_last_n, Some(5));
}

#[test]
fn a_slow_bridge_that_heard_the_first_request_is_not_asked_for_the_same_meeting_again() {
    let mut w = World::meeting();
    w.bridges.get_mut("jvb1").unwrap().mood = Mood::Cold;
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    w.advance(Duration::from_secs(20));
    // It has made the conference, and keeps it until it finds by itself that nobody uses it.
    assert!(!w.bridges["jvb1"].conferences.is_empty());
    w.bridges.get_mut("jvb1").unwrap().mood = Mood::Works;
    w.seconds(15);
    for nick in ["anna0001", "ben00002"] {
        assert!(w.actions(nick).contains(&"session-initiate".to_owned()), "{nick} has no media");
    }
}

#[test]
fn an_orderly_end_on_the_bridge_leaves_the_meetings_own_id_for_the_next_session() {
    let mut w = World::meeting();
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    w.leave("ben00002");
    w.seconds(25);
    assert!(w.bridges["jvb1"].conferences.is_empty());
    w.join("ben00002", NEW);
    assert!(w.bridges["jvb1"].conferences.contains_key(super::world::MEETING));
}

#[test]
fn a_person_called_jvb_is_announced_to_later_joiners() {
    let mut w = World::meeting();
    w.join("jvb", OLD);
    w.join("anna0001", OLD);
    w.join("ben00002", OLD);
    let offer = w.clients["ben00002"].received.iter().find(|j| j.attr("action") == Some("session-initiate"));
    let offer = offer.unwrap().to_xml();
    assert!(offer.contains("jvb-v0") && offer.contains("jvb-video-0-1"), "{offer}");
    assert!(offer.contains("ssrc=\"3002\""), "the bridge's own source as well");
}
