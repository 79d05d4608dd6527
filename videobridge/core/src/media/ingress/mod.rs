//! Decrypted packets of one sender in; what they are, what was lost and what to report back out.

pub(crate) mod arrivals;
pub(crate) mod even;
pub(crate) mod layers;
pub(crate) mod loss;
pub(crate) mod negotiated;
pub(crate) mod receive;
pub(crate) mod sequence;
pub(crate) mod source;
pub(crate) mod structures;
pub(crate) mod throughput;
pub(crate) mod unanswered;
