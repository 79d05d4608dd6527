//! The ways between the parts of a conference: names that both ends know in; the conference here, and the shard at the other end, out.

use hashbrown::HashMap;
use slab::Slab;

use crate::command::ConferenceKey;
use crate::media::EndpointKey;

/// Names a part of a conference on the shard that has its home and on the one that has the part; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PartKey {
    pub(crate) home: u16,
    pub(crate) number: u64,
}

/// One end of a way.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    pub(crate) part: PartKey,
    /// Where it leads.
    pub(crate) shard: u16,
    pub(crate) conference: ConferenceKey,
    /// At the home: how many people are, or are about to be, at the other end.
    pub(crate) people: usize,
}

/// All ways of a shard. Bounded by its conferences, each of which has one to each other shard at most.
#[derive(Debug, Default)]
pub(crate) struct Ways {
    slab: Slab<Way>,
    by_part: HashMap<PartKey, EndpointKey, foldhash::quality::RandomState>,
}

impl Ways {
    pub(crate) fn is_empty(&self) -> bool {
        self.slab.is_empty() && self.by_part.is_empty()
    }

    /// Its key is none that an endpoint can have.
    pub(crate) fn add(&mut self, way: Way) -> EndpointKey {
        let part = way.part;
        let key = EndpointKey(WAY | u32::try_from(self.slab.insert(way)).unwrap_or(!WAY));
        self.by_part.insert(part, key);
        key
    }

    pub(crate) fn find(&self, part: PartKey) -> Option<EndpointKey> {
        self.by_part.get(&part).copied()
    }

    pub(crate) fn get(&self, key: EndpointKey) -> Option<&Way> {
        self.slab.get(index(key)?)
    }

    pub(crate) fn get_mut(&mut self, key: EndpointKey) -> Option<&mut Way> {
        self.slab.get_mut(index(key)?)
    }

    pub(crate) fn remove(&mut self, key: EndpointKey) -> Option<Way> {
        let way = self.slab.try_remove(index(key)?)?;
        self.by_part.remove(&way.part);
        Some(way)
    }

    /// Those of one conference.
    pub(crate) fn of(&self, conference: ConferenceKey) -> Vec<EndpointKey> {
        let of = self.slab.iter().filter(|(_, way)| way.conference == conference);
        of.filter_map(|(at, _)| Some(EndpointKey(WAY | u32::try_from(at).ok()?))).collect()
    }
}

fn index(key: EndpointKey) -> Option<usize> {
    (key.0 & WAY != 0).then_some((key.0 & !WAY) as usize)
}

/// Set in the keys of ways: a shard never has that many endpoints.
const WAY: u32 = 1 << 31;
const _: () = assert!(crate::limits::MAX_ENDPOINTS < WAY as usize);
