//! Public keys of others: which key a token needs in; the key, no, or wait and whom to ask, out. Sans-IO.
//!
//! | source | asked | kept |
//! |---|---|---|
//! | document (JWKS or `{kid: PEM}`) | at the start, then when it says, and at most once a minute when a token names a key that is not in it | what vanished, 90 minutes more |
//! | key server | for each key once, then every six hours as long as it is used | the 128 that were used last |
//!
//! Whoever makes up names of keys gains nothing: only keys that are there take places among those that are kept; names that are not
//! are remembered in a table of their own; and asking has a budget by address and one in all.

mod document;
mod served;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use budget::Network;

use crate::key::{KeyId, RsaKey};
use crate::refusal::Refusal;
use crate::rules::Servers;
use document::Document;
use served::{Held, Served};

/// Names a question. Answers to others are not heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FetchId(u64);

/// A question to carry out: `GET`, without a body, redirects not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// For [`Keys::handle_answer`].
    pub id: FetchId,
    /// One of the two addresses that the admin has named, and behind the key server's the hash of a key's name.
    pub url: String,
    /// Time from connecting to the end of the answer.
    pub timeout: Duration,
    /// A longer answer is [`Answer::Unreachable`].
    pub most_bytes: usize,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// An answer.
    Response {
        /// HTTP's status.
        status: u16,
        /// The header `Cache-Control`.
        cache_control: Option<String>,
        /// The body.
        body: Vec<u8>,
    },
    /// Nobody there, not in time, broken off or too long.
    Unreachable,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Ask this.
    Fetch(Fetch),
    /// Whoever waits for this calls [`Keys::need`] again.
    Settled(Settled),
}

/// What is known now, one way or the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// One key.
    Key(KeyId),
    /// All that waited for the document.
    All,
}

/// A key, or not.
#[derive(Debug, Clone, PartialEq)]
pub enum Need {
    /// Here.
    Have(RsaKey),
    /// It is being asked for: ask again after [`Output::Settled`].
    Wait,
    /// Nobody has it, or it may not be asked for now.
    Refused(Refusal),
}

/// The keys of one host.
#[derive(Debug)]
pub struct Keys {
    document: Option<Document>,
    served: Option<Served>,
    fetches: u64,
    outputs: VecDeque<Output>,
}

impl Keys {
    /// Without any yet; begins to read the document.
    pub fn new(servers: &Servers, now: Instant) -> Self {
        let mut keys = Self {
            document: servers.document.clone().map(|url| Document::new(servers.hash, url, now)),
            served: servers.key_server.clone().map(|url| Served::new(servers.hash, url)),
            fetches: 0,
            outputs: VecDeque::new(),
        };
        keys.handle_timeout(now);
        keys
    }

    /// Somebody at `peer` has a token that names this key.
    pub fn need(&mut self, now: Instant, peer: Option<Network>, id: &KeyId) -> Need {
        if let Some(key) = self.document.as_ref().and_then(|d| d.key(now, id)) {
            return Need::Have(key);
        }
        let held = self.served.as_mut().map(|s| s.held(now, id));
        let need = match held {
            Some(Held::Key(key)) => Need::Have(key),
            // Before the document: who has waited for both has waited enough.
            Some(Held::Absent) => Need::Refused(Refusal::NoKey),
            _ if self.document.as_mut().is_some_and(|d| d.may_have_changed(now)) => Need::Wait,
            Some(Held::Asking) => Need::Wait,
            Some(Held::Unknown) if self.served.as_mut().is_some_and(|s| s.ask(now, peer, id)) => Need::Wait,
            Some(Held::Unknown) | None => Need::Refused(Refusal::NoKey),
        };
        self.handle_timeout(now);
        need
    }

    /// A question was answered, or not.
    pub fn handle_answer(&mut self, now: Instant, id: FetchId, answer: Answer) {
        let settled = match self.document.as_mut().filter(|d| d.asked(id)) {
            Some(document) => {
                document.answered(now, answer);
                Some(Settled::All)
            }
            None => self.served.as_mut().and_then(|s| s.answered(now, id, answer)).map(Settled::Key),
        };
        self.outputs.extend(settled.map(Output::Settled));
        self.handle_timeout(now);
    }

    /// [`Keys::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        let Self { document, served, fetches, outputs } = self;
        let mut next = || {
            *fetches += 1;
            FetchId(*fetches)
        };
        if let Some(document) = document {
            if document.gave_up(now) {
                outputs.push_back(Output::Settled(Settled::All));
            }
            outputs.extend(document.due(now, &mut next).map(Output::Fetch));
        }
        if let Some(served) = served {
            outputs.extend(served.gave_up(now).into_iter().map(|id| Output::Settled(Settled::Key(id))));
            outputs.extend(served.due(now, &mut next).into_iter().map(Output::Fetch));
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Keys::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        let document = self.document.as_ref().map(Document::deadline);
        let served = self.served.as_ref().and_then(Served::deadline);
        document.into_iter().chain(served).min()
    }
}

/// How long an answer may be late before it counts as lost: the shell has the same time.
const GRACE: Duration = Duration::from_secs(1);
