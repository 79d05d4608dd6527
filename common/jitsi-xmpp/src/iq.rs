//! IQ stanzas: a request or what to answer it with in; the stanza to send out.

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
