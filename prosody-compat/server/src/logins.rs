//! What an admin writes of directories, of hosts where a secret is everybody's password, and of who says which of those with a token
//! may not come in, in; each checked out.

use std::path::PathBuf;
use std::time::Duration;

use jitsi_xmpp::Sensitive;
use prosody_core::{AccessManager, SharedSecret};
use serde::{Deserialize, Deserializer};

use crate::config::ConfigError;
use crate::ldap::{Directory, DirectorySettings};
use crate::table::domain;

/// A password that is everybody's, as written. Names in brackets: upstream's options.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawSharedSecret {
    /// (`shared_secret`)
    #[serde(default, deserialize_with = "secret")]
    pub secret: Option<Sensitive<String>>,
    /// A file with it.
    pub secret_file: Option<PathBuf>,
    /// The one before, which counts as well (`shared_secret_prev`). None.
    #[serde(default, deserialize_with = "secret")]
    pub previous: Option<Sensitive<String>>,
    /// A file with it.
    pub previous_file: Option<PathBuf>,
}

/// Who says which of those with a token may not come in, as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawAccessManager {
    /// Where it is asked (`muc_prosody_jitsi_access_manager_url`).
    pub url: String,
    /// How the names of tenants begin about whose people it is asked; empty: about everybody. `vpaas-magic-cookie-`.
    #[serde(default = "of_jaas")]
    pub tenants: String,
}

/// Upstream's.
fn of_jaas() -> String {
    "vpaas-magic-cookie-".to_owned()
}

/// A directory of accounts, as written. Names in brackets: docker-jitsi-meet's variables.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawDirectory {
    /// `ldaps://host`, the next one when it is not there (`LDAP_URL`).
    pub urls: Vec<String>,
    /// Below which entry people are (`LDAP_BASE`); needed unless `fastbind` is on.
    pub base: Option<String>,
    /// How one is found, `%u` is the name (`LDAP_FILTER`). `uid=%u`.
    #[serde(default = "uid")]
    pub filter: String,
    /// The filter is the name of one's entry, and nobody looks for it (`LDAP_AUTH_METHOD=fastbind`). No.
    #[serde(default)]
    pub fastbind: bool,
    /// Who of them moderates: the name of a group's entry, or a filter in brackets that one's own entry passes. All who log in.
    pub moderators: Option<String>,
    /// So often, in seconds, it is asked about those who are in, who go when it does not find them any more. Never.
    pub recheck_seconds: Option<u32>,
    /// Who looks (`LDAP_BINDDN`). Nobody.
    pub bind_dn: Option<String>,
    /// Its password (`LDAP_BINDPW`).
    #[serde(default, deserialize_with = "secret")]
    pub bind_password: Option<Sensitive<String>>,
    /// A file with it.
    pub bind_password_file: Option<PathBuf>,
    /// TLS on `ldap://`, before anything is said (`LDAP_START_TLS`). No.
    #[serde(default)]
    pub start_tls: bool,
    /// Certificates have to be right (`LDAP_TLS_CHECK_PEER`). Yes.
    #[serde(default = "yes")]
    pub check_peer: bool,
    /// Roots in place of the machine's, as PEM (`LDAP_TLS_CACERT_FILE`).
    pub roots: Option<PathBuf>,
}

const fn yes() -> bool {
    true
}

fn uid() -> String {
    "uid=%u".to_owned()
}

/// A secret as it stands in a file.
pub(crate) fn secret<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Sensitive<String>>, D::Error> {
    Option::<String>::deserialize(d).map(|text| text.map(Sensitive::new))
}

/// Why a secret is not there.
pub(crate) enum Unread {
    /// Written twice.
    Both,
    /// In a file that cannot be read.
    File,
}

/// A secret as it is written, or from its file.
pub(crate) fn either(
    written: Option<Sensitive<String>>,
    file: Option<PathBuf>,
) -> Result<Option<Sensitive<String>>, Unread> {
    match (written, file) {
        (Some(_), Some(_)) => Err(Unread::Both),
        (None, Some(file)) => {
            let text = service::options::secret::read(&file).map_err(|_| Unread::File)?;
            Ok(Some(Sensitive::new(text)))
        }
        (secret, None) => Ok(secret),
    }
}

/// A host where a secret is everybody's password.
pub(crate) fn shared_secret(host: &str, raw: RawSharedSecret) -> Result<SharedSecret, ConfigError> {
    let wrong = |why| ConfigError::Token(host.to_owned(), why);
    let unread = |unread| match unread {
        Unread::Both => wrong("has a shared secret both as it is and in a file: remove one of the two"),
        Unread::File => wrong("has a shared secret in a file that cannot be read"),
    };
    let secret = either(raw.secret, raw.secret_file).map_err(unread)?;
    let previous = either(raw.previous, raw.previous_file).map_err(unread)?;
    // An empty one would let everybody in.
    let is_one = |s: &Sensitive<String>| !s.reveal().trim().is_empty();
    if previous.as_ref().is_some_and(|s| !is_one(s)) {
        return Err(wrong("has an empty secret before the shared one: leave it out"));
    }
    let secret = secret.filter(is_one).ok_or_else(|| wrong("has no shared secret, or an empty one"))?;
    Ok(SharedSecret { domain: domain(host)?, secret, previous })
}

/// Who is asked about the tokens of a host.
pub(crate) fn access_manager(host: &str, raw: RawAccessManager) -> Result<AccessManager, ConfigError> {
    let uri = raw.url.parse::<http::Uri>().ok().filter(|uri| {
        let authority = uri.authority().is_some_and(|a| !a.as_str().contains('@'));
        authority && matches!(uri.scheme_str(), Some("http" | "https")) && !raw.url.contains('#')
    });
    if uri.is_none() {
        return Err(ConfigError::Token(
            host.to_owned(),
            "has an access manager whose `url` is not `https://host` or `http://host`, with a path if needed",
        ));
    }
    Ok(AccessManager { domain: domain(host)?, url: Sensitive::new(raw.url), tenants: raw.tenants })
}

/// A directory that can be asked.
pub(crate) fn directory(host: &str, raw: RawDirectory) -> Result<Directory, ConfigError> {
    let wrong = |why| ConfigError::Token(host.to_owned(), why);
    let password = either(raw.bind_password, raw.bind_password_file).map_err(|unread| match unread {
        Unread::Both => wrong("has both `bind_password` and `bind_password_file`: remove one of the two"),
        Unread::File => wrong("has a `bind_password_file` that cannot be read"),
    })?;
    let password = password.unwrap_or_default();
    if raw.base.is_none() && !raw.fastbind {
        return Err(wrong("has no `base` in `ldap`, below which people are"));
    }
    Directory::new(DirectorySettings {
        urls: raw.urls,
        base: raw.base.unwrap_or_default(),
        filter: raw.filter,
        fastbind: raw.fastbind,
        moderators: raw.moderators,
        recheck: raw.recheck_seconds.map(|s| Duration::from_secs(s.max(1).into())),
        bind: raw.bind_dn.map(|dn| (dn, password)),
        start_tls: raw.start_tls,
        check_peer: raw.check_peer,
        roots: raw.roots,
    })
    .map_err(|error| ConfigError::Directory(host.to_owned(), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_secret_is_one_or_there_is_no_start() {
        let one = |text: &str| shared_secret("Town.example", toml::from_str(text).unwrap());
        let good = one("secret = \"new\"\nprevious = \"old\"").unwrap();
        assert_eq!((good.domain.as_str(), good.secret.reveal().as_str()), ("town.example", "new"));
        assert_eq!(good.previous.unwrap().reveal(), "old");
        for (text, why) in [
            ("", "empty"),
            ("secret = \"\"", "empty"),
            ("secret = \" \"", "empty"),
            ("secret = \"a\"\nprevious = \"\"", "before the shared one"),
            ("secret = \"a\"\nsecret_file = \"/x\"", "remove one"),
            ("secret_file = \"/nonexistent\"", "cannot be read"),
        ] {
            let error = one(text).unwrap_err().to_string();
            assert!(error.contains("Town.example") && error.contains(why), "{text}: {error}");
        }
        assert!(!format!("{:?}", one("secret = \"geheim\"")).contains("geheim"));
    }

    #[test]
    fn an_access_manager_is_asked_where_the_admin_says_or_there_is_no_start() {
        let at = |url: &str| {
            access_manager("town.example", RawAccessManager { url: url.into(), tenants: of_jaas() })
        };
        for url in ["https://access.example/x?y=z", "http://127.0.0.1:8080"] {
            assert_eq!(at(url).unwrap().url.reveal(), url);
        }
        for url in ["", "access.example", "ftp://access.example", "https://a@access.example", "https://x/#y"]
        {
            assert!(at(url).unwrap_err().to_string().contains("https://host"), "{url}");
        }
    }
}
