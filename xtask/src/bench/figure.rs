//! Samples of ours, the ceiling and the peer in; a figure with its ratios, its target and whether that is met, out.

use serde_json::{Value, json};

use super::statistics::{Better, Ratio, Samples};

/// What a value counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// CPU or wall time.
    Nanoseconds,
    Microseconds,
    Milliseconds,
    Seconds,
    PerSecond,
    Bytes,
    /// A share of 0 to 1, shown in per cent.
    Share,
    /// A quotient.
    Times,
    Count,
}

/// What a figure should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Target {
    None,
    AtMost(f64),
    AtLeast(f64),
    /// `ratio_to_ceiling` at least this.
    OfCeiling(f64),
    /// `ratio_to_peer` at least this.
    OfPeer(f64),
}

/// One line of the report.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    /// Stable name in the JSON.
    pub(crate) key: String,
    /// In words.
    pub(crate) what: String,
    pub(crate) unit: Unit,
    pub(crate) better: Better,
    pub(crate) target: Target,
    pub(crate) ours: Option<Samples>,
    pub(crate) ceiling: Option<Samples>,
    pub(crate) peer: Option<Samples>,
    /// The load generator, not the server, was at its end in a round.
    pub(crate) generator_limited: bool,
}

impl Figure {
    /// A figure of ours alone, better when lower, without target.
    pub(crate) fn new(key: &str, what: &str, unit: Unit, ours: Option<Samples>) -> Self {
        Self {
            key: key.to_owned(),
            what: what.to_owned(),
            unit,
            better: Better::Lower,
            target: Target::None,
            ours,
            ceiling: None,
            peer: None,
            generator_limited: false,
        }
    }

    pub(crate) fn higher_is_better(mut self) -> Self {
        self.better = Better::Higher;
        self
    }

    pub(crate) fn target(mut self, target: Target) -> Self {
        self.target = target;
        self
    }

    pub(crate) fn ceiling(mut self, ceiling: Option<Samples>) -> Self {
        self.ceiling = ceiling;
        self
    }

    pub(crate) fn peer(mut self, peer: Option<Samples>) -> Self {
        self.peer = peer;
        self
    }

    pub(crate) fn limited(mut self, limited: bool) -> Self {
        self.generator_limited = limited;
        self
    }

    /// More than 1: we need less than the ceiling program.
    pub(crate) fn ratio_to_ceiling(&self) -> Option<Ratio> {
        Ratio::of(self.ours.as_ref()?, self.ceiling.as_ref()?, self.better)
    }

    /// More than 1: we are better than the peer.
    pub(crate) fn ratio_to_peer(&self) -> Option<Ratio> {
        Ratio::of(self.ours.as_ref()?, self.peer.as_ref()?, self.better)
    }

    /// Whether the median meets the target; unknown when it was not measured or there is none.
    pub(crate) fn met(&self) -> Option<bool> {
        match self.target {
            Target::None => None,
            Target::AtMost(most) => Some(self.ours.as_ref()?.median() <= most),
            Target::AtLeast(least) => Some(self.ours.as_ref()?.median() >= least),
            Target::OfCeiling(least) => Some(self.ratio_to_ceiling()?.of_medians >= least),
            Target::OfPeer(least) => Some(self.ratio_to_peer()?.of_medians >= least),
        }
    }

    /// The target in words; empty without one.
    pub(crate) fn target_text(&self) -> String {
        match self.target {
            Target::None => String::new(),
            Target::AtMost(most) => format!("≤ {}", self.unit.display(most)),
            Target::AtLeast(least) => format!("≥ {}", self.unit.display(least)),
            Target::OfCeiling(least) => format!("≥ {least} of ceiling"),
            Target::OfPeer(least) => format!("≥ {least} × peer"),
        }
    }

    /// The same as the table's line.
    pub(crate) fn to_json(&self) -> Value {
        let samples = |samples: &Option<Samples>| {
            samples.as_ref().map(
                |s| json!({ "median": s.median(), "min": s.min(), "max": s.max(), "values": s.values() }),
            )
        };
        let ratio = |ratio: Option<Ratio>| ratio.map(|r| r.of_medians);
        let range = |ratio: Option<Ratio>| ratio.map(|r| [r.worst, r.best]);
        json!({
            "key": self.key,
            "what": self.what,
            "unit": self.unit.name(),
            "ours": samples(&self.ours),
            "ceiling": samples(&self.ceiling),
            "peer": samples(&self.peer),
            "ratio_to_ceiling": ratio(self.ratio_to_ceiling()),
            "ratio_to_ceiling_range": range(self.ratio_to_ceiling()),
            "ratio_to_peer": ratio(self.ratio_to_peer()),
            "ratio_to_peer_range": range(self.ratio_to_peer()),
            "target": if self.target == Target::None { None } else { Some(self.target_text()) },
            "met": self.met(),
            "generator_limited": self.generator_limited,
        })
    }
}

impl Unit {
    const fn name(self) -> &'static str {
        match self {
            Self::Nanoseconds => "ns",
            Self::Microseconds => "us",
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
            Self::PerSecond => "1/s",
            Self::Bytes => "bytes",
            Self::Share => "share",
            Self::Times => "ratio",
            Self::Count => "count",
        }
    }

    /// A value as people read it.
    pub(crate) fn display(self, value: f64) -> String {
        let (divisor, suffix) = self.scale(value);
        format!("{}{suffix}", digits(value / divisor))
    }

    /// A value with its spread, all in the same scale.
    pub(crate) fn display_samples(self, samples: &Samples) -> String {
        let (divisor, suffix) = self.scale(samples.median());
        let show = |v: f64| digits(v / divisor);
        let (median, min, max) = (show(samples.median()), show(samples.min()), show(samples.max()));
        if samples.values().len() == 1 || min == max {
            return format!("{median}{suffix}");
        }
        format!("{median}{suffix} ({min}–{max})")
    }

    /// Divisor and suffix; four digits before the point are still readable, so units change late.
    fn scale(self, value: f64) -> (f64, &'static str) {
        let steps: &[(f64, f64, &str)] = match self {
            Self::Nanoseconds => &[(0.0, 1.0, " ns"), (1e4, 1e3, " µs"), (1e7, 1e6, " ms")],
            Self::Microseconds => &[(0.0, 1.0, " µs"), (1e4, 1e3, " ms"), (1e7, 1e6, " s")],
            Self::Milliseconds => &[(0.0, 1.0, " ms"), (1e4, 1e3, " s")],
            Self::Seconds => &[(0.0, 1.0, " s")],
            Self::PerSecond => &[(0.0, 1.0, "/s"), (1e4, 1e3, " k/s"), (1e7, 1e6, " M/s")],
            Self::Bytes => &[(0.0, 1.0, " B"), (1e3, 1e3, " kB"), (1e6, 1e6, " MB"), (1e9, 1e9, " GB")],
            Self::Share => &[(0.0, 0.01, " %")],
            Self::Times => &[(0.0, 1.0, " ×")],
            Self::Count => &[(0.0, 1.0, "")],
        };
        let step = steps.iter().rev().find(|(from, ..)| value.abs() >= *from);
        step.map_or((1.0, ""), |(_, divisor, suffix)| (*divisor, suffix))
    }
}

/// Three significant digits, but never fewer than all before the point.
pub(crate) fn digits(value: f64) -> String {
    let decimals = match value.abs() {
        v if v == 0.0 || v >= 99.95 => 0,
        v if v >= 9.995 => 1,
        v if v >= 0.0995 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: &[f64]) -> Option<Samples> {
        Samples::new(values.to_vec())
    }

    #[test]
    fn values_read_well() {
        for (unit, value, text) in [
            (Unit::Nanoseconds, 712.4, "712 ns"),
            (Unit::Nanoseconds, 9_999.0, "9999 ns"),
            (Unit::Nanoseconds, 25_500.0, "25.5 µs"),
            (Unit::Microseconds, 1.0, "1 µs"),
            (Unit::Seconds, 6.254, "6.25 s"),
            (Unit::PerSecond, 523_456.0, "523 k/s"),
            (Unit::Bytes, 1_500_000.0, "1.5 MB"),
            (Unit::Bytes, 0.0, "0 B"),
            (Unit::Share, 0.0005, "0.05 %"),
            (Unit::Times, 0.4567, "0.46 ×"),
            (Unit::Count, 0.0, "0"),
        ] {
            assert_eq!(unit.display(value), text);
        }
        let spread = samples(&[25_500.0, 24_000.0, 31_000.0]).unwrap();
        assert_eq!(Unit::Nanoseconds.display_samples(&spread), "25.5 µs (24–31)");
    }

    #[test]
    fn a_target_is_met_at_its_edge_and_missed_one_beyond() {
        let cost = |target, ours: f64| {
            let ours = samples(&[ours]);
            Figure::new("k", "w", Unit::Nanoseconds, ours)
                .ceiling(samples(&[500.0]))
                .peer(samples(&[10_000.0]))
                .target(target)
                .met()
        };
        assert_eq!(cost(Target::AtMost(1000.0), 1000.0), Some(true));
        assert_eq!(cost(Target::AtMost(1000.0), 1001.0), Some(false));
        assert_eq!(cost(Target::AtLeast(1000.0), 999.0), Some(false));
        assert_eq!(cost(Target::OfCeiling(0.5), 1000.0), Some(true));
        assert_eq!(cost(Target::OfCeiling(0.5), 1001.0), Some(false));
        assert_eq!(cost(Target::OfPeer(10.0), 1000.0), Some(true));
        assert_eq!(cost(Target::OfPeer(10.0), 1001.0), Some(false));
        assert_eq!(cost(Target::None, 1.0), None);
    }

    #[test]
    fn a_target_against_a_peer_that_was_not_there_is_neither_met_nor_missed() {
        let alone = Figure::new("k", "w", Unit::Nanoseconds, samples(&[1.0])).target(Target::OfPeer(10.0));
        assert_eq!(alone.met(), None);
        let json = alone.to_json();
        assert!(json["ratio_to_peer"].is_null() && json["met"].is_null() && json["peer"].is_null());
        assert_eq!(json["target"], "≥ 10 × peer");
    }

    #[test]
    fn the_json_says_what_the_table_says() {
        let json = Figure::new("media.cost", "cost", Unit::Nanoseconds, samples(&[1000.0, 900.0]))
            .ceiling(samples(&[475.0, 450.0]))
            .limited(true)
            .to_json();
        assert_eq!(
            json["ours"],
            json!({ "median": 950.0, "min": 900.0, "max": 1000.0, "values": [1000.0, 900.0] })
        );
        let ratio = json["ratio_to_ceiling"].as_f64().unwrap();
        assert!((ratio - 462.5 / 950.0).abs() < 1e-9, "{ratio}");
        assert_eq!(json["ratio_to_ceiling_range"], json!([0.475, 0.5]));
        assert_eq!(json["generator_limited"], true);
    }
}
