//! IQ stanzas: building requests and replies, and matching replies to the requests that wait for them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::stanza_error::StanzaError;
use crate::xml::Element;
use crate::{Jid, ns};

/// The result reply to `request`: addresses swapped, id kept, `payload` as only child.
pub fn result(request: &Element, payload: Option<Element>) -> Element {
    let mut iq = reply(request, "result");
    if let Some(p) = payload {
        iq.push(p);
    }
    iq
}

/// The error reply to `request` (any stanza kind): addresses swapped, id kept, `<error/>` as only child.
pub fn error(request: &Element, error: &StanzaError) -> Element {
    let mut stanza = reply(request, "error");
    stanza.push(error.to_element());
    stanza
}

fn reply(request: &Element, kind: &str) -> Element {
    let mut r = Element::new(request.name().to_owned(), ns::CLIENT).with_attr("type", kind);
    if let Some(id) = request.attr("id") {
        r.set_attr("id", id);
    }
    if let Some(to) = request.attr("to") {
        r.set_attr("from", to);
    }
    if let Some(from) = request.attr("from") {
        r.set_attr("to", from);
    }
    r
}

/// A `get` or `set` request without id and from; the sender of the stream fills in the rest.
pub fn request(kind: &str, to: &Jid, id: &str, payload: Element) -> Element {
    Element::new("iq", ns::CLIENT)
        .with_attr("type", kind)
        .with_attr("to", to.as_str())
        .with_attr("id", id)
        .with_child(payload)
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// `type='result'`, the whole stanza.
    Result(Element),
    /// `type='error'`, read; the whole stanza is kept for application conditions.
    Error(StanzaError, Element),
    /// No reply before the deadline.
    Timeout,
}

/// Requests that wait for a reply, with what to do then (`T`). Bounded by [`IqTracker::MAX`].
#[derive(Debug)]
pub struct IqTracker<T> {
    prefix: String,
    next: u64,
    waiting: HashMap<String, (Jid, Instant, T)>,
}

impl<T> IqTracker<T> {
    /// Most requests under way at once. Reason: 500 participants × a few requests. About 300 bytes each.
    pub const MAX: usize = 10_000;

    /// A tracker whose ids start with `prefix` (unique per connection, so that late replies do not match).
    pub fn new(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), next: 0, waiting: HashMap::new() }
    }

    /// Registers a request to `to` and returns the id to send it with; `None` when too many wait.
    pub fn register(&mut self, now: Instant, to: &Jid, timeout: Duration, then: T) -> Option<String> {
        if self.waiting.len() >= Self::MAX {
            return None;
        }
        self.next += 1;
        let id = format!("{}{}", self.prefix, self.next);
        self.waiting.insert(id.clone(), (to.clone(), now + timeout, then));
        Some(id)
    }

    /// Matches a received IQ of type result or error; the sender must be the one asked.
    pub fn take(&mut self, iq: &Element) -> Option<(T, Answer)> {
        let kind = iq.attr("type")?;
        if iq.name() != "iq" || !matches!(kind, "result" | "error") {
            return None;
        }
        let id = iq.attr("id")?;
        let from: Option<Jid> = iq.attr("from").and_then(|f| f.parse().ok());
        let (to, ..) = self.waiting.get(id)?;
        if from.is_some_and(|f| f != *to) {
            return None;
        }
        let (_, _, then) = self.waiting.remove(id)?;
        let answer = if kind == "result" {
            Answer::Result(iq.clone())
        } else {
            let e = StanzaError::from_stanza(iq)
                .unwrap_or_else(|| StanzaError::new(crate::Condition::UndefinedCondition));
            Answer::Error(e, iq.clone())
        };
        Some((then, answer))
    }

    /// The requests whose deadline has passed; call until `None`.
    pub fn take_expired(&mut self, now: Instant) -> Option<T> {
        let id = self.waiting.iter().find(|(_, (_, at, _))| *at <= now).map(|(id, _)| id.clone())?;
        self.waiting.remove(&id).map(|(_, _, then)| then)
    }

    /// When the next request expires.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.waiting.values().map(|(_, at, _)| *at).min()
    }

    /// Everything that still waits, e.g. when the connection is gone.
    pub fn drain(&mut self) -> Vec<T> {
        self.waiting.drain().map(|(_, (_, _, then))| then).collect()
    }

    /// How many requests wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
