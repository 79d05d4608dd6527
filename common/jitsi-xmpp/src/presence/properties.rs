//! Conference properties, start-muted policy, entity capabilities and the small text nodes of a presence.

use crate::ns;
use crate::parse::{ParseError, boolean, expect};
use crate::sensitive::Sensitive;
use crate::xml::Element;

/// `conference-properties` in the focus' presence, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConferenceProperties(pub Vec<(String, String)>);

/// `startmuted`: joiners start muted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StartMuted {
    /// Microphone.
    pub audio: bool,
    /// Camera.
    pub video: bool,
}

/// `c` of XEP-0115.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Caps {
    /// `sha-1`.
    pub hash: String,
    /// The software.
    pub node: String,
    /// The verification string.
    pub ver: String,
}

impl ConferenceProperties {
    /// A property's value.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// Sets a property; whether that changed anything.
    pub fn set(&mut self, key: &str, value: impl Into<String>) -> bool {
        let value = value.into();
        match self.0.iter_mut().find(|(k, _)| k == key) {
            Some((_, v)) if *v == value => false,
            Some((_, v)) => {
                *v = value;
                true
            }
            None => {
                self.0.push((key.to_owned(), value));
                true
            }
        }
    }

    /// Reads `conference-properties`.
    pub fn from_element(e: &Element) -> Result<Self, ParseError> {
        expect(e, "conference-properties", ns::FOCUS)?;
        Ok(Self(
            e.children()
                .filter(|c| c.name() == "property")
                .filter_map(|p| Some((p.attr("key")?.to_owned(), p.attr("value")?.to_owned())))
                .collect(),
        ))
    }

    /// Writes it with its literal namespace.
    pub fn to_element(&self) -> Element {
        Element::new("conference-properties", ns::FOCUS).with_children(
            self.0
                .iter()
                .map(|(k, v)| Element::inherit("property").with_attr("key", k).with_attr("value", v)),
        )
    }
}

impl StartMuted {
    /// Reads `startmuted`.
    pub fn from_element(e: &Element) -> Result<Self, ParseError> {
        expect(e, "startmuted", ns::START_MUTED)?;
        Ok(Self {
            audio: boolean(e, "startmuted", "audio")?.unwrap_or(false),
            video: boolean(e, "startmuted", "video")?.unwrap_or(false),
        })
    }

    /// Writes it with its literal namespace.
    pub fn to_element(&self) -> Element {
        Element::new("startmuted", ns::START_MUTED)
            .with_attr("audio", self.audio.to_string())
            .with_attr("video", self.video.to_string())
    }
}

impl Caps {
    /// The node to ask disco#info about.
    pub fn disco_node(&self) -> String {
        format!("{}#{}", self.node, self.ver)
    }

    /// Reads the `c` of a presence, if it has a complete one.
    pub fn from_presence(presence: &Element) -> Option<Self> {
        let c = presence.child("c", ns::CAPS)?;
        Some(Self {
            hash: c.attr("hash").unwrap_or("sha-1").to_owned(),
            node: c.attr("node")?.to_owned(),
            ver: c.attr("ver")?.to_owned(),
        })
    }

    /// Writes it with its literal namespace.
    pub fn to_element(&self) -> Element {
        Element::new("c", ns::CAPS)
            .with_attr("hash", &self.hash)
            .with_attr("node", &self.node)
            .with_attr("ver", &self.ver)
    }
}

/// `features` of a presence: what a participant can do beyond its capabilities.
pub fn features(presence: &Element) -> Vec<String> {
    presence
        .child_named("features")
        .into_iter()
        .flat_map(Element::children)
        .filter(|f| f.name() == "feature")
        .filter_map(|f| f.attr("var").map(str::to_owned))
        .collect()
}

/// Writes `features`.
pub fn features_element<'a>(vars: impl IntoIterator<Item = &'a str>) -> Element {
    Element::inherit("features")
        .with_children(vars.into_iter().map(|v| Element::inherit("feature").with_attr("var", v)))
}

/// `jitsi_participant_region`.
pub fn region(presence: &Element) -> Option<String> {
    text(presence, "jitsi_participant_region")
}

/// `stats-id`.
pub fn stats_id(presence: &Element) -> Option<Sensitive<String>> {
    text(presence, "stats-id").map(Sensitive::new)
}

/// `nick`: the display name.
pub fn display_name(presence: &Element) -> Option<Sensitive<String>> {
    let nick = presence.child("nick", ns::NICK)?.text();
    (!nick.is_empty()).then(|| Sensitive::new(nick))
}

/// The codecs a participant decodes, lower case, best first; `vp8` is always among them. Reads
/// `jitsi_participant_codecList`, else the legacy `jitsi_participant_codecType`; `None` if there is neither.
pub fn codec_list(presence: &Element) -> Option<Vec<String>> {
    let list = text(presence, "jitsi_participant_codecList")
        .or_else(|| text(presence, "jitsi_participant_codecType"))?;
    let mut codecs: Vec<String> = Vec::new();
    for c in list.split(',').map(|c| c.trim().to_ascii_lowercase()).filter(|c| !c.is_empty()).take(MAX_CODECS)
    {
        if !codecs.contains(&c) {
            codecs.push(c);
        }
    }
    if !codecs.iter().any(|c| c == "vp8") {
        codecs.push("vp8".to_owned());
    }
    Some(codecs)
}

fn text(presence: &Element, name: &str) -> Option<String> {
    presence.child_named(name).map(Element::text).filter(|t| !t.is_empty())
}

/// Most codecs read from one presence. Reason: browsers know five; 16 × a short word.
const MAX_CODECS: usize = 16;
