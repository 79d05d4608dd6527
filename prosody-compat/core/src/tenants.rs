//! Upstream's `muc_domain_mapper` (xmpp-server §4.13): addresses as clients write them in, as rooms are stored
//! out, and back. `room@muc.<tenant>.meet.jitsi` is stored as `[tenant]room@muc.meet.jitsi`.

use jitsi_xmpp::room::{self, RoomAddress, RoomDomains, RoomError, Tenant};
use jitsi_xmpp::{BareJid, Jid};

use crate::config::Config;
use crate::identity::Identity;
use crate::room::audience;

/// Where the meetings are.
pub(crate) fn domains(config: &Config) -> RoomDomains<'_> {
    RoomDomains::new(config.domain(), config.muc_domain(), config.tenants)
}

/// The same of those from where people watch.
fn watched_from(config: &Config) -> Option<RoomDomains<'_>> {
    let muc = config.hosts.rooms.first()?.audience.as_deref()?;
    Some(RoomDomains::new(audience::of_viewers(muc), muc, config.tenants))
}

/// Both.
pub(crate) fn all_domains(config: &Config) -> impl Iterator<Item = RoomDomains<'_>> {
    std::iter::once(domains(config)).chain(watched_from(config))
}

/// Those in which a stored room is.
fn domains_of<'a>(config: &'a Config, stored: &BareJid) -> RoomDomains<'a> {
    all_domains(config).find(|d| d.muc() == stored.domain()).unwrap_or_else(|| domains(config))
}

/// The address under which things are stored. An address that comes from outside in the stored spelling is refused:
/// a room has one address.
pub(crate) fn stored(config: &Config, jid: Jid) -> Result<Jid, RoomError> {
    // Exact local names win over the pattern.
    let found = all_domains(config).find(|d| d.label(jid.domain()).is_some());
    let Some(domains) = found.filter(|_| !config.hosts.has(jid.domain())) else {
        let meeting = all_domains(config).any(|d| d.muc() == jid.domain());
        let stored = meeting && jid.node().is_some_and(room::is_stored_spelling);
        return if stored { Err(RoomError::StoredSpelling) } else { Ok(jid) };
    };
    if jid.node().is_none() {
        return Ok(Jid::new(None, domains.muc(), jid.resource())?);
    }
    let room = domains.stored(&domains.read(&jid)?)?;
    match jid.resource() {
        Some(nick) => Ok(room.with_resource(nick)?.into_jid()),
        None => Ok(room.into_jid()),
    }
}

/// The stored room that a connection's URL names.
pub(crate) fn meant(config: &Config, identity: &Identity) -> Option<BareJid> {
    let room = identity.room.as_ref()?.reveal();
    let tenant = identity.tenant.as_ref().filter(|_| config.tenants);
    let domain = match tenant {
        Some(tenant) => {
            let tenant = Tenant::from_path(tenant.reveal()).ok()?;
            let prefix = config.muc_domain().strip_suffix(config.domain())?;
            format!("{prefix}{}.{}", tenant.as_str(), config.domain())
        }
        None => config.muc_domain().to_owned(),
    };
    Some(stored(config, Jid::new(Some(room), &domain, None).ok()?).ok()?.to_bare())
}

/// The address of a stored room.
pub(crate) fn address(config: &Config, room: &BareJid) -> Option<RoomAddress> {
    domains_of(config, room).from_stored(room).ok()
}

/// The tenant of a stored room.
pub(crate) fn of_room(config: &Config, room: &BareJid) -> Option<Tenant> {
    address(config, room)?.tenant().cloned()
}

/// The address of a stored room as clients see it.
pub(crate) fn shown(config: &Config, room: &BareJid) -> String {
    let domains = domains_of(config, room);
    let shown = domains.from_stored(room).and_then(|r| domains.shown(&r));
    shown.map_or_else(|_| room.as_str().to_owned(), |r| r.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenants_room_goes_in_and_comes_back() {
        let config = Config::for_domain("meet.jitsi").unwrap();
        let jid: Jid = "r2@muc.stadt_x.meet.jitsi/d0ec9fb6".parse().unwrap();
        let inside = stored(&config, jid).unwrap();
        assert_eq!(inside.as_str(), "[stadt_x]r2@muc.meet.jitsi/d0ec9fb6");
        assert_eq!(shown(&config, &inside.to_bare()), "r2@muc.stadt_x.meet.jitsi");
        for other in ["r@muc.meet.jitsi", "r@muc.a.b.meet.jitsi", "x@meet.jitsi", "r@internal-muc.meet.jitsi"]
        {
            let jid: Jid = other.parse().unwrap();
            assert_eq!(stored(&config, jid.clone()).unwrap().as_str(), other);
            assert_eq!(shown(&config, &jid.to_bare()), other);
        }
    }

    #[test]
    fn without_tenants_nothing_is_mapped() {
        let mut config = Config::for_domain("meet.jitsi").unwrap();
        config.tenants = false;
        let jid: Jid = "r2@muc.town.meet.jitsi".parse().unwrap();
        assert_eq!(stored(&config, jid.clone()), Ok(jid));
        assert!(stored(&config, "[town]r2@muc.meet.jitsi".parse().unwrap()).is_err());
    }
}
