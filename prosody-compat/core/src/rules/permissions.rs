//! Upstream's `jitsi_permissions` (xmpp-server §4.11): a moderator without a token is told what it may do, in the
//! first presence of its own after its affiliation was set.

use jitsi_xmpp::{BareJid, Element, ns};

use crate::config::Config;
use crate::muc::room::{Role, Room};

/// Remembers that this account's affiliation was set.
pub(crate) fn affiliation_set(room: &mut Room, config: &Config, bare: &BareJid) {
    if room.permissions_due.len() < config.limits.max_affiliations {
        room.permissions_due.insert(bare.clone());
    }
}

/// The element for the occupant's own presence, if it is due.
pub(crate) fn take(room: &mut Room, config: &Config, bare: &BareJid, role: Role) -> Option<Element> {
    if !role.is_moderator() || config.admins.contains(bare) || !room.permissions_due.remove(bare) {
        return None;
    }
    let granted = config
        .default_permissions
        .iter()
        .map(|p| Element::inherit("p").with_attr("name", p.as_str()).with_attr("val", "true"));
    Some(Element::new("permissions", ns::JITMEET).with_children(granted))
}
