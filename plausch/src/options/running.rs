//! The name of an option in; whether a server that runs can take another value of it, out.

use super::{Role, SETTINGS};

/// Whether it counts from now on, for rooms and logins that begin then; otherwise it waits for a restart.
pub(crate) fn takes_at_once(role: Role, key: &str) -> bool {
    match role {
        Role::AllInOne | Role::Xmpp => names(AT_ONCE, key) || (groups(AT_ONCE, key) && !names(RESTART, key)),
        // Their engines are told once what they do.
        Role::Focus | Role::Videobridge => names(EVERYWHERE, key),
    }
}

const EVERYWHERE: &[&str] = &["log.filter", "start.accept", "start.jitsi_config"];

/// Options, and groups of them, of which also those that come later do.
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
    "services.recording_metadata",
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

/// What cannot, of those groups and of all others: sockets, folders, certificates, names of domains, and what focus and bridge were
/// told. An option that stands in neither list stops the build.
const RESTART: &[&str] = &[
    "turn.listen",
    "turn.peers",
    "log.format",
    "log.to",
    "start.ipv6",
    "start.meetings_go_on",
    "state.dir",
    "admin.*",
    "http.listen",
    "http.port",
    "http.public_url",
    "http.tenants",
    "http.allow_origin",
    "http.trusted_proxies",
    "https.*",
    "media.*",
    "xmpp.listen",
    "xmpp.server",
    "xmpp.port",
    "xmpp.verify_certificate",
    "xmpp.bridge_server",
    "xmpp.domain",
    "xmpp.auth_domain",
    "xmpp.muc_domain",
    "xmpp.internal_muc_domain",
    "xmpp.metrics",
    "xmpp.metrics_for",
    "xmpp.crowds",
    "xmpp.shard",
    "xmpp.region",
    "xmpp.release",
    "login.required",
    "login.type",
    "login.guests",
    "login.guest_domain",
    "login.automatic",
    "login.lifetime",
    "login.opens",
    "login.opens_by",
    "visitors.enabled",
    "visitors.domain",
    "visitors.max_participants",
    "visitors.max_viewers",
    "visitors.only_live",
    "visitors.focus_domain",
    "services.recording",
    "services.recorder_brewery",
    "services.recording_pending",
    "services.recording_wait",
    "services.recording_retries",
    "services.transcription",
    "services.gateway_brewery",
    "services.sip_uri",
    "services.hidden_domain",
    "services.trusted_domains",
    "services.jibri_user",
    "services.jigasi_user",
    "services.recorder_user",
    "services.transcriber_user",
    "focus.*",
    "relays.*",
    "bridge.*",
];

/// Whether one of the entries is this option, by its name alone.
const fn names(entries: &[&str], key: &str) -> bool {
    let mut i = 0;
    while i < entries.len() {
        if begins(key, entries[i]) && key.len() == entries[i].len() {
            return true;
        }
        i += 1;
    }
    false
}

/// Whether one of them is a group that it belongs to.
const fn groups(entries: &[&str], key: &str) -> bool {
    let mut i = 0;
    while i < entries.len() {
        if let Some((b'*', group)) = entries[i].as_bytes().split_last()
            && has_prefix(key.as_bytes(), group)
        {
            return true;
        }
        i += 1;
    }
    false
}

const fn begins(text: &str, with: &str) -> bool {
    has_prefix(text.as_bytes(), with.as_bytes())
}

const fn has_prefix(text: &[u8], prefix: &[u8]) -> bool {
    let mut i = 0;
    while i < prefix.len() {
        if i >= text.len() || text[i] != prefix[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// Whether it stands in one of the lists, and by its name in no more than one.
const fn is_said(key: &str) -> bool {
    let (now, later) = (names(AT_ONCE, key), names(RESTART, key));
    now != later || (!now && (groups(AT_ONCE, key) != groups(RESTART, key)))
}

// Who adds an option has to say here when it counts.
const _: () = {
    let mut i = 0;
    while i < SETTINGS.len() {
        assert!(is_said(SETTINGS[i].key), "an option stands in neither of AT_ONCE and RESTART, or in both");
        i += 1;
    }
};

/// The tables of hosts, which belong together.
pub(crate) const HOSTS: &[&str] = &["xmpp.users", "xmpp.rooms", "xmpp.components"];

/// Options of TURN servers. With one of our own they are what it was started with.
pub(crate) const TURN: &str = "turn.";

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(!is_said("xmpp.new") && is_said("client.new"), "what is not said stops the build");
        for key in ["rooms.lobby", "login.token.app_secret", "client.p2p", "log.filter", "turn.secret"] {
            assert!(takes_at_once(Role::AllInOne, key), "{key}");
        }
        assert!(!takes_at_once(Role::Videobridge, "bridge.password"));
        assert!(takes_at_once(Role::Focus, "log.filter"));
    }
}
