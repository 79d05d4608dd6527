//! Where a connection comes from in; what counts as its address for all limits out. Behind some addresses many people are: a school
//! whose network has one way out.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU16, Ordering};

use budget::Network;
use http::Extensions;
use service::proxies::{Client, Proxies};

use crate::limits::CROWD;

/// Addresses that count as many, each connection as the next of them.
#[derive(Debug, Default)]
pub(crate) struct Crowds {
    ranges: Proxies,
    next: AtomicU16,
}

impl Crowds {
    pub(crate) fn new(ranges: Proxies) -> Self {
        Self { ranges, next: AtomicU16::new(0) }
    }

    /// Who counts for a connection.
    pub(crate) fn network(&self, extensions: &Extensions) -> Network {
        match Client::of(extensions) {
            Some(client) if self.ranges.trusts(client.address()) => self.one_of(client.address()),
            _ => Client::network_of(extensions),
        }
    }

    fn one_of(&self, address: IpAddr) -> Network {
        let part = self.next.fetch_add(1, Ordering::Relaxed) % CROWD;
        let [high, low] = match address.to_canonical() {
            IpAddr::V4(a) => {
                let [a, b, c, d] = a.octets();
                [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]
            }
            // Two lines of one range may share their parts.
            IpAddr::V6(a) => {
                let [_, q, r, s, ..] = a.segments();
                [q ^ r, s]
            }
        };
        // Of addresses that nobody has (RFC 6666).
        Network::of(Ipv6Addr::new(0x0100, part, high, low, 0, 0, 0, 0).into())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn networks(ranges: &[&str], address: &str) -> usize {
        let crowds = Crowds::new(Proxies::new(ranges.iter().copied()).unwrap());
        let mut from = Extensions::new();
        from.insert(Client::direct((address.parse::<IpAddr>().unwrap(), 4711).into()));
        (0..3 * CROWD).map(|_| crowds.network(&from)).collect::<HashSet<_>>().len()
    }

    #[test]
    fn an_address_that_is_named_counts_as_many_and_another_as_one() {
        let ranges = ["10.0.0.0/8", "2001:db8:7::/48", "192.0.2.7"];
        for address in ["10.1.2.3", "2001:db8:7:1::5", "192.0.2.7", "::ffff:10.1.2.3"] {
            assert_eq!(networks(&ranges, address), usize::from(CROWD), "{address}");
        }
        for address in ["11.1.2.3", "2001:db8:8::5", "192.0.2.8"] {
            assert_eq!(networks(&ranges, address), 1, "{address}");
        }
        assert_eq!(networks(&[], "10.1.2.3"), 1, "nobody does unless an admin says so");
    }

    #[test]
    fn whose_address_it_is_comes_from_the_front() {
        let (crowds, mut from) = (Crowds::default(), Extensions::new());
        assert!(crowds.network(&from).is_loopback());
        let client = Client::direct(([192, 0, 2, 1], 1).into());
        from.insert(client);
        assert_eq!(crowds.network(&from), client.network());
    }

    #[test]
    fn two_crowds_do_not_share_what_is_theirs() {
        let crowds = Crowds::new(Proxies::new(["10.0.0.0/8"]).unwrap());
        let all = |address: [u8; 4]| (0..CROWD).map(move |_| address).collect::<Vec<_>>();
        let of = |address: [u8; 4]| -> HashSet<Network> {
            all(address).into_iter().map(|a| crowds.one_of(a.into())).collect()
        };
        assert!(of([10, 0, 0, 1]).is_disjoint(&of([10, 0, 0, 2])));
    }
}
