//! Who is in a conference, in which order and how many: members as they come, change and go in; who has to be looked
//! at, the numbers and the deadlines out. All of it costs as much as there are members that something happened to.

use jitsi_xmpp::ids::EndpointId;

use super::member::{Counted, Media, Member};
use super::{Conference, Phase};
use crate::timers::{Timer, Timers};
use crate::turn::Turn;

/// How many members are what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    members: usize,
    participants: usize,
    audio: usize,
    video: usize,
    pub(super) viewers: usize,
}

impl Numbers {
    fn add(&mut self, c: Counted) {
        self.members += usize::from(c.member);
        self.participants += usize::from(c.participant);
        self.audio += usize::from(c.audio);
        self.video += usize::from(c.video);
        self.viewers += usize::from(c.viewer);
    }

    fn subtract(&mut self, c: Counted) {
        self.members -= usize::from(c.member);
        self.participants -= usize::from(c.participant);
        self.audio -= usize::from(c.audio);
        self.video -= usize::from(c.video);
        self.viewers -= usize::from(c.viewer);
    }
}

impl Conference {
    /// A member to be changed; it is looked at when the conference settles.
    pub(crate) fn member_mut(&mut self, id: &EndpointId) -> Option<&mut Member> {
        let m = self.members.get_mut(id)?;
        self.dirty.insert(m.seq);
        Some(m)
    }

    /// A member to be looked at, whether or not it changed.
    pub(crate) fn touch(&mut self, id: &EndpointId) {
        self.member_mut(id);
    }

    pub(crate) fn touch_all(&mut self) {
        self.dirty.extend(self.order.keys());
    }

    /// All members but the focus, in the order in which they came.
    pub(crate) fn by_arrival(&self) -> Vec<EndpointId> {
        self.order.values().cloned().collect()
    }

    pub(crate) fn dirty_members(&self) -> Vec<EndpointId> {
        self.dirty.iter().filter_map(|seq| self.order.get(seq)).cloned().collect()
    }

    /// Takes a member out.
    pub(super) fn remove_member(&mut self, turn: &mut Turn<'_>, id: &EndpointId) {
        let Some(mut m) = self.members.remove(id) else { return };
        self.order.remove(&m.seq);
        self.dirty.remove(&m.seq);
        self.numbers.subtract(m.counted);
        turn.timers.arm(&mut m.armed, None, || Timer::Member(self.room.clone(), id.clone()));
        self.sources.forget(id);
        if m.watches {
            self.viewer_left(&m.codecs);
        }
    }

    /// Takes all members out.
    pub(super) fn remove_all(&mut self, turn: &mut Turn<'_>) {
        self.disarm(turn.timers);
        self.members.clear();
        self.order.clear();
        self.dirty.clear();
        self.numbers = Numbers::default();
    }

    /// Takes every deadline of this conference out of the table.
    pub(crate) fn disarm(&mut self, timers: &mut Timers) {
        let room = &self.room;
        for m in self.members.values_mut() {
            let id = &m.id;
            timers.arm(&mut m.armed, None, || Timer::Member(room.clone(), id.clone()));
        }
        timers.arm(&mut self.armed, None, || Timer::Room(room.clone()));
    }

    /// Brings the numbers up to date.
    pub(super) fn count_dirty(&mut self) {
        for id in self.dirty.iter().filter_map(|seq| self.order.get(seq)) {
            if let Some(m) = self.members.get_mut(id) {
                self.numbers.subtract(m.counted);
                m.counted = m.counts_as();
                self.numbers.add(m.counted);
            }
        }
    }

    /// Members that count for starting media.
    pub(crate) const fn member_count(&self) -> usize {
        self.numbers.members
    }

    /// Members with a media session or one on its way.
    pub(crate) const fn participant_count(&self) -> usize {
        self.numbers.participants
    }

    /// Members whose presence says that they send audio, and video.
    pub(crate) const fn senders(&self) -> (usize, usize) {
        (self.numbers.audio, self.numbers.video)
    }

    /// The how many-th participant it is, by arrival: the first is 1. Who came later does not count, and who came before
    /// and is about to be invited does, so several who come at once are told apart.
    pub(super) fn place(&self, id: &EndpointId) -> usize {
        let Some(m) = self.members.get(id) else { return 0 };
        let before = self.order.range(..m.seq).filter_map(|(_, id)| self.members.get(id));
        1 + before.filter(|m| m.counts() && !matches!(m.media, Media::Ended)).count()
    }

    /// When there are enough members for media for the first time (again), all of them are looked at.
    pub(super) fn look_at_number(&mut self, turn: &Turn<'_>) {
        // Who watches wants to see also one who speaks alone.
        let all = self.member_count() + self.viewer_count();
        let enough = self.member_count() > 0 && all >= turn.config.min_participants;
        if enough && !self.was_enough {
            self.touch_all();
        }
        self.was_enough = enough;
    }

    pub(super) const fn is_enough(&self) -> bool {
        self.was_enough
    }

    /// Puts the deadlines of the conference and of the members that were looked at into the table.
    pub(super) fn arm(&mut self, turn: &mut Turn<'_>) {
        let room = &self.room;
        let running = self.phase == Phase::Running;
        for id in std::mem::take(&mut self.dirty).iter().filter_map(|seq| self.order.get(seq)) {
            if let Some(m) = self.members.get_mut(id) {
                let at = if running { m.poll_timeout() } else { None };
                turn.timers.arm(&mut m.armed, at, || Timer::Member(room.clone(), id.clone()));
            }
        }
        let at = self.own_deadline();
        turn.timers.arm(&mut self.armed, at, || Timer::Room(room.clone()));
    }
}
