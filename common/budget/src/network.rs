//! An internet address in, the network that counts as one peer out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What counts as one address: an IPv4 address, or the /64 of an IPv6 address, of which one line has at least that
/// many. Not printed: it is personal.
///
/// The machine itself is a web server beside us that does not name its clients, or a developer: it stands for many, so
/// its connections are dealt out over [`Network::OF_THE_MACHINE`] networks, whichever of its addresses they come from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network(IpAddr);

impl Network {
    /// As how many addresses the machine itself counts. Eight schools behind a server that names nobody; half of each
    /// total is then left for those who are named.
    pub const OF_THE_MACHINE: u16 = 8;

    /// The network of whoever is at the other end of a connection.
    pub fn of_peer(peer: SocketAddr) -> Self {
        let network = Self::of(peer.ip());
        if !network.is_loopback() {
            return network;
        }
        // Systems give out ports in steps (Linux: of two), so they are mixed first.
        let mixed = peer.port().wrapping_mul(MIX) >> (u16::BITS - Self::OF_THE_MACHINE.ilog2());
        let [.., part] = mixed.to_be_bytes();
        Self(IpAddr::V4(Ipv4Addr::new(127, 0, 0, part)))
    }

    /// The network of `address`; IPv4 in IPv6's clothes is IPv4.
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            loopback if loopback.is_loopback() => IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)),
            IpAddr::V6(a) => {
                let [p, q, r, s, ..] = a.segments();
                IpAddr::V6(Ipv6Addr::new(p, q, r, s, 0, 0, 0, 0))
            }
            other => other,
        })
    }

    /// Whether this is a part of the machine itself.
    pub const fn is_loopback(&self) -> bool {
        self.0.is_loopback()
    }
}

/// 2^16 divided by the golden ratio (Knuth's multiplicative hashing).
const MIX: u16 = 40_503;

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Network(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Network {
        Network::of(text.parse().unwrap())
    }

    #[test]
    fn one_ipv6_line_is_one_peer() {
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    }

    #[test]
    fn ipv4_addresses_are_told_apart_however_they_are_written() {
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_ne!(of("::ffff:192.0.2.1"), of("::ffff:192.0.2.2"));
    }

    #[test]
    fn the_machine_itself_is_known_in_both_families() {
        assert!(
            of("127.0.0.5").is_loopback() && of("::1").is_loopback() && of("::ffff:127.0.0.1").is_loopback()
        );
        assert!(!of("::2").is_loopback());
    }

    #[test]
    fn the_machine_is_eight_networks_whatever_its_addresses_and_steps_of_ports() {
        let peer = |address: &str, port| Network::of_peer(SocketAddr::new(address.parse().unwrap(), port));
        for step in [1, 2, 4, 28] {
            let mut dealt = std::collections::HashMap::new();
            for port in (32_768..60_000u16).step_by(step) {
                *dealt.entry(peer("127.0.0.1", port)).or_insert(0usize) += 1;
            }
            let even = dealt.values().sum::<usize>() / 8;
            assert_eq!(dealt.len(), 8, "steps of {step}");
            assert!(dealt.values().all(|n| *n < even * 5 / 4), "steps of {step}: {:?}", dealt.values());
        }
        assert_eq!(peer("127.0.0.2", 40_000), peer("127.9.9.9", 40_000));
        assert_eq!(peer("::1", 40_000), peer("127.0.0.1", 40_000));
        assert!(peer("::1", 40_000).is_loopback());
        assert_eq!(peer("192.0.2.1", 1), peer("192.0.2.1", 2));
        assert_eq!(peer("192.0.2.1", 1), of("192.0.2.1"));
    }

    #[test]
    fn it_is_not_printed() {
        assert!(!format!("{:?}", of("192.0.2.1")).contains("192"));
    }
}
