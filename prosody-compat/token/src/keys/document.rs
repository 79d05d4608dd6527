//! A document of keys: its bytes and what HTTP says of its age in; its keys, and when to read it again, out.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Answer, Fetch, FetchId, GRACE};
use crate::algorithm::Hash;
use crate::key::{KeyId, RsaKey};
use crate::limits::{
    DOCUMENT_BYTES, DOCUMENT_EARLY, DOCUMENT_KEYS, DOCUMENT_LONGEST, DOCUMENT_MARGIN, DOCUMENT_REFRESH,
    DOCUMENT_RETRY, DOCUMENT_TIMEOUT, VANISHED_FOR,
};

#[derive(Debug)]
pub(super) struct Document {
    hash: Hash,
    url: String,
    state: State,
    /// When it was asked for last.
    asked_at: Option<Instant>,
    keys: HashMap<KeyId, Kept>,
}

#[derive(Debug)]
enum State {
    /// Not before this moment.
    Due(Instant),
    /// Asked; given up at this moment.
    Asking(FetchId, Instant),
}

#[derive(Debug)]
struct Kept {
    key: RsaKey,
    /// It is no longer in the document, and taken until this moment.
    until: Option<Instant>,
}

impl Document {
    pub(super) fn new(hash: Hash, url: String, now: Instant) -> Self {
        Self { hash, url, state: State::Due(now), asked_at: None, keys: HashMap::new() }
    }

    pub(super) fn key(&self, now: Instant, id: &KeyId) -> Option<RsaKey> {
        let kept = self.keys.get(id)?;
        kept.until.is_none_or(|until| now < until).then(|| kept.key.clone())
    }

    /// Somebody names a key that is not in it. Whether it is being read again.
    pub(super) fn may_have_changed(&mut self, now: Instant) -> bool {
        match self.state {
            State::Asking(..) => true,
            State::Due(at) => {
                let early = self.asked_at.map_or(now, |asked| asked + DOCUMENT_EARLY);
                let due = at.min(early) <= now;
                if due {
                    self.state = State::Due(now);
                }
                due
            }
        }
    }

    pub(super) fn asked(&self, id: FetchId) -> bool {
        matches!(self.state, State::Asking(asked, _) if asked == id)
    }

    pub(super) fn answered(&mut self, now: Instant, answer: Answer) {
        let read = match answer {
            Answer::Response { status: 200, cache_control, body } => {
                read(self.hash, &body).map(|keys| (keys, lasts(cache_control.as_deref())))
            }
            _ => None,
        };
        let Some((keys, lasts)) = read else {
            self.state = State::Due(now + DOCUMENT_RETRY);
            return;
        };
        self.state = State::Due(now + lasts);
        for kept in self.keys.values_mut() {
            kept.until.get_or_insert(now + VANISHED_FOR);
        }
        self.keys.extend(keys.into_iter().map(|(id, key)| (id, Kept { key, until: None })));
        self.keys.retain(|_, kept| kept.until.is_none_or(|until| now < until));
        while self.keys.len() > DOCUMENT_KEYS {
            // Of what has vanished, the first.
            let gone = self.keys.iter().filter_map(|(id, kept)| Some((kept.until?, *id))).min();
            let Some((_, id)) = gone else { break };
            self.keys.remove(&id);
        }
    }

    /// Whether an answer was waited for long enough.
    pub(super) fn gave_up(&mut self, now: Instant) -> bool {
        let late = matches!(self.state, State::Asking(_, until) if until <= now);
        if late {
            self.answered(now, Answer::Unreachable);
        }
        late
    }

    pub(super) fn due(&mut self, now: Instant, next: &mut impl FnMut() -> FetchId) -> Option<Fetch> {
        if !matches!(self.state, State::Due(at) if at <= now) {
            return None;
        }
        let id = next();
        self.state = State::Asking(id, now + DOCUMENT_TIMEOUT + GRACE);
        self.asked_at = Some(now);
        let url = self.url.clone();
        Some(Fetch { id, url, timeout: DOCUMENT_TIMEOUT, most_bytes: DOCUMENT_BYTES })
    }

    pub(super) const fn deadline(&self) -> Instant {
        match self.state {
            State::Due(at) | State::Asking(_, at) => at,
        }
    }
}

/// The keys in a document: a JWKS (RFC 7517 §5), or PEM by name, or both. Without any it is none: nobody withdraws all keys, but
/// proxies answer with all kinds of JSON.
fn read(hash: Hash, body: &[u8]) -> Option<Vec<(KeyId, RsaKey)>> {
    if body.len() > DOCUMENT_BYTES {
        return None;
    }
    let Value::Object(members) = jitsi_xmpp::json::parse_slice(body)? else { return None };
    let mut keys = Vec::new();
    for (name, value) in &members {
        match value {
            Value::Array(list) if name == "keys" => {
                keys.extend(list.iter().filter_map(|jwk| {
                    let jwk = jwk.as_object()?;
                    Some((KeyId::of(jwk.get("kid")?.as_str()?), RsaKey::from_jwk(hash, jwk).ok()?))
                }));
            }
            Value::String(pem) => {
                keys.extend(RsaKey::from_pem(hash, pem).ok().map(|key| (KeyId::of(name), key)));
            }
            _ => {}
        }
    }
    keys.truncate(DOCUMENT_KEYS);
    (!keys.is_empty()).then_some(keys)
}

/// How long it holds (RFC 9111 §5.2.2.1).
fn lasts(cache_control: Option<&str>) -> Duration {
    let seconds = cache_control.and_then(|said| {
        said.split(',').find_map(|directive| {
            let (name, value) = directive.split_once('=')?;
            let is_age = name.trim().eq_ignore_ascii_case("max-age");
            is_age.then(|| value.trim().trim_matches('"').parse::<u32>().unwrap_or(u32::MAX))
        })
    });
    let Some(seconds) = seconds else { return DOCUMENT_REFRESH };
    let said = Duration::from_secs(seconds.into());
    let early = if said > DOCUMENT_MARGIN { said - DOCUMENT_MARGIN } else { said };
    early.clamp(DOCUMENT_RETRY, DOCUMENT_LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read_again_a_minute_before_it_ends() {
        let secs = |n| Duration::from_secs(n);
        for (said, after) in [
            (None, DOCUMENT_REFRESH),
            (Some("no-cache"), DOCUMENT_REFRESH),
            (Some("public, max-age=3600, must-revalidate"), secs(3_600) - DOCUMENT_MARGIN),
            (Some("Max-Age=\"120\""), secs(60)),
            (Some("max-age=61"), DOCUMENT_RETRY),
            (Some("max-age=60"), secs(60)),
            (Some("max-age=0"), DOCUMENT_RETRY),
            (Some("s-maxage=7"), DOCUMENT_REFRESH),
            (Some("max-age=86460"), DOCUMENT_LONGEST),
            (Some("max-age=86461"), DOCUMENT_LONGEST),
            (Some("max-age=99999999999999999999"), DOCUMENT_LONGEST),
        ] {
            assert_eq!(lasts(said), after, "{said:?}");
        }
    }
}
