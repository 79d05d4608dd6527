//! One BOSH session: requests and the server's frames in; answers to requests and the client's stanzas out.
//!
//! `R` stands for an open HTTP request; the engine only keeps it and gives it back with its answer. A request
//! whose connection broke is answered all the same: the client sends the same `rid` again and gets the answer
//! that was kept.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use jitsi_xmpp::ns;
use jitsi_xmpp::xml::escape_attr;

use super::body::{self, Body, Condition, Creation};
use super::limits;

/// What has to happen. In order.
#[derive(Debug, PartialEq)]
pub enum Effect<R> {
    /// Answer a request, status 200.
    Answer(R, Bytes),
    /// One frame for the server: a stanza, or the framing element that opens the stream.
    Frame(Bytes),
    /// The session is over for the client.
    Closed {
        /// It said goodbye.
        clean: bool,
        /// Why, for the log and the counter.
        reason: &'static str,
    },
}

/// One session; `R` is what the owner calls an open request.
#[derive(Debug)]
pub struct Engine<R> {
    sid: String,
    to: String,
    lang: Option<String>,
    wait: Duration,
    /// Taken by the first answer.
    creation: Option<Creation>,
    /// The next request to process.
    expected: u64,
    /// Processed and not yet answered, oldest first; at most `hold` after each step.
    held: VecDeque<Held<R>>,
    /// Arrived before one that was sent earlier.
    early: BTreeMap<u64, (Body, R)>,
    /// The last answers, for requests that are sent again.
    answered: VecDeque<(u64, Bytes)>,
    /// Frames from the server, to go with the next answer.
    outgoing: Vec<Bytes>,
    outgoing_bytes: usize,
    /// When the last request was answered: from then on the client is silent.
    silent_since: Instant,
    /// Polls that only served to have an earlier one answered, in the current interval.
    idle_polls: u32,
    idle_since: Instant,
    state: State,
    effects: VecDeque<Effect<R>>,
}

#[derive(Debug)]
struct Held<R> {
    rid: u64,
    request: R,
    until: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The server has ended the stream; the client hears it with its next request.
    Ending(Option<&'static str>),
    Over,
}

impl<R> Engine<R> {
    /// A session made by `request`, which must not carry a `sid`. Refusals are XEP-0124's conditions.
    pub fn new(now: Instant, sid: String, request: Body, reply: R) -> Result<Self, (Condition, R)> {
        let Some(to) = request.to.clone().filter(|to| !to.is_empty()) else {
            return Err((Condition::ImproperAddressing, reply));
        };
        let Some(wait) = request.wait.as_deref().and_then(|w| w.parse::<u64>().ok()) else {
            return Err((Condition::BadRequest, reply));
        };
        let wait = wait.min(limits::MAX_WAIT.as_secs());
        let mut engine = Self {
            sid,
            lang: request.lang.clone(),
            wait: Duration::from_secs(wait),
            creation: Some(Creation { from: to.clone(), wait }),
            to,
            expected: request.rid,
            held: VecDeque::new(),
            early: BTreeMap::new(),
            answered: VecDeque::new(),
            outgoing: Vec::new(),
            outgoing_bytes: 0,
            silent_since: now,
            idle_polls: 0,
            idle_since: now,
            state: State::Open,
            effects: VecDeque::new(),
        };
        engine.open_stream();
        engine.process(now, request, reply);
        Ok(engine)
    }

    /// A further request of this session.
    pub fn handle_request(&mut self, now: Instant, request: Body, reply: R) {
        let rid = request.rid;
        if self.state == State::Over {
            let over = body::terminate(Some(&self.sid), Some(ITEM_NOT_FOUND), &[]);
            self.effects.push_back(Effect::Answer(reply, over));
            return;
        }
        if rid == self.expected {
            self.process(now, request, reply);
            while self.state != State::Over
                && let Some((request, reply)) = self.early.remove(&self.expected)
            {
                self.process(now, request, reply);
            }
        } else if rid > self.expected && rid - self.expected <= limits::REQUESTS {
            if let Some((_, older)) = self.early.insert(rid, (request, reply)) {
                self.effects.push_back(Effect::Answer(older, body::answer(&self.sid, None, &[])));
            }
        } else if let Some(held) = self.held.iter_mut().find(|h| h.rid == rid) {
            // Sent again because its connection broke: the answer goes to the new one.
            held.until = now + self.wait;
            let older = std::mem::replace(&mut held.request, reply);
            self.effects.push_back(Effect::Answer(older, body::answer(&self.sid, None, &[])));
        } else if let Some((_, kept)) = self.answered.iter().find(|(r, _)| *r == rid) {
            self.effects.push_back(Effect::Answer(reply, kept.clone()));
        } else {
            self.held.push_back(Held { rid, request: reply, until: now });
            self.end(now, Some(ITEM_NOT_FOUND), false, "bosh_rid");
        }
    }

    /// A frame from the server. Call [`Engine::flush`] after the last one at hand.
    pub fn handle_frame(&mut self, now: Instant, frame: Bytes) {
        if self.state != State::Open || frame.starts_with(b"<open ") {
            // There is no stream header in BOSH: the body is it.
            return;
        }
        if frame.starts_with(b"<close ") {
            self.handle_server_closed(now, None);
            return;
        }
        if frame.starts_with(b"<stream:error") {
            let unknown_host = frame.windows(12).any(|w| w == b"host-unknown");
            if self.creation.is_some() && unknown_host {
                self.state = State::Ending(Some(IMPROPER_ADDRESSING));
            } else {
                self.push(frame);
                self.state = State::Ending(Some("remote-stream-error"));
            }
            return;
        }
        self.push(frame);
    }

    /// The server has ended the session, for this XEP-0124 condition or plainly.
    pub fn handle_server_closed(&mut self, now: Instant, condition: Option<&'static str>) {
        if self.state == State::Open {
            self.state = State::Ending(condition);
        }
        self.flush(now);
    }

    /// Answers a held request if there is something to say.
    pub fn flush(&mut self, now: Instant) {
        match self.state {
            State::Open => {
                if !self.outgoing.is_empty() && !self.held.is_empty() {
                    self.answer_oldest(now);
                }
            }
            State::Ending(condition) => {
                if !self.held.is_empty() {
                    self.end(now, condition, true, "bosh_server_closed");
                }
            }
            State::Over => {}
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        while self.state != State::Over && self.held.front().is_some_and(|h| h.until <= now) {
            self.answer_oldest(now);
        }
        if self.state != State::Over && self.held.is_empty() && now >= self.silent_since + limits::INACTIVITY
        {
            self.end(now, Some(ITEM_NOT_FOUND), false, "bosh_inactive");
        }
    }

    /// When to call [`Engine::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.state == State::Over {
            return None;
        }
        Some(self.held.front().map_or(self.silent_since + limits::INACTIVITY, |h| h.until))
    }

    /// The next thing to do, in order.
    pub fn poll_effect(&mut self) -> Option<Effect<R>> {
        self.effects.pop_front()
    }

    /// Whether enough waits for the client: leave further frames where they are.
    pub fn is_full(&self) -> bool {
        self.outgoing_bytes >= limits::BODY_BYTES
    }

    /// Bytes kept for the client: what waits for its next request, and the last answers.
    pub fn kept(&self) -> usize {
        self.outgoing_bytes + self.answered.iter().map(|(_, answer)| answer.len()).sum::<usize>()
    }

    /// Its address has too much waiting: the session is over.
    pub fn handle_too_much(&mut self, now: Instant) {
        self.end(now, Some(POLICY_VIOLATION), false, "bosh_backlog");
    }

    fn process(&mut self, now: Instant, request: Body, reply: R) {
        self.expected = request.rid + 1;
        let first = self.creation.is_some() && self.held.is_empty();
        self.held.push_back(Held { rid: request.rid, request: reply, until: now + self.wait });
        if let State::Ending(condition) = self.state {
            self.end(now, condition, true, "bosh_server_closed");
            return;
        }
        if !first && request.is_poll() && self.is_overactive(now) {
            self.end(now, Some(POLICY_VIOLATION), false, "bosh_overactive");
            return;
        }
        if request.restart {
            self.open_stream();
        }
        for stanza in request.stanzas {
            self.effects.push_back(Effect::Frame(stanza));
        }
        if request.terminate {
            self.end(now, None, true, "bosh_terminated");
            return;
        }
        while self.held.len() > limits::HOLD {
            self.answer_oldest(now);
        }
        self.flush(now);
    }

    /// A poll while another is held gets that one answered with nothing, XEP-0124 §11; more often than any client
    /// has reason to, it is a flood.
    fn is_overactive(&mut self, now: Instant) -> bool {
        if self.held.len() <= limits::HOLD || !self.outgoing.is_empty() {
            return false;
        }
        if now >= self.idle_since + limits::POLLING {
            self.idle_since = now;
            self.idle_polls = 0;
        }
        self.idle_polls += 1;
        self.idle_polls > limits::IDLE_POLLS
    }

    fn answer_oldest(&mut self, now: Instant) {
        let Some(held) = self.held.pop_front() else { return };
        self.outgoing_bytes = 0;
        let stanzas = std::mem::take(&mut self.outgoing);
        let creation = self.creation.take();
        let bytes = body::answer(&self.sid, creation.as_ref(), &stanzas);
        self.answered.push_back((held.rid, bytes.clone()));
        while self.answered.len() as u64 > limits::REQUESTS {
            self.answered.pop_front();
        }
        self.silent_since = now;
        self.effects.push_back(Effect::Answer(held.request, bytes));
    }

    /// Ends the session: the newest request gets the terminating answer, older ones what was still to be said.
    fn end(&mut self, now: Instant, condition: Option<&'static str>, clean: bool, reason: &'static str) {
        while self.held.len() > 1 {
            self.answer_oldest(now);
        }
        if let Some(held) = self.held.pop_front() {
            let stanzas = std::mem::take(&mut self.outgoing);
            let bytes = body::terminate(Some(&self.sid), condition, &stanzas);
            self.effects.push_back(Effect::Answer(held.request, bytes));
        }
        for (_, (_, request)) in std::mem::take(&mut self.early) {
            let bytes = body::terminate(Some(&self.sid), condition, &[]);
            self.effects.push_back(Effect::Answer(request, bytes));
        }
        self.outgoing = Vec::new();
        self.outgoing_bytes = 0;
        self.answered.clear();
        self.state = State::Over;
        self.effects.push_back(Effect::Closed { clean, reason });
    }

    fn push(&mut self, frame: Bytes) {
        self.outgoing_bytes += frame.len();
        self.outgoing.push(frame);
    }

    /// For the server a BOSH stream opens like a WebSocket's: with a framing element.
    fn open_stream(&mut self) {
        let mut open = format!("<open xmlns=\"{}\" version=\"1.0\" to=\"", ns::FRAMING);
        escape_attr(&self.to, &mut open);
        if let Some(lang) = &self.lang {
            open.push_str("\" xml:lang=\"");
            escape_attr(lang, &mut open);
        }
        open.push_str("\"/>");
        self.effects.push_back(Effect::Frame(Bytes::from(open)));
    }
}

const ITEM_NOT_FOUND: &str = Condition::ItemNotFound.as_str();
const POLICY_VIOLATION: &str = Condition::PolicyViolation.as_str();
const IMPROPER_ADDRESSING: &str = Condition::ImproperAddressing.as_str();
