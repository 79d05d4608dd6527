//! People with a token: how they log in, which rooms it opens, and what it makes of them.

use std::sync::Arc;

use jitsi_xmpp::Sensitive;
use prosody_core::token::{Hash, Settings, Signer, TokenRules};
use prosody_core::{Config, Login, SessionQuery, Transport};
use serde_json::{Map, Value, json};

use crate::rig::{Client, OPEN, ROOM, Rig, parse};

const SECRET: &str = "a-secret-of-the-tests-with-32-bytes";
const NOW: u64 = 1_795_390_567;

fn rules(change: impl FnOnce(&mut Settings)) -> Login {
    let mut settings = Settings {
        app_id: Some("town".into()),
        app_secret: Some(Sensitive::new(SECRET.into())),
        verify_domain: false,
        ..Settings::default()
    };
    change(&mut settings);
    Login::Token(Arc::new(TokenRules::new(settings).unwrap()))
}

fn with(change: impl FnOnce(&mut Settings)) -> Rig {
    with_both(change, |_| {})
}

/// People log in by these rules, on a server that is like this.
pub fn with_both(rules_are: impl FnOnce(&mut Settings), change: impl FnOnce(&mut Config)) -> Rig {
    Rig::with(|c| {
        c.hosts.users[0].login = rules(rules_are);
        verify(c);
        change(c);
    })
}

fn verify(config: &mut Config) {
    let modules = ["token_verification", "token_affiliation", "presence_identity"];
    config.hosts.rooms[0].modules.extend(modules.map(str::to_owned));
}

pub fn token_with(change: &Value) -> SessionQuery {
    let mut claims: Map<String, Value> = Map::new();
    for (name, value) in [("iss", "town"), ("aud", "jitsi"), ("sub", "meet.jitsi"), ("room", "rathaus")] {
        claims.insert(name.into(), value.into());
    }
    claims.insert("exp".into(), (NOW + 600).into());
    claims.extend(change.as_object().unwrap().clone());
    let signer = Signer::secret(Hash::Sha256, &Sensitive::new(SECRET.into())).unwrap();
    SessionQuery {
        token: Some(signer.sign(&claims).unwrap()),
        room: Some(Sensitive::new("rathaus".into())),
        ..SessionQuery::default()
    }
}

/// What SASL answers.
fn login(rig: &mut Rig, query: SessionQuery) -> String {
    let conn = rig.open(Transport::WebSocket, query);
    rig.raw(conn, OPEN.as_bytes());
    let features = rig.take_raw(conn).concat();
    assert!(features.contains("<mechanism>ANONYMOUS</mechanism>"), "{features}");
    rig.raw(conn, br#"<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="ANONYMOUS"/>"#);
    rig.take_raw(conn).concat()
}

pub fn meeting(rig: &mut Rig) -> Client {
    let focus = rig.focus();
    rig.join(&focus);
    focus
}

#[test]
fn compat_a_token_in_the_url_logs_in() {
    let mut rig = with(|_| {});
    assert!(login(&mut rig, token_with(&json!({}))).starts_with("<success"));
    let refused = [
        (SessionQuery::default(), "<not-allowed/><text>token required</text>"),
        (token_with(&json!({"iss": "village"})), "<not-allowed/><text>invalid 'iss' claim</text>"),
        (
            token_with(&json!({"exp": NOW - 5})),
            "<not-allowed/><text>Not acceptable by exp (5.0 sec since expired)</text>",
        ),
        (token_with(&json!({"room": null})), "<not-authorized/><text>room claim is missing</text>"),
    ];
    for (query, expected) in refused {
        let back = login(&mut rig, query);
        assert!(back.contains(expected), "{back}");
    }
    let mut forged = token_with(&json!({}));
    forged.token = forged.token.map(|t| Sensitive::new(format!("{}x", t.reveal())));
    assert!(login(&mut rig, forged).contains("Invalid signature"));
}

#[test]
fn whoever_has_no_token_comes_in_where_the_rules_let_it() {
    let mut rig = with(|s| s.allow_empty = true);
    let _focus = meeting(&mut rig);
    let guest = rig.client();
    let joined = rig.join(&guest).concat();
    assert!(joined.contains("code=\"110\""), "{joined}");
    assert!(joined.contains("affiliation=\"none\""), "a guest is no member: {joined}");
    let bad = token_with(&json!({"aud": 5, "iss": "village"}));
    assert!(login(&mut rig, bad).contains("<failure"), "a wrong token is not as good as none");
}

#[test]
fn compat_a_token_is_for_its_room() {
    let mut rig = with(|_| {});
    let early = rig.client_with(token_with(&json!({})));
    let refused = rig.join(&early).concat();
    assert!(refused.contains("<room-does-not-exist xmlns=\"http://jitsi.org/jitmeet\"/>"), "{refused}");
    let _focus = meeting(&mut rig);
    assert!(rig.join(&early).concat().contains("code=\"110\""));
    let other = rig.client_with(token_with(&json!({"room": "bauhof"})));
    let refused = rig.join(&other).concat();
    let error = parse(&refused);
    let error = error.children().find(|c| c.name() == "error").unwrap();
    assert_eq!(error.attr("type"), Some("cancel"));
    assert!(error.child_named("not-allowed").is_some() && error.child_named("room-mismatch").is_some());
    assert_eq!(error.child_named("text").unwrap().text(), "Room does not match the room from token");
    let any = rig.client_with(token_with(&json!({"room": "*"})));
    assert!(rig.join(&any).concat().contains("code=\"110\""));
}

#[test]
fn a_token_for_one_tenant_opens_no_room_of_another() {
    let mut rig = with(|s| s.verify_domain = true);
    let focus = rig.focus();
    for tenant in ["a", "b"] {
        let join = format!(
            r#"<presence to="rathaus@muc.{tenant}.meet.jitsi/focus"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#
        );
        rig.send(&focus, &join);
    }
    let anna = rig.client_with(token_with(&json!({"sub": "a"})));
    let mut join = |tenant: &str| {
        let to = format!("rathaus@muc.{tenant}.meet.jitsi/{}", anna.nick);
        rig.ask(
            &anna,
            &format!(r#"<presence to="{to}"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#),
        )
        .concat()
    };
    assert!(join("b").contains("Room and token mismatched"));
    assert!(join("a").contains("code=\"110\""));
}

#[test]
fn recorders_and_exempt_domains_need_no_token() {
    let mut rig = Rig::with(|c| {
        c.hosts.users[0].login = rules(|s| s.verify_domain = true);
        c.hosts.add_hidden("hidden.meet.jitsi");
        c.recorders = vec!["recorder@hidden.".into()];
        verify(c);
        c.hosts.rooms[0].policy.token_exempt = vec!["other.meet.jitsi".parse().unwrap()];
    });
    let _focus = meeting(&mut rig);
    let mut joins = |jid: &str| {
        let conn = rig.open(Transport::InProcess(jid.parse().unwrap()), SessionQuery::default());
        let client = Client { conn, jid: jid.into(), nick: "abcd1234".into() };
        let back = rig.join(&client).concat();
        rig.end_quietly(&client);
        back.contains("code=\"110\"")
    };
    assert!(joins("recorder@hidden.meet.jitsi/x"));
    assert!(joins("helper@other.meet.jitsi/x"));
    assert!(!joins("stranger@hidden.meet.jitsi/x"));
}

#[test]
fn a_token_makes_owners_and_members() {
    let mut rig = with(|_| {});
    let _focus = meeting(&mut rig);
    let mut affiliation = |user: Value| {
        let client = rig.client_with(token_with(&json!({"context": {"user": user}})));
        let own = rig.join(&client).concat();
        let own = own.split("code=\"110\"").next().unwrap().to_owned();
        let (_, after) = own.rsplit_once("affiliation=\"").unwrap();
        after.split('"').next().unwrap().to_owned()
    };
    assert_eq!(affiliation(json!({"moderator": true})), "owner");
    assert_eq!(affiliation(json!({"moderator": "true"})), "owner");
    assert_eq!(affiliation(json!({"affiliation": "teacher"})), "owner");
    assert_eq!(affiliation(json!({"moderator": false})), "member");
}

#[test]
fn a_token_opens_no_room_that_is_for_members_only() {
    let mut rig = with(|_| {});
    let focus = meeting(&mut rig);
    rig.configure(&focus, ROOM, "membersonly", "true");
    let client = rig.client_with(token_with(&json!({"context": {"user": {"moderator": true}}})));
    let refused = rig.join(&client).concat();
    assert!(refused.contains("registration-required"), "{refused}");
}

#[test]
fn what_a_token_says_of_a_person_is_shown_and_what_a_client_says_is_not() {
    let mut rig = with(|s| s.allow_empty = true);
    let focus = meeting(&mut rig);
    rig.take(&focus);
    let user =
        json!({"context": {"user": {"id": "7", "name": "Anna", "evil name": "x"}, "group": "council"}});
    let anna = rig.client_with(token_with(&user));
    let forged = r#"<identity xmlns="jabber:client"><user><name>Mayor</name></user></identity>"#;
    rig.join_with(&anna, "", forged);
    let guest = rig.client();
    rig.join_with(&guest, "", forged);
    let seen = rig.take(&focus);
    let of = |client: &Client| {
        let from = format!("{ROOM}/{}", client.nick);
        seen.iter()
            .map(|s| parse(s))
            .find(|e| e.name() == "presence" && e.attr("from") == Some(&from))
            .unwrap()
    };
    let shown = of(&anna);
    let identities: Vec<_> = shown.children().filter(|c| c.name() == "identity").collect();
    assert_eq!(identities.len(), 1);
    let person = identities[0].child_named("user").unwrap();
    assert_eq!(person.child_named("name").unwrap().text(), "Anna");
    assert_eq!(identities[0].child_named("group").unwrap().text(), "council");
    assert!(of(&guest).child_named("identity").is_none());
}

#[test]
fn compat_settings_of_a_room_need_a_token_where_the_rules_say_so() {
    let mut rig = with(|s| (s.allow_empty, s.token_for_moderation) = (true, true));
    let focus = meeting(&mut rig);
    let guest = rig.client();
    let anna = rig.client_with(token_with(&json!({"context": {"user": {"moderator": true}}})));
    rig.join(&guest);
    rig.join(&anna);
    let form = format!(
        r#"<iq type="set" id="f" to="{ROOM}"><query xmlns="http://jabber.org/protocol/muc#owner"><x xmlns="jabber:x:data" type="submit"/></query></iq>"#
    );
    let nowhere = form.replace(ROOM, "nowhere@muc.meet.jitsi");
    let mut refused = rig.ask(&guest, &form).concat();
    let hidden = rig.ask(&guest, &nowhere).concat().replace("nowhere@", "rathaus@");
    assert_eq!(refused, hidden, "strangers do not learn which rooms there are");
    rig.grant(&focus, &guest);
    refused.push_str(&rig.ask(&guest, &form).concat());
    let (not_allowed, text) = ("<not-allowed", "Room modification disabled for guests");
    assert_eq!((refused.matches(not_allowed).count(), refused.matches(text).count()), (2, 2), "{refused}");
    assert!(rig.ask(&anna, &form).concat().contains("type=\"result\""));
    assert!(rig.ask(&focus, &form).concat().contains("type=\"result\""), "the focus sets what it has to");
}

#[test]
fn features_of_a_token_are_what_a_person_may() {
    let mut rig = with(|_| {});
    let focus = meeting(&mut rig);
    let context = json!({"context": {"user": {"moderator": true}, "features": {"recording": "true"}}});
    let anna = rig.client_with(token_with(&context));
    let own = rig.join(&anna).concat();
    assert!(!own.contains("<permissions"), "she knows them from her token: {own}");
    let bert = rig.client_with(token_with(&json!({"context": {"user": {"moderator": true}}})));
    rig.join(&bert);
    rig.grant(&focus, &bert);
    assert!(rig.take(&bert).concat().contains("code=\"110\""));
}

#[test]
fn compat_a_token_of_another_tenant_makes_no_moderator() {
    let mut rig = with(|s| s.verify_domain = true);
    let focus = rig.focus();
    let join = |nick: &str| {
        format!(
            r#"<presence to="rathaus@muc.a.meet.jitsi/{nick}"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#
        )
    };
    rig.send(&focus, &join("focus"));
    let mut affiliation = |of: &str| {
        let context = json!({"user": {"moderator": true}, "tenant": of});
        let query = token_with(&json!({"sub": "a", "context": context}));
        let anna = rig.client_with(SessionQuery { prefix: Some(Sensitive::new("a".into())), ..query });
        let own = rig.ask(&anna, &join(&anna.nick)).concat();
        let own = own.split("code=\"110\"").next().unwrap().to_owned();
        own.rsplit_once("affiliation=\"").unwrap().1.split('"').next().unwrap().to_owned()
    };
    assert_eq!(affiliation("a"), "owner");
    assert_eq!(affiliation("b"), "member");
}

#[test]
fn whoever_comes_back_with_another_token_has_one_for_the_rooms_that_it_is_in() {
    let mut rig = with(|_| {});
    let focus = meeting(&mut rig);
    let anna = rig.client_with(token_with(&json!({})));
    rig.join(&anna);
    let id = rig.enable(&anna);
    rig.lose(anna.conn);
    let mut resume = |change: Value| {
        let query = SessionQuery { previd: Some(Sensitive::new(id.clone())), ..token_with(&change) };
        let conn = rig.authenticated(query);
        rig.raw(conn, format!(r#"<resume xmlns="urn:xmpp:sm:3" h="0" previd="{id}"/>"#).as_bytes());
        rig.take_raw(conn).concat()
    };
    let refused = resume(json!({"room": "bauhof"}));
    assert!(refused.starts_with("<failed") && refused.contains("<item-not-found"), "{refused}");
    let expired = resume(json!({"exp": NOW - 1}));
    assert!(expired.contains("<not-authorized"), "nobody who is not logged in resumes: {expired}");
    let back = resume(json!({"context": {"user": {"name": "Anna"}, "features": {"recording": true}}}));
    assert!(back.starts_with("<resumed"), "{back}");
    drop(focus);
}
