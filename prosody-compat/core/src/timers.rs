//! What is due when: a moment for each kind of thing in, what has come due out.
//!
//! Whatever ends takes its moments with it, so that the table is never larger than what is there.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use jitsi_xmpp::BareJid;

use crate::output::{ConnId, QuestionId};
use crate::session::SessionId;

/// What a moment in the future is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Timer {
    /// The connection must be bound by now.
    Login(ConnId),
    /// It is the turn of the password that waits on this connection.
    Turn(ConnId),
    /// The connection may have been silent for too long.
    Idle(ConnId),
    /// The session's time to resume may be over.
    Hibernation(SessionId),
    /// A question for an acknowledgement is due.
    Ask(SessionId),
    /// Keys of tokens are to be asked for, or given up.
    Keys,
    /// A question to outside is asked once more.
    Question(QuestionId),
    /// A module wanted to be woken in this room; gone with the room.
    Room(BareJid, &'static str),
    /// The same about a room that need not be there.
    Aside(BareJid, &'static str),
}

/// One moment for each [`Timer`] at most.
#[derive(Default)]
pub(crate) struct Timers {
    at: HashMap<Timer, Instant>,
    order: BTreeSet<(Instant, Timer)>,
}

impl Timers {
    /// `timer` comes due at `when`, and not at the moment it had before.
    pub(crate) fn set(&mut self, when: Instant, timer: Timer) {
        if let Some(before) = self.at.insert(timer.clone(), when) {
            self.order.remove(&(before, timer.clone()));
        }
        self.order.insert((when, timer));
    }

    /// As [`Timers::set`], unless it comes due before that anyway.
    pub(crate) fn set_by(&mut self, when: Instant, timer: Timer) {
        if self.at.get(&timer).is_none_or(|before| *before > when) {
            self.set(when, timer);
        }
    }

    /// `timer` does not come due any more.
    pub(crate) fn cancel(&mut self, timer: Timer) {
        if let Some(when) = self.at.remove(&timer) {
            self.order.remove(&(when, timer));
        }
    }

    /// The next one.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes the next one that is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        let (_, timer) = self.order.pop_first()?;
        self.at.remove(&timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_thing_has_one_moment_and_none_once_it_is_gone() {
        let start = Instant::now();
        let at = |secs| start + Duration::from_secs(secs);
        let (one, two) = (Timer::Idle(ConnId(1)), Timer::Login(ConnId(2)));
        let mut t = Timers::default();
        t.set(at(1), one.clone());
        t.set(at(3), one.clone());
        t.set(at(2), two.clone());
        t.set_by(at(4), two.clone());
        assert_eq!((t.next(), t.pop_due(at(1))), (Some(at(2)), None));
        t.set_by(at(1), two.clone());
        assert_eq!(
            (t.pop_due(at(9)), t.pop_due(at(9)), t.pop_due(at(9))),
            (Some(two), Some(one.clone()), None)
        );
        t.set(at(1), one.clone());
        t.cancel(one);
        assert!(t.next().is_none() && t.at.is_empty());
    }
}
