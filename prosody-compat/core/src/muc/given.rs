//! An affiliation that nobody in the room has given, but the admin, in; done and announced out.

use jitsi_xmpp::{BareJid, StanzaError};

use super::affiliations;
use super::turn::Turn;
use crate::room::rank::Affiliation;

/// The server itself makes somebody this.
pub(crate) fn give(t: &mut Turn<'_>, to: &BareJid, affiliation: Affiliation) -> Result<(), StanzaError> {
    affiliations::give(t, None, to, affiliation, None)
}
