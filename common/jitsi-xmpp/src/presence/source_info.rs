//! `SourceInfo`: the JSON text in a presence in, the state of each source out, and back.

use crate::ids::{MediaType, SourceName};
use crate::jingle::VideoType;

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
