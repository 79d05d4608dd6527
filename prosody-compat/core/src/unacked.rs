//! Unacknowledged stanzas by address: what sessions' queues weigh in; whether they have to be looked at out.
//!
//! Queues share content: what one broadcast left in two hundred of them is in memory once. To know that, all of them have to be
//! looked at; so they are counted in full as they grow, and looked at only when that reaches the share.

use std::collections::HashMap;

use budget::{Network, fair_share};

use crate::limits::Limits;

/// See the module.
#[derive(Debug)]
pub(crate) struct Unacked {
    each: usize,
    total: usize,
    /// At most so much is in memory, of all.
    held: usize,
    by_network: HashMap<Network, Held>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Held {
    /// All queues, counted in full.
    in_full: usize,
    /// What the last look found, and what has been added since.
    most: usize,
}

impl Unacked {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            each: limits.max_unacked_per_address,
            total: limits.max_unacked_in_all,
            held: 0,
            by_network: HashMap::new(),
        }
    }

    /// A queue of `network` weighs `after` and no longer `before`. `true`: look at all of its queues.
    #[must_use]
    pub(crate) fn changed(&mut self, network: Network, before: usize, after: usize) -> bool {
        let held = self.by_network.entry(network).or_default();
        held.in_full = (held.in_full + after).saturating_sub(before);
        let most = (held.most + after.saturating_sub(before)).min(held.in_full);
        self.is(network, most);
        most > self.share(most)
    }

    /// A look found that the queues of `network` hold `real` bytes. `true`: some have to go, and then it is looked again.
    #[must_use]
    pub(crate) fn found(&mut self, network: Network, real: usize) -> bool {
        self.is(network, real);
        // Not to the brim, or the next stanza would be the next look.
        real > self.share(real) / 4 * 3
    }

    fn is(&mut self, network: Network, most: usize) {
        let Some(held) = self.by_network.get_mut(&network) else { return };
        self.held = (self.held + most).saturating_sub(held.most);
        held.most = most;
        if held.in_full == 0 {
            self.held -= held.most;
            self.by_network.remove(&network);
        }
    }

    /// What somebody may hold who holds `own`.
    fn share(&self, own: usize) -> usize {
        let others = self.held.saturating_sub(own);
        fair_share(self.each, self.total, self.total.saturating_sub(others))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unacked() -> Unacked {
        Unacked::new(&Limits { max_unacked_per_address: 100, max_unacked_in_all: 1_000, ..Limits::default() })
    }

    fn network(n: u8) -> Network {
        Network::of([192, 0, 2, n].into())
    }

    #[test]
    fn an_address_is_looked_at_beyond_its_share_and_not_at_it() {
        let mut u = unacked();
        assert!(!u.changed(network(1), 0, 60) && !u.changed(network(1), 0, 40));
        assert!(u.changed(network(1), 40, 41));
        assert!(!u.changed(network(2), 0, 100), "others have theirs");
    }

    #[test]
    fn what_is_shared_gives_room_until_as_much_has_come_again() {
        let mut u = unacked();
        assert!(u.changed(network(1), 0, 101));
        assert!(!u.found(network(1), 20), "the same in all queues");
        assert!(!u.changed(network(1), 101, 181));
        assert!(u.changed(network(1), 181, 182));
        assert!(u.found(network(1), 76), "nothing is shared: some have to go");
        assert!(!u.changed(network(1), 182, 50) && !u.found(network(1), 50));
    }

    #[test]
    fn what_went_is_forgotten_and_the_total_holds() {
        let mut u = unacked();
        assert!(!u.changed(network(1), 0, 80) && !u.changed(network(1), 80, 0));
        assert!(u.by_network.is_empty() && u.held == 0);
        let looked = (0..20u8).position(|n| u.changed(network(n), 0, 90)).unwrap();
        assert_eq!(looked, 6, "beyond half there is less for each");
        assert!((20..=255u8).all(|n| !u.changed(network(n), 0, 1)), "somebody with little is left alone");
    }
}
