//! Mute IQs (client-protocol §4.9): the `mute` element in, who is to be muted out, and back.

use crate::Jid;

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
