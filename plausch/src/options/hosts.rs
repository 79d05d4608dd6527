//! `[[xmpp.users]]`, `[[xmpp.rooms]]` and `[[xmpp.components]]`, or the options that describe docker-jitsi-meet's layout, in; the
//! names of the domains out. Whoever writes the tables writes all of it there: an option that the tables do not heed stops the start.

use prosody_server::programs::RawPrograms;
use prosody_server::short_lived::RawShortLived;
use prosody_server::table::{RawComponent, RawLogin, RawRooms, RawUsers};
use service::{Effective, Origin, StartError};

use super::{Domains, domain};

/// Tables of hosts as written.
#[derive(Debug, Clone)]
pub(crate) struct HostTables {
    pub(crate) users: Vec<RawUsers>,
    pub(crate) rooms: Vec<RawRooms>,
    pub(crate) components: Vec<RawComponent>,
}

/// Programs that change meetings over HTTP, beside tables of hosts and beside the layout.
pub(super) fn programs(e: &Effective) -> Result<Vec<RawPrograms>, StartError> {
    e.tables("xmpp.programs")
}

/// Tokens of our own for services that people of a meeting use.
pub(super) fn short_lived_tokens(e: &Effective) -> Result<Vec<RawShortLived>, StartError> {
    e.tables("xmpp.short_lived_tokens")
}

pub(super) fn read(e: &Effective) -> Result<(Domains, Option<HostTables>), StartError> {
    let tables = HostTables {
        users: e.tables("xmpp.users")?,
        rooms: e.tables("xmpp.rooms")?,
        components: e.tables("xmpp.components")?,
    };
    if tables.users.is_empty() && tables.rooms.is_empty() && tables.components.is_empty() {
        let main = domain(e, "xmpp.domain", "")?;
        let domains = Domains {
            auth: domain(e, "xmpp.auth_domain", &format!("auth.{main}"))?,
            muc: domain(e, "xmpp.muc_domain", &format!("muc.{main}"))?,
            internal_muc: domain(e, "xmpp.internal_muc_domain", &format!("internal-muc.{main}"))?,
            viewers: e
                .is_on("visitors.enabled")
                .then(|| domain(e, "visitors.domain", VIEWERS))
                .transpose()?
                .map(|d| format!("v0.{d}")),
            main,
        };
        return Ok((domains, None));
    }
    if let Some((key, instead)) = LAYOUT.iter().find(|(key, _)| *e.origin(key) != Origin::Default) {
        return Err(e.bad(key, format!("has no place beside the tables of hosts: {instead}")));
    }
    domains(e, &tables).map(|domains| (domains, Some(tables)))
}

/// Options that describe the layout, and where the tables say the same.
const LAYOUT: &[(&str, &str)] = &[
    ("xmpp.domain", "the first of xmpp.users is the main one"),
    ("xmpp.auth_domain", "the one of xmpp.users with `public = false` has the roles' accounts"),
    ("xmpp.muc_domain", "the first of xmpp.rooms has the meetings"),
    ("xmpp.internal_muc_domain", "the one of xmpp.rooms with the module `muc_filter_access` has the bridges"),
    ("login.required", "write `login = \"accounts\"` in the first of xmpp.users"),
    ("login.type", "write `login` in the first of xmpp.users"),
    ("login.token.app_id", "write `token` in xmpp.users"),
    ("login.token.key_server", "write `key_server` in `token` of xmpp.users"),
    ("login.ldap.url", "write `ldap` in xmpp.users"),
    ("login.ldap.moderators", "write `moderators` in `ldap` of xmpp.users"),
    ("login.ldap.recheck", "write `recheck_seconds` in `ldap` of xmpp.users"),
    ("login.guests", "a second one of xmpp.users with `login = \"anonymous\"` is for them"),
    ("login.guest_domain", "a second one of xmpp.users with `login = \"anonymous\"` is for them"),
    ("services.hidden_domain", "write a host with `login = \"accounts\"` and `hidden = true` in xmpp.users"),
    ("xmpp.max_participants", "write `max_participants` in the policy of xmpp.rooms"),
    ("xmpp.modules", "write `modules` in xmpp.users"),
    ("services.recording_metadata", "write `jibri_session` in the modules of xmpp.users"),
    ("rooms.modules", "write `modules` in xmpp.rooms"),
    ("rooms.lobby_modules", "write `modules` in xmpp.rooms"),
    ("rooms.breakout_modules", "write `modules` in xmpp.rooms"),
    ("rooms.internal_modules", "write `modules` in xmpp.rooms"),
    ("rooms.wait_for_host_disable_auto_owners", "write `hosts_own` in the policy of xmpp.rooms"),
    ("rooms.strict_nicks", "write `strict_nicks` in the policy of xmpp.rooms"),
    ("rooms.lobby", "leave `lobby` in xmpp.rooms out or in"),
    ("visitors.enabled", "leave `audience` in xmpp.rooms out or in"),
    ("visitors.domain", "write `audience` in xmpp.rooms"),
    ("visitors.max_viewers", "write `max_participants` in the policy of the audience"),
    (
        "visitors.focus_domain",
        "write a host `auth.` and the viewers' domain with `public = false` in xmpp.users",
    ),
    ("visitors.come_in", "write `viewers_come_in` in the policy of xmpp.rooms"),
    ("rooms.breakout_rooms", "leave `breakouts` in xmpp.rooms out or in"),
    ("rooms.av_moderation", "leave the component out or in"),
    ("rooms.end_conference", "leave the component out or in"),
    ("rooms.disable_polls", "leave the component out or in"),
];

/// What the web client takes as the domain above those of viewers, whatever the server's is.
const VIEWERS: &str = "meet.jitsi";

fn domains(e: &Effective, t: &HostTables) -> Result<Domains, StartError> {
    let lower = |name: &String| name.to_lowercase();
    let missing = |key: &str, what: &str| e.bad(key, format!("names no {what}"));
    let inner = t.users.iter().find(|h| !h.public);
    let auth = inner.or_else(|| t.users.iter().find(|h| h.login == RawLogin::Accounts));
    let breweries = t.rooms.iter().skip(1).find(|h| h.modules.iter().any(|m| m == "muc_filter_access"));
    let audience = t.rooms.first().and_then(|h| h.audience.as_ref()).map(lower);
    Ok(Domains {
        viewers: audience.and_then(|a| a.split_once('.').map(|(_, users)| users.to_owned())),
        main: t.users.first().map(|h| lower(&h.domain)).ok_or_else(|| missing("xmpp.users", "host"))?,
        auth: auth
            .map(|h| lower(&h.domain))
            .ok_or_else(|| missing("xmpp.users", "host with accounts for focus and bridges"))?,
        muc: t.rooms.first().map(|h| lower(&h.domain)).ok_or_else(|| missing("xmpp.rooms", "host"))?,
        internal_muc: breweries.map(|h| lower(&h.domain)).ok_or_else(|| {
            missing("xmpp.rooms", "second host with the module `muc_filter_access`, where bridges are found")
        })?,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use service::options::{ConfigFile, Sources};

    use super::*;
    use crate::options::SETTINGS;

    /// As the admin's page has it.
    fn page() -> String {
        let page = include_str!("../../../docs/admin/configuration.md");
        let (_, after) = page.split_once("```toml\n").unwrap();
        after.split_once("```").unwrap().0.to_owned()
    }

    fn load(text: &str, env: &[(&str, &str)]) -> Result<(Domains, Option<HostTables>), String> {
        let file = ConfigFile { path: "town.toml".into(), text: text.to_owned() };
        let env = |name: &str| env.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        let sources = Sources { defaults: None, file: Some(&file), env: &env, flags: BTreeMap::new() };
        let effective = Effective::load(SETTINGS, &sources).map_err(|e| e.to_string())?;
        read(&effective).map_err(|e| e.to_string())
    }

    #[test]
    fn the_tables_of_the_page_say_where_everything_is() {
        let (domains, tables) = load(&page(), &[]).unwrap();
        assert_eq!(domains.main, "meet.town.example");
        assert_eq!(domains.auth, "auth.meet.town.example");
        assert_eq!(domains.muc, "muc.meet.town.example");
        assert_eq!(domains.internal_muc, "internal-muc.meet.town.example");
        let HostTables { users, rooms, components } = tables.unwrap();
        let raw = prosody_server::Raw { users, rooms, components, ..prosody_server::Raw::default() };
        let config = prosody_server::Config::from_raw(raw).unwrap().core;
        assert_eq!(config.focus.as_str(), "focus@auth.meet.town.example");
        assert_eq!(config.hosts.rooms[0].tenants["school"].max_participants, Some(40));
    }

    #[test]
    fn an_option_that_the_tables_would_not_heed_stops_the_start() {
        for (name, value) in
            [("MAX_PARTICIPANTS", "5"), ("XMPP_DOMAIN", "other.example"), ("DISABLE_POLLS", "1")]
        {
            let error = load(&page(), &[(name, value)]).unwrap_err();
            assert!(error.contains("beside the tables"), "{name}: {error}");
        }
        assert!(load("", &[("MAX_PARTICIPANTS", "5")]).unwrap().1.is_none(), "without tables it is heeded");
    }

    #[test]
    fn what_the_tables_lack_is_said() {
        let error = |from: &str, to: &str| load(&page().replace(from, to), &[]).unwrap_err();
        let unknown = error("public = false", "publik = false");
        assert!(unknown.contains("xmpp.users") && unknown.contains("publik"), "{unknown}");
        let login = error("login = \"anonymous\"", "login = \"everybody\"");
        assert!(login.contains("table 1") && login.contains("everybody"), "{login}");
        let wrong = error("module = \"client_proxy\"", "module = 4711");
        assert!(wrong.contains("table 1") && !wrong.contains("4711"), "no value is repeated: {wrong}");
        assert!(error("muc_filter_access", "muc_hide_all").contains("muc_filter_access"));
        assert!(load("[xmpp]\nusers = 1\n", &[]).unwrap_err().contains("double brackets"));
    }
}
