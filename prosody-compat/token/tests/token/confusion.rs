//! Tokens and keys of attackers: what a server could be talked into (CVE-2021-39215 and its like).

use prosody_token::limits::{PEM_BYTES, RSA_BITS_MAX, RSA_BITS_MIN};
use prosody_token::{Hash, KeyError, KeyId, Refusal, RsaKey, RulesError, Settings, TokenRules, Unverified};
use serde_json::json;

use crate::support::*;

const BODY: &str = r#"{"iss":"jitsi","aud":"jitsi","sub":"*"}"#;

#[test]
fn a_token_without_a_signature_is_none() {
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let header = format!(r#"{{"typ":"JWT","alg":"{alg}","kid":"{KID}"}}"#);
        let unsigned = format!("{}.{}.", b64(&header), b64(BODY));
        assert_eq!(log_in(&unsigned), Err(Refusal::InvalidToken), "{alg}");
        let signed = format!("{unsigned}{}", b64("x"));
        assert_eq!(log_in(&signed), Err(Refusal::WrongAlgorithm), "{alg}");
        assert_eq!(Unverified::parse(&rules(served()), &signed).unwrap_err(), Refusal::NotRsa, "{alg}");
    }
}

/// Whoever knows the public key, which is everybody, signs with it as if it were a secret.
#[test]
fn a_public_key_is_no_secret() {
    let header = format!(r#"{{"typ":"JWT","alg":"HS256","kid":"{KID}"}}"#);
    let signed = format!("{}.{}", b64(header), b64(BODY));
    let pair = ours();
    let trimmed = pair.public_pem.trim_end().to_owned();
    for secret in [
        pair.public_pem.as_bytes(),
        trimmed.as_bytes(),
        &pair.public_der,
        &pair.plain_der,
        &pair.components().0,
        b"",
    ] {
        let token = raw_signed(&signed, secret);
        assert_eq!(Unverified::parse(&rules(served()), &token).unwrap_err(), Refusal::NotRsa);
        let by_key = rules(Settings {
            app_secret: Some(pair.public_pem.clone().into()),
            algorithm: Some("RS256".into()),
            ..settings()
        });
        assert_eq!(log_in_by(&by_key, &token), Err(Refusal::WrongAlgorithm));
        // The same with the header that is wanted.
        let header = format!(r#"{{"typ":"JWT","alg":"RS256","kid":"{KID}"}}"#);
        let token = raw_signed(&format!("{}.{}", b64(header), b64(BODY)), secret);
        assert_eq!(log_in_by(&by_key, &token), Err(Refusal::InvalidSignature));
        assert_eq!(log_in_served(&token), Err(Refusal::InvalidSignature));
    }
    for public in [pair.public_pem.clone(), pem("CERTIFICATE", &pair.public_der), pem("RSA PUBLIC KEY", &[1])]
    {
        let settings = Settings { app_secret: Some(public.into()), ..settings() };
        assert_eq!(TokenRules::new(settings).unwrap_err(), RulesError::PublicSecret);
    }
}

#[test]
fn a_token_of_one_family_is_none_of_the_other() {
    assert_eq!(log_in(&rs(json!({}))), Err(Refusal::WrongAlgorithm));
    assert_eq!(Unverified::parse(&rules(served()), &hs(json!({}))).unwrap_err(), Refusal::NoKeyId);
    let es = raw(r#"{"typ":"JWT","alg":"ES256"}"#, BODY);
    assert_eq!(log_in(&es), Err(Refusal::WrongAlgorithm));
    for alg in ["RS384", "RS1", "RSA", "RS"] {
        let header = format!(r#"{{"typ":"JWT","alg":"{alg}","kid":"{KID}"}}"#);
        let token = raw(&header, BODY);
        assert_eq!(log_in_served(&token), Err(Refusal::WrongAlgorithm), "{alg}");
    }
}

#[test]
fn a_key_for_one_hash_checks_nothing_with_another() {
    let rules = rules(served());
    let unverified = Unverified::parse(&rules, &rs(json!({}))).unwrap();
    let key = RsaKey::from_pem(Hash::Sha512, &ours().public_pem).unwrap();
    assert_eq!(unverified.verify(&rules, Some(&key), unix()), Err(Refusal::KeyMissing));
}

#[test]
fn an_empty_signature_or_one_of_another_length_is_none() {
    let good = hs(json!({}));
    let (signed, _) = good.rsplit_once('.').unwrap();
    for length in [1, 16, 31, 33, 64, 256, 4_000] {
        for byte in [0, 255] {
            let token = format!("{signed}.{}", b64(vec![byte; length]));
            assert_eq!(log_in(&token), Err(Refusal::InvalidSignature), "{length}");
        }
    }
    let good = rs(json!({}));
    let (signed, _) = good.rsplit_once('.').unwrap();
    for length in [1, 32, 255, 256, 257, 512] {
        let token = format!("{signed}.{}", b64(vec![1; length]));
        assert_eq!(log_in_served(&token), Err(Refusal::InvalidSignature), "{length}");
    }
}

#[test]
fn a_name_twice_has_no_meaning() {
    let header = r#"{"typ":"JWT","alg":"HS256"}"#;
    for body in [
        r#"{"iss":"jitsi","aud":"jitsi","sub":"*","room":"a","room":"*"}"#,
        r#"{"iss":"jitsi","aud":"jitsi","sub":"*","exp":1,"exp":99999999999}"#,
        r#"{"iss":"jitsi","aud":"jitsi","sub":"*","context":{"user":{"id":"a","id":"b"}}}"#,
        r#"{"iss":"jitsi","aud":"jitsi","sub":"*","room":"a","r\u006fom":"*"}"#,
    ] {
        assert_eq!(log_in(&raw(header, body)), Err(Refusal::InvalidBody), "{body}");
    }
    for header in
        [r#"{"typ":"JWT","alg":"none","alg":"HS256"}"#, r#"{"typ":"JWT","alg":"HS256","alg":"HS256"}"#]
    {
        assert_eq!(log_in(&raw(header, BODY)), Err(Refusal::InvalidHeader), "{header}");
    }
    let twice = r#"{"typ":"JWT","alg":"RS256","kid":"a","kid":"b"}"#;
    let outcome = Unverified::parse(&rules(served()), &raw(twice, BODY));
    assert_eq!(outcome.unwrap_err(), Refusal::BadTokenFormat);
}

#[test]
fn base64_is_written_in_one_way() {
    let good = hs(json!({ "room": "ab" }));
    let parts: Vec<&str> = good.split('.').collect();
    let spoil = |part: usize, how: &dyn Fn(&str) -> String| {
        let mut parts: Vec<String> = parts.iter().map(|p| (*p).to_owned()).collect();
        parts[part] = how(&parts[part]);
        // Signed as it stands: what matters is how it is written.
        if part < 2 { raw_signed(&parts[..2].join("."), SECRET.as_bytes()) } else { parts.join(".") }
    };
    let refusals = [Refusal::InvalidToken, Refusal::InvalidBody, Refusal::InvalidSignature];
    for (part, refusal) in refusals.into_iter().enumerate() {
        assert!(log_in(&spoil(part, &str::to_owned)).is_ok());
        for (name, how) in [
            (
                "padding",
                &(|p: &str| format!("{p}{}", "=".repeat(4 - p.len() % 4))) as &dyn Fn(&str) -> String,
            ),
            ("space", &|p| format!("{p} ")),
            ("a space first", &|p| format!(" {p}")),
            ("a line break inside", &|p| format!("{}\n{}", &p[..4], &p[4..])),
            ("the other alphabet", &|p| format!("{}+/{}", &p[..4], &p[4..])),
            ("a zero byte", &|p| format!("{p}\0")),
            ("not ASCII", &|p| format!("{p}é")),
            ("a length that there is not", &|p| p[..p.len() / 4 * 4].to_owned() + "A"),
        ] {
            assert_eq!(log_in(&spoil(part, how)), Err(refusal), "{name} in part {part}");
        }
    }
    // Bits behind the last byte: the same bytes written twice.
    let last = |p: &str| {
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let at = alphabet.iter().position(|b| *b == p.as_bytes()[p.len() - 1]).unwrap();
        format!("{}{}", &p[..p.len() - 1], char::from(alphabet[at + 1]))
    };
    assert_eq!(parts[2].len() % 4, 3);
    assert_eq!(log_in(&spoil(2, &last)), Err(Refusal::InvalidSignature));
}

/// Where to look for its key is not the token's business.
#[test]
fn what_a_header_says_about_keys_is_not_heard() {
    let theirs = theirs();
    for extra in [
        json!({ "jwk": theirs.jwk(KID) }),
        json!({ "jku": "https://evil.example/keys" }),
        json!({ "x5u": "https://evil.example/cert", "x5c": ["AAAA"] }),
    ] {
        let mut header = json!({ "typ": "JWT", "alg": "RS256", "kid": KID });
        header.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let token = raw(&header.to_string(), BODY);
        assert_eq!(log_in_served(&token), Err(Refusal::InvalidSignature));
    }
    // What has to be understood, and is not.
    let critical = r#"{"typ":"JWT","alg":"HS256","crit":["b64"],"b64":false}"#;
    assert_eq!(log_in(&raw(critical, BODY)), Err(Refusal::InvalidHeader));
}

#[test]
fn a_kid_leads_nowhere_but_to_a_file_named_by_a_hash() {
    for kid in ["../../../etc/passwd", "https://evil.example/", "a/../b", "%2e%2e%2f", "a?b#c", "x\u{0}y", ""]
    {
        let header = json!({ "typ": "JWT", "alg": "RS256", "kid": kid });
        let unverified = Unverified::parse(&rules(served()), &raw(&header.to_string(), BODY)).unwrap();
        assert_eq!(unverified.key_id(), Some(&KeyId::of(kid)));
        let name = KeyId::of(kid).file_name();
        assert!(name.bytes().all(|b| b.is_ascii_hexdigit() || b".pem".contains(&b)) && name.len() == 68);
    }
}

#[test]
fn keys_have_a_size() {
    let with_modulus = |bits: usize| {
        let mut n = vec![0xff; bits.div_ceil(8)];
        n[0] = 0xff >> (n.len() * 8 - bits);
        let jwk = json!({ "kty": "RSA", "n": b64(n), "e": "AQAB" });
        RsaKey::from_jwk(Hash::Sha256, jwk.as_object().unwrap()).map(|_| ())
    };
    assert_eq!(with_modulus(RSA_BITS_MIN), Ok(()));
    assert_eq!(with_modulus(RSA_BITS_MIN - 1), Err(KeyError::Size));
    assert_eq!(with_modulus(RSA_BITS_MAX), Ok(()));
    assert_eq!(with_modulus(RSA_BITS_MAX + 1), Err(KeyError::Size));
    assert_eq!(with_modulus(1 << 20), Err(KeyError::Size));
    assert_eq!(RsaKey::from_pem(Hash::Sha256, RSA_1024), Err(KeyError::Size));
}

#[test]
fn a_pem_text_at_the_limit_is_read_and_a_longer_one_is_not() {
    let padded = |n: usize| {
        let pem = &ours().public_pem;
        format!("{}{pem}", "#".repeat(n - pem.len()))
    };
    assert!(RsaKey::from_pem(Hash::Sha256, &padded(PEM_BYTES)).is_ok());
    assert_eq!(RsaKey::from_pem(Hash::Sha256, &padded(PEM_BYTES + 1)), Err(KeyError::Pem));
}

#[test]
fn a_certificate_or_either_form_of_a_key_is_the_same_key() {
    let pair = ours();
    let key = pair.key();
    let plain = pem("RSA PUBLIC KEY", &pair.plain_der);
    assert_eq!(RsaKey::from_pem(Hash::Sha256, &plain).unwrap(), key);
    assert_eq!(RsaKey::from_jwk(Hash::Sha256, pair.jwk("a").as_object().unwrap()).unwrap(), key);
    assert_eq!(RsaKey::from_pem(Hash::Sha256, &certificate(pair)).unwrap(), key);
    assert_ne!(theirs().key(), key);
    let chain = certificate(pair) + &certificate(theirs());
    assert_eq!(RsaKey::from_pem(Hash::Sha256, &chain).unwrap(), key, "the first of several");
}

#[test]
fn what_is_no_key_is_none() {
    let read = |text: &str| RsaKey::from_pem(Hash::Sha256, text).unwrap_err();
    let pair = ours();
    for text in [
        "",
        "<html>not found</html>",
        "-----BEGIN PUBLIC KEY-----",
        "-----BEGIN PUBLIC KEY-----\n!!!\n-----END PUBLIC KEY-----",
        &pair.public_pem.replace("END PUBLIC", "END OTHER"),
        &pem("CERTIFICATE", &pair.public_der),
        &pem("PUBLIC KEYS", &pair.public_der),
        pair.private_pem.reveal(),
    ] {
        assert_eq!(read(text), KeyError::Pem, "{text}");
    }
    let ec = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    assert_eq!(read(&ec.public_key_pem()), KeyError::NotRsa);
    let ec = rcgen::CertificateParams::new(vec![]).unwrap().self_signed(&ec).unwrap();
    assert_eq!(read(&ec.pem()), KeyError::NotRsa);
    assert_eq!(read(&pem("PUBLIC KEY", &pair.public_der[..200])), KeyError::NotRsa);
    // An exponent that makes every signature right, or checking endless.
    let (n, _) = pair.components();
    for e in [vec![1], vec![2], vec![0], vec![], vec![255; 256], vec![1, 0, 0, 0, 0, 1]] {
        let jwk = json!({ "kty": "RSA", "n": b64(&n), "e": b64(e) });
        assert!(RsaKey::from_jwk(Hash::Sha256, jwk.as_object().unwrap()).is_err(), "{jwk}");
    }
}

#[test]
fn nothing_personal_shows() {
    let token =
        hs(json!({ "room": "Rathaus", "context": { "user": { "name": "Anna", "id": 4711 }, "tenant": "ort",
        "group": "verein", "room": { "password": "geheim" } } }));
    let unverified = Unverified::parse(&secret_rules(), &token).unwrap();
    let shown = format!("{unverified:?} {:?}", log_in(&token).unwrap());
    for personal in ["Rathaus", "Anna", "4711", "ort", "verein", "geheim", &token[40..60]] {
        assert!(!shown.contains(personal), "{personal}: {shown}");
    }
}

fn certificate(pair: &Pair) -> String {
    let key = rcgen::KeyPair::from_pem(pair.private_pem.reveal()).unwrap();
    rcgen::CertificateParams::new(vec!["issuer.example".into()]).unwrap().self_signed(&key).unwrap().pem()
}

/// Made with `openssl genrsa 1024`.
const RSA_1024: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCnY2EzpcH+ktZd81dfQGfkjy90\n\
iFPe6GVW/u/lv5/76e7l8sX3GWKlteZ9ZvCw8sSpLyW0b333c2qOQWVdeZPDPRsv\n\
3UcSCCMtlgAI2pla8Le7zdNihy1O43uC/Bu4Gj2RMvOs2OxOqP0EgERRKm3jobKh\n\
PEyb3fP9qAm4SO9L7wIDAQAB\n\
-----END PUBLIC KEY-----";
