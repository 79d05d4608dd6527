//! The whole product in virtual time, and lists that tests of several packages share: no sockets, no threads, no clock. The
//! scenarios are this package's tests.
#![forbid(unsafe_code)]

pub mod bandwidth;
pub mod bridge;
mod end;
pub mod names;
pub mod world;
