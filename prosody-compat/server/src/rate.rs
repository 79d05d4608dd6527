//! How fast one client, and its address, may send: frames in, how long to wait before the next read out. Time is an argument.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use budget::Bucket;

use crate::limits;

/// What a client has sent; what is beyond the budget delays the next read (upstream's `limits` module does the same).
///
/// What everybody may say never waits for others of the same address. Only what is beyond that shares the address' budget, so a
/// neighbour behind the same router does not feel somebody who floods from there.
#[derive(Debug)]
pub(crate) struct Pace {
    all: Bucket,
    own: Bucket,
    address: Arc<Mutex<Bucket>>,
}

impl Pace {
    /// A connection's, with the budget that it shares.
    pub(crate) const fn of(address: Arc<Mutex<Bucket>>) -> Self {
        Self { all: Bucket::full(), own: Bucket::full(), address }
    }

    /// A frame was received; returns how long to wait, if at all.
    pub(crate) fn frame(&mut self, now: Instant, bytes: usize) -> Option<Duration> {
        let amount = u32::try_from(bytes.max(limits::FRAME_COST)).unwrap_or(u32::MAX);
        let mut wait = self.all.reserve(&limits::CLIENT, now, amount);
        if !self.own.take(&limits::CLIENT_OWN, now, amount) {
            // An operation on a bucket leaves nothing half done.
            let mut address = self.address.lock().unwrap_or_else(PoisonError::into_inner);
            wait =
                wait.max(address.reserve_within(&limits::ADDRESS, now, amount, limits::ADDRESS_LONGEST_WAIT));
        }
        Some(wait).filter(|wait| !wait.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_one_byte_more_waits() {
        let now = Instant::now();
        let burst = limits::CLIENT.burst() as usize;
        let mut pace = Pace::of(Arc::default());
        assert_eq!(pace.frame(now, burst), None);
        assert!(pace.frame(now, 1).is_some());
        let wait = pace.frame(now, 64 * 1024).unwrap();
        assert!((0.99..1.02).contains(&wait.as_secs_f64()), "{wait:?}");
        // Later everything is as at the start.
        assert_eq!(pace.frame(now + Duration::from_secs(60), burst), None);
    }

    #[test]
    fn many_tiny_stanzas_count_as_well() {
        let now = Instant::now();
        let mut pace = Pace::of(Arc::default());
        let most = limits::CLIENT.burst() as usize / limits::FRAME_COST;
        assert!((0..most).all(|_| pace.frame(now, 10).is_none()));
        assert!(pace.frame(now, 10).is_some());
    }

    #[test]
    fn four_hundred_connections_of_one_address_sent_what_four_hundred_may_send() {
        let now = Instant::now();
        let address = Arc::default();
        let mut crowd: Vec<_> =
            (0..limits::ADDRESS_STRANGERS).map(|_| Pace::of(Arc::clone(&address))).collect();
        let frame = limits::CLIENT_OWN.burst() as usize + 1;
        let at_once = limits::ADDRESS.burst() as usize / frame;
        let mut waits = crowd.iter_mut().map(|p| p.frame(now, frame));
        assert!(waits.by_ref().take(at_once).all(|w| w.is_none()));
        assert!(waits.next().unwrap().is_some(), "one beyond");
        let longest = waits.flatten().max().unwrap();
        assert!(longest <= limits::ADDRESS_LONGEST_WAIT, "{longest:?}");
        // Who is behind the same router and says what people say does not wait.
        let mut neighbour = Pace::of(Arc::clone(&address));
        assert_eq!(neighbour.frame(now, frame - 1), None);
        assert!(neighbour.frame(now, 1).is_some(), "one byte beyond");
        // And when they are gone, it is forgotten.
        let later = now + limits::ADDRESS_LONGEST_WAIT + Duration::from_secs(5);
        assert_eq!(Pace::of(address).frame(later, limits::ADDRESS.burst() as usize / 16), None);
    }

    #[test]
    fn two_hundred_tablets_that_join_at_the_same_moment_do_not_wait() {
        let now = Instant::now();
        let address = Arc::default();
        for _ in 0..200 {
            let mut tablet = Pace::of(Arc::clone(&address));
            // A session-accept, a presence with its sources, and what is smaller.
            let join = [20_000, 6_000, 6_000].into_iter().chain(std::iter::repeat_n(300, 130));
            assert!(join.into_iter().all(|bytes| tablet.frame(now, bytes).is_none()));
        }
    }
}
