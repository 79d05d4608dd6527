//! The community's `token_lobby_bypass` (xmpp-server §4.37): whose token says so goes past the lobby, as a member.

use crate::module::{Attempt, Module, Verdict};
use crate::room::Room;
use crate::room::rank::Affiliation;
use crate::world::World;

pub(super) static MODULE: Module =
    Module { name: "token_lobby_bypass", named: &["token_lobby_bypass"], join: Some(join), ..Module::NONE };

fn join(room: &mut Room, world: &mut World, attempt: &mut Attempt) -> Verdict {
    let passes = attempt.sender.identity.token.as_deref().is_some_and(|token| token.passes_lobby());
    let bare = &attempt.sender.bare;
    if passes && room.lobby.is_some() && room.affiliation(&world.config, bare) == Affiliation::None {
        // Those who are in see it with the presence that follows.
        room.affiliate(bare, Affiliation::Member, world.config.limits.max_affiliations);
    }
    Verdict::Pass
}
