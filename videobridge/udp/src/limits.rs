//! Every bound of this crate: what it limits, why this value, what it can cost.

/// Messages per receive call. Beyond 32 the gain is below 5 %; memory: 32 × 2 KiB, with GRO 32 × 64 KiB = 2 MiB.
pub const RECEIVE_BATCH: usize = 32;

/// Bytes of a receive buffer without GRO. Media stays below 1,500; longer datagrams are cut and dropped.
pub const RECEIVE_BUFFER: usize = 2048;

/// Bytes of a receive buffer with GRO: the largest train the kernel hands over.
pub const RECEIVE_BUFFER_GRO: usize = 65_535;

/// Messages per send call: more gains nothing (decision 0011).
pub const SEND_BATCH: usize = 64;

/// Datagrams one segmented message may hold: older kernels refuse more than 64.
pub const MAX_SEGMENTS: usize = 64;

/// Bytes one segmented message may hold: an IPv4 datagram without headers.
pub const MAX_SEGMENTED_BYTES: usize = 65_507;

/// Datagrams waiting for a flush: a burst of eight packets to 500 receivers leaves in whole trains. At 4,096 the slab below is
/// full of average packets.
pub const QUEUE_DATAGRAMS: usize = 4096;

/// Bytes waiting for a flush: one reused allocation per thread.
pub const QUEUE_BYTES: usize = 4 * 1024 * 1024;

/// Default wish for SO_RCVBUF and SO_SNDBUF (upstream's package sets `net.core.rmem_max` to this).
/// Not a bound: the system's own is.
pub const SOCKET_BUFFER: usize = 10 * 1024 * 1024;

/// Peers that the kernel is told the thread of, for each local address: as many as surely fit into the 4,096 instructions that a program may
/// have. Datagrams of others may come to any thread and are handed over. 16 kB in the kernel.
pub const STEERED: usize = 1_500;

/// Peers that are compared one after the other at the end of the search among all of them. Fewer cost more instructions.
pub const STEERED_TOGETHER: usize = 16;
