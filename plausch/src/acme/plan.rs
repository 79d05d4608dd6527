//! What certificate is served and how attempts for a new one ended in; when to try next, and how to prove the names, out.
//!
//! Pure: the clock and the dice are the caller's. Times are those of the calendar, as certificates end by it.

use std::time::{Duration, SystemTime};

use service::certificate::Validity;

use super::limits;

/// Whose fault it is that there is no certificate. Each has a patience of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blame {
    /// The directory is not there, is slow, or says what nobody understands. Costs nobody anything, so it is asked again soon.
    Directory,
    /// It could not look at a name: DNS, a port that is closed, somebody else's server. Counts against us there.
    Proof,
    /// It does not want us: an account, a name, a policy.
    Refusal,
    /// We have asked too often.
    Rate,
    /// What it issued is not what was ordered. Counts against us as well.
    Lie,
    /// Our disk.
    Disk,
    /// Ourselves.
    Bug,
}

impl Blame {
    /// All, in the order of [`Self::index`].
    pub(crate) const ALL: [Self; 7] =
        [Self::Directory, Self::Proof, Self::Refusal, Self::Rate, Self::Lie, Self::Disk, Self::Bug];

    /// Its name in the metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::Proof => "proof",
            Self::Refusal => "refusal",
            Self::Rate => "rate",
            Self::Lie => "lie",
            Self::Disk => "disk",
            Self::Bug => "bug",
        }
    }

    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// The first wait after such a failure, and the longest; it doubles from one to the other.
    const fn patience(self) -> (Duration, Duration) {
        let secs = Duration::from_secs;
        match self {
            Self::Directory => (secs(5), secs(3600)),
            // Let's Encrypt takes five failed proofs of a name in an hour: 0, 2, 6, 14, 30 minutes.
            Self::Proof | Self::Refusal => (secs(120), secs(6 * 3600)),
            Self::Rate | Self::Lie | Self::Bug => (secs(3600), secs(24 * 3600)),
            Self::Disk => (secs(60), secs(3600)),
        }
    }
}

/// An attempt that ended without a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct Failure {
    pub(crate) blame: Blame,
    /// One line.
    pub(crate) reason: String,
    /// What the directory asks for.
    pub(crate) retry_after: Option<Duration>,
}

impl Failure {
    pub(crate) fn new(blame: Blame, reason: impl Into<String>) -> Self {
        Self { blame, reason: reason.into(), retry_after: None }
    }
}

/// How a name is proven to be ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// A page on port 80 (RFC 8555 §8.3).
    Http,
    /// A certificate on port 443 (RFC 8737).
    Tls,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing until then.
    Wait(SystemTime),
    /// A certificate is to be had, with these proofs in the order of preference.
    Order([Proof; 2]),
}

/// When to do what.
#[derive(Debug)]
pub(crate) struct Plan {
    served: Option<Renewal>,
    /// In a row, by whose fault.
    failures: [u32; Blame::ALL.len()],
    not_before: SystemTime,
}

#[derive(Debug, Clone, Copy)]
struct Renewal {
    at: SystemTime,
}

impl Plan {
    /// A start. `dice`: any number; machines that started together do not renew together.
    pub(crate) fn new(
        now: SystemTime,
        served: Option<Validity>,
        not_before: Option<SystemTime>,
        dice: u32,
    ) -> Self {
        Self {
            served: served.map(|v| renewal(v, dice)),
            failures: [0; _],
            not_before: not_before.unwrap_or(now),
        }
    }

    /// When a certificate is renewed at the latest.
    pub(crate) fn renews_at(validity: Validity) -> SystemTime {
        renewal(validity, 0).at
    }

    /// There is a new one.
    pub(crate) fn handle_certificate(&mut self, now: SystemTime, validity: Validity, dice: u32) {
        self.served = Some(renewal(validity, dice));
        self.failures = [0; _];
        self.not_before = now + limits::BETWEEN;
    }

    /// There is none. How long it is waited now.
    pub(crate) fn handle_failure(&mut self, now: SystemTime, failure: &Failure, dice: u32) -> Duration {
        let (first, longest) = failure.blame.patience();
        let count = self.failures.get(failure.blame.index()).copied().unwrap_or_default();
        if let Some(n) = self.failures.get_mut(failure.blame.index()) {
            *n = count.saturating_add(1);
        }
        let wait = first.saturating_mul(1 << count.min(20)).min(longest);
        // Up to a quarter more, so that those whom the same outage stopped do not come back together.
        let wait = wait + wait / 4 * (dice % 1000) / 1000;
        let wait = wait.max(failure.retry_after.unwrap_or_default().min(limits::RETRY_AFTER));
        self.not_before = now + wait;
        wait
    }

    /// What to do now.
    pub(crate) fn poll(&mut self, now: SystemTime) -> Next {
        // A clock that was set back must not make us wait for years.
        self.not_before = self.not_before.min(now + limits::RETRY_AFTER + limits::RETRY_AFTER / 4);
        let due = self.served.map_or(self.not_before, |s| s.at.max(self.not_before));
        if now < due {
            return Next::Wait(due);
        }
        // A port may be closed from outside while the other is not.
        let proofs = self.failures.get(Blame::Proof.index()).copied().unwrap_or_default();
        Next::Order(if proofs % 2 == 0 { [Proof::Http, Proof::Tls] } else { [Proof::Tls, Proof::Http] })
    }
}

/// A third of its life before its end, and up to a hundredth earlier.
fn renewal(validity: Validity, dice: u32) -> Renewal {
    let lifetime = validity.lifetime();
    let early = lifetime / 3 + lifetime / 100 * (dice % 1000) / 1000;
    Renewal { at: validity.until.checked_sub(early).unwrap_or(validity.from) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn at(secs: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + secs)
    }

    fn days(from: SystemTime, n: u32) -> Validity {
        Validity { from, until: from + DAY * n }
    }

    fn failed(blame: Blame, retry_after: Option<u64>) -> Failure {
        Failure { blame, reason: "x".into(), retry_after: retry_after.map(Duration::from_secs) }
    }

    #[test]
    fn without_a_certificate_one_is_ordered_at_once() {
        assert_eq!(Plan::new(at(0), None, None, 0).poll(at(0)), Next::Order([Proof::Http, Proof::Tls]));
    }

    #[test]
    fn a_certificate_is_renewed_when_a_third_of_its_life_is_left_and_not_by_all_at_once() {
        for (lifetime, dice, due) in
            [(90, 0, DAY * 60), (90, 999, DAY * 60 - DAY * 9 / 10), (6, 0, DAY * 4), (0, 0, Duration::ZERO)]
        {
            let mut plan = Plan::new(at(0), Some(days(at(0), lifetime)), None, dice);
            let slack = Duration::from_secs(120);
            if due > slack {
                assert!(matches!(plan.poll(at(0) + due - slack), Next::Wait(t) if t > at(0) + due - slack));
            }
            assert!(matches!(plan.poll(at(0) + due + slack), Next::Order(_)), "{lifetime}");
        }
    }

    #[test]
    fn waits_double_and_end_growing() {
        for blame in Blame::ALL {
            let (first, longest) = blame.patience();
            let mut plan = Plan::new(at(0), None, None, 0);
            let waits: Vec<Duration> =
                (0..40).map(|_| plan.handle_failure(at(0), &failed(blame, None), 0)).collect();
            assert_eq!(
                (waits[0], waits[1].min(longest), waits[39]),
                (first, (first * 2).min(longest), longest)
            );
            assert!(waits.is_sorted());
            let jittered = plan.handle_failure(at(0), &failed(blame, None), 999);
            assert!(jittered > longest && jittered < longest * 5 / 4);
            assert!(matches!(plan.poll(at(0)), Next::Wait(t) if t == at(0) + jittered));
        }
    }

    #[test]
    fn five_failed_proofs_in_an_hour_are_not_exceeded() {
        let mut plan = Plan::new(at(0), None, None, 0);
        let (mut now, mut attempts) = (at(0), 0);
        while now < at(3600) {
            match plan.poll(now) {
                Next::Wait(until) => now = until,
                Next::Order(_) => {
                    attempts += 1;
                    plan.handle_failure(now, &failed(Blame::Proof, None), 0);
                }
            }
        }
        assert_eq!(attempts, 5);
    }

    #[test]
    fn what_the_directory_asks_for_is_kept_up_to_the_limit_and_never_shortens_a_wait() {
        let wait =
            |secs| Plan::new(at(0), None, None, 0).handle_failure(at(0), &failed(Blame::Rate, Some(secs)), 0);
        let longest = limits::RETRY_AFTER.as_secs();
        assert_eq!(wait(7200).as_secs(), 7200);
        assert_eq!(wait(longest).as_secs(), longest);
        assert_eq!(wait(longest + 1).as_secs(), longest);
        assert_eq!(wait(u64::MAX).as_secs(), longest);
        assert_eq!(wait(0).as_secs(), 3600);
    }

    #[test]
    fn a_port_that_is_closed_makes_the_other_one_try() {
        let mut plan = Plan::new(at(0), None, None, 0);
        plan.handle_failure(at(0), &failed(Blame::Proof, None), 0);
        assert_eq!(plan.poll(at(200)), Next::Order([Proof::Tls, Proof::Http]));
        plan.handle_failure(at(200), &failed(Blame::Directory, None), 0);
        assert_eq!(plan.poll(at(300)), Next::Order([Proof::Tls, Proof::Http]));
    }

    #[test]
    fn success_forgets_failures_and_does_not_order_again_at_once() {
        let mut plan = Plan::new(at(0), None, None, 0);
        for _ in 0..9 {
            plan.handle_failure(at(0), &failed(Blame::Proof, None), 0);
        }
        plan.handle_certificate(at(0), Validity { from: at(0), until: at(3) }, 0);
        assert_eq!(plan.poll(at(0)), Next::Wait(at(0) + limits::BETWEEN));
        assert_eq!(plan.handle_failure(at(0), &failed(Blame::Proof, None), 0).as_secs(), 120);
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_stop_us_for_years() {
        let mut plan = Plan::new(at(0), None, Some(at(1_000_000_000)), 0);
        let Next::Wait(until) = plan.poll(at(0)) else { panic!() };
        assert!(until <= at(0) + DAY * 2);
        assert!(matches!(plan.poll(until), Next::Order(_)));
    }
}
