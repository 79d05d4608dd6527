//! People who watch: from a room of their own they see who meets, and nobody sees them.

use std::time::Duration;

use jitsi_xmpp::{Element, Sensitive, ns};
use prosody_core::limits::visitors as limits;
use prosody_core::{ComponentHost, Config, SessionQuery, Transport};

use serde_json::{Value, json};

use crate::rig::{Client, ROOM, Rig, between, parse};

const AUDIENCE: &str = "rathaus@muc.v0.meet.jitsi";

fn watched(config: &mut Config) {
    config.hosts.add_audience("v0.meet.jitsi", "muc", Some(3));
}

/// Somebody who has logged in to watch.
fn viewer(rig: &mut Rig) -> Client {
    let conn = rig.open(
        Transport::WebSocket,
        SessionQuery { room: Some(Sensitive::new("rathaus".into())), ..SessionQuery::default() },
    );
    let open = r#"<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="v0.meet.jitsi" version="1.0"/>"#;
    rig.raw(conn, open.as_bytes());
    rig.raw(conn, br#"<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="ANONYMOUS"/>"#);
    rig.raw(conn, open.as_bytes());
    rig.raw(conn, br#"<iq xmlns="jabber:client" type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>"#);
    let told = rig.take_raw(conn);
    let jid = told.iter().find_map(|f| Some(between(f, "<jid>", "</jid>")?.to_owned())).unwrap();
    assert!(jid.contains("@v0.meet.jitsi/"), "{jid}");
    Client { conn, nick: jid[..8].to_owned(), jid }
}

fn join(rig: &mut Rig, who: &Client, room: &str, name: &str) -> Vec<String> {
    let nick = &who.nick;
    rig.ask(who, &format!(r#"<presence to="{room}/{nick}" id="j"><x xmlns="http://jabber.org/protocol/muc"/><nick xmlns="http://jabber.org/protocol/nick">{name}</nick></presence>"#))
}

/// A meeting of two, which the focus lets people watch; nobody does yet.
fn stage(rig: &mut Rig) -> (Client, Client, Client) {
    let (focus, clients) = rig.meeting(2);
    let (anna, ben) = (clients[0].clone(), clients[1].clone());
    rig.grant(&focus, &anna);
    join(rig, &focus, AUDIENCE, "");
    for c in [&focus, &anna, &ben] {
        rig.take(c);
    }
    (focus, anna, ben)
}

fn from(frame: &str) -> String {
    parse(frame).attr("from").unwrap_or_default().to_owned()
}

#[test]
fn compat_who_watches_sees_who_meets_and_is_seen_by_the_focus_alone() {
    let mut rig = Rig::with(watched);
    let (focus, anna, ben) = stage(&mut rig);
    rig.send(
        &anna,
        &format!(r#"<message type="groupchat" id="m" to="{ROOM}"><body>welcome</body></message>"#),
    );
    rig.send(
        &anna,
        &format!(r#"<message type="groupchat" id="s" to="{ROOM}"><subject>council</subject></message>"#),
    );
    let vera = viewer(&mut rig);
    for c in [&focus, &anna, &ben] {
        rig.take(c);
    }
    let told = join(&mut rig, &vera, AUDIENCE, "Vera");
    let presences: Vec<_> = told.iter().filter(|f| f.starts_with("<presence")).collect();
    let mut seen: Vec<String> = presences.iter().map(|f| from(f)).collect();
    let own = format!("{AUDIENCE}/{}", vera.nick);
    assert_eq!(seen.pop().as_deref(), Some(&*own), "its own last");
    seen.sort();
    let mut all = [&focus, &anna, &ben].map(|c| format!("{AUDIENCE}/{}", c.nick));
    all.sort();
    assert_eq!(seen, all);
    let moderator = presences.iter().find(|f| from(f).ends_with(&anna.nick)).unwrap();
    assert!(moderator.contains(r#"role="moderator""#), "{moderator}");
    let itself = presences.last().unwrap();
    assert!(itself.contains(r#"affiliation="none" role="visitor""#) && itself.contains(r#"code="110""#));
    let metadata = told.iter().position(|f| f.contains("room_metadata")).unwrap();
    assert_eq!(from(&told[metadata]), "metadata.v0.meet.jitsi");
    let subject = parse(told.last().unwrap());
    assert_eq!(subject.child_named("subject").unwrap().text(), "council");
    let kept = told.iter().find(|f| f.contains("<body>welcome")).unwrap();
    assert_eq!(from(kept), format!("{AUDIENCE}/{}", anna.nick));

    assert!(rig.take(&anna).is_empty() && rig.take(&ben).is_empty(), "nobody is disturbed");
    let news = rig.take(&focus);
    assert!(news.len() == 1 && news[0].contains(r#"role="visitor""#) && news[0].contains("Vera"), "{news:?}");
    let viktor = viewer(&mut rig);
    let told = join(&mut rig, &viktor, AUDIENCE, "Viktor");
    assert!(!told.iter().any(|f| f.contains("Vera")), "{told:?}");
    assert!(rig.take(&vera).is_empty());
    rig.take(&focus);
    rig.send(&viktor, &format!(r#"<presence to="{AUDIENCE}/{}" type="unavailable"/>"#, viktor.nick));
    assert!(rig.take(&vera).is_empty() && rig.take(&anna).is_empty());
    assert!(rig.take(&focus)[0].contains(r#"type="unavailable""#));
    rig.end(&[&vera, &viktor, &anna, &ben, &focus]);
}

#[test]
fn what_happens_in_the_meeting_is_seen_from_the_audience() {
    let mut rig = Rig::with(watched);
    let (focus, anna, ben) = stage(&mut rig);
    let vera = viewer(&mut rig);
    join(&mut rig, &vera, AUDIENCE, "Vera");
    let clara = rig.client();
    rig.join(&clara);
    let told = rig.take(&vera);
    assert!(told.len() == 1 && from(&told[0]) == format!("{AUDIENCE}/{}", clara.nick), "{told:?}");
    rig.send(&clara, &format!(r#"<presence to="{ROOM}/{}"><hand/></presence>"#, clara.nick));
    let told = rig.take(&vera);
    assert!(told.len() == 1 && told[0].contains("<hand"), "{told:?}");
    rig.send(&ben, &format!(r#"<message type="groupchat" id="1" to="{ROOM}"><body>hi</body></message>"#));
    let told = rig.take(&vera);
    assert!(told.len() == 1 && from(&told[0]) == format!("{AUDIENCE}/{}", ben.nick), "{told:?}");
    rig.grant(&focus, &clara);
    assert!(rig.take(&vera)[0].contains(r#"role="moderator""#));
    rig.leave(&clara);
    let told = rig.take(&vera);
    assert!(told.len() == 1 && told[0].contains(r#"type="unavailable""#), "{told:?}");
    let set = r#"<message to="metadata.meet.jitsi"><room_metadata xmlns="http://jitsi.org/jitmeet" room="rathaus@muc.meet.jitsi">{"key":"k","data":{"a":1}}</room_metadata></message>"#;
    rig.send(&anna, set);
    let told = rig.take(&vera);
    assert!(told.len() == 1 && told[0].contains(r#""k":{"a":1}"#), "{told:?}");
    rig.end(&[&vera, &clara, &anna, &ben, &focus]);
}

#[test]
fn compat_what_a_viewer_says_is_heard_by_all_and_kept() {
    let mut rig = Rig::with(watched);
    let (focus, anna, ben) = stage(&mut rig);
    let (vera, viktor) = (viewer(&mut rig), viewer(&mut rig));
    join(&mut rig, &vera, AUDIENCE, "Vera");
    join(&mut rig, &viktor, AUDIENCE, "Viktor");
    let said = format!(
        r#"<message type="groupchat" id="q" to="{AUDIENCE}"><body>a question</body><nick xmlns="http://jabber.org/protocol/nick">Mayor</nick><json-message xmlns="http://jitsi.org/jitmeet">{{"type":"lobby-notify"}}</json-message></message>"#
    );
    rig.send(&vera, &said);
    for (who, address) in [
        (&anna, ROOM.to_owned()),
        (&viktor, format!("{AUDIENCE}/{}", vera.nick)),
        (&vera, format!("{AUDIENCE}/{}", vera.nick)),
    ] {
        let told = rig.take(who);
        let e = parse(told.last().unwrap());
        assert_eq!((e.attr("from"), e.attr("id")), (Some(address.as_str()), Some("q")));
        let name = e.child("display-name", ns::DISPLAY_NAME).unwrap();
        assert_eq!((name.attr("source"), name.text()), (Some("visitor"), "Vera".into()));
        assert_eq!(e.child("nick", ns::NICK).unwrap().text(), "Vera");
        assert!(e.child_named("json-message").is_none(), "clients would believe it: {told:?}");
    }
    let clara = rig.client();
    assert!(rig.join(&clara).iter().any(|f| f.contains("a question") && from(f) == ROOM));
    for c in [&anna, &viktor] {
        rig.take(c);
    }
    rig.send(&vera, &format!(r#"<message type="groupchat" to="{AUDIENCE}"><json-message xmlns="http://jitsi.org/jitmeet">{{"type":"x"}}</json-message></message>"#));
    rig.send(
        &vera,
        &format!(r#"<message type="groupchat" to="{AUDIENCE}"><subject>mine</subject></message>"#),
    );
    assert!(rig.take(&anna).is_empty() && rig.take(&viktor).is_empty());
    rig.end(&[&vera, &viktor, &clara, &anna, &ben, &focus]);
}

#[test]
fn compat_a_viewer_writes_to_one_who_meets_and_is_answered() {
    let mut rig = Rig::with(watched);
    let (focus, anna, ben) = stage(&mut rig);
    let vera = viewer(&mut rig);
    join(&mut rig, &vera, AUDIENCE, "Vera");
    rig.send(
        &vera,
        &format!(r#"<message type="chat" id="p" to="{AUDIENCE}/{}"><body>psst</body></message>"#, anna.nick),
    );
    let told = rig.take(&anna);
    let e = parse(&told[0]);
    assert_eq!(e.attr("from"), Some(ROOM));
    let of = e.child_named("addresses").unwrap().child_named("address").unwrap();
    let own = format!("{AUDIENCE}/{}", vera.nick);
    assert_eq!((of.attr("type"), of.attr("jid")), (Some("ofrom"), Some(own.as_str())));
    assert!(rig.take(&ben).is_empty());
    rig.send(&anna, &format!(r#"<message type="chat" to="{own}"><body>yes?</body></message>"#));
    let told = rig.take(&vera);
    assert_eq!(from(&told[0]), format!("{AUDIENCE}/{}", anna.nick));
    let stranger = rig.client();
    let refused =
        rig.ask(&stranger, &format!(r#"<message type="chat" to="{own}"><body>spam</body></message>"#));
    assert!(refused[0].contains("not-acceptable") && rig.take(&vera).is_empty(), "{refused:?}");
    rig.end(&[&stranger, &vera, &anna, &ben, &focus]);
}

#[test]
fn compat_viewers_do_not_write_to_each_other() {
    let mut rig = Rig::with(watched);
    let (focus, anna, ben) = stage(&mut rig);
    let (vera, viktor) = (viewer(&mut rig), viewer(&mut rig));
    join(&mut rig, &vera, AUDIENCE, "Vera");
    join(&mut rig, &viktor, AUDIENCE, "Viktor");
    let refused = rig.ask(
        &vera,
        &format!(r#"<message type="chat" to="{AUDIENCE}/{}"><body>hi</body></message>"#, viktor.nick),
    );
    assert!(
        refused[0].contains("Private messaging between visitors is disabled")
            && refused[0].contains(r#"type="auth""#)
    );
    assert!(rig.take(&viktor).is_empty());
    let iq = rig.ask(&vera, &format!(r#"<iq type="set" id="k" to="{AUDIENCE}"><query xmlns="http://jabber.org/protocol/muc#admin"><item nick="{}" role="none"/></query></iq>"#, viktor.nick));
    assert!(iq[0].contains("not-allowed"), "{iq:?}");
    rig.end(&[&vera, &viktor, &anna, &ben, &focus]);
}

#[test]
fn compat_nobody_watches_while_there_is_a_lobby() {
    let mut rig = Rig::with(watched);
    let (focus, anna, ben) = stage(&mut rig);
    let (vera, viktor) = (viewer(&mut rig), viewer(&mut rig));
    join(&mut rig, &viktor, AUDIENCE, "Viktor");
    rig.send(&focus, &format!(r#"<iq type="set" id="me" to="{ROOM}"><query xmlns="http://jabber.org/protocol/muc#admin"><item affiliation="member" jid="{}"/></query></iq>"#, ben.bare()));
    rig.configure(&anna, ROOM, "membersonly", "true");
    let refused = join(&mut rig, &vera, AUDIENCE, "Vera");
    assert!(
        refused.len() == 1 && refused[0].contains("Visitors not allowed while lobby is on!"),
        "{refused:?}"
    );
    let error = parse(&refused[0]);
    let error = error.child_named("error").unwrap();
    assert_eq!(error.attr("type"), Some("cancel"));
    assert!(error.child("no-visitors-lobby", ns::VISITORS).is_some());
    rig.send(
        &viktor,
        &format!(r#"<message type="groupchat" to="{AUDIENCE}"><body>still here</body></message>"#),
    );
    assert!(rig.take(&anna).iter().any(|f| f.contains("still here")));
    rig.end(&[&vera, &viktor, &anna, &ben, &focus]);
}

#[test]
fn compat_the_audience_ends_with_its_meeting() {
    let mut rig = Rig::with(watched);
    let (focus, anna, ben) = stage(&mut rig);
    let vera = viewer(&mut rig);
    join(&mut rig, &vera, AUDIENCE, "Vera");
    for c in [&anna, &ben, &focus] {
        rig.leave(c);
    }
    let told = rig.take(&vera);
    assert!(told.last().unwrap().contains("<reason>Conference ended.</reason>"), "{told:?}");
    assert_eq!(rig.server.stats().rooms, 0);
    rig.end(&[&vera, &anna, &ben, &focus]);
}

#[test]
fn the_audience_waits_for_the_focus_and_has_room_for_so_many() {
    let mut rig = Rig::with(watched);
    let (focus, clients) = rig.meeting(1);
    let anna = clients[0].clone();
    let viewers: Vec<Client> = (0..4).map(|_| viewer(&mut rig)).collect();
    let refused = join(&mut rig, &viewers[0], AUDIENCE, "V");
    assert!(refused[0].contains("Room creation is restricted"), "clients ask the focus again: {refused:?}");
    join(&mut rig, &focus, AUDIENCE, "");
    let taken = format!(
        r#"<presence to="{AUDIENCE}/{}"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#,
        anna.nick
    );
    assert!(rig.ask(&viewers[3], &taken)[0].contains("<conflict "), "nobody looks like one who meets");
    for v in &viewers[..3] {
        assert!(join(&mut rig, v, AUDIENCE, "V").iter().any(|f| f.contains(r#"code="110""#)));
    }
    let refused = join(&mut rig, &viewers[3], AUDIENCE, "V");
    assert!(refused.len() == 1 && refused[0].contains("service-unavailable"), "{refused:?}");
    let nowhere = rig.ask(&focus, r#"<presence to="other@muc.v0.meet.jitsi/focus"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#);
    assert!(nowhere[0].contains("item-not-found"), "there is no such meeting: {nowhere:?}");
    let mut all: Vec<&Client> = viewers.iter().collect();
    all.extend([&anna, &focus]);
    rig.end(&all);
}

#[test]
fn a_password_of_the_meeting_is_one_of_the_audience() {
    let mut rig = Rig::with(watched);
    let (focus, anna, ben) = stage(&mut rig);
    rig.configure(&anna, ROOM, "roomsecret", "s3cret");
    let vera = viewer(&mut rig);
    assert!(join(&mut rig, &vera, AUDIENCE, "Vera")[0].contains("not-authorized"));
    let right = rig.ask(&vera, &format!(r#"<presence to="{AUDIENCE}/{}"><x xmlns="http://jabber.org/protocol/muc"><password>s3cret</password></x></presence>"#, vera.nick));
    assert!(right.iter().any(|f| f.contains(r#"code="110""#)), "{right:?}");
    rig.end(&[&vera, &anna, &ben, &focus]);
}

#[test]
fn a_tenant_has_its_audience_at_an_address_of_its_own() {
    let mut rig = Rig::with(watched);
    let focus = rig.focus();
    let (main, audience) = ("rat@muc.town.meet.jitsi", "rat@muc.town.v0.meet.jitsi");
    join(&mut rig, &focus, main, "");
    let anna = rig.client();
    join(&mut rig, &anna, main, "Anna");
    join(&mut rig, &focus, audience, "");
    let vera = viewer(&mut rig);
    let told = join(&mut rig, &vera, audience, "Vera");
    assert!(told.iter().any(|f| from(f) == format!("{audience}/{}", anna.nick)), "{told:?}");
    let stored = rig
        .ask(&vera, r#"<message type="groupchat" to="[town]rat@muc.v0.meet.jitsi"><body>x</body></message>"#);
    assert!(stored[0].contains("jid-malformed"), "{stored:?}");
    rig.end(&[&vera, &anna, &focus]);
}

#[test]
fn two_thousand_watch_and_nobody_pays_for_others_coming() {
    let mut rig = Rig::with(|c| {
        watched(c);
        c.hosts.rooms.last_mut().unwrap().policy.max_participants = Some(2_000);
    });
    let (focus, anna, ben) = stage(&mut rig);
    let viewers: Vec<Client> = (0..2_000)
        .map(|n| {
            let v = viewer(&mut rig);
            let told = join(&mut rig, &v, AUDIENCE, "V");
            assert!(told.len() <= 10, "as many stanzas for the last as for the first: {n}: {}", told.len());
            if n % 100 == 0 {
                rig.advance(Duration::from_secs(10));
            }
            v
        })
        .collect();
    for v in &viewers {
        rig.take(v);
    }
    rig.take(&anna);
    let before = rig.server.counters().count(prosody_core::Counter::StanzasOut);
    rig.send(&anna, &format!(r#"<presence to="{ROOM}/{}"><hand/></presence>"#, anna.nick));
    let sent = rig.server.counters().count(prosody_core::Counter::StanzasOut) - before;
    assert_eq!(sent, 2_000 + 3, "each hears of it once");
    let copies: std::collections::HashSet<String> =
        viewers.iter().map(|v| rig.take(v).pop().unwrap().replace(&v.jid, "")).collect();
    assert_eq!(copies.len(), 1, "the same to all but for the address");
    let mut all: Vec<&Client> = viewers.iter().collect();
    all.extend([&anna, &ben, &focus]);
    rig.end(&all);
}

/// What was said about files, last.
fn files(rig: &mut Rig, who: &Client) -> Vec<Value> {
    let all = rig.take(who);
    let about = all.iter().filter(|f| f.contains("filesharing.v0.meet.jitsi"));
    about.map(|f| crate::components::json_of(f, "filesharing.v0")).collect()
}

#[test]
fn who_watches_is_told_what_is_shared_and_shares_nothing() {
    let mut rig = Rig::with(|c| {
        c.hosts.components.push(ComponentHost {
            domain: "filesharing.meet.jitsi".into(),
            module: "filesharing_component".into(),
            rooms: "muc.meet.jitsi".into(),
        });
        c.hosts.rooms[0].policy.default_permissions.push("file-upload".into());
        watched(c);
    });
    let (focus, anna, ben) = stage(&mut rig);
    let share = |rig: &mut Rig, who: &Client, at: &str, room: &str, attrs: &str, text: &str| {
        rig.ask(who, &format!(r#"<message to="filesharing.{at}" id="f"><file-sharing xmlns="http://jitsi.org/jitmeet" room="{room}" {attrs}>{text}</file-sharing></message>"#))
    };
    let id = |n: u32| format!(r#"{{"fileId":"f{n}","fileName":"Plan.pdf"}}"#);
    assert!(share(&mut rig, &anna, "meet.jitsi", ROOM, "type='add'", &id(1)).is_empty());
    // The room of those who watch was there before; and one that is not yet there begins with all of them.
    let vera = viewer(&mut rig);
    let told = join(&mut rig, &vera, AUDIENCE, "Vera");
    let list = told.iter().find(|f| f.contains("filesharing.v0")).expect("the list");
    let list = crate::components::json_of(list, "filesharing.v0");
    assert_eq!(list["files"]["f1"]["authorParticipantId"], anna.nick.as_str());
    assert!(share(&mut rig, &anna, "meet.jitsi", ROOM, "type='add'", &id(2)).is_empty());
    let added = files(&mut rig, &vera);
    assert_eq!((added[0]["event"].as_str(), added[0]["file"]["fileId"].as_str()), (Some("add"), Some("f2")));
    assert!(share(&mut rig, &anna, "meet.jitsi", ROOM, "type='remove' fileId='f1'", "").is_empty());
    assert_eq!(files(&mut rig, &vera)[0], json!({"type": "file-sharing", "event": "remove", "fileId": "f1"}));
    let refused = share(&mut rig, &vera, "v0.meet.jitsi", AUDIENCE, "type='add'", &id(3));
    assert!(
        refused[0].contains("<forbidden ") || refused[0].contains("<service-unavailable "),
        "{refused:?}"
    );
    rig.take(&ben);
    rig.end(&[&vera, &focus, &anna, &ben]);
}

#[test]
fn viewers_are_shown_what_is_for_them_and_nobody_else_is() {
    let mut rig = Rig::with(watched);
    let (vera, anna) = (viewer(&mut rig), rig.client());
    let mut kinds = |who: &Client, domain: &str| -> Vec<(String, String)> {
        let told = rig.ask(who, &format!(r#"<iq type="get" id="d" to="{domain}"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>"#));
        let e = parse(&told[0]);
        let query = e.first_child().unwrap();
        let identities = query.children().filter(|c| c.attr("category") == Some("component"));
        identities.map(|c| (c.attr("type").unwrap().to_owned(), c.attr("name").unwrap().to_owned())).collect()
    };
    let of =
        |all: Vec<(String, String)>| all.into_iter().map(|(k, n)| format!("{k} {n}")).collect::<Vec<_>>();
    let viewers = of(kinds(&vera, "v0.meet.jitsi"));
    assert_eq!(viewers, ["room_metadata metadata.v0.meet.jitsi", "polls polls.v0.meet.jitsi"]);
    let people = of(kinds(&anna, "meet.jitsi"));
    assert!(
        people.contains(&"polls polls.meet.jitsi".to_owned()) && !people.iter().any(|p| p.contains("v0")),
        "{people:?}"
    );
    rig.end(&[&vera, &anna]);
}

/// What a message says as JSON.
fn json_of(frame: &str) -> Option<Value> {
    serde_json::from_str(&parse(frame).child("json-message", ns::JITMEET)?.text()).ok()
}

/// What a client was told about viewers.
fn about_viewers(frames: &[String]) -> Vec<Value> {
    frames.iter().filter_map(|f| json_of(f)).filter(|j| j["type"] == "visitors").collect()
}

fn by_moderators(config: &mut Config) {
    config.hosts.rooms[0].policy.viewers_come_in = false;
    watched(config);
}

/// A viewer says something of itself.
fn show(rig: &mut Rig, who: &Client, inside: &str) {
    rig.send(who, &format!(r#"<presence to="{AUDIENCE}/{}"><nick xmlns="http://jabber.org/protocol/nick">V</nick>{inside}</presence>"#, who.nick));
}

const HAND: &str = "<jitsi_participant_raisedHand>1795390567000</jitsi_participant_raisedHand>";

fn response(frames: &[String]) -> Option<Element> {
    let iq = frames.iter().find(|f| f.contains("promotion-response")).map(|f| parse(f))?;
    let visitors = iq.child("visitors", ns::VISITORS)?;
    assert_eq!((iq.attr("from"), iq.attr("type")), (Some(AUDIENCE), Some("set")));
    assert_eq!(
        (visitors.attr("room"), visitors.attr("focusjid")),
        (Some(AUDIENCE), Some("focus@auth.meet.jitsi"))
    );
    visitors.child_named("promotion-response").cloned()
}

/// It comes back under the name that it was told.
fn promoted(rig: &mut Rig, username: &str) -> Client {
    rig.client_with(SessionQuery {
        room: Some(Sensitive::new("rathaus".into())),
        custom_username: Some(Sensitive::new(username.into())),
        ..SessionQuery::default()
    })
}

fn decide(rig: &mut Rig, who: &Client, json: &Value) -> Vec<String> {
    rig.ask(who, &format!(r#"<message type="groupchat" id="d" to="{ROOM}"><json-message xmlns="http://jitsi.org/jitmeet">{}</json-message></message>"#, json.to_string().replace('"', "&quot;")))
}

#[test]
fn compat_who_raises_a_hand_comes_in_where_viewers_may() {
    let mut rig = Rig::with(watched);
    let (focus, anna, ben) = stage(&mut rig);
    let vera = viewer(&mut rig);
    join(&mut rig, &vera, AUDIENCE, "Vera");
    rig.take(&vera);
    show(&mut rig, &vera, HAND);
    let told = response(&rig.take(&vera)).unwrap();
    assert_eq!((told.attr("allow"), told.attr("jid")), (Some("true"), Some(vera.jid.as_str())));
    let username = told.attr("username").unwrap().to_owned();
    assert!(about_viewers(&rig.take(&anna)).is_empty(), "nobody has to decide");
    rig.send(&vera, &format!(r#"<presence to="{AUDIENCE}/{}" type="unavailable"/>"#, vera.nick));
    let again = promoted(&mut rig, &username);
    assert!(again.jid.starts_with(&format!("{username}@meet.jitsi/")), "{}", again.jid);
    let thief = promoted(&mut rig, &username);
    assert!(!thief.jid.starts_with(&username), "it is one's alone");
    let made_up = promoted(&mut rig, "mayor");
    assert!(!made_up.jid.starts_with("mayor"), "nobody chooses its own");
    let told = rig.join(&again);
    assert!(
        told.iter().any(|f| f.contains(r#"role="participant""#) && f.contains(r#"code="110""#)),
        "{told:?}"
    );
    let of_visitors = told.iter().filter_map(|f| json_of(f)).find(|j| j["type"] == "room_metadata").unwrap();
    assert_eq!(of_visitors["metadata"]["visitors"]["promoted"][&again.nick], json!(true));
    rig.end(&[&made_up, &thief, &again, &vera, &anna, &ben, &focus]);
}

#[test]
fn compat_nobody_passes_by_the_audience_unless_let_in() {
    let mut rig = Rig::with(by_moderators);
    let (focus, anna, ben) = stage(&mut rig);
    let stranger = rig.client();
    let refused = rig.join(&stranger);
    assert!(
        refused.len() == 1 && refused[0].contains("Visitor needs to be allowed by a moderator"),
        "{refused:?}"
    );
    let error = parse(&refused[0]);
    let error = error.child_named("error").unwrap();
    assert_eq!(error.attr("type"), Some("cancel"));
    assert!(error.child("promotion-not-allowed", ns::VISITORS).is_some());

    let (vera, viktor) = (viewer(&mut rig), viewer(&mut rig));
    join(&mut rig, &vera, AUDIENCE, "Vera");
    join(&mut rig, &viktor, AUDIENCE, "Viktor");
    for c in [&anna, &ben, &vera] {
        rig.take(c);
    }
    show(&mut rig, &vera, HAND);
    show(&mut rig, &viktor, HAND);
    let asked = about_viewers(&rig.take(&anna));
    assert_eq!(asked.len(), 2);
    assert_eq!(
        asked[0],
        json!({"type": "visitors", "room": ROOM, "action": "promotion-request", "nick": "V", "from": vera.jid, "on": true})
    );
    assert!(about_viewers(&rig.take(&ben)).is_empty() && response(&rig.take(&vera)).is_none());
    rig.grant(&focus, &ben);
    assert_eq!(about_viewers(&rig.take(&ben)), asked, "a new moderator learns of both");
    let refused = decide(
        &mut rig,
        &vera,
        &json!({"type": "visitors", "action": "promotion-response", "approved": true, "id": vera.jid}),
    );
    assert!(response(&refused).is_none(), "who watches decides nothing");
    let no = json!({"type": "visitors", "action": "promotion-response", "approved": false, "id": viktor.jid});
    let told = decide(&mut rig, &anna, &no);
    assert!(!told.iter().any(|f| f.contains("promotion-response")), "it is for the server: {told:?}");
    let denied = response(&rig.take(&viktor)).unwrap();
    assert_eq!(denied.attr("allow"), Some("false"));
    assert!(
        about_viewers(&rig.take(&ben)).iter().any(|j| j["on"] == false),
        "the other moderator need not decide"
    );
    let username = denied.attr("username").unwrap().to_owned();
    let tries = promoted(&mut rig, &username);
    assert!(!tries.jid.starts_with(&username) && rig.join(&tries)[0].contains("promotion-not-allowed"));
    decide(
        &mut rig,
        &anna,
        &json!({"type": "visitors", "action": "promotion-response", "approved": true, "ids": [vera.jid, "nobody"]}),
    );
    let username = response(&rig.take(&vera)).unwrap().attr("username").unwrap().to_owned();
    let again = promoted(&mut rig, &username);
    assert!(rig.join(&again).iter().any(|f| f.contains(r#"code="110""#)));
    rig.end(&[&stranger, &tries, &again, &vera, &viktor, &anna, &ben, &focus]);
}

#[test]
fn a_hand_that_is_lowered_or_whose_viewer_goes_is_forgotten() {
    let mut rig = Rig::with(by_moderators);
    let (focus, anna, ben) = stage(&mut rig);
    let vera = viewer(&mut rig);
    join(&mut rig, &vera, AUDIENCE, "Vera");
    for inside in [HAND, HAND, "", HAND] {
        show(&mut rig, &vera, inside);
    }
    rig.send(&vera, &format!(r#"<presence to="{AUDIENCE}/{}" type="unavailable"/>"#, vera.nick));
    let on: Vec<bool> = about_viewers(&rig.take(&anna)).iter().map(|j| j["on"].as_bool().unwrap()).collect();
    assert_eq!(on, [true, false, true, false]);
    rig.end(&[&vera, &anna, &ben, &focus]);
}

#[test]
fn so_many_hands_are_kept_and_one_more_is_not() {
    let mut rig = Rig::with(|c| {
        by_moderators(c);
        c.hosts.rooms.last_mut().unwrap().policy.max_participants = None;
    });
    let (focus, anna, ben) = stage(&mut rig);
    let mut viewers: Vec<Client> = Vec::new();
    for n in 0..=limits::HANDS {
        let v = viewer(&mut rig);
        rig.ask(&v, &format!(r#"<presence to="{AUDIENCE}/{}"><x xmlns="http://jabber.org/protocol/muc"/>{HAND}</presence>"#, v.nick));
        viewers.push(v);
        if n % 100 == 0 {
            rig.advance(Duration::from_secs(10));
        }
    }
    assert_eq!(about_viewers(&rig.take(&anna)).len(), limits::HANDS);
    rig.grant(&focus, &ben);
    assert_eq!(about_viewers(&rig.take(&ben)).len(), limits::HANDS);
    let mut all: Vec<&Client> = viewers.iter().collect();
    all.extend([&anna, &ben, &focus]);
    rig.end(&all);
}

#[test]
fn compat_a_moderator_sends_somebody_among_the_viewers() {
    let mut rig = Rig::with(watched);
    let (focus, anna, ben) = stage(&mut rig);
    let ask = |actor: &Client| json!({"type": "visitors", "action": "demote-request", "id": ben.nick, "actor": actor.nick});
    let told = decide(&mut rig, &anna, &ask(&ben));
    assert!(told[0].contains("bad-request"), "in nobody else's name: {told:?}");
    assert!(decide(&mut rig, &ben, &ask(&ben))[0].contains("forbidden"));
    assert!(decide(&mut rig, &anna, &ask(&anna)).is_empty());
    let told = rig.take(&ben);
    let e = parse(told.last().unwrap());
    assert_eq!((e.attr("from"), e.attr("type")), (Some("visitors.meet.jitsi"), Some("chat")));
    assert_eq!(json_of(told.last().unwrap()).unwrap(), ask(&anna));
    rig.end(&[&anna, &ben, &focus]);
}

#[test]
fn compat_who_watches_votes_and_asks_nothing() {
    let mut rig = Rig::with(watched);
    let (focus, anna, ben) = stage(&mut rig);
    let vera = viewer(&mut rig);
    join(&mut rig, &vera, AUDIENCE, "Vera");
    let say = |rig: &mut Rig, who: &Client, to: &str, json: &str| {
        rig.ask(who, &format!(r#"<message type="chat" id="v" to="{to}"><json-message xmlns="http://jitsi.org/jitmeet">{json}</json-message></message>"#))
    };
    let ask = r#"{"type":"polls","command":"new-poll","pollId":"p","question":"?","answers":[{"name":"yes"},{"name":"no"}]}"#;
    let refused = say(&mut rig, &vera, "polls.v0.meet.jitsi", ask);
    assert!(refused[0].contains("Poll cannot be created by visitor node"), "{refused:?}");
    say(&mut rig, &anna, "polls.meet.jitsi", ask);
    let told = rig.take(&vera);
    assert_eq!(from(&told[0]), "polls.v0.meet.jitsi");
    assert_eq!(json_of(&told[0]).unwrap()["command"], "new-poll");
    rig.take(&ben);
    let told = say(
        &mut rig,
        &vera,
        "polls.v0.meet.jitsi",
        r#"{"type":"polls","command":"answer-poll","pollId":"p","answers":[true,false]}"#,
    );
    assert_eq!(json_of(&told[0]).unwrap()["senderId"], vera.nick.as_str());
    let told = rig.take(&ben);
    let vote = json_of(&told[0]).unwrap();
    assert_eq!((&vote["senderName"], from(&told[0])), (&json!("Vera"), "polls.meet.jitsi".to_owned()));
    let nothing = say(
        &mut rig,
        &vera,
        "polls.v0.meet.jitsi",
        r#"{"type":"polls","command":"answer-poll","pollId":"q","answers":[true]}"#,
    );
    assert!(nothing[0].contains("service-unavailable") && nothing[0].contains(r#"id="v""#), "{nothing:?}");
    let viktor = viewer(&mut rig);
    let told = join(&mut rig, &viktor, AUDIENCE, "Viktor");
    let old = told.iter().filter_map(|f| json_of(f)).find(|j| j["command"] == "old-polls").unwrap();
    assert_eq!(old["polls"][0]["answers"][0]["voters"][0]["name"], "Vera");
    rig.end(&[&vera, &viktor, &anna, &ben, &focus]);
}

#[test]
fn the_meeting_learns_which_languages_viewers_read() {
    let mut rig = Rig::with(watched);
    let (focus, anna, ben) = stage(&mut rig);
    let viewers: Vec<Client> = (0..3).map(|_| viewer(&mut rig)).collect();
    for v in &viewers {
        join(&mut rig, v, AUDIENCE, "V");
    }
    rig.take(&anna);
    for (v, language) in viewers.iter().zip(["fr", "de", "fr"]) {
        show(
            &mut rig,
            v,
            &format!(
                "<jitsi_participant_requestingTranscription>true</jitsi_participant_requestingTranscription><jitsi_participant_translation_language>{language}</jitsi_participant_translation_language>"
            ),
        );
    }
    assert!(rig.take(&anna).is_empty(), "together, a little later");
    rig.advance(Duration::from_secs(2));
    let told = rig.take(&anna);
    assert_eq!(told.len(), 1);
    let of_visitors = json_of(&told[0]).unwrap()["metadata"]["visitors"].clone();
    assert_eq!(of_visitors, json!({"transcribingLanguages": "de,fr", "transcribingCount": 3}));
    show(&mut rig, &viewers[1], "");
    rig.end_quietly(&viewers[0]);
    rig.advance(Duration::from_secs(2));
    let of_visitors = json_of(&rig.take(&anna)[0]).unwrap()["metadata"]["visitors"].clone();
    assert_eq!(of_visitors, json!({"transcribingLanguages": "fr", "transcribingCount": 1}));
    rig.end(&[&viewers[1], &viewers[2], &anna, &ben, &focus]);
}

#[test]
fn compat_a_room_from_where_nobody_watches_ends_and_so_it_does_when_the_focus_says() {
    let mut rig = Rig::with(by_moderators);
    let (focus, anna, ben) = stage(&mut rig);
    let vera = viewer(&mut rig);
    join(&mut rig, &vera, AUDIENCE, "Vera");
    rig.send(&vera, &format!(r#"<presence to="{AUDIENCE}/{}" type="unavailable"/>"#, vera.nick));
    rig.advance(Duration::from_secs(14));
    join(&mut rig, &vera, AUDIENCE, "Vera");
    rig.advance(Duration::from_secs(2));
    assert!(!rig.take(&focus).iter().any(|f| f.contains("<destroy")), "it is back");
    rig.send(&vera, &format!(r#"<presence to="{AUDIENCE}/{}" type="unavailable"/>"#, vera.nick));
    rig.advance(Duration::from_secs(15));
    assert!(rig.take(&focus).iter().any(|f| f.contains("No visitors.")));
    let clara = rig.client();
    assert!(rig.join(&clara).iter().any(|f| f.contains(r#"code="110""#)), "the door is open again");
    join(&mut rig, &focus, AUDIENCE, "");
    let say = |what: &str| {
        format!(
            r#"<iq type="get" id="c" to="visitors.meet.jitsi"><visitors xmlns="jitsi:visitors" room="{ROOM}"><{what} vnode="v0"/></visitors></iq>"#
        )
    };
    assert!(rig.ask(&clara, &say("disconnect-vnode"))[0].contains("forbidden"));
    assert!(rig.ask(&focus, &say("connect-vnode"))[0].contains(r#"type="result""#));
    join(&mut rig, &vera, AUDIENCE, "Vera");
    let told = rig.ask(&focus, &say("disconnect-vnode"));
    assert!(
        told.iter().any(|f| f.contains(r#"type="result""#)) && told.iter().any(|f| f.contains("<destroy"))
    );
    assert!(rig.take(&vera).iter().any(|f| f.contains("Conference ended.")));
    rig.end(&[&vera, &clara, &anna, &ben, &focus]);
}

#[test]
fn who_needs_a_token_to_meet_needs_one_to_watch() {
    let rig = Rig::with(|c| {
        let rules = prosody_core::token::Settings {
            app_id: Some("town".into()),
            app_secret: Some(Sensitive::new("0123456789abcdef0123456789abcdef".into())),
            ..Default::default()
        };
        let rules = prosody_core::token::TokenRules::new(rules).unwrap();
        c.hosts.users[0].login = prosody_core::Login::Token(std::sync::Arc::new(rules));
        c.hosts.users[0].modules.push("token_verification".into());
        watched(c);
    });
    let hosts = &rig.server.config().hosts;
    assert_eq!(hosts.check(), Ok(()));
    let viewers = hosts.users.iter().find(|h| h.domain == "v0.meet.jitsi").unwrap();
    assert!(matches!(viewers.login, prosody_core::Login::Token(_)));
    let audience = hosts.rooms.iter().find(|h| h.domain == "muc.v0.meet.jitsi").unwrap();
    assert!(audience.modules.iter().any(|m| m == "token_verification"));
}

#[test]
fn an_audience_that_cannot_be_one_is_refused() {
    let error = |change: &dyn Fn(&mut prosody_core::Table)| {
        let mut config = Config::for_domain("meet.jitsi").unwrap();
        watched(&mut config);
        change(&mut config.hosts);
        config.hosts.check().unwrap_err().to_string()
    };
    assert!(
        error(&|t| t.rooms[0].audience = Some("muc.v1.meet.jitsi".into())).contains("where no rooms are")
    );
    assert!(error(&|t| t.rooms[0].audience = Some("lobby.meet.jitsi".into())).contains("is a lobby"));
    assert!(error(&|t| t.rooms[1].audience = Some("muc.v0.meet.jitsi".into())).contains("that of others"));
    assert!(error(&|t| t.users.retain(|u| u.domain != "v0.meet.jitsi")).contains("where viewers log in"));
}

#[test]
fn so_many_are_let_in_to_a_meeting_and_so_many_names_are_kept_for_a_while() {
    let mut rig = Rig::with(watched);
    let focus = rig.focus();
    let mut people = vec![focus.clone()];
    let mut viewers = Vec::new();
    for room in ["a", "b", "c"] {
        let audience = format!("{room}@muc.v0.meet.jitsi");
        join(&mut rig, &focus, &format!("{room}@muc.meet.jitsi"), "");
        join(&mut rig, &focus, &audience, "");
        let v = viewer(&mut rig);
        join(&mut rig, &v, &audience, "V");
        viewers.push((v.clone(), audience));
        people.push(v);
    }
    // One viewer that raises its hand again and again is as good as many.
    let allowed = |rig: &mut Rig, at: usize, times: usize| {
        let (v, audience) = &viewers[at];
        let mut count = 0;
        for _ in 0..times {
            for inside in [HAND, ""] {
                let told =
                    rig.ask(v, &format!(r#"<presence to="{audience}/{}">{inside}</presence>"#, v.nick));
                count += told.iter().filter(|f| f.contains(r#"allow="true""#)).count();
            }
            rig.take(&focus);
        }
        count
    };
    assert_eq!(allowed(&mut rig, 0, limits::ALLOWED + 1), limits::ALLOWED);
    let rest = limits::PROMISED - limits::ALLOWED;
    assert_eq!(allowed(&mut rig, 1, rest), rest);
    assert_eq!(allowed(&mut rig, 2, 1), 0, "too many names wait for their viewers");
    rig.advance(limits::PROMISE);
    assert_eq!(allowed(&mut rig, 2, 1), 1, "a while later they are free");
    let all: Vec<&Client> = people.iter().rev().collect();
    rig.end(&all);
}
