//! How many pictures anybody gets in a conference of this size: what the admin wrote in; the bound for a size out.

use crate::media::limits::MAX_LAST_N_SIZES;

/// From each of these sizes on a bound, smaller sizes first (`load-management.conference-last-n-limits`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LastNBySize(Vec<(usize, u32)>);

impl LastNBySize {
    /// Reads `20=20, 30=15`; nothing is no bound. `None`: it is not that, says a size twice, or has too many.
    pub fn read(text: &str) -> Option<Self> {
        let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
        let mut all = Vec::new();
        for pair in pairs {
            let (size, n) = pair.split_once('=')?;
            all.push((size.trim().parse().ok()?, n.trim().parse().ok()?));
        }
        all.sort_unstable();
        let twice = all.windows(2).any(|two| matches!(two, [(a, _), (b, _)] if a == b));
        (!twice && all.len() <= MAX_LAST_N_SIZES).then_some(Self(all))
    }

    /// The bound of the largest size that is reached.
    pub(crate) fn of(&self, size: usize) -> Option<u32> {
        let below = self.0.partition_point(|(from, _)| *from <= size);
        below.checked_sub(1).and_then(|last| self.0.get(last)).map(|(_, n)| *n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_size_that_is_reached_says_how_many() {
        let sizes = LastNBySize::read(" 50=10, 20 = 20,30=15,90=2, ").unwrap();
        for (size, n) in [
            (0, None),
            (19, None),
            (20, Some(20)),
            (29, Some(20)),
            (30, Some(15)),
            (49, Some(15)),
            (50, Some(10)),
            (89, Some(10)),
            (90, Some(2)),
            (9_000, Some(2)),
        ] {
            assert_eq!(sizes.of(size), n, "{size}");
        }
        assert_eq!(LastNBySize::read("").unwrap().of(1_000), None);
        for odd in ["20", "20=", "=2", "20=-1", "a=1", "20=1=1", "20=1,20=2", "20:1"] {
            assert_eq!(LastNBySize::read(odd), None, "{odd}");
        }
    }

    #[test]
    fn so_many_sizes_are_read_and_not_one_more() {
        let many = |n: usize| (0..n).map(|i| format!("{i}=1,")).collect::<String>();
        assert!(LastNBySize::read(&many(MAX_LAST_N_SIZES)).is_some());
        assert_eq!(LastNBySize::read(&many(MAX_LAST_N_SIZES + 1)), None);
    }
}
