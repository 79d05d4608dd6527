//! Mute IQs (client §4.9): the `mute` element in, who is to be muted out, and back.

use crate::parse::{ParseError, boolean_word};
use crate::xml::Element;
use crate::{Jid, ns};

/// What is muted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MuteMedia {
    /// Microphone.
    Audio,
    /// Camera.
    Video,
    /// Screen share.
    Desktop,
}

/// `mute`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mute {
    /// What.
    pub media: MuteMedia,
    /// Whose: an occupant JID.
    pub jid: Option<Jid>,
    /// Who wants it: an occupant JID; written by the focus.
    pub actor: Option<Jid>,
    /// Mute or unmute; absent when the text is neither `true` nor `false`.
    pub mute: Option<bool>,
}

impl MuteMedia {
    /// Its namespace.
    pub const fn ns(self) -> &'static str {
        match self {
            Self::Audio => ns::MUTE_AUDIO,
            Self::Video => ns::MUTE_VIDEO,
            Self::Desktop => ns::MUTE_DESKTOP,
        }
    }

    /// From the namespace of `mute`.
    pub fn from_ns(uri: &str) -> Option<Self> {
        [Self::Audio, Self::Video, Self::Desktop].into_iter().find(|m| m.ns() == uri)
    }
}

impl Mute {
    /// Reads the `mute` child of an IQ; `None` if it has none.
    pub fn from_iq(iq: &Element) -> Option<Result<Self, ParseError>> {
        iq.children()
            .find(|c| c.name() == "mute" && MuteMedia::from_ns(c.ns()).is_some())
            .map(Self::from_element)
    }

    /// Reads `mute`. A `jid` that is none is an error; a missing one is the reader's decision.
    pub fn from_element(e: &Element) -> Result<Self, ParseError> {
        let media = MuteMedia::from_ns(e.ns()).filter(|_| e.name() == "mute");
        let jid = e.attr("jid").map(str::parse).transpose();
        Ok(Self {
            media: media.ok_or(ParseError::Unexpected("mute"))?,
            jid: jid.map_err(|_| ParseError::Invalid { element: "mute", what: "jid" })?,
            actor: e.attr("actor").and_then(|a| a.parse().ok()),
            mute: boolean_word(&e.text()),
        })
    }

    /// Writes it with its literal namespace.
    pub fn to_element(&self) -> Element {
        let e = Element::new("mute", self.media.ns())
            .with_opt_attr("jid", self.jid.as_ref().map(Jid::as_str))
            .with_opt_attr("actor", self.actor.as_ref().map(Jid::as_str));
        match self.mute {
            Some(m) => e.with_text(m.to_string()),
            None => e,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml;

    #[test]
    fn round_trip_and_bad_input() {
        let text = "<mute xmlns=\"http://jitsi.org/jitmeet/audio\" jid=\"r@c/b5c6d7e8\" actor=\"r@c/a1b2c3d4\">true</mute>";
        let m = Mute::from_element(&xml::parse(text.as_bytes()).unwrap()).unwrap();
        assert_eq!((m.media, m.mute), (MuteMedia::Audio, Some(true)));
        assert_eq!(m.to_element().to_xml(), text);
        let read = |t: &str| Mute::from_element(&xml::parse(t.as_bytes()).unwrap());
        assert_eq!(read("<mute xmlns='http://jitsi.org/jitmeet/video'>maybe</mute>").unwrap().mute, None);
        assert!(read("<mute xmlns='http://jitsi.org/jitmeet/video' jid='@'>true</mute>").is_err());
        assert!(read("<mute xmlns='x'>true</mute>").is_err());
    }
}
