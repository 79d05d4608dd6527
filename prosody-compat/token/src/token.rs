//! A token as it comes: text in; the key it needs, and with that and the time who it speaks of, or why not, out.
//!
//! The order of the checks is upstream's, as each has a text that clients show. Only a token that can never pass is refused before its
//! key is asked for.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jitsi_xmpp::Sensitive;
use serde_json::{Map, Value};

use crate::algorithm::Algorithm;
use crate::claims::Claims;
use crate::key::{KeyId, RsaKey};
use crate::limits::{JSON_DEPTH, TOKEN_BYTES};
use crate::refusal::Refusal;
use crate::rules::{CLOCK_IS_SET, TokenRules, Trust};

/// A token that nobody has checked yet: nothing of what it says is known. While it waits for its key, its text is all that is kept.
#[derive(Debug, Clone)]
pub struct Unverified {
    token: Sensitive<Box<str>>,
    /// Where the two dots are.
    dots: (usize, usize),
    is_jwt: bool,
    algorithm: Option<Algorithm>,
    key_id: Option<KeyId>,
}

impl Unverified {
    /// Reads a token's header.
    ///
    /// Three parts, none empty; base64url without padding (RFC 7515 §2); one JSON object in which nothing stands twice.
    pub fn parse(rules: &TokenRules, token: &str) -> Result<Self, Refusal> {
        if token.len() > TOKEN_BYTES {
            return Err(Refusal::InvalidToken);
        }
        let mut dots = token.match_indices('.').map(|(at, _)| at);
        let (Some(first), Some(second), None) = (dots.next(), dots.next(), dots.next()) else {
            return Err(Refusal::InvalidToken);
        };
        if first == 0 || second == first + 1 || second + 1 == token.len() {
            return Err(Refusal::InvalidToken);
        }
        let header = decoded(token.get(..first)).ok_or(Refusal::InvalidToken)?;
        let served = rules.servers().is_some();
        let odd = if served { Refusal::BadTokenFormat } else { Refusal::InvalidHeader };
        let header = object(&header).ok_or(odd)?;
        // What has to be understood (RFC 7515 §4.1.11) is not.
        if header.contains_key("crit") {
            return Err(odd);
        }
        let text = |name: &str| header.get(name).and_then(Value::as_str);
        let key_id = if served {
            let kid = text("kid").ok_or(Refusal::NoKeyId)?;
            let algorithm = text("alg").ok_or(Refusal::NoAlgorithm)?;
            if !algorithm.starts_with("RS") {
                return Err(Refusal::NotRsa);
            }
            Some(KeyId::of(kid))
        } else {
            None
        };
        Ok(Self {
            is_jwt: text("typ") == Some("JWT"),
            algorithm: text("alg").and_then(Algorithm::named),
            key_id,
            token: Sensitive::new(token.into()),
            dots: (first, second),
        })
    }

    /// The key that it needs from [`crate::Keys`]; `None` when the rules hold it.
    pub const fn key_id(&self) -> Option<&KeyId> {
        self.key_id.as_ref()
    }

    /// Checks everything. `key` is the one that [`Unverified::key_id`] names; `unix` is the time since 1970.
    ///
    /// There is no leeway, and a token without `exp` does not end, as upstream.
    pub fn verify(
        &self,
        rules: &TokenRules,
        key: Option<&RsaKey>,
        unix: Duration,
    ) -> Result<Claims, Refusal> {
        if unix < CLOCK_IS_SET {
            return Err(Refusal::NoClock);
        }
        let key = match (&rules.trust, key) {
            (Trust::Secret { key, .. }, _) => Key::Secret(key),
            (Trust::PublicKey(key), _) => Key::Rsa(key),
            (Trust::Servers(servers), Some(key)) if key.hash() == servers.hash => Key::Rsa(key),
            (Trust::Servers(_), _) => return Err(Refusal::KeyMissing),
        };
        let token = self.token.reveal();
        let (first, second) = self.dots;
        let body = decoded(token.get(first + 1..second)).ok_or(Refusal::InvalidBody)?;
        let body = object(&body).ok_or(Refusal::InvalidBody)?;
        let signature = decoded(token.get(second + 1..)).ok_or(Refusal::InvalidSignature)?;
        if !self.is_jwt {
            return Err(Refusal::InvalidTyp);
        }
        if self.algorithm != Some(rules.algorithm()) {
            return Err(Refusal::WrongAlgorithm);
        }
        let signed = token.get(..second).unwrap_or_default().as_bytes();
        let right = match key {
            // Takes the same time wherever the two differ.
            Key::Secret(key) => hmac::verify(key, signed, &signature).is_ok(),
            Key::Rsa(key) => key.signed(signed, &signature),
        };
        if !right {
            return Err(Refusal::InvalidSignature);
        }
        in_time(&body, unix)?;
        let claim = |name: &str| body.get(name).filter(|v| !v.is_null());
        let issuer = claim("iss").ok_or(Refusal::NoIssuer)?;
        if !rules.issuers.takes(issuer) {
            return Err(Refusal::WrongIssuer);
        }
        let audience = claim("aud").ok_or(Refusal::NoAudience)?;
        if !rules.audiences.takes(audience) {
            return Err(Refusal::WrongAudience);
        }
        Claims::read(rules, body)
    }
}

enum Key<'a> {
    Secret(&'a hmac::Key),
    Rsa(&'a RsaKey),
}

fn in_time(body: &Map<String, Value>, unix: Duration) -> Result<(), Refusal> {
    // Upstream's clock has whole seconds.
    let now = unix.as_secs() as f64;
    let number = |name: &str, odd: Refusal| {
        body.get(name).map(|v| v.as_f64().filter(|n| n.is_finite()).ok_or(odd)).transpose()
    };
    let ends = number("exp", Refusal::ExpiryNotNumber)?;
    let begins = number("nbf", Refusal::NotBeforeNotNumber)?;
    if let Some(ends) = ends.filter(|ends| now >= *ends) {
        let valid_for = body.get("iat").and_then(Value::as_f64).map(|made| ends - made);
        return Err(Refusal::Expired { ago: now - ends, valid_for });
    }
    if begins.is_some_and(|begins| now < begins) {
        return Err(Refusal::NotYet);
    }
    Ok(())
}

fn decoded(part: Option<&str>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part?).ok()
}

/// A JSON object with one meaning, not nested too deep.
fn object(bytes: &[u8]) -> Option<Map<String, Value>> {
    if depth(bytes) > JSON_DEPTH {
        return None;
    }
    match jitsi_xmpp::json::parse_slice(bytes)? {
        Value::Object(members) => Some(members),
        _ => None,
    }
}

/// How deep lists and objects are nested in what may be JSON.
fn depth(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0_usize, 0, false, false);
    for b in bytes {
        match b {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_text,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => depth += 1,
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_counted_outside_of_texts() {
        for (text, levels) in [
            ("", 0),
            ("5", 0),
            ("{}", 1),
            (r#"{"a":[1,{"b":[]}]}"#, 4),
            (r#"{"a":"[[[{{{"}"#, 1),
            (r#"{"a":"\"[[","b":[]}"#, 2),
            (r#"{"a\\":[]}"#, 2),
            ("]]]]{", 1),
        ] {
            assert_eq!(depth(text.as_bytes()), levels, "{text}");
        }
        let deep = |n: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(n - 1), "]".repeat(n - 1));
        assert!(object(deep(JSON_DEPTH).as_bytes()).is_some());
        assert!(object(deep(JSON_DEPTH + 1).as_bytes()).is_none());
    }
}
