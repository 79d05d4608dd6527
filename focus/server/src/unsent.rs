//! Stanzas that found no place on the link: one after the other in, the oldest first out; or no room.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::limits;

/// See the module. Bounded by [`limits::UNSENT`] and [`limits::UNSENT_BYTES`].
#[derive(Debug, Default)]
pub(crate) struct Unsent {
    stanzas: VecDeque<Bytes>,
    bytes: usize,
}

impl Unsent {
    /// Keeps a stanza; `false`: there is no room for it.
    #[must_use]
    pub(crate) fn push(&mut self, stanza: Bytes) -> bool {
        if self.stanzas.len() >= limits::UNSENT || self.bytes + stanza.len() > limits::UNSENT_BYTES {
            return false;
        }
        self.bytes += stanza.len();
        self.stanzas.push_back(stanza);
        true
    }

    pub(crate) fn oldest(&self) -> Option<&Bytes> {
        self.stanzas.front()
    }

    /// The oldest is sent.
    pub(crate) fn pop(&mut self) {
        self.bytes -= self.stanzas.pop_front().map_or(0, |s| s.len());
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Bytes> {
        self.stanzas.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.stanzas.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.stanzas.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_stanzas_wait_and_not_one_more() {
        let mut unsent = Unsent::default();
        assert!((0..limits::UNSENT).all(|_| unsent.push(Bytes::from_static(b"x"))));
        assert!(!unsent.push(Bytes::new()));
        unsent.pop();
        assert!(unsent.push(Bytes::new()));
        assert_eq!(unsent.len(), limits::UNSENT);
    }

    #[test]
    fn so_many_bytes_wait_and_not_one_more() {
        let mut unsent = Unsent::default();
        let half = Bytes::from(vec![b'x'; limits::UNSENT_BYTES / 2]);
        assert!(unsent.push(half.clone()) && unsent.push(half.clone()));
        assert!(!unsent.push(Bytes::from_static(b"x")));
        unsent.pop();
        assert!(unsent.push(half));
        unsent.clear();
        assert!(unsent.is_empty() && unsent.bytes == 0 && unsent.oldest().is_none());
    }
}
