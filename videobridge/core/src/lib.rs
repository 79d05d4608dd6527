//! The videobridge without sockets, threads or clock: datagrams, Colibri2 requests and channel texts in;
//! datagrams, answers and channel texts out.
//!
//! A [`Shard`] owns its conferences alone and is driven by one thread. It never blocks, reads no clock and
//! opens nothing; all effects are either written to a [`DatagramSink`] or polled as [`Event`]s.
//!
//! ```text
//!              Command::Colibri2 ───────▶ colibri2 ──▶ conferences, endpoints ──▶ Event::Colibri2Reply
//!              Command::WebSocket… ─────────┐
//!                                           ▼
//!  datagram ─▶ demux ─┬─ STUN ─▶ transport/ice          channel ──▶ Event::WebSocketMessage
//!                     ├─ DTLS ─▶ transport/dtls ─▶ sctp ──▲ ▲│
//!                     │              │ keys                │ │▼
//!                     └─ SRTP ─▶ decrypt in place ───────▶ media (one per conference)
//!                                                             │ header, prefix, payload
//!                                                             ▼
//!                        DatagramSink ◀── encrypt in place ◀─ outlet      (the only copy of a packet)
//! ```
//!
//! # The driving contract
//!
//! 1. Call one of [`Shard::handle_datagram`], [`Shard::handle_command`], [`Shard::handle_timeout`].
//! 2. Poll [`Shard::poll_event`] until it is `None` (after a batch of datagrams, once is enough).
//! 3. Sleep until the next input or [`Shard::poll_timeout`], whichever is first; it changes with every call.
//!
//! `now` must not go backwards. `local` of a datagram is the address it arrived at and must equal one of
//! [`ShardConfig::addresses`]. Datagrams a shard can not attribute are reported as [`Disposition::Unknown`]: a
//! shell with several shards asks [`shard_of_request`] (first packets) and its own table of
//! [`Event::AddressBound`] before handing a datagram to a shard.
//!
//! # When a call panics
//!
//! Catch it and call [`Shard::recover`]: the conference the call was about is removed whole, and everything else goes
//! on. What is left of one call for others (timers that are due, endpoints with news) is done in the next.
//!
//! # What an unauthenticated datagram can do
//!
//! It is counted by reason and dropped. It allocates nothing, changes no state and never moves media: an address
//! is bound to an endpoint by a STUN message with that endpoint's password, and media goes only where an
//! answered check came from.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

mod addresses;
mod channel;
mod colibri2;
mod command;
mod conference;
mod config;
mod counters;
mod debug;
mod demux;
mod endpoint;
mod expiry;
pub mod limits;
mod load;
mod mailbox;
pub mod media;
mod outlet;
mod parts;
mod relay_channel;
mod shard;
pub mod stats;
mod timers;
mod transport;

/// What is read from inside DTLS, for tests with any bytes: no client gets this far without a handshake.
#[doc(hidden)]
pub mod data_channel {
    pub use crate::transport::sctp::{Sctp, SctpEvent};
}

pub use command::{Asked, Command, ConferenceKey, DatagramSink, Event, RequestId, SocketId};
pub use config::{LocalAddress, ShardConfig, TcpPorts, WebSocketConfig};
pub use counters::{Counters, Discard};
/// What can be read of STUN before anybody authenticated it; for tests that compare it with other parsers.
pub mod stun {
    pub use crate::demux::{Stun, Transaction, peek_stun};
}

pub use debug::join_parts;
pub use demux::{Kind, classify, shard_of_conference, shard_of_request};
pub use load::LoadReducer;
pub use mailbox::{ChannelMessage, Lost, Mailbox};
pub use media::{EndpointKey, ExportKey, ExportedAudio};
pub use parts::{PartKey, PartNews};
pub use shard::{Disposition, Shard, ShardError};
pub use stats::ShardStats;
pub use transport::certificate::{Certificate, CertificateError};
