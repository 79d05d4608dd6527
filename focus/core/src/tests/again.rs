//! What found no place, no answer or a closed door is tried again when its time has come and not before.

use std::time::{Duration, Instant};

use jitsi_xmpp::entropy::SeededEntropy;
use jitsi_xmpp::ids::EndpointId;
use jitsi_xmpp::{Element, ns};

use super::world::{ME, NEW, ROOM, World};
use crate::conference::Wait;
use crate::turn::Waiting;
use crate::{Config, Focus, Output, limits};

const MOMENT: Duration = Duration::from_millis(10);
const BREWERY: &str = "jvbbrewery@internal-muc.meet.jitsi";

/// A meeting of two whose room has as many requests under way as it may. Nobody answers them.
fn busy() -> World {
    let mut w = World::meeting();
    for nick in ["anna0001", "ben00002", "cem00003"] {
        w.join(nick, NEW);
    }
    w.leave("cem00003");
    fill(&mut w);
    w
}

/// As many requests of the room are under way as it may have.
fn fill(w: &mut World) {
    let id = w.focus.rooms.values().next().unwrap().id;
    for n in 0.. {
        let to = format!("{ROOM}/ghost{n}").parse().unwrap();
        let what = Wait::Features { member: EndpointId::new(format!("ghost{n}")), seq: 0 };
        let mut turn = w.focus.engine.turn(w.now).unwrap();
        let then = Waiting::Conference { id, room: ROOM.parse().unwrap(), what };
        if !turn.ask("get", &to, Element::new("query", ns::DISCO_INFO), then) {
            break;
        }
    }
    w.pump();
}

/// Twenty of those requests are answered; then the rest of the world is forgotten.
fn make_room(w: &mut World) {
    for n in 0..20 {
        let of = format!("/ghost{n}\"");
        let sent = w.sent.iter().find(|s| s.contains(&of)).expect("was asked");
        let id = sent.split(" id=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        w.receive(&format!(
            "<iq type='error' id='{id}' from='{ROOM}/ghost{n}' to='{ME}'><error type='cancel'/></iq>"
        ));
    }
    w.forget();
}

/// Nothing happens up to a moment before [`limits::BUSY`]; then it does.
fn happens_when_it_is_tried_again(w: &mut World, what: impl Fn(&World) -> bool) {
    make_room(w);
    w.advance(limits::BUSY - MOMENT);
    assert!(!what(w), "too early");
    w.advance(2 * MOMENT);
    assert!(what(w), "not tried again");
}

#[test]
fn an_endpoint_that_found_no_place_is_asked_for_again() {
    let mut w = busy();
    // Its features are known, so that only the bridge has to be asked.
    w.join("cem00003", NEW);
    assert!(w.stats().counters.requests_postponed > 0);
    happens_when_it_is_tried_again(&mut w, |w| !w.clients["cem00003"].received.is_empty());
    assert_eq!(w.endpoints("jvb1"), ["anna0001", "ben00002", "cem00003"]);
}

#[test]
fn a_question_for_features_that_found_no_place_is_asked_again() {
    let mut w = busy();
    w.join("dora0004", NEW);
    happens_when_it_is_tried_again(&mut w, |w| {
        w.sent.iter().any(|s| s.contains("/dora0004") && s.contains(ns::DISCO_INFO))
    });
    assert_eq!(w.endpoints("jvb1"), ["anna0001", "ben00002", "dora0004"]);
}

#[test]
fn news_for_a_bridge_that_found_no_place_are_told_later() {
    let mut w = busy();
    let share = "<content name='video'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'>\
        <source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='51' name='anna0001-v1'/></description></content>";
    assert_eq!(w.jingle("anna0001", "source-add", share).attr("type"), Some("result"));
    happens_when_it_is_tried_again(&mut w, |w| !w.bridges["jvb1"].requests.is_empty());
    assert!(w.bridges["jvb1"].requests[0].to_element().to_xml().contains("ssrc=\"51\""));
}

#[test]
fn news_for_another_bridge_that_found_no_place_are_told_later() {
    let mut w = World::on_two_bridges();
    fill(&mut w);
    let share = "<content name='video'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'>\
        <source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='51' name='anna0001-v1'/></description></content>";
    assert_eq!(w.jingle("anna0001", "source-add", share).attr("type"), Some("result"));
    let told = |w: &World| {
        let mut relays = w.bridges.values().flat_map(|b| &b.requests).flat_map(|r| &r.relays);
        relays.any(|r| r.endpoints.iter().any(|e| e.id.as_str() == "anna0001"))
    };
    happens_when_it_is_tried_again(&mut w, told);
    w.assert_linked();
}

#[test]
fn a_brewery_that_refused_is_joined_again() {
    let mut w = World::new();
    w.focus_in.remove(BREWERY);
    w.receive(&format!("<presence type='error' from='{BREWERY}/focus' to='{ME}'/>"));
    w.advance(limits::BREWERY_RETRY - MOMENT);
    assert!(!w.focus_in.contains_key(BREWERY), "too early");
    w.advance(2 * MOMENT);
    assert!(w.focus_in.contains_key(BREWERY));
}

#[test]
fn components_are_asked_for_until_they_are_found() {
    let now = Instant::now();
    let mut focus = Focus::new(Config::for_domain("meet.jitsi").unwrap(), Box::new(SeededEntropy::new(1)));
    focus.handle_link_up(now, ME.parse().unwrap(), false);
    let asked = |focus: &mut Focus| {
        let sent = std::iter::from_fn(|| focus.poll_output());
        let of_domain = |s: &Element| s.attr("to") == Some("meet.jitsi") && s.name() == "iq";
        sent.filter(|o| matches!(o, Output::Send(s) if of_domain(s))).count()
    };
    assert_eq!(asked(&mut focus), 1);
    focus.handle_timeout(now + limits::DISCOVERY_RETRY - MOMENT);
    assert_eq!(asked(&mut focus), 0);
    focus.handle_timeout(now + limits::DISCOVERY_RETRY);
    assert_eq!(asked(&mut focus), 1);
}
