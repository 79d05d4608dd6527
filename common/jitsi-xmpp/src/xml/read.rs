//! Parsing: the bytes of one complete element in, an [`Element`] or the reason why not out.
//!
//! XMPP's subset of XML (RFC 6120 §11.1): no document type, no processing instruction, no comment, no entity
//! but the five predefined ones. Bounded in size, depth, children and attributes. Taken is what every client's parser
//! takes (`chars`), since most of it is passed on.

use std::borrow::Cow;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use super::chars::{are_chars, is_name, is_namespace, is_space};
use super::{Element, Node};
use crate::ns;

/// Bounds of one parsed element. Worst case memory is about 12 × `max_bytes` for a tree of empty elements.
#[derive(Debug, Clone, Copy)]
pub struct XmlLimits {
    /// Most bytes of text. Default 262,144, as upstream's client stanza limit.
    pub max_bytes: usize,
    /// Deepest nesting. Default 32; Jingle needs 6.
    pub max_depth: usize,
    /// Most elements in all. Default 10,000; a source-add of 500 sources needs about 3,000.
    pub max_elements: usize,
    /// Most attributes on one element. Default 64.
    pub max_attrs: usize,
}

impl Default for XmlLimits {
    fn default() -> Self {
        Self { max_bytes: 262_144, max_depth: 32, max_elements: 10_000, max_attrs: 64 }
    }
}

/// Why bytes are not an element. Blame: the peer. Consequence: the stanza is refused, or the stream is closed
/// where its boundaries are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum XmlError {
    /// More after the element's end.
    #[error("content after the element")]
    ContentAfterEnd,
    /// Nested deeper than the limit.
    #[error("nested too deeply")]
    Depth,
    /// Nothing there.
    #[error("no element")]
    Empty,
    /// Not well-formed.
    #[error("not well-formed")]
    Malformed,
    /// Comment, processing instruction, document type, or an entity of its own.
    #[error("restricted XML")]
    Restricted,
    /// Larger than the limit, or too many elements or attributes.
    #[error("too large")]
    TooLarge,
    /// A prefix without declaration.
    #[error("unbound prefix")]
    UnboundPrefix,
    /// Not UTF-8.
    #[error("not UTF-8")]
    Utf8,
}

impl XmlError {
    /// The counter's label.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::ContentAfterEnd => "content_after_end",
            Self::Depth => "depth",
            Self::Empty => "empty",
            Self::Malformed => "malformed",
            Self::Restricted => "restricted",
            Self::TooLarge => "too_large",
            Self::UnboundPrefix => "unbound_prefix",
            Self::Utf8 => "utf8",
        }
    }
}

/// Parses one element with the default limits; without an `xmlns` it is in no namespace.
pub fn parse(bytes: &[u8]) -> Result<Element, XmlError> {
    parse_with(bytes, "", &XmlLimits::default())
}

/// Parses one element that stands in a parent of namespace `default_ns`.
pub fn parse_with(bytes: &[u8], default_ns: &str, limits: &XmlLimits) -> Result<Element, XmlError> {
    if bytes.len() > limits.max_bytes {
        return Err(XmlError::TooLarge);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| XmlError::Utf8)?;
    if !are_chars(text) {
        return Err(XmlError::Malformed);
    }
    let mut reader = Reader::from_str(text);
    let config = reader.config_mut();
    config.check_end_names = true;
    config.expand_empty_elements = false;
    let mut state = State { open: Vec::new(), scopes: Vec::new(), elements: 0, limits: *limits, done: None };
    let default_ns = intern(default_ns);
    let mut first = true;
    loop {
        match reader.read_event().map_err(|_| XmlError::Malformed)? {
            Event::Start(s) => {
                let e = state.start(&s, &default_ns)?;
                state.open.push(e);
            }
            Event::Empty(s) => {
                let e = state.start(&s, &default_ns)?;
                state.scopes.pop();
                state.close(e);
            }
            Event::End(_) => {
                state.scopes.pop();
                let Some(e) = state.open.pop() else { return Err(XmlError::Malformed) };
                state.close(e);
            }
            Event::Text(t) => {
                // XML 1.0 §2.4.
                if t.contains('>') && t.contains("]]>") {
                    return Err(XmlError::Malformed);
                }
                state.text(&t.xml10_content())?;
            }
            Event::CData(_) | Event::GeneralRef(_) if state.open.is_empty() => {
                return Err(if state.done.is_some() {
                    XmlError::ContentAfterEnd
                } else {
                    XmlError::Malformed
                });
            }
            Event::CData(t) => state.text(&t.xml10_content())?,
            Event::GeneralRef(r) => {
                if r.is_char_ref() {
                    let c =
                        r.resolve_char_ref().map_err(|_| XmlError::Malformed)?.ok_or(XmlError::Malformed)?;
                    let mut bytes = [0; 4];
                    let text = &*c.encode_utf8(&mut bytes);
                    if !are_chars(text) {
                        return Err(XmlError::Malformed);
                    }
                    state.text(text)?;
                } else {
                    state.text(match r.into_inner().as_ref() {
                        "amp" => "&",
                        "lt" => "<",
                        "gt" => ">",
                        "quot" => "\"",
                        "apos" => "'",
                        _ => return Err(XmlError::Restricted),
                    })?;
                }
            }
            // A declaration is tolerated at the very start only, where some clients write one.
            Event::Decl(d) if first && is_declaration(&d) => {}
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) | Event::DocType(_) => {
                return Err(XmlError::Restricted);
            }
            Event::Eof => break,
        }
        first = false;
    }
    if !state.open.is_empty() {
        return Err(XmlError::Malformed);
    }
    state.done.ok_or(XmlError::Empty)
}

struct State {
    open: Vec<Element>,
    /// One entry per open element: its prefix declarations.
    scopes: Vec<Vec<(String, Cow<'static, str>)>>,
    elements: usize,
    limits: XmlLimits,
    done: Option<Element>,
}

impl State {
    #[expect(clippy::ptr_arg, reason = "cloning a borrowed Cow does not allocate")]
    fn start(&mut self, s: &BytesStart<'_>, default_ns: &Cow<'static, str>) -> Result<Element, XmlError> {
        if self.done.is_some() {
            return Err(XmlError::ContentAfterEnd);
        }
        if self.open.len() >= self.limits.max_depth {
            return Err(XmlError::Depth);
        }
        self.elements += 1;
        if self.elements > self.limits.max_elements {
            return Err(XmlError::TooLarge);
        }
        let mut declared = None;
        let mut scope = Vec::new();
        let mut attrs: Vec<(Cow<'static, str>, String)> = Vec::new();
        let mut prefixed = false;
        for a in s.attributes() {
            let a = a.map_err(|_| XmlError::Malformed)?;
            if attrs.len() + scope.len() >= self.limits.max_attrs {
                return Err(XmlError::TooLarge);
            }
            let key: &str = a.key.as_ref();
            let value = a.normalized_value(XmlVersion::Implicit1_0).map_err(|_| XmlError::Restricted)?;
            if !follows_space(s, key) || a.value.contains('<') || a.value.contains('&') && !are_chars(&value)
            {
                return Err(XmlError::Malformed);
            }
            if key == "xmlns" {
                declared = Some(namespace(&value)?);
                continue;
            }
            let name = intern_name(key);
            if let Cow::Owned(_) = name {
                match key.split_once(':') {
                    None if is_name(key) => {}
                    Some(("xmlns", prefix))
                        if is_name(prefix) && !matches!(prefix, "xml" | "xmlns") && !value.is_empty() =>
                    {
                        scope.push((prefix.to_owned(), namespace(&value)?));
                    }
                    Some(("xmlns", _)) => return Err(XmlError::Malformed),
                    Some(("xml", local)) if is_name(local) => {}
                    Some((_, local)) if is_name(local) => prefixed = true,
                    _ => return Err(XmlError::Malformed),
                }
            }
            attrs.push((name, value.into_owned()));
        }
        self.scopes.push(scope);
        if prefixed {
            self.complete(&mut attrs)?;
        }
        let full_name = s.name();
        let full_name: &str = full_name.as_ref();
        let (name, ns, declared) = match full_name.split_once(':') {
            Some((prefix, local)) => {
                let ns = self
                    .scopes
                    .iter()
                    .rev()
                    .flatten()
                    .find(|(p, _)| p == prefix)
                    .map(|(_, ns)| ns.clone())
                    .or_else(|| (prefix == "stream").then_some(Cow::Borrowed(ns::STREAM)))
                    .ok_or(XmlError::UnboundPrefix)?;
                (local, ns, true)
            }
            None => match declared {
                Some(ns) => (full_name, ns, true),
                None => {
                    let ns = self.open.last().map_or_else(|| default_ns.clone(), |p| p.ns.clone());
                    (full_name, ns, false)
                }
            },
        };
        let name = intern_name(name);
        if matches!(&name, Cow::Owned(name) if !is_name(name)) {
            return Err(XmlError::Malformed);
        }
        Ok(Element { name, ns, declared, attrs, nodes: Vec::new() })
    }

    /// Makes an element with prefixed attributes complete in itself: prefixes that are declared further out are declared
    /// here as well, because the elements around it may be replaced before it is passed on. Two attributes that have
    /// the same name once their prefixes are resolved are no XML for a parser that knows namespaces.
    fn complete(&self, attrs: &mut Vec<(Cow<'static, str>, String)>) -> Result<(), XmlError> {
        let mut seen: Vec<(&str, String)> = Vec::new();
        let mut missing = Vec::new();
        for (name, _) in attrs.iter() {
            let Some((prefix, local)) = name.split_once(':') else { continue };
            if matches!(prefix, "xml" | "xmlns") {
                continue;
            }
            let mut places = self.scopes.iter().rev().enumerate();
            let found =
                places.find_map(|(at, s)| s.iter().find(|(p, _)| p == prefix).map(|(_, ns)| (at, ns)));
            let (at, ns) = found.ok_or(XmlError::UnboundPrefix)?;
            if seen.iter().any(|(n, l)| n == ns && l == local) {
                return Err(XmlError::Malformed);
            }
            seen.push((ns, local.to_owned()));
            let declaration = format!("xmlns:{prefix}");
            if at > 0 && !missing.iter().any(|(d, _)| *d == declaration) {
                missing.push((Cow::Owned(declaration), ns.clone().into_owned()));
            }
        }
        if attrs.len() + missing.len() > self.limits.max_attrs {
            return Err(XmlError::TooLarge);
        }
        attrs.append(&mut missing);
        Ok(())
    }

    fn close(&mut self, e: Element) {
        match self.open.last_mut() {
            Some(parent) => parent.nodes.push(Node::Element(e)),
            None => self.done = Some(e),
        }
    }

    fn text(&mut self, t: &str) -> Result<(), XmlError> {
        match self.open.last_mut() {
            Some(parent) => {
                if let Some(Node::Text(last)) = parent.nodes.last_mut() {
                    last.push_str(t);
                } else if !t.is_empty() {
                    parent.nodes.push(Node::Text(t.to_owned()));
                }
                Ok(())
            }
            None if is_space(t) => Ok(()),
            None => Err(XmlError::ContentAfterEnd),
        }
    }
}

/// Whether white space stands before an attribute's name, which the tag's text contains.
fn follows_space(tag: &str, name: &str) -> bool {
    let at = (name.as_ptr() as usize).checked_sub(tag.as_ptr() as usize).and_then(|at| at.checked_sub(1));
    at.and_then(|at| tag.as_bytes().get(at)).is_some_and(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r'))
}

/// The declarations that every parser takes for UTF-8 text.
fn is_declaration(text: &str) -> bool {
    let text = text.trim_end().replace('"', "'").to_ascii_lowercase();
    matches!(text.as_str(), "xml version='1.0'" | "xml version='1.0' encoding='utf-8'")
}

/// A declared namespace; those of XML itself cannot be declared (Namespaces in XML §3).
fn namespace(uri: &str) -> Result<Cow<'static, str>, XmlError> {
    const RESERVED: [&str; 2] = ["http://www.w3.org/XML/1998/namespace", "http://www.w3.org/2000/xmlns/"];
    let uri = intern(uri);
    if matches!(&uri, Cow::Owned(uri) if !is_namespace(uri) || RESERVED.contains(&uri.as_str())) {
        return Err(XmlError::Malformed);
    }
    Ok(uri)
}

fn intern(uri: &str) -> Cow<'static, str> {
    ns::intern(uri).map_or_else(|| Cow::Owned(uri.to_owned()), Cow::Borrowed)
}

/// The names that make up most of a Jitsi stanza, so that parsing does not allocate for them.
fn intern_name(name: &str) -> Cow<'static, str> {
    const KNOWN: &[&str] = &[
        "iq",
        "message",
        "presence",
        "to",
        "from",
        "id",
        "type",
        "xml:lang",
        "x",
        "c",
        "item",
        "status",
        "code",
        "jid",
        "affiliation",
        "role",
        "nick",
        "hash",
        "node",
        "ver",
        "var",
        "feature",
        "features",
        "name",
        "value",
        "source",
        "parameter",
        "ssrc",
        "ssrc-group",
        "semantics",
        "content",
        "description",
        "transport",
        "payload-type",
        "rtcp-fb",
        "rtp-hdrext",
        "candidate",
        "subtype",
        "clockrate",
        "channels",
        "uri",
        "jingle",
        "json-message",
        "SourceInfo",
        "stats-id",
        "body",
        "error",
        "query",
        "identity",
        "category",
        "field",
    ];
    KNOWN.iter().find(|k| **k == name).map_or_else(|| Cow::Owned(name.to_owned()), |k| Cow::Borrowed(*k))
}
