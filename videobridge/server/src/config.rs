//! The bridge's settings: what the admin wrote in; checked addresses, names and limits out.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use jitsi_xmpp::BareJid;
use videobridge_core::TcpPorts;
use videobridge_core::media::LastNBySize;

use crate::limits::THREADS;

/// As written: every field may be wrong.
#[derive(Debug, Clone)]
pub struct Raw {
    /// Where media arrives, `address:port`. `0.0.0.0` or `[::]` means all of the machine's addresses.
    pub media: SocketAddr,
    /// Further addresses with the same port, each real.
    pub more: Vec<IpAddr>,
    /// Public addresses in front of `media` (`JVB_ADVERTISE_IPS`), each `ip` or `ip#port`.
    pub advertise: Vec<String>,
    /// Where TCP connections for media are taken at the same addresses, and the port that leads there from outside.
    pub tcp: Option<TcpPorts>,
    /// Whether clients are told private addresses of the machine, too.
    pub inner: bool,
    /// Brewery rooms.
    pub breweries: Vec<String>,
    /// Our nick in them.
    pub nick: String,
    /// Region, if any.
    pub region: Option<String>,
    /// Who this bridge is to others of the same conference; none: its conferences are on no other bridge.
    pub relay_id: Option<String>,
    /// Where clients reach `/colibri-ws`, `host[:port]`; none: the WebSocket bridge channel is not offered.
    pub web_socket_domains: Vec<String>,
    /// Whether that is `wss`.
    pub web_socket_tls: bool,
    /// Media threads; 0: processor cores − 1, at least 1.
    pub threads: usize,
    /// Participants of a conference from whom on newcomers may get a part of it on another media thread; 0: never.
    pub spread_above: usize,
    /// Whether datagrams for one receiver leave as trains, as far as the kernel can.
    pub gso: bool,
    /// How many pictures anybody gets at most.
    pub last_n: LastN,
}

/// How many pictures anybody gets at most.
#[derive(Debug, Clone, Default)]
pub struct LastN {
    /// Always; `None` = any number.
    pub always: Option<u32>,
    /// In conferences of these sizes.
    pub by_size: LastNBySize,
    /// Whether fewer are sent while the bridge is overloaded.
    pub reduces_load: bool,
}

/// Why a setting cannot be used. Blame: the admin. Consequence: the process does not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not an IP address.
    #[error("{0:?} is not an IP address, or `ip#port`")]
    Address(String),
    /// Not a room's address.
    #[error("{0:?} is not a room's JID")]
    Room(String),
    /// More threads than shard numbers.
    #[error("at most {THREADS} media threads")]
    Threads,
    /// The machine has no address to listen on.
    #[error("no usable network address on this machine; name one with the media address option")]
    NoAddress,
}

/// Checked.
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) port: u16,
    /// Real addresses, never a wildcard.
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) wanted: Wanted,
    pub(crate) public: Vec<SocketAddr>,
    pub(crate) tcp: Option<TcpPorts>,
    pub(crate) inner: bool,
    pub(crate) breweries: Vec<BareJid>,
    pub(crate) nick: String,
    pub(crate) region: Option<String>,
    pub(crate) relay_id: Option<String>,
    pub(crate) web_socket_domains: Vec<String>,
    pub(crate) web_socket_tls: bool,
    pub(crate) threads: usize,
    pub(crate) spread_above: usize,
    pub(crate) gso: bool,
    pub(crate) presence_interval: Duration,
    pub(crate) load_threshold: f64,
    pub(crate) last_n: LastN,
}

/// Where media is to arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// At all addresses that the machine has, also those that come later.
    All(Family),
    /// At these; one that the machine does not have yet may come.
    Named(Vec<IpAddr>),
}

impl Wanted {
    pub(crate) fn has(&self, address: &IpAddr) -> bool {
        match self {
            Self::All(family) => family.has(address),
            Self::Named(named) => named.contains(address),
        }
    }
}

/// Which of the machine's addresses are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    Both,
}

impl Family {
    pub(crate) fn has(self, address: &IpAddr) -> bool {
        self == Self::Both || address.is_ipv4()
    }
}

impl Config {
    /// Checks `raw`. `machine`: the machine's own addresses, for a wildcard; `cores`: its processors.
    pub fn check(raw: Raw, machine: &[IpAddr], cores: usize) -> Result<Self, ConfigError> {
        let family = if raw.media.is_ipv6() { Family::Both } else { Family::V4 };
        let wanted = if raw.media.ip().is_unspecified() {
            Wanted::All(family)
        } else {
            Wanted::Named([&[raw.media.ip()], &raw.more[..]].concat())
        };
        let addresses: Vec<IpAddr> = match &wanted {
            Wanted::All(family) => machine.iter().copied().filter(|a| family.has(a)).collect(),
            Wanted::Named(named) => named.clone(),
        };
        if addresses.is_empty() {
            return Err(ConfigError::NoAddress);
        }
        let public = raw
            .advertise
            .iter()
            .map(|a| public(a, raw.media.port()).ok_or_else(|| ConfigError::Address(a.clone())))
            .collect::<Result<_, _>>()?;
        let breweries = raw
            .breweries
            .iter()
            .map(|r| r.parse().map_err(|_| ConfigError::Room(r.clone())))
            .collect::<Result<_, _>>()?;
        if raw.threads > THREADS {
            return Err(ConfigError::Threads);
        }
        let threads = if raw.threads == 0 { cores.saturating_sub(1).clamp(1, THREADS) } else { raw.threads };
        Ok(Self {
            port: raw.media.port(),
            addresses,
            wanted,
            public,
            tcp: raw.tcp,
            inner: raw.inner,
            breweries,
            nick: raw.nick,
            region: raw.region,
            relay_id: raw.relay_id,
            web_socket_domains: raw.web_socket_domains,
            web_socket_tls: raw.web_socket_tls,
            threads,
            spread_above: raw.spread_above,
            gso: raw.gso,
            presence_interval: Duration::from_secs(5),
            load_threshold: 50_000.0,
            last_n: raw.last_n,
        })
    }

    /// The media port and addresses, for the start-up message.
    pub fn media_addresses(&self) -> Vec<SocketAddr> {
        self.addresses.iter().map(|a| SocketAddr::new(*a, self.port)).collect()
    }
}

/// compat: upstream's `JVB_ADVERTISE_IPS` allows `address#port` for a forwarded port; else it is ours
/// (test: compat_advertised_addresses_may_have_a_port_of_their_own).
fn public(text: &str, our_port: u16) -> Option<SocketAddr> {
    let (ip, port) = match text.split_once('#') {
        Some((ip, port)) => (ip, port.parse().ok()?),
        None => (text, our_port),
    };
    Some(SocketAddr::new(ip.trim().parse().ok()?, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(media: &str) -> Raw {
        Raw {
            media: media.parse().unwrap(),
            more: Vec::new(),
            advertise: vec!["203.0.113.20".into()],
            tcp: None,
            inner: true,
            breweries: vec!["jvbbrewery@internal-muc.meet.jitsi".into()],
            nick: "jvb".into(),
            region: None,
            relay_id: None,
            web_socket_domains: Vec::new(),
            web_socket_tls: false,
            threads: 0,
            spread_above: 0,
            gso: true,
            last_n: LastN::default(),
        }
    }

    const MACHINE: [IpAddr; 2] =
        [IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)];

    #[test]
    fn a_wildcard_becomes_the_machines_addresses_of_that_family() {
        assert_eq!(Config::check(raw("0.0.0.0:10000"), &MACHINE, 2).unwrap().addresses, MACHINE[..1]);
        assert_eq!(Config::check(raw("[::]:10000"), &MACHINE, 2).unwrap().addresses, MACHINE);
        assert_eq!(
            Config::check(raw("0.0.0.0:10000"), &MACHINE[1..], 2).unwrap_err(),
            ConfigError::NoAddress
        );
    }

    #[test]
    fn several_addresses_have_one_port() {
        let two = Raw { more: vec!["2001:db8::1".parse().unwrap()], ..raw("192.0.2.1:10000") };
        let config = Config::check(two, &MACHINE, 2).unwrap();
        assert_eq!(
            config.media_addresses(),
            ["192.0.2.1:10000".parse().unwrap(), "[2001:db8::1]:10000".parse().unwrap()]
        );
        assert!(config.wanted.has(&config.addresses[1]) && !config.wanted.has(&MACHINE[0]));
    }

    #[test]
    fn threads_are_cores_minus_one_but_at_least_one() {
        for (cores, threads) in [(1, 1), (2, 1), (8, 7), (THREADS + 1, THREADS), (THREADS + 2, THREADS)] {
            assert_eq!(Config::check(raw("127.0.0.1:1"), &MACHINE, cores).unwrap().threads, threads);
        }
        assert!(
            Config::check(Raw { threads: THREADS, ..raw("127.0.0.1:1") }, &MACHINE, 2).is_ok(),
            "at the limit"
        );
        assert_eq!(
            Config::check(Raw { threads: THREADS + 1, ..raw("127.0.0.1:1") }, &MACHINE, 2).unwrap_err(),
            ConfigError::Threads
        );
    }

    #[test]
    fn compat_advertised_addresses_may_have_a_port_of_their_own() {
        let both =
            Raw { advertise: vec!["203.0.113.20".into(), "2001:db8::1#443".into()], ..raw("127.0.0.1:7") };
        let public: Vec<SocketAddr> = Config::check(both, &MACHINE, 2).unwrap().public;
        assert_eq!(public, ["203.0.113.20:7".parse().unwrap(), "[2001:db8::1]:443".parse().unwrap()]);
        let bad = Raw { advertise: vec!["203.0.113.20#x".into()], ..raw("127.0.0.1:1") };
        assert!(matches!(Config::check(bad, &MACHINE, 2), Err(ConfigError::Address(_))));
    }

    #[test]
    fn wrong_words_are_named() {
        let bad = Raw { advertise: vec!["town.example".into()], ..raw("127.0.0.1:1") };
        assert_eq!(Config::check(bad, &MACHINE, 2).unwrap_err(), ConfigError::Address("town.example".into()));
        let bad = Raw { breweries: vec!["a@b/c".into()], ..raw("127.0.0.1:1") };
        assert_eq!(Config::check(bad, &MACHINE, 2).unwrap_err(), ConfigError::Room("a@b/c".into()));
    }
}
