//! The addresses of this machine's interfaces that are up, for a bridge that was not told where to listen.

use std::io;
use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

/// All addresses, loopback included, link-local IPv6 excluded (they need a scope), in the kernel's order.
///
/// # Errors
/// What `getifaddrs` says.
pub fn interface_addresses() -> io::Result<Vec<IpAddr>> {
    let mut found = Vec::new();
    for interface in getifaddrs()?.filter(|i| i.flags.contains(InterfaceFlags::IFF_UP)) {
        let Some(address) = interface.address else { continue };
        let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
        let v6 = address.as_sockaddr_in6().map(|a| a.ip()).filter(|a| !a.is_unicast_link_local());
        found.extend(v4.or_else(|| v6.map(IpAddr::V6)).filter(|ip| !found.contains(ip)));
    }
    Ok(found)
}
