//! From which browsers people come: their requests for the room in, by what only the focus is told; who of those who join was here before out.
//!
//! A page that is loaded anew makes its person somebody else for the server. The number that the client sends with its request is the
//! browser's; others in the room never see it, so nobody passes for another. It is kept as a hash, in memory, as long as it is needed.
//! A successor that hashes otherwise takes nobody for somebody else: the right goes on after its time.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Instant;

use jitsi_xmpp::{Jid, Sensitive};

use super::Conference;
use crate::handover::{HandoverError, at_most};
use crate::limits;

/// Who has asked for the room and is not in it yet, oldest first.
#[derive(Debug, Default)]
pub(super) struct Browsers {
    asked: VecDeque<(u64, u64)>,
}

impl Browsers {
    /// The browser of who comes in.
    pub(super) fn take(&mut self, real: &Jid) -> Option<u64> {
        let who = hash(real.as_str());
        let at = self.asked.iter().position(|(asked, _)| *asked == who)?;
        self.asked.remove(at).map(|(_, browser)| browser)
    }

    fn note(&mut self, real: &Jid, machine: &str) {
        let who = hash(real.as_str());
        self.asked.retain(|(asked, _)| *asked != who);
        if self.asked.len() >= limits::BROWSERS {
            self.asked.pop_front();
        }
        self.asked.push_back((who, hash(machine)));
    }

    pub(super) fn written(&self) -> Vec<(u64, u64)> {
        self.asked.iter().copied().collect()
    }

    pub(super) fn read_written(from: Vec<(u64, u64)>) -> Result<Self, HandoverError> {
        at_most(&from, limits::BROWSERS, "browsers")?;
        Ok(Self { asked: from.into() })
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.asked.len()
    }
}

/// The owner has left, and its right waits for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Away {
    pub(crate) browser: u64,
    pub(crate) until: Instant,
}

impl Conference {
    /// Somebody who wants to come in says from which browser.
    pub(crate) fn asked_from(&mut self, from: Option<&Jid>, machine: Option<&Sensitive<String>>) {
        if let (Some(from), Some(machine)) = (from, machine.filter(|m| !m.reveal().is_empty())) {
            self.browsers.note(from, machine.reveal());
        }
    }

    #[cfg(test)]
    pub(crate) fn browsers_known(&self) -> usize {
        self.browsers.len()
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
