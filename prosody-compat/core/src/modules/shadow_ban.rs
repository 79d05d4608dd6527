//! Upstream's `shadow_ban` (xmpp-server §4.43): somebody who is known to be allowed says whose messages nobody gets; that one is
//! not told.

use std::collections::HashSet;

use jitsi_xmpp::{BareJid, Condition, Element, ErrorType, Jid, StanzaError};

use crate::module::{Module, Relay, Reply};
use crate::room::Room;
use crate::world::{Sender, World};

pub(super) static MODULE: Module = Module {
    name: "shadow_ban",
    named: &["shadow_ban", "muc_shadow_ban"],
    features: &[NS],
    message: Some(check),
    private: Some(check),
    asked: Some(asked),
    ..Module::NONE
};

const NS: &str = "http://jitsi.org/jitmeet/shadow-ban";

/// Whose messages nobody gets.
#[derive(Default)]
struct Banned(HashSet<BareJid>);

fn check(room: &mut Room, _: &World, sender: &Sender, _: &mut Element) -> Result<Relay, StanzaError> {
    let banned = room.slots.get::<Banned>().is_some_and(|b| b.0.contains(&sender.bare));
    Ok(if banned { Relay::Drop } else { Relay::Pass })
}

fn asked(
    room: &mut Room,
    world: &mut World,
    sender: &Sender,
    kind: &str,
    payload: &Element,
) -> Option<Reply> {
    (kind == "set" && payload.is("shadow-ban", NS)).then(|| ban(room, world, sender, payload))
}

fn ban(room: &mut Room, world: &World, sender: &Sender, payload: &Element) -> Reply {
    // Whoever moderates is not allowed for that alone.
    if room.occupant_of(sender.id).is_none() || !world.may(sender.id, "shadow-ban", false) {
        return Err(StanzaError::new(Condition::Forbidden).with_text("Not authorized to shadow-ban"));
    }
    let bad = |text| StanzaError::new(Condition::BadRequest).with_type(ErrorType::Modify).with_text(text);
    let jid = payload.attr("jid").ok_or_else(|| bad("Missing jid attribute"))?;
    let account = jid.parse::<Jid>().map_err(|_| bad("Invalid jid attribute"))?.to_bare();
    let most = world.config.limits.max_affiliations;
    let banned = &mut room.slots.entry::<Banned>().0;
    if payload.text() != "true" {
        banned.remove(&account);
    } else if banned.len() < most || banned.contains(&account) {
        banned.insert(account);
    } else {
        return Err(StanzaError::new(Condition::ResourceConstraint).with_type(ErrorType::Wait));
    }
    Ok(None)
}
