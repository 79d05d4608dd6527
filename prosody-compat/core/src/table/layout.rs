//! docker-jitsi-meet's layout of hosts, as its variables change it: a domain and what is wanted in, the table out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use prosody_token::TokenRules;

use super::{ComponentHost, Login, RoomsHost, Table, UsersHost};
use crate::modules;
use crate::policy::Policy;

impl Table {
    /// docker-jitsi-meet's layout below `domain`, with its defaults.
    pub fn docker(domain: &str) -> Self {
        let muc = format!("muc.{domain}");
        let component = |label: &str, module: &str| ComponentHost {
            domain: format!("{label}.{domain}"),
            module: module.to_owned(),
            rooms: muc.clone(),
        };
        let auth = format!("auth.{domain}");
        let lobby = format!("lobby.{domain}");
        let breakouts = format!("breakout.{domain}");
        Self {
            users: vec![
                UsersHost {
                    domain: domain.to_owned(),
                    login: Login::Anonymous,
                    mechanisms: Vec::new(),
                    modules: owned(MAIN),
                    resume: RESUME,
                    public: true,
                },
                UsersHost {
                    domain: auth.clone(),
                    login: Login::Accounts,
                    mechanisms: Vec::new(),
                    modules: owned(&["smacks", "limits_exception"]),
                    resume: RESUME_ROLES,
                    public: false,
                },
            ],
            rooms: vec![
                RoomsHost {
                    domain: muc.clone(),
                    modules: owned(MEETINGS),
                    lobby: Some(lobby.clone()),
                    audience: None,
                    breakouts: Some(breakouts.clone()),
                    policy: Policy::default(),
                    tenants: BTreeMap::new(),
                },
                RoomsHost {
                    domain: format!("internal-muc.{domain}"),
                    modules: owned(&["muc_hide_all", "muc_filter_access", "muc_password_whitelist"]),
                    lobby: None,
                    audience: None,
                    breakouts: None,
                    policy: Policy { admitted: vec![auth], ..Policy::default() },
                    tenants: BTreeMap::new(),
                },
                RoomsHost {
                    domain: lobby,
                    modules: owned(&["muc_hide_all", "muc_max_occupants", "muc_rate_limit"]),
                    lobby: None,
                    audience: None,
                    breakouts: None,
                    policy: Policy::default(),
                    tenants: BTreeMap::new(),
                },
                RoomsHost {
                    domain: breakouts,
                    modules: owned(BREAKOUTS),
                    lobby: None,
                    audience: None,
                    breakouts: None,
                    policy: Policy::default(),
                    tenants: BTreeMap::new(),
                },
            ],
            components: vec![
                component("focus", "client_proxy"),
                component("speakerstats", "speakerstats_component"),
                component("endconference", "end_conference"),
                component("avmoderation", "av_moderation_component"),
                component("metadata", "room_metadata_component"),
                component("polls", "polls_component"),
            ],
        }
    }

    /// Gives a domain another name, everywhere.
    pub fn rename(&mut self, from: &str, to: &str) {
        let users = self.users.iter_mut().map(|h| &mut h.domain);
        let components = self.components.iter_mut().flat_map(|c| [&mut c.domain, &mut c.rooms]);
        let rooms = self.rooms.iter_mut().flat_map(|h| {
            let beside = h.lobby.iter_mut().chain(&mut h.breakouts).chain(&mut h.audience);
            std::iter::once(&mut h.domain).chain(beside).chain(&mut h.policy.admitted)
        });
        for name in users.chain(components).chain(rooms).filter(|name| *name == from) {
            to.clone_into(name);
        }
    }

    /// A domain of accounts that clients hide: recorders, transcribers.
    pub fn add_hidden(&mut self, domain: &str) {
        self.users.push(UsersHost {
            domain: domain.to_owned(),
            login: Login::Accounts,
            mechanisms: Vec::new(),
            modules: vec!["smacks".to_owned()],
            resume: RESUME,
            public: true,
        });
    }

    /// People log in on the main host with an account.
    pub fn ask_for_accounts(&mut self) {
        if let Some(main) = self.users.first_mut() {
            main.login = Login::Accounts;
        }
    }

    /// People log in on the main host with an account of a directory.
    pub fn ask_the_directory(&mut self) {
        if let Some(main) = self.users.first_mut() {
            main.login = Login::Directory;
        }
    }

    /// People come in on the main host with a token, which says which of the meetings are theirs.
    pub fn ask_for_tokens(&mut self, rules: Arc<TokenRules>) {
        if let Some(main) = self.users.first_mut() {
            main.login = Login::Token(rules);
        }
        if let Some(meetings) = self.rooms.first_mut() {
            meetings.modules.push(modules::TOKEN_VERIFICATION.to_owned());
        }
    }

    /// A domain where everybody may come in without one.
    pub fn add_guests(&mut self, domain: &str) {
        self.users.push(UsersHost {
            domain: domain.to_owned(),
            login: Login::Anonymous,
            mechanisms: Vec::new(),
            modules: vec!["smacks".to_owned()],
            resume: RESUME,
            public: true,
        });
    }

    /// With an audience for the meetings: at most `most` people watch one of them. `domain`: where they log in, `v0.meet.jitsi`.
    pub fn add_audience(&mut self, domain: &str, prefix: &str, most: Option<usize>) {
        let (Some(main), Some(meetings)) = (self.users.first(), self.rooms.first_mut()) else { return };
        let rooms = format!("{prefix}.{domain}");
        let base = main.domain.clone();
        meetings.audience = Some(rooms.clone());
        let mut named = owned(AUDIENCE);
        let login = match &main.login {
            // Viewers have no accounts of their own.
            Login::Anonymous | Login::Accounts | Login::Directory => Login::Anonymous,
            Login::Token(rules) => {
                named.push(modules::TOKEN_VERIFICATION.to_owned());
                Login::Token(Arc::clone(rules))
            }
        };
        let policy = Policy { max_participants: most, ..meetings.policy.clone() };
        let (of_meetings, resume) = (meetings.domain.clone(), main.resume);
        self.users.push(UsersHost {
            domain: domain.to_owned(),
            login,
            mechanisms: Vec::new(),
            modules: owned(OF_VIEWERS),
            resume,
            public: true,
        });
        self.rooms.push(RoomsHost {
            domain: rooms.clone(),
            modules: named,
            lobby: None,
            audience: None,
            breakouts: None,
            policy,
            tenants: BTreeMap::new(),
        });
        for (domain, module, rooms) in [
            (format!("visitors.{base}"), "visitors_component", of_meetings),
            (format!("metadata.{domain}"), "room_metadata_component", rooms.clone()),
            (format!("polls.{domain}"), "polls_component", rooms.clone()),
            (format!("filesharing.{domain}"), "filesharing_component", rooms),
        ] {
            let wanted = module == "visitors_component" || self.components.iter().any(|c| c.module == module);
            if wanted {
                self.components.push(ComponentHost { domain, module: module.to_owned(), rooms });
            }
        }
    }

    /// A focus of Jitsi's own leads people there, whose second account is on this domain.
    pub fn add_focus_of_viewers(&mut self, domain: &str) {
        let auth = self.users.iter().find(|h| !h.public);
        let (modules, resume) = auth.map_or((Vec::new(), RESUME), |h| (h.modules.clone(), h.resume));
        self.users.push(UsersHost {
            domain: domain.to_owned(),
            login: Login::Accounts,
            mechanisms: Vec::new(),
            modules,
            resume,
            public: false,
        });
    }

    /// Without a lobby for the meetings.
    pub fn remove_lobby(&mut self) {
        let lobby = self.rooms.first_mut().and_then(|meetings| meetings.lobby.take());
        self.rooms.retain(|r| Some(&r.domain) != lobby.as_ref());
        for host in &mut self.users {
            host.modules.retain(|m| m != modules::LOBBY);
        }
    }

    /// Without breakout rooms of the meetings.
    pub fn remove_breakouts(&mut self) {
        let breakouts = self.rooms.first_mut().and_then(|meetings| meetings.breakouts.take());
        self.rooms.retain(|r| Some(&r.domain) != breakouts.as_ref());
        for host in &mut self.users {
            host.modules.retain(|m| m != modules::BREAKOUTS);
        }
    }

    /// Without the components of this module.
    pub fn remove(&mut self, module: &str) {
        self.components.retain(|c| c.module != module);
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

/// 70 s: clients try until about 65 s (client §2.5).
const RESUME: Duration = Duration::from_secs(70);
/// 15 s, as upstream.
const RESUME_ROLES: Duration = Duration::from_secs(15);

/// What docker-jitsi-meet names on the main host, and what is ours to add.
const MAIN: &[&str] = &[
    "features_identity",
    "jiconop",
    "bosh",
    "websocket",
    "smacks",
    "conference_duration",
    "muc_lobby_rooms",
    "muc_breakout_rooms",
    "filter_direct_messages",
];

/// What the host has where viewers log in.
const OF_VIEWERS: &[&str] =
    &["features_identity", "jiconop", "bosh", "websocket", "smacks", "filter_direct_messages"];

/// What the rooms have from where people watch; as in the meetings, and upstream's `fmuc`, which makes it an audience.
const AUDIENCE: &[&str] = &[
    "fmuc",
    "muc_hide_all",
    "muc_meeting_id",
    "muc_domain_mapper",
    "muc_resource_validate",
    "muc_max_occupants",
    "muc_rate_limit",
    "filter_messages",
];

/// What it names in the meetings; those that wait for an option of the policy are always there.
const MEETINGS: &[&str] = &[
    "muc_hide_all",
    "muc_meeting_id",
    "muc_domain_mapper",
    "muc_password_whitelist",
    "muc_resource_validate",
    "muc_max_occupants",
    "muc_rate_limit",
    "muc_allowners",
    "filter_messages",
    "reservations",
];

/// What it names in breakout rooms.
const BREAKOUTS: &[&str] =
    &["muc_hide_all", "muc_meeting_id", "muc_resource_validate", "muc_rate_limit", "filter_messages"];
