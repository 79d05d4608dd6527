//! How a bridge leaves when its admin asks over HTTP (bridge §1.7): wishes and how many people are here in; what it says of itself,
//! and that it may end, out.

use std::time::Instant;

use crate::limits::{LEAVES_AFTER, LEAVES_AT_LATEST};

/// What the admin asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// No new conferences; end when nobody is here any more.
    WhenEmpty,
    /// Tell the focus, which moves people to other bridges, and end.
    Soon,
}

/// How far a leave is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Leaving {
    /// Nobody asked for one.
    #[default]
    No,
    /// Waits for people to leave, upstream's `GRACEFUL_SHUTDOWN`. A wait has an end.
    WhenEmpty {
        /// Whoever is here then is moved.
        until: Instant,
    },
    /// The focus moves people away, upstream's `SHUTTING_DOWN`.
    Soon {
        /// When the process ends.
        at: Instant,
    },
}

impl Leaving {
    /// The admin's wish. A leave is never taken back; it only becomes sooner.
    pub(crate) fn handle_wish(&mut self, now: Instant, wish: Wish) {
        *self = match (wish, *self) {
            (Wish::WhenEmpty, Self::No) => Self::WhenEmpty { until: now + LEAVES_AT_LATEST },
            (Wish::Soon, Self::No | Self::WhenEmpty { .. }) => Self::Soon { at: now + LEAVES_AFTER },
            (_, same) => same,
        };
    }

    /// Looks at the time and at how many people are here. To be called at least every few seconds; true means: end now.
    pub(crate) fn handle_timeout(&mut self, now: Instant, people: u64) -> bool {
        match *self {
            Self::WhenEmpty { until } if people == 0 || now >= until => {
                *self = Self::Soon { at: now + LEAVES_AFTER };
                false
            }
            Self::Soon { at } => now >= at,
            Self::No | Self::WhenEmpty { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);

    #[test]
    fn a_bridge_that_waits_for_people_ends_a_minute_after_the_last_one() {
        let now = Instant::now();
        let mut leaving = Leaving::No;
        assert!(!leaving.handle_timeout(now, 0), "nobody asked");
        leaving.handle_wish(now, Wish::WhenEmpty);
        let later = now + Duration::from_secs(3600);
        assert!(!leaving.handle_timeout(later, 1));
        assert_eq!(leaving, Leaving::WhenEmpty { until: now + LEAVES_AT_LATEST });
        assert!(!leaving.handle_timeout(later, 0), "the focus has to hear of it first");
        assert_eq!(leaving, Leaving::Soon { at: later + LEAVES_AFTER });
        assert!(!leaving.handle_timeout(later + LEAVES_AFTER - MOMENT, 0));
        assert!(leaving.handle_timeout(later + LEAVES_AFTER, 0));
    }

    #[test]
    fn a_wait_for_people_has_an_end() {
        let now = Instant::now();
        let mut leaving = Leaving::No;
        leaving.handle_wish(now, Wish::WhenEmpty);
        assert!(!leaving.handle_timeout(now + LEAVES_AT_LATEST - MOMENT, 7));
        assert!(matches!(leaving, Leaving::WhenEmpty { .. }));
        assert!(!leaving.handle_timeout(now + LEAVES_AT_LATEST, 7));
        assert!(leaving.handle_timeout(now + LEAVES_AT_LATEST + LEAVES_AFTER, 7));
    }

    #[test]
    fn a_leave_becomes_sooner_and_never_later() {
        let now = Instant::now();
        let mut leaving = Leaving::No;
        leaving.handle_wish(now, Wish::WhenEmpty);
        leaving.handle_wish(now, Wish::Soon);
        assert_eq!(leaving, Leaving::Soon { at: now + LEAVES_AFTER });
        leaving.handle_wish(now + MOMENT, Wish::Soon);
        leaving.handle_wish(now + MOMENT, Wish::WhenEmpty);
        assert_eq!(leaving, Leaving::Soon { at: now + LEAVES_AFTER });
    }
}
