//! Rooms that anybody opens by coming first, where an admin asks for that, and what nobody opens all the same.

use std::collections::BTreeMap;

use budget::Network;
use jitsi_xmpp::Sensitive;
use prosody_core::limits::OPENED_ROOM_BYTES;
use prosody_core::{Config, Counter, Policy, RoomsHost, SessionQuery};

use crate::rig::{Client, Rig};

const OPEN: &str = "open.meet.jitsi";

fn rooms(domain: &str, modules: &[&str], policy: Policy) -> RoomsHost {
    RoomsHost {
        domain: domain.into(),
        modules: modules.iter().map(|m| (*m).to_owned()).collect(),
        lobby: None,
        audience: None,
        breakouts: None,
        policy,
        tenants: BTreeMap::new(),
    }
}

fn open(config: &mut Config) {
    let policy = Policy { anybody_creates: true, ..Policy::default() };
    config.hosts.rooms.push(rooms(OPEN, &[], policy));
}

fn from(last: u8) -> SessionQuery {
    let peer = Some(Network::of([192, 0, 2, last].into()));
    SessionQuery { room: Some(Sensitive::new("rathaus".into())), peer, ..SessionQuery::default() }
}

fn enter(rig: &mut Rig, who: &Client, room: &str) -> String {
    let nick = &who.nick;
    rig.ask(
        who,
        &format!(
            r#"<presence to="{room}/{nick}" id="j"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#
        ),
    )
    .concat()
}

#[test]
fn whoever_comes_first_opens_a_room_where_the_policy_says_so_and_owns_it() {
    let mut rig = Rig::with(open);
    let (anna, ben) = (rig.client_with(from(1)), rig.client_with(from(2)));
    let back = enter(&mut rig, &anna, "laube@open.meet.jitsi");
    assert!(back.contains("code=\"201\"") && back.contains("code=\"110\""), "{back}");
    assert!(back.contains("affiliation=\"owner\" role=\"moderator\""), "{back}");
    let back = enter(&mut rig, &ben, "laube@open.meet.jitsi");
    assert!(!back.contains("code=\"201\"") && back.contains("affiliation=\"none\""), "{back}");
    let refused = enter(&mut rig, &anna, "laube@muc.meet.jitsi");
    assert!(refused.contains("Room creation is restricted"), "the meetings are as they were: {refused}");
    let end = r#"<iq type="set" id="d" to="laube@open.meet.jitsi"><query xmlns="http://jabber.org/protocol/muc#owner"><destroy/></query></iq>"#;
    rig.send(&anna, end);
    assert_eq!(rig.server.stats().rooms, 0);
    rig.end(&[&anna, &ben]);
}

#[test]
fn a_room_beside_a_meeting_is_the_meeting_s_to_open() {
    let mut rig = Rig::with(|c| {
        c.hosts.rooms.iter_mut().for_each(|r| r.policy.anybody_creates = r.domain != "muc.meet.jitsi")
    });
    let anna = rig.client_with(from(1));
    for domain in ["lobby", "breakout"] {
        let back = enter(&mut rig, &anna, &format!("laube@{domain}.meet.jitsi"));
        assert!(back.contains("type=\"error\""), "{domain}: {back}");
    }
    assert_eq!(rig.server.stats().rooms, 0);
    rig.end(&[&anna]);
}

#[test]
fn one_address_opens_its_share_of_rooms_and_not_one_more_and_others_theirs() {
    let mut rig = Rig::with(|c| {
        open(c);
        // Beside the presences, which count as well.
        c.limits.max_kept_per_address = 3 * OPENED_ROOM_BYTES + 1_000;
    });
    let (greedy, other) = (rig.client_with(from(1)), rig.client_with(from(2)));
    for n in 0..3 {
        assert!(enter(&mut rig, &greedy, &format!("r{n}@{OPEN}")).contains("code=\"110\""), "{n}");
    }
    let refused = enter(&mut rig, &greedy, &format!("r3@{OPEN}"));
    assert!(refused.contains("<resource-constraint "), "{refused}");
    assert_eq!(rig.server.counters().count(Counter::JoinsRefused), 1);
    assert!(enter(&mut rig, &other, &format!("r3@{OPEN}")).contains("code=\"110\""));
    assert!(enter(&mut rig, &greedy, &format!("r3@{OPEN}")).contains("code=\"110\""), "it is there now");
    let leave = format!(r#"<presence to="r0@{OPEN}/{}" type="unavailable"/>"#, greedy.nick);
    rig.send(&greedy, &leave);
    assert!(enter(&mut rig, &greedy, &format!("r4@{OPEN}")).contains("code=\"110\""), "one is gone");
    rig.end(&[&greedy, &other]);
}

#[test]
fn compat_health_check_rooms_are_the_focus_own_before_tokens_are_looked_at() {
    let mut rig = crate::tokens::with_both(|s| s.allow_empty = true, |_| {});
    let anna = rig.client_with(from(1));
    let room = "__jicofo-health-check-1@muc.meet.jitsi";
    for there in [false, true] {
        if there {
            let focus = rig.focus();
            assert!(enter(&mut rig, &focus, room).contains("code=\"110\""));
        }
        let back = enter(&mut rig, &anna, room);
        assert!(back.contains("<service-unavailable "), "{back}");
    }
}
