//! `IntraRegionBridgeSelectionStrategy`: candidates in, a bridge of the conference's region out, or none (focus §7.4). The first
//! participant's region, where there is place, is the conference's.

use super::Field;
use crate::bridges::brewery::Bridge;

pub(super) fn select<'a>(field: &Field<'_, 'a>) -> Option<&'a Bridge> {
    let free = |b: &Bridge| !field.is_overloaded(b);
    let Some((first, _)) = field.used.first() else {
        let near = field.least(|b| field.region.is_some() && b.region.as_deref() == field.region && free(b));
        return near.or_else(|| field.least(|_| true));
    };
    // Bridges that say no region are all in the same one; upstream finds none for anybody but the first there.
    let here = |b: &Bridge| b.region == first.region;
    let used = |b: &Bridge| field.in_conference(b).is_some();
    field
        .least(|b| used(b) && here(b) && free(b))
        .or_else(|| field.least(|b| here(b) && free(b)))
        .or_else(|| field.least(|b| used(b) && here(b)))
}
