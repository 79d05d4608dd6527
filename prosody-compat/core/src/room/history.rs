//! The last messages of a room, as latecomers get them (xmpp-server §3.5).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use jitsi_xmpp::{BareJid, Element, ns};

use crate::clock;
use crate::kept::{Kept, Share, TooMuch};
use crate::limits::Limits;
use crate::outbox::Outgoing;

/// A message that is kept.
pub(crate) struct Entry {
    message: Outgoing,
    id: Option<Box<str>>,
    /// `None`: the room itself.
    author: Option<BareJid>,
    moderated: bool,
    bytes: usize,
    /// What it counts for the author's address.
    share: Share,
    at: Instant,
}

impl Entry {
    /// Whether this account wrote it.
    pub(crate) fn is_of(&self, account: &BareJid) -> bool {
        self.author.as_ref() == Some(account)
    }

    /// Whether a moderator took its words away.
    pub(crate) const fn is_moderated(&self) -> bool {
        self.moderated
    }
}

/// Bounded in number and bytes; the oldest goes first.
#[derive(Default)]
pub(crate) struct History {
    entries: VecDeque<Entry>,
    bytes: usize,
}

/// How much a room keeps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Most {
    messages: usize,
    bytes: usize,
}

impl From<&Limits> for Most {
    fn from(limits: &Limits) -> Self {
        Self { messages: limits.max_history, bytes: limits.max_history_bytes }
    }
}

/// What a newcomer asks for in `<history/>`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wanted {
    stanzas: Option<usize>,
    chars: Option<usize>,
    seconds: Option<u64>,
}

impl Wanted {
    /// Reads the `x` of a join; `unix` is the time now.
    pub(crate) fn read(x: Option<&Element>, unix: Duration) -> Self {
        let Some(h) = x.and_then(|x| x.child("history", ns::MUC)) else { return Self::default() };
        let number = |name| h.attr(name).and_then(|v| v.parse::<u64>().ok());
        let size = |name| number(name).map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        let since = h.attr("since").and_then(clock::parse_iso).map(|t| unix.saturating_sub(t).as_secs());
        let seconds = [number("seconds"), since].into_iter().flatten().min();
        Self { stanzas: size("maxstanzas"), chars: size("maxchars"), seconds }
    }
}

impl History {
    /// Keeps `message`, which is complete but for the recipient, unless `share` refuses so many bytes.
    pub(crate) fn keep(
        &mut self,
        now: Instant,
        author: Option<&BareJid>,
        message: Element,
        most: Most,
        share: impl FnOnce(usize) -> Result<Share, TooMuch>,
    ) {
        let (id, author) = (message.attr("id").map(Into::into), author.cloned());
        let message = Outgoing::new(message);
        let bytes = message.len();
        if bytes > most.bytes || most.messages == 0 {
            return;
        }
        // Room is made first: what goes may be of the same address.
        while self.entries.len() >= most.messages || self.bytes + bytes > most.bytes {
            let Some(old) = self.entries.pop_front() else { break };
            self.bytes -= old.bytes;
        }
        if let Ok(share) = share(bytes) {
            self.entries.push_back(Entry { message, id, author, moderated: false, bytes, share, at: now });
            self.bytes += bytes;
        }
    }

    /// The same messages as somebody else sees them; what cannot be seen from there is left out.
    pub(crate) fn seen_as(&self, change: impl Fn(&mut Element) -> bool) -> Self {
        let mut copy = Self::default();
        for entry in &self.entries {
            let Some(mut message) = entry.message.read() else { continue };
            if change(&mut message) {
                let message = Outgoing::new(message);
                let (id, author, bytes) = (entry.id.clone(), entry.author.clone(), message.len());
                let (moderated, share, at) = (entry.moderated, Kept::ours(), entry.at);
                copy.entries.push_back(Entry { message, id, author, moderated, bytes, share, at });
                copy.bytes += bytes;
            }
        }
        copy
    }

    fn place(&self, id: &str) -> Option<usize> {
        self.entries.iter().rposition(|e| e.id.as_deref() == Some(id))
    }

    /// The newest message with this id.
    pub(crate) fn find(&self, id: &str) -> Option<&Entry> {
        self.entries.get(self.place(id)?)
    }

    /// Takes a message away.
    pub(crate) fn remove(&mut self, id: &str) {
        if let Some(gone) = self.place(id).and_then(|at| self.entries.remove(at)) {
            self.bytes -= gone.bytes;
        }
    }

    /// Takes a message's words away.
    pub(crate) fn moderate(&mut self, id: &str, most: Most, change: impl FnOnce(&mut Element)) {
        if let Some(entry) = self.place(id).and_then(|at| self.entries.get_mut(at)) {
            entry.moderated = true;
        }
        self.rewrite(id, most, change);
    }

    /// Changes a message. What does not fit any more is not kept any more.
    pub(crate) fn rewrite(&mut self, id: &str, most: Most, change: impl FnOnce(&mut Element)) {
        let Some(entry) = self.place(id).and_then(|at| self.entries.get_mut(at)) else { return };
        let changed = entry.message.read().map(|mut message| {
            change(&mut message);
            Outgoing::new(message)
        });
        let fits = |m: &Outgoing, share: &mut Share| m.len() <= most.bytes && share.becomes(m.len()).is_ok();
        match changed.filter(|m| fits(m, &mut entry.share)) {
            Some(message) => {
                self.bytes = self.bytes - entry.bytes + message.len();
                (entry.bytes, entry.message) = (message.len(), message);
            }
            None => self.remove(id),
        }
        while self.bytes > most.bytes {
            let Some(old) = self.entries.pop_front() else { break };
            self.bytes -= old.bytes;
        }
    }

    /// The newest messages that fit what was asked for, oldest first.
    pub(crate) fn replay(&self, now: Instant, wanted: Wanted) -> Vec<Outgoing> {
        let mut chars = wanted.chars.unwrap_or(usize::MAX);
        let mut found: Vec<Outgoing> = self
            .entries
            .iter()
            .rev()
            .take(wanted.stanzas.unwrap_or(usize::MAX))
            .take_while(|e| wanted.seconds.is_none_or(|s| now.saturating_duration_since(e.at).as_secs() <= s))
            .take_while(|e| match chars.checked_sub(e.bytes) {
                Some(rest) => {
                    chars = rest;
                    true
                }
                None => false,
            })
            .map(|e| e.message.clone())
            .collect();
        found.reverse();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Element {
        Element::new("message", ns::CLIENT).with_child(Element::inherit("body").with_text(text))
    }

    #[test]
    fn keeps_the_newest_up_to_each_limit() {
        let now = Instant::now();
        let one = Outgoing::new(message("1")).len();
        for (limits, kept) in [
            (Limits { max_history: 2, ..Limits::default() }, 2),
            (Limits { max_history_bytes: 2 * one, ..Limits::default() }, 2),
            (Limits { max_history_bytes: 2 * one - 1, ..Limits::default() }, 1),
            (Limits { max_history: 0, ..Limits::default() }, 0),
            (Limits { max_history_bytes: one - 1, ..Limits::default() }, 0),
        ] {
            let mut h = History::default();
            for text in ["1", "2", "3"] {
                h.keep(now, None, message(text), (&limits).into(), |_| Ok(Kept::ours()));
            }
            assert_eq!(h.replay(now, Wanted::default()).len(), kept);
        }
    }

    #[test]
    fn a_message_is_changed_or_goes_and_the_bytes_are_counted() {
        let (now, most) = (Instant::now(), Most::from(&Limits::default()));
        let mut h = History::default();
        for id in ["1", "2"] {
            h.keep(now, None, message("words").with_attr("id", id), most, |_| Ok(Kept::ours()));
        }
        let put = |m: &mut Element| {
            m.retain_children(|_| false);
            m.push(Element::inherit("body").with_text("other words"));
        };
        let counted = |h: &History| h.entries.iter().map(|e| e.message.len()).sum::<usize>();
        h.rewrite("1", most, put);
        h.rewrite("3", most, put);
        assert_eq!((h.entries.len(), h.bytes), (2, counted(&h)));
        let told = h.replay(now, Wanted::default())[0].read().unwrap();
        assert_eq!(told, message("other words").with_attr("id", "1"));
        let two = counted(&h);
        h.rewrite("2", Most { bytes: two, ..most }, put);
        assert_eq!((h.entries.len(), h.bytes), (1, counted(&h)), "the oldest makes room");
        h.rewrite("2", Most { bytes: h.bytes - 1, ..most }, put);
        assert_eq!((h.entries.len(), h.bytes), (0, 0), "too large to be kept at all");
    }

    #[test]
    fn a_newcomer_gets_no_more_than_it_asks_for() {
        let now = Instant::now();
        let mut h = History::default();
        for text in ["1", "2", "3"] {
            h.keep(now, None, message(text), (&Limits::default()).into(), |_| Ok(Kept::ours()));
        }
        let ask = |name: &'static str, value: &str| {
            let x = Element::new("x", ns::MUC).with_child(Element::inherit("history").with_attr(name, value));
            h.replay(now + Duration::from_secs(10), Wanted::read(Some(&x), Duration::ZERO)).len()
        };
        assert_eq!((ask("maxstanzas", "0"), ask("maxstanzas", "2"), ask("maxstanzas", "9")), (0, 2, 3));
        assert_eq!((ask("seconds", "9"), ask("seconds", "10")), (0, 3));
        assert_eq!(ask("maxchars", "0"), 0);
    }
}
