//! Datagrams between the kernel and reused buffers, many per system call: `recvmmsg` in, `sendmmsg` with
//! segmentation offload out. Decides nothing about their content and allocates nothing after the start.
//!
//! This is the only crate of the workspace with `unsafe`; every block says why it is sound. Everything is meant to
//! be owned by one thread.
#![deny(clippy::undocumented_unsafe_blocks, unsafe_op_in_unsafe_fn)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

mod interfaces;
pub mod limits;
mod receive;
mod send;
mod socket;
mod steer;

pub use interfaces::interface_addresses;
pub use receive::RecvBatch;
pub use send::{Flushed, SendBatch};
pub use socket::{BufferShortage, SocketOptions, UdpSocket};
pub use steer::Steering;

#[cfg(test)]
mod tests;
