//! `RegionBasedBridgeSelectionStrategy`: candidates and the participant's region in, a bridge there or near it out, rather one that the
//! conference uses already (focus §7.4).

use super::Field;
use crate::bridges::brewery::Bridge;

pub(super) fn select<'a>(field: &Field<'_, 'a>) -> Option<&'a Bridge> {
    let region = wanted(field);
    let here = |b: &Bridge| region.is_some() && b.region.as_deref() == region;
    let near = |b: &Bridge| is_near(field, region, b);
    let free = |b: &Bridge| !field.is_overloaded(b);
    let used = |b: &Bridge| field.in_conference(b).is_some();
    // A bridge to which many come at once is left for one beside it, and not for one that is far away.
    let calm = |b: &Bridge| used(b) && !field.is_crowded(b);
    let grows = field.used.iter().any(|(b, u)| u.grows && calm(b));
    let beside = |b: &Bridge| {
        let near = |u: &Bridge| u.region == b.region || is_near(field, u.region.as_deref(), b);
        field.used.iter().any(|(u, _)| near(u))
    };
    field
        .least(|b| used(b) && here(b) && free(b))
        .or_else(|| field.least(|b| used(b) && near(b) && free(b)))
        .or_else(|| field.least(|b| here(b) && free(b)))
        .or_else(|| field.least(|b| near(b) && free(b)))
        .or_else(|| field.least(|b| calm(b) && (here(b) || near(b))))
        .or_else(|| field.least(|b| used(b) && free(b)))
        .or_else(|| field.least(|b| grows && beside(b) && free(b)))
        .or_else(|| field.least(calm))
        // Upstream forgets here how many of the conference a bridge has: without regions the limit would be none.
        .or_else(|| field.least(free))
        .or_else(|| field.least(|b| used(b) && !field.is_full(b)))
        .or_else(|| field.least(|_| true))
}

/// In which region to look: the participant's, or ours when that is as good or there is nothing there.
fn wanted<'f>(field: &Field<'f, '_>) -> Option<&'f str> {
    let local = field.config.local_region.as_deref();
    let region = field.region.or(local)?;
    let Some(local) = local else { return Some(region) };
    let is_first_and_near = field.used.is_empty() && field.config.are_near(region, local);
    let is_nowhere = !field.sorted.iter().any(|b| is_near(field, Some(region), b));
    Some(if is_first_and_near || is_nowhere { local } else { region })
}

fn is_near(field: &Field<'_, '_>, region: Option<&str>, b: &Bridge) -> bool {
    match (region, b.region.as_deref()) {
        (Some(one), Some(other)) => field.config.are_near(one, other),
        _ => false,
    }
}
