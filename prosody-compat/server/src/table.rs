//! `[[xmpp.users]]`, `[[xmpp.rooms]]` and `[[xmpp.components]]` as an admin writes them in; the server's table of hosts out, and a
//! table as such a file.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jitsi_xmpp::{BareJid, Jid, Sensitive};
use prosody_core::token::{Settings, TokenRules};
use prosody_core::{ComponentHost, Login, Mechanism, Policy, RoomsHost, Table, UsersHost};
use serde::Deserialize;

use crate::config::ConfigError;
use crate::logins::{RawAccessManager, RawDirectory, RawSharedSecret, Unread, either, secret};
use crate::needs::unkept;

/// A host with users as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawUsers {
    /// `meet.jitsi`
    pub domain: String,
    /// `anonymous`, `accounts` or `token`.
    pub login: RawLogin,
    /// With `login = "token"`: what they have to be like.
    pub token: Option<RawToken>,
    /// With `login = "ldap"`: which directory.
    pub ldap: Option<RawDirectory>,
    /// With `login = "shared_secret"`: which.
    pub shared_secret: Option<RawSharedSecret>,
    /// With the module `muc_auth_ban`: who says which of those with a token may not come in.
    pub access_manager: Option<RawAccessManager>,
    /// Whether clients hide its accounts, which are recorders' and transcribers'. No.
    #[serde(default)]
    pub hidden: bool,
    /// Only these mechanisms; all that the login has when absent.
    #[serde(default)]
    pub mechanisms: Vec<String>,
    /// Upstream's names.
    #[serde(default)]
    pub modules: Vec<String>,
    /// Seconds a lost session waits to be resumed. 70, and 15 where the public does not come.
    pub resume_seconds: Option<u64>,
    /// Whether it is reached through the web front. Yes.
    #[serde(default = "yes")]
    pub public: bool,
}

/// How users log in, as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RawLogin {
    /// Everybody.
    Anonymous,
    /// With a password.
    Accounts,
    /// With a JSON Web Token.
    Token,
    /// With a password that a directory knows.
    Ldap,
    /// Under any name, with a password that is everybody's.
    SharedSecret,
}

/// What tokens have to be like, as written. Names in brackets: docker-jitsi-meet's variables.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawToken {
    /// Whose they are (`JWT_APP_ID`).
    pub app_id: String,
    /// What they are signed with (`JWT_APP_SECRET`); with an RS algorithm a public key as PEM.
    #[serde(default, deserialize_with = "secret")]
    pub app_secret: Option<Sensitive<String>>,
    /// A file with it.
    pub app_secret_file: Option<PathBuf>,
    /// Where public keys are, `<address>/<SHA-256 of the key's name>.pem` (`JWT_ASAP_KEYSERVER`), in place of a secret.
    pub key_server: Option<String>,
    /// Where they are in one document, a JWKS or `{name: PEM}`; also beside a key server.
    pub keys_url: Option<String>,
    /// (`JWT_SIGN_TYPE`) HS256, and RS256 with keys of others.
    pub algorithm: Option<String>,
    /// Whether people without a token get in (`JWT_ALLOW_EMPTY`). No.
    #[serde(default)]
    pub allow_empty: bool,
    /// Accepted `iss`, `*` for any (`JWT_ACCEPTED_ISSUERS`). The app id.
    pub issuers: Option<Vec<String>>,
    /// Accepted `aud`, `*` for any (`JWT_ACCEPTED_AUDIENCES`). Any.
    pub audiences: Option<Vec<String>>,
    /// Whether `room` has to be there. Yes.
    #[serde(default = "yes")]
    pub require_room: bool,
    /// Whether `sub` has to be the room's tenant or domain (`JWT_ENABLE_DOMAIN_VERIFICATION`). No.
    #[serde(default)]
    pub verify_domain: bool,
    /// Whether settings of rooms are refused to owners without a token. No.
    #[serde(default)]
    pub token_for_moderation: bool,
}

/// A host with rooms as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRooms {
    /// `muc.meet.jitsi`
    pub domain: String,
    /// Upstream's names.
    #[serde(default)]
    pub modules: Vec<String>,
    /// The domain, also of a host with rooms, where strangers wait for these. None.
    pub lobby: Option<String>,
    /// The same, from where people watch these. None.
    pub audience: Option<String>,
    /// The domain, also of a host with rooms, where the breakout rooms of these are. None.
    pub breakouts: Option<String>,
    /// What holds in its rooms.
    #[serde(default)]
    pub policy: RawPolicy,
    /// What holds in those of a tenant instead, by its name.
    #[serde(default)]
    pub tenants: BTreeMap<String, RawPolicy>,
}

/// What holds in rooms, as written; what is absent takes the default, and of a tenant that of its host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawPolicy {
    /// Whoever comes first opens a room. No: roles alone do.
    pub anybody_creates: Option<bool>,
    /// Everybody who joins becomes an owner. Yes where `muc_allowners` is named.
    pub all_owners: Option<bool>,
    /// Nicks begin as the anonymous name does.
    pub strict_nicks: Option<bool>,
    /// Most people in one meeting.
    pub max_participants: Option<usize>,
    /// The same of single rooms, by name.
    pub max_participants_of_rooms: Option<BTreeMap<String, usize>>,
    /// Minutes after which a meeting ends, where `time_restricted` is named. 10.
    pub max_minutes: Option<u32>,
    /// The same of single rooms, by name.
    pub max_minutes_of_rooms: Option<BTreeMap<String, u32>>,
    /// Seconds beyond these in which people say goodbye. None.
    pub grace_seconds: Option<u64>,
    /// Accounts and domains that are not counted.
    pub uncounted: Option<Vec<String>>,
    /// Accounts and domains that need no room's password.
    pub password_exempt: Option<Vec<String>>,
    /// Accounts and domains that need no token, where `token_verification` is named.
    pub token_exempt: Option<Vec<String>>,
    /// Accounts and domains that go past the lobby.
    pub lobby_exempt: Option<Vec<String>>,
    /// Whether clients ask for a name before they knock. Yes.
    pub lobby_asks_name: Option<bool>,
    /// Domains that may come near, where `muc_filter_access` is named.
    pub admitted: Option<Vec<String>>,
    /// What moderators without a token may do.
    pub default_permissions: Option<Vec<String>>,
    /// Only moderators see names, where `muc_displayname` is named.
    pub hide_names: Option<bool>,
    /// Keys of the metadata that clients do not set.
    pub blocked_metadata: Option<Vec<String>>,
    /// Rooms in which only those with a token become owners although all do elsewhere.
    pub moderated_rooms: Option<Vec<String>>,
    /// The same of tenants.
    pub moderated_tenants: Option<Vec<String>>,
    /// Who has logged in or has a token owns the room, where `muc_wait_for_host` is named. Yes.
    pub hosts_own: Option<bool>,
    /// Owners may take that from each other although all are.
    pub owners_revoke: Option<bool>,
    /// Most messages of a meeting, where `muc_limit_messages` is named.
    pub max_messages: Option<usize>,
    /// Somebody with a token who writes ends that.
    pub tokens_lift_max_messages: Option<bool>,
    /// Joins a second of a room, where `muc_rate_limit` is named; at least one.
    pub joins_per_second: Option<NonZeroU32>,
    /// Who watches and raises a hand comes in. Yes.
    pub viewers_come_in: Option<bool>,
    /// Most people that one listens to in another language.
    pub max_translations: Option<usize>,
    /// Milliseconds in which changes of that are collected. 500.
    pub translations_told_after_ms: Option<u64>,
    /// Seconds that recorders and transcribers stay alone, where `muc_cleanup_backend_services` is named. 20.
    pub services_alone_seconds: Option<u64>,
    /// Most calls to telephones, at once of one person and within a minute of one session, where `filter_iq_rayo` is named.
    pub max_outgoing_calls: Option<NonZeroU32>,
}

/// A module's own domain as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawComponent {
    /// `polls.meet.jitsi`
    pub domain: String,
    /// Upstream's name.
    pub module: String,
    /// The domain of the rooms that it is about; that of the meetings when absent.
    pub rooms: Option<String>,
}

const fn yes() -> bool {
    true
}

/// The table of hosts, checked.
pub(crate) fn table(
    users: Vec<RawUsers>,
    rooms: Vec<RawRooms>,
    components: Vec<RawComponent>,
) -> Result<Table, ConfigError> {
    kept(&users, &rooms)?;
    let meetings = rooms.first().map(|r| r.domain.to_lowercase()).unwrap_or_default();
    let own_policy: Vec<String> = rooms
        .iter()
        .filter(|r| r.policy != RawPolicy::default() || !r.tenants.is_empty())
        .map(|r| r.domain.to_lowercase())
        .collect();
    let table = Table {
        users: users.into_iter().map(users_host).collect::<Result<_, _>>()?,
        rooms: rooms.into_iter().map(rooms_host).collect::<Result<_, _>>()?,
        components: components
            .into_iter()
            .map(|c| -> Result<_, ConfigError> {
                Ok(ComponentHost {
                    domain: domain(&c.domain)?,
                    module: c.module,
                    rooms: c.rooms.as_deref().map_or_else(|| Ok(meetings.clone()), domain)?,
                })
            })
            .collect::<Result<_, _>>()?,
    };
    table.check()?;
    if let Some((rooms, why)) = unopened(&table).next() {
        return Err(ConfigError::Unopened(rooms.to_owned(), why));
    }
    if let Some(host) = own_policy.iter().find(|domain| table.is_breakouts(domain)) {
        return Err(ConfigError::BreakoutPolicy(host.clone()));
    }
    Ok(table)
}

/// Rooms that anybody should open and nobody could, and why.
fn unopened(table: &Table) -> impl Iterator<Item = (&str, &'static str)> {
    let opens =
        |r: &&RoomsHost| std::iter::once(&r.policy).chain(r.tenants.values()).any(|p| p.anybody_creates);
    let beside = |domain: &str| {
        let of = |r: &RoomsHost| [&r.lobby, &r.audience, &r.breakouts].map(|d| d.as_deref() == Some(domain));
        table.rooms.iter().flat_map(of).any(|is| is)
    };
    let meetings = table.rooms.first().map(|r| r.domain.as_str());
    let of_users = || table.users.iter().flat_map(|u| &u.modules);
    table.rooms.iter().filter(opens).filter_map(move |r| {
        let elsewhere = of_users().filter(|_| meetings == Some(&r.domain));
        let verifies = r.modules.iter().chain(elsewhere).any(|m| m == "token_verification");
        match () {
            () if beside(&r.domain) => Some((r.domain.as_str(), "their meeting opens them")),
            () if verifies => {
                Some((r.domain.as_str(), "`token_verification` lets nobody into a room that is not there"))
            }
            () => None,
        }
    })
}

/// Whether every rule has a module that keeps it. What is named on a host with users acts in the meetings.
fn kept(users: &[RawUsers], rooms: &[RawRooms]) -> Result<(), ConfigError> {
    for (i, host) in rooms.iter().enumerate() {
        let of_users = users.iter().filter(|_| i == 0).flat_map(|h| &h.modules);
        let named: Vec<&str> = of_users.chain(&host.modules).map(String::as_str).collect();
        for policy in std::iter::once(&host.policy).chain(host.tenants.values()) {
            if let Some(unkept) = unkept(policy, |module| named.contains(&module)) {
                return Err(ConfigError::Unkept(host.domain.clone(), unkept));
            }
        }
    }
    Ok(())
}

fn users_host(raw: RawUsers) -> Result<UsersHost, ConfigError> {
    let without = |why| ConfigError::Token(raw.domain.clone(), why);
    if raw.ldap.is_some() != (raw.login == RawLogin::Ldap) {
        return Err(without(
            "needs a table `ldap` that says which directory, with `login = \"ldap\"` and only there",
        ));
    }
    if raw.token.is_some() && raw.login != RawLogin::Token {
        return Err(without("has a table `token` and does not log in with tokens"));
    }
    if raw.shared_secret.is_some() != (raw.login == RawLogin::SharedSecret) {
        return Err(without(
            "needs a table `shared_secret` that says which, with `login = \"shared_secret\"` and only there",
        ));
    }
    let asks = raw.modules.iter().any(|m| m == "muc_auth_ban");
    if raw.access_manager.is_some() != asks {
        return Err(without(
            "needs a table `access_manager` that says who is asked, with the module `muc_auth_ban` and only there",
        ));
    }
    if asks && raw.login != RawLogin::Token {
        return Err(without("asks an access manager about tokens, and nobody logs in with one"));
    }
    let named = |m: &String| Mechanism::named(m).ok_or_else(|| ConfigError::Mechanism(m.clone()));
    Ok(UsersHost {
        domain: domain(&raw.domain)?,
        login: match raw.login {
            RawLogin::Anonymous => Login::Anonymous,
            RawLogin::Accounts | RawLogin::SharedSecret => Login::Accounts,
            RawLogin::Ldap => Login::Directory,
            RawLogin::Token => {
                let token =
                    raw.token.ok_or_else(|| without("has no table `token` that says whose tokens count"))?;
                Login::Token(Arc::new(rules(&raw.domain, token)?))
            }
        },
        mechanisms: raw.mechanisms.iter().map(named).collect::<Result<_, _>>()?,
        modules: raw.modules,
        resume: Duration::from_secs(raw.resume_seconds.unwrap_or(if raw.public { 70 } else { 15 })),
        public: raw.public,
    })
}

/// What tokens of a host have to be like, checked.
pub(crate) fn rules(host: &str, raw: RawToken) -> Result<TokenRules, ConfigError> {
    let wrong = |why| ConfigError::Token(host.to_owned(), why);
    let app_secret = either(raw.app_secret, raw.app_secret_file).map_err(|both| match both {
        Unread::Both => wrong("has both `app_secret` and `app_secret_file`: remove one of the two"),
        Unread::File => wrong("has an `app_secret_file` that cannot be read"),
    })?;
    TokenRules::new(Settings {
        app_id: Some(raw.app_id),
        app_secret,
        key_server: raw.key_server,
        keys_url: raw.keys_url,
        algorithm: raw.algorithm,
        allow_empty: raw.allow_empty,
        issuers: raw.issuers,
        audiences: raw.audiences,
        require_room: raw.require_room,
        verify_domain: raw.verify_domain,
        token_for_moderation: raw.token_for_moderation,
        ..Settings::default()
    })
    .map_err(|error| ConfigError::Tokens(host.to_owned(), error))
}

fn rooms_host(raw: RawRooms) -> Result<RoomsHost, ConfigError> {
    let all_owners = raw.modules.iter().any(|m| m == "muc_allowners");
    let policy = raw.policy.over(Policy { all_owners, ..Policy::default() })?;
    let tenants = raw.tenants.into_iter();
    Ok(RoomsHost {
        domain: domain(&raw.domain)?,
        modules: raw.modules,
        lobby: raw.lobby.as_deref().map(domain).transpose()?,
        audience: raw.audience.as_deref().map(domain).transpose()?,
        breakouts: raw.breakouts.as_deref().map(domain).transpose()?,
        tenants: tenants
            .map(|(name, p)| Ok::<_, ConfigError>((name, p.over(policy.clone())?)))
            .collect::<Result<_, _>>()?,
        policy,
    })
}

impl RawPolicy {
    /// What is written, in place of what holds else.
    fn over(self, base: Policy) -> Result<Policy, ConfigError> {
        let addresses = |list: Option<Vec<String>>, base: Vec<Jid>| match list {
            Some(list) => list.iter().map(|a| address(a)).collect(),
            None => Ok(base),
        };
        let admitted =
            self.admitted.map(|list| list.iter().map(|d| domain(d)).collect::<Result<Vec<_>, _>>());
        Ok(Policy {
            anybody_creates: self.anybody_creates.unwrap_or(base.anybody_creates),
            all_owners: self.all_owners.unwrap_or(base.all_owners),
            strict_nicks: self.strict_nicks.unwrap_or(base.strict_nicks),
            max_participants: self.max_participants.or(base.max_participants),
            max_participants_of_rooms: self
                .max_participants_of_rooms
                .unwrap_or(base.max_participants_of_rooms),
            max_minutes: self.max_minutes.or(base.max_minutes),
            max_minutes_of_rooms: self.max_minutes_of_rooms.unwrap_or(base.max_minutes_of_rooms),
            minutes_grace: self.grace_seconds.map_or(base.minutes_grace, Duration::from_secs),
            uncounted: addresses(self.uncounted, base.uncounted)?,
            password_exempt: addresses(self.password_exempt, base.password_exempt)?,
            token_exempt: addresses(self.token_exempt, base.token_exempt)?,
            lobby_exempt: addresses(self.lobby_exempt, base.lobby_exempt)?,
            lobby_asks_name: self.lobby_asks_name.unwrap_or(base.lobby_asks_name),
            admitted: admitted.transpose()?.unwrap_or(base.admitted),
            default_permissions: self.default_permissions.unwrap_or(base.default_permissions),
            hide_names: self.hide_names.unwrap_or(base.hide_names),
            blocked_metadata: self.blocked_metadata.unwrap_or(base.blocked_metadata),
            moderated_rooms: self.moderated_rooms.unwrap_or(base.moderated_rooms),
            moderated_tenants: self.moderated_tenants.unwrap_or(base.moderated_tenants),
            hosts_own: self.hosts_own.unwrap_or(base.hosts_own),
            owners_revoke: self.owners_revoke.unwrap_or(base.owners_revoke),
            max_messages: self.max_messages.or(base.max_messages),
            tokens_lift_max_messages: self.tokens_lift_max_messages.unwrap_or(base.tokens_lift_max_messages),
            joins_per_second: self.joins_per_second.or(base.joins_per_second),
            viewers_come_in: self.viewers_come_in.unwrap_or(base.viewers_come_in),
            max_translations: self.max_translations.or(base.max_translations),
            translations_told_after: self
                .translations_told_after_ms
                .map_or(base.translations_told_after, Duration::from_millis),
            services_alone: self.services_alone_seconds.map_or(base.services_alone, Duration::from_secs),
            max_outgoing_calls: self.max_outgoing_calls.or(base.max_outgoing_calls),
        })
    }
}

pub(crate) fn domain(text: &str) -> Result<String, ConfigError> {
    let jid = BareJid::from_parts("a", text).map_err(|_| ConfigError::Host(text.to_owned()))?;
    Ok(jid.domain().to_owned())
}

fn address(text: &str) -> Result<Jid, ConfigError> {
    text.parse().map_err(|_| ConfigError::Address(text.to_owned()))
}

/// A table as it is written in a file, every line commented out.
pub fn sample(table: &Table) -> String {
    let mut out = String::new();
    let list = |all: &[String]| format!("{all:?}");
    for host in &table.users {
        let login = match host.login {
            Login::Anonymous => "anonymous",
            Login::Accounts => "accounts",
            Login::Token(_) => "token",
            Login::Directory => "ldap",
        };
        let _ = writeln!(out, "# [[xmpp.users]]\n# domain = {:?}\n# login = {login:?}", host.domain);
        let _ = writeln!(out, "# modules = {}", list(&host.modules));
        let _ = writeln!(out, "# resume_seconds = {}\n# public = {}\n", host.resume.as_secs(), host.public);
    }
    for host in &table.rooms {
        let _ = writeln!(out, "# [[xmpp.rooms]]\n# domain = {:?}", host.domain);
        let _ = writeln!(out, "# modules = {}", list(&host.modules));
        if let Some(lobby) = &host.lobby {
            let _ = writeln!(out, "# lobby = {lobby:?}");
        }
        if let Some(audience) = &host.audience {
            let _ = writeln!(out, "# audience = {audience:?}");
        }
        if let Some(breakouts) = &host.breakouts {
            let _ = writeln!(out, "# breakouts = {breakouts:?}");
        }
        if table.is_breakouts(&host.domain) {
            // What holds in a meeting holds in its breakout rooms.
            out.push('\n');
            continue;
        }
        let p = &host.policy;
        let addresses = |all: &[Jid]| all.iter().map(|a| a.as_str().to_owned()).collect::<Vec<_>>();
        let _ = writeln!(out, "# [xmpp.rooms.policy]");
        let _ = writeln!(out, "# anybody_creates = {}", p.anybody_creates);
        let _ = writeln!(out, "# all_owners = {}\n# strict_nicks = {}", p.all_owners, p.strict_nicks);
        let _ = writeln!(out, "# uncounted = {}", list(&addresses(&p.uncounted)));
        let _ = writeln!(out, "# password_exempt = {}", list(&addresses(&p.password_exempt)));
        let _ = writeln!(out, "# token_exempt = {}", list(&addresses(&p.token_exempt)));
        let _ = writeln!(out, "# lobby_exempt = {}", list(&addresses(&p.lobby_exempt)));
        let _ = writeln!(out, "# lobby_asks_name = {}", p.lobby_asks_name);
        let _ = writeln!(out, "# admitted = {}", list(&p.admitted));
        let _ = writeln!(out, "# default_permissions = {}", list(&p.default_permissions));
        let _ = writeln!(out, "# hide_names = {}", p.hide_names);
        let _ = writeln!(out, "# blocked_metadata = {}", list(&p.blocked_metadata));
        let _ = writeln!(out, "# moderated_rooms = {}", list(&p.moderated_rooms));
        let _ = writeln!(out, "# moderated_tenants = {}", list(&p.moderated_tenants));
        let _ = writeln!(out, "# hosts_own = {}", p.hosts_own);
        let _ = writeln!(out, "# owners_revoke = {}", p.owners_revoke);
        let _ = writeln!(out, "# tokens_lift_max_messages = {}\n", p.tokens_lift_max_messages);
    }
    for c in &table.components {
        let _ = writeln!(out, "# [[xmpp.components]]\n# domain = {:?}\n# module = {:?}", c.domain, c.module);
        let _ = writeln!(out, "# rooms = {:?}\n", c.rooms);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        users: Vec<RawUsers>,
        rooms: Vec<RawRooms>,
        components: Vec<RawComponent>,
    }

    fn read(text: &str) -> Result<Table, ConfigError> {
        let file: toml::Table = text.parse().unwrap();
        let File { users, rooms, components } = file["xmpp"].clone().try_into().unwrap();
        table(users, rooms, components)
    }

    #[test]
    fn the_sample_means_the_layout_that_it_shows() {
        let layout = prosody_core::Config::for_domain("meet.jitsi").unwrap().hosts;
        let text = sample(&layout).replace("# ", "");
        let again = read(&text).unwrap();
        assert_eq!(format!("{:?}", again.users), format!("{:?}", layout.users));
        assert_eq!(format!("{:?}", again.rooms), format!("{:?}", layout.rooms));
        assert_eq!(format!("{:?}", again.components), format!("{:?}", layout.components));
    }

    const SMALL: &str = r#"
[[xmpp.users]]
domain = "Town.example"
login = "anonymous"

[[xmpp.rooms]]
domain = "muc.town.example"
modules = ["muc_allowners", "muc_max_occupants", "muc_rate_limit", "muc_limit_messages"]
policy = { max_participants = 10, joins_per_second = 3, moderated_rooms = ["ratssaal"] }
tenants.council = { max_participants = 5, all_owners = false, max_messages = 9, joins_per_second = 1 }

[[xmpp.components]]
domain = "polls.town.example"
module = "polls"
"#;

    #[test]
    fn what_is_absent_takes_the_default_and_of_a_tenant_that_of_its_host() {
        let table = read(SMALL).unwrap();
        assert_eq!(table.users[0].domain, "town.example");
        assert_eq!(table.users[0].resume, Duration::from_secs(70));
        assert_eq!(table.components[0].rooms, "muc.town.example");
        let rooms = &table.rooms[0];
        assert!(rooms.policy.all_owners, "the module is named");
        let council = &rooms.tenants["council"];
        assert!(!council.all_owners && council.max_participants == Some(5));
        assert_eq!(council.default_permissions, rooms.policy.default_permissions);
        assert_eq!((rooms.policy.max_messages, council.max_messages), (None, Some(9)));
        assert_eq!(
            (rooms.policy.joins_per_second, council.joins_per_second),
            (NonZeroU32::new(3), NonZeroU32::new(1))
        );
        assert_eq!(council.moderated_rooms, ["ratssaal"]);
    }

    #[test]
    fn tokens_have_rules_or_there_is_no_start() {
        let login =
            |rest: &str| read(&SMALL.replace("login = \"anonymous\"", &format!("login = \"token\"\n{rest}")));
        let secret = "app_secret = \"a-secret-of-the-tests-with-32-bytes\"";
        let rules = |more: &str| format!("token = {{ app_id = \"town\", {more} }}");
        let table = login(&rules(secret)).unwrap();
        assert!(matches!(table.users[0].login, Login::Token(_)));
        let error = |rest: &str| login(rest).unwrap_err().to_string();
        assert!(error("").contains("no table `token`"));
        assert!(error(&rules("algorithm = \"HS256\"")).contains("secret"));
        assert!(error(&rules(&format!("{secret}, algorithm = \"none\""))).contains("not an algorithm"));
        for (key, url) in
            [("key_server", "https://keys.example"), ("keys_url", "https://a.example/certs?x=1")]
        {
            assert!(login(&rules(&format!("{key} = {url:?}"))).is_ok(), "{key}");
            assert!(error(&rules(&format!("{key} = \"keys.example\""))).contains("https://"), "{key}");
        }
        assert!(error(&rules(&format!("{secret}, app_secret_file = \"/x\""))).contains("remove one"));
        assert!(error(&rules("app_secret_file = \"/nonexistent\"")).contains("cannot be read"));
        let unused = read(
            &SMALL.replace("login = \"anonymous\"", &format!("login = \"anonymous\"\n{}", rules(secret))),
        );
        assert!(unused.unwrap_err().to_string().contains("does not log in with tokens"));
        let open = SMALL
            .replace("modules = [\"muc_allowners\"", "modules = [\"muc_allowners\", \"token_verification\"");
        assert!(read(&open).unwrap_err().to_string().contains("verify tokens"));
        assert!(
            !format!(
                "{:?}",
                RawToken {
                    app_id: "town".into(),
                    app_secret: Some(Sensitive::new("geheim".into())),
                    app_secret_file: None,
                    key_server: None,
                    keys_url: None,
                    algorithm: None,
                    allow_empty: false,
                    issuers: None,
                    audiences: None,
                    require_room: true,
                    verify_domain: false,
                    token_for_moderation: false
                }
            )
            .contains("geheim")
        );
    }

    #[test]
    fn a_host_with_a_shared_secret_says_which_or_there_is_no_start() {
        let login = |table: &str| {
            let rest = format!("login = \"shared_secret\"\n{table}");
            read(&SMALL.replace("login = \"anonymous\"", &rest)).map(|t| t.users[0].login.clone())
        };
        assert!(matches!(login("shared_secret = { secret = \"geheim\" }").unwrap(), Login::Accounts));
        assert!(login("").unwrap_err().to_string().contains("shared_secret"));
        let unused = SMALL.replace("\"anonymous\"", "\"accounts\"\nshared_secret = { secret = \"x\" }");
        assert!(read(&unused).unwrap_err().to_string().contains("only there"));
    }

    #[test]
    fn a_host_that_asks_an_access_manager_says_whom_or_there_is_no_start() {
        let asks = |modules: &str, rest: &str| {
            let secret =
                "token = { app_id = \"town\", app_secret = \"a-secret-of-the-tests-with-32-bytes\" }";
            let login = format!("login = \"token\"\nmodules = [{modules}]\n{secret}\n{rest}");
            read(&SMALL.replace("login = \"anonymous\"", &login)).map(drop).map_err(|e| e.to_string())
        };
        let manager = "access_manager = { url = \"https://access.example/x\" }";
        assert_eq!(asks("\"muc_auth_ban\"", manager), Ok(()));
        assert!(
            asks("\"muc_auth_ban\"", "").unwrap_err().contains("access_manager"),
            "nobody would be asked"
        );
        assert!(asks("", manager).unwrap_err().contains("muc_auth_ban"), "nobody would ask");
        let nobody = SMALL
            .replace("\"anonymous\"", &format!("\"anonymous\"\nmodules = [\"muc_auth_ban\"]\n{manager}"));
        assert!(read(&nobody).unwrap_err().to_string().contains("nobody logs in"));
    }

    #[test]
    fn rooms_that_anybody_should_open_and_nobody_could_stop_the_start() {
        let with = |rooms: &str| {
            let text = format!("{SMALL}\n[[xmpp.rooms]]\n{rooms}");
            read(&text).map(|t| t.rooms).map_err(|e| e.to_string())
        };
        let open = "policy = { anybody_creates = true }";
        let rooms = with(&format!("domain = \"open.town.example\"\n{open}")).unwrap();
        assert!(rooms[1].policy.anybody_creates && !rooms[0].policy.anybody_creates);
        let town = SMALL.replace(
            "[[xmpp.rooms]]",
            "[[xmpp.users]]\ndomain = \"t.example\"\nlogin = \"token\"\ntoken = { app_id = \"t\", app_secret = \"a-secret-of-the-tests-with-32-bytes\" }\n[[xmpp.rooms]]",
        );
        let verified = format!(
            "{town}\n[[xmpp.rooms]]\ndomain = \"o.town.example\"\nmodules = [\"token_verification\"]\n{open}"
        );
        let error = read(&verified).unwrap_err().to_string();
        assert!(error.contains("o.town.example") && error.contains("token_verification"), "{error}");
        let lobby = SMALL.replace("policy =", "lobby = \"lobby.town.example\"\npolicy =");
        let lobby = format!("{lobby}\n[[xmpp.rooms]]\ndomain = \"lobby.town.example\"\n{open}");
        assert!(read(&lobby).unwrap_err().to_string().contains("their meeting opens them"));
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_name() {
        let error = |from: &str, to: &str| read(&SMALL.replace(from, to)).unwrap_err().to_string();
        assert!(error("\"muc_allowners\"", "\"muc_allowners\", \"muc_alowners\"").contains("`muc_alowners`"));
        let unkept = error("\"muc_max_occupants\", ", "");
        assert!(unkept.contains("max_participants") && unkept.contains("muc_max_occupants"), "{unkept}");
        assert!(error("module = \"polls\"", "module = \"poles\"").contains("poles"));
        assert!(
            error("login = \"anonymous\"", "login = \"accounts\"\nmechanisms = [\"EXTERNAL\"]")
                .contains("EXTERNAL")
        );
        assert!(error("domain = \"muc.town.example\"", "domain = \"a b\"").contains("a b"));
        let breakouts = r#"policy = {}
breakouts = "parts.town.example"
[[xmpp.rooms]]
domain = "parts.town.example"
modules = ["muc_max_occupants", "muc_rate_limit", "muc_limit_messages", "muc_allowners"]
policy ="#;
        let own = error("policy =", breakouts);
        assert!(own.contains("parts.town.example") && own.contains("policy"), "{own}");
        let nowhere = error("policy =", "lobby = \"lobby.town.example\"\npolicy =");
        assert!(nowhere.contains("lobby.town.example"), "{nowhere}");
    }
}
