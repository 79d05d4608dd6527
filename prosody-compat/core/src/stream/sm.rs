//! XEP-0198 for one session: stanzas sent and acknowledgements in; what to ask and what to send again out.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use jitsi_xmpp::ns;

use crate::limits::Limits;
use crate::outbox::Outgoing;

/// Unacknowledged stanzas after which the server asks, as upstream.
const ASK_AFTER: usize = 5;

/// Time between two questions. Reason: in a busy room each costs the server, the network and a telephone's radio as
/// much as a stanza, and all that an answer frees is room in the queue.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// The part of the queue's bounds beyond which is asked at once.
const URGENT: usize = 4;

/// What a place in the queue takes, with a third of it for places that are free.
const PLACE_BYTES: usize = 12;

/// What a stanza takes beside its bytes, however many queues it is in.
const STANZA_BYTES: usize = 96;

/// Changes of the weight below this are not told. Worst case: so much more than counted for each session.
const STEP: usize = 16 * 1024;

/// Places of the queue that are kept when it has become short.
const KEPT_PLACES: usize = 32;

/// The peer acknowledged more than was sent. Blame: the peer. Consequence: the stream is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more acknowledged than sent")]
pub(crate) struct AckedTooMuch {
    /// What the peer said.
    pub(crate) h: u32,
    /// What was sent.
    pub(crate) sent: u32,
}

/// The counters and the queue of one session.
#[derive(Debug)]
pub(crate) struct StreamManagement {
    id: String,
    /// How long the session waits for another connection at most; `None`: it ends with this one.
    kept_for: Option<Duration>,
    /// Stanzas received since `<enable/>`.
    received: u32,
    sent: u32,
    acked: u32,
    /// Without the address: it is the session's.
    unacked: VecDeque<Outgoing>,
    /// Without those of the address, which is in memory once.
    unacked_bytes: usize,
    /// What [`StreamManagement::take_weight`] said last.
    weighed: usize,
    asked: bool,
    asked_at: Option<Instant>,
    /// A question is due, at the end of the input at hand or at a later time.
    due: bool,
    overflowed: bool,
}

/// What to do about a question that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Nothing.
    No,
    /// Ask; it is assumed that it is then asked.
    Now,
    /// See again at that time; until then nothing more becomes due.
    At(Instant),
}

impl StreamManagement {
    /// Starts counting now; `id` resumes the session for so long after a loss at most, if at all.
    pub(crate) const fn new(id: String, kept_for: Option<Duration>) -> Self {
        Self {
            id,
            kept_for,
            received: 0,
            sent: 0,
            acked: 0,
            unacked: VecDeque::new(),
            unacked_bytes: 0,
            weighed: 0,
            asked: false,
            asked_at: None,
            due: false,
            overflowed: false,
        }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The id under which the session can be found, if it can be resumed.
    pub(crate) fn resumption_key(&self) -> Option<&str> {
        self.kept_for.is_some().then_some(self.id.as_str())
    }

    /// How long the session survives the loss of its transport at most, if at all.
    pub(crate) const fn kept_for(&self) -> Option<Duration> {
        if self.overflowed { None } else { self.kept_for }
    }

    /// Whether too much was left unacknowledged.
    pub(crate) const fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// Stanzas received, modulo 2³².
    pub(crate) const fn received(&self) -> u32 {
        self.received
    }

    /// A stanza came in.
    pub(crate) const fn count_received(&mut self) {
        self.received = self.received.wrapping_add(1);
    }

    /// A stanza goes out. Returns whether the queue just became too large to resume.
    pub(crate) fn push(&mut self, stanza: &Outgoing, limits: &Limits) -> bool {
        self.sent = self.sent.wrapping_add(1);
        if self.overflowed {
            return false;
        }
        if self.unacked.len() >= limits.max_unacked
            || self.unacked_bytes + stanza.len() > limits.max_unacked_bytes
        {
            self.overflow();
            return true;
        }
        self.unacked_bytes += stanza.len();
        self.unacked.push_back(stanza.clone());
        false
    }

    /// Forgets what is unacknowledged: the session cannot be resumed any more.
    pub(crate) fn overflow(&mut self) {
        self.overflowed = true;
        self.unacked = VecDeque::new();
        self.unacked_bytes = 0;
    }

    /// What the queue weighs, its content counted in full.
    pub(crate) fn weight(&self) -> usize {
        self.unacked_bytes + self.unacked.len() * (PLACE_BYTES + STANZA_BYTES)
    }

    /// Whether it weighs more or less than was said, by a step at least: a delivery then costs no more than this question.
    pub(crate) fn has_new_weight(&self) -> bool {
        self.weight() / STEP != self.weighed / STEP
    }

    /// What was said last, and what is said now: whole steps, rounded down.
    pub(crate) fn take_weight(&mut self) -> (usize, usize) {
        let now = self.weight() / STEP * STEP;
        (std::mem::replace(&mut self.weighed, now), now)
    }

    /// What was said last.
    pub(crate) const fn weighed(&self) -> usize {
        self.weighed
    }

    /// What the queue adds to memory, given the contents that other queues hold already.
    pub(crate) fn adds_to(&self, held: &mut HashSet<*const u8>) -> usize {
        let new = |stanza: &&Outgoing| held.insert(stanza.content().as_ptr());
        let contents =
            self.unacked.iter().filter(new).map(|s| s.content().len() + STANZA_BYTES).sum::<usize>();
        contents + self.unacked.len() * PLACE_BYTES
    }

    /// Whether a question has just become due; then [`Self::ask`] is to be called once, when the input is handled:
    /// a burst such as a join is asked about once, at its end.
    pub(crate) fn becomes_due(&mut self) -> bool {
        !self.asked && self.unacked.len() > ASK_AFTER && !std::mem::replace(&mut self.due, true)
    }

    /// Whether to ask for an acknowledgement now.
    pub(crate) fn ask(&mut self, now: Instant, limits: &Limits) -> Ask {
        self.due = false;
        if self.asked || self.unacked.len() <= ASK_AFTER {
            return Ask::No;
        }
        let urgent = self.unacked.len() >= limits.max_unacked / URGENT
            || self.unacked_bytes >= limits.max_unacked_bytes / URGENT;
        match self.asked_at.map(|at| at + ASK_EVERY).filter(|at| *at > now) {
            Some(at) if !urgent => {
                self.due = true;
                Ask::At(at)
            }
            _ => {
                self.asked = true;
                self.asked_at = Some(now);
                Ask::Now
            }
        }
    }

    /// Nobody is there to be asked; a new transport is asked at once.
    pub(crate) const fn forget_question(&mut self) {
        self.due = false;
    }

    /// The peer has received `h` stanzas.
    pub(crate) fn acknowledge(&mut self, h: u32) -> Result<(), AckedTooMuch> {
        let newly = h.wrapping_sub(self.acked);
        let open = self.sent.wrapping_sub(self.acked);
        if newly > open {
            return Err(AckedTooMuch { h, sent: self.sent });
        }
        self.acked = h;
        self.asked = false;
        for _ in 0..newly {
            if let Some(stanza) = self.unacked.pop_front() {
                self.unacked_bytes -= stanza.len();
            }
        }
        // Thousands of sessions that have all seen the same burst would keep its places for ever.
        if self.unacked.capacity() > KEPT_PLACES && self.unacked.len() < self.unacked.capacity() / 4 {
            self.unacked.shrink_to(KEPT_PLACES);
        }
        Ok(())
    }

    /// What the peer has not acknowledged, to be sent again on a new transport. It stays in the queue.
    pub(crate) fn unacked(&mut self) -> Vec<Outgoing> {
        self.asked = false;
        self.unacked.iter().cloned().collect()
    }

    /// The new transport asked for an acknowledgement.
    pub(crate) const fn asked(&mut self) {
        self.asked = true;
    }
}

/// What an acknowledgement says, written as clients write it: `<a xmlns="urn:xmpp:sm:3" h="7"/>`. `None`: anything else, which is for
/// the parser. In a busy room there are more of them than of all other stanzas, and parsing was two fifths of what a delivery cost.
pub(super) fn acknowledgement(frame: &[u8]) -> Option<u32> {
    let inside = frame.strip_prefix(b"<a ")?.strip_suffix(b"/>")?;
    let mut attrs = inside.strip_suffix(b" ").unwrap_or(inside).split(|b| *b == b' ');
    let (one, two) = (attrs.next()?, attrs.next()?);
    let (h, ns) = if one.starts_with(b"h=") { (one, two) } else { (two, one) };
    if attrs.next().is_some() || value(ns, b"xmlns=")? != ns::SM.as_bytes() {
        return None;
    }
    let h = std::str::from_utf8(value(h, b"h=")?).ok()?;
    h.parse().ok().filter(|_| h.bytes().all(|b| b.is_ascii_digit()))
}

fn value<'a>(attr: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    match attr.strip_prefix(name)? {
        [b'"', value @ .., b'"'] | [b'\'', value @ .., b'\''] => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledgements_as_clients_write_them_are_read_without_a_parser_and_nothing_else_is() {
        for text in [
            r#"<a xmlns="urn:xmpp:sm:3" h="4294967295"/>"#,
            r#"<a h="4294967295" xmlns="urn:xmpp:sm:3"/>"#,
            "<a h='4294967295' xmlns='urn:xmpp:sm:3' />",
        ] {
            assert_eq!(acknowledgement(text.as_bytes()), Some(u32::MAX), "{text}");
            // The parser says the same.
            let e = jitsi_xmpp::xml::parse(text.as_bytes()).unwrap();
            assert_eq!((e.is("a", ns::SM), e.attr("h")), (true, Some("4294967295")), "{text}");
        }
        for text in [
            "<a/>",
            r#"<a h="1"/>"#,
            r#"<a xmlns="urn:xmpp:sm:3"/>"#,
            r#"<a xmlns="urn:xmpp:sm:2" h="1"/>"#,
            r#"<a xmlns="urn:xmpp:sm:3" h="4294967296"/>"#,
            r#"<a xmlns="urn:xmpp:sm:3" h="+1"/>"#,
            r#"<a xmlns="urn:xmpp:sm:3" h=""/>"#,
            r#"<a xmlns="urn:xmpp:sm:3" h="1'/>"#,
            r#"<a xmlns="urn:xmpp:sm:3" h="1" x="2"/>"#,
            r#"<a xmlns="urn:xmpp:sm:3" h="1" h="2"/>"#,
            r#"<a h="1" h="2"/>"#,
            r#"<a xmlns="urn:xmpp:sm:3" h="1"></a>"#,
            r#"<b xmlns="urn:xmpp:sm:3" h="1"/>"#,
        ] {
            assert_eq!(acknowledgement(text.as_bytes()), None, "{text}");
        }
    }

    fn stanza() -> Outgoing {
        Outgoing::presence("\"/>".into())
    }

    #[test]
    fn asks_once_after_more_than_five_and_again_after_the_answer() {
        let (mut sm, limits) =
            (StreamManagement::new("x".into(), Some(Duration::from_secs(60))), Limits::default());
        let now = Instant::now();
        for _ in 0..5 {
            sm.push(&stanza(), &limits);
            assert!(!sm.becomes_due());
        }
        sm.push(&stanza(), &limits);
        assert!(sm.becomes_due());
        sm.push(&stanza(), &limits);
        assert!(!sm.becomes_due(), "told once");
        assert_eq!(sm.ask(now, &limits), Ask::Now);
        sm.push(&stanza(), &limits);
        assert!(!sm.becomes_due(), "one question at a time");
        sm.acknowledge(1).unwrap();
        assert!(sm.becomes_due());
        assert_eq!(sm.ask(now + ASK_EVERY, &limits), Ask::Now);
        assert_eq!(sm.unacked().len(), 7);
    }

    #[test]
    fn asks_at_most_once_a_second_unless_much_waits() {
        let limits = Limits { max_unacked: 100, ..Limits::default() };
        let mut sm = StreamManagement::new("x".into(), Some(Duration::from_secs(60)));
        let now = Instant::now();
        let push = |sm: &mut StreamManagement, n| (0..n).for_each(|_| _ = sm.push(&stanza(), &limits));
        push(&mut sm, 6);
        assert_eq!(sm.ask(now, &limits), Ask::Now);
        sm.acknowledge(6).unwrap();
        push(&mut sm, 24);
        assert!(sm.becomes_due());
        assert_eq!(sm.ask(now, &limits), Ask::At(now + ASK_EVERY));
        assert!(!sm.becomes_due(), "a time is set");
        assert_eq!(sm.ask(now + ASK_EVERY, &limits), Ask::Now);
        sm.acknowledge(30).unwrap();
        push(&mut sm, 25);
        assert!(sm.becomes_due());
        assert_eq!(sm.ask(now + ASK_EVERY, &limits), Ask::Now, "a quarter of the bound");
        sm.acknowledge(55).unwrap();
        assert_eq!(sm.ask(now + ASK_EVERY, &limits), Ask::No, "nothing waits");
    }

    #[test]
    fn a_burst_does_not_keep_its_places() {
        let (mut sm, limits) =
            (StreamManagement::new("x".into(), Some(Duration::from_secs(60))), Limits::default());
        (0..1_000).for_each(|_| _ = sm.push(&stanza(), &limits));
        sm.acknowledge(1_000).unwrap();
        assert!(sm.unacked.capacity() <= 2 * KEPT_PLACES, "{}", sm.unacked.capacity());
    }

    #[test]
    fn acknowledging_more_than_sent_is_an_error_also_around_the_wrap() {
        let (mut sm, limits) =
            (StreamManagement::new("x".into(), Some(Duration::from_secs(60))), Limits::default());
        sm.sent = u32::MAX;
        sm.acked = u32::MAX;
        sm.push(&stanza(), &limits);
        assert_eq!(sm.acknowledge(1), Err(AckedTooMuch { h: 1, sent: 0 }));
        sm.acknowledge(0).unwrap();
        assert!(sm.unacked().is_empty());
        assert!(sm.acknowledge(u32::MAX).is_err(), "going back is acknowledging far too much");
    }

    #[test]
    fn the_queue_is_bounded_in_stanzas_and_in_bytes() {
        let limits = Limits { max_unacked: 2, ..Limits::default() };
        let mut sm = StreamManagement::new("x".into(), Some(Duration::from_secs(60)));
        assert!(!sm.push(&stanza(), &limits) && !sm.push(&stanza(), &limits));
        assert!(sm.kept_for().is_some());
        assert!(sm.push(&stanza(), &limits), "one beyond");
        assert!(sm.kept_for().is_none() && sm.unacked().is_empty());
        assert!(!sm.push(&stanza(), &limits), "told once");
        sm.acknowledge(4).unwrap();

        let limits = Limits { max_unacked_bytes: 2 * stanza().len(), ..Limits::default() };
        let mut sm = StreamManagement::new("x".into(), Some(Duration::from_secs(60)));
        assert!(!sm.push(&stanza(), &limits) && !sm.push(&stanza(), &limits));
        assert!(sm.push(&stanza(), &limits), "one byte beyond is beyond");
    }
}
