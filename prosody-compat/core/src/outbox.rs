//! One stanza in; for each recipient a frame out that shares all bytes but the recipient's address. And what is to be done, in order,
//! of which a stanza to many is one thing until it is taken.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use jitsi_xmpp::ns;
use jitsi_xmpp::xml::{Element, XmlLimits, escape_attr, parse_with};

use crate::output::{ConnId, Frame, Output};

/// A stanza serialised once. Every session that it went to holds it until it is acknowledged: eight bytes each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outgoing(Arc<Parts>);

/// Everything before the recipient's address, and everything after it.
#[derive(Debug, PartialEq, Eq)]
struct Parts {
    head: &'static str,
    tail: Bytes,
}

impl Outgoing {
    /// Serialises `stanza`; its own `to`, if any, is dropped.
    pub(crate) fn new(mut stanza: Element) -> Self {
        stanza.remove_attr("to");
        let xml = stanza.to_xml();
        let name_end = 1 + stanza.name().len();
        let rest = xml.get(name_end..).unwrap_or_default();
        let mut tail = String::with_capacity(rest.len() + 1);
        tail.push('"');
        tail.push_str(rest);
        let head = match stanza.name() {
            "iq" => "<iq to=\"",
            "presence" => "<presence to=\"",
            // There are three kinds of stanzas.
            _ => "<message to=\"",
        };
        Self(Arc::new(Parts { head, tail: tail.into() }))
    }

    /// A presence of which everything behind the recipient's address, from its quotation mark on, is `tail`.
    pub(crate) fn presence(tail: Bytes) -> Self {
        Self(Arc::new(Parts { head: "<presence to=\"", tail }))
    }

    /// The same of a message.
    pub(crate) fn message(tail: String) -> Self {
        Self(Arc::new(Parts { head: "<message to=\"", tail: tail.into() }))
    }

    /// What the same broadcast to others shares.
    pub(crate) fn content(&self) -> &Bytes {
        &self.0.tail
    }

    /// What stands before the recipient's address, and what behind it.
    pub(crate) fn around(&self) -> (&'static str, &[u8]) {
        (self.0.head, &self.0.tail)
    }

    /// Whether it is the same one, not only an equal one.
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The stanza again. `None`: never, as the bytes are an element's.
    pub(crate) fn read(&self) -> Option<Element> {
        let bytes = [self.0.head.as_bytes(), &self.0.tail].concat();
        let most = XmlLimits {
            max_bytes: bytes.len(),
            max_elements: bytes.len(),
            max_attrs: bytes.len(),
            ..XmlLimits::default()
        };
        let mut stanza = parse_with(&bytes, ns::CLIENT, &most).ok()?;
        stanza.remove_attr("to");
        Some(stanza)
    }

    /// Bytes, without those of the recipient.
    pub(crate) fn len(&self) -> usize {
        self.0.head.len() + self.0.tail.len()
    }

    /// The frame for one recipient; `to` is an escaped address made by [`address`].
    pub(crate) fn addressed(&self, to: &Arc<str>) -> Frame {
        Frame::addressed(Arc::clone(to), self.clone())
    }
}

/// What the shell shall do, in order.
#[derive(Default)]
pub(crate) struct Outbox(VecDeque<Entry>);

enum Entry {
    One(Output),
    /// This, to each of these.
    Many(Outgoing, VecDeque<(ConnId, Arc<str>)>),
}

impl Outbox {
    pub(crate) fn push_back(&mut self, output: Output) {
        self.0.push_back(Entry::One(output));
    }

    /// Sends a stanza to one more; `to` is an escaped address made by [`address`].
    pub(crate) fn deliver(&mut self, conn: ConnId, to: &Arc<str>, stanza: &Outgoing) {
        match self.0.back_mut() {
            Some(Entry::Many(same, all)) if same.is(stanza) => all.push_back((conn, Arc::clone(to))),
            Some(last @ Entry::One(Output::Send { .. })) => {
                if let Entry::One(Output::Send { conn: first, frame }) = last
                    && let Some(address) = frame.address_of(|same| same.is(stanza))
                {
                    let all = [(*first, Arc::clone(address)), (conn, Arc::clone(to))];
                    *last = Entry::Many(stanza.clone(), all.into());
                } else {
                    self.push_back(Output::Send { conn, frame: stanza.addressed(to) });
                }
            }
            _ => self.push_back(Output::Send { conn, frame: stanza.addressed(to) }),
        }
    }

    pub(crate) fn pop_front(&mut self) -> Option<Output> {
        loop {
            if let Some(Entry::Many(stanza, all)) = self.0.front_mut()
                && let Some((conn, to)) = all.pop_front()
            {
                return Some(Output::Send { conn, frame: Frame::addressed(to, stanza.clone()) });
            }
            if let Entry::One(output) = self.0.pop_front()? {
                return Some(output);
            }
        }
    }
}

/// An address, escaped for an attribute.
pub(crate) fn address(jid: &str) -> Arc<str> {
    let mut text = String::with_capacity(jid.len());
    escape_attr(jid, &mut text);
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broadcast_shares_everything_but_the_address() {
        let e = Element::new("presence", ns::CLIENT)
            .with_attr("to", "old@x/y")
            .with_attr("from", "r@m/n")
            .with_child(Element::new("x", ns::MUC_USER));
        let out = Outgoing::new(e);
        let (a, b) = (out.addressed(&address("a@b/c")), out.addressed(&address("d@e/'f'")));
        assert_eq!(
            a.to_bytes(),
            r#"<presence to="a@b/c" xmlns="jabber:client" from="r@m/n"><x xmlns="http://jabber.org/protocol/muc#user"/></presence>"#
        );
        assert!(b.to_bytes().starts_with(br#"<presence to="d@e/&apos;f&apos;" xmlns="#));
        assert_eq!(a.pieces()[2].as_ptr(), b.pieces()[2].as_ptr());
    }

    #[test]
    fn what_goes_to_many_is_one_thing_and_comes_out_one_by_one_and_in_order() {
        let [one, two] = [(); 2].map(|()| Outgoing::presence("\"/>".into()));
        let to = |n: u64| address(&format!("{n}@b/c"));
        let mut out = Outbox::default();
        out.push_back(Output::StartTls { conn: ConnId(1) });
        (2..5).for_each(|n| out.deliver(ConnId(n), &to(n), &one));
        // Equal, but not the same.
        out.deliver(ConnId(5), &to(5), &two);
        out.push_back(Output::ResetStream { conn: ConnId(5) });
        out.deliver(ConnId(6), &to(6), &two);
        assert_eq!(out.0.len(), 5);
        let sent = |n, stanza: &Outgoing| Output::Send { conn: ConnId(n), frame: stanza.addressed(&to(n)) };
        let expected = [
            Output::StartTls { conn: ConnId(1) },
            sent(2, &one),
            sent(3, &one),
            sent(4, &one),
            sent(5, &two),
            Output::ResetStream { conn: ConnId(5) },
            sent(6, &two),
        ];
        assert_eq!(std::iter::from_fn(|| out.pop_front()).collect::<Vec<_>>(), expected);
        assert!(out.0.is_empty());
    }
}
