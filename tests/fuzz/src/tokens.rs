//! Tokens and patterns: any bytes as those in; a panic when a token passes that a second, slower reading refuses, or the other way
//! round, or a match is not what stands there, out.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jitsi_xmpp::room::{RoomAddress, Tenant};
use prosody_token::limits::{FEATURES, JSON_DEPTH, TOKEN_BYTES, USER_MEMBERS};
use prosody_token::{Claims, PatternError, Place, Settings, TokenRules, Unverified, first_match};
use serde_json::Value;

const SECRET: &str = "a-secret-of-the-tests-with-32-bytes";
const NOW: u64 = 1_795_390_568;

/// A token passes exactly when a second reading takes it; what it says is what stands in it, and opens no other room.
///
/// The bytes are a token as it stands, and, when they are text, the claims of one that is signed rightly.
pub fn z23_tokens(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    judged(text);
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(text));
    judged(&format!("{signed}.{}", signature(&signed)));
    // The same bytes as header.
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(text), URL_SAFE_NO_PAD.encode(r#"{"iss":"jitsi"}"#));
    judged(&format!("{signed}.{}", signature(&signed)));
}

fn judged(token: &str) {
    let app_secret = Some(SECRET.to_owned().into());
    let settings = Settings { app_id: Some("jitsi".into()), app_secret, ..Settings::default() };
    let Ok(rules) = TokenRules::new(settings) else { panic!("the rules are right") };
    let outcome =
        Unverified::parse(&rules, token).and_then(|t| t.verify(&rules, None, Duration::from_secs(NOW)));
    assert_eq!(outcome.is_ok(), passes(token).is_some(), "{outcome:?} {token}");
    let Ok(claims) = outcome else {
        return;
    };
    opens(&rules, &claims);
}

/// What upstream and the documents that it follows ask for, read once more.
fn passes(token: &str) -> Option<()> {
    let fail_unless = |ok: bool| ok.then_some(());
    fail_unless(token.len() <= TOKEN_BYTES)?;
    let parts: Vec<&str> = token.split('.').collect();
    let [header, body, written] = parts.as_slice() else { return None };
    fail_unless(*written == signature(&format!("{header}.{body}")))?;
    let read = |part: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
        // In one spelling.
        fail_unless(URL_SAFE_NO_PAD.encode(&bytes) == part)?;
        let value = jitsi_xmpp::json::parse_slice(&bytes)?;
        fail_unless(value.is_object() && depth(&value) <= JSON_DEPTH)?;
        Some(value)
    };
    let (header, body) = (read(header)?, read(body)?);
    fail_unless(header["typ"] == "JWT" && header["alg"] == "HS256" && header.get("crit").is_none())?;
    let now = NOW as f64;
    if let Some(ends) = body.get("exp") {
        fail_unless(ends.as_f64()? > now)?;
    }
    if let Some(begins) = body.get("nbf") {
        fail_unless(begins.as_f64()? <= now)?;
    }
    fail_unless(body["iss"] == "jitsi" && !body["aud"].is_null())?;
    fail_unless(body["room"].is_string() && body["sub"].is_string())?;
    match &body["context"] {
        Value::Null => Some(()),
        Value::Array(list) => fail_unless(list.is_empty()),
        Value::Object(context) => {
            let members = |name: &str| context.get(name).and_then(Value::as_object).map_or(0, |m| m.len());
            fail_unless(members("user") <= USER_MEMBERS && members("features") <= FEATURES)?;
            let tenant = context.get("tenant").unwrap_or(&Value::Null);
            fail_unless(tenant.is_null() || tenant.is_string() || tenant.is_number())
        }
        _ => None,
    }
}

/// A claim that is a name opens the room of that name and no other.
fn opens(rules: &TokenRules, claims: &Claims) {
    let town = Tenant::new("ort").ok();
    for (tenant, name) in [(None, "rathaus"), (town.clone(), "rathaus"), (town, "schule-1")] {
        let Ok(address) = RoomAddress::new(tenant, name) else { panic!("{name}") };
        let place = Place {
            address: Some(&address),
            domain: "meet.jitsi",
            exists: true,
            authenticated_only: false,
            prefix: Some(""),
        };
        let open = rules.check_room(Some(claims), &place).is_ok();
        let claim = claims.room.as_ref().map(|r| r.reveal().to_lowercase()).unwrap_or_default();
        let subject = claims.subject.reveal().to_lowercase();
        if !claims.room_context.pattern {
            let here = address.tenant().map_or("meet.jitsi", Tenant::as_str);
            assert_eq!(open, (claim == "*" || claim == name) && (subject == "*" || subject == here));
        }
    }
    if let Some(user) = &claims.user {
        for (name, _) in user.members() {
            assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b)), "{name}");
        }
    }
}

fn signature(signed: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes()))
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// What matches stands in the text; what has no sign of the language is looked for as it is; a capture around everything changes nothing;
/// and every match ends.
///
/// The text is what stands before the first line break, the pattern what stands behind it.
pub fn z36_lua_patterns(data: &[u8]) {
    let at = data.iter().position(|b| *b == b'\n').unwrap_or(data.len());
    let (text, pattern) = (&data[..at], data.get(at + 1..).unwrap_or_default());
    let found = first_match(text, pattern);
    assert_eq!(found, first_match(text, pattern));
    let within = |part: &[u8]| part.is_empty() || text.windows(part.len()).any(|w| w == part);
    if let Ok(Some(part)) = &found {
        let place = std::str::from_utf8(part).ok().and_then(|n| n.parse::<usize>().ok());
        assert!(within(part) || place.is_some_and(|n| (1..=text.len() + 1).contains(&n)), "{part:?}");
    }
    if !pattern.iter().any(|b| b"^$*+?.([%-)".contains(b)) {
        let plain = within(pattern).then(|| pattern.to_vec());
        assert!(found == Ok(plain) || found == Err(PatternError::TooComplex), "{found:?}");
    }
    // `()` would be a place.
    if !pattern.is_empty() && !pattern.starts_with(b"^") && !pattern.iter().any(|b| b"()%".contains(b)) {
        let captured = first_match(text, &[b"(", pattern, b")"].concat());
        // `$` means something at the end alone.
        if found.is_ok() && captured.is_ok() && !pattern.ends_with(b"$") {
            assert_eq!(found, captured);
        }
    }
    let mut literal = b"^".to_vec();
    for b in text {
        if b.is_ascii_punctuation() {
            literal.push(b'%');
        }
        literal.push(*b);
    }
    literal.push(b'$');
    let itself = first_match(text, &literal);
    assert!(itself == Ok(Some(text.to_vec())) || itself == Err(PatternError::TooComplex), "{itself:?}");
}
