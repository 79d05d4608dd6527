//! How many endpoints there are and how many have media paths, every few seconds, in; whether it is time to say that nobody gets
//! through, out. No I/O, no clock.

use std::time::{Duration, Instant};

use videobridge_core::ShardStats;

/// One per bridge.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    /// Since when somebody tries and nobody gets through.
    since: Option<Instant>,
    /// `ice_succeeded` of the last look.
    succeeded: u64,
    said: bool,
}

impl Reach {
    /// True once, when for a minute somebody tried and nobody got through; again only after somebody has. One person alone with
    /// a bad network among others that talk is no reason.
    pub(crate) fn look(&mut self, now: Instant, stats: &ShardStats) -> bool {
        let through = stats.rtt_count > 0 || stats.totals.ice_succeeded > self.succeeded;
        self.succeeded = stats.totals.ice_succeeded;
        if through {
            *self = Self { succeeded: self.succeeded, ..Self::default() };
        }
        if through || stats.endpoints == 0 {
            self.since = None;
            return false;
        }
        let since = *self.since.get_or_insert(now);
        let due = !self.said && now.saturating_duration_since(since) >= NOBODY;
        self.said |= due;
        due
    }
}

/// Clients give up after some 15 seconds and try again; longer than a few of these is no coincidence.
const NOBODY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(endpoints: u64, connected: u64, succeeded: u64) -> ShardStats {
        let mut stats = ShardStats { endpoints, rtt_count: connected, ..ShardStats::default() };
        stats.totals.ice_succeeded = succeeded;
        stats
    }

    /// What each look says, one every ten seconds.
    fn looks(all: &[ShardStats]) -> Vec<bool> {
        let (start, mut reach) = (Instant::now(), Reach::default());
        let at = |n: usize| start + Duration::from_secs(10) * u32::try_from(n).unwrap();
        all.iter().enumerate().map(|(n, s)| reach.look(at(n), s)).collect()
    }

    #[test]
    fn it_is_said_once_after_a_minute_in_which_nobody_gets_through() {
        let said = looks(&vec![stats(2, 0, 0); 20]);
        assert_eq!(said.iter().position(|s| *s), Some(6));
        assert_eq!(said.iter().filter(|s| **s).count(), 1);
    }

    #[test]
    fn whoever_gets_through_begins_the_minute_anew_and_an_empty_bridge_says_nothing() {
        assert!(!looks(&vec![stats(0, 0, 0); 20]).contains(&true));
        assert!(!looks(&vec![stats(2, 1, 1); 20]).contains(&true));
        // Connected and gone again between two looks.
        let brief: Vec<_> = (0..20).map(|n| stats(1, 0, n)).collect();
        assert!(!looks(&brief).contains(&true));
        let mut broken = vec![stats(2, 0, 0); 7];
        broken.push(stats(2, 1, 1));
        broken.extend(vec![stats(2, 0, 1); 8]);
        assert_eq!(looks(&broken).iter().filter(|s| **s).count(), 2, "again after it had worked");
    }
}
