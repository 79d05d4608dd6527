//! Recorders (Jibri): their presences and failures in, which one is next, and whose turn it is when all of them work, out (focus §8.1).

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use jitsi_xmpp::{BareJid, Element, FullJid, ns};

use crate::handover::{HandoverError, at_most, word};
use crate::limits;

/// The recorders of the brewery, by occupant JID.
#[derive(Debug, Default)]
pub(crate) struct Recorders {
    all: BTreeMap<FullJid, Recorder>,
    /// Rooms in which somebody waits for one that is free, in the order in which they came.
    waiting: VecDeque<BareJid>,
}

#[derive(Debug, Default)]
struct Recorder {
    available: bool,
    /// Its presence does not say yet that it is busy.
    chosen: Option<Instant>,
    failed: Option<Instant>,
}

/// Why there is none. Blame: the installation. Consequence: the client is told, and may ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoRecorder {
    /// None is in the brewery.
    There,
    /// All of them work, or have failed a moment ago.
    Free,
}

impl Recorders {
    /// Each, and whether it can work.
    pub(crate) fn written(&self) -> Vec<(String, bool)> {
        self.all.iter().map(|(jid, r)| (jid.as_str().to_owned(), r.available)).collect()
    }

    pub(crate) fn read_written(&mut self, from: &[(String, bool)]) -> Result<(), HandoverError> {
        at_most(from, limits::RECORDERS, "recorders")?;
        for (jid, available) in from {
            let recorder = Recorder { available: *available, ..Recorder::default() };
            self.all.insert(word(jid, "recorder")?, recorder);
        }
        Ok(())
    }

    /// What a recorder says of itself; one that says half is not believed. `true`: it can work, and somebody waits for one.
    pub(crate) fn handle_presence(&mut self, jid: &FullJid, presence: &Element) -> bool {
        let Some(status) = presence.child("jibri-status", ns::JIBRI) else { return false };
        let said = |name: &str| status.child_named(name).and_then(|c| c.attr("status"));
        let (Some(busy), Some(health)) = (said("busy-status"), said("health-status")) else { return false };
        if !self.all.contains_key(jid) && self.all.len() >= limits::RECORDERS {
            return false;
        }
        let recorder = self.all.entry(jid.clone()).or_default();
        recorder.available = busy == "idle" && health == "healthy";
        if recorder.available {
            recorder.failed = None;
        }
        recorder.available && !self.waiting.is_empty()
    }

    /// Somebody in this room waits for one that is free. `false`: too many do.
    pub(crate) fn wait(&mut self, room: &BareJid) -> bool {
        let place = self.waiting.len() < limits::RECORDINGS_WAITING;
        if place {
            self.waiting.push_back(room.clone());
        }
        place
    }

    /// It has one, or does not want one any more.
    pub(crate) fn waits_no_more(&mut self, room: &BareJid) {
        self.waiting.retain(|r| r != room);
    }

    /// The rooms that wait, the one that has waited for longest first.
    pub(crate) fn waiting(&self) -> Vec<BareJid> {
        self.waiting.iter().cloned().collect()
    }

    /// A recorder left; false if it was none.
    pub(crate) fn handle_left(&mut self, jid: &FullJid) -> bool {
        self.all.remove(jid).is_some()
    }

    pub(crate) fn clear(&mut self) {
        self.all.clear();
        self.waiting.clear();
    }

    /// A request to it failed in a way that is its fault.
    pub(crate) fn failed(&mut self, now: Instant, jid: &FullJid) {
        if let Some(recorder) = self.all.get_mut(jid) {
            recorder.failed = Some(now);
        }
    }

    /// The one whose last failure is longest ago, of those that can work.
    pub(crate) fn choose(&mut self, now: Instant) -> Result<FullJid, NoRecorder> {
        if self.all.is_empty() {
            return Err(NoRecorder::There);
        }
        let within = |at: Option<Instant>, span| at.is_some_and(|at| now.duration_since(at) < span);
        let ready = |r: &&mut Recorder| {
            r.available
                && !within(r.chosen, limits::RECORDER_CHOSEN)
                && !within(r.failed, limits::RECORDER_FAILED)
        };
        let free = self.all.iter_mut().filter(|(_, r)| ready(r));
        let (jid, recorder) = free.min_by_key(|(_, r)| r.failed).ok_or(NoRecorder::Free)?;
        recorder.chosen = Some(now);
        Ok(jid.clone())
    }

    /// How many there are, and how many of them can work.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.all.len(), self.all.values().filter(|r| r.available).count())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jitsi_xmpp::xml::parse;

    use super::*;

    fn says(busy: &str, health: &str) -> Element {
        let text = format!(
            "<presence xmlns='jabber:client'><jibri-status xmlns='http://jitsi.org/protocol/jibri'>{busy}{health}</jibri-status></presence>"
        );
        parse(text.as_bytes()).unwrap()
    }

    const IDLE: &str = "<busy-status status='idle'/>";
    const WELL: &str = "<health-status xmlns='http://jitsi.org/protocol/health' status='healthy'/>";

    fn jid(n: usize) -> FullJid {
        format!("jibribrewery@internal-muc.meet.jitsi/{n}").parse().unwrap()
    }

    #[test]
    fn who_is_busy_sick_or_says_half_is_not_chosen() {
        let now = Instant::now();
        let mut all = Recorders::default();
        assert_eq!(all.choose(now), Err(NoRecorder::There));
        all.handle_presence(&jid(1), &says(IDLE, ""));
        assert_eq!(all.choose(now), Err(NoRecorder::There), "half of it");
        for (n, busy, health) in [
            (1, "<busy-status status='busy'/>", WELL),
            (2, IDLE, "<health-status xmlns='http://jitsi.org/protocol/health' status='unhealthy'/>"),
        ] {
            all.handle_presence(&jid(n), &says(busy, health));
        }
        assert_eq!((all.choose(now), all.counts()), (Err(NoRecorder::Free), (2, 0)));
        all.handle_presence(&jid(1), &says(IDLE, WELL));
        assert_eq!((all.choose(now), all.counts()), (Ok(jid(1)), (2, 1)));
        assert!(all.handle_left(&jid(1)) && !all.handle_left(&jid(1)));
        assert_eq!(all.choose(now), Err(NoRecorder::Free));
    }

    #[test]
    fn who_was_chosen_a_moment_ago_is_left_alone_until_it_has_said_that_it_is_busy() {
        let (now, moment) = (Instant::now(), Duration::from_millis(1));
        let mut all = Recorders::default();
        all.handle_presence(&jid(1), &says(IDLE, WELL));
        assert_eq!(all.choose(now), Ok(jid(1)));
        assert_eq!(all.choose(now + limits::RECORDER_CHOSEN - moment), Err(NoRecorder::Free));
        assert_eq!(all.choose(now + limits::RECORDER_CHOSEN), Ok(jid(1)));
    }

    #[test]
    fn who_failed_is_left_alone_for_a_while_and_comes_last_then() {
        let (now, moment) = (Instant::now(), Duration::from_millis(1));
        let mut all = Recorders::default();
        for n in 1..=2 {
            all.handle_presence(&jid(n), &says(IDLE, WELL));
        }
        all.failed(now, &jid(1));
        assert_eq!(all.choose(now), Ok(jid(2)));
        all.failed(now + moment, &jid(2));
        let later = now + limits::RECORDER_FAILED;
        assert_eq!(all.choose(later - moment), Err(NoRecorder::Free));
        assert_eq!(all.choose(later + moment), Ok(jid(1)), "its failure is longer ago");
        all.failed(later, &jid(2));
        all.handle_presence(&jid(2), &says(IDLE, WELL));
        assert_eq!(all.choose(later), Ok(jid(2)), "it says that it is well again");
    }

    #[test]
    fn so_many_wishes_wait_and_not_one_more() {
        let mut all = Recorders::default();
        let room = |n: usize| format!("r{n}@muc.meet.jitsi").parse().unwrap();
        for n in 0..limits::RECORDINGS_WAITING {
            assert!(all.wait(&room(n)));
        }
        assert!(!all.wait(&room(1_000)));
        all.waits_no_more(&room(0));
        assert!(all.wait(&room(1_000)));
        assert_eq!(
            (all.waiting().first(), all.waiting().len()),
            (Some(&room(1)), limits::RECORDINGS_WAITING)
        );
    }

    #[test]
    fn so_many_recorders_are_known_and_not_one_more() {
        let mut all = Recorders::default();
        for n in 0..=limits::RECORDERS {
            all.handle_presence(&jid(n), &says(IDLE, WELL));
        }
        assert_eq!(all.counts(), (limits::RECORDERS, limits::RECORDERS));
        all.handle_presence(&jid(0), &says("<busy-status status='busy'/>", WELL));
        assert_eq!(all.counts(), (limits::RECORDERS, limits::RECORDERS - 1), "those that are known go on");
    }
}
