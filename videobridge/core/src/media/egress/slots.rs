//! SSRC slots of one receiver: sources it should be able to get in; which outgoing stream carries which source out.
//!
//! A client in SSRC rewriting mode sees a bounded number of SSRCs, whatever the size of the conference. Slots are
//! created when needed and given to another source when all are in use, least recently used first.

use std::time::Instant;

use jitsi_xmpp::Entropy;
use jitsi_xmpp::ids::MediaType;
use slab::Slab;

use super::stream::Stream;

/// The slots of one medium.
#[derive(Debug)]
pub(crate) struct Slots {
    media: MediaType,
    limit: usize,
    /// Indices into the receiver's streams.
    streams: Vec<usize>,
}

impl Slots {
    pub(crate) fn new(media: MediaType, limit: usize) -> Self {
        Self { media, limit, streams: Vec::new() }
    }

    /// The slot that carries a source.
    pub(crate) fn of(&self, streams: &Slab<Stream>, source: u64) -> Option<usize> {
        let carries =
            |i: &usize| streams.get(*i).is_some_and(|s| s.source.is_some_and(|(uid, _)| uid == source));
        self.streams.iter().copied().find(carries)
    }

    /// Gives `source` a slot. `keep` says which sources must not lose theirs. Returns the stream and whether the
    /// assignment is new; `None` when every slot is to be kept.
    pub(crate) fn assign(
        &mut self,
        now: Instant,
        streams: &mut Slab<Stream>,
        source: (u64, usize),
        entropy: &mut dyn Entropy,
        keep: impl Fn(u64) -> bool,
    ) -> Option<(usize, bool)> {
        if let Some(slot) = self.of(streams, source.0) {
            return Some((slot, false));
        }
        let kept = |i: usize| streams.get(i).is_some_and(|s| s.source.is_some_and(|(uid, _)| keep(uid)));
        let free = self.streams.iter().copied().find(|i| streams.get(*i).is_some_and(|s| s.source.is_none()));
        let slot = match free {
            Some(slot) => slot,
            None if self.streams.len() < self.limit => {
                let rtx = (self.media == MediaType::Video).then(|| fresh_ssrc(streams, entropy, 0));
                let ssrc = fresh_ssrc(streams, entropy, rtx.unwrap_or(0));
                let slot = streams.insert(Stream::new(self.media, ssrc, rtx, entropy.u32() as u16));
                self.streams.push(slot);
                slot
            }
            None => {
                let old = self.streams.iter().copied().filter(|i| !kept(*i));
                old.min_by_key(|i| streams.get(*i).and_then(|s| s.last_used))?
            }
        };
        let stream = streams.get_mut(slot)?;
        stream.source = Some(source);
        stream.announced = false;
        stream.last_used = stream.last_used.or(Some(now)).filter(|_| stream.totals().is_some());
        Some((slot, true))
    }

    /// Streams of all slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.streams.iter().copied()
    }
}

/// An SSRC this receiver has no stream with.
fn fresh_ssrc(streams: &Slab<Stream>, entropy: &mut dyn Entropy, not: u32) -> u32 {
    loop {
        let ssrc = entropy.u32();
        let used = |s: &Stream| s.ssrc == ssrc || s.rtx == Some(ssrc);
        if ssrc != 0 && ssrc != not && !streams.iter().any(|(_, s)| used(s)) {
            return ssrc;
        }
    }
}

#[cfg(test)]
mod tests {
    use jitsi_xmpp::entropy::SeededEntropy;

    use super::*;

    fn setup(limit: usize) -> (Slots, Slab<Stream>, SeededEntropy) {
        (Slots::new(MediaType::Video, limit), Slab::new(), SeededEntropy::new(1))
    }

    #[test]
    fn slots_are_bounded_and_the_least_recently_used_is_given_away() {
        let (mut slots, mut streams, mut random) = setup(3);
        let now = Instant::now();
        for source in 0..3 {
            let (slot, new) = slots.assign(now, &mut streams, (source, 0), &mut random, |_| false).unwrap();
            assert!(new);
            streams[slot].last_used = Some(now + std::time::Duration::from_secs(10 - source));
        }
        let of_oldest = slots.of(&streams, 2).unwrap();
        let (slot, _) = slots.assign(now, &mut streams, (9, 0), &mut random, |_| false).unwrap();
        assert_eq!((slot, streams.len()), (of_oldest, 3));
        assert_eq!(slots.of(&streams, 2), None);
        assert_eq!(slots.assign(now, &mut streams, (9, 0), &mut random, |_| false), Some((slot, false)));
        assert_eq!(
            slots.assign(now, &mut streams, (8, 0), &mut random, |_| true),
            None,
            "all are to be kept"
        );
    }

    #[test]
    fn ssrcs_are_distinct() {
        let (mut slots, mut streams, mut random) = setup(50);
        for source in 0..50 {
            slots.assign(Instant::now(), &mut streams, (source, 0), &mut random, |_| false);
        }
        let mut all: Vec<u32> = streams.iter().flat_map(|(_, s)| [s.ssrc, s.rtx.unwrap()]).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 100);
    }
}
