//! What an occupant said of itself last: a presence in; its bytes kept, from which what others get is put together without
//! a parse.
//!
//! A tree of a presence takes up to forty times its bytes, and every occupant has one. What rules want to know of it is
//! taken out here, once.

use bytes::Bytes;
use jitsi_xmpp::xml::{XmlLimits, escape_attr, parse_with};
use jitsi_xmpp::{Element, ns};

use crate::outbox::Outgoing;

/// The sender's own part of a presence.
#[derive(Clone)]
pub(crate) struct Said {
    /// With the space before each.
    attrs: Bytes,
    /// What is inside.
    inside: Bytes,
}

impl Said {
    /// `presence` has no address, and nothing that the server adds.
    pub(crate) fn new(presence: &Element) -> Self {
        let mut attrs = String::new();
        for (name, value) in presence.attrs() {
            attrs.push(' ');
            attrs.push_str(name);
            attrs.push_str("=\"");
            escape_attr(value, &mut attrs);
            attrs.push('"');
        }
        let mut inside = String::new();
        presence.write_nodes(&mut inside);
        Self { attrs: attrs.into(), inside: inside.into() }
    }

    /// The presence as it was said. `None`: never, as the bytes are an element's.
    pub(crate) fn read(&self) -> Option<Element> {
        let parts: [&[u8]; 5] =
            [b"<presence xmlns=\"jabber:client\"", &self.attrs, b">", &self.inside, b"</presence>"];
        let bytes = parts.concat();
        let most = XmlLimits {
            max_bytes: bytes.len(),
            max_elements: bytes.len(),
            max_attrs: bytes.len(),
            ..XmlLimits::default()
        };
        parse_with(&bytes, ns::CLIENT, &most).ok()
    }

    /// The presence as from `from`, with what the server adds last; and the same again, as a part of its bytes.
    pub(crate) fn with(&self, from: &str, added: &[Element]) -> (Outgoing, Self) {
        let mut end = String::new();
        for e in added {
            e.write_within(ns::CLIENT, &mut end);
        }
        end.push_str("</presence>");
        let mut start = String::with_capacity(from.len() + FROM.len() + 2);
        start.push_str(FROM);
        escape_attr(from, &mut start);
        start.push_str("\">");
        let parts = [NS.as_bytes(), &self.attrs, start.as_bytes(), &self.inside, end.as_bytes()];
        // To the byte: it is kept.
        let mut tail = Vec::with_capacity(parts.iter().map(|p| p.len()).sum());
        parts.iter().for_each(|p| tail.extend_from_slice(p));
        let tail = Bytes::from(tail);
        let part = |from: usize, len: usize| {
            tail.get(from..from + len).map(|p| tail.slice_ref(p)).unwrap_or_default()
        };
        let attrs = part(NS.len(), self.attrs.len());
        let inside = part(NS.len() + attrs.len() + start.len(), self.inside.len());
        (Outgoing::presence(tail.clone()), Self { attrs, inside })
    }
}

/// What stands behind the recipient's address.
const NS: &str = "\" xmlns=\"jabber:client\"";
const FROM: &str = " from=\"";

/// The name that a presence shows, as long as clients let people make it.
pub(crate) fn display_name(presence: &Element) -> Option<Box<str>> {
    let name = presence.child("nick", ns::NICK)?.text();
    Some(name.chars().take(MAX_NAME_CHARS).collect())
}

/// compat: the web app's `MAX_DISPLAY_NAME_LENGTH` (test: compat_names_are_as_long_as_clients_make_them).
const MAX_NAME_CHARS: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::address;

    #[test]
    fn bytes_put_together_are_those_of_the_tree() {
        let text = r#"<presence xmlns="jabber:client" id="a&lt;b" xml:lang="de"><nick xmlns="http://jabber.org/protocol/nick">A&amp;B</nick><a/>text<b c="d"><e xmlns="f"/></b></presence>"#;
        let mut tree = jitsi_xmpp::xml::parse(text.as_bytes()).unwrap();
        let added = [
            Element::new("x", ns::MUC_USER).with_child(Element::inherit("item")),
            Element::new("y", ns::CLIENT),
        ];
        let (out, again) = Said::new(&tree).with("r@m/o'k", &added);
        let (twice, _) = again.with("r@m/o'k", &added);
        tree.set_attr("from", "r@m/o'k");
        added.into_iter().for_each(|e| tree.push(e));
        let to = address("a@b/c");
        let expected = Outgoing::new(tree).addressed(&to).to_bytes();
        assert_eq!(out.addressed(&to).to_bytes(), expected);
        assert_eq!(twice.addressed(&to).to_bytes(), expected);
    }
}
