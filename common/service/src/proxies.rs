//! A connection's peer and a request's headers in, the address of whoever sent the request out.
//!
//! The front puts a [`Client`] into the extensions of every request; budgets by address read it from there.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use axum::http::{Extensions, HeaderMap};
use budget::Network;

use crate::limits::FORWARDED_HOPS;

/// Whoever sent a request, behind all proxies that are trusted. Not printed: it is personal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Client {
    /// As far as a proxy named somebody, the port is that of the proxy.
    peer: SocketAddr,
    direct: bool,
}

impl Client {
    /// The peer of a connection, without a proxy.
    pub fn direct(peer: SocketAddr) -> Self {
        Self { peer: SocketAddr::new(peer.ip().to_canonical(), peer.port()), direct: true }
    }

    /// What the front found out; a test's router without a front has none.
    pub fn of(extensions: &Extensions) -> Option<Self> {
        extensions.get().copied()
    }

    /// Who counts for budgets: whom the front found; without a front, the machine itself.
    pub fn network_of(extensions: &Extensions) -> Network {
        Self::of(extensions).map_or_else(|| Network::of(Ipv4Addr::LOCALHOST.into()), |c| c.network())
    }

    /// The address.
    pub const fn address(&self) -> IpAddr {
        self.peer.ip()
    }

    /// What counts as one peer for budgets. Many people may stand behind the machine's own address when it named nobody
    /// else: a web server beside us that does not send `X-Forwarded-For`. It counts as several.
    pub fn network(&self) -> Network {
        Network::of_peer(self.peer)
    }

    /// Whether no proxy stands between this client and us.
    pub const fn is_direct(&self) -> bool {
        self.direct
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client(…)")
    }
}

/// Whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
#[derive(Debug, Clone, Default)]
pub struct Proxies(Vec<Range>);

impl Proxies {
    /// Addresses and ranges: `127.0.0.1`, `172.16.0.0/12`, `fd00::/8`.
    ///
    /// # Errors
    /// The first that is neither, in a sentence.
    pub fn new<'a>(all: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        all.into_iter()
            .map(str::trim)
            .filter(|t| !t.is_empty())
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether this peer may speak for others.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.0.iter().any(|r| r.contains(peer))
    }

    /// The rightmost address in the chain that is no trusted proxy: what stands to the left of it, anybody may have written.
    pub fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> Client {
        let mut client = Client::direct(peer);
        if !self.trusts(peer.ip()) {
            return client;
        }
        // Several headers are one list (RFC 9110, 5.3).
        let hops = headers
            .get_all("x-forwarded-for")
            .iter()
            .rev()
            .flat_map(|v| v.to_str().unwrap_or_default().rsplit(','))
            .take(FORWARDED_HOPS);
        for hop in hops {
            let Some(address) = address(hop.trim()) else { break };
            client = Client { peer: SocketAddr::new(address.to_canonical(), peer.port()), direct: false };
            if !self.trusts(address) {
                break;
            }
        }
        client
    }
}

/// `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]:4711`.
fn address(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    text.parse::<SocketAddr>()
        .map(|a| a.ip())
        .ok()
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok())
}

#[derive(Debug, Clone, Copy)]
struct Range {
    first: IpAddr,
    bits: u8,
}

impl Range {
    fn contains(&self, address: IpAddr) -> bool {
        let differ = match (self.first, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
            _ => return false,
        };
        differ >= u32::from(self.bits)
    }
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let no = || "must be IP addresses or ranges such as 172.16.0.0/12".to_owned();
        let (first, bits) = match text.split_once('/') {
            Some((first, bits)) => (first, Some(bits)),
            None => (text, None),
        };
        let first: IpAddr = first.parse().map_err(|_| no())?;
        let most = if first.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse).map_err(|_| no())?;
        if bits > most {
            return Err(no());
        }
        Ok(Self { first, bits })
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn client(trusted: &[&str], peer: &str, forwarded: &[&'static str]) -> String {
        let mut headers = HeaderMap::new();
        for f in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_static(f));
        }
        let proxies = Proxies::new(trusted.iter().copied()).unwrap();
        proxies.client(SocketAddr::new(peer.parse().unwrap(), 1), &headers).address().to_string()
    }

    #[test]
    fn only_a_trusted_proxy_speaks_for_others() {
        let trusted = ["127.0.0.1", "::1"];
        assert_eq!(client(&trusted, "127.0.0.1", &["203.0.113.7"]), "203.0.113.7");
        assert_eq!(client(&trusted, "::ffff:127.0.0.1", &["203.0.113.7"]), "203.0.113.7");
        assert_eq!(client(&trusted, "198.51.100.1", &["203.0.113.7"]), "198.51.100.1");
        assert_eq!(client(&[], "127.0.0.1", &["203.0.113.7"]), "127.0.0.1");
        assert_eq!(client(&trusted, "127.0.0.1", &[]), "127.0.0.1");
    }

    #[test]
    fn the_rightmost_untrusted_address_counts_and_what_a_client_wrote_does_not() {
        let trusted = ["127.0.0.1", "172.16.0.0/12", "fd00::/8"];
        assert_eq!(client(&trusted, "172.20.0.5", &["8.8.8.8, 203.0.113.7, 172.20.0.9"]), "203.0.113.7");
        assert_eq!(client(&trusted, "172.20.0.5", &["8.8.8.8", "203.0.113.7, fd00::1"]), "203.0.113.7");
        assert_eq!(client(&trusted, "172.32.0.5", &["8.8.8.8"]), "172.32.0.5");
        // All of them trusted: the one furthest away. Nonsense: the last one that spoke sense.
        assert_eq!(client(&trusted, "127.0.0.1", &["172.20.0.1, 172.20.0.2"]), "172.20.0.1");
        assert_eq!(client(&trusted, "127.0.0.1", &["nonsense, 172.20.0.2"]), "172.20.0.2");
        assert_eq!(client(&trusted, "127.0.0.1", &["unknown"]), "127.0.0.1");
    }

    #[test]
    fn ports_and_brackets_of_other_proxies_are_understood() {
        for (written, meant) in [
            ("203.0.113.7:4711", "203.0.113.7"),
            ("[2001:db8::7]:4711", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
        ] {
            assert_eq!(client(&["127.0.0.1"], "127.0.0.1", &[written]), meant);
        }
    }

    #[test]
    fn a_chain_is_followed_to_the_limit_and_no_further() {
        let chain: String = std::iter::once("203.0.113.7".to_owned())
            .chain((1..FORWARDED_HOPS).map(|i| format!("10.0.0.{i}")))
            .collect::<Vec<_>>()
            .join(",");
        let longer = chain.replace("203.0.113.7", "203.0.113.7,10.0.0.99");
        let at = |chain: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-for", chain.parse().unwrap());
            let proxies = Proxies::new(["127.0.0.1", "10.0.0.0/8"]).unwrap();
            proxies.client(([127, 0, 0, 1], 1).into(), &headers).address().to_string()
        };
        assert_eq!(at(&chain), "203.0.113.7");
        assert_eq!(at(&longer), "10.0.0.99");
    }

    #[test]
    fn nonsense_is_refused_and_addresses_are_not_printed() {
        for bad in ["web", "10.0.0.0/33", "10.0.0.0/x", "::/129", "10.0.0.0/-1"] {
            assert!(Proxies::new([bad]).is_err(), "{bad}");
        }
        assert!(Proxies::new(["0.0.0.0/0", "::/0", ""]).unwrap().trusts("198.51.100.1".parse().unwrap()));
        assert!(!format!("{:?}", Client::direct(([203, 0, 113, 7], 1).into())).contains("203"));
    }

    #[test]
    fn the_machine_itself_counts_as_several_and_whom_it_names_as_one() {
        let proxies = Proxies::new(["127.0.0.1"]).unwrap();
        let from = |forwarded: Option<&'static str>| {
            let mut networks: Vec<_> = (40_000..40_100)
                .map(|port| {
                    let mut headers = HeaderMap::new();
                    if let Some(f) = forwarded {
                        headers.insert("x-forwarded-for", HeaderValue::from_static(f));
                    }
                    proxies.client(([127, 0, 0, 1], port).into(), &headers).network()
                })
                .collect();
            networks.sort();
            networks.dedup();
            networks.len()
        };
        assert_eq!((from(None), from(Some("203.0.113.7"))), (Network::OF_THE_MACHINE.into(), 1));
    }
}
