//! One stanza in; for each recipient a frame out that shares all bytes but the recipient's address.

use std::sync::Arc;

use bytes::Bytes;
use jitsi_xmpp::ns;
use jitsi_xmpp::xml::{Element, XmlLimits, escape_attr, parse_with};

use crate::output::Frame;

/// A stanza serialised once: everything before the recipient's address, and everything after it.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
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
        Self { head, tail: tail.into() }
    }

    /// A presence of which everything behind the recipient's address, from its quotation mark on, is `tail`.
    pub(crate) const fn presence(tail: Bytes) -> Self {
        Self { head: "<presence to=\"", tail }
    }

    /// What the same broadcast to others shares.
    pub(crate) const fn content(&self) -> &Bytes {
        &self.tail
    }

    /// The stanza again. `None`: never, as the bytes are an element's.
    pub(crate) fn read(&self) -> Option<Element> {
        let bytes = [self.head.as_bytes(), &self.tail].concat();
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
    pub(crate) const fn len(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// The frame for one recipient; `to` is an escaped address made by [`address`].
    pub(crate) fn addressed(&self, to: &Arc<str>) -> Frame {
        Frame::spliced(self.head, Arc::clone(to), self.tail.clone())
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
}
