//! Servers and tokens beside a meeting: TURN for programs, and tokens that end soon for people.

use std::sync::Arc;
use std::time::Duration;

use jitsi_xmpp::Sensitive;
use prosody_core::token::{Hash, Settings, Signer, TokenRules, Unverified};
use prosody_core::{Credentials, ExternalService, ShortLivedTokens};
use serde_json::{Value, json};

use crate::inside;
use crate::rig::{Client, Rig, between, name};
use crate::tokens;

const NOW: u64 = 1_795_390_567;

#[test]
fn compat_programs_are_told_of_turn_servers_as_json() {
    let mut rig = Rig::with(|c| {
        name(c, &["turncredentials_http"]);
        let service = |kind: &str, port, credentials| ExternalService {
            kind: kind.into(),
            host: "turn.example".into(),
            port,
            transport: "udp".into(),
            credentials,
            ttl: Duration::from_secs(60),
        };
        c.external_services = vec![
            service("stun", 3478, Credentials::None),
            service("turn", 3479, Credentials::Secret(Sensitive::new("s".into()))),
        ];
    });
    let (status, body) = rig.http(&inside::request("/turn-credentials"));
    assert_eq!(status, 200);
    let told: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(told[0], json!({"type": "stun", "host": "turn.example", "port": 3478, "transport": "udp"}));
    let turn = &told[1];
    let user = (NOW + 60).to_string();
    assert_eq!((&turn["port"], &turn["username"]), (&json!(3479), &json!(user)));
    assert_eq!((&turn["expires"], &turn["restricted"]), (&json!(NOW + 60), &json!(true)));
    assert_eq!(turn["password"].as_str().unwrap().len(), 28);
    assert_eq!(Rig::new().http(&inside::request("/turn-credentials")).0, 404, "unless it is named");
    rig.end(&[]);
}

const SECRET: &str = "a-secret-of-a-service-of-32-bytes";

fn open() -> Rig {
    tokens::with_both(
        |s| s.allow_empty = true,
        |c| {
            name(c, &["short_lived_token"]);
            c.region = Some("here".into());
            c.short_lived_tokens = Some(Arc::new(ShortLivedTokens {
                issuer: "meet".into(),
                audiences: vec!["files".into(), "pictures".into()],
                signer: Signer::secret(Hash::Sha256, &Sensitive::new(SECRET.into())).unwrap(),
                lasts: Duration::from_secs(30),
            }));
        },
    )
}

fn ask(rig: &mut Rig, who: &Client, kind: &str, host: &str) -> String {
    rig.ask(who, &format!(r#"<iq type="get" id="s" to="meet.jitsi"><credentials xmlns="urn:xmpp:extdisco:2"><service type="{kind}" host="{host}"/></credentials></iq>"#)).concat()
}

/// What a service reads in a token.
fn read(answer: &str) -> Value {
    use base64::Engine as _;
    let token = between(answer, "password=\"", "\"").unwrap();
    let settings = Settings {
        app_id: Some("meet".into()),
        app_secret: Some(Sensitive::new(SECRET.into())),
        ..Settings::default()
    };
    let rules = TokenRules::new(settings).unwrap();
    let unix = Duration::from_secs(NOW + 1);
    Unverified::parse(&rules, token).unwrap().verify(&rules, None, unix).unwrap();
    let body = token.split('.').nth(1).unwrap();
    let body = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(body).unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[test]
fn compat_who_is_in_a_meeting_gets_a_token_for_a_service() {
    let mut rig = open();
    let focus = tokens::meeting(&mut rig);
    let context = json!({"context": {
        "user": {"id": "u1", "name": "Anna"}, "group": "council", "features": {"recording": true}}});
    let anna = rig.client_with(tokens::token_with(&context));
    let outside = ask(&mut rig, &anna, "short-lived-token", "files");
    assert!(outside.contains(r#"<error type="cancel"><not-allowed "#), "{outside}");
    rig.join(&anna);
    let answer = ask(&mut rig, &anna, "short-lived-token", "files");
    let expected = r#"<service type="short-lived-token" host="files" port="443" transport="https" username="token" password=""#;
    assert!(answer.contains(expected) && answer.contains(r#"expires="2026-"#), "{answer}");
    assert!(answer.contains(r#"restricted="1""#), "{answer}");
    let mut claims = read(&answer);
    let meeting = claims.as_object_mut().unwrap().remove("meeting_id").unwrap();
    assert_eq!(meeting.as_str().unwrap().len(), 36);
    let expected = json!({
        "iss": "meet", "aud": "files", "sub": "meet.jitsi", "room": "rathaus",
        "nbf": NOW, "exp": NOW + 30, "customer_id": "council", "backend_region": "here",
        "context": {
            "group": "council", "user": {"id": "u1", "name": "Anna"}, "features": {"recording": true}}});
    assert_eq!(claims, expected);
    // Other services and other questions are not its business.
    for (kind, host) in [("short-lived-token", "other"), ("turn", "files")] {
        assert!(ask(&mut rig, &anna, kind, host).contains("<item-not-found "));
    }
    rig.end(&[&focus, &anna]);
}

/// Newest upstream: whoever asks for several gets several.
#[test]
fn compat_tokens_for_several_services_are_asked_for_at_once() {
    let mut rig = open();
    let focus = tokens::meeting(&mut rig);
    let anna = rig.client_with(tokens::token_with(&json!({})));
    rig.join(&anna);
    let wanted = ["pictures", "files", "files", "other"];
    let wanted = wanted.map(|host| format!(r#"<service type="short-lived-token" host="{host}"/>"#)).concat();
    let answer = rig.ask(&anna, &format!(r#"<iq type="get" id="s" to="meet.jitsi"><credentials xmlns="urn:xmpp:extdisco:2">{wanted}</credentials></iq>"#)).concat();
    let services: Vec<&str> = answer.split("<service ").skip(1).collect();
    let (hosts, audiences): (Vec<_>, Vec<_>) = services
        .iter()
        .map(|s| {
            (between(s, "host=\"", "\"").unwrap().to_owned(), read(s)["aud"].as_str().unwrap().to_owned())
        })
        .unzip();
    assert_eq!(hosts, ["files", "pictures"], "each once: {answer}");
    assert_eq!(audiences, hosts);
    rig.end(&[&focus, &anna]);
}

#[test]
fn compat_a_guests_token_says_what_it_shows() {
    let mut rig = open();
    let focus = tokens::meeting(&mut rig);
    let ben = rig.client();
    rig.join_with(
        &ben,
        "",
        r#"<nick xmlns="http://jabber.org/protocol/nick">Ben</nick><email>ben@town.example</email>"#,
    );
    let claims = read(&ask(&mut rig, &ben, "short-lived-token", "files"));
    let expected = json!({"user": {
        "id": ben.jid, "name": "Ben", "email": "ben@town.example", "nick": ben.nick}});
    assert_eq!(claims["context"], expected);
    rig.end(&[&focus, &ben]);
}
