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
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            '\t' => out.push_str("&#9;"),
            c if is_char(c) => out.push(c),
            _ => {}
        }
    }
}

/// Appends `text` escaped for element content; characters XML 1.0 forbids are dropped.
pub fn escape_text(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\r' => out.push_str("&#13;"),
            c if is_char(c) => out.push(c),
            _ => {}
        }
    }
}
