//! The effective values in; a line for each that was set and changes nothing out, so that no option is silent.

use service::{Effective, Origin};

use super::{Role, SETTINGS, named};

/// The lines, for the log.
pub(crate) fn lines(role: Role, e: &Effective) -> Vec<String> {
    let set = |key: &str| *e.origin(key) != Origin::Default;
    let mut lines: Vec<String> = SETTINGS
        .iter()
        // Containers of one compose file share an environment; nobody meant it for all of them.
        .filter(|s| matches!(e.origin(s.key), Origin::File | Origin::Flag) && !used_by(s.key).contains(&role))
        .map(|s| format!("`{}` from {} means nothing in this role", s.key, e.origin(s.key)))
        .collect();
    let mut useless = |key: &str, because: &str| {
        if set(key) {
            lines.push(format!("`{key}` from {} changes nothing: {because}", e.origin(key)));
        }
    };
    if !e.text("http.config_js").is_empty() {
        for s in SETTINGS.iter().filter(|s| s.key.starts_with("client.")) {
            useless(s.key, "http.config_js replaces what it is for");
        }
    } else {
        for (key, with) in [
            ("client.p2p_stun_servers", "client.p2p"),
            ("client.e2eping_requests", "client.e2eping"),
            ("client.e2eping_size", "client.e2eping"),
            ("client.e2eping_rate", "client.e2eping"),
            ("client.gain_control", "client.audio_processing"),
        ] {
            if !e.is_on(with) {
                useless(key, &format!("{with} is off"));
            }
        }
        if e.is_on("client.screen_rate_auto") {
            useless("client.screen_rate_min", "client.screen_rate_auto is on");
            useless("client.screen_rate_max", "client.screen_rate_auto is on");
        }
        if !e.text("client.branding_url").is_empty() {
            useless("client.branding_by_room_url", "client.branding_url is asked");
        }
    }
    if !e.is_on("login.required") {
        useless("login.type", "login.required is off, and everybody comes in");
    }
    if !e.is_on("login.required") || e.text("login.type") != "jwt" {
        for s in SETTINGS.iter().filter(|s| s.key.starts_with("login.token.")) {
            useless(
                s.key,
                "people do not log in with tokens, which takes login.required and login.type `jwt`",
            );
        }
    }
    if !e.is_on("login.required") || e.text("login.type") != "ldap" {
        for s in SETTINGS.iter().filter(|s| s.key.starts_with("login.ldap.")) {
            useless(s.key, "no directory is asked, which takes login.required and login.type `ldap`");
        }
    }
    if !e.is_on("services.recording") || !e.is_on("login.required") || e.text("login.type") != "jwt" {
        useless(
            "services.recording_metadata",
            "it takes services.recording, and login.type `jwt`: who began is what a token says",
        );
    }
    if e.is_on("rooms.reservations") {
        if e.is_on("client.http_conference_request") {
            useless(
                "client.http_conference_request",
                "meetings have to be allowed, and over HTTP nobody knows who asks",
            );
        }
    } else {
        useless("rooms.reservations_url", "rooms.reservations is off");
    }
    if !e.is_on("visitors.enabled") && *e.origin("xmpp.rooms") == Origin::Default {
        for s in SETTINGS.iter().filter(|s| s.key.starts_with("visitors.")) {
            if s.key != "visitors.enabled" {
                useless(s.key, "visitors.enabled is off");
            }
        }
    }
    let auth = match e.text("xmpp.auth_domain") {
        "" => format!("auth.{}", e.text("xmpp.domain")),
        named => named.to_owned(),
    };
    if e.is_on("visitors.enabled") && e.text("visitors.focus_domain").eq_ignore_ascii_case(&auth) {
        useless(
            "visitors.focus_domain",
            "it is xmpp.auth_domain, where a focus of Jitsi's own would push itself out: name another, for both of them",
        );
    }
    if e.text("focus.bridge_selection").ends_with("SingleBridgeSelectionStrategy") {
        for key in ["focus.region", "focus.region_groups", "focus.bridge_stress_threshold"] {
            useless(key, "focus.bridge_selection is SingleBridgeSelectionStrategy");
        }
    }
    if !e.is_on("relays.enabled") {
        useless("focus.max_bridge_participants", "relays.enabled is off: a meeting stays on one bridge");
    } else if e.text("focus.bridge_selection").ends_with("SingleBridgeSelectionStrategy")
        && role != Role::Videobridge
    {
        useless("relays.enabled", "focus.bridge_selection is SingleBridgeSelectionStrategy");
    }
    if e.is_on("https.disabled") {
        let https = SETTINGS.iter().map(|s| s.key).filter(|k| k.starts_with("https."));
        for key in https.filter(|k| *k != "https.disabled") {
            useless(key, "https.disabled is on");
        }
    } else if e.text("https.listen").is_empty() {
        for key in ["https.certificate", "https.key", "https.redirect", "https.hsts"] {
            useless(key, "https.listen names no address");
        }
    }
    if !e.is_on("https.acme.enabled") && !e.is_on("https.disabled") {
        let acme = SETTINGS.iter().filter(|s| s.key.starts_with("https.acme."));
        for key in acme.map(|s| s.key).filter(|k| *k != "https.acme.enabled").chain(["state.dir"]) {
            useless(key, "https.acme.enabled is off");
        }
    }
    if e.list("media.stun_servers").is_empty() {
        useless("media.disable_stun", "media.stun_servers names none, and nobody else is asked");
    }
    if e.is_on("media.disable_tcp") {
        for key in ["media.tcp_port", "media.tcp_public_port"] {
            useless(key, "media.disable_tcp is on");
        }
    }
    if e.list("turn.hosts").is_empty() {
        useless("turn.port", "turn.hosts names none");
        useless("turn.transports", "turn.hosts names none");
        if e.list("turn.tls_hosts").is_empty() {
            for key in ["turn.username", "turn.password"] {
                useless(key, "there is no TURN server that takes it");
            }
            if e.text("turn.listen").is_empty() {
                for key in ["turn.secret", "turn.ttl"] {
                    useless(key, "there is no TURN server");
                }
            }
        }
    }
    if e.text("turn.listen").is_empty() {
        useless("turn.peers", "turn.listen names no address");
    }
    if role == Role::Focus && e.is_on("xmpp.bridge_server") {
        useless("xmpp.bridge_server", "the focus looks for bridges on its own XMPP server alone");
    }
    if !e.is_on("xmpp.metrics") {
        useless("xmpp.metrics_for", "xmpp.metrics is off");
    }
    if super::values::has_port(e.text("xmpp.server")) {
        useless("xmpp.port", "xmpp.server names a port");
    }
    let beyond = |part: &str| {
        part.rsplit_once('=').is_some_and(|(target, level)| {
            let ours = service::logging::may_speak_below_info(target);
            !ours && matches!(level.trim().to_ascii_lowercase().as_str(), "debug" | "trace")
        })
    };
    if e.text("log.filter").split(',').any(beyond) {
        useless("log.filter", "a library in it says nothing below info, as it would print passwords");
    }
    lines.iter().map(|line| named(line)).collect()
}

/// The roles in which an option has an effect.
pub(crate) fn used_by(key: &str) -> &'static [Role] {
    use Role::{AllInOne, Focus, Videobridge, Xmpp};
    match key {
        "http.port" | "xmpp.metrics" | "xmpp.metrics_for" => &[Xmpp],
        "xmpp.bridge_server" => &[Videobridge],
        "http.listen"
        | "http.trusted_proxies"
        | "https.listen"
        | "https.disabled"
        | "https.certificate"
        | "https.key"
        | "https.redirect"
        | "https.hsts"
        | "state.dir" => &[AllInOne, Xmpp, Focus, Videobridge],
        key if key.starts_with("https.acme.") => &[AllInOne, Xmpp, Focus, Videobridge],
        "http.public_url" => &[AllInOne, Videobridge],
        "turn.listen" | "turn.peers" | "start.meetings_go_on" => &[AllInOne],
        "xmpp.server" | "xmpp.port" | "xmpp.verify_certificate" => &[Focus, Videobridge],
        "xmpp.listen" | "xmpp.require_encryption" | "xmpp.max_participants" | "xmpp.modules" => {
            &[AllInOne, Xmpp]
        }
        "xmpp.muc_domain" => &[AllInOne, Xmpp, Focus],
        "focus.password" => &[AllInOne, Xmpp, Focus],
        "focus.handover" => &[Focus],
        "bridge.user" | "bridge.password" => &[AllInOne, Xmpp, Videobridge],
        "bridge.brewery" => &[AllInOne, Focus, Videobridge],
        _ => match key.split('.').next().unwrap_or_default() {
            "admin" | "log" | "start" | "xmpp" => &[AllInOne, Xmpp, Focus, Videobridge],
            "login" => &[AllInOne, Xmpp, Focus],
            "rooms" | "turn" | "services" => &[AllInOne, Xmpp],
            "media" | "bridge" => &[AllInOne, Videobridge],
            "visitors" => &[AllInOne, Xmpp, Focus],
            "focus" => &[AllInOne, Focus],
            "relays" => &[AllInOne, Focus, Videobridge],
            _ => &[AllInOne],
        },
    }
}
