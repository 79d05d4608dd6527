//! Upstream's `muc_resource_validate` (xmpp-server §3.3): which nicks are allowed. Clients use them as endpoint
//! ids. Not in the breweries: there roles name themselves, e.g. by a container's host name with dashes.

use jitsi_xmpp::{Condition, StanzaError};

use crate::module::{Attempt, Module, Verdict};
use crate::room::{BRIDGE_NICK, FOCUS_NICK, Room};
use crate::world::World;

pub(super) static MODULE: Module = Module {
    name: "resource_validate",
    named: &["muc_resource_validate"],
    join: Some(check),
    ..Module::NONE
};

fn check(room: &mut Room, _: &mut World, attempt: &mut Attempt) -> Verdict {
    if room.is_health_check() {
        return Verdict::Pass;
    }
    let identity = &attempt.sender.identity;
    let refuse = |text| Verdict::refuse(StanzaError::new(Condition::NotAllowed).with_text(text));
    let mut chars = attempt.nick.chars();
    let valid = chars.next().is_some_and(|c| c.is_ascii_alphanumeric())
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_');
    // Clients trust whoever has the focus' nick, and what the bridge itself sends goes by the other name: a person of that
    // name would have no picture.
    let ours = &*attempt.nick == FOCUS_NICK || &*attempt.nick == BRIDGE_NICK;
    if !valid || (ours && !identity.admin) {
        return refuse("Invalid resource");
    }
    if room.policy.strict_nicks && identity.anonymous && !identity.admin {
        let expected = attempt.sender.bare.node().and_then(|n| n.get(..8));
        if expected != Some(&*attempt.nick) {
            return refuse("Invalid anonymous user ID");
        }
    }
    Verdict::Pass
}
