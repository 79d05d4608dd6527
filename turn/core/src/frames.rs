//! The bytes of a stream in; how long its next message is out (RFC 8656 §12.5: channel data is padded, STUN is anyway).

use crate::limits::MESSAGE;
use crate::message::MAGIC;

/// What a stream's next bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Not all of it is there yet.
    More,
    /// A message of so many bytes, of which `payload` are said and the rest is padding.
    Message {
        /// Without padding.
        message: usize,
        /// With padding.
        whole: usize,
    },
    /// Nothing that can be relayed; where the next message begins nobody knows.
    Broken,
}

/// Looks at a stream's next bytes.
pub fn next(bytes: &[u8]) -> Next {
    let Some(([kind, _, l0, l1], rest)) = bytes.split_first_chunk::<4>() else { return Next::More };
    let len = usize::from(u16::from_be_bytes([*l0, *l1]));
    let (message, whole) = match kind {
        0..=3 => {
            // The cookie, as far as it is there: what is no STUN is not waited for.
            let told = rest.iter().zip(MAGIC);
            if !len.is_multiple_of(4) || told.into_iter().any(|(a, b)| *a != b) {
                return Next::Broken;
            }
            (20 + len, 20 + len)
        }
        0x40..=0x7f => (4 + len, 4 + len.next_multiple_of(4)),
        _ => return Next::Broken,
    };
    match whole {
        w if w > MESSAGE => Next::Broken,
        w if w > bytes.len() => Next::More,
        _ => Next::Message { message, whole },
    }
}

/// Whether a stream begins as a client of TURN does. `None`: too little is there to tell. A request of HTTP differs in its
/// first byte.
pub fn is_turn(first: &[u8]) -> Option<bool> {
    match first {
        [] => None,
        [0 | 1, ..] => {
            if first.iter().skip(4).zip(MAGIC).any(|(a, b)| *a != b) {
                Some(false)
            } else {
                (first.len() >= FIRST).then_some(true)
            }
        }
        _ => Some(false),
    }
}

/// As many bytes tell.
pub const FIRST: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_as_long_as_it_says_and_channel_data_is_padded() {
        let mut stun = vec![0, 1, 0, 4];
        stun.extend(MAGIC);
        stun.extend([0; 16]);
        assert_eq!(next(&stun), Next::Message { message: 24, whole: 24 });
        for cut in 0..24 {
            assert_eq!(next(&stun[..cut]), Next::More, "{cut}");
        }
        assert_eq!(next(&[0x40, 0, 0, 5, 1, 2, 3, 4, 5, 0, 0]), Next::More);
        assert_eq!(
            next(&[0x40, 0, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0, 9]),
            Next::Message { message: 9, whole: 12 }
        );
    }

    #[test]
    fn what_is_no_message_or_too_long_ends_the_stream() {
        for broken in [&b"GET / HTTP/1.1"[..], &[0x16, 3, 1, 0], &[0, 1, 0, 3, 0x21], &[0, 1, 0, 4, 0x22]] {
            assert_eq!(next(broken), Next::Broken, "{broken:?}");
        }
        let of = |len: usize| {
            let [l0, l1] = u16::try_from(len).unwrap().to_be_bytes();
            next(&[0x40, 0, l0, l1])
        };
        assert_eq!(
            (of(MESSAGE - 4), of(MESSAGE - 3)),
            (Next::More, Next::Broken),
            "the limit and one beyond"
        );
    }

    #[test]
    fn a_first_byte_tells_http_from_turn() {
        let turn = [0, 3, 0, 8, 0x21, 0x12, 0xa4, 0x42, 7];
        for cut in 0..FIRST {
            assert_eq!(is_turn(&turn[..cut]), None, "{cut}");
        }
        assert_eq!(is_turn(&turn[..FIRST]), Some(true));
        for http in [&b"G"[..], b"POST /", b"PRI * HTTP/2.0\r\n\r\nSM", &[0, 1, 0, 0, 0], &[2], &[0x40]] {
            assert_eq!(is_turn(http), Some(false), "{http:?}");
        }
    }
}
