//! The configuration's table in; what answers for which domain name out. Nothing after this asks which domain has which
//! name: a host is what its [`HostDef`] says.
//!
//! Another table makes another generation of hosts: who comes finds the new ones, and rooms and sessions that are there keep theirs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jitsi_xmpp::BareJid;
use jitsi_xmpp::room::Tenant;
use prosody_token::{Servers, TokenRules};

use crate::auth::Mechanism;
use crate::config::Config;
use crate::identity::HostId;
use crate::module::{Module, Modules};
use crate::modules::{self, ROOMS, USERS};
use crate::policy::Policy;
use crate::room::audience;
use crate::session::{Session, SessionId};
use crate::table::{Login, RoomsHost, Table, UsersHost};
use crate::tenants;
use crate::world::World;

/// A local domain.
pub(crate) struct HostDef {
    pub(crate) domain: String,
    pub(crate) serves: Serves,
}

impl HostDef {
    fn modules(&self) -> impl Iterator<Item = &'static Module> {
        match &self.serves {
            Serves::Users(users) => users.modules.iter().copied(),
            Serves::Rooms(rooms) => rooms.modules.iter().copied(),
            Serves::Component(_) => [].iter().copied(),
        }
    }
}

/// Hosts that were configured together, by the places of the first and of the one behind the last.
type Generation = Range<usize>;

/// What a domain is for.
pub(crate) enum Serves {
    /// Somebody logs in here.
    Users(Users),
    /// Rooms live here.
    Rooms(RoomsDef),
    /// A module's own domain.
    Component(ComponentDef),
}

/// A domain with users.
pub(crate) struct Users {
    /// Whether names are given out to everybody; else there are accounts.
    pub(crate) anonymous: bool,
    /// What tokens have to be like, if that is how one logs in.
    pub(crate) token: Option<Arc<TokenRules>>,
    /// Whether all its accounts are a directory's.
    pub(crate) directory: bool,
    /// Offered in this order.
    mechanisms: Vec<Mechanism>,
    /// How long a lost session waits to be resumed.
    pub(crate) resume: Duration,
    /// What answers here.
    pub(crate) modules: Modules,
    /// Its accounts are the roles': not to be reached, or seen, by the public.
    pub(crate) services: bool,
}

impl Users {
    /// What a stream is offered: without encryption only what gives no password away.
    pub(crate) fn offered(&self, encrypted: bool) -> impl Iterator<Item = Mechanism> {
        self.mechanisms.iter().copied().filter(move |m| encrypted || *m != Mechanism::Plain)
    }
}

/// A domain with rooms.
pub(crate) struct RoomsDef {
    pub(crate) modules: Modules,
    policy: Arc<Policy>,
    tenants: BTreeMap<String, Arc<Policy>>,
    /// Domains of the modules about these rooms that have one, by module.
    components: Vec<(&'static str, Arc<str>)>,
    /// The domain where strangers wait for these.
    pub(crate) lobby: Option<String>,
    /// Whether these are such rooms.
    pub(crate) is_lobby: bool,
    /// The domain of the rooms that are watched from here.
    pub(crate) watches: Option<String>,
    /// The domain of their breakout rooms.
    pub(crate) breakouts: Option<String>,
    /// Whether these are breakout rooms.
    pub(crate) is_breakouts: bool,
}

impl RoomsDef {
    /// What holds in the rooms of a tenant, or of nobody.
    pub(crate) fn policy(&self, tenant: Option<&str>) -> &Arc<Policy> {
        tenant.and_then(|t| self.tenants.get(t)).unwrap_or(&self.policy)
    }

    /// What holds in a room of the tenant that has this meeting.
    pub(crate) fn policy_of(&self, config: &Config, meeting: &BareJid) -> &Arc<Policy> {
        self.policy(tenants::of_room(config, meeting).as_ref().map(Tenant::as_str))
    }
}

/// A module's own domain.
pub(crate) struct ComponentDef {
    pub(crate) module: &'static Module,
    /// The host whose rooms it is about.
    pub(crate) rooms: HostId,
}

/// All local domains.
pub(crate) struct Hosts {
    /// By their places, which are never given out again. `None`: nobody needs it any more.
    all: Vec<Option<Arc<HostDef>>>,
    /// Of former generations those of which something is left, the oldest first.
    former: Vec<Generation>,
    /// Where the newest begins.
    first: usize,
    by_domain: HashMap<String, HostId>,
    /// Where the virtual domains of tenants lead.
    meetings: HostId,
    /// What the components want to hear of sessions that end, each once.
    ended: Vec<SessionEnded>,
    /// What service discovery lists of each, by their places; written when somebody is told first. Other hosts or another configuration
    /// mean other `Hosts`.
    lists: Vec<OnceLock<Box<str>>>,
}

/// See [`Module::session_ended`].
type SessionEnded = fn(&mut World, SessionId, &Session);

impl Hosts {
    pub(crate) fn new(config: &Config) -> Self {
        Self::with_rules(config, ROOMS)
    }

    /// The hosts of `config`, when these are all rules of rooms there are.
    pub(crate) fn with_rules(config: &Config, rules: &[&'static Module]) -> Self {
        let nothing = Self {
            all: Vec::new(),
            former: Vec::new(),
            first: 0,
            by_domain: HashMap::new(),
            meetings: HostId(0),
            ended: Vec::new(),
            lists: Vec::new(),
        };
        nothing.and(config, rules)
    }

    /// The hosts of `config` in place of these, of which those stay that something `needs`.
    pub(crate) fn successor(&self, config: &Config, needs: &BTreeSet<HostId>) -> Self {
        let newest = self.first..self.all.len();
        let needed = |g: &Generation| needs.range(HostId(g.start)..HostId(g.end)).next().is_some();
        let former: Vec<Generation> = self.former.iter().cloned().chain([newest]).filter(needed).collect();
        let kept = |i: usize| former.iter().any(|g| g.contains(&i));
        let all = self.all.iter().enumerate().map(|(i, def)| def.clone().filter(|_| kept(i))).collect();
        let mut hosts = Self {
            all,
            first: self.all.len(),
            by_domain: HashMap::new(),
            meetings: HostId(0),
            ended: Vec::new(),
            lists: Vec::new(),
            former,
        }
        .and(config, ROOMS);
        // What is configured no more still answers those who are there.
        let left = hosts.former.iter().rev().cloned().flatten();
        let left: Vec<_> =
            left.filter_map(|i| Some((hosts.get(HostId(i))?.domain.clone(), HostId(i)))).collect();
        for (domain, id) in left {
            hosts.by_domain.entry(domain).or_insert(id);
        }
        hosts
    }

    /// With the hosts of `config` behind those that there are.
    fn and(mut self, config: &Config, rules: &[&'static Module]) -> Self {
        let table = &config.hosts;
        let hosts = &mut self;
        for host in &table.users {
            hosts.add(&host.domain, Serves::Users(users(config, host)));
        }
        let mut rooms = HashMap::new();
        for (i, host) in table.rooms.iter().enumerate() {
            let id = hosts.add(&host.domain, Serves::Rooms(rooms_def(config, host, i == 0, rules)));
            rooms.insert(host.domain.as_str(), id);
            if i == 0 {
                hosts.meetings = id;
            }
        }
        for (domain, module, about) in components(table, rules) {
            if let Some(rooms) = rooms.get(about).copied() {
                hosts.add(domain, Serves::Component(ComponentDef { module, rooms }));
            }
        }
        let components = hosts.all.iter().flatten().filter_map(|host| match &host.serves {
            Serves::Component(c) => Some((c.module.name, c.module.session_ended?)),
            _ => None,
        });
        let ended: BTreeMap<&str, SessionEnded> = components.collect();
        hosts.ended = ended.into_values().collect();
        hosts.lists = hosts.all.iter().map(|_| OnceLock::new()).collect();
        self
    }

    /// The first to claim a name has it.
    fn add(&mut self, domain: &str, serves: Serves) -> HostId {
        let id = HostId(self.all.len());
        self.by_domain.entry(domain.to_owned()).or_insert(id);
        self.all.push(Some(Arc::new(HostDef { domain: domain.to_owned(), serves })));
        id
    }

    /// The host that serves `domain`; exact names win over the pattern for tenants.
    pub(crate) fn of(&self, config: &Config, domain: &str) -> Option<HostId> {
        let exact = self.by_domain.get(domain).copied();
        exact.or_else(|| {
            let muc = tenants::all_domains(config).find(|d| d.contains(domain))?.muc();
            self.by_domain.get(muc).copied()
        })
    }

    pub(crate) fn get(&self, id: HostId) -> Option<&HostDef> {
        self.all.get(id.0)?.as_deref()
    }

    /// What service discovery lists of a host, as text; `write` is asked once. `None`: there is no such host.
    pub(crate) fn list(&self, id: HostId, write: impl FnOnce() -> String) -> Option<&str> {
        Some(self.lists.get(id.0)?.get_or_init(|| write().into()))
    }

    /// Whether who comes may come in there: it is configured.
    pub(crate) fn is_current(&self, id: HostId) -> bool {
        id.0 >= self.first
    }

    /// Whether two are one domain, perhaps of different generations.
    pub(crate) fn is_same(&self, a: HostId, b: HostId) -> bool {
        let domain = |id| self.get(id).map(|def| &def.domain);
        a == b || (domain(a).is_some() && domain(a) == domain(b))
    }

    /// Those that are configured.
    pub(crate) fn current(&self) -> impl Iterator<Item = (HostId, &HostDef)> {
        let all = self.all.iter().enumerate().skip(self.first);
        all.filter_map(|(i, def)| Some((HostId(i), def.as_deref()?)))
    }

    /// Tells the modules that a session is gone for good.
    pub(crate) fn session_ended(&self) -> &[fn(&mut World, SessionId, &Session)] {
        &self.ended
    }

    /// The host as one with users.
    pub(crate) fn users(&self, id: HostId) -> Option<&Users> {
        match &self.get(id)?.serves {
            Serves::Users(users) => Some(users),
            _ => None,
        }
    }

    /// Hosts whose tokens are signed with keys of others, and where those are asked for.
    pub(crate) fn key_servers(&self) -> impl Iterator<Item = (HostId, &Servers)> {
        self.current().filter_map(|(id, host)| match &host.serves {
            Serves::Users(users) => Some((id, users.token.as_ref()?.servers()?)),
            _ => None,
        })
    }

    /// Where people log in first of all.
    pub(crate) fn main_users(&self) -> Option<(HostId, &Users)> {
        self.current().find_map(|(id, host)| match &host.serves {
            Serves::Users(users) => Some((id, users)),
            _ => None,
        })
    }

    /// What tokens have to be like for somebody who is logged in there: its host's rules, or those of the first that has any.
    pub(crate) fn token_rules(&self, id: HostId) -> Option<&Arc<TokenRules>> {
        let mut all = self.current().filter_map(|(_, host)| match &host.serves {
            Serves::Users(users) => users.token.as_ref(),
            _ => None,
        });
        self.users(id).and_then(|users| users.token.as_ref()).or_else(|| all.next())
    }

    /// The host as one with rooms.
    pub(crate) fn rooms(&self, id: HostId) -> Option<&RoomsDef> {
        match &self.get(id)?.serves {
            Serves::Rooms(rooms) => Some(rooms),
            _ => None,
        }
    }

    /// The modules of all hosts; one that several hosts have comes several times.
    pub(crate) fn modules(&self) -> impl Iterator<Item = &'static Module> {
        self.all.iter().flatten().flat_map(|host| host.modules())
    }

    /// The same of those that are configured.
    pub(crate) fn modules_now(&self) -> impl Iterator<Item = &'static Module> {
        self.current().flat_map(|(_, host)| host.modules())
    }

    /// Components with their domains, in the order of their identities.
    pub(crate) fn components(&self) -> impl Iterator<Item = (&str, &ComponentDef)> {
        self.current().filter_map(|(_, host)| match &host.serves {
            Serves::Component(c) => Some((host.domain.as_str(), c)),
            _ => None,
        })
    }

    /// Whether somebody who has logged in to `users` is shown what is about these rooms: viewers what is for them, all others the rest.
    pub(crate) fn shows(&self, users: &str, rooms: HostId) -> bool {
        let audience = |def: &RoomsDef| def.watches.is_some();
        let of = self.get(rooms).map_or("", |h| audience::of_viewers(&h.domain));
        if self.rooms(rooms).is_some_and(audience) { of == users } else { !self.is_of_viewers(users) }
    }

    /// Whether viewers log in there.
    pub(crate) fn is_of_viewers(&self, users: &str) -> bool {
        self.all.iter().flatten().any(|host| match &host.serves {
            Serves::Rooms(r) => r.watches.is_some() && audience::of_viewers(&host.domain) == users,
            _ => false,
        })
    }

    /// The domain of a module about the rooms of a host. Empty: it has none.
    pub(crate) fn component(&self, rooms: HostId, module: &str) -> Arc<str> {
        let all = self.rooms(rooms).map(|r| r.components.as_slice()).unwrap_or_default();
        all.iter().find(|(name, _)| *name == module).map(|(_, domain)| Arc::clone(domain)).unwrap_or_default()
    }

    /// Where strangers wait for the meetings.
    pub(crate) fn lobby_of_meetings(&self) -> Option<&str> {
        self.rooms(self.meetings)?.lobby.as_deref()
    }

    /// Where their breakout rooms are.
    pub(crate) fn breakouts_of_meetings(&self) -> Option<&str> {
        self.rooms(self.meetings)?.breakouts.as_deref()
    }

    /// Where conference requests go. Empty: nowhere.
    pub(crate) fn proxy(&self) -> Arc<str> {
        self.component(self.meetings, modules::PROXY)
    }
}

fn users(config: &Config, host: &UsersHost) -> Users {
    let named =
        |m: &&&Module| m.named.is_empty() || m.named.iter().any(|n| host.modules.iter().any(|h| h == n));
    Users {
        anonymous: !host.login.is_with_password(),
        token: match &host.login {
            Login::Token(rules) => Some(Arc::clone(rules)),
            _ => None,
        },
        directory: matches!(host.login, Login::Directory),
        mechanisms: host.mechanisms().collect(),
        resume: host.resume,
        modules: USERS.iter().filter(named).filter(|m| (m.enabled)(config)).copied().collect(),
        services: !host.public,
    }
}

fn rooms_def(config: &Config, host: &RoomsHost, main: bool, rules: &[&'static Module]) -> RoomsDef {
    let table = &config.hosts;
    let is_lobby = table.is_lobby(&host.domain);
    let whole = table.rooms.iter().find(|r| r.breakouts.as_ref() == Some(&host.domain));
    let of_main = whole.is_some_and(|w| table.rooms.first().is_some_and(|r| r.domain == w.domain));
    let elsewhere = table.users.iter().flat_map(|u| &u.modules).map(String::as_str);
    let lobby_of_main = table.rooms.first().is_some_and(|r| r.lobby.as_ref() == Some(&host.domain));
    let elsewhere = elsewhere.filter(|m| {
        main || (of_main && modules::IN_BREAKOUTS.contains(m))
            || (lobby_of_main && modules::IN_LOBBIES.contains(m))
    });
    let mut names: Vec<&str> = host.modules.iter().map(String::as_str).chain(elsewhere).collect();
    if host.lobby.is_some() || is_lobby {
        names.push(modules::LOBBY);
    }
    if host.breakouts.is_some() || whole.is_some() {
        names.push(modules::BREAKOUTS);
    }
    let parts = |m: &Module| m.component.as_ref().is_some_and(|c| c.in_breakouts);
    let own: Vec<_> = components(table, rules)
        .filter(|(_, m, about)| {
            *about == host.domain || whole.is_some_and(|w| w.domain == *about && parts(m))
        })
        .collect();
    let of_component = |name: &&str| own.iter().any(|(_, m, _)| m.named.contains(name));
    let wanted = |m: &&&'static Module| {
        m.named.is_empty()
            || m.named.iter().any(|n| (m.component.is_none() && names.contains(n)) || of_component(n))
    };
    RoomsDef {
        modules: rules.iter().filter(wanted).filter(|m| (m.enabled)(config)).copied().collect(),
        policy: Arc::new(host.policy.clone()),
        tenants: host.tenants.iter().map(|(name, policy)| (name.clone(), Arc::new(policy.clone()))).collect(),
        components: own.iter().map(|(domain, m, _)| (m.name, Arc::from(*domain))).collect(),
        lobby: host.lobby.clone(),
        is_lobby,
        watches: table.watched_from(&host.domain).map(|r| r.domain.clone()),
        breakouts: host.breakouts.clone(),
        is_breakouts: whole.is_some(),
    }
}

/// Domain, module and the rooms that it is about, in the order of the rules.
fn components<'a>(
    table: &'a Table,
    rules: &'a [&'static Module],
) -> impl Iterator<Item = (&'a str, &'static Module, &'a str)> {
    rules.iter().copied().filter(|m| m.component.is_some()).flat_map(move |module| {
        let its = table.components.iter().filter(|c| module.named.contains(&c.module.as_str()));
        its.map(move |c| (c.domain.as_str(), module, c.rooms.as_str()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config::for_domain("meet.jitsi").unwrap()
    }

    #[test]
    fn a_domain_is_what_the_configuration_says() {
        let mut config = config();
        let main = &mut config.hosts.users[0];
        main.login = Login::Accounts;
        let guests = UsersHost { domain: "guest.meet.jitsi".into(), login: Login::Anonymous, ..main.clone() };
        config.hosts.users.push(guests);
        let hosts = Hosts::new(&config);
        let users = |domain: &str| hosts.users(hosts.of(&config, domain).unwrap());
        assert!(!users("meet.jitsi").unwrap().anonymous && users("guest.meet.jitsi").unwrap().anonymous);
        let has = |domain: &str, name: &str| users(domain).unwrap().modules.iter().any(|m| m.name == name);
        assert!(has("meet.jitsi", "identities") && has("guest.meet.jitsi", "identities"));
        assert!(has("auth.meet.jitsi", "ping") && !has("auth.meet.jitsi", "identities"));
        assert_eq!(users("auth.meet.jitsi").unwrap().resume, Duration::from_secs(15));
        assert!(users("muc.meet.jitsi").is_none() && hosts.of(&config, "hidden.meet.jitsi").is_none());
        let meetings = hosts.of(&config, "muc.meet.jitsi");
        assert_eq!(hosts.of(&config, "muc.town.meet.jitsi"), meetings, "a tenant's virtual domain");
        let metadata = hosts.of(&config, "metadata.meet.jitsi").and_then(|id| hosts.get(id)).unwrap();
        assert!(matches!(&metadata.serves, Serves::Component(c) if Some(c.rooms) == meetings));
    }

    #[test]
    fn rooms_have_the_modules_that_their_row_names_and_those_of_their_components() {
        let mut config = config();
        config.hosts.rooms.push(RoomsHost {
            domain: "plain.meet.jitsi".into(),
            modules: vec!["muc_rate_limit".into()],
            lobby: None,
            audience: None,
            breakouts: None,
            policy: Policy::default(),
            tenants: BTreeMap::new(),
        });
        let hosts = Hosts::new(&config);
        let has = |domain: &str, name: &str| {
            let rooms = hosts.rooms(hosts.of(&config, domain).unwrap()).unwrap();
            rooms.modules.iter().any(|m| m.name == name)
        };
        assert!(has("plain.meet.jitsi", "join rate") && has("plain.meet.jitsi", "strip"));
        for meetings_alone in
            ["meeting_id", "lobby", "metadata", "start_muted", "conference_duration", "filter_access"]
        {
            assert!(!has("plain.meet.jitsi", meetings_alone), "{meetings_alone}");
        }
        assert!(has("muc.meet.jitsi", "start_muted"), "comes with the component");
        assert!(
            has("muc.meet.jitsi", "lobby") && has("lobby.meet.jitsi", "lobby"),
            "on both sides of the door"
        );
        assert!(has("muc.meet.jitsi", "conference_duration"), "named on the host with users");
        assert!(has("internal-muc.meet.jitsi", "filter_access") && !has("muc.meet.jitsi", "filter_access"));
    }

    #[test]
    fn a_module_without_its_component_is_nowhere() {
        let mut config = config();
        config.hosts.remove("polls_component");
        let hosts = Hosts::new(&config);
        let meetings = hosts.of(&config, "muc.meet.jitsi").unwrap();
        assert!(hosts.rooms(meetings).unwrap().modules.iter().all(|m| m.name != "polls"));
        assert_eq!(hosts.of(&config, "polls.meet.jitsi"), None);
        assert_eq!(&*hosts.component(meetings, "metadata"), "metadata.meet.jitsi");
    }

    /// Hosts of former configurations were kept for ever.
    #[test]
    fn of_former_hosts_those_stay_that_something_needs() {
        let config = config();
        let mut hosts = Hosts::new(&config);
        let old = hosts.of(&config, "muc.meet.jitsi").unwrap();
        let count = |hosts: &Hosts| hosts.all.iter().flatten().count();
        let one = count(&hosts);
        for _ in 0..100 {
            hosts = hosts.successor(&config, &BTreeSet::from([old]));
        }
        assert_eq!(count(&hosts), 2 * one);
        let new = hosts.of(&config, "muc.meet.jitsi").unwrap();
        assert!(hosts.rooms(old).is_some() && hosts.is_same(old, new) && old != new);
        assert!(hosts.is_current(new) && !hosts.is_current(old));
        let hosts = hosts.successor(&config, &BTreeSet::new());
        assert_eq!(count(&hosts), one);
        assert!(hosts.rooms(old).is_none());
    }

    #[test]
    fn a_tenant_has_its_own_policy_if_the_admin_gave_it_one() {
        let mut config = config();
        let town = Policy { max_participants: Some(2), ..Policy::default() };
        config.hosts.rooms[0].tenants.insert("town".into(), town);
        let hosts = Hosts::new(&config);
        let rooms = hosts.rooms(hosts.of(&config, "muc.meet.jitsi").unwrap()).unwrap();
        assert_eq!(rooms.policy(Some("town")).max_participants, Some(2));
        assert_eq!(rooms.policy(Some("village")).max_participants, None);
        assert_eq!(rooms.policy(None).max_participants, None);
    }
}
