//! The payload of redundant audio in, its newest block out (RFC 2198 §3).

/// Header of a block that is followed by others: payload type, age, length.
const OLDER_LEN: usize = 4;

/// The payload type and the bytes of the newest block; `None` when the payload is not redundant audio.
pub fn newest(payload: &[u8]) -> Option<(u8, &[u8])> {
    let (mut at, mut older) = (0, 0);
    loop {
        let first = *payload.get(at)?;
        if first & 0x80 == 0 {
            return Some((first, payload.get(at + 1 + older..)?));
        }
        let header: &[u8; OLDER_LEN] = payload.get(at..)?.first_chunk()?;
        let [_, _, high, low] = *header;
        older += usize::from(u16::from_be_bytes([high & 0x03, low]));
        at += OLDER_LEN;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_block_stands_at_the_end() {
        assert_eq!(newest(&[111, b'a', b'b']), Some((111, &b"ab"[..])), "nothing older");
        // One of two bytes, 960 ticks old.
        assert_eq!(newest(&[0x80 | 111, 0x0f, 0x00, 2, 111, 1, 2, b'n']), Some((111, &b"n"[..])));
        let two = [0x80 | 111, 0x1e, 0x00, 1, 0x80 | 111, 0x0f, 0x00, 2, 110, 1, 2, 2, b'n'];
        assert_eq!(newest(&two), Some((110, &b"n"[..])));
        assert_eq!(newest(&[0x80 | 111, 0x0f, 0x03, 0xff, 111, 1]), None, "longer than the packet");
        assert_eq!(newest(&[0x80 | 111, 0x0f, 0x00]), None);
        assert_eq!(newest(&[]), None);
    }
}
