//! What is looked at: everything the checks judge, gathered before, so that they ask nobody themselves.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::SystemTime;

use videobridge_server::TcpPorts;

use super::env_file::Odd;
use crate::foreign::custom::Custom;
use crate::options::{CertificateOrigin, Role, Settings, cautions};
use crate::wiring;
use crate::words::Words;

/// An installation, running or planned, and the machine it is on.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) role: Role,
    /// The configuration file, if there is one.
    pub(crate) file: Option<PathBuf>,
    /// What the options come to, or the line with which a start would end.
    pub(crate) plan: Result<Plan, String>,
    /// The environment, by name.
    pub(crate) variables: Vec<(String, String)>,
    /// Restricting variables that the admin accepts to be without effect.
    pub(crate) accepted: Vec<String>,
    /// What files of a Jitsi's admin say.
    pub(crate) custom: Custom,
    /// What is said of the `.env` file, if it is one.
    pub(crate) odd: Odd,
    pub(crate) now: SystemTime,
    /// Addresses of the interfaces that are up.
    pub(crate) machine: Vec<IpAddr>,
    /// What the public name resolves to; `None` when there is no name to look up.
    pub(crate) name: Option<Result<Vec<IpAddr>, String>>,
    pub(crate) ports: Vec<Port>,
    /// `net.core.rmem_max` and `wmem_max`.
    pub(crate) buffers: Option<(u64, u64)>,
    /// How many files a process may have open at most.
    pub(crate) open_files: Option<u64>,
    pub(crate) clock: Clock,
    /// The configured certificate, when it can be read.
    pub(crate) certificate: Option<Certificate>,
    pub(crate) state: Option<Folder>,
    /// The server that answers on `admin.listen`.
    pub(crate) server: Option<Server>,
    /// The kind of container that we are in.
    pub(crate) container: Option<String>,
    /// Bytes of memory that may be used.
    pub(crate) memory: Option<u64>,
}

/// What of the settings is judged.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) role: Role,
    pub(crate) http: SocketAddr,
    pub(crate) https: Option<SocketAddr>,
    pub(crate) own_certificate: bool,
    pub(crate) admin: SocketAddr,
    pub(crate) xmpp: SocketAddr,
    pub(crate) media: SocketAddr,
    /// Where media over TCP come in: our port and the public one that leads to it.
    pub(crate) media_tcp: Option<TcpPorts>,
    /// Further addresses with the same port.
    pub(crate) media_more: Vec<IpAddr>,
    /// Whether clients are told inner addresses, too.
    pub(crate) inner_addresses: bool,
    /// Whether STUN servers are asked for the public address.
    pub(crate) asks_stun: bool,
    pub(crate) advertise: Vec<SocketAddr>,
    /// Whether the public name's addresses are told to clients, too.
    pub(crate) from_dns: bool,
    /// Of our own TURN server.
    pub(crate) turn: Option<SocketAddr>,
    /// Whether clients are told of somebody else's.
    pub(crate) other_turn: bool,
    pub(crate) public: Option<PublicUrl>,
    /// What is to be said of tokens with which people, or programs, come in.
    pub(crate) cautions: Vec<Words>,
}

/// `http.public_url`, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicUrl {
    pub(crate) encrypted: bool,
    /// Without brackets.
    pub(crate) host: String,
}

/// An address that is listened on, or will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) option: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) protocol: &'static str,
    pub(crate) state: PortState,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PortState {
    Free,
    Taken,
    /// Below 1024 and not for us.
    Forbidden,
    /// No address of this machine, or something else.
    Refused(String),
}

/// Whether something keeps the clock right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    Synchronized,
    /// A service runs that does it, and has not said that it did.
    Service,
    Unknown,
}

/// A certificate that could be read, with its key.
#[derive(Debug, Clone)]
pub(crate) struct Certificate {
    /// Whether it is for the public name; `None` without such a name.
    pub(crate) names_us: Option<bool>,
    pub(crate) from: Option<SystemTime>,
    pub(crate) until: Option<SystemTime>,
}

/// Where the server keeps what has to survive it.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    pub(crate) there: bool,
    /// Bytes.
    pub(crate) free: Option<u64>,
}

/// What a running server says of itself.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    /// Whether it is one of ours, by its metrics.
    pub(crate) ours: bool,
    pub(crate) status: u16,
    pub(crate) said: String,
    pub(crate) version: Option<String>,
    pub(crate) draining: bool,
}

impl Facts {
    /// Of an environment alone, on no machine.
    pub(crate) fn of_environment(role: Role, variables: Vec<(String, String)>, odd: Odd) -> Self {
        Self {
            role,
            file: None,
            plan: Err(String::new()),
            accepted: accepted_in(&variables),
            variables,
            custom: Custom::default(),
            odd,
            now: SystemTime::UNIX_EPOCH,
            machine: Vec::new(),
            name: None,
            ports: Vec::new(),
            buffers: None,
            open_files: None,
            clock: Clock::Unknown,
            certificate: None,
            state: None,
            server: None,
            container: None,
            memory: None,
        }
    }
}

fn accepted_in(variables: &[(String, String)]) -> Vec<String> {
    let said = variables.iter().find(|(n, _)| n == "PLAUSCH_ACCEPT").map_or("", |(_, v)| v);
    said.split(',').filter(|s| !s.is_empty()).map(str::to_owned).collect()
}

impl Plan {
    pub(crate) fn of(role: Role, s: &Settings) -> Self {
        Self {
            role,
            http: s.http,
            https: s.https.as_ref().map(|h| h.listen),
            own_certificate: s
                .https
                .as_ref()
                .is_some_and(|h| matches!(h.certificate, CertificateOrigin::Own)),
            admin: s.admin.listen,
            xmpp: s.xmpp,
            media: s.media,
            media_tcp: s.media_tcp,
            media_more: s.media_more.clone(),
            inner_addresses: s.inner_addresses,
            asks_stun: !s.stun_servers.is_empty(),
            advertise: s.advertise.clone(),
            from_dns: s.from_dns,
            turn: s.turn.as_ref().map(|t| t.listen),
            other_turn: s.turn.is_none() && s.external_services.iter().any(|s| s.kind.starts_with("turn")),
            public: s.web.public_url.as_deref().and_then(PublicUrl::of),
            cautions: match role {
                Role::AllInOne | Role::Xmpp => {
                    wiring::xmpp_config(s).map(|c| cautions::of(&c.core)).unwrap_or_default()
                }
                Role::Focus | Role::Videobridge => Vec::new(),
            },
        }
    }

    /// Where media is received, as written down.
    pub(crate) fn media_addresses(&self) -> Vec<IpAddr> {
        [&[self.media.ip()], &self.media_more[..]].concat()
    }

    /// Whether the public name may say where people reach this machine.
    pub(crate) fn may_ask_dns(&self) -> bool {
        self.from_dns && self.advertise.is_empty() && self.public.as_ref().is_some_and(|p| p.name().is_some())
    }

    /// Whether this role has a bridge.
    pub(crate) const fn has_media(&self) -> bool {
        matches!(self.role, Role::AllInOne | Role::Videobridge)
    }

    /// Whether this role has the pages.
    pub(crate) const fn has_front(&self) -> bool {
        matches!(self.role, Role::AllInOne)
    }
}

impl PublicUrl {
    /// From a checked URL.
    pub(crate) fn of(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let host = match rest.strip_prefix('[') {
            Some(v6) => v6.split(']').next().unwrap_or_default(),
            None => rest.split(':').next().unwrap_or_default(),
        };
        Some(Self { encrypted: scheme == "https", host: host.to_ascii_lowercase() })
    }

    /// Whether it is this machine's own name, which browsers trust without TLS.
    pub(crate) fn is_local(&self) -> bool {
        let name = self.host.trim_end_matches('.');
        name == "localhost"
            || name.ends_with(".localhost")
            || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// The name to look up: an address is none.
    pub(crate) fn name(&self) -> Option<&str> {
        let is_name = !self.is_local() && self.host.parse::<IpAddr>().is_err();
        is_name.then_some(self.host.as_str())
    }
}

/// Whether the Internet reaches this address, as far as the address tells.
pub(crate) fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let shared = a == 100 && (64..128).contains(&b);
            !(ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_broadcast()
                || ip.is_multicast()
                || shared)
        }
        IpAddr::V6(ip) => {
            !(ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_multicast()
                || ip.is_unique_local()
                || ip.is_unicast_link_local())
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    /// A town's server on which nothing is wrong: what each test begins from.
    pub(crate) fn healthy() -> Facts {
        let any = |port| SocketAddr::from(([0, 0, 0, 0], port));
        let own = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let now = UNIX_EPOCH + Duration::from_secs(1_795_478_399);
        let day = Duration::from_secs(86_400);
        let plan = Plan {
            role: Role::AllInOne,
            http: any(80),
            https: Some(any(443)),
            own_certificate: false,
            admin: own(8888),
            xmpp: own(5222),
            media: any(10_000),
            media_tcp: None,
            media_more: Vec::new(),
            inner_addresses: true,
            asks_stun: false,
            advertise: Vec::new(),
            from_dns: true,
            turn: Some(any(3478)),
            other_turn: false,
            public: PublicUrl::of("https://meet.example"),
            cautions: Vec::new(),
        };
        let port = |option, address, protocol| Port { option, address, protocol, state: PortState::Free };
        Facts {
            role: Role::AllInOne,
            file: Some("/etc/plausch/plausch.toml".into()),
            ports: vec![
                port("http.listen", plan.http, "tcp"),
                port("https.listen", any(443), "tcp"),
                port("admin.listen", plan.admin, "tcp"),
                port("xmpp.listen", plan.xmpp, "tcp"),
                port("media.listen", plan.media, "udp"),
            ],
            plan: Ok(plan),
            variables: Vec::new(),
            accepted: Vec::new(),
            custom: Custom::default(),
            odd: Odd::default(),
            now,
            machine: vec![[127, 0, 0, 1].into(), [203, 0, 113, 20].into()],
            name: Some(Ok(vec![[203, 0, 113, 20].into()])),
            buffers: Some((16 << 20, 16 << 20)),
            open_files: Some(65_536),
            clock: Clock::Synchronized,
            certificate: Some(Certificate {
                names_us: Some(true),
                from: Some(now - day * 10),
                until: Some(now + day * 80),
            }),
            state: Some(Folder { path: "/var/lib/plausch".into(), there: true, free: Some(10 << 30) }),
            server: None,
            container: None,
            memory: Some(4 << 30),
        }
    }

    #[test]
    fn a_public_url_is_taken_apart_and_localhost_is_no_name_to_look_up() {
        for (url, encrypted, host, name) in [
            ("https://Meet.example", true, "meet.example", Some("meet.example")),
            ("http://meet.example:8443", false, "meet.example", Some("meet.example")),
            ("https://203.0.113.20", true, "203.0.113.20", None),
            ("https://[2001:db8::1]:8443", true, "2001:db8::1", None),
            ("http://localhost:8000", false, "localhost", None),
            ("http://127.0.0.1:8000", false, "127.0.0.1", None),
        ] {
            let it = PublicUrl::of(url).unwrap();
            assert_eq!((it.encrypted, it.host.as_str(), it.name()), (encrypted, host, name), "{url}");
        }
    }

    #[test]
    fn inner_addresses_are_not_public() {
        for inner in [
            "10.1.2.3",
            "172.17.0.2",
            "192.168.1.1",
            "100.64.0.1",
            "169.254.1.1",
            "127.0.0.1",
            "fd00::1",
            "fe80::1",
            "::1",
        ] {
            assert!(!is_public(inner.parse().unwrap()), "{inner}");
        }
        for public in ["203.0.113.20", "100.128.0.1", "2001:db8::1"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }
}
