//! Bounds of the focus' shell.

use std::time::Duration;

/// HTTP requests and questions that wait for the engine. Reason: a class clicks at once; about 1 KiB each.
pub const COMMANDS: usize = 256;
/// Bytes of an HTTP request body. Reason: real ones have 300.
pub const BODY: usize = 16 * 1024;
/// A conference request is answered after at most this; the engine's own deadlines are shorter.
pub const REPLY: Duration = Duration::from_secs(60);
/// A question about figures is answered after at most this; otherwise the engine hangs.
pub const STATS: Duration = Duration::from_secs(5);
/// Stanzas that wait for a place on the link. Reason: a bridge that goes with 2,000 people on it makes five for each.
pub const UNSENT: usize = 16_384;
/// Bytes of those: the worst case in memory.
pub const UNSENT_BYTES: usize = 32 * 1024 * 1024;
/// Bytes that a focus leaves to its successor. Reason: 10 kB for each of 6,000 people, and stanzas that are not acknowledged.
pub const HANDOVER: usize = 64 * 1024 * 1024;
/// What a successor needs is kept this often at most, while something happens. Reason: what a killed focus did within it has to be
/// done again.
pub const KEEP: Duration = Duration::from_secs(1);
/// Keeping takes no more than this part of the time. Not a bound: a pause.
pub const KEEP_SHARE: u32 = 50;
/// A link that takes nothing for so long is given up on what waits. Reason: longer than its own ping.
pub const STALLED: Duration = Duration::from_secs(75);
