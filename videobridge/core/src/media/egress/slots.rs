//! SSRC slots of one receiver: sources it should be able to get in; which outgoing stream carries which source out.
//!
//! A client in SSRC rewriting mode sees a bounded number of SSRCs, whatever the size of the conference. Slots are
//! created when needed and given to another source when all are in use, least recently used first. When the owner of a
//! source leaves, its slot goes and with it its SSRCs: the client has thrown away all it knew about them.

use std::collections::VecDeque;
use std::time::Instant;

use jitsi_xmpp::Entropy;
use jitsi_xmpp::ids::{MediaType, Ssrc};

use super::numbers::{FIRST_RTX, Numbers, first};
use super::stream::Stream;
use crate::media::ids::{MemberIx, SourceRef, SourceUid, StreamIx, Table};
use crate::media::limits::MAX_SSRCS_PER_RECEIVER;

/// The slots of one medium.
#[derive(Debug)]
pub(crate) struct Slots {
    media: MediaType,
    limit: usize,
    slots: Vec<Slot>,
}

#[derive(Debug)]
struct Slot {
    /// Among the receiver's streams.
    stream: StreamIx,
    /// Whose it is, and the source's own SSRC. A source that comes back gets its slot back.
    owner: MemberIx,
    ssrc: Ssrc,
}

/// A source that is to have a slot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim {
    /// Which.
    pub(crate) source: SourceRef,
    /// The owner's index.
    pub(crate) owner: MemberIx,
    /// Its first SSRC as the owner sends it.
    pub(crate) ssrc: Ssrc,
}

/// The SSRCs a receiver's slots are made of.
#[derive(Debug)]
pub(crate) struct Supply {
    pub(crate) streams: Table<StreamIx, Stream>,
    pub(crate) numbers: Numbers,
    /// Of slots whose owners left, oldest first.
    left: [VecDeque<(Ssrc, Option<Ssrc>)>; 2],
    made: usize,
}

impl Slots {
    pub(crate) fn new(media: MediaType, limit: usize) -> Self {
        Self { media, limit, slots: Vec::new() }
    }

    /// The slot that carries a source.
    pub(crate) fn of(&self, streams: &Table<StreamIx, Stream>, source: SourceUid) -> Option<StreamIx> {
        let carries =
            |i: &StreamIx| streams.get(*i).is_some_and(|s| s.source.is_some_and(|s| s.uid == source));
        self.iter().find(carries)
    }

    /// Gives a source a slot. `keep` says which sources must not lose theirs. Returns the stream and whether the
    /// assignment is new; `None` when every slot is to be kept.
    pub(crate) fn assign(
        &mut self,
        now: Instant,
        supply: &mut Supply,
        claim: Claim,
        entropy: &mut dyn Entropy,
        keep: impl Fn(SourceUid) -> bool,
    ) -> Option<(StreamIx, bool)> {
        if let Some(slot) = self.of(&supply.streams, claim.source.uid) {
            return Some((slot, false));
        }
        let streams = &supply.streams;
        let source = |slot: &Slot| streams.get(slot.stream).and_then(|s| s.source);
        let own = |s: &Slot| s.owner == claim.owner && s.ssrc == claim.ssrc && source(s).is_none();
        let at = match self.slots.iter().position(own) {
            Some(at) => at,
            None if self.slots.len() < self.limit => {
                let stream = supply.make(self.media, entropy)?;
                self.slots.push(Slot { stream, owner: claim.owner, ssrc: claim.ssrc });
                self.slots.len() - 1
            }
            None => {
                let kept = |s: &Slot| source(s).is_some_and(|s| keep(s.uid));
                let old = self.slots.iter().enumerate().filter(|(_, s)| !kept(s));
                old.min_by_key(|(_, s)| streams.get(s.stream).and_then(|s| s.last_used))?.0
            }
        };
        let slot = self.slots.get_mut(at)?;
        (slot.owner, slot.ssrc) = (claim.owner, claim.ssrc);
        let stream = supply.streams.get_mut(slot.stream)?;
        stream.source = Some(claim.source);
        stream.announced = false;
        stream.last_used = stream.last_used.or(Some(now)).filter(|_| stream.totals().is_some());
        Some((slot.stream, true))
    }

    /// Streams of all slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = StreamIx> + '_ {
        self.slots.iter().map(|s| s.stream)
    }

    /// Takes the slots of somebody who left. Returns their streams.
    pub(crate) fn take_of(&mut self, owner: MemberIx) -> impl Iterator<Item = StreamIx> + '_ {
        self.slots.extract_if(.., move |s| s.owner == owner).map(|s| s.stream)
    }
}

impl Supply {
    pub(crate) fn new() -> Self {
        Self { streams: Table::new(), numbers: Numbers::new(), left: Default::default(), made: 0 }
    }

    /// A stream with SSRCs the receiver has never seen; when all it may see are used up, with those that were given up
    /// first.
    fn make(&mut self, media: MediaType, entropy: &mut dyn Entropy) -> Option<StreamIx> {
        let video = media == MediaType::Video;
        let needed = if video { 2 } else { 1 };
        let (ssrc, rtx) = if self.made + needed <= MAX_SSRCS_PER_RECEIVER {
            self.made += needed;
            let rtx = video.then(|| self.fresh_ssrc(entropy, None));
            (self.fresh_ssrc(entropy, rtx), rtx)
        } else {
            self.left_of(media)?.pop_front()?
        };
        let rtx = rtx.map(|rtx| self.numbers.begin(rtx, FIRST_RTX));
        let at = self.numbers.begin(ssrc, first(entropy));
        Some(self.streams.insert(Stream::new(media, at, rtx)))
    }

    /// The slot's owner left: its SSRCs are not used as long as there are others.
    pub(crate) fn give_up(&mut self, stream: StreamIx) -> Option<Stream> {
        let stream = self.streams.try_remove(stream)?;
        stream.end().for_each(|at| self.numbers.end(at));
        if let Some(left) = self.left_of(stream.media) {
            left.push_back((stream.ssrc, stream.rtx_ssrc()));
        }
        Some(stream)
    }

    fn left_of(&mut self, media: MediaType) -> Option<&mut VecDeque<(Ssrc, Option<Ssrc>)>> {
        self.left.get_mut(usize::from(media == MediaType::Video))
    }

    fn fresh_ssrc(&self, entropy: &mut dyn Entropy, not: Option<Ssrc>) -> Ssrc {
        loop {
            let ssrc = Ssrc(entropy.u32());
            let used = self.numbers.knows(ssrc) || self.streams.iter().any(|(_, s)| s.uses(ssrc));
            if ssrc.0 != 0 && Some(ssrc) != not && !used {
                return ssrc;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use jitsi_xmpp::entropy::SeededEntropy;

    use super::*;
    use crate::media::ids::SourceIx;

    fn setup(limit: usize) -> (Slots, Supply, SeededEntropy) {
        (Slots::new(MediaType::Video, limit), Supply::new(), SeededEntropy::new(1))
    }

    fn source(uid: u64) -> SourceRef {
        SourceRef { uid: SourceUid(uid), at: SourceIx(0) }
    }

    fn claim(uid: u64) -> Claim {
        Claim { source: source(uid), owner: MemberIx(uid as usize), ssrc: Ssrc(5) }
    }

    #[test]
    fn slots_are_bounded_and_the_least_recently_used_is_given_away() {
        let (mut slots, mut supply, mut random) = setup(3);
        let now = Instant::now();
        for source in 0..3 {
            let (slot, new) = slots.assign(now, &mut supply, claim(source), &mut random, |_| false).unwrap();
            assert!(new);
            supply.streams[slot].last_used = Some(now + std::time::Duration::from_secs(10 - source));
        }
        let of_oldest = slots.of(&supply.streams, SourceUid(2)).unwrap();
        let (slot, _) = slots.assign(now, &mut supply, claim(9), &mut random, |_| false).unwrap();
        assert_eq!((slot, supply.streams.len()), (of_oldest, 3));
        assert_eq!(slots.of(&supply.streams, SourceUid(2)), None);
        assert_eq!(slots.assign(now, &mut supply, claim(9), &mut random, |_| false), Some((slot, false)));
        assert_eq!(
            slots.assign(now, &mut supply, claim(8), &mut random, |_| true),
            None,
            "all are to be kept"
        );
    }

    #[test]
    fn ssrcs_are_distinct() {
        let (mut slots, mut supply, mut random) = setup(50);
        for source in 0..50 {
            slots.assign(Instant::now(), &mut supply, claim(source), &mut random, |_| false);
        }
        let mut all: Vec<Ssrc> =
            supply.streams.iter().flat_map(|(_, s)| [s.ssrc, s.rtx_ssrc().unwrap()]).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 100);
    }

    #[test]
    fn who_leaves_takes_the_ssrcs_along_until_no_others_are_left() {
        let (mut slots, mut supply, mut random) = setup(3);
        let mut visit = |n: usize| {
            let claim = claim(n as u64);
            let now = Instant::now();
            let (slot, _) = slots.assign(now, &mut supply, claim, &mut random, |_| false).unwrap();
            let ssrc = supply.streams[slot].ssrc;
            let left: Vec<StreamIx> = slots.take_of(claim.owner).collect();
            assert_eq!(left, [slot]);
            supply.give_up(slot);
            ssrc
        };
        let ssrcs: Vec<Ssrc> = (0..MAX_SSRCS_PER_RECEIVER / 2).map(&mut visit).collect();
        let distinct: HashSet<&Ssrc> = ssrcs.iter().collect();
        assert_eq!(distinct.len(), ssrcs.len(), "at the limit");
        assert_eq!(visit(9_999), ssrcs[0], "one beyond");
        assert_eq!(visit(9_998), ssrcs[1]);
    }

    #[test]
    fn a_source_that_comes_back_while_its_owner_stays_gets_its_slot_back() {
        let (mut slots, mut supply, mut random) = setup(3);
        let now = Instant::now();
        let mut assign = |uid, ssrc| {
            let claim = Claim { source: source(uid), owner: MemberIx(4), ssrc: Ssrc(ssrc) };
            let (slot, _) = slots.assign(now, &mut supply, claim, &mut random, |_| false).unwrap();
            supply.streams[slot].source = None;
            slot
        };
        let camera = assign(1, 70);
        let screen = assign(2, 80);
        assert_ne!(camera, screen, "not while there are free ones");
        assert_eq!((assign(3, 70), assign(4, 80)), (camera, screen));
    }
}
