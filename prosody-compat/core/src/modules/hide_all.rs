//! Upstream's `muc_hide_all` (xmpp-server §4.17): to everybody who is not in it a room tells nothing.

use crate::module::Module;

pub(super) static MODULE: Module = Module {
    name: "hide_all",
    named: &[UPSTREAM],
    look: Some(|room, sender| room.occupant_of(sender.id).is_some()),
    ..Module::NONE
};

/// Upstream's name.
pub(crate) const UPSTREAM: &str = "muc_hide_all";
