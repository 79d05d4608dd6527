//! The operating system's random generator in; the bytes that the engine asks for out.

use aws_lc_rs::rand;
use jitsi_xmpp::Entropy;

/// Backed by the system's generator.
#[derive(Debug, Default)]
pub(crate) struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&mut self, buf: &mut [u8]) {
        // aws-lc aborts rather than fail here; an error would leave zeros, so it is retried until it works.
        while rand::fill(buf).is_err() {}
    }
}
