//! `[[xmpp.users]]`, `[[xmpp.rooms]]` and `[[xmpp.components]]` as an admin writes them in; the server's table of hosts out, and a
//! table as such a file.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use jitsi_xmpp::{BareJid, Jid};
use prosody_core::{ComponentHost, Login, Mechanism, Policy, RoomsHost, Table, UsersHost};
use serde::Deserialize;

use crate::config::ConfigError;

/// A host with users as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawUsers {
    /// `meet.jitsi`
    pub domain: String,
    /// `anonymous` or `accounts`.
    pub login: RawLogin,
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
    /// What holds in its rooms.
    #[serde(default)]
    pub policy: RawPolicy,
    /// What holds in those of a tenant instead, by its name.
    #[serde(default)]
    pub tenants: BTreeMap<String, RawPolicy>,
}

/// What holds in rooms, as written; what is absent takes the default, and of a tenant that of its host.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawPolicy {
    /// Everybody who joins becomes an owner. Yes where `muc_allowners` is named.
    pub all_owners: Option<bool>,
    /// Nicks begin as the anonymous name does.
    pub strict_nicks: Option<bool>,
    /// Most people in one meeting.
    pub max_participants: Option<usize>,
    /// Accounts and domains that are not counted.
    pub uncounted: Option<Vec<String>>,
    /// Accounts and domains that need no room's password.
    pub password_exempt: Option<Vec<String>>,
    /// Domains that may come near, where `muc_filter_access` is named.
    pub admitted: Option<Vec<String>>,
    /// What moderators without a token may do.
    pub default_permissions: Option<Vec<String>>,
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
    let meetings = rooms.first().map(|r| r.domain.to_lowercase()).unwrap_or_default();
    let table = Table {
        users: users.into_iter().map(users_host).collect::<Result<_, _>>()?,
        rooms: rooms.into_iter().map(rooms_host).collect::<Result<_, _>>()?,
        components: components
            .into_iter()
            .map(|c| -> Result<_, ConfigError> {
                Ok(ComponentHost {
                    domain: domain(&c.domain)?,
                    module: c.module,
                    rooms: c.rooms.as_deref().map_or(Ok(meetings.clone()), domain)?,
                })
            })
            .collect::<Result<_, _>>()?,
    };
    table.check()?;
    Ok(table)
}

fn users_host(raw: RawUsers) -> Result<UsersHost, ConfigError> {
    let named = |m: &String| Mechanism::named(m).ok_or_else(|| ConfigError::Mechanism(m.clone()));
    Ok(UsersHost {
        domain: domain(&raw.domain)?,
        login: match raw.login {
            RawLogin::Anonymous => Login::Anonymous,
            RawLogin::Accounts => Login::Accounts,
        },
        mechanisms: raw.mechanisms.iter().map(named).collect::<Result<_, _>>()?,
        modules: raw.modules,
        resume: Duration::from_secs(raw.resume_seconds.unwrap_or(if raw.public { 70 } else { 15 })),
        public: raw.public,
    })
}

fn rooms_host(raw: RawRooms) -> Result<RoomsHost, ConfigError> {
    let all_owners = raw.modules.iter().any(|m| m == "muc_allowners");
    let policy = raw.policy.over(Policy { all_owners, ..Policy::default() })?;
    let tenants = raw.tenants.into_iter();
    Ok(RoomsHost {
        domain: domain(&raw.domain)?,
        modules: raw.modules,
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
            all_owners: self.all_owners.unwrap_or(base.all_owners),
            strict_nicks: self.strict_nicks.unwrap_or(base.strict_nicks),
            max_participants: self.max_participants.or(base.max_participants),
            uncounted: addresses(self.uncounted, base.uncounted)?,
            password_exempt: addresses(self.password_exempt, base.password_exempt)?,
            admitted: admitted.transpose()?.unwrap_or(base.admitted),
            default_permissions: self.default_permissions.unwrap_or(base.default_permissions),
        })
    }
}

fn domain(text: &str) -> Result<String, ConfigError> {
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
        };
        let _ = writeln!(out, "# [[xmpp.users]]\n# domain = {:?}\n# login = {login:?}", host.domain);
        let _ = writeln!(out, "# modules = {}", list(&host.modules));
        let _ = writeln!(out, "# resume_seconds = {}\n# public = {}\n", host.resume.as_secs(), host.public);
    }
    for host in &table.rooms {
        let _ = writeln!(out, "# [[xmpp.rooms]]\n# domain = {:?}", host.domain);
        let _ = writeln!(out, "# modules = {}", list(&host.modules));
        let p = &host.policy;
        let addresses = |all: &[Jid]| all.iter().map(|a| a.as_str().to_owned()).collect::<Vec<_>>();
        let _ = writeln!(out, "# [xmpp.rooms.policy]");
        let _ = writeln!(out, "# all_owners = {}\n# strict_nicks = {}", p.all_owners, p.strict_nicks);
        let _ = writeln!(out, "# uncounted = {}", list(&addresses(&p.uncounted)));
        let _ = writeln!(out, "# password_exempt = {}", list(&addresses(&p.password_exempt)));
        let _ = writeln!(out, "# admitted = {}", list(&p.admitted));
        let _ = writeln!(out, "# default_permissions = {}\n", list(&p.default_permissions));
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
modules = ["muc_allowners"]
policy = { max_participants = 10 }
tenants.council = { max_participants = 5, all_owners = false }

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
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_name() {
        let error = |from: &str, to: &str| read(&SMALL.replace(from, to)).unwrap_err().to_string();
        assert!(error("muc_allowners", "muc_alowners").contains("muc_alowners"));
        assert!(error("module = \"polls\"", "module = \"poles\"").contains("poles"));
        assert!(
            error("login = \"anonymous\"", "login = \"accounts\"\nmechanisms = [\"EXTERNAL\"]")
                .contains("EXTERNAL")
        );
        assert!(error("domain = \"muc.town.example\"", "domain = \"a b\"").contains("a b"));
    }
}
