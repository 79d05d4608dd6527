//! Our place in a brewery: the link's state and the room's presences in; our own presences, and whose presence it was, out (focus §1.6).

use std::time::Instant;

use jitsi_xmpp::{BareJid, Element, FullJid, Jid, ns};

use crate::conference::NICK;
use crate::{disco, limits};

/// See the module.
#[derive(Debug)]
pub(crate) struct Place {
    room: BareJid,
    joined: bool,
    join_at: Option<Instant>,
}

/// Whose presence it was.
#[derive(Debug, PartialEq)]
pub(crate) enum Heard {
    /// An instance is there, and says how it is.
    Here(FullJid),
    /// An instance is gone.
    Gone(FullJid),
    /// We are in a room that did not exist before: it is locked until its owner submits a form (XEP-0045 §10.1.2).
    Created,
    /// Nothing that matters.
    Nothing,
}

impl Place {
    pub(crate) const fn new(room: BareJid) -> Self {
        Self { room, joined: false, join_at: None }
    }

    pub(crate) const fn room(&self) -> &BareJid {
        &self.room
    }

    /// A connection that knows nothing of an earlier one: the presence to come in with.
    pub(crate) fn enter(&mut self) -> Option<Element> {
        (self.joined, self.join_at) = (false, None);
        let me = self.room.with_resource(NICK).ok()?;
        let presence = Element::new("presence", ns::CLIENT).with_attr("to", me.as_str());
        Some(presence.with_child(Element::new("x", ns::MUC)).with_child(disco::caps()))
    }

    /// Whether we are in.
    pub(crate) const fn is_joined(&self) -> bool {
        self.joined
    }

    /// A successor of whoever was in, or not.
    pub(crate) fn succeed(&mut self, now: Instant, joined: bool) {
        (self.joined, self.join_at) = (joined, (!joined).then_some(now));
    }

    /// The connection is gone for good.
    pub(crate) const fn forget(&mut self) {
        self.join_at = None;
    }

    /// Whether it is time to try again.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.join_at.is_some_and(|at| at <= now)
    }

    pub(crate) const fn poll_timeout(&self) -> Option<Instant> {
        self.join_at
    }

    /// A presence from the room.
    pub(crate) fn handle_presence(&mut self, now: Instant, from: &Jid, presence: &Element) -> Heard {
        let Some(occupant) = from.to_full() else { return Heard::Nothing };
        let kind = presence.attr("type");
        if occupant.resource() != NICK {
            return match kind {
                None => Heard::Here(occupant),
                Some("unavailable") => Heard::Gone(occupant),
                Some(_) => Heard::Nothing,
            };
        }
        match kind {
            None if !self.joined => {
                (self.joined, self.join_at) = (true, None);
                if is_created(presence) { Heard::Created } else { Heard::Nothing }
            }
            Some("error" | "unavailable") => {
                (self.joined, self.join_at) = (false, Some(now + limits::BREWERY_RETRY));
                Heard::Nothing
            }
            _ => Heard::Nothing,
        }
    }
}

fn is_created(presence: &Element) -> bool {
    let codes = |x: &Element| x.children().any(|s| s.name() == "status" && s.attr("code") == Some("201"));
    presence.child("x", ns::MUC_USER).is_some_and(codes)
}
