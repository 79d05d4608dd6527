//! Upstream's `token_verification` (xmpp-server §2.9): who came with a token comes into the rooms that the token is for; who came
//! without, where the rules let it. First of all rules, for rooms that are there and for those that are not.

use jitsi_xmpp::{BareJid, Condition, Element, ErrorType, StanzaError, ns};
use prosody_token::{Place, RoomRefusal};
use serde_json::Value;

use super::metadata;
use crate::identity::Identity;
use crate::module::{Attempt, Module, Verdict};
use crate::policy::lists;
use crate::room::Room;
use crate::tenants;
use crate::world::{Sender, World};

pub(super) static MODULE: Module = Module {
    name: NAME,
    named: &[NAME],
    create: Some(|world, room, attempt| verdict(check(world, room, &attempt.sender.identity, None))),
    join: Some(join),
    owner: Some(owner),
    ..Module::NONE
};

pub(super) const NAME: &str = "token_verification";

fn join(room: &mut Room, world: &mut World, attempt: &mut Attempt) -> Verdict {
    if lists(&room.policy.token_exempt, &attempt.sender.bare) {
        return Verdict::Pass;
    }
    verdict(check(world, &room.jid, &attempt.sender.identity, Some(room)))
}

/// compat: a form of somebody without a token is refused only where the rules say so (test:
/// compat_settings_of_a_room_need_a_token_where_the_rules_say_so).
fn owner(world: &World, sender: &Sender) -> Result<(), StanzaError> {
    let Some(rules) = world.hosts.token_rules(sender.identity.host).filter(|_| !exempt(&sender.identity))
    else {
        return Ok(());
    };
    rules.check_moderation(sender.identity.token.as_deref()).map_err(refusal)
}

/// Whether somebody's token, if it has one, is for this room.
pub(super) fn is_for(world: &World, room: &Room, sender: &Sender) -> bool {
    let identity = &sender.identity;
    identity.token.is_none() || check(world, &room.jid, identity, Some(room)).is_ok()
}

/// Whether somebody with this token could be in a room that it is in already.
pub(crate) fn still_opens(world: &World, room: &Room, identity: &Identity) -> bool {
    let named = world.hosts.of(&world.config, room.jid.domain()).and_then(|id| world.hosts.rooms(id));
    let looks = named.is_some_and(|rooms| rooms.modules.iter().any(|m| m.name == NAME));
    !looks || check(world, &room.jid, identity, Some(room)).is_ok()
}

fn exempt(identity: &Identity) -> bool {
    identity.admin || identity.unseen.is_some()
}

fn check(
    world: &World,
    address: &BareJid,
    identity: &Identity,
    room: Option<&Room>,
) -> Result<(), RoomRefusal> {
    if exempt(identity) {
        return Ok(());
    }
    // Without rules the table is refused at the start.
    let Some(rules) = world.hosts.token_rules(identity.host) else {
        return Err(RoomRefusal::AuthenticationRequired);
    };
    let address = tenants::address(&world.config, address);
    let open = room.and_then(|r| metadata::get(r, "allowUnauthenticatedAccess"));
    let place = Place {
        address: address.as_ref(),
        domain: world.config.domain(),
        exists: room.is_some(),
        authenticated_only: open == Some(Value::Bool(false)),
        prefix: identity.tenant.as_ref().map(|t| t.reveal().as_str()),
    };
    rules.check_room(identity.token.as_deref(), &place).map(drop)
}

fn verdict(checked: Result<(), RoomRefusal>) -> Verdict {
    checked.map_or_else(|why| Verdict::refuse(refusal(why)), |()| Verdict::Pass)
}

/// compat: clients tell these apart by the element and ask the focus again when the room is not there (test:
/// compat_a_token_is_for_its_room).
fn refusal(why: RoomRefusal) -> StanzaError {
    let error = StanzaError::new(Condition::NotAllowed).with_type(ErrorType::Cancel).with_text(why.text());
    match why.element() {
        Some(name) => error.with_extra(Element::new(name, ns::JITMEET)),
        None => error,
    }
}
