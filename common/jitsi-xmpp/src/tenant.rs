//! Tenants in room addresses: a room's domain as a client writes it in, the tenant's name out (xmpp-server §4.13).

/// The tenant in `<prefix>.<tenant>.<domain>`, where the meetings' own domain `muc_domain` is `<prefix>.<domain>`.
/// A tenant is one label.
pub fn tenant_of<'a>(muc_domain: &str, domain: &str, room_domain: &'a str) -> Option<&'a str> {
    let prefix = muc_domain.strip_suffix(domain)?.strip_suffix('.')?;
    let tenant =
        room_domain.strip_prefix(prefix)?.strip_prefix('.')?.strip_suffix(domain)?.strip_suffix('.')?;
    (!tenant.is_empty() && !tenant.contains('.')).then_some(tenant)
}

#[cfg(test)]
mod tests {
    use super::tenant_of;

    #[test]
    fn a_tenant_is_one_label_between_prefix_and_domain() {
        let of = |room| tenant_of("muc.meet.jitsi", "meet.jitsi", room);
        assert_eq!(of("muc.stadt_x.meet.jitsi"), Some("stadt_x"));
        for none in [
            "muc.meet.jitsi",
            "muc.a.b.meet.jitsi",
            "muc..meet.jitsi",
            "internal-muc.meet.jitsi",
            "evil.example",
        ] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}
