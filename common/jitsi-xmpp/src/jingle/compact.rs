//! Sources in the compact JSON form (client §5.5): `json-message` text in, sources per owner out, and back.

use serde_json::{Value, json};

use super::rtp::Parameter;
use super::source::{Semantics, Source, SsrcGroup, VideoType};
use crate::ids::{EndpointId, SourceName, Ssrc};
use crate::ns;
use crate::parse::{ParseError, expect, short};
use crate::xml::Element;

/// What one owner sends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OwnerSources {
    /// Video streams.
    pub video: Vec<Source>,
    /// Groups of them.
    pub video_groups: Vec<SsrcGroup>,
    /// Audio streams.
    pub audio: Vec<Source>,
    /// Groups of them.
    pub audio_groups: Vec<SsrcGroup>,
}

/// `json-message` with `sources`: everything by owner (an endpoint id, or `jvb`), in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CompactSources(pub Vec<(EndpointId, OwnerSources)>);

impl CompactSources {
    /// What `owner` sends, if it is listed.
    pub fn owner(&self, owner: &str) -> Option<&OwnerSources> {
        self.0.iter().find(|(o, _)| o.as_str() == owner).map(|(_, s)| s)
    }

    /// Reads `json-message`: `Ok(None)` if it is about something else than sources.
    pub fn from_element(e: &Element) -> Result<Option<Self>, ParseError> {
        expect(e, "json-message", ns::JITMEET)?;
        let value = crate::json::parse(&e.text()).ok_or(ParseError::Json)?;
        value.get("sources").map(Self::from_json).transpose()
    }

    /// Writes `json-message` with its literal namespace.
    pub fn to_element(&self) -> Element {
        let mut text = String::from("{\"sources\":");
        self.write(&mut text);
        text.push('}');
        Element::new("json-message", ns::JITMEET).with_text(text)
    }

    /// Reads the value of `sources`.
    pub fn from_json(value: &Value) -> Result<Self, ParseError> {
        let owners = value.as_object().ok_or(INVALID)?;
        owners
            .iter()
            .map(|(owner, lists)| {
                let lists = lists.as_array().ok_or(INVALID)?;
                let list = |i: usize| lists.get(i).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                Ok((
                    EndpointId::new(short(owner, "json-message", "sources")?),
                    OwnerSources {
                        video: list(0).iter().map(|s| source(s, true)).collect::<Result<_, _>>()?,
                        video_groups: list(1).iter().map(group).collect::<Result<_, _>>()?,
                        audio: list(2).iter().map(|s| source(s, false)).collect::<Result<_, _>>()?,
                        audio_groups: list(3).iter().map(group).collect::<Result<_, _>>()?,
                    },
                ))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Writes the value of `sources` in the order of the owners.
    fn write(&self, out: &mut String) {
        out.push('{');
        for (i, (owner, s)) in self.0.iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            out.push_str(&json!(owner.as_str()).to_string());
            out.push_str(":[");
            list(&s.video, out, write_source);
            out.push(',');
            list(&s.video_groups, out, write_group);
            out.push(',');
            list(&s.audio, out, write_source);
            // The last list is left out when empty; the first three always stand, so that none is mistaken.
            if !s.audio_groups.is_empty() {
                out.push(',');
                list(&s.audio_groups, out, write_group);
            }
            out.push(']');
        }
        out.push('}');
    }
}

fn source(value: &Value, video: bool) -> Result<Source, ParseError> {
    let mut s = Source::new(ssrc(value.get("s").ok_or(INVALID)?)?);
    if let Some(name) = value.get("n").and_then(Value::as_str) {
        s.name = Some(SourceName::new(short(name, "json-message", "n")?));
    }
    if let Some(msid) = value.get("m").and_then(Value::as_str) {
        s.parameters.push(Parameter::new("msid", msid));
    }
    if video {
        // Any value means a screen; none a camera.
        s.video_type = Some(if value.get("v").is_some() { VideoType::Desktop } else { VideoType::Camera });
    }
    Ok(s)
}

fn group(value: &Value) -> Result<SsrcGroup, ParseError> {
    let (kind, members) = value.as_array().and_then(|a| a.split_first()).ok_or(INVALID)?;
    let semantics = match kind.as_str() {
        Some("f") => Semantics::Fid,
        Some("s") => Semantics::Sim,
        _ => return Err(INVALID),
    };
    Ok(SsrcGroup { semantics, ssrcs: members.iter().map(ssrc).collect::<Result<_, _>>()? })
}

/// A number, or a number in a string: both are in use.
fn ssrc(value: &Value) -> Result<Ssrc, ParseError> {
    let n = match value {
        Value::String(s) => s.parse().ok(),
        v => v.as_u64().and_then(|n| u32::try_from(n).ok()),
    };
    n.map(Ssrc).ok_or(INVALID)
}

fn list<T>(items: &[T], out: &mut String, write: impl Fn(&T, &mut String)) {
    out.push('[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write(item, out);
    }
    out.push(']');
}

fn write_source(s: &Source, out: &mut String) {
    out.push_str(&format!("{{\"s\":{}", s.ssrc));
    if let Some(n) = &s.name {
        out.push_str(&format!(",\"n\":{}", json!(n.as_str())));
    }
    if let Some(m) = s.msid() {
        out.push_str(&format!(",\"m\":{}", json!(m)));
    }
    if matches!(s.video_type, Some(VideoType::Desktop | VideoType::DesktopHighFps)) {
        out.push_str(",\"v\":\"d\"");
    }
    out.push('}');
}

/// Clients know FID and SIM only; other groups are left out by the focus before.
fn write_group(g: &SsrcGroup, out: &mut String) {
    out.push_str(if g.semantics == Semantics::Sim { "[\"s\"" } else { "[\"f\"" });
    for s in &g.ssrcs {
        out.push_str(&format!(",{s}"));
    }
    out.push(']');
}

const INVALID: ParseError = ParseError::Invalid { element: "json-message", what: "sources" };
