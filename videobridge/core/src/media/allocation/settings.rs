//! What a receiver asked for: `ReceiverVideoConstraints` and `ReceiverAudioSubscription` in, lookups out.

use foldhash::{HashMap, HashMapExt as _, HashSet, HashSetExt as _};
use jitsi_xmpp::bridge_channel::{ReceiverVideoConstraints, VideoConstraints};
use jitsi_xmpp::ids::SourceName;

use crate::media::ids::Bitrate;
use crate::media::limits::{MAX_NAME_LEN, MAX_NAMES_PER_MESSAGE, MAX_STAGE_NAMES};

/// A receiver's wishes for video. Absent members of a message leave the value as it was.
#[derive(Debug, Clone)]
pub(crate) struct VideoSettings {
    pub(crate) last_n: i32,
    pub(crate) on_stage: Vec<SourceName>,
    pub(crate) selected: Vec<SourceName>,
    pub(crate) constraints: HashMap<SourceName, i32>,
    pub(crate) default_height: i32,
    pub(crate) assumed_bandwidth: Option<Bitrate>,
    /// Whether a message was seen: the first one without `defaultConstraints` raises the default.
    heard: bool,
    /// Whether the client has a last-n of its own.
    chose_last_n: bool,
}

/// One `ReceiverVideoConstraints` message, reduced to what counts. `None` = not in the message.
#[derive(Debug, Default)]
pub(crate) struct VideoUpdate {
    pub(crate) last_n: Option<i32>,
    pub(crate) on_stage: Option<Vec<SourceName>>,
    pub(crate) selected: Option<Vec<SourceName>>,
    pub(crate) default_height: Option<i32>,
    pub(crate) constraints: Option<HashMap<SourceName, i32>>,
    pub(crate) assumed_bandwidth_bps: Option<i64>,
}

impl VideoUpdate {
    /// As much of a message as is honoured.
    pub(crate) fn read(message: &ReceiverVideoConstraints) -> Self {
        let height = |c: VideoConstraints| if c.max_frame_rate == 0.0 { 0 } else { c.max_height.max(-1) };
        let stage = |names: &Vec<SourceName>| {
            names.iter().filter(|n| fits(n)).take(MAX_STAGE_NAMES).cloned().collect()
        };
        let constraints = message.constraints.as_ref().map(|all| {
            let some = all.iter().filter(|(name, _)| fits(name)).take(MAX_NAMES_PER_MESSAGE);
            some.map(|(name, c)| (name.clone(), height(*c))).collect()
        });
        Self {
            last_n: message.last_n,
            on_stage: message.on_stage_sources.as_ref().map(stage),
            selected: message.selected_sources.as_ref().map(stage),
            default_height: message.default_constraints.map(height),
            constraints,
            assumed_bandwidth_bps: message.assumed_bandwidth_bps,
        }
    }
}

/// Whether a source can have this name.
pub(crate) fn fits(name: &SourceName) -> bool {
    name.as_str().len() <= MAX_NAME_LEN
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
            chose_last_n: false,
        }
    }

    /// The focus' last-n for somebody who joins. Returns whether it counts.
    ///
    /// compat: the client's first constraints end its time, also such without a last-n
    /// (test: compat_constraints_without_last_n_end_the_time_of_the_initial_one).
    pub(crate) fn set_initial_last_n(&mut self, last_n: i32) -> bool {
        let counts = !self.heard && !self.chose_last_n;
        if counts {
            self.last_n = last_n;
        }
        counts
    }

    /// The client's last-n.
    pub(crate) fn choose_last_n(&mut self, last_n: i32) {
        (self.last_n, self.chose_last_n) = (last_n, true);
    }

    /// Applies a message. `bandwidth_limit` = the configured permission to assume bandwidth, with its maximum.
    pub(crate) fn apply(
        &mut self,
        update: VideoUpdate,
        default_max_height: i32,
        bandwidth_limit: Option<Bitrate>,
    ) {
        if let Some(last_n) = update.last_n {
            self.choose_last_n(last_n);
        }
        if let Some(names) = update.on_stage {
            self.on_stage = names;
        }
        if let Some(names) = update.selected {
            self.selected = names;
        }
        match update.default_height {
            Some(height) => self.default_height = height,
            None if !self.heard => self.default_height = default_max_height,
            None => {}
        }
        if let Some(list) = update.constraints {
            self.constraints = list;
        }
        if let Some(bps) = update.assumed_bandwidth_bps {
            self.assumed_bandwidth = match (u64::try_from(bps), bandwidth_limit) {
                (Ok(bps), Some(limit)) => Some(Bitrate(bps).min(limit)),
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
    pub(crate) include: HashSet<SourceName>,
    pub(crate) exclude: HashSet<SourceName>,
}

impl Default for AudioSubscription {
    fn default() -> Self {
        Self { all: true, include: HashSet::new(), exclude: HashSet::new() }
    }
}

impl AudioSubscription {
    /// As much of a subscription as is honoured.
    pub(crate) fn new(all: bool, include: &[SourceName], exclude: &[SourceName]) -> Self {
        let some = |names: &[SourceName]| {
            names.iter().filter(|n| fits(n)).take(MAX_NAMES_PER_MESSAGE).cloned().collect()
        };
        Self { all, include: some(include), exclude: some(exclude) }
    }

    /// Excluded → no; included → yes; else `all`.
    pub(crate) fn wants(&self, source: &SourceName) -> bool {
        !self.exclude.contains(source) && (self.all || self.include.contains(source))
    }
}
