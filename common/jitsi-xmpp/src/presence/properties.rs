//! Conference properties, start-muted policy, entity capabilities and the small text nodes of a presence.

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
