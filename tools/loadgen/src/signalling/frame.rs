//! WebSocket frames (RFC 6455): received bytes in, whole frames out without a copy; texts in, masked frames out.

/// One whole frame from the server.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) opcode: Opcode,
    pub(super) payload: &'a [u8],
    /// Bytes of the frame with its head.
    pub(super) length: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opcode {
    Text = 1,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

/// What no XMPP server sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum FrameError {
    #[error("the server sends fragmented or binary WebSocket messages, which are not understood")]
    Unsupported,
    #[error("what the server sends is no WebSocket frame")]
    Broken,
    #[error("the server sends a frame of {0} bytes")]
    TooLarge(u64),
}

/// The first frame of `bytes`; `None`: it is not whole yet.
pub(super) fn first(bytes: &[u8]) -> Result<Option<Frame<'_>>, FrameError> {
    let [head, second, ..] = *bytes else { return Ok(None) };
    if head & 0x70 != 0 || second & 0x80 != 0 {
        return Err(FrameError::Broken);
    }
    let opcode = match (head & 0x80, head & 0x0f) {
        (0x80, 1) => Opcode::Text,
        (0x80, 8) => Opcode::Close,
        (0x80, 9) => Opcode::Ping,
        (0x80, 10) => Opcode::Pong,
        (_, 0..=2) => return Err(FrameError::Unsupported),
        _ => return Err(FrameError::Broken),
    };
    let (start, length) = match second {
        126 => match bytes.get(2..4) {
            Some(&[a, b]) => (4, u64::from(u16::from_be_bytes([a, b]))),
            _ => return Ok(None),
        },
        127 => match bytes.get(2..10).and_then(|b| b.try_into().ok()) {
            Some(b) => (10, u64::from_be_bytes(b)),
            None => return Ok(None),
        },
        short => (2, u64::from(short)),
    };
    if length > MAX_PAYLOAD {
        return Err(FrameError::TooLarge(length));
    }
    let length = start + length as usize;
    Ok(bytes.get(start..length).map(|payload| Frame { opcode, payload, length }))
}

/// Appends a frame of ours.
pub(super) fn push(out: &mut Vec<u8>, opcode: Opcode, mask: [u8; 4], payload: &[u8]) {
    out.push(0x80 | opcode as u8);
    match payload.len() {
        short @ 0..=125 => out.push(0x80 | short as u8),
        middle @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(middle as u16).to_be_bytes());
        }
        long => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
}

/// Above every stanza limit there is, and below our buffer.
const MAX_PAYLOAD: u64 = 512 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn from_server(payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        push(&mut out, Opcode::Text, [0; 4], payload);
        // Unmasked: the mask's bit and its four bytes away.
        let head = out.len() - payload.len();
        out.drain(head - 4..head);
        out[1] &= 0x7f;
        out
    }

    #[test]
    fn frames_of_every_length_come_out_whole_and_only_then() {
        for n in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
            let payload = vec![b'x'; n];
            let mut bytes = from_server(&payload);
            let length = bytes.len();
            for cut in [0, 1, 2, length - 1] {
                assert!(cut >= length || first(&bytes[..cut]).unwrap().is_none(), "{n} {cut}");
            }
            bytes.extend_from_slice(b"\x81\x02ab");
            let frame = first(&bytes).unwrap().unwrap();
            assert_eq!((frame.payload, frame.length), (payload.as_slice(), length));
        }
    }

    #[test]
    fn what_is_no_frame_is_an_error() {
        assert_eq!(first(b"HTTP/1.1"), Err(FrameError::Broken));
        assert_eq!(first(&[0x81, 0x81, 0, 0, 0, 0, 0]), Err(FrameError::Broken), "masked");
        assert_eq!(first(&[0x01, 1, b'a']), Err(FrameError::Unsupported));
        assert_eq!(first(&[0x81, 127, 0, 0, 0, 0, 0x7f, 0, 0, 0]), Err(FrameError::TooLarge(0x7f00_0000)));
    }

    #[test]
    fn our_frames_are_masked() {
        let mut out = Vec::new();
        push(&mut out, Opcode::Pong, [1, 2, 3, 4], b"abcde");
        assert_eq!(out, [0x8a, 0x85, 1, 2, 3, 4, b'a' ^ 1, b'b' ^ 2, b'c' ^ 3, b'd' ^ 4, b'e' ^ 1]);
    }
}
