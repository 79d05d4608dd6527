//! `SingleBridgeSelectionStrategy`, the default: candidates by load in, the least loaded one of the
//! participant's region out, else the least loaded one.

use super::Wish;
use crate::bridges::brewery::Bridge;

pub(super) fn select<'a>(candidates: &[&'a Bridge], wish: Wish<'_>) -> Option<&'a Bridge> {
    let in_region = candidates.iter().find(|b| wish.region.is_some() && b.region.as_deref() == wish.region);
    in_region.or_else(|| candidates.first()).copied()
}
