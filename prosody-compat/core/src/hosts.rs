//! The configuration in; a table of what answers for which domain name out. Nothing after this asks which domain has
//! which name: a host is what its [`HostDef`] says.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::auth::Mechanism;
use crate::config::{Config, MainAuth};
use crate::identity::HostId;
use crate::module::{Module, Modules};
use crate::modules::{ACCOUNTS_ALONE, BREWERIES, MEETINGS, PEOPLE};
use crate::policy::Policy;
use crate::tenants;

/// A local domain.
pub(crate) struct HostDef {
    pub(crate) domain: String,
    pub(crate) serves: Serves,
}

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
    /// Offered in this order.
    pub(crate) mechanisms: &'static [Mechanism],
    /// How long a lost session waits to be resumed.
    pub(crate) resume: Duration,
    /// What answers here.
    pub(crate) modules: Modules,
    /// Its accounts are the roles'.
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
}

impl RoomsDef {
    /// What holds in the rooms of a tenant, or of nobody.
    pub(crate) fn policy(&self, tenant: Option<&str>) -> &Arc<Policy> {
        tenant.and_then(|t| self.tenants.get(t)).unwrap_or(&self.policy)
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
    all: Vec<HostDef>,
    by_domain: HashMap<String, HostId>,
    /// Where the virtual domains of tenants lead.
    meetings: HostId,
}

impl Hosts {
    pub(crate) fn new(config: &Config) -> Self {
        Self::with_modules(config, MEETINGS)
    }

    /// The hosts of `config`, with these modules in the meetings.
    pub(crate) fn with_modules(config: &Config, meetings: &[&'static Module]) -> Self {
        let mut hosts = Self { all: Vec::new(), by_domain: HashMap::new(), meetings: HostId(0) };
        let main = match config.main_auth {
            MainAuth::Anonymous => ANONYMOUS,
            MainAuth::Internal => ACCOUNTS,
        };
        let enabled = |list: &[&'static Module]| -> Modules {
            list.iter().copied().filter(|m| (m.enabled)(config)).collect()
        };
        let users = |(anonymous, mechanisms), resume, list: &[&[&'static Module]]| {
            let (services, modules) = (false, enabled(&list.concat()));
            Serves::Users(Users { anonymous, mechanisms, resume, modules, services })
        };
        let (anonymous, mechanisms) = ACCOUNTS;
        let roles = Users {
            anonymous,
            mechanisms,
            resume: config.resume_timeout_auth,
            modules: enabled(&ACCOUNTS_ALONE.concat()),
            services: true,
        };
        hosts.add(&config.domain, users(main, config.resume_timeout, PEOPLE));
        hosts.add(&config.auth_domain, Serves::Users(roles));
        if let Some(domain) = &config.guest_domain {
            hosts.add(domain, users(ANONYMOUS, config.resume_timeout, PEOPLE));
        }
        if let Some(domain) = &config.hidden_domain {
            hosts.add(domain, users(ACCOUNTS, config.resume_timeout, ACCOUNTS_ALONE));
        }
        let modules = enabled(meetings);
        hosts.meetings = hosts.add(
            &config.muc_domain,
            Serves::Rooms(RoomsDef {
                modules: modules.clone(),
                policy: Arc::new(config.policy.clone()),
                tenants: config
                    .tenant_policies
                    .iter()
                    .map(|(tenant, policy)| (tenant.clone(), Arc::new(policy.clone())))
                    .collect(),
            }),
        );
        hosts.add(
            &config.internal_muc_domain,
            Serves::Rooms(RoomsDef {
                modules: enabled(BREWERIES),
                policy: Arc::new(Policy {
                    password_exempt: config.policy.password_exempt.clone(),
                    ..Policy::default()
                }),
                tenants: BTreeMap::new(),
            }),
        );
        for module in modules.iter().copied() {
            if let Some(component) = &module.component {
                let serves = Serves::Component(ComponentDef { module, rooms: hosts.meetings });
                hosts.add(&(component.address)(config), serves);
            }
        }
        hosts
    }

    /// The first to claim a name has it.
    fn add(&mut self, domain: &str, serves: Serves) -> HostId {
        let id = HostId(self.all.len());
        self.by_domain.entry(domain.to_owned()).or_insert(id);
        self.all.push(HostDef { domain: domain.to_owned(), serves });
        id
    }

    /// The host that serves `domain`; exact names win over the pattern for tenants.
    pub(crate) fn of(&self, config: &Config, domain: &str) -> Option<HostId> {
        let exact = self.by_domain.get(domain).copied();
        exact.or_else(|| tenants::domains(config).contains(domain).then_some(self.meetings))
    }

    pub(crate) fn get(&self, id: HostId) -> Option<&HostDef> {
        self.all.get(id.0)
    }

    /// The host as one with users.
    pub(crate) fn users(&self, id: HostId) -> Option<&Users> {
        match &self.get(id)?.serves {
            Serves::Users(users) => Some(users),
            _ => None,
        }
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
        self.all.iter().flat_map(|host| match &host.serves {
            Serves::Users(users) => users.modules.iter().copied(),
            Serves::Rooms(rooms) => rooms.modules.iter().copied(),
            Serves::Component(_) => [].iter().copied(),
        })
    }

    /// Components with their domains, in the order of their identities.
    pub(crate) fn components(&self) -> impl Iterator<Item = (&str, &ComponentDef)> {
        self.all.iter().filter_map(|host| match &host.serves {
            Serves::Component(c) => Some((host.domain.as_str(), c)),
            _ => None,
        })
    }
}

const ANONYMOUS: (bool, &[Mechanism]) = (true, &[Mechanism::Anonymous]);
const ACCOUNTS: (bool, &[Mechanism]) = (false, Mechanism::WITH_PASSWORD);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_what_the_configuration_says() {
        let mut config = Config::for_domain("meet.jitsi").unwrap();
        config.guest_domain = Some("guest.meet.jitsi".into());
        config.main_auth = MainAuth::Internal;
        let hosts = Hosts::new(&config);
        let users = |domain: &str| hosts.users(hosts.of(&config, domain).unwrap());
        assert!(!users("meet.jitsi").unwrap().anonymous && users("guest.meet.jitsi").unwrap().anonymous);
        let has = |domain: &str, name: &str| users(domain).unwrap().modules.iter().any(|m| m.name == name);
        assert!(has("meet.jitsi", "components") && has("guest.meet.jitsi", "components"));
        assert!(has("auth.meet.jitsi", "ping") && !has("auth.meet.jitsi", "components"));
        assert_eq!(users("auth.meet.jitsi").unwrap().resume, Duration::from_secs(15));
        assert!(users("muc.meet.jitsi").is_none() && hosts.of(&config, "hidden.meet.jitsi").is_none());
        let meetings = hosts.of(&config, "muc.meet.jitsi");
        assert_eq!(hosts.of(&config, "muc.town.meet.jitsi"), meetings, "a tenant's virtual domain");
        let metadata = hosts.of(&config, "metadata.meet.jitsi").and_then(|id| hosts.get(id)).unwrap();
        assert!(matches!(&metadata.serves, Serves::Component(c) if Some(c.rooms) == meetings));
    }

    #[test]
    fn a_tenant_has_its_own_policy_if_the_admin_gave_it_one() {
        let mut config = Config::for_domain("meet.jitsi").unwrap();
        let town = Policy { max_participants: Some(2), ..Policy::default() };
        config.tenant_policies.insert("town".into(), town);
        let hosts = Hosts::new(&config);
        let rooms = hosts.rooms(hosts.of(&config, "muc.meet.jitsi").unwrap()).unwrap();
        assert_eq!(rooms.policy(Some("town")).max_participants, Some(2));
        assert_eq!(rooms.policy(Some("village")).max_participants, None);
        assert_eq!(rooms.policy(None).max_participants, None);
    }
}
