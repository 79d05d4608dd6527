//! `SplitBridgeSelectionStrategy`, for tests: candidates in, one that the conference does not use yet out, else the one with
//! fewest of its people.

use super::Field;
use crate::bridges::brewery::Bridge;

pub(super) fn select<'a>(field: &Field<'_, 'a>) -> Option<&'a Bridge> {
    // Nothing by chance: tests say what they expect.
    let unused = field.sorted.iter().copied().find(|b| field.in_conference(b).is_none());
    unused.or_else(|| {
        let those = field.sorted.iter().filter_map(|b| Some((*b, field.in_conference(b)?.participants)));
        those.min_by_key(|(_, people)| *people).map(|(b, _)| b)
    })
}
