//! A TURN server (RFC 8656, RFC 8489) without sockets and clock: messages of clients and datagrams of peers in; where each has
//! to go, and answers, out. It relays over UDP, to our own bridges and to relays of its own, and nowhere else.
//!
//! | verb | when |
//! |---|---|
//! | [`Turn::handle_clock`] | once at start, then about every minute |
//! | [`Turn::handle_client`] | a datagram, or a message of a stream ([`frames`]), of a client |
//! | [`Turn::handle_peer`] | a datagram at a relay's socket |
//! | [`Turn::handle_opened`] | a relay's socket is there, or could not be opened |
//! | [`Turn::handle_hangup`] | a client's stream has ended |
//! | [`Turn::handle_timeout`] | [`Turn::poll_timeout`] has come |
//!
//! After each, [`Turn::poll_output`] until there is none. What is relayed does not go through the outputs: [`Route`] says where
//! the datagram goes, whose bytes stay where they are; only a header is written in front of them.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

mod allocation;
pub mod binding;
mod counters;
mod credentials;
pub mod frames;
pub mod limits;
mod message;
mod peers;
mod route;
mod turn;

pub use counters::{Counter, Counters};
pub use credentials::{Secret, password};
pub use peers::Peers;
pub use route::{Client, HEADROOM, Output, RelayId, Route, TAILROOM};
pub use turn::{Config, Turn};
