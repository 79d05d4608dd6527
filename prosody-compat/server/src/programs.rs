//! `[[xmpp.programs]]` as an admin writes it in; what tokens have to be like with which programs change meetings over HTTP, out.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jitsi_xmpp::Sensitive;
use prosody_core::token::{Settings, TokenRules};
use serde::Deserialize;

use crate::config::ConfigError;
use crate::limits::PROGRAM_KEY_BYTES;

/// Programs whose tokens are signed with one key, as written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawPrograms {
    /// Who makes their tokens: `iss`.
    pub issuer: String,
    /// A file with what they are signed with: a public key as PEM, or with an HS algorithm a secret.
    pub key_file: Option<PathBuf>,
    /// In place of it: where public keys are, `<address>/<SHA-256 of the key's name>.pem` (upstream's
    /// `prosody_password_public_key_repo_url`).
    pub key_server: Option<String>,
    /// The same: where they are in one document, a JWKS or `{name: PEM}`.
    pub keys_url: Option<String>,
    /// RS256.
    pub algorithm: Option<String>,
    /// Accepted `aud`, `*` for any. Any.
    pub audiences: Option<Vec<String>>,
}

/// Rules for each of them. A key that cannot be used ends the start: else nobody, or somebody else, might be let in.
pub(crate) fn rules(raw: Vec<RawPrograms>) -> Result<Vec<Arc<TokenRules>>, ConfigError> {
    raw.into_iter().map(one).collect()
}

fn one(raw: RawPrograms) -> Result<Arc<TokenRules>, ConfigError> {
    let served = raw.key_server.is_some() || raw.keys_url.is_some();
    let key = match raw.key_file {
        Some(file) if !served => Some(read(&file).ok_or(ConfigError::ProgramKey)?),
        None if served => None,
        _ => return Err(ConfigError::ProgramKeys),
    };
    let rules = TokenRules::new(Settings {
        app_id: Some(raw.issuer),
        app_secret: key.map(Sensitive::new),
        key_server: raw.key_server,
        keys_url: raw.keys_url,
        algorithm: Some(raw.algorithm.unwrap_or_else(|| "RS256".to_owned())),
        audiences: raw.audiences,
        // They are for all rooms, and say which in the request.
        require_room: false,
        ..Settings::default()
    });
    rules.map(Arc::new).map_err(|error| ConfigError::Tokens("xmpp.programs".to_owned(), error))
}

/// What is in a file, without the end of its last line. `None`: it cannot be read, or is no text, or too long.
pub(crate) fn read(path: &Path) -> Option<String> {
    // Of a pipe or a device there might be no end.
    std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    let mut text = String::new();
    let most = u64::try_from(PROGRAM_KEY_BYTES).ok()?;
    File::open(path).ok()?.take(most + 1).read_to_string(&mut text).ok()?;
    (text.len() <= PROGRAM_KEY_BYTES).then(|| text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str, algorithm: Option<&str>) -> Result<Vec<Arc<TokenRules>>, ConfigError> {
        let folder = std::env::temp_dir().join(format!("plausch-programs-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let key_file = folder.join(format!("key-{}-{}", text.len(), algorithm.unwrap_or_default()));
        std::fs::write(&key_file, text).unwrap();
        let raw = RawPrograms {
            issuer: "town".into(),
            key_file: Some(key_file.clone()),
            key_server: None,
            keys_url: None,
            algorithm: algorithm.map(str::to_owned),
            audiences: None,
        };
        let read = rules(vec![raw]);
        std::fs::remove_file(key_file).unwrap();
        read
    }

    #[test]
    fn a_key_that_cannot_be_used_ends_the_start() {
        let key = rcgen::KeyPair::generate().unwrap().public_key_pem();
        for (text, algorithm) in [
            ("", None),
            ("", Some("HS256")),
            ("a secret", None),
            ("a secret", Some("none")),
            // Not for RSA, and as a secret known to everybody.
            (key.as_str(), None),
            (key.as_str(), Some("HS256")),
        ] {
            assert!(with(text, algorithm).is_err(), "{text} {algorithm:?}");
        }
        let at_most = "x".repeat(PROGRAM_KEY_BYTES);
        assert_eq!(with(&at_most, Some("HS256")).unwrap().len(), 1);
        assert!(with(&format!("{at_most}x"), Some("HS256")).is_err());
        let missing = RawPrograms {
            issuer: "town".into(),
            key_file: Some("/nonexistent".into()),
            key_server: None,
            keys_url: None,
            algorithm: None,
            audiences: None,
        };
        assert_eq!(rules(vec![missing.clone()]).unwrap_err(), ConfigError::ProgramKey);
        let served = Some("https://keys.example".to_owned());
        let both = RawPrograms { key_server: served.clone(), ..missing.clone() };
        assert_eq!(rules(vec![both]).unwrap_err(), ConfigError::ProgramKeys);
        let none = RawPrograms { key_file: None, ..missing.clone() };
        assert_eq!(rules(vec![none]).unwrap_err(), ConfigError::ProgramKeys);
        let other = RawPrograms { key_file: None, key_server: Some("keys".into()), ..missing.clone() };
        assert!(rules(vec![other]).is_err());
        let server = RawPrograms { key_file: None, key_server: served, ..missing };
        assert!(rules(vec![server]).unwrap()[0].servers().is_some());
        assert!(rules(Vec::new()).unwrap().is_empty());
    }
}
