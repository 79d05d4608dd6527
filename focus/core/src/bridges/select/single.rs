//! `SingleBridgeSelectionStrategy`, the default: candidates by load in, the least loaded one of the
//! participant's region out, else the least loaded one.

use super::Field;
use crate::bridges::brewery::Bridge;

pub(super) fn select<'a>(field: &Field<'_, 'a>) -> Option<&'a Bridge> {
    let near = field.least(|b| field.region.is_some() && b.region.as_deref() == field.region);
    near.or_else(|| field.least(|_| true))
}
