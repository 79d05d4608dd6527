//! Budgets: who asks for conferences and who sends requests, and when, in; yes or no out. So one stranger's flood costs
//! that stranger.

use std::time::Instant;

use budget::{Buckets, Network, Shares};
use jitsi_xmpp::{BareJid, Jid};

use crate::limits;

/// Who asked for a conference, as budgets see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asker {
    /// Over XMPP.
    Account(BareJid),
    /// Over HTTP, which has no account.
    Network(Network),
    /// Over HTTP by way of a web server that does not say for whom. Only the totals hold.
    Unknown,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Budgets {
    accounts: Buckets<BareJid>,
    networks: Buckets<Network>,
    /// Rooms in which nobody meets yet, by who opened them.
    by_account: Shares<BareJid>,
    by_network: Shares<Network>,
    unknown: Shares<()>,
    senders: Buckets<Jid>,
}

impl Default for Budgets {
    fn default() -> Self {
        let all = limits::REQUESTS;
        Self {
            accounts: Buckets::new(limits::REQUESTS_PER_ACCOUNT, all, limits::REQUEST_ASKERS),
            networks: Buckets::new(limits::REQUESTS_PER_NETWORK, all, limits::REQUEST_ASKERS),
            by_account: Shares::new(limits::ROOMS_PER_ACCOUNT, limits::LONELY_ROOMS),
            by_network: Shares::new(limits::ROOMS_PER_NETWORK, limits::LONELY_ROOMS),
            unknown: Shares::new(limits::LONELY_ROOMS, limits::LONELY_ROOMS),
            senders: Buckets::new(limits::IQS_PER_SENDER, limits::IQS_OF_ALL, limits::IQ_SENDERS),
        }
    }
}

impl Budgets {
    /// Whether somebody may ask for a conference now.
    pub(crate) fn may_ask(&mut self, now: Instant, asker: &Asker) -> bool {
        match asker {
            Asker::Account(account) => self.accounts.take(account.clone(), now, 1),
            Asker::Network(network) => self.networks.take(*network, now, 1),
            Asker::Unknown => true,
        }
    }

    /// Whether somebody may open one more room; if so, it counts as theirs until [`Budgets::close`].
    pub(crate) fn open(&mut self, asker: &Asker) -> bool {
        match asker {
            Asker::Account(account) => open(&mut self.by_account, account.clone(), limits::ROOMS_PER_ACCOUNT),
            Asker::Network(network) => open(&mut self.by_network, *network, limits::ROOMS_PER_NETWORK),
            Asker::Unknown => self.unknown.take((), 1).is_ok(),
        }
    }

    /// Two meet in it, or it is over.
    pub(crate) fn close(&mut self, asker: &Asker) {
        match asker {
            Asker::Account(account) => self.by_account.give_back(account, 1),
            Asker::Network(network) => self.by_network.give_back(network, 1),
            Asker::Unknown => self.unknown.give_back(&(), 1),
        }
    }

    /// Whether a request of `from` is still within its budget.
    pub(crate) fn may_request(&mut self, now: Instant, from: &Jid) -> bool {
        self.senders.take(from.clone(), now, 1)
    }
}

/// When many rooms stand empty, a flood is likely: then each may have few, so that there are some for everybody.
fn open<K: std::hash::Hash + Eq + Clone>(shares: &mut Shares<K>, key: K, each: usize) -> bool {
    let scarce = shares.held() >= limits::LONELY_ROOMS / 2;
    if scarce && shares.held_by(&key) >= (each / 10).max(1) {
        return false;
    }
    shares.take(key, 1).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(n: usize) -> Asker {
        Asker::Network(Network::of(format!("2001:db8:{n:x}::1").parse().unwrap()))
    }

    fn opened(b: &mut Budgets, asker: &Asker, n: usize) -> usize {
        (0..n).filter(|_| b.open(asker)).count()
    }

    #[test]
    fn a_network_opens_its_share_and_not_one_more() {
        let mut b = Budgets::default();
        let share = limits::ROOMS_PER_NETWORK;
        assert_eq!(opened(&mut b, &network(1), share + 1), share);
        assert_eq!(opened(&mut b, &network(2), 1), 1);
        b.close(&network(1));
        assert_eq!(opened(&mut b, &network(1), 2), 1);
    }

    #[test]
    fn an_account_opens_its_share_and_not_one_more() {
        let mut b = Budgets::default();
        let account = Asker::Account("a@x".parse().unwrap());
        assert_eq!(opened(&mut b, &account, limits::ROOMS_PER_ACCOUNT + 1), limits::ROOMS_PER_ACCOUNT);
    }

    #[test]
    fn when_rooms_get_scarce_everybody_gets_few_and_the_total_holds() {
        let mut b = Budgets::default();
        let half = limits::LONELY_ROOMS / 2;
        let greedy = half / limits::ROOMS_PER_NETWORK;
        let all: usize = (0..greedy).map(|n| opened(&mut b, &network(n), limits::ROOMS_PER_NETWORK)).sum();
        assert_eq!(all, half);
        assert_eq!(opened(&mut b, &network(0), 1), 0);
        let few = limits::ROOMS_PER_NETWORK / 10;
        assert_eq!(opened(&mut b, &network(1_000), few + 1), few);
        let rest = limits::LONELY_ROOMS - half - few;
        let all: usize = (2_000..2_100).map(|n| opened(&mut b, &network(n), few)).sum();
        assert_eq!(all, rest);
    }

    #[test]
    fn a_sender_has_its_budget_of_requests_and_not_one_more() {
        let mut b = Budgets::default();
        let (now, from) = (Instant::now(), "r@muc.x/a".parse().unwrap());
        let burst = limits::IQS_PER_SENDER.burst();
        assert_eq!((0..=burst).filter(|_| b.may_request(now, &from)).count(), burst as usize);
        assert!(b.may_request(now, &"r@muc.x/b".parse().unwrap()));
    }

    #[test]
    fn a_network_and_an_account_have_their_budget_of_conference_requests_and_not_one_more() {
        let mut b = Budgets::default();
        let now = Instant::now();
        let asked =
            |b: &mut Budgets, who: &Asker, n: u32| (0..n).filter(|_| b.may_ask(now, who)).count() as u32;
        let burst = limits::REQUESTS_PER_NETWORK.burst();
        assert_eq!(asked(&mut b, &network(1), burst + 1), burst);
        let burst = limits::REQUESTS_PER_ACCOUNT.burst();
        assert_eq!(asked(&mut b, &Asker::Account("a@x".parse().unwrap()), burst + 1), burst);
        assert_eq!(asked(&mut b, &Asker::Unknown, 5_000), 5_000, "nobody is told apart there");
    }
}
