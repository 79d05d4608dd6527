//! The operating system's randomness for the pure cores.

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
