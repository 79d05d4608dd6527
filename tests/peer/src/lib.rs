//! A WebRTC client without a browser, for every test and measuring tool: datagrams and time in; datagrams, SRTP keys and
//! the texts of the bridge channel out. ICE controlled, DTLS, SRTP, and SCTP client, as a browser; no sockets, no clock.
//!
//! [`Client`] is the same with its signalling: a scripted Jitsi Meet client, frames of the XMPP server in and out.
//!
//! [`describe`] is what the focus says about one to the bridge.
//!
//! [`turn`] is what a client says to a TURN server.
//!
//! Driven like an engine: after each [`Peer::receive`], [`Peer::tick`] and [`Peer::say`] send what is in [`Peer::sent`].
#![forbid(unsafe_code)]

mod channel;
mod client;
pub mod describe;
mod identity;
mod session;
mod stream;
pub mod turn;
mod wire;

pub use client::{Client, FEATURES, Media};
pub use identity::{Identity, PeerError};
pub use session::{Options, Peer};
pub use stream::{OPEN, Stream};
pub use wire::{Sent, Wire};
