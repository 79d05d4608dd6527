//! Shares of something finite: who takes and gives back in; who holds how much out.

use std::collections::HashMap;
use std::hash::Hash;

/// Why nothing was handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// This key holds its share already.
    Each,
    /// All of it is handed out.
    Total,
}

/// A table or queue of which each key may hold so much, and all together so much.
///
/// With [`Shares::fair`] everybody's share shrinks when more than half is handed out, with the square of what is left. Whoever
/// holds most is then the first to get nothing more, nobody loses what it has, and a newcomer finds something until
/// very many hold something.
#[derive(Debug)]
pub struct Shares<K> {
    each: usize,
    total: usize,
    fair: bool,
    held: usize,
    by_key: HashMap<K, usize>,
}

impl<K: Hash + Eq> Shares<K> {
    /// At most `each` for one key and `total` for all. Memory: as many keys as hold something, so at most `total`.
    pub fn new(each: usize, total: usize) -> Self {
        Self { each, total, fair: false, held: 0, by_key: HashMap::new() }
    }

    /// The same, but from half of the total on there is ever less for one key.
    pub fn fair(each: usize, total: usize) -> Self {
        Self { fair: true, ..Self::new(each, total) }
    }

    /// Takes `amount` for `key`, or nothing.
    ///
    /// # Errors
    /// [`Refused`] says whose share is used up. Taking nothing always works.
    pub fn take(&mut self, key: K, amount: usize) -> Result<(), Refused> {
        if amount == 0 {
            return Ok(());
        }
        let own = self.held_by(&key);
        self.may(own, amount)?;
        self.held += amount;
        self.by_key.insert(key, own + amount);
        Ok(())
    }

    /// Whether [`Shares::take`] would succeed.
    pub fn has(&self, key: &K, amount: usize) -> bool {
        amount == 0 || self.may(self.held_by(key), amount).is_ok()
    }

    /// Whether somebody who holds `own` may have `amount` more.
    fn may(&self, own: usize, amount: usize) -> Result<(), Refused> {
        let left = self.total.saturating_sub(self.held);
        if amount > self.each.saturating_sub(own) {
            return Err(Refused::Each);
        }
        if amount > left {
            return Err(Refused::Total);
        }
        if self.fair && amount > fair_share(self.each, self.total, left).saturating_sub(own) {
            return Err(Refused::Each);
        }
        Ok(())
    }

    /// Gives `amount` back, or what the key holds if that is less.
    pub fn give_back(&mut self, key: &K, amount: usize) {
        let Some(own) = self.by_key.get_mut(key) else { return };
        let amount = amount.min(*own);
        *own -= amount;
        self.held -= amount;
        if *own == 0 {
            self.by_key.remove(key);
        }
    }

    /// Gives back all that the key holds.
    pub fn forget(&mut self, key: &K) {
        if let Some(own) = self.by_key.remove(key) {
            self.held -= own;
        }
    }

    /// What this key holds.
    pub fn held_by(&self, key: &K) -> usize {
        self.by_key.get(key).copied().unwrap_or(0)
    }

    /// What all hold together.
    pub const fn held(&self) -> usize {
        self.held
    }
}

/// What one may have of `total` when so much of it is left: `each` up to half, then less with the square of what is left.
pub fn fair_share(each: usize, total: usize, left: usize) -> usize {
    let (twice, total) = (left as u128 * 2, total as u128);
    if twice >= total {
        return each;
    }
    let share = (each as u128 * twice * twice).checked_div(total * total).unwrap_or(0);
    usize::try_from(share).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_gets_its_share_and_not_one_more() {
        let mut s = Shares::new(2, 10);
        assert_eq!((s.take('a', 1), s.take('a', 1)), (Ok(()), Ok(())));
        assert!(!s.has(&'a', 1) && s.has(&'a', 0) && s.has(&'b', 2) && !s.has(&'b', 3));
        assert_eq!(s.take('a', 1), Err(Refused::Each));
        assert_eq!(s.take('b', 2), Ok(()));
    }

    #[test]
    fn all_together_get_the_total_and_not_one_more() {
        let mut s = Shares::new(2, 3);
        assert_eq!((s.take('a', 2), s.take('b', 1)), (Ok(()), Ok(())));
        assert_eq!(s.take('c', 1), Err(Refused::Total));
        s.give_back(&'a', 1);
        assert_eq!(s.take('c', 1), Ok(()));
    }

    #[test]
    fn who_comes_new_gets_a_part_until_very_many_hold_something() {
        let mut s = Shares::fair(400, 4_000);
        let all = |s: &mut Shares<u32>, key| std::iter::from_fn(|| s.take(key, 1).ok()).count();
        // As long as there is plenty, it is as without fairness.
        assert!((0..5).all(|key| all(&mut s, key) == 400));
        assert!((5..10).map(|key| all(&mut s, key)).is_sorted_by(|a, b| a > b));
        // Ten hold all that they can get. Somebody new comes in with a class, and so does the next.
        assert!(all(&mut s, 10) > 60 && all(&mut s, 11) > 60);
        s.forget(&9);
        assert_eq!(s.take(0, 1), Err(Refused::Each), "what becomes free is not for those who have most");
        let last = (12..4_000).find(|key| all(&mut s, *key) == 0).unwrap();
        assert!(last > 150, "{last} addresses took everything");
        assert_eq!((s.held(), s.take(5_000, 1)), (4_000, Err(Refused::Total)));
    }

    #[test]
    fn a_fair_share_is_the_whole_one_up_to_half_and_not_one_more_then() {
        let mut s = Shares::fair(4, 10);
        assert_eq!((s.take('a', 4), s.take('b', 1)), (Ok(()), Ok(())));
        assert_eq!(s.take('b', 3), Ok(()), "half is left");
        // Two left: 4 * (4/10)², but one at least.
        assert_eq!((s.take('c', 2), s.take('c', 1)), (Err(Refused::Each), Ok(())));
        assert_eq!((s.take('d', 1), s.take('e', 1)), (Ok(()), Err(Refused::Total)));
    }

    #[test]
    fn giving_back_more_than_held_creates_nothing() {
        let mut s = Shares::new(2, 4);
        assert_eq!((s.take('a', 1), s.take('b', 2)), (Ok(()), Ok(())));
        s.give_back(&'a', 9);
        s.give_back(&'a', 9);
        s.give_back(&'x', 1);
        assert_eq!(s.held(), 2);
        s.forget(&'b');
        s.forget(&'b');
        assert_eq!((s.held(), s.by_key.len()), (0, 0));
    }

    #[test]
    fn absurd_amounts_do_not_overflow() {
        let mut s = Shares::new(usize::MAX, usize::MAX);
        assert_eq!(s.take('a', usize::MAX), Ok(()));
        assert_eq!(s.take('a', 1), Err(Refused::Each));
        assert_eq!(s.take('b', 1), Err(Refused::Total));
    }
}
