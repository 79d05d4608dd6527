//! People who watch a meeting and take no part: from its room their own room is filled, in which each sees those who meet, and
//! nobody else who watches (xmpp-server §11).
//!
//! Both are rooms of this server, and neither is asked about the other: what a newcomer in the audience is told of the meeting is
//! kept here, put together once, when the meeting said it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jitsi_xmpp::BareJid;

use super::beside::Kind;
use super::rank::Role;
use super::{FOCUS_NICK, Room};
use crate::config::Config;
use crate::identity::HostId;
use crate::outbox::Outgoing;
use crate::policy::Policy;
use crate::session::SessionId;
use crate::world::World;

/// From where a meeting is watched.
pub(crate) struct Audience {
    pub(crate) jid: BareJid,
    /// As clients write it.
    pub(crate) shown: String,
}

/// What those who watch see.
#[derive(Default)]
pub(crate) struct Stage {
    /// Those who meet, as their nicks are seen from here.
    people: BTreeMap<Box<str>, Outgoing>,
}

impl Room {
    /// The room from where `meeting` is watched.
    pub(crate) fn audience_of(
        config: &Config,
        meeting: &Self,
        jid: BareJid,
        host: HostId,
        policy: Arc<Policy>,
    ) -> Self {
        let kind = Kind::AudienceOf(meeting.jid.clone());
        let mut room = Self::beside(config, meeting, kind, jid, host, policy);
        room.stage = Some(Box::default());
        room.config.password.clone_from(&meeting.config.password);
        room
    }

    /// The meeting that is watched from here.
    pub(crate) const fn watches(&self) -> Option<&BareJid> {
        match &self.kind {
            Kind::AudienceOf(meeting) => Some(meeting),
            _ => None,
        }
    }

    /// How many watch from here.
    pub(crate) fn viewers(&self) -> usize {
        if self.watches().is_none() {
            0
        } else {
            self.len() - usize::from(self.occupant(FOCUS_NICK).is_some())
        }
    }

    /// What somebody is here, whose affiliation says no more than this.
    pub(crate) fn role_of(&self, config: &Config, bare: &BareJid) -> Role {
        if self.is_unseen(config, bare) {
            return Role::Visitor;
        }
        self.affiliation(config, bare).role()
    }

    /// Somebody who meets, before anybody watches.
    pub(crate) fn put_on_stage(&mut self, nick: Box<str>, presence: Outgoing) {
        if let Some(stage) = &mut self.stage {
            stage.people.insert(nick, presence);
        }
    }

    /// Somebody who meets is seen from here like this.
    pub(crate) fn show(&mut self, world: &mut World, nick: Box<str>, presence: Outgoing) {
        self.to_viewers(world, &presence);
        self.put_on_stage(nick, presence);
    }

    /// Somebody who met is gone.
    pub(crate) fn hide(&mut self, world: &mut World, nick: &str, presence: &Outgoing) {
        if self.stage.as_mut().and_then(|stage| stage.people.remove(nick)).is_some() {
            self.to_viewers(world, presence);
        }
    }

    /// Whether somebody who meets has this nick.
    pub(crate) fn shows_on_stage(&self, nick: &str) -> bool {
        self.stage.as_ref().is_some_and(|stage| stage.people.contains_key(nick))
    }

    /// All who meet.
    pub(crate) fn on_stage(&self) -> impl Iterator<Item = &Outgoing> {
        self.stage.iter().flat_map(|stage| stage.people.values())
    }

    /// The focus knows those who meet.
    fn to_viewers(&self, world: &mut World, stanza: &Outgoing) {
        let focus: Vec<SessionId> = self.focus_sessions().collect();
        for id in self.listeners.iter().filter(|id| !focus.contains(id)) {
            world.deliver(*id, stanza);
        }
    }

    fn focus_sessions(&self) -> impl Iterator<Item = SessionId> {
        self.occupant(FOCUS_NICK).into_iter().flat_map(|o| o.sessions.iter().map(|s| s.id))
    }

    /// Whether what this one does is the focus' business alone: it watches, and there are thousands who do.
    pub(super) fn is_unseen(&self, config: &Config, bare: &BareJid) -> bool {
        self.watches().is_some() && !config.admins.contains(bare)
    }

    /// Who is told of somebody.
    pub(super) fn told(&self, focus_alone: bool) -> impl Iterator<Item = SessionId> {
        let all = self.listeners.iter().copied().filter(move |_| !focus_alone);
        self.focus_sessions().filter(move |_| focus_alone).chain(all)
    }
}

/// Where those log in who watch from the rooms of this domain: what stands behind its first label.
pub(crate) fn of_viewers(rooms: &str) -> &str {
    rooms.split_once('.').map_or("", |(_, users)| users)
}
