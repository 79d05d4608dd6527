//! What a receiver asked for: `ReceiverVideoConstraints` and `ReceiverAudioSubscription` in, lookups out.

use foldhash::HashMap;
use foldhash::HashMapExt as _;
use jitsi_xmpp::ids::SourceName;

use crate::media::limits::MAX_NAMES_PER_MESSAGE;

/// A receiver's wishes for video. Absent members of a message leave the value as it was.
#[derive(Debug, Clone)]
pub(crate) struct VideoSettings {
    pub(crate) last_n: i32,
    pub(crate) on_stage: Vec<SourceName>,
    pub(crate) selected: Vec<SourceName>,
    pub(crate) constraints: HashMap<SourceName, i32>,
    pub(crate) default_height: i32,
    pub(crate) assumed_bandwidth: Option<u64>,
    /// Whether a message was seen: the first one without `defaultConstraints` raises the default.
    heard: bool,
}

/// One `ReceiverVideoConstraints` message, reduced to what counts. `None` = not in the message.
#[derive(Debug, Default)]
pub(crate) struct VideoUpdate {
    pub(crate) last_n: Option<i32>,
    pub(crate) on_stage: Option<Vec<SourceName>>,
    pub(crate) selected: Option<Vec<SourceName>>,
    pub(crate) default_height: Option<i32>,
    pub(crate) constraints: Option<Vec<(SourceName, i32)>>,
    pub(crate) assumed_bandwidth_bps: Option<i64>,
}

impl VideoSettings {
    /// Before any message nothing is sent (upstream's `initial-max-height-px` = 0).
    pub(crate) fn new(initial_last_n: i32, initial_max_height: i32) -> Self {
        Self {
            last_n: initial_last_n,
            on_stage: Vec::new(),
            selected: Vec::new(),
            constraints: HashMap::new(),
            default_height: initial_max_height,
            assumed_bandwidth: None,
            heard: false,
        }
    }

    /// Applies a message. `bandwidth_limit` = the configured permission to assume bandwidth, with its maximum.
    pub(crate) fn apply(
        &mut self,
        update: VideoUpdate,
        default_max_height: i32,
        bandwidth_limit: Option<u64>,
    ) {
        if let Some(last_n) = update.last_n {
            self.last_n = last_n;
        }
        if let Some(mut names) = update.on_stage {
            names.truncate(MAX_NAMES_PER_MESSAGE);
            self.on_stage = names;
        }
        if let Some(mut names) = update.selected {
            names.truncate(MAX_NAMES_PER_MESSAGE);
            self.selected = names;
        }
        match update.default_height {
            Some(height) => self.default_height = height,
            None if !self.heard => self.default_height = default_max_height,
            None => {}
        }
        if let Some(list) = update.constraints {
            self.constraints = list.into_iter().take(MAX_NAMES_PER_MESSAGE).collect();
        }
        if let Some(bps) = update.assumed_bandwidth_bps {
            self.assumed_bandwidth = match (u64::try_from(bps), bandwidth_limit) {
                (Ok(bps), Some(limit)) => Some(bps.min(limit)),
                _ => None,
            };
        }
        self.heard = true;
    }

    /// The wished maximum height of a source; −1 = any.
    pub(crate) fn height_of(&self, source: &SourceName) -> i32 {
        self.constraints.get(source).copied().unwrap_or(self.default_height)
    }
}

/// Which audio sources a receiver wants.
#[derive(Debug, Clone)]
pub(crate) struct AudioSubscription {
    pub(crate) all: bool,
    pub(crate) include: Vec<SourceName>,
    pub(crate) exclude: Vec<SourceName>,
}

impl Default for AudioSubscription {
    fn default() -> Self {
        Self { all: true, include: Vec::new(), exclude: Vec::new() }
    }
}

impl AudioSubscription {
    /// A bounded subscription.
    pub(crate) fn new(all: bool, mut include: Vec<SourceName>, mut exclude: Vec<SourceName>) -> Self {
        include.truncate(MAX_NAMES_PER_MESSAGE);
        exclude.truncate(MAX_NAMES_PER_MESSAGE);
        Self { all, include, exclude }
    }

    /// Excluded → no; included → yes; else `all`.
    pub(crate) fn wants(&self, source: &SourceName) -> bool {
        !self.exclude.contains(source) && (self.all || self.include.contains(source))
    }
}
