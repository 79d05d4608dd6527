//! Who may record, stream, call telephones and have things written down, where the modules that look at it are named.

use std::num::NonZeroU32;
use std::time::Duration;

use jitsi_xmpp::{Sensitive, ns};
use prosody_core::limits::{calls, recordings};
use prosody_core::{Config, SessionQuery};
use serde_json::{Value, json};

use crate::rig::{Client, ROOM, Rig, name, parse};
use crate::tokens;

/// An error from the room.
const FORBIDDEN: &str = r#"<error type="auth" by="rathaus@muc.meet.jitsi"><forbidden "#;
const TOO_OFTEN: &str = r#"<error type="wait" by="rathaus@muc.meet.jitsi"><policy-violation "#;
const TOO_MANY: &str = r#"<error type="cancel" by="rathaus@muc.meet.jitsi"><resource-constraint "#;

const ALL: &[&str] = &["filter_iq_jibri", "filter_iq_rayo", "jibri_session"];

/// People come with tokens or without, and all modules are named.
fn open(change: impl FnOnce(&mut Config)) -> Rig {
    tokens::with_both(
        |s| s.allow_empty = true,
        |c| {
            name(c, ALL);
            c.hosts.rooms[1].modules.push("jibri_session".into());
            change(c);
        },
    )
}

fn guest() -> SessionQuery {
    SessionQuery { room: Some(Sensitive::new("rathaus".into())), ..SessionQuery::default() }
}

fn with_features(features: &Value) -> SessionQuery {
    tokens::token_with(&json!({"context": {"features": features}}))
}

fn come(rig: &mut Rig, query: SessionQuery) -> Client {
    let client = rig.client_with(query);
    rig.join(&client);
    client
}

/// What the focus gets of an IQ to it, or the error that its sender gets.
fn to_focus(rig: &mut Rig, focus: &Client, who: &Client, payload: &str) -> Result<String, String> {
    rig.take(focus);
    let back = rig.ask(who, &format!(r#"<iq type="set" id="q" to="{ROOM}/focus">{payload}</iq>"#)).concat();
    let got = rig.take(focus).concat();
    assert_ne!(got.is_empty(), back.is_empty(), "{got} {back}");
    if got.is_empty() { Err(back) } else { Ok(got) }
}

fn jibri(action: &str, mode: &str) -> String {
    format!(r#"<jibri xmlns="{}" action="{action}" recording_mode="{mode}"/>"#, ns::JIBRI)
}

fn dial(to: &str, room: Option<&str>) -> String {
    let header = |r: &str| format!(r#"<header name="JvbRoomName" value="{r}"/>"#);
    let header = room.map(header).unwrap_or_default();
    format!(r#"<dial xmlns="urn:xmpp:rayo:1" from="fromnumber" to="{to}">{header}</dial>"#)
}

fn phone() -> String {
    dial("+4930", Some(ROOM))
}

/// `START` was passed on.
#[test]
fn compat_capitals_begin_no_recording_past_the_rules() {
    let mut rig = open(|_| {});
    let focus = tokens::meeting(&mut rig);
    let anna = come(&mut rig, with_features(&json!({"recording": false, "livestreaming": true})));
    for (action, mode) in [("START", "file"), ("Stop", "FILE"), ("start", "File")] {
        let refused = to_focus(&mut rig, &focus, &anna, &jibri(action, mode)).unwrap_err();
        assert!(refused.contains(FORBIDDEN), "{action} {mode}: {refused}");
    }
    assert!(to_focus(&mut rig, &focus, &anna, &jibri("START", "stream")).is_ok());
    rig.end(&[&focus, &anna]);
}

#[test]
fn compat_recordings_and_streams_are_theirs_who_may() {
    let mut rig = open(|_| {});
    let focus = tokens::meeting(&mut rig);
    for (mode, feature, other) in
        [("file", "recording", "livestreaming"), ("stream", "livestreaming", "recording")]
    {
        let cases = [
            (json!({feature: true}), true),
            (json!({feature: "true"}), true),
            (json!({feature: false}), false),
            (json!({other: true}), false),
            (Value::Null, false),
        ];
        for (features, may) in cases {
            let who = come(&mut rig, with_features(&features));
            for action in ["start", "stop"] {
                let heard = to_focus(&mut rig, &focus, &who, &jibri(action, mode));
                assert_eq!(heard.is_ok(), may, "{mode} {action} {features}: {heard:?}");
                if let Err(error) = heard {
                    assert!(error.contains(FORBIDDEN), "{error}");
                }
            }
            assert!(
                to_focus(&mut rig, &focus, &who, &jibri("status", mode)).is_ok(),
                "only these are looked at"
            );
            rig.end_quietly(&who);
            rig.advance(Duration::from_secs(40));
        }
    }
    let anna = come(&mut rig, guest());
    assert!(to_focus(&mut rig, &focus, &anna, &jibri("start", "file")).is_err());
    rig.grant(&focus, &anna);
    assert!(to_focus(&mut rig, &focus, &anna, &jibri("start", "file")).is_ok(), "who moderates may");
    rig.end(&[&focus, &anna]);
}

#[test]
fn recordings_are_begun_and_ended_so_often_in_a_room_and_from_an_address() {
    let mut rig = open(|_| {});
    let focus = tokens::meeting(&mut rig);
    let may = || with_features(&json!({"recording": true}));
    let near = |n: u8| SessionQuery { peer: Some(budget::Network::of([192, 0, 2, n].into())), ..may() };
    let (anna, ben) = (come(&mut rig, near(1)), come(&mut rig, near(2)));
    for _ in 0..recordings::IN_ROOM.burst() {
        assert!(to_focus(&mut rig, &focus, &anna, &jibri("start", "file")).is_ok());
    }
    for who in [&anna, &ben] {
        let refused = to_focus(&mut rig, &focus, who, &jibri("stop", "file")).unwrap_err();
        assert!(refused.contains(TOO_OFTEN), "{refused}");
    }
    // Twenty seconds later the room takes one more.
    rig.advance(Duration::from_secs(20));
    assert!(to_focus(&mut rig, &focus, &ben, &jibri("stop", "file")).is_ok());
    // One address that tries all the time is refused although the room would take it again.
    while to_focus(&mut rig, &focus, &anna, &jibri("start", "file")).is_ok() {}
    for _ in 0..recordings::BY_ADDRESS.burst() {
        let _ = to_focus(&mut rig, &focus, &anna, &jibri("start", "file"));
    }
    rig.advance(Duration::from_secs(5));
    assert!(to_focus(&mut rig, &focus, &anna, &jibri("start", "file")).is_err());
    rig.end(&[&focus, &anna, &ben]);
}

#[test]
fn compat_telephones_and_transcribers_are_called_by_those_who_may() {
    let mut rig = open(|_| {});
    let focus = tokens::meeting(&mut rig);
    let (phone_feature, transcriber) = ("outbound-call", "jitsi_meet_transcribe");
    for (to, feature, other) in
        [("+4930", phone_feature, "transcription"), (transcriber, "transcription", phone_feature)]
    {
        let cases = [
            (json!({feature: true}), true),
            (json!({feature: false}), false),
            (json!({other: true}), false),
            (Value::Null, false),
        ];
        for (features, may) in cases {
            let who = come(&mut rig, with_features(&features));
            let heard = to_focus(&mut rig, &focus, &who, &dial(to, Some(ROOM)));
            assert_eq!(heard.is_ok(), may, "{to} {features}: {heard:?}");
            if may {
                for room in [None, Some("other@muc.meet.jitsi"), Some("rathaus"), Some("rathaus@meet.jitsi")]
                {
                    let refused = to_focus(&mut rig, &focus, &who, &dial(to, room)).unwrap_err();
                    assert!(refused.contains(FORBIDDEN), "{refused}");
                }
                let two = phone().replace(
                    "</dial>",
                    r#"<header name="JvbRoomName" value="other@muc.meet.jitsi"/></dial>"#,
                );
                assert!(to_focus(&mut rig, &focus, &who, &two).is_err(), "no second room beside it");
            }
            rig.end_quietly(&who);
        }
    }
    let anna = come(&mut rig, guest());
    assert!(to_focus(&mut rig, &focus, &anna, &phone()).is_err());
    rig.grant(&focus, &anna);
    assert!(to_focus(&mut rig, &focus, &anna, &phone()).is_ok(), "an owner may");
    rig.end(&[&focus, &anna]);
}

#[test]
fn compat_who_is_not_in_a_room_records_and_calls_nobody() {
    let mut rig = open(|_| {});
    let focus = tokens::meeting(&mut rig);
    let all = json!({"recording": true, "outbound-call": true, "transcription": true});
    let anna = rig.client_with(with_features(&all));
    for room in [ROOM, "nowhere@muc.meet.jitsi"] {
        let call = dial("+4930", Some(room));
        for (asked, kind, condition) in
            [(jibri("start", "file"), "cancel", "item-not-found"), (call, "auth", "forbidden")]
        {
            let back = rig.ask(&anna, &format!(r#"<iq type="set" id="q" to="{room}/focus">{asked}</iq>"#));
            let expected = format!(r#"<error type="{kind}" by="{room}"><{condition} "#);
            assert!(back.len() == 1 && back[0].contains(&expected), "{room} {asked}: {back:?}");
        }
    }
    rig.end(&[&focus, &anna]);
}

#[test]
fn compat_who_calls_stands_in_the_call() {
    let mut rig = open(|_| {});
    let focus = tokens::meeting(&mut rig);
    let context = json!({"context": {
        "features": {"outbound-call": true}, "user": {"id": "u\r\n1"}, "group": "council"}});
    let (anna, ben) = (come(&mut rig, tokens::token_with(&context)), come(&mut rig, guest()));
    let lies = phone().replace("</dial>", r#"<header name="X-outbound-call-initiator-user" value="mayor"/><header name="X-outbound-call-initiator-group" value="g"/><header name="Other" value="1"/><header name="JvbRoomPassword" value="a&#13;&#10;b"/></dial>"#);
    let heard = to_focus(&mut rig, &focus, &anna, &lies).unwrap();
    let headers = |iq: &str| -> Vec<(String, String)> {
        let iq = parse(iq);
        let dial = iq.child("dial", ns::RAYO).unwrap();
        let attr = |h: &jitsi_xmpp::Element, name| h.attr(name).unwrap().to_owned();
        dial.children().map(|h| (attr(h, "name"), attr(h, "value"))).collect()
    };
    let expected = [
        ("JvbRoomName", ROOM),
        ("X-outbound-call-initiator-user", "u  1"),
        ("X-outbound-call-initiator-group", "council"),
        ("JvbRoomPassword", "a  b"),
    ];
    assert_eq!(headers(&heard), expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
    // A guest whom she makes a moderator calls in her name.
    rig.grant(&focus, &anna);
    rig.ask(&anna, &format!(r#"<iq type="set" id="g" to="{ROOM}"><query xmlns="http://jabber.org/protocol/muc#admin"><item affiliation="owner" jid="{}"/></query></iq>"#, ben.bare()));
    let heard = to_focus(&mut rig, &focus, &ben, &lies).unwrap();
    assert_eq!(headers(&heard), expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
    // Without any, nothing is made up.
    let heard = to_focus(&mut rig, &focus, &ben, &phone()).unwrap();
    assert_eq!(
        headers(&heard),
        expected[..3].iter().map(|(n, v)| ((*n).into(), (*v).into())).collect::<Vec<_>>()
    );
    rig.end(&[&focus, &anna, &ben]);
}

#[test]
fn compat_capitals_call_no_transcriber_past_the_rules() {
    let mut rig = open(|_| {});
    let focus = tokens::meeting(&mut rig);
    let anna = come(&mut rig, with_features(&json!({"outbound-call": true, "transcription": false})));
    let ben = come(&mut rig, with_features(&json!({"outbound-call": false, "transcription": true})));
    let capitals = dial("Jitsi_Meet_Transcribe", Some(ROOM));
    assert!(to_focus(&mut rig, &focus, &anna, &capitals).unwrap_err().contains(FORBIDDEN));
    assert!(to_focus(&mut rig, &focus, &ben, &capitals).is_ok());
    rig.end(&[&focus, &anna, &ben]);
}

#[test]
fn compat_a_room_calls_one_transcriber_in_ten_seconds() {
    let mut rig = open(|_| {});
    let focus = tokens::meeting(&mut rig);
    let who = || with_features(&json!({"outbound-call": true, "transcription": true}));
    let (anna, ben) = (come(&mut rig, who()), come(&mut rig, who()));
    let transcriber = dial("jitsi_meet_transcribe", Some(ROOM));
    for _ in 0..calls::TRANSCRIBERS.burst() {
        assert!(to_focus(&mut rig, &focus, &anna, &transcriber).is_ok());
    }
    for who in [&anna, &ben] {
        assert!(to_focus(&mut rig, &focus, who, &transcriber).unwrap_err().contains(TOO_MANY));
        assert!(to_focus(&mut rig, &focus, who, &phone()).is_ok(), "which is no transcriber");
    }
    rig.advance(Duration::from_secs(9));
    assert!(to_focus(&mut rig, &focus, &ben, &transcriber).is_err());
    rig.advance(Duration::from_secs(2));
    assert!(to_focus(&mut rig, &focus, &ben, &transcriber).is_ok());
    rig.end(&[&focus, &anna, &ben]);
}

#[test]
fn compat_a_person_calls_so_many_at_once_and_so_many_in_a_minute() {
    let mut rig = open(|c| c.hosts.rooms[0].policy.max_outgoing_calls = NonZeroU32::new(2));
    let focus = tokens::meeting(&mut rig);
    let context = json!({"context": {
        "features": {"outbound-call": true, "transcription": true}, "user": {"id": "u1"}}});
    let query = || tokens::token_with(&context);
    let full = |heard: Result<String, String>| {
        let error = heard.unwrap_err();
        assert!(error.contains(TOO_MANY), "{error}");
    };
    let anna = come(&mut rig, query());
    for _ in 0..2 {
        assert!(to_focus(&mut rig, &focus, &anna, &phone()).is_ok());
    }
    full(to_focus(&mut rig, &focus, &anna, &phone()));
    let transcriber = dial("jitsi_meet_transcribe", Some(ROOM));
    assert!(to_focus(&mut rig, &focus, &anna, &transcriber).is_ok(), "which is no telephone");
    // The legs come, with another one that only says so.
    let initiator = r#"<initiator xmlns="http://jitsi.org/protocol/jigasi"><header name="X-outbound-call-initiator-user" value="u1"/></initiator>"#;
    let legs: Vec<Client> = (0..3)
        .map(|_| {
            let leg = rig.client_with(guest());
            rig.join_with(&leg, "", initiator);
            leg
        })
        .collect();
    rig.advance(Duration::from_secs(120));
    let again = come(&mut rig, query());
    full(to_focus(&mut rig, &focus, &again, &phone()));
    rig.leave(&legs[0]);
    full(to_focus(&mut rig, &focus, &again, &phone()));
    rig.leave(&legs[1]);
    rig.advance(Duration::from_secs(120));
    assert!(to_focus(&mut rig, &focus, &again, &phone()).is_ok(), "one is there");
    // Another person does not bear what a leg says about it.
    let other = json!({"context": {"features": {"outbound-call": true}, "user": {"id": "u2"}}});
    let lie = initiator.replace("u1", "u2");
    let liars: Vec<Client> = (0..2)
        .map(|_| {
            let liar = rig.client_with(guest());
            rig.join_with(&liar, "", &lie);
            liar
        })
        .collect();
    let ben = come(&mut rig, tokens::token_with(&other));
    assert!(to_focus(&mut rig, &focus, &ben, &phone()).is_ok());
    let mut all = vec![&focus, &anna, &again, &ben];
    all.extend(&legs);
    all.extend(&liars);
    rig.end(&all);
}

#[test]
fn compat_a_recorder_learns_who_began_and_in_which_meeting() {
    let mut rig = open(|_| {});
    let focus = tokens::meeting(&mut rig);
    let context = json!({"context": {
        "features": {"recording": true}, "user": {"id": "u1"}, "group": "council"}});
    let anna = come(&mut rig, tokens::token_with(&context));
    let with = |data: &str| {
        let data = data.replace('"', "&quot;");
        jibri("start", "file").replace("/>", &format!(r#" app_data="{data}"/>"#))
    };
    let data = |iq: &str| -> Value {
        let iq = parse(iq);
        serde_json::from_str(iq.child("jibri", ns::JIBRI).unwrap().attr("app_data").unwrap()).unwrap()
    };
    let lies = r#"{"k":1,"file_recording_metadata":{"share":true,"initiator":{"id":"mayor"}}}"#;
    let heard = to_focus(&mut rig, &focus, &anna, &with(lies)).unwrap();
    let mut expected = json!({"k": 1, "file_recording_metadata": {
        "share": true, "initiator": {"id": "u1", "group": "council"}}});
    assert_eq!(data(&heard), expected);
    assert!(to_focus(&mut rig, &focus, &anna, &with("{no json")).unwrap_err().contains("<bad-request "));
    // The focus asks a recorder.
    let brewery = "jibribrewery@internal-muc.meet.jitsi";
    let recorder = rig.open(
        prosody_core::Transport::InProcess("jvb@auth.meet.jitsi/jibri".parse().unwrap()),
        SessionQuery::default(),
    );
    for (conn, nick) in [(focus.conn, "focus"), (recorder, "jibri1")] {
        let join = format!(
            r#"<presence to="{brewery}/{nick}"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#
        );
        rig.raw(conn, join.as_bytes());
    }
    rig.take_raw(recorder);
    let ask = |rig: &mut Rig, room: &str| {
        let jibri = parse(&heard).child("jibri", ns::JIBRI).unwrap().clone().with_attr("room", room);
        let iq = format!(r#"<iq type="set" id="r" to="{brewery}/jibri1">{}</iq>"#, jibri.to_xml());
        rig.raw(focus.conn, iq.as_bytes());
        data(&rig.take_raw(recorder).concat())
    };
    assert_eq!(ask(&mut rig, "other@muc.meet.jitsi"), expected, "nothing is known of it");
    let form = rig.ask(&focus, &format!(r#"<iq type="get" id="f" to="{ROOM}"><query xmlns="http://jabber.org/protocol/muc#owner"/></iq>"#)).concat();
    let id = crate::rig::between(&form, "muc#roominfo_meetingId", "</value>").unwrap();
    let id = id.rsplit("<value>").next().unwrap().to_owned();
    assert_eq!(id.len(), 36, "{form}");
    expected["file_recording_metadata"]["conference_details"] = json!({"session_id": id});
    assert_eq!(ask(&mut rig, ROOM), expected);
    rig.lose(recorder);
    rig.end(&[&focus, &anna]);
}

#[test]
fn so_many_people_call_from_a_room_and_one_more_does_not() {
    let mut rig = open(|c| c.hosts.rooms[0].policy.max_outgoing_calls = NonZeroU32::new(2));
    let focus = tokens::meeting(&mut rig);
    let mut all = vec![focus.clone()];
    for n in 0..=calls::CALLERS {
        let context =
            json!({"context": {"features": {"outbound-call": true}, "user": {"id": format!("u{n}")}}});
        let who = come(&mut rig, tokens::token_with(&context));
        let heard = to_focus(&mut rig, &focus, &who, &phone());
        assert_eq!(heard.is_ok(), n < calls::CALLERS, "{n}: {heard:?}");
        all.push(who);
        // Not all at once.
        rig.advance(Duration::from_secs(2));
    }
    rig.end(&all.iter().collect::<Vec<_>>());
}
