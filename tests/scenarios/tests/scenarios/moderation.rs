//! A/V moderation through all parts: the XMPP server keeps the lists, the focus asks the bridge, the bridge discards.

use std::time::Duration;

use crate::world::{FOCUS, ROOM, World};

const COMPONENT: &str = "avmoderation.meet.jitsi";

fn moderate(w: &mut World, n: usize, attrs: &str) {
    let message = format!(
        r#"<message to="{COMPONENT}" xmlns="jabber:client"><av_moderation {attrs} mediaType="audio"/></message>"#
    );
    w.act(n, |c| c.stream.send(message));
    w.run(Duration::from_millis(200));
}

/// Who is heard by everybody else. Somebody is heard by all or by none.
fn heard(w: &mut World) -> Vec<usize> {
    let present: Vec<usize> = (0..w.clients.len()).filter(|n| w.clients[*n].media.is_some()).collect();
    for c in &mut w.clients {
        if let Some(m) = &mut c.media {
            m.peer.rtp.clear();
        }
    }
    for _ in 0..10 {
        for n in &present {
            w.clients[*n].send_media();
        }
        w.run(Duration::from_millis(20));
    }
    w.run(Duration::from_millis(200));
    let mut speakers = Vec::new();
    for speaker in &present {
        let source = format!("{}-a0", w.clients[*speaker].nick);
        let by: Vec<usize> = present
            .iter()
            .filter(|n| *n != speaker)
            .map(|n| {
                let map = w.clients[*n].mapped("AudioSourcesMap");
                map.get(&source).map_or(0, |(_, ssrc)| w.clients[*n].heard(*ssrc))
            })
            .collect();
        assert!(by.iter().all(|n| *n == by[0]) && matches!(by[0], 0 | 10), "{speaker} is heard {by:?}");
        if by[0] > 0 {
            speakers.push(*speaker);
        }
    }
    speakers
}

fn told(w: &mut World, n: usize) -> Vec<serde_json::Value> {
    let all = std::mem::take(&mut w.clients[n].told);
    all.into_iter()
        .filter(|(from, _)| from == COMPONENT)
        .map(|(_, json)| serde_json::from_str(&json).unwrap())
        .collect()
}

#[test]
fn moderated_microphones_are_silent_at_the_bridge_until_they_are_allowed() {
    let mut w = World::new();
    w.meeting(&["Anna", "Ben", "Cem"]);
    assert!(w.clients[0].moderator);
    assert_eq!(heard(&mut w), [0, 1, 2]);
    let occupant = |w: &World, n: usize| format!("{ROOM}/{}", w.clients[n].nick);

    moderate(&mut w, 0, r#"enable="true""#);
    assert_eq!(heard(&mut w), [0], "the moderator goes on");
    for n in [1, 2] {
        assert_eq!(told(&mut w, n)[0]["enabled"], true);
        assert_eq!(w.clients[n].muted_by.len(), 1, "the focus asks them to mute, too");
    }
    assert!(w.clients[0].muted_by.is_empty());
    // Somebody lifts the hand and does not wait: the focus says no.
    let ben = occupant(&w, 1);
    let unmute = format!(r#"<mute xmlns="http://jitsi.org/jitmeet/audio" jid="{ben}">false</mute>"#);
    let focus = format!("{ROOM}/focus");
    assert_eq!(w.request(1, "set", &focus, &unmute).attr("type"), Some("error"));

    moderate(&mut w, 0, &format!(r#"jidToWhitelist="{ben}""#));
    assert_eq!(told(&mut w, 1)[0]["approved"], true);
    assert_eq!(w.request(1, "set", &focus, &unmute).attr("type"), Some("result"));
    assert_eq!(heard(&mut w), [0, 1]);

    // Who comes later is told, and silent. Nobody but a moderator changes anything.
    let dora = w.client("Dora");
    w.enter(dora);
    w.connect();
    assert_eq!(told(&mut w, dora)[0]["enabled"], true);
    moderate(&mut w, dora, r#"enable="false""#);
    assert_eq!(heard(&mut w), [0, 1]);

    moderate(&mut w, 0, &format!(r#"jidToBlacklist="{ben}""#));
    assert_eq!(told(&mut w, 1)[0]["removed"], true);
    assert_eq!(heard(&mut w), [0]);

    // Who becomes a moderator speaks.
    let cem = w.clients[2].stream.jid.split('/').next().unwrap().to_owned();
    let grant = format!(
        r#"<query xmlns="http://jabber.org/protocol/muc#admin"><item affiliation="owner" jid="{cem}"/></query>"#
    );
    assert_eq!(w.request(0, "set", ROOM, &grant).attr("type"), Some("result"));
    w.run(Duration::from_millis(200));
    assert_eq!(heard(&mut w), [0, 2]);

    moderate(&mut w, 2, r#"enable="false""#);
    assert_eq!(heard(&mut w), [0, 1, 2, 3], "all again");
    w.end();
}

#[test]
fn moderation_outlives_the_link_of_the_focus() {
    let mut w = World::bare();
    w.log_focus_in();
    w.add_bridge();
    w.meeting(&["Anna", "Ben"]);
    moderate(&mut w, 0, r#"enable="true""#);
    assert_eq!(heard(&mut w), [0]);
    w.lose_focus_link();
    w.seconds(2);
    w.resume_focus_link();
    w.run(Duration::from_millis(500));
    assert_eq!(heard(&mut w), [0], "{FOCUS} knows it still");
    moderate(&mut w, 0, r#"enable="false""#);
    assert_eq!(heard(&mut w), [0, 1]);
    w.end();
}

#[test]
fn a_moderator_ends_the_conference_for_all_parts() {
    let mut w = World::new();
    w.meeting(&["Anna", "Ben"]);
    let end = r#"<message to="endconference.meet.jitsi" xmlns="jabber:client"><end_conference/></message>"#;
    w.act(1, |c| c.stream.send(end.to_owned()));
    assert!(w.clients[0].in_room && w.clients[1].in_room, "only a moderator can");
    w.act(0, |c| c.stream.send(end.to_owned()));
    w.seconds(1);
    assert!(!w.clients[0].in_room && !w.clients[1].in_room);
    assert_eq!((w.focus.stats().conferences, w.server.stats().rooms), (0, 1), "the brewery is left");
    assert!(w.bridges[0].shard.is_empty());
    w.end();
}
