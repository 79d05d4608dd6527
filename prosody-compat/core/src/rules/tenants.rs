//! Upstream's `muc_domain_mapper` (xmpp-server §4.13): addresses as clients write them in, as rooms are stored
//! out, and back. `room@muc.<tenant>.meet.jitsi` is stored as `[tenant]room@muc.meet.jitsi`.

use jitsi_xmpp::{BareJid, Jid, tenant};

use crate::config::Config;

/// The tenant in a virtual MUC domain.
pub(crate) fn tenant_of<'a>(config: &Config, domain: &'a str) -> Option<&'a str> {
    if config.tenants { tenant::tenant_of(&config.muc_domain, &config.domain, domain) } else { None }
}

/// The address under which things are stored. An address that cannot be mapped stays as it is.
pub(crate) fn stored(config: &Config, jid: Jid) -> Jid {
    // Exact local names win over the pattern.
    if jid.domain() == config.muc_domain || jid.domain() == config.internal_muc_domain {
        return jid;
    }
    let Some(tenant) = tenant_of(config, jid.domain()) else { return jid };
    let node = jid.node().map(|n| format!("[{tenant}]{n}"));
    Jid::new(node.as_deref(), &config.muc_domain, jid.resource()).unwrap_or(jid)
}

/// The address of a stored room as clients see it.
pub(crate) fn shown(config: &Config, room: &BareJid) -> String {
    let mapped = || {
        if !config.tenants || room.domain() != config.muc_domain {
            return None;
        }
        let (tenant, name) = room.node()?.strip_prefix('[')?.split_once(']')?;
        let prefix = config.muc_domain.strip_suffix(config.domain.as_str())?;
        (!name.is_empty()).then(|| format!("{name}@{prefix}{tenant}.{}", config.domain))
    };
    mapped().unwrap_or_else(|| room.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenants_room_goes_in_and_comes_back() {
        let config = Config::for_domain("meet.jitsi").unwrap();
        let jid: Jid = "r2@muc.stadt_x.meet.jitsi/d0ec9fb6".parse().unwrap();
        let inside = stored(&config, jid);
        assert_eq!(inside.as_str(), "[stadt_x]r2@muc.meet.jitsi/d0ec9fb6");
        assert_eq!(shown(&config, &inside.to_bare()), "r2@muc.stadt_x.meet.jitsi");
        for other in ["r@muc.meet.jitsi", "r@muc.a.b.meet.jitsi", "x@meet.jitsi", "r@internal-muc.meet.jitsi"]
        {
            let jid: Jid = other.parse().unwrap();
            assert_eq!(stored(&config, jid.clone()).as_str(), other);
            assert_eq!(shown(&config, &jid.to_bare()), other);
        }
    }

    #[test]
    fn without_tenants_nothing_is_mapped() {
        let mut config = Config::for_domain("meet.jitsi").unwrap();
        config.tenants = false;
        let jid: Jid = "r2@muc.town.meet.jitsi".parse().unwrap();
        assert_eq!(stored(&config, jid.clone()), jid);
    }
}
