//! Rooms beside a meeting: what a room is to another, and who sees and hears whom there.
//!
//! In a breakout room (`breakouts.rs`) some of a meeting talk among themselves; it is like any room but that who is who is decided
//! in the meeting.
//!
//! In a lobby strangers meet who wait for the same door. They are none of each other's business: moderators see and hear all of
//! them, they hear moderators, and see nobody (xmpp-server §4.5).

use std::sync::Arc;

use jitsi_xmpp::BareJid;

use super::Room;
use super::rank::Affiliation;
use crate::config::Config;
use crate::identity::HostId;
use crate::policy::Policy;
use crate::session::SessionId;

/// What a room is to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A room of its own.
    Meeting,
    /// Where strangers wait for this meeting. It is there as long as that wants it, also when nobody is in.
    LobbyOf(BareJid),
    /// From where people watch this meeting.
    AudienceOf(BareJid),
    /// Where some of a meeting talk among themselves.
    BreakoutOf {
        meeting: BareJid,
        /// The meeting's address as clients write it.
        shown: Box<str>,
    },
}

/// A meeting's lobby.
#[derive(Debug, Clone)]
pub(crate) struct Lobby {
    pub(crate) jid: BareJid,
    /// What those who knock are told, besides that they must; the name of an element.
    pub(crate) reason: Option<&'static str>,
    /// Whether they need no name.
    pub(crate) nameless: bool,
    /// Whether the meeting stays while somebody waits, also when nobody is in it.
    pub(crate) keeps: bool,
}

impl Room {
    /// A room that follows `meeting` as this kind of one: its affiliations are those of that, now and later.
    pub(super) fn beside(
        config: &Config,
        meeting: &Self,
        kind: Kind,
        jid: BareJid,
        host: HostId,
        policy: Arc<Policy>,
    ) -> Self {
        Self { kind, affiliations: meeting.affiliations.clone(), ..Self::new(config, jid, host, policy) }
    }

    /// The room where strangers wait for `meeting`.
    pub(crate) fn lobby_of(
        config: &Config,
        meeting: &Self,
        jid: BareJid,
        host: HostId,
        policy: Arc<Policy>,
    ) -> Self {
        Self::beside(config, meeting, Kind::LobbyOf(meeting.jid.clone()), jid, host, policy)
    }

    /// A room in which some of `meeting` talk, open to those to whom that is open; what holds there holds here.
    pub(crate) fn breakout_of(config: &Config, meeting: &Self, jid: BareJid, host: HostId) -> Self {
        let kind = Kind::BreakoutOf { meeting: meeting.jid.clone(), shown: meeting.shown().into() };
        let mut room = Self::beside(config, meeting, kind, jid, host, meeting.policy.clone());
        room.follow(meeting.config.members_only, meeting.lobby.clone());
        room
    }

    /// Its door is as that of the meeting is now.
    pub(crate) fn follow(&mut self, members_only: bool, lobby: Option<Box<Lobby>>) {
        self.config.members_only = members_only;
        self.lobby = lobby;
    }

    /// The meeting that it is, or of which it is a part.
    pub(crate) fn meeting(&self) -> &BareJid {
        match &self.kind {
            Kind::BreakoutOf { meeting, .. } => meeting,
            _ => &self.jid,
        }
    }

    pub(crate) fn is_lobby(&self) -> bool {
        matches!(self.kind, Kind::LobbyOf(_))
    }

    pub(crate) fn is_breakout(&self) -> bool {
        matches!(self.kind, Kind::BreakoutOf { .. })
    }

    /// Whether a session of this room is one that may be told.
    pub(super) fn reaches(&self, id: SessionId, may: impl FnOnce(&BareJid) -> bool) -> bool {
        // Everywhere else everybody is told everything.
        !self.is_lobby() || self.occupant_of(id).is_some_and(|o| may(&o.bare))
    }

    fn is_owned_by(&self, config: &Config, bare: &BareJid) -> bool {
        self.affiliation(config, bare) == Affiliation::Owner
    }

    /// Whether `reader` sees that `of` is here, who is somebody else.
    pub(crate) fn shows(&self, config: &Config, reader: &BareJid, of: &BareJid) -> bool {
        match self.kind {
            Kind::Meeting | Kind::AudienceOf(_) | Kind::BreakoutOf { .. } => true,
            Kind::LobbyOf(_) => self.is_owned_by(config, reader) && !self.is_owned_by(config, of),
        }
    }

    /// Whether `reader` is told when somebody goes: also of one who has become an owner since it came.
    pub(crate) fn shows_going(&self, config: &Config, reader: &BareJid) -> bool {
        match self.kind {
            Kind::Meeting | Kind::AudienceOf(_) | Kind::BreakoutOf { .. } => true,
            Kind::LobbyOf(_) => self.is_owned_by(config, reader),
        }
    }

    /// Whether `reader` hears what `from` says. compat: who waits does not even hear itself (test:
    /// compat_in_the_lobby_moderators_hear_and_are_heard).
    pub(crate) fn carries(&self, config: &Config, reader: &BareJid, from: &BareJid) -> bool {
        match self.kind {
            Kind::Meeting | Kind::AudienceOf(_) | Kind::BreakoutOf { .. } => true,
            Kind::LobbyOf(_) => self.is_owned_by(config, reader) || self.is_owned_by(config, from),
        }
    }
}
