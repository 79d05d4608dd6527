//! The `jingle` element and its own children: reading and writing.

use super::{
    Action, BridgeSession, CompactSources, Content, Creator, Group, IceUdpTransport, Jingle, Reason,
    ReasonKind, RtpDescription, Senders, TraceParent,
};
use crate::ids::SessionId;
use crate::ns;
use crate::parse::{ParseError, boolean, expect, number, required, short, word};
use crate::presence::StartMuted;
use crate::xml::Element;

impl Jingle {
    /// An element with nothing but action and session.
    pub fn new(action: Action, sid: SessionId) -> Self {
        Self {
            action,
            sid,
            initiator: None,
            responder: None,
            contents: Vec::new(),
            group: None,
            reason: None,
            bridge_session: None,
            start_muted: None,
            json_sources: None,
            ice_state: None,
            trace_parent: None,
        }
    }

    /// The content `name`.
    pub fn content(&self, name: &str) -> Option<&Content> {
        self.contents.iter().find(|c| c.name == name)
    }

    /// Reads the `jingle` child of an IQ; `None` if it has none.
    pub fn from_iq(iq: &Element) -> Option<Result<Self, ParseError>> {
        iq.child("jingle", ns::JINGLE).map(Self::from_element)
    }

    /// Reads `jingle`. A missing action, an unknown action and a missing session are told apart.
    pub fn from_element(e: &Element) -> Result<Self, ParseError> {
        expect(e, "jingle", ns::JINGLE)?;
        let action = match required(e, "jingle", "action")? {
            // compat: written by old clients (test: compat_old_names_of_source_changes_are_read).
            "addsource" => Action::SourceAdd,
            "removesource" => Action::SourceRemove,
            a => Action::parse(a).ok_or(ParseError::Invalid { element: "jingle", what: "action" })?,
        };
        let sid = SessionId::new(short(required(e, "jingle", "sid")?, "jingle", "sid")?);
        let mut j = Self::new(action, sid);
        // Nobody decides by these two; an odd one is not worth an error.
        j.initiator = e.attr("initiator").and_then(|i| i.parse().ok());
        j.responder = e.attr("responder").and_then(|r| r.parse().ok());
        for c in e.children() {
            match c.name() {
                "content" => j.contents.push(Content::from_element(c)?),
                "group" => j.group = Some(Group::from_element(c)),
                "reason" => j.reason = Some(Reason::from_element(c)),
                "bridge-session" => j.bridge_session = Some(BridgeSession::from_element(c)?),
                "startmuted" => j.start_muted = StartMuted::from_element(c).ok(),
                "json-message" => j.json_sources = CompactSources::from_element(c)?,
                "ice-state" => j.ice_state = Some(c.text()),
                "traceparent" => j.trace_parent = TraceParent::from_element(c).ok(),
                _ => {}
            }
        }
        Ok(j)
    }

    /// Writes it.
    pub fn to_element(&self) -> Element {
        let mut e = Element::new("jingle", ns::JINGLE)
            .with_attr("action", self.action.as_str())
            .with_opt_attr("initiator", self.initiator.as_ref().map(crate::Jid::as_str))
            .with_opt_attr("responder", self.responder.as_ref().map(crate::Jid::as_str))
            .with_attr("sid", self.sid.as_str())
            .with_children(self.contents.iter().map(Content::to_element))
            .with_children(self.group.iter().map(Group::to_element))
            .with_children(self.reason.iter().map(Reason::to_element))
            .with_children(self.start_muted.iter().map(StartMuted::to_element))
            .with_children(self.bridge_session.iter().map(BridgeSession::to_element));
        if let Some(state) = &self.ice_state {
            e.push(Element::new("ice-state", ns::FOCUS).with_text(state));
        }
        e.with_children(self.json_sources.iter().map(CompactSources::to_element))
            .with_children(self.trace_parent.iter().map(TraceParent::to_element))
    }
}

impl Content {
    /// An empty content made by the side that offers.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), creator: Some(Creator::Initiator), ..Self::default() }
    }

    /// Reads `content`.
    pub fn from_element(e: &Element) -> Result<Self, ParseError> {
        if e.name() != "content" {
            return Err(ParseError::Unexpected("content"));
        }
        let description = e.child("description", ns::JINGLE_RTP);
        // compat: the description may be of a kind we do not know, e.g. for data
        // (test: compat_a_description_for_data_is_left_aside).
        let last_n = e
            .child("initial-last-n", ns::COLIBRI2)
            .or_else(|| description.and_then(|d| d.child("initial-last-n", ns::COLIBRI2)));
        Ok(Self {
            name: required(e, "content", "name")?.to_owned(),
            creator: word(e, "content", "creator", Creator::parse)?,
            senders: word(e, "content", "senders", Senders::parse)?,
            description: description.map(RtpDescription::from_element).transpose()?,
            transport: e
                .child("transport", ns::JINGLE_ICE_UDP)
                .map(IceUdpTransport::from_element)
                .transpose()?,
            initial_last_n: last_n.map(|l| number(l, "initial-last-n", "value")).transpose()?,
        })
    }

    /// Writes it; takes the parent's namespace.
    pub fn to_element(&self) -> Element {
        let mut e = Element::inherit("content")
            .with_opt_attr("creator", self.creator.map(Creator::as_str))
            .with_attr("name", &self.name)
            .with_opt_attr("senders", self.senders.map(Senders::as_str))
            .with_children(self.description.iter().map(RtpDescription::to_element))
            .with_children(self.transport.iter().map(IceUdpTransport::to_element));
        if let Some(n) = self.initial_last_n {
            e.push(Element::new("initial-last-n", ns::COLIBRI2).with_attr("value", n.to_string()));
        }
        e
    }
}

impl Group {
    /// All `contents` on one transport.
    pub fn bundle(contents: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { semantics: "BUNDLE".to_owned(), contents: contents.into_iter().map(Into::into).collect() }
    }

    /// Reads `group`.
    pub fn from_element(e: &Element) -> Self {
        Self {
            semantics: e.attr("semantics").or_else(|| e.attr("type")).unwrap_or("BUNDLE").to_owned(),
            contents: e
                .children()
                .filter(|c| c.name() == "content")
                .filter_map(|c| c.attr("name").map(str::to_owned))
                .collect(),
        }
    }

    /// Writes it with its literal namespace.
    pub fn to_element(&self) -> Element {
        Element::new("group", ns::JINGLE_GROUPING)
            .with_attr("semantics", &self.semantics)
            .with_children(self.contents.iter().map(|c| Element::inherit("content").with_attr("name", c)))
    }
}

impl Reason {
    /// A reason with a text.
    pub fn new(kind: ReasonKind, text: impl Into<String>) -> Self {
        Self { kind, text: Some(text.into()) }
    }

    /// Reads `reason`; an unknown condition becomes [`ReasonKind::Undefined`].
    pub fn from_element(e: &Element) -> Self {
        Self {
            kind: e.children().find_map(|c| ReasonKind::parse(c.name())).unwrap_or(ReasonKind::Undefined),
            text: e.child_named("text").map(Element::text),
        }
    }

    /// Writes it: condition first, text second.
    pub fn to_element(&self) -> Element {
        let mut e = Element::inherit("reason").with_child(Element::inherit(self.kind.as_str()));
        if let Some(t) = &self.text {
            e.push(Element::inherit("text").with_text(t));
        }
        e
    }
}

impl BridgeSession {
    /// Reads `bridge-session`.
    pub fn from_element(e: &Element) -> Result<Self, ParseError> {
        expect(e, "bridge-session", ns::FOCUS)?;
        Ok(Self {
            id: e.attr("id").map(str::to_owned),
            region: e.attr("region").map(str::to_owned),
            restart: boolean(e, "bridge-session", "restart")?.unwrap_or(false),
            ice_restart: boolean(e, "bridge-session", "ice-restart")?.unwrap_or(false),
        })
    }

    /// Writes it with its literal namespace.
    pub fn to_element(&self) -> Element {
        Element::new("bridge-session", ns::FOCUS)
            .with_opt_attr("id", self.id.as_deref())
            .with_opt_attr("region", self.region.as_deref())
            .with_opt_attr("restart", self.restart.then_some("true"))
            .with_opt_attr("ice-restart", self.ice_restart.then_some("true"))
    }
}

impl TraceParent {
    /// Reads `traceparent`.
    pub fn from_element(e: &Element) -> Result<Self, ParseError> {
        expect(e, "traceparent", ns::OPENTELEMETRY)?;
        Ok(Self {
            trace_id: required(e, "traceparent", "trace_id")?.to_owned(),
            parent_id: required(e, "traceparent", "parent_id")?.to_owned(),
            trace_flags: e.attr("trace_flags").map(str::to_owned),
        })
    }

    /// Writes it with its literal namespace.
    pub fn to_element(&self) -> Element {
        Element::new("traceparent", ns::OPENTELEMETRY)
            .with_attr("trace_id", &self.trace_id)
            .with_attr("parent_id", &self.parent_id)
            .with_opt_attr("trace_flags", self.trace_flags.as_deref())
    }
}
