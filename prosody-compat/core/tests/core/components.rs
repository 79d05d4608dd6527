//! Modules with a domain of their own, as clients see them.

use prosody_core::{Config, Policy, SessionQuery};

use crate::rig::{Client, ROOM, Rig};

/// Sends a command and returns what comes back to the sender.
fn command(rig: &mut Rig, who: &Client, component: &str, payload: &str) -> Vec<String> {
    rig.ask(who, &format!(r#"<message to="{component}.meet.jitsi">{payload}</message>"#))
}

#[test]
fn compat_a_moderator_ends_the_conference_for_all() {
    for payload in ["<end_conference/>", r#"<end_conference xmlns="http://jitsi.org/jitmeet"/>"#] {
        let mut rig = Rig::new();
        let (focus, clients) = rig.meeting(2);
        let (anna, ben) = (&clients[0], &clients[1]);
        assert!(command(&mut rig, ben, "endconference", payload)[0].contains("<service-unavailable "));
        let outsider = rig.client();
        assert!(command(&mut rig, &outsider, "endconference", payload)[0].contains("<service-unavailable "));
        rig.grant(&focus, anna);
        assert!(command(&mut rig, anna, "endconference", "<other/>")[0].contains("<service-unavailable "));
        for c in [anna, ben, &focus] {
            rig.take(c);
        }
        rig.send(anna, &format!(r#"<message to="endconference.meet.jitsi">{payload}</message>"#));
        for c in [anna, ben, &focus] {
            let told = rig.take(c);
            assert!(told.len() == 1, "{told:?}");
            assert!(told[0].contains("<destroy><reason>The meeting has been terminated</reason></destroy>"));
            assert!(told[0].contains(r#"type="unavailable""#) && told[0].contains(r#"code="110""#));
        }
        assert_eq!(rig.server.stats().rooms, 0);
        rig.end(&[&focus, anna, ben, &outsider]);
    }
}

#[test]
fn a_command_is_about_the_room_that_the_sender_is_in() {
    let mut rig = Rig::new();
    let focus = rig.focus();
    let other = "other@muc.meet.jitsi";
    let join = |room: &str, nick: &str| {
        format!(r#"<presence to="{room}/{nick}"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#)
    };
    for room in [ROOM, other] {
        rig.send(&focus, &join(room, "focus"));
    }
    // Two rooms at once: the one that the connection's URL names is meant.
    let (anna, ben) = (rig.client(), rig.client_with(SessionQuery::default()));
    for (who, room) in [(&anna, other), (&anna, ROOM), (&ben, other), (&ben, ROOM)] {
        rig.send(who, &join(room, &who.nick));
        let bare = who.bare();
        rig.send(&focus, &format!(r#"<iq type="set" id="go" to="{room}"><query xmlns="http://jabber.org/protocol/muc#admin"><item affiliation="owner" jid="{bare}"/></query></iq>"#));
    }
    assert!(
        command(&mut rig, &ben, "endconference", "<end_conference/>")[0].contains("<service-unavailable "),
        "which one?"
    );
    assert_eq!(rig.server.stats().rooms, 2);
    let told = command(&mut rig, &anna, "endconference", "<end_conference/>");
    assert!(told[0].contains(&format!("from=\"{ROOM}/{}\"", anna.nick)), "{told:?}");
    assert_eq!(rig.server.stats().rooms, 1, "the other goes on");
    // Being moderator somewhere else is nothing.
    let foreign = format!(
        r#"<room_metadata xmlns="http://jitsi.org/jitmeet" room="{ROOM}">{{"key":"k","data":1}}</room_metadata>"#
    );
    assert!(command(&mut rig, &anna, "metadata", &foreign)[0].contains("<service-unavailable "));
    rig.end(&[&focus, &anna, &ben]);
}

#[test]
fn a_tenant_has_its_own_policy() {
    let mut rig = Rig::with(|c: &mut Config| {
        let town = Policy { all_owners: true, ..c.policy.clone() };
        c.tenant_policies.insert("town".into(), town);
    });
    let focus = rig.focus();
    for (room, role) in [("r@muc.town.meet.jitsi", "moderator"), ("r@muc.meet.jitsi", "participant")] {
        rig.send(
            &focus,
            &format!(r#"<presence to="{room}/focus"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#),
        );
        let c = rig.client();
        let nick = &c.nick;
        let back = rig.ask(
            &c,
            &format!(
                r#"<presence to="{room}/{nick}"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#
            ),
        );
        let own = back.iter().find(|f| f.contains("110")).unwrap();
        assert!(own.contains(&format!(r#"role="{role}""#)), "{room}: {own}");
    }
}
