//! `VisitorSelectionStrategy`: candidates in, one that the conference uses for the same kind of people, or not yet, out: who meets, or who
//! only watches. They are mixed only when there is no such bridge (focus §7.4). For either kind it goes by region.

use super::{Field, region};
use crate::bridges::brewery::Bridge;

pub(super) fn select<'a>(field: &Field<'_, 'a>) -> Option<&'a Bridge> {
    let own = |b: &&Bridge| field.in_conference(b).is_none_or(|u| u.viewers == field.viewer);
    let sorted: Vec<&Bridge> = field.sorted.iter().copied().filter(own).collect();
    let used: Vec<_> = field.used.iter().copied().filter(|(_, u)| u.viewers == field.viewer).collect();
    region::select(&Field { sorted: &sorted, used: &used, ..*field }).or_else(|| region::select(field))
}
