//! Whose datagram is this: addresses, our ICE user names and the ids of our own checks in, an endpoint out.
//!
//! Only authenticated messages get an address into the table. A *claim* is a request with the endpoint's
//! password: it may be replayed from a forged address, so it never takes an address from an endpoint that uses
//! it. A *proof* is an answered check: it does.

use std::collections::VecDeque;

use hashbrown::HashMap;
use smallvec::SmallVec;

use crate::demux::Transaction;
use crate::limits;
use crate::media::EndpointKey;
use crate::transport::Path;

/// The tables of a shard.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    paths: HashMap<Path, EndpointKey, foldhash::quality::RandomState>,
    ufrags: HashMap<String, EndpointKey, foldhash::quality::RandomState>,
    checks: HashMap<Transaction, (EndpointKey, Path), foldhash::quality::RandomState>,
    /// The order of `checks`, oldest first.
    check_order: VecDeque<Transaction>,
}

/// The addresses of one endpoint, oldest first; kept in the endpoint.
pub(crate) type Bound = SmallVec<[Path; 4]>;

/// What binding an address changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Binding {
    /// It was bound to this endpoint before.
    Known,
    /// It is bound now; `from` had it before, `released` had to go to stay within the limit.
    New { from: Option<EndpointKey>, released: Option<Path> },
    /// Another endpoint uses it.
    Refused,
}

impl Addresses {
    /// Who sends from this address.
    pub(crate) fn owner(&self, path: Path) -> Option<EndpointKey> {
        self.paths.get(&path).copied()
    }

    /// Whose user name this is.
    pub(crate) fn ufrag_owner(&self, ufrag: &str) -> Option<EndpointKey> {
        self.ufrags.get(ufrag).copied()
    }

    /// Whose check this answers, and where it was sent, if that address was not bound.
    pub(crate) fn check(&self, transaction: &Transaction) -> Option<(EndpointKey, Path)> {
        self.checks.get(transaction).copied()
    }

    /// Registers a user name. Returns false if it is taken.
    pub(crate) fn add_ufrag(&mut self, ufrag: &str, key: EndpointKey) -> bool {
        self.ufrags.try_insert(ufrag.to_owned(), key).is_ok()
    }

    /// Forgets a user name.
    pub(crate) fn remove_ufrag(&mut self, ufrag: &str) {
        self.ufrags.remove(ufrag);
    }

    /// Remembers a check to an address that is not bound yet.
    pub(crate) fn add_check(&mut self, transaction: Transaction, key: EndpointKey, path: Path) {
        if self.check_order.len() >= limits::MAX_PENDING_CHECKS
            && let Some(oldest) = self.check_order.pop_front()
        {
            self.checks.remove(&oldest);
        }
        if self.checks.insert(transaction, (key, path)).is_none() {
            self.check_order.push_back(transaction);
        }
    }

    /// Binds `path` to `key`, whose addresses are `bound`. `used` tells whether the present owner sends its media
    /// over this path; `keep` is the path this endpoint uses itself.
    pub(crate) fn bind(
        &mut self,
        path: Path,
        key: EndpointKey,
        bound: &mut Bound,
        keep: Option<Path>,
        used: impl FnOnce(EndpointKey) -> bool,
    ) -> Binding {
        let from = match self.owner(path) {
            Some(owner) if owner == key => return Binding::Known,
            Some(owner) if used(owner) => return Binding::Refused,
            other => other,
        };
        let mut released = None;
        if bound.len() >= limits::MAX_BOUND_ADDRESSES
            && let Some(oldest) = bound.iter().position(|p| Some(*p) != keep)
        {
            let path = bound.remove(oldest);
            self.paths.remove(&path);
            released = Some(path);
        }
        bound.push(path);
        self.paths.insert(path, key);
        Binding::New { from, released }
    }

    /// Forgets an endpoint.
    pub(crate) fn remove<'a>(
        &mut self,
        key: EndpointKey,
        ufrags: impl IntoIterator<Item = &'a str>,
        bound: &[Path],
    ) {
        ufrags.into_iter().for_each(|ufrag| self.remove_ufrag(ufrag));
        for path in bound {
            if self.owner(*path) == Some(key) {
                self.paths.remove(path);
            }
        }
        self.forget_checks(key);
    }

    /// The same when it is not known any more what was the endpoint's. Searches everything.
    pub(crate) fn forget(&mut self, key: EndpointKey) {
        self.ufrags.retain(|_, owner| *owner != key);
        self.paths.retain(|_, owner| *owner != key);
        self.forget_checks(key);
    }

    fn forget_checks(&mut self, key: EndpointKey) {
        self.checks.retain(|_, (owner, _)| *owner != key);
        self.check_order.retain(|t| self.checks.contains_key(t));
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.paths.is_empty()
            && self.ufrags.is_empty()
            && self.checks.is_empty()
            && self.check_order.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: EndpointKey = EndpointKey(1);
    const B: EndpointKey = EndpointKey(2);

    fn path(port: u16) -> Path {
        Path::udp("127.0.0.1:10000".parse().unwrap(), ([127, 0, 0, 1], port).into())
    }

    #[test]
    fn a_claim_never_takes_an_address_that_is_used() {
        let (mut table, mut a, mut b) = (Addresses::default(), Bound::new(), Bound::new());
        assert_eq!(
            table.bind(path(1), A, &mut a, None, |_| true),
            Binding::New { from: None, released: None }
        );
        assert_eq!(table.bind(path(1), A, &mut a, None, |_| true), Binding::Known);
        assert_eq!(table.bind(path(1), B, &mut b, None, |_| true), Binding::Refused);
        assert_eq!(table.owner(path(1)), Some(A));
        assert_eq!(
            table.bind(path(1), B, &mut b, None, |_| false),
            Binding::New { from: Some(A), released: None }
        );
        assert_eq!(table.owner(path(1)), Some(B));
        table.remove(A, [], &a);
        assert_eq!(table.owner(path(1)), Some(B), "it is not A's any more");
        table.remove(B, [], &b);
        assert!(table.is_empty());
    }

    #[test]
    fn the_oldest_address_goes_but_never_the_one_in_use() {
        let (mut table, mut a) = (Addresses::default(), Bound::new());
        let limit = u16::try_from(limits::MAX_BOUND_ADDRESSES).unwrap();
        for port in 1..=limit {
            let bound = table.bind(path(port), A, &mut a, Some(path(1)), |_| false);
            assert_eq!(bound, Binding::New { from: None, released: None });
        }
        let bound = table.bind(path(limit + 1), A, &mut a, Some(path(1)), |_| false);
        assert_eq!(bound, Binding::New { from: None, released: Some(path(2)) });
        assert_eq!(
            (a.len(), table.owner(path(1)), table.owner(path(2))),
            (usize::from(limit), Some(A), None)
        );
    }

    #[test]
    fn pending_checks_are_bounded() {
        let mut table = Addresses::default();
        let id = |n: usize| {
            let mut t = [0; 12];
            t[..8].copy_from_slice(&n.to_be_bytes());
            t
        };
        for n in 0..=limits::MAX_PENDING_CHECKS {
            table.add_check(id(n), A, path(1));
        }
        assert_eq!(table.check(&id(0)), None);
        assert_eq!(table.check(&id(1)), Some((A, path(1))));
        assert_eq!(table.check(&id(limits::MAX_PENDING_CHECKS)), Some((A, path(1))));
        table.remove(A, [], &[]);
        assert!(table.is_empty());
    }
}
