//! What an admin can set: options as written in, a checked configuration out.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use jitsi_xmpp::{BareJid, Entropy, Sensitive};
use serde::Deserialize;
use service::SystemEntropy;
use service::certificate::CertificateFiles;
use service::proxies::Proxies;

use crate::accounts::AccountStore;
use crate::ldap::{Directory, DirectoryError};
use crate::logins::{RawDirectory, access_manager, directory, shared_secret};
use crate::needs::Unkept;
use crate::programs::{self, RawPrograms};
use crate::short_lived::{self, RawShortLived};
use crate::table::{RawComponent, RawRooms, RawToken, RawUsers, rules, table};

/// Options as written; what is absent takes the default of docker-jitsi-meet.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Raw {
    /// `XMPP_DOMAIN`. `meet.jitsi`.
    pub domain: Option<String>,
    /// `XMPP_AUTH_DOMAIN`. `auth.<domain>`.
    pub auth_domain: Option<String>,
    /// `XMPP_MUC_DOMAIN`. `muc.<domain>`.
    pub muc_domain: Option<String>,
    /// `XMPP_INTERNAL_MUC_DOMAIN`. `internal-muc.<domain>`.
    pub internal_muc_domain: Option<String>,
    /// Hosts with users, in place of the layout that the options above describe. None.
    pub users: Vec<RawUsers>,
    /// Hosts with rooms, with `users`. None.
    pub rooms: Vec<RawRooms>,
    /// Modules' own domains, with `users`. None.
    pub components: Vec<RawComponent>,
    /// `ENABLE_LOBBY`. On.
    pub lobby: Option<bool>,
    /// `ENABLE_BREAKOUT_ROOMS`. On.
    pub breakout_rooms: Option<bool>,
    /// `ENABLE_AV_MODERATION`. On.
    pub av_moderation: Option<bool>,
    /// `ENABLE_END_CONFERENCE`. On.
    pub end_conference: Option<bool>,
    /// `DISABLE_POLLS`, the other way round. On.
    pub polls: Option<bool>,
    /// `PROSODY_MUC_RESOURCE_VALIDATE_ANONYMOUS_STRICT`. Off.
    pub strict_nicks: Option<bool>,
    /// `ENABLE_AUTH`: people log in on the main host with an account. Off.
    pub login: Option<bool>,
    /// `AUTH_TYPE=jwt`, in place of that: people come in on the main host with a token that is like this; none.
    pub token: Option<RawToken>,
    /// `AUTH_TYPE=ldap`, in place of that: with an account of this directory; none.
    pub directory: Option<RawDirectory>,
    /// `XMPP_GUEST_DOMAIN`, with `ENABLE_GUESTS`: where they come in without one; none.
    pub guest_domain: Option<String>,
    /// With `ENABLE_VISITORS`, `v0.` and `VISITORS_XMPP_DOMAIN`: where people log in who only watch; none.
    pub viewers_domain: Option<String>,
    /// `VISITORS_XMPP_AUTH_DOMAIN`: where a focus of Jitsi's own logs in a second time to lead people to watch; nobody does elsewhere.
    pub viewers_focus_domain: Option<String>,
    /// `VISITORS_MAX_VISITORS_PER_NODE`: so many watch one meeting; absent: no bound but the server's.
    pub max_viewers: Option<usize>,
    /// Who watches and raises a hand comes in. On.
    pub viewers_come_in: Option<bool>,
    /// `XMPP_HIDDEN_DOMAIN`, for recorders; none.
    pub hidden_domain: Option<String>,
    /// Where XMPP over TCP is listened for; absent: nowhere.
    pub listen: Option<SocketAddr>,
    /// PEM file with the certificate chain for STARTTLS; absent: self-signed, made at start.
    pub certificate: Option<PathBuf>,
    /// PEM file with its key.
    pub key: Option<PathBuf>,
    /// `PROSODY_C2S_REQUIRE_ENCRYPTION`. On.
    pub require_encryption: Option<bool>,
    /// `JICOFO_AUTH_PASSWORD`. Absent: random, so that only the focus of this process can be `focus`.
    pub focus_password: Option<String>,
    /// `JVB_AUTH_USER`. `jvb`.
    pub jvb_user: Option<String>,
    /// `JVB_AUTH_PASSWORD`. Absent: random, so that only the bridge of this process can be `jvb`.
    pub jvb_password: Option<String>,
    /// Further accounts.
    pub accounts: Vec<RawAccount>,
    /// Those of them that own every room, as focus and bridges do: Jibri's and Jigasi's, and `PROSODY_ADMINS`.
    pub admins: Vec<String>,
    /// `JIBRI_RECORDER_USER`, on the hidden domain. `recorder`.
    pub recorder: Option<String>,
    /// `JIGASI_TRANSCRIBER_USER`, the same. `transcriber`.
    pub transcriber: Option<String>,
    /// Folder for what outlives a restart, where more accounts are kept; absent: there are none.
    pub state: Option<PathBuf>,
    /// `MAX_PARTICIPANTS` of one meeting; absent: no bound but the server's.
    pub max_participants: Option<usize>,
    /// Connections of all kinds at once. 20,000.
    pub max_connections: Option<usize>,
    /// Seconds a lost session waits to be resumed. 70.
    pub resume_seconds: Option<u64>,
    /// Whether the addresses of components are pushed at bind. On.
    pub push_components: Option<bool>,
    /// Modules of upstream's that have to be named, as in `XMPP_MODULES`; those of [`MODULES`]. None.
    pub modules: Vec<String>,
    /// The same of the meetings, as in `XMPP_MUC_MODULES`; those of [`MUC_MODULES`]. None.
    pub muc_modules: Vec<String>,
    /// The same of their lobbies, breakout rooms and of the rooms of bridges, as in `XMPP_LOBBY_MUC_MODULES` and the like; those of
    /// [`BESIDE_MODULES`]. None.
    pub beside_modules: BesideModules,
    /// `WAIT_FOR_HOST_DISABLE_AUTO_OWNERS`, the other way round. On.
    pub hosts_own: Option<bool>,
    /// `PROSODY_RESERVATION_REST_BASE_URL`, with `PROSODY_RESERVATION_ENABLED`: the booking system, see [`booking_system`]. None.
    pub reservations: Option<String>,
    /// Programs that change meetings over HTTP. None.
    pub programs: Vec<RawPrograms>,
    /// Tokens for services that people of a meeting use; at most one. None.
    pub short_lived_tokens: Vec<RawShortLived>,
    /// `PROSODY_RATE_LIMIT_ALLOW_RANGES`: addresses behind which many people are; each counts as so many of [`crate::limits`]. None.
    #[serde(skip)]
    pub crowds: Proxies,
    /// Shard, region and release of this server, told to clients by these names; none.
    pub shard: Option<String>,
    /// `PROSODY_REGION_NAME`.
    pub region: Option<String>,
    /// `RELEASE_NUMBER`.
    pub release: Option<String>,
}

/// Modules of rooms beside the meetings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BesideModules {
    /// Where strangers wait.
    pub lobby: Vec<String>,
    /// Where some of a meeting talk among themselves.
    pub breakout: Vec<String>,
    /// Where bridges and recorders are found.
    pub internal: Vec<String>,
}

/// An account as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawAccount {
    /// `recorder@hidden.meet.jitsi`
    pub jid: String,
    /// In clear text.
    pub password: String,
}

/// A configuration that can be served.
#[derive(Debug, Clone)]
pub struct Config {
    /// The server's own.
    pub core: prosody_core::Config,
    /// Where XMPP over TCP is listened for.
    pub listen: Option<SocketAddr>,
    /// For STARTTLS; `None`: self-signed.
    pub certificate: Option<CertificateFiles>,
    /// Accounts beside those of the configuration.
    pub accounts: Option<AccountStore>,
    /// Hosts whose accounts are a directory's.
    pub directories: Vec<(String, Arc<Directory>)>,
    /// Addresses that count as many.
    pub crowds: Proxies,
}

/// Why options cannot be served. Blame: the admin. Consequence: no start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not a host name.
    #[error("`{0}` is not a valid host name")]
    Domain(&'static str),
    /// Not `name@host`.
    #[error("account {0} is not a `name@host`")]
    Account(usize),
    /// Not `name@host`.
    #[error("administrator {0} is not a `name@host`")]
    Admin(usize),
    /// Not a host name, in a table of hosts.
    #[error("`{0}` is not a valid host name")]
    Host(String),
    /// Neither an account nor a domain.
    #[error("`{0}` is neither an account, `name@host`, nor a domain")]
    Address(String),
    /// No mechanism of SASL that is known.
    #[error("there is no mechanism `{0}`; there are ANONYMOUS, SCRAM-SHA-256, SCRAM-SHA-1 and PLAIN")]
    Mechanism(String),
    /// Tokens that could not be verified, or by anybody.
    #[error("`{0}`: {1}")]
    Tokens(String, prosody_core::token::RulesError),
    /// Options of tokens that are missing, or not there yet.
    #[error("`{0}` {1}")]
    Token(String, &'static str),
    /// A rule that nobody would keep.
    #[error("the rooms of `{0}` have `{option}` in a policy, which {modules} keeps: name it in their modules", option = .1.option, modules = .1.modules.join(" or "))]
    Unkept(String, Unkept),
    /// Rooms that anybody should open, and nobody could.
    #[error("the rooms of `{0}` have `anybody_creates` in a policy, but {1}")]
    Unopened(String, &'static str),
    /// A directory that could not be asked.
    #[error("`{0}`: {1}")]
    Directory(String, DirectoryError),
    /// The table of hosts cannot be served.
    #[error(transparent)]
    Table(#[from] prosody_core::TableError),
    /// It would not be heeded.
    #[error("`{0}` are breakout rooms, in which holds what holds in their meeting: write no policy for them")]
    BreakoutPolicy(String),
    /// Not in [`MODULES`].
    #[error("there is no module `{0}`; there are {known}", known = MODULES.join(", "))]
    Module(String),
    /// Not in [`MUC_MODULES`].
    #[error("there is no module `{0}` of meetings; there are {known}", known = MUC_MODULES.join(", "))]
    MucModule(String),
    /// Not in [`BESIDE_MODULES`].
    #[error("there is no module `{0}` of rooms beside the meetings; there are {known}", known = BESIDE_MODULES.join(", "))]
    BesideModule(String),
    /// No booking system can be asked there.
    #[error("the booking system {0}")]
    Reservations(&'static str),
    /// No key, or two.
    #[error("xmpp.programs need either a key_file, or a key_server or keys_url")]
    ProgramKeys,
    /// Tokens for services that cannot be made.
    #[error("xmpp.short_lived_tokens {0}")]
    ShortLived(&'static str),
    /// The key of a program cannot be read.
    #[error("the key_file of xmpp.programs must be a file of text that can be read")]
    ProgramKey,
    /// One of the two files is missing.
    #[error("certificate and key are needed together")]
    Certificate,
}

impl Config {
    /// Checks options and fills in the defaults.
    pub fn from_raw(raw: Raw) -> Result<Self, ConfigError> {
        let mut directories = Vec::new();
        let domain = raw.domain.clone().unwrap_or_else(|| DOMAIN.to_owned());
        let layouts = raw.directory.iter().map(|ldap| (&domain, ldap));
        let tables = raw.users.iter().filter_map(|host| Some((&host.domain, host.ldap.as_ref()?)));
        for (host, ldap) in layouts.chain(tables) {
            directories.push((host.to_lowercase(), Arc::new(directory(host, ldap.clone())?)));
        }
        let users = raw.users.iter();
        let secrets = users.clone().filter_map(|h| Some((&h.domain, h.shared_secret.clone()?)));
        let shared_secrets = secrets.map(|(host, raw)| shared_secret(host, raw)).collect::<Result<_, _>>()?;
        let managers = users.clone().filter_map(|h| Some((&h.domain, h.access_manager.clone()?)));
        let access_managers =
            managers.map(|(host, raw)| access_manager(host, raw)).collect::<Result<_, _>>()?;
        let hidden: Vec<String> = users.filter(|h| h.hidden).map(|h| h.domain.to_lowercase()).collect();
        let mut core = if raw.users.is_empty() && raw.rooms.is_empty() && raw.components.is_empty() {
            layout(&raw)?
        } else {
            let hosts = table(raw.users, raw.rooms, raw.components)?;
            let main = hosts.users.first().map_or("", |h| &h.domain).to_owned();
            let mut core =
                prosody_core::Config::for_domain(&main).map_err(|_| ConfigError::Domain("domain"))?;
            core.hosts = hosts;
            let beginning = |name: &Option<String>, usual: &str| {
                hidden.iter().map(|host| format!("{}@{host}", name.as_deref().unwrap_or(usual))).collect()
            };
            core.recorders = beginning(&raw.recorder, "recorder");
            core.transcribers = beginning(&raw.transcriber, "transcriber");
            core
        };
        (core.shared_secrets, core.access_managers) = (shared_secrets, access_managers);
        let auth = accounts_of_roles(&core).to_owned();
        let account =
            |node: &str| BareJid::from_parts(node, &auth).map_err(|_| ConfigError::Domain("auth_domain"));
        let (focus, jvb) = (account("focus")?, account(raw.jvb_user.as_deref().unwrap_or("jvb"))?);
        core.admins = vec![focus.clone(), jvb.clone()];
        core.unlimited = core.admins.clone();
        for (i, jid) in raw.admins.iter().enumerate() {
            let (node, host) = jid.split_once('@').ok_or(ConfigError::Admin(i + 1))?;
            core.admins.push(BareJid::from_parts(node, host).map_err(|_| ConfigError::Admin(i + 1))?);
        }
        core.exempt(&focus);
        core.focus = focus.clone();
        let password = raw.focus_password.unwrap_or_else(random_password);
        if let Some(host) = focus_of_viewers(&core, raw.viewers_focus_domain.as_deref()) {
            let beside =
                BareJid::from_parts("focus", &host).map_err(|_| ConfigError::Domain("auth_domain"))?;
            core.admins.push(beside.clone());
            core.unlimited.push(beside.clone());
            core.exempt(&beside);
            core = core.with_account(beside, password.clone());
        }
        let mut core = core
            .with_account(focus, password)
            .with_account(jvb, raw.jvb_password.unwrap_or_else(random_password));
        for (i, RawAccount { jid, password }) in raw.accounts.into_iter().enumerate() {
            let jid = jid.split_once('@').and_then(|(node, host)| BareJid::from_parts(node, host).ok());
            core = core.with_account(jid.ok_or(ConfigError::Account(i + 1))?, password);
        }
        if let Some(on) = raw.require_encryption {
            core.require_encryption = on;
        }
        if let Some(max) = raw.max_connections {
            core.limits.max_connections = max;
        }
        if let Some(url) = raw.reservations {
            core.reservations = Some(booking_system(&url).map_err(ConfigError::Reservations)?);
        }
        core.programs = programs::rules(raw.programs)?;
        let named = core.hosts.users.iter().any(|h| h.modules.iter().any(|m| m == "short_lived_token"));
        core.short_lived_tokens = short_lived::tokens(raw.short_lived_tokens, named)?;
        (core.shard, core.region, core.release) = (raw.shard, raw.region, raw.release);
        let certificate = match (raw.certificate, raw.key) {
            (Some(chain), Some(key)) => Some(CertificateFiles { chain, key }),
            (None, None) => None,
            _ => return Err(ConfigError::Certificate),
        };
        let accounts = raw.state.as_deref().map(AccountStore::new);
        Ok(Self { core, listen: raw.listen, certificate, accounts, directories, crowds: raw.crowds })
    }

    /// The password of an account, for the roles wired in the same configuration.
    pub fn password(&self, jid: &BareJid) -> Option<&Sensitive<String>> {
        self.core.accounts.iter().find(|a| a.jid == *jid).map(|a| &a.password)
    }
}

/// docker-jitsi-meet's layout as the options change it.
fn layout(raw: &Raw) -> Result<prosody_core::Config, ConfigError> {
    let domain = raw.domain.as_deref().unwrap_or(DOMAIN);
    host("domain", domain)?;
    let mut core = prosody_core::Config::for_domain(domain).map_err(|_| ConfigError::Domain("domain"))?;
    let domain = core.domain().to_owned();
    let hosts = &mut core.hosts;
    for (option, value, label) in [
        ("muc_domain", &raw.muc_domain, "muc"),
        ("internal_muc_domain", &raw.internal_muc_domain, "internal-muc"),
        ("auth_domain", &raw.auth_domain, "auth"),
    ] {
        if let Some(value) = value {
            host(option, value)?;
            hosts.rename(&format!("{label}.{domain}"), &value.to_lowercase());
        }
    }
    if raw.login == Some(true) {
        hosts.ask_for_accounts();
    }
    if raw.directory.is_some() {
        hosts.ask_the_directory();
    }
    if let Some(token) = &raw.token {
        hosts.ask_for_tokens(Arc::new(rules(&domain, token.clone())?));
    }
    if let Some(guests) = &raw.guest_domain {
        host("guest_domain", guests)?;
        hosts.add_guests(&guests.to_lowercase());
    }
    if let Some(hidden) = &raw.hidden_domain {
        host("hidden_domain", hidden)?;
        let hidden = hidden.to_lowercase();
        core.recorders = vec![format!("{}@{hidden}", raw.recorder.as_deref().unwrap_or("recorder"))];
        core.transcribers = vec![format!("{}@{hidden}", raw.transcriber.as_deref().unwrap_or("transcriber"))];
        hosts.add_hidden(&hidden);
        // As upstream's containers: recorders and transcribers do not knock.
        if let (Some(meetings), Ok(hidden)) = (hosts.meetings_mut(), hidden.parse()) {
            meetings.policy.lobby_exempt.push(hidden);
        }
    }
    if raw.lobby == Some(false) {
        hosts.remove_lobby();
    }
    if raw.breakout_rooms == Some(false) {
        hosts.remove_breakouts();
    }
    for (on, module) in [
        (raw.av_moderation, "av_moderation_component"),
        (raw.end_conference, "end_conference"),
        (raw.polls, "polls_component"),
    ] {
        if on == Some(false) {
            hosts.remove(module);
        }
    }
    if let Some(unknown) = raw.modules.iter().find(|m| !MODULES.contains(&m.as_str())) {
        return Err(ConfigError::Module(unknown.clone()));
    }
    if let Some(unknown) = raw.muc_modules.iter().find(|m| !MUC_MODULES.contains(&m.as_str())) {
        return Err(ConfigError::MucModule(unknown.clone()));
    }
    if let Some(meetings) = hosts.meetings_mut() {
        meetings.modules.extend(raw.muc_modules.iter().cloned());
    }
    if let Some(main) = hosts.users.first_mut() {
        main.modules.extend(raw.modules.iter().cloned());
        main.modules.retain(|m| m != "jiconop" || raw.push_components != Some(false));
        if let Some(seconds) = raw.resume_seconds {
            main.resume = Duration::from_secs(seconds);
        }
    }
    name_beside(&mut core.hosts, &raw.beside_modules)?;
    if raw.modules.iter().any(|m| m == "jibri_session") {
        // It looks at what the focus asks recorders, too, which are where the bridges are.
        let inner = core.hosts.rooms.iter_mut().filter(|r| !r.policy.admitted.is_empty());
        inner.for_each(|rooms| rooms.modules.push("jibri_session".to_owned()));
    }
    let lobby = core.hosts.rooms.first().and_then(|meetings| meetings.lobby.clone());
    for rooms in core.hosts.rooms.iter_mut().filter(|r| Some(&r.domain) == lobby.as_ref()) {
        rooms.policy.max_participants = raw.max_participants;
    }
    if let Some(policy) = core.policy_mut() {
        policy.max_participants = raw.max_participants;
        policy.strict_nicks = raw.strict_nicks.unwrap_or_default();
        policy.viewers_come_in = raw.viewers_come_in.unwrap_or(true);
        policy.hosts_own = raw.hosts_own.unwrap_or(true);
        policy.all_owners = raw.muc_modules.iter().any(|m| m == "muc_allowners");
    }
    // Last: what holds in the meetings holds there.
    if let Some(viewers) = &raw.viewers_domain {
        host("viewers_domain", viewers)?;
        let prefix = core.muc_domain().split('.').next().unwrap_or_default().to_owned();
        core.hosts.add_audience(&viewers.to_lowercase(), &prefix, raw.max_viewers);
        if let Some(focus) = &raw.viewers_focus_domain {
            host("viewers_focus_domain", focus)?;
            core.hosts.add_focus_of_viewers(&focus.to_lowercase());
        }
    }
    core.hosts.check()?;
    Ok(core)
}

/// Names modules on the hosts of rooms beside the meetings. A host that is switched off has none.
fn name_beside(hosts: &mut prosody_core::Table, named: &BesideModules) -> Result<(), ConfigError> {
    let meetings = hosts.rooms.first();
    let lobby = meetings.and_then(|r| r.lobby.clone());
    let breakouts = meetings.and_then(|r| r.breakouts.clone());
    let internal = hosts.rooms.iter().find(|r| !r.policy.admitted.is_empty()).map(|r| r.domain.clone());
    for (domain, modules) in
        [(lobby, &named.lobby), (breakouts, &named.breakout), (internal, &named.internal)]
    {
        if let Some(unknown) = modules.iter().find(|m| !BESIDE_MODULES.contains(&m.as_str())) {
            return Err(ConfigError::BesideModule(unknown.clone()));
        }
        for host in hosts.rooms.iter_mut().filter(|r| Some(&r.domain) == domain.as_ref()) {
            host.modules.extend(modules.iter().cloned());
        }
    }
    Ok(())
}

/// Where the roles have their accounts: where the public does not come, or else where there are accounts at all.
fn accounts_of_roles(core: &prosody_core::Config) -> &str {
    let users = &core.hosts.users;
    let inner = users.iter().find(|h| !h.public);
    let any = inner.or_else(|| users.iter().find(|h| h.login.is_with_password()));
    any.or_else(|| users.first()).map_or("", |h| &h.domain)
}

/// Where a focus of Jitsi's own has a second account, for the rooms from where people watch: a connection to each server for viewers is
/// what it has, and here the server is the same. Two sessions of one account would have one address.
fn focus_of_viewers(core: &prosody_core::Config, named: Option<&str>) -> Option<String> {
    let audience = core.hosts.rooms.first()?.audience.as_deref()?;
    let name = named
        .map_or_else(|| Some(format!("auth.{}", audience.split_once('.')?.1)), |n| Some(n.to_lowercase()))?;
    let those = |h: &&prosody_core::UsersHost| h.domain == name && !h.public && h.login.is_with_password();
    core.hosts.users.iter().find(those).map(|h| h.domain.clone())
}

fn host(option: &'static str, value: &str) -> Result<(), ConfigError> {
    BareJid::from_parts("a", value).map(drop).map_err(|_| ConfigError::Domain(option))
}

fn random_password() -> String {
    SystemEntropy.hex(32)
}

/// The address of a booking system as it is asked, or why it cannot be.
pub fn booking_system(url: &str) -> Result<Sensitive<String>, &'static str> {
    let uri: Uri = url.parse().map_err(|_| NO_ADDRESS)?;
    let known = matches!(uri.scheme_str(), Some("http" | "https"));
    let authority = uri.authority().filter(|_| known).ok_or(NO_ADDRESS)?;
    if uri.query().is_some() || url.contains('#') || authority.as_str().contains('@') {
        return Err(NO_ADDRESS);
    }
    Ok(Sensitive::new(url.trim_end_matches('/').to_owned()))
}

const NO_ADDRESS: &str =
    "must be named as `https://host` or `http://host`, with a port and a path if needed, and nothing else";

/// Modules that are off unless they are named.
pub const MODULES: &[&str] = &[
    "muc_size",
    "muc_census",
    "muc_password_check",
    "muc_end_meeting",
    "muc_kick_participant",
    "muc_jigasi_invite",
    "system_chat_message",
    "turncredentials_http",
    "short_lived_token",
    "filter_iq_jibri",
    "filter_iq_rayo",
    "jibri_session",
    // Always there, and named with others upstream.
    "persistent_lobby",
    "frozen_nick",
    "presence_identity",
];

/// The same of the meetings.
pub const MUC_MODULES: &[&str] = &[
    "lobby_autostart",
    "lobby_autostart_on_owner",
    "lobby_deactivate",
    "muc_allowners",
    "muc_cleanup_backend_services",
    "muc_flip",
    "muc_wait_for_host",
    "time_restricted",
    "token_affiliation",
    "token_lobby_bypass",
    "token_no_wildcard",
    "token_owner_party",
];

/// The same of lobbies, breakout rooms and the rooms of bridges. Some are there anyway.
pub const BESIDE_MODULES: &[&str] = &[
    "filter_messages",
    "frozen_nick",
    "muc_cleanup_backend_services",
    "muc_domain_mapper",
    "muc_hide_all",
    "muc_max_occupants",
    "muc_meeting_id",
    "muc_password_whitelist",
    "muc_rate_limit",
    "muc_resource_validate",
    "presence_identity",
    "token_affiliation",
];

/// The one for which somebody has to log in.
pub const WAIT_FOR_HOST: &str = "muc_wait_for_host";

/// One for which somebody has to have a token.
pub const OWNER_PARTY: &str = "token_owner_party";

const DOMAIN: &str = "meet.jitsi";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_written_means_upstreams_containers() {
        let config = Config::from_raw(Raw::default()).unwrap();
        assert_eq!(config.core.domain(), "meet.jitsi");
        assert_eq!(config.core.hosts.rooms[1].domain, "internal-muc.meet.jitsi");
        assert_eq!(config.core.focus.as_str(), "focus@auth.meet.jitsi");
        assert_eq!(config.listen, None);
        assert!(config.core.require_encryption);
    }

    #[test]
    fn roles_without_a_configured_password_get_one_nobody_knows() {
        let one = Config::from_raw(Raw::default()).unwrap();
        let two = Config::from_raw(Raw::default()).unwrap();
        let secret = |c: &Config| c.password(&c.core.focus).unwrap().reveal().clone();
        assert_eq!(secret(&one).len(), 64);
        assert_ne!(secret(&one), secret(&two));
    }

    #[test]
    fn written_options_are_taken_over() {
        let raw = Raw {
            domain: Some("Example.org".into()),
            auth_domain: Some("services.example.org".into()),
            jvb_user: Some("bridge".into()),
            jvb_password: Some("pw".into()),
            accounts: vec![RawAccount { jid: "rec@hidden.example.org".into(), password: "x".into() }],
            ..Raw::default()
        };
        let config = Config::from_raw(raw).unwrap();
        let jvb = BareJid::from_parts("bridge", "services.example.org").unwrap();
        assert_eq!(config.password(&jvb).unwrap().reveal(), "pw");
        assert!(config.core.admins.contains(&jvb));
        assert_eq!(config.core.accounts.len(), 3);
    }

    #[test]
    fn the_lobby_is_there_unless_it_is_switched_off() {
        let hidden = || Some("Hidden.meet.jitsi".into());
        let on = Config::from_raw(Raw {
            max_participants: Some(7),
            hidden_domain: hidden(),
            muc_domain: Some("conference.meet.jitsi".into()),
            ..Raw::default()
        });
        let on = on.unwrap().core.hosts;
        assert_eq!(on.check(), Ok(()));
        let (meetings, lobby) = (&on.rooms[0], &on.rooms[2]);
        assert_eq!(meetings.lobby.as_deref(), Some("lobby.meet.jitsi"));
        assert_eq!((&*lobby.domain, lobby.policy.max_participants), ("lobby.meet.jitsi", Some(7)));
        assert_eq!(meetings.policy.lobby_exempt[0].as_str(), "hidden.meet.jitsi");
        let off = Config::from_raw(Raw { lobby: Some(false), hidden_domain: hidden(), ..Raw::default() });
        let off = off.unwrap().core.hosts;
        assert_eq!(off.check(), Ok(()));
        assert!(off.rooms.len() == 3 && off.rooms[0].lobby.is_none(), "{off:?}");
        let off = Config::from_raw(Raw { breakout_rooms: Some(false), ..Raw::default() }).unwrap().core.hosts;
        assert_eq!(off.check(), Ok(()));
        assert!(off.rooms.len() == 3 && off.rooms[0].breakouts.is_none(), "{off:?}");
    }

    #[test]
    fn modules_beside_the_meetings_are_named_where_they_belong() {
        let one = |name: &str| vec![name.to_owned()];
        let raw = |beside_modules| Raw { beside_modules, ..Raw::default() };
        let beside = BesideModules {
            lobby: one("frozen_nick"),
            breakout: one("token_affiliation"),
            internal: one("muc_rate_limit"),
        };
        let hosts = Config::from_raw(raw(beside)).unwrap().core.hosts;
        let has = |domain: &str, module: &str| {
            hosts.rooms.iter().find(|r| r.domain == domain).unwrap().modules.iter().any(|m| m == module)
        };
        assert!(has("lobby.meet.jitsi", "frozen_nick") && !has("breakout.meet.jitsi", "frozen_nick"));
        assert!(
            has("breakout.meet.jitsi", "token_affiliation") && !has("muc.meet.jitsi", "token_affiliation")
        );
        assert!(has("internal-muc.meet.jitsi", "muc_rate_limit"));
        let unknown = BesideModules { lobby: one("token_lobby_ondemand"), ..BesideModules::default() };
        let error = Config::from_raw(raw(unknown)).unwrap_err().to_string();
        assert!(error.contains("`token_lobby_ondemand`"), "{error}");
    }

    #[test]
    fn every_module_beside_the_meetings_is_one_of_rooms() {
        let all: Vec<String> = BESIDE_MODULES.iter().map(|m| (*m).to_owned()).collect();
        let beside = BesideModules { lobby: all.clone(), breakout: all.clone(), internal: all };
        assert!(Config::from_raw(Raw { beside_modules: beside, ..Raw::default() }).is_ok());
    }

    #[test]
    fn a_booking_system_is_asked_over_http_where_the_admin_says_or_there_is_no_start() {
        for (url, base) in [
            ("http://booking", "http://booking"),
            ("http://127.0.0.1:8080/api/", "http://127.0.0.1:8080/api"),
            ("http://[::1]:8080/", "http://[::1]:8080"),
        ] {
            assert_eq!(booking_system(url).unwrap().reveal(), base);
        }
        for url in [
            "",
            "booking",
            "/api",
            "ftp://booking",
            "http://",
            "http://a@booking",
            "http://booking/?x=y",
            "http://booking/#x",
            "https://booking/?x=y",
        ] {
            let raw = Raw { reservations: Some(url.to_owned()), ..Raw::default() };
            assert!(matches!(Config::from_raw(raw), Err(ConfigError::Reservations(_))), "{url}");
        }
        assert!(
            ["https://booking", "HTTPS://booking:8443/api"].iter().all(|url| booking_system(url).is_ok())
        );
    }

    #[test]
    fn what_cannot_be_served_is_refused_with_the_options_name() {
        let domain = Raw { domain: Some("a b".into()), ..Raw::default() };
        assert_eq!(Config::from_raw(domain).unwrap_err(), ConfigError::Domain("domain"));
        let half = Raw { certificate: Some("c.pem".into()), ..Raw::default() };
        assert_eq!(Config::from_raw(half).unwrap_err(), ConfigError::Certificate);
        let module = Raw { modules: vec!["muc_size".into(), "muc_sizes".into()], ..Raw::default() };
        let error = Config::from_raw(module).unwrap_err();
        assert_eq!(error, ConfigError::Module("muc_sizes".into()));
        assert!(error.to_string().contains("muc_census"), "{error}");
        let account = RawAccount { jid: "nobody".into(), password: "x".into() };
        let accounts = Raw { accounts: vec![account], ..Raw::default() };
        assert_eq!(Config::from_raw(accounts).unwrap_err(), ConfigError::Account(1));
    }
}
