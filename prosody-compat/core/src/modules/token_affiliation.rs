//! Upstream's `token_affiliation` (xmpp-server §4.37): who owns the room by its token, or is a member by having one. Before the
//! rules for members, so that nobody sees it as a participant first.

use prosody_token::Claims;

use super::permissions;
use crate::module::{Affiliated, Attempt, Module, Verdict};
use crate::room::Room;
use crate::room::rank::Affiliation;
use crate::world::World;

pub(super) static MODULE: Module =
    Module { name: "token_affiliation", named: &["token_affiliation"], join: Some(join), ..Module::NONE };

fn join(room: &mut Room, world: &mut World, attempt: &mut Attempt) -> Verdict {
    let sender = &attempt.sender;
    if sender.identity.token.is_none() || sender.identity.admin {
        return Verdict::Pass;
    }
    // compat: a token of another tenant makes members alone (test: compat_a_token_of_another_tenant_makes_no_moderator).
    let owns = sender.identity.own_token(&world.hosts).is_some_and(Claims::owns);
    let wanted = if owns { Affiliation::Owner } else { Affiliation::Member };
    affiliate(room, world, attempt, wanted);
    Verdict::Pass
}

/// Makes of somebody who comes in what vouches for it says, unless it is more already.
pub(super) fn affiliate(room: &mut Room, world: &mut World, attempt: &Attempt, wanted: Affiliation) {
    let sender = &attempt.sender;
    let before = room.affiliation(&world.config, &sender.bare);
    // That opens no door that is shut: of a room for members it makes nobody a member.
    let knows = attempt.password.is_some()
        && attempt.password.as_deref() == room.config.password.as_ref().map(|p| p.reveal().as_str());
    let outside = room.config.members_only && before <= Affiliation::None && !knows;
    if before == Affiliation::Outcast || before >= wanted || outside {
        return;
    }
    let most = world.config.limits.max_affiliations;
    if room.affiliate(&sender.bare, wanted, most) {
        let set = Affiliated { account: &sender.bare, before, affiliation: wanted, by: None };
        permissions::affiliation(room, world, &set);
    }
}
