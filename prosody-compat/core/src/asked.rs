//! Who was asked what: questions to occupants in; whether an answer is one to them out.
//!
//! Kept by the one who asks, so that who asks without end loses answers to its own questions and nobody else's.

use std::collections::{HashSet, VecDeque};

use crate::session::SessionId;

/// The last questions of a session.
#[derive(Default)]
pub(crate) struct Asked {
    open: HashSet<(SessionId, Box<str>)>,
    /// Oldest first; answered ones included.
    order: VecDeque<(SessionId, Box<str>)>,
}

impl Asked {
    /// `whom` was asked; `most` questions are remembered.
    pub(crate) fn ask(&mut self, whom: SessionId, id: &str, most: usize) {
        let question = (whom, Box::from(id));
        if !self.open.insert(question.clone()) {
            return;
        }
        self.order.push_back(question);
        while self.order.len() > most {
            if let Some(oldest) = self.order.pop_front() {
                self.open.remove(&oldest);
            }
        }
    }

    /// Whether this answers a question; each is answered once.
    pub(crate) fn answer(&mut self, who: SessionId, id: &str) -> bool {
        // All that is left then is answered.
        let was = self.open.remove(&(who, Box::from(id)));
        if self.open.is_empty() {
            self.order.clear();
        }
        was
    }
}
