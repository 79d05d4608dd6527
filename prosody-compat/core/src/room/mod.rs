//! One room: who is in it, who may do what, and what latecomers are told. Only state: the engine (`muc/`) changes it,
//! modules ask it and keep theirs in its slots.

pub(crate) mod audience;
pub(crate) mod beside;
pub(crate) mod breakouts;
pub(crate) mod form;
pub(crate) mod history;
pub(crate) mod rank;
pub(crate) mod said;
pub(crate) mod waiting;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use budget::Bucket;
use jitsi_xmpp::{BareJid, Element, FullJid, Sensitive};

use crate::config::Config;
use crate::identity::HostId;
use crate::kept::Share;
use crate::outbox::Outgoing;
use crate::policy::Policy;
use crate::session::{IdMap, SessionId};
use crate::slots::Slots;
use crate::tenants;
use crate::world::World;
use audience::{Audience, Stage};
use beside::{Kind, Lobby};
use history::History;
use rank::{Affiliation, Affiliations, Role};
use said::Said;
use waiting::Held;

/// One connection of an occupant.
#[derive(Clone)]
pub(crate) struct OccupantSession {
    pub(crate) id: SessionId,
    pub(crate) jid: FullJid,
}

/// Somebody in the room.
pub(crate) struct Occupant {
    pub(crate) nick: Box<str>,
    pub(crate) bare: BareJid,
    pub(crate) role: Role,
    /// Never empty; the last one is spoken to.
    pub(crate) sessions: Vec<OccupantSession>,
    /// The name that it shows.
    pub(crate) name: Option<Box<str>>,
    /// Its last full presence; a part of the bytes of `seen`.
    pub(crate) said: Said,
    /// What that counts for its address.
    pub(crate) share: Share,
    /// The same as others see it: what a newcomer gets.
    pub(crate) seen: Outgoing,
    /// The same as those see it who do not moderate, where that is less.
    pub(crate) masked: Option<Outgoing>,
}

impl Occupant {
    /// The name that it shows.
    pub(crate) fn display_name(&self) -> Option<String> {
        self.name.as_deref().map(str::to_owned)
    }

    /// Its presence as a newcomer gets it.
    pub(crate) fn seen_by(&self, moderator: bool) -> &Outgoing {
        self.masked.as_ref().filter(|_| !moderator).unwrap_or(&self.seen)
    }

    /// The session that is spoken to.
    pub(crate) fn primary(&self) -> Option<&OccupantSession> {
        self.sessions.last()
    }
}

/// What owners can change.
#[derive(Default)]
pub(crate) struct RoomConfig {
    pub(crate) password: Option<Sensitive<String>>,
    pub(crate) members_only: bool,
    pub(crate) name: Sensitive<String>,
    pub(crate) description: Sensitive<String>,
    pub(crate) anybody_changes_subject: bool,
    pub(crate) members_invite: bool,
}

/// The subject and where it came from.
pub(crate) struct Subject {
    pub(crate) text: Sensitive<Box<str>>,
    pub(crate) replayed: Outgoing,
}

impl Subject {
    /// As it is shown to who comes later.
    pub(crate) fn new(replayed: Element) -> Self {
        let text = replayed.child_named("subject").map(Element::text).unwrap_or_default();
        Self { text: Sensitive::new(text.into()), replayed: Outgoing::new(replayed) }
    }
}

/// A room.
pub(crate) struct Room {
    pub(crate) jid: BareJid,
    shown: String,
    /// Decides which modules it has.
    pub(crate) host: HostId,
    pub(crate) kind: Kind,
    /// Where strangers wait. `None`: there is none. Boxed: few have one.
    pub(crate) lobby: Option<Box<Lobby>>,
    /// From where it is watched. `None`: nobody does.
    pub(crate) audience: Option<Box<Audience>>,
    /// What is seen from here, if it is an audience.
    stage: Option<Box<Stage>>,
    pub(crate) policy: Arc<Policy>,
    /// Boxed: a map of one has places for eleven.
    occupants: BTreeMap<Box<str>, Box<Occupant>>,
    by_session: IdMap<SessionId, Box<str>>,
    /// All sessions in the order they came: who speaks to all reads this and nothing else of the others.
    listeners: Vec<SessionId>,
    affiliations: Affiliations,
    pub(crate) config: RoomConfig,
    pub(crate) subject: Option<Subject>,
    pub(crate) history: History,
    /// What occupants have said to all, beyond what is their own.
    pub(crate) pace: Bucket,
    /// Joins that wait for something.
    pub(crate) held: VecDeque<Held>,
    /// What modules remember of this room.
    pub(crate) slots: Slots,
}

impl Room {
    pub(crate) fn new(config: &Config, jid: BareJid, host: HostId, policy: Arc<Policy>) -> Self {
        Self {
            shown: tenants::shown(config, &jid),
            jid,
            host,
            kind: Kind::Meeting,
            lobby: None,
            audience: None,
            stage: None,
            policy,
            occupants: BTreeMap::new(),
            by_session: IdMap::default(),
            listeners: Vec::new(),
            affiliations: Affiliations::default(),
            config: RoomConfig::default(),
            subject: None,
            history: History::default(),
            pace: Bucket::full(),
            held: VecDeque::new(),
            slots: Slots::default(),
        }
    }

    /// The address as clients write it.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// Its name among those of its tenant.
    pub(crate) fn name(&self) -> &str {
        self.shown.split_once('@').map_or("", |(name, _)| name)
    }

    /// An occupant's address as clients write it.
    pub(crate) fn occupant_jid(&self, nick: &str) -> String {
        format!("{}/{nick}", self.shown)
    }

    /// Whether the focus only checks its own health here.
    pub(crate) fn is_health_check(&self) -> bool {
        self.jid.node().is_some_and(|n| n.starts_with(HEALTH_CHECK_PREFIX))
    }

    pub(crate) fn occupant(&self, nick: &str) -> Option<&Occupant> {
        self.occupants.get(nick).map(Box::as_ref)
    }

    pub(crate) fn occupant_mut(&mut self, nick: &str) -> Option<&mut Occupant> {
        self.occupants.get_mut(nick).map(Box::as_mut)
    }

    /// The occupant that this session is.
    pub(crate) fn occupant_of(&self, id: SessionId) -> Option<&Occupant> {
        self.occupant(self.by_session.get(&id)?)
    }

    pub(crate) fn occupants(&self) -> impl Iterator<Item = &Occupant> {
        self.occupants.values().map(Box::as_ref)
    }

    /// The nicks of one account.
    pub(crate) fn nicks_of(&self, bare: &BareJid) -> Vec<Box<str>> {
        self.occupants.values().filter(|o| o.bare == *bare).map(|o| o.nick.clone()).collect()
    }

    pub(crate) fn insert(&mut self, occupant: Occupant) {
        for s in &occupant.sessions {
            self.by_session.insert(s.id, occupant.nick.clone());
            self.listeners.push(s.id);
        }
        self.occupants.insert(occupant.nick.clone(), Box::new(occupant));
    }

    /// Adds a session to an occupant.
    pub(crate) fn add_session(&mut self, nick: &str, session: OccupantSession) {
        if let Some(o) = self.occupants.get_mut(nick) {
            self.by_session.insert(session.id, o.nick.clone());
            self.listeners.push(session.id);
            o.sessions.push(session);
        }
    }

    /// Removes a session of an occupant that has others.
    pub(crate) fn remove_session(&mut self, nick: &str, id: SessionId) {
        self.by_session.remove(&id);
        self.listeners.retain(|listener| *listener != id);
        if let Some(o) = self.occupants.get_mut(nick) {
            o.sessions.retain(|s| s.id != id);
        }
    }

    pub(crate) fn remove(&mut self, nick: &str) -> Option<Occupant> {
        let o = *self.occupants.remove(nick)?;
        for s in &o.sessions {
            self.by_session.remove(&s.id);
        }
        self.listeners.retain(|listener| o.sessions.iter().all(|s| s.id != *listener));
        Some(o)
    }

    pub(crate) fn len(&self) -> usize {
        self.occupants.len()
    }

    /// An account's affiliation; the roles' accounts own every room.
    pub(crate) fn affiliation(&self, config: &Config, bare: &BareJid) -> Affiliation {
        if config.admins.contains(bare) {
            return Affiliation::Owner;
        }
        self.affiliations.of(bare)
    }

    /// Sets an affiliation; `false` if no more can be kept.
    pub(crate) fn affiliate(&mut self, bare: &BareJid, affiliation: Affiliation, most: usize) -> bool {
        self.affiliations.set(bare, affiliation, most)
    }

    /// The affiliations that were set.
    pub(crate) fn affiliations(&self) -> &Affiliations {
        &self.affiliations
    }

    /// Whether this session is here and moderates.
    pub(crate) fn is_moderator(&self, id: SessionId) -> bool {
        self.occupant_of(id).is_some_and(|o| o.role.is_moderator())
    }

    /// Sends one stanza to everybody; serialised once.
    pub(crate) fn broadcast(&self, world: &mut World, stanza: &Outgoing) {
        for id in &self.listeners {
            world.deliver(*id, stanza);
        }
    }

    /// The same, to everybody but this occupant, of whom it is; `masked` to those who do not moderate, if there is one.
    pub(crate) fn tell_others(
        &self,
        world: &mut World,
        occupant: &Occupant,
        stanza: &Outgoing,
        masked: Option<&Outgoing>,
    ) {
        for id in self.told(self.is_unseen(&world.config, &occupant.bare)) {
            if occupant.sessions.iter().all(|s| s.id != id)
                && self.reaches(id, |reader| self.shows(&world.config, reader, &occupant.bare))
            {
                let masked = masked.filter(|_| !self.is_moderator(id));
                world.deliver(id, masked.unwrap_or(stanza));
            }
        }
    }

    /// Sends to everybody what this account says.
    pub(crate) fn say(&self, world: &mut World, from: &BareJid, stanza: &Outgoing) {
        for id in &self.listeners {
            if self.reaches(*id, |reader| self.carries(&world.config, reader, from)) {
                world.deliver(*id, stanza);
            }
        }
    }

    /// Tells those who may have seen somebody that it is gone.
    pub(crate) fn tell_of_going(&self, world: &mut World, gone: &BareJid, stanza: &Outgoing) {
        for id in self.told(self.is_unseen(&world.config, gone)) {
            if self.reaches(id, |reader| self.shows_going(&world.config, reader)) {
                world.deliver(id, stanza);
            }
        }
    }
}

/// Rooms of this name are the focus' health check.
pub(crate) const HEALTH_CHECK_PREFIX: &str = "__jicofo-health-check";

/// The focus' nick in every room; clients tell the focus by it.
pub(crate) const FOCUS_NICK: &str = "focus";

/// Whose sources the bridge's own are, in the focus' offers.
pub(crate) const BRIDGE_NICK: &str = "jvb";
