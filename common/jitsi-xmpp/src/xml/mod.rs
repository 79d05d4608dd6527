//! XML elements: one stanza's bytes in, a tree out; a tree in, the bytes that Jitsi's clients accept out.
//!
//! The clients select children by the *literal* `xmlns` attribute (client §0.1): a namespace that is
//! only inherited is not seen. So an [`Element`] remembers whether its namespace is *declared*:
//! [`Element::new`] always writes `xmlns="…"`, even when it repeats the parent's; [`Element::inherit`] writes
//! none and takes the parent's. Parsing keeps what was written. Prefixes are resolved on parsing and never
//! written; attributes keep their name as written (`xml:lang`).

mod chars;
mod read;
mod splitter;
mod write;

pub use read::{XmlError, XmlLimits, parse, parse_with};
pub use splitter::{SplitError, Splitter, StreamItem, first_tag_end};
pub use write::{escape_attr, escape_text};

use std::borrow::Cow;

use crate::ns;

/// A part of an element's content.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// A child element.
    Element(Element),
    /// Character data, unescaped.
    Text(String),
}

/// An XML element with its resolved namespace.
#[derive(Clone, PartialEq)]
pub struct Element {
    name: Cow<'static, str>,
    /// `None`: takes the parent's. Resolved elements that come from parsing always have one.
    ns: Cow<'static, str>,
    declared: bool,
    attrs: Vec<(Cow<'static, str>, String)>,
    nodes: Vec<Node>,
}

impl Element {
    /// An element that carries its namespace literally.
    pub fn new(name: impl Into<Cow<'static, str>>, ns: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), ns: ns.into(), declared: true, attrs: Vec::new(), nodes: Vec::new() }
    }

    /// An element that takes its parent's namespace and writes none. [`Element::push`] fills it in.
    pub fn inherit(name: impl Into<Cow<'static, str>>) -> Self {
        Self {
            name: name.into(),
            ns: Cow::Borrowed(""),
            declared: false,
            attrs: Vec::new(),
            nodes: Vec::new(),
        }
    }

    /// The local name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The resolved namespace.
    pub fn ns(&self) -> &str {
        &self.ns
    }

    /// Whether the namespace is written on the element itself.
    pub fn is_declared(&self) -> bool {
        self.declared
    }

    /// Whether name and namespace match.
    pub fn is(&self, name: &str, ns: &str) -> bool {
        self.name == name && self.ns == ns
    }

    /// An attribute's value, by its name as written.
    pub fn attr(&self, name: &str) -> Option<&str> {
        self.attrs.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// All attributes in order, without `xmlns`.
    pub fn attrs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attrs.iter().map(|(n, v)| (n.as_ref(), v.as_str()))
    }

    /// Sets or replaces an attribute.
    pub fn set_attr(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        let name = name.into();
        match self.attrs.iter_mut().find(|(n, _)| *n == name) {
            Some((_, v)) => *v = value.into(),
            None => self.attrs.push((name, value.into())),
        }
    }

    /// Removes an attribute and returns its value.
    pub fn remove_attr(&mut self, name: &str) -> Option<String> {
        let at = self.attrs.iter().position(|(n, _)| n == name)?;
        Some(self.attrs.remove(at).1)
    }

    /// The same with an attribute.
    #[must_use]
    pub fn with_attr(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.set_attr(name, value);
        self
    }

    /// The same with an attribute, if there is a value.
    #[must_use]
    pub fn with_opt_attr(self, name: &'static str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(v) => self.with_attr(name, v),
            None => self,
        }
    }

    /// The same with a child at the end.
    #[must_use]
    pub fn with_child(mut self, child: Self) -> Self {
        self.push(child);
        self
    }

    /// The same with children at the end.
    #[must_use]
    pub fn with_children(mut self, children: impl IntoIterator<Item = Self>) -> Self {
        for c in children {
            self.push(c);
        }
        self
    }

    /// The same with text at the end.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.nodes.push(Node::Text(text.into()));
        self
    }

    /// Appends a child; one made by [`Element::inherit`] takes this element's namespace.
    pub fn push(&mut self, mut child: Self) {
        child.adopt(&self.ns);
        self.nodes.push(Node::Element(child));
    }

    /// Appends text.
    pub fn push_text(&mut self, text: impl Into<String>) {
        self.nodes.push(Node::Text(text.into()));
    }

    #[expect(clippy::ptr_arg, reason = "cloning a borrowed Cow does not allocate")]
    fn adopt(&mut self, parent: &Cow<'static, str>) {
        if !self.declared && self.ns.is_empty() {
            self.ns = parent.clone();
            for n in &mut self.nodes {
                if let Node::Element(e) = n {
                    e.adopt(parent);
                }
            }
        }
    }

    /// Child elements in order.
    pub fn children(&self) -> impl Iterator<Item = &Self> {
        self.nodes.iter().filter_map(|n| match n {
            Node::Element(e) => Some(e),
            Node::Text(_) => None,
        })
    }

    /// Child elements in order, changeable.
    pub fn children_mut(&mut self) -> impl Iterator<Item = &mut Self> {
        self.nodes.iter_mut().filter_map(|n| match n {
            Node::Element(e) => Some(e),
            Node::Text(_) => None,
        })
    }

    /// The first child with this name and namespace.
    pub fn child(&self, name: &str, ns: &str) -> Option<&Self> {
        self.children().find(|c| c.is(name, ns))
    }

    /// The first child with this name in any namespace: for the elements that clients send without one.
    pub fn child_named(&self, name: &str) -> Option<&Self> {
        self.children().find(|c| c.name() == name)
    }

    /// Children with this name and namespace.
    pub fn children_of<'a>(&'a self, name: &'a str, ns: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children().filter(move |c| c.is(name, ns))
    }

    /// The first child element.
    pub fn first_child(&self) -> Option<&Self> {
        self.children().next()
    }

    /// Keeps only the children for which `keep` holds; text stays.
    pub fn retain_children(&mut self, mut keep: impl FnMut(&Self) -> bool) {
        self.nodes.retain(|n| match n {
            Node::Element(e) => keep(e),
            Node::Text(_) => true,
        });
    }

    /// Content in order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The element's own text, concatenated.
    pub fn text(&self) -> String {
        self.nodes
            .iter()
            .filter_map(|n| match n {
                Node::Text(t) => Some(t.as_str()),
                Node::Element(_) => None,
            })
            .collect()
    }

    /// The bytes on the wire, complete in themselves: the outermost element always carries its `xmlns`.
    pub fn to_xml(&self) -> String {
        let mut out = String::with_capacity(256);
        write::element(self, None, &mut out);
        out
    }

    /// Appends this element as it stands inside one of the namespace `ns`.
    pub fn write_within(&self, ns: &str, out: &mut String) {
        write::element(self, Some(ns), out);
    }

    /// Appends what is inside this element, without its own tags.
    pub fn write_nodes(&self, out: &mut String) {
        write::nodes(self, out);
    }

    /// Whether this is an `iq`, `message` or `presence` of the client namespace.
    pub fn is_stanza(&self) -> bool {
        self.ns == ns::CLIENT && matches!(self.name.as_ref(), "iq" | "message" | "presence")
    }
}

/// Stanzas are personal: `Debug` names the element and shows nothing of its content.
impl std::fmt::Debug for Element {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "<{} xmlns={:?} …/>", self.name, self.ns)
    }
}

#[cfg(test)]
mod tests;
