//! What only upstream's behaviour explains: one test for each such place that no other file has.

use std::time::Duration;

use jitsi_xmpp::ns;
use prosody_core::{SessionQuery, Transport};

use crate::rig::{Client, ROOM, Rig, parse, with_direct_messages};

fn admin(rig: &mut Rig, who: &Client, items: &str) -> Vec<String> {
    rig.ask(who, &format!(r#"<iq type="set" id="a" to="{ROOM}"><query xmlns="http://jabber.org/protocol/muc#admin">{items}</query></iq>"#))
}

fn is_in(frames: &[String]) -> bool {
    frames.concat().contains("code=\"110\"")
}

/// A role that only opens the room or comes in beside.
fn jvb(rig: &mut Rig, resource: &str, nick: &str) -> Client {
    let jid = format!("jvb@auth.meet.jitsi/{resource}");
    let conn = rig.open(Transport::InProcess(jid.parse().unwrap()), SessionQuery::default());
    Client { conn, jid, nick: nick.into() }
}

#[test]
fn compat_a_message_without_an_address_is_for_the_own_account() {
    let mut rig = Rig::with(with_direct_messages);
    let c = rig.client();
    let poll =
        r#"<message type="chat"><json-message xmlns="http://jitsi.org/jitmeet">{}</json-message></message>"#;
    let message = |kind: &str| format!(r#"<message type="{kind}" id="m"><body>x</body></message>"#);
    // A browser never says that it is there for its account.
    let back = rig.ask(&c, poll);
    assert!(back.len() == 1 && back[0].contains("<service-unavailable "), "{back:?}");
    assert!(parse(&back[0]).attr("from").is_none(), "the answer is the account's own");
    assert!(rig.ask(&c, &message("error")).is_empty() && rig.ask(&c, &message("headline")).is_empty());
    // Once it does, what has no address comes to it.
    assert_eq!(rig.ask(&c, "<presence/>").len(), 1);
    let back = rig.ask(&c, poll);
    assert!(back.len() == 1 && back[0].contains("json-message") && !back[0].contains("error"), "{back:?}");
    assert!(rig.ask(&c, &message("groupchat"))[0].contains("<service-unavailable "));
    assert!(rig.ask(&c, &message("headline")).is_empty());
    rig.send(&c, r#"<presence type="unavailable"/>"#);
    rig.take(&c);
    assert!(rig.ask(&c, poll)[0].contains("<service-unavailable "));
    // What is for a session that is gone is for its account; an address in full is reached in any case.
    let other = rig.client();
    rig.send(&c, &format!(r#"<message to="{}"><body>x</body></message>"#, other.jid));
    assert_eq!(rig.take(&other).len(), 1);
    assert!(
        rig.ask(&c, &format!(r#"<message to="{}x"><body>x</body></message>"#, other.jid))[0]
            .contains("<service-unavailable ")
    );
    rig.send(&other, "<presence/>");
    rig.take(&other);
    rig.send(&c, &format!(r#"<message to="{}x"><body>x</body></message>"#, other.jid));
    rig.send(&c, &format!(r#"<message to="{}" type="headline"><body>x</body></message>"#, other.bare()));
    assert_eq!(rig.take(&other).len(), 2);
    rig.end(&[&c, &other]);
}

#[test]
fn compat_without_a_focus_a_client_asks_again() {
    let mut rig = Rig::new();
    let c = rig.client();
    let request = format!(
        r#"<iq type="set" id="c1" to="focus.meet.jitsi"><conference xmlns="http://jitsi.org/protocol/focus" room="{ROOM}"/></iq>"#
    );
    let at_once = parse(&rig.ask(&c, &request)[0]);
    let focus = rig.focus();
    assert!(rig.ask(&c, &request).is_empty());
    rig.lose(focus.conn);
    let later = parse(&rig.take(&c)[0]);
    for back in [at_once, later] {
        let conference = back.child("conference", ns::FOCUS).unwrap();
        assert_eq!(
            (back.attr("type"), back.attr("id"), back.attr("from")),
            (Some("result"), Some("c1"), Some("focus.meet.jitsi"))
        );
        assert_eq!((conference.attr("ready"), conference.attr("room")), (Some("false"), Some(ROOM)));
    }
    rig.end(&[&c]);
}

#[test]
fn compat_commands_mean_the_same_with_a_namespace() {
    for xmlns in ["", r#" xmlns="http://jitsi.org/jitmeet""#] {
        let mut rig = Rig::new();
        let (focus, clients) = rig.meeting(2);
        let (anna, ben) = (&clients[0], &clients[1]);
        rig.grant(&focus, anna);
        rig.take(ben);
        rig.send(anna, &format!(r#"<message to="avmoderation.meet.jitsi"><av_moderation{xmlns} enable="true" mediaType="audio"/></message>"#));
        assert!(rig.take(ben).concat().contains("av_moderation"), "{xmlns}");
        rig.send(
            anna,
            &format!(r#"<message to="endconference.meet.jitsi"><end_conference{xmlns}/></message>"#),
        );
        assert!(rig.take(ben).concat().contains("<destroy>"), "{xmlns}");
    }
}

#[test]
fn compat_metadata_names_its_room_and_pushes_do_not() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(1);
    let anna = &clients[0];
    rig.grant(&focus, anna);
    rig.take(anna);
    let set = |key: &str| {
        format!(
            r#"<message to="metadata.meet.jitsi"><room_metadata xmlns="http://jitsi.org/jitmeet" room="{ROOM}">{{"key":"{key}","data":[1,{{"b":"\"c"}}]}}</room_metadata></message>"#
        )
    };
    let back = parse(&rig.ask(anna, &set("k\\\"y"))[0]);
    let json = back.child("json-message", ns::JITMEET).unwrap();
    assert_eq!(json.attr("room"), Some(ROOM));
    assert_eq!(json.text(), r#"{"metadata":{"k\"y":[1,{"b":"\"c"}]},"type":"room_metadata"}"#);
    assert!(rig.ask(anna, &set("k\\\"y")).is_empty(), "no change, no word");
    // Newest upstream: what people ask of the translation is between server and focus.
    for key in ["audioTranslationRequests", "audioTranslationAvailable"] {
        assert!(rig.ask(anna, &set(key))[0].contains("<service-unavailable "), "{key}");
    }
    let push = parse(
        &rig.ask(anna, r#"<message to="avmoderation.meet.jitsi"><av_moderation enable="true" mediaType="audio"/></message>"#)[0],
    );
    assert!(push.attr("type").is_none() && push.attr("id").is_none() && push.child_named("body").is_none());
    assert!(push.child("json-message", ns::JITMEET).unwrap().attr("room").is_none());
    rig.end(&[&focus, anna]);
}

#[test]
fn compat_keys_of_transcribers_are_for_roles() {
    // Where an admin lets people say how transcribers are reached.
    let mut rig = Rig::with(|c| c.hosts.rooms[0].policy.blocked_metadata.clear());
    let (focus, clients) = rig.meeting(1);
    let anna = &clients[0];
    rig.grant(&focus, anna);
    rig.take(&focus);
    let set = |data: &str| {
        format!(
            r#"<message to="metadata.meet.jitsi"><room_metadata xmlns="http://jitsi.org/jitmeet" room="{ROOM}">{{"key":"transcription","data":{data}}}</room_metadata></message>"#
        )
    };
    let transcription = |frames: &[String]| {
        let told = parse(frames.last().unwrap()).child("json-message", ns::JITMEET).unwrap().text();
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        told["metadata"]["transcription"].to_string()
    };
    let all = r#"{"httpHeaders":{"key":"geheim"},"urlParams":{"a":"b"}}"#;
    assert_eq!(transcription(&rig.ask(anna, &set(all))), r#"{"urlParams":{"a":"b"}}"#);
    assert_eq!(transcription(&rig.take(&focus)), all);
    let ben = rig.client();
    let frames = rig.join(&ben);
    let welcome: Vec<String> = frames.into_iter().filter(|f| f.contains("room_metadata")).collect();
    assert_eq!(transcription(&welcome), r#"{"urlParams":{"a":"b"}}"#);
    // What is no object is shown as it is.
    assert_eq!(transcription(&rig.ask(anna, &set("1"))), "1");
    rig.end(&[&focus, anna, &ben]);
}

#[test]
fn compat_who_counts_when_a_meeting_is_full() {
    let is_full = |back: &[String]| {
        let error = back.len() == 1 && back[0].contains(r#"<error type="cancel""#);
        error && back[0].contains("<service-unavailable ")
    };
    // Whoever is on the list is not counted and always let in; without a list the focus counts.
    let mut rig = Rig::with(|c| c.hosts.rooms[0].policy.max_participants = Some(2));
    let (focus, clients) = rig.meeting(2);
    assert_eq!(rig.server.stats().occupants, 3, "the focus is on the list");
    let late = rig.client();
    assert!(is_full(&rig.join(&late)));
    // Who is in joins again, and is not the one that is too many.
    assert!(is_in(&rig.join(&clients[0])));
    // Who is lost and may come back has its place; who leaves gives it back.
    rig.enable(&clients[1]);
    rig.lose(clients[1].conn);
    assert!(is_full(&rig.join(&late)));
    rig.leave(&clients[0]);
    assert!(is_in(&rig.join(&late)));
    drop(focus);

    let mut rig = Rig::with(|c| {
        c.hosts.rooms[0].policy.max_participants = Some(2);
        c.hosts.rooms[0].policy.uncounted.clear();
    });
    let (_, clients) = rig.meeting(1);
    assert_eq!(rig.server.stats().occupants, 2, "the focus and one");
    let late = rig.client();
    assert!(is_full(&rig.join(&late)));
    drop(clients);
    // The roles are stopped like others, if they are not on the list; a whole domain can be.
    let mut rig = Rig::with(|c| c.hosts.rooms[0].policy.max_participants = Some(1));
    let (_, _clients) = rig.meeting(1);
    let bridge = jvb(&mut rig, "x", "bridge");
    assert!(is_full(&rig.join(&bridge)));
    let mut rig = Rig::with(|c| {
        c.hosts.rooms[0].policy.max_participants = Some(1);
        c.hosts.rooms[0].policy.uncounted = vec!["auth.meet.jitsi".parse().unwrap()];
    });
    let (_, _clients) = rig.meeting(1);
    let bridge = jvb(&mut rig, "x", "bridge");
    assert!(is_in(&rig.join(&bridge)));
}

#[test]
fn compat_a_second_session_of_an_occupant_counts_nobody_twice_and_is_stopped_where_it_is_full() {
    // Upstream asks by address in full: a session more of somebody who is in is one that comes in.
    let mut rig = Rig::with(|c| c.hosts.rooms[0].policy.max_participants = Some(1));
    let (_, _) = rig.meeting(0);
    let (one, two) = (jvb(&mut rig, "1", "bridge"), jvb(&mut rig, "2", "bridge"));
    assert!(is_in(&rig.join(&one)));
    assert!(rig.join(&two)[0].contains("<service-unavailable "));
    let mut rig = Rig::with(|c| c.hosts.rooms[0].policy.max_participants = Some(2));
    let (_, _) = rig.meeting(0);
    let (one, two) = (jvb(&mut rig, "1", "bridge"), jvb(&mut rig, "2", "bridge"));
    assert!(is_in(&rig.join(&one)) && is_in(&rig.join(&two)));
    let anna = rig.client();
    assert!(is_in(&rig.join(&anna)), "two sessions, one occupant");
}

#[test]
fn compat_a_meeting_begins_when_the_second_comes_and_the_focus_counts() {
    let mut rig = Rig::new();
    let info = |rig: &mut Rig, who: &Client| {
        rig.ask(who, &format!(r#"<iq type="get" id="d" to="{ROOM}"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>"#))[0].clone()
    };
    let began = |info: &str| {
        crate::rig::between(info, r#"roominfo_created_timestamp"><value>"#, "</value>").map(str::to_owned)
    };
    let focus = rig.focus();
    rig.join(&focus);
    let alone = info(&mut rig, &focus);
    assert!(alone.contains("roominfo_created_timestamp") && began(&alone).is_none_or(|b| b.is_empty()));
    assert!(alone.contains(r#"muc#roominfo_occupants"><value>1<"#), "the focus is an occupant");
    let anna = rig.client();
    rig.join(&anna);
    let begun = began(&info(&mut rig, &focus)).unwrap();
    assert!(begun.ends_with("000"), "milliseconds, whole seconds: {begun}");
    rig.advance(Duration::from_secs(30));
    rig.enable(&anna);
    rig.lose(anna.conn);
    let ben = rig.client();
    rig.join(&ben);
    let now = info(&mut rig, &focus);
    assert_eq!(began(&now).unwrap(), begun, "once");
    assert!(now.contains(r#"muc#roominfo_occupants"><value>3<"#), "who may come back is there");
    rig.end_quietly(&ben);
    rig.end_quietly(&focus);
}

#[test]
fn compat_names_are_as_long_as_clients_make_them() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(1);
    let anna = &clients[0];
    for (said, kept) in [("é".repeat(50), "é".repeat(50)), ("é".repeat(51), "é".repeat(50))] {
        rig.send(
            anna,
            &format!(
                r#"<presence to="{ROOM}/{}"><nick xmlns="{}">{said}</nick></presence>"#,
                anna.nick,
                ns::NICK
            ),
        );
        rig.send(anna, &format!(r#"<message to="{ROOM}" type="groupchat"><body>x</body></message>"#));
        let ben = rig.client();
        let back = rig.join(&ben);
        let written = back.iter().rfind(|f| f.contains("<body>")).unwrap();
        assert_eq!(parse(written).child("display-name", ns::DISPLAY_NAME).unwrap().text(), kept);
        // Others see what it said.
        assert!(back.iter().any(|f| f.contains(&format!(">{said}</nick>"))));
        rig.leave(&ben);
        rig.lose(ben.conn);
    }
    rig.end(&[&focus, anna]);
}

#[test]
fn compat_who_is_not_in_is_told_so_in_upstreams_words() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(1);
    let out = rig.client();
    let to = format!("{ROOM}/{}", clients[0].nick);
    for stanza in [
        format!(r#"<message to="{ROOM}" type="groupchat"><body>x</body></message>"#),
        format!(r#"<message to="{to}" type="chat"><body>x</body></message>"#),
        format!(r#"<iq to="{to}" type="get" id="q"><query xmlns="a"/></iq>"#),
        format!(r#"<presence to="{to}"/>"#),
    ] {
        let back = rig.ask(&out, &stanza);
        assert!(back[0].contains("You are not currently connected to this chat"), "{back:?}");
    }
    rig.end(&[&focus, &clients[0], &out]);
}

#[test]
fn compat_the_servers_part_of_a_presence_comes_last() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(1);
    let anna = &clients[0];
    let ben = rig.client();
    rig.join(&ben);
    rig.take(anna);
    rig.send(&ben, &format!(r#"<presence to="{ROOM}/{}" id="p"><a/><x xmlns="b"/>c</presence>"#, ben.nick));
    let (own, seen) = (rig.take(&ben), rig.take(anna));
    let jid = &ben.jid;
    assert_eq!(
        seen,
        [format!(
            r#"<presence to="{}" xmlns="jabber:client" id="p" from="{ROOM}/{}"><a/><x xmlns="b"/>c<x xmlns="http://jabber.org/protocol/muc#user"><item affiliation="none" role="participant" jid="{jid}"/></x></presence>"#,
            anna.jid, ben.nick
        )]
    );
    assert!(own[0].ends_with(&format!(
        r#"<item affiliation="none" role="participant" jid="{jid}"/><status code="110"/></x></presence>"#
    )));
    rig.end(&[&focus, anna, &ben]);
}

#[test]
fn compat_the_reason_of_a_failed_login_follows_its_condition() {
    let mut rig = Rig::new();
    let conn = rig.open(Transport::Tcp { tls: true }, SessionQuery::default());
    rig.raw(conn, b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='auth.meet.jitsi' version='1.0'>");
    rig.take_raw(conn);
    // focus, with a password that is not its own.
    rig.raw(
        conn,
        br#"<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">AGZvY3VzAGZhbHNjaA==</auth>"#,
    );
    let back = rig.take_raw(conn);
    assert!(
        back[0].starts_with(r#"<failure xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><not-authorized/><text>"#),
        "{back:?}"
    );
    rig.lose(conn);
}

#[test]
fn compat_a_role_that_was_given_stays_when_the_affiliation_rises() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(2);
    let (anna, ben) = (&clients[0], &clients[1]);
    admin(&mut rig, &focus, &format!(r#"<item nick="{}" role="moderator"/>"#, anna.nick));
    rig.take(ben);
    let set = |rig: &mut Rig, affiliation: &str| {
        admin(rig, &focus, &format!(r#"<item affiliation="{affiliation}" jid="{}"/>"#, anna.bare()));
        rig.take(ben).concat()
    };
    assert!(set(&mut rig, "member").contains(r#"affiliation="member" role="moderator""#));
    assert!(set(&mut rig, "owner").contains(r#"affiliation="owner" role="moderator""#));
    assert!(set(&mut rig, "member").contains(r#"affiliation="member" role="participant""#));
    rig.end(&[&focus, anna, ben]);
}

#[test]
fn compat_a_kick_takes_the_affiliation_in_the_kickers_name() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(3);
    let (anna, ben, carl) = (&clients[0], &clients[1], &clients[2]);
    // A moderator that owns nothing kicks, and changes no affiliation; nobody is told of one.
    admin(&mut rig, &focus, &format!(r#"<item nick="{}" role="moderator"/>"#, anna.nick));
    rig.take(carl);
    let back = admin(&mut rig, anna, &format!(r#"<item nick="{}" role="none"/>"#, ben.nick));
    assert!(back.last().unwrap().contains("result"), "{back:?}");
    let seen = rig.take(carl);
    assert!(seen.len() == 1 && seen[0].contains(r#"code="307""#), "{seen:?}");
    rig.join(ben);
    rig.take(carl);
    // An owner does both; the others hear of the affiliation first.
    admin(&mut rig, &focus, &format!(r#"<item affiliation="member" jid="{}"/>"#, ben.bare()));
    rig.grant(&focus, anna);
    rig.take(carl);
    admin(&mut rig, anna, &format!(r#"<item nick="{}" role="none"/>"#, ben.nick));
    let seen = rig.take(carl);
    assert!(seen[0].starts_with("<message") && seen[0].contains(r#"affiliation="none""#), "{seen:?}");
    assert!(!seen[0].contains("status") && seen[1].contains(r#"code="307""#));
    rig.end(&[&focus, anna, ben, carl]);
}

#[test]
fn nobody_is_told_that_addresses_are_hidden() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(1);
    let mut whois = |value: &str| {
        let field = format!(r#"<field var="muc#roomconfig_whois"><value>{value}</value></field>"#);
        let form = format!(
            r#"<query xmlns="{}"><x xmlns="{}" type="submit">{field}</x></query>"#,
            ns::MUC_OWNER,
            ns::DATA_FORMS
        );
        rig.ask(&focus, &format!(r#"<iq type="set" id="o" to="{ROOM}">{form}</iq>"#))
    };
    assert!(whois("moderators")[0].contains("<not-acceptable "));
    assert_eq!(whois("anyone").len(), 1, "as it is");
    rig.end(&[&focus, &clients[0]]);
}
