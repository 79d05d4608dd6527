//! Lines with their axes in; ticks, positions and labels out.

/// A picture to draw.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Chart {
    /// Name of the file without its ending.
    pub(crate) file: &'static str,
    pub(crate) title: String,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) lines: Vec<Line>,
}

/// What is along one side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Axis {
    /// With its unit.
    pub(crate) label: &'static str,
    pub(crate) scale: Scale,
}

/// How values become lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// From 0.
    Linear,
    /// For values over 0.
    Log,
}

/// Points in the order of x.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    /// 0 and 1: ours; 2: a peer; 3: a reference, dashed.
    pub(crate) colour: usize,
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

impl Line {
    pub(crate) fn of(colour: usize, name: &str, points: Vec<(f64, f64)>) -> Self {
        Self { colour, name: name.to_owned(), points }
    }
}

/// Values on an axis: where they lie from 0 to 1, and where to write which number.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Range {
    scale: Scale,
    from: f64,
    to: f64,
    pub(crate) ticks: Vec<f64>,
}

impl Range {
    /// A range with round ends that holds all values; what the scale can not show is left out.
    pub(crate) fn of(scale: Scale, values: impl Iterator<Item = f64>) -> Self {
        let shown = |v: &f64| v.is_finite() && (scale == Scale::Linear || *v > 0.0);
        let (low, high) = values
            .filter(shown)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        let (low, high) = if low > high { (1.0, 1.0) } else { (low, high) };
        match scale {
            Scale::Linear => Self::linear(high),
            Scale::Log => Self::log(low, high),
        }
    }

    fn linear(high: f64) -> Self {
        let high = if high > 0.0 { high } else { 1.0 };
        let rough = high / 5.0;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|s| *s >= rough * 0.999);
        let step = step.unwrap_or(rough);
        let count = (high / step - 1e-9).ceil().max(1.0);
        let ticks = (0..=count as u32).map(|n| f64::from(n) * step).collect();
        Self { scale: Scale::Linear, from: 0.0, to: count * step, ticks }
    }

    fn log(low: f64, high: f64) -> Self {
        let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32 + 1);
        let all: Vec<f64> = (first..=last).flat_map(|p| [1.0, 2.0, 5.0].map(|m| m * 10f64.powi(p))).collect();
        let from = all.iter().copied().rfind(|t| *t <= low * 1.000_001).unwrap_or(low);
        let mut to = all.iter().copied().find(|t| *t >= high * 0.999_999).unwrap_or(high);
        if to <= from {
            to = all.iter().copied().find(|t| *t > from * 1.5).unwrap_or(from * 10.0);
        }
        let mut ticks: Vec<f64> =
            all.into_iter().filter(|t| (from * 0.999_999..=to * 1.000_001).contains(t)).collect();
        if ticks.len() > MOST_TICKS {
            ticks.retain(|t| (t.log10() - t.log10().round()).abs() < 1e-6);
        }
        Self { scale: Scale::Log, from, to, ticks }
    }

    /// From 0 at the axis' beginning to 1 at its end; `None` for what can not be shown.
    pub(crate) fn position(&self, value: f64) -> Option<f64> {
        match self.scale {
            Scale::Linear => Some((value - self.from) / (self.to - self.from)),
            Scale::Log if value > 0.0 => Some((value / self.from).ln() / (self.to / self.from).ln()),
            Scale::Log => None,
        }
        .filter(|p| p.is_finite())
    }
}

/// A tick's number, short.
pub(crate) fn short(value: f64) -> String {
    let (divisor, suffix) = match value.abs() {
        v if v >= 1e6 => (1e6, "M"),
        v if v >= 1e4 => (1e3, "k"),
        _ => (1.0, ""),
    };
    // Nine digits are enough to hide what binary fractions leave over.
    let number = format!("{:.9}", value / divisor);
    format!("{}{suffix}", number.trim_end_matches('0').trim_end_matches('.'))
}

const MOST_TICKS: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn range(scale: Scale, values: &[f64]) -> Range {
        Range::of(scale, values.iter().copied())
    }

    #[test]
    fn a_linear_axis_begins_at_nothing_and_ends_at_a_round_number() {
        let range = range(Scale::Linear, &[120.0, 430.0]);
        assert_eq!(range.ticks, [0.0, 100.0, 200.0, 300.0, 400.0, 500.0]);
        assert_eq!(range.position(250.0), Some(0.5));
        assert_eq!(Range::of(Scale::Linear, [500.0].into_iter()).ticks.last(), Some(&500.0), "its own end");
    }

    #[test]
    fn a_logarithmic_axis_has_round_ends_around_all_values() {
        let sizes = range(Scale::Log, &[50.0, 125.0, 500.0, 2000.0]);
        assert_eq!(sizes.ticks, [50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0]);
        assert_eq!((sizes.position(50.0), sizes.position(2000.0)), (Some(0.0), Some(1.0)));
        let wide = range(Scale::Log, &[3.0, 4e6]);
        assert_eq!(wide.ticks, [10.0, 100.0, 1e3, 1e4, 1e5, 1e6], "of many decades only the whole ones");
    }

    #[test]
    fn what_can_not_be_shown_is_left_out() {
        let logs = range(Scale::Log, &[0.0, -5.0, f64::NAN, 10.0, 1000.0]);
        assert_eq!(logs.position(0.0), None);
        assert_eq!(logs.ticks.first(), Some(&10.0));
        for scale in [Scale::Linear, Scale::Log] {
            for values in [&[][..], &[0.0], &[7.0, 7.0]] {
                let range = range(scale, values);
                assert!(range.ticks.len() >= 2 && range.ticks.is_sorted(), "{scale:?} {values:?} {range:?}");
                assert!(range.position(7.0).is_some());
            }
        }
    }

    #[test]
    fn tick_numbers_are_short() {
        let numbers = [0.0, 0.2, 0.30000000000000004, 5.0, 2000.0, 20_000.0, 1_500_000.0].map(short);
        assert_eq!(numbers, ["0", "0.2", "0.3", "5", "2000", "20k", "1.5M"]);
    }
}
