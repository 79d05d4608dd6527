//! Where relays lead: the addresses of our own bridges, and those that an admin names, in; yes or no for a peer out. Everything
//! that is not on the list is refused, so that nobody uses a relay to reach what is behind our firewall (X9).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The peers that there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peers {
    bridges: Vec<SocketAddr>,
    /// Where relays have their own addresses, one of each family.
    relays: Vec<IpAddr>,
}

impl Peers {
    /// `own`: where the bridge of this process receives, as the machine has it. `named`: addresses that the admin wrote down.
    ///
    /// Of the machine's own, those are left out that can only be the machine itself or its wires, unless there are no others, as
    /// on a developer's machine.
    pub fn new(own: &[SocketAddr], named: &[SocketAddr]) -> Self {
        let there = own.iter().filter(|a| is_reachable(a.ip()));
        let mut bridges: Vec<SocketAddr> = there.copied().collect();
        if bridges.is_empty() {
            bridges.extend(own.iter().filter(|a| a.ip().is_loopback()));
        }
        let mut relays: Vec<IpAddr> = Vec::new();
        for ip in bridges.iter().map(SocketAddr::ip) {
            if relays.iter().all(|r| r.is_ipv4() != ip.is_ipv4()) {
                relays.push(ip);
            }
        }
        bridges.extend(named.iter().filter(|a| !a.ip().is_unspecified() && !a.ip().is_multicast()));
        Self { bridges, relays }
    }

    /// Whether this is one of the bridges. Exactly: neither another port of theirs nor their address in other clothes.
    pub(crate) fn has(&self, peer: SocketAddr) -> bool {
        self.bridges.contains(&peer)
    }

    /// Whether a permission for this address can be of any use.
    pub(crate) fn has_address(&self, peer: IpAddr) -> bool {
        self.relays.contains(&peer) || self.bridges.iter().any(|b| b.ip() == peer)
    }

    /// The address that relays of this family have; without a wish, of IPv4 if there is one.
    pub(crate) fn relay(&self, v6: Option<bool>) -> Option<IpAddr> {
        let of = |v6: bool| self.relays.iter().find(|r| r.is_ipv6() == v6).copied();
        match v6 {
            Some(v6) => of(v6),
            None => of(false).or_else(|| of(true)),
        }
    }
}

/// Whether an address of the machine can be its address for others: on the internet, or in a network of one's own.
fn is_reachable(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(a) => SPECIAL_V4.iter().all(|(net, bits)| !in_v4(a, *net, *bits)),
        IpAddr::V6(a) => SPECIAL_V6.iter().all(|(net, bits)| !in_v6(a, *net, *bits)),
    }
}

fn in_v4(a: Ipv4Addr, net: Ipv4Addr, bits: u32) -> bool {
    (a.to_bits() ^ net.to_bits()).leading_zeros() >= bits
}

fn in_v6(a: Ipv6Addr, net: Ipv6Addr, bits: u32) -> bool {
    (a.to_bits() ^ net.to_bits()).leading_zeros() >= bits
}

/// IANA's special-purpose addresses that no bridge has for others. Those of private networks are not here: a town's own network
/// and a container's are such.
const SPECIAL_V4: &[(Ipv4Addr, u32)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // Link-local, with the metadata service of clouds.
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];
const SPECIAL_V6: &[(Ipv6Addr, u32)] = &[
    // Unspecified, loopback, IPv4 in IPv6's clothes.
    (Ipv6Addr::UNSPECIFIED, 64),
    // NAT64, of everybody and of one network.
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48),
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64),
    // Teredo and other protocols' addresses; 6to4.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// One address of each range that IANA lists as special, and of the clothes that IPv4 has in IPv6.
    const SPECIAL: &[&str] = &[
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.0.170",
        "192.0.2.1",
        "192.31.196.1",
        "192.52.193.1",
        "192.88.99.1",
        "192.168.0.1",
        "192.175.48.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::203.0.113.20",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:203.0.113.20",
        "64:ff9b::127.0.0.1",
        "64:ff9b::203.0.113.20",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:2::1",
        "2001:10::1",
        "2001:20::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "2002:cb00:7114::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "8.8.8.8",
        "2606:4700::1",
    ];

    #[test]
    fn relays_lead_to_our_bridge_and_to_no_other_address_whatever_its_clothes() {
        let bridge = [at("203.0.113.20:10000"), at("[2001:db8:7::20]:10000")];
        let peers = Peers::new(&bridge, &[]);
        assert!(bridge.iter().all(|b| peers.has(*b) && peers.has_address(b.ip())));
        for special in SPECIAL {
            assert!(!peers.has_address(ip(special)), "{special}");
            for port in [0, 80, 10_000] {
                assert!(!peers.has(SocketAddr::new(ip(special), port)), "{special}");
            }
        }
        for port in [0, 22, 80, 5222, 8888, 9_999, 10_001, u16::MAX] {
            assert!(!peers.has(SocketAddr::new(bridge[0].ip(), port)), "another port of the bridge: {port}");
        }
    }

    #[test]
    fn an_address_that_only_the_machine_itself_reaches_is_no_peer_unless_there_is_no_other_or_it_is_named() {
        let never = [
            "127.0.0.1",
            "0.0.0.0",
            "169.254.169.254",
            "192.0.0.8",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "2001::1",
            "2002:a00:1::1",
            "fe80::1",
            "ff02::1",
        ];
        let own: Vec<SocketAddr> = never.iter().map(|a| SocketAddr::new(ip(a), 10_000)).collect();
        let mut with: Vec<SocketAddr> = own.clone();
        with.push(at("10.1.2.3:10000"));
        let peers = Peers::new(&with, &[]);
        for a in &own {
            assert!(!peers.has(*a) && !peers.has_address(a.ip()), "{a}");
        }
        assert!(peers.has(at("10.1.2.3:10000")));
        // Private networks are what towns and containers have.
        for home in
            ["10.0.0.1", "172.18.0.2", "192.168.1.2", "100.64.0.1", "fd00::1", "8.8.8.8", "2606:4700::1"]
        {
            let at = SocketAddr::new(ip(home), 10_000);
            assert!(Peers::new(&[at], &[]).has(at), "{home}");
        }
        let alone = Peers::new(&[at("127.0.0.1:10000"), at("169.254.1.1:10000")], &[]);
        assert!(alone.has(at("127.0.0.1:10000")) && !alone.has(at("169.254.1.1:10000")));
        let named =
            Peers::new(&[at("10.1.2.3:10000")], &[at("127.0.0.1:10001"), at("0.0.0.0:1"), at("224.0.0.1:1")]);
        assert!(named.has(at("127.0.0.1:10001")) && !named.has(at("127.0.0.1:10000")));
        assert!(!named.has(at("0.0.0.0:1")) && !named.has(at("224.0.0.1:1")));
    }

    #[test]
    fn relays_have_the_first_address_of_each_family() {
        let own = [at("127.0.0.1:1"), at("10.1.2.3:1"), at("10.1.2.4:1"), at("[2001:db8::1]:1")];
        let peers = Peers::new(&own, &[at("203.0.113.9:1")]);
        assert_eq!(peers.relay(None), Some(ip("10.1.2.3")));
        assert_eq!(
            (peers.relay(Some(false)), peers.relay(Some(true))),
            (Some(ip("10.1.2.3")), Some(ip("2001:db8::1")))
        );
        let six = Peers::new(&own[3..], &[]);
        assert_eq!((six.relay(None), six.relay(Some(false))), (Some(ip("2001:db8::1")), None));
        assert_eq!(Peers::new(&[], &[at("203.0.113.9:1")]).relay(None), None);
    }
}
