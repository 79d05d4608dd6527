//! The table of every option of every role, and the checked settings the parts are started with.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use jitsi_xmpp::Sensitive;
use service::logging::{Format, check_filter};
use service::{Effective, Kind, Setting, StartError};

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
        "admin.listen",
        "admin",
        &["PLAUSCH_ADMIN"],
        "127.0.0.1:8888",
        "Address of health, metrics and statistics. Not for the public.",
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
        Kind::Secret,
        "focus.password",
        "",
        &["JICOFO_AUTH_PASSWORD"],
        "",
        "Password of the account focus. Without it nobody logs in as focus over TCP.",
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
        &["PLAUSCH_LOG", "RUST_LOG"],
        "info",
        "What is logged: off, error, warn, info, debug, trace, or target=level.",
    ),
    text("log.format", "log-format", &["PLAUSCH_LOG_FORMAT"], "text", "`text` or `json`."),
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
    pub(crate) admin: SocketAddr,
    pub(crate) media: SocketAddr,
    pub(crate) advertise: Vec<SocketAddr>,
    pub(crate) media_threads: usize,
    pub(crate) media_gso: bool,
    pub(crate) xmpp: SocketAddr,
    /// `host:port` of the XMPP server for a role that runs alone.
    pub(crate) xmpp_server: String,
    pub(crate) verify_certificate: bool,
    pub(crate) domains: Domains,
    pub(crate) focus_password: Option<Sensitive<String>>,
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
            admin: e.parse("admin.listen")?,
            media,
            advertise: advertised(e, media.port())?,
            media_threads: e.parse("media.threads")?,
            media_gso: e.is_on("media.gso"),
            xmpp: e.parse("xmpp.listen")?,
            xmpp_server: if has_port(server) { server.to_owned() } else { format!("{server}:{port}") },
            verify_certificate: e.is_on("xmpp.verify_certificate"),
            domains: Domains {
                auth: domain(e, "xmpp.auth_domain", &format!("auth.{main}"))?,
                muc: domain(e, "xmpp.muc_domain", &format!("muc.{main}"))?,
                internal_muc: domain(e, "xmpp.internal_muc_domain", &format!("internal-muc.{main}"))?,
                main,
            },
            focus_password: secret(e, "focus.password"),
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
            },
            client: Client {
                websocket: e.is_on("client.websocket"),
                http_conference_request: e.is_on("client.http_conference_request"),
                prefer_sctp: e.is_on("client.prefer_sctp"),
                p2p: e.is_on("client.p2p"),
                p2p_stun_servers: e.list("client.p2p_stun_servers").to_vec(),
                prejoin: e.is_on("client.prejoin"),
                welcome_page: e.is_on("client.welcome_page"),
            },
        })
    }
}

fn secret(e: &Effective, key: &str) -> Option<Sensitive<String>> {
    Some(e.text(key)).filter(|v| !v.is_empty()).map(|v| Sensitive::new(v.to_owned()))
}

fn has_port(server: &str) -> bool {
    server.rsplit_once(':').is_some_and(|(host, port)| {
        port.parse::<u16>().is_ok() && (!host.contains(':') || host.ends_with(']'))
    })
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
    // compat: upstream accepts a bare host name and means https.
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

fn web_folder(e: &Effective) -> Result<Option<PathBuf>, StartError> {
    let (folder, chosen) = match e.text("http.web") {
        "none" => return Ok(None),
        "" => (Path::new(DEBIAN_WEB), false),
        named => (Path::new(named), true),
    };
    match std::fs::metadata(folder.join("index.html")) {
        Ok(m) if m.is_file() => folder
            .canonicalize()
            .map(Some)
            .map_err(|x| StartError::Unreadable { path: folder.to_owned(), reason: x.to_string() }),
        _ if !chosen => Ok(None),
        Ok(_) => Err(e.bad("http.web", "its index.html is not a file")),
        Err(x) => Err(StartError::Unreadable { path: folder.join("index.html"), reason: x.to_string() }),
    }
}

fn file(e: &Effective, key: &str) -> Result<Option<PathBuf>, StartError> {
    let path = PathBuf::from(e.text(key));
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    // Read once now, so that a wrong path ends the start and not a visitor's page.
    std::fs::read_to_string(&path)
        .map(|_| Some(path.clone()))
        .map_err(|x| StartError::Unreadable { path, reason: x.to_string() })
}

#[cfg(test)]
mod tests;
