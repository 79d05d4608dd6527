//! Token buckets by key, for peers that come and go without notice: a key, a moment and an amount in; yes or no out.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use crate::{Bucket, Rate};

/// A bucket for each key, and one for all of them together.
///
/// At most `most` keys are kept; buckets that are full again are forgotten first, as that changes nothing. When there
/// is no room even then, all further keys share one bucket of the size of one: a flood from very many keys then costs
/// newcomers, but neither memory nor those who are known.
#[derive(Debug)]
pub struct Buckets<K> {
    each: Rate,
    total: Rate,
    most: usize,
    by_key: HashMap<K, Bucket>,
    all: Bucket,
    rest: Bucket,
    /// Not before this moment is it worth looking for full buckets again.
    sweep_at: Option<Instant>,
}

impl<K: Hash + Eq> Buckets<K> {
    /// `each` for one key, `total` for all keys together, `most` keys kept (some 48 bytes each, and the key).
    pub fn new(each: Rate, total: Rate, most: usize) -> Self {
        Self {
            each,
            total,
            most,
            by_key: HashMap::new(),
            all: Bucket::full(),
            rest: Bucket::full(),
            sweep_at: None,
        }
    }

    /// Takes `amount` from the key's bucket and from the total, or nothing from either.
    #[must_use]
    pub fn take(&mut self, key: K, now: Instant, amount: u32) -> bool {
        if !self.all.has(&self.total, now, amount) {
            return false;
        }
        let taken = match self.by_key.get_mut(&key) {
            Some(bucket) => bucket.take(&self.each, now, amount),
            None => {
                self.make_room(now);
                if self.by_key.len() < self.most {
                    let mut bucket = Bucket::full();
                    let taken = bucket.take(&self.each, now, amount);
                    if taken {
                        self.by_key.insert(key, bucket);
                    }
                    taken
                } else {
                    self.rest.take(&self.each, now, amount)
                }
            }
        };
        taken && self.all.take(&self.total, now, amount)
    }

    /// Takes `amount` from the key's bucket and from the total even if it is not there, and says how long to wait
    /// ([`Bucket::reserve`]).
    #[must_use]
    pub fn reserve(&mut self, key: K, now: Instant, amount: u32) -> Duration {
        self.make_room(now);
        let own = if self.by_key.len() < self.most || self.by_key.contains_key(&key) {
            self.by_key.entry(key).or_default().reserve(&self.each, now, amount)
        } else {
            self.rest.reserve(&self.each, now, amount)
        };
        own.max(self.all.reserve(&self.total, now, amount))
    }

    /// Gives back what was taken and not used.
    pub fn give_back(&mut self, key: &K, amount: u32) {
        self.by_key.get_mut(key).unwrap_or(&mut self.rest).give_back(&self.each, amount);
        self.all.give_back(&self.total, amount);
    }

    /// Whether [`Buckets::take`] would succeed.
    pub fn has(&self, key: &K, now: Instant, amount: u32) -> bool {
        let own = match self.by_key.get(key) {
            Some(bucket) => bucket.has(&self.each, now, amount),
            None if self.by_key.len() < self.most => amount <= self.each.burst(),
            None => self.rest.has(&self.each, now, amount),
        };
        own && self.all.has(&self.total, now, amount)
    }

    /// How many keys are kept.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether no key is kept.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// Forgets full buckets when the table is full; at most once per time in which one bucket can fill by one.
    fn make_room(&mut self, now: Instant) {
        if self.by_key.len() < self.most || self.sweep_at.is_some_and(|at| now < at) {
            return;
        }
        self.by_key.retain(|_, bucket| !bucket.is_full(now));
        let mut one = Bucket::full();
        let _ = one.take(&self.each, now, 1);
        self.sweep_at = Some(now + one.wait(&self.each, now, self.each.burst()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(most: usize) -> Buckets<u32> {
        Buckets::new(Rate::per_second(2, 1), Rate::per_second(100, 100), most)
    }

    #[test]
    fn one_key_does_not_use_up_another() {
        let now = Instant::now();
        let mut b = buckets(10);
        assert!(b.take(1, now, 2));
        assert!(!b.take(1, now, 1));
        assert!(b.take(2, now, 2));
    }

    #[test]
    fn the_total_holds_for_all_and_its_refusal_costs_the_key_nothing() {
        let now = Instant::now();
        let mut b = Buckets::new(Rate::per_second(2, 1), Rate::per_second(3, 1), 10);
        assert!(b.take(1, now, 2));
        assert!(!b.take(2, now, 2));
        assert!(b.take(2, now, 1));
        assert!(!b.take(3, now, 1));
        assert!(b.take(2, now + Duration::from_secs(1), 1));
    }

    #[test]
    fn keys_beyond_the_bound_share_one_bucket_and_the_known_keep_theirs() {
        let now = Instant::now();
        let mut b = buckets(2);
        assert!(b.take(1, now, 1) && b.take(2, now, 1));
        assert!(b.take(3, now, 1) && b.take(4, now, 1));
        assert!(!b.take(5, now, 1));
        assert!(b.take(1, now, 1));
        assert_eq!(b.len(), 2);
    }

    #[test]
    fn full_buckets_make_room() {
        let now = Instant::now();
        let mut b = buckets(2);
        assert!(b.take(1, now, 2) && b.take(2, now, 1));
        let later = now + Duration::from_secs(1);
        assert!(b.take(3, later, 2));
        assert_eq!(b.len(), 2);
        assert!(!b.take(1, later, 2), "this one was not full yet");
    }

    #[test]
    fn reserving_gives_each_key_its_own_turn_and_giving_back_shortens_the_line() {
        let now = Instant::now();
        let mut b = buckets(1);
        assert_eq!(b.reserve(1, now, 2), Duration::ZERO);
        assert_eq!(b.reserve(1, now, 1), Duration::from_secs(1));
        b.give_back(&1, 1);
        assert_eq!(b.reserve(1, now, 1), Duration::from_secs(1));
        assert_eq!((b.reserve(2, now, 2), b.reserve(3, now, 1)), (Duration::ZERO, Duration::from_secs(1)));
        assert_eq!(b.len(), 1);
    }

    #[test]
    fn asking_takes_nothing() {
        let now = Instant::now();
        let mut b = buckets(1);
        assert!(b.has(&1, now, 2) && b.has(&1, now, 2));
        assert!(!b.has(&1, now, 3));
        assert!(b.take(1, now, 2));
        assert!(!b.has(&1, now, 1) && b.has(&2, now, 1));
    }
}
