//! What one encoding carries, layer by layer: packets with what they say of their frames in; the layers there are, with
//! the bits per second that each takes with all it needs, out.

use std::time::{Duration, Instant};

use smallvec::SmallVec;
use videobridge_rtp::codecs::{Descriptor, Layering, vp9};
use videobridge_rtp::dependency::{Frame, Structure};

use super::throughput::{BUCKETS, bucket};
use crate::media::egress::filter::Described;
use crate::media::ids::Bitrate;
use crate::media::limits::MAX_LAYERS;

/// The layers of one encoding.
#[derive(Debug)]
pub(crate) struct Layers {
    start: Instant,
    /// The bucket each column is of.
    numbers: [u32; BUCKETS],
    /// Ascending by spatial, then temporal layer.
    rows: Vec<Row>,
    /// The lower side of the picture by spatial layer, as far as it is said.
    sizes: [Option<u16>; vp9::MAX_SPATIAL],
}

#[derive(Debug)]
struct Row {
    spatial: u8,
    temporal: u8,
    bytes: Box<[u32; BUCKETS]>,
    /// The bucket of the newest packet that is of this layer itself.
    own: u32,
}

/// A layer that is being sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Measured {
    pub(crate) spatial: u8,
    pub(crate) temporal: u8,
    pub(crate) height: Option<u16>,
    pub(crate) fps: f32,
    pub(crate) bitrate: Bitrate,
}

impl Layers {
    pub(crate) fn new(now: Instant) -> Self {
        Self { start: now, numbers: [0; BUCKETS], rows: Vec::new(), sizes: [None; vp9::MAX_SPATIAL] }
    }

    /// What a structure of VP9 or a dependency descriptor says of sizes. Returns whether that is new.
    pub(crate) fn learn(
        &mut self,
        payload: &[u8],
        d: &Descriptor,
        frame: Option<(&Frame, &Structure)>,
    ) -> bool {
        let mut sizes = self.sizes;
        if let Some((_, structure)) = frame.filter(|(frame, _)| frame.has_structure) {
            (0..).zip(&mut sizes).for_each(|(spatial, size)| *size = structure.size(spatial));
        } else if let Some(said) = d.sizes_at.and_then(|at| vp9::sizes(payload, at)) {
            sizes.iter_mut().zip(said.sizes).for_each(|(size, said)| *size = Some(said).filter(|s| *s > 0));
        }
        std::mem::replace(&mut self.sizes, sizes) != sizes
    }

    /// Counts a packet. Returns whether its layer was not being sent so far.
    pub(crate) fn add(
        &mut self,
        now: Instant,
        bytes: usize,
        said: &Described<'_>,
        patience: Duration,
    ) -> bool {
        let d = said.descriptor;
        if d.layering == Layering::None {
            return false;
        }
        let number = bucket(self.start, now);
        let column = number as usize % BUCKETS;
        if let Some(at) = self.numbers.get_mut(column)
            && std::mem::replace(at, number) != number
        {
            self.rows.iter_mut().filter_map(|row| row.bytes.get_mut(column)).for_each(|sum| *sum = 0);
        }
        let key = (d.spatial, d.temporal);
        let mut new = false;
        let found = self.rows.binary_search_by_key(&key, |row| (row.spatial, row.temporal));
        let own = match found {
            Ok(at) => Some(at),
            Err(at) if self.rows.len() < MAX_LAYERS => {
                let (spatial, temporal) = key;
                self.rows.insert(at, Row { spatial, temporal, bytes: Box::new([0; BUCKETS]), own: 0 });
                Some(at)
            }
            Err(_) => None,
        };
        if let Some(row) = own.and_then(|at| self.rows.get_mut(at)) {
            new = row.own == 0 || number - row.own.min(number) > buckets(patience);
            row.own = number;
        }
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        for row in self.rows.iter_mut().filter(|row| row.needs(said)) {
            if let Some(sum) = row.bytes.get_mut(column) {
                *sum = sum.saturating_add(bytes);
            }
        }
        new
    }

    /// The layers of which something came lately, the lowest first.
    pub(crate) fn measure(&self, now: Instant, patience: Duration) -> SmallVec<[Measured; MAX_LAYERS]> {
        let number = bucket(self.start, now);
        let alive = |row: &&Row| row.own > 0 && number - row.own.min(number) <= buckets(patience);
        let fresh = |at: u32| at > 0 && number - at.min(number) < BUCKETS as u32;
        let layer = |row: &Row| {
            let sums = self.numbers.iter().zip(row.bytes.iter()).filter(|(at, _)| fresh(**at));
            let same = self.rows.iter().filter(alive).filter(|other| other.spatial == row.spatial);
            let fastest = same.map(|other| other.temporal).max().unwrap_or_default();
            Measured {
                spatial: row.spatial,
                temporal: row.temporal,
                height: self.sizes.get(usize::from(row.spatial)).copied().flatten(),
                // As upstream: each temporal layer doubles the frames, and all together are 30.
                fps: FULL_FPS / f32::from(1_u16 << (fastest - row.temporal).min(15)),
                bitrate: Bitrate(sums.map(|(_, sum)| u64::from(*sum) * 8).sum()),
            }
        };
        self.rows.iter().filter(alive).map(layer).collect()
    }
}

impl Row {
    /// Whether this layer cannot do without the frame of a packet.
    fn needs(&self, said: &Described<'_>) -> bool {
        let d = said.descriptor;
        match (d.layering, said.frame) {
            (Layering::Targets { present, .. }, Some((_, structure))) => {
                let target = structure.best(structure.all(), self.spatial, self.temporal);
                target.is_some_and(|target| present >> target & 1 == 1)
            }
            (Layering::Vp9 { supports, .. }, _) => {
                d.temporal <= self.temporal
                    && (d.spatial == self.spatial || (d.spatial < self.spatial && supports))
            }
            _ => d.temporal <= self.temporal && d.spatial <= self.spatial,
        }
    }
}

fn buckets(time: Duration) -> u32 {
    u32::try_from(time.as_millis() / 20).unwrap_or(u32::MAX)
}

const FULL_FPS: f32 = 30.0;

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn vp9(spatial: u8, temporal: u8, supports: bool) -> Descriptor {
        let layering = Layering::Vp9 { predicted: true, inter_layer: false, switches_up: false, supports };
        Descriptor { spatial, temporal, layering, ..Descriptor::default() }
    }

    /// 2 s of 30 pictures of three spatial layers with three temporal ones; `supports` = upper layers refer to lower ones.
    fn svc(supports: bool) -> (Instant, Layers) {
        let start = Instant::now();
        let mut layers = Layers::new(start);
        let mut new = 0;
        for n in 0..60 {
            for (spatial, bytes) in [(0, 500), (1, 1_000), (2, 2_000)] {
                let d = vp9(spatial, [0, 2, 1, 2][n % 4], supports);
                let said = Described { descriptor: &d, frame: None };
                let now = start + Duration::from_micros(n as u64 * 33_333);
                new += usize::from(layers.add(now, bytes, &said, SECOND));
            }
        }
        assert_eq!(new, 9, "each layer once");
        (start + Duration::from_millis(1_990), layers)
    }

    #[test]
    fn each_layer_is_measured_with_all_it_needs() {
        for (supports, factors) in [(true, [500, 1_500, 3_500]), (false, [500, 1_000, 2_000])] {
            let (now, mut layers) = svc(supports);
            let said = [0x50, 0, 180, 1, 64, 1, 104, 2, 128, 2, 208, 5, 0];
            let d = Descriptor { sizes_at: Some(0), ..vp9(0, 0, true) };
            assert!(layers.learn(&said, &d, None) && !layers.learn(&said, &d, None), "new once");
            let measured = layers.measure(now, SECOND);
            let keys: Vec<_> = measured.iter().map(|m| (m.height, m.fps, m.temporal)).collect();
            let heights = [180, 360, 720].map(Some);
            let fps = [(7.5, 0), (15.0, 1), (30.0, 2)];
            let all = heights.iter().flat_map(|h| fps.iter().map(move |(fps, t)| (*h, *fps, *t)));
            assert_eq!(keys, all.collect::<Vec<_>>());
            for (m, bytes) in measured.iter().zip(factors.iter().flat_map(|f| [*f; 3])) {
                let frames = [7.5, 15.0, 30.0][usize::from(m.temporal)];
                let expected = f64::from(bytes * 8) * frames;
                let off = (m.bitrate.0 as f64 - expected).abs() / expected;
                assert!(off < 0.1, "{m:?}: {expected}");
            }
        }
    }

    #[test]
    fn layers_that_ended_are_none_and_come_back_as_new() {
        let (mut now, mut layers) = svc(true);
        let base = vp9(0, 0, true);
        let said = Described { descriptor: &base, frame: None };
        for _ in 0..30 {
            now += Duration::from_millis(100);
            assert!(!layers.add(now, 500, &said, SECOND));
        }
        let measured = layers.measure(now, SECOND);
        assert_eq!(measured.iter().map(|m| (m.spatial, m.temporal)).collect::<Vec<_>>(), [(0, 0)]);
        assert!((measured[0].bitrate.0 as i64 - 40_000).abs() < 5_000 && measured[0].fps == 30.0);
        let upper = vp9(2, 0, true);
        assert!(layers.add(now, 500, &Described { descriptor: &upper, frame: None }, SECOND));
        assert!(layers.measure(now + SECOND * 3, SECOND).is_empty());
    }

    #[test]
    fn no_more_layers_than_the_limit_are_told_apart() {
        let now = Instant::now();
        let mut layers = Layers::new(now);
        for spatial in 0..8 {
            for temporal in 0..8 {
                let d = vp9(spatial, temporal, true);
                layers.add(now, 100, &Described { descriptor: &d, frame: None }, SECOND);
            }
        }
        assert_eq!(layers.measure(now, SECOND).len(), MAX_LAYERS);
    }
}
