//! Datagrams as they were sent in; the same ones once more out.
//!
//! The bytes are those of the first time: who has got them drops them as a replay, before anything counts them (RFC 3711 §3.3.2). To
//! encrypt again what has this index would, with another stamp in its header, give the key away.

use crate::media::limits::{MAX_SPEECH_DATAGRAM, SPEECH_KEPT};

/// What was sent last of what may be sent again.
#[derive(Debug)]
pub(super) struct Again(Box<[Datagram]>);

#[derive(Debug, Clone, Copy)]
struct Datagram {
    nth: u32,
    len: usize,
    bytes: [u8; MAX_SPEECH_DATAGRAM],
}

impl Again {
    pub(super) fn new() -> Self {
        let nothing = Datagram { nth: 0, len: 0, bytes: [0; MAX_SPEECH_DATAGRAM] };
        Self(vec![nothing; SPEECH_KEPT].into_boxed_slice())
    }

    /// Keeps the `nth`, in the place of the one [`SPEECH_KEPT`] before it. One that is too long is not kept.
    pub(super) fn keep(&mut self, nth: u32, datagram: &[u8]) {
        let Some(place) = self.0.get_mut(nth as usize % SPEECH_KEPT) else { return };
        place.nth = nth;
        place.len = 0;
        if let Some(bytes) = place.bytes.get_mut(..datagram.len()) {
            bytes.copy_from_slice(datagram);
            place.len = datagram.len();
        }
    }

    /// The `nth`, if it is still there.
    pub(super) fn get(&self, nth: u32) -> Option<&[u8]> {
        let place =
            self.0.get(nth as usize % SPEECH_KEPT).filter(|place| place.nth == nth && place.len > 0)?;
        place.bytes.get(..place.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_kept_as_may_be_and_not_one_more() {
        let mut again = Again::new();
        let first = u32::MAX - 3;
        let nth = |n: usize| first.wrapping_add(n as u32);
        (0..SPEECH_KEPT).for_each(|n| again.keep(nth(n), &[n as u8 + 1; 3]));
        assert_eq!(again.get(nth(0)), Some(&[1; 3][..]), "at the limit");
        again.keep(nth(SPEECH_KEPT), &[99]);
        assert_eq!(again.get(nth(0)), None, "one beyond");
        assert_eq!(again.get(nth(1)), Some(&[2; 3][..]));
        assert_eq!(again.get(nth(SPEECH_KEPT)), Some(&[99][..]));
    }

    #[test]
    fn datagrams_are_kept_up_to_their_longest_and_not_one_byte_longer() {
        let mut again = Again::new();
        again.keep(5, &[1; MAX_SPEECH_DATAGRAM]);
        assert_eq!(again.get(5).map(<[u8]>::len), Some(MAX_SPEECH_DATAGRAM));
        again.keep(5, &[1; MAX_SPEECH_DATAGRAM + 1]);
        assert_eq!(again.get(5), None, "and what was there is not taken for it");
    }
}
