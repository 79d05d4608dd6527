//! The `<body/>` wrapper: a request's bytes in, its attributes and stanzas out; an answer's parts in, its bytes out.

use std::fmt::Write as _;

use bytes::Bytes;
use jitsi_xmpp::Element;
use jitsi_xmpp::ns;
use jitsi_xmpp::xml::{Splitter, StreamItem, XmlLimits, escape_attr, first_tag_end, parse_with};

use super::limits;

/// What a client sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    /// Empty on session creation.
    pub sid: Option<String>,
    /// XEP-0124 `rid`: counts requests up by one.
    pub rid: u64,
    /// `type='terminate'`: the last request.
    pub terminate: bool,
    /// `xmpp:restart='true'`: the stream starts anew after authentication.
    pub restart: bool,
    /// Which host; on session creation.
    pub to: Option<String>,
    /// `xml:lang`.
    pub lang: Option<String>,
    /// Raw, as sent.
    pub wait: Option<String>,
    /// Stanzas, as written; those without `xmlns` are meant to be in `jabber:client`.
    pub stanzas: Vec<Bytes>,
}

/// Why a request is refused. Blame: the peer. Consequence: an answer of type `terminate`; a session it belongs to
/// ends. XEP-0124 §17.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Condition {
    /// Not a `<body/>`, or not well-formed.
    #[error("bad-request")]
    BadRequest,
    /// No host, or none of ours.
    #[error("improper-addressing")]
    ImproperAddressing,
    /// A session or request id that is not known.
    #[error("item-not-found")]
    ItemNotFound,
    /// More than is allowed.
    #[error("policy-violation")]
    PolicyViolation,
}

impl Condition {
    /// The word on the wire; also the counter's label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad-request",
            Self::ImproperAddressing => "improper-addressing",
            Self::ItemNotFound => "item-not-found",
            Self::PolicyViolation => "policy-violation",
        }
    }
}

impl Body {
    /// Reads a request's body. Its content type is not looked at: the page-unload beacon sends `text/plain`.
    pub fn read(bytes: &[u8]) -> Result<Self, Condition> {
        let bytes = bytes.trim_ascii();
        let (tag, empty) = start_tag(bytes).ok_or(Condition::BadRequest)?;
        let head = parse_with(&tag, ns::HTTP_BIND, &TAG_LIMITS).map_err(|_| Condition::BadRequest)?;
        if head.name() != "body" || !matches!(head.ns(), ns::HTTP_BIND | "") {
            return Err(Condition::BadRequest);
        }
        let rid = head.attr("rid").and_then(|r| r.parse::<u64>().ok()).filter(|r| *r <= MAX_RID);
        Ok(Self {
            sid: head.attr("sid").map(str::to_owned),
            rid: rid.ok_or(Condition::BadRequest)?,
            terminate: head.attr("type") == Some("terminate"),
            restart: restart(&head),
            to: head.attr("to").map(str::to_owned),
            lang: head.attr("xml:lang").map(str::to_owned),
            wait: head.attr("wait").map(str::to_owned),
            stanzas: if empty { Vec::new() } else { children(bytes)? },
        })
    }

    /// Whether there is nothing in it but "here is a request to answer".
    pub fn is_poll(&self) -> bool {
        self.stanzas.is_empty() && !self.terminate && !self.restart
    }
}

/// `xmpp:restart`, under whichever prefix the client has bound to XEP-0206's namespace.
fn restart(head: &Element) -> bool {
    head.attrs().any(|(name, value)| {
        name.split_once(':').is_some_and(|(prefix, local)| {
            local == "restart"
                && matches!(value, "true" | "1")
                && head.attr(&format!("xmlns:{prefix}")) == Some(ns::XBOSH)
        })
    })
}

/// The first tag, made an element of its own, and whether it was one already.
fn start_tag(bytes: &[u8]) -> Option<(Vec<u8>, bool)> {
    let from = if bytes.starts_with(b"<?xml") { bytes.iter().position(|b| *b == b'>')? + 1 } else { 0 };
    let rest = bytes.get(from..)?.trim_ascii_start();
    let end = first_tag_end(rest)?;
    let inner = rest.get(..end)?;
    match inner.strip_suffix(b"/") {
        // Nothing may follow an empty body.
        Some(_) => (end + 1 == rest.len()).then(|| (rest.to_vec(), true)),
        None => {
            let mut tag = inner.to_vec();
            tag.extend_from_slice(b"/>");
            Some((tag, false))
        }
    }
}

fn children(bytes: &[u8]) -> Result<Vec<Bytes>, Condition> {
    let mut splitter = Splitter::new(XmlLimits::default());
    splitter.push(bytes);
    let mut stanzas = Vec::new();
    let mut closed = false;
    while let Some(item) = splitter.next_item().map_err(|_| Condition::BadRequest)? {
        match item {
            StreamItem::Open(_) if !closed => {}
            StreamItem::Element(stanza) if stanzas.len() < limits::STANZAS_PER_BODY => {
                stanzas.push(Bytes::from(stanza));
            }
            StreamItem::Element(_) => return Err(Condition::PolicyViolation),
            StreamItem::Close => closed = true,
            StreamItem::Open(_) => return Err(Condition::BadRequest),
        }
    }
    if closed { Ok(stanzas) } else { Err(Condition::BadRequest) }
}

/// What the answer to a session's creation says, XEP-0124 §7.
#[derive(Debug, Clone)]
pub struct Creation {
    /// The host.
    pub from: String,
    /// Seconds that a request is kept open at most.
    pub wait: u64,
}

/// An answer with stanzas; with `creation` the session's terms.
pub fn answer(sid: &str, creation: Option<&Creation>, stanzas: &[Bytes]) -> Bytes {
    let size: usize = stanzas.iter().map(Bytes::len).sum();
    let mut out = head(size, Some(sid));
    if let Some(c) = creation {
        let _ = write!(
            out,
            " authid=\"{sid}\" wait=\"{}\" hold=\"{}\" requests=\"{}\" inactivity=\"{}\" polling=\"{}\" \
             ver=\"1.6\" secure=\"true\" xmlns:xmpp=\"{}\" xmpp:version=\"1.0\" from=\"",
            c.wait,
            limits::HOLD,
            limits::REQUESTS,
            limits::INACTIVITY.as_secs(),
            limits::POLLING.as_secs(),
            ns::XBOSH,
        );
        escape_attr(&c.from, &mut out);
        out.push('"');
    }
    finish(out, stanzas)
}

/// The answer that ends a session; without a condition the end was asked for.
pub fn terminate(sid: Option<&str>, condition: Option<&str>, stanzas: &[Bytes]) -> Bytes {
    let size: usize = stanzas.iter().map(Bytes::len).sum();
    let mut out = head(size, sid);
    out.push_str(" type=\"terminate\"");
    if let Some(c) = condition {
        let _ = write!(out, " condition=\"{c}\"");
    }
    finish(out, stanzas)
}

fn head(size: usize, sid: Option<&str>) -> String {
    let mut out = String::with_capacity(size + 512);
    let _ = write!(out, "<body xmlns=\"{}\" xmlns:stream=\"{}\"", ns::HTTP_BIND, ns::STREAM);
    if let Some(sid) = sid {
        out.push_str(" sid=\"");
        escape_attr(sid, &mut out);
        out.push('"');
    }
    out
}

fn finish(mut out: String, stanzas: &[Bytes]) -> Bytes {
    if stanzas.is_empty() {
        out.push_str("/>");
        return Bytes::from(out);
    }
    let mut out = out.into_bytes();
    out.push(b'>');
    for s in stanzas {
        out.extend_from_slice(s);
    }
    out.extend_from_slice(b"</body>");
    Bytes::from(out)
}

/// Numbers a client can count exactly, XEP-0124 §14.
const MAX_RID: u64 = (1 << 53) - 1;

const TAG_LIMITS: XmlLimits = XmlLimits { max_bytes: 8192, max_depth: 1, max_elements: 1, max_attrs: 32 };
