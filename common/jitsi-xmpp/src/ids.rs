//! Newtypes for the ids that travel between the roles.

use std::fmt;
use std::sync::Arc;

macro_rules! text_id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps a text. Use the checked constructors of the parsing module on peer input.
            pub fn new(text: impl AsRef<str>) -> Self {
                Self(text.as_ref().into())
            }

            /// The text on the wire.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    )*};
}

text_id! {
    /// A participant on the bridge = its MUC nick: normally 8 lower-case hex digits, random per session.
    EndpointId;
    /// `<endpoint>-<a|v><index>[.<suffix>]`, e.g. `a1b2c3d4-v0`.
    SourceName;
    /// The focus' UUID for one conference on the bridges (`meeting-id` of Colibri2).
    MeetingId;
    /// A Jingle session id.
    SessionId;
}

impl SourceName {
    /// The endpoint that owns this source, by the naming scheme.
    pub fn owner(&self) -> Option<EndpointId> {
        self.as_str().rsplit_once('-').map(|(owner, _)| EndpointId::new(owner))
    }
}

/// An RTP synchronisation source, RFC 3550 §3. Never 0 on the wire between the roles.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ssrc(pub u32);

impl fmt::Debug for Ssrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ssrc:{}", self.0)
    }
}

impl fmt::Display for Ssrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Audio or video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MediaType {
    /// `audio`
    Audio,
    /// `video`
    Video,
}

impl MediaType {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
        }
    }

    /// From the word on the wire.
    pub fn parse(s: &str) -> Option<Self> {
        match s {
            "audio" => Some(Self::Audio),
            "video" => Some(Self::Video),
            _ => None,
        }
    }
}
