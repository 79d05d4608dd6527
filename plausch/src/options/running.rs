//! The name of an option in; whether a server that runs can take another value of it, out.

use super::Role;

/// Whether it counts from now on, for rooms and logins that begin then; otherwise it waits for a restart.
pub(crate) fn takes_at_once(role: Role, key: &str) -> bool {
    let all = match role {
        Role::AllInOne | Role::Xmpp => AT_ONCE,
        // Their engines are told once what they do.
        Role::Focus | Role::Videobridge => EVERYWHERE,
    };
    let belongs = |entry: &str| match entry.strip_suffix('*') {
        Some(group) => key.starts_with(group),
        None => key == entry,
    };
    all.iter().any(|entry| belongs(entry)) && !RESTART.contains(&key)
}

const EVERYWHERE: &[&str] = &["log.filter", "start.accept", "start.jitsi_config"];

/// Options, and groups of them.
const AT_ONCE: &[&str] = &[
    "log.filter",
    "start.accept",
    "start.jitsi_config",
    // What pages and the app are told.
    "http.web",
    "http.config_js",
    "http.custom_config_js",
    "http.custom",
    "http.csp",
    "client.*",
    // What holds in rooms, and who comes in.
    "rooms.*",
    "visitors.come_in",
    "login.token.*",
    "login.ldap.*",
    // Who they are and where they are found is what the focus was told.
    "services.jibri_password",
    "services.recorder_password",
    "services.jigasi_password",
    "services.transcriber_password",
    "services.admins",
    "focus.password",
    "bridge.password",
    "xmpp.require_encryption",
    "xmpp.max_participants",
    "xmpp.modules",
    "xmpp.users",
    "xmpp.rooms",
    "xmpp.components",
    "xmpp.programs",
    "xmpp.short_lived_tokens",
    "turn.*",
];

/// Of those groups what cannot.
const RESTART: &[&str] = &["turn.listen", "turn.peers"];

/// The tables of hosts, which belong together.
pub(crate) const HOSTS: &[&str] = &["xmpp.users", "xmpp.rooms", "xmpp.components"];

/// Options of TURN servers. With one of our own they are what it was started with.
pub(crate) const TURN: &str = "turn.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::SETTINGS;

    #[test]
    fn every_name_in_the_lists_is_an_option_or_a_group_of_some() {
        for entry in AT_ONCE.iter().chain(EVERYWHERE).chain(RESTART).chain(HOSTS) {
            let group = entry.trim_end_matches('*');
            let is_one = |key: &str| key == *entry || (entry.ends_with('*') && key.starts_with(group));
            assert!(SETTINGS.iter().any(|s| is_one(s.key)), "{entry}");
        }
    }

    #[test]
    fn sockets_folders_and_names_wait_for_a_restart_and_what_holds_in_rooms_does_not() {
        for key in [
            "http.listen",
            "https.listen",
            "admin.listen",
            "admin.token_file",
            "media.listen",
            "xmpp.listen",
            "state.dir",
            "xmpp.domain",
            "xmpp.muc_domain",
            "login.required",
            "bridge.user",
            "turn.listen",
            "focus.auto_owner",
            "log.format",
            "https.certificate",
            "services.recording",
            "services.hidden_domain",
        ] {
            assert!(!takes_at_once(Role::AllInOne, key), "{key}");
        }
        for key in ["rooms.lobby", "login.token.app_secret", "client.p2p", "log.filter", "turn.secret"] {
            assert!(takes_at_once(Role::AllInOne, key), "{key}");
        }
        assert!(!takes_at_once(Role::Videobridge, "bridge.password"));
        assert!(takes_at_once(Role::Focus, "log.filter"));
    }
}
