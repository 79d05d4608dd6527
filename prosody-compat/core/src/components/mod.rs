//! The components behind the main host: the ordered table of those that exist, and what they have in common.
//!
//! A new component is one file and one row. Its identity is advertised to clients exactly when it has a row, in the
//! order of the table. Not here yet, each with the identity it will have: lobby (`lobbyrooms`), AV moderation
//! (`av_moderation`), end conference (`end_conference`), polls (`polls`), speaker statistics (`speakerstats`),
//! breakout rooms (`breakout_rooms`), file sharing (`file-sharing`), visitors (`visitors`).

pub(crate) mod client_proxy;
pub(crate) mod metadata;

use jitsi_xmpp::{Condition, Element, StanzaError, ns};

use crate::config::Config;
use crate::disco;
use crate::hosts::Host;
use crate::muc::Rooms;
use crate::router::payload;
use crate::world::{Sender, World};

/// One component.
pub(crate) struct Component {
    /// `type` of its identity in discovery.
    pub(crate) identity: &'static str,
    /// Its domain.
    pub(crate) address: fn(&Config) -> &str,
    /// A message to its domain.
    pub(crate) message: fn(&mut Rooms, &mut World, &Sender, &Element),
}

/// All components, in the order of their identities.
pub(crate) const COMPONENTS: &[Component] =
    &[Component { identity: "room_metadata", address: |c| &c.metadata_domain, message: metadata::message }];

/// Anything but a message to a component.
pub(crate) fn fallback(world: &mut World, sender: &Sender, e: &Element) {
    if e.name() == "presence" {
        return;
    }
    let domain = e.attr("to").unwrap_or_default().to_owned();
    let answer = payload(e).and_then(|(kind, p)| match (kind, p.name(), p.ns()) {
        ("get", "query", ns::DISCO_INFO) => {
            Some(Some(disco::info(&world.config, Host::Focus, &domain, p.attr("node"))))
        }
        ("get", "query", ns::DISCO_ITEMS) => Some(Some(Element::new("query", ns::DISCO_ITEMS))),
        ("get", "ping", ns::PING) => Some(None),
        _ => None,
    });
    match answer {
        Some(payload) => world.answer(sender, e, payload),
        None => world.refuse(sender, e, &StanzaError::new(Condition::ServiceUnavailable), None),
    }
}
