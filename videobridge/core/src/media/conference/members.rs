//! Who takes part: endpoints by key and by place in; which of them have to be allocated anew out.

use std::time::Duration;

use foldhash::{HashMap, HashMapExt as _};

use smallvec::SmallVec;

use super::member::Member;
use crate::media::EndpointKey;
use crate::media::ids::{MemberIx, Table};

/// The endpoints of a conference.
#[derive(Debug)]
pub(super) struct Members {
    places: HashMap<EndpointKey, MemberIx>,
    table: Table<MemberIx, Member>,
    /// Those that are other bridges.
    relays: SmallVec<[MemberIx; 2]>,
    /// Whether somebody's allocation is out of date.
    unsettled: bool,
}

impl Members {
    pub(super) fn new() -> Self {
        Self { places: HashMap::new(), table: Table::new(), relays: SmallVec::new(), unsettled: false }
    }

    pub(super) fn add(&mut self, member: Member) -> MemberIx {
        let (key, has_key) = (member.key, member.behind_relay().is_none());
        let is_relay = member.as_relay().is_some();
        let index = self.table.insert(member);
        if has_key {
            self.places.insert(key, index);
        }
        if is_relay {
            self.relays.push(index);
        }
        self.touch(index);
        index
    }

    /// Nobody is at this place any more; another one may be later.
    pub(super) fn remove(&mut self, index: MemberIx) {
        if let Some(member) = self.table.try_remove(index) {
            if member.behind_relay().is_none() {
                self.places.remove(&member.key);
            }
            self.relays.retain(|at| *at != index);
        }
    }

    /// The relays.
    pub(super) fn relays(&self) -> &[MemberIx] {
        &self.relays
    }

    /// Over whose transport a sender's packets come: its own, or its relay's.
    pub(super) fn carrier(&self, sender: MemberIx) -> Option<MemberIx> {
        Some(self.get(sender)?.behind_relay().unwrap_or(sender))
    }

    /// The round-trip time to a sender, as far as the next bridge.
    pub(super) fn rtt(&self, sender: MemberIx) -> Option<Duration> {
        self.get(self.carrier(sender)?)?.egress.rtt
    }

    /// Whether what `sender` sends goes on to `relay`: never back into the mesh that it came from.
    pub(super) fn passes_on(&self, sender: MemberIx, relay: MemberIx) -> bool {
        let mesh = |at| self.get(at).and_then(Member::as_relay).map(|relay| relay.mesh.as_deref());
        match self.get(sender).map(Member::behind_relay) {
            None => false,
            Some(None) => true,
            Some(Some(from)) => from != relay && mesh(from) != mesh(relay),
        }
    }

    pub(super) fn find(&self, key: EndpointKey) -> Option<MemberIx> {
        self.places.get(&key).copied()
    }

    pub(super) fn by_key(&self, key: EndpointKey) -> Option<&Member> {
        self.get(self.find(key)?)
    }

    pub(super) fn by_key_mut(&mut self, key: EndpointKey) -> Option<&mut Member> {
        self.get_mut(self.find(key)?)
    }

    pub(super) fn get(&self, index: MemberIx) -> Option<&Member> {
        self.table.get(index)
    }

    pub(super) fn get_mut(&mut self, index: MemberIx) -> Option<&mut Member> {
        self.table.get_mut(index)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (MemberIx, &Member)> + Clone {
        self.table.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (MemberIx, &mut Member)> {
        self.table.iter_mut()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Marks a receiver's allocation as out of date.
    pub(super) fn touch(&mut self, index: MemberIx) {
        // A source of somebody who is not allocated anything may be new, too.
        if let Some(member) = self.table.get_mut(index) {
            member.stale = member.is_local();
            self.unsettled = true;
        }
    }

    /// Marks everybody's.
    pub(super) fn touch_all(&mut self) {
        self.table.iter_mut().filter(|(_, m)| m.is_local()).for_each(|(_, m)| m.stale = true);
        self.unsettled = true;
    }

    /// Whether somebody's is.
    pub(super) fn is_unsettled(&self) -> bool {
        self.unsettled
    }

    /// What is out of date is about to be brought up to date; `more` will be left.
    pub(super) fn settling(&mut self, more: bool) {
        self.unsettled = more;
    }
}

#[cfg(test)]
impl std::ops::Index<MemberIx> for Members {
    type Output = Member;

    fn index(&self, index: MemberIx) -> &Member {
        &self.table[index]
    }
}
