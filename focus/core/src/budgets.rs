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
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Budgets {
    accounts: Buckets<BareJid>,
    networks: Buckets<Network>,
    /// Rooms in which nobody meets yet, by who opened them.
    by_account: Shares<BareJid>,
    by_network: Shares<Network>,
    senders: Buckets<Jid>,
}

impl Default for Budgets {
    fn default() -> Self {
        let all = limits::REQUESTS;
        Self {
            accounts: Buckets::new(limits::REQUESTS_PER_ACCOUNT, all, limits::REQUEST_ASKERS),
            networks: Buckets::new(limits::REQUESTS_PER_NETWORK, all, limits::REQUEST_ASKERS),
            by_account: Shares::fair(limits::ROOMS_PER_ACCOUNT, limits::LONELY_ROOMS),
            by_network: Shares::fair(limits::ROOMS_PER_NETWORK, limits::LONELY_ROOMS),
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
        }
    }

    /// Whether somebody may open one more room; if so, it counts as theirs until [`Budgets::close`].
    pub(crate) fn open(&mut self, asker: &Asker) -> bool {
        match asker {
            Asker::Account(account) => self.by_account.take(account.clone(), 1).is_ok(),
            Asker::Network(network) => self.by_network.take(*network, 1).is_ok(),
        }
    }

    /// Two meet in it, or it is over.
    pub(crate) fn close(&mut self, asker: &Asker) {
        match asker {
            Asker::Account(account) => self.by_account.give_back(account, 1),
            Asker::Network(network) => self.by_network.give_back(network, 1),
        }
    }

    /// Whether a request of `from` is still within its budget.
    pub(crate) fn may_request(&mut self, now: Instant, from: &Jid) -> bool {
        self.senders.take(from.clone(), now, 1)
    }
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
        let share = limits::ROOMS_PER_NETWORK;
        let half = limits::LONELY_ROOMS / 2;
        assert!((0..half / share).all(|n| opened(&mut b, &network(n), share) == share));
        let greedy: usize = (half / share..20).map(|n| opened(&mut b, &network(n), share)).sum();
        assert_eq!(opened(&mut b, &network(0), 1), 0);
        assert_eq!(opened(&mut b, &network(1_000), 30), 30, "a class of somebody new");
        let all: usize = (2_000..9_000).map(|n| opened(&mut b, &network(n), 1)).sum();
        assert_eq!(half + greedy + 30 + all, limits::LONELY_ROOMS);
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
    }

    #[test]
    fn all_together_have_their_budgets_and_not_one_more() {
        let mut b = Budgets::default();
        let now = Instant::now();
        let most = limits::REQUESTS.burst() as usize;
        assert_eq!((0..=most).filter(|n| b.may_ask(now, &network(*n))).count(), most);
        let most = limits::IQS_OF_ALL.burst() as usize;
        let senders = most / 100;
        let ask = |b: &mut Budgets, n: usize| {
            b.may_request(now, &format!("r@muc.x/{}", n % senders).parse().unwrap())
        };
        assert_eq!((0..=most).filter(|n| ask(&mut b, *n)).count(), most);
    }

    #[test]
    fn so_many_who_ask_are_told_apart_and_further_ones_share() {
        let mut b = Budgets::default();
        let now = Instant::now();
        for n in 0..limits::IQ_SENDERS {
            assert!(b.may_request(now, &format!("r@muc.x/{n}").parse().unwrap()));
        }
        let burst = limits::IQS_PER_SENDER.burst() as usize;
        let further =
            |b: &mut Budgets, n: usize| b.may_request(now, &format!("s@muc.x/{n}").parse().unwrap());
        assert_eq!((0..=burst).filter(|n| further(&mut b, *n)).count(), burst);
        assert_eq!((b.senders.len(), b.accounts.len()), (limits::IQ_SENDERS, 0));
        // Those who ask for conferences are remembered up to a number as well.
        for n in 0..limits::REQUEST_ASKERS {
            assert!(b.accounts.take(format!("a{n}@x").parse().unwrap(), now, 1));
        }
        let late = Instant::now();
        assert!(late >= now && b.accounts.len() == limits::REQUEST_ASKERS);
        let _ = b.accounts.take("b@x".parse().unwrap(), now, 1);
        assert_eq!(b.accounts.len(), limits::REQUEST_ASKERS);
    }
}
