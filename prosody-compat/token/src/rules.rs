//! What tokens have to be like: what an admin has written in; rules without a gap, or why not, out.

use std::time::Duration;

use aws_lc_rs::hmac;
use jitsi_xmpp::Sensitive;

use crate::algorithm::{Algorithm, Hash};
use crate::key::{KeyError, RsaKey, is_public_pem};
use crate::refusal::Refusal;

/// What an admin has written. Names in brackets: the variable of docker-jitsi-meet, if there is one, and the option of Prosody's modules.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whose tokens these are (`JWT_APP_ID`, `app_id`).
    pub app_id: Option<String>,
    /// What they are signed with (`JWT_APP_SECRET`, `app_secret`): with an RS algorithm a public key as PEM.
    pub app_secret: Option<Sensitive<String>>,
    /// Where public keys are, one file each (`JWT_ASAP_KEYSERVER`, `asap_key_server`).
    pub key_server: Option<String>,
    /// Where they are in one document, a JWKS or `{kid: PEM}` (`cache_keys_url`).
    pub keys_url: Option<String>,
    /// (`JWT_SIGN_TYPE`, `signature_algorithm`.) Unset: RS256 with servers, HS256 with a secret.
    pub algorithm: Option<String>,
    /// Whether people without a token get in (`JWT_ALLOW_EMPTY`, `allow_empty_token`).
    pub allow_empty: bool,
    /// Accepted `iss`, `*` for any (`JWT_ACCEPTED_ISSUERS`, `asap_accepted_issuers`). Unset: the app id.
    pub issuers: Option<Vec<String>>,
    /// Accepted `aud`, `*` for any (`JWT_ACCEPTED_AUDIENCES`, `asap_accepted_audiences`). Unset: any.
    pub audiences: Option<Vec<String>>,
    /// Whether `room` has to be there (`asap_require_room_claim`).
    pub require_room: bool,
    /// Whether `sub` has to be the room's tenant or domain (`JWT_ENABLE_DOMAIN_VERIFICATION`, `enable_domain_verification`).
    pub verify_domain: bool,
    /// Whether owners' settings of rooms are refused to people without a token
    /// (`token_verification_require_token_for_moderation`).
    pub token_for_moderation: bool,
    /// Whether a room claim may be a Lua pattern (`token_regex_enabled`).
    pub patterns: bool,
    /// Whether a token may be for any room or tenant; false is upstream's module `token_no_wildcard`.
    pub wildcards: bool,
}

impl Default for Settings {
    /// As upstream's modules without any option. docker-jitsi-meet sets `verify_domain` to false.
    fn default() -> Self {
        Self {
            app_id: None,
            app_secret: None,
            key_server: None,
            keys_url: None,
            algorithm: None,
            allow_empty: false,
            issuers: None,
            audiences: None,
            require_room: true,
            verify_domain: true,
            token_for_moderation: false,
            patterns: true,
            wildcards: true,
        }
    }
}

/// What of the settings is wrong. Blame: the admin. Consequence: the server does not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// No app id.
    #[error("tokens need an app id")]
    NoAppId,
    /// Neither secret nor server.
    #[error("tokens need a secret, a key server or a document of keys")]
    NoKey,
    /// Not one of the six.
    #[error("not an algorithm for tokens: HS256, HS384, HS512, RS256, RS384 or RS512")]
    Algorithm,
    /// HS with a server. Upstream: no token ever passes.
    #[error("keys of a server are for RS256, RS384 and RS512")]
    SecretFromServer,
    /// HS with something that everybody may know: anybody could make tokens.
    #[error(
        "the secret is a public key, which anybody may know: with it the algorithm has to be RS256, RS384 or RS512"
    )]
    PublicSecret,
    /// RS with something else.
    #[error("the key for RS tokens: {0}")]
    Key(#[from] KeyError),
    /// An address that is none.
    #[error("the key server's address has to be http:// or https://, without user, query and fragment")]
    KeyServer,
    /// The same of the document.
    #[error("the address of the document of keys has to be http:// or https://, without user and fragment")]
    KeysUrl,
    /// A list that accepts nobody.
    #[error("the list of accepted issuers is empty")]
    NoIssuers,
    /// A list that accepts nothing.
    #[error("the list of accepted audiences is empty")]
    NoAudiences,
}

/// What an admin should be told of rules that are possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caution {
    /// People without a token get in.
    AllowEmpty,
    /// The secret is shorter than its hash, which RFC 7518 §3.2 forbids: it may be guessed.
    ShortSecret,
    /// Keys come from a server; the secret is for nothing.
    UnusedSecret,
    /// Keys are asked for without TLS: whoever is on the way can make tokens.
    PlainHttp,
    /// Any issuer's tokens are taken.
    AnyIssuer,
}

/// Where keys are asked for; at least one of the two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Servers {
    /// The hash of the RS algorithm.
    pub(crate) hash: Hash,
    /// Without a slash at the end.
    pub(crate) key_server: Option<String>,
    pub(crate) document: Option<String>,
}

/// Who is believed.
pub(crate) enum Trust {
    Secret { hash: Hash, key: Box<hmac::Key> },
    PublicKey(RsaKey),
    Servers(Servers),
}

/// A list of accepted values.
pub(crate) struct Accepted {
    any: bool,
    exactly: Vec<String>,
}

impl Accepted {
    fn new(list: Vec<String>) -> Option<Self> {
        (!list.is_empty()).then(|| Self { any: list.iter().any(|v| v == "*"), exactly: list })
    }

    /// compat: `*` takes what is no text, too, as the list of audiences that other programs write (test:
    /// compat_a_list_of_audiences_passes_only_where_any_does).
    pub(crate) fn takes(&self, claim: &serde_json::Value) -> bool {
        self.any || claim.as_str().is_some_and(|text| self.exactly.iter().any(|v| v == text))
    }
}

/// Checked rules.
pub struct TokenRules {
    pub(crate) trust: Trust,
    pub(crate) issuers: Accepted,
    pub(crate) audiences: Accepted,
    pub(crate) allow_empty: bool,
    pub(crate) require_room: bool,
    pub(crate) verify_domain: bool,
    pub(crate) token_for_moderation: bool,
    pub(crate) patterns: bool,
    pub(crate) wildcards: bool,
    cautions: Vec<Caution>,
}

impl TokenRules {
    /// Checks what an admin has written.
    pub fn new(settings: Settings) -> Result<Self, RulesError> {
        let app_id = settings.app_id.filter(|id| !id.is_empty()).ok_or(RulesError::NoAppId)?;
        let mut cautions = Vec::new();
        let secret = settings.app_secret.filter(|s| !s.reveal().is_empty());
        let key_server = settings.key_server.filter(|s| !s.is_empty());
        let document = settings.keys_url.filter(|s| !s.is_empty());
        let algorithm = match settings.algorithm.as_deref().filter(|name| !name.is_empty()) {
            Some(name) => Some(Algorithm::named(name).ok_or(RulesError::Algorithm)?),
            None => None,
        };
        let trust = if key_server.is_some() || document.is_some() {
            if secret.is_some() {
                cautions.push(Caution::UnusedSecret);
            }
            let Algorithm::Rs(hash) = algorithm.unwrap_or(Algorithm::Rs(Hash::Sha256)) else {
                return Err(RulesError::SecretFromServer);
            };
            let key_server = key_server.map(|url| url.trim_end_matches('/').to_owned());
            if key_server.as_deref().is_some_and(|url| !is_url(url) || url.contains('?')) {
                return Err(RulesError::KeyServer);
            }
            if document.as_deref().is_some_and(|url| !is_url(url)) {
                return Err(RulesError::KeysUrl);
            }
            if [&key_server, &document].into_iter().flatten().any(|url| !is_private(url)) {
                cautions.push(Caution::PlainHttp);
            }
            Trust::Servers(Servers { hash, key_server, document })
        } else {
            let secret = secret.ok_or(RulesError::NoKey)?;
            match algorithm.unwrap_or(Algorithm::Hs(Hash::Sha256)) {
                // compat: upstream hands the secret to whatever the algorithm needs (test:
                // compat_a_public_key_in_place_of_the_secret_is_for_rs).
                Algorithm::Rs(hash) => Trust::PublicKey(RsaKey::from_pem(hash, secret.reveal())?),
                Algorithm::Hs(_) if is_public_pem(secret.reveal()) => return Err(RulesError::PublicSecret),
                Algorithm::Hs(hash) => {
                    let bytes = secret.reveal().as_bytes();
                    if bytes.len() < hash.bytes() {
                        cautions.push(Caution::ShortSecret);
                    }
                    Trust::Secret { hash, key: hmac::Key::new(hash.hmac(), bytes).into() }
                }
            }
        };
        let issuers =
            Accepted::new(settings.issuers.unwrap_or_else(|| vec![app_id])).ok_or(RulesError::NoIssuers)?;
        let audiences = settings.audiences.unwrap_or_else(|| vec!["*".to_owned()]);
        let audiences = Accepted::new(audiences).ok_or(RulesError::NoAudiences)?;
        if issuers.any {
            cautions.push(Caution::AnyIssuer);
        }
        if settings.allow_empty {
            cautions.push(Caution::AllowEmpty);
        }
        Ok(Self {
            trust,
            issuers,
            audiences,
            allow_empty: settings.allow_empty,
            require_room: settings.require_room,
            verify_domain: settings.verify_domain,
            token_for_moderation: settings.token_for_moderation,
            patterns: settings.patterns,
            wildcards: settings.wildcards,
            cautions,
        })
    }

    /// What the admin should be told.
    pub fn cautions(&self) -> &[Caution] {
        &self.cautions
    }

    /// How tokens have to be signed.
    pub const fn algorithm(&self) -> Algorithm {
        match &self.trust {
            Trust::Secret { hash, .. } => Algorithm::Hs(*hash),
            Trust::PublicKey(key) => Algorithm::Rs(key.hash()),
            Trust::Servers(servers) => Algorithm::Rs(servers.hash),
        }
    }

    /// Where keys are asked for, for [`crate::Keys::new`]. `None`: the rules hold the key themselves.
    pub const fn servers(&self) -> Option<&Servers> {
        match &self.trust {
            Trust::Servers(servers) => Some(servers),
            _ => None,
        }
    }

    /// Whether people without a token get in.
    pub const fn allow_empty(&self) -> bool {
        self.allow_empty
    }

    /// Somebody has no token.
    pub const fn without_token(&self) -> Result<(), Refusal> {
        if self.allow_empty { Ok(()) } else { Err(Refusal::TokenRequired) }
    }
}

/// Secrets do not show.
impl std::fmt::Debug for TokenRules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenRules")
            .field("algorithm", &self.algorithm())
            .field("servers", &self.servers())
            .field("allow_empty", &self.allow_empty)
            .field("require_room", &self.require_room)
            .field("verify_domain", &self.verify_domain)
            .finish_non_exhaustive()
    }
}

/// Whether something can be asked there, and it is clear whom.
fn is_url(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")) else {
        return false;
    };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    !authority.is_empty()
        && !authority.starts_with(':')
        && !authority.contains('@')
        && url.bytes().all(|b| b.is_ascii_graphic() && !b"#\\\"<>^`{|}".contains(&b))
}

/// Whether nobody is on the way: TLS, or the machine itself.
fn is_private(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return true };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host = authority.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let host = host.map_or(authority, |(host, _)| host).trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

/// Not before this is the time known: the server's clock starts in 1970, where every token would be valid.
pub(crate) const CLOCK_IS_SET: Duration = Duration::from_secs(1_600_000_000);

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            app_id: Some("jitsi".into()),
            app_secret: Some("0123456789abcdef0123456789abcdef".to_owned().into()),
            ..Settings::default()
        }
    }

    fn error(settings: Settings) -> RulesError {
        TokenRules::new(settings).unwrap_err()
    }

    #[test]
    fn what_is_missing_stops_the_start() {
        for app_id in [None, Some(String::new())] {
            assert_eq!(error(Settings { app_id, ..settings() }), RulesError::NoAppId);
        }
        for app_secret in [None, Some(String::new().into())] {
            assert_eq!(error(Settings { app_secret, ..settings() }), RulesError::NoKey);
        }
        assert_eq!(error(Settings { issuers: Some(vec![]), ..settings() }), RulesError::NoIssuers);
        assert_eq!(error(Settings { audiences: Some(vec![]), ..settings() }), RulesError::NoAudiences);
    }

    #[test]
    fn the_algorithm_follows_the_kind_of_key_unless_it_is_named() {
        assert_eq!(TokenRules::new(settings()).unwrap().algorithm(), Algorithm::Hs(Hash::Sha256));
        for algorithm in ["HS256", "HS384", "HS512"] {
            let rules =
                TokenRules::new(Settings { algorithm: Some(algorithm.into()), ..settings() }).unwrap();
            assert_eq!(rules.algorithm().as_str(), algorithm);
            assert!(rules.servers().is_none());
        }
        let served = Settings { key_server: Some("https://keys.example/".into()), ..settings() };
        assert_eq!(TokenRules::new(served.clone()).unwrap().algorithm(), Algorithm::Rs(Hash::Sha256));
        for algorithm in ["RS256", "RS384", "RS512"] {
            let rules = Settings { algorithm: Some(algorithm.into()), ..served.clone() };
            assert_eq!(TokenRules::new(rules).unwrap().algorithm().as_str(), algorithm);
        }
        let mixed = Settings { algorithm: Some("HS256".into()), ..served };
        assert_eq!(error(mixed), RulesError::SecretFromServer);
        for algorithm in ["none", "hs256", "ES256", "RS1"] {
            let odd = Settings { algorithm: Some(algorithm.into()), ..settings() };
            assert_eq!(error(odd), RulesError::Algorithm, "{algorithm}");
        }
    }

    #[test]
    fn addresses_that_are_none_stop_the_start() {
        for good in ["https://k.example", "http://127.0.0.1:8080/a/b", "https://[::1]:1/", "http://k"] {
            let both = Settings {
                key_server: Some(good.into()),
                keys_url: Some(format!("{good}?a=b")),
                ..settings()
            };
            assert!(TokenRules::new(both).is_ok(), "{good}");
        }
        for bad in [
            "k.example",
            "ftp://k.example/",
            "https://",
            "https:///a",
            "https://:1/",
            "https://a@k.example/",
            "https://k.example/#a",
            "https://k.example/a b",
            "https://k.example/\u{e9}",
            "https://k.example\\@evil/",
            "https://k.example/\r\nX: y",
        ] {
            let server = Settings { key_server: Some(bad.into()), ..settings() };
            assert_eq!(error(server), RulesError::KeyServer, "{bad}");
            assert_eq!(
                error(Settings { keys_url: Some(bad.into()), ..settings() }),
                RulesError::KeysUrl,
                "{bad}"
            );
        }
        let query = Settings { key_server: Some("https://k.example/?a=".into()), ..settings() };
        assert_eq!(error(query), RulesError::KeyServer);
    }

    #[test]
    fn what_an_admin_should_know_is_said() {
        let cautions = |settings| TokenRules::new(settings).unwrap().cautions().to_vec();
        assert_eq!(cautions(settings()), []);
        let short = Settings { app_secret: Some("x".repeat(31).into()), ..settings() };
        assert_eq!(cautions(short), [Caution::ShortSecret]);
        let any = Settings { issuers: Some(vec!["*".into()]), allow_empty: true, ..settings() };
        assert_eq!(cautions(any), [Caution::AnyIssuer, Caution::AllowEmpty]);
        for (url, plain) in [
            ("https://k.example", false),
            ("http://k.example", true),
            ("http://127.0.0.1:80/a", false),
            ("http://[::1]/", false),
            ("http://localhost", false),
            ("http://localhost.evil.example", true),
            ("http://127.0.0.1.evil.example", true),
        ] {
            let served = Settings { keys_url: Some(url.into()), app_secret: None, ..settings() };
            assert_eq!(cautions(served).contains(&Caution::PlainHttp), plain, "{url}");
            let unused = Settings { keys_url: Some(url.into()), ..settings() };
            assert!(cautions(unused).contains(&Caution::UnusedSecret));
        }
    }

    #[test]
    fn secrets_do_not_show() {
        let rules = TokenRules::new(settings()).unwrap();
        assert!(!format!("{rules:?}{:?}", settings()).contains("0123456789"));
    }
}
