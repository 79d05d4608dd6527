//! Upstream's `muc_wait_for_host` (xmpp-server §4.6): guests wait in a lobby until a host comes: somebody who has logged in, or has a
//! token. Then they come in by themselves.

use super::{allowners, lobby};
use crate::hosts::Hosts;
use crate::identity::Identity;
use crate::module::{Attempt, Module, Verdict};
use crate::room::Room;
use crate::room::rank::Affiliation;
use crate::world::{Effect, Sender, World};

/// Before strangers are sent to a lobby, which this opens.
pub(super) static DOOR: Module =
    Module { name: "wait_for_host", named: &[UPSTREAM], join: Some(join), ..Module::NONE };

/// Whoever is let in.
pub(super) static OWNERS: Module =
    Module { name: "hosts own", named: &[UPSTREAM], joined: Some(own), ..Module::NONE };

/// Upstream's name.
pub(super) const UPSTREAM: &str = "muc_wait_for_host";

/// A host has been here.
#[derive(Default)]
struct Arrived(bool);

fn join(room: &mut Room, world: &mut World, attempt: &mut Attempt) -> Verdict {
    if attempt.sender.identity.admin || room.is_health_check() {
        return Verdict::Pass;
    }
    if room.slots.get::<Arrived>().is_some_and(|a| a.0) {
        return Verdict::Pass;
    }
    if may_host(room, world, &attempt.sender) {
        room.slots.put(Arrived(true));
        lobby::end(room, world, "Host arrived.");
    } else if !room.config.members_only {
        lobby::begin(room, world, Some(WAITING));
    }
    Verdict::Pass
}

/// compat: a host comes in as everybody does, and everybody is told that it owns the room (test:
/// compat_a_host_is_told_that_it_owns_the_room_once_it_is_in).
fn own(room: &mut Room, world: &mut World, sender: &Sender, _: &str) {
    let owns = room.policy.hosts_own && !allowners::is_moderated(room, world) && !sender.identity.admin;
    // Somebody who opens meetings for others, and whose directory names others to moderate them.
    let only_opens = sender.identity.moderates == Some(false);
    if owns && !only_opens && !room.is_health_check() && may_host(room, world, sender) {
        let (room, account) = (room.jid.clone(), sender.bare.clone());
        world.effects.push_back(Effect::Own { room, account });
    }
}

/// Where rooms are moderated only a token counts.
fn may_host(room: &Room, world: &World, sender: &Sender) -> bool {
    is_host(&world.hosts, &sender.identity)
        && (sender.identity.token.is_some() || !allowners::is_moderated(room, world))
        && room.affiliation(&world.config, &sender.bare) != Affiliation::Outcast
}

/// Whether somebody opens meetings for others. Where tokens are for those who have one, only they do.
fn is_host(hosts: &Hosts, identity: &Identity) -> bool {
    let main = hosts.main_users().is_some_and(|(id, _)| hosts.is_same(id, identity.host));
    // As it was when this one logged in.
    let users = hosts.users(identity.host).filter(|_| main);
    identity.token.is_some() || users.is_some_and(|users| users.token.is_none() && !users.anonymous)
}

/// compat: the app says whom people wait for by this, and offers a login (test: compat_guests_wait_for_a_host).
const WAITING: &str = "waiting-for-host";
