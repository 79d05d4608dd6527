//! Budgets: who asks, when and how much in; yes or no out. Pure: time is an argument.
//!
//! A limit on the whole protects memory; a budget per peer protects the peer's neighbours. Every shared queue, table
//! and thread has one:
//!
//! | type | for |
//! |---|---|
//! | [`Bucket`] | how often one known peer (a session, a room, a receiver) may do something |
//! | [`Buckets`] | the same for peers that come and go without notice (addresses), with a bound on what is kept |
//! | [`Shares`] | how much of a table or queue each peer may hold at a time |
//! | [`Network`] | an internet address as budgets see it |
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

mod bucket;
mod buckets;
mod network;
mod shares;

pub use bucket::{Bucket, Rate};
pub use buckets::Buckets;
pub use network::Network;
pub use shares::{Refused, Shares, fair_share};
