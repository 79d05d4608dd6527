//! The values of all options in; the checked settings the parts are started with, or the first mistake, out.

mod acme;
pub(crate) mod cautions;
pub(crate) mod environment;
pub(crate) mod families;
mod focus;
mod hosts;
mod login;
mod names;
pub(crate) mod running;
mod services;
mod spread;
mod table;
mod tls;
mod turn;
pub(crate) mod useless;
mod values;
mod web;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderValue;
use jitsi_xmpp::Sensitive;
use prosody_server::config::BesideModules;
use prosody_server::programs::RawPrograms;
use prosody_server::short_lived::RawShortLived;
use service::listen::Address;
use service::logging::{Format, To};
use service::{Effective, Proxies, StartError};
use videobridge_server::{LastN, TcpPorts};

pub(crate) use self::focus::Focus;
pub(crate) use self::hosts::HostTables;
pub(crate) use self::login::{Login, Proof, option_of, option_of_directory};
pub(crate) use self::names::{line, named};
pub(crate) use self::services::Services;
pub(crate) use self::table::SETTINGS;
pub(crate) use self::tls::{Https, Origin as CertificateOrigin};
pub(crate) use self::turn::OwnTurn;
pub(crate) use self::values::token_of;
use self::values::{
    account, admin_hosts, admin_token, beside_modules, file, folder, header, label, last_n, log_filter,
    media_addresses, media_tcp, meetings_go_on, modules, muc_modules, p2p_stun_servers, reservations,
    stun_servers, web_folder, xmpp_server,
};

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
    /// How the log is written, and where to.
    pub(crate) log: (Format, To),
    pub(crate) http: SocketAddr,
    /// Its port in the role `xmpp`, when that is another.
    pub(crate) http_port: Option<u16>,
    pub(crate) https: Option<Https>,
    pub(crate) trusted_proxies: Proxies,
    pub(crate) admin: Admin,
    pub(crate) media: SocketAddr,
    /// Further addresses for media, with the same port.
    pub(crate) media_more: Vec<IpAddr>,
    pub(crate) advertise: Vec<SocketAddr>,
    /// Clients are told where the public name leads, when the machine has inner addresses only.
    pub(crate) from_dns: bool,
    /// `host:port` of those that are asked for our public address.
    pub(crate) stun_servers: Vec<String>,
    /// Clients are told the bridge's inner addresses, too.
    pub(crate) inner_addresses: bool,
    /// Where TCP connections for media are taken.
    pub(crate) media_tcp: Option<TcpPorts>,
    pub(crate) media_threads: usize,
    pub(crate) media_spread_above: usize,
    pub(crate) media_gso: bool,
    /// How many pictures anybody gets at most.
    pub(crate) last_n: LastN,
    pub(crate) xmpp: SocketAddr,
    /// `host:port` of the XMPP server for a role that runs alone.
    pub(crate) xmpp_server: String,
    pub(crate) verify_certificate: bool,
    pub(crate) domains: Domains,
    /// In place of the layout that other options describe.
    pub(crate) hosts: Option<HostTables>,
    /// Whose tokens change meetings over HTTP.
    pub(crate) programs: Vec<RawPrograms>,
    pub(crate) short_lived_tokens: Vec<RawShortLived>,
    /// Whom the role `xmpp` shows its figures on the public address.
    pub(crate) metrics_for: Option<Proxies>,
    pub(crate) require_encryption: bool,
    pub(crate) max_participants: Option<usize>,
    pub(crate) modules: Vec<String>,
    pub(crate) muc_modules: Vec<String>,
    pub(crate) beside_modules: BesideModules,
    /// Who opens a meeting for guests owns it.
    pub(crate) hosts_own: bool,
    pub(crate) strict_nicks: bool,
    /// Only those come in on the main host who have proved who they are. `None`: everybody may.
    pub(crate) login: Option<Login>,
    /// Accounts that no person has.
    pub(crate) services: Services,
    pub(crate) external_services: Vec<prosody_core::ExternalService>,
    /// Addresses behind which many people are.
    pub(crate) crowds: Proxies,
    /// Shard, region and release, as clients are told.
    pub(crate) told: [Option<String>; 3],
    /// How long meetings go on in the old process after an upgrade.
    pub(crate) meetings_go_on: Duration,
    /// Folder for what outlives a restart.
    pub(crate) state: PathBuf,
    pub(crate) turn: Option<OwnTurn>,
    pub(crate) lobby: bool,
    pub(crate) visitors: Visitors,
    pub(crate) breakout_rooms: bool,
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Domains {
    pub(crate) main: String,
    pub(crate) auth: String,
    pub(crate) muc: String,
    pub(crate) internal_muc: String,
    /// Where people log in who only watch. `None`: nobody does.
    pub(crate) viewers: Option<String>,
}

/// How meetings are watched, where they are.
#[derive(Debug, Clone)]
pub(crate) struct Visitors {
    /// So many meet; who comes then watches.
    pub(crate) max_participants: usize,
    /// So many watch one meeting.
    pub(crate) max_viewers: usize,
    /// Who raises a hand comes in.
    pub(crate) come_in: bool,
    /// Who wants to watch waits until a moderator shows the meeting.
    pub(crate) only_live: bool,
    /// Where a focus of Jitsi's own logs in a second time. `None`: it does not.
    pub(crate) focus: Option<String>,
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

/// How this process' bridge, or bridges outside, appear.
#[derive(Debug, Clone)]
pub(crate) struct Bridge {
    pub(crate) user: String,
    pub(crate) password: Option<Sensitive<String>>,
    pub(crate) name: String,
    pub(crate) region: Option<String>,
    pub(crate) relay_id: Option<String>,
    pub(crate) brewery: String,
}

/// What the front serves.
#[derive(Debug, Clone)]
pub(crate) struct Web {
    /// The web app's folder; without one, the test-call page.
    pub(crate) folder: Option<PathBuf>,
    /// Paths may begin with a tenant.
    pub(crate) tenants: bool,
    pub(crate) public_url: Option<String>,
    pub(crate) config_js: Option<PathBuf>,
    pub(crate) custom_config_js: Option<PathBuf>,
    /// Folder with more to append.
    pub(crate) custom: Option<PathBuf>,
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
    pub(crate) relative_bosh: bool,
    pub(crate) polls: bool,
    /// Whose people they do not show.
    pub(crate) hidden_domain: Option<String>,
    pub(crate) breakout_rooms: bool,
    /// They are told where to log in, and where without.
    pub(crate) login: Option<Login>,
    /// `(dotted key below config, value)`.
    pub(crate) more: Vec<(&'static str, serde_json::Value)>,
}

/// Where Debian's package puts the web app.
pub(crate) const DEBIAN_WEB: &str = "/usr/share/jitsi-meet";

fn visitors(e: &Effective, login: Option<&Login>, domains: &Domains) -> Result<Visitors, StartError> {
    // With tokens, who watches has one.
    let accounts_only = |l: &Login| l.guests.is_none() && !matches!(l.proof, Proof::Token(_));
    if e.is_on("visitors.enabled") && login.is_some_and(accounts_only) {
        let why = "needs login.guests: who watches has no account, and would come in where only accounts do";
        return Err(e.bad("visitors.enabled", why));
    }
    let usual = |viewers: &String| domain(e, "visitors.focus_domain", &format!("auth.{viewers}"));
    let focus = domains.viewers.as_ref().map(usual).transpose()?;
    let count = |key: &str| match e.parse::<usize>(key)? {
        0 => Err(e.bad(key, "must be at least 1")),
        n => Ok(n),
    };
    Ok(Visitors {
        max_participants: count("visitors.max_participants")?,
        max_viewers: count("visitors.max_viewers")?,
        come_in: e.is_on("visitors.come_in"),
        only_live: e.is_on("visitors.only_live"),
        // Under one address two sessions push each other out: then as without.
        focus: focus.filter(|domain| *domain != domains.auth),
    })
}

impl Settings {
    /// The TURN server's credentials are made with this, where it makes that itself: a process before this one has given some out.
    pub(crate) fn adopt_turn_secret(&mut self, secret: &Sensitive<String>) {
        let Some(own) = &mut self.turn else { return };
        own.secret = secret.clone();
        for service in &mut self.external_services {
            if let prosody_core::Credentials::Own(of_service) = &mut service.credentials {
                *of_service = secret.clone();
            }
        }
    }

    /// Reads meaning into the values; the first that has none is an error naming it. The admin's token is made if it has to be.
    pub(crate) fn check(e: &Effective) -> Result<Self, StartError> {
        let mut settings = Self::look(e)?;
        settings.admin.token = admin_token(e)?;
        Ok(settings)
    }

    /// The same without the token, so that nothing is changed.
    pub(crate) fn look(e: &Effective) -> Result<Self, StartError> {
        log_filter(e)?;
        let format = e.parse::<Format>("log.format")?;
        let to = To::of(e.text("log.to"), format).map_err(|r| e.bad("log.to", r))?;
        let (mut media, media_more) = media_addresses(e)?;
        if let Some(port) = e.parse_optional("media.port")? {
            media.set_port(port);
        }
        let (domains, hosts) = hosts::read(e)?;
        let login = login::read(e, &domains, hosts.as_ref())?;
        let visitors = visitors(e, login.as_ref(), &domains)?;
        let services = services::read(e, &domains, hosts.as_ref())?;
        let public_url = public_url(e)?;
        let https = tls::https(e, public_url.as_deref())?;
        let (external_services, turn) = turn::services(e, public_url.as_deref(), https.as_ref())?;
        let server = e.text("xmpp.server");
        let port: u16 = e.parse("xmpp.port")?;
        Ok(Self {
            log: (format, to),
            http: listen(e, "http.listen")?,
            http_port: e.parse_optional("http.port")?,
            https,
            trusted_proxies: Proxies::new(e.list("http.trusted_proxies").iter().map(String::as_str))
                .map_err(|r| e.bad("http.trusted_proxies", r))?,
            admin: Admin { listen: listen(e, "admin.listen")?, hosts: admin_hosts(e)?, token: None },
            media,
            media_more,
            advertise: addresses(e, "media.advertise", media.port())?,
            from_dns: e.is_on("media.from_dns"),
            stun_servers: stun_servers(e)?,
            inner_addresses: e.is_on("media.inner_addresses"),
            media_tcp: media_tcp(e, media.port())?,
            media_threads: e.parse("media.threads")?,
            media_spread_above: e.parse("media.spread_above")?,
            media_gso: e.is_on("media.gso"),
            last_n: last_n(e)?,
            xmpp: listen(e, "xmpp.listen")?,
            xmpp_server: xmpp_server(e, server, port)?,
            verify_certificate: e.is_on("xmpp.verify_certificate"),
            domains,
            hosts,
            metrics_for: metrics_for(e)?,
            require_encryption: e.is_on("xmpp.require_encryption"),
            max_participants: e.parse_optional("xmpp.max_participants")?,
            modules: modules(e)?,
            programs: hosts::programs(e)?,
            short_lived_tokens: hosts::short_lived_tokens(e)?,
            muc_modules: muc_modules(e)?,
            beside_modules: beside_modules(e)?,
            hosts_own: !e.is_on("rooms.wait_for_host_disable_auto_owners"),
            strict_nicks: e.is_on("rooms.strict_nicks"),
            services: services.clone(),
            external_services,
            login: login.clone(),
            crowds: Proxies::new(e.list("xmpp.crowds").iter().map(String::as_str))
                .map_err(|r| e.bad("xmpp.crowds", r))?,
            told: [label(e, "xmpp.shard")?, label(e, "xmpp.region")?, label(e, "xmpp.release")?],
            meetings_go_on: meetings_go_on(e)?,
            state: state(e)?,
            turn,
            lobby: e.is_on("rooms.lobby"),
            visitors,
            breakout_rooms: e.is_on("rooms.breakout_rooms"),
            av_moderation: e.is_on("rooms.av_moderation"),
            end_conference: e.is_on("rooms.end_conference"),
            polls: !e.is_on("rooms.disable_polls"),
            reservations: reservations(e)?,
            focus: focus::focus(e)?,
            bridge: Bridge {
                user: account(e, "bridge.user")?,
                password: secret(e, "bridge.password"),
                name: name(e, "bridge.name")?,
                region: label(e, "bridge.region")?,
                relay_id: label(e, "bridge.relay_id")?,
                brewery: name(e, "bridge.brewery")?,
            },
            web: Web {
                folder: web_folder(e)?,
                tenants: e.is_on("http.tenants"),
                public_url,
                config_js: file(e, "http.config_js")?,
                custom_config_js: file(e, "http.custom_config_js")?,
                custom: folder(e, "http.custom")?,
                allow_origin: header(e, "http.allow_origin")?.filter(|v| v != "none"),
                csp: header(e, "http.csp")?,
            },
            client: Client {
                websocket: e.is_on("client.websocket"),
                // Over HTTP nobody knows who asks, so that nothing would be allowed.
                http_conference_request: e.is_on("client.http_conference_request")
                    && !e.is_on("rooms.reservations")
                    && login.is_none(),
                prefer_sctp: e.is_on("client.prefer_sctp"),
                p2p: e.is_on("client.p2p"),
                p2p_stun_servers: p2p_stun_servers(e)?,
                prejoin: e.is_on("client.prejoin"),
                welcome_page: e.is_on("client.welcome_page"),
                relative_bosh: e.is_on("client.relative_bosh"),
                polls: !e.is_on("rooms.disable_polls"),
                hidden_domain: services.hidden_domain,
                breakout_rooms: e.is_on("rooms.breakout_rooms"),
                login,
                more: web::keys(e)?,
            },
        })
    }
}

/// The folder for what outlives a restart.
fn state(e: &Effective) -> Result<PathBuf, StartError> {
    let state = PathBuf::from(e.text("state.dir"));
    if !state.is_absolute() {
        return Err(e.bad("state.dir", "must be a folder, from `/` on"));
    }
    Ok(state)
}

fn listen(e: &Effective, key: &str) -> Result<SocketAddr, StartError> {
    without_ipv6(e, key, e.parse::<Address>(key)?.0)
}

/// The same for an option that may be empty.
fn listen_if_any(e: &Effective, key: &str) -> Result<Option<SocketAddr>, StartError> {
    let Some(Address(address)) = e.parse_optional(key)? else { return Ok(None) };
    without_ipv6(e, key, address).map(Some)
}

fn without_ipv6(e: &Effective, key: &str, address: SocketAddr) -> Result<SocketAddr, StartError> {
    match address.ip() {
        IpAddr::V6(_) if e.is_on("start.ipv6") => Ok(address),
        IpAddr::V6(ip) if ip.is_unspecified() => {
            Ok(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port()))
        }
        IpAddr::V6(_) => Err(e.bad(key, "is an address of IPv6, which start.ipv6 switches off")),
        IpAddr::V4(_) => Ok(address),
    }
}

fn metrics_for(e: &Effective) -> Result<Option<Proxies>, StartError> {
    let key = "xmpp.metrics_for";
    let ranges = Proxies::new(e.list(key).iter().map(String::as_str)).map_err(|r| e.bad(key, r))?;
    Ok(e.is_on("xmpp.metrics").then_some(ranges))
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

fn addresses(e: &Effective, key: &str, port: u16) -> Result<Vec<SocketAddr>, StartError> {
    let one = |text: &String| {
        let (ip, port) = match text.split_once('#') {
            Some((ip, p)) => (ip, p.parse().map_err(|_| e.bad(key, "a port after `#` must be a number"))?),
            None => (text.as_str(), port),
        };
        let ip: IpAddr =
            ip.trim().parse().map_err(|_| e.bad(key, "must be IP addresses, each `ip` or `ip#port`"))?;
        if ip.is_unspecified() || ip.is_multicast() || ip == IpAddr::from([255; 4]) || port == 0 {
            let reason = format!(
                "{ip} with port {port} can be nobody's address; name the one at which people reach this server"
            );
            return Err(e.bad(key, reason));
        }
        Ok(SocketAddr::new(ip, port))
    };
    e.list(key).iter().map(one).collect()
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
