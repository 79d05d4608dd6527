//! A name that was not proven in; what this machine's DNS says of it, for the admin's line, out. No address but the server's own is in it.

use std::net::IpAddr;

use crate::doctor::gather;

/// Where a name leads, seen from here: mostly it leads elsewhere, or nowhere. May take as long as a resolver does.
pub(super) fn said_blocking(name: &str) -> String {
    said(name, &gather::look_up(name).unwrap_or_default())
}

fn said(name: &str, addresses: &[IpAddr]) -> String {
    let shown: Vec<String> = addresses.iter().take(SHOWN).map(IpAddr::to_string).collect();
    match (shown.is_empty(), addresses.len() > SHOWN) {
        (true, _) => format!("here, DNS gives no address for {name}"),
        (false, false) => format!("here, DNS gives {} for {name}", shown.join(", ")),
        (false, true) => format!("here, DNS gives {} and more for {name}", shown.join(", ")),
    }
}

/// Addresses in the line. Servers have one of each family.
const SHOWN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_where_a_name_leads_and_how_far_it_goes() {
        let ip = |n: u8| IpAddr::from([192, 0, 2, n]);
        assert_eq!(said("a.example", &[]), "here, DNS gives no address for a.example");
        assert_eq!(said("a.example", &[ip(1), ip(2)]), "here, DNS gives 192.0.2.1, 192.0.2.2 for a.example");
        let many: Vec<IpAddr> = (0..=SHOWN as u8).map(ip).collect();
        assert!(said("a.example", &many[..SHOWN]).ends_with("192.0.2.3 for a.example"));
        assert!(said("a.example", &many).ends_with("192.0.2.3 and more for a.example"));
    }
}
