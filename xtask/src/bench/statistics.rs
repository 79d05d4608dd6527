//! Values of several rounds in; their median, spread and ratios out.

/// One figure's values, one a round.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    /// At least one value, all of them numbers; in the order of the rounds.
    pub(crate) fn new(values: Vec<f64>) -> Option<Self> {
        (!values.is_empty() && values.iter().all(|v| v.is_finite())).then_some(Self(values))
    }

    /// The middle one; of an even number the mean of the middle two.
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
    }

    /// The smallest.
    pub(crate) fn min(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// The largest.
    pub(crate) fn max(&self) -> f64 {
        self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    /// One a round.
    pub(crate) fn values(&self) -> &[f64] {
        &self.0
    }

    /// Round by round.
    pub(crate) fn zip(&self, other: &Self, rule: impl Fn(f64, f64) -> f64) -> Option<Self> {
        Self::new(self.0.iter().zip(&other.0).map(|(a, b)| rule(*a, *b)).collect())
    }
}

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    Lower,
    Higher,
}

/// Our figure against another's in the same rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ratio {
    /// Of the medians.
    pub(crate) of_medians: f64,
    /// In the round that was worst for us.
    pub(crate) worst: f64,
    /// In the round that was best for us.
    pub(crate) best: f64,
}

impl Ratio {
    /// More than 1 always says that ours is the better one. None when a value is 0: there is nothing to compare.
    pub(crate) fn of(ours: &Samples, other: &Samples, better: Better) -> Option<Self> {
        let one = |ours: f64, other: f64| match better {
            Better::Lower => other / ours,
            Better::Higher => ours / other,
        };
        let rounds = ours.zip(other, one)?;
        let of_medians = one(ours.median(), other.median());
        of_medians.is_finite().then(|| Self { of_medians, worst: rounds.min(), best: rounds.max() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: &[f64]) -> Samples {
        Samples::new(values.to_vec()).unwrap()
    }

    #[test]
    fn median_and_spread_do_not_depend_on_the_order() {
        let odd = samples(&[3.0, 1.0, 100.0]);
        assert_eq!((odd.median(), odd.min(), odd.max()), (3.0, 1.0, 100.0));
        assert_eq!(samples(&[4.0, 1.0, 2.0, 100.0]).median(), 3.0);
        assert_eq!(samples(&[7.0]).median(), 7.0);
    }

    #[test]
    fn no_value_and_no_number_are_no_samples() {
        assert_eq!(Samples::new(Vec::new()), None);
        assert_eq!(Samples::new(vec![1.0, f64::NAN]), None);
    }

    #[test]
    fn more_than_one_is_better_whichever_way_the_figure_counts() {
        let cost =
            Ratio::of(&samples(&[100.0, 110.0, 90.0]), &samples(&[1000.0, 880.0, 990.0]), Better::Lower);
        assert_eq!(cost, Some(Ratio { of_medians: 9.9, worst: 8.0, best: 11.0 }));
        let rate = Ratio::of(&samples(&[50.0]), &samples(&[100.0]), Better::Higher).unwrap();
        assert_eq!(rate.of_medians, 0.5);
    }

    #[test]
    fn nothing_is_not_compared() {
        assert_eq!(Ratio::of(&samples(&[0.0]), &samples(&[5.0]), Better::Lower), None);
        assert_eq!(Ratio::of(&samples(&[5.0]), &samples(&[0.0]), Better::Higher), None);
    }

    #[test]
    fn a_round_that_the_other_did_not_have_does_not_count_in_the_spread() {
        let ratio = Ratio::of(&samples(&[1.0, 1.0, 100.0]), &samples(&[2.0, 4.0]), Better::Lower).unwrap();
        assert_eq!((ratio.worst, ratio.best), (2.0, 4.0));
    }
}
