//! Dividing bandwidth: the wanted sources with their layers in, one target layer per source out.
//!
//! The rounds, comparisons and ties are upstream's; `tests.rs` checks them against its expected results.

use smallvec::SmallVec;

use super::effective::Wanted;
use super::{Layer, LayerId, UNLIMITED, enabled, is_desktop};
use crate::media::ids::Bitrate;

/// More than any estimate.
const INFINITE: i64 = i64::MAX / 4;

const ON_STAGE_HEIGHT: i32 = 360;
const ON_STAGE_FPS: f32 = 30.0;
const SMALL_HEIGHT: i32 = 180;
const MAX_OVERSEND: i64 = 500_000;

/// For sums that may become negative.
fn signed(bitrate: Bitrate) -> i64 {
    i64::try_from(bitrate.0).unwrap_or(INFINITE)
}

/// One source of one receiver while bandwidth is being divided.
#[derive(Debug, Clone)]
pub(crate) struct Share {
    pub(crate) wanted: Wanted,
    layers: SmallVec<[Layer; 9]>,
    preferred: Option<usize>,
    oversend: Option<usize>,
    target: Option<usize>,
}

impl Share {
    /// Chooses the layers of `all` (lowest first) that come into question for this receiver.
    pub(crate) fn new(wanted: Wanted, all: &[Layer]) -> Self {
        let mut share =
            Self { wanted, layers: SmallVec::new(), preferred: None, oversend: None, target: None };
        if wanted.max_height == 0 || !enabled(wanted.kind) {
            return share;
        }
        let none_active = all.iter().all(|l| l.bitrate == Bitrate::ZERO);
        let considered = all.iter().copied().filter(|l| none_active || l.bitrate > Bitrate::ZERO);
        if is_desktop(wanted.kind) {
            share.choose_desktop(considered)
        } else {
            share.choose_camera(considered)
        }
        share
    }

    /// The target layer, `None` = suspended.
    pub(crate) fn target(&self) -> Option<Layer> {
        self.target.and_then(|i| self.layers.get(i)).copied()
    }

    /// The least there is of it.
    pub(crate) fn least(&self) -> Option<Layer> {
        self.layers.first().copied()
    }

    /// The layer this receiver would get with unlimited bandwidth.
    pub(crate) fn ideal(&self) -> Option<Layer> {
        self.layers.last().copied()
    }

    fn choose_camera(&mut self, layers: impl Iterator<Item = Layer> + Clone) {
        let large = self.wanted.max_height > SMALL_HEIGHT || self.wanted.max_height == UNLIMITED;
        let (height, fps) = if large { (ON_STAGE_HEIGHT, ON_STAGE_FPS) } else { (-1, -1.0) };
        let lowest = layers.clone().map(|l| l.height).min().unwrap_or(-1);
        let best_fps = layers.clone().map(|l| l.fps).fold(f32::MIN, f32::max);
        let min_fps = fps.min(best_fps);
        for l in layers {
            let good = self.wanted.allows(l.height) && (l.fps < 0.0 || l.fps >= min_fps);
            if l.height < height || good || l.height == lowest {
                self.layers.push(l);
            }
        }
        self.preferred = self.layers.iter().rposition(|l| l.height <= height.max(lowest));
    }

    fn choose_desktop(&mut self, layers: impl Iterator<Item = Layer> + Clone) {
        let Self { layers: chosen, wanted, .. } = self;
        chosen.extend(layers.clone().filter(|l| wanted.allows(l.height)));
        if self.layers.is_empty() {
            let lowest = layers.clone().map(|l| l.height).min().unwrap_or(-1);
            let mut low = layers.filter(|l| l.height == lowest);
            // With unknown frame rates the smallest piece is all a thumbnail needs.
            match low.next() {
                Some(first) if first.fps < 0.0 && !self.wanted.on_stage => self.layers.push(first),
                Some(first) => {
                    self.layers.push(first);
                    self.layers.extend(low);
                }
                None => {}
            }
        }
        self.preferred = self.layers.len().checked_sub(1);
        if self.wanted.on_stage {
            let top = self.layers.iter().map(|l| l.height).max();
            let best = self.layers.iter().enumerate().filter(|(_, l)| Some(l.height) == top);
            self.oversend = best.min_by_key(|(_, l)| l.bitrate).map(|(i, _)| i);
        }
    }

    /// What this layer costs, if it comes into question.
    pub(crate) fn bitrate_of(&self, id: LayerId) -> Option<Bitrate> {
        self.layers.iter().find(|l| l.id == id).map(|l| l.bitrate)
    }

    fn bitrate(&self, index: usize) -> i64 {
        self.layers.get(index).map_or(0, |l| signed(l.bitrate))
    }

    /// One step up, or several for a source on stage that has nothing yet. Returns the bit/s it cost.
    fn improve(&mut self, remaining: i64, may_oversend: bool) -> i64 {
        if self.layers.is_empty() {
            return 0;
        }
        let before = self.target.map_or(0, |t| self.bitrate(t));
        let max = remaining.saturating_add(before);
        match (self.target, self.preferred) {
            (None, Some(preferred)) if self.wanted.on_stage => {
                for i in 0..=preferred {
                    if self.bitrate(i) > max {
                        break;
                    }
                    self.target = Some(i);
                }
            }
            (target, _) => {
                let next = target.map_or(0, |t| t + 1);
                if next < self.layers.len() && self.bitrate(next) < max {
                    self.target = Some(next);
                }
            }
        }
        if let Some(target) = self.target {
            let cost = self.bitrate(target);
            if let Some(higher) = (target + 1..self.layers.len()).rev().find(|l| self.bitrate(*l) <= cost) {
                self.target = Some(higher);
            }
        }
        if let Some(oversend) = self.oversend.filter(|_| may_oversend) {
            let from = self.target.map_or(0, |t| t + 1);
            for l in (from..=oversend).rev() {
                if self.bitrate(l) <= max.saturating_add(MAX_OVERSEND) {
                    self.target = Some(l);
                }
            }
        }
        self.target.map_or(0, |t| self.bitrate(t)) - before
    }
}

/// Divides `available`; `None` = no limit known. Returns whether more than that is being sent.
pub(crate) fn allocate(available: Option<Bitrate>, shares: &mut [Share]) -> bool {
    let mut remaining = available.map_or(INFINITE, signed);
    let mut oversending = false;
    loop {
        let before = remaining;
        for (i, share) in shares.iter_mut().enumerate().filter(|(_, s)| s.wanted.max_height != 0) {
            remaining -= share.improve(remaining, i == 0);
            oversending |= remaining < 0;
            // Thumbnails wait for the stage.
            if share.wanted.on_stage && share.target < share.preferred {
                break;
            }
        }
        if remaining == before {
            return oversending;
        }
    }
}
