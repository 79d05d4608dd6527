//! Policies and limits at the moment somebody joins, and what of them holds when a session goes on; requests that may
//! have been heard although no answer came.

use std::time::Duration;

use super::world::{ME, Mood, NEW, OLD, ROOM, World};
use crate::Config;

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
fn who_came_before_counts_also_when_its_features_are_known_later() {
    let mut w = muted_beyond(1);
    w.add_bridge("jvb1");
    w.join_without_disco("anna0001");
    w.join_without_disco("ben00002");
    // This one answers at once; the two before it are still asked.
    w.join("cem00003", NEW);
    assert!(starts_muted(&w, "cem00003").is_some(), "it is the third");
    w.advance(Duration::from_secs(16));
    assert_eq!(starts_muted(&w, "anna0001"), None);
    assert!(starts_muted(&w, "ben00002").is_some());
}

#[test]
fn who_is_left_alone_keeps_its_session_when_somebody_joins_at_the_last_moment() {
    let mut w = World::meeting();
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    w.leave("ben00002");
    w.seconds(19);
    w.forget();
    // Its features are known too late for the end of the twenty seconds.
    w.join_without_disco("cem00003");
    w.seconds(16);
    assert_eq!(w.actions("cem00003"), ["session-initiate"]);
    assert!(!w.actions("anna0001").contains(&"session-terminate".to_owned()), "{:?}", w.actions("anna0001"));
    assert_eq!(w.endpoints("jvb1").len(), 2);
}

#[test]
fn compat_only_who_is_left_alone_loses_its_session() {
    let config = Config { min_participants: 1, ..Config::for_domain("meet.jitsi").unwrap() };
    let mut w = World::with(config);
    w.add_bridge("jvb1");
    w.conference_request(ROOM);
    w.join("anna0001", NEW);
    w.seconds(60);
    assert_eq!(w.actions("anna0001"), ["session-initiate"], "alone from the beginning");
    for nick in ["ben00002", "cem00003"] {
        w.join(nick, NEW);
    }
    w.forget();
    w.leave("ben00002");
    w.leave("cem00003");
    w.seconds(19);
    assert!(w.actions("anna0001").is_empty());
    w.seconds(2);
    assert_eq!(w.actions("anna0001"), ["session-terminate"]);
}

#[test]
fn compat_who_only_waits_is_no_participant() {
    let mut w = World::meeting();
    w.join("anna0001", NEW);
    assert_eq!(w.stats().counters.participants, 0);
    w.join("ben00002", NEW);
    assert_eq!(w.stats().counters.participants, 2);
    w.restart("ben00002");
    assert_eq!(w.stats().counters.participants, 2, "the same person");
    w.leave("ben00002");
    w.seconds(25);
    w.join("cem00003", NEW);
    assert_eq!(w.stats().counters.participants, 4, "whose session had ended takes part anew");
}

#[test]
fn compat_a_waiting_room_is_a_conference_of_one() {
    let mut w = World::meeting();
    let seen = |w: &World| (w.stats().participants, w.stats().largest_conference, w.stats().endpoint_pairs);
    assert_eq!(seen(&w), (1, 1, 1));
    w.join("anna0001", NEW);
    assert_eq!(seen(&w), (1, 1, 1));
    for nick in ["ben00002", "cem00003"] {
        w.join(nick, NEW);
    }
    assert_eq!(seen(&w), (3, 3, 9));
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
fn compat_a_slow_bridge_that_heard_the_first_request_is_not_asked_for_the_same_meeting_again() {
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

#[test]
fn compat_a_visitor_who_becomes_a_participant_is_invited() {
    let mut w = World::meeting();
    w.join("anna0001", NEW);
    let role = |role: &str| {
        format!(
            "<presence from='{ROOM}/ben00002' to='{ME}'><x xmlns='http://jabber.org/protocol/muc#user'>\
             <item affiliation='none' role='{role}' jid='ben00002-0@meet.jitsi/r1'/></x></presence>"
        )
    };
    w.receive(&role("visitor"));
    w.advance(Duration::from_secs(16));
    assert!(w.bridges["jvb1"].requests.is_empty(), "who only watches starts nothing");
    w.receive(&role("participant"));
    w.advance(Duration::from_secs(16));
    let mut invited = w.endpoints("jvb1");
    invited.sort();
    assert_eq!(invited, ["anna0001", "ben00002"]);
}

#[test]
fn compat_clients_of_2021_are_heard() {
    let mut w = World::meeting();
    w.join("anna0001", OLD);
    w.join("ben00002", OLD);
    let failed = "<ice-state xmlns='http://jitsi.org/protocol/focus'>failed</ice-state>";
    for info in [failed, ""] {
        assert_eq!(w.jingle("anna0001", "session-info", info).attr("type"), Some("result"), "{info}");
    }
    w.receive(&format!(
        "<iq type='get' id='d' from='{ROOM}/anna0001' to='{ME}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
    ));
    assert!(w.replies["d"].to_xml().contains("https://jitsi.org/meet/jicofo/terminate-restart"));
}

#[test]
fn compat_a_bridge_is_asked_by_get() {
    // The bridge of these tests takes nothing else.
    let mut w = World::meeting();
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    assert!(w.bridges["jvb1"].requests.iter().any(|r| r.create));
}

/// A codec that is off was still offered to be repeated.
#[test]
fn a_codec_that_is_off_is_in_no_offer() {
    let offered = |off: bool| {
        let mut config = Config::for_domain("meet.jitsi").unwrap();
        if off {
            config.offer.vp9.pt = 0;
        }
        let mut w = World::with(config);
        w.add_bridge("jvb1");
        w.conference_request(ROOM);
        w.join("anna0001", NEW);
        w.join("ben00002", NEW);
        let offers: Vec<String> = w.clients["ben00002"].received.iter().map(|j| j.to_xml()).collect();
        offers.concat()
    };
    let (with, without) = (offered(false), offered(true));
    assert!(with.contains("name=\"VP9\"") && with.contains("value=\"101\""), "{with}");
    assert!(
        without.contains("name=\"VP8\"") && !without.contains("VP9") && !without.contains("value=\"101\""),
        "{without}"
    );
}

#[test]
fn changes_of_sources_are_collected_the_longer_the_more_people_there_are() {
    let ms = Duration::from_millis;
    let config = Config {
        source_signaling_delays: vec![(50, ms(500)), (100, ms(2000))],
        ..Config::for_domain("meet.jitsi").unwrap()
    };
    for (members, delay) in [(0, 0), (49, 0), (50, 500), (99, 500), (100, 2000), (1000, 2000)] {
        assert_eq!(config.source_signaling_delay(members), ms(delay), "{members}");
    }
}

#[test]
fn compat_h264_is_offered_with_one_parameter() {
    let mut w = World::meeting();
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    let offers = w.clients["ben00002"].received.iter().map(|j| j.to_xml());
    let whole = "value=\"42e01f;level-asymmetry-allowed=1;packetization-mode=1;\"";
    assert!(offers.into_iter().any(|o| o.contains(whole)));
}
