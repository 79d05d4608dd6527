//! Serialising: an element in, text out, with the literal-`xmlns` rule of the parent module.

use super::chars::is_char;
use super::{Element, Node};

pub(super) fn element(e: &Element, parent_ns: Option<&str>, out: &mut String) {
    out.push('<');
    out.push_str(&e.name);
    if e.declared || parent_ns != Some(&e.ns) {
        out.push_str(" xmlns=\"");
        escape_attr(&e.ns, out);
        out.push('"');
    }
    for (name, value) in &e.attrs {
        out.push(' ');
        out.push_str(name);
        out.push_str("=\"");
        escape_attr(value, out);
        out.push('"');
    }
    if e.nodes.is_empty() {
        out.push_str("/>");
        return;
    }
    out.push('>');
    nodes(e, out);
    out.push_str("</");
    out.push_str(&e.name);
    out.push('>');
}

/// What is inside an element.
pub(super) fn nodes(e: &Element, out: &mut String) {
    for n in &e.nodes {
        match n {
            Node::Element(c) => element(c, Some(&e.ns), out),
            Node::Text(t) => escape_text(t, out),
        }
    }
}

/// Appends `text` escaped for a double- or single-quoted attribute; characters XML 1.0 forbids are dropped.
pub fn escape_attr(text: &str, out: &mut String) {
    runs(text, out, |c| match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '"' => Some("&quot;"),
        '\'' => Some("&apos;"),
        '\n' => Some("&#10;"),
        '\r' => Some("&#13;"),
        '\t' => Some("&#9;"),
        _ => None,
    });
}

/// Appends `text` escaped for element content; characters XML 1.0 forbids are dropped.
pub fn escape_text(text: &str, out: &mut String) {
    runs(text, out, |c| match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '\r' => Some("&#13;"),
        _ => None,
    });
}

/// Appends what needs no look at a time, as most of what is written is so, and the rest character by character.
fn runs(text: &str, out: &mut String, escaped: fn(char) -> Option<&'static str>) {
    let mut rest = text;
    while !rest.is_empty() {
        let plain = rest.bytes().position(|b| !is_plain(b)).unwrap_or(rest.len());
        let Some((run, other)) = rest.split_at_checked(plain) else { return };
        out.push_str(run);
        let mut chars = other.chars();
        match chars.next() {
            Some(c) => match escaped(c) {
                Some(text) => out.push_str(text),
                None if is_char(c) => out.push(c),
                None => {}
            },
            None => return,
        }
        rest = chars.as_str();
    }
}

/// Whether a byte stands for itself everywhere: printable ASCII without the characters of markup.
const fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'&' | b'<' | b'>' | b'"' | b'\'')
}
