//! One element in; a text out that is the same for all that mean the same.

use jitsi_xmpp::Element;
use jitsi_xmpp::xml::Node;

/// Attributes and children in any order; what servers make up is `*`.
pub(crate) fn canonical(e: &Element, names: &[(String, String)], said: &[String]) -> String {
    write(e, names, said, 0)
}

fn write(e: &Element, names: &[(String, String)], said: &[String], depth: usize) -> String {
    let named = |text: &str| names.iter().fold(text.to_owned(), |text, (jid, name)| text.replace(jid, name));
    let mut attrs: Vec<String> = e
        .attrs()
        .filter(|(name, _)| !name.starts_with("xmlns"))
        .map(|(name, value)| match name {
            "id" if !said.iter().any(|id| id == value) => "id=*".to_owned(),
            "stamp" => "stamp=*".to_owned(),
            _ => format!("{name}={}", named(value)),
        })
        .collect();
    attrs.sort();
    let mut inner: Vec<String> = e
        .nodes()
        .iter()
        .filter_map(|n| match n {
            Node::Element(c) => Some(write(c, names, said, depth + 1)),
            Node::Text(t) if t.trim().is_empty() => None,
            Node::Text(_) if MADE_UP.contains(&e.name()) => Some(indented(depth + 1, "*")),
            Node::Text(t) => Some(indented(depth + 1, &named(t))),
        })
        .collect();
    inner.sort();
    let head = format!(
        "<{} xmlns={}{}>",
        e.name(),
        e.ns(),
        attrs.iter().fold(String::new(), |all, a| all + " " + a)
    );
    indented(depth, &head) + &inner.concat()
}

fn indented(depth: usize, text: &str) -> String {
    format!("{}{text}\n", "  ".repeat(depth))
}

/// Elements whose text is another each time.
const MADE_UP: &[&str] = &["challenge", "success", "jid"];
