//! `[[xmpp.short_lived_tokens]]` as an admin writes it in; what makes tokens for services that people of a meeting use, out.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jitsi_xmpp::Sensitive;
use prosody_core::ShortLivedTokens;
use prosody_core::token::{Hash, Signer};
use serde::Deserialize;

use crate::config::ConfigError;
use crate::programs;

/// Upstream's `short_lived_token`, as written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawShortLived {
    /// `iss`
    pub issuer: String,
    /// Services that they are for: `aud`.
    pub audiences: Vec<String>,
    /// A file with an RSA private key as PEM.
    pub key_file: PathBuf,
    /// What services call its public key: `kid`.
    pub key_id: String,
    /// How long they count. 30.
    pub ttl_seconds: Option<u64>,
}

/// What makes them. `named`: whether the module is.
pub(crate) fn tokens(
    raw: Vec<RawShortLived>,
    named: bool,
) -> Result<Option<Arc<ShortLivedTokens>>, ConfigError> {
    let wrong = ConfigError::ShortLived;
    let mut all = raw.into_iter();
    let raw = match (all.next(), all.next(), named) {
        (None, ..) if named => {
            return Err(wrong("has to be there where the module `short_lived_token` is named"));
        }
        (None, ..) => return Ok(None),
        (Some(_), Some(_), _) => return Err(wrong("stands there twice")),
        (Some(_), _, false) => return Err(wrong("needs the module `short_lived_token`")),
        (Some(raw), None, true) => raw,
    };
    let seconds = raw.ttl_seconds.unwrap_or(30);
    if raw.audiences.is_empty() || raw.issuer.is_empty() || !(1..=86_400).contains(&seconds) {
        return Err(wrong("needs an issuer, audiences, and at most a day of ttl_seconds"));
    }
    let key = programs::read(&raw.key_file).ok_or_else(|| wrong("has a key_file that cannot be read"))?;
    let signer = Signer::rsa(Hash::Sha256, &Sensitive::new(key), &raw.key_id)
        .map_err(|_| wrong("has a key_file that is no RSA private key as PEM"))?;
    let lasts = Duration::from_secs(seconds);
    Ok(Some(Arc::new(ShortLivedTokens { issuer: raw.issuer, audiences: raw.audiences, signer, lasts })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_that_could_not_be_made_end_the_start() {
        let raw = |change: fn(&mut RawShortLived)| {
            let mut raw = RawShortLived {
                issuer: "town".into(),
                audiences: vec!["files".into()],
                key_file: "/nonexistent".into(),
                key_id: "k".into(),
                ttl_seconds: None,
            };
            change(&mut raw);
            raw
        };
        let error = |all: Vec<RawShortLived>, named| tokens(all, named).unwrap_err().to_string();
        assert!(error(vec![], true).contains("module"));
        assert!(error(vec![raw(|_| {})], false).contains("module"));
        assert!(error(vec![raw(|_| {}), raw(|_| {})], true).contains("twice"));
        assert!(error(vec![raw(|r| r.audiences.clear())], true).contains("audiences"));
        assert!(error(vec![raw(|r| r.ttl_seconds = Some(86_401))], true).contains("a day"));
        assert!(error(vec![raw(|r| r.ttl_seconds = Some(86_400))], true).contains("cannot be read"));
        assert!(error(vec![raw(|r| r.key_file = "Cargo.toml".into())], true).contains("no RSA"));
        assert!(tokens(vec![], false).unwrap().is_none());
    }
}
