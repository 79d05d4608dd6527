//! Media sources and their groups (XEP-0339 with Jitsi's additions): elements in and out. Shared by Jingle and Colibri2.

use super::rtp::Parameter;
use crate::ids::{EndpointId, SourceName, Ssrc};
use crate::ns;
use crate::parse::{ParseError, number, required, short, word};
use crate::words::words;
use crate::xml::Element;

words! {
    /// What a video source shows.
    VideoType {
        /// A camera.
        Camera = "camera",
        /// A shared screen, sharp rather than fluent.
        Desktop = "desktop",
        /// A shared screen, fluent (a film).
        DesktopHighFps = "desktop_high_fps",
        /// Nothing at present: muted.
        None = "none",
    }
}

/// `source`: one RTP stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Source {
    /// Its SSRC. The focus refuses 0.
    pub ssrc: Ssrc,
    /// The name that all streams of the same track share.
    pub name: Option<SourceName>,
    /// Camera or screen.
    pub video_type: Option<VideoType>,
    /// RTP stream id (simulcast without signalled SSRCs).
    pub rid: Option<String>,
    /// `ssrc-info@owner`: whose it is; written by the focus only.
    pub owner: Option<EndpointId>,
    /// `msid` and others.
    pub parameters: Vec<Parameter>,
}

/// How the streams of a group belong together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Semantics {
    /// A stream and its retransmissions, RFC 4588.
    Fid,
    /// Simulcast layers, lowest first.
    Sim,
    /// A stream and its forward error correction.
    Fec,
    /// The same with flexfec.
    FecFr,
    /// Anything else, as written.
    Other(String),
}

/// `ssrc-group`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SsrcGroup {
    /// Kind of group.
    pub semantics: Semantics,
    /// Members in order.
    pub ssrcs: Vec<Ssrc>,
}

impl VideoType {
    /// From the word on the wire in any case: the bridge channel writes `CAMERA`.
    ///
    /// compat: stock bridges also say `DISABLED` of a source that is off
    /// (test: compat_a_source_that_is_disabled_shows_nothing).
    pub fn parse_any_case(s: &str) -> Option<Self> {
        if s.eq_ignore_ascii_case("disabled") {
            Some(Self::None)
        } else {
            Self::parse(&s.to_ascii_lowercase())
        }
    }
}

impl Source {
    /// A source without name and parameters.
    pub fn new(ssrc: Ssrc) -> Self {
        Self { ssrc, name: None, video_type: None, rid: None, owner: None, parameters: Vec::new() }
    }

    /// The value of the `msid` parameter.
    pub fn msid(&self) -> Option<&str> {
        self.parameters.iter().find(|p| p.name.as_deref() == Some("msid")).map(|p| p.value.as_str())
    }

    /// Reads `source`, with or without its literal namespace.
    pub fn from_element(e: &Element) -> Result<Self, ParseError> {
        if e.name() != "source" {
            return Err(ParseError::Unexpected("source"));
        }
        let owner = e.child_named("ssrc-info").and_then(|i| i.attr("owner"));
        Ok(Self {
            ssrc: Ssrc(number(e, "source", "ssrc")?),
            name: e.attr("name").map(|n| short(n, "source", "name")).transpose()?.map(SourceName::new),
            video_type: word(e, "source", "videoType", VideoType::parse_any_case)?,
            rid: e.attr("rid").map(|r| short(r, "source", "rid")).transpose()?.map(str::to_owned),
            owner: owner.map(|o| short(o, "ssrc-info", "owner")).transpose()?.map(EndpointId::new),
            parameters: e
                .children()
                .filter(|c| c.name() == "parameter")
                .map(Parameter::from_element)
                .collect(),
        })
    }

    /// Writes it with its literal namespace.
    pub fn to_element(&self) -> Element {
        let mut e = bare(self.ssrc)
            .with_opt_attr("name", self.name.as_ref().map(SourceName::as_str))
            .with_opt_attr("videoType", self.video_type.map(VideoType::as_str))
            .with_opt_attr("rid", self.rid.as_deref());
        if let Some(owner) = &self.owner {
            e.push(Element::new("ssrc-info", ns::JITMEET).with_attr("owner", owner.as_str()));
        }
        e.with_children(self.parameters.iter().map(Parameter::to_element))
    }
}

/// compat: the literal namespace stands also on a `source` inside `ssrc-group`
/// (test: compat_every_element_on_the_list_carries_its_namespace).
fn bare(ssrc: Ssrc) -> Element {
    Element::new("source", ns::JINGLE_SSMA).with_attr("ssrc", ssrc.0.to_string())
}

impl Semantics {
    /// The word on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Fid => "FID",
            Self::Sim => "SIM",
            Self::Fec => "FEC",
            Self::FecFr => "FEC-FR",
            Self::Other(s) => s,
        }
    }

    /// From the word on the wire.
    pub fn parse(s: &str) -> Self {
        match s {
            "FID" => Self::Fid,
            "SIM" => Self::Sim,
            "FEC" => Self::Fec,
            "FEC-FR" => Self::FecFr,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl SsrcGroup {
    /// Reads `ssrc-group`. compat: clients write the `source` children without a literal namespace
    /// (test: compat_ssrc_group_of_a_client_has_sources_without_namespace).
    pub fn from_element(e: &Element) -> Result<Self, ParseError> {
        if e.name() != "ssrc-group" {
            return Err(ParseError::Unexpected("ssrc-group"));
        }
        Ok(Self {
            semantics: Semantics::parse(short(
                required(e, "ssrc-group", "semantics")?,
                "ssrc-group",
                "semantics",
            )?),
            ssrcs: e
                .children()
                .filter(|c| c.name() == "source")
                .map(|c| number(c, "source", "ssrc").map(Ssrc))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Writes it and its sources with their literal namespace.
    pub fn to_element(&self) -> Element {
        Element::new("ssrc-group", ns::JINGLE_SSMA)
            .with_attr("semantics", self.semantics.as_str())
            .with_children(self.ssrcs.iter().map(|s| bare(*s)))
    }
}
