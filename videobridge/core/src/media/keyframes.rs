//! How often key frames may be asked for: requests in, permission out. Denied requests are dropped, not delayed: who
//! needs a key frame asks again.

use std::time::{Duration, Instant};

/// The limit of one requester on one source: every 200 ms, `N` in 10 s.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestLimit<const N: usize> {
    /// The last permitted requests, newest first.
    last: [Option<Instant>; N],
}

impl<const N: usize> Default for RequestLimit<N> {
    fn default() -> Self {
        Self { last: [None; N] }
    }
}

impl<const N: usize> RequestLimit<N> {
    /// Whether a request may go on now; remembers it if so. `rtt` = to the sender.
    pub(crate) fn allow(&mut self, now: Instant, rtt: Option<Duration>) -> bool {
        let (newest, oldest) = (self.last.first().copied().flatten(), self.last.last().copied().flatten());
        let fresh = |at: Option<Instant>, than: Duration| at.is_some_and(|at| now.duration_since(at) < than);
        if fresh(newest, interval(rtt)) || fresh(oldest, PERIOD) {
            return false;
        }
        self.remember(now);
        true
    }

    /// The same for what the bridge needs itself, as a stream begins or switches: nobody else asks in its place, and pictures stand
    /// still until somebody does. So after `N` it goes on, rarely.
    pub(crate) fn allow_own(&mut self, now: Instant) -> bool {
        let (newest, oldest) = (self.last.first().copied().flatten(), self.last.last().copied().flatten());
        let fresh = |at: Option<Instant>, than: Duration| at.is_some_and(|at| now.duration_since(at) < than);
        let apart = if fresh(oldest, PERIOD) { RARELY } else { OWN_INTERVAL };
        if fresh(newest, apart) {
            return false;
        }
        self.remember(now);
        true
    }

    fn remember(&mut self, now: Instant) {
        self.last.rotate_right(1);
        if let Some(slot) = self.last.first_mut() {
            *slot = Some(now);
        }
    }
}

/// The limit of one SSRC over all requesters.
pub(crate) fn allow_source(last: &mut Option<Instant>, now: Instant, rtt: Option<Duration>) -> bool {
    if last.is_some_and(|at| now.duration_since(at) < interval(rtt)) {
        return false;
    }
    *last = Some(now);
    true
}

fn interval(rtt: Option<Duration>) -> Duration {
    rtt.map_or(MIN_INTERVAL, |rtt| MIN_INTERVAL.min(rtt + RTT_MARGIN))
}

const MIN_INTERVAL: Duration = Duration::from_millis(200);
const RTT_MARGIN: Duration = Duration::from_millis(10);
/// An encoder takes up to some pictures' time to answer.
const OWN_INTERVAL: Duration = Duration::from_millis(100);
const RARELY: Duration = Duration::from_secs(1);
const PERIOD: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_requester_gets_three_in_ten_seconds_200_ms_apart() {
        let t0 = Instant::now();
        let ms = |n| t0 + Duration::from_millis(n);
        let mut limit = RequestLimit::<3>::default();
        assert!(limit.allow(ms(0), None));
        assert!(!limit.allow(ms(199), None));
        assert!(limit.allow(ms(200), None));
        assert!(limit.allow(ms(400), None));
        assert!(!limit.allow(ms(9_999), None), "the fourth");
        assert!(limit.allow(ms(10_000), None));
    }

    #[test]
    fn streams_that_began_too_often_stood_still_until_the_oldest_request_was_ten_seconds_old() {
        let t0 = Instant::now();
        let ms = |n| t0 + Duration::from_millis(n);
        let mut limit = RequestLimit::<3>::default();
        assert!(limit.allow_own(ms(0)));
        assert!(!limit.allow_own(ms(99)));
        assert!(limit.allow_own(ms(100)) && limit.allow_own(ms(200)));
        assert!(!limit.allow_own(ms(1_199)), "the fourth");
        assert!(limit.allow_own(ms(1_200)) && !limit.allow_own(ms(1_300)) && limit.allow_own(ms(2_200)));
        assert!(limit.allow_own(ms(20_000)) && limit.allow_own(ms(20_100)));
    }

    #[test]
    fn close_senders_may_be_asked_more_often() {
        let t0 = Instant::now();
        let rtt = Some(Duration::from_millis(20));
        let mut last = None;
        assert!(allow_source(&mut last, t0, rtt));
        assert!(!allow_source(&mut last, t0 + Duration::from_millis(29), rtt));
        assert!(allow_source(&mut last, t0 + Duration::from_millis(30), rtt));
    }
}
