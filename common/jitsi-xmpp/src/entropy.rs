//! The one way randomness enters a pure crate: the shell hands in a source, a test hands in a seed.

/// A source of random bytes. Shells back it with the operating system's generator, tests with a seed.
pub trait Entropy: Send {
    /// Fills `buf` with random bytes.
    fn fill(&mut self, buf: &mut [u8]);

    /// A random 32-bit number.
    fn u32(&mut self) -> u32 {
        let mut b = [0; 4];
        self.fill(&mut b);
        u32::from_be_bytes(b)
    }

    /// A random 64-bit number.
    fn u64(&mut self) -> u64 {
        let mut b = [0; 8];
        self.fill(&mut b);
        u64::from_be_bytes(b)
    }

    /// A lower-case random (version 4) UUID, RFC 9562 §5.4.
    fn uuid(&mut self) -> String {
        let mut b = [0; 16];
        self.fill(&mut b);
        let n =
            (u128::from_be_bytes(b) & !(0xf000 << 64) & !(0xc000 << 48)) | (0x4000 << 64) | (0x8000 << 48);
        let mut text = String::with_capacity(36);
        for (i, byte) in n.to_be_bytes().into_iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            text.extend(digits(byte));
        }
        text
    }

    /// `bytes` random bytes as lower-case hex digits.
    fn hex(&mut self, bytes: usize) -> String {
        let mut b = vec![0; bytes];
        self.fill(&mut b);
        let mut text = String::with_capacity(2 * bytes);
        text.extend(b.into_iter().flat_map(digits));
        text
    }
}

/// The two lower-case hex digits of a byte. Formatting each byte costs a tenth of a login.
fn digits(byte: u8) -> [char; 2] {
    [byte >> 4, byte & 0xf].map(|half| char::from(if half < 10 { b'0' + half } else { b'a' + half - 10 }))
}

/// A deterministic source for tests (SplitMix64). Never for production: the stream is predictable.
#[derive(Debug, Clone)]
pub struct SeededEntropy(u64);

impl SeededEntropy {
    /// A source that always yields the same bytes for the same `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }
}

impl Entropy for SeededEntropy {
    fn fill(&mut self, buf: &mut [u8]) {
        for chunk in buf.chunks_mut(8) {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^= z >> 31;
            for (dst, src) in chunk.iter_mut().zip(z.to_be_bytes()) {
                *dst = src;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuid_has_version_4_and_the_rfc_variant() {
        let id = SeededEntropy::new(7).uuid();
        assert_eq!(id.len(), 36);
        assert_eq!(&id[14..15], "4");
        assert!(matches!(&id[19..20], "8" | "9" | "a" | "b"), "{id}");
        assert!(id.char_indices().all(|(i, c)| (c == '-') == matches!(i, 8 | 13 | 18 | 23)), "{id}");
    }

    #[test]
    fn hex_has_two_digits_of_each_byte() {
        struct All(u8);
        impl Entropy for All {
            fn fill(&mut self, buf: &mut [u8]) {
                for b in buf {
                    *b = self.0;
                    self.0 = self.0.wrapping_add(1);
                }
            }
        }
        let expected: String = (0..=255u8).map(|b| format!("{b:02x}")).collect();
        assert_eq!(All(0).hex(256), expected);
        assert_eq!(All(0x20).uuid(), "20212223-2425-4627-a829-2a2b2c2d2e2f");
    }
}
