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
#[derive(Debug)]
pub struct Shares<K> {
    each: usize,
    total: usize,
    held: usize,
    by_key: HashMap<K, usize>,
}

impl<K: Hash + Eq> Shares<K> {
    /// At most `each` for one key and `total` for all. Memory: as many keys as hold something, so at most `total`.
    pub fn new(each: usize, total: usize) -> Self {
        Self { each, total, held: 0, by_key: HashMap::new() }
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
        if amount > self.each.saturating_sub(own) {
            return Err(Refused::Each);
        }
        if amount > self.total.saturating_sub(self.held) {
            return Err(Refused::Total);
        }
        self.held += amount;
        self.by_key.insert(key, own + amount);
        Ok(())
    }

    /// Whether [`Shares::take`] would succeed.
    pub fn has(&self, key: &K, amount: usize) -> bool {
        amount == 0
            || (amount <= self.each.saturating_sub(self.held_by(key))
                && amount <= self.total.saturating_sub(self.held))
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
