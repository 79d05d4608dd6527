//! Upstream's `muc_filter_access` (xmpp-server §4.17): presence in the breweries from other domains than the
//! roles' is dropped without a word, so that clients cannot look into them.

use crate::hosts::Host;
use crate::world::{Sender, World};

/// Whether this sender may talk to rooms of this host at all.
pub(crate) fn admits(world: &World, host: Host, sender: &Sender) -> bool {
    host != Host::InternalMuc || sender.bare.domain() == world.config.auth_domain
}
