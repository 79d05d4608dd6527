//! Who takes part: endpoints by key and by place in; which of them have to be allocated anew out.

use foldhash::{HashMap, HashMapExt as _};

use super::member::Member;
use crate::media::EndpointKey;
use crate::media::ids::{MemberIx, Table};

/// The endpoints of a conference.
#[derive(Debug)]
pub(super) struct Members {
    places: HashMap<EndpointKey, MemberIx>,
    table: Table<MemberIx, Member>,
    /// Whether somebody's allocation is out of date.
    unsettled: bool,
}

impl Members {
    pub(super) fn new() -> Self {
        Self { places: HashMap::new(), table: Table::new(), unsettled: false }
    }

    pub(super) fn add(&mut self, member: Member) -> MemberIx {
        let key = member.key;
        let index = self.table.insert(member);
        self.places.insert(key, index);
        self.touch(index);
        index
    }

    /// Nobody is at this place any more; another one may be later.
    pub(super) fn remove(&mut self, index: MemberIx) {
        if let Some(member) = self.table.try_remove(index) {
            self.places.remove(&member.key);
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
        if let Some(member) = self.table.get_mut(index) {
            member.stale = true;
            self.unsettled = true;
        }
    }

    /// Marks everybody's.
    pub(super) fn touch_all(&mut self) {
        self.table.iter_mut().for_each(|(_, m)| m.stale = true);
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
