//! What files of Prosody's say, as data, in; what of it has a meaning here, and what would keep people out and does not, out.

use super::custom::Custom;
use super::keys::sounds_closed;
use super::lua::{Assignment, Document, Place, Value};
use crate::words::{Words, words};

/// Adds what a file says. `main`: the host at which people are; `from`: the file's name in messages.
pub(crate) fn judge(document: &Document, main: &str, from: &str, custom: &mut Custom) {
    for line in &document.more {
        let place = format!("{from}, line {line}");
        custom.restrict(
            from.to_owned(),
            place,
            words!(
                "this is more than data: what it says is known only to who executes it, and nothing is",
                "das sind nicht nur Daten: was es heißt, weiß nur, wer es ausführt, und das tut niemand"
            ),
        );
    }
    for include in &document.includes {
        let place = format!("Include {include:?} in {from}");
        custom.restrict(
            from.to_owned(),
            place,
            words!(
                "other files are not followed, and may keep people out",
                "andere Dateien werden nicht verfolgt, und sie können Leute draußen halten"
            ),
        );
    }
    for place in &document.places {
        if let Place::Host(host) = place
            && host.starts_with("guest.")
        {
            custom.restrict(
                host.clone(),
                format!("VirtualHost {host:?} in {from}"),
                words!(
                    "guests are apart from people who log in, and nobody can log in yet",
                    "Gäste sind von Leuten mit Anmeldung getrennt, und anmelden kann sich noch niemand"
                ),
            );
        }
    }
    for a in &document.assignments {
        option(a, main, from, custom);
    }
}

/// Whether everybody gets in at this host.
pub(super) fn is_open(document: &Document, host: &str) -> bool {
    document.assignments.iter().any(|a| {
        let here = matches!(&a.place, Place::Host(at) if at == host);
        here && a.name == "authentication" && a.value.text().is_some_and(|kind| OPEN.contains(&kind))
    })
}

fn closed() -> Words {
    words!(
        "it may keep people out, and is not there yet",
        "das kann Leute draußen halten und ist noch nicht da"
    )
}

fn option(a: &Assignment, main: &str, from: &str, custom: &mut Custom) {
    let place = format!("{} in {from}, line {}", a.name, a.line);
    let at_main = matches!(&a.place, Place::Host(host) if host == main);
    let top = a.place == Place::Top;
    match (a.name.as_str(), &a.value) {
        ("authentication", Value::Text(kind)) if at_main && !OPEN.contains(&kind.as_str()) => {
            custom.restrict(
                "authentication".into(),
                format!("authentication = {kind:?} in {from}"),
                words!(
                    "people cannot log in yet, so that everybody could open a meeting",
                    "eine Anmeldung gibt es noch nicht, so dass alle eine Besprechung öffnen könnten"
                ),
            );
        }
        ("authentication", Value::Text(_)) => {}
        ("modules_enabled", value) => {
            for module in value.texts() {
                if prosody_server::config::MODULES.contains(&module) && at_main {
                    custom.add("XMPP_MODULES", module, place.clone());
                } else if !USUAL_MODULES.contains(&module) {
                    custom.restrict(
                        module.to_owned(),
                        format!("module {module:?} in {from}, line {}", a.line),
                        words!(
                            "Lua modules cannot be loaded, and many of them keep people out",
                            "Lua-Module können nicht geladen werden, und viele von ihnen halten Leute draußen"
                        ),
                    );
                }
            }
        }
        ("c2s_require_encryption", Value::Bool(true)) => {
            custom.say("PROSODY_C2S_REQUIRE_ENCRYPTION", "1".into(), place);
        }
        ("c2s_require_encryption", Value::Bool(false)) if top => {
            custom.say("PROSODY_C2S_REQUIRE_ENCRYPTION", "0".into(), place);
        }
        ("c2s_require_encryption", Value::Bool(false)) => {}
        ("muc_max_occupants" | "max_occupants", Value::Number(n) | Value::Text(n)) => {
            custom.say("MAX_PARTICIPANTS", n.clone(), place);
        }
        ("turncredentials_ttl", Value::Number(n)) => custom.say("TURN_TTL", n.clone(), place),
        ("trusted_proxies", value) => custom.say("PROSODY_TRUSTED_PROXIES", value.texts().join(","), place),
        ("external_service_secret" | "turncredentials_secret", Value::Text(secret)) => {
            custom.say("TURN_CREDENTIALS", secret.clone(), place);
        }
        // The second of both is that of packages before 2021.
        ("external_services" | "turncredentials", value) => services(value, main, &place, custom),
        // compat: Jitsi's own template has it for every room host, and so are our rooms: only the focus makes them
        // (test: compat_debian_s_files_are_heeded).
        ("restrict_room_creation", Value::Bool(true) | Value::Text(_)) => {}
        (_, Value::Nil) => {}
        (name, _) if USUAL_OPTIONS.contains(&name) => {}
        (name, _) if sounds_closed(name) || name.starts_with("muc_room_default_members") => {
            custom.restrict(name.to_owned(), place, closed());
        }
        _ => custom.useless.push(place),
    }
}

/// Each server that clients are told of. Ports and transports of several have to be alike: there is one option for all.
fn services(value: &Value, main: &str, place: &str, custom: &mut Custom) {
    let Value::Table(all) = value else { return custom.useless.push(place.to_owned()) };
    let text = |one: &Value, key: &str| match one.at(key) {
        Some(Value::Text(t) | Value::Number(t)) => Some(t.clone()),
        _ => None,
    };
    for (_, one) in all {
        let Some(kind) = text(one, "type") else {
            custom.useless.push(place.to_owned());
            continue;
        };
        let host = text(one, "host").unwrap_or_else(|| main.to_owned());
        let (hosts, ports, usual) = match kind.as_str() {
            "stun" => ("STUN_HOST", "STUN_PORT", "3478"),
            "turn" => ("TURN_HOST", "TURN_PORT", "3478"),
            "turns" => ("TURNS_HOST", "TURNS_PORT", "5349"),
            _ => {
                custom.useless.push(place.to_owned());
                continue;
            }
        };
        if kind == "stun" {
            custom.say(hosts, host, place.to_owned());
        } else {
            custom.add(hosts, &host, place.to_owned());
        }
        custom.say(ports, text(one, "port").unwrap_or_else(|| usual.into()), place.to_owned());
        if kind == "turn" {
            custom.add(
                "TURN_TRANSPORT",
                &text(one, "transport").unwrap_or_else(|| "udp".into()),
                place.to_owned(),
            );
        }
        if let Some(ttl) = text(one, "ttl") {
            custom.say("TURN_TTL", ttl, place.to_owned());
        }
        for (key, variable) in
            [("username", "TURN_USERNAME"), ("password", "TURN_PASSWORD"), ("secret", "TURN_CREDENTIALS")]
        {
            if let Some(said) = text(one, key) {
                custom.say(variable, said, place.to_owned());
            }
        }
    }
}

/// Ways in for everybody.
const OPEN: &[&str] = &["anonymous", "jitsi-anonymous"];

/// Modules of Jitsi's own templates, and of Prosody's, whose work is done here without them, or is none of ours; none keeps anybody out
/// who is not kept out here (docs/admin/environment.md).
pub(crate) const USUAL_MODULES: &[&str] = &[
    // Prosody's.
    "admin_shell",
    "admin_adhoc",
    "announce",
    "blocklist",
    "bookmarks",
    "bosh",
    "carbons",
    "csi_simple",
    "disco",
    "dialback",
    "external_services",
    "groups",
    "http_health",
    "http_openmetrics",
    "lastactivity",
    "limits",
    "limits_exception",
    "mam",
    "offline",
    "pep",
    "ping",
    "posix",
    "private",
    "proxy65",
    "register",
    "roster",
    "s2s",
    "s2s_bidi",
    "saslauth",
    "server_contact_info",
    "smacks",
    "time",
    "tls",
    "tombstones",
    "turn_external",
    "uptime",
    "vcard4",
    "vcard_legacy",
    "version",
    "watchregistrations",
    "websocket",
    "c2s",
    "http_files",
    "motd",
    "cloud_notify",
    "muc",
    // Jitsi's.
    "adhoc",
    "av_moderation",
    "client_proxy",
    "conference_duration",
    "end_conference",
    "filesharing",
    "jitsi_session",
    "muc_breakout_rooms",
    "muc_domain_mapper",
    "muc_hide_all",
    "muc_limit_messages",
    "muc_lobby_rooms",
    "muc_meeting_id",
    "muc_password_whitelist",
    "muc_rate_limit",
    "muc_resource_validate",
    "muc_size",
    "muc_census",
    "muc_transcription_filter",
    "polls",
    "presence_identity",
    "rate_limit",
    "room_metadata",
    "speakerstats",
    "turncredentials",
    "features_identity",
    "filter_iq_jibri",
    "filter_iq_rayo",
    "jiconop",
    "s2s_whitelist",
    "secure_interfaces",
    "visitors",
];

/// Options of the same that have no say in who gets in.
pub(crate) const USUAL_OPTIONS: &[&str] = &[
    "admins",
    "av_moderation_component",
    "breakout_rooms_component",
    "breakout_rooms_muc",
    "certificates",
    "component_interfaces",
    "component_ports",
    "conference_duration_component",
    "consider_bosh_secure",
    "consider_websocket_secure",
    "cross_domain_bosh",
    "cross_domain_websocket",
    "c2s_interfaces",
    "c2s_ports",
    "daemonize",
    "data_path",
    "end_conference_component",
    "gc",
    "http_cors_override",
    "http_default_host",
    "http_external_url",
    "http_interfaces",
    "http_ports",
    "https_interfaces",
    "https_ports",
    "interfaces",
    "jigasi_sip_uri",
    "lobby_muc",
    "log",
    "main_muc",
    "muc_component",
    "muc_lobby_whitelist",
    "muc_mapper_domain_base",
    "muc_mapper_domain_prefix",
    "muc_password_whitelist",
    "muc_room_cache_size",
    "muc_room_default_presence_broadcast",
    "muc_room_default_public_jids",
    "muc_room_locking",
    "muc_tombstones",
    "network_backend",
    "network_settings",
    "pidfile",
    "plugin_paths",
    "plugin_server",
    "installer_plugin_path",
    "polls_component",
    "room_metadata_component",
    "run_as_root",
    "s2s_ports",
    "s2s_interfaces",
    "s2s_require_encryption",
    "s2s_secure_auth",
    "smacks_hibernation_time",
    "smacks_max_hibernated_sessions",
    "smacks_max_old_sessions",
    "smacks_max_unacked_stanzas",
    "speakerstats_component",
    "ssl",
    "statistics",
    "statistics_interval",
    "storage",
    "target_address",
    "tls_profile",
    "unlimited_jids",
    "use_libevent",
    "external_service_host",
    "external_service_port",
    "external_service_ttl",
    "name",
    "muc_rate_joins",
    "limits",
    "limits_resolution",
    "modules_disabled",
    "bosh_max_inactivity",
    "http_max_content_size",
    "default_storage",
    "archive_expires_after",
    "authorization",
    "reload_modules",
    "component_admins_as_room_owners",
];
