//! Which breakout rooms each meeting has, and who is on the way between them (xmpp-server §4.4): rooms that moderators open and
//! close, and people who leave one for another, in; whether a room is one, and who may come in, out.
//!
//! A room is there for people before it is a room of the server: that is made when the first one asks the focus for it.

use std::collections::{BTreeMap, HashMap};

use jitsi_xmpp::BareJid;

use crate::kept::Share;
use crate::session::SessionId;

/// Those of all meetings.
#[derive(Default)]
pub(crate) struct Breakouts {
    by_meeting: HashMap<BareJid, Parts>,
    meeting_of: HashMap<BareJid, BareJid>,
}

/// Those of one.
#[derive(Default)]
pub(crate) struct Parts {
    rooms: BTreeMap<BareJid, Part>,
    /// How many there have ever been; clients number new ones by it.
    pub(crate) counter: u64,
    /// Who has left one room for another, with the nick that it keeps. Sessions that are gone do not count.
    switching: HashMap<SessionId, Box<str>>,
    /// How many people the last list named.
    pub(crate) people: usize,
}

/// One room.
pub(crate) struct Part {
    pub(crate) name: Box<str>,
    /// What it counts for the address of who named it last. Held, not looked at.
    pub(crate) _share: Share,
}

impl Breakouts {
    /// Those of a meeting. `None`: it never had one.
    pub(crate) fn of(&self, meeting: &BareJid) -> Option<&Parts> {
        self.by_meeting.get(meeting)
    }

    pub(crate) fn of_mut(&mut self, meeting: &BareJid) -> Option<&mut Parts> {
        self.by_meeting.get_mut(meeting)
    }

    /// The meeting of which this is a breakout room.
    pub(crate) fn meeting_of(&self, room: &BareJid) -> Option<&BareJid> {
        self.meeting_of.get(room)
    }

    /// One more.
    pub(crate) fn add(&mut self, meeting: &BareJid, room: BareJid, part: Part) {
        self.meeting_of.insert(room.clone(), meeting.clone());
        let parts = self.by_meeting.entry(meeting.clone()).or_default();
        parts.counter += 1;
        parts.rooms.insert(room, part);
    }

    /// As if there were some, or none, for a suite.
    #[cfg(feature = "test-observer")]
    pub(crate) fn pretend(&mut self, meeting: &BareJid, active: bool) {
        if active {
            self.by_meeting.entry(meeting.clone()).or_default();
        } else {
            self.end(meeting);
        }
    }

    /// One less; whether there was one.
    pub(crate) fn remove(&mut self, meeting: &BareJid, room: &BareJid) -> bool {
        let parts = self.by_meeting.get_mut(meeting);
        let found = parts.is_some_and(|parts| parts.rooms.remove(room).is_some());
        if found {
            self.meeting_of.remove(room);
        }
        found
    }

    /// The meeting is over: its rooms.
    pub(crate) fn end(&mut self, meeting: &BareJid) -> Vec<BareJid> {
        let parts = self.by_meeting.remove(meeting).unwrap_or_default();
        for room in parts.rooms.keys() {
            self.meeting_of.remove(room);
        }
        parts.rooms.into_keys().collect()
    }
}

impl Parts {
    pub(crate) fn rooms(&self) -> impl Iterator<Item = (&BareJid, &Part)> {
        self.rooms.iter()
    }

    pub(crate) fn room_mut(&mut self, room: &BareJid) -> Option<&mut Part> {
        self.rooms.get_mut(room)
    }

    pub(crate) fn has(&self, room: &BareJid) -> bool {
        self.rooms.contains_key(room)
    }

    pub(crate) fn len(&self) -> usize {
        self.rooms.len()
    }

    /// Somebody leaves a room and will come into another.
    pub(crate) fn leaves(&mut self, id: SessionId, nick: &str, is_there: impl Fn(SessionId) -> bool) {
        self.switching.retain(|id, _| is_there(*id));
        self.switching.insert(id, nick.into());
    }

    pub(crate) fn arrived(&mut self, id: SessionId) {
        self.switching.remove(&id);
    }

    /// Whether it has left one room for another.
    pub(crate) fn is_switching(&self, id: SessionId) -> bool {
        self.switching.contains_key(&id)
    }

    /// For whom a nick is kept.
    pub(crate) fn keeping<'a>(&'a self, nick: &'a str) -> impl Iterator<Item = SessionId> + 'a {
        self.switching.iter().filter(move |(_, kept)| ***kept == *nick).map(|(id, _)| *id)
    }
}
