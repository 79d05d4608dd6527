//! `SourceInfo`: the JSON text in a presence in, the state of each source out, and back.

use serde_json::{Map, Value, json};

use crate::ids::{MediaType, SourceName};
use crate::jingle::VideoType;
use crate::parse::MAX_ID_BYTES;
use crate::xml::Element;

/// One source's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceState {
    /// The source.
    pub name: SourceName,
    /// Muted; absent means yes.
    pub muted: bool,
    /// Camera or screen, if said.
    pub video_type: Option<VideoType>,
    /// As said, or as the name says.
    pub media_type: Option<MediaType>,
}

/// All sources of one occupant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SourceInfo(pub Vec<SourceState>);

impl SourceInfo {
    /// One source's state.
    pub fn get(&self, name: &str) -> Option<&SourceState> {
        self.0.iter().find(|s| s.name.as_str() == name)
    }

    /// Whether any source of this kind is unmuted.
    pub fn is_sending(&self, media: MediaType) -> bool {
        self.0.iter().any(|s| !s.muted && s.media_type == Some(media))
    }

    /// Reads the `SourceInfo` child of a presence: `None` if there is none or it is not a JSON object.
    pub fn from_presence(presence: &Element) -> Option<Self> {
        Self::from_json(&presence.child_named("SourceInfo")?.text())
    }

    /// Reads the JSON text. Lenient: an unknown video type counts as unsaid, an odd entry is left out.
    pub fn from_json(text: &str) -> Option<Self> {
        let map: Map<String, Value> = serde_json::from_str(text).ok()?;
        let states =
            map.iter().filter(|(name, _)| !name.is_empty() && name.len() <= MAX_ID_BYTES).take(MAX_SOURCES);
        Some(Self(
            states
                .filter_map(|(name, v)| {
                    let v = v.as_object()?;
                    let said = v.get("mediaType").and_then(Value::as_str).and_then(MediaType::parse);
                    Some(SourceState {
                        media_type: said.or_else(|| media_type(name)),
                        name: SourceName::new(name),
                        muted: v.get("muted").and_then(Value::as_bool).unwrap_or(true),
                        video_type: v
                            .get("videoType")
                            .and_then(Value::as_str)
                            .and_then(VideoType::parse_any_case),
                    })
                })
                .collect(),
        ))
    }

    /// Writes `SourceInfo` as clients do: the media type only where the name does not say it.
    pub fn to_element(&self) -> Element {
        let map: Map<String, Value> = self
            .0
            .iter()
            .map(|s| {
                let mut o = Map::new();
                o.insert("muted".into(), json!(s.muted));
                if let Some(v) = s.video_type {
                    o.insert("videoType".into(), json!(v.as_str()));
                }
                if let Some(m) = s.media_type.filter(|m| media_type(s.name.as_str()) != Some(*m)) {
                    o.insert("mediaType".into(), json!(m.as_str()));
                }
                (s.name.as_str().to_owned(), o.into())
            })
            .collect();
        Element::inherit("SourceInfo").with_text(Value::from(map).to_string())
    }
}

/// What a source's name says: the letter after its first `-`.
pub fn media_type(name: &str) -> Option<MediaType> {
    match name.split_once('-')?.1.chars().next()? {
        'a' => Some(MediaType::Audio),
        'v' => Some(MediaType::Video),
        _ => None,
    }
}

/// Most sources read from one presence. Reason: the focus allows 20 streams per participant.
const MAX_SOURCES: usize = 64;
