//! An internet address in, the network that counts as one peer out.

use std::net::{IpAddr, Ipv6Addr};

/// What counts as one address: an IPv4 address, or the /64 of an IPv6 address, of which one line has at least that
/// many. Not printed: it is personal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network(IpAddr);

impl Network {
    /// The network of `address`; IPv4 in IPv6's clothes is IPv4.
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(a) if !a.is_loopback() => {
                let [p, q, r, s, ..] = a.segments();
                IpAddr::V6(Ipv6Addr::new(p, q, r, s, 0, 0, 0, 0))
            }
            other => other,
        })
    }

    /// Whether this is the machine itself: a web server beside us that nobody declared, or a developer.
    pub const fn is_loopback(&self) -> bool {
        self.0.is_loopback()
    }
}

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
    fn it_is_not_printed() {
        assert!(!format!("{:?}", of("192.0.2.1")).contains("192"));
    }
}
