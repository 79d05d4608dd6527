//! All deadlines of all conferences and requests in one table: who wants to be woken when in; who is due out. So the
//! next deadline costs the same with one conference and with thousands.

use std::collections::BTreeSet;
use std::time::Instant;

use jitsi_xmpp::BareJid;
use jitsi_xmpp::ids::EndpointId;

/// Whom a deadline is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A conference as a whole.
    Room(BareJid),
    /// One of its members.
    Member(BareJid, EndpointId),
    /// A request that waits for its answer.
    Iq(String),
}

/// See the module. At most one entry per conference, member and request.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    due: BTreeSet<(Instant, Timer)>,
}

impl Timers {
    /// Moves an entry from where it stands (`armed`) to `at`.
    pub(crate) fn arm(
        &mut self,
        armed: &mut Option<Instant>,
        at: Option<Instant>,
        timer: impl Fn() -> Timer,
    ) {
        if *armed == at {
            return;
        }
        if let Some(old) = armed.take() {
            self.due.remove(&(old, timer()));
        }
        if let Some(at) = at {
            self.due.insert((at, timer()));
        }
        *armed = at;
    }

    /// Takes out all that are due, in order.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<Timer> {
        let mut due = Vec::new();
        while self.due.first().is_some_and(|(at, _)| *at <= now) {
            due.extend(self.due.pop_first().map(|(_, timer)| timer));
        }
        due
    }

    /// The next deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_entry_moves_and_leaves_nothing_behind() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let mut t = Timers::default();
        let mut armed = None;
        let iq = || Timer::Iq("a".into());
        t.arm(&mut armed, Some(later), iq);
        t.arm(&mut armed, Some(now), iq);
        assert_eq!((t.next(), armed), (Some(now), Some(now)));
        assert_eq!(t.take_due(now), [iq()]);
        assert_eq!(t.next(), None);
        t.arm(&mut armed, None, iq);
        assert!(t.take_due(later).is_empty());
    }
}
