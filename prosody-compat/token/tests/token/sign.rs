//! Tokens of our own.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jitsi_xmpp::Sensitive;
use prosody_token::{Guest, Hash, ShortLived, SignError, Signer};
use serde_json::{Value, json};

use crate::support::*;

fn part(token: &Sensitive<String>, n: usize) -> Value {
    let part = token.reveal().split('.').nth(n).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[test]
fn a_header_names_algorithm_and_key() {
    let token = ours().signer(Hash::Sha256).sign(&claims(json!({}))).unwrap();
    assert_eq!(part(&token, 0), json!({ "typ": "JWT", "alg": "RS256", "kid": KID }));
    let token = ours().signer(Hash::Sha512).sign(&claims(json!({}))).unwrap();
    assert_eq!(part(&token, 0)["alg"], "RS512");
    let token =
        Signer::secret(Hash::Sha384, &"s".to_owned().into()).unwrap().sign(&claims(json!({}))).unwrap();
    assert_eq!(part(&token, 0), json!({ "typ": "JWT", "alg": "HS384" }));
    assert_eq!(part(&token, 1), Value::Object(claims(json!({}))));
}

#[test]
fn keys_that_are_none() {
    let pair = ours();
    for pem in ["", "x", &pair.public_pem, &pair.private_pem.reveal()[..200], &pem("PRIVATE KEY", &[1, 2, 3])]
    {
        let outcome = Signer::rsa(Hash::Sha256, &pem.to_owned().into(), KID);
        assert_eq!(outcome.unwrap_err(), SignError::Key);
    }
    assert_eq!(Signer::secret(Hash::Sha256, &String::new().into()).unwrap_err(), SignError::EmptySecret);
    assert_eq!(format!("{:?}", pair.signer(Hash::Sha256)), "Signer(…)");
}

/// RFC 7515 appendix A.1 and A.2 fix what a signature of given bytes is; here the same bytes go through both sides.
#[test]
fn what_is_signed_is_what_is_checked() {
    for length in [0, 1, 2, 3, 100, 3_000] {
        let said = json!({ "pad": "x".repeat(length) });
        assert!(log_in(&hs(said.clone())).is_ok() && log_in_served(&rs(said)).is_ok(), "{length}");
    }
}

fn short_lived() -> ShortLived<'static> {
    ShortLived {
        issuer: "test-issuer",
        audience: "file-sharing",
        subject: "meet.jitsi",
        room: Some("myroom"),
        meeting_id: Some("meeting-xyz"),
        user: None,
        guest: Guest {
            id: "u@meet.jitsi/r",
            name: Some("Anna"),
            email: Some("anna@example.org"),
            nick: Some("0123abcd"),
        },
        group: None,
        features: None,
        granted_from: None,
        customer_id: None,
        backend_region: Some("eu-1"),
        user_region: None,
    }
}

#[test]
fn a_short_lived_token_of_a_guest() {
    let claims = short_lived().claims(NOW, 30);
    assert_eq!(
        Value::Object(claims),
        json!({ "iss": "test-issuer", "aud": "file-sharing", "nbf": NOW, "exp": NOW + 30, "sub": "meet.jitsi",
            "room": "myroom", "meeting_id": "meeting-xyz", "backend_region": "eu-1",
            "context": { "user": { "id": "u@meet.jitsi/r", "name": "Anna", "email": "anna@example.org",
                "nick": "0123abcd" } } })
    );
}

#[test]
fn a_short_lived_token_says_of_a_person_what_its_own_token_said() {
    let user = json!({ "id": "uid-99", "name": "Berta", "moderator": true, "n": 5 });
    let own = log_in(&hs(
        json!({ "context": { "user": user, "group": "verein", "features": { "file-upload": "true" } } }),
    ));
    let own = own.unwrap();
    let token = ShortLived {
        user: own.user.as_ref(),
        group: own.group.as_ref().map(|g| g.reveal().as_str()),
        features: own.features.as_ref(),
        granted_from: Some("granter"),
        user_region: Some("eu-2"),
        ..short_lived()
    };
    let claims = token.claims(NOW, 30);
    assert_eq!(
        claims["context"],
        json!({ "user": user, "group": "verein", "features": { "file-upload": true } })
    );
    assert_eq!((&claims["customer_id"], &claims["granted_from"]), (&json!("verein"), &json!("granter")));
    assert_eq!(claims["user_region"], "eu-2");
    let customer = ShortLived { customer_id: Some("abc123"), ..token }.claims(NOW, 30);
    assert_eq!(customer["customer_id"], "abc123");
}

#[test]
fn a_short_lived_token_is_taken_by_whoever_has_its_key() {
    let token = ours().signer(Hash::Sha256).sign(&short_lived().claims(NOW, 30)).unwrap();
    let rules = rules(prosody_token::Settings { issuers: Some(vec!["test-issuer".into()]), ..served() });
    let unverified = prosody_token::Unverified::parse(&rules, token.reveal()).unwrap();
    let claims = unverified.verify(&rules, Some(&ours().key()), unix()).unwrap();
    assert_eq!(claims.user.unwrap().name().unwrap(), "Anna");
    let late = unix() + std::time::Duration::from_secs(30);
    assert!(unverified.verify(&rules, Some(&ours().key()), late).is_err());
}
