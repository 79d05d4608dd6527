//! Codecs and header extensions (XEP-0167, -0293, -0294): description elements in and out. Shared by Jingle and Colibri2.

use super::Senders;
use super::source::{Source, SsrcGroup};
use crate::ns;
use crate::parse::{ParseError, expect, number, optional, required, word};
use crate::xml::Element;

/// `parameter`: a format parameter of a codec, or of a source.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Parameter {
    /// Its name. RED's `111/111` has none.
    pub name: Option<String>,
    /// Its value.
    pub value: String,
}

/// `rtcp-fb`: a kind of RTCP feedback for a codec, e.g. `nack` `pli`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RtcpFeedback {
    /// `nack`, `ccm`, `transport-cc`, `goog-remb` …
    pub kind: String,
    /// `pli`, `fir` …
    pub subtype: Option<String>,
}

/// `payload-type`: one codec of a description.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PayloadType {
    /// The RTP payload type, 0–127.
    pub id: u8,
    /// The encoding's name as written; compare case-insensitively. Empty when absent (static types).
    pub name: String,
    /// RTP clock rate in Hz; 0 when absent.
    pub clockrate: u32,
    /// Audio channels; 1 when absent.
    pub channels: u8,
    /// Format parameters in order.
    pub parameters: Vec<Parameter>,
    /// Feedback kinds in order.
    pub rtcp_fbs: Vec<RtcpFeedback>,
    /// `rtcp-fb-trr-int`: least milliseconds between regular RTCP packets.
    pub trr_int: Option<u32>,
}

/// `rtp-hdrext`: an RTP header extension and its id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HeaderExtension {
    /// 1–14 in the one-byte form, to 255 in the two-byte form; never 0.
    pub id: u8,
    /// What it is.
    pub uri: String,
    /// The direction, if not both.
    pub senders: Option<Senders>,
}

/// `description` of a content.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RtpDescription {
    /// `audio`, `video` or, for the data channel, `application`.
    pub media: String,
    /// Longest packet in milliseconds.
    pub maxptime: Option<u32>,
    /// Codecs in order of preference.
    pub payload_types: Vec<PayloadType>,
    /// Header extensions in order.
    pub header_extensions: Vec<HeaderExtension>,
    /// RFC 8285: one- and two-byte extensions may be mixed.
    pub extmap_allow_mixed: bool,
    /// RTP and RTCP on one port.
    pub rtcp_mux: bool,
    /// Sources, XML form.
    pub sources: Vec<Source>,
    /// Groups of sources, XML form.
    pub ssrc_groups: Vec<SsrcGroup>,
}

impl Parameter {
    /// A named parameter.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: Some(name.into()), value: value.into() }
    }

    /// Reads `parameter`, whatever its namespace. A missing value is the empty text.
    pub fn from_element(e: &Element) -> Self {
        Self {
            name: e.attr("name").filter(|n| !n.is_empty()).map(str::to_owned),
            value: e.attr("value").unwrap_or_default().to_owned(),
        }
    }

    /// Writes it; takes the parent's namespace.
    pub fn to_element(&self) -> Element {
        Element::inherit("parameter")
            .with_opt_attr("name", self.name.as_deref())
            .with_attr("value", &self.value)
    }
}

impl RtcpFeedback {
    /// A kind with or without a subtype.
    pub fn new(kind: impl Into<String>, subtype: Option<&str>) -> Self {
        Self { kind: kind.into(), subtype: subtype.map(str::to_owned) }
    }

    /// Reads `rtcp-fb`.
    pub fn from_element(e: &Element) -> Result<Self, ParseError> {
        Ok(Self {
            kind: required(e, "rtcp-fb", "type")?.to_owned(),
            subtype: e.attr("subtype").filter(|s| !s.is_empty()).map(str::to_owned),
        })
    }

    /// Writes it with its literal namespace.
    pub fn to_element(&self) -> Element {
        Element::new("rtcp-fb", ns::JINGLE_RTCP_FB)
            .with_attr("type", &self.kind)
            .with_opt_attr("subtype", self.subtype.as_deref())
    }
}

impl PayloadType {
    /// A codec without parameters and feedback.
    pub fn new(id: u8, name: impl Into<String>, clockrate: u32, channels: u8) -> Self {
        Self {
            id,
            name: name.into(),
            clockrate,
            channels,
            parameters: Vec::new(),
            rtcp_fbs: Vec::new(),
            trr_int: None,
        }
    }

    /// Whether this is the codec `name`, compared as SDP does.
    pub fn is_codec(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// The value of the parameter `name`.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|p| p.name.as_deref() == Some(name)).map(|p| p.value.as_str())
    }

    /// For `rtx`: the payload type it retransmits.
    pub fn associated(&self) -> Option<u8> {
        self.parameter("apt")?.trim().parse().ok()
    }

    /// Whether the codec has this feedback.
    pub fn has_feedback(&self, kind: &str, subtype: Option<&str>) -> bool {
        self.rtcp_fbs.iter().any(|f| f.kind == kind && f.subtype.as_deref() == subtype)
    }

    /// Reads `payload-type`.
    pub fn from_element(e: &Element) -> Result<Self, ParseError> {
        let id: u8 = number(e, "payload-type", "id")?;
        if id > 127 {
            return Err(ParseError::Invalid { element: "payload-type", what: "id" });
        }
        let mut p = Self::new(
            id,
            e.attr("name").unwrap_or_default(),
            optional(e, "payload-type", "clockrate")?.unwrap_or(0),
            optional(e, "payload-type", "channels")?.unwrap_or(1),
        );
        for c in e.children() {
            match c.name() {
                "parameter" => p.parameters.push(Parameter::from_element(c)),
                "rtcp-fb" => p.rtcp_fbs.push(RtcpFeedback::from_element(c)?),
                "rtcp-fb-trr-int" => p.trr_int = optional(c, "rtcp-fb-trr-int", "value")?,
                _ => {}
            }
        }
        Ok(p)
    }

    /// Writes it with its literal namespace, as it stands in Colibri2's `media`.
    pub fn to_element(&self) -> Element {
        self.fill(Element::new("payload-type", ns::JINGLE_RTP))
    }

    /// Writes it as it stands inside a `description` of the same namespace.
    fn to_inner_element(&self) -> Element {
        self.fill(Element::inherit("payload-type"))
    }

    fn fill(&self, e: Element) -> Element {
        let e = e
            .with_attr("id", self.id.to_string())
            .with_opt_attr("name", Some(&self.name).filter(|n| !n.is_empty()))
            .with_opt_attr("clockrate", (self.clockrate != 0).then(|| self.clockrate.to_string()))
            .with_opt_attr("channels", (self.channels != 1).then(|| self.channels.to_string()))
            .with_children(self.parameters.iter().map(Parameter::to_element))
            .with_children(self.rtcp_fbs.iter().map(RtcpFeedback::to_element));
        match self.trr_int {
            Some(ms) => e.with_child(
                Element::new("rtcp-fb-trr-int", ns::JINGLE_RTCP_FB).with_attr("value", ms.to_string()),
            ),
            None => e,
        }
    }
}

impl HeaderExtension {
    /// An extension in both directions.
    pub fn new(id: u8, uri: impl Into<String>) -> Self {
        Self { id, uri: uri.into(), senders: None }
    }

    /// Reads `rtp-hdrext`.
    pub fn from_element(e: &Element) -> Result<Self, ParseError> {
        let id: u8 = number(e, "rtp-hdrext", "id")?;
        if id == 0 {
            return Err(ParseError::Invalid { element: "rtp-hdrext", what: "id" });
        }
        Ok(Self {
            id,
            uri: required(e, "rtp-hdrext", "uri")?.to_owned(),
            senders: word(e, "rtp-hdrext", "senders", Senders::parse)?,
        })
    }

    /// Writes it with its literal namespace.
    pub fn to_element(&self) -> Element {
        Element::new("rtp-hdrext", ns::JINGLE_HDREXT)
            .with_attr("id", self.id.to_string())
            .with_attr("uri", &self.uri)
            .with_opt_attr("senders", self.senders.map(Senders::as_str))
    }
}

/// `extmap-allow-mixed` with its literal namespace.
pub(crate) fn extmap_allow_mixed() -> Element {
    Element::new("extmap-allow-mixed", ns::JINGLE_HDREXT)
}

impl RtpDescription {
    /// An empty description of `media`.
    pub fn new(media: impl Into<String>) -> Self {
        Self { media: media.into(), ..Self::default() }
    }

    /// Reads `description`.
    pub fn from_element(e: &Element) -> Result<Self, ParseError> {
        expect(e, "description", ns::JINGLE_RTP)?;
        let mut d = Self::new(e.attr("media").unwrap_or_default());
        d.maxptime = optional(e, "description", "maxptime")?;
        for c in e.children() {
            match c.name() {
                "payload-type" => d.payload_types.push(PayloadType::from_element(c)?),
                "rtp-hdrext" => d.header_extensions.push(HeaderExtension::from_element(c)?),
                "extmap-allow-mixed" => d.extmap_allow_mixed = true,
                "rtcp-mux" => d.rtcp_mux = true,
                "source" => d.sources.push(Source::from_element(c)?),
                "ssrc-group" => d.ssrc_groups.push(SsrcGroup::from_element(c)?),
                _ => {}
            }
        }
        Ok(d)
    }

    /// Writes it: payload types, header extensions, extmap-allow-mixed, then the rest (focus §4.9).
    pub fn to_element(&self) -> Element {
        let mut e = Element::new("description", ns::JINGLE_RTP)
            .with_opt_attr("media", Some(&self.media).filter(|m| !m.is_empty()))
            .with_opt_attr("maxptime", self.maxptime.map(|m| m.to_string()))
            .with_children(self.payload_types.iter().map(PayloadType::to_inner_element))
            .with_children(self.header_extensions.iter().map(HeaderExtension::to_element));
        if self.extmap_allow_mixed {
            e.push(extmap_allow_mixed());
        }
        if self.rtcp_mux {
            e.push(Element::new("rtcp-mux", ns::JINGLE_RTP));
        }
        e.with_children(self.sources.iter().map(Source::to_element))
            .with_children(self.ssrc_groups.iter().map(SsrcGroup::to_element))
    }
}
