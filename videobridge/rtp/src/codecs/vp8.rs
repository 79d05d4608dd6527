//! The payload descriptor of VP8 and the header of a key frame (RFC 7741 §4.2, §4.3).

use super::{Descriptor, Layering, Tl0Index, Tl0Place, picture_id};

pub(super) fn parse(payload: &[u8]) -> Option<Descriptor> {
    let first = *payload.first()?;
    let mut at = 1;
    let mut out = Descriptor::default();
    if first & 0x80 != 0 {
        let flags = *payload.get(1)?;
        at = 2;
        if flags & 0x80 != 0 {
            let id = picture_id(payload, at)?;
            at += if id.long { 2 } else { 1 };
            out.picture_id = Some(id);
        }
        if flags & 0x40 != 0 {
            out.tl0 = Some(Tl0Place { at: at as u8, index: Tl0Index::new(*payload.get(at)?) });
            at += 1;
        }
        if flags & 0x30 != 0 {
            let layer = *payload.get(at)?;
            // Without picture ids that can be rewritten a frame left out would look like one that was lost.
            if flags & 0x20 != 0 && out.picture_id.is_some_and(|id| id.long) {
                out.temporal = layer >> 6;
                out.layering = Layering::Vp8 { sync: layer & 0x20 != 0 };
            }
            at += 1;
        }
    }
    // The start of the first partition.
    out.begins = first & 0x17 == 0x10;
    // Of a frame whose P bit says "not predicted".
    if out.begins && payload.get(at)? & 1 == 0 {
        out.key_frame = true;
        if let Some([0x9d, 0x01, 0x2a, _, _, low, high]) = payload.get(at + 3..at + 10) {
            out.height = Some(u16::from_le_bytes([*low, *high]) & 0x3fff);
        }
    }
    Some(out)
}
