//! The operating system's randomness for the pure cores, as it is asked for or drawn in advance.

use jitsi_xmpp::Entropy;

/// Backed by aws-lc's generator, which the system seeds.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&mut self, buf: &mut [u8]) {
        // A machine without randomness cannot make passwords, session ids or nonces: going on would be worse than ending.
        assert!(aws_lc_rs::rand::fill(buf).is_ok(), "no randomness");
    }
}

/// Another source, drawn from in larger portions: each question costs the generator as much as a few hundred bytes do, and a login asks six
/// times for sixteen. What was handed out is not kept.
pub struct Portions<E> {
    source: E,
    drawn: [u8; PORTION],
    /// How many of those, from the front, are not handed out yet.
    left: usize,
}

/// Small enough that little is known in advance to whoever reads our memory.
const PORTION: usize = 256;

impl<E> Portions<E> {
    /// Draws from `source` when something is asked for.
    pub const fn new(source: E) -> Self {
        Self { source, drawn: [0; PORTION], left: 0 }
    }
}

impl<E: Entropy> Entropy for Portions<E> {
    fn fill(&mut self, buf: &mut [u8]) {
        if buf.len() > PORTION / 4 {
            return self.source.fill(buf);
        }
        if buf.len() > self.left {
            self.source.fill(&mut self.drawn);
            self.left = PORTION;
        }
        let from = self.left - buf.len();
        if let Some(bytes) = self.drawn.get_mut(from..self.left) {
            buf.copy_from_slice(bytes);
            bytes.fill(0);
        }
        self.left = from;
    }
}

impl<E> std::fmt::Debug for Portions<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Portions").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts up, and how often it is asked.
    struct Up(u16, u32);

    impl Entropy for Up {
        fn fill(&mut self, buf: &mut [u8]) {
            self.1 += 1;
            for pair in buf.chunks_mut(2) {
                pair.copy_from_slice(&self.0.to_be_bytes()[..pair.len()]);
                self.0 += 1;
            }
        }
    }

    #[test]
    fn a_portion_serves_many_questions_and_nothing_is_handed_out_twice() {
        let mut portions = Portions::new(Up(1, 0));
        let mut seen = std::collections::HashSet::new();
        for _ in 0..PORTION / 16 * 3 {
            let mut bytes = [0; 16];
            portions.fill(&mut bytes);
            assert_ne!(bytes, [0; 16]);
            assert!(seen.insert(bytes), "twice: {bytes:?}");
            assert!(portions.drawn[portions.left..].iter().all(|b| *b == 0), "kept what it handed out");
        }
        assert_eq!(portions.source.1, 3);
    }

    #[test]
    fn what_does_not_fit_into_the_rest_of_a_portion_comes_from_a_new_one() {
        let mut portions = Portions::new(Up(1, 0));
        let (mut a, mut b) = ([0; PORTION / 4], [0; PORTION / 4 + 1]);
        for _ in 0..4 {
            portions.fill(&mut a);
        }
        assert_eq!((portions.source.1, portions.left), (1, 0));
        portions.fill(&mut b);
        assert_eq!((portions.source.1, portions.left), (2, 0), "much is drawn for itself");
        portions.fill(&mut a[..1]);
        portions.fill(&mut a);
        portions.fill(&mut a);
        portions.fill(&mut a);
        assert_eq!(portions.source.1, 3);
        portions.fill(&mut a);
        assert_eq!(portions.source.1, 4, "63 bytes were left, 64 wanted");
    }
}
