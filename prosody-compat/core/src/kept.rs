//! What people leave in rooms, by address: how many bytes of whom in; a share that is given back by being dropped, or a refusal,
//! out.
//!
//! A presence stays as long as its sender is in, chat stays for latecomers, polls and metadata stay as long as the room. Each has
//! a bound by room; but one address may be in ten thousand rooms.

use std::sync::{Arc, Mutex, PoisonError};

use budget::{Network, Shares};
use jitsi_xmpp::{Condition, ErrorType, StanzaError};

use crate::limits::Limits;

/// Who has left how much.
#[derive(Debug)]
pub(crate) struct Kept(Arc<Mutex<Shares<Network>>>);

/// What one thing that is kept counts for its address.
#[derive(Debug)]
pub(crate) struct Share {
    /// `None`: a role's.
    of: Option<(Network, Arc<Mutex<Shares<Network>>>)>,
    bytes: usize,
}

/// The address has left as much as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMuch;

impl From<TooMuch> for StanzaError {
    fn from(_: TooMuch) -> Self {
        Self::new(Condition::ResourceConstraint)
            .with_type(ErrorType::Wait)
            .with_text("your network has left too much in rooms")
    }
}

impl Kept {
    pub(crate) fn new(limits: &Limits) -> Self {
        let shares = Shares::fair(limits.max_kept_per_address, limits.max_kept_in_all);
        Self(Arc::new(Mutex::new(shares)))
    }

    /// For something of `network` that takes so many bytes; `None` is a role, which is not bound.
    pub(crate) fn take(&self, network: Option<Network>, bytes: usize) -> Result<Share, TooMuch> {
        let mut share = Share { of: network.map(|n| (n, Arc::clone(&self.0))), bytes: 0 };
        share.becomes(bytes)?;
        Ok(share)
    }

    /// For something that the server itself, or a role, leaves.
    pub(crate) const fn ours() -> Share {
        Share { of: None, bytes: 0 }
    }
}

impl Share {
    /// It is replaced by something of this size. What is smaller than before is always taken.
    pub(crate) fn becomes(&mut self, bytes: usize) -> Result<(), TooMuch> {
        if let Some((network, shares)) = &self.of
            && bytes != self.bytes
        {
            // An operation on shares leaves nothing half done.
            let mut shares = shares.lock().unwrap_or_else(PoisonError::into_inner);
            match bytes.checked_sub(self.bytes) {
                Some(more) => shares.take(*network, more).map_err(|_| TooMuch)?,
                None => shares.give_back(network, self.bytes - bytes),
            }
        }
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // Nothing is always taken.
        let _ = self.becomes(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Kept {
        Kept::new(&Limits { max_kept_per_address: 100, max_kept_in_all: 1_000, ..Limits::default() })
    }

    fn network(n: u8) -> Option<Network> {
        Some(Network::of([192, 0, 2, n].into()))
    }

    #[test]
    fn an_address_leaves_its_share_and_not_a_byte_more_and_others_theirs() {
        let kept = kept();
        let mut first = kept.take(network(1), 60).unwrap();
        let second = kept.take(network(1), 40).unwrap();
        assert_eq!(kept.take(network(1), 1).unwrap_err(), TooMuch);
        assert!(kept.take(network(2), 100).is_ok() && kept.take(None, 10_000).is_ok());
        assert_eq!((first.becomes(61), first.becomes(50)), (Err(TooMuch), Ok(())));
        assert!(kept.take(network(1), 10).is_ok());
        drop((first, second));
        assert_eq!(kept.0.lock().unwrap().held(), 0, "all is given back");
    }

    #[test]
    fn what_all_leave_is_bounded_and_there_is_something_for_who_comes_new() {
        let kept = kept();
        let greedy: Vec<_> = (1..=10)
            .map(|n| (0..100).map_while(|_| kept.take(network(n), 1).ok()).collect::<Vec<_>>())
            .collect();
        let held: usize = greedy.iter().map(Vec::len).sum();
        assert!((500..1_000).contains(&held), "{held}");
        assert!(kept.take(network(11), 10).is_ok());
    }
}
