//! A server's address and a scenario in; load as from many participants, and what it cost and how long it took, out.
#![forbid(unsafe_code)]

pub mod latency;
pub mod media;
pub mod process;
pub mod signalling;
