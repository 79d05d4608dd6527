//! Bridges, links and clients that fail: nobody stays without media for good, nothing is left behind.

use std::time::Duration;

use jitsi_xmpp::colibri2::ErrorReason;
use jitsi_xmpp::{Condition, Element, StanzaError, ns};

use super::world::{ME, Mood, NEW, OLD, ROOM, World};
use crate::limits;

const MOMENT: Duration = Duration::from_millis(10);

fn two() -> World {
    let mut w = World::meeting();
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    w.forget();
    w
}

#[test]
fn without_a_bridge_the_room_is_told_and_everybody_is_invited_when_one_comes() {
    let mut w = World::new();
    w.conference_request(ROOM);
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    assert!(
        w.focus_in[ROOM].to_xml().contains("<bridgeNotAvailable xmlns=\"http://jitsi.org/protocol/focus\"/>")
    );
    w.seconds(60);
    w.add_bridge("jvb1");
    assert_eq!(w.endpoints("jvb1"), ["anna0001", "ben00002"]);
    assert!(!w.focus_in[ROOM].to_xml().contains("bridgeNotAvailable"));
}

#[test]
fn when_a_bridge_leaves_everybody_moves() {
    let mut w = two();
    w.add_bridge("jvb2");
    let old = w.clients["anna0001"].bridge_session.clone();
    w.remove_bridge("jvb1");
    for nick in ["anna0001", "ben00002"] {
        assert_eq!(w.actions(nick), ["session-terminate", "session-initiate"], "{nick}");
    }
    assert!(w.sent.iter().any(|s| s.contains("<reason><success/><text>moving</text></reason>")));
    assert_ne!(w.clients["anna0001"].bridge_session, old);
    assert_eq!(w.endpoints("jvb2"), ["anna0001", "ben00002"]);
    w.leave("anna0001");
    w.leave("ben00002");
    w.assert_empty();
}

#[test]
fn a_bridge_that_says_it_is_sick_is_left_and_told() {
    let mut w = two();
    w.add_bridge("jvb2");
    w.bridges.get_mut("jvb1").unwrap().healthy = false;
    w.bridge_presence("jvb1");
    assert_eq!(w.endpoints("jvb2"), ["anna0001", "ben00002"]);
    assert!(w.bridges["jvb1"].conferences.is_empty());
}

#[test]
fn a_conference_or_endpoint_the_bridge_has_forgotten_is_made_again() {
    let mut w = two();
    w.bridges.get_mut("jvb1").unwrap().conferences.clear();
    let share = "<content name='video'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'>\
        <source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='51' name='anna0001-v1'/></description></content>";
    assert_eq!(w.jingle("anna0001", "source-add", share).attr("type"), Some("result"));
    assert_eq!(w.endpoints("jvb1"), ["anna0001", "ben00002"]);
    assert_eq!(w.actions("ben00002"), ["session-terminate", "session-initiate"]);
    w.forget();
    // Only one endpoint is gone: only that one is made again.
    w.bridges.get_mut("jvb1").unwrap().conferences.values_mut().for_each(|e| {
        e.remove("anna0001");
    });
    w.jingle("anna0001", "source-add", share);
    assert_eq!(w.actions("anna0001"), ["session-terminate", "session-initiate"]);
    assert!(w.actions("ben00002").is_empty());
    assert_eq!(w.endpoints("jvb1"), ["anna0001", "ben00002"]);
}

#[test]
fn compat_a_conference_left_over_on_the_bridge_is_expired_and_made_again() {
    let mut w = World::meeting();
    w.bridges.get_mut("jvb1").unwrap().conferences.insert(super::world::MEETING.into(), Default::default());
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    assert_eq!(w.endpoints("jvb1"), ["anna0001", "ben00002"]);
    assert_eq!(w.actions("anna0001"), ["session-initiate"]);
}

#[test]
fn each_way_of_failing_to_allocate_is_recovered_from() {
    let refuses = |c, r| Mood::Refuses(c, r);
    for mood in [
        Mood::Silent,
        Mood::Empty,
        refuses(Condition::BadRequest, None),
        refuses(Condition::ItemNotFound, None),
        refuses(Condition::ItemNotFound, Some(ErrorReason::ConferenceNotFound)),
        refuses(Condition::Conflict, None),
        refuses(Condition::ServiceUnavailable, Some(ErrorReason::GracefulShutdown)),
        refuses(Condition::ServiceUnavailable, None),
        refuses(Condition::InternalServerError, Some(ErrorReason::Unspecified)),
    ] {
        let mut w = World::meeting();
        w.bridges.get_mut("jvb1").unwrap().mood = mood.clone();
        w.join("anna0001", NEW);
        w.join("ben00002", NEW);
        w.seconds(60);
        let attempts = w.bridges["jvb1"].requests.iter().filter(|r| !r.expire).count();
        assert!(attempts < 60, "{mood:?}: {attempts} requests in a minute");
        assert!(w.clients["anna0001"].received.is_empty(), "{mood:?}");
        w.bridges.get_mut("jvb1").unwrap().mood = Mood::Works;
        w.seconds(80);
        assert_eq!(w.endpoints("jvb1"), ["anna0001", "ben00002"], "{mood:?}");
        assert!(w.actions("anna0001").contains(&"session-initiate".to_owned()), "{mood:?}");
        w.leave("anna0001");
        w.leave("ben00002");
        w.assert_empty();
    }
}

#[test]
fn an_update_without_answer_is_repeated_once_then_everybody_moves() {
    let mut w = two();
    // Else it would be left before.
    w.focus.engine.config.bridges.silence = None;
    w.add_bridge("jvb2");
    w.bridges.get_mut("jvb1").unwrap().mood = Mood::Silent;
    let share = "<content name='video'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'>\
        <source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='51' name='anna0001-v1'/></description></content>";
    assert_eq!(
        w.jingle("anna0001", "source-add", share).attr("type"),
        Some("result"),
        "the client does not wait"
    );
    w.advance(Duration::from_secs(16));
    let repeated = w.bridges["jvb1"].requests[1].endpoints[0].clone();
    assert!(repeated.transport.is_some() && repeated.sources.is_some(), "all of it, once more");
    assert!(w.actions("anna0001").is_empty());
    w.advance(Duration::from_secs(15));
    assert_eq!(w.endpoints("jvb2"), ["anna0001", "ben00002"]);
    assert_eq!(w.stats().operational_bridge_count, 1);
    w.bridges.get_mut("jvb1").unwrap().mood = Mood::Works;
    w.seconds(40);
    assert_eq!(w.stats().operational_bridge_count, 2, "probed until it answers");
}

#[test]
fn a_bridge_that_falls_silent_in_presence_keeps_its_conferences_but_gets_no_new_ones() {
    let mut w = two();
    w.bridges.get_mut("jvb1").unwrap().mood = Mood::Silent;
    w.advance(Duration::from_secs(60));
    assert_eq!(w.stats().operational_bridge_count, 0);
    assert!(w.actions("anna0001").is_empty());
}

#[test]
fn restarts_get_a_new_session_without_terminate_and_too_many_are_delayed() {
    let mut w = two();
    let ok = |w: &mut World| {
        assert_eq!(w.restart("anna0001").attr("type"), Some("result"));
        w.actions("anna0001")
    };
    let start = w.now;
    for i in 0..limits::RESTARTS {
        assert_eq!(ok(&mut w), ["session-initiate"], "restart {i}");
        w.advance(limits::RESTART_DISTANCE);
    }
    assert!(ok(&mut w).is_empty(), "one more within a minute waits");
    assert_eq!(w.stats().counters.restarts_delayed, 1);
    w.advance(start + limits::RESTART_WINDOW - w.now - MOMENT);
    assert!(w.actions("anna0001").is_empty());
    w.advance(2 * MOMENT);
    assert_eq!(w.actions("anna0001"), ["session-initiate"]);
    assert_eq!(w.endpoints("jvb1"), ["anna0001", "ben00002"]);
    assert!(w.actions("ben00002").is_empty());
}

#[test]
fn a_restart_of_a_session_that_has_moved_is_refused_and_harms_nothing() {
    let mut w = two();
    let stale = "<reason><connectivity-error/></reason>\
        <bridge-session xmlns='http://jitsi.org/protocol/focus' id='old' restart='true'/>";
    let reply = w.jingle("anna0001", "session-terminate", stale).to_xml();
    assert!(
        reply.contains("<item-not-found") && reply.contains("old is not a currently active session"),
        "{reply}"
    );
    assert_eq!(w.endpoints("jvb1"), ["anna0001", "ben00002"]);
    assert_eq!(w.restart("anna0001").attr("type"), Some("result"), "the session is still there");
}

#[test]
fn others_forget_the_sources_of_a_restarted_session_and_learn_the_new_ones() {
    let mut w = World::meeting();
    w.join("anna0001", NEW);
    w.join("ben00002", OLD);
    w.forget();
    w.restart("anna0001");
    assert_eq!(w.actions("ben00002"), ["source-remove", "source-add"]);
}

#[test]
fn an_invitation_nobody_accepts_is_repeated_once() {
    let mut w = World::meeting();
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    w.join("cem00003", NEW);
    w.forget();
    w.clients.get_mut("anna0001").unwrap().accepts = false;
    w.restart("anna0001");
    assert_eq!(w.actions("anna0001"), ["session-initiate"]);
    w.advance(limits::ACCEPT - MOMENT);
    assert!(w.actions("anna0001").is_empty());
    w.advance(2 * MOMENT);
    assert_eq!(w.actions("anna0001"), ["session-terminate", "session-initiate"]);
    w.seconds(120);
    assert!(w.actions("anna0001").is_empty());
}

#[test]
fn a_member_that_leaves_while_its_endpoint_is_made_leaves_nothing() {
    let mut w = World::meeting();
    w.bridges.get_mut("jvb1").unwrap().mood = Mood::Silent;
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    w.leave("ben00002");
    w.leave("anna0001");
    w.bridges.get_mut("jvb1").unwrap().mood = Mood::Works;
    w.assert_empty();
    assert!(w.bridges["jvb1"].requests.last().unwrap().expire);
}

#[test]
fn a_resumed_link_loses_nothing_a_new_one_ends_the_conferences_and_tidies_the_bridges() {
    let mut w = two();
    w.focus.handle_link_down(w.now);
    w.advance(Duration::from_secs(5));
    w.link_up(true);
    assert_eq!(w.stats().conferences, 1);
    w.focus.handle_link_down(w.now);
    w.focus_in.clear();
    w.clients.clear();
    w.link_up(false);
    assert_eq!(w.stats().conferences, 0);
    assert!(!w.bridges["jvb1"].conferences.is_empty());
    w.bridge_presence("jvb1");
    w.assert_empty();
}

#[test]
fn a_link_that_stays_away_ends_the_conferences_when_no_resumption_can_come() {
    let mut w = two();
    w.focus.handle_link_down(w.now);
    w.advance(limits::RECONNECT - MOMENT);
    assert_eq!(w.stats().conferences, 1);
    w.advance(2 * MOMENT);
    assert_eq!((w.stats().conferences, w.stats().bridge_count), (0, 0));
    assert!(w.focus.poll_timeout().is_none(), "nothing is left to wait for");
}

#[test]
fn a_room_destroyed_or_taken_away_ends_the_conference() {
    let mut w = two();
    w.focus_in.remove(ROOM);
    w.receive(&format!(
        "<presence type='unavailable' from='{ROOM}/focus' to='{ME}'><x xmlns='http://jabber.org/protocol/muc#user'><destroy/></x></presence>"
    ));
    w.assert_empty();
    let mut w = two();
    w.receive(&format!(
        "<presence from='{ROOM}/focus' to='{ME}'><x xmlns='http://jabber.org/protocol/muc#user'>\
         <item affiliation='none' role='participant'/></x></presence>"
    ));
    w.assert_empty();
}

#[test]
fn a_shutdown_leaves_every_room_and_takes_no_new_one() {
    let mut w = two();
    w.focus.handle_shutdown(w.now);
    w.pump();
    w.assert_empty();
    let id = w.conference_request(ROOM);
    assert!(w.replies[&id].to_xml().contains("ready=\"false\""));
}

#[test]
fn a_client_that_refuses_the_offer_is_left_in_peace() {
    let mut w = two();
    let sid = w.clients["anna0001"].sid.clone();
    // The reply to the offer was a result; an unrelated error with a made-up id changes nothing.
    w.receive(&format!(
        "<iq type='error' id='{sid}' from='{ROOM}/anna0001' to='{ME}'><error type='cancel'/></iq>"
    ));
    assert_eq!(w.endpoints("jvb1"), ["anna0001", "ben00002"]);
}

#[test]
fn compat_receivers_without_rewriting_are_told_when_somebody_moves() {
    let mut w = World::meeting();
    w.join("anna0001", OLD);
    w.join("ben00002", OLD);
    w.add_bridge("jvb2");
    w.forget();
    w.remove_bridge("jvb1");
    assert_eq!(w.endpoints("jvb2"), ["anna0001", "ben00002"]);
    let last = w.clients["anna0001"].received.last().unwrap();
    assert_eq!(last.attr("action"), Some("source-add"));
}

#[test]
fn compat_a_bridge_that_was_away_for_a_moment_is_tidied_and_used_again() {
    let mut w = two();
    w.receive(&format!(
        "<presence type='unavailable' from='jvbbrewery@internal-muc.meet.jitsi/jvb1' to='{ME}'/>"
    ));
    assert!(w.focus_in[ROOM].to_xml().contains("bridgeNotAvailable"));
    w.bridge_presence("jvb1");
    assert_eq!(w.endpoints("jvb1"), ["anna0001", "ben00002"]);
    assert!(w.actions("anna0001").ends_with(&["session-initiate".to_owned()]));
}

#[test]
fn a_bridge_that_says_that_a_conference_failed_has_everybody_invited_again_and_nobody_else_can() {
    let mut w = two();
    let meeting = w.bridges["jvb1"].conferences.keys().next().unwrap().to_string();
    let mut id = 0;
    let mut says = |w: &mut World, from: &str, meeting: &str| {
        id += 1;
        w.receive(&format!(
            "<iq xmlns='jabber:client' type='set' id='f{id}' from='{from}' to='focus@auth.meet.jitsi/focus'>\
             <conference-modify xmlns='jitsi:colibri2' meeting-id='{meeting}' expire='true'/></iq>"
        ));
    };
    says(&mut w, "jvbbrewery@internal-muc.meet.jitsi/jvb2", &meeting);
    says(&mut w, "jvbbrewery@internal-muc.meet.jitsi/jvb1", "another");
    assert!(w.actions("anna0001").is_empty());
    w.bridges.get_mut("jvb1").unwrap().conferences.clear();
    says(&mut w, "jvbbrewery@internal-muc.meet.jitsi/jvb1", &meeting);
    assert_eq!(w.actions("anna0001"), ["session-terminate", "session-initiate"]);
    assert_eq!(w.actions("ben00002"), ["session-terminate", "session-initiate"]);
    assert_eq!(w.endpoints("jvb1"), ["anna0001", "ben00002"]);
}

#[test]
fn a_bridge_that_says_that_it_lost_some_has_those_invited_again() {
    let mut w = two();
    let meeting = w.bridges["jvb1"].conferences.keys().next().unwrap().to_string();
    w.receive(&format!(
        "<iq xmlns='jabber:client' type='set' id='f1' from='jvbbrewery@internal-muc.meet.jitsi/jvb1' to='focus@auth.meet.jitsi/focus'>\
         <conference-modify xmlns='jitsi:colibri2' meeting-id='{meeting}'><endpoint id='ben00002' expire='true'/>\
         <endpoint id='nobody01' expire='true'/></conference-modify></iq>"
    ));
    assert_eq!(w.actions("ben00002"), ["session-terminate", "session-initiate"]);
    assert!(w.actions("anna0001").is_empty());
    assert_eq!(w.endpoints("jvb1"), ["anna0001", "ben00002"]);
}

/// A source more, on Anna's side.
const SHARE: &str = "<content name='video'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'>\
    <source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='51' name='anna0001-v1'/></description></content>";

/// Whose sound the bridge was told to discard, by requests that it did not refuse.
fn muted(w: &World) -> Vec<String> {
    let asked = w.bridges["jvb1"].requests.iter().filter(|r| r.endpoints.len() == 1);
    let muted = asked.flat_map(|r| &r.endpoints).filter(|e| e.force_mute.is_some_and(|m| m.audio));
    muted.map(|e| e.id.to_string()).collect()
}

/// The bridge refuses a request about several when it does not know one of them, and the others could still be heard.
#[test]
fn a_bridge_that_had_lost_one_of_many_let_all_the_others_be_heard() {
    let mut w = two();
    w.join("cem00003", NEW);
    w.bridges.get_mut("jvb1").unwrap().conferences.values_mut().for_each(|e| {
        e.remove("ben00002");
    });
    w.forget();
    w.moderate("audio", None);
    assert!(muted(&w).contains(&"cem00003".to_owned()), "{:?}", muted(&w));
    assert_eq!(w.actions("ben00002"), ["session-terminate", "session-initiate"]);
    assert!(muted(&w).contains(&"ben00002".to_owned()), "with its new endpoint");
    assert!(!w.actions("cem00003").contains(&"session-terminate".to_owned()));
    assert_eq!(w.endpoints("jvb1"), ["anna0001", "ben00002", "cem00003"]);
}

/// One lost answer moved the whole meeting.
#[test]
fn a_moderation_of_all_without_answer_is_repeated_once_then_everybody_moves() {
    let mut w = two();
    w.focus.engine.config.bridges.silence = None;
    w.add_bridge("jvb2");
    w.bridges.get_mut("jvb1").unwrap().mood = Mood::Silent;
    w.moderate("audio", None);
    w.advance(limits::IQ_TIMEOUT + MOMENT);
    assert_eq!((muted(&w).len(), w.actions("anna0001").len()), (1, 0), "of each by itself, and nobody moves");
    assert!(w.endpoints("jvb2").is_empty());
    w.advance(limits::IQ_TIMEOUT);
    assert_eq!(w.endpoints("jvb2"), ["anna0001", "ben00002"]);
}

/// It was about an endpoint that has been made anew since, and cost everybody the session.
#[test]
fn an_error_about_an_endpoint_that_was_gone_by_then_moved_everybody() {
    let mut w = two();
    w.bridges.get_mut("jvb1").unwrap().mood = Mood::Late;
    w.jingle("anna0001", "source-add", SHARE);
    w.bridges.get_mut("jvb1").unwrap().mood = Mood::Works;
    w.restart("anna0001");
    assert_eq!(w.actions("anna0001"), ["session-initiate"]);
    let late = w.bridges.get_mut("jvb1").unwrap().held.pop().unwrap();
    let error = StanzaError::new(Condition::InternalServerError).to_element();
    let mut answer = Element::new("iq", ns::CLIENT).with_attr("type", "error").with_child(error);
    for name in ["id", "from", "to"] {
        if let Some(value) = late.attr(name) {
            answer.set_attr(name, value);
        }
    }
    w.receive(&answer.to_xml());
    assert!(w.actions("anna0001").is_empty() && w.actions("ben00002").is_empty());
    assert_eq!(w.stats().counters.bridges_removed, 0);
}
