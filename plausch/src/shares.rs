//! Somebody's network and an amount in; a part of something finite out, which is given back when it is dropped.

use std::sync::{Arc, Mutex, PoisonError};

use budget::{Network, Shares};

/// Something of which each address may have so much, and ever less when it gets scarce.
#[derive(Debug, Clone)]
pub(crate) struct Pool(Arc<Mutex<Shares<Network>>>);

impl Pool {
    pub(crate) fn new(each: usize, total: usize) -> Self {
        Self(Arc::new(Mutex::new(Shares::fair(each, total))))
    }

    /// `None`: the address has all it may have, or nothing is left.
    pub(crate) fn take(&self, network: Network, amount: usize) -> Option<Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(network, amount).ok()?;
        Some(Held { pool: self.clone(), network, amount })
    }

    /// What all have together.
    pub(crate) fn held(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).held()
    }
}

/// A part that somebody has.
#[derive(Debug)]
pub(crate) struct Held {
    pool: Pool,
    network: Network,
    amount: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut shares = self.pool.0.lock().unwrap_or_else(PoisonError::into_inner);
        shares.give_back(&self.network, self.amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_given_back() {
        let pool = Pool::new(2, 8);
        let network = Network::of("192.0.2.1".parse().unwrap());
        let first = pool.take(network, 2).unwrap();
        assert!(pool.take(network, 1).is_none());
        drop(first);
        assert!(pool.take(network, 1).is_some());
        assert_eq!(pool.held(), 0);
    }
}
