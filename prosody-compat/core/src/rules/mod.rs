//! Jitsi's modules for rooms, one file each, and the ordered tables that say when they run (xmpp-server §3.3).
//!
//! A table is walked from the top; the first rule that does not pass decides. XEP-0045's own conditions stand in the
//! same tables, because their order among the modules matters to clients.

pub(crate) mod admission;
mod allowners;
pub(crate) mod conference_duration;
pub(crate) mod filter_access;
mod json_message;
mod max_occupants;
pub(crate) mod meeting_id;
mod password_whitelist;
pub(crate) mod permissions;
mod region;
mod resource_validate;
pub(crate) mod retract;
pub(crate) mod start_muted;
mod strip;
pub(crate) mod tenants;

use jitsi_xmpp::{BareJid, Element, StanzaError};

use crate::muc::room::Room;
use crate::world::{Sender, World};

/// Somebody who wants to join.
pub(crate) struct Attempt {
    pub(crate) sender: Sender,
    pub(crate) nick: Box<str>,
    /// The join presence as sent, `from` stamped.
    pub(crate) presence: Element,
    /// The password given, or put in by a rule.
    pub(crate) password: Option<String>,
}

/// What a rule says.
pub(crate) enum Verdict {
    /// The next rule decides.
    Pass,
    /// The join is answered with this error; `by` the MUC host instead of the room if set.
    Refuse { error: StanzaError, by_host: bool },
    /// The join waits for the focus.
    Hold,
}

impl Verdict {
    fn refuse(error: StanzaError) -> Self {
        Self::Refuse { error, by_host: false }
    }
}

/// May this room come into being?
pub(crate) type CreateRule = fn(&World, &BareJid, &Attempt) -> Verdict;
/// May this one come in?
pub(crate) type JoinRule = fn(&World, &mut Room, &mut Attempt) -> Verdict;
/// Changes a presence before it is kept and relayed.
pub(crate) type PresenceRule = fn(&World, &Sender, &mut Element, bool);
/// Changes a message to the room before it is relayed, or drops it (`Ok(false)`), or refuses it.
pub(crate) type MessageRule = fn(&World, &mut Room, &Sender, &mut Element) -> Result<bool, StanzaError>;

/// Asked in this order when the room does not exist yet.
pub(crate) const CREATE: &[CreateRule] =
    &[meeting_id::health_room_of_focus_only, admission::creation_is_restricted, admission::room_limit];

/// Asked in this order for every join.
pub(crate) const JOIN: &[JoinRule] = &[
    resource_validate::check,
    max_occupants::check,
    meeting_id::wait_for_focus,
    allowners::promote,
    admission::members_only,
    password_whitelist::apply,
    admission::outcast,
    admission::password,
    admission::nick_conflict,
    admission::occupant_limit,
];

/// Run in this order on every presence of an occupant or newcomer; the flag says newcomer.
pub(crate) const PRESENCE: &[PresenceRule] = &[strip::presence, region::inject];

/// Run in this order on every groupchat message.
pub(crate) const MESSAGE: &[MessageRule] = &[strip::message, json_message::check, retract::check];

/// The part of [`MESSAGE`] that also holds for private messages.
pub(crate) use strip::message as strip_message;
