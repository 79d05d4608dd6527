//! What Prosody's files say in; `[[xmpp.users]]`, `[[xmpp.rooms]]` and `[[xmpp.components]]` that say the same, and what has no place in
//! them, out. What restricts and is not understood leaves no tables.

use std::fmt::Write as _;

use super::Found;
use super::prosody::{Host, Options, Said};
use crate::doctor::checks::Finding;
use crate::foreign::keys::sounds_closed;
use crate::foreign::lua::Value;
use crate::foreign::prosody::{USUAL_MODULES, USUAL_OPTIONS};
use crate::words::{Words, words};

/// A table's keys in their order, each written already.
type Rows = Vec<(&'static str, String)>;

/// The tables as they will be written.
#[derive(Debug, Default)]
pub(super) struct Tables {
    require_encryption: Option<bool>,
    users: Vec<Rows>,
    rooms: Vec<Rows>,
    components: Vec<Rows>,
}

impl Tables {
    /// As a file.
    pub(super) fn text(&self) -> String {
        let mut out = String::from(
            "# Written by `plausch migrate`. Secrets may stand in it: for the server's user alone.\n",
        );
        if let Some(on) = self.require_encryption {
            let _ = writeln!(out, "\n[xmpp]\nrequire_encryption = {on}");
        }
        for (name, all) in [("users", &self.users), ("rooms", &self.rooms), ("components", &self.components)]
        {
            for rows in all {
                let _ = writeln!(out, "\n[[xmpp.{name}]]");
                for (key, value) in rows {
                    let _ = writeln!(out, "{key} = {value}");
                }
            }
        }
        out
    }
}

/// `None`: there is no host where people are.
pub(super) fn of(said: &Said, found: &mut Found) -> Option<Tables> {
    let on = |h: &&Host| !matches!(h.options.get("enabled"), Some((Value::Bool(false), _)));
    let users: Vec<&Host> = said.hosts.iter().filter(|h| h.kind.is_none()).filter(on).collect();
    let mucs: Vec<&Host> =
        said.hosts.iter().filter(|h| h.kind.as_deref() == Some("muc")).filter(on).collect();
    let names = Names::of(said, &users, &mucs)?;
    let mut tables = Tables::default();
    if let Some((Value::Bool(on), _)) = said.top.get("c2s_require_encryption") {
        tables.require_encryption = Some(*on);
    }
    for host in first(&users, &names.main) {
        tables.users.push(users_table(said, host, &names, found));
    }
    for host in first(&mucs, &names.meetings) {
        if host.domain.starts_with("lobby.") && names.lobby.as_ref() != Some(&host.domain) {
            let domain = &host.domain;
            found.push(("hosts", left_out(domain, "muc_lobby_rooms")));
            continue;
        }
        tables.rooms.push(rooms_table(said, host, &names, found));
    }
    for host in said.hosts.iter().filter(on) {
        if let Some(kind) = host.kind.as_deref().filter(|kind| *kind != "muc") {
            tables.components.extend(component(host, kind, &names, found));
        }
    }
    for (options, whose) in
        std::iter::once((&said.top, None)).chain(said.hosts.iter().map(|h| (&h.options, Some(h))))
    {
        others(options, whose, found);
    }
    Some(tables)
}

/// Which host is what.
struct Names {
    main: String,
    meetings: String,
    lobby: Option<String>,
    breakouts: Option<String>,
    /// Where focus and bridges have their accounts.
    auth: Option<String>,
}

impl Names {
    fn of(said: &Said, users: &[&Host], mucs: &[&Host]) -> Option<Self> {
        let text =
            |options: &Options, key: &str| options.get(key).and_then(|(v, _)| v.text()).map(str::to_owned);
        let base = text(&said.top, "muc_mapper_domain_base");
        let with_rooms = |h: &&&Host| {
            let domain = &h.domain;
            mucs.iter().any(|m| [format!("conference.{domain}"), format!("muc.{domain}")].contains(&m.domain))
        };
        let main = users
            .iter()
            .find(|h| Some(&h.domain) == base.as_ref())
            .or_else(|| users.iter().find(with_rooms))
            .or_else(|| users.first())?;
        let named = |key: &str| text(&main.options, key).or_else(|| text(&said.top, key));
        let there = |domain: &String| mucs.iter().any(|m| m.domain == *domain);
        let usual = [format!("conference.{}", main.domain), format!("muc.{}", main.domain)];
        let meetings = named("main_muc")
            .or_else(|| named("muc_component"))
            .filter(|d| there(d))
            .or_else(|| usual.into_iter().find(|d| there(d)))
            .or_else(|| mucs.first().map(|m| m.domain.clone()))?;
        let modules = modules_of(said, main);
        let has = |module: &str| modules.iter().any(|(m, _)| m == module);
        let breakouts = named("breakout_rooms_muc").or_else(|| Some(format!("breakout.{}", main.domain)));
        Some(Self {
            lobby: named("lobby_muc").filter(|_| has("muc_lobby_rooms")),
            breakouts: breakouts.filter(|d| has("muc_breakout_rooms") && there(d)),
            auth: users.iter().find(|h| is_inner(h)).map(|h| h.domain.clone()),
            main: main.domain.clone(),
            meetings,
        })
    }
}

/// Whether these are accounts of focus and bridges.
fn is_inner(host: &Host) -> bool {
    host.domain.starts_with("auth.")
}

/// This one before all others.
fn first<'a>(all: &[&'a Host], domain: &str) -> Vec<&'a Host> {
    let mut all = all.to_vec();
    all.sort_by_key(|h| h.domain != domain);
    all
}

/// Modules that a host with users has, with those of all hosts; each with its place.
fn modules_of(said: &Said, host: &Host) -> Vec<(String, String)> {
    let list = |options: &Options, key: &str| -> Vec<(String, String)> {
        let found = options.get(key).map(|(v, place)| (v.texts(), place));
        found.into_iter().flat_map(|(all, p)| all.into_iter().map(|m| (m.to_owned(), p.clone()))).collect()
    };
    let off = [list(&said.top, "modules_disabled"), list(&host.options, "modules_disabled")].concat();
    let mut all = list(&host.options, "modules_enabled");
    if host.kind.is_none() {
        all.extend(list(&said.top, "modules_enabled"));
    }
    all.retain(|(m, _)| off.iter().all(|(o, _)| o != m));
    all
}

/// Those that exist here; others are usual and have no say, or may have one and are named.
fn known(all: Vec<(String, String)>, there: &[&str], found: &mut Found) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for (module, place) in all {
        if there.contains(&module.as_str()) {
            if !kept.contains(&module) {
                kept.push(module);
            }
        } else if !USUAL_MODULES.contains(&module.as_str()) {
            found.push((
                "modules",
                Finding::red(
                    words!(
                        "module {module:?} ({place}) does not exist here, and may keep people out",
                        "Modul {module:?} ({place}) gibt es hier nicht, und es kann Leute draußen halten"
                    ),
                    words!(
                        "remove it there if meetings may go without, or stay with the old server",
                        "dort entfernen, wenn es ohne gehen darf, oder beim alten Server bleiben"
                    ),
                ),
            ));
        }
    }
    kept
}

fn users_table(said: &Said, host: &Host, names: &Names, found: &mut Found) -> Rows {
    let mut modules = known(modules_of(said, host), &prosody_core::modules_of_users(), found);
    if host.domain == names.main {
        // Apps find components by these.
        for module in ["features_identity", "jiconop"] {
            if !modules.iter().any(|m| m == module) {
                modules.push(module.to_owned());
            }
        }
        modules.retain(|m| m != "muc_lobby_rooms" || names.lobby.is_some());
        modules.retain(|m| m != "muc_breakout_rooms" || names.breakouts.is_some());
    }
    let get = |key: &str| host.options.get(key).or_else(|| said.top.get(key));
    let mut rows: Rows = vec![("domain", quoted(&host.domain))];
    let kind = get("authentication").and_then(|(v, _)| v.text()).unwrap_or("internal_hashed");
    match kind {
        "anonymous" | "jitsi-anonymous" => rows.push(("login", quoted("anonymous"))),
        "internal_hashed" | "internal_plain" => rows.push(("login", quoted("accounts"))),
        "token" => {
            rows.push(("login", quoted("token")));
            rows.push(("token", token(&get)));
        }
        other => {
            let (domain, place) = (&host.domain, get("authentication").map_or("", |(_, p)| p));
            let other = service::options::shown(other);
            found.push((
                "login",
                Finding::red(
                    words!(
                        "{domain} lets people in by `{other}` ({place}), which has no counterpart that could be written without asking",
                        "{domain} lässt Leute mit `{other}` herein ({place}), was sich nicht ohne Nachfrage übertragen lässt"
                    ),
                    words!(
                        "with a directory, write `login = \"ldap\"` and `ldap` yourself: docs/admin/login.md",
                        "bei einem Verzeichnis `login = \"ldap\"` und `ldap` selbst schreiben: docs/admin/anmeldung.md"
                    ),
                ),
            ));
        }
    }
    rows.push(("modules", list(modules.iter().map(String::as_str))));
    if let Some((Value::Number(seconds), _)) = get("smacks_hibernation_time") {
        rows.push(("resume_seconds", seconds.clone()));
    }
    if is_inner(host) {
        rows.push(("public", "false".to_owned()));
    }
    rows
}

/// What tokens have to be like, as one line.
fn token<'a>(get: &dyn Fn(&str) -> Option<&'a (Value, String)>) -> String {
    let mut rows = Vec::new();
    for (key, to) in [
        ("app_id", "app_id"),
        ("app_secret", "app_secret"),
        ("asap_key_server", "key_server"),
        ("cache_keys_url", "keys_url"),
        ("signature_algorithm", "algorithm"),
    ] {
        if let Some(text) = get(key).and_then(|(v, _)| v.text()).filter(|t| !t.is_empty()) {
            rows.push(format!("{to} = {}", quoted(text)));
        }
    }
    for (key, to) in [
        ("allow_empty_token", "allow_empty"),
        ("asap_require_room_claim", "require_room"),
        ("enable_domain_verification", "verify_domain"),
        ("token_verification_require_token_for_moderation", "token_for_moderation"),
    ] {
        if let Some((Value::Bool(on), _)) = get(key) {
            rows.push(format!("{to} = {on}"));
        }
    }
    for (key, to) in [("asap_accepted_issuers", "issuers"), ("asap_accepted_audiences", "audiences")] {
        if let Some((value, _)) = get(key) {
            rows.push(format!("{to} = {}", list(value.texts().into_iter())));
        }
    }
    format!("{{ {} }}", rows.join(", "))
}

fn rooms_table(said: &Said, host: &Host, names: &Names, found: &mut Found) -> Rows {
    let mut modules = known(modules_of(said, host), &prosody_core::modules_of_rooms(), found);
    let mut policy = policy(said, host, names);
    let is_inner = host.domain.starts_with("internal");
    if is_inner && !modules.iter().any(|m| m == "muc_filter_access") {
        // Upstream's rooms of bridges are closed by who may make them; ours by who may come near.
        modules.push("muc_filter_access".to_owned());
        let auth: Vec<&str> = names.auth.iter().map(String::as_str).collect();
        policy.push(format!("admitted = {}", list(auth.into_iter())));
    }
    let mut rows: Rows =
        vec![("domain", quoted(&host.domain)), ("modules", list(modules.iter().map(String::as_str)))];
    if host.domain == names.meetings {
        rows.extend(names.lobby.iter().map(|lobby| ("lobby", quoted(lobby))));
        rows.extend(names.breakouts.iter().map(|rooms| ("breakouts", quoted(rooms))));
    }
    // What holds in a meeting holds in its breakout rooms.
    if !policy.is_empty() && names.breakouts.as_ref() != Some(&host.domain) {
        rows.push(("policy", format!("{{ {} }}", policy.join(", "))));
    }
    rows
}

/// What holds in rooms, key by key.
fn policy(said: &Said, host: &Host, names: &Names) -> Vec<String> {
    let main = said.hosts.iter().find(|h| h.domain == names.main && host.domain == names.meetings);
    let get = |key: &str| {
        let elsewhere = || main.and_then(|h| h.options.get(key)).or_else(|| said.top.get(key));
        host.options.get(key).or_else(elsewhere).map(|(v, _)| v)
    };
    let mut rows = Vec::new();
    for (key, to) in NUMBERS {
        if let Some(Value::Number(n) | Value::Text(n)) = get(key)
            && n.parse::<u64>().is_ok()
        {
            rows.push(format!("{to} = {n}"));
        }
    }
    for (key, to) in LISTS {
        if let Some(value @ (Value::Table(_) | Value::Text(_))) = get(key) {
            rows.push(format!("{to} = {}", list(value.texts().into_iter())));
        }
    }
    for (key, to, opposite) in SWITCHES {
        if let Some(Value::Bool(on)) = get(key) {
            rows.push(format!("{to} = {}", *on != *opposite));
        }
    }
    for (key, to) in TABLES {
        if let Some(Value::Table(all)) = get(key) {
            let each = all.iter().filter_map(|(name, v)| match (name, v) {
                (Some(name), Value::Number(n)) if n.parse::<u64>().is_ok() => {
                    Some(format!("{} = {n}", quoted(name)))
                }
                _ => None,
            });
            rows.push(format!("{to} = {{ {} }}", each.collect::<Vec<_>>().join(", ")));
        }
    }
    rows
}

/// Upstream's options of rooms, and what they are in a policy.
const NUMBERS: &[(&str, &str)] = &[
    ("muc_max_occupants", "max_participants"),
    ("conference_max_minutes", "max_minutes"),
    ("muc_limit_messages_count", "max_messages"),
    ("muc_rate_joins", "joins_per_second"),
    ("max_number_outgoing_calls", "max_outgoing_calls"),
    ("audio_translation_max_subscriptions", "max_translations"),
];
const LISTS: &[(&str, &str)] = &[
    ("muc_access_whitelist", "uncounted"),
    ("muc_password_whitelist", "password_exempt"),
    ("muc_lobby_whitelist", "lobby_exempt"),
    ("token_verification_allowlist", "token_exempt"),
    ("muc_filter_whitelist", "admitted"),
    ("room_metadata_blocked_keys", "blocked_metadata"),
    ("allowners_moderated_rooms", "moderated_rooms"),
    ("allowners_moderated_subdomains", "moderated_tenants"),
];
const SWITCHES: &[(&str, &str, bool)] = &[
    ("anonymous_strict", "strict_nicks", false),
    ("allowners_disable_revoke_owners", "owners_revoke", false),
    ("wait_for_host_disable_auto_owners", "hosts_own", true),
    ("muc_lobby_check_display_name_required", "lobby_asks_name", false),
    ("muc_limit_messages_check_token", "tokens_lift_max_messages", false),
    ("auto_allow_visitor_promotion", "viewers_come_in", false),
];
const TABLES: &[(&str, &str)] = &[
    ("max_occupants_for_rooms", "max_participants_of_rooms"),
    ("max_minutes_for_rooms", "max_minutes_of_rooms"),
];

/// Options that are read above.
const READ: &[&str] = &[
    "authentication",
    "modules_enabled",
    "modules_disabled",
    "enabled",
    "app_id",
    "app_secret",
    "asap_key_server",
    "cache_keys_url",
    "signature_algorithm",
    "allow_empty_token",
    "asap_require_room_claim",
    "enable_domain_verification",
    "token_verification_require_token_for_moderation",
    "asap_accepted_issuers",
    "asap_accepted_audiences",
    "breakout_rooms_muc",
    "c2s_require_encryption",
    "restrict_room_creation",
];

fn component(host: &Host, kind: &str, names: &Names, found: &mut Found) -> Option<Rows> {
    let domain = &host.domain;
    if prosody_core::modules_of_components().contains(&kind) {
        let rooms = host.options.get("muc_component").and_then(|(v, _)| v.text()).unwrap_or(&names.meetings);
        let mut rows: Rows = vec![("domain", quoted(domain)), ("module", quoted(kind))];
        if rooms != names.meetings {
            rows.push(("rooms", quoted(rooms)));
        }
        return Some(rows);
    }
    if COME_ALONG.contains(&kind) {
        return None;
    }
    let harmless = kind.is_empty() || HARMLESS.contains(&kind);
    let says = words!(
        "the component {domain} ({kind:?}) has no counterpart here",
        "die Komponente {domain} ({kind:?}) hat hier kein Gegenstück"
    );
    let todo =
        words!("remove it there if meetings may go without", "dort entfernen, wenn es ohne gehen darf");
    found.push(("components", if harmless { Finding::yellow(says, todo) } else { Finding::red(says, todo) }));
    None
}

/// What comes with a row of another kind.
const COME_ALONG: &[&str] = &["breakout_rooms_component", "lobby_component"];

/// Prosody's own, which keep nobody out of a meeting.
const HARMLESS: &[&str] = &["http_file_share", "http_upload", "proxy65", "pubsub", "vjud"];

/// Options that are neither read nor usual.
fn others(options: &Options, whose: Option<&Host>, found: &mut Found) {
    let mapped = |name: &str| {
        NUMBERS.iter().chain(LISTS).chain(TABLES).any(|(key, _)| *key == name)
            || SWITCHES.iter().any(|(key, ..)| *key == name)
    };
    for (name, (value, place)) in options {
        let known = READ.contains(&name.as_str()) || mapped(name) || USUAL_OPTIONS.contains(&name.as_str());
        if known || *value == Value::Nil {
            continue;
        }
        let of = whose.map(|h| format!(" ({})", h.domain)).unwrap_or_default();
        if TURN.contains(&name.as_str()) {
            found.push((
                "turn",
                Finding::yellow(
                    words!(
                        "{place}{of}: TURN servers are no part of the tables",
                        "{place}{of}: TURN-Server gehören nicht in die Tabellen"
                    ),
                    words!(
                        "set turn.hosts, turn.secret and the like",
                        "turn.hosts, turn.secret und so weiter setzen"
                    ),
                ),
            ));
            continue;
        }
        let says =
            words!("{place}{of}: it has no counterpart here", "{place}{of}: dafür gibt es hier nichts");
        found.push((
            "options",
            if sounds_closed(name) || name.starts_with("muc_room_default_members") {
                Finding::red(
                    Words {
                        en: format!("{}, and may keep people out", says.en),
                        de: format!("{}, und es kann Leute draußen halten", says.de),
                    },
                    words!(
                        "remove it there if meetings may go without",
                        "dort entfernen, wenn es ohne gehen darf"
                    ),
                )
            } else {
                Finding::yellow(says, words!("look whether it is needed", "nachsehen, ob es gebraucht wird"))
            },
        ));
    }
}

const TURN: &[&str] = &[
    "external_services",
    "external_service_secret",
    "turncredentials",
    "turncredentials_secret",
    "turncredentials_ttl",
    "turn_external_secret",
    "turn_external_host",
];

fn left_out(domain: &str, module: &str) -> Finding {
    Finding::yellow(
        words!(
            "{domain} is left out: no host names {module}, so that nobody is led there",
            "{domain} bleibt weg: kein Host nennt {module}, so dass niemand dorthin geführt wird"
        ),
        words!("nothing, if there was no lobby", "nichts, wenn es keine Lobby gab"),
    )
}

fn list<'a>(all: impl Iterator<Item = &'a str>) -> String {
    format!("[{}]", all.map(quoted).collect::<Vec<_>>().join(", "))
}

/// A text as TOML has it.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
#[path = "tables_tests.rs"]
mod tests;
