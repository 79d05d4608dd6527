//! The table of every option of every role, and the checked settings the parts are started with.

pub(crate) mod environment;
mod turn;
pub(crate) mod useless;
mod values;

use std::net::SocketAddr;
use std::path::PathBuf;

use http::HeaderValue;
use jitsi_xmpp::Sensitive;
use service::logging::{Format, check_filter};
use service::{Effective, Kind, Proxies, Setting, StartError};

use self::values::{
    admin_hosts, admin_token, file, header, modules, reservations, stun_servers, web_folder, xmpp_server,
};

const fn text(
    key: &'static str,
    flag: &'static str,
    env: &'static [&'static str],
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting { key, flag, env, default, kind: Kind::Text, help }
}

const fn of(
    kind: Kind,
    key: &'static str,
    flag: &'static str,
    env: &'static [&'static str],
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting { key, flag, env, default, kind, help }
}

/// Every option there is. Environment names are docker-jitsi-meet's where that has one.
pub(crate) const SETTINGS: &[Setting] = &[
    text("http.listen", "http", &["PLAUSCH_HTTP"], "127.0.0.1:8000", "Address of the web front."),
    text(
        "http.public_url",
        "public-url",
        &["PUBLIC_URL"],
        "",
        "URL under which people reach the front; without it, the request's host.",
    ),
    text(
        "http.web",
        "web",
        &["PLAUSCH_WEB"],
        "",
        "Folder with the Jitsi Meet web app; `none` for the test-call page. Without it, /usr/share/jitsi-meet when it is there.",
    ),
    text(
        "http.config_js",
        "config-js",
        &["PLAUSCH_CONFIG_JS"],
        "",
        "A config.js to serve in place of the generated one.",
    ),
    text(
        "http.custom_config_js",
        "custom-config-js",
        &["PLAUSCH_CUSTOM_CONFIG_JS"],
        "",
        "A file that is appended to config.js, so that it has the last word.",
    ),
    text(
        "http.allow_origin",
        "",
        &["CORS_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN"],
        "*",
        "Whose pages may read config.js and the app's files, as the header Access-Control-Allow-Origin says it; `none` for nobody's.",
    ),
    text(
        "http.csp",
        "",
        &["CSP_HEADER"],
        "",
        "Content-Security-Policy of the app's pages; the test-call page has its own.",
    ),
    of(
        Kind::List,
        "http.trusted_proxies",
        "",
        &["PROSODY_TRUSTED_PROXIES"],
        "127.0.0.1,::1,172.16.0.0/12",
        "Web servers in front, addresses or ranges, whose X-Forwarded-For is believed.",
    ),
    text(
        "admin.listen",
        "admin",
        &["PLAUSCH_ADMIN"],
        "127.0.0.1:8888",
        "Address of health, metrics and statistics. Not for the public.",
    ),
    of(
        Kind::List,
        "admin.hosts",
        "",
        &["PLAUSCH_ADMIN_HOSTS"],
        "",
        "Names under which admin.listen may be asked, besides localhost and IP addresses: a container's, for Prometheus.",
    ),
    text(
        "admin.token_file",
        "admin-token-file",
        &["PLAUSCH_ADMIN_TOKEN_FILE"],
        "",
        "File with the token that changing requests to admin.listen need; made if it is not there. Without it they are refused.",
    ),
    text("media.listen", "media", &["PLAUSCH_MEDIA"], "127.0.0.1:10000", "UDP address for audio and video."),
    of(Kind::Text, "media.port", "", &["JVB_PORT"], "", "Port of media.listen, when only that differs."),
    of(
        Kind::List,
        "media.advertise",
        "advertise",
        &["JVB_ADVERTISE_IPS", "DOCKER_HOST_ADDRESS"],
        "",
        "Public addresses of the media port, each `ip` or `ip#port`.",
    ),
    of(
        Kind::Number,
        "media.threads",
        "media-threads",
        &["PLAUSCH_MEDIA_THREADS"],
        "0",
        "Media threads; 0 for one less than the processor's cores.",
    ),
    of(
        Kind::Bool,
        "media.gso",
        "",
        &["PLAUSCH_MEDIA_GSO"],
        "true",
        "Several datagrams for one receiver leave in one system call (UDP_SEGMENT). Off only to compare.",
    ),
    text(
        "xmpp.listen",
        "xmpp",
        &["PLAUSCH_XMPP"],
        "127.0.0.1:5222",
        "TCP address for focus and bridges outside this process.",
    ),
    text(
        "xmpp.server",
        "xmpp-server",
        &["XMPP_SERVER"],
        "127.0.0.1",
        "XMPP server that the roles `focus` and `videobridge` connect to, `host` or `host:port`.",
    ),
    of(Kind::Number, "xmpp.port", "", &["XMPP_PORT"], "5222", "Port of xmpp.server when that names none."),
    of(
        Kind::Bool,
        "xmpp.verify_certificate",
        "",
        &["PLAUSCH_VERIFY_CERTIFICATE"],
        "false",
        "Roles that connect over TCP insist on a valid certificate. Off, because servers make their own by default.",
    ),
    text(
        "xmpp.domain",
        "domain",
        &["XMPP_DOMAIN"],
        "meet.jitsi",
        "XMPP domain; the other domains begin from it.",
    ),
    text(
        "xmpp.auth_domain",
        "auth-domain",
        &["XMPP_AUTH_DOMAIN"],
        "",
        "Domain of service accounts; without it, auth.<domain>.",
    ),
    text(
        "xmpp.muc_domain",
        "muc-domain",
        &["XMPP_MUC_DOMAIN"],
        "",
        "Domain of meetings; without it, muc.<domain>.",
    ),
    text(
        "xmpp.internal_muc_domain",
        "internal-muc-domain",
        &["XMPP_INTERNAL_MUC_DOMAIN"],
        "",
        "Domain of the bridges' room; without it, internal-muc.<domain>.",
    ),
    of(
        Kind::Bool,
        "xmpp.require_encryption",
        "",
        &["PROSODY_C2S_REQUIRE_ENCRYPTION"],
        "true",
        "Focus and bridges outside this process connect with TLS or not at all.",
    ),
    text(
        "xmpp.max_participants",
        "",
        &["MAX_PARTICIPANTS"],
        "",
        "Most people in one meeting; without it, what the server can carry.",
    ),
    of(
        Kind::List,
        "xmpp.modules",
        "",
        &["XMPP_MODULES"],
        "",
        "Modules that are off unless they are named: `muc_size`, `muc_census`, which answer on admin.listen.",
    ),
    text(
        "turn.stun_host",
        "",
        &["STUN_HOST"],
        "",
        "STUN server that clients are told of; none unless you name one.",
    ),
    of(Kind::Number, "turn.stun_port", "", &["STUN_PORT"], "443", "Its UDP port."),
    of(Kind::List, "turn.hosts", "", &["TURN_HOST"], "", "TURN servers that clients are told of."),
    of(Kind::Number, "turn.port", "", &["TURN_PORT"], "443", "Their port."),
    of(
        Kind::List,
        "turn.transports",
        "",
        &["TURN_TRANSPORT"],
        "tcp",
        "How they are reached, `tcp`, `udp` or both.",
    ),
    of(Kind::List, "turn.tls_hosts", "", &["TURNS_HOST"], "", "TURN servers over TLS."),
    of(Kind::Number, "turn.tls_port", "", &["TURNS_PORT"], "443", "Their port."),
    of(
        Kind::Secret,
        "turn.secret",
        "",
        &["TURN_CREDENTIALS"],
        "",
        "Secret shared with these TURN servers; credentials for clients are made from it.",
    ),
    of(
        Kind::Secret,
        "turn.username",
        "",
        &["TURN_USERNAME"],
        "",
        "Instead of a secret: one name for all clients.",
    ),
    of(Kind::Secret, "turn.password", "", &["TURN_PASSWORD"], "", "Its password."),
    of(Kind::Number, "turn.ttl", "", &["TURN_TTL"], "86400", "Seconds that credentials are valid."),
    of(
        Kind::Bool,
        "rooms.strict_nicks",
        "",
        &["PROSODY_MUC_RESOURCE_VALIDATE_ANONYMOUS_STRICT"],
        "false",
        "Nicks of people without a login begin with their address, as clients make them.",
    ),
    of(
        Kind::Bool,
        "rooms.av_moderation",
        "",
        &["ENABLE_AV_MODERATION"],
        "true",
        "Moderators may switch microphones, cameras and screens off for all but those whom they allow.",
    ),
    of(
        Kind::Bool,
        "rooms.end_conference",
        "",
        &["ENABLE_END_CONFERENCE"],
        "true",
        "Moderators may end a meeting for all.",
    ),
    of(Kind::Bool, "rooms.disable_polls", "", &["DISABLE_POLLS"], "false", "No polls."),
    of(
        Kind::Bool,
        "rooms.reservations",
        "",
        &["PROSODY_RESERVATION_ENABLED"],
        "false",
        "Meetings have to be allowed by a booking system.",
    ),
    text(
        "rooms.reservations_url",
        "",
        &["PROSODY_RESERVATION_REST_BASE_URL"],
        "",
        "Where it is asked, `http://host/path`; not yet over https.",
    ),
    of(
        Kind::Secret,
        "focus.password",
        "",
        &["JICOFO_AUTH_PASSWORD"],
        "",
        "Password of the account focus. Without it nobody logs in as focus over TCP.",
    ),
    of(
        Kind::Bool,
        "focus.auto_owner",
        "",
        &["ENABLE_AUTO_OWNER"],
        "true",
        "Who comes first is moderator. Otherwise nobody is.",
    ),
    text(
        "focus.max_audio_senders",
        "",
        &["JICOFO_CONF_MAX_AUDIO_SENDERS"],
        "999999",
        "Open microphones of one meeting; beyond that people come muted and stay so.",
    ),
    text(
        "focus.max_video_senders",
        "",
        &["JICOFO_CONF_MAX_VIDEO_SENDERS"],
        "999999",
        "The same for cameras.",
    ),
    of(
        Kind::Bool,
        "focus.opus_red",
        "",
        &["ENABLE_CODEC_OPUS_RED"],
        "false",
        "Speech is sent with redundancy to those whose client can take it.",
    ),
    text("bridge.user", "", &["JVB_AUTH_USER"], "jvb", "Account name of bridges."),
    of(
        Kind::Secret,
        "bridge.password",
        "",
        &["JVB_AUTH_PASSWORD"],
        "",
        "Password of that account. Without it no bridge logs in over TCP.",
    ),
    text(
        "bridge.name",
        "bridge-name",
        &["JVB_MUC_NICKNAME"],
        "jvb",
        "This bridge's name in the bridges' room; each bridge needs its own.",
    ),
    text("bridge.region", "", &["JVB_OCTO_REGION"], "", "Region this bridge reports."),
    text("bridge.brewery", "", &["JVB_BREWERY_MUC"], "jvbbrewery", "Name of the bridges' room."),
    of(
        Kind::Bool,
        "client.websocket",
        "",
        &["ENABLE_XMPP_WEBSOCKET"],
        "true",
        "Clients use XMPP over WebSocket; otherwise BOSH.",
    ),
    of(
        Kind::Bool,
        "client.http_conference_request",
        "",
        &[],
        "true",
        "Clients ask for a meeting over HTTP before they connect.",
    ),
    of(
        Kind::Bool,
        "client.prefer_sctp",
        "",
        &["JVB_PREFER_SCTP"],
        "true",
        "Clients open the bridge channel as data channel; otherwise as WebSocket.",
    ),
    of(
        Kind::Bool,
        "client.p2p",
        "",
        &["ENABLE_P2P"],
        "true",
        "Two people talk directly when they can. They then learn each other's network address.",
    ),
    of(
        Kind::List,
        "client.p2p_stun_servers",
        "",
        &["P2P_STUN_SERVERS"],
        "",
        "STUN servers for direct calls, `host:port`. None unless you name your own.",
    ),
    of(
        Kind::Bool,
        "client.prejoin",
        "",
        &["ENABLE_PREJOIN_PAGE"],
        "true",
        "Ask for name and devices before joining.",
    ),
    of(
        Kind::Bool,
        "client.welcome_page",
        "",
        &["ENABLE_WELCOME_PAGE"],
        "true",
        "Show the welcome page at /.",
    ),
    text(
        "log.filter",
        "log",
        &["PLAUSCH_LOG", "RUST_LOG", "LOG_LEVEL"],
        "info",
        "What is logged: off, error, warn, info, debug, trace, or target=level. Libraries say nothing below info.",
    ),
    text("log.format", "log-format", &["PLAUSCH_LOG_FORMAT"], "text", "`text` or `json`."),
    of(
        Kind::List,
        "start.accept",
        "",
        &["PLAUSCH_ACCEPT"],
        "",
        "Variables of upstream's that keep people out, whose absence is accepted.",
    ),
];

/// What the process was asked to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// All roles and the web front.
    AllInOne,
    /// XMPP server with its HTTP endpoints.
    Xmpp,
    /// Conference focus.
    Focus,
    /// Media bridge.
    Videobridge,
}

/// Checked settings.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) http: SocketAddr,
    pub(crate) trusted_proxies: Proxies,
    pub(crate) admin: Admin,
    pub(crate) media: SocketAddr,
    pub(crate) advertise: Vec<SocketAddr>,
    pub(crate) media_threads: usize,
    pub(crate) media_gso: bool,
    pub(crate) xmpp: SocketAddr,
    /// `host:port` of the XMPP server for a role that runs alone.
    pub(crate) xmpp_server: String,
    pub(crate) verify_certificate: bool,
    pub(crate) domains: Domains,
    pub(crate) require_encryption: bool,
    pub(crate) max_participants: Option<usize>,
    pub(crate) modules: Vec<String>,
    pub(crate) strict_nicks: bool,
    pub(crate) external_services: Vec<prosody_core::ExternalService>,
    pub(crate) av_moderation: bool,
    pub(crate) end_conference: bool,
    pub(crate) polls: bool,
    /// Where the booking system is asked, if meetings have to be allowed.
    pub(crate) reservations: Option<String>,
    pub(crate) focus: Focus,
    pub(crate) bridge: Bridge,
    pub(crate) web: Web,
    pub(crate) client: Client,
}

/// The XMPP names.
#[derive(Debug, Clone)]
pub(crate) struct Domains {
    pub(crate) main: String,
    pub(crate) auth: String,
    pub(crate) muc: String,
    pub(crate) internal_muc: String,
}

/// The admin's own listener.
#[derive(Debug, Clone)]
pub(crate) struct Admin {
    pub(crate) listen: SocketAddr,
    /// Lower-case.
    pub(crate) hosts: Vec<String>,
    /// Without one, nothing is changed over HTTP.
    pub(crate) token: Option<Sensitive<String>>,
}

/// What the focus is told.
#[derive(Debug, Clone)]
pub(crate) struct Focus {
    pub(crate) password: Option<Sensitive<String>>,
    pub(crate) auto_owner: bool,
    pub(crate) max_audio_senders: usize,
    pub(crate) max_video_senders: usize,
    pub(crate) opus_red: bool,
}

/// How this process' bridge, or bridges outside, appear.
#[derive(Debug, Clone)]
pub(crate) struct Bridge {
    pub(crate) user: String,
    pub(crate) password: Option<Sensitive<String>>,
    pub(crate) name: String,
    pub(crate) region: Option<String>,
    pub(crate) brewery: String,
}

/// What the front serves.
#[derive(Debug, Clone)]
pub(crate) struct Web {
    /// The web app's folder; without one, the test-call page.
    pub(crate) folder: Option<PathBuf>,
    pub(crate) public_url: Option<String>,
    pub(crate) config_js: Option<PathBuf>,
    pub(crate) custom_config_js: Option<PathBuf>,
    /// `None`: other sites' pages read nothing.
    pub(crate) allow_origin: Option<HeaderValue>,
    pub(crate) csp: Option<HeaderValue>,
}

/// What the generated config.js tells clients.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) websocket: bool,
    pub(crate) http_conference_request: bool,
    pub(crate) prefer_sctp: bool,
    pub(crate) p2p: bool,
    pub(crate) p2p_stun_servers: Vec<String>,
    pub(crate) prejoin: bool,
    pub(crate) welcome_page: bool,
}

/// Where Debian's package puts the web app.
pub(crate) const DEBIAN_WEB: &str = "/usr/share/jitsi-meet";

impl Settings {
    /// Reads meaning into the values; the first that has none is an error naming it.
    pub(crate) fn check(e: &Effective) -> Result<Self, StartError> {
        check_filter(e.text("log.filter")).map_err(|r| e.bad("log.filter", r))?;
        e.parse::<Format>("log.format")?;
        let mut media: SocketAddr = e.parse("media.listen")?;
        if let Some(port) = e.parse_optional("media.port")? {
            media.set_port(port);
        }
        let main = domain(e, "xmpp.domain", "")?;
        let server = e.text("xmpp.server");
        let port: u16 = e.parse("xmpp.port")?;
        Ok(Self {
            http: e.parse("http.listen")?,
            trusted_proxies: Proxies::new(e.list("http.trusted_proxies").iter().map(String::as_str))
                .map_err(|r| e.bad("http.trusted_proxies", r))?,
            admin: Admin { listen: e.parse("admin.listen")?, hosts: admin_hosts(e)?, token: admin_token(e)? },
            media,
            advertise: advertised(e, media.port())?,
            media_threads: e.parse("media.threads")?,
            media_gso: e.is_on("media.gso"),
            xmpp: e.parse("xmpp.listen")?,
            xmpp_server: xmpp_server(e, server, port)?,
            verify_certificate: e.is_on("xmpp.verify_certificate"),
            domains: Domains {
                auth: domain(e, "xmpp.auth_domain", &format!("auth.{main}"))?,
                muc: domain(e, "xmpp.muc_domain", &format!("muc.{main}"))?,
                internal_muc: domain(e, "xmpp.internal_muc_domain", &format!("internal-muc.{main}"))?,
                main,
            },
            require_encryption: e.is_on("xmpp.require_encryption"),
            max_participants: e.parse_optional("xmpp.max_participants")?,
            modules: modules(e)?,
            strict_nicks: e.is_on("rooms.strict_nicks"),
            external_services: turn::services(e)?,
            av_moderation: e.is_on("rooms.av_moderation"),
            end_conference: e.is_on("rooms.end_conference"),
            polls: !e.is_on("rooms.disable_polls"),
            reservations: reservations(e)?,
            focus: Focus {
                password: secret(e, "focus.password"),
                auto_owner: e.is_on("focus.auto_owner"),
                max_audio_senders: e.parse("focus.max_audio_senders")?,
                max_video_senders: e.parse("focus.max_video_senders")?,
                opus_red: e.is_on("focus.opus_red"),
            },
            bridge: Bridge {
                user: e.text("bridge.user").to_owned(),
                password: secret(e, "bridge.password"),
                name: name(e, "bridge.name")?,
                region: Some(e.text("bridge.region")).filter(|r| !r.is_empty()).map(str::to_owned),
                brewery: name(e, "bridge.brewery")?,
            },
            web: Web {
                folder: web_folder(e)?,
                public_url: public_url(e)?,
                config_js: file(e, "http.config_js")?,
                custom_config_js: file(e, "http.custom_config_js")?,
                allow_origin: header(e, "http.allow_origin")?.filter(|v| v != "none"),
                csp: header(e, "http.csp")?,
            },
            client: Client {
                websocket: e.is_on("client.websocket"),
                // Over HTTP nobody knows who asks, so that nothing would be allowed.
                http_conference_request: e.is_on("client.http_conference_request")
                    && !e.is_on("rooms.reservations"),
                prefer_sctp: e.is_on("client.prefer_sctp"),
                p2p: e.is_on("client.p2p"),
                p2p_stun_servers: stun_servers(e)?,
                prejoin: e.is_on("client.prejoin"),
                welcome_page: e.is_on("client.welcome_page"),
            },
        })
    }
}

fn secret(e: &Effective, key: &str) -> Option<Sensitive<String>> {
    Some(e.text(key)).filter(|v| !v.is_empty()).map(|v| Sensitive::new(v.to_owned()))
}

fn domain(e: &Effective, key: &str, default: &str) -> Result<String, StartError> {
    let value = e.text(key);
    let value = if value.is_empty() { default } else { value }.to_lowercase();
    let label = |l: &str| {
        !l.is_empty() && l.len() <= 63 && l.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_')
    };
    if value.len() > 253 || !value.split('.').all(label) {
        return Err(e.bad(key, "must be a domain name"));
    }
    Ok(value)
}

fn name(e: &Effective, key: &str) -> Result<String, StartError> {
    let value = e.text(key);
    if value.is_empty()
        || value.len() > 255
        || !value.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    {
        return Err(e.bad(key, "must be letters, digits, `-`, `_` or `.`"));
    }
    Ok(value.to_owned())
}

fn advertised(e: &Effective, port: u16) -> Result<Vec<SocketAddr>, StartError> {
    let one = |text: &String| {
        let (ip, port) = match text.split_once('#') {
            Some((ip, p)) => {
                (ip, p.parse().map_err(|_| e.bad("media.advertise", "a port after `#` must be a number"))?)
            }
            None => (text.as_str(), port),
        };
        ip.trim()
            .parse()
            .map(|ip| SocketAddr::new(ip, port))
            .map_err(|_| e.bad("media.advertise", "must be IP addresses, each `ip` or `ip#port`"))
    };
    e.list("media.advertise").iter().map(one).collect()
}

fn public_url(e: &Effective) -> Result<Option<String>, StartError> {
    let text = e.text("http.public_url").trim_end_matches('/');
    if text.is_empty() {
        return Ok(None);
    }
    // compat: upstream accepts a bare host name and means https (test: compat_docker_addresses).
    let url = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).unwrap_or_default();
    if host.is_empty() || !host.chars().all(|c| c.is_ascii_alphanumeric() || "-._:[]".contains(c)) {
        return Err(e.bad(
            "http.public_url",
            "must be `https://host` or `http://host`, with a port if needed and no path",
        ));
    }
    Ok(Some(url))
}

#[cfg(test)]
mod tests;
