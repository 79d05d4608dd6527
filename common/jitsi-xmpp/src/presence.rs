//! What the roles put into presences: start-muted policy and entity capabilities, in and out.

use crate::ns;
use crate::parse::{ParseError, boolean, expect};
use crate::xml::Element;

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
    /// Writes it with its literal namespace.
    pub fn to_element(&self) -> Element {
        Element::new("c", ns::CAPS)
            .with_attr("hash", &self.hash)
            .with_attr("node", &self.node)
            .with_attr("ver", &self.ver)
    }
}
