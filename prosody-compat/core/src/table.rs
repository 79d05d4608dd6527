//! Which domains there are and what each is for: what an admin wrote in, checked, out; the layout of containers is in `layout`.
//!
//! Names of modules are upstream's. A module acts where it is named: on its own room host, or, named on a host with users, in
//! the meetings, as upstream's do.

mod layout;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use prosody_token::TokenRules;

use crate::auth::Mechanism;
use crate::auth::record::AccountRecord;
use crate::modules;
use crate::policy::Policy;
use crate::room::audience;

/// All local domains.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// Where people and roles log in; the first is the main one.
    pub users: Vec<UsersHost>,
    /// Where rooms are; the first has the meetings, to which tenants' virtual domains lead.
    pub rooms: Vec<RoomsHost>,
    /// Domains of modules.
    pub components: Vec<ComponentHost>,
}

/// A domain with users.
#[derive(Debug, Clone)]
pub struct UsersHost {
    /// `meet.jitsi`
    pub domain: String,
    /// How they log in.
    pub login: Login,
    /// Only these of the login's mechanisms, in this order; empty: all, and for people's accounts those that every account has keys
    /// for.
    pub mechanisms: Vec<Mechanism>,
    /// Upstream's names.
    pub modules: Vec<String>,
    /// How long a lost session waits to be resumed.
    pub resume: Duration,
    /// Whether it can be reached through the web front. Off for the roles' accounts, which have passwords that never change and
    /// rights that reach everywhere: they come over TCP, and others do not even learn whether they are there.
    pub public: bool,
}

/// How users log in on a host.
#[derive(Debug, Clone)]
pub enum Login {
    /// Everybody, under a name that is given out.
    Anonymous,
    /// Accounts with a password.
    Accounts,
    /// The same of a directory, which only hears passwords and says yes or no: it has no keys to give.
    Directory,
    /// Who has a token, under a name that is given out; and who has none, if the rules let it.
    Token(Arc<TokenRules>),
}

/// A domain with rooms.
#[derive(Debug, Clone)]
pub struct RoomsHost {
    /// `muc.meet.jitsi`
    pub domain: String,
    /// Upstream's names.
    pub modules: Vec<String>,
    /// The domain, of those with rooms, where strangers wait for these rooms. `None`: nobody can be made to wait.
    pub lobby: Option<String>,
    /// The domain, of those with rooms, where people watch these rooms: `muc.v0.meet.jitsi`, to whose viewers what stands behind its
    /// first label is the domain where they log in. `None`: nobody only watches.
    pub audience: Option<String>,
    /// The domain, of those with rooms, where the breakout rooms of these are. `None`: there are none.
    pub breakouts: Option<String>,
    /// What holds in its rooms.
    pub policy: Policy,
    /// What holds in those of a tenant instead, by its name.
    pub tenants: BTreeMap<String, Policy>,
}

/// A module's own domain.
#[derive(Debug, Clone)]
pub struct ComponentHost {
    /// `polls.meet.jitsi`
    pub domain: String,
    /// Upstream's name.
    pub module: String,
    /// The domain of the rooms that it is about.
    pub rooms: String,
}

/// Why a table cannot be served. Blame: the admin. Consequence: the server does not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// Nobody could log in.
    #[error("there is no host with users")]
    NoUsers,
    /// Nobody could meet.
    #[error("there is no host with rooms")]
    NoRooms,
    /// Two hosts of one name.
    #[error("the domain `{0}` is there twice")]
    Twice(String),
    /// A module that nobody knows, which may have restricted something.
    #[error("`{host}` has a module `{module}`, which is not known there; known are {known}")]
    Module {
        /// The host.
        host: String,
        /// The name as written.
        module: String,
        /// What may stand there.
        known: String,
    },
    /// A component about rooms that are nowhere.
    #[error("the component `{component}` is about `{rooms}`, where no rooms are")]
    Rooms {
        /// Its domain.
        component: String,
        /// As written.
        rooms: String,
    },
    /// A component of a kind twice for the same rooms.
    #[error("the rooms of `{rooms}` have two components `{module}`")]
    TwoComponents {
        /// Their domain.
        rooms: String,
        /// The module.
        module: String,
    },
    /// Tokens are looked at where nobody has one: everybody would be kept out, or nobody.
    #[error("the rooms of `{0}` verify tokens, and no host with users has `login = \"token\"`")]
    NoTokens(String),
    /// A lobby that cannot be one.
    #[error("the rooms of `{rooms}` have the lobby `{lobby}`, {why}")]
    Lobby {
        /// Their domain.
        rooms: String,
        /// As written.
        lobby: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// An audience that cannot be one.
    #[error("the rooms of `{rooms}` have the audience `{audience}`, {why}")]
    Audience {
        /// Their domain.
        rooms: String,
        /// As written.
        audience: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Breakout rooms that cannot be such.
    #[error("the rooms of `{rooms}` have the breakout rooms `{breakouts}`, {why}")]
    Breakouts {
        /// Their domain.
        rooms: String,
        /// As written.
        breakouts: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Moderators would look for them.
    #[error("`{0}` has the module `muc_breakout_rooms`, and its rooms name no `breakouts`")]
    NoBreakouts(String),
    /// People would be let in who should wait.
    #[error("`{0}` has the module `{1}`, and its rooms name no `lobby`")]
    NoLobby(String, String),
    /// People would wait for ever.
    #[error(
        "in the rooms of `{0}` guests wait for a host, and nobody is one: no host with users has `login = \"token\"`"
    )]
    NoHosts(String),
    /// A host that offers no way in.
    #[error("`{0}` offers no mechanism that its login has")]
    NoMechanism(String),
}

impl Table {
    /// Whether it can be served.
    pub fn check(&self) -> Result<(), TableError> {
        self.users.first().ok_or(TableError::NoUsers)?;
        self.rooms.first().ok_or(TableError::NoRooms)?;
        let mut seen = HashSet::new();
        if let Some(twice) = self.domains().find(|d| !seen.insert(*d)) {
            return Err(TableError::Twice(twice.to_owned()));
        }
        for host in &self.users {
            known(&host.domain, &host.modules, &modules::on_users())?;
            if host.mechanisms().next().is_none() {
                return Err(TableError::NoMechanism(host.domain.clone()));
            }
        }
        let tokens = self.users.iter().any(|h| matches!(h.login, Login::Token(_)));
        for host in &self.rooms {
            known(&host.domain, &host.modules, &modules::on_rooms())?;
            if !tokens && host.modules.iter().any(|m| modules::NEED_TOKENS.contains(&m.as_str())) {
                return Err(TableError::NoTokens(host.domain.clone()));
            }
        }
        self.check_lobbies()?;
        self.check_audiences()?;
        self.check_breakouts()?;
        let mut pairs = HashSet::new();
        for c in &self.components {
            known(&c.domain, std::slice::from_ref(&c.module), &modules::components())?;
            if self.rooms.iter().all(|r| r.domain != c.rooms) {
                return Err(TableError::Rooms { component: c.domain.clone(), rooms: c.rooms.clone() });
            }
            if !pairs.insert((modules::component(&c.module).map(|m| m.name), &c.rooms)) {
                return Err(TableError::TwoComponents { rooms: c.rooms.clone(), module: c.module.clone() });
            }
        }
        Ok(())
    }

    fn check_lobbies(&self) -> Result<(), TableError> {
        let mut taken = HashSet::new();
        let named = |modules: &[String]| {
            modules.iter().map(String::as_str).find(|m| modules::NEED_LOBBY.contains(m)).map(str::to_owned)
        };
        for host in &self.rooms {
            let Some(lobby) = &host.lobby else {
                if let Some(module) = named(&host.modules) {
                    return Err(TableError::NoLobby(host.domain.clone(), module));
                }
                continue;
            };
            let why = match self.rooms.iter().find(|r| r.domain == *lobby) {
                None => "where no rooms are",
                Some(r) if r.lobby.is_some() || r.domain == host.domain => "which is no lobby but has one",
                Some(_) if self.rooms.first().is_some_and(|r| r.domain == *lobby) => "where the meetings are",
                Some(_) if !taken.insert(lobby) => "which is that of others",
                Some(_) => continue,
            };
            return Err(TableError::Lobby { rooms: host.domain.clone(), lobby: lobby.clone(), why });
        }
        let without = self.rooms.first().is_some_and(|r| r.lobby.is_none());
        match self.users.iter().filter(|_| without).find_map(|h| Some((h, named(&h.modules)?))) {
            Some((host, module)) => Err(TableError::NoLobby(host.domain.clone(), module)),
            None => self.check_hosts_of_meetings(),
        }
    }

    /// Where guests wait for a host, somebody is one. Who logs in with an account in the web app is asked by the focus, and a guest
    /// to the room all the same.
    fn check_hosts_of_meetings(&self) -> Result<(), TableError> {
        if self.users.iter().any(|h| matches!(h.login, Login::Token(_))) {
            return Ok(());
        }
        let waits = |modules: &[String]| modules.iter().any(|m| m == modules::WAIT_FOR_HOST);
        let users = self.users.iter().filter(|h| waits(&h.modules)).map(|h| &h.domain);
        let mut all = self.rooms.iter().filter(|h| waits(&h.modules)).map(|h| &h.domain).chain(users);
        all.next().map_or(Ok(()), |domain| Err(TableError::NoHosts(domain.clone())))
    }

    fn check_breakouts(&self) -> Result<(), TableError> {
        let mut taken = HashSet::new();
        let named = |modules: &[String]| modules.iter().any(|m| m == modules::BREAKOUTS);
        for host in &self.rooms {
            let Some(breakouts) = &host.breakouts else {
                if named(&host.modules) && !self.is_breakouts(&host.domain) {
                    return Err(TableError::NoBreakouts(host.domain.clone()));
                }
                continue;
            };
            let why = match self.rooms.iter().find(|r| r.domain == *breakouts) {
                None => "where no rooms are",
                Some(r) if r.lobby.is_some() || r.breakouts.is_some() => {
                    "which have some themselves, or a lobby"
                }
                Some(r) if self.is_lobby(&r.domain) => "where people wait for others",
                Some(_) if self.rooms.first().is_some_and(|r| r.domain == *breakouts) => {
                    "where the meetings are"
                }
                Some(_) if !taken.insert(breakouts) => "which are those of others",
                Some(_) => continue,
            };
            let (rooms, breakouts) = (host.domain.clone(), breakouts.clone());
            return Err(TableError::Breakouts { rooms, breakouts, why });
        }
        let without = self.rooms.first().is_some_and(|r| r.breakouts.is_none());
        match self.users.iter().find(|h| without && named(&h.modules)) {
            Some(host) => Err(TableError::NoBreakouts(host.domain.clone())),
            None => Ok(()),
        }
    }

    fn check_audiences(&self) -> Result<(), TableError> {
        let mut taken = HashSet::new();
        for host in &self.rooms {
            let Some(audience) = &host.audience else { continue };
            let users = audience::of_viewers(audience);
            let why = match self.rooms.iter().find(|r| r.domain == *audience) {
                None => "where no rooms are",
                Some(r) if r.audience.is_some() || r.lobby.is_some() => {
                    "which is watched itself, or has a lobby"
                }
                Some(_) if self.is_lobby(audience) => "which is a lobby",
                Some(_) if self.rooms.first().is_some_and(|r| r.domain == *audience) => {
                    "where the meetings are"
                }
                Some(_) if !taken.insert(audience) => "which is that of others",
                Some(_) if !self.users.iter().any(|u| u.domain == users && u.public) => {
                    "and no host with users has the name behind its first label, where viewers log in"
                }
                Some(_) => continue,
            };
            return Err(TableError::Audience { rooms: host.domain.clone(), audience: audience.clone(), why });
        }
        Ok(())
    }

    /// The rooms of which this domain has the audience.
    pub(crate) fn watched_from(&self, domain: &str) -> Option<&RoomsHost> {
        self.rooms.iter().find(|r| r.audience.as_deref() == Some(domain))
    }

    /// Whether these rooms are breakout rooms of others.
    pub fn is_breakouts(&self, domain: &str) -> bool {
        self.rooms.iter().any(|r| r.breakouts.as_deref() == Some(domain))
    }

    /// Whether these rooms are those where people wait for others.
    pub(crate) fn is_lobby(&self, domain: &str) -> bool {
        self.rooms.iter().any(|r| r.lobby.as_deref() == Some(domain))
    }

    fn domains(&self) -> impl Iterator<Item = &str> {
        let rooms = self.rooms.iter().map(|h| h.domain.as_str());
        let components = self.components.iter().map(|h| h.domain.as_str());
        self.users.iter().map(|h| h.domain.as_str()).chain(rooms).chain(components)
    }

    /// Whether a local domain has this name.
    pub(crate) fn has(&self, domain: &str) -> bool {
        self.domains().any(|d| d == domain)
    }

    /// The host with users of this name.
    pub fn users_mut(&mut self, domain: &str) -> Option<&mut UsersHost> {
        self.users.iter_mut().find(|h| h.domain == domain)
    }

    /// Where the meetings are. `None`: nowhere yet.
    pub fn meetings_mut(&mut self) -> Option<&mut RoomsHost> {
        self.rooms.first_mut()
    }
}

impl UsersHost {
    /// The mechanism that clients take here and for which an account has no keys.
    pub fn lacks(&self, record: &AccountRecord) -> Option<Mechanism> {
        let exchange = |m: Mechanism| match m {
            Mechanism::Scram(hash) => Some((m, hash)),
            _ => None,
        };
        // Where nobody is asked yet, what will be offered once people are.
        let open = matches!(self.login, Login::Anonymous);
        let later = Mechanism::FOR_PEOPLE.iter().copied().filter(|_| open);
        let (mechanism, hash) = self.mechanisms().chain(later).find_map(exchange)?;
        (!record.has(hash)).then_some(mechanism)
    }

    /// What it offers, best first.
    pub(crate) fn mechanisms(&self) -> impl Iterator<Item = Mechanism> {
        let all = self.login.mechanisms();
        let wanted = self.mechanisms.iter().copied().filter(move |m| all.contains(m));
        let usual = match self.login {
            Login::Accounts if self.public => Mechanism::FOR_PEOPLE,
            _ => all,
        };
        wanted.chain(usual.iter().copied().filter(|_| self.mechanisms.is_empty()))
    }
}

impl Login {
    /// Whether a name and a password are asked for.
    pub const fn is_with_password(&self) -> bool {
        matches!(self, Self::Accounts | Self::Directory)
    }

    const fn mechanisms(&self) -> &'static [Mechanism] {
        match self {
            // compat: a token comes in the URL, and SASL has nothing to say (test: compat_a_token_in_the_url_logs_in).
            Self::Anonymous | Self::Token(_) => &[Mechanism::Anonymous],
            Self::Accounts => Mechanism::WITH_PASSWORD,
            Self::Directory => &[Mechanism::Plain],
        }
    }
}

fn known(host: &str, named: &[String], known: &[&str]) -> Result<(), TableError> {
    match named.iter().find(|m| !known.contains(&m.as_str())) {
        Some(module) => {
            Err(TableError::Module { host: host.to_owned(), module: module.clone(), known: known.join(", ") })
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_of_containers_can_be_served() {
        assert_eq!(Table::docker("meet.jitsi").check(), Ok(()));
    }

    #[test]
    fn a_layout_without_a_lobby_can_be_served() {
        let mut table = Table::docker("meet.jitsi");
        table.remove_lobby();
        assert_eq!(table.check(), Ok(()));
        assert_eq!(table.rooms.len(), 3);
        table.remove_breakouts();
        assert_eq!(table.check(), Ok(()));
        assert_eq!(table.rooms.len(), 2);
    }

    #[test]
    fn what_cannot_be_served_says_where_and_why() {
        let with = |change: &dyn Fn(&mut Table)| {
            let mut table = Table::docker("meet.jitsi");
            change(&mut table);
            table.check().unwrap_err().to_string()
        };
        let error = with(&|t| t.rooms[0].modules.push("muc_lobby_romos".into()));
        assert!(error.contains("muc.meet.jitsi") && error.contains("muc_lobby_romos"), "{error}");
        assert!(with(&|t| t.users[0].modules.push("token_verifiction".into())).contains("token_verifiction"));
        assert!(with(&|t| t.components[0].module = "pols".into()).contains("`pols`"));
        assert!(with(&|t| t.components[0].rooms = "muc.example".into()).contains("muc.example"));
        assert!(with(&|t| t.components[0].domain = "meet.jitsi".into()).contains("twice"));
        assert!(with(&|t| t.users.clear()).contains("no host with users"));
        assert!(with(&|t| t.rooms.clear()).contains("no host with rooms"));
        let twice = with(&|t| {
            let mut again = t.components[5].clone();
            again.domain = "votes.meet.jitsi".into();
            t.components.push(again);
        });
        assert!(twice.contains("two components"), "{twice}");
        assert!(with(&|t| t.rooms[0].lobby = Some("lobby.example".into())).contains("where no rooms are"));
        assert!(with(&|t| t.rooms[0].lobby = Some("muc.meet.jitsi".into())).contains("but has one"));
        assert!(with(&|t| t.rooms[1].lobby = Some("lobby.meet.jitsi".into())).contains("that of others"));
        let inverse = with(&|t| {
            t.rooms[2].lobby = Some("muc.meet.jitsi".into());
            t.rooms[0].lobby = None;
        });
        assert!(inverse.contains("where the meetings are"), "{inverse}");
        assert!(with(&|t| t.rooms[0].lobby = None).contains("muc_lobby_rooms"), "people would be let in");
        assert!(with(&|t| t.rooms[1].modules.push("muc_lobby_rooms".into())).contains("internal-muc"));
        let beside = |to: &str| with(&|t| t.rooms[0].breakouts = Some(to.into()));
        assert!(beside("breakout.example").contains("where no rooms are"));
        assert!(beside("muc.meet.jitsi").contains("have some themselves"));
        assert!(beside("lobby.meet.jitsi").contains("where people wait"));
        let others = with(&|t| t.rooms[1].breakouts = Some("breakout.meet.jitsi".into()));
        assert!(others.contains("those of others"), "{others}");
        assert!(with(&|t| t.rooms[0].breakouts = None).contains("muc_breakout_rooms"));
        assert!(with(&|t| t.rooms[1].modules.push("muc_breakout_rooms".into())).contains("internal-muc"));
        let waits = |t: &mut Table| t.rooms[0].modules.push("muc_wait_for_host".into());
        assert!(with(&waits).contains("nobody is one"), "people would wait for ever");
        let nowhere = with(&|t| {
            waits(t);
            t.remove_lobby();
        });
        assert!(nowhere.contains("muc_wait_for_host") && nowhere.contains("no `lobby`"), "{nowhere}");
        let none = with(&|t| t.users[0].mechanisms = vec![Mechanism::Plain]);
        assert!(none.contains("no mechanism"), "an anonymous host has no passwords: {none}");
    }
}
