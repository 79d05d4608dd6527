//! Sources in the compact JSON form (client-protocol §5.5): `json-message` text in, sources per owner out, and back.

use super::source::{Source, SsrcGroup};
use crate::ids::EndpointId;

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
