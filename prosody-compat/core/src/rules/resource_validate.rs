//! Upstream's `muc_resource_validate` (xmpp-server §3.3): which nicks are allowed. Clients use them as endpoint
//! ids.

use jitsi_xmpp::{Condition, StanzaError};

use super::meeting_id::FOCUS_NICK;
use super::{Attempt, Verdict};
use crate::hosts::Host;
use crate::muc::room::{Room, RoomKind};
use crate::world::World;

pub(super) fn check(world: &World, room: &mut Room, attempt: &mut Attempt) -> Verdict {
    // The roles name themselves in the breweries, e.g. by a container's host name with dashes.
    if room.kind != RoomKind::Meeting || room.is_health_check() {
        return Verdict::Pass;
    }
    let refuse = |text| Verdict::refuse(StanzaError::new(Condition::NotAllowed).with_text(text));
    let mut chars = attempt.nick.chars();
    let valid = chars.next().is_some_and(|c| c.is_ascii_alphanumeric())
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_');
    // Clients trust whoever has the focus' nick.
    if !valid || (&*attempt.nick == FOCUS_NICK && !attempt.sender.admin) {
        return refuse("Invalid resource");
    }
    if world.config.strict_nicks && !attempt.sender.admin {
        let anonymous =
            matches!(Host::of(&world.config, attempt.sender.bare.domain()), Some(Host::Main | Host::Guest));
        let expected = attempt.sender.bare.node().and_then(|n| n.get(..8));
        if anonymous && expected != Some(&*attempt.nick) {
            return refuse("Invalid anonymous user ID");
        }
    }
    Verdict::Pass
}
