//! AV1 without a dependency descriptor: its aggregation header and the first of its units (AV1 RTP specification, section 4.4).

/// Whether a coded video sequence begins: the N bit says so, or a sequence header stands at the beginning.
pub(super) fn is_key_frame(payload: &[u8]) -> bool {
    begins_sequence(payload).unwrap_or(false)
}

fn begins_sequence(payload: &[u8]) -> Option<bool> {
    let head = *payload.first()?;
    if head & GOES_ON != 0 {
        return Some(false);
    }
    if head & NEW_SEQUENCE != 0 {
        return Some(true);
    }
    let mut elements = head >> 4 & 3;
    let mut at = 1;
    // A temporal delimiter may stand before it.
    loop {
        let mut len = payload.len().checked_sub(at)?;
        if elements != 1 {
            let (value, size) = leb128(payload.get(at..)?)?;
            (len, at) = (value, at + size);
        }
        let kind = payload.get(at)? >> 3 & 0x0f;
        if kind != TEMPORAL_DELIMITER || elements == 1 {
            return Some(kind == SEQUENCE_HEADER);
        }
        elements = elements.saturating_sub(1);
        at = at.checked_add(len.max(1))?;
    }
}

/// A length, and how many bytes it takes: at most four, as a packet has no more.
fn leb128(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (n, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * n);
        if byte & 0x80 == 0 {
            return Some((value, n + 1));
        }
    }
    None
}

const GOES_ON: u8 = 0x80;
const NEW_SEQUENCE: u8 = 0x08;
const SEQUENCE_HEADER: u8 = 1;
const TEMPORAL_DELIMITER: u8 = 2;
