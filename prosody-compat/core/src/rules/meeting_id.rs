//! Upstream's `muc_meeting_id` (xmpp-server §4.14): health-check rooms are the focus' own, and nobody enters a
//! meeting before the focus is in it.

use jitsi_xmpp::{BareJid, Condition, ErrorType, StanzaError};

use super::{Attempt, Verdict};
use crate::muc::room::{HEALTH_CHECK_PREFIX, Room, RoomKind};
use crate::world::World;

/// The focus' nick in every room; clients tell the focus by it.
pub(crate) const FOCUS_NICK: &str = "focus";

pub(super) fn health_room_of_focus_only(_: &World, room: &BareJid, attempt: &Attempt) -> Verdict {
    let health_check = room.node().is_some_and(|n| n.starts_with(HEALTH_CHECK_PREFIX));
    if health_check && &*attempt.nick != FOCUS_NICK {
        return Verdict::refuse(StanzaError::new(Condition::ServiceUnavailable).with_type(ErrorType::Cancel));
    }
    Verdict::Pass
}

pub(super) fn wait_for_focus(_: &World, room: &mut Room, attempt: &mut Attempt) -> Verdict {
    if room.kind != RoomKind::Meeting {
        return Verdict::Pass;
    }
    if room.is_health_check() && &*attempt.nick != FOCUS_NICK {
        return Verdict::refuse(StanzaError::new(Condition::ServiceUnavailable).with_type(ErrorType::Cancel));
    }
    if room.focus_was_in || room.is_health_check() || &*attempt.nick == FOCUS_NICK {
        return Verdict::Pass;
    }
    Verdict::Hold
}
