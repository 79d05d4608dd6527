//! The parts of bridge channel messages that are types of their own.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::ids::{EndpointId, SourceName, Ssrc};
use crate::jingle::VideoType;

/// What one source may cost at most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VideoConstraints {
    /// Pixels; −1 = no limit, 0 = nothing.
    pub max_height: i32,
    /// Frames per second; −1 = no limit.
    pub max_frame_rate: f64,
}

/// `ReceiverVideoConstraints`; absent = unchanged.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReceiverVideoConstraints {
    /// How many video sources; −1 = all, 0 = none.
    pub last_n: Option<i32>,
    /// Preferred sources, treated alike.
    pub selected_sources: Option<Vec<SourceName>>,
    /// Sources that get all they can use first.
    pub on_stage_sources: Option<Vec<SourceName>>,
    /// For sources without own constraints.
    pub default_constraints: Option<VideoConstraints>,
    /// Replaces all own constraints of sources.
    pub constraints: Option<BTreeMap<SourceName, VideoConstraints>>,
    /// ≥ 0: use this instead of the estimate.
    pub assumed_bandwidth_bps: Option<i64>,
}

/// `ReceiverAudioSubscription`, the legacy form already translated.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AudioSubscription {
    /// Everything but `exclude`.
    pub all: bool,
    /// These, if not all.
    pub include: Vec<SourceName>,
    /// Not these.
    pub exclude: Vec<SourceName>,
}

/// `SourceVideoTypeMessage`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceVideoType {
    /// Which source.
    pub source_name: SourceName,
    /// What it shows.
    pub video_type: VideoType,
}

/// `EndpointMessage`: opaque but for sender and receiver.
#[derive(Clone, PartialEq)]
pub struct EndpointMessage {
    /// The sender; the bridge writes it, whatever the client said.
    pub from: Option<EndpointId>,
    /// The receiver; empty = all.
    pub to: String,
    /// `msgPayload` and whatever else the client wrote.
    pub other: Map<String, Value>,
}

/// `EndpointStats`: opaque but for the sender.
#[derive(Clone, PartialEq)]
pub struct EndpointStats {
    /// The sender; the bridge writes it, whatever the client said.
    pub from: Option<EndpointId>,
    /// Whatever the client wrote.
    pub other: Map<String, Value>,
}

/// One slot of a `VideoSourcesMap`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoSourceMapping {
    /// What the slot carries now.
    pub source: SourceName,
    /// Whose it is.
    pub owner: EndpointId,
    /// The slot.
    pub ssrc: Ssrc,
    /// The slot's retransmissions.
    pub rtx: Ssrc,
    /// What it shows.
    pub video_type: VideoType,
    /// The stamped MID, if agreed.
    pub mid: Option<String>,
}

/// One slot of an `AudioSourcesMap`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioSourceMapping {
    /// What the slot carries now.
    pub source: SourceName,
    /// Whose it is.
    pub owner: EndpointId,
    /// The slot.
    pub ssrc: Ssrc,
    /// The stamped MID, if agreed.
    pub mid: Option<String>,
}

/// Messages between people are personal.
impl std::fmt::Debug for EndpointMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EndpointMessage({} members)", self.other.len())
    }
}

impl std::fmt::Debug for EndpointStats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EndpointStats({} members)", self.other.len())
    }
}
