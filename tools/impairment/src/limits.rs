//! Every bound of this crate, with its reason and what it can cost at worst.

use std::time::Duration;

/// A datagram's longest payload: what UDP can carry. Longer ones are refused.
pub const DATAGRAM_BYTES: usize = 65_507;

/// What IPv4 and UDP add to a datagram on the wire; a link's rate and queue count it.
pub const HEADER_BYTES: usize = 28;

/// Longest delay, jitter and holding back, each. Real paths stay far below; more would only need memory.
pub const DELAY: Duration = Duration::from_secs(10);

/// Slowest rate in bit/s: a full datagram still leaves in nine minutes, so time arithmetic stays harmless.
pub const SLOWEST_RATE: u64 = 1_000;

/// Fastest rate in bit/s that is a limit at all: above, a nanosecond clock says nothing.
pub const FASTEST_RATE: u64 = 100_000_000_000;

/// Longest queue before the bottleneck, in bytes: one second at 32 Mbit/s. Worst case per link: 4 MiB, and
/// [`QUEUED_DATAGRAMS`] buffers.
pub const QUEUE_BYTES: usize = 4 * 1024 * 1024;

/// Datagrams before the bottleneck: what the longest queue holds of datagrams of 256 bytes.
pub const QUEUED_DATAGRAMS: usize = 16_384;

/// Datagrams that are under way behind the bottleneck: 300 ms at 50,000 a second.
pub const FLYING_DATAGRAMS: usize = 16_384;

/// Bytes that are under way behind the bottleneck: one second at 128 Mbit/s. Worst case per link: 16 MiB.
pub const FLYING_BYTES: usize = 16 * 1024 * 1024;

/// Buffers a link keeps for its next datagrams, and their size; more or longer ones go back to the allocator.
/// Worst case per link: 128 KiB.
pub const SPARE_BUFFERS: usize = 64;
/// See [`SPARE_BUFFERS`].
pub const SPARE_BUFFER_BYTES: usize = 2_048;

/// Clients of one proxy: each costs one socket and two links. Datagrams of further ones are refused and counted.
pub const CLIENTS: usize = 2_048;

/// Steps of one schedule.
pub const STEPS: usize = 1_024;
