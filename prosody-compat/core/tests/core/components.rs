//! Modules with a domain of their own, as clients see them.

use std::time::Duration;

use jitsi_xmpp::ns;
use prosody_core::{Config, Policy, SessionQuery};
use serde_json::json;

use crate::rig::{Client, ROOM, Rig, parse};

/// Sends a command and returns what comes back to the sender.
pub fn command(rig: &mut Rig, who: &Client, component: &str, payload: &str) -> Vec<String> {
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
        let town = Policy { all_owners: true, ..c.hosts.rooms[0].policy.clone() };
        c.hosts.rooms[0].tenants.insert("town".into(), town);
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

/// The JSON that a component sent in a frame.
pub fn json_of(frame: &str, component: &str) -> serde_json::Value {
    let e = parse(frame);
    assert_eq!(e.attr("from"), Some(format!("{component}.meet.jitsi").as_str()), "{frame}");
    assert!(e.attr("type").is_none() && e.attr("id").is_none(), "compat: no type, no id");
    serde_json::from_str(&e.child("json-message", ns::JITMEET).unwrap().text()).unwrap()
}

/// What a component has told somebody.
pub fn told(rig: &mut Rig, who: &Client, component: &str) -> Vec<serde_json::Value> {
    let from = format!("from=\"{component}.meet.jitsi\"");
    let frames = rig.take(who).into_iter().filter(|f| f.contains(&from) && !f.contains("<error "));
    frames.map(|f| json_of(&f, component)).collect()
}

pub fn at(who: &Client) -> String {
    format!("{ROOM}/{}", who.nick)
}

/// A meeting whose first client moderates.
pub fn moderated(rig: &mut Rig, n: usize) -> (Client, Vec<Client>) {
    let (focus, clients) = rig.meeting(n);
    rig.grant(&focus, &clients[0]);
    for c in clients.iter().chain([&focus]) {
        rig.take(c);
    }
    (focus, clients)
}

#[test]
fn compat_moderation_is_told_to_all_and_the_lists_to_moderators() {
    let mut rig = Rig::new();
    let (focus, clients) = moderated(&mut rig, 3);
    let (anna, ben, carl) = (&clients[0], &clients[1], &clients[2]);
    let send = |rig: &mut Rig, who: &Client, attrs: &str| {
        rig.send(
            who,
            &format!(r#"<message to="avmoderation.meet.jitsi"><av_moderation {attrs}/></message>"#),
        );
    };
    send(&mut rig, anna, r#"enable="true" mediaType="audio""#);
    let state = json!({"type": "av_moderation", "enabled": true, "room": ROOM, "actor": at(anna), "mediaType": "audio"});
    let list = |who: &[&Client]| {
        let who: Vec<String> = who.iter().map(|c| at(c)).collect();
        json!({"type": "av_moderation", "room": ROOM, "whitelists": {"audio": who}, "mediaType": "audio"})
    };
    assert_eq!(told(&mut rig, anna, "avmoderation"), [state.clone(), list(&[anna])]);
    assert_eq!(told(&mut rig, &focus, "avmoderation"), [state.clone(), list(&[anna])], "the focus is told");
    assert_eq!(told(&mut rig, ben, "avmoderation"), std::slice::from_ref(&state));
    send(&mut rig, anna, r#"enable="true" mediaType="audio""#);
    assert!(rig.take(ben).is_empty(), "it is on already");

    send(&mut rig, anna, &format!(r#"mediaType="audio" jidToWhitelist="{}""#, at(ben)));
    assert_eq!(told(&mut rig, anna, "avmoderation"), [list(&[anna, ben])]);
    let approved = json!({"type": "av_moderation", "room": ROOM, "approved": true, "mediaType": "audio"});
    assert_eq!(told(&mut rig, ben, "avmoderation"), [approved]);
    assert!(told(&mut rig, carl, "avmoderation").len() == 1, "only that it is on");
    send(&mut rig, anna, &format!(r#"mediaType="audio" jidToBlacklist="{}""#, at(ben)));
    let mut removed = list(&[anna]);
    removed["removed"] = json!(true);
    assert_eq!(told(&mut rig, anna, "avmoderation"), [removed]);
    let rejected = json!({"type": "av_moderation", "room": ROOM, "removed": true, "mediaType": "audio"});
    assert_eq!(told(&mut rig, ben, "avmoderation"), [rejected]);
    send(&mut rig, anna, &format!(r#"mediaType="audio" jidToBlacklist="{}""#, at(ben)));
    assert!(rig.take(ben).is_empty(), "was not on it");

    // Not moderated: a moderator only asks.
    send(&mut rig, anna, &format!(r#"mediaType="video" jidToWhitelist="{}""#, at(ben)));
    let asked = json!({"type": "av_moderation", "room": ROOM, "approved": true, "mediaType": "video", "from": at(anna)});
    assert_eq!(told(&mut rig, ben, "avmoderation"), [asked]);

    // A newcomer learns it, and starts muted.
    let dora = rig.client();
    let back = rig.join(&dora);
    let metadata = back.iter().find(|f| f.contains("room_metadata")).map(|f| json_of(f, "metadata")).unwrap();
    assert_eq!(metadata["metadata"]["startMuted"], json!({"audio": true}));
    let index = |text: &str| back.iter().position(|f| f.contains(text)).unwrap();
    assert_eq!(json_of(&back[index("avmoderation")], "avmoderation"), state);
    assert!(index("code=\"110\"") < index("avmoderation") && index("avmoderation") < index("<subject"));

    // Who becomes an owner may speak, and knows the lists from then on.
    rig.take(anna);
    rig.grant(&focus, carl);
    assert_eq!(told(&mut rig, carl, "avmoderation"), [list(&[anna, carl])]);
    assert_eq!(told(&mut rig, anna, "avmoderation"), [list(&[anna, carl])]);

    send(&mut rig, anna, r#"enable="false" mediaType="audio""#);
    let off = json!({"type": "av_moderation", "enabled": false, "room": ROOM, "actor": at(anna), "mediaType": "audio"});
    assert_eq!(told(&mut rig, ben, "avmoderation"), [off]);
    let emil = rig.client();
    let back = rig.join(&emil);
    assert!(!back.iter().any(|f| f.contains("avmoderation")));
    let metadata = back.iter().find(|f| f.contains("room_metadata")).map(|f| json_of(f, "metadata")).unwrap();
    assert_eq!(metadata["metadata"]["startMuted"], json!({}), "as it was before");
    rig.end(&[&focus, anna, ben, carl, &dora, &emil]);
}

#[test]
fn only_moderators_moderate_and_only_people_in_the_room() {
    let mut rig = Rig::new();
    let (focus, clients) = moderated(&mut rig, 2);
    let (anna, ben) = (&clients[0], &clients[1]);
    let on = r#"<av_moderation enable="true" mediaType="audio"/>"#;
    let nobody = format!(r#"<av_moderation mediaType="audio" jidToWhitelist="{ROOM}/nobody"/>"#);
    let elsewhere =
        format!(r#"<av_moderation mediaType="audio" jidToWhitelist="other@muc.meet.jitsi/{}"/>"#, ben.nick);
    for (who, payload) in [
        (ben, on),
        (anna, r#"<av_moderation enable="true" mediaType="smell"/>"#),
        (anna, r#"<av_moderation enable="true"/>"#),
        (anna, r#"<av_moderation mediaType="audio"/>"#),
        (anna, &nobody),
        (anna, &elsewhere),
        (anna, "<other/>"),
    ] {
        let back = command(&mut rig, who, "avmoderation", payload);
        assert!(back.len() == 1 && back[0].contains("<service-unavailable "), "{payload}: {back:?}");
    }
    assert!(rig.take(&focus).is_empty(), "nothing was told");
    let with_namespace =
        r#"<av_moderation xmlns="http://jitsi.org/jitmeet" enable="true" mediaType="audio"/>"#;
    assert_eq!(command(&mut rig, anna, "avmoderation", with_namespace).len(), 2);
    rig.end(&[&focus, anna, ben]);
}

#[test]
fn who_has_left_is_not_allowed_any_more() {
    let mut rig = Rig::new();
    let (focus, clients) = moderated(&mut rig, 2);
    let (anna, ben) = (&clients[0], &clients[1]);
    command(&mut rig, anna, "avmoderation", r#"<av_moderation enable="true" mediaType="audio"/>"#);
    let allow = format!(r#"<av_moderation mediaType="audio" jidToWhitelist="{}"/>"#, at(ben));
    command(&mut rig, anna, "avmoderation", &allow);
    rig.take(&focus);
    rig.leave(ben);
    let lists = told(&mut rig, &focus, "avmoderation");
    assert_eq!(lists[0]["whitelists"], json!({"audio": [at(anna)]}));
    // Somebody else with the same nick.
    let mallory = Client { nick: ben.nick.clone(), ..rig.client() };
    rig.join(&mallory);
    assert!(told(&mut rig, &focus, "avmoderation").is_empty(), "not on the list");
    rig.end(&[&focus, anna, ben, &mallory]);
}

#[test]
fn compat_speaking_time_is_summed_up_and_told_to_newcomers() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(2);
    let (anna, ben) = (&clients[0], &clients[1]);
    let says = |silence: bool| {
        format!(r#"<speakerstats xmlns="http://jitsi.org/jitmeet" room="{ROOM}" silence="{silence}"/>"#)
    };
    let stats = |rig: &mut Rig| -> serde_json::Value {
        let c = rig.client();
        let back = rig.join(&c);
        rig.raw(c.conn, br#"<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>"#);
        let found = back.iter().find(|f| f.contains("speakerstats")).map(|f| json_of(f, "speakerstats"));
        found.map_or(json!(null), |f| f["users"].clone())
    };
    let second = Duration::from_secs(1);
    assert!(command(&mut rig, anna, "speakerstats", &says(false)).is_empty());
    rig.advance(3 * second);
    command(&mut rig, ben, "speakerstats", &says(false));
    rig.advance(2 * second);
    let now = stats(&mut rig);
    let time = |stats: &serde_json::Value, who: &Client| stats[&who.nick]["totalDominantSpeakerTime"].clone();
    assert_eq!((time(&now, anna), time(&now, ben)), (json!(3000), json!(2000)), "who speaks still counts");
    assert_eq!(now[&anna.nick]["faceLandmarks"], json!([]));
    assert_eq!(now[&anna.nick].get("displayName"), None, "only of who is not there any more");
    // Silence is not counted, and going on after it is.
    command(&mut rig, ben, "speakerstats", &says(true));
    rig.advance(5 * second);
    command(&mut rig, ben, "speakerstats", &says(false));
    rig.advance(second);
    rig.leave(ben);
    rig.advance(second);
    let now = stats(&mut rig);
    assert_eq!((time(&now, anna), time(&now, ben)), (json!(3000), json!(3000)));
    assert_eq!(now[&ben.nick]["displayName"], json!(ben.nick), "the name that it had");
    // Somebody else with the same nick begins anew; the focus and who only listens do not appear.
    let mallory = Client { nick: ben.nick.clone(), ..rig.client() };
    rig.join(&mallory);
    let now = stats(&mut rig);
    assert!(now.get(&mallory.nick).is_none() && now.get("focus").is_none(), "{now}");
    rig.end(&[&focus, anna, ben, &mallory]);
}

#[test]
fn nobody_speaks_for_others_or_from_outside() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(1);
    let outsider = rig.client();
    let says = format!(r#"<speakerstats xmlns="http://jitsi.org/jitmeet" room="{ROOM}" silence="false"/>"#);
    assert!(command(&mut rig, &outsider, "speakerstats", &says)[0].contains("<service-unavailable "));
    assert!(command(&mut rig, &focus, "speakerstats", &says)[0].contains("<service-unavailable "));
    assert!(command(&mut rig, &clients[0], "speakerstats", "<x/>")[0].contains("<service-unavailable "));
    rig.end(&[&focus, &clients[0], &outsider]);
}

#[test]
fn facial_expressions_are_kept_as_far_as_the_limit_goes() {
    let mut rig = Rig::with(|c| c.limits.max_faces = 2);
    let (focus, clients) = rig.meeting(1);
    let anna = &clients[0];
    let face = |expression: &str, duration: &str| {
        format!(
            r#"<faceLandmarks xmlns="http://jitsi.org/jitmeet" room="{ROOM}" faceExpression="{expression}" timestamp="7" duration="{duration}"/>"#
        )
    };
    for (expression, duration) in [("happy", "1"), ("sad", "2"), ("neutral", "3")] {
        assert!(command(&mut rig, anna, "speakerstats", &face(expression, duration)).is_empty());
    }
    let long = "x".repeat(33);
    for (expression, duration) in [("happy", "NaN"), ("happy", "x"), (long.as_str(), "1")] {
        assert!(
            command(&mut rig, anna, "speakerstats", &face(expression, duration))[0].contains("<bad-request ")
        );
    }
    let ben = rig.client();
    let back = rig.join(&ben);
    let stats = back.iter().find(|f| f.contains("speakerstats")).map(|f| json_of(f, "speakerstats")).unwrap();
    assert_eq!(
        stats["users"][&anna.nick]["faceLandmarks"],
        json!([
            {"faceExpression": "sad", "timestamp": 7.0, "duration": 2.0},
            {"faceExpression": "neutral", "timestamp": 7.0, "duration": 3.0},
        ])
    );
    rig.end(&[&focus, anna, &ben]);
}

#[test]
fn speakers_are_bounded_and_who_only_looked_in_makes_room() {
    let mut rig = Rig::with(|c| c.limits.max_speakers = 2);
    let (focus, clients) = rig.meeting(2);
    let says = format!(r#"<speakerstats xmlns="http://jitsi.org/jitmeet" room="{ROOM}"/>"#);
    let third = rig.client();
    rig.join(&third);
    assert!(command(&mut rig, &third, "speakerstats", &says)[0].contains("<service-unavailable "), "full");
    rig.leave(&third);
    rig.leave(&clients[1]);
    rig.join(&third);
    assert!(command(&mut rig, &third, "speakerstats", &says).is_empty());
    rig.end(&[&focus, &clients[0], &clients[1], &third]);
}

fn poll(command_and_more: &str) -> String {
    format!(
        r#"<json-message xmlns="http://jitsi.org/jitmeet">{{"type":"polls",{command_and_more}}}</json-message>"#
    )
}

fn ask(rig: &mut Rig, who: &Client, id: &str) -> Vec<String> {
    command(
        rig,
        who,
        "polls",
        &poll(&format!(
            r#""command":"new-poll","pollId":"{id}","question":"Q?","answers":[{{"name":"Ja"}},{{"name":"Nein"}}]"#
        )),
    )
}

fn vote(rig: &mut Rig, who: &Client, id: &str, votes: &str) -> Vec<String> {
    command(
        rig,
        who,
        "polls",
        &poll(&format!(r#""command":"answer-poll","pollId":"{id}","answers":{votes}"#)),
    )
}

#[test]
fn compat_polls_are_told_to_all_and_to_newcomers() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(2);
    let (anna, ben) = (&clients[0], &clients[1]);
    let new = json!({
        "type": "polls", "command": "new-poll", "pollId": "p1", "question": "Q?",
        "answers": [{"name": "Ja"}, {"name": "Nein"}], "senderId": anna.nick,
    });
    assert_eq!(json_of(&ask(&mut rig, anna, "p1")[0], "polls"), new);
    assert_eq!(told(&mut rig, ben, "polls"), [new]);
    let voted = |who: &Client, votes: serde_json::Value| {
        json!({
            "type": "polls", "command": "answer-poll", "pollId": "p1", "answers": votes,
            "senderId": who.nick, "senderName": who.nick,
        })
    };
    assert_eq!(
        json_of(&vote(&mut rig, ben, "p1", "[true,false]")[0], "polls"),
        voted(ben, json!([true, false]))
    );
    assert_eq!(told(&mut rig, anna, "polls"), [voted(ben, json!([true, false]))]);
    assert!(vote(&mut rig, ben, "p1", "[true,false]").is_empty(), "the same vote again");
    vote(&mut rig, ben, "p1", "[false,true]");
    vote(&mut rig, anna, "p1", "[true,true]");
    let carl = rig.client();
    let back = rig.join(&carl);
    let old = back.iter().find(|f| f.contains("polls.meet")).map(|f| json_of(f, "polls")).unwrap();
    let person = |c: &Client| json!({"id": c.nick, "name": c.nick});
    let mut both = [person(anna), person(ben)];
    both.sort_by_key(ToString::to_string);
    assert_eq!(
        old,
        json!({"type": "polls", "command": "old-polls", "polls": [{
            "pollId": "p1", "senderId": anna.nick, "senderName": anna.nick, "question": "Q?",
            "answers": [{"name": "Ja", "voters": [person(anna)]}, {"name": "Nein", "voters": both}],
        }]}),
        "the new vote has replaced the old one"
    );
    assert!(ask(&mut rig, ben, "p1")[0].contains("Poll already exists"));
    rig.end(&[&focus, anna, ben, &carl]);
}

#[test]
fn a_vote_counts_for_who_gave_it_whatever_the_message_says() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(2);
    let (anna, ben) = (&clients[0], &clients[1]);
    ask(&mut rig, anna, "p1");
    rig.take(anna);
    rig.take(ben);
    let forged = poll(&format!(
        r#""command":"answer-poll","pollId":"p1","answers":[true,false],"senderId":"{}","senderName":"Anna","voterId":"{}""#,
        anna.nick, anna.nick
    ));
    command(&mut rig, ben, "polls", &forged);
    let told = told(&mut rig, anna, "polls");
    assert_eq!((&told[0]["senderId"], &told[0]["senderName"]), (&json!(ben.nick), &json!(ben.nick)));
    // A key that comes twice could be read in two ways by two readers.
    for twice in [
        r#""command":"answer-poll","pollId":"p1","pollId":"p2","answers":[false,true]"#,
        r#""command":"answer-poll","command":"new-poll","pollId":"p1","question":"x","answers":[false,true]"#,
    ] {
        assert!(command(&mut rig, ben, "polls", &poll(twice))[0].contains("<bad-request "), "{twice}");
    }
    // Who comes again under another nick still has one vote.
    rig.leave(ben);
    let again = Client { nick: "zweiter1".into(), ..ben.clone() };
    rig.join(&again);
    vote(&mut rig, &again, "p1", "[false,true]");
    let carl = rig.client();
    let back = rig.join(&carl);
    let old = back.iter().find(|f| f.contains("polls.meet")).map(|f| json_of(f, "polls")).unwrap();
    let answers = &old["polls"][0]["answers"];
    assert_eq!(answers[0], json!({"name": "Ja"}));
    assert_eq!(answers[1]["voters"][0]["id"], json!("zweiter1"));
    let outsider = rig.client();
    assert!(vote(&mut rig, &outsider, "p1", "[true,true]")[0].contains("<service-unavailable "));
    rig.end(&[&focus, anna, &again, &carl, &outsider]);
}

#[test]
fn odd_polls_cost_their_sender_an_error() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(1);
    let anna = &clients[0];
    ask(&mut rig, anna, "p1");
    for bad in [
        r#""command":"new-poll","pollId":"p2","question":"Q?","answers":[]"#,
        r#""command":"new-poll","pollId":"p2","answers":[{"name":"x"}]"#,
        r#""command":"new-poll","pollId":2,"question":"Q?","answers":[{"name":"x"}]"#,
        r#""command":"new-poll","pollId":"p2","question":"Q?","answers":["x"]"#,
        r#""command":"answer-poll","pollId":"p1","answers":[true]"#,
        r#""command":"answer-poll","pollId":"p1","answers":[true,false,true]"#,
        r#""command":"answer-poll","pollId":"p1","answers":[1,0]"#,
        r#""command":"other","pollId":"p1","answers":[true]"#,
        r#""pollId":"p1""#,
    ] {
        let back = command(&mut rig, anna, "polls", &poll(bad));
        assert!(back.len() == 1 && back[0].contains("<bad-request "), "{bad}: {back:?}");
    }
    let other = r#"<json-message xmlns="http://jitsi.org/jitmeet">{"type":"x","command":"answer-poll","pollId":"p1","answers":[true,true]}</json-message>"#;
    assert!(command(&mut rig, anna, "polls", other)[0].contains("<bad-request "));
    assert!(vote(&mut rig, anna, "p9", "[true,true]")[0].contains("<service-unavailable "));
    let with_body = poll(r#""command":"answer-poll","pollId":"p1","answers":[true,true]"#) + "<body/>";
    assert!(command(&mut rig, anna, "polls", &with_body)[0].contains("<service-unavailable "));
    rig.end(&[&focus, anna]);
}

#[test]
fn polls_and_votes_at_their_limits() {
    let mut rig = Rig::with(|c| (c.limits.max_polls, c.limits.max_votes) = (2, 2));
    let (focus, clients) = rig.meeting(3);
    for id in ["p1", "p2"] {
        assert!(ask(&mut rig, &clients[0], id)[0].contains("new-poll"));
    }
    assert!(ask(&mut rig, &clients[0], "p3")[0].contains("<resource-constraint "));
    for c in &clients[..2] {
        assert!(vote(&mut rig, c, "p1", "[true,false]")[0].contains("answer-poll"));
    }
    assert!(vote(&mut rig, &clients[0], "p2", "[true,false]")[0].contains("<resource-constraint "));
    assert!(vote(&mut rig, &clients[2], "p1", "[true,false]")[0].contains("<resource-constraint "));
    assert!(
        vote(&mut rig, &clients[1], "p1", "[false,true]")[0].contains("answer-poll"),
        "changed, not more"
    );
    rig.end(&[&focus, &clients[0], &clients[1], &clients[2]]);
}

#[test]
fn poll_size_and_long_names() {
    let mut rig = Rig::with(|c| c.limits.max_poll_bytes = 200);
    let (focus, clients) = rig.meeting(1);
    let anna = &clients[0];
    let sized = |bytes: usize| {
        let empty =
            r#"{"type":"polls","command":"new-poll","pollId":"p","question":"","answers":[{"name":"x"}]}"#
                .len();
        let question = "q".repeat(bytes - empty);
        poll(&format!(
            r#""command":"new-poll","pollId":"p","question":"{question}","answers":[{{"name":"x"}}]"#
        ))
    };
    assert!(command(&mut rig, anna, "polls", &sized(200))[0].contains("<policy-violation "));
    assert!(command(&mut rig, anna, "polls", &sized(199))[0].contains("new-poll"));
    let long = "ä".repeat(60);
    let nick = &anna.nick;
    rig.ask(
        anna,
        &format!(r#"<presence to="{ROOM}/{nick}"><nick xmlns="{}">{long}</nick></presence>"#, ns::NICK),
    );
    let told = json_of(&vote(&mut rig, anna, "p", "[true]")[0], "polls");
    assert_eq!(told["senderName"], json!("ä".repeat(50)));
    rig.end(&[&focus, anna]);
}

#[test]
fn compat_a_restriction_in_the_metadata_leaves_polls_to_moderators() {
    let mut rig = Rig::new();
    let (focus, clients) = moderated(&mut rig, 2);
    let (anna, ben) = (&clients[0], &clients[1]);
    let restrict = format!(
        r#"<room_metadata xmlns="http://jitsi.org/jitmeet" room="{ROOM}">{{"key":"permissions","data":{{"pollCreationRestricted":true}}}}</room_metadata>"#
    );
    command(&mut rig, anna, "metadata", &restrict);
    rig.take(ben);
    assert!(ask(&mut rig, ben, "p1")[0].contains("Creation of polls not allowed for user"));
    assert!(ask(&mut rig, anna, "p1")[0].contains("new-poll"));
    assert!(vote(&mut rig, ben, "p1", "[true,false]")[0].contains("answer-poll"), "everybody votes");
    rig.end(&[&focus, anna, ben]);
}

#[test]
fn what_is_switched_off_is_neither_advertised_nor_there() {
    let mut rig = Rig::with(|c| {
        for module in ["polls_component", "av_moderation_component", "end_conference"] {
            c.hosts.remove(module);
        }
        c.hosts.remove_lobby();
        c.hosts.remove_breakouts();
    });
    let (focus, clients) = moderated(&mut rig, 1);
    let anna = &clients[0];
    let disco = r#"<iq type="get" id="d" to="meet.jitsi"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>"#;
    let info = rig.ask(anna, disco).pop().unwrap();
    let components: Vec<String> = parse(&info)
        .first_child()
        .unwrap()
        .children()
        .filter(|i| i.attr("category") == Some("component"))
        .map(|i| i.attr("type").unwrap().to_owned())
        .collect();
    assert_eq!(components, ["speakerstats", "room_metadata"]);
    for component in ["polls", "avmoderation", "endconference"] {
        let back = command(&mut rig, anna, component, "<end_conference/>");
        assert!(back[0].contains("Communication with remote domains is not enabled"), "{back:?}");
    }
    rig.end(&[&focus, anna]);
}
