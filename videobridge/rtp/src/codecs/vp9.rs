//! The payload descriptor of VP9 (RFC 9628 §4.2).

use super::{Descriptor, Layering, Tl0Index, Tl0Place, picture_id};
use crate::bytes::be16;

/// Spatial layers a structure can speak of.
pub const MAX_SPATIAL: usize = 8;

/// The sizes a scalability structure says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    /// How many spatial layers there are.
    pub layers: u8,
    /// The lower side of the picture by spatial layer, 0 = not said.
    pub sizes: [u16; MAX_SPATIAL],
}

pub(super) fn parse(payload: &[u8]) -> Option<Descriptor> {
    let first = *payload.first()?;
    let mut at = 1;
    let predicted = first & PREDICTED != 0;
    let mut out =
        Descriptor { begins: first & BEGINS != 0, ends: first & ENDS != 0, ..Descriptor::default() };
    if first & HAS_ID != 0 {
        let id = picture_id(payload, at)?;
        at += if id.long { 2 } else { 1 };
        out.picture_id = Some(id);
    }
    let mut inter_layer = false;
    if first & HAS_LAYERS != 0 {
        let layer = *payload.get(at)?;
        (out.temporal, out.spatial) = (layer >> 5, layer >> 1 & 7);
        inter_layer = layer & 1 != 0;
        at += 1;
        if first & FLEXIBLE == 0 {
            out.tl0 = Some(Tl0Place { at: at as u8, index: Tl0Index::new(*payload.get(at)?) });
            at += 1;
        }
        if out.picture_id.is_some() {
            out.layering = Layering::Vp9 {
                predicted,
                inter_layer,
                switches_up: layer & 0x10 != 0,
                supports: first & NOT_REFERENCE == 0,
            };
        }
    }
    out.key_frame = out.begins && !predicted && !inter_layer && out.spatial == 0;
    if first & HAS_STRUCTURE != 0 {
        if first & FLEXIBLE != 0 && predicted {
            // Up to three distances; the lowest bit says that another one follows.
            let more = (0..3).take_while(|n| payload.get(at + n).is_some_and(|b| b & 1 != 0)).count();
            at += (more + 1).min(3);
        }
        out.sizes_at = u8::try_from(at).ok();
    }
    Some(out)
}

/// The scalability structure at `at`; `None` when it is cut short.
pub fn sizes(payload: &[u8], at: u8) -> Option<Sizes> {
    let mut at = usize::from(at);
    let head = payload.get(at)?;
    at += 1;
    let mut out = Sizes { layers: (head >> 5) + 1, ..Sizes::default() };
    if head & 0x10 != 0 {
        for size in out.sizes.iter_mut().take(out.layers.into()) {
            *size = be16(payload, at)?.min(be16(payload, at + 2)?);
            at += 4;
        }
    }
    Some(out)
}

const HAS_ID: u8 = 0x80;
const PREDICTED: u8 = 0x40;
const HAS_LAYERS: u8 = 0x20;
const FLEXIBLE: u8 = 0x10;
const BEGINS: u8 = 0x08;
const ENDS: u8 = 0x04;
const HAS_STRUCTURE: u8 = 0x02;
const NOT_REFERENCE: u8 = 0x01;
