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

/// The budgets. By address and by address and account: the machine itself has none of these (see `service::proxies`).
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
        let stranger = network.is_none_or(|n| !self.known.get(&account).is_some_and(|k| k.contains(&n)));
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
        if let Some(network) = attempt.network {
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
