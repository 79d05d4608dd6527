//! From wishes to limits: the sources in speaker order and a receiver's settings in, the order of allocation and
//! the effective maximum height of each source out.

use jitsi_xmpp::ids::SourceName;
use jitsi_xmpp::jingle::VideoType;

use super::settings::VideoSettings;
use super::{UNLIMITED, enabled};
use crate::media::ids::SourceIx;

/// A source a receiver could get, in speaker order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offered<'a> {
    /// Where the conference keeps it.
    pub(crate) source: SourceIx,
    pub(crate) name: &'a SourceName,
    pub(crate) kind: VideoType,
}

/// A source's place in a receiver's allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) source: SourceIx,
    pub(crate) kind: VideoType,
    /// 0 = not wanted, −1 = any height.
    pub(crate) max_height: i32,
    pub(crate) on_stage: bool,
}

impl Wanted {
    /// Whether a layer of this height is within the limit.
    pub(crate) fn allows(&self, height: i32) -> bool {
        self.max_height == UNLIMITED || height <= self.max_height
    }
}

/// Orders `offered` (stage and selected first, switched-off ones last) and applies last-n. `limits` are further
/// bounds on the number of sources; negative values do not count.
pub(crate) fn effective(
    settings: &VideoSettings,
    offered: &[Offered<'_>],
    limits: &[i32],
    out: &mut Vec<Wanted>,
) {
    out.clear();
    let last_n = limits.iter().copied().chain([settings.last_n]).filter(|n| *n >= 0).min();
    let mut left = last_n.and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
    // In the order of the list, so that last-n takes the first ones that are wanted at all.
    let mut wanted = |o: &Offered<'_>| {
        let max_height = if enabled(o.kind) && left > 0 { settings.height_of(o.name) } else { 0 };
        left -= usize::from(max_height != 0);
        let on_stage = settings.on_stage.contains(o.name);
        Wanted { source: o.source, kind: o.kind, max_height, on_stage }
    };
    for name in settings.on_stage.iter().chain(&settings.selected) {
        if let Some(o) = offered.iter().find(|o| o.name == name && enabled(o.kind))
            && !out.iter().any(|w| w.source == o.source)
        {
            out.push(wanted(o));
        }
    }
    let preferred = out.len();
    for on in [true, false] {
        for o in offered.iter().filter(|o| enabled(o.kind) == on) {
            if !out.iter().take(preferred).any(|w| w.source == o.source) {
                out.push(wanted(o));
            }
        }
    }
}
