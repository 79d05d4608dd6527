//! Settings and whether the machine knows IPv6 in; addresses that can be listened on out.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use super::Settings;

/// Whether the kernel knows IPv6: it does not where that was switched off at its start.
pub(crate) fn machine_has_ipv6() -> bool {
    let socket = UdpSocket::bind("[::]:0");
    !socket.is_err_and(|e| e.raw_os_error() == Some(nix::errno::Errno::EAFNOSUPPORT as i32))
}

impl Settings {
    /// On a machine without IPv6, `[::]`, which means "all addresses", means those of IPv4. Returns the line for the log
    /// if it did anywhere. An address that somebody chose stays, and cannot be listened on.
    pub(crate) fn on_a_machine(&mut self, has_ipv6: bool) -> Option<&'static str> {
        if has_ipv6 {
            return None;
        }
        let https = self.https.as_mut().map(|h| &mut h.listen);
        let turn = self.turn.as_mut().map(|t| &mut t.listen);
        let always = [&mut self.http, &mut self.admin.listen, &mut self.media, &mut self.xmpp];
        let mut changed = false;
        for address in always.into_iter().chain(https).chain(turn).filter(|a| a.is_ipv6()) {
            if address.ip().is_unspecified() {
                *address = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port());
                changed = true;
            }
        }
        changed.then_some("this machine has no IPv6: `[::]` in options that end in listen means `0.0.0.0`")
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::load;

    #[test]
    fn without_ipv6_in_the_kernel_all_addresses_are_those_of_ipv4() {
        let open = [
            ("PLAUSCH_HTTP", "[::]:8000"),
            ("PLAUSCH_MEDIA", "[::]:10000"),
            ("PLAUSCH_TURN", "[::]:3478"),
            ("PLAUSCH_HTTPS", "[::]:8443"),
            ("PLAUSCH_ADMIN", "[::1]:8888"),
            ("PUBLIC_URL", "https://meet.example"),
        ];
        let mut s = load(&open).unwrap();
        assert!(s.on_a_machine(true).is_none());
        assert!(s.http.is_ipv6());
        assert!(s.on_a_machine(false).is_some());
        for a in [s.http, s.media, s.turn.as_ref().unwrap().listen, s.https.as_ref().unwrap().listen] {
            assert!(a.is_ipv4() && a.ip().is_unspecified(), "{a}");
        }
        assert_eq!((s.http.port(), s.media.port()), (8000, 10000));
        assert!(s.admin.listen.is_ipv6(), "somebody chose it");
        assert!(s.on_a_machine(false).is_none());
    }
}
