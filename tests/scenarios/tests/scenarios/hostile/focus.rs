//! Against the focus: forged answers, floods of requests, rooms opened and left alone.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::{Siege, source};
use crate::world::{FOCUS, ROOM, To};

#[test]
fn an_answer_in_the_name_of_the_bridge_or_of_nobody_steers_nothing() {
    let mut s = Siege::new();
    let ids: Rc<RefCell<Vec<String>>> = Rc::default();
    let seen = ids.clone();
    // The forger knows more than anybody can: every id, before the bridge has answered.
    s.w.meddle = Box::new(move |to, text| {
        if matches!(to, To::Bridge(_)) && text.contains("conference-modify") {
            seen.borrow_mut()
                .extend(text.split(" id=\"").nth(1).and_then(|t| t.split('"').next()).map(str::to_owned));
        }
        let late = to == To::Focus && text.contains("conference-modified");
        vec![if late { Duration::from_secs(2) } else { Duration::ZERO }]
    });
    let evil = s.nick(2);
    let reply = s.jingle("source-add", &source("video", &format!("{evil}-v1"), 4711, "x y"));
    assert_eq!(reply.attr("type"), Some("result"), "{}", reply.to_xml());
    let known = ids.borrow().clone();
    assert!(!known.is_empty(), "the bridge was asked");
    let bridge = crate::bridge::BREWERY;
    for id in &known {
        for to in [format!("{ROOM}/focus"), FOCUS.to_owned()] {
            for from in [format!("{bridge}/jvb1"), "@@".to_owned(), String::new()] {
                for kind in ["result", "error"] {
                    s.raw(&format!(
                        r#"<iq xmlns="jabber:client" type="{kind}" id="{id}" to="{to}" from="{from}"><error type="cancel"><item-not-found xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>"#
                    ));
                }
            }
        }
    }
    s.w.seconds(3);
    assert_eq!(s.w.focus.stats().counters.bridges_removed, 0);
    assert_eq!(s.w.focus.stats().operational_bridge_count, 1);
    s.w.meddle = Box::new(|_, _| vec![Duration::ZERO]);
    s.end();
}

#[test]
fn a_flood_of_requests_to_the_focus_leaves_others_their_answers() {
    let mut s = Siege::new();
    let focus = format!("{ROOM}/focus");
    let version = r#"<query xmlns="jabber:iq:version"/>"#;
    for n in 0..3_000 {
        s.raw(&format!(r#"<iq xmlns="jabber:client" type="get" id="v{n}" to="{focus}">{version}</iq>"#));
    }
    let id = s.w.act(0, |c| c.request("get", &focus, version));
    let reply = s.w.clients[0].replies.remove(&id).expect("Anna is answered");
    assert_eq!(reply.attr("type"), Some("result"), "{}", reply.to_xml());
    s.end();
}

#[test]
fn rooms_opened_and_left_alone_keep_nobody_from_meeting() {
    let mut s = Siege::new();
    for n in 0..400 {
        s.raw(&format!(r#"<iq xmlns="jabber:client" id="leer{n}" to="focus.meet.jitsi" type="set"><conference room="leer{n}@muc.meet.jitsi" xmlns="http://jitsi.org/protocol/focus"/></iq>"#));
    }
    let few = 1 + focus_core::limits::ROOMS_PER_ACCOUNT;
    assert!(s.w.focus.stats().conferences <= few, "{}", s.w.focus.stats().conferences);
    s.w.seconds(20);
    assert_eq!(s.w.focus.stats().conferences, 1, "rooms that nobody joins are left");
    s.end();
}
