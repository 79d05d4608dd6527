//! H.264: which packets begin a key frame (RFC 6184 §5), and the height a parameter set says.

use crate::bytes::be16;

/// A sequence parameter set or the first slice of an IDR picture: alone, in an aggregate behind whatever stands before
/// it, or as the first fragment.
pub(super) fn is_key_frame(payload: &[u8]) -> bool {
    let Some((&head, rest)) = payload.split_first() else { return false };
    match head & UNIT_TYPE {
        STAP_A => units(rest).any(begins_key_frame),
        // Behind a decoding order number.
        STAP_B => rest.get(2..).is_some_and(|rest| units(rest).any(begins_key_frame)),
        FU_A | FU_B => {
            let Some((&fragment, rest)) = rest.split_first() else { return false };
            let skip = if head & UNIT_TYPE == FU_B { 2 } else { 0 };
            fragment & FIRST_FRAGMENT != 0 && is_start(fragment & UNIT_TYPE, rest.get(skip).copied())
        }
        _ => begins_key_frame(payload),
    }
}

/// The units of an aggregate, each behind its length; ends at the first that does not fit.
fn units(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let len = usize::from(be16(rest, 0)?);
        let (unit, left) = rest.get(2..)?.split_at_checked(len)?;
        rest = left;
        Some(unit)
    })
}

fn begins_key_frame(unit: &[u8]) -> bool {
    unit.first().is_some_and(|head| is_start(head & UNIT_TYPE, unit.get(1).copied()))
}

/// `slice` is the first byte behind the unit's head. Only the first slice of a picture has `first_mb_in_slice` = 0, which
/// is written as a single 1.
fn is_start(kind: u8, slice: Option<u8>) -> bool {
    match kind {
        SEQUENCE_PARAMETERS => true,
        IDR_SLICE => slice.is_none_or(|bits| bits & 0x80 != 0),
        _ => false,
    }
}

const UNIT_TYPE: u8 = 0x1f;
const IDR_SLICE: u8 = 5;
const SEQUENCE_PARAMETERS: u8 = 7;
const STAP_A: u8 = 24;
const STAP_B: u8 = 25;
const FU_A: u8 = 28;
const FU_B: u8 = 29;
const FIRST_FRAGMENT: u8 = 0x80;
