use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use service::{Setting, Sources};

use super::*;
use crate::wiring::limits::{MEDIA_ADDRESSES, STUN_SERVERS};

mod client;
mod policy_page;

pub(super) fn load(env: &[(&str, &str)]) -> Result<Settings, StartError> {
    let env = |n: &str| env.iter().find(|(k, _)| *k == n).map(|(_, v)| (*v).to_owned());
    Settings::check(&Effective::load(
        SETTINGS,
        &Sources { defaults: None, file: None, env: &env, flags: BTreeMap::new() },
    )?)
}

#[test]
fn every_key_flag_and_variable_exists_once() {
    let mut seen = BTreeSet::new();
    for s in SETTINGS {
        assert!(seen.insert(s.key.to_owned()), "{}", s.key);
        assert!(s.flag.is_empty() || seen.insert(format!("--{}", s.flag)), "{}", s.flag);
        for e in s.env {
            assert!(seen.insert(format!("${e}")), "{e}");
        }
        assert!(s.help.ends_with('.') && s.key.contains('.'), "{}", s.key);
    }
}

#[test]
fn without_configuration_everything_listens_on_loopback_and_names_are_docker_s() {
    let s = load(&[]).unwrap();
    for a in [s.http, s.admin.listen, s.media, s.xmpp] {
        assert!(a.ip().is_loopback(), "{a}");
    }
    assert_eq!(
        (s.http.port(), s.media.port(), s.admin.listen.port(), s.xmpp.port()),
        (8000, 10000, 8888, 5222)
    );
    assert_eq!(s.domains.auth, "auth.meet.jitsi");
    assert_eq!(s.domains.muc, "muc.meet.jitsi");
    assert_eq!(s.domains.internal_muc, "internal-muc.meet.jitsi");
    assert!(s.focus.password.is_none() && s.bridge.password.is_none());
    assert!(s.client.p2p_stun_servers.is_empty());
}

#[test]
fn other_domains_follow_the_main_one_unless_named() {
    let s = load(&[("XMPP_DOMAIN", "Rathaus.example"), ("XMPP_MUC_DOMAIN", "conference.rathaus.example")])
        .unwrap();
    assert_eq!(s.domains.main, "rathaus.example");
    assert_eq!(s.domains.auth, "auth.rathaus.example");
    assert_eq!(s.domains.muc, "conference.rathaus.example");
}

#[test]
fn compat_docker_addresses() {
    let s = load(&[
        ("JVB_PORT", "20000"),
        ("JVB_ADVERTISE_IPS", "192.0.2.1,2001:db8::1#443"),
        ("PUBLIC_URL", "meet.example"),
        ("XMPP_SERVER", "xmpp.meet.jitsi"),
        ("XMPP_PORT", "5223"),
    ])
    .unwrap();
    assert_eq!(s.media.port(), 20000);
    assert_eq!(s.advertise, ["192.0.2.1:20000".parse().unwrap(), "[2001:db8::1]:443".parse().unwrap()]);
    assert_eq!(s.web.public_url.as_deref(), Some("https://meet.example"));
    assert_eq!(s.xmpp_server, "xmpp.meet.jitsi:5223");
    assert_eq!(load(&[("XMPP_SERVER", "xmpp.meet.jitsi:6222")]).unwrap().xmpp_server, "xmpp.meet.jitsi:6222");
}

#[test]
fn a_value_without_meaning_names_its_option_and_its_origin() {
    for (name, value, option) in [
        ("PLAUSCH_HTTP", "meet.example:8000", "http.listen"),
        ("PLAUSCH_HTTPS", "443:443", "https.listen"),
        ("PLAUSCH_MEDIA", "localhost", "media.listen"),
        ("XMPP_DOMAIN", "meet jitsi", "xmpp.domain"),
        ("PUBLIC_URL", "https://meet.example/path", "http.public_url"),
        ("PUBLIC_URL", "javascript://x", "http.public_url"),
        ("JVB_ADVERTISE_IPS", "meet.example", "media.advertise"),
        ("RUST_LOG", "loud=very", "log.filter"),
        ("LOG_LEVEL", "verbose", "log.filter"),
        ("LOG_LEVEL", "info,tungstenite", "log.filter"),
        ("JVB_AUTH_USER", "a@b", "bridge.user"),
        ("JVB_OCTO_REGION", "a\nb", "bridge.region"),
        ("JVB_OCTO_RELAY_ID", "a\nb", "bridge.relay_id"),
        ("JVB_MUC_NICKNAME", "a/b", "bridge.name"),
        ("ENABLE_P2P", "off", "client.p2p"),
        ("ENABLE_AUTO_OWNER", "no", "focus.auto_owner"),
        ("MAX_PARTICIPANTS", "many", "xmpp.max_participants"),
        ("MAX_PARTICIPANTS", "-1", "xmpp.max_participants"),
        ("JICOFO_CONF_MAX_VIDEO_SENDERS", "few", "focus.max_video_senders"),
        ("PROSODY_TRUSTED_PROXIES", "web", "http.trusted_proxies"),
        ("PROSODY_RATE_LIMIT_ALLOW_RANGES", "10.0.0.0/40", "xmpp.crowds"),
        ("XMPP_SERVER", "one,two", "xmpp.server"),
        ("P2P_STUN_SERVERS", "stun:x", "client.p2p_stun_servers"),
        ("JVB_STUN_SERVERS", "stun.example", "media.stun_servers"),
        ("JVB_STUN_SERVERS", "stun.example:0", "media.stun_servers"),
        ("PLAUSCH_MEDIA", "192.0.2.1:1,192.0.2.2:2", "media.listen"),
        ("PLAUSCH_MEDIA", "192.0.2.1:1,192.0.2.1:1", "media.listen"),
        ("PLAUSCH_MEDIA", "0.0.0.0:1,192.0.2.1:1", "media.listen"),
        ("PLAUSCH_MEDIA", "192.0.2.1:1,", "media.listen"),
        ("CSP_HEADER", "a\nb", "http.csp"),
        ("PLAUSCH_ADMIN_HOSTS", "http://plausch", "admin.hosts"),
        ("START_AUDIO_MUTED", "never", "client.start_audio_muted"),
        ("RESOLUTION", "-1", "client.resolution"),
        ("CODEC_ORDER_JVB", "['VP7']", "client.codecs"),
        ("DESKTOP_SHARING_FRAMERATE_MIN", "five", "client.screen_rate_min"),
        ("LOG_FORMAT", "xml", "log.format"),
        ("PLAUSCH_LOG_TO", "file", "log.to"),
    ] {
        let e = load(&[(name, value)]).unwrap_err().to_string();
        assert!(e.contains(option) && e.contains(name) && !e.contains('\n'), "{e}");
    }
    for name in [
        "PLAUSCH_WEB",
        "PLAUSCH_CUSTOM",
        "PLAUSCH_CONFIG_JS",
        "PLAUSCH_CUSTOM_CONFIG_JS",
        "PLAUSCH_ACME_ROOTS",
    ] {
        let line = load(&[(name, "/nonexistent")]).unwrap_err().to_string();
        assert!(line.contains(name) && line.contains("cannot read /nonexistent"), "{line}");
    }
}

/// A value for each option that is none of its default; what cannot be wrong is only looked at in other tests.
const OTHER: &[(&str, &str)] = &[
    ("http.listen", "127.0.0.1:1"),
    ("http.port", "1"),
    ("http.tenants", "false"),
    ("http.public_url", "https://meet.example"),
    ("http.web", "none"),
    ("http.config_js", "/etc/hostname"),
    ("http.custom_config_js", "/etc/hostname"),
    ("http.custom", "/etc"),
    ("http.allow_origin", "none"),
    ("http.csp", "default-src 'self'"),
    ("http.trusted_proxies", "192.0.2.1"),
    ("https.listen", "127.0.0.1:1"),
    ("https.disabled", "true"),
    ("https.certificate", ""),
    ("https.key", ""),
    ("https.acme.enabled", "true"),
    ("https.acme.domains", "other.example"),
    ("https.acme.email", "admin@other.example"),
    ("https.acme.directory", "https://ca.example/directory"),
    ("https.acme.staging", "true"),
    ("https.acme.challenge", "http-01"),
    ("https.acme.roots", ""),
    ("https.acme.eab_id", "other"),
    ("https.acme.eab_key", "b3RoZXI"),
    ("state.dir", "/var/lib/other"),
    ("https.former", "/town/web"),
    ("https.redirect", "false"),
    ("https.hsts", "false"),
    ("admin.listen", "127.0.0.1:1"),
    ("admin.hosts", "plausch"),
    ("admin.token_file", ""),
    ("media.listen", "127.0.0.1:1"),
    ("media.port", "1"),
    ("media.advertise", "192.0.2.1"),
    ("media.from_dns", "false"),
    ("media.inner_addresses", "false"),
    ("media.stun_servers", "stun.example:3478"),
    ("media.disable_stun", "true"),
    ("media.disable_tcp", "false"),
    ("media.tcp_port", "1"),
    ("media.tcp_public_port", "1"),
    ("media.threads", "3"),
    ("media.spread_above", "50"),
    ("media.gso", "false"),
    ("media.last_n", "7"),
    ("media.last_n_by_size", "20=20"),
    ("media.reduces_load", "true"),
    ("xmpp.listen", "127.0.0.1:1"),
    ("xmpp.server", "other"),
    ("xmpp.port", "1"),
    ("xmpp.verify_certificate", "true"),
    ("xmpp.domain", "other.example"),
    ("xmpp.auth_domain", "other.example"),
    ("xmpp.muc_domain", "other.example"),
    ("xmpp.internal_muc_domain", "other.example"),
    ("xmpp.metrics", "true"),
    ("xmpp.metrics_for", "192.0.2.1"),
    ("xmpp.require_encryption", "false"),
    ("xmpp.max_participants", "7"),
    ("xmpp.crowds", "192.0.2.1"),
    ("xmpp.shard", "other"),
    ("xmpp.region", "other"),
    ("xmpp.release", "other"),
    ("xmpp.modules", "muc_size"),
    ("rooms.strict_nicks", "true"),
    ("turn.listen", "127.0.0.1:1"),
    ("turn.peers", "192.0.2.1"),
    ("turn.stun_host", "stun.example"),
    ("turn.stun_port", "1"),
    ("turn.hosts", "other.example"),
    ("turn.port", "1"),
    ("turn.transports", "udp"),
    ("turn.tls_hosts", "other.example"),
    ("turn.tls_port", "1"),
    ("turn.secret", "y"),
    ("turn.username", "y"),
    ("turn.password", "y"),
    ("turn.ttl", "1"),
    ("rooms.lobby", "false"),
    ("visitors.enabled", "true"),
    ("visitors.max_participants", "7"),
    ("visitors.max_viewers", "7"),
    ("visitors.domain", "other.example"),
    ("services.recording", "true"),
    ("services.recorder_brewery", "other"),
    ("services.recording_pending", "7 seconds"),
    ("services.recording_wait", "7 seconds"),
    ("services.recording_retries", "-1"),
    ("services.transcription", "true"),
    ("services.sip_uri", "sip:town@example.org"),
    ("services.gateway_brewery", "other"),
    ("services.trusted_domains", "other.example"),
    ("client.recording", "false"),
    ("client.live_streaming", "true"),
    ("visitors.come_in", "false"),
    ("services.recording_metadata", "false"),
    ("visitors.only_live", "true"),
    ("visitors.focus_domain", "auth.viewers.example"),
    ("login.lifetime", "1 hour"),
    ("login.ldap.moderators", "cn=chairs,dc=town"),
    ("login.ldap.recheck", "15 minutes"),
    ("rooms.modules", "muc_flip"),
    ("rooms.lobby_modules", "frozen_nick"),
    ("rooms.breakout_modules", "frozen_nick"),
    ("rooms.internal_modules", "muc_rate_limit"),
    ("rooms.wait_for_host_disable_auto_owners", "true"),
    ("rooms.breakout_rooms", "false"),
    ("rooms.av_moderation", "false"),
    ("rooms.end_conference", "false"),
    ("rooms.disable_polls", "true"),
    ("rooms.reservations", "true"),
    ("rooms.reservations_url", "http://booking"),
    ("focus.password", "x"),
    ("login.required", "true"),
    ("login.guests", "true"),
    ("login.guest_domain", "visitors.meet.jitsi"),
    ("login.automatic", "false"),
    ("login.type", "jwt"),
    ("login.opens", "false"),
    ("login.opens_by", "jwt"),
    ("login.token.app_id", "town"),
    ("login.token.app_secret", "x"),
    ("login.token.key_server", "https://keys.example"),
    ("login.token.keys_url", "https://keys.example"),
    ("login.token.require_room", "false"),
    ("login.token.algorithm", "HS512"),
    ("login.token.issuers", "town"),
    ("login.token.audiences", "town"),
    ("login.token.allow_empty", "true"),
    ("login.token.verify_domain", "true"),
    ("login.ldap.url", "ldaps://directory.example"),
    ("login.ldap.base", "dc=example"),
    ("login.ldap.filter", "mail=%u"),
    ("login.ldap.method", "fastbind"),
    ("login.ldap.bind_dn", "cn=x"),
    ("login.ldap.bind_password", "x"),
    ("login.ldap.start_tls", "true"),
    ("login.ldap.check_peer", "false"),
    ("login.ldap.roots", "/x"),
    ("services.hidden_domain", "unseen.meet.jitsi"),
    ("services.jibri_user", "other"),
    ("services.jibri_password", "x"),
    ("services.recorder_user", "other"),
    ("services.recorder_password", "x"),
    ("services.jigasi_user", "other"),
    ("services.jigasi_password", "x"),
    ("services.transcriber_user", "other"),
    ("services.transcriber_password", "x"),
    ("services.admins", "chief@meet.jitsi"),
    ("focus.auto_owner", "false"),
    ("focus.max_audio_senders", "7"),
    ("focus.max_video_senders", "7"),
    ("focus.opus_red", "true"),
    ("focus.vp8", "false"),
    ("focus.vp9", "false"),
    ("focus.av1", "false"),
    ("focus.h264", "false"),
    ("focus.initial_timeout", "1 minute"),
    ("focus.single_participant_timeout", "1 minute"),
    ("focus.source_signaling_delays", "{50: 500}"),
    ("focus.strip_simulcast", "false"),
    ("focus.ssrc_rewriting", "false"),
    ("focus.random_pad_names", "true"),
    ("focus.bridge_selection", "IntraRegionBridgeSelectionStrategy"),
    ("focus.max_bridge_participants", "7"),
    ("focus.bridge_stress_threshold", "0.7"),
    ("focus.participant_stress", "0.02"),
    ("focus.owner_grace", "1 minute"),
    ("focus.empty_draining", "true"),
    ("focus.load_redistribution", "true"),
    ("focus.load_redistribution_interval", "2 minutes"),
    ("focus.load_redistribution_threshold", "0.7"),
    ("focus.load_redistribution_timeout", "2 minutes"),
    ("focus.load_redistribution_people", "7"),
    ("focus.bridge_silence", "4 s"),
    ("focus.ice_failure_detection", "true"),
    ("focus.max_bridge_joins", "7"),
    ("focus.bridge_topology", "VisitorTopologyStrategy"),
    ("focus.mixed_versions", "true"),
    ("focus.handover", "/run"),
    ("focus.region", "other"),
    ("focus.region_groups", "[eu, us]"),
    ("relays.enabled", "true"),
    ("bridge.user", "other"),
    ("bridge.password", "x"),
    ("bridge.name", "other"),
    ("bridge.region", "other"),
    ("bridge.relay_id", "other"),
    ("bridge.brewery", "other"),
    ("start.ipv6", "false"),
    ("start.meetings_go_on", "2"),
    ("log.format", "jitsi"),
    ("log.to", "stdout"),
    ("client.websocket", "false"),
    ("client.http_conference_request", "false"),
    ("client.prefer_sctp", "false"),
    ("client.p2p", "false"),
    ("client.p2p_stun_servers", "stun.example:3478"),
    ("client.prejoin", "false"),
    ("client.welcome_page", "false"),
    ("client.relative_bosh", "true"),
];

/// The same for those that are written into config.js alone.
fn other(s: &Setting) -> &'static str {
    match (s.kind, s.default) {
        (service::Kind::Bool, "true") => "false",
        (service::Kind::Bool, _) => "true",
        (service::Kind::List, _) => "H264",
        _ => "7",
    }
}

/// A server that should ask a booking system and could not was open to everybody.
#[test]
fn a_booking_system_that_cannot_be_asked_stops_the_start() {
    let with =
        |url: &str| load(&[("PROSODY_RESERVATION_ENABLED", "1"), ("PROSODY_RESERVATION_REST_BASE_URL", url)]);
    for (url, words) in [("", "https://host"), ("ftp://booking", "https://host"), ("booking", "http://host")]
    {
        let line = with(url).unwrap_err().to_string();
        assert!(line.contains("rooms.reservations_url") && line.contains(words), "{line}");
    }
    let s = with("http://booking/api").unwrap();
    assert_eq!(s.reservations.as_deref(), Some("http://booking/api"));
    assert!(!s.client.http_conference_request, "over HTTP nobody knows who asks");
    assert!(with("https://booking/api").is_ok());
    let off = load(&[("PROSODY_RESERVATION_REST_BASE_URL", "booking")]).unwrap();
    assert!(off.reservations.is_none() && off.client.http_conference_request);
}

/// `XMPP_MODULES` with a module that keeps people out started without it.
#[test]
fn modules_that_are_not_there_stop_the_start_unless_they_are_accepted() {
    let all = "muc_census, muc_wait_for_host,muc_size";
    let line = load(&[("XMPP_MODULES", all)]).unwrap_err().to_string();
    assert!(line.contains("xmpp.modules") && line.contains("muc_wait_for_host"), "{line}");
    let accepted = load(&[("XMPP_MODULES", all), ("PLAUSCH_ACCEPT", "XMPP_MODULES")]).unwrap();
    assert_eq!(accepted.modules, ["muc_census", "muc_size"]);
    assert!(load(&[]).unwrap().modules.is_empty());
}

#[test]
fn compat_a_recorder_learns_who_began_where_people_have_tokens() {
    let tokens = [("ENABLE_AUTH", "1"), ("AUTH_TYPE", "jwt"), ("ENABLE_RECORDING", "1")];
    let modules = |env: &[(&str, &str)]| load(env).unwrap().modules;
    assert_eq!(modules(&tokens), ["jibri_session"]);
    let named = [&tokens[..], &[("XMPP_MODULES", "jibri_session,muc_size")]].concat();
    assert_eq!(modules(&named), ["jibri_session", "muc_size"], "once");
    for off in
        [("PROSODY_ENABLE_RECORDING_METADATA", "0"), ("ENABLE_RECORDING", "0"), ("AUTH_TYPE", "internal")]
    {
        assert_eq!(modules(&[&[off], &tokens[..]].concat()), [""; 0], "{off:?}");
    }
    assert_eq!(modules(&[("ENABLE_RECORDING", "1")]), [""; 0], "nobody has a token");
}

#[test]
fn modules_of_meetings_are_named_and_guests_wait_only_where_somebody_is_a_host() {
    for more in [&[][..], &[("ENABLE_AUTH", "1")]] {
        let waits = [&[("XMPP_MUC_MODULES", "muc_flip,muc_wait_for_host")][..], more].concat();
        let party = [&[("XMPP_MUC_MODULES", "token_owner_party")][..], more].concat();
        for names in [waits, party] {
            let line = load(&names).unwrap_err().to_string();
            assert!(line.contains("rooms.modules") && line.contains("tokens"), "{line}");
        }
    }
    assert!(!load(&[("WAIT_FOR_HOST_DISABLE_AUTO_OWNERS", "1")]).unwrap().hosts_own);
    let line = load(&[("XMPP_MUC_MODULES", "owner_restricted")]).unwrap_err().to_string();
    assert!(line.contains("XMPP_MUC_MODULES") && line.contains("owner_restricted"), "{line}");
    let accepted = [("XMPP_MUC_MODULES", "muc_flip,x"), ("PLAUSCH_ACCEPT", "XMPP_MUC_MODULES")];
    assert_eq!(load(&accepted).unwrap().muc_modules, ["muc_flip"]);
}

/// Clients were told addresses that nobody can have.
#[test]
fn media_has_several_addresses_with_one_port_up_to_a_bound() {
    let of = |n: usize| (1..=n).map(|n| format!("192.0.2.{n}:10000")).collect::<Vec<_>>().join(",");
    let s = load(&[("PLAUSCH_MEDIA", "192.0.2.1:1, [2001:db8::1]:1"), ("JVB_PORT", "10000")]).unwrap();
    assert_eq!(
        (s.media, s.media_more),
        ("192.0.2.1:10000".parse().unwrap(), vec!["2001:db8::1".parse().unwrap()])
    );
    assert_eq!(
        load(&[("PLAUSCH_MEDIA", &of(MEDIA_ADDRESSES))]).unwrap().media_more.len(),
        MEDIA_ADDRESSES - 1
    );
    assert!(load(&[("PLAUSCH_MEDIA", &of(MEDIA_ADDRESSES + 1))]).is_err(), "one beyond");
    let v4_only = load(&[("PLAUSCH_MEDIA", "192.0.2.1:1,[2001:db8::1]:1"), ("ENABLE_IPV6", "0")]);
    assert!(v4_only.unwrap_err().to_string().contains("start.ipv6"));
}

#[test]
fn compat_tcp_for_media_is_switched_on_and_named_as_older_releases_do() {
    let tcp = |vars: &[(&str, &str)]| load(vars).map(|s| s.media_tcp.map(|t| (t.own, t.public)));
    assert_eq!(tcp(&[]).unwrap(), None);
    assert_eq!(tcp(&[("JVB_TCP_PORT", "4443")]).unwrap(), None, "named and switched off");
    let on = ("JVB_TCP_HARVESTER_DISABLED", "false");
    assert_eq!(tcp(&[on]).unwrap(), Some((10_000, 10_000)));
    assert_eq!(tcp(&[on, ("JVB_PORT", "20000")]).unwrap(), Some((20_000, 20_000)));
    assert_eq!(tcp(&[on, ("JVB_TCP_PORT", "4443")]).unwrap(), Some((4443, 4443)));
    assert_eq!(
        tcp(&[on, ("JVB_TCP_PORT", "4443"), ("JVB_TCP_MAPPED_PORT", "443")]).unwrap(),
        Some((4443, 443))
    );
    for wrong in ["0", "65536", "x"] {
        assert!(tcp(&[on, ("JVB_TCP_PORT", wrong)]).is_err(), "{wrong}");
    }
}

#[test]
fn so_many_stun_servers_are_asked_and_none_unless_one_is_named() {
    let of = |n: usize| vec!["stun.example:3478"; n].join(",");
    assert_eq!(load(&[]).unwrap().stun_servers, [""; 0]);
    assert_eq!(load(&[("JVB_STUN_SERVERS", &of(STUN_SERVERS))]).unwrap().stun_servers.len(), STUN_SERVERS);
    assert!(load(&[("JVB_STUN_SERVERS", &of(STUN_SERVERS + 1))]).is_err(), "one beyond");
    let off = load(&[("JVB_STUN_SERVERS", "[2001:db8::1]:3478"), ("JVB_DISABLE_STUN", "1")]);
    assert_eq!(off.unwrap().stun_servers, [""; 0]);
}

#[test]
fn advertised_addresses_that_can_be_nobody_s_stop_the_start() {
    for nobodys in [
        "0.0.0.0",
        "[::]",
        "::",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
        "203.0.113.20#0",
        "203.0.113.20#x",
        "meet.example",
    ] {
        let line = load(&[("JVB_ADVERTISE_IPS", nobodys)]).unwrap_err().to_string();
        assert!(line.contains("media.advertise") && line.contains("JVB_ADVERTISE_IPS"), "{line}");
    }
    let two = load(&[("JVB_ADVERTISE_IPS", "203.0.113.20,2001:db8::1#443"), ("JVB_PORT", "10001")]).unwrap();
    assert_eq!(two.advertise, ["203.0.113.20:10001".parse().unwrap(), "[2001:db8::1]:443".parse().unwrap()]);
}

/// Who watches has no account: where only accounts come in, nobody came in this way.
#[test]
fn viewers_need_guests_where_people_log_in_and_places() {
    let line = load(&[("ENABLE_VISITORS", "1"), ("ENABLE_AUTH", "1")]).unwrap_err().to_string();
    assert!(line.contains("ENABLE_VISITORS") && line.contains("login.guests"), "{line}");
    let s = load(&[("ENABLE_VISITORS", "1"), ("ENABLE_AUTH", "1"), ("ENABLE_GUESTS", "1")]).unwrap();
    assert_eq!(s.domains.viewers.as_deref(), Some("v0.meet.jitsi"));
    assert_eq!((s.visitors.max_participants, s.visitors.max_viewers, s.visitors.come_in), (50, 2000, true));
    for name in ["VISITORS_MAX_PARTICIPANTS", "VISITORS_MAX_VISITORS_PER_NODE"] {
        let line = load(&[(name, "0")]).unwrap_err().to_string();
        assert!(line.contains(name) && line.contains("at least 1"), "{line}");
    }
    assert_eq!(load(&[]).unwrap().domains.viewers, None);
}

#[test]
fn every_option_reaches_the_settings() {
    // Read by the process itself, by the environment's check, or files (`a_certificate_needs_its_key_and_both_are_read`).
    const ELSEWHERE: &[&str] = &[
        "log.filter",
        "start.accept",
        "start.jitsi_config",
        "https.certificate",
        "https.key",
        "https.acme.roots",
        "xmpp.bridge_server",
        "login.ldap.tls",
        "xmpp.users",
        "xmpp.rooms",
        "xmpp.components",
        "xmpp.programs",
        "xmpp.short_lived_tokens",
    ];
    let with = |flags: BTreeMap<&'static str, String>| {
        let e = Effective::load(SETTINGS, &Sources { defaults: None, file: None, env: &|_| None, flags })
            .unwrap();
        format!("{:?}", Settings::check(&e).unwrap())
    };
    let token = std::env::temp_dir().join(format!("plausch-token-{}", std::process::id()));
    // What says how a server is reached changes something only beside a server.
    let beside = |key: &str| -> BTreeMap<&'static str, String> {
        let all: &[(&'static str, &str)] = match key {
            "rooms.reservations" => &[("rooms.reservations_url", "http://a")],
            "rooms.reservations_url" => {
                &[("rooms.reservations", "true"), ("rooms.reservations_url", "http://a")]
            }
            "https.acme.eab_id" => &[
                ("https.listen", "127.0.0.1:1"),
                ("https.acme.enabled", "true"),
                ("https.acme.domains", "a.example"),
                ("https.acme.eab_key", "a2V5"),
            ],
            "https.acme.eab_key" => &[
                ("https.listen", "127.0.0.1:1"),
                ("https.acme.enabled", "true"),
                ("https.acme.domains", "a.example"),
                ("https.acme.eab_id", "id"),
            ],
            "https.acme.enabled" => {
                &[("https.listen", "127.0.0.1:1"), ("http.public_url", "https://a.example")]
            }
            "https.acme.domains" => &[
                ("https.listen", "127.0.0.1:1"),
                ("https.acme.enabled", "true"),
                ("http.public_url", "https://a.example"),
            ],
            k if k.starts_with("https.acme.") || k == "state.dir" => &[
                ("https.listen", "127.0.0.1:1"),
                ("https.acme.enabled", "true"),
                ("https.acme.domains", "a.example"),
            ],
            "start.ipv6" => &[("media.listen", "[::]:1")],
            "xmpp.metrics_for" => &[("xmpp.metrics", "true")],
            "https.redirect" | "https.hsts" | "https.disabled" | "https.former" => {
                &[("https.listen", "127.0.0.1:1")]
            }
            "visitors.domain" | "visitors.focus_domain" => &[("visitors.enabled", "true")],
            "services.hidden_domain" | "services.recorder_user" => &[("services.recorder_password", "y")],
            "services.recorder_brewery"
            | "services.recording_pending"
            | "services.recording_wait"
            | "services.recording_retries"
            | "client.recording"
            | "client.live_streaming" => &[("services.recording", "true")],
            "services.recording_metadata" => {
                &[("services.recording", "true"), ("login.required", "true"), ("login.type", "jwt")]
            }
            "services.gateway_brewery" => &[("services.transcription", "true")],
            "services.jibri_user" => &[("services.jibri_password", "y")],
            "services.jigasi_user" => &[("services.jigasi_password", "y")],
            k if k.starts_with("login.ldap.") => &[("login.required", "true"), ("login.type", "ldap")],
            k if k.starts_with("login.token.") => &[("login.required", "true"), ("login.type", "jwt")],
            "login.guests" | "login.lifetime" | "login.automatic" | "login.type" | "login.opens"
            | "login.opens_by" => &[("login.required", "true")],
            "login.guest_domain" => &[("login.required", "true"), ("login.guests", "true")],
            "media.tcp_port" | "media.tcp_public_port" => &[("media.disable_tcp", "false")],
            "media.disable_stun" => &[("media.stun_servers", "stun.example:3478")],
            "turn.stun_port" => &[("turn.stun_host", "a")],
            k if k.starts_with("focus.load_redistribution_") => &[("focus.load_redistribution", "true")],
            "turn.username" => &[("turn.hosts", "a"), ("turn.password", "x")],
            "turn.password" => &[("turn.hosts", "a"), ("turn.username", "x")],
            "turn.peers" => &[("turn.listen", "127.0.0.1:1")],
            "turn.listen" | "turn.hosts" | "turn.tls_hosts" | "turn.stun_host" => &[],
            "turn.tls_port" => &[("turn.tls_hosts", "a")],
            "client.screen_rate_min" | "client.screen_rate_max" => &[("client.screen_rate_auto", "false")],
            k if k.starts_with("turn.") => &[("turn.hosts", "a")],
            _ => &[],
        };
        all.iter().map(|(k, v)| (*k, (*v).to_owned())).collect()
    };
    for s in SETTINGS.iter().filter(|s| !ELSEWHERE.contains(&s.key)) {
        let only_client = || web::ROWS.iter().any(|r| r.setting.key == s.key).then(|| other(s));
        let named = OTHER.iter().find(|(key, _)| *key == s.key).map(|(_, other)| *other);
        let other = named.or_else(only_client).unwrap_or_else(|| panic!("{}", s.key));
        let other = if s.key == "admin.token_file" { token.to_str().unwrap() } else { other };
        // Without the web app installed, there is none by default either.
        if s.key != "http.web" || Path::new(DEBIAN_WEB).exists() {
            let without = beside(s.key);
            let mut set = without.clone();
            set.insert(s.key, other.to_owned());
            // Secrets are not printed, and the check wants both of these together.
            if !matches!(
                s.key,
                "turn.username" | "turn.password" | "https.acme.eab_id" | "https.acme.eab_key"
            ) {
                assert_ne!(with(set), with(without), "{} changes nothing", s.key);
            }
        }
    }
    let _ = std::fs::remove_file(token);
}

/// What ENABLE_LETSENCRYPT and its companions come to, over TLS.
fn acme(env: &[(&str, &str)]) -> Result<Option<crate::acme::Wish>, StartError> {
    let listen = [("PLAUSCH_HTTPS", "127.0.0.1:8443")];
    let s = load(&[&listen, env].concat())?;
    Ok(match s.https.unwrap().certificate {
        CertificateOrigin::Acme(wish) => Some(wish),
        _ => None,
    })
}

#[test]
fn compat_letsencrypt_variables_are_honoured() {
    let wish = acme(&[
        ("ENABLE_LETSENCRYPT", "1"),
        ("LETSENCRYPT_DOMAIN", "Meet.Example.org"),
        ("LETSENCRYPT_EMAIL", "admin@example.org"),
        ("PUBLIC_URL", "https://other.example.org"),
    ]);
    let wish = wish.unwrap().unwrap();
    assert_eq!(
        (wish.names, wish.email.as_deref()),
        (vec!["meet.example.org".to_owned()], Some("admin@example.org"))
    );
    assert_eq!(wish.directory, "https://acme-v02.api.letsencrypt.org/directory");
    assert_eq!(wish.state, Path::new("/var/lib/plausch"));
    let of = |env: &[(&str, &str)]| {
        let on = [("ENABLE_LETSENCRYPT", "true"), ("PUBLIC_URL", "https://meet.example.org:8443")];
        acme(&[&on, env].concat()).map(Option::unwrap)
    };
    let url = |env: &[(&str, &str)]| of(env).unwrap().directory;
    let staging = "https://acme-staging-v02.api.letsencrypt.org/directory";
    assert_eq!(url(&[("LETSENCRYPT_USE_STAGING", "1")]), staging);
    assert_eq!(url(&[("LETSENCRYPT_USE_STAGING", "1"), ("LETSENCRYPT_ACME_SERVER", "letsencrypt")]), staging);
    assert_eq!(url(&[("LETSENCRYPT_ACME_SERVER", "letsencrypt_test")]), staging);
    assert_eq!(url(&[("LETSENCRYPT_ACME_SERVER", "https://ca.example/dir")]), "https://ca.example/dir");
    assert_eq!(of(&[]).unwrap().names, ["meet.example.org"]);
    let several = of(&[("LETSENCRYPT_DOMAIN", "a.example.org, b.example.org,a.example.org")]).unwrap();
    assert_eq!(several.names, ["a.example.org", "b.example.org"]);
    assert!(acme(&[("ENABLE_LETSENCRYPT", "0"), ("LETSENCRYPT_DOMAIN", "a.example")]).unwrap().is_none());
    let bound = of(&[("PLAUSCH_ACME_EAB_ID", "kid"), ("PLAUSCH_ACME_EAB_KEY", "_-+/AA==")]).unwrap();
    assert_eq!(bound.external.unwrap().key.reveal().as_slice(), [0xff, 0xef, 0xbf, 0]);
}

/// A start that would leave people with a certificate that browsers warn of, or ask somebody whom nobody meant.
#[test]
fn a_contradiction_about_certificates_stops_the_start() {
    let on = ("ENABLE_LETSENCRYPT", "1");
    let name = ("PUBLIC_URL", "https://meet.example.org");
    let line = load(&[on, name]).unwrap_err().to_string();
    assert!(line.contains("https.listen") && line.contains("ENABLE_LETSENCRYPT"), "{line}");
    let many: Vec<String> = (0..=crate::acme::NAMES).map(|n| format!("n{n}.example")).collect();
    let (limit, beyond) = (many[1..].join(","), many.join(","));
    assert!(acme(&[on, ("LETSENCRYPT_DOMAIN", &limit)]).is_ok());
    for (env, words) in [
        (&[on][..], "http.public_url"),
        (&[on, ("PUBLIC_URL", "https://192.0.2.1")], "http.public_url"),
        (&[on, ("PUBLIC_URL", "https://[2001:db8::1]")], "http.public_url"),
        (&[on, ("PUBLIC_URL", "https://localhost")], "http.public_url"),
        (&[on, ("LETSENCRYPT_DOMAIN", "*.example.org")], "https.acme.domains"),
        (&[on, ("LETSENCRYPT_DOMAIN", "https://meet.example.org")], "https.acme.domains"),
        (&[on, ("LETSENCRYPT_DOMAIN", "rathäuser.example")], "https.acme.domains"),
        (&[on, ("LETSENCRYPT_DOMAIN", &beyond)], "https.acme.domains"),
        (&[on, name, ("LETSENCRYPT_EMAIL", "no address")], "https.acme.email"),
        (&[on, name, ("LETSENCRYPT_EMAIL", "a@b,c@d")], "https.acme.email"),
        (&[on, name, ("LETSENCRYPT_ACME_SERVER", "http://ca.example/dir")], "https.acme.directory"),
        (&[on, name, ("LETSENCRYPT_ACME_SERVER", "buypass")], "https.acme.directory"),
        (&[on, name, ("LETSENCRYPT_ACME_SERVER", "zerossl")], "https.acme.eab_id"),
        (
            &[on, name, ("LETSENCRYPT_ACME_SERVER", "https://a.example"), ("LETSENCRYPT_USE_STAGING", "1")],
            "https.acme.staging",
        ),
        (&[on, name, ("PLAUSCH_ACME_CHALLENGE", "dns-01")], "https.acme.challenge"),
        (&[on, name, ("PLAUSCH_ACME_EAB_ID", "kid")], "https.acme.eab_key"),
        (&[on, name, ("PLAUSCH_ACME_EAB_ID", "kid"), ("PLAUSCH_ACME_EAB_KEY", "ä")], "https.acme.eab_key"),
        (&[on, name, ("PLAUSCH_STATE", "state")], "state.dir"),
        (&[("PLAUSCH_ACME_ROOTS", "/nonexistent.pem")], "/nonexistent.pem"),
    ] {
        let line = acme(env).unwrap_err().to_string();
        assert!(line.contains(words) && !line.contains('\n'), "{line}");
    }
}

#[test]
fn compat_turn_servers_are_each_host_with_each_transport() {
    let s = load(&[
        ("STUN_HOST", "stun.example"),
        ("TURN_HOST", "a.example,b.example"),
        ("TURN_TRANSPORT", "tcp,udp"),
        ("TURN_PORT", "3478"),
        ("TURNS_HOST", "a.example"),
        ("TURN_CREDENTIALS", "geheim"),
    ])
    .unwrap();
    let all: Vec<String> = s
        .external_services
        .iter()
        .map(|s| format!("{}:{}:{}:{}:{}", s.kind, s.host, s.port, s.transport, s.ttl.as_secs()))
        .collect();
    assert_eq!(
        all,
        [
            "stun:stun.example:443:udp:86400",
            "turn:a.example:3478:tcp:86400",
            "turn:b.example:3478:tcp:86400",
            "turn:a.example:3478:udp:86400",
            "turn:b.example:3478:udp:86400",
            "turns:a.example:443:tcp:86400",
        ]
    );
    use prosody_core::Credentials::{None as Open, Secret, Static};
    assert!(matches!(s.external_services[0].credentials, Open), "STUN asks for none");
    assert!(s.external_services[1..].iter().all(|s| matches!(s.credentials, Secret(_))));
    let s = load(&[("TURN_HOST", "a"), ("TURN_USERNAME", "u"), ("TURN_PASSWORD", "p")]).unwrap();
    assert!(
        matches!(&s.external_services[0].credentials, Static { username, .. } if username.reveal() == "u")
    );
    for bad in
        [("TURN_USERNAME", "u"), ("TURN_TRANSPORT", "sctp"), ("TURN_HOST", "turn:a"), ("TURN_PORT", "65536")]
    {
        assert!(load(&[bad]).is_err(), "{bad:?}");
    }
}

#[test]
fn clients_are_told_of_our_own_turn_server_by_the_public_name_and_of_tls_where_there_is_tls() {
    let told = |env: &[(&str, &str)]| -> Vec<String> {
        let s = load(env).unwrap();
        let own = s.turn.expect("a TURN server");
        let all = s.external_services.iter().map(|s| {
            use prosody_core::Credentials::{None as Open, Own};
            assert!(match &s.credentials {
                Open => s.kind == "stun",
                Own(secret) => secret == &own.secret && secret.reveal().len() >= 5,
                _ => false,
            });
            format!("{}:{}:{}:{}", s.kind, s.host, s.port, s.transport)
        });
        all.collect()
    };
    let turn = ("PLAUSCH_TURN", "0.0.0.0:3478");
    let url = |url| ("PUBLIC_URL", url);
    let udp = |host: &str| [format!("stun:{host}:3478:udp"), format!("turn:{host}:3478:udp")];
    assert_eq!(told(&[turn, url("https://meet.example")]), udp("meet.example"), "TLS ends elsewhere");
    let https = ("PLAUSCH_HTTPS", "0.0.0.0:8443");
    let both = |host: &str, port: u16| {
        let mut all = udp(host).to_vec();
        all.push(format!("turns:{host}:{port}:tcp"));
        all
    };
    assert_eq!(told(&[turn, https, url("https://meet.example")]), both("meet.example", 443));
    assert_eq!(told(&[turn, https, url("https://meet.example:8443")]), both("meet.example", 8443));
    assert_eq!(told(&[turn, https, url("https://[2001:db8::1]")]), both("[2001:db8::1]", 443));
    assert_eq!(told(&[("PLAUSCH_TURN", "192.0.2.7:3478"), https]), both("192.0.2.7", 8443));
    assert_eq!(told(&[turn, url("a.example"), ("TURN_CREDENTIALS", "north")]), udp("a.example"));
    let e = load(&[turn]).unwrap_err().to_string();
    assert!(e.contains("turn.listen") && e.contains("http.public_url"), "{e}");
    for bad in [("PLAUSCH_TURN", "meet.example"), ("PLAUSCH_TURN_PEERS", "meet.example")] {
        assert!(load(&[bad]).is_err(), "{bad:?}");
    }
    let peers = load(&[turn, url("a.example"), ("PLAUSCH_TURN_PEERS", "192.0.2.8,192.0.2.9#443")]).unwrap();
    let peers = peers.turn.unwrap().peers;
    assert_eq!(peers, ["192.0.2.8:10000".parse().unwrap(), "192.0.2.9:443".parse().unwrap()]);
    // Each start has a secret of its own unless one is given.
    let secret = |env: &[(&str, &str)]| load(env).unwrap().turn.unwrap().secret.reveal().clone();
    let env = [turn, url("a.example")];
    assert_ne!(secret(&env), secret(&env));
}

#[test]
fn a_token_is_made_for_its_owner_alone_and_kept() {
    use std::os::unix::fs::PermissionsExt as _;
    let path = std::env::temp_dir().join(format!("plausch-token-made-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let token = |text: &str| {
        load(&[("PLAUSCH_ADMIN_TOKEN_FILE", text)]).map(|s| s.admin.token.map(|t| t.reveal().clone()))
    };
    let made = token(path.to_str().unwrap()).unwrap().unwrap();
    assert_eq!((made.len(), std::fs::metadata(&path).unwrap().permissions().mode() & 0o777), (64, 0o600));
    assert_eq!(token(path.to_str().unwrap()).unwrap(), Some(made));
    for bad in ["", "short", "two words, which no header takes", "zweiundzwanzig\nZeichen"] {
        std::fs::write(&path, bad).unwrap();
        let e = token(path.to_str().unwrap()).unwrap_err().to_string();
        assert!(e.contains("admin.token_file") && (bad.is_empty() || !e.contains(bad)), "{e}");
    }
    std::fs::remove_file(&path).unwrap();
    assert!(token("/nonexistent/token").is_err());
}

#[test]
fn what_was_set_and_changes_nothing_is_said() {
    let lines = |role, flags: &[(&'static str, &str)]| {
        let flags = flags.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
        let e = Effective::load(SETTINGS, &Sources { defaults: None, file: None, env: &|_| None, flags })
            .unwrap();
        useless::lines(role, &e)
    };
    let says = |role, flags: &[(&'static str, &str)], key: &str| {
        let lines = lines(role, flags);
        assert!(lines.len() == 1 && lines[0].contains(key), "{lines:?}");
    };
    assert!(
        lines(Role::AllInOne, &[("media.listen", "0.0.0.0:1"), ("log.filter", "debug,focus_core=trace")])
            .is_empty()
    );
    says(Role::Focus, &[("media.listen", "0.0.0.0:1")], "media.listen");
    says(Role::AllInOne, &[("xmpp.server", "other")], "xmpp.server");
    says(Role::Focus, &[("xmpp.server", "other:5"), ("xmpp.port", "6")], "xmpp.port");
    says(Role::AllInOne, &[("client.p2p", "0"), ("client.p2p_stun_servers", "a:1")], "p2p_stun_servers");
    says(Role::AllInOne, &[("http.config_js", "/x"), ("client.prejoin", "0")], "client.prejoin");
    says(Role::AllInOne, &[("client.screen_rate_max", "9")], "client.screen_rate_max");
    says(Role::AllInOne, &[("client.e2eping_size", "9")], "client.e2eping_size");
    let both = [("client.branding_url", "/a"), ("client.branding_by_room_url", "/b")];
    says(Role::AllInOne, &both, "client.branding_by_room_url");
    says(Role::AllInOne, &[("log.filter", "info,tungstenite=trace")], "log.filter");
    for s in SETTINGS {
        assert!(!useless::used_by(s.key).is_empty(), "{}", s.key);
    }
}

#[test]
fn compat_what_docker_s_variables_switch_off_is_off() {
    let open =
        [("PLAUSCH_HTTP", "[::]:8000"), ("PLAUSCH_MEDIA", "[::]:10000"), ("PLAUSCH_TURN", "[::]:3478")];
    let url = [("PUBLIC_URL", "https://meet.example"), ("PLAUSCH_HTTPS", "[::]:8443")];
    let both = load(&[&open[..], &url].concat()).unwrap();
    assert!(both.http.is_ipv6() && both.media.is_ipv6() && both.https.unwrap().listen.is_ipv6());
    let s = load(&[&open[..], &url, &[("ENABLE_IPV6", "0")]].concat()).unwrap();
    for a in [s.http, s.media, s.turn.unwrap().listen, s.https.unwrap().listen] {
        assert!(a.is_ipv4() && a.ip().is_unspecified(), "{a}");
    }
    let line = load(&[("PLAUSCH_HTTP", "[::1]:8000"), ("ENABLE_IPV6", "0")]).unwrap_err().to_string();
    assert!(line.contains("http.listen") && line.contains("start.ipv6"), "{line}");
    // A web server in front: upstream's `.env` often still asks for a certificate.
    let off = [("DISABLE_HTTPS", "1"), ("ENABLE_LETSENCRYPT", "1"), ("LETSENCRYPT_DOMAIN", "meet.example")];
    assert!(load(&[&url[..], &off].concat()).unwrap().https.is_none());
    assert!(load(&off).unwrap().https.is_none());
    assert!(!load(&[("JVB_ADVERTISE_PRIVATE_CANDIDATES", "0")]).unwrap().inner_addresses);
    assert!(!load(&[("ENABLE_SUBDOMAINS", "0")]).unwrap().web.tenants);
    assert!(load(&[("ENABLE_SHARED_DOCUMENT_RANDOM_NAME", "1")]).unwrap().focus.random_pad_names);
}

#[test]
fn the_admin_s_page_is_the_table() {
    let page = include_str!("../../../docs/admin/configuration.md");
    let (options, _) = page.split_once("\n## Hosts as tables").unwrap();
    let rows: Vec<&str> = options.lines().filter(|l| l.starts_with("| `")).collect();
    let table: Vec<String> = SETTINGS.iter().map(row).collect();
    assert!(rows == table, "write the table anew:\n{}", table.join("\n"));
}

fn row(s: &Setting) -> String {
    let code = |t: &str| if t.is_empty() { String::new() } else { format!("`{t}`") };
    let flag = if s.flag.is_empty() { String::new() } else { format!("`--{}`", s.flag) };
    let env: Vec<String> = s.env.iter().map(|e| code(e)).collect();
    format!("| `{}` | {flag} | {} | {} | {} |", s.key, env.join(", "), code(s.default), s.help)
}
