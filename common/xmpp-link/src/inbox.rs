//! What has arrived and waits for the link's user: stanzas in; the next one out, by weight and in turn.
//!
//! What a role cannot live without (presence, answers, words of components) is never dropped and comes first; requests
//! and chat wait behind it, each sender in a queue of its own. Nobody may hold more than what is still free, so a
//! flood of one leaves room for all others, and a hundred floods leave a hundredth part. What finds no place is given
//! back to be refused.

use std::collections::{HashMap, VecDeque};

use crate::limits;

/// A stanza's outside, as far as it decides about its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outside<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: Option<&'a str>,
    pub(crate) from: Option<&'a str>,
}

impl Outside<'_> {
    /// Whether it asks for an answer.
    pub(crate) fn is_request(&self) -> bool {
        self.name == "iq" && matches!(self.kind, Some("get" | "set"))
    }

    /// Whose queue it waits in; `None`: it is needed.
    fn waits_as(&self) -> Option<&str> {
        let from = self.from.unwrap_or_default();
        // Components have no resource; whoever chats has one.
        (self.is_request() || (self.name == "message" && from.contains('/'))).then_some(from)
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Inbox<T> {
    needed: VecDeque<(usize, T)>,
    needed_bytes: usize,
    others: HashMap<Box<str>, Queue<T>>,
    /// Senders whose turn comes, each once.
    turn: VecDeque<Box<str>>,
    held: usize,
    held_bytes: usize,
    /// Needed ones taken since the last other.
    streak: usize,
}

#[derive(Debug)]
struct Queue<T> {
    stanzas: VecDeque<(usize, T)>,
    bytes: usize,
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        Self {
            needed: VecDeque::new(),
            needed_bytes: 0,
            others: HashMap::new(),
            turn: VecDeque::new(),
            held: 0,
            held_bytes: 0,
            streak: 0,
        }
    }
}

impl<T> Inbox<T> {
    /// Puts a stanza of `bytes` in, or gives it back.
    pub(crate) fn put(&mut self, outside: Outside<'_>, bytes: usize, stanza: T) -> Result<(), T> {
        let Some(sender) = outside.waits_as() else {
            self.needed_bytes += bytes;
            self.needed.push_back((bytes, stanza));
            return Ok(());
        };
        let (own, own_bytes) = self.others.get(sender).map_or((0, 0), |q| (q.stanzas.len(), q.bytes));
        let free = limits::INBOX_STANZAS.saturating_sub(self.held);
        let free_bytes = limits::INBOX_BYTES.saturating_sub(self.held_bytes);
        if own >= free || own_bytes + bytes > free_bytes {
            return Err(stanza);
        }
        self.held += 1;
        self.held_bytes += bytes;
        let queue = match self.others.get_mut(sender) {
            Some(queue) => queue,
            None => {
                self.turn.push_back(sender.into());
                self.others.entry(sender.into()).or_insert(Queue { stanzas: VecDeque::new(), bytes: 0 })
            }
        };
        queue.bytes += bytes;
        queue.stanzas.push_back((bytes, stanza));
        Ok(())
    }

    /// The next stanza: what is needed first, but never for long without one of the others.
    pub(crate) fn take(&mut self) -> Option<T> {
        if (self.streak < limits::INBOX_STREAK || self.turn.is_empty())
            && let Some((bytes, stanza)) = self.needed.pop_front()
        {
            self.needed_bytes -= bytes;
            self.streak += 1;
            return Some(stanza);
        }
        self.streak = 0;
        let sender = self.turn.pop_front()?;
        let queue = self.others.get_mut(&sender)?;
        let (bytes, stanza) = queue.stanzas.pop_front()?;
        queue.bytes -= bytes;
        self.held -= 1;
        self.held_bytes -= bytes;
        if queue.stanzas.is_empty() {
            self.others.remove(&sender);
        } else {
            self.turn.push_back(sender);
        }
        Some(stanza)
    }

    /// Whether so much that is needed waits that no more should be read.
    pub(crate) fn is_full(&self) -> bool {
        self.needed.len() >= limits::INBOX_STANZAS || self.needed_bytes >= limits::INBOX_BYTES
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.needed.is_empty() && self.turn.is_empty()
    }
}

/// The outside of a serialised stanza, read from its first tag. `None`: it is no stanza; whoever parses it says why.
pub(crate) fn outside(stanza: &[u8]) -> Option<Outside<'_>> {
    let text = str::from_utf8(stanza).ok()?.strip_prefix('<')?;
    let end = text.find(|c: char| c.is_ascii_whitespace() || matches!(c, '>' | '/'))?;
    let (name, mut rest) = text.split_at(end);
    let mut outside = Outside { name, kind: None, from: None };
    loop {
        rest = rest.trim_start();
        if rest.starts_with(['>', '/']) {
            return Some(outside);
        }
        let (key, value) = rest.split_once('=')?;
        let value = value.trim_start();
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (value, after) = value.get(1..)?.split_once(quote)?;
        match key.trim_end() {
            "type" => outside.kind = Some(value),
            "from" => outside.from = Some(value),
            _ => {}
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &'static str, kind: &'static str, from: &'static str) -> Outside<'static> {
        Outside { name, kind: Some(kind), from: Some(from) }
    }

    #[test]
    fn the_outside_of_a_stanza_is_read_from_its_first_tag() {
        let read = |text: &'static str| outside(text.as_bytes());
        assert_eq!(
            read(r#"<iq to="a/b>c" xmlns='jabber:client' type = "get"  from='r@m/n"x'><a type="x"/></iq>"#),
            Some(of("iq", "get", "r@m/n\"x"))
        );
        assert_eq!(read("<presence/>"), Some(Outside { name: "presence", kind: None, from: None }));
        for broken in ["", "x", "<iq", "<iq a>", "<iq a=b/>", "<iq a='b/>"] {
            assert_eq!(read(broken), None, "{broken}");
        }
    }

    #[test]
    fn what_is_needed_comes_first_however_much_chat_waits() {
        let mut inbox = Inbox::default();
        for n in 0..100 {
            inbox.put(of("message", "groupchat", "r@m/a"), 10, n).unwrap();
            inbox.put(of("iq", "set", "r@m/a"), 10, n).unwrap();
        }
        inbox.put(of("iq", "result", "brewery@m/jvb"), 10, 1_000).unwrap();
        inbox.put(of("message", "normal", "metadata.x"), 10, 1_001).unwrap();
        inbox.put(Outside { name: "presence", kind: None, from: Some("r@m/b") }, 10, 1_002).unwrap();
        assert_eq!([inbox.take(), inbox.take(), inbox.take()], [Some(1_000), Some(1_001), Some(1_002)]);
        assert_eq!(inbox.take(), Some(0));
    }

    #[test]
    fn senders_take_turns_and_keep_their_order() {
        let mut inbox = Inbox::default();
        for n in 0..50 {
            inbox.put(of("iq", "set", "r@m/evil"), 1, n).unwrap();
        }
        inbox.put(of("iq", "set", "r@m/anna"), 1, 100).unwrap();
        inbox.put(of("iq", "set", "r@m/anna"), 1, 101).unwrap();
        let got: Vec<_> = (0..5).filter_map(|_| inbox.take()).collect();
        assert_eq!(got, [0, 100, 1, 101, 2]);
    }

    #[test]
    fn a_flood_of_one_gets_half_and_not_one_more_and_there_is_a_place_for_the_next() {
        let mut inbox = Inbox::default();
        let flood = |inbox: &mut Inbox<()>, from| {
            (0..limits::INBOX_STANZAS).filter(|_| inbox.put(of("iq", "set", from), 1, ()).is_ok()).count()
        };
        assert_eq!(flood(&mut inbox, "r@m/a"), limits::INBOX_STANZAS / 2);
        assert_eq!(flood(&mut inbox, "r@m/b"), limits::INBOX_STANZAS / 4);
        for n in 0..100 {
            let _ = flood(&mut inbox, ["r@m/c", "r@m/d", "r@m/e", "r@m/f"][n % 4]);
        }
        assert!(inbox.put(of("iq", "set", "r@m/anna"), 1, ()).is_ok());
    }

    #[test]
    fn bytes_are_bounded_like_stanzas() {
        let mut inbox = Inbox::default();
        let third = limits::INBOX_BYTES / 3;
        assert!(inbox.put(of("iq", "set", "r@m/a"), third, ()).is_ok());
        assert!(inbox.put(of("iq", "set", "r@m/a"), third, ()).is_ok());
        assert!(inbox.put(of("iq", "set", "r@m/a"), third, ()).is_err());
        assert!(inbox.put(of("iq", "set", "r@m/b"), third, ()).is_ok());
        while inbox.take().is_some() {}
        assert!(inbox.is_empty() && inbox.put(of("iq", "set", "r@m/a"), third, ()).is_ok());
    }

    #[test]
    fn reading_stops_at_the_bound_of_what_is_needed() {
        let mut inbox = Inbox::default();
        for n in 0..limits::INBOX_STANZAS {
            assert!(!inbox.is_full(), "{n}");
            inbox.put(of("presence", "unavailable", "r@m/a"), 1, ()).unwrap();
        }
        assert!(inbox.is_full());
        let _ = inbox.take();
        assert!(!inbox.is_full());
    }

    #[test]
    fn a_flood_of_presence_does_not_hold_up_requests_for_ever() {
        let mut inbox = Inbox::default();
        inbox.put(of("iq", "set", "r@m/a"), 1, true).unwrap();
        for _ in 0..1_000 {
            inbox.put(of("presence", "unavailable", "r@m/b"), 1, false).unwrap();
        }
        let place = (0..1_000).position(|_| inbox.take() == Some(true));
        assert_eq!(place, Some(limits::INBOX_STREAK));
    }
}
