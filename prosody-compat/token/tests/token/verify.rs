//! Logins: what passes, and the condition and text of what does not, in upstream's order (xmpp-server §2.9).

use std::time::Duration;

use prosody_token::limits::{JSON_DEPTH, TOKEN_BYTES};
use prosody_token::{Hash, Refusal, Settings, Signer, Unverified};
use serde_json::json;

use crate::support::*;

#[test]
fn a_valid_token_passes_with_a_secret_and_with_a_key_of_a_server() {
    assert_eq!(log_in(&hs(json!({}))).unwrap().subject.reveal(), "*");
    assert_eq!(log_in_served(&rs(json!({}))).unwrap().subject.reveal(), "*");
}

#[test]
fn every_algorithm_signs_and_checks() {
    for (hash, digits) in [(Hash::Sha256, "256"), (Hash::Sha384, "384"), (Hash::Sha512, "512")] {
        let by_secret = rules(Settings { algorithm: Some(format!("HS{digits}")), ..settings() });
        let signer = Signer::secret(hash, &SECRET.to_owned().into()).unwrap();
        let token = signer.sign(&claims(json!({}))).unwrap();
        assert!(log_in_by(&by_secret, token.reveal()).is_ok(), "HS{digits}");
        let pem = Some(ours().public_pem.clone().into());
        let by_key =
            rules(Settings { algorithm: Some(format!("RS{digits}")), app_secret: pem, ..settings() });
        let token = ours().signer(hash).sign(&claims(json!({}))).unwrap();
        assert!(log_in_by(&by_key, token.reveal()).is_ok(), "RS{digits}");
        // And no other algorithm's token.
        let other = if hash == Hash::Sha512 { Hash::Sha256 } else { Hash::Sha512 };
        let token =
            Signer::secret(other, &SECRET.to_owned().into()).unwrap().sign(&claims(json!({}))).unwrap();
        assert_eq!(log_in_by(&by_secret, token.reveal()), Err(Refusal::WrongAlgorithm));
    }
}

#[test]
fn another_secret_or_key_signs_for_somebody_else() {
    let signer = Signer::secret(Hash::Sha256, &"another-secret".to_owned().into()).unwrap();
    let token = signer.sign(&claims(json!({}))).unwrap();
    assert_eq!(refused(log_in(token.reveal())), ("not-allowed", "Invalid signature".into()));
    let token = theirs().signer(Hash::Sha256).sign(&claims(json!({}))).unwrap();
    assert_eq!(refused(log_in_served(token.reveal())), ("not-allowed", "Invalid signature".into()));
}

#[test]
fn a_changed_token_is_nobodys() {
    for token in [hs(json!({ "room": "a" })), rs(json!({ "room": "a" }))] {
        let log_in = if token.starts_with(&b64(r#"{"alg":"HS256""#)[..16]) { log_in } else { log_in_served };
        assert!(log_in(&token).is_ok());
        let parts: Vec<&str> = token.split('.').collect();
        let hacker = b64(json!({ "iss": "jitsi", "aud": "jitsi", "sub": "*", "room": "b" }).to_string());
        assert_eq!(log_in(&format!("{}.{hacker}.{}", parts[0], parts[2])), Err(Refusal::InvalidSignature));
        let middle = parts[2].len() / 2;
        let other = if parts[2].as_bytes()[middle] == b'A' { "B" } else { "A" };
        let mut signature = parts[2].to_owned();
        signature.replace_range(middle..=middle, other);
        let tampered = format!("{}.{}.{signature}", parts[0], parts[1]);
        assert_eq!(log_in(&tampered), Err(Refusal::InvalidSignature));
        for cut in [1, 20, parts[2].len() - 1] {
            let short = &token[..token.len() - cut];
            assert_eq!(log_in(short), Err(Refusal::InvalidSignature), "{cut}");
        }
    }
}

#[test]
fn what_is_not_three_parts_is_no_token() {
    let good = hs(json!({}));
    let (signed, signature) = good.rsplit_once('.').unwrap();
    for bad in [
        "",
        ".",
        "..",
        "notavalidjwt",
        "hdr.body",
        signed,
        &format!("{signed}."),
        &format!(".{good}"),
        &format!("{good}."),
        &format!("{signed}..{signature}"),
        &format!("{good}.more"),
        &format!("{}.{signature}", signed.replace('.', "\\")),
        "!!!!.body.sig",
        "a b.body.sig",
    ] {
        assert_eq!(refused(log_in(bad)), ("not-allowed", "Invalid token".into()), "{bad}");
        assert_eq!(Unverified::parse(&rules(served()), bad).unwrap_err(), Refusal::InvalidToken, "{bad}");
    }
}

#[test]
fn a_token_at_the_limit_is_read_and_a_longer_one_is_not() {
    let sized = |n: usize| hs(json!({ "pad": "x".repeat(n) }));
    let start = sized(0).len();
    // Three bytes of JSON are four of base64.
    let (mut n, mut token) = ((TOKEN_BYTES - start) * 3 / 4 - 8, String::new());
    while token.len() < TOKEN_BYTES {
        n += 1;
        token = sized(n);
    }
    assert_eq!(token.len(), TOKEN_BYTES);
    assert!(log_in(&token).is_ok());
    let longer = sized(n + 1);
    assert!(longer.len() > TOKEN_BYTES);
    assert_eq!(log_in(&longer), Err(Refusal::InvalidToken));
    assert_eq!(log_in(&"a".repeat(1 << 20)), Err(Refusal::InvalidToken));
}

#[test]
fn what_is_not_json_is_said_by_its_part() {
    let header = r#"{"typ":"JWT","alg":"HS256"}"#;
    for bad in
        ["not-valid-json{{", "", "[]", "5", "\"a\"", "null", "{", "{}{}", r#"{"a":NaN}"#, "{\"a\":1e400}"]
    {
        if !bad.is_empty() {
            assert_eq!(refused(log_in(&raw(bad, "{}"))), ("not-allowed", "Invalid header".into()), "{bad}");
            let served = Unverified::parse(&rules(served()), &raw(bad, "{}")).unwrap_err();
            assert_eq!(
                (served.condition().as_str(), &*served.text()),
                ("not-allowed", "bad token format"),
                "{bad}"
            );
            assert_eq!(refused(log_in(&raw(header, bad))), ("not-allowed", "Invalid body".into()), "{bad}");
        }
    }
    let good = hs(json!({}));
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (head, body) = signed.split_once('.').unwrap();
    assert_eq!(refused(log_in(&format!("{head}.!!!.{signature}"))).1, "Invalid body");
    assert_eq!(refused(log_in(&format!("{signed}.!!!"))).1, "Invalid signature");
    assert_eq!(refused(log_in(&format!("{head}.{body}.{signature}="))).1, "Invalid signature");
}

#[test]
fn claims_nested_as_deep_as_the_limit_are_read_and_deeper_ones_are_not() {
    let header = r#"{"typ":"JWT","alg":"HS256"}"#;
    let nested = |depth: usize| {
        let lists = format!("{}{}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        format!(r#"{{"iss":"jitsi","aud":"jitsi","sub":"*","a":{lists}}}"#)
    };
    assert!(log_in(&raw(header, &nested(JSON_DEPTH))).is_ok());
    assert_eq!(log_in(&raw(header, &nested(JSON_DEPTH + 1))), Err(Refusal::InvalidBody));
    let deep_header = |depth: usize| {
        let lists = format!("{}{}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        format!(r#"{{"typ":"JWT","alg":"HS256","a":{lists}}}"#)
    };
    let body = r#"{"iss":"jitsi","aud":"jitsi","sub":"*"}"#;
    assert!(log_in(&raw(&deep_header(JSON_DEPTH), body)).is_ok());
    assert_eq!(log_in(&raw(&deep_header(JSON_DEPTH + 1), body)), Err(Refusal::InvalidHeader));
}

#[test]
fn what_a_header_lacks_is_said() {
    let body = r#"{"iss":"jitsi","aud":"jitsi","sub":"*"}"#;
    for header in [r#"{"alg":"HS256"}"#, r#"{"typ":"jwt","alg":"HS256"}"#, r#"{"typ":5,"alg":"HS256"}"#] {
        assert_eq!(refused(log_in(&raw(header, body))), ("not-allowed", "Invalid typ".into()), "{header}");
    }
    for header in [r#"{"typ":"JWT"}"#, r#"{"typ":"JWT","alg":"HS512"}"#, r#"{"typ":"JWT","alg":"hs256"}"#] {
        let expected = ("not-allowed", "Invalid or incorrect alg".to_owned());
        assert_eq!(refused(log_in(&raw(header, body))), expected, "{header}");
    }
    for (header, text) in [
        (r#"{"typ":"JWT","alg":"RS256"}"#, "'kid' claim is missing"),
        (r#"{"typ":"JWT","alg":"RS256","kid":null}"#, "'kid' claim is missing"),
        (r#"{"typ":"JWT","alg":"RS256","kid":5}"#, "'kid' claim is missing"),
        (r#"{"typ":"JWT","kid":"a"}"#, "'alg' claim is missing"),
        (r#"{"typ":"JWT","kid":"a","alg":"HS256"}"#, "'kid' claim only support with RS family"),
        (r#"{"typ":"JWT","kid":"a","alg":"none"}"#, "'kid' claim only support with RS family"),
    ] {
        let refusal = Unverified::parse(&rules(served()), &raw(header, body)).unwrap_err();
        assert_eq!((refusal.condition().as_str(), &*refusal.text()), ("not-allowed", text), "{header}");
    }
    // Without its key nothing is checked.
    let rules = rules(served());
    let unverified = Unverified::parse(&rules, &rs(json!({}))).unwrap();
    assert_eq!(refused(unverified.verify(&rules, None, unix())).1, "signature verification key is missing");
}

#[test]
fn a_token_that_is_over_or_has_not_begun() {
    let expired = |ago: u64| log_in(&hs(json!({ "exp": NOW - ago, "iat": NOW - ago - 7200 })));
    assert_eq!(
        refused(expired(3600)),
        ("not-allowed", "Not acceptable by exp (3600.0 sec since expired, valid for:7200.0 sec)".to_owned())
    );
    assert_eq!(refused(expired(0)).1, "Not acceptable by exp (0.0 sec since expired, valid for:7200.0 sec)");
    let no_iat = hs(json!({ "exp": NOW - 1, "iat": null }));
    assert_eq!(refused(log_in(&no_iat)).1, "Not acceptable by exp (1.0 sec since expired)");
    assert!(log_in(&hs(json!({ "exp": NOW + 1 }))).is_ok(), "no leeway, and none taken away");
    let not_yet = ("not-allowed", "Not acceptable by nbf".to_owned());
    assert_eq!(refused(log_in(&hs(json!({ "nbf": NOW + 3600 })))), not_yet);
    assert_eq!(refused(log_in(&hs(json!({ "nbf": NOW + 1 })))), not_yet);
    assert!(log_in(&hs(json!({ "nbf": NOW }))).is_ok());
    assert_eq!(refused(log_in_served(&rs(json!({ "exp": NOW - 3600 })))).0, "not-allowed");
    assert_eq!(refused(log_in_served(&rs(json!({ "nbf": NOW + 3600 })))), not_yet);
}

#[test]
fn compat_a_token_without_an_end_does_not_end() {
    assert!(log_in(&hs(json!({ "exp": null }))).is_ok());
}

#[test]
fn ends_that_are_odd_numbers_or_none() {
    let header = r#"{"typ":"JWT","alg":"HS256"}"#;
    let with = |claim: &str, value: &str| {
        raw(header, &format!(r#"{{"iss":"jitsi","aud":"jitsi","sub":"*","{claim}":{value}}}"#))
    };
    for value in ["\"1795390569\"", "true", "false", "null", "[]", "{}", "\"\"", "\"NaN\""] {
        assert_eq!(
            refused(log_in(&with("exp", value))),
            ("not-allowed", "exp must be number".into()),
            "{value}"
        );
        assert_eq!(
            refused(log_in(&with("nbf", value))),
            ("not-allowed", "nbf must be number".into()),
            "{value}"
        );
    }
    for over in ["-1", "0", "-1e300", "-0.0", "1795390567.9", "1795390568", "5e-324", "-9223372036854775809"]
    {
        assert!(matches!(log_in(&with("exp", over)), Err(Refusal::Expired { .. })), "{over}");
    }
    for later in ["1795390568.5", "1e300", "18446744073709551616", "99999999999999999999999"] {
        assert!(log_in(&with("exp", later)).is_ok(), "{later}");
        assert_eq!(log_in(&with("nbf", later)), Err(Refusal::NotYet), "{later}");
    }
    // Numbers that JSON does not have would never be over.
    for none in ["NaN", "Infinity", "1e999", "-1e999", "0x7fffffffffff", "01", "1_000", "nan", "inf"] {
        assert_eq!(log_in(&with("exp", none)), Err(Refusal::InvalidBody), "{none}");
    }
}

#[test]
fn a_server_that_does_not_know_the_time_believes_no_token() {
    let rules = secret_rules();
    let unverified = Unverified::parse(&rules, &hs(json!({}))).unwrap();
    let outcome = unverified.verify(&rules, None, Duration::from_secs(30));
    assert_eq!(refused(outcome).0, "temporary-auth-failure");
}

#[test]
fn issuers() {
    let outcome = |issuers: Option<Vec<&str>>, iss: serde_json::Value| {
        let issuers = issuers.map(|all| all.into_iter().map(str::to_owned).collect());
        log_in_by(&rules(Settings { issuers, ..settings() }), &hs(json!({ "iss": iss })))
    };
    assert!(outcome(None, json!("jitsi")).is_ok());
    assert!(outcome(Some(vec!["a", "b"]), json!("b")).is_ok());
    assert_eq!(refused(outcome(None, json!("other-app"))), ("not-allowed", "invalid 'iss' claim".into()));
    assert_eq!(refused(outcome(Some(vec!["a", "b"]), json!("jitsi"))).1, "invalid 'iss' claim");
    assert_eq!(refused(outcome(None, json!(null))), ("not-allowed", "'iss' claim is missing".into()));
    assert_eq!(refused(outcome(Some(vec!["*"]), json!(null))).1, "'iss' claim is missing");
    assert_eq!(refused(outcome(None, json!(5))).1, "invalid 'iss' claim");
    assert_eq!(refused(outcome(None, json!("JITSI"))).1, "invalid 'iss' claim");
    assert_eq!(refused(outcome(None, json!("*"))).1, "invalid 'iss' claim", "the token has no wildcard");
    for any in [vec!["*"], vec!["a", "*", "b"]] {
        assert!(outcome(Some(any), json!("anyone")).is_ok());
    }
    assert_eq!(refused(log_in_served(&rs(json!({ "iss": "other-app" })))).1, "invalid 'iss' claim");
}

#[test]
fn audiences() {
    let outcome = |audiences: Option<Vec<&str>>, aud: serde_json::Value| {
        let audiences = audiences.map(|all| all.into_iter().map(str::to_owned).collect());
        log_in_by(&rules(Settings { audiences, ..settings() }), &hs(json!({ "aud": aud })))
    };
    assert!(outcome(Some(vec!["jitsi"]), json!("jitsi")).is_ok());
    assert!(outcome(None, json!("anything")).is_ok(), "any, unless some are named");
    assert_eq!(
        refused(outcome(Some(vec!["jitsi"]), json!("wrong"))),
        ("not-allowed", "invalid 'aud' claim".into())
    );
    assert_eq!(refused(outcome(None, json!(null))), ("not-allowed", "'aud' claim is missing".into()));
    assert_eq!(refused(outcome(Some(vec!["jitsi"]), json!(null))).1, "'aud' claim is missing");
}

#[test]
fn compat_a_list_of_audiences_passes_only_where_any_does() {
    let list = hs(json!({ "aud": ["jitsi", "account"] }));
    assert!(log_in(&list).is_ok());
    let named = rules(Settings { audiences: Some(vec!["jitsi".into()]), ..settings() });
    assert_eq!(refused(log_in_by(&named, &list)).1, "invalid 'aud' claim");
}

#[test]
fn rooms_are_required_unless_they_are_not_and_subjects_always() {
    let required = rules(Settings { require_room: true, ..settings() });
    assert_eq!(
        refused(log_in_by(&required, &hs(json!({})))),
        ("not-authorized", "room claim is missing".into())
    );
    assert!(log_in_by(&required, &hs(json!({ "room": "*" }))).is_ok());
    assert!(log_in(&hs(json!({}))).unwrap().room.is_none());
    for rules in [&required, &secret_rules()] {
        for odd in [json!(5), json!(["a"]), json!({}), json!(true)] {
            let token = hs(json!({ "room": odd }));
            assert_eq!(refused(log_in_by(rules, &token)), ("not-authorized", "room claim is missing".into()));
        }
    }
    for sub in [json!(null), json!(5), json!([])] {
        let outcome = log_in_served(&rs(json!({ "sub": sub })));
        assert_eq!(refused(outcome), ("not-authorized", "sub claim is missing".into()));
    }
}

#[test]
fn the_first_thing_that_is_wrong_is_said() {
    // Each line mends the one before.
    let other = Signer::secret(Hash::Sha256, &"other".to_owned().into()).unwrap();
    let all_wrong =
        claims(json!({ "exp": "x", "nbf": "x", "iss": "x", "aud": null, "room": null, "sub": null }));
    let body = serde_json::Value::Object(all_wrong.clone()).to_string();
    let rules = rules(Settings { require_room: true, audiences: Some(vec!["a".into()]), ..settings() });
    let said = |token: &str| refused(log_in_by(&rules, token)).1;
    assert_eq!(said(&raw(r#"{"typ":"x","alg":"x"}"#, "x")), "Invalid body");
    assert_eq!(said(&raw(r#"{"typ":"x","alg":"x"}"#, &body)), "Invalid typ");
    assert_eq!(said(&raw(r#"{"typ":"JWT","alg":"x"}"#, &body)), "Invalid or incorrect alg");
    assert_eq!(said(other.sign(&all_wrong).unwrap().reveal()), "Invalid signature");
    let mut mended = json!({ "exp": "x", "nbf": "x", "iss": "x", "aud": null, "sub": null });
    for (claim, value, text) in [
        ("", json!(null), "exp must be number"),
        ("exp", json!(NOW - 1), "nbf must be number"),
        ("nbf", json!(NOW + 1), "Not acceptable by exp (1.0 sec since expired, valid for:-1.0 sec)"),
        ("exp", json!(NOW + 9), "Not acceptable by nbf"),
        ("nbf", json!(NOW), "invalid 'iss' claim"),
        ("iss", json!("jitsi"), "'aud' claim is missing"),
        ("aud", json!("x"), "invalid 'aud' claim"),
        ("aud", json!("a"), "room claim is missing"),
        ("room", json!("r"), "sub claim is missing"),
    ] {
        if !claim.is_empty() {
            mended[claim] = value;
        }
        assert_eq!(said(&hs(mended.clone())), text);
    }
    mended["sub"] = json!("*");
    assert!(log_in_by(&rules, &hs(mended)).is_ok());
}

#[test]
fn without_a_token() {
    assert_eq!(secret_rules().without_token().unwrap_err().text(), "token required");
    assert_eq!(secret_rules().without_token().unwrap_err().condition().as_str(), "not-allowed");
    assert_eq!(rules(served()).without_token(), Ok(()));
}

#[test]
fn compat_a_public_key_in_place_of_the_secret_is_for_rs() {
    let rules = rules(Settings {
        app_secret: Some(ours().public_pem.clone().into()),
        algorithm: Some("RS256".into()),
        ..settings()
    });
    assert!(rules.servers().is_none());
    assert!(log_in_by(&rules, &rs(json!({}))).is_ok());
    let one_line = ours().public_pem.trim_end().replace('\n', "\\n");
    let rules = crate::support::rules(Settings {
        app_secret: Some(one_line.into()),
        algorithm: Some("RS256".into()),
        ..settings()
    });
    assert!(log_in_by(&rules, &rs(json!({}))).is_ok(), "as an environment file has it");
}
