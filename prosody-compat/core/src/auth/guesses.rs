//! How often passwords may be tried: who tries which account in; at once, or how much later, out.
//!
//! Nobody is locked out. What is beyond a budget waits for its turn, and whoever waits holds a connection, of which
//! there are so many by address; so every wait ends. A login that succeeds gives back what it took, and so does one that
//! is given up while it waits. An account's owner who comes from where it has been before does not stand in line with
//! strangers.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use budget::{Buckets, Network, Rate};

use crate::limits::guesses;

/// One password that is tried; to be given back unless it turns out wrong.
#[derive(Debug)]
pub(crate) struct Attempt {
    network: Option<Network>,
    account: Box<str>,
    stranger: bool,
}

/// The budgets. Nobody is known to come from the machine itself: anybody may, by way of a web server that names nobody.
#[derive(Debug)]
pub(crate) struct Guesses {
    by_network: Buckets<Network>,
    by_both: Buckets<(Network, Box<str>)>,
    /// For those who have not logged in to the account from where they are.
    by_account: Buckets<Box<str>>,
    /// Where accounts have logged in from, the last ones. As many as there are accounts.
    known: HashMap<Box<str>, VecDeque<Network>>,
}

impl Default for Guesses {
    fn default() -> Self {
        let buckets = guesses::MOST_KEYS;
        Self {
            by_network: Buckets::new(guesses::BY_ADDRESS, UNLIMITED, buckets),
            by_both: Buckets::new(guesses::BY_ADDRESS_AND_ACCOUNT, UNLIMITED, buckets),
            by_account: Buckets::new(guesses::BY_ACCOUNT, UNLIMITED, buckets),
            known: HashMap::new(),
        }
    }
}

impl Guesses {
    /// Somebody tries a password of `account`; it may be looked at after the time returned.
    pub(crate) fn ask(
        &mut self,
        now: Instant,
        network: Option<Network>,
        account: &str,
    ) -> (Attempt, Duration) {
        let account = key(account);
        let home = network.filter(|n| !n.is_loopback());
        let stranger = home.is_none_or(|n| !self.known.get(&account).is_some_and(|k| k.contains(&n)));
        let mut wait = Duration::ZERO;
        if let Some(network) = network {
            wait = self.by_network.reserve(network, now, 1);
            wait = wait.max(self.by_both.reserve((network, account.clone()), now, 1));
        }
        if stranger {
            wait = wait.max(self.by_account.reserve(account.clone(), now, 1));
        }
        (Attempt { network, account, stranger }, wait)
    }

    /// The password was right.
    pub(crate) fn right(&mut self, attempt: Attempt) {
        if let Some(network) = attempt.network.filter(|n| !n.is_loopback()) {
            let known = self.known.entry(attempt.account.clone()).or_default();
            known.retain(|n| *n != network);
            known.push_back(network);
            if known.len() > guesses::KNOWN_ADDRESSES {
                known.pop_front();
            }
        }
        self.unused(attempt);
    }

    /// The password was not looked at.
    pub(crate) fn unused(&mut self, attempt: Attempt) {
        if let Some(network) = attempt.network {
            self.by_network.give_back(&network, 1);
            self.by_both.give_back(&(network, attempt.account.clone()), 1);
        }
        if attempt.stranger {
            self.by_account.give_back(&attempt.account, 1);
        }
    }
}

/// Names of any length are tried, so only the beginning is kept. Real accounts that have that in common share a budget.
fn key(account: &str) -> Box<str> {
    let end = account.floor_char_boundary(guesses::NAME_BYTES);
    account.get(..end).unwrap_or_default().into()
}

/// There is no total: it would let a few addresses make everybody wait. Connections are bounded instead.
const UNLIMITED: Rate = Rate::per_second(u32::MAX, u32::MAX);

#[cfg(test)]
mod tests {
    use super::*;

    fn network(n: usize) -> Option<Network> {
        Some(Network::of(std::net::Ipv4Addr::from_bits(0x0a00_0000 + n as u32).into()))
    }

    /// How many of `n` passwords are looked at at once.
    fn at_once(n: u32, mut ask: impl FnMut(u32) -> Duration) -> u32 {
        (0..n).filter(|n| ask(*n).is_zero()).count() as u32
    }

    #[test]
    fn each_budget_lets_its_burst_through_at_once_and_not_one_more() {
        let now = Instant::now();
        let mut g = Guesses::default();
        let most = guesses::BY_ADDRESS_AND_ACCOUNT.burst();
        assert_eq!(at_once(most + 1, |_| g.ask(now, network(1), "anna").1), most);
        let mut g = Guesses::default();
        let most = guesses::BY_ADDRESS.burst();
        assert_eq!(at_once(most + 1, |n| g.ask(now, network(1), &format!("a{n}")).1), most);
        let mut g = Guesses::default();
        let most = guesses::BY_ACCOUNT.burst();
        assert_eq!(at_once(most + 1, |n| g.ask(now, network(n as usize), "anna").1), most);
    }

    #[test]
    fn so_many_addresses_and_accounts_are_told_apart() {
        let now = Instant::now();
        let mut g = Guesses::default();
        for n in 0..=guesses::MOST_KEYS {
            let _ = g.ask(now, network(n), &format!("a{n}"));
        }
        for kept in [g.by_network.len(), g.by_both.len(), g.by_account.len()] {
            assert_eq!(kept, guesses::MOST_KEYS);
        }
    }

    #[test]
    fn an_account_is_known_from_its_last_addresses_and_never_from_the_machine_itself() {
        let now = Instant::now();
        let mut g = Guesses::default();
        let log_in = |g: &mut Guesses, from| {
            let (attempt, _) = g.ask(now, from, "anna");
            let stranger = attempt.stranger;
            g.right(attempt);
            stranger
        };
        for n in 0..=guesses::KNOWN_ADDRESSES {
            assert!(log_in(&mut g, network(n)), "{n}");
        }
        assert!(!log_in(&mut g, network(1)), "one of the last");
        assert!(log_in(&mut g, network(0)), "one before them");
        let machine = Some(Network::of([127, 0, 0, 1].into()));
        assert!(log_in(&mut g, machine) && log_in(&mut g, machine));
    }

    #[test]
    fn names_are_looked_at_up_to_a_length() {
        let long = "x".repeat(guesses::NAME_BYTES);
        assert_eq!(key(&long), long.clone().into());
        assert_eq!(key(&format!("{long}y")), long.into());
        assert_eq!(key(&"é".repeat(guesses::NAME_BYTES)).len(), guesses::NAME_BYTES);
    }
}
