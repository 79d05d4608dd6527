//! Programs of the admin's that change meetings over HTTP, with a token of their own.

use std::sync::Arc;
use std::time::Duration;

use jitsi_xmpp::Sensitive;
use prosody_core::limits::{PARKED, PASSCODES};
use prosody_core::token::{Hash, Settings, Signer, TokenRules};
use prosody_core::{Config, HttpMethod, HttpRequest, Output, RequestId};
use serde_json::{Map, Value, json};

use crate::rig::{Client, ROOM, Rig, name};
use crate::tokens;
use crate::{inside, keys, pair};

const SECRET: &str = "a-secret-of-programs-with-32-bytes";
const NOW: u64 = 1_795_390_567;
const MODULES: &[&str] = &[
    "muc_end_meeting",
    "muc_kick_participant",
    "system_chat_message",
    "muc_jigasi_invite",
    "muc_password_check",
];

fn rules(config: &mut Config) {
    name(config, MODULES);
    let settings = Settings {
        app_id: Some("programs".into()),
        app_secret: Some(Sensitive::new(SECRET.into())),
        require_room: false,
        ..Settings::default()
    };
    config.programs = vec![Arc::new(TokenRules::new(settings).unwrap())];
}

fn open() -> Rig {
    Rig::with(rules)
}

fn signed(secret: &str, change: &Value) -> String {
    let mut claims: Map<String, Value> = Map::new();
    for (name, value) in [("iss", "programs"), ("aud", "jitsi"), ("sub", "system.meet.jitsi")] {
        claims.insert(name.into(), value.into());
    }
    claims.insert("exp".into(), (NOW + 600).into());
    claims.extend(change.as_object().unwrap().clone());
    let signer = Signer::secret(Hash::Sha256, &Sensitive::new(secret.into())).unwrap();
    format!("Bearer {}", signer.sign(&claims).unwrap().reveal())
}

fn good() -> String {
    signed(SECRET, &json!({}))
}

/// A request with everything that it needs.
fn change(method: HttpMethod, path: &str, body: &Value) -> HttpRequest {
    HttpRequest {
        method,
        authorization: Some(Sensitive::new(good())),
        content_type: Some("application/json".into()),
        body: Sensitive::new(body.to_string().into_bytes()),
        ..inside::request(path)
    }
}

fn end(query: &str) -> HttpRequest {
    HttpRequest {
        content_type: None,
        ..change(HttpMethod::Post, &format!("/end-meeting{query}"), &Value::Null)
    }
}

fn kick(query: &str, body: &Value) -> HttpRequest {
    change(HttpMethod::Put, &format!("/kick-participant{query}"), body)
}

fn say(body: &Value) -> HttpRequest {
    change(HttpMethod::Post, "/send-system-chat-message", body)
}

fn invite(body: &Value) -> HttpRequest {
    change(HttpMethod::Post, "/invite-jigasi", body)
}

fn all() -> [(HttpRequest, u16); 4] {
    let room = format!("?conference={ROOM}");
    [
        (end(&room), 401),
        (kick("?room=rathaus", &json!({"participantId": "focus"})), 403),
        (say(&json!({"room": ROOM, "connectionJIDs": [], "message": "m"})), 401),
        (invite(&json!({"conference": ROOM, "phoneNo": "+49"})), 401),
    ]
}

#[test]
fn only_a_program_with_a_token_of_its_own_changes_anything() {
    let mut rig = tokens::with_both(|s| s.allow_empty = true, rules);
    let focus = tokens::meeting(&mut rig);
    let persons = tokens::token_with(&json!({})).token.unwrap();
    let wrong = [
        None,
        Some(String::new()),
        Some("Bearer ".into()),
        Some(good().replace("Bearer ", "")),
        Some(good().replace("Bearer ", "Basic ")),
        Some(format!("Bearer {}", persons.reveal())),
        Some(signed(SECRET, &json!({"exp": NOW - 1}))),
        Some(signed(SECRET, &json!({"iss": "town"}))),
        Some(signed("another-secret-that-nobody-knows-of", &json!({}))),
    ];
    for (request, status) in all() {
        for authorization in &wrong {
            let authorization = authorization.clone().map(Sensitive::new);
            let asked = HttpRequest { authorization, ..request.clone() };
            assert_eq!(rig.http(&asked), (status, String::new()), "{asked:?}");
        }
    }
    assert_eq!(rig.server.stats().rooms, 1);
    rig.end(&[&focus]);
    // A server without a key for programs has none.
    let mut rig = Rig::with(|c| {
        rules(c);
        c.programs.clear();
    });
    let (focus, _) = rig.meeting(0);
    for (request, status) in all() {
        assert_eq!(rig.http(&request).0, status);
    }
    rig.end(&[&focus]);
}

#[test]
fn compat_a_program_ends_a_meeting() {
    let mut rig = open();
    let (focus, clients) = rig.meeting(1);
    let anna = &clients[0];
    for (query, status) in [
        ("", 400),
        ("?silent-reconnect=true", 400),
        ("?conference=%4", 400),
        ("?conference=nobody@muc.meet.jitsi", 404),
        ("?conference=rathaus", 404),
        ("?conference=rathaus@muc.town.meet.jitsi", 404),
    ] {
        assert_eq!(rig.http(&end(query)), (status, String::new()), "{query}");
    }
    assert_eq!(rig.http(&end("?conference=Rathaus%40muc.meet.jitsi")), (200, String::new()));
    let heard = rig.take(anna).concat();
    assert!(
        heard.contains(r#"<destroy><reason>The meeting has been terminated</reason></destroy>"#),
        "{heard}"
    );
    assert_eq!(rig.server.stats().rooms, 0);
    rig.join(&focus);
    rig.join(anna);
    assert_eq!(rig.http(&end(&format!("?conference={ROOM}&silent-reconnect=true"))).0, 200);
    let heard = rig.take(anna).concat();
    assert!(
        heard.contains(&format!(
            r#"<destroy jid="{ROOM}"><reason>The meeting has been terminated silently</reason></destroy>"#
        )),
        "{heard}"
    );
    rig.end(&[&focus, anna]);
}

#[test]
fn a_tenants_meeting_is_ended_by_either_spelling() {
    let mut rig = open();
    let focus = rig.focus();
    for spelled in ["r@muc.town.meet.jitsi", "%5Btown%5Dr@muc.meet.jitsi"] {
        rig.send(&focus, r#"<presence to="r@muc.town.meet.jitsi/focus"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#);
        assert_eq!(rig.server.stats().rooms, 1);
        assert_eq!(rig.http(&end(&format!("?conference={spelled}"))).0, 200, "{spelled}");
        assert_eq!(rig.server.stats().rooms, 0);
    }
    rig.end(&[&focus]);
}

#[test]
fn compat_a_program_removes_somebody() {
    let mut rig = open();
    let (focus, clients) = rig.meeting(2);
    let [anna, ben] = &clients[..] else { panic!() };
    let nick = json!({"participantId": anna.nick});
    for (query, body, status) in [
        ("?room=rathaus", json!({}), 400),
        ("?room=rathaus", json!([]), 400),
        ("?room=rathaus", json!({"participantId": anna.nick, "number": "+49"}), 400),
        ("?room=rathaus", json!({"participantId": 1}), 400),
        ("", nick.clone(), 400),
        ("?room=nobody", nick.clone(), 404),
        ("?room=rathaus&prefix=town", nick.clone(), 404),
        ("?room=rathaus", json!({"participantId": "nobody"}), 404),
        ("?room=rathaus", json!({"number": anna.nick}), 404),
    ] {
        assert_eq!(rig.http(&kick(query, &body)), (status, String::new()), "{query} {body}");
    }
    let text = HttpRequest { content_type: Some("text/plain".into()), ..kick("?room=rathaus", &nick) };
    let empty = HttpRequest { body: Sensitive::default(), ..kick("?room=rathaus", &nick) };
    assert_eq!((rig.http(&text).0, rig.http(&empty).0), (400, 400));
    rig.grant(&focus, anna);
    rig.take(anna);
    rig.take(ben);
    assert_eq!(rig.http(&kick("?room=rathaus", &nick)), (200, String::new()));
    let (own, others) = (rig.take(anna).concat(), rig.take(ben).concat());
    for heard in [&own, &others] {
        assert!(heard.contains(r#"<status code="307"/>"#) && heard.contains(r#"role="none""#), "{heard}");
        assert!(!heard.contains("<actor"), "{heard}");
    }
    // It comes back as anybody.
    assert!(rig.join(anna).concat().contains(r#"affiliation="none" role="participant""#));
    // Whoever came by telephone goes by its number.
    let leg = rig.client();
    let said = r#"<nick xmlns="http://jabber.org/protocol/nick">+4930 123</nick>"#;
    let initiator = r#"<initiator xmlns="http://jitsi.org/protocol/jigasi"/>"#;
    rig.join_with(&leg, "", &format!("{said}{initiator}"));
    rig.leave(ben);
    rig.join_with(ben, "", said);
    rig.take(&leg);
    assert_eq!(rig.http(&kick("?room=rathaus", &json!({"number": "+4930"}))).0, 200);
    assert!(rig.take(&leg).concat().contains(r#"<status code="307"/>"#));
    assert_eq!(rig.http(&kick("?room=rathaus", &json!({"number": "+4930"}))).0, 404, "ben is no telephone");
    rig.end(&[&focus, anna, ben, &leg]);
}

#[test]
fn compat_a_program_tells_people_something() {
    let mut rig = open();
    let (focus, clients) = rig.meeting(2);
    let [anna, ben] = &clients[..] else { panic!() };
    let stranger = rig.client();
    let body = |without: &str| {
        let mut body =
            json!({"room": ROOM, "connectionJIDs": [anna.jid, stranger.jid, "x", 7], "message": "a<b"});
        body.as_object_mut().unwrap().remove(without);
        body
    };
    for without in ["room", "connectionJIDs", "message"] {
        assert_eq!(rig.http(&say(&body(without))), (400, String::new()), "{without}");
    }
    let mut elsewhere = body("");
    elsewhere["room"] = "nobody@muc.meet.jitsi".into();
    assert_eq!(rig.http(&say(&elsewhere)).0, 404);
    assert_eq!(rig.http(&say(&body(""))), (200, String::new()));
    let told = |displayed: &str| {
        format!(
            r#"<message to="{}" xmlns="jabber:client" from="{ROOM}"><json-message xmlns="http://jitsi.org/jitmeet">{{{displayed}"message":"a&lt;b","type":"system_chat_message"}}</json-message></message>"#,
            anna.jid
        )
    };
    let quoted = |text: String| text.replace('"', "").replace("&quot;", "");
    assert_eq!(quoted(rig.take(anna).concat()), quoted(told("")));
    let mut named = body("");
    named["displayName"] = "Town".into();
    assert_eq!(rig.http(&say(&named)).0, 200);
    assert_eq!(quoted(rig.take(anna).concat()), quoted(told(r#""displayName":"Town","#)));
    assert!(rig.take(ben).is_empty() && rig.take(&stranger).is_empty() && rig.take(&focus).is_empty());
    rig.end(&[&focus, anna, ben, &stranger]);
}

fn passcode(authorization: Option<&str>, query: &str, body: &Value) -> HttpRequest {
    HttpRequest {
        authorization: authorization.map(|a| Sensitive::new(a.to_owned())),
        ..change(HttpMethod::Put, &format!("/room-info{query}"), body)
    }
}

fn lock(rig: &mut Rig, who: &Client) {
    rig.ask(
        who,
        &format!(
            r#"<iq xmlns="jabber:client" type="set" id="p" to="{ROOM}"><query xmlns="http://jabber.org/protocol/muc#owner"><x xmlns="jabber:x:data" type="submit"><field var="FORM_TYPE"><value>http://jabber.org/protocol/muc#roomconfig</value></field><field var="muc#roomconfig_roomsecret"><value>4711</value></field></x></query></iq>"#
        ),
    );
}

#[test]
fn compat_a_gateway_with_a_token_of_the_main_host_tries_a_rooms_password() {
    let mut rig = tokens::with_both(|s| s.allow_empty = true, rules);
    let focus = tokens::meeting(&mut rig);
    let token = format!("Bearer {}", tokens::token_with(&json!({"room": "*"})).token.unwrap().reveal());
    let asks = |rig: &mut Rig, query: &str, body: Value| rig.http(&passcode(Some(&token), query, &body));
    let (right, wrong) = (json!({"passcode": "4711"}), json!({"passcode": "4712"}));
    let says = |valid: bool| (200, format!(r#"{{"valid":{valid}}}"#));
    assert_eq!(asks(&mut rig, "?room=rathaus", right.clone()), says(false), "it has none");
    lock(&mut rig, &focus);
    assert_eq!(asks(&mut rig, "?room=rathaus", right.clone()), says(true));
    assert_eq!(asks(&mut rig, "?room=rathaus", wrong), says(false));
    assert_eq!(asks(&mut rig, "?room=rathaus", json!({"passcode": 4711})), says(false));
    for (query, body, status) in [
        ("?room=rathaus", json!({}), 400),
        ("", right.clone(), 400),
        ("?room=nobody", right.clone(), 404),
        ("?room=rathaus&prefix=town", right.clone(), 404),
    ] {
        assert_eq!(asks(&mut rig, query, body), (status, String::new()), "{query}");
    }
    for none in [None, Some("Bearer x.y.z"), Some(good().as_str())] {
        assert_eq!(rig.http(&passcode(none, "?room=rathaus", &right)).0, 403);
        let looks = HttpRequest {
            authorization: none.map(|a| Sensitive::new(a.to_owned())),
            ..inside::request("/room-info?room=rathaus")
        };
        assert_eq!(rig.http(&looks).0, 403, "nor is it told whether there is one");
    }
    let looks = HttpRequest {
        authorization: Some(Sensitive::new(token.clone())),
        ..inside::request("/room-info?room=rathaus")
    };
    assert!(rig.http(&looks).1.contains(r#""passcodeProtected":true"#));
    // Nobody tries all of them.
    rig.advance(Duration::from_secs(120));
    for _ in 0..PASSCODES.burst() {
        assert_eq!(asks(&mut rig, "?room=rathaus", right.clone()).0, 200);
    }
    assert_eq!(asks(&mut rig, "?room=rathaus", right.clone()), (429, String::new()));
    rig.advance(Duration::from_secs(1));
    assert_eq!(asks(&mut rig, "?room=rathaus", right).0, 200);
    rig.end(&[&focus]);
}

#[test]
fn without_tokens_nobody_tries_a_rooms_password() {
    let mut rig = open();
    let (focus, _) = rig.meeting(0);
    lock(&mut rig, &focus);
    let request = passcode(Some(&good()), "?room=rathaus", &json!({"passcode": "4711"}));
    assert_eq!(rig.http(&request), (403, String::new()));
    rig.end(&[&focus]);
}

#[test]
fn compat_a_program_has_somebody_called_by_the_gateway_with_the_least_to_do() {
    let mut rig = open();
    let (focus, _) = rig.meeting(0);
    let body = json!({"conference": "Rathaus@muc.meet.jitsi", "phoneNo": "+4930"});
    for wrong in [
        json!({"phoneNo": "+4930"}),
        json!({"conference": ROOM}),
        json!({"conference": "rathaus", "phoneNo": "+4930"}),
        json!({"conference": ROOM, "phoneNo": "+49\r\nX: y"}),
        json!({"conference": ROOM, "phoneNo": 4930}),
    ] {
        assert_eq!(rig.http(&invite(&wrong)), (400, String::new()), "{wrong}");
    }
    assert_eq!(rig.http(&invite(&body)), (404, r#"{"error":"Brewery room was not found"}"#.into()));
    let brewery = "jigasibrewery@internal-muc.meet.jitsi";
    let gateways: Vec<_> = [
        ("focus", None),
        ("none", None),
        ("busy", Some(("0.7", "true"))),
        ("idle", Some(("0.1", "true"))),
        ("writes", Some(("0.0", "false"))),
        ("odd", Some(("nan", "true"))),
    ]
    .into_iter()
    .map(|(nick, stats)| {
        let jid = format!("jvb@auth.meet.jitsi/{nick}").parse().unwrap();
        let conn = rig.open(prosody_core::Transport::InProcess(jid), prosody_core::SessionQuery::default());
        let stats = stats.map(|(stress, sip)| {
            format!(r#"<stats xmlns="http://jitsi.org/protocol/colibri"><stat name="stress_level" value="{stress}"/><stat name="supports_sip" value="{sip}"/></stats>"#)
        });
        let stats = stats.unwrap_or_default();
        rig.raw(conn, format!(r#"<presence to="{brewery}/{nick}"><x xmlns="http://jabber.org/protocol/muc"/>{stats}</presence>"#).as_bytes());
        if nick == "none" {
            assert_eq!(rig.http(&invite(&body)), (404, r#"{"error":"Jigasi not found"}"#.into()));
        }
        conn
    })
    .collect();
    for conn in &gateways {
        rig.take_raw(*conn);
    }
    assert_eq!(rig.http(&invite(&body)), (200, String::new()));
    let heard: Vec<String> = gateways.iter().map(|conn| rig.take_raw(*conn).concat()).collect();
    assert!(heard.iter().enumerate().all(|(n, h)| h.is_empty() != (n == 3)), "{heard:?}");
    let iq = crate::rig::parse(&heard[3]);
    assert_eq!((iq.attr("type"), iq.attr("to")), (Some("set"), Some("jvb@auth.meet.jitsi/idle")));
    assert_eq!(iq.attr("from"), Some("jigasibrewery@internal-muc.meet.jitsi/focus"));
    let expected = format!(
        r#"<dial xmlns="urn:xmpp:rayo:1" from="fromnumber" to="+4930"><header name="JvbRoomName" value="{ROOM}"/></dial>"#
    );
    assert!(heard[3].contains(&expected), "{}", heard[3]);
    // Its answer is for nobody.
    let answer = format!(r#"<iq type="result" id="{}" to="{brewery}/focus"/>"#, iq.attr("id").unwrap());
    rig.raw(gateways[3], answer.as_bytes());
    assert!(rig.take_raw(gateways[0]).is_empty());
    for conn in gateways {
        rig.lose(conn);
    }
    rig.end(&[&focus]);
}

#[test]
fn compat_a_programs_key_is_asked_for_at_a_server_and_only_its_request_waits() {
    let (private, public) = pair::pair();
    let mut rig = Rig::with(|c| {
        name(c, MODULES);
        let settings = Settings {
            app_id: Some("programs".into()),
            key_server: Some("https://keys.example/system".into()),
            require_room: false,
            ..Settings::default()
        };
        c.programs = vec![Arc::new(TokenRules::new(settings).unwrap())];
    });
    let (focus, clients) = rig.meeting(1);
    let with = |kid: &str| {
        let claims = json!({"iss": "programs", "aud": "jitsi", "sub": "*", "exp": NOW + 600});
        let signer = Signer::rsa(Hash::Sha256, private, kid).unwrap();
        let token = signer.sign(claims.as_object().unwrap()).unwrap();
        let authorization = Some(Sensitive::new(format!("Bearer {}", token.reveal())));
        HttpRequest { authorization, ..end(&format!("?conference={ROOM}")) }
    };
    rig.other.clear();
    let begun = |rig: &mut Rig, id: u64, kid: &str| {
        rig.http_begins(RequestId(id), &with(kid));
        keys::asked(rig)
    };
    let status = |rig: &Rig, id: u64| {
        rig.other.iter().find_map(|o| match o {
            Output::Reply { id: RequestId(i), reply } if *i == id => Some(reply.status),
            _ => None,
        })
    };
    let first = begun(&mut rig, 101, "k1");
    assert!(first[0].1.url.starts_with("https://keys.example/system/"), "{first:?}");
    assert_eq!((status(&rig, 101), rig.server.stats().rooms), (None, 1), "nothing is done before");
    assert_eq!(rig.http(&end("?conference=x")).0, 401, "others are answered at once");
    // So many wait, and one more does not.
    for n in 1..PARKED as u64 {
        assert!(begun(&mut rig, 101 + n, "k1").is_empty());
        assert_eq!(status(&rig, 101 + n), None);
    }
    rig.http_begins(RequestId(999), &with("k1"));
    assert_eq!(status(&rig, 999), Some(503));
    keys::answer(&mut rig, first[0].0, 200, public.as_bytes());
    assert_eq!((status(&rig, 101), rig.server.stats().rooms), (Some(200), 0));
    assert_eq!(status(&rig, 102), Some(404), "it is over by then");
    rig.other.clear();
    assert_eq!(rig.http(&with("k1")).0, 404, "the key is known");
    let other = begun(&mut rig, 500, "k2");
    keys::answer(&mut rig, other[0].0, 404, "");
    assert_eq!(status(&rig, 500), Some(401), "nobody has it");
    rig.end(&[&focus, &clients[0]]);
}
