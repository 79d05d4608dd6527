//! The addresses of this machine's interfaces that are up, for a bridge that was not told where to listen.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// All addresses, loopback included, link-local IPv6 excluded (they need a scope), in the kernel's order.
///
/// # Errors
/// What `getifaddrs` says.
pub fn interface_addresses() -> io::Result<Vec<IpAddr>> {
    let mut list: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: `list` is a valid place for the result pointer.
    if unsafe { libc::getifaddrs(&mut list) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut found = Vec::new();
    let mut at = list;
    while !at.is_null() {
        // SAFETY: `at` is a non-null node of the list getifaddrs made; the list is freed only after the loop.
        let node = unsafe { &*at };
        let up = libc::c_uint::try_from(libc::IFF_UP).is_ok_and(|flag| node.ifa_flags & flag != 0);
        if up && !node.ifa_addr.is_null() {
            // SAFETY: a non-null `ifa_addr` points to a socket address whose size fits its family, and `family` is
            // the field all of them start with.
            let family = i32::from(unsafe { (*node.ifa_addr).sa_family });
            let ip = match family {
                libc::AF_INET => {
                    // SAFETY: AF_INET addresses are `sockaddr_in`; read unaligned to be independent of placement.
                    let address = unsafe { node.ifa_addr.cast::<libc::sockaddr_in>().read_unaligned() };
                    Some(IpAddr::V4(Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr))))
                }
                libc::AF_INET6 => {
                    // SAFETY: AF_INET6 addresses are `sockaddr_in6`; read unaligned as above.
                    let address = unsafe { node.ifa_addr.cast::<libc::sockaddr_in6>().read_unaligned() };
                    Some(IpAddr::V6(Ipv6Addr::from(address.sin6_addr.s6_addr)))
                }
                _ => None,
            };
            let link_local = matches!(ip, Some(IpAddr::V6(v6)) if v6.is_unicast_link_local());
            found.extend(ip.filter(|ip| !link_local && !found.contains(ip)));
        }
        at = node.ifa_next;
    }
    // SAFETY: `list` came from getifaddrs and no reference into it is alive.
    unsafe { libc::freeifaddrs(list) };
    Ok(found)
}
